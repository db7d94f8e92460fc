//! Any event with any packet, as far as the text form has to carry it.

use mqtt_sessions::connection::End;
use mqtt_sessions::history::{Awaited, Client, Entry, Event, Excess, Time};
use mqtt_sessions::packet::{
    Ack, AckKind, Connack, Connect, Filter, Packet, Properties, Protocol, Publish, Suback, Subscribe, Unsuback,
    Unsubscribe, Values, Will,
};
use mqtt_sessions::scenario::Timer;
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;

/// An event with or without its time and the number of its connection.
pub fn entry() -> impl Strategy<Value = Entry> {
    (of(any::<u32>()), of(any::<u32>()), event()).prop_map(|(time, connection, event)| Entry {
        time: time.map(|tenths| Time(tenths.into())),
        connection: connection.filter(|_| event.client().is_some()),
        event,
        raw: None,
    })
}

pub fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        1 => any::<u32>().prop_map(Event::Attempt),
        1 => words().prop_map(Event::Step),
        1 => words().prop_map(Event::Broken),
        1 => any::<u32>().prop_map(Event::Late),
        1 => Just(Event::Stopped),
        8 => (client(), packet()).prop_map(|(client, packet)| Event::Sent(client, packet)),
        8 => (client(), packet()).prop_map(|(client, packet)| Event::Received(client, packet)),
        4 => observed(),
    ]
}

/// What is no packet.
fn observed() -> impl Strategy<Value = Event> {
    prop_oneof![
        (client(), end()).prop_map(|(client, end)| Event::Ended(client, end)),
        (client(), end()).prop_map(|(client, end)| Event::Closed(client, end)),
        (client(), vec(any::<u8>(), 0..9), words())
            .prop_map(|(client, bytes, why)| Event::Undecodable(client, bytes, why)),
        (client(), awaited()).prop_map(|(client, awaited)| Event::Missing(client, awaited)),
        client().prop_map(Event::Unreachable),
        client().prop_map(Event::Settled),
        (client(), timer(), any::<u32>(), any::<bool>()).prop_map(|(client, timer, seconds, passed)| Event::Timed {
            client,
            timer,
            seconds,
            passed
        }),
        (client(), words()).prop_map(|(client, what)| Event::Withheld(client, what)),
        (client(), excess()).prop_map(|(client, excess)| Event::WithoutEnd(client, excess)),
    ]
}

fn excess() -> impl Strategy<Value = Excess> {
    prop_oneof![
        any::<usize>().prop_map(Excess::Packet),
        any::<usize>().prop_map(Excess::Packets),
        any::<usize>().prop_map(Excess::Copies),
    ]
}

pub fn awaited() -> impl Strategy<Value = Awaited> {
    (any::<u16>(), 0..9usize).prop_map(|(id, which)| match which {
        0 => Awaited::Connack,
        1 => Awaited::Suback(id),
        2 => Awaited::Unsuback(id),
        3..6 => Awaited::Ack(AckKind::ALL[which - 2], id),
        6 => Awaited::Pingresp,
        7 => Awaited::ConnectionEnd,
        _ => Awaited::Fence,
    })
}

fn timer() -> impl Strategy<Value = Timer> {
    select(&[Timer::SessionExpiry, Timer::MessageExpiry, Timer::WillDelay, Timer::KeepAlive][..])
}

/// The name of a client as a scenario may have it.
fn client() -> impl Strategy<Value = Client> {
    let reserved = ["attempt", "step", "broken", "late"];
    "[a-z][a-z0-9_]{0,19}"
        .prop_filter("reserved", move |name| !reserved.contains(&name.as_str()))
        .prop_map(Client::from)
}

/// Words at the end of a line: with anything in them.
fn words() -> impl Strategy<Value = String> {
    prop_oneof!["[ -~]{0,12}", "[\r\n\t%0-9a-f\u{1b}\u{85}\u{202e}é]{0,6}", any::<String>()]
}

/// Text with anything in it that is a character.
fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z/+#$]{0,8}", any::<String>(), "[ =%,\n0-9a-f]{0,6}"]
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof!["m[1-9]".prop_map(String::into_bytes), vec(any::<u8>(), 0..9)]
}

pub fn packet() -> impl Strategy<Value = Packet> {
    let codes = || vec(any::<u8>(), 0..4);
    prop_oneof![
        connect().prop_map(Packet::Connect),
        connack().prop_map(Packet::Connack),
        publish().prop_map(Packet::Publish),
        (select(&AckKind::ALL[..]), any::<u16>(), any::<u8>()).prop_map(|(kind, id, reason)| Packet::Ack(Ack {
            kind,
            id,
            reason
        })),
        (any::<u16>(), of(any::<u32>()), vec(filter(), 0..4))
            .prop_map(|(id, subscription_id, filters)| Packet::Subscribe(Subscribe { id, subscription_id, filters })),
        (any::<u16>(), codes()).prop_map(|(id, codes)| Packet::Suback(Suback { id, codes })),
        (any::<u16>(), vec(text(), 0..4)).prop_map(|(id, filters)| Packet::Unsubscribe(Unsubscribe { id, filters })),
        (any::<u16>(), codes()).prop_map(|(id, codes)| Packet::Unsuback(Unsuback { id, codes })),
        Just(Packet::Pingreq),
        Just(Packet::Pingresp),
        (any::<u8>(), of(any::<u32>()))
            .prop_map(|(reason, session_expiry)| Packet::Disconnect { reason, session_expiry }),
        any::<u8>().prop_map(|reason| Packet::Auth { reason }),
    ]
}

fn filter() -> impl Strategy<Value = Filter> {
    (text(), any::<u8>(), any::<bool>(), any::<bool>(), 0..3u8).prop_map(
        |(filter, qos, no_local, retain_as_published, retain_handling)| Filter {
            no_local,
            retain_as_published,
            retain_handling,
            ..Filter::new(filter, qos)
        },
    )
}

prop_compose! {
    fn will()(topic in text(), payload in bytes(), qos: u8, retain: bool, delay in of(any::<u32>())) -> Will {
        Will { topic, payload, qos, retain, delay }
    }
}

prop_compose! {
    // Credentials are never part of the text form.
    fn connect()(
        protocol in select(&Protocol::ALL[..]),
        clean: bool,
        session_expiry in of(any::<u32>()),
        receive_maximum in of(any::<u16>()),
        maximum_packet_size in of(any::<u32>()),
        topic_alias_maximum in of(any::<u16>()),
        keep_alive: u16,
        client_id in text(),
        will in of(will()),
    ) -> Connect {
        Connect {
            clean,
            session_expiry,
            receive_maximum,
            maximum_packet_size,
            topic_alias_maximum,
            keep_alive,
            will,
            ..Connect::new(protocol, client_id)
        }
    }
}

prop_compose! {
    fn connack()(
        (session_present, code) in any::<(bool, u8)>(),
        session_expiry in of(any::<u32>()),
        receive_maximum in of(any::<u16>()),
        maximum_qos in of(any::<u8>()),
        retain_available in of(any::<bool>()),
        assigned_client_id in of(text()),
        authentication_method in of(text()),
        server_keep_alive in of(any::<u16>()),
        maximum_packet_size in of(any::<u32>()),
        topic_alias_maximum in of(any::<u16>()),
        (wildcards_available, subscription_ids_available, shared_available) in any::<[Option<bool>; 3]>()
            .prop_map(|[wildcards, ids, shared]| (wildcards, ids, shared)),
    ) -> Connack {
        Connack {
            session_present,
            code,
            session_expiry,
            receive_maximum,
            maximum_qos,
            retain_available,
            assigned_client_id,
            authentication_method,
            server_keep_alive,
            maximum_packet_size,
            topic_alias_maximum,
            wildcards_available,
            subscription_ids_available,
            shared_available,
        }
    }
}

prop_compose! {
    fn properties()(
        payload_format in of(any::<u8>()),
        message_expiry in of(any::<u32>()),
        topic_alias in of(any::<u16>()),
        content_type in of(text()),
        response_topic in of(text()),
        correlation_data in of(bytes()),
        user in vec((text(), text()), 0..3),
        subscription_ids in vec(any::<u32>(), 0..4),
    ) -> Properties {
        Properties::from(Values {
            payload_format,
            message_expiry,
            topic_alias,
            content_type,
            response_topic,
            correlation_data,
            user,
            subscription_ids,
        })
    }
}

prop_compose! {
    fn publish()(
        (dup, retain) in any::<(bool, bool)>(),
        qos in 0..3u8,
        topic in text(),
        id: u16,
        payload in bytes(),
        properties in prop_oneof![Just(Properties::default()), properties()],
    ) -> Publish {
        Publish { dup, qos, retain, topic, id: if qos > 0 { id } else { 0 }, payload, properties }
    }
}

fn end() -> impl Strategy<Value = End> {
    prop_oneof![
        Just(End::Fin),
        Just(End::Reset),
        Just(End::CloseNotify),
        Just(End::Truncated),
        any::<u8>().prop_map(End::Alert),
        any::<u16>().prop_map(End::Close),
    ]
}
