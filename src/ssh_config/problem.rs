//! What is wrong with a configuration, and where.

use std::fmt;
use std::sync::Arc;

/// A place in a configuration and what is to be said of it; an error or a warning by where it stands.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Problem {
    /// The file as it was named, or what the options for `ssh` came from.
    pub file: Arc<str>,
    /// The line, from 1; `None` where the whole file is meant, and for options.
    pub line: Option<u32>,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(out, ":{line}")?;
        }
        write!(out, ": {}", self.message)?;
        self.hint.as_ref().map_or(Ok(()), |hint| write!(out, " ({hint})"))
    }
}

/// One problem is enough to stop a host.
impl std::error::Error for Problem {}

/// Everything that is wrong with a configuration: all of it, in the order of the files.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ConfigErrors {
    /// At least one.
    pub problems: Vec<Problem>,
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.problems.as_slice() {
            [only] => write!(out, "{only}"),
            several => {
                write!(out, "{} errors in the SSH configuration", several.len())?;
                several.iter().try_for_each(|problem| write!(out, "\n  {problem}"))
            }
        }
    }
}

/// Where a line stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Origin {
    pub(super) file: Arc<str>,
    pub(super) line: Option<u32>,
    /// From the user's file or the command line, not from the system's file.
    pub(super) of_user: bool,
}

impl Origin {
    pub(super) fn problem(&self, complaint: Complaint) -> Problem {
        Problem { file: Arc::clone(&self.file), line: self.line, message: complaint.message, hint: complaint.hint }
    }
}

/// What is wrong with a piece of text, before it is known where the text stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Complaint {
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

impl Complaint {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None }
    }

    pub(super) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}
