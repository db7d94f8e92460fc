//! Relays before a broker that end TLS and WebSocket, as proxies do.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::thread;

use futures_util::{SinkExt, StreamExt};
use rustls::server::ServerConfig;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::accept_hdr_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

/// Where a relay listens, and what it speaks there.
#[derive(Clone, Default)]
pub struct Relay {
    pub tls: Option<Arc<ServerConfig>>,
    pub websocket: bool,
}

impl Relay {
    pub fn tls(config: ServerConfig) -> Relay {
        Relay { tls: Some(Arc::new(config)), websocket: false }
    }

    /// Serves on a free port until the tests end.
    pub fn before(self, broker: SocketAddr) -> u16 {
        let (ready, port) = mpsc::channel();
        on_a_thread(async move {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            ready.send(listener.local_addr().unwrap().port()).unwrap();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                // Only speed depends on it.
                let _ = stream.set_nodelay(true);
                let relay = self.clone();
                tokio::spawn(async move {
                    let Some(config) = relay.tls.clone() else { return relay.carry(stream, broker).await };
                    // Whoever speaks no TLS is left alone.
                    if let Ok(stream) = TlsAcceptor::from(config).accept(stream).await {
                        relay.carry(stream, broker).await;
                    }
                });
            }
        });
        port.recv().unwrap()
    }

    async fn carry<S: AsyncRead + AsyncWrite + Unpin>(&self, mut client: S, broker: SocketAddr) {
        let mut broker = TcpStream::connect(broker).await.unwrap();
        let _ = broker.set_nodelay(true);
        if self.websocket {
            carry_messages(client, broker).await;
        } else {
            // Either side may break the connection.
            let _ = copy_bidirectional(&mut client, &mut broker).await;
        }
    }
}

/// Serves on a Unix socket until the tests end.
pub fn unix(path: PathBuf, broker: SocketAddr) {
    let (ready, listening) = mpsc::channel();
    on_a_thread(async move {
        let listener = UnixListener::bind(path).unwrap();
        ready.send(()).unwrap();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move { Relay::default().carry(stream, broker).await });
        }
    });
    listening.recv().unwrap();
}

fn on_a_thread(serving: impl Future<Output = ()> + Send + 'static) {
    // Each connection takes two files, and all tests are one process.
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(serving);
    });
}

/// Chooses the subprotocol that MQTT has.
#[allow(clippy::result_large_err, reason = "the type is the library's")]
fn choose_mqtt(
    request: &Request,
    mut response: Response,
) -> Result<Response, tokio_tungstenite::tungstenite::handshake::server::ErrorResponse> {
    assert_eq!(request.headers()["sec-websocket-protocol"], "mqtt");
    response.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static("mqtt"));
    Ok(response)
}

/// Messages of a client are bytes to the broker. What the broker says is cut where no packet ends, with a Ping between.
async fn carry_messages<S: AsyncRead + AsyncWrite + Unpin>(client: S, broker: TcpStream) {
    let Ok(client) = accept_hdr_async(client, choose_mqtt).await else { return };
    let (mut to_client, mut from_client) = client.split();
    let (mut from_broker, mut to_broker) = broker.into_split();
    let inwards = async {
        while let Some(Ok(message)) = from_client.next().await {
            if message.is_binary() && to_broker.write_all(&message.into_data()).await.is_err() {
                break;
            }
        }
        let _ = to_broker.shutdown().await;
    };
    let outwards = async {
        let mut bytes = [0; 4096];
        loop {
            let count = from_broker.read(&mut bytes).await.unwrap_or(0);
            if count == 0 {
                let normal = CloseFrame { code: CloseCode::Normal, reason: "".into() };
                let _ = to_client.send(Message::Close(Some(normal))).await;
                return;
            }
            let (head, rest) = bytes[..count].split_at(count.min(1));
            let messages =
                [Message::binary(head.to_vec()), Message::Ping("ping".into()), Message::binary(rest.to_vec())];
            for message in messages {
                if to_client.send(message).await.is_err() {
                    return;
                }
            }
        }
    };
    tokio::join!(inwards, outwards);
}
