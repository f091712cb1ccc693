//! What `grep -H` prints of several files: `FILE:LINE` on standard output, `grep: FILE: REASON` on standard error.

use std::collections::BTreeMap;

use super::files::glob_matches;
use super::{Answer, Transcript};
use crate::model::Why;

/// The lines of several files, and what could not be read of them.
#[derive(Debug, Default)]
pub(super) struct Texts {
    lines: BTreeMap<String, Vec<String>>,
    complaints: BTreeMap<String, String>,
}

/// What one of these programs said: `stat: REST`, or with the path that it was called by, `/usr/bin/stat: REST`.
pub(super) fn without_program<'a>(line: &'a str, programs: &[&str]) -> Option<&'a str> {
    let (program, rest) = line.split_once(": ")?;
    programs.contains(&program.rsplit('/').next().unwrap_or_default()).then_some(rest)
}

impl Texts {
    /// The answer of a step that ran `grep -H` on files.
    ///
    /// # Errors
    /// As [`Transcript::answer`]; also where grep did not understand its arguments.
    pub(super) fn of(answers: &Transcript, step: &str) -> Result<Self, Why> {
        Self::read(answers.answer(step)?)
    }

    fn read(answer: &Answer) -> Result<Self, Why> {
        let mut texts = Self::default();
        for line in answer.text().lines() {
            // A file with bytes that are no text is named instead of shown.
            let binary = line.strip_prefix("Binary file ").and_then(|rest| rest.strip_suffix(" matches"));
            let binary = binary.or_else(|| without_program(line, &["grep"])?.strip_suffix(": binary file matches"));
            match (binary, line.split_once(':')) {
                (Some(path), _) => {
                    texts.complaints.insert(path.to_owned(), "it holds bytes that are no text".to_owned());
                }
                (None, Some((path, text))) if path.starts_with('/') => {
                    texts.lines.entry(path.to_owned()).or_default().push(text.to_owned());
                }
                _ => return Err(Why::CouldNotBeParsed(format!("`{}` printed a line without a file name", answer.command))),
            }
        }
        for line in answer.error_text().lines() {
            let line = line.trim();
            let complaint = without_program(line, &["grep"]).and_then(|rest| rest.rsplit_once(": "));
            match complaint {
                Some((path, reason)) if path.starts_with('/') => {
                    texts.complaints.insert(path.to_owned(), reason.to_owned());
                }
                _ if line.is_empty() => {}
                _ => return Err(Why::ProbeFailed(format!("`{}`: {line}", answer.command))),
            }
        }
        Ok(texts)
    }

    /// The lines of a file; `None` where there is no such file.
    ///
    /// # Errors
    /// Needs-root where it could not be read.
    pub(super) fn file(&self, path: &str) -> Result<Option<Vec<&str>>, Why> {
        if self.complaint(path)? {
            return Ok(None);
        }
        Ok(Some(self.lines.get(path).into_iter().flatten().map(String::as_str).collect()))
    }

    /// True where a file is known to be absent.
    fn complaint(&self, path: &str) -> Result<bool, Why> {
        match self.complaints.get(path) {
            None => Ok(false),
            Some(reason) => match reason.as_str() {
                "No such file or directory" | "Not a directory" | "Is a directory" => Ok(true),
                "Permission denied" => Err(Why::NeedsRoot(format!("the login may not read `{path}`"))),
                reason => Err(Why::ProbeFailed(format!("`{path}`: {reason}"))),
            },
        }
    }

    /// Every file that was read, sorted, with its lines, where directory and name match.
    ///
    /// # Errors
    /// As [`Self::file`], for the first that matches and could not be read.
    pub(super) fn matching(&self, pattern: &str) -> Result<Vec<(&str, Vec<&str>)>, Why> {
        let Some((directory, last)) = pattern.rsplit_once('/') else { return Ok(Vec::new()) };
        let matches = |path: &str| {
            path.rsplit_once('/').is_some_and(|(parent, name)| parent == directory && (name == last || glob_matches(last, name)))
        };
        for path in self.complaints.keys() {
            if matches(path) || path == directory || path == pattern {
                self.complaint(path)?;
            }
        }
        let found = self.lines.iter().filter(|(path, _)| matches(path));
        Ok(found.map(|(path, lines)| (path.as_str(), lines.iter().map(String::as_str).collect())).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::script::tests::answered_with;

    #[test]
    fn a_file_that_is_missing_is_none_and_one_that_may_not_be_read_needs_root() {
        let answer = answered_with(
            "/etc/a:one\n/etc/a:two:three\n/etc/d/x.conf:four\nBinary file /etc/d/y.conf matches\n/usr/bin/grep: /etc/d/z: binary file matches\n",
            "/usr/bin/grep: /etc/b: No such file or directory\ngrep: /etc/c: Permission denied\n",
            2,
        );
        let texts = Texts::read(&answer).expect("texts");
        assert_eq!(texts.file("/etc/a"), Ok(Some(vec!["one", "two:three"])));
        assert_eq!(texts.file("/etc/b"), Ok(None));
        assert!(matches!(texts.file("/etc/c"), Err(Why::NeedsRoot(_))));
        assert_eq!(texts.matching("/etc/d/x*"), Ok(vec![("/etc/d/x.conf", vec!["four"])]));
        assert!(matches!(texts.matching("/etc/d/*.conf"), Err(Why::ProbeFailed(_))));
        assert!(matches!(texts.file("/etc/d/z"), Err(Why::ProbeFailed(_))));
    }

    #[test]
    fn an_option_that_grep_does_not_know_is_a_failure_and_not_an_empty_file() {
        assert!(matches!(
            Texts::read(&answered_with("", "grep: invalid option -- 'R'\nBusyBox v1.20\n", 1)),
            Err(Why::ProbeFailed(_))
        ));
    }
}
