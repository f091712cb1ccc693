//! Precedence: what each host's variables are in the end.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::connection::{self, Trouble};
use super::graph::{ALL, Graph, GroupNode, Origin, Variable, Variables};
use super::template::Context;
use super::vars::{Adjacent, Layer};
use super::{Group, Inventory, with_hosts};
use crate::model::{Host, Value};

/// What all hosts of the same groups share.
struct Shared {
    /// Sorted names, without `all`.
    groups: Vec<String>,
    variables: Variables,
    values: Arc<BTreeMap<String, Value>>,
    /// Files of these groups that are encrypted.
    sealed: Vec<Origin>,
}

/// The inventory that the sources amount to. A value that makes no sense becomes a problem of the line that it stands on.
pub(super) fn inventory(graph: &mut Graph, adjacent: &[Adjacent]) -> Inventory {
    let order = graph.hosts_under(ALL);
    let mut shared: HashMap<Vec<usize>, Shared> = HashMap::new();
    let mut hosts = Vec::with_capacity(order.len());
    let mut troubles = Vec::new();
    for place in &order {
        let Some(node) = graph.hosts.get(*place) else { continue };
        if !shared.contains_key(&node.groups) {
            shared.insert(node.groups.clone(), share(graph, adjacent, &node.groups));
        }
        let Some(shared) = shared.get(&node.groups) else { continue };
        let files: Vec<&Layer> = adjacent.iter().filter_map(|adjacent| adjacent.hosts.get(place)).collect();
        let own = || files.iter().rev().map(|layer| &layer.variables).chain([&node.variables]);
        let find = |name: &str| own().find_map(|layer| layer.get(name)).or_else(|| shared.variables.get(name));
        let mut host = Host { groups: shared.groups.clone(), ..Host::named(&node.name) };
        let context = Context { name: &node.name, file: graph.path_of(node), find: &find };
        let found = connection::apply(&mut host, &context, node.origin);
        let sealed: Vec<Origin> = shared.sealed.iter().chain(files.iter().flat_map(|layer| &layer.sealed)).copied().collect();
        // What else can't be told may stand in the encrypted files.
        let found = found.into_iter().filter(|trouble| trouble.is_wrong || sealed.is_empty());
        troubles.extend(sealed.iter().map(|origin| Trouble::sealed(*origin)).chain(found).map(|trouble| (hosts.len(), trouble)));
        // Moved, not copied: of a large fleet they are most of what is held.
        let said = graph.hosts.get_mut(*place).map(|node| std::mem::take(&mut node.variables)).unwrap_or_default();
        let mut values: BTreeMap<String, Value> = said.into_iter().map(|(name, variable)| (name, variable.value)).collect();
        for (name, variable) in files.iter().flat_map(|layer| &layer.variables) {
            values.insert(name.clone(), variable.value.clone());
        }
        host.variables = crate::model::Variables::new(Arc::clone(&shared.values), values);
        hosts.push(host);
    }
    let (wrong, unsupported): (Vec<_>, Vec<_>) = troubles.into_iter().partition(|(_, trouble)| trouble.is_wrong);
    report(graph, &hosts, wrong);
    let mut troubles: BTreeMap<usize, Vec<_>> = BTreeMap::new();
    for (place, trouble) in unsupported {
        troubles.entry(place).or_default().push((trouble.need, graph.placed(trouble.origin, trouble.complaint)));
    }
    let host_places = hosts.iter().enumerate().map(|(place, host)| (host.name.clone(), place)).collect();
    let mut by_appearance = vec![0; order.len()];
    for (place, node) in order.iter().enumerate() {
        by_appearance.get_mut(*node).into_iter().for_each(|slot| *slot = place);
    }
    let groups = graph.groups.iter().map(|node| group(node, &by_appearance)).collect();
    Inventory { groups, hosts, host_places, by_appearance, troubles }
}

/// The variables that come from groups: those in the sources, `all` first, then parents before children; then those of `group_vars`,
/// again `all` before every other group. So `group_vars/all` beats `[web:vars]`, as in Ansible.
fn share(graph: &Graph, adjacent: &[Adjacent], direct: &[usize]) -> Shared {
    let above = graph.groups_above(direct);
    let node = |place: &usize| graph.groups.get(*place);
    let in_sources = std::iter::once(&ALL).chain(&above).filter_map(node).map(|group| &group.variables);
    let all_files = adjacent.iter().filter_map(|adjacent| adjacent.groups.get(&ALL));
    let group_files = adjacent.iter().flat_map(|adjacent| above.iter().filter_map(|place| adjacent.groups.get(place)));
    let files: Vec<&Layer> = all_files.chain(group_files).collect();
    let mut variables = Variables::new();
    for layer in in_sources.chain(files.iter().map(|layer| &layer.variables)) {
        variables.extend(layer.iter().map(|(name, variable): (&String, &Variable)| (name.clone(), variable.clone())));
    }
    let values = variables.iter().map(|(name, variable)| (name.clone(), variable.value.clone())).collect();
    let mut groups: Vec<String> = above.iter().filter_map(node).map(|group| group.name.clone()).collect();
    groups.sort_unstable();
    let sealed = files.iter().flat_map(|layer| &layer.sealed).copied().collect();
    Shared { groups, variables, values: Arc::new(values), sealed }
}

/// One problem for each line that is wrong, with the hosts that it is wrong for.
fn report(graph: &mut Graph, hosts: &[Host], wrong: Vec<(usize, Trouble)>) {
    let mut by_line: BTreeMap<_, Vec<(usize, Trouble)>> = BTreeMap::new();
    for (place, trouble) in wrong {
        by_line.entry((trouble.origin, trouble.complaint.message.clone())).or_default().push((place, trouble));
    }
    for ((origin, _), troubles) in by_line {
        let placed = troubles
            .into_iter()
            .filter_map(|(place, trouble)| Some((graph.placed(origin, trouble.complaint), hosts.get(place)?.name.as_str())));
        for problem in with_hosts(placed.collect::<Vec<_>>().into_iter()) {
            graph.problem(origin, super::Complaint { message: problem.message, hint: problem.hint });
        }
    }
}

/// A group with the places that its hosts have in the inventory.
fn group(node: &GroupNode, places: &[usize]) -> Group {
    Group {
        name: node.name.clone(),
        hosts: node.hosts.iter().filter_map(|host| places.get(*host).copied()).collect(),
        children: node.children.clone(),
    }
}
