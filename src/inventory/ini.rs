//! Ansible's INI format. A plain list of hosts, one a line, is an INI inventory without sections.

use std::collections::HashMap;

use super::graph::{Graph, Origin, UNGROUPED, Variable, Variables};
use super::{Complaint, address, literal, words};

/// What the lines of a section are.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Section {
    Hosts(usize),
    Children(usize),
    Variables(usize),
    /// The header was wrong, so the lines can't be judged.
    Skipped,
}

/// Names that were used and must be declared before the end of the file.
#[derive(Debug, Default)]
struct Pending {
    /// `[name:vars]`: where.
    variables: HashMap<String, Origin>,
    /// Child groups: their parents, and where.
    children: HashMap<String, Vec<(usize, Origin)>>,
}

/// Reads an inventory; every wrong line is a problem of its own.
pub(super) fn read(graph: &mut Graph, file: usize, text: &str) {
    let mut section = Section::Hosts(UNGROUPED);
    let mut pending = Pending::default();
    for (line, number) in text.lines().map(str::trim).zip(1_u32..) {
        let origin = Origin { file, line: number };
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        let read = if line.starts_with('[') && looks_like_header(line) {
            match header(graph, &mut pending, line, origin) {
                Ok(next) => {
                    section = next;
                    Ok(())
                }
                Err(complaint) => {
                    section = Section::Skipped;
                    Err(complaint)
                }
            }
        } else {
            match section {
                Section::Hosts(group) => hosts(graph, group, line, origin),
                Section::Children(group) => child(graph, &mut pending, group, line, origin),
                Section::Variables(group) => variable(graph, group, line, origin),
                Section::Skipped => Ok(()),
            }
        };
        if let Err(complaint) = read {
            graph.problem(origin, complaint);
        }
    }
    pending.report(graph);
}

/// A bracketed word is a header unless it is a host: `[2001:db8::1]:22`, `[a:c].example.com`.
fn looks_like_header(line: &str) -> bool {
    match line.trim_start_matches('[').split_once(']') {
        Some((inside, after)) => (after.is_empty() || after.starts_with([' ', '\t', '#'])) && !address::is_ipv6(inside),
        None => true,
    }
}

/// `[group]`, `[group:children]`, `[group:vars]`, perhaps with a comment behind it.
fn header(graph: &mut Graph, pending: &mut Pending, line: &str, origin: Origin) -> Result<Section, Complaint> {
    const SHAPE: &str = "sections are [group], [group:children] and [group:vars]";
    let invalid = || Complaint::new(format!("`{line}` is not a section header")).hint(SHAPE);
    let (inside, after) = line.strip_prefix('[').and_then(|rest| rest.split_once(']')).ok_or_else(invalid)?;
    let after = after.trim_start();
    if !after.is_empty() && !after.starts_with('#') {
        return Err(invalid().hint("a comment behind a section header begins with #"));
    }
    let (name, kind) = inside.split_once(':').map_or((inside, "hosts"), |(name, kind)| (name, kind));
    if name.is_empty() || inside.contains(char::is_whitespace) || kind.contains(':') {
        return Err(invalid().hint("no spaces between the brackets, no colon in the name of a group"));
    }
    if !matches!(kind, "hosts" | "children" | "vars") {
        return Err(Complaint::new(format!("section `[{inside}]` has the unknown kind `{kind}`")).hint(SHAPE));
    }
    let known = graph.known_group(name).is_some();
    let group = graph.group(name);
    if kind == "vars" {
        if !known && !pending.children.contains_key(name) {
            pending.variables.insert(name.to_owned(), origin);
        }
        return Ok(Section::Variables(group));
    }
    pending.variables.remove(name);
    for (parent, origin) in pending.children.remove(name).unwrap_or_default() {
        graph.add_child(parent, group, origin);
    }
    Ok(if kind == "children" { Section::Children(group) } else { Section::Hosts(group) })
}

fn hosts(graph: &mut Graph, group: usize, line: &str, origin: Origin) -> Result<(), Complaint> {
    let words = words::split(line)?;
    let Some((host, assignments)) = words.split_first() else { return Ok(()) };
    let entry = address::entry(host)?;
    let mut variables = Variables::new();
    for assignment in assignments {
        let Some((name, value)) = assignment.split_once('=') else {
            let complaint = Complaint::new(format!("`{assignment}` behind host `{host}` is not `name=value`"));
            return Err(complaint.hint("write one host a line; quote values that hold spaces"));
        };
        check_name(name)?;
        variables.insert(name.to_owned(), Variable::new(literal::value(value), origin));
    }
    graph.add_hosts(&entry, group, &variables, origin);
    Ok(())
}

fn child(graph: &mut Graph, pending: &mut Pending, parent: usize, line: &str, origin: Origin) -> Result<(), Complaint> {
    let name = line.split_once('#').map_or(line, |(name, _)| name).trim();
    if name.is_empty() || name.contains([':', ']']) || name.contains(char::is_whitespace) {
        return Err(Complaint::new(format!("`{line}` is not the name of a group")).hint("write one group a line"));
    }
    match graph.known_group(name).filter(|_| !pending.variables.contains_key(name)) {
        Some(group) => graph.add_child(parent, group, origin),
        None => pending.children.entry(name.to_owned()).or_default().push((parent, origin)),
    }
    Ok(())
}

fn variable(graph: &mut Graph, group: usize, line: &str, origin: Origin) -> Result<(), Complaint> {
    let (name, value) = line.split_once('=').ok_or_else(|| Complaint::new(format!("`{line}` is not `name=value`")))?;
    check_name(name.trim())?;
    graph.set_group_variable(group, name.trim(), Variable::new(literal::value(value.trim()), origin));
    Ok(())
}

fn check_name(name: &str) -> Result<(), Complaint> {
    match name.is_empty() {
        true => Err(Complaint::new("a value has no name before its `=`")),
        false => Ok(()),
    }
}

impl Pending {
    /// What was used and never declared.
    fn report(self, graph: &mut Graph) {
        for (name, origin) in self.variables {
            let complaint = Complaint::new(format!("section `[{name}:vars]` is for group `{name}`, which is not declared"));
            graph.problem(origin, complaint.hint(format!("add a section [{name}]")));
        }
        for (name, uses) in self.children {
            for (_, origin) in uses {
                let complaint = Complaint::new(format!("group `{name}` is not declared"));
                graph.problem(origin, complaint.hint(format!("add a section [{name}], which may be empty")));
            }
        }
    }
}
