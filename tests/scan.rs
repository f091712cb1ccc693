//! The engine against a simulated fleet: real SSH on loopback, recorded answers, every way in which a host can misbehave.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fleetscan::check::{CheckSet, Source};
use fleetscan::cli;
use fleetscan::journal::Journal;
use fleetscan::model::{Host, HostReport, Reason, ScanEvent, Status, Verdict};
use fleetscan::probe::{OutputLimits, Transcript, plan, read_record};
use fleetscan::scan::{self, Cancel, Options, Scanned};
use fleetscan::simulate::{Behaviour, Fleet};
use fleetscan::ssh::{CredentialSources, Credentials, Defaults, Engine, HostKeySources, HostKeys, Limits, Login, Resolver};
use fleetscan::ssh_config::{Files, Options as SshOptions, Sources};
use tokio::sync::watch;

/// A recorded host, one of those the demo plays.
fn recorded() -> Arc<Transcript> {
    let hosts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hosts");
    let mut directories: Vec<_> =
        std::fs::read_dir(hosts).expect("recorded hosts").map(|entry| entry.expect("an entry").path()).collect();
    directories.sort();
    let (_, answers) = read_record(directories.first().expect("a recorded host")).expect("readable");
    Arc::new(answers)
}

fn checks() -> CheckSet {
    CheckSet::load(&Source::Embedded, &cli::vocabulary()).unwrap_or_else(|error| panic!("{error}"))
}

struct Setting {
    forks: usize,
    host_timeout: Duration,
    deadline: Option<Duration>,
    output: OutputLimits,
    record: Option<std::path::PathBuf>,
}

impl Default for Setting {
    fn default() -> Self {
        Self { forks: 16, host_timeout: Duration::from_secs(20), deadline: None, output: OutputLimits::default(), record: None }
    }
}

/// Scans a simulated fleet; the rows in the order of the inventory.
async fn sweep(
    behaviours: Vec<Behaviour>,
    setting: Setting,
    cancel: watch::Receiver<Cancel>,
    mut events: impl FnMut(&ScanEvent) + Send,
) -> (Scanned, Vec<HostReport>) {
    let fleet = Fleet::start(behaviours).await.expect("the fleet starts");
    let directory = tempfile::tempdir().expect("a directory");
    let key = directory.path().join("key");
    std::fs::write(&key, fleet.user_key().expect("a key")).expect("written");
    std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("permitted");
    let known = directory.path().join("known_hosts");
    std::fs::write(&known, fleet.known_hosts().expect("keys")).expect("written");
    let hosts: Vec<Host> = fleet
        .hosts()
        .iter()
        .enumerate()
        .map(|(index, host)| Host {
            address: host.address.ip().to_string(),
            port: Some(host.address.port()),
            ..Host::named(format!("host{index}"))
        })
        .collect();
    let checks = checks();
    let mut facts = checks.facts();
    facts.extend(scan::base_facts());
    let logins = [Login { key_files: vec![key.clone()], ..Login::default() }];
    let options = Options {
        forks: setting.forks,
        resolver: Resolver::new(
            Defaults { user: Some("scanner".to_owned()), private_key: Some(key.clone()), ..Defaults::default() },
            Sources { files: Files::None, ..Sources::new(SshOptions::default()) },
        )
        .expect("nothing to read"),
        become_root: false,
        become_method: None,
        become_password: None,
        engine: Engine::new(
            Credentials::load(&CredentialSources::default(), &logins).await.expect("the key is readable"),
            HostKeys::load(&HostKeySources { named: Some(known), ..HostKeySources::default() }, []).expect("readable"),
            Limits { connect: Duration::from_secs(2), handshake: Duration::from_secs(2), ..Limits::default() },
        ),
        output: setting.output,
        host_timeout: setting.host_timeout,
        deadline: setting.deadline,
        record: setting.record,
    };
    let plan = plan(&facts).expect("known facts");
    let mut journal = Journal::new().expect("a journal");
    let mut show = |event: ScanEvent| events(&event);
    let scanned = scan::run(hosts, checks, plan, options, &mut journal, &mut show, cancel).await;
    let rows = journal.read().map(|row| row.expect("readable")).collect();
    (scanned, rows)
}

fn never() -> (watch::Sender<Cancel>, watch::Receiver<Cancel>) {
    watch::channel(Cancel::No)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_to_misbehave_is_a_row_with_its_own_reason_and_spoils_no_other_host() {
    let answers = recorded();
    let cases = [
        (Behaviour::Replay(answers.clone()), Status::Scanned, Reason::Complete),
        (Behaviour::Refuse, Status::Unreachable, Reason::ConnectionRefused),
        (Behaviour::ChangedKey(answers.clone()), Status::Untrusted, Reason::HostKeyChanged),
        (Behaviour::Hang, Status::Unreachable, Reason::BannerTimeout),
        (Behaviour::Garbage, Status::Unreachable, Reason::NotSsh),
        (Behaviour::Deny, Status::Denied, Reason::AuthRefused),
        (Behaviour::Stall, Status::Failed, Reason::HostTimeout),
        (Behaviour::Flood, Status::Failed, Reason::OutputLimit),
        (Behaviour::CutOff(answers.clone()), Status::Partial, Reason::ConnectionLost),
        (Behaviour::ForcedCommand, Status::Failed, Reason::ForcedCommand),
        (Behaviour::Replay(answers), Status::Scanned, Reason::Complete),
    ];
    let (_keep, cancel) = never();
    let setting = Setting { host_timeout: Duration::from_secs(5), ..Setting::default() };
    let behaviours = cases.iter().map(|(behaviour, ..)| behaviour.clone()).collect();
    let (scanned, rows) = sweep(behaviours, setting, cancel, |_| {}).await;
    assert_eq!(rows.len(), cases.len());
    let count = checks().checks().len();
    for ((behaviour, status, reason), row) in cases.iter().zip(&rows) {
        assert_eq!((row.outcome.status, row.outcome.reason), (*status, *reason), "{behaviour:?}: {}", row.outcome.detail.text());
        let findings = if matches!(status, Status::Scanned | Status::Partial) { count } else { 0 };
        assert_eq!(row.findings.len(), findings, "{behaviour:?}");
        assert!(*status == Status::Scanned || !row.outcome.detail.text().is_empty(), "{behaviour:?} says nothing");
    }
    assert_eq!(rows[0].findings, rows[10].findings, "two hosts with the same answers differ");
    assert_eq!(scanned.report.scanned(), 2);
    assert_eq!(scanned.warnings, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_cut_off_in_the_middle_passes_no_check_whose_facts_did_not_arrive() {
    let answers = recorded();
    let (_keep, cancel) = never();
    let (_, rows) =
        sweep(vec![Behaviour::Replay(answers.clone()), Behaviour::CutOff(answers)], Setting::default(), cancel, |_| {}).await;
    let [whole, cut] = rows.as_slice() else { panic!("two rows") };
    let mut unknown = 0;
    for (whole, cut) in whole.findings.iter().zip(&cut.findings) {
        match &cut.verdict {
            Verdict::Unknown(_) => unknown += 1,
            verdict => assert_eq!(*verdict, whole.verdict, "{}", cut.check),
        }
    }
    assert!(unknown > 0 && unknown < whole.findings.len(), "{unknown} unknown");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hung_host_costs_its_own_slot_only() {
    let answers = recorded();
    let mut behaviours = vec![Behaviour::Stall; 3];
    behaviours.extend(vec![Behaviour::Replay(answers); 40]);
    let (_keep, cancel) = never();
    let begun = Instant::now();
    let mut healthy = None;
    let mut left = 40;
    let setting = Setting { forks: 4, host_timeout: Duration::from_secs(8), ..Setting::default() };
    let (scanned, _) = sweep(behaviours, setting, cancel, |event| {
        if let ScanEvent::HostFinished(host) = event
            && host.outcome.status == Status::Scanned
        {
            left -= 1;
            if left == 0 {
                healthy = Some(begun.elapsed());
            }
        }
    })
    .await;
    assert_eq!(scanned.report.scanned(), 40);
    assert!(healthy.expect("all were scanned") < Duration::from_secs(8), "healthy hosts waited for hung ones: {healthy:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_interrupt_starts_no_further_host_and_lets_the_running_ones_end() {
    let answers = recorded();
    let (stop, cancel) = never();
    let setting = Setting { forks: 2, ..Setting::default() };
    let (mut started, mut ended, mut late) = (0, 0, 0);
    let (scanned, rows) = sweep(vec![Behaviour::Replay(answers); 30], setting, cancel, |event| match event {
        ScanEvent::HostStarted { .. } if ended >= 4 => late += 1,
        ScanEvent::HostStarted { .. } => started += 1,
        ScanEvent::HostFinished(_) => {
            ended += 1;
            if ended == 4 {
                stop.send_replace(Cancel::Drain);
            }
        }
        _ => {}
    })
    .await;
    assert!(scanned.interrupted);
    assert_eq!((started, late), (5, 0), "hosts started before and after somebody asked to stop");
    assert_eq!(rows.len(), 30, "every host has a row");
    let by: BTreeMap<Reason, usize> = rows.iter().fold(BTreeMap::new(), |mut by, row| {
        *by.entry(row.outcome.reason).or_default() += 1;
        by
    });
    assert_eq!(by, BTreeMap::from([(Reason::Complete, started), (Reason::Interrupted, 30 - started)]));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_interrupt_gives_up_the_running_hosts_at_once() {
    let (stop, cancel) = never();
    let begun = Instant::now();
    let setting = Setting { host_timeout: Duration::from_secs(60), ..Setting::default() };
    let (scanned, rows) = sweep(vec![Behaviour::Stall; 4], setting, cancel, |event| match event {
        ScanEvent::Started { .. } => drop(stop.send_replace(Cancel::Drain)),
        ScanEvent::Draining => drop(stop.send_replace(Cancel::Abort)),
        _ => {}
    })
    .await;
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    assert!(scanned.interrupted);
    assert!(rows.iter().all(|row| row.outcome.reason == Reason::Interrupted), "{rows:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_deadline_of_the_scan_holds_and_every_host_has_a_row() {
    let (_keep, cancel) = never();
    let begun = Instant::now();
    let setting =
        Setting { forks: 2, deadline: Some(Duration::from_secs(2)), host_timeout: Duration::from_secs(60), ..Setting::default() };
    let (scanned, rows) = sweep(vec![Behaviour::Stall; 10], setting, cancel, |_| {}).await;
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    assert!(!scanned.interrupted, "a deadline is no interruption by a person");
    assert_eq!(rows.len(), 10);
    assert!(rows.iter().all(|row| row.outcome.reason == Reason::Deadline), "{rows:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recorded_scan_replays_to_the_same_findings_and_outcomes() {
    let answers = recorded();
    let directory = tempfile::tempdir().expect("a directory");
    let setting =
        Setting { record: Some(directory.path().to_owned()), host_timeout: Duration::from_secs(5), ..Setting::default() };
    let (_keep, cancel) = never();
    let behaviours = vec![Behaviour::Replay(answers.clone()), Behaviour::Refuse, Behaviour::CutOff(answers)];
    let (scanned, rows) = sweep(behaviours, setting, cancel, |_| {}).await;
    assert_eq!(scanned.warnings, Vec::<String>::new());
    let report = directory.path().join("replayed.json");
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_fleetscan"))
        .arg("replay")
        .arg(directory.path())
        .arg("-o")
        .arg(format!("json={}", report.display()))
        .output()
        .expect("it runs");
    let code = output.status.code();
    assert!(matches!(code, Some(3 | 4)), "{code:?}: {}", String::from_utf8_lossy(&output.stderr));
    let json: serde_json::Value = serde_json::from_slice(&std::fs::read(&report).expect("written")).expect("JSON");
    let again: Vec<&serde_json::Value> = json["hosts"].as_array().expect("hosts").iter().collect();
    assert_eq!(again.len(), rows.len());
    for (row, again) in rows.iter().zip(again) {
        // A recording has what a host answered, not by what key.
        let row = HostReport { host_key: None, ..row.clone() };
        assert_eq!(serde_json::to_value(&row).expect("JSON"), *again, "{}", row.name);
    }
}
