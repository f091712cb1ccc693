//! `fleetscan doctor`: how far a scan of each host would come, and the mend where it stops.

use std::collections::BTreeMap;

use clap::Args;

use super::args::{CheckArgs, InventoryArgs, plan_of};
use super::error::Error;
use super::scan::{ConnectionArgs, options, runtime};
use super::{ExitStatus, print};
use crate::command::{Fragment, ReadOnlyCommand, Rights, STEP_LIMIT, Step};
use crate::inventory::Given;
use crate::model::{Host, Reason, Status, Why, counted, escape};
use crate::probe::Plan;
use crate::scan::{self, Examined};

/// Show for every host, in a line each, where a scan would stop and what to do about it.
///
/// Connects and logs in as a scan does, asks a few questions, those that need root among them, and judges nothing. Stages: name, tcp, banner, key-exchange,
/// host-key, login, shell, privilege, tools; `ok` for a host that passes them all. Exit status: 0 where every host is ok, else 3.
#[derive(Debug, Args)]
pub(super) struct DoctorArgs {
    #[command(flatten)]
    inventory: InventoryArgs,
    #[command(flatten)]
    checks: CheckArgs,
    #[command(flatten)]
    connection: ConnectionArgs,
}

/// The programs without which many questions of any scan have no answer.
const TOOLS: [&str; 6] = ["cat", "getent", "grep", "id", "readlink", "stat"];

impl DoctorArgs {
    pub(super) fn run(self) -> Result<ExitStatus, Error> {
        let checks = self.checks.load()?;
        let plan = plan_of(&checks)?;
        let given = Given { password: self.connection.login.names_password(), ..self.connection.privilege.given() };
        let hosts = self.inventory.select_given(given)?;
        let steps = steps(&plan)?;
        let findings = runtime()?.block_on(async {
            let options = options(self.connection, &hosts).await?;
            let asked = steps.clone();
            Ok::<_, Error>(scan::examine(&hosts, &steps, options, move |examined| line(examined, &asked)).await)
        })?;
        print(&table(&hosts, &findings))?;
        let well = findings.iter().all(|line| line.stage == "ok");
        Ok(if well { ExitStatus::Clean } else { ExitStatus::Incomplete })
    }
}

/// The questions: who we are, what is there, and what of the plan needs root and is quick.
fn steps(plan: &Plan) -> Result<Vec<Step>, Error> {
    let of_plan = |step: &&Step| step.id == "login" || step.command.always_needs_its_rights() && step.limit <= STEP_LIMIT;
    let mut steps: Vec<Step> = plan.steps().iter().filter(of_plan).cloned().collect();
    let tools = ReadOnlyCommand::fragment(Fragment::Tools, &TOOLS, Rights::Any)
        .map_err(|error| Error::because("the programs of a host cannot be asked for", error))?;
    steps.push(Step::new("doctor-tools", tools));
    Ok(steps)
}

/// What is said of a host.
struct Line {
    stage: &'static str,
    cause: String,
    mend: String,
}

fn line(examined: &Examined, steps: &[Step]) -> Line {
    let Examined { outcome, answers, privilege } = examined;
    if outcome.status != Status::Scanned {
        let cause = format!("{}: {}", outcome.reason, outcome.detail.text());
        return Line { stage: stage(outcome.reason), cause, mend: mend(outcome.reason).to_owned() };
    }
    let privilege = privilege.map_or("unknown", |privilege| privilege.as_str());
    let asked: Vec<&Step> = steps.iter().filter(|step| step.command.always_needs_its_rights()).collect();
    let refused: Vec<String> = asked
        .iter()
        .filter_map(|step| match answers.answer(&step.id) {
            Err(Why::NeedsRoot(what)) => Some(what),
            _ => None,
        })
        .collect();
    if let Some(first) = refused.first() {
        let cause =
            format!("{privilege}: {} of {} questions that need root are refused; the first: {first}", refused.len(), asked.len());
        let mend = "log in as root, or use -b and give the login the rules of `fleetscan sudoers`".to_owned();
        return Line { stage: "privilege", cause, mend };
    }
    let there = answers.text("doctor-tools").unwrap_or_default();
    let missing: Vec<&str> =
        TOOLS.into_iter().filter(|tool| !there.lines().any(|line| line.split('=').next() == Some(tool))).collect();
    if !missing.is_empty() {
        let cause = format!("{} missing: what they would tell stays unknown", missing.join(", "));
        return Line { stage: "tools", cause, mend: "install them, or live with unknown verdicts".to_owned() };
    }
    Line { stage: "ok", cause: privilege.to_owned(), mend: String::new() }
}

/// A line for every host, and how many came how far.
fn table(hosts: &[Host], lines: &[Line]) -> String {
    let names: Vec<String> = hosts.iter().map(|host| escape(&host.name, 100)).collect();
    let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
    let mut text = String::new();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for (name, Line { stage, cause, mend }) in names.iter().zip(lines) {
        *counts.entry(stage).or_default() += 1;
        let mend = if mend.is_empty() { String::new() } else { format!(" -> {mend}") };
        text.push_str(&format!("{name:width$}  {stage:12}  {}{mend}\n", escape(cause, 600)));
    }
    let counts: Vec<String> = counts.into_iter().map(|(stage, count)| format!("{stage} {count}")).collect();
    text.push_str(&format!("\n{}: {}\n", counted(hosts.len() as u64, "host"), counts.join(", ")));
    text
}

/// The stage that a reason belongs to.
fn stage(reason: Reason) -> &'static str {
    match reason {
        Reason::Complete => "ok",
        Reason::NameNotResolved | Reason::ConfigurationWrong => "name",
        Reason::ConnectionRefused
        | Reason::NoRoute
        | Reason::ConnectTimeout
        | Reason::TooManyConnections
        | Reason::JumpFailed
        | Reason::ProxyFailed => "tcp",
        Reason::ConnectionReset | Reason::BannerTimeout | Reason::NotSsh => "banner",
        Reason::HandshakeTimeout | Reason::HandshakeFailed | Reason::LegacyAlgorithms => "key-exchange",
        Reason::HostKeyUnknown
        | Reason::HostKeyChanged
        | Reason::HostKeyRevoked
        | Reason::HostKeyTooShort
        | Reason::HostCertificateInvalid => "host-key",
        Reason::NoCredentials | Reason::AuthRefused | Reason::PasswordExpired | Reason::SecondFactor | Reason::AuthTimeout => {
            "login"
        }
        Reason::SessionRefused
        | Reason::NoShell
        | Reason::ForcedCommand
        | Reason::RestrictedShell
        | Reason::ShellTimeout
        | Reason::ConnectionLost
        | Reason::HostTimeout
        | Reason::OutputLimit
        | Reason::Deadline
        | Reason::Interrupted
        | Reason::InternalError => "shell",
    }
}

/// What to do about it.
fn mend(reason: Reason) -> &'static str {
    match reason {
        Reason::Complete => "",
        Reason::NameNotResolved => "mend the name, or set `ansible_host` or `HostName`",
        Reason::ConfigurationWrong => "mend the inventory or the configuration of ssh",
        Reason::ConnectionRefused => "is sshd running, and on this port? set `ansible_port` or `Port`",
        Reason::NoRoute => "is the host up, and is there a way to its network? a jump host: -J or `ProxyJump`",
        Reason::ConnectTimeout => "does a firewall drop the port? a jump host: -J or `ProxyJump`; more time: -T",
        Reason::TooManyConnections => "raise `MaxStartups` of its sshd, or lower -f",
        Reason::JumpFailed => "mend the jump host first",
        Reason::ProxyFailed => "run the ProxyCommand by hand",
        Reason::ConnectionReset => "do `MaxStartups`, TCP wrappers or a firewall end connections? see its sshd log",
        Reason::BannerTimeout => "is the host overloaded or paused? more time: -T",
        Reason::NotSsh => "name the port of sshd: `ansible_port` or `Port`",
        Reason::HandshakeTimeout => "is the host overloaded? more time: -T",
        Reason::HandshakeFailed => {
            "let its sshd offer algorithms that are safe, or name some with -o KexAlgorithms, Ciphers, MACs"
        }
        Reason::LegacyAlgorithms => "renew its sshd, or allow them: --legacy-algorithms",
        Reason::HostKeyUnknown => {
            "collect keys with `fleetscan host-keys -o FILE`, verify them, use --known-hosts FILE; or --host-keys accept-new"
        }
        Reason::HostKeyChanged => "find out why: a new installation, or somebody in between; then mend known_hosts",
        Reason::HostKeyRevoked => "give the host a new key",
        Reason::HostKeyTooShort => "give it a longer key, or an Ed25519 one, and list that in known_hosts",
        Reason::HostCertificateInvalid => "renew its certificate, with the name it is reached by as principal",
        Reason::NoCredentials => "start an agent, name a key with --private-key, or a password with -k",
        Reason::AuthRefused => "is the login right (-u), and is the key in its authorized_keys?",
        Reason::PasswordExpired => "change the password, or use a key",
        Reason::SecondFactor => "give the login of the scan a way in without one, such as a certificate from a jump host",
        Reason::AuthTimeout => "does its PAM or directory hang? see its sshd log",
        Reason::SessionRefused => "raise `MaxSessions` of its sshd",
        Reason::NoShell => "give the login a shell",
        Reason::ForcedCommand => "take the forced command from the key or the account (`command=`, `ForceCommand`)",
        Reason::RestrictedShell => "give the login /bin/sh or another full shell",
        Reason::ShellTimeout => "what hangs in the start-up files of the login? log in by hand",
        Reason::ConnectionLost => "see the logs of the host and of the network between",
        Reason::HostTimeout => "more time: --host-timeout",
        Reason::OutputLimit => "what floods the login? log in by hand",
        Reason::Deadline | Reason::Interrupted => "again, with more time",
        Reason::InternalError => "please report this",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_to_stop_has_a_stage_and_a_mend() {
        for reason in Reason::ALL.iter().filter(|reason| **reason != Reason::Complete) {
            assert!(stage(*reason) != "ok" && !mend(*reason).is_empty(), "{reason}");
        }
    }
}
