//! How fast a fleet is asked: fleetscan against the OpenSSH client running the same script on the same simulated hosts, in turn, median of five.
//!
//! `cargo bench --bench fleet`. Prints wall time and CPU time of the client for both, and the ratio. The servers run in this process and are the same for
//! both, so on a machine with few cores they, not the clients, bound the wall time.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use fleetscan::command::{Become, Script};
use fleetscan::probe::{Transcript, plan, read_record};
use fleetscan::simulate::{Behaviour, Fleet};
use fleetscan::{check, cli, scan};

const HOSTS: usize = 200;
const AT_ONCE: usize = 32;
const RUNS: usize = 5;

/// Wall time and CPU time of the client's processes.
type Cost = (Duration, Duration);

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let fleet = runtime.block_on(Fleet::start(vec![Behaviour::Replay(recorded()); HOSTS])).expect("a fleet");
    let directory = tempfile::tempdir().expect("a directory");
    let place = |name: &str| directory.path().join(name);
    std::fs::write(place("key"), fleet.user_key().expect("a key")).expect("written");
    std::fs::set_permissions(place("key"), std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("permitted");
    std::fs::write(place("known_hosts"), fleet.known_hosts().expect("keys")).expect("written");
    let lines: Vec<String> = fleet
        .hosts()
        .iter()
        .enumerate()
        .map(|(index, host)| format!("host{index} ansible_host={} ansible_port={}", host.address.ip(), host.address.port()))
        .collect();
    std::fs::write(place("inventory"), lines.join("\n")).expect("written");
    let checks = check::CheckSet::load(&check::Source::Embedded, &cli::vocabulary()).expect("packs");
    let mut facts = checks.facts();
    facts.extend(scan::base_facts());
    let plan = plan(&facts).expect("a plan");
    let script = Script::new(&scan::nonce(), plan.steps(), Become::No);
    std::fs::write(place("script"), script.text()).expect("written");
    let targets: String = fleet.hosts().iter().map(|host| format!("{} {}\n", host.address.ip(), host.address.port())).collect();
    std::fs::write(place("targets"), targets).expect("written");

    let fleetscan = format!(
        "{} scan -q -i inventory --known-hosts known_hosts --private-key key -u scanner -f {AT_ONCE} -o json=report.json",
        env!("CARGO_BIN_EXE_fleetscan")
    );
    let ssh = |more: &str| {
        format!(
            "xargs -a targets -P {AT_ONCE} -L 1 sh -c 'ssh -F none {more} -o BatchMode=yes -o IdentitiesOnly=yes -i key \
             -o UserKnownHostsFile=known_hosts -o StrictHostKeyChecking=yes -l scanner -p $1 $0 /bin/sh -s <script'"
        )
    };
    let rivals = [("ssh, defaults", ssh("")), ("ssh, curve25519 as ours", ssh("-o KexAlgorithms=curve25519-sha256"))];

    let mut ours: Vec<Cost> = Vec::new();
    let mut theirs: Vec<Vec<Cost>> = vec![Vec::new(); rivals.len()];
    for _ in 0..RUNS {
        ours.push(run(directory.path(), &fleetscan));
        for (costs, (_, command)) in theirs.iter_mut().zip(&rivals) {
            costs.push(run(directory.path(), command));
        }
    }
    let mut out = std::io::stdout().lock();
    let (wall, cpu) = median(&mut ours);
    let _ = writeln!(out, "{HOSTS} hosts, {AT_ONCE} at once, {} commands each, median of {RUNS}", plan.steps().len());
    let _ = writeln!(out, "{:26} {:>7.2} s wall  {:>7.2} s CPU", "fleetscan", wall.as_secs_f64(), cpu.as_secs_f64());
    for (costs, (name, _)) in theirs.iter_mut().zip(&rivals) {
        let (their_wall, their_cpu) = median(costs);
        let _ = writeln!(
            out,
            "{name:26} {:>7.2} s wall  {:>7.2} s CPU  = {:.1} x wall, {:.1} x CPU of fleetscan",
            their_wall.as_secs_f64(),
            their_cpu.as_secs_f64(),
            their_wall.as_secs_f64() / wall.as_secs_f64(),
            their_cpu.as_secs_f64() / cpu.as_secs_f64(),
        );
    }
}

fn recorded() -> Arc<Transcript> {
    let hosts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hosts");
    let mut directories: Vec<_> =
        std::fs::read_dir(hosts).expect("recorded hosts").map(|entry| entry.expect("an entry").path()).collect();
    directories.sort();
    let (_, answers) = read_record(directories.first().expect("a recorded host")).expect("readable");
    Arc::new(answers)
}

/// Runs a command line and has the shell tell what its children cost.
fn run(directory: &Path, command: &str) -> Cost {
    let begun = Instant::now();
    let output = Command::new("bash")
        .args(["-c", &format!("{command} >/dev/null 2>errors; times")])
        .current_dir(directory)
        .stdin(Stdio::null())
        .output()
        .expect("bash runs");
    let wall = begun.elapsed();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    // The second line of `times`: user and system time of the children, as 0m1.234s.
    let line = text.lines().last().unwrap_or_default();
    let seconds = |word: &str| {
        let (minutes, seconds) = word.trim_end_matches('s').split_once('m').unwrap_or(("0", "0"));
        minutes.parse::<f64>().unwrap_or(0.0) * 60.0 + seconds.parse::<f64>().unwrap_or(0.0)
    };
    (wall, Duration::from_secs_f64(line.split_whitespace().map(seconds).sum()))
}

fn median(costs: &mut [Cost]) -> Cost {
    let middle = costs.len() / 2;
    costs.sort_by_key(|(wall, _)| *wall);
    let wall = costs[middle].0;
    costs.sort_by_key(|(_, cpu)| *cpu);
    (wall, costs[middle].1)
}
