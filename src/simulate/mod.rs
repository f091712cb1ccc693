//! A fleet of SSH servers in this process, for the demo, the tests and the benchmarks.
//!
//! The hosts are real SSH servers as far as the scanner can tell: each has an address of its own on loopback and a host key of its own, does the whole key
//! exchange and public key login, and answers the probe script with what a recorded host answered. Some misbehave on purpose.

mod door;
mod server;

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use ring::rand::{SecureRandom, SystemRandom};
use russh::keys::ssh_key::private::{Ed25519Keypair, KeypairData};
use russh::keys::{PrivateKey, PublicKey};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

pub use door::{Door, Proof, Question};

use crate::probe::Transcript;

/// What a simulated host does.
#[derive(Clone)]
pub enum Behaviour {
    /// Answers as a recorded host did.
    Replay(Arc<Transcript>),
    /// The same, and shows another key than the one published for it.
    ChangedKey(Arc<Transcript>),
    /// Nothing listens.
    Refuse,
    /// Accepts the connection and never says a word.
    Hang,
    /// Accepts the login and never answers the script.
    Stall,
    /// Speaks something that is not SSH.
    Garbage,
    /// Refuses every key.
    Deny,
    /// Sends output without end.
    Flood,
    /// Ends the connection in the middle of the answer.
    CutOff(Arc<Transcript>),
    /// Runs something else than the script, as a forced command does.
    ForcedCommand,
    /// Answers as a recorded host did, to a login that shows more or something else than the key.
    Guarded(Door, Arc<Transcript>),
}

/// The name alone: a recorded host is too long to read.
impl fmt::Debug for Behaviour {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Replay(_) => "Replay",
            Self::ChangedKey(_) => "ChangedKey",
            Self::Refuse => "Refuse",
            Self::Hang => "Hang",
            Self::Stall => "Stall",
            Self::Garbage => "Garbage",
            Self::Deny => "Deny",
            Self::Flood => "Flood",
            Self::CutOff(_) => "CutOff",
            Self::ForcedCommand => "ForcedCommand",
            Self::Guarded(..) => "Guarded",
        })
    }
}

/// The fleet could not be started.
#[derive(Debug, thiserror::Error)]
pub enum SimulateError {
    /// No address to listen on.
    #[error("no simulated host can listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// No key could be made.
    #[error("no key could be made for a simulated host: {0}")]
    Key(String),
}

/// A running fleet. It ends when this is dropped.
pub struct Fleet {
    hosts: Vec<SimulatedHost>,
    user_key: PrivateKey,
    _servers: JoinSet<()>,
}

/// One host of the fleet.
#[derive(Debug, Clone)]
pub struct SimulatedHost {
    /// Where it listens, or would.
    pub address: SocketAddr,
    /// The key that known_hosts is to hold.
    pub published_key: PublicKey,
}

/// The first address of the fleet: 127.82.0.1, one address a host from there, all on one port. Where the system has only 127.0.0.1, hosts differ by port.
const FIRST: u32 = u32::from_be_bytes([127, 82, 0, 1]);

impl Fleet {
    /// Starts a host for each behaviour.
    ///
    /// # Errors
    /// [`SimulateError`] when the system gives no address or no randomness.
    pub async fn start(behaviours: Vec<Behaviour>) -> Result<Self, SimulateError> {
        let user_key = new_key()?;
        let allowed = Arc::new(user_key.public_key().clone());
        let mut hosts = Vec::with_capacity(behaviours.len());
        let mut servers = JoinSet::new();
        let mut port = 0;
        for (index, behaviour) in behaviours.into_iter().enumerate() {
            let listener = listen(index, port).await?;
            let address =
                listener.local_addr().map_err(|source| SimulateError::Listen { address: place(index, port), source })?;
            port = if address.ip() == IpAddr::V4(Ipv4Addr::LOCALHOST) { 0 } else { address.port() };
            let key = new_key()?;
            let published_key = match behaviour {
                Behaviour::ChangedKey(_) => new_key()?.public_key().clone(),
                _ => key.public_key().clone(),
            };
            hosts.push(SimulatedHost { address, published_key });
            match behaviour {
                Behaviour::Refuse => drop(listener),
                behaviour => {
                    servers.spawn(server::serve(listener, key, allowed.clone(), behaviour));
                }
            }
        }
        Ok(Self { hosts, user_key, _servers: servers })
    }

    /// The hosts, in the order of their behaviours.
    pub fn hosts(&self) -> &[SimulatedHost] {
        &self.hosts
    }

    /// The key that opens every host, in OpenSSH's format.
    ///
    /// # Errors
    /// [`SimulateError::Key`] when it cannot be written down.
    pub fn user_key(&self) -> Result<String, SimulateError> {
        let text = self
            .user_key
            .to_openssh(russh::keys::ssh_key::LineEnding::LF)
            .map_err(|error| SimulateError::Key(error.to_string()))?;
        Ok(text.to_string())
    }

    /// What known_hosts must say for every host to be trusted but the one whose key changed.
    ///
    /// # Errors
    /// [`SimulateError::Key`] when a key cannot be written down.
    pub fn known_hosts(&self) -> Result<String, SimulateError> {
        let mut text = String::new();
        for host in &self.hosts {
            let key = host.published_key.to_openssh().map_err(|error| SimulateError::Key(error.to_string()))?;
            text.push_str(&format!("[{}]:{} {key}\n", host.address.ip(), host.address.port()));
        }
        Ok(text)
    }
}

fn place(index: usize, port: u16) -> SocketAddr {
    let offset = u32::try_from(index).unwrap_or(u32::MAX);
    SocketAddr::from((Ipv4Addr::from(FIRST.saturating_add(offset)), port))
}

async fn listen(index: usize, port: u16) -> Result<TcpListener, SimulateError> {
    match TcpListener::bind(place(index, port)).await {
        Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable => {
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
            TcpListener::bind(address).await.map_err(|source| SimulateError::Listen { address, source })
        }
        bound => bound.map_err(|source| SimulateError::Listen { address: place(index, port), source }),
    }
}

fn new_key() -> Result<PrivateKey, SimulateError> {
    let mut seed = [0; 32];
    SystemRandom::new().fill(&mut seed).map_err(|_| SimulateError::Key("the system has no randomness".to_owned()))?;
    let pair = KeypairData::from(Ed25519Keypair::from_seed(&seed));
    PrivateKey::new(pair, "fleetscan simulated fleet").map_err(|error| SimulateError::Key(error.to_string()))
}
