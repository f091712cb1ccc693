//! Talking to a host over SSH: reach it, know it, log in, run one script, each step bounded in time.
//!
//! ```text
//! target.rs       which host, how it is reached, as whom
//! connect.rs      name -> addresses -> TCP -> key exchange -> login
//! wire.rs         what SSH runs over, ended with its owner
//! jump.rs         jump hosts: few connections, shared by the hosts behind them
//! proxy.rs        ProxyCommand
//! algorithms.rs   what the key exchange may choose from
//! gatekeeper.rs   our side of a connection: which hosts are let in, why it ended
//! host_keys.rs    the keys known to a scan
//! known_hosts.rs  one host's keys in the files of OpenSSH (pure)
//! auth            keys, certificates and passwords, loaded once for the fleet; the login
//! permissions.rs  whether a file of secrets is open to others
//! session.rs      Session: connect, then run one script over one channel
//! ```

mod algorithms;
mod auth;
mod connect;
mod gatekeeper;
mod host_keys;
mod jump;
mod known_hosts;
mod permissions;
mod proxy;
mod session;
mod target;
mod wire;

use std::time::Duration;

pub use algorithms::Algorithms;
pub use auth::{Asker, CredentialError, CredentialSources, Credentials, Passwords};
pub use host_keys::{HostKeySources, HostKeys};
pub use known_hosts::{HostKey, Known, KnownHosts, KnownHostsError, KnownKey, Warning, fingerprint};
pub use permissions::open_to_others;
pub use session::Session;
pub use target::{HostIdentity, HostKeyPolicy, Login, Method, Route, Target};

/// Everything that the connections of a scan share.
#[derive(Debug, Default)]
pub struct Engine {
    /// What is offered to log in.
    pub credentials: Credentials,
    /// The host keys that are known.
    pub host_keys: HostKeys,
    /// How long each phase may take.
    pub limits: Limits,
    jumps: jump::Jumps,
}

impl Engine {
    /// An engine that has not connected to anything yet.
    pub fn new(credentials: Credentials, host_keys: HostKeys, limits: Limits) -> Self {
        Self { credentials, host_keys, limits, jumps: jump::Jumps::default() }
    }
}

/// How long each phase of a conversation may take. The sum is not bounded here but by whoever drops the future, which frees everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// From a name to its addresses. Default 5 s.
    pub resolve: Duration,
    /// The TCP connection, over all addresses of the host. Default 5 s.
    pub connect: Duration,
    /// To the first byte of the server, and then again for the key exchange. Default 15 s.
    pub handshake: Duration,
    /// Asking again a host that turned the connection away, in all. Default 20 s.
    pub retry: Duration,
    /// The login, without the time that an agent or a password command takes for it. Default 15 s.
    pub auth: Duration,
    /// One signature of an agent, which may wait for a person to touch or confirm. Default 60 s.
    pub agent: Duration,
    /// Opening the session. Default 15 s.
    pub session: Duration,
    /// To the first byte of output: longer means a login shell that hangs in its start-up files. Default 30 s.
    pub first_output: Duration,
    /// The whole script. Default 60 s.
    pub run: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            resolve: seconds(5),
            connect: seconds(5),
            handshake: seconds(15),
            retry: seconds(20),
            auth: seconds(15),
            agent: seconds(60),
            session: seconds(15),
            first_output: seconds(30),
            run: seconds(60),
        }
    }
}
