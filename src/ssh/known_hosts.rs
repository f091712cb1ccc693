//! Which keys are known for a host: `known_hosts` files as OpenSSH reads them (sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT"), parsed once for the whole fleet.
//!
//! A host is looked up by the address that is dialled, in lower case: the bare name on port 22, `[name]:port` on any other. Where nothing is listed
//! for `[name]:port`, a key listed for the bare name is accepted when it matches, as `ssh` does it; when it doesn't match, the host is unknown, not changed.

use std::collections::HashMap;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use data_encoding::{BASE64, BASE64_NOPAD};
use ring::{digest, hmac};

/// A file of known hosts that was named and could not be read.
#[derive(Debug, thiserror::Error)]
#[error("could not read the known hosts in `{}`", path.display())]
pub struct KnownHostsError {
    path: PathBuf,
    source: io::Error,
}

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
pub struct KnownKey {
    /// Its algorithm, as in the file: `ssh-ed25519`, `ssh-rsa`, `ecdsa-sha2-nistp256`.
    pub algorithm: String,
    /// The file.
    pub path: Arc<Path>,
    /// The line, from 1.
    pub line: usize,
    blob: Vec<u8>,
}

impl KnownKey {
    /// Its fingerprint, as `ssh-keygen -l` prints it.
    pub fn fingerprint(&self) -> String {
        fingerprint(&self.blob)
    }
}

/// The SHA-256 fingerprint of a key in wire format: `SHA256:` and unpadded base64.
pub fn fingerprint(blob: &[u8]) -> String {
    format!("SHA256:{}", BASE64_NOPAD.encode(digest::digest(&digest::SHA256, blob).as_ref()))
}

/// The algorithm that a key in wire format names itself by.
fn algorithm_of(blob: &[u8]) -> Option<&str> {
    let (length, rest) = blob.split_first_chunk::<4>()?;
    let name = rest.get(..usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
    std::str::from_utf8(name).ok()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Marker {
    None,
    Revoked,
    Authority,
}

#[derive(Debug)]
struct Entry {
    marker: Marker,
    key: Arc<KnownKey>,
}

#[derive(Debug)]
struct Hashed {
    salt: Vec<u8>,
    hash: Vec<u8>,
    entry: usize,
}

/// All known hosts, ready to be asked.
#[derive(Debug, Default)]
pub struct KnownHosts {
    entries: Vec<Entry>,
    /// Plain names. Patterns and hashes must be tried one by one.
    names: HashMap<String, Vec<usize>>,
    patterns: Vec<(String, usize)>,
    hashed: Vec<Hashed>,
    warnings: Vec<Warning>,
}

impl KnownHosts {
    /// Where OpenSSH keeps known hosts: the user's files below `home`, then the machine's.
    pub fn usual_files(home: Option<&Path>) -> Vec<PathBuf> {
        let user = home.into_iter().flat_map(|home| [home.join(".ssh/known_hosts"), home.join(".ssh/known_hosts2")]);
        user.chain(["/etc/ssh/ssh_known_hosts".into(), "/etc/ssh/ssh_known_hosts2".into()]).collect()
    }

    /// Reads the files that were named, which must be readable, and the usual ones, which may be missing.
    ///
    /// A line that can't be understood is passed over with a warning, as OpenSSH does: it can only make a host unknown.
    ///
    /// # Errors
    /// [`KnownHostsError`] for a named file that can't be read.
    pub fn load(named: &[PathBuf], usual: &[PathBuf]) -> Result<Self, KnownHostsError> {
        let mut known = Self::default();
        for path in named {
            let bytes = fs::read(path).map_err(|source| KnownHostsError { path: path.clone(), source })?;
            known.add(path, &bytes);
        }
        for path in usual {
            match fs::read(path) {
                Ok(bytes) => known.add(path, &bytes),
                Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
                Err(error) => known.warn(path, 0, format!("could not be read: {error}")),
            }
        }
        Ok(known)
    }

    /// Adds the lines of one file.
    pub fn add(&mut self, path: &Path, bytes: &[u8]) {
        let path: Arc<Path> = path.into();
        for (at, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
            let line = String::from_utf8_lossy(line);
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if let Err(what) = self.add_line(&path, at + 1, line) {
                self.warn(&path, at + 1, what);
            }
        }
    }

    fn warn(&mut self, path: &Path, line: usize, what: String) {
        self.warnings.push(Warning { path: path.to_owned(), line, what });
    }

    fn add_line(&mut self, path: &Arc<Path>, line: usize, text: &str) -> Result<(), String> {
        let mut words = text.split_whitespace();
        let mut hosts = words.next().unwrap_or_default();
        let marker = match hosts {
            "@revoked" => Marker::Revoked,
            "@cert-authority" => Marker::Authority,
            other if other.starts_with('@') => return Err(format!("unknown marker `{other}`")),
            _ => Marker::None,
        };
        if marker != Marker::None {
            hosts = words.next().ok_or("no host after the marker")?;
        }
        let algorithm = words.next().ok_or("no key")?;
        if algorithm.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err("a key of SSH protocol 1".to_owned());
        }
        let base64 = words.next().ok_or("no key after its type")?;
        let blob = BASE64.decode(base64.as_bytes()).map_err(|error| format!("the key is not base64: {error}"))?;
        if algorithm_of(&blob) != Some(algorithm) {
            return Err(format!("the key is not of the type `{algorithm}`"));
        }
        let hashed = hosts.strip_prefix("|1|").map(hashed_name).transpose()?;
        if hashed.is_none() && hosts.starts_with('|') {
            return Err("a hash of unknown kind".to_owned());
        }
        let entry = self.entries.len();
        let key = KnownKey { algorithm: algorithm.to_owned(), path: Arc::clone(path), line, blob };
        self.entries.push(Entry { marker, key: Arc::new(key) });
        if let Some((salt, hash)) = hashed {
            self.hashed.push(Hashed { salt, hash, entry });
        } else if hosts.contains(['*', '?', '!']) {
            self.patterns.push((hosts.to_lowercase(), entry));
        } else {
            for name in hosts.split(',').filter(|name| !name.is_empty()) {
                self.names.entry(name.to_lowercase()).or_default().push(entry);
            }
        }
        Ok(())
    }

    /// What was passed over while reading.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// How many keys were read.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether no key was read.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Every key of a host. Costs a hash for each hashed line, so it is asked once for each connection.
    pub fn lookup(&self, host: &str, port: u16) -> Known {
        let bare = host.to_lowercase();
        let name = if port == 22 { bare.clone() } else { format!("[{bare}]:{port}") };
        let mut known = self.lookup_name(name);
        if known.keys.is_empty() && port != 22 {
            let other = self.lookup_name(bare);
            known.of_bare_name = other.keys;
            known.revoked.extend(other.revoked);
            known.by_authority |= other.by_authority;
        }
        known
    }

    fn lookup_name(&self, name: String) -> Known {
        let named = self.names.get(&name).into_iter().flatten().copied();
        let matched = self.patterns.iter().filter(|(patterns, _)| matches_list(patterns, &name)).map(|(_, entry)| *entry);
        let hashed = self.hashed.iter().filter(|hashed| {
            let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &hashed.salt);
            hmac::verify(&key, name.as_bytes(), &hashed.hash).is_ok()
        });
        let mut found: Vec<usize> = named.chain(matched).chain(hashed.map(|hashed| hashed.entry)).collect();
        found.sort_unstable();
        found.dedup();
        let mut known = Known { name, ..Known::default() };
        for entry in found.into_iter().filter_map(|entry| self.entries.get(entry)) {
            match entry.marker {
                Marker::None => known.keys.push(Arc::clone(&entry.key)),
                Marker::Revoked => known.revoked.push(Arc::clone(&entry.key)),
                Marker::Authority => known.by_authority = true,
            }
        }
        known
    }
}

/// Salt and hash of a hashed name, after its `|1|`.
fn hashed_name(text: &str) -> Result<(Vec<u8>, Vec<u8>), String> {
    let (salt, hash) = text.split_once('|').ok_or("a hashed name without its hash")?;
    let decode = |text: &str| BASE64.decode(text.as_bytes()).map_err(|error| format!("the hashed name is not base64: {error}"));
    Ok((decode(salt)?, decode(hash)?))
}

/// Whether a list of patterns has one that matches the name and none with `!` that does.
fn matches_list(patterns: &str, name: &str) -> bool {
    let mut matched = false;
    for pattern in patterns.split(',') {
        match pattern.strip_prefix('!') {
            Some(pattern) if matches(pattern.as_bytes(), name.as_bytes()) => return false,
            Some(_) => {}
            None => matched |= matches(pattern.as_bytes(), name.as_bytes()),
        }
    }
    matched
}

/// `*` and `?` of ssh_config(5). Goes back to the last `*` only, so it never takes more than length times length.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut at, mut seen) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while seen < name.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, seen));
                at += 1;
            }
            Some(letter) if *letter == b'?' || name.get(seen) == Some(letter) => {
                at += 1;
                seen += 1;
            }
            _ => {
                let Some((back, taken)) = star else { return false };
                star = Some((back, taken + 1));
                at = back + 1;
                seen = taken + 1;
            }
        }
    }
    pattern.iter().skip(at).all(|letter| *letter == b'*')
}

/// What the known_hosts files say of one host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known {
    /// The name it was looked up by.
    pub name: String,
    /// Its keys, in the order of the files.
    pub keys: Vec<Arc<KnownKey>>,
    /// Keys listed for it as `@revoked`.
    pub revoked: Vec<Arc<KnownKey>>,
    /// Whether a certificate authority is listed for it; host certificates are not asked for.
    pub by_authority: bool,
    of_bare_name: Vec<Arc<KnownKey>>,
}

/// What a host key is worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostKey {
    /// It is one of the known keys.
    Known,
    /// The host has no known key.
    Unknown,
    /// The host has known keys, and this is none of them: the one of the same algorithm, else the first.
    Changed(Arc<KnownKey>),
    /// It is listed as revoked.
    Revoked(Arc<KnownKey>),
}

impl Known {
    /// Judges the key that the host shows, in wire format.
    pub fn verify(&self, blob: &[u8]) -> HostKey {
        let is_same = |key: &&Arc<KnownKey>| key.blob == blob;
        if let Some(revoked) = self.revoked.iter().find(is_same) {
            return HostKey::Revoked(Arc::clone(revoked));
        }
        if self.keys.iter().chain(&self.of_bare_name).any(|key| is_same(&key)) {
            return HostKey::Known;
        }
        let algorithm = algorithm_of(blob);
        let alike = self.keys.iter().find(|key| Some(key.algorithm.as_str()) == algorithm);
        match alike.or(self.keys.first()) {
            Some(key) => HostKey::Changed(Arc::clone(key)),
            None => HostKey::Unknown,
        }
    }

    /// The algorithms of the known keys, each once: what the server must be asked for, or it shows a key that nobody knows.
    pub fn algorithms(&self) -> Vec<&str> {
        let mut algorithms: Vec<&str> = Vec::new();
        for key in self.keys.iter().chain(&self.of_bare_name) {
            if !algorithms.contains(&key.algorithm.as_str()) {
                algorithms.push(&key.algorithm);
            }
        }
        algorithms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ED25519: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILNXOnCMg+dW19+LD81LGvuvdJoWuokwr8IuzCg1dgef";
    const OTHER: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAICv2dB3tV+Ro9+d7a3GjyhEygNrJEjY+OAbD129WTy2i";
    const ECDSA: &str = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBI5zEMHZI9cpoffUcMVjWNA2ZtB0KbIsBgKjeM0SWPyumkljP7Ypkl5g+EgdEcvcYTZW9sEMSt2R48tCgBqoHgg=";
    /// `ssh-keygen -H` of Debian 12 (OpenSSH 9.2) wrote these for `web1.example.com` and `[10.0.0.5]:2222`.
    const HASHED: &str = "|1|MqKDOrJPR9APoW6j2TMpSN1oBx8=|+mSkmc7XEqG9QH3NDjQZaNhUroQ=";
    const HASHED_PORT: &str = "|1|/7S24oIt/s2oQMY8cFE7A7ZQq3M=|PvdETkjCPcltOBAfWegtNLmXWiw=";

    fn known(text: &str) -> KnownHosts {
        let mut known = KnownHosts::default();
        known.add(Path::new("known_hosts"), text.as_bytes());
        known
    }

    fn blob(line: &str) -> Vec<u8> {
        BASE64.decode(line.split(' ').nth(1).expect("base64").as_bytes()).expect("base64")
    }

    fn is_known(known: &KnownHosts, host: &str, port: u16) -> bool {
        known.lookup(host, port).verify(&blob(ED25519)) == HostKey::Known
    }

    #[test]
    fn a_host_is_known_by_each_of_its_names_whatever_their_case() {
        let known = known(&format!("web1,Web1.Example.com,10.0.0.5 {ED25519} a comment\n"));
        for name in ["web1", "web1.example.com", "WEB1", "10.0.0.5"] {
            assert!(is_known(&known, name, 22), "{name}");
        }
        assert!(!is_known(&known, "web2", 22));
        assert!(!is_known(&known, "web1.example", 22));
        assert_eq!(known.warnings(), []);
    }

    #[test]
    fn a_port_has_its_own_keys_and_falls_back_to_a_key_of_the_bare_name_that_matches() {
        let known = known(&format!("[web1]:2222 {ED25519}\nweb1 {OTHER}\nweb2 {ED25519}\n[::1]:2222 {ED25519}\n::1 {OTHER}\n"));
        assert!(is_known(&known, "web1", 2222));
        assert!(is_known(&known, "::1", 2222));
        assert!(matches!(known.lookup("web1", 22).verify(&blob(ED25519)), HostKey::Changed(key) if key.line == 2));
        assert!(matches!(known.lookup("web1", 2222).verify(&blob(OTHER)), HostKey::Changed(key) if key.line == 1));
        assert!(is_known(&known, "web2", 2222));
        assert_eq!(known.lookup("web2", 2222).verify(&blob(OTHER)), HostKey::Unknown);
    }

    #[test]
    fn hashed_names_are_found() {
        let known = known(&format!("{HASHED} {ED25519}\n{HASHED_PORT} {OTHER}\n"));
        assert_eq!(known.warnings(), []);
        assert!(is_known(&known, "web1.example.com", 22));
        assert!(is_known(&known, "WEB1.example.com", 22));
        assert!(!is_known(&known, "web1", 22));
        assert!(matches!(known.lookup("10.0.0.5", 2222).verify(&blob(ED25519)), HostKey::Changed(key) if key.line == 2));
        assert_eq!(known.lookup("10.0.0.5", 22).verify(&blob(ED25519)), HostKey::Unknown);
    }

    #[test]
    fn patterns_match_as_in_ssh_config() {
        let known = known(&format!("*.example.com,!db*.example.com {ED25519}\n10.0.?.5 {ED25519}\n[*.internal]:* {ED25519}\n"));
        for (host, port, expected) in [
            ("web1.example.com", 22, true),
            ("a.b.example.com", 22, true),
            ("db1.example.com", 22, false),
            ("example.com", 22, false),
            ("10.0.7.5", 22, true),
            ("10.0.77.5", 22, false),
            ("x.internal", 2222, true),
            ("x.internal", 22, false),
        ] {
            assert_eq!(is_known(&known, host, port), expected, "{host}");
        }
        assert!(!matches(b"a*a*a*a*a*b", "a".repeat(5000).as_bytes()), "and in a time that can be waited for");
    }

    #[test]
    fn a_revoked_key_is_revoked_even_where_it_is_known() {
        let known = known(&format!("web1 {ED25519}\nweb1 {OTHER}\n@revoked * {ED25519}\n"));
        assert!(matches!(known.lookup("web1", 22).verify(&blob(ED25519)), HostKey::Revoked(key) if key.line == 3));
        assert!(matches!(known.lookup("web9", 2222).verify(&blob(ED25519)), HostKey::Revoked(_)));
        assert_eq!(known.lookup("web1", 22).verify(&blob(OTHER)), HostKey::Known);
        assert_eq!(known.lookup("web9", 22).algorithms(), [""; 0], "a revoked key is not asked for");
    }

    #[test]
    fn an_authority_is_no_key_of_the_host() {
        let known = known(&format!("@cert-authority *.example.com {ED25519}\n"));
        let found = known.lookup("web1.example.com", 22);
        assert!(found.by_authority);
        assert_eq!(found.verify(&blob(ED25519)), HostKey::Unknown);
    }

    #[test]
    fn a_host_has_several_keys_and_a_changed_one_is_held_against_its_like() {
        let known = known(&format!("web1 {ECDSA}\nweb1 {OTHER}\n"));
        let found = known.lookup("web1", 22);
        assert_eq!(found.algorithms(), ["ecdsa-sha2-nistp256", "ssh-ed25519"]);
        assert_eq!(found.verify(&blob(ECDSA)), HostKey::Known);
        assert!(matches!(found.verify(&blob(ED25519)), HostKey::Changed(key) if key.line == 2 && key.algorithm == "ssh-ed25519"));
    }

    #[test]
    fn a_key_of_another_kind_than_the_known_ones_is_a_changed_key() {
        let known = known(&format!("web1 {ECDSA}\n"));
        assert!(matches!(known.lookup("web1", 22).verify(&blob(ED25519)), HostKey::Changed(key) if key.line == 1));
    }

    #[test]
    fn tabs_spaces_comments_and_windows_line_ends_are_all_the_same() {
        let text = format!("# web1 {OTHER}\r\n\r\n\t  web1\t{}\t me\r\n", ED25519.replace(' ', "\t "));
        let known = known(&text);
        assert!(is_known(&known, "web1", 22));
        assert_eq!((known.len(), known.warnings()), (1, [].as_slice()));
    }

    #[test]
    fn a_bad_line_is_named_and_spoils_no_other() {
        let text = format!(
            "web1\nweb1 ssh-ed25519\nweb1 ssh-ed25519 !!!\nweb1 ssh-rsa {}\n@bogus web1 {ED25519}\n|1|abc {ED25519}\n|2|YQ==|YQ== {ED25519}\n\
             web1 1024 35 1234567\n@revoked\nweb1 {ED25519}\n\u{fffd}\u{1b}[31m\n",
            ED25519.split(' ').nth(1).expect("base64"),
        );
        let known = known(&text);
        assert!(is_known(&known, "web1", 22));
        assert_eq!(known.len(), 1);
        let said: Vec<String> = known.warnings().iter().map(ToString::to_string).collect();
        assert_eq!(said.len(), 10, "{said:#?}");
        assert_eq!(said[0], "`known_hosts:1`: no key");
        assert!(said[3].starts_with("`known_hosts:4`: the key is not of the type `ssh-rsa`"), "{}", said[3]);
        assert_eq!(said[4], "`known_hosts:5`: unknown marker `@bogus`");
        assert_eq!(said[7], "`known_hosts:8`: a key of SSH protocol 1");
    }

    #[test]
    fn a_named_file_must_be_there_and_a_usual_one_need_not() {
        let missing = PathBuf::from("/no/such/known_hosts");
        let error = KnownHosts::load(std::slice::from_ref(&missing), &[]).expect_err("missing");
        assert_eq!(error.to_string(), "could not read the known hosts in `/no/such/known_hosts`");
        let known = KnownHosts::load(&[], &[missing, PathBuf::from("/")]).expect("nothing");
        assert!(known.is_empty());
        assert_eq!(known.warnings().len(), 1, "a directory is something to say a word about");
    }

    #[test]
    fn a_fingerprint_is_that_of_ssh_keygen() {
        assert_eq!(fingerprint(&blob(ED25519)), "SHA256:w12Vln3E9ECLs0OKkbLScJ7slCSk0H9V0OSKJt8Teio");
    }

    proptest::proptest! {
        #[test]
        fn no_file_is_too_strange(bytes: Vec<u8>, host in ".*", port: u16) {
            let mut known = KnownHosts::default();
            known.add(Path::new("x"), &bytes);
            known.lookup(&host, port).verify(&bytes);
        }

        #[test]
        fn no_line_is_too_strange(line in "(@revoked |)[|!*?,a\\[\\]:1=]{0,20} ssh-ed25519 [A=]{0,12}") {
            let mut known = KnownHosts::default();
            known.add(Path::new("x"), line.as_bytes());
            known.lookup("a", 1).algorithms();
        }
    }
}
