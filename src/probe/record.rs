//! Recorded hosts: the answers of one host in a directory, to be judged again without it.
//!
//! `DIR/host.json` says who it was and what became of each step; `DIR/STEP.stdout` and `DIR/STEP.stderr` hold the bytes (an empty one is left out), so
//! that a recording can be read, compared and edited with any tool. Secrets were taken out before.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::script::{Answer, State, Transcript};

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

/// Who was recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recorded {
    /// Version of the format.
    pub format: u32,
    /// The name in the inventory.
    pub name: String,
    /// What was dialled.
    pub address: String,
    /// The groups.
    #[serde(default)]
    pub groups: Vec<String>,
    /// When, RFC 3339 in UTC.
    pub recorded: String,
    /// `root`, `sudo` or `user`.
    pub privilege: crate::model::Privilege,
    /// Whether every step was answered.
    pub complete: bool,
    /// What became of each step.
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
    pub fn new(name: &str, address: &str, groups: &[String], recorded: &str, privilege: crate::model::Privilege) -> Self {
        Self {
            format: FORMAT,
            name: name.to_owned(),
            address: address.to_owned(),
            groups: groups.to_vec(),
            recorded: recorded.to_owned(),
            privilege,
            complete: false,
            steps: BTreeMap::new(),
        }
    }
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> RecordError {
    let path = path.to_owned();
    move |source| RecordError::Io { path, source }
}

/// Writes the answers of a host into a directory, which is made.
///
/// # Errors
/// [`RecordError::Io`] with the path that could not be written.
pub fn write_record(directory: &Path, mut host: Recorded, answers: &Transcript) -> Result<(), RecordError> {
    fs::create_dir_all(directory).map_err(io_error(directory))?;
    host.complete = answers.is_complete();
    for (id, answer) in answers.iter() {
        for (ending, bytes) in [("stdout", &answer.stdout), ("stderr", &answer.stderr)] {
            if !bytes.is_empty() {
                let path = directory.join(format!("{id}.{ending}"));
                fs::write(&path, bytes).map_err(io_error(&path))?;
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
    fs::write(&path, json).map_err(io_error(&path))
}

/// Reads what [`write_record`] wrote.
///
/// # Errors
/// [`RecordError`] with the file and what was wrong with it.
pub fn read_record(directory: &Path) -> Result<(Recorded, Transcript), RecordError> {
    let path = directory.join("host.json");
    let bytes = fs::read(&path).map_err(io_error(&path))?;
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
            match fs::read(&path) {
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
    let complete = host.complete;
    Ok((host, Transcript::from_answers(answers, complete)))
}
