//! A relay between two nodes of a broker. It passes on what comes, or holds it, as a network does between two halves of a partition: no
//! connection ends, and nothing is lost once the partition is healed.

use std::io;
use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

/// How many bytes are passed on at once.
const CHUNK_BYTES: usize = 16 * 1024;
/// The pause after a connection that could not be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The way from one node to the port of another. It ends with this.
pub struct Relay {
    from: u32,
    to: u32,
    /// The port of this machine at which the node finds the relay.
    pub port: u16,
    is_open: watch::Sender<bool>,
}

impl Relay {
    /// Listens for one node, from 1, that wants to reach another at its port.
    ///
    /// # Errors
    /// There is no free port.
    pub fn start([from, to]: [u32; 2], port_of_node: u16) -> io::Result<Relay> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        let port = listener.local_addr()?.port();
        let (is_open, opened) = watch::channel(true);
        tokio::spawn(accept(listener, port_of_node, opened));
        Ok(Relay { from, to, port, is_open })
    }

    /// True if the node is at one of its ends.
    pub fn is_of(&self, node: u32) -> bool {
        [self.from, self.to].contains(&node)
    }

    /// Passes on what comes, and what was held, or holds it from now on.
    pub fn open(&self, is_open: bool) {
        self.is_open.send_replace(is_open);
    }
}

/// Takes connections as long as the relay is there.
async fn accept(listener: TcpListener, port: u16, mut is_open: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((near, _)) => drop(connections.spawn(connection(near, port, is_open.clone()))),
                // The machine has no files left, say. The node asks again.
                Err(_) => sleep(ACCEPT_PAUSE).await,
            },
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            over = until_over(&mut is_open) => return over,
        }
    }
}

/// Waits until the relay is gone.
async fn until_over(is_open: &mut watch::Receiver<bool>) {
    while is_open.changed().await.is_ok() {}
}

/// Relays one connection until one of its ends is broken.
async fn connection(near: TcpStream, port: u16, mut is_open: watch::Receiver<bool>) -> io::Result<()> {
    until_open(&mut is_open).await?;
    let far = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    let (near, far) = (near.into_split(), far.into_split());
    tokio::try_join!(pass(near.0, far.1, is_open.clone()), pass(far.0, near.1, is_open))?;
    Ok(())
}

/// Passes on in one direction, until its end.
async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut is_open: watch::Receiver<bool>) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        until_open(&mut is_open).await?;
        let read = from.read(&mut chunk).await?;
        // It may have been closed while nothing came.
        until_open(&mut is_open).await?;
        match read {
            0 => return to.shutdown().await,
            read => to.write_all(&chunk[..read]).await?,
        }
    }
}

/// # Errors
/// The relay is gone.
async fn until_open(is_open: &mut watch::Receiver<bool>) -> io::Result<()> {
    is_open.wait_for(|is_open| *is_open).await.map(drop).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn a_relay_holds_what_comes_while_it_is_closed() {
        let node = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let relay = Relay::start([1, 2], node.local_addr().unwrap().port()).unwrap();
        assert!(relay.is_of(1) && relay.is_of(2) && !relay.is_of(3));
        let mut near = TcpStream::connect((Ipv4Addr::LOCALHOST, relay.port)).await.unwrap();
        let (mut far, _) = node.accept().await.unwrap();
        let mut byte = [0];
        near.write_all(b"a").await.unwrap();
        far.read_exact(&mut byte).await.unwrap();
        relay.open(false);
        near.write_all(b"b").await.unwrap();
        far.write_all(b"c").await.unwrap();
        assert!(timeout(Duration::from_millis(50), far.read_exact(&mut byte)).await.is_err());
        assert!(timeout(Duration::from_millis(50), near.read_exact(&mut byte)).await.is_err());
        relay.open(true);
        far.read_exact(&mut byte).await.unwrap();
        assert_eq!(&byte, b"b");
        near.read_exact(&mut byte).await.unwrap();
        assert_eq!(&byte, b"c");
        drop(relay);
        assert_eq!(near.read(&mut byte).await.unwrap_or(0), 0, "the connection has ended");
    }
}
