//! Passwords: that of the whole scan, that of one host, or what a program says.

use std::collections::HashMap;
use std::os::unix::process::ExitStatusExt;
use std::pin::pin;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};
use tokio::sync::{OnceCell, Semaphore};
use tokio::time::timeout;

use crate::model::Secret;
use crate::ssh::Target;

/// How long a program may take to say a password.
const LIMIT: Duration = Duration::from_secs(30);

/// Programs at the same time: a vault is asked for every host of the fleet.
const SEATS: usize = 8;

/// How long its streams may stay open after it has ended.
const LINGER: Duration = Duration::from_secs(1);

/// What is read of a program: a password is one line.
const LONGEST: u64 = 64 << 10;

/// Where passwords come from, where a host has none of its own ([`super::Login::password`]).
#[derive(Debug, Clone, Default)]
pub struct Passwords {
    all: Option<Secret>,
    program: Option<Arc<Program>>,
}

/// A program that is asked for the password of each host.
#[derive(Debug)]
struct Program {
    command: String,
    limit: Duration,
    seats: Semaphore,
    /// By host and user.
    said: Mutex<HashMap<(String, String), Answer>>,
}

/// What a program said of a login: asked once, whoever wants to know.
type Answer = Arc<OnceCell<Result<Secret, String>>>;

impl Passwords {
    /// No passwords.
    pub fn none() -> Self {
        Self::default()
    }

    /// One password for all hosts.
    pub fn all(password: Secret) -> Self {
        Self { all: Some(password), program: None }
    }

    /// What `/bin/sh -c COMMAND` prints for each host.
    ///
    /// It is told of the host by FLEETSCAN_HOST (its name in the inventory), FLEETSCAN_USER, FLEETSCAN_ADDRESS and FLEETSCAN_PORT, and its first line is the
    /// password. It has 30 seconds, eight run at a time, and each host and user is asked for once in a scan.
    pub fn by_command(command: impl Into<String>) -> Self {
        let (seats, said) = (Semaphore::new(SEATS), Mutex::default());
        Self { all: None, program: Some(Arc::new(Program { command: command.into(), limit: LIMIT, seats, said })) }
    }

    /// Whether there is, or may be, a password for a login.
    pub(super) fn any_for(&self, own: Option<&Secret>) -> bool {
        own.is_some() || self.program.is_some() || self.all.is_some()
    }

    /// The password of a login; an error where the program has none.
    pub(super) async fn of(&self, target: &Target) -> Option<Result<Secret, String>> {
        if let Some(own) = target.login.password.as_ref() {
            return Some(Ok(own.clone()));
        }
        match &self.program {
            Some(program) => Some(program.password(target).await),
            None => self.all.clone().map(Ok),
        }
    }
}

impl Program {
    async fn password(&self, target: &Target) -> Result<Secret, String> {
        let host = target.login.host.as_ref().unwrap_or(&target.address);
        let key = (host.clone(), target.user.clone());
        let answer = Arc::clone(self.said.lock().unwrap_or_else(PoisonError::into_inner).entry(key).or_default());
        answer.get_or_init(|| self.ask(host, target)).await.clone()
    }

    async fn ask(&self, host: &str, target: &Target) -> Result<Secret, String> {
        let _seat = self.seats.acquire().await;
        let child = Command::new("/bin/sh")
            .arg("-c")
            .arg(&self.command)
            .env("FLEETSCAN_HOST", host)
            .env("FLEETSCAN_USER", &target.user)
            .env("FLEETSCAN_ADDRESS", &target.address)
            .env("FLEETSCAN_PORT", target.port.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A group of its own: Ctrl-C is for us, and what the shell starts ends with it.
            .process_group(0)
            .kill_on_drop(true)
            .spawn();
        let running = Running(child.map_err(|error| format!("the password command could not be started: {error}"))?);
        let waited = self.limit.as_secs_f32();
        timeout(self.limit, running.answer())
            .await
            .unwrap_or_else(|_| Err(format!("the password command for `{host}` did not end in {waited} s")))
    }
}

/// A running program. What of it still runs when this is dropped is killed, with all that it started.
struct Running(Child);

impl Running {
    async fn answer(mut self) -> Result<Secret, String> {
        let (mut said, mut complaint) = (Vec::new(), Vec::new());
        let status = {
            let streams = (self.0.stdout.take(), self.0.stderr.take());
            let mut reading = pin!(futures::future::join(read(streams.0, &mut said), read(streams.1, &mut complaint)));
            let status = tokio::select! {
                status = self.0.wait() => {
                    // What it leaves running may hold its streams for ever.
                    let _ = timeout(LINGER, reading).await;
                    status
                }
                _ = &mut reading => self.0.wait().await,
            };
            status.map_err(|error| format!("the password command was lost: {error}"))?
        };
        let (said, complaint) = (secret(said), secret(complaint));
        if !status.success() {
            let how = match (status.code(), status.signal()) {
                (Some(code), _) => format!("exit status {code}"),
                (None, signal) => format!("signal {}", signal.unwrap_or_default()),
            };
            // Never what it printed on standard output: that may be the password all the same.
            let first = complaint.reveal().lines().map(str::trim).find(|line| !line.is_empty());
            let first = first.map(|line| format!(": {}", super::prompts::shown(line))).unwrap_or_default();
            return Err(format!("the password command failed ({how}){first}"));
        }
        match said.reveal().lines().next() {
            Some(line) if !line.is_empty() => Ok(Secret::new(line)),
            _ => Err("the password command printed no password".to_owned()),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Its number is still its own: it has not been waited for, or this is `None`.
        if let Some(leader) = self.0.id().and_then(|id| i32::try_from(id).ok()) {
            let _ = killpg(Pid::from_raw(leader), Signal::SIGKILL);
        }
    }
}

/// Reads a stream to its end and keeps its beginning. One that breaks off ends.
async fn read(stream: Option<impl AsyncRead + Unpin>, kept: &mut Vec<u8>) {
    let Some(mut stream) = stream else { return };
    let _ = (&mut stream).take(LONGEST).read_to_end(kept).await;
    let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
}

fn secret(bytes: Vec<u8>) -> Secret {
    Secret::new(String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn program(command: &str, limit: Duration) -> Passwords {
        let mut passwords = Passwords::by_command(command);
        if let Some(program) = passwords.program.as_mut().and_then(Arc::get_mut) {
            program.limit = limit;
        }
        passwords
    }

    fn target() -> Target {
        let mut target = Target::new("192.0.2.7", 2222, "alice");
        target.login.host = Some("db1".to_owned());
        target
    }

    async fn asked(command: &str) -> Result<String, String> {
        let passwords = program(command, Duration::from_secs(20));
        let answer = passwords.of(&target()).await.expect("a program");
        answer.map(|secret| secret.reveal().to_owned())
    }

    #[tokio::test]
    async fn a_program_is_told_of_the_host_and_its_first_line_is_the_password() {
        let command = r#"echo "$FLEETSCAN_HOST $FLEETSCAN_USER $FLEETSCAN_ADDRESS $FLEETSCAN_PORT"; echo more; echo noise >&2"#;
        assert_eq!(asked(command).await, Ok("db1 alice 192.0.2.7 2222".to_owned()));
        assert_eq!(asked("printf ' two words '").await, Ok(" two words ".to_owned()));
    }

    #[tokio::test]
    async fn a_program_that_fails_is_told_by_its_first_complaint_and_never_by_its_output() {
        let failed = asked("echo hunter2; echo >&2; echo 'permission denied: db1' >&2; echo more >&2; exit 3").await;
        assert_eq!(failed, Err("the password command failed (exit status 3): permission denied: db1".to_owned()));
        assert_eq!(asked("echo hunter2; kill -9 $$").await, Err("the password command failed (signal 9)".to_owned()));
        assert_eq!(asked("true").await, Err("the password command printed no password".to_owned()));
        assert_eq!(asked("echo; echo hunter2").await, Err("the password command printed no password".to_owned()));
        assert_eq!(asked("yes | head -c 1000000").await, Ok("y".to_owned()));
        assert_eq!(asked("sleep 5 & echo hunter2").await, Ok("hunter2".to_owned()));
    }

    #[tokio::test]
    async fn a_program_that_hangs_is_ended_with_all_that_it_started() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("pid");
        let command = format!("sleep 600 & echo $! > '{}'; wait", file.display());
        let passwords = program(&command, Duration::from_secs(2));
        let failed = passwords.of(&target()).await.expect("a program").expect_err("it hangs");
        assert_eq!(failed, "the password command for `db1` did not end in 2 s");
        let pid = std::fs::read_to_string(&file).expect("a number").trim().to_owned();
        let end = Instant::now() + Duration::from_secs(10);
        // A killed process that nobody has waited for yet is a zombie.
        let runs = || std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "));
        while runs() {
            assert!(Instant::now() < end, "`sleep` still runs");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    #[tokio::test]
    async fn each_login_is_asked_for_once() {
        let directory = tempfile::tempdir().expect("a directory");
        let log = directory.path().join("log");
        let passwords = program(&format!("echo x >> '{}'; echo hunter2", log.display()), Duration::from_secs(20));
        let other = Target { user: "bob".to_owned(), ..target() };
        let target = target();
        let mut asking: Vec<_> = (0..20).map(|_| passwords.of(&target)).collect();
        asking.push(passwords.of(&other));
        for answer in futures::future::join_all(asking).await {
            assert_eq!(answer, Some(Ok(Secret::new("hunter2"))));
        }
        assert_eq!(std::fs::read_to_string(&log).expect("a log").lines().count(), 2);
    }

    #[tokio::test]
    async fn a_host_of_its_own_password_needs_no_other() {
        let mut target = target();
        target.login.password = Some(Secret::new("own"));
        for passwords in [Passwords::none(), Passwords::all(Secret::new("all")), Passwords::by_command("exit 1")] {
            assert_eq!(passwords.of(&target).await, Some(Ok(Secret::new("own"))));
        }
        target.login.password = None;
        assert_eq!(Passwords::all(Secret::new("all")).of(&target).await, Some(Ok(Secret::new("all"))));
        assert_eq!(Passwords::none().of(&target).await, None);
    }

    #[test]
    fn passwords_are_not_printed() {
        let shown = format!("{:?}", Passwords::all(Secret::new("hunter2")));
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
