//! A host as a row of named fields: a line of a table, or an object of a list.

use super::graph::{Graph, Origin, UNGROUPED, Variable, Variables};
use super::{Complaint, address};
use crate::model::Value;

// Of several columns for one thing the first of these counts; the others are variables. So `name,host` is a name and an address.
const NAME: [&str; 4] = ["name", "host", "hostname", "inventory_hostname"];
const ADDRESS: [&str; 5] = ["address", "ansible_host", "ip", "host", "hostname"];
const PORT: [&str; 2] = ["port", "ansible_port"];
const USER: [&str; 2] = ["user", "ansible_user"];
const GROUPS: [&str; 2] = ["groups", "group"];

/// What each field of a row is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Columns(Vec<Role>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Role {
    Name,
    Groups,
    /// A variable, by its name.
    Variable(String),
}

impl Columns {
    /// What fields of these names are; `None` where none of them names the host.
    pub(super) fn of(names: &[&str]) -> Option<Self> {
        let known: Vec<String> = names.iter().map(|name| name.trim().to_ascii_lowercase()).collect();
        let place = |wanted: &[&str], taken: Option<usize>| {
            let mut places = wanted.iter().filter_map(|wanted| known.iter().position(|name| name == wanted));
            places.find(|place| Some(*place) != taken)
        };
        let name = place(&NAME, None);
        let address = place(&ADDRESS, name);
        let roles = names.iter().enumerate().map(|(at, own)| match Some(at) {
            at if at == name => Role::Name,
            // A host without a name is called by its address.
            at if at == address && name.is_none() => Role::Name,
            at if at == address => Role::Variable("ansible_host".to_owned()),
            at if at == place(&PORT, None) => Role::Variable("ansible_port".to_owned()),
            at if at == place(&USER, None) => Role::Variable("ansible_user".to_owned()),
            at if at == place(&GROUPS, None) => Role::Groups,
            _ => Role::Variable(own.trim().to_owned()),
        });
        name.or(address).map(|_| Self(roles.collect()))
    }
}

/// A field of a row.
pub(super) struct Field {
    pub(super) value: Value,
    pub(super) origin: Origin,
    /// It holds no template, whatever stands in it.
    pub(super) verbatim: bool,
}

/// Adds the host of a row. Empty fields say nothing.
pub(super) fn add(graph: &mut Graph, columns: &Columns, fields: impl IntoIterator<Item = Field>, origin: Origin) {
    let mut name = String::new();
    let mut groups = Vec::new();
    let mut variables = Variables::new();
    for (role, field) in columns.0.iter().zip(fields) {
        if matches!(field.value, Value::Null) || field.value.as_str() == Some("") {
            continue;
        }
        match role {
            Role::Name => match &field.value {
                Value::String(text) => name.clone_from(text),
                _ => {
                    return graph
                        .problem(field.origin, Complaint::new(format!("the name of a host is text, not `{}`", field.value)));
                }
            },
            Role::Groups => match names_of_groups(&field.value) {
                Some(names) => groups = names,
                None => {
                    let complaint = Complaint::new(format!("`{}` are no names of groups", field.value));
                    return graph.problem(field.origin, complaint.hint("write text or a list of texts"));
                }
            },
            Role::Variable(variable) => {
                let Field { value, origin, verbatim } = field;
                let number = value.as_str().filter(|_| variable == "ansible_port").and_then(|text| text.parse().ok());
                let value = number.map_or(value, Value::Int);
                variables.insert(variable.clone(), Variable { value, origin, verbatim });
            }
        }
    }
    if name.is_empty() {
        name = variables.get("ansible_host").map(|address| address.value.to_string()).unwrap_or_default();
    }
    let entry = match address::entry(&name) {
        Ok(entry) => entry,
        Err(complaint) if name.is_empty() => {
            return graph.problem(origin, Complaint { message: "the row names no host".to_owned(), ..complaint });
        }
        Err(complaint) => return graph.problem(origin, complaint),
    };
    if groups.is_empty() {
        return graph.add_hosts(&entry, UNGROUPED, &variables, origin);
    }
    for group in groups {
        let group = graph.group(&group);
        graph.add_hosts(&entry, group, &variables, origin);
    }
}

/// Names with semicolons, bars, commas or white space between them, or a list of names.
fn names_of_groups(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::String(text) => {
            let between = |character: char| character.is_whitespace() || matches!(character, ';' | '|' | ',');
            Some(text.split(between).filter(|name| !name.is_empty()).map(str::to_owned).collect())
        }
        Value::List(items) => items.iter().map(|item| item.as_str().filter(|name| !name.is_empty()).map(str::to_owned)).collect(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roles(names: &[&str]) -> Vec<String> {
        let Columns(roles) = Columns::of(names).unwrap();
        roles
            .into_iter()
            .map(|role| match role {
                Role::Name => "NAME".to_owned(),
                Role::Groups => "GROUPS".to_owned(),
                Role::Variable(name) => name,
            })
            .collect()
    }

    #[test]
    fn columns_are_known_by_the_names_that_tables_have() {
        assert_eq!(
            roles(&["Name", " IP ", "Port", "user", "Groups", "Rack"]),
            ["NAME", "ansible_host", "ansible_port", "ansible_user", "GROUPS", "Rack"]
        );
        assert_eq!(roles(&["name", "host"]), ["NAME", "ansible_host"]);
        assert_eq!(roles(&["hostname", "address", "ip"]), ["NAME", "ansible_host", "ip"]);
        assert_eq!(roles(&["host", "hostname"]), ["NAME", "ansible_host"]);
        assert_eq!(roles(&["ip", "group"]), ["NAME", "GROUPS"]);
        assert_eq!(Columns::of(&["serial", "rack"]), None);
    }
}
