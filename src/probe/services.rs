//! Services under whatever starts them, unit files, and the processes that run.

use std::collections::{BTreeMap, BTreeSet};

use super::{FactSpec, Input, Kind, Output, Probe, Wanted, no_secrets};
use crate::command::{Fragment, Program, ReadOnlyCommand, Rights, Step};
use crate::model::{FactRef, Value, Why};

pub(super) const PROBE: Probe = Probe { name: "services", facts: FACTS, needs, steps, parse, redact: no_secrets };

const SOURCE: &str = "systemctl show; ls -1 /run/openrc/started /etc/runlevels/default ...; rc-status -c; ls -1 /etc/init.d /etc/rc2.d ...; cat /proc/PID/comm";

const FACTS: &[FactSpec] = &[
    FactSpec {
        name: "service",
        key: Some("unit"),
        kind: Kind::Record(&[("load", Kind::Text), ("active", Kind::Text), ("enabled", Kind::Text)]),
        unit: None,
        source: SOURCE,
        rights: Rights::Any,
        summary: "A service, or another unit by its full name, in the words of systemd: load (loaded, not-found, masked), active (active, inactive, failed), enabled (enabled, disabled, static, masked, empty where there is no such unit; `unmanaged` where no init system would start it).",
    },
    FactSpec {
        name: "unit_file",
        key: Some("unit"),
        kind: Kind::Record(&[("path", Kind::Maybe(&Kind::Text)), ("dropins", Kind::List(&Kind::Text))]),
        unit: None,
        source: "systemctl show; stat of the unit directories",
        rights: Rights::Any,
        summary: "The file that defines a systemd unit, null where there is none, and the files that amend it.",
    },
    FactSpec {
        name: "service_failed",
        key: None,
        kind: Kind::List(&Kind::Text),
        unit: None,
        source: "systemctl list-units --state=failed; rc-status -c",
        rights: Rights::Any,
        summary: "Units that have failed.",
    },
    FactSpec {
        name: "process.names",
        key: None,
        kind: Kind::List(&Kind::Text),
        unit: None,
        source: "cat /proc/PID/comm",
        rights: Rights::Any,
        summary: "Names of all running processes, each once, sorted; the kernel cuts them to 15 letters.",
    },
];

const SUFFIXES: &[&str] =
    &[".service", ".socket", ".timer", ".path", ".mount", ".automount", ".target", ".slice", ".scope", ".swap", ".device"];

/// Where systemd looks for units, first to last (systemd.unit(5)).
const UNIT_DIRECTORIES: &[&str] = &[
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
];

/// What OpenRC has started, and what it starts. Read as files: `rc-status` writes its cache of dependencies anew, when root asks it for anything but what crashed.
const OPENRC: [&str; 4] = ["/run/openrc/started", "/etc/runlevels/sysinit", "/etc/runlevels/boot", "/etc/runlevels/default"];

const RUNLEVELS: &[&str] = &["/etc/rc2.d", "/etc/rc3.d", "/etc/rc4.d", "/etc/rc5.d"];

/// What a service's processes are called where nothing but the processes can tell: names of the service, names of processes.
const PROCESSES: &[(&[&str], &[&str])] = &[
    (&["abrtd"], &["abrtd"]),
    (&["apache2", "httpd"], &["apache2", "httpd"]),
    (&["apparmor"], &[]),
    (&["apport"], &[]),
    (&["auditd"], &["auditd"]),
    (&["autofs"], &["automount"]),
    (&["avahi-daemon"], &["avahi-daemon"]),
    (&["bluetooth"], &["bluetoothd"]),
    (&["chrony", "chronyd"], &["chronyd"]),
    (&["cockpit"], &["cockpit-ws", "cockpit-tls"]),
    (&["containerd"], &["containerd"]),
    (&["cron", "crond", "cronie"], &["cron", "crond"]),
    (&["crowdsec"], &["crowdsec"]),
    (&["cups", "cupsd"], &["cupsd"]),
    (&["cups-browsed"], &["cups-browsed"]),
    (&["cyrus-imapd"], &["cyrus-master", "cyrmaster"]),
    (&["debug-shell"], &[]),
    (&["dnsmasq"], &["dnsmasq"]),
    (&["docker"], &["dockerd"]),
    (&["dovecot"], &["dovecot"]),
    (&["dropbear"], &["dropbear"]),
    (&["exim4", "exim"], &["exim4", "exim"]),
    (&["fail2ban"], &["fail2ban-server"]),
    (&["firewalld"], &["firewalld"]),
    (&["inetd", "openbsd-inetd", "inetutils-inetd"], &["inetd", "inetutils-inetd"]),
    (&["iptables", "ip6tables", "netfilter-persistent", "nftables", "ufw"], &[]),
    (&["isc-dhcp-server", "isc-dhcp-server6", "dhcpd", "dhcpd6"], &["dhcpd"]),
    (&["kea-dhcp4-server", "kea-dhcp4"], &["kea-dhcp4"]),
    (&["kea-dhcp6-server", "kea-dhcp6"], &["kea-dhcp6"]),
    (&["kdump"], &[]),
    (&["lighttpd"], &["lighttpd"]),
    (&["ModemManager"], &["ModemManager"]),
    (&["named", "bind9"], &["named"]),
    (&["nfs-server", "nfs-kernel-server", "nfs"], &["nfsd"]),
    (&["nginx"], &["nginx"]),
    (&["nscd"], &["nscd"]),
    (&["ntp", "ntpd", "ntpsec", "openntpd"], &["ntpd"]),
    (&["packagekit"], &["packagekitd"]),
    (&["postfix"], &["master"]),
    (&["privoxy"], &["privoxy"]),
    (&["rpc-statd", "nfs-common"], &["rpc.statd"]),
    (&["rpcbind"], &["rpcbind"]),
    (&["rsync", "rsyncd"], &["rsync"]),
    (&["rsyslog", "rsyslogd"], &["rsyslogd"]),
    (&["sendmail"], &["sendmail", "sendmail-mta"]),
    (&["slapd"], &["slapd"]),
    (&["smbd", "smb", "samba"], &["smbd", "samba"]),
    (&["nmbd", "nmb"], &["nmbd"]),
    (&["snapd"], &["snapd"]),
    (&["snmpd"], &["snmpd"]),
    (&["snmptrapd"], &["snmptrapd"]),
    (&["squid"], &["squid"]),
    (&["sshguard"], &["sshguard", "sshg-parser", "sshg-blocker"]),
    (&["ssh", "sshd"], &["sshd"]),
    (&["syslog", "busybox-syslogd"], &["syslogd"]),
    (&["syslog-ng"], &["syslog-ng"]),
    (&["systemd-journald"], &["systemd-journal"]),
    (&["systemd-timesyncd"], &["systemd-timesyn"]),
    (&["tinyproxy"], &["tinyproxy"]),
    (&["udisks2"], &["udisksd"]),
    (&["unbound"], &["unbound"]),
    (&["vsftpd"], &["vsftpd"]),
    (&["webmin"], &["miniserv.pl"]),
    (&["whoopsie"], &["whoopsie"]),
    (&["xinetd"], &["xinetd"]),
    (&["osqueryd"], &["osqueryd"]),
    (&["samhain"], &["samhain"]),
    (&["update-engine"], &["update_engine"]),
    (&["wazuh-agent"], &["wazuh-agentd"]),
    (&["ypserv"], &["ypserv"]),
    (&["yum-cron"], &[]),
];

fn needs(wanted: &Wanted) -> Vec<FactRef> {
    if wanted.wants_any(&["service", "process.names"]) { vec![FactRef::plain("init.name")] } else { Vec::new() }
}

/// A name with the suffix of a service where it has none; `None` where systemctl would not take it for a unit.
fn unit(key: &str) -> Option<String> {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "._@:-\\".contains(letter);
    let whole = !key.is_empty() && !key.starts_with('-') && key.chars().all(plain) && !key.contains("@.") && !key.ends_with('@');
    whole.then(|| if SUFFIXES.iter().any(|suffix| key.ends_with(suffix)) { key.to_owned() } else { format!("{key}.service") })
}

fn units(wanted: &Wanted) -> Vec<String> {
    let keys: BTreeSet<String> = wanted.keys("service").into_iter().chain(wanted.keys("unit_file")).filter_map(unit).collect();
    keys.into_iter().collect()
}

fn steps(wanted: &Wanted) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut ask = |id: &str, command: Option<ReadOnlyCommand>| steps.extend(command.map(|command| Step::new(id, command)));
    let any = |program, words: &[&str]| ReadOnlyCommand::new(program, words, Rights::Any).ok();
    let units = units(wanted);
    if !units.is_empty() {
        let properties = "--property=Id,Names,LoadState,ActiveState,UnitFileState,FragmentPath,DropInPaths";
        let words: Vec<&str> = ["show", "--no-pager", properties].into_iter().chain(units.iter().map(String::as_str)).collect();
        ask("units", any(Program::Systemctl, &words));
    }
    let files: BTreeSet<String> = wanted.keys("unit_file").into_iter().filter_map(unit).collect();
    if !files.is_empty() {
        let mut words = vec!["%n".to_owned()];
        for directory in UNIT_DIRECTORIES {
            words.extend(files.iter().flat_map(|unit| [format!("{directory}/{unit}"), format!("{directory}/{unit}.d/*.conf")]));
        }
        ask("unit-files", ReadOnlyCommand::fragment(Fragment::StatMatching, &words, Rights::Any).ok());
    }
    if wanted.wants("service_failed") {
        ask(
            "units-failed",
            any(Program::Systemctl, &["list-units", "--no-pager", "--no-legend", "--plain", "--all", "--state=failed"]),
        );
    }
    if wanted.wants_any(&["service", "service_failed"]) {
        ask("openrc-crashed", any(Program::RcStatus, &["-c"]));
        ask("openrc-services", any(Program::Ls, &["-1"].into_iter().chain(OPENRC).collect::<Vec<_>>()));
    }
    if wanted.wants("service") {
        let words: Vec<&str> = ["-1", "/etc/init.d"].into_iter().chain(RUNLEVELS.iter().copied()).collect();
        ask("init-scripts", any(Program::Ls, &words));
    }
    if wanted.wants_any(&["service", "process.names"]) {
        ask("process-names", ReadOnlyCommand::fragment::<&str>(Fragment::ProcessNames, &[], Rights::Any).ok());
    }
    steps
}

fn parse(input: &Input<'_>, output: &mut Output) {
    let shown = input.answers.text("units").map(|text| shown_units(&text));
    let openrc = openrc(input);
    let processes = process_names(input);
    for key in input.wanted.keys("service") {
        let value = match (unit(key), &shown) {
            (None, _) => Err(Why::CouldNotBeParsed(format!("`{key}` is not the name of a unit"))),
            (Some(unit), Ok(shown)) => shown
                .get(&unit)
                .map(Shown::service)
                .ok_or_else(|| Why::ProbeFailed(format!("systemctl says nothing of `{unit}`"))),
            (Some(unit), Err(why)) => without_systemd(&unit, why, &openrc, &processes, input),
        };
        output.set_keyed("service", key, value);
    }
    for key in input.wanted.keys("unit_file") {
        let value = match (unit(key), &shown) {
            (None, _) => Err(Why::CouldNotBeParsed(format!("`{key}` is not the name of a unit"))),
            (Some(unit), Ok(shown)) if shown.contains_key(&unit) => Ok(shown[&unit].file()),
            (Some(unit), _) => input.answers.text("unit-files").map(|text| unit_file(&text, &unit)),
        };
        output.set_keyed("unit_file", key, value);
    }
    if input.wanted.wants("service_failed") {
        let systemd = input.answers.text("units-failed").map(|text| {
            text.lines().filter_map(|line| line.split_ascii_whitespace().next()).map(str::to_owned).collect::<Vec<_>>()
        });
        let crashed = |services: &BTreeMap<String, Started>| {
            let crashed = services.iter().filter(|(_, started)| started.active == "failed");
            crashed.map(|(name, _)| name.clone()).collect::<Vec<_>>()
        };
        output.set("service_failed", systemd.or_else(|why| openrc.as_ref().map(crashed).map_err(|_| why)));
    }
    output.set("process.names", processes);
}

/// A service where systemctl did not answer. A manager that runs and was not understood must not be taken for one that does not exist.
fn without_systemd(
    unit: &str,
    why: &Why,
    openrc: &Result<BTreeMap<String, Started>, Why>,
    processes: &Result<Vec<String>, Why>,
    input: &Input<'_>,
) -> Result<Value, Why> {
    if input.facts.value("init.name")?.as_str() == Some("systemd") {
        return Err(why.clone());
    }
    match openrc {
        Ok(openrc) => Ok(openrc_service(unit, openrc, input)),
        Err(Why::ToolMissing(_) | Why::ProbeFailed(_)) => unmanaged_service(unit, input, processes),
        Err(why) => Err(why.clone()),
    }
}

/// What `systemctl show` says of a unit.
#[derive(Debug, Default, Clone)]
struct Shown {
    load: String,
    active: String,
    enabled: String,
    path: String,
    dropins: Vec<String>,
}

impl Shown {
    fn service(&self) -> Value {
        service(&self.load, &self.active, &self.enabled)
    }

    fn file(&self) -> Value {
        let path = (!self.path.is_empty()).then(|| self.path.clone());
        Value::record([("path", path.into()), ("dropins", self.dropins.clone().into())])
    }
}

fn service(load: &str, active: &str, enabled: &str) -> Value {
    Value::record([("load", load.into()), ("active", active.into()), ("enabled", enabled.into())])
}

/// The blocks of `systemctl show`, by every name that the unit goes by: `sshd.service` may be another name of `ssh.service`. By name and not by order, so
/// that a recording answers whatever is asked of it later.
fn shown_units(text: &str) -> BTreeMap<String, Shown> {
    let mut units = BTreeMap::new();
    for block in text.split("\n\n").filter(|block| block.contains("LoadState=")) {
        let value = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        let names = value("Names").into_iter().chain(value("Id")).flat_map(str::split_ascii_whitespace);
        for name in names {
            units.insert(name.to_owned(), shown(block));
        }
    }
    units
}

fn shown(block: &str) -> Shown {
    let mut shown = Shown::default();
    for (name, value) in block.lines().filter_map(|line| line.split_once('=')) {
        match name {
            "LoadState" => shown.load = value.to_owned(),
            "ActiveState" => shown.active = value.to_owned(),
            "UnitFileState" => shown.enabled = value.to_owned(),
            "FragmentPath" => shown.path = value.to_owned(),
            "DropInPaths" => shown.dropins = value.split_ascii_whitespace().map(str::to_owned).collect(),
            _ => {}
        }
    }
    shown
}

/// What OpenRC says of a service.
#[derive(Debug, Default, PartialEq, Eq)]
struct Started {
    active: &'static str,
    enabled: bool,
}

/// The services that OpenRC has started or starts, by name.
fn openrc(input: &Input<'_>) -> Result<BTreeMap<String, Started>, Why> {
    let crashed = input.answers.answer("openrc-crashed")?;
    // Exit status 1: none.
    if !matches!(crashed.exit, 0 | 1) || !crashed.stderr.is_empty() {
        return Err(Why::CouldNotBeParsed(format!("`{}`: {}", crashed.command, crashed.complaint())));
    }
    let services = input.answers.text_lenient("openrc-services")?;
    let services = openrc_services(&services, &crashed.text());
    services.ok_or_else(|| Why::ProbeFailed("OpenRC is there and has started nothing".to_owned()))
}

/// What `ls -1` says of the directories of [`OPENRC`], and `rc-status -c`; `None` where OpenRC has started nothing, so that it does not run.
fn openrc_services(text: &str, crashed: &str) -> Option<BTreeMap<String, Started>> {
    let [started, runlevels @ ..] = OPENRC;
    let mut services: BTreeMap<String, Started> = BTreeMap::new();
    for name in listed(text, started) {
        let active = if crashed.lines().any(|line| line.trim() == name) { "failed" } else { "active" };
        services.insert(name.to_owned(), Started { active, enabled: false });
    }
    if services.is_empty() {
        return None;
    }
    for name in runlevels.into_iter().flat_map(|runlevel| listed(text, runlevel)) {
        services.entry(name.to_owned()).or_insert(Started { active: "inactive", enabled: true }).enabled = true;
    }
    Some(services)
}

fn openrc_service(unit: &str, services: &BTreeMap<String, Started>, input: &Input<'_>) -> Value {
    let Some(name) = unit.strip_suffix(".service") else { return service("not-found", "inactive", "") };
    match services.get(name) {
        Some(started) => service("loaded", started.active, if started.enabled { "enabled" } else { "disabled" }),
        None if has_init_script(name, input) => service("loaded", "inactive", "disabled"),
        None => service("not-found", "inactive", ""),
    }
}

/// The lines of `ls -1 DIRECTORY...` below the directory.
fn listed<'a>(text: &'a str, directory: &str) -> impl Iterator<Item = &'a str> {
    let head = format!("{directory}:");
    text.lines().skip_while(move |line| *line != head).skip(1).take_while(|line| !line.is_empty())
}

fn has_init_script(name: &str, input: &Input<'_>) -> bool {
    input.answers.text_lenient("init-scripts").is_ok_and(|text| listed(&text, "/etc/init.d").any(|script| script == name))
}

/// A service where neither systemd nor OpenRC runs: its processes tell whether it is active, the links of the runlevels whether it would be started.
fn unmanaged_service(unit: &str, input: &Input<'_>, processes: &Result<Vec<String>, Why>) -> Result<Value, Why> {
    let Some(name) = unit.strip_suffix(".service") else { return Ok(service("not-found", "inactive", "unmanaged")) };
    let starts_nothing = input.facts.value("init.name")?.as_str() != Some("init");
    let names = match PROCESSES.iter().find(|(services, _)| services.contains(&name)) {
        Some((_, names)) if !names.is_empty() => names,
        // What leaves no process behind (rules loaded once) was never started where nothing starts services.
        Some(_) if starts_nothing => return Ok(service("not-found", "inactive", "unmanaged")),
        _ => return Err(Why::ToolMissing(format!("no service manager runs, and no process tells of `{name}`"))),
    };
    let running = processes.as_ref().map_err(Clone::clone)?.iter().any(|process| names.contains(&process.as_str()));
    let load = if running || has_init_script(name, input) { "loaded" } else { "not-found" };
    let enabled = if starts_nothing { "unmanaged" } else { sysv_enabled(name, input)? };
    Ok(service(load, if running { "active" } else { "inactive" }, enabled))
}

/// `S20NAME` in a runlevel is started there.
fn sysv_enabled(name: &str, input: &Input<'_>) -> Result<&'static str, Why> {
    let text = input.answers.text_lenient("init-scripts")?;
    let starts = |link: &str| {
        link.strip_prefix('S').is_some_and(|rest| rest.trim_start_matches(|digit: char| digit.is_ascii_digit()) == name)
    };
    let enabled = RUNLEVELS.iter().any(|runlevel| listed(&text, runlevel).any(starts));
    Ok(if enabled { "enabled" } else { "disabled" })
}

/// The unit's file by the order of the directories, and its drop-ins: of one name, the first directory's counts.
fn unit_file(text: &str, unit: &str) -> Value {
    let exists = |path: &str| text.lines().any(|line| line == path);
    let path = UNIT_DIRECTORIES.iter().map(|directory| format!("{directory}/{unit}")).find(|path| exists(path));
    let mut dropins: BTreeMap<&str, &str> = BTreeMap::new();
    for directory in UNIT_DIRECTORIES {
        let below = format!("{directory}/{unit}.d/");
        for line in text.lines() {
            if let Some(name) = line.strip_prefix(&below) {
                dropins.entry(name).or_insert(line);
            }
        }
    }
    Value::record([("path", path.into()), ("dropins", Value::list(dropins.into_values()))])
}

/// Every process, once. Where process 1 is hidden (`hidepid` of proc(5)), so are others.
fn process_names(input: &Input<'_>) -> Result<Vec<String>, Why> {
    let text = input.answers.text("process-names")?;
    if let Err(why) = input.facts.value("init.name") {
        return Err(match why {
            Why::TimedOut(_) | Why::NotAnswered(_) => why,
            _ => Why::NeedsRoot("the processes of other users are hidden from the login".to_owned()),
        });
    }
    let names: BTreeSet<&str> = text.lines().filter(|line| !line.is_empty()).collect();
    Ok(names.into_iter().map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::script::tests::{answered, answered_with, facts_of, not_run};
    use crate::probe::script::{Answer, State};
    use proptest::prelude::*;

    const NOT_BOOTED: &str = "System has not been booted with systemd as init system (PID 1). Can't operate.\nFailed to connect to bus: Host is down\n";

    fn not_booted() -> Answer {
        answered_with("", NOT_BOOTED, 1)
    }

    fn state<'a>(value: &'a Value, field: &str) -> &'a str {
        value.field(field).and_then(Value::as_str).expect("text")
    }

    fn states(value: &Value) -> [&str; 3] {
        ["load", "active", "enabled"].map(|field| state(value, field))
    }

    #[test]
    fn systemd_answers_for_other_names_and_missing_units() {
        let facts = facts_of(
            &["service[\"sshd\"]", "service[\"telnet.socket\"]", "service[\"auditd\"]", "unit_file[\"sshd.service\"]"],
            &[
                ("init", answered("systemd\n")),
                (
                    "units",
                    answered(
                        "Id=auditd.service\nLoadState=masked\nActiveState=inactive\nFragmentPath=/dev/null\nDropInPaths=\nUnitFileState=masked\n\n\
                         Id=ssh.service\nNames=sshd.service ssh.service\nLoadState=loaded\nActiveState=active\nFragmentPath=/lib/systemd/system/ssh.service\nDropInPaths=/etc/systemd/system/ssh.service.d/a.conf /etc/systemd/system/ssh.service.d/b.conf\nUnitFileState=enabled\n\n\
                         Id=telnet.socket\nLoadState=not-found\nActiveState=inactive\nFragmentPath=\nDropInPaths=\nUnitFileState=\n",
                    ),
                ),
            ],
        );
        assert_eq!(facts.keyed("service", "sshd").map(states), Ok(["loaded", "active", "enabled"]));
        assert_eq!(facts.keyed("service", "telnet.socket").map(states), Ok(["not-found", "inactive", ""]));
        assert_eq!(facts.keyed("service", "auditd").map(states), Ok(["masked", "inactive", "masked"]));
        let file = facts.keyed("unit_file", "sshd.service").expect("a file");
        assert_eq!(state(file, "path"), "/lib/systemd/system/ssh.service");
        assert_eq!(file.field("dropins").and_then(Value::as_list).map(<[Value]>::len), Some(2));
    }

    #[test]
    fn a_unit_that_the_answer_does_not_name_is_unknown_and_the_others_are_known() {
        let facts = facts_of(
            &["service[\"sshd\"]", "service[\"cups\"]"],
            &[("init", answered("systemd\n")), ("units", answered("Id=cups.service\nLoadState=loaded\n"))],
        );
        assert!(matches!(facts.keyed("service", "sshd"), Err(Why::ProbeFailed(_))));
        assert!(facts.keyed("service", "cups").is_ok());
    }

    #[test]
    fn a_refusal_of_a_running_systemd_is_unknown() {
        let facts = facts_of(
            &["service[\"cups\"]"],
            &[
                ("init", answered("systemd\n")),
                ("units", answered_with("", "Failed to connect to bus: Connection refused\n", 1)),
                ("openrc-crashed", not_run(State::Missing)),
                ("process-names", answered("systemd\n")),
            ],
        );
        assert!(matches!(facts.keyed("service", "cups"), Err(Why::ProbeFailed(_))));
    }

    const OPENRC: &str = "/etc/runlevels/boot:\nsyslog\n\n/etc/runlevels/default:\ncrond\ncupsd\nsnmpd\n\n/run/openrc/started:\ncrond\ncupsd\n\
        local\nrpcbind\nsyslog\n";

    #[test]
    fn openrc_tells_what_starts_and_what_runs() {
        let facts = facts_of(
            &[
                "service[\"crond\"]",
                "service[\"rpcbind\"]",
                "service[\"local\"]",
                "service[\"snmpd\"]",
                "service[\"sshd\"]",
                "service[\"smbd\"]",
                "service[\"cups.socket\"]",
                "service_failed",
            ],
            &[
                ("init", answered("init\n")),
                ("units", not_run(State::Missing)),
                ("openrc-crashed", answered("cupsd\n")),
                ("openrc-services", answered_with(OPENRC, "ls: /etc/runlevels/sysinit: No such file or directory\n", 1)),
                (
                    "init-scripts",
                    answered_with("/etc/init.d:\ncrond\nsnmpd\nsshd\n", "ls: /etc/rc2.d: No such file or directory\n", 1),
                ),
                ("process-names", answered("init\n")),
            ],
        );
        assert_eq!(facts.keyed("service", "crond").map(states), Ok(["loaded", "active", "enabled"]));
        assert_eq!(facts.keyed("service", "rpcbind").map(states), Ok(["loaded", "active", "disabled"]));
        assert_eq!(facts.keyed("service", "local").map(states), Ok(["loaded", "active", "disabled"]));
        assert_eq!(facts.keyed("service", "snmpd").map(states), Ok(["loaded", "inactive", "enabled"]));
        assert_eq!(facts.keyed("service", "sshd").map(states), Ok(["loaded", "inactive", "disabled"]));
        assert_eq!(facts.keyed("service", "smbd").map(states), Ok(["not-found", "inactive", ""]));
        assert_eq!(facts.keyed("service", "cups.socket").map(states), Ok(["not-found", "inactive", ""]));
        assert_eq!(facts.value("service_failed"), Ok(&Value::list(["cupsd"])));
    }

    #[test]
    fn without_an_init_system_the_processes_decide_and_what_they_cannot_tell_stays_unknown() {
        let names = [
            "service[\"sshd\"]",
            "service[\"cups\"]",
            "service[\"cups.socket\"]",
            "service[\"ufw\"]",
            "service[\"else\"]",
            "process.names",
        ];
        let answers = [
            ("init", answered("sshd\n")),
            ("units", not_booted()),
            ("openrc-crashed", not_run(State::Missing)),
            ("process-names", answered("sshd\nsleep\nsshd\n")),
        ];
        let facts = facts_of(&names, &answers);
        assert_eq!(facts.keyed("service", "sshd").map(states), Ok(["loaded", "active", "unmanaged"]));
        assert_eq!(facts.keyed("service", "cups").map(states), Ok(["not-found", "inactive", "unmanaged"]));
        assert_eq!(facts.keyed("service", "cups.socket").map(states), Ok(["not-found", "inactive", "unmanaged"]));
        assert_eq!(facts.keyed("service", "ufw").map(states), Ok(["not-found", "inactive", "unmanaged"]));
        assert!(matches!(facts.keyed("service", "else"), Err(Why::ToolMissing(_))));
        assert_eq!(facts.value("process.names"), Ok(&Value::list(["sleep", "sshd"])));
    }

    #[test]
    fn under_system_v_init_the_links_tell_what_starts() {
        let facts = facts_of(
            &["service[\"ssh\"]", "service[\"snmpd\"]"],
            &[
                ("init", answered("init\n")),
                ("units", not_booted()),
                ("openrc-crashed", not_run(State::Missing)),
                ("init-scripts", answered_with("/etc/init.d:\nsnmpd\nssh\n\n/etc/rc2.d:\nK01snmpd\nS02ssh\n", "", 2)),
                ("process-names", answered("init\n")),
            ],
        );
        assert_eq!(facts.keyed("service", "ssh").map(states), Ok(["loaded", "inactive", "enabled"]));
        assert_eq!(facts.keyed("service", "snmpd").map(states), Ok(["loaded", "inactive", "disabled"]));
    }

    #[test]
    fn where_processes_are_hidden_none_is_known_to_be_absent() {
        let facts = facts_of(
            &["process.names", "service[\"cups\"]"],
            &[
                ("init", answered_with("", "cat: /proc/1/comm: No such file or directory\n", 1)),
                ("units", not_booted()),
                ("openrc-crashed", not_run(State::Missing)),
                ("process-names", answered("sh\n")),
            ],
        );
        assert!(matches!(facts.value("process.names"), Err(Why::NeedsRoot(_))));
        assert!(facts.keyed("service", "cups").is_err());
    }

    #[test]
    fn unit_files_are_found_where_systemd_does_not_run() {
        let facts = facts_of(
            &["unit_file[\"docker.service\"]", "unit_file[\"docker.socket\"]"],
            &[
                ("units", not_booted()),
                (
                    "unit-files",
                    answered(
                        "/etc/systemd/system/docker.service.d/a.conf\n/usr/lib/systemd/system/docker.service\n\
                         /usr/lib/systemd/system/docker.service.d/a.conf\n/lib/systemd/system/docker.service\n",
                    ),
                ),
            ],
        );
        let file = facts.keyed("unit_file", "docker.service").expect("a file");
        assert_eq!(state(file, "path"), "/usr/lib/systemd/system/docker.service");
        assert_eq!(file.field("dropins"), Some(&Value::list(["/etc/systemd/system/docker.service.d/a.conf"])));
        assert_eq!(facts.keyed("unit_file", "docker.socket").expect("known").field("path"), Some(&Value::Null));
    }

    /// What leaves no process behind stands in the table without one.
    #[test]
    fn every_service_that_a_check_asks_for_can_be_told_by_its_processes() {
        let checks = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("checks");
        for pack in std::fs::read_dir(checks).expect("checks") {
            let text = std::fs::read_to_string(pack.expect("a pack").path()).expect("text");
            for name in text.split("service[\"").skip(1).filter_map(|rest| rest.split('"').next()) {
                let told = |name: &str| PROCESSES.iter().any(|(services, _)| services.contains(&name));
                let is_service = unit(name).is_some_and(|unit| unit.ends_with(".service"));
                assert!(!is_service || told(name.trim_end_matches(".service")), "{name}");
            }
        }
    }

    #[test]
    fn only_names_of_units_reach_systemctl() {
        assert_eq!(unit("sshd").as_deref(), Some("sshd.service"));
        assert_eq!(unit("systemd-networkd.socket").as_deref(), Some("systemd-networkd.socket"));
        for hostile in ["--force", "a b", "sshd@", "sshd@.service", "", "$(id)"] {
            assert_eq!(unit(hostile), None, "{hostile}");
        }
    }

    proptest! {
        #[test]
        fn no_answer_makes_the_parsers_panic(text in "((/run/openrc/started:|/etc/runlevels/boot:|Id=|LoadState=|/etc/init.d:|\\PC{0,20})\n{0,2}){0,40}", name in "\\PC{0,20}") {
            let _ = unit(&name);
            let _ = shown_units(&text);
            let _ = openrc_services(&text, &name);
            let _ = unit_file(&text, &name);
            let _ = listed(&text, &name).count();
        }
    }
}
