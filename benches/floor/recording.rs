//! A proxy that writes down what passes through it, in one order over all connections.

use std::fmt;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use anyhow::Result;

/// What happened on a connection.
pub enum Event {
    /// The client opened it.
    Opened,
    /// The client wrote this.
    Sent(Vec<u8>),
    /// The broker had written so many bytes.
    Received(usize),
    /// The broker ended it.
    Ended,
    /// The client closed it, or its half of it.
    Closed,
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::Opened => f.write_str("opened by the client"),
            Event::Sent(bytes) => write!(f, "sent {}", bytes.escape_ascii()),
            Event::Received(count) => write!(f, "received {count} bytes"),
            Event::Ended => f.write_str("ended by the broker"),
            Event::Closed => f.write_str("closed by the client"),
        }
    }
}

/// What a run of the tool did on the wire.
#[derive(Default)]
pub struct Recording {
    /// By the number of the connection, in the order in which all of it happened.
    pub events: Vec<(usize, Event)>,
    pub connections: usize,
}

impl Recording {
    pub fn describe(&self) -> String {
        let (mut sent, mut received) = (0, 0);
        for (_, event) in &self.events {
            match event {
                Event::Sent(bytes) => sent += bytes.len(),
                Event::Received(count) => received += count,
                Event::Opened | Event::Ended | Event::Closed => {}
            }
        }
        format!("{} connections, {sent} bytes to the broker, {received} bytes from it", self.connections)
    }

    /// Consecutive arrivals on one connection are one.
    fn note(&mut self, connection: usize, event: Event) {
        if let Event::Received(more) = event
            && let Some((last, Event::Received(so_far))) = self.events.last_mut()
            && *last == connection
        {
            *so_far += more;
            return;
        }
        self.events.push((connection, event));
    }
}

type Shared = Arc<Mutex<Recording>>;

/// Each event is written down before its bytes go on, so that nothing stands before what caused it.
fn note(recording: &Shared, connection: usize, event: Event) {
    recording.lock().unwrap_or_else(PoisonError::into_inner).note(connection, event);
}

/// Records what `client` does with the broker, which it reaches through the address that it is given.
///
/// # Errors
/// The client's, or that no proxy can be started.
pub fn record(broker: SocketAddr, client: impl FnOnce(SocketAddr) -> Result<()>) -> Result<Recording> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let address = listener.local_addr()?;
    let recording = Shared::default();
    let over = Arc::new(AtomicBool::new(false));
    let proxy = thread::spawn({
        let (recording, over) = (recording.clone(), over.clone());
        move || serve(&listener, broker, &recording, &over)
    });
    let outcome = client(address);
    over.store(true, Ordering::Relaxed);
    // The proxy sees that it is over when it has one more connection.
    drop(TcpStream::connect(address)?);
    for pipe in proxy.join().expect("the proxy does not panic") {
        pipe.join().expect("a pipe does not panic");
    }
    outcome?;
    Ok(std::mem::take(&mut *recording.lock().unwrap_or_else(PoisonError::into_inner)))
}

fn serve(listener: &TcpListener, broker: SocketAddr, recording: &Shared, over: &AtomicBool) -> Vec<JoinHandle<()>> {
    let mut pipes = Vec::new();
    for (connection, client) in listener.incoming().flatten().enumerate() {
        if over.load(Ordering::Relaxed) {
            break;
        }
        recording.lock().unwrap_or_else(PoisonError::into_inner).connections += 1;
        note(recording, connection, Event::Opened);
        // Where the broker refuses, the client sees a close, and the recording is not worth much.
        let Ok(server) = TcpStream::connect(broker) else { continue };
        let (Ok(client_reader), Ok(server_reader)) = (client.try_clone(), server.try_clone()) else { continue };
        pipes.push(pipe(client_reader, server, recording.clone(), connection, Side::Client));
        pipes.push(pipe(server_reader, client, recording.clone(), connection, Side::Broker));
    }
    pipes
}

/// Who writes into a pipe.
#[derive(Clone, Copy)]
enum Side {
    Client,
    Broker,
}

fn pipe(mut from: TcpStream, mut to: TcpStream, recording: Shared, connection: usize, side: Side) -> JoinHandle<()> {
    thread::spawn(move || {
        // Both only for speed: small packets shall not wait for each other.
        let _ = to.set_nodelay(true);
        let mut bytes = [0; 4096];
        loop {
            #[cfg(target_os = "linux")]
            let _ = socket2::SockRef::from(&from).set_tcp_quickack(true);
            let count = from.read(&mut bytes).unwrap_or(0);
            let event = match (count, side) {
                (0, Side::Client) => Event::Closed,
                (0, Side::Broker) => Event::Ended,
                (_, Side::Client) => Event::Sent(bytes[..count].to_vec()),
                (_, Side::Broker) => Event::Received(count),
            };
            note(&recording, connection, event);
            // What the other side no longer takes is recorded all the same: it was sent.
            let _ = if count == 0 { to.shutdown(Shutdown::Write) } else { to.write_all(&bytes[..count]) };
            if count == 0 {
                return;
            }
        }
    })
}
