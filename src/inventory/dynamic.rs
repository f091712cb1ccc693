//! What an inventory program answers to `--list`: groups with lists of hosts, and the variables of all hosts under `_meta`.

use std::collections::HashSet;

use super::Complaint;
use super::address::Entry;
use super::graph::{Graph, Origin, Variables};
use super::node::{Kind, Node};
use super::yaml;

/// Whether these are the groups of such an answer: hosts and children are lists here, and maps in Ansible's own YAML.
pub(super) fn is_it(groups: &[(Node, Node)]) -> bool {
    groups.iter().any(|(key, group)| match &group.kind {
        Kind::Map(_) if key.text() == Some("_meta") => true,
        Kind::Map(parts) => {
            parts.iter().any(|(key, part)| matches!(key.text(), Some("hosts" | "children")) && matches!(part.kind, Kind::List(_)))
        }
        Kind::List(_) => true,
        _ => false,
    })
}

/// The hosts of an answer, and whether it says their variables.
#[derive(Debug, Default)]
pub(super) struct Answer {
    /// Each once, in the order in which they are named.
    pub(super) hosts: Vec<String>,
    /// `_meta` says the variables of all hosts, so that none has to be asked for.
    pub(super) has_variables: bool,
    known: HashSet<String>,
}

/// Reads the groups of an answer.
pub(super) fn read(graph: &mut Graph, file: usize, groups: &[(Node, Node)]) -> Answer {
    let mut reader = Reader { graph, file, answer: Answer::default() };
    let meta = groups.iter().find(|(key, _)| key.text() == Some("_meta")).map(|(_, meta)| meta);
    for (key, group) in groups.iter().filter(|(key, _)| key.text() != Some("_meta")) {
        reader.group(key, group);
    }
    if let Some(meta) = meta {
        reader.variables_of_hosts(meta);
    }
    reader.answer
}

struct Reader<'a> {
    graph: &'a mut Graph,
    file: usize,
    answer: Answer,
}

impl Reader<'_> {
    fn problem(&mut self, line: u32, message: impl Into<String>) {
        self.graph.problem(Origin { file: self.file, line }, Complaint::new(message));
    }

    fn group(&mut self, key: &Node, body: &Node) {
        let Some(name) = key.text().filter(|name| !name.is_empty()) else {
            return self.problem(key.line, format!("the name of a group is text, not {}", key.kind.describe()));
        };
        let group = self.graph.group(name);
        match &body.kind {
            Kind::List(hosts) => hosts.iter().for_each(|host| self.host(name, group, host)),
            Kind::Map(parts) => {
                let part = |wanted: &str| parts.iter().find(|(key, _)| key.text() == Some(wanted)).map(|(_, part)| part);
                let (hosts, variables, children) = (part("hosts"), part("vars"), part("children"));
                if hosts.or(variables).or(children).is_none() {
                    // As Ansible has it since its first version: the name of a host with its variables.
                    self.host(name, group, key);
                    return self.variables_of_group(group, parts);
                }
                for (list, section) in [("hosts", hosts), ("children", children)] {
                    match section.map(|section| (section.line, &section.kind)) {
                        None | Some((_, Kind::Null)) => {}
                        Some((_, Kind::List(items))) if list == "hosts" => {
                            items.iter().for_each(|host| self.host(name, group, host));
                        }
                        Some((_, Kind::List(items))) => items.iter().for_each(|child| self.child(name, group, child)),
                        Some((line, other)) => {
                            let message = format!("`{list}` of group `{name}` is {}, not a list of names", other.describe());
                            self.problem(line, message);
                        }
                    }
                }
                match variables.map(|variables| (variables.line, &variables.kind)) {
                    None | Some((_, Kind::Null)) => {}
                    Some((_, Kind::Map(entries))) => self.variables_of_group(group, entries),
                    Some((line, other)) => {
                        self.problem(line, format!("`vars` of group `{name}` is {}, not a map", other.describe()));
                    }
                }
            }
            other => self.problem(body.line, format!("group `{name}` is {}, neither a list nor a map", other.describe())),
        }
    }

    fn host(&mut self, group_name: &str, group: usize, host: &Node) {
        let origin = Origin { file: self.file, line: host.line };
        let Some(name) = host.text() else {
            return self.problem(host.line, format!("a host of group `{group_name}` is {}, not a name", host.kind.describe()));
        };
        match Entry::verbatim(name) {
            Ok(entry) => {
                if self.answer.known.insert(name.to_owned()) {
                    self.answer.hosts.push(name.to_owned());
                }
                self.graph.add_hosts(&entry, group, &Variables::new(), origin);
            }
            Err(complaint) => self.graph.problem(origin, complaint),
        }
    }

    fn child(&mut self, group_name: &str, group: usize, child: &Node) {
        match child.text().filter(|name| !name.is_empty()) {
            Some(name) => {
                let place = self.graph.group(name);
                self.graph.add_child(group, place, Origin { file: self.file, line: child.line });
            }
            None => {
                self.problem(child.line, format!("a child of group `{group_name}` is {}, not a name", child.kind.describe()));
            }
        }
    }

    fn variables_of_group(&mut self, group: usize, entries: &[(Node, Node)]) {
        for (name, variable) in yaml::variables(self.graph, self.file, entries) {
            self.graph.set_group_variable(group, &name, variable);
        }
    }

    /// `_meta`: the variables of hosts that are in no group say nothing, as in Ansible.
    fn variables_of_hosts(&mut self, meta: &Node) {
        let Kind::Map(parts) = &meta.kind else {
            return self.problem(meta.line, format!("`_meta` is {}, not a map", meta.kind.describe()));
        };
        let Some((_, hosts)) = parts.iter().find(|(key, _)| key.text() == Some("hostvars")) else { return };
        self.answer.has_variables = true;
        let Kind::Map(hosts) = &hosts.kind else {
            return self.problem(hosts.line, format!("`hostvars` is {}, not a map", hosts.kind.describe()));
        };
        for (host, body) in hosts {
            match (host.text(), &body.kind) {
                (_, Kind::Null) => {}
                (Some(name), Kind::Map(entries)) if self.answer.known.contains(name) => {
                    set_variables(self.graph, self.file, name, entries);
                }
                (Some(_), Kind::Map(_)) => {}
                _ => {
                    let message = format!("the variables of host `{}` are {}, not a map", host.value(), body.kind.describe());
                    self.problem(body.line, message);
                }
            }
        }
    }
}

/// Sets the variables of a host that was named.
pub(super) fn set_variables(graph: &mut Graph, file: usize, name: &str, entries: &[(Node, Node)]) {
    let variables = yaml::variables(graph, file, entries);
    graph.set_host_variables(name, variables);
}
