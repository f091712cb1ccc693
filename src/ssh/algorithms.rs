//! What the key exchange may choose from, and what keys and signatures must be.

use std::borrow::Cow;

use russh::keys::ssh_key::public::KeyData;
use russh::keys::{Algorithm, Certificate, EcdsaCurve, HashAlg};
use russh::{Preferred, cipher, kex, mac};

use crate::ssh_config::{AlgorithmList, Settings};

/// Best first. The elliptic curves of NIST are for hosts in FIPS mode; the groups, slow as they are, for those that have nothing else. No SHA-1.
const KEX: [kex::Name; 9] = [
    kex::MLKEM768X25519_SHA256,
    kex::CURVE25519,
    kex::CURVE25519_PRE_RFC_8731,
    kex::ECDH_SHA2_NISTP256,
    kex::ECDH_SHA2_NISTP384,
    kex::ECDH_SHA2_NISTP521,
    kex::DH_G14_SHA256,
    kex::DH_G16_SHA512,
    kex::DH_GEX_SHA256,
];

/// What is no longer safe, for hosts that have nothing else, where the user allows it.
const LEGACY_KEX: [kex::Name; 3] = [kex::DH_G14_SHA1, kex::DH_GEX_SHA1, kex::DH_G1_SHA1];

/// Not algorithms but announcements: what we understand of extensions, and that we keep to strict key exchange.
const EXTENSIONS: [kex::Name; 2] = [kex::EXTENSION_SUPPORT_AS_CLIENT, kex::EXTENSION_OPENSSH_STRICT_KEX_AS_CLIENT];

const CIPHERS: [cipher::Name; 6] = [
    cipher::AES_128_GCM,
    cipher::AES_256_GCM,
    cipher::CHACHA20_POLY1305,
    cipher::AES_256_CTR,
    cipher::AES_192_CTR,
    cipher::AES_128_CTR,
];

const LEGACY_CIPHERS: [cipher::Name; 3] = [cipher::AES_256_CBC, cipher::AES_192_CBC, cipher::AES_128_CBC];

const MACS: [mac::Name; 4] = [mac::HMAC_SHA256_ETM, mac::HMAC_SHA512_ETM, mac::HMAC_SHA256, mac::HMAC_SHA512];

const LEGACY_MACS: [mac::Name; 2] = [mac::HMAC_SHA1_ETM, mac::HMAC_SHA1];

/// Host keys of all kinds that are safe, best first; RSA with SHA-2 only.
const HOST_KEYS: [Algorithm; 6] = [
    Algorithm::Ed25519,
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 },
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP384 },
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP521 },
    Algorithm::Rsa { hash: Some(HashAlg::Sha512) },
    Algorithm::Rsa { hash: Some(HashAlg::Sha256) },
];

/// Of hosts, and of ours.
const LEGACY_KEYS: [Algorithm; 1] = [Algorithm::Rsa { hash: None }];

/// What a key may sign with, ours for a login and an authority's for the certificate of a host, best first: the default of `PubkeyAcceptedAlgorithms`, which has
/// the certificates of such keys as well, and of `CASignatureAlgorithms`.
const SIGNATURES: [Algorithm; 8] = [
    Algorithm::Ed25519,
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 },
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP384 },
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP521 },
    Algorithm::SkEd25519,
    Algorithm::SkEcdsaSha2NistP256,
    Algorithm::Rsa { hash: Some(HashAlg::Sha512) },
    Algorithm::Rsa { hash: Some(HashAlg::Sha256) },
];

/// Bits of the shortest RSA key that OpenSSH takes for a key at all, and the default of `RequiredRSASize`.
pub(super) const LEAST_RSA_BITS: u32 = 1024;

/// The hashes of an RSA signature, best first; `None` is SHA-1.
const RSA_HASHES: [Option<HashAlg>; 3] = [Some(HashAlg::Sha512), Some(HashAlg::Sha256), None];

/// The algorithms of one host. By default those that are safe, best first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Algorithms {
    kex: Vec<kex::Name>,
    ciphers: Vec<cipher::Name>,
    macs: Vec<mac::Name>,
    /// Host keys, best first.
    pub(super) host_keys: Vec<Algorithm>,
    /// Whether the configuration chose the host keys: then their order is its, whatever keys are known.
    pub(super) host_keys_chosen: bool,
    /// Signatures that prove who we are.
    user_keys: Vec<String>,
    /// Signatures of authorities on the certificates of hosts.
    authority_signatures: Vec<String>,
    /// Bits that an RSA key must have, a host's as well as ours.
    rsa_bits: u32,
}

impl Default for Algorithms {
    fn default() -> Self {
        Self {
            kex: KEX.to_vec(),
            ciphers: CIPHERS.to_vec(),
            macs: MACS.to_vec(),
            host_keys: HOST_KEYS.to_vec(),
            host_keys_chosen: false,
            user_keys: user_keys(&SIGNATURES),
            authority_signatures: SIGNATURES.iter().map(|algorithm| wire_name(algorithm, false)).collect(),
            rsa_bits: LEAST_RSA_BITS,
        }
    }
}

impl Algorithms {
    /// The default, and behind it, where allowed, what is no longer safe.
    pub fn new(legacy: bool) -> Self {
        let mut algorithms = Self::default();
        if legacy {
            algorithms.kex.extend(LEGACY_KEX);
            algorithms.ciphers.extend(LEGACY_CIPHERS);
            algorithms.macs.extend(LEGACY_MACS);
            algorithms.host_keys.extend(LEGACY_KEYS);
            algorithms.user_keys.extend(user_keys(&LEGACY_KEYS));
        }
        algorithms
    }

    /// What the configuration of a host makes of these. Names that we don't have are passed over; names that are no longer safe are taken where the
    /// configuration names them itself, for then somebody meant it.
    ///
    /// # Errors
    /// A sentence where nothing that we have is left of a list.
    pub fn configured(&self, settings: &Settings) -> Result<Self, String> {
        let mut changed = self.clone();
        let kex_named = |name: &str| KEX.iter().chain(&LEGACY_KEX).find(|known| known.as_ref() == name).copied();
        let cipher_named = |name: &str| CIPHERS.iter().chain(&LEGACY_CIPHERS).find(|known| known.as_ref() == name).copied();
        let mac_named = |name: &str| MACS.iter().chain(&LEGACY_MACS).find(|known| known.as_ref() == name).copied();
        let key_named = |name: &str| {
            // A certificate goes by the key in it: certificates are asked for where an authority is known that signs them.
            let name = name.strip_suffix("-cert-v01@openssh.com").unwrap_or(name);
            HOST_KEYS.iter().chain(&LEGACY_KEYS).find(|known| host_key_name(known) == name).cloned()
        };
        if let Some(list) = &settings.kex_algorithms {
            changed.kex = chosen("KexAlgorithms", list, &self.kex, |name| name.as_ref(), kex_named)?;
        }
        if let Some(list) = &settings.ciphers {
            changed.ciphers = chosen("Ciphers", list, &self.ciphers, |name| name.as_ref(), cipher_named)?;
        }
        if let Some(list) = &settings.macs {
            changed.macs = chosen("MACs", list, &self.macs, |name| name.as_ref(), mac_named)?;
        }
        if let Some(list) = &settings.host_key_algorithms {
            changed.host_keys = chosen("HostKeyAlgorithms", list, &self.host_keys, host_key_name, key_named)?;
            changed.host_keys_chosen = true;
        }
        // Of these only what is in them counts: a key that none of them allows is not used, and that is said where it would have been.
        let names =
            |known: &[String], list: &AlgorithmList| list.applied_to(&known.iter().map(String::as_str).collect::<Vec<_>>());
        if let Some(list) = &settings.pubkey_accepted_algorithms {
            changed.user_keys = names(&self.user_keys, list);
        }
        if let Some(list) = &settings.ca_signature_algorithms {
            changed.authority_signatures = names(&self.authority_signatures, list);
        }
        if let Some(bits) = settings.required_rsa_size {
            changed.rsa_bits = bits.max(LEAST_RSA_BITS);
        }
        Ok(changed)
    }

    /// What speaks against showing with a key, or with a certificate about it, who we are; `None`: nothing.
    pub(super) fn fault_of_user_key(&self, key: &KeyData, certified: bool) -> Option<String> {
        let short = self.too_short(key);
        if short.is_some() {
            return short;
        }
        let algorithm = key.algorithm();
        let allowed = match &algorithm {
            Algorithm::Rsa { .. } => !self.rsa_hashes(certified).is_empty(),
            other => self.user_keys.contains(&wire_name(other, certified)),
        };
        (!allowed).then(|| format!("`PubkeyAcceptedAlgorithms` has no {}", wire_name(&algorithm, certified)))
    }

    /// The hashes that an RSA key of ours may sign with, best first; `None` is SHA-1.
    pub(super) fn rsa_hashes(&self, certified: bool) -> Vec<Option<HashAlg>> {
        let is_allowed = |hash: &Option<HashAlg>| self.user_keys.contains(&wire_name(&Algorithm::Rsa { hash: *hash }, certified));
        RSA_HASHES.into_iter().filter(is_allowed).collect()
    }

    /// What speaks against the signature on a host's certificate; `None`: nothing.
    pub(super) fn fault_of_authority(&self, certificate: &Certificate) -> Option<String> {
        let algorithm = certificate.signature().algorithm();
        // What was signed with SHA-1 may be signed by anybody.
        if matches!(algorithm, Algorithm::Rsa { hash: None } | Algorithm::Dsa) {
            return Some("its authority signed it with SHA-1, which is no longer safe; have it signed anew".to_owned());
        }
        let name = wire_name(&algorithm, false);
        let allowed = self.authority_signatures.contains(&name);
        (!allowed).then(|| format!("its authority signed it with {name}, which `CASignatureAlgorithms` does not have"))
    }

    /// What speaks against an RSA key of whatever use; `None`: it is long enough, or of another kind.
    pub(super) fn too_short(&self, key: &KeyData) -> Option<String> {
        let bits = rsa_bits(key)?;
        (bits < self.rsa_bits).then(|| format!("it has {bits} bits, and `RequiredRSASize` is {}", self.rsa_bits))
    }

    /// For russh, with the host keys in an order of their own.
    pub(super) fn preferred(&self, host_keys: Vec<Algorithm>) -> Preferred {
        let mut kex = self.kex.clone();
        kex.extend(EXTENSIONS);
        Preferred {
            kex: Cow::Owned(kex),
            key: Cow::Owned(host_keys),
            cipher: Cow::Owned(self.ciphers.clone()),
            mac: Cow::Owned(self.macs.clone()),
            ..Preferred::DEFAULT
        }
    }
}

/// The bits of an RSA key. The crate's own `key_size` counts whole bytes, and so takes a key of 2041 bits for one of 2048.
pub(super) fn rsa_bits(key: &KeyData) -> Option<u32> {
    let modulus = key.rsa()?.n().as_positive_bytes()?;
    let (first, rest) = modulus.split_first()?;
    u32::try_from(rest.len() * 8).ok()?.checked_add(8 - first.leading_zeros())
}

/// What proves who we are: certificates of such keys, and the keys.
fn user_keys(algorithms: &[Algorithm]) -> Vec<String> {
    [true, false]
        .into_iter()
        .flat_map(|certified| algorithms.iter().map(move |algorithm| wire_name(algorithm, certified)))
        .collect()
}

/// The name of a key, or of a certificate about it, on the wire.
fn wire_name(algorithm: &Algorithm, certified: bool) -> String {
    if certified { algorithm.to_certificate_type() } else { host_key_name(algorithm).to_owned() }
}

/// The name of a host key algorithm on the wire, which for RSA names the hash of the signature.
fn host_key_name(algorithm: &Algorithm) -> &str {
    match algorithm {
        Algorithm::Rsa { hash: Some(HashAlg::Sha512) } => "rsa-sha2-512",
        Algorithm::Rsa { hash: Some(HashAlg::Sha256) } => "rsa-sha2-256",
        other => other.as_str(),
    }
}

/// Those of `names`, which a host offers, that are no longer safe and that we could speak if we were allowed.
pub(super) fn legacy_among<'a>(names: &'a [String]) -> Vec<&'a str> {
    let is_legacy = |name: &&'a str| {
        LEGACY_KEX.iter().any(|known| known.as_ref() == *name)
            || LEGACY_CIPHERS.iter().any(|known| known.as_ref() == *name)
            || LEGACY_MACS.iter().any(|known| known.as_ref() == *name)
            || LEGACY_KEYS.iter().any(|known| host_key_name(known) == *name)
    };
    names.iter().map(String::as_str).filter(is_legacy).collect()
}

/// What a list of the configuration leaves of the default, in its order.
fn chosen<T: Clone + PartialEq>(
    keyword: &str,
    list: &AlgorithmList,
    default: &[T],
    name_of: impl for<'a> Fn(&'a T) -> &'a str,
    named: impl Fn(&str) -> Option<T>,
) -> Result<Vec<T>, String> {
    let names: Vec<&str> = default.iter().map(&name_of).collect();
    let mut found: Vec<T> = Vec::new();
    for name in list.applied_to(&names) {
        if let Some(algorithm) = named(&name).filter(|algorithm| !found.contains(algorithm)) {
            found.push(algorithm);
        }
    }
    if found.is_empty() {
        Err(format!("`{keyword}` leaves nothing that fleetscan has; it has {}", names.join(", ")))
    } else {
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use russh::keys::ssh_key::Mpint;
    use russh::keys::ssh_key::public::RsaPublicKey;

    use super::*;

    fn names(algorithms: &Algorithms) -> Vec<&str> {
        algorithms.kex.iter().map(AsRef::as_ref).collect()
    }

    fn with_kex(list: AlgorithmList) -> Settings {
        Settings { kex_algorithms: Some(list), ..Settings::default() }
    }

    #[test]
    fn a_list_of_the_configuration_replaces_extends_or_narrows_the_default() {
        let words = |text: &str| text.split(',').map(str::to_owned).collect::<Vec<_>>();
        let default = Algorithms::default();
        let changed = |list| default.configured(&with_kex(list));
        let exactly = changed(AlgorithmList::Exactly(words("sntrup761x25519-sha512,curve25519-sha256"))).expect("one is ours");
        assert_eq!(names(&exactly), ["curve25519-sha256"]);
        let append = changed(AlgorithmList::Append(words("diffie-hellman-group14-sha1"))).expect("more");
        assert_eq!(names(&append).last(), Some(&"diffie-hellman-group14-sha1"));
        assert_eq!(append.kex.len(), default.kex.len() + 1);
        let prepend = changed(AlgorithmList::Prepend(words("ecdh-sha2-nistp521"))).expect("another order");
        assert_eq!(names(&prepend)[0], "ecdh-sha2-nistp521");
        assert_eq!(prepend.kex.len(), default.kex.len());
        let narrowed = changed(AlgorithmList::Remove(words("*nistp*,mlkem*"))).expect("fewer");
        assert!(!names(&narrowed).iter().any(|name| name.contains("nistp") || name.contains("mlkem")));
        assert!(changed(AlgorithmList::Exactly(words("none"))).expect_err("nothing").contains("KexAlgorithms"));
    }

    #[test]
    fn a_host_key_is_chosen_by_the_name_of_its_certificate_too() {
        let list = "ssh-ed25519-cert-v01@openssh.com,rsa-sha2-512-cert-v01@openssh.com,ssh-ed25519";
        let list = AlgorithmList::Exactly(list.split(',').map(str::to_owned).collect());
        let settings = Settings { host_key_algorithms: Some(list), ..Settings::default() };
        let chosen = Algorithms::default().configured(&settings).expect("both are ours").host_keys;
        assert_eq!(chosen.iter().map(host_key_name).collect::<Vec<_>>(), ["ssh-ed25519", "rsa-sha2-512"]);
    }

    #[test]
    fn the_size_of_an_rsa_key_is_counted_in_bits_and_not_in_bytes() {
        for (first, bits, short) in [(0x80, 2048, false), (0x7f, 2047, true), (0x01, 2041, true)] {
            let modulus = [&[first][..], &[0xff; 255]].concat();
            let [e, n] = [&[1, 0, 1][..], &modulus].map(Mpint::from_positive_bytes);
            let key = KeyData::Rsa(RsaPublicKey::new(e, n).expect("a key"));
            assert_eq!(rsa_bits(&key), Some(bits));
            let settings = Settings { required_rsa_size: Some(2048), ..Settings::default() };
            let algorithms = Algorithms::default().configured(&settings).expect("nothing wrong");
            assert_eq!(algorithms.too_short(&key).is_some(), short, "{bits}");
        }
    }

    #[test]
    fn nothing_unsafe_is_offered_unasked() {
        let unsafe_name = |name: &str| name.contains("sha1") || name.contains("cbc") || name == "ssh-rsa";
        let Algorithms { kex, ciphers, macs, host_keys, .. } = Algorithms::new(false);
        assert!(!kex.iter().any(|name| unsafe_name(name.as_ref())));
        assert!(!ciphers.iter().any(|name| unsafe_name(name.as_ref())));
        assert!(!macs.iter().any(|name| unsafe_name(name.as_ref())));
        assert!(!host_keys.iter().any(|key| unsafe_name(host_key_name(key))));
        assert!(Algorithms::new(true).host_keys.iter().any(|key| unsafe_name(host_key_name(key))));
    }
}
