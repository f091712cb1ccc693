//! Which format a text has: by its name where that says it, else by the first line that says something.

use std::path::Path;

use super::Complaint;
use crate::ssh_config::looks_like_ssh_config;

/// What can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// A list of hosts, or Ansible's INI.
    Ini,
    /// YAML of any shape.
    Yaml,
    /// JSON of any shape.
    Json,
    /// A table with a header.
    Csv,
    /// OpenSSH's client configuration.
    SshConfig,
    /// What has to be run and then prints JSON.
    Program,
}

/// What to do about a file that only Ansible reads.
const EXPORT: &str = "`ansible-inventory -i FILE --list | fleetscan scan -i -` lets Ansible read it";

/// How much of a text is looked at.
const BEGINNING: usize = 64 * 1024;

/// The format of a file.
pub(super) fn of_file(path: &Path, bytes: &[u8], executable: bool) -> Result<Format, Complaint> {
    let extension = path.extension().and_then(|extension| extension.to_str()).map(str::to_ascii_lowercase);
    let is_script = bytes.starts_with(b"#!");
    // The executable bit alone says nothing: on some file systems every file has it, and such a file is not run by Ansible either.
    if executable && (is_script || bytes.starts_with(b"\x7fELF")) {
        return Ok(Format::Program);
    }
    if is_sealed(bytes) {
        return Err(sealed());
    }
    if bytes.contains(&0) {
        return Err(Complaint::new("the file is not text").hint("a program that prints an inventory has to be executable"));
    }
    match extension.as_deref() {
        Some("yaml" | "yml") => Ok(Format::Yaml),
        Some("json") => Ok(Format::Json),
        Some("csv") => Ok(Format::Csv),
        Some("ini") => Ok(Format::Ini),
        Some("toml") => Err(Complaint::new("inventories in TOML are not read").hint(EXPORT)),
        _ if is_script => Err(Complaint::new("the file begins as a program does, with `#!`, but is not executable")
            .hint(format!("`chmod +x {}`, or remove that line", path.display()))),
        _ if path.file_name().is_some_and(|name| name == "config" || name == "ssh_config")
            && !begins_section(&beginning(bytes)) =>
        {
            Ok(Format::SshConfig)
        }
        _ => Ok(of_text(bytes)),
    }
}

/// The format of a text without a name that says it.
pub(super) fn of_text(bytes: &[u8]) -> Format {
    let text = beginning(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes));
    let trimmed = text.trim_start();
    if trimmed.starts_with('{') || trimmed.starts_with('[') && !begins_section(&text) {
        Format::Json
    } else if looks_like_ssh_config(&text) && !begins_with_variables(&text) {
        Format::SshConfig
    } else if begins_yaml(&text) {
        Format::Yaml
    } else if super::csv::is_it(&text) {
        Format::Csv
    } else {
        Format::Ini
    }
}

fn beginning(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes.get(..bytes.len().min(BEGINNING)).unwrap_or(bytes)).into_owned()
}

/// The first line that is neither empty nor a comment.
pub(super) fn first_line(text: &str) -> Option<&str> {
    text.lines().map(str::trim_end).find(|line| !line.trim().is_empty() && !line.trim_start().starts_with(['#', ';']))
}

/// Whether the first line that says something is `[web]` or an address in brackets, and no list of JSON.
fn begins_section(text: &str) -> bool {
    first_line(text).is_some_and(|line| {
        let line = line.trim_start();
        let inside = line.strip_prefix('[').and_then(|rest| rest.split_once(']')).map(|(inside, _)| inside);
        inside.is_some_and(|inside| !inside.trim().is_empty() && !inside.contains(['"', '{', '[', ',']))
    })
}

/// Whether the first line that says something is a host with variables, which may be called `host`.
fn begins_with_variables(text: &str) -> bool {
    let second = first_line(text).and_then(|line| line.split_whitespace().nth(1));
    second.is_some_and(|word| word.find('=').is_some_and(|at| at > 0))
}

/// Whether the first line that says something begins a YAML document: `---`, an item, or a key alone on its line.
fn begins_yaml(text: &str) -> bool {
    first_line(text).is_some_and(|line| {
        let key = line.split_once(" #").map_or(line, |(key, _)| key).trim_end();
        line == "---"
            || line.starts_with("--- ")
            || line.starts_with("- ")
            || line.starts_with("%YAML")
            || key.ends_with(':') && !key.starts_with('[')
    })
}

/// Whether ansible-vault encrypted a text.
pub(super) fn is_sealed(bytes: &[u8]) -> bool {
    bytes.starts_with(b"$ANSIBLE_VAULT;")
}

/// The refusal of a text that ansible-vault encrypted.
pub(super) fn sealed() -> Complaint {
    Complaint::new("the file is encrypted with ansible-vault, which only Ansible opens")
        .hint("`ansible-inventory -i INVENTORY --list --ask-vault-pass | fleetscan scan -i -` lets Ansible open it")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn format(name: &str, text: &str) -> Format {
        of_file(Path::new(name), text.as_bytes(), false).unwrap()
    }

    #[test]
    fn the_format_follows_the_extension_then_the_first_line() {
        assert_eq!(format("a.yml", "web01\n"), Format::Yaml);
        assert_eq!(format("a.json", "{}"), Format::Json);
        assert_eq!(format("a.JSON", "[]"), Format::Json);
        assert_eq!(format("a.csv", "name\nweb01\n"), Format::Csv);
        assert_eq!(format("a.ini", "all:\n"), Format::Ini);
        assert_eq!(format("hosts", "# note\n\nweb01 a=1\n"), Format::Ini);
        assert_eq!(format("hosts", "[web]\nweb01\n"), Format::Ini);
        assert_eq!(format("hosts", "[2001:db8::1]:22\n"), Format::Ini);
        assert_eq!(format("hosts", "[a:c].example.com\n"), Format::Ini);
        assert_eq!(format("hosts", "# note\n---\nall:\n"), Format::Yaml);
        assert_eq!(format("hosts", "all:   # everything\n  hosts:\n"), Format::Yaml);
        assert_eq!(format("hosts", "- web01\n- web02\n"), Format::Yaml);
        assert_eq!(format("hosts", "{\"all\": {}}"), Format::Json);
        assert_eq!(format("hosts", "[\"web01\"]"), Format::Json);
        assert_eq!(format("hosts", "[{\"name\": \"web01\"}]"), Format::Json);
        assert_eq!(format("hosts", "[\n  \"web01\"\n]\n"), Format::Json);
        assert_eq!(format("hosts", "name,address\nweb01,192.0.2.1\n"), Format::Csv);
        assert_eq!(format("fleet.txt", "Host web01\n  Port 22\n"), Format::SshConfig);
        assert_eq!(format("config", "# mine\nUser ops\n"), Format::SshConfig);
        assert_eq!(format("config", "[web]\nweb01\n"), Format::Ini);
        assert_eq!(format("hosts", "web01\nHost web02\n"), Format::Ini);
        assert_eq!(format("hosts", "Host web01\n"), Format::SshConfig);
        assert_eq!(format("hosts", "host ansible_host=192.0.2.1\n"), Format::Ini);
        assert_eq!(format("hosts", ""), Format::Ini);
    }

    #[test]
    fn a_program_is_what_is_executable_and_begins_as_one() {
        let of = |name: &str, text: &[u8], executable| of_file(Path::new(name), text, executable);
        assert_eq!(of("ec2.py", b"#!/usr/bin/python3\n", true).unwrap(), Format::Program);
        assert_eq!(of("fleet", b"\x7fELF\0", true).unwrap(), Format::Program);
        assert_eq!(of("hosts", b"web01\n", true).unwrap(), Format::Ini);
        assert_eq!(of("a.yml", b"#!/usr/bin/env ansible-playbook\nall:\n", false).unwrap(), Format::Yaml);
        let refused = |name: &str, text: &[u8]| {
            let complaint = of(name, text, false).unwrap_err();
            format!("{} {}", complaint.message, complaint.hint.unwrap_or_default())
        };
        assert!(refused("ec2.py", b"#!/usr/bin/python3\n").contains("`chmod +x ec2.py`"));
        assert!(refused("fleet", b"\x7fELF\0").contains("not text"));
        assert!(refused("hosts.toml", b"").contains("TOML"));
        assert!(refused("hosts", b"$ANSIBLE_VAULT;1.1;AES256\n").contains("--ask-vault-pass"));
    }
}
