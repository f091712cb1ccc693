//! Modes and owners of files: single paths, and everything that a pattern matches.

use std::collections::{BTreeMap, BTreeSet};

use super::texts::without_program;
use super::{FactSpec, Input, Kind, Output, Probe, Transcript, Wanted, accounts, needs_nothing, no_secrets};
use crate::command::{Fragment, Program, ReadOnlyCommand, Rights, Step};
use crate::model::{Value, Why};

pub(super) const PROBE: Probe = Probe { name: "files", facts: FACTS, needs: needs_nothing, steps, parse, redact: no_secrets };

const FACTS: &[FactSpec] = &[
    FactSpec {
        name: "file",
        key: Some("path"),
        kind: Kind::Record(&[
            ("exists", Kind::Bool),
            ("mode", Kind::Text),
            ("uid", Kind::Int),
            ("gid", Kind::Int),
            ("owner", Kind::Text),
            ("group", Kind::Text),
            ("type", Kind::Text),
        ]),
        unit: None,
        source: "stat -L",
        rights: Rights::Any,
        summary: "What a path leads to: mode in four octal digits, owner, group, and type (file, directory, socket, fifo, block, character). Where it does not exist: mode 0000, ids -1, the rest empty.",
    },
    FactSpec {
        name: "files",
        key: Some("pattern"),
        kind: Kind::List(&Kind::Record(&[
            ("path", Kind::Text),
            ("mode", Kind::Text),
            ("uid", Kind::Int),
            ("gid", Kind::Int),
            ("owner", Kind::Text),
            ("group", Kind::Text),
            ("type", Kind::Text),
        ])),
        unit: None,
        source: "stat -L; ls -lnL",
        rights: Rights::Any,
        summary: "Every file that a pattern matches, such as /etc/ssh/ssh_host_*_key, sorted by path; wildcards in the last part of the path only, no hidden files.",
    },
];

const FORMAT: &str = "%a|%u|%g|%U|%G|%F|%n";

/// Directories that ordinary users often may not search, so that paths inside are asked for with root's rights as well.
const OFTEN_CLOSED: &[&str] = &[
    "/root/",
    "/boot/",
    "/etc/audit/",
    "/etc/docker/",
    "/etc/containerd/",
    "/etc/cron.d/",
    "/etc/security/",
    "/etc/ssl/private/",
    "/etc/pki/tls/private/",
    "/etc/sudoers.d/",
    "/etc/kubernetes/",
    "/run/containerd/",
    "/run/docker/",
    "/var/lib/docker/",
    "/var/lib/containerd/",
    "/var/log/audit/",
    "/var/snap/",
    "/var/spool/",
];

fn often_closed(path: &str) -> bool {
    OFTEN_CLOSED.iter().any(|directory| path.starts_with(directory))
}

/// The closed paths that the built-in checks want. They are asked for all at once, whichever is wanted: a command that is always the same can stand in a
/// rule of sudo. Others are asked for by a command of their own.
const USUAL_PATHS: &[&str] = &[
    "/boot/grub/grub.cfg",
    "/boot/grub2/grub.cfg",
    "/boot/grub2/user.cfg",
    "/etc/containerd/config.toml",
    "/etc/docker/daemon.json",
    "/etc/kubernetes/admin.conf",
    "/etc/kubernetes/kubelet.conf",
    "/root/.aws/credentials",
    "/root/.docker/config.json",
    "/root/.git-credentials",
    "/root/.kube/config",
    "/root/.netrc",
    "/root/.rhosts",
    "/root/.shosts",
    "/root/.ssh",
    "/root/.ssh/authorized_keys",
    "/run/containerd/containerd.sock",
    "/run/docker/containerd/containerd.sock",
];

/// The directories that the built-in checks want, for the same reason.
const USUAL_DIRECTORIES: &[&str] = &[
    "/etc/audit",
    "/etc/audit/rules.d",
    "/etc/cron.d",
    "/etc/cron.daily",
    "/etc/cron.hourly",
    "/etc/cron.monthly",
    "/etc/cron.weekly",
    "/etc/docker",
    "/etc/docker/certs.d",
    "/etc/ld.so.conf.d",
    "/etc/pam.d",
    "/etc/pki/tls/private",
    "/etc/profile.d",
    "/etc/security",
    "/etc/ssh",
    "/etc/ssh/sshd_config.d",
    "/etc/ssl/private",
    "/etc/sudoers.d",
    "/etc/sysctl.d",
    "/etc/systemd/system/docker.service.d",
    "/etc/systemd/system/docker.socket.d",
    "/usr/lib/systemd/system/docker.service.d",
    "/var/lib/systemd/linger",
];

/// What root is asked for: all the usual ones where any is wanted, and the wanted ones that are not usual.
fn for_root<'a>(wanted: impl Iterator<Item = &'a str>, usual: &[&'static str]) -> (Vec<&'static str>, Vec<&'a str>) {
    let (known, others): (Vec<&str>, Vec<&str>) = wanted.partition(|path| usual.contains(path));
    (if known.is_empty() { Vec::new() } else { usual.to_vec() }, others)
}

fn steps(wanted: &Wanted) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut ask = |id: &str, command: Option<ReadOnlyCommand>| steps.extend(command.map(|command| Step::new(id, command)));
    let paths = wanted.keys("file");
    let stat = |paths: &[&str], rights| {
        let arguments: Vec<&str> = ["-L", "-c", FORMAT].into_iter().chain(paths.iter().copied()).collect();
        if paths.is_empty() { None } else { ReadOnlyCommand::new(Program::Stat, &arguments, rights).ok() }
    };
    ask("file-stat", stat(&paths, Rights::Any));
    let (usual, others) = for_root(paths.into_iter().filter(|path| often_closed(path)), USUAL_PATHS);
    ask("file-stat-root", stat(&usual, Rights::Root));
    ask("file-stat-root-others", stat(&others, Rights::Root));

    let patterns: Vec<&str> = wanted.keys("files").into_iter().filter(|pattern| split_pattern(pattern).is_some()).collect();
    if !patterns.is_empty() {
        let arguments: Vec<&str> = std::iter::once(FORMAT).chain(patterns.iter().copied()).collect();
        ask("files", ReadOnlyCommand::fragment(Fragment::StatMatching, &arguments, Rights::Any).ok());
        let (usual, others) = for_root(directories(wanted).into_iter(), USUAL_DIRECTORIES);
        for (id, directories) in [("files-root", usual), ("files-root-others", others)] {
            let arguments: Vec<&str> = std::iter::once("-lnL").chain(directories.iter().copied()).collect();
            if !directories.is_empty() {
                ask(id, ReadOnlyCommand::new(Program::Ls, &arguments, Rights::Root).ok());
            }
        }
        steps.extend(accounts::name_steps());
    }
    steps
}

fn parse(input: &Input<'_>, output: &mut Output) {
    let paths = input.wanted.keys("file");
    if !paths.is_empty() {
        let stats = ["file-stat", "file-stat-root", "file-stat-root-others"].map(|step| Stats::of(input.answers, step));
        for path in paths {
            output.set_keyed("file", path, file(&stats, path));
        }
    }
    let patterns = input.wanted.keys("files");
    if !patterns.is_empty() {
        let stats = Stats::of(input.answers, "files");
        for pattern in patterns {
            output.set_keyed("files", pattern, matching(input, &stats, pattern));
        }
    }
}

/// What `stat` and `ls` say of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Metadata {
    pub(super) mode: String,
    pub(super) uid: i64,
    gid: i64,
    owner: String,
    group: String,
    kind: String,
}

impl Metadata {
    fn record(self, first: (&str, Value)) -> Value {
        Value::record([
            first,
            ("mode", self.mode.into()),
            ("uid", self.uid.into()),
            ("gid", self.gid.into()),
            ("owner", self.owner.into()),
            ("group", self.group.into()),
            ("type", self.kind.into()),
        ])
    }
}

/// A line in [`FORMAT`]: the path, which may hold any character, comes last.
fn stat_line(line: &str) -> Option<(&str, Metadata)> {
    let fields: Vec<&str> = line.splitn(7, '|').collect();
    let [mode, uid, gid, owner, group, kind, path] = fields.as_slice() else { return None };
    let mode = u32::from_str_radix(mode, 8).ok().filter(|mode| *mode <= 0o7777)?;
    let kind = match *kind {
        "regular file" | "regular empty file" => "file",
        "symbolic link" => "link",
        "character special file" => "character",
        "block special file" => "block",
        other => other,
    };
    let metadata = Metadata {
        mode: format!("{mode:04o}"),
        uid: uid.parse().ok()?,
        gid: gid.parse().ok()?,
        owner: (*owner).to_owned(),
        group: (*group).to_owned(),
        kind: kind.to_owned(),
    };
    Some((*path, metadata))
}

fn file(files: &[Result<Stats, Why>], path: &str) -> Result<Value, Why> {
    let of = |stats: Option<&Result<Stats, Why>>| match stats {
        Some(Ok(stats)) => stats.file(path),
        Some(Err(why)) => Err(why.clone()),
        None => Err(Why::NotAnswered("no step asked for it".to_owned())),
    };
    let found = match of(files.first()) {
        Err(Why::NeedsRoot(_)) if often_closed(path) => of(files.get(if USUAL_PATHS.contains(&path) { 1 } else { 2 }))?,
        other => other?,
    };
    let exists = found.is_some();
    let nothing = || Metadata {
        mode: "0000".to_owned(),
        uid: -1,
        gid: -1,
        owner: String::new(),
        group: String::new(),
        kind: String::new(),
    };
    Ok(found.unwrap_or_else(nothing).record(("exists", exists.into())))
}

/// The answer of a step that asked `stat` for many paths: each is in a line on standard output or in a complaint on standard error.
pub(super) struct Stats {
    found: BTreeMap<String, Metadata>,
    complaints: Complaints,
}

impl Stats {
    pub(super) fn of(answers: &Transcript, step: &str) -> Result<Self, Why> {
        let answer = answers.answer(step)?;
        let text = answer.text();
        let found = text.lines().filter_map(stat_line).map(|(path, metadata)| (path.to_owned(), metadata)).collect();
        Ok(Self { found, complaints: Complaints::of(&answer.error_text()) })
    }

    /// `None` where there is no such file.
    pub(super) fn file(&self, path: &str) -> Result<Option<Metadata>, Why> {
        if let Some(metadata) = self.found.get(path) {
            return Ok(Some(metadata.clone()));
        }
        match self.complaints.about(path) {
            Some(reason) if is_absence(reason) => Ok(None),
            Some("Permission denied") => {
                Err(Why::NeedsRoot(format!("`{path}` lies in a directory that the login may not search")))
            }
            Some(reason) => Err(Why::ProbeFailed(format!("`{path}`: {reason}"))),
            None => Err(Why::CouldNotBeParsed(format!("`stat` says nothing of `{path}`"))),
        }
    }
}

/// What programs say of files on standard error: `stat: cannot statx 'PATH': REASON`, `ls: PATH: REASON`, `PATH: REASON`.
struct Complaints {
    reasons: BTreeMap<String, String>,
}

impl Complaints {
    fn of(text: &str) -> Self {
        let complaint = |line: &str| {
            let line = line.trim();
            let (before, reason) = without_program(line, &["stat", "ls"]).unwrap_or(line).rsplit_once(": ")?;
            // GNU tools quote a path, busybox only sometimes does.
            let path = &before[before.find('/')?..];
            let quoted = before.contains("'/");
            let path = if quoted { path.strip_suffix('\'').unwrap_or(path) } else { path };
            Some((path.to_owned(), reason.to_owned()))
        };
        Self { reasons: text.lines().filter_map(complaint).collect() }
    }

    fn about(&self, path: &str) -> Option<&str> {
        self.reasons.get(path).map(String::as_str)
    }
}

fn is_absence(reason: &str) -> bool {
    matches!(reason, "No such file or directory" | "Not a directory")
}

/// The directory and the pattern within it; `None` where the directory is a pattern itself.
fn split_pattern(pattern: &str) -> Option<(&str, &str)> {
    let (directory, last) = pattern.rsplit_once('/')?;
    let fixed = !directory.is_empty() && !directory.contains(['*', '?', '[']);
    (fixed && !last.is_empty()).then_some((directory, last))
}

/// The directories of all wanted patterns, each once.
fn directories(wanted: &Wanted) -> BTreeSet<&str> {
    wanted.keys("files").into_iter().filter_map(split_pattern).map(|(directory, _)| directory).collect()
}

fn matching(input: &Input<'_>, stats: &Result<Stats, Why>, pattern: &str) -> Result<Value, Why> {
    let (directory, last) = split_pattern(pattern)
        .ok_or_else(|| Why::CouldNotBeParsed("a pattern may have wildcards in the last part of its path only".to_owned()))?;
    let mut files = match stats.as_ref().map_err(Why::clone).and_then(|stats| expanded(stats, directory, last)) {
        Err(Why::NeedsRoot(_)) => listed(input, directory, last)?,
        other => other?,
    };
    files.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(Value::list(files.into_iter().map(|(path, metadata)| metadata.record(("path", path.into())))))
}

/// From the patterns that the shell expanded with the rights of the login.
fn expanded(stats: &Stats, directory: &str, last: &str) -> Result<Vec<(String, Metadata)>, Why> {
    let inside = |path: &str| path.rsplit_once('/').is_some_and(|(parent, _)| parent == directory);
    for (path, reason) in stats.complaints.reasons.iter().filter(|(path, _)| inside(path)) {
        match reason.as_str() {
            "Permission denied" => return Err(Why::NeedsRoot(format!("the login may not list `{directory}`"))),
            reason if is_absence(reason) => {}
            reason => return Err(Why::ProbeFailed(format!("`{path}`: {reason}"))),
        }
    }
    let matches =
        |path: &str| path.rsplit_once('/').is_some_and(|(parent, name)| parent == directory && glob_matches(last, name));
    let found = stats.found.iter().filter(|(path, _)| matches(path));
    Ok(found.map(|(path, metadata)| (path.clone(), metadata.clone())).collect())
}

/// From `ls -lnL DIRECTORY...` as root.
fn listed(input: &Input<'_>, directory: &str, last: &str) -> Result<Vec<(String, Metadata)>, Why> {
    let (usual, others) = for_root(directories(input.wanted).into_iter(), USUAL_DIRECTORIES);
    let (step, asked) = if usual.contains(&directory) { ("files-root", usual) } else { ("files-root-others", others) };
    let answer = input.answers.answer(step)?;
    let complaints = Complaints::of(&answer.error_text());
    match complaints.about(directory) {
        None => {}
        Some(reason) if is_absence(reason) => return Ok(Vec::new()),
        Some(reason) => return Err(Why::ProbeFailed(format!("`{directory}`: {reason}"))),
    }
    let text = answer.text();
    let heading = format!("{directory}:");
    // With one directory there is no heading before its files; busybox counts only those that exist.
    let there = |directory: &&&str| complaints.about(directory).is_none();
    let mut open = asked.iter().filter(there).count() == 1;
    let mut seen = open;
    let names = accounts::Names::of(input.answers);
    let mut files = Vec::new();
    for line in text.lines() {
        if line.starts_with('/') && line.ends_with(':') {
            open = line == heading;
            seen |= open;
            continue;
        }
        if !open || line.is_empty() || line.starts_with("total ") {
            continue;
        }
        let Some(entry) = list_line(line) else {
            // A link that leads nowhere is listed with question marks.
            if line.contains("?????????") {
                continue;
            }
            return Err(Why::CouldNotBeParsed(format!("a line of `ls` on `{directory}` makes no sense")));
        };
        if !entry.name.starts_with('.') && glob_matches(last, entry.name) {
            let metadata = Metadata {
                mode: entry.mode,
                uid: entry.uid,
                gid: entry.gid,
                owner: names.user(entry.uid)?,
                group: names.group(entry.gid)?,
                kind: entry.kind.to_owned(),
            };
            files.push((format!("{directory}/{}", entry.name), metadata));
        }
    }
    if seen { Ok(files) } else { Err(Why::CouldNotBeParsed(format!("`ls` says nothing of `{directory}`"))) }
}

/// A line of `ls -ln`.
#[derive(Debug, PartialEq, Eq)]
struct Entry<'a> {
    kind: &'static str,
    mode: String,
    uid: i64,
    gid: i64,
    name: &'a str,
}

/// `-rw-r--r--+ 1 0 0 17 Jan  1  2025 name`: GNU and busybox alike; for devices the size is `major, minor`.
fn list_line(line: &str) -> Option<Entry<'_>> {
    let mut rest = line;
    let mut word = || {
        let trimmed = rest.trim_start_matches(' ');
        let (word, after) = trimmed.split_once(' ')?;
        rest = after;
        Some(word)
    };
    let permissions = word()?;
    let (kind, mode) = mode_of(permissions)?;
    word()?.parse::<u64>().ok()?;
    let uid = word()?.parse().ok()?;
    let gid = word()?.parse().ok()?;
    if word()?.ends_with(',') {
        word()?;
    }
    // Where a locale writes dates in other words than `Jan  1 12:00` and `Jan  1  2025`, the name would not begin where it should.
    let (month, day, time) = (word()?, word()?, word()?);
    let dated = month.len() == 3 && month.bytes().all(|byte| byte.is_ascii_alphabetic());
    if !dated || day.parse::<u8>().is_err() || !time.bytes().all(|byte| byte.is_ascii_digit() || byte == b':') {
        return None;
    }
    (!rest.is_empty()).then_some(Entry { kind, mode, uid, gid, name: rest })
}

/// `-rwsr-x--T` with an optional `+`, `.` or `@` behind it, as type and octal mode.
fn mode_of(permissions: &str) -> Option<(&'static str, String)> {
    let letters: Vec<char> = permissions.chars().collect();
    let kind = match letters.first()? {
        '-' => "file",
        'd' => "directory",
        'l' => "link",
        's' => "socket",
        'p' => "fifo",
        'b' => "block",
        'c' => "character",
        _ => return None,
    };
    let bits = letters.get(1..10)?;
    if letters.len() > 11 {
        return None;
    }
    let mut mode = 0u32;
    for (class, triple) in bits.chunks(3).enumerate() {
        let shift = 6 - 3 * u32::try_from(class).ok()?;
        let [read, write, execute] = triple else { return None };
        let (special, executable) = match (*execute, class) {
            ('-', _) => (false, false),
            ('x', _) => (false, true),
            ('s', 0 | 1) | ('t', 2) => (true, true),
            ('S', 0 | 1) | ('T', 2) => (true, false),
            _ => return None,
        };
        let bit = |on: char, letter: char| match letter {
            '-' => Some(0),
            letter if letter == on => Some(1),
            _ => None,
        };
        mode |= (bit('r', *read)? * 4 + bit('w', *write)? * 2 + u32::from(executable)) << shift;
        mode |= u32::from(special) << (9 + shift / 3);
    }
    Some((kind, format!("{mode:04o}")))
}

/// Whether a name matches a shell pattern (`*`, `?`, `[abc]`, `[!a-c]`); linear in the name for each `*`.
pub(super) fn glob_matches(pattern: &str, name: &str) -> bool {
    if name.starts_with('.') && !pattern.starts_with('.') {
        return false;
    }
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        if pattern.get(p) == Some(&'*') {
            star = Some((p, n));
            p += 1;
        } else if let Some(width) = one_matches(&pattern[p..], name[n]) {
            p += width;
            n += 1;
        } else if let Some((at, from)) = star {
            star = Some((at, from + 1));
            p = at + 1;
            n = from + 1;
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|letter| *letter == '*')
}

/// How many characters of the pattern match this letter; `None` where they do not.
fn one_matches(pattern: &[char], letter: char) -> Option<usize> {
    match pattern.first()? {
        '?' => Some(1),
        '[' => {
            // A closing bracket that comes first is a letter of the set.
            let negated = matches!(pattern.get(1), Some('!' | '^'));
            let first = if negated { 2 } else { 1 };
            let Some(end) = (first + 1..pattern.len()).find(|at| pattern[*at] == ']') else {
                return (letter == '[').then_some(1);
            };
            let set = &pattern[first..end];
            let mut found = false;
            let mut at = 0;
            while at < set.len() {
                if set.get(at + 1) == Some(&'-') && at + 2 < set.len() {
                    found |= (set[at]..=set[at + 2]).contains(&letter);
                    at += 3;
                } else {
                    found |= set[at] == letter;
                    at += 1;
                }
            }
            (found != negated).then_some(end + 1)
        }
        plain => (*plain == letter).then_some(1),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::{FactRef, Facts};
    use crate::probe::script::tests::{answered, answered_with, facts_of, not_run};
    use crate::probe::{Answer, State};

    fn mode(facts: &Facts, path: &str) -> Result<String, Why> {
        facts.keyed("file", path).map(|file| format!("{} {}", file.field("type").unwrap(), file.field("mode").unwrap()))
    }

    const STAT: &str = "640|0|42|root|shadow|regular file|/etc/shadow\n\
1777|0|0|root|root|directory|/tmp\n\
0|0|0|root|root|regular empty file|/etc/gshadow\n\
660|0|110|root|docker|socket|/run/docker.sock\n";

    #[test]
    fn stat_of_gnu_and_busybox_tell_what_is_missing_and_what_is_hidden() {
        for complaints in [
            "stat: cannot statx '/etc/nope': No such file or directory\nstat: cannot statx '/root/x': Permission denied\n",
            "/usr/bin/stat: cannot stat '/etc/nope': No such file or directory\n/usr/bin/stat: cannot stat '/root/x': Permission denied\n",
            "stat: can't stat '/etc/nope': No such file or directory\nstat: can't stat '/root/x': Permission denied\n",
        ] {
            let names = [
                "file[\"/etc/shadow\"]",
                "file[\"/tmp\"]",
                "file[\"/etc/gshadow\"]",
                "file[\"/run/docker.sock\"]",
                "file[\"/etc/nope\"]",
                "file[\"/root/x\"]",
                "file[\"/etc/passwd\"]",
            ];
            let facts = facts_of(&names, &[("file-stat", answered_with(STAT, complaints, 1))]);
            assert_eq!(mode(&facts, "/etc/shadow"), Ok("file 0640".to_owned()));
            assert_eq!(mode(&facts, "/tmp"), Ok("directory 1777".to_owned()));
            assert_eq!(mode(&facts, "/etc/gshadow"), Ok("file 0000".to_owned()));
            assert_eq!(mode(&facts, "/run/docker.sock"), Ok("socket 0660".to_owned()));
            let missing = facts.keyed("file", "/etc/nope").expect("known to be missing");
            assert_eq!(missing.field("exists"), Some(&Value::Bool(false)));
            assert!(matches!(mode(&facts, "/root/x"), Err(Why::NotAnswered(_))), "the step for root was not answered");
            assert!(matches!(mode(&facts, "/etc/passwd"), Err(Why::CouldNotBeParsed(_))));
        }
    }

    #[test]
    fn a_path_in_a_closed_directory_is_asked_for_again_with_the_rights_of_root() {
        let login = answered_with("", "stat: cannot statx '/etc/docker/daemon.json': Permission denied\n", 1);
        let names = ["file[\"/etc/docker/daemon.json\"]"];
        let root = answered("640|0|0|root|root|regular file|/etc/docker/daemon.json\n");
        let facts = facts_of(&names, &[("file-stat", login.clone()), ("file-stat-root", root)]);
        assert_eq!(mode(&facts, "/etc/docker/daemon.json"), Ok("file 0640".to_owned()));
        let facts = facts_of(&names, &[("file-stat", login), ("file-stat-root", not_run(State::NeedsRoot))]);
        assert!(matches!(mode(&facts, "/etc/docker/daemon.json"), Err(Why::NeedsRoot(_))));
    }

    #[test]
    fn root_is_asked_the_same_of_the_usual_paths_whichever_is_wanted() {
        let of = |names: &[&str]| {
            let wanted: Vec<FactRef> = names.iter().map(|path| FactRef::keyed("file", *path)).collect();
            let plan = crate::probe::plan(&wanted).expect("known facts");
            let rooted = plan.steps().iter().filter(|step| step.command.rights() == Rights::Root);
            rooted.map(|step| step.command.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(of(&["/etc/passwd"]), Vec::<String>::new());
        let one = of(&["/root/.ssh"]);
        assert_eq!(one.len(), 1);
        assert_eq!(one, of(&["/root/.ssh", "/etc/docker/daemon.json", "/etc/passwd"]));
        let two = of(&["/root/.ssh", "/root/ours"]);
        assert_eq!(two, [one[0].as_str(), "stat -L -c '%a|%u|%g|%U|%G|%F|%n' /root/ours"]);
    }

    fn paths(facts: &Facts, pattern: &str) -> Result<Vec<String>, Why> {
        let files = facts.keyed("files", pattern)?.as_list().unwrap();
        Ok(files
            .iter()
            .map(|file| {
                let word = |name: &str| file.field(name).unwrap().to_string();
                format!("{} {} {}:{}", word("path"), word("mode"), word("owner"), word("group"))
            })
            .collect())
    }

    #[test]
    fn each_pattern_gets_the_files_that_match_it() {
        let stdout = "600|0|0|root|root|regular file|/etc/ssh/ssh_host_rsa_key\n\
640|0|101|root|ssh_keys|regular file|/etc/ssh/ssh_host_ed25519_key\n\
644|0|0|root|root|regular file|/etc/cron.d/a|b\n";
        let facts = facts_of(
            &["files[\"/etc/ssh/ssh_host_*_key\"]", "files[\"/etc/cron.d/*\"]", "files[\"/etc/nope/*\"]"],
            &[("files", answered_with(stdout, "stat: cannot statx '/etc/nope/*': No such file or directory\n", 0))],
        );
        assert_eq!(
            paths(&facts, "/etc/ssh/ssh_host_*_key"),
            Ok(vec![
                "/etc/ssh/ssh_host_ed25519_key 0640 root:ssh_keys".to_owned(),
                "/etc/ssh/ssh_host_rsa_key 0600 root:root".to_owned()
            ])
        );
        assert_eq!(paths(&facts, "/etc/cron.d/*"), Ok(vec!["/etc/cron.d/a|b 0644 root:root".to_owned()]));
        assert_eq!(paths(&facts, "/etc/nope/*"), Ok(vec![]));
    }

    fn names_of_accounts() -> [(&'static str, Answer); 2] {
        [
            ("getent-passwd", answered("root:x:0:0:root:/root:/bin/bash\n")),
            ("getent-group", answered("root:x:0:\nshadow:x:42:\n")),
        ]
    }

    #[test]
    fn a_directory_that_the_login_may_not_list_is_listed_by_root() {
        let hidden = "stat: cannot statx '/etc/sudoers.d/*': Permission denied\n/etc/sudoers.d/*: Permission denied\n";
        let gnu = answered_with(
            "/etc/cron.d:\ntotal 4\n-rw-r--r-- 1 0 0 201 Mar  5  2023 e2scrub_all\n\n/etc/sudoers.d:\ntotal 8\n\
-r--r----- 1 0 0 1096 Apr 11  2026 README\n-rw-r--rw-+ 1 7 42 1 Nov 23 22:45 a b\nl????????? ? ? ? ?            ? dang\n",
            "/usr/bin/ls: cannot access '/etc/sudoers.d/dang': No such file or directory\n",
            1,
        );
        let busybox = answered(
            "/etc/cron.d:\ntotal 4\n-rw-r--r--    1 0        0              201 Mar  5  2023 e2scrub_all\n\n/etc/sudoers.d:\ntotal 8\n\
-r--r-----    1 0        0             1096 Apr 11  2026 README\n-rw-r--rw-    1 7        42               1 Nov 23 22:45 a b\n",
        );
        for listing in [gnu, busybox] {
            let mut answers = vec![
                ("files", answered_with("644|0|0|root|root|regular file|/etc/cron.d/x\n", hidden, 0)),
                ("files-root", listing),
            ];
            answers.extend(names_of_accounts());
            let facts = facts_of(&["files[\"/etc/sudoers.d/*\"]", "files[\"/etc/cron.d/*\"]"], &answers);
            assert_eq!(
                paths(&facts, "/etc/sudoers.d/*"),
                Ok(vec!["/etc/sudoers.d/README 0440 root:root".to_owned(), "/etc/sudoers.d/a b 0646 UNKNOWN:shadow".to_owned()])
            );
            assert_eq!(paths(&facts, "/etc/cron.d/*"), Ok(vec!["/etc/cron.d/x 0644 root:root".to_owned()]));
        }
    }

    #[test]
    fn a_closed_directory_without_root_is_not_an_empty_one() {
        let hidden = answered_with("", "/etc/audit/*.conf: Permission denied\n", 0);
        let facts = facts_of(&["files[\"/etc/audit/*.conf\"]"], &[("files", hidden), ("files-root", not_run(State::NeedsRoot))]);
        assert!(matches!(paths(&facts, "/etc/audit/*.conf"), Err(Why::NeedsRoot(_))));
    }

    #[test]
    fn one_directory_is_listed_without_a_heading_and_a_strange_date_is_not_guessed_at() {
        let hidden = answered_with("", "/srv/closed/*: Permission denied\n", 0);
        for (listing, expected) in [
            ("total 4\n-rw-r----- 1 0 0 892 Nov 23 22:45 auditd.conf\n", Some("/srv/closed/auditd.conf 0640 root:root")),
            ("total 4\n-rw-r----- 1 0 0 892 2026-11-23 22:45 auditd.conf\n", None),
        ] {
            let mut answers = vec![("files", hidden.clone()), ("files-root-others", answered(listing))];
            answers.extend(names_of_accounts());
            let facts = facts_of(&["files[\"/srv/closed/*\"]"], &answers);
            assert_eq!(paths(&facts, "/srv/closed/*").ok(), expected.map(|line| vec![line.to_owned()]));
        }
    }

    #[test]
    fn letters_of_ls_become_octal_digits() {
        for (letters, expected) in [
            ("-rw-r--r--", "0644"),
            ("-rwsr-xr-x.", "4755"),
            ("drwxrwxrwt", "1777"),
            ("-rwSr-Sr-T+", "7644"),
            ("----------", "0000"),
            ("srw-rw----@", "0660"),
        ] {
            assert_eq!(mode_of(letters).map(|(_, mode)| mode).as_deref(), Some(expected), "{letters}");
        }
        for letters in ["", "-rw-r--r-", "?rw-r--r--", "-wr-r--r--", "-rwtr--r--", "-rw-r--r--++"] {
            assert_eq!(mode_of(letters), None, "{letters}");
        }
        assert_eq!(
            list_line("crw-rw-rw-    1 0        0           1,   3 Nov 20 13:44 null").map(|entry| entry.name),
            Some("null")
        );
    }

    #[test]
    fn patterns_match_as_in_the_shell() {
        for (pattern, name, expected) in [
            ("*", "a", true),
            ("*", ".a", false),
            (".*", ".a", true),
            ("ssh_host_*_key", "ssh_host_rsa_key", true),
            ("ssh_host_*_key", "ssh_host_rsa_key.pub", false),
            ("*.conf", "a.conf", true),
            ("a?c", "abc", true),
            ("[!a-c]*", "dog", true),
            ("[!a-c]*", "cat", false),
            ("[]x]", "]", true),
            ("[", "[", true),
            ("a*b*c", "aXbYc", true),
            ("a*b*c", "aXbY", false),
        ] {
            assert_eq!(glob_matches(pattern, name), expected, "{pattern} {name}");
        }
    }

    proptest! {
        #[test]
        fn no_line_makes_a_parser_panic(line in "\\PC*", pattern in "[]*?!\\[a-c.-]{0,12}", name in "\\PC{0,12}") {
            let _ = stat_line(&line);
            let _ = list_line(&line);
            let _ = mode_of(&line);
            let _ = glob_matches(&pattern, &name);
            let _ = split_pattern(&line);
        }
    }
}
