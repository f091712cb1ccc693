//! The shape of a value.

use std::fmt;

use super::Value;

/// The shape of a fact: what checks and their examples are held against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// True or false.
    Bool,
    /// A whole number.
    Int,
    /// Text.
    Text,
    /// A list of one kind.
    List(&'static Kind),
    /// A map from text to one kind.
    Map(&'static Kind),
    /// A record: every field is always there.
    Record(&'static [(&'static str, Kind)]),
    /// Null, or the kind: null means known to be absent, never "not known".
    Maybe(&'static Kind),
}

impl fmt::Display for Kind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool => out.write_str("bool"),
            Self::Int => out.write_str("int"),
            Self::Text => out.write_str("text"),
            Self::List(item) => write!(out, "list of {item}"),
            Self::Map(item) => write!(out, "map of {item}"),
            Self::Record(fields) => {
                out.write_str("{")?;
                for (at, (name, kind)) in fields.iter().enumerate() {
                    if at > 0 {
                        out.write_str(", ")?;
                    }
                    write!(out, "{name}: {kind}")?;
                }
                out.write_str("}")
            }
            Self::Maybe(kind) => write!(out, "{kind} or null"),
        }
    }
}

impl Kind {
    /// Holds a value against the kind. The error names the place and what was expected there.
    ///
    /// # Errors
    /// A sentence for a person, beginning with `at` (the path to the value).
    pub fn accepts(&self, value: &Value, at: &str) -> Result<(), String> {
        match (self, value) {
            (Self::Bool, Value::Bool(_))
            | (Self::Int, Value::Int(_))
            | (Self::Text, Value::String(_))
            | (Self::Maybe(_), Value::Null) => Ok(()),
            (Self::Maybe(kind), value) => kind.accepts(value, at),
            (Self::List(kind), Value::List(items)) => {
                items.iter().enumerate().try_for_each(|(index, item)| kind.accepts(item, &format!("{at}[{index}]")))
            }
            (Self::Map(kind), Value::Map(map)) => {
                map.iter().try_for_each(|(key, item)| kind.accepts(item, &format!("{at}[\"{key}\"]")))
            }
            (Self::Record(fields), Value::Map(map)) => {
                for (name, kind) in *fields {
                    let value = map.get(*name).ok_or_else(|| format!("{at}: the field `{name}` is missing"))?;
                    kind.accepts(value, &format!("{at}.{name}"))?;
                }
                match map.keys().find(|key| !fields.iter().any(|(name, _)| name == key)) {
                    None => Ok(()),
                    Some(key) => Err(format!("{at}: there is no field `{key}`")),
                }
            }
            _ => Err(format!("{at}: expected {self}, got `{value}`")),
        }
    }
}
