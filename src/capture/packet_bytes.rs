//! The bytes of an event on the wire: as they were kept, or written anew from the history.

use std::collections::BTreeMap;

use crate::connection::encode::encode;
use crate::history::{Entry, Event, Message};
use crate::packet::{Packet, Protocol};

/// Bytes, and what has to be said about them.
pub struct OnWire {
    pub bytes: Vec<u8>,
    pub remark: Option<String>,
}

impl OnWire {
    fn remarked(bytes: Vec<u8>, remark: &str) -> OnWire {
        OnWire { bytes, remark: Some(remark.into()) }
    }
}

/// From the scenario's name of a client or topic to the one on the wire.
type Names = BTreeMap<String, String>;

/// The bytes of an event that has some.
pub fn on_wire(entry: &Entry, protocol: Protocol, names: &Names) -> OnWire {
    match (&entry.event, &entry.raw) {
        (Event::Undecodable(_, bytes, why), _) => OnWire::remarked(bytes.clone(), &format!("a packet that {why}")),
        (_, Some(raw)) => OnWire { bytes: raw.to_vec(), remark: None },
        (Event::Half(_, packet), None) => {
            let OnWire { mut bytes, remark } = anew(packet, protocol, names);
            bytes.truncate(bytes.len() / 2);
            OnWire { bytes, remark }
        }
        (Event::Sent(_, packet) | Event::Received(_, packet), None) => anew(packet, protocol, names),
        _ => OnWire { bytes: Vec::new(), remark: None },
    }
}

/// A packet of which the bytes were not kept. A login is never part of a history.
fn anew(packet: &Packet, protocol: Protocol, names: &Names) -> OnWire {
    let mut packet = packet.clone();
    let topic = |name: &mut String| {
        let wire = names.get(&format!("topic {name}")).or_else(|| names.get(name));
        name.clone_from(wire.unwrap_or(&name.clone()));
    };
    let mut remark = "written anew from the history, which does not keep its bytes".to_owned();
    match &mut packet {
        Packet::Connect(connect) => {
            connect.client_id = names.get(&connect.client_id).unwrap_or(&connect.client_id).clone();
            connect.will.iter_mut().for_each(|will| topic(&mut will.topic));
            remark = "written anew, without user name and password".into();
        }
        Packet::Publish(publish) => {
            topic(&mut publish.topic);
            if let Some(bytes) = Message::bytes_filled(&publish.payload).or_else(|| bytes_digested(&publish.payload)) {
                publish.payload = vec![0; bytes.min(PAYLOAD_BYTES_MAX)];
                remark += &format!(": {bytes} zeros stand for its payload");
            }
        }
        Packet::Subscribe(subscribe) => subscribe.filters.iter_mut().for_each(|filter| topic(&mut filter.filter)),
        Packet::Unsubscribe(unsubscribe) => unsubscribe.filters.iter_mut().for_each(topic),
        _ => {}
    }
    OnWire::remarked(encoded(protocol, &packet), &remark)
}

/// No payload is longer on the wire; a history that was written by hand may say so.
const PAYLOAD_BYTES_MAX: usize = 1024 * 1024;

/// How many bytes a payload had that stands in the history as `?5000 bytes, 0123456789abcdef`.
fn bytes_digested(payload: &[u8]) -> Option<usize> {
    std::str::from_utf8(payload).ok()?.strip_prefix('?')?.split_once(" bytes, ")?.0.parse().ok()
}

/// The bytes of a packet; none if MQTT cannot carry it.
pub fn encoded(protocol: Protocol, packet: &Packet) -> Vec<u8> {
    let mut bytes = Vec::new();
    let _ = encode(protocol, packet, &mut bytes);
    bytes
}
