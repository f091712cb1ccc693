//! User certificates against a real sshd that trusts their authority and knows no key.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::common::{Agent, Server, keygen, output, program, user};
use crate::keys::{by_agent, count, login, target};
use fleetscan::model::Reason;
use fleetscan::ssh::CredentialSources;
use fleetscan::ssh_config::AgentSocket;

/// A server that trusts an authority and knows no key; and the authority.
fn trusting(lines: &str) -> (Server, PathBuf) {
    let server = Server::openssh(lines);
    let authority = keygen(server.directory.path(), "authority", "ed25519", "");
    let path = server.directory.path().join("sshd_config");
    let config = fs::read_to_string(&path).expect("sshd_config");
    fs::write(&path, format!("{config}TrustedUserCAKeys {}.pub\n", authority.display())).expect("sshd_config");
    fs::write(server.directory.path().join("user.pub"), "").expect("no keys");
    (server, authority)
}

/// A certificate about a key, beside it, for the login that runs the tests.
fn certify(authority: &Path, key: &Path, arguments: &[&str]) -> PathBuf {
    certify_for(authority, key, &user(), arguments)
}

fn certify_for(authority: &Path, key: &Path, name: &str, arguments: &[&str]) -> PathBuf {
    let mut command = Command::new(program("ssh-keygen", "openssh-client"));
    command.args(["-q", "-I", "the-id", "-n", name]).args(arguments).arg("-s").arg(authority);
    output(command.arg(format!("{}.pub", key.display())));
    format!("{}-cert.pub", key.display()).into()
}

fn none() -> CredentialSources {
    CredentialSources::default()
}

#[tokio::test]
async fn a_certificate_beside_its_key_is_found_for_every_kind_of_key() {
    let (server, authority) = trusting("MaxAuthTries 1");
    for (kind, bits) in [("ed25519", "256"), ("ecdsa", "256"), ("ecdsa", "521"), ("rsa", "2048")] {
        let key = server.directory.path().join(format!("{kind}{bits}"));
        output(Command::new("ssh-keygen").args(["-q", "-t", kind, "-b", bits, "-N", "", "-f"]).arg(&key));
        certify(&authority, &key, &[]);
        let done = login(&server, &none(), &target(&server, &[&key])).await;
        done.unwrap_or_else(|failure| panic!("{kind} {bits}: {}\n{}", failure.detail, server.log()));
    }
    assert_eq!(count(&server, "ID the-id"), 4, "{}", server.log());
    assert_eq!(count(&server, "Failed publickey"), 0, "{}", server.log());
}

#[tokio::test]
async fn a_certificate_that_is_named_finds_its_key_in_a_file_or_in_the_agent() {
    let (server, authority) = trusting("MaxAuthTries 1");
    let agent = Agent::start();
    for kind in ["ed25519", "rsa"] {
        let key = keygen(server.directory.path(), kind, kind, "");
        let beside = certify(&authority, &key, &[]);
        let certificate = server.directory.path().join(format!("{kind}.certificate"));
        fs::rename(&beside, &certificate).expect("moved");
        let mut target = target(&server, &[&key]);
        target.login.certificate_files = vec![certificate];
        login(&server, &none(), &target).await.unwrap_or_else(|failure| panic!("{kind}: {}", failure.detail));
        // The agent has the key and knows nothing of the certificate.
        agent.add(&key, "");
        fs::remove_file(&key).expect("removed");
        target.login.key_files = vec![format!("{}.pub", key.display()).into()];
        target.login.agent = AgentSocket::Path(agent.socket.clone());
        login(&server, &none(), &target).await.unwrap_or_else(|failure| panic!("{kind} of the agent: {}", failure.detail));
    }
    assert_eq!(count(&server, "ID the-id"), 4, "{}", server.log());
}

#[tokio::test]
async fn a_certificate_of_the_agent_is_offered() {
    let (server, authority) = trusting("MaxAuthTries 1");
    for kind in ["ed25519", "rsa"] {
        let agent = Agent::start();
        agent.add_strangers(1);
        let key = keygen(server.directory.path(), kind, kind, "");
        certify(&authority, &key, &[]);
        // With the certificate that lies beside it.
        agent.add(&key, "");
        let mut target = by_agent(&server, &agent);
        target.login.key_files = vec![format!("{}.pub", key.display()).into()];
        target.login.identities_only = true;
        login(&server, &none(), &target).await.unwrap_or_else(|failure| panic!("{kind}: {}\n{}", failure.detail, server.log()));
        // The agent's alone, none beside the key: it is the agent that signs for it.
        fs::remove_file(format!("{}-cert.pub", key.display())).expect("removed");
        login(&server, &none(), &target).await.unwrap_or_else(|failure| panic!("{kind}: {}\n{}", failure.detail, server.log()));
    }
    assert_eq!(count(&server, "ID the-id"), 4, "{}", server.log());
}

#[tokio::test]
async fn the_certificate_comes_before_the_key_and_both_count() {
    let (server, _) = trusting("");
    let stranger = keygen(server.directory.path(), "stranger", "ed25519", "");
    let key = keygen(server.directory.path(), "key", "ed25519", "");
    certify(&stranger, &key, &[]);
    server.authorize(&crate::common::public(&key));
    login(&server, &none(), &target(&server, &[&key])).await.expect("the key itself is known");
    let log = server.log();
    let (failed, accepted) =
        (log.find("ED25519-CERT").expect("the certificate"), log.find("Accepted publickey").expect("the key"));
    assert!(failed < accepted && log.matches("Failed publickey").count() == 1, "{log}");
}

#[tokio::test]
async fn a_certificate_that_does_not_hold_is_not_offered_and_says_why() {
    let (server, authority) = trusting("");
    let directory = server.directory.path();
    let key = |name: &str| keygen(directory, name, "ed25519", "");
    let (old, young, host, foreign) = (key("old"), key("young"), key("host-like"), key("foreign"));
    certify(&authority, &old, &["-V", "20200101000000Z:20210203040506Z"]);
    certify(&authority, &young, &["-V", "20980101000000Z:20990101000000Z"]);
    certify(&authority, &host, &["-h"]);
    certify(&authority, &foreign, &[]);
    fs::copy(directory.join("old-cert.pub"), directory.join("foreign-cert.pub")).expect("a copy");
    for (key, said) in [
        (&old, "old-cert.pub` (ssh-ed25519 certificate) expired 2021-02-03 04:05 UTC"),
        (&young, "young-cert.pub` (ssh-ed25519 certificate) is not valid before 2098-01-01 00:00 UTC"),
        (&host, "host-like-cert.pub` (ssh-ed25519 certificate) is the certificate of a host"),
        (&foreign, "foreign-cert.pub` is about another key"),
    ] {
        let failure = login(&server, &none(), &target(&server, &[key])).await.expect_err("no certificate");
        assert_eq!(failure.reason, Reason::AuthRefused);
        assert!(failure.detail.contains("not offered: ") && failure.detail.contains(said), "{said}: {}", failure.detail);
    }
    // Only the keys themselves were offered.
    assert_eq!(count(&server, "Failed publickey"), 4, "{}", server.log());
    assert!(!server.log().contains("CERT"), "{}", server.log());

    // Of an agent that holds an expired one, and of files that are named.
    let agent = Agent::start();
    agent.add(&old, "");
    let mut target = by_agent(&server, &agent);
    target.login.certificate_files = vec![directory.join("young-cert.pub"), directory.join("nowhere"), directory.join("old")];
    let failure = login(&server, &none(), &target).await.expect_err("no certificate");
    for said in [
        "`old` of the agent (ssh-ed25519 certificate) expired 2021-02-03 04:05 UTC",
        "not offered: no key that is at hand belongs to the certificate",
        "could not read the certificate",
        "old` is not a certificate",
    ] {
        assert!(failure.detail.contains(said), "{said}: {}", failure.detail);
    }
}

#[tokio::test]
async fn a_certificate_for_others_is_refused_and_its_principals_are_named() {
    let (server, authority) = trusting("");
    let key = keygen(server.directory.path(), "key", "ed25519", "");
    certify_for(&authority, &key, "alice,bob", &[]);
    let failure = login(&server, &none(), &target(&server, &[&key])).await.expect_err("not for us");
    assert_eq!(failure.reason, Reason::AuthRefused);
    assert!(failure.detail.contains("(ssh-ed25519 certificate): its principals are `alice`, `bob`"), "{}", failure.detail);
}
