//! The byte stream under a connection: what a socket, TLS or the frames of WebSocket carry.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncWrite, ReadBuf};

use super::carrier::Carrier;
use super::end::End;
use super::tls::Secured;
use super::websocket::{NORMAL_CLOSURE, WebSocket, frames};

/// What comes in the place of bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Halt {
    /// The other side ended the stream.
    End(End),
    /// What came is not what this stream carries: how it begins, and what completes "a packet that ...".
    Unreadable { bytes: Vec<u8>, why: String },
}

impl Halt {
    /// A socket that gave no byte.
    pub fn of_socket(read: io::Result<()>) -> Halt {
        Halt::End(if read.is_ok() { End::Fin } else { End::Reset })
    }
}

/// A byte stream to a broker.
pub enum Stream {
    Bytes(Carrier),
    WebSocket(Box<WebSocket>),
}

impl Stream {
    /// Reads what has come into the buffer: at least one byte, unless it halts.
    pub fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<Result<(), Halt>> {
        match self {
            Stream::Bytes(carrier) => carrier.poll_bytes(cx, buffer),
            Stream::WebSocket(stream) => stream.poll_read(cx, buffer),
        }
    }

    /// Appends a packet, or a part of one, as it is written to this stream. WebSocket gives each a frame of its own, as most
    /// clients do.
    pub fn wrap(&self, packet: &[u8], wire: &mut Vec<u8>) {
        match self {
            Stream::Bytes(_) => wire.extend_from_slice(packet),
            Stream::WebSocket(_) => frames::binary(packet, wire),
        }
    }

    /// Writes some of what was wrapped, and tells how many bytes the operating system has taken; under TLS these are whole
    /// records.
    ///
    /// # Errors
    /// The operating system's.
    pub async fn write(&mut self, wire: &[u8]) -> io::Result<usize> {
        let carrier = self.carrier_mut();
        let count = poll_fn(|cx| Pin::new(&mut *carrier).poll_write(cx, wire)).await?;
        poll_fn(|cx| Pin::new(&mut *carrier).poll_flush(cx)).await?;
        Ok(count)
    }

    /// Ends the client's half of the stream in good order.
    ///
    /// # Errors
    /// The operating system's.
    pub async fn close(&mut self) -> io::Result<()> {
        if let Stream::WebSocket(stream) = self {
            stream.close();
        }
        poll_fn(|cx| {
            if let Stream::WebSocket(stream) = self {
                ready!(stream.poll_close(cx))?;
            }
            Pin::new(self.carrier_mut()).poll_shutdown(cx)
        })
        .await
    }

    /// Ends the client's half of the socket, as if nothing above it knew.
    ///
    /// # Errors
    /// The operating system's.
    pub async fn fin(&mut self) -> io::Result<()> {
        poll_fn(|cx| self.carrier_mut().poll_fin(cx)).await
    }

    /// What [`Stream::close`] puts on the wire.
    pub fn orderly_end(&self) -> End {
        match self {
            Stream::Bytes(Carrier::Plain(_)) => End::Fin,
            Stream::Bytes(Carrier::Tls(_)) => End::CloseNotify,
            Stream::WebSocket(_) => End::Close(NORMAL_CLOSURE),
        }
    }

    /// Has the kernel send a reset instead of a FIN when this stream is dropped, where the socket knows such a thing.
    pub fn reset_when_dropped(&self) {
        self.carrier().socket().reset_when_dropped();
    }

    /// What the TLS handshake came to, where there is TLS.
    pub fn secured(&self) -> Option<Secured> {
        match self.carrier() {
            Carrier::Plain(_) => None,
            Carrier::Tls(stream) => Some(Secured::of(stream.get_ref().1)),
        }
    }

    fn carrier(&self) -> &Carrier {
        match self {
            Stream::Bytes(carrier) => carrier,
            Stream::WebSocket(stream) => &stream.carrier,
        }
    }

    fn carrier_mut(&mut self) -> &mut Carrier {
        match self {
            Stream::Bytes(carrier) => carrier,
            Stream::WebSocket(stream) => &mut stream.carrier,
        }
    }
}
