//! Results -> a capture file (pcapng) that Wireshark and tshark read: what was on the wire in each cell, packet by packet,
//! with its bytes and its times.
//!
//! The harness sees MQTT and no segments of TCP, so addresses, ports and sequence numbers are made up: the broker is
//! 192.0.2.1 at port 1883, and each Network Connection has a port of a client at 198.51.100.x. Under TLS and WebSocket
//! the capture shows what was inside.

mod conversation;
mod packet_bytes;

use std::borrow::Cow;
use std::collections::HashMap;
use std::time::{Duration, UNIX_EPOCH};

use pcap_file::DataLink;
use pcap_file::pcapng::PcapNgWriter;
use pcap_file::pcapng::blocks::enhanced_packet::{EnhancedPacketBlock, EnhancedPacketOption};
use pcap_file::pcapng::blocks::interface_description::{InterfaceDescriptionBlock, InterfaceDescriptionOption};

use crate::connection::End;
use crate::history::{Client, Entry, Event, History, Time};
use crate::packet::{Connack, Connect, Packet, Protocol};
use crate::results::{AttemptRun, Results};
use conversation::{Conversation, Side};
use packet_bytes::{OnWire, on_wire};

/// The time is written in nanoseconds, as the writer has it.
const NANOSECONDS: u8 = 9;
/// No option of a block has more than 65,535 bytes, and a file may name its cells as it likes.
const COMMENT_CHARS_MAX: usize = 1000;
/// The longest packet of the capture, in bytes.
const SNAPSHOT_BYTES: u32 = 65_535;

/// A segment, and when it was sent.
struct Segment {
    /// Since 1970.
    at: Duration,
    bytes: Vec<u8>,
    comment: String,
}

/// The capture of all attempts at all cells whose histories are there.
pub fn capture(results: &Results) -> Vec<u8> {
    let mut segments = Vec::new();
    let mut connections = 0;
    let began_run = humantime::parse_rfc3339(&results.run.started_at).ok();
    for cell in &results.cells {
        let attempts = results.run.cells.get(&cell.id).map_or(&[][..], |run| &run.attempts);
        for (number, attempt) in (1..).zip(attempts) {
            // A history that cannot be read was refused when it was judged.
            let history = attempt.parsed().unwrap_or_default();
            let began = attempt.began().or(began_run).unwrap_or(UNIX_EPOCH);
            let began = began.duration_since(UNIX_EPOCH).unwrap_or_default();
            let head = format!("{}, attempt {number}", cell.id);
            let mut scene = Scene::new(&head, began, attempt, &history, &mut connections);
            history.entries.iter().for_each(|entry| scene.play(entry));
            segments.append(&mut scene.segments);
        }
    }
    // Cells run side by side; the segments of one connection stay in their order.
    segments.sort_by_key(|segment| segment.at);
    written(&segments)
}

fn written(segments: &[Segment]) -> Vec<u8> {
    let mut file = Vec::new();
    // Only a writer can fail, and memory does not.
    let _ = write(segments, &mut file);
    file
}

fn write(segments: &[Segment], file: &mut Vec<u8>) -> Result<(), pcap_file::PcapError> {
    let mut writer = PcapNgWriter::new(file)?;
    let mut interface = InterfaceDescriptionBlock::new(DataLink::RAW, SNAPSHOT_BYTES);
    interface.options.push(InterfaceDescriptionOption::IfTsResol(NANOSECONDS));
    writer.write_pcapng_block(interface)?;
    for Segment { at, bytes, comment } in segments {
        let comment = (!comment.is_empty()).then_some(EnhancedPacketOption::Comment(Cow::Borrowed(comment.as_str())));
        writer.write_pcapng_block(EnhancedPacketBlock {
            interface_id: 0,
            timestamp: *at,
            original_len: bytes.len() as u32,
            data: Cow::Borrowed(bytes),
            options: comment.into_iter().collect(),
        })?;
    }
    Ok(())
}

/// One attempt at a cell, as it becomes segments.
struct Scene<'a> {
    /// The cell and the number of the attempt.
    head: &'a str,
    /// Since 1970.
    began: Duration,
    attempt: &'a AttemptRun,
    /// The protocol of each connection of which the history has the CONNECT.
    protocols: HashMap<(Client, u32), Protocol>,
    /// That of the others: the witness speaks as the publisher does.
    usual: Protocol,
    conversations: HashMap<(Client, u32), Conversation>,
    /// How many Network Connections the capture has so far.
    connections: &'a mut usize,
    /// How many each client has, where the history does not tell.
    opened: HashMap<Client, u32>,
    /// The step that began, until its first packet.
    step: Option<String>,
    time: Time,
    segments: Vec<Segment>,
}

impl<'a> Scene<'a> {
    fn new(
        head: &'a str,
        began: Duration,
        attempt: &'a AttemptRun,
        history: &History,
        connections: &'a mut usize,
    ) -> Scene<'a> {
        let mut scene = Scene {
            head,
            began,
            attempt,
            protocols: HashMap::new(),
            usual: Protocol::V3,
            conversations: HashMap::new(),
            connections,
            opened: HashMap::new(),
            step: None,
            time: Time::default(),
            segments: Vec::new(),
        };
        let (mut of_publisher, mut of_first) = (None, None);
        for entry in &history.entries {
            let Some(place) = scene.place(entry) else { continue };
            match &entry.event {
                Event::Sent(_, Packet::Connect(connect)) | Event::Half(_, Packet::Connect(connect)) => {
                    of_first = of_first.or(Some(connect.protocol));
                    scene.protocols.insert(place, connect.protocol);
                }
                Event::Sent(_, Packet::Publish(_)) => {
                    of_publisher = of_publisher.or(scene.protocols.get(&place).copied());
                }
                _ => {}
            }
        }
        scene.usual = of_publisher.or(of_first).unwrap_or(scene.usual);
        scene.opened.clear();
        scene
    }

    /// The client and the number of its connection.
    fn place(&mut self, entry: &Entry) -> Option<(Client, u32)> {
        let client = entry.event.client()?.clone();
        let opened = self.opened.entry(client.clone()).or_default();
        if let Event::Sent(_, Packet::Connect(_)) | Event::Half(_, Packet::Connect(_)) = &entry.event {
            *opened += 1;
        }
        let number = entry.connection.unwrap_or(*opened);
        Some((client, number))
    }

    fn play(&mut self, entry: &Entry) {
        self.time = entry.time.unwrap_or(self.time);
        if let Event::Step(step) = &entry.event {
            self.step = Some(step.clone());
        }
        let Some(place) = self.place(entry) else { return };
        let protocol = self.protocols.get(&place).copied().unwrap_or(self.usual);
        let side = match &entry.event {
            Event::Sent(..) | Event::Half(..) | Event::Closed(..) => Side::Client,
            Event::Received(..) | Event::Ended(..) | Event::Undecodable(..) => Side::Broker,
            _ => return,
        };
        if !self.conversations.contains_key(&place) {
            self.open(&place, protocol);
        }
        match &entry.event {
            Event::Ended(_, end) | Event::Closed(_, end) => {
                let bytes = self.conversation(&place, |conversation| conversation.end(side, *end));
                // TCP shows a FIN and a reset by itself.
                let is_plain = matches!(end, End::Fin | End::Reset);
                self.add(bytes, if is_plain { String::new() } else { end.sign() });
            }
            _ => {
                let OnWire { bytes, remark } = on_wire(entry, protocol, &self.attempt.names);
                let comment = [self.step.take().map(|step| format!("step {step}")), remark];
                let comment: Vec<String> = comment.into_iter().flatten().collect();
                let bytes = self.conversation(&place, |conversation| conversation.send(side, &bytes));
                self.add(bytes, comment.join("; "));
            }
        }
    }

    /// The handshake of TCP, and a CONNECT where the history has none: without it nobody knows the version.
    fn open(&mut self, place: &(Client, u32), protocol: Protocol) {
        let (client, number) = place;
        let conversation = Conversation::new(*self.connections);
        *self.connections += 1;
        self.conversations.insert(place.clone(), conversation);
        let bytes = self.conversation(place, Conversation::open);
        let name = self.attempt.names.get(client.as_ref()).map(|id| format!(", {id} on the wire")).unwrap_or_default();
        self.add(bytes, format!("{}, {client}#{number}{name}", self.head));
        if self.protocols.contains_key(place) {
            return;
        }
        let id = self.attempt.names.get(client.as_ref()).map_or(client.as_ref(), String::as_str);
        let made_up = [
            (Side::Client, Packet::Connect(Connect::new(protocol, id))),
            (Side::Broker, Packet::Connack(Connack::default())),
        ];
        for (side, packet) in made_up {
            let bytes = packet_bytes::encoded(protocol, &packet);
            let bytes = self.conversation(place, |conversation| conversation.send(side, &bytes));
            self.add(bytes, "made up, since the history has none: it tells the protocol version".into());
        }
    }

    fn conversation(
        &mut self,
        place: &(Client, u32),
        act: impl FnOnce(&mut Conversation) -> Vec<Vec<u8>>,
    ) -> Vec<Vec<u8>> {
        self.conversations.get_mut(place).map(act).unwrap_or_default()
    }

    /// Adds segments of the present time; the comment stands at the first.
    fn add(&mut self, segments: Vec<Vec<u8>>, mut comment: String) {
        let at = self.began + self.time.as_duration();
        if let Some((cut, _)) = comment.char_indices().nth(COMMENT_CHARS_MAX) {
            comment.truncate(cut);
        }
        for bytes in segments {
            self.segments.push(Segment { at, bytes, comment: std::mem::take(&mut comment) });
        }
    }
}
