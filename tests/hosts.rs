//! The recorded hosts, judged by today's checks: a change of any verdict on any distribution is seen here.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use fleetscan::check::{CheckSet, Source};
use fleetscan::model::{HostReport, Severity, Verdict};
use fleetscan::probe::{plan, read_record};
use fleetscan::{cli, scan};

fn checks() -> CheckSet {
    CheckSet::load(&Source::Embedded, &cli::vocabulary()).unwrap_or_else(|error| panic!("{error}"))
}

fn recordings() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hosts");
    let mut found: Vec<PathBuf> =
        std::fs::read_dir(directory).expect("readable").map(|entry| entry.expect("an entry").path()).collect();
    found.sort();
    found
}

fn judged(directory: &Path, checks: &CheckSet) -> HostReport {
    let mut facts = checks.facts();
    facts.extend(scan::base_facts());
    let plan = plan(&facts).expect("known facts");
    let (host, answers) = read_record(directory).unwrap_or_else(|error| panic!("{error}"));
    let mut row = host.row();
    scan::judge(&mut row, checks, &plan, &answers, host.sudo);
    row
}

#[test]
fn every_recorded_host_keeps_its_verdicts() {
    let checks = checks();
    assert!(recordings().len() >= 10);
    for directory in recordings() {
        let row = judged(&directory, &checks);
        let mut lines = String::new();
        for finding in &row.findings {
            // Writing to a String cannot fail.
            let _ = writeln!(
                lines,
                "{}: {} {}",
                finding.check,
                finding.verdict.as_str(),
                finding.verdict.reason().unwrap_or_default()
            );
        }
        insta::assert_snapshot!(row.name.as_str(), lines);
    }
}

#[test]
fn no_recorded_host_has_a_finding_without_evidence_or_an_answer_that_no_parser_understood() {
    let checks = checks();
    for directory in recordings() {
        let row = judged(&directory, &checks);
        assert_eq!(row.findings.len(), checks.checks().len());
        for finding in &row.findings {
            assert!(!finding.evidence.is_empty(), "{}: {}", row.name, finding.check);
            if let Verdict::Unknown(why) = &finding.verdict {
                assert_ne!(why.code(), "could_not_be_parsed", "{}: {}: {}", row.name, finding.check, why.detail());
            }
        }
    }
}

#[test]
fn the_hardened_showcase_fails_nothing_that_counts_and_the_laboratory_fails_much() {
    let checks = checks();
    let failed = |name: &str, least: Severity| {
        let row = judged(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hosts").join(name), &checks);
        let counted = row
            .findings
            .iter()
            .zip(checks.checks())
            .filter(|(finding, check)| finding.verdict == Verdict::Fail && check.info.severity >= least);
        counted.map(|(finding, _)| finding.check.clone()).collect::<Vec<_>>()
    };
    assert_eq!(failed("vault-debian12", Severity::Medium), Vec::<String>::new());
    let laboratory = failed("lab-ubuntu2004", Severity::Critical);
    for check in ["acct.empty-password", "acct.uid0-duplicate", "file.shadow", "ssh.empty-passwords"] {
        assert!(laboratory.iter().any(|failed| failed == check), "{check} is not among {laboratory:?}");
    }
}
