//! Jump hosts: few connections to each, shared by the hosts behind it.
//!
//! A connection carries up to [`SEATS`] hosts, each over a `direct-tcpip` channel of its own, and connections are opened one after the other, so that a
//! bastion never sees more logins at once than its `MaxStartups` lets through. What a channel brings is taken off the connection at once, whatever
//! becomes of its host: russh gives a connection's channels one reader, and a channel that nobody empties would hold up all the others.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use russh::client::Msg;
use russh::{Channel, ChannelMsg, ChannelOpenFailure, ChannelWriteHalf};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{AbortHandle, unconstrained};
use tokio::time::{sleep, timeout};

use super::connect::{self, Link};
use super::witness::Witness;
use super::{Engine, Target};
use crate::model::{Failure, Reason, ShownKey};

/// Hosts that share one connection to a jump host: one lost connection costs no more than these.
const SEATS: usize = 64;

/// What one host behind a jump host may have waiting for us, bytes. More than a host may send in all, so only one that floods us gets there.
const MOST_WAITING: usize = 12 << 20;

/// How long a jump host that could not be used is not tried again: hosts behind it that come later fail for the same reason, at once.
const REST: Duration = Duration::from_secs(30);

/// The connections of a scan to its jump hosts.
#[derive(Debug, Default)]
pub(super) struct Jumps {
    pools: Mutex<Vec<(Arc<Target>, Arc<Pool>)>>,
}

/// The connections to one jump host.
#[derive(Debug, Default)]
struct Pool {
    links: Mutex<Vec<Arc<Shared>>>,
    /// Held while a connection is opened; why the last attempt failed, and when.
    opening: tokio::sync::Mutex<Option<(Instant, Failure)>>,
    witness: Witness,
}

/// One connection to a jump host.
#[derive(Debug)]
struct Shared {
    link: Link,
    seats: Arc<Semaphore>,
    /// The channel number that the next request gets.
    next: Mutex<u32>,
}

/// The number that russh gives to the first channel of a connection; it counts up from there.
const FIRST_CHANNEL: u32 = 2;

/// Why no channel came about.
enum Unopened {
    /// The connection to the jump host is gone.
    Lost,
    /// The jump host did not answer in time.
    TimedOut,
    /// The jump host said no, and why.
    Refused(ChannelOpenFailure, String),
}

impl Jumps {
    /// A stream to `address`, as seen from the jump host.
    ///
    /// # Errors
    /// What the jump host says of the host behind it, in the words of a direct connection; [`Reason::JumpFailed`] where it is the jump host that fails.
    pub(super) async fn tunnel(
        &self,
        jump: &Arc<Target>,
        address: &str,
        port: u16,
        engine: &Engine,
        limit: Duration,
    ) -> Result<Tunnel, Failure> {
        let pool = self.pool(jump);
        let via = place(jump);
        let mut again = true;
        loop {
            let (shared, seat) = pool.seat(jump, engine).await?;
            match shared.open(address, port, limit).await {
                Ok(channel) => return Ok(Tunnel::new(channel, shared, seat)),
                Err(Unopened::Lost) if again => again = false,
                Err(Unopened::Lost) => {
                    let cause = shared.link.lost.cause();
                    return Err(Failure::new(
                        Reason::JumpFailed,
                        format!("the connection to the jump host {via} was lost: {cause}"),
                    ));
                }
                Err(Unopened::TimedOut) => {
                    let waited = limit.as_secs_f32();
                    let detail = format!("the jump host {via} did not reach {address}:{port} in {waited} s");
                    return Err(Failure::new(Reason::ConnectTimeout, detail));
                }
                Err(Unopened::Refused(kind, words)) => return Err(unreached(&kind, &words, &via, address, port)),
            }
        }
    }

    /// The keys that the jump hosts showed, by their addresses, and why one could not be used; sorted.
    pub(super) fn keys(&self) -> Vec<(String, ShownKey, String)> {
        let pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        let shown = |(jump, pool): &(Arc<Target>, Arc<Pool>)| {
            let failed =
                pool.opening.try_lock().ok().and_then(|failed| failed.as_ref().map(|(_, failure)| failure.detail.clone()));
            let name = match jump.port {
                22 => jump.address.clone(),
                port => format!("[{}]:{port}", jump.address),
            };
            pool.witness.key().map(|key| (name, key, failed.unwrap_or_default()))
        };
        let mut keys: Vec<_> = pools.iter().filter_map(shown).collect();
        // One that several logins share is one host.
        keys.sort_by(|(one, key, _), (other, of_other, _)| (one, &key.fingerprint).cmp(&(other, &of_other.fingerprint)));
        keys.dedup_by(|(one, key, _), (other, of_other, _)| one == other && key.fingerprint == of_other.fingerprint);
        keys
    }

    fn pool(&self, jump: &Arc<Target>) -> Arc<Pool> {
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, pool)) = pools.iter().find(|(known, _)| Arc::ptr_eq(known, jump) || known == jump) {
            return Arc::clone(pool);
        }
        let pool = Arc::<Pool>::default();
        pools.push((Arc::clone(jump), Arc::clone(&pool)));
        pool
    }
}

impl Pool {
    /// A place on a connection that is there, or on a new one.
    async fn seat(&self, jump: &Arc<Target>, engine: &Engine) -> Result<(Arc<Shared>, OwnedSemaphorePermit), Failure> {
        if let Some(seat) = self.free_seat() {
            return Ok(seat);
        }
        let mut failed = self.opening.lock().await;
        // Somebody else may have opened one while we waited.
        if let Some(seat) = self.free_seat() {
            return Ok(seat);
        }
        if let Some((when, failure)) = &*failed
            && when.elapsed() < REST
        {
            return Err(failure.clone());
        }
        *failed = None;
        match Box::pin(connect::login(jump, engine, &self.witness)).await {
            Ok(link) => {
                let shared = Arc::new(Shared { link, seats: Arc::new(Semaphore::new(SEATS)), next: Mutex::new(FIRST_CHANNEL) });
                let seat = Arc::clone(&shared.seats).acquire_owned().await;
                self.links.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&shared));
                let closed = |_| Failure::new(Reason::InternalError, "a semaphore was closed");
                Ok((shared, seat.map_err(closed)?))
            }
            Err(inner) => {
                let detail = format!("the jump host {} could not be used: {} ({})", place(jump), inner.detail, inner.reason);
                let failure = match inner.reason {
                    // Of several hops the one that failed is named, not every one before it.
                    Reason::JumpFailed => inner,
                    _ => Failure::new(Reason::JumpFailed, detail),
                };
                *failed = Some((Instant::now(), failure.clone()));
                Err(failure)
            }
        }
    }

    /// A place on the connection that has the most of them.
    fn free_seat(&self) -> Option<(Arc<Shared>, OwnedSemaphorePermit)> {
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        links.retain(|shared| !shared.link.handle.is_closed());
        let shared = links.iter().max_by_key(|shared| shared.seats.available_permits())?;
        let seat = Arc::clone(&shared.seats).try_acquire_owned().ok()?;
        Some((Arc::clone(shared), seat))
    }
}

impl Shared {
    async fn open(&self, address: &str, port: u16, limit: Duration) -> Result<Channel<Msg>, Unopened> {
        let handle = &self.link.handle;
        let mut opening = Box::pin(unconstrained(handle.channel_open_direct_tcpip(address, port.into(), "127.0.0.1", 0)));
        // russh tells why a channel was refused by its number alone, and doesn't tell that number to who asked for it. Requests get their numbers in the
        // order in which they first come up, so the two can be brought together.
        let (number, early) = {
            let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
            let number = *next;
            *next = next.wrapping_add(1);
            (number, futures::FutureExt::now_or_never(&mut opening))
        };
        let opened = match early {
            Some(opened) => opened,
            None => timeout(limit, opening).await.map_err(|_| Unopened::TimedOut)?,
        };
        match opened {
            Ok(channel) => Ok(channel),
            Err(russh::Error::ChannelOpenFailure(kind)) => {
                let words = self.link.refusals.of(number).await;
                Err(Unopened::Refused(kind, words))
            }
            Err(_) => Err(Unopened::Lost),
        }
    }
}

/// Why channels were refused, by their number.
#[derive(Debug, Clone, Default)]
pub(super) struct Refusals(Arc<Mutex<VecDeque<(u32, String)>>>);

/// How many of them are kept: each is fetched by the host that it is about, unless that has given up.
const MOST_REFUSALS: usize = 4 * SEATS;

impl Refusals {
    pub(super) fn add(&self, number: u32, words: &str) {
        let mut refusals = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if refusals.len() == MOST_REFUSALS {
            refusals.pop_front();
        }
        refusals.push_back((number, words.chars().take(200).collect()));
    }

    /// The words about a channel. They come at the same moment as the refusal itself, in another task.
    async fn of(&self, number: u32) -> String {
        for _ in 0..20 {
            let found = {
                let mut refusals = self.0.lock().unwrap_or_else(PoisonError::into_inner);
                let place = refusals.iter().position(|(of, _)| *of == number);
                place.and_then(|place| refusals.remove(place))
            };
            match found {
                Some((_, words)) => return words,
                None => sleep(Duration::from_millis(5)).await,
            }
        }
        String::new()
    }
}

/// A jump host in words.
pub(super) fn place(jump: &Target) -> String {
    let Target { user, address, port, .. } = jump;
    match port {
        22 => format!("`{user}@{address}`"),
        port => format!("`{user}@{address}` port {port}"),
    }
}

/// What a jump host says of the host behind it, as a direct connection would.
fn unreached(kind: &ChannelOpenFailure, words: &str, via: &str, address: &str, port: u16) -> Failure {
    let lower = words.to_lowercase();
    let says = |parts: &[&str]| parts.iter().any(|part| lower.contains(part));
    let reason = match kind {
        ChannelOpenFailure::ConnectFailed if says(&["refused"]) => Reason::ConnectionRefused,
        ChannelOpenFailure::ConnectFailed if says(&["timed out", "timeout"]) => Reason::ConnectTimeout,
        ChannelOpenFailure::ConnectFailed if says(&["route", "unreachable"]) => Reason::NoRoute,
        ChannelOpenFailure::ConnectFailed if says(&["not known", "resolv", "unknown host", "no address"]) => {
            Reason::NameNotResolved
        }
        _ => Reason::JumpFailed,
    };
    let said = if words.trim().is_empty() { kind.description().to_lowercase() } else { words.trim().to_owned() };
    let hint = match kind {
        ChannelOpenFailure::AdministrativelyProhibited => "; its sshd_config must allow it (`AllowTcpForwarding`, `PermitOpen`)",
        _ => "",
    };
    Failure::new(reason, format!("the jump host {via} says of {address}:{port}: {said}{hint}"))
}

/// A connection to a host behind a jump host.
pub(super) struct Tunnel {
    incoming: UnboundedReceiver<bytes::Bytes>,
    waiting: Arc<AtomicUsize>,
    /// What was received and not yet read.
    current: bytes::Bytes,
    outgoing: Pin<Box<dyn AsyncWrite + Send>>,
    /// `None` only while it is dropped.
    channel: Option<ChannelWriteHalf<Msg>>,
    emptying: AbortHandle,
    _seat: OwnedSemaphorePermit,
    _shared: Arc<Shared>,
}

impl Tunnel {
    fn new(channel: Channel<Msg>, shared: Arc<Shared>, seat: OwnedSemaphorePermit) -> Self {
        let (mut from, to) = channel.split();
        let outgoing = Box::pin(to.make_writer());
        let (sender, incoming): (UnboundedSender<bytes::Bytes>, _) = unbounded_channel();
        let waiting = Arc::<AtomicUsize>::default();
        let count = Arc::clone(&waiting);
        let emptying = tokio::spawn(async move {
            while let Some(message) = from.wait().await {
                match message {
                    ChannelMsg::Data { data } => {
                        let more = count.fetch_add(data.len(), Ordering::Relaxed) + data.len();
                        if more > MOST_WAITING || sender.send(data).is_err() {
                            break;
                        }
                    }
                    ChannelMsg::Eof | ChannelMsg::Close => break,
                    _ => {}
                }
            }
        });
        Self {
            incoming,
            waiting,
            current: bytes::Bytes::new(),
            outgoing,
            channel: Some(to),
            emptying: emptying.abort_handle(),
            _seat: seat,
            _shared: shared,
        }
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        self.emptying.abort();
        // Closing takes a place in the connection's queue, and where there is no runtime any more, neither is the connection.
        if let (Some(channel), Ok(runtime)) = (self.channel.take(), tokio::runtime::Handle::try_current()) {
            let shared = Arc::clone(&self._shared);
            runtime.spawn(async move {
                let _ = channel.close().await;
                drop(shared);
            });
        }
    }
}

impl AsyncRead for Tunnel {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        while self.current.is_empty() {
            match std::task::ready!(self.incoming.poll_recv(context)) {
                Some(bytes) => self.current = bytes,
                None => return Poll::Ready(Ok(())),
            }
        }
        let length = self.current.len().min(buffer.remaining());
        buffer.put_slice(&self.current.split_to(length));
        self.waiting.fetch_sub(length, Ordering::Relaxed);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Tunnel {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.outgoing.as_mut().poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.outgoing.as_mut().poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.outgoing.as_mut().poll_shutdown(context)
    }
}
