//! What `fleetscan inventory` prints: the JSON of `ansible-inventory --list`, or names.

use serde_json::{Map, Value, json};

use super::{Group, Inventory};

/// Groups with their hosts and children, and under `_meta` the variables of every host. Groups without either are left out, as Ansible
/// leaves them out.
pub(super) fn json(inventory: &Inventory, places: &[usize]) -> Value {
    let mut listed = vec![false; inventory.hosts.len()];
    for place in places {
        listed.get_mut(*place).into_iter().for_each(|slot| *slot = true);
    }
    let hosts = |group: &Group| -> Vec<&str> {
        let members = group.hosts.iter().filter(|place| listed.get(**place).copied().unwrap_or(false));
        members.filter_map(|place| inventory.hosts.get(*place)).map(|host| host.name.as_str()).collect()
    };
    let children = |group: &Group| -> Vec<&str> {
        group.children.iter().filter_map(|place| inventory.groups.get(*place)).map(|child| child.name.as_str()).collect()
    };
    let mut out = Map::new();
    for group in &inventory.groups {
        let mut parts = Map::new();
        // Every host is in `all`: Ansible names none there.
        let hosts = if group.name == "all" { Vec::new() } else { hosts(group) };
        for (part, names) in [("children", children(group)), ("hosts", hosts)] {
            if !names.is_empty() {
                parts.insert(part.to_owned(), json!(names));
            }
        }
        if !parts.is_empty() {
            out.insert(group.name.clone(), Value::Object(parts));
        }
    }
    let variables = places.iter().filter_map(|place| inventory.hosts.get(*place)).filter(|host| !host.variables.is_empty());
    let variables: Map<String, Value> = variables.map(|host| (host.name.clone(), json!(host.variables))).collect();
    out.insert("_meta".to_owned(), json!({ "hostvars": variables }));
    Value::Object(out)
}

/// The names in the order of the inventory, one a line.
pub(super) fn names(inventory: &Inventory, places: &[usize]) -> String {
    places.iter().filter_map(|place| inventory.hosts.get(*place)).flat_map(|host| [host.name.as_str(), "\n"]).collect()
}
