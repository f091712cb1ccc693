//! `fleetscan sudoers`: the rules under which a login that is not root can answer every question. Nothing is contacted.

use std::fmt::Write as _;

use clap::Args;

use super::args::{CheckArgs, plan_of};
use super::error::Error;
use super::plan::digest_of;
use super::{ExitStatus, print};
use crate::command::{Arguments, Become, RootCommand};
use crate::probe::{doas_rule, doas_word, root_commands, sudo_rule, without_rule};

/// Print the rules of sudo (or doas) that the checks need: exact commands, no wildcards, nothing that can write or start another program.
#[derive(Debug, Args)]
pub(super) struct SudoersArgs {
    #[command(flatten)]
    checks: CheckArgs,
    /// Whom the rules are for: the login of the scan, or a group as `%GROUP`
    #[arg(short, long, value_name = "NAME|%GROUP", default_value = "fleetscan", value_parser = who)]
    user: String,
    /// As doas.conf, for hosts with doas
    #[arg(long)]
    doas: bool,
}

/// Facts that only `docker inspect` tells, which takes the ids of the host's own containers and networks.
const INSPECTED: &str = "docker.containers, docker.container_mounts, docker.container_ports and docker.networks";

impl SudoersArgs {
    pub(super) fn run(self) -> Result<ExitStatus, Error> {
        let checks = self.checks.load()?;
        let plan = plan_of(&checks)?;
        let commands = root_commands(&plan);
        let digest = digest_of(&plan, Become::by(None, false));

        let need = match checks.checks().len() {
            1 => "1 check needs".to_owned(),
            count => format!("{count} checks need"),
        };
        let (file, check) = match self.doas {
            true => ("/etc/doas.conf", "doas -C FILE"),
            false => ("/etc/sudoers.d/fleetscan (mode 0440)", "visudo -cf FILE"),
        };
        let mut text = format!(
            "# fleetscan {}: everything that {need} root for, word for word, and nothing else.\n\
             # sha256 {digest}\n\
             # That is the script of `fleetscan plan -b` for the same checks.\n\
             # Belongs in {file}; `{check}` checks it.\n\
             # A program stands there under each path that distributions give it; where a path does not exist, its rule permits nothing.\n\
             # Whoever may run these can change nothing but which modules the kernel has loaded, and read what they print: password hashes, the environment\n\
             # of containers.\n",
            env!("CARGO_PKG_VERSION"),
        );
        let none: Vec<String> = without_rule(&plan).iter().map(ToString::to_string).collect();
        if !none.is_empty() {
            let _ = writeln!(
                text,
                "# No command with fixed arguments tells {}: unknown without a login as root, or all commands.",
                none.join(", ")
            );
        }
        if commands.is_empty() {
            text.push_str("# These checks need root for nothing that a rule could name.\n");
        } else if self.doas {
            as_doas(&commands, &self.user, &mut text);
        } else {
            as_sudo(&commands, &self.user, &mut text);
        }
        print(&text)?;
        Ok(ExitStatus::Clean)
    }
}

fn inspects(commands: &[RootCommand]) -> bool {
    commands.iter().any(|command| matches!(command.arguments, Arguments::ThenIds(_)))
}

fn as_sudo(commands: &[RootCommand], user: &str, text: &mut String) {
    let (inspect, exact): (Vec<&RootCommand>, Vec<&RootCommand>) =
        commands.iter().partition(|command| matches!(command.arguments, Arguments::ThenIds(_)));
    let user = escaped(user);
    let mut block = |alias: &str, commands: &[&RootCommand]| {
        let rules: Vec<String> = commands.iter().flat_map(|command| sudo_rule(command)).collect();
        let _ = writeln!(text, "\nCmnd_Alias {alias} = \\\n    {}", rules.join(", \\\n    "));
        // None of them needs another program, or anything of the login's own environment and home.
        let _ = writeln!(text, "Defaults!{alias} noexec, env_reset, !setenv, always_set_home");
        // For sudo on a host where sudoers asks for a terminal. sudo-rs knows no such setting, and would complain.
        let _ = writeln!(text, "# Where sudoers says `Defaults requiretty`: Defaults!{alias} !requiretty");
        let _ = writeln!(text, "{user} ALL = (root) NOPASSWD: {alias}");
    };
    if !exact.is_empty() {
        block("FLEETSCAN", &exact);
    }
    if !inspect.is_empty() {
        block("FLEETSCAN_INSPECT", &inspect);
        let _ = writeln!(
            text,
            "# The rules of FLEETSCAN_INSPECT take ids and nothing else, by a regular expression, which sudo knows since 1.9.10. An older one takes it\n\
             # for words that nobody calls; for sudo-rs, leave the lines out. There, {INSPECTED}\n\
             # stay unknown, unless the login is in the group that owns the Docker socket, which is as good as root."
        );
    }
}

fn as_doas(commands: &[RootCommand], user: &str, text: &mut String) {
    if inspects(commands) {
        let _ = writeln!(
            text,
            "# doas has no patterns, so there is no rule for `docker inspect`, which takes the ids of the host's own containers:\n\
             # {INSPECTED} stay unknown, unless the\n\
             # login is in the group that owns the Docker socket, which is as good as root."
        );
    }
    let user = match user.strip_prefix('%') {
        Some(group) => doas_word(&format!(":{group}")),
        None => doas_word(user),
    };
    text.push('\n');
    for rule in commands.iter().flat_map(doas_rule) {
        let _ = writeln!(text, "permit nopass {user} as root {rule}");
    }
}

/// A name of a user or a group as sudoers(5) wants it.
fn escaped(name: &str) -> String {
    let (sign, name) = match name.strip_prefix('%') {
        Some(group) => ("%", group),
        None => ("", name),
    };
    // Unquoted, a name in capitals is that of an alias where sudoers has one.
    if sign.is_empty() && name.starts_with(|first: char| first.is_ascii_uppercase()) && name.chars().all(in_alias) {
        return format!("\"{name}\"");
    }
    let mut text = sign.to_owned();
    for letter in name.chars() {
        if !letter.is_alphanumeric() && !"-_.$".contains(letter) {
            text.push('\\');
        }
        text.push(letter);
    }
    text
}

fn in_alias(letter: char) -> bool {
    letter.is_ascii_uppercase() || letter.is_ascii_digit() || letter == '_'
}

/// Names of people, not words of the file: `ALL` would give the rules to everyone.
fn who(name: &str) -> Result<String, String> {
    let bare = name.strip_prefix('%').unwrap_or(name);
    let good = |letter: char| letter.is_alphanumeric() || "-_.$@\\ +".contains(letter);
    if bare.is_empty() || bare.starts_with(['-', '+', ' ']) || !bare.chars().all(good) {
        return Err("name a user, or a group as `%GROUP`".to_owned());
    }
    if bare == "ALL" {
        return Err("`ALL` is everyone: name the login of the scan, or a group as `%GROUP`".to_owned());
    }
    Ok(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_name_and_never_a_rule() {
        for (name, expected) in
            [("auditor", "auditor"), ("%audit team", r"%audit\ team"), (r"CORP\audit", r"CORP\\audit"), ("ADMINS", "\"ADMINS\"")]
        {
            assert_eq!(escaped(&who(name).expect("a name")), expected);
        }
        for wrong in ["", "%", "ALL", "%ALL", "-u", "+netgroup", "a,b", "a ALL=(ALL) ALL", "a\nb", "#0"] {
            assert!(who(wrong).is_err(), "{wrong}");
        }
    }
}
