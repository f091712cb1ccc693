//! ssh-agents: what they hold, and how they sign.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use russh::keys::ssh_key::public::KeyData;
use russh::keys::{Algorithm, Certificate, HashAlg, PublicKey};
use tokio::net::UnixStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::keys::{Hand, Key};

/// Conversations with one agent at the same time: it answers one after the other anyway, and has few places to wait.
const SEATS: usize = 4;

/// How long an agent may take to list its keys.
const LIST: Duration = Duration::from_secs(5);

/// Requests in a row that an agent left unanswered before it is not asked any more: each of them is a host that waited for nothing.
const SILENCES: usize = SEATS;

/// An ssh-agent. It works through its requests one by one, so only few are put to it at once.
#[derive(Debug)]
pub(super) struct Agent {
    socket: PathBuf,
    seats: Semaphore,
    /// Requests in a row without an answer.
    silences: AtomicUsize,
}

/// Why an agent did not sign.
#[derive(Debug)]
pub(super) enum Unsigned {
    /// It said no, or something that is not an answer.
    Refused(String),
    /// It said nothing.
    Silent(String),
}

impl Agent {
    fn new(socket: &Path) -> Self {
        Self { socket: socket.to_owned(), seats: Semaphore::new(SEATS), silences: AtomicUsize::new(0) }
    }

    async fn connect(&self) -> Result<AgentClient<UnixStream>, russh::keys::Error> {
        AgentClient::connect_uds(&self.socket).await
    }

    /// What it holds.
    async fn identities(&self) -> Result<Vec<AgentIdentity>, russh::keys::Error> {
        self.connect().await?.request_identities().await
    }

    /// The data with a signature behind it. The limit begins when it is asked, not while it answers others.
    pub(super) async fn sign(
        &self,
        identity: &AgentIdentity,
        hash: Option<HashAlg>,
        data: Vec<u8>,
        limit: Duration,
    ) -> Result<Vec<u8>, Unsigned> {
        let socket = self.socket.display();
        let _seat = self.seats.acquire().await;
        if self.silences.load(Ordering::Relaxed) >= SILENCES {
            return Err(Unsigned::Silent(format!(
                "the ssh-agent at `{socket}` has not answered for a while and is not asked any more"
            )));
        }
        let signing = async { self.connect().await?.sign_request(identity, hash, data).await };
        match timeout(limit, signing).await {
            Ok(answer) => {
                self.silences.store(0, Ordering::Relaxed);
                answer.map_err(|error| Unsigned::Refused(explain(&error)))
            }
            Err(_) => {
                self.silences.fetch_add(1, Ordering::Relaxed);
                let waited = limit.as_secs_f32();
                Err(Unsigned::Silent(format!(
                    "the ssh-agent at `{socket}` did not sign in {waited} s: does it wait for a touch or a confirmation?"
                )))
            }
        }
    }
}

/// What one agent holds, listed once.
#[derive(Debug)]
pub(super) struct Held {
    agent: Arc<Agent>,
    pub(super) keys: Vec<Key>,
    /// Certificates, each with the key that it is about.
    pub(super) certificates: Vec<(Arc<Certificate>, Key)>,
    /// Why there are no more.
    pub(super) note: Option<String>,
}

impl Held {
    /// Lists an agent. One that can't be listed holds nothing, and says why.
    pub(super) async fn list(socket: &Path) -> Self {
        let agent = Arc::new(Agent::new(socket));
        let shown = socket.display();
        let mut held = Self { agent: Arc::clone(&agent), keys: Vec::new(), certificates: Vec::new(), note: None };
        match timeout(LIST, agent.identities()).await {
            Ok(Ok(identities)) => identities.into_iter().for_each(|identity| held.take(identity)),
            Ok(Err(error)) => {
                held.note = Some(format!("the ssh-agent at `{shown}` can't be asked: {}", explain(&error)));
                return held;
            }
            Err(_) => {
                held.note = Some(format!("the ssh-agent at `{shown}` doesn't answer"));
                return held;
            }
        }
        if held.keys.is_empty() && held.certificates.is_empty() {
            // A locked agent is not told apart: it answers as one that is empty.
            held.note = Some(format!("the ssh-agent at `{shown}` holds no keys, or is locked (`ssh-add -X` unlocks it)"));
        }
        held
    }

    fn take(&mut self, identity: AgentIdentity) {
        let hand = Hand::Agent(Arc::clone(&self.agent));
        match identity {
            // No server takes it any more, and an offer of it would count.
            AgentIdentity::PublicKey { key, .. } if key.algorithm() == Algorithm::Dsa => {}
            AgentIdentity::PublicKey { key, comment } => {
                let label = format!("`{comment}` of the agent ({})", key.algorithm());
                self.keys.push(Key { public: key, hand, label, is_certificate: false });
            }
            AgentIdentity::Certificate { certificate, comment } => {
                let label = format!("`{comment}` of the agent ({} certificate)", certificate.algorithm());
                let public = PublicKey::new(certificate.public_key().clone(), "");
                self.certificates.push((Arc::new(certificate), Key { public, hand, label, is_certificate: true }));
            }
        }
    }

    /// The key with this public half.
    pub(super) fn key(&self, public: &KeyData) -> Option<Key> {
        self.keys.iter().find(|key| key.public.key_data() == public).cloned()
    }
}

/// russh's words, where ours are plainer.
fn explain(error: &russh::keys::Error) -> String {
    match error {
        russh::keys::Error::AgentFailure => "it refused".to_owned(),
        russh::keys::Error::AgentProtocolError => "it does not speak the protocol of agents".to_owned(),
        russh::keys::Error::IO(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            "it closed the connection".to_owned()
        }
        other => other.to_string(),
    }
}
