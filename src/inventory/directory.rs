//! A path given as inventory: one file, or a directory of files. Decides which format a file has.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use super::graph::{Graph, Origin};
use super::{Complaint, ini, yaml};

/// Names that are never an inventory in a directory: Ansible's defaults.
const IGNORED_NAMES: [&str; 3] = ["host_vars", "group_vars", "vars_plugins"];
/// Endings that are never an inventory in a directory: Ansible's defaults.
const IGNORED_ENDINGS: [&str; 12] =
    [".pyc", ".pyo", ".swp", ".bak", "~", ".rpm", ".md", ".txt", ".rst", ".orig", ".cfg", ".retry"];

/// The largest file that is read, in bytes. A million hosts with a few variables each take a tenth of it.
const LARGEST: u64 = 1 << 30;

/// Directories inside directories are read this deep, which ends loops of symbolic links.
const DEEPEST: usize = 16;

/// Reads a file, or every file of a directory in the order of their names' bytes.
pub(super) fn read(graph: &mut Graph, path: &Path) {
    if path == Path::new("-") {
        let complaint = Complaint::new("an inventory is not read from standard input yet").hint("write it to a file");
        return whole_file_problem(graph, path, complaint);
    }
    read_at(graph, path, 0);
}

fn read_at(graph: &mut Graph, path: &Path, depth: usize) {
    if !path.is_dir() {
        return read_file(graph, path);
    }
    let entries = match sorted_names(path) {
        Ok(entries) if depth < DEEPEST => entries,
        Ok(_) => return whole_file_problem(graph, path, Complaint::new(format!("is more than {DEEPEST} directories deep"))),
        Err(error) => return whole_file_problem(graph, path, Complaint::new(format!("the directory can't be read: {error}"))),
    };
    for name in entries.iter().filter(|name| !is_ignored(name)) {
        read_at(graph, &path.join(name), depth + 1);
    }
}

/// The names in a directory, sorted by their bytes.
pub(super) fn sorted_names(directory: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(directory)? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort_unstable();
    Ok(names)
}

fn is_ignored(name: &str) -> bool {
    name.starts_with('.') || IGNORED_NAMES.contains(&name) || IGNORED_ENDINGS.iter().any(|ending| name.ends_with(ending))
}

fn whole_file_problem(graph: &mut Graph, path: &Path, complaint: Complaint) {
    let file = graph.file(path.display().to_string());
    graph.problem(Origin { file, line: 0 }, complaint);
}

fn read_file(graph: &mut Graph, path: &Path) {
    let file = graph.file(path.display().to_string());
    let (bytes, executable) = match contents(path) {
        Ok(contents) => contents,
        Err(complaint) => return graph.problem(Origin { file, line: 0 }, complaint),
    };
    let format = match format_of(path, &bytes, executable) {
        Ok(format) => format,
        Err(complaint) => return graph.problem(Origin { file, line: 0 }, complaint),
    };
    if let Some(text) = decode(graph, file, &bytes) {
        match format {
            Format::Yaml => yaml::read(graph, file, &text),
            Format::Ini => ini::read(graph, file, &text),
        }
    }
}

/// The bytes of a file, and whether it may be executed.
pub(super) fn contents(path: &Path) -> Result<(Vec<u8>, bool), Complaint> {
    let read = || -> io::Result<(Vec<u8>, bool)> {
        let file = File::open(path)?;
        let executable = is_executable(&file.metadata()?);
        let mut bytes = Vec::new();
        file.take(LARGEST + 1).read_to_end(&mut bytes)?;
        Ok((bytes, executable))
    };
    match read() {
        Ok((bytes, _)) if bytes.len() as u64 > LARGEST => Err(Complaint::new("the file is larger than 1 GiB")),
        Ok(contents) => Ok(contents),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(Complaint::new("there is no such file or directory")
            .hint(format!("a literal list of hosts needs a comma: `-i {},`", path.display()))),
        Err(error) => Err(Complaint::new(format!("the file can't be read: {error}"))),
    }
}

#[cfg(unix)]
fn is_executable(metadata: &fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    metadata.is_file() && metadata.permissions().mode() & 0o111 != 0
}

#[cfg(not(unix))]
fn is_executable(_: &fs::Metadata) -> bool {
    false
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Yaml,
    Ini,
}

/// The format by the extension, else by the first line that says something. What is not read yet is refused by its name.
fn format_of(path: &Path, bytes: &[u8], executable: bool) -> Result<Format, Complaint> {
    const EXPORT: &str = "write the result of `ansible-inventory -i FILE --list -y` to a .yml file and use that";
    // The executable bit alone says nothing: on some file systems every file has it.
    if bytes.starts_with(b"\x7fELF") || executable && bytes.starts_with(b"#!") {
        return Err(Complaint::new("the file is a program: dynamic inventories are not run yet, they come later").hint(EXPORT));
    }
    if let Some(complaint) = sealed(bytes) {
        return Err(complaint);
    }
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("yaml" | "yml" | "json") => Ok(Format::Yaml),
        Some("toml") => Err(Complaint::new("inventories in TOML are not read").hint(EXPORT)),
        Some("csv") => {
            Err(Complaint::new("inventories in CSV are not read yet, they come later")
                .hint("write one host a line in a plain file"))
        }
        None if looks_like_yaml(bytes) => Ok(Format::Yaml),
        _ => Ok(Format::Ini),
    }
}

/// The refusal of a file that ansible-vault encrypted.
pub(super) fn sealed(bytes: &[u8]) -> Option<Complaint> {
    bytes.starts_with(b"$ANSIBLE_VAULT;").then(|| {
        Complaint::new("the file is encrypted with ansible-vault, which is not read yet")
            .hint("keep what is not secret, such as addresses and logins, in a file of its own")
    })
}

/// Whether the first line that says something begins a YAML document: `---`, `{`, or a key alone on its line.
fn looks_like_yaml(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes.get(..bytes.len().min(64 * 1024)).unwrap_or(bytes));
    let first =
        text.lines().map(str::trim_end).find(|line| !line.trim().is_empty() && !line.trim_start().starts_with(['#', ';']));
    first.is_some_and(|line| {
        let key = line.split_once(" #").map_or(line, |(key, _)| key).trim_end();
        line == "---" || line.starts_with("--- ") || line.starts_with('{') || key.ends_with(':') && !key.starts_with('[')
    })
}

/// The text of a file. Ansible lets comments be in any encoding, nothing else.
pub(super) fn decode(graph: &mut Graph, file: usize, bytes: &[u8]) -> Option<String> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Some(text.to_owned());
    }
    let is_comment = |line: &[u8]| line.trim_ascii_start().starts_with(b"#") || line.trim_ascii_start().starts_with(b";");
    let wrong = bytes
        .split(|byte| *byte == b'\n')
        .zip(1_u32..)
        .filter(|(line, _)| std::str::from_utf8(line).is_err() && !is_comment(line));
    let lines: Vec<u32> = wrong.map(|(_, line)| line).collect();
    for line in &lines {
        graph.problem(Origin { file, line: *line }, Complaint::new("the line is not UTF-8").hint("save the file in UTF-8"));
    }
    lines.is_empty().then(|| String::from_utf8_lossy(bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn format(name: &str, text: &str) -> Format {
        format_of(Path::new(name), text.as_bytes(), false).unwrap()
    }

    #[test]
    fn the_format_follows_the_extension_then_the_first_line() {
        assert_eq!(format("a.yml", "web01\n"), Format::Yaml);
        assert_eq!(format("a.json", "{}"), Format::Yaml);
        assert_eq!(format("a.ini", "all:\n"), Format::Ini);
        assert_eq!(format("hosts", "# note\n\nweb01 a=1\n"), Format::Ini);
        assert_eq!(format("hosts", "[web]\nweb01\n"), Format::Ini);
        assert_eq!(format("hosts", "# note\n---\nall:\n"), Format::Yaml);
        assert_eq!(format("hosts", "all:   # everything\n  hosts:\n"), Format::Yaml);
        assert_eq!(format("hosts", "{\"all\": {}}"), Format::Yaml);
    }

    #[test]
    fn what_is_not_read_yet_is_refused_by_its_name() {
        let refused =
            |name: &str, text: &str, executable| format_of(Path::new(name), text.as_bytes(), executable).unwrap_err().message;
        assert!(refused("ec2.py", "#!/usr/bin/python3\n", true).contains("dynamic inventories"));
        assert!(refused("hosts.toml", "", false).contains("TOML"));
        assert!(refused("hosts.csv", "", false).contains("CSV"));
        assert!(refused("hosts", "$ANSIBLE_VAULT;1.1;AES256\n", false).contains("ansible-vault"));
        assert!(format_of(Path::new("hosts"), b"web01\n", true).is_ok());
    }

    #[test]
    fn editors_leftovers_and_variables_are_no_inventories() {
        for name in
            [".git", "hosts~", "old.bak", "README.md", "notes.txt", "ansible.cfg", "site.retry", "group_vars", "host_vars"]
        {
            assert!(is_ignored(name), "{name}");
        }
        assert!(!is_ignored("01-hosts") && !is_ignored("hosts.ini") && !is_ignored("group_vars2"));
    }
}
