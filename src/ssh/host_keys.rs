//! The host keys that are known to a scan.

use std::path::PathBuf;

use super::known_hosts::{Known, KnownHosts, KnownHostsError, Warning};
use super::target::{HostKeyPolicy, Target};

/// Where known host keys come from, and what is done with hosts that have none.
#[derive(Debug, Clone, Default)]
pub struct HostKeySources {
    /// `--known-hosts`: in place of the usual files.
    pub named: Option<PathBuf>,
    /// The home directory, for the user's usual files.
    pub home: Option<PathBuf>,
    /// What is done with a host of which no key is known, where its configuration does not say.
    pub policy: HostKeyPolicy,
}

/// The known host keys, read once for the whole scan.
#[derive(Debug, Default)]
pub struct HostKeys {
    known: KnownHosts,
}

impl HostKeys {
    /// Reads the files.
    ///
    /// # Errors
    /// [`KnownHostsError`] for a named file that can't be read.
    pub fn load(sources: &HostKeySources) -> Result<Self, KnownHostsError> {
        let known = match &sources.named {
            Some(path) => KnownHosts::load(std::slice::from_ref(path), &[]),
            None => KnownHosts::load(&[], &KnownHosts::usual_files(sources.home.as_deref())),
        };
        Ok(Self { known: known? })
    }

    /// What was passed over while reading.
    pub fn warnings(&self) -> &[Warning] {
        self.known.warnings()
    }

    /// Every key of a host.
    pub(super) fn lookup(&self, target: &Target) -> Known {
        self.known.lookup(&target.address, target.port)
    }
}
