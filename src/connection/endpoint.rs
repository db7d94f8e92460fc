//! Where a broker can be reached, and by which transport.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use tokio::io::DuplexStream;
use tokio::net::{TcpSocket, TcpStream, UnixStream};
use tokio::task::JoinSet;
use tokio::time::error::Elapsed;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::carrier::Carrier;
use super::not_opened::{CHECK_PLACE, NotOpened};
use super::socket::Socket;
use super::stream::Stream;
use super::tls::Tls;
use super::websocket::WebSocket;
use super::websocket::upgrade::{Resource, upgrade};

/// How long an address may take to answer before the next one is tried beside it (RFC 8305, section 5).
const NEXT_ADDRESS: Duration = Duration::from_millis(250);
/// How long a broker is given to accept connections to its Unix socket, if too many wait.
const ACCEPTING: Duration = Duration::from_millis(2);

/// Where a broker can be reached. Clones share what was learned about its addresses.
#[derive(Clone)]
pub struct Endpoint {
    place: Place,
    pub tls: Option<Tls>,
    pub websocket: Option<Arc<Resource>>,
    /// The passwords of all logins, which are not to be shown where the peer sends one back.
    pub secrets: Arc<[Vec<u8>]>,
}

#[derive(Clone)]
enum Place {
    /// Tried in this order, as a name may have several addresses, beginning with the one that answered last.
    Tcp {
        addresses: Arc<[SocketAddr]>,
        first: Arc<AtomicUsize>,
        /// The own addresses from which connections come, in turn; none leaves it to the operating system.
        sources: Arc<[IpAddr]>,
        opened: Arc<AtomicUsize>,
    },
    Unix(PathBuf),
    /// A broker in this process, which makes a new pipe at each call.
    InProcess(Arc<dyn Fn() -> DuplexStream + Send + Sync>),
}

impl Endpoint {
    /// Plain TCP.
    pub fn tcp(addresses: impl Into<Arc<[SocketAddr]>>) -> Endpoint {
        let (addresses, sources) = (addresses.into(), Arc::new([]));
        Endpoint::at(Place::Tcp { addresses, first: Arc::default(), sources, opened: Arc::default() })
    }

    /// The same place, reached from these addresses of this machine in turn, each of which has ports of its own. Only TCP knows
    /// such a thing.
    #[must_use]
    pub fn from_sources(mut self, from: &[IpAddr]) -> Endpoint {
        if let Place::Tcp { sources, .. } = &mut self.place {
            *sources = from.into();
        }
        self
    }

    /// A Unix socket.
    pub fn unix(path: PathBuf) -> Endpoint {
        Endpoint::at(Place::Unix(path))
    }

    /// A broker in this process, which makes a new pipe at each call.
    pub fn in_process(open: Arc<dyn Fn() -> DuplexStream + Send + Sync>) -> Endpoint {
        Endpoint::at(Place::InProcess(open))
    }

    fn at(place: Place) -> Endpoint {
        Endpoint { place, tls: None, websocket: None, secrets: Arc::default() }
    }

    /// Opens a stream to the broker.
    ///
    /// # Errors
    /// [`NotOpened`]; of the last address that was tried, or because the time was over.
    pub async fn open(&self, time: Duration) -> Result<Stream, NotOpened> {
        let deadline = Instant::now() + time;
        let too_late = |what, cure| move |_: Elapsed| NotOpened::too_late(what, time, cure);
        let late = too_late("no connection", CHECK_PLACE);
        let socket = timeout_at(deadline, self.place.open()).await.map_err(late)??;
        let mut carrier = match &self.tls {
            None => Carrier::Plain(socket),
            Some(tls) => {
                let late =
                    too_late("no end of the TLS handshake", "write mqtt:// or ws:// where the port speaks no TLS");
                Carrier::Tls(Box::new(timeout_at(deadline, tls.handshake(socket)).await.map_err(late)??))
            }
        };
        let Some(resource) = &self.websocket else { return Ok(Stream::Bytes(carrier)) };
        let late = too_late("no answer to the WebSocket upgrade", "give the port of MQTT over WebSocket");
        let early = timeout_at(deadline, upgrade(&mut carrier, resource)).await.map_err(late)??;
        Ok(Stream::WebSocket(Box::new(WebSocket::new(carrier, early))))
    }

    /// True if a connection comes about only by answers of the broker, or of the proxy before it, and not of its operating system alone.
    pub fn has_handshake(&self) -> bool {
        self.tls.is_some() || self.websocket.is_some()
    }

    /// The addresses of the broker in the order of the resolver; none where it is not reached by TCP.
    pub fn addresses(&self) -> &[SocketAddr] {
        match &self.place {
            Place::Tcp { addresses, .. } => addresses,
            Place::Unix(_) | Place::InProcess(_) => &[],
        }
    }

    /// Whether the broker is on this machine.
    pub fn is_loopback(&self) -> bool {
        match &self.place {
            Place::Unix(_) | Place::InProcess(_) => true,
            Place::Tcp { addresses, .. } => addresses.iter().all(|address| address.ip().is_loopback()),
        }
    }

    /// The address, where the broker speaks MQTT over nothing but TCP.
    pub fn plain_tcp(&self) -> Option<SocketAddr> {
        match &self.place {
            Place::Tcp { addresses, first, .. } if self.tls.is_none() && self.websocket.is_none() => {
                addresses.get(first.load(Relaxed)).copied()
            }
            _ => None,
        }
    }
}

impl Place {
    async fn open(&self) -> Result<Socket, NotOpened> {
        match self {
            Place::InProcess(open) => Ok(Socket::InProcess(open())),
            Place::Unix(path) => Ok(Socket::Unix(connect_unix(path).await?)),
            Place::Tcp { addresses, first, sources, opened } => {
                let turn = opened.fetch_add(1, Relaxed);
                let source = sources.get(turn.checked_rem(sources.len()).unwrap_or(0)).copied();
                let (found, stream) = connect(addresses, first.load(Relaxed), source).await?;
                // A dead address is waited for once, and all connections lead to one place.
                first.store(found, Relaxed);
                Ok(Socket::tcp(stream)?)
            }
        }
    }
}

/// Connects to a Unix socket. Where too many wait to be accepted the kernel refuses, and tells nobody when it would not.
async fn connect_unix(path: &Path) -> Result<UnixStream, NotOpened> {
    loop {
        match UnixStream::connect(path).await {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => sleep(ACCEPTING).await,
            connected => return connected.map_err(|error| no_socket(&error)),
        }
    }
}

fn no_socket(error: &io::Error) -> NotOpened {
    let how = match error.kind() {
        io::ErrorKind::ConnectionRefused => "nothing listens there (connection refused)".into(),
        io::ErrorKind::NotFound => "there is no such socket".into(),
        _ => error.to_string(),
    };
    NotOpened::new(how, "check the path, and that the broker is running")
}

/// Connects to the first address that answers: one after the other, without waiting long for those that are silent. Tells
/// which it was.
async fn connect(addresses: &[SocketAddr], first: usize, source: Option<IpAddr>) -> io::Result<(usize, TcpStream)> {
    if let [address] = addresses {
        return Ok((0, connect_to(*address, source).await?));
    }
    let mut order = (0..addresses.len()).map(|offset| (first + offset) % addresses.len());
    let mut trying = JoinSet::new();
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    loop {
        let next = order.next();
        if let Some(number) = next {
            let address = addresses[number];
            trying.spawn(async move { connect_to(address, source).await.map(|stream| (number, stream)) });
        }
        // Behind the last address there is nothing to be tried beside it.
        let patience = if next.is_some() { NEXT_ADDRESS } else { Duration::MAX };
        match timeout(patience, trying.join_next()).await {
            Ok(Some(Ok(Ok(connected)))) => return Ok(connected),
            Ok(Some(Ok(Err(error)))) => last = error,
            Ok(Some(Err(error))) => last = io::Error::other(error),
            Ok(None) => return Err(last),
            Err(_) => {}
        }
    }
}

/// Connects to one address, from one of this machine's where that is given.
async fn connect_to(address: SocketAddr, source: Option<IpAddr>) -> io::Result<TcpStream> {
    let Some(source) = source else { return TcpStream::connect(address).await };
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.bind(SocketAddr::new(source, 0))?;
    socket.connect(address).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn connections_come_from_the_given_addresses_in_turn() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let sources = [IpAddr::from([127, 0, 0, 7]), IpAddr::from([127, 0, 0, 8])];
        let endpoint = Endpoint::tcp([listener.local_addr().unwrap()]).from_sources(&sources);
        for turn in 0..4 {
            let _stream = endpoint.open(Duration::from_secs(60)).await.unwrap();
            assert_eq!(listener.accept().await.unwrap().1.ip(), sources[turn % 2]);
        }
        let strange = endpoint.from_sources(&[IpAddr::from([192, 0, 2, 1])]);
        assert!(strange.open(Duration::from_secs(60)).await.is_err());
    }

    /// A listener that accepts nobody, and has no place for anybody to wait.
    fn silent() -> (std::net::TcpListener, Vec<std::net::TcpStream>, SocketAddr) {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        socket.listen(0).unwrap();
        let listener = std::net::TcpListener::from(socket);
        let address = listener.local_addr().unwrap();
        let waiting = || std::net::TcpStream::connect_timeout(&address, Duration::from_millis(100)).ok();
        let waiting = std::iter::from_fn(waiting).collect();
        (listener, waiting, address)
    }

    #[tokio::test]
    async fn a_dead_address_is_waited_for_once() {
        let (_listener, _waiting, dead) = silent();
        let alive = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = Endpoint::tcp([dead, alive.local_addr().unwrap()]);
        assert_eq!(endpoint.plain_tcp(), Some(dead));
        endpoint.open(Duration::from_secs(60)).await.unwrap();
        // The next connection begins with the address that answered.
        assert_eq!(endpoint.plain_tcp(), alive.local_addr().ok());
        let Place::Tcp { addresses, first, .. } = &endpoint.place else { unreachable!() };
        let next = connect(addresses, first.load(Relaxed), None).await.unwrap();
        assert_eq!(next.0, 1);
    }

    #[tokio::test]
    async fn where_no_address_answers_it_says_so_at_once() {
        let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let error = Endpoint::tcp([closed, closed]).open(Duration::from_secs(5)).await.err().unwrap();
        assert_eq!(error.to_string(), "nothing listens there (connection refused)");
        let error = Endpoint::unix("/no/such/socket".into()).open(Duration::from_secs(5)).await.err().unwrap();
        assert_eq!(error.to_string(), "there is no such socket");
    }
}
