//! ProxyCommand: SSH over the standard streams of a program that runs here.

use std::io;
use std::pin::Pin;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::model::{Failure, Reason};

/// How much of what the program says on standard error is kept.
const SAID: usize = 2048;

/// How long a program that has closed its output may take to say why.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// What a program said on standard error, and how it ended.
#[derive(Debug, Clone, Default)]
pub(super) struct Said(Arc<Mutex<Vec<u8>>>);

impl Said {
    fn add(&self, bytes: &[u8]) {
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let room = SAID.saturating_sub(said.len()).min(bytes.len());
        said.extend(bytes.iter().take(room));
    }

    /// Its last line.
    fn last_line(&self) -> String {
        let said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let text = String::from_utf8_lossy(&said);
        text.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or_default().to_owned()
    }
}

/// The streams of the program; it is killed when this is dropped.
pub(super) struct Proxy {
    input: ChildStdin,
    output: ChildStdout,
    _child: Child,
}

/// Starts the program, as `ssh` does: by the shell, which it takes the place of.
///
/// # Errors
/// [`Reason::ProxyFailed`] when it can't be started.
pub(super) fn start(command: &str) -> Result<(Proxy, Said), Failure> {
    let broken =
        |what: String| Failure::new(Reason::ProxyFailed, format!("the ProxyCommand `{command}` could not be started: {what}"));
    let mut child = Command::new("/bin/sh")
        .args(["-c", &format!("exec {command}")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // So that Ctrl-C on our terminal is ours to handle.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| broken(error.to_string()))?;
    let (Some(input), Some(output), Some(mut errors)) = (child.stdin.take(), child.stdout.take(), child.stderr.take()) else {
        return Err(broken("it has no streams".to_owned()));
    };
    let said = Said::default();
    let keep = said.clone();
    // Ends with the program, and takes all it says, or it would stop when nobody does.
    tokio::spawn(async move {
        let mut buffer = [0; 1024];
        while let Ok(length @ 1..) = errors.read(&mut buffer).await {
            keep.add(buffer.get(..length).unwrap_or_default());
        }
    });
    Ok((Proxy { input, output, _child: child }, said))
}

/// A connection that ended before it was one, told as the fault of its program where that said something.
pub(super) async fn explained(failure: Failure, command: &str, said: &Said) -> Failure {
    if !matches!(failure.reason, Reason::ConnectionReset | Reason::NotSsh | Reason::BannerTimeout) {
        return failure;
    }
    let mut line = said.last_line();
    if line.is_empty() {
        tokio::time::sleep(LAST_WORDS).await;
        line = said.last_line();
    }
    let says = if line.is_empty() { failure.detail } else { format!("it says `{line}`") };
    Failure::new(Reason::ProxyFailed, format!("the ProxyCommand `{command}` brought no connection: {says}"))
}

impl AsyncRead for Proxy {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.output).poll_read(context, buffer)
    }
}

impl AsyncWrite for Proxy {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.input).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.input).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.input).poll_shutdown(context)
    }
}
