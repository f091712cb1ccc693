//! The summary after a scan: what was covered first, then what is worst, then what is missing. Its length is bounded, whatever the fleet.

use std::collections::BTreeMap;
use std::env;
use std::io::{self, IsTerminal, Write};

use jiff::Timestamp;

use super::layout::{Paint, columns, counted, ends, fit, names, number, pad, percent, wrap};
use super::{WriteError, explanation, safe, was_judged};
use crate::journal::Journal;
use crate::model::{
    CheckInfo, CheckTotals, Evidence, Finding, FleetFinding, FleetFindingKind, FleetReport, HostReport, Outcome, Privilege,
    Reason, Severity, Status, Verdict, VerdictCounts,
};

/// How many failed checks are shown, and how many of the hosts that are missing.
const CHECKS_SHOWN: usize = 25;
const REVIEWS_SHOWN: usize = 5;
const HOSTS_SHOWN: usize = 20;
/// Of what is wrong across hosts, how many cases of a kind.
const ACROSS_SHOWN: usize = 4;
/// With so few hosts missing there is room to say in full what happened.
const FEW_HOSTS: usize = 5;
/// Of a single host, how many lines of evidence a check shows.
const EVIDENCE_SHOWN: usize = 8;
const NAMES_KEPT: usize = 8;
const NAME_COLUMNS: usize = 28;
/// The column where the text beside a severity begins.
const INDENT: usize = 12;

/// How many of the checks that lack a privilege are named.
const GAPS_NAMED: usize = 2;

/// What a report is worth that was made without looking at host keys.
const INSECURE: &str = "NOT VERIFIED (--insecure-accept-any-host-key): any host here may have been somebody else";

/// How the summary is to look.
#[derive(Debug, Clone)]
pub struct Terminal {
    /// Columns; kept between 60 and 120, where lines are readable.
    pub width: usize,
    /// Whether to colour.
    pub colour: bool,
    /// The last line: what the exit status means, in the words of who decides it.
    pub conclusion: Option<String>,
}

impl Terminal {
    /// No colour, 80 columns.
    pub fn plain() -> Self {
        Self { width: 80, colour: false, conclusion: None }
    }

    /// As standard output wants it: plain where it is no terminal, without colour where `NO_COLOR` says so.
    pub fn of_stdout() -> Self {
        let stdout = io::stdout();
        if !stdout.is_terminal() {
            return Self::plain();
        }
        let refused = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = env::var_os("TERM").is_none_or(|term| term == "dumb");
        let width = terminal_size::terminal_size_of(stdout).map_or(80, |(width, _)| usize::from(width.0));
        Self { width, colour: !refused && !dumb, conclusion: None }
    }

    /// The same with a last line.
    pub fn concluding(self, conclusion: impl Into<String>) -> Self {
        Self { conclusion: Some(conclusion.into()), ..self }
    }
}

/// The summary as a format of `-o`.
pub(super) fn write_plain(report: &FleetReport, journal: &Journal, out: &mut dyn Write) -> Result<(), WriteError> {
    write_terminal(report, journal, &Terminal::plain(), out)
}

/// Writes the summary. A report of one host shows every failed and unknown check with its evidence; one of a fleet groups by check.
pub fn write_terminal(
    report: &FleetReport,
    journal: &Journal,
    terminal: &Terminal,
    out: &mut dyn Write,
) -> Result<(), WriteError> {
    let digest = Digest::of(report, journal)?;
    let mut page = Page { out, width: terminal.width.clamp(60, 120), paint: Paint { colour: terminal.colour } };
    page.coverage(report)?;
    page.across_the_fleet(report)?;
    match &digest.only {
        Some(host) if was_judged(host) => page.one_host(report, host)?,
        _ => {
            page.failed_checks(report)?;
            page.reviews(report)?;
            page.unknown(report, &digest)?;
        }
    }
    page.missing_hosts(&digest)?;
    page.totals(report, terminal.conclusion.as_deref())?;
    Ok(())
}

/// What the totals do not tell: gathered in one pass over the journal, bounded whatever the fleet.
#[derive(Default)]
struct Digest {
    /// Unknown verdicts by the code of their reason.
    unknown: BTreeMap<&'static str, UnknownHosts>,
    /// The hosts that are shown as missing, the most alarming first.
    missing: BTreeMap<(usize, usize), Missing>,
    /// How many are missing in all.
    all_missing: u64,
    /// The host, where there is only one.
    only: Option<HostReport>,
}

#[derive(Default)]
struct UnknownHosts {
    verdicts: u64,
    hosts: u64,
    first: Vec<String>,
}

struct Missing {
    name: String,
    outcome: Outcome,
}

impl Digest {
    fn of(report: &FleetReport, journal: &Journal) -> Result<Self, WriteError> {
        let mut digest = Self::default();
        for host in journal.read() {
            let host = host?;
            digest.add(&host);
            if report.totals.hosts == 1 {
                digest.only = Some(host);
            }
        }
        Ok(digest)
    }

    fn add(&mut self, host: &HostReport) {
        let mut here: BTreeMap<&'static str, u64> = BTreeMap::new();
        for finding in &host.findings {
            if let Verdict::Unknown(why) = &finding.verdict {
                *here.entry(why.code()).or_default() += 1;
            }
        }
        for (code, verdicts) in here {
            let unknown = self.unknown.entry(code).or_default();
            unknown.verdicts += verdicts;
            unknown.hosts += 1;
            if unknown.first.len() < NAMES_KEPT {
                unknown.first.push(safe(&host.name));
            }
        }
        if host.outcome.status != Status::Scanned {
            self.all_missing += 1;
            let missing = Missing { name: safe(&host.name), outcome: host.outcome.clone() };
            self.missing.insert((alarm(host.outcome.status), host.index), missing);
            if self.missing.len() > HOSTS_SHOWN {
                self.missing.pop_last();
            }
        }
    }
}

/// What should not be crowded out by a rack that is switched off comes first.
fn alarm(status: Status) -> usize {
    let order = [Status::Untrusted, Status::Denied, Status::Failed, Status::Partial, Status::Unreachable, Status::Skipped];
    order.iter().position(|other| *other == status).unwrap_or(order.len())
}

struct Page<'a> {
    out: &'a mut dyn Write,
    width: usize,
    paint: Paint,
}

impl Page<'_> {
    fn line(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out, "{}", text.trim_end())
    }

    fn heading(&mut self, text: &str) -> io::Result<()> {
        let heading = self.paint.heading(text);
        writeln!(self.out, "\n{heading}")
    }

    /// `text` wrapped behind `indent` spaces.
    fn paragraph(&mut self, text: &str, indent: usize, most: usize) -> io::Result<()> {
        for line in wrap(text, self.width - indent, most) {
            self.line(&format!("{:indent$}{line}", ""))?;
        }
        Ok(())
    }

    /// `text` wrapped behind a label.
    fn labelled(&mut self, label: &str, text: &str) -> io::Result<()> {
        let mut lines = wrap(text, self.width - INDENT, 4).into_iter();
        self.line(&format!("  {}{}", pad(label, INDENT - 2), lines.next().unwrap_or_default()))?;
        for line in lines {
            self.line(&format!("{:INDENT$}{line}", ""))?;
        }
        Ok(())
    }

    fn coverage(&mut self, report: &FleetReport) -> io::Result<()> {
        let totals = &report.totals;
        let checks = report.checks.len() as u64;
        let mut title = format!("{}, {}", counted(totals.hosts, "host"), counted(checks, "check"));
        if let Some(seconds) = seconds_between(&report.started, &report.finished) {
            title.push_str(&format!(", {}", duration(seconds)));
        }
        let title = self.paint.strong(&ends(&title, &report.started, self.width));
        self.line(&title)?;
        if report.interrupted {
            let warning = self.paint.warning("The scan ended early: hosts are missing for that reason alone.");
            self.line(&warning)?;
        }

        self.heading("Coverage")?;
        let scanned = report.scanned();
        let partial = totals.statuses.get(&Status::Partial).copied().unwrap_or(0);
        let missing = totals.hosts.saturating_sub(scanned + partial);
        let hosts = format!("{} of {} scanned ({})", number(scanned), number(totals.hosts), percent(scanned, totals.hosts));
        self.labelled("Hosts", &with_rest(hosts, [(partial, "scanned in part"), (missing, "not scanned")]))?;
        let mut reasons: Vec<_> = totals.reasons.iter().collect();
        reasons.sort_by_key(|(reason, count)| (std::cmp::Reverse(**count), **reason));
        let reasons: Vec<_> = reasons.iter().map(|(reason, count)| format!("{reason} {}", number(**count))).collect();
        self.paragraph(&reasons.join(", "), INDENT, Reason::ALL.len())?;

        // Of a single host, the line about it says so.
        if totals.hosts > 1 && totals.privileges.keys().any(|privilege| *privilege != Privilege::Root) {
            let rights: Vec<_> = totals.privileges.iter().map(|(word, count)| format!("{} {word}", number(*count))).collect();
            self.labelled("Rights", &rights.join(", "))?;
        }

        let unknown = totals.verdicts.unknown;
        let decided = totals.verdicts.total() - unknown;
        let all = totals.hosts * checks;
        let verdicts = format!("{} of {} decided ({})", number(decided), number(all), percent(decided, all));
        self.labelled("Verdicts", &with_rest(verdicts, [(unknown, "unknown"), (missing * checks, "on hosts not scanned")]))?;
        if report.insecure_host_keys {
            self.labelled("Host keys", INSECURE)?;
        }
        Ok(())
    }

    /// What is wrong with hosts as seen together, kind by kind.
    fn across_the_fleet(&mut self, report: &FleetReport) -> io::Result<()> {
        let findings = report.fleet_findings();
        if findings.is_empty() {
            return Ok(());
        }
        self.heading("Across the fleet")?;
        for kind in FleetFindingKind::ALL {
            let of_kind: Vec<&FleetFinding> = findings.iter().filter(|finding| finding.kind == kind).collect();
            let Some(first) = of_kind.first() else { continue };
            let hosts: usize = of_kind.iter().map(|finding| finding.hosts.len()).sum();
            self.severity_line(first.severity, &safe(&first.title), &counted(hosts as u64, "host"))?;
            for finding in of_kind.iter().take(ACROSS_SHOWN) {
                let named: Vec<String> = finding.hosts.iter().take(NAMES_KEPT).map(|name| safe(name)).collect();
                let room = self.width - INDENT - 2;
                let hosts = names(&named, finding.hosts.len() as u64, room);
                self.line(&format!("{:INDENT$}- {hosts}", ""))?;
                for evidence in &finding.evidence {
                    self.paragraph(evidence.text(), INDENT + 2, 4)?;
                }
            }
            match of_kind.len().saturating_sub(ACROSS_SHOWN) {
                0 => {}
                more => self.line(&format!("{:INDENT$}and {} more (all of them: -o json=PATH)", "", number(more as u64)))?,
            }
            self.paragraph(&format!("Remedy: {}", safe(&first.remediation)), INDENT, 6)?;
        }
        Ok(())
    }

    /// `SEVERITY  left .. right`, the severity coloured.
    fn severity_line(&mut self, severity: Severity, left: &str, right: &str) -> io::Result<()> {
        let rest = ends(left, right, self.width - INDENT);
        self.beside_severity(severity, &rest)
    }

    fn beside_severity(&mut self, severity: Severity, text: &str) -> io::Result<()> {
        let word = self.paint.severity(severity, &pad(&severity.as_str().to_uppercase(), INDENT - 4));
        self.line(&format!("  {word}  {}", self.paint.strong(text)))
    }

    fn failed_checks(&mut self, report: &FleetReport) -> io::Result<()> {
        let mut failed = checks_where(report, |verdicts| verdicts.fail);
        failed.sort_by_key(|(check, totals)| std::cmp::Reverse((check.severity, totals.verdicts.fail)));
        if failed.is_empty() {
            let text = if report.totals.verdicts.total() == 0 { "Nothing was judged" } else { "No check failed" };
            return self.heading(text);
        }
        self.heading("Failed checks, the worst first")?;
        for (check, totals) in failed.iter().take(CHECKS_SHOWN) {
            let hosts = format!("{} of {}", number(totals.verdicts.fail), counted(totals.verdicts.total(), "host"));
            self.severity_line(check.severity, &safe(&check.title), &hosts)?;
            let id = safe(&check.id);
            let first: Vec<_> = totals.failed.iter().map(|(_, name)| safe(name)).collect();
            let room = (self.width - INDENT).saturating_sub(columns(&id) + 2);
            let line = format!("{id}: {}", names(&first, totals.verdicts.fail, room));
            let line = self.paint.faint(&fit(&line, self.width - INDENT));
            self.line(&format!("{:INDENT$}{line}", ""))?;
        }
        self.and_more(failed.len(), CHECKS_SHOWN, "more failed check")
    }

    fn reviews(&mut self, report: &FleetReport) -> io::Result<()> {
        let mut reviews = checks_where(report, |verdicts| verdicts.review);
        reviews.sort_by_key(|(check, totals)| std::cmp::Reverse((check.severity, totals.verdicts.review)));
        if reviews.is_empty() {
            return Ok(());
        }
        self.heading("For a person to decide")?;
        for (check, totals) in reviews.iter().take(REVIEWS_SHOWN) {
            self.severity_line(check.severity, &safe(&check.id), &counted(totals.verdicts.review, "host"))?;
        }
        self.and_more(reviews.len(), REVIEWS_SHOWN, "more check")
    }

    fn unknown(&mut self, report: &FleetReport, digest: &Digest) -> io::Result<()> {
        if digest.unknown.is_empty() {
            return Ok(());
        }
        let verdicts = &report.totals.verdicts;
        self.heading(&format!("Unknown: {} of {} verdicts", number(verdicts.unknown), number(verdicts.total())))?;
        let code_columns = digest.unknown.keys().map(|code| columns(code)).max().unwrap_or(0);
        for (code, unknown) in &digest.unknown {
            let start =
                format!("  {}  {} on {}: ", pad(code, code_columns), number(unknown.verdicts), counted(unknown.hosts, "host"));
            let room = self.width.saturating_sub(columns(&start));
            self.line(&format!("{start}{}", names(&unknown.first, unknown.hosts, room)))?;
        }
        self.privilege_gaps(report)
    }

    /// What to do about the commonest reason to be unknown.
    fn privilege_gaps(&mut self, report: &FleetReport) -> io::Result<()> {
        let gaps = report.privilege_gaps();
        let Some(gap) = gaps.first() else { return Ok(()) };
        let count = gaps.len() as u64;
        let mut named: Vec<_> = gaps.iter().take(GAPS_NAMED).map(|gap| safe(&gap.check)).collect();
        if gaps.len() > GAPS_NAMED {
            named.push(format!("{} more", number(count - GAPS_NAMED as u64)));
        }
        let checks = format!("{} on {}", counted(count, "check"), counted(report.totals.needs_root, "host"));
        let rules = match gaps.len() {
            1 if gap.rules.is_empty() => "No rule of sudo for single commands settles it".to_owned(),
            1 => format!("`fleetscan sudoers --only {}` prints the rules of sudo that settle it", safe(&gap.check)),
            _ => "`fleetscan sudoers --only ID` prints the rules of sudo that settle one".to_owned(),
        };
        let text = format!(
            "{checks} stayed unknown for want of a privilege ({}). {rules}; a login as root does, too, and so may a password for sudo (-b -K).",
            named.join(", ")
        );
        self.paragraph(&text, 2, 5)
    }

    fn missing_hosts(&mut self, digest: &Digest) -> io::Result<()> {
        if digest.missing.is_empty() {
            return Ok(());
        }
        self.heading("Hosts not scanned, or only in part")?;
        let widest = |text: fn(&Missing) -> &str| digest.missing.values().map(|host| columns(text(host))).max().unwrap_or(0);
        let name_columns = widest(|host| &host.name).min(NAME_COLUMNS);
        let reason_columns = widest(|host| host.outcome.reason.code());
        let room = self.width.saturating_sub(2 + name_columns + 2 + reason_columns + 2);
        let few = digest.all_missing <= FEW_HOSTS as u64;
        for host in digest.missing.values() {
            let name = pad(&fit(&host.name, name_columns), name_columns);
            let reason = self.paint.warning(&pad(host.outcome.reason.code(), reason_columns));
            let detail = explanation(&host.outcome);
            if few && columns(detail) > room {
                self.line(&format!("  {name}  {reason}"))?;
                self.paragraph(detail, 6, 6)?;
            } else {
                self.line(&format!("  {name}  {reason}  {}", fit(detail, room)))?;
            }
        }
        match digest.all_missing.saturating_sub(digest.missing.len() as u64) {
            0 => Ok(()),
            more => self.line(&format!("  and {} (all of them: -o csv=PATH)", counted(more, "more host"))),
        }
    }

    fn totals(&mut self, report: &FleetReport, conclusion: Option<&str>) -> io::Result<()> {
        let totals = &report.totals;
        let VerdictCounts { pass, fail, review, not_applicable, unknown } = totals.verdicts;
        self.heading("Totals")?;
        let verdicts =
            [(pass, "pass"), (fail, "fail"), (review, "review"), (not_applicable, "not applicable"), (unknown, "unknown")];
        self.labelled("Verdicts", &verdicts.map(|(count, word)| format!("{} {word}", number(count))).join(", "))?;
        for (label, counts) in [("Failed", &totals.failed), ("Unknown", &totals.unknown)] {
            let counts: Vec<_> = counts.iter().rev().map(|(severity, count)| format!("{} {severity}", number(*count))).collect();
            if !counts.is_empty() {
                self.labelled(label, &counts.join(", "))?;
            }
        }
        match conclusion {
            None => Ok(()),
            Some(conclusion) => {
                self.line("")?;
                self.paragraph(&safe(conclusion), 0, 4)
            }
        }
    }

    /// Everything about the only host that a person at a shell wants to know.
    fn one_host(&mut self, report: &FleetReport, host: &HostReport) -> io::Result<()> {
        let mut about = vec![safe(&host.name)];
        about.extend((host.address != host.name).then(|| safe(&host.address)));
        about.extend(host.os.as_ref().map(|os| os.text().to_owned()));
        about.extend(host.privilege.map(|privilege| match privilege {
            Privilege::Root => "asked as root".to_owned(),
            Privilege::SudoShell => "asked with sudo (one shell)".to_owned(),
            Privilege::Sudo => "asked with sudo (by command)".to_owned(),
            Privilege::DoasShell => "asked with doas (one shell)".to_owned(),
            Privilege::Doas => "asked with doas (by command)".to_owned(),
            Privilege::User => "asked without root".to_owned(),
        }));
        self.labelled("Host", &about.join(", "))?;

        let mut answers: Vec<_> = report.checks.iter().zip(&host.findings).collect();
        answers.sort_by_key(|(check, _)| std::cmp::Reverse(check.severity));
        let of = |verdict: fn(&Verdict) -> bool| -> Vec<(&CheckInfo, &Finding)> {
            answers
                .iter()
                .filter(|(_, finding)| verdict(&finding.verdict))
                .map(|(check, finding)| (&***check, *finding))
                .collect()
        };
        let failed = of(|verdict| *verdict == Verdict::Fail);
        if failed.is_empty() {
            self.heading("No check failed")?;
        } else {
            self.heading("Failed checks, the worst first")?;
            for (check, finding) in failed {
                self.finding(check, &finding.evidence)?;
                for (at, line) in check.remediation.trim().lines().enumerate() {
                    let label = if at == 0 { "Remedy: " } else { "" };
                    self.paragraph(&format!("{label}{}", safe(line)), INDENT, 8)?;
                }
            }
        }
        let reviews = of(|verdict| *verdict == Verdict::Review);
        if !reviews.is_empty() {
            self.heading("For a person to decide")?;
            for (check, finding) in reviews {
                self.finding(check, &finding.evidence)?;
            }
        }
        let unknown = of(|verdict| matches!(verdict, Verdict::Unknown(_)));
        if !unknown.is_empty() {
            self.heading("Unknown")?;
            for (check, finding) in &unknown {
                self.severity_line(check.severity, &safe(&check.id), finding.verdict.reason().unwrap_or_default())?;
                let detail = finding.evidence.first().map(Evidence::text).unwrap_or_default();
                self.paragraph(detail, INDENT, 1)?;
            }
            self.privilege_gaps(report)?;
        }
        Ok(())
    }

    fn finding(&mut self, check: &CheckInfo, evidence: &[Evidence]) -> io::Result<()> {
        let mut title = wrap(&safe(&check.title), self.width - INDENT, 4).into_iter();
        self.beside_severity(check.severity, &title.next().unwrap_or_default())?;
        for line in title {
            self.line(&format!("{:INDENT$}{}", "", self.paint.strong(&line)))?;
        }
        let id = self.paint.faint(&fit(&safe(&check.id), self.width - INDENT));
        self.line(&format!("{:INDENT$}{id}", ""))?;
        for line in evidence.iter().take(EVIDENCE_SHOWN) {
            let text = match line.source() {
                Some(source) => format!("{} [{source}]", line.text()),
                None => line.text().to_owned(),
            };
            for (at, line) in wrap(&text, self.width - INDENT - 2, 3).iter().enumerate() {
                self.line(&format!("{:INDENT$}{} {line}", "", if at == 0 { '-' } else { ' ' }))?;
            }
        }
        match evidence.len().saturating_sub(EVIDENCE_SHOWN) {
            0 => Ok(()),
            more => self.line(&format!("{:INDENT$}  and {} more", "", number(more as u64))),
        }
    }

    fn and_more(&mut self, all: usize, shown: usize, noun: &str) -> io::Result<()> {
        match all.saturating_sub(shown) {
            0 => Ok(()),
            more => self.line(&format!("{:INDENT$}and {} (all of them: -o csv=PATH)", "", counted(more as u64, noun))),
        }
    }
}

/// `start`, and what is not nothing of the rest.
fn with_rest(start: String, rest: [(u64, &str); 2]) -> String {
    let rest = rest.iter().filter(|(count, _)| *count > 0).map(|(count, words)| format!(", {} {words}", number(*count)));
    rest.fold(start, |line, part| line + &part)
}

/// The checks of which something was counted.
fn checks_where(report: &FleetReport, count: fn(&VerdictCounts) -> u64) -> Vec<(&CheckInfo, &CheckTotals)> {
    let checks = report.checks.iter().map(|check| &**check);
    checks.zip(&report.totals.checks).filter(|(_, totals)| count(&totals.verdicts) > 0).collect()
}

fn seconds_between(started: &str, finished: &str) -> Option<u64> {
    let seconds = finished.parse::<Timestamp>().ok()?.as_second() - started.parse::<Timestamp>().ok()?.as_second();
    u64::try_from(seconds).ok()
}

/// `42 s`, `3 min 7 s`, `2 h 5 min`.
pub(super) fn duration(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::KeyTrust;
    use crate::report::fixture::{self, Fleet};

    fn shown(fleet: &Fleet, terminal: &Terminal) -> String {
        let (report, journal) = fleet.finished();
        let mut out = Vec::new();
        write_terminal(&report, &journal, terminal, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn assert_readable(text: &str, width: usize) {
        for line in text.lines() {
            assert!(columns(line) <= width, "{} columns: {line}", columns(line));
            assert!(!line.chars().any(|character| character.is_control() || character == '\u{202e}'), "{line:?}");
        }
    }

    #[test]
    fn a_small_fleet() {
        let text = shown(&fixture::hostile(), &Terminal::plain().concluding("Exit status 4: failures, and hosts not scanned."));
        assert_readable(&text, 80);
        insta::assert_snapshot!(text);
    }

    #[test]
    fn five_thousand_hosts_take_no_more_room_than_fifty() {
        let text = shown(&fixture::large(5_000), &Terminal::plain());
        assert_readable(&text, 80);
        assert!(text.lines().count() <= 120, "{} lines", text.lines().count());
        insta::assert_snapshot!(text);
    }

    #[test]
    fn a_single_host_is_told_what_was_found_and_what_to_do() {
        let fleet = fixture::hostile();
        let text = shown(&Fleet::of(fleet.checks, vec![fleet.hosts[0].clone()]), &Terminal::plain());
        assert_readable(&text, 80);
        insta::assert_snapshot!(text);
    }

    #[test]
    fn a_single_host_that_was_not_scanned_and_a_fleet_of_none() {
        let fleet = fixture::hostile();
        let alone = HostReport { index: 0, ..fleet.hosts[2].clone() };
        insta::assert_snapshot!(shown(&Fleet::of(fleet.checks, vec![alone]), &Terminal::plain()));
        insta::assert_snapshot!(shown(&Fleet::of(Vec::new(), Vec::new()), &Terminal::plain()));
    }

    #[test]
    fn a_report_of_hosts_that_were_not_verified_says_so() {
        let text = shown(&Fleet { insecure: true, ..fixture::hostile() }, &Terminal::plain());
        assert!(text.contains("Host keys NOT VERIFIED"), "{text}");
        assert!(!shown(&fixture::hostile(), &Terminal::plain()).contains("NOT VERIFIED"));
    }

    #[test]
    fn thousands_of_changed_keys_take_no_more_room_than_a_few() {
        let hosts = (0..3_000).map(|index| {
            let whose = if index < 1_000 { "a clone".to_owned() } else { format!("host{index}") };
            let how = if index < 1_000 { KeyTrust::Known } else { KeyTrust::Changed };
            HostReport { host_key: Some(fixture::key(&whose, how, &format!("machine{index}"))), ..fixture::host(index) }
        });
        let text = shown(&Fleet::of(Vec::new(), hosts.collect()), &Terminal::plain());
        assert_readable(&text, 80);
        assert!(text.lines().count() <= 60, "{text}");
        assert!(text.contains("and 1,996 more") && text.contains("1,000 hosts") && text.contains("web00, web01"), "{text}");
    }

    #[test]
    fn colours_change_nothing_but_colours_and_every_width_is_kept() {
        let fleet = fixture::hostile();
        let escapes = regex::Regex::new("\x1b\\[[0-9;]*m").unwrap();
        for width in [60, 80, 120] {
            let plain = shown(&fleet, &Terminal { width, ..Terminal::plain() });
            assert_readable(&plain, width);
            let coloured = shown(&fleet, &Terminal { width, colour: true, ..Terminal::plain() });
            assert_ne!(coloured, plain);
            let trimmed = |text: &str| text.lines().map(|line| format!("{}\n", line.trim_end())).collect::<String>();
            assert_eq!(trimmed(&escapes.replace_all(&coloured, "")), plain);
        }
    }
}
