//! How a scan proves who it is. Everything is read, listed and asked for once, before the first host is dialled, and shared by all.
//!
//! ```text
//! keys.rs          key files: of what kind, what opens them
//! pem.rs           the encryption of old PEM files (pure)
//! agent.rs         ssh-agents: what they hold, how they sign
//! certificates.rs  user certificates, and whether they hold
//! passwords.rs     passwords: of the scan, of a host, of a program
//! offers.rs        which of these keys one host is offered, in which order
//! prompts.rs       what a host asks, and what is answered (pure)
//! clock.rs         the time that a host may take
//! login.rs         the conversation with one host
//! ```

mod agent;
mod certificates;
mod clock;
mod keys;
mod login;
mod offers;
mod passwords;
mod pem;
mod prompts;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use russh::keys::Certificate;

pub use keys::CredentialError;
pub use passwords::Passwords;
pub(super) use prompts::password_expired;

use self::agent::Held;
use self::keys::{KeyFile, with_suffix};
use self::offers::Offers;
use super::{Login, Method, Target};
use crate::model::{Failure, Reason, Secret, counted};
use crate::ssh_config::AgentSocket;

/// The key files that OpenSSH looks for below `~/.ssh`, best first.
const USUAL_FILES: [&str; 5] = ["id_ed25519", "id_ecdsa", "id_rsa", "id_ed25519_sk", "id_ecdsa_sk"];

/// How often a person is asked for one passphrase, as `NumberOfPasswordPrompts`.
const QUESTIONS: usize = 3;

/// Whoever can be asked for a passphrase. `None`: there is no answer.
#[derive(Clone)]
pub struct Asker(Arc<Ask>);

/// How one is asked.
type Ask = dyn Fn(&str) -> Option<Secret> + Send + Sync;

impl Asker {
    /// Asks in this way; the question is what the person is shown.
    pub fn new(ask: impl Fn(&str) -> Option<Secret> + Send + Sync + 'static) -> Self {
        Self(Arc::new(ask))
    }
}

impl fmt::Debug for Asker {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Asker")
    }
}

/// Where keys and passwords come from.
#[derive(Debug, Clone, Default)]
pub struct CredentialSources {
    /// The key that was named for all hosts: it must be usable.
    pub named: Option<PathBuf>,
    /// The socket of the agent that hosts use which name none.
    pub agent: Option<PathBuf>,
    /// The directory with the usual files.
    pub directory: Option<PathBuf>,
    /// Passphrases to try on keys that are locked.
    pub passphrases: Vec<Secret>,
    /// Whom to ask for more of them.
    pub ask: Option<Asker>,
    /// The passwords of hosts.
    pub passwords: Passwords,
}

impl CredentialSources {
    /// What `ssh` would use: the agent of `SSH_AUTH_SOCK` and the files of `~/.ssh`.
    pub fn of_environment() -> Self {
        let path = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        Self { agent: path("SSH_AUTH_SOCK"), directory: path("HOME").map(|home| home.join(".ssh")), ..Self::default() }
    }
}

/// What was read, or why not, in one line.
type Loaded<T> = Result<T, String>;

/// What this scan can prove, loaded once.
#[derive(Debug, Default)]
pub struct Credentials {
    /// By socket.
    agents: BTreeMap<PathBuf, Held>,
    /// The socket of the environment.
    agent: Option<PathBuf>,
    /// By path: the keys that were named for all hosts or for some, and the usual ones.
    files: BTreeMap<PathBuf, Result<KeyFile, CredentialError>>,
    /// Those of [`USUAL_FILES`] that are there.
    usual: Vec<PathBuf>,
    /// Certificates beside keys, with their own paths, by the path of the key.
    beside: BTreeMap<PathBuf, (PathBuf, Loaded<Arc<Certificate>>)>,
    /// By path: the certificates that were named.
    certificates: BTreeMap<PathBuf, Loaded<Arc<Certificate>>>,
    passwords: Passwords,
}

/// What the logins of a scan need, each thing once.
#[derive(Default)]
struct Needs {
    sockets: BTreeSet<PathBuf>,
    certificates: BTreeSet<PathBuf>,
    /// By path of a key that was named.
    keys: BTreeMap<PathBuf, Uses>,
    /// Those that name no key.
    usual: Option<Uses>,
    /// Of these, the sockets of those that have no password either.
    usual_alone: BTreeSet<Option<PathBuf>>,
}

/// Who uses a key.
#[derive(Default)]
struct Uses {
    hosts: usize,
    /// The agents of these hosts.
    sockets: BTreeSet<Option<PathBuf>>,
}

impl Uses {
    fn add(&mut self, socket: Option<&PathBuf>) {
        self.hosts += 1;
        self.sockets.insert(socket.cloned());
    }
}

impl Needs {
    fn of<'a>(sources: &CredentialSources, logins: impl IntoIterator<Item = &'a Login>) -> Self {
        let mut needs = Self::default();
        for login in logins.into_iter().filter(|login| login.methods.contains(&Method::PublicKey)) {
            let socket = socket(login, sources.agent.as_ref());
            needs.sockets.extend(socket.cloned());
            needs.certificates.extend(login.certificate_files.iter().cloned());
            if login.no_key_files {
                continue;
            }
            for path in &login.key_files {
                needs.keys.entry(path.clone()).or_default().add(socket);
            }
            if login.key_files.is_empty() {
                needs.usual.get_or_insert_default().add(socket);
                if !may_have_password(&sources.passwords, login) {
                    needs.usual_alone.insert(socket.cloned());
                }
            }
        }
        needs
    }
}

/// The agent of a login.
fn socket<'a>(login: &'a Login, environment: Option<&'a PathBuf>) -> Option<&'a PathBuf> {
    match &login.agent {
        AgentSocket::Environment => environment,
        AgentSocket::Path(path) => Some(path),
        AgentSocket::None => None,
    }
}

/// Whether a login could be made with a password.
fn may_have_password(passwords: &Passwords, login: &Login) -> bool {
    let methods = [Method::KeyboardInteractive, Method::Password];
    methods.iter().any(|method| login.methods.contains(method)) && passwords.any_for(login.password.as_ref())
}

impl Credentials {
    /// Reads the key files and certificates that these logins need, lists their agents, and asks for the passphrases of keys that would otherwise be of no use.
    ///
    /// # Errors
    /// [`CredentialError`] for the key that was named for all hosts. Whatever else can't be used is told by the hosts that needed it.
    pub async fn load<'a>(
        sources: &CredentialSources,
        logins: impl IntoIterator<Item = &'a Login>,
    ) -> Result<Self, CredentialError> {
        let needs = Needs::of(sources, logins);
        let listing = needs.sockets.iter().map(|socket| async { (socket.clone(), Held::list(socket).await) });
        let mut credentials = Self {
            agents: futures::future::join_all(listing).await.into_iter().collect(),
            agent: sources.agent.clone(),
            passwords: sources.passwords.clone(),
            ..Self::default()
        };
        if let Some(path) = &sources.named {
            let file = KeyFile::read(path)?;
            credentials.add_file(path, Ok(file));
        }
        for path in needs.keys.keys().filter(|path| Some(*path) != sources.named.as_ref()) {
            credentials.add_file(path, KeyFile::read(path));
        }
        if needs.usual.is_some() {
            let usual = sources.directory.iter().flat_map(|directory| USUAL_FILES.map(|name| directory.join(name)));
            credentials.usual = usual.filter(|path| path.exists()).collect();
            for path in credentials.usual.clone() {
                credentials.add_file(&path, KeyFile::read(&path));
            }
        }
        for path in needs.certificates.iter().cloned() {
            let certificate = certificates::read(&path);
            credentials.certificates.insert(path, certificate);
        }
        credentials.unlock(sources, &needs);
        if let Some((path, uses)) = sources.named.as_ref().and_then(|path| needs.keys.get_key_value(path))
            && let Some(Ok(file)) = credentials.files.get(path)
        {
            let mut keys = uses.sockets.iter().map(|socket| file.key(credentials.held_at(socket.as_ref())));
            let usable = keys.clone().any(|key| key.is_ok());
            if let Some(Err(error)) = keys.next().filter(|_| !usable) {
                return Err(error);
            }
        }
        // One that no passphrase opens.
        if let Some(path) = &sources.named
            && matches!(credentials.files.get(path), Some(Err(_)))
            && let Some(Err(error)) = credentials.files.remove(path)
        {
            return Err(error);
        }
        Ok(credentials)
    }

    fn add_file(&mut self, path: &Path, file: Result<KeyFile, CredentialError>) {
        if self.files.contains_key(path) {
            return;
        }
        self.files.insert(path.to_owned(), file);
        let name = path.to_string_lossy();
        let certificate = with_suffix(Path::new(name.strip_suffix(".pub").unwrap_or(&name)), "-cert.pub");
        if certificate.exists() {
            let read = certificates::read(&certificate);
            self.beside.insert(path.to_owned(), (certificate, read));
        }
    }

    /// Opens what is locked: with the passphrases that are there, then, where that matters, with what a person says.
    fn unlock(&mut self, sources: &CredentialSources, needs: &Needs) {
        let mut passphrases = sources.passphrases.clone();
        let locked: Vec<PathBuf> = self.locked().collect();
        for path in &locked {
            let usual = self.usual.contains(path).then_some(needs.usual.as_ref()).flatten();
            // Those that an agent holds are left to it: to try a passphrase takes time.
            let wanted = |uses: &Uses| uses.sockets.iter().any(|socket| self.is_shut(path, socket.as_ref()));
            let (named, usual) = (needs.keys.get(path).filter(|uses| wanted(uses)), usual.filter(|uses| wanted(uses)));
            if named.or(usual).is_none() || passphrases.iter().any(|passphrase| self.try_passphrase(path, passphrase)) {
                continue;
            }
            if let (Some(uses), Some(ask)) = (named, &sources.ask) {
                passphrases.extend(self.ask(path, uses.hosts, ask));
            }
        }
        // The usual keys are asked for where a host would have nothing else.
        let alone = |credentials: &Self| {
            needs.usual_alone.iter().any(|socket| {
                credentials.held_at(socket.as_ref()).is_none_or(|held| held.keys.is_empty() && held.certificates.is_empty())
            }) && !credentials.usual.iter().any(|path| matches!(credentials.files.get(path), Some(Ok(file)) if file.is_open()))
        };
        for path in self.usual.clone() {
            let locked = matches!(self.files.get(&path), Some(Ok(file)) if file.is_locked());
            if let (true, true, Some(uses), Some(ask)) = (locked, alone(self), &needs.usual, &sources.ask)
                && !passphrases.iter().any(|passphrase| self.try_passphrase(&path, passphrase))
            {
                passphrases.extend(self.ask(&path, uses.hosts, ask));
            }
        }
    }

    fn locked(&self) -> impl Iterator<Item = PathBuf> {
        self.files.values().flatten().filter(|file| file.is_locked()).map(|file| file.path().to_owned())
    }

    /// Whether neither the file nor this agent gives the key.
    fn is_shut(&self, path: &Path, socket: Option<&PathBuf>) -> bool {
        matches!(self.files.get(path), Some(Ok(file)) if file.key(self.held_at(socket)).is_err())
    }

    fn try_passphrase(&mut self, path: &Path, passphrase: &Secret) -> bool {
        let Some(Ok(file)) = self.files.get_mut(path) else { return true };
        match file.unlock(passphrase) {
            Ok(open) => open,
            // No passphrase will do: the file is given up.
            Err(error) => {
                self.files.insert(path.to_owned(), Err(error));
                true
            }
        }
    }

    /// Asks for a passphrase until it is right; nothing is the answer of somebody who doesn't have it.
    fn ask(&mut self, path: &Path, hosts: usize, ask: &Asker) -> Option<Secret> {
        let hosts = counted(hosts as u64, "host");
        let mut wrong = "";
        for _ in 0..QUESTIONS {
            let question = format!("{wrong}Passphrase for the key `{}` of {hosts}: ", path.display());
            let answer = (ask.0)(&question).filter(|answer| !answer.reveal().is_empty())?;
            if self.try_passphrase(path, &answer) {
                return Some(answer);
            }
            wrong = "Wrong. ";
        }
        None
    }

    /// What the agent of this login holds.
    fn held(&self, login: &Login) -> Option<&Held> {
        self.held_at(socket(login, self.agent.as_ref()))
    }

    fn held_at(&self, socket: Option<&PathBuf>) -> Option<&Held> {
        self.agents.get(socket?)
    }

    /// Whether there is, or may be, a password for this login, and a way to use it.
    fn has_password(&self, login: &Login) -> bool {
        may_have_password(&self.passwords, login)
    }

    /// Whether there is anything for this host, so that none is dialled in vain. A program that alone has the password is asked now, or the host would wait for it.
    pub(super) async fn prepare(&self, target: &Target) -> Result<(), Failure> {
        let Offers { list, mut notes } = Offers::of(self, target);
        if !list.is_empty() {
            return Ok(());
        }
        if self.has_password(&target.login) {
            match self.passwords.of(target).await {
                Some(Ok(_)) => return Ok(()),
                Some(Err(what)) => notes.insert(0, what),
                None => {}
            }
        }
        Err(Failure::new(Reason::NoCredentials, notes.join("; ")))
    }
}
