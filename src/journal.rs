//! Finished hosts on disk: appended in the order in which they finish, read in the order of the inventory.
//!
//! The file has no name and is gone with the process. Memory does not grow with what was found: sixteen bytes a host tell where its
//! line is. A line is the JSON object of a host exactly as the JSON report has it, so that report copies bytes.

use std::env;
use std::fs::File;
use std::io;
// Reads and writes at a position leave no shared cursor behind, so any number of reports may read at once.
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use crate::model::{HostReport, escape};

/// Where a host's line is; a length of 0 where there is none.
#[derive(Debug, Clone, Copy, Default)]
struct Place {
    offset: u64,
    length: u64,
}

/// The finished hosts of one scan.
#[derive(Debug)]
pub struct Journal {
    file: File,
    places: Vec<Place>,
    hosts: usize,
    end: u64,
    line: Vec<u8>,
}

impl Journal {
    /// An empty journal in the directory for temporary files (`TMPDIR`, else `/tmp`).
    pub fn new() -> Result<Self, JournalError> {
        tempfile::tempfile().map(Self::over).map_err(|source| JournalError::Create { directory: env::temp_dir(), source })
    }

    fn over(file: File) -> Self {
        Self { file, places: Vec::new(), hosts: 0, end: 0, line: Vec::new() }
    }

    /// Keeps a finished host. Each place in the inventory is kept once; a second word for the same place replaces the first.
    ///
    /// When it fails (the disk is full), everything kept before can still be read, and later hosts may still be appended.
    pub fn append(&mut self, host: &HostReport) -> Result<(), JournalError> {
        let place = self.write(host).map_err(|source| JournalError::Append {
            host: escape(&host.name, 100),
            kept: self.hosts,
            directory: env::temp_dir(),
            source,
        })?;
        if self.places.len() <= host.index {
            self.places.resize(host.index + 1, Place::default());
        }
        if let Some(known) = self.places.get_mut(host.index) {
            self.hosts += usize::from(known.length == 0);
            *known = place;
        }
        self.end += place.length;
        Ok(())
    }

    fn write(&mut self, host: &HostReport) -> io::Result<Place> {
        self.line.clear();
        serde_json::to_writer(&mut self.line, host)?;
        self.line.push(b'\n');
        self.file.write_all_at(&self.line, self.end)?;
        Ok(Place { offset: self.end, length: self.line.len() as u64 })
    }

    /// How many hosts are kept.
    pub fn len(&self) -> usize {
        self.hosts
    }

    /// Whether no host is kept.
    pub fn is_empty(&self) -> bool {
        self.hosts == 0
    }

    /// The hosts in the order of the inventory, one at a time.
    pub fn read(&self) -> impl Iterator<Item = Result<HostReport, JournalError>> {
        self.indexed_lines().map(|(index, line)| {
            let host = serde_json::from_slice(&line?).map_err(|source| JournalError::Damaged { index, source })?;
            Ok(HostReport { index, ..host })
        })
    }

    /// The JSON objects of the hosts in the order of the inventory, each without a line end.
    pub fn lines(&self) -> impl Iterator<Item = Result<Vec<u8>, JournalError>> {
        self.indexed_lines().map(|(_, line)| line)
    }

    fn indexed_lines(&self) -> impl Iterator<Item = (usize, Result<Vec<u8>, JournalError>)> {
        self.places
            .iter()
            .enumerate()
            .filter(|(_, place)| place.length > 0)
            .map(|(index, place)| (index, self.line_at(*place).map_err(|source| JournalError::Read { index, source })))
    }

    fn line_at(&self, place: Place) -> io::Result<Vec<u8>> {
        let length = usize::try_from(place.length - 1).map_err(io::Error::other)?;
        let mut line = vec![0; length];
        self.file.read_exact_at(&mut line, place.offset)?;
        Ok(line)
    }
}

/// What can go wrong with the journal; never the fault of a host.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// There is no place for it.
    #[error("cannot make a temporary file in `{}`", directory.display())]
    Create {
        /// The directory for temporary files.
        directory: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A host could not be kept, most likely for want of space.
    #[error("cannot keep the result of `{host}` in `{}` (kept so far: {kept})", directory.display())]
    Append {
        /// The host that is lost.
        host: String,
        /// How many hosts are kept and can be read.
        kept: usize,
        /// The directory for temporary files.
        directory: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A line could not be read back.
    #[error("cannot read back the result of host number {index}")]
    Read {
        /// The place in the inventory, from 0.
        index: usize,
        /// What the system said.
        source: io::Error,
    },
    /// A line is not what was written.
    #[error("the kept result of host number {index} is damaged")]
    Damaged {
        /// The place in the inventory, from 0.
        index: usize,
        /// Where it stops making sense.
        source: serde_json::Error,
    },
}

impl JournalError {
    /// What to do about it, where there is something to do.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Create { .. } | Self::Append { .. } => Some("set TMPDIR to a directory with more room"),
            Self::Read { .. } | Self::Damaged { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;

    use super::*;
    use crate::model::{Evidence, Finding, Outcome, Privilege, Reason, Verdict, Why};

    fn host(index: usize) -> HostReport {
        let detail = "sudo: a password is required";
        HostReport {
            index,
            name: format!("web{index}\u{202e}\n\"'"),
            address: "192.0.2.1:2222".to_owned(),
            groups: vec!["prod".to_owned(), "web".to_owned()],
            outcome: Outcome::scanned(),
            os: Some(Evidence::new("Debian GNU/Linux 12 (bookworm)")),
            privilege: Some(Privilege::Sudo),
            host_key: None,
            scanned_at: "2026-01-02T03:04:05Z".to_owned(),
            duration_ms: 1_234,
            findings: vec![
                Finding { check: "a".to_owned(), verdict: Verdict::Fail, evidence: vec![Evidence::from_source("x\x1b", "stat")] },
                Finding {
                    check: "b".to_owned(),
                    verdict: Verdict::Unknown(Why::NeedsRoot(detail.to_owned())),
                    evidence: vec![Evidence::new(detail)],
                },
            ],
        }
    }

    #[test]
    fn hosts_come_back_whole_and_in_the_order_of_the_inventory() {
        let mut journal = Journal::new().unwrap();
        let mut hosts: Vec<_> = (0..6).map(host).collect();
        hosts[2].outcome = Outcome::without_answers(Reason::HostKeyChanged, "a\x07b");
        hosts[2].findings.clear();
        hosts[2].os = None;
        hosts[2].privilege = None;
        for index in [4, 0, 2, 5, 1] {
            journal.append(&hosts[index]).unwrap();
        }
        hosts.remove(3);
        assert_eq!(journal.len(), 5);
        assert_eq!(journal.read().collect::<Result<Vec<_>, _>>().unwrap(), hosts);
    }

    #[test]
    fn a_line_is_one_json_object_without_line_ends() {
        let mut journal = Journal::new().unwrap();
        journal.append(&host(7)).unwrap();
        let lines: Vec<_> = journal.lines().map(Result::unwrap).collect();
        assert_eq!(lines.len(), 1);
        let line = std::str::from_utf8(&lines[0]).unwrap();
        assert!(line.starts_with(r#"{"name":"web7"#) && line.ends_with('}') && !line.contains('\n'), "{line}");
        assert!(serde_json::from_str::<serde_json::Value>(line).unwrap().is_object());
    }

    #[test]
    fn the_second_word_of_a_host_replaces_the_first() {
        let mut journal = Journal::new().unwrap();
        journal.append(&host(0)).unwrap();
        let second = HostReport { duration_ms: 9, ..host(0) };
        journal.append(&second).unwrap();
        assert_eq!(journal.len(), 1);
        assert_eq!(journal.read().map(Result::unwrap).collect::<Vec<_>>(), [second]);
    }

    #[test]
    fn a_full_disk_is_named_and_what_was_kept_is_still_read() {
        let named = tempfile::NamedTempFile::new().unwrap();
        let mut journal = Journal::over(named.reopen().unwrap());
        journal.append(&host(1)).unwrap();

        let good = std::mem::replace(&mut journal.file, OpenOptions::new().write(true).open("/dev/full").unwrap());
        let error = journal.append(&host(0)).unwrap_err();
        let JournalError::Append { kept: 1, source, .. } = &error else { panic!("{error:?}") };
        assert_eq!(source.kind(), io::ErrorKind::StorageFull);
        assert!(error.hint().unwrap().contains("TMPDIR"));

        journal.file = good;
        assert_eq!(journal.read().map(Result::unwrap).collect::<Vec<_>>(), [host(1)]);
        journal.append(&host(0)).unwrap();
        assert_eq!(journal.read().map(Result::unwrap).collect::<Vec<_>>(), [host(0), host(1)]);
    }

    #[test]
    fn a_host_costs_sixteen_bytes_of_memory() {
        assert_eq!(size_of::<Place>(), 16);
    }
}
