//! Warnings of many hosts, each said once.

use std::collections::HashMap;
use std::sync::Arc;

use crate::model::Problem;

/// The warnings of a fleet: a line that ten thousand hosts share is mentioned once, with the first host that met it and the count.
#[derive(Debug, Clone, Default)]
pub struct Warnings {
    /// How many hosts were looked at.
    hosts: usize,
    /// In the order in which they came up.
    met: Vec<Met>,
    places: HashMap<Arc<Problem>, usize>,
}

#[derive(Debug, Clone)]
struct Met {
    problem: Arc<Problem>,
    first_host: String,
    hosts: usize,
    /// Which host met it last, counted from 1: a host may meet a line again through its jump hosts.
    last: usize,
}

impl Warnings {
    /// Adds what was said of one host.
    pub fn note(&mut self, host: &str, warnings: &[Arc<Problem>]) {
        self.hosts += 1;
        for problem in warnings {
            let place = *self.places.entry(Arc::clone(problem)).or_insert_with(|| {
                self.met.push(Met { problem: Arc::clone(problem), first_host: host.to_owned(), hosts: 0, last: 0 });
                self.met.len() - 1
            });
            if let Some(met) = self.met.get_mut(place).filter(|met| met.last != self.hosts) {
                met.hosts += 1;
                met.last = self.hosts;
            }
        }
    }

    /// Each warning with the hosts that it is for.
    pub fn problems(&self) -> impl Iterator<Item = Problem> {
        self.met.iter().map(|met| {
            let others = match met.hosts {
                0 | 1 => String::new(),
                hosts => format!(" and {} more", hosts - 1),
            };
            let message = format!("{}, for `{}`{others}", met.problem.message, met.first_host);
            Problem { message, ..Problem::clone(&met.problem) }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_a_host_meets_through_its_jump_host_as_well_counts_once_for_it() {
        let problem = |line| {
            Arc::new(Problem { file: "config".into(), line: Some(line), message: "is not done here".to_owned(), hint: None })
        };
        let mut warnings = Warnings::default();
        warnings.note("web1", &[problem(1), problem(1), problem(2)]);
        warnings.note("web2", &[problem(1), problem(1)]);
        let said: Vec<String> = warnings.problems().map(|problem| problem.message).collect();
        assert_eq!(said, ["is not done here, for `web1` and 1 more", "is not done here, for `web1`"]);
    }
}
