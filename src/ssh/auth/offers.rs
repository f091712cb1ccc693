//! Which keys and certificates a host is offered, in which order.

use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use russh::keys::Certificate;
use russh::keys::ssh_key::public::KeyData;

use super::Credentials;
use super::agent::Held;
use super::certificates::fault;
use super::keys::{Hand, Key};
use crate::ssh::algorithms::Algorithms;
use crate::ssh::{Login, Method, Target};

/// Keys offered to one host, certificates among them. A server hangs up after `MaxAuthTries` (6, often 4) and, since OpenSSH 9.8, shuts out an address that
/// fails often.
const MOST: usize = 4;

/// What is offered to one host.
#[derive(Debug, Default)]
pub(super) struct Offers {
    pub(super) list: Vec<Offer>,
    /// Why there are no more.
    pub(super) notes: Vec<String>,
}

/// A key, or a certificate about it.
#[derive(Debug)]
pub(super) struct Offer {
    pub(super) key: Key,
    pub(super) certificate: Option<Arc<Certificate>>,
    pub(super) label: String,
}

impl Offers {
    /// The order of ssh(1): certificates that were named, then keys that were named and that the agent holds, other keys of the agent, and keys of files; the
    /// certificate of a key before the key itself.
    pub(super) fn of(credentials: &Credentials, target: &Target) -> Self {
        let Target { login, algorithms, .. } = target;
        let mut offers = Self::default();
        if !login.methods.contains(&Method::PublicKey) {
            offers.notes.push("the configuration of this host allows no public keys".to_owned());
            return offers;
        }
        let held = credentials.held(login);
        let paths: &[PathBuf] = match login {
            Login { no_key_files: true, .. } => &[],
            Login { key_files, .. } if key_files.is_empty() => &credentials.usual,
            Login { key_files, .. } => key_files,
        };
        let (mut listed, mut publics) = (Vec::<Key>::new(), Vec::<KeyData>::new());
        for path in paths {
            match credentials.files.get(path) {
                Some(Ok(file)) => {
                    publics.extend(file.public().cloned());
                    match file.key(held) {
                        Ok(key) if listed.iter().any(|known| known.public.key_data() == key.public.key_data()) => {}
                        Ok(key) => listed.push(key),
                        // The agent may have no more of it than a certificate.
                        Err(_) if certified(held, file.public()) => {}
                        Err(error) => offers.notes.push(error.line()),
                    }
                }
                Some(Err(error)) => offers.notes.push(error.line()),
                None => offers.notes.push(format!("the private key `{}` was not loaded", path.display())),
            }
        }
        let keys = in_order(listed, held, login.identities_only);
        offers.add_named_certificates(credentials, target, held, &keys);
        for key in keys {
            for (certificate, holder, label) in certificates_of(credentials, login, held, paths, key.public.key_data()) {
                match certificate {
                    Ok(certificate) => {
                        offers.add_certificate(holder.unwrap_or_else(|| key.clone()), certificate, label, algorithms);
                    }
                    Err(what) => offers.notes.push(what),
                }
            }
            let label = key.label.clone();
            offers.add(Offer { key, certificate: None, label }, algorithms);
        }
        for (certificate, key) in held.map_or(&[][..], |held| &held.certificates) {
            if !login.identities_only || publics.contains(certificate.public_key()) {
                offers.add_certificate(key.clone(), Arc::clone(certificate), key.label.clone(), algorithms);
            }
        }
        offers.explain(credentials, login, held);
        offers
    }

    /// Adds what the configuration allows to be offered.
    fn add(&mut self, offer: Offer, algorithms: &Algorithms) {
        match algorithms.fault_of_user_key(offer.key.public.key_data(), offer.certificate.is_some()) {
            Some(what) => self.note(format!("not offered: {}: {what}", offer.label)),
            None => self.list.push(offer),
        }
    }

    fn note(&mut self, what: String) {
        if !self.notes.contains(&what) {
            self.notes.push(what);
        }
    }

    /// Adds a certificate, unless it is there already, or does not hold now.
    fn add_certificate(&mut self, key: Key, certificate: Arc<Certificate>, label: String, algorithms: &Algorithms) {
        if self.list.iter().any(|offer| offer.certificate.as_ref().is_some_and(|known| **known == *certificate)) {
            return;
        }
        match fault(&certificate, &label, Timestamp::now()) {
            Some(what) => self.note(what),
            None => self.add(Offer { key, certificate: Some(certificate), label }, algorithms),
        }
    }

    /// The certificates that `CertificateFile` names, each with the key that it is about, wherever that is.
    fn add_named_certificates(&mut self, credentials: &Credentials, target: &Target, held: Option<&Held>, keys: &[Key]) {
        let Target { login, algorithms, .. } = target;
        for path in &login.certificate_files {
            let certificate = match credentials.certificates.get(path) {
                Some(Ok(certificate)) => Arc::clone(certificate),
                Some(Err(what)) => {
                    self.notes.push(what.clone());
                    continue;
                }
                None => {
                    self.notes.push(format!("the certificate `{}` was not loaded", path.display()));
                    continue;
                }
            };
            let label = format!("`{}` ({} certificate)", path.display(), certificate.algorithm());
            let public = certificate.public_key();
            let same = |key: &&Key| key.public.key_data() == public;
            let key = keys.iter().find(same).or_else(|| held?.keys.iter().find(same)).cloned().or_else(|| {
                let (_, key) = held?.certificates.iter().find(|(known, _)| **known == *certificate)?;
                Some(key.clone())
            });
            match key {
                Some(key) => self.add_certificate(key, certificate, label, algorithms),
                None => self.notes.push(format!("not offered: no key that is at hand belongs to the certificate {label}")),
            }
        }
    }

    /// Cuts the list to what a server stands, and says why there is no more.
    fn explain(&mut self, credentials: &Credentials, login: &Login, held: Option<&Held>) {
        if self.list.is_empty() || !login.identities_only {
            self.notes.extend(held.and_then(|held| held.note.clone()));
        }
        if self.list.is_empty() && self.notes.is_empty() {
            self.notes.push(if login.key_files.is_empty() && !login.no_key_files {
                "there is no ssh-agent and no key in `~/.ssh`".to_owned()
            } else {
                "no key is named, and there is no ssh-agent".to_owned()
            });
        }
        // One place is the password's.
        let most = if credentials.has_password(login) { MOST - 1 } else { MOST };
        let more = self.list.len().saturating_sub(most);
        if more > 0 {
            self.list.truncate(most);
            self.notes.push(format!("{more} more keys were not offered: name one of them"));
        }
    }
}

/// Whether an agent holds a certificate about this key.
fn certified(held: Option<&Held>, public: Option<&KeyData>) -> bool {
    held.zip(public)
        .is_some_and(|(held, public)| held.certificates.iter().any(|(certificate, _)| certificate.public_key() == public))
}

/// The keys in the order of ssh(1), without their certificates.
fn in_order(listed: Vec<Key>, held: Option<&Held>, identities_only: bool) -> Vec<Key> {
    let is_held = |key: &Key| held.is_some_and(|held| held.key(key.public.key_data()).is_some());
    let (mut keys, files): (Vec<Key>, Vec<Key>) = listed.into_iter().partition(is_held);
    if !identities_only {
        let known: Vec<KeyData> = keys.iter().map(|key| key.public.key_data().clone()).collect();
        let others = held.map_or(&[][..], |held| &held.keys).iter();
        keys.extend(others.filter(|key| !known.contains(key.public.key_data())).cloned());
    }
    keys.extend(files);
    keys
}

/// A certificate that was found, who signs for it if that is not the key itself, and what to call it.
type Found = (Result<Arc<Certificate>, String>, Option<Key>, String);

/// The certificates of one key: `KEY-cert.pub`, unless certificates were named, and those of the agent.
fn certificates_of(
    credentials: &Credentials,
    login: &Login,
    held: Option<&Held>,
    paths: &[PathBuf],
    public: &KeyData,
) -> Vec<Found> {
    let mut found = Vec::new();
    if login.certificate_files.is_empty() {
        let of_key = |path: &&PathBuf| matches!(credentials.files.get(*path), Some(Ok(file)) if file.public() == Some(public));
        for (path, certificate) in paths.iter().filter(of_key).filter_map(|path| credentials.beside.get(path)) {
            let certificate = match certificate {
                Ok(certificate) if certificate.public_key() == public => Ok(Arc::clone(certificate)),
                Ok(_) => Err(format!("not offered: the certificate `{}` is about another key", path.display())),
                Err(what) => Err(what.clone()),
            };
            let label = format!("`{}` ({} certificate)", path.display(), public.algorithm());
            found.push((certificate, None, label));
        }
    }
    for (certificate, key) in held.map_or(&[][..], |held| &held.certificates) {
        if certificate.public_key() == public {
            found.push((Ok(Arc::clone(certificate)), Some(key.clone()), key.label.clone()));
        }
    }
    found
}

impl Offer {
    /// Whether a person may have to do something before it is signed.
    pub(super) fn by_agent(&self) -> bool {
        matches!(self.key.hand, Hand::Agent(_))
    }
}
