//! Recorded hosts: the answers of one host in a directory, to be judged again without it.
//!
//! `DIR/host.json` says who it was and what became of each step; `DIR/STEP.stdout` and `DIR/STEP.stderr` hold the bytes (an empty one is left out), so
//! that a recording can be read, compared and edited with any tool. Secrets were taken out before.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::script::{Answer, State, Transcript};
use crate::model::{HostReport, Outcome, Status};

/// The version of the format, in `host.json`.
const FORMAT: u32 = 1;

/// A recording could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The file system said no.
    #[error("`{}`", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// `host.json` is not what it should be.
    #[error("`{}` is not a recorded host", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// What was wrong, with line and column.
        source: serde_json::Error,
    },
    /// It was written by another version.
    #[error("`{}` has format {found}; this version reads format {FORMAT}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// The format it names.
        found: u32,
    },
    /// A state that no step has.
    #[error("`{}`: step `{step}` has the unknown state `{state}`", path.display())]
    State {
        /// The file.
        path: PathBuf,
        /// The step.
        step: String,
        /// The word.
        state: String,
    },
}

/// Who was recorded, and how the scan of it came out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recorded {
    /// Version of the format.
    format: u32,
    /// The place in the inventory, which a replay keeps.
    pub position: usize,
    /// The name in the inventory.
    pub name: String,
    /// What was dialled.
    pub address: String,
    /// The groups.
    #[serde(default)]
    pub groups: Vec<String>,
    /// When the host was taken up, RFC 3339 in UTC.
    pub scanned_at: String,
    /// How long it took, milliseconds.
    pub duration_ms: u64,
    /// Whether sudo might be asked.
    #[serde(rename = "become")]
    pub sudo: bool,
    /// How it came out.
    pub outcome: Outcome,
    /// What became of each step.
    #[serde(default)]
    pub steps: BTreeMap<String, RecordedStep>,
}

/// What became of a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordedStep {
    /// The command, for a person.
    pub command: String,
    /// The program.
    pub program: String,
    /// The word of [`State`].
    pub state: String,
    /// The exit status.
    pub exit: i32,
    /// Whether the output was cut.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
}

impl Recorded {
    /// The head of a recording, without its steps.
    pub fn new(host: &HostReport, sudo: bool) -> Self {
        Self {
            format: FORMAT,
            position: host.index,
            name: host.name.clone(),
            address: host.address.clone(),
            groups: host.groups.clone(),
            scanned_at: host.scanned_at.clone(),
            duration_ms: host.duration_ms,
            sudo,
            outcome: host.outcome.clone(),
            steps: BTreeMap::new(),
        }
    }

    /// When the scan of the host ended, RFC 3339 in UTC, to the millisecond; `None` where its times make no sense.
    pub fn ended(&self) -> Option<String> {
        let began: jiff::Timestamp = self.scanned_at.parse().ok()?;
        let lasted = std::time::Duration::from_millis(self.duration_ms);
        began.checked_add(lasted).ok().map(|ended| format!("{ended:.3}"))
    }

    /// The row of the host, before its answers are judged again.
    pub fn row(&self) -> HostReport {
        HostReport {
            index: self.position,
            name: self.name.clone(),
            address: self.address.clone(),
            groups: self.groups.clone(),
            outcome: self.outcome.clone(),
            os: None,
            privilege: None,
            host_key: None,
            scanned_at: self.scanned_at.clone(),
            duration_ms: self.duration_ms,
            findings: Vec::new(),
        }
    }
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> RecordError {
    let path = path.to_owned();
    move |source| RecordError::Io { path, source }
}

/// Makes sure that recordings can be written into a directory: it is made where it is missing, and must be empty, for answers of two scans in one place would be
/// taken for those of one.
///
/// # Errors
/// What the system says, or that there is something in it.
pub fn prepare_records(directory: &Path) -> io::Result<()> {
    private_directory(directory)?;
    match fs::read_dir(directory)?.next() {
        None => Ok(()),
        Some(_) => Err(io::Error::new(io::ErrorKind::DirectoryNotEmpty, "it is not empty, and two scans must not mix")),
    }
}

/// For its owner alone, where it is made: answers are what only root may read on the host.
fn private_directory(directory: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)
}

fn write_private(path: &Path, bytes: &[u8]) -> Result<(), RecordError> {
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(bytes)).map_err(io_error(path))
}

/// Writes the answers of a host into a directory, which is made. The owner alone can read them.
///
/// # Errors
/// [`RecordError::Io`] with the path that could not be written.
pub fn write_record(directory: &Path, mut host: Recorded, answers: &Transcript) -> Result<(), RecordError> {
    private_directory(directory).map_err(io_error(directory))?;
    for (id, answer) in answers.iter() {
        for (ending, bytes) in [("stdout", &answer.stdout), ("stderr", &answer.stderr)] {
            if !bytes.is_empty() {
                write_private(&directory.join(format!("{id}.{ending}")), bytes)?;
            }
        }
        let step = RecordedStep {
            command: answer.command.clone(),
            program: answer.program.clone(),
            state: answer.state.as_str().to_owned(),
            exit: answer.exit,
            truncated: answer.truncated,
        };
        host.steps.insert(id.to_owned(), step);
    }
    let path = directory.join("host.json");
    let mut json = serde_json::to_vec_pretty(&host).map_err(|source| RecordError::Json { path: path.clone(), source })?;
    json.push(b'\n');
    write_private(&path, &json)
}

/// Reads what [`write_record`] wrote.
///
/// # Errors
/// [`RecordError`] with the file and what was wrong with it.
pub fn read_record(directory: &Path) -> Result<(Recorded, Transcript), RecordError> {
    read_record_with(directory, |path| fs::read(path))
}

/// The same from files that need not be on disk: `read` gives the bytes of a path, or an error of kind `NotFound`.
///
/// # Errors
/// As [`read_record`].
pub fn read_record_with(
    directory: &Path,
    read: impl Fn(&Path) -> io::Result<Vec<u8>>,
) -> Result<(Recorded, Transcript), RecordError> {
    let path = directory.join("host.json");
    let bytes = read(&path).map_err(io_error(&path))?;
    let host: Recorded = serde_json::from_slice(&bytes).map_err(|source| RecordError::Json { path: path.clone(), source })?;
    if host.format != FORMAT {
        return Err(RecordError::Format { path, found: host.format });
    }
    let mut answers = Vec::new();
    for (id, step) in &host.steps {
        let state = State::of(&step.state).ok_or_else(|| RecordError::State {
            path: path.clone(),
            step: id.clone(),
            state: step.state.clone(),
        })?;
        let stream = |ending: &str| {
            let path = directory.join(format!("{id}.{ending}"));
            match read(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
                other => other.map_err(io_error(&path)),
            }
        };
        let answer = Answer {
            command: step.command.clone(),
            program: step.program.clone(),
            state,
            exit: step.exit,
            stdout: stream("stdout")?,
            stderr: stream("stderr")?,
            truncated: step.truncated,
        };
        answers.push((id.clone(), answer));
    }
    let complete = host.outcome.status == Status::Scanned;
    Ok((host, Transcript::from_answers(answers, complete)))
}

#[cfg(test)]
mod tests {
    use super::super::script::tests::{answered_with, not_run};
    use super::*;
    use crate::model::{Evidence, Reason};

    fn row() -> HostReport {
        HostReport {
            index: 3,
            name: "web01".to_owned(),
            address: "192.0.2.1".to_owned(),
            groups: vec!["web".to_owned()],
            outcome: Outcome { status: Status::Partial, reason: Reason::ConnectionLost, detail: Evidence::new("reset") },
            os: None,
            privilege: None,
            host_key: None,
            scanned_at: "2026-01-02T03:04:05.678Z".to_owned(),
            duration_ms: 12,
            findings: Vec::new(),
        }
    }

    #[test]
    fn a_recording_ended_when_the_host_did_whenever_it_is_replayed() {
        let mut host = Recorded::new(&row(), true);
        (host.scanned_at, host.duration_ms) = ("2026-01-02T03:04:05.250Z".to_owned(), 1_750);
        assert_eq!(host.ended().as_deref(), Some("2026-01-02T03:04:07.000Z"));
        host.scanned_at = "yesterday".to_owned();
        assert_eq!(host.ended(), None);
    }

    #[test]
    fn a_recorded_host_reads_back_as_it_was_to_the_byte() {
        let directory = tempfile::tempdir().expect("a directory");
        let answers =
            [("one".to_owned(), answered_with("out\u{0}\n\n", "err", 3)), ("two".to_owned(), not_run(State::NeedsRoot))];
        let transcript = Transcript::from_answers(answers, false);
        write_record(directory.path(), Recorded::new(&row(), true), &transcript).expect("written");
        let (host, read) = read_record(directory.path()).expect("read");
        assert_eq!(read, transcript);
        assert_eq!(host.row(), row());
        assert!(host.sudo);
    }

    #[test]
    fn a_recording_that_is_none_is_named_with_its_file() {
        let directory = tempfile::tempdir().expect("a directory");
        let error = read_record(directory.path()).expect_err("nothing there");
        assert!(error.to_string().contains("host.json"), "{error}");
        fs::write(directory.path().join("host.json"), "{").expect("written");
        assert!(matches!(read_record(directory.path()), Err(RecordError::Json { .. })));
    }
}
