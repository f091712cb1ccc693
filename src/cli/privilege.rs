//! How a login becomes root: the arguments that `scan` and `plan` share.

use std::path::PathBuf;

use clap::Args;

use super::error::Error;
use super::{secrets, warn};
use crate::command::Become;
use crate::inventory::Given;
use crate::model::{BecomeMethod, Host, Secret};

/// How a login becomes root for the commands that need it.
#[derive(Debug, Args, Default)]
pub(super) struct BecomeArgs {
    /// Become root for the commands that need it, where the inventory does not say
    #[arg(short, long = "become")]
    become_root: bool,
    /// By which program, where the inventory does not say; default: sudo, or doas where a host has no sudo
    #[arg(long, value_name = "METHOD")]
    become_method: Option<Method>,
    /// Ask for the password of sudo, once for all hosts for which the inventory has none
    #[arg(short = 'K', long)]
    ask_become_pass: bool,
    /// File whose first line is the password of sudo, for all hosts for which the inventory has none
    #[arg(long, value_name = "FILE", conflicts_with = "ask_become_pass")]
    become_password_file: Option<PathBuf>,
}

/// A program that makes a login root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Method {
    Sudo,
    Doas,
}

impl BecomeArgs {
    /// As `-b` alone.
    pub(super) fn always() -> Self {
        Self { become_root: true, ..Self::default() }
    }

    /// Whether a login may become root where the inventory does not say.
    pub(super) fn become_root(&self) -> bool {
        self.become_root
    }

    /// Whether they say where the password of sudo comes from.
    pub(super) fn names_password(&self) -> bool {
        self.ask_become_pass || self.become_password_file.is_some()
    }

    /// What they say that the inventory then need not say.
    pub(super) fn given(&self) -> Given {
        Given { become_root: self.become_root, become_password: self.names_password(), ..Given::default() }
    }

    /// By what, where the inventory does not say.
    pub(super) fn method(&self) -> Option<BecomeMethod> {
        self.become_method.map(|method| match method {
            Method::Sudo => BecomeMethod::Sudo,
            Method::Doas => BecomeMethod::Doas,
        })
    }

    /// By what a host's login may become root in a scan with these arguments.
    pub(super) fn of(&self, host: &Host) -> Become {
        Become::of(host, self.become_root, self.method(), host.become_password.is_some() || self.names_password())
    }

    /// The password of sudo, if any host may need it and the arguments name one; a person is asked here.
    pub(super) fn password(&self, hosts: &[Host]) -> Result<Option<Secret>, Error> {
        if !self.names_password() {
            return Ok(None);
        }
        let needed = |host: &Host| host.become_password.is_none() && self.of(host).asks_for_password();
        if !hosts.iter().any(needed) {
            warn("no host is to use the password of sudo: `-b` has the login become root, where the inventory does not say");
            return Ok(None);
        }
        match &self.become_password_file {
            Some(file) => secrets::from_file(file).map(Some),
            None => secrets::ask("password of sudo: ").map(Some),
        }
    }
}
