//! Mandatory access control: SELinux and AppArmor.

use super::{FactSpec, Input, Kind, Output, Probe, Wanted, needs_nothing, no_secrets};
use crate::command::{Fragment, Program, ReadOnlyCommand, Rights, Step};
use crate::model::{Value, Why};

pub(super) const PROBE: Probe = Probe { name: "mac", facts: FACTS, needs: needs_nothing, steps, parse, redact: no_secrets };

const FACTS: &[FactSpec] = &[
    FactSpec {
        name: "mac.selinux",
        key: None,
        kind: Kind::Text,
        unit: None,
        source: "grep -H '' /sys/fs/selinux/enforce",
        rights: Rights::Any,
        summary: "SELinux as it is now: enforcing, permissive or disabled.",
    },
    FactSpec {
        name: "mac.selinux_configured",
        key: None,
        kind: Kind::Maybe(&Kind::Text),
        unit: None,
        source: "grep -H '' /etc/selinux/config",
        rights: Rights::Any,
        summary: "SELinux after the next start, as configured; null where nothing configures it.",
    },
    FactSpec {
        name: "mac.apparmor",
        key: None,
        kind: Kind::Bool,
        unit: None,
        source: "grep -H '' /sys/module/apparmor/parameters/enabled",
        rights: Rights::Any,
        summary: "Whether AppArmor is enabled in the kernel.",
    },
    FactSpec {
        name: "mac.apparmor_profiles",
        key: None,
        kind: Kind::Record(&[("enforce", Kind::Int), ("complain", Kind::Int)]),
        unit: None,
        source: "cat /sys/kernel/security/apparmor/profiles",
        rights: Rights::Root,
        summary: "How many profiles of AppArmor are loaded, and forbid or only complain.",
    },
];

const ENFORCE: &str = "/sys/fs/selinux/enforce";
const CONFIG: &str = "/etc/selinux/config";
const APPARMOR: &str = "/sys/module/apparmor/parameters/enabled";

fn steps(wanted: &Wanted) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut ask = |id: &str, command: Option<ReadOnlyCommand>| steps.extend(command.map(|command| Step::new(id, command)));
    if wanted.wants_any(&["mac.selinux", "mac.selinux_configured", "mac.apparmor"]) {
        ask("mac", ReadOnlyCommand::fragment(Fragment::ReadOrComplain, &[ENFORCE, CONFIG, APPARMOR], Rights::Any).ok());
    }
    if wanted.wants("mac.apparmor_profiles") {
        ask(
            "apparmor-profiles",
            ReadOnlyCommand::new(Program::Cat, &["/sys/kernel/security/apparmor/profiles"], Rights::Root).ok(),
        );
    }
    steps
}

fn parse(input: &Input<'_>, output: &mut Output) {
    let text = input.answers.text_lenient("mac");
    let lines = |path: &'static str| {
        text.as_ref().map_err(Clone::clone).map(|text| {
            let below = move |line: &str| line.strip_prefix(path).and_then(|rest| rest.strip_prefix(':')).map(str::to_owned);
            text.lines().filter_map(below).collect::<Vec<_>>()
        })
    };
    output.set("mac.selinux", lines(ENFORCE).map(|lines| selinux(&lines)));
    output.set("mac.selinux_configured", lines(CONFIG).map(|lines| configured(&lines)));
    output.set("mac.apparmor", lines(APPARMOR).map(|lines| lines.first().is_some_and(|line| line.trim() == "Y")));
    if input.wanted.wants("mac.apparmor_profiles") {
        output.set("mac.apparmor_profiles", input.answers.text("apparmor-profiles").and_then(|text| profiles(&text)));
    }
}

/// Without SELinux in the kernel the node does not exist.
fn selinux(lines: &[String]) -> &'static str {
    match lines.first().map(|line| line.trim()) {
        Some("1") => "enforcing",
        Some(_) => "permissive",
        None => "disabled",
    }
}

fn configured(lines: &[String]) -> Option<String> {
    lines.iter().rev().find_map(|line| line.trim().strip_prefix("SELINUX=")).map(|mode| mode.trim().to_ascii_lowercase())
}

/// `NAME (MODE)` a line; a name may hold anything.
fn profiles(text: &str) -> Result<Value, Why> {
    let (mut enforce, mut complain) = (0_i64, 0_i64);
    for line in text.lines() {
        match line.rsplit_once(" (").map(|(_, mode)| mode) {
            Some("enforce)" | "kill)") => enforce += 1,
            Some(_) => complain += 1,
            None => return Err(Why::CouldNotBeParsed(format!("`{line}` is no profile of AppArmor"))),
        }
    }
    Ok(Value::record([("enforce", enforce.into()), ("complain", complain.into())]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::script::tests::{answered, answered_with, facts_of};

    const ALL: &[&str] = &["mac.selinux", "mac.selinux_configured", "mac.apparmor", "mac.apparmor_profiles"];

    #[test]
    fn selinux_is_told_as_it_is_and_as_it_will_be() {
        let text = "/sys/fs/selinux/enforce:0\n/etc/selinux/config:# SELINUX= can be\n/etc/selinux/config:SELINUX=Enforcing\n/etc/selinux/config:SELINUXTYPE=targeted\n";
        let facts = facts_of(
            ALL,
            &[("mac", answered_with(text, "grep: /sys/module/apparmor/parameters/enabled: No such file or directory\n", 2))],
        );
        assert_eq!(facts.value("mac.selinux"), Ok(&"permissive".into()));
        assert_eq!(facts.value("mac.selinux_configured"), Ok(&"enforcing".into()));
        assert_eq!(facts.value("mac.apparmor"), Ok(&false.into()));
    }

    #[test]
    fn profiles_of_apparmor_are_counted_by_mode() {
        let profiles = "/usr/bin/man (enforce)\ndocker-default (enforce)\nodd (name) (complain)\nunconfined (unconfined)\n";
        let facts = facts_of(
            ALL,
            &[("mac", answered("/sys/module/apparmor/parameters/enabled:Y\n")), ("apparmor-profiles", answered(profiles))],
        );
        assert_eq!(facts.value("mac.selinux"), Ok(&"disabled".into()));
        assert_eq!(facts.value("mac.apparmor"), Ok(&true.into()));
        let counts = Value::record([("enforce", Value::Int(2)), ("complain", Value::Int(2))]);
        assert_eq!(facts.value("mac.apparmor_profiles"), Ok(&counts));
    }

    #[test]
    fn what_may_not_be_read_is_not_absent() {
        let denied = answered_with("", "grep: /sys/fs/selinux/enforce: Permission denied\n", 2);
        let profiles = answered_with("", "cat: /sys/kernel/security/apparmor/profiles: Permission denied\n", 1);
        let facts = facts_of(ALL, &[("mac", denied), ("apparmor-profiles", profiles)]);
        for name in ALL {
            assert!(matches!(facts.value(name), Err(Why::NeedsRoot(_))), "{name}");
        }
    }
}
