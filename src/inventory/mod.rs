//! Inventories: the files and programs that Ansible users already have, plain lists, tables, and OpenSSH's configuration, read into [`Host`]s.
//!
//! What is read is what `ansible-inventory --list` shows for the same files, with one difference in spirit: a line that Ansible skips
//! with a warning is an error here, because a host that is silently not scanned is worse than a scan that doesn't start. And where a host has
//! the name of a group, its variables are its own; Ansible gives them to every host of the group.
//!
//! ```text
//! directory.rs                 a path or standard input -> texts; format.rs tells what they are
//! ini.rs, yaml.rs, dynamic.rs  Ansible's formats, in YAML and JSON (node.rs, json.rs)
//! program.rs                   an executable -> its JSON
//! csv.rs, row.rs               tables, and lists of objects
//! ssh_config.rs                the names of OpenSSH's configuration
//! graph.rs, vars.rs            hosts and groups while they are read; the variables next to them
//! resolve.rs                   precedence: what every host's variables are in the end
//! connection.rs, template.rs   what they say of how a host is reached
//! pattern.rs                   `--limit`
//! list.rs                      `--list`
//! ```

mod address;
mod connection;
mod csv;
mod directory;
mod dynamic;
mod format;
mod graph;
mod hosts_list;
mod ini;
mod json;
mod list;
mod literal;
mod node;
mod pattern;
mod program;
mod range;
mod resolve;
mod row;
mod ssh_config;
mod template;
mod vars;
mod words;
mod yaml;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::model::{Complaint, Host, Problem};
use connection::Need;
use graph::Graph;

/// The most hosts that an inventory may hold: a typing error in a range must not fill the memory.
pub const MOST_HOSTS: u64 = 1_000_000;

/// How many hosts an error names before it counts the rest.
const HOSTS_NAMED: usize = 3;

/// One `-i`: where hosts come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A file, a directory of files, or a program.
    Path(PathBuf),
    /// The hosts themselves: `host1,host2,`.
    List(String),
    /// Standard input, in any format of a file.
    Stdin,
}

impl Source {
    /// What an argument of `-i` means: `-` is standard input; with a comma and no file of that name it is a literal list, else a path.
    pub fn from_argument(argument: &str) -> Self {
        if argument == "-" {
            Self::Stdin
        } else if argument.contains(',') && !Path::new(argument).exists() {
            Self::List(argument.to_owned())
        } else {
            Self::Path(PathBuf::from(argument))
        }
    }
}

/// Everything that is wrong with an inventory or with the hosts selected from it: all of it, in the order of the files.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct InventoryErrors {
    /// At least one.
    pub problems: Vec<Problem>,
}

impl fmt::Display for InventoryErrors {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        Problem::write_all(&self.problems, "inventory", out)
    }
}

/// An inventory and what was noticed while it was read.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The hosts and groups.
    pub inventory: Inventory,
    /// What may be a mistake and stops nothing.
    pub warnings: Vec<Problem>,
}

/// A group of the inventory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// The hosts that are in it directly, as places in [`Inventory::hosts`], in the order in which they were added.
    pub hosts: Vec<usize>,
    /// The groups inside it, as places in [`Inventory::groups`].
    pub children: Vec<usize>,
}

/// Hosts and groups with every variable resolved.
#[derive(Debug, Clone)]
pub struct Inventory {
    hosts: Vec<Host>,
    groups: Vec<Group>,
    host_places: HashMap<String, usize>,
    /// The places of the hosts in the order in which they were first named.
    by_appearance: Vec<usize>,
    /// Why hosts can't be scanned, by their place.
    troubles: BTreeMap<usize, Vec<(Need, Problem)>>,
}

/// What is said beside the inventory, so that the inventory need not say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Given {
    /// Hosts become root unless the inventory says otherwise.
    pub become_root: bool,
    /// A password to log in with, in place of those that the inventory can't tell.
    pub password: bool,
    /// A password to become root with, in place of those that the inventory can't tell.
    pub become_password: bool,
}

/// The hosts that a limit selected, ready to be scanned.
#[derive(Debug, Clone)]
pub struct Selection {
    /// In the order of the inventory.
    pub hosts: Vec<Host>,
    /// Patterns that matched nothing.
    pub warnings: Vec<String>,
}

/// The places of the hosts that a limit matched, whether they can be scanned or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matched {
    /// Places in [`Inventory::hosts`], ascending.
    pub places: Vec<usize>,
    /// Patterns that matched nothing.
    pub warnings: Vec<String>,
}

impl Inventory {
    /// Every host, in the order in which `ansible all --list-hosts` names them. To scan, take those of [`Inventory::select`], which
    /// refuses the hosts whose connection the inventory doesn't tell.
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// Every group; the first two are `all` and `ungrouped`.
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// The hosts that `limit` (an Ansible pattern as for `ansible --limit`) matches, all without a limit.
    ///
    /// # Errors
    /// A pattern that can't be read, a missing `@file`, or not one host.
    pub fn matching(&self, limit: Option<&str>) -> Result<Matched, InventoryErrors> {
        match limit {
            None => Ok(Matched { places: (0..self.hosts.len()).collect(), warnings: Vec::new() }),
            Some(limit) => pattern::matching(self, limit)
                .map_err(|complaint| InventoryErrors { problems: vec![complaint.at("--limit", None)] }),
        }
    }

    /// The hosts that `limit` matches, to be scanned.
    ///
    /// # Errors
    /// As [`Inventory::matching`], and for selected hosts of which something that is needed can't be told: a template that only Ansible
    /// fills in, an encrypted value, or what a scan has no way to do, such as a connection that is not SSH.
    pub fn select(&self, limit: Option<&str>, given: Given) -> Result<Selection, InventoryErrors> {
        let Matched { places, warnings } = self.matching(limit)?;
        let problems = self.troubles(&places, given);
        if problems.is_empty() {
            let hosts = places.into_iter().filter_map(|place| self.hosts.get(place).cloned()).collect();
            Ok(Selection { hosts, warnings })
        } else {
            Err(InventoryErrors { problems })
        }
    }

    /// What stops hosts of `places` from being scanned: one problem for each line, with the hosts that it stops.
    pub fn troubles(&self, places: &[usize], given: Given) -> Vec<Problem> {
        let stopped = places.iter().filter_map(|place| Some((self.hosts.get(*place)?, self.troubles.get(place)?)));
        let all = stopped.flat_map(|(host, troubles)| {
            let become_root = host.become_root.unwrap_or(given.become_root);
            let needed = move |need: Need| match need {
                Need::Connection => true,
                Need::Password => !given.password,
                Need::Become => become_root,
                Need::BecomePassword => become_root && !given.become_password,
            };
            let problems = troubles.iter().filter(move |(need, _)| needed(*need)).map(|(_, problem)| problem.clone());
            problems.map(|problem| (problem, host.name.as_str()))
        });
        with_hosts(all)
    }

    /// What `ansible-inventory --list` prints for these hosts, to be written as JSON.
    pub fn listing<'a>(&'a self, places: &'a [usize]) -> impl serde::Serialize + 'a {
        list::Listing::of(self, places)
    }

    /// The names of these hosts, one a line.
    pub fn names(&self, places: &[usize]) -> String {
        list::names(self, places)
    }
}

/// Problems that differ only in the host become one that names the hosts.
fn with_hosts<'a>(troubles: impl Iterator<Item = (Problem, &'a str)>) -> Vec<Problem> {
    let mut hosts_of: Vec<(Problem, Vec<&str>, usize)> = Vec::new();
    let mut places: HashMap<(Arc<str>, Option<u32>, String), usize> = HashMap::new();
    for (problem, host) in troubles {
        let key = (problem.file.clone(), problem.line, problem.message.clone());
        let place = *places.entry(key).or_insert_with(|| {
            hosts_of.push((problem, Vec::new(), 0));
            hosts_of.len() - 1
        });
        if let Some((_, named, count)) = hosts_of.get_mut(place) {
            *count += 1;
            if named.len() < HOSTS_NAMED {
                named.push(host);
            }
        }
    }
    hosts_of
        .into_iter()
        .map(|(problem, named, count)| {
            let names = named.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
            let rest = count - named.len();
            let more = if rest > 0 { format!(" and {rest} more") } else { String::new() };
            Problem { message: format!("{}, for {names}{more}", problem.message), ..problem }
        })
        .collect()
}

/// Splits text into words as Ansible splits the options for ssh that it is given.
///
/// # Errors
/// What is wrong with the text.
pub fn split_words(text: &str) -> Result<Vec<String>, String> {
    words::arguments(text).map_err(|complaint| complaint.message)
}

/// Reads all sources into one inventory, with the `group_vars` and `host_vars` that stand next to them, and those of the current directory,
/// which Ansible takes for that of the playbooks.
///
/// # Errors
/// Everything that is wrong, line by line; and an inventory without a host.
pub fn load(sources: &[Source]) -> Result<Loaded, InventoryErrors> {
    let mut graph = Graph::new();
    let mut vars_directories = Vec::new();
    for source in sources {
        match source {
            Source::List(text) => hosts_list::read(&mut graph, text),
            Source::Stdin => directory::read_stdin(&mut graph),
            Source::Path(path) => {
                directory::read(&mut graph, path);
                vars_directories.push(if path.is_dir() { path.clone() } else { parent(path) });
            }
        }
    }
    graph.settle();
    if graph.hosts.is_empty() && graph.problems.is_empty() {
        let names = sources.iter().map(|source| match source {
            Source::Path(path) => path.display().to_string(),
            Source::List(text) => format!("-i '{text}'"),
            Source::Stdin => "standard input".to_owned(),
        });
        graph.empty(&names.collect::<Vec<_>>().join(", "));
    }
    let adjacent = if graph.problems.is_empty() { vars::read(&mut graph, vars_directories) } else { Vec::new() };
    let inventory = resolve::inventory(&mut graph, &adjacent);
    let (problems, warnings) = graph.said();
    if problems.is_empty() { Ok(Loaded { inventory, warnings }) } else { Err(InventoryErrors { problems }) }
}

/// The directory of a file, for a bare name the current one.
fn parent(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::graph::Graph;
    use super::*;

    proptest! {
        #[test]
        fn no_text_makes_a_reader_panic(text in "[a-z0-9:@\\[\\]{}'\"#;!&*~?=%.,\\\\ \t\n\u{e9}-]{0,60}") {
            let mut graph = Graph::new();
            let file = graph.text("any");
            ini::read(&mut graph, file, &text);
            yaml::read(&mut graph, file, &text, yaml::Syntax::Yaml);
            csv::read(&mut graph, file, &text);
            super::csv::read(&mut graph, file, &format!("name,groups,x\n{text}"));
            format::of_text(text.as_bytes());
            hosts_list::read(&mut graph, &text);
            graph.settle();
            let inventory = resolve::inventory(&mut graph, &[]);
            let _ = inventory.matching(Some(&text.replace('@', "")));
            literal::value(&text);
            let _ = words::split(&text);
        }

        #[test]
        fn a_file_of_any_lines_is_an_inventory_or_says_why_not(lines in proptest::collection::vec(
            "(\\[[a-c](:children|:vars)?\\]|[a-c]|h[1-3](:2[0-9])?( [a-c]=[0-9])?|[a-c]=[0-9]|h\\[[0-3]:[0-3]\\])", 0..20,
        )) {
            let mut graph = Graph::new();
            let file = graph.text("any");
            ini::read(&mut graph, file, &lines.join("\n"));
            graph.settle();
            let inventory = resolve::inventory(&mut graph, &[]);
            let (problems, _) = graph.said();
            if problems.is_empty() {
                let everything: Vec<usize> = (0..inventory.hosts().len()).collect();
                prop_assert_eq!(&inventory.matching(None).unwrap().places, &everything);
                for host in inventory.hosts() {
                    prop_assert!(!host.groups.is_empty());
                    // Where a group has the name of a host, a pattern means the group, as in Ansible.
                    if inventory.groups().iter().any(|group| group.name == host.name) {
                        continue;
                    }
                    let limit = format!("all:&{}", host.name);
                    prop_assert_eq!(inventory.matching(Some(&limit)).map(|matched| matched.places.is_empty()), Ok(false));
                }
            }
        }
    }
}
