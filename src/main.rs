//! The `fleetscan` program: parse arguments, run, print the error once, exit.

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use fleetscan::cli::{Cli, ExitStatus};

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are not errors; whoever closed the other end does not want to read more.
            let _ = error.print();
            return if error.use_stderr() { ExitStatus::Usage.into() } else { ExitStatus::Clean.into() };
        }
    };
    match cli.run() {
        Ok(status) => status.into(),
        Err(error) => {
            let _ = writeln!(std::io::stderr().lock(), "{}", error.report());
            ExitStatus::Usage.into()
        }
    }
}
