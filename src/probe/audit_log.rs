//! Where the audit log is kept, who may read it, and how it leaves the host.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use regex::Regex;

use super::audit::{AuditdConf, Files, files_steps};
use super::mounts::{Configured, Mounts, Paths, configured_steps, mountinfo_step};
use super::storage::{AREA, area};
use super::{FactSpec, Input, Kind, Output, Probe, Transcript, Wanted};
use crate::command::{Fragment, Program, ReadOnlyCommand, Rights, Step};
use crate::model::{FactRef, Value, Why};

pub(super) const PROBE: Probe = Probe { name: "audit_log", facts: FACTS, needs, steps, parse, redact };

const FACTS: &[FactSpec] = &[
    FactSpec {
        name: "audit.log.storage",
        key: None,
        kind: AREA,
        unit: None,
        source: "grep /etc/audit, /proc/self/mountinfo, /etc/fstab, systemctl list-unit-files",
        rights: Rights::Root,
        summary: "The file system that holds the directory of the audit log; the words are those of storage.docker.",
    },
    FactSpec {
        name: "audit.log.files",
        key: None,
        kind: Kind::List(&Kind::Record(&[("name", Kind::Text), ("mode", Kind::Text), ("uid", Kind::Int), ("gid", Kind::Int)])),
        unit: None,
        source: "ls -ln /var/log/audit",
        rights: Rights::Root,
        summary: "The files of the audit log.",
    },
    FactSpec {
        name: "audit.log.archival",
        key: None,
        kind: Kind::List(&Kind::Text),
        unit: None,
        source: "grep /etc/audit, /etc/rsyslog.d, /etc/logrotate.d, /etc/cron.d, /etc/systemd/system and the like",
        rights: Rights::Root,
        summary: "How the audit log is shipped or archived: by the plugins of auditd, through syslog, by logrotate, cron or a timer.",
    },
    FactSpec {
        name: "audit.log.shippers",
        key: None,
        kind: Kind::List(&Kind::Text),
        unit: None,
        source: "cat /proc/PID/comm",
        rights: Rights::Any,
        summary: "Running programs that could ship the audit log: filebeat, fluent-bit, vector, promtail and the like. Whether they do is in their configuration.",
    },
];

/// Agents that ship logs, as the kernel cuts their names.
const SHIPPERS: &[&str] = &[
    "filebeat",
    "auditbeat",
    "elastic-agent",
    "fluent-bit",
    "fluentd",
    "td-agent",
    "vector",
    "promtail",
    "alloy",
    "splunkd",
    "wazuh-agentd",
    "wazuh-logcollec",
    "ossec-logcollec",
    "nxlog",
    "otelcol",
    "otelcol-contrib",
    "amazon-cloudwat",
    "google_cloud_op",
    "azuremonitoragen",
    "datadog-agent",
];

const DIRECTORY: &str = "/var/log/audit";

/// Where something that copies the log away would be written down.
const SCHEDULES: &[&str] = &[
    "/etc/rsyslog.conf",
    "/etc/rsyslog.d",
    "/etc/syslog-ng",
    "/etc/logrotate.conf",
    "/etc/logrotate.d",
    "/etc/crontab",
    "/etc/cron.d",
    "/etc/cron.hourly",
    "/etc/cron.daily",
    "/etc/cron.weekly",
    "/etc/cron.monthly",
    "/var/spool/cron",
    "/etc/periodic",
    "/etc/systemd/system",
];

fn needs(wanted: &Wanted) -> Vec<FactRef> {
    if wanted.wants("audit.log.shippers") { vec![FactRef::plain("process.names")] } else { Vec::new() }
}

fn steps(wanted: &Wanted) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut ask =
        |id: &str, command: Result<ReadOnlyCommand, _>| steps.extend(command.ok().map(|command| Step::new(id, command)));
    if wanted.wants_any(&["audit.log.files"]) {
        ask("audit-log-files", ReadOnlyCommand::new(Program::Ls, &["-ln", DIRECTORY], Rights::Root));
    }
    if wanted.wants("audit.log.archival") {
        // Without what a rule of sudo would have to escape; what is no such line is dropped here. In a group for the reason that `integrity.rs` gives.
        let words: Vec<&str> =
            ["-rsHE", "(/var/log/audit|@|omfwd|omrelp|network|syslog|tcp|tls)"].iter().chain(SCHEDULES).copied().collect();
        ask("audit-archival", ReadOnlyCommand::new(Program::Grep, &words, Rights::Root));
    }
    if wanted.wants("audit.log.storage") {
        ask("audit-log-paths", ReadOnlyCommand::fragment(Fragment::RealPaths, &["/var/log", DIRECTORY], Rights::Any));
        steps.extend(mountinfo_step());
        steps.extend(configured_steps());
    }
    if wanted.wants_any(&["audit.log.storage", "audit.log.files", "audit.log.archival"]) {
        steps.extend(files_steps());
    }
    steps
}

/// Lines of crontabs and of syslog may hold passwords and tokens: only what kind of line it is stays.
fn redact(step: &str, stdout: &[u8]) -> Option<Vec<u8>> {
    if step != "audit-archival" {
        return None;
    }
    let text = String::from_utf8_lossy(stdout);
    let mut kept = String::new();
    for (file, line) in text.lines().filter_map(|line| line.split_once(':')) {
        if let Some(kind) = kind_of_line(file, line) {
            kept.push_str(&format!("{file}:{kind}\n"));
        }
    }
    Some(kept.into_bytes())
}

/// rsyslog: `*.* @@host:6514`, `action(type="omfwd" ...)`; syslog-ng: `destination d { network("host") };`.
static FORWARD: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r#"^[^#]*(\s-?@@?[\[(\w]|\bomfwd\b|\bomrelp\b)"#).ok());
static DESTINATION: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"^[^#]*\b(network|syslog|tcp|tls) *\(").ok());

/// `log` for a line that names the directory of the audit log, `forward` for one that sends what syslog gets to another host.
fn kind_of_line(file: &str, line: &str) -> Option<&'static str> {
    // So that a redacted answer reads the same again.
    if let Some(kind) = ["log", "forward"].into_iter().find(|kind| *kind == line) {
        return Some(kind);
    }
    let line = line.trim();
    let is = |pattern: &LazyLock<Option<Regex>>| pattern.as_ref().is_some_and(|pattern| pattern.is_match(line));
    if line.starts_with('#') {
        return None;
    }
    if file.starts_with("/etc/rsyslog") {
        return if is(&FORWARD) { Some("forward") } else { line.contains(DIRECTORY).then_some("log") };
    }
    if file.starts_with("/etc/syslog-ng") {
        return if is(&DESTINATION) { Some("forward") } else { line.contains(DIRECTORY).then_some("log") };
    }
    // A unit names the directory for other reasons too: ReadWritePaths and the like.
    let counts = !file.starts_with("/etc/systemd/") || line.starts_with("Exec");
    (counts && line.contains(DIRECTORY)).then_some("log")
}

/// How the log is shipped or archived, one sentence each.
fn archival(files: &Files, schedules: &str) -> Vec<String> {
    let mut ways = Vec::new();
    let lines: Vec<(&str, &str)> = schedules.lines().filter_map(|line| line.split_once(':')).collect();
    let forwards = lines.iter().find(|(_, kind)| *kind == "forward").map(|(file, _)| *file);
    let active =
        |settings: &BTreeMap<String, String>| settings.get("active").is_some_and(|active| active.eq_ignore_ascii_case("yes"));
    for (file, settings) in files.plugins().filter(|(_, settings)| active(settings)) {
        let program = settings.get("path").map(String::as_str).unwrap_or_default();
        if program.ends_with("audisp-remote") {
            let server = ["/etc/audit/audisp-remote.conf", "/etc/audisp/audisp-remote.conf"]
                .iter()
                .find_map(|conf| files.settings(conf)?.get("remote_server").cloned())
                .filter(|server| !server.is_empty());
            ways.extend(server.map(|server| format!("{file} sends events to {server}")));
        } else if program.ends_with("audisp-syslog") || program == "builtin_syslog" {
            ways.extend(forwards.map(|forwards| format!("{file} hands events to syslog, which {forwards} forwards")));
        }
    }
    // syslog that reads the file keeps it on this host unless it forwards.
    let is_syslog = |file: &str| file.starts_with("/etc/rsyslog") || file.starts_with("/etc/syslog-ng");
    let handling = lines.iter().filter(|(file, kind)| *kind == "log" && (forwards.is_some() || !is_syslog(file)));
    let handling: BTreeSet<&str> = handling.map(|(file, _)| *file).collect();
    ways.extend(handling.into_iter().map(|file| format!("{file} handles {DIRECTORY}")));
    ways
}

/// `-rw-r----- 1 0 4 1234 Nov 23 22:41 audit.log` of `ls -ln`.
fn listed_file(line: &str) -> Option<Value> {
    let mut words = line.split_ascii_whitespace();
    let mode = octal(words.next()?)?;
    let _links = words.next()?;
    let uid: i64 = words.next()?.parse().ok()?;
    let gid: i64 = words.next()?.parse().ok()?;
    let name = words.nth(4)?;
    Some(Value::record([("name", name.into()), ("mode", mode.into()), ("uid", uid.into()), ("gid", gid.into())]))
}

/// `-rwsr-xr-t` as `5755`; only for regular files.
fn octal(text: &str) -> Option<String> {
    let letters: Vec<char> = text.chars().collect();
    if letters.first() != Some(&'-') {
        return None;
    }
    let mut mode = 0;
    for (at, letter) in letters.get(1..10)?.iter().enumerate() {
        let bit = 1 << (8 - at);
        let special = 1 << (11 - at / 3);
        mode |= match letter {
            '-' => 0,
            's' | 't' => bit | special,
            'S' | 'T' => special,
            'r' | 'w' | 'x' => bit,
            _ => return None,
        };
    }
    Some(format!("{mode:04o}"))
}

fn log_directory(conf: &AuditdConf) -> String {
    let (directory, _) = conf.log_file().rsplit_once('/').unwrap_or_default();
    if directory.is_empty() { "/".to_owned() } else { directory.to_owned() }
}

fn log_files(answers: &Transcript, conf: &AuditdConf) -> Result<Value, Why> {
    let directory = log_directory(conf);
    if directory != DIRECTORY {
        return Err(Why::CouldNotBeParsed(format!("the audit log is in `{directory}`, which is not listed")));
    }
    let answer = answers.answer("audit-log-files")?;
    // No log has been written yet.
    if answer.exit != 0 && answer.error_text().contains("No such file") {
        return Ok(Value::List(Vec::new()));
    }
    let text = answers.text("audit-log-files")?;
    let lines: Vec<&str> = text.lines().filter(|line| line.starts_with('-')).collect();
    let files: Option<Vec<Value>> = lines.into_iter().map(listed_file).collect();
    files
        .map(Value::List)
        .ok_or_else(|| Why::CouldNotBeParsed("`ls -ln` of the audit log is not of the expected form".to_owned()))
}

fn storage(answers: &Transcript, conf: &AuditdConf) -> Result<Value, Why> {
    let mut directory = log_directory(conf);
    let paths = Paths::parse(&answers.text("audit-log-paths")?);
    if let Some(found) = paths.find(&directory)? {
        directory.clone_from(&found.real);
    } else if let (Some(log), Some(rest)) = (paths.find("/var/log")?, directory.strip_prefix("/var/log/")) {
        directory = format!("{}/{rest}", log.real);
    }
    area(&directory, &Mounts::of(answers)?, &Configured::of(answers)?)
}

fn parse(input: &Input<'_>, output: &mut Output) {
    let answers = input.answers;
    let files = Files::of(answers);
    let conf = files.as_ref().map_err(Clone::clone).and_then(AuditdConf::of);
    output.set("audit.log.storage", conf.as_ref().map_err(Clone::clone).and_then(|conf| storage(answers, conf)));
    output.set("audit.log.files", conf.and_then(|conf| log_files(answers, &conf)));
    let ways = files.and_then(|files| Ok(archival(&files, &answers.text_lenient("audit-archival")?)));
    output.set("audit.log.archival", ways);
    let names = input.facts.value("process.names").map(|names| names.as_list().unwrap_or_default());
    let shippers = names.map(|names| {
        Value::list(names.iter().filter(|name| name.as_str().is_some_and(|name| SHIPPERS.contains(&name))).cloned())
    });
    output.set("audit.log.shippers", shippers);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::audit::tests::STOCK;
    use crate::probe::mounts::tests::MOUNTINFO;
    use crate::probe::script::State;
    use crate::probe::script::tests::{answered, answered_with, facts_of, not_run};

    #[test]
    fn the_log_lies_where_auditd_conf_says() {
        let answers = |conf: &str| {
            vec![
                ("audit-files", answered(conf)),
                ("mountinfo", answered(MOUNTINFO)),
                ("fstab", answered("/dev/mapper/vg-audit /var/log/audit ext4 defaults 0 2\n")),
                ("mount-units", answered("")),
                ("audit-log-paths", answered("directory|/var/log|/var/log\ndirectory|/var/log/audit|/var/log/audit\n")),
            ]
        };
        let word = |conf: &str| {
            let facts = facts_of(&["audit.log.storage"], &answers(conf));
            let area = facts.value("audit.log.storage").expect("known");
            let field = |name: &str| area.field(name).and_then(Value::as_str).expect("text").to_owned();
            (field("separate"), field("persistence"))
        };
        assert_eq!(word(STOCK), ("own".to_owned(), "fstab".to_owned()));
        assert_eq!(
            word(&STOCK.replace("/var/log/audit/audit.log", "/srv/audit/audit.log")),
            ("root".to_owned(), "none".to_owned())
        );
    }

    #[test]
    fn the_files_of_the_log_have_modes_and_owners() {
        let listing = "total 8\n-rw-r-----  1 0 4  6291 Nov 23 22:41 audit.log\n-r--r-----. 1 0 4 8388 Nov 22 10:00 audit.log.1\ndrwx------ 2 0 0 4096 Nov 1 00:00 old\n";
        let facts = facts_of(&["audit.log.files"], &[("audit-files", answered(STOCK)), ("audit-log-files", answered(listing))]);
        let files = facts.value("audit.log.files").expect("known").as_list().expect("a list").to_vec();
        let text: Vec<String> = files.iter().map(ToString::to_string).collect();
        assert_eq!(text, ["gid: 4, mode: 0640, name: audit.log, uid: 0", "gid: 4, mode: 0440, name: audit.log.1, uid: 0"]);
        assert_eq!(octal("-rwsr-Sr-t").as_deref(), Some("7745"));
        let none = answered_with("", "ls: cannot access '/var/log/audit': No such file or directory", 2);
        let facts = facts_of(&["audit.log.files"], &[("audit-files", answered(STOCK)), ("audit-log-files", none)]);
        assert_eq!(facts.value("audit.log.files"), Ok(&Value::List(Vec::new())));
        let facts =
            facts_of(&["audit.log.files"], &[("audit-files", answered(STOCK)), ("audit-log-files", not_run(State::NeedsRoot))]);
        assert!(matches!(facts.value("audit.log.files"), Err(Why::NeedsRoot(_))));
    }

    fn ways(files: &str, schedules: &str) -> Vec<String> {
        let facts = facts_of(
            &["audit.log.archival"],
            &[("audit-files", answered(files)), ("audit-archival", answered_with(schedules, "", 2))],
        );
        let ways = facts.value("audit.log.archival").expect("known").as_list().expect("a list").to_vec();
        ways.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_stock_host_archives_nothing() {
        let debian = "/etc/rsyslog.conf:#*.* @@remote-host:514\n/etc/crontab:MAILTO=root@example.org\n/etc/cron.d/x:@reboot root true\n\
/etc/systemd/system/auditd.service.d/x.conf:ReadWritePaths=/var/log/audit\n";
        assert_eq!(ways(STOCK, debian), [""; 0]);
    }

    #[test]
    fn each_way_out_is_found() {
        let remote = "/etc/audit/plugins.d/au-remote.conf:active = yes\n/etc/audit/plugins.d/au-remote.conf:path = /sbin/audisp-remote\n\
/etc/audit/audisp-remote.conf:remote_server = logs.example.org\n";
        assert_eq!(ways(remote, ""), ["/etc/audit/plugins.d/au-remote.conf sends events to logs.example.org"]);
        assert_eq!(ways(&remote.replace("logs.example.org", ""), ""), [""; 0], "no server");
        let syslog =
            "/etc/audit/plugins.d/syslog.conf:active = yes\n/etc/audit/plugins.d/syslog.conf:path = /sbin/audisp-syslog\n";
        let forward = "/etc/rsyslog.d/90-remote.conf:*.* @@logs.example.org:6514\n";
        assert_eq!(ways(syslog, forward).len(), 1);
        assert_eq!(ways(syslog, ""), [""; 0], "syslog that keeps it here");
        assert_eq!(ways(STOCK, forward), [""; 0], "nothing gets to syslog");
        let cron =
            "/etc/cron.daily/audit:tar czf - /var/log/audit | ssh -i key backup@host\n/etc/cron.daily/audit:ls /var/log/audit\n";
        assert_eq!(ways(STOCK, cron), ["/etc/cron.daily/audit handles /var/log/audit"]);
    }

    #[test]
    fn nothing_of_a_line_is_kept_but_its_kind() {
        let kept = redact(
            "audit-archival",
            b"/etc/cron.d/x:curl -u me:secret -T /var/log/audit/audit.log https://x\n/etc/cron.d/y:a@b\n",
        );
        assert_eq!(kept.as_deref(), Some(b"/etc/cron.d/x:log\n".as_slice()));
        assert_eq!(redact("audit-archival", b"/etc/cron.d/x:log\n").as_deref(), Some(b"/etc/cron.d/x:log\n".as_slice()));
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in "(\\PC|\n){0,200}", line in "[-rwxsStT]{8,12} \\PC{0,40}") {
            let _ = (listed_file(&line), listed_file(&text), redact("audit-archival", text.as_bytes()));
        }
    }
}
