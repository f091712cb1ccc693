//! JSON: everything, for programs. One host a line, so that `grep` and `diff` are of use too.
//!
//! `schema_version` is raised whenever a program that read the former version could break.

use std::collections::BTreeMap;
use std::io;

use serde::Serialize;

use super::WriteError;
use crate::journal::Journal;
use crate::model::{FleetReport, Reason, Severity, Status, VerdictCounts};

const SCHEMA_VERSION: u32 = 1;

/// The JSON Schema (draft 2020-12) of the report. Strict: what it does not name is not there.
pub fn json_schema() -> &'static str {
    include_str!("report.schema.json")
}

#[derive(Serialize)]
struct Tool {
    name: &'static str,
    version: &'static str,
}

#[derive(Serialize)]
struct Summary {
    hosts: u64,
    statuses: BTreeMap<Status, u64>,
    reasons: BTreeMap<Reason, u64>,
    verdicts: VerdictCounts,
    failed: BTreeMap<Severity, u64>,
    unknown: BTreeMap<Severity, u64>,
}

impl Summary {
    fn of(report: &FleetReport) -> Self {
        let totals = &report.totals;
        let of_severities = |counts: &BTreeMap<Severity, u64>| {
            Severity::ALL.iter().map(|severity| (*severity, counts.get(severity).copied().unwrap_or(0))).collect()
        };
        Self {
            hosts: totals.hosts,
            statuses: Status::ALL.iter().map(|status| (*status, totals.statuses.get(status).copied().unwrap_or(0))).collect(),
            reasons: totals.reasons.clone(),
            verdicts: totals.verdicts,
            failed: of_severities(&totals.failed),
            unknown: of_severities(&totals.unknown),
        }
    }
}

/// Writes the report; holds one host at a time.
pub(super) fn write(report: &FleetReport, journal: &Journal, out: &mut dyn io::Write) -> Result<(), WriteError> {
    out.write_all(b"{\n")?;
    member(out, "schema_version", &SCHEMA_VERSION)?;
    member(out, "tool", &Tool { name: env!("CARGO_PKG_NAME"), version: env!("CARGO_PKG_VERSION") })?;
    member(out, "started", &report.started)?;
    member(out, "finished", &report.finished)?;
    member(out, "interrupted", &report.interrupted)?;
    list(
        out,
        "checks",
        report.checks.iter().map(|check| serde_json::to_vec(check).map_err(|error| WriteError::Io(error.into()))),
    )?;
    list(out, "hosts", journal.lines().map(|line| line.map_err(WriteError::Journal)))?;
    out.write_all(b"\"summary\": ")?;
    serde_json::to_writer(&mut *out, &Summary::of(report)).map_err(io::Error::from)?;
    out.write_all(b"\n}\n")?;
    Ok(())
}

/// `"name": value,` on a line of its own.
fn member(out: &mut dyn io::Write, name: &str, value: &impl Serialize) -> Result<(), WriteError> {
    write!(out, "\"{name}\": ")?;
    serde_json::to_writer(&mut *out, value).map_err(io::Error::from)?;
    out.write_all(b",\n")?;
    Ok(())
}

/// `"name": [..],` with every item, already JSON, on a line of its own.
fn list(out: &mut dyn io::Write, name: &str, items: impl Iterator<Item = Result<Vec<u8>, WriteError>>) -> Result<(), WriteError> {
    write!(out, "\"{name}\": [")?;
    for (at, item) in items.enumerate() {
        out.write_all(if at == 0 { b"\n" } else { b",\n" })?;
        out.write_all(&item?)?;
    }
    out.write_all(b"\n],\n")?;
    Ok(())
}
