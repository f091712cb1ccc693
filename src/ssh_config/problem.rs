//! What is wrong with a configuration, and where it stands.

use std::fmt;
use std::sync::Arc;

pub(super) use crate::model::{Complaint, Problem};

/// Everything that is wrong with a configuration: all of it, in the order of the files.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ConfigErrors {
    /// At least one.
    pub problems: Vec<Problem>,
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        Problem::write_all(&self.problems, "SSH configuration", out)
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
        complaint.at(Arc::clone(&self.file), self.line)
    }
}
