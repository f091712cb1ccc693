//! The containers, as `docker inspect` describes them.
//!
//! What is kept of its answer is what is read here, and no more: commands, labels and the values of environment variables, where secrets live, are dropped before
//! anything else sees them.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::docker::daemon_answer;
use super::secrets::{REDACTED, names_a_secret};
use super::{Answer, FactSpec, Input, Kind, Output, Probe, Wanted, needs_nothing};
use crate::command::{Fragment, ReadOnlyCommand, Rights, Step};
use crate::model::{Value, Why};

pub(super) const PROBE: Probe = Probe { name: "docker_containers", facts: FACTS, needs: needs_nothing, steps, parse, redact };

const SOURCE: &str = "docker inspect";
const TEXTS: Kind = Kind::List(&Kind::Text);

const CONTAINER: Kind = Kind::Record(&[
    ("id", Kind::Text),
    ("name", Kind::Text),
    ("image", Kind::Text),
    ("user", Kind::Text),
    ("state", Kind::Text),
    ("running", Kind::Bool),
    ("started", Kind::Text),
    ("privileged", Kind::Bool),
    ("cap_add", TEXTS),
    ("cap_drop", TEXTS),
    ("network_mode", Kind::Text),
    ("host_network", Kind::Bool),
    ("networks", TEXTS),
    ("pid_mode", Kind::Text),
    ("ipc_mode", Kind::Text),
    ("uts_mode", Kind::Text),
    ("userns_mode", Kind::Text),
    ("cgroupns_mode", Kind::Text),
    ("cgroup_parent", Kind::Text),
    ("security_options", TEXTS),
    ("no_new_privileges", Kind::Bool),
    ("seccomp", Kind::Text),
    ("apparmor_profile", Kind::Text),
    ("selinux_label", Kind::Text),
    ("masked_paths", Kind::Bool),
    ("read_only", Kind::Bool),
    ("memory", Kind::Int),
    ("cpu_limited", Kind::Bool),
    ("pids_limit", Kind::Int),
    ("ulimits", TEXTS),
    ("restart", Kind::Text),
    ("restart_retries", Kind::Int),
    ("log_driver", Kind::Text),
    ("log_max_size", Kind::Maybe(&Kind::Text)),
    ("publish_all", Kind::Bool),
    ("devices", TEXTS),
    ("device_rules", TEXTS),
    ("device_requests", Kind::Int),
    ("sysctls", Kind::Map(&Kind::Text)),
    ("health", Kind::Text),
    ("runtime", Kind::Text),
    ("secret_variables", TEXTS),
]);

const MOUNT: Kind = Kind::Record(&[
    ("container", Kind::Text),
    ("image", Kind::Text),
    ("type", Kind::Text),
    ("source", Kind::Text),
    ("destination", Kind::Text),
    ("writable", Kind::Bool),
    ("propagation", Kind::Text),
    ("runtime_socket", Kind::Bool),
]);

const PORT: Kind = Kind::Record(&[
    ("container", Kind::Text),
    ("image", Kind::Text),
    ("inside", Kind::Text),
    ("address", Kind::Text),
    ("port", Kind::Int),
]);

const FACTS: &[FactSpec] = &[
    FactSpec {
        name: "docker.containers",
        key: None,
        kind: Kind::List(&CONTAINER),
        unit: None,
        source: SOURCE,
        rights: Rights::Docker,
        summary: "All containers, whether they run or not, without the pause containers of Kubernetes. `state` is created, running, paused, restarting, exited or dead, and `running` true where there are processes (running, paused, restarting). Capabilities are written without CAP_; a limit of 0 is none; `secret_variables` names the environment variables that hold a secret in plain sight; `host_network` follows `container:` to the container that owns the network.",
    },
    FactSpec {
        name: "docker.container_mounts",
        key: None,
        kind: Kind::List(&MOUNT),
        unit: None,
        source: SOURCE,
        rights: Rights::Docker,
        summary: "What is mounted into containers, whether they run or not; `runtime_socket` where the socket of a container engine is, or lies in, the mounted path.",
    },
    FactSpec {
        name: "docker.container_ports",
        key: None,
        kind: Kind::List(&PORT),
        unit: None,
        source: SOURCE,
        rights: Rights::Docker,
        summary: "Ports of the host that lead into running containers: `inside` is the container's port and protocol, `address` where the host listens.",
    },
];

const STEP: &str = "docker-containers";

fn steps(wanted: &Wanted) -> Vec<Step> {
    if wanted.iter().next().is_none() {
        return Vec::new();
    }
    let command = ReadOnlyCommand::fragment::<&str>(Fragment::DockerContainers, &[], Rights::Docker);
    // Hundreds of containers take the daemon a while.
    command.ok().map(|command| Step::new(STEP, command).within(std::time::Duration::from_secs(30))).into_iter().collect()
}

/// The ids asked for, one a line, then one document with what is kept of all containers.
fn redact(step: &str, stdout: &[u8]) -> Option<Vec<u8>> {
    (step == STEP).then(|| {
        let text = String::from_utf8_lossy(stdout);
        let (ids, documents) = split(&text);
        let kept = match inspected(documents) {
            Ok(mut containers) => {
                containers.iter_mut().for_each(Inspected::redact);
                serde_json::to_string(&containers).unwrap_or_default()
            }
            Err(fault) => fault,
        };
        format!("{ids}{kept}\n").into_bytes()
    })
}

/// The lines of ids, and what follows them.
fn split(text: &str) -> (&str, &str) {
    let is_id = |line: &str| !line.is_empty() && line.bytes().all(|byte| byte.is_ascii_hexdigit());
    let mut end = 0;
    for line in text.split_inclusive('\n') {
        if !is_id(line.trim_end()) {
            break;
        }
        end += line.len();
    }
    text.split_at(end)
}

/// JSON arrays, one after the other. The fault says nothing of the text.
fn inspected(documents: &str) -> Result<Vec<Inspected>, String> {
    let mut all = Vec::new();
    for containers in serde_json::Deserializer::from_str(documents).into_iter::<Vec<Inspected>>() {
        let containers = containers
            .map_err(|error| format!("not as Docker describes containers: line {}, column {}", error.line(), error.column()))?;
        all.extend(containers);
    }
    Ok(all)
}

fn parse(input: &Input<'_>, output: &mut Output) {
    let answers = input.answers;
    let containers = daemon_answer(answers, STEP).and_then(|text| containers(&text, answers.answer(STEP)?));
    let list = |values: fn(&Inspected) -> Vec<Value>| {
        containers.as_ref().map(|all| Value::List(all.iter().flat_map(values).collect())).map_err(Clone::clone)
    };
    output.set("docker.containers", list(|container| vec![container.value()]));
    output.set("docker.container_mounts", list(Inspected::mounts));
    output.set("docker.container_ports", list(Inspected::ports));
}

/// Every container that was asked for, or the reason why one is missing: it may have ended since, and for no other reason.
fn containers(text: &str, answer: &Answer) -> Result<Vec<Inspected>, Why> {
    let (ids, documents) = split(text);
    let mut containers =
        inspected(documents).map_err(|fault| Why::CouldNotBeParsed(format!("`docker inspect` answered {fault}")))?;
    let answered: BTreeSet<&str> = containers.iter().map(|container| container.id.as_str()).collect();
    let complaints = answer.error_text();
    let gone = |id: &str| complaints.lines().any(|line| line.contains("No such") && line.contains(id));
    if let Some(id) = ids.lines().map(str::trim).find(|id| !answered.contains(id) && !gone(id)) {
        let refusal = answer.refusal();
        let complaint = refusal.clone().unwrap_or_else(|| answer.complaint());
        let what = format!("`docker inspect` says nothing of the container {}: {complaint}", short(id));
        return Err(if answer.was_denied() || refusal.is_some() { Why::NeedsRoot(what) } else { Why::ProbeFailed(what) });
    }
    let hosts = on_host_network(&containers);
    for container in &mut containers {
        container.host_network = hosts.contains(&container.id);
    }
    containers.retain(|container| !container.is_pause());
    containers.sort_by(|one, other| (&one.name, &one.id).cmp(&(&other.name, &other.id)));
    Ok(containers)
}

/// The ids of containers in the network of the host, directly or by joining another container that is.
fn on_host_network(containers: &[Inspected]) -> BTreeSet<String> {
    let mut found: BTreeSet<String> = containers
        .iter()
        .filter(|container| container.host_config.network_mode == "host")
        .map(|container| container.id.clone())
        .collect();
    // A chain of joins is never longer than there are containers.
    for _ in 0..containers.len() {
        let joined = containers.iter().filter(|container| {
            let owner = container.host_config.network_mode.strip_prefix("container:");
            owner.is_some_and(|owner| found.contains(owner)) && !found.contains(&container.id)
        });
        let joined: Vec<String> = joined.map(|container| container.id.clone()).collect();
        if joined.is_empty() {
            break;
        }
        found.extend(joined);
    }
    found
}

fn short(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}

/// What is kept of a container. Lists, maps and records may be null or missing.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase", default)]
struct Inspected {
    id: String,
    name: String,
    state: State,
    app_armor_profile: String,
    process_label: String,
    config: Config,
    host_config: HostConfig,
    mounts: Option<Vec<Mount>>,
    network_settings: Option<NetworkSettings>,
    #[serde(skip)]
    host_network: bool,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase", default)]
struct State {
    status: String,
    running: bool,
    paused: bool,
    restarting: bool,
    started_at: String,
    health: Option<Health>,
}

impl State {
    /// Engines before 1.9 tell it in flags only.
    fn word(&self) -> &str {
        match self.status.as_str() {
            "" if self.restarting => "restarting",
            "" if self.paused => "paused",
            "" if self.running => "running",
            "" => "exited",
            status => status,
        }
    }
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase", default)]
struct Health {
    status: String,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase", default)]
struct Config {
    image: String,
    user: String,
    env: Option<Vec<String>>,
    labels: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase", default)]
struct HostConfig {
    privileged: bool,
    network_mode: String,
    pid_mode: String,
    ipc_mode: String,
    #[serde(rename = "UTSMode")]
    uts_mode: String,
    userns_mode: String,
    cgroupns_mode: String,
    cgroup_parent: String,
    cap_add: Option<Vec<String>>,
    cap_drop: Option<Vec<String>>,
    security_opt: Option<Vec<String>>,
    masked_paths: Option<Vec<String>>,
    readonly_paths: Option<Vec<String>>,
    readonly_rootfs: bool,
    memory: i64,
    cpu_shares: i64,
    nano_cpus: i64,
    cpu_quota: i64,
    cpuset_cpus: String,
    pids_limit: Option<i64>,
    ulimits: Option<Vec<Ulimit>>,
    restart_policy: RestartPolicy,
    log_config: LogConfig,
    publish_all_ports: bool,
    devices: Option<Vec<Device>>,
    device_cgroup_rules: Option<Vec<String>>,
    device_requests: Option<Vec<DeviceRequest>>,
    sysctls: Option<BTreeMap<String, String>>,
    runtime: String,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase", default)]
struct Ulimit {
    name: String,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase", default)]
struct RestartPolicy {
    name: String,
    maximum_retry_count: i64,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase", default)]
struct LogConfig {
    r#type: String,
    config: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase", default)]
struct Device {
    path_on_host: String,
    cgroup_permissions: String,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase", default)]
struct DeviceRequest {
    driver: String,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase", default)]
struct Mount {
    r#type: String,
    source: String,
    destination: String,
    #[serde(rename = "RW")]
    writable: bool,
    propagation: String,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase", default)]
struct NetworkSettings {
    ports: Option<BTreeMap<String, Option<Vec<Binding>>>>,
    networks: Option<BTreeMap<String, Attachment>>,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase", default)]
struct Binding {
    host_ip: String,
    host_port: String,
}

/// That a container is attached to a network is all that is kept of it.
#[derive(Debug, Default, Deserialize, Serialize)]
struct Attachment {}

/// The label that Kubernetes puts on containers; the pause container that holds a pod's namespaces is called POD.
const KUBERNETES_NAME: &str = "io.kubernetes.container.name";

impl Inspected {
    fn redact(&mut self) {
        for variable in self.config.env.iter_mut().flatten() {
            if let Some((name, value)) = variable.split_once('=')
                && is_plain(value)
            {
                *variable = format!("{name}={REDACTED}");
            }
        }
        if let Some(labels) = &mut self.config.labels {
            labels.retain(|name, _| name == KUBERNETES_NAME);
        }
        if let Some(options) = &mut self.host_config.log_config.config {
            options.retain(|name, _| matches!(name.as_str(), "max-size" | "max-file" | "mode"));
        }
    }

    fn is_pause(&self) -> bool {
        self.config.labels.as_ref().and_then(|labels| labels.get(KUBERNETES_NAME)).is_some_and(|name| name == "POD")
            || self.name.trim_start_matches('/').starts_with("k8s_POD_")
    }

    fn label(&self) -> &str {
        let name = self.name.trim_start_matches('/');
        if name.is_empty() { short(&self.id) } else { name }
    }

    /// One that was told to restart is between two runs at most.
    fn is_running(&self) -> bool {
        self.state.running || matches!(self.state.word(), "running" | "paused" | "restarting")
    }

    fn has_security_option(&self, name: &str, value: &str) -> bool {
        let options = self.host_config.security_opt.iter().flatten();
        options.map(|option| option.split_once(['=', ':']).unwrap_or((option, "true"))).any(|option| option == (name, value))
    }

    fn value(&self) -> Value {
        let host = &self.host_config;
        let texts = |list: &Option<Vec<String>>| Value::list(list.iter().flatten().map(String::as_str));
        let capabilities = |list: &Option<Vec<String>>| {
            let names = list.iter().flatten().map(|name| name.to_ascii_uppercase());
            Value::list(names.map(|name| name.strip_prefix("CAP_").map_or_else(|| name.clone(), str::to_owned)))
        };
        let seccomp =
            host.security_opt.iter().flatten().find_map(|option| option.strip_prefix("seccomp")?.strip_prefix(['=', ':']));
        let seccomp = match seccomp {
            _ if host.privileged => "unconfined",
            None | Some("builtin") => "default",
            Some("unconfined") => "unconfined",
            Some(_) => "custom",
        };
        let networks =
            self.network_settings.iter().flat_map(|settings| settings.networks.iter().flatten()).map(|(name, _)| name.as_str());
        let devices = host.devices.iter().flatten().map(|device| device.path_on_host.as_str());
        let sysctls = host.sysctls.iter().flatten().map(|(name, value)| (name.clone(), value.as_str().into()));
        let retries = host.restart_policy.maximum_retry_count;
        let masked = host.masked_paths.as_ref().is_none_or(|paths| !paths.is_empty())
            && host.readonly_paths.as_ref().is_none_or(|paths| !paths.is_empty());
        let log_max_size = host.log_config.config.as_ref().and_then(|options| options.get("max-size")).map(String::as_str);
        Value::record([
            ("id", short(&self.id).into()),
            ("name", self.label().into()),
            ("image", self.config.image.as_str().into()),
            ("user", self.config.user.as_str().into()),
            ("state", self.state.word().into()),
            ("running", self.is_running().into()),
            ("started", self.state.started_at.as_str().into()),
            ("privileged", host.privileged.into()),
            ("cap_add", capabilities(&host.cap_add)),
            ("cap_drop", capabilities(&host.cap_drop)),
            ("network_mode", host.network_mode.as_str().into()),
            ("host_network", self.host_network.into()),
            ("networks", Value::list(networks)),
            ("pid_mode", host.pid_mode.as_str().into()),
            ("ipc_mode", host.ipc_mode.as_str().into()),
            ("uts_mode", host.uts_mode.as_str().into()),
            ("userns_mode", host.userns_mode.as_str().into()),
            ("cgroupns_mode", host.cgroupns_mode.as_str().into()),
            ("cgroup_parent", host.cgroup_parent.as_str().into()),
            ("security_options", texts(&host.security_opt)),
            ("no_new_privileges", self.has_security_option("no-new-privileges", "true").into()),
            ("seccomp", seccomp.into()),
            ("apparmor_profile", self.app_armor_profile.as_str().into()),
            ("selinux_label", self.process_label.as_str().into()),
            ("masked_paths", (masked && !host.privileged).into()),
            ("read_only", host.readonly_rootfs.into()),
            ("memory", host.memory.into()),
            ("cpu_limited", self.is_cpu_limited().into()),
            ("pids_limit", host.pids_limit.unwrap_or(0).max(0).into()),
            ("ulimits", Value::list(host.ulimits.iter().flatten().map(|limit| limit.name.as_str()))),
            ("restart", if host.restart_policy.name.is_empty() { "no" } else { host.restart_policy.name.as_str() }.into()),
            ("restart_retries", retries.into()),
            ("log_driver", host.log_config.r#type.as_str().into()),
            ("log_max_size", log_max_size.into()),
            ("publish_all", host.publish_all_ports.into()),
            ("devices", Value::list(devices)),
            ("device_rules", texts(&host.device_cgroup_rules)),
            ("device_requests", i64::try_from(host.device_requests.as_ref().map_or(0, Vec::len)).unwrap_or(i64::MAX).into()),
            ("sysctls", Value::Map(sysctls.collect())),
            ("health", self.state.health.as_ref().map_or("none", |health| health.status.as_str()).into()),
            ("runtime", host.runtime.as_str().into()),
            ("secret_variables", Value::list(self.secret_variables())),
        ])
    }

    /// Shares of 0 and 1024 are the default, which limits nothing.
    fn is_cpu_limited(&self) -> bool {
        let host = &self.host_config;
        !matches!(host.cpu_shares, 0 | 1024) || host.nano_cpus > 0 || host.cpu_quota > 0 || !host.cpuset_cpus.is_empty()
    }

    fn secret_variables(&self) -> Vec<&str> {
        let variables = self.config.env.iter().flatten().filter_map(|variable| variable.split_once('='));
        variables.filter(|(name, value)| names_a_secret(name) && is_plain(value)).map(|(name, _)| name).collect()
    }

    fn mounts(&self) -> Vec<Value> {
        let mounts = self.mounts.iter().flatten();
        mounts
            .map(|mount| {
                let source = in_run(&mount.source);
                Value::record([
                    ("container", self.label().into()),
                    ("image", self.config.image.as_str().into()),
                    ("type", mount.r#type.as_str().into()),
                    ("runtime_socket", (mount.r#type == "bind" && reaches_runtime_socket(&source)).into()),
                    ("source", source.into()),
                    ("destination", mount.destination.as_str().into()),
                    ("writable", mount.writable.into()),
                    ("propagation", mount.propagation.as_str().into()),
                ])
            })
            .collect()
    }

    /// A container that does not run holds no port of the host.
    fn ports(&self) -> Vec<Value> {
        if !self.is_running() {
            return Vec::new();
        }
        let ports = self.network_settings.iter().flat_map(|settings| settings.ports.iter().flatten());
        ports
            .flat_map(|(inside, bindings)| bindings.iter().flatten().map(move |binding| (inside, binding)))
            .map(|(inside, binding)| {
                // No address is every address.
                let address = if binding.host_ip.is_empty() { "0.0.0.0" } else { binding.host_ip.as_str() };
                Value::record([
                    ("container", self.label().into()),
                    ("image", self.config.image.as_str().into()),
                    ("inside", inside.as_str().into()),
                    ("address", address.into()),
                    ("port", binding.host_port.parse::<i64>().unwrap_or(0).into()),
                ])
            })
            .collect()
    }
}

/// Whether the value of an environment variable is there in plain sight, and not a file that holds it.
fn is_plain(value: &str) -> bool {
    !value.is_empty() && !value.starts_with("/run/secrets/")
}

/// A path without the old name of /run, without a slash at its end.
fn in_run(path: &str) -> String {
    let path = match path.trim_end_matches('/') {
        "" if path.starts_with('/') => "/",
        trimmed => trimmed,
    };
    match path.strip_prefix("/var/run") {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => format!("/run{rest}"),
        _ => path.to_owned(),
    }
}

/// Whether a mounted path is the socket of a container engine, wherever it lies, or a directory above one of the usual places.
fn reaches_runtime_socket(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    let is_socket =
        ["docker.sock", "containerd.sock", "crio.sock", "podman.sock", "cri-dockerd.sock", "buildkitd.sock"].contains(&name);
    // /var holds the link /var/run, but a link to /run leads to the container's own.
    is_socket
        || [
            "/",
            "/run",
            "/run/containerd",
            "/run/crio",
            "/run/podman",
            "/run/docker",
            "/run/docker/containerd",
            "/run/k3s",
            "/run/k3s/containerd",
        ]
        .contains(&path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Facts;
    use crate::probe::script::tests::{answered, answered_with, facts_of};

    const ID: &str = "723d163e3599ba2e0546352d8ea6e96b609b1c018b35f03b277cdcdb7a77e482";
    const OTHER: &str = "6075947554c5c4bde7563752cfc83010184d92a6745f1831a4fe90e43adea6d3";

    /// Of Docker 20.10, shortened.
    const WEAK: &str = r#"[{"Id":"723d163e3599ba2e0546352d8ea6e96b609b1c018b35f03b277cdcdb7a77e482","Path":"sleep","Args":["--password=hunter3"],"State":{"Status":"running","Pid":10812,"StartedAt":"2026-11-23T23:12:25.953747087Z"},"Name":"/weak","AppArmorProfile":"","ProcessLabel":"","HostConfig":{"Binds":["/var/run/docker.sock:/var/run/docker.sock","/etc:/host/etc:ro"],"LogConfig":{"Type":"json-file","Config":{"max-file":"3","max-size":"1m","splunk-token":"hunter4"}},"NetworkMode":"none","RestartPolicy":{"Name":"no","MaximumRetryCount":0},"CapAdd":["CAP_NET_ADMIN"],"CapDrop":["all"],"CgroupnsMode":"host","IpcMode":"private","PidMode":"host","Privileged":false,"ReadonlyRootfs":false,"SecurityOpt":["seccomp=unconfined","label=disable","no-new-privileges:false"],"UTSMode":"","UsernsMode":"","Sysctls":{"net.ipv4.ip_forward":"1"},"Runtime":"runc","CpuShares":0,"Memory":0,"NanoCpus":0,"CpuQuota":0,"CpusetCpus":"","Devices":[{"PathOnHost":"/dev/null","PathInContainer":"/dev/null","CgroupPermissions":"rwm"}],"DeviceCgroupRules":null,"DeviceRequests":null,"PidsLimit":null,"Ulimits":[{"Name":"nofile","Hard":100,"Soft":100}],"MaskedPaths":["/proc/asound"],"ReadonlyPaths":["/proc/bus"]},"Mounts":[{"Type":"bind","Source":"/var/run/docker.sock","Destination":"/var/run/docker.sock","Mode":"","RW":true,"Propagation":"rprivate"},{"Type":"bind","Source":"/etc","Destination":"/host/etc","Mode":"ro","RW":false,"Propagation":"rprivate"}],"Config":{"User":"","Env":["DB_PASSWORD=hunter2","EMPTY_TOKEN=","API_TOKEN=/run/secrets/token","PATH=/usr/bin"],"Image":"base:1","Labels":{"traefik.auth":"hunter5"}},"NetworkSettings":{"Ports":{},"Networks":{"none":{"NetworkID":"x"}}}}]"#;

    fn facts(stdout: &str, stderr: &str) -> Facts {
        let names = ["docker.containers", "docker.container_mounts", "docker.container_ports"];
        facts_of(&names, &[(STEP, answered_with(stdout, stderr, 0))])
    }

    fn only(facts: &Facts, fact: &str) -> Value {
        let list = facts.value(fact).expect("known").as_list().expect("a list");
        assert_eq!(list.len(), 1);
        list[0].clone()
    }

    fn container(json: &str) -> Value {
        only(&facts(&format!("{ID}\n{json}"), ""), "docker.containers")
    }

    #[test]
    fn a_container_is_understood_field_by_field() {
        let container = container(WEAK);
        let expect = [
            ("name", Value::from("weak")),
            ("id", "723d163e3599".into()),
            ("cap_add", Value::list(["NET_ADMIN"])),
            ("cap_drop", Value::list(["ALL"])),
            ("seccomp", "unconfined".into()),
            ("no_new_privileges", false.into()),
            ("masked_paths", true.into()),
            ("pid_mode", "host".into()),
            ("pids_limit", 0i64.into()),
            ("log_max_size", "1m".into()),
            ("devices", Value::list(["/dev/null"])),
            ("secret_variables", Value::list(["DB_PASSWORD"])),
            ("cpu_limited", false.into()),
            ("host_network", false.into()),
            ("health", "none".into()),
            ("state", "running".into()),
            ("running", true.into()),
        ];
        for (field, value) in expect {
            assert_eq!(container.field(field), Some(&value), "{field}");
        }
    }

    #[test]
    fn a_container_that_does_not_run_is_described_and_holds_no_ports() {
        let ports = r#""Ports":{"80/tcp":[{"HostIp":"","HostPort":"8080"}]}"#;
        for (state, running) in [("created", false), ("exited", false), ("paused", true), ("restarting", true)] {
            let json = WEAK
                .replace(r#""Status":"running""#, &format!(r#""Status":"{state}""#))
                .replace(r#""Privileged":false"#, r#""Privileged":true"#)
                .replace(r#""Ports":{}"#, ports);
            let facts = facts(&format!("{ID}\n{json}"), "");
            let container = only(&facts, "docker.containers");
            assert_eq!(container.field("state"), Some(&state.into()));
            assert_eq!(container.field("running"), Some(&running.into()));
            assert_eq!(container.field("privileged"), Some(&true.into()));
            let count = |fact| facts.value(fact).map(|list| list.as_list().map(<[Value]>::len));
            assert_eq!(count("docker.container_mounts"), Ok(Some(2)));
            assert_eq!(count("docker.container_ports"), Ok(Some(usize::from(running))));
        }
    }

    #[test]
    fn that_no_daemon_runs_is_said_in_plain_words() {
        for complaint in [
            "Cannot connect to the Docker daemon at unix:///run/docker.sock. Is the docker daemon running?\n",
            "failed to connect to the docker API at unix:///run/docker.sock; check if the path is correct and if the daemon is running: dial unix /run/docker.sock: connect: no such file or directory\n",
        ] {
            let facts = facts_of(&["docker.containers"], &[(STEP, answered_with("", complaint, 1))]);
            let Err(Why::ProbeFailed(detail)) = facts.value("docker.containers") else { panic!("{complaint}") };
            assert!(detail.ends_with("it is not running"), "{detail}");
        }
    }

    #[test]
    fn nothing_secret_is_kept() {
        let kept = redact(STEP, format!("{ID}\n{WEAK}").as_bytes()).expect("redacted");
        let kept = String::from_utf8(kept).expect("text");
        assert!(!kept.contains("hunter"), "{kept}");
        assert!(kept.starts_with(ID) && kept.contains("DB_PASSWORD=redacted"));
        let again = redact(STEP, kept.as_bytes()).expect("redacted");
        assert_eq!(String::from_utf8(again).expect("text"), kept, "a recording is replayed as it is");
    }

    #[test]
    fn what_is_not_a_description_is_unknown_and_none_of_it_is_kept() {
        for documents in ["[{\"Id\":\"hunter2", "[{\"Id\": 7, \"Path\": \"hunter2\"}]", "hunter2"] {
            let kept = redact(STEP, format!("{ID}\n{documents}").as_bytes()).expect("redacted");
            assert!(!String::from_utf8_lossy(&kept).contains("hunter2"), "{documents}");
            assert!(matches!(facts(&format!("{ID}\n{documents}"), "").value("docker.containers"), Err(Why::CouldNotBeParsed(_))));
        }
    }

    #[test]
    fn mounts_tell_which_of_them_hands_over_the_engine() {
        let facts = facts(&format!("{ID}\n{WEAK}"), "");
        let mounts = facts.value("docker.container_mounts").expect("known").as_list().expect("a list");
        let shown: Vec<(String, bool)> = mounts
            .iter()
            .map(|mount| {
                (mount.field("source").expect("source").to_string(), mount.field("runtime_socket") == Some(&Value::Bool(true)))
            })
            .collect();
        assert_eq!(shown, [("/run/docker.sock".to_owned(), true), ("/etc".to_owned(), false)]);
        for (path, reaches) in
            [("/", true), ("/run", true), ("/run/user/1000/docker.sock", true), ("/var", false), ("/run/docker.socket", false)]
        {
            assert_eq!(reaches_runtime_socket(path), reaches, "{path}");
        }
        assert_eq!([in_run("/var/run/"), in_run("/"), in_run("/var/runner")], ["/run", "/", "/var/runner"]);
    }

    #[test]
    fn several_documents_make_one_list_and_a_network_is_followed_to_its_owner() {
        let first = format!(
            "[{{\"Id\":\"{ID}\",\"Name\":\"/b\",\"HostConfig\":{{\"NetworkMode\":\"container:{OTHER}\",\"CapAdd\":null}}}}]\n"
        );
        let second = format!("[{{\"Id\":\"{OTHER}\",\"Name\":\"/k8s_POD_a\",\"HostConfig\":{{\"NetworkMode\":\"host\"}}}}]\n");
        let facts = facts(&format!("{ID}\n{OTHER}\n{first}{second}"), "");
        let container = only(&facts, "docker.containers");
        assert_eq!(container.field("name"), Some(&Value::from("b")));
        assert_eq!(container.field("host_network"), Some(&Value::Bool(true)));
    }

    #[test]
    fn a_container_that_ended_meanwhile_is_none_and_one_that_is_not_described_makes_the_list_unknown() {
        let gone = format!("Error: No such container: {OTHER}\n");
        let facts_gone = facts(&format!("{ID}\n{OTHER}\n{WEAK}"), &gone);
        only(&facts_gone, "docker.containers");
        let stopped = facts(&format!("{ID}\n"), "Cannot connect to the Docker daemon at unix:///run/docker.sock.\n");
        assert!(matches!(stopped.value("docker.containers"), Err(Why::ProbeFailed(_))));
        let refused = facts(&format!("{ID}\n"), "sudo: a password is required\n");
        assert!(matches!(refused.value("docker.containers"), Err(Why::NeedsRoot(_))));
        assert_eq!(facts("\n", "").value("docker.containers"), Ok(&Value::List(Vec::new())), "none runs");
    }

    #[test]
    fn published_ports_come_with_every_address() {
        let json = WEAK.replace(
            "\"Ports\":{}",
            r#""Ports":{"53/udp":null,"80/tcp":[{"HostIp":"0.0.0.0","HostPort":"8080"},{"HostIp":"::","HostPort":"8080"}]}"#,
        );
        let facts = facts(&format!("{ID}\n{json}"), "");
        let ports = facts.value("docker.container_ports").expect("known").as_list().expect("a list");
        let shown: Vec<String> = ports.iter().map(ToString::to_string).collect();
        assert_eq!(shown.len(), 2);
        assert_eq!(shown[1], "address: ::, container: weak, image: base:1, inside: 80/tcp, port: 8080");
    }

    #[test]
    fn a_privileged_container_has_no_seccomp_and_no_masked_paths() {
        let container =
            container(&WEAK.replace("\"Privileged\":false", "\"Privileged\":true").replace("\"seccomp=unconfined\",", ""));
        assert_eq!(container.field("seccomp"), Some(&Value::from("unconfined")));
        assert_eq!(container.field("masked_paths"), Some(&Value::Bool(false)));
    }

    #[test]
    fn the_answer_of_a_daemon_that_does_not_answer_is_a_failure() {
        let answer = answered_with("", "permission denied while trying to connect to the Docker daemon socket\n", 1);
        let facts = facts_of(&["docker.containers"], &[(STEP, answer)]);
        assert!(matches!(facts.value("docker.containers"), Err(Why::NeedsRoot(_))));
        assert!(facts_of(&["docker.containers"], &[(STEP, answered(""))]).value("docker.containers").is_ok());
    }
}
