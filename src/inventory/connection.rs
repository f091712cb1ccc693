//! The variables that say how a host is reached.

use std::net::Ipv6Addr;
use std::path::PathBuf;

use super::graph::{Origin, Variable};
use super::{Complaint, address};
use crate::model::{Connection, Host, Value};

/// Why a host's connection can't be told.
#[derive(Debug, Clone)]
pub(super) struct Trouble {
    pub(super) origin: Origin,
    pub(super) complaint: Complaint,
    /// Wrong for every reader, not only beyond this one: an error of the inventory, even if the host is not selected.
    pub(super) is_wrong: bool,
}

// Of two names for one thing the one that names ssh counts, as in Ansible.
const ADDRESS: [&str; 2] = ["ansible_ssh_host", "ansible_host"];
const PORT: [&str; 2] = ["ansible_ssh_port", "ansible_port"];
const USER: [&str; 2] = ["ansible_ssh_user", "ansible_user"];
const PRIVATE_KEY: [&str; 2] = ["ansible_ssh_private_key_file", "ansible_private_key_file"];
const CONNECTION: [&str; 1] = ["ansible_connection"];
const BECOME: [&str; 1] = ["ansible_become"];

/// Fills in what the variables say of the host's connection. `find` gives the variable of a name that counts for the host.
pub(super) fn apply<'a>(host: &mut Host, find: &impl Fn(&str) -> Option<&'a Variable>) -> Vec<Trouble> {
    let mut troubles = Vec::new();
    if let Some(kind) = read(find, &CONNECTION, connection, &mut troubles) {
        host.connection = kind;
    }
    if !troubles.is_empty() {
        return troubles;
    }
    if let Some(address) = read(find, &ADDRESS, host_address, &mut troubles) {
        host.address = address;
    }
    host.port = read(find, &PORT, port, &mut troubles);
    host.user = read(find, &USER, user, &mut troubles);
    host.private_key = read(find, &PRIVATE_KEY, private_key, &mut troubles);
    host.become_root = read(find, &BECOME, truth, &mut troubles);
    troubles
}

/// The first of `names` that has a value, as `convert` reads it.
fn read<'a, T>(
    find: &impl Fn(&str) -> Option<&'a Variable>,
    names: &[&str],
    convert: impl Fn(&str, &str) -> Result<T, Refusal>,
    troubles: &mut Vec<Trouble>,
) -> Option<T> {
    let is_set = |value: &Value| !matches!(value, Value::Null) && value.as_str() != Some("");
    let (name, variable) =
        names.iter().find_map(|name| find(name).filter(|variable| is_set(&variable.value)).map(|found| (name, found)))?;
    match text_of(name, &variable.value).and_then(|text| convert(name, &text)) {
        Ok(value) => Some(value),
        Err(Refusal { complaint, is_wrong }) => {
            troubles.push(Trouble { origin: variable.origin, complaint, is_wrong });
            None
        }
    }
}

struct Refusal {
    complaint: Complaint,
    is_wrong: bool,
}

fn wrong<T>(message: impl Into<String>, hint: &str) -> Result<T, Refusal> {
    Err(Refusal { complaint: Complaint::new(message).hint(hint), is_wrong: true })
}

fn unsupported<T>(message: impl Into<String>, hint: &str) -> Result<T, Refusal> {
    Err(Refusal { complaint: Complaint::new(message).hint(hint), is_wrong: false })
}

/// The value as text, where nothing is hidden in it.
fn text_of(name: &str, value: &Value) -> Result<String, Refusal> {
    const LIMIT: &str = "write the value itself, or leave these hosts out with --limit";
    match value {
        Value::Map(map) if map.contains_key("__ansible_vault") => {
            unsupported(format!("`{name}` is encrypted with ansible-vault, which is not read yet"), LIMIT)
        }
        Value::Map(_) | Value::List(_) => wrong(format!("`{name}` is a list or a map"), "write one value"),
        Value::String(text) if text.contains("{{") || text.contains("{%") => {
            unsupported(format!("`{name}` is the template `{text}`, which only Ansible can fill in"), LIMIT)
        }
        Value::String(text) => Ok(text.trim().to_owned()),
        other => Ok(other.to_string()),
    }
}

fn connection(name: &str, text: &str) -> Result<Connection, Refusal> {
    match text.strip_prefix("ansible.builtin.").unwrap_or(text) {
        "ssh" | "smart" | "paramiko" | "paramiko_ssh" | "ansible.netcommon.libssh" => Ok(Connection::Ssh),
        "local" => Ok(Connection::Local),
        _ => unsupported(
            format!("`{name}` is `{text}`, and hosts are reached over SSH or locally only"),
            "use ssh or local, or leave these hosts out with --limit",
        ),
    }
}

fn host_address(name: &str, text: &str) -> Result<String, Refusal> {
    const HINT: &str = "a host name or an address alone; the port goes into `ansible_port`, the login into `ansible_user`";
    let inside = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let bare = inside.split_once('%').map_or(inside, |(address, _)| address);
    let strange = |character: char| character.is_whitespace() || character.is_control() || "@/[],:\\".contains(character);
    match bare.parse::<Ipv6Addr>().is_ok() || !(text.starts_with('-') || text.contains(strange)) {
        true => Ok(inside.to_owned()),
        false => wrong(format!("`{name}` is `{text}`, which is not an address"), HINT),
    }
}

fn port(name: &str, text: &str) -> Result<u16, Refusal> {
    address::port_number(text, text)
        .or_else(|_| wrong(format!("`{name}` is `{text}`, which is not a port"), "ports are 1 to 65535"))
}

fn user(name: &str, text: &str) -> Result<String, Refusal> {
    match text {
        "true" | "false" => wrong(format!("`{name}` is a truth value"), "put the login in quotes"),
        _ if text.starts_with('-') || text.contains(|character: char| character.is_whitespace() || character.is_control()) => {
            wrong(format!("`{name}` is `{text}`, which is not a login name"), "one word")
        }
        _ => Ok(text.to_owned()),
    }
}

fn private_key(name: &str, text: &str) -> Result<PathBuf, Refusal> {
    match text.strip_prefix('~') {
        Some("") => wrong(format!("`{name}` is `{text}`, which is not a file"), "the file of a private key"),
        Some(rest) if rest.starts_with('/') => match std::env::var_os("HOME") {
            Some(home) => Ok(PathBuf::from(home).join(rest.trim_start_matches('/'))),
            None => unsupported(format!("`{name}` is `{text}` and HOME is not set"), "write the path in full"),
        },
        Some(_) => unsupported(format!("`{name}` is `{text}`, in the home of another user"), "write the path in full"),
        None => Ok(PathBuf::from(text)),
    }
}

/// Truth as Ansible reads it.
fn truth(name: &str, text: &str) -> Result<bool, Refusal> {
    match text.to_ascii_lowercase().as_str() {
        "y" | "yes" | "on" | "1" | "true" | "t" | "1.0" => Ok(true),
        "n" | "no" | "off" | "0" | "false" | "f" | "0.0" => Ok(false),
        _ => wrong(format!("`{name}` is `{text}`, neither true nor false"), "write true or false"),
    }
}
