//! Passwords and passphrases: asked of a person, or read from a file.
//!
//! A person is asked as `ssh` asks (ssh(1), `SSH_ASKPASS`): at the terminal of the process, whatever its standard streams are, or by a program with a window where
//! there is no terminal.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::sys::signal::{SigSet, Signal};

use super::error::Error;
use super::warn;
use crate::model::Secret;
use crate::ssh::{Asker, open_to_others};

/// The longest file of secrets, in bytes.
const LONGEST_FILE: u64 = 64 << 10;

/// Asks for a password, once, without showing what is typed.
///
/// # Errors
/// When there is nobody to ask, and when the answer is empty.
pub(super) fn ask(prompt: &str) -> Result<Secret, Error> {
    let what = prompt.trim_end_matches([':', ' ']);
    let secret = Means::of_environment().ask(prompt).map_err(|error| {
        let error = Error::because(format!("nobody could be asked for the {what}"), error);
        error.hint("name a file with it, or a program in SSH_ASKPASS, with SSH_ASKPASS_REQUIRE=force")
    })?;
    if secret.reveal().is_empty() { Err(Error::new(format!("the {what} that was given is empty"))) } else { Ok(secret) }
}

/// The first line of a file, without its end.
///
/// # Errors
/// When the file can't be read, when others can read it as well, and when there is nothing in it.
pub(super) fn from_file(path: &Path) -> Result<Secret, Error> {
    let text = read(path)?;
    match text.reveal().lines().next() {
        Some(line) if !line.is_empty() => Ok(Secret::new(line)),
        _ => Err(Error::new(format!("the first line of `{}` is empty", path.display()))),
    }
}

/// The lines of a file that are not empty: passphrases, each of them to be tried.
///
/// # Errors
/// As of [`from_file`].
pub(super) fn lines_of(path: &Path) -> Result<Vec<Secret>, Error> {
    let text = read(path)?;
    let lines: Vec<Secret> = text.reveal().lines().filter(|line| !line.is_empty()).map(Secret::new).collect();
    if lines.is_empty() { Err(Error::new(format!("there is no passphrase in `{}`", path.display()))) } else { Ok(lines) }
}

/// Whoever can be asked for passphrases; `None`: nobody.
pub(super) fn asker() -> Option<Asker> {
    let means = Means::of_environment();
    (means != Means::None).then(|| {
        Asker::new(move |question| means.ask(question).map_err(|error| warn(&format!("no passphrase was given: {error}"))).ok())
    })
}

/// A file of secrets.
fn read(path: &Path) -> Result<Secret, Error> {
    let shown = path.display();
    let unreadable = |error: io::Error| Error::because(format!("`{shown}` cannot be read"), error);
    if path == Path::new("-") {
        return Err(
            Error::new("a secret is not read from standard input").hint("name a file, or a pipe such as `<(vault read …)`")
        );
    }
    // Before it is opened: to open a directory or a device may do something.
    let kind = fs::metadata(path).map_err(unreadable)?;
    if kind.is_dir() {
        return Err(Error::new(format!("`{shown}` is a directory, not a file with a secret")));
    }
    let file = File::open(path).map_err(unreadable)?;
    if let Some(mode) = open_to_others(&file.metadata().map_err(unreadable)?) {
        let error = Error::new(format!("`{shown}` holds a secret and is open to others (mode {mode:04o})"));
        return Err(error.hint(format!("`chmod 600 {shown}`")));
    }
    let mut bytes = Vec::new();
    file.take(LONGEST_FILE + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > LONGEST_FILE {
        return Err(Error::new(format!("`{shown}` is too long for a file of secrets")));
    }
    if bytes.starts_with(b"#!") {
        return Err(Error::new(format!("`{shown}` is a program, not a file with a secret")).hint("only its text would be used"));
    }
    String::from_utf8(bytes).map(Secret::new).map_err(|_| Error::new(format!("`{shown}` is not text in UTF-8")))
}

/// How a person can be asked.
#[derive(Debug, PartialEq, Eq)]
enum Means {
    /// At the terminal.
    Terminal,
    /// By this program.
    Program(PathBuf),
    /// Not at all.
    None,
}

impl Means {
    fn of_environment() -> Self {
        let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        let require = variable("SSH_ASKPASS_REQUIRE").and_then(|value| value.into_string().ok()).unwrap_or_default();
        let window = variable("DISPLAY").is_some() || variable("WAYLAND_DISPLAY").is_some();
        // Only a process with a controlling terminal can open it.
        let terminal = OpenOptions::new().read(true).write(true).open("/dev/tty").is_ok();
        Self::choose(&require, variable("SSH_ASKPASS").map(PathBuf::from), window, terminal)
    }

    /// The rule of ssh(1): a program needs a display to show itself on, unless it is forced, and is asked where there is no terminal, unless it is preferred.
    fn choose(require: &str, program: Option<PathBuf>, window: bool, terminal: bool) -> Self {
        let (wanted, allowed) = match require.to_ascii_lowercase().as_str() {
            "force" => (true, true),
            "prefer" => (window, window),
            "never" => (false, false),
            _ => (!terminal, window),
        };
        match program {
            Some(program) if wanted && allowed => Self::Program(program),
            _ if terminal => Self::Terminal,
            _ => Self::None,
        }
    }

    fn ask(&self, prompt: &str) -> io::Result<Secret> {
        match self {
            Self::Terminal => ask_terminal(prompt),
            Self::Program(program) => ask_program(program, prompt),
            Self::None => Err(io::Error::other("there is no terminal, and no askpass program that may be used")),
        }
    }
}

/// Asks at the terminal. Ctrl-C ends the program, as elsewhere, but not before echo is on again: rpassword sends the signal first and puts the terminal right
/// then, so it is held back in between.
fn ask_terminal(prompt: &str) -> io::Result<Secret> {
    let mut interrupt = SigSet::empty();
    interrupt.add(Signal::SIGINT);
    interrupt.thread_block()?;
    let answer = rpassword::prompt_password(prompt).map(Secret::new);
    interrupt.thread_unblock()?;
    answer
}

/// Has a program ask: the first line that it prints, unless it fails, as when its window is closed.
fn ask_program(program: &Path, prompt: &str) -> io::Result<Secret> {
    let named = |what: String| io::Error::other(format!("the askpass program `{}` {what}", program.display()));
    let output = Command::new(program)
        .arg(prompt)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| named(format!("did not start: {error}")))?;
    let said = Secret::new(
        std::ffi::OsString::from_vec(output.stdout).into_string().map_err(|_| named("did not print text".to_owned()))?,
    );
    if !output.status.success() {
        return Err(named("was told to give nothing".to_owned()));
    }
    Ok(Secret::new(said.reveal().lines().next().unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// A file with this text and mode.
    fn file(directory: &Path, text: &[u8], mode: u32) -> PathBuf {
        let path = directory.join("secret");
        let _ = fs::remove_file(&path);
        fs::write(&path, text).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("a mode");
        path
    }

    #[test]
    fn a_secret_is_the_first_line_of_a_file_to_the_last_space() {
        let directory = tempfile::tempdir().expect("a directory");
        for (text, secret) in [("hunter2\n", "hunter2"), ("hunter2", "hunter2"), (" two words \r\nnext\n", " two words ")] {
            let path = file(directory.path(), text.as_bytes(), 0o600);
            assert_eq!(from_file(&path).expect("a secret").reveal(), secret);
        }
    }

    #[test]
    fn a_file_of_passphrases_has_one_in_each_line() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = file(directory.path(), b"first\r\n\n second \n", 0o600);
        let lines: Vec<String> = lines_of(&path).expect("lines").iter().map(|line| line.reveal().to_owned()).collect();
        assert_eq!(lines, ["first", " second "]);
        let report = lines_of(&file(directory.path(), b"\n\n", 0o600)).expect_err("nothing").report();
        assert!(report.contains("there is no passphrase in"), "{report}");
    }

    #[test]
    fn a_file_that_is_no_secret_says_why() {
        let directory = tempfile::tempdir().expect("a directory");
        let long = vec![b'x'; 70_000];
        for (text, mode, said) in [
            (&b"hunter2\n"[..], 0o644, "is open to others (mode 0644)"),
            (b"hunter2\n", 0o640, "`chmod 600 "),
            (b"", 0o600, "is empty"),
            (b"\nhunter2\n", 0o600, "the first line of"),
            (b"#!/bin/sh\necho hunter2\n", 0o700, "is a program"),
            (b"\xff\xfe\n", 0o600, "UTF-8"),
            (&long, 0o600, "too long"),
        ] {
            let report = from_file(&file(directory.path(), text, mode)).expect_err("no secret").report();
            assert!(report.contains(said) && !report.contains("hunter2"), "{said}: {report}");
        }
        for (path, said) in
            [(Path::new("-"), "standard input"), (directory.path(), "directory"), (Path::new("/no/such"), "/no/such")]
        {
            let report = from_file(path).expect_err("no secret").report();
            assert!(report.contains(said), "{said}: {report}");
        }
    }

    #[test]
    fn a_person_is_asked_as_ssh_asks() {
        let program = || Some(PathBuf::from("/bin/askpass"));
        let by_program = || Means::Program("/bin/askpass".into());
        for (require, named, window, terminal, means) in [
            ("", program(), true, true, Means::Terminal),
            ("", program(), true, false, by_program()),
            ("", program(), false, false, Means::None),
            ("", None, true, false, Means::None),
            ("force", program(), false, true, by_program()),
            ("FORCE", program(), false, false, by_program()),
            ("force", None, false, true, Means::Terminal),
            ("prefer", program(), true, true, by_program()),
            ("prefer", program(), false, true, Means::Terminal),
            ("never", program(), true, true, Means::Terminal),
            ("never", program(), true, false, Means::None),
        ] {
            let case = format!("{require} {named:?} window {window} terminal {terminal}");
            assert_eq!(Means::choose(require, named, window, terminal), means, "{case}");
        }
    }

    #[test]
    fn a_program_that_asks_is_given_the_prompt_and_its_first_line_is_the_answer() {
        let directory = tempfile::tempdir().expect("a directory");
        // Copied by another process: a file that this one holds open for writing, if only in a child that another test starts meanwhile, can't be run.
        let program = |body: &str| {
            let text = file(directory.path(), format!("#!/bin/sh\n{body}\n").as_bytes(), 0o700);
            let program = directory.path().join("askpass");
            assert!(Command::new("cp").arg(&text).arg(&program).status().expect("cp").success());
            program
        };
        let asked = program(r#"[ "$1" = "SSH password: " ] && echo hunter2 && echo more"#);
        assert_eq!(ask_program(&asked, "SSH password: ").expect("an answer").reveal(), "hunter2");
        let closed = ask_program(&program("echo hunter2; exit 1"), "x").expect_err("closed").to_string();
        assert!(closed.contains("was told to give nothing") && !closed.contains("hunter2"), "{closed}");
        let none = ask_program(Path::new("/no/such/program"), "x").expect_err("none").to_string();
        assert!(none.contains("`/no/such/program` did not start"), "{none}");
    }
}
