//! From the facts that are wanted to the least set of steps.

use std::collections::{BTreeMap, BTreeSet};

use super::{FactSpec, PROBES, Probe, Wanted, fact_specs};
use crate::command::Step;
use crate::model::{FactRef, nearest};

/// A fact was asked for that nobody owns.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnknownFact {
    /// No such name.
    #[error("there is no fact `{name}`{}", nearest.as_ref().map(|nearest| format!("; the nearest is `{nearest}`")).unwrap_or_default())]
    Name {
        /// What was asked for.
        name: String,
        /// The known name that is most like it.
        nearest: Option<String>,
    },
    /// A family without its key.
    #[error("`{name}` is a family of facts: name one, as in `{name}[\"{key}\"]`")]
    KeyMissing {
        /// The family.
        name: String,
        /// What its keys are.
        key: String,
    },
    /// A key where there is no family.
    #[error("`{name}` is one fact and takes no key")]
    NotAFamily {
        /// The fact.
        name: String,
    },
}

/// What will be asked of every host, and for which facts.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    wanted: BTreeMap<usize, Wanted>,
    steps: Vec<Step>,
}

impl Plan {
    /// The steps, in the order of the probes.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// The wanted facts of each probe, by the probe's name.
    pub(super) fn wanted(&self) -> impl Iterator<Item = (&'static str, &Wanted)> {
        self.wanted.iter().map(|(at, wanted)| (PROBES[*at].name, wanted))
    }

    /// Every fact that will be known or unknown.
    pub fn facts(&self) -> impl Iterator<Item = &FactRef> {
        self.wanted.values().flat_map(Wanted::iter)
    }
}

/// Holds a fact's name and key against the list of facts.
///
/// # Errors
/// [`UnknownFact`] for a name nobody owns, a family without key, a key without family.
pub fn resolve(fact: &FactRef) -> Result<&'static FactSpec, UnknownFact> {
    let spec = fact_specs().find(|spec| spec.name == fact.name).ok_or_else(|| UnknownFact::Name {
        name: fact.name.clone(),
        nearest: nearest(&fact.name, fact_specs().map(|spec| spec.name)).map(str::to_owned),
    })?;
    match (spec.key, &fact.key) {
        (Some(key), None) => Err(UnknownFact::KeyMissing { name: fact.name.clone(), key: key.to_owned() }),
        (None, Some(_)) => Err(UnknownFact::NotAFamily { name: fact.name.clone() }),
        _ => Ok(spec),
    }
}

/// The least plan that answers `facts` and whatever they follow from.
///
/// # Errors
/// [`UnknownFact`] for the first fact that nobody owns.
pub fn plan<'a>(facts: impl IntoIterator<Item = &'a FactRef>) -> Result<Plan, UnknownFact> {
    let mut wanted: BTreeMap<usize, Wanted> = BTreeMap::new();
    let mut open = BTreeSet::new();
    let want = |fact: FactRef, wanted: &mut BTreeMap<usize, Wanted>| -> Result<Option<usize>, UnknownFact> {
        let spec = resolve(&fact)?;
        let owner = PROBES.iter().position(|probe| probe.facts.iter().any(|owned| owned.name == spec.name));
        Ok(owner.filter(|at| wanted.entry(*at).or_default().add(fact)))
    };
    for fact in facts {
        open.extend(want(fact.clone(), &mut wanted)?);
    }
    // From the last probe to the first: a probe needs only facts of probes before it.
    while let Some(at) = open.pop_last() {
        let probe: &Probe = PROBES[at];
        for fact in (probe.needs)(&wanted[&at]) {
            open.extend(want(fact, &mut wanted)?);
        }
    }
    let mut steps: Vec<Step> = Vec::new();
    for (at, wanted) in &wanted {
        for step in (PROBES[*at].steps)(wanted) {
            if steps.iter().all(|known| known.id != step.id) {
                steps.push(step);
            }
        }
    }
    Ok(Plan { wanted, steps })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_wanted_is_asked() {
        let plan = plan(&[FactRef::plain("kernel.release")]).expect("plan");
        assert_eq!(plan.steps().iter().map(|step| step.id.as_str()).collect::<Vec<_>>(), ["uname"]);
    }

    #[test]
    fn a_slip_in_a_name_is_answered_with_the_nearest_name() {
        let error = plan(&[FactRef::plain("kernel.relase")]).expect_err("no such fact");
        assert_eq!(error.to_string(), "there is no fact `kernel.relase`; the nearest is `kernel.release`");
        let error = plan(&[FactRef::plain("tools")]).expect_err("a family");
        assert_eq!(error.to_string(), "`tools` is a family of facts: name one, as in `tools[\"program\"]`");
    }

    #[test]
    fn steps_of_one_id_are_one_command_and_every_probe_needs_only_earlier_ones() {
        let mut everything: BTreeMap<usize, Wanted> = BTreeMap::new();
        for (at, probe) in PROBES.iter().enumerate() {
            let wanted = everything.entry(at).or_default();
            for spec in probe.facts {
                wanted.add(FactRef { name: spec.name.to_owned(), key: spec.key.map(|_| "x".to_owned()) });
            }
            for fact in (probe.needs)(wanted) {
                let owner = PROBES.iter().position(|probe| probe.facts.iter().any(|spec| spec.name == fact.name));
                assert!(owner.is_some_and(|owner| owner <= at), "`{}` needs `{fact}`, which no earlier probe owns", probe.name);
            }
        }
        let mut steps: BTreeMap<String, Step> = BTreeMap::new();
        for (at, wanted) in &everything {
            for step in (PROBES[*at].steps)(wanted) {
                assert!(
                    step.id.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'),
                    "{}",
                    step.id
                );
                if let Some(known) = steps.insert(step.id.clone(), step.clone()) {
                    assert_eq!(known.command, step.command, "two commands are called `{}`", step.id);
                }
            }
        }
    }
}
