//! Judging facts. Checks are data: packs of YAML whose expressions are CEL.
//!
//! [`CheckSet::load`] reads and validates packs against a [`Vocabulary`] of facts, so that a pack that loads can only speak of facts that exist, in the shape
//! they have; [`CheckSet::facts`] is what must be known; [`CheckSet::judge`] gives one finding for every check.

mod expression;
mod judge;
mod pack;
mod vocabulary;

pub use expression::{FUNCTIONS, FunctionDoc};
pub use judge::ExampleFault;
pub use pack::{Check, CheckSet, Example, PackError, PackFault, Source};
pub use vocabulary::{Term, Vocabulary};
