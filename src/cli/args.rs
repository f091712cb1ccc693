//! Groups of arguments that several subcommands share.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::error::Error;
use super::{vocabulary, warn};
use crate::check::{self, CheckSet};
use crate::inventory::{Given, Inventory, Loaded, Selection, Source, load};
use crate::model::{Host, Severity};

/// Which hosts.
#[derive(Debug, Args)]
pub(super) struct InventoryArgs {
    /// Inventory: a file, directory or program, `-` for standard input, or a list with a comma (`web01,web02,`); may be given several times
    #[arg(short, long, value_name = "INVENTORY", required = true)]
    pub(super) inventory: Vec<String>,
    /// Only hosts that match, as `ansible -l`: `web:&prod:!web03`, globs, `~regex`, `@FILE`
    #[arg(short, long, value_name = "PATTERN")]
    pub(super) limit: Option<String>,
}

impl InventoryArgs {
    /// The inventory, whole; what was noticed on the way goes to standard error.
    pub(super) fn load(&self) -> Result<Inventory, Error> {
        let sources: Vec<Source> = self.inventory.iter().map(|argument| Source::from_argument(argument)).collect();
        let Loaded { inventory, warnings } =
            load(&sources).map_err(|error| Error::because("the inventory cannot be used", error))?;
        warnings.iter().for_each(|warning| warn(&warning.to_string()));
        Ok(inventory)
    }

    /// The hosts to scan.
    pub(super) fn select(&self) -> Result<Vec<Host>, Error> {
        self.select_given(Given::default())
    }

    /// The hosts to scan, with what the command line says beside the inventory.
    pub(super) fn select_given(&self, given: Given) -> Result<Vec<Host>, Error> {
        let Selection { hosts, warnings } = self
            .load()?
            .select(self.limit.as_deref(), given)
            .map_err(|error| Error::because("no hosts can be selected", error))?;
        warnings.iter().for_each(|warning| warn(warning));
        Ok(hosts)
    }
}

/// Which checks.
#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// Directory of check packs (`*.yaml`) in place of the built-in ones
    #[arg(long, value_name = "DIR")]
    pub(super) checks: Option<PathBuf>,
    /// Only these checks: an id, a tag, or an id with `*`; may be given several times or with commas
    #[arg(long, value_name = "CHECK-OR-TAG", value_delimiter = ',')]
    pub(super) only: Vec<String>,
    /// Not these checks: an id, a tag, or an id with `*`; may be given several times or with commas
    #[arg(long, value_name = "CHECK-OR-TAG", value_delimiter = ',')]
    pub(super) skip: Vec<String>,
}

impl CheckArgs {
    /// The selected checks.
    pub(super) fn load(&self) -> Result<CheckSet, Error> {
        let source = self.checks.clone().map_or(check::Source::Embedded, check::Source::Directory);
        let checks = CheckSet::load(&source, &vocabulary()).map_err(|error| Error::new(error.to_string()))?;
        checks.select(&self.only, &self.skip).map_err(Error::new)
    }
}

/// Which failures count for the exit status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum FailOn {
    /// Every failure.
    Info,
    /// Low and above.
    Low,
    /// Medium and above.
    Medium,
    /// High and critical.
    High,
    /// Critical only.
    Critical,
    /// No failure: only hosts not scanned change the exit status.
    Never,
}

impl FailOn {
    /// The least severity that counts.
    pub(super) fn severity(self) -> Option<Severity> {
        match self {
            Self::Info => Some(Severity::Info),
            Self::Low => Some(Severity::Low),
            Self::Medium => Some(Severity::Medium),
            Self::High => Some(Severity::High),
            Self::Critical => Some(Severity::Critical),
            Self::Never => None,
        }
    }
}

/// A time in seconds, or with `s`, `m` or `h` behind it. Zero is refused: nothing can be done in no time.
pub(super) fn seconds(text: &str) -> Result<Duration, String> {
    let (number, unit) = match text.char_indices().last() {
        Some((at, 's')) => (&text[..at], 1.0),
        Some((at, 'm')) => (&text[..at], 60.0),
        Some((at, 'h')) => (&text[..at], 3600.0),
        _ => (text, 1.0),
    };
    let seconds: f64 = number.parse().map_err(|_| "a time is a number of seconds, or such as `90s`, `5m`, `2h`".to_owned())?;
    match Duration::try_from_secs_f64(seconds * unit) {
        Ok(time) if time >= Duration::from_millis(1) && time <= Duration::from_secs(366 * 86_400) => Ok(time),
        _ => Err("a time is more than zero and at most a year".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_seconds_or_has_a_unit() {
        assert_eq!(seconds("10"), Ok(Duration::from_secs(10)));
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        assert_eq!(seconds("5m"), Ok(Duration::from_secs(300)));
        for wrong in ["0", "-1", "x", "", "s", "inf", "NaN", "1d", "1e300"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }
}
