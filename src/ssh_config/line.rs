//! What one line means, wherever it stands.

use std::sync::Arc;

use super::keywords::{self, Keyword, Setting};
use super::lexer::{self, Statement};
use super::pattern::any_matches;
use super::problem::{Complaint, Origin, Problem};
use super::value::{self, Kind, Value};

/// A line that decides something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) setting: Setting,
    pub(super) value: Value,
    pub(super) origin: Origin,
    /// What is to be said where the line decides.
    pub(super) warning: Option<Arc<Problem>>,
}

/// What a statement is.
#[derive(Debug, Clone)]
pub(super) enum Meaning {
    Host(Vec<String>),
    /// The criteria, still as words.
    Match(Vec<String>),
    Include(Vec<String>),
    IgnoreUnknown(String),
    Line(Line),
    Nothing,
}

/// The meaning of a statement.
///
/// `ignored`: the patterns of `IgnoreUnknown` that hold here.
pub(super) fn meaning(statement: &Statement<'_>, origin: &Origin, ignored: &[String]) -> Result<Meaning, Complaint> {
    let Some((name, keyword)) = keywords::keyword(&statement.keyword) else {
        let lower = statement.keyword.to_ascii_lowercase();
        let patterns = |list: &String| any_matches(list.to_ascii_lowercase().split(','), &lower);
        return if ignored.iter().any(patterns) { Ok(Meaning::Nothing) } else { Err(unknown(&statement.keyword)) };
    };
    let of_keyword = |complaint: Complaint| Complaint { message: format!("`{name}`: {}", complaint.message), ..complaint };
    if statement.rest.is_empty() {
        return Err(Complaint::new(format!("`{name}` has no value")));
    }
    let words = || match lexer::words(statement.rest) {
        Ok(words) if words.iter().any(String::is_empty) => Err(of_keyword(Complaint::new("a word is empty"))),
        words => words.map_err(of_keyword),
    };
    match keyword {
        Keyword::Host => words().map(Meaning::Host),
        Keyword::Match => lexer::words(statement.rest).map(Meaning::Match).map_err(of_keyword),
        Keyword::Include => words().map(Meaning::Include),
        Keyword::IgnoreUnknown => match value::read(Kind::Text, statement.rest).map_err(of_keyword)?.0 {
            Value::Text(patterns) => Ok(Meaning::IgnoreUnknown(patterns)),
            _ => Ok(Meaning::Nothing),
        },
        Keyword::Accepted(kind) => value::read(kind, statement.rest).map(|_| Meaning::Nothing).map_err(of_keyword),
        Keyword::Sets(setting, kind) => {
            let (value, warning) = value::read(kind, statement.rest).map_err(of_keyword)?;
            let warning = warning.map(of_keyword).or_else(|| keywords::unsupported(setting, &value));
            let warning = warning.map(|complaint| Arc::new(origin.problem(complaint)));
            Ok(Meaning::Line(Line { setting, value, origin: origin.clone(), warning }))
        }
    }
}

fn unknown(keyword: &str) -> Complaint {
    let complaint = Complaint::new(format!("`{keyword}` is not a keyword of ssh_config"));
    let lower = keyword.to_ascii_lowercase();
    let names: Vec<(String, &str)> = keywords::names().map(|name| (name.to_ascii_lowercase(), name)).collect();
    let near = crate::model::nearest(&lower, names.iter().map(|(lower, _)| lower.as_str()));
    match near.and_then(|near| names.iter().find(|(lower, _)| lower == near)) {
        Some((_, name)) => complaint.hint(format!("did you mean `{name}`?")),
        None => complaint.hint(format!("where another program needs it, write `IgnoreUnknown {keyword}` above it")),
    }
}
