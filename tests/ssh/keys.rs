//! Keys of every kind and format, in files and in agents, against a real sshd that counts what it is offered.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::common::{Agent, Server, keygen, output, program, public, user};
use crate::raw::string;
use fleetscan::command::{Become, Program, ReadOnlyCommand, Rights, Script, Step, Stream};
use fleetscan::model::{Failure, Reason, Secret};
use fleetscan::ssh::{
    Asker, CredentialError, CredentialSources, Credentials, Engine, HostKeySources, HostKeys, Limits, Session, Target,
};
use fleetscan::ssh_config::AgentSocket;

/// Limits that a busy machine keeps.
pub(crate) fn limits() -> Limits {
    let long = Duration::from_secs(30);
    Limits { connect: long, handshake: long, auth: long, ..Limits::default() }
}

/// A login on a server with these keys, and only these.
pub(crate) fn target(server: &Server, keys: &[&Path]) -> Target {
    let mut target = Target::new("127.0.0.1", server.port(), user());
    target.login.key_files = keys.iter().map(|key| (*key).to_owned()).collect();
    target.login.identities_only = !keys.is_empty();
    target.login.agent = AgentSocket::None;
    target
}

/// A login on a server with what an agent holds.
pub(crate) fn by_agent(server: &Server, agent: &Agent) -> Target {
    let mut target = target(server, &[]);
    target.login.agent = AgentSocket::Path(agent.socket.clone());
    target
}

/// What the keys of the target give.
pub(crate) async fn credentials(sources: &CredentialSources, target: &Target) -> Result<Credentials, CredentialError> {
    Credentials::load(sources, [&target.login]).await
}

/// An engine that knows the server.
pub(crate) fn engine(server: &Server, credentials: Credentials, limits: Limits) -> Engine {
    let known = server.known_hosts(&server.known_hosts_line());
    let sources = HostKeySources { named: Some(known), ..HostKeySources::default() };
    Engine::new(credentials, HostKeys::load(&sources, []).expect("known_hosts"), limits)
}

/// Logs in and runs a command.
pub(crate) async fn run(engine: &Engine, target: &Target) -> Result<String, Failure> {
    let step = Step::new("id", ReadOnlyCommand::new(Program::Id, &["-u"], Rights::Any).expect("permitted"));
    let script = Script::new("0123456789abcdef0123456789abcdef", &[step], Become::No);
    let mut said = Vec::new();
    let mut sink = |stream: Stream, bytes: &[u8]| {
        said.extend(bytes.iter().filter(|_| stream == Stream::Stdout));
        true
    };
    let session = match Session::connect(target, engine).await {
        Ok(session) => session,
        Err(failure) => {
            // A connection that is given up is closed by its own task, which has its turn now, before somebody waits for the server to notice.
            tokio::time::sleep(Duration::from_millis(50)).await;
            return Err(failure);
        }
    };
    session.run(&script, &mut sink).await?;
    Ok(String::from_utf8_lossy(&said).into_owned())
}

/// Logs in with what the sources and the target name.
pub(crate) async fn login(server: &Server, sources: &CredentialSources, target: &Target) -> Result<String, Failure> {
    let credentials = credentials(sources, target).await.expect("credentials");
    run(&engine(server, credentials, limits()), target).await
}

/// How often the log of a server says something, once it has said everything.
pub(crate) fn count(server: &Server, what: &str) -> usize {
    assert_eq!(server.open_connections(), 0);
    server.log().matches(what).count()
}

fn ssh_keygen(arguments: &[&str], key: &Path) {
    output(Command::new(program("ssh-keygen", "openssh-client")).arg("-q").args(arguments).arg("-f").arg(key));
}

fn openssl(arguments: &[&str]) -> String {
    output(Command::new(program("openssl", "openssl")).args(arguments))
}

/// A key that the server lets in, made by `make` in a file of this name.
fn admitted(server: &Server, name: &str, make: impl FnOnce(&Path)) -> PathBuf {
    let path = server.directory.path().join(name);
    make(&path);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("a mode");
    path
}

const PASSPHRASE: &str = "a phrase of words";

/// Passphrases, of which the second is right.
fn passphrases() -> CredentialSources {
    CredentialSources { passphrases: vec![Secret::new("another"), Secret::new(PASSPHRASE)], ..CredentialSources::default() }
}

#[tokio::test]
async fn every_kind_of_key_logs_in_from_every_format_in_clear_and_encrypted() {
    let server = Server::openssh("MaxAuthTries 1");
    let mut keys = Vec::new();
    for (kind, bits) in [("ed25519", "256"), ("ecdsa", "256"), ("ecdsa", "384"), ("ecdsa", "521"), ("rsa", "2048")] {
        for (format, phrase) in
            [("RFC4716", ""), ("RFC4716", PASSPHRASE), ("PEM", ""), ("PEM", PASSPHRASE), ("PKCS8", ""), ("PKCS8", PASSPHRASE)]
        {
            // OpenSSH writes Ed25519 in its own format whatever it is asked for, at this time.
            if kind == "ed25519" && format != "RFC4716" {
                continue;
            }
            let name = format!("{kind}-{bits}-{format}-{}", phrase.len());
            let key = admitted(&server, &name, |path| ssh_keygen(&["-t", kind, "-b", bits, "-m", format, "-N", phrase], path));
            server.authorize(&public(&key));
            keys.push(key);
        }
    }
    for key in &keys {
        let target = target(&server, &[key]);
        login(&server, &passphrases(), &target).await.unwrap_or_else(|failure| panic!("{}: {}", key.display(), failure.detail));
    }
    // Each was opened by us and none by an agent, and none was offered in vain.
    assert_eq!(count(&server, "Accepted publickey"), keys.len());
    assert_eq!(count(&server, "Failed publickey"), 0, "{}", server.log());
    let pem = |name: &str| fs::read_to_string(server.directory.path().join(name)).expect("a key");
    assert!(pem("rsa-2048-PEM-17").contains("DEK-Info: AES-128-CBC"), "ssh-keygen no longer writes the old format");
    assert!(pem("ecdsa-384-PKCS8-17").contains("BEGIN ENCRYPTED PRIVATE KEY"));
}

#[tokio::test]
async fn keys_that_openssl_wrote_log_in() {
    let server = Server::openssh("");
    let rsa = keygen(server.directory.path(), "rsa", "rsa", "");
    output(Command::new("ssh-keygen").args(["-q", "-p", "-m", "PEM", "-N", "", "-f"]).arg(&rsa));
    let ec = server.directory.path().join("ec");
    ssh_keygen(&["-t", "ecdsa", "-m", "PEM", "-N", ""], &ec);
    let phrase = format!("pass:{PASSPHRASE}");
    let path = |path: &Path| path.to_str().expect("a path").to_owned();
    for (name, of, arguments) in [
        ("rsa-des3", &rsa, &["rsa", "-traditional", "-des3"][..]),
        ("rsa-aes192", &rsa, &["rsa", "-traditional", "-aes192"]),
        ("rsa-aes256", &rsa, &["rsa", "-traditional", "-aes256"]),
        ("ec-aes256", &ec, &["ec", "-aes256"]),
        ("rsa-pkcs8", &rsa, &["pkcs8", "-topk8", "-v2", "aes-256-cbc"]),
        ("ec-scrypt", &ec, &["pkcs8", "-topk8", "-scrypt", "-scrypt_N", "1024"]),
        // The default of OpenSSL 1.0.
        ("ec-sha1", &ec, &["pkcs8", "-topk8", "-v2", "des3", "-v2prf", "hmacWithSHA1"]),
    ] {
        let key = admitted(&server, name, |file| {
            let (input, file) = (path(of), path(file));
            openssl(&[arguments, &["-in", &input, "-out", &file, "-passout", &phrase]].concat());
        });
        server.authorize(&public(of));
        let target = target(&server, &[&key]);
        login(&server, &passphrases(), &target).await.unwrap_or_else(|failure| panic!("{name}: {}", failure.detail));
    }
    // Ed25519 in PKCS#8, which ssh-keygen doesn't write.
    let ed = admitted(&server, "ed", |file| drop(openssl(&["genpkey", "-algorithm", "ed25519", "-out", &path(file)])));
    let mut blob = b"\0\0\0\x0bssh-ed25519\0\0\0\x20".to_vec();
    let der = server.directory.path().join("ed.der");
    openssl(&["pkey", "-in", &path(&ed), "-pubout", "-outform", "DER", "-out", &path(&der)]);
    blob.extend(fs::read(&der).expect("a public key").iter().rev().take(32).rev());
    server.authorize(&format!("ssh-ed25519 {}", data_encoding::BASE64.encode(&blob)));
    login(&server, &CredentialSources::default(), &target(&server, &[&ed])).await.expect("a login");
    // What can't be opened says so, whatever the passphrase.
    let old = admitted(&server, "old", |file| {
        openssl(&["pkcs8", "-topk8", "-v1", "PBE-SHA1-3DES", "-in", &path(&ec), "-out", &path(file), "-passout", &phrase]);
    });
    let failure = login(&server, &passphrases(), &target(&server, &[&old])).await.expect_err("an old cipher");
    assert_eq!(failure.reason, Reason::NoCredentials);
    assert!(failure.detail.contains("its encryption is not supported"), "{}", failure.detail);
}

/// What `ssh-keygen -t ed25519-sk` writes, without a token: a key that only the token can use (PROTOCOL.key, PROTOCOL.u2f).
fn token_key() -> String {
    let kind = string("sk-ssh-ed25519@openssh.com");
    let public = [kind, string([7; 32]), string("ssh:")].concat();
    let mut private = [&[1; 8][..], &public, &[1], &string([9; 64]), &string(""), &string("token")].concat();
    private.extend((1..=8).take((8 - private.len() % 8) % 8));
    let all = [
        b"openssh-key-v1\0".to_vec(),
        string("none"),
        string("none"),
        string(""),
        vec![0, 0, 0, 1],
        string(public),
        string(private),
    ];
    let text = data_encoding::BASE64.encode(&all.concat());
    let lines: Vec<&str> = text.as_bytes().chunks(70).map(|line| std::str::from_utf8(line).expect("text")).collect();
    format!("-----BEGIN OPENSSH PRIVATE KEY-----\n{}\n-----END OPENSSH PRIVATE KEY-----\n", lines.join("\n"))
}

/// Somebody who is asked, and what they were asked.
fn person(answers: &'static [&'static str]) -> (CredentialSources, Arc<Mutex<Vec<String>>>) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let questions = Arc::clone(&asked);
    let ask = Asker::new(move |question| {
        let mut questions = questions.lock().expect("questions");
        questions.push(question.to_owned());
        answers.get(questions.len() - 1).map(|answer| Secret::new(*answer))
    });
    (CredentialSources { ask: Some(ask), ..CredentialSources::default() }, asked)
}

#[tokio::test]
async fn a_passphrase_is_asked_for_once_and_tried_on_every_key_before_another_is() {
    let server = Server::openssh("");
    let directory = server.directory.path();
    let locked = ["a", "b", "c"].map(|name| keygen(directory, name, "ed25519", if name == "b" { "second" } else { "first" }));
    let unused = keygen(directory, "unused", "ed25519", "third");
    let agent = Agent::start();
    let held = keygen(directory, "held", "ed25519", "fourth");
    agent.add(&held, "fourth");
    let logins: Vec<Target> = locked
        .iter()
        .chain([&locked[0], &held])
        .map(|key| {
            server.authorize(&public(key));
            let mut target = target(&server, &[key]);
            target.login.agent = AgentSocket::Path(agent.socket.clone());
            target
        })
        .collect();
    let (mut sources, asked) = person(&["wrong", "first", "second"]);
    sources.named = Some(unused);
    let loaded = Credentials::load(&sources, logins.iter().map(|target| &target.login)).await.expect("nobody needs the unused");
    let engine = engine(&server, loaded, limits());
    for target in &logins {
        run(&engine, target).await.unwrap_or_else(|failure| panic!("{:?}: {}", target.login.key_files, failure.detail));
    }
    let asked = asked.lock().expect("questions");
    let [a, b] = ["a", "b"].map(|name| directory.join(name).display().to_string());
    assert_eq!(
        *asked,
        [
            format!("Passphrase for the key `{a}` of 2 hosts: "),
            format!("Wrong. Passphrase for the key `{a}` of 2 hosts: "),
            format!("Passphrase for the key `{b}` of 1 host: "),
        ]
    );
}

#[tokio::test]
async fn a_key_that_stays_locked_fails_its_hosts_and_one_named_for_all_fails_the_scan() {
    let server = Server::openssh("");
    let key = keygen(server.directory.path(), "locked", "ed25519", PASSPHRASE);
    let target = target(&server, &[&key]);
    // Nobody to ask; somebody who doesn't know; somebody who is wrong three times.
    for (mut sources, said, questions) in [
        (person(&[]), "is encrypted, and no ssh-agent holds it", 1),
        (person(&[""]), "is encrypted, and no ssh-agent holds it", 1),
        (person(&["x", "y", "z", PASSPHRASE]), "no passphrase that was given opens it", 3),
    ] {
        let failure = login(&server, &sources.0, &target).await.expect_err("locked");
        assert_eq!(failure.reason, Reason::NoCredentials);
        assert!(failure.detail.contains(said), "{said}: {}", failure.detail);
        assert!(failure.detail.contains(&format!("`ssh-add {}`", key.display())), "{}", failure.detail);
        assert_eq!(sources.1.lock().expect("questions").len(), questions, "{said}");
        sources.0.ask = None;
        sources.0.named = Some(key.clone());
        let error = credentials(&sources.0, &target).await.expect_err("locked");
        assert!(error.to_string().contains("is encrypted"), "{error}");
        assert!(error.hint().expect("a hint").contains("--passphrase-file"), "{error}");
    }
    assert_eq!(server.log(), "", "a host without a key is not dialled");
}

#[tokio::test]
async fn the_usual_keys_are_asked_for_only_where_there_is_nothing_else() {
    let server = Server::openssh("");
    let home = tempfile::tempdir().expect("a directory");
    let key = keygen(home.path(), "id_rsa", "rsa", PASSPHRASE);
    server.authorize(&public(&key));
    let (mut sources, asked) = person(&[PASSPHRASE, PASSPHRASE]);
    sources.directory = Some(home.path().to_owned());
    let mut target = target(&server, &[]);
    login(&server, &sources, &target).await.expect("a login");
    assert_eq!(asked.lock().expect("questions").len(), 1);
    // The password is meant to be used.
    target.login.password = Some(Secret::new("some password"));
    credentials(&sources, &target).await.expect("credentials");
    target.login.password = None;
    keygen(home.path(), "id_ed25519", "ed25519", "");
    let failure = login(&server, &sources, &target).await.expect_err("another key");
    assert_eq!(failure.reason, Reason::AuthRefused);
    assert!(failure.detail.contains("id_rsa` is encrypted"), "{}", failure.detail);
    assert_eq!(asked.lock().expect("questions").len(), 1);
}

#[tokio::test]
async fn a_private_key_that_others_can_read_is_refused_as_ssh_does() {
    let server = Server::openssh("");
    let target = target(&server, &[&server.user_key]);
    fs::set_permissions(&server.user_key, fs::Permissions::from_mode(0o644)).expect("a mode");
    let failure = login(&server, &CredentialSources::default(), &target).await.expect_err("too open");
    let path = server.user_key.display();
    assert_eq!(failure.reason, Reason::NoCredentials);
    assert_eq!(failure.detail, format!("the private key `{path}` is open to others (mode 0644); `chmod 600 {path}`"));
    let said = Command::new(program("ssh", "openssh-client"))
        .args(["-F", "none", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"])
        .args(["-p", &server.port().to_string(), "-i"])
        .arg(&server.user_key)
        .args(["127.0.0.1", "true"])
        .output()
        .expect("ssh runs");
    assert!(String::from_utf8_lossy(&said.stderr).contains("bad permissions"), "{}", String::from_utf8_lossy(&said.stderr));
    // A public key is for everybody.
    fs::set_permissions(&server.user_key, fs::Permissions::from_mode(0o600)).expect("a mode");
    login(&server, &CredentialSources::default(), &target).await.expect("a login");
}

#[tokio::test]
async fn what_is_no_private_key_says_what_it_is() {
    let server = Server::openssh("");
    let at = |name: &str, text: &str| {
        let path = server.directory.path().join(name);
        fs::write(&path, text).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("a mode");
        path
    };
    let directory = server.directory.path().to_owned();
    let pipe = directory.join("pipe");
    output(Command::new("mkfifo").arg(&pipe));
    for (path, said) in [
        (directory.join("nowhere"), "could not read the private key"),
        (directory.clone(), "it is not a regular file"),
        (pipe, "it is not a regular file"),
        (at("text", "not a key\n"), "is not a private key that can be used"),
        (at("empty", ""), "is not a private key that can be used"),
        (PathBuf::from(format!("{}.pub", server.user_key.display())), "is a public key, and no ssh-agent holds its private key"),
        (at("token", &token_key()), "is inside of a hardware token (sk-ssh-ed25519@openssh.com), and no ssh-agent holds it"),
        (at("cert", "ssh-ed25519-cert-v01@openssh.com AAAA x\n"), "it is a certificate"),
        (at("half", &fs::read_to_string(&server.user_key).expect("a key")[..120]), "is not a private key that can be used"),
    ] {
        let failure = login(&server, &CredentialSources::default(), &target(&server, &[&path])).await.expect_err("no key");
        assert_eq!(failure.reason, Reason::NoCredentials);
        assert!(failure.detail.contains(said), "{said}: {}", failure.detail);
        assert!(failure.detail.contains(&format!("`{}`", path.display())), "{}", failure.detail);
        let sources = CredentialSources { named: Some(path.clone()), ..CredentialSources::default() };
        credentials(&sources, &target(&server, &[&path])).await.expect_err("no key");
    }
}

#[tokio::test]
async fn a_named_key_is_the_only_one_however_many_the_agent_holds() {
    // The third attempt would end it.
    let server = Server::openssh("MaxAuthTries 2");
    let agent = Agent::start();
    agent.add_strangers(10);
    agent.add(&server.user_key, "");
    let mut target = target(&server, &[&server.user_key]);
    target.login.agent = AgentSocket::Path(agent.socket.clone());
    login(&server, &CredentialSources::default(), &target).await.expect("a login");
    // Its public half stands for the one of the agent.
    target.login.key_files = vec![format!("{}.pub", server.user_key.display()).into()];
    login(&server, &CredentialSources::default(), &target).await.expect("a login");
    // As `IdentityFile` without `IdentitiesOnly`: the one that was named is the first of the agent's.
    target.login.identities_only = false;
    login(&server, &CredentialSources::default(), &target).await.expect("a login");
    assert_eq!(count(&server, "Accepted publickey"), 3);
    assert_eq!(count(&server, "Failed publickey"), 0, "{}", server.log());
}

#[tokio::test]
async fn no_more_keys_are_offered_than_a_server_stands() {
    let server = Server::openssh("");
    let agent = Agent::start();
    agent.add_strangers(10);
    let failure = login(&server, &CredentialSources::default(), &by_agent(&server, &agent)).await.expect_err("strangers");
    assert_eq!(failure.reason, Reason::AuthRefused);
    assert!(failure.detail.contains("6 more keys were not offered: name one of them"), "{}", failure.detail);
    assert_eq!(count(&server, "Failed publickey"), 4, "{}", server.log());
    assert!(!server.log().contains("Too many"), "{}", server.log());
    // With a key that the configuration names and the agent doesn't hold, as ssh: those of the agent first, then it.
    let mut target = by_agent(&server, &agent);
    target.login.key_files = vec![server.user_key.clone()];
    let failure = login(&server, &CredentialSources::default(), &target).await.expect_err("it comes too late");
    assert!(failure.detail.contains("7 more keys"), "{}", failure.detail);
    // Where the server stands fewer, it says so, and so do we.
    let strict = Server::openssh("MaxAuthTries 2");
    let failure = login(&strict, &CredentialSources::default(), &by_agent(&strict, &agent)).await.expect_err("strangers");
    assert_eq!(failure.reason, Reason::AuthRefused);
    assert!(failure.detail.contains("Too many authentication failures"), "{}", failure.detail);
    assert!(failure.detail.contains("name the one key that it takes with `--private-key`"), "{}", failure.detail);
}

#[tokio::test]
async fn each_host_has_the_agent_that_its_configuration_names() {
    let (one, two) = (Server::openssh(""), Server::openssh(""));
    let (mine, other) = (Agent::start(), Agent::start());
    mine.add(&one.user_key, "");
    other.add(&two.user_key, "");
    let sources = CredentialSources { agent: Some(mine.socket.clone()), ..CredentialSources::default() };
    let mut by_environment = target(&one, &[]);
    by_environment.login.agent = AgentSocket::Environment;
    let by_name = by_agent(&two, &other);
    let loaded = Credentials::load(&sources, [&by_environment.login, &by_name.login]).await.expect("credentials");
    let engine = engine(&one, loaded, limits());
    run(&engine, &by_environment).await.expect("the agent of the environment");
    login(&two, &sources, &by_name).await.expect("the agent that is named");
    let none = target(&one, &[]);
    let failure = run(&engine, &none).await.expect_err("`IdentityAgent none`");
    assert_eq!(
        (failure.reason, failure.detail.as_str()),
        (Reason::NoCredentials, "there is no ssh-agent and no key in `~/.ssh`")
    );
}

#[tokio::test]
async fn an_agent_that_is_of_no_use_is_named_with_the_reason() {
    let server = Server::openssh("");
    let locked = Agent::start();
    locked.add(&server.user_key, "");
    let typist = server.directory.path().join("typist");
    crate::common::executable(&typist, "#!/bin/sh\necho lock\n");
    let mut lock = Command::new(program("ssh-add", "openssh-client"));
    lock.env("SSH_AUTH_SOCK", &locked.socket).env("SSH_ASKPASS", &typist).env("SSH_ASKPASS_REQUIRE", "force");
    output(lock.arg("-x"));
    let hanging = server.directory.path().join("hanging");
    // It takes connections and says nothing.
    let _listener = UnixListener::bind(&hanging).expect("a socket");
    let closed = server.directory.path().join("closed");
    drop(UnixListener::bind(&closed).expect("a socket"));
    for (socket, said) in [
        (locked.socket.clone(), "holds no keys, or is locked (`ssh-add -X` unlocks it)"),
        (hanging, "doesn't answer"),
        (closed, "can't be asked: Connection refused"),
        (PathBuf::from("/no/such/agent"), "can't be asked: No such file"),
    ] {
        let mut target = target(&server, &[]);
        target.login.agent = AgentSocket::Path(socket.clone());
        let failure = login(&server, &CredentialSources::default(), &target).await.expect_err("no key");
        assert_eq!(failure.reason, Reason::NoCredentials);
        assert!(
            failure.detail.contains(&format!("the ssh-agent at `{}` {said}", socket.display())),
            "{said}: {}",
            failure.detail
        );
    }
}

#[tokio::test]
async fn an_agent_that_does_not_sign_is_given_up_and_named() {
    let server = Server::openssh("");
    let agent = Agent::start();
    agent.add(&server.user_key, "");
    let target = by_agent(&server, &agent);
    let loaded = credentials(&CredentialSources::default(), &target).await.expect("credentials");
    let limits = Limits { agent: Duration::from_millis(700), ..limits() };
    let engine = engine(&server, loaded, limits);
    run(&engine, &target).await.expect("a login");
    let signal = |name: &str| drop(output(Command::new("kill").args([name, &agent.process().to_string()])));
    signal("-STOP");
    let failure = run(&engine, &target).await.expect_err("it sleeps");
    assert_eq!(failure.reason, Reason::AuthTimeout, "{}", failure.detail);
    assert!(failure.detail.contains("did not sign in 0.7 s: does it wait for a touch or a confirmation?"), "{}", failure.detail);
    // After a few hosts it is not asked any more, and a whole fleet doesn't wait for it.
    for _ in 0..3 {
        run(&engine, &target).await.expect_err("it sleeps");
    }
    let failure = run(&engine, &target).await.expect_err("it is not asked");
    assert!(failure.detail.contains("has not answered for a while and is not asked any more"), "{}", failure.detail);
    signal("-CONT");
}

#[tokio::test]
async fn an_agent_that_refuses_is_named() {
    let server = Server::openssh("");
    let agent = Agent::start();
    let mut add = Command::new(program("ssh-add", "openssh-client"));
    // With -c it asks before it signs, and here there is nobody to ask.
    output(add.env("SSH_AUTH_SOCK", &agent.socket).args(["-q", "-c"]).arg(&server.user_key));
    let failure = login(&server, &CredentialSources::default(), &by_agent(&server, &agent)).await.expect_err("unconfirmed");
    assert_eq!(failure.reason, Reason::AuthRefused);
    assert!(failure.detail.contains(" not completed; offered: `user` of the agent"), "{}", failure.detail);
    assert!(failure.detail.contains("the ssh-agent did not sign with `user` of the agent"), "{}", failure.detail);
    assert!(failure.detail.contains("it refused"), "{}", failure.detail);
}
