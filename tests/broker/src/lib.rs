//! A small MQTT broker, 3.1.1 and 5.0 on one listener: correct, or lying in exactly one way.
//!
//! `state` knows sessions and messages, `rules` decides, `session` delivers, and this file and `link` carry bytes. Only
//! tokio's time is used, so that paused time makes every wait free.

pub mod cases;
pub mod choices;
pub mod client;
mod defect;
pub mod keeping;
mod link;
mod malformed;
pub mod measured;
mod nodes;
pub mod random;
mod rules;
mod session;
mod state;
mod topics;

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mqtt_sessions::connection::{Endpoint, encode};
use mqtt_sessions::packet::{Connect, Packet};
use tokio::io::DuplexStream;
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

pub use choices::Choices;
pub use defect::{Defect, Way};

use nodes::Node;
pub use nodes::Sharing;
use rules::Rules;
use state::{Effect, Link, State, Wake};

/// The bytes that a pipe inside the process holds.
const PIPE_BYTES: usize = 64 * 1024;

/// A broker. Clones are handles of the same one.
#[derive(Clone)]
pub struct Broker {
    shared: Arc<Mutex<Shared>>,
    choices: Arc<Choices>,
    /// The node of a cluster that this handle is.
    node: Option<Node>,
}

struct Shared {
    state: State,
    /// Where each open connection takes what is to be written. Without it the connection closes.
    outgoing: HashMap<Link, UnboundedSender<Vec<u8>>>,
    last_link: Link,
}

impl Broker {
    /// The correct broker.
    pub fn correct() -> Broker {
        Broker::new(Choices::default(), None)
    }

    /// A correct broker with habits of its own.
    pub fn choosing(choices: Choices) -> Broker {
        Broker::new(choices, None)
    }

    /// A broker with one lie.
    pub fn lying(defect: Defect) -> Broker {
        Broker::new(defect.choices(), Some(defect))
    }

    pub fn new(choices: Choices, defect: Option<Defect>) -> Broker {
        let state = State::new(Rules::new(choices.clone(), defect));
        let shared = Shared { state, outgoing: HashMap::new(), last_link: 0 };
        Broker { shared: Arc::new(Mutex::new(shared)), choices: Arc::new(choices), node: None }
    }

    /// Serves this process over pipes. To be opened inside a tokio runtime.
    pub fn endpoint(&self) -> Endpoint {
        let broker = self.clone();
        Endpoint::in_process(Arc::new(move || broker.pipe()))
    }

    /// A pipe to a new connection.
    pub fn pipe(&self) -> DuplexStream {
        let (theirs, ours) = tokio::io::duplex(PIPE_BYTES);
        tokio::spawn(link::serve(self.clone(), ours));
        theirs
    }

    /// Serves TCP on a free port of 127.0.0.1, until the runtime ends or the task is aborted.
    ///
    /// # Errors
    /// The operating system's.
    pub async fn listen(&self) -> io::Result<(SocketAddr, JoinHandle<()>)> {
        self.listen_on(0).await
    }

    /// As [`Broker::listen`], on this port of 127.0.0.1.
    ///
    /// # Errors
    /// The operating system's.
    pub async fn listen_on(&self, port: u16) -> io::Result<(SocketAddr, JoinHandle<()>)> {
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        let address = listener.local_addr()?;
        let broker = self.clone();
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // Only speed depends on it.
                let _ = stream.set_nodelay(true);
                tokio::spawn(link::serve(broker.clone(), stream));
            }
        });
        Ok((address, accepting))
    }

    /// The client ids of the sessions that are there.
    pub fn sessions(&self) -> Vec<String> {
        self.shared.lock().unwrap().state.session_ids()
    }

    /// The topics that hold a retained message.
    pub fn retained(&self) -> Vec<String> {
        self.shared.lock().unwrap().state.retained_topics()
    }

    /// Opens a connection: its number, and what is to be written to it until it ends.
    fn open(&self) -> (Link, UnboundedReceiver<Vec<u8>>) {
        let mut shared = self.shared.lock().unwrap();
        let (sender, outgoing) = unbounded_channel();
        shared.last_link += 1;
        let link = shared.last_link;
        shared.outgoing.insert(link, sender);
        (link, outgoing)
    }

    fn handle(&self, link: Link, packet: Packet) {
        let packet = match &self.node {
            Some(node) => node.passed_on(link, packet),
            None => packet,
        };
        self.act(|state, now| state.handle(now, link, packet));
    }

    /// The client can hear no answer any more, although packets of it are still to be handled.
    fn cut_off(&self, link: Link) {
        self.shared.lock().unwrap().state.cut_off(link);
    }

    fn is_dead(&self) -> bool {
        self.shared.lock().unwrap().state.is_dead()
    }

    fn refuse_version(&self, link: Link) {
        self.act(|state, _| state.refuse_version(link));
    }

    fn ended(&self, link: Link) {
        self.node.iter().for_each(|node| node.ended(link));
        self.act(|state, now| state.ended(now, link));
    }

    fn silence_allowed(&self, connect: &Connect) -> Option<Duration> {
        let shared = self.shared.lock().unwrap();
        let rules = shared.state.rules();
        rules.silence_allowed(rules.keep_alive(connect.protocol, connect.keep_alive))
    }

    fn notices_breaks(&self) -> bool {
        self.shared.lock().unwrap().state.rules().notices_breaks()
    }

    fn wake(&self, link: Link, wake: Wake) {
        self.act(|state, now| state.wake(now, link, wake));
    }

    /// Decides and performs under one lock, so that packets leave in the order in which they were decided.
    fn act(&self, decide: impl FnOnce(&mut State, Instant) -> Vec<Effect>) {
        let mut shared = self.shared.lock().unwrap();
        let effects = decide(&mut shared.state, Instant::now());
        for effect in effects {
            match effect {
                Effect::Send(link, protocol, packet) => {
                    let bytes = shared.state.malformed(protocol, &packet).unwrap_or_else(|| {
                        let mut bytes = Vec::new();
                        encode::encode(protocol, &packet, &mut bytes).expect("what was read can be written");
                        bytes
                    });
                    if let Some(outgoing) = shared.outgoing.get(&link) {
                        // A connection that is gone reads no more.
                        let _ = outgoing.send(bytes);
                    }
                }
                Effect::Close(link) => drop(shared.outgoing.remove(&link)),
                Effect::WakeAfter(delay, link, wake) => {
                    let broker = self.clone();
                    tokio::spawn(async move {
                        sleep(delay).await;
                        broker.wake(link, wake);
                    });
                }
            }
        }
    }
}
