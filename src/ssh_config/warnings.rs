//! Warnings of many hosts, each said once.

use std::collections::HashMap;
use std::sync::Arc;

use super::Problem;

/// The warnings of a fleet: a line that ten thousand hosts share is mentioned once, with the first host that met it and the count.
#[derive(Debug, Clone, Default)]
pub struct Warnings {
    /// In the order in which they came up.
    met: Vec<Met>,
    places: HashMap<Arc<Problem>, usize>,
}

#[derive(Debug, Clone)]
struct Met {
    problem: Arc<Problem>,
    first_host: String,
    hosts: usize,
}

impl Warnings {
    /// Adds what was said of one host.
    pub fn note(&mut self, host: &str, warnings: &[Arc<Problem>]) {
        for problem in warnings {
            let place = *self.places.entry(Arc::clone(problem)).or_insert_with(|| {
                self.met.push(Met { problem: Arc::clone(problem), first_host: host.to_owned(), hosts: 0 });
                self.met.len() - 1
            });
            if let Some(met) = self.met.get_mut(place) {
                met.hosts += 1;
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
