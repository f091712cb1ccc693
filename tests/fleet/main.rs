//! The real program against the container fleet of docker-compose.test.yml, host by host and check by check.
//!
//! `tests/run` brings the fleet up, names it in FLEETSCAN_FLEET and takes it down. What a host is like: `roles/`. What must be found on it:
//! `expected/`, written by hand. Where a verdict differs, `target/fleet/actual/` has what was found, in the same form.

mod bastion;
mod engine;
mod expected;
mod passwords;
mod snapshot;

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use engine::{Afterwards, Fleet, docker, runs};
use expected::Expected;
use serde_json::Value;
use snapshot::{SCRIPT, Snapshot};

/// A host of the inventory.
struct Member {
    name: &'static str,
    /// The container, where it is not called like the host.
    service: &'static str,
    user: &'static str,
    with_become: bool,
    group: &'static str,
    /// By which rights it must have been asked, where it gets that far.
    privilege: Option<&'static str>,
    /// Another login on the same container that must find the same; else what must be found is written down.
    like: Option<&'static str>,
}

const fn member(name: &'static str, user: &'static str, with_become: bool, group: &'static str) -> Member {
    Member { name, service: name, user, with_become, group, privilege: Some("root"), like: None }
}

/// A login that is not root: how it comes by the rights of root.
const fn risen(name: &'static str, user: &'static str, privilege: &'static str) -> Member {
    Member { privilege: Some(privilege), ..member(name, user, true, "unprivileged") }
}

const FLEET: &[Member] = &[
    member("hardened", "root", false, "good"),
    Member { privilege: Some("sudo_shell"), ..member("weak", "deploy", true, "bad") },
    Member { service: "sudo-exact", ..member("sudo-exact-root", "root", false, "good") },
    Member { like: Some("sudo-exact-root"), ..risen("sudo-exact", "auditor", "sudo") },
    risen("sudo-password", "auditor", "sudo_shell"),
    Member { service: "doas", ..member("doas-root", "root", false, "good") },
    Member { like: Some("doas-root"), ..risen("doas", "auditor", "doas") },
    Member { service: "doas", like: Some("doas-root"), ..risen("doas-shell", "boss", "doas_shell") },
    risen("no-sudo", "auditor", "user"),
    risen("noexec", "auditor", "sudo"),
    // The same container with another login: sudo wants a terminal there, and a scan has none.
    Member { service: "noexec", ..risen("requiretty", "typist", "user") },
    member("no-engine", "root", false, "good"),
    member("systemd", "root", false, "good"),
    member("engine", "root", false, "containers"),
    Member { service: "engine", like: Some("engine"), ..risen("engine-rules", "auditor", "sudo") },
    member("audit", "root", false, "containers"),
    member("dropbear", "root", false, "embedded"),
    Member { privilege: None, ..member("paused", "root", false, "lost") },
    Member { privilege: None, ..member("cut", "root", false, "lost") },
];

/// Checks that no rule for single commands can settle: see the comment in what `fleetscan sudoers` prints.
const BEYOND_RULES: &[&str] = &["docker.version.restart-pending"];

/// The password of the login on `sudo-password`, as docker-compose.test.yml has it; every host that asks is told it.
const PASSWORD: &str = "not so secret";

/// What `roles/paused.sh` and `roles/cut.sh` make slow, as `pgrep -fx` sees it: the host is in the middle of the script then.
const PAUSED_AT: &str = "sleep 40";
const CUT_AT: &str = "sleep 9";

/// What `roles/engine.sh` puts into an environment and `roles/weak.sh` into /etc/shadow, and no report may tell.
const SECRETS: &[&str] = &["correct-horse-battery-staple", "EXAMPLEKEYEXAMPLEKEY", "7mwN0Y7Ai9mBd5e8H2LQs", PASSWORD];

fn services() -> BTreeSet<&'static str> {
    FLEET.iter().map(|host| host.service).collect()
}

fn inventory(address: impl Fn(&str) -> String, key: &Path) -> String {
    let mut groups: BTreeMap<&str, String> = BTreeMap::new();
    for host in FLEET {
        let with_become = if host.with_become { " ansible_become=true" } else { "" };
        let line = format!("{} ansible_host={} ansible_user={}{with_become}\n", host.name, address(host.service), host.user);
        groups.entry(host.group).or_default().push_str(&line);
    }
    let mut text = format!("[all:vars]\nansible_ssh_private_key_file={}\n", key.display());
    for (group, lines) in &groups {
        text.push_str(&format!("\n[{group}]\n{lines}"));
    }
    text.push_str("\n[openssh:children]\ngood\nbad\nunprivileged\ncontainers\nlost\n");
    text
}

/// Gives logins the rules that fleetscan prints, and has the programs that will read them look at them.
fn give_rules(fleet: &Fleet) {
    let printed = |arguments: &[&str]| {
        let output =
            Command::new(env!("CARGO_BIN_EXE_fleetscan")).args(["sudoers", "--user", "auditor"]).args(arguments).output();
        let output = output.expect("fleetscan runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    };
    let install = |service, rules: &str, command| {
        docker(&["exec", "--interactive", &fleet.container(service), "sh", "-c", command], rules);
    };
    let sudo = "cat > /etc/sudoers.d/fleetscan && chmod 440 /etc/sudoers.d/fleetscan && visudo -cq";
    for service in ["sudo-exact", "engine"] {
        install(service, &printed(&[]), sudo);
    }
    install("doas", &printed(&["--doas"]), "cat >> /etc/doas.conf && doas -C /etc/doas.conf");
}

/// The host keys, asked of the engine and not of the network: this is what a scan has to meet.
fn known_hosts(fleet: &Fleet) -> String {
    let mut text = String::new();
    for service in services() {
        let keys = docker(
            &["exec", &fleet.container(service), "sh", "-c", "cat /etc/ssh/*_key.pub /etc/dropbear/*_key.pub 2>/dev/null || :"],
            "",
        );
        assert!(!keys.is_empty(), "{service} has no host keys");
        text.extend(keys.lines().map(|key| format!("{} {key}\n", fleet.address(service))));
    }
    text
}

fn snapshots(fleet: &Fleet) -> BTreeMap<&'static str, Snapshot> {
    let of = |service| {
        (service, Snapshot::parse(&fleet.listing(service, SCRIPT)).unwrap_or_else(|error| panic!("{service}: {error}")))
    };
    services().into_iter().map(of).collect()
}

/// Strikes a host with a docker command when its session is at the slow place. What comes back heals it.
fn strike(scan: &JoinHandle<Output>, container: &str, place: &str, blow: &[&str], cure: &[&str]) -> Result<Afterwards, String> {
    while !runs(container, place) {
        if scan.is_finished() {
            return Err(format!("the scan ended, and no session was at `{place}`: too early for docker {}", blow.join(" ")));
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    docker(blow, "");
    Ok(Afterwards(cure.iter().map(|word| (*word).to_owned()).collect()))
}

/// Every host × check has one row in the CSV, and it says what the JSON says.
fn csv_differences(report: &Value, csv: &str) -> Vec<String> {
    let mut differences = Vec::new();
    let mut reader = csv::Reader::from_reader(csv.trim_start_matches('\u{feff}').as_bytes());
    let columns = reader.headers().expect("a head").clone();
    let column = |name: &str| columns.iter().position(|column| column == name).unwrap_or_else(|| panic!("a column `{name}`"));
    let [host, check, verdict] = ["host", "check", "verdict"].map(column);
    let mut rows: BTreeMap<(String, String), String> = BTreeMap::new();
    for row in reader.records() {
        let row = row.expect("a row");
        let key = (row[host].to_owned(), row[check].to_owned());
        if rows.insert(key, row[verdict].to_owned()).is_some() {
            differences.push(format!("the CSV has two rows for {} on {}", &row[check], &row[host]));
        }
    }
    for object in array(&report["hosts"]) {
        let name = text(&object["name"]);
        let found: BTreeMap<&str, &str> =
            array(&object["findings"]).iter().map(|finding| (text(&finding["check"]), text(&finding["verdict"]))).collect();
        for check in array(&report["checks"]).iter().map(|check| text(&check["id"])) {
            let in_json = found.get(check).copied().unwrap_or("unknown");
            let in_csv = rows.remove(&(name.to_owned(), check.to_owned()));
            if in_csv.as_deref() != Some(in_json) {
                differences.push(format!("{name}: {check} is `{in_json}` in the JSON and {in_csv:?} in the CSV"));
            }
        }
    }
    differences
        .extend(rows.into_keys().map(|(host, check)| format!("the CSV has a row for {check} on {host}, and the JSON has not")));
    differences
}

/// Scans an inventory in a directory of the test, recording the answers; what was printed, and the JSON report. None of these secrets is written or said.
fn scan_quietly(directory: &Path, arguments: &[&str], secrets: &[&str]) -> (String, Value) {
    let output = Command::new(env!("CARGO_BIN_EXE_fleetscan"))
        .args(["scan", "--quiet", "--inventory", "inventory", "--record", "record", "--output", "json=report.json"])
        .args(arguments)
        .current_dir(directory)
        .env_remove("SSH_AUTH_SOCK")
        .stdin(Stdio::null())
        .output()
        .expect("fleetscan runs");
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let json =
        std::fs::read_to_string(directory.join("report.json")).unwrap_or_else(|error| panic!("no report ({error}): {said}"));
    for secret in secrets {
        let written = Command::new("grep").args(["-rlF", secret, "record", "report.json"]).current_dir(directory).output();
        assert_eq!(String::from_utf8_lossy(&written.expect("grep runs").stdout), "", "a password was written down");
        assert!(!said.contains(secret), "a password was said");
    }
    (said, serde_json::from_str(&json).expect("the JSON report is JSON"))
}

fn array(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[test]
fn every_host_is_judged_as_written_down_and_left_as_it_was() {
    let fleet = Fleet::from_environment();
    let ready_by = Instant::now() + Duration::from_secs(180);
    for service in services() {
        fleet.wait_for(service, ready_by);
    }
    let at = |name: &str| fleet.directory.join(name);
    let key = at("id_ed25519");
    std::fs::write(at("inventory"), inventory(|service| fleet.address(service), &key)).expect("written");
    std::fs::write(at("known_hosts"), known_hosts(&fleet)).expect("written");
    std::fs::write(at("password"), PASSWORD).expect("written");
    std::fs::set_permissions(at("password"), std::fs::Permissions::from_mode(0o600)).expect("permissions");
    give_rules(&fleet);

    // Of an earlier run, and mostly not there.
    let _ = (
        std::fs::remove_file(at("report.json")),
        std::fs::remove_file(at("findings.csv")),
        std::fs::remove_dir_all(at("actual")),
    );

    let before = snapshots(&fleet);
    // Times have the grain of a second: nothing that happens now may have the time of what was there before.
    std::thread::sleep(Duration::from_millis(1100));

    let (paused, cut, cut_address) = (fleet.container("paused"), fleet.container("cut"), fleet.address("cut"));
    let scan = Command::new(env!("CARGO_BIN_EXE_fleetscan"))
        .arg("scan")
        .arg("--inventory")
        .arg(at("inventory"))
        .arg("--known-hosts")
        .arg(at("known_hosts"))
        .args(["--timeout", "10", "--host-timeout", "45"])
        .arg("--become-password-file")
        .arg(at("password"))
        .arg("--output")
        .arg(format!("json={}", at("report.json").display()))
        .arg("--output")
        .arg(format!("csv={}", at("findings.csv").display()))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("fleetscan runs");
    let scan = std::thread::spawn(move || scan.wait_with_output().expect("fleetscan ends"));

    let network = fleet.network();
    let (blow, cure) = (["network", "disconnect", &network, &cut], ["network", "connect", "--ip", &cut_address, &network, &cut]);
    let cut_off = strike(&scan, &cut, CUT_AT, &blow, &cure);
    // By signals: where the engine has control groups of version 1, it does not always come to freeze a container ("unable to freeze").
    let [halt, go_on] = ["kill -STOP -1", "kill -CONT -1"].map(|command| ["exec", paused.as_str(), "sh", "-c", command]);
    let stopped = strike(&scan, &paused, PAUSED_AT, &halt, &go_on);
    let mut problems: Vec<String> =
        [&cut_off, &stopped].into_iter().filter_map(|struck| struck.as_ref().err().cloned()).collect();

    let output = scan.join().expect("fleetscan was waited for");
    drop(stopped);
    let after = snapshots(&fleet);
    drop(cut_off);
    let (said, warned) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    println!("{said}\n{warned}");

    let mut paths = 0;
    for (service, before) in &before {
        paths += before.len();
        problems.extend(before.changes(&after[service], service));
    }
    if output.status.code() != Some(4) {
        problems.push(format!(
            "the exit status is {:?}, expected 4: findings, and hosts that were not scanned",
            output.status.code()
        ));
    }

    let json = std::fs::read_to_string(at("report.json")).expect("the JSON report was written");
    let report: Value = serde_json::from_str(&json).expect("the JSON report is JSON");
    let csv = std::fs::read_to_string(at("findings.csv")).expect("the CSV report was written");
    problems.extend(csv_differences(&report, &csv));
    for secret in SECRETS {
        if [&json, &csv].into_iter().any(|text| text.contains(secret)) || said.contains(secret) || warned.contains(secret) {
            problems.push(format!("a report has the secret `{secret}`"));
        }
    }

    let hosts: BTreeMap<&str, &Value> = array(&report["hosts"]).iter().map(|host| (text(&host["name"]), host)).collect();
    let names: BTreeSet<&str> = hosts.keys().copied().collect();
    assert_eq!(names, FLEET.iter().map(|host| host.name).collect(), "the hosts of the report are those of the inventory");
    std::fs::create_dir_all(at("actual")).expect("made");
    let written = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fleet/expected");
    for member in FLEET {
        let (name, host) = (member.name, hosts[member.name]);
        std::fs::write(at("actual").join(format!("{name}.yaml")), expected::as_written(host)).expect("written");
        if member.privilege.is_some_and(|privilege| host["privilege"] != privilege) {
            problems.push(format!("{name}: asked as {}, expected {:?}", host["privilege"], member.privilege));
        }
        if let Some(like) = member.like {
            let by_command = matches!(member.privilege, Some("sudo" | "doas"));
            let differences = expected::differences_between(name, host, hosts[like]);
            let counts = |check: &str| !by_command || !BEYOND_RULES.contains(&check);
            problems.extend(differences.into_iter().filter(|(check, _)| counts(check)).map(|(_, difference)| difference));
            continue;
        }
        let expected = std::fs::read_to_string(written.join(format!("{name}.yaml")));
        match expected.map_err(|error| error.to_string()).and_then(|text| Expected::parse(&text)) {
            Ok(expected) => problems.extend(expected.differences(name, host)),
            Err(error) => problems.push(format!("{name}: expected/{name}.yaml: {error}")),
        }
    }

    let scanned = hosts.values().filter(|host| text(&host["outcome"]["status"]) == "scanned").count();
    let checks = array(&report["checks"]).len();
    println!(
        "{scanned} hosts scanned over SSH, {checks} checks each; {paths} paths on {} containers compared before and after",
        before.len()
    );
    assert!(problems.is_empty(), "{} problems:\n{}", problems.len(), problems.join("\n"));
}

#[test]
fn a_host_not_scanned_has_its_rows_all_the_same() {
    let report = serde_json::json!({
        "checks": [{"id": "a"}, {"id": "b"}],
        "hosts": [
            {"name": "up", "findings": [{"check": "a", "verdict": "pass"}, {"check": "b", "verdict": "fail"}]},
            {"name": "down", "findings": []},
        ],
    });
    let csv = "host,check,verdict\r\nup,a,pass\r\nup,b,fail\r\ndown,a,unknown\r\n";
    assert_eq!(csv_differences(&report, &format!("{csv}down,b,unknown\r\n")), Vec::<String>::new());
    assert_eq!(csv_differences(&report, csv).len(), 1);
    assert_eq!(csv_differences(&report, &format!("{csv}down,b,pass\r\n")).len(), 1);
    assert_eq!(csv_differences(&report, &format!("{csv}down,b,unknown\r\nup,c,pass\r\nup,a,pass\r\n")).len(), 2);
}

#[test]
fn the_inventory_names_every_host_once_with_its_login() {
    let text = inventory(|service| format!("{service}.example"), Path::new("/keys/id"));
    for host in FLEET {
        let lines: Vec<&str> = text.lines().filter(|line| line.starts_with(&format!("{} ", host.name))).collect();
        let [line] = lines[..] else { panic!("one line for {}: {lines:?}", host.name) };
        assert!(line.contains(&format!("ansible_host={}.example ansible_user={}", host.service, host.user)), "{line}");
    }
}
