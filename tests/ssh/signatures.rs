//! `PubkeyAcceptedAlgorithms`, `CASignatureAlgorithms` and `RequiredRSASize`: what they keep out and let in, against real servers and beside the real `ssh`.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::common::{Server, keygen, output, program, public, user};
use crate::keys::{count, credentials, limits};
use fleetscan::model::{Failure, Host, KeyTrust, Reason};
use fleetscan::ssh::{
    CredentialSources, Defaults, Engine, HostKeyPolicy, HostKeySources, HostKeys, Resolver, Session, Target, Witness,
};
use fleetscan::ssh_config::{Files, Options, Sources};

/// The server as its known_hosts and these lines of ssh_config have it, with its user key as the only one.
struct Client<'a> {
    server: &'a Server,
    known_hosts: String,
    lines: &'a str,
}

impl<'a> Client<'a> {
    fn new(server: &'a Server, lines: &'a str) -> Self {
        Self { server, known_hosts: server.known_hosts_line(), lines }
    }

    fn config(&self) -> PathBuf {
        let path = self.server.directory.path().join("ssh_config");
        let Server { user_key, .. } = self.server;
        let text = format!("{}\nIdentityFile {}\nIdentitiesOnly yes\nIdentityAgent none\n", self.lines, user_key.display());
        fs::write(&path, text).expect("ssh_config");
        path
    }

    fn target(&self) -> Target {
        let sources = Sources { files: Files::Only(self.config()), ..Sources::new(Options::default()) };
        let resolver = Resolver::new(Defaults::default(), sources).unwrap_or_else(|errors| panic!("{errors}"));
        let host = Host { port: Some(self.server.port()), user: Some(user()), ..Host::named("127.0.0.1") };
        resolver.target(&host).unwrap_or_else(|error| panic!("{error}")).0
    }

    /// Logs in, and gives what the host's key was worth as well.
    async fn connect(&self, policy: HostKeyPolicy) -> (Result<(), Failure>, Option<KeyTrust>) {
        let target = self.target();
        let known = self.server.known_hosts(&self.known_hosts);
        let sources = HostKeySources { named: Some(known), policy, policy_named: true, ..HostKeySources::default() };
        let credentials = credentials(&CredentialSources::default(), &target).await.expect("keys");
        let engine = Engine::new(credentials, HostKeys::load(&sources, target.identities()).expect("host keys"), limits());
        let witness = Witness::default();
        let result = Session::connect_seen(&target, &engine, &witness).await.map(drop);
        // The connection is closed by its own task, which has its turn now, before somebody waits for the server to notice.
        tokio::time::sleep(Duration::from_millis(50)).await;
        (result, witness.key().map(|key| key.how))
    }

    /// Whether the real `ssh` gets in.
    fn ssh(&self) -> bool {
        let mut ssh = Command::new(program("ssh", "openssh-client"));
        ssh.arg("-F").arg(self.config()).args(["-o", "BatchMode=yes", "-o", "GlobalKnownHostsFile=/dev/null", "-o"]);
        ssh.arg(format!("UserKnownHostsFile={}", self.server.known_hosts(&self.known_hosts).display()));
        ssh.args(["-p", &self.server.port().to_string(), &format!("{}@127.0.0.1", user()), "true"]);
        ssh.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().expect("ssh").success()
    }

    /// Gets in, and so does `ssh`.
    async fn gets_in(&self) {
        let (result, _) = self.connect(HostKeyPolicy::Strict).await;
        assert_eq!((result, self.ssh()), (Ok(()), true), "{}", self.lines);
    }

    /// Does not get in for this reason, and neither does `ssh`.
    async fn stays_out(&self, reason: Reason, detail: &str) {
        let (result, _) = self.connect(HostKeyPolicy::Strict).await;
        let failure = result.expect_err(self.lines);
        assert_eq!(failure.reason, reason, "{}: {}", self.lines, failure.detail);
        assert!(failure.detail.contains(detail), "{}: {}", self.lines, failure.detail);
        assert!(!self.ssh(), "ssh gets in: {}\n{}", self.lines, failure.detail);
    }
}

#[tokio::test]
async fn a_key_is_offered_only_with_an_algorithm_that_the_configuration_accepts() {
    let server = Server::openssh("");
    for lines in
        ["", "PubkeyAcceptedAlgorithms ssh-ed25519", "PubkeyAcceptedAlgorithms *ed25519*", "PubkeyAcceptedAlgorithms -ecdsa*"]
    {
        Client::new(&server, lines).gets_in().await;
    }
    let accepted = count(&server, "Accepted publickey");
    for lines in ["PubkeyAcceptedAlgorithms rsa-sha2-*,ecdsa*", "PubkeyAcceptedAlgorithms -ssh-ed25519"] {
        let client = Client::new(&server, lines);
        client.stays_out(Reason::NoCredentials, "`PubkeyAcceptedAlgorithms` has no ssh-ed25519").await;
    }
    assert_eq!(count(&server, "Accepted publickey"), accepted);
    assert_eq!(count(&server, "Failed publickey"), 0, "{}", server.log());
}

#[tokio::test]
async fn a_certificate_and_its_key_are_accepted_each_by_its_own_name() {
    let server = Server::openssh("");
    let authority = keygen(server.directory.path(), "authority", "ed25519", "");
    output(
        Command::new(program("ssh-keygen", "openssh-client"))
            .args(["-q", "-I", "scanner", "-n", &user(), "-s"])
            .arg(&authority)
            .arg(format!("{}.pub", server.user_key.display())),
    );
    // The server knows the authority, and not the key.
    fs::write(server.directory.path().join("authorities"), public(&authority)).expect("written");
    let path = server.directory.path().join("sshd_config");
    let config = fs::read_to_string(&path).expect("sshd_config");
    let trusted = server.directory.path().join("authorities");
    let config = format!("TrustedUserCAKeys {}\nAuthorizedKeysFile none\n{config}", trusted.display());
    fs::write(&path, config).expect("sshd_config");
    for lines in ["", "PubkeyAcceptedAlgorithms ssh-ed25519-cert-v01@openssh.com"] {
        Client::new(&server, lines).gets_in().await;
    }
    let client = Client::new(&server, "PubkeyAcceptedAlgorithms ssh-ed25519");
    client.stays_out(Reason::AuthRefused, "`PubkeyAcceptedAlgorithms` has no ssh-ed25519-cert-v01@openssh.com").await;
    // What signed the certificate of a user is for the server to judge.
    Client::new(&server, "CASignatureAlgorithms rsa-sha2-512").gets_in().await;
}

#[tokio::test]
async fn an_rsa_key_signs_with_a_hash_that_the_configuration_accepts() {
    // Each server says that it takes all, as OpenSSH does up to 9.x, and takes one.
    for (taken, others) in [
        ("rsa-sha2-512", &["rsa-sha2-256", "ssh-rsa"][..]),
        ("rsa-sha2-256", &["", "rsa-sha2-512", "ssh-rsa"]),
        ("ssh-rsa", &["", "rsa-sha2-256"]),
    ] {
        let server = Server::openssh_with("ed25519", "rsa", &format!("PubkeyAcceptedAlgorithms {taken}"));
        let line = |names: &str| if names.is_empty() { String::new() } else { format!("PubkeyAcceptedAlgorithms {names}") };
        Client::new(&server, &line(taken)).gets_in().await;
        for names in others {
            Client::new(&server, &line(names)).stays_out(Reason::AuthRefused, "(ssh-rsa); the host takes: publickey").await;
        }
    }
}

#[tokio::test]
async fn an_rsa_key_of_ours_that_is_too_short_is_not_offered() {
    let server = Server::openssh_with("ed25519", "rsa", "");
    Client::new(&server, "RequiredRSASize 2048").gets_in().await;
    let client = Client::new(&server, "RequiredRSASize 2049");
    client.stays_out(Reason::NoCredentials, "it has 2048 bits, and `RequiredRSASize` is 2049").await;
    assert_eq!(count(&server, "Failed publickey"), 0, "{}", server.log());
}

#[tokio::test]
async fn a_host_with_an_rsa_key_that_is_too_short_is_not_let_in_whatever_the_policy() {
    let server = Server::openssh_with("rsa", "ed25519", "");
    Client::new(&server, "RequiredRSASize 2048").gets_in().await;
    let mut client = Client::new(&server, "RequiredRSASize 3072");
    client.stays_out(Reason::HostKeyTooShort, "too short: it has 2048 bits, and `RequiredRSASize` is 3072").await;
    for known_hosts in [server.known_hosts_line(), String::new()] {
        client.known_hosts = known_hosts;
        for policy in [HostKeyPolicy::AcceptNew, HostKeyPolicy::Record, HostKeyPolicy::AcceptAnything] {
            let (result, how) = client.connect(policy).await;
            assert_eq!(result.expect_err("not let in").reason, Reason::HostKeyTooShort, "{policy:?}");
            assert_eq!(how, Some(KeyTrust::TooShort), "{policy:?}");
        }
    }
    // A key that has changed is one, however long it is.
    let other = keygen(server.directory.path(), "other", "rsa", "");
    client.known_hosts = format!("[127.0.0.1]:{} {}\n", server.port(), public(&other));
    client.stays_out(Reason::HostKeyChanged, "").await;
}

#[tokio::test]
async fn the_certificate_of_a_host_holds_only_with_a_signature_that_the_configuration_accepts() {
    let server = Server::openssh("");
    let directory = server.directory.path();
    let certified = |signer: &str, signature: &str| {
        let authority: PathBuf = directory.join(format!("{signer}-{signature}"));
        if !authority.exists() {
            keygen(directory, &format!("{signer}-{signature}"), signer, "");
        }
        let mut sign = Command::new(program("ssh-keygen", "openssh-client"));
        sign.args(["-q", "-h", "-I", "host", "-n", "127.0.0.1", "-t", signature, "-s"]).arg(&authority);
        output(sign.arg(format!("{}.pub", server.host_key.display())));
        format!("@cert-authority * {}\n", public(&authority))
    };
    let certificate = format!("{}-cert.pub", server.host_key.display());
    let path = directory.join("sshd_config");
    let config = fs::read_to_string(&path).expect("sshd_config");
    fs::write(&path, format!("HostCertificate {certificate}\n{config}")).expect("sshd_config");
    for (signer, signature, lines, holds) in [
        ("rsa", "rsa-sha2-512", "", true),
        ("rsa", "rsa-sha2-512", "CASignatureAlgorithms ssh-ed25519,rsa-sha2-256", false),
        ("rsa", "rsa-sha2-256", "CASignatureAlgorithms ssh-ed25519,rsa-sha2-256", true),
        ("ed25519", "ssh-ed25519", "CASignatureAlgorithms -*ed25519*", false),
        ("ed25519", "ssh-ed25519", "CASignatureAlgorithms -ecdsa*", true),
        // The size is that of the host's key, not of its authority's.
        ("rsa", "rsa-sha2-512", "RequiredRSASize 4096", true),
    ] {
        let known_hosts = certified(signer, signature);
        let client = Client { known_hosts, ..Client::new(&server, lines) };
        if holds {
            client.gets_in().await;
        } else {
            let detail = format!("its authority signed it with {signature}, which `CASignatureAlgorithms` does not have");
            client.stays_out(Reason::HostCertificateInvalid, &detail).await;
        }
    }
}
