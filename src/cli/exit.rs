//! How the process ends: a documented number for scripts.

use std::process::ExitCode;

use crate::model::{FleetReport, Severity, Status};

/// The exit status of every subcommand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitStatus {
    /// 0: every host was scanned, every verdict that counts is known, and nothing failed that counts.
    Clean,
    /// 1: a check failed, or something is wrong across hosts, whose severity is at or above `--fail-on`.
    Findings,
    /// 2: the command line, the inventory, a check pack or a path was wrong, and nothing was scanned; or a report could not be written at the end.
    Usage,
    /// 3: a host was not scanned, or a verdict is unknown that `--fail-on` would count.
    Incomplete,
    /// 4: both findings and incomplete.
    FindingsAndIncomplete,
    /// 130: interrupted; the partial report was written all the same.
    Interrupted,
}

impl ExitStatus {
    /// The status of a scan or a replay. `fail_on` is the least severity that counts; `None` counts no failure.
    pub fn of(report: &FleetReport, fail_on: Option<Severity>) -> Self {
        let totals = &report.totals;
        let counts = |by_severity: &std::collections::BTreeMap<Severity, u64>| {
            fail_on.is_some_and(|least| by_severity.range(least..).any(|(_, count)| *count > 0))
        };
        let across = report.fleet_findings();
        let findings =
            counts(&totals.failed) || fail_on.is_some_and(|least| across.iter().any(|finding| finding.severity >= least));
        let unscanned = totals.statuses.iter().any(|(status, count)| *status != Status::Scanned && *count > 0);
        let incomplete = unscanned || report.interrupted || counts(&totals.unknown);
        match (findings, incomplete) {
            (false, false) => Self::Clean,
            (true, false) => Self::Findings,
            (false, true) => Self::Incomplete,
            (true, true) => Self::FindingsAndIncomplete,
        }
    }

    /// The number.
    pub fn code(self) -> u8 {
        match self {
            Self::Clean => 0,
            Self::Findings => 1,
            Self::Usage => 2,
            Self::Incomplete => 3,
            Self::FindingsAndIncomplete => 4,
            Self::Interrupted => 130,
        }
    }

    /// What it means, in a few words.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Clean => "clean",
            Self::Findings => "findings",
            Self::Usage => "usage",
            Self::Incomplete => "incomplete",
            Self::FindingsAndIncomplete => "findings, and incomplete",
            Self::Interrupted => "interrupted",
        }
    }
}

impl From<ExitStatus> for ExitCode {
    fn from(status: ExitStatus) -> Self {
        Self::from(status.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(statuses: &[(Status, u64)], failed: &[(Severity, u64)], unknown: &[(Severity, u64)]) -> FleetReport {
        let mut report = FleetReport::new(Vec::new(), String::new());
        report.totals.statuses.extend(statuses.iter().copied());
        report.totals.failed.extend(failed.iter().copied());
        report.totals.unknown.extend(unknown.iter().copied());
        report
    }

    #[test]
    fn a_host_not_scanned_is_never_clean() {
        let report = report(&[(Status::Scanned, 9), (Status::Unreachable, 1)], &[], &[]);
        assert_eq!(ExitStatus::of(&report, Some(Severity::Critical)), ExitStatus::Incomplete);
        assert_eq!(ExitStatus::of(&report, None), ExitStatus::Incomplete);
    }

    #[test]
    fn a_scan_that_ended_early_is_never_clean() {
        let mut report = report(&[(Status::Scanned, 9)], &[], &[]);
        report.interrupted = true;
        assert_eq!(ExitStatus::of(&report, None), ExitStatus::Incomplete);
    }

    #[test]
    fn only_what_fail_on_counts_decides() {
        let report = report(&[(Status::Scanned, 1)], &[(Severity::Medium, 2)], &[(Severity::High, 1)]);
        assert_eq!(ExitStatus::of(&report, Some(Severity::Critical)), ExitStatus::Clean);
        assert_eq!(ExitStatus::of(&report, Some(Severity::High)), ExitStatus::Incomplete);
        assert_eq!(ExitStatus::of(&report, Some(Severity::Low)), ExitStatus::FindingsAndIncomplete);
        assert_eq!(ExitStatus::of(&report, None), ExitStatus::Clean);
    }

    #[test]
    fn what_is_wrong_across_hosts_counts_as_a_failed_check_of_its_severity_does() {
        use crate::model::{HostReport, KeyTrust, Outcome, ShownKey};
        let host = |index: usize| HostReport {
            index,
            name: format!("web{index}"),
            address: String::new(),
            groups: Vec::new(),
            outcome: Outcome::scanned(),
            os: None,
            privilege: None,
            host_key: Some(ShownKey {
                algorithm: "ssh-ed25519".to_owned(),
                fingerprint: "SHA256:one".to_owned(),
                how: KeyTrust::Known,
                machine: format!("192.0.2.{index}:22"),
            }),
            scanned_at: String::new(),
            duration_ms: 0,
            findings: Vec::new(),
        };
        let mut report = report(&[], &[], &[]);
        report.add(&host(0));
        assert_eq!(ExitStatus::of(&report, Some(Severity::Info)), ExitStatus::Clean);
        report.add(&host(1));
        assert_eq!(ExitStatus::of(&report, Some(Severity::High)), ExitStatus::Findings);
        assert_eq!(ExitStatus::of(&report, Some(Severity::Critical)), ExitStatus::Clean);
        assert_eq!(ExitStatus::of(&report, None), ExitStatus::Clean);
    }
}
