//! Whether a host certificate holds (PROTOCOL.certkeys of OpenSSH, `sshkey_cert_check_host`).

use jiff::Timestamp;
use russh::keys::ssh_key::certificate::CertType;
use russh::keys::{Certificate, HashAlg};

use super::algorithms::Algorithms;
use crate::ssh_config::pattern::matches;

/// What speaks against a certificate of an authority that is known for the host; `None` when it holds.
///
/// `host` is the name that the host goes by, in lower case and without a port; `now` counts in seconds from 1970.
pub(super) fn fault(certificate: &Certificate, algorithms: &Algorithms, host: &str, now: u64) -> Option<String> {
    if certificate.cert_type() != CertType::Host {
        return Some("it is a user's certificate, not a host's".to_owned());
    }
    if let Some(fault) = algorithms.fault_of_authority(certificate) {
        return Some(fault);
    }
    let (from, until) = (certificate.valid_after(), certificate.valid_before());
    if from >= until {
        return Some(format!("it is valid at no time: from {} until {}", time(from), time(until)));
    }
    // At a time when it is valid, so that what fails is the signature; which says nothing of the authority yet, but the caller knows that.
    let authority = certificate.signature_key().fingerprint(HashAlg::Sha256);
    if certificate.validate_at(from, [&authority]).is_err() {
        return Some("its signature is not that of its authority".to_owned());
    }
    if now < from {
        return Some(format!("it is not valid before {}; is the clock here right?", time(from)));
    }
    if now >= until {
        return Some(format!("it expired at {}", time(until)));
    }
    let principals = certificate.valid_principals();
    // Names may be patterns, as for OpenSSH from 10.3 on. Without names it is good for every host, as for OpenSSH before 10.3 and in PROTOCOL.certkeys: fleets
    // have such certificates.
    if !principals.is_empty() && !principals.iter().any(|name| matches(name, host)) {
        return Some(format!("it is for {}, not for `{host}`", listed(principals)));
    }
    let critical: Vec<&str> = certificate.critical_options().keys().map(String::as_str).collect();
    if !critical.is_empty() {
        return Some(format!("it asks for what fleetscan does not know: {}", critical.join(", ")));
    }
    None
}

/// A few names, for a message.
fn listed(names: &[String]) -> String {
    let first: Vec<String> = names.iter().take(4).map(|name| format!("`{name}`")).collect();
    match names.len() - first.len() {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}

/// A time of a certificate.
fn time(seconds: u64) -> String {
    let time = i64::try_from(seconds).ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
    time.map_or_else(|| "the end of time".to_owned(), |time| time.to_string())
}
