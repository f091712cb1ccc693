//! What the configuration amounts to for one host.

use std::path::PathBuf;
use std::time::Duration;

/// `IdentityAgent`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
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
    /// `HostName`, else the name that was asked for.
    pub host_name: String,
    /// `Port`.
    pub port: Option<u16>,
    /// `User`.
    pub user: Option<String>,
    /// `IdentityFile`, all of them in order; `none` leaves the list empty and sets [`Self::no_identity_files`].
    pub identity_files: Vec<PathBuf>,
    /// `IdentityFile none`.
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
    /// `ProxyCommand`. Never set together with [`Self::proxy_jump`].
    pub proxy_command: Option<String>,
    /// `ConnectTimeout`.
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
}

impl AlgorithmList {
    /// What is left of the default, or stands in its place: ssh_config(5), "Ciphers". Each name once, at its first place.
    pub fn applied_to(&self, default: &[&str]) -> Vec<String> {
        let default = default.iter().map(|name| (*name).to_owned());
        let all: Vec<String> = match self {
            Self::Exactly(names) => names.clone(),
            Self::Append(names) => default.chain(names.iter().cloned()).collect(),
            Self::Prepend(names) => names.iter().cloned().chain(default).collect(),
            Self::Remove(patterns) => {
                default.filter(|name| !patterns.iter().any(|pattern| matches(pattern.as_bytes(), name.as_bytes()))).collect()
            }
        };
        let mut left: Vec<String> = Vec::new();
        for name in all {
            if !left.contains(&name) {
                left.push(name);
            }
        }
        left
    }
}

/// `*` and `?` of ssh_config(5), "PATTERNS". Goes back to the last `*` only, so it never takes more than length times length.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut at, mut seen) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while seen < name.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, seen));
                at += 1;
            }
            Some(letter) if *letter == b'?' || name.get(seen) == Some(letter) => {
                at += 1;
                seen += 1;
            }
            _ => {
                let Some((back, taken)) = star else { return false };
                star = Some((back, taken + 1));
                at = back + 1;
                seen = taken + 1;
            }
        }
    }
    pattern.iter().skip(at).all(|letter| *letter == b'*')
}
