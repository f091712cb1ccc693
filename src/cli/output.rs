//! From totals and journal to reports and an exit status: the end of a scan, a replay and the demo.

use std::io::{self, Write};

use clap::Args;

use super::args::FailOn;
use super::error::Error;
use super::{ExitStatus, warn};
use crate::journal::Journal;
use crate::model::{FleetReport, with_causes};
use crate::report::{Output, OutputError, Sink, Terminal, open_all, write_all, write_terminal};

/// Which reports, and what counts.
#[derive(Debug, Args)]
pub(super) struct OutputArgs {
    /// Write a report: `json=PATH`, `csv=PATH`, `text=PATH`; `-` is standard output; may be given several times
    #[arg(short, long, value_name = "FORMAT=PATH")]
    pub(super) output: Vec<String>,
    /// Least severity of a failed check that changes the exit status
    #[arg(long, value_name = "SEVERITY", value_enum, default_value = "high")]
    pub(super) fail_on: FailOn,
}

/// Reports whose destinations were found writable.
pub(super) struct Reports {
    sinks: Vec<Sink>,
    fail_on: FailOn,
    /// Whether a report takes standard output, so that the summary does not.
    stdout_taken: bool,
}

impl OutputArgs {
    /// Opens every destination, before anything else is done.
    pub(super) fn open(&self) -> Result<Reports, Error> {
        let fault = |error: &OutputError| format!("{} ({})", with_causes(error), error.hint());
        let mut faults = Vec::new();
        let mut outputs: Vec<Output> = Vec::new();
        for text in &self.output {
            match text.parse() {
                Ok(output) => outputs.push(output),
                Err(error) => faults.push(fault(&error)),
            }
        }
        let stdout_taken = outputs.iter().any(Output::is_stdout);
        let sinks = open_all(outputs).unwrap_or_else(|errors| {
            faults.extend(errors.iter().map(fault));
            Vec::new()
        });
        if faults.is_empty() {
            return Ok(Reports { sinks, fail_on: self.fail_on, stdout_taken });
        }
        Err(Error::new(faults.join("\n  ")))
    }
}

impl Reports {
    /// Writes every report, then the summary, and says how the process ends. A report that cannot be written does not keep the others from it.
    pub(super) fn write(self, report: &FleetReport, journal: &Journal, interrupted: bool) -> Result<ExitStatus, Error> {
        let status = match ExitStatus::of(report, self.fail_on.severity()) {
            _ if interrupted => ExitStatus::Interrupted,
            status => status,
        };
        let mut faults: Vec<String> = write_all(report, journal, self.sinks).iter().map(|error| with_causes(error)).collect();
        if !self.stdout_taken {
            let terminal = Terminal::of_stdout().concluding(format!("exit status {}: {}", status.code(), status.meaning()));
            let mut out = io::BufWriter::new(io::stdout().lock());
            let written = write_terminal(report, journal, &terminal, &mut out);
            let fault = match (written, out.flush()) {
                // Whoever reads has had enough: `fleetscan scan .. | head`.
                (_, Err(error)) if error.kind() == io::ErrorKind::BrokenPipe => None,
                (Err(error), _) => Some(with_causes(&error)),
                (Ok(()), Err(error)) => Some(error.to_string()),
                (Ok(()), Ok(())) => None,
            };
            faults.extend(fault.map(|fault| format!("could not write the summary to standard output: {fault}")));
        }
        match faults.split_last() {
            None => Ok(status),
            Some((last, others)) => {
                others.iter().for_each(|fault| warn(fault));
                Err(Error::new(format!("{last}; the scan itself ended with status {}", status.code())))
            }
        }
    }
}
