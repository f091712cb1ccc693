//! The kernel's audit and the files that configure it: status, loaded rules, persistent rules, auditd.conf(5).

use std::collections::BTreeMap;

use super::audit_rules::Rules;
use super::{FactSpec, Input, Kind, Output, Probe, Transcript, Wanted, no_secrets};
use crate::command::{Program, ReadOnlyCommand, Rights, Step};
use crate::model::{FactRef, Value, Why};

pub(super) const PROBE: Probe = Probe { name: "audit", facts: FACTS, needs, steps, parse, redact: no_secrets };

const FACTS: &[FactSpec] = &[
    FactSpec {
        name: "audit.installed",
        key: None,
        kind: Kind::Bool,
        unit: None,
        source: "command -v auditd",
        rights: Rights::Any,
        summary: "Whether the audit daemon is installed.",
    },
    FactSpec {
        name: "audit.alternatives",
        key: None,
        kind: Kind::List(&Kind::Text),
        unit: None,
        source: "cat /proc/PID/comm",
        rights: Rights::Any,
        summary: "Running programs that record what the audit daemon would: auditbeat, go-audit, osqueryd, falco and the like.",
    },
    FactSpec {
        name: "audit.status",
        key: None,
        kind: Kind::Record(&[("enabled", Kind::Int), ("pid", Kind::Int), ("lost", Kind::Int), ("backlog_limit", Kind::Int)]),
        unit: None,
        source: "auditctl -s",
        rights: Rights::Root,
        summary: "State of the kernel's audit: enabled 0, 1 or 2 (locked until the next start), pid of the daemon or 0, events lost since the start, events that may wait.",
    },
    FactSpec {
        name: "audit.loaded",
        key: None,
        kind: Kind::Record(&[("count", Kind::Int), ("never_task", Kind::Bool)]),
        unit: None,
        source: "auditctl -l",
        rights: Rights::Root,
        summary: "The rules in the kernel: how many, and whether `never,task` among them keeps it from auditing any process.",
    },
    FactSpec {
        name: "audit.files",
        key: None,
        kind: Kind::Record(&[
            ("loader", Kind::Text),
            ("count", Kind::Int),
            ("never_task", Kind::Bool),
            ("locked", Kind::Bool),
            ("overwritten", Kind::List(&Kind::Text)),
        ]),
        unit: None,
        source: "grep /etc/audit",
        rights: Rights::Root,
        summary: "The rules in the files that are loaded at the start: by augenrules (from rules.d) or auditctl (audit.rules), how many, whether never,task is among them, whether `-e 2` ends them, and rules of audit.rules that augenrules will overwrite.",
    },
    FactSpec {
        name: "audit.auditd_conf",
        key: None,
        kind: Kind::Record(&[
            ("log_file", Kind::Text),
            ("log_group", Kind::Text),
            ("max_log_file", Kind::Int),
            ("max_log_file_action", Kind::Text),
            ("num_logs", Kind::Int),
            ("space_left", Kind::Text),
            ("space_left_action", Kind::Text),
            ("admin_space_left", Kind::Text),
            ("admin_space_left_action", Kind::Text),
            ("space_left_is_above_admin", Kind::Maybe(&Kind::Bool)),
            ("disk_full_action", Kind::Text),
            ("disk_error_action", Kind::Text),
        ]),
        unit: None,
        source: "grep /etc/audit",
        rights: Rights::Root,
        summary: "auditd.conf(5) with the defaults of what it leaves out; actions as one lower-case word; space_left_is_above_admin is null where one is a percentage and the other is not.",
    },
];

/// Programs that read the kernel's audit, or record the same, in auditd's place; as the kernel cuts their names.
const ALTERNATIVES: &[&str] =
    &["auditbeat", "go-audit", "osqueryd", "falco", "laurel", "sysmon", "tetragon", "wazuh-modulesd", "elastic-agent"];

fn needs(wanted: &Wanted) -> Vec<FactRef> {
    let mut needs = Vec::new();
    if wanted.wants("audit.installed") {
        needs.push(FactRef::keyed("tools", "auditd"));
    }
    if wanted.wants("audit.alternatives") {
        needs.push(FactRef::plain("process.names"));
    }
    needs
}

fn step(id: &str, program: Program, arguments: &[&str], rights: Rights) -> Option<Step> {
    Some(Step::new(id, ReadOnlyCommand::new(program, arguments, rights).ok()?))
}

/// `auditctl -s`, read by [`Status::of`].
pub(super) fn status_step() -> Option<Step> {
    step("audit-status", Program::Auditctl, &["-s"], Rights::Root)
}

/// `auditctl -l`, read by [`loaded`].
pub(super) fn loaded_step() -> Option<Step> {
    step("audit-loaded", Program::Auditctl, &["-l"], Rights::Root)
}

/// The files of audit, read by [`Files::of`]. One command for all of them, since each costs a call of sudo.
pub(super) fn files_steps() -> Vec<Step> {
    let show = ["show", "--no-pager", "--property=Id,ExecStart,ExecStartPost", "auditd.service", "audit-rules.service"];
    [
        step("audit-files", Program::Grep, &["-rsH", "^", "/etc/audit", "/etc/audisp"], Rights::Root),
        step("audit-units", Program::Systemctl, &show, Rights::Any),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn steps(wanted: &Wanted) -> Vec<Step> {
    let mut steps = Vec::new();
    if wanted.wants("audit.status") {
        steps.extend(status_step());
    }
    if wanted.wants("audit.loaded") {
        steps.extend(loaded_step());
    }
    if wanted.wants_any(&["audit.files", "audit.auditd_conf"]) {
        steps.extend(files_steps());
    }
    steps
}

/// What `auditctl -s` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Status {
    pub(super) enabled: i64,
    pid: i64,
    lost: i64,
    backlog_limit: i64,
}

impl Status {
    pub(super) fn of(answers: &Transcript) -> Result<Self, Why> {
        let text = answers.text("audit-status")?;
        Self::parse(&text).ok_or_else(|| Why::CouldNotBeParsed("`auditctl -s` does not say whether audit is enabled".to_owned()))
    }

    /// `enabled 1` a line, or `AUDIT_STATUS: enabled=1 flag=1 pid=2` on one line (audit 1.x, 2.x).
    fn parse(text: &str) -> Option<Self> {
        let words: Vec<&str> = match text.trim_start().strip_prefix("AUDIT_STATUS:") {
            Some(fields) => fields.split_ascii_whitespace().flat_map(|field| field.splitn(2, '=')).collect(),
            None => text.lines().filter_map(|line| line.split_once(' ')).flat_map(|(name, value)| [name, value]).collect(),
        };
        let value = |name: &str| {
            let (_, value) =
                words.chunks_exact(2).filter_map(|pair| Some((pair.first()?, pair.get(1)?))).find(|pair| *pair.0 == name)?;
            match value.trim() {
                "disabled" => Some(0),
                "enabled" => Some(1),
                "enabled+immutable" | "immutable" | "locked" => Some(2),
                number => number.parse().ok(),
            }
        };
        Some(Self {
            enabled: value("enabled")?,
            pid: value("pid")?,
            lost: value("lost")?,
            backlog_limit: value("backlog_limit")?,
        })
    }
}

/// The rules in the kernel.
pub(super) fn loaded(answers: &Transcript) -> Result<Rules, Why> {
    Ok(Rules::parse(answers.text("audit-loaded")?.lines()))
}

/// Everything below /etc/audit.
#[derive(Debug, Clone, Default)]
pub(super) struct Files {
    lines: BTreeMap<String, Vec<String>>,
    /// What the units say about how rules are loaded; empty without systemd.
    units: String,
}

impl Files {
    pub(super) fn of(answers: &Transcript) -> Result<Self, Why> {
        let mut lines: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for line in answers.text_lenient("audit-files")?.lines() {
            if let Some((file, line)) = line.split_once(':') {
                lines.entry(file.to_owned()).or_default().push(line.to_owned());
            }
        }
        Ok(Self { lines, units: answers.text("audit-units").unwrap_or_default() })
    }

    /// Whether augenrules makes audit.rules out of rules.d at every start, so that what is in audit.rules alone does not last.
    fn are_generated(&self) -> bool {
        if self.units.contains("augenrules") {
            return true;
        }
        if self.units.contains("auditctl") {
            return false;
        }
        match self.lines.get("/etc/audit/audit.rules") {
            Some(lines) => lines.iter().any(|line| line.contains("automatically generated from /etc/audit/rules.d")),
            None => true,
        }
    }

    fn single(&self) -> impl Iterator<Item = &str> {
        self.lines.get("/etc/audit/audit.rules").into_iter().flatten().map(String::as_str)
    }

    /// The rules that the next start will load.
    pub(super) fn rules(&self) -> Rules {
        if !self.are_generated() {
            return Rules::parse(self.single());
        }
        let fragments = self.lines.iter().filter(|(file, _)| file.starts_with("/etc/audit/rules.d/") && file.ends_with(".rules"));
        // augenrules puts a -D at the beginning and drops it elsewhere.
        Rules::parse(fragments.flat_map(|(_, lines)| lines).map(String::as_str).filter(|line| line.trim() != "-D"))
    }

    /// Rules of audit.rules that the next start will overwrite.
    pub(super) fn overwritten(&self) -> Rules {
        if !self.are_generated() {
            return Rules::default();
        }
        let lasting = self.rules();
        let lasting: std::collections::HashSet<&str> = lasting.rules.iter().map(|rule| rule.text.as_str()).collect();
        let mut single = Rules::parse(self.single());
        single.rules.retain(|rule| !lasting.contains(rule.text.as_str()));
        single
    }

    /// `name = value` of a file, names in lower case; the last one counts. `None` where the file is not there or empty.
    pub(super) fn settings(&self, file: &str) -> Option<BTreeMap<String, String>> {
        let settings = self.lines.get(file)?.iter().filter(|line| !line.trim_start().starts_with('#'));
        let pairs = settings.filter_map(|line| line.split_once('='));
        Some(pairs.map(|(name, value)| (name.trim().to_ascii_lowercase(), value.trim().to_owned())).collect())
    }

    /// The files of plugins: name and settings.
    pub(super) fn plugins(&self) -> impl Iterator<Item = (&str, BTreeMap<String, String>)> {
        let is_plugin = |file: &str| file.contains("/plugins.d/") && file.ends_with(".conf");
        self.lines.keys().filter(move |file| is_plugin(file)).filter_map(|file| Some((file.as_str(), self.settings(file)?)))
    }
}

/// auditd.conf(5), with the daemon's own defaults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AuditdConf(BTreeMap<String, String>);

impl AuditdConf {
    pub(super) fn of(files: &Files) -> Result<Self, Why> {
        let settings = files.settings("/etc/audit/auditd.conf");
        settings.map(Self).ok_or_else(|| Why::ProbeFailed("`/etc/audit/auditd.conf` is not there, or empty".to_owned()))
    }

    fn text<'a>(&'a self, name: &str, default: &'a str) -> &'a str {
        self.0.get(name).map_or(default, String::as_str)
    }

    fn number(&self, name: &str) -> Result<i64, Why> {
        let text = self.text(name, "0");
        text.parse().map_err(|_| Why::CouldNotBeParsed(format!("`{name} = {text}` in auditd.conf is no number")))
    }

    /// The action without what it is given (`exec /path`).
    fn action(&self, name: &str, default: &str) -> String {
        self.text(name, default).split_ascii_whitespace().next().unwrap_or_default().to_ascii_lowercase()
    }

    pub(super) fn log_file(&self) -> &str {
        self.text("log_file", "/var/log/audit/audit.log")
    }

    /// Whether the first warning comes before the last; not known where only one is a percentage.
    fn space_left_is_above_admin(&self) -> Option<bool> {
        let (space, admin) = (self.text("space_left", "0"), self.text("admin_space_left", "0"));
        if space.ends_with('%') != admin.ends_with('%') {
            return None;
        }
        let number = |text: &str| text.trim_end_matches('%').trim().parse::<i64>().ok();
        Some(number(space)? > number(admin)?)
    }

    fn value(&self) -> Result<Value, Why> {
        Ok(Value::record([
            ("log_file", self.log_file().into()),
            ("log_group", self.text("log_group", "root").into()),
            ("max_log_file", self.number("max_log_file")?.into()),
            ("max_log_file_action", self.action("max_log_file_action", "ignore").into()),
            ("num_logs", self.number("num_logs")?.into()),
            ("space_left", self.text("space_left", "0").into()),
            ("space_left_action", self.action("space_left_action", "ignore").into()),
            ("admin_space_left", self.text("admin_space_left", "0").into()),
            ("admin_space_left_action", self.action("admin_space_left_action", "ignore").into()),
            ("space_left_is_above_admin", self.space_left_is_above_admin().into()),
            ("disk_full_action", self.action("disk_full_action", "ignore").into()),
            ("disk_error_action", self.action("disk_error_action", "syslog").into()),
        ]))
    }
}

fn count(number: usize) -> Value {
    Value::Int(i64::try_from(number).unwrap_or(i64::MAX))
}

fn files_value(files: &Files) -> Value {
    let rules = files.rules();
    Value::record([
        ("loader", if files.are_generated() { "augenrules" } else { "auditctl" }.into()),
        ("count", count(rules.rules.len())),
        ("never_task", rules.never_task().is_some().into()),
        ("locked", (rules.enable == Some(2)).into()),
        ("overwritten", Value::list(files.overwritten().rules.into_iter().map(|rule| rule.text))),
    ])
}

fn parse(input: &Input<'_>, output: &mut Output) {
    let answers = input.answers;
    output.set("audit.installed", input.facts.keyed("tools", "auditd").map(|path| *path != Value::Null));
    let names = input.facts.value("process.names").map(|names| names.as_list().unwrap_or_default());
    let alternatives = names.map(|names| {
        Value::list(names.iter().filter(|name| name.as_str().is_some_and(|name| ALTERNATIVES.contains(&name))).cloned())
    });
    output.set("audit.alternatives", alternatives);
    let status = Status::of(answers).map(|status| {
        Value::record([
            ("enabled", status.enabled.into()),
            ("pid", status.pid.into()),
            ("lost", status.lost.into()),
            ("backlog_limit", status.backlog_limit.into()),
        ])
    });
    output.set("audit.status", status);
    let loaded = loaded(answers)
        .map(|rules| Value::record([("count", count(rules.rules.len())), ("never_task", rules.never_task().is_some().into())]));
    output.set("audit.loaded", loaded);
    let files = Files::of(answers);
    output.set("audit.files", files.as_ref().map(files_value).map_err(Clone::clone));
    output.set("audit.auditd_conf", files.and_then(|files| AuditdConf::of(&files)?.value()));
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::probe::script::State;
    use crate::probe::script::tests::{answered, answered_with, facts_of, not_run};

    /// `auditctl -s` of audit 3.0.9.
    pub(crate) const STATUS: &str = "enabled 1\nfailure 1\npid 712\nrate_limit 0\nbacklog_limit 8192\nlost 0\nbacklog 0\n\
backlog_wait_time 60000\nbacklog_wait_time_actual 0\nloginuid_immutable 0 unlocked\n";

    /// The files of Debian's package audit 3.0.9, comments cut short.
    pub(crate) const STOCK: &str = "\
/etc/audit/auditd.conf:# This file controls the configuration of the audit daemon
/etc/audit/auditd.conf:
/etc/audit/auditd.conf:local_events = yes
/etc/audit/auditd.conf:write_logs = yes
/etc/audit/auditd.conf:log_file = /var/log/audit/audit.log
/etc/audit/auditd.conf:log_group = adm
/etc/audit/auditd.conf:max_log_file = 8
/etc/audit/auditd.conf:num_logs = 5
/etc/audit/auditd.conf:##name = mydomain
/etc/audit/auditd.conf:max_log_file_action = ROTATE
/etc/audit/auditd.conf:space_left = 75
/etc/audit/auditd.conf:space_left_action = SYSLOG
/etc/audit/auditd.conf:admin_space_left = 50
/etc/audit/auditd.conf:admin_space_left_action = SUSPEND
/etc/audit/auditd.conf:disk_full_action = SUSPEND
/etc/audit/auditd.conf:disk_error_action = SUSPEND
/etc/audit/auditd.conf:plugin_dir = /etc/audit/plugins.d
/etc/audit/plugins.d/syslog.conf:active = no
/etc/audit/plugins.d/syslog.conf:direction = out
/etc/audit/plugins.d/syslog.conf:path = /sbin/audisp-syslog
/etc/audit/audit.rules:## This file is automatically generated from /etc/audit/rules.d
/etc/audit/audit.rules:-D
/etc/audit/audit.rules:-b 8192
/etc/audit/audit.rules:-f 1
/etc/audit/audit.rules:--backlog_wait_time 60000
/etc/audit/rules.d/audit.rules:## First rule - delete all
/etc/audit/rules.d/audit.rules:-D
/etc/audit/rules.d/audit.rules:-b 8192
";

    #[test]
    fn the_status_is_read_in_its_three_forms() {
        let new = Status::parse(STATUS).expect("status");
        assert_eq!(new, Status { enabled: 1, pid: 712, lost: 0, backlog_limit: 8192 });
        let old = Status::parse("AUDIT_STATUS: enabled=2 flag=1 pid=1280 rate_limit=0 backlog_limit=320 lost=17 backlog=0\n");
        assert_eq!(old, Some(Status { enabled: 2, pid: 1280, lost: 17, backlog_limit: 320 }));
        let words = "enabled enabled+immutable\nfailure printk\npid 0\nrate_limit 0\nbacklog_limit 64\nlost 0\n";
        assert_eq!(Status::parse(words).map(|status| status.enabled), Some(2));
        assert_eq!(Status::parse("enabled\n"), None);
    }

    #[test]
    fn a_container_and_a_user_do_not_learn_the_status() {
        let denied = answered_with("", "You must be root to run this program.\n", 4);
        let facts =
            facts_of(&["audit.status", "audit.loaded"], &[("audit-status", denied), ("audit-loaded", not_run(State::Missing))]);
        assert!(matches!(facts.value("audit.status"), Err(Why::NeedsRoot(_))));
        assert!(matches!(facts.value("audit.loaded"), Err(Why::ToolMissing(_))));
    }

    #[test]
    fn the_loaded_rules_are_counted_and_searched_for_never_task() {
        let listed = crate::probe::audit_rules::tests::LISTED;
        let facts = facts_of(&["audit.loaded"], &[("audit-loaded", answered(listed))]);
        assert_eq!(facts.value("audit.loaded"), Ok(&Value::record([("count", Value::Int(16)), ("never_task", true.into())])));
        let facts = facts_of(&["audit.loaded"], &[("audit-loaded", answered("No rules\n"))]);
        assert_eq!(facts.value("audit.loaded"), Ok(&Value::record([("count", Value::Int(0)), ("never_task", false.into())])));
    }

    fn files(text: &str, units: &str) -> Files {
        let answers = [("audit-files".to_owned(), answered_with(text, "", 2)), ("audit-units".to_owned(), answered(units))];
        Files::of(&Transcript::from_answers(answers, true)).expect("files")
    }

    #[test]
    fn what_stands_in_audit_rules_alone_is_overwritten_where_augenrules_makes_it() {
        let direct = format!("{STOCK}/etc/audit/audit.rules:-w /usr/bin/docker -p wa\n");
        let generated = files(&direct, "");
        assert_eq!(generated.rules().rules.len(), 0);
        assert_eq!(generated.overwritten().rules.len(), 1);
        let unit =
            "Id=auditd.service\nExecStartPost={ path=/sbin/auditctl ; argv[]=/sbin/auditctl -R /etc/audit/audit.rules ; }\n";
        let plain = files(&direct, unit);
        assert_eq!((plain.rules().rules.len(), plain.overwritten().rules.len()), (1, 0));
    }

    #[test]
    fn only_files_that_augenrules_reads_count() {
        let text = format!(
            "{STOCK}/etc/audit/rules.d/50-docker.rules:-w /etc/docker -p wa -k docker\n/etc/audit/rules.d/x.rules.bak:-w /x -p wa\n\
/etc/audit/rules.d/99-end.rules:-D\n/etc/audit/rules.d/99-end.rules:-e 2\n"
        );
        let facts = facts_of(&["audit.files"], &[("audit-files", answered(&text))]);
        let value = facts.value("audit.files").expect("known");
        assert_eq!(value.field("count"), Some(&Value::Int(1)));
        assert_eq!(value.field("locked"), Some(&true.into()));
        assert_eq!(value.field("loader"), Some(&"augenrules".into()));
    }

    #[test]
    fn auditd_conf_is_read_without_case_and_with_defaults() {
        let facts = facts_of(&["audit.auditd_conf"], &[("audit-files", answered(STOCK))]);
        let conf = facts.value("audit.auditd_conf").expect("known");
        assert_eq!(conf.field("max_log_file_action"), Some(&"rotate".into()));
        assert_eq!(conf.field("num_logs"), Some(&Value::Int(5)));
        assert_eq!(conf.field("space_left_is_above_admin"), Some(&true.into()));
        let short = "/etc/audit/auditd.conf:Space_Left = 25%\n/etc/audit/auditd.conf:space_left_action = exec /usr/bin/x\n";
        let facts = facts_of(&["audit.auditd_conf"], &[("audit-files", answered(short))]);
        let conf = facts.value("audit.auditd_conf").expect("known");
        assert_eq!(conf.field("space_left_action"), Some(&"exec".into()));
        assert_eq!(conf.field("max_log_file_action"), Some(&"ignore".into()));
        assert_eq!(conf.field("space_left_is_above_admin"), Some(&Value::Null));
    }

    #[test]
    fn without_root_the_files_are_not_known() {
        let facts = facts_of(&["audit.files", "audit.auditd_conf"], &[("audit-files", not_run(State::NeedsRoot))]);
        assert!(matches!(facts.value("audit.files"), Err(Why::NeedsRoot(_))));
        assert!(matches!(facts.value("audit.auditd_conf"), Err(Why::NeedsRoot(_))));
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in "(\\PC|\n)*") {
            let _ = Status::parse(&text);
            let files = files(&text, &text);
            let _ = (files.rules(), files.overwritten(), files.plugins().count(), files_value(&files));
        }
    }
}
