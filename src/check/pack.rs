//! Check packs: reading, validating, selecting.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use include_dir::{Dir, include_dir};
use serde::Deserialize;
use serde_saphyr::Spanned;

use super::expression::Expression;
use super::vocabulary::Vocabulary;
use crate::model::{CheckInfo, FactRef, Facts, Severity, Value, nearest};

/// The packs that come with fleetscan.
static EMBEDDED: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/checks");

/// Where packs come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The packs inside the binary.
    Embedded,
    /// Every `*.yaml` of a directory, in place of the embedded ones.
    Directory(PathBuf),
}

/// Something wrong in a pack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackFault {
    /// The file.
    pub file: String,
    /// The line, from 1; 0 where the file as a whole is meant.
    pub line: u64,
    /// What is wrong, and what to do.
    pub message: String,
}

impl fmt::Display for PackFault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(out, "{}: {}", self.file, self.message),
            line => write!(out, "{}:{line}: {}", self.file, self.message),
        }
    }
}

/// Packs could not be loaded. Every fault is named at once.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the check packs cannot be used{}", faults.iter().map(|fault| format!("\n  {fault}")).collect::<String>())]
pub struct PackError {
    /// The faults, in the order of files and lines; never empty.
    pub faults: Vec<PackFault>,
}

/// A pack as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PackFile {
    #[serde(default)]
    params: BTreeMap<String, Value>,
    checks: Vec<Spanned<CheckEntry>>,
}

/// A check as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CheckEntry {
    id: String,
    title: String,
    severity: Severity,
    #[serde(default)]
    tags: Vec<String>,
    #[serde(default)]
    applies: Option<String>,
    #[serde(default)]
    expect: Option<String>,
    #[serde(default)]
    violations: Option<String>,
    #[serde(default)]
    review: Option<String>,
    rationale: String,
    remediation: String,
    #[serde(default)]
    references: BTreeMap<String, String>,
    examples: BTreeMap<String, BTreeMap<String, Value>>,
}

/// What decides a check.
#[derive(Debug)]
pub(super) enum Rule {
    /// True passes.
    Expect(Expression),
    /// An empty list passes.
    Violations(Expression),
}

/// Facts, and the verdict they lead to.
#[derive(Debug, Clone)]
pub struct Example {
    /// The verdict's word: `pass`, `fail`, `review`, `not_applicable`.
    pub verdict: String,
    /// The facts.
    pub(super) facts: Facts,
    /// Parameters that differ from the defaults of the pack.
    pub(super) params: BTreeMap<String, Value>,
}

/// One check, compiled.
#[derive(Debug)]
pub struct Check {
    /// What reports say of it.
    pub info: Arc<CheckInfo>,
    /// Where it is written.
    pub file: String,
    /// The line its entry begins on.
    pub line: u64,
    /// The expressions as written: `applies`, then `expect` or `violations`, then `review`.
    pub sources: Vec<(&'static str, String)>,
    /// What its author says it answers to.
    pub examples: Vec<Example>,
    pub(super) applies: Option<Expression>,
    pub(super) rule: Rule,
    pub(super) review: Option<Expression>,
}

impl Check {
    /// Every expression of the check.
    pub(super) fn expressions(&self) -> impl Iterator<Item = &Expression> {
        let (Rule::Expect(rule) | Rule::Violations(rule)) = &self.rule;
        self.applies.iter().chain([rule]).chain(&self.review)
    }

    /// The facts it needs.
    pub fn facts(&self) -> BTreeSet<&FactRef> {
        self.expressions().flat_map(Expression::facts).collect()
    }

    /// Whether a word of `--only` or `--skip` means this check: its id, one of its tags, or a pattern with `*` for its id.
    fn is_meant_by(&self, word: &str) -> bool {
        match word.split_once('*') {
            None => self.info.id == word || self.info.tags.iter().any(|tag| tag == word),
            Some((begin, end)) => {
                self.info.id.len() >= begin.len() + end.len() && self.info.id.starts_with(begin) && self.info.id.ends_with(end)
            }
        }
    }
}

/// All checks of a scan, in the order of every report.
#[derive(Debug)]
pub struct CheckSet {
    checks: Vec<Check>,
    params: BTreeMap<String, Value>,
    vocabulary: Vocabulary,
}

impl CheckSet {
    /// Reads, validates and compiles packs.
    ///
    /// # Errors
    /// [`PackError`] with every fault of every file.
    pub fn load(source: &Source, vocabulary: &Vocabulary) -> Result<Self, PackError> {
        let mut faults = Vec::new();
        let mut checks: Vec<Check> = Vec::new();
        let mut params = BTreeMap::new();
        for (file, text) in files(source)? {
            let pack: PackFile = match serde_saphyr::from_str(&text) {
                Ok(pack) => pack,
                Err(error) => {
                    let line = error.location().map_or(0, |location| location.line());
                    let message = match without_place(&error.without_snippet().to_string()) {
                        // The words of the parser, where the file begins with something else than a map.
                        message if message == "expected mapping start" && line <= first_line(&text) => {
                            "a pack is a map: a list of checks below `checks:`, and perhaps defaults below `params:`".to_owned()
                        }
                        message => message,
                    };
                    faults.push(PackFault { file, line, message });
                    continue;
                }
            };
            let tag = Path::new(&file).file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
            for (name, value) in &pack.params {
                if params.insert(name.clone(), value.clone()).is_some_and(|before| before != *value) {
                    let message = format!("the parameter `{name}` is declared with another default in another pack");
                    faults.push(PackFault { file: file.clone(), line: 0, message });
                }
            }
            for entry in pack.checks {
                let line = entry.referenced.line();
                match compile(entry.value, &file, line, &tag, vocabulary, &pack.params) {
                    Err(messages) => {
                        faults.extend(messages.into_iter().map(|message| PackFault { file: file.clone(), line, message }))
                    }
                    Ok(check) => match checks.iter().find(|known| known.info.id == check.info.id) {
                        Some(known) => {
                            let message =
                                format!("the id `{}` is taken already, by {}:{}", check.info.id, known.file, known.line);
                            faults.push(PackFault { file: file.clone(), line, message });
                        }
                        None => checks.push(check),
                    },
                }
            }
        }
        if faults.is_empty() { Ok(Self { checks, params, vocabulary: vocabulary.clone() }) } else { Err(PackError { faults }) }
    }

    /// Keeps the checks meant by any word of `only` (all, where there is none) and by no word of `skip`.
    ///
    /// # Errors
    /// The first word that means no check, with the nearest that would; or that nothing is left.
    pub fn select(mut self, only: &[String], skip: &[String]) -> Result<Self, String> {
        for word in only.iter().chain(skip) {
            if !self.checks.iter().any(|check| check.is_meant_by(word)) {
                let words = self.checks.iter().flat_map(|check| [&check.info.id].into_iter().chain(&check.info.tags));
                let hint = match nearest(word, words.map(String::as_str)) {
                    Some(nearest) => format!("; did you mean `{nearest}`?"),
                    None => "; `fleetscan checks list` shows ids and tags".to_owned(),
                };
                return Err(format!("`{word}` is neither a check nor a tag{hint}"));
            }
        }
        let meant = |check: &Check, words: &[String]| words.iter().any(|word| check.is_meant_by(word));
        self.checks.retain(|check| (only.is_empty() || meant(check, only)) && !meant(check, skip));
        if self.checks.is_empty() { Err("`--only` and `--skip` together leave no check".to_owned()) } else { Ok(self) }
    }

    /// The checks, in order.
    pub fn checks(&self) -> &[Check] {
        &self.checks
    }

    /// What reports say of them, in order.
    pub fn infos(&self) -> Vec<Arc<CheckInfo>> {
        self.checks.iter().map(|check| check.info.clone()).collect()
    }

    /// Everything that must be known to judge, no more.
    pub fn facts(&self) -> BTreeSet<FactRef> {
        self.checks.iter().flat_map(Check::facts).cloned().collect()
    }

    /// The parameters with their values.
    pub fn params(&self) -> &BTreeMap<String, Value> {
        &self.params
    }

    pub(super) fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }
}

fn is_pack(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "yaml" || ending == "yml")
}

/// The files of a source, sorted by name.
fn files(source: &Source) -> Result<Vec<(String, String)>, PackError> {
    let fault = |file: &Path, message: String| PackError {
        faults: vec![PackFault { file: file.display().to_string(), line: 0, message }],
    };
    let mut files: Vec<(String, String)> = Vec::new();
    match source {
        Source::Embedded => {
            for file in EMBEDDED.files().filter(|file| is_pack(file.path())) {
                let name = file.path().display().to_string();
                files.push((format!("checks/{name}"), file.contents_utf8().unwrap_or_default().to_owned()));
            }
        }
        Source::Directory(directory) => {
            let entries = fs::read_dir(directory).map_err(|error| fault(directory, format!("cannot be read: {error}")))?;
            for entry in entries {
                let path = entry.map_err(|error| fault(directory, format!("cannot be read: {error}")))?.path();
                if is_pack(&path) {
                    let text = fs::read_to_string(&path).map_err(|error| fault(&path, format!("cannot be read: {error}")))?;
                    files.push((path.display().to_string(), text));
                }
            }
            if files.is_empty() {
                return Err(fault(
                    directory,
                    "holds no `*.yaml`: a check pack is a file such as `checks/accounts.yaml`".to_owned(),
                ));
            }
        }
    }
    files.sort();
    Ok(files)
}

fn compile(
    entry: CheckEntry,
    file: &str,
    line: u64,
    tag: &str,
    vocabulary: &Vocabulary,
    params: &BTreeMap<String, Value>,
) -> Result<Check, Vec<String>> {
    let mut faults = Vec::new();
    let id = entry.id.clone();
    let mut say = |message: String| faults.push(format!("`{id}`: {message}"));
    let word = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    };
    if !entry.id.split('.').all(word) || !entry.id.contains('.') {
        say("an id is lower-case words with dots, such as `docker.group.trusted-members`".to_owned());
    }
    for (field, text) in [("title", &entry.title), ("rationale", &entry.rationale), ("remediation", &entry.remediation)] {
        if text.trim().is_empty() {
            say(format!("`{field}` is empty"));
        }
    }
    let mut sources = Vec::new();
    let mut expression = |name: &'static str, source: &Option<String>| {
        let source = source.as_ref()?;
        sources.push((name, source.trim().to_owned()));
        match Expression::compile(source, vocabulary, params) {
            Ok(expression) => Some(expression),
            Err(messages) => {
                messages.into_iter().for_each(|message| say(format!("{name}: {message}")));
                None
            }
        }
    };
    let applies = expression("applies", &entry.applies);
    let expect = expression("expect", &entry.expect);
    let violations = expression("violations", &entry.violations);
    let review = expression("review", &entry.review);
    if entry.expect.is_some() == entry.violations.is_some() {
        say("exactly one of `expect` and `violations` decides a check".to_owned());
    }
    let mut needed = vec!["pass", "fail"];
    needed.extend(entry.review.as_ref().map(|_| "review"));
    needed.extend(entry.applies.as_ref().map(|_| "not_applicable"));
    for verdict in &needed {
        if !entry.examples.contains_key(*verdict) {
            say(format!("`examples` needs one for `{verdict}`"));
        }
    }
    let mut examples = Vec::new();
    for (verdict, mut nested) in entry.examples {
        // `fail-telnet`: several examples of one verdict, told apart by a suffix.
        let word = verdict.split('-').next().unwrap_or_default();
        if !needed.contains(&word) {
            say(format!(
                "an example is called `{}`, with `-something` behind where there are several, not `{verdict}`",
                needed.join("`, `")
            ));
            continue;
        }
        let params = match nested.remove("params") {
            Some(Value::Map(params)) => params,
            Some(_) => {
                say(format!("example `{verdict}`: `params` is a map"));
                continue;
            }
            None => BTreeMap::new(),
        };
        match vocabulary.facts(&nested) {
            Ok(facts) => examples.push(Example { verdict: word.to_owned(), facts, params }),
            Err(message) => say(format!("example `{verdict}`: {message}")),
        }
    }
    let rule = expect.map(Rule::Expect).or(violations.map(Rule::Violations));
    let Some(rule) = rule.filter(|_| faults.is_empty()) else { return Err(faults) };
    let mut tags: BTreeSet<String> = entry.tags.into_iter().collect();
    tags.insert(tag.to_owned());
    let info = CheckInfo {
        id: entry.id,
        title: entry.title,
        severity: entry.severity,
        rationale: entry.rationale.trim().to_owned(),
        remediation: entry.remediation.trim().to_owned(),
        references: entry.references,
        tags: tags.into_iter().collect(),
    };
    Ok(Check { info: Arc::new(info), file: file.to_owned(), line, sources, examples, applies, rule, review })
}

/// The line of the first thing that is no comment, from 1.
fn first_line(text: &str) -> u64 {
    let said = |line: &str| !line.trim().is_empty() && !line.trim_start().starts_with('#');
    text.lines().take_while(|line| !said(line)).count() as u64 + 1
}

/// The first line of a parser's message, without the place that the fault names already.
fn without_place(message: &str) -> String {
    let line = message.lines().next().unwrap_or_default();
    line.rsplit_once(" at line ").map_or(line, |(message, _)| message).to_owned()
}
