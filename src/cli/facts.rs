//! `fleetscan facts`: what checks can speak of.

use std::fmt::Write as _;

use clap::{Args, Subcommand};

use super::checks::functions;
use super::error::Error;
use super::{ExitStatus, print};
use crate::probe::{FactSpec, fact_specs};

/// Look at the facts that checks can speak of.
#[derive(Debug, Args)]
pub(super) struct FactsArgs {
    #[command(subcommand)]
    command: FactsCommand,
}

#[derive(Debug, Subcommand)]
enum FactsCommand {
    /// Every fact with its type, unit, source command and the privilege it takes to learn it
    List,
}

impl FactsArgs {
    pub(super) fn run(self) -> Result<ExitStatus, Error> {
        let FactsCommand::List = self.command;
        let mut text = String::new();
        for FactSpec { name, key, kind, unit, source, rights, summary } in fact_specs() {
            let key = key.map(|key| format!("[\"{key}\"]")).unwrap_or_default();
            let unit = unit.map(|unit| format!(" in {unit}")).unwrap_or_default();
            let rights = rights.as_str();
            // Writing to a String cannot fail.
            let _ = writeln!(
                text,
                "{name}{key}\n    {summary}\n    type: {kind}{unit}\n    source: {source}\n    privilege: {rights}"
            );
        }
        let _ = write!(text, "\nFunctions of expressions, besides those of CEL:\n{}", functions());
        print(&text)?;
        Ok(ExitStatus::Clean)
    }
}
