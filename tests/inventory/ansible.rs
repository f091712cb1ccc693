//! The same inventories read by ansible-core, asked on the spot: hosts, groups, variables, limits, and what its plugins would connect with.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use fleetscan::inventory::{Given, Source, load};
use fleetscan::model::Host;
use serde::Deserialize;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{fleetscan, repository, text};

/// Directories below `tests/inventory/cases`, and the arguments of `-i` there.
const CASES: [(&str, &[&str]); 22] = [
    ("aliases", &["hosts"]),
    ("directory", &["inventory"]),
    ("dynamic", &["cloud.sh"]),
    ("dynamic-by-host", &["old.sh"]),
    ("executable-ini", &["hosts"]),
    ("ini-crlf", &["hosts"]),
    ("ini-literals", &["hosts"]),
    ("ini-order", &["hosts"]),
    ("ini-priority", &["hosts"]),
    ("ini-quirks", &["hosts"]),
    ("json-tabs", &["hosts.json"]),
    ("limits", &["hosts"]),
    ("no-extension", &["hosts"]),
    ("playbook", &["inventories/prod/hosts"]),
    ("several", &["a/hosts", "b/hosts.yml", "h8,h9:2222,"]),
    ("several", &["b/hosts.yml", "a", "b"]),
    ("templates", &["hosts"]),
    ("ungrouped", &["hosts"]),
    ("vars-files", &["hosts"]),
    ("yaml-merge", &["hosts.yaml"]),
    ("yaml-shapes", &["hosts.yml"]),
    ("yaml-types", &["hosts.yml"]),
];

/// The samples that Ansible reads as they are.
const SAMPLES: [&str; 5] = ["fleet.ini", "fleet.yaml", "fleet.json", "fleet", "dynamic.sh"];

/// Patterns of `--limit` for the case `limits`.
const LIMITS: [&str; 83] = [
    "all",
    "*",
    "ungrouped",
    "web",
    "web:db",
    "web,db",
    "db,web",
    "web:&staging",
    "web:&prod:!web03.example.com",
    "!web03.example.com:&prod:web",
    "web,&prod,!web03.example.com",
    " web , !db ",
    "web db",
    "!web",
    "&web",
    "!web:&prod",
    "web:!nope",
    "nope:web",
    "nope",
    "all:!all",
    "web*",
    "*.example.com",
    "web0[12].example.com",
    "web0[!12].example.com",
    "web0[1-3]*",
    "web0?.example.com",
    "*2*",
    "?1",
    "a?",
    "a[12]",
    "db-[a:c]",
    "db-[ab]",
    "db-[!a]",
    "UPPER*",
    "upper*",
    "Web",
    "al*",
    "ung*",
    "[a-d]*",
    "[x",
    "x]",
    "~web0[13]",
    "~(web|db)",
    "~^.*-h$",
    r"~.*\d",
    "~[[0-9]+",
    "~(?i)upper",
    "web[0]",
    "web[-1]",
    "web[9]",
    "web[-9]",
    "web[0:2]",
    "web[1:]",
    "web[2:0]",
    "web[0:0]",
    "web[1-2]",
    "web[0:99]",
    "web[-2:]",
    "web[:2]",
    "web[1:1],db[0]",
    "prod[0]",
    "prod[-1]",
    "*[0]",
    "all[-1]",
    "web*[1:2]",
    "web[0]:!web01.example.com",
    "!web[0]:web",
    "web:&web[1:3]",
    "~web[0]",
    "both",
    "both[0]",
    "web01",
    "web01*",
    "lone",
    "lone[0]",
    "2001:db8::7",
    "2001:db8::7,web",
    "2001:*",
    "192.0.2.*",
    "web06.example.com:22",
    "@some.retry",
    "@patterns.txt",
    "web,@some.retry,!web02.example.com",
];

fn case(name: &str) -> PathBuf {
    repository("tests/inventory/cases").join(name)
}

/// A program of ansible-core, with nothing of this machine's settings.
fn ansible(program: &Path, directory: &Path, home: &TempDir) -> Command {
    let settings = home.path().join("ansible.cfg");
    fs::write(&settings, "").unwrap();
    let mut command = Command::new(program);
    command.current_dir(directory).env("HOME", home.path()).env("ANSIBLE_CONFIG", settings).env("LC_ALL", "C.UTF-8");
    // Older versions leave `*.ini` in a directory alone, newer ones read it, and so do we.
    command.env("ANSIBLE_INVENTORY_IGNORE", ".pyc,.pyo,.swp,.bak,~,.rpm,.md,.txt,.rst,.orig,.cfg,.retry");
    command.env("ANSIBLE_NOCOLOR", "1").env("ANSIBLE_LOCALHOST_WARNING", "false").env("PYTHONDONTWRITEBYTECODE", "1");
    command.env("ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED", "true").env("ANSIBLE_DEPRECATION_WARNINGS", "false");
    command
}

/// Where ansible-core's program is, or a failure that says which package has it.
fn ansible_inventory() -> PathBuf {
    let places = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&places).map(|place| place.join("ansible-inventory")).find(|path| path.is_file());
    found.unwrap_or_else(|| panic!("these tests need `ansible-inventory`: install ansible-core"))
}

/// The Python that has ansible-core: the one that its program names.
fn python() -> PathBuf {
    let script = fs::read(ansible_inventory()).unwrap();
    let line = text(script.split(|byte| *byte == b'\n').next().unwrap());
    PathBuf::from(line.trim_start_matches("#!").split_whitespace().next().unwrap())
}

/// What `ansible-inventory --list` prints.
fn listed_by_ansible(directory: &Path, sources: &[&str]) -> Value {
    let home = TempDir::new().unwrap();
    let mut command = ansible(&ansible_inventory(), directory, &home);
    let output = command.args(arguments(sources)).arg("--list").output().unwrap();
    assert!(output.status.success(), "{directory:?}: {}", text(&output.stderr));
    let mut listed: Value = serde_json::from_slice(&output.stdout).unwrap();
    // Newer versions say how they wrote the answer.
    listed["_meta"].as_object_mut().unwrap().remove("profile");
    plain(listed)
}

fn arguments<'a>(sources: &[&'a str]) -> Vec<&'a str> {
    sources.iter().flat_map(|source| ["-i", source]).collect()
}

/// The value without the marks by which one Ansible tells another that text is no template.
fn plain(value: Value) -> Value {
    match value {
        Value::Object(mut map) if map.len() == 1 && map.contains_key("__ansible_unsafe") => plain(map["__ansible_unsafe"].take()),
        Value::Object(map) => map.into_iter().map(|(name, value)| (name, plain(value))).collect(),
        Value::Array(items) => items.into_iter().map(plain).collect(),
        other => other,
    }
}

/// Whether the values are the same, a number with a fraction being the text that it was written as.
fn same(theirs: &Value, ours: &Value) -> bool {
    match (theirs, ours) {
        (Value::Object(theirs), Value::Object(ours)) => {
            theirs.len() == ours.len() && theirs.iter().all(|(name, value)| ours.get(name).is_some_and(|own| same(value, own)))
        }
        (Value::Array(theirs), Value::Array(ours)) => {
            theirs.len() == ours.len() && theirs.iter().zip(ours).all(|(theirs, ours)| same(theirs, ours))
        }
        (Value::Number(number), Value::String(text)) if number.is_f64() => text.parse() == Ok(number.as_f64().unwrap()),
        _ => theirs == ours,
    }
}

fn listed_by_us(directory: &Path, sources: &[&str]) -> Value {
    let output = fleetscan(directory, &[&["inventory", "--list"], arguments(sources).as_slice()].concat(), "");
    assert!(output.status.success(), "{directory:?}: {}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A question for `ask_ansible.py`, and its answer.
fn question(directory: &Path, sources: &[&str], limits: &[&str], connections: bool) -> Value {
    json!({"directory": directory, "sources": sources, "limits": limits, "connections": connections})
}

#[derive(Debug, Deserialize)]
struct Answer {
    limits: BTreeMap<String, Option<Vec<String>>>,
    connections: BTreeMap<String, Options>,
}

/// What the plugins of Ansible take from the variables of a host.
#[derive(Debug, PartialEq, Deserialize)]
struct Options {
    address: String,
    port: Option<String>,
    user: Option<String>,
    password: Option<String>,
    private_key: Option<String>,
    host_key_checking: bool,
    timeout: u64,
    ssh_args: Vec<String>,
    become_password: Option<String>,
}

impl Options {
    /// What we take from them.
    fn of(host: &Host) -> Self {
        Self {
            address: host.address.clone(),
            port: host.port.map(|port| port.to_string()),
            user: host.user.clone(),
            password: host.password.as_ref().map(|password| password.reveal().to_owned()),
            private_key: host.private_key.as_ref().map(|path| path.display().to_string()),
            host_key_checking: host.host_key_checking.unwrap_or(true),
            timeout: host.connect_timeout.map_or(10, |timeout| timeout.as_secs()),
            ssh_args: host.ssh_args.clone(),
            become_password: host.become_password.as_ref().map(|password| password.reveal().to_owned()),
        }
    }
}

fn ask(questions: &[Value]) -> Vec<Answer> {
    let home = TempDir::new().unwrap();
    let mut command = ansible(&python(), &repository("tests/inventory"), &home);
    let mut child =
        command.arg("ask_ansible.py").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(serde_json::to_string(questions).unwrap().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn hosts_groups_and_variables_are_those_of_ansible() {
    let samples = SAMPLES.iter().map(|sample| (repository("inventory"), vec![*sample]));
    let cases = CASES.iter().map(|(name, sources)| (case(name), sources.to_vec()));
    let all: Vec<(PathBuf, Vec<&str>)> = samples.chain(cases).collect();
    // Starting Ansible is most of the work: two at a time.
    let halves = all.chunks(all.len().div_ceil(2));
    thread::scope(|scope| {
        for half in halves {
            scope.spawn(move || {
                for (directory, sources) in half {
                    let (theirs, ours) = (listed_by_ansible(directory, sources), listed_by_us(directory, sources));
                    assert!(same(&theirs, &ours), "{directory:?} {sources:?}\nAnsible: {theirs:#}\nours: {ours:#}");
                }
            });
        }
    });
}

#[test]
fn limits_select_what_ansible_selects_in_the_same_order() {
    let directory = case("limits");
    let answers = ask(&[question(&directory, &["hosts"], &LIMITS, false)]);
    assert_eq!(answers[0].limits.len(), LIMITS.len());
    for (pattern, expected) in &answers[0].limits {
        let output = fleetscan(&directory, &["inventory", "-i", "hosts", "--hosts", "--limit", pattern], "");
        let ours: Option<Vec<String>> =
            output.status.success().then(|| text(&output.stdout).lines().map(str::to_owned).collect());
        assert_eq!(&ours, expected, "{pattern}: {}", text(&output.stderr));
    }
}

#[test]
fn hosts_are_reached_as_the_plugins_of_ansible_would_reach_them() {
    let home = std::env::var("HOME").unwrap();
    let places = [
        (case("aliases"), "hosts"),
        (case("templates"), "hosts"),
        (repository("inventory"), "fleet.ini"),
        (repository("inventory"), "fleet.json"),
        (repository("inventory"), "dynamic.sh"),
    ];
    let questions: Vec<Value> = places.iter().map(|(directory, source)| question(directory, &[source], &[], true)).collect();
    for ((directory, source), answer) in places.iter().zip(ask(&questions)) {
        let inventory = load(&[Source::Path(directory.join(source))]).unwrap().inventory;
        let hosts = inventory.select(None, Given::default()).unwrap().hosts;
        assert_eq!(hosts.len(), answer.connections.len());
        for host in &hosts {
            let mut theirs = answer.connections[&host.name].private_key.clone();
            // Ansible expands it when it calls ssh.
            theirs = theirs.map(|path| path.strip_prefix("~/").map_or(path.clone(), |rest| format!("{home}/{rest}")));
            // To newer versions of the plugin ansible_timeout is one of its own variables, to older ones it is everybody's.
            let timeout = match host.variables.get("ansible_timeout").is_some() {
                true => host.connect_timeout.map_or(10, |timeout| timeout.as_secs()),
                false => answer.connections[&host.name].timeout,
            };
            let expected = &answer.connections[&host.name];
            let expected = Options {
                private_key: theirs,
                timeout,
                address: expected.address.clone(),
                port: expected.port.clone(),
                user: expected.user.clone(),
                password: expected.password.clone(),
                ssh_args: expected.ssh_args.clone(),
                become_password: expected.become_password.clone(),
                ..*expected
            };
            assert_eq!(Options::of(host), expected, "{source}: {}", host.name);
        }
    }
}

#[test]
fn the_plain_sample_has_the_names_that_ansible_finds_with_the_logins_taken_off() {
    let listed = listed_by_ansible(&repository("inventory"), &["hosts"]);
    let theirs: Vec<&str> = listed["ungrouped"]["hosts"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    // A login before the host is ours: to Ansible it is part of the name, and so is the port behind it.
    let theirs: Vec<&str> =
        theirs.iter().map(|name| name.split_once('@').map_or(*name, |(_, host)| host.split(':').next().unwrap())).collect();
    let ours = listed_by_us(&repository("inventory"), &["hosts"]);
    assert_eq!(ours["ungrouped"]["hosts"], json!(theirs));
}

#[test]
fn what_we_list_is_a_dynamic_inventory_that_ansible_reads_back() {
    let directory = TempDir::new().unwrap();
    let script = directory.path().join("fleet");
    for name in super::SAMPLES {
        let sample = repository("inventory").join(name);
        let command =
            format!("#!/bin/sh\nexec '{}' inventory -i '{}' \"$@\"\n", env!("CARGO_BIN_EXE_fleetscan"), sample.display());
        fs::write(&script, command).unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        let theirs = listed_by_ansible(directory.path(), &["fleet"]);
        let ours = listed_by_us(&repository("inventory"), &[name]);
        assert!(same(&theirs, &ours), "{name}\nAnsible: {theirs:#}\nours: {ours:#}");
    }
}
