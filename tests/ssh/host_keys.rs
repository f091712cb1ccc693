//! Which hosts are let in: known keys, host certificates, revocation, new hosts, against real servers and beside the real `ssh`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::common::{PASSWORD, Server, keygen, output, program, public, user};
use fleetscan::model::{Failure, KeyTrust, Reason, Secret, ShownKey};
use fleetscan::ssh::{
    CredentialSources, Credentials, Engine, HostIdentity, HostKeyPolicy, HostKeySources, HostKeys, HostKeysError, Limits, Login,
    Passwords, Session, Target, Witness, survey_host_keys,
};

fn ssh_keygen() -> Command {
    Command::new(program("ssh-keygen", "openssh-client"))
}

/// A host on loopback and the key that opens it.
fn target(server: &Server) -> Target {
    let mut target = Target::new("127.0.0.1", server.port(), user());
    target.login.key_files.push(server.user_key.clone());
    target
}

/// Only the known hosts of these lines.
fn knowing(server: &Server, lines: &str) -> HostKeySources {
    HostKeySources { named: Some(server.known_hosts(lines)), ..HostKeySources::default() }
}

async fn engine(sources: &HostKeySources, targets: &[&Target]) -> Engine {
    let files = targets.iter().flat_map(|target| target.login.key_files.clone()).collect();
    let login = Login { key_files: files, ..Login::default() };
    let credentials = Credentials::load(&CredentialSources::default(), [&login]).await.expect("keys");
    let host_keys = HostKeys::load(sources, targets.iter().flat_map(|target| target.identities())).expect("host keys");
    Engine::new(credentials, host_keys, Limits::default())
}

/// Logs in. What the host showed is there whatever comes of it.
async fn connect(engine: &Engine, target: &Target) -> (Result<(), Failure>, Option<ShownKey>) {
    let witness = Witness::default();
    let session = Session::connect_seen(target, engine, &witness).await;
    (session.map(drop), witness.key())
}

async fn trusted(sources: &HostKeySources, target: &Target) -> KeyTrust {
    let (result, key) = connect(&engine(sources, &[target]).await, target).await;
    assert_eq!(result, Ok(()), "{key:?}");
    key.expect("a key").how
}

async fn refused(sources: &HostKeySources, target: &Target) -> (Failure, KeyTrust) {
    let (result, key) = connect(&engine(sources, &[target]).await, target).await;
    (result.expect_err("not let in"), key.expect("a key").how)
}

/// Changes the configuration of a server that runs: each connection reads it anew.
fn configure(server: &Server, line: &str) {
    let path = server.directory.path().join("sshd_config");
    let config = fs::read_to_string(&path).expect("sshd_config");
    fs::write(&path, format!("{line}\n{config}")).expect("sshd_config");
}

/// An authority of this kind.
fn authority(directory: &Path, kind: &str) -> PathBuf {
    keygen(directory, &format!("authority-{kind}"), kind, "")
}

/// Has the host key of a server signed, and the server show the certificate.
fn certify(server: &Server, authority: &Path, arguments: &[&str]) {
    certify_key(server, &server.host_key, authority, arguments);
}

fn certify_key(server: &Server, key: &Path, authority: &Path, arguments: &[&str]) {
    let mut command = ssh_keygen();
    command.args(["-q", "-I", "the key of web1"]).args(arguments).arg("-s").arg(authority);
    output(command.arg(format!("{}.pub", key.display())));
    configure(server, &format!("HostCertificate {}-cert.pub", key.display()));
}

fn certifies(patterns: &str, authority: &Path) -> String {
    format!("@cert-authority {patterns} {}\n", public(authority))
}

#[tokio::test]
async fn a_certificate_of_a_known_authority_is_enough_whatever_the_kinds_of_keys() {
    for (host, signer) in [("ed25519", "ed25519"), ("ecdsa", "rsa"), ("rsa", "ecdsa")] {
        let server = Server::openssh_with(host, "ed25519", "");
        let authority = authority(server.directory.path(), signer);
        certify(&server, &authority, &["-h", "-n", "127.0.0.1,other", "-V", "-1h:+1h"]);
        // For every port of the name, as `ssh` has it.
        let sources = knowing(&server, &certifies("127.0.0.*", &authority));
        assert_eq!(trusted(&sources, &target(&server)).await, KeyTrust::Certificate, "{host} signed by {signer}");
    }
}

#[tokio::test]
async fn names_of_a_certificate_are_matched_as_ssh_does_it() {
    let server = Server::openssh("");
    let authority = authority(server.directory.path(), "ed25519");
    let sources = knowing(&server, &certifies("*", &authority));
    let mut target = target(&server);
    for (principals, alias, holds) in [
        (&["-n", "*.example.com"][..], Some("web1.example.com"), true),
        (&["-n", "*.example.com"], Some("example.com"), false),
        (&["-n", "web1.example.com"], Some("WEB1.example.com"), true),
        (&["-n", "web1"], None, false),
        // Without names: good for every host, as its authority signed it.
        (&[], None, true),
    ] {
        certify(&server, &authority, &[&["-h", "-V", "always:forever"], principals].concat());
        target.identity.alias = alias.map(str::to_owned);
        let engine = engine(&sources, &[&target]).await;
        let (result, _) = connect(&engine, &target).await;
        assert_eq!(result.is_ok(), holds, "{principals:?} {alias:?}: {result:?}");
        if let Err(failure) = result {
            assert_eq!(failure.reason, Reason::HostCertificateInvalid);
            assert!(failure.detail.contains("it is for `") && failure.detail.contains(", not for `"), "{}", failure.detail);
        }
    }
}

#[tokio::test]
async fn a_certificate_that_does_not_hold_says_why() {
    let server = Server::openssh("");
    let directory = server.directory.path();
    let (ed25519, rsa) = (authority(directory, "ed25519"), authority(directory, "rsa"));
    let unlisted = keygen(directory, "unlisted", "ed25519", "");
    let sources = knowing(&server, &(certifies("*", &ed25519) + &certifies("*", &rsa)));
    let cases: [(&Path, &[&str], &str); 7] = [
        (&ed25519, &["-h", "-V", "20200101:20210101"], "it expired at 202"),
        (&ed25519, &["-h", "-V", "+1d:+2d"], "it is not valid before 2"),
        (&ed25519, &["-n", "127.0.0.1"], "it is a user's certificate"),
        (&ed25519, &["-h", "-n", "db1"], "it is for `db1`, not for `127.0.0.1`"),
        (&rsa, &["-h", "-t", "ssh-rsa"], "signed it with SHA-1"),
        (&ed25519, &["-h", "-O", "critical:odd@example.com"], "it asks for what fleetscan does not know: odd@example.com"),
        (&unlisted, &["-h"], "is none of those that known_hosts names for this host"),
    ];
    for (signer, arguments, detail) in cases {
        certify(&server, signer, arguments);
        let (failure, how) = refused(&sources, &target(&server)).await;
        assert_eq!(
            (failure.reason, how),
            (Reason::HostCertificateInvalid, KeyTrust::CertificateInvalid),
            "{arguments:?}: {failure:?}"
        );
        assert!(failure.detail.contains(detail), "{arguments:?}: {}", failure.detail);
        assert!(
            failure.detail.contains("`[127.0.0.1]:") && failure.detail.contains("key ID `the key of web1`"),
            "{}",
            failure.detail
        );
    }
}

#[tokio::test]
async fn a_certificate_that_does_not_hold_is_as_good_as_the_key_in_it() {
    let server = Server::openssh("");
    let authority = authority(server.directory.path(), "ed25519");
    certify(&server, &authority, &["-h", "-V", "20200101:20210101"]);
    let lines = certifies("*", &authority);
    let sources = knowing(&server, &(lines.clone() + &server.known_hosts_line()));
    assert_eq!(trusted(&sources, &target(&server)).await, KeyTrust::Known);

    let other = keygen(server.directory.path(), "other", "ed25519", "");
    let sources = knowing(&server, &format!("{lines}[127.0.0.1]:{} {}\n", server.port(), public(&other)));
    let (failure, how) = refused(&sources, &target(&server)).await;
    assert_eq!((failure.reason, how), (Reason::HostKeyChanged, KeyTrust::Changed));
    assert!(failure.detail.contains("of the certificate: it expired"), "{}", failure.detail);
}

#[tokio::test]
async fn what_is_revoked_is_refused_be_it_the_key_or_its_authority_and_wherever_it_is_listed() {
    let server = Server::openssh("");
    let authority = authority(server.directory.path(), "ed25519");
    certify(&server, &authority, &["-h"]);
    let lines = certifies("*", &authority) + &server.known_hosts_line();
    let mut target = target(&server);
    for key in [&server.host_key, &authority] {
        let sources = knowing(&server, &format!("{lines}@revoked * {}\n", public(key)));
        let (failure, how) = refused(&sources, &target).await;
        assert_eq!((failure.reason, how), (Reason::HostKeyRevoked, KeyTrust::Revoked));
        assert!(failure.detail.contains("known_hosts:3` revokes"), "{}", failure.detail);

        let revoked = server.directory.path().join("revoked");
        fs::write(&revoked, format!("# stolen\n{} a comment\n", public(key))).expect("a file");
        target.identity.revoked_file = Some(revoked);
        let (failure, _) = refused(&knowing(&server, &lines), &target).await;
        assert_eq!(failure.reason, Reason::HostKeyRevoked);
        assert!(failure.detail.contains("revoked:2` revokes"), "{}", failure.detail);
        target.identity.revoked_file = None;
    }
    // Whatever the policy.
    let sources = knowing(&server, &format!("@revoked * {}\n", public(&server.host_key)));
    let sources = HostKeySources { policy: HostKeyPolicy::AcceptNew, ..sources };
    assert_eq!(refused(&sources, &target).await.0.reason, Reason::HostKeyRevoked);
}

#[tokio::test]
async fn a_revocation_file_that_cannot_be_used_ends_everything_before_it_begins() {
    let server = Server::openssh("");
    let mut target = target(&server);
    let list = server.directory.path().join("krl");
    output(ssh_keygen().args(["-q", "-k", "-f"]).arg(&list).arg(format!("{}.pub", server.host_key.display())));
    target.identity.revoked_file = Some(list);
    let error = HostKeys::load(&HostKeySources::default(), target.identities()).expect_err("binary");
    assert!(matches!(error, HostKeysError::RevocationList { .. }), "{error}");
    assert!(error.hint().expect("a hint").contains("text file"));
    target.identity.revoked_file = Some("/no/such/file".into());
    assert!(matches!(HostKeys::load(&HostKeySources::default(), target.identities()), Err(HostKeysError::Revoked { .. })));
}

#[tokio::test]
async fn a_host_is_asked_for_the_kinds_of_keys_that_are_known_of_it() {
    let server = Server::openssh("");
    let directory = server.directory.path();
    let (rsa, ecdsa) = (keygen(directory, "rsa", "rsa", ""), keygen(directory, "ecdsa", "ecdsa", ""));
    for key in [&rsa, &ecdsa] {
        configure(&server, &format!("HostKey {}", key.display()));
    }
    let line = |key: &Path| format!("[127.0.0.1]:{} {}\n", server.port(), public(key));
    for (known, algorithm) in [(&rsa, "ssh-rsa"), (&ecdsa, "ecdsa-sha2-nistp256"), (&server.host_key, "ssh-ed25519")] {
        let target = target(&server);
        let engine = engine(&knowing(&server, &line(known)), &[&target]).await;
        let (result, key) = connect(&engine, &target).await;
        assert_eq!((result, key.expect("a key").algorithm.as_str()), (Ok(()), algorithm));
    }
    // The same where an authority is known too, and nothing is signed; and where another kind is signed by somebody else.
    let authority = authority(directory, "ed25519");
    let sources = knowing(&server, &(certifies("*", &authority) + &line(&rsa)));
    assert_eq!(trusted(&sources, &target(&server)).await, KeyTrust::Known);
    let somebody = keygen(directory, "somebody", "ed25519", "");
    certify(&server, &somebody, &["-h"]);
    certify_key(&server, &rsa, &somebody, &["-h"]);
    assert_eq!(trusted(&sources, &target(&server)).await, KeyTrust::Known);
}

#[tokio::test]
async fn a_host_has_the_files_that_its_configuration_names() {
    let server = Server::openssh("");
    let at = |name: &str| server.directory.path().join(name);
    fs::create_dir(at(".ssh")).expect("a directory");
    fs::write(at(".ssh/known_hosts"), server.known_hosts_line()).expect("known_hosts");
    fs::write(at("own"), format!("web1 {}\n", public(&server.host_key))).expect("known_hosts");
    let sources = HostKeySources { home: Some(server.directory.path().to_owned()), ..HostKeySources::default() };
    let with = |identity: HostIdentity| Target { identity, ..target(&server) };
    assert_eq!(trusted(&sources, &target(&server)).await, KeyTrust::Known);
    // In place of the usual ones.
    let own = HostIdentity { user_files: Some(vec![at("missing"), at("own")]), ..HostIdentity::default() };
    assert_eq!(refused(&sources, &with(own.clone())).await.0.reason, Reason::HostKeyUnknown);
    let aliased = HostIdentity { alias: Some("web1".to_owned()), ..own.clone() };
    assert_eq!(trusted(&sources, &with(aliased.clone())).await, KeyTrust::Known);
    let global = HostIdentity { user_files: Some(Vec::new()), global_files: Some(vec![at("own")]), ..aliased };
    assert_eq!(trusted(&sources, &with(global)).await, KeyTrust::Known);
    let nowhere = HostIdentity { user_files: Some(vec!["/dev/null".into()]), ..HostIdentity::default() };
    let (failure, _) = refused(&sources, &with(nowhere)).await;
    assert_eq!(failure.reason, Reason::HostKeyUnknown);
    // A file that was named on the command line is all that counts.
    let named = HostKeySources { named: Some(at(".ssh/known_hosts")), ..sources };
    assert_eq!(trusted(&named, &with(own)).await, KeyTrust::Known);
    let missing = HostKeySources { named: Some(at("missing")), ..named };
    let error = HostKeys::load(&missing, []).expect_err("missing");
    assert_eq!(error.to_string(), format!("could not read the known hosts in `{}`", at("missing").display()));
}

fn accepting(directory: &Path, home: &Path) -> HostKeySources {
    HostKeySources {
        home: Some(home.to_owned()),
        policy: HostKeyPolicy::AcceptNew,
        policy_named: true,
        accepted_file: Some(directory.join("state/fleetscan/known_hosts")),
        make_directories: true,
        ..HostKeySources::default()
    }
}

#[tokio::test]
async fn a_new_host_is_accepted_once_and_known_from_then_on() {
    let server = Server::openssh("");
    let directory = server.directory.path();
    let sources = accepting(directory, directory);
    let file = directory.join("state/fleetscan/known_hosts");
    let target = target(&server);
    let first = engine(&sources, &[&target]).await;
    assert!(file.exists(), "made before anything is contacted");
    let mut hows = Vec::new();
    for _ in 0..2 {
        let (result, key) = connect(&first, &target).await;
        assert_eq!(result, Ok(()));
        hows.push(key.expect("a key").how);
    }
    assert_eq!(hows, [KeyTrust::AcceptedNew, KeyTrust::AcceptedNew], "whoever comes first");
    let saved = first.host_keys.new_keys().save().expect("saved");
    assert_eq!(
        saved.iter().map(|saved| (saved.path.clone(), saved.accepted, saved.keys)).collect::<Vec<_>>(),
        [(file.clone(), true, 1)]
    );
    let text = fs::read_to_string(&file).expect("a file");
    assert!(text.starts_with(server.known_hosts_line().trim_end()), "{text}");
    assert_eq!(fs::metadata(&file).expect("a file").permissions().mode() & 0o777, 0o600);

    let strict = HostKeySources { policy: HostKeyPolicy::Strict, ..sources.clone() };
    assert_eq!(trusted(&strict, &target).await, KeyTrust::Known);
    // Nothing but what was named, unless new keys are to be accepted beside it.
    let named = HostKeySources { named: Some(server.known_hosts("")), ..strict };
    assert_eq!(refused(&named, &target).await.0.reason, Reason::HostKeyUnknown);
    let beside = HostKeySources { policy: HostKeyPolicy::AcceptNew, ..named };
    assert_eq!(trusted(&beside, &target).await, KeyTrust::Known);

    // It changes: refused, and what was accepted stands.
    fs::remove_file(&server.host_key).expect("removed");
    keygen(directory, "host", "ed25519", "");
    let again = engine(&sources, &[&target]).await;
    let (result, key) = connect(&again, &target).await;
    assert_eq!((result.expect_err("changed").reason, key.expect("a key").how), (Reason::HostKeyChanged, KeyTrust::Changed));
    assert_eq!(again.host_keys.new_keys().save().expect("saved"), []);
    assert_eq!(fs::read_to_string(&file).expect("a file"), text);
}

#[tokio::test]
async fn a_policy_of_the_host_counts_unless_the_command_line_has_one() {
    let server = Server::openssh("");
    let directory = server.directory.path();
    let mut target = target(&server);
    target.identity.policy = Some(HostKeyPolicy::AcceptNew);
    let named = accepting(directory, directory);
    let strict = HostKeySources { policy: HostKeyPolicy::Strict, ..named.clone() };
    assert_eq!(refused(&strict, &target).await.0.reason, Reason::HostKeyUnknown);
    let unnamed = HostKeySources { policy_named: false, ..strict };
    assert_eq!(trusted(&unnamed, &target).await, KeyTrust::AcceptedNew);
    target.identity.policy = Some(HostKeyPolicy::Strict);
    assert_eq!(refused(&HostKeySources { policy_named: false, ..named.clone() }, &target).await.0.reason, Reason::HostKeyUnknown);
    assert_eq!(trusted(&named, &target).await, KeyTrust::AcceptedNew);
}

#[tokio::test]
async fn a_host_that_is_to_be_forgotten_is() {
    let server = Server::openssh("");
    let directory = server.directory.path();
    let mut target = target(&server);
    target.identity.user_files = Some(vec!["/dev/null".into()]);
    let engine = engine(&accepting(directory, directory), &[&target]).await;
    let (result, key) = connect(&engine, &target).await;
    assert_eq!((result, key.expect("a key").how), (Ok(()), KeyTrust::AcceptedNew));
    assert_eq!(engine.host_keys.new_keys().save().expect("nothing to save"), []);
}

#[tokio::test]
async fn a_new_host_behind_a_certificate_that_does_not_hold_is_not_new() {
    let server = Server::openssh("");
    let directory = server.directory.path();
    let authority = authority(directory, "ed25519");
    certify(&server, &authority, &["-h", "-V", "20200101:20210101"]);
    let sources = accepting(directory, directory);
    let sources = HostKeySources { named: Some(server.known_hosts(&certifies("*", &authority))), ..sources };
    assert_eq!(refused(&sources, &target(&server)).await.0.reason, Reason::HostCertificateInvalid);
    // Of an authority that nobody knows it says nothing, and the host is as new as any other.
    let somebody = keygen(directory, "somebody", "ed25519", "");
    certify(&server, &somebody, &["-h"]);
    assert_eq!(trusted(&sources, &target(&server)).await, KeyTrust::AcceptedNew);
}

#[tokio::test]
async fn of_two_new_hosts_of_one_name_only_one_key_is_accepted() {
    let (one, other) = (Server::openssh(""), Server::openssh(""));
    let directory = one.directory.path();
    let aliased = |server: &Server| {
        let mut target = target(server);
        target.identity.alias = Some("cluster".to_owned());
        target
    };
    let (first, second) = (aliased(&one), aliased(&other));
    let engine = engine(&accepting(directory, directory), &[&first, &second]).await;
    let ((a, _), (b, _)) = futures::future::join(connect(&engine, &first), connect(&engine, &second)).await;
    assert_ne!(a.is_ok(), b.is_ok(), "{a:?} {b:?}");
    let failure = a.and(b).expect_err("one of them");
    assert_eq!(failure.reason, Reason::HostKeyChanged);
    assert!(failure.detail.contains("but another host of this name showed ssh-ed25519 SHA256:"), "{}", failure.detail);
    let saved = engine.host_keys.new_keys().save().expect("saved");
    assert_eq!(saved.iter().map(|saved| saved.keys).collect::<Vec<_>>(), [1]);
}

#[tokio::test]
async fn a_new_key_is_recorded_for_review_and_its_host_left_alone() {
    let server = Server::openssh("");
    let directory = server.directory.path();
    let file = directory.join("new");
    let sources = HostKeySources {
        policy: HostKeyPolicy::Record,
        policy_named: true,
        recorded_file: Some(file.clone()),
        ..knowing(&server, "")
    };
    let target = target(&server);
    for keys in [1, 0] {
        let engine = engine(&sources, &[&target]).await;
        let (result, key) = connect(&engine, &target).await;
        let failure = result.expect_err("not let in");
        assert_eq!((failure.reason, key.expect("a key").how), (Reason::HostKeyUnknown, KeyTrust::Unknown));
        assert!(
            failure.detail.ends_with(&format!("it was written to `{}`, for you to verify", file.display())),
            "{}",
            failure.detail
        );
        let saved = engine.host_keys.new_keys().save().expect("saved");
        assert_eq!((saved[0].keys, saved[0].accepted), (keys, false));
    }
    let text = fs::read_to_string(&file).expect("a file");
    assert!(text.starts_with("# Host keys recorded by fleetscan. Nobody has verified them"), "{text}");
    assert_eq!(text.lines().filter(|line| line.starts_with(server.known_hosts_line().trim_end())).count(), 1, "{text}");
    assert!(!server.log().contains("publickey"), "{}", server.log());
    // What a person has looked at is used by its name.
    assert_eq!(
        trusted(&HostKeySources { named: Some(file.clone()), ..HostKeySources::default() }, &target).await,
        KeyTrust::Known
    );
    // A host that was set up anew in between is recorded as it is now.
    fs::remove_file(&server.host_key).expect("removed");
    keygen(directory, "host", "ed25519", "");
    let engine = engine(&sources, &[&target]).await;
    assert!(connect(&engine, &target).await.0.is_err());
    engine.host_keys.new_keys().save().expect("saved");
    let text = fs::read_to_string(&file).expect("a file");
    assert_eq!(text.lines().filter(|line| line.starts_with('[')).count(), 1, "{text}");
    assert!(text.contains(server.known_hosts_line().trim_end()), "{text}");
}

#[tokio::test]
async fn a_file_for_new_keys_that_cannot_be_written_ends_the_scan_before_it_begins() {
    let server = Server::openssh("");
    let sources =
        HostKeySources { accepted_file: Some("/proc/no/known_hosts".into()), ..accepting(Path::new("/"), Path::new("/")) };
    let error = HostKeys::load(&sources, []).expect_err("not writable");
    assert_eq!(error.to_string(), "new host keys cannot be written to `/proc/no/known_hosts`");
    // One that was named is where its user meant it to be, or nowhere.
    let home = server.directory.path();
    let named = HostKeySources { make_directories: false, ..accepting(home, home) };
    assert!(HostKeys::load(&named, []).is_err() && !home.join("state").exists());
    // Nobody writes, so nobody minds.
    let strict = HostKeySources { policy: HostKeyPolicy::Strict, ..sources };
    HostKeys::load(&strict, target(&server).identities()).expect("nothing is written");
}

#[tokio::test]
async fn anything_is_accepted_only_under_the_name_that_says_so() {
    let server = Server::openssh("");
    let other = keygen(server.directory.path(), "other", "ed25519", "");
    let changed = format!("[127.0.0.1]:{} {}\n", server.port(), public(&other));
    for (lines, how) in [
        (String::new(), KeyTrust::Unknown),
        (changed, KeyTrust::Changed),
        (format!("@revoked * {}\n", public(&server.host_key)), KeyTrust::Revoked),
    ] {
        let sources = HostKeySources { policy: HostKeyPolicy::AcceptAnything, policy_named: true, ..knowing(&server, &lines) };
        assert_eq!(trusted(&sources, &target(&server)).await, how);
        let engine = engine(&sources, &[]).await;
        assert!(engine.host_keys.accepts_anything());
    }
}

#[tokio::test]
async fn whoever_answers_with_a_wrong_key_learns_no_password() {
    let server = Server::with_accounts("");
    let other = keygen(server.directory.path(), "other", "ed25519", "");
    let mut target = Target::new("127.0.0.1", server.port(), "alice");
    target.login.no_key_files = true;
    let password = CredentialSources { passwords: Passwords::all(Secret::new(PASSWORD)), ..CredentialSources::default() };
    let changed = format!("[127.0.0.1]:{} {}\n", server.port(), public(&other));
    for (lines, sent) in [(changed, false), (format!("@revoked * {}\n", public(&server.host_key)), false), (String::new(), true)]
    {
        let sources = HostKeySources { policy: HostKeyPolicy::AcceptAnything, ..knowing(&server, &lines) };
        let credentials = Credentials::load(&password, [&target.login]).await.expect("a password");
        let engine = Engine::new(credentials, HostKeys::load(&sources, []).expect("host keys"), Limits::default());
        let (result, _) = connect(&engine, &target).await;
        assert_eq!(result.is_ok(), sent, "{result:?}");
        if let Err(failure) = result {
            assert!(failure.detail.contains("so no password would be sent"), "{}", failure.detail);
            assert!(!server.log().contains("password for alice") && !server.log().contains("pam for alice"), "{}", server.log());
        }
    }
}

#[tokio::test]
async fn many_hashed_names_are_found_and_hold_up_nobody() {
    let server = Server::openssh("");
    let other = public(&keygen(server.directory.path(), "other", "ed25519", ""));
    let mut lines: String = (0..2_000).map(|host| format!("host{host} {other}\n")).collect();
    lines.push_str(&server.known_hosts_line());
    let sources = knowing(&server, &lines);
    output(ssh_keygen().args(["-q", "-H", "-f"]).arg(sources.named.as_ref().expect("a file")).stderr(Stdio::null()));
    assert!(fs::read_to_string(sources.named.as_ref().expect("a file")).expect("known_hosts").starts_with("|1|"));
    assert_eq!(trusted(&sources, &target(&server)).await, KeyTrust::Known);
}

#[tokio::test]
async fn all_keys_of_a_host_are_collected_without_logging_in() {
    let server = Server::openssh("");
    let directory = server.directory.path();
    let rsa = keygen(directory, "rsa", "rsa", "");
    configure(&server, &format!("HostKey {}", rsa.display()));
    let target = target(&server);
    let survey = |lines: String| {
        let (target, sources) = (target.clone(), knowing(&server, &lines));
        async move { survey_host_keys(&target, &engine(&sources, &[&target]).await).await.expect("keys") }
    };
    let unknown = survey(String::new()).await;
    assert_eq!((unknown.trust, unknown.keys.len()), (KeyTrust::Unknown, 2));
    let scanned =
        output(Command::new(program("ssh-keyscan", "openssh-client")).args(["-p", &server.port().to_string(), "127.0.0.1"]));
    let mut scanned: Vec<&str> = scanned.lines().filter(|line| !line.starts_with('#')).collect();
    let lines = unknown.known_hosts_lines();
    let mut collected: Vec<&str> = lines.lines().collect();
    scanned.sort_unstable();
    collected.sort_unstable();
    assert_eq!(collected, scanned, "the same as ssh-keyscan");

    let port = server.port();
    let known = survey(format!("[127.0.0.1]:{port} {}\n", public(&rsa))).await;
    assert_eq!(known.trust, KeyTrust::Known);
    assert_eq!(
        known.keys.iter().map(|key| (key.algorithm, key.trust)).collect::<Vec<_>>(),
        [("ssh-rsa", KeyTrust::Known), ("ssh-ed25519", KeyTrust::Unknown)]
    );
    let other = keygen(directory, "other", "ed25519", "");
    let changed = survey(format!("[127.0.0.1]:{port} {}\n", public(&other))).await;
    assert_eq!(changed.trust, KeyTrust::Changed);
    let ecdsa = keygen(directory, "ecdsa", "ecdsa", "");
    let no_more = survey(format!("[127.0.0.1]:{port} {}\n", public(&ecdsa))).await;
    assert_eq!(no_more.trust, KeyTrust::Changed, "the kind that is listed is gone");
    let authority = authority(directory, "ed25519");
    certify(&server, &authority, &["-h"]);
    assert_eq!(survey(certifies("*", &authority)).await.trust, KeyTrust::Certificate);
    assert!(!server.log().contains("Accepted") && !server.log().contains("publickey"), "{}", server.log());
}

/// Whether the real `ssh` lets the host in.
fn ssh_lets_in(server: &Server, known_hosts: &Path, alias: Option<&str>, revoked: Option<&Path>) -> bool {
    let mut command = Command::new(program("ssh", "openssh-client"));
    command.args(["-F", "none", "-n", "-T", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes", "-o", "UpdateHostKeys=no"]);
    // The usual key exchange takes a tenth of a second of a whole processor.
    command.args(["-o", "KexAlgorithms=curve25519-sha256", "-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none", "-i"]);
    command.arg(&server.user_key).arg("-o").arg(format!("UserKnownHostsFile={}", known_hosts.display()));
    command.args(["-o", "GlobalKnownHostsFile=/dev/null", "-p", &server.port().to_string()]);
    command.args(alias.iter().flat_map(|alias| ["-o".to_owned(), format!("HostKeyAlias={alias}")]));
    command.args(revoked.iter().flat_map(|file| ["-o".to_owned(), format!("RevokedHostKeys={}", file.display())]));
    let output = command.args([&format!("{}@127.0.0.1", user()), "true"]).output().expect("ssh");
    let said = String::from_utf8_lossy(&output.stderr);
    let verdict = output.status.success();
    assert!(verdict || said.contains("Host key verification failed"), "{said}");
    verdict
}

/// Lines of known_hosts that are easily read in more than one way: `KEY` and `RSA` are the host's, `OTHER` and `OTHERRSA` are not, `CA` signed its certificate if it
/// shows one.
const NASTY: &[&str] = &[
    "",
    "127.0.0.1 KEY",
    "[127.0.0.1]:PORT KEY",
    "[127.0.0.1]:22 KEY",
    "[127.0.0.1] KEY",
    "127.0.0.1:PORT KEY",
    "localhost,127.0.0.1 KEY",
    "127.0.0.1 OTHER\n[127.0.0.1]:PORT KEY",
    "127.0.0.1 KEY\n[127.0.0.1]:PORT OTHER",
    "[127.0.0.1]:PORT OTHER\n[127.0.0.1]:PORT KEY",
    "[127.0.0.1]:PORT RSA",
    "[127.0.0.1]:PORT OTHERRSA",
    "[127.0.0.1]:PORT OTHERRSA\n[127.0.0.1]:PORT KEY",
    "[127.0.0.1]:PORT OTHER\n[127.0.0.1]:PORT RSA",
    "[127.0.0.*]:PORT KEY",
    "[127.0.0.?]:PORT KEY",
    "[127.0.0.??]:PORT KEY",
    "[*]:* KEY",
    "* KEY",
    "*,!127.* KEY",
    "*,![127.* KEY",
    "![127.0.0.1]:PORT,* KEY",
    "!127.0.0.1 KEY",
    "!*,[127.0.0.1]:PORT KEY",
    "[127.0.0.1]:PORT, KEY",
    ",[127.0.0.1]:PORT KEY",
    ",,[127.0.0.1]:PORT,, KEY",
    "[127.0.0.1]:PORT KEY # a comment",
    "#[127.0.0.1]:PORT KEY",
    " \t [127.0.0.1]:PORT \t KEY",
    "[127.0.0.1]:PORT\tKEY",
    "[127.0.0.1]:PORT KEY\r",
    "\n\n# a comment\n\t\n[127.0.0.1]:PORT KEY",
    "[127.0.0.1]:PORT",
    "[127.0.0.1]:PORT ssh-ed25519",
    "[127.0.0.1]:PORT ssh-ed25519 #",
    "[127.0.0.1]:PORT # KEY",
    "[127.0.0.1]:PORT KEY=",
    "[127.0.0.1]:PORT ssh-ed25519 AAAA\n[127.0.0.1]:PORT KEY",
    "[127.0.0.1]:PORT ssh-ed25519 AAAA\n127.0.0.1 KEY",
    "[127.0.0.1]:PORT ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA==\n127.0.0.1 KEY",
    "[127.0.0.1]:PORT ssh-xmss@openssh.com AAAAC3NzaC1lZDI1NTE5AAAAIA==\n127.0.0.1 KEY",
    "[127.0.0.1]:PORT 1024 35 123456789\n127.0.0.1 KEY",
    "[127.0.0.1]:PORT ssh-rsa BASE64\n127.0.0.1 KEY",
    "[127.0.0.1]:PORT rsa-sha2-512 RSABASE64",
    "[127.0.0.1]:PORT SSH-ED25519 BASE64",
    "@revoked * KEY",
    "[127.0.0.1]:PORT KEY\n@revoked * KEY",
    "@revoked * KEY\n[127.0.0.1]:PORT KEY\n[127.0.0.1]:PORT RSA",
    "[127.0.0.1]:PORT KEY\n@revoked * OTHER",
    "[127.0.0.1]:PORT KEY\n@revoked [127.0.0.1]:PORT KEY",
    "[127.0.0.1]:PORT KEY\n@revoked 127.0.0.1 KEY",
    "127.0.0.1 KEY\n@revoked 127.0.0.1 KEY",
    "[127.0.0.1]:PORT KEY\n@revoked elsewhere KEY",
    "@REVOKED * KEY\n[127.0.0.1]:PORT KEY",
    "@cert-authority * KEY",
    "@cert-authority * KEY\n[127.0.0.1]:PORT KEY",
    "@unknown [127.0.0.1]:PORT KEY",
    "@revoked @cert-authority * KEY\n[127.0.0.1]:PORT KEY",
    "@cert-authority",
    "@cert-authority *",
    "@ * KEY",
    "@revoked  *  KEY\n[127.0.0.1]:PORT KEY",
    "|1| KEY",
    "|1|YQ==|YQ== KEY\n[127.0.0.1]:PORT KEY",
    "|2|YQ==|YQ== KEY\n[127.0.0.1]:PORT KEY",
    "HASH KEY",
    "HASH OTHER",
    "HASH,127.0.0.1 KEY",
    "127.0.0.1,HASH KEY",
    "HASHBARE KEY",
    "HASHBARE OTHER\nHASH KEY",
    "@revoked HASH KEY\n* KEY",
    "@cert-authority * CA",
    "@cert-authority 127.0.0.1 CA",
    "@cert-authority [127.0.0.1]:PORT CA",
    "@cert-authority localhost CA",
    "@cert-authority HASHBARE CA",
    "@cert-authority *,!127.0.0.1 CA",
    "@cert-authority * CA\n[127.0.0.1]:PORT OTHER",
    "@cert-authority * CA\n[127.0.0.1]:PORT KEY",
    "@cert-authority * CA\n[127.0.0.1]:PORT RSA",
    "@cert-authority * OTHER\n[127.0.0.1]:PORT KEY",
    "@cert-authority * OTHER",
    "@cert-authority * CA\n@revoked * CA",
    "@cert-authority * CA\n@revoked * KEY",
    "@cert-authority * CA\n@revoked * CA\n[127.0.0.1]:PORT KEY",
    "@cert-authority * CA\n@revoked * OTHER",
    "[127.0.0.1]:PORT CA",
    "[127.0.0.1]:PORT KEY\n@revoked * CA",
    "[127.0.0.1]:PORT RSA\n@revoked * CA",
];

#[tokio::test]
async fn the_same_hosts_are_let_in_as_by_the_real_ssh() {
    let plain = Server::openssh("");
    let directory = plain.directory.path();
    let other = public(&keygen(directory, "other", "ed25519", ""));
    let other_rsa = public(&keygen(directory, "other_rsa", "rsa", ""));
    let servers = [
        (plain, &[][..]),
        (Server::openssh(""), &["-h", "-n", "127.0.0.1"]),
        (Server::openssh(""), &["-h", "-n", "elsewhere"]),
        (Server::openssh(""), &["-h", "-V", "20200101:20210101"]),
    ];
    let (mut accepted, mut refused, mut differences) = (0, 0, Vec::new());
    for (server, certificate) in &servers {
        let directory = server.directory.path();
        let rsa = keygen(directory, "rsa", "rsa", "");
        configure(server, &format!("HostKey {}", rsa.display()));
        let authority = authority(directory, "ed25519");
        if !certificate.is_empty() {
            certify(server, &authority, certificate);
        }
        let (port, key, rsa) = (server.port().to_string(), public(&server.host_key), public(&rsa));
        let base64 = |key: &str| key.split(' ').nth(1).expect("base64").to_owned();
        for nasty in NASTY.iter().filter(|nasty| certificate.is_empty() || nasty.contains("CA")) {
            let hashed = |name: &str| {
                let file = server.known_hosts(&format!("{name} {key}\n"));
                output(ssh_keygen().args(["-q", "-H", "-f"]).arg(&file).stderr(Stdio::null()));
                fs::read_to_string(file).expect("known_hosts").split(' ').next().expect("a hash").to_owned()
            };
            let mut lines = (*nasty).to_owned();
            if lines.contains("HASH") {
                lines = lines.replace("HASHBARE", &hashed("127.0.0.1")).replace("HASH", &hashed(&format!("[127.0.0.1]:{port}")));
            }
            for (word, meaning) in [
                ("RSABASE64", &base64(&rsa)),
                ("BASE64", &base64(&key)),
                ("OTHERRSA", &other_rsa),
                ("OTHER", &other),
                ("RSA", &rsa),
                ("KEY", &key),
                ("CA", &public(&authority)),
                ("PORT", &port),
            ] {
                lines = lines.split(' ').map(|part| replaced(part, word, meaning)).collect::<Vec<_>>().join(" ");
            }
            let file = server.known_hosts(&(lines + "\n"));
            let theirs = ssh_lets_in(server, &file, None, None);
            let target = target(server);
            let sources = HostKeySources { named: Some(file), ..HostKeySources::default() };
            let (result, _) = connect(&engine(&sources, &[&target]).await, &target).await;
            *(if theirs { &mut accepted } else { &mut refused }) += 1;
            if result.is_ok() != theirs {
                differences.push(format!("{nasty:?}, certificate {certificate:?}: ssh {theirs}, fleetscan {result:?}"));
            }
        }
    }
    assert!(accepted > 40 && refused > 40, "{accepted} accepted, {refused} refused: nothing much was compared");
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// A word of a line by what it stands for; words within words stay.
fn replaced(part: &str, word: &str, meaning: &str) -> String {
    let is_letter = |letter: Option<char>| letter.is_some_and(|letter| letter.is_ascii_alphanumeric());
    let mut out = String::new();
    let mut rest = part;
    while let Some(at) = rest.find(word) {
        let (before, after) = (&rest[..at], &rest[at + word.len()..]);
        let alone = !is_letter(before.chars().next_back()) && !is_letter(after.chars().next());
        out.push_str(before);
        out.push_str(if alone { meaning } else { word });
        rest = after;
    }
    out + rest
}

/// Without patterns in the names of certificates: `ssh` matches them from OpenSSH 10.3 on.
#[tokio::test]
async fn aliases_and_revocation_files_are_what_they_are_to_the_real_ssh() {
    let server = Server::openssh("");
    let directory = server.directory.path();
    let authority = authority(directory, "ed25519");
    certify(&server, &authority, &["-h", "-n", "web1,Web3"]);
    let (key, ca) = (public(&server.host_key), public(&authority));
    let revoked = directory.join("revoked");
    let port = server.port();
    let cases = [
        (format!("web1 {key}"), "web1", None),
        (format!("web1 {key}"), "WEB1", None),
        (format!("WEB1 {key}"), "web1", None),
        (format!("[web1]:{port} {key}"), "web1", None),
        (format!("127.0.0.1 {key}\n[127.0.0.1]:{port} {key}"), "web1", None),
        (format!("@cert-authority * {ca}"), "web1", None),
        (format!("@cert-authority * {ca}"), "WEB1", None),
        (format!("@cert-authority * {ca}"), "web2", None),
        (format!("@cert-authority * {ca}"), "web3", None),
        (format!("@cert-authority *.example.com {ca}"), "web1", None),
        (format!("web1 {key}"), "web1", Some(format!("{key}\n"))),
        (format!("web1 {key}"), "web1", Some(format!("{ca}\n"))),
        (format!("web1 {key}"), "web1", Some("# none\n".to_owned())),
        (format!("web1 {key}"), "web1", Some("not a key\n".to_owned())),
        (format!("@cert-authority * {ca}"), "web1", Some(format!("\n{ca} the authority\n"))),
        (format!("@cert-authority * {ca}"), "web1", Some(format!("{key}\n"))),
    ];
    for (lines, alias, list) in cases {
        let file = server.known_hosts(&(lines.clone() + "\n"));
        let mut target = target(&server);
        target.identity.alias = Some(alias.to_owned());
        if let Some(list) = &list {
            fs::write(&revoked, list).expect("a file");
            target.identity.revoked_file = Some(revoked.clone());
        }
        let theirs = ssh_lets_in(&server, &file, Some(alias), target.identity.revoked_file.as_deref());
        let sources = HostKeySources { named: Some(file), ..HostKeySources::default() };
        let ours = match HostKeys::load(&sources, target.identities()) {
            Ok(_) => connect(&engine(&sources, &[&target]).await, &target).await.0.is_ok(),
            Err(_) => false,
        };
        assert_eq!(ours, theirs, "{lines:?} {alias} {list:?}");
    }
}
