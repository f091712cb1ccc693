//! Who may import whom: the table of the house, held against the source.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;

/// The rooms that a room may name, besides itself.
fn allowed() -> BTreeMap<&'static str, Vec<&'static str>> {
    BTreeMap::from([
        ("model", vec![]),
        ("command", vec!["model"]),
        ("ssh_config", vec!["model"]),
        ("inventory", vec!["model", "ssh_config"]),
        ("advisory", vec!["model"]),
        ("check", vec!["model", "advisory"]),
        ("journal", vec!["model"]),
        ("report", vec!["model", "journal"]),
        ("ssh", vec!["model", "command", "ssh_config"]),
        ("local", vec!["model", "command"]),
        ("probe", vec!["model", "command"]),
        ("scan", vec!["model", "command", "ssh", "local", "probe", "check", "journal"]),
        ("simulate", vec!["model", "probe"]),
        (
            "cli",
            vec![
                "model",
                "command",
                "inventory",
                "advisory",
                "check",
                "journal",
                "report",
                "ssh",
                "ssh_config",
                "local",
                "probe",
                "scan",
                "simulate",
            ],
        ),
        ("main", vec!["cli"]),
        ("lib", vec![]),
    ])
}

/// The crates that only some rooms may name.
const CONFINED: &[(&str, &[&str])] = &[
    ("tokio", &["ssh", "local", "scan", "simulate", "cli"]),
    ("russh", &["ssh", "simulate"]),
    ("nix", &["ssh_config", "ssh/auth/passwords.rs", "ssh/permissions.rs", "cli/secrets.rs"]),
    ("rpassword", &["cli/secrets.rs"]),
    ("glob", &["ssh_config"]),
    ("indicatif", &["report/progress.rs"]),
    ("csv", &["report/csv.rs", "inventory/csv.rs"]),
    ("cel", &["check"]),
    ("clap", &["cli", "main.rs"]),
];

fn sources(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).expect("src is readable") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, files);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            files.push(path);
        }
    }
}

/// Every source file: its path below src, its room, and its text without the tests at its end.
fn files() -> Vec<(String, String, String)> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    sources(&src, &mut paths);
    paths
        .into_iter()
        .map(|path| {
            let text = fs::read_to_string(&path).expect("readable");
            let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default().to_owned();
            let below = path.strip_prefix(&src).expect("below src").display().to_string();
            let room = below.split(['/', '.']).next().unwrap_or_default().to_owned();
            (below, room, code)
        })
        .collect()
}

#[test]
fn rooms_import_only_what_the_table_allows() {
    let allowed = allowed();
    let named = Regex::new(r"\b(?:crate|fleetscan)::(?:\{([^}]*)\}|(\w+))").expect("a pattern");
    let mut faults = Vec::new();
    for (file, room, code) in files() {
        let may = allowed.get(room.as_str()).unwrap_or_else(|| panic!("src/{file}: the room `{room}` is not in the table"));
        let code: String =
            code.lines().filter(|line| !line.trim_start().starts_with("//")).map(|line| format!("{line}\n")).collect();
        for found in named.captures_iter(&code) {
            let list = found.get(1).or(found.get(2)).map(|group| group.as_str()).unwrap_or_default();
            for word in
                list.split(',').map(|word| word.trim().split("::").next().unwrap_or_default()).filter(|word| !word.is_empty())
            {
                if word != room && allowed.contains_key(word) && !may.contains(&word) {
                    faults.push(format!("src/{file} names `{word}`"));
                }
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn crates_stay_in_their_rooms() {
    let mut faults = Vec::new();
    for (file, room, code) in files() {
        for (name, places) in CONFINED {
            let named = Regex::new(&format!(r"(?m)^\s*use {name}\b|[^\w:]{name}::")).expect("a pattern");
            let code: String =
                code.lines().filter(|line| !line.trim_start().starts_with("//")).map(|line| format!("{line}\n")).collect();
            // A module of ours may have the name of a crate.
            let ours = code.contains(&format!("mod {name};"));
            let here = ours || places.iter().any(|place| *place == room || *place == file);
            if !here && named.is_match(&code) {
                faults.push(format!("src/{file} names the crate `{name}`"));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
