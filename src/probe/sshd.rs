//! The SSH server: which one, and what is in effect.

use std::collections::{BTreeMap, BTreeSet};

use super::files::glob_matches;
use super::texts::Texts;
use super::{FactSpec, Input, Kind, Output, Probe, Transcript, Wanted, no_secrets, sudo};
use crate::command::{Fragment, Program, ReadOnlyCommand, Rights, Step};
use crate::model::{FactRef, Value, Why};

pub(super) const PROBE: Probe = Probe { name: "sshd", facts: FACTS, needs, steps, parse, redact: no_secrets };

const FACTS: &[FactSpec] = &[
    FactSpec {
        name: "sshd.server",
        key: None,
        kind: Kind::Text,
        unit: None,
        source: "command -v; /proc/PID/cmdline",
        rights: Rights::Any,
        summary: "The SSH server: openssh, dropbear, or none. Where both are installed, the one that runs.",
    },
    FactSpec {
        name: "sshd.version",
        key: None,
        kind: Kind::Text,
        unit: None,
        source: "sshd -V",
        rights: Rights::Any,
        summary: "Version of OpenSSH's server without its portable suffix, such as 9.2.",
    },
    FactSpec {
        name: "sshd.option",
        key: Some("option"),
        kind: Kind::List(&Kind::Text),
        unit: None,
        source: "sshd -T",
        rights: Rights::Root,
        summary: "An option of sshd_config(5) in lower case, as it is in effect outside Match blocks: all its values, empty where the server does not know the option or nothing sets it. For dropbear what its arguments amount to.",
    },
    FactSpec {
        name: "sshd.match_settings",
        key: None,
        kind: Kind::List(&Kind::Record(&[("criteria", Kind::Text), ("option", Kind::Text), ("value", Kind::Text)])),
        unit: None,
        source: "grep /etc/ssh/sshd_config /etc/ssh/sshd_config.d",
        rights: Rights::Any,
        summary: "What the Match blocks of sshd_config(5) set, and for whom.",
    },
];

fn needs(wanted: &Wanted) -> Vec<FactRef> {
    let server = ["sshd.server", "sshd.option", "sshd.match_settings"];
    if wanted.wants_any(&server) {
        vec![FactRef::keyed("tools", "sshd"), FactRef::keyed("tools", "dropbear")]
    } else {
        Vec::new()
    }
}

/// The vendor's part is in /usr/etc on SUSE; Red Hat's drop-in includes the system-wide policy.
const CONFIG_FILES: &[&str] = &[
    "/etc/ssh/sshd_config",
    "/etc/ssh/sshd_config.d/*",
    "/usr/etc/ssh/sshd_config",
    "/usr/etc/ssh/sshd_config.d/*",
    "/etc/crypto-policies/back-ends/opensshserver.config",
];

fn steps(wanted: &Wanted) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut ask = |id: &str, command: Option<ReadOnlyCommand>| steps.extend(command.map(|command| Step::new(id, command)));
    let fragment = |fragment, arguments: &[&str]| ReadOnlyCommand::fragment(fragment, arguments, Rights::Any).ok();
    if wanted.wants_any(&["sshd.server", "sshd.option", "sshd.match_settings"]) {
        ask("ssh-daemons", fragment(Fragment::Processes, &["sshd", "dropbear"]));
    }
    if wanted.wants("sshd.version") {
        ask("sshd-version", ReadOnlyCommand::new(Program::Sshd, &["-V"], Rights::Any).ok());
    }
    if wanted.wants("sshd.option") {
        ask("sshd-effective", ReadOnlyCommand::new(Program::Sshd, &["-T"], Rights::Root).ok());
    }
    if wanted.wants_any(&["sshd.option", "sshd.match_settings"]) {
        ask("sshd-config", fragment(Fragment::ReadOrComplain, CONFIG_FILES));
        steps.extend(sudo::root_texts());
    }
    steps
}

fn parse(input: &Input<'_>, output: &mut Output) {
    let answers = input.answers;
    if input.wanted.wants("sshd.version") {
        output.set("sshd.version", version(answers));
    }
    if !input.wanted.wants_any(&["sshd.server", "sshd.option", "sshd.match_settings"]) {
        return;
    }
    let daemons = daemons(answers);
    let server = server(input, daemons.as_deref());
    output.set("sshd.server", server.clone());
    if input.wanted.wants("sshd.option") {
        let options = server.clone().and_then(|server| match server {
            "openssh" => openssh(answers, daemons.as_deref().unwrap_or_default()),
            "dropbear" => dropbear(daemons.as_deref()),
            _ => Err(Why::ToolMissing("there is no SSH server".to_owned())),
        });
        for name in input.wanted.keys("sshd.option") {
            let values = options.as_ref().map_err(Why::clone).and_then(|options| options.values(name));
            output.set_keyed("sshd.option", name, values);
        }
    }
    if input.wanted.wants("sshd.match_settings") {
        let settings = server.and_then(|server| match server {
            "openssh" => Ok(configured(answers)?.matched),
            _ => Ok(Vec::new()),
        });
        let record = |(criteria, option, value): (String, String, String)| {
            Value::record([("criteria", criteria.into()), ("option", option.into()), ("value", value.into())])
        };
        output.set("sshd.match_settings", settings.map(|settings| Value::list(settings.into_iter().map(record))));
    }
}

/// `OpenSSH_9.2p1 Debian-2+deb12u7, ...`, on standard error; servers before 9.1 print it behind a complaint about `-V`.
fn version(answers: &Transcript) -> Result<String, Why> {
    let answer = answers.answer("sshd-version")?;
    let text = answer.error_text() + &answer.text();
    let version = text.split("OpenSSH_").nth(1).map(|rest| {
        let end = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(rest.len());
        rest[..end].trim_end_matches('.').to_owned()
    });
    version.filter(|version| !version.is_empty()).ok_or_else(|| Why::CouldNotBeParsed("`sshd -V` names no version".to_owned()))
}

/// A running SSH server of the host itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Daemon {
    name: String,
    arguments: Vec<String>,
    in_container: bool,
}

fn daemons(answers: &Transcript) -> Result<Vec<Daemon>, Why> {
    let text = answers.text("ssh-daemons")?;
    let mut daemons: Vec<Daemon> = Vec::new();
    for line in text.lines() {
        if line.starts_with("pid ") {
            daemons.push(Daemon::default());
        }
        let Some(daemon) = daemons.last_mut() else { continue };
        if let Some(name) = line.strip_prefix("name ") {
            daemon.name = name.to_owned();
        } else if let Some(ids) = line.strip_prefix("NSpid:") {
            daemon.in_container = ids.split_whitespace().count() > 1;
        } else if let Some(argument) = line.strip_prefix("arg ") {
            daemon.arguments.push(argument.to_owned());
        }
    }
    daemons.retain(|daemon| !daemon.in_container);
    Ok(daemons)
}

fn server(input: &Input<'_>, daemons: Result<&[Daemon], &Why>) -> Result<&'static str, Why> {
    let installed = |name: &str| input.facts.keyed("tools", name).map(|path| *path != Value::Null);
    let runs = |name: &str| daemons.is_ok_and(|daemons| daemons.iter().any(|daemon| daemon.name == name));
    Ok(match (installed("sshd")?, installed("dropbear")?) {
        (true, true) if runs("dropbear") && !runs("sshd") => "dropbear",
        (true, _) => "openssh",
        (false, true) => "dropbear",
        (false, false) => "none",
    })
}

/// Options of a server by name; what is not there is an empty list, or unknown.
#[derive(Debug, Clone, Default)]
struct Options {
    values: BTreeMap<String, Vec<String>>,
    /// Why an option that is not there is unknown, where it is.
    silence: Option<Why>,
}

impl Options {
    fn values(&self, name: &str) -> Result<Vec<String>, Why> {
        match (self.values.get(name), &self.silence) {
            (Some(values), _) => Ok(values.clone()),
            (None, None) => Ok(Vec::new()),
            (None, Some(why)) => Err(why.clone()),
        }
    }

    /// The first value counts, except where values add up.
    fn add(&mut self, name: String, value: String) {
        let name = current_name(&name).to_owned();
        let values = self.values.entry(name.clone()).or_default();
        if values.is_empty() || ADDS_UP.contains(&name.as_str()) {
            values.push(value);
        }
    }
}

const ADDS_UP: &[&str] = &[
    "port",
    "listenaddress",
    "hostkey",
    "acceptenv",
    "allowusers",
    "allowgroups",
    "denyusers",
    "denygroups",
    "subsystem",
    "setenv",
];

fn current_name(name: &str) -> &str {
    match name {
        "challengeresponseauthentication" | "skeyauthentication" => "kbdinteractiveauthentication",
        name => name,
    }
}

/// What is in effect: the server's own word, else its files. Options on its command line come before both.
fn openssh(answers: &Transcript, daemons: &[Daemon]) -> Result<Options, Why> {
    let arguments = listener_arguments(daemons)?;
    let mut options = match effective(answers) {
        Ok(options) => options,
        Err(why) => configured(answers).map_err(|_| why)?.options,
    };
    for (name, value) in arguments {
        options.values.insert(current_name(&name).to_owned(), vec![value]);
    }
    Ok(options)
}

fn effective(answers: &Transcript) -> Result<Options, Why> {
    let answer = answers.answer("sshd-effective")?;
    if answer.exit != 0 {
        let said = answer.error_text();
        // Without host keys nothing is printed, and only root may read them.
        if said.contains("no hostkeys available") {
            return Err(Why::NeedsRoot("`sshd -T` could not read the host keys".to_owned()));
        }
        answers.text("sshd-effective")?;
    }
    let mut options = Options::default();
    let mut interactive = false;
    for line in answer.text().lines() {
        let (name, value) = line.split_once(' ').unwrap_or((line, ""));
        // Before 8.7 there were two names, and either was enough.
        interactive |= current_name(name) == "kbdinteractiveauthentication" && value == "yes";
        options.add(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    if !options.values.contains_key("permitrootlogin") {
        return Err(Why::CouldNotBeParsed("`sshd -T` does not say `permitrootlogin`".to_owned()));
    }
    if interactive {
        options.values.insert("kbdinteractiveauthentication".to_owned(), vec!["yes".to_owned()]);
    }
    Ok(options)
}

/// `-o NAME=VALUE` of the server that listens. Its title is `sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups`.
fn listener_arguments(daemons: &[Daemon]) -> Result<Vec<(String, String)>, Why> {
    let mut settings: Vec<(String, String)> = Vec::new();
    for daemon in daemons.iter().filter(|daemon| daemon.name == "sshd") {
        let words: Vec<String> = match daemon.arguments.as_slice() {
            [title] if title.starts_with("sshd: ") => {
                let Some((command, _)) = title["sshd: ".len()..].split_once(" [listener]") else { continue };
                command.split_whitespace().map(str::to_owned).collect()
            }
            // `sshd -D -R` and the like serve one connection of the listener, with its arguments.
            words => words.to_vec(),
        };
        let mut words = words.into_iter().skip(1);
        while let Some(word) = words.next() {
            let (flag, attached) = match word.char_indices().nth(2) {
                Some((at, _)) => word.split_at(at),
                None => (word.as_str(), ""),
            };
            if !matches!(flag, "-o" | "-f" | "-C" | "-b" | "-c" | "-E" | "-g" | "-h" | "-k" | "-p" | "-u") {
                continue;
            }
            let value = if attached.is_empty() { words.next().unwrap_or_default() } else { attached.to_owned() };
            match flag {
                "-f" if value != "/etc/ssh/sshd_config" => {
                    return Err(Why::ProbeFailed(format!("the server runs with another configuration, `{value}`")));
                }
                "-o" => {
                    let (name, value) = value.split_once(['=', ' ']).unwrap_or((&value, ""));
                    let name = name.trim().to_ascii_lowercase();
                    // The first value counts here as well.
                    if !settings.iter().any(|(known, _)| *known == name) {
                        settings.push((name, value.trim().to_owned()));
                    }
                }
                _ => {}
            }
        }
    }
    Ok(settings)
}

/// What dropbear(8) does is in its arguments.
fn dropbear(daemons: Result<&[Daemon], &Why>) -> Result<Options, Why> {
    let daemons = daemons.map_err(Why::clone)?;
    let running: Vec<&Daemon> = daemons.iter().filter(|daemon| daemon.name == "dropbear").collect();
    if running.is_empty() {
        return Err(Why::ProbeFailed("dropbear is installed and does not run, so its arguments are not known".to_owned()));
    }
    // Where several run, what any of them allows is allowed.
    let letters = |daemon: &&Daemon| dropbear_flags(&daemon.arguments).into_iter().map(|(letter, _)| letter).collect();
    let flags: Vec<Vec<char>> = running.iter().map(letters).collect();
    let ports: BTreeSet<String> = running.iter().flat_map(|daemon| dropbear_ports(&daemon.arguments)).collect();
    let all = |flag: char| flags.iter().all(|flags| flags.contains(&flag));
    let any = |flag: char| flags.iter().any(|flags| flags.contains(&flag));
    let yes_unless = |forbidden: bool| if forbidden { "no" } else { "yes" };
    let root = match () {
        () if all('w') => "no",
        () if all('g') || all('s') => "without-password",
        () => "yes",
    };
    let forwarding = match (all('j'), all('k')) {
        (true, true) => "no",
        (true, false) => "remote",
        (false, true) => "local",
        (false, false) => "yes",
    };
    let mut options = Options { silence: Some(Why::ProbeFailed("dropbear has no such option".to_owned())), ..Options::default() };
    for (name, value) in [
        ("permitrootlogin", root),
        ("passwordauthentication", yes_unless(all('s'))),
        ("kbdinteractiveauthentication", "no"),
        ("pubkeyauthentication", "yes"),
        ("permitemptypasswords", yes_unless(!any('B'))),
        ("hostbasedauthentication", "no"),
        ("ignorerhosts", "yes"),
        ("permituserenvironment", "no"),
        ("allowtcpforwarding", forwarding),
        ("gatewayports", yes_unless(!any('a'))),
        ("authenticationmethods", "any"),
    ] {
        options.values.insert(name.to_owned(), vec![value.to_owned()]);
    }
    // It has no lists of users and hosts, so nothing of the kind limits anybody.
    for name in ["allowusers", "denyusers", "denygroups"] {
        options.values.insert(name.to_owned(), Vec::new());
    }
    if ports.iter().all(|port| port.parse::<u16>().is_ok()) {
        options.values.insert("port".to_owned(), ports.into_iter().collect());
    } else {
        options.silence = Some(Why::CouldNotBeParsed("a port among dropbear's arguments is no number".to_owned()));
    }
    Ok(options)
}

/// The ports of `-p [ADDRESS:]PORT`; 22 where none is named.
fn dropbear_ports(arguments: &[String]) -> Vec<String> {
    let named = dropbear_flags(arguments).into_iter().filter(|(flag, _)| *flag == 'p');
    let mut ports: Vec<String> = named.filter_map(|(_, value)| Some(value.rsplit(':').next()?.to_owned())).collect();
    if ports.is_empty() {
        ports.push("22".to_owned());
    }
    ports
}

/// The letters of dropbear's arguments, single or joined (`-swF`), each with the word that it takes, if any.
fn dropbear_flags(arguments: &[String]) -> Vec<(char, &str)> {
    let mut flags = Vec::new();
    let mut words = arguments.iter().skip(1);
    while let Some(word) = words.next() {
        let Some(letters) = word.strip_prefix('-') else { continue };
        for (at, letter) in letters.char_indices() {
            if !"bcDdGIKlPprTVW".contains(letter) {
                flags.push((letter, ""));
                continue;
            }
            let attached = letters.get(at + letter.len_utf8()..).unwrap_or_default();
            let value = if attached.is_empty() { words.next().map_or("", String::as_str) } else { attached };
            flags.push((letter, value));
            break;
        }
    }
    flags
}

/// What the files say: options outside Match blocks, and settings within.
#[derive(Debug, Default)]
struct Configured {
    options: Options,
    matched: Vec<(String, String, String)>,
}

/// No honest file includes deeper (sshd stops at 16 as well).
const DEEPEST: usize = 16;

/// What sshd does where no file says otherwise, where that has been the same for all versions and distributions in use.
const DEFAULTS: &[(&str, &str)] = &[
    ("allowtcpforwarding", "yes"),
    ("allowagentforwarding", "yes"),
    ("authenticationmethods", "any"),
    ("clientaliveinterval", "0"),
    ("clientalivecountmax", "3"),
    ("disableforwarding", "no"),
    ("gatewayports", "no"),
    ("hostbasedauthentication", "no"),
    ("ignorerhosts", "yes"),
    ("kbdinteractiveauthentication", "yes"),
    ("logingracetime", "120"),
    ("maxauthtries", "6"),
    ("maxsessions", "10"),
    ("maxstartups", "10:30:100"),
    ("passwordauthentication", "yes"),
    ("permitemptypasswords", "no"),
    ("permittunnel", "no"),
    ("permituserenvironment", "no"),
    ("pubkeyauthentication", "yes"),
    ("strictmodes", "yes"),
    ("x11forwarding", "no"),
];

fn configured(answers: &Transcript) -> Result<Configured, Why> {
    let read = |step| {
        let texts = Texts::of(answers, step)?;
        let mut reader = Reader { texts: &texts, found: Configured::default(), left: 20_000 };
        let main = ["/etc/ssh/sshd_config", "/usr/etc/ssh/sshd_config"];
        for path in main {
            if texts.file(path)?.is_some() {
                reader.file(path, &mut None, 0)?;
                break;
            }
        }
        let options = &mut reader.found.options;
        for (name, value) in DEFAULTS {
            options.values.entry((*name).to_owned()).or_insert_with(|| vec![(*value).to_owned()]);
        }
        for name in ["allowusers", "allowgroups", "denyusers", "denygroups"] {
            options.values.entry(name.to_owned()).or_default();
        }
        options.silence = Some(Why::NeedsRoot("no file sets it, and only `sshd -T` as root tells the default".to_owned()));
        Ok(reader.found)
    };
    match read("sshd-config") {
        Err(Why::NeedsRoot(_)) => read("root-texts"),
        other => other,
    }
}

struct Reader<'a> {
    texts: &'a Texts,
    found: Configured,
    /// How many lines may still be read: files that include each other would multiply.
    left: usize,
}

impl Reader<'_> {
    /// `matched` holds the criteria of the Match block that is open; one that a file opens ends with that file.
    fn file(&mut self, path: &str, matched: &mut Option<String>, depth: usize) -> Result<(), Why> {
        if depth > DEEPEST {
            return Err(Why::CouldNotBeParsed(format!("`{path}`: files of sshd include each other without end")));
        }
        let texts = self.texts;
        let lines = texts.file(path)?.ok_or_else(|| Why::CouldNotBeParsed(format!("`{path}` is included but was not read")))?;
        for line in lines {
            self.left = self
                .left
                .checked_sub(1)
                .ok_or_else(|| Why::CouldNotBeParsed("the files of sshd hold too many lines".to_owned()))?;
            let words = words(line);
            let Some((name, values)) = words.split_first() else { continue };
            let name = name.to_ascii_lowercase();
            match name.as_str() {
                "match" => {
                    let criteria = values.join(" ");
                    // `Match all` is everybody, so what follows is no exception.
                    *matched = if criteria.eq_ignore_ascii_case("all") { None } else { Some(criteria) };
                }
                "include" => {
                    for pattern in values {
                        self.include(pattern, matched, depth)?;
                    }
                }
                _ => {
                    let separately =
                        matches!(name.as_str(), "allowusers" | "allowgroups" | "denyusers" | "denygroups" | "acceptenv");
                    let all = if separately { values.to_vec() } else { vec![values.join(" ")] };
                    for value in all {
                        let value = as_effective(&name, &value);
                        match matched {
                            Some(criteria) => {
                                self.found.matched.push((criteria.clone(), current_name(&name).to_owned(), value));
                            }
                            None => self.found.options.add(name.clone(), value),
                        }
                    }
                }
            }
        }
        Ok(())
    }

    fn include(&mut self, pattern: &str, matched: &Option<String>, depth: usize) -> Result<(), Why> {
        let pattern = if pattern.starts_with('/') { pattern.to_owned() } else { format!("/etc/ssh/{pattern}") };
        let known = |path: &str| CONFIG_FILES.iter().any(|known| glob_of_path(known, path));
        let paths: Vec<String> = if pattern.contains(['*', '?', '[']) {
            let directory = pattern.rsplit_once('/').map_or("", |(directory, _)| directory);
            if !known(&format!("{directory}/x")) {
                return Err(Why::CouldNotBeParsed(format!("`{pattern}` is included but was not read")));
            }
            self.texts.matching(&pattern)?.into_iter().map(|(path, _)| path.to_owned()).collect()
        } else if !known(&pattern) {
            return Err(Why::CouldNotBeParsed(format!("`{pattern}` is included but was not read")));
        } else if self.texts.file(&pattern)?.is_some() {
            vec![pattern]
        } else {
            Vec::new()
        };
        for path in paths {
            self.file(&path, &mut matched.clone(), depth + 1)?;
        }
        Ok(())
    }
}

fn glob_of_path(pattern: &str, path: &str) -> bool {
    match (pattern.rsplit_once('/'), path.rsplit_once('/')) {
        (Some((a, last)), Some((b, name))) => a == b && (last == name || glob_matches(last, name)),
        _ => false,
    }
}

/// `Name value`, `Name=value`, `Name "a value" # comment`.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = line.trim();
    while !rest.is_empty() && !rest.starts_with('#') {
        let (word, after) = if let Some(quoted) = rest.strip_prefix('"') {
            quoted.split_once('"').unwrap_or((quoted, ""))
        } else {
            let blank = |letter: char| letter.is_whitespace() || (words.is_empty() && letter == '=');
            let end = rest.find(blank).unwrap_or(rest.len());
            rest.split_at(end)
        };
        rest = after.trim_start();
        if words.is_empty() {
            rest = rest.strip_prefix('=').unwrap_or(rest).trim_start();
        }
        words.push(word.to_owned());
    }
    words
}

/// The value as `sshd -T` would print it.
fn as_effective(name: &str, value: &str) -> String {
    match name {
        "logingracetime" | "clientaliveinterval" => {
            seconds(value).map_or_else(|| value.to_owned(), |seconds| seconds.to_string())
        }
        "permitrootlogin" if value.eq_ignore_ascii_case("prohibit-password") => "without-password".to_owned(),
        _ if ["yes", "no"].iter().any(|word| value.eq_ignore_ascii_case(word)) => value.to_ascii_lowercase(),
        _ => value.to_owned(),
    }
}

/// A time of sshd_config(5): `90`, `1m30s`, `2h`.
fn seconds(text: &str) -> Option<u64> {
    let (mut total, mut number) = (0u64, None);
    for letter in text.chars() {
        if let Some(digit) = letter.to_digit(10) {
            number = Some(number.unwrap_or(0u64).checked_mul(10)?.checked_add(digit.into())?);
            continue;
        }
        let unit = match letter.to_ascii_lowercase() {
            's' => 1,
            'm' => 60,
            'h' => 3_600,
            'd' => 86_400,
            'w' => 604_800,
            _ => return None,
        };
        total = total.checked_add(number.take()?.checked_mul(unit)?)?;
    }
    total.checked_add(number.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::Facts;
    use crate::probe::script::tests::{answered, answered_with, facts_of, not_run};
    use crate::probe::{Answer, State};

    const OPENSSH: &str = "sshd=/usr/sbin/sshd\n";
    const LISTENER: &str =
        "pid 700\nname sshd\nUid:\t0\t0\t0\t0\nNSpid:\t700\narg sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups\n";
    const EFFECTIVE: &str = "port 22\naddressfamily any\nlistenaddress [::]:22\nlistenaddress 0.0.0.0:22\nusepam yes\nlogingracetime 120\n\
permitrootlogin without-password\npasswordauthentication yes\nkbdinteractiveauthentication no\nbanner none\nmaxstartups 10:30:100\n\
allowusers alice\nallowusers bob@192.0.2.0/24\nsubsystem sftp /usr/lib/openssh/sftp-server\n";

    fn facts(answers: &[(&str, Answer)]) -> Facts {
        let names = [
            "sshd.server",
            "sshd.option[\"permitrootlogin\"]",
            "sshd.option[\"passwordauthentication\"]",
            "sshd.option[\"kbdinteractiveauthentication\"]",
            "sshd.option[\"allowusers\"]",
            "sshd.option[\"port\"]",
            "sshd.option[\"listenaddress\"]",
            "sshd.option[\"persourcepenalties\"]",
            "sshd.option[\"clientaliveinterval\"]",
            "sshd.option[\"allowtcpforwarding\"]",
            "sshd.match_settings",
        ];
        facts_of(&names, answers)
    }

    fn option(facts: &Facts, name: &str) -> Result<String, Why> {
        facts.keyed("sshd.option", name).map(ToString::to_string)
    }

    #[test]
    fn the_word_of_the_server_itself_counts() {
        let facts =
            facts(&[("tools", answered(OPENSSH)), ("ssh-daemons", answered(LISTENER)), ("sshd-effective", answered(EFFECTIVE))]);
        assert_eq!(facts.value("sshd.server"), Ok(&Value::from("openssh")));
        assert_eq!(option(&facts, "permitrootlogin"), Ok("[without-password]".to_owned()));
        assert_eq!(option(&facts, "kbdinteractiveauthentication"), Ok("[no]".to_owned()));
        assert_eq!(option(&facts, "allowusers"), Ok("[alice, bob@192.0.2.0/24]".to_owned()));
        assert_eq!(option(&facts, "listenaddress"), Ok("[[::]:22, 0.0.0.0:22]".to_owned()));
        assert_eq!(option(&facts, "persourcepenalties"), Ok("[]".to_owned()));
    }

    #[test]
    fn before_8_7_either_name_of_interactive_login_is_enough() {
        let text = "permitrootlogin no\nkbdinteractiveauthentication no\nchallengeresponseauthentication yes\n";
        let facts = facts(&[("tools", answered(OPENSSH)), ("ssh-daemons", answered("")), ("sshd-effective", answered(text))]);
        assert_eq!(option(&facts, "kbdinteractiveauthentication"), Ok("[yes]".to_owned()));
    }

    #[test]
    fn options_on_the_command_line_of_the_listener_come_first() {
        let listener = "pid 1\nname sshd\nNSpid:\t1\narg /usr/sbin/sshd\narg -D\narg -oPermitRootLogin=yes\narg -o\narg PasswordAuthentication no\n\
pid 9\nname sshd\nNSpid:\t9\t2\narg /usr/sbin/sshd\narg -oPermitRootLogin=no\n";
        let answers =
            [("tools", answered(OPENSSH)), ("ssh-daemons", answered(listener)), ("sshd-effective", answered(EFFECTIVE))];
        let facts = facts(&answers);
        assert_eq!(option(&facts, "permitrootlogin"), Ok("[yes]".to_owned()));
        assert_eq!(option(&facts, "passwordauthentication"), Ok("[no]".to_owned()));
    }

    #[test]
    fn another_configuration_file_makes_options_unknown() {
        let listener =
            "pid 1\nname sshd\nNSpid:\t1\narg sshd: /usr/sbin/sshd -f /opt/sshd.conf [listener] 0 of 10-100 startups\n";
        let answers =
            [("tools", answered(OPENSSH)), ("ssh-daemons", answered(listener)), ("sshd-effective", answered(EFFECTIVE))];
        assert!(matches!(option(&facts(&answers), "permitrootlogin"), Err(Why::ProbeFailed(_))));
    }

    const FILES: &str = "/etc/ssh/sshd_config:# comment\n/etc/ssh/sshd_config:Include /etc/ssh/sshd_config.d/*.conf\n\
/etc/ssh/sshd_config:PermitRootLogin prohibit-password\n/etc/ssh/sshd_config:PasswordAuthentication=no\n\
/etc/ssh/sshd_config:AllowUsers alice \"bob\" # people\n/etc/ssh/sshd_config:ClientAliveInterval 5m\n\
/etc/ssh/sshd_config:Match User git\n/etc/ssh/sshd_config:    PasswordAuthentication yes\n\
/etc/ssh/sshd_config.d/20-a.conf:Match Address 192.0.2.0/24\n/etc/ssh/sshd_config.d/20-a.conf:PermitRootLogin yes\n\
/etc/ssh/sshd_config.d/10-b.conf:PasswordAuthentication yes\n/etc/ssh/sshd_config.d/old.bak:PermitRootLogin yes\n";
    const MISSING: &str = "grep: /usr/etc/ssh/sshd_config: No such file or directory\n\
grep: /usr/etc/ssh/sshd_config.d/*: No such file or directory\n\
grep: /etc/crypto-policies/back-ends/opensshserver.config: No such file or directory\n";

    #[test]
    fn without_root_or_without_its_directory_the_files_are_read_and_their_first_word_counts() {
        for effective in [
            not_run(State::NeedsRoot),
            answered_with("", "sshd: no hostkeys available -- exiting.\n", 1),
            answered_with("", "Missing privilege separation directory: /run/sshd\n", 255),
        ] {
            let facts = facts(&[
                ("tools", answered(OPENSSH)),
                ("ssh-daemons", answered(LISTENER)),
                ("sshd-effective", effective),
                ("sshd-config", answered_with(FILES, MISSING, 2)),
            ]);
            assert_eq!(option(&facts, "passwordauthentication"), Ok("[yes]".to_owned()), "the drop-in comes first");
            assert_eq!(option(&facts, "permitrootlogin"), Ok("[without-password]".to_owned()));
            assert_eq!(option(&facts, "allowusers"), Ok("[alice, bob]".to_owned()));
            assert_eq!(option(&facts, "clientaliveinterval"), Ok("[300]".to_owned()));
            assert_eq!(option(&facts, "allowtcpforwarding"), Ok("[yes]".to_owned()));
            assert!(option(&facts, "persourcepenalties").is_err(), "its default hangs on the version");
            assert_eq!(
                facts.value("sshd.match_settings").map(ToString::to_string),
                Ok("[{criteria: Address 192.0.2.0/24, option: permitrootlogin, value: yes}, {criteria: User git, option: passwordauthentication, value: yes}]".to_owned())
            );
        }
    }

    #[test]
    fn an_included_file_that_was_not_read_makes_options_unknown() {
        for (text, complaint) in [
            ("/etc/ssh/sshd_config:Include /opt/*.conf\n", ""),
            (
                "/etc/ssh/sshd_config:Include /etc/ssh/sshd_config.d/*.conf\n",
                "grep: /etc/ssh/sshd_config.d/a.conf: Permission denied\n",
            ),
            ("", "grep: /etc/ssh/sshd_config: Permission denied\n"),
        ] {
            let facts = facts(&[
                ("tools", answered(OPENSSH)),
                ("ssh-daemons", answered("")),
                ("sshd-effective", not_run(State::NeedsRoot)),
                ("sshd-config", answered_with(text, complaint, 2)),
                ("root-texts", not_run(State::NeedsRoot)),
            ]);
            assert!(option(&facts, "allowtcpforwarding").is_err(), "{text}{complaint}");
        }
    }

    #[test]
    fn what_dropbear_cannot_limit_is_not_limited_and_its_ports_are_known() {
        for (arguments, port) in [
            ("arg dropbear\narg -R\n", "[22]"),
            ("arg /usr/sbin/dropbear\narg -EFp\narg 10.0.0.1:2222\narg -p[::1]:2200\n", "[2200, 2222]"),
        ] {
            let running = format!("pid 7\nname dropbear\nNSpid:\t7\n{arguments}");
            let facts = facts(&[("tools", answered("dropbear=/usr/sbin/dropbear\n")), ("ssh-daemons", answered(&running))]);
            assert_eq!(option(&facts, "port"), Ok(port.to_owned()), "{arguments}");
            assert_eq!(option(&facts, "allowusers"), Ok("[]".to_owned()));
        }
        let named = "pid 7\nname dropbear\nNSpid:\t7\narg dropbear\narg -p\narg ssh\n";
        let facts = facts(&[("tools", answered("dropbear=/usr/sbin/dropbear\n")), ("ssh-daemons", answered(named))]);
        assert!(option(&facts, "port").is_err());
    }

    #[test]
    fn dropbear_is_what_its_arguments_say() {
        for (arguments, root, password, forwarding) in [
            ("arg dropbear\narg -R\narg -F\n", "[yes]", "[yes]", "[yes]"),
            ("arg /usr/sbin/dropbear\narg -p\narg -s\narg -g\n", "[without-password]", "[yes]", "[yes]"),
            ("arg /usr/sbin/dropbear\narg -swjk\narg -p22\n", "[no]", "[no]", "[no]"),
        ] {
            let running = format!("pid 7\nname dropbear\nNSpid:\t7\n{arguments}");
            let facts = facts(&[("tools", answered("dropbear=/usr/sbin/dropbear\n")), ("ssh-daemons", answered(&running))]);
            assert_eq!(facts.value("sshd.server"), Ok(&Value::from("dropbear")));
            assert_eq!(option(&facts, "permitrootlogin"), Ok(root.to_owned()));
            assert_eq!(option(&facts, "passwordauthentication"), Ok(password.to_owned()));
            assert_eq!(option(&facts, "allowtcpforwarding"), Ok(forwarding.to_owned()));
            assert!(option(&facts, "clientaliveinterval").is_err());
        }
    }

    #[test]
    fn the_version_is_read_also_where_the_option_is_unknown() {
        for (said, exit, version) in [
            ("OpenSSH_9.2p1 Debian-2+deb12u7, OpenSSL 3.0.19 27 Jan 2026\n", 0, "9.2"),
            ("OpenSSH_9.2, OpenSSL 3.0.19 27 Jan 2026\n", 0, "9.2"),
            ("unknown option -- V\nOpenSSH_8.0p1, OpenSSL 1.1.1k  FIPS 25 Mar 2021\nusage: sshd [-46DdeiqTt]\n", 1, "8.0"),
        ] {
            let facts = facts_of(&["sshd.version"], &[("sshd-version", answered_with("", said, exit))]);
            assert_eq!(facts.value("sshd.version"), Ok(&Value::from(version)));
        }
    }

    #[test]
    fn times_are_seconds() {
        assert_eq!(seconds("2m"), Some(120));
        assert_eq!(seconds("1h30m"), Some(5400));
        assert_eq!(seconds("90"), Some(90));
        assert_eq!(seconds("x"), None);
        assert_eq!(seconds("99999999999999999999"), None);
    }

    proptest! {
        #[test]
        fn no_line_makes_a_parser_panic(line in "\\PC*", lines in proptest::collection::vec("(Include|Match|Port|-o|-f|sshd: )?[ =\"#a-z/*.é-]{0,20}", 0..8)) {
            let _ = words(&line);
            let _ = seconds(&line);
            let files: String = lines.iter().map(|line| format!("/etc/ssh/sshd_config:{line}\n")).collect();
            let daemons: String = lines.iter().map(|line| format!("arg {line}\n")).collect();
            let _ = facts(&[
                ("tools", answered(OPENSSH)),
                ("ssh-daemons", answered(&format!("pid 1\nname sshd\n{daemons}pid 2\nname dropbear\n{daemons}"))),
                ("sshd-effective", not_run(State::NeedsRoot)),
                ("sshd-config", answered(&files)),
            ]);
        }
    }
}
