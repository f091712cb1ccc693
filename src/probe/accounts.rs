//! Accounts: users, groups, and what is known of their passwords without ever seeing one.

use std::collections::{BTreeMap, BTreeSet};

use super::texts::Texts;
use super::{FactSpec, Input, Kind, Output, Probe, Transcript, Wanted, files, needs_nothing};
use crate::command::{Fragment, Program, ReadOnlyCommand, Rights, Step};
use crate::model::{Value, Why};

pub(super) const PROBE: Probe = Probe { name: "accounts", facts: FACTS, needs: needs_nothing, steps, parse, redact };

const NAMES: &str = "getent passwd; getent group";
const LOCAL: &str = "grep /etc/passwd /etc/group";
const SHADOW: &str = "grep /etc/shadow /etc/gshadow";
const LOGIN_DEFS: &str = "grep /etc/login.defs /etc/default/useradd";

const FACTS: &[FactSpec] = &[
    FactSpec {
        name: "group",
        key: Some("group"),
        kind: Kind::Record(&[("exists", Kind::Bool), ("gid", Kind::Maybe(&Kind::Int)), ("members", Kind::List(&Kind::Text))]),
        unit: None,
        source: NAMES,
        rights: Rights::Any,
        summary: "A group with everyone in it, sorted: members by name, users whose primary group it is, and members of other groups with the same number.",
    },
    FactSpec {
        name: "users",
        key: None,
        kind: Kind::List(&Kind::Record(&[
            ("name", Kind::Text),
            ("uid", Kind::Int),
            ("gid", Kind::Int),
            ("home", Kind::Text),
            ("shell", Kind::Text),
            ("login_capable", Kind::Bool),
            ("system", Kind::Bool),
            ("local", Kind::Bool),
        ])),
        unit: None,
        source: NAMES,
        rights: Rights::Any,
        summary: "Every account: login_capable unless its shell refuses (nologin, false and the like; an empty shell is /bin/sh), system below UID_MIN of login.defs(5) and for nobody, local where /etc/passwd has it.",
    },
    FactSpec {
        name: "passwords",
        key: None,
        kind: Kind::List(&Kind::Record(&[
            ("user", Kind::Text),
            ("login_capable", Kind::Bool),
            ("system", Kind::Bool),
            ("state", Kind::Text),
            ("algorithm", Kind::Maybe(&Kind::Text)),
            ("max_days", Kind::Maybe(&Kind::Int)),
            ("inactive_days", Kind::Maybe(&Kind::Int)),
            ("expired", Kind::Bool),
            ("changed_in_future", Kind::Bool),
        ])),
        unit: None,
        source: SHADOW,
        rights: Rights::Root,
        summary: "The password of every local account, never itself: state is empty, locked, set, or none (no entry in shadow(5)); algorithm where it is set; days of ageing; expired where the account's last day is past.",
    },
    FactSpec {
        name: "group_passwords",
        key: None,
        kind: Kind::List(&Kind::Record(&[("group", Kind::Text), ("state", Kind::Text)])),
        unit: None,
        source: SHADOW,
        rights: Rights::Root,
        summary: "The password of every local group: state is empty, locked, or set.",
    },
    FactSpec {
        name: "accounts.unshadowed",
        key: None,
        kind: Kind::List(&Kind::Record(&[("user", Kind::Text), ("state", Kind::Text)])),
        unit: None,
        source: LOCAL,
        rights: Rights::Any,
        summary: "Local accounts whose password field in /etc/passwd is not `x`: state is empty, locked, or set.",
    },
    FactSpec {
        name: "accounts.compat_entries",
        key: None,
        kind: Kind::List(&Kind::Text),
        unit: None,
        source: LOCAL,
        rights: Rights::Any,
        summary: "Lines of /etc/passwd and /etc/group that begin with `+` or `-`, as `FILE: NAME`: NIS could add accounts there.",
    },
    FactSpec {
        name: "accounts.duplicates",
        key: None,
        kind: Kind::List(&Kind::Text),
        unit: None,
        source: LOCAL,
        rights: Rights::Any,
        summary: "Names and numbers that /etc/passwd or /etc/group has twice, as `uid 0: root, toor`, `user alice`, `gid 998: ...`, `group ...`.",
    },
    FactSpec {
        name: "accounts.missing_groups",
        key: None,
        kind: Kind::List(&Kind::Record(&[("user", Kind::Text), ("gid", Kind::Int)])),
        unit: None,
        source: NAMES,
        rights: Rights::Any,
        summary: "Accounts whose primary group does not exist.",
    },
    FactSpec {
        name: "accounts.homes",
        key: None,
        kind: Kind::List(&Kind::Record(&[
            ("user", Kind::Text),
            ("uid", Kind::Int),
            ("path", Kind::Text),
            ("exists", Kind::Bool),
            ("mode", Kind::Text),
            ("owner_uid", Kind::Int),
        ])),
        unit: None,
        source: "stat -L of the homes in /etc/passwd",
        rights: Rights::Any,
        summary: "Home directories of the local accounts that can log in, with mode and owner (0000 and -1 where there is none).",
    },
    FactSpec {
        name: "accounts.recent_logins",
        key: None,
        kind: Kind::List(&Kind::Text),
        unit: None,
        source: "lastlog -t 90; lastlog2 -t 90",
        rights: Rights::Any,
        summary: "Accounts that logged in at a terminal in the last 90 days.",
    },
    FactSpec {
        name: "accounts.default_inactive_days",
        key: None,
        kind: Kind::Maybe(&Kind::Int),
        unit: Some("days"),
        source: LOGIN_DEFS,
        rights: Rights::Any,
        summary: "INACTIVE of useradd(8): how long after its password expired a new account still works; null or negative is for ever.",
    },
    FactSpec {
        name: "login_defs",
        key: Some("setting"),
        kind: Kind::Maybe(&Kind::Text),
        unit: None,
        source: LOGIN_DEFS,
        rights: Rights::Any,
        summary: "A setting of login.defs(5), such as ENCRYPT_METHOD; null where it is not set.",
    },
];

/// Facts that need the names of users and groups.
const NAMED: &[&str] = &[
    "group",
    "users",
    "passwords",
    "group_passwords",
    "accounts.unshadowed",
    "accounts.compat_entries",
    "accounts.duplicates",
    "accounts.missing_groups",
    "accounts.homes",
];

/// Facts that hang on where the numbers of people begin, or on other settings of login.defs(5).
const BY_LOGIN_DEFS: &[&str] = &["users", "passwords", "accounts.homes", "accounts.default_inactive_days", "login_defs"];

fn steps(wanted: &Wanted) -> Vec<Step> {
    let mut steps = Vec::new();
    if wanted.wants_any(NAMED) {
        steps.extend(name_steps());
    }
    let mut ask = |id: &str, command: Option<ReadOnlyCommand>| steps.extend(command.map(|command| Step::new(id, command)));
    let command = |program, arguments: &[&str], rights| ReadOnlyCommand::new(program, arguments, rights).ok();
    let groups = wanted.keys("group");
    if !groups.is_empty() {
        // Directory services answer for a group that is asked for by name, also where they do not list all.
        let arguments: Vec<&str> = std::iter::once("group").chain(groups).collect();
        ask("getent-group-keys", command(Program::Getent, &arguments, Rights::Any));
    }
    if wanted.wants_any(BY_LOGIN_DEFS) {
        ask("login-defs", ReadOnlyCommand::fragment(Fragment::ReadOrComplain, LOGIN_DEFS_FILES, Rights::Any).ok());
    }
    if wanted.wants_any(&["passwords", "group_passwords"]) {
        ask("shadow", command(Program::Grep, &["-H", ".", "/etc/shadow", "/etc/gshadow"], Rights::Root));
        ask("date", command(Program::Date, &["+%s"], Rights::Any));
    }
    if wanted.wants("accounts.homes") {
        ask("homes", ReadOnlyCommand::fragment::<&str>(Fragment::Homes, &[], Rights::Any).ok());
    }
    if wanted.wants("accounts.recent_logins") {
        ask("lastlog", command(Program::Lastlog, &["-t", "90"], Rights::Any));
        ask("lastlog2", command(Program::Lastlog2, &["-t", "90"], Rights::Any));
    }
    steps
}

/// `/usr/etc` is where SUSE ships what `/etc` amends.
const LOGIN_DEFS_FILES: &[&str] = &[
    "/etc/login.defs",
    "/etc/login.defs.d/*.defs",
    "/usr/etc/login.defs",
    "/usr/etc/login.defs.d/*.defs",
    "/etc/default/useradd",
    "/usr/etc/default/useradd",
];

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
    let answers = input.answers;
    for name in input.wanted.keys("group") {
        output.set_keyed("group", name, group(answers, name));
    }
    let wants = |name| input.wanted.wants(name);
    if input.wanted.wants_any(BY_LOGIN_DEFS) {
        let settings = Texts::of(answers, "login-defs").and_then(|texts| login_defs(&texts));
        for key in input.wanted.keys("login_defs") {
            output.set_keyed("login_defs", key, settings.clone().map(|settings| settings.get(key).cloned()));
        }
        let people = settings.map(|settings| first_person(&settings));
        if wants("users") {
            output.set("users", people.clone().and_then(|first| users(answers, first)));
        }
        if wants("passwords") {
            output.set("passwords", people.clone().and_then(|first| passwords(answers, first)));
        }
        if wants("accounts.homes") {
            output.set("accounts.homes", homes(answers));
        }
        output.set("accounts.default_inactive_days", default_inactive_days(answers));
    }
    if wants("group_passwords") {
        output.set("group_passwords", group_passwords(answers));
    }
    if wants("accounts.missing_groups") {
        output.set("accounts.missing_groups", missing_groups(answers));
    }
    if input.wanted.wants_any(&["accounts.unshadowed", "accounts.compat_entries", "accounts.duplicates"]) {
        output.set("accounts.unshadowed", unshadowed(answers));
        output.set("accounts.compat_entries", compat_entries(answers));
        output.set("accounts.duplicates", duplicates(answers));
    }
    if wants("accounts.recent_logins") {
        output.set("accounts.recent_logins", recent_logins(answers));
    }
}

/// Settings of login.defs(5); where a word is set twice, the last counts.
fn login_defs(texts: &Texts) -> Result<BTreeMap<String, String>, Why> {
    let mut files = Vec::new();
    files.extend(match texts.file("/etc/login.defs")? {
        Some(lines) => Some(lines),
        None => texts.file("/usr/etc/login.defs")?,
    });
    for directory in ["/usr/etc/login.defs.d/*.defs", "/etc/login.defs.d/*.defs"] {
        files.extend(texts.matching(directory)?.into_iter().map(|(_, lines)| lines));
    }
    let mut settings = BTreeMap::new();
    for line in files.into_iter().flatten() {
        let line = line.trim();
        if let Some((name, value)) = line.split_once([' ', '\t']).filter(|_| !line.starts_with('#')) {
            settings.insert(name.to_owned(), value.trim().trim_matches('"').to_owned());
        }
    }
    Ok(settings)
}

/// The first number for people (UID_MIN, which most distributions set to 1000).
fn first_person(settings: &BTreeMap<String, String>) -> i64 {
    settings.get("UID_MIN").and_then(|value| value.parse().ok()).unwrap_or(1000)
}

fn default_inactive_days(answers: &Transcript) -> Result<Option<i64>, Why> {
    let texts = Texts::of(answers, "login-defs")?;
    let lines = match texts.file("/etc/default/useradd")? {
        Some(lines) => lines,
        None => texts.file("/usr/etc/default/useradd")?.unwrap_or_default(),
    };
    let value = lines.iter().rev().find_map(|line| line.trim().strip_prefix("INACTIVE="));
    Ok(value.and_then(|value| value.trim().trim_matches('"').parse().ok()))
}

/// Shells that end at once or serve one purpose only. An empty shell is /bin/sh.
fn login_capable(shell: &str) -> bool {
    let name = shell.rsplit('/').next().unwrap_or_default();
    !matches!(name, "nologin" | "false" | "true" | "sync" | "shutdown" | "halt" | "git-shell")
}

/// Accounts of the system: below the numbers for people, and nobody under its two numbers.
fn is_system(uid: i64, first_person: i64) -> bool {
    uid < first_person || matches!(uid, 65534 | 65535)
}

fn local_users(answers: &Transcript) -> Result<Vec<User>, Why> {
    local(answers, "/etc/passwd", user_line)
}

fn users(answers: &Transcript, first_person: i64) -> Result<Value, Why> {
    let local: BTreeSet<String> = local_users(answers)?.into_iter().map(|user| user.name).collect();
    let users = all_users(answers)?.into_iter().map(|user| {
        Value::record([
            ("login_capable", login_capable(&user.shell).into()),
            ("system", is_system(user.uid, first_person).into()),
            ("local", local.contains(&user.name).into()),
            ("name", user.name.into()),
            ("uid", user.uid.into()),
            ("gid", user.gid.into()),
            ("home", user.home.into()),
            ("shell", user.shell.into()),
        ])
    });
    Ok(Value::list(users))
}

/// What a password field, already without its secret, says: the state, and the algorithm where one is set.
fn password_state(class: &str) -> (&'static str, Option<&str>) {
    let hash = class.strip_prefix('$').and_then(|rest| rest.split('$').next());
    match (class, hash) {
        ("", _) => ("empty", None),
        (DES, _) => ("set", Some("des")),
        ("_redacted", _) => ("set", Some("bsdi-des")),
        (_, Some(id)) => {
            let algorithm = match id {
                "1" => "md5",
                "md5" => "sun-md5",
                "2b" | "2y" => "bcrypt",
                "2" | "2a" | "2x" => "bcrypt-old",
                "3" => "nt",
                "5" => "sha256",
                "6" => "sha512",
                "7" => "scrypt",
                "sha1" => "sha1",
                "y" => "yescrypt",
                "gy" => "gost-yescrypt",
                other => other,
            };
            ("set", Some(algorithm))
        }
        // No password has such a hash: `*`, `!`, `!$6$...`, `x` in shadow.
        _ => ("locked", None),
    }
}

fn today(answers: &Transcript) -> Result<i64, Why> {
    let text = answers.text("date")?;
    let seconds: i64 =
        text.trim().parse().map_err(|_| Why::CouldNotBeParsed("`date +%s` printed no number of seconds".to_owned()))?;
    Ok(seconds / 86_400)
}

fn passwords(answers: &Transcript, first_person: i64) -> Result<Value, Why> {
    let texts = Texts::of(answers, "shadow")?;
    let lines = texts.file("/etc/shadow")?.unwrap_or_default();
    let mut shadow: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for line in lines {
        let fields: Vec<&str> = line.split(':').collect();
        shadow.entry(fields.first().copied().unwrap_or_default()).or_insert(fields);
    }
    let today = today(answers)?;
    let users = local_users(answers)?;
    if users.is_empty() {
        return Err(Why::CouldNotBeParsed("/etc/passwd names nobody".to_owned()));
    }
    let passwords = users.iter().map(|user| {
        let entry = shadow.get(user.name.as_str());
        let (state, algorithm) = match entry {
            _ if user.password != "x" => password_state(&user.password),
            None => ("none", None),
            Some(fields) => password_state(fields.get(1).copied().unwrap_or(INVALID)),
        };
        let days = |at: usize| entry.and_then(|fields| fields.get(at)?.trim().parse::<i64>().ok()).filter(|days| *days >= 0);
        Value::record([
            ("user", user.name.as_str().into()),
            ("login_capable", login_capable(&user.shell).into()),
            ("system", is_system(user.uid, first_person).into()),
            ("state", state.into()),
            ("algorithm", algorithm.into()),
            ("max_days", days(4).into()),
            ("inactive_days", days(6).into()),
            ("expired", days(7).is_some_and(|last| last <= today).into()),
            ("changed_in_future", days(2).is_some_and(|changed| changed > today).into()),
        ])
    });
    Ok(Value::list(passwords))
}

fn group_passwords(answers: &Transcript) -> Result<Value, Why> {
    let texts = Texts::of(answers, "shadow")?;
    let shadow = texts.file("/etc/gshadow")?.unwrap_or_default();
    let files = Texts::of(answers, "account-files")?;
    let groups = files.file("/etc/group")?.unwrap_or_default();
    let pair = |line: &str| {
        let mut fields = line.split(':');
        Some((fields.next()?.to_owned(), fields.next()?.to_owned()))
    };
    let mut classes: BTreeMap<String, String> = groups.into_iter().filter_map(pair).filter(|(_, class)| class != "x").collect();
    classes.extend(shadow.into_iter().filter_map(pair));
    let states = classes
        .iter()
        .filter(|(name, _)| !name.starts_with(['+', '-']))
        .map(|(name, class)| Value::record([("group", name.as_str().into()), ("state", password_state(class).0.into())]));
    Ok(Value::list(states))
}

fn missing_groups(answers: &Transcript) -> Result<Value, Why> {
    let known: BTreeSet<i64> = all_groups(answers)?.into_iter().map(|group| group.gid).collect();
    let lost = all_users(answers)?.into_iter().filter(|user| !known.contains(&user.gid));
    Ok(Value::list(lost.map(|user| Value::record([("user", user.name.into()), ("gid", user.gid.into())]))))
}

fn unshadowed(answers: &Transcript) -> Result<Value, Why> {
    let bare = local_users(answers)?.into_iter().filter(|user| user.password != "x");
    Ok(Value::list(
        bare.map(|user| Value::record([("state", password_state(&user.password).0.into()), ("user", user.name.into())])),
    ))
}

fn compat_entries(answers: &Transcript) -> Result<Vec<String>, Why> {
    let texts = Texts::of(answers, "account-files")?;
    let mut entries = Vec::new();
    for file in ["/etc/passwd", "/etc/group"] {
        let lines = texts.file(file)?.unwrap_or_default();
        let compat = lines.iter().filter(|line| line.starts_with(['+', '-']));
        entries.extend(compat.map(|line| format!("{file}: {}", line.split(':').next().unwrap_or_default())));
    }
    Ok(entries)
}

fn duplicates(answers: &Transcript) -> Result<Vec<String>, Why> {
    let users = local_users(answers)?;
    let groups = local(answers, "/etc/group", group_line)?;
    let mut twice = numbers_twice("uid", users.iter().map(|user| (user.uid, user.name.as_str())));
    twice.extend(names_twice("user", users.iter().map(|user| user.name.as_str())));
    twice.extend(numbers_twice("gid", groups.iter().map(|group| (group.gid, group.name.as_str()))));
    twice.extend(names_twice("group", groups.iter().map(|group| group.name.as_str())));
    Ok(twice)
}

fn numbers_twice<'a>(what: &str, entries: impl Iterator<Item = (i64, &'a str)>) -> Vec<String> {
    let mut names: BTreeMap<i64, BTreeSet<&str>> = BTreeMap::new();
    for (number, name) in entries {
        names.entry(number).or_default().insert(name);
    }
    let several = names.into_iter().filter(|(_, names)| names.len() > 1);
    several.map(|(number, names)| format!("{what} {number}: {}", names.into_iter().collect::<Vec<_>>().join(", "))).collect()
}

fn names_twice<'a>(what: &str, names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut times: BTreeMap<&str, usize> = BTreeMap::new();
    for name in names {
        *times.entry(name).or_default() += 1;
    }
    times.into_iter().filter(|(_, times)| *times > 1).map(|(name, _)| format!("{what} {name}")).collect()
}

fn homes(answers: &Transcript) -> Result<Value, Why> {
    let users = local_users(answers)?.into_iter().filter(|user| login_capable(&user.shell));
    let stats = files::Stats::of(answers, "homes")?;
    let homes: Result<Vec<Value>, Why> = users
        .map(|user| {
            // Without a home in passwd(5) a login begins in the root directory.
            let found = if user.home.starts_with('/') { stats.file(&user.home)? } else { None };
            let (mode, owner) = found.as_ref().map_or(("0000", -1), |home| (home.mode.as_str(), home.uid));
            Ok(Value::record([
                ("exists", found.is_some().into()),
                ("mode", mode.into()),
                ("owner_uid", owner.into()),
                ("user", user.name.into()),
                ("uid", user.uid.into()),
                ("path", user.home.into()),
            ]))
        })
        .collect();
    homes.map(Value::List)
}

fn recent_logins(answers: &Transcript) -> Result<Vec<String>, Why> {
    let text = match answers.text("lastlog") {
        Err(Why::ToolMissing(_)) => answers.text("lastlog2")?,
        other => other?,
    };
    let names = text.lines().filter(|line| !line.starts_with("Username ")).filter_map(|line| line.split_whitespace().next());
    Ok(names.map(str::to_owned).collect())
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

    fn named(prefix: &str, lines: &str) -> String {
        lines.lines().map(|line| format!("{prefix}:{line}\n")).collect()
    }

    fn text(facts: &Facts, name: &str) -> Result<Vec<String>, Why> {
        facts.value(name).map(|list| list.as_list().unwrap().iter().map(ToString::to_string).collect())
    }

    const SHADOW: &str = "root:$y$j9T$abcdefgh$0123456789:20780:0:99999:7:::\ndaemon:*:20780:0:99999:7:::\n\
alice::20780:0:90:7:30:20000:\nmallory:!$6$salt$hash:30000:0:99999:7:::\n";

    fn answers() -> Vec<(&'static str, crate::probe::Answer)> {
        let files = named("/etc/passwd", PASSWD) + &named("/etc/group", GROUP);
        let shadow = named("/etc/shadow", SHADOW) + &named("/etc/gshadow", "root:*::\nalice:!::\ndocker:$6$s$h:root:alice\n");
        vec![
            ("getent-passwd", answered(PASSWD)),
            ("getent-group", answered(GROUP)),
            ("account-files", answered(&files)),
            ("shadow", answered(&shadow)),
            ("date", answered("1795474800\n")),
            (
                "login-defs",
                answered_with(
                    "/etc/login.defs:# UID_MIN 7\n/etc/login.defs:UID_MIN\t\t\t 1000\n/etc/login.defs:ENCRYPT_METHOD SHA512\n\
/etc/default/useradd:SHELL=/bin/sh\n/etc/default/useradd:INACTIVE=30\n",
                    "grep: /usr/etc/login.defs: No such file or directory\ngrep: /etc/login.defs.d/*.defs: No such file or directory\n\
grep: /usr/etc/login.defs.d/*.defs: No such file or directory\ngrep: /usr/etc/default/useradd: No such file or directory\n",
                    2,
                ),
            ),
        ]
    }

    #[test]
    fn a_password_is_known_by_its_kind_only() {
        let facts = facts_of(&["passwords", "group_passwords"], &answers());
        assert_eq!(
            text(&facts, "passwords"),
            Ok(vec![
                "algorithm: yescrypt, changed_in_future: false, expired: false, inactive_days: none, login_capable: true, max_days: 99999, state: set, system: true, user: root".to_owned(),
                "algorithm: none, changed_in_future: false, expired: false, inactive_days: none, login_capable: false, max_days: 99999, state: locked, system: true, user: daemon".to_owned(),
                "algorithm: none, changed_in_future: false, expired: true, inactive_days: 30, login_capable: true, max_days: 90, state: empty, system: false, user: alice".to_owned(),
                "algorithm: none, changed_in_future: true, expired: false, inactive_days: none, login_capable: true, max_days: 99999, state: locked, system: false, user: mallory".to_owned(),
            ])
        );
        assert_eq!(
            text(&facts, "group_passwords"),
            Ok(vec![
                "group: alice, state: locked".to_owned(),
                "group: docker, state: set".to_owned(),
                "group: root, state: locked".to_owned()
            ])
        );
    }

    #[test]
    fn no_hash_survives_the_transcript_and_taking_it_out_twice_changes_nothing() {
        let hashes = [
            ("$6$rounds=5000$salt$hash", "$6$redacted", Some("sha512")),
            ("$y$j9T$salt$hash", "$y$redacted", Some("yescrypt")),
            ("$2a$05$hash", "$2a$redacted", Some("bcrypt-old")),
            ("$md5,rounds=5$salt$hash", "$md5$redacted", Some("sun-md5")),
            ("$<script>long$hash", "$unknown$redacted", Some("unknown")),
            ("aB3./x7890123", "des-redacted", Some("des")),
            ("_J9..saltABCDEFGHIJK", "_redacted", Some("bsdi-des")),
            ("hunter2", "invalid", None),
            ("!!$1$salt$hash", "!!$1$redacted", None),
            ("!aB3./x7890123", "!des-redacted", None),
            ("*LK*", "*LK*", None),
            ("!", "!", None),
            ("x", "x", None),
        ];
        for (field, class, algorithm) in hashes {
            assert_eq!(password_class(field), class, "{field}");
            assert_eq!(password_class(class), class, "{class}");
            assert_eq!(password_state(class).1, algorithm, "{class}");
        }
        let line = b"/etc/shadow:alice:$6$salt$hash:1:2:3\n/etc/shadow:$6$salt$hash\n/etc/gshadow:docker:$6$salt$hash::\n";
        let redacted = String::from_utf8(redact("shadow", line).unwrap()).unwrap();
        assert_eq!(redacted, "/etc/shadow:alice:$6$redacted:1:2:3\n/etc/shadow\n/etc/gshadow:docker:$6$redacted::\n");
        let redacted = String::from_utf8(redact("getent-passwd", b"root:aB3./x7890123:0:0::/:/bin/sh").unwrap()).unwrap();
        assert_eq!(redacted, "root:des-redacted:0:0::/:/bin/sh");
    }

    #[test]
    fn accounts_are_told_apart_by_number_and_shell() {
        let facts = facts_of(&["users", "login_defs[\"ENCRYPT_METHOD\"]", "accounts.default_inactive_days"], &answers());
        let users = facts.value("users").unwrap().as_list().unwrap();
        let words: Vec<String> = users
            .iter()
            .map(|user| {
                let field = |name: &str| user.field(name).unwrap().to_string();
                format!(
                    "{} capable={} system={} local={}",
                    field("name"),
                    field("login_capable"),
                    field("system"),
                    field("local")
                )
            })
            .collect();
        assert_eq!(
            words,
            [
                "root capable=true system=true local=true",
                "daemon capable=false system=true local=true",
                "alice capable=true system=false local=true",
                "mallory capable=true system=false local=true",
            ]
        );
        assert_eq!(facts.keyed("login_defs", "ENCRYPT_METHOD"), Ok(&Value::from("SHA512")));
        assert_eq!(facts.value("accounts.default_inactive_days"), Ok(&Value::Int(30)));
        assert!(login_capable("") && login_capable("/bin/bash") && !login_capable("/usr/sbin/nologin"));
    }

    #[test]
    fn what_is_there_twice_or_not_at_all_is_named() {
        let mut answers = answers();
        let passwd = "root:x:0:0::/root:/bin/sh\ntoor::00:0::/root:/bin/sh\nalice:x:5:7::/:/bin/sh\nalice:x:6:0::/:/bin/sh\n+::::::\nbad:x:-1:0::/:/bin/sh\n";
        answers[0].1 = answered(passwd);
        answers[2].1 = answered(&(named("/etc/passwd", passwd) + &named("/etc/group", GROUP)));
        let facts = facts_of(
            &["accounts.duplicates", "accounts.unshadowed", "accounts.compat_entries", "accounts.missing_groups"],
            &answers,
        );
        assert_eq!(
            text(&facts, "accounts.duplicates"),
            Ok(vec!["uid 0: root, toor".to_owned(), "user alice".to_owned(), "gid 998: docker, whalers".to_owned()])
        );
        assert_eq!(text(&facts, "accounts.unshadowed"), Ok(vec!["state: empty, user: toor".to_owned()]));
        assert_eq!(text(&facts, "accounts.compat_entries"), Ok(vec!["/etc/passwd: +".to_owned()]));
        assert_eq!(text(&facts, "accounts.missing_groups"), Ok(vec!["gid: 7, user: alice".to_owned()]));
    }

    #[test]
    fn homes_and_recent_logins() {
        let mut answers = answers();
        answers.push((
            "homes",
            answered_with(
                "700|0|0|root|root|directory|/root\n755|1000|1000|alice|alice|directory|/home/alice\n",
                "stat: cannot statx '/home/mallory': No such file or directory\n",
                0,
            ),
        ));
        answers.push(("lastlog", not_run(State::Missing)));
        answers.push((
            "lastlog2",
            answered("Username         Port     From             Latest\nalice            pts/0    192.0.2.1        Mon Nov 23 22:00:00 +0000 2026\n"),
        ));
        let facts = facts_of(&["accounts.homes", "accounts.recent_logins"], &answers);
        assert_eq!(
            text(&facts, "accounts.homes"),
            Ok(vec![
                "exists: true, mode: 0700, owner_uid: 0, path: /root, uid: 0, user: root".to_owned(),
                "exists: true, mode: 0755, owner_uid: 1000, path: /home/alice, uid: 1000, user: alice".to_owned(),
                "exists: false, mode: 0000, owner_uid: -1, path: /home/mallory, uid: 1001, user: mallory".to_owned(),
            ])
        );
        assert_eq!(text(&facts, "accounts.recent_logins"), Ok(vec!["alice".to_owned()]));
    }

    #[test]
    fn without_root_nothing_is_said_of_passwords() {
        let mut answers = answers();
        answers[3].1 = not_run(State::NeedsRoot);
        let facts = facts_of(&["passwords", "group_passwords"], &answers);
        assert!(matches!(text(&facts, "passwords"), Err(Why::NeedsRoot(_))));
        assert!(matches!(text(&facts, "group_passwords"), Err(Why::NeedsRoot(_))));
    }

    proptest::proptest! {
        #[test]
        fn no_line_makes_a_parser_panic_and_no_class_keeps_more_than_a_kind(line in "\\PC*", field in "[!*$_a-zA-Z0-9./,]{0,40}") {
            let _ = user_line(&line);
            let _ = group_line(&line);
            let _ = redact("shadow", line.as_bytes());
            let class = password_class(&field);
            proptest::prop_assert_eq!(password_class(&class), class.clone());
        }
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
