//! Ansible's YAML format, and the other shapes that an inventory has in YAML or JSON.

use std::borrow::Cow;

use super::graph::{Graph, Origin, UNGROUPED, Variable, Variables};
use super::node::{self, Document, Kind, Node};
use super::row::{self, Columns, Field};
use super::{Complaint, address, dynamic, json};

/// What a group is made of.
const SHAPE: &str = "a group holds `hosts`, `vars` and `children`, nothing else";

/// What a list of hosts is made of.
const ITEM: &str = "an item is the name of a host, or a map with `name` and perhaps `address`, `port`, `user` and `groups`";

/// What a text is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Syntax {
    Yaml,
    Json,
}

/// Reads a document as Ansible does, as JSON where it is well-formed, else as YAML; and says which it was.
///
/// # Errors
/// What is wrong with it, and on which line, by the rules of the syntax that it was most likely meant to be in.
pub(super) fn document(text: &str, meant: Syntax) -> Result<(Document, Syntax), (u32, Complaint)> {
    let yaml = || node::parse(text).map(|document| (document, Syntax::Yaml));
    if !text.trim_start().starts_with(['{', '[']) {
        return yaml();
    }
    match json::parse(text) {
        Ok(document) => Ok((document, Syntax::Json)),
        Err(error) => yaml().map_err(|other| if meant == Syntax::Json { error } else { other }),
    }
}

/// Reads an inventory; every wrong line is a problem of its own.
pub(super) fn read(graph: &mut Graph, file: usize, text: &str, meant: Syntax) {
    let (document, syntax) = match document(text, meant) {
        Ok(document) => document,
        Err((line, complaint)) => return graph.problem(Origin { file, line }, complaint),
    };
    for (line, complaint) in document.duplicates {
        graph.problem(Origin { file, line }, complaint);
    }
    let mut reader = Reader { graph, file };
    match &document.root.kind {
        Kind::Null => {}
        Kind::List(items) => items.iter().for_each(|item| reader.item(item)),
        // Only programs write this, and they write JSON: in YAML a list of hosts is a mistake.
        Kind::Map(groups) if syntax == Syntax::Json && dynamic::is_it(groups) => drop(dynamic::read(graph, file, groups)),
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

/// What is no inventory but looks like one.
fn foreign(key: &Node, value: &Node) -> Option<(u32, Complaint)> {
    match (key.text()?, &value.kind) {
        ("plugin", Kind::Text(name)) => Some((
            key.line,
            Complaint::new(format!("this is the configuration of the inventory plugin `{name}`, which only Ansible runs"))
                .hint("`ansible-inventory -i FILE --list | fleetscan scan -i -` lets Ansible run it"),
        )),
        _ => None,
    }
}

struct Reader<'a> {
    graph: &'a mut Graph,
    file: usize,
}

impl Reader<'_> {
    fn problem(&mut self, line: u32, message: impl Into<String>, hint: &str) {
        self.graph.problem(Origin { file: self.file, line }, Complaint::new(message).hint(hint));
    }

    /// A host of a list: its name, or its fields.
    fn item(&mut self, item: &Node) {
        let origin = Origin { file: self.file, line: item.line };
        match &item.kind {
            Kind::Text(name) => match address::entry(name) {
                Ok(entry) => self.graph.add_hosts(&entry, UNGROUPED, &Variables::new(), origin),
                Err(complaint) => self.graph.problem(origin, complaint),
            },
            Kind::Map(entries) => {
                let names: Vec<&str> = entries.iter().map(|(key, _)| key.text().unwrap_or_default()).collect();
                let Some(columns) = Columns::of(&names) else {
                    return self.problem(item.line, "the item names no host", ITEM);
                };
                let fields = entries.iter().map(|(key, node)| Field {
                    value: node.value(),
                    origin: Origin { file: self.file, line: key.line },
                    verbatim: node.is_unsafe(),
                });
                row::add(self.graph, &columns, fields, origin);
            }
            other => self.problem(item.line, format!("an item of the list is {}, not a host", other.describe()), ITEM),
        }
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
                    self.graph.set_group_variable(group, &name, variable);
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
            Some(name) => drop(
                variables.insert(name.to_owned(), Variable { verbatim: node.is_unsafe(), ..Variable::new(node.value(), origin) }),
            ),
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
