//! What SSH runs over: a socket, a channel of a jump host or the streams of a command; always ended with its owner.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::sync::oneshot;

/// How much of what a server says first is kept to tell what it is: RFC 4253 allows lines before the version.
const HEARD: usize = 4096;

/// Something that carries bytes both ways.
pub(super) trait Carrier: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Carrier for T {}

/// Holds a connection open. Dropped, it ends the stream, and with it russh's task and what is below, whatever the peer does.
///
/// Without it, giving up on a peer that hangs in the key exchange would leave both behind for ever.
#[derive(Debug)]
pub(super) struct Lifeline {
    _held: oneshot::Sender<Infallible>,
}

/// What a server said first.
#[derive(Debug, Clone, Default)]
pub(super) struct Heard(Arc<Mutex<Vec<u8>>>);

impl Heard {
    fn add(&self, bytes: &[u8]) {
        let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let room = HEARD.saturating_sub(heard.len()).min(bytes.len());
        heard.extend(bytes.iter().take(room));
    }

    /// What a server said before its version, or instead of it; and whether the version came.
    pub(super) fn first_words(&self) -> (bool, String) {
        let heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut lines = heard.split(|byte| *byte == b'\n');
        let spoke = lines.clone().any(|line| line.starts_with(b"SSH-2.0-") || line.starts_with(b"SSH-1.99-"));
        let first = lines.next().unwrap_or_default();
        (spoke, String::from_utf8_lossy(first.get(..80).unwrap_or(first)).trim().to_owned())
    }
}

/// The stream below SSH, until its [`Lifeline`] is dropped.
pub(super) struct Wire {
    carrier: Box<dyn Carrier>,
    line: oneshot::Receiver<Infallible>,
    cut: bool,
    heard: Heard,
    /// What was read ahead, and how much of it was handed on.
    ahead: (Vec<u8>, usize),
}

impl Wire {
    pub(super) fn new(carrier: Box<dyn Carrier>) -> (Self, Lifeline, Heard) {
        let (held, line) = oneshot::channel();
        let heard = Heard::default();
        let wire = Self { carrier, line, cut: false, heard: heard.clone(), ahead: (Vec::new(), 0) };
        (wire, Lifeline { _held: held }, heard)
    }

    /// Waits until the peer has said something, which is kept for the conversation. A server speaks first, so this costs nothing; what follows is
    /// computation, and is let in by number.
    pub(super) async fn listen(&mut self) {
        let mut first = [0; 512];
        // An end or an error here is found again, and told, by the conversation.
        let length = self.carrier.read(&mut first).await.unwrap_or(0);
        let first = first.get(..length).unwrap_or_default();
        self.heard.add(first);
        self.ahead.0.extend_from_slice(first);
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
        let (bytes, taken) = &mut self.ahead;
        let rest = bytes.get(*taken..).unwrap_or_default();
        if !rest.is_empty() {
            let length = rest.len().min(buffer.remaining());
            buffer.put_slice(rest.get(..length).unwrap_or_default());
            *taken += length;
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        let result = Pin::new(&mut self.carrier).poll_read(context, buffer);
        self.heard.add(buffer.filled().get(before..).unwrap_or_default());
        result
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.is_cut(context) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        Pin::new(&mut self.carrier).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.carrier).poll_flush(context)
    }

    /// Never fails: russh would take that, after a reset, for a reason not to say why the connection was lost.
    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.carrier).poll_shutdown(context).map(|_| Ok(()))
    }
}
