//! Our side of a connection: which hosts are let in, and why a connection ended.

use std::io;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use russh::client::{ChannelOpenHandle, DisconnectReason, Handler, Msg};
use russh::keys::{Certificate, PublicKeyOrCertificate};
use russh::{Channel, ChannelId, ChannelOpenFailure, Disconnect};

use super::host_keys::{Decision, Expected};
use super::jump::Refusals;
use super::known::{Shown, Standing};
use super::known_hosts::{fingerprint, plain_name};
use super::witness::{FullKey, Witness};
use crate::model::{Failure, KeyTrust, Reason, ShownKey};

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
    expected: Expected,
    witness: Witness,
    lost: Lost,
    refusals: Refusals,
}

impl Gatekeeper {
    pub(super) fn new(expected: Expected, witness: Witness, lost: Lost, refusals: Refusals) -> Self {
        Self { expected, witness, lost, refusals }
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
        let (key, certificate) = (shown.public_key(), shown.certificate());
        let blob = key.to_bytes().map_err(|error| Broken::Protocol(error.into()))?;
        let algorithm = plain_name(&key.algorithm());
        let (standing, decision) = self.expected.judge(algorithm, Shown { algorithm, blob: &blob, certificate }, key.key_data());
        let fingerprint = fingerprint(&blob);
        let words = format!("{algorithm} {fingerprint}");
        let how = trust(&standing, &decision);
        let refused = !matches!(decision, Decision::LetIn | Decision::Accepted);
        let failure = refused.then(|| refusal(&self.expected, &standing, &decision, &words, certificate));
        let key = ShownKey { algorithm: algorithm.to_owned(), fingerprint, how, machine: String::new() };
        self.witness.saw(key, FullKey { algorithm, blob, standing });
        failure.map_or(Ok(true), |failure| Err(Broken::HostKey(failure)))
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

/// Why a host is not let in.
fn refusal(
    expected: &Expected,
    standing: &Standing,
    decision: &Decision,
    shown: &str,
    certificate: Option<&Certificate>,
) -> Failure {
    let name = expected.name();
    let shows = match certificate {
        Some(certificate) => format!(
            "`{name}` shows a certificate (key ID `{}`, serial {}) for {shown}",
            certificate.key_id(),
            certificate.serial()
        ),
        None => format!("`{name}` shows {shown}"),
    };
    match standing {
        Standing::Changed(key, fault) => {
            let fault = fault.as_ref().map(|fault| format!("; of the certificate: {fault}")).unwrap_or_default();
            let known = format!("{} {}", key.algorithm, key.fingerprint());
            let detail = match key.line {
                0 => format!("{shows}, but another host of this name showed {known} in this scan{fault}"),
                _ => format!(
                    "{shows}, but `{}` says {known}{fault}; if the host was set up anew: `ssh-keygen -R '{name}' -f {}`, then {}",
                    key.place(),
                    key.path.display(),
                    expected.ask_yourself(Some(&key.path)),
                ),
            };
            Failure::new(Reason::HostKeyChanged, detail)
        }
        Standing::Revoked(place) => Failure::new(Reason::HostKeyRevoked, format!("{shows}, which `{place}` revokes")),
        Standing::TooShort(fault) => Failure::new(Reason::HostKeyTooShort, format!("{shows}, which is too short: {fault}")),
        Standing::Uncertified { fault, .. } => {
            Failure::new(Reason::HostCertificateInvalid, format!("{shows}, which does not hold: {fault}"))
        }
        Standing::Unknown | Standing::Known(_) | Standing::Certified(_) => {
            let next = match decision {
                Decision::Recorded(path) => format!("it was written to `{}`, for you to verify", path.display()),
                _ => format!("if that is right: {}", expected.ask_yourself(None)),
            };
            Failure::new(Reason::HostKeyUnknown, format!("no key is known for `{name}`; it shows {shown}; {next}"))
        }
    }
}

/// What a key was worth, in the words of reports.
pub(super) fn trust(standing: &Standing, decision: &Decision) -> KeyTrust {
    match (standing, decision) {
        (_, Decision::Accepted) => KeyTrust::AcceptedNew,
        // Accepted a moment ago, for another name of the host: which of them came first says nothing.
        (Standing::Known(key), _) if key.line == 0 => KeyTrust::AcceptedNew,
        (Standing::Known(_), _) => KeyTrust::Known,
        (Standing::Certified(_), _) => KeyTrust::Certificate,
        (Standing::Unknown, _) => KeyTrust::Unknown,
        (Standing::Changed(..), _) => KeyTrust::Changed,
        (Standing::Revoked(_), _) => KeyTrust::Revoked,
        (Standing::TooShort(_), _) => KeyTrust::TooShort,
        (Standing::Uncertified { .. }, _) => KeyTrust::CertificateInvalid,
    }
}
