//! CSV (RFC 4180) for auditors: a row for every host and check, passes and unknowns included.
//!
//! * The columns are [`COLUMNS`], always in that order, the header always there, records end with CRLF, no byte order mark.
//! * A host that was not scanned has a row for every check too: verdict `unknown`, its outcome's code as `reason`, what happened as `evidence`.
//! * Lists (groups, evidence, references) are joined with ` | `; a line of evidence is `text [command]`, a reference `guide: place`.
//! * A record is one line: line ends within a text are written as `\n`.
//! * A cell that a spreadsheet would take for a formula gets a leading `'` (CWE-1236), also where it would begin after a `;`, which is the
//!   separator of spreadsheets in many countries.
//! * A cell is cut at 32,767 characters, the limit of spreadsheets, and then ends in ` [cut]`.

use std::io;

use ::csv::{Terminator, WriterBuilder};

use super::{WriteError, explanation, safe, was_judged};
use crate::journal::Journal;
use crate::model::{CheckInfo, Evidence, Finding, FleetReport, HostReport, Verdict};

/// The columns; new ones are only ever added at the end.
const COLUMNS: [&str; 13] = [
    "host",
    "address",
    "groups",
    "outcome",
    "check",
    "title",
    "severity",
    "verdict",
    "reason",
    "evidence",
    "remediation",
    "references",
    "scanned_at",
];

/// The most a cell may hold, in the UTF-16 units that spreadsheets count.
const LONGEST_CELL: usize = 32_767;
const CUT: &str = " [cut]";
const BETWEEN: &str = " | ";

/// The cells of a check that are the same for every host.
struct CheckCells {
    id: String,
    title: String,
    remediation: String,
    references: String,
}

impl CheckCells {
    fn of(check: &CheckInfo) -> Self {
        let references: Vec<_> = check.references.iter().map(|(guide, place)| format!("{guide}: {place}")).collect();
        Self {
            id: text_cell(&check.id),
            title: text_cell(&check.title),
            remediation: text_cell(&check.remediation),
            references: text_cell(&references.join(BETWEEN)),
        }
    }
}

/// Writes the report; holds one host at a time.
pub(super) fn write(report: &FleetReport, journal: &Journal, out: &mut dyn io::Write) -> Result<(), WriteError> {
    let checks: Vec<_> = report.checks.iter().map(|check| (check, CheckCells::of(check))).collect();
    let mut csv = WriterBuilder::new().terminator(Terminator::CRLF).from_writer(out);
    csv.write_record(COLUMNS).map_err(io::Error::from)?;
    for host in journal.read() {
        let host = host?;
        let groups: Vec<_> = host.groups.iter().map(|group| safe(group)).collect();
        let (name, address, groups) = (text_cell(&host.name), text_cell(&host.address), cell(&groups.join(BETWEEN)));
        let scanned_at = text_cell(&host.scanned_at);
        for (at, (check, cells)) in checks.iter().enumerate() {
            let answer = Answer::of(&host, at, &check.id);
            csv.write_record([
                &name,
                &address,
                &groups,
                host.outcome.status.as_str(),
                &cells.id,
                &cells.title,
                check.severity.as_str(),
                answer.verdict,
                answer.reason,
                &answer.evidence,
                &cells.remediation,
                &cells.references,
                &scanned_at,
            ])
            .map_err(io::Error::from)?;
        }
    }
    Ok(csv.flush()?)
}

/// What a host says to a check, or why it says nothing.
struct Answer {
    verdict: &'static str,
    reason: &'static str,
    evidence: String,
}

impl Answer {
    fn of(host: &HostReport, at: usize, check: &str) -> Self {
        match finding(host, at, check) {
            Some(finding) => Self {
                verdict: finding.verdict.as_str(),
                reason: finding.verdict.reason().unwrap_or(""),
                evidence: evidence_cell(&finding.evidence),
            },
            None => Self {
                verdict: Verdict::from(&host.outcome).as_str(),
                reason: host.outcome.reason.code(),
                evidence: cell(explanation(&host.outcome)),
            },
        }
    }
}

/// Findings are in the order of the checks; where one is not, it is looked for rather than shown for another check.
fn finding<'a>(host: &'a HostReport, at: usize, check: &str) -> Option<&'a Finding> {
    let judged = was_judged(host).then_some(&host.findings)?;
    judged.get(at).filter(|finding| finding.check == check).or_else(|| judged.iter().find(|finding| finding.check == check))
}

fn evidence_cell(evidence: &[Evidence]) -> String {
    let lines: Vec<_> = evidence
        .iter()
        .map(|line| match line.source() {
            Some(source) => format!("{} [{source}]", line.text()),
            None => line.text().to_owned(),
        })
        .collect();
    cell(&lines.join(BETWEEN))
}

/// A cell of text that has not been escaped yet.
fn text_cell(text: &str) -> String {
    cell(&safe(text.trim_end()))
}

/// A cell that no spreadsheet computes and every spreadsheet can hold.
fn cell(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 1);
    let mut starts_cell = true;
    for character in text.chars() {
        if starts_cell && starts_formula(character) {
            out.push('\'');
        }
        out.push(character);
        // A quotation mark behind a separator only opens the cell.
        starts_cell = matches!(character, ';' | '\t') || starts_cell && character == '"';
    }
    cut(out)
}

/// OWASP's list, with the full-width forms that some spreadsheets take for the plain ones.
fn starts_formula(character: char) -> bool {
    matches!(character, '=' | '+' | '-' | '@' | '\t' | '\r' | '\n' | '\0' | '＝' | '＋' | '－' | '＠')
}

fn cut(mut cell: String) -> String {
    let room = LONGEST_CELL - CUT.len();
    let mut units = 0;
    let mut end = 0;
    for (at, character) in cell.char_indices() {
        units += character.len_utf16();
        if units <= room {
            end = at + character.len_utf8();
        }
        if units > LONGEST_CELL {
            cell.truncate(end);
            cell.push_str(CUT);
            return cell;
        }
    }
    cell
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::{Outcome, Reason, Severity, Why};
    use crate::report::fixture::{self, Fleet};

    fn rows(bytes: &[u8]) -> Vec<Vec<String>> {
        let mut reader = ::csv::ReaderBuilder::new().has_headers(false).from_reader(bytes);
        reader.records().map(|record| record.unwrap().iter().map(str::to_owned).collect()).collect()
    }

    fn column(name: &str) -> usize {
        COLUMNS.iter().position(|column| *column == name).unwrap()
    }

    #[test]
    fn the_report_is_what_it_was() {
        insta::assert_snapshot!(String::from_utf8(fixture::hostile().written(write)).unwrap().replace("\r\n", "<CRLF>\n"));
    }

    #[test]
    fn every_host_and_check_has_one_row_whether_scanned_or_not() {
        let fleet = fixture::large(40);
        let rows = rows(&fleet.written(write));
        assert_eq!(rows.len(), 1 + 40 * fleet.checks.len());
        for (row, at) in rows[1..].iter().zip(0..) {
            let (host, check) = (&fleet.hosts[at / fleet.checks.len()], &fleet.checks[at % fleet.checks.len()]);
            assert_eq!((&row[0], &row[4]), (&host.name, &check.id));
            if host.outcome.status != crate::model::Status::Scanned {
                assert_eq!(
                    (row[column("verdict")].as_str(), row[column("reason")].as_str()),
                    ("unknown", host.outcome.reason.code())
                );
                assert_eq!(row[column("evidence")], host.outcome.detail.text());
            }
        }
    }

    #[test]
    fn a_report_without_hosts_is_its_header() {
        let written = Fleet::of(vec![fixture::check("a", Severity::Low)], Vec::new()).written(write);
        let header =
            "host,address,groups,outcome,check,title,severity,verdict,reason,evidence,remediation,references,scanned_at\r\n";
        assert_eq!(String::from_utf8(written).unwrap(), header);
    }

    #[test]
    fn a_check_that_a_broken_host_did_not_reach_is_unknown_for_the_hosts_reason() {
        let outcome =
            Outcome { status: crate::model::Status::Partial, ..Outcome::without_answers(Reason::ConnectionLost, "reset") };
        let findings = vec![fixture::finding("b", Verdict::Pass, &["0640"])];
        let host = HostReport { outcome, findings, ..fixture::host(0) };
        let checks = vec![fixture::check("a", Severity::Low), fixture::check("b", Severity::Low)];
        let rows = rows(&Fleet::of(checks, vec![host]).written(write));
        let said: Vec<_> =
            rows[1..].iter().map(|row| (row[4].as_str(), row[7].as_str(), row[8].as_str(), row[9].as_str())).collect();
        assert_eq!(said, [("a", "unknown", "connection_lost", "reset"), ("b", "pass", "", "0640")]);
    }

    #[test]
    fn formulas_are_guarded_where_a_cell_begins() {
        let guarded = [
            ("=cmd|'/C calc'!A0", "'=cmd|'/C calc'!A0"),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("＝1", "'＝1"),
            ("\t=1", "'\t'=1"),
            ("\0", "'\0"),
            ("a;=1", "a;'=1"),
            ("a;\"=1", "a;\"'=1"),
            ("\"\"=1", "\"\"'=1"),
            ("a; -w /etc", "a; -w /etc"),
            ("a=1; b", "a=1; b"),
            ("", ""),
        ];
        for (text, expected) in guarded {
            assert_eq!(cell(text), expected);
        }
    }

    #[test]
    fn a_cell_is_cut_at_what_a_spreadsheet_holds() {
        assert_eq!(cell(&"x".repeat(LONGEST_CELL)).len(), LONGEST_CELL);
        let cut = cell(&"💥".repeat(LONGEST_CELL));
        assert!(cut.ends_with("💥 [cut]"));
        assert_eq!(cut.encode_utf16().count(), LONGEST_CELL - 1, "a pair of units is never split");
    }

    fn hostile_text() -> impl Strategy<Value = String> {
        prop_oneof![any::<String>(), "[=+@;\"',|\\r\\n\\t -]{0,12}"]
    }

    proptest! {
        #[test]
        fn what_a_reader_gets_is_the_guarded_text(name in hostile_text(), group in hostile_text(), line in hostile_text(), remediation in hostile_text()) {
            let mut check = fixture::check("a", Severity::High);
            check.remediation = remediation.clone();
            let verdict = Verdict::Unknown(Why::NeedsRoot(line.clone()));
            let host = HostReport {
                name: name.clone(),
                groups: vec![group.clone(), group.clone()],
                findings: vec![fixture::finding("a", verdict, &[&line, &line])],
                ..fixture::host(0)
            };
            let rows = rows(&Fleet::of(vec![check], vec![host]).written(write));
            prop_assert_eq!(rows.len(), 2);
            let line = Evidence::new(&line);
            prop_assert_eq!(&rows[1][column("host")], &text_cell(&name));
            prop_assert_eq!(&rows[1][column("groups")], &cell(&format!("{0} | {0}", safe(&group))));
            prop_assert_eq!(&rows[1][column("evidence")], &cell(&format!("{0} | {0}", line.text())));
            prop_assert_eq!(&rows[1][column("remediation")], &text_cell(&remediation));
            for cell in &rows[1] {
                prop_assert!(!cell.starts_with(starts_formula), "{cell:?}");
                prop_assert!(!cell.contains(char::is_control), "{cell:?}");
            }
        }
    }
}
