//! The opening handshake of WebSocket (RFC 6455, section 4), as a client that asks for the subprotocol `mqtt`.

use std::hash::{BuildHasher, RandomState};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use httparse::{EMPTY_HEADER, Response};
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::connection::not_opened::NotOpened;
use crate::visible::visible;

/// The name that MQTT has among the subprotocols (3.1.1 and 5.0, MQTT-6.0.0-3).
const SUBPROTOCOL: &str = "mqtt";
/// What a server appends to the key of the client, as the proof that it speaks WebSocket (section 1.3).
const ANSWER_TO_KEY: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// The most bytes of an answer's head, and its most lines.
const ANSWER_BYTES_MAX: usize = 16 * 1024;
const HEADERS_MAX: usize = 64;
/// How much of a header an error shows, in characters.
const SHOWN_MAX: usize = 80;

/// What is asked for, and of whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// Host and port, as a URL has them.
    pub host: String,
    /// The path, and the query where there is one; begins with a slash.
    pub path: String,
}

/// Asks for the upgrade, and gives the bytes that came behind the answer.
///
/// # Errors
/// [`NotOpened`] where the server refuses, or is none.
pub async fn upgrade<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    resource: &Resource,
) -> Result<Vec<u8>, NotOpened> {
    let random = || RandomState::new().hash_one(0).to_be_bytes();
    let key = STANDARD.encode([random(), random()].concat());
    let Resource { host, path } = resource;
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Protocol: {SUBPROTOCOL}\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.map_err(|_| closed())?;
    stream.flush().await.map_err(|_| closed())?;
    let mut answer = Vec::new();
    loop {
        let mut bytes = [0; 1024];
        let count = stream.read(&mut bytes).await.map_err(|_| closed())?;
        if count == 0 {
            return Err(if answer.is_empty() { closed() } else { no_http(&answer) });
        }
        answer.extend_from_slice(&bytes[..count]);
        let mut headers = [EMPTY_HEADER; HEADERS_MAX];
        let mut response = Response::new(&mut headers);
        match response.parse(&answer) {
            Ok(httparse::Status::Complete(head)) => {
                check(&response, &key, path)?;
                return Ok(answer[head..].to_vec());
            }
            Ok(httparse::Status::Partial) if answer.len() < ANSWER_BYTES_MAX => {}
            Ok(httparse::Status::Partial) | Err(_) => return Err(no_http(&answer)),
        }
    }
}

/// Whether the answer is that of a WebSocket server that speaks MQTT (section 4.1).
fn check(response: &Response<'_, '_>, key: &str, path: &str) -> Result<(), NotOpened> {
    let header = |name: &str| {
        let found = response.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name))?;
        Some(String::from_utf8_lossy(found.value).trim().to_owned())
    };
    let has = |name: &str, word: &str| header(name).is_some_and(|value| value.to_ascii_lowercase().contains(word));
    match response.code.unwrap_or_default() {
        101 => {}
        code => return Err(refused(code, header("Location"), path)),
    }
    let accept = digest(&SHA1_FOR_LEGACY_USE_ONLY, format!("{key}{ANSWER_TO_KEY}").as_bytes());
    let is_accepted = header("Sec-WebSocket-Accept") == Some(STANDARD.encode(accept));
    if !is_accepted || !has("Upgrade", "websocket") || !has("Connection", "upgrade") {
        let how = "the answer to the WebSocket upgrade is 101, but not that of a WebSocket server";
        return Err(NotOpened::new(how, "check what stands between here and the broker"));
    }
    match header("Sec-WebSocket-Protocol") {
        Some(chosen) if chosen == SUBPROTOCOL => Ok(()),
        Some(chosen) => {
            let how = format!("the WebSocket server chose the subprotocol {}, not {SUBPROTOCOL}", shown(&chosen));
            Err(NotOpened::new(how, OTHER_SERVICE))
        }
        None => {
            let how = format!("the WebSocket server did not choose the subprotocol {SUBPROTOCOL} (MQTT-6.0.0-4)");
            Err(NotOpened::new(how, OTHER_SERVICE))
        }
    }
}

const OTHER_PORT: &str = "give the port of MQTT over WebSocket, with wss:// where it speaks TLS; for MQTT over TCP \
                          write mqtt:// or mqtts://";
const OTHER_SERVICE: &str = "give port and path of MQTT over WebSocket; another service answers there";

/// The server answered something else than that it switches.
fn refused(code: u16, location: Option<String>, path: &str) -> NotOpened {
    // What stands behind the question mark is often a token.
    let path = visible(path.split('?').next().unwrap_or_default());
    let (meaning, cure) = match code {
        300..=399 => {
            let to = location.map_or("elsewhere".into(), |location| format!("to {}", shown(&location)));
            return NotOpened::new(
                format!("the WebSocket upgrade was answered with {code}, a redirection {to}"),
                "give the URL to which it leads",
            );
        }
        400 => ("bad request", "check the path, and whether the port wants wss:// or ws://".to_owned()),
        401 => {
            ("unauthorized", "what stands before the broker wants an HTTP login; give a port without one".to_owned())
        }
        403 => ("forbidden", "what stands before the broker does not let this client in; see its log".to_owned()),
        404 => {
            ("not found", format!("{path} is not the path of MQTT there; give the right one, such as /mqtt, /ws or /"))
        }
        405 | 426 => ("no WebSocket there", format!("give port and path of MQTT over WebSocket; {path} is none")),
        500..=599 => ("a gateway or server error", "check that the broker behind the proxy is running".to_owned()),
        _ => ("no upgrade", "give port and path of MQTT over WebSocket".to_owned()),
    };
    NotOpened::new(format!("the WebSocket upgrade was answered with {code} ({meaning})"), cure)
}

fn shown(header: &str) -> String {
    visible(&header.chars().take(SHOWN_MAX).collect::<String>()).into_owned()
}

fn closed() -> NotOpened {
    let how = "the connection was closed at the WebSocket upgrade";
    NotOpened::new(how, OTHER_PORT)
}

/// The answer is not HTTP. Other protocols betray themselves.
fn no_http(answer: &[u8]) -> NotOpened {
    if answer.starts_with(b"\x15\x03") {
        return NotOpened::new("a TLS server answers there", "write wss:// in place of ws://");
    }
    let how = "the answer to the WebSocket upgrade is no HTTP";
    NotOpened::new(how, OTHER_PORT)
}
