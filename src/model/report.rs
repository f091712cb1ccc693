//! What came of a scan: host by host, and in total.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::evidence::{as_optional_text, as_text};
use super::fleet_finding::Comparison;
use super::{CheckInfo, Evidence, Finding, FleetFinding, Severity, ShownKey, Verdict, Why};

/// How far a host got, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Every question was answered or refused for a reason: one finding for every check.
    Scanned,
    /// The connection ended in the middle: what came was judged, the rest is unknown.
    Partial,
    /// No SSH conversation came about.
    Unreachable,
    /// The host key is not the expected one, so nothing was sent.
    Untrusted,
    /// The host did not accept the login.
    Denied,
    /// The login worked, the script did not.
    Failed,
    /// Not tried, or given up, because the scan was ending.
    Skipped,
}

impl Status {
    /// Every status, in the order of reports.
    pub const ALL: [Self; 7] =
        [Self::Scanned, Self::Partial, Self::Unreachable, Self::Untrusted, Self::Denied, Self::Failed, Self::Skipped];

    /// The stable word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Scanned => "scanned",
            Self::Partial => "partial",
            Self::Unreachable => "unreachable",
            Self::Untrusted => "untrusted",
            Self::Denied => "denied",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(self.as_str())
    }
}

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $name:ident = $code:literal => $status:ident,)+) => {
        /// Why a host came out as it did: a stable code for scripts.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Reason { $($(#[doc = $doc])+ $name,)+ }

        impl Reason {
            /// Every reason, in the order of the documentation.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// The stable code.
            pub fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)+ }
            }

            /// The status that this reason leads to when nothing of the host is known.
            pub fn status(self) -> Status {
                match self { $(Self::$name => Status::$status,)+ }
            }

            /// What it means, in a sentence.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$name => concat!($($doc),+).trim_ascii(),)+ }
            }
        }
    };
}

reasons! {
    /// The script ran to its end.
    Complete = "complete" => Scanned,
    /// The name has no address.
    NameNotResolved = "name_not_resolved" => Unreachable,
    /// Nothing listens on the port.
    ConnectionRefused = "connection_refused" => Unreachable,
    /// The network knows no way to the address.
    NoRoute = "no_route" => Unreachable,
    /// The TCP connection was not accepted in time.
    ConnectTimeout = "connect_timeout" => Unreachable,
    /// The connection was reset or closed before the login.
    ConnectionReset = "connection_reset" => Unreachable,
    /// The port accepted the connection and never said that it speaks SSH.
    BannerTimeout = "banner_timeout" => Unreachable,
    /// What answered is not an SSH server.
    NotSsh = "not_ssh" => Unreachable,
    /// The key exchange did not end in time.
    HandshakeTimeout = "handshake_timeout" => Unreachable,
    /// The key exchange failed, for want of a common algorithm or through a broken peer.
    HandshakeFailed = "handshake_failed" => Unreachable,
    /// The host has only algorithms that are no longer safe; `--legacy-algorithms` allows them.
    LegacyAlgorithms = "legacy_algorithms" => Unreachable,
    /// The server turned the connection away because it has too many already, also when asked again later.
    TooManyConnections = "too_many_connections" => Unreachable,
    /// A jump host on the way could not be used; the detail says which and why.
    JumpFailed = "jump_failed" => Unreachable,
    /// The ProxyCommand ended or could not be started.
    ProxyFailed = "proxy_failed" => Unreachable,
    /// No key is known for the host.
    HostKeyUnknown = "host_key_unknown" => Untrusted,
    /// The host shows another key than the known one.
    HostKeyChanged = "host_key_changed" => Untrusted,
    /// The host shows a key that known_hosts marks as revoked.
    HostKeyRevoked = "host_key_revoked" => Untrusted,
    /// The host shows an RSA key with fewer bits than are asked for (`RequiredRSASize`, 1024 by default).
    HostKeyTooShort = "host_key_too_short" => Untrusted,
    /// The host shows a certificate that does not hold: not for this name, out of its time, or of an authority that is not trusted.
    HostCertificateInvalid = "host_certificate_invalid" => Untrusted,
    /// There was nothing to log in with: no agent, no key file that can be used, no password.
    NoCredentials = "no_credentials" => Denied,
    /// The server accepted none of the keys and passwords that were offered.
    AuthRefused = "auth_refused" => Denied,
    /// The host wants the password changed before it lets the login in.
    PasswordExpired = "password_expired" => Denied,
    /// The host wants a second proof, such as a one-time code, that a scan cannot give.
    SecondFactor = "second_factor" => Denied,
    /// The login did not end in time.
    AuthTimeout = "auth_timeout" => Denied,
    /// The server opened no session or ran no command for the login.
    SessionRefused = "session_refused" => Failed,
    /// The login shell ran no command: nologin or the like.
    NoShell = "no_shell" => Failed,
    /// The server ran a command of its own in place of the script.
    ForcedCommand = "forced_command" => Failed,
    /// The login shell is restricted and does not start `/bin/sh`.
    RestrictedShell = "restricted_shell" => Failed,
    /// The login worked and then nothing came: start-up files that hang, or a host that is stuck.
    ShellTimeout = "shell_timeout" => Failed,
    /// The connection broke off while the script ran.
    ConnectionLost = "connection_lost" => Failed,
    /// The host used up its time.
    HostTimeout = "host_timeout" => Failed,
    /// The host sent more than the limit.
    OutputLimit = "output_limit" => Failed,
    /// The inventory or the configuration of ssh does not let the host be reached.
    ConfigurationWrong = "configuration_wrong" => Skipped,
    /// The whole scan ran into its deadline.
    Deadline = "deadline" => Skipped,
    /// The scan was interrupted.
    Interrupted = "interrupted" => Skipped,
    /// A fault in fleetscan itself, confined to this host.
    InternalError = "internal_error" => Failed,
}

impl fmt::Display for Reason {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(self.code())
    }
}

/// How a host came out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outcome {
    /// How far it got.
    pub status: Status,
    /// Why.
    pub reason: Reason,
    /// What exactly, escaped; empty for a host that was scanned.
    #[serde(with = "as_text")]
    pub detail: Evidence,
}

impl Outcome {
    /// The script ran to its end.
    pub fn scanned() -> Self {
        Self { status: Status::Scanned, reason: Reason::Complete, detail: Evidence::new("") }
    }

    /// Nothing of the host is known, for a reason.
    pub fn without_answers(reason: Reason, detail: impl AsRef<str>) -> Self {
        Self { status: reason.status(), reason, detail: Evidence::new(detail) }
    }
}

/// Why a conversation with a host came to nothing, or broke off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The stable code.
    pub reason: Reason,
    /// What exactly; may hold the host's own words, so it is escaped before it is shown ([`Outcome::without_answers`]).
    pub detail: String,
}

impl Failure {
    /// A failure with its detail.
    pub fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into() }
    }
}

impl From<Failure> for Outcome {
    fn from(failure: Failure) -> Self {
        Self::without_answers(failure.reason, failure.detail)
    }
}

/// With which rights the probes ran on a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Privilege {
    /// The login is root.
    Root,
    /// An unprivileged login, and one shell of root's by sudo for all commands that need root.
    SudoShell,
    /// An unprivileged login, and sudo before each command that needs root.
    Sudo,
    /// An unprivileged login, and one shell of root's by doas for all commands that need root.
    DoasShell,
    /// An unprivileged login, and doas before each command that needs root.
    Doas,
    /// An unprivileged login and nothing else.
    User,
}

impl Privilege {
    /// Every privilege, in the order of reports.
    pub const ALL: [Self; 6] = [Self::Root, Self::SudoShell, Self::Sudo, Self::DoasShell, Self::Doas, Self::User];

    /// The stable word, which is also the script's.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::SudoShell => "sudo_shell",
            Self::Sudo => "sudo",
            Self::DoasShell => "doas_shell",
            Self::Doas => "doas",
            Self::User => "user",
        }
    }

    /// The privilege of that word.
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|privilege| privilege.as_str() == word)
    }
}

impl fmt::Display for Privilege {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(self.as_str())
    }
}

/// A check that stayed unknown for want of a privilege, and what would settle it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PrivilegeGap {
    /// The id of the check.
    pub check: String,
    /// How many hosts it stayed unknown on.
    pub hosts: u64,
    /// The commands that it needs root for, each as a rule of sudoers names it; empty where rules would not be enough.
    pub rules: Vec<String>,
}

/// Everything the scan says of one host. As JSON it is the object of a host in the JSON report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostReport {
    /// The place in the inventory, from 0: what orders every report, and so not part of the JSON.
    #[serde(skip)]
    pub index: usize,
    /// The name in the inventory.
    pub name: String,
    /// What was dialled, with the port where it is not 22.
    pub address: String,
    /// The groups, sorted, without `all`.
    pub groups: Vec<String>,
    /// How it came out.
    pub outcome: Outcome,
    /// The operating system in the words of its os-release, where known.
    #[serde(with = "as_optional_text")]
    pub os: Option<Evidence>,
    /// The rights the probes had, where the host got that far.
    pub privilege: Option<Privilege>,
    /// The key that the host showed; `None` where it did not get that far, and where it was not asked over SSH.
    pub host_key: Option<ShownKey>,
    /// When the host was taken up, RFC 3339 in UTC.
    pub scanned_at: String,
    /// How long it took, milliseconds.
    pub duration_ms: u64,
    /// One for every check, in the order of the checks; empty unless the status is scanned or partial.
    pub findings: Vec<Finding>,
}

/// How often each verdict was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct VerdictCounts {
    /// Passed.
    pub pass: u64,
    /// Failed.
    pub fail: u64,
    /// To be decided by a person.
    pub review: u64,
    /// Not applicable.
    pub not_applicable: u64,
    /// Not known.
    pub unknown: u64,
}

impl VerdictCounts {
    /// Counts one more.
    pub fn add(&mut self, verdict: &Verdict) {
        match verdict {
            Verdict::Pass => self.pass += 1,
            Verdict::Fail => self.fail += 1,
            Verdict::Review => self.review += 1,
            Verdict::NotApplicable => self.not_applicable += 1,
            Verdict::Unknown(_) => self.unknown += 1,
        }
    }

    /// All of them.
    pub fn total(&self) -> u64 {
        self.pass + self.fail + self.review + self.not_applicable + self.unknown
    }
}

/// What the fleet says to one check.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CheckTotals {
    /// How often each verdict was given, scanned and partial hosts only.
    pub verdicts: VerdictCounts,
    /// How many of the unknown ones are so for want of a privilege.
    pub needs_root: u64,
    /// The first few hosts that failed, by their place in the inventory: enough for a screen, whatever the fleet's size.
    pub failed: Vec<(usize, String)>,
}

/// How many of the hosts that failed a check a report can name without another pass over the journal.
const HOSTS_NAMED: usize = 8;

/// Counts over the whole fleet. Its size depends on the number of checks, never on the number of hosts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Totals {
    /// Hosts of the inventory that were selected.
    pub hosts: u64,
    /// Hosts by status.
    pub statuses: BTreeMap<Status, u64>,
    /// Hosts not fully scanned, by reason.
    pub reasons: BTreeMap<Reason, u64>,
    /// Hosts that got that far, by the rights that the probes had.
    pub privileges: BTreeMap<Privilege, u64>,
    /// Hosts where a verdict stayed unknown for want of a privilege.
    pub needs_root: u64,
    /// All findings of scanned and partial hosts.
    pub verdicts: VerdictCounts,
    /// Failed findings by severity.
    pub failed: BTreeMap<Severity, u64>,
    /// Unknown findings by severity.
    pub unknown: BTreeMap<Severity, u64>,
    /// Per check, in the order of the checks.
    pub checks: Vec<CheckTotals>,
}

/// The result of a scan without its hosts, which are in the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FleetReport {
    /// When the scan began, RFC 3339 in UTC.
    pub started: String,
    /// When it ended, RFC 3339 in UTC.
    pub finished: String,
    /// Whether it was interrupted or ran into its deadline: hosts may be missing an answer for that reason alone.
    pub interrupted: bool,
    /// Whether hosts were let in whatever key they showed: then any of them may have been somebody else.
    pub insecure_host_keys: bool,
    /// The checks, in the order of every report.
    pub checks: Vec<Arc<CheckInfo>>,
    /// The counts.
    pub totals: Totals,
    /// For each check, in their order, the commands that it needs root for, each as a rule of sudoers names it; empty where nobody asked.
    pub rules: Vec<Vec<String>>,
    comparison: Comparison,
}

impl FleetReport {
    /// A report of no hosts yet.
    pub fn new(checks: Vec<Arc<CheckInfo>>, started: String) -> Self {
        let totals = Totals { checks: vec![CheckTotals::default(); checks.len()], ..Totals::default() };
        Self {
            finished: started.clone(),
            started,
            interrupted: false,
            insecure_host_keys: false,
            checks,
            totals,
            rules: Vec::new(),
            comparison: Comparison::default(),
        }
    }

    /// Counts a finished host, and keeps what must be compared with others.
    pub fn add(&mut self, host: &HostReport) {
        self.comparison.add(host);
        let totals = &mut self.totals;
        totals.hosts += 1;
        *totals.statuses.entry(host.outcome.status).or_default() += 1;
        if host.outcome.status != Status::Scanned {
            *totals.reasons.entry(host.outcome.reason).or_default() += 1;
        }
        if let Some(privilege) = host.privilege {
            *totals.privileges.entry(privilege).or_default() += 1;
        }
        let wants = |finding: &Finding| matches!(finding.verdict, Verdict::Unknown(Why::NeedsRoot(_)));
        totals.needs_root += u64::from(host.findings.iter().any(wants));
        for (at, finding) in host.findings.iter().enumerate() {
            totals.verdicts.add(&finding.verdict);
            let Some((check, info)) = totals.checks.get_mut(at).zip(self.checks.get(at)) else { continue };
            check.verdicts.add(&finding.verdict);
            check.needs_root += u64::from(wants(finding));
            match finding.verdict {
                Verdict::Fail => {
                    *totals.failed.entry(info.severity).or_default() += 1;
                    // Hosts finish in any order; the report must not depend on it.
                    let place = check.failed.partition_point(|(index, _)| *index < host.index);
                    if place < HOSTS_NAMED {
                        check.failed.insert(place, (host.index, host.name.clone()));
                        check.failed.truncate(HOSTS_NAMED);
                    }
                }
                Verdict::Unknown(_) => *totals.unknown.entry(info.severity).or_default() += 1,
                Verdict::Pass | Verdict::Review | Verdict::NotApplicable => {}
            }
        }
    }

    /// The checks that stayed unknown for want of a privilege, in their order.
    pub fn privilege_gaps(&self) -> Vec<PrivilegeGap> {
        let gap = |(at, (check, totals)): (usize, (&Arc<CheckInfo>, &CheckTotals))| {
            (totals.needs_root > 0).then(|| PrivilegeGap {
                check: check.id.clone(),
                hosts: totals.needs_root,
                rules: self.rules.get(at).cloned().unwrap_or_default(),
            })
        };
        self.checks.iter().zip(&self.totals.checks).enumerate().filter_map(gap).collect()
    }

    /// Keeps what a jump host showed, to be compared with the hosts; `detail` says why it could not be used, if so.
    pub fn add_jump_host(&mut self, name: &str, key: &ShownKey, detail: &str) {
        self.comparison.add_key(usize::MAX, name, key, detail);
    }

    /// What is wrong with the hosts as seen together, the worst first.
    pub fn fleet_findings(&self) -> Vec<FleetFinding> {
        self.comparison.findings()
    }

    /// Hosts whose every question was answered or refused for a reason.
    pub fn scanned(&self) -> u64 {
        self.totals.statuses.get(&Status::Scanned).copied().unwrap_or(0)
    }
}

/// What happens while a scan runs, for whoever shows it.
#[derive(Debug, Clone)]
pub enum ScanEvent {
    /// The scan begins with so many hosts.
    Started {
        /// Hosts selected.
        hosts: usize,
        /// Checks selected.
        checks: usize,
    },
    /// A host was taken up.
    HostStarted {
        /// Its place in the inventory.
        index: usize,
        /// Its name.
        name: Arc<str>,
    },
    /// A host is done.
    HostFinished(Arc<HostReport>),
    /// A second has passed.
    StillRunning,
    /// No further host is started; running ones end.
    Draining,
    /// Running hosts are given up.
    Aborting,
}

/// Shorthand used where a host was not scanned: the verdict every check then has in formats with a row per host and check.
impl From<&Outcome> for Verdict {
    fn from(outcome: &Outcome) -> Self {
        Self::Unknown(Why::NotAnswered(format!("{}: {}", outcome.reason, outcome.detail.text())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_json_are_the_words_of_every_other_report() {
        for status in Status::ALL {
            assert_eq!(serde_json::to_value(status).unwrap(), status.as_str());
        }
        for reason in Reason::ALL {
            assert_eq!(serde_json::to_value(reason).unwrap(), reason.code());
        }
        for severity in Severity::ALL {
            assert_eq!(serde_json::to_value(severity).unwrap(), severity.as_str());
        }
        for privilege in Privilege::ALL {
            assert_eq!(serde_json::to_value(privilege).unwrap(), privilege.as_str());
            assert_eq!(Privilege::of(privilege.as_str()), Some(privilege));
        }
    }
}
