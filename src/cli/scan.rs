//! `fleetscan scan`: the main job.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use tokio::runtime::Runtime;
use tokio::sync::watch;

use super::args::{CheckArgs, HostKeyArgs, InventoryArgs, plan_of, save_new_keys, seconds};
use super::error::Error;
use super::login::LoginArgs;
use super::output::{OutputArgs, Reports};
use super::privilege::BecomeArgs;
use super::ssh::{self, SshArgs};
use super::{ExitStatus, warn};
use crate::check::CheckSet;
use crate::inventory::Given;
use crate::journal::Journal;
use crate::model::{Connection, Host, ScanEvent};
use crate::probe::{OutputLimits, prepare_records};
use crate::report::Progress;
use crate::scan::{self, Cancel, Options, Scanned};
use crate::ssh::{Credentials, Engine, HostKeys};

/// Scan the hosts of an inventory, or this machine (`scan local`).
#[derive(Debug, Args)]
pub(super) struct ScanArgs {
    /// `local`: this machine, without SSH
    #[arg(value_name = "local", conflicts_with = "inventory", value_parser = ["local"])]
    target: Option<String>,
    /// Inventory: a file, directory or program, `-` for standard input, or a list with a comma (`web01,web02,`); may be given several times
    #[arg(short, long, value_name = "INVENTORY", required_unless_present = "target")]
    inventory: Vec<String>,
    /// Only hosts that match, as `ansible -l`: `web:&prod:!web03`, globs, `~regex`, `@FILE`
    #[arg(short, long, value_name = "PATTERN")]
    limit: Option<String>,
    #[command(flatten)]
    checks: CheckArgs,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    pub(super) connection: ConnectionArgs,
}

/// How hosts are reached, and how long it may take.
#[derive(Debug, Args)]
pub(super) struct ConnectionArgs {
    /// Hosts at once; default 256, or fewer where the limit of open files asks for it
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub(super) forks: Option<u32>,
    #[command(flatten)]
    pub(super) ssh: SshArgs,
    #[command(flatten)]
    pub(super) login: LoginArgs,
    #[command(flatten)]
    pub(super) privilege: BecomeArgs,
    /// Time for one host in all, seconds
    #[arg(long, value_name = "SECONDS", value_parser = seconds, default_value = "120")]
    pub(super) host_timeout: Duration,
    /// Time for the whole scan, seconds; hosts not done by then are reported as not scanned
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(super) deadline: Option<Duration>,
    #[command(flatten)]
    pub(super) host_keys: HostKeyArgs,
    /// Record the answers of every host in a new or empty directory, for `fleetscan replay`
    #[arg(long, value_name = "DIR")]
    pub(super) record: Option<PathBuf>,
    /// No progress on standard error
    #[arg(short, long)]
    pub(super) quiet: bool,
}

/// Hosts at once where the user does not say: what 256 sessions need was measured as 40 MB, and they reach 500 hosts a second.
const FORKS: u64 = 256;

/// Open files that are not connections: the journal, reports, recordings, the runtime.
const SPARE_FILES: u64 = 64;

impl ScanArgs {
    pub(super) fn run(self) -> Result<ExitStatus, Error> {
        let checks = self.checks.load()?;
        let hosts = match &self.target {
            Some(_) => vec![Host { connection: Connection::Local, ..Host::named("localhost") }],
            None => InventoryArgs { inventory: self.inventory, limit: self.limit }
                .select_given(Given { password: self.connection.login.names_password(), ..self.connection.privilege.given() })?,
        };
        let reports = self.output.open()?;
        let runtime = runtime()?;
        runtime.block_on(sweep(hosts, checks, self.connection, reports))
    }
}

/// The runtime of a scan. Parsing and judging take turns with the network on every core.
pub(super) fn runtime() -> Result<Runtime, Error> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::because("the runtime did not start", error))
}

/// A whole scan: everything that can be wrong is found before the first host is contacted.
pub(super) async fn sweep(
    hosts: Vec<Host>,
    checks: CheckSet,
    args: ConnectionArgs,
    reports: Reports,
) -> Result<ExitStatus, Error> {
    let plan = plan_of(&checks)?;
    if let Some(directory) = &args.record {
        prepare_records(directory).map_err(|error| {
            Error::because(format!("recordings cannot be written to `{}`", directory.display()), error)
                .hint("`--record` takes a new directory, or an empty one")
        })?;
    }
    let mut journal = Journal::new().map_err(|error| Error::because("no place for the journal", error))?;
    let mut progress = if args.quiet { Progress::nothing() } else { Progress::on_stderr() };
    let options = options(args, &hosts).await?;
    let new_keys = options.engine.host_keys.new_keys();

    let (cancel, cancelled) = watch::channel(Cancel::No);
    let interrupts = tokio::spawn(interrupts(cancel));
    let mut show = |event: ScanEvent| progress.event(&event);
    let Scanned { report, warnings, interrupted } =
        scan::run(hosts, checks, plan, options, &mut journal, &mut show, cancelled).await;
    interrupts.abort();
    progress.finish();
    save_new_keys(&new_keys);
    warnings.iter().for_each(|warning| warn(warning));
    reports.write(&report, &journal, interrupted)
}

/// The first Ctrl-C drains, the second aborts. SIGTERM does the same, for schedulers.
async fn interrupts(cancel: watch::Sender<Cancel>) {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate())) else {
        return warn("signals cannot be caught: Ctrl-C ends the scan without a report");
    };
    for level in [Cancel::Drain, Cancel::Abort] {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        warn(match level {
            Cancel::Abort => "giving up the running hosts; the report follows",
            _ => "no further host is started, running ones end; once more to give them up",
        });
        cancel.send_replace(level);
    }
}

/// The options of a scan: keys and known hosts are read once, for all hosts.
pub(super) async fn options(args: ConnectionArgs, hosts: &[Host]) -> Result<Options, Error> {
    let over_ssh = hosts.iter().filter(|host| host.connection == Connection::Ssh).count();
    let mut credentials = Credentials::default();
    let mut host_keys = HostKeys::default();
    let resolver = args.ssh.resolver()?;
    if over_ssh > 0 {
        let needs = ssh::needs(&resolver, hosts)?;
        credentials = args.login.load(args.ssh.private_key.as_deref(), &needs.logins).await?;
        host_keys = args.host_keys.load(&needs.identities)?;
    }
    Ok(Options {
        forks: forks(args.forks, over_ssh)?,
        resolver,
        become_root: args.privilege.become_root(),
        become_method: args.privilege.method(),
        become_password: args.privilege.password(hosts)?,
        engine: Engine::new(credentials, host_keys, args.ssh.limits(args.host_timeout)),
        output: OutputLimits::default(),
        host_timeout: args.host_timeout,
        deadline: args.deadline,
        record: args.record,
    })
}

/// How many hosts at once: what was asked for, if the limit of open files allows it, else as many as it does.
pub(super) fn forks(asked: Option<u32>, hosts: usize) -> Result<usize, Error> {
    // Where the limit cannot be raised or read, the old one stays: 1024 nearly everywhere.
    let files = rlimit::increase_nofile_limit(u64::MAX).unwrap_or(1024);
    let most = files.saturating_sub(SPARE_FILES).max(1);
    let forks = match asked.map(u64::from) {
        Some(asked) if asked > most => {
            let error = Error::new(format!("{asked} hosts at once need more than the {files} open files that are allowed"));
            return Err(error.hint(format!("`--forks {most}`, or a higher limit with `ulimit -n`")));
        }
        Some(asked) => asked,
        None => FORKS.min(most),
    };
    Ok(usize::try_from(forks).unwrap_or(usize::MAX).min(hosts.max(1)))
}
