//! The facts that checks may speak of.

use std::collections::BTreeMap;

use crate::model::{FactRef, Facts, Kind, Value, nearest};

/// One fact or family that checks may name.
#[derive(Debug, Clone, Copy)]
pub struct Term {
    /// The dotted name.
    pub name: &'static str,
    /// What the key is, for a family.
    pub key: Option<&'static str>,
    /// The shape of the value.
    pub kind: Kind,
    /// The command, or the facts, that it comes from: the source of evidence.
    pub source: &'static str,
}

/// Every fact that checks may name.
#[derive(Debug, Clone, Default)]
pub struct Vocabulary {
    terms: BTreeMap<&'static str, Term>,
}

impl Vocabulary {
    /// A vocabulary of these terms.
    pub fn new(terms: impl IntoIterator<Item = Term>) -> Self {
        Self { terms: terms.into_iter().map(|term| (term.name, term)).collect() }
    }

    /// The term of that name.
    pub fn term(&self, name: &str) -> Option<&Term> {
        self.terms.get(name)
    }

    /// Whether any fact's name begins with this word.
    pub(super) fn has_root(&self, root: &str) -> bool {
        self.terms.keys().any(|name| name.split('.').next() == Some(root))
    }

    /// The fact that a dotted path leads to: the term, and how many segments of the path are its name.
    ///
    /// # Errors
    /// A sentence that names the nearest known fact.
    pub(super) fn resolve(&self, path: &[&str]) -> Result<(&Term, usize), String> {
        for length in (1..=path.len()).rev() {
            if let Some(term) = self.term(&path[..length].join(".")) {
                return Ok((term, length));
            }
        }
        let name = path.join(".");
        let inside = format!("{name}.");
        Err(match nearest(&name, self.terms.keys().copied()) {
            _ if self.terms.keys().any(|known| known.starts_with(&inside)) => {
                format!("`{name}` is not a fact but the beginning of several; `fleetscan facts list` shows them")
            }
            Some(nearest) => format!("there is no fact `{name}`; the nearest is `{nearest}`"),
            None => format!("there is no fact `{name}`; `fleetscan facts list` shows those there are"),
        })
    }

    /// Facts from a nested map, as the examples of checks give them: `{docker: {installed: true}, sysctl: {"net.ipv4.ip_forward": "0"}}`.
    ///
    /// # Errors
    /// A sentence for a name nobody owns or a value of another kind.
    pub(super) fn facts(&self, nested: &BTreeMap<String, Value>) -> Result<Facts, String> {
        let mut facts = Facts::default();
        for (name, value) in nested {
            self.collect(name, value, &mut facts)?;
        }
        Ok(facts)
    }

    fn collect(&self, name: &str, value: &Value, facts: &mut Facts) -> Result<(), String> {
        match (self.term(name), value) {
            (Some(Term { key: None, kind, .. }), value) => {
                kind.accepts(value, name)?;
                facts.insert(FactRef::plain(name), Ok(value.clone()));
            }
            (Some(Term { kind, .. }), Value::Map(entries)) => {
                for (key, value) in entries {
                    let fact = FactRef::keyed(name, key);
                    kind.accepts(value, &fact.to_string())?;
                    facts.insert(fact, Ok(value.clone()));
                }
            }
            (Some(_), _) => return Err(format!("`{name}` is a family of facts and needs a map from keys to values")),
            (None, Value::Map(entries)) => {
                for (field, value) in entries {
                    self.collect(&format!("{name}.{field}"), value, facts)?;
                }
            }
            (None, _) => {
                self.resolve(&name.split('.').collect::<Vec<_>>())?;
            }
        }
        Ok(())
    }
}
