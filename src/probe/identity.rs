//! Who answers: operating system, kernel, init, login.

use super::{FactSpec, Input, Kind, Output, Probe, Wanted, needs_nothing, no_secrets};
use crate::command::{Fragment, Program, ReadOnlyCommand, Rights, Step};
use crate::model::{Value, Why};

pub(super) const PROBE: Probe = Probe { name: "identity", facts: FACTS, needs: needs_nothing, steps, parse, redact: no_secrets };

const FACTS: &[FactSpec] = &[
    FactSpec {
        name: "os.id",
        key: None,
        kind: Kind::Text,
        unit: None,
        source: "grep /etc/os-release /usr/lib/os-release",
        rights: Rights::Any,
        summary: "ID of os-release(5), such as debian; linux where it has none.",
    },
    FactSpec {
        name: "os.version",
        key: None,
        kind: Kind::Maybe(&Kind::Text),
        unit: None,
        source: "grep /etc/os-release /usr/lib/os-release",
        rights: Rights::Any,
        summary: "VERSION_ID of os-release(5); null on rolling releases.",
    },
    FactSpec {
        name: "os.name",
        key: None,
        kind: Kind::Text,
        unit: None,
        source: "grep /etc/os-release /usr/lib/os-release",
        rights: Rights::Any,
        summary: "PRETTY_NAME of os-release(5).",
    },
    FactSpec {
        name: "os.like",
        key: None,
        kind: Kind::List(&Kind::Text),
        unit: None,
        source: "grep /etc/os-release /usr/lib/os-release",
        rights: Rights::Any,
        summary: "ID and ID_LIKE of os-release(5): the families the system belongs to.",
    },
    FactSpec {
        name: "login.uid",
        key: None,
        kind: Kind::Int,
        unit: None,
        source: "id -u",
        rights: Rights::Any,
        summary: "The user id that the probes run with.",
    },
    FactSpec {
        name: "kernel.release",
        key: None,
        kind: Kind::Text,
        unit: None,
        source: "uname -r",
        rights: Rights::Any,
        summary: "Release of the running kernel.",
    },
    FactSpec {
        name: "kernel.command_line",
        key: None,
        kind: Kind::List(&Kind::Text),
        unit: None,
        source: "cat /proc/cmdline",
        rights: Rights::Any,
        summary: "Words of the kernel's command line.",
    },
    FactSpec {
        name: "init.name",
        key: None,
        kind: Kind::Text,
        unit: None,
        source: "cat /proc/1/comm",
        rights: Rights::Any,
        summary: "Name of process 1: systemd, init, and so on.",
    },
    FactSpec {
        name: "clock.date",
        key: None,
        kind: Kind::Text,
        unit: None,
        source: "date +%s",
        rights: Rights::Any,
        summary: "The day of the scan in UTC by the host's own clock, such as 2026-08-21.",
    },
    FactSpec {
        name: "tools",
        key: Some("program"),
        kind: Kind::Maybe(&Kind::Text),
        unit: None,
        source: "command -v",
        rights: Rights::Any,
        summary: "Where a program is found in the system directories; null where it is not.",
    },
];

fn command(program: Program, arguments: &[&str]) -> Option<ReadOnlyCommand> {
    ReadOnlyCommand::new(program, arguments, Rights::Any).ok()
}

fn steps(wanted: &Wanted) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut ask = |id: &str, command: Option<ReadOnlyCommand>| steps.extend(command.map(|command| Step::new(id, command)));
    if wanted.wants_any(&["os.id", "os.version", "os.name", "os.like"]) {
        // Not cat: where both files exist, one is a link to the other, and where one is missing, the other answers.
        ask("os-release", command(Program::Grep, &["-sh", "=", "/etc/os-release", "/usr/lib/os-release"]));
    }
    if wanted.wants("login.uid") {
        ask("login", command(Program::Id, &["-u"]));
    }
    if wanted.wants("kernel.release") {
        ask("uname", command(Program::Uname, &["-r"]));
    }
    if wanted.wants("kernel.command_line") {
        ask("kernel-command-line", command(Program::Cat, &["/proc/cmdline"]));
    }
    if wanted.wants("clock.date") {
        ask("clock", command(Program::Date, &["+%s"]));
    }
    if wanted.wants("init.name") {
        ask("init", command(Program::Cat, &["/proc/1/comm"]));
    }
    let tools = wanted.keys("tools");
    if !tools.is_empty() {
        ask("tools", ReadOnlyCommand::fragment(Fragment::Tools, &tools, Rights::Any).ok());
    }
    steps
}

fn parse(input: &Input<'_>, output: &mut Output) {
    let answers = input.answers;
    if input.wanted.wants_any(&["os.id", "os.version", "os.name", "os.like"]) {
        // grep -s exits with 2 when one of the two files is missing, and prints the other all the same.
        let release = answers.text_lenient("os-release");
        let field = |name: &str| -> Result<Option<String>, Why> {
            let text = release.clone()?;
            Ok(text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('=')).map(unquoted))
        };
        output.set("os.id", field("ID").map(|id| id.unwrap_or_else(|| "linux".to_owned())));
        output.set("os.version", field("VERSION_ID"));
        output.set("os.name", field("PRETTY_NAME").map(|name| name.unwrap_or_else(|| "Linux".to_owned())));
        let like = field("ID").and_then(|id| {
            let like = field("ID_LIKE")?.unwrap_or_default();
            Ok(id.into_iter().chain(like.split_ascii_whitespace().map(str::to_owned)).collect::<Vec<_>>())
        });
        output.set("os.like", like);
    }
    let uid = answers.text("login").and_then(|text| {
        text.trim().parse::<i64>().map_err(|_| Why::CouldNotBeParsed(format!("`id -u` says `{}`", text.trim())))
    });
    output.set("login.uid", uid);
    output.set("kernel.release", answers.text("uname").map(|text| text.trim().to_owned()));
    let words = |text: String| text.split_ascii_whitespace().map(str::to_owned).collect::<Vec<_>>();
    output.set("kernel.command_line", answers.text("kernel-command-line").map(words));
    output.set("init.name", answers.text("init").map(|text| text.trim().to_owned()));
    output.set("clock.date", answers.text("clock").and_then(|text| utc_date(text.trim())));
    let tools = answers.text("tools");
    for name in input.wanted.keys("tools") {
        let path = tools.clone().map(|text| {
            let found = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
            found.map_or(Value::Null, Value::from)
        });
        output.set_keyed("tools", name, path);
    }
}

/// The calendar day of seconds since 1970.
fn utc_date(seconds: &str) -> Result<String, Why> {
    let instant = seconds.parse().ok().and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    let date = instant.map(|instant| jiff::tz::Offset::UTC.to_datetime(instant).date().to_string());
    date.ok_or_else(|| Why::CouldNotBeParsed("`date +%s` gave no number of seconds".to_owned()))
}

/// A value of os-release(5) without its shell quoting.
fn unquoted(value: &str) -> String {
    let value = value.trim();
    let inner = ['"', '\''].iter().find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote));
    inner.unwrap_or(value).replace("\\\"", "\"").replace("\\$", "$").replace("\\`", "`").replace("\\\\", "\\")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::script::tests::{answered, facts_of};

    #[test]
    fn os_release_is_read_with_and_without_quotes() {
        let facts = facts_of(
            &["os.id", "os.version", "os.name", "os.like"],
            &[(
                "os-release",
                answered(
                    "PRETTY_NAME=\"Rocky Linux 9.4 (Blue Onyx)\"\nID='rocky'\nID_LIKE=\"rhel centos fedora\"\nVERSION_ID=\"9.4\"\n",
                ),
            )],
        );
        assert_eq!(facts.value("os.id"), Ok(&Value::from("rocky")));
        assert_eq!(facts.value("os.version"), Ok(&Value::from("9.4")));
        assert_eq!(facts.value("os.name"), Ok(&Value::from("Rocky Linux 9.4 (Blue Onyx)")));
        assert_eq!(facts.value("os.like"), Ok(&Value::list(["rocky", "rhel", "centos", "fedora"])));
    }

    #[test]
    fn a_rolling_release_has_no_version() {
        let facts = facts_of(&["os.version"], &[("os-release", answered("ID=arch\n"))]);
        assert_eq!(facts.value("os.version"), Ok(&Value::Null));
    }

    #[test]
    fn seconds_become_a_day_and_nonsense_does_not() {
        let date = |text: &str| facts_of(&["clock.date"], &[("clock", answered(text))]).value("clock.date").cloned();
        assert_eq!(date("1795479600\n"), Ok(Value::from("2026-11-24")));
        assert_eq!(date("-1\n"), Ok(Value::from("1969-12-31")));
        assert!(date("99999999999999999\n").is_err());
        assert!(date("+%s\n").is_err());
    }
}
