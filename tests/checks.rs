//! The packs that come with fleetscan: they load, every example gives the verdict its author wrote down, and no line of the report that they grew from is
//! without a check.

use std::collections::BTreeMap;

use fleetscan::check::{CheckSet, Source};
use fleetscan::cli;

fn packs() -> CheckSet {
    CheckSet::load(&Source::Embedded, &cli::vocabulary()).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn every_example_of_every_check_gives_the_verdict_it_is_filed_under_and_nothing_known_is_never_a_pass() {
    let faults = packs().example_faults();
    let lines: Vec<String> = faults
        .iter()
        .map(|fault| {
            let evidence: Vec<&str> = fault.found.evidence.iter().map(|line| line.text()).collect();
            format!("{}: expected {}, found {:?}: {evidence:?}", fault.check, fault.expected, fault.found.verdict)
        })
        .collect();
    assert!(faults.is_empty(), "\n{}", lines.join("\n"));
}

#[test]
fn every_recommendation_of_the_report_has_a_check() {
    let set = packs();
    let mut by_seed: BTreeMap<&str, usize> = BTreeMap::new();
    for check in set.checks() {
        for line in check.info.references.get("seed").map(|lines| lines.split(", ")).into_iter().flatten() {
            *by_seed.entry(line).or_default() += 1;
        }
    }
    let lines = ["1.0", "1.1", "1.2", "1.3", "1.4", "1.5", "1.6", "1.7", "1.8", "2.1", "2.2", "2.3", "2.4", "2.5", "2.6"];
    for line in lines {
        assert!(by_seed.contains_key(line), "no check refers to line {line}: {by_seed:?}");
    }
    assert!(by_seed.keys().all(|line| lines.contains(line)), "{by_seed:?}");
    assert!(set.checks().len() >= 60, "only {} checks", set.checks().len());
}

#[test]
fn references_are_named_by_known_standards_only() {
    let known = ["seed", "cis-docker", "cis-rhel9", "cis-ubuntu24", "stig-rhel9", "nist-800-53", "pci-dss", "iso-27001"];
    for check in packs().checks() {
        assert!(!check.info.references.is_empty(), "{} refers to nothing", check.info.id);
        for name in check.info.references.keys() {
            assert!(known.contains(&name.as_str()), "{}: `{name}`", check.info.id);
        }
    }
}
