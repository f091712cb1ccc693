//! Files into blocks of lines: read once, in the order in which they count.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::keywords::Setting;
use super::line::{Line, Meaning, meaning};
use super::matching::{Condition, tests};
use super::problem::{Complaint, Origin, Problem};
use super::tokens::{Failure, Tokens, expand};
use super::value::Value;
use super::{Here, HostAlias, here::Homes, lexer};

/// How deep files may include each other, as in OpenSSH.
const MOST_DEPTH: usize = 16;

/// The tokens of `Include` that are the same for every host.
const OF_INCLUDE: &str = "diLlu";

/// Lines under one condition.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) condition: Condition,
    /// The block that included the file of this one.
    pub(super) parent: Option<usize>,
    pub(super) origin: Origin,
}

/// Lines that follow each other under the same block.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) block: usize,
    pub(super) lines: Vec<Line>,
}

/// Everything that was read.
#[derive(Debug)]
pub(super) struct Document {
    pub(super) blocks: Vec<Block>,
    pub(super) segments: Vec<Segment>,
    pub(super) aliases: Vec<HostAlias>,
}

/// Which file, and what holds for it.
#[derive(Debug, Clone, Copy)]
struct Place<'a> {
    path: &'a Path,
    of_user: bool,
    /// The block whose line includes it.
    parent: usize,
    depth: usize,
    /// It must not be writable by others: what it says may be run.
    guarded: bool,
}

/// Reads files.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    here: &'a Here,
    /// Where the relative includes of the system's file are.
    system_directory: &'a Path,
    homes: Homes,
    document: Document,
    /// What `IgnoreUnknown` says so far, and whether a line of it holds for every host: then no other does.
    ignored: Vec<String>,
    ignored_for_certain: bool,
    problems: Vec<Problem>,
    /// Files include each other without end.
    stopped: bool,
}

impl<'a> Reader<'a> {
    /// `ignored`: what the command line says of unknown keywords.
    pub(super) fn new(here: &'a Here, system_directory: &'a Path, ignored: Option<&str>) -> Self {
        let origin = Origin { file: Arc::from(""), line: None, of_user: true };
        let blocks = vec![Block { condition: Condition::Always, parent: None, origin }];
        Self {
            here,
            system_directory,
            homes: Homes::default(),
            document: Document { blocks, segments: Vec::new(), aliases: Vec::new() },
            ignored: ignored.map(str::to_owned).into_iter().collect(),
            ignored_for_certain: ignored.is_some(),
            problems: Vec::new(),
            stopped: false,
        }
    }

    /// A file that was named: it must be there.
    pub(super) fn named(&mut self, path: &Path) {
        let place = Place { path, of_user: true, parent: 0, depth: 0, guarded: false };
        if let Err(error) = self.file(place) {
            let complaint = Complaint::new(format!("the file can't be read: {error}"));
            self.problem(&file_origin(path, true), complaint.hint("name another file, or `none` to go without one"));
        }
    }

    /// One of the usual files, which may be missing.
    pub(super) fn usual(&mut self, path: &Path, of_user: bool) {
        let place = Place { path, of_user, parent: 0, depth: 0, guarded: of_user };
        match self.file(place) {
            Err(error) if !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                // OpenSSH goes on without a word.
                self.notice(
                    0,
                    &file_origin(path, of_user),
                    Complaint::new(format!("the file can't be read and says nothing: {error}")),
                );
            }
            _ => {}
        }
    }

    /// What was read, or everything that is wrong with it.
    pub(super) fn finish(self) -> Result<Document, Vec<Problem>> {
        if self.problems.is_empty() { Ok(self.document) } else { Err(self.problems) }
    }

    fn problem(&mut self, origin: &Origin, complaint: Complaint) {
        self.problems.push(origin.problem(complaint));
    }

    /// A warning for the hosts that `block` is for.
    fn notice(&mut self, block: usize, origin: &Origin, complaint: Complaint) {
        let warning = Some(Arc::new(origin.problem(complaint)));
        self.line(block, Line { setting: Setting::Notice, value: Value::Nothing, origin: origin.clone(), warning });
    }

    fn line(&mut self, block: usize, line: Line) {
        match self.document.segments.last_mut() {
            Some(last) if last.block == block => last.lines.push(line),
            _ => self.document.segments.push(Segment { block, lines: vec![line] }),
        }
    }

    fn block(&mut self, condition: Condition, parent: usize, origin: &Origin) -> usize {
        self.document.blocks.push(Block { condition, parent: Some(parent), origin: origin.clone() });
        self.document.blocks.len() - 1
    }

    fn file(&mut self, place: Place<'_>) -> io::Result<()> {
        let origin = file_origin(place.path, place.of_user);
        let bytes = fs::read(place.path)?;
        if place.guarded {
            let status = fs::metadata(place.path)?;
            if (status.uid() != 0 && status.uid() != self.here.uid) || status.mode() & 0o022 != 0 {
                let complaint = Complaint::new("the file belongs to somebody else, or others may write to it");
                self.problem(&origin, complaint.hint(format!("chown it to {} and chmod go-w it", self.here.user)));
                return Ok(());
            }
        }
        let mut block = place.parent;
        for (bytes, number) in bytes.split(|byte| *byte == b'\n').zip(1_u32..) {
            if self.stopped {
                break;
            }
            let origin = Origin { line: Some(number), ..origin.clone() };
            let line = String::from_utf8_lossy(bytes);
            let read = lexer::statement(&line).and_then(|statement| match statement {
                Some(_) if std::str::from_utf8(bytes).is_err() => Err(Complaint::new("the line is not UTF-8")),
                Some(statement) => meaning(&statement, &origin, &self.ignored).map(Some),
                None => Ok(None),
            });
            match read {
                Ok(Some(meaning)) => self.add(place, &mut block, &origin, meaning),
                Ok(None) => {}
                Err(complaint) => self.problem(&origin, complaint),
            }
        }
        Ok(())
    }

    fn add(&mut self, place: Place<'_>, block: &mut usize, origin: &Origin, meaning: Meaning) {
        match meaning {
            Meaning::Line(line) => {
                self.check_agent(&line);
                self.line(*block, line);
            }
            Meaning::Host(patterns) => {
                self.aliases(&patterns, origin);
                *block = self.block(Condition::Host(patterns), place.parent, origin);
            }
            Meaning::Match(words) => {
                let condition = tests(&words).map(Condition::Match).unwrap_or_else(|complaint| {
                    self.problem(origin, complaint);
                    Condition::Never
                });
                *block = self.block(condition, place.parent, origin);
            }
            Meaning::Include(patterns) => {
                for pattern in &patterns {
                    self.include(place, *block, origin, pattern);
                }
            }
            Meaning::IgnoreUnknown(patterns) => {
                let certain = self.is_certain(*block);
                if !certain || !self.ignored_for_certain {
                    self.ignored.push(patterns);
                }
                self.ignored_for_certain |= certain;
            }
            Meaning::Nothing => {}
        }
    }

    /// Whether a block is for every host.
    fn is_certain(&self, block: usize) -> bool {
        let mut next = Some(block);
        while let Some(block) = next.and_then(|block| self.document.blocks.get(block)) {
            if !block.condition.is_certain() {
                return false;
            }
            next = block.parent;
        }
        true
    }

    /// A socket that a missing variable should name stops OpenSSH, whatever the host is.
    fn check_agent(&mut self, line: &Line) {
        if let (Setting::IdentityAgent, Value::Text(text)) = (line.setting, &line.value) {
            let missing = text.split("${").skip(1).filter_map(|rest| rest.split_once('}')).map(|(name, _)| name);
            let missing: Vec<&str> = missing.filter(|name| !self.here.environment.contains_key(*name)).collect();
            if let Some(name) = missing.first() {
                let complaint = Complaint::new(format!("`IdentityAgent`: the environment has no variable `{name}`"));
                self.problem(&line.origin, complaint.hint("set it, or name the socket itself"));
            }
        }
    }

    fn aliases(&mut self, patterns: &[String], origin: &Origin) {
        let negated = |name: &str| patterns.iter().any(|other| other.strip_prefix('!') == Some(name));
        for name in patterns.iter().filter(|pattern| !pattern.contains(['*', '?', '!']) && !negated(pattern)) {
            let line = origin.line.unwrap_or_default();
            self.document.aliases.push(HostAlias { name: name.clone(), file: Arc::clone(&origin.file), line });
        }
    }

    fn include(&mut self, place: Place<'_>, block: usize, origin: &Origin, pattern: &str) {
        let path = match self.included(place, pattern) {
            Ok(path) => path,
            Err(Included::Wrong(complaint)) => return self.problem(origin, complaint),
            Err(Included::PassedOver(complaint)) => return self.notice(block, origin, complaint),
        };
        // As glob(3) without GLOB_PERIOD.
        let options =
            glob::MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: true };
        let found = match glob::glob_with(&path, options) {
            Ok(found) => found,
            Err(error) => {
                return self
                    .problem(origin, Complaint::new(format!("`Include`: `{pattern}` is not a pattern of files: {error}")));
            }
        };
        for entry in found {
            let file = match entry {
                Ok(file) => file,
                Err(error) => {
                    let complaint =
                        Complaint::new(format!("`Include`: `{}` can't be read: {}", error.path().display(), error.error()));
                    self.notice(block, origin, complaint);
                    continue;
                }
            };
            if file.is_dir() {
                let complaint =
                    Complaint::new(format!("`Include`: `{}` is a directory, and nothing in it is read", file.display()));
                self.notice(block, origin, complaint.hint(format!("write `Include {pattern}/*`")));
                continue;
            }
            if place.depth == MOST_DEPTH {
                self.stopped = true;
                let complaint = Complaint::new(format!("`Include`: files include each other more than {MOST_DEPTH} deep"));
                return self.problem(origin, complaint.hint("a file may include itself by a pattern that matches it"));
            }
            let inner = Place { path: &file, of_user: place.of_user, parent: block, depth: place.depth + 1, guarded: true };
            match self.file(inner) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    self.problem(origin, Complaint::new(format!("`Include`: `{}` can't be read: {error}", file.display())));
                }
                _ => {}
            }
            if self.stopped {
                return;
            }
        }
    }

    /// The pattern of an include with everything in it replaced and with its directory in front.
    fn included(&self, place: Place<'_>, pattern: &str) -> Result<String, Included> {
        // What differs per host can't be read once for all.
        if pattern.split("%%").any(|part| ["%C", "%h", "%j", "%k", "%n", "%p", "%r"].iter().any(|token| part.contains(token))) {
            let complaint = Complaint::new(format!("`Include`: `{pattern}` differs from host to host, and is not read"));
            return Err(Included::PassedOver(
                complaint.hint("include all these files; each may begin with the `Host` it is for"),
            ));
        }
        let tokens = Tokens { here: self.here, host: "", original: "", port: 22, user: "", alias: "", jump: "" };
        let expanded = expand(pattern, OF_INCLUDE, &tokens, Some(&self.here.environment)).map_err(|failure| match failure {
            Failure::Wrong(complaint) => Included::Wrong(complaint),
            Failure::NoVariable(name) => Included::PassedOver(
                Complaint::new(format!("`Include`: the environment has no variable `{name}`, and `{pattern}` is not read"))
                    .hint("set it"),
            ),
        })?;
        if expanded.starts_with('~') && !place.of_user {
            let complaint = Complaint::new(format!("`Include`: `{pattern}` is relative to a user's home"));
            return Err(Included::Wrong(complaint.hint("the system's file names its files in full or relative to /etc/ssh")));
        }
        if expanded.starts_with('/') {
            return Ok(expanded);
        }
        if expanded.starts_with('~') {
            let path = self.here.expand_tilde(&expanded, &self.homes);
            return path.ok_or_else(|| Included::Wrong(Complaint::new(format!("`Include`: there is no user for `{pattern}`"))));
        }
        let directory = if place.of_user { self.here.ssh_directory() } else { PathBuf::from(self.system_directory) };
        Ok(format!("{}/{expanded}", glob::Pattern::escape(&directory.display().to_string())))
    }
}

/// Why an include has no file name.
enum Included {
    Wrong(Complaint),
    PassedOver(Complaint),
}

fn file_origin(path: &Path, of_user: bool) -> Origin {
    Origin { file: Arc::from(path.display().to_string()), line: None, of_user }
}
