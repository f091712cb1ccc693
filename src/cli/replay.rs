//! `fleetscan replay`: recorded hosts judged again.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;

use super::args::{CheckArgs, plan_of};
use super::error::Error;
use super::output::OutputArgs;
use super::{ExitStatus, warn};
use crate::journal::Journal;
use crate::model::{FleetReport, Status};
use crate::probe::{Recorded, Transcript, read_record};
use crate::scan;

/// Judge recorded hosts again, offline, with today's checks.
#[derive(Debug, Args)]
pub(super) struct ReplayArgs {
    /// Directory written by `scan --record`: of one host, or of many
    dir: PathBuf,
    #[command(flatten)]
    checks: CheckArgs,
    #[command(flatten)]
    output: OutputArgs,
}

impl ReplayArgs {
    pub(super) fn run(self) -> Result<ExitStatus, Error> {
        let checks = self.checks.load()?;
        let plan = plan_of(&checks)?;
        let mut hosts = recordings(&self.dir)?;
        let reports = self.output.open()?;
        let mut journal = Journal::new().map_err(|error| Error::because("no place for the journal", error))?;

        // As the scan had them; two recordings put together by hand may claim one place.
        hosts.sort_by(|(a, _), (b, _)| (a.position, &a.name).cmp(&(b.position, &b.name)));
        let started = hosts.iter().map(|(host, _)| host.scanned_at.clone()).min().unwrap_or_else(scan::now);
        let finished = hosts.iter().filter_map(|(host, _)| host.ended()).max();
        let mut report = FleetReport::new(checks.infos(), started);
        report.rules = scan::rules(&checks);
        for (index, (host, answers)) in hosts.into_iter().enumerate() {
            let mut row = host.row();
            row.index = index;
            if matches!(row.outcome.status, Status::Scanned | Status::Partial) {
                scan::judge(&mut row, &checks, &plan, &answers, host.sudo);
            }
            journal.append(&row).map_err(|error| Error::because("the journal takes no more", error))?;
            report.add(&row);
        }
        report.finished = finished.unwrap_or_else(scan::now);
        reports.write(&report, &journal, false)
    }
}

/// The recordings in a directory, or the one that it is.
fn recordings(directory: &Path) -> Result<Vec<(Recorded, Transcript)>, Error> {
    let read = |directory: &Path| {
        read_record(directory).map_err(|error| Error::because(format!("`{}` cannot be replayed", directory.display()), error))
    };
    if directory.join("host.json").is_file() {
        return Ok(vec![read(directory)?]);
    }
    let cannot = |error| Error::because(format!("`{}` cannot be read", directory.display()), error);
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).map_err(cannot)? {
        let path = entry.map_err(cannot)?.path();
        if path.join("host.json").is_file() {
            found.push(read(&path)?);
        } else {
            warn(&format!("`{}` is no recorded host and is left out", path.display()));
        }
    }
    if found.is_empty() {
        let hint = "`fleetscan scan --record DIR` writes a directory for each host, with a `host.json` in it";
        return Err(Error::new(format!("`{}` holds no recorded host", directory.display())).hint(hint));
    }
    Ok(found)
}
