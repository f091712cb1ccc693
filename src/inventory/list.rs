//! What `fleetscan inventory` prints: the JSON of `ansible-inventory --list`, or names.

use std::collections::BTreeMap;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::{Group, Inventory};

/// Groups with their hosts and children, and under `_meta` the variables of every host, to be written as JSON without being held as a whole.
pub(super) struct Listing<'a> {
    inventory: &'a Inventory,
    places: &'a [usize],
}

impl<'a> Listing<'a> {
    /// Of these hosts.
    pub(super) fn of(inventory: &'a Inventory, places: &'a [usize]) -> Self {
        Self { inventory, places }
    }

    fn group(&self, group: &'a Group, listed: &[bool]) -> Part<'a> {
        let hosts = group.hosts.iter().filter(|place| listed.get(**place).copied().unwrap_or(false));
        let hosts = hosts.filter_map(|place| self.inventory.hosts.get(*place)).map(|host| host.name.as_str());
        let children =
            group.children.iter().filter_map(|place| self.inventory.groups.get(*place)).map(|child| child.name.as_str());
        // Every host is in `all`: Ansible names none there.
        let hosts = if group.name == "all" { Vec::new() } else { hosts.collect() };
        Part::Group { children: children.collect(), hosts }
    }
}

/// One entry of the listing.
enum Part<'a> {
    Group { children: Vec<&'a str>, hosts: Vec<&'a str> },
    Meta(HostVariables<'a>),
}

impl Serialize for Listing<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut listed = vec![false; self.inventory.hosts.len()];
        for place in self.places {
            listed.get_mut(*place).into_iter().for_each(|slot| *slot = true);
        }
        let mut parts: BTreeMap<&str, Part<'_>> = BTreeMap::new();
        for group in &self.inventory.groups {
            let part = self.group(group, &listed);
            // Groups without either are left out, as Ansible leaves them out.
            if !matches!(&part, Part::Group { children, hosts } if children.is_empty() && hosts.is_empty()) {
                parts.insert(&group.name, part);
            }
        }
        parts.insert("_meta", Part::Meta(HostVariables(self)));
        serializer.collect_map(parts)
    }
}

impl Serialize for Part<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Group { children, hosts } => {
                let parts = [("children", children), ("hosts", hosts)];
                serializer.collect_map(parts.into_iter().filter(|(_, names)| !names.is_empty()))
            }
            Self::Meta(variables) => serializer.collect_map([("hostvars", variables)]),
        }
    }
}

/// The variables of every host that has any, in the order of the inventory.
struct HostVariables<'a>(&'a Listing<'a>);

impl Serialize for HostVariables<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(listing) = self;
        let mut map = serializer.serialize_map(None)?;
        for host in listing.places.iter().filter_map(|place| listing.inventory.hosts.get(*place)) {
            if !host.variables.is_empty() {
                map.serialize_entry(&host.name, &host.variables)?;
            }
        }
        map.end()
    }
}

/// The names in the order of the inventory, one a line.
pub(super) fn names(inventory: &Inventory, places: &[usize]) -> String {
    places.iter().filter_map(|place| inventory.hosts.get(*place)).flat_map(|host| [host.name.as_str(), "\n"]).collect()
}
