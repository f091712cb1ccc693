//! The command line: one file per subcommand.

use crate::check::{Term, Vocabulary};
use crate::probe;

/// The facts that checks may speak of: those that the probes own.
pub fn vocabulary() -> Vocabulary {
    Vocabulary::new(probe::fact_specs().map(|spec| Term { name: spec.name, key: spec.key, kind: spec.kind, source: spec.source }))
}
