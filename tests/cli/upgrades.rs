//! What can go wrong with WebSocket: one sentence, exit code 2, nothing on stdout.

use std::io::Write;

use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::peers::{answering, correct, listener, read_connect, wait_for_end};
use crate::program::{Ended, program, run};

const CONNACK: &[u8] = b"\x20\x02\x00\x00";

fn matrix(url: &str) -> Ended {
    run(program(["matrix", &url.replace("mqtt://", "ws://"), "--connect-timeout", "2s"]))
}

/// A server that switches as it should, with this subprotocol, and then says this.
fn switching(subprotocol: &'static str, then: &'static [u8]) -> String {
    listener(move |mut stream| {
        let request = String::from_utf8(read_connect(&mut stream)).unwrap();
        let key = request.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).unwrap();
        let accept = derive_accept_key(key.as_bytes());
        let head = "HTTP/1.1 101 Switching Protocols\r\nupgrade: WebSocket\r\nconnection: Upgrade";
        let answer = format!("{head}\r\nsec-websocket-accept: {accept}\r\n{subprotocol}\r\n");
        let _ = stream.write_all(&[answer.as_bytes(), then].concat());
        wait_for_end(stream);
    })
}

const MQTT: &str = "Sec-WebSocket-Protocol: mqtt\r\n";

#[test]
fn an_upgrade_that_is_refused() {
    let cases: [(&[u8], &[&str]); 9] = [
        (b"HTTP/1.1 401 Unauthorized\r\n\r\n", &["401 (unauthorized)", "a port without one"]),
        (b"HTTP/1.1 403 Forbidden\r\n\r\n", &["403 (forbidden)", "see its log"]),
        (
            b"HTTP/1.1 404 Not Found\r\n\r\n<html>",
            &["404 (not found)", "/mqtt is not the path of MQTT there; give the right one, such as /mqtt"],
        ),
        (b"HTTP/1.1 426 Upgrade Required\r\n\r\n", &["426 (no WebSocket there)", "give port and path"]),
        (b"HTTP/1.1 502 Bad Gateway\r\n\r\n", &["502 (a gateway or server error)", "behind the proxy is running"]),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", &["400 (bad request)", "wss:// or ws://"]),
        (b"HTTP/1.1 302 Found\r\nLocation: /login\r\n\r\n", &["302, a redirection to /login", "give the URL"]),
        (b"HTTP/1.1 200 OK\r\n\r\n<html>", &["200 (no upgrade)", "give port and path"]),
        (
            b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
            &["101, but not that of a WebSocket server", "check what stands between"],
        ),
    ];
    for (answer, phrases) in cases {
        let said = [&["cannot measure ws://", "/mqtt: "], phrases].concat();
        matrix(&answering(answer, true)).gave_up(2, &said);
    }
}

#[test]
fn what_answers_is_no_http() {
    matrix(&correct()).gave_up(2, &["closed at the WebSocket upgrade", "write mqtt:// or mqtts://"]);
    matrix(&answering(CONNACK, true)).gave_up(2, &["the WebSocket upgrade is no HTTP", "write mqtt:// or mqtts://"]);
    matrix(&answering(b"HTTP/1.1 101", true)).gave_up(2, &["is no HTTP"]);
    matrix(&answering(b"", false)).gave_up(2, &["no answer to the WebSocket upgrade within 2 s", "give the port"]);
}

#[test]
fn a_subprotocol_that_is_missing_or_another() {
    matrix(&switching("", b"")).gave_up(2, &["did not choose the subprotocol mqtt", "another service"]);
    matrix(&switching("Sec-WebSocket-Protocol: chat\r\n", b"")).gave_up(2, &["chose the subprotocol chat, not mqtt"]);
}

#[test]
fn frames_that_no_broker_may_send() {
    let cases: [(&[u8], &str); 3] = [
        (b"\x81\x04\x20\x02\x00\x00", "it came in a WebSocket text frame: 81 04"),
        (b"\x82\x84\0\0\0\0\x20\x02\x00\x00", "it came in a masked WebSocket frame"),
        (b"\x82\x02\x20\x02\x81\x02\x00\x00", "it came in a WebSocket text frame"),
    ];
    for (frames, phrase) in cases {
        matrix(&switching(MQTT, frames)).gave_up(2, &["the answer to CONNECT is no MQTT packet", phrase]);
    }
    // The head of a frame of 4 EiB, and of a packet that never ends: nothing is held for either.
    let endless = switching(MQTT, b"\x82\x7f\x3f\xff\xff\xff\xff\xff\xff\xff\x20\x02");
    matrix(&endless).gave_up(2, &["is still incomplete after 2 s: 20 02"]);
    matrix(&switching(MQTT, b"\x88\x02\x03\xe9")).gave_up(2, &["closed without a CONNACK", "give the place"]);
}

#[test]
fn a_query_is_not_shown() {
    let url = answering(b"HTTP/1.1 404 Not Found\r\n\r\n", true).replace("mqtt://", "ws://");
    let ended = run(program(["matrix", &format!("{url}/x?token=s3cret")]));
    ended.gave_up(2, &["404", "/x?***"]);
    assert!(!ended.stderr.contains("s3cret"), "{}", ended.stderr);
}
