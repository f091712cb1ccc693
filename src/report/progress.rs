//! Live progress of a scan on standard error: a bar where it is a terminal, now and then a line where it is not.

use std::collections::HashMap;
use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use super::layout::{counted, fit, number};
use super::terminal::duration;
use crate::model::{HostReport, ScanEvent, Status, escape};

/// Lines: one at least every ten per cent and, while anything happens, every ten seconds.
const STEPS: u64 = 10;
const PAUSE: Duration = Duration::from_secs(10);
/// So many hosts that were not scanned get a line of their own.
const HOSTS_NAMED: u64 = 20;
/// How often the bar moves when nothing happens.
const TICK: Duration = Duration::from_millis(250);
const LONGEST_LINE: usize = 200;
const NAME_COLUMNS: usize = 24;
/// Two lines, each within 80 columns: what does not fit on a line would be drawn over and over.
const TEMPLATE: &str = "{bar:24} {human_pos}/{human_len} hosts, {pace}\n  {status}";

/// Shows the events of a scan as they come. Never writes to standard output; a terminal that has gone away is no error.
pub struct Progress(Show);

enum Show {
    Bar(Bar),
    Lines(Lines<Box<dyn Write + Send>>),
    Nothing,
}

impl Progress {
    /// A bar where standard error is a terminal, lines otherwise.
    pub fn on_stderr() -> Self {
        if io::stderr().is_terminal() {
            Self(Show::Bar(Bar::new(ProgressDrawTarget::stderr())))
        } else {
            Self::lines(io::stderr())
        }
    }

    /// Lines, wherever.
    pub fn lines(out: impl Write + Send + 'static) -> Self {
        Self(Show::Lines(Lines::new(Box::new(out), Instant::now())))
    }

    /// No progress at all (`--quiet`).
    pub fn nothing() -> Self {
        Self(Show::Nothing)
    }

    /// Takes up an event.
    pub fn event(&mut self, event: &ScanEvent) {
        match &mut self.0 {
            Show::Lines(lines) if matches!(event, ScanEvent::StillRunning) => lines.tick(Instant::now()),
            Show::Bar(bar) => bar.event(event),
            Show::Lines(lines) => lines.event(event, Instant::now()),
            Show::Nothing => {}
        }
    }

    /// Runs `print`, which writes to the terminal, without the bar in its way.
    pub fn suspend<T>(&self, print: impl FnOnce() -> T) -> T {
        match &self.0 {
            Show::Bar(bar) => bar.bar.suspend(print),
            Show::Lines(_) | Show::Nothing => print(),
        }
    }

    /// Ends it and leaves a clean line behind.
    pub fn finish(self) {
        match self.0 {
            Show::Bar(bar) => bar.bar.finish_and_clear(),
            Show::Lines(mut lines) => {
                let _ = lines.out.flush();
            }
            Show::Nothing => {}
        }
    }
}

/// What both kinds count.
struct Tally {
    hosts: u64,
    done: u64,
    not_scanned: u64,
    running: HashMap<usize, (Arc<str>, Instant)>,
}

impl Tally {
    fn new() -> Self {
        Self { hosts: 0, done: 0, not_scanned: 0, running: HashMap::new() }
    }

    fn event(&mut self, event: &ScanEvent, now: Instant) {
        match event {
            ScanEvent::Started { hosts, .. } => self.hosts = *hosts as u64,
            ScanEvent::HostStarted { index, name } => {
                self.running.insert(*index, (name.clone(), now));
            }
            ScanEvent::HostFinished(host) => {
                self.running.remove(&host.index);
                self.done += 1;
                self.not_scanned += u64::from(host.outcome.status != Status::Scanned);
            }
            ScanEvent::Draining | ScanEvent::Aborting | ScanEvent::StillRunning => {}
        }
    }

    /// `3 running, 1 not scanned, slowest web07 12 s`.
    fn status(&self, now: Instant) -> String {
        let mut status = format!("{} running", number(self.running.len() as u64));
        if self.not_scanned > 0 {
            status.push_str(&format!(", {} not scanned", number(self.not_scanned)));
        }
        // The index makes the choice between hosts of one instant a stable one.
        if let Some((name, since)) = self.running.iter().min_by_key(|(index, (_, since))| (*since, **index)).map(|(_, host)| host)
        {
            let seconds = now.saturating_duration_since(*since).as_secs();
            if seconds > 0 {
                status.push_str(&format!(", slowest {} {}", fit(&escape(name, LONGEST_LINE), NAME_COLUMNS), duration(seconds)));
            }
        }
        status
    }
}

/// What the scan says of its own end.
fn ending(event: &ScanEvent) -> Option<&'static str> {
    match event {
        ScanEvent::Draining => Some("ending: no further host is started, running ones end (interrupt again to give them up)"),
        ScanEvent::Aborting => Some("aborting: running hosts are given up"),
        ScanEvent::Started { .. } | ScanEvent::HostStarted { .. } | ScanEvent::HostFinished(_) | ScanEvent::StillRunning => None,
    }
}

struct Bar {
    bar: ProgressBar,
    tally: Arc<Mutex<Tally>>,
}

/// A panic elsewhere leaves numbers behind that are still good enough to show.
fn lock(tally: &Mutex<Tally>) -> MutexGuard<'_, Tally> {
    tally.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Bar {
    fn new(target: ProgressDrawTarget) -> Self {
        let tally = Arc::new(Mutex::new(Tally::new()));
        let bar = ProgressBar::with_draw_target(Some(0), target);
        let shown = Arc::clone(&tally);
        // Computed when drawn, so that the seconds of a host that hangs go on while nothing else happens.
        let status = move |_: &ProgressState, out: &mut dyn std::fmt::Write| {
            let _ = out.write_str(&lock(&shown).status(Instant::now()));
        };
        if let Ok(style) = ProgressStyle::with_template(TEMPLATE) {
            // Nothing can be foretold before the first host is done.
            let pace = |state: &ProgressState, out: &mut dyn std::fmt::Write| {
                let _ = write!(out, "{:.1}/s", state.per_sec());
                if state.pos() > 0 {
                    let _ = write!(out, ", {} left", duration(state.eta().as_secs()));
                }
            };
            bar.set_style(style.with_key("status", status).with_key("pace", pace));
        }
        Self { bar, tally }
    }

    fn event(&mut self, event: &ScanEvent) {
        lock(&self.tally).event(event, Instant::now());
        match event {
            ScanEvent::Started { hosts, .. } => {
                self.bar.set_length(*hosts as u64);
                self.bar.enable_steady_tick(TICK);
            }
            ScanEvent::HostFinished(_) => self.bar.inc(1),
            ScanEvent::HostStarted { .. } | ScanEvent::StillRunning => {}
            ScanEvent::Draining | ScanEvent::Aborting => {
                if let Some(words) = ending(event) {
                    self.bar.println(words);
                }
            }
        }
    }
}

struct Lines<W> {
    out: W,
    tally: Tally,
    started: Instant,
    spoke: Instant,
    step: u64,
}

impl<W: Write> Lines<W> {
    fn new(out: W, now: Instant) -> Self {
        Self { out, tally: Tally::new(), started: now, spoke: now, step: 0 }
    }

    /// A standard error that was closed must not end the scan.
    fn line(&mut self, line: &str) {
        let _ = writeln!(self.out, "{line}");
    }

    fn event(&mut self, event: &ScanEvent, now: Instant) {
        self.tally.event(event, now);
        match event {
            ScanEvent::Started { hosts, checks } => {
                self.started = now;
                self.spoke = now;
                self.line(&format!("scanning {}, {}", counted(*hosts as u64, "host"), counted(*checks as u64, "check")));
            }
            ScanEvent::HostFinished(host) => {
                self.not_scanned(host);
                let step = (self.tally.done * STEPS).checked_div(self.tally.hosts).unwrap_or(0);
                if step > self.step {
                    self.step = step;
                    self.status(now);
                }
            }
            ScanEvent::HostStarted { .. } | ScanEvent::Draining | ScanEvent::Aborting | ScanEvent::StillRunning => {}
        }
        if let Some(words) = ending(event) {
            self.line(words);
        }
        self.tick(now);
    }

    fn tick(&mut self, now: Instant) {
        if now.saturating_duration_since(self.spoke) >= PAUSE {
            self.status(now);
        }
    }

    fn status(&mut self, now: Instant) {
        self.spoke = now;
        let elapsed = now.saturating_duration_since(self.started).as_secs();
        let line = format!(
            "{}/{} hosts after {}: {}",
            number(self.tally.done),
            number(self.tally.hosts),
            duration(elapsed),
            self.tally.status(now)
        );
        self.line(&line);
    }

    fn not_scanned(&mut self, host: &HostReport) {
        if host.outcome.status == Status::Scanned || self.tally.not_scanned > HOSTS_NAMED {
            return;
        }
        let outcome = &host.outcome;
        let line = format!("{}: {}: {}", escape(&host.name, LONGEST_LINE), outcome.reason, outcome.detail.text());
        self.line(fit(&line, LONGEST_LINE).trim_end_matches([':', ' ']));
        if self.tally.not_scanned == HOSTS_NAMED {
            self.line("further hosts that are not scanned are in the report only");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Outcome, Reason};

    fn finished(index: usize, outcome: Outcome) -> ScanEvent {
        ScanEvent::HostFinished(Arc::new(HostReport {
            index,
            name: format!("web{index}\x1b[2J"),
            address: String::new(),
            groups: Vec::new(),
            outcome,
            os: None,
            privilege: None,
            host_key: None,
            scanned_at: String::new(),
            duration_ms: 0,
            findings: Vec::new(),
        }))
    }

    fn started(index: usize) -> ScanEvent {
        ScanEvent::HostStarted { index, name: format!("web{index}\x1b[2J").into() }
    }

    fn shown(lines: &Lines<Vec<u8>>) -> Vec<&str> {
        std::str::from_utf8(&lines.out).unwrap().lines().collect()
    }

    #[test]
    fn lines_come_at_every_tenth_and_for_every_host_not_scanned() {
        let now = Instant::now();
        let mut lines = Lines::new(Vec::new(), now);
        lines.event(&ScanEvent::Started { hosts: 4, checks: 1 }, now);
        for index in 0..3 {
            lines.event(&started(index), now);
        }
        let later = now + Duration::from_secs(2);
        lines.event(&finished(1, Outcome::without_answers(Reason::AuthRefused, "no key\nwas accepted")), later);
        lines.event(&finished(0, Outcome::scanned()), later);
        lines.event(&ScanEvent::Draining, later);
        assert_eq!(
            shown(&lines),
            [
                "scanning 4 hosts, 1 check",
                "web1\\u{1b}[2J: auth_refused: no key\\nwas accepted",
                "1/4 hosts after 2 s: 2 running, 1 not scanned, slowest web0\\u{1b}[2J 2 s",
                "2/4 hosts after 2 s: 1 running, 1 not scanned, slowest web2\\u{1b}[2J 2 s",
                "ending: no further host is started, running ones end (interrupt again to give them up)",
            ]
        );
    }

    #[test]
    fn a_fleet_of_any_size_gives_a_bounded_number_of_lines() {
        let now = Instant::now();
        let mut lines = Lines::new(Vec::new(), now);
        lines.event(&ScanEvent::Started { hosts: 5_000, checks: 70 }, now);
        for index in 0..5_000 {
            lines.event(&started(index), now);
            lines.event(&finished(index, Outcome::without_answers(Reason::ConnectTimeout, "10 s")), now);
        }
        assert_eq!(shown(&lines).len(), 1 + 20 + 1 + 10);
    }

    #[test]
    fn a_scan_in_which_nothing_happens_still_says_that_it_is_alive() {
        let now = Instant::now();
        let mut lines = Lines::new(Vec::new(), now);
        lines.event(&ScanEvent::Started { hosts: 1, checks: 1 }, now);
        lines.event(&started(0), now);
        for second in 1..=25 {
            lines.tick(now + Duration::from_secs(second));
        }
        assert_eq!(
            shown(&lines)[1..],
            [
                "0/1 hosts after 10 s: 1 running, slowest web0\\u{1b}[2J 10 s",
                "0/1 hosts after 20 s: 1 running, slowest web0\\u{1b}[2J 20 s"
            ]
        );
    }

    #[test]
    fn the_template_of_the_bar_is_valid_and_the_bar_counts() {
        let mut bar = Bar::new(ProgressDrawTarget::hidden());
        bar.event(&ScanEvent::Started { hosts: 2, checks: 1 });
        bar.event(&started(0));
        bar.event(&finished(0, Outcome::scanned()));
        assert_eq!((bar.bar.position(), bar.bar.length()), (1, Some(2)));
        assert!(ProgressStyle::with_template(TEMPLATE).is_ok());
    }

    #[test]
    fn nothing_writes_nothing_and_a_closed_stream_is_no_error() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
        }
        for mut progress in [Progress::lines(Closed), Progress::nothing()] {
            progress.event(&ScanEvent::Started { hosts: 1, checks: 1 });
            progress.event(&ScanEvent::StillRunning);
            assert_eq!(progress.suspend(|| 7), 7);
            progress.finish();
        }
    }
}
