//! Alterations of what a client received: each breaks a MUST, whatever else the broker may be allowed.

use mqtt_sessions::history::{Awaited, Event, History, Message};
use mqtt_sessions::packet::{AckKind, Packet, Protocol, Publish, Values};

use super::alteration::{Alteration, UNUSED_ID, ack_kind, end_of_step};
use super::reading::{Publication, Reading, Received};

/// The altered histories that one kind of alteration makes of a history.
pub type Alter = fn(&Reading) -> Vec<History>;

pub const ALTERATIONS: &[(&str, Alter)] = &[
    ("another QoS", another_qos),
    ("RETAIN 1 on a message without it", retain_set),
    ("RETAIN 0 on a retained copy", retain_cleared_on_retained_copy),
    ("RETAIN 0 in spite of Retain As Published", retain_cleared_as_published),
    ("DUP 1 at QoS 0", dup_at_qos_0),
    ("DUP 1 on a first copy", dup_on_first_copy),
    ("DUP 0 on what is sent again", dup_cleared),
    ("another identifier on what is sent again", another_identifier),
    ("an identifier in use", identifier_in_use),
    ("a message lost before its fence", lost),
    ("another payload", another_payload),
    ("another topic", another_topic),
    ("a wildcard in the topic", wildcard_in_topic),
    ("two messages swapped", swapped),
    ("no PUBREL", no_pubrel),
    ("PUBLISH in the place of PUBREL", publish_for_pubrel),
    ("a QoS 2 message twice", doubled_qos_2),
    ("a QoS 1 message twice in 5.0", doubled_qos_1),
    ("a retained copy twice", doubled_retained_copy),
];

/// The QoS at which a message was published, also as a will.
fn published_qos(reading: &Reading, message: Option<Message>) -> Option<u8> {
    if let Some(publication) = reading.publication(message) {
        return Some(publication.publish.qos);
    }
    let will = |connect: &mqtt_sessions::packet::Connect| connect.will.clone();
    let wills = reading.connections.iter().filter_map(|connection| will(&connection.connect));
    wills.filter(|will| Message::of(&will.payload) == message).map(|will| will.qos).next()
}

fn is_ours(copy: &Received) -> bool {
    matches!(copy.message, Some(Message::Experiment(_) | Message::Will(_)))
}

/// True if the client has seen everything that was sent to this session: no connection broke.
fn nothing_unseen(reading: &Reading, session: &str) -> bool {
    let own = reading.connections.iter().filter(|connection| connection.session == session);
    own.clone().all(|connection| connection.left || connection.end_at == usize::MAX)
}

fn is_only_copy(reading: &Reading, copy: &Received) -> bool {
    reading.copies_of(&copy.session, copy.message).count() == 1
}

fn another_qos(reading: &Reading) -> Vec<History> {
    let mut altered = Vec::new();
    for copy in reading.copies.iter().filter(|copy| is_ours(copy) && copy.complete && !copy.publish.dup) {
        let (Some(published), Some((subscribing, _))) =
            (published_qos(reading, copy.message), reading.only_subscription(&copy.session))
        else {
            continue;
        };
        let right = published.min(subscribing.codes[0]);
        if copy.publish.qos == right && is_only_copy(reading, copy) && nothing_unseen(reading, &copy.session) {
            let wrong = (0..=2).filter(|qos| *qos != right);
            altered.extend(wrong.map(|qos| Alteration::of(reading).with_qos(copy, qos).history()));
        }
    }
    altered
}

fn with_retain(reading: &Reading, copy: &Received, retain: bool) -> History {
    Alteration::of(reading).change_publish(copy.at, |publish| publish.retain = retain).history()
}

fn retain_set(reading: &Reading) -> Vec<History> {
    let of_will = |message| {
        let wills = reading.connections.iter().filter_map(|connection| connection.connect.will.as_ref());
        wills.filter(|will| Message::of(&will.payload) == message).map(|will| will.retain).next()
    };
    let published_with = |message| reading.publication(message).map(|publication| publication.publish.retain);
    let plain = |copy: &&Received| published_with(copy.message).or(of_will(copy.message)) == Some(false);
    let copies = reading.copies.iter().filter(|copy| is_ours(copy) && !copy.publish.retain);
    copies.filter(plain).map(|copy| with_retain(reading, copy, true)).collect()
}

/// Everything of the message was over before the session had a subscription: only a SUBSCRIBE can bring it.
fn is_surely_retained(reading: &Reading, copy: &Received) -> bool {
    let first = reading.filters(&copy.session).iter().map(|(subscribing, _)| subscribing.step).min();
    let Some(publication) = reading.publication(copy.message) else { return false };
    copy.publish.retain && first.is_some_and(|first| reading.is_over(publication, first))
}

fn retain_cleared_on_retained_copy(reading: &Reading) -> Vec<History> {
    let copies = reading.of_experiment().filter(|copy| is_surely_retained(reading, copy));
    copies.map(|copy| with_retain(reading, copy, false)).collect()
}

fn retain_cleared_as_published(reading: &Reading) -> Vec<History> {
    let kept = |copy: &&Received| {
        let filters = reading.filters(&copy.session);
        let all = !filters.is_empty() && filters.iter().all(|(_, filter)| filter.retain_as_published);
        let published = reading.publication(copy.message).is_some_and(|publication| publication.publish.retain);
        copy.publish.retain && all && published
    };
    reading.of_experiment().filter(kept).map(|copy| with_retain(reading, copy, false)).collect()
}

fn with_dup(reading: &Reading, copy: &Received, dup: bool) -> History {
    Alteration::of(reading).change_publish(copy.at, |publish| publish.dup = dup).history()
}

fn dup_at_qos_0(reading: &Reading) -> Vec<History> {
    reading.of_experiment().filter(|copy| copy.publish.qos == 0).map(|copy| with_dup(reading, copy, true)).collect()
}

fn dup_on_first_copy(reading: &Reading) -> Vec<History> {
    let first = |copy: &&Received| {
        let published_here = reading
            .publication(copy.message)
            .is_some_and(|publication| publication.step > reading.connections[copy.connection].step);
        let before = reading.copies_of(&copy.session, copy.message).any(|other| other.at < copy.at);
        published_here && !before && copy.publish.qos > 0 && !copy.publish.dup
    };
    reading.of_experiment().filter(first).map(|copy| with_dup(reading, copy, true)).collect()
}

/// The copies that come again on a resumed session because the client has acknowledged nothing of them.
fn sent_again(reading: &Reading) -> impl Iterator<Item = &Received> {
    reading.of_experiment().filter(|copy| {
        let before = |other: &Received| {
            let same = other.publish.id == copy.publish.id && other.publish.qos == copy.publish.qos;
            same && other.connection < copy.connection && other.acks.is_empty()
        };
        let resumed = reading.connections[copy.connection].session_present;
        copy.publish.dup && resumed && reading.copies_of(&copy.session, copy.message).any(before)
    })
}

fn dup_cleared(reading: &Reading) -> Vec<History> {
    sent_again(reading).map(|copy| with_dup(reading, copy, false)).collect()
}

fn another_identifier(reading: &Reading) -> Vec<History> {
    let plain = |copy: &&Received| {
        let once = reading.publication(copy.message).is_some_and(|publication| publication.sendings == 1);
        once && reading.only_subscription(&copy.session).is_some()
    };
    let renumbered = |copy: &Received| {
        let all = copy.acks.iter().chain([&copy.at]);
        all.fold(Alteration::of(reading), |alteration, at| {
            alteration.change(*at, |packet| packet.id_mut().into_iter().for_each(|id| *id = UNUSED_ID))
        })
    };
    sent_again(reading).filter(plain).map(|copy| renumbered(copy).history()).collect()
}

fn identifier_in_use(reading: &Reading) -> Vec<History> {
    let open = |copy: &&Received| copy.publish.qos > 0 && copy.acks.is_empty() && is_ours(copy);
    let mut altered = Vec::new();
    for copy in reading.copies.iter().filter(open) {
        let before = |other: &&Received| {
            other.connection == copy.connection && other.at < copy.at && other.message != copy.message
        };
        if let Some(other) = reading.copies.iter().filter(open).find(before) {
            let id = other.publish.id;
            altered.push(Alteration::of(reading).change_publish(copy.at, |publish| publish.id = id).history());
        }
    }
    altered
}

/// The first and only copies that have to come, each with a fence behind it on the same connection.
fn fenced(reading: &Reading) -> impl Iterator<Item = &Received> {
    reading.of_experiment().filter(|copy| {
        let Some((subscribing, filter)) = reading.only_subscription(&copy.session) else { return false };
        let Some(publication) = reading.publication(copy.message) else { return false };
        let is_due = publication.sendings == 1
            && publication.publish.qos > 0
            && publication.accepted_step.is_some()
            && publication.publish.properties.message_expiry.is_none()
            && publication.step > subscribing.step
            && subscribing.codes[0] > 0
            && !filter.no_local;
        let later = reading.connections.iter().enumerate().filter(|(place, connection)| {
            connection.session == copy.session && *place > subscribing.connection && *place <= copy.connection
        });
        let is_kept = later.clone().all(|(_, connection)| connection.session_present);
        let is_small = |connection: &super::reading::Connection| connection.connect.maximum_packet_size.is_some();
        let plain = copy.complete && !copy.publish.dup && is_only_copy(reading, copy);
        let takes_all = !reading.connections.iter().any(is_small);
        plain && is_due && is_kept && takes_all && has_fence(reading, copy, publication)
    })
}

fn has_fence(reading: &Reading, copy: &Received, publication: &Publication) -> bool {
    reading.copies.iter().any(|other| {
        let fence = reading.publication(other.message);
        let same_lane = fence.is_some_and(|fence| {
            fence.session == publication.session
                && fence.publish.topic == publication.publish.topic
                && fence.publish.qos == publication.publish.qos
                && fence.step > publication.step
        });
        let is_fence = matches!(other.message, Some(Message::Fence(_)));
        is_fence && same_lane && other.connection == copy.connection && other.at > copy.at && other.publish.qos > 0
    })
}

fn lost(reading: &Reading) -> Vec<History> {
    let without = |copy: &Received| {
        let all = copy.acks.iter().chain([&copy.at]);
        all.fold(Alteration::of(reading), |alteration, at| alteration.remove(*at)).history()
    };
    fenced(reading).map(without).collect()
}

fn another_payload(reading: &Reading) -> Vec<History> {
    let changed = |copy: &Received| {
        let payload = [b"?", &copy.publish.payload[..]].concat();
        Alteration::of(reading).change_publish(copy.at, |publish| publish.payload = payload).history()
    };
    fenced(reading).map(changed).collect()
}

fn with_topic(reading: &Reading, copy: &Received, topic: &str) -> History {
    Alteration::of(reading).change_publish(copy.at, |publish| publish.topic = topic.into()).history()
}

fn another_topic(reading: &Reading) -> Vec<History> {
    fenced(reading).map(|copy| with_topic(reading, copy, "elsewhere")).collect()
}

fn wildcard_in_topic(reading: &Reading) -> Vec<History> {
    let named = |copy: &&Received| !copy.publish.topic.is_empty();
    reading.of_experiment().filter(named).map(|copy| with_topic(reading, copy, "+")).collect()
}

fn swapped(reading: &Reading) -> Vec<History> {
    let single = |copy: &&Received| {
        let plain = Values { subscription_ids: Vec::new(), ..Values::clone(&copy.publish.properties) };
        let bare = plain == Values::default() && !copy.publish.dup && copy.publish.qos > 0;
        bare && is_only_copy(reading, copy)
            && reading.only_subscription(&copy.session).is_some()
            && nothing_unseen(reading, &copy.session)
    };
    let copies: Vec<&Received> = reading.of_experiment().filter(single).collect();
    let mut altered = Vec::new();
    for (one, other) in copies.iter().zip(copies.iter().skip(1)) {
        let (Some(first), Some(second)) = (reading.publication(one.message), reading.publication(other.message)) else {
            continue;
        };
        let same_lane = first.session == second.session
            && first.publish.topic == second.publish.topic
            && first.publish.qos == second.publish.qos
            && one.connection == other.connection
            && (one.publish.qos, one.publish.retain) == (other.publish.qos, other.publish.retain)
            && !is_surely_retained(reading, one)
            && !one.publish.retain;
        let in_order = first.at < second.at
            && first.sendings + second.sendings == 2
            && (first.publish.qos < 2 || first.released_at.is_some() && first.released_at < second.released_at);
        if same_lane && in_order {
            let (payload, other_payload) = (one.publish.payload.clone(), other.publish.payload.clone());
            let swapped = Alteration::of(reading).change_publish(one.at, |publish| publish.payload = other_payload);
            altered.push(swapped.change_publish(other.at, |publish| publish.payload = payload).history());
        }
    }
    altered
}

/// The copies with the whole handshake of QoS 2.
fn in_full_at_qos_2(reading: &Reading) -> impl Iterator<Item = &Received> {
    let kinds = |copy: &Received| copy.acks.iter().filter_map(|at| ack_kind(reading, *at)).collect::<Vec<_>>();
    reading.of_experiment().filter(move |copy| kinds(copy) == [AckKind::Pubrec, AckKind::Pubrel, AckKind::Pubcomp])
}

fn no_pubrel(reading: &Reading) -> Vec<History> {
    let mut altered = Vec::new();
    for copy in in_full_at_qos_2(reading) {
        let end = end_of_step(reading, copy.acks[0]);
        let connection = &reading.connections[copy.connection];
        // The client waits for it and asks for a sign of life.
        let stays = connection.end_at >= end && copy.acks.iter().all(|at| *at < end);
        if !stays {
            continue;
        }
        let client = connection.client.as_str();
        let without = Alteration::of(reading).remove(copy.acks[1]).remove(copy.acks[2]);
        let asked = [
            Event::Missing(client.into(), Awaited::Ack(AckKind::Pubrel, copy.publish.id)),
            Event::Sent(client.into(), Packet::Pingreq),
            Event::Received(client.into(), Packet::Pingresp),
        ];
        altered.push(without.insert(end, copy.at, asked).history());
    }
    altered
}

/// A client stopped behind PUBREL, and the PUBLISH comes again all the same.
fn publish_for_pubrel(reading: &Reading) -> Vec<History> {
    let mut altered = Vec::new();
    for copy in reading.of_experiment() {
        let kinds: Vec<AckKind> = copy.acks.iter().filter_map(|at| ack_kind(reading, *at)).collect();
        if kinds != [AckKind::Pubrec, AckKind::Pubrel] {
            continue;
        }
        let entries = &reading.history.entries;
        let next = reading.connections.iter().find(|connection| {
            connection.session == copy.session
                && connection.connect_at > reading.connections[copy.connection].connect_at
        });
        let Some(next) = next.filter(|next| next.session_present) else { continue };
        let is_release = |at: &usize| {
            let event = &entries[*at].event;
            let pubrel = Packet::ack(AckKind::Pubrel, copy.publish.id);
            *event == Event::Received(next.client.as_str().into(), pubrel)
        };
        let Some(at) = (next.connect_at..next.end_at.min(entries.len())).find(is_release) else { continue };
        let again = Publish { dup: true, ..copy.publish.clone() };
        let again = Event::Received(next.client.as_str().into(), Packet::Publish(again));
        let pubrec = Event::Sent(next.client.as_str().into(), Packet::ack(AckKind::Pubrec, copy.publish.id));
        altered.push(Alteration::of(reading).insert(at, at, [again, pubrec]).history());
    }
    altered
}

/// The message comes once more behind the copy, as a delivery of its own.
fn doubled(reading: &Reading, copy: &Received) -> History {
    let behind = copy.acks.last().map_or(copy.at, |at| *at) + 1;
    let again = Publish { id: if copy.publish.qos == 0 { 0 } else { UNUSED_ID }, ..copy.publish.clone() };
    Alteration::of(reading).deliver(behind, copy.at, again).history()
}

/// True if there is one reason for one copy of the message, which is not a retained one.
fn has_one_reason(reading: &Reading, copy: &Received) -> bool {
    let once = reading
        .publication(copy.message)
        .is_some_and(|publication| publication.sendings == 1 && !publication.publish.retain);
    let plain = copy.complete && !copy.publish.dup && is_only_copy(reading, copy);
    plain && once && reading.only_subscription(&copy.session).is_some() && nothing_unseen(reading, &copy.session)
}

fn doubled_qos_2(reading: &Reading) -> Vec<History> {
    let copies = in_full_at_qos_2(reading).filter(|copy| has_one_reason(reading, copy));
    copies.map(|copy| doubled(reading, copy)).collect()
}

fn doubled_qos_1(reading: &Reading) -> Vec<History> {
    let of_5 = |copy: &&Received| copy.publish.qos == 1 && reading.protocol(copy) == Protocol::V5;
    let copies = reading.of_experiment().filter(of_5).filter(|copy| has_one_reason(reading, copy));
    copies.map(|copy| doubled(reading, copy)).collect()
}

fn doubled_retained_copy(reading: &Reading) -> Vec<History> {
    let once = |copy: &&Received| {
        let single = is_only_copy(reading, copy) && reading.only_subscription(&copy.session).is_some();
        is_surely_retained(reading, copy) && single && !copy.publish.dup && nothing_unseen(reading, &copy.session)
    };
    in_full_at_qos_2(reading).filter(once).map(|copy| doubled(reading, copy)).collect()
}
