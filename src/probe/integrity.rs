//! Programs that notice changed files, and whether they run by themselves.

use super::{FactSpec, Input, Kind, Output, Probe, Wanted, no_secrets};
use crate::command::{Program, ReadOnlyCommand, Rights, Step};
use crate::model::{FactRef, Value, Why};

pub(super) const PROBE: Probe = Probe { name: "integrity", facts: FACTS, needs, steps, parse, redact: no_secrets };

const FACTS: &[FactSpec] = &[
    FactSpec {
        name: "integrity.tools",
        key: None,
        kind: Kind::List(&Kind::Text),
        unit: None,
        source: "packages.names",
        rights: Rights::Any,
        summary: "Installed packages that watch the integrity of files.",
    },
    FactSpec {
        name: "integrity.scheduled",
        key: None,
        kind: Kind::Bool,
        unit: None,
        source: "service[...]; grep -rsHiE '...' /etc/crontab /etc/cron.d ... /var/spool/cron",
        rights: Rights::Root,
        summary: "Whether such a program runs as a service, by a timer or by cron.",
    },
];

const TOOLS: &[&str] = &[
    "aide",
    "aide-dynamic",
    "tripwire",
    "samhain",
    "osquery",
    "wazuh-agent",
    "ossec-hids-agent",
    "afick",
    "integrit",
    "stealth",
];

/// Services that watch all the time, and timers that start a check.
const UNITS: &[&str] =
    &["aidecheck.timer", "aide-check.timer", "aide.timer", "dailyaidecheck.timer", "samhain", "osqueryd", "wazuh-agent"];

fn needs(wanted: &Wanted) -> Vec<FactRef> {
    let mut needs = Vec::new();
    if wanted.wants("integrity.tools") {
        needs.push(FactRef::plain("packages.names"));
    }
    if wanted.wants("integrity.scheduled") {
        needs.extend(UNITS.iter().map(|unit| FactRef::keyed("service", *unit)));
    }
    needs
}

fn steps(wanted: &Wanted) -> Vec<Step> {
    if !wanted.wants("integrity.scheduled") {
        return Vec::new();
    }
    // Without what a rule of sudo would have to escape; comments are sorted out here.
    // In a group: a rule of sudo compares the words joined, so that pattern and paths may come as one word, of which no part must be a pattern by itself.
    let pattern = format!("({})", SCHEDULED.join("|"));
    let words = [
        "-rshiE",
        &pattern,
        "/etc/crontab",
        "/etc/cron.d",
        "/etc/cron.hourly",
        "/etc/cron.daily",
        "/etc/cron.weekly",
        "/var/spool/cron",
        "/etc/crontabs",
        "/etc/periodic",
    ];
    let command = ReadOnlyCommand::new(Program::Grep, &words, Rights::Root).ok();
    command.map(|command| Step::new("integrity-cron", command)).into_iter().collect()
}

/// What a line of cron has in it that runs one of the tools.
const SCHEDULED: [&str; 5] = ["aide", "tripwire", "samhain", "afick", "integrit"];

fn runs_a_tool(line: &str) -> bool {
    let command = line.split('#').next().unwrap_or_default().to_ascii_lowercase();
    SCHEDULED.iter().any(|tool| command.contains(tool))
}

fn parse(input: &Input<'_>, output: &mut Output) {
    if input.wanted.wants("integrity.tools") {
        let tools = input.facts.value("packages.names").map(|names| {
            let names = names.as_list().unwrap_or_default().iter().filter_map(Value::as_str);
            names.filter(|name| TOOLS.contains(name)).map(str::to_owned).collect::<Vec<_>>()
        });
        output.set("integrity.tools", tools);
    }
    if input.wanted.wants("integrity.scheduled") {
        output.set("integrity.scheduled", scheduled(input));
    }
}

/// One that is found decides; none is known only where everything could be read.
fn scheduled(input: &Input<'_>) -> Result<bool, Why> {
    let mut unknown = None;
    for unit in UNITS {
        match input.facts.keyed("service", unit) {
            Ok(service) => {
                let is = |field: &str, word: &str| service.field(field).and_then(Value::as_str) == Some(word);
                if is("active", "active") || is("enabled", "enabled") {
                    return Ok(true);
                }
            }
            Err(why) => unknown = Some(why),
        }
    }
    match input.answers.text_lenient("integrity-cron") {
        Ok(text) if text.lines().any(runs_a_tool) => Ok(true),
        Ok(_) => unknown.map_or(Ok(false), Err),
        Err(why) => Err(why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::script::State;
    use crate::probe::script::tests::{answered, answered_with, facts_of, not_run};

    fn asked(active: &str, cron: crate::probe::Answer) -> Result<Value, Why> {
        let mut units = UNITS.to_vec();
        units.sort_unstable();
        let block = |unit: &&str| {
            let suffix = if unit.contains('.') { "" } else { ".service" };
            format!(
                "Id={unit}{suffix}\nLoadState=loaded\nActiveState={}\nUnitFileState=disabled\n",
                if *unit == active { "active" } else { "inactive" }
            )
        };
        let units = units.iter().map(block).collect::<Vec<_>>().join("\n");
        let answers = [
            ("init", answered("systemd")),
            ("units", answered(&units)),
            ("integrity-cron", cron),
            ("process-names", answered("x\n")),
        ];
        facts_of(&["integrity.scheduled"], &answers).value("integrity.scheduled").cloned()
    }

    #[test]
    fn a_timer_or_a_line_of_cron_is_a_schedule() {
        let silent = || answered_with("", "", 2);
        assert_eq!(asked("dailyaidecheck.timer", not_run(State::NeedsRoot)), Ok(true.into()));
        assert_eq!(asked("", answered_with("0 5 * * * root /usr/bin/aide --check\n", "", 2)), Ok(true.into()));
        assert_eq!(asked("", silent()), Ok(false.into()));
        assert_eq!(asked("", answered_with("# 0 5 * * * root /usr/bin/aide --check\n", "", 2)), Ok(false.into()));
        assert!(matches!(asked("", not_run(State::NeedsRoot)), Err(Why::NeedsRoot(_))));
    }

    #[test]
    fn tools_are_known_by_their_packages() {
        let answers = [
            ("packages-dpkg", answered("aide\tii \t0.18\nbash\tii \t5\n")),
            ("packages-rpm", not_run(State::Missing)),
            ("packages-apk", answered_with("", "", 2)),
        ];
        assert_eq!(facts_of(&["integrity.tools"], &answers).value("integrity.tools"), Ok(&Value::list(["aide"])));
    }
}
