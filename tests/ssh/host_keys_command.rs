//! Host keys on the command line: the policies of a scan, what its reports say of keys, and `fleetscan host-keys`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::common::{Daemon, Port, Server, keygen, output, program, public, user};

/// A check that costs next to nothing.
const CHECK: &str = "acct.uid0-duplicate";

/// A directory to run in, with nothing of the user's.
struct Bench {
    directory: TempDir,
}

impl Bench {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().expect("a directory") }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        fs::write(self.at(name), text).expect("written");
        self.at(name)
    }

    /// An inventory of these servers by these names.
    fn inventory(&self, hosts: &[(&str, &Server)]) {
        let line = |(name, server): &(&str, &Server)| {
            let key = server.user_key.display();
            format!(
                "{name} ansible_host=127.0.0.1 ansible_port={} ansible_user={} ansible_ssh_private_key_file={key}\n",
                server.port(),
                user()
            )
        };
        self.write("hosts.ini", &format!("[all]\n{}", hosts.iter().map(line).collect::<String>()));
    }

    fn fleetscan(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fleetscan"));
        command.args(arguments).current_dir(self.directory.path()).stdin(Stdio::null());
        command.env("HOME", self.directory.path()).env("XDG_STATE_HOME", self.at("state")).env_remove("SSH_AUTH_SOCK");
        command
    }

    fn run(&self, arguments: &[&str]) -> Run {
        Run::of(self.fleetscan(arguments).output().expect("it runs"))
    }

    fn scan(&self, arguments: &[&str]) -> Run {
        self.run(&[&["scan", "-i", "hosts.ini", "-q", "--only", CHECK, "-o", "json=report.json"], arguments].concat())
    }

    fn report(&self) -> Value {
        serde_json::from_slice(&fs::read(self.at("report.json")).expect("a report")).expect("JSON")
    }

    fn accepted(&self) -> String {
        fs::read_to_string(self.at("state/fleetscan/known_hosts")).expect("a file")
    }
}

#[derive(Debug)]
struct Run {
    status: Option<i32>,
    out: String,
    err: String,
}

impl Run {
    fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("text");
        Self { status: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }
}

/// The worth of the keys of all hosts.
fn worth(report: &Value) -> Vec<String> {
    let hosts = report["hosts"].as_array().expect("hosts");
    hosts.iter().map(|host| host["host_key"]["how"].as_str().unwrap_or("none").to_owned()).collect()
}

fn kinds(report: &Value) -> Vec<(String, Vec<String>)> {
    let findings = report["fleet_findings"].as_array().expect("findings");
    let hosts = |finding: &Value| {
        finding["hosts"].as_array().expect("hosts").iter().map(|name| name.as_str().expect("a name").to_owned()).collect()
    };
    findings.iter().map(|finding| (finding["kind"].as_str().expect("a kind").to_owned(), hosts(finding))).collect()
}

/// Gives a server new keys.
fn set_up_anew(server: &Server) {
    fs::remove_file(&server.host_key).expect("removed");
    keygen(server.directory.path(), "host", "ed25519", "");
}

/// Gives a server the host key of another, as a clone has it.
fn clone_of(original: &Server) -> Server {
    let clone = Server::openssh("");
    for name in ["host", "host.pub"] {
        fs::copy(original.directory.path().join(name), clone.directory.path().join(name)).expect("copied");
    }
    clone
}

#[test]
fn new_hosts_are_accepted_into_a_file_of_the_scan_and_known_by_the_next_one() {
    let (one, other) = (Server::openssh(""), Server::openssh(""));
    let bench = Bench::new();
    bench.inventory(&[("web1", &one), ("web2", &other)]);
    let strict = bench.scan(&[]);
    assert_eq!((strict.status, worth(&bench.report())), (Some(3), vec!["unknown".to_owned(); 2]), "{strict:?}");
    assert!(!bench.at("state").exists(), "a strict scan writes nothing");

    let accepting = bench.scan(&["--host-keys", "accept-new"]);
    assert_eq!((accepting.status, worth(&bench.report())), (Some(0), vec!["accepted_new".to_owned(); 2]), "{accepting:?}");
    let file = bench.at("state/fleetscan/known_hosts");
    assert_eq!(accepting.err, format!("note: 2 new host keys were accepted and written to `{}`\n", file.display()));
    assert_eq!(bench.accepted().lines().count(), 2);
    assert!(!bench.at(".ssh").exists(), "nothing of the user's is touched");

    let known = bench.scan(&[]);
    assert_eq!((known.status, worth(&bench.report()), known.err.as_str()), (Some(0), vec!["known".to_owned(); 2], ""));

    set_up_anew(&other);
    let changed = bench.scan(&["--host-keys", "accept-new"]);
    assert_eq!(
        (changed.status, worth(&bench.report())),
        (Some(4), vec!["known".to_owned(), "changed".to_owned()]),
        "{changed:?}"
    );
    let report = bench.report();
    assert_eq!(kinds(&report), [("host_key_changed".to_owned(), vec!["web2".to_owned()])]);
    assert_eq!(report["fleet_findings"][0]["severity"], "critical");
    assert_eq!(report["fleet_findings"][0]["evidence"][0]["text"], report["hosts"][1]["outcome"]["detail"]);
    assert!(
        changed.out.contains("Across the fleet\n  CRITICAL  Every host shows the key that it is known by"),
        "{}",
        changed.out
    );
    assert_eq!(bench.scan(&["--fail-on", "never"]).status, Some(3), "a changed key counts as --fail-on says");
}

#[test]
fn new_keys_are_recorded_beside_the_user_and_never_trusted_by_themselves() {
    let server = Server::openssh("");
    let bench = Bench::new();
    bench.inventory(&[("web1", &server)]);
    for _ in 0..2 {
        let run = bench.scan(&["--host-keys", "record"]);
        assert_eq!((run.status, worth(&bench.report())), (Some(3), vec!["unknown".to_owned()]), "{run:?}");
    }
    assert!(!bench.at("state").exists(), "nothing was accepted");
    let first = bench.scan(&["--host-keys", "record", "--new-host-keys", "elsewhere"]);
    let note = "note: 1 new host key was written to `elsewhere`; nobody has verified them: compare each with its host, then `--known-hosts elsewhere`\n";
    assert_eq!(first.err, note);
    for file in ["fleetscan-host-keys.new", "elsewhere"] {
        assert!(fs::read_to_string(bench.at(file)).expect("a file").contains(server.known_hosts_line().trim_end()), "{file}");
    }
    assert_eq!(bench.scan(&["--known-hosts", "fleetscan-host-keys.new"]).status, Some(0));
}

#[test]
fn a_scan_that_looks_at_no_key_says_so_everywhere() {
    let server = Server::openssh("");
    let bench = Bench::new();
    bench.inventory(&[("web1", &server)]);
    let run = bench.scan(&["--insecure-accept-any-host-key"]);
    assert_eq!((run.status, worth(&bench.report())), (Some(0), vec!["unknown".to_owned()]), "{run:?}");
    assert_eq!(bench.report()["insecure_host_keys"], true);
    assert!(run.err.starts_with("warning: host keys are not verified"), "{}", run.err);
    assert!(run.out.contains("Host keys NOT VERIFIED (--insecure-accept-any-host-key)"), "{}", run.out);
    assert!(!bench.at("state").exists());
    let both = bench.scan(&["--insecure-accept-any-host-key", "--host-keys", "strict"]);
    assert_eq!(both.status, Some(2), "{both:?}");

    let known = bench.scan(&["--host-keys", "accept-new"]);
    assert_eq!((known.status, &bench.report()["insecure_host_keys"]), (Some(0), &Value::Bool(false)));
    // What is known and differs is told all the same.
    set_up_anew(&server);
    let changed = bench.scan(&["--insecure-accept-any-host-key"]);
    assert_eq!((changed.status, worth(&bench.report())), (Some(1), vec!["changed".to_owned()]), "{changed:?}");
    assert_eq!(kinds(&bench.report()), [("host_key_changed".to_owned(), vec!["web1".to_owned()])]);
}

#[test]
fn machines_that_share_a_key_are_found_and_names_of_one_machine_are_not() {
    let original = Server::openssh("");
    let (clone, own) = (clone_of(&original), Server::openssh(""));
    let bench = Bench::new();
    bench.inventory(&[("web1", &original), ("alone", &own), ("web2", &clone), ("web1-again", &original)]);
    let run = bench.scan(&["--host-keys", "accept-new"]);
    let expected = ["web1", "web2", "web1-again"].map(str::to_owned).to_vec();
    assert_eq!(kinds(&bench.report()), [("host_key_shared".to_owned(), expected)]);
    let evidence = bench.report()["fleet_findings"][0]["evidence"][0]["text"].as_str().expect("text").to_owned();
    assert!(evidence.contains("is the key of 2 machines: 127.0.0.1:"), "{evidence}");
    assert_eq!(run.status, Some(1), "{run:?}");
    assert!(run.out.contains("HIGH      Every machine has a host key of its own"), "{}", run.out);
    assert_eq!(bench.scan(&["--fail-on", "critical"]).status, Some(0));
    bench.inventory(&[("web1", &original), ("web1-again", &original), ("alone", &own)]);
    assert_eq!(bench.scan(&[]).status, Some(0));
    assert_eq!(kinds(&bench.report()), []);
}

#[test]
fn a_jump_host_whose_key_has_changed_is_found_too() {
    let (bastion, inner) = (Daemon::start(""), Server::openssh(""));
    let bench = Bench::new();
    fs::create_dir(bench.at(".ssh")).expect("a directory");
    let other = keygen(bench.directory.path(), "other", "ed25519", "");
    fs::copy(&bastion.user_key, bench.at(".ssh/id_ed25519")).expect("copied");
    bench.inventory(&[("web1", &inner), ("web2", &inner)]);
    let inventory = fs::read_to_string(bench.at("hosts.ini")).expect("an inventory");
    bench.write("hosts.ini", &inventory.replace("ansible_host=127.0.0.1", "ansible_host=inner"));
    let jump = format!("{}@127.0.0.1:{}", user(), bastion.port);
    bench.write(".ssh/config", &format!("Host inner\n  HostName 127.0.0.1\n  ProxyJump {jump}\n"));
    let changed = format!("[127.0.0.1]:{} {}\n{}", bastion.port, public(&other), inner.known_hosts_line());
    bench.write("known", &changed);
    let run = bench.scan(&["--known-hosts", "known"]);
    assert_eq!((run.status, worth(&bench.report())), (Some(4), vec!["none".to_owned(); 2]), "{run:?}");
    let name = format!("jump host [127.0.0.1]:{}", bastion.port);
    assert_eq!(kinds(&bench.report()), [("host_key_changed".to_owned(), vec![name])]);
    let evidence = bench.report()["fleet_findings"][0]["evidence"][0]["text"].as_str().expect("text").to_owned();
    assert!(evidence.contains("but `known:1` says"), "{evidence}");

    bench.write("known", &(bastion.known_hosts_line() + &inner.known_hosts_line()));
    let run = bench.scan(&["--known-hosts", "known"]);
    assert_eq!((run.status, worth(&bench.report())), (Some(0), vec!["known".to_owned(); 2]), "{run:?}");
    assert_eq!(kinds(&bench.report()), []);
}

/// Waits until a server has let somebody in.
fn wait_for_login(server: &Server) {
    let end = Instant::now() + Duration::from_secs(60);
    while !server.log().contains("Accepted publickey") {
        assert!(Instant::now() < end, "nobody came: {}", server.log());
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn interrupt(child: &Child) {
    output(Command::new("sh").args(["-c", &format!("kill -INT {}", child.id())]));
}

#[test]
fn what_an_interrupted_scan_has_accepted_is_kept() {
    let slow = Server::openssh("ForceCommand sleep 60");
    let bench = Bench::new();
    bench.inventory(&[("web1", &slow)]);
    let arguments = ["scan", "-i", "hosts.ini", "-q", "--only", CHECK, "--host-keys", "accept-new"];
    let child = bench.fleetscan(&arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
    wait_for_login(&slow);
    interrupt(&child);
    std::thread::sleep(Duration::from_millis(300));
    interrupt(&child);
    let run = Run::of(child.wait_with_output().expect("it ends"));
    assert_eq!(run.status, Some(130), "{run:?}");
    assert!(bench.accepted().starts_with(slow.known_hosts_line().trim_end()), "{}", bench.accepted());
    assert!(run.err.contains("note: 1 new host key was accepted and written to"), "{}", run.err);
}

#[test]
fn two_scans_at_once_write_one_file() {
    let servers: Vec<Server> = (0..6).map(|_| Server::openssh("")).collect();
    let benches = [Bench::new(), Bench::new()];
    let file = benches[0].at("shared");
    // The last two are in both.
    for (bench, of) in benches.iter().zip([[0, 1, 4, 5], [2, 3, 4, 5]]) {
        let hosts: Vec<(String, &Server)> = of.iter().map(|at| (format!("web{at}"), &servers[*at])).collect();
        bench.inventory(&hosts.iter().map(|(name, server)| (name.as_str(), *server)).collect::<Vec<_>>());
    }
    let arguments = ["scan", "-i", "hosts.ini", "-q", "--only", CHECK, "--host-keys", "accept-new", "--new-host-keys"];
    let children: Vec<Child> = benches
        .iter()
        .map(|bench| {
            bench.fleetscan(&arguments).arg(&file).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs")
        })
        .collect();
    for child in children {
        let run = Run::of(child.wait_with_output().expect("it ends"));
        assert_eq!(run.status, Some(0), "{run:?}");
    }
    let text = fs::read_to_string(&file).expect("a file");
    assert_eq!(text.lines().count(), servers.len(), "{text}");
    for server in &servers {
        assert!(text.contains(server.known_hosts_line().trim_end()), "{text}");
    }
}

#[test]
fn files_of_keys_that_cannot_be_used_are_told_before_any_host_is_contacted() {
    let server = Server::openssh("");
    let bench = Bench::new();
    bench.inventory(&[("web1", &server)]);
    let missing = bench.scan(&["--known-hosts", "no-such-file"]);
    assert_eq!(missing.status, Some(2));
    assert!(missing.err.contains("could not read the known hosts in `no-such-file`"), "{}", missing.err);
    let unwritable = bench.scan(&["--host-keys", "accept-new", "--new-host-keys", "/proc/nowhere/file"]);
    assert_eq!(unwritable.status, Some(2));
    assert!(unwritable.err.contains("new host keys cannot be written to `/proc/nowhere/file`"), "{}", unwritable.err);
    assert!(unwritable.err.contains("hint: `--new-host-keys FILE` names another file"), "{}", unwritable.err);
    assert_eq!(server.log(), "", "nobody came");
    let nonsense: String = (0..9).map(|_| "web1 nonsense\n").collect();
    bench.write("odd", &(nonsense + &server.known_hosts_line()));
    let odd = bench.scan(&["--known-hosts", "odd"]);
    assert_eq!(odd.status, Some(0), "{odd:?}");
    assert!(odd.err.contains("warning: `odd:1`: no key after its type"), "{}", odd.err);
    assert!(odd.err.contains("warning: and 4 more lines of known hosts that cannot be understood"), "{}", odd.err);
}

#[test]
fn the_keys_of_a_fleet_are_collected_and_compared() {
    let [known, unknown, changed, revoked, certified] = std::array::from_fn(|_| Server::openssh(""));
    let bench = Bench::new();
    let authority = keygen(bench.directory.path(), "authority", "ed25519", "");
    let mut sign = Command::new(program("ssh-keygen", "openssh-client"));
    output(sign.args(["-q", "-h", "-I", "web5", "-s"]).arg(&authority).arg(format!("{}.pub", certified.host_key.display())));
    let config = certified.directory.path().join("sshd_config");
    let line = format!("HostCertificate {}-cert.pub\n", certified.host_key.display());
    fs::write(&config, line + &fs::read_to_string(&config).expect("sshd_config")).expect("sshd_config");
    let other = keygen(bench.directory.path(), "other", "ed25519", "");
    let lines = [
        known.known_hosts_line(),
        format!("[127.0.0.1]:{} {}\n", changed.port(), public(&other)),
        format!("@revoked * {}\n", public(&revoked.host_key)),
        format!("@cert-authority 127.0.0.1 {}\n", public(&authority)),
    ];
    bench.write("known", &lines.concat());
    let hosts =
        [("known", &known), ("unknown", &unknown), ("changed", &changed), ("revoked", &revoked), ("certified", &certified)];
    bench.inventory(&hosts);
    let closed = Port::closed();
    let mut inventory = fs::read_to_string(bench.at("hosts.ini")).expect("an inventory");
    let run = bench.run(&["host-keys", "-i", "hosts.ini", "--known-hosts", "known", "-o", "collected"]);
    assert_eq!(run.status, Some(1), "{run:?}");
    let fingerprint = |key: &Path| {
        let text = output(Command::new("ssh-keygen").arg("-lf").arg(key));
        text.split(' ').nth(1).expect("a fingerprint").to_owned()
    };
    let keys: Vec<String> = hosts.iter().map(|(_, server)| format!("ssh-ed25519 {}", fingerprint(&server.host_key))).collect();
    let expected = format!(
        "known      known        {}\nunknown    unknown      {}\nchanged    changed      {} (changed: known:2 says {})\n\
         revoked    revoked      {} (revoked: by known:3)\ncertified  certificate  {} (certificate, valid, of the authority {}, known:4)\n",
        keys[0],
        keys[1],
        keys[2],
        fingerprint(&other),
        keys[3],
        keys[4],
        fingerprint(&authority),
    );
    assert_eq!(run.out, expected);
    for (_, server) in hosts {
        assert!(!server.log().contains("publickey"), "nobody logs in: {}", server.log());
    }

    // What was collected is what the hosts show: all but the one whose key is revoked.
    let collected = fs::read_to_string(bench.at("collected")).expect("a file");
    assert!(collected.starts_with("# Host keys collected by `fleetscan host-keys`."), "{collected}");
    let again = bench.run(&["host-keys", "-i", "hosts.ini", "--known-hosts", "collected", "-l", "!revoked"]);
    assert_eq!((again.status, again.out.matches(" known ").count()), (Some(0), 4), "{again:?}");
    assert!(!collected.contains(&public(&revoked.host_key)), "{collected}");

    inventory.push_str(&format!("gone ansible_host=127.0.0.1 ansible_port={closed}\nhere ansible_connection=local\n"));
    bench.write("hosts.ini", &inventory);
    let run = bench.run(&["host-keys", "-i", "hosts.ini", "--known-hosts", "known"]);
    assert_eq!(run.status, Some(4), "{run:?}");
    assert!(run.out.contains("gone       connection_refused  127.0.0.1:"), "{}", run.out);
    assert!(run.out.contains("here       local        not reached over SSH"), "{}", run.out);
    let run = bench.run(&["host-keys", "-i", "hosts.ini", "--known-hosts", "known", "-l", "known,gone"]);
    assert_eq!(run.status, Some(3), "{run:?}");
}

#[test]
fn collected_keys_never_take_the_place_of_a_file_of_the_users() {
    let server = Server::openssh("");
    let bench = Bench::new();
    bench.inventory(&[("web1", &server)]);
    bench.write("mine", "web1 and what I know of it\n");
    let run = bench.run(&["host-keys", "-i", "hosts.ini", "-o", "mine"]);
    assert_eq!(run.status, Some(2), "{run:?}");
    assert!(run.err.contains("`fleetscan host-keys` has not written it"), "{}", run.err);
    assert_eq!(fs::read_to_string(bench.at("mine")).expect("a file"), "web1 and what I know of it\n");
    assert_eq!(server.log(), "", "nobody was asked");
    for _ in 0..2 {
        assert_eq!(bench.run(&["host-keys", "-i", "hosts.ini", "-o", "ours"]).status, Some(1));
    }
    assert_eq!(fs::read_to_string(bench.at("ours")).expect("a file").lines().count(), 2);
}

#[test]
fn keys_that_several_machines_share_are_named() {
    let original = Server::openssh("");
    let clone = clone_of(&original);
    let bench = Bench::new();
    bench.inventory(&[("web1", &original), ("web2", &clone), ("web1-again", &original)]);
    let run = bench.run(&["host-keys", "-i", "hosts.ini"]);
    let (_, shared) = run.out.split_once("\nKeys that several machines share:\n").expect("shared keys");
    assert!(shared.starts_with("ssh-ed25519 SHA256:") && shared.ends_with("  web1, web2, web1-again\n"), "{shared}");
    bench.inventory(&[("web1", &original), ("web1-again", &original)]);
    assert!(!bench.run(&["host-keys", "-i", "hosts.ini"]).out.contains("share"));
}
