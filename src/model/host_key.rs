//! The key by which a host showed who it is.

use serde::{Deserialize, Serialize};

/// What a host key was worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyTrust {
    /// It is a known key of the host.
    Known,
    /// It came in a certificate that holds, of an authority that is known for the host.
    Certificate,
    /// Nothing was known of the host; it was scanned, and is known by this key from now on.
    AcceptedNew,
    /// Nothing is known of the host.
    Unknown,
    /// The host is known by another key.
    Changed,
    /// It is listed as revoked.
    Revoked,
    /// It is an RSA key with fewer bits than are asked for.
    TooShort,
    /// It came in a certificate that does not hold.
    CertificateInvalid,
}

impl KeyTrust {
    /// Every one, in the order of the documentation.
    pub const ALL: [Self; 8] = [
        Self::Known,
        Self::Certificate,
        Self::AcceptedNew,
        Self::Unknown,
        Self::Changed,
        Self::Revoked,
        Self::TooShort,
        Self::CertificateInvalid,
    ];

    /// The stable word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Known => "known",
            Self::Certificate => "certificate",
            Self::AcceptedNew => "accepted_new",
            Self::Unknown => "unknown",
            Self::Changed => "changed",
            Self::Revoked => "revoked",
            Self::TooShort => "too_short",
            Self::CertificateInvalid => "certificate_invalid",
        }
    }
}

/// Whether machines that show one key are more than one: that which is listed twice shares it with nobody.
pub fn are_several<'a>(machines: impl IntoIterator<Item = &'a str>) -> bool {
    let mut machines = machines.into_iter();
    let first = machines.next();
    machines.any(|machine| Some(machine) != first)
}

/// The key that a host showed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShownKey {
    /// Its kind: `ssh-ed25519`, `ssh-rsa`, `ecdsa-sha2-nistp256`; of a certificate that of the key in it.
    pub algorithm: String,
    /// `SHA256:` and unpadded base64, as `ssh-keygen -l` prints it.
    pub fingerprint: String,
    /// What it was worth.
    pub how: KeyTrust,
    /// Which machine showed it: the address and port that were reached. Only to tell machines from names of one, and so not part of the JSON.
    #[serde(skip)]
    pub machine: String,
}
