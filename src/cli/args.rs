//! Groups of arguments that several subcommands share.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::error::Error;
use super::{note, vocabulary, warn};
use crate::check::{self, CheckSet};
use crate::inventory::{Given, Inventory, Loaded, Selection, Source, load};
use crate::model::{Host, Severity, with_causes};
use crate::probe::{self, Plan};
use crate::scan;
use crate::ssh::{HostIdentity, HostKeyPolicy, HostKeySources, HostKeys, NewKeys, SavedKeys};

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

/// Which hosts are let in.
#[derive(Debug, Args, Default)]
pub(super) struct HostKeyArgs {
    /// Known host keys, in place of `~/.ssh/known_hosts` and `/etc/ssh/ssh_known_hosts`
    #[arg(long, value_name = "FILE")]
    pub(super) known_hosts: Option<PathBuf>,
    /// What to do with a host whose key nobody knows; one whose key has changed is never scanned. Default `strict`
    #[arg(long, value_name = "POLICY", value_enum)]
    host_keys: Option<HostKeyChoice>,
    /// Where new host keys go: with `accept-new` in place of `~/.local/state/fleetscan/known_hosts`, with `record` in place of
    /// `./fleetscan-host-keys.new`
    #[arg(long, value_name = "FILE")]
    new_host_keys: Option<PathBuf>,
    /// Scan every host whatever key it shows: whoever stands in between can answer in its place, and the report says so
    #[arg(long, conflicts_with_all = ["host_keys", "new_host_keys"])]
    insecure_accept_any_host_key: bool,
}

/// What is done with a host whose key nobody knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum HostKeyChoice {
    /// It is not scanned
    Strict,
    /// It is scanned, and known by this key from now on
    AcceptNew,
    /// It is not scanned; its key is written to a file for you to verify
    Record,
}

/// The file of recorded keys where none is named: in the current directory, under the eyes of whoever is to look at it.
const RECORDED: &str = "fleetscan-host-keys.new";

impl HostKeyArgs {
    /// Only a file of known hosts.
    pub(super) fn with_known_hosts(known_hosts: Option<PathBuf>) -> Self {
        Self { known_hosts, ..Self::default() }
    }

    /// Where host keys come from, and what is done with hosts that have none. A policy that is not safe is said aloud.
    pub(super) fn sources(&self) -> Result<HostKeySources, Error> {
        let policy = match (self.host_keys, self.insecure_accept_any_host_key) {
            (_, true) => {
                warn("host keys are not verified: whoever stands between here and a host can answer in its place");
                HostKeyPolicy::AcceptAnything
            }
            (Some(HostKeyChoice::AcceptNew), _) => HostKeyPolicy::AcceptNew,
            (Some(HostKeyChoice::Record), _) => HostKeyPolicy::Record,
            (Some(HostKeyChoice::Strict) | None, _) => HostKeyPolicy::Strict,
        };
        let recording = policy == HostKeyPolicy::Record;
        let accepted_file = self.new_host_keys.clone().filter(|_| !recording).or_else(usual_accepted_file);
        let recorded_file = self.new_host_keys.clone().unwrap_or_else(|| RECORDED.into());
        Ok(HostKeySources {
            named: self.known_hosts.clone(),
            home: std::env::home_dir(),
            policy,
            policy_named: self.host_keys.is_some() || self.insecure_accept_any_host_key,
            make_directories: self.new_host_keys.is_none(),
            accepted_file,
            recorded_file: recording.then_some(recorded_file),
        })
    }

    /// Reads them, for all hosts at once.
    pub(super) fn load<'a>(&self, identities: impl IntoIterator<Item = &'a HostIdentity>) -> Result<HostKeys, Error> {
        let sources = self.sources()?;
        let loaded = HostKeys::load(&sources, identities).map_err(|error| {
            let hint = error.hint();
            let error = Error::because("the host keys cannot be used", error);
            hint.into_iter().fold(error, Error::hint)
        })?;
        let passed_over: Vec<String> = loaded.warnings().map(ToString::to_string).collect();
        passed_over.iter().take(WARNINGS_SHOWN).for_each(|warning| warn(warning));
        match passed_over.len().saturating_sub(WARNINGS_SHOWN) {
            0 => {}
            more => warn(&format!("and {more} more lines of known hosts that cannot be understood")),
        }
        Ok(loaded)
    }
}

/// Lines of known_hosts that are complained about one by one.
const WARNINGS_SHOWN: usize = 5;

/// Where accepted keys are kept (XDG base directories): `$XDG_STATE_HOME/fleetscan/known_hosts`.
fn usual_accepted_file() -> Option<PathBuf> {
    let state = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let state = state.or_else(|| std::env::home_dir().map(|home| home.join(".local/state")))?;
    Some(state.join("fleetscan/known_hosts"))
}

/// What became of the keys that nobody knew, on standard error. Where they could not be written, that is a warning: the hosts were scanned all the same.
pub(super) fn save_new_keys(keys: &NewKeys) {
    match keys.save() {
        Err(error) => warn(&with_causes(&error)),
        Ok(saved) => {
            for SavedKeys { path, accepted, keys, conflicts } in saved {
                for host in conflicts {
                    warn(&format!(
                        "another scan has accepted another key for `{host}` meanwhile; `{}` keeps that one",
                        path.display()
                    ));
                }
                match (keys, accepted) {
                    (0, _) => {}
                    (1, true) => note(&format!("1 new host key was accepted and written to `{}`", path.display())),
                    (keys, true) => note(&format!("{keys} new host keys were accepted and written to `{}`", path.display())),
                    (keys, false) => note(&format!(
                        "{keys} new host {} written to `{}`; nobody has verified them: compare each with its host, then `--known-hosts {1}`",
                        if keys == 1 { "key was" } else { "keys were" },
                        path.display()
                    )),
                }
            }
        }
    }
}

/// What must be asked for these checks, and for what every report says of a host.
pub(super) fn plan_of(checks: &CheckSet) -> Result<Plan, Error> {
    let mut facts = checks.facts();
    facts.extend(scan::base_facts());
    probe::plan(&facts).map_err(|error| Error::because("the checks ask for what no probe knows", error))
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
