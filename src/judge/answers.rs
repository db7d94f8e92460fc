//! Answers that are missing, refusals, and connections that ended: what kept the experiment from being finished.

use super::facts::{Connection, Facts, Place, Publication};
use super::finding::{ATTEMPTS_FOR_AN_ABSENCE, Findings, NAMES};
use super::malformed;
use super::rules::{self, Rule};
use super::{faults, strays, unsupported};
use crate::connection::End;
use crate::history::{Awaited, Event, Excess, History, Message, PROBE, PROOF_WILL_TOPIC, WITNESS};
use crate::packet::{AckKind, Packet, Protocol};
use crate::results::Verdict;
use crate::scenario::Timer;

/// The reason code of a PUBACK or PUBREC that says that its Packet Identifier is in use (5.0, section 3.4.2.1).
const IDENTIFIER_IN_USE: u8 = 0x91;
const QUOTA_EXCEEDED: u8 = 0x97;
/// A connection on which nothing came or went for so long was idle.
const IDLE_SECONDS_MIN: f64 = 1.0;

/// The rule that a missing answer breaks, if the broker shows that it read what it did not answer.
fn rule_of_answer(awaited: Awaited) -> Option<Rule> {
    match awaited {
        Awaited::Suback(_) => Some(rules::ANSWERS_SUBSCRIBE),
        Awaited::Unsuback(_) => Some(rules::ANSWERS_UNSUBSCRIBE),
        Awaited::Ack(AckKind::Puback | AckKind::Pubrec, _) => Some(rules::ANSWER_OF_THE_QOS),
        Awaited::Ack(AckKind::Pubrel, _) => Some(rules::ANSWERS_PUBREC),
        Awaited::Ack(AckKind::Pubcomp, _) => Some(rules::ANSWERS_PUBREL),
        Awaited::Pingresp => Some(rules::ANSWERS_PINGREQ),
        Awaited::Connack | Awaited::ConnectionEnd | Awaited::Fence | Awaited::Will => None,
    }
}

pub fn check(history: &History, facts: &Facts, findings: &mut Findings) {
    // Bytes that are no packet are no refusal of a version. Behind the first step of a cell a probe asks for something else.
    let is_refused = |probe: &&Connection| probe.undecodable.is_none() && !probe.is_accepted();
    let mut probes = facts.connections.iter().filter(|connection| connection.client.as_ref() == PROBE);
    if let Some(connection) = probes.find(is_refused).filter(|probe| probe.opened.at <= 1) {
        findings.limit(Verdict::Unsupported, format!("protocol {}: {}", connection.protocol(), refusal(connection)));
        return;
    }
    for event in history.events() {
        match event {
            Event::Withheld(client, what) => {
                findings.limit(Verdict::Unsupported, format!("the broker does not take from {client} a {what}"));
            }
            Event::WithoutEnd(client, excess @ Excess::Packet(_)) => {
                let reason =
                    format!("the broker begins to send {excess} to {client}, and nothing here calls for one so long");
                findings.limit(Verdict::Inconclusive, reason);
            }
            Event::WithoutEnd(client, _) => {
                findings.limit(Verdict::Inconclusive, format!("the broker sends to {client} without end"));
            }
            Event::Unreachable(client) => findings.limit(Verdict::Error, format!("no connection for {client}")),
            Event::Broken(why) => findings.limit(Verdict::Error, format!("broken off: {why}")),
            _ => {}
        }
    }
    malformed::to_the_witness(history, facts, findings);
    for connection in &facts.connections {
        malformed::connack(connection, findings);
        missing(history, facts, connection, findings);
        strays::check(history, connection, findings);
        refusals(facts, connection, findings);
        ended(history, facts, connection, findings);
    }
    refused_publications(facts, findings);
    misanswered(facts, findings);
}

/// A PUBACK for a PUBLISH at QoS 2. A broker that does so once does it each time.
fn misanswered(facts: &Facts, findings: &mut Findings) {
    let wrong = facts.publications.iter().find_map(|publication| Some((publication, publication.misanswered?)));
    let Some((publication, at)) = wrong else { return };
    let protocol = facts.connections_of(&publication.publisher).next().map_or(Protocol::V3, Connection::protocol);
    let finding = findings.broken(rules::ANSWER_OF_THE_QOS, protocol).at([publication.at(), at]);
    let expected = format!("PUBREC for {}, which was published at QoS 2", publication.message);
    finding.expected(expected).observed("PUBACK");
}

/// How the broker refused the protocol version, seen before the first cell.
fn refusal(connection: &Connection) -> String {
    match (&connection.connack, connection.ended) {
        (Some((_, connack)), _) => format!("refused with CONNACK {:#04x}", connack.code),
        (None, Some((_, end))) => format!("the connection was {} without a CONNACK", end.verb()),
        (None, None) => "no answer to CONNECT".into(),
    }
}

/// Answers that did not come before the deadline. That the broker answered a later PINGREQ shows that it is alive, and not that
/// it has given up the answer: brokers answer PINGREQ at once and have others do the rest. So such a finding is an absence like
/// any other, and nothing where the answer came late after all.
fn missing(history: &History, facts: &Facts, connection: &Connection, findings: &mut Findings) {
    let was_misanswered = |awaited: Awaited| {
        let is_it = |p: &Publication| p.publisher == connection.client && Some(p.id) == awaited.id();
        let wrong = |p: &&Publication| p.misanswered.is_some() && is_it(p);
        matches!(awaited, Awaited::Ack(AckKind::Pubrec, _)) && facts.publications.iter().any(|p| wrong(&p))
    };
    for (at, awaited) in connection.missing.iter().filter(|(_, awaited)| !was_misanswered(*awaited)) {
        let (client, name) = (&connection.client, awaited.name());
        if facts.was_late_between(connection.opened.at, *at) {
            findings
                .limit(Verdict::Error, format!("the harness was late, so that no {name} to {client} means nothing"));
            continue;
        }
        if came_late(history, connection, *awaited) {
            findings.limit(Verdict::Inconclusive, format!("{name} to {client} came only after the deadline"));
            continue;
        }
        match (awaited, rule_of_answer(*awaited)) {
            // Wills, and the end that another connection, silence or a refusal has to bring, are judged with those.
            (Awaited::Will, _) => {}
            (Awaited::ConnectionEnd, _) => {
                let Some((left, _)) = connection.left.filter(|(left, _)| left.at < *at) else { continue };
                let finding = findings.broken(rules::CLOSES_AFTER_DISCONNECT, connection.protocol()).span(left.at, *at);
                let expected = format!("the broker closes the connection after DISCONNECT from {client}");
                let finding = finding.after_attempts(ATTEMPTS_FOR_AN_ABSENCE).expected(expected);
                finding.observed("it stayed open until the deadline");
            }
            (Awaited::Connack, _) if may_not_stay_unanswered(connection) && probe_is_let_in(facts, *at) => {
                let finding = findings.broken(rules::ANSWERS_CONNECT, connection.protocol());
                let finding = finding.span(connection.opened.at, *at).after_attempts(ATTEMPTS_FOR_AN_ABSENCE);
                let observed = "neither a CONNACK nor the end of the connection before the deadline, but a CONNACK to a probe behind it";
                finding.expected(format!("CONNACK to {client}")).observed(observed);
            }
            (Awaited::Fence, _) => {
                findings.limit(Verdict::Inconclusive, format!("no fence reached {client} before the deadline"));
            }
            (_, Some(rule))
                if connection.signs.iter().any(|(sign, _)| sign > at)
                    || !strays::of_kind(connection, *awaited).0.is_empty() =>
            {
                unanswered(history, connection, (*at, *awaited), rule, findings);
            }
            (_, _) => findings.limit(Verdict::Inconclusive, format!("no {name} to {client} before the deadline")),
        }
    }
}

/// The broker has to answer the CONNECT, and has not refused it by an end of the connection, late as that may be.
fn may_not_stay_unanswered(connection: &Connection) -> bool {
    !connection.must_be_refused() && connection.ended.is_none()
}

/// The broker answered the CONNECT of a probe behind this entry.
fn probe_is_let_in(facts: &Facts, at: usize) -> bool {
    let behind = facts.connections.iter().filter(|connection| connection.opened.at > at);
    behind.into_iter().any(|connection| connection.client.as_ref() == PROBE && connection.is_accepted())
}

/// The broker is alive, and did not answer, or answered something else.
fn unanswered(
    history: &History,
    connection: &Connection,
    (at, awaited): (usize, Awaited),
    rule: Rule,
    findings: &mut Findings,
) {
    let name = awaited.name();
    let sign = connection.signs.iter().map(|(sign, _)| *sign).find(|sign| *sign > at);
    let (strays, stray_rule) = strays::of_kind(connection, awaited);
    let open = connection.deliveries.iter().filter(|d| !d.is_complete() && d.place.at < at);
    let is_full = awaited == Awaited::Pingresp && open.count() >= connection.receive_maximum();
    let (rule, observed) = match (strays.is_empty(), is_full) {
        (false, _) => (stray_rule.unwrap_or(rule), format!("a {name} with another Packet Identifier")),
        (true, true) => (rules::NOTHING_ELSE_WAITS_FOR_THE_WINDOW, not_before(name)),
        (true, false) => (rule, not_before(name)),
    };
    // A PUBREL that another one has overtaken will not come: they are in order (MQTT-4.6.0-6, 5.0 -5).
    let overtaken = matches!(awaited, Awaited::Ack(AckKind::Pubrel, _)) && is_overtaken(history, connection, awaited);
    let attempts = if !strays.is_empty() || overtaken { 1 } else { ATTEMPTS_FOR_AN_ABSENCE };
    let events = [at].into_iter().chain(sign).chain(strays.iter().copied());
    let calls_for_it =
        |(_, sent, packet): &(usize, bool, &Packet)| *sent && Awaited::answer_to(packet) == Some(awaited);
    let asked = packets(history, connection).take_while(|(index, ..)| *index < at).filter(calls_for_it).last();
    let finding = findings.broken(rule, connection.protocol()).at(events).after_attempts(attempts);
    let finding = finding.span(asked.map_or(connection.opened.at, |(index, ..)| index), at);
    finding.expected(format!("{name} to {}", connection.client)).observed(observed);
}

fn not_before(name: &str) -> String {
    format!("no {name} before the deadline, but an answer to a later packet")
}

/// The packets that a client sent (true) and received (false) on one connection, with their indices.
fn packets<'a>(
    history: &'a History,
    connection: &'a Connection,
) -> impl Iterator<Item = (usize, bool, &'a Packet)> + Clone {
    let events = history.events().enumerate().skip(connection.opened.at);
    let own = events.filter(|(_, event)| event.client() == Some(&connection.client));
    let until_next = own
        .take_while(|(at, event)| *at == connection.opened.at || !matches!(event, Event::Sent(_, Packet::Connect(_))));
    until_next.filter_map(|(at, event)| match event {
        Event::Sent(_, packet) => Some((at, true, packet)),
        Event::Received(_, packet) => Some((at, false, packet)),
        _ => None,
    })
}

/// The answer is in the history all the same. Which PINGREQ a PINGRESP answers cannot be told, so those are counted.
fn came_late(history: &History, connection: &Connection, awaited: Awaited) -> bool {
    let answers =
        packets(history, connection).filter(|(_, sent, packet)| !sent && Awaited::of(packet) == Some(awaited));
    match awaited {
        Awaited::Pingresp => {
            let asked = packets(history, connection).filter(|(_, sent, packet)| *sent && **packet == Packet::Pingreq);
            answers.count() >= asked.count()
        }
        Awaited::Connack | Awaited::Suback(_) | Awaited::Unsuback(_) | Awaited::Ack(..) => answers.count() > 0,
        Awaited::ConnectionEnd | Awaited::Fence | Awaited::Will => false,
    }
}

/// A PUBREC that we sent later was answered.
fn is_overtaken(history: &History, connection: &Connection, awaited: Awaited) -> bool {
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
fn refusals(facts: &Facts, connection: &Connection, findings: &mut Findings) {
    let client = &connection.client;
    let refusing = connection.connack.as_ref().filter(|(_, connack)| connack.code != 0);
    if let Some((_, connack)) = refusing.filter(|_| !connection.is_refused_by_rule()) {
        refused_connect(facts, connection, connack.code, findings);
    }
    for subscribing in &connection.subscribes {
        if let Some((at, code)) = subscribing.suback.filter(|(_, code)| *code >= 0x80) {
            refused(facts, at.at, format!("SUBSCRIBE of {client} was refused with SUBACK {code:#04x}"), findings);
        }
    }
    let granted_0 = connection.connack.as_ref().is_some_and(|(_, connack)| connack.session_expiry == Some(0));
    if granted_0 && connection.connect.session_expiry.is_some_and(|asked| asked > 0) {
        findings.limit(Verdict::Unsupported, "sessions: the broker granted a Session Expiry Interval of 0");
    }
}

/// Something was refused with an answer at this entry: the broker does not take it, unless it was hurt before.
fn refused(facts: &Facts, at: usize, what: String, findings: &mut Findings) {
    if facts.is_behind_an_outage(at) {
        findings.limit(Verdict::Inconclusive, format!("{what}, after the broker or a node of it had been away"));
    } else {
        findings.limit(Verdict::Unsupported, what);
    }
}

/// A CONNECT was refused: for its will, if the same client was let in without it.
fn refused_connect(facts: &Facts, connection: &Connection, code: u8, findings: &mut Findings) {
    let client = &connection.client;
    let mut later = facts.connections_of(client).filter(|other| other.index > connection.index);
    let let_in = later.next().filter(|other| other.is_accepted() && other.opened.step == connection.opened.step);
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

/// A PUBACK or PUBREC that refuses. Quota exceeded behind accepted messages is a full queue; an identifier that is said to be in
/// use is one that the broker had to take.
fn refused_publications(facts: &Facts, findings: &mut Findings) {
    let mut told: Vec<u8> = Vec::new();
    for publication in &facts.publications {
        let Some((place, code)) = publication.refused.filter(|(_, code)| !told.contains(code)) else { continue };
        told.push(code);
        refused_publication(facts, publication, (place, code), findings);
    }
}

fn refused_publication(facts: &Facts, publication: &Publication, (place, code): (Place, u8), findings: &mut Findings) {
    let experiment = facts.publications.iter().filter(|p| matches!(p.message, Message::Experiment(_)));
    let accepted = experiment.into_iter().any(|own| own.accepted.is_some());
    let answer = if publication.qos == 1 { "PUBACK" } else { "PUBREC" };
    match code {
        QUOTA_EXCEEDED if accepted => findings.choice("queue_full", "refuse"),
        IDENTIFIER_IN_USE if is_in_use(facts, publication) => {
            findings.limit(
                Verdict::Inconclusive,
                format!("{} has a Packet Identifier that is in use", publication.message),
            );
        }
        IDENTIFIER_IN_USE => {
            let (rule, why) = match (publication.was_repeated(), publication.qos) {
                (true, 2) => (rules::TAKEN_IN_ONCE, "its publisher sends it again, as it has to"),
                (_, 1) => (rules::AN_IDENTIFIER_IS_NEW_AFTER_PUBACK, "its Packet Identifier is not in use"),
                _ => (rules::AN_IDENTIFIER_IS_NEW_AFTER_PUBCOMP, "its Packet Identifier is not in use"),
            };
            let sent = publication.sendings.iter().map(|sending| sending.place.at);
            let finding = findings.broken(rule, Protocol::V5).at(sent.chain([place.at])).about(publication.message);
            finding.expected(format!("{NAMES} is taken: {why}")).observed(format!("{answer} {code:#04x}"));
        }
        _ => {
            let message = publication.message;
            refused(facts, place.at, format!("{message} was refused with {answer} {code:#04x}"), findings);
        }
    }
}

/// Another message of the publisher's had the Packet Identifier on this connection, and its handshake was not over.
fn is_in_use(facts: &Facts, publication: &Publication) -> bool {
    let connection = |own: &Publication| own.sendings.last().map(|sending| sending.connection);
    let is_open = |own: &&Publication| own.accepted.is_none_or(|accepted| accepted.at > publication.at());
    let own = facts.publications.iter().filter(|own| connection(own) == connection(publication) && !own.is_will());
    let earlier = own.filter(|own| own.id == publication.id && own.qos > 0 && own.at() < publication.at());
    earlier.filter(is_open).any(|own| own.refused.is_none())
}

/// Connections that the broker ended, or that brought bytes that are no packet.
fn ended(history: &History, facts: &Facts, connection: &Connection, findings: &mut Findings) {
    let client = &connection.client;
    if let Some(at) = connection.undecodable.filter(|_| client.as_ref() != WITNESS) {
        malformed::bytes(history, at, connection.protocol(), client, findings);
        findings.explains_the_end = true;
    }
    if let Some((_, code @ (0x87 | 0x9a | 0x9b | 0x9e | 0xa1 | 0xa2), _)) = connection.dismissed {
        findings.limit(Verdict::Unsupported, format!("{client} was sent DISCONNECT {code:#04x}"));
        return;
    }
    let Some((place, end)) = was_cut(connection).filter(|(place, _)| !facts.ended_with_the_broker(*place)) else {
        return;
    };
    if faults::has_one(facts, connection) {
        findings.explains_the_end = true;
        return;
    }
    if let Some(feature) = unsupported::will(facts, connection) {
        let how = "the broker closed the connection on the CONNECT and accepted one without it";
        findings.limit(Verdict::Unsupported, format!("{feature}: {how}"));
        return;
    }
    if let Some((publication, control)) = unsupported::publication(facts, connection) {
        unsupported::unannounced(connection, publication, control, findings);
        return;
    }
    if client.as_ref() == PROBE && connection.connack.is_none() {
        return;
    }
    let how = end.verb();
    if connection.connack.is_none() && facts.has_no_room_at(place.at) {
        let also = "and then that of a probe too, as a broker does that takes no more connections";
        findings.limit(
            Verdict::Inconclusive,
            format!("the broker {how} the connection of {client} without CONNACK, {also}"),
        );
        return;
    }
    // 3.1.1 lets a server close on a PUBLISH that it does not authorise (MQTT-3.3.5-2).
    let is_open =
        |p: &&Publication| p.accepted.is_none() && p.sendings.iter().any(|s| s.connection == connection.index);
    if connection.protocol() == Protocol::V3 && facts.publications.iter().any(|p| !p.is_will() && is_open(&p)) {
        findings.limit(Verdict::Inconclusive, format!("the broker {how} the connection of {client} on a PUBLISH"));
        return;
    }
    let last =
        connection.last_sent.map_or("the connection was opened".into(), |(_, packet)| format!("{packet} from it"));
    let sent = connection.last_sent.map_or(connection.opened.at, |(sent, _)| sent.at);
    let finding = findings.broken(rules::CLOSES_WITHOUT_CAUSE, connection.protocol()).span(sent, place.at);
    let finding = finding.after_attempts(ATTEMPTS_FOR_AN_ABSENCE).guess(idle(history, facts, connection, place.at));
    let expected = format!("the connection of {client} stays open, since {client} keeps to the standard");
    finding.expected(expected).observed(format!("the broker {how} it after {last}"));
    findings.explains_the_end = true;
}

/// Nothing went over the connection for a while before it ended: brokers have the Keep Alive for that, and a proxy on the way has
/// a time of its own, which is the same in each attempt.
fn idle(history: &History, facts: &Facts, connection: &Connection, ended: usize) -> Option<String> {
    let (last, ..) = packets(history, connection).take_while(|(index, ..)| *index < ended).last()?;
    let seconds = facts.elapsed(last, ended)?.as_secs_f64().round();
    let why = "perhaps a proxy on the way closes connections that are idle for so long";
    (seconds >= IDLE_SECONDS_MIN).then(|| format!("it had been idle for {seconds} s: {why}"))
}

/// The broker ended the connection although neither the client had sent DISCONNECT nor anything allowed it to.
pub fn was_cut(connection: &Connection) -> Option<(super::facts::Place, End)> {
    let silent = connection.timers.iter().any(|timed| timed.timer == Timer::KeepAlive);
    let allowed = silent
        || connection.may_have_timed_out
        || connection.taken_over.is_some()
        || connection.is_refused_by_rule()
        || connection.garbled.is_some();
    let refused = connection.connack.as_ref().is_some_and(|(_, connack)| connack.code != 0);
    connection.ended.filter(|_| connection.left.is_none() && !allowed && !refused && connection.closed.is_none())
}
