//! The verdicts written down by hand in `expected/HOST.yaml`, and the report against them.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;

/// What a scan must say of a host.
///
/// An expectation is a word, optionally with its reason, optionally with alternatives for what depends on the machine that the fleet runs on:
/// `pass`, `unknown needs_root`, `unknown tool_missing or not_applicable`. `naming` and words that the evidence must have may follow, `and not` and
/// words that it must not have: `fail naming socket, capable and not good`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Expected {
    /// Status and reason of the outcome.
    outcome: String,
    /// The verdict of every check. A host without answers has none.
    #[serde(default)]
    checks: BTreeMap<String, String>,
}

impl Expected {
    /// Reads a file.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        serde_saphyr::from_str(text).map_err(|error| error.to_string())
    }

    /// Every difference between this and the host's object in the JSON report, one sentence each.
    pub(crate) fn differences(&self, name: &str, host: &Value) -> Vec<String> {
        let mut differences = Vec::new();
        let outcome = words(&host["outcome"]["status"], &host["outcome"]["reason"]);
        if !meets(&self.outcome, &outcome, "") {
            let detail = host["outcome"]["detail"].as_str().unwrap_or_default();
            differences.push(format!("{name}: the outcome is `{outcome}`, expected `{}`: {detail}", self.outcome));
        }
        let found = verdicts(host);
        for (check, expected) in &self.checks {
            match found.get(check) {
                None => differences.push(format!("{name}: {check} has no verdict, expected `{expected}`")),
                Some((verdict, evidence)) if meets(expected, verdict, evidence) => {}
                Some((verdict, evidence)) => {
                    differences.push(format!("{name}: {check} is `{verdict}`, expected `{expected}`: {evidence}"));
                }
            }
        }
        for (check, (verdict, evidence)) in found.iter().filter(|(check, _)| !self.checks.contains_key(*check)) {
            differences.push(format!("{name}: {check} is `{verdict}`, and nothing is written down for it: {evidence}"));
        }
        differences
    }
}

/// Every check that says another thing of a host than of one that it must be like, with a sentence.
pub(crate) fn differences_between(name: &str, host: &Value, like: &Value) -> Vec<(String, String)> {
    let (found, expected) = (verdicts(host), verdicts(like));
    let nothing = ("nothing".to_owned(), String::new());
    let checks: BTreeSet<&String> = found.keys().chain(expected.keys()).collect();
    let differs = |check: &String| {
        let (here, there) = (found.get(check).unwrap_or(&nothing), expected.get(check).unwrap_or(&nothing));
        let sentence = || format!("{name}: {check} is `{}` ({}), and `{}` as root ({})", here.0, here.1, there.0, there.1);
        (here.0 != there.0).then(|| (check.clone(), sentence()))
    };
    checks.into_iter().filter_map(differs).collect()
}

/// The host's object as a file of expectations, for a person to compare and to copy from: nothing reads it.
pub(crate) fn as_written(host: &Value) -> String {
    let mut text = format!("outcome: {}\nchecks:\n", words(&host["outcome"]["status"], &host["outcome"]["reason"]));
    for (check, (verdict, evidence)) in verdicts(host) {
        text.push_str(&format!("  {check}: {verdict}  # {evidence}\n"));
    }
    text
}

/// Verdict and evidence by check.
fn verdicts(host: &Value) -> BTreeMap<String, (String, String)> {
    let of = |finding: &Value| {
        let evidence: Vec<&str> =
            finding["evidence"].as_array().into_iter().flatten().filter_map(|line| line["text"].as_str()).collect();
        let check = finding["check"].as_str().unwrap_or("(no check)").to_owned();
        (check, (words(&finding["verdict"], &finding["reason"]), evidence.join("; ")))
    };
    host["findings"].as_array().into_iter().flatten().map(of).collect()
}

fn words(first: &Value, second: &Value) -> String {
    [first, second].iter().filter_map(|word| word.as_str()).collect::<Vec<_>>().join(" ")
}

/// Whether what was found is one of the alternatives, with the evidence asked for; an alternative without a reason takes any.
fn meets(expected: &str, found: &str, evidence: &str) -> bool {
    let (verdicts, named) = expected.split_once(" naming ").unwrap_or((expected, ""));
    let (wanted, unwanted) = named.split_once(" and not ").unwrap_or((named, ""));
    let said: Vec<&str> = evidence.split([' ', ':', ';', ',', '(', ')']).collect();
    let names = |list: &str| list.split(", ").filter(|name| !name.is_empty()).map(str::to_owned).collect::<Vec<_>>();
    verdicts.split(" or ").any(|one| found == one || found.split(' ').next() == Some(one))
        && names(wanted).iter().all(|name| said.contains(&name.as_str()))
        && !names(unwanted).iter().any(|name| said.contains(&name.as_str()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn host() -> Value {
        json!({
            "outcome": {"status": "scanned", "reason": "complete", "detail": ""},
            "findings": [
                {"check": "a.b", "verdict": "pass", "reason": null, "evidence": [{"text": "0"}]},
                {"check": "c.d", "verdict": "unknown", "reason": "needs_root", "evidence": [{"text": "sudo"}, {"text": "no"}]},
            ],
        })
    }

    #[test]
    fn a_host_as_written_down_has_no_differences() {
        for checks in [
            "{a.b: pass, c.d: unknown needs_root}",
            "{a.b: fail or pass, c.d: unknown}",
            "{a.b: pass naming 0 and not sudo, c.d: 'unknown needs_root naming sudo, no'}",
        ] {
            let expected = Expected::parse(&format!("outcome: scanned complete\nchecks: {checks}\n")).expect("well-formed");
            assert_eq!(expected.differences("h", &host()), Vec::<String>::new());
        }
        let expected = Expected::parse(&as_written(&host())).expect("well-formed");
        assert_eq!(expected.differences("h", &host()), Vec::<String>::new());
    }

    #[test]
    fn another_verdict_another_reason_a_missing_and_an_extra_check_are_differences() {
        for (checks, count) in [
            ("{a.b: fail, c.d: unknown}", 1),
            ("{a.b: pass, c.d: unknown timed_out}", 1),
            ("{a.b: pass}", 1),
            ("{a.b: pass, c.d: 'unknown naming sudo, su'}", 1),
            ("{a.b: pass, c.d: 'unknown naming sudo and not yes, no'}", 1),
            ("{a.b: pass, c.d: unknown, e.f: pass}", 1),
            ("{}", 2),
        ] {
            let expected = Expected::parse(&format!("outcome: scanned\nchecks: {checks}\n")).expect("well-formed");
            let differences = expected.differences("h", &host());
            assert_eq!(differences.len(), count, "{checks}: {differences:?}");
        }
        let expected =
            Expected::parse("outcome: failed host_timeout or failed connection_lost\nchecks: {a.b: pass, c.d: unknown}\n")
                .expect("ok");
        assert_eq!(expected.differences("h", &host()).len(), 1);
    }

    #[test]
    fn two_hosts_differ_where_a_check_does() {
        let mut other = host();
        assert_eq!(differences_between("h", &host(), &other), []);
        other["findings"][1]["verdict"] = "pass".into();
        other["findings"][1]["reason"] = Value::Null;
        let differences = differences_between("h", &host(), &other);
        assert_eq!(differences.iter().map(|(check, _)| check.as_str()).collect::<Vec<_>>(), ["c.d"]);
        other["findings"] = json!([]);
        assert_eq!(differences_between("h", &host(), &other).len(), 2);
    }

    #[test]
    fn a_check_written_down_twice_is_an_error() {
        assert!(Expected::parse("outcome: scanned\nchecks:\n  a: pass\n  a: fail\n").is_err());
        assert!(Expected::parse("outcome: scanned\nverdicts: {}\n").is_err());
    }
}
