//! The variables that say how a host is reached, and how a login becomes root there.

use std::net::Ipv6Addr;
use std::path::PathBuf;
use std::time::Duration;

use super::graph::{Origin, Variable};
use super::template::{self, Context};
use super::{Complaint, address, format, words};
use crate::model::{BecomeMethod, Connection, Host, Secret, Value};

/// What a variable is needed for: where it can't be told, only that goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    /// To reach the host at all.
    Connection,
    /// To log in, unless the password comes from elsewhere.
    Password,
    /// To become root.
    Become,
    /// To become root, unless the password comes from elsewhere.
    BecomePassword,
}

/// Why a variable of a host can't be told.
#[derive(Debug, Clone)]
pub(super) struct Trouble {
    pub(super) origin: Origin,
    pub(super) complaint: Complaint,
    pub(super) need: Need,
    /// Wrong for every reader, not only beyond this one: an error of the inventory, even if the host is not selected.
    pub(super) is_wrong: bool,
}

impl Trouble {
    /// A file with variables of the host is encrypted, and any of them could be one of its connection.
    pub(super) fn sealed(origin: Origin) -> Self {
        Self { origin, complaint: format::sealed(), need: Need::Connection, is_wrong: false }
    }
}

// Of several names for one thing the one counts that Ansible's plugins list last: the last that is set wins there.
const ADDRESS: [&str; 2] = ["ansible_ssh_host", "ansible_host"];
const PORT: [&str; 2] = ["ansible_ssh_port", "ansible_port"];
const USER: [&str; 2] = ["ansible_ssh_user", "ansible_user"];
const PRIVATE_KEY: [&str; 2] = ["ansible_ssh_private_key_file", "ansible_private_key_file"];
const PASSWORD: [&str; 3] = ["ansible_ssh_password", "ansible_ssh_pass", "ansible_password"];
const HOST_KEY_CHECKING: [&str; 2] = ["ansible_ssh_host_key_checking", "ansible_host_key_checking"];
const TIMEOUT: [&str; 2] = ["ansible_ssh_timeout", "ansible_timeout"];
/// In the order in which they stand on the command line of `ssh`.
const SSH_ARGS: [&str; 3] = ["ansible_ssh_args", "ansible_ssh_common_args", "ansible_ssh_extra_args"];
const CONNECTION: [&str; 1] = ["ansible_connection"];
const BECOME: [&str; 1] = ["ansible_become"];
const BECOME_METHOD: [&str; 1] = ["ansible_become_method"];

/// What the plugins of Ansible that become root are told.
struct BecomePlugin {
    password: [&'static str; 3],
    user: [&'static str; 2],
    program: [&'static str; 2],
    flags: [&'static str; 2],
}

const SUDO: BecomePlugin = BecomePlugin {
    password: ["ansible_sudo_pass", "ansible_become_pass", "ansible_become_password"],
    user: ["ansible_sudo_user", "ansible_become_user"],
    program: ["ansible_sudo_exe", "ansible_become_exe"],
    flags: ["ansible_sudo_flags", "ansible_become_flags"],
};

const DOAS: BecomePlugin = BecomePlugin {
    password: ["ansible_doas_pass", "ansible_become_pass", "ansible_become_password"],
    user: ["ansible_doas_user", "ansible_become_user"],
    program: ["ansible_doas_exe", "ansible_become_exe"],
    flags: ["ansible_doas_flags", "ansible_become_flags"],
};

/// What to do about hosts that can't be scanned as the inventory has them.
const LIMIT: &str = "write the value itself, or leave these hosts out with --limit";

/// Fills in what the variables say of the host's connection. `origin` is where the host is named.
pub(super) fn apply(host: &mut Host, context: &Context<'_>, origin: Origin) -> Vec<Trouble> {
    let mut reader = Reader { context, need: Need::Connection, troubles: Vec::new() };
    if let Some(kind) = reader.read(&CONNECTION, connection) {
        host.connection = kind;
    }
    // How the host is reached is unknown, and with it what the rest means.
    if !reader.troubles.is_empty() {
        return reader.troubles;
    }
    if let Some(address) = reader.read(&ADDRESS, host_address) {
        host.address = address;
    } else if host.connection == Connection::Ssh && reader.troubles.is_empty() && host_address("the name", &host.name).is_err() {
        let complaint = Complaint::new("the name is no address").hint("set `ansible_host`");
        reader.troubles.push(Trouble { origin, complaint, need: Need::Connection, is_wrong: false });
    }
    host.port = reader.read(&PORT, port);
    host.user = reader.read(&USER, user);
    host.private_key = reader.read(&PRIVATE_KEY, private_key);
    host.ssh_args = SSH_ARGS.iter().filter_map(|name| reader.read(&[name], ssh_args)).flatten().collect();
    host.host_key_checking = reader.read(&HOST_KEY_CHECKING, truth);
    host.connect_timeout = reader.read(&TIMEOUT, timeout).filter(|timeout| !timeout.is_zero());
    host.become_root = reader.read(&BECOME, truth);

    reader.need = Need::Password;
    host.password = reader.secret(&PASSWORD);

    reader.need = Need::Become;
    let before = reader.troubles.len();
    host.become_method = reader.read(&BECOME_METHOD, become_method);
    if reader.troubles.len() == before {
        let (plugin, program) = match host.become_method.unwrap_or_default() {
            BecomeMethod::Sudo => (SUDO, "sudo"),
            BecomeMethod::Doas => (DOAS, "doas"),
        };
        reader.read(&plugin.user, become_user);
        reader.read(&plugin.program, |name, text| become_program(name, text, program));
        reader.read(&plugin.flags, become_flags);
        reader.need = Need::BecomePassword;
        host.become_password = reader.secret(&plugin.password);
    }
    reader.troubles
}

struct Reader<'a, 'b> {
    context: &'b Context<'a>,
    need: Need,
    troubles: Vec<Trouble>,
}

impl<'a> Reader<'a, '_> {
    /// The first of `names` that is set.
    fn find<'n>(&self, names: &[&'n str]) -> Option<(&'n str, &'a Variable)> {
        let set = |name: &str| (self.context.find)(name).filter(|variable| !matches!(variable.value, Value::Null));
        names.iter().find_map(|name| set(name).map(|found| (*name, found)))
    }

    /// The first of `names` that is set, as `convert` reads it. What is empty says nothing.
    fn read<T>(&mut self, names: &[&str], convert: impl Fn(&str, &str) -> Result<T, Refusal>) -> Option<T> {
        let (name, variable) = self.find(names)?;
        let text = text_of(name, variable, self.context, false);
        let value = text.and_then(|text| match text.trim() {
            "" => Ok(None),
            text => convert(name, text).map(Some),
        });
        self.said(variable, value)
    }

    /// A password: every character of it counts, and none is shown.
    fn secret(&mut self, names: &[&str]) -> Option<Secret> {
        let (name, variable) = self.find(names)?;
        let text = text_of(name, variable, self.context, true);
        self.said(variable, text.map(|text| Some(text).filter(|text| !text.is_empty()).map(Secret::new)))
    }

    fn said<T>(&mut self, variable: &Variable, value: Result<Option<T>, Refusal>) -> Option<T> {
        value.unwrap_or_else(|Refusal { complaint, is_wrong }| {
            self.troubles.push(Trouble { origin: variable.origin, complaint, need: self.need, is_wrong });
            None
        })
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

/// The value as text, with its templates filled in.
fn text_of(name: &str, variable: &Variable, context: &Context<'_>, is_secret: bool) -> Result<String, Refusal> {
    match &variable.value {
        Value::Map(map) if map.contains_key("__ansible_vault") => {
            unsupported(format!("`{name}` is encrypted with ansible-vault, which only Ansible opens"), LIMIT)
        }
        Value::Map(_) | Value::List(_) => wrong(format!("`{name}` is a list or a map"), "write one value"),
        Value::String(text) if !variable.verbatim && template::is_template(text) => {
            template::fill(text, context).or_else(|why| {
                let template = if is_secret { String::new() } else { format!(" `{}`", text.trim()) };
                unsupported(format!("`{name}` is the template{template}, which only Ansible can fill in: {why}"), LIMIT)
            })
        }
        // As Python writes them.
        Value::Bool(true) if is_secret => Ok("True".to_owned()),
        Value::Bool(false) if is_secret => Ok("False".to_owned()),
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

/// What OpenSSH refuses in a host name as well: an address may become part of a command (`ProxyCommand`, `%h`).
fn host_address(name: &str, text: &str) -> Result<String, Refusal> {
    const HINT: &str = "a host name or an address alone; the port goes into `ansible_port`, the login into `ansible_user`";
    let inside = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let (bare, zone) = inside.split_once('%').map_or((inside, ""), |(address, zone)| (address, zone));
    let strange =
        |character: char| character.is_whitespace() || character.is_control() || "@/[],:\\'`\"$;&<>|(){}".contains(character);
    match bare.parse::<Ipv6Addr>().is_ok() && !zone.contains(strange) || !(text.starts_with('-') || text.contains(strange)) {
        true => Ok(inside.to_owned()),
        false => wrong(format!("`{name}` is `{text}`, which is not an address"), HINT),
    }
}

fn port(name: &str, text: &str) -> Result<u16, Refusal> {
    address::port_number(text, text)
        .or_else(|_| wrong(format!("`{name}` is `{text}`, which is not a port"), "ports are 1 to 65535"))
}

/// What OpenSSH refuses in a login as well, for the same reason.
fn user(name: &str, text: &str) -> Result<String, Refusal> {
    let strange = |character: char| character.is_whitespace() || character.is_control() || "'`\";&<>|(){}".contains(character);
    match text {
        "true" | "false" => wrong(format!("`{name}` is a truth value"), "put the login in quotes"),
        _ if text.starts_with('-') || text.ends_with('\\') || text.contains(strange) => {
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

fn ssh_args(name: &str, text: &str) -> Result<Vec<String>, Refusal> {
    words::arguments(text).or_else(|complaint| {
        let hint = complaint.hint.unwrap_or_default();
        wrong(format!("`{name}` is `{text}`, in which {}", complaint.message), &hint)
    })
}

/// Whole seconds; zero is none, as to `ssh`.
fn timeout(name: &str, text: &str) -> Result<Duration, Refusal> {
    match text.parse::<u32>() {
        Ok(seconds) => Ok(Duration::from_secs(seconds.into())),
        Err(_) => wrong(format!("`{name}` is `{text}`, which is not a time"), "write a whole number of seconds"),
    }
}

fn become_method(name: &str, text: &str) -> Result<BecomeMethod, Refusal> {
    match text {
        "sudo" | "ansible.builtin.sudo" | "ansible.legacy.sudo" => Ok(BecomeMethod::Sudo),
        "doas" | "community.general.doas" => Ok(BecomeMethod::Doas),
        _ => unsupported(
            format!("`{name}` is `{text}`, and root is reached by sudo or doas only"),
            "set `ansible_become=false` for these hosts to scan them without root, or leave them out with --limit",
        ),
    }
}

fn become_user(name: &str, text: &str) -> Result<(), Refusal> {
    match text {
        "root" => Ok(()),
        _ => unsupported(
            format!("`{name}` is `{text}`, and a scan becomes root or nobody"),
            "set it to root for these hosts, or set `ansible_become=false`, or leave them out with --limit",
        ),
    }
}

fn become_program(name: &str, text: &str, usual: &str) -> Result<(), Refusal> {
    match text.strip_prefix("/usr/bin/").unwrap_or(text) == usual {
        true => Ok(()),
        false => unsupported(
            format!("`{name}` is `{text}`, and only the `{usual}` in the PATH is run"),
            "set `ansible_become=false` for these hosts to scan them without root, or leave them out with --limit",
        ),
    }
}

/// The flags that a scan needs anyway (`-n`, `-S`) or that make no difference to what it runs (`-H`, `-k`), in any combination.
fn become_flags(name: &str, text: &str) -> Result<(), Refusal> {
    let known = |flag: &str| match flag {
        "--set-home" | "--stdin" | "--non-interactive" | "--reset-timestamp" => true,
        _ => flag.strip_prefix('-').is_some_and(|letters| !letters.is_empty() && letters.chars().all(|one| "HSnk".contains(one))),
    };
    match text.split_whitespace().all(known) {
        true => Ok(()),
        false => unsupported(
            format!("`{name}` is `{text}`, and sudo and doas are run without flags of their own"),
            "set `ansible_become=false` for these hosts to scan them without root, or leave them out with --limit",
        ),
    }
}
