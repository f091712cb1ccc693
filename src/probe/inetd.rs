//! What inetd and xinetd start when somebody calls: services that are open without a process or a unit of their own.

use std::collections::BTreeMap;

use super::texts::Texts;
use super::{FactSpec, Input, Kind, Output, Probe, Wanted, needs_nothing, no_secrets, sudo};
use crate::command::{Fragment, ReadOnlyCommand, Rights, Step};
use crate::model::{Value, Why};

pub(super) const PROBE: Probe = Probe { name: "inetd", facts: FACTS, needs: needs_nothing, steps, parse, redact: no_secrets };

const FACTS: &[FactSpec] = &[FactSpec {
    name: "inetd.services",
    key: None,
    kind: Kind::List(&Kind::Record(&[("name", Kind::Text), ("command", Kind::Text), ("file", Kind::Text)])),
    unit: None,
    source: "grep /etc/inetd.conf /etc/inetd.d/* /etc/xinetd.conf /etc/xinetd.d/*",
    rights: Rights::Any,
    summary: "Services that inetd.conf(5) or xinetd.conf(5) have switched on, whether or not the super-server runs now: name as in services(5) (telnet, shell, login), command, and the file that says so.",
}];

const FILES: &[&str] = &["/etc/inetd.conf", "/etc/inetd.d/*", XINETD, "/etc/xinetd.d/*"];
const XINETD: &str = "/etc/xinetd.conf";
const XINETD_DIRECTORY: &str = "/etc/xinetd.d";

fn steps(_: &Wanted) -> Vec<Step> {
    let files = ReadOnlyCommand::fragment(Fragment::ReadOrComplain, FILES, Rights::Any).ok();
    files.map(|command| Step::new("inetd-files", command)).into_iter().chain(sudo::root_texts()).collect()
}

fn parse(input: &Input<'_>, output: &mut Output) {
    let read = |step| Texts::of(input.answers, step).and_then(|texts| services(&texts));
    let services = match read("inetd-files") {
        Err(why @ Why::NeedsRoot(_)) => read("root-texts").map_err(|_| why),
        other => other,
    };
    output.set("inetd.services", services.map(|services| Value::list(services.into_iter().map(Service::value))));
}

#[derive(Debug, PartialEq, Eq)]
struct Service {
    name: String,
    command: String,
    file: String,
}

impl Service {
    fn value(self) -> Value {
        Value::record([("name", self.name.into()), ("command", self.command.into()), ("file", self.file.into())])
    }
}

fn services(texts: &Texts) -> Result<Vec<Service>, Why> {
    let mut services = Vec::new();
    for pattern in ["/etc/inetd.conf", "/etc/inetd.d/*"] {
        for (path, lines) in texts.matching(pattern)? {
            services.extend(lines.into_iter().filter_map(|line| inetd_service(line, path)));
        }
    }
    services.extend(xinetd_services(texts)?);
    Ok(services)
}

/// `SERVICE TYPE PROTOCOL WAIT USER PROGRAM ARGUMENTS...`, where the service may come behind the address it is bound to.
fn inetd_service(line: &str, file: &str) -> Option<Service> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [name, _, _, _, _, command @ ..] = words.as_slice() else { return None };
    if name.starts_with('#') || command.is_empty() {
        return None;
    }
    let name = name.rsplit(':').next().unwrap_or(name);
    Some(Service { name: name.to_owned(), command: command.join(" "), file: file.to_owned() })
}

/// A block of xinetd.conf(5), `service NAME { ... }` or `defaults { ... }`: what it sets.
#[derive(Debug, Default)]
struct Block {
    name: Option<String>,
    settings: BTreeMap<String, Vec<String>>,
    file: String,
}

impl Block {
    fn words(&self, setting: &str) -> &[String] {
        self.settings.get(setting).map_or(&[], Vec::as_slice)
    }
}

/// The directory is read only where the main file says so; what else it includes was not read.
fn xinetd_services(texts: &Texts) -> Result<Vec<Service>, Why> {
    let Some(main) = texts.file(XINETD)? else { return Ok(Vec::new()) };
    let mut directory = false;
    for line in &main {
        let mut words = line.split_whitespace();
        match (words.next(), words.next()) {
            (Some("includedir"), Some(path)) if path.trim_end_matches('/') == XINETD_DIRECTORY => directory = true,
            (Some("include" | "includedir"), Some(path)) => {
                return Err(Why::CouldNotBeParsed(format!("`{XINETD}` includes `{path}`, which was not read")));
            }
            _ => {}
        }
    }
    let mut blocks = Vec::new();
    xinetd_blocks(&main, XINETD, &mut blocks);
    if directory {
        for (path, lines) in texts.matching("/etc/xinetd.d/*")? {
            let name = path.rsplit('/').next().unwrap_or_default();
            // Leftovers of editors and of package managers are passed over, as by xinetd.
            if !name.contains('.') && !name.ends_with('~') {
                xinetd_blocks(&lines, path, &mut blocks);
            }
        }
    }
    let defaults = |setting: &str| -> Vec<String> {
        blocks.iter().filter(|block| block.name.is_none()).flat_map(|block| block.words(setting)).cloned().collect()
    };
    let (disabled, enabled) = (defaults("disabled"), defaults("enabled"));
    let service = |block: &Block| {
        let name = block.name.clone()?;
        let id = block.words("id").first().unwrap_or(&name);
        let is_off = block.words("disable").first().is_some_and(|word| word == "yes")
            || disabled.contains(id)
            || (!enabled.is_empty() && !enabled.contains(id));
        let command = [block.words("server"), block.words("server_args")].concat().join(" ");
        let command = if command.is_empty() { "internal".to_owned() } else { command };
        (!is_off).then(|| Service { name, command, file: block.file.clone() })
    };
    Ok(blocks.iter().filter_map(service).collect())
}

fn xinetd_blocks(lines: &[&str], file: &str, blocks: &mut Vec<Block>) {
    let mut open: Option<Block> = None;
    for line in lines {
        let words: Vec<&str> = line.split_whitespace().collect();
        match (words.as_slice(), &mut open) {
            (["service", name, ..], _) => {
                open = Some(Block { name: Some((*name).to_owned()), file: file.to_owned(), ..Block::default() });
            }
            (["defaults", ..], _) => open = Some(Block { file: file.to_owned(), ..Block::default() }),
            (["}", ..], _) => blocks.extend(open.take()),
            ([setting, "=", values @ ..], Some(block)) => {
                let values = values.iter().map(|value| (*value).to_owned()).collect();
                block.settings.insert((*setting).to_owned(), values);
            }
            ([setting, "+=", values @ ..], Some(block)) => {
                let values = values.iter().map(|value| (*value).to_owned());
                block.settings.entry((*setting).to_owned()).or_default().extend(values);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::script::Answer;
    use crate::probe::script::tests::{answered, answered_with, facts_of};
    use proptest::prelude::*;

    const ABSENT: &str = "grep: /etc/inetd.conf: No such file or directory\ngrep: /etc/inetd.d/*: No such file or directory\n\
        grep: /etc/xinetd.conf: No such file or directory\ngrep: /etc/xinetd.d/*: No such file or directory\n";

    fn found(answer: Answer) -> Result<Vec<String>, Why> {
        let facts = facts_of(&["inetd.services"], &[("inetd-files", answer)]);
        let text = |service: &Value| {
            ["name", "command", "file"].map(|name| service.field(name).expect("a field").to_string()).join(" | ")
        };
        facts.value("inetd.services").map(|services| services.as_list().expect("a list").iter().map(text).collect())
    }

    #[test]
    fn without_files_nothing_is_started() {
        assert_eq!(found(answered_with("", ABSENT, 2)), Ok(Vec::new()));
    }

    #[test]
    fn a_line_of_inetd_that_is_no_comment_starts_a_service() {
        let text = "/etc/inetd.conf:# <service_name> <sock_type> <proto> <flags> <user> <server_path> <args>\n/etc/inetd.conf:\n\
            /etc/inetd.conf:#<off># netbios-ssn stream tcp nowait root /usr/sbin/tcpd /usr/sbin/smbd\n\
            /etc/inetd.conf:#:STANDARD: These are standard services.\n\
            /etc/inetd.conf:telnet\tstream\ttcp\tnowait\troot\t/usr/sbin/tcpd\t/usr/sbin/telnetd\n\
            /etc/inetd.conf:127.0.0.1:shell stream tcp nowait root internal\n";
        assert_eq!(
            found(answered_with(text, ABSENT, 2)),
            Ok(vec![
                "telnet | /usr/sbin/tcpd /usr/sbin/telnetd | /etc/inetd.conf".to_owned(),
                "shell | internal | /etc/inetd.conf".to_owned()
            ])
        );
    }

    #[test]
    fn of_xinetd_what_is_not_disabled_is_on() {
        let text = "/etc/xinetd.conf:defaults\n/etc/xinetd.conf:{\n/etc/xinetd.conf:\tdisabled = tftp\n/etc/xinetd.conf:}\n\
            /etc/xinetd.conf:includedir /etc/xinetd.d\n\
            /etc/xinetd.d/rsync:service rsync\n/etc/xinetd.d/rsync:{\n/etc/xinetd.d/rsync:\tdisable = yes\n/etc/xinetd.d/rsync:}\n\
            /etc/xinetd.d/telnet:# default: on\n/etc/xinetd.d/telnet:service telnet\n/etc/xinetd.d/telnet:{\n\
            /etc/xinetd.d/telnet:\tdisable\t= no\n/etc/xinetd.d/telnet:\tserver = /usr/sbin/in.telnetd\n/etc/xinetd.d/telnet:}\n\
            /etc/xinetd.d/telnet.rpmsave:service telnet\n/etc/xinetd.d/telnet.rpmsave:{\n/etc/xinetd.d/telnet.rpmsave:}\n\
            /etc/xinetd.d/tftp:service tftp\n/etc/xinetd.d/tftp:{\n/etc/xinetd.d/tftp:}\n";
        assert_eq!(found(answered(text)), Ok(vec!["telnet | /usr/sbin/in.telnetd | /etc/xinetd.d/telnet".to_owned()]));
        let without_directory = text.replace("includedir /etc/xinetd.d", "");
        assert_eq!(found(answered(&without_directory)), Ok(Vec::new()));
        let elsewhere = text.replace("includedir /etc/xinetd.d", "includedir /srv/xinetd.d");
        assert!(matches!(found(answered(&elsewhere)), Err(Why::CouldNotBeParsed(_))));
    }

    #[test]
    fn files_that_the_login_may_not_read_are_read_by_root_or_unknown() {
        let closed =
            answered_with("", &ABSENT.replace("xinetd.conf: No such file or directory", "xinetd.conf: Permission denied"), 2);
        assert!(matches!(found(closed.clone()), Err(Why::NeedsRoot(_))));
        let root = "/etc/sudoers:root ALL=(ALL) ALL\n/etc/xinetd.conf:service login\n/etc/xinetd.conf:{\n/etc/xinetd.conf:}\n";
        let facts = facts_of(&["inetd.services"], &[("inetd-files", closed), ("root-texts", answered(root))]);
        assert_eq!(facts.value("inetd.services").map(|services| services.as_list().map(<[Value]>::len)), Ok(Some(1)));
    }

    proptest! {
        #[test]
        fn no_answer_makes_the_parsers_panic(text in "(/etc/x?inetd.conf:(service |defaults|\\{|\\}|id = |disable \\+= )?\\PC{0,20}( \\PC{0,9}){0,7}\n){0,20}") {
            let _ = found(answered(&text));
        }
    }
}
