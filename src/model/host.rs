//! A host as the inventory resolved it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::Value;

/// How the probe script reaches a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Connection {
    /// Over SSH.
    #[default]
    Ssh,
    /// On this machine, without SSH (`ansible_connection=local`).
    Local,
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
    /// `ansible_become`; `None` where the inventory says nothing.
    pub become_root: Option<bool>,
    /// Every group the host is in, directly or through children, sorted; without `all`.
    pub groups: Vec<String>,
    /// All variables as they came out of the precedence of the inventory.
    pub variables: BTreeMap<String, Value>,
}

impl Host {
    /// A host of which nothing but the name is known.
    pub fn named(name: impl Into<String>) -> Self {
        let name = name.into();
        Self { address: name.clone(), name, ..Self::default() }
    }
}
