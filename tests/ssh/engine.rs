//! One host: keys, logins, sessions, and every way in which a server can misbehave.

use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::common::{Agent, Port, Server, drain, keygen, output, program, public};
use fleetscan::command::{Become, Program, ReadOnlyCommand, Rights, Script, Step, Stream};
use fleetscan::model::{Failure, Reason};
use fleetscan::probe::{FrameReader, OutputLimits, Transcript};
use fleetscan::ssh::{Algorithms, CredentialSources, Credentials, Engine, HostKeySources, HostKeys, Limits, Session, Target};

const NONCE: &str = "0123456789abcdef0123456789abcdef";

fn limits() -> Limits {
    Limits { connect: Duration::from_secs(2), ..Limits::default() }
}

/// Limits for a peer that is known to hang.
fn short() -> Limits {
    let short = Duration::from_millis(400);
    Limits { handshake: short, auth: short, session: short, first_output: short, run: short, ..limits() }
}

fn step(id: &str, program: Program, arguments: &[&str]) -> Step {
    Step::new(id, ReadOnlyCommand::new(program, arguments, Rights::Any).expect("permitted"))
}

fn script(steps: &[Step]) -> Script {
    Script::new(NONCE, steps, Become::No)
}

fn two_questions() -> Script {
    script(&[step("uname", Program::Uname, &["-s"]), step("passwd", Program::Cat, &["/etc/passwd", "/no/such/file"])])
}

/// A host on loopback, and the only key to offer it.
fn target(port: u16, key: &Path) -> Target {
    let mut target = Target::new("127.0.0.1", port, crate::common::user());
    target.login.key_files.push(key.to_owned());
    target
}

/// What a login needs besides the server.
struct Client {
    sources: CredentialSources,
    target: Target,
    known_hosts: PathBuf,
    limits: Limits,
    output: OutputLimits,
}

impl Client {
    fn of(server: &Server) -> Self {
        Self {
            sources: CredentialSources { named: Some(server.user_key.clone()), ..CredentialSources::default() },
            target: target(server.port(), &server.user_key),
            known_hosts: server.known_hosts(&server.known_hosts_line()),
            limits: limits(),
            output: OutputLimits::default(),
        }
    }

    /// Connects to whatever listens on the port; nothing is known of it.
    fn to_port(port: u16) -> (Self, tempfile::TempDir) {
        let directory = tempfile::tempdir().expect("a directory");
        let key = keygen(directory.path(), "user", "ed25519", "");
        let known_hosts = directory.path().join("known_hosts");
        fs::write(&known_hosts, "").expect("known_hosts");
        let client = Self {
            sources: CredentialSources { named: Some(key.clone()), ..CredentialSources::default() },
            target: target(port, &key),
            known_hosts,
            limits: limits(),
            output: OutputLimits::default(),
        };
        (client, directory)
    }

    async fn run(&self, script: &Script) -> (Result<(), Failure>, Transcript) {
        let mut frames = FrameReader::new(script, self.output);
        let result = self.run_into(script, &mut |stream, bytes: &[u8]| frames.feed(stream, bytes)).await;
        (result, frames.finish())
    }

    async fn run_into(&self, script: &Script, sink: &mut (impl FnMut(Stream, &[u8]) -> bool + Send)) -> Result<(), Failure> {
        let sources = HostKeySources { named: Some(self.known_hosts.clone()), ..HostKeySources::default() };
        let credentials = Credentials::load(&self.sources, [&self.target.login]).await.expect("credentials");
        let engine = Engine::new(credentials, HostKeys::load(&sources, []).expect("known_hosts"), self.limits);
        Session::connect(&self.target, &engine).await?.run(script, sink).await
    }

    /// The two questions, answered.
    async fn succeeds(&self) {
        let (result, transcript) = self.run(&two_questions()).await;
        assert_eq!(result, Ok(()));
        assert!(transcript.is_complete());
        assert_eq!(transcript.text("uname").expect("an answer"), "Linux\n");
        let passwd = transcript.answer("passwd").expect("an answer");
        assert_eq!(passwd.text(), fs::read_to_string("/etc/passwd").expect("/etc/passwd"));
        assert_eq!(passwd.exit, 1);
        assert!(passwd.complaint().contains("/no/such/file"), "{}", passwd.complaint());
    }

    async fn fails(&self) -> Failure {
        self.run(&two_questions()).await.0.expect_err("a failure")
    }
}

/// The sockets of this process that are connected to a port of loopback: other tests have others.
fn sockets_to(port: u16) -> usize {
    let table = fs::read_to_string("/proc/self/net/tcp").expect("sockets");
    let remote = format!("0100007F:{port:04X}");
    let established = |line: &&str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        words.get(2) == Some(&remote.as_str()) && words.get(3) == Some(&"01")
    };
    table.lines().filter(established).count()
}

/// Waits for the sockets to go; russh's task needs a moment.
async fn no_sockets_to(port: u16) {
    let end = Instant::now() + Duration::from_secs(3);
    while sockets_to(port) > 0 {
        assert!(Instant::now() < end, "a socket was left behind");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_script_is_run_with_each_kind_of_key() {
    for (host, user) in [("ed25519", "ed25519"), ("rsa", "rsa"), ("ecdsa", "ecdsa")] {
        let server = Server::openssh_with(host, user, "");
        Client::of(&server).succeeds().await;
        assert_eq!(server.open_connections(), 0);
        if user == "rsa" {
            assert!(server.log().contains("RSA SHA256:"), "{}", server.log());
        }
    }
}

#[tokio::test]
async fn an_rsa_key_signs_with_sha2() {
    let server = Server::openssh_with("ed25519", "rsa", "PubkeyAcceptedAlgorithms rsa-sha2-512");
    Client::of(&server).succeeds().await;
}

#[tokio::test]
async fn the_agent_signs_for_a_key_that_is_encrypted() {
    let server = Server::openssh("");
    let agent = Agent::start();
    let mut client = Client::of(&server);
    // The server knows `user`; lock it, and only the agent can use it.
    output(
        Command::new(program("ssh-keygen", "openssh-client"))
            .args(["-q", "-p", "-P", "", "-N", "secret phrase", "-f"])
            .arg(&server.user_key),
    );
    let error = Credentials::load(&client.sources, [&client.target.login]).await.expect_err("an encrypted key");
    assert!(error.to_string().contains("is encrypted"), "{error}");
    assert!(error.hint().expect("a hint").starts_with("unlock it first: `ssh-add /"));

    agent.add(&server.user_key, "secret phrase");
    client.sources.agent = Some(agent.socket.clone());
    client.succeeds().await;

    // Without a name, all keys of the agent are offered.
    client.sources.named = None;
    client.target.login.key_files.clear();
    client.succeeds().await;
}

#[tokio::test]
async fn an_rsa_key_of_the_agent_signs_with_sha2() {
    let server = Server::openssh_with("ed25519", "rsa", "");
    let agent = Agent::start();
    agent.add(&server.user_key, "");
    let mut client = Client::of(&server);
    client.sources = CredentialSources { agent: Some(agent.socket.clone()), ..CredentialSources::default() };
    client.target.login.key_files.clear();
    client.succeeds().await;
}

#[tokio::test]
async fn many_hosts_share_one_agent() {
    let server = Server::openssh("");
    let agent = Agent::start();
    agent.add(&server.user_key, "");
    let mut client = Client::of(&server);
    client.sources = CredentialSources { agent: Some(agent.socket.clone()), ..CredentialSources::default() };
    client.target.login.key_files.clear();
    let all: Vec<_> = (0..12).map(|_| client.succeeds()).collect();
    futures::future::join_all(all).await;
}

#[tokio::test]
async fn the_usual_files_are_offered_where_no_key_is_named() {
    let server = Server::openssh("");
    let directory = tempfile::tempdir().expect("a directory");
    keygen(directory.path(), "id_rsa", "rsa", "");
    keygen(directory.path(), "id_ecdsa", "ecdsa", "locked");
    fs::copy(&server.user_key, directory.path().join("id_ed25519")).expect("a key");
    let mut client = Client::of(&server);
    client.target.login.key_files.clear();
    client.sources = CredentialSources { directory: Some(directory.path().to_owned()), ..CredentialSources::default() };
    client.succeeds().await;

    fs::remove_file(directory.path().join("id_ed25519")).expect("removed");
    let failure = client.fails().await;
    assert_eq!(failure.reason, Reason::AuthRefused);
    assert!(failure.detail.contains("id_rsa"), "{}", failure.detail);
    assert!(failure.detail.contains("id_ecdsa` is encrypted"), "{}", failure.detail);
}

#[tokio::test]
async fn without_any_key_nothing_is_dialled() {
    let (mut client, _directory) = Client::to_port(Port::closed());
    client.sources = CredentialSources::default();
    client.target.login.key_files.clear();
    let failure = client.fails().await;
    assert_eq!(failure.reason, Reason::NoCredentials);
    assert_eq!(failure.detail, "there is no ssh-agent and no key in `~/.ssh`");
}

#[tokio::test]
async fn a_login_that_is_refused_says_what_was_offered_and_what_is_taken() {
    let server = Server::openssh("");
    let other = keygen(server.directory.path(), "other", "ed25519", "");
    let mut client = Client::of(&server);
    client.sources.named = Some(other.clone());
    client.target.login.key_files = vec![other.clone()];
    let failure = client.fails().await;
    assert_eq!(failure.reason, Reason::AuthRefused);
    let expected = format!(
        "login as `{}` refused; offered: `{}` (ssh-ed25519); the host takes: publickey",
        client.target.user,
        other.display()
    );
    assert_eq!(failure.detail, expected);
}

#[tokio::test]
async fn a_server_that_hangs_up_after_too_many_keys_has_refused_the_login() {
    let server = Server::openssh("MaxAuthTries 1");
    let agent = Agent::start();
    for name in ["one", "two", "three"] {
        agent.add(&keygen(server.directory.path(), name, "ed25519", ""), "");
    }
    let mut client = Client::of(&server);
    client.sources = CredentialSources { agent: Some(agent.socket.clone()), ..CredentialSources::default() };
    client.target.login.key_files.clear();
    let failure = client.fails().await;
    assert_eq!(failure.reason, Reason::AuthRefused, "{}", failure.detail);
    assert!(failure.detail.contains("Too many authentication failures"), "{}", failure.detail);
}

#[tokio::test]
async fn a_login_that_hangs_is_given_up_and_freed() {
    let lines = format!("AuthorizedKeysCommand /bin/sleep 3\nAuthorizedKeysCommandUser {}", crate::common::user());
    let server = Server::openssh(&lines);
    let other = keygen(server.directory.path(), "other", "ed25519", "");
    let mut client = Client::of(&server);
    client.sources.named = Some(other.clone());
    client.target.login.key_files = vec![other];
    client.limits.auth = Duration::from_millis(400);
    let failure = client.fails().await;
    let expected = format!("no answer to the login as `{}` in 0.4 s", client.target.user);
    assert_eq!((failure.reason, failure.detail), (Reason::AuthTimeout, expected));
    no_sockets_to(server.port()).await;
}

#[tokio::test]
async fn a_second_proof_is_named() {
    let server = Server::openssh("AuthenticationMethods publickey,keyboard-interactive\nKbdInteractiveAuthentication yes");
    let failure = Client::of(&server).fails().await;
    assert_eq!(failure.reason, Reason::AuthRefused);
    assert!(failure.detail.contains("the host takes: keyboard-interactive"), "{}", failure.detail);
    assert!(failure.detail.contains("second proof"), "{}", failure.detail);
}

#[tokio::test]
async fn an_unknown_host_is_not_logged_in_to() {
    let server = Server::openssh("");
    let mut client = Client::of(&server);
    client.known_hosts = server.known_hosts("");
    let failure = client.fails().await;
    assert_eq!(failure.reason, Reason::HostKeyUnknown);
    let fingerprint = output(Command::new("ssh-keygen").arg("-lf").arg(&server.host_key));
    let fingerprint = fingerprint.split(' ').nth(1).expect("a fingerprint");
    assert!(failure.detail.contains(fingerprint), "{}", failure.detail);
    let mend = format!("`ssh-keyscan -p {} 127.0.0.1 >> {}`", server.port(), client.known_hosts.display());
    assert!(failure.detail.ends_with(&mend), "{}", failure.detail);
    assert!(!server.log().contains("publickey"), "{}", server.log());
    no_sockets_to(server.port()).await;
}

#[tokio::test]
async fn a_changed_key_names_both_keys_and_the_line() {
    let server = Server::openssh("");
    let other = keygen(server.directory.path(), "other", "ed25519", "");
    let mut client = Client::of(&server);
    client.known_hosts = server.known_hosts(&format!("# a comment\n[127.0.0.1]:{} {}\n", server.port(), public(&other)));
    let failure = client.fails().await;
    assert_eq!(failure.reason, Reason::HostKeyChanged);
    for key in [&server.host_key, &other] {
        let fingerprint = output(Command::new("ssh-keygen").arg("-lf").arg(key));
        assert!(failure.detail.contains(fingerprint.split(' ').nth(1).expect("a fingerprint")), "{}", failure.detail);
    }
    assert!(failure.detail.contains("known_hosts:2`"), "{}", failure.detail);
    assert!(failure.detail.contains(&format!("ssh-keygen -R '[127.0.0.1]:{}' -f", server.port())), "{}", failure.detail);
}

#[tokio::test]
async fn a_revoked_key_is_refused_even_where_it_is_known() {
    let server = Server::openssh("");
    let mut client = Client::of(&server);
    let revoked = format!("@revoked * {}\n", public(&server.host_key));
    client.known_hosts = server.known_hosts(&(server.known_hosts_line() + &revoked));
    assert_eq!(client.fails().await.reason, Reason::HostKeyRevoked);
}

#[tokio::test]
async fn a_host_known_by_its_rsa_key_is_asked_for_that_key() {
    let directory = tempfile::tempdir().expect("a directory");
    let rsa = keygen(directory.path(), "rsa", "rsa", "");
    let server = Server::openssh(&format!("HostKey {}", rsa.display()));
    let mut client = Client::of(&server);
    client.known_hosts = server.known_hosts(&format!("[127.0.0.1]:{} {}\n", server.port(), public(&rsa)));
    client.succeeds().await;
}

#[tokio::test]
async fn files_of_ssh_keyscan_and_ssh_keygen_are_understood() {
    let server = Server::openssh("");
    let mut client = Client::of(&server);
    let port = server.port().to_string();
    let scanned = output(Command::new(program("ssh-keyscan", "openssh-client")).args(["-p", &port, "127.0.0.1"]));
    client.known_hosts = server.known_hosts(&scanned);
    client.succeeds().await;
    output(Command::new("ssh-keygen").args(["-q", "-H", "-f"]).arg(&client.known_hosts));
    assert!(fs::read_to_string(&client.known_hosts).expect("known_hosts").starts_with("|1|"));
    client.succeeds().await;
}

#[tokio::test]
async fn dropbear_is_known_and_refuses() {
    let server = Server::dropbear();
    let failure = Client::of(&server).fails().await;
    assert_eq!(failure.reason, Reason::AuthRefused, "{}", failure.detail);
}

#[tokio::test]
async fn any_login_shell_runs_the_script() {
    for shell in ["sh", "bash", "dash", "tcsh", "csh", "fish", "zsh", "mksh", "busybox sh"] {
        let name = shell.split(' ').next().unwrap_or(shell);
        let path = ["/bin/", "/usr/bin/"].map(|at| format!("{at}{name}")).into_iter().find(|path| fs::exists(path).unwrap());
        let path = path.unwrap_or_else(|| panic!("`{name}` must be installed for this test; .ci/run does it"));
        let shell = shell.replace(name, &path);
        // What sshd does for a login shell: SHELL -c COMMAND.
        let server = Server::openssh(&format!("ForceCommand exec {shell} -c \"$SSH_ORIGINAL_COMMAND\""));
        Client::of(&server).succeeds().await;
    }
}

#[tokio::test]
async fn a_noisy_login_is_no_obstacle() {
    // More than any window or buffer on the way, before the script is read.
    let noise = "head -c 4000000 /dev/zero | tr '\\\\0' n; head -c 2000000 /dev/zero | tr '\\\\0' n >&2; echo;";
    let server = Server::openssh(&format!("ForceCommand {noise} exec sh -c \"$SSH_ORIGINAL_COMMAND\""));
    Client::of(&server).succeeds().await;
}

#[tokio::test]
async fn a_login_without_a_shell_is_told_by_what_it_says() {
    let server = Server::openssh("ForceCommand echo; echo 'This account is not for you.'; exit 1");
    let failure = Client::of(&server).fails().await;
    assert_eq!(failure.reason, Reason::NoShell);
    assert_eq!(
        failure.detail,
        "the login shell did not run the script: it exited with 1; it printed `This account is not for you.`"
    );
}

#[tokio::test]
async fn a_forced_command_and_a_restricted_shell_are_told_apart_from_no_shell() {
    let forced = Server::openssh("ForceCommand echo 'Backups only.'");
    let failure = Client::of(&forced).fails().await;
    assert_eq!(failure.reason, Reason::ForcedCommand, "{}", failure.detail);
    assert!(failure.detail.contains("`Backups only.`"), "{}", failure.detail);
    // What sshd does for a login shell: SHELL -c COMMAND.
    let restricted = Server::openssh("ForceCommand exec bash -r -c \"$SSH_ORIGINAL_COMMAND\"");
    let failure = Client::of(&restricted).fails().await;
    assert_eq!(failure.reason, Reason::RestrictedShell, "{}", failure.detail);
    for shell in ["/usr/sbin/nologin", "/bin/false"] {
        let server = Server::openssh(&format!("ForceCommand exec {shell}"));
        let failure = Client::of(&server).fails().await;
        assert_eq!(failure.reason, Reason::NoShell, "{shell}: {}", failure.detail);
    }
}

#[tokio::test]
async fn one_session_and_a_banner_are_enough() {
    let server = Server::openssh("MaxSessions 1");
    let banner = server.directory.path().join("banner");
    fs::write(&banner, "Authorized uses only. \u{1b}[31mAll activity may be monitored.\n".repeat(20)).expect("written");
    Client::of(&server).succeeds().await;
    let server = Server::openssh(&format!("MaxSessions 1\nBanner {}", banner.display()));
    Client::of(&server).succeeds().await;
}

#[tokio::test]
async fn a_host_is_reached_over_ipv6() {
    let server = Server::openssh("");
    let real = server.port();
    let listener = std::net::TcpListener::bind("[::1]:0").expect("loopback has IPv6");
    let port = listener.local_addr().expect("an address").port();
    let relay = std::thread::spawn(move || {
        let (mut from, _) = listener.accept().expect("a connection");
        let mut to = TcpStream::connect(("127.0.0.1", real)).expect("the server");
        let (mut back, mut there) = (from.try_clone().expect("a copy"), to.try_clone().expect("a copy"));
        let forth = std::thread::spawn(move || {
            let _ = std::io::copy(&mut from, &mut to);
            let _ = to.shutdown(std::net::Shutdown::Both);
        });
        let _ = std::io::copy(&mut there, &mut back);
        let _ = back.shutdown(std::net::Shutdown::Both);
        let _ = forth.join();
    });
    let mut client = Client::of(&server);
    client.target.address = "::1".to_owned();
    client.target.port = port;
    client.known_hosts = server.known_hosts(&format!("[::1]:{port} {}\n", public(&server.host_key)));
    client.succeeds().await;
    relay.join().expect("ended");
}

#[tokio::test]
async fn a_server_that_opens_no_session_is_told_apart() {
    let server = Server::openssh("MaxSessions 0");
    let failure = Client::of(&server).fails().await;
    assert_eq!(failure.reason, Reason::SessionRefused, "{}", failure.detail);
}

#[tokio::test]
async fn megabytes_come_through_whole() {
    let server = Server::openssh("");
    let big = server.directory.path().join("big");
    let content: String = (0..400_000).map(|line| format!("line {line}\n")).collect();
    fs::write(&big, &content).expect("a file");
    let mut client = Client::of(&server);
    client.output = OutputLimits { step: 8 << 20, host: 16 << 20 };
    let (result, transcript) = client.run(&script(&[step("big", Program::Cat, &[big.to_str().expect("a path")])])).await;
    assert_eq!(result, Ok(()));
    assert_eq!(transcript.text("big").expect("an answer"), content);
}

#[tokio::test]
async fn endless_output_is_cut_off_and_the_answers_before_it_are_kept() {
    let server = Server::openssh("");
    let client = Client::of(&server);
    let endless = script(&[step("uname", Program::Uname, &["-s"]), step("zero", Program::Cat, &["/dev/zero"])]);
    let (result, transcript) = client.run(&endless).await;
    assert_eq!(result.expect_err("too much").reason, Reason::OutputLimit);
    assert!(!transcript.is_complete());
    assert_eq!(transcript.text("uname").expect("an answer"), "Linux\n");
    no_sockets_to(server.port()).await;
    assert_eq!(server.open_connections(), 0);
}

#[tokio::test]
async fn a_script_that_hangs_costs_its_time_and_nothing_else() {
    let server = Server::openssh("");
    let pipe = server.directory.path().join("pipe");
    output(Command::new("mkfifo").arg(&pipe));
    let hang =
        Step::new("hang", ReadOnlyCommand::new(Program::Cat, &[pipe.to_str().expect("a path")], Rights::Any).expect("permitted"));
    let mut client = Client::of(&server);
    client.limits.run = Duration::from_secs(3);
    let questions = script(&[step("uname", Program::Uname, &["-s"]), hang.within(Duration::from_secs(5))]);
    let (result, transcript) = client.run(&questions).await;
    let failure = result.expect_err("too slow");
    assert_eq!((failure.reason, failure.detail.as_str()), (Reason::HostTimeout, "the script was still running after 3 s"));
    assert_eq!(transcript.text("uname").expect("an answer"), "Linux\n");
    no_sockets_to(server.port()).await;
}

#[tokio::test]
async fn a_login_shell_that_hangs_is_given_up() {
    let server = Server::openssh("ForceCommand sleep 3");
    let mut client = Client::of(&server);
    client.limits.first_output = Duration::from_millis(400);
    let failure = client.fails().await;
    assert_eq!((failure.reason, failure.detail.as_str()), (Reason::ShellTimeout, "the script printed nothing after 0.4 s"));
    no_sockets_to(server.port()).await;
}

#[tokio::test]
async fn what_a_login_shell_leaves_running_does_not_hold_the_scan() {
    let server = Server::openssh("ForceCommand sleep 4 & exec sh -c \"$SSH_ORIGINAL_COMMAND\"");
    let began = Instant::now();
    Client::of(&server).succeeds().await;
    assert!(began.elapsed() < Duration::from_secs(4));
}

#[tokio::test]
async fn dropping_a_scan_frees_its_socket() {
    let server = Server::openssh("ForceCommand sleep 3");
    let client = Client::of(&server);
    tokio::time::timeout(Duration::from_millis(1500), client.run(&two_questions())).await.expect_err("given up");
    no_sockets_to(server.port()).await;
}

#[tokio::test]
async fn a_connection_that_breaks_while_the_script_runs_is_lost() {
    // sshd itself ends first.
    let server = Server::openssh("ForceCommand sleep 0.3; kill -9 $PPID");
    let failure = Client::of(&server).fails().await;
    assert_eq!(failure.reason, Reason::ConnectionLost, "{}", failure.detail);
    no_sockets_to(server.port()).await;
}

#[tokio::test]
async fn a_closed_port_is_refused() {
    let (client, _directory) = Client::to_port(Port::closed());
    let failure = client.fails().await;
    assert_eq!(failure.reason, Reason::ConnectionRefused);
    assert!(failure.detail.contains(&format!("127.0.0.1:{}", client.target.port)), "{}", failure.detail);
}

#[tokio::test]
async fn a_name_without_an_address_is_told_apart() {
    let (mut client, _directory) = Client::to_port(22);
    client.target.address = "no-such-host.invalid".to_owned();
    assert_eq!(client.fails().await.reason, Reason::NameNotResolved);
}

#[tokio::test]
async fn a_name_with_several_addresses_is_tried_at_each() {
    let server = Server::openssh("");
    let mut client = Client::of(&server);
    client.target.address = "LocalHost".to_owned();
    client.known_hosts = server.known_hosts(&server.known_hosts_line().replace("127.0.0.1", "localhost"));
    client.succeeds().await;
}

#[tokio::test]
async fn a_silent_port_is_given_up_and_freed() {
    let port = Port::saying(b"");
    let (mut client, _directory) = Client::to_port(port.number);
    client.limits = short();
    let failure = client.fails().await;
    assert_eq!(failure.reason, Reason::BannerTimeout, "{}", failure.detail);
    no_sockets_to(port.number).await;
}

#[tokio::test]
async fn a_server_that_stops_before_its_version_is_given_up_and_freed() {
    let port = Port::saying(b"please wait\r\n");
    let (mut client, _directory) = Client::to_port(port.number);
    client.limits = short();
    let failure = client.fails().await;
    assert_eq!((failure.reason, failure.detail.as_str()), (Reason::BannerTimeout, "no SSH version in 0.4 s, only `please wait`"));
    no_sockets_to(port.number).await;
}

#[tokio::test]
async fn a_server_that_stops_in_the_key_exchange_is_given_up_and_freed() {
    let port = Port::saying(b"SSH-2.0-OpenSSH_9.9\r\n");
    let (mut client, _directory) = Client::to_port(port.number);
    client.limits = short();
    let failure = client.fails().await;
    assert_eq!(failure.reason, Reason::HandshakeTimeout);
    assert_eq!(failure.detail, "`SSH-2.0-OpenSSH_9.9` did not finish the key exchange in 0.4 s");
    no_sockets_to(port.number).await;
}

#[tokio::test]
async fn what_is_not_ssh_is_told_by_what_it_says() {
    let port = Port::serve(|mut stream| {
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n");
        let _ = stream.shutdown(std::net::Shutdown::Write);
        drain(&mut stream);
    });
    let (client, _directory) = Client::to_port(port.number);
    let failure = client.fails().await;
    assert_eq!(failure.reason, Reason::NotSsh, "{}", failure.detail);
    assert!(failure.detail.contains("`HTTP/1.1 400 Bad Request`"), "{}", failure.detail);
}

#[tokio::test]
async fn garbage_is_not_ssh() {
    let port = Port::saying(&[0x16; 2000]);
    let (client, _directory) = Client::to_port(port.number);
    let failure = client.fails().await;
    assert_eq!(failure.reason, Reason::NotSsh, "{}", failure.detail);
    no_sockets_to(port.number).await;
}

#[tokio::test]
async fn garbage_after_the_version_is_a_failed_handshake() {
    let port = Port::saying(
        b"SSH-2.0-x\r\n\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
    );
    let (client, _directory) = Client::to_port(port.number);
    let failure = client.fails().await;
    assert_eq!(failure.reason, Reason::HandshakeFailed, "{}", failure.detail);
    no_sockets_to(port.number).await;
}

#[tokio::test]
async fn a_server_without_common_algorithms_says_which() {
    let server = Server::openssh("Ciphers 3des-cbc");
    let failure = Client::of(&server).fails().await;
    assert_eq!(failure.reason, Reason::HandshakeFailed, "{}", failure.detail);
    assert!(failure.detail.contains("no common cipher algorithm: the host offers 3des-cbc"), "{}", failure.detail);
}

#[tokio::test]
async fn a_server_with_nothing_but_unsafe_algorithms_is_named_as_such_and_had_where_they_are_allowed() {
    for (lines, name) in [
        ("KexAlgorithms diffie-hellman-group14-sha1", "diffie-hellman-group14-sha1"),
        ("KexAlgorithms diffie-hellman-group1-sha1", "diffie-hellman-group1-sha1"),
        ("KexAlgorithms diffie-hellman-group-exchange-sha1", "diffie-hellman-group-exchange-sha1"),
        ("Ciphers aes128-cbc", "aes128-cbc"),
        ("MACs hmac-sha1\nCiphers aes128-ctr", "hmac-sha1"),
    ] {
        let server = Server::openssh(lines);
        let mut client = Client::of(&server);
        let failure = client.fails().await;
        assert_eq!(failure.reason, Reason::LegacyAlgorithms, "{lines}: {}", failure.detail);
        assert!(
            failure.detail.contains(name) && failure.detail.ends_with("`--legacy-algorithms` allows them"),
            "{}",
            failure.detail
        );
        client.target.algorithms = std::sync::Arc::new(Algorithms::new(true));
        client.succeeds().await;
    }
    let server = Server::openssh_with("rsa", "ed25519", "HostKeyAlgorithms ssh-rsa");
    let mut client = Client::of(&server);
    assert_eq!(client.fails().await.reason, Reason::LegacyAlgorithms);
    client.target.algorithms = std::sync::Arc::new(Algorithms::new(true));
    client.succeeds().await;
}

#[tokio::test]
async fn old_and_fips_key_exchanges_are_had() {
    for kex in [
        "ecdh-sha2-nistp256",
        "ecdh-sha2-nistp521",
        "diffie-hellman-group14-sha256",
        "diffie-hellman-group16-sha512",
        "diffie-hellman-group-exchange-sha256",
    ] {
        let server = Server::openssh(&format!("KexAlgorithms {kex}"));
        Client::of(&server).succeeds().await;
    }
}

/// Says its version, then closes with a reset: there is something unread.
fn reset(mut stream: TcpStream) {
    let _ = stream.write_all(b"SSH-2.0-OpenSSH_9.9\r\n");
    let _ = stream.peek(&mut [0]);
}

#[tokio::test]
async fn a_reset_is_tried_once_more() {
    let server = Server::openssh("");
    let real = server.port();
    let mut connections = 0;
    let mut held = Vec::new();
    let port = Port::serve(move |stream| {
        connections += 1;
        if connections == 1 {
            reset(stream);
        } else {
            let mut there = TcpStream::connect(("127.0.0.1", real)).expect("the server");
            let (mut from, mut to) = (stream.try_clone().expect("a copy"), there.try_clone().expect("a copy"));
            let mut back = stream;
            held.push(std::thread::spawn(move || {
                let _ = std::io::copy(&mut from, &mut to);
                let _ = to.shutdown(std::net::Shutdown::Both);
            }));
            held.push(std::thread::spawn(move || {
                let _ = std::io::copy(&mut there, &mut back);
                let _ = back.shutdown(std::net::Shutdown::Both);
            }));
        }
    });
    let mut client = Client::of(&server);
    client.target.port = port.number;
    client.known_hosts = server.known_hosts(&format!("[127.0.0.1]:{} {}\n", port.number, public(&server.host_key)));
    client.succeeds().await;
}

#[tokio::test]
async fn a_host_that_resets_every_connection_says_so() {
    let port = Port::serve(reset);
    let (client, _directory) = Client::to_port(port.number);
    let failure = client.fails().await;
    assert_eq!(failure.reason, Reason::ConnectionReset, "{}", failure.detail);
    assert!(failure.detail.starts_with("`SSH-2.0-OpenSSH_9.9`: "), "{}", failure.detail);
}

#[tokio::test]
async fn a_host_that_turns_connections_away_says_so() {
    let port = Port::serve(drop);
    let (client, _directory) = Client::to_port(port.number);
    let failure = client.fails().await;
    assert_eq!(failure.reason, Reason::ConnectionReset, "{}", failure.detail);
    assert!(failure.detail.ends_with(" before it said anything"), "{}", failure.detail);
}
