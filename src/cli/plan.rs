//! `fleetscan plan`: what would run where. Nothing is contacted.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use clap::Args;
use ring::digest::{SHA256, digest};

use super::args::{CheckArgs, InventoryArgs};
use super::error::Error;
use super::{ExitStatus, print};
use crate::command::{Become, Script};
use crate::inventory::Given;
use crate::model::{Connection, Host};
use crate::probe::{self, Plan};
use crate::scan;

/// Show what would run where, byte for byte, without contacting any host.
#[derive(Debug, Args)]
pub(super) struct PlanArgs {
    #[command(flatten)]
    inventory: InventoryArgs,
    #[command(flatten)]
    checks: CheckArgs,
    /// The user where the inventory names none
    #[arg(short, long)]
    user: Option<String>,
    /// Ask sudo for the commands that need root, where the inventory does not say
    #[arg(short, long = "become")]
    become_root: bool,
}

/// Stands for the word that is drawn afresh for every host and run, so that the same plan has the same digest.
const NO_NONCE: &str = "00000000000000000000000000000000";

impl PlanArgs {
    pub(super) fn run(self) -> Result<ExitStatus, Error> {
        let checks = self.checks.load()?;
        let mut facts = checks.facts();
        facts.extend(scan::base_facts());
        let plan = probe::plan(&facts).map_err(|error| Error::because("the checks ask for what no probe knows", error))?;
        let hosts = self.inventory.select_given(Given { become_root: self.become_root, ..Given::default() })?;

        let become_of = |host: &Host| if host.become_root.unwrap_or(self.become_root) { Become::Sudo } else { Become::No };
        let mut text = format!(
            "# {} hosts, {} checks, {} commands; nothing is contacted\n\n",
            hosts.len(),
            checks.checks().len(),
            plan.steps().len()
        );
        for host in &hosts {
            let user = host.user.as_deref().or(self.user.as_deref()).unwrap_or("(you)");
            let place = match (host.connection, host.port) {
                (Connection::Local, _) => "on this machine, without SSH".to_owned(),
                (Connection::Ssh, None | Some(22)) => format!("ssh {user}@{}", host.address),
                (Connection::Ssh, Some(port)) => format!("ssh {user}@{} port {port}", host.address),
            };
            let sudo = if become_of(host) == Become::Sudo { ", sudo -k -n where root is needed" } else { "" };
            let groups = if host.groups.is_empty() { "ungrouped".to_owned() } else { host.groups.join(",") };
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{}: {place}{sudo}; groups: {groups}", host.name);
        }
        commands(&plan, &mut text);
        let kinds: BTreeSet<bool> = hosts.iter().map(|host| become_of(host) == Become::Sudo).collect();
        for sudo in kinds {
            let script = Script::new(NO_NONCE, plan.steps(), if sudo { Become::Sudo } else { Become::No });
            let sum = data_encoding::HEXLOWER.encode(digest(&SHA256, script.text().as_bytes()).as_ref());
            let who = if sudo { "hosts with sudo" } else { "hosts without sudo" };
            let _ = writeln!(
                text,
                "\n# The script for {who}, on the standard input of `/bin/sh -s`; a fresh nonce takes the place of the zeros."
            );
            let _ = writeln!(text, "# sha256 {sum}\n{}", script.text());
        }
        print(&text)?;
        Ok(ExitStatus::Clean)
    }
}

fn commands(plan: &Plan, text: &mut String) {
    let _ = writeln!(text, "\n# Commands: id, rights, time limit, command");
    for step in plan.steps() {
        let rights = step.command.rights().as_str();
        let _ = writeln!(text, "{:32} {rights:6} {:>3} s  {}", step.id, step.limit.as_secs(), step.command);
    }
}
