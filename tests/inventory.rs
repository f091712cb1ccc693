//! Inventories: the samples, what ansible-core makes of odd ones (recorded, and asked on the spot), and the formats that Ansible doesn't know.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "inventory/ansible.rs"]
mod ansible;
#[path = "inventory/connections.rs"]
mod connections;
#[path = "inventory/formats.rs"]
mod formats;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use fleetscan::inventory::{Given, Inventory, InventoryErrors, Loaded, Source, load};
use fleetscan::model::{Connection, Host};
use tempfile::TempDir;

/// One of every format.
const SAMPLES: [&str; 8] = ["hosts", "fleet.ini", "fleet.yaml", "fleet.json", "fleet.csv", "fleet", "dynamic.sh", "ssh_config"];

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The program in a directory, with nothing of this machine's SSH but an empty home.
fn fleetscan(directory: &Path, arguments: &[&str], input: &str) -> Output {
    use std::io::Write;
    let home = TempDir::new().unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_fleetscan"))
        .args(arguments)
        .current_dir(directory)
        .env("HOME", home.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn sample(name: &str) -> Inventory {
    let loaded = load(&[Source::Path(repository("inventory").join(name))]).unwrap();
    assert_eq!(loaded.warnings, [], "{name}");
    loaded.inventory
}

fn listed(inventory: &Inventory, limit: Option<&str>) -> Vec<String> {
    let places = inventory.matching(limit).map(|matched| matched.places).unwrap_or_default();
    inventory.names(&places).lines().map(str::to_owned).collect()
}

fn json(inventory: &Inventory, places: &[usize]) -> serde_json::Value {
    serde_json::to_value(inventory.listing(places)).unwrap()
}

fn host<'a>(inventory: &'a Inventory, name: &str) -> &'a Host {
    inventory.hosts().iter().find(|host| host.name == name).unwrap()
}

/// Files below a new directory.
fn files(files: &[(&str, &str)]) -> TempDir {
    let directory = TempDir::new().unwrap();
    for (name, text) in files {
        let path = directory.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    directory
}

fn load_in(directory: &TempDir, arguments: &[&str]) -> Result<Loaded, InventoryErrors> {
    let source = |argument: &&str| match argument.contains(',') {
        true => Source::from_argument(argument),
        false => Source::Path(directory.path().join(argument)),
    };
    load(&arguments.iter().map(source).collect::<Vec<_>>())
}

fn load_text(text: &str) -> Result<Loaded, InventoryErrors> {
    load_in(&files(&[("hosts", text)]), &["hosts"])
}

/// The problems without the directory they were found in.
fn problems(directory: &TempDir, errors: &InventoryErrors) -> Vec<String> {
    let prefix = format!("{}/", directory.path().display());
    errors.problems.iter().map(|problem| problem.to_string().replace(&prefix, "")).collect()
}

/// A recorded case: the arguments of `-i`, the files, and what is expected.
struct Case {
    name: String,
    arguments: Vec<String>,
    parts: Vec<(String, String)>,
}

impl Case {
    fn part(&self, name: &str) -> Option<&str> {
        self.parts.iter().find(|(part, _)| part == name).map(|(_, text)| text.as_str())
    }

    fn directory(&self) -> TempDir {
        let expectations = ["listed", "json", "refused", "limits"];
        let parts = self.parts.iter().filter(|(name, _)| !expectations.contains(&name.as_str()));
        files(&parts.map(|(name, text)| (name.as_str(), text.as_str())).collect::<Vec<_>>())
    }

    fn load(&self, directory: &TempDir) -> Result<Loaded, InventoryErrors> {
        load_in(directory, &self.arguments.iter().map(String::as_str).collect::<Vec<_>>())
    }
}

fn recorded(file: &str) -> Vec<Case> {
    let text = fs::read_to_string(repository("tests/inventory").join(file)).unwrap();
    let mut cases = Vec::new();
    for chunk in text.split("\n== ").skip(1) {
        let (name, body) = chunk.split_once('\n').unwrap();
        let mut case = Case { name: name.to_owned(), arguments: Vec::new(), parts: Vec::new() };
        for line in body.lines() {
            match (line.strip_prefix("-- ").and_then(|rest| rest.strip_suffix(" --")), line.strip_prefix("-i ")) {
                (Some(part), _) => case.parts.push((part.to_owned(), String::new())),
                (None, Some(argument)) if case.parts.is_empty() => case.arguments.push(argument.to_owned()),
                _ => {
                    let part = case.parts.last_mut().unwrap();
                    part.1.push_str(&line.strip_suffix("\\r").map_or_else(|| line.to_owned(), |line| format!("{line}\r")));
                    part.1.push('\n');
                }
            }
        }
        cases.push(case);
    }
    assert!(!cases.is_empty());
    cases
}

#[test]
fn every_sample_is_what_ansible_makes_of_it() {
    for name in ["fleet.ini", "fleet.yaml", "fleet"] {
        let inventory = sample(name);
        let everything: Vec<usize> = (0..inventory.hosts().len()).collect();
        let text = fs::read_to_string(repository("tests/inventory").join(format!("sample-{name}.json"))).unwrap();
        let expected: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(json(&inventory, &everything), expected, "{name}");
        assert_eq!(inventory.select(None, Given::default()).unwrap().hosts, inventory.hosts(), "{name}");
    }
}

#[test]
fn the_samples_use_nothing_but_documentation_addresses() {
    for name in SAMPLES {
        for host in sample(name).hosts() {
            for address in [&host.name, &host.address] {
                let documented =
                    address.ends_with(".example.com") || address.starts_with("192.0.2.") || address.starts_with("2001:db8:");
                assert!(documented, "{name}: {address}");
            }
        }
    }
}

#[test]
fn the_plain_sample_has_users_ports_addresses_and_ranges() {
    let inventory = sample("hosts");
    assert_eq!(inventory.hosts().len(), 17);
    let web03 = host(&inventory, "web03.example.com");
    assert_eq!((web03.user.as_deref(), web03.port, web03.address.as_str()), (Some("deploy"), Some(2222), "web03.example.com"));
    assert_eq!(host(&inventory, "2001:db8::15").port, Some(2222));
    assert_eq!(host(&inventory, "gateway.example.com").groups, ["ungrouped"]);
}

#[test]
fn the_ini_sample_resolves_connections_by_precedence() {
    let inventory = sample("fleet.ini");
    let home = PathBuf::from(std::env::var_os("HOME").unwrap());
    let primary = host(&inventory, "db-a.example.com");
    assert_eq!(primary.become_root, Some(true));
    assert_eq!(primary.private_key, Some(home.join(".ssh/database_ed25519")));
    assert_eq!(primary.groups, ["database", "production"]);
    assert_eq!(host(&inventory, "db-b.example.com").private_key, Some(home.join(".ssh/production_ed25519")));
    let canary = host(&inventory, "web-canary.example.com");
    assert_eq!((canary.address.as_str(), canary.port, canary.user.as_deref()), ("192.0.2.40", Some(22), Some("scan")));
    assert_eq!(canary.variables["listen_ports"], vec![80_i64, 443].into());
    let bastion = host(&inventory, "bastion01.example.com");
    assert_eq!((bastion.user.as_deref(), bastion.become_root), (Some("ops"), Some(false)));
    assert_eq!(listed(&inventory, Some("production:!web:!cache")), ["db-a.example.com", "db-b.example.com"]);
}

#[test]
fn the_yaml_sample_has_a_local_host_and_overlapping_groups() {
    let inventory = sample("fleet.yaml");
    assert_eq!(host(&inventory, "control.example.com").connection, Connection::Local);
    assert_eq!(host(&inventory, "db01.example.com").groups, ["database", "europe", "frankfurt"]);
    assert_eq!(host(&inventory, "db01.example.com").become_root, Some(true));
    assert_eq!(host(&inventory, "2001:db8::20").become_root, None);
    assert_eq!(listed(&inventory, Some("europe:&web")).len(), 4);
}

#[test]
fn odd_inventories_are_what_ansible_was_recorded_to_make_of_them() {
    for case in recorded("accepted.txt") {
        let directory = case.directory();
        let inventory = case.load(&directory).unwrap_or_else(|errors| panic!("{}: {errors}", case.name)).inventory;
        assert_eq!(
            inventory.names(&(0..inventory.hosts().len()).collect::<Vec<_>>()),
            case.part("listed").unwrap(),
            "{}",
            case.name
        );
        let expected: serde_json::Value = serde_json::from_str(case.part("json").unwrap()).unwrap();
        assert_eq!(json(&inventory, &inventory.matching(None).unwrap().places), expected, "{}", case.name);
    }
}

#[test]
fn wrong_inventories_are_refused_with_every_wrong_line() {
    for case in recorded("refused.txt") {
        let directory = case.directory();
        let errors = case.load(&directory).map(|_| ()).expect_err(&case.name);
        assert_eq!(problems(&directory, &errors), case.part("refused").unwrap().lines().collect::<Vec<_>>(), "{}", case.name);
    }
}

#[test]
fn limits_select_what_ansible_was_recorded_to_select() {
    let text = fs::read_to_string(repository("tests/inventory/limits.txt")).unwrap();
    let part = |name: &str| text.split_once(&format!("-- {name} --\n")).unwrap().1.split("\n-- ").next().unwrap().to_owned();
    let directory = files(&[("hosts", &part("hosts")), ("r.retry", &part("r.retry"))]);
    let inventory = load_in(&directory, &["hosts"]).unwrap().inventory;
    let retry = format!("@{}", directory.path().join("r.retry").display());
    for line in part("limits").lines() {
        let (pattern, expected) = line.split_once(" ->").unwrap();
        let expected: Vec<&str> = expected.split_whitespace().collect();
        // Only a limit that begins with `@` is a file to Ansible as well.
        let pattern = if pattern.starts_with('@') { pattern.replacen("@r.retry", &retry, 1) } else { pattern.to_owned() };
        assert_eq!(listed(&inventory, Some(&pattern)), expected, "{pattern}");
    }
}

#[test]
fn a_pattern_that_matches_nothing_is_a_warning_unless_nothing_is_left() {
    let inventory = load_text("[web]\nweb01\n[database]\ndb1\n").unwrap().inventory;
    assert_eq!(
        inventory.select(Some("web:wbe"), Given::default()).unwrap().warnings,
        ["could not match supplied host pattern, ignoring: wbe"]
    );
    let hint = |limit| inventory.select(Some(limit), Given::default()).unwrap_err().problems.remove(0).hint.unwrap();
    assert_eq!(hint("databse"), "did you mean `database`?");
    assert_eq!(hint("web1"), "did you mean `web`, `web01`?");
    assert_eq!(hint("nothing"), "groups of the inventory: web, database");
    let message = |limit| inventory.select(Some(limit), Given::default()).unwrap_err().to_string();
    assert!(message("~").contains("no regular expression"));
    assert!(message("~(,").contains("not a regular expression"));
    assert!(message("~(?=x),web").contains("not a regular expression"));
    assert!(message("@/nonexistent").contains("`/nonexistent` can't be read"));
    assert!(message("localhost").contains("no host is left"));
}

#[test]
fn every_wrong_line_of_every_file_is_reported_at_once() {
    let directory = files(&[
        (
            "inv/1.ini",
            "ok\nweb:99999\nweb[5:1]\n[a b]\nskipped because its header is wrong\n[c:foo]\n[d:children]\nnope\n[e:vars]\nx\nh x y\n",
        ),
        ("inv/2.yml", "all:\n  hosts:\n    a: 1\n    -x:\n  what: {}\n"),
        ("inv/3.py", "#!/bin/true\n"),
        ("inv/4.toml", ""),
    ]);
    let errors = load_in(&directory, &["inv", "missing"]).unwrap_err();
    let places: Vec<String> = errors
        .problems
        .iter()
        .map(|problem| format!("{}:{}", problem.file.rsplit('/').next().unwrap(), problem.line.unwrap_or(0)))
        .collect();
    assert_eq!(
        places,
        [
            "1.ini:2",
            "1.ini:3",
            "1.ini:4",
            "1.ini:6",
            "1.ini:8",
            "1.ini:9",
            "1.ini:10",
            "1.ini:11",
            "2.yml:3",
            "2.yml:4",
            "2.yml:5",
            "3.py:0",
            "4.toml:0",
            "missing:0"
        ]
    );
    assert!(errors.to_string().starts_with("14 errors in the inventory\n  "));
    assert!(errors.problems[13].to_string().contains("missing,"), "{}", errors.problems[13]);
}

#[test]
fn a_literal_list_needs_a_comma_and_takes_users_and_ports() {
    let inventory = load(&[Source::from_argument("ops@h1:2222, h2,[2001:db8::1]:22,")]).unwrap().inventory;
    let hosts: Vec<_> = inventory.hosts().iter().map(|host| (host.name.as_str(), host.user.as_deref(), host.port)).collect();
    assert_eq!(hosts, [("h1", Some("ops"), Some(2222)), ("h2", None, None), ("2001:db8::1", None, Some(22))]);
    assert_eq!(Source::from_argument("h1"), Source::Path(PathBuf::from("h1")));
    assert!(load(&[Source::from_argument(",")]).unwrap_err().to_string().contains("names no host"));
    assert_eq!(Source::from_argument("-"), Source::Stdin);
}

#[test]
fn ranges_that_would_fill_the_memory_are_refused() {
    for text in ["h[0:99999999]\n", "a[1:1000]b[1:1000]c[1:1000]\n"] {
        assert!(load_text(text).unwrap_err().to_string().contains("more than 1000000 hosts"), "{text}");
    }
}

#[test]
fn broken_variables_next_to_an_inventory_are_errors_of_their_file() {
    let directory = files(&[
        ("hosts", "[web]\nh1\n"),
        ("group_vars/web.yml", "a: 1\na: 2\n"),
        ("group_vars/all.json", "{\"a\": 1,\n\"b\": ]}\n"),
        ("group_vars/other.yml", "not read: [\n"),
        ("host_vars/h1.yml", "- list\n"),
    ]);
    let errors = problems(&directory, &load_in(&directory, &["hosts"]).unwrap_err());
    assert_eq!(errors.len(), 3, "{errors:?}");
    assert_eq!(
        errors[0],
        "group_vars/all.json:2: the JSON is not well-formed: ']' stands where a value belongs (look at the commas, the quotes and the \
         brackets of this line and the one before)"
    );
    assert!(errors[1].starts_with("group_vars/web.yml:2: key `a` stands here for the second time"));
    assert!(errors[2].starts_with("host_vars/h1.yml:1: the file is a list"));
}

#[test]
fn comments_may_be_in_any_encoding_and_hosts_may_not() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("hosts");
    fs::write(&path, b"# caf\xe9\nweb01\n").unwrap();
    assert_eq!(load(&[Source::Path(path.clone())]).unwrap().inventory.hosts().len(), 1);
    fs::write(&path, b"web01\nw\xe9b\n").unwrap();
    assert_eq!(load(&[Source::Path(path)]).unwrap_err().problems[0].line, Some(2));
}
