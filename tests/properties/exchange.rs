//! Events as they might belong together: few clients, few topics, few messages and few identifiers, so that answers
//! find their questions.

use mqtt_sessions::connection::End;
use mqtt_sessions::history::{Client, Event};
use mqtt_sessions::packet::{
    Ack, AckKind, Connack, Connect, Filter, Packet, Protocol, Publish, Suback, Subscribe, Unsuback, Unsubscribe,
};
use mqtt_sessions::scenario::Timer;
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;

/// In the order of the scenario, the witness last.
pub const CLIENTS: [&str; 3] = ["subscriber", "publisher", "witness"];

/// An event of one of [`CLIENTS`].
pub fn event() -> impl Strategy<Value = Event> {
    let client = || select(&CLIENTS[..]).prop_map(Client::from);
    prop_oneof![
        12 => (client(), packet()).prop_map(|(client, packet)| Event::Sent(client.clone(), of_client(packet, &client))),
        12 => (client(), packet()).prop_map(|(client, packet)| Event::Received(client, packet)),
        1 => (client(), select(&[End::Fin, End::Reset][..])).prop_map(|(client, end)| Event::Ended(client, end)),
        1 => (client(), select(&[End::Fin, End::Reset][..])).prop_map(|(client, end)| Event::Closed(client, end)),
        1 => client().prop_map(Event::Settled),
        1 => (client(), any::<bool>()).prop_map(|(client, passed)| {
            Event::Timed { client, timer: Timer::SessionExpiry, seconds: 2, passed }
        }),
        1 => (client(), super::any_event::awaited()).prop_map(|(client, awaited)| Event::Missing(client, awaited)),
    ]
}

/// Each client has an identifier of its own, also for what it sends before its CONNECT.
fn of_client(mut packet: Packet, client: &Client) -> Packet {
    if let Packet::Connect(connect) = &mut packet {
        connect.client_id = client.to_string();
    }
    packet
}

/// An event that no client has, or the head of a step.
pub fn interruption() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => (1..9u8).prop_map(|step| Event::Step(format!("{step} receive subscriber"))),
        1 => Just(Event::Stopped),
        1 => Just(Event::Broken("for a reason".into())),
        1 => Just(Event::Unreachable("publisher".into())),
        1 => Just(Event::Withheld("publisher".into(), "PUBLISH at QoS 2".into())),
        1 => Just(Event::Undecodable("subscriber".into(), vec![0xf7], String::new())),
    ]
}

fn id() -> impl Strategy<Value = u16> {
    1..5u16
}

fn packet() -> impl Strategy<Value = Packet> {
    let code = || select(&[0u8, 0, 1, 2, 0x80, 0x97][..]);
    let topic = || select(&["t", "u", "fence0"][..]);
    let connect = (any::<bool>(), any::<bool>(), of(0..2u32)).prop_map(|(old, clean, session_expiry)| {
        let protocol = if old { Protocol::V3 } else { Protocol::V5 };
        Packet::Connect(Connect { clean, session_expiry, ..Connect::new(protocol, "c") })
    });
    let connack = (any::<bool>(), select(&[0u8, 0, 0, 0x87][..]), of(0..2u32)).prop_map(
        |(session_present, code, session_expiry)| {
            Packet::Connack(Connack { session_present, code, session_expiry, ..Connack::default() })
        },
    );
    let filters = (id(), topic(), 0..3u8, topic()).prop_map(|(id, first, qos, second)| {
        let filters = vec![Filter::new(first, qos), Filter::new(second, 1)];
        Packet::Subscribe(Subscribe { id, subscription_id: None, filters })
    });
    prop_oneof![
        2 => connect,
        2 => connack,
        8 => publish().prop_map(Packet::Publish),
        8 => (select(&AckKind::ALL[..]), id(), code())
            .prop_map(|(kind, id, reason)| Packet::Ack(Ack { kind, id, reason })),
        1 => filters,
        1 => (id(), code(), code()).prop_map(|(id, one, other)| Packet::Suback(Suback { id, codes: vec![one, other] })),
        1 => (id(), topic())
            .prop_map(|(id, topic)| Packet::Unsubscribe(Unsubscribe { id, filters: vec![topic.into()] })),
        1 => id().prop_map(|id| Packet::Unsuback(Unsuback { id, codes: Vec::new() })),
        1 => Just(Packet::Pingreq),
        1 => Just(Packet::Pingresp),
        1 => code().prop_map(Packet::disconnect),
    ]
}

prop_compose! {
    fn publish()(
        (dup, retain) in any::<(bool, bool)>(),
        qos in 0..3u8,
        topic in select(&["t", "t", "u", "fence0"][..]),
        id in id(),
        payload in select(&["m1", "m2", "m3", "loop1", "fence1", "?"][..]),
    ) -> Publish {
        let id = if qos > 0 { id } else { 0 };
        Publish { dup, qos, retain, topic: topic.into(), id, payload: payload.into(), ..Publish::default() }
    }
}
