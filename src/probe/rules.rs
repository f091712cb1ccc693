//! What a plan runs as root, written as rules of sudo and of doas.
//!
//! A rule names a program by its absolute path and every argument, so that whoever holds it can do what a scan does and nothing else. Where the script finds a
//! program depends on the host, so each stands there under the paths that distributions give it; a rule for a path that is not there permits nothing.

use std::collections::BTreeSet;

use super::Plan;
use crate::command::{Arguments, Rights, RootCommand};
use crate::model::FactRef;

/// Everything that the plan runs as root where the login is not root, each once, in the order of the plan.
pub fn root_commands(plan: &Plan) -> Vec<RootCommand> {
    let mut known = BTreeSet::new();
    let all = plan.steps().iter().flat_map(|step| step.command.as_root());
    all.filter(|command| known.insert(command.clone())).collect()
}

/// The facts of the plan that need root, and that no command with fixed arguments tells.
pub fn without_rule(plan: &Plan) -> Vec<&FactRef> {
    let told = |fact: &FactRef| super::plan([fact]).is_ok_and(|plan| !root_commands(&plan).is_empty());
    let needs_root = |fact: &FactRef| super::fact_spec(&fact.name).is_some_and(|spec| spec.rights != Rights::Any);
    plan.facts().filter(|fact| needs_root(fact) && !told(fact)).collect()
}

/// The commands as they stand in sudoers(5), behind `NOPASSWD:` or in a `Cmnd_Alias`.
pub fn sudo_rules(plan: &Plan) -> Vec<String> {
    root_commands(plan).iter().flat_map(sudo_rule).collect()
}

/// One command as it stands in sudoers(5), under each of its paths; none where no rule can name it.
pub fn sudo_rule(command: &RootCommand) -> Vec<String> {
    let arguments = match &command.arguments {
        // Without this, any arguments would do.
        Arguments::Exactly(words) if words.is_empty() => Some("\"\"".to_owned()),
        Arguments::Exactly(words) => joined(words),
        // A regular expression (sudo 1.9.10), in such letters that an older sudo takes it for words which nobody calls.
        Arguments::ThenIds(words) => plain(words).then(|| {
            let words = words.join(" ").replace('.', "[.]").replace(':', r"\:");
            format!("^{words}( [0-9a-f]{{64}})+$")
        }),
    };
    let paths = paths(command.program);
    arguments.map(|arguments| paths.iter().map(|path| format!("{path} {arguments}")).collect()).unwrap_or_default()
}

/// One command as a rule of doas.conf(5) names it, under each of its paths; none where no rule can name it, as there are no patterns.
pub fn doas_rule(command: &RootCommand) -> Vec<String> {
    let Arguments::Exactly(words) = &command.arguments else { return Vec::new() };
    if words.iter().any(|word| word.contains('\n')) {
        return Vec::new();
    }
    let arguments: String = words.iter().map(|word| format!(" {}", doas_word(word))).collect();
    // doas compares letters, where sudo compares files: on hosts where /usr/sbin is /usr/bin, the script finds everything in the former.
    let mut paths = paths(command.program);
    if paths[0].starts_with("/usr/bin/") {
        paths.insert(0, format!("/usr/sbin/{}", command.program));
    }
    paths.iter().map(|path| format!("cmd {path} args{arguments}")).collect()
}

/// Where distributions have a program. Not below /usr/local, which is not root's alone everywhere.
fn paths(program: &str) -> Vec<String> {
    let directories: [&str; 2] = match program {
        "auditctl" | "sshd" | "nft" => ["/usr/sbin", "/sbin"],
        "docker" => ["/usr/bin", "/snap/bin"],
        program if program.ends_with("-save") => ["/usr/sbin", "/sbin"],
        _ => ["/usr/bin", "/bin"],
    };
    directories.map(|directory| format!("{directory}/{program}")).into()
}

/// Whether the words mean themselves in a rule and in a regular expression, but for `.` and `:`.
fn plain(words: &[String]) -> bool {
    words
        .iter()
        .all(|word| !word.is_empty() && word.chars().all(|letter| letter.is_ascii_alphanumeric() || "-/.:".contains(letter)))
}

/// Arguments as sudoers(5) wants them. sudo joins the words of a call with spaces and compares the whole with a shell pattern, so a space within a word and
/// an empty word are only told from what stands between words by their `\`; `None` for what cannot be written down. Not
/// so the other way round: whoever holds a rule may join words of the call, so no word may do more when others stand in it. An alternative of a pattern stands in
/// a group.
fn joined(words: &[String]) -> Option<String> {
    let mut text = String::new();
    let mut before: Option<&String> = None;
    for word in words {
        if let Some(before) = before {
            text.push_str(if before.is_empty() || word.is_empty() { "\\ " } else { " " });
        }
        before = Some(word);
        for letter in word.chars() {
            match letter {
                '\n' => return None,
                // Once for the reader of the file, once for the pattern.
                '\\' => text.push_str(r"\\\\"),
                ',' | ':' | '=' | '#' | ' ' | '\t' | '*' | '?' | '[' | ']' => {
                    text.push('\\');
                    text.push(letter);
                }
                letter => text.push(letter),
            }
        }
    }
    Some(text)
}

/// A word as doas.conf(5) wants it: in quotes where it would be taken apart otherwise.
pub fn doas_word(word: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./:@%+,".contains(letter);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("\"{}\"", word.replace('\\', r"\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exactly(words: &[&str]) -> RootCommand {
        RootCommand { program: "grep", arguments: Arguments::Exactly(words.iter().map(|word| (*word).to_owned()).collect()) }
    }

    #[test]
    fn what_means_something_to_sudoers_is_escaped_and_no_arguments_are_not_any() {
        for (words, expected) in [
            (&["-H", ".", "/etc/shadow"][..], "/bin/grep -H . /etc/shadow"),
            (&["-E", "^[^#]*(a|b)?"], r"/bin/grep -E ^\[^\#\]\*(a|b)\?"),
            (&["unix:///run/docker.sock", "{{json .}}", "a=b,c"], r"/bin/grep unix\:///run/docker.sock {{json\ .}} a\=b\,c"),
            (&["-H", "", "/x"], r"/bin/grep -H\ \ /x"),
            (&[r"a\b"], r"/bin/grep a\\\\b"),
            (&[], "/bin/grep \"\""),
        ] {
            assert_eq!(sudo_rule(&exactly(words))[1], expected);
        }
        assert_eq!(sudo_rule(&exactly(&["a\nb"])), Vec::<String>::new());
    }

    #[test]
    fn ids_are_a_pattern_that_an_older_sudo_can_read() {
        let words = ["-H", "unix:///run/docker.sock", "inspect"].map(str::to_owned).to_vec();
        let command = RootCommand { program: "docker", arguments: Arguments::ThenIds(words) };
        let rule = &sudo_rule(&command)[0];
        assert_eq!(rule, r"/usr/bin/docker ^-H unix\:///run/docker[.]sock inspect( [0-9a-f]{64})+$");
        assert_eq!(doas_rule(&command), Vec::<String>::new());
    }

    #[test]
    fn doas_is_told_the_very_letters() {
        let rules = doas_rule(&exactly(&["-c", "%a|%u", "", "say \"\\\""]));
        assert_eq!(rules[1], r#"cmd /usr/bin/grep args -c "%a|%u" "" "say \"\\\"""#);
        assert_eq!(rules.len(), 3);
        assert_eq!(doas_rule(&exactly(&[]))[2], "cmd /bin/grep args");
    }
}
