//! What the configuration amounts to for one host.

use std::path::PathBuf;
use std::time::Duration;

/// `IdentityAgent`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Hash)]
pub enum AgentSocket {
    /// The one that `SSH_AUTH_SOCK` names, if any.
    #[default]
    Environment,
    /// No agent.
    None,
    /// This socket.
    Path(PathBuf),
}

/// `AddressFamily`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Family {
    /// Either.
    #[default]
    Any,
    /// IPv4 only.
    Inet,
    /// IPv6 only.
    Inet6,
}

/// `StrictHostKeyChecking`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HostKeyChecking {
    /// `yes`.
    Yes,
    /// `ask`, OpenSSH's default: nobody is asked during a scan, so it is as good as `yes`.
    #[default]
    Ask,
    /// `accept-new`.
    AcceptNew,
    /// `no` or `off`.
    No,
}

/// A list of algorithms, as a change to the default or in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AlgorithmList {
    /// These, in this order.
    Exactly(Vec<String>),
    /// `+`: the default, then these.
    Append(Vec<String>),
    /// `-`: the default without what matches these patterns.
    Remove(Vec<String>),
    /// `^`: these, then the rest of the default.
    Prepend(Vec<String>),
}

/// One host of a `ProxyJump`: `[user@]host[:port]`. The rest of its settings comes from its own place in the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hop {
    /// The login, where named.
    pub user: Option<String>,
    /// The host as it stands there: an alias, a name or an address.
    pub host: String,
    /// The port, where named.
    pub port: Option<u16>,
}

/// Everything that the configuration says of one host, tokens and `~` expanded. `None` and empty lists: the configuration says nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Settings {
    /// `HostName`, else the name that was asked for: names in lower case, addresses in their usual form.
    pub host_name: String,
    /// `Port`.
    pub port: Option<u16>,
    /// `User`.
    pub user: Option<String>,
    /// `IdentityFile`, all of them in order, without `none`.
    pub identity_files: Vec<PathBuf>,
    /// `IdentityFile none` and no other one: not even the usual files count.
    pub no_identity_files: bool,
    /// `CertificateFile`, all of them in order.
    pub certificate_files: Vec<PathBuf>,
    /// `IdentitiesOnly`.
    pub identities_only: Option<bool>,
    /// `IdentityAgent`.
    pub identity_agent: AgentSocket,
    /// `HostKeyAlias`.
    pub host_key_alias: Option<String>,
    /// `UserKnownHostsFile`; `none` is a list with nothing in it.
    pub user_known_hosts_files: Option<Vec<PathBuf>>,
    /// `GlobalKnownHostsFile`; `none` is a list with nothing in it.
    pub global_known_hosts_files: Option<Vec<PathBuf>>,
    /// `RevokedHostKeys`.
    pub revoked_host_keys: Option<PathBuf>,
    /// `StrictHostKeyChecking`.
    pub host_key_checking: Option<HostKeyChecking>,
    /// `ProxyJump`, the first hop first.
    pub proxy_jump: Vec<Hop>,
    /// `ProxyCommand`, for `/bin/sh -c`; `ssh` puts `exec` before it. Never set together with [`Self::proxy_jump`].
    pub proxy_command: Option<String>,
    /// `ConnectTimeout`; `none` and 0 say nothing.
    pub connect_timeout: Option<Duration>,
    /// `ConnectionAttempts`.
    pub connection_attempts: Option<u32>,
    /// `ServerAliveInterval`; zero is off.
    pub server_alive_interval: Option<Duration>,
    /// `ServerAliveCountMax`.
    pub server_alive_count_max: Option<u32>,
    /// `AddressFamily`.
    pub family: Family,
    /// `BindAddress`.
    pub bind_address: Option<String>,
    /// `KexAlgorithms`.
    pub kex_algorithms: Option<AlgorithmList>,
    /// `Ciphers`.
    pub ciphers: Option<AlgorithmList>,
    /// `MACs`.
    pub macs: Option<AlgorithmList>,
    /// `HostKeyAlgorithms`.
    pub host_key_algorithms: Option<AlgorithmList>,
    /// `PubkeyAcceptedAlgorithms`.
    pub pubkey_accepted_algorithms: Option<AlgorithmList>,
    /// `CASignatureAlgorithms`.
    pub ca_signature_algorithms: Option<AlgorithmList>,
    /// `PreferredAuthentications`, in order.
    pub preferred_authentications: Option<Vec<String>>,
    /// `PubkeyAuthentication`; `unbound` and `host-bound` are `true`.
    pub pubkey_authentication: Option<bool>,
    /// `PasswordAuthentication`.
    pub password_authentication: Option<bool>,
    /// `KbdInteractiveAuthentication`.
    pub kbd_interactive_authentication: Option<bool>,
    /// `RequiredRSASize`, in bits: shorter RSA keys count neither for hosts nor for users.
    pub required_rsa_size: Option<u32>,
}
