//! `fleetscan demo`: the main job on a machine with nothing but this program.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use include_dir::{Dir, include_dir};

use super::ExitStatus;
use super::args::{CheckArgs, FailOn, HostKeyArgs, InventoryArgs};
use super::error::Error;
use super::login::LoginArgs;
use super::output::OutputArgs;
use super::privilege::BecomeArgs;
use super::scan::{ConnectionArgs, runtime, sweep};
use super::ssh::SshArgs;
use crate::probe::{Recorded, Transcript, read_record_with};
use crate::simulate::{Behaviour, Fleet};

/// Hosts of different distributions and postures, recorded.
static RECORDED: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/tests/hosts");

/// Scan a simulated fleet on this machine: real SSH, recorded hosts.
///
/// Starts SSH servers on loopback that answer as recorded hosts did, writes an inventory and known_hosts for them, and scans them with the real engine. Three
/// of them misbehave: one refuses the connection, one shows another key than the known one, one accepts and never answers.
#[derive(Debug, Args)]
pub(super) struct DemoArgs {
    /// Hosts of the simulated fleet
    #[arg(long, value_name = "N", default_value = "24", value_parser = clap::value_parser!(u32).range(4..=20_000))]
    hosts: u32,
    /// Where the inventory, known_hosts and reports go
    #[arg(long, value_name = "DIR", default_value = "fleetscan-demo")]
    output_dir: PathBuf,
    /// Hosts at once; default 256, or fewer where the limit of open files asks for it
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=4096))]
    forks: Option<u32>,
    /// Least severity of a failed check that changes the exit status
    #[arg(long, value_name = "SEVERITY", value_enum, default_value = "high")]
    fail_on: FailOn,
    #[command(flatten)]
    checks: CheckArgs,
    /// No progress on standard error
    #[arg(short, long)]
    quiet: bool,
}

/// The hosts that misbehave, by the name they get.
const BAD: [&str; 3] = ["refuses", "rekeyed", "hangs"];

impl DemoArgs {
    pub(super) fn run(self) -> Result<ExitStatus, Error> {
        let checks = self.checks.load()?;
        let directory = &self.output_dir;
        fs::create_dir_all(directory)
            .map_err(|error| Error::because(format!("the demo cannot write to `{}`", directory.display()), error))?;
        let recorded = recorded_hosts()?;
        let count = usize::try_from(self.hosts).unwrap_or(usize::MAX);
        let (names, behaviours) = cast(&recorded, count);

        let runtime = runtime()?;
        let fleet = runtime
            .block_on(Fleet::start(behaviours))
            .map_err(|error| Error::because("the simulated fleet did not start", error))?;
        let write = |name: &str, text: &str, mode: u32| write_file(&directory.join(name), text, mode);
        let key = fleet.user_key().map_err(|error| Error::because("the simulated fleet has no key", error))?;
        write("id_ed25519", &key, 0o600)?;
        let known_hosts = fleet.known_hosts().map_err(|error| Error::because("the simulated fleet has no keys", error))?;
        write("known_hosts", &known_hosts, 0o644)?;
        let key_path = absolute(&directory.join("id_ed25519"))?;
        write("inventory.ini", &inventory(&names, &fleet, &key_path), 0o644)?;

        let path = |name: &str| directory.join(name).display().to_string();
        let output = OutputArgs {
            output: vec![format!("json={}", path("report.json")), format!("csv={}", path("findings.csv"))],
            fail_on: self.fail_on,
        };
        let hosts = InventoryArgs { inventory: vec![path("inventory.ini")], limit: None }.select()?;
        let connection = ConnectionArgs {
            forks: self.forks,
            // The demo is the same whatever configuration of ssh the machine has.
            ssh: SshArgs { ssh_config: Some("none".to_owned()), timeout: Some(Duration::from_secs(3)), ..SshArgs::default() },
            login: LoginArgs::default(),
            // As most of them were recorded.
            privilege: BecomeArgs::always(),
            host_timeout: Duration::from_secs(60),
            deadline: None,
            host_keys: HostKeyArgs::with_known_hosts(Some(directory.join("known_hosts"))),
            record: None,
            quiet: self.quiet,
        };
        let reports = output.open()?;
        let status = runtime.block_on(sweep(hosts, checks, connection, reports))?;
        let _ = writeln!(
            io::stderr().lock(),
            "\nThe demo left in {}: inventory.ini, known_hosts, id_ed25519, report.json, findings.csv",
            directory.display()
        );
        Ok(status)
    }
}

/// A recorded host and what it answered.
type Record = (Recorded, Arc<Transcript>);

/// The recorded hosts inside this program, sorted by name.
fn recorded_hosts() -> Result<Vec<Record>, Error> {
    let mut hosts = Vec::new();
    for directory in RECORDED.dirs() {
        let read = |path: &Path| {
            RECORDED.get_file(path).map(|file| file.contents().to_vec()).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
        };
        let (host, answers) = read_record_with(directory.path(), read).map_err(|error| {
            Error::because(format!("the recorded host `{}` cannot be used", directory.path().display()), error)
        })?;
        hosts.push((host, Arc::new(answers)));
    }
    hosts.sort_by(|(a, _), (b, _)| a.name.cmp(&b.name));
    if hosts.is_empty() { Err(Error::new("this build holds no recorded hosts")) } else { Ok(hosts) }
}

/// Who plays what: every recorded host in turn, and the three that misbehave spread among them.
fn cast(recorded: &[Record], count: usize) -> (Vec<(String, Vec<String>)>, Vec<Behaviour>) {
    let mut names = Vec::with_capacity(count);
    let mut behaviours = Vec::with_capacity(count);
    for index in 0..count {
        let (host, answers) = &recorded[index % recorded.len()];
        // The places 1/4, 2/4 and 3/4 of the way.
        let bad = (1..=BAD.len()).find(|quarter| index == count * quarter / (BAD.len() + 1));
        let (name, behaviour) = match bad {
            Some(1) => (BAD[0].to_owned(), Behaviour::Refuse),
            Some(2) => (BAD[1].to_owned(), Behaviour::ChangedKey(answers.clone())),
            Some(_) => (BAD[2].to_owned(), Behaviour::Hang),
            None => (
                format!("{}-{:0width$}", host.name, index / recorded.len() + 1, width = digits(count)),
                Behaviour::Replay(answers.clone()),
            ),
        };
        names.push((name, host.groups.clone()));
        behaviours.push(behaviour);
    }
    (names, behaviours)
}

/// Digits of the largest number of one kind of host.
fn digits(count: usize) -> usize {
    count.to_string().len().max(2)
}

/// An Ansible inventory of the fleet.
fn inventory(names: &[(String, Vec<String>)], fleet: &Fleet, key: &Path) -> String {
    let mut text = String::from("# The simulated fleet of `fleetscan demo`. It is gone when the demo ends.\n");
    for ((name, _), host) in names.iter().zip(fleet.hosts()) {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{name} ansible_host={} ansible_port={}", host.address.ip(), host.address.port());
    }
    let mut groups: std::collections::BTreeMap<&str, Vec<&str>> = std::collections::BTreeMap::new();
    for (name, of) in names {
        for group in of {
            groups.entry(group).or_default().push(name);
        }
    }
    for (group, members) in groups {
        let _ = write!(text, "\n[{group}]\n{}\n", members.join("\n"));
    }
    let _ = write!(text, "\n[all:vars]\nansible_user=scanner\nansible_ssh_private_key_file=\"{}\"\n", key.display());
    text
}

fn absolute(path: &Path) -> Result<PathBuf, Error> {
    std::path::absolute(path).map_err(|error| Error::because(format!("`{}` has no absolute path", path.display()), error))
}

/// Writes a file with the mode from its first byte on.
fn write_file(path: &Path, text: &str, mode: u32) -> Result<(), Error> {
    let written = match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(path)
            .and_then(|mut file| file.write_all(text.as_bytes())),
    };
    written.map_err(|error| Error::because(format!("`{}` cannot be written", path.display()), error))
}
