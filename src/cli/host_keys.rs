//! `fleetscan host-keys`: what keys a fleet shows, and whether they are the known ones.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use futures::StreamExt;

use super::args::{HostKeyArgs, InventoryArgs};
use super::error::Error;
use super::login::LoginArgs;
use super::scan::{forks, runtime};
use super::ssh::{SshArgs, needs};
use super::{ExitStatus, print};
use crate::model::{Connection, Failure, Host, KeyTrust, Reason, are_several, escape};
use crate::ssh::{
    Credentials, Engine, HostKeySurvey, Resolver, SurveyedKey, Target, prepare_collection, survey_host_keys, write_collection,
};

/// Collect the host keys of a fleet without logging in, and compare them with the known ones.
///
/// Asks every host for all its keys, a connection for each, and goes no further than the key exchange.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit status: 0 every host is known, by a key or a certificate; 1 one is unknown, changed or revoked; 2 usage or \
                        configuration; 3 one could not be asked; 4 both 1 and 3."
)]
pub(super) struct HostKeysArgs {
    #[command(flatten)]
    inventory: InventoryArgs,
    /// Hosts at once; default 256, or fewer where the limit of open files asks for it
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=4096))]
    forks: Option<u32>,
    /// Known host keys, in place of `~/.ssh/known_hosts` and `/etc/ssh/ssh_known_hosts`
    #[arg(long, value_name = "FILE")]
    known_hosts: Option<PathBuf>,
    #[command(flatten)]
    ssh: SshArgs,
    #[command(flatten)]
    login: LoginArgs,
    /// Write what was collected to a file of known hosts, for you to verify and then to use with `--known-hosts`
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// The most time that the keys of one host may take.
const LONGEST: Duration = Duration::from_secs(120);

/// What came of a host; `None` for one that is not asked over SSH.
type Answer = Option<Result<HostKeySurvey, Failure>>;

impl HostKeysArgs {
    pub(super) fn run(self) -> Result<ExitStatus, Error> {
        let hosts = self.inventory.select()?;
        if let Some(path) = &self.output {
            prepare_collection(path).map_err(|error| Error::because(format!("`{}` cannot be written", path.display()), error))?;
        }
        let answers = runtime()?.block_on(self.ask(&hosts))?;
        print(&table(&hosts, &answers))?;
        if let Some(path) = &self.output {
            let lines: String = answers.iter().flatten().flatten().map(HostKeySurvey::known_hosts_lines).collect();
            write_collection(path, &lines)
                .map_err(|error| Error::because(format!("`{}` was not written", path.display()), error))?;
        }
        Ok(status(&answers))
    }

    /// Asks all hosts, so many at once; the answers are in the order of the inventory.
    async fn ask(&self, hosts: &[Host]) -> Result<Vec<Answer>, Error> {
        let resolver = self.ssh.resolver()?;
        let needs = needs(&resolver, hosts)?;
        let targets: Vec<Option<Target>> = hosts.iter().map(|host| target(&resolver, host)).collect();
        let host_keys = HostKeyArgs::with_known_hosts(self.known_hosts.clone()).load(&needs.identities)?;
        // Nobody logs in on the hosts that are asked, but on the jump hosts before them.
        let credentials = match needs.jump_logins.is_empty() {
            true => Credentials::default(),
            false => self.login.load(self.ssh.private_key.as_deref(), &needs.jump_logins).await?,
        };
        let engine = Arc::new(Engine::new(credentials, host_keys, self.ssh.limits(LONGEST)));
        let at_once = forks(self.forks, hosts.len())?;
        let asked = targets.into_iter().map(|target| {
            let engine = Arc::clone(&engine);
            async move {
                let target = target?;
                // A task of its own: what goes wrong with one host is that host's line.
                let asked = tokio::spawn(async move { survey_host_keys(&target, &engine).await });
                let broken =
                    |error: tokio::task::JoinError| Failure::new(Reason::InternalError, format!("please report this: {error}"));
                Some(asked.await.map_err(broken).flatten())
            }
        });
        Ok(futures::stream::iter(asked).buffered(at_once).collect().await)
    }
}

/// A host as it is reached; `None` for this machine itself.
fn target(resolver: &Resolver, host: &Host) -> Option<Target> {
    match host.connection {
        Connection::Local => None,
        // What is wrong with a host was said before.
        Connection::Ssh => resolver.target(host).ok().map(|(target, _)| target),
    }
}

/// A line for every host, then the keys that several machines share.
fn table(hosts: &[Host], answers: &[Answer]) -> String {
    let names: Vec<String> = hosts.iter().map(|host| escape(&host.name, 100)).collect();
    let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
    let mut text = String::new();
    for (name, answer) in names.iter().zip(answers) {
        let (word, detail) = match answer {
            None => ("local", "not reached over SSH".to_owned()),
            Some(Err(failure)) => (failure.reason.code(), failure.detail.clone()),
            Some(Ok(survey)) => (word(survey.trust), keys(survey)),
        };
        text.push_str(&format!("{name:width$}  {word:WORDS$}  {}\n", escape(&detail, 2000)));
    }
    let shared = shared(&names, answers);
    if !shared.is_empty() {
        text.push_str("\nKeys that several machines share:\n");
    }
    for (key, names) in shared {
        text.push_str(&format!("{key}  {}\n", names.join(", ")));
    }
    text
}

/// Columns of the commonest words.
const WORDS: usize = 11;

/// What a host is, in a word.
fn word(trust: KeyTrust) -> &'static str {
    match trust {
        KeyTrust::CertificateInvalid => "certificate invalid",
        KeyTrust::TooShort => "too short",
        other => other.as_str(),
    }
}

/// The keys of a host, and of each what is not the same as of the host.
fn keys(survey: &HostKeySurvey) -> String {
    let key = |key: &SurveyedKey| {
        let note = match (key.trust, key.detail.as_str()) {
            (KeyTrust::Unknown, _) if survey.trust != KeyTrust::Unknown => " (not listed)".to_owned(),
            (KeyTrust::Certificate, detail) => format!(" (certificate, valid, {detail})"),
            (KeyTrust::Known | KeyTrust::AcceptedNew | KeyTrust::Unknown, _) => String::new(),
            (trust, detail) => format!(" ({}: {detail})", word(trust)),
        };
        format!("{} {}{note}", key.algorithm, key.fingerprint)
    };
    let mut keys: Vec<String> = survey.keys.iter().map(key).collect();
    keys.extend(
        survey
            .incomplete
            .as_ref()
            .map(|failure| format!("not all kinds were asked for: {} ({})", failure.detail, failure.reason)),
    );
    keys.join(", ")
}

/// The keys that more than one machine shows, each with its hosts. Two names of one machine share nothing.
fn shared(names: &[String], answers: &[Answer]) -> BTreeMap<String, Vec<String>> {
    let mut keys: BTreeMap<String, Vec<(&str, &str)>> = BTreeMap::new();
    for (name, answer) in names.iter().zip(answers) {
        let Some(Ok(survey)) = answer else { continue };
        for key in &survey.keys {
            keys.entry(format!("{} {}", key.algorithm, key.fingerprint)).or_default().push((&survey.machine, name));
        }
    }
    keys.retain(|_, hosts| are_several(hosts.iter().map(|(machine, _)| *machine)));
    keys.into_iter().map(|(key, hosts)| (key, hosts.into_iter().map(|(_, name)| name.to_owned()).collect())).collect()
}

fn status(answers: &[Answer]) -> ExitStatus {
    let is_known = |survey: &HostKeySurvey| matches!(survey.trust, KeyTrust::Known | KeyTrust::Certificate);
    let unasked = |answer: &Result<HostKeySurvey, Failure>| answer.as_ref().map_or(true, |survey| survey.incomplete.is_some());
    let strange = answers.iter().flatten().flatten().any(|survey| !is_known(survey));
    let incomplete = answers.iter().flatten().any(unasked);
    match (strange, incomplete) {
        (false, false) => ExitStatus::Clean,
        (true, false) => ExitStatus::Findings,
        (false, true) => ExitStatus::Incomplete,
        (true, true) => ExitStatus::FindingsAndIncomplete,
    }
}
