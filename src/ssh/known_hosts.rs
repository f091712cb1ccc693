//! One file of known hosts, as OpenSSH reads it (sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT"), parsed once for all hosts.
//!
//! What follows from its lines for one host is in `known.rs`.

use std::collections::HashMap;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use data_encoding::{BASE64, BASE64_NOPAD};
use hmac::{Hmac, KeyInit, Mac};
use ring::digest;
use russh::keys::{Algorithm, PublicKey};
use sha1::Sha1;

use super::algorithms::{LEAST_RSA_BITS, rsa_bits};
use crate::ssh_config::pattern::list_matches;

/// A line that was passed over, or a usual file that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// The file.
    pub path: PathBuf,
    /// The line, from 1; 0 for the file as a whole.
    pub line: usize,
    /// What is wrong with it.
    pub what: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(out, "`{}`: {}", self.path.display(), self.what),
            line => write!(out, "`{}:{line}`: {}", self.path.display(), self.what),
        }
    }
}

/// One key of a known_hosts file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct KnownKey {
    /// What it calls itself: `ssh-ed25519`, `ssh-rsa`, `ecdsa-sha2-nistp256`.
    pub(super) algorithm: &'static str,
    /// The file.
    pub(super) path: Arc<Path>,
    /// The line, from 1.
    pub(super) line: usize,
    pub(super) blob: Vec<u8>,
}

impl KnownKey {
    /// Its fingerprint, as `ssh-keygen -l` prints it.
    pub(super) fn fingerprint(&self) -> String {
        fingerprint(&self.blob)
    }

    /// `FILE:LINE`.
    pub(super) fn place(&self) -> String {
        format!("{}:{}", self.path.display(), self.line)
    }
}

/// The SHA-256 fingerprint of a key in wire format: `SHA256:` and unpadded base64.
pub(super) fn fingerprint(blob: &[u8]) -> String {
    format!("SHA256:{}", BASE64_NOPAD.encode(digest::digest(&digest::SHA256, blob).as_ref()))
}

/// What a file gives as the type and the base64 of a key: its algorithm and its wire format.
///
/// As strict as OpenSSH: a key that it cannot use is no key, so that a host listed with nothing else is unknown and not changed.
///
/// # Errors
/// What is wrong, in a few words.
pub(super) fn parse_key(algorithm: &str, base64: &str) -> Result<(&'static str, Vec<u8>), String> {
    if algorithm.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("a key of SSH protocol 1".to_owned());
    }
    if algorithm.ends_with("-cert-v01@openssh.com") {
        return Err("a certificate is no key; `@cert-authority` takes the key of the authority that signed it".to_owned());
    }
    let known = match Algorithm::new(algorithm) {
        Ok(Algorithm::Other(_)) | Err(_) => return Err(format!("a key of the unknown type `{}`", shortened(algorithm))),
        Ok(algorithm) => plain_name(&algorithm),
    };
    let blob = BASE64.decode(base64.as_bytes()).map_err(|error| format!("the key is not base64: {error}"))?;
    let key = PublicKey::from_bytes(&blob).map_err(|error| format!("the key is broken: {error}"))?;
    if plain_name(&key.algorithm()) != known {
        return Err(format!("the key is not of the type `{algorithm}`"));
    }
    match rsa_bits(key.key_data()) {
        Some(bits) if bits < LEAST_RSA_BITS => Err(format!("an RSA key of {bits} bits is too short")),
        _ => Ok((known, blob)),
    }
}

/// The name of a kind of keys, which for RSA says nothing of hashes.
pub(super) fn plain_name(algorithm: &Algorithm) -> &'static str {
    use russh::keys::EcdsaCurve as Curve;
    match algorithm {
        Algorithm::Dsa => "ssh-dss",
        Algorithm::Ecdsa { curve: Curve::NistP256 } => "ecdsa-sha2-nistp256",
        Algorithm::Ecdsa { curve: Curve::NistP384 } => "ecdsa-sha2-nistp384",
        Algorithm::Ecdsa { curve: Curve::NistP521 } => "ecdsa-sha2-nistp521",
        Algorithm::Ed25519 => "ssh-ed25519",
        Algorithm::Rsa { .. } => "ssh-rsa",
        Algorithm::SkEcdsaSha2NistP256 => "sk-ecdsa-sha2-nistp256@openssh.com",
        Algorithm::SkEd25519 => "sk-ssh-ed25519@openssh.com",
        _ => "unknown",
    }
}

/// As much of a word of a file as a message can hold.
fn shortened(word: &str) -> String {
    word.chars().take(40).collect()
}

/// The length of a hashed name and of its salt.
pub(super) const HASH: usize = 20;

/// What a line says of its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Marker {
    /// It is the host's.
    None,
    /// It must never be accepted.
    Revoked,
    /// It signs the certificates of the host.
    Authority,
}

/// A line that was understood.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) marker: Marker,
    pub(super) key: Arc<KnownKey>,
}

#[derive(Debug)]
struct Hashed {
    /// Made ready once: half of the work of a hash is its salt.
    salted: Hmac<Sha1>,
    hash: [u8; HASH],
    entry: usize,
}

/// Which lines of a file are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lines {
    /// All.
    All,
    /// Only those of authorities.
    Authorities,
}

/// One file of known hosts, ready to be asked.
#[derive(Debug, Default)]
pub(super) struct KnownHosts {
    entries: Vec<Entry>,
    /// Plain names. Patterns and hashes must be tried one by one.
    names: HashMap<String, Vec<usize>>,
    patterns: Vec<(String, usize)>,
    hashed: Vec<Hashed>,
    authorities: usize,
    warnings: Vec<Warning>,
}

impl KnownHosts {
    /// Reads a file.
    ///
    /// A line that can't be understood is passed over with a warning, as OpenSSH does: it can only make a host unknown.
    ///
    /// # Errors
    /// Where the file can't be read.
    pub(super) fn read(path: &Path) -> io::Result<Self> {
        fs::read(path).map(|bytes| Self::parse(path, &bytes))
    }

    /// No lines, and why.
    pub(super) fn unread(path: &Path, error: &io::Error) -> Self {
        let warning = Warning { path: path.to_owned(), line: 0, what: format!("could not be read: {error}") };
        Self { warnings: vec![warning], ..Self::default() }
    }

    /// What the bytes of a file say.
    pub(super) fn parse(path: &Path, bytes: &[u8]) -> Self {
        let mut known = Self::default();
        let path: Arc<Path> = path.into();
        for (at, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
            let line = String::from_utf8_lossy(line);
            let line = line.trim_matches([' ', '\t', '\r']);
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if let Err(what) = known.add_line(&path, at + 1, line) {
                known.warnings.push(Warning { path: path.to_path_buf(), line: at + 1, what });
            }
        }
        known
    }

    fn add_line(&mut self, path: &Arc<Path>, line: usize, text: &str) -> Result<(), String> {
        let mut words = text.split([' ', '\t']).filter(|word| !word.is_empty());
        let mut hosts = words.next().unwrap_or_default();
        let marker = match hosts {
            "@revoked" => Marker::Revoked,
            "@cert-authority" => Marker::Authority,
            other if other.starts_with('@') => return Err(format!("unknown marker `{}`", shortened(other))),
            _ => Marker::None,
        };
        if marker != Marker::None {
            hosts = words.next().ok_or("no host after the marker")?;
            if hosts.starts_with('@') {
                return Err("a second marker, where only one is allowed".to_owned());
            }
        }
        let algorithm = words.next().filter(|word| !word.starts_with('#')).ok_or("no key")?;
        let base64 = words.next().ok_or("no key after its type")?;
        let (algorithm, blob) = parse_key(algorithm, base64)?;
        let hashed = hosts.strip_prefix("|1|").map(hashed_name).transpose()?;
        if hashed.is_none() && hosts.starts_with('|') {
            return Err("a hash of unknown kind".to_owned());
        }
        let entry = self.entries.len();
        self.entries.push(Entry { marker, key: Arc::new(KnownKey { algorithm, path: Arc::clone(path), line, blob }) });
        self.authorities += usize::from(marker == Marker::Authority);
        if let Some((salted, hash)) = hashed {
            self.hashed.push(Hashed { salted, hash, entry });
        } else if hosts.contains(['*', '?', '!']) {
            self.patterns.push((hosts.to_ascii_lowercase(), entry));
        } else {
            for name in hosts.split(',').filter(|name| !name.is_empty()) {
                self.names.entry(name.to_ascii_lowercase()).or_default().push(entry);
            }
        }
        Ok(())
    }

    /// What was passed over while reading.
    pub(super) fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// How many names are hashed: each costs a hash for each host that is looked up.
    pub(super) fn hashed_names(&self) -> usize {
        self.hashed.len()
    }

    /// The lines that match a name in lower case, in the order of the file.
    pub(super) fn of(&self, name: &str, lines: Lines) -> impl Iterator<Item = &Entry> {
        let mut found = Vec::new();
        if lines == Lines::All || self.authorities > 0 {
            let wanted = |entry: &usize| lines == Lines::All || self.is_authority(*entry);
            let named = self.names.get(name).into_iter().flatten().copied().filter(wanted);
            let patterns = self.patterns.iter().filter(|(_, entry)| wanted(entry));
            let matched = patterns.filter(|(patterns, _)| list_matches(patterns, name)).map(|(_, entry)| *entry);
            let hashed = self.hashed.iter().filter(|hashed| wanted(&hashed.entry));
            let hashed = hashed.filter(|hashed| hash_of(hashed.salted.clone(), name) == hashed.hash);
            found.extend(named.chain(matched).chain(hashed.map(|hashed| hashed.entry)));
            found.sort_unstable();
            found.dedup();
        }
        found.into_iter().filter_map(|entry| self.entries.get(entry))
    }

    fn is_authority(&self, entry: usize) -> bool {
        self.entries.get(entry).is_some_and(|entry| entry.marker == Marker::Authority)
    }
}

/// A name hashed with a salt.
fn hash_of(mut salted: Hmac<Sha1>, name: &str) -> [u8; HASH] {
    salted.update(name.as_bytes());
    salted.finalize().into_bytes().into()
}

/// Salt and hash of a hashed name, after its `|1|`.
fn hashed_name(text: &str) -> Result<(Hmac<Sha1>, [u8; HASH]), String> {
    let (salt, hash) = text.split_once('|').ok_or("a hashed name without its hash")?;
    let decode = |text: &str| -> Result<[u8; HASH], String> {
        let bytes = BASE64.decode(text.as_bytes()).map_err(|error| format!("the hashed name is not base64: {error}"))?;
        bytes.try_into().map_err(|_| format!("salt and hash of a hashed name are {HASH} bytes each"))
    };
    let (salt, hash) = (decode(salt)?, decode(hash)?);
    Ok((salted(&salt)?, hash))
}

fn salted(salt: &[u8; HASH]) -> Result<Hmac<Sha1>, String> {
    Hmac::new_from_slice(salt).map_err(|error| format!("the salt cannot be used: {error}"))
}

/// A name hashed as OpenSSH does it: such a name can hold any character.
pub(super) fn hash_name(name: &str, salt: &[u8; HASH]) -> Option<String> {
    let hash = hash_of(salted(salt).ok()?, name);
    Some(format!("|1|{}|{}", BASE64.encode(salt), BASE64.encode(&hash)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ssh_config::pattern::matches;

    const ED25519: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILNXOnCMg+dW19+LD81LGvuvdJoWuokwr8IuzCg1dgef";

    fn known(text: &str) -> KnownHosts {
        KnownHosts::parse(Path::new("known_hosts"), text.as_bytes())
    }

    fn lines(known: &KnownHosts, name: &str) -> Vec<usize> {
        known.of(name, Lines::All).map(|entry| entry.key.line).collect()
    }

    #[test]
    fn tabs_spaces_comments_and_windows_line_ends_are_all_the_same() {
        let text = format!("# web1 {ED25519}\r\n\r\n\t  web1\t{}\t me\r\n", ED25519.replace(' ', "\t "));
        let known = known(&text);
        assert_eq!((lines(&known, "web1"), known.warnings()), (vec![3], [].as_slice()));
    }

    #[test]
    fn a_bad_line_is_named_and_spoils_no_other() {
        let base64 = ED25519.split(' ').nth(1).expect("base64");
        let text = format!(
            "web1\nweb1 ssh-ed25519\nweb1 ssh-ed25519 !!!\nweb1 ssh-rsa {base64}\n@bogus web1 {ED25519}\n|1|abc {ED25519}\n\
             |2|YQ==|YQ== {ED25519}\nweb1 1024 35 1234567\n@revoked\nweb1 {ED25519}\n\u{fffd}\u{1b}[31m\n@revoked @cert-authority web1 {ED25519}\n\
             web1 # {ED25519}\nweb1 ssh-ed25519 {}\nweb1 ssh-xmss@openssh.com {base64}\n|1|YQ==|YQ== {ED25519}\n\
             web1 ssh-ed25519-cert-v01@openssh.com {base64}\n",
            &base64[..32],
        );
        let known = known(&text);
        assert_eq!(lines(&known, "web1"), [10]);
        let said: Vec<String> = known.warnings().iter().map(ToString::to_string).collect();
        let beginnings = [
            "1`: no key",
            "2`: no key after its type",
            "3`: the key is not base64",
            "4`: the key is not of the type `ssh-rsa`",
            "5`: unknown marker `@bogus`",
            "6`: a hashed name without its hash",
            "7`: a hash of unknown kind",
            "8`: a key of SSH protocol 1",
            "9`: no host after the marker",
            "11`: no key",
            "12`: a second marker",
            "13`: no key",
            "14`: the key is broken",
            "15`: a key of the unknown type `ssh-xmss@openssh.com`",
            "16`: salt and hash of a hashed name are 20 bytes each",
            "17`: a certificate is no key",
        ];
        assert_eq!(said.len(), beginnings.len(), "{said:#?}");
        for (said, beginning) in said.iter().zip(beginnings) {
            assert!(said.starts_with(&format!("`known_hosts:{beginning}")), "{said} is not {beginning}");
        }
    }

    #[test]
    fn an_rsa_key_goes_by_any_of_its_names_and_must_be_long_enough_to_be_one() {
        // 1024 and 1023 bits.
        for (modulus, expected) in [(0xff, true), (0x7f, false)] {
            let mut blob = Vec::new();
            for part in [b"ssh-rsa".as_slice(), &[1, 0, 1], &[&[0; 1][..usize::from(modulus == 0xff)], &[modulus; 128]].concat()]
            {
                blob.extend(u32::try_from(part.len()).expect("short").to_be_bytes());
                blob.extend(part);
            }
            for name in ["ssh-rsa", "rsa-sha2-256", "rsa-sha2-512"] {
                let known = known(&format!("web1 {name} {}\n", BASE64.encode(&blob)));
                assert_eq!(
                    known.of("web1", Lines::All).any(|entry| entry.key.algorithm == "ssh-rsa"),
                    expected,
                    "{name} {modulus:x}"
                );
            }
        }
    }

    #[test]
    fn a_hash_of_ours_is_one_that_is_read_and_read_as_itself() {
        let name = "odd, name*|1|";
        let known = known(&format!("{} {ED25519}\n", hash_name(name, &[7; HASH]).expect("a hash")));
        assert_eq!(known.warnings(), []);
        assert_eq!((lines(&known, name), lines(&known, "odd"), known.hashed_names()), (vec![1], vec![], 1));
    }

    #[test]
    fn patterns_are_matched_in_a_time_that_can_be_waited_for() {
        assert!(!matches("a*a*a*a*a*b", &"a".repeat(5000)));
    }

    #[test]
    fn a_fingerprint_is_that_of_ssh_keygen() {
        let known = known(&format!("web1 {ED25519}\n"));
        let found = known.of("web1", Lines::All).next().expect("a key");
        assert_eq!(found.key.fingerprint(), "SHA256:w12Vln3E9ECLs0OKkbLScJ7slCSk0H9V0OSKJt8Teio");
        assert_eq!(found.key.place(), "known_hosts:1");
    }

    proptest::proptest! {
        #[test]
        fn no_file_is_too_strange(bytes: Vec<u8>, host in ".*") {
            KnownHosts::parse(Path::new("x"), &bytes).of(&host, Lines::All).count();
        }

        #[test]
        fn no_line_is_too_strange(line in "(@revoked |@cert-authority |)[|!*?,a\\[\\]:1=]{0,20} ssh-ed25519 [A=]{0,12}") {
            KnownHosts::parse(Path::new("x"), line.as_bytes()).of("a", Lines::Authorities).count();
        }
    }
}
