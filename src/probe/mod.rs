//! Asking a host and understanding its answers.
//!
//! A [`Probe`] owns facts: it says which steps answer them and parses the answers. [`plan`] takes the facts that the checks want and gives the least set
//! of steps; [`FrameReader`] reads the framed answers into a [`Transcript`]; [`facts`] lets every probe parse its part. One file per topic.

use std::collections::{BTreeMap, BTreeSet};

use crate::command::{Rights, Step};
pub use crate::model::Kind;
use crate::model::{FactRef, Facts, Value, Why};

mod accounts;
mod audit;
mod audit_cover;
mod audit_log;
mod audit_rules;
mod docker;
mod docker_containers;
mod docker_daemon;
mod docker_versions;
mod files;
mod firewall;
mod identity;
mod inetd;
mod integrity;
mod lifecycle;
mod listeners;
mod mac;
mod mounts;
mod packages;
mod pam;
mod plan;
mod record;
mod rules;
mod script;
mod secrets;
mod services;
mod shell_login;
mod sshd;
mod storage;
mod subids;
mod sudo;
mod sysctl;
mod texts;
mod updates;

pub use plan::{Plan, UnknownFact, plan, resolve};
pub use record::{RecordError, Recorded, RecordedStep, prepare_records, read_record, read_record_with, write_record};
pub use rules::{doas_rule, doas_word, root_commands, sudo_rule, sudo_rules, without_rule};
pub use script::{Answer, FrameReader, OutputLimits, State, Transcript, replayed};

/// What a probe says of a fact it owns.
#[derive(Debug, Clone, Copy)]
pub struct FactSpec {
    /// The dotted name.
    pub name: &'static str,
    /// What the key is, for a keyed family (`"path"`, `"group"`).
    pub key: Option<&'static str>,
    /// The shape of the value.
    pub kind: Kind,
    /// The unit, where the value has one.
    pub unit: Option<&'static str>,
    /// The command, or the facts, that it comes from.
    pub source: &'static str,
    /// The rights needed to learn it in full.
    pub rights: Rights,
    /// What it is, in one sentence.
    pub summary: &'static str,
}

/// The facts that are wanted of one probe.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    facts: BTreeSet<FactRef>,
}

impl Wanted {
    /// Adds a fact; true where it is new.
    pub(crate) fn add(&mut self, fact: FactRef) -> bool {
        self.facts.insert(fact)
    }

    /// Whether the fact, or any of the family of that name, is wanted.
    pub fn wants(&self, name: &str) -> bool {
        self.facts.iter().any(|fact| fact.name == name)
    }

    /// Whether any of these is wanted.
    pub fn wants_any(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.wants(name))
    }

    /// The keys wanted of a family, sorted.
    pub fn keys(&self, family: &str) -> Vec<&str> {
        self.facts.iter().filter(|fact| fact.name == family).filter_map(|fact| fact.key.as_deref()).collect()
    }

    /// Every wanted fact.
    pub fn iter(&self) -> impl Iterator<Item = &FactRef> {
        self.facts.iter()
    }
}

/// What a probe parses from.
pub struct Input<'a> {
    /// The answers of the host.
    pub answers: &'a Transcript,
    /// The facts of the probes before this one in [`PROBES`].
    pub facts: &'a Facts,
    /// What is wanted of this probe.
    pub wanted: &'a Wanted,
}

/// Where a probe puts what it learned.
#[derive(Debug, Default)]
pub struct Output {
    facts: Vec<(FactRef, Result<Value, Why>)>,
}

impl Output {
    /// A fact without key, known or not.
    pub fn set(&mut self, name: &str, value: Result<impl Into<Value>, Why>) {
        self.facts.push((FactRef::plain(name), value.map(Into::into)));
    }

    /// A fact of a keyed family, known or not.
    pub fn set_keyed(&mut self, family: &str, key: &str, value: Result<impl Into<Value>, Why>) {
        self.facts.push((FactRef::keyed(family, key), value.map(Into::into)));
    }
}

/// One topic: the facts it owns, how to ask for them, and how to read the answers.
pub struct Probe {
    /// The topic.
    pub name: &'static str,
    /// The facts it owns. No other probe owns any of them.
    pub facts: &'static [FactSpec],
    /// The facts of earlier probes that these follow from, given which of its own are wanted.
    pub needs: fn(&Wanted) -> Vec<FactRef>,
    /// The steps that answer what is wanted. Two probes may ask for the same step (same id, same command); it runs once.
    pub steps: fn(&Wanted) -> Vec<Step>,
    /// Reads the answers. Every wanted fact that it does not set becomes unknown.
    pub parse: fn(&Input<'_>, &mut Output),
    /// Takes secrets out of the answer of a step of this probe before anything else sees it; `None` where there is nothing to take out.
    pub redact: fn(step: &str, stdout: &[u8]) -> Option<Vec<u8>>,
}

/// For a probe whose facts come from its own steps alone.
pub(crate) fn needs_nothing(_: &Wanted) -> Vec<FactRef> {
    Vec::new()
}

/// For a probe whose answers hold no secrets.
pub(crate) fn no_secrets(_: &str, _: &[u8]) -> Option<Vec<u8>> {
    None
}

/// Every probe. A probe that needs facts of another stands after it.
pub const PROBES: &[&Probe] = &[
    &identity::PROBE,
    &files::PROBE,
    &accounts::PROBE,
    &mounts::PROBE,
    &sysctl::PROBE,
    &services::PROBE,
    &inetd::PROBE,
    &packages::PROBE,
    &listeners::PROBE,
    &firewall::PROBE,
    &updates::PROBE,
    &lifecycle::PROBE,
    &mac::PROBE,
    &integrity::PROBE,
    &docker_daemon::PROBE,
    &docker::PROBE,
    &docker_versions::PROBE,
    &docker_containers::PROBE,
    &subids::PROBE,
    &storage::PROBE,
    &audit::PROBE,
    &audit_cover::PROBE,
    &audit_log::PROBE,
    &sudo::PROBE,
    &sshd::PROBE,
    &shell_login::PROBE,
    &pam::PROBE,
];

/// Every fact there is, in the order of the probes.
pub fn fact_specs() -> impl Iterator<Item = &'static FactSpec> {
    PROBES.iter().flat_map(|probe| probe.facts)
}

/// The spec of the fact or family of that name.
pub fn fact_spec(name: &str) -> Option<&'static FactSpec> {
    fact_specs().find(|spec| spec.name == name)
}

/// Takes the secrets out of an answer. Called once, when a transcript is made, so that neither parsers nor recordings ever see them.
pub(crate) fn redact(step: &str, stdout: &[u8]) -> Option<Vec<u8>> {
    PROBES.iter().find_map(|probe| (probe.redact)(step, stdout))
}

/// Everything the plan wants, from the answers of a host. Every wanted fact is in the result, known or not.
pub fn facts(plan: &Plan, answers: &Transcript) -> Facts {
    let mut facts = Facts::default();
    let wanted_by: BTreeMap<&str, &Wanted> = plan.wanted().collect();
    for probe in PROBES {
        let Some(wanted) = wanted_by.get(probe.name) else { continue };
        let mut output = Output::default();
        (probe.parse)(&Input { answers, facts: &facts, wanted }, &mut output);
        for (fact, value) in output.facts {
            if wanted.facts.contains(&fact) {
                facts.insert(fact, value);
            }
        }
        for fact in wanted.iter() {
            let silent = Err(Why::CouldNotBeParsed(format!("nothing in the answers says what `{fact}` is")));
            facts.insert(fact.clone(), silent);
        }
    }
    facts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fact_has_one_owner() {
        let mut names = BTreeSet::new();
        for spec in fact_specs() {
            assert!(names.insert(spec.name), "`{}` has two owners", spec.name);
        }
    }

    #[test]
    fn no_fact_name_is_the_beginning_of_another() {
        let names: Vec<&str> = fact_specs().map(|spec| spec.name).collect();
        for name in &names {
            for other in &names {
                assert!(!other.starts_with(&format!("{name}.")), "`{other}` lies inside `{name}`");
            }
        }
    }
}
