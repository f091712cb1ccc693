//! When a forgotten login ends: the shell's own limit, and that of the login manager.

use super::texts::Texts;
use super::{FactSpec, Input, Kind, Output, Probe, Transcript, Wanted, needs_nothing, no_secrets};
use crate::command::{Fragment, ReadOnlyCommand, Rights, Step};
use crate::model::{Value, Why};

pub(super) const PROBE: Probe =
    Probe { name: "shell_login", facts: FACTS, needs: needs_nothing, steps, parse, redact: no_secrets };

const FACTS: &[FactSpec] = &[
    FactSpec {
        name: "shell.tmout",
        key: None,
        kind: Kind::Record(&[
            ("seconds", Kind::List(&Kind::Int)),
            ("readonly", Kind::Bool),
            ("unclear", Kind::Bool),
            ("lines", Kind::List(&Kind::Text)),
        ]),
        unit: Some("seconds"),
        source: "grep /etc/profile /etc/profile.d /etc/bash.bashrc ...",
        rights: Rights::Any,
        summary: "TMOUT in the start files that all shells of the Bourne family read: every value it is given, whether it is read-only, whether any assignment hangs on a condition or has no literal value, and the lines.",
    },
    FactSpec {
        name: "logind.stop_idle_seconds",
        key: None,
        kind: Kind::Maybe(&Kind::Int),
        unit: Some("seconds"),
        source: "grep /etc/systemd/logind.conf ...",
        rights: Rights::Any,
        summary: "StopIdleSessionSec of logind.conf(5); null where it is not set or infinity.",
    },
];

/// In the order in which a login shell reads them; `/usr/etc` is SUSE's.
const START_FILES: &[&str] = &[
    "/etc/environment",
    "/usr/etc/profile",
    "/etc/profile",
    "/usr/etc/profile.d/*.sh",
    "/etc/profile.d/*.sh",
    "/etc/profile.local",
    "/usr/etc/bash.bashrc",
    "/etc/bash.bashrc",
    "/etc/bash.bashrc.local",
    "/etc/bashrc",
    "/etc/zshenv",
    "/etc/zprofile",
    "/etc/zshrc",
    "/etc/zsh/zshenv",
    "/etc/zsh/zprofile",
    "/etc/zsh/zshrc",
];

/// Later ones override: logind.conf(5).
const LOGIND_FILES: &[&str] = &[
    "/usr/lib/systemd/logind.conf",
    "/etc/systemd/logind.conf",
    "/usr/lib/systemd/logind.conf.d/*.conf",
    "/run/systemd/logind.conf.d/*.conf",
    "/etc/systemd/logind.conf.d/*.conf",
];

fn steps(wanted: &Wanted) -> Vec<Step> {
    let read = |id: &str, files: &[&str]| {
        let command = ReadOnlyCommand::fragment(Fragment::ReadOrComplain, files, Rights::Any).ok();
        command.map(|command| Step::new(id, command))
    };
    let mut steps = Vec::new();
    if wanted.wants("shell.tmout") {
        steps.extend(read("shell-start-files", START_FILES));
    }
    if wanted.wants("logind.stop_idle_seconds") {
        steps.extend(read("logind-conf", LOGIND_FILES));
    }
    steps
}

fn parse(input: &Input<'_>, output: &mut Output) {
    output.set("shell.tmout", tmout(input.answers));
    output.set("logind.stop_idle_seconds", stop_idle_seconds(input.answers));
}

/// All that is said of TMOUT.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tmout {
    seconds: Vec<i64>,
    readonly: bool,
    unclear: bool,
    lines: Vec<String>,
}

fn tmout(answers: &Transcript) -> Result<Value, Why> {
    let texts = Texts::of(answers, "shell-start-files")?;
    let mut found = Tmout::default();
    for pattern in START_FILES {
        for (path, lines) in texts.matching(pattern)? {
            found.read(path, &lines);
        }
    }
    Ok(Value::record([
        ("seconds", Value::list(found.seconds)),
        ("readonly", found.readonly.into()),
        ("unclear", found.unclear.into()),
        ("lines", Value::list(found.lines)),
    ]))
}

impl Tmout {
    fn read(&mut self, path: &str, lines: &[&str]) {
        // How many conditions, loops and function bodies are open.
        let mut depth = 0usize;
        for line in lines {
            for (statement, hangs) in statements(line) {
                let mut words = statement.split_whitespace().peekable();
                while let Some(word) = words.next_if(|word| matches!(*word, "then" | "else" | "do" | "!" | "time")) {
                    let _ = word;
                }
                let Some(first) = words.peek().copied() else { continue };
                match first {
                    "if" | "case" | "while" | "until" | "for" | "select" => depth += 1,
                    "fi" | "esac" | "done" => depth = depth.saturating_sub(1),
                    _ => {}
                }
                let opens = statement.ends_with('{');
                let closes = first == "}";
                depth = if closes { depth.saturating_sub(1) } else { depth + usize::from(opens) };
                let words: Vec<&str> = words.collect();
                if self.statement(&words, hangs || depth > 0) {
                    self.lines.push(format!("{path}: {}", line.trim()));
                }
            }
        }
    }

    /// Takes in one statement; true where it speaks of TMOUT.
    fn statement(&mut self, words: &[&str], hangs: bool) -> bool {
        let Some((first, rest)) = words.split_first() else { return false };
        let declares = matches!(*first, "readonly" | "declare" | "typeset" | "export" | "local");
        let (options, names): (Vec<&str>, Vec<&str>) =
            if declares { rest.iter().partition(|word| word.starts_with('-')) } else { (Vec::new(), words.to_vec()) };
        let fixed = *first == "readonly" || options.iter().any(|option| option.contains('r'));
        if *first == "unset" && rest.contains(&"TMOUT") {
            self.seconds.push(0);
            self.unclear |= hangs;
            return true;
        }
        // `TMOUT=600 command` is for that command alone, and `TMOUT = 600` runs a command of that name.
        if !declares && !words.iter().all(|word| word.find('=').is_some_and(|at| at > 0)) {
            return false;
        }
        let mut speaks = false;
        for name in names {
            if name == "TMOUT" && declares {
                speaks = true;
            } else if let Some(value) = name.strip_prefix("TMOUT=") {
                speaks = true;
                let value = value.trim_matches(['"', '\'']);
                match value.parse::<i64>() {
                    Ok(seconds) => self.seconds.push(seconds),
                    // An empty value is none: the shell waits for ever.
                    Err(_) if value.is_empty() => self.seconds.push(0),
                    Err(_) => self.unclear = true,
                }
                self.unclear |= hangs;
            }
        }
        self.readonly |= speaks && fixed && !hangs;
        speaks
    }
}

/// The statements of a line, and whether each hangs on the one before it (`&&`, `||`). Comments are left out.
fn statements(line: &str) -> Vec<(String, bool)> {
    let mut found = Vec::new();
    let mut statement = String::new();
    let mut hangs = false;
    let mut quote = None;
    let mut letters = line.chars().peekable();
    while let Some(letter) = letters.next() {
        match (letter, quote) {
            (_, Some(open)) => {
                if letter == open {
                    quote = None;
                }
                statement.push(letter);
            }
            ('\'' | '"', None) => {
                quote = Some(letter);
                statement.push(letter);
            }
            ('\\', None) => {
                statement.push(letter);
                statement.extend(letters.next());
            }
            ('#', None) if statement.is_empty() || statement.ends_with(char::is_whitespace) => break,
            (';' | '&' | '|', None) => {
                let twice = letters.next_if_eq(&letter).is_some();
                found.push((std::mem::take(&mut statement).trim().to_owned(), hangs));
                hangs = twice && letter != ';';
            }
            _ => statement.push(letter),
        }
    }
    found.push((statement.trim().to_owned(), hangs));
    found
}

fn stop_idle_seconds(answers: &Transcript) -> Result<Option<i64>, Why> {
    let texts = Texts::of(answers, "logind-conf")?;
    let mut value = None;
    for pattern in LOGIND_FILES {
        for (_, lines) in texts.matching(pattern)? {
            for line in lines {
                if let Some(("StopIdleSessionSec", setting)) =
                    line.trim().split_once('=').map(|(name, value)| (name.trim(), value))
                {
                    value = Some(setting.trim().to_owned());
                }
            }
        }
    }
    match value.as_deref() {
        None | Some("" | "infinity") => Ok(None),
        Some(text) => time_span(text)
            .map(Some)
            .ok_or_else(|| Why::CouldNotBeParsed(format!("StopIdleSessionSec `{text}` is no time span of systemd"))),
    }
}

/// A time span of systemd.time(7) in seconds: `900`, `15min`, `1h 30m`; parts of a second are dropped.
fn time_span(text: &str) -> Option<i64> {
    let mut total = 0i64;
    let mut rest = text.trim();
    while !rest.is_empty() {
        let digits = rest.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(rest.len());
        let number: i64 = rest[..digits].parse().ok()?;
        rest = rest[digits..].trim_start();
        let letters = rest.find(|letter: char| !letter.is_ascii_alphabetic()).unwrap_or(rest.len());
        let unit = match &rest[..letters] {
            "" | "s" | "sec" | "second" | "seconds" => 1,
            "m" | "min" | "minute" | "minutes" => 60,
            "h" | "hr" | "hour" | "hours" => 3_600,
            "d" | "day" | "days" => 86_400,
            "w" | "week" | "weeks" => 604_800,
            "ms" | "msec" | "us" | "usec" => 0,
            _ => return None,
        };
        total = total.checked_add(number.checked_mul(unit)?)?;
        rest = rest[letters..].trim_start();
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::probe::script::tests::{answered, answered_with, facts_of};

    fn tmout(lines: &[&str]) -> (Vec<i64>, bool, bool) {
        let mut found = Tmout::default();
        found.read("/etc/profile.d/tmout.sh", lines);
        assert_eq!(found.lines.is_empty(), found.seconds.is_empty() && !found.readonly && !found.unclear, "{found:?}");
        (found.seconds, found.readonly, found.unclear)
    }

    #[test]
    fn every_way_to_set_a_limit_is_seen() {
        assert_eq!(tmout(&["TMOUT=900", "readonly TMOUT", "export TMOUT"]), (vec![900], true, false));
        assert_eq!(tmout(&["TMOUT=900; readonly TMOUT; export TMOUT"]), (vec![900], true, false));
        assert_eq!(tmout(&["readonly TMOUT=\"900\""]), (vec![900], true, false));
        assert_eq!(tmout(&["typeset -xr TMOUT=600"]), (vec![600], true, false));
        assert_eq!(tmout(&["declare -r -x TMOUT='600'  # ten minutes"]), (vec![600], true, false));
        assert_eq!(tmout(&["export TMOUT=600"]), (vec![600], false, false));
        assert_eq!(tmout(&["TMOUT=600", "unset TMOUT"]), (vec![600, 0], false, false));
    }

    #[test]
    fn what_only_looks_like_a_limit_is_none() {
        for line in ["TMOUT = 600", "# TMOUT=600", "echo TMOUT=600", "MYTMOUT=600", "TMOUT=5 sleep 9", "#readonly TMOUT=600"] {
            assert_eq!(tmout(&[line]), (vec![], false, false), "{line}");
        }
    }

    #[test]
    fn a_limit_for_some_is_unclear() {
        assert_eq!(tmout(&["if [ \"$UID\" -ge 1000 ]; then", "  TMOUT=900", "fi"]), (vec![900], false, true));
        assert_eq!(tmout(&["[ -n \"$SSH_TTY\" ] && readonly TMOUT=900"]), (vec![900], false, true));
        assert_eq!(tmout(&["TMOUT=$LIMIT"]), (vec![], false, true));
        assert_eq!(tmout(&["limit() {", "TMOUT=900", "}"]), (vec![900], false, true));
        assert_eq!(tmout(&["if true; then x=1; fi", "TMOUT=900"]), (vec![900], false, false));
    }

    #[test]
    fn the_files_of_a_distribution() {
        let text = "/etc/profile:if [ -d /etc/profile.d ]; then\n/etc/profile:  for i in /etc/profile.d/*.sh; do\n/etc/profile:    if [ -r $i ]; then\n\
/etc/profile:      . $i\n/etc/profile:    fi\n/etc/profile:  done\n/etc/profile:  unset i\n/etc/profile:fi\n/etc/profile.d/99-tmout.sh:readonly TMOUT=600\n\
/etc/profile.d/99-tmout.csh:TMOUT=7\n";
        let missing = "grep: /etc/zshrc: No such file or directory\n";
        let facts = facts_of(&["shell.tmout"], &[("shell-start-files", answered_with(text, missing, 2))]);
        assert_eq!(
            facts.value("shell.tmout").map(ToString::to_string),
            Ok("lines: [/etc/profile.d/99-tmout.sh: readonly TMOUT=600], readonly: true, seconds: [600], unclear: false"
                .to_owned())
        );
        let hidden = answered_with("", "grep: /etc/profile.d/99-tmout.sh: Permission denied\n", 2);
        assert!(matches!(
            facts_of(&["shell.tmout"], &[("shell-start-files", hidden)]).value("shell.tmout"),
            Err(Why::NeedsRoot(_))
        ));
    }

    #[test]
    fn the_last_file_of_logind_counts() {
        let name = "logind.stop_idle_seconds";
        for (text, expected) in [
            ("/etc/systemd/logind.conf:#StopIdleSessionSec=infinity\n", Ok(Value::Null)),
            (
                "/etc/systemd/logind.conf:StopIdleSessionSec=infinity\n/etc/systemd/logind.conf.d/a.conf:StopIdleSessionSec = 15min\n",
                Ok(Value::Int(900)),
            ),
            ("/etc/systemd/logind.conf:StopIdleSessionSec=1h 30m\n", Ok(Value::Int(5400))),
        ] {
            assert_eq!(facts_of(&[name], &[("logind-conf", answered(text))]).value(name).cloned(), expected);
        }
        let strange = answered("/etc/systemd/logind.conf:StopIdleSessionSec=soon\n");
        assert!(facts_of(&[name], &[("logind-conf", strange)]).value(name).is_err());
    }

    proptest! {
        #[test]
        fn no_line_makes_a_parser_panic(line in "\\PC*", shell in "[a-zTMOU= ;&|'\"\\\\#{}]{0,40}") {
            let mut found = Tmout::default();
            found.read("/etc/profile", &[&line, &shell]);
            let _ = time_span(&line);
        }
    }
}
