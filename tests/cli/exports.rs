//! Several files from one run, and captures, read back.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use etherparse::{NetSlice, SlicedPacket, TransportSlice};
use mqtt_sessions::connection::decode::decode;
use mqtt_sessions::connection::frame::{FRAME_BYTES_MAX, Head, head};
use mqtt_sessions::packet::{Packet, Protocol};
use mqtt_sessions::results::Results;
use pcap_file::pcapng::blocks::enhanced_packet::EnhancedPacketOption;
use pcap_file::pcapng::{Block, PcapNgReader};

use crate::peers::{Untouched, correct, serve, url};
use crate::program::{QUEUED, matrix, program, run};
use test_broker::{Broker, Defect};

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn every_format_is_written_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let [json, xml, pcap] = ["a.json", "a.xml", "a.pcapng"].map(path);
    let files = ["--export-json", text(&json), "--export-junit", text(&xml), "--export-markdown", "-", "--export-pcap"];
    let ended = run(matrix(&correct(), &[&QUEUED[..], &files, &[text(&pcap)]].concat()));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(Results::load(&json).unwrap().summary.pass, 2);
    assert!(fs::read_to_string(&xml).unwrap().contains("tests=\"2\""));
    assert!(ended.stdout.starts_with("## Measured: ") && ended.stderr.contains("2 cells: 2 pass"), "{}", ended.stdout);
    assert!(!streams(&fs::read(&pcap).unwrap()).is_empty());
    // The capture needs the histories, and the results keep them only where that is asked for.
    let kept = Results::load(&json).unwrap();
    assert!(kept.run.cells.values().all(|run| !run.has_histories()));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3);
}

#[test]
fn one_file_takes_one_format() {
    let broker = Untouched::new();
    let refused = |arguments: &[&str]| run(matrix(&broker.url(), arguments));
    refused(&["--export-json", "-", "--export-junit", "-"])
        .gave_up(2, &["--export-json and --export-junit both write to stdout; give one of them a file"]);
    refused(&["--export-junit", "a.xml", "--export-pcap", "a.xml"])
        .gave_up(2, &["--export-junit and --export-pcap both write a.xml"]);
    for option in ["--export-junit", "--export-markdown", "--export-pcap"] {
        refused(&[option, "/no/such/folder/file"]).gave_up(2, &["cannot write /no/such/folder/file", option]);
    }
    broker.assert_untouched();
}

#[test]
fn annotations_are_for_github_and_never_on_stdout() {
    let failing = |github: bool| {
        let losing = url(serve(&Broker::lying(Defect::LosesLast)));
        let arguments = ["--patience", "1s", "--export-json", "-"];
        let mut command = matrix(&losing, &[&QUEUED[..], &arguments].concat());
        if github {
            command.env("GITHUB_ACTIONS", "true");
        }
        run(command)
    };
    let ended = failing(true);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let lines: Vec<&str> = ended.stderr.lines().filter(|line| line.starts_with("::")).collect();
    // Both versions of the standard, and one cause.
    let cause = "::error title=MQTT-3.1.2-5%2C MQTT-4.5.0-1%2C 2 cells::Looks like a queue limit of 2, newest dropped";
    assert!(lines.len() == 1 && lines[0].starts_with(cause), "{}", ended.stderr);
    assert_eq!(ended.results().summary.fail, 2);
    assert!(!failing(false).stderr.contains("::error"));
}

/// What each side of a connection sent, in the order of the sequence numbers; the comments of the capture.
#[derive(Default)]
struct Stream {
    sent: BTreeMap<bool, Vec<u8>>,
    next: BTreeMap<bool, u32>,
    comments: Vec<String>,
}

/// The connections by the client's address and port. Sequence numbers have no gaps, and acknowledge what came.
fn streams(capture: &[u8]) -> BTreeMap<([u8; 4], u16), Stream> {
    let mut reader = PcapNgReader::new(capture).unwrap();
    let mut streams: BTreeMap<([u8; 4], u16), Stream> = BTreeMap::new();
    let mut last = std::time::Duration::ZERO;
    while let Some(block) = reader.next_block() {
        let Block::EnhancedPacket(block) = block.unwrap() else { continue };
        assert!(block.timestamp >= last, "the times go back");
        last = block.timestamp;
        let sliced = SlicedPacket::from_ip(&block.data).unwrap();
        let (Some(NetSlice::Ipv4(ip)), Some(TransportSlice::Tcp(tcp))) = (&sliced.net, &sliced.transport) else {
            panic!("no TCP over IPv4")
        };
        let is_client = tcp.destination_port() == 1883;
        let client = match is_client {
            true => (ip.header().source(), tcp.source_port()),
            false => (ip.header().destination(), tcp.destination_port()),
        };
        let stream = streams.entry(client).or_default();
        for option in &block.options {
            if let EnhancedPacketOption::Comment(comment) = option {
                stream.comments.push(comment.to_string());
            }
        }
        let next = stream.next.entry(is_client).or_insert(tcp.sequence_number());
        assert_eq!(*next, tcp.sequence_number());
        *next += tcp.payload().len() as u32 + u32::from(tcp.syn()) + u32::from(tcp.fin());
        if tcp.ack() {
            assert_eq!(stream.next.get(&!is_client), Some(&tcp.acknowledgment_number()));
        }
        stream.sent.entry(is_client).or_default().extend(tcp.payload());
    }
    streams
}

/// The packets in these bytes, all of them whole.
fn packets(protocol: Protocol, mut bytes: &[u8]) -> Vec<Packet> {
    let mut packets = Vec::new();
    while !bytes.is_empty() {
        let Head::Frame(length) = head(bytes, FRAME_BYTES_MAX) else { panic!("no whole packet: {bytes:02x?}") };
        packets.push(decode(protocol, &bytes[..length]).unwrap());
        bytes = &bytes[length..];
    }
    packets
}

/// The version that the CONNECT of a stream names.
fn protocol(stream: &Stream) -> Protocol {
    if stream.sent[&true][8] == 5 { Protocol::V5 } else { Protocol::V3 }
}

#[test]
fn a_capture_has_every_packet_of_both_versions() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.pcapng");
    let ended = run(matrix(&correct(), &["--filter=publish_qos=2", "--export-pcap", text(&file)]));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let streams = streams(&fs::read(&file).unwrap());
    for version in Protocol::ALL {
        let of_version = || streams.values().filter(|stream| protocol(stream) == version);
        // In each of 24 cells the subscriber three times, the publisher, and the witness.
        assert_eq!(of_version().count(), 24 * 5);
        let names: Vec<&'static str> = of_version()
            .flat_map(|stream| stream.sent.values().flat_map(|bytes| packets(version, bytes)))
            .map(|packet| packet.name())
            .collect();
        for name in ["CONNACK", "PUBLISH", "PUBREC", "PUBREL", "PUBCOMP", "SUBACK", "DISCONNECT"] {
            assert!(names.contains(&name), "no {name} in {version}");
        }
    }
    let comments: Vec<&String> = streams.values().flat_map(|stream| &stream.comments).collect();
    let has = |part: &str| comments.iter().any(|comment| comment.contains(part));
    assert!(has("resubscribe=true], attempt 1, subscriber#2, ms") && has("step 1 connect subscriber"));
}

#[test]
fn a_stored_history_has_its_bytes_and_a_written_one_gets_some() {
    let folder = tempfile::tempdir().unwrap();
    let [json, one, other] = ["a.json", "one.pcapng", "other.pcapng"].map(|name| folder.path().join(name));
    let all = ["--histories", "all", "--export-json", text(&json), "--export-pcap", text(&one)];
    let ended = run(matrix(&correct(), &[&QUEUED[..], &all].concat()));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let again = run(program(["judge", text(&json), "--export-pcap", text(&other)]));
    assert_eq!(again.code, Some(0), "{}", again.stderr);
    assert!(fs::read(&one).unwrap() == fs::read(&other).unwrap(), "the results keep what the run saw");
    let cell = &Results::load(&json).unwrap().cells[0].id;
    let explained = run(program(["explain", cell, "--results", text(&json), "--export-pcap", text(&other)]));
    assert_eq!(explained.code, Some(0), "{}", explained.stderr);
    assert_eq!(streams(&fs::read(&other).unwrap()).len() * 2, streams(&fs::read(&one).unwrap()).len());
    let history = folder.path().join("written.txt");
    let lines = "publisher -> CONNECT protocol=5.0 clean_start=1 keep_alive=0 client_id=publisher
publisher <- CONNACK session_present=0 code=0x00
publisher -> PUBLISH topic=t qos=0 retain=0 dup=0 payload=m1~100000
publisher -> end reset
";
    fs::write(&history, lines).unwrap();
    let written = run(program(["judge", text(&history), "--export-pcap", text(&other)]));
    assert!(written.stderr.is_empty(), "{}", written.stderr);
    let streams = streams(&fs::read(&other).unwrap());
    let [stream] = &streams.values().collect::<Vec<_>>()[..] else { panic!("one connection") };
    let sent = packets(Protocol::V5, &stream.sent[&true]);
    assert!(
        matches!(&sent[1], Packet::Publish(publish) if publish.payload == vec![0; 100_000]),
        "{:?}",
        sent[1].name()
    );
    assert!(stream.comments.iter().any(|comment| comment.ends_with("100000 zeros stand for its payload")));
}

#[test]
fn explain_shows_bytes_and_times_of_day() {
    let folder = tempfile::tempdir().unwrap();
    let json = folder.path().join("a.json");
    run(matrix(&correct(), &[&QUEUED[..], &["--histories", "all", "--export-json", text(&json)]].concat()));
    let results = Results::load(&json).unwrap();
    let (cell, stored) = results.run.cells.first_key_value().unwrap();
    let shown = run(program(["explain", cell, "--results", text(&json), "--bytes", "--times"])).stdout;
    let began = &stored.attempts[0].began_at;
    // The CONNECT comes at once, or the second has just passed.
    assert!(shown.contains(&format!("\n    2  {}:", &began[11..16])), "{began}: {shown}");
    assert!(shown.contains(&format!("        {:<47}  ....\n", "20 02 00 00")), "a CONNACK: {shown}");
    assert!(shown.lines().filter(|line| line.starts_with("        ")).all(|line| line.chars().count() <= 80));
}

#[test]
fn a_capture_has_no_login() {
    let folder = tempfile::tempdir().unwrap();
    let [file, json] = ["a.pcapng", "a.json"].map(|name| folder.path().join(name));
    let login = ["--username", "hidden-user", "--password", "hidden-pw", "--histories", "all"];
    let files = ["--export-pcap", text(&file), "--export-json", text(&json)];
    let ended = run(matrix(&correct(), &[&QUEUED[..], &login, &files].concat()));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let capture = fs::read(&file).unwrap();
    assert!(!capture.windows(6).any(|bytes| bytes == b"hidden"));
    let results = Results::load(&json).unwrap();
    for attempt in results.run.cells.values().flat_map(|run| &run.attempts) {
        let history = attempt.parsed().unwrap();
        let raw: Vec<u8> = history.entries.iter().filter_map(|entry| entry.raw.clone()).flatten().collect();
        assert!(!raw.is_empty() && !raw.windows(6).any(|bytes| bytes == b"hidden"));
    }
}
