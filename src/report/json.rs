//! JSON: everything, for programs. One host a line, so that `grep` and `diff` are of use too.
//!
//! `schema_version` is raised whenever a program that read the former version could break.

use std::collections::BTreeMap;
use std::io;

use serde::Serialize;

use super::WriteError;
use crate::journal::Journal;
use crate::model::{FleetReport, Privilege, Reason, Severity, Status, VerdictCounts};

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
    privileges: BTreeMap<Privilege, u64>,
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
            privileges: Privilege::ALL
                .iter()
                .map(|privilege| (*privilege, totals.privileges.get(privilege).copied().unwrap_or(0)))
                .collect(),
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
    member(out, "insecure_host_keys", &report.insecure_host_keys)?;
    list(
        out,
        "checks",
        report.checks.iter().map(|check| serde_json::to_vec(check).map_err(|error| WriteError::Io(error.into()))),
    )?;
    list(out, "hosts", journal.lines().map(|line| line.map_err(WriteError::Journal)))?;
    let across = report.fleet_findings();
    list(
        out,
        "fleet_findings",
        across.iter().map(|finding| serde_json::to_vec(finding).map_err(|error| WriteError::Io(error.into()))),
    )?;
    let gaps = report.privilege_gaps();
    list(out, "privilege_gaps", gaps.iter().map(|gap| serde_json::to_vec(gap).map_err(|error| WriteError::Io(error.into()))))?;
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::model::{FleetFindingKind, HostReport, KeyTrust, Why};
    use crate::report::fixture::{self, Fleet};

    fn validator() -> jsonschema::Validator {
        jsonschema::draft202012::new(&serde_json::from_str(json_schema()).unwrap()).unwrap()
    }

    fn validated(fleet: &Fleet) -> Value {
        let json: Value = serde_json::from_slice(&fleet.written(write)).unwrap();
        let errors: Vec<_> =
            validator().iter_errors(&json).map(|error| format!("{error} at {}", error.instance_path())).collect();
        assert!(errors.is_empty(), "{errors:#?}");
        json
    }

    fn words(schema: &Value, name: &str) -> Vec<String> {
        serde_json::from_value(schema["$defs"][name]["enum"].clone()).unwrap()
    }

    #[test]
    fn the_report_is_what_it_was_and_valid() {
        let fleet = fixture::hostile();
        validated(&fleet);
        let text = String::from_utf8(fleet.written(write)).unwrap();
        insta::assert_snapshot!(text.replace(env!("CARGO_PKG_VERSION"), "VERSION"));
    }

    #[test]
    fn a_report_of_hosts_that_were_not_verified_says_so() {
        let json = validated(&Fleet { insecure: true, ..fixture::hostile() });
        assert_eq!(json["insecure_host_keys"], true);
    }

    #[test]
    fn a_key_of_every_worth_is_valid() {
        let hosts = KeyTrust::ALL.iter().enumerate().map(|(index, how)| {
            let host_key = Some(fixture::key("one", *how, &format!("192.0.2.{index}:22")));
            HostReport { host_key, ..fixture::host(index) }
        });
        let json = validated(&Fleet::of(Vec::new(), hosts.collect()));
        let kinds: Vec<_> = json["fleet_findings"].as_array().unwrap().iter().map(|finding| &finding["kind"]).collect();
        assert_eq!(kinds, ["host_key_changed", "host_key_revoked", "host_key_shared"]);
    }

    #[test]
    fn a_report_without_hosts_and_checks_and_one_of_a_large_fleet_are_valid() {
        validated(&Fleet::of(Vec::new(), Vec::new()));
        let json = validated(&fixture::large(300));
        assert_eq!(json["hosts"].as_array().unwrap().len(), 300);
        assert_eq!(json["summary"]["hosts"], 300);
    }

    #[test]
    fn checks_that_lack_a_privilege_are_told_with_the_rules_that_would_settle_them() {
        let json = validated(&fixture::hostile());
        assert_eq!(
            json["privilege_gaps"],
            json!([{"check": "audit.rules.loaded", "hosts": 3, "rules": ["/usr/sbin/auditctl -l", "/sbin/auditctl -l"]}])
        );
        assert_eq!(json["summary"]["privileges"]["sudo"], 3);
    }

    #[test]
    fn a_host_of_every_reason_status_and_why_is_valid() {
        let mut hosts = Vec::new();
        for reason in Reason::ALL {
            let outcome = crate::model::Outcome::without_answers(*reason, "what happened");
            hosts.push(HostReport { index: hosts.len(), outcome, findings: Vec::new(), ..fixture::host(0) });
        }
        for code in Why::CODES {
            let verdict = crate::model::Verdict::Unknown(Why::from_code(code, "detail".to_owned()).unwrap());
            let findings = vec![fixture::finding("a", verdict, &["detail"])];
            hosts.push(HostReport { index: hosts.len(), findings, ..fixture::host(0) });
        }
        validated(&Fleet::of(vec![fixture::check("a", crate::model::Severity::Low)], hosts));
    }

    #[test]
    fn the_schema_lists_exactly_the_words_of_the_model() {
        let schema: Value = serde_json::from_str(json_schema()).unwrap();
        assert_eq!(words(&schema, "status"), Status::ALL.map(Status::as_str));
        assert_eq!(words(&schema, "reason"), Reason::ALL.iter().map(|reason| reason.code()).collect::<Vec<_>>());
        assert_eq!(words(&schema, "why"), Why::CODES);
        assert_eq!(words(&schema, "severity"), Severity::ALL.map(Severity::as_str));
        assert_eq!(words(&schema, "privilege"), Privilege::ALL.map(Privilege::as_str));
        assert_eq!(words(&schema, "key_trust"), KeyTrust::ALL.map(KeyTrust::as_str));
        let kinds: Vec<String> =
            serde_json::from_value(schema["$defs"]["fleet_finding"]["properties"]["kind"]["enum"].clone()).unwrap();
        assert_eq!(kinds, FleetFindingKind::ALL.map(FleetFindingKind::as_str));
        assert_eq!(schema["properties"]["schema_version"]["const"], SCHEMA_VERSION);
        assert_eq!(schema["$defs"]["summary"]["properties"]["statuses"]["minProperties"], Status::ALL.len());
        assert_eq!(schema["$defs"]["summary"]["properties"]["privileges"]["minProperties"], Privilege::ALL.len());
    }

    #[test]
    fn the_schema_refuses_what_is_not_a_report() {
        let validator = validator();
        let good = validated(&fixture::hostile());
        let mut wrong = Vec::new();
        for (pointer, value) in [
            ("/schema_version", json!(2)),
            ("/started", json!("yesterday")),
            ("/hosts/0/outcome/status", json!("fine")),
            ("/hosts/0/outcome/status", json!("denied")),
            ("/hosts/0/outcome/reason", json!("because")),
            ("/hosts/0/findings/0/verdict", json!("pass?")),
            ("/hosts/0/findings/0/reason", json!("needs_root")),
            ("/hosts/0/findings/2/reason", json!(null)),
            ("/hosts/0/surprise", json!(1)),
            ("/hosts/0/host_key/how", json!("trusted")),
            ("/hosts/0/host_key/fingerprint", json!("MD5:00")),
            ("/fleet_findings/0/kind", json!("odd")),
            ("/fleet_findings/0/hosts", json!([])),
            ("/insecure_host_keys", json!(null)),
            ("/hosts/0/findings/0/evidence/0/surprise", json!(1)),
            ("/summary/statuses/sideways", json!(1)),
        ] {
            let mut json = good.clone();
            let (parent, name) = pointer.rsplit_once('/').unwrap();
            json.pointer_mut(parent).unwrap().as_object_mut().unwrap().insert(name.to_owned(), value);
            if validator.is_valid(&json) {
                wrong.push(pointer);
            }
        }
        assert!(wrong.is_empty(), "accepted: {wrong:?}");
    }

    #[test]
    fn the_order_of_finishing_changes_nothing() {
        let fleet = fixture::large(50);
        let mut reversed = fleet.hosts.clone();
        reversed.reverse();
        assert_eq!(Fleet::of(fleet.checks.clone(), reversed).written(write), fleet.written(write));
    }
}
