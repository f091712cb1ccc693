//! Passwords and questions: real PAM behind a real sshd with accounts of its own, and simulated hosts for what PAM modules ask that no machine has.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use crate::common::{PASSWORD, Server, keygen};
use crate::keys::{count, credentials, engine, limits, login, run, target};
use crate::raw;
use fleetscan::model::{Failure, Reason, Secret};
use fleetscan::probe::Transcript;
use fleetscan::simulate::{Behaviour, Door, Fleet, Proof, Question};
use fleetscan::ssh::{
    CredentialSources, Credentials, Engine, HostKeySources, HostKeys, Limits, Method, Passwords, Session, Target,
};

fn with_password(password: &str) -> CredentialSources {
    CredentialSources { passwords: Passwords::all(Secret::new(password)), ..CredentialSources::default() }
}

/// A login of an account of the server, without a key.
fn account(server: &Server, user: &str, methods: &[Method]) -> Target {
    let mut target = target(server, &[]);
    target.user = user.to_owned();
    target.login.methods = methods.to_vec();
    target
}

const ALL: &[Method] = &[Method::PublicKey, Method::KeyboardInteractive, Method::Password];

#[tokio::test]
async fn a_password_logs_in_by_either_method_through_pam() {
    let server = Server::with_accounts("MaxAuthTries 1");
    for (methods, log) in [
        (&[Method::Password][..], "Accepted password for alice"),
        (&[Method::KeyboardInteractive], "Accepted keyboard-interactive/pam for alice"),
    ] {
        let said = login(&server, &with_password(PASSWORD), &account(&server, "alice", methods)).await;
        assert!(said.expect("a login").contains("64201"));
        assert_eq!(count(&server, log), 1, "{}", server.log());
    }
    // Of both the host's first, as ssh; and the host's own before that of all.
    let mut target = account(&server, "alice", ALL);
    target.login.password = Some(Secret::new(PASSWORD));
    login(&server, &with_password("another"), &target).await.expect("a login");
    assert_eq!(count(&server, "Accepted keyboard-interactive/pam for alice"), 2, "{}", server.log());
    assert_eq!(count(&server, "Failed"), 0, "{}", server.log());
}

#[tokio::test]
async fn a_wrong_password_is_sent_once_and_by_one_method() {
    let server = Server::with_accounts("");
    let failure = login(&server, &with_password("wrong"), &account(&server, "alice", ALL)).await.expect_err("wrong");
    assert_eq!(failure.reason, Reason::AuthRefused);
    let expected = "login as `alice` refused; offered: the password (keyboard-interactive); \
                    the host takes: publickey, password, keyboard-interactive";
    assert!(failure.detail.starts_with(expected), "{}", failure.detail);
    assert_eq!(count(&server, "Failed keyboard-interactive/pam for alice"), 1, "{}", server.log());
    assert_eq!(count(&server, "Failed password"), 0, "{}", server.log());
    let only = account(&server, "alice", &[Method::Password]);
    let failure = login(&server, &with_password("wrong"), &only).await.expect_err("wrong");
    assert!(failure.detail.starts_with("login as `alice` refused; offered: the password; "), "{}", failure.detail);
    assert_eq!(count(&server, "Failed password for alice"), 1, "{}", server.log());
}

#[tokio::test]
async fn without_a_password_none_is_sent_and_the_way_to_give_one_is_named() {
    let server = Server::with_accounts("PubkeyAuthentication no");
    let mut target = target(&server, &[&server.user_key]);
    target.user = "alice".to_owned();
    let failure = login(&server, &CredentialSources::default(), &target).await.expect_err("no password");
    assert_eq!(failure.reason, Reason::AuthRefused);
    assert!(
        failure.detail.contains("the host takes: password, keyboard-interactive; give a password with `-k`"),
        "{}",
        failure.detail
    );
    assert_eq!(count(&server, "Postponed keyboard-interactive"), 0, "{}", server.log());
    // Nor where the configuration of the host forbids it.
    target.login.methods = vec![Method::PublicKey];
    let failure = login(&server, &with_password(PASSWORD), &target).await.expect_err("no method");
    assert_eq!(failure.reason, Reason::AuthRefused);
    assert_eq!(count(&server, "Failed password") + count(&server, "Accepted"), 0, "{}", server.log());
    // One that takes keys only is not told a password.
    let keys = Server::with_accounts("PasswordAuthentication no\nKbdInteractiveAuthentication no");
    let failure = login(&keys, &with_password(PASSWORD), &account(&keys, "alice", ALL)).await.expect_err("keys only");
    assert_eq!(
        failure.detail,
        "no key could be offered for `alice`; the host takes: publickey; there is no ssh-agent and no key in `~/.ssh`"
    );
    assert_eq!(count(&keys, "Failed"), 0, "{}", keys.log());
}

#[tokio::test]
async fn a_key_and_a_password_are_both_shown_where_both_are_wanted() {
    for (second, log) in [("password", "Accepted password"), ("keyboard-interactive", "Accepted keyboard-interactive/pam")] {
        let server = Server::with_accounts(&format!("AuthenticationMethods publickey,{second}\nMaxAuthTries 1"));
        let mut target = target(&server, &[&server.user_key]);
        target.user = "alice".to_owned();
        login(&server, &with_password(PASSWORD), &target).await.unwrap_or_else(|failure| panic!("{second}: {}", failure.detail));
        assert_eq!((count(&server, "Partial publickey"), count(&server, log)), (1, 1), "{}", server.log());
        assert_eq!(count(&server, "Failed"), 0, "{}", server.log());

        let failure = login(&server, &CredentialSources::default(), &target).await.expect_err("no password");
        assert_eq!(failure.reason, Reason::AuthRefused);
        assert!(failure.detail.contains("was accepted, but the host wants a second proof"), "{}", failure.detail);
        assert!(failure.detail.contains("give a password with `-k` or `--password-file`"), "{}", failure.detail);
    }
}

#[tokio::test]
async fn an_expired_password_is_told_as_such_and_never_changed() {
    let server = Server::with_accounts("");
    let target = account(&server, "expired", &[Method::KeyboardInteractive]);
    let failure = login(&server, &with_password(PASSWORD), &target).await.expect_err("expired");
    assert_eq!(failure.reason, Reason::PasswordExpired, "{}", failure.detail);
    let said = "the host says `You are required to change your password immediately (administrator enforced).`";
    assert!(failure.detail.ends_with(said), "{}", failure.detail);
    // The password method logs in; the session then says so.
    let target = account(&server, "expired", &[Method::Password]);
    let failure = login(&server, &with_password(PASSWORD), &target).await.expect_err("expired");
    assert!(
        failure.detail.contains("Your password has expired") || failure.detail.contains("change your password"),
        "{}",
        failure.detail
    );
    let shadow = fs::read_to_string(server.directory.path().join("shadow")).expect("shadow");
    assert!(shadow.lines().any(|line| line.starts_with("expired:") && line.contains(":0:0:99999:")), "{shadow}");
}

#[tokio::test]
async fn an_account_that_is_closed_is_refused_in_the_words_of_the_host() {
    let server = Server::with_accounts("");
    let mut target = target(&server, &[&server.user_key]);
    target.user = "closed".to_owned();
    let failure = login(&server, &CredentialSources::default(), &target).await.expect_err("closed");
    assert_eq!(failure.reason, Reason::AuthRefused, "{}\n{}", failure.detail, server.log());
    assert!(
        failure.detail.contains("the host says `Your account has expired; please contact your system administrator.`"),
        "{}",
        failure.detail
    );
}

#[tokio::test]
async fn a_program_is_asked_for_the_password_of_each_host_and_only_where_it_is_wanted() {
    let server = Server::with_accounts("");
    let log = server.directory.path().join("asked");
    let command = format!(
        r#"echo "$FLEETSCAN_HOST $FLEETSCAN_USER" >> '{}'; case $FLEETSCAN_HOST in web*) echo '{PASSWORD}' ;; *) echo "no such entry" >&2; exit 2 ;; esac"#,
        log.display()
    );
    let sources = CredentialSources { passwords: Passwords::by_command(command), ..CredentialSources::default() };
    let mut web = account(&server, "alice", ALL);
    web.login.host = Some("web01".to_owned());
    let mut database = web.clone();
    database.login.host = Some("db01".to_owned());
    let mut keyed = web.clone();
    keyed.login = target(&server, &[&server.user_key]).login;
    let logins = [&web.login, &database.login, &keyed.login];
    let engine = engine(&server, Credentials::load(&sources, logins).await.expect("credentials"), limits());
    run(&engine, &web).await.expect("a login");
    run(&engine, &web).await.expect("another");
    run(&engine, &keyed).await.expect("by its key");
    // Where there is nothing else it is asked before the host is, and where a key is refused, then.
    let failure = run(&engine, &database).await.expect_err("no password");
    let expected = "the password command failed (exit status 2): no such entry; there is no ssh-agent and no key in `~/.ssh`";
    assert_eq!((failure.reason, failure.detail.as_str()), (Reason::NoCredentials, expected));
    assert_eq!(fs::read_to_string(&log).expect("asked"), "web01 alice\ndb01 alice\n");
    let stranger = keygen(server.directory.path(), "stranger", "ed25519", "");
    let mut refused = target(&server, &[&stranger]);
    refused.user = "alice".to_owned();
    refused.login.host = Some("db02".to_owned());
    let failure = login(&server, &sources, &refused).await.expect_err("no password");
    assert_eq!(failure.reason, Reason::AuthRefused);
    assert!(failure.detail.contains("the password command failed (exit status 2): no such entry"), "{}", failure.detail);
}

#[tokio::test]
async fn the_time_of_a_password_program_is_not_the_hosts() {
    let server = Server::with_accounts("");
    let passwords = Passwords::by_command(format!("sleep 6; echo '{PASSWORD}'"));
    let sources = CredentialSources { passwords, ..CredentialSources::default() };
    let stranger = keygen(server.directory.path(), "stranger", "ed25519", "");
    let mut target = target(&server, &[&stranger]);
    target.user = "alice".to_owned();
    let credentials = credentials(&sources, &target).await.expect("credentials");
    let engine = engine(&server, credentials, Limits { auth: Duration::from_secs(5), ..limits() });
    run(&engine, &target).await.expect("a login");
}

/// A simulated host with this door, and the login that was tried on it.
async fn knock(door: &Door, sources: CredentialSources, key: bool) -> Result<(), Failure> {
    let fleet = Fleet::start(vec![Behaviour::Guarded(door.clone(), Arc::new(Transcript::default()))]).await.expect("a fleet");
    let directory = tempfile::tempdir().expect("a directory");
    let at = |name: &str, text: &str| {
        let path = directory.path().join(name);
        fs::write(&path, text).expect("written");
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("permitted");
        path
    };
    let known =
        HostKeySources { named: Some(at("known_hosts", &fleet.known_hosts().expect("keys"))), ..HostKeySources::default() };
    let address = fleet.hosts()[0].address;
    let mut target = Target::new(address.ip().to_string(), address.port(), "alice");
    target.login.identities_only = true;
    if key {
        target.login.key_files = vec![at("key", &fleet.user_key().expect("a key"))];
    }
    let credentials = credentials(&sources, &target).await.expect("credentials");
    let engine = Engine::new(credentials, HostKeys::load(&known, []).expect("known_hosts"), limits());
    Session::connect(&target, &engine).await.map(drop)
}

fn questions(rounds: Vec<Question>) -> Proof {
    Proof::Questions(rounds)
}

#[tokio::test]
async fn nothing_but_a_question_for_the_password_is_answered_with_it() {
    let secret = |prompt: &str| vec![Question::secret(prompt, "secret")];
    let shown = |prompt: &str| {
        vec![Question { prompts: vec![(prompt.to_owned(), true)], answers: vec!["secret".to_owned()], ..Question::default() }]
    };
    let both = |one: &str, two: &str| {
        let prompts = vec![(one.to_owned(), false), (two.to_owned(), false)];
        vec![Question { prompts, answers: vec!["secret".to_owned(); 2], ..Question::default() }]
    };
    for (asked, reason, said) in [
        (secret("Verification code: "), Reason::SecondFactor, "the host asks `Verification code:`"),
        (secret("Password & verification code: "), Reason::SecondFactor, "the host asks `Password & verification code:`"),
        (
            secret("One-time password (OATH) for `alice': "),
            Reason::SecondFactor,
            "the host asks `One-time password (OATH) for `alice':`",
        ),
        (shown("Passcode or option (1-3): "), Reason::SecondFactor, "the host asks `Passcode or option (1-3):`"),
        (shown("Password: "), Reason::SecondFactor, "the host asks `Password:`"),
        (
            both("First Factor: ", "Second Factor: "),
            Reason::SecondFactor,
            "several things at once: `First Factor:`, `Second Factor:`",
        ),
        (both("Password: ", "Domain: "), Reason::AuthRefused, "several things at once: `Password:`, `Domain:`"),
        (secret("Favourite colour: "), Reason::AuthRefused, "the host asks `Favourite colour:`, which a scan has no answer to"),
        (secret("Current Password: "), Reason::PasswordExpired, "the host says `Current Password:`"),
        (secret("New password: "), Reason::PasswordExpired, "the host says `New password:`"),
        (
            vec![Question { instructions: "Password expired. Change your password now.".to_owned(), ..Question::default() }],
            Reason::PasswordExpired,
            "the host says `Password expired. Change your password now.`",
        ),
    ] {
        let door = Door::new(vec![vec![questions(asked)]]);
        let failure = knock(&door, with_password("secret"), false).await.expect_err(said);
        assert_eq!(failure.reason, reason, "{said}: {}", failure.detail);
        assert!(failure.detail.ends_with(said), "{said}: {}", failure.detail);
        assert_eq!(door.heard(), Vec::<String>::new(), "{said}");
    }
}

#[tokio::test]
async fn messages_are_heard_out_and_the_password_is_given_once() {
    let message = Question { instructions: "Welcome.\nThis host belongs to somebody.".to_owned(), ..Question::default() };
    let door = Door::new(vec![vec![questions(vec![message.clone(), Question::secret("Password: ", "secret"), message])]]);
    knock(&door, with_password("secret"), false).await.expect("a login");
    assert_eq!(door.heard(), ["secret"]);

    let twice = Door::new(vec![vec![questions(vec![
        Question::secret("Password: ", "secret"),
        Question::secret("LDAP Password: ", "other"),
    ])]]);
    let failure = knock(&twice, with_password("secret"), false).await.expect_err("asked again");
    assert_eq!(failure.reason, Reason::AuthRefused);
    assert!(failure.detail.ends_with("the host asks again: `LDAP Password:`"), "{}", failure.detail);
    assert_eq!(twice.heard(), ["secret"]);
}

#[tokio::test]
async fn a_code_after_the_password_or_after_the_key_is_a_second_factor() {
    let code = || Question::secret("Verification code: ", "123456");
    let door = Door::new(vec![vec![questions(vec![Question::secret("Password: ", "secret"), code()])]]);
    let failure = knock(&door, with_password("secret"), false).await.expect_err("a code");
    assert_eq!(failure.reason, Reason::SecondFactor);
    assert!(
        failure.detail.ends_with("offered: the password (keyboard-interactive); the host asks `Verification code:`"),
        "{}",
        failure.detail
    );
    // What can't be told from its words is one by its place.
    let door =
        Door::new(vec![vec![questions(vec![Question::secret("Password: ", "secret"), Question::secret("Number: ", "7")])]]);
    let failure = knock(&door, with_password("secret"), false).await.expect_err("a number");
    assert_eq!(failure.reason, Reason::SecondFactor, "{}", failure.detail);

    let door = Door::new(vec![vec![Proof::Key], vec![questions(vec![code()])]]);
    for sources in [CredentialSources::default(), with_password("secret")] {
        let failure = knock(&door, sources, true).await.expect_err("a code");
        assert_eq!(failure.reason, Reason::SecondFactor);
        assert!(failure.detail.contains("was accepted, but the host wants a second proof"), "{}", failure.detail);
        assert!(failure.detail.ends_with("the host asks `Verification code:`"), "{}", failure.detail);
    }
    assert_eq!(door.heard(), Vec::<String>::new());
}

#[tokio::test]
async fn every_order_of_proofs_is_gone_through_with_what_there_is() {
    let asks = || questions(vec![Question::secret("Password: ", "secret")]);
    for steps in [
        vec![vec![Proof::Password("secret".to_owned())]],
        vec![vec![asks()]],
        vec![vec![Proof::Key], vec![Proof::Password("secret".to_owned())]],
        vec![vec![Proof::Key], vec![asks()]],
        vec![vec![Proof::Password("secret".to_owned())], vec![Proof::Key]],
        vec![vec![asks()], vec![Proof::Key]],
        vec![vec![Proof::Key], vec![Proof::Password("secret".to_owned()), asks()]],
    ] {
        let door = Door::new(steps.clone());
        knock(&door, with_password("secret"), true).await.unwrap_or_else(|failure| panic!("{steps:?}: {}", failure.detail));
    }
    // The same password is not shown twice.
    let door = Door::new(vec![vec![Proof::Password("secret".to_owned())], vec![asks()]]);
    let failure = knock(&door, with_password("secret"), false).await.expect_err("twice");
    assert_eq!(failure.reason, Reason::AuthRefused, "{}", failure.detail);
    assert_eq!(door.heard(), ["secret"]);
}

/// What becomes of a password that a server made by hand answers so, after this time.
async fn answered(after: Duration, reply: Vec<u8>) -> Result<(), Failure> {
    let (port, key) = raw::server(move |method| match method {
        "password" => {
            std::thread::sleep(after);
            vec![reply.clone()]
        }
        _ => vec![raw::failure("password")],
    });
    let directory = tempfile::tempdir().expect("a directory");
    let known = directory.path().join("known_hosts");
    fs::write(&known, format!("[127.0.0.1]:{} {key}\n", port.number)).expect("written");
    let mut target = Target::new("127.0.0.1", port.number, "alice");
    target.login.no_key_files = true;
    let credentials = credentials(&with_password("secret"), &target).await.expect("credentials");
    let sources = HostKeySources { named: Some(known), ..HostKeySources::default() };
    let limits = Limits { auth: Duration::from_secs(16), ..limits() };
    let engine = Engine::new(credentials, HostKeys::load(&sources, []).expect("known_hosts"), limits);
    Session::connect(&target, &engine).await.map(drop)
}

#[tokio::test]
async fn a_host_that_answers_a_password_by_asking_for_a_new_one_is_told_from_a_slow_one() {
    let change = [vec![raw::CHANGE], raw::string("Your password has run out."), raw::string("")].concat();
    let (now, late, later) = (Duration::ZERO, Duration::from_millis(8500), Duration::from_millis(11_500));
    let (asked, refused, slowly, slower, let_in) = tokio::join!(
        answered(now, change),
        answered(now, raw::failure("password")),
        answered(late, raw::failure("password")),
        answered(later, raw::failure("password")),
        answered(late, vec![raw::SUCCESS]),
    );
    let failure = asked.expect_err("a new password");
    assert_eq!(failure.reason, Reason::PasswordExpired, "{}", failure.detail);
    assert!(failure.detail.ends_with("the host asked for a new password in place of an answer"), "{}", failure.detail);
    for result in [refused, slowly, slower] {
        let failure = result.expect_err("refused");
        assert_eq!(failure.reason, Reason::AuthRefused, "{}", failure.detail);
    }
    let_in.expect("a login");
}

#[tokio::test]
async fn a_slow_directory_behind_pam_is_waited_for() {
    let server = Server::with_accounts("");
    let pam = server.directory.path().join("pam");
    let modules = fs::read_to_string(&pam).expect("pam");
    fs::write(&pam, format!("auth required pam_exec.so quiet /bin/sleep 9\n{modules}")).expect("pam");
    let target = account(&server, "alice", &[Method::Password]);
    let (right, wrong) = (with_password(PASSWORD), with_password("wrong"));
    let (right, wrong) = tokio::join!(login(&server, &right, &target), login(&server, &wrong, &target));
    assert!(right.expect("a login").contains("64201"));
    assert_eq!(wrong.expect_err("wrong").reason, Reason::AuthRefused);
    assert_eq!((count(&server, "Accepted password"), count(&server, "Failed password")), (1, 1), "{}", server.log());
}

#[tokio::test]
async fn no_secret_is_in_what_is_printed_of_a_login() {
    let door = Door::new(vec![vec![Proof::Password("other".to_owned())]]);
    let sources = with_password("hunter2");
    let shown = format!("{sources:?}");
    let failure = knock(&door, sources, false).await.expect_err("wrong");
    assert!(!shown.contains("hunter2") && !failure.detail.contains("hunter2"), "{shown}\n{}", failure.detail);
    let mut target = Target::new("192.0.2.1", 22, "alice");
    target.login.password = Some(Secret::new("hunter2"));
    assert!(!format!("{target:?}").contains("hunter2"));
}
