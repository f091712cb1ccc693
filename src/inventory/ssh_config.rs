//! OpenSSH's client configuration as an inventory: the hosts are the names behind `Host` that are no patterns.
//!
//! Nothing but names is taken; what the configuration says of a host is asked for when it is connected to.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use super::Complaint;
use super::address::Entry;
use super::graph::{Graph, Origin, UNGROUPED, Variable, Variables};
use crate::model::Value;
use crate::ssh_config::{Config, Files, Options, Sources};

/// Reads the names of a configuration and of those that it includes.
pub(super) fn read(graph: &mut Graph, path: &Path) {
    let usual = Sources::new(Options::default());
    let said = said_by(path, &usual);
    let mut files: HashMap<Arc<str>, usize> = HashMap::new();
    let mut place = |graph: &mut Graph, file: &Arc<str>, line: Option<u32>| {
        let file = *files.entry(Arc::clone(file)).or_insert_with(|| graph.file(Path::new(&**file)));
        Origin { file, line: line.unwrap_or(0) }
    };
    match Config::load(Sources { files: Files::Only(path.to_owned()), ..usual }) {
        Err(errors) => {
            for problem in errors.problems {
                let origin = place(graph, &problem.file, problem.line);
                graph.problem(origin, Complaint { message: problem.message, hint: problem.hint });
            }
        }
        Ok(config) => {
            for alias in config.hosts() {
                let origin = place(graph, &alias.file, Some(alias.line));
                let variables =
                    said.iter().map(|said| ("ansible_ssh_common_args".to_owned(), Variable::new(said.clone(), origin)));
                let variables: Variables = variables.collect();
                match Entry::verbatim(&alias.name) {
                    Ok(entry) => graph.add_hosts(&entry, UNGROUPED, &variables, origin),
                    Err(complaint) => graph.problem(origin, complaint),
                }
            }
        }
    }
}

/// What has to be said of hosts for their settings to come from this file: nothing where `ssh` reads it anyway.
fn said_by(path: &Path, usual: &Sources) -> Option<Value> {
    let path = fs::canonicalize(path).ok()?;
    let usual = [usual.here.home.join(".ssh/config"), usual.system_file.clone()];
    if usual.iter().any(|usual| fs::canonicalize(usual).is_ok_and(|usual| usual == path)) {
        return None;
    }
    let text = path.to_str()?;
    let bare = |character: char| character.is_alphanumeric() || "/._-+@%".contains(character);
    Some(match text.chars().all(bare) {
        true => format!("-F {text}").into(),
        false => format!("-F '{}'", text.replace('\'', "'\"'\"'")).into(),
    })
}
