//! The Docker engine: whether it is there, what it says of itself, where it keeps its data, its networks.

use serde::Deserialize;

use super::secrets::redacted_document;
use super::{FactSpec, Input, Kind, Output, Probe, Transcript, Wanted};
use crate::command::{Fragment, Program, ReadOnlyCommand, Rights, Step};
use crate::model::{FactRef, Facts, Value, Why};

pub(super) const PROBE: Probe = Probe { name: "docker", facts: FACTS, needs, steps, parse, redact };

const SOCKET: &str = "unix:///run/docker.sock";
const DEFAULT_ROOT: &str = "/var/lib/docker";

const TEXTS: Kind = Kind::List(&Kind::Text);

const ROOT: Kind = Kind::Record(&[
    ("configured", Kind::Text),
    ("path", Kind::Text),
    ("mode", Kind::Text),
    ("uid", Kind::Int),
    ("gid", Kind::Int),
]);

const STATE: Kind = Kind::Record(&[
    ("authorization_plugins", TEXTS),
    ("cgroup_driver", Kind::Text),
    ("cgroup_version", Kind::Text),
    ("data_root", Kind::Text),
    ("debug", Kind::Bool),
    ("default_runtime", Kind::Text),
    ("experimental", Kind::Bool),
    ("images", Kind::Int),
    ("insecure_registries", TEXTS),
    ("live_restore", Kind::Bool),
    ("logging_driver", Kind::Text),
    ("name", Kind::Text),
    ("registry_mirrors", TEXTS),
    ("running", Kind::Int),
    ("runtimes", TEXTS),
    ("security_options", TEXTS),
    ("seccomp_profile", Kind::Maybe(&Kind::Text)),
    ("storage_driver", Kind::Text),
    ("swarm", Kind::Text),
    ("swarm_manager", Kind::Bool),
    ("system", Kind::Text),
    ("warnings", TEXTS),
]);

const NETWORK: Kind = Kind::Record(&[
    ("name", Kind::Text),
    ("driver", Kind::Text),
    ("scope", Kind::Text),
    ("internal", Kind::Bool),
    ("ipv6", Kind::Bool),
    ("default_bridge", Kind::Bool),
    ("icc", Kind::Maybe(&Kind::Bool)),
    ("host_address", Kind::Maybe(&Kind::Text)),
    ("encrypted", Kind::Bool),
    ("containers", Kind::Int),
]);

const INFO_SOURCE: &str = "docker info --format '{{json .}}'";

const FACTS: &[FactSpec] = &[
    FactSpec {
        name: "docker.installed",
        key: None,
        kind: Kind::Bool,
        unit: None,
        source: "command -v dockerd; systemctl show docker.service; /proc/PID/comm",
        rights: Rights::Any,
        summary: "Whether there is a Docker engine: its daemon as a program, a unit or a process. A Docker client alone, or Podman under its name, is none.",
    },
    FactSpec {
        name: "docker.other_engines",
        key: None,
        kind: TEXTS,
        unit: None,
        source: "command -v podman crio k3s kubelet lxd ...",
        rights: Rights::Any,
        summary: "Programs of other engines that run containers.",
    },
    FactSpec {
        name: "docker.running",
        key: None,
        kind: Kind::Bool,
        unit: None,
        source: "/proc/PID/comm; docker info",
        rights: Rights::Any,
        summary: "Whether a Docker daemon runs, outside of containers.",
    },
    FactSpec {
        name: "docker.rootless",
        key: None,
        kind: Kind::Bool,
        unit: None,
        source: "/proc/PID/status of dockerd; docker info",
        rights: Rights::Any,
        summary: "Whether Docker daemons run, and none of them as root.",
    },
    FactSpec {
        name: "docker.userns_remap",
        key: None,
        kind: Kind::Bool,
        unit: None,
        source: "docker info; /proc/PID/cmdline of dockerd; daemon.json",
        rights: Rights::Any,
        summary: "Whether containers run in a user namespace of their own by default (userns-remap).",
    },
    FactSpec {
        name: "docker.containerd_store",
        key: None,
        kind: Kind::Bool,
        unit: None,
        source: "docker info; daemon.json",
        rights: Rights::Docker,
        summary: "Whether images and layers are kept by containerd, under its own directory, and not in Docker's.",
    },
    FactSpec {
        name: "docker.swarm_active",
        key: None,
        kind: Kind::Bool,
        unit: None,
        source: INFO_SOURCE,
        rights: Rights::Docker,
        summary: "Whether the engine is part of a swarm, or locked out of one.",
    },
    FactSpec {
        name: "docker.state",
        key: None,
        kind: STATE,
        unit: None,
        source: INFO_SOURCE,
        rights: Rights::Docker,
        summary: "What the running daemon says of itself. The insecure registries come without the loopback networks that every daemon has; the warnings are its own words.",
    },
    FactSpec {
        name: "docker.differences",
        key: None,
        kind: TEXTS,
        unit: None,
        source: "docker info; /proc/PID/cmdline of dockerd; daemon.json",
        rights: Rights::Docker,
        summary: "Where the configuration as written is not what the running daemon says: it was changed after the daemon's start.",
    },
    FactSpec {
        name: "docker.unused_features",
        key: None,
        kind: TEXTS,
        unit: None,
        source: "docker info; /proc/PID/cmdline of dockerd; daemon.json; /proc/PID/comm",
        rights: Rights::Any,
        summary: "Which of authorization-plugin, swarm, firewalld and other-client (Kubernetes or another client of containerd than Docker) are known not to be in use; what is not known is not in the list.",
    },
    FactSpec {
        name: "docker.root",
        key: None,
        kind: ROOT,
        unit: None,
        source: "docker info; readlink -f; stat",
        rights: Rights::Any,
        summary: "The directory of Docker's data: as the daemon names it, with symbolic links resolved, and its mode and owner.",
    },
    FactSpec {
        name: "docker.networks",
        key: None,
        kind: Kind::List(&NETWORK),
        unit: None,
        source: "docker network inspect",
        rights: Rights::Docker,
        summary: "Docker's networks; `icc` and `host_address` (where ports are published by default) are null where the driver has no such option.",
    },
];

/// Programs that run containers or their engine, other than Docker's.
const OTHER_ENGINES: [&str; 7] = ["podman", "crio", "k3s", "rke2", "kubelet", "lxd", "incusd"];

/// Facts that `docker info` tells, alone or with others.
const FROM_INFO: &[&str] = &[
    "docker.containerd_store",
    "docker.swarm_active",
    "docker.state",
    "docker.differences",
    "docker.userns_remap",
    "docker.unused_features",
];

fn needs(wanted: &Wanted) -> Vec<FactRef> {
    let mut needs = Vec::new();
    if wanted.wants("docker.other_engines") {
        needs.extend(OTHER_ENGINES.iter().map(|program| FactRef::keyed("tools", *program)));
    }
    if wanted.wants("docker.installed") {
        needs.push(FactRef::keyed("tools", "dockerd"));
        needs.push(FactRef::keyed("tools", "docker"));
        needs.push(FactRef::keyed("unit_file", "docker.service"));
    }
    if wanted.wants_any(&["docker.installed", "docker.running", "docker.rootless"]) {
        needs.push(FactRef::plain("docker.daemons"));
    }
    if wanted.wants_any(&[
        "docker.userns_remap",
        "docker.containerd_store",
        "docker.differences",
        "docker.root",
        "docker.unused_features",
    ]) {
        needs.push(FactRef::plain("docker.config"));
    }
    if wanted.wants("docker.unused_features") {
        needs.push(FactRef::plain("process.names"));
    }
    needs
}

fn steps(wanted: &Wanted) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut ask =
        |id: &str, command: Result<ReadOnlyCommand, _>| steps.extend(command.ok().map(|command| Step::new(id, command)));
    if wanted.wants_any(FROM_INFO) {
        ask(
            "docker-info",
            ReadOnlyCommand::new(Program::Docker, &["-H", SOCKET, "info", "--format", "{{json .}}"], Rights::Docker),
        );
    }
    if wanted.wants("docker.root") {
        ask("docker-root", ReadOnlyCommand::fragment::<&str>(Fragment::DockerRoot, &[], Rights::Docker));
        ask("docker-default-root", ReadOnlyCommand::new(Program::Readlink, &["-f", DEFAULT_ROOT], Rights::Any));
        let stat = ["-L", "-c", "stat %a|%u|%g|%U|%G|%F", DEFAULT_ROOT];
        ask("docker-default-root-stat", ReadOnlyCommand::new(Program::Stat, &stat, Rights::Any));
    }
    if wanted.wants("docker.networks") {
        ask("docker-networks", ReadOnlyCommand::fragment::<&str>(Fragment::DockerNetworks, &[], Rights::Docker));
    }
    steps
}

fn redact(step: &str, stdout: &[u8]) -> Option<Vec<u8>> {
    let answered = !stdout.trim_ascii().is_empty();
    matches!(step, "docker-info" | "docker-networks" | "docker-version")
        .then(|| if answered { redacted_document(stdout).into_bytes() } else { Vec::new() })
}

fn parse(input: &Input<'_>, output: &mut Output) {
    let facts = input.facts;
    let daemons = facts.value("docker.daemons").map(host_daemons);
    output.set("docker.installed", installed(facts, &daemons));
    output.set("docker.running", daemons.clone().map(|uids| !uids.is_empty()));
    output.set("docker.rootless", daemons.map(|uids| !uids.is_empty() && !uids.contains(&0)));

    if input.wanted.wants("docker.other_engines") {
        let paths = OTHER_ENGINES.iter().map(|program| facts.keyed("tools", program));
        let found: Result<Vec<&str>, Why> = paths.filter_map(|path| path.map(Value::as_str).transpose()).collect();
        output.set("docker.other_engines", found.map(Value::list));
    }
    let info = || info(input.answers);
    if input.wanted.wants_any(FROM_INFO) {
        output.set("docker.state", info().map(|info| info.value()));
        output.set("docker.swarm_active", info().map(|info| info.in_swarm()));
    }
    let config = facts.value("docker.config");
    if input.wanted.wants("docker.userns_remap") {
        let configured = |why: Why| {
            let remap = config.clone().map_err(|_| why)?.field("userns_remap");
            Ok(remap.is_some_and(|remap| *remap != Value::Null))
        };
        output.set("docker.userns_remap", info().map(|info| info.has_security_option("userns")).or_else(configured));
    }
    if input.wanted.wants("docker.containerd_store") {
        let configured =
            |why: Why| config.clone().ok().and_then(|config| config.field("containerd_snapshotter")?.as_bool()).ok_or(why);
        output.set("docker.containerd_store", info().map(|info| info.has_containerd_store()).or_else(configured));
    }
    if input.wanted.wants("docker.differences") {
        output.set("docker.differences", info().and_then(|info| Ok(differences(config.clone()?, &info.value()))));
    }
    if input.wanted.wants("docker.unused_features") {
        output.set("docker.unused_features", Ok(unused_features(&info(), facts)));
    }
    if input.wanted.wants("docker.root") {
        output.set("docker.root", root(input.answers, config));
    }
    if input.wanted.wants("docker.networks") {
        output.set("docker.networks", networks(input.answers));
    }
}

/// The users that the daemons outside of containers run as.
fn host_daemons(daemons: &Value) -> Vec<i64> {
    let daemons = daemons.as_list().unwrap_or_default().iter();
    let outside = daemons.filter(|daemon| daemon.field("contained").and_then(Value::as_bool) == Some(false));
    outside.filter_map(|daemon| daemon.field("uid")?.as_int()).collect()
}

/// Any sign of a daemon is enough; none of them may be unknown for there to be none.
fn installed(facts: &Facts, daemons: &Result<Vec<i64>, Why>) -> Result<bool, Why> {
    let program = facts.keyed("tools", "dockerd").map(|path| *path != Value::Null);
    let snap = facts.keyed("tools", "docker").map(|path| path.as_str().is_some_and(|path| path.starts_with("/snap/")));
    let unit = facts.keyed("unit_file", "docker.service").map(|unit| unit.field("path").is_some_and(|path| *path != Value::Null));
    let process = daemons.clone().map(|uids| !uids.is_empty());
    let signs = [program, snap, unit, process];
    if signs.contains(&Ok(true)) {
        return Ok(true);
    }
    signs.into_iter().find(Result::is_err).unwrap_or(Ok(false))
}

/// The part of `docker info` that is kept. Lists and maps may be null.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Info {
    server_version: String,
    driver: String,
    driver_status: Option<Vec<Vec<String>>>,
    plugins: Plugins,
    debug: bool,
    logging_driver: String,
    cgroup_driver: String,
    cgroup_version: Option<String>,
    operating_system: String,
    docker_root_dir: String,
    name: String,
    experimental_build: bool,
    images: i64,
    containers_running: i64,
    registry_config: Option<RegistryConfig>,
    runtimes: Option<std::collections::BTreeMap<String, serde::de::IgnoredAny>>,
    default_runtime: String,
    swarm: Swarm,
    live_restore_enabled: bool,
    security_options: Option<Vec<String>>,
    warnings: Option<Vec<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Plugins {
    authorization: Option<Vec<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct RegistryConfig {
    #[serde(rename = "InsecureRegistryCIDRs")]
    insecure_networks: Option<Vec<String>>,
    index_configs: Option<std::collections::BTreeMap<String, Index>>,
    mirrors: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Index {
    secure: bool,
}

impl Default for Index {
    fn default() -> Self {
        Self { secure: true }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Swarm {
    local_node_state: String,
    control_available: bool,
}

/// What the daemon answered through its client. That there was no daemon to answer is said in plain words.
pub(super) fn daemon_answer(answers: &Transcript, step: &str) -> Result<String, Why> {
    let unanswered =
        |text: &str| text.contains("Cannot connect to the Docker daemon") || text.contains("failed to connect to the docker API");
    answers.text(step).map_err(|why| match (&why, answers.answer(step)) {
        (Why::ProbeFailed(_), Ok(answer)) if unanswered(&answer.error_text()) => {
            Why::ProbeFailed("no Docker daemon answers at `/run/docker.sock`: it is not running".to_owned())
        }
        _ => why,
    })
}

/// What the daemon said. Without one, the client prints a document full of zeros and exits with 1.
fn info(answers: &Transcript) -> Result<Info, Why> {
    let text = daemon_answer(answers, "docker-info")?;
    let info: Info = serde_json::from_str(text.trim())
        .map_err(|error| Why::CouldNotBeParsed(format!("`docker info` gave no document that Docker gives: {error}")))?;
    if info.server_version.is_empty() {
        return Err(Why::ProbeFailed(
            "`docker info` came back without the version of a Docker daemon: none answered, or another engine".to_owned(),
        ));
    }
    Ok(info)
}

impl Info {
    fn in_swarm(&self) -> bool {
        !matches!(self.swarm.local_node_state.as_str(), "" | "inactive")
    }

    /// Options come as `name=seccomp,profile=default`; before 1.13 as `seccomp`.
    fn security_option(&self, name: &str) -> Option<&str> {
        self.security_options.iter().flatten().map(String::as_str).find(|option| {
            let first = option.split(',').next().unwrap_or_default();
            first.strip_prefix("name=").unwrap_or(first) == name
        })
    }

    fn has_security_option(&self, name: &str) -> bool {
        self.security_option(name).is_some()
    }

    fn has_containerd_store(&self) -> bool {
        self.driver_status.iter().flatten().any(|entry| {
            matches!(entry.as_slice(), [name, value] if name == "driver-type" && value.starts_with("io.containerd.snapshotter."))
        })
    }

    /// Every daemon trusts the loopback networks; what is named beyond them was configured.
    fn insecure_registries(&self) -> Vec<String> {
        let Some(registries) = &self.registry_config else { return Vec::new() };
        let networks = registries.insecure_networks.iter().flatten();
        let configured = networks.filter(|network| !matches!(network.as_str(), "127.0.0.0/8" | "::1/128")).cloned();
        let names = registries.index_configs.iter().flatten().filter(|(_, index)| !index.secure).map(|(name, _)| name.clone());
        configured.chain(names).collect()
    }

    fn value(&self) -> Value {
        let texts = |list: &Option<Vec<String>>| Value::list(list.iter().flatten().map(String::as_str));
        let profile = self
            .security_option("seccomp")
            .map(|option| option.split(',').find_map(|part| part.strip_prefix("profile=")).unwrap_or("default"));
        let mirrors = self.registry_config.as_ref().map(|registries| texts(&registries.mirrors));
        let runtimes = self.runtimes.iter().flatten().map(|(name, _)| name.as_str());
        Value::record([
            ("authorization_plugins", texts(&self.plugins.authorization)),
            ("cgroup_driver", self.cgroup_driver.as_str().into()),
            ("cgroup_version", self.cgroup_version.as_deref().unwrap_or("1").into()),
            ("data_root", self.docker_root_dir.as_str().into()),
            ("debug", self.debug.into()),
            ("default_runtime", self.default_runtime.as_str().into()),
            ("experimental", self.experimental_build.into()),
            ("images", self.images.into()),
            ("insecure_registries", self.insecure_registries().into()),
            ("live_restore", self.live_restore_enabled.into()),
            ("logging_driver", self.logging_driver.as_str().into()),
            ("name", self.name.as_str().into()),
            ("registry_mirrors", mirrors.unwrap_or_else(|| Value::List(Vec::new()))),
            ("running", self.containers_running.into()),
            ("runtimes", Value::list(runtimes)),
            ("security_options", texts(&self.security_options)),
            ("seccomp_profile", profile.into()),
            ("storage_driver", self.driver.as_str().into()),
            (
                "swarm",
                if self.swarm.local_node_state.is_empty() { "inactive" } else { self.swarm.local_node_state.as_str() }.into(),
            ),
            ("swarm_manager", self.swarm.control_available.into()),
            ("system", self.operating_system.as_str().into()),
            ("warnings", texts(&self.warnings)),
        ])
    }
}

/// Options that are in the configuration as well as in what the daemon says.
fn differences(config: &Value, state: &Value) -> Vec<String> {
    let option = |record: &Value, name: &str| record.field(name).cloned().unwrap_or_default();
    let remapped = option(config, "userns_remap") != Value::Null;
    let says_remapped = option(state, "security_options").as_list().is_some_and(|options| {
        options.iter().any(|option| option.as_str().is_some_and(|option| option.starts_with("name=userns")))
    });
    let same_names = [
        ("debug", "debug"),
        ("live_restore", "live_restore"),
        ("log_driver", "logging_driver"),
        ("default_runtime", "default_runtime"),
    ];
    let mut lines: Vec<String> = same_names
        .into_iter()
        .filter(|(written, said)| option(config, written) != option(state, said))
        .map(|(written, said)| format!("{written}: written {}, running {}", option(config, written), option(state, said)))
        .collect();
    if remapped != says_remapped {
        lines.push(format!("userns_remap: written {remapped}, running {says_remapped}"));
    }
    let (written, said) = (option(config, "data_root"), option(state, "data_root"));
    // With a user namespace, the daemon appends its ids to the directory.
    let inside =
        said.as_str().zip(written.as_str()).is_some_and(|(said, written)| said.starts_with(written.trim_end_matches('/')));
    if !inside {
        lines.push(format!("data_root: written {written}, running {said}"));
    }
    lines
}

/// Programs that use containerd or runc without Docker (names of processes, which the kernel cuts to 15 letters).
const OTHER_CLIENTS: &[&str] = &[
    "kubelet",
    "kubelite",
    "k3s",
    "k3s-server",
    "k3s-agent",
    "rke2",
    "crio",
    "podman",
    "conmon",
    "nomad",
    "buildkitd",
    "garden",
];

fn unused_features(info: &Result<Info, Why>, facts: &Facts) -> Vec<&'static str> {
    let none_of = |programs: &[&str]| {
        let names = facts.value("process.names").map(|names| names.as_list().unwrap_or_default());
        names.is_ok_and(|names| !names.iter().any(|name| name.as_str().is_some_and(|name| programs.contains(&name))))
    };
    let configured = facts.value("docker.config").ok().and_then(|config| config.field("authorization_plugins")?.as_list());
    let plugins =
        info.as_ref().ok().map(|info| info.plugins.authorization.as_ref().map_or(0, Vec::len)).or(configured.map(<[_]>::len));
    let features = [
        ("authorization-plugin", plugins == Some(0)),
        ("swarm", info.as_ref().is_ok_and(|info| !info.in_swarm())),
        ("firewalld", none_of(&["firewalld"])),
        ("other-client", none_of(OTHER_CLIENTS)),
    ];
    features.into_iter().filter(|(_, unused)| *unused).map(|(name, _)| name).collect()
}

/// From the daemon, or, where it may not be asked and nothing moves the directory, from the usual place.
fn root(answers: &Transcript, config: Result<&Value, Why>) -> Result<Value, Why> {
    let said = daemon_answer(answers, "docker-root");
    let why = match said {
        Ok(text) => return root_of(&text),
        Err(why) => why,
    };
    let config = config.map_err(|_| why.clone())?;
    let field = |name: &str| config.field(name).cloned().unwrap_or_default();
    if field("data_root").as_str() != Some(DEFAULT_ROOT) || field("userns_remap") != Value::Null {
        return Err(why);
    }
    let path = answers.text("docker-default-root").map_err(|_| why.clone())?;
    let stat = answers.text("docker-default-root-stat").map_err(|_| why.clone())?;
    root_of(&format!("root {DEFAULT_ROOT}\npath {}\n{stat}", path.trim_end_matches('\n')))
}

/// `root PATH`, `path REALPATH`, `stat MODE|UID|GID|OWNER|GROUP|TYPE`.
fn root_of(text: &str) -> Result<Value, Why> {
    let line = |word: &str| text.lines().find_map(|line| line.strip_prefix(word)?.strip_prefix(' '));
    let parsed = line("root").zip(line("path")).zip(line("stat")).and_then(|((configured, path), stat)| {
        let mut fields = stat.split('|');
        let mode = u32::from_str_radix(fields.next()?, 8).ok()?;
        let uid: i64 = fields.next()?.parse().ok()?;
        let gid: i64 = fields.next()?.parse().ok()?;
        Some(Value::record([
            ("configured", configured.into()),
            ("path", path.into()),
            ("mode", format!("{mode:04o}").into()),
            ("uid", uid.into()),
            ("gid", gid.into()),
        ]))
    });
    parsed.ok_or_else(|| Why::CouldNotBeParsed("the answer about Docker's data directory is not of the expected form".to_owned()))
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Network {
    name: String,
    driver: String,
    scope: String,
    internal: bool,
    #[serde(rename = "EnableIPv6")]
    ipv6: bool,
    containers: Option<std::collections::BTreeMap<String, serde::de::IgnoredAny>>,
    options: Option<std::collections::BTreeMap<String, String>>,
}

impl Network {
    fn value(&self) -> Value {
        let option = |name: &str| self.options.as_ref().and_then(|options| options.get(name)).map(String::as_str);
        let bridge = |name: &str| option(&format!("com.docker.network.bridge.{name}"));
        // On a bridge without the option, containers reach each other.
        let icc = (self.driver == "bridge").then(|| bridge("enable_icc") != Some("false"));
        Value::record([
            ("name", self.name.as_str().into()),
            ("driver", self.driver.as_str().into()),
            ("scope", self.scope.as_str().into()),
            ("internal", self.internal.into()),
            ("ipv6", self.ipv6.into()),
            ("default_bridge", (bridge("default_bridge") == Some("true")).into()),
            ("icc", icc.into()),
            ("host_address", bridge("host_binding_ipv4").into()),
            ("encrypted", option("encrypted").is_some_and(|value| value != "false").into()),
            (
                "containers",
                i64::try_from(self.containers.as_ref().map_or(0, |containers| containers.len())).unwrap_or(i64::MAX).into(),
            ),
        ])
    }
}

fn networks(answers: &Transcript) -> Result<Value, Why> {
    let text = daemon_answer(answers, "docker-networks")?;
    if text.trim().is_empty() {
        return Ok(Value::List(Vec::new()));
    }
    let networks: Vec<Network> = serde_json::from_str(text.trim())
        .map_err(|error| Why::CouldNotBeParsed(format!("`docker network inspect` gave something else than networks: {error}")))?;
    Ok(Value::List(networks.iter().map(Network::value).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::script::tests::{answered, answered_with, facts_of, not_run};
    use crate::probe::script::{Answer, State};

    /// Of Docker 20.10 on Debian 12, shortened where nothing is read.
    const INFO: &str = r#"{"ID":"ME6Z","Containers":2,"ContainersRunning":1,"Images":1,"Driver":"overlay2","DriverStatus":[["Backing Filesystem","extfs"]],"Plugins":{"Volume":["local"],"Authorization":null},"Debug":false,"LoggingDriver":"json-file","CgroupDriver":"cgroupfs","CgroupVersion":"1","OperatingSystem":"Debian GNU/Linux 12 (bookworm)","RegistryConfig":{"IndexConfigs":{"docker.io":{"Mirrors":[],"Name":"docker.io","Official":true,"Secure":true}},"InsecureRegistryCIDRs":["127.0.0.0/8"],"Mirrors":[]},"GenericResources":null,"DockerRootDir":"/var/lib/docker","HttpProxy":"","Name":"vm","ExperimentalBuild":false,"ServerVersion":"20.10.24+dfsg1","Runtimes":{"io.containerd.runc.v2":{"path":"runc"},"runc":{"path":"runc"}},"DefaultRuntime":"runc","Swarm":{"NodeID":"","LocalNodeState":"inactive","ControlAvailable":false,"RemoteManagers":null},"LiveRestoreEnabled":false,"SecurityOptions":["name=seccomp,profile=default"],"Warnings":null,"ClientInfo":{"Version":"28.2.2","Warnings":null}}"#;
    /// Of a client without a daemon, shortened: zeros, and exit status 1.
    const NO_DAEMON: &str = r#"{"ID":"","Containers":0,"Driver":"","DriverStatus":null,"Plugins":{"Authorization":null},"ServerVersion":"","Swarm":{"LocalNodeState":"","ControlAvailable":false},"SecurityOptions":null,"Warnings":null}"#;
    const NOT_RUNNING: &str = "Cannot connect to the Docker daemon at unix:///run/docker.sock. Is the docker daemon running?\n";
    const DENIED: &str = "permission denied while trying to connect to the Docker daemon socket at unix:///run/docker.sock: dial unix /run/docker.sock: connect: permission denied\n";
    const DAEMON: &str = "pid 612\nname dockerd\nUid:\t0\t0\t0\t0\nNSpid:\t612\narg /usr/bin/dockerd\narg -H\narg fd://\n";
    const NO_FILES: &str = "grep: /etc/docker/daemon.json: No such file or directory\ngrep: /var/snap/docker/current/config/daemon.json: No such file or directory\n";

    fn facts(names: &[&str], daemons: &str, more: &[(&str, Answer)]) -> Facts {
        let mut answers = vec![
            ("init", answered("systemd\n")),
            ("docker-processes", answered(daemons)),
            ("docker-files", answered_with("", NO_FILES, 2)),
        ];
        answers.extend(more.iter().cloned());
        facts_of(names, &answers)
    }

    fn state(info: &str, field: &str) -> Value {
        let facts = facts(&["docker.state"], DAEMON, &[("docker-info", answered(info))]);
        facts.value("docker.state").expect("known").field(field).expect("a field").clone()
    }

    #[test]
    fn the_daemon_of_debian_is_understood() {
        assert_eq!(state(INFO, "storage_driver"), Value::from("overlay2"));
        assert_eq!(state(INFO, "insecure_registries"), Value::List(Vec::new()));
        assert_eq!(state(INFO, "seccomp_profile"), Value::from("default"));
        assert_eq!(state(INFO, "authorization_plugins"), Value::List(Vec::new()));
        let facts = facts(
            &["docker.swarm_active", "docker.containerd_store", "docker.userns_remap", "docker.differences"],
            DAEMON,
            &[("docker-info", answered(INFO))],
        );
        assert_eq!(facts.value("docker.swarm_active"), Ok(&Value::Bool(false)));
        assert_eq!(facts.value("docker.containerd_store"), Ok(&Value::Bool(false)));
        assert_eq!(facts.value("docker.userns_remap"), Ok(&Value::Bool(false)));
        assert_eq!(facts.value("docker.differences"), Ok(&Value::List(Vec::new())));
    }

    #[test]
    fn zeros_of_a_client_without_a_daemon_are_no_state() {
        for (stdout, stderr, exit) in [(NO_DAEMON, NOT_RUNNING, 1), (NO_DAEMON, "", 0), ("{\"host\":{},\"store\":{}}", "", 0)] {
            let facts =
                facts(&["docker.state", "docker.swarm_active"], "", &[("docker-info", answered_with(stdout, stderr, exit))]);
            assert!(matches!(facts.value("docker.state"), Err(Why::ProbeFailed(_))), "{stdout}");
            assert!(matches!(facts.value("docker.swarm_active"), Err(Why::ProbeFailed(_))));
        }
        let facts = facts(&["docker.state"], DAEMON, &[("docker-info", answered_with(NO_DAEMON, DENIED, 1))]);
        assert!(matches!(facts.value("docker.state"), Err(Why::NeedsRoot(_))));
    }

    #[test]
    fn what_the_configuration_tells_needs_no_access_to_the_socket() {
        let names = ["docker.userns_remap", "docker.containerd_store", "docker.root"];
        let remapped = DAEMON.replace("arg fd://\n", "arg fd://\narg --userns-remap=default\n");
        let known = [
            ("docker-info", not_run(State::NeedsRoot)),
            ("docker-root", not_run(State::NeedsRoot)),
            ("docker-default-root", answered("/data/docker\n")),
            ("docker-default-root-stat", answered("stat 710|0|0|root|root|directory\n")),
        ];
        let remapped = facts(&names, &remapped, &known);
        assert_eq!(remapped.value("docker.userns_remap"), Ok(&Value::Bool(true)));
        assert!(matches!(remapped.value("docker.root"), Err(Why::NeedsRoot(_))), "the directory has ids in its name");
        assert!(
            matches!(remapped.value("docker.containerd_store"), Err(Why::NeedsRoot(_))),
            "it depends on the version and on history"
        );
        let plain = facts(&names, DAEMON, &known);
        assert_eq!(plain.value("docker.userns_remap"), Ok(&Value::Bool(false)));
        assert_eq!(plain.value("docker.root").expect("known").field("path"), Some(&Value::from("/data/docker")));
        assert_eq!(plain.value("docker.root").expect("known").field("mode"), Some(&Value::from("0710")));
    }

    #[test]
    fn only_what_is_known_to_be_unused_is_called_so() {
        let processes = answered("systemd\ndockerd\nfirewalld\n");
        let known = facts(&["docker.unused_features"], DAEMON, &[("docker-info", answered(INFO)), ("process-names", processes)]);
        assert_eq!(known.value("docker.unused_features"), Ok(&Value::list(["authorization-plugin", "swarm", "other-client"])));
        let refused = facts(&["docker.unused_features"], DAEMON, &[("docker-info", not_run(State::NeedsRoot))]);
        assert_eq!(refused.value("docker.unused_features"), Ok(&Value::list(["authorization-plugin"])), "by its configuration");
        let nothing = facts(&["docker.unused_features"], "", &[]);
        assert_eq!(nothing.value("docker.unused_features"), Ok(&Value::List(Vec::new())));
    }

    #[test]
    fn the_data_directory_is_the_one_that_the_daemon_names() {
        let answer = answered(
            "root /var/lib/docker/100000.100000\npath /mnt/big/100000.100000\nstat 2711|0|100000|root|UNKNOWN|directory\n",
        );
        let facts = facts(&["docker.root"], DAEMON, &[("docker-root", answer)]);
        let expected = Value::record([
            ("configured", "/var/lib/docker/100000.100000".into()),
            ("path", "/mnt/big/100000.100000".into()),
            ("mode", "2711".into()),
            ("uid", 0i64.into()),
            ("gid", 100_000i64.into()),
        ]);
        assert_eq!(facts.value("docker.root"), Ok(&expected));
    }

    #[test]
    fn an_engine_shows_by_its_program_its_unit_or_its_process() {
        let installed = |tools: &str, unit: &str, daemons: &str| {
            let units = answered(&format!(
                "Id=docker.service\nLoadState={}\nFragmentPath={unit}\nDropInPaths=\n",
                if unit.is_empty() { "not-found" } else { "loaded" }
            ));
            let more = [("tools", answered(tools)), ("units", units)];
            let facts = facts(&["docker.installed", "docker.running", "docker.rootless"], daemons, &more);
            ["docker.installed", "docker.running", "docker.rootless"]
                .map(|name| facts.value(name).cloned().map(|value| value == Value::Bool(true)))
        };
        let rootless = DAEMON.replace("Uid:\t0\t0", "Uid:\t1000\t1000");
        assert_eq!(installed("dockerd=/usr/bin/dockerd\ndocker=/usr/bin/docker\n", "", DAEMON), [Ok(true), Ok(true), Ok(false)]);
        assert_eq!(installed("", "", &rootless), [Ok(true), Ok(true), Ok(true)]);
        assert_eq!(installed("docker=/snap/bin/docker\n", "", ""), [Ok(true), Ok(false), Ok(false)]);
        // Podman's program of the same name, or a client alone.
        assert_eq!(installed("docker=/usr/bin/docker\n", "", "")[1..], [Ok(false), Ok(false)]);
    }

    #[test]
    fn other_engines_show_by_their_programs() {
        let tools = answered("podman=/usr/bin/podman\nkubelet=/usr/bin/kubelet\n");
        let facts = facts(&["docker.other_engines"], "", &[("tools", tools)]);
        assert_eq!(facts.value("docker.other_engines"), Ok(&Value::list(["/usr/bin/podman", "/usr/bin/kubelet"])));
    }

    #[test]
    fn networks_tell_whether_their_containers_reach_each_other() {
        let text = r#"[{"Name":"bridge","Scope":"local","Driver":"bridge","EnableIPv6":false,"Internal":false,"Containers":{"x":{"Name":"a"}},"Options":{"com.docker.network.bridge.default_bridge":"true","com.docker.network.bridge.enable_icc":"true","com.docker.network.bridge.host_binding_ipv4":"0.0.0.0"},"Labels":{}},
            {"Name":"o","Scope":"swarm","Driver":"overlay","Containers":null,"Options":{"encrypted":""},"Labels":null}]"#;
        let facts = facts(&["docker.networks"], DAEMON, &[("docker-networks", answered(text))]);
        let networks = facts.value("docker.networks").expect("known").as_list().expect("a list").to_vec();
        assert_eq!(networks[0].field("icc"), Some(&Value::Bool(true)));
        assert_eq!(networks[0].field("host_address"), Some(&Value::from("0.0.0.0")));
        assert_eq!(networks[0].field("containers"), Some(&Value::Int(1)));
        assert_eq!(networks[1].field("encrypted"), Some(&Value::Bool(true)));
        assert_eq!(networks[1].field("icc"), Some(&Value::Null));
    }

    #[test]
    fn an_engine_in_use_in_a_swarm_with_its_own_images_is_told() {
        let info = INFO
            .replace("\"inactive\"", "\"locked\"")
            .replace("[[\"Backing Filesystem\",\"extfs\"]]", "[[\"driver-type\",\"io.containerd.snapshotter.v1\"]]")
            .replace("[\"127.0.0.0/8\"]", "[\"::1/128\",\"127.0.0.0/8\",\"10.0.0.0/8\"]");
        assert_eq!(state(&info, "insecure_registries"), Value::list(["10.0.0.0/8"]));
        let facts = facts(&["docker.swarm_active", "docker.containerd_store"], DAEMON, &[("docker-info", answered(&info))]);
        assert_eq!(facts.value("docker.swarm_active"), Ok(&Value::Bool(true)));
        assert_eq!(facts.value("docker.containerd_store"), Ok(&Value::Bool(true)));
    }
}
