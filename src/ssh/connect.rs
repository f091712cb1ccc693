//! From a name to an encrypted connection with a host that is the one we know.

use std::borrow::Cow;
use std::collections::hash_map::RandomState;
use std::convert::Infallible;
use std::hash::{BuildHasher, Hasher};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use russh::client::{Config, Handle};
use russh::keys::{Algorithm, EcdsaCurve, HashAlg};
use russh::{Preferred, cipher, kex, mac};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, oneshot};
use tokio::time::{sleep, timeout};

use super::gatekeeper::{Broken, Gatekeeper, Lost, explain};
use super::known_hosts::Known;
use super::{Engine, Limits, Target};
use crate::model::{Failure, Reason};

/// Names being resolved at once: `getaddrinfo` holds a thread for as long as it likes, and can't be cancelled.
static RESOLVING: Semaphore = Semaphore::const_new(32);

/// Key exchanges at once. They are all computation: more of them don't end sooner, but run into their time limit together.
static HANDSHAKES: Semaphore = Semaphore::const_new(64);

/// When the next address of a host is tried beside one that doesn't answer (RFC 8305).
const STAGGER: Duration = Duration::from_millis(250);

/// Addresses of one host that are tried.
const ADDRESSES: usize = 8;

/// How much of what a server says first is kept to tell what it is: RFC 4253 allows lines before the version.
const HEARD: usize = 4096;

/// Best first. The elliptic curves of NIST are for hosts in FIPS mode; the groups, slow as they are, for those that have nothing else. No SHA-1.
const KEX: &[kex::Name] = &[
    kex::MLKEM768X25519_SHA256,
    kex::CURVE25519,
    kex::CURVE25519_PRE_RFC_8731,
    kex::ECDH_SHA2_NISTP256,
    kex::ECDH_SHA2_NISTP384,
    kex::ECDH_SHA2_NISTP521,
    kex::DH_G14_SHA256,
    kex::DH_G16_SHA512,
    kex::EXTENSION_SUPPORT_AS_CLIENT,
    kex::EXTENSION_OPENSSH_STRICT_KEX_AS_CLIENT,
];

const CIPHERS: &[cipher::Name] =
    &[cipher::AES_128_GCM, cipher::AES_256_GCM, cipher::CHACHA20_POLY1305, cipher::AES_256_CTR, cipher::AES_128_CTR];

const MACS: &[mac::Name] = &[mac::HMAC_SHA256_ETM, mac::HMAC_SHA512_ETM, mac::HMAC_SHA256, mac::HMAC_SHA512];

/// Host keys of all kinds that are safe, best first; RSA with SHA-2 only.
const HOST_KEYS: [Algorithm; 6] = [
    Algorithm::Ed25519,
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 },
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP384 },
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP521 },
    Algorithm::Rsa { hash: Some(HashAlg::Sha512) },
    Algorithm::Rsa { hash: Some(HashAlg::Sha256) },
];

/// The kinds of the known keys first, or a server shows its best key, which may be one that nobody knows.
fn host_key_order(known: &Known) -> Vec<Algorithm> {
    let known = known.algorithms();
    let is_known = |algorithm: &Algorithm| match algorithm {
        Algorithm::Rsa { .. } => known.contains(&"ssh-rsa"),
        other => known.contains(&other.as_str()),
    };
    let (mut first, rest): (Vec<_>, Vec<_>) = HOST_KEYS.into_iter().partition(is_known);
    first.extend(rest);
    first
}

fn config(known: &Known, limits: &Limits) -> Config {
    Config {
        window_size: 1 << 20,
        maximum_packet_size: 32 << 10,
        // Messages of one channel that may wait for us: at most 512 KiB a host.
        channel_buffer_size: 16,
        preferred: Preferred {
            kex: Cow::Borrowed(KEX),
            key: Cow::Owned(host_key_order(known)),
            cipher: Cow::Borrowed(CIPHERS),
            mac: Cow::Borrowed(MACS),
            ..Preferred::DEFAULT
        },
        // Only a backstop: every phase has its own limit, and the stream ends with its owner.
        inactivity_timeout: Some(limits.run.max(limits.agent).max(limits.auth) + Duration::from_secs(10)),
        keepalive_interval: Some(Duration::from_secs(15)),
        keepalive_max: 3,
        ..Config::default()
    }
}

/// Holds a connection open. Dropped, it ends the stream, and with it russh's task and the socket, whatever the peer does.
///
/// Without it, giving up on a peer that hangs in the key exchange would leave both behind for ever.
#[derive(Debug)]
pub(super) struct Lifeline {
    _held: oneshot::Sender<Infallible>,
}

/// What a server said first.
type Heard = Arc<Mutex<Vec<u8>>>;

/// The socket, until its [`Lifeline`] is dropped.
struct Wire {
    socket: TcpStream,
    line: oneshot::Receiver<Infallible>,
    cut: bool,
    heard: Heard,
}

impl Wire {
    fn new(socket: TcpStream) -> (Self, Lifeline, Heard) {
        let (held, line) = oneshot::channel();
        let heard = Heard::default();
        (Self { socket, line, cut: false, heard: Arc::clone(&heard) }, Lifeline { _held: held }, heard)
    }

    /// Whether the owner is gone. Asks to be woken when that happens.
    fn is_cut(&mut self, context: &mut Context<'_>) -> bool {
        self.cut = self.cut || Pin::new(&mut self.line).poll(context).is_ready();
        self.cut
    }
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.is_cut(context) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        let before = buffer.filled().len();
        let result = Pin::new(&mut self.socket).poll_read(context, buffer);
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let new = buffer.filled().get(before..).unwrap_or_default();
        let room = HEARD.saturating_sub(heard.len()).min(new.len());
        heard.extend(new.iter().take(room));
        result
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.is_cut(context) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        Pin::new(&mut self.socket).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context)
    }

    /// Never fails: russh would take that, after a reset, for a reason not to say why the connection was lost.
    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context).map(|_| Ok(()))
    }
}

/// An encrypted connection to the host we know, nobody logged in.
pub(super) struct Link {
    pub(super) handle: Handle<Gatekeeper>,
    pub(super) lifeline: Lifeline,
    pub(super) lost: Lost,
}

/// Connects. A connection that is reset before the login is tried once more: that is how a server drops one that is too many (`MaxStartups`).
pub(super) async fn open(target: &Target, engine: &Engine) -> Result<Link, Failure> {
    let known = engine.host_keys.lookup(target);
    match open_once(target, &known, &engine.limits).await {
        Err(failure) if failure.reason == Reason::ConnectionReset => {
            let jitter = RandomState::new().build_hasher().finish() % 1000;
            sleep(Duration::from_millis(500 + jitter)).await;
            open_once(target, &known, &engine.limits).await
        }
        other => other,
    }
}

async fn open_once(target: &Target, known: &Known, limits: &Limits) -> Result<Link, Failure> {
    let addresses = resolve(target, limits).await?;
    let socket = dial(&addresses, limits).await?;
    // A lost packet of 40 ms a round trip is what Nagle's algorithm costs here.
    let _ = socket.set_nodelay(true);
    // A server speaks first, so waiting for that is free; what follows is computation, and is let in by number.
    let silent = |_| {
        let waited = limits.handshake.as_secs_f32();
        Failure::new(
            Reason::BannerTimeout,
            format!("port {} accepted the connection and said nothing for {waited} s", target.port),
        )
    };
    let _ = timeout(limits.handshake, socket.readable()).await.map_err(silent)?;
    let _turn = HANDSHAKES.acquire().await;
    let (wire, lifeline, heard) = Wire::new(socket);
    let lost = Lost::default();
    let gatekeeper = Gatekeeper::new(known.clone(), lost.clone());
    match timeout(limits.handshake, russh::client::connect_stream(Arc::new(config(known, limits)), wire, gatekeeper)).await {
        Ok(Ok(handle)) => Ok(Link { handle, lifeline, lost }),
        Ok(Err(Broken::HostKey(failure))) => Err(failure),
        Ok(Err(Broken::Protocol(error))) => Err(broken(&error, &heard)),
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
            for address in found.take(ADDRESSES) {
                if !addresses.contains(&address) {
                    addresses.push(address);
                }
            }
            if addresses.is_empty() { Err(unresolved("the answer is empty".to_owned())) } else { Ok(addresses) }
        }
        Ok(Err(error)) => Err(unresolved(error.to_string())),
        Err(_) => Err(unresolved(format!("no answer in {} s", limits.resolve.as_secs_f32()))),
    }
}

/// Connects to the first address that answers: each is given a head start over the next, and a failure starts the next at once.
async fn dial(addresses: &[SocketAddr], limits: &Limits) -> Result<TcpStream, Failure> {
    let mut failure: Option<Failure> = None;
    let race = async {
        let mut waiting = addresses.iter();
        let mut running = FuturesUnordered::new();
        loop {
            match waiting.next() {
                Some(address) => running.push(async move { (address, TcpStream::connect(address).await) }),
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

/// What a server said before its version, or instead of it; and whether the version came.
fn first_words(heard: &Heard) -> (bool, String) {
    let heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
    let mut lines = heard.split(|byte| *byte == b'\n');
    let spoke = lines.clone().any(|line| line.starts_with(b"SSH-2.0-") || line.starts_with(b"SSH-1.99-"));
    let first = lines.next().unwrap_or_default();
    (spoke, String::from_utf8_lossy(first.get(..80).unwrap_or(first)).trim().to_owned())
}

fn too_slow(heard: &Heard, limits: &Limits) -> Failure {
    let waited = limits.handshake.as_secs_f32();
    match first_words(heard) {
        (true, version) => {
            Failure::new(Reason::HandshakeTimeout, format!("`{version}` did not finish the key exchange in {waited} s"))
        }
        (false, words) => Failure::new(Reason::BannerTimeout, format!("no SSH version in {waited} s, only `{words}`")),
    }
}

fn broken(error: &russh::Error, heard: &Heard) -> Failure {
    let (spoke, words) = first_words(heard);
    let what = explain(error);
    let ended = matches!(error, russh::Error::IO(_) | russh::Error::Disconnect | russh::Error::HUP);
    // What sshd says to a client that is one too many.
    let turned_away = words.contains("MaxStartups") || words.starts_with("Not allowed at this time");
    match (spoke, ended) {
        (false, true) if words.is_empty() => Failure::new(Reason::ConnectionReset, format!("{what} before it said anything")),
        (false, _) if turned_away => Failure::new(Reason::ConnectionReset, format!("the host said `{words}`")),
        (false, _) => Failure::new(Reason::NotSsh, format!("what answers is not SSH: it said `{words}`")),
        (true, true) => Failure::new(Reason::ConnectionReset, format!("`{words}`: {what} during the key exchange")),
        (true, false) => Failure::new(Reason::HandshakeFailed, format!("`{words}`: {what}")),
    }
}
