//! Sends a recording to a broker again, as bytes.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result};
use socket2::SockRef;

use crate::recording::{Event, Recording};

/// How long bytes are waited for that came when it was recorded.
const DEADLINE: Duration = Duration::from_millis(500);

/// Does what was recorded in the order in which it was recorded, and waits for as many bytes as came then. Gives the
/// places where the broker sent less, or did not end the connection.
///
/// # Errors
/// The broker does not take a connection.
pub fn replay(recording: &Recording, broker: SocketAddr) -> Result<Vec<String>> {
    let mut sockets: Vec<Option<TcpStream>> = Vec::new();
    sockets.resize_with(recording.connections, || None);
    let mut unlike = Vec::new();
    for (connection, event) in &recording.events {
        let socket = &mut sockets[*connection];
        let like = match (event, socket.as_mut()) {
            (Event::Opened, _) => {
                *socket = Some(open(broker)?);
                true
            }
            (Event::Sent(bytes), Some(open)) => open.write_all(bytes).is_ok(),
            (Event::Received(count), Some(open)) => has_received(open, *count),
            (Event::Ended, Some(open)) => {
                let ended = has_ended(open);
                *socket = None;
                ended
            }
            // The broker ends it in turn, which is an event of its own.
            (Event::Closed, Some(open)) => open.shutdown(Shutdown::Write).is_ok(),
            // The client closes what the broker has ended.
            (_, None) => true,
        };
        if !like {
            unlike.push(format!("connection {connection}: {event}"));
            // What follows on it would only be waited for in vain.
            *socket = None;
        }
    }
    Ok(unlike)
}

fn open(broker: SocketAddr) -> Result<TcpStream> {
    let socket = TcpStream::connect(broker).context("the broker takes no connection")?;
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(DEADLINE))?;
    Ok(socket)
}

fn has_received(socket: &mut TcpStream, count: usize) -> bool {
    let mut bytes = [0; 4096];
    let mut missing = count;
    while missing > 0 {
        let room = missing.min(bytes.len());
        match read(socket, &mut bytes[..room]) {
            Some(read) if read > 0 => missing -= read,
            _ => return false,
        }
    }
    true
}

/// The end has to be the next thing that comes.
fn has_ended(socket: &mut TcpStream) -> bool {
    read(socket, &mut [0; 1]) == Some(0)
}

/// Reads as the tool does: the kernel is asked to acknowledge at once.
fn read(socket: &mut TcpStream, bytes: &mut [u8]) -> Option<usize> {
    #[cfg(target_os = "linux")]
    // Only speed depends on it.
    let _ = SockRef::from(&*socket).set_tcp_quickack(true);
    socket.read(bytes).ok()
}
