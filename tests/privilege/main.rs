//! How a login becomes root, with the real sudo and the real doas, in the shells that hosts have.

#[expect(dead_code, reason = "shared with tests that need other parts of it")]
#[path = "../ssh/common.rs"]
mod common;
mod machine;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use fleetscan::check::{CheckSet, Source};
use fleetscan::command::{Arguments, Become, Fragment, Program, ReadOnlyCommand, Rights, Script, Step};
use fleetscan::model::{Privilege, Why};
use fleetscan::probe::{self, Transcript, root_commands};
use fleetscan::{cli, scan};
use machine::{Machine, PASSWORD, Served, USER};
use serde_json::Value;

const NONCE: &str = "d41d8cd98f00b204e9800998ecf8427e";

/// What /bin/sh may be. `.ci/run` installs them; a missing one fails the test.
const SHELLS: &[&str] = &["dash", "bash", "busybox", "mksh", "zsh"];

const ANY: Become = Become::Sudo { password: false, or_doas: true };
const WITH_PASSWORD: Become = Become::Sudo { password: true, or_doas: true };

/// A command that any login may run, one that needs root, and a fragment with one in it.
fn steps() -> Vec<Step> {
    vec![
        Step::new("id", ReadOnlyCommand::new(Program::Id, &["-u"], Rights::Any).expect("permitted")),
        Step::new(
            "shadow",
            ReadOnlyCommand::new(Program::Grep, &["-H", "^root:", "/etc/shadow"], Rights::Root).expect("permitted"),
        ),
        Step::new("docker", ReadOnlyCommand::fragment::<&str>(Fragment::DockerRoot, &[], Rights::Docker).expect("permitted")),
    ]
}

/// The rules for exactly those.
const EXACTLY: &str =
    r"/usr/bin/grep -H ^root\: /etc/shadow, /usr/local/bin/docker -H unix\:///run/docker.sock info --format {{.DockerRootDir}}";

/// A client of Docker that says who runs it, and starts no other program for that.
fn docker(machine: &Machine) {
    let path = machine.at("bin/docker");
    let text = "#!/bin/sh\nwhile read -r key uid _; do [ \"$key\" != Uid: ] || echo \"/data-of-$uid\"; done </proc/$$/status\n";
    fs::write(&path, text).expect("written");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("permissions");
}

/// Whether everything was answered as root answers it, and the rest as the login does.
fn assert_answered(transcript: &Transcript, case: &str) {
    assert_eq!(transcript.text("id").as_deref(), Ok("4242\n"), "{case}");
    let shadow = transcript.text("shadow").unwrap_or_else(|why| panic!("{case}: {why:?}"));
    assert!(shadow.starts_with("/etc/shadow:root:"), "{case}: {shadow}");
    let docker = transcript.answer("docker").unwrap_or_else(|why| panic!("{case}: {why:?}"));
    assert!(docker.text().starts_with("root /data-of-0\n"), "{case}: {}", docker.text());
}

/// Why it was not.
fn why_not(transcript: &Transcript, case: &str) -> String {
    assert_eq!(transcript.text("id").as_deref(), Ok("4242\n"), "{case}");
    let whys = ["shadow", "docker"].map(|step| match transcript.text(step) {
        Err(Why::NeedsRoot(detail)) => detail,
        other => panic!("{case}: {step}: {other:?}"),
    });
    whys[0].clone()
}

/// In each shell at the same time.
fn in_every_shell(test: impl Fn(&Machine, &str) + Sync) {
    thread::scope(|scope| {
        for shell in SHELLS {
            let test = &test;
            scope.spawn(move || {
                let machine = Machine::with_shell(Some(shell));
                docker(&machine);
                test(&machine, shell);
            });
        }
    });
}

#[test]
fn root_is_reached_by_the_cheapest_way_that_the_rules_leave_open_in_every_shell() {
    let rule = |what: &str| format!("auditor ALL=(root) {what}");
    let exactly = rule(&format!("NOPASSWD: {EXACTLY}"));
    let exactly_with_password = rule(EXACTLY);
    let noexec = |rules: String| format!("Defaults:auditor noexec\n{rules}");
    let all = rule("NOPASSWD: ALL");
    let cases = [
        ("any command", all.clone(), None, Privilege::SudoShell),
        ("any command, with a pseudoterminal", format!("Defaults use_pty\n{all}"), None, Privilege::SudoShell),
        ("any command, noexec", noexec(all.clone()), None, Privilege::Sudo),
        ("exact commands", exactly.clone(), None, Privilege::Sudo),
        ("exact commands, and a password that is not asked for", exactly, Some("not even right"), Privilege::Sudo),
        ("any command, a password that sudo does not want", all, Some("no password"), Privilege::SudoShell),
        ("any command with a password", rule("ALL"), Some(PASSWORD), Privilege::SudoShell),
        ("any command with a password, noexec", noexec(rule("ALL")), Some(PASSWORD), Privilege::Sudo),
        ("exact commands with a password", exactly_with_password, Some(PASSWORD), Privilege::Sudo),
        (
            "any command with a password, one without",
            format!("{}\n{}", rule("NOPASSWD: /bin/true"), rule("ALL")),
            Some(PASSWORD),
            Privilege::SudoShell,
        ),
        (
            "any command with a password, one without in the same line",
            rule("NOPASSWD: /bin/true, PASSWD: ALL"),
            Some(PASSWORD),
            Privilege::SudoShell,
        ),
    ];
    in_every_shell(|machine, shell| {
        for (case, rules, password, expected) in &cases {
            let case = format!("{shell}: {case}");
            machine.rules(rules);
            let before = machine.state();
            let with = if password.is_some() { WITH_PASSWORD } else { ANY };
            let transcript = machine.ask(&Script::new(NONCE, &steps(), with), *password);
            assert_answered(&transcript, &case);
            assert_eq!(transcript.privilege(&steps(), true), *expected, "{case}");
            machine.assert_as(&before, &case);
        }
    });
}

#[test]
fn a_login_without_the_right_is_told_why_and_answers_the_rest_in_every_shell() {
    let cases = [
        ("no rule", "", None, "a password is required"),
        ("a password that nobody gave", "auditor ALL=(ALL) ALL", None, "a password is required"),
        ("another password", "auditor ALL=(ALL) ALL", Some("another"), "sudo did not accept the password"),
        (
            "the password of somebody else",
            "Defaults targetpw\nauditor ALL=(ALL) ALL",
            Some(PASSWORD),
            "sudo did not accept the password",
        ),
        ("a terminal", "Defaults requiretty\nauditor ALL=(ALL) NOPASSWD: ALL", None, "you must have a tty"),
        (
            "a terminal, with a password",
            "Defaults requiretty\nauditor ALL=(ALL) ALL",
            Some(PASSWORD),
            "sudo refused before it looked at the password (sudo: sorry, you must have a tty to run sudo)",
        ),
        ("no rule, with a password", "", Some(PASSWORD), "auditor is not in the sudoers file"),
        ("a rule for something else", "auditor ALL=(ALL) /bin/true", Some(PASSWORD), "is not allowed to execute"),
    ];
    in_every_shell(|machine, shell| {
        for (case, rules, password, expected) in cases {
            let case = format!("{shell}: {case}");
            machine.rules(rules);
            let before = machine.state();
            let with = if password.is_some() { WITH_PASSWORD } else { ANY };
            let transcript = machine.ask(&Script::new(NONCE, &steps(), with), password);
            let why = why_not(&transcript, &case);
            assert!(why.contains(expected), "{case}: {why}");
            assert_eq!(transcript.privilege(&steps(), true), Privilege::User, "{case}");
            machine.assert_as(&before, &case);
        }
    });
}

#[test]
fn doas_serves_where_there_is_a_rule_without_a_password_in_every_shell() {
    let exactly = "permit nopass auditor as root cmd /usr/bin/grep args -H ^root: /etc/shadow\n\
                   permit nopass auditor as root cmd /usr/local/bin/docker args -H unix:///run/docker.sock info --format \"{{.DockerRootDir}}\"\n";
    let cases = [
        ("any command", "permit nopass auditor\n", Ok(Privilege::DoasShell)),
        ("any command, with the login's environment", "permit nopass keepenv auditor as root\n", Ok(Privilege::DoasShell)),
        ("exact commands", exactly, Ok(Privilege::Doas)),
        ("a password", "permit auditor as root\n", Err("its rule needs `nopass`")),
        ("nobody", "permit nopass root as root\n", Err("doas: Operation not permitted")),
    ];
    in_every_shell(|machine, shell| {
        // sudo is there and knows nothing of the login: what was asked for is asked, and nothing else.
        for (case, rules, expected) in cases {
            let case = format!("{shell}: {case}");
            machine.doas(Some(rules));
            let before = machine.state();
            let transcript = machine.ask(&Script::new(NONCE, &steps(), Become::Doas), None);
            match expected {
                Ok(privilege) => {
                    assert_answered(&transcript, &case);
                    assert_eq!(transcript.privilege(&steps(), true), privilege, "{case}");
                }
                Err(said) => {
                    let why = why_not(&transcript, &case);
                    assert!(why.contains(said), "{case}: {why}");
                    assert_eq!(transcript.privilege(&steps(), true), Privilege::User, "{case}");
                }
            }
            machine.assert_as(&before, &case);
        }
    });
}

#[test]
fn a_password_is_taken_to_the_letter_in_every_shell() {
    let passwords = [
        " leading and trailing ",
        r#"back\slash \n \\ 'single' "double" `tick` $HOME $(id) %s #!*?[a]~"#,
        "-n",
        "Ü\u{c1}\u{c8}\u{101} \u{1f512} \u{7f}",
        "\t\u{1}\u{1b}[31m",
    ];
    in_every_shell(|machine, shell| {
        machine.rules("auditor ALL=(root) ALL");
        for password in passwords {
            machine.password(password);
            let transcript = machine.ask(&Script::new(NONCE, &steps(), WITH_PASSWORD), Some(password));
            assert_answered(&transcript, &format!("{shell}: {password:?}"));
        }
        machine.rules(&format!("auditor ALL=(root) {EXACTLY}"));
        for password in passwords {
            machine.password(password);
            let transcript = machine.ask(&Script::new(NONCE, &steps(), WITH_PASSWORD), Some(password));
            assert_answered(&transcript, &format!("{shell}: exact commands: {password:?}"));
        }
    });
}

#[test]
fn a_wrong_password_counts_once_against_the_account_and_no_password_does_not() {
    let machine = Machine::new();
    docker(&machine);
    machine.rules("auditor ALL=(root) ALL");
    let stack = "auth required pam_faillock.so preauth deny=2\nauth [success=1 default=ignore] pam_unix.so\n\
                 auth [default=die] pam_faillock.so authfail deny=2\nauth required pam_permit.so\n";
    fs::write(machine.at("etc/pam.d/common-auth"), stack).expect("written");
    let failures = || {
        let tally = common::output(machine.root("faillock").args(["--user", USER]));
        tally.lines().filter(|line| line.starts_with("20")).count()
    };
    let script = Script::new(NONCE, &steps(), WITH_PASSWORD);
    for count in 1..=2 {
        let why = why_not(&machine.ask(&script, Some("another")), "wrong");
        assert_eq!(why, "sudo did not accept the password; `grep -H '^root:' /etc/shadow` needs root");
        assert_eq!(failures(), count);
    }
    let why = why_not(&machine.ask(&script, Some(PASSWORD)), "locked");
    assert!(why.starts_with("sudo did not accept the password; "), "{why}");
    // Without a password, sudo asks PAM nothing.
    let before = failures();
    why_not(&machine.ask(&Script::new(NONCE, &steps(), ANY), None), "no password");
    assert_eq!(failures(), before);
}

#[test]
fn a_lecture_insults_and_a_prompt_of_its_own_confuse_nobody() {
    let machine = Machine::new();
    docker(&machine);
    for defaults in ["lecture=always", "insults", "passprompt=\"[%u] pass: \", passprompt_override", "badpass_message=\"No.\""] {
        for (rule, privilege) in [("ALL", Privilege::SudoShell), (EXACTLY, Privilege::Sudo)] {
            machine.rules(&format!("Defaults {defaults}\nauditor ALL=(root) {rule}"));
            let before = machine.state();
            let transcript = machine.ask(&Script::new(NONCE, &steps(), WITH_PASSWORD), Some(PASSWORD));
            assert_answered(&transcript, defaults);
            assert_eq!(transcript.privilege(&steps(), true), privilege);
            match defaults {
                // sudo itself writes down whom it lectured, and no call of it can ask for anything else.
                "lecture=always" => fs::remove_dir_all(machine.at("lib/lectured")).expect("the one trace there is"),
                _ => machine.assert_as(&before, defaults),
            }
            let why = why_not(&machine.ask(&Script::new(NONCE, &steps(), WITH_PASSWORD), Some("another")), defaults);
            assert!(why.contains("sudo did not accept the password"), "{defaults}: {why}");
        }
    }
}

/// A command of root's that never ends by itself, with a limit of its own, and one after it.
fn with_a_hang(machine: &Machine, limit: u64) -> Vec<Step> {
    let pipe = machine.at("etc/pipe");
    common::output(Command::new("mkfifo").arg(&pipe));
    let hang = ReadOnlyCommand::new(Program::Cat, &["/etc/pipe"], Rights::Root).expect("permitted");
    let mut steps = steps();
    steps.insert(0, Step::new("hang", hang).within(Duration::from_secs(limit)));
    steps
}

#[test]
fn a_command_of_roots_that_hangs_is_ended_at_its_limit_in_every_shell() {
    in_every_shell(|machine, shell| {
        let steps = with_a_hang(machine, 1);
        let rules = [
            ("NOPASSWD: ALL".to_owned(), None),
            (format!("NOPASSWD: {EXACTLY}, /usr/bin/cat /etc/pipe"), None),
            (format!("{EXACTLY}, /usr/bin/cat /etc/pipe"), Some(PASSWORD)),
        ];
        for (rule, password) in rules {
            machine.rules(&format!("auditor ALL=(root) {rule}"));
            let with = if password.is_some() { WITH_PASSWORD } else { ANY };
            let transcript = machine.ask(&Script::new(NONCE, &steps, with), password);
            assert!(
                matches!(transcript.answer("hang"), Err(Why::TimedOut(_))),
                "{shell}: {rule}: {:?}",
                transcript.answer("hang")
            );
            assert_answered(&transcript, &format!("{shell}: {rule}"));
        }
        // doas takes its time to end the command, and some builds of it cannot: what cannot be ended is the last that was asked, for it might still speak.
        machine.doas(Some(
            "permit nopass auditor as root cmd /usr/bin/cat args /etc/pipe\npermit nopass auditor as root cmd /usr/bin/grep\n",
        ));
        let (transcript, said) = machine.hear(&Script::new(NONCE, &steps, Become::Doas), None);
        assert!(matches!(transcript.answer("hang"), Err(Why::TimedOut(_))), "{shell}: doas: {}", text(&said));
        match transcript.answer("shadow") {
            Ok(_) => assert!(transcript.is_complete(), "{shell}: doas: {}", text(&said)),
            Err(Why::NotAnswered(_)) => assert!(!transcript.is_complete(), "{shell}: doas: {}", text(&said)),
            Err(why) => panic!("{shell}: doas: {why:?}"),
        }
        common::output(machine.root("/bin/sh").args(["-c", "timeout 1 sh -c ': >/etc/pipe' || :"]));
    });
}

#[test]
fn nothing_is_asked_after_a_shell_of_roots_that_was_ended_in_the_middle() {
    in_every_shell(|machine, shell| {
        // The shell is ended after 2 s; what it was waiting for may live on, and speak.
        let mut steps = with_a_hang(machine, 4);
        steps.swap(0, 2);
        machine.rules("Defaults command_timeout=2\nauditor ALL=(root) NOPASSWD: ALL");
        let (transcript, said) = machine.hear(&Script::new(NONCE, &steps, ANY), None);
        assert!(transcript.text("shadow").is_ok(), "{shell}: {}", text(&said));
        assert!(!transcript.is_complete(), "{shell}: {}", text(&said));
        for step in ["hang", "docker"] {
            assert!(matches!(transcript.answer(step), Err(Why::NotAnswered(_))), "{shell}: {step}: {}", text(&said));
        }
        assert_eq!(transcript.privilege(&steps, true), Privilege::SudoShell, "{shell}");
    });
}

fn fleetscan(arguments: &[&str], directory: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_fleetscan"))
        .args(arguments)
        .current_dir(directory)
        .env_remove("SSH_AUTH_SOCK")
        .env("HOME", directory)
        .output()
        .expect("it runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What was printed, without the places where lines were broken.
fn unwrapped(bytes: &[u8]) -> String {
    text(bytes).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Every host of a report with its verdicts: `VERDICT REASON` by check.
fn verdicts(directory: &Path) -> BTreeMap<String, BTreeMap<String, String>> {
    let report = report(directory);
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let of = |host: &Value| {
        let verdict =
            |finding: &Value| (word(&finding["check"]), format!("{} {}", word(&finding["verdict"]), word(&finding["reason"])));
        (word(&host["name"]), list(&host["findings"]).iter().map(verdict).collect())
    };
    list(&report["hosts"]).iter().map(of).collect()
}

/// A sentence for each check that says something else of two hosts.
fn differences_between(one: &BTreeMap<String, String>, other: &BTreeMap<String, String>) -> Vec<String> {
    let differs = |(check, verdict): (&String, &String)| {
        (other.get(check) != Some(verdict)).then(|| format!("{check}: {verdict} and {:?}", other.get(check)))
    };
    one.iter().filter_map(differs).collect()
}

fn report(directory: &Path) -> Value {
    serde_json::from_slice(&fs::read(directory.join("report.json")).expect("written")).expect("JSON")
}

#[test]
fn the_printed_rules_give_the_verdicts_of_root_and_visudo_likes_them() {
    let machine = Machine::new();
    let served = Served::on(&machine);
    let directory = tempfile::tempdir().expect("a directory");
    let rules = fleetscan(&["sudoers", "--user", USER], directory.path());
    assert!(rules.status.success(), "{}", text(&rules.stderr));
    let file = directory.path().join("rules");
    fs::write(&file, &rules.stdout).expect("written");
    common::output(Command::new(common::program("visudo", "sudo")).args(["-c", "-q", "-f"]).arg(&file));
    machine.rules(&text(&rules.stdout));

    let inventory = [("as-root", "root", ""), ("by-rules", USER, "ansible_become=true"), ("alone", USER, "")]
        .map(|(name, user, variables)| served.inventory_line(name, user, variables))
        .concat();
    fs::write(directory.path().join("inventory"), inventory).expect("written");
    fs::write(directory.path().join("known_hosts"), served.known_hosts_line()).expect("written");
    let arguments = ["scan", "-q", "-i", "inventory", "--known-hosts", "known_hosts", "-o", "json=report.json"];
    let before = machine.state();
    let scanned = fleetscan(&arguments, directory.path());
    machine.assert_as(&before, "a scan");
    let hosts = verdicts(directory.path());
    let (root, rules) = (&hosts["as-root"], &hosts["by-rules"]);
    assert!(root.len() > 200, "{}", text(&scanned.stderr));
    // Which file a daemon was started from is the one thing that no rule can let a login see; where there is no daemon, nothing is.
    let by_rules = differences_between(root, rules)
        .into_iter()
        .filter(|line| !line.starts_with("docker.version.restart-pending: "))
        .collect::<Vec<_>>();
    assert_eq!(by_rules, Vec::<String>::new());
    let report = report(directory.path());
    let privileges: Vec<&str> = (0..3).filter_map(|at| report["hosts"][at]["privilege"].as_str()).collect();
    assert_eq!(privileges, ["root", "sudo", "user"]);

    // A shell of root's is as good as root in every respect.
    machine.rules(&format!("{USER} ALL=(ALL) NOPASSWD: ALL"));
    fleetscan(&[&arguments[..], &["-l", "as-root,by-rules"]].concat(), directory.path());
    let hosts_with_shell = verdicts(directory.path());
    assert_eq!(self::report(directory.path())["hosts"][1]["privilege"], "sudo_shell");
    let differences = differences_between(&hosts_with_shell["as-root"], &hosts_with_shell["by-rules"]);
    assert_eq!(differences, Vec::<String>::new());

    // What the third host lacks is said, with the rules that it lacks, each of which is among those that were printed.
    let gaps = report["privilege_gaps"].as_array().expect("gaps");
    let unknown = hosts["alone"].values().filter(|verdict| *verdict == "unknown needs_root").count();
    assert!(!gaps.is_empty() && gaps.len() == unknown, "{} gaps, {unknown} verdicts", gaps.len());
    let installed = fs::read_to_string(&file).expect("readable");
    for gap in gaps {
        let rules = gap["rules"].as_array().expect("rules");
        let no_rule_will_do = gap["check"] == "docker.version.restart-pending";
        assert_eq!(gap["hosts"], if no_rule_will_do { 2 } else { 1 }, "{gap}");
        assert_eq!(rules.is_empty(), no_rule_will_do, "{gap}");
        for rule in rules {
            let rule = rule.as_str().expect("text");
            assert!(installed.contains(&format!("    {rule}, \\\n")) || installed.contains(&format!("    {rule}\n")), "{rule}");
        }
    }
    let said = unwrapped(&scanned.stdout);
    assert!(said.contains("stayed unknown for want of a privilege") && said.contains("1 root, 1 sudo, 1 user"), "{said}");
}

/// The rules of sudo and doas against the very commands of the script, and against others that are almost the same.
#[test]
fn the_printed_rules_permit_every_command_of_the_script_and_no_other() {
    let machine = Machine::new();
    let directory = tempfile::tempdir().expect("a directory");
    let rules = |arguments: &[&str]| text(&fleetscan(&[&["sudoers", "-u", USER], arguments].concat(), directory.path()).stdout);
    machine.rules(&rules(&[]));
    machine.doas(Some(&rules(&["--doas"])));
    let checks = CheckSet::load(&Source::Embedded, &cli::vocabulary()).expect("checks");
    let mut facts = checks.facts();
    facts.extend(scan::base_facts());
    let plan = probe::plan(&facts).expect("known facts");
    assert!(
        plan.steps().iter().all(|step| !step.id.ends_with("-others")),
        "the usual paths in probe/files.rs lack one that a check wants"
    );
    let commands = root_commands(&plan);
    assert!(commands.len() > 20);

    // Programs that are not on this machine, so that there is something to permit.
    let place = |program: &str| match program {
        "auditctl" | "sshd" | "nft" => format!("/usr/sbin/{program}"),
        program if program.ends_with("-save") => format!("/usr/sbin/{program}"),
        program => format!("/usr/bin/{program}"),
    };
    let mut script = String::from("mount -t tmpfs none /usr/sbin\n");
    let mut quoted = Vec::new();
    let id = |letter: &str| letter.repeat(64);
    for command in &commands {
        let path = place(command.program);
        if path.starts_with("/usr/sbin/") {
            script.push_str(&format!("cp /bin/true {path}\n"));
        } else {
            script.push_str(&format!("[ -e {path} ] || {{ echo 'this machine has no {path}' >&2; exit 1; }}\n"));
        }
        let (words, others) = match &command.arguments {
            Arguments::Exactly(words) => {
                let mut longer = words.clone();
                longer.push("/etc/hostname".to_owned());
                let mut other = words.clone();
                other.iter_mut().rev().take(1).for_each(|word| word.push('x'));
                let fewer = words.iter().skip(1).cloned().collect();
                let others = if words.is_empty() { vec![longer] } else { vec![longer, other, fewer] };
                (vec![words.clone()], others)
            }
            Arguments::ThenIds(words) => {
                let with = |ids: &[String]| [words.clone(), ids.to_vec()].concat();
                let good = vec![with(&[id("a")]), with(&[id("0"), id("f"), id("9")])];
                let short = id("a")[1..].to_owned();
                (
                    good,
                    vec![
                        with(&[]),
                        with(&[short]),
                        with(&[id("g")]),
                        with(&["--help".to_owned(), id("a")]),
                        with(&["web".to_owned()]),
                    ],
                )
            }
        };
        for (wanted, all) in [("yes", words), ("no", others)] {
            for words in all {
                let line = [path.clone()]
                    .into_iter()
                    .chain(words)
                    .map(|word| fleetscan::command::quote(&word))
                    .collect::<Vec<_>>()
                    .join(" ");
                quoted.push((wanted, command.arguments.clone(), line));
            }
        }
    }
    let as_login = "setpriv --reuid=4242 --regid=4242 --clear-groups env -i PATH=/usr/bin:/bin";
    for (wanted, arguments, line) in &quoted {
        script.push_str(&format!("{as_login} sudo -k -n -l -- {line} >/dev/null 2>&1 && may=yes || may=no\n"));
        script.push_str(&format!("[ $may = {wanted} ] || printf '%s\\n' \"sudo: $may:\" {}\n", fleetscan::command::quote(line)));
        if matches!(arguments, Arguments::Exactly(_)) {
            script.push_str(&format!("{as_login} cat /dev/null; may=$({as_login} doas -C /etc/doas.conf {line} 2>&1) || :\n"));
            let answer = if *wanted == "yes" { "permit nopass" } else { "deny" };
            script.push_str(&format!(
                "[ \"$may\" = '{answer}' ] || printf '%s\\n' \"doas: $may:\" {}\n",
                fleetscan::command::quote(line)
            ));
        }
    }
    fs::set_permissions(machine.at("etc/doas.conf"), fs::Permissions::from_mode(0o444)).expect("permissions");
    let mut child = machine
        .root("/bin/bash")
        .arg("-s")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("a shell");
    child.stdin.take().expect("stdin").write_all(script.as_bytes()).expect("taken");
    let output = child.wait_with_output().expect("it ends");
    let said = text(&output.stdout) + &text(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{} calls: {said}", quoted.len());
}

#[test]
fn the_rules_bear_the_digest_of_the_plan_and_are_fewer_for_fewer_checks() {
    let directory = tempfile::tempdir().expect("a directory");
    let run = |arguments: &[&str]| text(&fleetscan(arguments, directory.path()).stdout);
    for only in ["*", "acct.empty-password"] {
        let rules = run(&["sudoers", "--only", only]);
        let plan = run(&["plan", "-i", "web01,", "-b", "--only", only]);
        let digest =
            |text: &str| text.lines().find_map(|line| line.strip_prefix("# sha256 ").map(str::to_owned)).expect("a digest");
        assert_eq!(digest(&rules), digest(&plan));
    }
    let all: Vec<String> = run(&["sudoers"])
        .lines()
        .filter(|line| line.starts_with("    "))
        .map(|line| line.trim_end_matches(", \\").to_owned())
        .collect();
    let few: Vec<String> = run(&["sudoers", "--only", "acct.empty-password"])
        .lines()
        .filter(|line| line.starts_with("    "))
        .map(|line| line.trim_end_matches(", \\").to_owned())
        .collect();
    assert_eq!(few, ["    /usr/bin/grep -H . /etc/shadow /etc/gshadow", "    /bin/grep -H . /etc/shadow /etc/gshadow"]);
    assert!(few.iter().all(|rule| all.contains(rule)), "rules for one check are among those for all");
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).expect("readable");
    let shown = run(&["sudoers", "--user", "auditor", "--only", "acct.empty-password"]);
    for part in shown.splitn(3, '\n').filter(|part| !part.starts_with("# sha256 ")) {
        assert!(readme.contains(part.trim_end()), "the README shows something else than {part}");
    }
    let none = run(&["sudoers", "--only", "acct.uid0-duplicate"]);
    assert!(none.contains("need root for nothing that a rule could name") && !none.contains("NOPASSWD"), "{none}");
}

/// All that is written about a scan with a password: reports, recordings, logs; and what others on the machine could see while it ran.
#[test]
fn the_password_is_nowhere_but_on_its_way() {
    let machine = Machine::new();
    let served = Served::on(&machine);
    let password = "swordfish-in-a-barrel";
    machine.password(password);
    machine.rules("auditor ALL=(root) ALL");
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path();
    let lines = [("asked", ""), ("told", "ansible_become_password=nonsense-that-is-not-it")]
        .map(|(name, variables)| served.inventory_line(name, USER, &format!("ansible_become=true {variables}")))
        .concat();
    fs::write(path.join("inventory"), lines).expect("written");
    fs::write(path.join("known_hosts"), served.known_hosts_line()).expect("written");
    fs::write(path.join("password"), format!("{password}\n")).expect("written");
    let arguments =
        ["-vv", "scan", "-i", "inventory", "-l", "asked", "--known-hosts", "known_hosts", "--become-password-file", "password"];
    let outputs = ["-o", "json=report.json", "-o", "csv=findings.csv", "--record", "recorded"];

    // A file that others can read is no secret.
    fs::set_permissions(path.join("password"), fs::Permissions::from_mode(0o644)).expect("permissions");
    let refused = fleetscan(&[&arguments[..], &outputs].concat(), path);
    assert_eq!(refused.status.code(), Some(2));
    assert!(text(&refused.stderr).contains("chmod 600"), "{}", text(&refused.stderr));
    fs::set_permissions(path.join("password"), fs::Permissions::from_mode(0o600)).expect("permissions");

    let before = machine.state();
    let done = AtomicBool::new(false);
    let (scanned, seen) = thread::scope(|scope| {
        let looking = scope.spawn(|| {
            let mut seen = Vec::new();
            while !done.load(Ordering::SeqCst) {
                for process in fs::read_dir("/proc").expect("processes").flatten() {
                    for file in ["cmdline", "environ"] {
                        let bytes = fs::read(process.path().join(file)).unwrap_or_default();
                        if bytes.windows(password.len()).any(|window| window == password.as_bytes()) {
                            seen.push(format!("{}: {}", process.path().display(), text(&bytes)));
                        }
                    }
                }
            }
            seen
        });
        let scanned = fleetscan(&[&arguments[..], &outputs].concat(), path);
        done.store(true, Ordering::SeqCst);
        (scanned, looking.join().expect("looked"))
    });
    assert_eq!(seen, Vec::<String>::new());
    machine.assert_as(&before, "a scan with a password");
    assert_eq!(report(path)["hosts"][0]["privilege"], "sudo_shell", "{}", text(&scanned.stderr));
    let mut written = vec![("standard output".to_owned(), scanned.stdout), ("standard error".to_owned(), scanned.stderr)];
    let mut open = vec![path.to_owned()];
    while let Some(at) = open.pop() {
        if at.is_dir() {
            open.extend(fs::read_dir(&at).expect("readable").map(|entry| entry.expect("an entry").path()));
        } else if !at.ends_with("password") {
            written.push((at.display().to_string(), fs::read(&at).expect("readable")));
        }
    }
    assert!(written.len() > 50, "{} files", written.len());
    for (name, bytes) in written {
        assert!(!bytes.windows(password.len()).any(|window| window == password.as_bytes()), "{name} has the password");
    }

    // What was recorded is judged as it was asked.
    let live = verdicts(path);
    let replayed = fleetscan(&["replay", "recorded", "-o", "json=report.json"], path);
    assert_eq!(report(path)["hosts"][0]["privilege"], "sudo_shell", "{}", text(&replayed.stderr));
    assert_eq!(verdicts(path), live);
}

#[test]
fn this_machine_is_asked_with_a_password_without_ssh() {
    let machine = Machine::new();
    machine.rules("auditor ALL=(root) ALL");
    let directory = machine.at("home");
    fs::create_dir(&directory).expect("made");
    fs::copy(env!("CARGO_BIN_EXE_fleetscan"), directory.join("fleetscan")).expect("copied");
    fs::write(directory.join("password"), PASSWORD).expect("written");
    common::output(Command::new("chown").args(["-R", "4242:4242"]).arg(&directory));
    fs::set_permissions(directory.join("password"), fs::Permissions::from_mode(0o600)).expect("permissions");
    let scan = |password: &str| {
        fs::write(directory.join("password"), password).expect("written");
        let arguments =
            ["scan", "local", "-q", "-b", "--only", "acct.*", "--become-password-file", "password", "-o", "json=report.json"];
        let output =
            machine.login(directory.join("fleetscan")).args(arguments).current_dir(&directory).output().expect("it runs");
        (report(&directory)["hosts"][0]["privilege"].as_str().unwrap_or_default().to_owned(), unwrapped(&output.stdout))
    };
    let (privilege, said) = scan(PASSWORD);
    assert_eq!(privilege, "sudo_shell", "{said}");
    let (privilege, said) = scan("another");
    assert_eq!(privilege, "user");
    assert!(said.contains("sudo did not accept the password") && said.contains("fleetscan sudoers --only ID"), "{said}");
}

#[test]
fn a_wrong_password_is_tried_on_three_hosts_one_after_the_other_and_kept_from_the_rest() {
    let machine = Machine::new();
    let served = Served::on(&machine);
    machine.rules("auditor ALL=(root) ALL");
    let stack = "auth required pam_faillock.so preauth\nauth [success=1 default=ignore] pam_unix.so\n\
                 auth [default=die] pam_faillock.so authfail\nauth required pam_permit.so\n";
    fs::write(machine.at("etc/pam.d/common-auth"), stack).expect("written");
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path();
    let lines: String = (0..6).map(|at| served.inventory_line(&format!("host{at}"), USER, "ansible_become=true")).collect();
    fs::write(path.join("inventory"), lines).expect("written");
    fs::write(path.join("known_hosts"), served.known_hosts_line()).expect("written");
    let scan = |password: &str| {
        fs::write(path.join("password"), password).expect("written");
        fs::set_permissions(path.join("password"), fs::Permissions::from_mode(0o600)).expect("permissions");
        let arguments = ["scan", "-q", "-i", "inventory", "--known-hosts", "known_hosts", "--become-password-file", "password"];
        let output = fleetscan(&[&arguments[..], &["--only", "acct.empty-password", "-o", "json=report.json"]].concat(), path);
        let report = report(path);
        let hosts = report["hosts"].as_array().expect("hosts").clone();
        (hosts, unwrapped(&output.stderr))
    };
    let tally =
        || common::output(machine.root("faillock").args(["--user", USER])).lines().filter(|line| line.starts_with("20")).count();

    let (hosts, said) = scan("another");
    assert_eq!(tally(), 3);
    assert!(said.contains("sudo did not accept the password on `"), "{said}");
    let named = said.split("; it was tried once on each").next().expect("a beginning");
    assert_eq!(named.matches('`').count(), 6, "{said}");
    assert!(said.contains("the password of sudo was not sent to 3 hosts"), "{said}");
    let details: Vec<&str> = hosts.iter().filter_map(|host| host["findings"][0]["evidence"][0]["text"].as_str()).collect();
    let count = |phrase: &str| details.iter().filter(|detail| detail.contains(phrase)).count();
    assert_eq!((count("sudo did not accept the password"), count("was not sent, for other hosts")), (3, 3), "{details:?}");

    common::output(machine.root("faillock").args(["--user", USER, "--reset"]));
    let (hosts, said) = scan(PASSWORD);
    assert!(hosts.iter().all(|host| host["privilege"] == "sudo_shell"), "{hosts:?}");
    assert_eq!(said, "");
}
