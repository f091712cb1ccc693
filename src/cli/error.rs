//! What ends a command before it did anything: one message, one hint, exit status 2.

use std::error::Error as StdError;

/// A command could not be carried out.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    message: String,
    #[source]
    source: Option<Box<dyn StdError + Send + Sync>>,
    hint: Option<String>,
}

impl Error {
    /// A message of our own: a lower-case fragment.
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), source: None, hint: None }
    }

    /// What was being done when another error came.
    pub(super) fn because(message: impl Into<String>, source: impl StdError + Send + Sync + 'static) -> Self {
        Self { message: message.into(), source: Some(Box::new(source)), hint: None }
    }

    /// The same with what to do about it.
    #[must_use]
    pub(super) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// The message, its causes and the hint, as they are printed once.
    pub fn report(&self) -> String {
        let mut text = format!("error: {self}");
        let mut cause = self.source();
        while let Some(error) = cause {
            text.push_str(&format!("\n  because: {error}"));
            cause = error.source();
        }
        if let Some(hint) = &self.hint {
            text.push_str(&format!("\n  hint: {hint}"));
        }
        text
    }
}
