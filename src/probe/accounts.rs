//! Accounts: users, groups, and what is known of their passwords without ever seeing one.

use std::collections::{BTreeMap, BTreeSet};

use super::texts::Texts;
use super::{FactSpec, Input, Kind, Output, Probe, Transcript, Wanted, needs_nothing};
use crate::command::{Program, ReadOnlyCommand, Rights, Step};
use crate::model::{Value, Why};

pub(super) const PROBE: Probe = Probe { name: "accounts", facts: FACTS, needs: needs_nothing, steps, parse, redact };

const FACTS: &[FactSpec] = &[FactSpec {
    name: "group",
    key: Some("group"),
    kind: Kind::Record(&[("exists", Kind::Bool), ("gid", Kind::Maybe(&Kind::Int)), ("members", Kind::List(&Kind::Text))]),
    unit: None,
    source: "getent passwd; getent group",
    rights: Rights::Any,
    summary: "A group with everyone in it, sorted: members by name, users whose primary group it is, and members of other groups with the same number.",
}];

fn steps(wanted: &Wanted) -> Vec<Step> {
    let mut steps = Vec::new();
    let groups = wanted.keys("group");
    if !groups.is_empty() {
        steps.extend(name_steps());
        // Directory services answer for a group that is asked for by name, also where they do not list all.
        let arguments: Vec<&str> = std::iter::once("group").chain(groups).collect();
        let command = ReadOnlyCommand::new(Program::Getent, &arguments, Rights::Any).ok();
        steps.extend(command.map(|command| Step::new("getent-group-keys", command)));
    }
    steps
}

/// The steps that name users and groups.
pub(super) fn name_steps() -> Vec<Step> {
    let command = |program, arguments: &[&str]| ReadOnlyCommand::new(program, arguments, Rights::Any).ok();
    [
        ("getent-passwd", command(Program::Getent, &["passwd"])),
        ("getent-group", command(Program::Getent, &["group"])),
        ("account-files", command(Program::Grep, &["-H", ".", "/etc/passwd", "/etc/group"])),
    ]
    .into_iter()
    .filter_map(|(id, command)| Some(Step::new(id, command?)))
    .collect()
}

fn parse(input: &Input<'_>, output: &mut Output) {
    for name in input.wanted.keys("group") {
        output.set_keyed("group", name, group(input.answers, name));
    }
}

/// A line of passwd(5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct User {
    pub(super) name: String,
    pub(super) password: String,
    pub(super) uid: i64,
    pub(super) gid: i64,
    pub(super) home: String,
    pub(super) shell: String,
}

/// A line of group(5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Group {
    name: String,
    gid: i64,
    members: Vec<String>,
}

/// `None` for a line that the C library skips as well.
fn user_line(line: &str) -> Option<User> {
    let fields: Vec<&str> = line.split(':').collect();
    let [name, password, uid, gid, _, home, shell] = fields.as_slice() else { return None };
    if name.is_empty() || name.starts_with(['+', '-', '#']) {
        return None;
    }
    Some(User {
        name: (*name).to_owned(),
        password: (*password).to_owned(),
        uid: number(uid)?,
        gid: number(gid)?,
        home: (*home).to_owned(),
        shell: shell.trim_end().to_owned(),
    })
}

fn group_line(line: &str) -> Option<Group> {
    let fields: Vec<&str> = line.split(':').collect();
    let [name, _, gid, members] = fields.as_slice() else { return None };
    if name.is_empty() || name.starts_with(['+', '-', '#']) {
        return None;
    }
    let members = members.split(',').map(str::trim).filter(|member| !member.is_empty()).map(str::to_owned).collect();
    Some(Group { name: (*name).to_owned(), gid: number(gid)?, members })
}

/// A user or group number as the C library reads it: digits, with leading zeros, at most 32 bits.
fn number(text: &str) -> Option<i64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<u32>().ok()).flatten().map(i64::from)
}

/// From `getent DATABASE`; where there is no getent there is no name service either, and the file is all there is.
fn database<T>(answers: &Transcript, step: &str, file: &str, parse: fn(&str) -> Option<T>) -> Result<Vec<T>, Why> {
    let found: Vec<T> = match answers.text(step) {
        Ok(text) => text.lines().filter_map(parse).collect(),
        Err(Why::ToolMissing(_)) => local(answers, file, parse)?,
        Err(why) => return Err(why),
    };
    if found.is_empty() { Err(Why::CouldNotBeParsed(format!("`{step}` names nobody"))) } else { Ok(found) }
}

fn local<T>(answers: &Transcript, file: &str, parse: fn(&str) -> Option<T>) -> Result<Vec<T>, Why> {
    let texts = Texts::of(answers, "account-files")?;
    Ok(texts.file(file)?.unwrap_or_default().into_iter().filter_map(parse).collect())
}

pub(super) fn all_users(answers: &Transcript) -> Result<Vec<User>, Why> {
    database(answers, "getent-passwd", "/etc/passwd", user_line)
}

fn all_groups(answers: &Transcript) -> Result<Vec<Group>, Why> {
    database(answers, "getent-group", "/etc/group", group_line)
}

/// Names for numbers.
pub(super) struct Names {
    users: Result<BTreeMap<i64, String>, Why>,
    groups: Result<BTreeMap<i64, String>, Why>,
}

impl Names {
    pub(super) fn of(answers: &Transcript) -> Self {
        // The first line with a number names it.
        let users = all_users(answers).map(|users| users.into_iter().rev().map(|user| (user.uid, user.name)).collect());
        let groups = all_groups(answers).map(|groups| groups.into_iter().rev().map(|group| (group.gid, group.name)).collect());
        Self { users, groups }
    }

    /// The name of a user, or `UNKNOWN` as `stat` says it.
    pub(super) fn user(&self, uid: i64) -> Result<String, Why> {
        Self::name(&self.users, uid)
    }

    /// The name of a group, or `UNKNOWN` as `stat` says it.
    pub(super) fn group(&self, gid: i64) -> Result<String, Why> {
        Self::name(&self.groups, gid)
    }

    fn name(names: &Result<BTreeMap<i64, String>, Why>, number: i64) -> Result<String, Why> {
        match names {
            Ok(names) => Ok(names.get(&number).cloned().unwrap_or_else(|| "UNKNOWN".to_owned())),
            Err(why) => Err(why.clone()),
        }
    }
}

fn group(answers: &Transcript, name: &str) -> Result<Value, Why> {
    let mut groups = all_groups(answers)?;
    match answers.answer("getent-group-keys") {
        // 2 is "at least one of them was not found", which is an answer.
        Ok(answer) if matches!(answer.exit, 0 | 2) => groups.extend(answer.text().lines().filter_map(group_line)),
        Ok(_) => {
            answers.text("getent-group-keys")?;
        }
        Err(Why::ToolMissing(_)) => {}
        Err(why) => return Err(why),
    }
    let Some(gid) = groups.iter().find(|group| group.name == name).map(|group| group.gid) else {
        return Ok(Value::record([("exists", false.into()), ("gid", Value::Null), ("members", Value::List(Vec::new()))]));
    };
    let mut members: BTreeSet<String> = BTreeSet::new();
    for group in groups.into_iter().filter(|group| group.gid == gid || group.name == name) {
        members.extend(group.members);
    }
    members.extend(all_users(answers)?.into_iter().filter(|user| user.gid == gid).map(|user| user.name));
    Ok(Value::record([("exists", true.into()), ("gid", gid.into()), ("members", Value::list(members))]))
}

/// Takes password hashes out of every answer that can hold one.
fn redact(step: &str, stdout: &[u8]) -> Option<Vec<u8>> {
    let named = match step {
        "shadow" | "account-files" => true,
        "getent-passwd" | "getent-group" | "getent-group-keys" => false,
        _ => return None,
    };
    let mut out = Vec::with_capacity(stdout.len());
    for line in stdout.split_inclusive(|byte| *byte == b'\n') {
        let (text, end) = line.strip_suffix(b"\n").map_or((line, &b""[..]), |text| (text, &b"\n"[..]));
        let mut fields: Vec<&[u8]> = text.split(|byte| *byte == b':').collect();
        let class;
        let at = if named { 2 } else { 1 };
        if let Some(field) = fields.get_mut(at) {
            class = password_class(&String::from_utf8_lossy(field));
            *field = class.as_bytes();
        } else if step == "shadow" {
            // A line without fields might be anything, a hash among them.
            fields.truncate(1);
        }
        out.extend_from_slice(&fields.join(&b':'));
        out.extend_from_slice(end);
    }
    Some(out)
}

const DES: &str = "des-redacted";
const INVALID: &str = "invalid";

/// The second field of passwd(5) and shadow(5) without its secret: empty, locked marks, the kind of hash. Its own classes are left as they are.
fn password_class(field: &str) -> String {
    let hash = field.trim_start_matches(['!', '*']);
    let marks = &field[..field.len() - hash.len()];
    let class = match hash {
        "" | "x" | "LK" | "LK*" | "NP" | "NP*" | DES | INVALID => hash.to_owned(),
        _ if hash.starts_with('$') => {
            let id = hash.split(['$', ',']).nth(1).unwrap_or_default();
            let plain = id.len() <= 8 && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
            format!("${}$redacted", if plain { id } else { "unknown" })
        }
        _ if hash.starts_with('_') => "_redacted".to_owned(),
        _ if hash.len() >= 13 && hash.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"./".contains(&byte)) => DES.to_owned(),
        _ => INVALID.to_owned(),
    };
    format!("{marks}{class}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Facts;
    use crate::probe::State;
    use crate::probe::script::tests::{answered, answered_with, facts_of, not_run};

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\ndaemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin\n\
alice:x:1000:1000:Alice,,,:/home/alice:/bin/bash\nmallory:x:1001:998::/home/mallory:/bin/sh\n";
    const GROUP: &str = "root:x:0:\nalice:x:1000:\ndocker:x:998:alice,bob\nwhalers:x:998:carol\n";

    fn members(facts: &Facts, name: &str) -> Result<String, Why> {
        facts.keyed("group", name).map(ToString::to_string)
    }

    #[test]
    fn members_are_those_of_the_line_of_the_primary_group_and_of_groups_with_the_same_number() {
        let facts = facts_of(
            &["group[\"docker\"]", "group[\"wheel\"]"],
            &[
                ("getent-passwd", answered(PASSWD)),
                ("getent-group", answered(GROUP)),
                ("getent-group-keys", answered_with("docker:x:998:alice,remote\n", "", 2)),
            ],
        );
        assert_eq!(
            members(&facts, "docker"),
            Ok("exists: true, gid: 998, members: [alice, bob, carol, mallory, remote]".to_owned())
        );
        assert_eq!(members(&facts, "wheel"), Ok("exists: false, gid: none, members: []".to_owned()));
    }

    #[test]
    fn without_getent_the_files_are_all_there_is() {
        let files = format!(
            "{}{}",
            PASSWD.lines().map(|line| format!("/etc/passwd:{line}\n")).collect::<String>(),
            GROUP.lines().map(|line| format!("/etc/group:{line}\n")).collect::<String>()
        );
        let facts = facts_of(
            &["group[\"docker\"]"],
            &[
                ("getent-passwd", not_run(State::Missing)),
                ("getent-group", not_run(State::Missing)),
                ("getent-group-keys", not_run(State::Missing)),
                ("account-files", answered(&files)),
            ],
        );
        assert_eq!(members(&facts, "docker"), Ok("exists: true, gid: 998, members: [alice, bob, carol, mallory]".to_owned()));
    }

    #[test]
    fn a_name_service_that_does_not_answer_leaves_the_members_unknown() {
        let facts = facts_of(
            &["group[\"docker\"]"],
            &[
                ("getent-passwd", not_run(State::TimedOut)),
                ("getent-group", answered(GROUP)),
                ("getent-group-keys", answered("docker:x:998:\n")),
            ],
        );
        assert!(matches!(members(&facts, "docker"), Err(Why::TimedOut(_))));
    }
}
