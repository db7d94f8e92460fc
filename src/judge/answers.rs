//! Answers that are missing, refusals, and connections that ended: what kept the experiment from being finished.

use super::finding::{ATTEMPTS_FOR_AN_ABSENCE, Findings, Rule, rule};
use super::story::{Connection, Publication, Story};
use crate::connection::End;
use crate::history::{Awaited, Event, History, Message, PROBE, PROOF_WILL_TOPIC};
use crate::packet::{AckKind, Packet, Protocol};
use crate::results::Verdict;

const ACKS_HAVE_THEIR_ID: Rule = rule("MQTT-2.3.1-6", "MQTT-2.2.1-5");
const SUBACK_HAS_ITS_ID: Rule = rule("MQTT-3.8.4-2", "MQTT-3.8.4-2");
const CLOSES_AFTER_DISCONNECT: Rule = rule("3.14.4", "3.14.4");
const UNANNOUNCED_QOS: Rule = Rule { v3: None, v5: Some("MQTT-3.2.2-9") };
const UNANNOUNCED_RETAIN: Rule = Rule { v3: None, v5: Some("3.2.2.3.5") };

/// A full window holds up PUBLISH packets and nothing else.
const NOTHING_ELSE_WAITS_FOR_THE_WINDOW: Rule = rule("MQTT-3.12.4-1", "MQTT-3.3.4-10");
const ANSWER_OF_THE_QOS: Rule = rule("MQTT-3.3.4-1", "MQTT-3.3.4-1");

/// The rule that a missing answer breaks, if the broker shows that it read what it did not answer.
fn rule_of_answer(packet: &str) -> Option<Rule> {
    Some(match packet {
        "SUBACK" => rule("MQTT-3.8.4-1", "MQTT-3.8.4-1"),
        "PUBACK" | "PUBREC" => rule("MQTT-3.3.4-1", "MQTT-3.3.4-1"),
        "PUBREL" => rule("MQTT-4.3.3-1", "MQTT-4.3.3-4"),
        "PUBCOMP" => rule("MQTT-4.3.3-2", "MQTT-4.3.3-11"),
        "UNSUBACK" => rule("MQTT-3.10.4-4", "MQTT-3.10.4-4"),
        "PINGRESP" => rule("MQTT-3.12.4-1", "MQTT-3.12.4-1"),
        _ => return None,
    })
}

pub fn check(history: &History, story: &Story, findings: &mut Findings) {
    // What is no packet is no refusal of a version.
    let refused = |connection: &&Connection| connection.client.as_ref() == PROBE && connection.undecodable.is_none();
    if let Some(connection) = story.connections.iter().find(refused) {
        findings.limit(Verdict::Unsupported, format!("protocol {}: {}", connection.protocol(), refusal(connection)));
        return;
    }
    for event in history.events() {
        match event {
            Event::Withheld(client, what) => {
                findings.limit(Verdict::Unsupported, format!("the broker does not take from {client} a {what}"));
            }
            Event::Unreachable(client) => findings.limit(Verdict::Error, format!("no connection for {client}")),
            Event::Broken(why) => findings.limit(Verdict::Error, format!("broken off: {why}")),
            _ => {}
        }
    }
    for connection in &story.connections {
        missing(history, story, connection, findings);
        refusals(story, connection, findings);
        ended(story, connection, findings);
    }
    refused_publications(story, findings);
    misanswered(story, findings);
}

/// A PUBACK for a PUBLISH at QoS 2. A broker that does so once does it each time.
fn misanswered(story: &Story, findings: &mut Findings) {
    let Some(publication) = story.publications.iter().find(|publication| publication.misanswered.is_some()) else {
        return;
    };
    let protocol = story.connections_of(&publication.publisher).next().map_or(Protocol::V3, Connection::protocol);
    let mut events = vec![publication.at];
    events.extend(publication.misanswered);
    let expected = format!("PUBREC for {}, which was published at QoS 2", publication.message);
    findings.broken(protocol, ANSWER_OF_THE_QOS, &events, expected, "PUBACK");
}

/// How the broker refused the protocol version, seen before the first cell.
fn refusal(connection: &Connection) -> String {
    match (&connection.connack, connection.ended) {
        (Some((_, connack)), _) => format!("refused with CONNACK {:#04x}", connack.code),
        (None, Some((_, End::Reset))) => "the connection was reset without a CONNACK".into(),
        (None, Some((_, End::Fin))) => "the connection was closed without a CONNACK".into(),
        (None, None) => "no answer to CONNECT".into(),
    }
}

/// Answers that did not come before the deadline. That the broker answered a later PINGREQ shows that it is alive, and
/// not that it has given up the answer: brokers answer PINGREQ at once and have others do the rest. So such a finding
/// is an absence like any other, and nothing where the answer came late after all.
fn missing(history: &History, story: &Story, connection: &Connection, findings: &mut Findings) {
    let was_misanswered = |awaited: &Awaited| {
        let of_this = |publication: &&Publication| {
            publication.misanswered.is_some()
                && publication.publisher == connection.client
                && Some(publication.id) == awaited.id()
        };
        matches!(awaited, Awaited::Ack(AckKind::Pubrec, _))
            && story.publications.iter().any(|publication| of_this(&publication))
    };
    for (at, awaited) in connection.missing.iter().filter(|(_, awaited)| !was_misanswered(awaited)) {
        let packet = awaited.name();
        let client = &connection.client;
        let sign = connection.signs_of_life.iter().find(|sign| *sign > at);
        if came_late(history, connection, *at, awaited) {
            findings.limit(Verdict::Inconclusive, format!("{packet} to {client} came only after the deadline"));
            continue;
        }
        match (packet, sign, rule_of_answer(packet)) {
            // The end that another connection, silence or a refusal has to bring is judged with those.
            ("end", _, _) if connection.left_at.is_none() => {}
            ("will", _, _) => {}
            ("end", _, _) => findings.broken_in(
                ATTEMPTS_FOR_AN_ABSENCE,
                connection.protocol(),
                CLOSES_AFTER_DISCONNECT,
                &[*at],
                format!("the broker closes the connection after DISCONNECT from {client}"),
                "it stayed open until the deadline",
            ),
            ("fence", _, _) => {
                findings.limit(Verdict::Inconclusive, format!("no fence reached {client} before the deadline"));
            }
            (_, Some(sign), Some(rule)) => {
                let mut events = vec![*at, *sign];
                let (strays, stray_rule) = match packet {
                    "SUBACK" => (&connection.stray_subacks, SUBACK_HAS_ITS_ID),
                    _ => (&connection.stray_acks, ACKS_HAVE_THEIR_ID),
                };
                let unanswered =
                    connection.deliveries.iter().filter(|d| d.publish.qos > 0 && !d.complete && d.at < *at);
                let is_full = packet == "PINGRESP" && unanswered.count() >= connection.receive_maximum();
                let rule = if is_full { NOTHING_ELSE_WAITS_FOR_THE_WINDOW } else { rule };
                let stray = matches!(packet, "SUBACK" | "PUBACK" | "PUBREC") && !strays.is_empty();
                events.extend(strays.iter().filter(|_| stray));
                let (rule, observed) = match stray {
                    true => (stray_rule, format!("a {packet} with another Packet Identifier")),
                    false => (rule, format!("no {packet} before the deadline, but an answer to a later PINGREQ")),
                };
                // A PUBREL that another one has overtaken will not come: they are in order (MQTT-4.6.0-6, 5.0 -5).
                let overtaken = packet == "PUBREL" && is_overtaken(history, connection, awaited);
                let attempts = if stray || overtaken { 1 } else { ATTEMPTS_FOR_AN_ABSENCE };
                let expected = format!("{packet} to {client}");
                findings.broken_in(attempts, connection.protocol(), rule, &events, expected, observed);
            }
            (_, _, _) => findings.limit(Verdict::Inconclusive, format!("no {packet} to {client} before the deadline")),
        }
    }
}

/// What a client sent and received on one connection, with its places.
fn packets<'a>(
    history: &'a History,
    connection: &'a Connection,
) -> impl Iterator<Item = (usize, bool, &'a Packet)> + Clone {
    let events = history.events().enumerate().skip(connection.opened_at);
    let own = events.filter(|(_, event)| event.client() == Some(&connection.client));
    let until_next = own
        .take_while(|(at, event)| *at == connection.opened_at || !matches!(event, Event::Sent(_, Packet::Connect(_))));
    until_next.filter_map(|(at, event)| match event {
        Event::Sent(_, packet) => Some((at, true, packet)),
        Event::Received(_, packet) => Some((at, false, packet)),
        _ => None,
    })
}

/// The answer is in the history all the same. It stands behind its question if it came in turn, so its place tells
/// nothing.
fn came_late(history: &History, connection: &Connection, missing_at: usize, awaited: &Awaited) -> bool {
    let is_answer = |packet: &Packet| Awaited::of(packet) == Some(*awaited);
    let answers = packets(history, connection).filter(|(_, sent, packet)| !sent && is_answer(packet)).count();
    let questions = packets(history, connection)
        .filter(|(at, sent, packet)| *sent && *at < missing_at && **packet == Packet::Pingreq)
        .count();
    match awaited.id() {
        Some(_) => answers > 0,
        // Which PINGREQ a PINGRESP answers cannot be told.
        None => *awaited == Awaited::Pingresp && answers >= questions,
    }
}

/// A PUBREC that we sent later was answered.
fn is_overtaken(history: &History, connection: &Connection, awaited: &Awaited) -> bool {
    let is_ack = |packet: &Packet, wanted: AckKind| matches!(packet, Packet::Ack(ack) if ack.kind == wanted);
    let mut later = packets(history, connection)
        .filter(|(_, sent, packet)| *sent && is_ack(packet, AckKind::Pubrec))
        .skip_while(|(_, _, packet)| packet.id() != awaited.id())
        .skip(1);
    later.any(|(_, _, pubrec)| {
        packets(history, connection)
            .any(|(_, sent, packet)| !sent && is_ack(packet, AckKind::Pubrel) && packet.id() == pubrec.id())
    })
}

/// CONNACK and SUBACK that refuse.
fn refusals(story: &Story, connection: &Connection, findings: &mut Findings) {
    let client = &connection.client;
    let refusing = connection.connack.as_ref().filter(|(_, connack)| connack.code != 0);
    if let Some((_, connack)) = refusing.filter(|_| !connection.is_refused_by_rule()) {
        refused_connect(story, connection, connack.code, findings);
    }
    for subscribe in &connection.subscribes {
        if let Some((_, code)) = subscribe.suback.filter(|(_, code)| *code >= 0x80) {
            findings.limit(Verdict::Unsupported, format!("SUBSCRIBE of {client} was refused with SUBACK {code:#04x}"));
        }
    }
    let granted_0 = connection.connack.as_ref().is_some_and(|(_, connack)| connack.session_expiry == Some(0));
    if granted_0 && connection.connect.session_expiry.is_some_and(|asked| asked > 0) {
        findings.limit(Verdict::Unsupported, "sessions: the broker granted a Session Expiry Interval of 0");
    }
}

/// A CONNECT was refused: for its will, if the same client was let in without it.
fn refused_connect(story: &Story, connection: &Connection, code: u8, findings: &mut Findings) {
    let client = &connection.client;
    let mut later = story.connections_of(client).filter(|other| other.opened_at > connection.opened_at);
    let let_in = later.next().filter(|other| other.is_accepted() && other.opened_in == connection.opened_in);
    match (&connection.connect.will, let_in) {
        // A will that only proves the end of a connection does so at QoS 0 too.
        (Some(will), Some(_)) if will.topic == PROOF_WILL_TOPIC => {}
        (Some(will), Some(_)) => {
            let (qos, retain) = (will.qos, u8::from(will.retain));
            let how = format!("refused with CONNACK {code:#04x}, and let in without it");
            let what = format!("a will at QoS {qos} with Will Retain {retain}: {client} was {how}");
            findings.limit(Verdict::Unsupported, what);
        }
        _ => {
            findings.limit(Verdict::Inconclusive, format!("CONNECT of {client} was refused with CONNACK {code:#04x}"));
        }
    }
}

/// A PUBACK or PUBREC that refuses. Quota exceeded behind accepted messages is a full queue.
fn refused_publications(story: &Story, findings: &mut Findings) {
    let Some(refused) = story.publications.iter().find(|publication| publication.refused.is_some()) else { return };
    let Some((_, code)) = refused.refused else { return };
    let is_of_experiment = |publication: &&Publication| matches!(publication.message, Message::Experiment(_));
    let accepted = story.publications.iter().filter(is_of_experiment).any(|publication| publication.accepted.is_some());
    if code == 0x97 && accepted {
        findings.choice("queue_full", "refuse");
    } else {
        let answer = if refused.qos == 1 { "PUBACK" } else { "PUBREC" };
        let message = refused.message;
        findings.limit(Verdict::Unsupported, format!("{message} was refused with {answer} {code:#04x}"));
    }
}

/// Connections that the broker ended, or that brought no packets.
fn ended(story: &Story, connection: &Connection, findings: &mut Findings) {
    let client = &connection.client;
    if let Some(at) = connection.undecodable {
        let reason = format!("{client} received bytes that are no packet (event {})", at + 1);
        findings.limit(Verdict::Inconclusive, reason);
    }
    if let Some((_, code @ (0x9a | 0x9b | 0x87), _)) = connection.dismissed {
        findings.limit(Verdict::Unsupported, format!("{client} was sent DISCONNECT {code:#04x}"));
        return;
    }
    if !connection.was_cut() {
        return;
    }
    let how = match connection.ended {
        Some((_, End::Reset)) => "reset",
        _ => "closed",
    };
    match refused_feature(story, connection) {
        Some((publication, control)) => unannounced(connection, publication, control, findings),
        None => findings.limit(Verdict::Inconclusive, format!("the broker {how} the connection of {client}")),
    }
}

/// The PUBLISH on which the broker ended the connection, and the accepted control of the same publisher on the same
/// topic without the feature.
fn refused_feature<'a>(story: &'a Story, connection: &Connection) -> Option<(&'a Publication, &'a Publication)> {
    let (ended_at, _) = connection.ended?;
    let own = |publication: &&Publication| publication.publisher == connection.client;
    // Without a feature that could be refused the close means something else.
    let first =
        story.publications.iter().filter(own).filter(|publication| publication.at < ended_at).find(|publication| {
            let has_feature = publication.qos > 0 || publication.retain;
            publication.at > connection.opened_at && publication.accepted.is_none() && has_feature
        })?;
    let control = story.publications.iter().filter(own).find(|publication| {
        publication.at > ended_at && publication.topic == first.topic && publication.accepted.is_some()
    });
    Some((first, control?))
}

/// The broker takes the same message without RETAIN, or at QoS 0: so it does not support the feature.
fn unannounced(connection: &Connection, publication: &Publication, control: &Publication, findings: &mut Findings) {
    let (feature, rule) = match publication.retain && control.qos == publication.qos {
        true => ("RETAIN 1".to_owned(), UNANNOUNCED_RETAIN),
        false => (format!("QoS {}", publication.qos), UNANNOUNCED_QOS),
    };
    let how = "the broker closed the connection on it and accepted the same message without it";
    findings.limit(Verdict::Unsupported, format!("{feature}: {how}"));
    if connection.protocol() == Protocol::V5 {
        let expected = format!("{feature} is taken, or announced in CONNACK as not supported");
        findings.broken(Protocol::V5, rule, &[publication.at, control.at], expected, how);
    }
}
