//! What the variables say of how a host is reached.

use std::path::PathBuf;
use std::time::Duration;

use fleetscan::inventory::Given;
use fleetscan::model::{BecomeMethod, Connection, Host, Secret};

use super::{files, load_in, load_text, problems};

#[test]
fn hosts_whose_connection_cannot_be_told_are_refused_only_when_selected() {
    let directory = files(&[
        (
            "hosts.yml",
            "all:\n  hosts:\n    plain:\n    sealed:\n      ansible_user: !vault |\n        $ANSIBLE_VAULT;1.1;AES256\n        30\n  children:\n    windows:\n      hosts:\n        w[1:5]:\n",
        ),
        ("group_vars/windows.yml", "---\nansible_connection: winrm\n"),
        ("host_vars/plain.yml", "comment: '{{ anything }}'\n"),
        ("host_vars/sealed.yml", "ansible_host: '{{ lookup(\"file\", \"x\") }}'\n"),
    ]);
    let inventory = load_in(&directory, &["hosts.yml"]).unwrap().inventory;
    assert_eq!(inventory.select(Some("all:!windows:!sealed"), Given::default()).unwrap().hosts.len(), 1);
    assert_eq!(
        problems(&directory, &inventory.select(None, Given::default()).unwrap_err()),
        [
            "host_vars/sealed.yml:1: `ansible_host` is the template `{{ lookup(\"file\", \"x\") }}`, which only Ansible can fill in: the \
             lookup `file` is Ansible's, for `sealed` (write the value itself, or leave these hosts out with --limit)",
            "hosts.yml:5: `ansible_user` is encrypted with ansible-vault, which only Ansible opens, for `sealed` (write the value itself, \
             or leave these hosts out with --limit)",
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

fn hosts(text: &str) -> Vec<Host> {
    load_text(text).unwrap().inventory.select(None, Given::default()).unwrap().hosts
}

fn stopped(text: &str, given: Given) -> Vec<String> {
    let inventory = load_text(text).unwrap().inventory;
    let places = inventory.matching(None).unwrap().places;
    inventory.troubles(&places, given).into_iter().map(|problem| problem.message).collect()
}

#[test]
fn passwords_are_read_whole_and_never_shown() {
    let text = "a ansible_password=' two words ' ansible_become_password=12345\n\
                b ansible_ssh_pass=True ansible_sudo_pass=sudo ansible_become_method=ansible.builtin.sudo\n\
                c ansible_password= ansible_become_pass=x ansible_doas_pass=doas ansible_become_method=community.general.doas\n";
    let hosts = hosts(text);
    let secrets =
        |host: &Host| [&host.password, &host.become_password].map(|secret| secret.as_ref().map(|one| one.reveal().to_owned()));
    assert_eq!(secrets(&hosts[0]), [Some(" two words ".to_owned()), Some("12345".to_owned())]);
    assert_eq!(secrets(&hosts[1]), [Some("True".to_owned()), Some("sudo".to_owned())]);
    assert_eq!(secrets(&hosts[2]), [None, Some("doas".to_owned())]);
    assert_eq!(
        hosts.iter().map(|host| host.become_method).collect::<Vec<_>>(),
        [None, Some(BecomeMethod::Sudo), Some(BecomeMethod::Doas)]
    );
    assert_eq!(
        stopped("a ansible_password='hunter2{{ vault_x }}'\n", Given::default()),
        ["`ansible_password` is the template, which only Ansible can fill in: `vault_x` is not set, for `a`"]
    );
}

#[test]
fn a_password_that_braces_stand_in_is_no_template_where_it_says_so() {
    let directory = files(&[
        ("hosts.yml", "all: {hosts: {a: {ansible_password: !unsafe 'x{{y'}}}\n"),
        (
            "hosts.json",
            "{\"g\": {\"hosts\": [\"b\"]}, \"_meta\": {\"hostvars\": {\"b\": {\"ansible_password\": {\"__ansible_unsafe\": \"x{{y\"}}}}}\n",
        ),
    ]);
    for source in ["hosts.yml", "hosts.json"] {
        let inventory = load_in(&directory, &[source]).unwrap().inventory;
        assert_eq!(inventory.select(None, Given::default()).unwrap().hosts[0].password, Some(Secret::new("x{{y")), "{source}");
    }
}

#[test]
fn what_is_needed_to_become_root_stops_only_hosts_that_become_root() {
    let text = "plain\nsu ansible_become_method=su\nother ansible_become_user=postgres\nprogram ansible_become_exe=/opt/sudo\n\
                flags ansible_become_flags='-H -S -n -u x'\nsealed ansible_become_password='{{ vault_become }}'\n";
    assert_eq!(stopped(text, Given::default()), Vec::<String>::new());
    let root = Given { become_root: true, ..Given::default() };
    let said = stopped(text, root);
    let expected = [
        "`ansible_become_method` is `su`, and root is reached by sudo or doas only, for `su`",
        "`ansible_become_user` is `postgres`, and a scan becomes root or nobody, for `other`",
        "`ansible_become_exe` is `/opt/sudo`, and only the `sudo` in the PATH is run, for `program`",
        "`ansible_become_flags` is `-H -S -n -u x`, and sudo and doas are run without flags of their own, for `flags`",
        "`ansible_become_password` is the template, which only Ansible can fill in: `vault_become` is not set, for `sealed`",
    ];
    assert_eq!(said, expected);
    assert_eq!(stopped(text, Given { become_password: true, ..root }).len(), 4);
    assert_eq!(stopped(&format!("{text}[all:vars]\nansible_become=yes\n"), Given::default()).len(), 5);
    assert_eq!(stopped(&format!("{text}[all:vars]\nansible_become=no\n"), root).len(), 0);
    let usual = "a ansible_become_user=root ansible_become_exe=/usr/bin/sudo ansible_become_flags='-HS --non-interactive'\n\
                 b ansible_become_method=doas ansible_become_exe=doas ansible_become_flags=\n";
    assert_eq!(stopped(usual, root), Vec::<String>::new());
}

#[test]
fn a_password_given_beside_the_inventory_stands_in_for_one_that_is_encrypted() {
    let directory = files(&[(
        "hosts.yml",
        "all:\n  hosts:\n    a:\n      ansible_password: !vault |\n        $ANSIBLE_VAULT;1.1;AES256\n        30\n",
    )]);
    let inventory = load_in(&directory, &["hosts.yml"]).unwrap().inventory;
    assert_eq!(inventory.select(None, Given::default()).unwrap_err().problems[0].line, Some(4));
    let hosts = inventory.select(None, Given { password: true, ..Given::default() }).unwrap().hosts;
    assert_eq!(hosts[0].password, None);
}

#[test]
fn encrypted_files_stop_the_hosts_that_they_speak_of() {
    let directory = files(&[
        ("hosts", "[web]\nw1\nw2\n[db]\nd1\nd2\n"),
        ("group_vars/db/vars.yml", "ansible_become_password: '{{ vault_become }}'\n"),
        ("group_vars/db/vault.yml", "$ANSIBLE_VAULT;1.1;AES256\n3030\n"),
        ("host_vars/d2", "$ANSIBLE_VAULT;1.2;AES256;prod\n3030\n"),
    ]);
    let inventory = load_in(&directory, &["hosts"]).unwrap().inventory;
    assert_eq!(inventory.select(Some("web"), Given::default()).unwrap().hosts.len(), 2);
    let hint = "(`ansible-inventory -i INVENTORY --list --ask-vault-pass | fleetscan scan -i -` lets Ansible open it)";
    assert_eq!(
        problems(&directory, &inventory.select(None, Given::default()).unwrap_err()),
        [
            format!(
                "group_vars/db/vault.yml: the file is encrypted with ansible-vault, which only Ansible opens, for `d1`, `d2` {hint}"
            ),
            format!("host_vars/d2: the file is encrypted with ansible-vault, which only Ansible opens, for `d2` {hint}"),
        ]
    );
    let sealed = load_text("$ANSIBLE_VAULT;1.1;AES256\n3030\n").unwrap_err().to_string();
    assert!(sealed.contains("hosts: the file is encrypted with ansible-vault"), "{sealed}");
}

#[test]
fn arguments_for_ssh_are_split_in_the_order_of_its_command_line() {
    let text = "a ansible_ssh_extra_args='-J jump' ansible_ssh_args=-C ansible_ssh_common_args='-o \"ProxyCommand=nc %h %p\"'\n";
    assert_eq!(hosts(text)[0].ssh_args, ["-C", "-o", "ProxyCommand=nc %h %p", "-J", "jump"]);
    let errors = load_text("a\n[all:vars]\nansible_ssh_common_args=-o 'ProxyCommand=nc\n").unwrap_err();
    assert!(
        errors.to_string().ends_with(
            "hosts:3: `ansible_ssh_common_args` is `-o 'ProxyCommand=nc`, in which a quotation that begins with ' does not end, for `a` \
             (close it on the same line)"
        ),
        "{errors}"
    );
}

#[test]
fn times_and_host_key_checking_are_read() {
    let text = "a ansible_timeout=7\nb ansible_timeout=7 ansible_ssh_timeout=9\nc ansible_timeout=0\n\
                d ansible_host_key_checking=no\ne ansible_host_key_checking=no ansible_ssh_host_key_checking=yes\n";
    let hosts = hosts(text);
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    assert_eq!(hosts.iter().map(|host| host.connect_timeout).collect::<Vec<_>>(), [seconds(7), seconds(9), None, None, None]);
    assert_eq!(hosts.iter().map(|host| host.host_key_checking).collect::<Vec<_>>(), [None, None, None, Some(false), Some(true)]);
    assert!(load_text("a ansible_timeout=soon\n").unwrap_err().to_string().contains("whole number of seconds"));
}

#[test]
fn what_could_become_a_command_is_no_address_and_no_login() {
    for wrong in ["a;b", "$(x)", "a`b`", "a|b", "a'b", "-oProxyCommand=x", "a\\b"] {
        let text = format!("all: {{hosts: {{h: {{ansible_host: '{}'}}}}}}\n", wrong.replace('\'', "''"));
        let directory = files(&[("hosts.yml", &text)]);
        assert!(load_in(&directory, &["hosts.yml"]).unwrap_err().to_string().contains("not an address"), "{wrong}");
    }
    let login = |login: &str| files(&[("hosts.yml", &format!("all: {{hosts: {{h: {{ansible_user: '{login}'}}}}}}\n"))]);
    for wrong in ["a;b", "a b", "-l", "x\\", "(x)"] {
        assert!(load_in(&login(wrong), &["hosts.yml"]).unwrap_err().to_string().contains("not a login name"), "{wrong}");
    }
    let domain = load_in(&login("EXAMPLE\\ops"), &["hosts.yml"]).unwrap().inventory;
    assert_eq!(domain.hosts()[0].user.as_deref(), Some("EXAMPLE\\ops"));
}

#[test]
fn templates_know_where_the_inventory_stands() {
    let directory = files(&[("inv/hosts", "a ansible_ssh_private_key_file='{{ inventory_dir }}/keys/id'\n")]);
    let inventory = load_in(&directory, &["inv"]).unwrap().inventory;
    assert_eq!(inventory.hosts()[0].private_key, Some(directory.path().join("inv/keys/id")));
}
