//! Who may run what as whom through sudo.

use std::collections::BTreeMap;

use super::texts::Texts;
use super::{FactSpec, Input, Kind, Output, Probe, Wanted, needs_nothing, no_secrets};
use crate::command::{Program, ReadOnlyCommand, Rights, Step};
use crate::model::{Value, Why};

pub(super) const PROBE: Probe = Probe { name: "sudo", facts: FACTS, needs: needs_nothing, steps, parse, redact: no_secrets };

const SOURCE: &str = "grep /etc/sudoers /etc/sudoers.d";

const FACTS: &[FactSpec] = &[
    FactSpec {
        name: "sudo.rules",
        key: None,
        kind: Kind::List(&Kind::Record(&[
            ("who", Kind::Text),
            ("host", Kind::Text),
            ("run_as", Kind::Text),
            ("as_root", Kind::Bool),
            ("nopasswd", Kind::Bool),
            ("command", Kind::Text),
            ("file", Kind::Text),
        ])),
        unit: None,
        source: SOURCE,
        rights: Rights::Root,
        summary: "One record for every user and command of sudoers(5), aliases resolved: as_root where the command may run as root, nopasswd where no password is asked. Rules of a directory service are not among them.",
    },
    FactSpec {
        name: "sudo.settings",
        key: None,
        kind: Kind::List(&Kind::Record(&[("scope", Kind::Text), ("name", Kind::Text), ("value", Kind::Text)])),
        unit: None,
        source: SOURCE,
        rights: Rights::Root,
        summary: "Defaults of sudoers(5) in order: scope is empty or such as `:alice`, value is on, off or what follows the equals sign.",
    },
    FactSpec {
        name: "sudo.timestamp_minutes",
        key: None,
        kind: Kind::Maybe(&Kind::Int),
        unit: Some("minutes"),
        source: SOURCE,
        rights: Rights::Root,
        summary: "The longest timestamp_timeout of sudoers(5), rounded up; -1 where a password is remembered for ever, null where none is set (5 or 15 by the build).",
    },
];

/// Texts that only root may read, in one step: rules of sudo, and the files of the SSH server and of super-servers, which some distributions close.
pub(super) fn root_texts() -> Option<Step> {
    let arguments = [
        "-RH",
        ".",
        "/etc/sudoers",
        "/etc/sudoers.d",
        "/usr/etc/sudoers",
        "/usr/etc/sudoers.d",
        "/etc/ssh/sshd_config",
        "/etc/ssh/sshd_config.d",
        "/usr/etc/ssh/sshd_config",
        "/usr/etc/ssh/sshd_config.d",
        "/etc/inetd.conf",
        "/etc/inetd.d",
        "/etc/xinetd.conf",
        "/etc/xinetd.d",
    ];
    ReadOnlyCommand::new(Program::Grep, &arguments, Rights::Root).ok().map(|command| Step::new("root-texts", command))
}

fn steps(_: &Wanted) -> Vec<Step> {
    root_texts().into_iter().collect()
}

fn parse(input: &Input<'_>, output: &mut Output) {
    let sudoers = Texts::of(input.answers, "root-texts").and_then(|texts| Sudoers::read(&texts));
    let (rules, settings) = match sudoers {
        Ok(sudoers) => (sudoers.rules(), Ok(sudoers.settings)),
        Err(why) => (Err(why.clone()), Err(why)),
    };
    output.set("sudo.rules", rules.map(|rules| Value::list(rules.into_iter().map(Rule::record))));
    output.set("sudo.timestamp_minutes", settings.as_ref().map(|settings| timestamp_minutes(settings)).map_err(Why::clone));
    let records = |settings: Vec<Setting>| {
        Value::list(settings.into_iter().map(|setting| {
            Value::record([("scope", setting.scope.into()), ("name", setting.name.into()), ("value", setting.value.into())])
        }))
    };
    output.set("sudo.settings", settings.map(records));
}

/// The longest time that any `Defaults` gives.
fn timestamp_minutes(settings: &[Setting]) -> Option<i64> {
    let minutes = settings.iter().filter(|setting| setting.name == "timestamp_timeout").map(|setting| {
        let whole = setting.value.split('.').next().unwrap_or_default();
        match whole.parse::<i64>() {
            _ if whole.starts_with('-') => -1,
            Ok(whole) if setting.value.contains('.') => whole.saturating_add(1),
            Ok(whole) => whole,
            // `!timestamp_timeout` is 0: ask each time.
            Err(_) => 0,
        }
    });
    let minutes: Vec<i64> = minutes.collect();
    if minutes.contains(&-1) { Some(-1) } else { minutes.into_iter().max() }
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Setting {
    scope: String,
    name: String,
    value: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Rule {
    who: String,
    host: String,
    run_as: String,
    as_root: bool,
    nopasswd: bool,
    command: String,
    file: String,
}

impl Rule {
    fn record(self) -> Value {
        Value::record([
            ("who", self.who.into()),
            ("host", self.host.into()),
            ("run_as", self.run_as.into()),
            ("as_root", self.as_root.into()),
            ("nopasswd", self.nopasswd.into()),
            ("command", self.command.into()),
            ("file", self.file.into()),
        ])
    }
}

/// No honest file includes deeper, nor names more; aliases of aliases would otherwise multiply.
const DEEPEST: usize = 16;
const MOST_RULES: usize = 20_000;

#[derive(Debug, Default)]
struct Sudoers {
    settings: Vec<Setting>,
    /// Members by the kind of alias and its name.
    aliases: BTreeMap<(String, String), Vec<String>>,
    /// File and text of the rules, read once all aliases are known.
    specs: Vec<(String, String)>,
}

impl Sudoers {
    fn read(texts: &Texts) -> Result<Self, Why> {
        let main = ["/etc/sudoers", "/usr/etc/sudoers"];
        for path in main {
            if texts.file(path)?.is_some() {
                let mut sudoers = Self::default();
                sudoers.file(texts, path, 0)?;
                return Ok(sudoers);
            }
        }
        Err(Why::ToolMissing("there is no /etc/sudoers".to_owned()))
    }

    fn file(&mut self, texts: &Texts, path: &str, depth: usize) -> Result<(), Why> {
        if depth > DEEPEST {
            return Err(Why::CouldNotBeParsed(format!("`{path}`: files of sudo include each other without end")));
        }
        let lines = texts.file(path)?.ok_or_else(|| Why::CouldNotBeParsed(format!("`{path}` is included but was not read")))?;
        for line in joined(&lines) {
            let line = without_comment(line.trim());
            let (word, rest) = line.split_once([' ', '\t']).map_or((line, ""), |(word, rest)| (word, rest.trim()));
            match word {
                "" => {}
                "@include" | "#include" => self.file(texts, &unquoted(rest), depth + 1)?,
                "@includedir" | "#includedir" => self.directory(texts, &unquoted(rest), depth)?,
                _ if is_comment(line) => {}
                "User_Alias" | "Runas_Alias" | "Host_Alias" | "Cmnd_Alias" | "Cmd_Alias" => self.alias(word, rest),
                _ if word.starts_with("Defaults") => self.defaults(&word["Defaults".len()..], rest),
                _ => self.specs.push((path.to_owned(), line.to_owned())),
            }
        }
        Ok(())
    }

    fn directory(&mut self, texts: &Texts, directory: &str, depth: usize) -> Result<(), Why> {
        let directory = directory.trim_end_matches('/');
        if !["/etc/sudoers.d", "/usr/etc/sudoers.d"].contains(&directory) {
            return Err(Why::CouldNotBeParsed(format!("`{directory}` is included but was not read")));
        }
        let files: Vec<String> =
            texts.matching(&format!("{directory}/*"))?.into_iter().map(|(path, _)| path.to_owned()).collect();
        for path in files {
            // sudoers(5): names with a dot and backups are passed over.
            let name = path.rsplit('/').next().unwrap_or_default();
            if !name.contains('.') && !name.ends_with('~') {
                self.file(texts, &path, depth + 1)?;
            }
        }
        Ok(())
    }

    fn alias(&mut self, kind: &str, rest: &str) {
        let kind = if kind == "Cmd_Alias" { "Cmnd_Alias" } else { kind };
        for definition in split(rest, ':') {
            if let Some((name, members)) = definition.split_once('=') {
                let members = split(members, ',').into_iter().map(|member| member.trim().to_owned()).collect();
                self.aliases.insert((kind.to_owned(), name.trim().to_owned()), members);
            }
        }
    }

    fn defaults(&mut self, scope: &str, rest: &str) {
        for setting in split(rest, ',') {
            let setting = setting.trim();
            let (name, value) = match setting.split_once('=') {
                Some((name, value)) => (name.trim_end_matches(['+', '-']).trim(), unquoted(value.trim())),
                None => match setting.strip_prefix('!') {
                    Some(name) => (name.trim(), "off".to_owned()),
                    None => (setting, "on".to_owned()),
                },
            };
            if !name.is_empty() {
                self.settings.push(Setting { scope: scope.to_owned(), name: name.to_owned(), value });
            }
        }
    }

    fn rules(&self) -> Result<Vec<Rule>, Why> {
        let mut rules = Vec::new();
        for (file, spec) in &self.specs {
            self.spec(file, spec, &mut rules)
                .ok_or_else(|| Why::CouldNotBeParsed(format!("`{file}`: a rule of sudo makes no sense: {spec}")))?;
        }
        Ok(rules)
    }

    /// `WHO, WHO HOST = (RUNAS) TAG: COMMAND, COMMAND : HOST = COMMAND`
    fn spec(&self, file: &str, spec: &str, rules: &mut Vec<Rule>) -> Option<()> {
        let at = position(spec, |letter| letter == '=')?;
        let (who, host) = who_and_host(&spec[..at])?;
        let who: Vec<String> = split(&who, ',').into_iter().flat_map(|who| self.expanded("User_Alias", who.trim())).collect();
        let (mut host, mut run_as, mut nopasswd) = (host, "root".to_owned(), false);
        for item in split(&spec[at + 1..], ',') {
            let mut item = item.trim();
            loop {
                while let Some(rest) = item.strip_prefix('(') {
                    let (inside, rest) = rest.split_once(')')?;
                    run_as = inside.split_whitespace().collect();
                    item = rest.trim_start();
                }
                if let Some((tag, rest)) = leading_tag(item) {
                    nopasswd = tag == "NOPASSWD" || nopasswd && tag != "PASSWD";
                    item = rest;
                    continue;
                }
                // A colon that is not escaped ends the commands of one host and begins another's.
                let colon = position(item, |letter| letter == ':');
                let command = item[..colon.unwrap_or(item.len())].trim();
                let commands = self.expanded("Cmnd_Alias", command);
                if command.is_empty() || who.len().saturating_mul(commands.len()).saturating_add(rules.len()) > MOST_RULES {
                    return None;
                }
                let as_root = self.is_root(&run_as);
                for (who, command) in who.iter().flat_map(|who| commands.iter().map(move |command| (who, command))) {
                    rules.push(Rule {
                        who: who.clone(),
                        host: host.clone(),
                        run_as: run_as.clone(),
                        as_root,
                        nopasswd,
                        command: unescaped(command),
                        file: file.to_owned(),
                    });
                }
                let Some(colon) = colon else { break };
                let next = &item[colon + 1..];
                let equals = position(next, |letter| letter == '=')?;
                (host, run_as, nopasswd) = (next[..equals].trim().to_owned(), "root".to_owned(), false);
                item = next[equals + 1..].trim();
            }
        }
        Some(())
    }

    /// The members of an alias, or the name itself. One that is negated stays as it is.
    fn expanded(&self, kind: &str, name: &str) -> Vec<String> {
        let mut found = Vec::new();
        let mut open = vec![(name.to_owned(), 0)];
        while let Some((name, depth)) = open.pop() {
            match self.aliases.get(&(kind.to_owned(), name.clone())) {
                Some(members) if depth < DEEPEST && found.len() + open.len() < MOST_RULES => {
                    open.extend(members.iter().rev().map(|member| (member.clone(), depth + 1)));
                }
                _ => found.push(name),
            }
        }
        found
    }

    /// Whether the user list of `USER,USER:GROUP,GROUP` allows root.
    fn is_root(&self, run_as: &str) -> bool {
        let users = run_as.split(':').next().unwrap_or_default();
        let mut names = users.split(',').flat_map(|name| self.expanded("Runas_Alias", name));
        names.any(|name| matches!(name.as_str(), "root" | "ALL" | "#0"))
    }
}

/// Lines with their continuations.
fn joined(lines: &[&str]) -> Vec<String> {
    let mut whole: Vec<String> = Vec::new();
    let mut open = false;
    for line in lines {
        let (text, more) = match line.strip_suffix('\\') {
            Some(text) => (text, true),
            None => (*line, false),
        };
        match whole.last_mut() {
            Some(last) if open => last.push_str(text),
            _ => whole.push(text.to_owned()),
        }
        // A comment ends with its line, whatever stands at the end of it.
        open = more && !whole.last().is_some_and(|line| is_comment(line));
    }
    whole
}

/// `#1000` is a user and `#include` an order; all else behind a `#` is a comment.
fn is_comment(line: &str) -> bool {
    line.trim_start()
        .strip_prefix('#')
        .is_some_and(|rest| !rest.starts_with(|letter: char| letter.is_ascii_digit()) && !rest.starts_with("include"))
}

/// The line up to a comment behind it.
fn without_comment(line: &str) -> &str {
    let starts = |(at, _): &(usize, &str)| *at > 0 && line[..*at].ends_with([' ', '\t']) && is_comment(&line[*at..]);
    line.match_indices('#').find(starts).map_or(line, |(at, _)| line[..at].trim_end())
}

/// Where a letter stands that is neither escaped nor in quotes nor in parentheses.
fn position(text: &str, wanted: impl Fn(char) -> bool) -> Option<usize> {
    let (mut escaped, mut quoted, mut inside) = (false, false, false);
    for (at, letter) in text.char_indices() {
        match letter {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => quoted = !quoted,
            _ if quoted => {}
            _ if !inside && wanted(letter) => return Some(at),
            '(' => inside = true,
            ')' => inside = false,
            _ => {}
        }
    }
    None
}

fn split(mut text: &str, separator: char) -> Vec<&str> {
    let mut pieces = Vec::new();
    while let Some(at) = position(text, |letter| letter == separator) {
        pieces.push(&text[..at]);
        text = &text[at + separator.len_utf8()..];
    }
    pieces.push(text);
    pieces
}

/// `alice, bob ALL` as `alice,bob` and `ALL`.
fn who_and_host(text: &str) -> Option<(String, String)> {
    let mut words: Vec<String> = Vec::new();
    let mut rest = text.trim();
    let mut glue = false;
    while !rest.is_empty() {
        let end = position(rest, |letter| matches!(letter, ' ' | '\t')).unwrap_or(rest.len());
        let word = &rest[..end];
        match words.last_mut() {
            Some(last) if glue || word.starts_with(',') => last.push_str(word),
            _ => words.push(word.to_owned()),
        }
        glue = word.ends_with(',');
        rest = rest[end..].trim_start();
    }
    let [who, host] = <[String; 2]>::try_from(words).ok()?;
    Some((who, host))
}

/// `NOPASSWD: rest`, and what else may stand before a command: `CWD=/x rest`, `sha256:digest rest`.
fn leading_tag(item: &str) -> Option<(&str, &str)> {
    let end = item.find(|letter: char| !(letter.is_ascii_uppercase() || letter == '_'))?;
    let (word, rest) = item.split_at(end);
    let tags = [
        "NOPASSWD",
        "PASSWD",
        "NOEXEC",
        "EXEC",
        "SETENV",
        "NOSETENV",
        "LOG_INPUT",
        "NOLOG_INPUT",
        "LOG_OUTPUT",
        "NOLOG_OUTPUT",
        "MAIL",
        "NOMAIL",
        "FOLLOW",
        "NOFOLLOW",
        "INTERCEPT",
        "NOINTERCEPT",
    ];
    let options =
        ["CWD", "CHROOT", "TIMEOUT", "NOTBEFORE", "NOTAFTER", "ROLE", "TYPE", "PRIVS", "LIMITPRIVS", "APPARMOR_PROFILE"];
    let after = rest.trim_start();
    if tags.contains(&word) {
        return after.strip_prefix(':').map(|rest| (word, rest.trim_start()));
    }
    if options.contains(&word) {
        let value = after.strip_prefix('=')?.trim_start();
        return Some((word, value.find([' ', '\t']).map_or("", |at| value[at..].trim_start())));
    }
    if item.starts_with("sha") && item[3..].starts_with(['2', '3', '5']) {
        let at = item.find([' ', '\t'])?;
        return item[..at].contains(':').then(|| (&item[..at], item[at..].trim_start()));
    }
    None
}

fn unquoted(text: &str) -> String {
    let text = text.trim();
    unescaped(text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text))
}

fn unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        out.push(if letter == '\\' { letters.next().unwrap_or('\\') } else { letter });
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::Facts;
    use crate::probe::State;
    use crate::probe::script::tests::{answered_with, facts_of, not_run};

    fn facts(files: &[(&str, &str)]) -> Facts {
        let lines: String = files
            .iter()
            .flat_map(|(path, text)| text.lines().filter(|line| !line.is_empty()).map(move |line| format!("{path}:{line}\n")))
            .collect();
        let complaints =
            "grep: /usr/etc/sudoers: No such file or directory\ngrep: /etc/ssh/sshd_config.d: No such file or directory\n";
        facts_of(
            &["sudo.rules", "sudo.settings", "sudo.timestamp_minutes"],
            &[("root-texts", answered_with(&lines, complaints, 2))],
        )
    }

    fn rules(facts: &Facts) -> Result<Vec<String>, Why> {
        let rules = facts.value("sudo.rules")?.as_list().unwrap();
        Ok(rules
            .iter()
            .map(|rule| {
                let field = |name: &str| rule.field(name).unwrap().to_string();
                let flag = |name: &str| if field(name) == "true" { format!(" {name}") } else { String::new() };
                format!(
                    "{}@{} {}{}{}: {}",
                    field("who"),
                    field("host"),
                    field("run_as"),
                    flag("as_root"),
                    flag("nopasswd"),
                    field("command")
                )
            })
            .collect())
    }

    const DEBIAN: &str = "# This file MUST be edited with visudo\nDefaults\tenv_reset\nDefaults\tmail_badpass\n\
Defaults\tsecure_path=\"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\"\n#Defaults:%sudo env_keep += \"http_proxy\"\n\
Defaults\tuse_pty\nroot\tALL=(ALL:ALL) ALL\n%sudo\tALL=(ALL:ALL) ALL\n# See sudoers(5) for more information on \"@include\" directives:\n@includedir /etc/sudoers.d\n";

    #[test]
    fn the_file_of_a_distribution() {
        let facts = facts(&[
            ("/etc/sudoers", DEBIAN),
            ("/etc/sudoers.d/90-cloud-init-users", "# User rules for debian\ndebian ALL=(ALL) NOPASSWD:ALL\n"),
            ("/etc/sudoers.d/README", "# The default /etc/sudoers file\n"),
            ("/etc/sudoers.d/old.bak", "mallory ALL=(ALL) ALL\n"),
        ]);
        assert_eq!(
            rules(&facts),
            Ok(vec![
                "root@ALL ALL:ALL as_root: ALL".to_owned(),
                "%sudo@ALL ALL:ALL as_root: ALL".to_owned(),
                "debian@ALL ALL as_root nopasswd: ALL".to_owned(),
            ])
        );
        let settings = facts.value("sudo.settings").unwrap().to_string();
        assert!(settings.contains("name: use_pty, scope: , value: on"), "{settings}");
        assert!(settings.contains("value: /usr/local/sbin:/usr/local/bin"), "{settings}");
        assert_eq!(facts.value("sudo.timestamp_minutes"), Ok(&Value::Null));
    }

    #[test]
    fn aliases_tags_runas_hosts_and_continuations() {
        let facts = facts(&[(
            "/etc/sudoers",
            "User_Alias OPS = alice, bob : WEB = carol\nCmnd_Alias BOX = /usr/bin/docker, NET\nCmnd_Alias NET = /usr/sbin/ip *\n\
Runas_Alias DB = postgres, root\nDefaults:alice !authenticate, timestamp_timeout = 30\nDefaults timestamp_timeout=0.5\n\
OPS, %wheel ALL = (DB) NOPASSWD: BOX, PASSWD: /usr/bin/stat -L -c %a|%u /etc/x\\:y\\,z\n\
WEB web1 = (www-data) NOEXEC:NOPASSWD: /bin/ls, \\\n  sha256:abcdef /bin/cat : db1 = /bin/id\n#1000 ALL=(:docker) CWD=/tmp /bin/true # for 1000\n",
        )]);
        let expected = [
            "alice@ALL DB as_root nopasswd: /usr/bin/docker",
            "alice@ALL DB as_root nopasswd: /usr/sbin/ip *",
            "bob@ALL DB as_root nopasswd: /usr/bin/docker",
            "bob@ALL DB as_root nopasswd: /usr/sbin/ip *",
            "%wheel@ALL DB as_root nopasswd: /usr/bin/docker",
            "%wheel@ALL DB as_root nopasswd: /usr/sbin/ip *",
            "alice@ALL DB as_root: /usr/bin/stat -L -c %a|%u /etc/x:y,z",
            "bob@ALL DB as_root: /usr/bin/stat -L -c %a|%u /etc/x:y,z",
            "%wheel@ALL DB as_root: /usr/bin/stat -L -c %a|%u /etc/x:y,z",
            "carol@web1 www-data nopasswd: /bin/ls",
            "carol@web1 www-data nopasswd: /bin/cat",
            "carol@db1 root as_root: /bin/id",
            "#1000@ALL :docker: /bin/true",
        ];
        assert_eq!(rules(&facts), Ok(expected.iter().map(|line| (*line).to_owned()).collect()));
        assert_eq!(facts.value("sudo.timestamp_minutes"), Ok(&Value::Int(30)));
        assert!(facts.value("sudo.settings").unwrap().to_string().contains("name: authenticate, scope: :alice, value: off"));
    }

    #[test]
    fn what_was_not_read_is_not_taken_for_empty() {
        let elsewhere = facts(&[("/etc/sudoers", "root ALL=(ALL) ALL\n@includedir /opt/sudoers.d\n")]);
        assert!(matches!(rules(&elsewhere), Err(Why::CouldNotBeParsed(_))));
        let nonsense = facts(&[("/etc/sudoers", "root ALL\n")]);
        assert!(matches!(rules(&nonsense), Err(Why::CouldNotBeParsed(_))));
        let endless = facts(&[("/etc/sudoers", "@include /etc/sudoers\n")]);
        assert!(matches!(rules(&endless), Err(Why::CouldNotBeParsed(_))));
        let refused = facts_of(&["sudo.rules"], &[("root-texts", not_run(State::NeedsRoot))]);
        assert!(matches!(rules(&refused), Err(Why::NeedsRoot(_))));
    }

    #[test]
    fn aliases_that_contain_themselves_end() {
        let facts = facts(&[("/etc/sudoers", "Cmnd_Alias A = A, A, B\nCmnd_Alias B = A, A\nalice ALL = A\n")]);
        assert!(facts.value("sudo.rules").is_err() || rules(&facts).is_ok());
    }

    proptest! {
        #[test]
        fn no_line_makes_the_parser_panic(lines in proptest::collection::vec("[a-zA-Z#@%!:=,()\\\\\" _*/.~-]{0,40}", 0..8)) {
            let text = lines.join("\n");
            let _ = rules(&facts(&[("/etc/sudoers", &text)]));
        }
    }
}
