//! What the key exchange may choose from.

/// The algorithms of one host. By default those that are safe, best first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Algorithms {}
