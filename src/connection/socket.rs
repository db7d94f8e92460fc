//! The socket at the bottom of a connection: TCP, a Unix socket, or a pipe inside the process.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

/// An open socket.
pub enum Socket {
    Tcp {
        stream: TcpStream,
        /// Bytes were read, and none were written since, which would have carried the kernel's acknowledgement.
        unacknowledged: bool,
    },
    Unix(UnixStream),
    InProcess(DuplexStream),
}

impl Socket {
    /// # Errors
    /// The operating system's.
    pub fn tcp(stream: TcpStream) -> io::Result<Socket> {
        // A broker that writes small packets waits for our acknowledgement of the first before it sends the second; with
        // Nagle's algorithm here, and delayed acknowledgement there, each would cost 40 ms.
        stream.set_nodelay(true)?;
        Ok(Socket::Tcp { stream, unacknowledged: false })
    }

    /// Has the kernel send a reset instead of a FIN when this socket is dropped. Only TCP knows such a thing.
    pub fn reset_when_dropped(&self) {
        if let Socket::Tcp { stream, .. } = self {
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

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Socket::Tcp { stream, unacknowledged } => {
                let read = Pin::new(&mut *stream).poll_read(cx, buffer);
                if read.is_pending() && *unacknowledged {
                    quick_ack(stream);
                }
                *unacknowledged = read.is_ready();
                read
            }
            Socket::Unix(stream) => Pin::new(stream).poll_read(cx, buffer),
            Socket::InProcess(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Socket::Tcp { stream, unacknowledged } => {
                *unacknowledged = false;
                Pin::new(stream).poll_write(cx, bytes)
            }
            Socket::Unix(stream) => Pin::new(stream).poll_write(cx, bytes),
            Socket::InProcess(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Socket::Tcp { stream, .. } => Pin::new(stream).poll_flush(cx),
            Socket::Unix(stream) => Pin::new(stream).poll_flush(cx),
            Socket::InProcess(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Socket::Tcp { stream, .. } => Pin::new(stream).poll_shutdown(cx),
            Socket::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
            Socket::InProcess(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
