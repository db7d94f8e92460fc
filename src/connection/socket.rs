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
        /// A write came upon the other side's reset. The kernel tells it once, and shows a read behind it the end of the stream.
        was_reset: bool,
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
        Ok(Socket::Tcp { stream, unacknowledged: false, was_reset: false })
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
            Socket::Tcp { stream, unacknowledged, was_reset } => {
                let filled = buffer.filled().len();
                let read = Pin::new(&mut *stream).poll_read(cx, buffer);
                if read.is_pending() && *unacknowledged {
                    quick_ack(stream);
                }
                *unacknowledged = read.is_ready();
                match read {
                    // All that came before the reset has been read.
                    Poll::Ready(Ok(())) if *was_reset && buffer.filled().len() == filled => {
                        Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()))
                    }
                    read => read,
                }
            }
            Socket::Unix(stream) => Pin::new(stream).poll_read(cx, buffer),
            Socket::InProcess(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Socket::Tcp { stream, unacknowledged, was_reset } => {
                *unacknowledged = false;
                let write = Pin::new(stream).poll_write(cx, bytes);
                *was_reset |=
                    matches!(&write, Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::ConnectionReset);
                write
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

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn a_reset_that_a_write_comes_upon_is_what_is_read() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut broker, _) = listener.accept().await.unwrap();
        broker.write_all(b"CONNACK").await.unwrap();
        SockRef::from(&broker).set_linger(Some(Duration::ZERO)).unwrap();
        drop(broker);
        let mut socket = Socket::tcp(client).unwrap();
        assert_eq!(socket.write(b"SUBSCRIBE").await.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
        let mut bytes = [0; 7];
        socket.read_exact(&mut bytes).await.unwrap();
        assert_eq!(&bytes, b"CONNACK");
        assert_eq!(socket.read(&mut bytes).await.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    }

    #[tokio::test]
    async fn a_fin_that_a_write_comes_upon_stays_a_fin() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        drop(listener.accept().await.unwrap());
        let mut socket = Socket::tcp(client).unwrap();
        // The first write draws a reset from a socket that is closed; on loopback it is there when the write returns.
        socket.write_all(b"SUBSCRIBE").await.unwrap();
        assert_eq!(socket.write(b"PINGREQ").await.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        assert_eq!(socket.read(&mut [0; 1]).await.unwrap(), 0);
    }
}
