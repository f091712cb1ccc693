//! Reports: one file per format, each a pure function from the totals and the journal to bytes.
//!
//! Every format makes its own pass over the journal in the order of the inventory, so none holds more than one host, and the order of a
//! report never depends on which host finished first.

mod csv;
#[cfg(test)]
mod fixture;
mod json;
mod layout;
mod output;
mod progress;
mod terminal;

use std::fmt;
use std::io;

pub use self::json::json_schema;
pub use self::output::{Output, OutputError, ReportError, Sink, open_all, write_all};
pub use self::progress::Progress;
pub use self::terminal::{Terminal, write_terminal};

use crate::journal::{Journal, JournalError};
use crate::model::{FleetReport, HostReport, Outcome, Status, escape};

/// A format that a report can be written in.
#[derive(Clone, Copy)]
pub struct Format {
    /// The name on the command line.
    pub name: &'static str,
    /// The usual extension of a file, without the dot.
    pub extension: &'static str,
    /// What it is for, in a phrase.
    pub meaning: &'static str,
    /// Writes the whole report.
    pub write: WriteFormat,
}

/// Writes a whole report to somewhere.
pub type WriteFormat = fn(&FleetReport, &Journal, &mut dyn io::Write) -> Result<(), WriteError>;

/// Every format, in the order of the documentation.
pub const FORMATS: [Format; 3] = [
    Format {
        name: "json",
        extension: "json",
        meaning: "everything, for programs (see the published schema)",
        write: json::write,
    },
    Format { name: "csv", extension: "csv", meaning: "a row for every host and check, for auditors", write: csv::write },
    Format {
        name: "text",
        extension: "txt",
        meaning: "the summary of the terminal, plain, 80 columns",
        write: terminal::write_plain,
    },
];

impl Format {
    /// The format of that name.
    pub fn named(name: &str) -> Option<&'static Self> {
        FORMATS.iter().find(|format| format.name == name)
    }
}

impl fmt::Debug for Format {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name)
    }
}

/// Why a report stopped in the middle.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The file or the stream took no more.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The journal gave no more.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// Text of the user's files (names, titles, addresses) made safe to print, uncut.
fn safe(text: &str) -> String {
    escape(text, text.len())
}

/// Whether a host's findings are in the report.
fn was_judged(host: &HostReport) -> bool {
    matches!(host.outcome.status, Status::Scanned | Status::Partial)
}

/// What happened to a host, for a person; where nothing exact is known, what its reason means.
fn explanation(outcome: &Outcome) -> &str {
    match outcome.detail.text() {
        "" => outcome.reason.meaning(),
        detail => detail,
    }
}
