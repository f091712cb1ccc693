//! Host keys that must never be accepted: the file that `RevokedHostKeys` of ssh_config(5) names.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::host_keys::HostKeysError;
use super::known_hosts::parse_key;

/// How a key revocation list of `ssh-keygen -k` begins.
const KRL: &[u8] = b"SSHKRL\n\0";

/// The revoked keys, and where they are listed.
#[derive(Debug)]
pub(super) struct RevokedKeys {
    path: PathBuf,
    /// `None` for a file that nobody read: then every key may be one of them.
    lines: Option<HashMap<Vec<u8>, usize>>,
}

impl RevokedKeys {
    /// Reads a file of public keys, one a line.
    ///
    /// # Errors
    /// Where it can't be read or understood: `ssh` then trusts no host, and so do we, before any is contacted.
    pub(super) fn read(path: &Path) -> Result<Self, HostKeysError> {
        let bytes = fs::read(path).map_err(|source| HostKeysError::Revoked { path: path.to_owned(), source })?;
        Self::parse(path, &bytes)
    }

    /// A file that was not read when it should have been: no key is beyond suspicion.
    pub(super) fn unread(path: &Path) -> Self {
        Self { path: path.to_owned(), lines: None }
    }

    fn parse(path: &Path, bytes: &[u8]) -> Result<Self, HostKeysError> {
        let wrong = |line: usize, what: String| HostKeysError::RevokedLine { path: path.to_owned(), line, what };
        if bytes.starts_with(KRL) {
            return Err(HostKeysError::RevocationList { path: path.to_owned() });
        }
        let mut lines = HashMap::new();
        for (at, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
            let line = String::from_utf8_lossy(line);
            let line = line.trim_matches([' ', '\t', '\r']);
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let mut words = line.split([' ', '\t']).filter(|word| !word.is_empty());
            let (Some(algorithm), Some(base64)) = (words.next(), words.next()) else {
                return Err(wrong(at + 1, "no public key (`TYPE BASE64`)".to_owned()));
            };
            let (_, blob) = parse_key(algorithm, base64).map_err(|what| wrong(at + 1, what))?;
            lines.entry(blob).or_insert(at + 1);
        }
        Ok(Self { path: path.to_owned(), lines: Some(lines) })
    }

    /// Where a key in wire format is listed: `FILE:LINE`.
    pub(super) fn place_of(&self, blob: &[u8]) -> Option<String> {
        let path = self.path.display();
        match &self.lines {
            Some(lines) => lines.get(blob).map(|line| format!("{path}:{line}")),
            None => Some(path.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use data_encoding::BASE64;

    use super::*;

    const KEY: &str = "AAAAC3NzaC1lZDI1NTE5AAAAILNXOnCMg+dW19+LD81LGvuvdJoWuokwr8IuzCg1dgef";

    fn blob() -> Vec<u8> {
        BASE64.decode(KEY.as_bytes()).expect("base64")
    }

    #[test]
    fn a_key_is_found_with_its_line() {
        let revoked = RevokedKeys::parse(Path::new("revoked"), format!("# stolen\n\n ssh-ed25519 {KEY} web1\n").as_bytes());
        let revoked = revoked.expect("understood");
        assert_eq!(revoked.place_of(&blob()).as_deref(), Some("revoked:3"));
        assert_eq!(revoked.place_of(b"another"), None);
    }

    #[test]
    fn what_cannot_be_understood_could_be_any_key_and_ends_the_scan_before_it_begins() {
        let fails = |bytes: &[u8]| RevokedKeys::parse(Path::new("revoked"), bytes).expect_err("not understood").to_string();
        assert_eq!(
            fails(b"\nssh-ed25519\n"),
            "`revoked:2` revokes something that cannot be understood: no public key (`TYPE BASE64`)"
        );
        assert!(fails(b"ssh-ed25519 AAAA\n").contains("the key is broken"));
        assert_eq!(fails(b"SSHKRL\n\0\0\0\0\x01"), "`revoked` is a binary key revocation list, which fleetscan does not read");
        let missing = RevokedKeys::read(Path::new("/no/such/file")).expect_err("missing");
        assert_eq!(missing.to_string(), "could not read the revoked host keys in `/no/such/file`");
    }

    #[test]
    fn a_file_that_was_not_read_revokes_every_key() {
        assert_eq!(RevokedKeys::unread(Path::new("revoked")).place_of(&blob()).as_deref(), Some("revoked"));
    }
}
