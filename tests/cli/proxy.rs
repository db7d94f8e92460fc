//! A proxy before the test broker that decides the fate of each packet that a client sends.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread;

use mqtt_sessions::connection::decode::decode;
use mqtt_sessions::connection::frame::{FRAME_BYTES_MAX, Head, head};
use mqtt_sessions::packet::{Packet, Protocol};

use crate::peers::{serve, url};
use crate::support::broker::Broker;

/// What becomes of a packet.
pub enum Fate {
    Pass,
    /// It never reaches the broker.
    Swallow,
    /// The proxy answers in the broker's place.
    Answer(Vec<u8>),
    /// Its connection ends.
    Close,
    /// All connections end, and the proxy answers no more.
    Die(Afterwards),
}

/// What a dead proxy does to new connections.
#[derive(Clone, Copy)]
pub enum Afterwards {
    Refuse,
    AcceptAndClose,
}

type Decide = dyn Fn(Protocol, &Packet) -> Fate + Send + Sync;

struct Proxy {
    broker: SocketAddr,
    address: SocketAddr,
    decide: Box<Decide>,
    /// Both ends of the connections that are carried, by the port of the client.
    open: Mutex<HashMap<u16, [TcpStream; 2]>>,
    dead: AtomicBool,
    refuses: AtomicBool,
}

/// The URL of a proxy before this broker.
pub fn proxy(broker: &Broker, decide: impl Fn(Protocol, &Packet) -> Fate + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let proxy = Arc::new(Proxy {
        broker: serve(broker),
        address,
        decide: Box::new(decide),
        open: Mutex::default(),
        dead: AtomicBool::new(false),
        refuses: AtomicBool::new(false),
    });
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            if proxy.refuses.load(SeqCst) {
                // With the listener gone, nothing listens there any more.
                return;
            }
            let proxy = proxy.clone();
            thread::spawn(move || proxy.carry(stream));
        }
    });
    url(address)
}

impl Proxy {
    /// Carries packets between one client and the broker.
    fn carry(&self, client: TcpStream) {
        let server = TcpStream::connect(self.broker).unwrap();
        // Only speed depends on it.
        let _ = client.set_nodelay(true).and(server.set_nodelay(true));
        let to_client = Arc::new(Mutex::new(client.try_clone().unwrap()));
        let Ok(port) = client.peer_addr().map(|peer| peer.port()) else { return };
        {
            let mut open = self.open.lock().unwrap();
            if self.dead.load(SeqCst) {
                return;
            }
            open.insert(port, [client.try_clone().unwrap(), server.try_clone().unwrap()]);
        }
        let (from_server, answers) = (server.try_clone().unwrap(), to_client.clone());
        thread::spawn(move || {
            each_frame(from_server, |frame| write(&answers, &frame));
            // The client may have gone first.
            let _ = answers.lock().unwrap().shutdown(Shutdown::Both);
        });
        let mut protocol = Protocol::V3;
        each_frame(client, |frame| {
            if frame[0] >> 4 == 1 {
                // The protocol level stands behind the fixed header of two or three bytes and the name.
                let body = 2 + usize::from(frame[1] & 0x80 != 0);
                protocol = if frame[body + 6] == 5 { Protocol::V5 } else { Protocol::V3 };
            }
            let packet = decode(protocol, &frame).expect("the program sends packets");
            match (self.decide)(protocol, &packet) {
                Fate::Pass => (&server).write_all(&frame).is_ok(),
                Fate::Swallow => true,
                Fate::Answer(bytes) => write(&to_client, &bytes),
                Fate::Close => {
                    let _ = to_client.lock().unwrap().shutdown(Shutdown::Both);
                    false
                }
                Fate::Die(afterwards) => {
                    self.die(afterwards);
                    false
                }
            }
        });
        let _ = server.shutdown(Shutdown::Write);
        self.open.lock().unwrap().remove(&port);
    }

    fn die(&self, afterwards: Afterwards) {
        let open = std::mem::take(&mut *self.open.lock().unwrap());
        self.dead.store(true, SeqCst);
        if matches!(afterwards, Afterwards::Refuse) {
            self.refuses.store(true, SeqCst);
            // The listener waits in accept, and closes only when that returns. Whoever is cut off must not find it open.
            while TcpStream::connect(self.address).is_ok() {}
        }
        for stream in open.into_values().flatten() {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

fn write(stream: &Mutex<TcpStream>, bytes: &[u8]) -> bool {
    stream.lock().unwrap().write_all(bytes).is_ok()
}

/// Takes whole packets from a stream until it ends or enough is taken.
fn each_frame(mut stream: TcpStream, mut take: impl FnMut(Vec<u8>) -> bool) {
    let mut buffer = Vec::new();
    let mut bytes = [0; 4096];
    loop {
        while let Head::Frame(length) = head(&buffer, FRAME_BYTES_MAX) {
            if !take(buffer.drain(..length).collect()) {
                return;
            }
        }
        match stream.read(&mut bytes) {
            Ok(0) | Err(_) => return,
            Ok(count) => buffer.extend_from_slice(&bytes[..count]),
        }
    }
}

/// Whether this is a topic of an experiment, and no fence's.
pub fn is_experiment(topic: &str) -> bool {
    topic.ends_with("/t")
}
