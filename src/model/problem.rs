//! What is wrong with what the user wrote, and where it stands.

use std::fmt;
use std::sync::Arc;

use super::escape;

/// The longest part of a problem that is shown whole, in characters.
const LONGEST_SHOWN: usize = 4_000;

/// A place in an inventory or a configuration and what is to be said of it; an error or a warning by where it stands.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Problem {
    /// The file as it was named, or the option or variable that a text came from.
    pub file: Arc<str>,
    /// The line, from 1; `None` where the whole is meant.
    pub line: Option<u32>,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        // An inventory may come from a program and what it says from a cloud: nothing of it reaches a terminal as it is.
        let safe = |text: &str| escape(text, LONGEST_SHOWN);
        out.write_str(&safe(&self.file))?;
        if let Some(line) = self.line {
            write!(out, ":{line}")?;
        }
        write!(out, ": {}", safe(&self.message))?;
        self.hint.as_ref().map_or(Ok(()), |hint| write!(out, " ({})", safe(hint)))
    }
}

/// One problem is enough to stop a host.
impl std::error::Error for Problem {}

impl Problem {
    /// Writes several of them, one a line, under a head that counts them; one stands by itself. `place` is what they are in.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn write_all(problems: &[Self], place: &str, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match problems {
            [only] => write!(out, "{only}"),
            several => {
                write!(out, "{} errors in the {place}", several.len())?;
                several.iter().try_for_each(|problem| write!(out, "\n  {problem}"))
            }
        }
    }
}

/// What is wrong with a piece of text, before it is known where the text stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaint {
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Complaint {
    /// A complaint without a hint.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None }
    }

    /// The same with what to do about it.
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// The same with where it stands.
    pub fn at(self, file: impl Into<Arc<str>>, line: Option<u32>) -> Problem {
        Problem { file: file.into(), line, message: self.message, hint: self.hint }
    }
}
