//! `fleetscan plan`: what would run where. Nothing is contacted.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use clap::Args;
use ring::digest::{SHA256, digest};

use super::args::{CheckArgs, InventoryArgs, plan_of};
use super::error::Error;
use super::privilege::BecomeArgs;
use super::ssh::{SshArgs, needs};
use super::{ExitStatus, print};
use crate::command::{Become, Script};

use crate::model::{Connection, Host, counted};
use crate::probe::Plan;
use crate::ssh::{Route, Target};

/// Show what would run where, byte for byte, without contacting any host.
#[derive(Debug, Args)]
pub(super) struct PlanArgs {
    #[command(flatten)]
    inventory: InventoryArgs,
    #[command(flatten)]
    checks: CheckArgs,
    #[command(flatten)]
    ssh: SshArgs,
    #[command(flatten)]
    privilege: BecomeArgs,
}

/// Stands for the word that is drawn afresh for every host and run, so that the same plan has the same digest.
const NO_NONCE: &str = "00000000000000000000000000000000";

impl PlanArgs {
    pub(super) fn run(self) -> Result<ExitStatus, Error> {
        let checks = self.checks.load()?;
        let plan = plan_of(&checks)?;
        let hosts = self.inventory.select_given(self.privilege.given())?;

        let resolver = self.ssh.resolver()?;
        needs(&resolver, &hosts)?;
        let become_of = |host: &Host| self.privilege.of(host);
        let mut text = format!(
            "# {}, {}, {}; nothing is contacted\n\n",
            counted(hosts.len() as u64, "host"),
            counted(checks.checks().len() as u64, "check"),
            counted(plan.steps().len() as u64, "command")
        );
        for host in &hosts {
            let place = match host.connection {
                Connection::Local => "on this machine, without SSH".to_owned(),
                Connection::Ssh => resolver.target(host).map_or_else(|error| error.to_string(), |(target, _)| way(&target)),
            };
            let by = match become_of(host) {
                Become::No => String::new(),
                with => format!(", {} where root is needed", by(with)),
            };
            let groups = if host.groups.is_empty() { "ungrouped".to_owned() } else { host.groups.join(",") };
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{}: {place}{by}; groups: {groups}", host.name);
        }
        commands(&plan, &mut text);
        let kinds: BTreeSet<Become> = hosts.iter().map(become_of).collect();
        for with in kinds {
            let script = Script::new(NO_NONCE, plan.steps(), with);
            let who = match with {
                Become::No => "without sudo and doas".to_owned(),
                with => format!("with {}", by(with)),
            };
            let _ = writeln!(
                text,
                "\n# The script for hosts {who}, on the standard input of `/bin/sh -s`; a fresh nonce takes the place of the zeros."
            );
            if script.with() != Become::No {
                let _ = writeln!(
                    text,
                    "# F is what both shells know, R what needs root, O the rest. Where sudo or doas gives a shell of root's, that one asks all of it\n\
                     # (F, O and R, as `whole` puts them together); else the login asks, and R command by command."
                );
            }
            let _ = writeln!(text, "# sha256 {}\n{}", digest_of(&plan, with), script.text());
        }
        print(&text)?;
        Ok(ExitStatus::Clean)
    }
}

/// How a host is reached: as whom, where, and through which others.
fn way(target: &Target) -> String {
    let place = |target: &Target| match target.port {
        22 => format!("{}@{}", target.user, target.address),
        port => format!("{}@{} port {port}", target.user, target.address),
    };
    let mut text = format!("ssh {}", place(target));
    for hop in target.way().skip(1) {
        text.push_str(&format!(", through {}", place(hop)));
    }
    if let Some(Route::Command(command)) = target.way().last().map(|first| &first.route) {
        text.push_str(&format!(", over `{command}`"));
    }
    text
}

/// By what a login becomes root, in words.
fn by(with: Become) -> &'static str {
    match with {
        Become::No => "nothing",
        Become::Sudo { password: false, or_doas: true } => "sudo or doas",
        Become::Sudo { password: true, or_doas: true } => "sudo (with a password if it wants one) or doas",
        Become::Sudo { password: false, or_doas: false } => "sudo",
        Become::Sudo { password: true, or_doas: false } => "sudo (with a password if it wants one)",
        Become::Doas => "doas",
    }
}

/// SHA-256 of the script of a plan, with zeros for the nonce.
pub(super) fn digest_of(plan: &Plan, with: Become) -> String {
    let script = Script::new(NO_NONCE, plan.steps(), with);
    data_encoding::HEXLOWER.encode(digest(&SHA256, script.text().as_bytes()).as_ref())
}

fn commands(plan: &Plan, text: &mut String) {
    let _ = writeln!(text, "\n# Commands: id, rights, time limit, command");
    for step in plan.steps() {
        let rights = step.command.rights().as_str();
        let _ = writeln!(text, "{:32} {rights:6} {:>3} s  {}", step.id, step.limit.as_secs(), step.command);
    }
}
