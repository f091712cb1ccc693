//! The program as its user calls it: exit status, what is printed where, and one clear error for each kind of wrong input.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

fn fleetscan(arguments: &[&str], directory: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_fleetscan"))
        .args(arguments)
        .current_dir(directory)
        .env_remove("SSH_AUTH_SOCK")
        .env("HOME", directory)
        .output()
        .expect("it runs")
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn temporary() -> tempfile::TempDir {
    tempfile::tempdir().expect("a directory")
}

#[test]
fn wrong_input_of_every_kind_is_one_error_that_names_it_and_exit_status_2_and_no_report() {
    let directory = temporary();
    let path = directory.path();
    fs::write(path.join("hosts"), "web01\nweb02 ansible_port=seven\nweb[3:1]\n[bad\n").expect("written");
    fs::write(path.join("good"), "web01 ansible_host=192.0.2.1\n").expect("written");
    fs::create_dir(path.join("packs")).expect("made");
    fs::write(path.join("packs/a.yaml"), "checks:\n- id: x\n  nonsense: true\n").expect("written");
    fs::create_dir(path.join("lists")).expect("made");
    fs::write(path.join("lists/a.yaml"), "# A list.\n- id: x\n").expect("written");
    fs::write(path.join("broken-key"), "not a key\n").expect("written");
    for (arguments, said) in [
        (vec!["scan"], vec!["--inventory"]),
        (vec!["scan", "-i", "nowhere"], vec!["nowhere"]),
        (vec!["scan", "-i", "hosts"], vec!["hosts:2", "hosts:3", "hosts:4"]),
        (vec!["scan", "-i", "good", "-l", "db*"], vec!["db*"]),
        (vec!["scan", "-i", "good", "--only", "no.such.check"], vec!["no.such.check"]),
        (vec!["scan", "-i", "good", "--checks", "packs"], vec!["packs/a.yaml:3"]),
        (vec!["scan", "-i", "good", "--checks", "nowhere"], vec!["nowhere"]),
        (vec!["scan", "-i", "good", "-o", "json"], vec!["json", "FORMAT=PATH"]),
        (vec!["scan", "-i", "good", "-o", "pdf=x"], vec!["pdf"]),
        (vec!["scan", "-i", "good", "-o", "json=no/such/dir/x.json"], vec!["no/such/dir/x.json", "mkdir -p no/such/dir"]),
        (vec!["scan", "-i", "good", "--checks", "lists"], vec!["lists/a.yaml:2", "a list of checks below `checks:`"]),
        (vec!["scan", "-i", "good", "--record", "packs"], vec!["packs", "it is not empty"]),
        (vec!["scan", "-i", "good", "--private-key", "nowhere"], vec!["nowhere"]),
        (vec!["scan", "-i", "good", "--private-key", "broken-key"], vec!["broken-key"]),
        (vec!["scan", "-i", "good", "--known-hosts", "nowhere"], vec!["nowhere"]),
        (vec!["scan", "-i", "good", "-f", "0"], vec!["0"]),
        (vec!["scan", "-i", "good", "-T", "soon"], vec!["soon"]),
        (vec!["scan", "-i", "good", "--fail-on", "terrible"], vec!["terrible", "critical"]),
        (vec!["scan", "remote"], vec!["remote", "local"]),
        (vec!["replay", "nowhere"], vec!["nowhere"]),
        (vec!["replay", "packs"], vec!["packs", "--record"]),
        (vec!["checks", "show", "docker.access.group-member"], vec!["docker.access.group-member", "did you mean"]),
        (vec!["checks", "lint", "packs"], vec!["packs/a.yaml:3"]),
        (vec!["demo", "--hosts", "3"], vec!["3"]),
        (vec!["frobnicate"], vec!["frobnicate"]),
    ] {
        let output = fleetscan(&arguments, path);
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {text}");
        assert_eq!(stdout(&output), "", "{arguments:?}");
        for word in said {
            assert!(text.contains(word), "{arguments:?} should name `{word}`: {text}");
        }
        assert_eq!(text.lines().filter(|line| line.starts_with("error: ")).count(), 1, "{arguments:?}: {text}");
    }
    let left: Vec<String> = fs::read_dir(path)
        .expect("readable")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    assert_eq!(left.len(), 5, "something was left behind: {left:?}");
}

#[test]
fn this_machine_is_scanned_without_ssh_and_the_json_keeps_its_schema() {
    let directory = temporary();
    let output = fleetscan(&["scan", "local", "-q", "-o", "json=report.json", "-o", "csv=findings.csv"], directory.path());
    let code = output.status.code().expect("a code");
    assert!([0, 1, 3, 4].contains(&code), "{code}: {}", stderr(&output));
    assert!(stdout(&output).contains("exit status"), "{}", stdout(&output));
    let report: Value = serde_json::from_slice(&fs::read(directory.path().join("report.json")).expect("written")).expect("JSON");
    let schema: Value = serde_json::from_str(fleetscan::report::json_schema()).expect("JSON");
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    let faults: Vec<String> = validator.iter_errors(&report).map(|error| error.to_string()).collect();
    assert!(faults.is_empty(), "{faults:?}");
    let checks = report["checks"].as_array().expect("checks").len();
    assert_eq!(report["hosts"][0]["outcome"]["status"], "scanned");
    assert_eq!(report["hosts"][0]["findings"].as_array().expect("findings").len(), checks);
    let csv = fs::read_to_string(directory.path().join("findings.csv")).expect("written");
    let rows = csv::Reader::from_reader(csv.as_bytes()).records().collect::<Result<Vec<_>, _>>().expect("rows").len();
    assert_eq!(rows, checks);
}

#[test]
fn a_host_that_could_not_be_kept_is_not_scanned_and_the_status_is_no_success() {
    let directory = temporary();
    // No file may grow, as on a full disk; the report goes into a pipe.
    let script = r#"ulimit -f 0; trap '' XFSZ; exec "$0" scan local -q --only ssh.root-login --fail-on never -o json=-"#;
    let output = Command::new("sh").args(["-c", script, env!("CARGO_BIN_EXE_fleetscan")]).current_dir(&directory).output();
    let output = output.expect("it runs");
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    assert_eq!((&report["summary"]["hosts"], report["hosts"].as_array().map(Vec::len)), (&Value::from(1), Some(0)));
    assert_eq!(report["summary"]["statuses"]["scanned"], Value::from(0), "{}", report["summary"]);
    assert!(stderr(&output).contains("cannot keep the result of `localhost`"), "{}", stderr(&output));
}

#[test]
fn a_summary_that_could_not_be_written_is_an_error() {
    let full = fs::OpenOptions::new().write(true).open("/dev/full").expect("a device that takes nothing");
    let mut scan = Command::new(env!("CARGO_BIN_EXE_fleetscan"));
    let output = scan.args(["scan", "local", "-q", "--only", "ssh.root-login", "--fail-on", "never"]).stdout(full).output();
    let output = output.expect("it runs");
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    assert!(stderr(&output).contains("could not write the summary to standard output: No space left"), "{}", stderr(&output));
}

#[test]
fn recordings_are_their_owners_alone_and_two_scans_do_not_mix() {
    use std::os::unix::fs::PermissionsExt;
    let directory = temporary();
    let scan = ["scan", "local", "-q", "--only", "ssh.root-login", "--fail-on", "never", "--record", "record"];
    assert_ne!(fleetscan(&scan, directory.path()).status.code(), Some(2));
    let mode = |path: &str| fs::metadata(directory.path().join(path)).expect("recorded").permissions().mode() & 0o777;
    assert_eq!((mode("record"), mode("record/localhost"), mode("record/localhost/host.json")), (0o700, 0o700, 0o600));
    let again = fleetscan(&scan, directory.path());
    assert_eq!(again.status.code(), Some(2));
    assert!(stderr(&again).contains("recordings cannot be written to `record`"), "{}", stderr(&again));
    assert!(stderr(&again).contains("it is not empty"), "{}", stderr(&again));
}

#[test]
fn a_report_on_standard_output_stands_there_alone() {
    let directory = temporary();
    let output = fleetscan(&["scan", "local", "-o", "json=-"], directory.path());
    let report: Result<Value, _> = serde_json::from_slice(&output.stdout);
    assert!(report.is_ok(), "{}", stdout(&output));
}

#[test]
fn a_host_that_is_not_there_is_a_row_in_every_report_and_exit_status_3() {
    let directory = temporary();
    key(directory.path());
    // Nothing listens on the discard port of loopback.
    let arguments =
        ["scan", "-i", "127.0.0.1:9,", "--private-key", "key", "-u", "nobody", "-o", "json=r.json", "-o", "csv=r.csv"];
    let output = fleetscan(&arguments, directory.path());
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    let report: Value = serde_json::from_slice(&fs::read(directory.path().join("r.json")).expect("written")).expect("JSON");
    assert_eq!(report["hosts"][0]["outcome"]["status"], "unreachable");
    assert_eq!(report["hosts"][0]["outcome"]["reason"], "connection_refused");
    let csv = fs::read_to_string(directory.path().join("r.csv")).expect("written");
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let rows: Vec<csv::StringRecord> = reader.records().map(|row| row.expect("a row")).collect();
    assert_eq!(rows.len(), report["checks"].as_array().expect("checks").len());
    assert!(rows.iter().all(|row| &row[7] == "unknown" && &row[8] == "connection_refused"), "{:?}", rows[0]);
}

/// A private key of nobody's, in the file `key`.
fn key(directory: &Path) {
    let status = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(directory.join("key")).status();
    assert!(status.expect("ssh-keygen runs").success());
}

#[test]
fn the_plan_shows_the_very_bytes_and_their_digest_and_is_the_same_each_time() {
    let directory = temporary();
    fs::write(directory.path().join("hosts"), "[web]\nweb[01:03] ansible_host=192.0.2.7\n").expect("written");
    let plan = || stdout(&fleetscan(&["plan", "-i", "hosts", "-b", "-u", "auditor"], directory.path()));
    let text = plan();
    assert_eq!(text, plan());
    assert!(text.contains("web02: ssh auditor@192.0.2.7"), "{text}");
    let (head, script) = text.split_once("# sha256 ").expect("a digest");
    let (digest, script) = script.split_once('\n').expect("a line");
    assert!(head.contains("nothing is contacted"));
    let sum = ring::digest::digest(&ring::digest::SHA256, script.strip_suffix('\n').expect("a last line").as_bytes());
    assert_eq!(digest, data_encoding::HEXLOWER.encode(sum.as_ref()));
}

#[test]
fn completions_and_the_manual_page_come_from_the_same_definitions() {
    let directory = temporary();
    for shell in ["bash", "zsh", "fish"] {
        let text = stdout(&fleetscan(&["generate", "completions", shell], directory.path()));
        assert!(text.contains("--known-hosts") || text.contains("known-hosts"), "{shell}");
    }
    let page = stdout(&fleetscan(&["generate", "man"], directory.path()));
    assert!(page.contains(".TH fleetscan") && page.contains("known"), "{page}");
}

#[test]
fn the_demo_scans_a_fleet_with_three_bad_hosts_and_leaves_its_reports() {
    let directory = temporary();
    let output = fleetscan(&["demo", "-q"], directory.path());
    let text = stdout(&output);
    assert_eq!(output.status.code(), Some(4), "{text}{}", stderr(&output));
    let place = directory.path().join("fleetscan-demo");
    for name in ["report.json", "findings.csv", "inventory.ini", "known_hosts"] {
        assert!(place.join(name).is_file(), "{name}");
    }
    let report: Value = serde_json::from_slice(&fs::read(place.join("report.json")).expect("written")).expect("JSON");
    let hosts = report["hosts"].as_array().expect("hosts");
    assert_eq!(hosts.len(), 24);
    let mut reasons: Vec<&str> =
        hosts.iter().filter_map(|host| host["outcome"]["reason"].as_str()).filter(|reason| *reason != "complete").collect();
    reasons.sort_unstable();
    assert_eq!(reasons, ["banner_timeout", "connection_refused", "host_key_changed"]);
    for name in ["refuses", "rekeyed", "hangs"] {
        assert!(text.contains(name), "{text}");
    }
}

fn interrupt(process: u32) {
    let sent = Command::new("kill").args(["-INT", &process.to_string()]).status().expect("kill runs");
    assert!(sent.success());
}

#[test]
fn ctrl_c_twice_ends_the_scan_with_status_130_and_every_report_is_written() {
    let directory = temporary();
    let path = directory.path();
    key(path);
    // A port that accepts and never speaks.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = silent.local_addr().expect("bound").port();
    let mut child = Command::new(env!("CARGO_BIN_EXE_fleetscan"))
        .args(["scan", "-i", &format!("127.0.0.1:{port},"), "--private-key", "key", "-u", "nobody", "-T", "60"])
        .args(["-o", "json=r.json", "-o", "csv=r.csv"])
        .current_dir(path)
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("it runs");
    let _held = silent.accept().expect("it connects");
    interrupt(child.id());
    let drained = std::time::Instant::now();
    // The first lets the running host go on: it is still there a while later.
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert!(child.try_wait().expect("asked").is_none(), "the first interrupt gave up a running host");
    interrupt(child.id());
    let output = child.wait_with_output().expect("it ends");
    assert!(drained.elapsed() < std::time::Duration::from_secs(30));
    assert_eq!(output.status.code(), Some(130), "{}", stderr(&output));
    let report: Value = serde_json::from_slice(&fs::read(path.join("r.json")).expect("written")).expect("JSON");
    assert_eq!(report["hosts"][0]["outcome"]["reason"], "interrupted");
    assert_eq!(report["interrupted"], true);
    assert!(fs::read_to_string(path.join("r.csv")).expect("written").contains("interrupted"));
    assert!(stdout(&output).contains("exit status 130"), "{}", stdout(&output));
}

#[test]
fn the_readme_names_every_reason_verdict_and_option_of_a_scan() {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).expect("readable");
    for reason in fleetscan::model::Reason::ALL {
        let row = format!("| `{}` | `{}` | {} |", reason.status(), reason.code(), reason.meaning());
        assert!(readme.contains(&row), "the README lacks this row:\n{row}");
    }
    for code in fleetscan::model::Why::CODES {
        assert!(readme.contains(&format!("`{code}`")), "{code}");
    }
    for option in [
        "-l PATTERN",
        "-f N",
        "-k",
        "--password-file FILE",
        "--password-command COMMAND",
        "--passphrase-file FILE",
        "-F FILE",
        "-J HOSTS",
        "--ssh-common-args ARGS",
        "-K",
        "--become-password-file FILE",
        "--become-method METHOD",
        "--match-exec",
        "--legacy-algorithms",
        "--known-hosts FILE",
        "--host-keys POLICY",
        "--new-host-keys FILE",
        "--insecure-accept-any-host-key",
        "--host-timeout",
        "--deadline",
        "--only",
        "--skip",
        "--checks DIR",
        "--fail-on",
        "--record DIR",
    ] {
        assert!(readme.contains(option), "{option}");
    }
}

#[test]
fn the_check_that_the_readme_teaches_passes_the_lint_that_it_teaches() {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).expect("readable");
    let (_, rest) = readme.split_once("# packs/ours.yaml\n").expect("the pack");
    let (pack, _) = rest.split_once("```").expect("its end");
    let directory = temporary();
    fs::create_dir(directory.path().join("packs")).expect("made");
    fs::write(directory.path().join("packs/ours.yaml"), pack).expect("written");
    let output = fleetscan(&["checks", "lint", "packs"], directory.path());
    assert_eq!(output.status.code(), Some(0), "{}{}", stdout(&output), stderr(&output));
    assert!(readme.contains(&stdout(&output)), "the README shows another answer than {}", stdout(&output));
}

#[test]
fn no_rule_of_sudo_has_a_pattern_that_would_search_by_a_part_of_the_joined_words() {
    // sudo compares the words of a command joined by spaces: whoever may run `grep -r 'a|b' /x` may run `grep -r 'a|b /x'`, which searches the current
    // directory for `a` as root.
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_fleetscan")).args(["sudoers", "--user", "auditor"]).output();
    let rules = String::from_utf8(output.expect("fleetscan runs").stdout).expect("text");
    let with_alternatives: Vec<&str> = rules.lines().filter(|line| line.contains("/grep ") && line.contains('|')).collect();
    assert!(!with_alternatives.is_empty(), "{rules}");
    for line in with_alternatives {
        let mut depth = 0;
        for character in line.chars() {
            match character {
                '(' => depth += 1,
                ')' => depth -= 1,
                '|' => assert!(depth > 0, "an alternative outside of a group: {line}"),
                _ => {}
            }
        }
    }
}
