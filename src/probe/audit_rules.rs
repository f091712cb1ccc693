//! Audit rules as text: what `auditctl -l` prints and what rule files hold, read into the same [`Rule`]s.
//!
//! Forms (audit.rules(7), auditctl(8)): `-w PATH -p rwxa -k KEY`; `-a always,exit -F arch=b64 -S all -F path=PATH -F perm=wa -F key=KEY` with either order
//! of list and action; and `LIST_RULES: exit,always dir=PATH (0x1) perm=wa key=KEY` of audit 1.x.

use std::collections::{BTreeSet, HashMap};
use std::fmt;

/// What a rule does with an event it matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    Always,
    Never,
}

/// The kernel's list that a rule is in. What the filters `user`, `filesystem` and `io_uring` hold says nothing about files here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Filter {
    Task,
    Exit,
    Exclude,
    Other,
}

/// What a rule watches.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Target {
    /// `-w`: a file, or a directory with all below it, whichever the path is.
    Watch(String),
    /// `-F path=`: one file, or a directory without what is below it.
    Path(String),
    /// `-F dir=`: a directory with all below it.
    Directory(String),
    /// No path: a rule about system calls.
    Anything,
}

/// The kinds of access that a rule records, of `rwxa`.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Permissions(u8);

impl Permissions {
    const LETTERS: [char; 4] = ['r', 'w', 'x', 'a'];
    pub(super) const ALL: Self = Self(0b1111);

    pub(super) fn of(text: &str) -> Self {
        let bit = |letter: char| Self::LETTERS.iter().position(|known| *known == letter).map_or(0, |at| 1 << at);
        Self(text.chars().map(bit).fold(0, |all, bit| all | bit))
    }

    pub(super) fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(super) fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl fmt::Display for Permissions {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let set = |(at, letter): (usize, char)| (self.0 & (1 << at) != 0).then_some(letter);
        out.write_str(&Self::LETTERS.into_iter().enumerate().filter_map(set).collect::<String>())
    }
}

impl fmt::Debug for Permissions {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

/// One audit rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rule {
    pub(super) action: Action,
    pub(super) filter: Filter,
    pub(super) target: Target,
    pub(super) permissions: Permissions,
    /// What narrows the rule to some of the accesses: a single 32-bit architecture, named system calls, fields such as `uid=0`. Not counted are `key`, and
    /// `auid>=1000` with `auid!=unset`, by which the usual rules leave out what no login did.
    pub(super) limits: Vec<String>,
    /// The values of `msgtype=`, which say what a rule of the filter `exclude` drops.
    pub(super) messages: Vec<String>,
    /// As it was written.
    pub(super) text: String,
}

/// A line that is not a rule and changes what the rules mean.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Line {
    Rule(Box<Rule>),
    /// `-A`: before the others.
    First(Box<Rule>),
    /// `-W` and `-d`; without a target `-D`, which deletes all.
    Delete(Target),
    /// `-e N`.
    Enable(i64),
    /// `-q MOUNTPOINT,SUBTREE`.
    Equivalent(String),
    Nothing,
}

/// The rules of a list or of a set of files, in their order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Rules {
    pub(super) rules: Vec<Rule>,
    /// The last `-e`.
    pub(super) enable: Option<i64>,
    /// Mountpoints that count as part of the directory they are in.
    pub(super) equivalent: BTreeSet<String>,
}

impl Rules {
    /// From the lines of `auditctl -l` or of rule files.
    pub(super) fn parse<'a>(lines: impl IntoIterator<Item = &'a str>) -> Self {
        let mut all = Self::default();
        let mut last: Vec<(usize, Rule)> = Vec::new();
        let mut first: Vec<(usize, Rule)> = Vec::new();
        // Until which line rules of a target were deleted; no target: any. Done at the end, for a file of many deletions must not cost its square.
        let mut deleted: HashMap<Target, usize> = HashMap::new();
        for (at, line) in lines.into_iter().enumerate() {
            match parse_line(line) {
                Line::Rule(rule) => last.push((at, *rule)),
                Line::First(rule) => first.push((at, *rule)),
                Line::Delete(target) => {
                    deleted.insert(target, at);
                }
                Line::Enable(enable) => all.enable = Some(enable),
                Line::Equivalent(mountpoint) => {
                    all.equivalent.insert(mountpoint);
                }
                Line::Nothing => {}
            }
        }
        let gone = |at: usize, target: &Target| deleted.get(target).is_some_and(|until| at < *until);
        first.reverse();
        first.extend(last);
        first.retain(|(at, rule)| !gone(*at, &rule.target) && !gone(*at, &Target::Anything));
        all.rules = first.into_iter().map(|(_, rule)| rule).collect();
        all
    }

    /// The rule that keeps the kernel from looking at any process: `never,task` without conditions.
    pub(super) fn never_task(&self) -> Option<&Rule> {
        self.rules.iter().find(|rule| rule.filter == Filter::Task && rule.action == Action::Never && rule.limits.is_empty())
    }
}

/// Splits a line into options with their values. A value that holds spaces is one value: taking its first word for the whole would invent a watch of
/// another path.
fn options(line: &str) -> Vec<(&str, String)> {
    let mut options: Vec<(&str, String)> = Vec::new();
    for word in line.split_ascii_whitespace() {
        match options.last_mut() {
            _ if word.len() > 1 && word.starts_with('-') => options.push((word, String::new())),
            Some((_, value)) => {
                if !value.is_empty() {
                    value.push(' ');
                }
                value.push_str(word);
            }
            None => {}
        }
    }
    options
}

fn parse_line(line: &str) -> Line {
    let line = line.trim();
    if line.starts_with('#') {
        return Line::Nothing;
    }
    if let Some(old) = line.strip_prefix("LIST_RULES:") {
        return old_rule(line, old).map_or(Line::Nothing, |rule| Line::Rule(Box::new(rule)));
    }
    let options = options(line);
    let Some((first, value)) = options.first() else { return Line::Nothing };
    match *first {
        "-D" => Line::Delete(Target::Anything),
        "-e" => value.trim().parse().map_or(Line::Nothing, Line::Enable),
        "-q" => value.split_once(',').map_or(Line::Nothing, |(mountpoint, _)| Line::Equivalent(path(mountpoint))),
        "-W" => Line::Delete(Target::Watch(path(value))),
        "-d" => match rule(line, &options) {
            Some(rule) if rule.target != Target::Anything => Line::Delete(rule.target),
            _ => Line::Nothing,
        },
        "-A" => rule(line, &options).map_or(Line::Nothing, |rule| Line::First(Box::new(rule))),
        _ => rule(line, &options).map_or(Line::Nothing, |rule| Line::Rule(Box::new(rule))),
    }
}

fn empty_rule(text: &str) -> Rule {
    Rule {
        action: Action::Always,
        filter: Filter::Exit,
        target: Target::Anything,
        permissions: Permissions::ALL,
        limits: Vec::new(),
        messages: Vec::new(),
        text: text.to_owned(),
    }
}

fn rule(line: &str, options: &[(&str, String)]) -> Option<Rule> {
    let mut rule = empty_rule(line);
    let mut listed = false;
    let mut narrow_architecture = None;
    for (option, value) in options {
        match *option {
            "-w" => {
                rule.target = Target::Watch(path(value));
                listed = true;
            }
            "-a" | "-A" | "-d" => {
                (rule.filter, rule.action) = list_and_action(value)?;
                listed = true;
            }
            "-p" => rule.permissions = Permissions::of(value),
            "-S" => system_calls(&mut rule, value),
            "-C" => rule.limits.push(value.clone()),
            "-F" => field(&mut rule, value, &mut narrow_architecture),
            _ => {}
        }
    }
    rule.limits.extend(narrow_architecture);
    listed.then_some(rule)
}

/// `LIST_RULES: exit,always arch=3221225534 (0xc000003e) dir=/etc/docker (0xb) perm=wa key=docker syscall=all`
fn old_rule(line: &str, rest: &str) -> Option<Rule> {
    let mut words = rest.split_ascii_whitespace();
    let mut rule = empty_rule(line);
    (rule.filter, rule.action) = list_and_action(words.next()?)?;
    let mut narrow_architecture = None;
    for word in words.filter(|word| !word.starts_with('(')) {
        match word.split_once('=') {
            Some(("watch", value)) => rule.target = Target::Watch(path(value)),
            Some(("syscall", value)) => system_calls(&mut rule, value),
            _ => field(&mut rule, word, &mut narrow_architecture),
        }
    }
    rule.limits.extend(narrow_architecture);
    Some(rule)
}

fn list_and_action(value: &str) -> Option<(Filter, Action)> {
    let mut found = (None, None);
    for word in value.split(',') {
        match word.trim() {
            "always" | "possible" => found.1 = Some(Action::Always),
            "never" => found.1 = Some(Action::Never),
            "task" => found.0 = Some(Filter::Task),
            "exit" | "entry" => found.0 = Some(Filter::Exit),
            "exclude" => found.0 = Some(Filter::Exclude),
            "user" | "filesystem" | "io_uring" => found.0 = Some(Filter::Other),
            _ => return None,
        }
    }
    Some((found.0?, found.1?))
}

fn system_calls(rule: &mut Rule, value: &str) {
    if value != "all" {
        rule.limits.push(format!("only the system calls {value}"));
    }
}

/// One `-F` field: `NAME OPERATOR VALUE`.
fn field(rule: &mut Rule, text: &str, narrow_architecture: &mut Option<String>) {
    let at = text.find(['=', '!', '<', '>', '&']).unwrap_or(text.len());
    let (name, rest) = text.split_at(at);
    let value = rest.trim_start_matches(['=', '!', '<', '>', '&']).trim();
    let operator = &rest[..rest.len() - rest.trim_start_matches(['=', '!', '<', '>', '&']).len()];
    match (name.trim(), operator) {
        ("path", "=") => rule.target = Target::Path(path(value)),
        ("dir", "=") => rule.target = Target::Directory(path(value)),
        ("perm", "=") => rule.permissions = Permissions::of(value),
        ("key", "=") => {}
        ("arch", "=") if is_narrow(value) => *narrow_architecture = Some(format!("only arch={value}")),
        ("arch", "=") => {}
        ("auid" | "loginuid", ">=") if value.parse::<u32>().is_ok_and(|least| least <= 1000) => {}
        ("auid" | "loginuid", "!=") if matches!(value, "unset" | "-1" | "4294967295") => {}
        ("msgtype", "=") => rule.messages.push(value.to_owned()),
        _ => rule.limits.push(text.to_owned()),
    }
}

/// Whether an architecture is that of the 32-bit calls of a 64-bit kernel, which today's programs do not make.
fn is_narrow(architecture: &str) -> bool {
    matches!(architecture, "b32" | "i386" | "i486" | "i586" | "i686" | "1073741827")
}

/// A path as the kernel keeps it: without slashes at its end, and without the quotes some write.
fn path(value: &str) -> String {
    let value = value.trim().trim_matches('"');
    let trimmed = value.trim_end_matches('/');
    if trimmed.is_empty() { value.get(..1).unwrap_or_default().to_owned() } else { trimmed.to_owned() }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// `auditctl -l` of audit 3.0.9 on Linux 6.18, of rules added in many forms.
    pub(crate) const LISTED: &str = "\
-a never,task
-a always,exit -F arch=b64 -S mount -F uid!=0
-w /usr/bin/dockerd -p rwxa -k docker
-w /var/lib -p wa -k lib
-w /tmp/t/dir -p wa
-w /tmp/t/missing -p wa -k missing
-a always,exit -F arch=b64 -S all -F path=/tmp/t/file -F perm=wa -F key=sys
-w /tmp/t/etc -p x -k one -k two
-a always,exit -F arch=b32 -S all -F path=/usr/bin/env -F perm=x -F key=b32
-a always,exit -F arch=b64 -S unlink,openat -F dir=/tmp/t/dir -F success=1 -F auid>=1000 -F auid!=-1 -F key=sc
-a never,exit -S all -F path=/tmp/t/file
-a always,exit -S all -F path=/usr/bin/runc -F perm=x -F auid>=1000 -F auid!=-1 -F key=priv
-w /etc/passwd -p rwxa
-a always,exit -F arch=b64 -S execve -F exe=/usr/bin/docker -F key=exe
-a always,exit -S all -F path=/tmp/t/file -F perm=wa -F subj_type=foo_t
-a never,exclude -F msgtype=CWD
";

    fn one(line: &str) -> Rule {
        let mut rules = Rules::parse([line]).rules;
        assert_eq!(rules.len(), 1, "{line}");
        rules.remove(0)
    }

    #[test]
    fn every_line_that_auditctl_prints_is_a_rule() {
        let rules = Rules::parse(LISTED.lines());
        assert_eq!(rules.rules.len(), LISTED.lines().count());
        assert_eq!(rules.never_task().map(|rule| rule.text.as_str()), Some("-a never,task"));
        assert_eq!(Rules::parse(["No rules"]), Rules::default());
    }

    #[test]
    fn a_watch_has_its_path_and_permissions() {
        let rule = one("-w /usr/bin/dockerd -p rwxa -k docker");
        assert_eq!(rule.target, Target::Watch("/usr/bin/dockerd".to_owned()));
        assert_eq!(rule.permissions, Permissions::ALL);
        assert_eq!(one("-w /etc/docker/ -p wa").target, Target::Watch("/etc/docker".to_owned()));
        assert_eq!(one("-w /etc/docker").permissions, Permissions::ALL, "no -p means all");
        assert_eq!(one("-w / -p wa").target, Target::Watch("/".to_owned()));
    }

    #[test]
    fn both_orders_of_list_and_action_and_the_old_list_are_read() {
        let new = one("-a always,exit -F arch=b64 -S all -F dir=/etc/docker -F perm=wa -F key=docker");
        let old = one("-a exit,always -F dir=/etc/docker/ -F perm=wa -k docker");
        let oldest = one("LIST_RULES: exit,always dir=/etc/docker (0xb) perm=wa key=docker");
        for rule in [&new, &old, &oldest] {
            assert_eq!(rule.target, Target::Directory("/etc/docker".to_owned()));
            assert_eq!(rule.permissions.to_string(), "wa");
            assert_eq!((rule.action, rule.filter), (Action::Always, Filter::Exit));
            assert!(rule.limits.is_empty(), "{rule:?}");
        }
        let watch = one("LIST_RULES: exit,always watch=/etc/passwd perm=rwxa key=x");
        assert_eq!(watch.target, Target::Watch("/etc/passwd".to_owned()));
    }

    #[test]
    fn what_narrows_a_rule_is_a_limit_and_a_login_is_not() {
        let rules = Rules::parse(LISTED.lines()).rules;
        let limits = |text: &str| rules.iter().find(|rule| rule.text.contains(text)).expect("listed").limits.clone();
        assert!(limits("/usr/bin/runc").is_empty());
        assert_eq!(limits("key=sc"), ["only the system calls unlink,openat", "success=1"]);
        assert_eq!(limits("key=b32"), ["only arch=b32"]);
        assert_eq!(limits("subj_type"), ["subj_type=foo_t"]);
        assert_eq!(one("-a always,exit -F path=/x -F auid>=5000").limits, ["auid>=5000"]);
        assert_eq!(one("-a always,exit -F path!=/x -F perm=wa").target, Target::Anything);
    }

    #[test]
    fn a_path_with_a_space_is_not_taken_for_its_first_word() {
        assert_eq!(one("-w /etc/docker old -p wa").target, Target::Watch("/etc/docker old".to_owned()));
        assert_eq!(
            one("-a always,exit -F dir=/etc/docker old -F perm=wa").target,
            Target::Directory("/etc/docker old".to_owned())
        );
    }

    #[test]
    fn a_file_is_read_in_order_with_its_controls() {
        let file = "## a comment\n-D\n-b 8192\n-f 1\n--backlog_wait_time 60000\n-w /etc/passwd -p wa\n-D\n-w /etc/docker -p wa\n\
-w /etc/group -p wa\n-W /etc/group -p wa\n-q /var/lib/docker,/var\n-A never,task\n-e 1\n-e 2\n";
        let rules = Rules::parse(file.lines());
        let texts: Vec<&str> = rules.rules.iter().map(|rule| rule.text.as_str()).collect();
        assert_eq!(texts, ["-A never,task", "-w /etc/docker -p wa"]);
        assert_eq!((rules.enable, rules.equivalent), (Some(2), BTreeSet::from(["/var/lib/docker".to_owned()])));
    }

    #[test]
    fn never_task_with_a_condition_is_not_the_end_of_auditing() {
        assert!(Rules::parse(["-a task,never"]).never_task().is_some());
        assert!(Rules::parse(["-a never,task -F uid=33"]).never_task().is_none());
        assert!(Rules::parse(["#-a never,task", "# -a never,task"]).never_task().is_none());
    }

    proptest::proptest! {
        #[test]
        fn any_line_is_read_without_panic(line in "\\PC*") {
            let _ = Rules::parse([line.as_str()]);
        }

        #[test]
        fn any_combination_of_options_is_read_without_panic(words in proptest::collection::vec("(-[awAdDWFSCepkq]|[a-z]{1,5}[=!<>&]{0,2}[/a-z0-9é,\"]{0,6}|LIST_RULES:)", 0..12)) {
            let line = words.join(" ");
            let rules = Rules::parse([line.as_str()]);
            for rule in rules.rules {
                proptest::prop_assert_eq!(Permissions::of(&rule.permissions.to_string()), rule.permissions);
            }
        }
    }
}
