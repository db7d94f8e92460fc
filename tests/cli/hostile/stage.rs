//! When a hostile peer begins: up to then, and to everybody else, it is the correct test broker.

use std::collections::HashMap;
use std::sync::Mutex;

use mqtt_sessions::packet::{Ack, AckKind, Connect, Packet, Protocol};

use super::deed::Deed;
use crate::proxy::{Fate, Parting, is_experiment, proxy_by_client};
use test_broker::Broker;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// In the place of CONNACK, to everybody.
    Greeting,
    /// In the place of CONNACK, to clients of the experiment.
    Connect,
    /// Right behind CONNACK, to clients of the experiment.
    Connack,
    /// In the place of SUBACK.
    Subscribe,
    /// In the place of PUBACK.
    Publish,
    /// In the place of PUBREC.
    PublishQos2,
    /// In the place of PUBCOMP.
    Pubrel,
    /// In the place of the PINGRESP that opens the last `receive` step.
    Receive,
    /// In the place of CONNACK, to the one that ends a session.
    CleanUp,
}

/// The accepting CONNACK of each version.
const CONNACKS: [&[u8]; 2] = [&[0x20, 2, 0, 0], &[0x20, 3, 0, 0, 0]];

impl Stage {
    /// The QoS of the cell that comes by this stage.
    pub fn qos(self) -> u8 {
        if matches!(self, Stage::PublishQos2 | Stage::Pubrel) { 2 } else { 1 }
    }

    /// The URL of a peer that does this when it comes to this stage.
    pub fn peer(self, deed: Deed) -> String {
        let connects = Mutex::new(HashMap::new());
        proxy_by_client(&Broker::correct(), move |connect, packet| {
            let mut connects = connects.lock().unwrap();
            let of_client: &mut usize = connects.entry(connect.client_id.clone()).or_default();
            *of_client += usize::from(matches!(packet, Packet::Connect(_)));
            if !self.is_here(connect, packet, *of_client) {
                return Fate::Pass;
            }
            let (protocol, packet) = (connect.protocol, packet.clone());
            Fate::HandOver(Box::new(move |stream| {
                if self == Stage::Connack {
                    let connack = CONNACKS[usize::from(protocol == Protocol::V5)];
                    let _ = std::io::Write::write_all(stream, connack);
                }
                // A client that goes away ends it.
                let _ = deed.done(stream, protocol, packet.id().unwrap_or(1));
                if deed == Deed::Reset { Parting::Reset } else { Parting::Fin }
            }))
        })
    }

    /// Whether this is the stage; the client has connected so many times.
    fn is_here(self, connect: &Connect, packet: &Packet, connects: usize) -> bool {
        let of_experiment = is_of_experiment(&connect.client_id);
        let discards = connects > 1 && connect.clean;
        let ends_a_session = connects > 1 && (connect.clean || connect.session_expiry == Some(0));
        match (self, packet) {
            (Stage::Greeting, Packet::Connect(_)) => true,
            (Stage::Connect | Stage::Connack, Packet::Connect(_)) => of_experiment && !discards,
            (Stage::CleanUp, Packet::Connect(_)) => of_experiment && ends_a_session,
            (Stage::Subscribe, Packet::Subscribe(subscribe)) => is_experiment(&subscribe.filters[0].filter),
            (Stage::Publish | Stage::PublishQos2, Packet::Publish(publish)) => is_experiment(&publish.topic),
            (Stage::Pubrel, Packet::Ack(Ack { kind: AckKind::Pubrel, .. })) => true,
            // Nothing is queued any more, so that nothing is on its way.
            (Stage::Receive, Packet::Pingreq) => of_experiment && connects == 3,
            _ => false,
        }
    }
}

/// The harness's own clients have telling names.
fn is_of_experiment(client_id: &str) -> bool {
    let helpers = ["probe", "witness", "cleaner", "looker"];
    !client_id.is_empty() && !helpers.iter().any(|helper| client_id.contains(helper))
}
