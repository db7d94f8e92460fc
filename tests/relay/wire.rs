//! A relay of the test's own between the program and a broker. It cuts frames by itself, writes every one of them down, and
//! can delay, hold, change or lose them.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

/// Everything that went over one connection.
#[derive(Default)]
pub struct Tap {
    pub v5: bool,
    pub client_id: String,
    pub to_broker: Vec<Vec<u8>>,
    /// What the broker had of a frame whose rest never came.
    pub unfinished: Vec<u8>,
    pub from_broker: Vec<Vec<u8>>,
}

/// A connection of the relay's, which may still be open.
pub type SharedTap = Arc<Mutex<Tap>>;

/// A frame under way, and whose it is.
pub struct Passing<'a> {
    pub client_id: &'a str,
    pub from_broker: bool,
    pub frame: &'a [u8],
}

/// What the relay does with a frame.
pub enum Fate {
    Pass,
    /// It comes later, and so does all behind it.
    Delay(Duration),
    /// It comes later, and what is behind it does not wait.
    Hold(Duration),
    Change(Vec<u8>),
    /// The connection ends in its place.
    Close,
    /// All connections end, and nobody listens any more.
    Die,
    /// Nothing passes any more, on no connection.
    FallSilent,
}

type Decide = dyn Fn(&Passing<'_>) -> Fate + Send + Sync;

/// A relay that runs until the tests end.
pub struct Relay {
    pub address: SocketAddr,
    taps: Arc<Mutex<Vec<SharedTap>>>,
}

struct Shared {
    broker: SocketAddr,
    decide: Box<Decide>,
    taps: Arc<Mutex<Vec<SharedTap>>>,
    /// 0 while all is well, 1 once the broker is dead, 2 once it is silent.
    state: watch::Sender<u8>,
}

impl Relay {
    /// Starts a relay before this broker.
    pub fn start(broker: SocketAddr, decide: impl Fn(&Passing<'_>) -> Fate + Send + Sync + 'static) -> Relay {
        let taps = Arc::new(Mutex::new(Vec::new()));
        let (state, _) = watch::channel(0);
        let shared = Arc::new(Shared { broker, decide: Box::new(decide), taps: taps.clone(), state });
        let (ready, address) = mpsc::channel();
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                ready.send(listener.local_addr().unwrap()).unwrap();
                let mut state = shared.state.subscribe();
                let accepting = shared.clone();
                tokio::select! {
                    () = async move {
                        while let Ok((client, _)) = listener.accept().await {
                            tokio::spawn(accepting.clone().carry(client));
                        }
                    } => {}
                    _ = state.wait_for(|state| *state == 1) => {}
                }
                // The connections that are open end by themselves.
                std::future::pending::<()>().await;
            });
        });
        Relay { address: address.recv().unwrap(), taps }
    }

    /// What went over each connection, in the order in which their CONNECTs came.
    pub fn taps(&self) -> Vec<SharedTap> {
        self.taps.lock().unwrap().clone()
    }
}

impl Shared {
    async fn carry(self: Arc<Self>, client: TcpStream) {
        let Ok(broker) = TcpStream::connect(self.broker).await else { return };
        // Only speed depends on it.
        let _ = client.set_nodelay(true).and(broker.set_nodelay(true));
        let tap = Arc::new(Mutex::new(Tap::default()));
        let ((from_client, to_client), (from_broker, to_broker)) = (client.into_split(), broker.into_split());
        let (forth, forth_out) = unbounded_channel();
        let (back, back_out) = unbounded_channel();
        let mut state = self.state.subscribe();
        let moved = async {
            tokio::join!(
                self.read(from_client, forth, tap.clone(), false),
                write(to_broker, forth_out, None),
                self.read(from_broker, back, tap.clone(), true),
                write(to_client, back_out, Some(tap.clone())),
            )
        };
        tokio::select! {
            _ = moved => {}
            _ = state.wait_for(|state| *state == 1) => {}
        }
    }

    async fn read(&self, mut stream: OwnedReadHalf, out: UnboundedSender<Out>, tap: SharedTap, from_broker: bool) {
        let mut buffer = Vec::new();
        let mut bytes = [0; 4096];
        let mut free_at = Instant::now();
        loop {
            let read = stream.read(&mut bytes).await;
            match read {
                Ok(0) | Err(_) => break drop(out.send(Out::End { reset: read.is_err(), rest: buffer })),
                Ok(count) => buffer.extend_from_slice(&bytes[..count]),
            }
            while let Some(length) = frame_length(&buffer) {
                let frame: Vec<u8> = buffer.drain(..length).collect();
                if !from_broker {
                    let mut noted = tap.lock().unwrap();
                    if frame[0] >> 4 == 1 {
                        (noted.v5, noted.client_id) = of_connect(&frame);
                        self.taps.lock().unwrap().push(tap.clone());
                    }
                    noted.to_broker.push(frame.clone());
                }
                if *self.state.borrow() == 2 {
                    continue;
                }
                let client_id = tap.lock().unwrap().client_id.clone();
                let fate = (self.decide)(&Passing { client_id: &client_id, from_broker, frame: &frame });
                let now = Instant::now();
                let at = match &fate {
                    Fate::Delay(by) => (now + *by).max(free_at),
                    _ => now.max(free_at),
                };
                let sent = match fate {
                    Fate::Pass => out.send(Out::Frame(at, frame)),
                    Fate::Delay(_) => {
                        free_at = at;
                        out.send(Out::Frame(at, frame))
                    }
                    Fate::Change(other) => out.send(Out::Frame(at, other)),
                    Fate::Hold(by) => {
                        let out = out.clone();
                        tokio::spawn(async move {
                            sleep(by).await;
                            // The connection may be over by then.
                            let _ = out.send(Out::Frame(Instant::now(), frame));
                        });
                        Ok(())
                    }
                    Fate::Close => return drop(out.send(Out::End { reset: false, rest: Vec::new() })),
                    Fate::Die => return self.state.send_modify(|state| *state = 1),
                    Fate::FallSilent => {
                        self.state.send_modify(|state| *state = 2);
                        Ok(())
                    }
                };
                if sent.is_err() {
                    return;
                }
            }
            if !from_broker {
                tap.lock().unwrap().unfinished.clone_from(&buffer);
            }
        }
    }
}

enum Out {
    /// With the time at which it goes out.
    Frame(Instant, Vec<u8>),
    /// What stands before it goes out first.
    End { reset: bool, rest: Vec<u8> },
}

async fn write(mut stream: OwnedWriteHalf, mut out: UnboundedReceiver<Out>, tap: Option<SharedTap>) {
    let mut last = Instant::now();
    while let Some(out) = out.recv().await {
        match out {
            Out::Frame(at, frame) => {
                last = at;
                sleep_until(at).await;
                if let Some(tap) = &tap {
                    tap.lock().unwrap().from_broker.push(frame.clone());
                }
                if stream.write_all(&frame).await.is_err() {
                    return;
                }
            }
            Out::End { reset, rest } => {
                sleep_until(last).await;
                let _ = stream.write_all(&rest).await;
                if reset {
                    let _ = socket2::SockRef::from(stream.as_ref()).set_linger(Some(Duration::ZERO));
                    return;
                }
                let _ = stream.shutdown().await;
                return;
            }
        }
    }
}

/// How long the frame at the head of the buffer is, if it is there as a whole.
fn frame_length(buffer: &[u8]) -> Option<usize> {
    let mut length = 0;
    for (place, byte) in buffer.iter().skip(1).take(4).enumerate() {
        length += usize::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Some(2 + place + length).filter(|whole| *whole <= buffer.len());
        }
    }
    None
}

/// What stands behind the fixed header.
pub fn body(frame: &[u8]) -> &[u8] {
    let length_bytes = frame[1..].iter().take_while(|byte| **byte & 0x80 != 0).count() + 1;
    &frame[1 + length_bytes..]
}

/// A string with its two length bytes, and what stands behind it.
pub fn string(bytes: &[u8]) -> (&[u8], &[u8]) {
    let length = usize::from(u16::from_be_bytes([bytes[0], bytes[1]]));
    bytes[2..].split_at(length)
}

/// Whether it is 5.0, and the client identifier.
fn of_connect(frame: &[u8]) -> (bool, String) {
    let (_, rest) = string(body(frame));
    let v5 = rest[0] == 5;
    let rest = &rest[4..];
    // The properties of these CONNECTs are shorter than 128 bytes.
    let rest = if v5 { &rest[1 + usize::from(rest[0])..] } else { rest };
    (v5, String::from_utf8_lossy(string(rest).0).into_owned())
}

/// A delay between these, in milliseconds, that looks random and is the same in each run.
pub fn jitter(from: u64, to: u64) -> Duration {
    static STATE: AtomicU64 = AtomicU64::new(0x9e37_79b9_7f4a_7c15);
    let mut number = STATE.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
    number = (number ^ number >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    Duration::from_millis(from + (number ^ number >> 31) % (to - from + 1))
}
