//! A host as the inventory resolved it.

use std::path::PathBuf;
use std::time::Duration;

use super::{Secret, Variables};

/// How the probe script reaches a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Connection {
    /// Over SSH.
    #[default]
    Ssh,
    /// On this machine, without SSH (`ansible_connection=local`).
    Local,
}

/// How a login becomes root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BecomeMethod {
    /// sudo(8).
    #[default]
    Sudo,
    /// doas(1).
    Doas,
}

/// One host of the inventory, with every variable resolved.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Host {
    /// The name in the inventory: what reports call it.
    pub name: String,
    /// What is dialled: `ansible_host`, else the name.
    pub address: String,
    /// `ansible_port`, else what the command line or SSH's default says.
    pub port: Option<u16>,
    /// `ansible_user`.
    pub user: Option<String>,
    /// `ansible_ssh_private_key_file`, `~` expanded.
    pub private_key: Option<PathBuf>,
    /// `ansible_connection`.
    pub connection: Connection,
    /// `ansible_password`: for the login, not for sudo.
    pub password: Option<Secret>,
    /// The options for `ssh` of `ansible_ssh_args`, `ansible_ssh_common_args` and `ansible_ssh_extra_args`, in this order, split into words as a shell
    /// splits them.
    pub ssh_args: Vec<String>,
    /// `ansible_host_key_checking`; `None` where the inventory says nothing.
    pub host_key_checking: Option<bool>,
    /// `ansible_ssh_timeout`, `ansible_timeout`: time for the connection.
    pub connect_timeout: Option<Duration>,
    /// `ansible_become`; `None` where the inventory says nothing.
    pub become_root: Option<bool>,
    /// `ansible_become_method`; `None` where the inventory says nothing.
    pub become_method: Option<BecomeMethod>,
    /// `ansible_become_password`.
    pub become_password: Option<Secret>,
    /// Every group the host is in, directly or through children, sorted; without `all`.
    pub groups: Vec<String>,
    /// All variables as they came out of the precedence of the inventory.
    pub variables: Variables,
}

impl Host {
    /// A host of which nothing but the name is known.
    pub fn named(name: impl Into<String>) -> Self {
        let name = name.into();
        Self { address: name.clone(), name, ..Self::default() }
    }
}
