//! The fan-out: many hosts at once, each within its own time, one row for each whatever happens.
//!
//! [`run`] never fails and prints nothing: a host that could not be scanned is a row, progress is [`ScanEvent`]s, and reports are made from the journal
//! afterwards. A task per host, never a process or a thread: a panic in one host's parser ends that task and becomes that host's row.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::StreamExt;
use jiff::Timestamp;
use ring::rand::{SecureRandom, SystemRandom};
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};

use crate::check::{Check, CheckSet};
use crate::command::{Become, Conversation, Script, Step, Stream, Trial};
use crate::journal::{Journal, JournalError};
use crate::local;
use crate::model::{
    BecomeMethod, Connection, Evidence, FactRef, Failure, FleetReport, Host, HostReport, Outcome, Privilege, Reason, ScanEvent,
    Secret, Status, counted, with_causes,
};
use crate::probe::{self, FrameReader, OutputLimits, Plan, Recorded, Transcript, facts, write_record};
use crate::ssh::{Engine, Resolver, Session, Unresolved, Witness};

/// The facts that every host report shows, whatever the checks want.
pub fn base_facts() -> [FactRef; 2] {
    [FactRef::plain("os.name"), FactRef::plain("login.uid")]
}

/// How far a scan is to go on. It only ever rises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cancel {
    /// Go on.
    No,
    /// Start no further host, let the running ones end.
    Drain,
    /// Give up the running ones as well.
    Abort,
}

/// Everything about a scan that is the same for all hosts.
pub struct Options {
    /// How many hosts at once.
    pub forks: usize,
    /// How each host is reached.
    pub resolver: Resolver,
    /// Whether a login may become root where the inventory does not say.
    pub become_root: bool,
    /// By what, where the inventory does not say; `None` is sudo, else doas, whichever a host has.
    pub become_method: Option<BecomeMethod>,
    /// The password for sudo, where the inventory has none.
    pub become_password: Option<Secret>,
    /// What all connections share.
    pub engine: Engine,
    /// Limits on what is kept of a host's output.
    pub output: OutputLimits,
    /// The time one host may take in all.
    pub host_timeout: Duration,
    /// The time the scan may take in all.
    pub deadline: Option<Duration>,
    /// Where the answers of each host are recorded.
    pub record: Option<PathBuf>,
}

impl Options {
    /// By what the login of a host may become root.
    pub fn become_of(&self, host: &Host) -> Become {
        Become::of(host, self.become_root, self.become_method, self.become_password_of(host).is_some())
    }

    /// The password that sudo may be given on a host. That of the login is another one, even where it is the same.
    pub fn become_password_of<'a>(&'a self, host: &'a Host) -> Option<&'a Secret> {
        host.become_password.as_ref().or(self.become_password.as_ref())
    }
}

/// What was scanned, and what went wrong on the way that is no host's fault.
pub struct Scanned {
    /// The totals.
    pub report: FleetReport,
    /// Recordings that could not be written and the like, one sentence each.
    pub warnings: Vec<String>,
    /// Whether somebody asked to stop.
    pub interrupted: bool,
}

/// What every task shares.
struct Shared {
    checks: CheckSet,
    plan: Plan,
    options: Options,
    trials: Trials,
}

/// The passwords of sudo that were sent, each with what came of it.
#[derive(Default)]
struct Trials(Mutex<HashMap<Secret, Arc<Trial>>>);

impl Trials {
    fn of(&self, password: &Secret) -> Arc<Trial> {
        let mut trials = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(trials.entry(password.clone()).or_default())
    }
}

/// Scans hosts and writes a row for each into the journal, in the order in which they finish.
///
/// When the journal takes no more (a full disk), the scan ends early with a warning; what was kept before is reported.
pub async fn run(
    hosts: Vec<Host>,
    checks: CheckSet,
    plan: Plan,
    options: Options,
    journal: &mut Journal,
    events: &mut (dyn FnMut(ScanEvent) + Send),
    cancel: watch::Receiver<Cancel>,
) -> Scanned {
    let started = Instant::now();
    let mut report = FleetReport::new(checks.infos(), now());
    report.rules = rules(&checks);
    report.insecure_host_keys = options.engine.host_keys.accepts_anything();
    events(ScanEvent::Started { hosts: hosts.len(), checks: checks.checks().len() });
    let deadline = options.deadline.map(|after| tokio::time::Instant::from_std(started + after));
    let forks = options.forks.max(1);
    let shared = Arc::new(Shared { checks, plan, options, trials: Trials::default() });
    let (stop, stopped) = watch::channel(None::<Reason>);
    let mut cancel = Following { cancel, last: Cancel::No };
    let mut waiting = hosts.into_iter().enumerate();
    let mut left_over = None;
    let mut tasks: JoinSet<Done> = JoinSet::new();
    let mut running: HashMap<tokio::task::Id, (usize, Host)> = HashMap::new();
    let mut warnings = Vec::new();
    let (mut withheld, mut rejected, mut unrecorded) = (0, Few::default(), Few::default());
    let mut interrupted = false;
    let mut clock = tokio::time::interval(Duration::from_secs(1));
    loop {
        while left_over.is_none() && !cancel.has_risen() && tasks.len() < forks {
            let Some((index, host)) = waiting.next() else { break };
            events(ScanEvent::HostStarted { index, name: host.name.as_str().into() });
            let task = tasks.spawn(one_host(shared.clone(), index, host.clone(), stopped.clone()));
            running.insert(task.id(), (index, host));
        }
        if tasks.is_empty() && (waiting.len() == 0 || !cancel.has_risen()) {
            break;
        }
        tokio::select! {
            // In this order: whoever asks to stop is heard before a host that ends makes room for the next.
            biased;
            level = cancel.rises() => {
                left_over.get_or_insert(Reason::Interrupted);
                report.interrupted = true;
                interrupted = true;
                if level == Cancel::Abort {
                    events(ScanEvent::Aborting);
                    stop.send_replace(Some(Reason::Interrupted));
                } else {
                    events(ScanEvent::Draining);
                }
            }
            () = at(deadline), if left_over != Some(Reason::Deadline) => {
                left_over = Some(Reason::Deadline);
                report.interrupted = true;
                events(ScanEvent::Aborting);
                stop.send_replace(Some(Reason::Deadline));
            }
            _ = clock.tick() => events(ScanEvent::StillRunning),
            Some(done) = tasks.join_next_with_id() => {
                let done = finished(done, &mut running);
                let Done { row, .. } = done;
                withheld += u64::from(done.withheld);
                rejected.extend(done.rejected.then(|| format!("`{}`", row.name)));
                unrecorded.extend(done.unrecorded);
                if let Err(error) = finish(row, journal, &mut report, events) {
                    if left_over.is_none() {
                        warnings.push(with_causes(&error));
                        stop.send_replace(Some(Reason::Interrupted));
                    }
                    left_over.get_or_insert(Reason::Interrupted);
                    report.interrupted = true;
                }
            }
        }
    }
    if let Some(hosts) = rejected.listed(", ") {
        warnings.push(format!("sudo did not accept the password on {hosts}; it was tried once on each"));
    }
    warnings.extend(unrecorded.listed("; ").map(|hosts| format!("not recorded: {hosts}")));
    if withheld > 0 {
        let hosts = counted(withheld, "host");
        warnings.push(format!(
            "the password of sudo was not sent to {hosts}: others had not accepted it, and it might lock the account"
        ));
    }
    let reason = left_over.unwrap_or(Reason::Interrupted);
    for (index, host) in waiting {
        let row = row(&shared.options, index, &host, Outcome::without_answers(reason, "the scan ended before this host's turn"));
        // What keeps one row from being kept was said when it happened first; it counts as not scanned all the same.
        let _ = finish(row, journal, &mut report, events);
    }
    for (name, key, detail) in shared.options.engine.jump_keys() {
        report.add_jump_host(&format!("jump host {name}"), &key, &detail);
    }
    report.finished = now();
    Scanned { report, warnings, interrupted }
}

/// For each check, in their order, the commands that it needs root for, each as a rule of sudoers names it; none where rules would not be enough.
pub fn rules(checks: &CheckSet) -> Vec<Vec<String>> {
    let of = |check: &Check| match probe::plan(check.facts()) {
        Ok(plan) if probe::without_rule(&plan).is_empty() => probe::sudo_rules(&plan),
        _ => Vec::new(),
    };
    checks.checks().iter().map(of).collect()
}

/// What came of a host.
struct Done {
    row: HostReport,
    /// Whether its sudo did not accept the password.
    rejected: bool,
    /// Whether the password was kept from it.
    withheld: bool,
    /// Why its answers were not recorded, where they should have been.
    unrecorded: Option<String>,
}

/// What is to be said of hosts, of which there may be any number: the first few, and how many more.
#[derive(Debug, Default)]
struct Few {
    first: Vec<String>,
    more: usize,
}

impl Few {
    const NAMED: usize = 5;

    fn extend(&mut self, what: Option<String>) {
        match what {
            Some(what) if self.first.len() < Self::NAMED => self.first.push(what),
            Some(_) => self.more += 1,
            None => {}
        }
    }

    /// All in one; `None` where there are none.
    fn listed(&self, between: &str) -> Option<String> {
        let first = self.first.join(between);
        match self.more {
            _ if self.first.is_empty() => None,
            0 => Some(first),
            more => Some(format!("{first}{between}and {more} more")),
        }
    }
}

/// Keeps a row and counts it. One that cannot be kept can be in no report, so its host counts as one that was not scanned.
fn finish(
    mut row: HostReport,
    journal: &mut Journal,
    report: &mut FleetReport,
    events: &mut (dyn FnMut(ScanEvent) + Send),
) -> Result<(), JournalError> {
    let kept = journal.append(&row);
    if let Err(error) = &kept {
        let outcome = Outcome::without_answers(Reason::Interrupted, with_causes(error));
        row = HostReport { outcome, os: None, privilege: None, findings: Vec::new(), ..row };
    }
    report.add(&row);
    events(ScanEvent::HostFinished(Arc::new(row)));
    kept
}

/// The row of a task, also of one that panicked.
fn finished(done: Result<(tokio::task::Id, Done), JoinError>, running: &mut HashMap<tokio::task::Id, (usize, Host)>) -> Done {
    match done {
        Ok((id, row)) => {
            running.remove(&id);
            row
        }
        Err(error) => {
            let (index, host) = running.remove(&error.id()).unwrap_or_else(|| (usize::MAX, Host::named("")));
            let what = match error.try_into_panic() {
                Ok(panic) => {
                    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
                    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic".to_owned())
                }
                Err(error) => error.to_string(),
            };
            let outcome = Outcome::without_answers(Reason::InternalError, format!("please report this: {what}"));
            let row = bare_row(index, &host, host.address.clone(), outcome);
            Done { row, rejected: false, withheld: false, unrecorded: None }
        }
    }
}

async fn at(deadline: Option<tokio::time::Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// The caller's wish to stop, rise by rise.
struct Following {
    cancel: watch::Receiver<Cancel>,
    last: Cancel,
}

impl Following {
    /// Whether there is a rise that [`Self::rises`] has not told yet.
    fn has_risen(&self) -> bool {
        *self.cancel.borrow() > self.last
    }

    async fn rises(&mut self) -> Cancel {
        loop {
            let level = *self.cancel.borrow_and_update();
            if level > self.last {
                self.last = level;
                return level;
            }
            if self.cancel.changed().await.is_err() {
                // Whoever could ask to stop is gone: nobody will.
                std::future::pending::<()>().await;
            }
        }
    }
}

/// One host's story, top to bottom.
async fn one_host(shared: Arc<Shared>, index: usize, host: Host, stopped: watch::Receiver<Option<Reason>>) -> Done {
    let begun = Instant::now();
    let Shared { checks, plan, options, trials } = &*shared;
    let with = options.become_of(&host);
    let script = Script::new(&nonce(), plan.steps(), with);
    let mut row = row(options, index, &host, Outcome::scanned());

    let witness = Witness::default();
    let (outcome, answers) = ask(&host, options, &script, trials, &witness, told_to_stop(stopped)).await;
    row.outcome = outcome;
    row.host_key = witness.key();
    if matches!(row.outcome.status, Status::Scanned | Status::Partial) {
        judge(&mut row, checks, plan, &answers, with != Become::No);
    }
    row.duration_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    let unrecorded = options.record.as_ref().and_then(|directory| record(directory, &row, &answers, with));
    Done { row, rejected: answers.password_was_rejected(), withheld: answers.password_was_withheld(), unrecorded }
}

/// Asks one host the questions of a script, within its time and as long as nobody says to stop.
async fn ask(
    host: &Host,
    options: &Options,
    script: &Script,
    trials: &Trials,
    witness: &Witness,
    stop: impl Future<Output = Reason>,
) -> (Outcome, Transcript) {
    let mut reader = FrameReader::new(script, options.output);
    let password = options.become_password_of(host).filter(|_| script.with().asks_for_password());
    let trial = password.map(|password| trials.of(password));
    let conversation = Conversation { script, password, trial: trial.as_deref() };
    let ended = tokio::select! {
        ended = converse(host, options, conversation, witness, &mut reader) => ended,
        () = tokio::time::sleep(options.host_timeout) => {
            Err(Failure::new(Reason::HostTimeout, format!("not done after {} s", options.host_timeout.as_secs())))
        }
        reason = stop => Err(Failure::new(reason, "given up while it was being scanned")),
    };
    let heard = reader.received();
    let answers = reader.finish();
    (outcome(ended, &answers, heard), answers)
}

/// How far a scan of one host would come.
#[derive(Debug, Clone)]
pub struct Examined {
    /// How the conversation came out.
    pub outcome: Outcome,
    /// What was answered.
    pub answers: Transcript,
    /// With which rights the steps were asked, where the host got that far.
    pub privilege: Option<Privilege>,
}

/// Asks every host the same few steps, so many at once; what `see` makes of each is in the order of the hosts. The answers themselves are not kept.
pub async fn examine<T: Send + 'static>(
    hosts: &[Host],
    steps: &[Step],
    options: Options,
    see: impl Fn(&Examined) -> T + Send + Sync + 'static,
) -> Vec<T> {
    let at_once = options.forks.max(1);
    let shared = Arc::new((steps.to_vec(), options, Trials::default(), see));
    let asked = hosts.iter().cloned().enumerate().map(|(index, host)| {
        let (shared, whole) = (Arc::clone(&shared), Arc::clone(&shared));
        // A task of its own: what goes wrong with one host is that host's line.
        let task = async move {
            let (steps, options, trials, see) = &*shared;
            let with = options.become_of(&host);
            let script = Script::new(&nonce(), steps, with);
            let (outcome, answers) =
                ask(&host, options, &script, trials, &Witness::default(), std::future::pending::<Reason>()).await;
            let privilege = (!answers.is_empty()).then(|| match answers.text("login").is_ok_and(|uid| uid.trim() == "0") {
                true => Privilege::Root,
                false => answers.privilege(steps, with != Become::No),
            });
            see(&Examined { outcome, answers, privilege })
        };
        async move {
            let broken = |error: JoinError| {
                let outcome = Outcome::without_answers(Reason::InternalError, format!("please report this: {error}"));
                (whole.3)(&Examined { outcome, answers: Transcript::default(), privilege: None })
            };
            (index, tokio::spawn(task).await.unwrap_or_else(broken))
        }
    });
    let mut examined: Vec<(usize, T)> = futures::stream::iter(asked).buffer_unordered(at_once).collect().await;
    examined.sort_by_key(|(index, _)| *index);
    examined.into_iter().map(|(_, examined)| examined).collect()
}

/// What the checks say of answers, wherever they came from. The one way from a transcript to findings: a scan, a replay and the demo all take it.
/// `with_become`: whether the script might become root.
pub fn judge(row: &mut HostReport, checks: &CheckSet, plan: &Plan, answers: &Transcript, with_become: bool) {
    let facts = facts(plan, answers);
    row.findings = checks.judge(&facts);
    row.os = facts.value("os.name").ok().map(|name| Evidence::new(name.to_string()));
    row.privilege = facts.value("login.uid").ok().and_then(|uid| uid.as_int()).map(|uid| match uid {
        0 => Privilege::Root,
        _ => answers.privilege(plan.steps(), with_become),
    });
}

/// Connects and runs the script, its output going to the reader.
async fn converse(
    host: &Host,
    options: &Options,
    conversation: Conversation<'_>,
    witness: &Witness,
    reader: &mut FrameReader,
) -> Result<(), Failure> {
    let mut sink = |stream: Stream, bytes: &[u8]| reader.feed(stream, bytes);
    match host.connection {
        Connection::Local => local::run(conversation, options.host_timeout, &mut sink).await,
        Connection::Ssh => {
            let wrong = |error: Unresolved| Failure::new(Reason::ConfigurationWrong, error.to_string());
            let (target, _) = options.resolver.target(host).map_err(wrong)?;
            let session = Session::connect_seen(&target, &options.engine, witness).await?;
            session.run(conversation, &mut sink).await
        }
    }
}

async fn told_to_stop(mut stopped: watch::Receiver<Option<Reason>>) -> Reason {
    loop {
        if let Some(reason) = *stopped.borrow_and_update() {
            return reason;
        }
        if stopped.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// How the host came out: only an answer that is whole makes a scanned host, whatever the connection says of itself.
fn outcome(ended: Result<(), Failure>, answers: &Transcript, heard: usize) -> Outcome {
    let failure = match ended {
        _ if answers.is_complete() => return Outcome::scanned(),
        Ok(()) if answers.is_empty() => {
            let what = if heard == 0 { "nothing" } else { "something else" };
            Failure::new(
                Reason::NoShell,
                format!("the login ran {what} instead of the script: a forced command or a shell that refuses?"),
            )
        }
        Ok(()) => Failure::new(Reason::ConnectionLost, "the answers end in the middle"),
        Err(failure) => failure,
    };
    let status = if answers.is_empty() { failure.reason.status() } else { Status::Partial };
    Outcome { status, reason: failure.reason, detail: Evidence::new(failure.detail) }
}

/// The row of a host before anything is known of it.
fn row(options: &Options, index: usize, host: &Host, outcome: Outcome) -> HostReport {
    let address = match host.connection {
        Connection::Local => "local".to_owned(),
        Connection::Ssh => options.resolver.target(host).map_or_else(|_| host.address.clone(), |(target, _)| target.place()),
    };
    bare_row(index, host, address, outcome)
}

fn bare_row(index: usize, host: &Host, address: String, outcome: Outcome) -> HostReport {
    HostReport {
        index,
        name: host.name.clone(),
        address,
        groups: host.groups.clone(),
        outcome,
        os: None,
        privilege: None,
        host_key: None,
        scanned_at: now(),
        duration_ms: 0,
        findings: Vec::new(),
    }
}

/// Records a host's answers; why that failed, where it did.
fn record(directory: &std::path::Path, row: &HostReport, answers: &Transcript, with: Become) -> Option<String> {
    let written = write_record(&directory.join(file_name(&row.name)), Recorded::new(row, with != Become::No), answers);
    written.err().map(|error| format!("`{}`: {}", row.name, with_causes(&error)))
}

/// A host's name as the name of a directory: no separators, never `.` or `..`, never empty.
fn file_name(name: &str) -> String {
    let safe = |letter: char| if letter.is_alphanumeric() || "-_.@:+[]".contains(letter) { letter } else { '_' };
    let name: String = name.chars().map(safe).collect();
    if name.trim_matches('.').is_empty() { format!("_{name}") } else { name }
}

/// Now, RFC 3339 in UTC, to the millisecond.
pub fn now() -> String {
    format!("{:.3}", Timestamp::now())
}

/// A fresh nonce of 32 hexadecimal digits.
///
/// # Panics
/// When the operating system has no randomness to give: nothing can be safe then.
pub fn nonce() -> String {
    let mut bytes = [0; 16];
    #[expect(clippy::expect_used, reason = "without randomness no frame is safe and no key exchange works either")]
    SystemRandom::new().fill(&mut bytes).expect("the operating system gives randomness");
    data_encoding::HEXLOWER.encode(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_name_is_no_way_out_of_the_directory_of_recordings() {
        assert_eq!(file_name("../../etc/passwd"), ".._.._etc_passwd");
        assert_eq!(file_name(".."), "_..");
        assert_eq!(file_name(""), "_");
        assert_eq!(file_name("web-01.example.com"), "web-01.example.com");
    }

    #[test]
    fn times_are_rfc_3339_in_utc_and_nonces_are_fresh() {
        assert!(now().ends_with('Z') && now().len() == "2026-01-01T00:00:00.000Z".len(), "{}", now());
        assert_ne!(nonce(), nonce());
        assert_eq!(nonce().len(), 32);
    }
}
