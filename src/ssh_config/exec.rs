//! `Match exec`: commands of the user's, each run once.

use std::collections::HashMap;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use super::Here;
use super::problem::Complaint;

/// How long a command may take. OpenSSH waits for ever, for one host; here thousands would wait.
const MOST_TIME: Duration = Duration::from_secs(30);

/// How a command ended.
type Ended = Result<bool, Complaint>;

/// The commands that were run, by their text.
#[derive(Debug, Default)]
pub(super) struct Commands(Mutex<HashMap<String, Arc<OnceLock<Ended>>>>);

impl Commands {
    /// Whether the command ends well. Those who ask for the same one at the same time wait for one run of it.
    pub(super) fn run(&self, command: &str, here: &Here) -> Ended {
        let run = || run(command, here, MOST_TIME);
        match self.0.lock().map(|mut known| Arc::clone(known.entry(command.to_owned()).or_default())) {
            Ok(cell) => cell.get_or_init(run).clone(),
            Err(_) => run(),
        }
    }
}

/// Runs a command in the user's shell, as ssh(1) does, with nothing to read and nothing shown.
fn run(command: &str, here: &Here, most: Duration) -> Ended {
    let shell = here.environment.get("SHELL").map_or("/bin/sh", String::as_str);
    let mut process = Command::new(shell);
    process.arg("-c").arg(command).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let failed = |error: std::io::Error| {
        Complaint::new(format!("`{shell} -c` could not run `{command}`: {error}")).hint("is SHELL a shell?")
    };
    let mut child = process.spawn().map_err(failed)?;
    match wait(&mut child, most).map_err(failed)? {
        Some(status) if status.code().is_some() => Ok(status.success()),
        Some(status) => Err(Complaint::new(format!("`{command}` was ended from outside: {status}"))),
        None => Err(Complaint::new(format!("`{command}` did not end within {} s", most.as_secs()))
            .hint("run it by hand and see what it waits for")),
    }
}

/// The end of a process, or its killing.
fn wait(child: &mut Child, most: Duration) -> std::io::Result<Option<ExitStatus>> {
    let deadline = Instant::now() + most;
    let mut pause = Duration::from_millis(1);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() > deadline {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_run_once_however_often_it_is_asked_for() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("runs");
        let command = format!("echo run >> '{}'", file.display());
        let commands = Commands::default();
        let here = Here::default();
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| assert_eq!(commands.run(&command, &here), Ok(true)));
            }
        });
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "run\n");
        assert_eq!(commands.run("exit 3", &here), Ok(false));
    }

    #[test]
    fn a_command_that_hangs_or_dies_is_an_error() {
        let here = Here::default();
        assert!(run("exec sleep 60", &here, Duration::from_millis(50)).unwrap_err().message.contains("did not end within"));
        assert!(run("kill -9 $$", &here, MOST_TIME).unwrap_err().message.contains("was ended from outside"));
        let lost = Here { environment: HashMap::from([("SHELL".to_owned(), "/no/such/shell".to_owned())]), ..Here::default() };
        assert!(run("true", &lost, MOST_TIME).unwrap_err().message.contains("could not run `true`"));
    }
}
