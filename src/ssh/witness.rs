//! What a host showed of itself, written down as soon as it did, whatever became of the connection.

use std::sync::{Arc, Mutex, PoisonError};

use super::known::Standing;
use crate::model::ShownKey;

/// Sees the key that a host shows. Whoever connects keeps a clone, and asks it afterwards.
#[derive(Debug, Clone, Default)]
pub struct Witness(Arc<Mutex<Seen>>);

#[derive(Debug, Default)]
struct Seen {
    machine: String,
    key: Option<ShownKey>,
    in_full: Option<FullKey>,
    /// The host has no key of any kind that was asked for.
    has_none: bool,
}

/// A key as it came, and what it is worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FullKey {
    pub(super) algorithm: &'static str,
    pub(super) blob: Vec<u8>,
    pub(super) standing: Standing,
}

impl Witness {
    /// The key that the host showed; of several connections the last.
    pub fn key(&self) -> Option<ShownKey> {
        self.with(|seen| seen.key.clone())
    }

    /// Which machine it is that answers.
    pub(super) fn reached(&self, machine: String) {
        self.with(|seen| seen.machine = machine);
    }

    pub(super) fn saw(&self, key: ShownKey, in_full: FullKey) {
        self.with(|seen| {
            seen.key = Some(ShownKey { machine: seen.machine.clone(), ..key });
            seen.in_full = Some(in_full);
        });
    }

    pub(super) fn saw_none(&self) {
        self.with(|seen| seen.has_none = true);
    }

    pub(super) fn in_full(&self) -> Option<FullKey> {
        self.with(|seen| seen.in_full.clone())
    }

    pub(super) fn has_none(&self) -> bool {
        self.with(|seen| seen.has_none)
    }

    fn with<T>(&self, look: impl FnOnce(&mut Seen) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
