//! Which keys are offered to a host. Everything is read once, before the first host is dialled, and shared by all.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use russh::client::{AuthResult, Handle};
use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use russh::keys::ssh_key::public::KeyData;
use russh::keys::{Algorithm, HashAlg, PrivateKey, PrivateKeyWithHashAlg, PublicKey};
use russh::{AgentAuthError, MethodSet};
use tokio::net::UnixStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::Target;
use super::gatekeeper::{Gatekeeper, Lost};
use crate::model::{Failure, Reason};

/// Keys offered to one host. A server hangs up after `MaxAuthTries` (6) and, since OpenSSH 9.8, shuts out an address that fails often.
const OFFERS: usize = 4;

/// Conversations with the agent at the same time: it answers one after the other anyway, and has few places to wait.
const AGENT_SEATS: usize = 4;

/// How long the agent may take to list its keys.
const AGENT_LIST: Duration = Duration::from_secs(5);

/// The key files that OpenSSH looks for below `~/.ssh`, those that we can use.
const USUAL_FILES: [&str; 3] = ["id_ed25519", "id_ecdsa", "id_rsa"];

/// A private key that was named and can't be used.
#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
    /// It can't be read.
    #[error("could not read the private key `{}`", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is no private key, or of a kind that is not supported.
    #[error("`{}` is not a private key that can be used", path.display())]
    NotAKey {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: russh::keys::Error,
    },
    /// It needs a passphrase, and the agent doesn't hold it.
    #[error("the private key `{0}` is encrypted, and no ssh-agent holds it", path.display())]
    Encrypted {
        /// The file.
        path: PathBuf,
    },
    /// It is a public key, and the agent doesn't hold the private one.
    #[error("`{0}` is a public key, and no ssh-agent holds its private key", path.display())]
    PublicOnly {
        /// The file.
        path: PathBuf,
    },
}

impl CredentialError {
    /// What to do about it, where that can be said.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Encrypted { path } => Some(format!("unlock it first: `ssh-add {}`", path.display())),
            _ => None,
        }
    }
}

/// Where keys come from.
#[derive(Debug, Clone, Default)]
pub struct KeySources {
    /// The key that was named for all hosts: it must be usable.
    pub named: Option<PathBuf>,
    /// Keys that single hosts name: one that can't be used fails those hosts only.
    pub files: Vec<PathBuf>,
    /// The socket of the agent.
    pub agent: Option<PathBuf>,
    /// The directory with the usual files.
    pub directory: Option<PathBuf>,
}

impl KeySources {
    /// What `ssh` would use: the agent of `SSH_AUTH_SOCK` and the files of `~/.ssh`.
    pub fn of_environment() -> Self {
        let path = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        Self { agent: path("SSH_AUTH_SOCK"), directory: path("HOME").map(|home| home.join(".ssh")), ..Self::default() }
    }
}

/// A key that can be offered, with what to call it.
#[derive(Debug, Clone)]
enum Key {
    File { key: Arc<PrivateKey>, label: String },
    Agent { key: PublicKey, label: String },
}

impl Key {
    fn label(&self) -> &str {
        match self {
            Self::File { label, .. } | Self::Agent { label, .. } => label,
        }
    }

    fn data(&self) -> &KeyData {
        match self {
            Self::File { key, .. } => key.public_key().key_data(),
            Self::Agent { key, .. } => key.key_data(),
        }
    }
}

/// An ssh-agent. It works through its requests one by one, so only few are put to it at once.
#[derive(Debug)]
struct Agent {
    socket: PathBuf,
    seats: Semaphore,
}

impl Agent {
    async fn connect(&self) -> Result<AgentClient<UnixStream>, russh::keys::Error> {
        AgentClient::connect_uds(&self.socket).await
    }

    async fn keys(&self) -> Result<Vec<Key>, russh::keys::Error> {
        let identities = self.connect().await?.request_identities().await?;
        let keys = identities.into_iter().filter_map(|identity| match identity {
            AgentIdentity::PublicKey { key, comment } => {
                let label = format!("`{comment}` of the agent ({})", key.algorithm());
                Some(Key::Agent { key, label })
            }
            AgentIdentity::Certificate { .. } => None,
        });
        Ok(keys.collect())
    }
}

/// Signs with the agent, one short conversation for each signature.
struct Signer<'a>(&'a Agent);

impl russh::Signer for Signer<'_> {
    type Error = AgentAuthError;

    async fn auth_sign(&mut self, key: &AgentIdentity, hash: Option<HashAlg>, data: Vec<u8>) -> Result<Vec<u8>, Self::Error> {
        let _seat = self.0.seats.acquire().await;
        Ok(self.0.connect().await?.sign_request(key, hash, data).await?)
    }
}

/// The keys of this scan, loaded once.
#[derive(Debug, Default)]
pub struct Credentials {
    agent: Option<Agent>,
    /// Keys that were named, for all hosts or for one.
    files: BTreeMap<PathBuf, Result<Key, String>>,
    /// What is offered where no key was named.
    usual: Vec<Key>,
    /// Why there are no more of them.
    notes: Vec<String>,
}

impl Credentials {
    /// Reads key files and lists the agent's keys.
    ///
    /// # Errors
    /// [`CredentialError`] for the key that was named for all hosts. Whatever else can't be used is told by the hosts that needed it.
    pub async fn load(sources: &KeySources) -> Result<Self, CredentialError> {
        let mut credentials = Self::default();
        let mut held = Vec::new();
        if let Some(socket) = &sources.agent {
            let agent = Agent { socket: socket.clone(), seats: Semaphore::new(AGENT_SEATS) };
            match timeout(AGENT_LIST, agent.keys()).await {
                Ok(Ok(keys)) => {
                    if keys.is_empty() {
                        credentials.notes.push("the ssh-agent holds no keys".to_owned());
                    }
                    held = keys;
                    credentials.agent = Some(agent);
                }
                Ok(Err(error)) => credentials.notes.push(format!("the ssh-agent can't be asked: {error}")),
                Err(_) => credentials.notes.push("the ssh-agent doesn't answer".to_owned()),
            }
        }
        if let Some(path) = &sources.named {
            let key = read_key(path, &held)?;
            credentials.files.insert(path.clone(), Ok(key));
        }
        for path in &sources.files {
            credentials.files.entry(path.clone()).or_insert_with(|| read_key(path, &held).map_err(|error| with_source(&error)));
        }
        credentials.usual = held;
        let usual = sources.directory.iter().flat_map(|directory| USUAL_FILES.map(|name| directory.join(name)));
        for path in usual.filter(|path| path.exists()) {
            match read_key(&path, &credentials.usual) {
                Ok(key) if credentials.usual.iter().any(|known| known.data() == key.data()) => {}
                Ok(key) => credentials.usual.push(key),
                Err(error) => credentials.notes.push(with_source(&error)),
            }
        }
        let more = credentials.usual.len().saturating_sub(OFFERS);
        if more > 0 {
            credentials.usual.truncate(OFFERS);
            credentials.notes.push(format!("{more} more keys were not offered: name one of them"));
        }
        Ok(credentials)
    }

    /// What is offered to this host, in order.
    fn keys_for(&self, target: &Target) -> Result<&[Key], Failure> {
        let none = |detail: String| Failure::new(Reason::NoCredentials, detail);
        match target.login.key_files.first() {
            Some(path) => match self.files.get(path) {
                Some(Ok(key)) => Ok(std::slice::from_ref(key)),
                Some(Err(what)) => Err(none(what.clone())),
                None => Err(none(format!("the private key `{}` was not loaded", path.display()))),
            },
            None if self.usual.is_empty() && self.notes.is_empty() => {
                Err(none("there is no ssh-agent and no key in `~/.ssh`".to_owned()))
            }
            None if self.usual.is_empty() => Err(none(self.notes.join("; "))),
            None => Ok(&self.usual),
        }
    }

    /// Whether there is any key for this host, so that none is dialled in vain.
    pub(super) fn check(&self, target: &Target) -> Result<(), Failure> {
        self.keys_for(target).map(drop)
    }

    /// Whether a login to this host asks the agent, which may take a person's time.
    pub(super) fn asks_agent(&self, target: &Target) -> bool {
        self.keys_for(target).is_ok_and(|keys| keys.iter().any(|key| matches!(key, Key::Agent { .. })))
    }

    /// Offers the host its keys, each once.
    pub(super) async fn login(&self, link: &mut Handle<Gatekeeper>, lost: &Lost, target: &Target) -> Result<(), Failure> {
        let keys = self.keys_for(target)?;
        let mut attempt = Attempt { user: &target.user, tried: Vec::new(), remarks: Vec::new(), accepts: None };
        for key in keys {
            match self.offer(link, &mut attempt, key).await {
                Some(AuthResult::Success) => return Ok(()),
                Some(AuthResult::Failure { remaining_methods, partial_success }) if !link.is_closed() => {
                    if partial_success {
                        attempt.remarks.push(format!("{} was accepted, but the host wants a second proof", key.label()));
                        attempt.accepts = Some(remaining_methods);
                        return Err(attempt.refused(&[]));
                    }
                    let publickey = remaining_methods.contains(&russh::MethodKind::PublicKey);
                    attempt.accepts = Some(remaining_methods);
                    if !publickey {
                        break;
                    }
                }
                _ if link.is_closed() => return Err(attempt.cut_off(lost)),
                _ => {}
            }
        }
        Err(attempt.refused(if target.login.key_files.is_empty() { &self.notes } else { &[] }))
    }

    /// Offers one key. `None`: it could not be offered, and the remarks say why.
    async fn offer(&self, link: &mut Handle<Gatekeeper>, attempt: &mut Attempt<'_>, key: &Key) -> Option<AuthResult> {
        let hash = match key.data().algorithm() {
            Algorithm::Rsa { .. } => match link.best_supported_rsa_hash().await {
                Ok(Some(Some(hash))) => Some(hash),
                Ok(Some(None)) => {
                    attempt.remarks.push(format!("{} was not offered: the host takes RSA with SHA-1 only", key.label()));
                    return None;
                }
                // A server that doesn't say: every one since OpenSSH 7.2 (2016) takes this.
                Ok(None) | Err(_) => Some(HashAlg::Sha512),
            },
            _ => None,
        };
        attempt.tried.push(key.label().to_owned());
        let result = match (key, &self.agent) {
            (Key::File { key, .. }, _) => {
                let key = PrivateKeyWithHashAlg::new(Arc::clone(key), hash);
                link.authenticate_publickey(attempt.user, key).await.map_err(|error| error.to_string())
            }
            (Key::Agent { key, .. }, Some(agent)) => {
                link.authenticate_publickey_with(attempt.user, key.clone(), hash, &mut Signer(agent)).await.map_err(|error| {
                    format!("the ssh-agent did not sign with {}: {error}", attempt.tried.last().map_or("", |tried| tried))
                })
            }
            (Key::Agent { .. }, None) => Err("there is no ssh-agent".to_owned()),
        };
        result.map_err(|remark| attempt.remarks.push(remark)).ok()
    }
}

/// One login, as far as it has come.
struct Attempt<'a> {
    user: &'a str,
    tried: Vec<String>,
    remarks: Vec<String>,
    accepts: Option<MethodSet>,
}

impl Attempt<'_> {
    fn refused(&self, notes: &[String]) -> Failure {
        let mut parts = vec![match self.tried.as_slice() {
            [] => format!("no key could be offered for `{}`", self.user),
            tried => format!("login as `{}` refused; offered: {}", self.user, tried.join(", ")),
        }];
        if let Some(methods) = &self.accepts {
            let names: Vec<&str> = methods.iter().map(<&str>::from).collect();
            parts.push(if names.is_empty() {
                "the host takes nothing else".to_owned()
            } else {
                format!("the host takes: {}", names.join(", "))
            });
        }
        parts.extend(self.remarks.iter().chain(notes).cloned());
        Failure::new(Reason::AuthRefused, parts.join("; "))
    }

    /// The connection is gone: refused if the host said so while leaving, else merely lost.
    fn cut_off(&self, lost: &Lost) -> Failure {
        let cause = lost.cause();
        if lost.is_refusal() {
            Failure::new(Reason::AuthRefused, format!("{}; {cause}", self.refused(&[]).detail))
        } else {
            Failure::new(Reason::ConnectionReset, format!("the connection ended during the login: {cause}"))
        }
    }
}

/// An error in one line, with what is behind it.
fn with_source(error: &CredentialError) -> String {
    let source = std::error::Error::source(error).map(|source| format!(": {source}")).unwrap_or_default();
    let hint = error.hint().map(|hint| format!("; {hint}")).unwrap_or_default();
    format!("{error}{source}{hint}")
}

/// Reads a key file; one that is encrypted or public stands for the same key of the agent.
fn read_key(path: &Path, held: &[Key]) -> Result<Key, CredentialError> {
    let text = fs::read_to_string(path).map_err(|source| CredentialError::Unreadable { path: path.to_owned(), source })?;
    let in_agent = |public: &PublicKey| held.iter().find(|key| key.data() == public.key_data()).cloned();
    if let Ok(public) = PublicKey::from_openssh(&text) {
        return in_agent(&public).ok_or_else(|| CredentialError::PublicOnly { path: path.to_owned() });
    }
    match russh::keys::decode_secret_key(&text, None) {
        Ok(key) => {
            let label = format!("`{}` ({})", path.display(), key.algorithm());
            Ok(Key::File { key: Arc::new(key), label })
        }
        Err(source) => {
            let (encrypted, public) = locked(path, &text);
            if !encrypted && !matches!(source, russh::keys::Error::KeyIsEncrypted) {
                return Err(CredentialError::NotAKey { path: path.to_owned(), source });
            }
            public.as_ref().and_then(in_agent).ok_or_else(|| CredentialError::Encrypted { path: path.to_owned() })
        }
    }
}

/// Whether the key is encrypted, and its public half: OpenSSH's format has it in clear, for the older ones it stands in `FILE.pub`.
fn locked(path: &Path, text: &str) -> (bool, Option<PublicKey>) {
    if let Ok(key) = PrivateKey::from_openssh(text) {
        return (key.is_encrypted(), Some(key.public_key().clone()));
    }
    let encrypted = text.contains("ENCRYPTED");
    let beside = PathBuf::from(format!("{}.pub", path.display()));
    let public = fs::read_to_string(beside).ok().and_then(|text| PublicKey::from_openssh(&text).ok());
    (encrypted, public)
}
