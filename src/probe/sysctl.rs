//! Kernel parameters: as they are now, as each network interface feels them, and as the files say for the next start.

use std::collections::{BTreeMap, BTreeSet};

use super::{FactSpec, Input, Kind, Output, Probe, Wanted, no_secrets};
use crate::command::{Fragment, Program, ReadOnlyCommand, Rights, Step};
use crate::model::{FactRef, Facts, Value, Why};

pub(super) const PROBE: Probe = Probe { name: "sysctl", facts: FACTS, needs, steps, parse, redact: no_secrets };

const INTERFACE: &[(&str, Kind)] = &[
    ("name", Kind::Text),
    ("virtual", Kind::Bool),
    ("forwarding", Kind::Bool),
    ("accept_redirects", Kind::Bool),
    ("secure_redirects", Kind::Bool),
    ("send_redirects", Kind::Bool),
    ("source_route", Kind::Bool),
    ("rp_filter", Kind::Int),
    ("log_martians", Kind::Bool),
    ("proxy_arp", Kind::Bool),
    ("multicast_forwarding", Kind::Bool),
    ("ipv6", Kind::Bool),
    ("forwarding_v6", Kind::Bool),
    ("accept_redirects_v6", Kind::Bool),
    ("source_route_v6", Kind::Bool),
];

const FACTS: &[FactSpec] = &[
    FactSpec {
        name: "sysctl",
        key: Some("parameter"),
        kind: Kind::Maybe(&Kind::Text),
        unit: None,
        source: "grep -H '' /proc/sys/...",
        rights: Rights::Any,
        summary: "A kernel parameter as it is now, white space as single spaces; null where the kernel has none of that name. Slashes and dots as in sysctl(8).",
    },
    FactSpec {
        name: "sysctl_configured",
        key: Some("parameter"),
        kind: Kind::Maybe(&Kind::Text),
        unit: None,
        source: "grep -H '' /etc/sysctl.d/*.conf ...",
        rights: Rights::Any,
        summary: "What the files of sysctl.d(5) give a kernel parameter at the next start; null where they say nothing.",
    },
    FactSpec {
        name: "net.interfaces",
        key: None,
        kind: Kind::List(&Kind::Record(INTERFACE)),
        unit: None,
        source: "grep -H '' /proc/sys/net/ipv{4,6}/conf/*/...",
        rights: Rights::Any,
        summary: "What each network interface does in effect, `all` and its own setting combined as the kernel does; `default` is what an interface made later gets. Bridges and pairs of containers are virtual.",
    },
];

/// Nodes that kernels keep to root, some only before 5.17.
const ROOT_ONLY: &[&str] = &[
    "/proc/sys/fs/protected_fifos",
    "/proc/sys/fs/protected_hardlinks",
    "/proc/sys/fs/protected_regular",
    "/proc/sys/fs/protected_symlinks",
    "/proc/sys/net/core/bpf_jit_harden",
    "/proc/sys/net/core/bpf_jit_kallsyms",
    "/proc/sys/net/core/bpf_jit_limit",
];

/// Always there, so that a hidden /proc/sys is not taken for a kernel without the parameter.
const WITNESS: &str = "/proc/sys/kernel/ostype";

const DIRECTORIES: &[&str] = &["/etc/sysctl.d", "/run/sysctl.d", "/usr/local/lib/sysctl.d", "/usr/lib/sysctl.d", "/lib/sysctl.d"];

const PATTERNS: &[&str] = &[
    "/etc/sysctl.conf",
    "/etc/sysctl.d/*.conf",
    "/run/sysctl.d/*.conf",
    "/usr/local/lib/sysctl.d/*.conf",
    "/usr/lib/sysctl.d/*.conf",
    "/lib/sysctl.d/*.conf",
];

const INTERFACE_NODES: &[&str] = &[
    "/proc/sys/net/ipv4/conf/*/forwarding",
    "/proc/sys/net/ipv4/conf/*/accept_redirects",
    "/proc/sys/net/ipv4/conf/*/secure_redirects",
    "/proc/sys/net/ipv4/conf/*/send_redirects",
    "/proc/sys/net/ipv4/conf/*/accept_source_route",
    "/proc/sys/net/ipv4/conf/*/rp_filter",
    "/proc/sys/net/ipv4/conf/*/log_martians",
    "/proc/sys/net/ipv4/conf/*/proxy_arp",
    "/proc/sys/net/ipv4/conf/*/mc_forwarding",
    "/proc/sys/net/ipv6/conf/*/disable_ipv6",
    "/proc/sys/net/ipv6/conf/*/forwarding",
    "/proc/sys/net/ipv6/conf/*/accept_redirects",
    "/proc/sys/net/ipv6/conf/*/accept_source_route",
];

fn needs(wanted: &Wanted) -> Vec<FactRef> {
    if wanted.wants("sysctl_configured") { vec![FactRef::plain("init.name")] } else { Vec::new() }
}

fn steps(wanted: &Wanted) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut ask = |id: &str, command: Option<ReadOnlyCommand>| steps.extend(command.map(|command| Step::new(id, command)));
    let paths: BTreeSet<String> = wanted.keys("sysctl").into_iter().filter_map(node).collect();
    if !paths.is_empty() {
        let words: Vec<&str> = ["-H", "", WITNESS].into_iter().chain(paths.iter().map(String::as_str)).collect();
        ask("sysctl", ReadOnlyCommand::new(Program::Grep, &words, Rights::Any).ok());
        // All of them, whichever is wanted: a command that is always the same can stand in a rule of sudo.
        if paths.iter().any(|path| ROOT_ONLY.contains(&path.as_str())) {
            let words: Vec<&str> = ["-H", "^", "/dev/null"].iter().chain(ROOT_ONLY).copied().collect();
            ask("sysctl-root", ReadOnlyCommand::new(Program::Grep, &words, Rights::Root).ok());
        }
    }
    if wanted.wants("sysctl_configured") {
        ask("sysctl-files", ReadOnlyCommand::fragment(Fragment::ReadOrComplain, PATTERNS, Rights::Any).ok());
        // An empty file prints no line, yet hides one of the same name in a later directory.
        let words: Vec<&str> = ["%n"].into_iter().chain(PATTERNS.iter().copied()).collect();
        ask("sysctl-file-names", ReadOnlyCommand::fragment(Fragment::StatMatching, &words, Rights::Any).ok());
    }
    if wanted.wants("net.interfaces") {
        ask("interface-sysctls", ReadOnlyCommand::fragment(Fragment::ReadMatching, INTERFACE_NODES, Rights::Any).ok());
    }
    steps
}

fn parse(input: &Input<'_>, output: &mut Output) {
    let keys = input.wanted.keys("sysctl");
    if !keys.is_empty() {
        let open = input.answers.answer("sysctl").map(|answer| Nodes::of(&answer.text(), &answer.error_text()));
        let private = input.answers.answer("sysctl-root").map(|answer| Nodes::of(&answer.text(), &answer.error_text()));
        for key in keys {
            let value = match &open {
                Ok(open) => node(key)
                    .ok_or_else(|| Why::CouldNotBeParsed(format!("`{key}` is not the name of a kernel parameter")))
                    .and_then(|path| {
                        open.value(&path).or_else(|why| private.as_ref().map_or(Err(why), |nodes| nodes.value(&path)))
                    }),
                Err(why) => Err(why.clone()),
            };
            output.set_keyed("sysctl", key, value);
        }
    }
    let configured = input.wanted.keys("sysctl_configured");
    if !configured.is_empty() {
        let settings = configured_settings(input);
        for key in configured {
            let value = settings
                .as_ref()
                .map_err(Clone::clone)
                .map(|settings| node(key).and_then(|path| configured_value(settings, path.trim_start_matches("/proc/sys/"))));
            output.set_keyed("sysctl_configured", key, value);
        }
    }
    if input.wanted.wants("net.interfaces") {
        output.set("net.interfaces", input.answers.text("interface-sysctls").and_then(|text| interfaces(&text)));
    }
}

/// The node of a parameter, by the rule of sysctl(8): where the first separator is a dot, dots and slashes change places.
fn node(key: &str) -> Option<String> {
    let dotted = key.find(['.', '/']).is_some_and(|at| key[at..].starts_with('.'));
    let path: String = match dotted {
        false => key.to_owned(),
        true => key
            .chars()
            .map(|letter| match letter {
                '.' => '/',
                '/' => '.',
                other => other,
            })
            .collect(),
    };
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "._-@:/".contains(letter);
    let whole = path.split('/').all(|part| !part.is_empty() && part != "." && part != "..");
    (whole && path.chars().all(plain)).then(|| format!("/proc/sys/{path}"))
}

/// What `grep -H ''` said of each path.
struct Nodes {
    values: BTreeMap<String, String>,
    complaints: String,
}

impl Nodes {
    fn of(text: &str, complaints: &str) -> Self {
        let mut values: BTreeMap<String, String> = BTreeMap::new();
        for line in text.lines() {
            if let Some((path, value)) = line.split_once(':') {
                let whole = values.entry(path.to_owned()).or_default();
                for word in value.split_ascii_whitespace() {
                    if !whole.is_empty() {
                        whole.push(' ');
                    }
                    whole.push_str(word);
                }
            }
        }
        Self { values, complaints: complaints.to_owned() }
    }

    fn value(&self, path: &str) -> Result<Option<String>, Why> {
        if let Some(value) = self.values.get(path) {
            return Ok(Some(value.clone()));
        }
        let about = format!("{path}: ");
        let Some(complaint) = self.complaints.lines().find(|line| line.contains(&about)) else {
            return Err(Why::ProbeFailed(format!("`{path}` gave no value")));
        };
        if complaint.contains("ermission denied") || complaint.contains("not permitted") {
            return Err(Why::NeedsRoot(format!("`{path}` can be read by root only")));
        }
        if !complaint.contains("No such file") {
            return Err(Why::ProbeFailed(complaint.trim().to_owned()));
        }
        if !self.values.contains_key(WITNESS) {
            return Err(Why::ProbeFailed("/proc/sys cannot be read".to_owned()));
        }
        Ok(None)
    }
}

/// One line of a file of sysctl.d(5).
#[derive(Debug, PartialEq, Eq)]
struct Setting {
    /// The path below /proc/sys, with shell patterns.
    path: String,
    /// The value; `None` for a name with `-` alone, which patterns then leave out.
    value: Option<String>,
}

/// All settings in the order in which they are applied at start.
fn configured_settings(input: &Input<'_>) -> Result<Vec<Setting>, Why> {
    let text = input.answers.text_lenient("sysctl-files")?;
    let names = input.answers.text("sysctl-file-names")?;
    let init = input.facts.value("init.name")?.as_str().unwrap_or_default().to_owned();
    let mut lines: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (path, line) in text.lines().filter_map(|line| line.split_once(':')) {
        lines.entry(path).or_default().push(line);
    }
    // The first directory that has a file of a name hides those of the others.
    let mut files: BTreeMap<&str, &str> = BTreeMap::new();
    for directory in DIRECTORIES {
        for path in names.lines() {
            if let Some(name) = path.strip_prefix(directory).and_then(|rest| rest.strip_prefix('/')) {
                files.entry(name).or_insert(path);
            }
        }
    }
    let mut order: Vec<&str> = files.values().copied().collect();
    // systemd knows /etc/sysctl.conf only through the link 99-sysctl.conf; sysctl(8) reads it last.
    if init != "systemd" && !files.contains_key("99-sysctl.conf") {
        order.push("/etc/sysctl.conf");
    }
    Ok(order.into_iter().filter_map(|path| lines.get(path)).flatten().filter_map(|line| setting(line)).collect())
}

fn setting(line: &str) -> Option<Setting> {
    let line = line.trim();
    if line.starts_with(['#', ';']) {
        return None;
    }
    let (key, value) = match line.split_once('=') {
        Some((key, value)) => {
            (key.trim().trim_start_matches('-'), Some(value.split_ascii_whitespace().collect::<Vec<_>>().join(" ")))
        }
        None => (line.strip_prefix('-')?, None),
    };
    // Patterns are put aside while the name is read.
    let path = node(&key.trim().replace('*', "@@"))?;
    Some(Setting { path: path.trim_start_matches("/proc/sys/").replace("@@", "*"), value })
}

/// The last word on a path: one that names it, else the last pattern.
fn configured_value(settings: &[Setting], path: &str) -> Option<String> {
    match settings.iter().rev().find(|setting| setting.path == path) {
        Some(named) => named.value.clone(),
        None => settings.iter().rev().find(|setting| setting.path.contains('*') && glob(&setting.path, path))?.value.clone(),
    }
}

/// `*` is any number of letters but no slash.
fn glob(pattern: &str, path: &str) -> bool {
    let (mut patterns, mut parts) = (pattern.split('/'), path.split('/'));
    loop {
        match (patterns.next(), parts.next()) {
            (None, None) => return true,
            (Some(pattern), Some(part)) if glob_part(pattern, part) => {}
            _ => return false,
        }
    }
}

fn glob_part(pattern: &str, part: &str) -> bool {
    let Some((head, tail)) = pattern.split_once('*') else { return pattern == part };
    let Some(mut rest) = part.strip_prefix(head) else { return false };
    let mut pieces: Vec<&str> = tail.split('*').collect();
    let last = pieces.pop().unwrap_or_default();
    for piece in pieces {
        match rest.find(piece) {
            Some(at) => rest = &rest[at + piece.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// Names of interfaces that containers and virtual machines come with, and loopback.
const VIRTUAL: &[&str] = &[
    "veth", "docker", "br-", "cni", "cali", "cilium", "flannel", "lxc", "lxd", "virbr", "vnet", "podman", "nerdctl", "kube",
    "dummy", "ifb",
];

/// Whether an interface is loopback or belongs to containers and virtual machines of this host.
pub(super) fn is_virtual(name: &str) -> bool {
    name == "lo" || VIRTUAL.iter().any(|prefix| name.starts_with(prefix))
}

/// The settings of one interface in one protocol.
type Settings<'a> = BTreeMap<&'a str, i64>;

fn interfaces(text: &str) -> Result<Value, Why> {
    let (mut v4, mut v6): (BTreeMap<&str, Settings<'_>>, BTreeMap<&str, Settings<'_>>) = Default::default();
    for line in text.lines() {
        let Some((path, value)) = line.split_once(':') else { continue };
        let (protocol, rest) =
            match (path.strip_prefix("/proc/sys/net/ipv4/conf/"), path.strip_prefix("/proc/sys/net/ipv6/conf/")) {
                (Some(rest), _) => (&mut v4, rest),
                (_, Some(rest)) => (&mut v6, rest),
                _ => continue,
            };
        if let (Some((name, key)), Ok(value)) = (rest.rsplit_once('/'), value.trim().parse()) {
            protocol.entry(name).or_default().insert(key, value);
        }
    }
    let missing = |name: &str| Why::ProbeFailed(format!("the settings of the interface `{name}` are not all there"));
    let all = v4.get("all").ok_or_else(|| missing("all"))?;
    if !v4.contains_key("default") {
        return Err(missing("default"));
    }
    let mut records = Vec::new();
    for (name, own) in v4.iter().filter(|(name, _)| **name != "all") {
        match interface(name, all, own, v6.get(name)) {
            Some(record) => records.push(record),
            // A pair of a container may vanish between two reads.
            None if is_virtual(name) => {}
            None => return Err(missing(name)),
        }
    }
    Ok(Value::List(records))
}

/// The effective settings by the kernel's own rules: `IN_DEV_*` of include/linux/inetdevice.h for IPv4; IPv6 interfaces stand alone, and a router
/// takes no redirects.
fn interface(name: &str, all: &Settings<'_>, own: &Settings<'_>, v6: Option<&Settings<'_>>) -> Option<Value> {
    let both = |key: &str| Some((*all.get(key)?, *own.get(key)?));
    let either = |key: &str| both(key).map(|(all, own)| all != 0 || own != 0);
    let together = |key: &str| both(key).map(|(all, own)| all != 0 && own != 0);
    let forwarding = *own.get("forwarding")? != 0;
    let accept_redirects = if forwarding { together("accept_redirects")? } else { either("accept_redirects")? };
    let (rp_all, rp_own) = both("rp_filter")?;
    let v6 = match v6 {
        Some(v6) if *v6.get("disable_ipv6")? == 0 => Some(v6),
        _ => None,
    };
    let v6_value = |key: &str| v6.map_or(Some(0), |v6| v6.get(key).copied());
    let forwarding_v6 = v6_value("forwarding")? > 0;
    Some(Value::record([
        ("name", name.into()),
        ("virtual", is_virtual(name).into()),
        ("forwarding", forwarding.into()),
        ("accept_redirects", accept_redirects.into()),
        ("secure_redirects", either("secure_redirects")?.into()),
        ("send_redirects", either("send_redirects")?.into()),
        ("source_route", together("accept_source_route")?.into()),
        ("rp_filter", rp_all.max(rp_own).into()),
        ("log_martians", either("log_martians")?.into()),
        ("proxy_arp", either("proxy_arp")?.into()),
        // The kernel's `all` is a switch of the multicast routing daemon, so one of the two is enough to ask why.
        ("multicast_forwarding", either("mc_forwarding").unwrap_or(false).into()),
        ("ipv6", v6.is_some().into()),
        ("forwarding_v6", forwarding_v6.into()),
        ("accept_redirects_v6", (v6_value("accept_redirects")? > 0 && !forwarding_v6).into()),
        ("source_route_v6", (v6_value("accept_source_route")? > 0).into()),
    ]))
}

/// The names of the interfaces that lead out of the host: neither loopback nor virtual, without `default`.
pub(super) fn outside_interfaces(facts: &Facts) -> Result<Vec<String>, Why> {
    let interfaces = facts.value("net.interfaces")?.as_list().unwrap_or_default();
    let names = interfaces.iter().filter_map(|interface| interface.field("name")?.as_str());
    Ok(names.filter(|name| *name != "default" && !is_virtual(name)).map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::script::State;
    use crate::probe::script::tests::{answered, answered_with, facts_of, not_run};
    use proptest::prelude::*;

    #[test]
    fn names_become_nodes_as_sysctl_does() {
        assert_eq!(node("net.ipv4.ip_forward").as_deref(), Some("/proc/sys/net/ipv4/ip_forward"));
        assert_eq!(node("net/ipv4/conf/eth0.100/forwarding").as_deref(), Some("/proc/sys/net/ipv4/conf/eth0.100/forwarding"));
        assert_eq!(node("net.ipv4.conf.eth0/100.forwarding").as_deref(), Some("/proc/sys/net/ipv4/conf/eth0.100/forwarding"));
        for hostile in ["kernel/../../etc/shadow", "a b", "", "/etc/shadow", "kernel..x", "kernel.$(id)"] {
            assert_eq!(node(hostile), None, "{hostile}");
        }
    }

    #[test]
    fn a_parameter_is_its_value_or_null_or_for_root_only() {
        let facts = facts_of(
            &[
                "sysctl[\"net.ipv4.ip_forward\"]",
                "sysctl[\"net.ipv4.tcp_rmem\"]",
                "sysctl[\"net.ipv6.conf.all.forwarding\"]",
                "sysctl[\"net.core.bpf_jit_harden\"]",
                "sysctl[\"net.ipv6.conf.all.stable_secret\"]",
            ],
            &[
                (
                    "sysctl",
                    answered_with(
                        "/proc/sys/kernel/ostype:Linux\n/proc/sys/net/ipv4/ip_forward:1\n/proc/sys/net/ipv4/tcp_rmem:4096\t131072\t6291456\n",
                        "grep: /proc/sys/net/core/bpf_jit_harden: Permission denied\ngrep: /proc/sys/net/ipv6/conf/all/forwarding: No such file or directory\ngrep: /proc/sys/net/ipv6/conf/all/stable_secret: Input/output error\n",
                        2,
                    ),
                ),
                ("sysctl-root", not_run(State::NeedsRoot)),
            ],
        );
        assert_eq!(facts.keyed("sysctl", "net.ipv4.ip_forward"), Ok(&Value::from("1")));
        assert_eq!(facts.keyed("sysctl", "net.ipv4.tcp_rmem"), Ok(&Value::from("4096 131072 6291456")));
        assert_eq!(facts.keyed("sysctl", "net.ipv6.conf.all.forwarding"), Ok(&Value::Null));
        assert!(matches!(facts.keyed("sysctl", "net.core.bpf_jit_harden"), Err(Why::NeedsRoot(_))));
        assert!(matches!(facts.keyed("sysctl", "net.ipv6.conf.all.stable_secret"), Err(Why::ProbeFailed(_))));
    }

    #[test]
    fn a_node_for_root_is_known_where_root_answered() {
        let facts = facts_of(
            &["sysctl[\"fs.protected_hardlinks\"]"],
            &[
                (
                    "sysctl",
                    answered_with(
                        "/proc/sys/kernel/ostype:Linux\n",
                        "grep: /proc/sys/fs/protected_hardlinks: Permission denied\n",
                        2,
                    ),
                ),
                ("sysctl-root", answered("/proc/sys/fs/protected_hardlinks:1\n")),
            ],
        );
        assert_eq!(facts.keyed("sysctl", "fs.protected_hardlinks"), Ok(&Value::from("1")));
    }

    #[test]
    fn a_hidden_proc_is_not_a_kernel_without_parameters() {
        let silent = answered_with("", "grep: /proc/sys/net/ipv4/ip_forward: No such file or directory\n", 2);
        let facts = facts_of(&["sysctl[\"net.ipv4.ip_forward\"]"], &[("sysctl", silent)]);
        assert!(matches!(facts.keyed("sysctl", "net.ipv4.ip_forward"), Err(Why::ProbeFailed(_))));
    }

    fn configured(key: &str, init: &str, names: &str, lines: &str) -> Result<Value, Why> {
        let facts = facts_of(
            &[&format!("sysctl_configured[\"{key}\"]")],
            &[
                ("init", answered(init)),
                ("sysctl-files", answered_with(lines, "grep: /run/sysctl.d/*.conf: No such file or directory\n", 2)),
                ("sysctl-file-names", answered(names)),
            ],
        );
        facts.keyed("sysctl_configured", key).cloned()
    }

    #[test]
    fn files_are_merged_by_name_and_the_last_word_counts() {
        let names = "/etc/sysctl.d/60-x.conf\n/etc/sysctl.d/10-off.conf\n/usr/lib/sysctl.d/10-off.conf\n/usr/lib/sysctl.d/50-default.conf\n";
        let lines = "/etc/sysctl.d/60-x.conf:# comment = 1\n/etc/sysctl.d/60-x.conf: net/ipv4/conf/all/accept_redirects = 0\n\
            /usr/lib/sysctl.d/10-off.conf:kernel.sysrq = 1\n/usr/lib/sysctl.d/50-default.conf:-net.ipv4.conf.all.accept_redirects=1\n\
            /usr/lib/sysctl.d/50-default.conf:net.ipv4.conf.*.rp_filter = 2\n/etc/sysctl.d/60-x.conf:-net.ipv4.conf.all.rp_filter\n";
        assert_eq!(configured("net.ipv4.conf.all.accept_redirects", "systemd", names, lines), Ok("0".into()));
        assert_eq!(configured("kernel.sysrq", "systemd", names, lines), Ok(Value::Null), "hidden by an empty file");
        assert_eq!(configured("net.ipv4.conf.eth0.rp_filter", "systemd", names, lines), Ok("2".into()));
        assert_eq!(
            configured("net.ipv4.conf.all.rp_filter", "systemd", names, lines),
            Ok(Value::Null),
            "left out of the pattern"
        );
    }

    #[test]
    fn sysctl_conf_counts_where_something_reads_it() {
        let lines = "/etc/sysctl.conf:net.ipv4.ip_forward=1\n";
        let names = "/etc/sysctl.conf\n";
        assert_eq!(configured("net.ipv4.ip_forward", "init", names, lines), Ok("1".into()));
        assert_eq!(configured("net.ipv4.ip_forward", "systemd", names, lines), Ok(Value::Null));
        let linked = "/etc/sysctl.d/99-sysctl.conf:net.ipv4.ip_forward=1\n";
        assert_eq!(configured("net.ipv4.ip_forward", "systemd", "/etc/sysctl.d/99-sysctl.conf\n", linked), Ok("1".into()));
    }

    fn conf(name: &str, v4: [i64; 9], v6: Option<[i64; 4]>) -> String {
        let keys = [
            "forwarding",
            "accept_redirects",
            "secure_redirects",
            "send_redirects",
            "accept_source_route",
            "rp_filter",
            "log_martians",
            "proxy_arp",
            "mc_forwarding",
        ];
        let mut text: String =
            keys.iter().zip(v4).map(|(key, value)| format!("/proc/sys/net/ipv4/conf/{name}/{key}:{value}\n")).collect();
        for (key, value) in
            ["disable_ipv6", "forwarding", "accept_redirects", "accept_source_route"].iter().zip(v6.into_iter().flatten())
        {
            text.push_str(&format!("/proc/sys/net/ipv6/conf/{name}/{key}:{value}\n"));
        }
        text
    }

    fn named(text: &str, name: &str) -> Value {
        let facts = facts_of(&["net.interfaces"], &[("interface-sysctls", answered(text))]);
        let interfaces = facts.value("net.interfaces").expect("interfaces").as_list().expect("a list").to_vec();
        interfaces.into_iter().find(|interface| interface.field("name") == Some(&name.into())).expect("the interface")
    }

    #[test]
    fn redirects_are_judged_as_the_kernel_combines_them() {
        let text = conf("all", [0, 0, 1, 0, 0, 2, 0, 0, 0], Some([0, 0, 1, 0]))
            + &conf("default", [0, 1, 0, 1, 1, 0, 0, 0, 0], Some([0, 0, 1, 0]))
            + &conf("eth0", [0, 1, 0, 0, 1, 1, 0, 0, 0], Some([0, 1, 1, 0]))
            + &conf("eth1.20", [1, 1, 0, 1, 1, 0, 0, 0, 0], Some([1, 1, 1, 1]));
        let eth0 = named(&text, "eth0");
        assert_eq!(eth0.field("accept_redirects"), Some(&true.into()), "a host takes them when either says so");
        assert_eq!(eth0.field("secure_redirects"), Some(&true.into()));
        assert_eq!(eth0.field("send_redirects"), Some(&false.into()));
        assert_eq!(eth0.field("source_route"), Some(&false.into()), "both must say so");
        assert_eq!(eth0.field("rp_filter"), Some(&2_i64.into()));
        assert_eq!(eth0.field("accept_redirects_v6"), Some(&false.into()), "a router takes none");
        let vlan = named(&text, "eth1.20");
        assert_eq!(vlan.field("accept_redirects"), Some(&false.into()), "a router takes them when both say so");
        assert_eq!(vlan.field("send_redirects"), Some(&true.into()));
        assert_eq!((vlan.field("ipv6"), vlan.field("source_route_v6")), (Some(&false.into()), Some(&false.into())));
        assert_eq!(named(&text, "default").field("accept_redirects_v6"), Some(&true.into()));
    }

    #[test]
    fn a_container_that_vanished_spoils_nothing_and_a_half_read_card_does() {
        let base = conf("all", [0; 9], None) + &conf("default", [0; 9], None);
        let vanished = format!("{base}/proc/sys/net/ipv4/conf/veth12ab/forwarding:1\n");
        let facts = facts_of(&["net.interfaces"], &[("interface-sysctls", answered(&vanished))]);
        assert_eq!(facts.value("net.interfaces").expect("interfaces").as_list().map(<[Value]>::len), Some(1));
        let half = format!("{base}/proc/sys/net/ipv4/conf/eth0/forwarding:1\n");
        let facts = facts_of(&["net.interfaces"], &[("interface-sysctls", answered(&half))]);
        assert!(matches!(facts.value("net.interfaces"), Err(Why::ProbeFailed(_))));
    }

    proptest! {
        #[test]
        fn no_answer_makes_the_parsers_panic(text in "(/proc/sys/net/ipv[46]/conf/)?\\PC{0,60}\n?(\\PC|\n){0,200}", key in "\\PC{0,30}") {
            let _ = node(&key);
            let _ = setting(&text);
            let _ = glob(&key, &text);
            let _ = interfaces(&text);
            let _ = Nodes::of(&text, &key).value(&text);
        }
    }
}
