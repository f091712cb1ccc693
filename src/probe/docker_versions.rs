//! Versions of the engine and its parts, and who built them.

use serde::Deserialize;

use super::{FactSpec, Input, Kind, Output, Probe, Transcript, Wanted, no_secrets};
use crate::command::{Program, ReadOnlyCommand, Rights, Step};
use crate::model::{FactRef, Facts, Value, Why};

pub(super) const PROBE: Probe = Probe { name: "docker_versions", facts: FACTS, needs, steps, parse, redact: no_secrets };

const COMPONENT: Kind = Kind::Record(&[
    ("version", Kind::Text),
    ("source", Kind::Text),
    ("origin", Kind::Text),
    ("package", Kind::Maybe(&Kind::Text)),
]);

const FACTS: &[FactSpec] = &[
    FactSpec {
        name: "docker.engine",
        key: None,
        kind: COMPONENT,
        unit: None,
        source: "docker version; dockerd --version; the package database",
        rights: Rights::Any,
        summary: "Version of the Docker engine. source: running (the daemon said so) or installed (the program did, as the daemon may not be asked or doesn't run); origin: upstream, distributor (who may have fixed what the version number doesn't show), snap or unpackaged.",
    },
    FactSpec {
        name: "docker.containerd",
        key: None,
        kind: Kind::Maybe(&COMPONENT),
        unit: None,
        source: "docker version; containerd --version; the package database",
        rights: Rights::Any,
        summary: "The same of containerd; null where there is none.",
    },
    FactSpec {
        name: "docker.runc",
        key: None,
        kind: Kind::Maybe(&COMPONENT),
        unit: None,
        source: "docker version; runc --version; the package database",
        rights: Rights::Any,
        summary: "The same of runc; null where there is none.",
    },
    FactSpec {
        name: "docker.pending_restart",
        key: None,
        kind: Kind::List(&Kind::Text),
        unit: None,
        source: "docker version; dockerd --version; containerd --version",
        rights: Rights::Docker,
        summary: "Daemons that run in another version or build than the one installed.",
    },
];

/// One part of the engine: its name in `docker version`, the step that asks its program, and packages of it.
struct Part {
    fact: &'static str,
    component: &'static str,
    step: &'static str,
    program: Program,
    upstream: &'static [&'static str],
    distributor: &'static [&'static str],
}

const ENGINE: Part = Part {
    fact: "docker.engine",
    component: "Engine",
    step: "dockerd-version",
    program: Program::Dockerd,
    upstream: &["docker-ce"],
    distributor: &[
        "docker.io",
        "docker.io-app",
        "moby-engine",
        "docker-engine",
        "docker-stable",
        "docker-latest",
        "docker-moby-engine",
        "docker-ee",
        "docker",
    ],
};

const CONTAINERD: Part = Part {
    fact: "docker.containerd",
    component: "containerd",
    step: "containerd-version",
    program: Program::Containerd,
    upstream: &["containerd.io"],
    distributor: &["containerd", "containerd-app", "containerd-stable", "moby-containerd", "docker-containerd"],
};

const RUNC: Part = Part {
    fact: "docker.runc",
    component: "runc",
    step: "runc-version",
    program: Program::Runc,
    // Docker's package of containerd brings runc along.
    upstream: &["containerd.io"],
    distributor: &["runc", "runc-app", "runc-stable", "moby-runc", "docker-runc"],
};

const PARTS: [&Part; 3] = [&ENGINE, &CONTAINERD, &RUNC];

fn needs(wanted: &Wanted) -> Vec<FactRef> {
    if !PARTS.iter().any(|part| wanted.wants(part.fact)) {
        return Vec::new();
    }
    vec![FactRef::plain("packages.names"), FactRef::plain("packages.manager"), FactRef::keyed("tools", "docker")]
}

fn steps(wanted: &Wanted) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut ask =
        |id: &str, command: Result<ReadOnlyCommand, _>| steps.extend(command.ok().map(|command| Step::new(id, command)));
    let restart = wanted.wants("docker.pending_restart");
    if restart || PARTS.iter().any(|part| wanted.wants(part.fact)) {
        let arguments = ["-H", "unix:///run/docker.sock", "version", "--format", "{{json .}}"];
        ask("docker-version", ReadOnlyCommand::new(Program::Docker, &arguments, Rights::Docker));
    }
    for part in PARTS {
        if wanted.wants(part.fact) || (restart && part.fact != RUNC.fact) {
            ask(part.step, ReadOnlyCommand::new(part.program, &["--version"], Rights::Any));
        }
    }
    steps
}

fn parse(input: &Input<'_>, output: &mut Output) {
    let running = running(input.answers);
    if input.wanted.wants(ENGINE.fact) {
        let engine = component(&ENGINE, &running, input).and_then(|engine| {
            engine.ok_or_else(|| Why::ToolMissing("there is neither a Docker daemon that answers nor its program".to_owned()))
        });
        output.set(ENGINE.fact, engine);
    }
    for part in [&CONTAINERD, &RUNC] {
        if input.wanted.wants(part.fact) {
            output.set(part.fact, component(part, &running, input));
        }
    }
    if input.wanted.wants("docker.pending_restart") {
        output.set("docker.pending_restart", pending_restart(running, input.answers));
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Answered {
    server: Option<Server>,
}

/// The server's half of `docker version`; before 18.09 without components.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Server {
    version: String,
    git_commit: String,
    platform: Platform,
    components: Option<Vec<Component>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Platform {
    name: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Component {
    name: String,
    version: String,
    details: Option<Details>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Details {
    git_commit: String,
}

/// A version and the commit, or the package version, that it was built from.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Build {
    version: String,
    commit: String,
}

impl Server {
    fn build(&self, name: &str) -> Option<Build> {
        let components = self.components.iter().flatten();
        let found = components.filter(|component| component.name == name && !component.version.is_empty());
        let mut builds = found.map(|component| Build {
            version: component.version.clone(),
            commit: component.details.as_ref().map(|details| details.git_commit.clone()).unwrap_or_default(),
        });
        builds.next().or_else(|| {
            (name == ENGINE.component && !self.version.is_empty())
                .then(|| Build { version: self.version.clone(), commit: self.git_commit.clone() })
        })
    }
}

/// What the daemon says of itself. The client prints its own half and exits with 1 where none answers.
fn running(answers: &Transcript) -> Result<Server, Why> {
    let text = super::docker::daemon_answer(answers, "docker-version")?;
    let answered: Answered = serde_json::from_str(text.trim())
        .map_err(|error| Why::CouldNotBeParsed(format!("`docker version` gave no document that Docker gives: {error}")))?;
    let server = answered.server.filter(|server| server.build(ENGINE.component).is_some());
    server.ok_or_else(|| Why::ProbeFailed("`docker version` names no server that is a Docker engine".to_owned()))
}

/// What the program on disk says: `Docker version 28.5.2, build e6534b4`, `containerd PATH VERSION COMMIT`, `runc version 1.3.3` and `commit: ...`.
fn installed(part: &Part, answers: &Transcript) -> Result<Build, Why> {
    let text = answers.text(part.step)?;
    let first = text.lines().next().unwrap_or_default();
    let mut words = first.split_ascii_whitespace();
    let (version, commit) = match part.program {
        Program::Containerd => (words.nth(2), words.next()),
        Program::Dockerd => (words.nth(2), words.nth(1)),
        _ => (words.nth(2), text.lines().find_map(|line| line.strip_prefix("commit: "))),
    };
    match version.map(|version| version.trim_end_matches(',')).filter(|version| !version.is_empty()) {
        Some(version) => Ok(Build { version: version.to_owned(), commit: commit.unwrap_or_default().trim().to_owned() }),
        None => Err(Why::CouldNotBeParsed(format!("`{} --version` gave no version", part.program.name()))),
    }
}

fn component(part: &Part, running: &Result<Server, Why>, input: &Input<'_>) -> Result<Option<Value>, Why> {
    let said = running.as_ref().map(|server| server.build(part.component));
    let (build, source) = match (said, installed(part, input.answers)) {
        (Ok(Some(build)), _) => (build, "running"),
        (_, Ok(build)) => (build, "installed"),
        // Neither in use by the daemon nor on disk. Where the client is missing too, there is no daemon of this kind to ask.
        (Ok(None) | Err(Why::ToolMissing(_)), Err(Why::ToolMissing(_))) => return Ok(None),
        (Err(why), Err(Why::ToolMissing(_))) => return Err(why.clone()),
        (_, Err(why)) => return Err(why),
    };
    let community = running.as_ref().is_ok_and(|server| server.platform.name.starts_with("Docker Engine"));
    let (origin, package) = origin(part, &build, community, input.facts)?;
    Ok(Some(Value::record([
        ("version", build.version.into()),
        ("source", source.into()),
        ("origin", origin.into()),
        ("package", package.into()),
    ])))
}

/// Who built it, by the package it came in; where that isn't known, by what builders leave in the version.
fn origin(part: &Part, build: &Build, community: bool, facts: &Facts) -> Result<(&'static str, Option<String>), Why> {
    let names = facts.value("packages.names").map(|names| names.as_list().unwrap_or_default());
    // The package `docker` of Debian is a dock for windows.
    let dpkg = facts.value("packages.manager").is_ok_and(|manager| manager.as_str() == Some("dpkg"));
    let package = |candidates: &[&str]| {
        let known = names.clone().unwrap_or_default();
        let found = candidates
            .iter()
            .find(|name| !(dpkg && **name == "docker") && known.iter().any(|known| known.as_str() == Some(name)));
        found.map(|name| (*name).to_owned())
    };
    if is_distributors(&build.version) || is_distributors(&build.commit) {
        return Ok(("distributor", package(part.distributor)));
    }
    if let Some(name) = package(part.upstream) {
        return Ok(("upstream", Some(name)));
    }
    if let Some(name) = package(part.distributor) {
        return Ok(("distributor", Some(name)));
    }
    if facts.keyed("tools", "docker")?.as_str().is_some_and(|path| path.starts_with("/snap/")) {
        return Ok(("snap", None));
    }
    match names {
        Ok(_) => Ok(("unpackaged", None)),
        Err(_) if community => Ok(("upstream", None)),
        Err(why) => Err(why),
    }
}

/// Whether a version carries the mark of Debian (`+dfsg1`, `~ds1`, `+deb12u1`), Ubuntu (`-0ubuntu3`), SUSE (`_ce`, `-ce` after upstream gave that up), Azure or Amazon.
fn is_distributors(version: &str) -> bool {
    let marks = ["+dfsg", "+ds", "~ds", "+deb", "ubuntu0", "-0ubuntu", "-1ubuntu", "+azure", "_ce", ".amzn"];
    let numbers: Vec<u64> = version.split('.').map_while(|part| part.parse().ok()).collect();
    marks.iter().any(|mark| version.contains(mark)) || (version.contains("-ce") && numbers.as_slice() >= [18, 9].as_slice())
}

fn pending_restart(running: Result<Server, Why>, answers: &Transcript) -> Result<Vec<String>, Why> {
    let server = running?;
    let mut lines = Vec::new();
    for part in [&ENGINE, &CONTAINERD] {
        let Some(runs) = server.build(part.component) else { continue };
        let on_disk = match installed(part, answers) {
            Ok(build) => build,
            // Under another name, or inside of a snap: nothing to compare with.
            Err(Why::ToolMissing(_)) if part.fact == CONTAINERD.fact => continue,
            Err(why) => return Err(why),
        };
        let name = part.program.name();
        if runs.version.trim_start_matches('v') != on_disk.version.trim_start_matches('v') {
            lines.push(format!("{name}: {} runs, {} is installed", runs.version, on_disk.version));
        } else if !is_same_commit(&runs.commit, &on_disk.commit) {
            lines.push(format!("{name} {}: build {} runs, build {} is installed", runs.version, runs.commit, on_disk.commit));
        }
    }
    Ok(lines)
}

/// Commits may be cut to any length.
fn is_same_commit(one: &str, other: &str) -> bool {
    one.starts_with(other) || other.starts_with(one)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::script::tests::{answered, answered_with, facts_of, not_run};
    use crate::probe::script::{Answer, State};

    /// Of Debian 12 with a newer client, shortened.
    const DEBIAN: &str = r#"{"Client":{"Version":"28.2.2","Context":"default"},"Server":{"Platform":{"Name":""},"Components":[{"Name":"Engine","Version":"20.10.24+dfsg1","Details":{"ApiVersion":"1.41","GitCommit":"5d6db84"}},{"Name":"containerd","Version":"1.6.20~ds1","Details":{"GitCommit":"1.6.20~ds1-1+deb12u3"}},{"Name":"runc","Version":"1.1.5+ds1","Details":{"GitCommit":"1.1.5+ds1-1+deb12u1"}},{"Name":"docker-init","Version":"0.19.0","Details":{"GitCommit":""}}],"Version":"20.10.24+dfsg1","GitCommit":"5d6db84"}}"#;
    const COMMUNITY: &str = r#"{"Client":{},"Server":{"Platform":{"Name":"Docker Engine - Community"},"Components":[{"Name":"Engine","Version":"28.5.1","Details":{"GitCommit":"f8215cc"}},{"Name":"containerd","Version":"v1.7.28","Details":{"GitCommit":"b98a3aace656320842a23f4a392a33f46af97866"}},{"Name":"runc","Version":"1.3.0","Details":{"GitCommit":"v1.3.0-0-g4ca628d1"}}],"Version":"28.5.1","GitCommit":"f8215cc"}}"#;
    const CLIENT_ONLY: &str = r#"{"Client":{"Version":"28.2.2","Context":"default"},"Server":null}"#;
    const DENIED: &str = "permission denied while trying to connect to the Docker daemon socket at unix:///run/docker.sock\n";
    const DOCKERD: &str = "Docker version 28.5.2, build 89c5e8f\n";
    const CONTAINERD_V2: &str =
        "containerd github.com/containerd/containerd/v2 v2.1.5 fcd43222d6b07379a4be9786bda52438f0dd16a1\n";
    const RUNC_1_3: &str = "runc version 1.3.3\ncommit: v1.3.3-0-gd842d771\nspec: 1.2.1\ngo: go1.24.9\nlibseccomp: 2.5.3\n";
    const ALL: &[&str] = &["docker.engine", "docker.containerd", "docker.runc", "docker.pending_restart"];

    fn facts(version: Answer, programs: [Answer; 3], packages: &str) -> Facts {
        let [dockerd, containerd, runc] = programs;
        let packages: String = packages.split_ascii_whitespace().map(|name| format!("{name}\tii \t1.0\n")).collect();
        facts_of(
            ALL,
            &[
                ("docker-version", version),
                ("dockerd-version", dockerd),
                ("containerd-version", containerd),
                ("runc-version", runc),
                ("tools", answered("docker=/usr/bin/docker\n")),
                ("packages-dpkg", answered(&packages)),
                ("packages-rpm", not_run(State::Missing)),
                ("packages-apk", answered_with("", "", 2)),
            ],
        )
    }

    fn programs() -> [Answer; 3] {
        [answered(DOCKERD), answered(CONTAINERD_V2), answered(RUNC_1_3)]
    }

    fn missing() -> [Answer; 3] {
        [not_run(State::Missing), not_run(State::Missing), not_run(State::Missing)]
    }

    fn of(facts: &Facts, part: &str) -> [String; 3] {
        let record = facts.value(part).unwrap_or_else(|why| panic!("{part}: {why:?}"));
        ["version", "source", "origin"].map(|field| record.field(field).expect("a field").to_string())
    }

    #[test]
    fn builds_of_debian_are_known_by_their_versions() {
        let facts = facts(answered(DEBIAN), missing(), "docker.io containerd runc base-files");
        assert_eq!(of(&facts, "docker.engine"), ["20.10.24+dfsg1", "running", "distributor"]);
        assert_eq!(of(&facts, "docker.containerd"), ["1.6.20~ds1", "running", "distributor"]);
        assert_eq!(of(&facts, "docker.runc"), ["1.1.5+ds1", "running", "distributor"]);
        assert_eq!(facts.value("docker.engine").expect("known").field("package"), Some(&Value::from("docker.io")));
    }

    #[test]
    fn builds_of_docker_are_known_by_their_packages() {
        let facts = facts(answered(COMMUNITY), programs(), "docker-ce containerd.io");
        assert_eq!(of(&facts, "docker.engine"), ["28.5.1", "running", "upstream"]);
        assert_eq!(of(&facts, "docker.containerd"), ["v1.7.28", "running", "upstream"]);
        assert_eq!(of(&facts, "docker.runc"), ["1.3.0", "running", "upstream"]);
        let lines = ["dockerd: 28.5.1 runs, 28.5.2 is installed", "containerd: v1.7.28 runs, v2.1.5 is installed"];
        assert_eq!(facts.value("docker.pending_restart"), Ok(&Value::list(lines)));
    }

    #[test]
    fn without_access_to_the_socket_the_programs_tell() {
        for refused in [not_run(State::NeedsRoot), answered_with(CLIENT_ONLY, DENIED, 1)] {
            let facts = facts(refused, programs(), "docker-ce containerd.io");
            assert_eq!(of(&facts, "docker.engine"), ["28.5.2", "installed", "upstream"]);
            assert_eq!(of(&facts, "docker.containerd"), ["v2.1.5", "installed", "upstream"]);
            assert_eq!(of(&facts, "docker.runc"), ["1.3.3", "installed", "upstream"]);
            assert!(matches!(facts.value("docker.pending_restart"), Err(Why::NeedsRoot(_))));
        }
    }

    #[test]
    fn a_program_that_no_package_owns_was_put_there_by_hand() {
        let facts = facts(answered(COMMUNITY), programs(), "base-files docker");
        assert_eq!(of(&facts, "docker.engine")[2], "unpackaged");
    }

    #[test]
    fn what_may_not_be_asked_is_not_absent() {
        let nothing = facts(not_run(State::Missing), missing(), "base-files");
        assert!(matches!(nothing.value("docker.engine"), Err(Why::ToolMissing(_))));
        assert_eq!(nothing.value("docker.runc"), Ok(&Value::Null));
        let refused = facts(not_run(State::NeedsRoot), missing(), "base-files");
        assert!(matches!(refused.value("docker.runc"), Err(Why::NeedsRoot(_))));
    }

    #[test]
    fn a_distributors_update_of_the_same_version_needs_a_restart_too() {
        let dockerd = answered("Docker version 20.10.24+dfsg1, build 5d6db84\n");
        let containerd = answered("containerd github.com/containerd/containerd 1.6.20~ds1 1.6.20~ds1-1+deb12u4\n");
        let facts = facts(answered(DEBIAN), [dockerd, containerd, not_run(State::Missing)], "docker.io");
        let line = "containerd 1.6.20~ds1: build 1.6.20~ds1-1+deb12u3 runs, build 1.6.20~ds1-1+deb12u4 is installed";
        assert_eq!(facts.value("docker.pending_restart"), Ok(&Value::list([line])));
    }

    #[test]
    fn the_marks_of_distributors_are_not_those_of_dockers_own_packages() {
        for version in [
            "20.10.24+dfsg1",
            "1.6.20~ds1",
            "27.5.1-0ubuntu3~24.04.2",
            "20.10.27+azure-1",
            "24.0.9_ce",
            "19.03.13-ce",
            "25.0.14-1.amzn2023",
        ] {
            assert!(is_distributors(version), "{version}");
        }
        for version in ["28.5.2", "18.06.1-ce", "17.03.2-ce", "5:27.5.1-1~ubuntu.24.04~noble", "1.3.3-0-gd842d771", ""] {
            assert!(!is_distributors(version), "{version}");
        }
    }
}
