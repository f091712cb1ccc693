//! Programs that print an inventory: `FILE --list`, and `FILE --host NAME` where the first answer says no variables.

use std::io::{self, Read};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use super::graph::{Graph, Origin};
use super::node::Kind;
use super::{Complaint, dynamic, json};
use crate::model::escape;

/// What a program may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// For one answer.
    pub(super) time: Duration,
    /// For the answers about all hosts, one by one.
    pub(super) time_for_hosts: Duration,
    /// Of one answer.
    pub(super) bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { time: Duration::from_secs(30), time_for_hosts: Duration::from_secs(300), bytes: 64 << 20 }
    }
}

/// How much of what a program complains of is kept, and how many lines of it are shown.
const COMPLAINTS: usize = 8 << 10;
const COMPLAINTS_SHOWN: usize = 5;

/// How many hosts are asked for at once.
const AT_ONCE: usize = 8;

/// How often a program that closed its output is looked at until it has ended.
const LOOK: Duration = Duration::from_millis(2);

/// How long a program that is being written is waited for.
const BUSY: Duration = Duration::from_secs(1);

/// How long the complaints of a program that ended are waited for: something that it left running may hold that stream open.
const LINGER: Duration = Duration::from_secs(1);

/// Runs a program and reads its answer into the graph.
pub(super) fn read(graph: &mut Graph, path: &Path, limits: Limits) {
    let file = graph.answer(path, "--list");
    let whole = Origin { file, line: 0 };
    let answer = match run(path, &["--list"], limits, Instant::now() + limits.time) {
        Ok(answer) => answer,
        Err(complaint) => return graph.problem(whole, complaint),
    };
    if let Some(said) = shown(&answer.errors) {
        graph.warning(whole, Complaint::new(format!("the program says: {said}")));
    }
    let document = match json::parse(&answer.output) {
        Ok(document) => document,
        Err((line, complaint)) => return graph.problem(Origin { file, line }, with_errors(complaint, &answer.errors)),
    };
    for (line, complaint) in document.duplicates {
        graph.problem(Origin { file, line }, complaint);
    }
    let Kind::Map(groups) = &document.root.kind else {
        let complaint = Complaint::new(format!("the answer is {}, not a map of groups", document.root.kind.describe()));
        return graph.problem(Origin { file, line: document.root.line }, with_errors(complaint, &answer.errors));
    };
    let named = dynamic::read(graph, file, groups);
    if !named.has_variables {
        ask_for_hosts(graph, path, &named.hosts, limits);
    }
}

/// Asks for the variables of every host, several at once.
fn ask_for_hosts(graph: &mut Graph, path: &Path, hosts: &[String], limits: Limits) {
    let next = &AtomicUsize::new(0);
    let until = Instant::now() + limits.time_for_hosts;
    let (sender, answers) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..AT_ONCE.min(hosts.len()) {
            let sender = sender.clone();
            scope.spawn(move || {
                while let Some(at) = Some(next.fetch_add(1, Ordering::Relaxed)).filter(|at| *at < hosts.len()) {
                    let Some(host) = hosts.get(at) else { break };
                    let answer = run(path, &["--host", host], limits, until.min(Instant::now() + limits.time));
                    let failed = answer.is_err();
                    if sender.send((at, answer)).is_err() || failed {
                        // What failed for one host would most likely fail for all.
                        next.store(hosts.len(), Ordering::Relaxed);
                    }
                }
            });
        }
    });
    drop(sender);
    let mut answers: Vec<_> = answers.into_iter().collect();
    answers.sort_by_key(|(at, _)| *at);
    for (at, answer) in answers {
        let Some(host) = hosts.get(at) else { continue };
        let file = graph.answer(path, &format!("--host {host}"));
        match answer {
            Ok(answer) => variables(graph, file, host, &answer),
            Err(complaint) => {
                let hint = "the answer to `--list` may say the variables of all hosts at once, under `_meta`";
                graph.problem(Origin { file, line: 0 }, complaint.hint(hint));
            }
        }
    }
}

fn variables(graph: &mut Graph, file: usize, host: &str, answer: &Answer) {
    if answer.output.trim().is_empty() {
        return;
    }
    match json::parse(&answer.output) {
        Err((line, complaint)) => graph.problem(Origin { file, line }, with_errors(complaint, &answer.errors)),
        Ok(document) => match &document.root.kind {
            Kind::Null => {}
            Kind::Map(entries) => dynamic::set_variables(graph, file, host, entries),
            other => {
                let complaint = Complaint::new(format!("the answer is {}, not a map of variables", other.describe()));
                graph.problem(Origin { file, line: document.root.line }, complaint);
            }
        },
    }
}

/// What a program printed.
#[derive(Debug)]
struct Answer {
    output: String,
    errors: Vec<u8>,
}

/// Runs a program to its end, or to its limit.
fn run(path: &Path, arguments: &[&str], limits: Limits, until: Instant) -> Result<Answer, Complaint> {
    let started = Instant::now();
    let broken = |error: io::Error| Complaint::new(format!("the program can't be run: {error}"));
    let program = std::path::absolute(path).map_err(broken)?;
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = start(&mut command).map_err(|error| match error.kind() {
        // The file is there: it was just looked at.
        io::ErrorKind::NotFound => {
            Complaint::new("the program can't be run: what its first line names is not there").hint("look at the line with `#!`")
        }
        _ => broken(error),
    })?;
    let output = child.stdout.take().map(|stream| beside(stream, move |stream| first(stream, limits.bytes)));
    let errors = child.stderr.take().map(|stream| beside(stream, last));
    let result = wait(&mut child, output, until);
    let took = started.elapsed().as_secs_f32().round().max(1.0);
    if result.is_err() {
        // It may have ended by itself in the meantime. What it started and left behind ends when nobody reads what it prints.
        let _ = child.kill();
        let _ = child.wait();
    }
    let errors = errors.and_then(|errors| errors.recv_timeout(LINGER).ok()).unwrap_or_default();
    let (output, status) = match result {
        Ok(ended) => ended,
        Err(Stopped::TooSlow) => {
            let message = format!("the program did not end within {took} s");
            return Err(with_errors(Complaint::new(message), &errors));
        }
        Err(Stopped::TooMuch) => {
            return Err(Complaint::new(format!("the program printed more than {} MiB", limits.bytes >> 20)));
        }
        Err(Stopped::Broken(error)) => return Err(broken(error)),
    };
    if !status.success() {
        return Err(with_errors(Complaint::new(format!("the program failed: {status}")), &errors));
    }
    String::from_utf8(output)
        .map(|output| Answer { output, errors })
        .map_err(|_| Complaint::new("the program printed what is not UTF-8"))
}

/// Starts a program, a moment later where somebody still has it open for writing.
fn start(command: &mut Command) -> io::Result<Child> {
    let until = Instant::now() + BUSY;
    loop {
        match command.spawn() {
            Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy && Instant::now() < until => thread::sleep(LOOK),
            started => return started,
        }
    }
}

/// Why a program was not waited for.
enum Stopped {
    TooSlow,
    TooMuch,
    Broken(io::Error),
}

/// The output of a program, and whether it was more than was to be kept.
type Collected = (Vec<u8>, bool);

/// Reads a stream beside everything else, and then to its end.
fn beside<T: Send + 'static>(
    mut stream: impl Read + Send + 'static,
    read: impl FnOnce(&mut dyn Read) -> T + Send + 'static,
) -> Receiver<T> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        // Nobody waits any more for a program that was given up.
        let _ = sender.send(read(&mut stream));
        let _ = io::copy(&mut stream, &mut io::sink());
    });
    receiver
}

fn first(stream: &mut dyn Read, most: u64) -> Collected {
    let mut kept = Vec::new();
    let read = stream.take(most.saturating_add(1)).read_to_end(&mut kept);
    (kept, read.is_ok_and(|length| length as u64 > most))
}

/// The end of what a program complained of.
fn last(stream: &mut dyn Read) -> Vec<u8> {
    let mut kept = Vec::new();
    let mut piece = [0; COMPLAINTS];
    while let Ok(length @ 1..) = stream.read(&mut piece) {
        kept.extend_from_slice(piece.get(..length).unwrap_or_default());
        kept.drain(..kept.len().saturating_sub(COMPLAINTS));
    }
    kept
}

fn wait(child: &mut Child, output: Option<Receiver<Collected>>, until: Instant) -> Result<(Vec<u8>, ExitStatus), Stopped> {
    let left = || until.saturating_duration_since(Instant::now());
    let output = match output.map(|output| output.recv_timeout(left())) {
        Some(Ok((_, true))) => return Err(Stopped::TooMuch),
        Some(Ok((output, false))) => output,
        Some(Err(RecvTimeoutError::Timeout)) => return Err(Stopped::TooSlow),
        Some(Err(RecvTimeoutError::Disconnected)) | None => Vec::new(),
    };
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Ok((output, status)),
            Ok(None) if left().is_zero() => return Err(Stopped::TooSlow),
            Ok(None) => thread::sleep(LOOK),
            Err(error) => return Err(Stopped::Broken(error)),
        }
    }
}

fn with_errors(complaint: Complaint, errors: &[u8]) -> Complaint {
    match shown(errors) {
        Some(said) => Complaint { message: format!("{}; it says: {said}", complaint.message), ..complaint },
        None => complaint,
    }
}

/// The last lines of what a program complained of: what matters stands at the end of a traceback.
fn shown(errors: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(errors);
    let lines: Vec<&str> = text.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
    let last = lines.get(lines.len().saturating_sub(COMPLAINTS_SHOWN)..).unwrap_or_default();
    let said = last.iter().map(|line| escape(line, 200)).collect::<Vec<_>>().join(" / ");
    (!said.is_empty()).then_some(said)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a shell script as if it were an inventory, within limits.
    fn answer(script: &str, limits: Limits) -> Result<Answer, String> {
        let until = Instant::now() + limits.time;
        run(Path::new("/bin/sh"), &["-c", script], limits, until).map_err(|complaint| complaint.message)
    }

    fn limits(milliseconds: u64, bytes: u64) -> Limits {
        Limits { time: Duration::from_millis(milliseconds), bytes, ..Limits::default() }
    }

    #[test]
    fn a_program_that_does_not_end_is_killed_and_says_what_it_said() {
        let said = answer("echo waiting for the cloud >&2; exec sleep 600", limits(300, 1 << 20)).unwrap_err();
        assert_eq!(said, "the program did not end within 1 s; it says: waiting for the cloud");
        // One that closed its output is waited for just as long.
        let said = answer("exec >&-; exec sleep 600", limits(300, 1 << 20)).unwrap_err();
        assert_eq!(said, "the program did not end within 1 s");
    }

    #[test]
    fn a_program_that_prints_without_end_is_killed_at_the_limit() {
        assert_eq!(answer("exec yes", limits(60_000, 2 << 20)).unwrap_err(), "the program printed more than 2 MiB");
        let errors =
            answer("i=0; while [ $i -lt 20000 ]; do echo complaint $i >&2; i=$((i+1)); done; exit 1", limits(60_000, 10))
                .unwrap_err();
        assert!(errors.starts_with("the program failed: exit status: 1; it says: complaint 19995 / "), "{errors}");
    }

    #[test]
    fn an_answer_at_the_limit_is_whole_and_what_is_left_running_is_not_waited_for() {
        assert_eq!(answer("printf 0123456789", limits(60_000, 10)).unwrap().output, "0123456789");
        let answer = answer("sleep 0.3 >&- 2>&- & printf x", limits(60_000, 10)).unwrap();
        assert_eq!(answer.output, "x");
    }

    #[test]
    fn hosts_are_asked_for_within_the_time_for_all_of_them() {
        let mut graph = Graph::new();
        let limits = Limits { time_for_hosts: Duration::ZERO, ..Limits::default() };
        ask_for_hosts(&mut graph, Path::new("/bin/cat"), &["a".to_owned(), "b".to_owned()], limits);
        let (problems, _) = graph.said();
        assert!(!problems.is_empty() && problems[0].to_string().starts_with("/bin/cat --host a: the program"), "{problems:?}");
    }
}
