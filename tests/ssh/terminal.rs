//! The program as a person uses it: asked for a password at a real terminal, by a program, from files, or with nobody there to be asked.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::common::{Agent, PASSWORD, Server, executable, keygen, program, public};
use serde_json::Value;

/// A scan of one account of a server, with one check.
struct Scan<'a> {
    server: &'a Server,
    /// The program, its arguments, and what else its environment has.
    arguments: Vec<String>,
    environment: Vec<(&'static str, PathBuf)>,
    /// What the shell of the terminal does then.
    after: &'static str,
}

impl<'a> Scan<'a> {
    fn of(server: &'a Server, more: &[&str]) -> Self {
        let known_hosts = server.known_hosts(&server.known_hosts_line()).display().to_string();
        let inventory = format!("127.0.0.1:{},", server.port());
        let path = server.directory.path();
        let (report, record) = (path.join("report.json").display().to_string(), path.join("record").display().to_string());
        let _ = (fs::remove_file(&report), fs::remove_dir_all(&record));
        let fixed = [
            "scan",
            "-i",
            &inventory,
            "-u",
            "alice",
            "-q",
            "-vv",
            "--known-hosts",
            &known_hosts,
            "--only",
            "acct.duplicate-ids",
            "--host-timeout",
            "60",
            "-o",
            &format!("json={report}"),
            "--record",
            &record,
        ];
        let arguments = fixed.iter().chain(more).map(|argument| (*argument).to_owned()).collect();
        Self { server, arguments, environment: Vec::new(), after: "" }
    }

    fn with(mut self, name: &'static str, value: impl Into<PathBuf>) -> Self {
        self.environment.push((name, value.into()));
        self
    }

    fn command(&self, starter: &[&str]) -> Command {
        let mut words =
            starter.iter().copied().chain([env!("CARGO_BIN_EXE_fleetscan")]).chain(self.arguments.iter().map(String::as_str));
        let mut command = Command::new(words.next().expect("a program"));
        command.args(words).env("HOME", self.server.directory.path()).envs(self.environment.iter().cloned());
        for name in ["SSH_AUTH_SOCK", "SSH_ASKPASS", "SSH_ASKPASS_REQUIRE", "DISPLAY", "WAYLAND_DISPLAY"] {
            if !self.environment.iter().any(|(known, _)| *known == name) {
                command.env_remove(name);
            }
        }
        command
    }

    /// Runs it where there is no terminal. One that waits for somebody is ended, and fails.
    fn alone(&self) -> Output {
        // A session of its own has no terminal.
        self.command(&["timeout", "60", "setsid", "--wait"]).stdin(Stdio::null()).output().expect("it runs")
    }

    /// Runs it at a terminal, where somebody answers these prompts, and gives what stood there.
    fn at_terminal(&self, answers: &[(&str, &str)]) -> String {
        let quoted: Vec<String> = [env!("CARGO_BIN_EXE_fleetscan")]
            .into_iter()
            .chain(self.arguments.iter().map(String::as_str))
            .map(|word| format!("'{}'", word.replace('\'', r"'\''")))
            .collect();
        let mut command = self.command(&[]);
        let mut typing = Command::new(program("script", "bsdutils"));
        typing
            .args(["-q", "-e", "-c", &(quoted.join(" ") + self.after), "/dev/null"])
            .envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        for (name, _) in command.get_envs().filter(|(_, value)| value.is_none()) {
            typing.env_remove(name);
        }
        command = typing;
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("script runs");
        let (mut keyboard, mut screen) = (child.stdin.take().expect("a keyboard"), child.stdout.take().expect("a screen"));
        let shown = std::sync::Arc::new(std::sync::Mutex::new(String::new()));
        let reader = thread::spawn({
            let shown = std::sync::Arc::clone(&shown);
            move || {
                let mut buffer = [0; 4096];
                while let Ok(length @ 1..) = screen.read(&mut buffer) {
                    shown.lock().expect("the screen").push_str(&String::from_utf8_lossy(&buffer[..length]));
                }
            }
        });
        let end = Instant::now() + Duration::from_secs(60);
        let mut seen = 0;
        for (prompt, answer) in answers {
            seen = loop {
                let screen = shown.lock().expect("the screen").clone();
                if let Some(at) = screen[seen..].find(prompt) {
                    break seen + at + prompt.len();
                }
                assert!(Instant::now() < end, "no `{prompt}` in: {screen}");
                thread::sleep(Duration::from_millis(20));
            };
            // The prompt stands there a moment before echo is off.
            thread::sleep(Duration::from_millis(300));
            keyboard.write_all(format!("{answer}\n").as_bytes()).expect("typed");
        }
        child.wait().expect("it ends");
        reader.join().expect("read");
        shown.lock().expect("the screen").clone()
    }

    /// How the host came out.
    fn outcome(&self) -> String {
        let report = fs::read(self.server.directory.path().join("report.json")).expect("a report");
        let report: Value = serde_json::from_slice(&report).expect("JSON");
        let outcome = &report["hosts"][0]["outcome"];
        format!("{}: {}", outcome["reason"].as_str().expect("a reason"), outcome["detail"].as_str().unwrap_or_default())
    }

    /// Everything that was written down.
    fn written(&self) -> String {
        let mut text = String::new();
        let mut directories = vec![self.server.directory.path().join("record")];
        while let Some(directory) = directories.pop() {
            for entry in fs::read_dir(&directory).into_iter().flatten() {
                let path = entry.expect("an entry").path();
                if path.is_dir() {
                    directories.push(path);
                } else {
                    text.push_str(&String::from_utf8_lossy(&fs::read(&path).expect("readable")));
                }
            }
        }
        text + &fs::read_to_string(self.server.directory.path().join("report.json")).unwrap_or_default()
    }
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn secret_file(server: &Server, name: &str, text: &str, mode: u32) -> String {
    let path = server.directory.path().join(name);
    fs::write(&path, text).expect("written");
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("a mode");
    path.display().to_string()
}

#[test]
fn a_password_is_asked_for_at_the_terminal_and_is_nowhere_to_be_seen() {
    let server = Server::with_accounts("");
    let scan = Scan::of(&server, &["-k"]).with("FLEETSCAN_LOG", "trace");
    let screen = scan.at_terminal(&[("SSH password: ", PASSWORD)]);
    assert_eq!(scan.outcome(), "complete: ", "{screen}");
    assert!(server.log().contains("Accepted keyboard-interactive/pam for alice"), "{}", server.log());
    let hexadecimal: String = PASSWORD.bytes().map(|byte| format!("{byte}, ")).collect();
    for place in [&screen, &scan.written()] {
        assert!(!place.contains(PASSWORD) && !place.contains(hexadecimal.trim_end_matches(", ")), "the password is in: {place}");
    }
}

#[test]
fn ctrl_c_at_a_question_ends_the_program_and_leaves_the_terminal_as_it_was() {
    let server = Server::with_accounts("");
    let mut scan = Scan::of(&server, &["-k"]);
    scan.after = "; echo \"status $?\"; stty -a";
    let screen = scan.at_terminal(&[("SSH password: ", "\x03")]);
    assert!(screen.contains("status 130"), "{screen}");
    let settings: Vec<&str> = screen.split_whitespace().collect();
    for setting in ["isig", "icanon", "echo"] {
        assert!(settings.contains(&setting), "no `{setting}` in: {screen}");
    }
    assert_eq!(server.log(), "");
}

#[test]
fn a_passphrase_is_asked_for_at_the_terminal_until_it_is_right() {
    let server = Server::with_accounts("");
    let key = keygen(server.directory.path(), "locked", "ed25519", "a long phrase");
    server.authorize(&public(&key));
    let scan = Scan::of(&server, &["--private-key", key.to_str().expect("a path")]).with("FLEETSCAN_LOG", "trace");
    let question = format!("Passphrase for the key `{}` of 1 host: ", key.display());
    let screen = scan.at_terminal(&[(&question, "a wrong phrase"), (&format!("Wrong. {question}"), "a long phrase")]);
    assert_eq!(scan.outcome(), "complete: ", "{screen}");
    assert!(!screen.contains("a long phrase") && !screen.contains("a wrong phrase"), "{screen}");
}

#[test]
fn where_nobody_can_be_asked_nothing_waits() {
    let server = Server::with_accounts("");
    let key = keygen(server.directory.path(), "locked", "ed25519", "a long phrase");
    let path = key.to_str().expect("a path");
    let output = Scan::of(&server, &["--private-key", path]).alone();
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    let said = format!("the private key `{path}` is encrypted, and no ssh-agent holds it");
    assert!(stderr(&output).contains(&said) && stderr(&output).contains("--passphrase-file"), "{}", stderr(&output));
    let output = Scan::of(&server, &["-k"]).alone();
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    assert!(stderr(&output).contains("nobody could be asked for the SSH password"), "{}", stderr(&output));
    assert_eq!(server.log(), "");
}

#[test]
fn a_program_asks_in_place_of_the_terminal() {
    let server = Server::with_accounts("");
    let key = keygen(server.directory.path(), "locked", "ed25519", "a long phrase");
    server.authorize(&public(&key));
    let asker = server.directory.path().join("asker");
    executable(
        &asker,
        &format!("#!/bin/sh\ncase $1 in SSH*) echo '{PASSWORD}' ;; Pass*) echo 'a long phrase' ;; *) exit 1 ;; esac\n"),
    );
    for more in [&["-k"][..], &["--private-key", key.to_str().expect("a path")]] {
        let scan = Scan::of(&server, more).with("SSH_ASKPASS", &asker).with("SSH_ASKPASS_REQUIRE", "force");
        let output = scan.alone();
        assert_eq!(scan.outcome(), "complete: ", "{more:?}: {}", stderr(&output));
    }
    // Without a display it is not asked unless it is forced, as by ssh.
    let output = Scan::of(&server, &["-k"]).with("SSH_ASKPASS", &asker).alone();
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
}

#[test]
fn passwords_and_passphrases_come_from_files_and_programs() {
    let server = Server::with_accounts("");
    let key = keygen(server.directory.path(), "locked", "ed25519", "a long phrase");
    server.authorize(&public(&key));
    let key = key.to_str().expect("a path");
    let password = secret_file(&server, "password", &format!("{PASSWORD}\n"), 0o600);
    let phrases = secret_file(&server, "phrases", "first\na long phrase\n", 0o600);
    let open = secret_file(&server, "open", &format!("{PASSWORD}\n"), 0o644);
    let command = format!(r#"[ "$FLEETSCAN_HOST $FLEETSCAN_USER" = '127.0.0.1 alice' ] && cat '{password}'"#);
    for more in [
        &["--password-file", &password][..],
        &["--password-command", &command],
        &["--private-key", key, "--passphrase-file", &phrases],
    ] {
        let scan = Scan::of(&server, more);
        let output = scan.alone();
        assert_eq!(scan.outcome(), "complete: ", "{more:?}: {}", stderr(&output));
        assert!(!stderr(&output).contains(PASSWORD) && !scan.written().contains(PASSWORD), "{more:?}");
    }
    for (more, said) in [
        (&["--password-file", &open][..], "is open to others (mode 0644)"),
        (&["--password-file", "-"], "not read from standard input"),
        (&["--passphrase-file", "/no/such/file"], "/no/such/file"),
        (&["--password-file", &password, "-k"], "cannot be used with"),
        (&["--password-file", &password, "--password-command", "true"], "cannot be used with"),
    ] {
        let output = Scan::of(&server, more).alone();
        assert_eq!(output.status.code(), Some(2), "{more:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(said) && !stderr(&output).contains(PASSWORD), "{more:?}: {}", stderr(&output));
    }
}

#[test]
fn an_agent_of_the_environment_serves_a_scan() {
    let server = Server::with_accounts("MaxAuthTries 1");
    let agent = Agent::start();
    agent.add_strangers(5);
    agent.add(&server.user_key, "");
    let named = Path::new(&server.user_key).to_str().expect("a path");
    let scan = Scan::of(&server, &["--private-key", &format!("{named}.pub")]).with("SSH_AUTH_SOCK", &agent.socket);
    let output = scan.alone();
    assert_eq!(scan.outcome(), "complete: ", "{}", stderr(&output));
}
