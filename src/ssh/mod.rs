//! Talking to a host over SSH: reach it, know it, log in, run one script, each step bounded in time.
//!
//! ```text
//! resolver.rs     inventory, command line and configuration -> target
//! target.rs       which host, how it is reached, as whom
//! connect.rs      name -> addresses -> TCP -> key exchange -> login
//! wire.rs         what SSH runs over, ended with its owner
//! jump.rs         jump hosts: few connections, shared by the hosts behind them
//! proxy.rs        ProxyCommand
//! algorithms.rs   what the key exchange may choose from
//! gatekeeper.rs   our side of a connection: which hosts are let in, why it ended
//! witness.rs      the key that a host showed, whatever became of the connection
//! host_keys.rs    the keys known to a scan, and what is done with hosts that nobody knows
//! known_hosts.rs  one file of known hosts
//! known.rs        what such files say of one host, and what its key is worth
//! host_certificate.rs, revoked_keys.rs
//! new_keys.rs     keys that were accepted or recorded
//! shared_file.rs  files that several scans may write at once
//! survey.rs       all host keys of a host, without logging in
//! auth            keys, certificates and passwords, loaded once for the fleet; the login
//! permissions.rs  whether a file of secrets is open to others
//! session.rs      Session: connect, then run one script over one channel
//! ```

mod algorithms;
mod auth;
mod connect;
mod gatekeeper;
mod host_certificate;
mod host_keys;
mod jump;
mod known;
mod known_hosts;
mod new_keys;
mod permissions;
mod proxy;
mod resolver;
mod revoked_keys;
mod session;
mod shared_file;
mod survey;
mod target;
mod wire;
mod witness;

use std::time::Duration;

use crate::model::ShownKey;

pub use algorithms::Algorithms;
pub use auth::{Asker, CredentialError, CredentialSources, Credentials, Passwords};
pub use host_keys::{HostKeySources, HostKeys, HostKeysError};
pub use known_hosts::Warning;
pub use new_keys::{NewKeys, SavedKeys};
pub use permissions::open_to_others;
pub use resolver::{Defaults, Resolver, Unresolved};
pub use session::Session;
pub use survey::{HostKeySurvey, SurveyedKey, prepare_collection, survey_host_keys, write_collection};
pub use target::{HostIdentity, HostKeyPolicy, Login, Method, Route, Target};
pub use witness::Witness;

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

    /// The keys that jump hosts showed, each with a name for it, and why it could not be used, if so. For when the connections have ended.
    pub fn jump_keys(&self) -> Vec<(String, ShownKey, String)> {
        self.jumps.keys()
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
