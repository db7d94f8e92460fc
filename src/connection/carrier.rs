//! The carrier of a connection's bytes: a socket, or TLS on it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::client::TlsStream;

use super::socket::Socket;
use super::stream::Halt;
use super::tls;

/// How many bytes TLS takes at once: one record, which the peer can read only as a whole.
const RECORD_BYTES: usize = 16 * 1024;

/// A socket, or TLS on it.
pub enum Carrier {
    Plain(Socket),
    Tls(Box<TlsStream<Socket>>),
}

impl Carrier {
    /// Reads what has come into the buffer: at least one byte, unless it halts.
    pub fn poll_bytes(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<Result<(), Halt>> {
        let filled = buffer.filled().len();
        let read = ready!(Pin::new(&mut *self).poll_read(cx, buffer));
        Poll::Ready(match read {
            Ok(()) if buffer.filled().len() > filled => Ok(()),
            read => Err(match self {
                Carrier::Plain(_) => Halt::of_socket(read),
                Carrier::Tls(_) => tls::halt(read),
            }),
        })
    }

    /// Ends the stream of the socket, without a word of TLS.
    pub fn poll_fin(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.socket_mut()).poll_shutdown(cx)
    }

    pub fn socket(&self) -> &Socket {
        match self {
            Carrier::Plain(socket) => socket,
            Carrier::Tls(stream) => stream.get_ref().0,
        }
    }

    fn socket_mut(&mut self) -> &mut Socket {
        match self {
            Carrier::Plain(socket) => socket,
            Carrier::Tls(stream) => stream.get_mut().0,
        }
    }
}

impl AsyncRead for Carrier {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Carrier::Plain(socket) => Pin::new(socket).poll_read(cx, buffer),
            Carrier::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Carrier {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Carrier::Plain(socket) => Pin::new(socket).poll_write(cx, bytes),
            Carrier::Tls(stream) => Pin::new(stream).poll_write(cx, &bytes[..bytes.len().min(RECORD_BYTES)]),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Carrier::Plain(socket) => Pin::new(socket).poll_flush(cx),
            Carrier::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    /// TLS says close_notify first.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Carrier::Plain(socket) => Pin::new(socket).poll_shutdown(cx),
            Carrier::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
