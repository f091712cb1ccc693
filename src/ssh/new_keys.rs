//! Host keys that nobody knew before a scan: accepted, or written down for a person to look at. Kept in a file of their own, never in the user's
//! `~/.ssh/known_hosts`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use data_encoding::BASE64;
use jiff::Timestamp;
use ring::rand::{SecureRandom, SystemRandom};

use super::host_keys::HostKeysError;
use super::known::{Known, Names};
use super::known_hosts::{HASH, KnownHosts, KnownKey, hash_name};
use super::shared_file;

/// What stands at the head of a file of keys that were only recorded.
const UNVERIFIED: &str = "# Host keys recorded by fleetscan. Nobody has verified them: compare each with its host before you name this file with --known-hosts.\n";

/// The new keys of a scan. All clones are one.
#[derive(Debug, Clone, Default)]
pub struct NewKeys(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    accepted_file: Option<PathBuf>,
    recorded_file: Option<PathBuf>,
    accepted: Mutex<BTreeMap<String, Vec<Arc<KnownKey>>>>,
    recorded: Mutex<BTreeMap<String, Vec<Arc<KnownKey>>>>,
}

/// New keys that were written to their file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedKeys {
    /// The file.
    pub path: PathBuf,
    /// Whether the keys were accepted, so that their hosts are known from now on; otherwise they are only written down.
    pub accepted: bool,
    /// How many keys are new in it.
    pub keys: usize,
    /// Hosts for which another scan has meanwhile accepted another key: what it wrote was left alone.
    pub conflicts: Vec<String>,
}

impl NewKeys {
    pub(super) fn new(accepted_file: Option<PathBuf>, recorded_file: Option<PathBuf>) -> Self {
        Self(Arc::new(Inner { accepted_file, recorded_file, ..Inner::default() }))
    }

    /// Takes a key for that of a host from now on.
    ///
    /// # Errors
    /// Another key of the host that was accepted by the same scan: the first one stands, whichever that was.
    pub(super) fn accept(&self, name: &str, algorithm: &'static str, blob: &[u8]) -> Result<(), Arc<KnownKey>> {
        let mut accepted = self.0.accepted.lock().unwrap_or_else(PoisonError::into_inner);
        let keys = accepted.entry(name.to_owned()).or_default();
        match keys.first() {
            Some(_) if keys.iter().any(|key| key.blob == blob) => Ok(()),
            Some(other) => Err(Arc::clone(other)),
            None => {
                keys.push(self.key(self.0.accepted_file.as_deref(), algorithm, blob));
                Ok(())
            }
        }
    }

    /// Writes a key down.
    pub(super) fn record(&self, name: &str, algorithm: &'static str, blob: &[u8]) {
        let mut recorded = self.0.recorded.lock().unwrap_or_else(PoisonError::into_inner);
        let keys = recorded.entry(name.to_owned()).or_default();
        if !keys.iter().any(|key| key.blob == blob) {
            keys.push(self.key(self.0.recorded_file.as_deref(), algorithm, blob));
            // Two hosts of one name come in any order; the file must not depend on it.
            keys.sort_by(|one, other| (one.algorithm, &one.blob).cmp(&(other.algorithm, &other.blob)));
        }
    }

    fn key(&self, path: Option<&Path>, algorithm: &'static str, blob: &[u8]) -> Arc<KnownKey> {
        Arc::new(KnownKey { algorithm, path: path.unwrap_or(Path::new("")).into(), line: 0, blob: blob.to_vec() })
    }

    /// The keys of a host that were accepted by this scan.
    pub(super) fn accepted(&self, name: &str) -> Vec<Arc<KnownKey>> {
        let accepted = self.0.accepted.lock().unwrap_or_else(PoisonError::into_inner);
        accepted.get(name).cloned().unwrap_or_default()
    }

    /// Where keys are written down.
    pub(super) fn recorded_file(&self) -> Option<&Path> {
        self.0.recorded_file.as_deref()
    }

    /// Writes the new keys to their files, beside what other scans have written meanwhile. To be called once, when the scan has ended, however it has.
    ///
    /// # Errors
    /// [`HostKeysError::New`] where a file can't be written.
    pub fn save(&self) -> Result<Vec<SavedKeys>, HostKeysError> {
        let mut saved = Vec::new();
        for (file, keys, accepted) in
            [(&self.0.accepted_file, &self.0.accepted, true), (&self.0.recorded_file, &self.0.recorded, false)]
        {
            let keys = keys.lock().unwrap_or_else(PoisonError::into_inner);
            let (Some(path), false) = (file, keys.is_empty()) else { continue };
            let mut outcome = SavedKeys { path: path.clone(), accepted, keys: 0, conflicts: Vec::new() };
            shared_file::rewrite(path, |there| {
                let (text, keys, conflicts) = if accepted { with_accepted(there, &keys) } else { with_recorded(there, &keys) };
                (outcome.keys, outcome.conflicts) = (keys, conflicts);
                text
            })
            .map_err(|source| HostKeysError::New { path: path.clone(), source })?;
            saved.push(outcome);
        }
        Ok(saved)
    }
}

/// What becomes of the file of accepted keys; how many are new, and what is left alone.
fn with_accepted(there: &[u8], keys: &BTreeMap<String, Vec<Arc<KnownKey>>>) -> (Vec<u8>, usize, Vec<String>) {
    let known = [Arc::new(KnownHosts::parse(Path::new(""), there))];
    let mut text = ended(there);
    let (mut new, mut conflicts) = (0, Vec::new());
    for (name, keys) in keys {
        let names = Names { listed: name.clone(), bare: None, host: name.clone() };
        let listed = Known::lookup(&known, names);
        for key in keys {
            match listed.key_of(key.algorithm) {
                Some(there) if there.blob == key.blob => {}
                Some(_) => conflicts.push(name.clone()),
                None => {
                    text.extend(line(name, key, &format!("accepted by fleetscan {}", today())).bytes());
                    new += 1;
                }
            }
        }
    }
    (text, new, conflicts)
}

/// The same for the file of recorded keys: nobody trusts what stands there, so what a host shows now takes the place of what it showed before.
fn with_recorded(there: &[u8], keys: &BTreeMap<String, Vec<Arc<KnownKey>>>) -> (Vec<u8>, usize, Vec<String>) {
    let mut left: BTreeMap<String, Vec<(&str, &KnownKey)>> = BTreeMap::new();
    for (name, keys) in keys {
        for key in keys {
            left.entry(format!("{name} {}", key.algorithm)).or_default().push((name, key));
        }
    }
    let mut text = if there.is_empty() { UNVERIFIED.as_bytes().to_vec() } else { Vec::new() };
    for kept in there.split_inclusive(|byte| *byte == b'\n') {
        let words = String::from_utf8_lossy(kept);
        let mut words = words.split_whitespace();
        let (name, algorithm) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let Some(shown) = left.get_mut(&format!("{name} {algorithm}")) else {
            text.extend(kept);
            continue;
        };
        let base64 = words.next().unwrap_or_default();
        if let Some(at) = shown.iter().position(|(_, key)| base64 == BASE64.encode(&key.blob)) {
            shown.remove(at);
            text.extend(kept);
        }
    }
    let mut text = ended(&text);
    let mut new = 0;
    for (name, key) in left.into_values().flatten() {
        text.extend(line(name, key, &format!("not verified, recorded by fleetscan {}", today())).bytes());
        new += 1;
    }
    (text, new, Vec::new())
}

/// The lines of a file, the last one ended too.
fn ended(there: &[u8]) -> Vec<u8> {
    let mut text = there.to_vec();
    if text.last().is_some_and(|last| *last != b'\n') {
        text.push(b'\n');
    }
    text
}

fn today() -> String {
    Timestamp::now().strftime("%Y-%m-%d").to_string()
}

/// A line of known_hosts.
fn line(name: &str, key: &KnownKey, comment: &str) -> String {
    known_hosts_line(name, key.algorithm, &key.blob, comment)
}

/// A line of known_hosts for a name and a key in wire format.
///
/// A name that would be read as a pattern, a list or a comment is written as a hash, which is read as nothing but itself.
pub(super) fn known_hosts_line(name: &str, algorithm: &str, blob: &[u8], comment: &str) -> String {
    let special = |letter: char| ",*?!|#@".contains(letter) || letter.is_whitespace() || letter.is_control();
    let mut salt = [0; HASH];
    let name = match name.contains(special) {
        false => Some(name.to_owned()),
        true => SystemRandom::new().fill(&mut salt).ok().and_then(|()| hash_name(name, &salt)),
    };
    let space = if comment.is_empty() { "" } else { " " };
    // Without randomness such a name is in no line: better unknown tomorrow than read as something else.
    name.map(|name| format!("{name} {algorithm} {}{space}{comment}\n", BASE64.encode(blob))).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::thread;

    use super::*;

    /// A key in wire format that no other number has.
    fn blob(number: u8) -> Vec<u8> {
        let part = |bytes: &[u8]| [&u32::try_from(bytes.len()).expect("short").to_be_bytes()[..], bytes].concat();
        [part(b"ssh-ed25519"), part(&[number; 32])].concat()
    }

    fn accepted_in(path: &Path) -> NewKeys {
        NewKeys::new(Some(path.to_owned()), None)
    }

    #[test]
    fn scans_that_end_at_once_all_have_their_keys_in_the_file() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("known_hosts");
        fs::write(&path, "# mine, without a line end").expect("written");
        thread::scope(|scope| {
            for scan in 0..8 {
                let path = &path;
                scope.spawn(move || {
                    for round in 0..6 {
                        let keys = accepted_in(path);
                        let number = scan * 6 + round;
                        keys.accept(&format!("web{number}"), "ssh-ed25519", &blob(number)).expect("new");
                        keys.accept("all", "ssh-ed25519", &blob(99)).expect("new");
                        assert_eq!(keys.save().expect("saved").len(), 1);
                    }
                });
            }
        });
        let text = fs::read_to_string(&path).expect("a file");
        assert_eq!(text.lines().count(), 1 + 8 * 6 + 1, "{text}");
        assert_eq!(text.lines().filter(|line| line.starts_with("all ")).count(), 1);
        assert!(text.starts_with("# mine, without a line end\n"));
        let left: Vec<_> = fs::read_dir(directory.path()).expect("a directory").collect();
        assert_eq!(left.len(), 1, "nothing is left beside it: {left:?}");
    }

    #[test]
    fn what_another_scan_has_accepted_meanwhile_stands() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("known_hosts");
        let (one, other) = (accepted_in(&path), accepted_in(&path));
        one.accept("web1", "ssh-ed25519", &blob(1)).expect("new");
        other.accept("web1", "ssh-ed25519", &blob(2)).expect("new, as far as it knows");
        other.accept("web2", "ssh-ed25519", &blob(3)).expect("new");
        assert_eq!(one.save().expect("saved")[0].conflicts, [""; 0]);
        let saved = other.save().expect("saved");
        assert_eq!((saved[0].keys, saved[0].conflicts.as_slice()), (1, ["web1".to_owned()].as_slice()));
        let text = fs::read_to_string(&path).expect("a file");
        assert!(text.contains(&BASE64.encode(&blob(1))) && !text.contains(&BASE64.encode(&blob(2))), "{text}");
    }

    #[test]
    fn of_one_name_the_first_key_is_accepted_and_the_second_refused() {
        let keys = NewKeys::default();
        keys.accept("web1", "ssh-ed25519", &blob(1)).expect("new");
        keys.accept("web1", "ssh-ed25519", &blob(1)).expect("the same");
        assert_eq!(keys.accept("web1", "ssh-ed25519", &blob(2)).expect_err("another").blob, blob(1));
        assert_eq!(keys.accepted("web1").len(), 1);
        assert_eq!(keys.save().expect("no file, nothing saved"), []);
    }

    #[test]
    fn a_name_is_never_read_as_anything_but_itself() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("known_hosts");
        let keys = accepted_in(&path);
        let odd = ["*", "web1,web2", "!web1", "#web1", "@revoked", "|1|a|b", "a b", "a\tb", "a\nb"];
        for (name, number) in odd.iter().zip(0..) {
            keys.accept(name, "ssh-ed25519", &blob(number)).expect("new");
        }
        keys.save().expect("saved");
        let known = [Arc::new(KnownHosts::read(&path).expect("a file"))];
        assert_eq!(known[0].warnings(), []);
        let lookup = |name: &str| {
            let names = Names { listed: name.to_owned(), bare: None, host: name.to_owned() };
            Known::lookup(&known, names).key_of("ssh-ed25519").map(|key| key.blob.clone())
        };
        for (name, number) in odd.iter().zip(0..) {
            assert_eq!(lookup(name), Some(blob(number)), "{name:?}");
        }
        for name in ["web1", "web2", "a", "anything"] {
            assert_eq!(lookup(name), None, "{name}");
        }
        assert_eq!(keys.save().expect("saved")[0].keys, 0, "they are there already");
    }

    #[test]
    fn a_link_to_the_file_stays_a_link() {
        let directory = tempfile::tempdir().expect("a directory");
        let (path, link) = (directory.path().join("real"), directory.path().join("link"));
        fs::write(&path, "").expect("written");
        std::os::unix::fs::symlink(&path, &link).expect("a link");
        let keys = accepted_in(&link);
        keys.accept("web1", "ssh-ed25519", &blob(1)).expect("new");
        keys.save().expect("saved");
        assert!(fs::symlink_metadata(&link).expect("a link").is_symlink());
        assert!(fs::read_to_string(&path).expect("a file").starts_with("web1 ssh-ed25519 "));
    }
}
