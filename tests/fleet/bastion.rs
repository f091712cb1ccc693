//! Through a bastion, as its users reach the host behind it: an ssh_config with a `ProxyJump`, certificates for hosts and for logins, an Ansible inventory
//! that says nothing but a name, and a password for sudo.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::engine::{Fleet, docker};
use crate::snapshot::{SCRIPT, Snapshot};
use crate::{array, scan_quietly, text};

/// The password of `roles/inner.sh`.
const PASSWORD: &str = "seven-trombones-7";

#[test]
fn a_host_behind_a_bastion_with_certificates_and_a_password_for_sudo_is_scanned_by_the_ssh_config_that_is_there() {
    let fleet = Fleet::from_environment();
    let ready_by = Instant::now() + Duration::from_secs(180);
    fleet.wait_for("bastion", ready_by);
    fleet.wait_for("inner", ready_by);
    let directory = fleet.directory.join("bastion");
    let _ = std::fs::remove_dir_all(&directory);
    std::fs::create_dir_all(&directory).expect("made");
    let at = |name: &str| directory.join(name);
    let authority = std::fs::read_to_string(fleet.directory.join("ca.pub")).expect("the authority's public key");
    std::fs::write(at("known_hosts"), format!("@cert-authority *.fleet.test {authority}")).expect("written");
    std::fs::write(
        at("ssh_config"),
        format!(
            "Host bastion.fleet.test\n  HostName {}\n  HostKeyAlias bastion.fleet.test\n  User jump\n\n\
             Host inner.fleet.test\n  HostName {}\n  HostKeyAlias inner.fleet.test\n  User auditor\n  ProxyJump bastion.fleet.test\n\n\
             Host *.fleet.test\n  IdentityFile {}\n  IdentitiesOnly yes\n  UserKnownHostsFile {}\n  GlobalKnownHostsFile none\n",
            fleet.address("bastion"),
            fleet.address("inner"),
            fleet.directory.join("certified").display(),
            at("known_hosts").display(),
        ),
    )
    .expect("written");
    std::fs::write(at("inventory"), "[inside]\ninner.fleet.test\n\n[inside:vars]\nansible_become=yes\n").expect("written");
    std::fs::write(at("password"), format!("{PASSWORD}\n")).expect("written");
    std::fs::set_permissions(at("password"), std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("permitted");

    let snapshots = || {
        ["bastion", "inner"].map(|service| {
            let listing = fleet.listing(service, SCRIPT);
            (service, Snapshot::parse(&listing).unwrap_or_else(|error| panic!("{service}: {error}")))
        })
    };
    let before = BTreeMap::from(snapshots());
    std::thread::sleep(Duration::from_millis(1100));
    let (said, report) =
        scan_quietly(&directory, &["--ssh-config", "ssh_config", "--become-password-file", "password"], &[PASSWORD]);
    let [host] = array(&report["hosts"]) else { panic!("one host: {said}") };
    assert_eq!(text(&host["outcome"]["status"]), "scanned", "{}", host["outcome"]);
    assert_eq!(text(&host["privilege"]), "sudo_shell");
    let findings = array(&host["findings"]);
    let in_want: Vec<&str> = findings
        .iter()
        .filter(|finding| text(&finding["reason"]) == "needs_root")
        .map(|finding| text(&finding["check"]))
        .collect();
    assert!(findings.len() > 200 && in_want.is_empty(), "unknown for want of a privilege: {in_want:?}");

    // The only way in was the bastion: nobody else may log in, and it passed the connection on.
    let logs = Command::new("docker").args(["logs", &fleet.container("inner")]).output().expect("docker runs");
    let logs = String::from_utf8_lossy(&logs.stderr).into_owned();
    assert!(logs.contains(&format!("Accepted publickey for auditor from {}", fleet.address("bastion"))), "{logs}");

    let processes = docker(&["exec", &fleet.container("inner"), "sh", "-c", "ls /run/sudo/ts 2>/dev/null || :"], "");
    assert_eq!(processes, "", "sudo remembers the password");
    let after = BTreeMap::from(snapshots());
    let changes: Vec<String> = before.iter().flat_map(|(service, snapshot)| snapshot.changes(&after[service], service)).collect();
    assert!(changes.is_empty(), "{}", changes.join("\n"));
}
