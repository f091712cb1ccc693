//! Where the container engines keep their data, and whether that is a file system of its own: derived from mounts, fstab, units and configuration.

use std::collections::BTreeMap;

use super::mounts::{Configured, Mount, Mounts, Paths, configured_steps, mountinfo_step};
use super::{FactSpec, Input, Kind, Output, Probe, Transcript, Wanted};
use crate::command::{Fragment, Program, ReadOnlyCommand, Rights, Step};
use crate::model::{FactRef, Value, Why};

pub(super) const PROBE: Probe = Probe { name: "storage", facts: FACTS, needs, steps, parse, redact };

/// A directory and the file system that holds it.
pub(super) const AREA: Kind = Kind::Record(&[
    ("path", Kind::Text),
    ("mountpoint", Kind::Text),
    ("fstype", Kind::Text),
    ("source", Kind::Text),
    ("options", Kind::List(&Kind::Text)),
    ("separate", Kind::Text),
    ("persistence", Kind::Text),
    ("listed_but_not_mounted", Kind::Maybe(&Kind::Text)),
]);

const FACTS: &[FactSpec] = &[
    FactSpec {
        name: "storage.docker",
        key: None,
        kind: AREA,
        unit: None,
        source: "docker info, /proc/self/mountinfo, /etc/fstab, systemctl list-unit-files",
        rights: Rights::Any,
        summary: "The file system that holds Docker's data directory. separate is one of: own (mounted there, nothing else on it), shared (another than that of /, with other directories on it), root, bind (another directory of the file system of / is mounted there), subvolume (of the btrfs of /), memory, network, automount. persistence is fstab, unit, zfs or none. listed_but_not_mounted is a mountpoint on the way that is configured and has nothing mounted.",
    },
    FactSpec {
        name: "storage.docker_elsewhere",
        key: None,
        kind: Kind::Bool,
        unit: None,
        source: "docker info",
        rights: Rights::Docker,
        summary: "Whether the storage driver is known to keep layers outside of the data directory (devicemapper on a block device).",
    },
    FactSpec {
        name: "storage.docker_space",
        key: None,
        kind: Kind::Record(&[
            ("mountpoint", Kind::Text),
            ("used_percent", Kind::Int),
            ("inodes_used_percent", Kind::Maybe(&Kind::Int)),
        ]),
        unit: Some("percent"),
        source: "df -Pk, df -Pi",
        rights: Rights::Any,
        summary: "How full the file system of Docker's data directory is; inodes are null where it has no fixed number of them.",
    },
    FactSpec {
        name: "storage.containerd_in_use",
        key: None,
        kind: Kind::Bool,
        unit: None,
        source: "docker info, /proc/PID/comm",
        rights: Rights::Docker,
        summary: "Whether images and layers are kept by containerd: as Docker's image store, or because containerd runs without Docker.",
    },
    FactSpec {
        name: "storage.containerd",
        key: None,
        kind: AREA,
        unit: None,
        source: "/etc/containerd/config.toml, /proc/PID/cmdline, /proc/self/mountinfo, /etc/fstab, systemctl list-unit-files",
        rights: Rights::Any,
        summary: "The same as storage.docker for the directory of containerd.",
    },
];

const CONTAINERD_ROOT: &str = "/var/lib/containerd";
const CONTAINERD_CONFIG: &str = "/etc/containerd/config.toml";

/// File systems that another machine serves.
const NETWORK: &[&str] = &[
    "nfs",
    "nfs4",
    "cifs",
    "smb3",
    "ceph",
    "fuse.ceph",
    "glusterfs",
    "fuse.glusterfs",
    "fuse.sshfs",
    "fuse.s3fs",
    "9p",
    "lustre",
    "gpfs",
    "beegfs",
    "afs",
    "ocfs2",
    "gfs2",
];

fn needs(wanted: &Wanted) -> Vec<FactRef> {
    let mut needs = Vec::new();
    if wanted.wants_any(&["storage.docker", "storage.docker_space", "storage.containerd"]) {
        needs.push(FactRef::plain("docker.root"));
    }
    if wanted.wants("storage.docker_elsewhere") {
        needs.push(FactRef::plain("docker.state"));
    }
    if wanted.wants("storage.containerd_in_use") {
        needs.extend(["docker.installed", "docker.containerd_store", "process.names"].map(FactRef::plain));
    }
    needs
}

fn steps(wanted: &Wanted) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut ask =
        |id: &str, command: Result<ReadOnlyCommand, _>| steps.extend(command.ok().map(|command| Step::new(id, command)));
    if wanted.wants("storage.docker_space") {
        // Without a path, so that the command is the same for every host; what hangs on a dead server runs into the time limit.
        ask("df-blocks", ReadOnlyCommand::new(Program::Df, &["-Pk"], Rights::Any));
        ask("df-inodes", ReadOnlyCommand::new(Program::Df, &["-Pi"], Rights::Any));
    }
    if wanted.wants("storage.containerd") {
        // Not -s: what cannot be read must be told apart from what is not there.
        let files = ["-rH", "", CONTAINERD_CONFIG, "/etc/containerd/conf.d"];
        ask("containerd-config", ReadOnlyCommand::new(Program::Grep, &files, Rights::Any));
        // `^` and not an empty word, which a rule of sudo cannot well name.
        let files = ["-rH", "^", CONTAINERD_CONFIG, "/etc/containerd/conf.d"];
        ask("containerd-config-root", ReadOnlyCommand::new(Program::Grep, &files, Rights::Root));
        ask(
            "containerd-processes",
            ReadOnlyCommand::fragment(Fragment::Processes, &["containerd", "docker-containe"], Rights::Any),
        );
        ask("containerd-paths", ReadOnlyCommand::fragment(Fragment::RealPaths, &[CONTAINERD_ROOT], Rights::Any));
    }
    if wanted.wants_any(&["storage.docker", "storage.docker_space", "storage.containerd"]) {
        steps.extend(mountinfo_step());
        steps.extend(configured_steps());
    }
    steps
}

/// containerd's configuration may hold passwords of registries, in its tables; what is wanted stands above the first of them.
fn redact(step: &str, stdout: &[u8]) -> Option<Vec<u8>> {
    if !matches!(step, "containerd-config" | "containerd-config-root") {
        return None;
    }
    let text = String::from_utf8_lossy(stdout);
    let mut tables: Option<&str> = None;
    let mut kept = String::with_capacity(text.len().min(4096));
    for line in text.lines() {
        let Some((file, content)) = line.split_once(':') else { continue };
        if content.trim_start().starts_with('[') {
            tables = Some(file);
        }
        if tables != Some(file) {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    Some(kept.into_bytes())
}

/// What there is to say about a directory and the file system that holds it. `path` has no symbolic links in it.
pub(super) fn area(path: &str, mounts: &Mounts, configured: &Configured) -> Result<Value, Why> {
    let held = mounts.file_system(path).zip(mounts.file_system("/"));
    let (mount, root) = held.ok_or_else(|| Why::CouldNotBeParsed(format!("no mount holds `{path}`")))?;
    let separate = separate(path, mount, root);
    // A bind mount is made again when the file system behind it is, or by a line of its own.
    let persistence = match configured.persistence(&mount.mountpoint)? {
        "none" if mount.fstype == "zfs" => "zfs",
        "none" => configured.persistence(&mounts.home(mount).mountpoint)?,
        found => found,
    };
    Ok(Value::record([
        ("path", path.into()),
        ("mountpoint", mount.mountpoint.clone().into()),
        ("fstype", mount.fstype.clone().into()),
        ("source", mount.source.clone().into()),
        ("options", mount.options.clone().into()),
        ("separate", separate.into()),
        ("persistence", persistence.into()),
        ("listed_but_not_mounted", configured.not_mounted(path, mounts).into()),
    ]))
}

/// One of the words of the fact's summary, for a path that is held by `mount`.
fn separate(path: &str, mount: &Mount, root: &Mount) -> &'static str {
    let fstype = mount.fstype.as_str();
    // With userns-remap the data is in a directory of the mountpoint that is named UID.GID.
    let parent = path.rsplit_once('/').filter(|(_, name)| is_remapped(name)).map(|(parent, _)| parent);
    let is_at_path = mount.mountpoint == path || parent == Some(mount.mountpoint.as_str());
    // Each subvolume of a btrfs has a device number of its own: what they share shows in the source.
    let same_as_root = if fstype == "btrfs" { mount.source == root.source } else { mount.device == root.device };
    let is_whole = mount.root == "/" || matches!(fstype, "btrfs" | "zfs");
    match () {
        () if mount.mountpoint == "/" => "root",
        () if fstype == "autofs" => "automount",
        () if matches!(fstype, "tmpfs" | "ramfs" | "overlay") => "memory",
        () if NETWORK.contains(&fstype) => "network",
        () if same_as_root && fstype == "btrfs" => "subvolume",
        () if same_as_root && is_at_path => "bind",
        () if same_as_root => "root",
        () if is_at_path && is_whole => "own",
        () => "shared",
    }
}

/// `165536.165536`
fn is_remapped(name: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    name.split_once('.').is_some_and(|(uid, gid)| digits(uid) && digits(gid))
}

/// The percentage column of `df -P`, of the file system that is mounted at a path; `None` for `-`.
fn used_percent(text: &str, mount: &Mount) -> Result<Option<i64>, Why> {
    let missing = || Why::CouldNotBeParsed(format!("df does not list `{}`", mount.mountpoint));
    // SOURCE BLOCKS USED AVAILABLE PERCENT MOUNTPOINT, where source and mountpoint may have spaces in them.
    let column = |line: &str| {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        words.iter().rfind(|word| word.ends_with('%') || **word == "-").map(|word| (*word).to_owned())
    };
    let at = |line: &&str| line.ends_with(&format!(" {}", mount.mountpoint));
    let source = |line: &&str| line.split_ascii_whitespace().next() == Some(mount.source.as_str());
    // df lists a file system that is mounted twice once, at the shorter of its mountpoints.
    let line = text.lines().skip(1).find(at).or_else(|| text.lines().skip(1).find(source)).ok_or_else(missing)?;
    let column = column(line).ok_or_else(missing)?;
    match column.strip_suffix('%') {
        None => Ok(None),
        Some(number) => number.parse().map(Some).map_err(|_| missing()),
    }
}

fn space(answers: &Transcript, mount: &Mount) -> Result<Value, Why> {
    // df fails as a whole where one of many mounts may not be looked at.
    let table = |id: &str| answers.answer(id).map(super::Answer::text);
    let used = used_percent(&table("df-blocks")?, mount)?;
    let used = used.ok_or_else(|| Why::CouldNotBeParsed(format!("df knows no size of `{}`", mount.mountpoint)))?;
    // A busybox without -i prints its usage: then the inodes are not known, and neither is the fact.
    let inodes = if mount.fstype == "btrfs" { None } else { used_percent(&table("df-inodes")?, mount)? };
    Ok(Value::record([
        ("mountpoint", mount.mountpoint.clone().into()),
        ("used_percent", used.into()),
        ("inodes_used_percent", inodes.into()),
    ]))
}

/// Whether layers are on a block device of their own: devicemapper without its loop files, which the daemon warns about.
fn is_elsewhere(state: &Value) -> bool {
    let warned = state.field("warnings").and_then(Value::as_list).unwrap_or_default();
    let loops = |warning: &Value| warning.as_str().is_some_and(|text| text.contains("loopback"));
    state.field("storage_driver").and_then(Value::as_str) == Some("devicemapper") && !warned.iter().any(loops)
}

fn containerd_in_use(input: &Input<'_>) -> Result<bool, Why> {
    let facts = input.facts;
    if facts.value("docker.installed")?.as_bool() == Some(true) {
        return Ok(facts.value("docker.containerd_store")?.as_bool() == Some(true));
    }
    let names = facts.value("process.names")?.as_list().unwrap_or_default();
    Ok(names.iter().any(|name| name.as_str() == Some("containerd")))
}

/// The arguments of each containerd that is not inside of a container.
fn containerd_arguments(text: &str) -> Vec<Vec<&str>> {
    let mut processes: Vec<(bool, Vec<&str>)> = Vec::new();
    for line in text.lines() {
        let (word, rest) = line.split_once([' ', '\t']).unwrap_or((line, ""));
        if word == "pid" {
            processes.push((false, Vec::new()));
        }
        if let Some((contained, arguments)) = processes.last_mut() {
            match word {
                "NSpid:" => *contained = rest.split_ascii_whitespace().count() > 1,
                "arg" => arguments.push(rest),
                _ => {}
            }
        }
    }
    processes
        .into_iter()
        .filter(|(contained, arguments)| !contained && !arguments.is_empty())
        .map(|(_, arguments)| arguments)
        .collect()
}

/// The value of `--name VALUE` or `--name=VALUE`, or of the short form.
fn argument<'a>(arguments: &[&'a str], long: &str, short: &str) -> Option<&'a str> {
    arguments.iter().enumerate().find_map(|(at, argument)| {
        if *argument == long || *argument == short {
            return arguments.get(at + 1).copied();
        }
        argument.strip_prefix(long)?.strip_prefix('=')
    })
}

/// `root` of containerd's configuration files, or its default.
fn configured_containerd_root(text: &str) -> Result<String, Why> {
    let mut files: BTreeMap<&str, String> = BTreeMap::new();
    for (file, line) in text.lines().filter_map(|line| line.split_once(':')) {
        let content = files.entry(file).or_default();
        content.push_str(line);
        content.push('\n');
    }
    let mut root = None;
    let mut imports = Vec::new();
    // config.toml, then what it imports from conf.d, which counts over it.
    let (first, others): (Vec<_>, Vec<_>) = files.iter().partition(|(file, _)| **file == CONTAINERD_CONFIG);
    for (file, content) in first.into_iter().chain(others) {
        let table: toml::Table =
            toml::from_str(content).map_err(|error| Why::CouldNotBeParsed(format!("`{file}`: {}", error.message())))?;
        if let Some(found) = table.get("root").and_then(toml::Value::as_str).filter(|found| !found.is_empty()) {
            root = Some(found.to_owned());
        }
        imports.extend(table.get("imports").and_then(toml::Value::as_array).cloned().unwrap_or_default());
    }
    let elsewhere = imports.iter().filter_map(toml::Value::as_str).find(|import| !import.starts_with("/etc/containerd/conf.d/"));
    match elsewhere {
        Some(import) => Err(Why::CouldNotBeParsed(format!("`{CONTAINERD_CONFIG}` imports `{import}`, which is not read"))),
        None => Ok(root.unwrap_or_else(|| CONTAINERD_ROOT.to_owned())),
    }
}

/// The directory of containerd, with symbolic links followed where that can be seen.
fn containerd_root(input: &Input<'_>) -> Result<String, Why> {
    let answers = input.answers;
    let processes = answers.text("containerd-processes")?;
    let processes = containerd_arguments(&processes);
    let config = |arguments: &[&str]| argument(arguments, "--config", "-c").map(str::to_owned);
    let managed =
        |arguments: &&Vec<&str>| config(arguments).is_some_and(|config| config.ends_with("/docker/containerd/containerd.toml"));
    if processes.iter().any(|arguments| managed(&arguments)) {
        let root = input.facts.value("docker.root")?;
        let path = root.field("path").and_then(Value::as_str).unwrap_or_default();
        return Ok(format!("{path}/containerd/daemon"));
    }
    let running = processes.first().map(Vec::as_slice).unwrap_or_default();
    let root = match (argument(running, "--root", "--root"), config(running)) {
        (Some(root), _) => root.to_owned(),
        (None, Some(config)) if config != CONTAINERD_CONFIG => {
            return Err(Why::CouldNotBeParsed(format!("containerd is configured by `{config}`, which is not read")));
        }
        _ => {
            let text = answers.text_lenient("containerd-config").or_else(|why| match why {
                Why::NeedsRoot(_) => answers.text_lenient("containerd-config-root"),
                other => Err(other),
            })?;
            configured_containerd_root(&text)?
        }
    };
    let paths = Paths::parse(&answers.text("containerd-paths")?);
    let real = paths.find(&root)?.map(|found| found.real.clone());
    Ok(real.unwrap_or_else(|| if root.len() > 1 { root.trim_end_matches('/').to_owned() } else { root }))
}

fn parse(input: &Input<'_>, output: &mut Output) {
    let answers = input.answers;
    let mounts = Mounts::of(answers);
    let configured = Configured::of(answers);
    let area = |path: Result<String, Why>| {
        let (path, mounts) = (path?, mounts.as_ref().map_err(Clone::clone)?);
        area(&path, mounts, configured.as_ref().map_err(Clone::clone)?)
    };
    let docker = || {
        let root = input.facts.value("docker.root")?;
        let path = root.field("path").and_then(Value::as_str);
        path.map(str::to_owned).ok_or_else(|| Why::CouldNotBeParsed("`docker.root` names no path".to_owned()))
    };
    output.set("storage.docker", area(docker()));
    output.set("storage.docker_elsewhere", input.facts.value("docker.state").map(is_elsewhere).or(Ok::<_, Why>(false)));
    output.set("storage.docker_space", {
        docker().and_then(|path| {
            let mounts = mounts.as_ref().map_err(Clone::clone)?;
            let held = mounts.holding(&path);
            space(answers, held.ok_or_else(|| Why::CouldNotBeParsed(format!("no mount holds `{path}`")))?)
        })
    });
    output.set("storage.containerd_in_use", containerd_in_use(input));
    output.set("storage.containerd", area(containerd_root(input)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::mounts::tests::MOUNTINFO;
    use crate::probe::script::State;
    use crate::probe::script::tests::{answered, answered_with, facts_of, not_run};

    const FSTAB: &str = "/dev/vda / ext4 defaults 0 1\n/dev/mapper/vg-var /var xfs defaults 0 2\n/dev/mapper/vg-docker /var/lib/docker ext4 defaults 0 2\n";

    fn of(path: &str, mountinfo: &str, fstab: &str) -> Value {
        let answers = [("fstab".to_owned(), answered(fstab)), ("mount-units".to_owned(), answered(""))];
        let configured = Configured::of(&Transcript::from_answers(answers, true)).expect("configured");
        area(path, &Mounts::parse(mountinfo).expect("mounts"), &configured).expect("an area")
    }

    fn word(path: &str, mountinfo: &str) -> String {
        of(path, mountinfo, "").field("separate").and_then(Value::as_str).expect("a word").to_owned()
    }

    fn with(line: &str) -> String {
        format!("27 1 254:0 / / rw - ext4 /dev/vda rw\n{line}\n")
    }

    #[test]
    fn a_file_system_mounted_at_the_data_root_is_its_own() {
        let own = of("/var/lib/docker", MOUNTINFO, FSTAB);
        assert_eq!(own.field("separate"), Some(&"own".into()));
        assert_eq!(own.field("persistence"), Some(&"fstab".into()));
        assert_eq!(own.field("listed_but_not_mounted"), Some(&Value::Null));
        assert_eq!(word("/var/lib/docker/165536.165536", MOUNTINFO), "own", "userns-remap");
        assert_eq!(word("/tank/docker", &with("40 27 0:60 / /tank/docker rw - zfs tank/docker rw")), "own");
    }

    #[test]
    fn another_directory_on_the_file_system_makes_it_shared() {
        assert_eq!(word("/var/lib/containerd", MOUNTINFO), "shared");
        assert_eq!(word("/var/lib/docker/volumes", MOUNTINFO), "shared");
        let bind = with("41 27 8:17 /docker /var/lib/docker rw - ext4 /dev/sdb1 rw");
        assert_eq!(word("/var/lib/docker", &bind), "shared", "a bind mount from another disk");
    }

    #[test]
    fn the_bind_mount_that_dockerd_makes_of_its_own_root_is_no_file_system() {
        assert_eq!(word("/srv/docker", MOUNTINFO), "root");
        let bind = with("42 27 254:0 /srv/docker /var/lib/docker rw,relatime shared:1 - ext4 /dev/vda rw,discard");
        assert_eq!(word("/var/lib/docker", &bind), "bind");
        let own_bind = with("42 27 254:0 /var/lib/docker /var/lib/docker rw,relatime shared:1 - ext4 /dev/vda rw,discard");
        assert_eq!(word("/var/lib/docker", &own_bind), "root");
        let over = format!("{MOUNTINFO}70 41 253:2 / /var/lib/docker rw shared:9 - ext4 /dev/mapper/vg-docker rw\n");
        assert_eq!(word("/var/lib/docker", &over), "own", "of a file system that is its own anyway");
    }

    #[test]
    fn a_btrfs_subvolume_shares_the_space_of_its_device_and_not_of_another() {
        let root = "27 1 0:30 /@ / rw - btrfs /dev/vda2 rw,subvol=/@\n";
        let same = format!("{root}40 27 0:31 /@docker /var/lib/docker rw - btrfs /dev/vda2 rw,subvol=/@docker\n");
        assert_eq!(word("/var/lib/docker", &same), "subvolume");
        let other = format!("{root}40 27 0:31 /@docker /var/lib/docker rw - btrfs /dev/vdb rw,subvol=/@docker\n");
        assert_eq!(word("/var/lib/docker", &other), "own");
        assert_eq!(word("/var/lib/docker", root), "root");
    }

    #[test]
    fn memory_network_and_automounts_have_words_of_their_own() {
        for (line, expected) in [
            ("40 27 0:60 / /var/lib/docker rw - tmpfs tmpfs rw", "memory"),
            ("40 27 0:60 / /var/lib/docker rw - nfs4 nas:/docker rw", "network"),
            ("40 27 0:60 / /var/lib/docker rw - autofs systemd-1 rw,fd=29", "automount"),
        ] {
            assert_eq!(word("/var/lib/docker", &with(line)), expected);
        }
    }

    #[test]
    fn a_line_of_fstab_that_is_not_mounted_is_told() {
        let listed = of("/var/lib/docker", &with(""), FSTAB);
        assert_eq!(listed.field("listed_but_not_mounted"), Some(&"/var".into()));
        assert_eq!(listed.field("separate"), Some(&"root".into()));
    }

    #[test]
    fn a_mount_by_hand_does_not_last() {
        assert_eq!(of("/var/lib/docker", MOUNTINFO, "").field("persistence"), Some(&"none".into()));
    }

    fn host<'a>(more: &[(&'a str, crate::probe::Answer)]) -> Vec<(&'a str, crate::probe::Answer)> {
        let mut answers = vec![
            ("mountinfo", answered(MOUNTINFO)),
            ("fstab", answered(FSTAB)),
            ("mount-units", not_run(State::Missing)),
            ("containerd-processes", answered("")),
            ("containerd-paths", answered("directory|/var/lib/containerd|/var/lib/docker/containerd\n")),
            ("docker-root", answered("root /var/lib/docker\npath /var/lib/docker\nstat 710|0|0|root|root|directory\n")),
        ];
        answers.extend(more.iter().cloned());
        answers
    }

    fn containerd(more: &[(&str, crate::probe::Answer)]) -> Result<String, Why> {
        let facts = facts_of(&["storage.containerd"], &host(more));
        facts.value("storage.containerd").map(|area| area.field("path").and_then(Value::as_str).expect("a path").to_owned())
    }

    #[test]
    fn the_directory_of_containerd_is_the_default_the_configured_or_the_one_of_its_process() {
        let none = answered_with("", "grep: /etc/containerd/config.toml: No such file or directory", 2);
        assert_eq!(
            containerd(&[("containerd-config", none.clone())]).as_deref(),
            Ok("/var/lib/docker/containerd"),
            "through a link"
        );
        let config = "/etc/containerd/config.toml:version = 2\n/etc/containerd/config.toml:root = \"/data/containerd/\"\n\
/etc/containerd/config.toml:[plugins.\"io.containerd.grpc.v1.cri\".registry.configs.x.auth]\n/etc/containerd/config.toml:password = \"secret\"\n";
        assert_eq!(containerd(&[("containerd-config", answered(config))]).as_deref(), Ok("/data/containerd"));
        let processes = "pid 5\nname containerd\nUid:\t0\t0\t0\t0\nNSpid:\t5\narg containerd\narg -c\narg /var/lib/rancher/k3s/agent/etc/containerd/config.toml\narg --root\narg /var/lib/rancher/k3s/agent/containerd\n";
        assert_eq!(
            containerd(&[("containerd-processes", answered(processes)), ("containerd-config", none.clone())]).as_deref(),
            Ok("/var/lib/rancher/k3s/agent/containerd")
        );
        let managed =
            "pid 5\nname containerd\nNSpid:\t5\narg containerd\narg --config\narg /var/run/docker/containerd/containerd.toml\n";
        assert_eq!(
            containerd(&[("containerd-processes", answered(managed)), ("containerd-config", none)]).as_deref(),
            Ok("/var/lib/docker/containerd/daemon")
        );
    }

    #[test]
    fn a_configuration_that_cannot_be_read_is_asked_of_root_or_not_known() {
        let denied = answered_with("", "grep: /etc/containerd/config.toml: Permission denied", 2);
        let no_root = [("containerd-config", denied.clone()), ("containerd-config-root", not_run(State::NeedsRoot))];
        assert!(matches!(containerd(&no_root), Err(Why::NeedsRoot(_))));
        let root = answered("/etc/containerd/config.toml:root = '/srv/c'\n");
        assert_eq!(containerd(&[("containerd-config", denied), ("containerd-config-root", root)]).as_deref(), Ok("/srv/c"));
        let imports = answered("/etc/containerd/config.toml:imports = [\"/opt/c.toml\"]\n");
        assert!(matches!(containerd(&[("containerd-config", imports)]), Err(Why::CouldNotBeParsed(_))));
    }

    #[test]
    fn passwords_in_the_configuration_of_containerd_are_taken_out() {
        let text = b"/a:root = \"/x\"\n/a:[plugins.x.auth]\n/a:password = \"secret\"\n/b:version = 2\n";
        let kept = redact("containerd-config", text).expect("redacted");
        assert_eq!(String::from_utf8_lossy(&kept), "/a:root = \"/x\"\n/b:version = 2\n");
        assert_eq!(redact("mountinfo", text), None);
    }

    #[test]
    fn the_fill_of_the_file_system_comes_from_df() {
        let blocks = "Filesystem     1024-blocks     Used Available Capacity Mounted on\n/dev/vda         264212084 22718200  72567688      24% /\n/dev/mapper/vg-docker 100 91 9 91% /var/lib/docker\n";
        let inodes = "Filesystem       Inodes  IUsed    IFree IUse% Mounted on\n/dev/vda       16777216 463655 16313561    3% /\n/dev/mapper/vg-docker 0 0 0 - /var/lib/docker\n";
        let partly = answered_with(blocks, "df: /var/lib/docker/overlay2/x/merged: Permission denied", 1);
        let facts = facts_of(&["storage.docker_space"], &host(&[("df-blocks", partly), ("df-inodes", answered(inodes))]));
        let expected = Value::record([
            ("mountpoint", "/var/lib/docker".into()),
            ("used_percent", Value::Int(91)),
            ("inodes_used_percent", Value::Null),
        ]);
        assert_eq!(facts.value("storage.docker_space"), Ok(&expected));
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in "(\\PC|\n){0,200}", path in "/?\\PC{0,20}") {
            let mounts = Mounts::parse(MOUNTINFO).expect("mounts");
            let mount = mounts.holding("/").expect("a mount");
            let _ = (used_percent(&text, mount), configured_containerd_root(&text), containerd_arguments(&text), separate(&path, mount, mount));
            let _ = redact("containerd-config", text.as_bytes());
        }
    }
}
