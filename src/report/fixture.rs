//! Hand-made fleets for the tests of every format.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::WriteFormat;
use crate::journal::Journal;
use crate::model::{
    CheckInfo, Evidence, Finding, FleetReport, HostReport, KeyTrust, Outcome, Privilege, Reason, Severity, ShownKey, Status,
    Verdict, Why,
};

/// Checks and hosts, the latter in the order in which they finished.
#[derive(Clone)]
pub(super) struct Fleet {
    pub(super) checks: Vec<CheckInfo>,
    pub(super) hosts: Vec<HostReport>,
    pub(super) insecure: bool,
}

impl Fleet {
    pub(super) fn of(checks: Vec<CheckInfo>, hosts: Vec<HostReport>) -> Self {
        Self { checks, hosts, insecure: false }
    }

    pub(super) fn finished(&self) -> (FleetReport, Journal) {
        let checks = self.checks.iter().cloned().map(Arc::new).collect();
        let mut report = FleetReport::new(checks, "2026-01-02T03:04:05Z".to_owned());
        let rules = |check: &CheckInfo| match check.id.as_str() {
            "audit.rules.loaded" => vec!["/usr/sbin/auditctl -l".to_owned(), "/sbin/auditctl -l".to_owned()],
            _ => Vec::new(),
        };
        report.rules = self.checks.iter().map(rules).collect();
        let mut journal = Journal::new().unwrap();
        for host in &self.hosts {
            report.add(host);
            journal.append(host).unwrap();
        }
        report.finished = "2026-01-02T03:05:12Z".to_owned();
        report.insecure_host_keys = self.insecure;
        (report, journal)
    }

    pub(super) fn written(&self, write: WriteFormat) -> Vec<u8> {
        let (report, journal) = self.finished();
        let mut out = Vec::new();
        write(&report, &journal, &mut out).unwrap();
        out
    }
}

pub(super) fn check(id: &str, severity: Severity) -> CheckInfo {
    CheckInfo {
        id: id.to_owned(),
        title: format!("What {id} asks for holds"),
        severity,
        rationale: "Otherwise it does not.".to_owned(),
        remediation: "chmod 0640 FILE".to_owned(),
        references: BTreeMap::from([("cis-docker".to_owned(), "1.1.2".to_owned()), ("seed".to_owned(), "2.4".to_owned())]),
        tags: vec!["docker".to_owned()],
    }
}

pub(super) fn finding(check: &str, verdict: Verdict, lines: &[&str]) -> Finding {
    Finding { check: check.to_owned(), verdict, evidence: lines.iter().map(Evidence::new).collect() }
}

pub(super) fn host(index: usize) -> HostReport {
    HostReport {
        index,
        name: format!("web{index:02}"),
        address: format!("192.0.2.{}:2222", index % 256),
        groups: vec!["prod".to_owned(), "web".to_owned()],
        outcome: Outcome::scanned(),
        os: Some(Evidence::new("Debian GNU/Linux 12 (bookworm)")),
        privilege: Some(Privilege::Sudo),
        host_key: None,
        scanned_at: "2026-01-02T03:04:06Z".to_owned(),
        duration_ms: 1_234,
        findings: Vec::new(),
    }
}

/// A key that says whose it is.
pub(super) fn key(whose: &str, how: KeyTrust, machine: &str) -> ShownKey {
    let letters = whose.chars().filter(char::is_ascii_alphanumeric);
    let fingerprint = format!("SHA256:{}", letters.chain(std::iter::repeat('x')).take(43).collect::<String>());
    ShownKey { algorithm: "ssh-ed25519".to_owned(), fingerprint, how, machine: machine.to_owned() }
}

/// Five hosts, every verdict, and text that wants to be a formula, an escape sequence, a new row or another line.
pub(super) fn hostile() -> Fleet {
    let mut checks = vec![
        check("docker.socket.mode", Severity::Critical),
        check("docker.group.trusted-members", Severity::High),
        check("audit.rules.loaded", Severity::Medium),
        check("ssh.banner", Severity::Info),
        check("docker.engine.end-of-life", Severity::High),
    ];
    checks[0].title =
        "The Docker socket, which is root on the host in all but name, is open to no one but root and its group".to_owned();
    checks[0].remediation = "chmod 0660 /var/run/docker.sock\nsystemctl restart docker, \"quoted\"\n".to_owned();
    checks[1].title = "=HYPERLINK(\"http://evil.example\",\"click\")".to_owned();
    checks[3].references.clear();

    let judged = |lines: [&str; 2]| {
        vec![
            Finding {
                check: "docker.socket.mode".to_owned(),
                verdict: Verdict::Fail,
                evidence: vec![
                    Evidence::from_source(lines[0], "stat -c '%a %U %G' /var/run/docker.sock"),
                    Evidence::new(lines[1]),
                ],
            },
            finding("docker.group.trusted-members", Verdict::Review, &["mallory", "@SUM(1+1)"]),
            finding(
                "audit.rules.loaded",
                Verdict::Unknown(Why::NeedsRoot("sudo: a password is required".to_owned())),
                &["sudo: a password is required"],
            ),
            finding("ssh.banner", Verdict::Pass, &["none"]),
            finding("docker.engine.end-of-life", Verdict::NotApplicable, &["docker.installed is false"]),
        ]
    };
    let long = "-rw-rw-rw- and much more to say about it than a line of a terminal can hold; ".repeat(4);
    let hosts = vec![
        HostReport {
            findings: judged(["=cmd|'/C calc'!A0", "666\r\nroot,\"root\",\x1b[31mroot\u{202e}"]),
            host_key: Some(key("hostile and his clone", KeyTrust::Known, "192.0.2.0:2222")),
            ..host(0)
        },
        HostReport {
            name: "数据库\u{202e}\x1b[2J,\"01\"\r\nroot".to_owned(),
            groups: vec!["+prod".to_owned(), "a;=b".to_owned()],
            findings: judged(["x\0y\u{200b}", &long]),
            host_key: Some(key("hostile and his clone", KeyTrust::AcceptedNew, "192.0.2.1:2222")),
            ..host(1)
        },
        HostReport {
            name: "db02.a-very-long-name.internal.example.org".to_owned(),
            outcome: Outcome::without_answers(
                Reason::HostKeyChanged,
                "known_hosts:7 has ssh-ed25519 SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU, the host shows another\n",
            ),
            os: None,
            privilege: None,
            host_key: Some(key("another", KeyTrust::Changed, "192.0.2.2:2222")),
            ..host(2)
        },
        HostReport {
            outcome: Outcome {
                status: Status::Partial,
                ..Outcome::without_answers(Reason::ConnectionLost, "=1+1 after 12 of 40 answers")
            },
            findings: judged(["660", "ok"]),
            ..host(3)
        },
        HostReport {
            outcome: Outcome::without_answers(Reason::ConnectionRefused, ""),
            groups: Vec::new(),
            os: None,
            privilege: None,
            ..host(4)
        },
    ];
    Fleet::of(checks, hosts)
}

/// A fleet of any size, 60 checks, most of them failing somewhere, every seventh host not scanned.
pub(super) fn large(size: usize) -> Fleet {
    let checks: Vec<_> = (0..60).map(|at| check(&format!("topic{}.rule-{at:02}", at % 7), Severity::ALL[at % 5])).collect();
    let hosts = (0..size).map(|index| {
        if index % 7 == 3 {
            let reason = Reason::ALL[1 + index / 7 % (Reason::ALL.len() - 1)];
            let outcome = Outcome::without_answers(reason, format!("attempt {index} said so, and it took its time to say it"));
            return HostReport { outcome, os: None, privilege: None, ..host(index) };
        }
        let findings = checks.iter().enumerate().map(|(at, check)| match (index * 31 + at * 17) % 11 {
            0..4 if at % 4 > 0 => finding(&check.id, Verdict::Fail, &["mode 0666"]),
            4 if at % 3 == 0 => finding(&check.id, Verdict::Review, &["mallory"]),
            5 => finding(&check.id, Verdict::Unknown(Why::NeedsRoot("no sudo".to_owned())), &["no sudo"]),
            6 if at % 9 == 0 => finding(&check.id, Verdict::Unknown(Why::TimedOut("10 s".to_owned())), &["10 s"]),
            _ => finding(&check.id, Verdict::Pass, &["mode 0640"]),
        });
        HostReport { findings: findings.collect(), ..host(index) }
    });
    let hosts = hosts.collect();
    Fleet::of(checks, hosts)
}
