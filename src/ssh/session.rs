//! One host, one connection, one channel, one script.

use std::pin::pin;
use std::time::Duration;

use russh::client::Msg;
use russh::{Channel, ChannelMsg, Disconnect};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::auth;
use super::connect::{self, Link};
use super::{Engine, Limits, Target, Witness};
use crate::command::{Conversation, Exchange, PASSWORD_LIMIT, PASSWORD_PAUSE, Reply, Stream};
use crate::model::{Failure, Reason};

/// What the login shell is asked to run: short, free of quoting, and the same in every shell (tried with sh, bash, csh, fish). The script comes on
/// standard input, so it is in no list of processes and as long as it likes.
const COMMAND: &str = "exec /bin/sh -s";

/// How long a host may be silent after its script ended before the channel is given up: something in the start-up files of the login shell
/// may hold it open for ever.
const LINGER: Duration = Duration::from_secs(1);

/// How long our goodbye may take.
const GOODBYE: Duration = Duration::from_secs(1);

/// A login on a host, good for one script.
pub struct Session {
    link: Link,
    limits: Limits,
}

impl Session {
    /// Reaches the host, makes sure that it is the one we know, and logs in.
    ///
    /// Dropping the future, at any point, closes the connection and frees all that belongs to it.
    ///
    /// # Errors
    /// The [`Failure`] of the phase that failed: everything from [`Reason::NameNotResolved`] to [`Reason::AuthTimeout`].
    pub async fn connect(target: &Target, engine: &Engine) -> Result<Self, Failure> {
        Self::connect_seen(target, engine, &Witness::default()).await
    }

    /// The same; the witness has the key that the host showed, whatever becomes of the connection.
    ///
    /// # Errors
    /// As [`Self::connect`].
    pub async fn connect_seen(target: &Target, engine: &Engine, witness: &Witness) -> Result<Self, Failure> {
        let link = connect::login(target, engine, witness).await?;
        Ok(Self { link, limits: engine.limits })
    }

    /// Runs the script, and answers it where it asks for the password. What it prints goes to `sink` as it comes; `false` from it ends everything.
    ///
    /// `Ok` says that the host ended the script in an orderly way, not that all answers came: only the frames in the output say that.
    ///
    /// # Errors
    /// [`Reason::SessionRefused`], [`Reason::NoShell`] and its kin, [`Reason::ShellTimeout`], [`Reason::ConnectionLost`], [`Reason::HostTimeout`] or [`Reason::OutputLimit`]; what went to the sink
    /// before is still good.
    pub async fn run(
        mut self,
        conversation: impl Into<Conversation<'_>>,
        sink: &mut (impl FnMut(Stream, &[u8]) -> bool + Send),
    ) -> Result<(), Failure> {
        let result = self.converse(conversation.into(), sink).await;
        if result.is_ok() {
            // Spares the host a line about a broken connection in its log.
            let _ = self.link.handle.disconnect(Disconnect::ByApplication, "", "").await;
            let _ = timeout(GOODBYE, &mut self.link.handle).await;
        }
        drop(self.link.lifeline);
        result
    }

    async fn converse(
        &self,
        conversation: Conversation<'_>,
        sink: &mut (impl FnMut(Stream, &[u8]) -> bool + Send),
    ) -> Result<(), Failure> {
        let script = conversation.script;
        let channel = self.open_channel().await?;
        channel.exec(true, COMMAND).await.map_err(|_| self.lost())?;
        let (mut output, input) = channel.split();
        // Beside the reading: a host that prints before it reads would otherwise wait for us while we wait for it.
        let exchange = Exchange::new(conversation);
        let (ask, asked) = oneshot::channel();
        let mut feeding = pin!(async {
            input.data_bytes(script.text().as_bytes().to_vec()).await?;
            if exchange.may_ask() && asked.await.is_ok() {
                let password = loop {
                    match exchange.reply() {
                        Reply::Say(password) => break password,
                        Reply::Wait => sleep(PASSWORD_PAUSE).await,
                    }
                };
                input.data_bytes(password).await?;
                sleep(PASSWORD_LIMIT).await;
            }
            input.eof().await
        });
        let mut ask = Some(ask);
        let mut fed = false;
        let began = Instant::now();
        let end = began + self.limits.run;
        let mut until = end.min(began + self.limits.first_output);
        let mut shell = Shell::new(script.nonce());
        loop {
            let message = tokio::select! {
                // If it fails, the connection is gone, and the reading tells why.
                _ = &mut feeding, if !fed => {
                    fed = true;
                    continue;
                }
                message = timeout_at(until, output.wait()) => message,
            };
            match message {
                Ok(Some(ChannelMsg::Data { data })) => {
                    shell.printed(&data);
                    if exchange.may_ask() && exchange.hears(&data) {
                        ask.take().map(|ask| ask.send(()));
                    }
                    if !sink(Stream::Stdout, &data) {
                        return Err(Failure::new(Reason::OutputLimit, "the host sent more than the limit"));
                    }
                }
                Ok(Some(ChannelMsg::ExtendedData { data, ext: 1 })) => {
                    shell.printed(&data);
                    if !sink(Stream::Stderr, &data) {
                        return Err(Failure::new(Reason::OutputLimit, "the host sent more than the limit"));
                    }
                }
                Ok(Some(ChannelMsg::Failure)) => {
                    return Err(Failure::new(Reason::SessionRefused, "the host runs no command for this login"));
                }
                Ok(Some(ChannelMsg::ExitStatus { exit_status })) => {
                    shell.succeeded = exit_status == 0;
                    shell.ended = Some(format!("it exited with {exit_status}"));
                }
                Ok(Some(ChannelMsg::ExitSignal { signal_name, .. })) => {
                    shell.killed = true;
                    shell.ended = Some(format!("it was ended by the signal {signal_name:?}"));
                }
                Ok(Some(_)) => {}
                Ok(None) if shell.ended.is_none() && self.link.handle.is_closed() => return Err(self.lost()),
                Ok(None) => return shell.verdict(),
                Err(_) if shell.ended.is_some() => return shell.verdict(),
                Err(_) => return Err(self.too_slow(&shell)),
            }
            until = match (&shell.ended, shell.is_silent()) {
                (Some(_), _) => end.min(Instant::now() + LINGER),
                (None, true) => until,
                (None, false) => end,
            };
        }
    }

    async fn open_channel(&self) -> Result<Channel<Msg>, Failure> {
        let refused = |detail: String| Failure::new(Reason::SessionRefused, detail);
        match timeout(self.limits.session, self.link.handle.channel_open_session()).await {
            Ok(Ok(channel)) => Ok(channel),
            Ok(Err(russh::Error::ChannelOpenFailure(why))) => {
                Err(refused(format!("the host opens no session: {}", why.description().to_lowercase())))
            }
            Ok(Err(_)) => Err(self.lost()),
            Err(_) => Err(refused(format!("the host opened no session in {} s", self.limits.session.as_secs_f32()))),
        }
    }

    fn lost(&self) -> Failure {
        Failure::new(Reason::ConnectionLost, format!("the connection was lost: {}", self.link.lost.cause()))
    }

    fn too_slow(&self, shell: &Shell<'_>) -> Failure {
        let (reason, what, limit) = match shell.is_silent() {
            true => (Reason::ShellTimeout, "printed nothing", self.limits.first_output.min(self.limits.run)),
            false => (Reason::HostTimeout, "was still running", self.limits.run),
        };
        Failure::new(reason, format!("the script {what} after {} s", limit.as_secs_f32()))
    }
}

/// What is known of the shell at the other end.
struct Shell<'a> {
    /// What its first mark will contain.
    nonce: &'a [u8],
    /// Whether the script has begun.
    began: bool,
    /// The end of what it printed so far, while the script has not begun.
    tail: Vec<u8>,
    /// The beginning of what it printed.
    head: Vec<u8>,
    /// How it ended.
    ended: Option<String>,
    /// Whether it was killed.
    killed: bool,
    /// Whether it said that all was well.
    succeeded: bool,
}

impl<'a> Shell<'a> {
    fn new(nonce: &'a str) -> Self {
        Self {
            nonce: nonce.as_bytes(),
            began: false,
            tail: Vec::new(),
            head: Vec::new(),
            ended: None,
            killed: false,
            succeeded: false,
        }
    }

    fn is_silent(&self) -> bool {
        self.head.is_empty() && !self.began
    }

    /// Looks for the first mark of the script, also where it comes in two pieces.
    fn printed(&mut self, bytes: &[u8]) {
        if self.began {
            return;
        }
        self.head.extend(bytes.iter().take(200_usize.saturating_sub(self.head.len())));
        self.tail.extend_from_slice(bytes);
        self.began = self.tail.windows(self.nonce.len()).any(|window| window == self.nonce);
        let keep = self.nonce.len().saturating_sub(1);
        self.tail.drain(..self.tail.len().saturating_sub(keep));
    }

    /// Why the script did not run, as far as what came instead tells.
    fn why_not(&self) -> Reason {
        let head = String::from_utf8_lossy(&self.head);
        if auth::password_expired(&head).is_some() {
            Reason::PasswordExpired
        } else if head.contains("restricted") {
            // What bash, ksh and zsh say when they are called by a name with `r` in front.
            Reason::RestrictedShell
        } else if self.succeeded {
            // nologin, false and what takes their place fail; a command that the server runs instead of ours mostly does not.
            Reason::ForcedCommand
        } else {
            Reason::NoShell
        }
    }

    /// Whether the end was that of our script.
    fn verdict(self) -> Result<(), Failure> {
        let ended = self.ended.as_deref().unwrap_or("it said nothing about its end");
        if !self.began {
            let head = String::from_utf8_lossy(&self.head);
            let said = head.lines().map(str::trim).find(|line| !line.is_empty());
            let said = said.map(|line| format!("; it printed `{line}`")).unwrap_or_default();
            return Err(Failure::new(self.why_not(), format!("the login shell did not run the script: {ended}{said}")));
        }
        if self.killed {
            return Err(Failure::new(Reason::ConnectionLost, format!("the script did not reach its end: {ended}")));
        }
        Ok(())
    }
}
