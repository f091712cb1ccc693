//! OpenSSH's client configuration as an inventory: the hosts are the names behind `Host` that are no patterns.
//!
//! Nothing but names is read here; what the configuration says of a host is asked for when it is connected to.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::graph::{Graph, Origin, UNGROUPED, Variable, Variables};
use super::pattern::Names;
use super::{Complaint, address};
use crate::model::Value;

/// Files that include files are followed this deep, as OpenSSH follows them.
const DEEPEST: usize = 16;

/// Keywords that may stand before the first `Host`.
const KEYWORDS: [&str; 30] = [
    "addkeystoagent",
    "addressfamily",
    "canonicaldomains",
    "canonicalizehostname",
    "ciphers",
    "compression",
    "connecttimeout",
    "controlmaster",
    "controlpath",
    "controlpersist",
    "forwardagent",
    "globalknownhostsfile",
    "hashknownhosts",
    "hostkeyalgorithms",
    "identitiesonly",
    "identityagent",
    "identityfile",
    "ignoreunknown",
    "kexalgorithms",
    "loglevel",
    "macs",
    "port",
    "preferredauthentications",
    "proxycommand",
    "proxyjump",
    "sendenv",
    "serveraliveinterval",
    "stricthostkeychecking",
    "user",
    "userknownhostsfile",
];

/// Whether the first directive is one of OpenSSH's. Of keywords that a host may be called after, a `Host` has to follow somewhere.
pub(super) fn is_it(text: &str) -> bool {
    let mut directives = text.lines().filter_map(directive);
    let Some((first, arguments)) = directives.next() else { return false };
    let begins = |keyword: &str, arguments: &[String]| {
        let plain = |argument: &String| !argument.contains('=') && !argument.ends_with(':');
        matches!(keyword, "host" | "match" | "include") && !arguments.is_empty() && arguments.iter().all(plain)
    };
    begins(&first, &arguments)
        || KEYWORDS.contains(&first.as_str())
            && directives.any(|(keyword, arguments)| begins(&keyword, &arguments) && keyword != "include")
}

/// The keyword of a line in lower case, and its arguments.
fn directive(line: &str) -> Option<(String, Vec<String>)> {
    let line = line.trim();
    let end = line.find(|character: char| character.is_whitespace() || character == '=').unwrap_or(line.len());
    let (keyword, rest) = line.split_at(end);
    if keyword.is_empty() || keyword.starts_with('#') {
        return None;
    }
    let rest = rest.trim_start();
    let rest = rest.strip_prefix('=').unwrap_or(rest);
    Some((keyword.to_ascii_lowercase(), arguments(rest)))
}

/// Words between white space, those in double quotes whole; what stands behind `#` is a comment.
fn arguments(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() && !rest.starts_with('#') {
        let (word, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => rest.split_at(rest.find(char::is_whitespace).unwrap_or(rest.len())),
        };
        words.push(word.to_owned());
        rest = after.trim_start();
    }
    words
}

/// Reads the names of a configuration and of those that it includes.
pub(super) fn read(graph: &mut Graph, file: usize, path: Option<&Path>, text: &str) {
    let mut reader = Reader { graph, said: path.and_then(said_by), open: HashSet::new() };
    reader.text(file, text, 0);
}

/// What has to be said of hosts for their settings to come from this file: nothing where `ssh` reads it anyway.
fn said_by(path: &Path) -> Option<Value> {
    let path = fs::canonicalize(path).ok()?;
    let usual = [std::env::home_dir().map(|home| home.join(".ssh/config")), Some(PathBuf::from("/etc/ssh/ssh_config"))];
    if usual.into_iter().flatten().any(|usual| fs::canonicalize(usual).is_ok_and(|usual| usual == path)) {
        return None;
    }
    let text = path.to_str()?;
    let bare = |character: char| character.is_alphanumeric() || "/._-+@%".contains(character);
    Some(match text.chars().all(bare) {
        true => format!("-F {text}").into(),
        false => format!("-F '{}'", text.replace('\'', "'\"'\"'")).into(),
    })
}

struct Reader<'a> {
    graph: &'a mut Graph,
    said: Option<Value>,
    open: HashSet<PathBuf>,
}

impl Reader<'_> {
    fn text(&mut self, file: usize, text: &str, depth: usize) {
        for (line, number) in text.lines().zip(1_u32..) {
            let Some((keyword, arguments)) = directive(line) else { continue };
            let origin = Origin { file, line: number };
            match keyword.as_str() {
                "host" => arguments.iter().for_each(|name| self.host(name, origin)),
                "include" => arguments.iter().for_each(|pattern| self.include(pattern, origin, depth)),
                _ => {}
            }
        }
    }

    fn host(&mut self, name: &str, origin: Origin) {
        // A name that is excluded, and one that stands for many, is no host.
        if name.contains(['*', '?', '!']) {
            return;
        }
        let variables = self.said.iter().map(|said| ("ansible_ssh_common_args".to_owned(), Variable::new(said.clone(), origin)));
        let variables: Variables = variables.collect();
        match address::Entry::verbatim(name) {
            Ok(entry) => self.graph.add_hosts(&entry, UNGROUPED, &variables, origin),
            Err(complaint) => self.graph.problem(origin, complaint),
        }
    }

    fn include(&mut self, pattern: &str, origin: Origin, depth: usize) {
        if depth >= DEEPEST {
            let complaint = Complaint::new(format!("files include each other more than {DEEPEST} deep"));
            return self.graph.problem(origin, complaint);
        }
        let home = std::env::home_dir().unwrap_or_default();
        let pattern = match pattern.strip_prefix("~/") {
            Some(rest) => home.join(rest),
            None => home.join(".ssh").join(pattern),
        };
        for path in glob(&pattern) {
            // OpenSSH leaves out what it may not read, too.
            let Ok(bytes) = fs::read(&path) else { continue };
            if self.open.insert(path.clone()) {
                let file = self.graph.file(&path);
                self.text(file, &String::from_utf8_lossy(&bytes), depth + 1);
                self.open.remove(&path);
            }
        }
    }
}

/// The files that a shell pattern names, sorted; a pattern may stand in every part of the path.
fn glob(pattern: &Path) -> Vec<PathBuf> {
    let mut found = vec![PathBuf::new()];
    for part in pattern.components() {
        let name = part.as_os_str();
        match name.to_str().and_then(Names::glob) {
            None => found.iter_mut().for_each(|path| path.push(name)),
            Some(names) => {
                let inside = |directory: &PathBuf| {
                    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
                    let names_in = entries.filter_map(|entry| entry.file_name().into_string().ok());
                    let mut matching: Vec<PathBuf> = names_in
                        .filter(|name| !name.starts_with('.') && names.matches(name))
                        .map(|name| directory.join(name))
                        .collect();
                    matching.sort_unstable();
                    matching
                };
                found = found.iter().flat_map(inside).collect();
            }
        }
    }
    found.retain(|path| path.is_file());
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_is_told_by_its_first_directive() {
        for text in ["Host web\n", "# x\n\nhost=web\n", "Match all\n", "Include conf.d/*\n", "User ops\nPort 22\nHost *\n"] {
            assert!(is_it(text), "{text}");
        }
        for text in
            ["", "web01\n", "host\n", "host ansible_host=192.0.2.1\n", "user\nport\n", "user a=1\nhost b=1\n", "Host: web\n"]
        {
            assert!(!is_it(text), "{text}");
        }
    }

    #[test]
    fn arguments_may_be_quoted_and_end_at_a_comment() {
        assert_eq!(
            directive("  HOST = a \"b c\" d # e").unwrap(),
            ("host".to_owned(), vec!["a".into(), "b c".into(), "d".into()])
        );
        assert_eq!(directive("Host\tweb").unwrap().1, ["web"]);
        assert_eq!(directive("# Host web"), None);
    }
}
