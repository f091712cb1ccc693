//! The host keys that are known to a scan, and what it does with hosts that nobody knows.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use russh::keys::Algorithm;
use russh::keys::ssh_key::public::KeyData;

use super::algorithms::Algorithms;
use super::known::{Known, Names, Shown, Standing};
use super::known_hosts::{KnownHosts, KnownKey, Warning, plain_name};
use super::new_keys::NewKeys;
use super::revoked_keys::RevokedKeys;
use super::shared_file;
use super::target::{HostIdentity, HostKeyPolicy, Route, Target};

/// Hashed names that are looked through on a thread that also serves connections; more take a thread of their own. Each was measured to take 0.12 µs on an
/// idle processor and twice that on a busy one, so that ten thousand of them cost a host one to three milliseconds, on whichever core is free.
const FEW_HASHED: usize = 500;

/// Where known host keys come from, and what is done with hosts that have none.
#[derive(Debug, Clone, Default)]
pub struct HostKeySources {
    /// `--known-hosts`: in place of the usual files, and of those that the configuration of a host names.
    pub named: Option<PathBuf>,
    /// The home directory, for the user's usual files.
    pub home: Option<PathBuf>,
    /// What is done with a host of which no key is known, where its configuration does not say.
    pub policy: HostKeyPolicy,
    /// Whether the command line chose the policy: then what the configuration of a host says of it does not count.
    pub policy_named: bool,
    /// Where accepted keys are kept; what is there is known in later scans. `None`: they are known as long as the scan runs.
    pub accepted_file: Option<PathBuf>,
    /// Whether the directories of that file are made where they are missing: for the usual one, and not for one that was named, perhaps with a slip of the pen.
    pub make_directories: bool,
    /// Where keys are written down for a person to look at ([`HostKeyPolicy::Record`]). Nothing there is trusted.
    pub recorded_file: Option<PathBuf>,
}

/// The files of host keys are not as they must be.
#[derive(Debug, thiserror::Error)]
pub enum HostKeysError {
    /// A file of known hosts that was named.
    #[error("could not read the known hosts in `{}`", path.display())]
    KnownHosts {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file of revoked keys.
    #[error("could not read the revoked host keys in `{}`", path.display())]
    Revoked {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A line of the file of revoked keys.
    #[error("`{}:{line}` revokes something that cannot be understood: {what}", path.display())]
    RevokedLine {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        what: String,
    },
    /// The file of revoked keys is a binary one.
    #[error("`{}` is a binary key revocation list, which fleetscan does not read", path.display())]
    RevocationList {
        /// The file.
        path: PathBuf,
    },
    /// The file that new keys go to.
    #[error("new host keys cannot be written to `{}`", path.display())]
    New {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl HostKeysError {
    /// What to do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::KnownHosts { .. } => None,
            Self::Revoked { .. } | Self::RevokedLine { .. } => {
                Some("`RevokedHostKeys` names it; without it no host can be trusted, so nothing is contacted")
            }
            Self::RevocationList { .. } => {
                Some("list the revoked keys in a text file, one `TYPE BASE64` a line, and name that with `RevokedHostKeys`")
            }
            Self::New { .. } => Some("`--new-host-keys FILE` names another file"),
        }
    }
}

/// The known host keys, read once for the whole scan.
#[derive(Debug, Default)]
pub struct HostKeys {
    sources: HostKeySources,
    files: BTreeMap<PathBuf, Arc<KnownHosts>>,
    revoked: BTreeMap<PathBuf, Arc<RevokedKeys>>,
    new: NewKeys,
}

/// Where OpenSSH keeps the known hosts of a user.
fn usual_user_files(home: Option<&Path>) -> Vec<PathBuf> {
    home.into_iter().flat_map(|home| [home.join(".ssh/known_hosts"), home.join(".ssh/known_hosts2")]).collect()
}

/// Where OpenSSH keeps those of a machine.
fn usual_global_files() -> Vec<PathBuf> {
    vec!["/etc/ssh/ssh_known_hosts".into(), "/etc/ssh/ssh_known_hosts2".into()]
}

impl HostKeySources {
    fn policy_of(&self, identity: &HostIdentity) -> HostKeyPolicy {
        identity.policy.filter(|_| !self.policy_named).unwrap_or(self.policy)
    }

    /// Whether a host is to be forgotten after each connection: `UserKnownHostsFile /dev/null`, for hosts whose addresses are others' tomorrow.
    fn forgets(&self, identity: &HostIdentity) -> bool {
        let nowhere = |files: &Vec<PathBuf>| files.iter().all(|file| file == Path::new("/dev/null"));
        self.named.is_none() && identity.user_files.as_ref().is_some_and(nowhere)
    }

    /// The file that a person would put the keys of a host into.
    fn file_to_mend(&self, identity: &HostIdentity) -> String {
        let own = identity.user_files.as_ref().and_then(|files| files.iter().find(|file| *file != Path::new("/dev/null")));
        self.named.as_ref().or(own).map_or_else(|| "~/.ssh/known_hosts".to_owned(), |file| file.display().to_string())
    }

    /// The files that a host is looked up in, in order.
    fn files_of(&self, identity: &HostIdentity) -> Vec<PathBuf> {
        let mut files = match &self.named {
            Some(named) => vec![named.clone()],
            None => {
                let user = identity.user_files.clone().unwrap_or_else(|| usual_user_files(self.home.as_deref()));
                let global = identity.global_files.clone().unwrap_or_else(usual_global_files);
                [user, global].concat()
            }
        };
        // A file that was named is all that is trusted, unless keys are to be accepted beside it: what was accepted before must then be known.
        let beside = self.named.is_none() || self.policy_of(identity) == HostKeyPolicy::AcceptNew;
        if beside && !self.forgets(identity) {
            files.extend(self.accepted_file.clone());
        }
        files
    }
}

impl HostKeys {
    /// Reads all files that a scan of hosts with these identities needs, each once, and makes sure that new keys can be written.
    ///
    /// The file of `--known-hosts` must be there; those of a configuration and the usual ones may be missing, as for `ssh`.
    ///
    /// # Errors
    /// [`HostKeysError`] for a file that is needed and can't be used.
    pub fn load<'a>(
        sources: &HostKeySources,
        identities: impl IntoIterator<Item = &'a HostIdentity>,
    ) -> Result<Self, HostKeysError> {
        let usual = HostIdentity::default();
        let mut wanted = BTreeSet::new();
        let mut revoked = BTreeMap::new();
        let mut policies = BTreeSet::new();
        let mut all: Vec<&HostIdentity> = identities.into_iter().collect();
        all.push(&usual);
        for identity in all {
            wanted.extend(sources.files_of(identity));
            policies.insert(sources.policy_of(identity));
            if let Some(path) = identity.revoked_file.as_ref().filter(|path| !revoked.contains_key(*path)) {
                revoked.insert(path.clone(), Arc::new(RevokedKeys::read(path)?));
            }
        }
        let mut files = BTreeMap::new();
        for path in wanted {
            let known = match KnownHosts::read(&path) {
                Ok(known) => known,
                Err(source) if sources.named.as_ref() == Some(&path) => return Err(HostKeysError::KnownHosts { path, source }),
                Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => continue,
                Err(error) => KnownHosts::unread(&path, &error),
            };
            files.insert(path, Arc::new(known));
        }
        let unwritable = |path: &PathBuf| {
            let path = path.clone();
            |source| HostKeysError::New { path, source }
        };
        if let (Some(path), true) = (&sources.accepted_file, policies.contains(&HostKeyPolicy::AcceptNew)) {
            if sources.make_directories {
                shared_file::make_directories(path).map_err(unwritable(path))?;
            }
            shared_file::prepare(path).map_err(unwritable(path))?;
        }
        if let (Some(path), true) = (&sources.recorded_file, policies.contains(&HostKeyPolicy::Record)) {
            shared_file::prepare(path).map_err(unwritable(path))?;
        }
        let new = NewKeys::new(sources.accepted_file.clone(), sources.recorded_file.clone());
        Ok(Self { sources: sources.clone(), files, revoked, new })
    }

    /// What was passed over while reading.
    pub fn warnings(&self) -> impl Iterator<Item = &Warning> {
        self.files.values().flat_map(|file| file.warnings())
    }

    /// The keys that nobody knew: to be saved when the scan has ended.
    pub fn new_keys(&self) -> NewKeys {
        self.new.clone()
    }

    /// Whether every host is let in, whatever key it shows.
    pub fn accepts_anything(&self) -> bool {
        self.sources.policy == HostKeyPolicy::AcceptAnything
    }

    /// What is expected of a host. Not quite for nothing where names are hashed, so it is asked once for each host.
    pub(super) async fn expect(&self, target: &Target) -> Expected {
        let identity = &target.identity;
        let names = Names::new(&target.address, target.port, identity.alias.as_deref());
        let paths = self.sources.files_of(identity);
        let files: Vec<_> = paths.iter().filter_map(|path| self.files.get(path)).map(Arc::clone).collect();
        let hashed: usize = files.iter().map(|file| file.hashed_names()).sum();
        let mut known = if hashed > FEW_HASHED {
            let (files, names) = (files.clone(), names.clone());
            tokio::task::spawn_blocking(move || Known::lookup(&files, names)).await.ok()
        } else {
            None
        }
        .unwrap_or_else(|| Known::lookup(&files, names));
        known.add(self.new.accepted(&known.names.listed));
        Expected {
            known: Arc::new(known),
            policy: self.sources.policy_of(identity),
            forgets: self.sources.forgets(identity),
            revoked: identity.revoked_file.as_ref().map(|path| {
                let read = self.revoked.get(path).map(Arc::clone);
                read.unwrap_or_else(|| Arc::new(RevokedKeys::unread(path)))
            }),
            algorithms: Arc::clone(&target.algorithms),
            new: self.new.clone(),
            asks: None,
            place: Place {
                address: target.address.clone(),
                port: target.port,
                aliased: identity.alias.is_some(),
                direct: target.route == Route::Direct,
                file: self.sources.file_to_mend(identity),
            },
        }
    }
}

/// Where a host is, for those who want to ask it themselves.
#[derive(Debug, Clone)]
struct Place {
    address: String,
    port: u16,
    aliased: bool,
    direct: bool,
    /// The file that its keys belong into.
    file: String,
}

/// What a connection expects of its host.
#[derive(Debug, Clone)]
pub(super) struct Expected {
    known: Arc<Known>,
    policy: HostKeyPolicy,
    forgets: bool,
    revoked: Option<Arc<RevokedKeys>>,
    algorithms: Arc<Algorithms>,
    new: NewKeys,
    /// The host is only asked for its key, and is not let in whatever it shows: kinds of keys that are not asked for any more.
    asks: Option<Vec<&'static str>>,
    place: Place,
}

/// Whether a host is let in.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// It is known, or that doesn't matter.
    LetIn,
    /// It is let in, and known from now on.
    Accepted,
    /// It is not.
    Refuse,
    /// It is not; its key was written down, there.
    Recorded(PathBuf),
}

impl Expected {
    /// The same, to ask for a key that is none of these kinds and go no further.
    pub(super) fn asking(&self, without: &[&'static str]) -> Self {
        Self { asks: Some(without.to_vec()), ..self.clone() }
    }

    pub(super) fn is_asking(&self) -> bool {
        self.asks.is_some()
    }

    /// The name that the host is listed under.
    pub(super) fn name(&self) -> &str {
        &self.known.names.listed
    }

    /// How the host is asked for its keys, to be added to a file: a command where there is one.
    pub(super) fn ask_yourself(&self, file: Option<&Path>) -> String {
        let Place { address, port, aliased, direct, file: usual } = &self.place;
        let file = file.map_or_else(|| usual.clone(), |file| file.display().to_string());
        let port = if *port == 22 { String::new() } else { format!("-p {port} ") };
        match (direct, aliased) {
            (true, false) => format!("`ssh-keyscan {port}{address} >> {file}`"),
            (true, true) => {
                format!("`ssh-keyscan {port}{address}`, its lines listed as `{}` (HostKeyAlias) in {file}", self.name())
            }
            (false, _) => format!("`fleetscan host-keys -i INVENTORY -o FILE`, and what it finds into {file}"),
        }
    }

    /// The host key algorithms to ask for: the kinds of the known keys first, or a server shows its best key, which may be one that nobody knows.
    pub(super) fn host_keys(&self) -> Vec<Algorithm> {
        let algorithms = &self.algorithms;
        let asked = |algorithm: &Algorithm| !self.asks.iter().flatten().any(|kind| *kind == plain_name(algorithm));
        let all = algorithms.host_keys.iter().filter(|algorithm| asked(algorithm)).cloned();
        if algorithms.host_keys_chosen {
            return all.collect();
        }
        let known = self.known.algorithms();
        let (mut first, rest): (Vec<_>, Vec<_>) = all.partition(|algorithm| known.contains(&plain_name(algorithm)));
        first.extend(rest);
        first
    }

    /// The certificates to ask for, ahead of all keys: where some authority is known for the host, or may be revoked, for nobody else's say anything. Those that
    /// hold a key of a known kind come first, since a certificate that doesn't hold is as good as the key in it; where no authority is known, they are all.
    pub(super) fn host_certificates(&self) -> Vec<Algorithm> {
        let all = self.host_keys();
        let known = self.known.algorithms();
        match (self.known.has_authorities(), self.known.has_revoked() || self.revoked.is_some()) {
            (true, _) => all,
            (false, true) if known.is_empty() => all,
            (false, true) => all.into_iter().filter(|algorithm| known.contains(&plain_name(algorithm))).collect(),
            (false, false) => Vec::new(),
        }
    }

    /// What the key that the host shows is worth, and whether it is let in.
    pub(super) fn judge(&self, algorithm: &'static str, shown: Shown<'_>, key: &KeyData) -> (Standing, Decision) {
        let now = u64::try_from(Timestamp::now().as_second()).unwrap_or_default();
        let mut standing = self.known.judge(shown, &self.algorithms, self.revoked.as_deref(), now);
        if let (Some(fault), false) =
            (self.algorithms.too_short(key), matches!(standing, Standing::Changed(..) | Standing::Revoked(_)))
        {
            standing = Standing::TooShort(fault);
        }
        // A key that is too short is refused whatever the policy, as by `ssh`: whoever listens may have its private half.
        if self.is_asking() || matches!(standing, Standing::TooShort(_)) {
            return (standing, Decision::Refuse);
        }
        let nothing_known = match &standing {
            Standing::Known(_) | Standing::Certified(_) => return (standing, Decision::LetIn),
            Standing::Unknown | Standing::Uncertified { authority_known: false, .. } => true,
            Standing::Changed(..)
            | Standing::Revoked(_)
            | Standing::TooShort(_)
            | Standing::Uncertified { authority_known: true, .. } => false,
        };
        match self.policy {
            HostKeyPolicy::AcceptAnything => (standing, Decision::LetIn),
            HostKeyPolicy::AcceptNew if nothing_known && self.forgets => (standing, Decision::Accepted),
            HostKeyPolicy::AcceptNew if nothing_known => match self.new.accept(self.name(), algorithm, shown.blob) {
                Ok(()) => (standing, Decision::Accepted),
                // Two hosts of one name that show different keys: the first is known by now.
                Err(other) => (Standing::Changed(other, None), Decision::Refuse),
            },
            HostKeyPolicy::Record if nothing_known => {
                self.new.record(self.name(), algorithm, shown.blob);
                match self.new.recorded_file() {
                    Some(path) => (standing, Decision::Recorded(path.to_owned())),
                    None => (standing, Decision::Refuse),
                }
            }
            _ => (standing, Decision::Refuse),
        }
    }

    /// Whether the host has known keys of its own.
    pub(super) fn has_keys(&self) -> bool {
        self.known.has_keys()
    }

    /// The known key of a kind, where the host has one of its own.
    pub(super) fn key_of(&self, algorithm: &str) -> Option<&Arc<KnownKey>> {
        self.known.key_of(algorithm)
    }
}
