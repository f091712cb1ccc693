//! From a name to an encrypted connection with a host that is the one we know, and to a login on it.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use russh::client::{Config, Handle};
use russh::{AlgorithmKind, Preferred};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use super::algorithms::legacy_among;
use super::gatekeeper::{Broken, Gatekeeper, Lost, explain};
use super::host_keys::Expected;
use super::jump::Refusals;
use super::wire::{Carrier, Heard, Lifeline, Wire};
use super::witness::Witness;
use super::{Engine, Limits, Method, Route, Target, proxy};
use crate::model::{Failure, KeyTrust, Reason};
use crate::ssh_config::Family;

/// Names being resolved at once: `getaddrinfo` holds a thread for as long as it likes, and can't be cancelled.
static RESOLVING: Semaphore = Semaphore::const_new(32);

/// Key exchanges at once. They are all computation: more of them don't end sooner, but run into their time limit together.
static HANDSHAKES: Semaphore = Semaphore::const_new(64);

/// When the next address of a host is tried beside one that doesn't answer (RFC 8305).
const STAGGER: Duration = Duration::from_millis(250);

/// Addresses of one host that are tried.
const ADDRESSES: usize = 8;

/// The pause before a host that turned us away is asked again; doubled each time.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

fn config(target: &Target, expected: &Expected, limits: &Limits) -> Config {
    let alive = target.alive_interval.unwrap_or(Duration::from_secs(15));
    Config {
        window_size: 1 << 20,
        maximum_packet_size: 32 << 10,
        // Messages of one channel that may wait for us: at most 512 KiB a host.
        channel_buffer_size: 16,
        preferred: Preferred {
            host_key_certificates: expected.host_certificates().into(),
            ..target.algorithms.preferred(expected.host_keys())
        },
        // Only a backstop: every phase has its own limit, and the stream ends with its owner.
        inactivity_timeout: Some(limits.run.max(limits.agent).max(limits.auth) + Duration::from_secs(10)),
        keepalive_interval: Some(alive).filter(|alive| !alive.is_zero()),
        keepalive_max: target.alive_count.map_or(3, |count| usize::try_from(count).unwrap_or(usize::MAX)),
        ..Config::default()
    }
}

/// An encrypted connection to the host we know.
pub(super) struct Link {
    pub(super) handle: Handle<Gatekeeper>,
    pub(super) lifeline: Lifeline,
    pub(super) lost: Lost,
    /// Why it opened no channel.
    pub(super) refusals: Refusals,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Link").field("closed", &self.handle.is_closed()).finish_non_exhaustive()
    }
}

/// Connects and logs in.
///
/// Dropping the future, at any point, closes the connection and frees all that belongs to it.
///
/// # Errors
/// The [`Failure`] of the phase that failed: everything from [`Reason::NameNotResolved`] to [`Reason::AuthTimeout`].
pub(super) async fn login(target: &Target, engine: &Engine, witness: &Witness) -> Result<Link, Failure> {
    let Engine { credentials, limits, .. } = engine;
    credentials.prepare(target).await?;
    let expected = engine.host_keys.expect(target).await;
    let mut link = open(target, engine, &expected, witness).await?;
    let trusted = !matches!(witness.key().map(|key| key.how), Some(KeyTrust::Changed | KeyTrust::Revoked));
    if trusted {
        credentials.login(&mut link.handle, &link.lost, target, limits).await?;
    } else {
        // Let in all the same, as `StrictHostKeyChecking no` has it for `ssh`: and as there, whoever answers in place of the host learns no password.
        let mut wary = target.clone();
        wary.login.methods.retain(|method| *method == Method::PublicKey);
        credentials.login(&mut link.handle, &link.lost, &wary, limits).await.map_err(|failure| {
            let detail = format!("{}; its host key is not to be trusted, so no password would be sent", failure.detail);
            Failure { detail, ..failure }
        })?;
    }
    Ok(link)
}

/// Connects. A connection that is turned away or reset before the login is tried again, a little later each time, as long as [`Limits::retry`] allows: that is
/// how a server drops one that is too many (`MaxStartups`).
pub(super) async fn open(target: &Target, engine: &Engine, expected: &Expected, witness: &Witness) -> Result<Link, Failure> {
    let began = Instant::now();
    let mut pause = FIRST_PAUSE;
    let mut attempt = 1;
    loop {
        let failure = match open_once(target, expected, engine, witness).await {
            Ok(link) => return Ok(link),
            Err(failure) => failure,
        };
        let turned_away = matches!(failure.reason, Reason::ConnectionReset | Reason::TooManyConnections);
        // `ConnectionAttempts` is about connections that don't come about at all: what a host said once, it says again.
        let absent = matches!(failure.reason, Reason::ConnectionRefused | Reason::ConnectTimeout | Reason::NoRoute);
        let again = absent && attempt < target.attempts;
        // One that is merely reset is given a second chance, one that says that it is full as many as there is time for.
        let patient = failure.reason == Reason::TooManyConnections || attempt < 3;
        let in_time = began.elapsed() + pause < engine.limits.retry;
        if !(again || turned_away && patient && in_time) {
            return Err(failure);
        }
        // Up to half of it by chance, or all that were turned away would come back together.
        let jitter = RandomState::new().build_hasher().finish() % 500;
        sleep(pause / 2 + pause.mul_f64(f64::from(u32::try_from(jitter).unwrap_or(0)) / 1000.0)).await;
        pause *= 2;
        attempt += 1;
    }
}

async fn open_once(target: &Target, expected: &Expected, engine: &Engine, witness: &Witness) -> Result<Link, Failure> {
    let limits = Limits {
        connect: target.connect_timeout.unwrap_or(engine.limits.connect),
        handshake: target.connect_timeout.unwrap_or(engine.limits.handshake),
        ..engine.limits
    };
    // What is dialled from elsewhere has no address that we know better.
    witness.reached(format!("{}:{}", target.address, target.port));
    match &target.route {
        Route::Direct => {
            let addresses = resolve(target, &limits).await?;
            let socket = dial(target, &addresses, &limits).await?;
            // A lost packet of 40 ms a round trip is what Nagle's algorithm costs here.
            let _ = socket.set_nodelay(true);
            if let Ok(peer) = socket.peer_addr() {
                witness.reached(peer.to_string());
            }
            shake_hands(target, expected, &limits, engine, witness, Box::new(socket)).await
        }
        Route::Jump(jump) => {
            let tunnel = engine.jumps.tunnel(jump, &target.address, target.port, engine, limits.connect).await?;
            shake_hands(target, expected, &limits, engine, witness, Box::new(tunnel)).await
        }
        Route::Command(command) => {
            let (streams, said) = proxy::start(command)?;
            match shake_hands(target, expected, &limits, engine, witness, Box::new(streams)).await {
                Err(failure) => Err(proxy::explained(failure, command, &said).await),
                link => link,
            }
        }
    }
}

/// The key exchange, over whatever carries it.
async fn shake_hands(
    target: &Target,
    expected: &Expected,
    limits: &Limits,
    engine: &Engine,
    witness: &Witness,
    carrier: Box<dyn Carrier>,
) -> Result<Link, Failure> {
    let (mut wire, lifeline, heard) = Wire::new(carrier);
    let silent = |_| {
        let waited = limits.handshake.as_secs_f32();
        Failure::new(
            Reason::BannerTimeout,
            format!("port {} accepted the connection and said nothing for {waited} s", target.port),
        )
    };
    timeout(limits.handshake, wire.listen()).await.map_err(silent)?;
    let _turn = HANDSHAKES.acquire().await;
    let (lost, refusals) = (Lost::default(), Refusals::default());
    let gatekeeper = Gatekeeper::new(expected.clone(), witness.clone(), lost.clone(), refusals.clone());
    let config = Arc::new(config(target, expected, &engine.limits));
    match timeout(limits.handshake, russh::client::connect_stream(config, wire, gatekeeper)).await {
        Ok(Ok(handle)) => Ok(Link { handle, lifeline, lost, refusals }),
        Ok(Err(Broken::HostKey(failure))) => Err(failure),
        Ok(Err(Broken::Protocol(error))) => {
            if let russh::Error::NoCommonAlgo { kind: AlgorithmKind::Key, .. } = &error {
                witness.saw_none();
            }
            Err(broken(&error, &heard))
        }
        Err(_) => Err(too_slow(&heard, limits)),
    }
}

/// The addresses of a name; an address stands for itself.
async fn resolve(target: &Target, limits: &Limits) -> Result<Vec<SocketAddr>, Failure> {
    let Target { address, port, .. } = target;
    if let Ok(literal) = address.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(literal, *port)]);
    }
    let unresolved = |what: String| Failure::new(Reason::NameNotResolved, format!("`{address}` has no address: {what}"));
    let _turn = RESOLVING.acquire().await;
    match timeout(limits.resolve, tokio::net::lookup_host((address.as_str(), *port))).await {
        Ok(Ok(found)) => {
            let mut addresses: Vec<SocketAddr> = Vec::new();
            for address in found {
                if !addresses.contains(&address) && is_of(target.family, &address) {
                    addresses.push(address);
                }
            }
            addresses.truncate(ADDRESSES);
            match (addresses.is_empty(), target.family) {
                (false, _) => Ok(addresses),
                (true, Family::Any) => Err(unresolved("the answer is empty".to_owned())),
                (true, Family::Inet) => Err(unresolved("it has none of IPv4, and `AddressFamily inet` asks for one".to_owned())),
                (true, Family::Inet6) => {
                    Err(unresolved("it has none of IPv6, and `AddressFamily inet6` asks for one".to_owned()))
                }
            }
        }
        Ok(Err(error)) => Err(unresolved(error.to_string())),
        Err(_) => Err(unresolved(format!("no answer in {} s", limits.resolve.as_secs_f32()))),
    }
}

fn is_of(family: Family, address: &SocketAddr) -> bool {
    match family {
        Family::Any => true,
        Family::Inet => address.is_ipv4(),
        Family::Inet6 => address.is_ipv6(),
    }
}

/// A TCP connection, from the address of this machine that the configuration names, if it names one.
async fn connect(address: SocketAddr, from: Option<&str>) -> io::Result<TcpStream> {
    let Some(from) = from else { return TcpStream::connect(address).await };
    let invalid = |_| io::Error::new(io::ErrorKind::InvalidInput, format!("`BindAddress {from}` is not an address"));
    let from: IpAddr = from.parse().map_err(invalid)?;
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.bind(SocketAddr::new(from, 0))?;
    socket.connect(address).await
}

/// Connects to the first address that answers: each is given a head start over the next, and a failure starts the next at once.
async fn dial(target: &Target, addresses: &[SocketAddr], limits: &Limits) -> Result<TcpStream, Failure> {
    let mut failure: Option<Failure> = None;
    let from = target.bind_address.as_deref();
    let race = async {
        let mut waiting = addresses.iter();
        let mut running = FuturesUnordered::new();
        loop {
            match waiting.next() {
                Some(address) => running.push(async move { (address, connect(*address, from).await) }),
                None if running.is_empty() => return None,
                None => {}
            }
            tokio::select! {
                Some((address, result)) = running.next() => match result {
                    Ok(socket) => return Some(socket),
                    // A way that doesn't exist says less than whatever another address answered.
                    Err(error) => {
                        let new = unconnected(*address, &error);
                        if failure.as_ref().is_none_or(|old| old.reason == Reason::NoRoute) {
                            failure = Some(new);
                        }
                    }
                },
                () = sleep(STAGGER), if waiting.len() > 0 => {}
            }
        }
    };
    let ended = timeout(limits.connect, race).await;
    match (ended, failure) {
        (Ok(Some(socket)), _) => Ok(socket),
        (Ok(None), Some(failure)) => Err(failure),
        _ => {
            let list: Vec<String> = addresses.iter().map(ToString::to_string).collect();
            let waited = limits.connect.as_secs_f32();
            Err(Failure::new(Reason::ConnectTimeout, format!("no connection to {} in {waited} s", list.join(", "))))
        }
    }
}

fn unconnected(address: SocketAddr, error: &io::Error) -> Failure {
    use io::ErrorKind as Kind;
    let reason = match error.kind() {
        Kind::ConnectionRefused => Reason::ConnectionRefused,
        Kind::ConnectionReset | Kind::ConnectionAborted => Reason::ConnectionReset,
        Kind::TimedOut => Reason::ConnectTimeout,
        // A firewall of this machine says "permission denied"; a link-local address without its link is an invalid argument.
        Kind::HostUnreachable
        | Kind::NetworkUnreachable
        | Kind::NetworkDown
        | Kind::AddrNotAvailable
        | Kind::PermissionDenied
        | Kind::InvalidInput => Reason::NoRoute,
        // Out of descriptors or memory: ours, not the host's.
        _ => Reason::InternalError,
    };
    Failure::new(reason, format!("{address}: {error}"))
}

fn too_slow(heard: &Heard, limits: &Limits) -> Failure {
    let waited = limits.handshake.as_secs_f32();
    match heard.first_words() {
        (true, version) => {
            Failure::new(Reason::HandshakeTimeout, format!("`{version}` did not finish the key exchange in {waited} s"))
        }
        (false, words) => Failure::new(Reason::BannerTimeout, format!("no SSH version in {waited} s, only `{words}`")),
    }
}

fn broken(error: &russh::Error, heard: &Heard) -> Failure {
    let (spoke, words) = heard.first_words();
    if let russh::Error::NoCommonAlgo { kind, theirs, .. } = error
        && let legacy = legacy_among(theirs)
        && !legacy.is_empty()
    {
        let kind = format!("{kind:?}").to_lowercase();
        let detail = format!(
            "`{words}`: of {kind} algorithms the host has only such as are no longer safe: {}; `--legacy-algorithms` allows them",
            legacy.join(", ")
        );
        return Failure::new(Reason::LegacyAlgorithms, detail);
    }
    let what = explain(error);
    let ended = matches!(error, russh::Error::IO(_) | russh::Error::Disconnect | russh::Error::HUP);
    // What sshd says to a client that is one too many, or whose address it has shut out for a while.
    let turned_away = words.contains("MaxStartups") || words.starts_with("Not allowed at this time");
    match (spoke, ended) {
        (false, true) if words.is_empty() => Failure::new(Reason::ConnectionReset, format!("{what} before it said anything")),
        (false, _) if turned_away => Failure::new(Reason::TooManyConnections, format!("the host said `{words}`")),
        (false, _) => Failure::new(Reason::NotSsh, format!("what answers is not SSH: it said `{words}`")),
        (true, true) => Failure::new(Reason::ConnectionReset, format!("`{words}`: {what} during the key exchange")),
        (true, false) => Failure::new(Reason::HandshakeFailed, format!("`{words}`: {what}")),
    }
}
