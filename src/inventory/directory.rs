//! Where the text of an inventory comes from: one file, a directory of files, standard input.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use super::format::{self, Format};
use super::graph::{Graph, Origin};
use super::{Complaint, ini, program, ssh_config, yaml};

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
    read_at(graph, path, 0);
}

/// Reads standard input, whatever format it has.
pub(super) fn read_stdin(graph: &mut Graph) {
    let file = graph.text("standard input");
    let mut bytes = Vec::new();
    let whole = Origin { file, line: 0 };
    match io::stdin().lock().take(LARGEST + 1).read_to_end(&mut bytes) {
        Err(error) => graph.problem(whole, Complaint::new(format!("can't be read: {error}"))),
        Ok(_) if bytes.len() as u64 > LARGEST => graph.problem(whole, Complaint::new("is longer than 1 GiB")),
        Ok(_) if format::is_sealed(&bytes) => graph.problem(whole, format::sealed()),
        Ok(_) => match format::of_text(&bytes) {
            Format::SshConfig => {
                let complaint = Complaint::new("is a configuration of OpenSSH, which the connections need as well");
                graph.problem(whole, complaint.hint("name its file: `-i FILE`"));
            }
            format => read_text(graph, file, &bytes, format),
        },
    }
}

fn read_at(graph: &mut Graph, path: &Path, depth: usize) {
    if !path.is_dir() {
        // What is named may be a pipe of the shell's, `-i <(program)`; one that lies in a directory would be waited for without end.
        return read_file(graph, path, if depth == 0 { contents(path) } else { contents_of_file(path) });
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
    let file = graph.file(path);
    graph.problem(Origin { file, line: 0 }, complaint);
}

fn read_file(graph: &mut Graph, path: &Path, contents: Result<(Vec<u8>, bool), Complaint>) {
    let (bytes, executable) = match contents {
        Ok(contents) => contents,
        Err(complaint) => return whole_file_problem(graph, path, complaint),
    };
    match format::of_file(path, &bytes, executable) {
        Ok(Format::Program) => program::read(graph, path, program::Limits::default()),
        Ok(Format::SshConfig) => ssh_config::read(graph, path),
        Ok(format) => {
            let file = graph.file(path);
            read_text(graph, file, &bytes, format);
        }
        Err(complaint) => whole_file_problem(graph, path, complaint),
    }
}

fn read_text(graph: &mut Graph, file: usize, bytes: &[u8], format: Format) {
    let Some(text) = decode(graph, file, bytes) else { return };
    match format {
        Format::Yaml => yaml::read(graph, file, &text, yaml::Syntax::Yaml),
        Format::Json => yaml::read(graph, file, &text, yaml::Syntax::Json),
        Format::Csv => super::csv::read(graph, file, &text),
        Format::Ini | Format::Program | Format::SshConfig => ini::read(graph, file, &text),
    }
}

/// The bytes of a file that was found and not named, and whether it may be executed.
pub(super) fn contents_of_file(path: &Path) -> Result<(Vec<u8>, bool), Complaint> {
    match fs::metadata(path) {
        Ok(metadata) if !metadata.is_file() => {
            Err(Complaint::new("is neither a file nor a directory").hint("take it out of the directory"))
        }
        Ok(_) | Err(_) => contents(path),
    }
}

/// The bytes of a file, and whether it may be executed.
fn contents(path: &Path) -> Result<(Vec<u8>, bool), Complaint> {
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
