//! Formats beside Ansible's files: tables, lists, standard input, programs, OpenSSH's configuration.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use fleetscan::inventory::{Given, Inventory};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{files, fleetscan, host, listed, load_in, problems, repository, sample, text};

fn everything(inventory: &Inventory) -> Value {
    super::json(inventory, &inventory.matching(None).unwrap().places)
}

/// A program that is an inventory.
fn program(text: &str) -> TempDir {
    let directory = files(&[("run", text)]);
    fs::set_permissions(directory.path().join("run"), fs::Permissions::from_mode(0o755)).unwrap();
    directory
}

#[test]
fn the_table_has_addresses_ports_groups_and_variables() {
    let inventory = sample("fleet.csv");
    let web02 = host(&inventory, "web02.example.com");
    assert_eq!((web02.address.as_str(), web02.port, web02.user.as_deref()), ("192.0.2.12", Some(2222), Some("deploy")));
    assert_eq!(web02.groups, ["production", "web"]);
    assert_eq!(web02.variables["owner"], "Web team, Berlin".into());
    let staging = host(&inventory, "staging01.example.com");
    assert_eq!(
        (staging.address.as_str(), staging.port, staging.variables.get("rack").is_some()),
        ("staging01.example.com", None, false)
    );
    assert_eq!(listed(&inventory, Some("production:!web")), ["db01.example.com"]);
}

#[test]
fn the_list_has_names_and_objects() {
    let inventory = sample("hosts.json");
    let expected = ["gateway.example.com", "web01.example.com", "web02.example.com", "db01.example.com"];
    assert_eq!(listed(&inventory, None), expected);
    let db01 = host(&inventory, "db01.example.com");
    assert_eq!((db01.address.as_str(), db01.port, db01.user.as_deref()), ("192.0.2.21", Some(2222), Some("scan")));
    assert_eq!((db01.groups.join(" "), &db01.variables["rack"]), ("database production".to_owned(), &"B1".into()));
}

#[test]
fn tables_come_with_any_delimiter_order_and_quotation() {
    let table = [
        ("a.csv", "\u{feff}Hostname;Port;Groups\r\nweb01;2222;\"web prod\"\r\n\"web02\";;web|prod\r\n;;\r\n"),
        ("b.csv", "groups\thostname\tport\nweb,prod\tweb01\t2222\n# a comment\n\nweb prod\tweb02\t\n"),
        ("c", "name,groups,port\nweb01,web;prod,2222\nweb02,\"web;prod\",\n"),
        ("d.csv", "ip,groups,port\nweb01,web|prod,2222\nweb02,web|prod,\n"),
    ];
    for (name, text) in table {
        let inventory = load_in(&files(&[(name, text)]), &[name]).unwrap().inventory;
        let expected = json!({
            "all": {"children": ["ungrouped", "web", "prod"]},
            "web": {"hosts": ["web01", "web02"]},
            "prod": {"hosts": ["web01", "web02"]},
            "_meta": {"hostvars": {"web01": {"ansible_port": 2222}}},
        });
        assert_eq!(everything(&inventory), expected, "{name}");
    }
    let inventory = load_in(&files(&[("a.csv", "name\nops@web[1:2]:22\n")]), &["a.csv"]).unwrap().inventory;
    assert_eq!(listed(&inventory, None), ["web1", "web2"]);
    assert_eq!((host(&inventory, "web2").user.as_deref(), host(&inventory, "web2").port), (Some("ops"), Some(22)));
}

#[test]
fn wrong_rows_are_named_by_their_line() {
    let directory = files(&[
        ("rows.csv", "# assets\nname,port\n\nok,22\nweb01,ssh\na,b,c\n,22\n\n\"two\nlines\",22\nweb02\n"),
        ("header.csv", "serial,rack\n1,2\n"),
        ("twice.csv", "name,rack,rack\n"),
        ("nameless.csv", "name,,rack\n"),
        ("empty.csv", "name,port\n"),
    ]);
    let said = |name: &str| problems(&directory, &load_in(&directory, &[name]).unwrap_err());
    let rows = said("rows.csv");
    assert_eq!(
        rows.iter().map(|row| row.split(": ").next().unwrap()).collect::<Vec<_>>(),
        ["rows.csv:5", "rows.csv:6", "rows.csv:7", "rows.csv:9", "rows.csv:11"]
    );
    assert!(rows[0].contains("`ansible_port` is `ssh`, which is not a port, for `web01`"), "{rows:?}");
    assert!(rows[1].contains("the row has 3 cells, the header 2"), "{rows:?}");
    assert!(rows[2].contains("the row names no host"), "{rows:?}");
    assert!(rows[3].contains("which no host name does"), "{rows:?}");
    assert!(rows[4].contains("the row has 1 cells, the header 2"), "{rows:?}");
    assert!(said("header.csv")[0].contains("header.csv:1: no column of `serial,rack` names the host"));
    assert!(said("twice.csv")[0].contains("two columns are called `rack`"));
    assert!(said("nameless.csv")[0].contains("column 2 has no name"));
    assert!(said("empty.csv")[0].contains("names no host"));
}

#[test]
fn lists_in_json_or_yaml_are_names_or_objects() {
    let expected = json!({
        "all": {"children": ["ungrouped", "web", "prod"]},
        "ungrouped": {"hosts": ["web01", "web02"]},
        "web": {"hosts": ["web03"]},
        "prod": {"hosts": ["web03"]},
        "_meta": {"hostvars": {
            "web02": {"ansible_port": 2222, "ansible_user": "ops"},
            "web03": {"ansible_host": "192.0.2.3", "ansible_port": 22, "ansible_user": "x", "tags": {"a": [1]}},
        }},
    });
    let json = r#"["web01", "ops@web02:2222", {"Name": "web03", "address": "192.0.2.3", "port": 22, "user": "x", "groups": ["web", "prod"],
        "tags": {"a": [1]}, "nothing": null}]"#;
    let yaml =
        "- web01\n- ops@web02:2222\n- {hostname: web03, ip: 192.0.2.3, port: 22, user: x, groups: web prod, tags: {a: [1]}}\n";
    for (name, text) in [("a.json", json), ("hosts", json), ("a.yml", yaml), ("hosts2", yaml)] {
        let inventory = load_in(&files(&[(name, text)]), &[name]).unwrap().inventory;
        assert_eq!(everything(&inventory), expected, "{name}");
    }
    let directory = files(&[("a.json", "[\"ok\",\n{\"port\": 22},\n[1],\n{\"name\": 5},\n{\"name\": \"x\", \"groups\": 1}]\n")]);
    let said = problems(&directory, &load_in(&directory, &["a.json"]).unwrap_err());
    assert!(said[0].starts_with("a.json:2: the item names no host"), "{said:?}");
    assert!(said[1].starts_with("a.json:3: an item of the list is a list"), "{said:?}");
    assert!(said[2].starts_with("a.json:4: the name of a host is text, not `5`"), "{said:?}");
    assert!(said[3].starts_with("a.json:5: `1` are no names of groups"), "{said:?}");
}

#[test]
fn the_answer_of_a_program_may_be_read_from_a_file() {
    let answer = std::process::Command::new(repository("inventory/dynamic.sh")).arg("--list").output().unwrap();
    for name in ["answer.json", "answer"] {
        let directory = files(&[(name, &text(&answer.stdout))]);
        let inventory = load_in(&directory, &[name]).unwrap().inventory;
        assert_eq!(everything(&inventory), everything(&sample("dynamic.sh")));
    }
}

#[test]
fn standard_input_may_have_every_format() {
    let here = TempDir::new().unwrap();
    let json = fs::read_to_string(repository("inventory/fleet.json")).unwrap();
    for (input, expected) in [
        ("web01\n# note\nops@web02:2222\n", "web01\nweb02\n"),
        ("[web]\nweb01\n[db]\ndb1\n", "web01\ndb1\n"),
        ("all:\n  hosts:\n    web01:\n", "web01\n"),
        ("- web01\n- web02\n", "web01\nweb02\n"),
        ("[\"web01\"]", "web01\n"),
        ("name,port\nweb01,22\n", "web01\n"),
        ("{\"web\": [\"web01\"]}", "web01\n"),
        (json.as_str(), "web01.example.com\nweb02.example.com\nweb03.example.com\nweb04.example.com\ndb01.example.com\n"),
    ] {
        let output = fleetscan(here.path(), &["inventory", "-i", "-", "--hosts"], input);
        assert_eq!(text(&output.stdout), expected, "{input}: {}", text(&output.stderr));
    }
    for (input, expected) in [
        ("", "standard input: the inventory names no host"),
        ("web01\nweb02:ssh\n", "standard input:2: `ssh` in `web02:ssh` is not a port"),
        ("$ANSIBLE_VAULT;1.1;AES256\n30\n", "standard input: the file is encrypted with ansible-vault"),
        ("{\"web\": [\"web01\"]", "standard input:1: the JSON is not well-formed"),
        (
            "Host web01\n  Port 22\n",
            "standard input: is a configuration of OpenSSH, which the connections need as well (name its file",
        ),
    ] {
        let output = fleetscan(here.path(), &["scan", "-i", "-"], input);
        assert_eq!(output.status.code(), Some(2));
        assert!(text(&output.stderr).contains(expected), "{}", text(&output.stderr));
    }
}

#[test]
fn what_the_inventory_says_is_never_printed_raw() {
    let here = TempDir::new().unwrap();
    let output = fleetscan(here.path(), &["inventory", "-i", "-", "--hosts"], "{\"web\": [\"a\\u001b[31mb\"]}");
    assert_eq!(output.status.code(), Some(2));
    assert!(!output.stderr.contains(&0x1b) && text(&output.stderr).contains("\\u{1b}"), "{}", text(&output.stderr));
}

#[test]
fn an_ssh_configuration_gives_its_names_and_is_asked_for_the_rest() {
    let inventory = sample("ssh_config");
    assert_eq!(listed(&inventory, None), ["bastion.example.com", "web01.example.com", "web02.example.com", "db01.example.com"]);
    let path = fs::canonicalize(repository("inventory/ssh_config")).unwrap();
    assert_eq!(host(&inventory, "db01.example.com").ssh_args, ["-F", path.to_str().unwrap()]);
    assert_eq!(host(&inventory, "db01.example.com").address, "db01.example.com");
}

#[test]
fn an_ssh_configuration_is_followed_into_what_it_includes() {
    let directory = files(&[
        (
            "it's mine/config",
            "Include \"INCLUDED/conf.d/*.conf\" INCLUDED/missing\nMatch user x\n  Include INCLUDED/self\nHost=last !no *.wild\n",
        ),
        ("conf.d/b.conf", "host b1 b2 # two\n"),
        ("conf.d/a.conf", "HOST \"a1\"\n  HostName 192.0.2.1\n"),
        ("conf.d/c.txt", "Host no\n"),
        ("self", "Include INCLUDED/conf.d/a.conf\nHost self\n"),
    ]);
    for name in ["it's mine/config", "self"] {
        let path = directory.path().join(name);
        let text = fs::read_to_string(&path).unwrap().replace("INCLUDED", directory.path().to_str().unwrap());
        fs::write(path, text).unwrap();
    }
    let inventory = load_in(&directory, &["it's mine/config"]).unwrap().inventory;
    assert_eq!(listed(&inventory, None), ["a1", "b1", "b2", "self", "last"]);
    let path = fs::canonicalize(directory.path()).unwrap().join("it's mine/config");
    assert_eq!(host(&inventory, "a1").ssh_args, ["-F", path.to_str().unwrap()]);
}

#[test]
fn the_users_own_ssh_configuration_needs_no_mention() {
    let home = files(&[(".ssh/config", "Host web01\n  User ops\nInclude more\n"), (".ssh/more", "Host web02\n")]);
    let list = |path: &str| {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_fleetscan"))
            .args(["inventory", "--list", "-i", path])
            .current_dir(home.path())
            .env("HOME", home.path())
            .output()
            .unwrap();
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    };
    let expected =
        json!({"all": {"children": ["ungrouped"]}, "ungrouped": {"hosts": ["web01", "web02"]}, "_meta": {"hostvars": {}}});
    assert_eq!(list(".ssh/config"), expected);
    assert_eq!(list(home.path().join(".ssh/config").to_str().unwrap()), expected);
}

#[test]
fn a_program_that_fails_says_why() {
    let table = [
        ("#!/bin/sh\necho one >&2\nexit 3\n", "run --list: the program failed: exit status: 3; it says: one"),
        ("#!/bin/sh\nkill -9 $$\n", "run --list: the program failed: signal: 9 (SIGKILL)"),
        (
            "#!/bin/sh\necho trouble >&2\necho '{\"a\":\n}'\n",
            "run --list:2: the JSON is not well-formed: '}' stands where a value belongs; it says: trouble",
        ),
        ("#!/bin/sh\necho '[1]'\n", "run --list:1: the answer is a list, not a map of groups"),
        ("#!/bin/sh\necho '{\"web\": 1}'\n", "run --list:1: group `web` is a number, neither a list nor a map"),
        (
            "#!/bin/sh\necho '{\"web\": {\"hosts\": {\"a\": {}}}}'\n",
            "run --list:1: `hosts` of group `web` is a map, not a list of names",
        ),
        (
            "#!/bin/sh\necho '{\"web\": [1, \"../x\"], \"_meta\": {\"hostvars\": []}}'\n",
            "run --list:1: a host of group `web` is a number, not a name",
        ),
        ("#!/bin/sh\nprintf '\\377'\n", "run --list: the program printed what is not UTF-8"),
        ("#!/no/such/interpreter\n", "run: the program can't be run: what its first line names is not there"),
        ("#!/bin/sh\n", "run --list:1: the JSON is not well-formed: the text ends where a value belongs"),
    ];
    for (script, expected) in table {
        let directory = program(script);
        let said = problems(&directory, &load_in(&directory, &["run"]).unwrap_err());
        assert!(said[0].replace("run --list: the program can't", "run: the program can't").starts_with(expected), "{said:?}");
    }
}

#[test]
fn a_program_is_asked_for_every_host_where_it_says_no_variables() {
    let directory = program(
        "#!/bin/sh\n[ \"$1\" = --list ] && { echo '{\"web\": [\"a\", \"b\", \"c\"]}'; exit; }\n[ \"$2\" = b ] && { echo no b >&2; exit 1; }\necho '{\"n\": 1}'\n",
    );
    let said = problems(&directory, &load_in(&directory, &["run"]).unwrap_err());
    assert_eq!(
        said,
        [
            "run --host b: the program failed: exit status: 1; it says: no b (the answer to `--list` may say the variables of all hosts at \
         once, under `_meta`)"
        ]
    );
}

#[test]
fn what_a_program_complains_of_is_a_warning_where_it_succeeds() {
    let directory =
        program("#!/bin/sh\nprintf 'old \\033[1mtoken\\n' >&2\necho '{\"web\": [\"a\"], \"_meta\": {\"hostvars\": {}}}'\n");
    let loaded = load_in(&directory, &["run"]).unwrap();
    assert_eq!(loaded.warnings.len(), 1);
    assert!(
        loaded.warnings[0].to_string().ends_with("run --list: the program says: old \\u{1b}[1mtoken"),
        "{}",
        loaded.warnings[0]
    );
}

#[test]
fn names_that_a_program_gives_need_an_address_only_where_they_are_none() {
    let directory = program(
        "#!/bin/sh\necho '{\"vms\": [\"Web server (old)\", \"db 1\"], \"_meta\": {\"hostvars\": {\"db 1\": {\"ansible_host\": \"192.0.2.1\"}}}}'\n",
    );
    let inventory = load_in(&directory, &["run"]).unwrap().inventory;
    assert_eq!(inventory.select(Some("db*"), Given::default()).unwrap().hosts[0].address, "192.0.2.1");
    assert_eq!(
        problems(&directory, &inventory.select(None, Given::default()).unwrap_err()),
        ["run --list:1: the name is no address, for `Web server (old)` (set `ansible_host`)"]
    );
}

#[test]
fn variables_of_a_directory_that_everybody_may_write_to_are_left_alone() {
    let directory = files(&[("inv/hosts", "h1\n"), ("group_vars/all.yml", "x: 1\n")]);
    let here = directory.path();
    let list = || {
        let output = fleetscan(here, &["inventory", "-i", "inv/hosts", "--list"], "");
        (serde_json::from_slice::<Value>(&output.stdout).unwrap()["_meta"]["hostvars"].clone(), text(&output.stderr))
    };
    assert_eq!(list(), (json!({"h1": {"x": 1}}), String::new()));
    fs::set_permissions(here, fs::Permissions::from_mode(0o777)).unwrap();
    let (variables, said) = list();
    assert_eq!(variables, json!({}));
    assert!(said.contains("are not read, since everybody may write to this directory"), "{said}");
}

#[test]
fn a_pipe_in_a_directory_is_an_error_and_not_waited_for() {
    for place in ["inv/pipe", "inv/group_vars/all"] {
        let directory = files(&[("inv/hosts", "h1\n"), ("inv/group_vars/other.yml", "x: 1\n")]);
        let made = std::process::Command::new("mkfifo").arg(directory.path().join(place)).status().unwrap();
        assert!(made.success());
        let output = fleetscan(directory.path(), &["inventory", "-i", "inv", "--list"], "");
        assert_eq!(output.status.code(), Some(2));
        let said = text(&output.stderr);
        assert!(said.contains(&format!("{place}: is neither a file nor a directory")), "{said}");
    }
}

#[test]
fn hosts_that_cannot_be_scanned_are_listed_and_it_is_said_why() {
    let directory = files(&[("hosts", "ok\nwin ansible_connection=winrm\n")]);
    let output = fleetscan(directory.path(), &["inventory", "-i", "hosts", "--hosts"], "");
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(0), "ok\nwin\n".to_owned()));
    assert!(text(&output.stderr).starts_with("warning: hosts:2: `ansible_connection` is `winrm`"), "{}", text(&output.stderr));
}

#[test]
fn every_row_of_the_readme_is_a_sample() {
    let readme = fs::read_to_string(repository("README.md")).unwrap();
    for name in super::SAMPLES {
        assert!(readme.contains(&format!("[inventory/{name}](inventory/{name})")), "{name}");
    }
    let shown = readme.split("](inventory/").skip(1).filter_map(|rest| rest.split(')').next());
    for path in shown {
        assert!(super::SAMPLES.contains(&path) && Path::new(&repository("inventory")).join(path).exists(), "{path}");
    }
}
