//! Which host, whom it must be, how it is reached, and as whom we log in.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::algorithms::Algorithms;
use crate::model::Secret;
use crate::ssh_config::{AgentSocket, Family};

/// Everything about one host that `ssh` would know after reading its configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// A name or an address: what is dialled, and, without an alias, what known_hosts is asked for.
    pub address: String,
    /// The port.
    pub port: u16,
    /// The login.
    pub user: String,
    /// What is offered to prove who we are.
    pub login: Login,
    /// How the host proves who it is.
    pub identity: HostIdentity,
    /// How it is reached.
    pub route: Route,
    /// What the key exchange may choose from.
    pub algorithms: Arc<Algorithms>,
    /// `AddressFamily`.
    pub family: Family,
    /// `BindAddress`: the address of this machine that the connection comes from.
    pub bind_address: Option<String>,
    /// `ConnectTimeout`: in place of [`super::Limits::connect`] and [`super::Limits::handshake`].
    pub connect_timeout: Option<Duration>,
    /// `ConnectionAttempts`, where above 1.
    pub attempts: u32,
    /// `ServerAliveInterval`; zero is off, `None` is ours.
    pub alive_interval: Option<Duration>,
    /// `ServerAliveCountMax`.
    pub alive_count: Option<u32>,
}

impl Target {
    /// The host itself, then the jump host that it is reached through, and so on to the one that is dialled from here.
    pub fn way(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(self), |target| match &target.route {
            Route::Jump(jump) => Some(&**jump),
            Route::Direct | Route::Command(_) => None,
        })
    }

    /// Where it is dialled, for reports: the port only where it is not 22.
    pub fn place(&self) -> String {
        match self.port {
            22 => self.address.clone(),
            port if self.address.contains(':') => format!("[{}]:{port}", self.address),
            port => format!("{}:{port}", self.address),
        }
    }

    /// A host that is dialled directly, with everything as it is by default.
    pub fn new(address: impl Into<String>, port: u16, user: impl Into<String>) -> Self {
        Self {
            address: address.into(),
            port,
            user: user.into(),
            login: Login::default(),
            identity: HostIdentity::default(),
            route: Route::Direct,
            algorithms: Arc::default(),
            family: Family::Any,
            bind_address: None,
            connect_timeout: None,
            attempts: 1,
            alive_interval: None,
            alive_count: None,
        }
    }

    /// How this host and those on the way to it prove who they are: what [`super::HostKeys::load`] must be told of.
    pub fn identities(&self) -> impl Iterator<Item = &HostIdentity> {
        self.way().map(|target| &target.identity)
    }
}

/// What is offered to log in.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Login {
    /// The key files that were named for this host, in order. Empty: the usual ones of `~/.ssh`.
    pub key_files: Vec<PathBuf>,
    /// `IdentityFile none`: no key files, not even the usual ones.
    pub no_key_files: bool,
    /// Offer the named keys only, whatever else the agent holds. On where a key was named by the inventory or the command line.
    pub identities_only: bool,
    /// The certificates that were named. `KEY-cert.pub` beside a key is found without being named.
    pub certificate_files: Vec<PathBuf>,
    /// Which agent.
    pub agent: AgentSocket,
    /// Ways to log in, best first; only those that are in it are tried.
    pub methods: Vec<Method>,
    /// The password of this host alone; `None`: that of the whole scan, if there is one.
    pub password: Option<Secret>,
    /// What the inventory calls the host, for the command that is asked for its password; `None`: its address.
    pub host: Option<String>,
}

impl Default for Login {
    fn default() -> Self {
        Self {
            key_files: Vec::new(),
            no_key_files: false,
            identities_only: false,
            certificate_files: Vec::new(),
            agent: AgentSocket::Environment,
            methods: vec![Method::PublicKey, Method::KeyboardInteractive, Method::Password],
            password: None,
            host: None,
        }
    }
}

/// A way to log in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Method {
    /// `publickey`.
    PublicKey,
    /// `keyboard-interactive`: answered with the password.
    KeyboardInteractive,
    /// `password`.
    Password,
}

/// How a host proves who it is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Hash)]
pub struct HostIdentity {
    /// `HostKeyAlias`: looked up in place of the address and the port.
    pub alias: Option<String>,
    /// `UserKnownHostsFile`, where the configuration names one: in place of the user's usual files.
    pub user_files: Option<Vec<PathBuf>>,
    /// `GlobalKnownHostsFile`, where the configuration names one: in place of the machine's usual files.
    pub global_files: Option<Vec<PathBuf>>,
    /// `RevokedHostKeys`.
    pub revoked_file: Option<PathBuf>,
    /// What the configuration of this host says of a host without a known key; `None`: what the scan says.
    pub policy: Option<HostKeyPolicy>,
}

/// What is done with a host of which no key is known. A key that differs from the known one is refused whatever stands here, but for the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash)]
pub enum HostKeyPolicy {
    /// It is not scanned.
    #[default]
    Strict,
    /// It is scanned, and its key is known from now on.
    AcceptNew,
    /// It is not scanned; its key is written down, for a person to look at.
    Record,
    /// Every host is scanned, whatever key it shows. Not safe, and the report says so.
    AcceptAnything,
}

/// How a host is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// By a TCP connection from here.
    Direct,
    /// Through another host, which may itself be behind one.
    Jump(Arc<Target>),
    /// Over the standard streams of a command that runs here, `/bin/sh -c COMMAND`.
    Command(String),
}
