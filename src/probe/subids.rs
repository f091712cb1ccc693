//! Ranges of subordinate user and group ids, which rootless and remapped containers run with (subuid(5), subgid(5)).

use super::{Answer, FactSpec, Input, Kind, Output, Probe, Wanted, needs_nothing, no_secrets};
use crate::command::{Program, ReadOnlyCommand, Rights, Step};
use crate::model::{Value, Why};

pub(super) const PROBE: Probe = Probe { name: "subids", facts: FACTS, needs: needs_nothing, steps, parse, redact: no_secrets };

const FACTS: &[FactSpec] = &[FactSpec {
    name: "subids.conflicts",
    key: None,
    kind: Kind::List(&Kind::Text),
    unit: None,
    source: "grep -H '' /etc/subuid /etc/subgid",
    rights: Rights::Any,
    summary: "Ranges in /etc/subuid and /etc/subgid that two owners share, or that reach into the ids of accounts (below 65536).",
}];

const STEP: &str = "subids";
const FILES: [&str; 2] = ["/etc/subuid", "/etc/subgid"];

/// Where the ids that accounts may have end (login.defs(5): UID_MAX is 60000; 65534 is nobody).
const ACCOUNTS: u64 = 65_536;

fn steps(_: &Wanted) -> Vec<Step> {
    let command = ReadOnlyCommand::new(Program::Grep, &["-H", "", FILES[0], FILES[1]], Rights::Any);
    command.ok().map(|command| Step::new(STEP, command)).into_iter().collect()
}

fn parse(input: &Input<'_>, output: &mut Output) {
    output.set("subids.conflicts", input.answers.answer(STEP).and_then(conflicts));
}

fn conflicts(answer: &Answer) -> Result<Value, Why> {
    let complaints = answer.error_text();
    if let Some(line) =
        complaints.lines().find(|line| FILES.iter().any(|file| line.contains(file)) && !line.contains("No such file"))
    {
        return Err(if answer.was_denied() { Why::NeedsRoot(line.to_owned()) } else { Why::ProbeFailed(line.to_owned()) });
    }
    let text = answer.text();
    let mut lines = Vec::new();
    for file in FILES {
        let mut ranges: Vec<(u64, u64, &str)> = Vec::new();
        for line in text.lines().filter_map(|line| line.strip_prefix(file)?.strip_prefix(':')) {
            if line.trim().is_empty() {
                continue;
            }
            let mut fields = line.trim().split(':');
            let range = fields
                .next()
                .zip(fields.next().and_then(|first| first.parse().ok()))
                .zip(fields.next().and_then(|count| count.parse().ok()));
            let ((owner, first), count): ((&str, u64), u64) =
                range.ok_or_else(|| Why::CouldNotBeParsed(format!("`{line}` in {file} is not OWNER:FIRST:COUNT")))?;
            if count > 0 {
                ranges.push((first, first.saturating_add(count - 1), owner));
            }
        }
        ranges.sort_unstable();
        // The range that reaches furthest so far: whatever begins before its end lies in it.
        let mut furthest: Option<(u64, u64, &str)> = None;
        for range in ranges {
            let (first, last, owner) = range;
            if first < ACCOUNTS {
                lines.push(format!("{file}: {owner} has {first}-{last}, which reaches into the ids of accounts"));
            }
            if let Some((from, to, other)) = furthest
                && other != owner
                && first <= to
            {
                lines.push(format!("{file}: {owner} has {first}-{last}, {other} has {from}-{to}"));
            }
            if furthest.is_none_or(|(_, to, _)| last > to) {
                furthest = Some(range);
            }
        }
    }
    Ok(lines.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::script::tests::{answered_with, facts_of};

    fn found(stdout: &str, stderr: &str) -> Result<Value, Why> {
        let exit = if stderr.is_empty() { 0 } else { 2 };
        facts_of(&["subids.conflicts"], &[(STEP, answered_with(stdout, stderr, exit))]).value("subids.conflicts").cloned()
    }

    #[test]
    fn ranges_side_by_side_are_fine_and_files_may_be_missing() {
        let text = "/etc/subuid:alice:100000:65536\n/etc/subuid:bob:165536:65536\n/etc/subuid:bob:165540:10\n/etc/subgid:alice:100000:65536\n";
        assert_eq!(found(text, ""), Ok(Value::List(Vec::new())));
        let missing = "grep: /etc/subuid: No such file or directory\ngrep: /etc/subgid: No such file or directory\n";
        assert_eq!(found("", missing), Ok(Value::List(Vec::new())));
    }

    #[test]
    fn a_range_of_two_owners_or_within_accounts_is_named() {
        let text = "/etc/subuid:alice:100000:65536\n/etc/subuid:bob:120000:10\n/etc/subgid:carol:1000:18446744073709551615\n";
        let lines = [
            "/etc/subuid: bob has 120000-120009, alice has 100000-165535",
            "/etc/subgid: carol has 1000-18446744073709551615, which reaches into the ids of accounts",
        ];
        assert_eq!(found(text, ""), Ok(Value::list(lines)));
    }

    #[test]
    fn what_cannot_be_read_or_understood_is_unknown() {
        assert!(matches!(found("", "grep: /etc/subuid: Permission denied\n"), Err(Why::NeedsRoot(_))));
        assert!(matches!(found("/etc/subuid:alice:many\n", ""), Err(Why::CouldNotBeParsed(_))));
    }
}
