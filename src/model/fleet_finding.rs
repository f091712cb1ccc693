//! What can only be seen across hosts.

use serde::{Deserialize, Serialize};

use super::{Evidence, HostReport, KeyTrust, Severity, ShownKey, are_several};

/// What is wrong across hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FleetFindingKind {
    /// A host shows another key than the known one.
    HostKeyChanged,
    /// A host shows a key that was revoked.
    HostKeyRevoked,
    /// Several machines show one key.
    HostKeyShared,
}

impl FleetFindingKind {
    /// Every kind, in the order of reports.
    pub const ALL: [Self; 3] = [Self::HostKeyChanged, Self::HostKeyRevoked, Self::HostKeyShared];

    /// The stable word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::HostKeyChanged => "host_key_changed",
            Self::HostKeyRevoked => "host_key_revoked",
            Self::HostKeyShared => "host_key_shared",
        }
    }

    /// How much it matters. Whoever answers with a changed or a revoked key may be somebody else; a shared one is as safe as the least of its machines.
    pub fn severity(self) -> Severity {
        match self {
            Self::HostKeyChanged | Self::HostKeyRevoked => Severity::Critical,
            Self::HostKeyShared => Severity::High,
        }
    }

    /// What holds where there is no such finding.
    pub fn title(self) -> &'static str {
        match self {
            Self::HostKeyChanged => "Every host shows the key that it is known by",
            Self::HostKeyRevoked => "No host shows a key that was revoked",
            Self::HostKeyShared => "Every machine has a host key of its own",
        }
    }

    /// What to do.
    pub fn remediation(self) -> &'static str {
        match self {
            Self::HostKeyChanged => {
                "Find out why before you log in: a host that was set up anew has a new key, and so has whoever stands in between. Compare the fingerprint on the \
                 host's console (`ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub`), and only then replace the line of known_hosts."
            }
            Self::HostKeyRevoked => {
                "Give the host new keys (delete /etc/ssh/ssh_host_*_key*, `ssh-keygen -A`, restart sshd), publish them, and find out what was done with the old one."
            }
            Self::HostKeyShared => {
                "Give each machine its own keys: delete /etc/ssh/ssh_host_*_key*, `ssh-keygen -A`, restart sshd; remove the keys from the image that the machines were \
                 cloned from. Where it is one machine under several addresses, list it once."
            }
        }
    }
}

/// Something that is wrong with hosts as seen together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FleetFinding {
    /// What it is.
    pub kind: FleetFindingKind,
    /// How much it matters.
    pub severity: Severity,
    /// What should hold and does not.
    pub title: String,
    /// The hosts that it is about, in the order of the inventory, jump hosts after them.
    pub hosts: Vec<String>,
    /// What shows it.
    pub evidence: Vec<Evidence>,
    /// What to do.
    pub remediation: String,
}

/// What of each host must be compared with others: the key it showed. Some hundred bytes a host.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Comparison {
    keys: Vec<Seen>,
    wrong: Vec<Wrong>,
}

/// A key and who showed it. Ordered by key, then by place in the inventory.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Seen {
    fingerprint: Box<str>,
    index: usize,
    algorithm: Box<str>,
    machine: Box<str>,
    name: Box<str>,
}

/// A host whose key is wrong in itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Wrong {
    kind: FleetFindingKind,
    index: usize,
    name: Box<str>,
    detail: Box<str>,
}

impl Comparison {
    pub(super) fn add(&mut self, host: &HostReport) {
        if let Some(key) = &host.host_key {
            self.add_key(host.index, &host.name, key, host.outcome.detail.text());
        }
    }

    /// The same for a host that is not in the inventory. `detail` says why it was refused, if it was.
    pub(super) fn add_key(&mut self, index: usize, name: &str, key: &ShownKey, detail: &str) {
        self.keys.push(Seen {
            fingerprint: key.fingerprint.as_str().into(),
            index,
            algorithm: key.algorithm.as_str().into(),
            machine: key.machine.as_str().into(),
            name: name.into(),
        });
        let kind = match key.how {
            KeyTrust::Changed => FleetFindingKind::HostKeyChanged,
            KeyTrust::Revoked => FleetFindingKind::HostKeyRevoked,
            KeyTrust::Known
            | KeyTrust::Certificate
            | KeyTrust::AcceptedNew
            | KeyTrust::Unknown
            | KeyTrust::TooShort
            | KeyTrust::CertificateInvalid => return,
        };
        // A host that was let in all the same was refused for no reason.
        let detail = match detail {
            "" => format!("it shows {} {}", key.algorithm, key.fingerprint),
            detail => detail.to_owned(),
        };
        self.wrong.push(Wrong { kind, index, name: name.into(), detail: detail.into() });
    }

    /// What is wrong, the worst first; the same whatever host finished first.
    pub(super) fn findings(&self) -> Vec<FleetFinding> {
        let mut wrong: Vec<&Wrong> = self.wrong.iter().collect();
        wrong.sort_unstable();
        let finding = |kind: FleetFindingKind, hosts: Vec<String>, evidence: String| FleetFinding {
            kind,
            severity: kind.severity(),
            title: kind.title().to_owned(),
            hosts,
            evidence: vec![Evidence::new(evidence)],
            remediation: kind.remediation().to_owned(),
        };
        let mut findings: Vec<FleetFinding> =
            wrong.into_iter().map(|host| finding(host.kind, vec![host.name.to_string()], host.detail.to_string())).collect();
        findings.extend(self.shared().into_iter().map(|hosts| {
            let names = hosts.iter().map(|seen| seen.name.to_string()).collect();
            let mut machines: Vec<&str> = hosts.iter().map(|seen| &*seen.machine).collect();
            machines.sort_unstable();
            machines.dedup();
            let key = hosts.first().map(|seen| format!("{} {}", seen.algorithm, seen.fingerprint)).unwrap_or_default();
            let shown: Vec<&str> = machines.iter().take(MACHINES_NAMED).copied().collect();
            let more = match machines.len() - shown.len() {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            let evidence = format!("{key} is the key of {} machines: {}{more}", machines.len(), shown.join(", "));
            finding(FleetFindingKind::HostKeyShared, names, evidence)
        }));
        findings
    }

    /// The hosts that share a key, key by key, by the first place in the inventory. A machine that is listed twice shares with nobody.
    fn shared(&self) -> Vec<Vec<&Seen>> {
        let mut keys: Vec<&Seen> = self.keys.iter().collect();
        keys.sort_unstable();
        let mut shared: Vec<Vec<&Seen>> = keys
            .chunk_by(|one, other| one.fingerprint == other.fingerprint)
            .filter(|hosts| are_several(hosts.iter().map(|seen| seen.machine.as_ref())))
            .map(<[&Seen]>::to_vec)
            .collect();
        shared.sort_by_key(|hosts| hosts.first().map(|seen| seen.index));
        shared
    }
}

/// How many machines the evidence of a shared key names; the finding names all hosts.
const MACHINES_NAMED: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Outcome, Reason, ShownKey};

    fn host(index: usize, machine: &str, fingerprint: &str, how: KeyTrust) -> HostReport {
        HostReport {
            index,
            name: format!("web{index}"),
            address: String::new(),
            groups: Vec::new(),
            outcome: Outcome::scanned(),
            os: None,
            privilege: None,
            host_key: Some(ShownKey {
                algorithm: "ssh-ed25519".to_owned(),
                fingerprint: fingerprint.to_owned(),
                how,
                machine: machine.to_owned(),
            }),
            scanned_at: String::new(),
            duration_ms: 0,
            findings: Vec::new(),
        }
    }

    fn findings(hosts: &[HostReport]) -> Vec<FleetFinding> {
        let mut comparison = Comparison::default();
        hosts.iter().for_each(|host| comparison.add(host));
        comparison.findings()
    }

    #[test]
    fn machines_that_share_a_key_are_one_finding_whatever_finished_first() {
        let mut hosts = vec![
            host(0, "192.0.2.1:22", "SHA256:a", KeyTrust::Known),
            host(1, "192.0.2.2:22", "SHA256:b", KeyTrust::Known),
            host(2, "192.0.2.3:22", "SHA256:a", KeyTrust::Certificate),
            host(3, "192.0.2.1:2222", "SHA256:a", KeyTrust::Unknown),
        ];
        let found = findings(&hosts);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].kind, found[0].severity), (FleetFindingKind::HostKeyShared, Severity::High));
        assert_eq!(found[0].hosts, ["web0", "web2", "web3"]);
        assert_eq!(
            found[0].evidence[0].text(),
            "ssh-ed25519 SHA256:a is the key of 3 machines: 192.0.2.1:22, 192.0.2.1:2222, 192.0.2.3:22"
        );
        hosts.reverse();
        assert_eq!(findings(&hosts), found);
    }

    #[test]
    fn two_names_of_one_machine_share_nothing() {
        let hosts = [host(0, "192.0.2.1:22", "SHA256:a", KeyTrust::Known), host(1, "192.0.2.1:22", "SHA256:a", KeyTrust::Known)];
        assert_eq!(findings(&hosts), []);
    }

    #[test]
    fn a_changed_and_a_revoked_key_are_critical_and_come_first() {
        let refused = |index, how, reason, detail| HostReport {
            outcome: Outcome::without_answers(reason, detail),
            ..host(index, &format!("192.0.2.{index}:22"), &format!("SHA256:{index}"), how)
        };
        let hosts = [
            host(0, "192.0.2.9:22", "SHA256:a", KeyTrust::Known),
            host(1, "192.0.2.8:22", "SHA256:a", KeyTrust::Known),
            refused(2, KeyTrust::Revoked, Reason::HostKeyRevoked, "revoked\u{1b}[31m"),
            refused(3, KeyTrust::Changed, Reason::HostKeyChanged, "`web3` shows another"),
            // Let in all the same.
            host(4, "192.0.2.4:22", "SHA256:4", KeyTrust::Changed),
        ];
        let found = findings(&hosts);
        let kinds: Vec<_> = found.iter().map(|finding| (finding.kind, finding.hosts.join(","))).collect();
        assert_eq!(
            kinds,
            [
                (FleetFindingKind::HostKeyChanged, "web3".to_owned()),
                (FleetFindingKind::HostKeyChanged, "web4".to_owned()),
                (FleetFindingKind::HostKeyRevoked, "web2".to_owned()),
                (FleetFindingKind::HostKeyShared, "web0,web1".to_owned()),
            ]
        );
        assert_eq!(found[0].severity, Severity::Critical);
        assert_eq!(found[1].evidence[0].text(), "it shows ssh-ed25519 SHA256:4");
        assert_eq!(found[2].evidence[0].text(), "revoked\\u{1b}[31m");
    }

    #[test]
    fn a_jump_host_is_compared_too_and_comes_last() {
        let hosts = [host(7, "192.0.2.1:22", "SHA256:a", KeyTrust::Known)];
        let mut comparison = Comparison::default();
        let key = |fingerprint: &str, how| host(0, "192.0.2.9:22", fingerprint, how).host_key.unwrap();
        comparison.add_key(usize::MAX, "root@bastion", &key("SHA256:a", KeyTrust::Changed), "`bastion` shows another");
        hosts.iter().for_each(|host| comparison.add(host));
        let found = comparison.findings();
        assert_eq!(
            (found[0].kind, found[0].hosts.as_slice()),
            (FleetFindingKind::HostKeyChanged, ["root@bastion".to_owned()].as_slice())
        );
        assert_eq!(found[1].hosts, ["web7", "root@bastion"]);
    }

    #[test]
    fn a_host_without_a_key_is_compared_with_nobody() {
        let replayed = |index| HostReport { host_key: None, ..host(index, "", "", KeyTrust::Known) };
        assert_eq!(findings(&[replayed(0), replayed(1)]), []);
    }
}
