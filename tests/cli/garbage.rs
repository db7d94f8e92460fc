//! Peers that speak something else than MQTT, and a broker whose bytes come in pieces.

use crate::peers::{answering, serve, url};
use crate::program::{QUEUED, matrix, run};
use test_broker::choices::Writes;
use test_broker::{Broker, Choices};

const HTTP: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n\
    400 Bad Request: this server speaks no MQTT, and says so at some length";

#[test]
fn an_http_server() {
    // It closes, it stays open, and it says less than the length that its first bytes seem to announce.
    for broker in [answering(HTTP, true), answering(HTTP, false), answering(b"HTTP/1.0 400 Bad\r\n\r\n", false)] {
        let ended = run(matrix(&broker, &["--connect-timeout", "300ms"]));
        ended.gave_up(2, &["an HTTP server answers there", "give the port of MQTT over TCP, usually 1883"]);
    }
}

#[test]
fn a_tls_server() {
    let broker = answering(b"\x15\x03\x01\x00\x02\x02\x46", true);
    run(matrix(&broker, &[])).gave_up(2, &["a TLS server answers there", "write mqtts://"]);
}

#[test]
fn garbage() {
    let broker = answering(b"\x00\xff\xfe\xfd\xfc\xfb\xfa garbage that goes on", true);
    run(matrix(&broker, &[])).gave_up(2, &["no MQTT packet", ": 00 ff fe fd", "usually 1883"]);
}

#[test]
fn text() {
    let broker = answering(b"220 mail.example.org ESMTP ready\r\n", true);
    run(matrix(&broker, &[])).gave_up(2, &["no MQTT packet", "usually 1883"]);
}

#[test]
fn a_remaining_length_of_256_mb() {
    let broker = answering(&[0x20, 0xff, 0xff, 0xff, 0x7f, 0], false);
    run(matrix(&broker, &[])).gave_up(2, &["no MQTT packet", "it announces 268435460 bytes", "usually 1883"]);
}

#[test]
fn a_remaining_length_without_end() {
    let broker = answering(&[0x20, 0xff, 0xff, 0xff, 0xff, 0xff], false);
    run(matrix(&broker, &[])).gave_up(2, &["a remaining length of more than four bytes"]);
}

#[test]
fn another_packet_than_connack() {
    let broker = answering(&[0xd0, 0], true);
    run(matrix(&broker, &[])).gave_up(2, &["the answer to CONNECT was PINGRESP", "usually 1883"]);
}

#[test]
fn one_byte_at_a_time_is_mqtt() {
    let broker = Broker::choosing(Choices { writes: Writes::EachByte, ..Choices::default() });
    let ended = run(matrix(&url(serve(&broker)), &QUEUED));
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
    assert!(ended.stdout.contains("2 cells: 2 pass"), "{}", ended.stdout);
}
