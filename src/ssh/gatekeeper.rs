//! Our side of a connection: which hosts are let in, and why a connection ended.

use std::io;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use russh::client::{ChannelOpenHandle, DisconnectReason, Handler, Msg};
use russh::keys::PublicKeyOrCertificate;
use russh::{Channel, ChannelId, ChannelOpenFailure, Disconnect};

use super::jump::Refusals;
use super::known_hosts::{HostKey, Known, KnownKey, fingerprint};
use crate::model::{Failure, Reason};

/// What of a banner is kept. PAM's messages come in banners, after the one that greets everybody.
const BANNER: usize = 2000;

/// Why a connection ended after the key exchange, told by russh's task once it has.
#[derive(Debug, Clone, Default)]
pub(super) struct Lost(Arc<Said>);

/// What the other end said that is no answer to anything.
#[derive(Debug, Default)]
struct Said {
    end: OnceLock<(String, bool)>,
    banner: Mutex<String>,
}

impl Lost {
    /// The cause in words.
    pub(super) fn cause(&self) -> &str {
        self.0.end.get().map_or("closed by the host", |(cause, _)| cause)
    }

    /// Whether the host left because it accepts no (more) keys.
    pub(super) fn is_refusal(&self) -> bool {
        self.0.end.get().is_some_and(|(_, refusal)| *refusal)
    }

    /// What the host said last during the login, unasked.
    pub(super) fn banner(&self) -> String {
        self.0.banner.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, reason: &DisconnectReason<Broken>) {
        let _ = self.0.end.set(match reason {
            DisconnectReason::Error(Broken::Protocol(russh::Error::NoAuthMethod)) => {
                ("the host takes nothing else".to_owned(), true)
            }
            DisconnectReason::ReceivedDisconnect(said) => {
                // OpenSSH says "Too many authentication failures" with the code for a protocol error.
                let refusal = said.message.contains("authentication failures")
                    || matches!(said.reason_code, Disconnect::NoMoreAuthMethodsAvailable);
                (format!("the host said `{}`", said.message.trim()), refusal)
            }
            DisconnectReason::Error(Broken::Protocol(error)) => (explain(error), false),
            DisconnectReason::Error(Broken::HostKey(failure)) => (failure.detail.clone(), false),
        });
    }
}

/// russh's words, where ours are plainer.
pub(super) fn explain(error: &russh::Error) -> String {
    match error {
        russh::Error::Disconnect | russh::Error::HUP => "closed by the host".to_owned(),
        russh::Error::KeepaliveTimeout => "the host stopped answering".to_owned(),
        russh::Error::InactivityTimeout => "nothing was heard for too long".to_owned(),
        russh::Error::IO(error) if error.kind() == io::ErrorKind::UnexpectedEof => "closed by the host".to_owned(),
        russh::Error::IO(error) if error.kind() == io::ErrorKind::ConnectionReset => "reset by the host".to_owned(),
        russh::Error::NoCommonAlgo { kind, ours, theirs } => {
            let kind = format!("{kind:?}").to_lowercase();
            format!("no common {kind} algorithm: the host offers {}; fleetscan takes {}", theirs.join(","), ours.join(","))
        }
        other => other.to_string(),
    }
}

/// How a key exchange fails.
#[derive(Debug)]
pub(super) enum Broken {
    Protocol(russh::Error),
    HostKey(Failure),
}

impl From<russh::Error> for Broken {
    fn from(error: russh::Error) -> Self {
        Self::Protocol(error)
    }
}

/// Our side of a connection: lets in the host we know, and opens no channel that it asks for.
pub(super) struct Gatekeeper {
    known: Known,
    lost: Lost,
    refusals: Refusals,
}

impl Gatekeeper {
    pub(super) fn new(known: Known, lost: Lost, refusals: Refusals) -> Self {
        Self { known, lost, refusals }
    }
}

macro_rules! refuse_channels {
    ($($name:ident($($argument:ident: $kind:ty),*);)+) => {
        $(async fn $name(&mut self, _: Channel<Msg>, $($argument: $kind,)* _: ChannelOpenHandle, _: &mut russh::client::Session) -> Result<(), Broken> {
            Ok(())
        })+
    };
}

impl Handler for Gatekeeper {
    type Error = Broken;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, Broken> {
        let key = shown.public_key();
        let blob = key.to_bytes().map_err(|error| Broken::Protocol(error.into()))?;
        match judge(&self.known, key.algorithm().as_str(), &blob) {
            None => Ok(true),
            Some(failure) => Err(Broken::HostKey(failure)),
        }
    }

    async fn auth_banner(&mut self, banner: &str, _: &mut russh::client::Session) -> Result<(), Broken> {
        let kept = banner.chars().take(BANNER).collect();
        *self.lost.0.banner.lock().unwrap_or_else(PoisonError::into_inner) = kept;
        Ok(())
    }

    async fn channel_open_failure(
        &mut self,
        channel: ChannelId,
        _: ChannelOpenFailure,
        words: &str,
        _: &str,
        _: &mut russh::client::Session,
    ) -> Result<(), Broken> {
        self.refusals.add(channel.into(), words);
        Ok(())
    }

    async fn disconnected(&mut self, reason: DisconnectReason<Broken>) -> Result<(), Broken> {
        self.lost.set(&reason);
        Ok(())
    }

    // A request is refused when its handle is dropped; russh's own handler would accept them all.
    refuse_channels! {
        server_channel_open_session();
        server_channel_open_agent_forward();
        server_channel_open_unknown();
        server_channel_open_x11(_address: &str, _port: u32);
        server_channel_open_direct_tcpip(_host: &str, _port: u32, _from: &str, _from_port: u32);
        server_channel_open_direct_streamlocal(_path: &str);
        server_channel_open_forwarded_tcpip(_host: &str, _port: u32, _from: &str, _from_port: u32);
        server_channel_open_forwarded_streamlocal(_path: &str);
    }
}

/// What speaks against the key that a host shows; `None` when it is known.
fn judge(known: &Known, algorithm: &str, blob: &[u8]) -> Option<Failure> {
    let name = &known.name;
    let shown = format!("{algorithm} {}", fingerprint(blob));
    let place = |key: &KnownKey| format!("`{}:{}`", key.path.display(), key.line);
    match known.verify(blob) {
        HostKey::Known => None,
        HostKey::Unknown if known.by_authority => Some(Failure::new(
            Reason::HostKeyUnknown,
            format!(
                "`{name}` shows {shown}; known_hosts names a certificate authority for it, and host certificates are not supported"
            ),
        )),
        HostKey::Unknown => Some(Failure::new(
            Reason::HostKeyUnknown,
            format!(
                "no key is known for `{name}`; it shows {shown}; if that is right: `{} >> ~/.ssh/known_hosts`",
                keyscan(name)
            ),
        )),
        HostKey::Changed(key) => Some(Failure::new(
            Reason::HostKeyChanged,
            format!(
                "`{name}` shows {shown}, but {} says {} {}; if the host was set up anew: `ssh-keygen -R '{name}' -f {}`, then `{} >> {3}`",
                place(&key),
                key.algorithm,
                key.fingerprint(),
                key.path.display(),
                keyscan(name),
            ),
        )),
        HostKey::Revoked(key) => {
            Some(Failure::new(Reason::HostKeyRevoked, format!("`{name}` shows {shown}, which {} revokes", place(&key))))
        }
    }
}

/// The command that asks a host for its keys, from the name of a lookup.
fn keyscan(name: &str) -> String {
    match name.strip_prefix('[').and_then(|rest| rest.rsplit_once("]:")) {
        Some((host, port)) => format!("ssh-keyscan -p {port} {host}"),
        None => format!("ssh-keyscan {name}"),
    }
}
