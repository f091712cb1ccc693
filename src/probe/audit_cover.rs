//! Which files of the container engine the audit rules cover: derived from the rules, the mounts and where paths lead.
//!
//! What a rule covers was tried on Linux 6.18 with audit 3.0.9: a watch on a symbolic link covers the link alone, neither what it leads to nor an access
//! through it; a watch on a directory covers file systems mounted below it when the rule was loaded, and none mounted later; a directory mounted over
//! itself stays covered. auditctl(8) excludes mountpoints, and an engine mounts much later than rules are loaded, so coverage across one counts as partial.

use std::collections::BTreeSet;

use super::audit::{Files, Status, files_steps, loaded, loaded_step, status_step};
use super::audit_rules::{Action, Filter, Permissions, Rule, Rules, Target};
use super::mounts::{Found, Mounts, Paths, boundary, is_within, mountinfo_step};
use super::{FactSpec, Input, Kind, Output, Probe, Wanted, no_secrets};
use crate::command::{Fragment, Program, ReadOnlyCommand, Rights, Step};
use crate::model::{FactRef, Value, Why};

pub(super) const PROBE: Probe = Probe { name: "audit_cover", facts: FACTS, needs, steps, parse, redact: no_secrets };

const FACTS: &[FactSpec] = &[
    FactSpec {
        name: "audit.object_paths",
        key: Some("object"),
        kind: Kind::List(&Kind::Text),
        unit: None,
        source: "readlink -f, systemctl show, docker info",
        rights: Rights::Any,
        summary: "The files or directories of a part of the container engine that exist on this host; empty where it has none.",
    },
    FactSpec {
        name: "audit.object",
        key: Some("object"),
        kind: Kind::List(&Kind::Record(&[
            ("path", Kind::Text),
            ("real_path", Kind::Text),
            ("type", Kind::Text),
            ("loaded", Kind::Text),
            ("permissions", Kind::Text),
            ("persistent", Kind::Bool),
            ("rule", Kind::Text),
            ("note", Kind::Text),
        ])),
        unit: None,
        source: "auditctl -s, auditctl -l, grep /etc/audit, /proc/self/mountinfo",
        rights: Rights::Root,
        summary: "For each existing path of a part of the container engine: whether the loaded audit rules cover it (full, partial, none), for which accesses (of rwxa), whether the rule files will load the same again, the rule, and what is wrong.",
    },
    FactSpec {
        name: "audit.not_persistent",
        key: None,
        kind: Kind::List(&Kind::Record(&[("path", Kind::Text), ("rule", Kind::Text), ("note", Kind::Text)])),
        unit: None,
        source: "auditctl -s, auditctl -l, grep /etc/audit, /proc/self/mountinfo",
        rights: Rights::Root,
        summary: "Paths of the container engine that are covered by a loaded audit rule and will not be after the next start.",
    },
    FactSpec {
        name: "audit.covered_paths",
        key: None,
        kind: Kind::Int,
        unit: None,
        source: "auditctl -s, auditctl -l, /proc/self/mountinfo",
        rights: Rights::Root,
        summary: "How many paths of the container engine the loaded audit rules cover, in full or in part.",
    },
];

/// How the paths of an object are found.
#[derive(Debug, Clone, Copy)]
enum Place {
    Fixed(&'static [&'static str]),
    /// Where the daemon stores its data.
    DataRoot,
    /// The daemon's configuration file.
    ConfigFile,
    /// The file of a unit with its drop-ins; where there is no such unit, the files of other init systems.
    Unit(&'static str, &'static [&'static str]),
}

const OBJECTS: &[(&str, Place)] = &[
    (
        "daemon",
        Place::Fixed(&[
            "/usr/bin/dockerd",
            "/usr/sbin/dockerd",
            "/usr/local/bin/dockerd",
            "/usr/local/sbin/dockerd",
            "/usr/bin/dockerd-current",
        ]),
    ),
    ("client", Place::Fixed(&["/usr/bin/docker", "/usr/local/bin/docker", "/usr/bin/docker-current"])),
    ("data-root", Place::DataRoot),
    ("etc-docker", Place::Fixed(&["/etc/docker"])),
    ("service-unit", Place::Unit("docker.service", &["/etc/init.d/docker", "/etc/conf.d/docker"])),
    ("socket-unit", Place::Unit("docker.socket", &[])),
    ("socket-file", Place::Fixed(&["/run/docker.sock", "/var/run/docker.sock"])),
    ("default-docker", Place::Fixed(&["/etc/default/docker"])),
    ("daemon-json", Place::ConfigFile),
    ("default-daemon-json", Place::Fixed(&["/etc/default/daemon.json"])),
    (
        "docker-containerd",
        Place::Fixed(&["/usr/bin/docker-containerd", "/usr/local/bin/docker-containerd", "/usr/bin/docker-containerd-current"]),
    ),
    (
        "docker-runc",
        Place::Fixed(&["/usr/bin/docker-runc", "/usr/local/bin/docker-runc", "/usr/libexec/docker/docker-runc-current"]),
    ),
    (
        "containerd-bin",
        Place::Fixed(&[
            "/usr/bin/containerd",
            "/usr/sbin/containerd",
            "/usr/local/bin/containerd",
            "/usr/libexec/docker/containerd",
        ]),
    ),
    (
        "shim-bins",
        Place::Fixed(&[
            "/usr/bin/containerd-shim",
            "/usr/bin/containerd-shim-runc-v1",
            "/usr/bin/containerd-shim-runc-v2",
            "/usr/sbin/containerd-shim",
            "/usr/sbin/containerd-shim-runc-v1",
            "/usr/sbin/containerd-shim-runc-v2",
            "/usr/local/bin/containerd-shim",
            "/usr/local/bin/containerd-shim-runc-v1",
            "/usr/local/bin/containerd-shim-runc-v2",
        ]),
    ),
    ("containerd-socket", Place::Fixed(&["/run/containerd/containerd.sock", "/run/docker/containerd/containerd.sock"])),
    (
        "runc-bin",
        Place::Fixed(&[
            "/usr/bin/runc",
            "/usr/sbin/runc",
            "/usr/local/bin/runc",
            "/usr/local/sbin/runc",
            "/usr/bin/crun",
            "/usr/bin/youki",
            "/usr/bin/runsc",
            "/usr/local/bin/runsc",
            "/usr/bin/nvidia-container-runtime",
            "/usr/bin/kata-runtime",
        ]),
    ),
    ("containerd-config", Place::Fixed(&["/etc/containerd/config.toml"])),
    ("sysconfig", Place::Fixed(&["/etc/sysconfig/docker", "/etc/sysconfig/docker-storage", "/etc/sysconfig/docker-network"])),
    (
        "cli-plugins",
        Place::Fixed(&["/usr/libexec/docker/cli-plugins", "/usr/lib/docker/cli-plugins", "/usr/local/lib/docker/cli-plugins"]),
    ),
    (
        "proxy-init",
        Place::Fixed(&[
            "/usr/bin/docker-proxy",
            "/usr/sbin/docker-proxy",
            "/usr/local/bin/docker-proxy",
            "/usr/bin/docker-init",
            "/usr/local/bin/docker-init",
            "/usr/libexec/docker/docker-proxy",
            "/usr/libexec/docker/docker-init",
        ]),
    ),
];

const CONFIG_FILE: &str = "/etc/docker/daemon.json";

/// Directories that are symbolic links on many systems.
const LINKS: &[&str] =
    &["/bin", "/sbin", "/lib", "/lib64", "/usr/sbin", "/usr/lib64", "/var/run", "/var/lib/docker", "/var/lib/containerd"];

/// Paths in directories that only root may search on some hosts or on all.
const GUARDED: &[&str] = &[
    "/run/containerd/containerd.sock",
    "/run/docker/containerd/containerd.sock",
    "/etc/docker",
    CONFIG_FILE,
    "/etc/containerd/config.toml",
];

/// The objects that are wanted, or all where a fact about all of them is.
fn wanted_objects(wanted: &Wanted) -> Vec<(&'static str, Place)> {
    let all = wanted.wants_any(&["audit.not_persistent", "audit.covered_paths"]);
    let keys: Vec<&str> = wanted.keys("audit.object").into_iter().chain(wanted.keys("audit.object_paths")).collect();
    OBJECTS.iter().filter(|(key, _)| all || keys.contains(key)).copied().collect()
}

fn needs(wanted: &Wanted) -> Vec<FactRef> {
    let mut needs = Vec::new();
    for (_, place) in wanted_objects(wanted) {
        match place {
            Place::Fixed(_) => {}
            Place::DataRoot => needs.extend([FactRef::plain("docker.installed"), FactRef::plain("docker.root")]),
            Place::ConfigFile => needs.extend([FactRef::plain("docker.installed"), FactRef::plain("docker.config_file")]),
            Place::Unit(unit, _) => needs.push(FactRef::keyed("unit_file", unit)),
        }
    }
    needs
}

fn steps(wanted: &Wanted) -> Vec<Step> {
    let objects = wanted_objects(wanted);
    if objects.is_empty() {
        return Vec::new();
    }
    let mut candidates: Vec<String> = LINKS.iter().map(|path| (*path).to_owned()).collect();
    for (_, place) in objects {
        match place {
            Place::Fixed(paths) => candidates.extend(paths.iter().map(|path| (*path).to_owned())),
            Place::DataRoot => {}
            Place::ConfigFile => candidates.push(CONFIG_FILE.to_owned()),
            Place::Unit(unit, paths) => {
                candidates.extend(paths.iter().map(|path| (*path).to_owned()));
                candidates.extend(["/etc", "/run", "/usr/lib", "/lib"].map(|above| format!("{above}/systemd/system/{unit}")));
            }
        }
    }
    let paths = ReadOnlyCommand::fragment(Fragment::RealPaths, &candidates, Rights::Any).ok();
    let mut steps: Vec<Step> = paths.map(|command| Step::new("audit-paths", command)).into_iter().collect();
    let guarded: Vec<&str> = ["-L", "-c", "%F|%n"].iter().chain(GUARDED).copied().collect();
    let guarded = ReadOnlyCommand::new(Program::Stat, &guarded, Rights::Root).ok();
    steps.extend(guarded.map(|command| Step::new("audit-guarded-paths", command)));
    if wanted.wants_any(&["audit.object", "audit.not_persistent", "audit.covered_paths"]) {
        steps.extend([status_step(), loaded_step(), mountinfo_step()].into_iter().flatten());
        steps.extend(files_steps());
    }
    steps
}

/// Directories that lead elsewhere, so that a path through them has another name too.
#[derive(Debug, Clone, Default)]
struct Links(Vec<(String, String)>);

impl Links {
    fn of(paths: &Paths) -> Self {
        let links = paths.iter().filter(|found| found.kind == "directory" && found.path != found.real);
        // A handful is asked for; more is no answer to that.
        Self(links.take(32).map(|found| (found.path.clone(), found.real.clone())).collect())
    }

    /// The path with links followed, except a last part that is one: the kernel keeps a rule on the link itself.
    fn follow(&self, path: &str) -> String {
        let through = |(link, real): &(String, String)| {
            let rest = path.strip_prefix(link.as_str()).filter(|rest| rest.starts_with('/'))?;
            Some(format!("{real}{rest}"))
        };
        // The longest link is the last one on the way; what it leads to is real already.
        let longest = self.0.iter().filter(|(link, _)| is_within(path, link)).max_by_key(|(link, _)| link.len());
        longest.and_then(through).unwrap_or_else(|| path.to_owned())
    }
}

/// How much of the accesses to a path is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
enum Level {
    #[default]
    None,
    Partial,
    Full,
}

impl Level {
    fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Partial => "partial",
            Self::Full => "full",
        }
    }
}

/// What a set of rules does for one path.
#[derive(Debug, Clone, Default)]
struct Coverage {
    level: Level,
    permissions: Permissions,
    rule: String,
    note: String,
    /// A rule that takes events out again.
    exception: Option<String>,
}

/// Whether a rule is about the path: `None`, or how much, with a remark where it is not all.
fn reach(rule: &Rule, object: &Found, rules: &Rules, way: &BTreeSet<&str>, links: &Links) -> Option<(Level, String)> {
    let (path, below) = match &rule.target {
        Target::Anything => return None,
        Target::Watch(path) | Target::Directory(path) => (path, true),
        Target::Path(path) => (path, false),
    };
    let real = links.follow(path);
    if real == object.real {
        return if below || object.kind != "directory" {
            Some((Level::Full, String::new()))
        } else {
            Some((Level::Partial, "it covers the directory alone and nothing below it: use dir= or -w".to_owned()))
        };
    }
    if *path == object.path {
        return Some((Level::None, format!("it watches the symbolic link, not `{}` that it leads to", object.real)));
    }
    if !below || !is_within(&object.real, &real) {
        return None;
    }
    match boundary(way, &real) {
        Some(at) if !rules.equivalent.contains(at) => Some((
            Level::Partial,
            format!("a file system is mounted below it at `{at}`: what was mounted after the rule was loaded is not covered"),
        )),
        _ => Some((Level::Full, String::new())),
    }
}

/// Whether a rule keeps events of the object from being recorded, for everybody rather than for one program.
fn is_exception(rule: &Rule, object: &Found, rules: &Rules, way: &BTreeSet<&str>, links: &Links) -> bool {
    if rule.filter == Filter::Exclude {
        return rule.messages.iter().any(|message| matches!(message.as_str(), "SYSCALL" | "PATH" | "1300" | "1302"));
    }
    if (rule.filter, rule.action) != (Filter::Exit, Action::Never) {
        return false;
    }
    let of_one_program =
        rule.limits.iter().any(|limit| ["exe", "subj_", "obj_", "pid", "ppid"].iter().any(|name| limit.starts_with(name)));
    match rule.target {
        Target::Anything => !of_one_program,
        _ => reach(rule, object, rules, way, links).is_some_and(|(level, _)| level > Level::None),
    }
}

/// What the rules cover of the accesses to a path.
fn cover(object: &Found, rules: &Rules, mounts: &Mounts, links: &Links) -> Coverage {
    let mut best = Coverage::default();
    let way = mounts.way(&object.real);
    for rule in &rules.rules {
        if is_exception(rule, object, rules, &way, links) {
            best.exception.get_or_insert_with(|| rule.text.clone());
        }
        if (rule.filter, rule.action) != (Filter::Exit, Action::Always) {
            continue;
        }
        let Some((mut level, mut note)) = reach(rule, object, rules, &way, links) else { continue };
        if level == Level::Full && !rule.limits.is_empty() {
            level = Level::Partial;
            note = format!("it is limited to some accesses: {}", rule.limits.join(", "));
        }
        if level > best.level || best.rule.is_empty() {
            best = Coverage { level, permissions: rule.permissions, rule: rule.text.clone(), note, exception: best.exception };
        } else if level == best.level {
            best.permissions = best.permissions.with(rule.permissions);
        }
    }
    match (&best.exception, best.level) {
        (Some(exception), Level::Full) => {
            best.note = format!("another rule takes events out: {exception}");
            best.level = Level::Partial;
        }
        (_, Level::None) => best.permissions = Permissions::default(),
        _ => {}
    }
    best
}

/// Everything that coverage follows from.
struct Evidence {
    /// Why nothing is recorded, whatever the rules say.
    off: Option<String>,
    locked: bool,
    /// `Err` where auditctl is not installed.
    loaded: Result<Rules, Why>,
    lasting: Rules,
    overwritten: Rules,
    mounts: Mounts,
    links: Links,
}

impl Evidence {
    fn of(input: &Input<'_>, links: Links) -> Result<Self, Why> {
        let files = Files::of(input.answers)?;
        let mounts = Mounts::of(input.answers)?;
        let lasting = files.rules();
        let (mut off, mut locked) = (None, false);
        let rules = match Status::of(input.answers) {
            Err(why @ Why::ToolMissing(_)) => Err(why),
            status => {
                let status = status?;
                locked = status.enabled == 2;
                if status.enabled == 0 {
                    off = Some("audit is switched off (auditctl -s: enabled 0)".to_owned());
                }
                let mut rules = loaded(input.answers)?;
                // auditctl -l does not list them.
                rules.equivalent.clone_from(&lasting.equivalent);
                if rules.never_task().is_some() {
                    off = Some("the rule `-a never,task` keeps every process from being audited".to_owned());
                }
                Ok(rules)
            }
        };
        Ok(Self { off, locked, loaded: rules, lasting, overwritten: files.overwritten(), mounts, links })
    }

    fn cover(&self, object: &Found, rules: &Rules) -> Coverage {
        cover(object, rules, &self.mounts, &self.links)
    }

    /// The coverage of one path, and why it does not last, where it doesn't.
    fn judge(&self, object: &Found) -> Result<(Coverage, Option<&'static str>), Why> {
        let lasting = self.cover(object, &self.lasting);
        let mut now = match (&self.loaded, lasting.level) {
            (Ok(rules), _) => self.cover(object, rules),
            // Without auditctl nothing tells what is loaded; that nothing would be is known where no file asks for it.
            (Err(_), Level::None) => {
                Coverage { note: "auditctl is not installed and no rule file covers it".to_owned(), ..Coverage::default() }
            }
            (Err(why), _) => return Err(why.clone()),
        };
        if let (Level::Full, Some(exception)) = (now.level, &lasting.exception) {
            // Old versions of auditctl list a rule that never records like a watch.
            now.level = Level::Partial;
            now.note = format!("a rule file takes events out: {exception}");
        }
        let persistent =
            lasting.level >= now.level && lasting.level > Level::None && lasting.permissions.contains(now.permissions);
        let passing = if persistent {
            None
        } else if self.cover(object, &self.overwritten).level > Level::None {
            Some("only in /etc/audit/audit.rules, which augenrules overwrites: move it to /etc/audit/rules.d")
        } else if lasting.level > Level::None {
            Some("the rule files cover less of it than the loaded rules")
        } else {
            Some("not in the rule files, so it is gone after a restart")
        };
        if let Some(off) = &self.off {
            now = Coverage { note: off.clone(), rule: now.rule, ..Coverage::default() };
        } else if now.level == Level::None && lasting.level > Level::None {
            now.rule = lasting.rule;
            now.note = if self.locked {
                "it is in the rule files and not loaded; audit is locked, so it takes a restart".to_owned()
            } else {
                "it is in the rule files and not loaded".to_owned()
            };
        } else if now.note.is_empty() {
            now.note = if now.level == Level::None { "no audit rule covers it" } else { passing.unwrap_or_default() }.to_owned();
        }
        Ok((now, passing))
    }
}

/// Looks paths up, with the answer that root got for those which the login cannot see.
struct Lookup<'a> {
    paths: Paths,
    links: Links,
    guarded: Result<String, Why>,
    input: &'a Input<'a>,
}

impl Lookup<'_> {
    fn find(&self, path: &str) -> Result<Option<Found>, Why> {
        match (self.paths.find(path), &self.guarded) {
            (Ok(found), _) => Ok(found.cloned()),
            (Err(_), Ok(text)) if GUARDED.contains(&path) => {
                let kind = text.lines().find_map(|line| line.strip_suffix(path)?.strip_suffix('|'));
                Ok(kind.map(|kind| Found {
                    kind: if matches!(kind, "directory" | "socket") { kind } else { "file" }.to_owned(),
                    path: path.to_owned(),
                    real: self.links.follow(path),
                }))
            }
            (Err(why), _) => Err(why),
        }
    }

    /// A path that another fact names, so that it exists.
    fn named(&self, kind: &str, path: &str) -> Found {
        let known = self.paths.find(path).ok().flatten().cloned();
        known.unwrap_or_else(|| Found { kind: kind.to_owned(), path: path.to_owned(), real: self.links.follow(path) })
    }

    fn objects(&self, place: Place) -> Result<Vec<Found>, Why> {
        let facts = self.input.facts;
        let found = match place {
            Place::Fixed(paths) => self.all(paths)?,
            Place::DataRoot => {
                if facts.value("docker.installed")?.as_bool() != Some(true) {
                    return Ok(Vec::new());
                }
                let root = facts.value("docker.root")?;
                let path = |name| root.field(name).and_then(Value::as_str).map(str::to_owned);
                let (configured, real) = (path("configured"), path("path"));
                let (Some(configured), Some(real)) = (configured, real) else {
                    return Err(Why::CouldNotBeParsed("`docker.root` names no path".to_owned()));
                };
                vec![Found { kind: "directory".to_owned(), path: configured, real }]
            }
            Place::ConfigFile => match facts.value("docker.installed")?.as_bool() {
                Some(true) => match facts.value("docker.config_file")?.as_str() {
                    Some(path) if path != CONFIG_FILE => vec![self.named("file", path)],
                    _ => self.all(&[CONFIG_FILE])?,
                },
                _ => self.all(&[CONFIG_FILE])?,
            },
            Place::Unit(unit, others) => {
                let file = facts.keyed("unit_file", unit)?;
                let path = file.field("path").and_then(Value::as_str).into_iter();
                let dropins = file.field("dropins").and_then(Value::as_list).unwrap_or_default().iter().filter_map(Value::as_str);
                // What a generator made is made again at every start, and a masked unit is a link to /dev/null.
                let kept = path.chain(dropins).filter(|path| !path.starts_with("/run/systemd/generator") && *path != "/dev/null");
                let found: Vec<Found> = kept.map(|path| self.named("file", path)).collect();
                if found.is_empty() { self.all(others)? } else { found }
            }
        };
        // One file under two names is one object, by its own name where that is among them.
        let mut seen = BTreeSet::new();
        let mut found = found;
        found.sort_by_key(|found| found.path != found.real);
        found.retain(|found| seen.insert(found.real.clone()));
        Ok(found)
    }

    fn all(&self, paths: &[&str]) -> Result<Vec<Found>, Why> {
        let found: Result<Vec<_>, Why> = paths.iter().map(|path| self.find(path)).collect();
        Ok(found?.into_iter().flatten().collect())
    }
}

fn record(object: &Found, now: &Coverage, persistent: bool) -> Value {
    Value::record([
        ("path", object.path.clone().into()),
        ("real_path", object.real.clone().into()),
        ("type", object.kind.clone().into()),
        ("loaded", now.level.as_str().into()),
        ("permissions", now.permissions.to_string().into()),
        ("persistent", persistent.into()),
        ("rule", now.rule.clone().into()),
        ("note", now.note.clone().into()),
    ])
}

fn parse(input: &Input<'_>, output: &mut Output) {
    let objects = wanted_objects(input.wanted);
    let paths = match input.answers.text("audit-paths") {
        Ok(text) => Paths::parse(&text),
        Err(why) => {
            for (key, _) in objects {
                output.set_keyed("audit.object_paths", key, Err::<Value, _>(why.clone()));
                output.set_keyed("audit.object", key, Err::<Value, _>(why.clone()));
            }
            output.set("audit.not_persistent", Err::<Value, _>(why.clone()));
            output.set("audit.covered_paths", Err::<Value, _>(why));
            return;
        }
    };
    let mut links = Links::of(&paths);
    if let Ok(root) = input.facts.value("docker.root")
        && let (Some(configured), Some(real)) =
            (root.field("configured").and_then(Value::as_str), root.field("path").and_then(Value::as_str))
        && configured != real
    {
        links.0.push((configured.to_owned(), real.to_owned()));
    }
    let evidence = Evidence::of(input, links.clone());
    let lookup = Lookup { paths, links, guarded: input.answers.text_lenient("audit-guarded-paths"), input };
    let mut lost: Result<Vec<Value>, Why> = Ok(Vec::new());
    let mut covered: Result<i64, Why> = Ok(0);
    for (key, place) in objects {
        let found = lookup.objects(place);
        let names = found.as_ref().map(|found| Value::list(found.iter().map(|object| object.path.clone())));
        output.set_keyed("audit.object_paths", key, names.map_err(Clone::clone));
        let judged = found.and_then(|found| {
            // What is not there needs no rule, so nothing about rules need be known.
            if found.is_empty() {
                return Ok(Vec::new());
            }
            let evidence = evidence.as_ref().map_err(Clone::clone)?;
            found.into_iter().map(|object| Ok((evidence.judge(&object)?, object))).collect()
        });
        match &judged {
            Ok(judged) => {
                for ((now, passing), object) in judged.iter().filter(|((now, _), _)| now.level > Level::None) {
                    covered = covered.map(|covered| covered + 1);
                    if let (Some(passing), Ok(lost)) = (*passing, &mut lost) {
                        lost.push(Value::record([
                            ("path", object.path.clone().into()),
                            ("rule", now.rule.clone().into()),
                            ("note", passing.into()),
                        ]));
                    }
                }
            }
            Err(why) => {
                lost = Err(why.clone());
                covered = Err(why.clone());
            }
        }
        let records = judged
            .map(|judged| Value::list(judged.iter().map(|((now, passing), object)| record(object, now, passing.is_none()))));
        output.set_keyed("audit.object", key, records);
    }
    output.set("audit.not_persistent", lost);
    output.set("audit.covered_paths", covered);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Facts;
    use crate::probe::Answer;
    use crate::probe::audit::tests::{STATUS, STOCK};
    use crate::probe::audit_rules::tests::LISTED;
    use crate::probe::mounts::tests::MOUNTINFO;
    use crate::probe::script::State;
    use crate::probe::script::tests::{answered, answered_with, facts_of, not_run};

    fn found(kind: &str, path: &str, real: &str) -> Found {
        Found { kind: kind.to_owned(), path: path.to_owned(), real: real.to_owned() }
    }

    /// The coverage of a file by rules, on a host with merged /usr and mounts at /var, /var/lib/docker and /run.
    fn covered(object: &Found, rules: &[&str]) -> (Level, String, String) {
        let links = Links(vec![("/lib".to_owned(), "/usr/lib".to_owned()), ("/var/run".to_owned(), "/run".to_owned())]);
        let mounts = Mounts::parse(MOUNTINFO).expect("mounts");
        let coverage = cover(object, &Rules::parse(rules.iter().copied()), &mounts, &links);
        (coverage.level, coverage.permissions.to_string(), coverage.note)
    }

    fn level(object: &Found, rules: &[&str]) -> Level {
        covered(object, rules).0
    }

    #[test]
    fn a_name_that_only_begins_alike_covers_nothing() {
        let docker = found("file", "/usr/bin/docker", "/usr/bin/docker");
        assert_eq!(level(&docker, &["-w /usr/bin/dockerd -p rwxa -k docker"]), Level::None);
        assert_eq!(level(&docker, &["-w /usr/bin/docker -p rwxa -k docker"]), Level::Full);
        let etc = found("directory", "/etc/docker", "/etc/docker");
        assert_eq!(level(&etc, &["-w /etc/docker-old -p wa", "-w /etc/docker old -p wa"]), Level::None);
    }

    #[test]
    fn a_directory_covers_what_is_below_it_and_a_path_field_does_not() {
        let json = found("file", "/etc/docker/daemon.json", "/etc/docker/daemon.json");
        assert_eq!(level(&json, &["-w /etc/docker -p wa"]), Level::Full);
        assert_eq!(level(&json, &["-a always,exit -F arch=b64 -S all -F dir=/etc -F perm=wa"]), Level::Full);
        assert_eq!(level(&json, &["-a always,exit -S all -F path=/etc/docker -F perm=wa"]), Level::None);
        let etc = found("directory", "/etc/docker", "/etc/docker");
        assert_eq!(level(&etc, &["-a always,exit -S all -F path=/etc/docker -F perm=wa"]), Level::Partial);
    }

    #[test]
    fn a_directory_watch_does_not_surely_cross_a_mountpoint() {
        let root = found("directory", "/var/lib/docker", "/var/lib/docker");
        let (level, _, note) = covered(&root, &["-w /var/lib -p wa -k lib"]);
        assert_eq!(level, Level::Partial);
        assert!(note.contains("`/var/lib/docker`"), "{note}");
        assert_eq!(covered(&root, &["-w /var/lib/docker -p wa"]).0, Level::Full);
        assert_eq!(covered(&root, &["-w /var/lib -p wa", "-q /var/lib/docker,/var/lib"]).0, Level::Full);
        let socket = found("socket", "/run/docker.sock", "/run/docker.sock");
        assert_eq!(covered(&socket, &["-w /run -p wa"]).0, Level::Full, "the rule is on the mountpoint itself");
        assert_eq!(covered(&socket, &["-w / -p wa"]).0, Level::Partial);
    }

    #[test]
    fn links_on_the_way_are_followed_and_a_link_at_the_end_is_not() {
        let unit = found("file", "/usr/lib/systemd/system/docker.service", "/usr/lib/systemd/system/docker.service");
        assert_eq!(level(&unit, &["-w /lib/systemd/system/docker.service -p wa"]), Level::Full);
        let socket = found("socket", "/run/docker.sock", "/run/docker.sock");
        assert_eq!(level(&socket, &["-w /var/run/docker.sock -p wa"]), Level::Full);
        let runc = found("file", "/usr/bin/runc", "/usr/sbin/runc");
        let (level_of_link, _, note) = covered(&runc, &["-w /usr/bin/runc -p x"]);
        assert_eq!(level_of_link, Level::None);
        assert!(note.contains("symbolic link"), "{note}");
        assert_eq!(level(&runc, &["-w /usr/bin/runc -p x", "-w /usr/sbin/runc -p x"]), Level::Full);
        assert_eq!(level(&unit, &["-w /lib -p wa"]), Level::None, "the link /lib itself");
    }

    #[test]
    fn permissions_add_up_over_the_rules_of_one_path() {
        let docker = found("file", "/usr/bin/docker", "/usr/bin/docker");
        let (_, permissions, _) =
            covered(&docker, &["-w /usr/bin/docker -p x", "-a always,exit -F path=/usr/bin/docker -F perm=wa"]);
        assert_eq!(permissions, "wxa");
    }

    #[test]
    fn a_rule_with_a_limit_covers_in_part() {
        let docker = found("file", "/usr/bin/docker", "/usr/bin/docker");
        for rule in [
            "-a always,exit -F arch=b32 -S all -F path=/usr/bin/docker -F perm=x",
            "-a always,exit -F arch=b64 -S execve -F path=/usr/bin/docker",
            "-a always,exit -F path=/usr/bin/docker -F perm=x -F uid!=0",
        ] {
            assert_eq!(level(&docker, &[rule]), Level::Partial, "{rule}");
        }
        let login = "-a always,exit -S all -F path=/usr/bin/docker -F perm=x -F auid>=1000 -F auid!=-1 -F key=priv";
        assert_eq!(level(&docker, &[login]), Level::Full);
    }

    #[test]
    fn a_rule_that_never_records_takes_coverage_away() {
        let docker = found("file", "/usr/bin/docker", "/usr/bin/docker");
        let watch = "-w /usr/bin/docker -p rwxa";
        assert_eq!(level(&docker, &["-a never,exit -S all -F path=/usr/bin/docker", watch]), Level::Partial);
        assert_eq!(level(&docker, &["-a never,exit -S all -F dir=/usr/bin", watch]), Level::Partial);
        assert_eq!(level(&docker, &["-a never,exit -S all -F uid=0", watch]), Level::Partial);
        assert_eq!(level(&docker, &["-a always,exclude -F msgtype=PATH", watch]), Level::Partial);
        for harmless in [
            "-a never,exclude -F msgtype=CWD",
            "-a never,exit -F subj_type=crond_t",
            "-a never,user -F uid=1",
            "-a never,exit -F path=/x",
        ] {
            assert_eq!(level(&docker, &[harmless, watch]), Level::Full, "{harmless}");
        }
        assert_eq!(level(&docker, &["-a never,exit -S all -F path=/usr/bin/docker"]), Level::None);
    }

    const PATHS: &str = "directory|/lib|/usr/lib\ndirectory|/var/run|/run\nfile|/usr/sbin/dockerd|/usr/sbin/dockerd\n\
file|/usr/bin/runc|/usr/sbin/runc\nfile|/usr/sbin/runc|/usr/sbin/runc\nhidden|/run/docker/containerd/containerd.sock|\n";

    fn host(status: Answer, loaded: &str, files: &str) -> Vec<(&'static str, Answer)> {
        vec![
            ("audit-status", status),
            ("audit-loaded", answered(loaded)),
            ("audit-files", answered_with(files, "", 2)),
            ("mountinfo", answered(MOUNTINFO)),
            ("audit-paths", answered(PATHS)),
            (
                "audit-guarded-paths",
                answered_with(
                    "socket|/run/docker/containerd/containerd.sock\n",
                    "stat: cannot statx '/etc/docker': No such file or directory",
                    1,
                ),
            ),
        ]
    }

    fn object(facts: &Facts, key: &str, name: &str) -> Value {
        let list = facts.keyed("audit.object", key).expect("known").as_list().expect("a list").to_vec();
        assert_eq!(list.len(), 1, "{list:?}");
        list[0].field(name).expect("a field").clone()
    }

    const DAEMON: &[&str] = &["audit.object[\"daemon\"]"];

    #[test]
    fn a_loaded_rule_that_is_in_the_files_covers_and_lasts() {
        let rule = "-w /usr/sbin/dockerd -p rwxa -k docker";
        let files = format!("{STOCK}/etc/audit/rules.d/50-docker.rules:{rule}\n");
        let facts = facts_of(DAEMON, &host(answered(STATUS), rule, &files));
        assert_eq!(object(&facts, "daemon", "loaded"), "full".into());
        assert_eq!(object(&facts, "daemon", "persistent"), true.into());
        assert_eq!(object(&facts, "daemon", "permissions"), "rwxa".into());
        assert_eq!(object(&facts, "daemon", "note"), "".into());
    }

    #[test]
    fn a_rule_in_the_files_that_is_not_loaded_covers_nothing() {
        let files = format!("{STOCK}/etc/audit/rules.d/50-docker.rules:-w /usr/sbin/dockerd -p rwxa -k docker\n");
        let facts = facts_of(DAEMON, &host(answered(STATUS), "No rules\n", &files));
        assert_eq!(object(&facts, "daemon", "loaded"), "none".into());
        assert_eq!(object(&facts, "daemon", "note"), "it is in the rule files and not loaded".into());
        let locked = STATUS.replace("enabled 1", "enabled 2");
        let facts = facts_of(DAEMON, &host(answered(&locked), "No rules\n", &files));
        assert!(object(&facts, "daemon", "note").as_str().is_some_and(|note| note.contains("restart")));
    }

    #[test]
    fn a_loaded_rule_outside_the_files_does_not_last_and_says_where_it_is_overwritten() {
        let rule = "-w /usr/sbin/dockerd -p rwxa -k docker";
        let facts = facts_of(DAEMON, &host(answered(STATUS), rule, STOCK));
        assert_eq!(object(&facts, "daemon", "persistent"), false.into());
        let files = format!("{STOCK}/etc/audit/audit.rules:{rule}\n");
        let facts = facts_of(DAEMON, &host(answered(STATUS), rule, &files));
        assert!(object(&facts, "daemon", "note").as_str().is_some_and(|note| note.contains("augenrules")));
    }

    #[test]
    fn audit_switched_off_and_never_task_leave_nothing_covered() {
        let off = STATUS.replace("enabled 1", "enabled 0");
        let facts = facts_of(DAEMON, &host(answered(&off), "-w /usr/sbin/dockerd -p rwxa\n", STOCK));
        assert_eq!(object(&facts, "daemon", "loaded"), "none".into());
        let listed = format!("{LISTED}-w /usr/sbin/dockerd -p rwxa\n");
        let facts = facts_of(DAEMON, &host(answered(STATUS), &listed, STOCK));
        assert_eq!(object(&facts, "daemon", "loaded"), "none".into());
        assert!(object(&facts, "daemon", "note").as_str().is_some_and(|note| note.contains("never,task")));
    }

    #[test]
    fn without_auditctl_an_empty_configuration_is_known_and_a_full_one_is_not() {
        let facts = facts_of(DAEMON, &host(not_run(State::Missing), "", ""));
        assert_eq!(object(&facts, "daemon", "loaded"), "none".into());
        let files = "/etc/audit/rules.d/50-docker.rules:-w /usr/sbin/dockerd -p rwxa\n";
        let facts = facts_of(DAEMON, &host(not_run(State::Missing), "", files));
        assert!(matches!(facts.keyed("audit.object", "daemon"), Err(Why::ToolMissing(_))));
    }

    #[test]
    fn without_root_what_exists_is_known_and_coverage_is_not() {
        let mut answers = host(not_run(State::NeedsRoot), "", "");
        for (id, answer) in &mut answers {
            if matches!(*id, "audit-loaded" | "audit-files" | "audit-guarded-paths") {
                *answer = not_run(State::NeedsRoot);
            }
        }
        let keys = ["daemon", "docker-runc", "containerd-socket"];
        let names: Vec<String> =
            keys.iter().flat_map(|key| [format!("audit.object[\"{key}\"]"), format!("audit.object_paths[\"{key}\"]")]).collect();
        let facts = facts_of(&names.iter().map(String::as_str).collect::<Vec<_>>(), &answers);
        assert_eq!(facts.keyed("audit.object_paths", "daemon"), Ok(&Value::list(["/usr/sbin/dockerd"])));
        assert!(matches!(facts.keyed("audit.object", "daemon"), Err(Why::NeedsRoot(_))));
        assert_eq!(facts.keyed("audit.object", "docker-runc"), Ok(&Value::List(Vec::new())));
        assert!(matches!(facts.keyed("audit.object_paths", "containerd-socket"), Err(Why::NeedsRoot(_))));
    }

    #[test]
    fn two_names_of_one_file_are_one_object_and_root_sees_what_the_login_does_not() {
        let facts = facts_of(
            &["audit.object_paths[\"runc-bin\"]", "audit.object_paths[\"containerd-socket\"]"],
            &host(answered(STATUS), "No rules\n", STOCK),
        );
        assert_eq!(facts.keyed("audit.object_paths", "runc-bin"), Ok(&Value::list(["/usr/sbin/runc"])));
        assert_eq!(
            facts.keyed("audit.object_paths", "containerd-socket"),
            Ok(&Value::list(["/run/docker/containerd/containerd.sock"]))
        );
    }

    #[test]
    fn a_subtree_that_the_files_make_part_of_a_directory_is_covered_though_auditctl_does_not_list_it() {
        let files = format!("{STOCK}/etc/audit/rules.d/a.rules:-w / -p rwxa\n/etc/audit/rules.d/a.rules:-q /run,/\n");
        let names = ["audit.object[\"containerd-socket\"]"];
        let facts = facts_of(&names, &host(answered(STATUS), "-w / -p rwxa\n", &files));
        assert_eq!(object(&facts, "containerd-socket", "loaded"), "full".into());
        let facts = facts_of(&names, &host(answered(STATUS), "-w / -p rwxa\n", STOCK));
        assert_eq!(object(&facts, "containerd-socket", "loaded"), "partial".into());
    }

    #[test]
    fn the_data_root_is_where_the_daemon_has_it_and_the_unit_where_systemd_has_it() {
        let mut answers = host(
            answered(STATUS),
            "-w /mnt/big -p wa\n-w /var/lib/docker -p wa\n-w /lib/systemd/system/docker.service -p wa\n",
            STOCK,
        );
        answers.extend([
            ("tools", answered("dockerd=/usr/sbin/dockerd\ndocker=/usr/bin/docker\n")),
            ("init", answered("systemd\n")),
            ("docker-processes", answered("")),
            ("units", answered("Id=docker.service\nLoadState=loaded\nFragmentPath=/lib/systemd/system/docker.service\nDropInPaths=/etc/systemd/system/docker.service.d/a.conf\n")),
            ("docker-root", answered("root /var/lib/docker\npath /mnt/big\nstat 710|0|0|root|root|directory\n")),
        ]);
        let facts = facts_of(&["audit.object[\"data-root\"]", "audit.object[\"service-unit\"]"], &answers);
        assert_eq!(object(&facts, "data-root", "rule"), "-w /mnt/big -p wa".into(), "not the link at /var/lib/docker");
        let units = facts.keyed("audit.object", "service-unit").expect("known").as_list().expect("a list").to_vec();
        let seen: Vec<_> = units.iter().map(|unit| (unit.field("path").cloned(), unit.field("loaded").cloned())).collect();
        assert_eq!(
            seen,
            [
                (Some("/etc/systemd/system/docker.service.d/a.conf".into()), Some("none".into())),
                (Some("/lib/systemd/system/docker.service".into()), Some("full".into())),
            ]
        );
    }

    proptest::proptest! {
        #[test]
        fn any_rules_are_held_against_a_path_without_panic(rules in proptest::collection::vec("-(w|a (always|never),(exit|exclude) -F (path|dir|msgtype)=?) ?/?[a-z/]{0,12}( -p [rwxa]{1,4})?", 0..6), path in "/[a-z/]{0,12}") {
            let rules: Vec<&str> = rules.iter().map(String::as_str).collect();
            let _ = covered(&found("file", &path, &path), &rules);
        }
    }
}
