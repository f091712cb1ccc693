//! All host keys of a host, without logging in, and what each is worth.
//!
//! A server shows one key a connection, so there is a connection for each kind of key, one after the other, and a last one in which it has no other kind left.
//! None of them gets further than the key exchange.

use std::io;
use std::path::Path;

use super::gatekeeper::trust;
use super::host_keys::{Decision, Expected};
use super::known::Standing;
use super::known_hosts::{fingerprint, plain_name};
use super::new_keys::known_hosts_line;
use super::shared_file;
use super::witness::{FullKey, Witness};
use super::{Engine, Target, connect};
use crate::model::{Failure, KeyTrust};

/// One host key of a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SurveyedKey {
    /// Its kind: `ssh-ed25519`, `ssh-rsa`.
    pub algorithm: &'static str,
    /// As `ssh-keygen -l` prints it.
    pub fingerprint: String,
    /// What it is worth. A key of a kind that is not listed for the host is unknown here, not changed: another kind may well be known.
    pub trust: KeyTrust,
    /// Where that follows from, for a person; empty where there is nothing to say.
    pub detail: String,
    blob: Vec<u8>,
}

/// The host keys of a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostKeySurvey {
    /// What known_hosts lists the host under.
    pub name: String,
    /// Which machine it is: the address and port that were reached.
    pub machine: String,
    /// Its keys, in the order in which they were asked for: known kinds first.
    pub keys: Vec<SurveyedKey>,
    /// What the host as a whole is: known, by a key or a certificate, where one of its keys is and none speaks against it.
    pub trust: KeyTrust,
    /// Why not every kind could be asked for.
    pub incomplete: Option<Failure>,
}

/// Asks a host for all its keys.
///
/// # Errors
/// The [`Failure`] of the connection, where not even one key was shown.
pub async fn survey_host_keys(target: &Target, engine: &Engine) -> Result<HostKeySurvey, Failure> {
    let expected = engine.host_keys.expect(target).await;
    let mut survey = HostKeySurvey {
        name: expected.name().to_owned(),
        machine: String::new(),
        keys: Vec::new(),
        trust: KeyTrust::Unknown,
        incomplete: None,
    };
    let mut seen = Vec::new();
    while target.algorithms.host_keys.iter().any(|algorithm| !seen.contains(&plain_name(algorithm))) {
        let witness = Witness::default();
        // Nobody is let in, so it never comes to a link.
        let Err(failure) = connect::open(target, engine, &expected.asking(&seen), &witness).await else { break };
        match (witness.key(), witness.in_full()) {
            (Some(key), Some(shown)) if !seen.contains(&shown.algorithm) => {
                seen.push(shown.algorithm);
                survey.machine = key.machine;
                survey.keys.push(surveyed(&expected, shown));
            }
            _ if survey.keys.is_empty() => return Err(failure),
            // It has no other kind.
            _ if witness.has_none() => break,
            _ => {
                survey.incomplete = Some(failure);
                break;
            }
        }
    }
    survey.trust = of_host(&expected, &survey.keys);
    Ok(survey)
}

fn surveyed(expected: &Expected, shown: FullKey) -> SurveyedKey {
    let FullKey { algorithm, blob, standing } = shown;
    let (trust, detail) = match &standing {
        Standing::Known(key) => (KeyTrust::Known, key.place()),
        Standing::Certified(key) => (KeyTrust::Certificate, format!("of the authority {}, {}", key.fingerprint(), key.place())),
        Standing::Changed(..) if expected.key_of(algorithm).is_none() => (KeyTrust::Unknown, String::new()),
        Standing::Changed(key, _) => (KeyTrust::Changed, format!("{} says {}", key.place(), key.fingerprint())),
        Standing::Revoked(place) => (KeyTrust::Revoked, format!("by {place}")),
        Standing::TooShort(fault) => (KeyTrust::TooShort, fault.clone()),
        Standing::Uncertified { fault, .. } => (KeyTrust::CertificateInvalid, fault.clone()),
        Standing::Unknown => (trust(&standing, &Decision::Refuse), String::new()),
    };
    SurveyedKey { algorithm, fingerprint: fingerprint(&blob), trust, detail, blob }
}

/// What several keys make of their host.
fn of_host(expected: &Expected, keys: &[SurveyedKey]) -> KeyTrust {
    let is_any = |trust| keys.iter().any(|key| key.trust == trust);
    let worst = [KeyTrust::Revoked, KeyTrust::Changed, KeyTrust::CertificateInvalid];
    if let Some(trust) = worst.into_iter().find(|trust| is_any(*trust)) {
        return trust;
    }
    // What is too short counts where there is nothing better.
    let best = [KeyTrust::Certificate, KeyTrust::Known, KeyTrust::TooShort];
    match best.into_iter().find(|trust| is_any(*trust)) {
        Some(trust) => trust,
        // Keys of other kinds are listed, and the host has none of them any more.
        None if expected.has_keys() => KeyTrust::Changed,
        None => KeyTrust::Unknown,
    }
}

impl HostKeySurvey {
    /// The lines of known_hosts for this host: all its keys but those that are revoked.
    pub fn known_hosts_lines(&self) -> String {
        let keys = self.keys.iter().filter(|key| key.trust != KeyTrust::Revoked);
        keys.map(|key| known_hosts_line(&self.name, key.algorithm, &key.blob, "")).collect()
    }
}

/// What stands at the head of a file of collected keys.
const HEAD: &str = "# Host keys collected by `fleetscan host-keys`. It asked over the network: compare each with its host before you trust this file.\n";

/// Finds out, before anything is asked, whether collected keys can be written to a file. One that somebody else has written is not ours to replace.
///
/// # Errors
/// What keeps it from being written.
pub fn prepare_collection(path: &Path) -> io::Result<()> {
    match std::fs::read(path) {
        Ok(there) if !there.is_empty() && !there.starts_with(HEAD.as_bytes()) => {
            return Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                "it is there, and `fleetscan host-keys` has not written it",
            ));
        }
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    shared_file::prepare(path)
}

/// Writes collected keys, as a whole or not at all.
///
/// # Errors
/// What the system says.
pub fn write_collection(path: &Path, lines: &str) -> io::Result<()> {
    shared_file::rewrite(path, |_| [HEAD, lines].concat().into_bytes())
}
