//! The command line: one file per subcommand. Arguments as typed become options as needed here, and nothing below knows how they were typed.

mod args;
mod checks;
mod demo;
mod doctor;
mod error;
mod exit;
mod facts;
mod generate;
mod host_keys;
mod inventory;
mod login;
mod output;
mod plan;
mod privilege;
mod replay;
mod scan;
mod secrets;
mod ssh;
mod sudoers;

use std::io::{self, Write};

use clap::{Parser, Subcommand};

pub use error::Error;
pub use exit::ExitStatus;

use crate::check::{Term, Vocabulary};
use crate::probe;

/// Agentless fleet security scanner over SSH: reads, never changes
#[derive(Debug, Parser)]
#[command(name = "fleetscan", version, max_term_width = 100, propagate_version = true)]
#[command(after_help = "Exit status: 0 clean; 1 findings at or above --fail-on; 2 usage or configuration; 3 incomplete (a host \
                        not scanned, or verdicts unknown that --fail-on would count); 4 both 1 and 3; 130 interrupted (the \
                        partial report is written).")]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Log what is done on standard error (`FLEETSCAN_LOG` takes a filter such as `fleetscan=debug`); twice for more
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Scan the hosts of an inventory, or this machine (`scan local`)
    Scan(Box<scan::ScanArgs>),
    /// Show for every host where a scan would stop, and what to do about it
    Doctor(doctor::DoctorArgs),
    /// Judge recorded hosts again, offline, with today's checks
    Replay(replay::ReplayArgs),
    /// Show what would run where, byte for byte, without contacting any host
    Plan(plan::PlanArgs),
    /// Print the rules of sudo (or doas) under which a login that is not root can answer everything
    Sudoers(sudoers::SudoersArgs),
    /// List, show and validate checks
    Checks(checks::ChecksArgs),
    /// List the facts that checks can speak of
    Facts(facts::FactsArgs),
    /// Show an inventory as it is understood
    Inventory(inventory::InventoryCommand),
    /// Collect the host keys of a fleet without logging in, and compare them with the known ones
    HostKeys(host_keys::HostKeysArgs),
    /// Scan a simulated fleet on this machine: real SSH, recorded hosts
    Demo(demo::DemoArgs),
    /// Print shell completions or the manual page
    Generate(generate::GenerateArgs),
}

impl Cli {
    /// Carries out the command.
    ///
    /// # Errors
    /// [`Error`] when it could not be carried out at all: exit status 2.
    pub fn run(self) -> Result<ExitStatus, Error> {
        log(self.verbose);
        match self.command {
            Command::Scan(args) => args.run(),
            Command::Doctor(args) => args.run(),
            Command::Replay(args) => args.run(),
            Command::Plan(args) => args.run(),
            Command::Sudoers(args) => args.run(),
            Command::Checks(args) => args.run(),
            Command::Facts(args) => args.run(),
            Command::Inventory(args) => args.run(),
            Command::HostKeys(args) => args.run(),
            Command::Demo(args) => args.run(),
            Command::Generate(args) => args.run(),
        }
    }
}

/// Sends logs to standard error, where they are asked for.
fn log(verbose: u8) {
    use tracing_subscriber::EnvFilter;
    let filter = match (std::env::var("FLEETSCAN_LOG"), verbose) {
        (Ok(filter), _) => EnvFilter::new(filter),
        (Err(_), 0) => return,
        (Err(_), 1) => EnvFilter::new("fleetscan=debug"),
        (Err(_), _) => EnvFilter::new("fleetscan=trace,russh=debug"),
    };
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).init();
}

/// The facts that checks may speak of: those that the probes own.
pub fn vocabulary() -> Vocabulary {
    Vocabulary::new(probe::fact_specs().map(|spec| Term { name: spec.name, key: spec.key, kind: spec.kind, source: spec.source }))
}

/// Prints to standard output; whoever closed the other end has had enough.
fn print(text: &str) -> Result<(), Error> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Error::because("standard output takes no more", error)),
        _ => Ok(()),
    }
}

/// Something on standard error that is worth knowing and no fault.
fn note(message: &str) {
    let _ = writeln!(io::stderr().lock(), "note: {message}");
}

/// A warning on standard error. Where that is closed, nobody wants it.
fn warn(message: &str) {
    let _ = writeln!(io::stderr().lock(), "warning: {message}");
}
