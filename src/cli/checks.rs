//! `fleetscan checks`: what is judged, and whether a pack is sound.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::args::CheckArgs;
use super::error::Error;
use super::{ExitStatus, print, vocabulary};
use crate::check::{Check, CheckSet, FUNCTIONS, Source};
use crate::model::{counted, nearest};

/// Look at the checks.
#[derive(Debug, Args)]
pub(super) struct ChecksArgs {
    #[command(subcommand)]
    command: ChecksCommand,
}

#[derive(Debug, Subcommand)]
enum ChecksCommand {
    /// One line for each check: id, severity, title
    List {
        #[command(flatten)]
        checks: CheckArgs,
    },
    /// Everything about one check
    Show {
        /// Its id
        id: String,
        /// Directory of check packs in place of the built-in ones
        #[arg(long, value_name = "DIR")]
        checks: Option<PathBuf>,
    },
    /// Validate the packs of a directory and run the examples of every check
    Lint {
        /// The directory
        dir: PathBuf,
    },
}

impl ChecksArgs {
    pub(super) fn run(self) -> Result<ExitStatus, Error> {
        match self.command {
            ChecksCommand::List { checks } => {
                let set = checks.load()?;
                let width = set.checks().iter().map(|check| check.info.id.len()).max().unwrap_or_default();
                let mut text = String::new();
                for Check { info, .. } in set.checks() {
                    // Writing to a String cannot fail.
                    let _ = writeln!(text, "{:width$}  {:8}  {}", info.id, info.severity, info.title);
                }
                print(&text)?;
            }
            ChecksCommand::Show { id, checks } => {
                let set = CheckArgs { checks, only: Vec::new(), skip: Vec::new() }.load()?;
                let check = set.checks().iter().find(|check| check.info.id == id).ok_or_else(|| unknown(&id, &set))?;
                print(&show(check))?;
            }
            ChecksCommand::Lint { dir } => return lint(dir),
        }
        Ok(ExitStatus::Clean)
    }
}

fn unknown(id: &str, set: &CheckSet) -> Error {
    let error = Error::new(format!("there is no check `{id}`"));
    match nearest(id, set.checks().iter().map(|check| check.info.id.as_str())) {
        Some(nearest) => error.hint(format!("did you mean `{nearest}`?")),
        None => error.hint("`fleetscan checks list` shows them all"),
    }
}

fn show(check: &Check) -> String {
    let info = &check.info;
    let mut text = format!("{}\n  {}\n\n", info.id, info.title);
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(text, "  {name:12} {}", value.replace('\n', "\n               "));
    };
    line("severity", info.severity.as_str());
    line("tags", &info.tags.join(", "));
    line("defined in", &format!("{}:{}", check.file, check.line));
    line("rationale", &info.rationale);
    line("remediation", &info.remediation);
    for (name, value) in &info.references {
        line(name, value);
    }
    for (name, source) in &check.sources {
        line(name, source);
    }
    let vocabulary = vocabulary();
    for fact in check.facts() {
        let source = vocabulary.term(&fact.name).map(|term| term.source).unwrap_or_default();
        line("fact", &format!("{fact}  [{source}]"));
    }
    text
}

fn lint(directory: PathBuf) -> Result<ExitStatus, Error> {
    let set = CheckSet::load(&Source::Directory(directory), &vocabulary()).map_err(|error| Error::new(error.to_string()))?;
    let faults = set.example_faults();
    let mut text = String::new();
    for fault in &faults {
        let _ = writeln!(text, "{}: an example for {} is {}:", fault.check, fault.expected, fault.found.verdict.as_str());
        for evidence in &fault.found.evidence {
            let _ = writeln!(text, "    {}", evidence.text());
        }
    }
    let examples: usize = set.checks().iter().map(|check| check.examples.len()).sum();
    let _ = writeln!(
        text,
        "{}, {}, {}",
        counted(set.checks().len() as u64, "check"),
        counted(examples as u64, "example"),
        counted(faults.len() as u64, "fault")
    );
    print(&text)?;
    Ok(if faults.is_empty() { ExitStatus::Clean } else { ExitStatus::Findings })
}

/// The functions of expressions, for `facts list`.
pub(super) fn functions() -> String {
    FUNCTIONS.iter().fold(String::new(), |mut text, function| {
        let _ = writeln!(text, "{}\n    {}", function.call, function.summary);
        text
    })
}
