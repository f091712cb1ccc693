//! Logins by password on a host with Debian's own PAM: what lets in, and what is told apart when it does not.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::engine::{Fleet, docker};
use crate::snapshot::{SCRIPT, Snapshot};
use crate::{PASSWORD, array, scan_quietly, text};

/// A login of `roles/passwords.sh`: what the host is called here, what the inventory says beside its address, how it must come out and what must be said.
const LOGINS: &[(&str, &str, &str, &str)] = &[
    // Root may write wherever a probe would.
    ("root", "ansible_user=root ansible_ssh_private_key_file=KEY", "complete", ""),
    ("password", "ansible_user=auditor", "complete", ""),
    (
        "question",
        "ansible_user=auditor ansible_ssh_common_args='-o PreferredAuthentications=keyboard-interactive'",
        "complete",
        "",
    ),
    ("request", "ansible_user=auditor ansible_ssh_common_args='-o PreferredAuthentications=password'", "complete", ""),
    ("both", "ansible_user=both ansible_ssh_private_key_file=KEY", "complete", ""),
    (
        "key-alone",
        "ansible_user=both ansible_ssh_private_key_file=KEY ansible_ssh_common_args='-o PreferredAuthentications=publickey'",
        "auth_refused",
        "wants a second proof",
    ),
    ("expired", "ansible_user=expired", "password_expired", "assword"),
    ("coded", "ansible_user=coded", "second_factor", "Verification code"),
    ("wrong", "ansible_user=auditor ansible_password=quagga-and-dodo", "auth_refused", "offered: the password"),
];

#[test]
fn logins_by_password_are_let_in_by_pam_or_told_apart_and_leave_nothing_behind() {
    let fleet = Fleet::from_environment();
    fleet.wait_for("passwords", Instant::now() + Duration::from_secs(180));
    let directory = fleet.directory.join("passwords");
    let _ = std::fs::remove_dir_all(&directory);
    std::fs::create_dir_all(&directory).expect("made");
    let at = |name: &str| directory.join(name);
    let address = fleet.address("passwords");
    let keys = docker(&["exec", &fleet.container("passwords"), "sh", "-c", "cat /etc/ssh/*_key.pub"], "");
    std::fs::write(at("known_hosts"), keys.lines().map(|key| format!("{address} {key}\n")).collect::<String>()).expect("written");
    let key = fleet.directory.join("id_ed25519").display().to_string();
    let line = |(name, variables, ..): &(&str, &str, &str, &str)| {
        format!("{name} ansible_host={address} {}\n", variables.replace("KEY", &key))
    };
    std::fs::write(at("inventory"), LOGINS.iter().map(line).collect::<String>()).expect("written");
    std::fs::write(at("password"), format!("{PASSWORD}\n")).expect("written");
    std::fs::set_permissions(at("password"), std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("permitted");

    let snapshot = || {
        Snapshot::parse(&fleet.listing("passwords", SCRIPT)).unwrap_or_else(|error| panic!("the snapshot of passwords: {error}"))
    };
    let before = snapshot();
    std::thread::sleep(Duration::from_millis(1100));
    let (_, report) = scan_quietly(
        &directory,
        &["--ssh-config", "none", "--known-hosts", "known_hosts", "--password-file", "password"],
        &[PASSWORD, "quagga-and-dodo"],
    );
    let hosts = array(&report["hosts"]);
    assert_eq!(hosts.len(), LOGINS.len());
    for ((name, _, reason, detail), host) in LOGINS.iter().zip(hosts) {
        let outcome = &host["outcome"];
        assert_eq!((text(&host["name"]), text(&outcome["reason"])), (*name, *reason), "{outcome}");
        assert!(text(&outcome["detail"]).contains(detail), "{name}: {outcome}");
    }

    let changes = before.changes(&snapshot(), "passwords");
    assert!(changes.is_empty(), "{}", changes.join("\n"));
}
