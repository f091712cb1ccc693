//! What is on a host, before and after: the proof that a scan changes nothing.

use std::collections::{BTreeMap, BTreeSet};

/// Prints what [`Snapshot::parse`] reads.
pub(crate) const SCRIPT: &str = include_str!("snapshot.sh");

/// What may differ after a scan: host (`*` is every host), path, and why. Any other difference fails the test.
const MAY_DIFFER: &[(&str, &str, &str)] = &[
    ("*", "/run/motd.dynamic", "pam_motd writes the message of the day anew at every login over SSH"),
    ("*", "/run", "the directory that holds motd.dynamic, which is replaced and not rewritten"),
    ("audit", "/var/log/audit/audit.log", "auditd writes down every login"),
    ("hardened", "/var/log/sudo.log", "sudo writes down every command where it is told to"),
    ("systemd", "/var/log/journal/0123456789abcdef0123456789abcdef/system.journal", "journald writes down every login"),
    ("passwords", "/var/log/btmp", "sshd writes down every login that fails"),
    ("cut", "/etc/hosts", "the engine writes it, when the test takes the network away"),
    ("cut", "/etc/resolv.conf", "the engine writes it, when the test takes the network away"),
];

/// All paths of a host with what is known of each.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Snapshot {
    /// Kind and mode, user, group, size, time of modification, time of change.
    entries: BTreeMap<String, String>,
    /// SHA-256 of the content of files.
    hashes: BTreeMap<String, String>,
}

impl Snapshot {
    /// Reads the output of [`SCRIPT`].
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut snapshot = Self::default();
        for line in text.lines() {
            let hash = line.split_once("  ").filter(|(hash, _)| hash.len() == 64 && hash.bytes().all(|b| b.is_ascii_hexdigit()));
            if let Some((hash, path)) = hash {
                snapshot.hashes.insert(absolute(path), hash.to_owned());
            } else if let Some((place, _)) = line.match_indices('|').nth(5) {
                snapshot.entries.insert(absolute(&line[place + 1..]), line[..place].to_owned());
            } else {
                return Err(format!("not a line of a snapshot: {line}"));
            }
        }
        if snapshot.entries.contains_key("/") && !snapshot.hashes.is_empty() {
            Ok(snapshot)
        } else {
            Err("the snapshot is not whole: no root directory or no hashes".to_owned())
        }
    }

    /// How many paths it holds.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// What differs in `later` and may not, one sentence for each path.
    pub(crate) fn changes(&self, later: &Self, host: &str) -> Vec<String> {
        let may = |path: &str| MAY_DIFFER.iter().any(|(of, which, _)| (*of == "*" || *of == host) && *which == path);
        let paths: BTreeSet<&String> = self.entries.keys().chain(later.entries.keys()).collect();
        let differs = |path: &str| {
            let (before, after) = (self.entries.get(path), later.entries.get(path));
            match (before, after) {
                (None, Some(after)) => Some(format!("{host}: {path} is new ({after})")),
                (Some(before), None) => Some(format!("{host}: {path} is gone ({before})")),
                (Some(before), Some(after)) if before != after => Some(format!("{host}: {path} was {before}, is {after}")),
                _ if self.hashes.get(path) != later.hashes.get(path) => Some(format!("{host}: {path} has another content")),
                _ => None,
            }
        };
        paths.into_iter().filter(|path| !may(path)).filter_map(|path| differs(path)).collect()
    }
}

/// A path of a layer, which is listed from its own directory, as the host knows it.
fn absolute(path: &str) -> String {
    match path {
        "." => "/".to_owned(),
        path => path.strip_prefix('.').unwrap_or(path).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn snapshot(lines: &str) -> Snapshot {
        Snapshot::parse(&format!("drwxr-xr-x|0|0|4096|1|1|/\n{HASH}  /etc/hosts\n{lines}")).expect("a snapshot")
    }

    #[test]
    fn a_path_may_hold_the_separator() {
        let one = snapshot("-rw-r--r--|0|0|5|1|1|/tmp/a|b\n");
        assert_eq!(one.changes(&snapshot(""), "weak"), ["weak: /tmp/a|b is gone (-rw-r--r--|0|0|5|1|1)"]);
    }

    #[test]
    fn a_layer_and_a_mount_are_one_tree() {
        let text =
            format!("drwxr-xr-x|0|0|4096|1|1|.\n-rw-r--r--|0|0|5|1|1|./etc/x\n{HASH}  ./etc/x\ndrwxrwxrwt|0|0|40|1|1|/tmp\n");
        let snapshot = Snapshot::parse(&text).expect("a snapshot");
        assert_eq!(snapshot.entries.keys().collect::<Vec<_>>(), ["/", "/etc/x", "/tmp"]);
        assert_eq!(snapshot.hashes.keys().collect::<Vec<_>>(), ["/etc/x"]);
    }

    #[test]
    fn new_lost_touched_and_rewritten_files_are_told() {
        let before =
            snapshot(&format!("-rw-r--r--|0|0|5|1|1|/a\n-rw-r--r--|0|0|5|1|1|/b\n-rw-r--r--|0|0|5|1|1|/c\n{HASH}  /c\n"));
        let other = HASH.replace('e', "f");
        let after =
            snapshot(&format!("-rw-r--r--|0|0|5|1|2|/b\n-rw-r--r--|0|0|5|1|1|/c\n{other}  /c\n-rw-r--r--|0|0|0|9|9|/d\n"));
        let changes = before.changes(&after, "weak");
        assert_eq!(changes.len(), 4, "{changes:?}");
        assert!(before.changes(&before, "weak").is_empty());
    }

    #[test]
    fn what_a_login_leaves_is_allowed_by_name_only() {
        let before = snapshot("-rw-r--r--|0|0|5|1|1|/var/log/audit/audit.log\n");
        let after = snapshot("-rw-r--r--|0|0|9|2|2|/var/log/audit/audit.log\n-rw-r--r--|0|0|0|9|9|/run/motd.dynamic\n");
        assert!(before.changes(&after, "audit").is_empty());
        assert_eq!(before.changes(&after, "weak").len(), 1);
    }

    #[test]
    fn a_snapshot_cut_off_is_an_error() {
        assert!(Snapshot::parse("").is_err());
        assert!(Snapshot::parse("drwxr-xr-x|0|0|4096|1|1|/\nfind: oh no\n").is_err());
    }
}
