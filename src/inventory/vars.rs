//! `group_vars/` and `host_vars/` next to an inventory.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use super::directory::{contents, decode, sealed, sorted_names};
use super::graph::{Graph, Origin, Variables};
use super::node::{self, Kind};
use super::{Complaint, yaml};

/// Endings of files with variables, in the order in which they are looked for; the first that exists is the one.
const ENDINGS: [&str; 4] = ["", ".yml", ".yaml", ".json"];

/// Directories inside a directory of variables are read this deep.
const DEEPEST: usize = 16;

/// The variables that stand next to one source, by the place of the group or host.
#[derive(Debug, Default)]
pub(super) struct Adjacent {
    pub(super) groups: HashMap<usize, Variables>,
    pub(super) hosts: HashMap<usize, Variables>,
}

/// Reads the variables of every group and host from each directory, one after the other.
pub(super) fn read(graph: &mut Graph, directories: &[PathBuf]) -> Vec<Adjacent> {
    let mut done: HashSet<&Path> = HashSet::new();
    // What is named twice counts where it is named last.
    let mut latest: Vec<&PathBuf> = directories.iter().rev().filter(|directory| done.insert(directory)).collect();
    latest.reverse();
    latest.into_iter().map(|directory| read_directory(graph, directory)).collect()
}

fn read_directory(graph: &mut Graph, directory: &Path) -> Adjacent {
    let groups: Vec<String> = graph.groups.iter().map(|group| group.name.clone()).collect();
    let hosts: Vec<String> = graph.hosts.iter().map(|host| host.name.clone()).collect();
    Adjacent {
        groups: read_all(graph, &directory.join("group_vars"), &groups),
        hosts: read_all(graph, &directory.join("host_vars"), &hosts),
    }
}

/// The variables of those of `names` that have any in `directory`, by their place.
fn read_all(graph: &mut Graph, directory: &Path, names: &[String]) -> HashMap<usize, Variables> {
    let mut found = HashMap::new();
    if !directory.is_dir() {
        return found;
    }
    // One look at the directory instead of four at the disk for every host.
    let entries: HashSet<String> = match sorted_names(directory) {
        Ok(names) => names.into_iter().collect(),
        Err(error) => {
            problem(graph, directory, Complaint::new(format!("the directory can't be read: {error}")));
            return found;
        }
    };
    for (place, name) in names.iter().enumerate() {
        let entry = ENDINGS.iter().map(|ending| format!("{name}{ending}")).find(|entry| entries.contains(entry));
        let Some(entry) = entry.filter(|_| !entries.is_empty()) else { continue };
        let mut variables = Variables::new();
        for file in files(graph, &directory.join(entry), 0) {
            variables.extend(read_file(graph, &file));
        }
        found.insert(place, variables);
    }
    found
}

/// The file itself, or the files of a directory, sorted, those of directories in it included.
fn files(graph: &mut Graph, path: &Path, depth: usize) -> Vec<PathBuf> {
    if !path.is_dir() {
        return vec![path.to_owned()];
    }
    let names = match sorted_names(path) {
        Ok(names) if depth < DEEPEST => names,
        Ok(_) => {
            problem(graph, path, Complaint::new(format!("is more than {DEEPEST} directories deep")));
            return Vec::new();
        }
        Err(error) => {
            problem(graph, path, Complaint::new(format!("the directory can't be read: {error}")));
            return Vec::new();
        }
    };
    let mut found = Vec::new();
    for name in names.iter().filter(|name| !name.starts_with('.') && !name.ends_with('~')) {
        let inner = path.join(name);
        let ending = inner.extension().and_then(|extension| extension.to_str()).unwrap_or("");
        match inner.is_dir() {
            true if ending.is_empty() => found.extend(files(graph, &inner, depth + 1)),
            false if matches!(ending, "" | "yml" | "yaml" | "json") => found.push(inner),
            _ => {}
        }
    }
    found
}

fn problem(graph: &mut Graph, path: &Path, complaint: Complaint) {
    let file = graph.file(path.display().to_string());
    graph.problem(Origin { file, line: 0 }, complaint);
}

fn read_file(graph: &mut Graph, path: &Path) -> Variables {
    let file = graph.file(path.display().to_string());
    let whole = Origin { file, line: 0 };
    let read = contents(path).and_then(|(bytes, _)| sealed(&bytes).map_or(Ok(bytes), Err));
    let bytes = match read {
        Ok(bytes) => bytes,
        Err(complaint) => {
            graph.problem(whole, complaint);
            return Variables::new();
        }
    };
    let Some(text) = decode(graph, file, &bytes) else { return Variables::new() };
    let document = match node::parse(&text) {
        Ok(parsed) => parsed,
        Err((line, complaint)) => {
            graph.problem(Origin { file, line }, complaint);
            return Variables::new();
        }
    };
    for (line, complaint) in document.duplicates {
        graph.problem(Origin { file, line }, complaint);
    }
    match &document.root.kind {
        Kind::Null => Variables::new(),
        Kind::Map(entries) => yaml::variables(graph, file, entries),
        other => {
            let complaint = Complaint::new(format!("the file is {}, not a map of variables", other.describe()));
            graph.problem(Origin { file, line: document.root.line }, complaint.hint("write one `name: value` a line"));
            Variables::new()
        }
    }
}
