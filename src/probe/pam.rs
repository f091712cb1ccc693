//! What PAM does at a login: locking after failures, and whether an empty password is good enough.

use super::texts::Texts;
use super::{FactSpec, Input, Kind, Output, Probe, Transcript, Wanted, needs_nothing, no_secrets};
use crate::command::{Fragment, ReadOnlyCommand, Rights, Step};
use crate::model::{Value, Why};

pub(super) const PROBE: Probe = Probe { name: "pam", facts: FACTS, needs: needs_nothing, steps, parse, redact: no_secrets };

const SOURCE: &str = "grep /etc/pam.d /etc/security/faillock.conf";

const FACTS: &[FactSpec] = &[
    FactSpec {
        name: "pam.lockout",
        key: None,
        kind: Kind::List(&Kind::Record(&[
            ("service", Kind::Text),
            ("module", Kind::Maybe(&Kind::Text)),
            ("deny", Kind::Int),
            ("unlock_seconds", Kind::Int),
        ])),
        unit: None,
        source: SOURCE,
        rights: Rights::Any,
        summary: "For each of sshd and login that PAM serves: the module that counts failures (null for none), after how many it locks (0 never) and for how long (0 until an administrator unlocks). Empty without PAM.",
    },
    FactSpec {
        name: "pam.nullok",
        key: None,
        kind: Kind::List(&Kind::Text),
        unit: None,
        source: SOURCE,
        rights: Rights::Any,
        summary: "Lines, as `FILE: LINE`, that let an account with an empty password in.",
    },
];

/// The vendor's files are in /usr on SUSE and some others.
const FILES: &[&str] = &["/etc/pam.d/*", "/usr/etc/pam.d/*", "/usr/lib/pam.d/*", "/etc/security/faillock.conf"];

fn steps(_: &Wanted) -> Vec<Step> {
    let command = ReadOnlyCommand::fragment(Fragment::ReadOrComplain, FILES, Rights::Any).ok();
    command.map(|command| Step::new("pam-files", command)).into_iter().collect()
}

fn parse(input: &Input<'_>, output: &mut Output) {
    output.set("pam.lockout", lockout(input.answers));
    output.set("pam.nullok", nullok(input.answers));
}

/// No honest service includes deeper.
const DEEPEST: usize = 16;
const MOST_LINES: usize = 2_000;

/// The file of a service: the administrator's comes before the vendor's.
fn service<'a>(texts: &'a Texts, name: &str) -> Result<Option<(String, Vec<&'a str>)>, Why> {
    if name.is_empty() || name.contains('/') {
        return Ok(None);
    }
    for directory in ["/etc/pam.d", "/usr/etc/pam.d", "/usr/lib/pam.d"] {
        let path = format!("{directory}/{name}");
        // A file that no pattern matched is not complained of; one with a line in it was read.
        let lines = texts.file(&path)?.filter(|lines| !lines.is_empty());
        if let Some(lines) = lines {
            return Ok(Some((path, lines)));
        }
    }
    Ok(None)
}

/// The `auth` lines of a service with everything it includes, as words.
fn auth_lines(texts: &Texts, name: &str, depth: usize, found: &mut Vec<Vec<String>>) -> Result<(), Why> {
    let too_much = || Why::CouldNotBeParsed(format!("PAM's `{name}`: files include each other without end"));
    if depth > DEEPEST || found.len() > MOST_LINES {
        return Err(too_much());
    }
    let Some((_, lines)) = service(texts, name)? else { return Ok(()) };
    for line in lines {
        let words = words(line);
        let included = match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            ["@include", other, ..] => Some((*other).to_owned()),
            ["auth" | "-auth", "include" | "substack", other, ..] => Some((*other).to_owned()),
            _ => None,
        };
        match included {
            Some(other) => auth_lines(texts, other.rsplit('/').next().unwrap_or_default(), depth + 1, found)?,
            None if words.first().is_some_and(|word| word.trim_start_matches('-').eq_ignore_ascii_case("auth")) => {
                found.push(words)
            }
            None => {}
        }
    }
    Ok(())
}

/// Words of a line of pam.d(5): a control in brackets is one, a comment none.
fn words(line: &str) -> Vec<String> {
    let line = line.split('#').next().unwrap_or_default();
    let mut words = Vec::new();
    let mut rest = line.trim();
    while !rest.is_empty() {
        let end = match rest.starts_with('[') {
            true => rest.find(']').map_or(rest.len(), |at| at + 1),
            false => rest.find(char::is_whitespace).unwrap_or(rest.len()),
        };
        words.push(rest[..end].to_owned());
        rest = rest[end..].trim_start();
    }
    words
}

fn lockout(answers: &Transcript) -> Result<Value, Why> {
    let texts = Texts::of(answers, "pam-files")?;
    let configuration = texts.file("/etc/security/faillock.conf")?.unwrap_or_default();
    let mut services = Vec::new();
    for name in ["login", "sshd"] {
        if service(&texts, name)?.is_none() {
            continue;
        }
        let mut lines = Vec::new();
        auth_lines(&texts, name, 0, &mut lines)?;
        let module = |name: &str| {
            lines.iter().filter(|words| words.iter().any(|word| word.rsplit('/').next() == Some(name))).collect::<Vec<_>>()
        };
        let (faillock, tally2, tally) = (module("pam_faillock.so"), module("pam_tally2.so"), module("pam_tally.so"));
        // An argument of the module comes before the file; what neither says is the module's default.
        let (found, arguments, defaults) = match () {
            () if !faillock.is_empty() => (Some("pam_faillock"), faillock, (3, 600)),
            () if !tally2.is_empty() => (Some("pam_tally2"), tally2, (0, 0)),
            () if !tally.is_empty() => (Some("pam_tally"), tally, (0, 0)),
            () => (None, Vec::new(), (0, 0)),
        };
        let from_file = |setting: &str| {
            let configured = configuration.iter().rev().find_map(|line| {
                let (name, value) = line.split('#').next().unwrap_or_default().split_once('=')?;
                (name.trim() == setting).then(|| number(value.trim()))?
            });
            configured.filter(|_| found == Some("pam_faillock"))
        };
        let value = |setting: &str, default: i64| {
            let argument = arguments
                .iter()
                .flat_map(|words| words.iter())
                .find_map(|word| number(word.strip_prefix(setting)?.strip_prefix('=')?));
            argument.or_else(|| from_file(setting)).unwrap_or(default)
        };
        services.push(Value::record([
            ("service", name.into()),
            ("module", found.into()),
            ("deny", value("deny", defaults.0).into()),
            ("unlock_seconds", value("unlock_time", defaults.1).into()),
        ]));
    }
    Ok(Value::List(services))
}

/// A number of seconds or failures; `never` is 0 for faillock.
fn number(text: &str) -> Option<i64> {
    if text == "never" { Some(0) } else { text.parse().ok().filter(|number| *number >= 0) }
}

fn nullok(answers: &Transcript) -> Result<Vec<String>, Why> {
    let texts = Texts::of(answers, "pam-files")?;
    let mut found = Vec::new();
    for pattern in FILES {
        for (path, lines) in texts.matching(pattern)? {
            // A vendor's file does nothing where the administrator has one of that name.
            let name = path.rsplit('/').next().unwrap_or_default();
            if service(&texts, name)?.is_some_and(|(active, _)| active != path) {
                continue;
            }
            for line in lines {
                let words = words(line);
                let authenticates = words.first().is_some_and(|word| word.trim_start_matches('-').eq_ignore_ascii_case("auth"));
                let lenient = words.iter().any(|word| matches!(word.as_str(), "nullok" | "nullok_secure"));
                if authenticates && lenient {
                    found.push(format!("{path}: {}", words.join(" ")));
                }
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::Facts;
    use crate::probe::Answer;
    use crate::probe::script::tests::{answered, answered_with, facts_of};

    fn facts(answer: Answer) -> Facts {
        facts_of(&["pam.lockout", "pam.nullok"], &[("pam-files", answer)])
    }

    fn shown(facts: &Facts, name: &str) -> String {
        facts.value(name).expect("known").to_string()
    }

    const DEBIAN: &str = "/etc/pam.d/common-auth:auth\t[success=1 default=ignore]\tpam_unix.so nullok\n\
/etc/pam.d/common-auth:auth\trequisite\t\t\tpam_deny.so\n/etc/pam.d/common-auth:# auth required pam_faillock.so\n\
/etc/pam.d/login:auth       optional   pam_faildelay.so  delay=3000000\n/etc/pam.d/login:@include common-auth\n\
/etc/pam.d/sshd:@include common-auth\n/etc/pam.d/sshd:account    required     pam_nologin.so\n/etc/pam.d/common-password:password pam_unix.so nullok\n";

    #[test]
    fn debian_as_installed_locks_nobody_and_lets_empty_passwords_in() {
        let facts = facts(answered_with(DEBIAN, "grep: /usr/lib/pam.d/*: No such file or directory\n", 2));
        assert_eq!(
            shown(&facts, "pam.lockout"),
            "[{deny: 0, module: none, service: login, unlock_seconds: 0}, {deny: 0, module: none, service: sshd, unlock_seconds: 0}]"
        );
        assert_eq!(shown(&facts, "pam.nullok"), "[/etc/pam.d/common-auth: auth [success=1 default=ignore] pam_unix.so nullok]");
    }

    #[test]
    fn red_hat_with_faillock_reads_the_file_where_the_module_has_no_argument() {
        let text = "/etc/pam.d/sshd:auth       substack     password-auth\n\
/etc/pam.d/password-auth:auth        required                                     pam_env.so\n\
/etc/pam.d/password-auth:auth        required                                     pam_faillock.so preauth silent\n\
/etc/pam.d/password-auth:auth        sufficient                                   pam_unix.so\n\
/etc/pam.d/password-auth:auth        required                                     pam_faillock.so authfail\n\
/etc/security/faillock.conf:# deny = 3\n/etc/security/faillock.conf:deny = 5\n/etc/security/faillock.conf:unlock_time = never\n";
        assert_eq!(
            shown(&facts(answered(text)), "pam.lockout"),
            "[{deny: 5, module: pam_faillock, service: sshd, unlock_seconds: 0}]"
        );
    }

    #[test]
    fn the_vendors_file_counts_where_there_is_no_other() {
        let text = "/usr/lib/pam.d/sshd:auth include common-auth\n/usr/lib/pam.d/common-auth:auth required pam_unix.so nullok\n\
/etc/pam.d/common-auth:auth required pam_tally2.so deny=4 unlock_time=1800\n";
        let facts = facts(answered(text));
        assert_eq!(shown(&facts, "pam.lockout"), "[{deny: 4, module: pam_tally2, service: sshd, unlock_seconds: 1800}]");
        assert_eq!(shown(&facts, "pam.nullok"), "[]");
    }

    #[test]
    fn without_pam_there_is_no_service() {
        let facts = facts(answered_with("", "grep: /etc/pam.d/*: No such file or directory\n", 2));
        assert_eq!(shown(&facts, "pam.lockout"), "[]");
    }

    #[test]
    fn a_file_that_may_not_be_read_leaves_it_open() {
        let facts = facts(answered_with(DEBIAN, "grep: /etc/pam.d/sudo: Permission denied\n", 2));
        assert!(matches!(facts.value("pam.nullok"), Err(Why::NeedsRoot(_))));
        let endless = self::facts(answered("/etc/pam.d/sshd:@include sshd\n"));
        assert!(matches!(endless.value("pam.lockout"), Err(Why::CouldNotBeParsed(_))));
    }

    proptest! {
        #[test]
        fn no_line_makes_a_parser_panic(lines in proptest::collection::vec("(auth|@include|\\[)? ?\\PC{0,20}", 0..6)) {
            let text: String = lines.iter().map(|line| format!("/etc/pam.d/sshd:{line}\n")).collect();
            let _ = facts(answered(&text));
        }
    }
}
