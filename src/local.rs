//! The same script on this machine, without SSH.

use std::process::{Command as Blocking, Stdio};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout_at};

use crate::command::{Conversation, Exchange, PASSWORD_LIMIT, PASSWORD_PAUSE, Reply, Stream};
use crate::model::{Failure, Reason};

/// How long the streams may stay open after the shell has ended.
const LINGER: Duration = Duration::from_secs(1);

/// The process group of a shell, killed as a whole unless the shell ended by itself. A step that runs under timeout(1) has a group of its own, and
/// ends at its own limit.
struct Group(Option<u32>);

impl Drop for Group {
    fn drop(&mut self) {
        let Some(leader) = self.0 else { return };
        // Killing a group takes a system call that std doesn't have; the shell has it built in. Until the shell is waited for, its number is not given away.
        let kill = format!("kill -KILL -- -{leader}");
        let _ = Blocking::new("/bin/sh")
            .args(["-c", &kill])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
    }
}

/// Runs the script on this machine, and answers it where it asks for the password. What it prints goes to `sink` as it comes; `false` from it ends everything.
///
/// `Ok` says that the shell ended, not that all answers came: only the frames in the output say that. Dropping the future kills the shell.
///
/// # Errors
/// [`Reason::NoShell`], [`Reason::HostTimeout`] or [`Reason::OutputLimit`]; what went to the sink before is still good.
pub async fn run(
    conversation: impl Into<Conversation<'_>>,
    limit: Duration,
    sink: &mut (impl FnMut(Stream, &[u8]) -> bool + Send),
) -> Result<(), Failure> {
    let conversation = conversation.into();
    let broken = |error: std::io::Error| Failure::new(Reason::NoShell, format!("could not run `/bin/sh`: {error}"));
    let mut child = Command::new("/bin/sh")
        .arg("-s")
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(broken)?;
    let mut group = Group(child.id());
    let (Some(mut input), Some(mut output), Some(mut errors)) = (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Err(Failure::new(Reason::InternalError, "the shell has no streams"));
    };
    // Beside the reading, or each side could wait for the other to take what it has.
    let exchange = &Exchange::new(conversation);
    let (ask, asked) = oneshot::channel();
    let feeding = async move {
        let _ = input.write_all(conversation.script.text().as_bytes()).await;
        if exchange.may_ask() && asked.await.is_ok() {
            let password = loop {
                match exchange.reply() {
                    Reply::Say(password) => break password,
                    Reply::Wait => sleep(PASSWORD_PAUSE).await,
                }
            };
            let _ = input.write_all(&password).await;
            sleep(PASSWORD_LIMIT).await;
        }
    };
    let mut ask = Some(ask);
    let reading = async {
        let end = Instant::now() + limit;
        let mut until = end;
        let (mut open, mut ended) = ([true, true], false);
        let (mut out, mut err) = (vec![0; 32 << 10], vec![0; 32 << 10]);
        while !ended || open != [false, false] {
            let (stream, bytes) = tokio::select! {
                read = timeout_at(until, piece(&mut output, &mut out)), if open[0] => (Stream::Stdout, read),
                read = timeout_at(until, piece(&mut errors, &mut err)), if open[1] => (Stream::Stderr, read),
                waited = timeout_at(until, child.wait()), if !ended => match waited {
                    Ok(_) => {
                        ended = true;
                        group.0 = None;
                        until = end.min(Instant::now() + LINGER);
                        continue;
                    }
                    Err(_) => return Err(too_slow(limit)),
                },
            };
            match bytes {
                Ok([]) => open[usize::from(stream == Stream::Stderr)] = false,
                Ok(bytes) => {
                    if stream == Stream::Stdout && exchange.may_ask() && exchange.hears(bytes) {
                        ask.take().map(|ask| ask.send(()));
                    }
                    if !sink(stream, bytes) {
                        return Err(Failure::new(Reason::OutputLimit, "this machine sent more than the limit"));
                    }
                }
                // Something that the script started outlives it and holds its streams: all answers are there.
                Err(_) if ended => break,
                Err(_) => return Err(too_slow(limit)),
            }
        }
        Ok(())
    };
    tokio::pin!(feeding);
    tokio::pin!(reading);
    tokio::select! {
        result = &mut reading => result,
        () = &mut feeding => reading.await,
    }
}

fn too_slow(limit: Duration) -> Failure {
    Failure::new(Reason::HostTimeout, format!("the script was still running after {} s", limit.as_secs_f32()))
}

/// The next piece of a stream; an empty one is its end.
async fn piece<'a>(stream: &mut (impl AsyncRead + Unpin), buffer: &'a mut [u8]) -> &'a [u8] {
    let length = stream.read(buffer).await.unwrap_or(0);
    buffer.get(..length).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::command::{Become, Program, ReadOnlyCommand, Rights, Script, Step};

    const NONCE: &str = "0123456789abcdef";

    fn cat(path: &str) -> Step {
        Step::new("cat", ReadOnlyCommand::new(Program::Cat, &[path], Rights::Any).expect("permitted"))
    }

    #[tokio::test]
    async fn the_script_runs_here_and_both_streams_come() {
        let script = Script::new(NONCE, &[cat("/proc/version")], Become::No);
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut sink = |stream, bytes: &[u8]| {
            if stream == Stream::Stdout {
                out.extend_from_slice(bytes)
            } else {
                err.extend_from_slice(bytes)
            }
            true
        };
        assert_eq!(run(&script, Duration::from_secs(60), &mut sink).await, Ok(()));
        let out = String::from_utf8(out).expect("text");
        assert!(out.contains("Linux version") && out.ends_with(&format!("@{NONCE} Z end\n")), "{out}");
        assert!(String::from_utf8(err).expect("text").ends_with(&format!("@{NONCE} Z end\n")));
    }

    #[tokio::test]
    async fn endless_output_ends_the_shell_and_what_it_started() {
        let script = Script::new(NONCE, &[cat("/dev/zero")], Become::No);
        let mut taken = 0;
        let mut sink = |_, bytes: &[u8]| {
            taken += bytes.len();
            taken < 1 << 20
        };
        let failure = run(&script, Duration::from_secs(60), &mut sink).await.expect_err("too much");
        assert_eq!(failure.reason, Reason::OutputLimit);
    }

    #[tokio::test]
    async fn a_script_that_hangs_is_killed_and_its_step_ends_by_itself() {
        let directory = tempfile::tempdir().expect("a directory");
        let pipe = directory.path().join("a-pipe-that-nobody-writes-to");
        let pipe = pipe.to_str().expect("a path");
        assert!(Blocking::new("mkfifo").arg(pipe).status().expect("mkfifo").success());
        let script = Script::new(NONCE, &[cat(pipe).within(Duration::from_secs(4)), cat(pipe)], Become::No);
        let failure = run(&script, Duration::from_secs(2), &mut |_, _: &[u8]| true).await.expect_err("too slow");
        assert_eq!((failure.reason, failure.detail.as_str()), (Reason::HostTimeout, "the script was still running after 2 s"));
        let is_running = || {
            std::fs::read_dir("/proc").expect("processes").flatten().any(|process| {
                let words = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
                String::from_utf8_lossy(&words).split('\0').any(|word| word == pipe)
            })
        };
        let end = Instant::now() + Duration::from_secs(9);
        while is_running() {
            assert!(Instant::now() < end, "the second step was begun");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}
