//! Brokers that send without end, or bit by bit for ever: the run ends, in little memory, and says what it saw.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use mqtt_sessions::connection::decode::decode;
use mqtt_sessions::connection::encode::encode;
use mqtt_sessions::connection::frame::{FRAME_BYTES_MAX, Head, head};
use mqtt_sessions::packet::{AckKind, Connack, Packet, Protocol, Publish, Suback};

use crate::peers::listener;
use crate::program::{QUEUED, matrix, peak_kib, run};

/// How long a run may take against any of them; a tenth is usual.
const PATIENCE: Duration = Duration::from_secs(50);
/// Waits are shorter than usual, as the tests are many.
const SHORT: [&str; 4] = ["--deadline=500ms", "--connect-timeout=500ms", "--patience=500ms", "--settle=50ms"];

/// How a broker sends one packet again and again.
#[derive(Debug, Clone, Copy)]
enum Pace {
    /// As fast as the client reads.
    Flood,
    /// One packet every three milliseconds.
    Drip,
}

/// A broker that answers every packet, and sends `endless` for ever behind its first answer to a packet of this kind.
fn broker(behind: &'static str, pace: Pace, endless: Packet) -> String {
    listener(move |mut stream| {
        // A client that goes away ends it.
        let _ = serve(&mut stream, behind, pace, &endless);
    })
}

fn serve(stream: &mut TcpStream, behind: &str, pace: Pace, endless: &Packet) -> std::io::Result<()> {
    let mut protocol = Protocol::V3;
    let mut buffer = BytesMut::new();
    let mut bytes = [0; 4096];
    loop {
        while let Head::Frame(length) = head(&buffer, FRAME_BYTES_MAX) {
            let frame = buffer.split_to(length);
            if frame[0] >> 4 == 1 {
                protocol = if frame.get(8) == Some(&5) { Protocol::V5 } else { Protocol::V3 };
            }
            let Ok(packet) = decode(protocol, &frame) else { return Ok(()) };
            for answer in answers(&packet) {
                stream.write_all(&encoded(protocol, &answer))?;
            }
            if packet.name() == behind {
                let one = encoded(protocol, endless);
                let (bytes, wait) = match pace {
                    Pace::Flood => (one.repeat((65_536 / one.len()).max(1)), Duration::ZERO),
                    Pace::Drip => (one, Duration::from_millis(3)),
                };
                loop {
                    stream.write_all(&bytes)?;
                    std::thread::sleep(wait);
                }
            }
        }
        let count = stream.read(&mut bytes)?;
        if count == 0 {
            return Ok(());
        }
        buffer.extend_from_slice(&bytes[..count]);
    }
}

fn answers(packet: &Packet) -> Vec<Packet> {
    match packet {
        Packet::Connect(_) => vec![Packet::Connack(Connack::default())],
        Packet::Subscribe(subscribe) => {
            let codes = subscribe.filters.iter().map(|filter| filter.qos).collect();
            vec![Packet::Suback(Suback { id: subscribe.id, codes })]
        }
        Packet::Publish(publish) if publish.qos == 1 => vec![Packet::ack(AckKind::Puback, publish.id)],
        Packet::Publish(publish) if publish.qos == 2 => vec![Packet::ack(AckKind::Pubrec, publish.id)],
        Packet::Pingreq => vec![Packet::Pingresp],
        _ => Vec::new(),
    }
}

fn encoded(protocol: Protocol, packet: &Packet) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(protocol, packet, &mut bytes).unwrap();
    bytes
}

fn publish(qos: u8, bytes: usize) -> Packet {
    Packet::Publish(Publish { topic: "t".into(), qos, id: 7, payload: vec![b'x'; bytes], ..Publish::default() })
}

/// The run ends in time, nothing passes, and where it was flooded it says so.
#[track_caller]
fn ends(behind: &'static str, pace: Pace, endless: Packet) {
    let what = format!("{pace:?} of {} behind {behind}", endless.name());
    let started = Instant::now();
    let export = ["--export-json", "-", "--histories", "all"];
    let ended = run(matrix(&broker(behind, pace, endless), &[&QUEUED[..], &SHORT, &export].concat()));
    assert!(started.elapsed() < PATIENCE, "{what}: {:?}", started.elapsed());
    assert!(matches!(ended.code, Some(1..=3)), "{what}: {ended:?}");
    let results = ended.results();
    assert_eq!(results.summary.pass, 0, "{what}: {ended:?}");
    let lines = results.run.cells.values().flat_map(|cell| &cell.attempts).flat_map(|attempt| &attempt.history);
    let is_noticed = lines.into_iter().any(|line| line.contains(" -- without end: "));
    assert_eq!(is_noticed, matches!(pace, Pace::Flood), "{what}: {ended:?}");
}

#[test]
fn floods_behind_connect() {
    for endless in [Packet::Pingresp, Packet::ack(AckKind::Pubrec, 1), publish(0, 10)] {
        ends("CONNECT", Pace::Flood, endless);
    }
}

#[test]
fn floods_behind_subscribe() {
    let suback = Packet::Suback(Suback { id: 1, codes: vec![0] });
    for endless in [suback, publish(1, 10), publish(2, 10), publish(0, 500_000)] {
        ends("SUBSCRIBE", Pace::Flood, endless);
    }
}

#[test]
fn what_comes_bit_by_bit_extends_no_wait() {
    let suback = Packet::Suback(Suback { id: 1, codes: vec![0] });
    ends("SUBSCRIBE", Pace::Drip, suback);
    ends("CONNECT", Pace::Drip, Packet::Pingresp);
    ends("CONNECT", Pace::Drip, publish(0, 10));
}

/// A second CONNACK is a finding, also where it is followed by a thousand others.
#[test]
fn what_came_before_a_flood_is_judged() {
    let url = broker("CONNECT", Pace::Flood, Packet::Connack(Connack::default()));
    let arguments = [&QUEUED[..], &SHORT, &["--filter=protocol=5.0"]].concat();
    let ended = run(matrix(&url, &arguments));
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stdout.contains("MQTT-3.2.0-2"), "{ended:?}");
}

/// The peak of the memory is below 256 MB, with all cells side by side, against packets small and large.
#[cfg(target_os = "linux")]
#[test]
fn floods_take_little_memory() {
    for (behind, endless) in [("CONNECT", Packet::ack(AckKind::Pubrec, 1)), ("SUBSCRIBE", publish(0, 1_000_000))] {
        let mut child = matrix(&broker(behind, Pace::Flood, endless), &SHORT).spawn().unwrap();
        let mut peak = 0;
        while child.try_wait().unwrap().is_none() {
            peak = peak.max(peak_kib(&child));
            std::thread::sleep(Duration::from_millis(20));
        }
        assert!((1..256 * 1024).contains(&peak), "{peak} KiB behind {behind}");
    }
}
