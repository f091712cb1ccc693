//! How hosts are reached: the arguments that stand for those of `ssh`, shared by every subcommand that reaches hosts or says how it would.

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::args::seconds;
use super::error::Error;
use super::warn;
use crate::inventory;
use crate::model::{Connection, Host};
use crate::ssh::{Defaults, HostIdentity, Limits, Login, Resolver, Target};
use crate::ssh_config::{Files, MatchExec, Options, Sources, Warnings};

/// How hosts are reached.
#[derive(Debug, Args, Default)]
pub(super) struct SshArgs {
    /// User to log in as, where the inventory names none
    #[arg(short, long)]
    pub(super) user: Option<String>,
    /// Private key file, and then only that one, where the inventory names none
    #[arg(long, value_name = "FILE")]
    pub(super) private_key: Option<PathBuf>,
    /// Configuration of ssh, in place of `~/.ssh/config` and `/etc/ssh/ssh_config`; `none` for no file
    #[arg(short = 'F', long, value_name = "FILE")]
    pub(super) ssh_config: Option<String>,
    /// Reach hosts through these, as `ssh -J`: `[user@]host[:port]`, several with commas
    #[arg(short = 'J', long, value_name = "HOSTS")]
    pub(super) jump: Option<String>,
    /// Options for ssh, as `ansible --ssh-common-args`: `-o Key=Value`, `-J`, `-F` and the like
    #[arg(long, value_name = "ARGS", allow_hyphen_values = true)]
    pub(super) ssh_common_args: Option<String>,
    /// Run the commands of `Match exec` in the configuration of ssh
    #[arg(long)]
    pub(super) match_exec: bool,
    /// Allow algorithms that are no longer safe, for hosts that have nothing else
    #[arg(long)]
    pub(super) legacy_algorithms: bool,
    /// Time for the connection to a host, seconds; default 10, or what the inventory or the configuration of ssh says
    #[arg(short = 'T', long, value_name = "SECONDS", value_parser = seconds)]
    pub(super) timeout: Option<Duration>,
}

/// Every way of logging in and of being known that the hosts of a scan and the jump hosts before them have, each once.
#[derive(Debug, Default)]
pub(super) struct Needs {
    pub(super) logins: HashSet<Login>,
    pub(super) identities: HashSet<HostIdentity>,
    /// Those of the logins that are for jump hosts.
    pub(super) jump_logins: HashSet<Login>,
}

impl Needs {
    fn note(&mut self, target: &Target) {
        for (hops, target) in target.way().enumerate() {
            // What differs from host to host needs no preparation.
            let login = Login { password: None, host: None, ..target.login.clone() };
            if hops > 0 {
                self.jump_logins.insert(login.clone());
            }
            self.logins.insert(login);
            self.identities.insert(target.identity.clone());
        }
    }
}

/// How many hosts an error names before it counts the rest.
const HOSTS_NAMED: usize = 3;

/// Time for the connection to a host, where nothing says another.
const TIMEOUT: Duration = Duration::from_secs(10);

impl SshArgs {
    /// How long each phase of a conversation may take, with so much time for all of it.
    pub(super) fn limits(&self, host_timeout: Duration) -> Limits {
        // As ssh's ConnectTimeout, for the connection and for the key exchange after it; the host's own limit bounds the rest. A host that turns us away is
        // asked again for a third of its time at most, so that what it says in the end is told, and not that its time was up.
        let connect = self.timeout.unwrap_or(TIMEOUT);
        let retry = Limits::default().retry.min(host_timeout / 3);
        Limits { connect, handshake: connect, run: host_timeout, retry, ..Limits::default() }
    }

    /// The configuration, read.
    pub(super) fn resolver(&self) -> Result<Resolver, Error> {
        let wrong = |error| Error::because("the options for ssh cannot be used", error);
        let mut words = Vec::new();
        if let Some(jump) = &self.jump {
            words.extend(["-J".to_owned(), jump.clone()]);
        }
        if let Some(text) = &self.ssh_common_args {
            let more = inventory::split_words(text)
                .map_err(|what| Error::new(format!("`--ssh-common-args` cannot be split into words: {what}")))?;
            words.extend(more);
        }
        let options = Options::parse_from("the options for ssh on the command line", &words).map_err(wrong)?;
        let mut sources = Sources::new(options);
        if let Some(file) = &self.ssh_config {
            sources.files = Files::from_argument(file);
        }
        sources.match_exec = if self.match_exec { MatchExec::Allow } else { MatchExec::Deny };
        let defaults = Defaults {
            user: self.user.clone(),
            private_key: self.private_key.clone(),
            legacy_algorithms: self.legacy_algorithms,
            connect_timeout: self.timeout,
        };
        Resolver::new(defaults, sources).map_err(|error| Error::because("the configuration of ssh cannot be used", error))
    }
}

/// Resolves every host once, so that whatever is wrong with one is said before the first is contacted; warnings go to standard error.
pub(super) fn needs(resolver: &Resolver, hosts: &[Host]) -> Result<Needs, Error> {
    let mut needs = Needs::default();
    let mut warnings = Warnings::default();
    let mut wrong: Vec<(String, Vec<&str>, usize)> = Vec::new();
    for host in hosts.iter().filter(|host| host.connection == Connection::Ssh) {
        match resolver.target(host) {
            Ok((target, found)) => {
                needs.note(&target);
                warnings.note(&host.name, &found);
            }
            Err(error) => {
                let error = error.to_string();
                let at = wrong.iter().position(|(known, ..)| *known == error).unwrap_or_else(|| {
                    wrong.push((error, Vec::new(), 0));
                    wrong.len() - 1
                });
                if let Some((_, named, count)) = wrong.get_mut(at) {
                    *count += 1;
                    if named.len() < HOSTS_NAMED {
                        named.push(&host.name);
                    }
                }
            }
        }
    }
    warnings.problems().for_each(|problem| warn(&problem.to_string()));
    if wrong.is_empty() {
        return Ok(needs);
    }
    let lines: Vec<String> = wrong
        .into_iter()
        .map(|(error, named, count)| {
            let names = named.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
            let more = if count > named.len() { format!(" and {} more", count - named.len()) } else { String::new() };
            format!("{error}, for {names}{more}")
        })
        .collect();
    let error = Error::new(format!("hosts cannot be reached as they are configured:\n  {}", lines.join("\n  ")));
    Err(error.hint("mend the configuration, or leave these hosts out with --limit"))
}
