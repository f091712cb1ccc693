//! Ansible's YAML format (and the same shape in JSON).

use std::borrow::Cow;

use super::graph::{Graph, Origin, Variable, Variables};
use super::node::{self, Kind, Node};
use super::{Complaint, address};

/// What a group is made of.
const SHAPE: &str = "a group holds `hosts`, `vars` and `children`, nothing else";

/// Reads an inventory; every wrong line is a problem of its own.
pub(super) fn read(graph: &mut Graph, file: usize, text: &str) {
    let document = match node::parse(text) {
        Ok(parsed) => parsed,
        Err((line, complaint)) => return graph.problem(Origin { file, line }, complaint),
    };
    for (line, complaint) in document.duplicates {
        graph.problem(Origin { file, line }, complaint);
    }
    let mut reader = Reader { graph, file };
    match &document.root.kind {
        Kind::Null => {}
        Kind::Map(groups) => match groups.iter().find_map(|(key, value)| foreign(key, value)) {
            Some((line, complaint)) => graph.problem(Origin { file, line }, complaint),
            None => {
                for (name, group) in groups {
                    reader.group(name, group);
                }
            }
        },
        other => {
            let complaint = Complaint::new(format!("the file is {}, not a map of groups", other.describe()));
            graph.problem(Origin { file, line: document.root.line }, complaint.hint("begin with `all:` and under it `hosts:`"));
        }
    }
}

/// Shapes that are no inventory but look like one.
fn foreign(key: &Node, value: &Node) -> Option<(u32, Complaint)> {
    let complaint = match (key.text()?, &value.kind) {
        ("plugin", Kind::Text(name)) => {
            Complaint::new(format!("this is the configuration of the inventory plugin `{name}`, which only Ansible runs"))
                .hint("write the result of `ansible-inventory -i FILE --list -y` to a file and use that")
        }
        ("_meta", Kind::Map(_)) => Complaint::new("this is what a dynamic inventory answers, which is not read yet")
            .hint("write the result of `ansible-inventory -i FILE --list -y` to a file and use that"),
        _ => return None,
    };
    Some((key.line, complaint))
}

struct Reader<'a> {
    graph: &'a mut Graph,
    file: usize,
}

impl Reader<'_> {
    fn problem(&mut self, line: u32, message: impl Into<String>, hint: &str) {
        self.graph.problem(Origin { file: self.file, line }, Complaint::new(message).hint(hint));
    }

    /// A group and everything in it; `None` where it is not one.
    fn group(&mut self, key: &Node, body: &Node) -> Option<usize> {
        let Some(name) = key.text().filter(|name| !name.is_empty()) else {
            self.problem(key.line, format!("the name of a group is text, not {}", key.kind.describe()), "put it in quotes");
            return None;
        };
        let group = match &body.kind {
            Kind::Null => return Some(self.graph.group(name)),
            Kind::Map(_) => self.graph.group(name),
            other => {
                self.problem(body.line, format!("group `{name}` is {}, not a map", other.describe()), SHAPE);
                return None;
            }
        };
        let Kind::Map(sections) = &body.kind else { return Some(group) };
        for (key, section) in sections {
            match key.text() {
                Some("hosts") => self.hosts(name, group, key.line, section),
                Some("children") => self.children(name, group, key.line, section),
                Some("vars") => self.variables(name, group, key.line, section),
                _ => {
                    let found = key.value();
                    let hint = match &section.kind {
                        Kind::Map(_) | Kind::Null => format!("{SHAPE}: put hosts under `hosts:` and groups under `children:`"),
                        _ => format!("{SHAPE}: put variables under `vars:`"),
                    };
                    self.problem(key.line, format!("`{found}` in group `{name}` is not `hosts`, `vars` or `children`"), &hint);
                }
            }
        }
        Some(group)
    }

    fn hosts(&mut self, name: &str, group: usize, line: u32, hosts: &Node) {
        for (key, body) in self.entries(name, "hosts", line, hosts).iter() {
            let origin = Origin { file: self.file, line: key.line };
            let Some(pattern) = key.text() else {
                self.problem(key.line, format!("the name of a host is text, not {}", key.kind.describe()), "put it in quotes");
                continue;
            };
            let variables = match &body.kind {
                Kind::Null => Variables::new(),
                Kind::Map(entries) => variables(self.graph, self.file, entries),
                other => {
                    let message = format!("host `{pattern}` has {} where its variables belong", other.describe());
                    self.problem(body.line, message, "write `name: value` lines below it, or nothing");
                    continue;
                }
            };
            match address::entry(pattern) {
                Ok(entry) => self.graph.add_hosts(&entry, group, &variables, origin),
                Err(complaint) => self.graph.problem(origin, complaint),
            }
        }
    }

    fn children(&mut self, name: &str, group: usize, line: u32, children: &Node) {
        for (key, body) in self.entries(name, "children", line, children).iter() {
            if let Some(child) = self.group(key, body) {
                self.graph.add_child(group, child, Origin { file: self.file, line: key.line });
            }
        }
    }

    fn variables(&mut self, name: &str, group: usize, line: u32, section: &Node) {
        match &section.kind {
            Kind::Null => {}
            Kind::Map(entries) => {
                for (name, variable) in variables(self.graph, self.file, entries) {
                    self.graph.set_group_variable(group, &name, variable.value, variable.origin);
                }
            }
            other => {
                let message = format!("`vars` of group `{name}` is {}, not a map", other.describe());
                self.problem(line, message, "write one `name: value` a line below it");
            }
        }
    }

    /// The entries of `hosts` or `children`: a map, nothing, or one name.
    fn entries<'a>(&mut self, group: &str, section: &str, line: u32, node: &'a Node) -> Cow<'a, [(Node, Node)]> {
        match &node.kind {
            Kind::Null => Cow::default(),
            Kind::Map(entries) => Cow::Borrowed(entries),
            Kind::Text(_) => Cow::Owned(vec![(node.clone(), Node::nothing(node.line))]),
            other => {
                let message = format!("`{section}` of group `{group}` is {}, not a map", other.describe());
                self.problem(line, message, "write each name with a colon behind it and no hyphen before it: `web01:`");
                Cow::default()
            }
        }
    }
}

/// The variables of a map, each with its line.
pub(super) fn variables(graph: &mut Graph, file: usize, entries: &[(Node, Node)]) -> Variables {
    let mut variables = Variables::new();
    for (key, node) in entries {
        let origin = Origin { file, line: key.line };
        match key.text().filter(|name| !name.is_empty()) {
            Some(name) => drop(variables.insert(name.to_owned(), Variable { value: node.value(), origin })),
            None => {
                let complaint = Complaint::new(format!("the name of a variable is text, not {}", key.kind.describe()));
                graph.problem(origin, complaint.hint("put it in quotes"));
            }
        }
        if is_bare_template(node) {
            graph.problem(
                origin,
                Complaint::new("a value that begins with `{{` is a map to YAML").hint("put it in quotes: \"{{ ... }}\""),
            );
        }
    }
    variables
}

/// `key: {{ name }}`, which YAML reads as a map whose key is a map.
fn is_bare_template(node: &Node) -> bool {
    matches!(&node.kind, Kind::Map(entries) if entries.iter().any(|(key, _)| matches!(key.kind, Kind::Map(_))))
}
