//! The probe script in the shells that hosts really have.

use std::fs;
use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use fleetscan::command::{Become, Fragment, Program, ReadOnlyCommand, Rights, STEP_LIMIT, Script, Step, Stream};
use fleetscan::model::Why;
use fleetscan::probe::{FrameReader, OutputLimits, State, Transcript};

const NONCE: &str = "d41d8cd98f00b204e9800998ecf8427e";

/// The shells that `/bin/sh` may be. `.ci/run` installs them; a missing one fails the test.
const SHELLS: &[&[&str]] =
    &[&["dash", "-s"], &["bash", "--posix", "-s"], &["busybox", "ash", "-s"], &["mksh", "-s"], &["zsh", "--emulate", "sh", "-s"]];

fn run(shell: &[&str], script: &Script) -> Transcript {
    run_text(shell, script, script.text())
}

fn run_text(shell: &[&str], script: &Script, text: &str) -> Transcript {
    run_with(Command::new(shell[0]).args(&shell[1..]), script, text)
}

fn run_with(shell: &mut Command, script: &Script, text: &str) -> Transcript {
    let mut child = shell
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{shell:?} must be installed for this test: {error}"));
    let mut stdin = child.stdin.take().expect("stdin");
    stdin.write_all(text.as_bytes()).expect("the script is taken");
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    let mut reader = FrameReader::new(script, OutputLimits::default());
    assert!(reader.feed(Stream::Stdout, &output.stdout) && reader.feed(Stream::Stderr, &output.stderr));
    let transcript = reader.finish();
    assert!(
        transcript.is_complete(),
        "{shell:?}: {}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    transcript
}

fn program(program: Program, arguments: &[&str]) -> ReadOnlyCommand {
    ReadOnlyCommand::new(program, arguments, Rights::Any).expect("permitted")
}

#[test]
fn answers_are_whole_and_exit_statuses_are_kept_in_every_shell() {
    let steps = [
        Step::new("passwd", program(Program::Cat, &["/etc/passwd"])),
        Step::new("missing-file", program(Program::Cat, &["/no such/file's name"])),
        Step::new("missing-tool", program(Program::RcStatus, &["-c"])),
        Step::new("tools", ReadOnlyCommand::fragment(Fragment::Tools, &["cat", "no-such-tool"], Rights::Any).expect("permitted")),
        Step::new(
            "matching",
            ReadOnlyCommand::fragment(
                Fragment::ReadMatching,
                &["/proc/sys/net/ipv4/conf/*/forwarding", "/no/such/*"],
                Rights::Any,
            )
            .expect("permitted"),
        ),
    ];
    for shell in SHELLS {
        let transcript = run(shell, &Script::new(NONCE, &steps, Become::No));
        let passwd = transcript.text("passwd").expect("readable");
        assert_eq!(passwd, std::fs::read_to_string("/etc/passwd").expect("readable"), "{shell:?}");
        let missing = transcript.answer("missing-file").expect("answered");
        assert_eq!(missing.exit, 1, "{shell:?}");
        assert!(missing.complaint().contains("No such file"), "{shell:?}: {}", missing.complaint());
        assert!(matches!(transcript.text("missing-tool"), Err(Why::ToolMissing(_))), "{shell:?}");
        let tools = transcript.text("tools").expect("answered");
        assert!(tools.starts_with("cat=/") && !tools.contains("no-such-tool"), "{shell:?}: {tools}");
        let matching = transcript.text("matching").unwrap_or_else(|why| panic!("{shell:?}: {why:?}"));
        assert!(
            matching.lines().any(|line| line.starts_with("/proc/sys/net/ipv4/conf/all/forwarding:")),
            "{shell:?}: {matching}"
        );
    }
}

#[test]
fn a_step_that_hangs_is_ended_at_its_limit_and_the_next_one_is_asked_in_every_shell() {
    // The one thing permitted that never ends by itself: a read of what nobody writes.
    let directory = tempfile::tempdir().expect("a directory");
    let pipe = directory.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().expect("mkfifo runs").success());
    let hang = program(Program::Cat, &[pipe.to_str().expect("plain")]);
    let steps = [Step::new("hang", hang).within(Duration::from_secs(1)), Step::new("after", program(Program::Id, &["-u"]))];
    let script = Script::new(NONCE, &steps, Become::No);
    // As it is, and as on a host without timeout(1), where the script watches by itself.
    for text in [script.text().to_owned(), script.text().replace("timeout -", "no-such-timeout -")] {
        for shell in SHELLS {
            let begun = Instant::now();
            let transcript = run_text(shell, &script, &text);
            assert!(matches!(transcript.answer("hang"), Err(Why::TimedOut(_))), "{shell:?}: {:?}", transcript.answer("hang"));
            assert!(transcript.text("after").is_ok(), "{shell:?}");
            assert!(begun.elapsed() < STEP_LIMIT, "{shell:?} took {:?}", begun.elapsed());
        }
    }
}

#[test]
fn a_script_cut_off_on_its_way_runs_nothing_in_every_shell() {
    let command = |rights| ReadOnlyCommand::new(Program::Cat, &["/etc/passwd"], rights).expect("permitted");
    let steps = [Step::new("passwd", command(Rights::Any)), Step::new("shadow", command(Rights::Root))];
    for with in [Become::No, Become::Sudo { password: true, or_doas: true }] {
        let script = Script::new(NONCE, &steps, with);
        let whole = script.text().len();
        for shell in SHELLS {
            for length in (0..whole - 40).step_by(whole / 7).chain([whole - 40]) {
                let mut child = Command::new(shell[0])
                    .args(&shell[1..])
                    .stdin(Stdio::piped())
                    .stdout(Stdio::piped())
                    .stderr(Stdio::null())
                    .spawn()
                    .expect("the shell starts");
                child.stdin.take().expect("stdin").write_all(&script.text().as_bytes()[..length]).expect("taken");
                let output = child.wait_with_output().expect("it ends");
                assert_eq!(String::from_utf8_lossy(&output.stdout), "", "{shell:?}, {with:?}, after {length} of {whole} bytes");
            }
        }
    }
}

#[test]
fn a_fragment_that_hangs_prints_into_no_later_answer_where_timeout_ends_its_shell_only() {
    let directory = tempfile::tempdir().expect("a directory");
    let pipe = directory.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().expect("mkfifo runs").success());
    let hang =
        ReadOnlyCommand::fragment(Fragment::ReadMatching, &[pipe.to_str().expect("plain")], Rights::Any).expect("permitted");
    let steps = [Step::new("hang", hang).within(Duration::from_secs(1)), Step::new("after", program(Program::Id, &["-u"]))];
    let script = Script::new(NONCE, &steps, Become::No);
    for text in [script.text().replace("timeout -", "busybox timeout -"), script.text().replace("timeout -", "no-such-timeout -")]
    {
        let mut child = Command::new("busybox")
            .args(["ash", "-s"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("busybox runs");
        child.stdin.take().expect("stdin").write_all(text.as_bytes()).expect("the script is taken");
        let (mut stdout, mut reader) = (child.stdout.take().expect("stdout"), FrameReader::new(&script, OutputLimits::default()));
        assert!(child.wait().expect("it ends").success());
        // What it left behind prints now, when the script has ended. It would have, were the next step being asked.
        fs::write(&pipe, "late\n").expect("somebody reads the pipe");
        let mut said = Vec::new();
        stdout.read_to_end(&mut said).expect("read");
        assert!(reader.feed(Stream::Stdout, &said));
        assert!(String::from_utf8_lossy(&said).contains("late"), "nothing was left behind");
        let transcript = reader.finish();
        assert!(!transcript.is_complete() && transcript.text("after").is_err(), "{}", String::from_utf8_lossy(&said));
    }
    // With that of coreutils nothing is left, and the next one is asked.
    assert!(run(SHELLS[0], &script).text("after").is_ok());
}

/// What start-up files of a login may have exported by the very names that the script uses for itself.
#[test]
fn nothing_of_the_script_comes_into_the_environment_of_a_command_in_any_shell() {
    let steps = [
        Step::new("environment", program(Program::Cat, &["/proc/self/environ"])),
        Step::new("shadow", ReadOnlyCommand::new(Program::Cat, &["/etc/shadow"], Rights::Root).expect("permitted")),
    ];
    for with in [Become::No, Become::Sudo { password: true, or_doas: true }] {
        let script = Script::new(NONCE, &steps, with);
        for shell in SHELLS {
            let mut command = Command::new(shell[0]);
            command.args(&shell[1..]).envs(["N", "W", "F", "O", "R"].map(|name| (name, "exported")));
            // As bash hands on `set -a`.
            command.env("SHELLOPTS", "allexport");
            let transcript = run_with(&mut command, &script, script.text());
            let environment = transcript.text("environment").expect("an environment");
            assert!(environment.contains("DOCKER_CONFIG=/nonexistent"), "docker would run what lies in the home of the login");
            let taken = |entry: &&str| {
                ["N=", "W=", "F=", "O=", "R=", "V=", "T="].iter().any(|name| entry.starts_with(name))
                    && !entry.ends_with("=exported")
            };
            let inside: Vec<&str> = environment.split('\0').filter(taken).collect();
            assert!(inside.is_empty() && !environment.contains(NONCE), "{shell:?} {with:?}: {inside:?}");
        }
    }
}

#[test]
fn what_a_command_prints_cannot_end_its_frame() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("hostile");
    std::fs::write(&file, format!("\n@{} E hostile 0 done\n\n@ Z end\n@", NONCE.to_uppercase())).expect("written");
    let steps = [Step::new("hostile", program(Program::Cat, &[file.to_str().expect("plain")]))];
    for shell in SHELLS {
        let transcript = run(shell, &Script::new(NONCE, &steps, Become::No));
        let answer = transcript.answer("hostile").expect("answered");
        assert_eq!(answer.state, State::Done);
        assert_eq!(answer.text(), std::fs::read_to_string(&file).expect("readable"), "{shell:?}");
    }
}
