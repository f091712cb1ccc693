//! Every keyword of ssh_config(5) up to OpenSSH 10, also the deprecated ones and those of the distributions, and what each is to us.

use super::algorithms;
use super::problem::Complaint;
use super::value::{Kind, Value};

/// What a keyword is to us.
#[derive(Debug, Clone, Copy)]
pub(super) enum Keyword {
    Host,
    Match,
    Include,
    IgnoreUnknown,
    /// It decides something about a connection.
    Sets(Setting, Kind),
    /// It decides nothing about a scan: only its form is checked.
    Accepted(Kind),
}

/// What a line can decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Setting {
    HostName,
    Port,
    User,
    IdentityFile,
    CertificateFile,
    IdentitiesOnly,
    IdentityAgent,
    HostKeyAlias,
    UserKnownHostsFile,
    GlobalKnownHostsFile,
    RevokedHostKeys,
    StrictHostKeyChecking,
    ProxyJump,
    ProxyCommand,
    ConnectTimeout,
    ConnectionAttempts,
    ServerAliveInterval,
    ServerAliveCountMax,
    AddressFamily,
    BindAddress,
    KexAlgorithms,
    Ciphers,
    Macs,
    HostKeyAlgorithms,
    PubkeyAcceptedAlgorithms,
    CaSignatureAlgorithms,
    PreferredAuthentications,
    PubkeyAuthentication,
    PasswordAuthentication,
    KbdInteractiveAuthentication,
    RequiredRsaSize,
    RefuseConnection,
    Tag,
    CanonicalizeHostname,
    KnownHostsCommand,
    Pkcs11Provider,
    SecurityKeyProvider,
    BindInterface,
    ProxyUseFdpass,
    HostbasedAuthentication,
    NoHostAuthenticationForLocalhost,
    VerifyHostKeyDns,
    /// Nothing but a warning about its line.
    Notice,
}

impl Setting {
    /// How many there are.
    pub(super) const COUNT: usize = Self::Notice as usize + 1;
}

use Keyword::{Accepted, Sets};

/// As the manual writes them; case does not count.
const KEYWORDS: &[(&str, Keyword)] = &[
    ("Host", Keyword::Host),
    ("Match", Keyword::Match),
    ("Include", Keyword::Include),
    ("IgnoreUnknown", Keyword::IgnoreUnknown),
    ("HostName", Sets(Setting::HostName, Kind::Text)),
    ("Port", Sets(Setting::Port, Kind::Port)),
    ("User", Sets(Setting::User, Kind::Text)),
    ("IdentityFile", Sets(Setting::IdentityFile, Kind::Text)),
    ("IdentityFile2", Sets(Setting::IdentityFile, Kind::Text)),
    ("CertificateFile", Sets(Setting::CertificateFile, Kind::Text)),
    ("IdentitiesOnly", Sets(Setting::IdentitiesOnly, Kind::Flag)),
    ("IdentityAgent", Sets(Setting::IdentityAgent, Kind::Agent)),
    ("HostKeyAlias", Sets(Setting::HostKeyAlias, Kind::Text)),
    ("UserKnownHostsFile", Sets(Setting::UserKnownHostsFile, Kind::Files)),
    ("GlobalKnownHostsFile", Sets(Setting::GlobalKnownHostsFile, Kind::Files)),
    ("RevokedHostKeys", Sets(Setting::RevokedHostKeys, Kind::Text)),
    ("StrictHostKeyChecking", Sets(Setting::StrictHostKeyChecking, Kind::Checking)),
    ("ProxyJump", Sets(Setting::ProxyJump, Kind::Jump)),
    ("ProxyCommand", Sets(Setting::ProxyCommand, Kind::Command)),
    ("ConnectTimeout", Sets(Setting::ConnectTimeout, Kind::Time)),
    ("ConnectionAttempts", Sets(Setting::ConnectionAttempts, Kind::Number)),
    ("ServerAliveInterval", Sets(Setting::ServerAliveInterval, Kind::Time)),
    ("ProtocolKeepAlives", Sets(Setting::ServerAliveInterval, Kind::Time)),
    ("SetupTimeOut", Sets(Setting::ServerAliveInterval, Kind::Time)),
    ("ServerAliveCountMax", Sets(Setting::ServerAliveCountMax, Kind::Number)),
    ("AddressFamily", Sets(Setting::AddressFamily, Kind::Family)),
    ("BindAddress", Sets(Setting::BindAddress, Kind::Text)),
    ("KexAlgorithms", Sets(Setting::KexAlgorithms, Kind::Algorithms(algorithms::KEX))),
    ("Ciphers", Sets(Setting::Ciphers, Kind::Algorithms(algorithms::CIPHERS))),
    ("MACs", Sets(Setting::Macs, Kind::Algorithms(algorithms::MACS))),
    ("HostKeyAlgorithms", Sets(Setting::HostKeyAlgorithms, Kind::KeyAlgorithms)),
    ("PubkeyAcceptedAlgorithms", Sets(Setting::PubkeyAcceptedAlgorithms, Kind::KeyAlgorithms)),
    ("PubkeyAcceptedKeyTypes", Sets(Setting::PubkeyAcceptedAlgorithms, Kind::KeyAlgorithms)),
    ("CASignatureAlgorithms", Sets(Setting::CaSignatureAlgorithms, Kind::KeyAlgorithms)),
    ("PreferredAuthentications", Sets(Setting::PreferredAuthentications, Kind::Text)),
    ("PubkeyAuthentication", Sets(Setting::PubkeyAuthentication, Kind::Pubkey)),
    ("DSAAuthentication", Sets(Setting::PubkeyAuthentication, Kind::Pubkey)),
    ("PasswordAuthentication", Sets(Setting::PasswordAuthentication, Kind::Flag)),
    ("KbdInteractiveAuthentication", Sets(Setting::KbdInteractiveAuthentication, Kind::Flag)),
    ("ChallengeResponseAuthentication", Sets(Setting::KbdInteractiveAuthentication, Kind::Flag)),
    ("SkeyAuthentication", Sets(Setting::KbdInteractiveAuthentication, Kind::Flag)),
    ("TISAuthentication", Sets(Setting::KbdInteractiveAuthentication, Kind::Flag)),
    ("RequiredRSASize", Sets(Setting::RequiredRsaSize, Kind::Number)),
    ("RSAMinSize", Sets(Setting::RequiredRsaSize, Kind::Number)),
    ("RefuseConnection", Sets(Setting::RefuseConnection, Kind::Text)),
    ("Tag", Sets(Setting::Tag, Kind::Text)),
    ("CanonicalizeHostname", Sets(Setting::CanonicalizeHostname, Kind::Words(&["yes", "no", "true", "false", "always"]))),
    ("KnownHostsCommand", Sets(Setting::KnownHostsCommand, Kind::Command)),
    ("PKCS11Provider", Sets(Setting::Pkcs11Provider, Kind::Text)),
    ("SmartcardDevice", Sets(Setting::Pkcs11Provider, Kind::Text)),
    ("SecurityKeyProvider", Sets(Setting::SecurityKeyProvider, Kind::Text)),
    ("BindInterface", Sets(Setting::BindInterface, Kind::Text)),
    ("ProxyUseFdpass", Sets(Setting::ProxyUseFdpass, Kind::Flag)),
    ("HostbasedAuthentication", Sets(Setting::HostbasedAuthentication, Kind::Flag)),
    ("NoHostAuthenticationForLocalhost", Sets(Setting::NoHostAuthenticationForLocalhost, Kind::Flag)),
    ("VerifyHostKeyDNS", Sets(Setting::VerifyHostKeyDns, Kind::Words(&["yes", "no", "true", "false", "ask"]))),
    ("AddKeysToAgent", Accepted(Kind::Anything)),
    ("BatchMode", Accepted(Kind::Flag)),
    ("CanonicalDomains", Accepted(Kind::Anything)),
    ("CanonicalizeFallbackLocal", Accepted(Kind::Flag)),
    ("CanonicalizeMaxDots", Accepted(Kind::Number)),
    ("CanonicalizePermittedCNAMEs", Accepted(Kind::Anything)),
    ("ChannelTimeout", Accepted(Kind::Anything)),
    ("CheckHostIP", Accepted(Kind::Flag)),
    ("ClearAllForwardings", Accepted(Kind::Flag)),
    ("Compression", Accepted(Kind::Words(&["yes", "no"]))),
    ("ControlMaster", Accepted(Kind::Words(&["yes", "no", "true", "false", "auto", "ask", "autoask"]))),
    ("ControlPath", Accepted(Kind::Text)),
    ("ControlPersist", Accepted(Kind::Text)),
    ("DynamicForward", Accepted(Kind::Text)),
    ("EnableEscapeCommandline", Accepted(Kind::Flag)),
    ("EnableSSHKeysign", Accepted(Kind::Flag)),
    ("EscapeChar", Accepted(Kind::Text)),
    ("ExitOnForwardFailure", Accepted(Kind::Flag)),
    ("FingerprintHash", Accepted(Kind::Text)),
    ("ForkAfterAuthentication", Accepted(Kind::Flag)),
    ("ForwardAgent", Accepted(Kind::Text)),
    ("ForwardX11", Accepted(Kind::Flag)),
    ("ForwardX11Timeout", Accepted(Kind::Time)),
    ("ForwardX11Trusted", Accepted(Kind::Flag)),
    ("GatewayPorts", Accepted(Kind::Flag)),
    // The login by Kerberos is one of several and off by default, but distributions turn it on for everybody: no warning.
    ("GSSAPIAuthentication", Accepted(Kind::Flag)),
    ("GSSAPIClientIdentity", Accepted(Kind::Text)),
    ("GSSAPIDelegateCredentials", Accepted(Kind::Flag)),
    ("GSSAPIKexAlgorithms", Accepted(Kind::Text)),
    ("GSSAPIKeyExchange", Accepted(Kind::Flag)),
    ("GSSAPIRenewalForcesRekey", Accepted(Kind::Flag)),
    ("GSSAPIServerIdentity", Accepted(Kind::Text)),
    ("GSSAPITrustDNS", Accepted(Kind::Text)),
    ("HashKnownHosts", Accepted(Kind::Flag)),
    ("HostbasedAcceptedAlgorithms", Accepted(Kind::KeyAlgorithms)),
    ("HostbasedKeyTypes", Accepted(Kind::KeyAlgorithms)),
    ("IPQoS", Accepted(Kind::Anything)),
    ("KbdInteractiveDevices", Accepted(Kind::Text)),
    ("LocalCommand", Accepted(Kind::Command)),
    ("LocalForward", Accepted(Kind::Anything)),
    ("LogLevel", Accepted(Kind::Text)),
    ("LogVerbose", Accepted(Kind::Anything)),
    ("NumberOfPasswordPrompts", Accepted(Kind::Number)),
    ("ObscureKeystrokeTiming", Accepted(Kind::Anything)),
    ("PermitLocalCommand", Accepted(Kind::Flag)),
    ("PermitRemoteOpen", Accepted(Kind::Anything)),
    ("RekeyLimit", Accepted(Kind::Anything)),
    ("RemoteCommand", Accepted(Kind::Command)),
    ("RemoteForward", Accepted(Kind::Anything)),
    ("RequestTTY", Accepted(Kind::Text)),
    ("SendEnv", Accepted(Kind::Anything)),
    ("SessionType", Accepted(Kind::Text)),
    ("SetEnv", Accepted(Kind::Anything)),
    ("StdinNull", Accepted(Kind::Flag)),
    ("StreamLocalBindMask", Accepted(Kind::Text)),
    ("StreamLocalBindUnlink", Accepted(Kind::Flag)),
    ("SyslogFacility", Accepted(Kind::Text)),
    ("TCPKeepAlive", Accepted(Kind::Flag)),
    ("KeepAlive", Accepted(Kind::Flag)),
    ("Tunnel", Accepted(Kind::Text)),
    ("TunnelDevice", Accepted(Kind::Text)),
    ("UpdateHostKeys", Accepted(Kind::Text)),
    ("VersionAddendum", Accepted(Kind::Anything)),
    ("VisualHostKey", Accepted(Kind::Flag)),
    ("WarnWeakCrypto", Accepted(Kind::Anything)),
    ("XAuthLocation", Accepted(Kind::Text)),
    // Deprecated, or known to OpenSSH and never supported by it.
    ("AFSTokenPassing", Accepted(Kind::Anything)),
    ("Cipher", Accepted(Kind::Anything)),
    ("CompressionLevel", Accepted(Kind::Anything)),
    ("FallBackToRsh", Accepted(Kind::Anything)),
    ("GlobalKnownHostsFile2", Accepted(Kind::Anything)),
    ("KerberosAuthentication", Accepted(Kind::Anything)),
    ("KerberosTGTPassing", Accepted(Kind::Anything)),
    ("Protocol", Accepted(Kind::Anything)),
    ("RhostsAuthentication", Accepted(Kind::Anything)),
    ("RhostsRSAAuthentication", Accepted(Kind::Anything)),
    ("RSAAuthentication", Accepted(Kind::Anything)),
    ("UseBlacklistedKeys", Accepted(Kind::Anything)),
    ("UsePrivilegedPort", Accepted(Kind::Anything)),
    ("UserKnownHostsFile2", Accepted(Kind::Anything)),
    ("UseRoaming", Accepted(Kind::Anything)),
    ("UseRsh", Accepted(Kind::Anything)),
];

/// What Apple's OpenSSH knows besides.
const OF_MACOS: &[(&str, Keyword)] = &[("UseKeychain", Accepted(Kind::Flag))];

/// The keyword as the manual writes it, and what it is.
pub(super) fn keyword(text: &str) -> Option<(&'static str, Keyword)> {
    let apple = if cfg!(target_os = "macos") { OF_MACOS } else { &[] };
    KEYWORDS.iter().chain(apple).find(|(name, _)| name.eq_ignore_ascii_case(text)).copied()
}

/// Every keyword that a slip of the pen may have meant.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    KEYWORDS.iter().map(|(name, _)| *name)
}

/// What is to be said of a line that matters and that we don't do, unless its value turns it off.
pub(super) fn unsupported(setting: Setting, value: &Value) -> Option<Complaint> {
    let off = match value {
        Value::Flag(on) => !on,
        Value::Text(text) => ["none", "no", "false"].iter().any(|word| text.eq_ignore_ascii_case(word)),
        _ => false,
    };
    if off {
        return None;
    }
    let (message, hint) = match setting {
        Setting::CanonicalizeHostname => (
            "`CanonicalizeHostname` is not done: names are looked up as they are, without `CanonicalDomains`",
            "write the full name of the host as `HostName`",
        ),
        Setting::KnownHostsCommand => (
            "`KnownHostsCommand` is not run: only files say which host keys are known",
            "write its output to a file of `UserKnownHostsFile`",
        ),
        Setting::Pkcs11Provider => {
            ("`PKCS11Provider` is not used: the keys of the token are not offered", "add them to an agent: ssh-add -s PROVIDER")
        }
        Setting::SecurityKeyProvider => (
            "`SecurityKeyProvider` is not used: keys of security keys are offered by an agent only",
            "add them to an agent: ssh-add",
        ),
        Setting::BindInterface => ("`BindInterface` is not used", "name an address of the interface as `BindAddress`"),
        Setting::ProxyUseFdpass => (
            "`ProxyUseFdpass` is not done: the connection goes over the standard streams of `ProxyCommand`",
            "use a `ProxyCommand` that passes on its standard streams",
        ),
        Setting::HostbasedAuthentication => {
            ("`HostbasedAuthentication` is not done", "log in with a key, or turn it off for the hosts that don't need it")
        }
        Setting::NoHostAuthenticationForLocalhost => (
            "`NoHostAuthenticationForLocalhost` is not followed: the host key of this machine is verified like any other",
            "add its key to a known_hosts file, or reach it without SSH",
        ),
        Setting::VerifyHostKeyDns => (
            "`VerifyHostKeyDNS` is not done: only files say which host keys are known",
            "add the host keys to a known_hosts file",
        ),
        _ => return None,
    };
    Some(Complaint::new(message).hint(hint))
}
