//! What is known of a host, and why the rest is not.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::Value;

/// The name of one fact: `docker.installed`, or with its key `sysctl["net.ipv4.ip_forward"]`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FactRef {
    /// The dotted name of the fact or of its family.
    pub name: String,
    /// The key, for a fact of a keyed family.
    pub key: Option<String>,
}

impl FactRef {
    /// A fact without a key.
    pub fn plain(name: impl Into<String>) -> Self {
        Self { name: name.into(), key: None }
    }

    /// A fact of a keyed family.
    pub fn keyed(name: impl Into<String>, key: impl Into<String>) -> Self {
        Self { name: name.into(), key: Some(key.into()) }
    }
}

impl fmt::Display for FactRef {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.key {
            None => out.write_str(&self.name),
            Some(key) => write!(out, "{}[\"{key}\"]", self.name),
        }
    }
}

/// Why a fact is not known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "code", content = "detail", rename_all = "snake_case")]
pub enum Why {
    /// Root is needed (or membership of the docker group) and neither the login nor sudo gave it.
    NeedsRoot(String),
    /// The program that would tell is not installed.
    ToolMissing(String),
    /// The command ran into its time limit on the host, or the host ran out of its time.
    TimedOut(String),
    /// The command failed: exit status and what it said.
    ProbeFailed(String),
    /// The answer came but made no sense.
    CouldNotBeParsed(String),
    /// The answer was longer than the limit, so what is missing cannot be known.
    Truncated(String),
    /// The answer never came: the connection ended first.
    NotAnswered(String),
}

impl Why {
    /// The stable code, as in JSON and CSV.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NeedsRoot(_) => "needs_root",
            Self::ToolMissing(_) => "tool_missing",
            Self::TimedOut(_) => "timed_out",
            Self::ProbeFailed(_) => "probe_failed",
            Self::CouldNotBeParsed(_) => "could_not_be_parsed",
            Self::Truncated(_) => "truncated",
            Self::NotAnswered(_) => "not_answered",
        }
    }

    /// Every stable code.
    pub const CODES: [&'static str; 7] =
        ["needs_root", "tool_missing", "timed_out", "probe_failed", "could_not_be_parsed", "truncated", "not_answered"];

    /// The reason of a stable code; `None` for a code that is none.
    pub fn from_code(code: &str, detail: String) -> Option<Self> {
        Some(match code {
            "needs_root" => Self::NeedsRoot(detail),
            "tool_missing" => Self::ToolMissing(detail),
            "timed_out" => Self::TimedOut(detail),
            "probe_failed" => Self::ProbeFailed(detail),
            "could_not_be_parsed" => Self::CouldNotBeParsed(detail),
            "truncated" => Self::Truncated(detail),
            "not_answered" => Self::NotAnswered(detail),
            _ => return None,
        })
    }

    /// What exactly, for a person.
    pub fn detail(&self) -> &str {
        match self {
            Self::NeedsRoot(detail)
            | Self::ToolMissing(detail)
            | Self::TimedOut(detail)
            | Self::ProbeFailed(detail)
            | Self::CouldNotBeParsed(detail)
            | Self::Truncated(detail)
            | Self::NotAnswered(detail) => detail,
        }
    }
}

/// Everything that was learned of one host: each fact is either known or unknown for a reason, never silently absent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    facts: BTreeMap<FactRef, Result<Value, Why>>,
}

impl Facts {
    /// Records a fact. The first word counts: a fact has one owner, which speaks once.
    pub fn insert(&mut self, fact: FactRef, value: Result<Value, Why>) {
        self.facts.entry(fact).or_insert(value);
    }

    /// The fact, known or not; `None` when nobody was asked for it.
    pub fn state(&self, fact: &FactRef) -> Option<&Result<Value, Why>> {
        self.facts.get(fact)
    }

    /// The value of a fact without key, or why there is none. A fact nobody was asked for is [`Why::NotAnswered`].
    pub fn value(&self, name: &str) -> Result<&Value, Why> {
        self.of(&FactRef::plain(name))
    }

    /// The value of a fact of a keyed family, or why there is none.
    pub fn keyed(&self, name: &str, key: &str) -> Result<&Value, Why> {
        self.of(&FactRef::keyed(name, key))
    }

    fn of(&self, fact: &FactRef) -> Result<&Value, Why> {
        match self.facts.get(fact) {
            Some(Ok(value)) => Ok(value),
            Some(Err(why)) => Err(why.clone()),
            None => Err(Why::NotAnswered(format!("`{fact}` was not asked for"))),
        }
    }

    /// All facts in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&FactRef, &Result<Value, Why>)> {
        self.facts.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_of_a_reason_leads_back_to_it() {
        for code in Why::CODES {
            let why = Why::from_code(code, "detail".to_owned()).unwrap();
            assert_eq!((why.code(), why.detail()), (code, "detail"));
        }
        assert_eq!(Why::from_code("no_idea", String::new()), None);
    }
}
