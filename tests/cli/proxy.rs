//! A proxy before the test broker that decides the fate of each packet that a client sends.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use mqtt_sessions::connection::decode::decode;
use mqtt_sessions::connection::frame::{FRAME_BYTES_MAX, Head, head};
use mqtt_sessions::packet::{Connect, Packet, Protocol};
use socket2::SockRef;

use crate::peers::{serve, url};
use test_broker::Broker;

/// What becomes of a packet.
pub enum Fate {
    Pass,
    /// It never reaches the broker.
    Swallow,
    /// The proxy answers in the broker's place.
    Answer(Vec<u8>),
    /// Its connection ends.
    Close,
    /// What the client gets from now on comes from somebody else, until that one has enough; then its connection ends.
    HandOver(Box<dyn FnOnce(&mut TcpStream) -> Parting>),
    /// All connections end, and the proxy answers no more.
    Die(Afterwards),
}

/// How a connection ends that was handed over.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Parting {
    Fin,
    Reset,
}

/// What a dead proxy does to new connections.
#[derive(Clone, Copy)]
pub enum Afterwards {
    Refuse,
    AcceptAndClose,
}

type Decide = dyn Fn(&Connect, &Packet) -> Fate + Send + Sync;

struct Proxy {
    broker: SocketAddr,
    address: SocketAddr,
    decide: Box<Decide>,
    /// Both ends of each connection that is carried, by its number.
    open: Mutex<HashMap<u64, [TcpStream; 2]>>,
    carried: AtomicU64,
    dead: AtomicBool,
    refuses: AtomicBool,
}

/// The URL of a proxy before this broker, which decides by the version and the packet.
pub fn proxy(broker: &Broker, decide: impl Fn(Protocol, &Packet) -> Fate + Send + Sync + 'static) -> String {
    proxy_by_client(broker, move |connect, packet| decide(connect.protocol, packet))
}

/// The URL of a proxy before this broker, which decides by the CONNECT of the connection and the packet.
pub fn proxy_by_client(broker: &Broker, decide: impl Fn(&Connect, &Packet) -> Fate + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let proxy = Arc::new(Proxy {
        broker: serve(broker),
        address,
        decide: Box::new(decide),
        open: Mutex::default(),
        carried: AtomicU64::new(0),
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
        let number = self.carried.fetch_add(1, SeqCst);
        // Only speed depends on it.
        let _ = client.set_nodelay(true).and(server.set_nodelay(true));
        let to_client = Arc::new(Mutex::new(client.try_clone().unwrap()));
        {
            let mut open = self.open.lock().unwrap();
            if self.dead.load(SeqCst) {
                return;
            }
            open.insert(number, [client.try_clone().unwrap(), server.try_clone().unwrap()]);
        }
        let is_reset = Arc::new(AtomicBool::new(false));
        let (from_server, answers, resets) = (server.try_clone().unwrap(), to_client.clone(), is_reset.clone());
        thread::spawn(move || {
            each_frame(from_server, |frame| write(&answers, &frame));
            if !resets.load(SeqCst) {
                // The client may have gone first.
                let _ = answers.lock().unwrap().shutdown(Shutdown::Both);
            }
        });
        let mut connect = Connect::new(Protocol::V3, "");
        each_frame(client, |frame| {
            let mut protocol = connect.protocol;
            if frame[0] >> 4 == 1 {
                // The protocol level stands behind the fixed header, whose length has one to four bytes, and the name.
                let body = 2 + frame[1..].iter().take_while(|byte| **byte & 0x80 != 0).count();
                protocol = if frame[body + 6] == 5 { Protocol::V5 } else { Protocol::V3 };
            }
            let packet = decode(protocol, &frame).expect("the program sends packets");
            if let Packet::Connect(own) = &packet {
                connect = Connect { protocol, ..own.clone() };
            }
            match (self.decide)(&connect, &packet) {
                Fate::Pass => (&server).write_all(&frame).is_ok(),
                Fate::Swallow => true,
                Fate::Answer(bytes) => write(&to_client, &bytes),
                Fate::Close => {
                    let _ = to_client.lock().unwrap().shutdown(Shutdown::Both);
                    false
                }
                Fate::HandOver(take) => {
                    // While it holds the lock, nothing of the broker's gets through.
                    let mut stream = to_client.lock().unwrap();
                    match take(&mut stream) {
                        Parting::Fin => drop(stream.shutdown(Shutdown::Both)),
                        Parting::Reset => {
                            // It is reset when the last handle is dropped.
                            is_reset.store(true, SeqCst);
                            let _ = SockRef::from(&*stream).set_linger(Some(Duration::ZERO));
                        }
                    }
                    false
                }
                Fate::Die(afterwards) => {
                    self.die(afterwards);
                    false
                }
            }
        });
        self.open.lock().unwrap().remove(&number);
        let _ = server.shutdown(Shutdown::Write);
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
