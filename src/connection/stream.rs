//! The byte stream under a connection: a TCP socket, or a pipe inside the process.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::net::TcpStream;

/// Where a broker can be reached.
#[derive(Clone)]
pub enum Endpoint {
    /// Tried in this order, as a name may have several addresses.
    Tcp(Vec<SocketAddr>),
    /// A broker in this process, which makes a new pipe at each call.
    InProcess(Arc<dyn Fn() -> DuplexStream + Send + Sync>),
}

impl Endpoint {
    /// Opens a stream to the broker.
    ///
    /// # Errors
    /// The operating system's, of the last address that was tried.
    pub async fn open(&self) -> io::Result<Stream> {
        match self {
            Endpoint::InProcess(open) => Ok(Stream::InProcess(open())),
            Endpoint::Tcp(addresses) => {
                let stream = TcpStream::connect(&addresses[..]).await?;
                // A broker that writes small packets waits for our acknowledgement of the first before it sends the
                // second; with Nagle's algorithm here, and delayed acknowledgement there, each would cost 40 ms.
                stream.set_nodelay(true)?;
                Ok(Stream::Tcp { stream, unacknowledged: false })
            }
        }
    }

    /// Whether the broker is on this machine.
    pub fn is_loopback(&self) -> bool {
        match self {
            Endpoint::InProcess(_) => true,
            Endpoint::Tcp(addresses) => addresses.iter().all(|address| address.ip().is_loopback()),
        }
    }
}

/// A byte stream to a broker.
pub enum Stream {
    Tcp {
        stream: TcpStream,
        /// Bytes were read, and none were written since, which would have carried the kernel's acknowledgement.
        unacknowledged: bool,
    },
    InProcess(DuplexStream),
}

impl Stream {
    /// Reads what has come into the buffer; nothing read is the end of the stream.
    pub fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self {
            Stream::Tcp { stream, unacknowledged } => {
                let read = Pin::new(&mut *stream).poll_read(cx, buffer);
                if read.is_pending() && *unacknowledged {
                    quick_ack(stream);
                }
                *unacknowledged = read.is_ready();
                read
            }
            Stream::InProcess(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl Stream {
    /// Has the kernel send a reset instead of a FIN when this stream is dropped. A pipe knows no such thing.
    pub fn reset_when_dropped(&self) {
        if let Stream::Tcp { stream, .. } = self {
            // Where it cannot be set the end is a FIN, which breaks the experiment no less.
            let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
        }
    }
}

/// Has the kernel acknowledge at once what was read. A broker with Nagle's algorithm holds its next small packet back
/// until then, which can be 40 ms. It does not last, so it is asked each time before the client waits.
fn quick_ack(stream: &TcpStream) {
    #[cfg(target_os = "linux")]
    // Only speed depends on it.
    let _ = SockRef::from(stream).set_tcp_quickack(true);
    #[cfg(not(target_os = "linux"))]
    let _ = stream;
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Tcp { stream, unacknowledged } => {
                *unacknowledged = false;
                Pin::new(stream).poll_write(cx, bytes)
            }
            Stream::InProcess(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Tcp { stream, .. } => Pin::new(stream).poll_flush(cx),
            Stream::InProcess(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Tcp { stream, .. } => Pin::new(stream).poll_shutdown(cx),
            Stream::InProcess(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
