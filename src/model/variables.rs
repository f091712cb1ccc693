//! The variables of a host.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Index;
use std::sync::Arc;

use serde::{Serialize, Serializer};

use super::Value;

/// Variables by name: a host's own, and those of its groups, which all hosts of the same groups share. A fleet of 100,000 hosts with 50 variables of
/// groups would fill gigabytes otherwise.
#[derive(Clone, Default)]
pub struct Variables {
    shared: Arc<BTreeMap<String, Value>>,
    /// Sorted by name; they hide shared ones of the same name.
    own: Box<[(String, Value)]>,
}

impl Variables {
    /// Those that are shared, and those that are the host's own.
    pub fn new(shared: Arc<BTreeMap<String, Value>>, own: BTreeMap<String, Value>) -> Self {
        Self { shared, own: own.into_iter().collect() }
    }

    /// The value of a variable.
    pub fn get(&self, name: &str) -> Option<&Value> {
        let own = self.own.binary_search_by(|(own, _)| own.as_str().cmp(name)).ok().and_then(|at| self.own.get(at));
        own.map(|(_, value)| value).or_else(|| self.shared.get(name))
    }

    /// Every variable once, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        let mut own = self.own.iter().map(|(name, value)| (name.as_str(), value)).peekable();
        let mut shared = self.shared.iter().map(|(name, value)| (name.as_str(), value)).peekable();
        std::iter::from_fn(move || match (own.peek(), shared.peek()) {
            (Some((name, _)), Some((other, _))) if name == other => {
                shared.next();
                own.next()
            }
            (Some((name, _)), Some((other, _))) if name > other => shared.next(),
            (Some(_), _) => own.next(),
            (None, _) => shared.next(),
        })
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.own.is_empty() && self.shared.is_empty()
    }
}

impl Index<&str> for Variables {
    type Output = Value;

    /// The value of a variable; null where it is not set.
    fn index(&self, name: &str) -> &Value {
        self.get(name).unwrap_or(&Value::Null)
    }
}

impl PartialEq for Variables {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Variables {}

impl fmt::Debug for Variables {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_map().entries(self.iter()).finish()
    }
}

impl Serialize for Variables {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(shared: &[(&str, i64)], own: &[(&str, i64)]) -> Variables {
        let map = |pairs: &[(&str, i64)]| pairs.iter().map(|(name, value)| ((*name).to_owned(), Value::Int(*value))).collect();
        Variables::new(Arc::new(map(shared)), map(own))
    }

    #[test]
    fn a_variable_of_the_host_hides_that_of_its_groups() {
        let both = variables(&[("a", 1), ("c", 1), ("d", 1)], &[("b", 2), ("c", 2), ("e", 2)]);
        assert_eq!(both, variables(&[], &[("a", 1), ("b", 2), ("c", 2), ("d", 1), ("e", 2)]));
        assert_eq!(serde_json::to_string(&both).unwrap(), r#"{"a":1,"b":2,"c":2,"d":1,"e":2}"#);
        assert_eq!((both.get("c"), both.get("d"), both.get("x")), (Some(&Value::Int(2)), Some(&Value::Int(1)), None));
        assert_eq!(both["x"], Value::Null);
        assert!(variables(&[], &[]).is_empty() && !both.is_empty());
        assert_ne!(both, variables(&[("a", 1)], &[]));
    }
}
