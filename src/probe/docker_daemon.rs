//! The Docker daemons that run, and the configuration that is in effect: the command line over daemon.json.
//!
//! dockerd refuses to start when an option stands in both, so at most one of them says something; `docker.differences` compares the result with what the
//! daemon itself answers, which tells where a file was edited after the start.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value as Json};

use super::secrets::{redacted_document, without_secret_value};
use super::{FactSpec, Input, Kind, Output, Probe, Transcript, Wanted};
use crate::command::{Fragment, Program, ReadOnlyCommand, Rights, Step};
use crate::model::{FactRef, Value, Why};

pub(super) const PROBE: Probe = Probe { name: "docker_daemon", facts: FACTS, needs, steps, parse, redact };

const SOURCE: &str = "/proc/PID/cmdline of dockerd; daemon.json";

const TEXTS: Kind = Kind::List(&Kind::Text);
const MAYBE_TEXT: Kind = Kind::Maybe(&Kind::Text);

const DAEMON: Kind = Kind::Record(&[("pid", Kind::Int), ("uid", Kind::Int), ("contained", Kind::Bool), ("arguments", TEXTS)]);

const CONFIG: Kind = Kind::Record(&[
    ("address", MAYBE_TEXT),
    ("authorization_plugins", TEXTS),
    ("bridge", MAYBE_TEXT),
    ("cgroup_parent", MAYBE_TEXT),
    ("containerd_snapshotter", Kind::Maybe(&Kind::Bool)),
    ("data_root", Kind::Text),
    ("debug", Kind::Bool),
    ("default_runtime", Kind::Text),
    ("default_ulimits", TEXTS),
    ("experimental", Kind::Bool),
    ("group", Kind::Text),
    ("hosts", TEXTS),
    ("icc", Kind::Bool),
    ("insecure_registries", TEXTS),
    ("ip6tables", Kind::Maybe(&Kind::Bool)),
    ("iptables", Kind::Bool),
    ("live_restore", Kind::Bool),
    ("log_address", MAYBE_TEXT),
    ("log_driver", Kind::Text),
    ("log_level", Kind::Text),
    ("log_max_size", MAYBE_TEXT),
    ("metrics_address", MAYBE_TEXT),
    ("no_new_privileges", Kind::Bool),
    ("registry_mirrors", TEXTS),
    ("seccomp_profile", MAYBE_TEXT),
    ("selinux", Kind::Bool),
    ("storage_driver", MAYBE_TEXT),
    ("storage_options", TEXTS),
    ("tls", Kind::Bool),
    ("tls_ca", MAYBE_TEXT),
    ("tls_certificate", MAYBE_TEXT),
    ("tls_key", MAYBE_TEXT),
    ("tls_verify", Kind::Bool),
    ("userland_proxy", Kind::Bool),
    ("userns_remap", MAYBE_TEXT),
]);

const FACTS: &[FactSpec] = &[
    FactSpec {
        name: "docker.daemons",
        key: None,
        kind: Kind::List(&DAEMON),
        unit: None,
        source: "/proc/PID/cmdline and status of dockerd",
        rights: Rights::Any,
        summary: "The dockerd processes: whose they are, whether they run inside a container (in a process namespace of their own), and their command line.",
    },
    FactSpec {
        name: "docker.daemon_replaced",
        key: None,
        kind: Kind::Bool,
        unit: None,
        source: "readlink /proc/PID/exe of dockerd",
        rights: Rights::Root,
        summary: "Whether the program of a running daemon was deleted or replaced on disk since it started.",
    },
    FactSpec {
        name: "docker.config_file",
        key: None,
        kind: Kind::Text,
        unit: None,
        source: SOURCE,
        rights: Rights::Any,
        summary: "The file that the system's daemon reads its configuration from, whether it exists or not.",
    },
    FactSpec {
        name: "docker.config_error",
        key: None,
        kind: MAYBE_TEXT,
        unit: None,
        source: SOURCE,
        rights: Rights::Any,
        summary: "What is wrong with daemon.json, so that the daemon would not start with it; null where it is well-formed or missing.",
    },
    FactSpec {
        name: "docker.config",
        key: None,
        kind: CONFIG,
        unit: None,
        source: SOURCE,
        rights: Rights::Any,
        summary: "Configuration in effect for the system's daemon, defaults filled in; null where an option is unset and its default depends on the version or the host.",
    },
    FactSpec {
        name: "docker.listen",
        key: None,
        kind: TEXTS,
        unit: None,
        source: "/proc/PID/cmdline of dockerd; daemon.json; systemctl show docker.socket",
        rights: Rights::Any,
        summary: "Where the daemon's API listens: unix:///run/docker.sock, tcp://ADDRESS:PORT; sockets of systemd included.",
    },
];

/// The files that a daemon may read by itself; any other comes from its command line, which is not known when the questions are written.
const SYSTEM_FILE: &str = "/etc/docker/daemon.json";
const SNAP_FILE: &str = "/var/snap/docker/current/config/daemon.json";
const FILES: [&str; 2] = [SYSTEM_FILE, SNAP_FILE];

const CONFIGURED: &[&str] = &["docker.config_error", "docker.config", "docker.listen"];

fn needs(_: &Wanted) -> Vec<FactRef> {
    // With processes hidden from the login (hidepid), process 1 cannot be read, and none of the others.
    vec![FactRef::plain("init.name")]
}

fn steps(wanted: &Wanted) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut ask =
        |id: &str, command: Result<ReadOnlyCommand, _>| steps.extend(command.ok().map(|command| Step::new(id, command)));
    if wanted.iter().next().is_some() {
        ask("docker-processes", ReadOnlyCommand::fragment(Fragment::Processes, &["dockerd"], Rights::Any));
    }
    if wanted.wants_any(CONFIGURED) {
        let arguments = ["-H", "", FILES[0], FILES[1]];
        ask("docker-files", ReadOnlyCommand::new(Program::Grep, &arguments, Rights::Any));
        // `^` and not an empty word, which a rule of sudo cannot well name.
        let arguments = ["-H", "^", FILES[0], FILES[1]];
        ask("docker-files-root", ReadOnlyCommand::new(Program::Grep, &arguments, Rights::Root));
    }
    if wanted.wants("docker.listen") {
        let arguments = ["show", "--no-pager", "-p", "Listen", "docker.socket"];
        ask("docker-socket-unit", ReadOnlyCommand::new(Program::Systemctl, &arguments, Rights::Any));
    }
    steps
}

fn redact(step: &str, stdout: &[u8]) -> Option<Vec<u8>> {
    match step {
        "docker-processes" => {
            let text = String::from_utf8_lossy(stdout);
            let lines = text.lines().map(|line| match line.strip_prefix("arg ") {
                Some(word) => format!("arg {}\n", without_secret_value(word)),
                None => format!("{line}\n"),
            });
            Some(lines.collect::<String>().into_bytes())
        }
        "docker-files" | "docker-files-root" => {
            let text = String::from_utf8_lossy(stdout);
            let kept = FILES.iter().filter_map(|path| {
                let content = content_of(&text, path)?;
                let document = if content.trim().is_empty() { String::new() } else { redacted_document(content.as_bytes()) };
                Some(format!("{path}:{document}\n"))
            });
            Some(kept.collect::<String>().into_bytes())
        }
        _ => None,
    }
}

/// The lines of one file in what `grep -H ''` printed of several.
fn content_of(text: &str, path: &str) -> Option<String> {
    let mut lines = text.lines().filter_map(|line| line.strip_prefix(path)?.strip_prefix(':')).peekable();
    lines.peek()?;
    // A byte order mark is allowed by the daemon and by nobody else.
    Some(lines.collect::<Vec<_>>().join("\n").trim_start_matches('\u{feff}').to_owned())
}

fn parse(input: &Input<'_>, output: &mut Output) {
    let daemons = daemons(input);
    let list = |daemons: &Vec<Daemon>| Value::List(daemons.iter().map(Daemon::value).collect());
    output.set("docker.daemons", daemons.as_ref().map(list).map_err(Clone::clone));
    let daemons = daemons.map(|daemons| daemons.into_iter().filter(|daemon| !daemon.contained).collect::<Vec<_>>());
    output.set("docker.daemon_replaced", daemons.as_ref().map_err(Clone::clone).and_then(|daemons| replaced(daemons)));
    let daemon = daemons.and_then(system_daemon);
    let file = daemon.as_ref().map_err(Clone::clone).and_then(Daemon::config_file);
    output.set("docker.config_file", file.clone());
    if !input.wanted.wants_any(CONFIGURED) {
        return;
    }
    let content = file.and_then(|file| file_content(input.answers, &file));
    let object = content.map(|content| content.as_deref().map_or_else(|| Ok(Map::new()), json_object));
    output.set("docker.config_error", object.as_ref().map(|object| object.as_ref().err().cloned()).map_err(Clone::clone));
    let options = daemon.and_then(|daemon| {
        let file =
            object?.map_err(|error| Why::CouldNotBeParsed(format!("the configuration file of the Docker daemon is {error}")))?;
        Ok(Options { argv: daemon.options, file })
    });
    let options = options.as_ref().map_err(Clone::clone);
    output.set("docker.config", options.clone().and_then(config));
    output.set("docker.listen", options.and_then(|options| listen(&options.list("host", "hosts")?, input.answers)));
}

/// A dockerd process.
#[derive(Debug, Default)]
struct Daemon {
    pid: i64,
    uid: Option<i64>,
    contained: bool,
    executable: Option<String>,
    arguments: Vec<String>,
    options: BTreeMap<String, Vec<String>>,
}

impl Daemon {
    fn value(&self) -> Value {
        Value::record([
            ("pid", self.pid.into()),
            ("uid", self.uid.unwrap_or(-1).into()),
            ("contained", self.contained.into()),
            ("arguments", self.arguments.clone().into()),
        ])
    }

    fn config_file(&self) -> Result<String, Why> {
        match self.options.get("config-file").and_then(|values| values.last()) {
            Some(path) => Ok(path.clone()),
            None if self.uid == Some(0) => Ok(SYSTEM_FILE.to_owned()),
            None => Err(Why::ProbeFailed(
                "the daemon runs without root and reads its configuration from the home directory of its user, which is not looked into"
                    .to_owned(),
            )),
        }
    }
}

fn daemons(input: &Input<'_>) -> Result<Vec<Daemon>, Why> {
    input.facts.value("init.name").map_err(|why| match why {
        Why::ProbeFailed(_) | Why::NeedsRoot(_) => Why::NeedsRoot(
            "the processes of other users are hidden from the login, so it is not known which daemons run".to_owned(),
        ),
        other => other,
    })?;
    let text = input.answers.text("docker-processes")?;
    let mut daemons: Vec<Daemon> = Vec::new();
    for line in text.lines() {
        let (word, rest) = line.split_once([' ', '\t']).unwrap_or((line, ""));
        if word == "pid" {
            daemons.push(Daemon { pid: rest.trim().parse().unwrap_or(0), ..Daemon::default() });
        }
        let Some(daemon) = daemons.last_mut() else { continue };
        match word {
            // Real, effective, saved, file system: what counts is what it acts as.
            "Uid:" => daemon.uid = rest.split_ascii_whitespace().nth(1).and_then(|uid| uid.parse().ok()),
            "NSpid:" => daemon.contained = rest.split_ascii_whitespace().count() > 1,
            "exe" => daemon.executable = Some(rest.to_owned()),
            "arg" => daemon.arguments.push(rest.to_owned()),
            _ => {}
        }
    }
    // Without a command line it ended while it was looked at.
    daemons.retain(|daemon| !daemon.arguments.is_empty());
    // A daemon that starts a program is two for a moment: the copy is still called as it is. No two of one user run with the same arguments otherwise, for one
    // socket and one file with the process number serve one daemon.
    let mut seen = BTreeSet::new();
    daemons.retain(|daemon| seen.insert((daemon.uid, daemon.contained, daemon.arguments.clone())));
    for daemon in &mut daemons {
        daemon.options = command_line(&daemon.arguments);
    }
    Ok(daemons)
}

fn replaced(daemons: &[Daemon]) -> Result<bool, Why> {
    let mut unseen = false;
    for daemon in daemons {
        match &daemon.executable {
            Some(path) if path.ends_with(" (deleted)") => return Ok(true),
            Some(_) => {}
            None => unseen = true,
        }
    }
    if unseen {
        return Err(Why::NeedsRoot("only root may see which file a daemon was started from".to_owned()));
    }
    Ok(false)
}

/// The daemon that serves the system: run by root where there is one, not in a container.
fn system_daemon(daemons: Vec<Daemon>) -> Result<Daemon, Why> {
    let (root, others): (Vec<_>, Vec<_>) = daemons.into_iter().partition(|daemon| daemon.uid == Some(0));
    let mut candidates = if root.is_empty() { others } else { root };
    match (candidates.pop(), candidates.is_empty()) {
        (Some(daemon), true) => Ok(daemon),
        (None, _) => Err(Why::ProbeFailed("the Docker daemon is not running".to_owned())),
        (Some(_), false) => {
            Err(Why::CouldNotBeParsed("several Docker daemons run, and which one serves the system is not known".to_owned()))
        }
    }
}

/// Flags of dockerd that stand alone or with `=true`.
const BOOLEANS: &[&str] = &[
    "allow-direct-routing",
    "cri-containerd",
    "debug",
    "disable-legacy-registry",
    "experimental",
    "help",
    "icc",
    "init",
    "ip-forward",
    "ip-forward-no-drop",
    "ip-masq",
    "ip6tables",
    "iptables",
    "ipv6",
    "live-restore",
    "no-new-privileges",
    "raw-logs",
    "rootless",
    "selinux-enabled",
    "tls",
    "tlsverify",
    "userland-proxy",
    "validate",
    "version",
];

fn long_name(letter: char) -> Option<&'static str> {
    Some(match letter {
        'b' => "bridge",
        'D' => "debug",
        'd' => "daemon",
        'e' => "exec-driver",
        'G' => "group",
        'g' => "data-root",
        'H' => "host",
        'h' => "help",
        'l' => "log-level",
        'p' => "pidfile",
        's' => "storage-driver",
        'v' => "version",
        _ => return None,
    })
}

/// The options of a command line in the way of pflag: `--opt=value`, `--opt value`, `--flag`, `-Hvalue`, `-H=value`, `-H value`, `-D`.
fn command_line(arguments: &[String]) -> BTreeMap<String, Vec<String>> {
    let mut options: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut words = arguments.iter().skip(1);
    while let Some(word) = words.next() {
        if word == "--" {
            break;
        }
        let (name, value) = if let Some(long) = word.strip_prefix("--") {
            let (name, value) = long.split_once('=').map_or((long, None), |(name, value)| (name, Some(value.to_owned())));
            (if name == "graph" { "data-root" } else { name }, value)
        } else if let Some(short) = word.strip_prefix('-')
            && let Some(letter) = short.chars().next()
            && let Some(name) = long_name(letter)
        {
            let rest = short.get(letter.len_utf8()..).unwrap_or_default();
            let rest = rest.strip_prefix('=').unwrap_or(rest);
            (name, (!rest.is_empty()).then(|| rest.to_owned()))
        } else {
            continue;
        };
        let value = match value {
            Some(value) => value,
            None if name == "daemon" || BOOLEANS.contains(&name) => "true".to_owned(),
            None => words.next().cloned().unwrap_or_default(),
        };
        options.entry(name.to_owned()).or_default().push(value);
    }
    options
}

/// The text of a configuration file: read by the login, or with root where it may not. `None` where there is no such file.
fn file_content(answers: &Transcript, path: &str) -> Result<Option<String>, Why> {
    let in_snap = |path: &str| path.starts_with("/var/snap/docker/") && path.ends_with("/config/daemon.json");
    let path = if in_snap(path) { SNAP_FILE } else { path };
    if !FILES.contains(&path) {
        return Err(Why::ProbeFailed(format!("the daemon reads its configuration from `{path}`, which is not looked into")));
    }
    let mut refused = None;
    for step in ["docker-files", "docker-files-root"] {
        let answer = answers.answer(step)?;
        if let Some(content) = content_of(&answer.text(), path) {
            return Ok(Some(content));
        }
        let complaints = answer.error_text();
        let complaint = complaints.lines().find(|line| line.contains(path));
        match complaint {
            Some(line) if line.contains("No such file") || line.contains("Not a directory") => return Ok(None),
            Some(line) if line.contains("ermission denied") => refused = Some(Why::NeedsRoot(line.to_owned())),
            Some(line) => return Err(Why::ProbeFailed(line.to_owned())),
            // grep prints no line of an empty file.
            None => return Ok(Some(String::new())),
        }
    }
    refused.map_or(Ok(None), Err)
}

/// A JSON object, or what is wrong with the text. An empty file is an empty object to the daemon.
fn json_object(text: &str) -> Result<Map<String, Json>, String> {
    if text.trim().is_empty() {
        return Ok(Map::new());
    }
    match serde_json::from_str(text) {
        Ok(Json::Object(object)) => Ok(object),
        Ok(_) => Err("not an object".to_owned()),
        Err(_) => Err(if text.starts_with("not JSON: ") { text.to_owned() } else { "not JSON".to_owned() }),
    }
}

/// What the daemon was told, by option.
struct Options {
    argv: BTreeMap<String, Vec<String>>,
    file: Map<String, Json>,
}

impl Options {
    fn text(&self, name: &str) -> Result<Option<String>, Why> {
        if let Some(value) = self.argv.get(name).and_then(|values| values.last()) {
            return Ok(Some(value.clone()));
        }
        match self.file.get(name) {
            None | Some(Json::Null) => Ok(None),
            Some(Json::String(text)) => Ok(Some(text.clone())),
            Some(Json::Bool(value)) => Ok(Some(value.to_string())),
            Some(Json::Number(number)) => Ok(Some(number.to_string())),
            Some(_) => Err(not_of_its_kind(name)),
        }
    }

    /// The text, unless it is empty, which is as good as unset.
    fn some_text(&self, name: &str) -> Result<Option<String>, Why> {
        Ok(self.text(name)?.filter(|text| !text.is_empty()))
    }

    fn flag(&self, name: &str) -> Result<Option<bool>, Why> {
        self.text(name)?.map(|text| truth(&text).ok_or_else(|| not_of_its_kind(name))).transpose()
    }

    /// A list: repeated on the command line, an array in the file under its plural. Entries of an object come as `NAME=VALUE`.
    fn list(&self, name: &str, key: &str) -> Result<Vec<String>, Why> {
        if let Some(values) = self.argv.get(name) {
            return Ok(values.clone());
        }
        let text = |value: &Json| match value {
            Json::String(text) => text.clone(),
            other => other.to_string(),
        };
        match self.file.get(key) {
            None | Some(Json::Null) => Ok(Vec::new()),
            Some(Json::Array(items)) => Ok(items.iter().map(text).collect()),
            Some(Json::Object(entries)) => Ok(entries.iter().map(|(name, value)| format!("{name}={}", text(value))).collect()),
            Some(_) => Err(not_of_its_kind(key)),
        }
    }

    /// One entry of a list of `NAME=VALUE`.
    fn entry(&self, name: &str, key: &str, entry: &str) -> Result<Option<String>, Why> {
        let entries = self.list(name, key)?;
        Ok(entries.iter().rev().find_map(|line| line.strip_prefix(entry)?.strip_prefix('=')).map(str::to_owned))
    }
}

fn not_of_its_kind(name: &str) -> Why {
    Why::CouldNotBeParsed(format!("the option `{name}` of the Docker daemon has a value of another kind"))
}

/// A truth value in the way of Go's `strconv.ParseBool`.
fn truth(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

fn config(options: &Options) -> Result<Value, Why> {
    let flag = |name: &str, default: bool| options.flag(name).map(|value| Value::from(value.unwrap_or(default)));
    let text = |name: &str| options.some_text(name).map(Value::from);
    let text_or =
        |name: &str, default: &str| options.some_text(name).map(|value| Value::from(value.unwrap_or_else(|| default.to_owned())));
    let list = |name: &str, key: &str| options.list(name, key).map(Value::from);
    let log_option = |name: &str| options.entry("log-opt", "log-opts", name);
    let log_address = ["syslog-address", "fluentd-address", "gelf-address", "splunk-url"]
        .iter()
        .map(|name| log_option(name))
        .find_map(Result::transpose)
        .transpose()?;
    let snapshotter = match options.entry("feature", "features", "containerd-snapshotter")? {
        None => None,
        Some(value) => Some(truth(&value).ok_or_else(|| not_of_its_kind("features"))?),
    };
    let data_root = match options.some_text("data-root")? {
        None => options.some_text("graph")?,
        some => some,
    };
    let tls_verify = options.flag("tlsverify")?;
    Ok(Value::record([
        ("address", text("ip")?),
        ("authorization_plugins", list("authorization-plugin", "authorization-plugins")?),
        ("bridge", text("bridge")?),
        ("cgroup_parent", text("cgroup-parent")?),
        ("containerd_snapshotter", snapshotter.into()),
        ("data_root", data_root.unwrap_or_else(|| "/var/lib/docker".to_owned()).into()),
        ("debug", flag("debug", false)?),
        ("default_runtime", text_or("default-runtime", "runc")?),
        ("default_ulimits", list("default-ulimit", "default-ulimits")?),
        ("experimental", flag("experimental", false)?),
        ("group", text_or("group", "docker")?),
        ("hosts", list("host", "hosts")?),
        ("icc", flag("icc", true)?),
        ("insecure_registries", list("insecure-registry", "insecure-registries")?),
        ("ip6tables", options.flag("ip6tables")?.into()),
        ("iptables", flag("iptables", true)?),
        ("live_restore", flag("live-restore", false)?),
        ("log_address", log_address.into()),
        ("log_driver", text_or("log-driver", "json-file")?),
        ("log_level", text_or("log-level", "info")?),
        ("log_max_size", log_option("max-size")?.into()),
        ("metrics_address", text("metrics-addr")?),
        ("no_new_privileges", flag("no-new-privileges", false)?),
        ("registry_mirrors", list("registry-mirror", "registry-mirrors")?),
        ("seccomp_profile", text("seccomp-profile")?),
        ("selinux", flag("selinux-enabled", false)?),
        ("storage_driver", text("storage-driver")?),
        ("storage_options", list("storage-opt", "storage-opts")?),
        // Setting tlsverify at all, even to false, turns TLS on.
        ("tls", (options.flag("tls")?.unwrap_or(false) || tls_verify.is_some()).into()),
        ("tls_ca", text("tlscacert")?),
        ("tls_certificate", text("tlscert")?),
        ("tls_key", text("tlskey")?),
        ("tls_verify", tls_verify.unwrap_or(false).into()),
        ("userland_proxy", flag("userland-proxy", true)?),
        ("userns_remap", text("userns-remap")?),
    ]))
}

fn listen(hosts: &[String], answers: &Transcript) -> Result<Vec<String>, Why> {
    if hosts.is_empty() {
        return Ok(vec!["unix:///run/docker.sock".to_owned()]);
    }
    let mut listen = Vec::new();
    for host in hosts {
        if host.starts_with("fd://") {
            listen.extend(systemd_sockets(&answers.text("docker-socket-unit")?));
        } else {
            listen.push(host_address(host));
        }
    }
    listen.sort_unstable();
    listen.dedup();
    Ok(listen)
}

/// `Listen=/run/docker.sock (Stream)` lines of systemctl show.
fn systemd_sockets(text: &str) -> Vec<String> {
    let addresses =
        text.lines().filter_map(|line| line.strip_prefix("Listen=")?.split(" (").next()).filter(|address| !address.is_empty());
    addresses
        .map(|address| match address.bytes().all(|byte| byte.is_ascii_digit()) {
            true => format!("tcp://[::]:{address}"),
            false if address.starts_with(['/', '@']) => host_address(&format!("unix://{address}")),
            false => format!("tcp://{address}"),
        })
        .collect()
}

/// A host of the daemon in one form: with its scheme, a socket under /run instead of /var/run, an address instead of nothing.
fn host_address(host: &str) -> String {
    if let Some(path) = host.strip_prefix("unix://") {
        let path = if path.is_empty() { "/run/docker.sock" } else { path };
        let path = path.strip_prefix("/var/run/").map_or_else(|| path.to_owned(), |rest| format!("/run/{rest}"));
        return format!("unix://{path}");
    }
    let address = match host.split_once("://") {
        None => host,
        Some(("tcp", address)) => address,
        Some(_) => return host.to_owned(),
    };
    // An empty host is localhost to dockerd.
    let address = if address.is_empty() || address.starts_with(':') { format!("localhost{address}") } else { address.to_owned() };
    format!("tcp://{address}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Facts;
    use crate::probe::script::tests::{answered, answered_with, facts_of, not_run};
    use crate::probe::script::{Answer, State};

    const ALL: &[&str] = &[
        "docker.daemons",
        "docker.daemon_replaced",
        "docker.config_file",
        "docker.config_error",
        "docker.config",
        "docker.listen",
    ];
    const NO_FILES: &str = "grep: /etc/docker/daemon.json: No such file or directory\ngrep: /var/snap/docker/current/config/daemon.json: No such file or directory\n";

    fn process(arguments: &[&str]) -> String {
        let lines: String = arguments.iter().map(|word| format!("arg {word}\n")).collect();
        format!("pid 612\nname dockerd\nUid:\t0\t0\t0\t0\nNSpid:\t612\nexe /usr/bin/dockerd\narg /usr/bin/dockerd\n{lines}")
    }

    fn file(json: &str) -> Answer {
        let text: String = json.lines().map(|line| format!("/etc/docker/daemon.json:{line}\n")).collect();
        answered_with(&text, "grep: /var/snap/docker/current/config/daemon.json: No such file or directory\n", 2)
    }

    fn with(processes: &str, files: Answer) -> Facts {
        facts_of(
            ALL,
            &[
                ("init", answered("systemd\n")),
                ("docker-processes", answered(processes)),
                ("docker-files", files),
                ("docker-files-root", not_run(State::NeedsRoot)),
                ("docker-socket-unit", answered("Listen=/run/docker.sock (Stream)\n")),
            ],
        )
    }

    fn of(facts: &Facts, field: &str) -> Value {
        facts.value("docker.config").expect("known").field(field).expect("a field").clone()
    }

    #[test]
    fn a_daemon_that_is_just_starting_a_program_is_one_daemon() {
        let daemon = process(&["-H", "fd://"]);
        let copy = daemon.replace("612", "9001");
        let count = |text: String| {
            let facts = with(&text, answered_with("", NO_FILES, 2));
            let daemons = facts.value("docker.daemons").expect("known").as_list().expect("a list").len();
            (daemons, facts.value("docker.config").is_ok())
        };
        assert_eq!(count(format!("{daemon}{copy}")), (1, true));
        assert_eq!(count(format!("{daemon}{}", copy.replace("fd://", "unix:///run/other.sock"))), (2, false));
        assert_eq!(count(format!("{daemon}{}", copy.replace("Uid:\t0\t0", "Uid:\t0\t1000"))).0, 2);
    }

    #[test]
    fn without_options_the_defaults_are_in_effect() {
        let facts =
            with(&process(&["-H", "fd://", "--containerd=/run/containerd/containerd.sock"]), answered_with("", NO_FILES, 2));
        assert_eq!(facts.value("docker.config_file"), Ok(&Value::from("/etc/docker/daemon.json")));
        assert_eq!(facts.value("docker.config_error"), Ok(&Value::Null));
        assert_eq!(of(&facts, "icc"), Value::Bool(true));
        assert_eq!(of(&facts, "log_driver"), Value::from("json-file"));
        assert_eq!(facts.value("docker.listen"), Ok(&Value::list(["unix:///run/docker.sock"])));
        assert_eq!(facts.value("docker.daemon_replaced"), Ok(&Value::Bool(false)));
    }

    #[test]
    fn an_option_that_says_false_is_false_however_it_is_written() {
        let arguments = [
            "--icc=false",
            "--no-new-privileges=0",
            "--live-restore=false",
            "-D",
            "-lwarn",
            "-H=tcp://0.0.0.0:2375",
            "--log-opt",
            "max-size=10m",
        ];
        let facts = with(&process(&arguments), answered_with("", NO_FILES, 2));
        for (field, value) in [("icc", false), ("no_new_privileges", false), ("live_restore", false), ("debug", true)] {
            assert_eq!(of(&facts, field), Value::Bool(value), "{field}");
        }
        assert_eq!(of(&facts, "log_level"), Value::from("warn"));
        assert_eq!(of(&facts, "log_max_size"), Value::from("10m"));
        assert_eq!(facts.value("docker.listen"), Ok(&Value::list(["tcp://0.0.0.0:2375"])));
    }

    #[test]
    fn a_file_of_several_lines_is_read_whole_and_its_secrets_are_not() {
        let json = "{\n  \"hosts\": [\n    \"unix:///var/run/docker.sock\",\n    \"tcp://10.0.0.1:2376\"\n  ],\n  \"tlsverify\": true, \"tlskey\": \"/k.pem\",\n  \"log-opts\": {\"splunk-token\": \"s3cret\", \"max-size\": \"5m\"},\n  \"features\": {\"containerd-snapshotter\": true}\n}";
        let facts = with(&process(&[]), file(json));
        assert_eq!(facts.value("docker.listen"), Ok(&Value::list(["tcp://10.0.0.1:2376", "unix:///run/docker.sock"])));
        assert_eq!(of(&facts, "tls_verify"), Value::Bool(true));
        assert_eq!(of(&facts, "tls"), Value::Bool(true));
        assert_eq!(of(&facts, "tls_key"), Value::from("/k.pem"));
        assert_eq!(of(&facts, "log_max_size"), Value::from("5m"));
        assert_eq!(of(&facts, "containerd_snapshotter"), Value::Bool(true));
        let kept = String::from_utf8(redact("docker-files", &file(json).stdout).expect("redacted")).expect("text");
        assert!(!kept.contains("s3cret"), "{kept}");
    }

    #[test]
    fn a_file_that_is_not_json_leaves_the_configuration_unknown_and_is_named() {
        let facts = with(&process(&[]), file("{\n  \"icc\": false,\n}"));
        assert_eq!(facts.value("docker.config_error"), Ok(&Value::from("not JSON: line 3, column 1")));
        assert!(matches!(facts.value("docker.config"), Err(Why::CouldNotBeParsed(_))));
        let facts = with(&process(&[]), file("[]"));
        assert_eq!(facts.value("docker.config_error"), Ok(&Value::from("not an object")));
    }

    #[test]
    fn a_file_that_may_not_be_read_is_unknown_and_not_absent() {
        let denied = answered_with("", "grep: /etc/docker/daemon.json: Permission denied\n", 2);
        let facts = with(&process(&[]), denied.clone());
        assert!(matches!(facts.value("docker.config"), Err(Why::NeedsRoot(_))));
        assert!(matches!(facts.value("docker.config_error"), Err(Why::NeedsRoot(_))));
        let as_root = facts_of(
            &["docker.config"],
            &[
                ("init", answered("systemd\n")),
                ("docker-processes", answered(&process(&[]))),
                ("docker-files", denied),
                ("docker-files-root", file("{\"icc\": false}")),
            ],
        );
        assert_eq!(of(&as_root, "icc"), Value::Bool(false));
    }

    #[test]
    fn a_daemon_in_a_container_is_not_the_hosts() {
        let nested = "pid 700\nname dockerd\nUid:\t0\t0\t0\t0\nNSpid:\t700\t25\narg dockerd\narg --icc=false\n";
        let facts = with(&format!("{nested}{}", process(&[])), answered_with("", NO_FILES, 2));
        assert_eq!(of(&facts, "icc"), Value::Bool(true));
        let facts = with(nested, answered_with("", NO_FILES, 2));
        assert!(matches!(facts.value("docker.config"), Err(Why::ProbeFailed(_))));
    }

    #[test]
    fn a_daemon_of_a_user_is_no_match_for_that_of_root_and_its_file_is_not_guessed() {
        let rootless = "pid 900\nname dockerd\nUid:\t1000\t1000\t1000\t1000\nNSpid:\t900\narg dockerd\narg --icc=false\n";
        let facts = with(&format!("{}{rootless}", process(&[])), answered_with("", NO_FILES, 2));
        assert_eq!(of(&facts, "icc"), Value::Bool(true));
        let facts = with(rootless, answered_with("", NO_FILES, 2));
        assert!(matches!(facts.value("docker.config_file"), Err(Why::ProbeFailed(_))));
    }

    #[test]
    fn hidden_processes_are_not_taken_for_none() {
        let hidden = answered_with("", "cat: /proc/1/comm: No such file or directory\n", 1);
        let facts = facts_of(&["docker.daemons"], &[("init", hidden), ("docker-processes", answered(""))]);
        assert!(matches!(facts.value("docker.daemons"), Err(Why::NeedsRoot(_))));
    }

    #[test]
    fn a_file_elsewhere_is_not_taken_for_the_usual_one_and_that_of_a_snap_is_found() {
        let facts = with(&process(&["--config-file", "/opt/d.json"]), file("{\"icc\": false}"));
        assert_eq!(facts.value("docker.config_file"), Ok(&Value::from("/opt/d.json")));
        assert!(matches!(facts.value("docker.config"), Err(Why::ProbeFailed(_))));
        let snap = answered("/var/snap/docker/current/config/daemon.json:{\"icc\": false}\n");
        let facts = with(&process(&["--config-file=/var/snap/docker/2932/config/daemon.json"]), snap);
        assert_eq!(of(&facts, "icc"), Value::Bool(false));
    }

    #[test]
    fn sockets_of_systemd_are_named_like_hosts_of_the_daemon() {
        let text = "Listen=/var/run/docker.sock (Stream)\nListen=127.0.0.1:2375 (Stream)\nListen=[::]:2376 (Stream)\n";
        assert_eq!(systemd_sockets(text), ["unix:///run/docker.sock", "tcp://127.0.0.1:2375", "tcp://[::]:2376"]);
        assert_eq!(host_address(":2375"), "tcp://localhost:2375");
        assert_eq!(host_address("tcp://"), "tcp://localhost");
    }
}
