//! Who may be at the other end: the test broker over TCP, and listeners that are no brokers.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use test_broker::Broker;

/// A CONNECT as a listener reads it: at least its fixed header.
const CONNECT_BYTES: usize = 512;
/// How long a broker may take to notice that a connection has ended.
const PATIENCE: Duration = Duration::from_secs(10);

/// Serves this broker over TCP until the tests end.
pub fn serve(broker: &Broker) -> SocketAddr {
    // Each connection takes a file here too, and all tests are one process.
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    let (ready, address) = mpsc::channel();
    let broker = broker.clone();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (address, serving) = broker.listen().await.unwrap();
            ready.send(address).unwrap();
            serving.await.unwrap();
        });
    });
    address.recv().unwrap()
}

pub fn url(address: SocketAddr) -> String {
    format!("mqtt://{address}")
}

/// The correct broker.
pub fn correct() -> String {
    url(serve(&Broker::correct()))
}

/// The broker has no session and no retained message, as soon as it has read all that was sent to it.
#[track_caller]
pub fn assert_nothing_left(broker: &Broker) {
    let started = Instant::now();
    loop {
        match (broker.sessions(), broker.retained()) {
            (sessions, retained) if sessions.is_empty() && retained.is_empty() => return,
            (sessions, retained) if started.elapsed() > PATIENCE => panic!("left: {sessions:?} {retained:?}"),
            _ => thread::sleep(Duration::from_millis(5)),
        }
    }
}

/// A listener that treats each connection in this way.
pub fn listener(treat: impl Fn(TcpStream) + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let treat = std::sync::Arc::new(treat);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let treat = treat.clone();
            thread::spawn(move || treat(stream));
        }
    });
    url(address)
}

/// Reads the CONNECT, answers with these bytes, and then closes, or keeps the connection open until the client ends it.
pub fn answering(bytes: &'static [u8], closes: bool) -> String {
    listener(move |mut stream| {
        read_connect(&mut stream);
        // A client that went away needs no answer.
        let _ = stream.write_all(bytes);
        if !closes {
            wait_for_end(stream);
        }
    })
}

/// Reads what the client says first.
pub fn read_connect(stream: &mut TcpStream) -> Vec<u8> {
    let mut connect = vec![0; CONNECT_BYTES];
    let count = stream.read(&mut connect).unwrap_or(0);
    connect.truncate(count);
    connect
}

/// Reads until the client ends the connection.
pub fn wait_for_end(mut stream: TcpStream) {
    let mut bytes = [0; 512];
    while stream.read(&mut bytes).is_ok_and(|count| count > 0) {}
}

/// A listener that nobody may connect to.
pub struct Untouched(TcpListener);

impl Untouched {
    pub fn new() -> Untouched {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        Untouched(listener)
    }

    pub fn url(&self) -> String {
        url(self.0.local_addr().unwrap())
    }

    /// Nothing was measured yet: nobody has connected.
    #[track_caller]
    pub fn assert_untouched(&self) {
        let accepted = self.0.accept();
        assert!(accepted.is_err_and(|error| error.kind() == ErrorKind::WouldBlock), "the broker was touched before");
    }
}
