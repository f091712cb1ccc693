//! Hosts and groups while the sources are read: who is in what, and every variable with the line that it stands on.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::path::{Path, PathBuf};

use super::address::{Entry, too_many};
use super::{Complaint, MOST_HOSTS, Problem};
use crate::model::Value;

/// The group that every host and group is in.
pub(super) const ALL: usize = 0;
/// The group of the hosts that are in no other.
pub(super) const UNGROUPED: usize = 1;

/// A line of a file that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Origin {
    pub(super) file: usize,
    /// From 1; 0 is the whole file.
    pub(super) line: u32,
}

/// A variable and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Variable {
    pub(super) value: Value,
    pub(super) origin: Origin,
    /// Braces in it are braces: `!unsafe`.
    pub(super) verbatim: bool,
}

impl Variable {
    /// A value that may be a template.
    pub(super) fn new(value: Value, origin: Origin) -> Self {
        Self { value, origin, verbatim: false }
    }
}

/// Variables by name.
pub(super) type Variables = BTreeMap<String, Variable>;

#[derive(Debug, Default)]
pub(super) struct GroupNode {
    pub(super) name: String,
    pub(super) hosts: Vec<usize>,
    pub(super) children: Vec<usize>,
    pub(super) parents: Vec<usize>,
    pub(super) variables: Variables,
    pub(super) priority: i64,
    /// The longest way down from `all`; known once settled.
    pub(super) depth: usize,
}

#[derive(Debug)]
pub(super) struct HostNode {
    pub(super) name: String,
    /// The groups that the host is in directly.
    pub(super) groups: Vec<usize>,
    pub(super) variables: Variables,
    /// Where the host was named first.
    pub(super) origin: Origin,
}

/// What was read: as it is called, and where it is on disk, if it is.
#[derive(Debug)]
struct SourceFile {
    name: String,
    path: Option<PathBuf>,
}

/// Everything that was read so far.
#[derive(Debug, Default)]
pub(super) struct Graph {
    pub(super) groups: Vec<GroupNode>,
    pub(super) hosts: Vec<HostNode>,
    pub(super) problems: Vec<(Origin, Complaint)>,
    warnings: Vec<(Origin, Complaint)>,
    files: Vec<SourceFile>,
    group_places: HashMap<String, usize>,
    host_places: HashMap<String, usize>,
    members: HashSet<(usize, usize)>,
    edges: HashMap<(usize, usize), Origin>,
}

impl Graph {
    /// Nothing but `all` and, in it, `ungrouped`.
    pub(super) fn new() -> Self {
        let mut graph = Self::default();
        let all = graph.group("all");
        let ungrouped = graph.group("ungrouped");
        graph.link(all, ungrouped);
        graph
    }

    /// A text that is now read and that is no file; lines refer to it.
    pub(super) fn text(&mut self, name: impl Into<String>) -> usize {
        self.files.push(SourceFile { name: name.into(), path: None });
        self.files.len() - 1
    }

    /// A file that is now read; lines refer to it.
    pub(super) fn file(&mut self, path: &Path) -> usize {
        self.files.push(SourceFile { name: path.display().to_string(), path: Some(path.to_owned()) });
        self.files.len() - 1
    }

    /// What a program of that path says, asked with `arguments`; lines are those of its answer.
    pub(super) fn answer(&mut self, path: &Path, arguments: &str) -> usize {
        self.files.push(SourceFile { name: format!("{} {arguments}", path.display()), path: Some(path.to_owned()) });
        self.files.len() - 1
    }

    /// The file that named a host first: `inventory_file`. `None` where the host was named on the command line or on standard input.
    pub(super) fn path_of(&self, host: &HostNode) -> Option<&Path> {
        self.files.get(host.origin.file)?.path.as_deref()
    }

    /// Sets a variable of a host that was named.
    pub(super) fn set_host_variables(&mut self, name: &str, variables: Variables) {
        let place = self.host_places.get(name).copied();
        if let Some(host) = place.and_then(|place| self.hosts.get_mut(place)) {
            host.variables.extend(variables);
        }
    }

    /// Something is wrong with a line.
    pub(super) fn problem(&mut self, origin: Origin, complaint: Complaint) {
        self.problems.push((origin, complaint));
    }

    /// Something about a line may be a mistake.
    pub(super) fn warning(&mut self, origin: Origin, complaint: Complaint) {
        self.warnings.push((origin, complaint));
    }

    /// There was no host in all of the sources.
    pub(super) fn empty(&mut self, sources: &str) {
        let file = self.text(sources);
        let complaint =
            Complaint::new("the inventory names no host").hint("write one host a line, or groups of hosts as for Ansible");
        self.problem(Origin { file, line: 0 }, complaint);
    }

    /// Problems and warnings in the order of files and lines.
    pub(super) fn said(mut self) -> (Vec<Problem>, Vec<Problem>) {
        let files = std::mem::take(&mut self.files);
        let ordered = |mut said: Vec<(Origin, Complaint)>| {
            said.sort_by_key(|(origin, _)| *origin);
            said.into_iter().map(|(origin, complaint)| placed(&files, origin, complaint)).collect()
        };
        (ordered(self.problems), ordered(self.warnings))
    }

    /// A complaint with its file and line.
    pub(super) fn placed(&self, origin: Origin, complaint: Complaint) -> Problem {
        placed(&self.files, origin, complaint)
    }

    /// The group of that name, made if need be.
    pub(super) fn group(&mut self, name: &str) -> usize {
        if let Some(place) = self.group_places.get(name) {
            return *place;
        }
        let place = self.groups.len();
        self.groups.push(GroupNode { name: name.to_owned(), priority: 1, ..GroupNode::default() });
        self.group_places.insert(name.to_owned(), place);
        place
    }

    /// The group of that name, where there is one.
    pub(super) fn known_group(&self, name: &str) -> Option<usize> {
        self.group_places.get(name).copied()
    }

    /// Puts a group into a group.
    pub(super) fn add_child(&mut self, parent: usize, child: usize, origin: Origin) {
        let name = self.groups.get(child).map_or("", |group| group.name.as_str());
        match child {
            ALL => {
                let complaint = Complaint::new("`all` holds every group and cannot be inside one");
                self.problem(origin, complaint);
            }
            // Ansible takes the hosts out of such a group again, and then they are in no group at all.
            UNGROUPED if parent != ALL => {
                let complaint = Complaint::new("`ungrouped` holds the hosts that are in no group and cannot be inside one")
                    .hint("name a group of your own");
                self.problem(origin, complaint);
            }
            _ if parent == child => {
                let complaint = Complaint::new(format!("group `{name}` is its own child"));
                self.problem(origin, complaint);
            }
            _ => {
                self.edges.entry((parent, child)).or_insert(origin);
                self.link(parent, child);
            }
        }
    }

    fn link(&mut self, parent: usize, child: usize) {
        let known = self.groups.get(child).is_some_and(|group| group.parents.contains(&parent));
        if !known && let Some(group) = self.groups.get_mut(child) {
            group.parents.push(parent);
            if let Some(group) = self.groups.get_mut(parent) {
                group.children.push(child);
            }
        }
    }

    /// Sets a variable of a group.
    pub(super) fn set_group_variable(&mut self, group: usize, name: &str, variable: Variable) {
        if name == "ansible_group_priority" {
            let Variable { value, origin, .. } = variable;
            let priority = value.as_int().or_else(|| value.as_str().and_then(|text| text.trim().parse().ok()));
            match (priority, self.groups.get_mut(group)) {
                (Some(priority), Some(group)) => group.priority = priority,
                _ => self.problem(origin, Complaint::new(format!("`{name}` is `{value}`, not a whole number"))),
            }
        } else if let Some(group) = self.groups.get_mut(group) {
            group.variables.insert(name.to_owned(), variable);
        }
    }

    /// Adds the hosts of an entry to a group, with their variables. The port and the login of an entry count where the host is named
    /// first, as in Ansible.
    pub(super) fn add_hosts(&mut self, entry: &Entry, group: usize, variables: &Variables, origin: Origin) {
        if self.hosts.len() as u64 + entry.names.count() > MOST_HOSTS {
            self.problem(origin, too_many());
            return;
        }
        for name in entry.names.iter() {
            let place = self.host(name, entry, origin);
            if self.members.insert((group, place)) {
                self.groups.get_mut(group).into_iter().for_each(|group| group.hosts.push(place));
                self.hosts.get_mut(place).into_iter().for_each(|host| host.groups.push(group));
            }
            if let Some(host) = self.hosts.get_mut(place) {
                host.variables.extend(variables.iter().map(|(name, variable)| (name.clone(), variable.clone())));
            }
        }
    }

    fn host(&mut self, name: String, entry: &Entry, origin: Origin) -> usize {
        let port = entry.port.map(|port| ("ansible_port", Value::Int(port.into())));
        let user = entry.user.as_ref().map(|user| ("ansible_user", Value::from(user.as_str())));
        let said = port.into_iter().chain(user);
        if let Some(place) = self.host_places.get(&name).copied() {
            for (variable, value) in said {
                let before = self.hosts.get(place).and_then(|host| host.variables.get(variable));
                if before.is_none_or(|before| before.value.to_string() != value.to_string()) {
                    let complaint = Complaint::new(format!("`{name}` was named before, so `{value}` does not count here"))
                        .hint(format!("set `{variable}`"));
                    self.warning(origin, complaint);
                }
            }
            return place;
        }
        let variables = said.map(|(variable, value)| (variable.to_owned(), Variable::new(value, origin))).collect();
        self.hosts.push(HostNode { name: name.clone(), groups: Vec::new(), variables, origin });
        self.host_places.insert(name, self.hosts.len() - 1);
        self.hosts.len() - 1
    }

    /// What holds once every source is read: no group is inside itself, every group is in `all`, and every host that is in no other
    /// group is in `ungrouped`, and no other.
    pub(super) fn settle(&mut self) {
        for place in UNGROUPED..self.groups.len() {
            if self.groups.get(place).is_some_and(|group| group.parents.is_empty()) {
                self.link(ALL, place);
            }
        }
        self.settle_depths();
        self.settle_ungrouped();
        let both: Vec<&str> =
            self.groups.iter().map(|group| group.name.as_str()).filter(|name| self.host_places.contains_key(*name)).collect();
        if !both.is_empty() {
            let complaint = Complaint::new(format!("`{}` is the name of a host and of a group", both.join("`, `")))
                .hint("a limit by that name selects the host");
            self.warning(Origin { file: 0, line: 0 }, complaint);
        }
    }

    fn settle_ungrouped(&mut self) {
        let grouped = |host: &HostNode| host.groups.iter().any(|group| *group > UNGROUPED);
        let mut kept: Vec<usize> = Vec::new();
        if let Some(ungrouped) = self.groups.get(UNGROUPED) {
            kept.extend(ungrouped.hosts.iter().filter(|place| self.hosts.get(**place).is_some_and(|host| !grouped(host))));
        }
        for (place, host) in self.hosts.iter_mut().enumerate() {
            if grouped(host) {
                host.groups.retain(|group| *group != UNGROUPED);
            } else if !host.groups.contains(&UNGROUPED) {
                host.groups.push(UNGROUPED);
                kept.push(place);
            }
        }
        if let Some(ungrouped) = self.groups.get_mut(UNGROUPED) {
            ungrouped.hosts = kept;
        }
    }

    /// Walks every group once, children before parents, to find loops; then measures depth, parents before children.
    fn settle_depths(&mut self) {
        #[derive(Clone, Copy, PartialEq)]
        enum Mark {
            New,
            Open,
            Done,
        }
        let mut marks = vec![Mark::New; self.groups.len()];
        let mut finished = Vec::with_capacity(self.groups.len());
        let mut loops = Vec::new();
        for start in 0..self.groups.len() {
            if marks[start] != Mark::New {
                continue;
            }
            marks[start] = Mark::Open;
            let mut path = vec![(start, 0)];
            while let Some((group, next)) = path.last_mut() {
                let group = *group;
                let child = self.groups[group].children.get(*next).copied();
                *next += 1;
                match child {
                    Some(child) if marks[child] == Mark::New => {
                        marks[child] = Mark::Open;
                        path.push((child, 0));
                    }
                    Some(child) if marks[child] == Mark::Open => {
                        let names = path.iter().map(|(group, _)| *group).skip_while(|group| *group != child);
                        let names = names.chain([child]).map(|group| self.groups[group].name.as_str());
                        loops.push(((group, child), names.collect::<Vec<_>>().join("` > `")));
                    }
                    Some(_) => {}
                    None => {
                        marks[group] = Mark::Done;
                        finished.push(group);
                        path.pop();
                    }
                }
            }
        }
        for (edge, names) in loops {
            let origin = self.edges.get(&edge).copied().unwrap_or(Origin { file: 0, line: 0 });
            self.problem(
                origin,
                Complaint::new(format!("groups are inside each other: `{names}`")).hint("remove one of these children"),
            );
        }
        for group in finished.into_iter().rev() {
            let depth = self.groups[group].depth + 1;
            for child in self.groups[group].children.clone() {
                self.groups[child].depth = self.groups[child].depth.max(depth);
            }
        }
    }

    /// The hosts of a group and of the groups inside it: its own, then those of its children, then of theirs.
    pub(super) fn hosts_under(&self, group: usize) -> Vec<usize> {
        hosts_under(group, self.groups.len(), self.hosts.len(), |place| {
            self.groups.get(place).map_or((&[], &[]), |group| (group.hosts.as_slice(), group.children.as_slice()))
        })
    }

    /// The groups that a host in `direct` groups is in, without `all`: parents before children, by depth, priority and name.
    pub(super) fn groups_above(&self, direct: &[usize]) -> Vec<usize> {
        let mut seen: HashSet<usize> = HashSet::from([ALL]);
        let mut open: Vec<usize> = direct.to_vec();
        while let Some(place) = open.pop() {
            if seen.insert(place) {
                open.extend(self.groups.get(place).into_iter().flat_map(|group| &group.parents));
            }
        }
        seen.remove(&ALL);
        let mut above: Vec<usize> = seen.into_iter().collect();
        above.sort_by_key(|place| self.groups.get(*place).map(|group| (group.depth, group.priority, group.name.as_str())));
        above
    }
}

/// Breadth first from `group`, each host once. `parts` gives the hosts and the children of a group.
pub(super) fn hosts_under<'a>(
    group: usize,
    groups: usize,
    hosts: usize,
    parts: impl Fn(usize) -> (&'a [usize], &'a [usize]),
) -> Vec<usize> {
    let mut groups_seen = vec![false; groups];
    let mut hosts_seen = vec![false; hosts];
    let mut found = Vec::new();
    let mut open = VecDeque::from([group]);
    while let Some(place) = open.pop_front() {
        if groups_seen.get_mut(place).is_none_or(|seen| std::mem::replace(seen, true)) {
            continue;
        }
        let (members, children) = parts(place);
        found.extend(members.iter().filter(|host| hosts_seen.get_mut(**host).is_some_and(|seen| !std::mem::replace(seen, true))));
        open.extend(children);
    }
    found
}

fn placed(files: &[SourceFile], origin: Origin, complaint: Complaint) -> Problem {
    let file = files.get(origin.file).map_or("", |file| &file.name);
    complaint.at(file, (origin.line > 0).then_some(origin.line))
}
