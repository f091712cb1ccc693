//! What a check says of a host.

use std::collections::BTreeMap;
use std::fmt;

use serde::ser::SerializeStruct;
use serde::{Deserialize, Serialize, Serializer};

use super::{Evidence, Why};

/// How much a failed check matters. Ordered: `Info < Low < Medium < High < Critical`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing, nothing to mend.
    Info,
    /// Hygiene.
    Low,
    /// A missing layer of defence.
    Medium,
    /// One step away from control of the host.
    High,
    /// Control of the host for a remote or local user without a further flaw.
    Critical,
}

impl Severity {
    /// Every severity, the least first.
    pub const ALL: [Self; 5] = [Self::Info, Self::Low, Self::Medium, Self::High, Self::Critical];

    /// The word in reports and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(self.as_str())
    }
}

/// The answer of a check for one host. There is no other: every check of a scanned host has exactly one of these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The facts are known and meet the expectation.
    Pass,
    /// The facts are known and break it.
    Fail,
    /// The facts are known, and a person or a parameter must decide.
    Review,
    /// The subject of the check is not on this host.
    NotApplicable,
    /// A fact that decides is not known.
    Unknown(Why),
}

impl Verdict {
    /// The stable word, as in JSON and CSV.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Review => "review",
            Self::NotApplicable => "not_applicable",
            Self::Unknown(_) => "unknown",
        }
    }

    /// The stable code of the reason: that of [`Why`] for unknown, `decision_needed` for review, `does_not_apply` for not applicable.
    pub fn reason(&self) -> Option<&'static str> {
        match self {
            Self::Pass | Self::Fail => None,
            Self::Review => Some("decision_needed"),
            Self::NotApplicable => Some("does_not_apply"),
            Self::Unknown(why) => Some(why.code()),
        }
    }
}

/// One check's verdict on one host, with what decided it.
///
/// As JSON: `{check, verdict, reason, evidence}`. Of an unknown verdict `reason` is the code and the first line of evidence the detail.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "FindingAsJson")]
pub struct Finding {
    /// The id of the check.
    pub check: String,
    /// The verdict.
    pub verdict: Verdict,
    /// What decided: a line for each violation, or the facts that were looked at; never empty.
    pub evidence: Vec<Evidence>,
}

impl Serialize for Finding {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut json = serializer.serialize_struct("Finding", 4)?;
        json.serialize_field("check", &self.check)?;
        json.serialize_field("verdict", self.verdict.as_str())?;
        json.serialize_field("reason", &self.verdict.reason())?;
        json.serialize_field("evidence", &self.evidence)?;
        json.end()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FindingAsJson {
    check: String,
    verdict: String,
    reason: Option<String>,
    evidence: Vec<Evidence>,
}

impl TryFrom<FindingAsJson> for Finding {
    type Error = String;

    fn try_from(json: FindingAsJson) -> Result<Self, String> {
        let FindingAsJson { check, verdict, reason, evidence } = json;
        let verdict = match verdict.as_str() {
            "pass" => Verdict::Pass,
            "fail" => Verdict::Fail,
            "review" => Verdict::Review,
            "not_applicable" => Verdict::NotApplicable,
            "unknown" => {
                let code = reason.unwrap_or_default();
                let detail = evidence.first().map(|line| line.text().to_owned()).unwrap_or_default();
                Verdict::Unknown(Why::from_code(&code, detail).ok_or_else(|| format!("`{code}` is no reason to be unknown"))?)
            }
            other => return Err(format!("`{other}` is no verdict")),
        };
        Ok(Self { check, verdict, evidence })
    }
}

/// What a report must say of a check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckInfo {
    /// The stable id, such as `docker.group.trusted-members`.
    pub id: String,
    /// One line: what holds when the check passes.
    pub title: String,
    /// How much a failure matters.
    pub severity: Severity,
    /// Why it matters.
    pub rationale: String,
    /// What to do.
    pub remediation: String,
    /// Where the rule comes from: `cis-docker` -> `1.1.2` and the like, sorted by name.
    pub references: BTreeMap<String, String>,
    /// Words to select checks by.
    pub tags: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verdict_survives_json() {
        let unknown = Why::CODES.map(|code| Verdict::Unknown(Why::from_code(code, "line".to_owned()).unwrap()));
        let others = [Verdict::Pass, Verdict::Fail, Verdict::Review, Verdict::NotApplicable];
        for verdict in unknown.into_iter().chain(others) {
            let finding = Finding { check: "a.b".to_owned(), verdict, evidence: vec![Evidence::new("line")] };
            let json = serde_json::to_string(&finding).unwrap();
            assert_eq!(serde_json::from_str::<Finding>(&json).unwrap(), finding, "{json}");
        }
    }

    #[test]
    fn a_verdict_or_reason_that_is_none_is_refused() {
        for json in [
            r#"{"check": "a", "verdict": "maybe", "reason": null, "evidence": []}"#,
            r#"{"check": "a", "verdict": "unknown", "reason": null, "evidence": []}"#,
        ] {
            assert!(serde_json::from_str::<Finding>(json).is_err());
        }
    }
}
