//! Hosts behind other hosts: a real sshd with its default configuration as the bastion, ProxyCommand with the real `ssh`, and what goes wrong on the way.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::common::{Daemon, Port, Server, program, user};
use fleetscan::command::{Become, Program, ReadOnlyCommand, Rights, Script, Step, Stream};
use fleetscan::model::{Failure, Reason};
use fleetscan::probe::{FrameReader, OutputLimits, Transcript, read_record};
use fleetscan::simulate::{Behaviour, Fleet};
use fleetscan::ssh::{CredentialSources, Credentials, Engine, HostKeySources, HostKeys, Limits, Login, Route, Session, Target};

fn script() -> Script {
    let step = Step::new("uname", ReadOnlyCommand::new(Program::Uname, &["-s"], Rights::Any).expect("permitted"));
    Script::new("0123456789abcdef0123456789abcdef", &[step], Become::No)
}

/// An engine that knows these hosts and may use these keys.
async fn engine(known_hosts: &str, keys: &[&Path], limits: Limits) -> Engine {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("known_hosts");
    fs::write(&path, known_hosts).expect("known_hosts");
    let login = Login { key_files: keys.iter().map(|key| (*key).to_owned()).collect(), ..Login::default() };
    let credentials = Credentials::load(&CredentialSources::default(), [&login]).await.expect("keys");
    let host_keys = HostKeys::load(&HostKeySources { named: Some(path), ..HostKeySources::default() }, []).expect("known_hosts");
    Engine::new(credentials, host_keys, limits)
}

fn limits() -> Limits {
    Limits {
        connect: Duration::from_secs(10),
        handshake: Duration::from_secs(30),
        auth: Duration::from_secs(30),
        ..Limits::default()
    }
}

fn target(port: u16, key: &Path) -> Target {
    let mut target = Target::new("127.0.0.1", port, user());
    target.login.key_files.push(key.to_owned());
    target
}

/// The same host, reached through another.
fn behind(jump: &Arc<Target>, mut target: Target) -> Target {
    target.route = Route::Jump(Arc::clone(jump));
    target
}

fn bastion(daemon: &Daemon) -> Arc<Target> {
    Arc::new(target(daemon.port, &daemon.user_key))
}

async fn run(engine: &Engine, target: &Target) -> Result<Transcript, Failure> {
    let script = script();
    let mut frames = FrameReader::new(&script, OutputLimits::default());
    let session = Session::connect(target, engine).await?;
    session.run(&script, &mut |stream: Stream, bytes: &[u8]| frames.feed(stream, bytes)).await?;
    let answers = frames.finish();
    assert!(answers.is_complete());
    Ok(answers)
}

/// How many logins the log of an sshd tells of.
fn logins(log: &str) -> usize {
    log.matches("Accepted publickey").count()
}

#[tokio::test]
async fn one_and_several_hops_each_by_its_own_key_and_host_key() {
    let (outer, inner) = (Daemon::start(""), Daemon::start(""));
    let host = Server::openssh("");
    let known = outer.known_hosts_line() + &inner.known_hosts_line() + &host.known_hosts_line();
    let engine = engine(&known, &[&outer.user_key, &inner.user_key, &host.user_key], limits()).await;
    let one = behind(&bastion(&outer), target(host.port(), &host.user_key));
    assert_eq!(run(&engine, &one).await.expect("one hop").text("uname").expect("an answer"), "Linux\n");
    let second = Arc::new(behind(&bastion(&outer), target(inner.port, &inner.user_key)));
    let two = behind(&second, target(host.port(), &host.user_key));
    assert_eq!(run(&engine, &two).await.expect("two hops").text("uname").expect("an answer"), "Linux\n");
    // The connection to the first jump host serves both.
    assert_eq!((logins(&outer.log()), logins(&inner.log())), (1, 1), "{}", outer.log());
}

#[tokio::test]
async fn the_host_behind_is_verified_and_so_is_the_jump_host() {
    let outer = Daemon::start("");
    let host = Server::openssh("");
    let both = behind(&bastion(&outer), target(host.port(), &host.user_key));
    let keys: [&Path; 2] = [&outer.user_key, &host.user_key];
    let unknown_host = engine(&outer.known_hosts_line(), &keys, limits()).await;
    assert_eq!(run(&unknown_host, &both).await.expect_err("not known").reason, Reason::HostKeyUnknown);
    let unknown_jump = engine(&host.known_hosts_line(), &keys, limits()).await;
    let failure = run(&unknown_jump, &both).await.expect_err("not known");
    assert_eq!(failure.reason, Reason::JumpFailed);
    assert!(failure.detail.contains("no key is known") && failure.detail.contains("host_key_unknown"), "{}", failure.detail);
}

#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_hosts_behind_one_sshd_with_its_default_configuration() {
    let recorded = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hosts/edge-alpine");
    let (_, answers) = read_record(&recorded).expect("a recorded host");
    let fleet = Fleet::start(vec![Behaviour::Replay(Arc::new(answers)); 500]).await.expect("the fleet starts");
    let outer = Daemon::start("");
    let key = outer.directory.path().join("fleet");
    fs::write(&key, fleet.user_key().expect("a key")).expect("written");
    fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("permitted");
    let known = outer.known_hosts_line() + &fleet.known_hosts().expect("keys");
    let engine = Arc::new(engine(&known, &[&outer.user_key, &key], limits()).await);
    let jump = bastion(&outer);
    let all = fleet.hosts().iter().map(|host| {
        let mut target = Target::new(host.address.ip().to_string(), host.address.port(), "scanner");
        target.login.key_files.push(key.clone());
        let (target, engine) = (behind(&jump, target), Arc::clone(&engine));
        tokio::spawn(async move {
            let script = script();
            let mut frames = FrameReader::new(&script, OutputLimits::default());
            let session = Session::connect(&target, &engine).await?;
            session.run(&script, &mut |stream: Stream, bytes: &[u8]| frames.feed(stream, bytes)).await
        })
    });
    for (index, result) in futures::future::join_all(all).await.into_iter().enumerate() {
        assert_eq!(result.expect("no panic"), Ok(()), "host {index}");
    }
    let log = outer.log();
    assert!(!log.contains("MaxStartups"), "{log}");
    assert!((1..=16).contains(&logins(&log)), "{} logins", logins(&log));
}

#[tokio::test]
async fn a_host_that_stalls_or_floods_behind_a_jump_host_holds_up_no_other() {
    let outer = Daemon::start("");
    let good = Server::openssh("");
    let silent = Port::saying(b"");
    let flood = Port::serve(|mut stream| {
        std::thread::spawn(move || {
            // Far more than any window or buffer, at once and before anything was asked.
            let _ = std::io::Write::write_all(&mut stream, b"SSH-2.0-flood\r\n");
            let yes = vec![b'y'; 1 << 16];
            while std::io::Write::write_all(&mut stream, &yes).is_ok() {}
        });
    });
    let known = outer.known_hosts_line() + &good.known_hosts_line();
    let short = Limits { handshake: Duration::from_secs(5), ..limits() };
    let engine = engine(&known, &[&outer.user_key, &good.user_key], short).await;
    let jump = bastion(&outer);
    let at = |port| behind(&jump, target(port, &good.user_key));
    let (hang, rush, fine) = (at(silent.number), at(flood.number), at(good.port()));
    let good_ones = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        for _ in 0..5 {
            run(&engine, &fine).await.expect("not held up");
        }
    };
    let (hung, flooded, ()) = futures::join!(run(&engine, &hang), run(&engine, &rush), good_ones);
    assert_eq!(hung.expect_err("silent").reason, Reason::BannerTimeout);
    assert_eq!(flooded.expect_err("floods").reason, Reason::HandshakeFailed);
    assert_eq!(logins(&outer.log()), 1, "all on one connection");
}

#[tokio::test]
async fn what_a_jump_host_says_of_the_host_behind_it_is_told_apart() {
    let outer = Daemon::start("");
    let keys: [&Path; 1] = [&outer.user_key];
    let engine = engine(&outer.known_hosts_line(), &keys, limits()).await;
    let jump = bastion(&outer);
    let closed = behind(&jump, target(Port::closed(), &outer.user_key));
    let mut nameless = closed.clone();
    nameless.address = "no-such-host.invalid".to_owned();
    // At the same time and many of each, so that a refusal that went to the wrong host would show.
    let ask = |target: Target, reason: Reason| {
        let engine = &engine;
        async move {
            let failure = run(engine, &target).await.expect_err("unreachable");
            assert_eq!(failure.reason, reason, "{}", failure.detail);
        }
    };
    let all = (0..40).map(|index| match index % 2 {
        0 => futures::future::Either::Left(ask(closed.clone(), Reason::ConnectionRefused)),
        _ => futures::future::Either::Right(ask(nameless.clone(), Reason::NameNotResolved)),
    });
    futures::future::join_all(all).await;
}

#[tokio::test]
async fn a_jump_host_that_forwards_nothing_says_so() {
    let outer = Daemon::start("AllowTcpForwarding no");
    let engine = engine(&outer.known_hosts_line(), &[&outer.user_key], limits()).await;
    let failure = run(&engine, &behind(&bastion(&outer), target(22, &outer.user_key))).await.expect_err("forbidden");
    assert_eq!(failure.reason, Reason::JumpFailed);
    assert!(failure.detail.contains("AllowTcpForwarding"), "{}", failure.detail);
}

#[tokio::test]
async fn a_jump_host_that_is_down_is_asked_once_for_all_hosts_behind_it() {
    let mut connections = 0;
    let counted = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let count = Arc::clone(&counted);
    let port = Port::serve(move |mut stream| {
        connections += 1;
        count.store(connections, std::sync::atomic::Ordering::SeqCst);
        let _ = std::io::Write::write_all(&mut stream, b"HTTP/1.1 400 Bad Request\r\n\r\n");
    });
    let directory = tempfile::tempdir().expect("a directory");
    let key = crate::common::keygen(directory.path(), "key", "ed25519", "");
    let engine = engine("", &[&key], limits()).await;
    let jump = Arc::new(target(port.number, &key));
    let host = behind(&jump, target(22, &key));
    let all: Vec<_> = (0..50).map(|_| run(&engine, &host)).collect();
    for failure in futures::future::join_all(all).await {
        let failure = failure.expect_err("no way");
        assert_eq!(failure.reason, Reason::JumpFailed);
        assert!(failure.detail.contains("not_ssh"), "{}", failure.detail);
    }
    assert_eq!(counted.load(std::sync::atomic::Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_connection_to_a_jump_host_that_breaks_is_made_again() {
    let outer = Daemon::start("");
    let host = Server::openssh("");
    let known = outer.known_hosts_line() + &host.known_hosts_line();
    let engine = engine(&known, &[&outer.user_key, &host.user_key], limits()).await;
    let far = behind(&bastion(&outer), target(host.port(), &host.user_key));
    run(&engine, &far).await.expect("before");
    // The process that serves the connection, named by its listener's port in no way: found as a child of the daemon.
    let killed = Command::new("pkill").args(["-KILL", "-P", &outer.process().to_string()]).status().expect("pkill");
    assert!(killed.success());
    tokio::time::sleep(Duration::from_millis(200)).await;
    run(&engine, &far).await.expect("after");
    assert_eq!(logins(&outer.log()), 2);
}

/// Takes the only place that a server with `MaxStartups 1` has, and holds it.
fn squat(daemon: &Daemon) -> std::net::TcpStream {
    loop {
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", daemon.port)).expect("connected");
        let mut first = [0; 4];
        if std::io::Read::read_exact(&mut stream, &mut first).is_ok() && &first == b"SSH-" {
            return stream;
        }
    }
}

#[tokio::test]
async fn a_full_server_is_asked_again_until_it_has_room() {
    let outer = Daemon::start("MaxStartups 1");
    let engine = engine(&outer.known_hosts_line(), &[&outer.user_key], limits()).await;
    let squatter = squat(&outer);
    let leave = tokio::task::spawn_blocking(move || {
        std::thread::sleep(Duration::from_secs(2));
        drop(squatter);
    });
    run(&engine, &target(outer.port, &outer.user_key)).await.expect("there is room after a while");
    leave.await.expect("left");
    assert!(outer.log().contains("MaxStartups"), "it was full: {}", outer.log());
}

#[tokio::test]
async fn a_server_that_stays_full_is_named_as_such() {
    let outer = Daemon::start("MaxStartups 1");
    let short = Limits { retry: Duration::from_secs(2), ..limits() };
    let engine = engine(&outer.known_hosts_line(), &[&outer.user_key], short).await;
    let _squatter = squat(&outer);
    let failure = run(&engine, &target(outer.port, &outer.user_key)).await.expect_err("full");
    // OpenSSH 9.2 says so before it hangs up; older ones only hang up.
    assert!(matches!(failure.reason, Reason::TooManyConnections | Reason::ConnectionReset), "{}", failure.detail);
}

#[tokio::test]
async fn a_proxy_command_carries_the_connection_and_ends_with_it() {
    let outer = Daemon::start("");
    let host = Server::openssh("");
    let engine = engine(&host.known_hosts_line(), &[&host.user_key], limits()).await;
    let known = outer.directory.path().join("known");
    fs::write(&known, outer.known_hosts_line()).expect("written");
    let mut far = target(host.port(), &host.user_key);
    far.route = Route::Command(format!(
        "{} -F none -o UserKnownHostsFile={} -o BatchMode=yes -i {} -p {} -W 127.0.0.1:{} 127.0.0.1",
        program("ssh", "openssh-client").display(),
        known.display(),
        outer.user_key.display(),
        outer.port,
        host.port(),
    ));
    run(&engine, &far).await.expect("through ssh -W");
}

#[tokio::test]
async fn a_proxy_command_that_fails_is_told_by_what_it_says() {
    let server = Server::openssh("");
    let engine = engine(&server.known_hosts_line(), &[&server.user_key], limits()).await;
    let mut far = target(server.port(), &server.user_key);
    far.route = Route::Command("/bin/sh -c 'echo no route to the moon >&2'".to_owned());
    let failure = run(&engine, &far).await.expect_err("no connection");
    assert_eq!(failure.reason, Reason::ProxyFailed);
    assert!(failure.detail.contains("it says `no route to the moon`"), "{}", failure.detail);
    far.route = Route::Command("/no/such/program".to_owned());
    let failure = run(&engine, &far).await.expect_err("no connection");
    assert_eq!(failure.reason, Reason::ProxyFailed, "{}", failure.detail);
}

#[tokio::test]
async fn a_proxy_command_is_gone_when_its_host_is_given_up() {
    let directory = tempfile::tempdir().expect("a directory");
    let key = crate::common::keygen(directory.path(), "key", "ed25519", "");
    let short = Limits { handshake: Duration::from_millis(400), ..limits() };
    let engine = engine("", &[&key], short).await;
    let mut far = target(22, &key);
    far.route = Route::Command("sleep 98.7654321".to_owned());
    assert_eq!(run(&engine, &far).await.expect_err("silent").reason, Reason::ProxyFailed);
    let running = || {
        let listed = Command::new("pgrep").args(["-f", "sleep 98.7654321"]).stdout(Stdio::null()).status();
        listed.expect("pgrep").success()
    };
    let end = Instant::now() + Duration::from_secs(5);
    while running() {
        assert!(Instant::now() < end, "the program was left running");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
