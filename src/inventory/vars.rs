//! `group_vars/` and `host_vars/` next to an inventory, and in the current directory, where playbooks stand.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use super::directory::{contents_of_file, decode, sorted_names};
use super::graph::{Graph, Origin, Variables};
use super::node::Kind;
use super::yaml::Syntax;
use super::{Complaint, format, yaml};

/// Endings of files with variables, in the order in which they are looked for; the first that exists is the one.
const ENDINGS: [&str; 4] = ["", ".yml", ".yaml", ".json"];

/// Directories inside a directory of variables are read this deep.
const DEEPEST: usize = 16;

/// The variables that stand next to one source, by the place of the group or host.
#[derive(Debug, Default)]
pub(super) struct Adjacent {
    pub(super) groups: HashMap<usize, Layer>,
    pub(super) hosts: HashMap<usize, Layer>,
}

/// The variables of one group or host from the files that are for it.
#[derive(Debug, Default)]
pub(super) struct Layer {
    pub(super) variables: Variables,
    /// Files that are encrypted: whatever they say of a connection is not known.
    pub(super) sealed: Vec<Origin>,
}

/// Reads the variables of every group and host from each directory, one after the other, and last from the current one.
pub(super) fn read(graph: &mut Graph, mut directories: Vec<PathBuf>) -> Vec<Adjacent> {
    let here = PathBuf::from(".");
    let key = |directory: &Path| fs::canonicalize(directory).unwrap_or_else(|_| directory.to_owned());
    if has_variables(&here) && !directories.iter().any(|directory| key(directory) == key(&here)) {
        // As with Ansible's settings: in such a directory anybody may have left something, even a command that opens connections.
        if is_anybodys(&here) {
            let file = graph.file(&here);
            let complaint =
                Complaint::new("the `group_vars` and `host_vars` here are not read, since everybody may write to this directory");
            graph.warning(Origin { file, line: 0 }, complaint.hint("`chmod o-w .`, or change to another directory"));
        } else {
            directories.push(here);
        }
    }
    let mut done: HashSet<PathBuf> = HashSet::new();
    // What is named twice counts where it is named last.
    let mut latest: Vec<&PathBuf> = directories.iter().rev().filter(|directory| done.insert(key(directory))).collect();
    latest.reverse();
    latest.into_iter().map(|directory| read_directory(graph, directory)).collect()
}

fn has_variables(directory: &Path) -> bool {
    ["group_vars", "host_vars"].iter().any(|name| directory.join(name).is_dir())
}

#[cfg(unix)]
fn is_anybodys(directory: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(directory).is_ok_and(|metadata| metadata.permissions().mode() & 0o002 != 0)
}

#[cfg(not(unix))]
fn is_anybodys(_: &Path) -> bool {
    false
}

fn read_directory(graph: &mut Graph, directory: &Path) -> Adjacent {
    // What stands here is called without a dot before it.
    let directory = directory.strip_prefix(".").unwrap_or(directory);
    let groups: Vec<String> = graph.groups.iter().map(|group| group.name.clone()).collect();
    let hosts: Vec<String> = graph.hosts.iter().map(|host| host.name.clone()).collect();
    Adjacent {
        groups: read_all(graph, &directory.join("group_vars"), &groups),
        hosts: read_all(graph, &directory.join("host_vars"), &hosts),
    }
}

/// The variables of those of `names` that have any in `directory`, by their place.
fn read_all(graph: &mut Graph, directory: &Path, names: &[String]) -> HashMap<usize, Layer> {
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
        let mut layer = Layer::default();
        for file in files(graph, &directory.join(entry), 0) {
            read_file(graph, &file, &mut layer);
        }
        found.insert(place, layer);
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
    let file = graph.file(path);
    graph.problem(Origin { file, line: 0 }, complaint);
}

fn read_file(graph: &mut Graph, path: &Path, layer: &mut Layer) {
    let file = graph.file(path);
    let whole = Origin { file, line: 0 };
    let bytes = match contents_of_file(path) {
        Ok((bytes, _)) => bytes,
        Err(complaint) => return graph.problem(whole, complaint),
    };
    if format::is_sealed(&bytes) {
        return layer.sealed.push(whole);
    }
    let Some(text) = decode(graph, file, &bytes) else { return };
    let syntax = if path.extension().is_some_and(|ending| ending == "json") { Syntax::Json } else { Syntax::Yaml };
    let document = match yaml::document(&text, syntax) {
        Ok((document, _)) => document,
        Err((line, complaint)) => return graph.problem(Origin { file, line }, complaint),
    };
    for (line, complaint) in document.duplicates {
        graph.problem(Origin { file, line }, complaint);
    }
    match &document.root.kind {
        Kind::Null => {}
        Kind::Map(entries) => layer.variables.extend(yaml::variables(graph, file, entries)),
        other => {
            let complaint = Complaint::new(format!("the file is {}, not a map of variables", other.describe()));
            graph.problem(Origin { file, line: document.root.line }, complaint.hint("write one `name: value` a line"));
        }
    }
}
