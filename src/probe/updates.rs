//! Updates that wait, how old the knowledge of them is, and whether a restart is due. From what the host has cached; nothing is refreshed.

use std::cmp::Ordering;

use super::secrets::REDACTED;
use super::texts::Texts;
use super::{FactSpec, Input, Kind, Output, Probe, Wanted};
use crate::command::{APT_SIMULATION, Fragment, Program, ReadOnlyCommand, Rights, Step};
use crate::model::{FactRef, Value, Why};

pub(super) const PROBE: Probe = Probe { name: "updates", facts: FACTS, needs, steps, parse, redact };

const FACTS: &[FactSpec] = &[
    FactSpec {
        name: "updates.security",
        key: None,
        kind: Kind::List(&Kind::Text),
        unit: None,
        source: "apt-get -s dist-upgrade",
        rights: Rights::Any,
        summary: "Security updates that are known and not installed, as `NAME OLD -> NEW`. Unknown for rpm, whose programs write caches and logs even when they only list.",
    },
    FactSpec {
        name: "updates.other",
        key: None,
        kind: Kind::List(&Kind::Text),
        unit: None,
        source: "apt-get -s dist-upgrade; apk version -l '<'",
        rights: Rights::Any,
        summary: "Other updates that are known and not installed; of apk, which does not tell them apart, all.",
    },
    FactSpec {
        name: "updates.security_source",
        key: None,
        kind: Kind::Bool,
        unit: None,
        source: "grep /etc/apt/sources.list /etc/apt/sources.list.d/*; stat /var/lib/apt/lists/*Release",
        rights: Rights::Any,
        summary: "Whether a source of security updates is configured for apt; true for other managers, which have none of their own.",
    },
    FactSpec {
        name: "updates.metadata_age",
        key: None,
        kind: Kind::Maybe(&Kind::Int),
        unit: Some("hours"),
        source: "stat /var/lib/apt/lists /var/cache/dnf ...; date +%s",
        rights: Rights::Any,
        summary: "How long ago the lists of available packages were refreshed; null where the host has none.",
    },
    FactSpec {
        name: "updates.automatic",
        key: None,
        kind: Kind::Bool,
        unit: None,
        source: "apt-config dump; service[...]; grep /etc/dnf/automatic.conf",
        rights: Rights::Any,
        summary: "Whether security updates are installed without anybody's doing.",
    },
    FactSpec {
        name: "reboot.reasons",
        key: None,
        kind: Kind::List(&Kind::Text),
        unit: None,
        source: "stat /run/reboot-required; ls -1 /lib/modules",
        rights: Rights::Any,
        summary: "Why the host should be restarted to use what is installed; empty where it need not.",
    },
    FactSpec {
        name: "host.container",
        key: None,
        kind: Kind::Bool,
        unit: None,
        source: "stat /.dockerenv /run/.containerenv /run/systemd/container",
        rights: Rights::Any,
        summary: "Whether the host is itself a container, whose kernel belongs to another.",
    },
];

const UPDATES: &[&str] = &["updates.security", "updates.other", "updates.security_source", "updates.metadata_age"];

const AUTOMATIC_UNITS: &[&str] = &[
    "dnf-automatic.timer",
    "dnf-automatic-install.timer",
    "dnf5-automatic.timer",
    "yum-cron",
    "transactional-update.timer",
    "update-engine",
];

/// Directories and files that a refresh touches, by manager. The lists themselves carry the date of the server.
const METADATA: &[(&str, &[&str])] = &[
    (
        "dpkg",
        &[
            "/var/lib/apt/lists",
            "/var/lib/apt/lists/partial",
            "/var/lib/apt/periodic/update-stamp",
            "/var/lib/apt/periodic/update-success-stamp",
            "/var/lib/apt/lists/*Release",
        ],
    ),
    (
        "rpm",
        &[
            "/var/cache/dnf/*/repodata",
            "/var/cache/libdnf5/*/repodata",
            "/var/cache/yum/*/*/*/repomd.xml",
            "/var/cache/zypp/raw/*/cookie",
            "/var/cache/tdnf/*/repodata",
        ],
    ),
    ("apk", &["/var/cache/apk/APKINDEX.*.tar.gz"]),
];

const SOURCES: &[&str] = &["/etc/apt/sources.list", "/etc/apt/sources.list.d/*.list", "/etc/apt/sources.list.d/*.sources"];

const RELEASES: &str = "/var/lib/apt/lists/";

fn needs(wanted: &Wanted) -> Vec<FactRef> {
    let mut needs = Vec::new();
    if wanted.wants_any(UPDATES) || wanted.wants("updates.automatic") {
        needs.push(FactRef::plain("packages.manager"));
    }
    if wanted.wants("updates.automatic") {
        needs.push(FactRef::plain("packages.names"));
        needs.extend(AUTOMATIC_UNITS.iter().map(|unit| FactRef::keyed("service", *unit)));
    }
    if wanted.wants("reboot.reasons") {
        needs.push(FactRef::plain("kernel.release"));
    }
    needs
}

fn steps(wanted: &Wanted) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut ask = |id: &str, limit: u64, command: Option<ReadOnlyCommand>| {
        steps.extend(command.map(|command| Step::new(id, command).within(std::time::Duration::from_secs(limit))));
    };
    let any = |program, words: &[&str]| ReadOnlyCommand::new(program, words, Rights::Any).ok();
    let marks = |words: &[&str]| ReadOnlyCommand::fragment(Fragment::StatMatching, words, Rights::Any).ok();
    if wanted.wants_any(UPDATES) {
        let words: Vec<&str> =
            ["%Y|%n"].into_iter().chain(METADATA.iter().flat_map(|(_, paths)| paths.iter().copied())).collect();
        ask("updates-metadata", 10, marks(&words));
    }
    if wanted.wants("updates.security_source") {
        ask("apt-sources", 10, ReadOnlyCommand::fragment(Fragment::ReadOrComplain, SOURCES, Rights::Any).ok());
    }
    if wanted.wants("updates.metadata_age") {
        ask("clock", 10, any(Program::Date, &["+%s"]));
    }
    if wanted.wants_any(&["updates.security", "updates.other"]) {
        // Without its cache, apt reads all its lists anew.
        ask("updates-apt", 60, any(Program::AptGet, APT_SIMULATION));
        ask("updates-apk", 20, any(Program::Apk, &["version", "-l", "<"]));
    }
    if wanted.wants("updates.automatic") {
        ask("apt-config", 10, any(Program::AptConfig, &["dump"]));
        let words = ["-H", "^ *apply_updates", "/etc/dnf/automatic.conf", "/etc/yum/yum-cron.conf"];
        ask("dnf-automatic", 10, any(Program::Grep, &words));
    }
    if wanted.wants("reboot.reasons") {
        ask("reboot-marks", 10, marks(&["%n", "/run/reboot-required", "/var/run/reboot-required", "/run/reboot-needed"]));
        ask("kernels", 10, any(Program::Ls, &["-1", "/lib/modules"]));
    }
    if wanted.wants("host.container") {
        ask("container-marks", 10, marks(&["%n", "/.dockerenv", "/run/.containerenv", "/run/systemd/container"]));
    }
    steps
}

/// Addresses of private archives may hold a name and a password.
fn redact(step: &str, stdout: &[u8]) -> Option<Vec<u8>> {
    (step == "apt-sources").then(|| {
        let text = String::from_utf8_lossy(stdout);
        let without_login = |word: &str| match word.split_once("://") {
            Some((scheme, rest)) => {
                let (host, path) = rest.split_once('/').map_or((rest, None), |(host, path)| (host, Some(path)));
                let host = host.rsplit_once('@').map_or(host.to_owned(), |(_, host)| format!("{REDACTED}@{host}"));
                format!("{scheme}://{host}{}", path.map_or(String::new(), |path| format!("/{path}")))
            }
            None => word.to_owned(),
        };
        text.split_inclusive(char::is_whitespace).map(without_login).collect::<String>().into_bytes()
    })
}

fn parse(input: &Input<'_>, output: &mut Output) {
    if input.wanted.wants_any(UPDATES) {
        let metadata = metadata(input);
        let pending = pending(input, &metadata);
        output.set("updates.security", pending.clone().map(|(security, _)| security));
        output.set("updates.other", pending.map(|(_, other)| other));
        output.set("updates.metadata_age", metadata.clone().and_then(|metadata| age(input, &metadata)));
        output.set("updates.security_source", metadata.and_then(|metadata| security_source(input, &metadata)));
    }
    if input.wanted.wants("updates.automatic") {
        output.set("updates.automatic", automatic(input));
    }
    if input.wanted.wants("reboot.reasons") {
        output.set("reboot.reasons", reboot_reasons(input));
    }
    output.set("host.container", input.answers.text("container-marks").map(|text| !text.trim().is_empty()));
}

/// What the host has cached of its sources.
#[derive(Debug, Clone)]
struct Metadata {
    manager: String,
    /// Whether there are lists at all, and when they were last touched (seconds of the epoch).
    refreshed: Option<i64>,
    security_source: bool,
}

fn metadata(input: &Input<'_>) -> Result<Metadata, Why> {
    let manager = input.facts.value("packages.manager")?.as_str().unwrap_or_default().to_owned();
    let text = input.answers.text("updates-metadata")?;
    let paths: Vec<(i64, &str)> = text
        .lines()
        .filter_map(|line| line.split_once('|'))
        .filter_map(|(time, path)| Some((time.parse().ok()?, path)))
        .collect();
    let patterns = METADATA.iter().find(|(name, _)| *name == manager).map(|(_, patterns)| *patterns).unwrap_or_default();
    // Of every pattern the part before its first star is told apart from those of the other managers.
    let own = |path: &str| patterns.iter().any(|pattern| path.starts_with(pattern.split('*').next().unwrap_or(pattern)));
    let is_list = |path: &str| path.starts_with(RELEASES) && path.ends_with("Release");
    let has_lists = manager != "dpkg" || paths.iter().any(|(_, path)| is_list(path));
    let touched = paths.iter().filter(|(_, path)| own(path) && !is_list(path)).map(|(time, _)| *time).max();
    let security_source = paths.iter().any(|(_, path)| is_list(path) && is_security(path));
    Ok(Metadata { manager, refreshed: touched.filter(|_| has_lists), security_source })
}

/// What is configured counts; the lists on disk only where the configuration cannot be read, since they may not have been fetched yet.
fn security_source(input: &Input<'_>, metadata: &Metadata) -> Result<bool, Why> {
    if metadata.manager != "dpkg" {
        return Ok(true);
    }
    let configured = Texts::of(input.answers, "apt-sources").and_then(|texts| {
        for pattern in SOURCES {
            for (path, lines) in texts.matching(pattern)? {
                let names = if path.ends_with(".sources") { names_in_stanzas(&lines) } else { names_in_lines(&lines) };
                if names.into_iter().any(is_security_archive) {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    });
    configured.or_else(|why| if metadata.security_source { Ok(true) } else { Err(why) })
}

/// `deb [OPTION=VALUE] ADDRESS SUITE COMPONENT...` of sources.list(5): address and suite.
fn names_in_lines<'a>(lines: &[&'a str]) -> Vec<&'a str> {
    let names = |line: &'a str| {
        let rest = line.trim_start().strip_prefix("deb").filter(|rest| rest.starts_with([' ', '\t', '[']))?.trim_start();
        let rest = if rest.starts_with('[') { rest.split_once(']')?.1 } else { rest };
        Some(rest.split_whitespace().take(2))
    };
    lines.iter().filter_map(|line| names(line)).flatten().collect()
}

/// Stanzas of the newer form: the words of `URIs` and `Suites`, where `Types` holds `deb` and `Enabled` is not off.
fn names_in_stanzas<'a>(lines: &[&'a str]) -> Vec<&'a str> {
    let mut all = Vec::new();
    for stanza in lines.split(|line| line.trim().is_empty()) {
        let (mut field, mut names, mut binary, mut enabled) = (String::new(), Vec::new(), false, true);
        for line in stanza.iter().filter(|line| !line.starts_with('#')) {
            let value = match line.split_once(':') {
                Some((name, value)) if !line.starts_with([' ', '\t']) => {
                    field = name.trim().to_ascii_lowercase();
                    value
                }
                _ => line,
            };
            let mut words = value.split_whitespace();
            match field.as_str() {
                "types" => binary |= words.any(|word| word == "deb"),
                "enabled" => {
                    enabled = !words.any(|word| {
                        matches!(word.to_ascii_lowercase().as_str(), "no" | "false" | "off" | "0" | "without" | "disable")
                    })
                }
                "uris" | "suites" => names.extend(words),
                _ => {}
            }
        }
        if binary && enabled {
            all.extend(names);
        }
    }
    all
}

/// By its address, or by its suite (`bookworm-security`, `noble-apps-security`).
fn is_security_archive(name: &str) -> bool {
    let name = name.trim_end_matches('/');
    match name.split_once("://") {
        Some((_, address)) => {
            let host = address.split('/').next().unwrap_or_default().rsplit('@').next().unwrap_or_default();
            host.starts_with("security.") || address.contains("debian-security")
        }
        None => name.ends_with("-security") || name.ends_with("/security") || name == "security",
    }
}

fn is_security(origin: &str) -> bool {
    let origin = origin.to_ascii_lowercase();
    origin.contains("security") || origin.contains("esm")
}

fn age(input: &Input<'_>, metadata: &Metadata) -> Result<Value, Why> {
    let now = input.answers.text("clock")?;
    let now: i64 = now.trim().parse().map_err(|_| Why::CouldNotBeParsed(format!("`{}` is not a time", now.trim())))?;
    Ok(metadata.refreshed.map(|refreshed| now.saturating_sub(refreshed).max(0) / 3600).into())
}

/// Security updates and others.
type Pending = (Vec<String>, Vec<String>);

fn pending(input: &Input<'_>, metadata: &Result<Metadata, Why>) -> Result<Pending, Why> {
    let metadata = metadata.as_ref().map_err(Clone::clone)?;
    if metadata.manager == "rpm" {
        return Err(Why::ProbeFailed(
            "dnf, yum and zypper write caches and logs even when they only list updates, so they are not asked".to_owned(),
        ));
    }
    // Without lists every manager says that nothing is to be done.
    if metadata.refreshed.is_none() {
        return Err(Why::ProbeFailed("the host has no lists of available packages".to_owned()));
    }
    match metadata.manager.as_str() {
        "apk" => input.answers.text("updates-apk").map(|text| (Vec::new(), apk_updates(&text))),
        _ => input.answers.text("updates-apt").map(|text| apt_updates(&text)),
    }
}

/// `Inst NAME [OLD] (NEW ORIGIN:SUITE, ORIGIN:SUITE [ARCH])`.
fn apt_updates(text: &str) -> Pending {
    let (mut security, mut other) = (Vec::new(), Vec::new());
    for line in text.lines() {
        let Some((name, rest)) = line.strip_prefix("Inst ").and_then(|rest| rest.split_once(' ')) else { continue };
        let Some((before, inside)) = rest.split_once('(') else { continue };
        let inside = inside.split_once(')').map_or(inside, |(inside, _)| inside);
        let (new, origins) = inside.split_once(' ').unwrap_or((inside, ""));
        let old = before.trim().trim_start_matches('[').trim_end_matches(']');
        let update = if old.is_empty() { format!("{name} {new}") } else { format!("{name} {old} -> {new}") };
        if is_security(origins) { &mut security } else { &mut other }.push(update);
    }
    (security, other)
}

/// `NAME-VERSION < VERSION`.
fn apk_updates(text: &str) -> Vec<String> {
    let update = |line: &str| line.split_once(" < ").map(|(old, new)| format!("{} -> {}", old.trim(), new.trim()));
    text.lines().filter_map(update).collect()
}

fn automatic(input: &Input<'_>) -> Result<Value, Why> {
    let manager = input.facts.value("packages.manager")?.as_str().unwrap_or_default();
    let on = |unit: &str| -> Result<bool, Why> {
        let service = input.facts.keyed("service", unit)?;
        let is = |field: &str, word: &str| service.field(field).and_then(Value::as_str) == Some(word);
        Ok(is("enabled", "enabled") || is("active", "active"))
    };
    let automatic = match manager {
        "dpkg" => {
            let names = input.facts.value("packages.names")?.as_list().unwrap_or_default();
            names.contains(&"unattended-upgrades".into()) && unattended(&input.answers.text("apt-config")?)
        }
        "rpm" => {
            let installs = on("dnf-automatic-install.timer")? || on("transactional-update.timer")? || on("update-engine")?;
            let by_configuration = on("dnf-automatic.timer")? || on("dnf5-automatic.timer")? || on("yum-cron")?;
            installs || (by_configuration && applies_updates(&input.answers.text_lenient("dnf-automatic")?))
        }
        _ => false,
    };
    Ok(automatic.into())
}

/// `APT::Periodic::Unattended-Upgrade "1";`: days between runs, or `always`; the last word counts.
fn unattended(text: &str) -> bool {
    let value = text.lines().filter_map(|line| line.strip_prefix("APT::Periodic::Unattended-Upgrade ")).next_back();
    value.is_some_and(|value| !matches!(value.trim_end_matches(';').trim_matches('"'), "0" | "" | "no" | "false"))
}

fn applies_updates(text: &str) -> bool {
    let value = text.lines().filter_map(|line| line.split_once(':')?.1.split_once('=')).next_back();
    value.is_some_and(|(_, value)| matches!(value.trim().to_ascii_lowercase().as_str(), "yes" | "true" | "1" | "on"))
}

fn reboot_reasons(input: &Input<'_>) -> Result<Value, Why> {
    let marks = input.answers.text("reboot-marks")?;
    let running = input.facts.value("kernel.release")?.as_str().unwrap_or_default().to_owned();
    let mut reasons = Vec::new();
    if let Some(mark) = marks.lines().next() {
        reasons.push(format!("{mark} says so"));
    }
    let kernels = input.answers.answer("kernels")?;
    if kernels.exit != 0 && kernels.was_denied() {
        return Err(Why::NeedsRoot("`/lib/modules` can be read by root only".to_owned()));
    }
    let kernels = kernels.text();
    let installed: Vec<&str> = kernels.lines().map(str::trim).filter(|name| !name.is_empty()).collect();
    if installed.is_empty() && reasons.is_empty() {
        return Err(Why::ProbeFailed("no kernel is installed here: it comes from outside, as in a container".to_owned()));
    }
    if !installed.is_empty() && !installed.contains(&running.as_str()) {
        reasons.push(format!("the running kernel {running} is no longer installed"));
    }
    let newest = installed.iter().filter(|name| flavour(name) == flavour(&running)).max_by(|a, b| by_numbers(a, b));
    if let Some(newest) = newest.filter(|newest| by_numbers(newest, &running) == Ordering::Greater) {
        reasons.push(format!("kernel {newest} is installed and {running} runs"));
    }
    Ok(reasons.into())
}

/// What follows the last number that stands between dashes or dots: `cloud-amd64` of `6.1.0-49-cloud-amd64`, `x86_64` of `5.14.0-503.el9.x86_64`.
fn flavour(release: &str) -> String {
    let begins_with_digit = |part: &&str| part.starts_with(|letter: char| letter.is_ascii_digit());
    release.split(['-', '.']).filter(|part| !begins_with_digit(part)).collect::<Vec<_>>().join("-")
}

/// Runs of digits compared as numbers, one after the other.
fn by_numbers(a: &str, b: &str) -> Ordering {
    let numbers = |text: &str| -> Vec<u64> {
        text.split(|letter: char| !letter.is_ascii_digit())
            .filter(|run| !run.is_empty())
            .map(|run| run.parse().unwrap_or(u64::MAX))
            .collect()
    };
    numbers(a).cmp(&numbers(b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Facts;
    use crate::probe::script::tests::{answered, answered_with, facts_of, not_run};
    use crate::probe::script::{Answer, State};
    use proptest::prelude::*;

    const APT: &str = "Reading package lists...\n130 upgraded, 0 newly installed, 0 to remove and 0 not upgraded.\n\
        Inst bash [5.2.15-2+b8] (5.2.15-2+b13 Debian:12.15/oldstable [amd64])\nConf bash (5.2.15-2+b13 Debian:12.15/oldstable [amd64])\n\
        Inst libgcrypt20-dev [1.10.1-3] (1.10.1-3+deb12u1 Debian:12.15/oldstable, Debian-Security:12/oldstable-security [amd64]) []\n\
        Inst linux-image-6.1.0-50-amd64 (6.1.180-1 Debian-Security:12/oldstable-security [amd64])\n\
        Inst vim [2:9.1.0016-1] (2:9.1.0016-1ubuntu7.9 UbuntuESMApps:24.04/noble-apps-security [amd64])\n";

    fn facts(names: &[&str], manager: &str, metadata: &str, updates: Answer) -> Facts {
        let dpkg = if manager == "dpkg" { answered("bash\tii \t1\n") } else { not_run(State::Missing) };
        let apk = if manager == "apk" { answered("P:musl\nV:1\n") } else { answered_with("", "", 2) };
        let rpm = if manager == "rpm" { answered("bash\t0\t1\t1\n") } else { not_run(State::Missing) };
        facts_of(
            names,
            &[
                ("packages-dpkg", dpkg),
                ("packages-apk", apk),
                ("packages-rpm", rpm),
                ("updates-metadata", answered(metadata)),
                (
                    "apt-sources",
                    answered_with("/etc/apt/sources.list:deb http://deb.debian.org/debian bookworm main\n", NO_SOURCES, 2),
                ),
                ("clock", answered("1000000\n")),
                ("updates-apt", updates.clone()),
                ("updates-apk", updates),
            ],
        )
    }

    const LISTS: &str = "960400|/var/lib/apt/lists\n964000|/var/lib/apt/lists/partial\n999999|/var/lib/apt/lists/deb.debian.org_debian_dists_bookworm_InRelease\n\
        5|/var/lib/apt/lists/deb.debian.org_debian-security_dists_bookworm-security_InRelease\n";

    #[test]
    fn of_apt_updates_from_a_security_source_are_told_apart() {
        let facts = facts(UPDATES, "dpkg", LISTS, answered(APT));
        assert_eq!(
            facts.value("updates.security"),
            Ok(&Value::list([
                "libgcrypt20-dev 1.10.1-3 -> 1.10.1-3+deb12u1",
                "linux-image-6.1.0-50-amd64 6.1.180-1",
                "vim 2:9.1.0016-1 -> 2:9.1.0016-1ubuntu7.9",
            ]))
        );
        assert_eq!(facts.value("updates.other"), Ok(&Value::list(["bash 5.2.15-2+b8 -> 5.2.15-2+b13"])));
        assert_eq!(facts.value("updates.metadata_age"), Ok(&Value::Int(10)));
    }

    const NO_SOURCES: &str = "grep: /etc/apt/sources.list.d/*.list: No such file or directory\ngrep: /etc/apt/sources.list.d/*.sources: No such file or directory\n";

    fn security_source_of(lists: &str, sources: Answer) -> Result<Value, Why> {
        let answers = [
            ("packages-dpkg", answered("bash\tii \t1\n")),
            ("packages-apk", answered_with("", "", 2)),
            ("packages-rpm", not_run(State::Missing)),
            ("updates-metadata", answered(lists)),
            ("apt-sources", sources),
        ];
        facts_of(&["updates.security_source"], &answers).value("updates.security_source").cloned()
    }

    #[test]
    fn a_security_source_is_known_from_the_configuration_although_its_lists_were_never_fetched() {
        let configured = |text: &str| security_source_of("", answered_with(text, NO_SOURCES, 2));
        for text in [
            "/etc/apt/sources.list:deb http://security.debian.org/debian-security bookworm-security main\n",
            "/etc/apt/sources.list:deb [signed-by=/a/key.gpg arch=amd64] http://mirror.example/ubuntu noble-security main\n",
            "/etc/apt/sources.list.d/debian.sources:Types: deb deb-src\n/etc/apt/sources.list.d/debian.sources:URIs: http://deb.debian.org/debian-security\n\
             /etc/apt/sources.list.d/debian.sources:Suites:\n/etc/apt/sources.list.d/debian.sources: bookworm-security\n",
        ] {
            assert_eq!(configured(text), Ok(true.into()), "{text}");
        }
        for text in [
            "/etc/apt/sources.list:#deb http://security.debian.org/debian-security bookworm-security main\n",
            "/etc/apt/sources.list:deb-src http://security.debian.org/debian-security bookworm-security main\n",
            "/etc/apt/sources.list:deb [signed-by=/usr/share/keyrings/debian-security.gpg] http://deb.debian.org/debian bookworm main\n",
            "/etc/apt/sources.list.d/x.sources:Enabled: no\n/etc/apt/sources.list.d/x.sources:Types: deb\n/etc/apt/sources.list.d/x.sources:Suites: x-security\n\
             /etc/apt/sources.list.d/x.sources:\n/etc/apt/sources.list.d/x.sources:Types: deb\n/etc/apt/sources.list.d/x.sources:Suites: x\n",
        ] {
            assert_eq!(configured(text), Ok(false.into()), "{text}");
        }
    }

    #[test]
    fn where_the_configuration_may_not_be_read_the_lists_prove_a_source_and_their_absence_proves_nothing() {
        let closed = || answered_with("", "grep: /etc/apt/sources.list: Permission denied\n", 2);
        assert_eq!(security_source_of(LISTS, closed()), Ok(true.into()));
        assert!(matches!(security_source_of("", closed()), Err(Why::NeedsRoot(_))));
    }

    #[test]
    fn passwords_of_archives_are_not_kept() {
        let text = "/etc/apt/sources.list:deb https://bob:hunter2@apt.example/debian x main\n/etc/apt/sources.list:deb https://bob:hun/ter2@apt.example x\n";
        let kept = String::from_utf8(redact("apt-sources", text.as_bytes()).expect("redacted")).expect("text");
        assert!(kept.starts_with("/etc/apt/sources.list:deb https://redacted@apt.example/debian x main\n"), "{kept}");
        assert_eq!(redact("apt-config", b"x"), None);
    }

    #[test]
    fn without_lists_nothing_is_known_to_be_up_to_date() {
        let facts = facts(UPDATES, "dpkg", "960400|/var/lib/apt/lists\n", answered("0 upgraded\n"));
        assert!(matches!(facts.value("updates.security"), Err(Why::ProbeFailed(_))));
        assert_eq!(facts.value("updates.metadata_age"), Ok(&Value::Null));
        assert_eq!(facts.value("updates.security_source"), Ok(&false.into()));
        let facts = self::facts(UPDATES, "apk", "", answered(""));
        assert!(matches!(facts.value("updates.other"), Err(Why::ProbeFailed(_))));
    }

    #[test]
    fn of_apk_updates_are_all_alike_and_of_rpm_unknown() {
        let text = "Installed:                                Available:\nmusl-1.2.4-r0                           < 1.2.5-r0\n";
        let facts = facts(UPDATES, "apk", "996400|/var/cache/apk/APKINDEX.1234.tar.gz\n", answered(text));
        assert_eq!(facts.value("updates.other"), Ok(&Value::list(["musl-1.2.4-r0 -> 1.2.5-r0"])));
        assert_eq!(facts.value("updates.metadata_age"), Ok(&Value::Int(1)));
        let facts = self::facts(UPDATES, "rpm", "996400|/var/cache/dnf/baseos-1/repodata\n", answered(""));
        assert!(matches!(facts.value("updates.security"), Err(Why::ProbeFailed(_))));
        assert_eq!(facts.value("updates.metadata_age"), Ok(&Value::Int(1)));
    }

    #[test]
    fn automatic_updates_are_on_when_the_last_word_says_so() {
        assert!(unattended("APT::Periodic::Unattended-Upgrade \"0\";\nAPT::Periodic::Unattended-Upgrade \"1\";\n"));
        assert!(!unattended("APT::Periodic::Unattended-Upgrade \"1\";\nAPT::Periodic::Unattended-Upgrade \"0\";\n"));
        assert!(!unattended("APT::Periodic::Enable \"1\";\n"));
        assert!(applies_updates("/etc/dnf/automatic.conf:apply_updates = yes\n"));
        assert!(!applies_updates("/etc/dnf/automatic.conf:apply_updates = no\n"));
        assert!(!applies_updates(""));
    }

    fn reasons(marks: &str, kernels: Answer, running: &str) -> Result<Value, Why> {
        let answers = [("reboot-marks", answered(marks)), ("kernels", kernels), ("uname", answered(running))];
        facts_of(&["reboot.reasons"], &answers).value("reboot.reasons").cloned()
    }

    #[test]
    fn a_restart_is_due_for_a_mark_a_newer_kernel_or_a_removed_one() {
        let debian = "6.1.0-9-amd64\n6.1.0-49-amd64\n6.1.0-50-cloud-amd64\n";
        assert_eq!(reasons("", answered(debian), "6.1.0-49-amd64\n"), Ok(Value::List(vec![])));
        assert_eq!(
            reasons("", answered(debian), "6.1.0-9-amd64\n"),
            Ok(Value::list(["kernel 6.1.0-49-amd64 is installed and 6.1.0-9-amd64 runs"]))
        );
        assert_eq!(
            reasons("/run/reboot-required\n", answered(debian), "6.1.0-49-amd64\n"),
            Ok(Value::list(["/run/reboot-required says so"]))
        );
        assert_eq!(
            reasons("", answered("6.12.9-0-lts\n"), "6.12.8-0-lts\n"),
            Ok(Value::list([
                "the running kernel 6.12.8-0-lts is no longer installed",
                "kernel 6.12.9-0-lts is installed and 6.12.8-0-lts runs"
            ]))
        );
        let none = answered_with("", "ls: cannot access '/lib/modules': No such file or directory\n", 2);
        assert!(matches!(reasons("", none, "6.18.44\n"), Err(Why::ProbeFailed(_))));
    }

    #[test]
    fn kernels_of_red_hat_are_compared_by_their_numbers() {
        let kernels = "5.14.0-503.11.1.el9_5.x86_64\n5.14.0-70.13.1.el9_0.x86_64\n";
        assert_eq!(reasons("", answered(kernels), "5.14.0-503.11.1.el9_5.x86_64\n"), Ok(Value::List(vec![])));
    }

    proptest! {
        #[test]
        fn no_answer_makes_the_parsers_panic(text in "((Inst |APT::Periodic::Unattended-Upgrade )?\\PC{0,20}( \\[|\\(|\\)| < |=|:)\\PC{0,9}\n){0,20}") {
            let lines: Vec<&str> = text.lines().collect();
            let _ = (names_in_lines(&lines), names_in_stanzas(&lines), redact("apt-sources", text.as_bytes()));
            let _ = (apt_updates(&text), apk_updates(&text), unattended(&text), applies_updates(&text));
            let _ = (flavour(&text), by_numbers(&text, "6.1.0"));
        }
    }
}
