//! The nouns every room shares: hosts, facts, checks, verdicts, findings and reports.
//!
//! Pure data: no I/O, no runtime, nothing but `std` and `serde`.

mod causes;
mod count;
mod evidence;
mod fact;
mod finding;
mod fleet_finding;
mod host;
mod host_key;
mod kind;
mod nearest;
mod problem;
mod report;
mod secret;
mod value;
mod variables;

pub use causes::with_causes;
pub use count::{counted, number};
pub use evidence::{Evidence, escape};
pub use fact::{FactRef, Facts, Why};
pub use finding::{CheckInfo, Finding, Severity, Verdict};
pub use fleet_finding::{FleetFinding, FleetFindingKind};
pub use host::{BecomeMethod, Connection, Host};
pub use host_key::{KeyTrust, ShownKey, are_several};
pub use kind::Kind;
pub use nearest::nearest;
pub use problem::{Complaint, Problem};
pub use report::{
    CheckTotals, Failure, FleetReport, HostReport, Outcome, Privilege, PrivilegeGap, Reason, ScanEvent, Status, Totals,
    VerdictCounts,
};
pub use secret::Secret;
pub use value::Value;
pub use variables::Variables;
