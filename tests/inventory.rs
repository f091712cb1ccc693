//! Inventories through the library's door: the samples, and what ansible-core was recorded to make of odd ones.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

use fleetscan::inventory::{Inventory, InventoryErrors, Loaded, Source, load};
use fleetscan::model::{Connection, Host};
use tempfile::TempDir;

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
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
        assert_eq!(inventory.to_json(&everything), expected, "{name}");
        assert_eq!(inventory.select(None).unwrap().hosts, inventory.hosts(), "{name}");
    }
}

#[test]
fn the_samples_use_nothing_but_documentation_addresses() {
    for name in ["hosts", "fleet.ini", "fleet.yaml", "fleet"] {
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
        assert_eq!(inventory.to_json(&inventory.matching(None).unwrap().places), expected, "{}", case.name);
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
    assert_eq!(inventory.select(Some("web:wbe")).unwrap().warnings, ["could not match supplied host pattern, ignoring: wbe"]);
    let hint = |limit| inventory.select(Some(limit)).unwrap_err().problems.remove(0).hint.unwrap();
    assert_eq!(hint("databse"), "did you mean `database`?");
    assert_eq!(hint("web1"), "did you mean `web`, `web01`?");
    assert_eq!(hint("nothing"), "groups of the inventory: web, database");
    let message = |limit| inventory.select(Some(limit)).unwrap_err().to_string();
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
            "4.toml:0",
            "missing:0"
        ]
    );
    assert!(errors.to_string().starts_with("13 errors in the inventory\n  "));
    assert!(errors.problems[12].to_string().contains("missing,"), "{}", errors.problems[12]);
}

#[cfg(unix)]
#[test]
fn a_program_is_not_run_and_not_read_as_hosts() {
    use std::os::unix::fs::PermissionsExt;
    let directory = files(&[("ec2", "#!/bin/sh\necho boom\n"), ("marked", "web01\n")]);
    for name in ["ec2", "marked"] {
        fs::set_permissions(directory.path().join(name), fs::Permissions::from_mode(0o755)).unwrap();
    }
    let errors = load_in(&directory, &["ec2"]).unwrap_err();
    assert!(errors.to_string().contains("dynamic inventories are not run yet"), "{errors}");
    assert_eq!(load_in(&directory, &["marked"]).unwrap().inventory.hosts().len(), 1);
}

#[test]
fn hosts_whose_connection_cannot_be_told_are_refused_only_when_selected() {
    let directory = files(&[
        (
            "hosts.yml",
            "all:\n  hosts:\n    plain:\n    sealed:\n      ansible_user: !vault |\n        $ANSIBLE_VAULT;1.1;AES256\n        30\n  children:\n    windows:\n      hosts:\n        w[1:5]:\n",
        ),
        ("group_vars/windows.yml", "---\nansible_connection: winrm\n"),
        ("host_vars/plain.yml", "comment: '{{ anything }}'\n"),
        ("host_vars/sealed.yml", "ansible_host: '{{ inventory_hostname }}.example.com'\n"),
    ]);
    let inventory = load_in(&directory, &["hosts.yml"]).unwrap().inventory;
    assert_eq!(inventory.select(Some("all:!windows:!sealed")).unwrap().hosts.len(), 1);
    assert_eq!(
        problems(&directory, &inventory.select(None).unwrap_err()),
        [
            "host_vars/sealed.yml:1: `ansible_host` is the template `{{ inventory_hostname }}.example.com`, which only Ansible can fill \
             in, for `sealed` (write the value itself, or leave these hosts out with --limit)",
            "hosts.yml:5: `ansible_user` is encrypted with ansible-vault, which is not read yet, for `sealed` (write the value itself, or \
             leave these hosts out with --limit)",
            "group_vars/windows.yml:2: `ansible_connection` is `winrm`, and hosts are reached over SSH or locally only, for `w1`, `w2`, \
             `w3` and 2 more (use ssh or local, or leave these hosts out with --limit)",
        ]
    );
}

#[test]
fn senseless_values_are_errors_of_their_line_once_for_all_hosts() {
    let text = "a[1:4]\n[g]\nb ansible_port=70000 ansible_become=maybe\nc ansible_host=192.0.2.1:22 ansible_user='a b'\n\
                [all:vars]\nansible_ssh_private_key_file=~\n";
    let errors = load_text(text).unwrap_err();
    let said: Vec<(u32, &str)> =
        errors.problems.iter().map(|problem| (problem.line.unwrap(), problem.message.split(',').next().unwrap())).collect();
    assert_eq!(
        said,
        [
            (3, "`ansible_become` is `maybe`"),
            (3, "`ansible_port` is `70000`"),
            (4, "`ansible_host` is `192.0.2.1:22`"),
            (4, "`ansible_user` is `a b`"),
            (6, "`ansible_ssh_private_key_file` is `~`"),
        ]
    );
    assert!(errors.problems[4].message.ends_with("for `a1`, `a2`, `a3` and 3 more"), "{}", errors.problems[4]);
}

#[test]
fn connection_variables_are_read_leniently() {
    let text = "a ansible_port=2222 ansible_become=yes ansible_connection=paramiko\n\
                b ansible_port='\"22\"' ansible_become=0 ansible_connection=smart\n\
                c ansible_ssh_host=[2001:db8::9] ansible_host=192.0.2.9 ansible_user=1000 ansible_become=Off\n\
                d ansible_connection=local ansible_user= ansible_port=None\n\
                e ansible_connection=ansible.builtin.ssh ansible_private_key_file=keys/id\n";
    let inventory = load_text(text).unwrap().inventory;
    let hosts = inventory.hosts();
    assert_eq!(hosts.iter().map(|host| host.port).collect::<Vec<_>>(), [Some(2222), Some(22), None, None, None]);
    assert_eq!(hosts.iter().map(|host| host.become_root).collect::<Vec<_>>(), [Some(true), Some(false), Some(false), None, None]);
    assert_eq!((hosts[2].address.as_str(), hosts[2].user.as_deref()), ("2001:db8::9", Some("1000")));
    assert_eq!((hosts[3].connection, hosts[3].user.as_deref()), (Connection::Local, None));
    assert_eq!(hosts[4].private_key, Some(PathBuf::from("keys/id")));
    assert!(hosts.iter().filter(|host| host.name != "d").all(|host| host.connection == Connection::Ssh));
}

#[test]
fn a_listed_localhost_is_a_host_like_any_other() {
    let inventory = load_text("localhost\n").unwrap().inventory;
    assert_eq!(inventory.hosts()[0].connection, Connection::Ssh);
}

#[test]
fn a_literal_list_needs_a_comma_and_takes_users_and_ports() {
    let inventory = load(&[Source::from_argument("ops@h1:2222, h2,[2001:db8::1]:22,")]).unwrap().inventory;
    let hosts: Vec<_> = inventory.hosts().iter().map(|host| (host.name.as_str(), host.user.as_deref(), host.port)).collect();
    assert_eq!(hosts, [("h1", Some("ops"), Some(2222)), ("h2", None, None), ("2001:db8::1", None, Some(22))]);
    assert_eq!(Source::from_argument("h1"), Source::Path(PathBuf::from("h1")));
    assert!(load(&[Source::from_argument(",")]).unwrap_err().to_string().contains("names no host"));
    assert!(load(&[Source::from_argument("-")]).unwrap_err().to_string().contains("standard input"));
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
        ("group_vars/all/vault.yml", "$ANSIBLE_VAULT;1.1;AES256\n30\n"),
        ("group_vars/web.yml", "a: 1\na: 2\n"),
        ("group_vars/other.yml", "not read: [\n"),
        ("host_vars/h1.yml", "- list\n"),
    ]);
    let errors = problems(&directory, &load_in(&directory, &["hosts"]).unwrap_err());
    assert_eq!(errors.len(), 3, "{errors:?}");
    assert!(errors[0].starts_with("group_vars/all/vault.yml: the file is encrypted with ansible-vault"));
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
