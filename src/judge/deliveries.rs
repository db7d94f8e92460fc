//! The copies that came to a session, each with the slot that explains it, and the findings about those that are wrong.

use std::collections::HashMap;

use super::assignment::{Cause, Explained, Label, Sighting, Unit, What, explain};
use super::facts::{Connection, Delivery, Publication};
use super::finding::{ATTEMPTS_FOR_TIMING, Findings, NAMES};
use super::illegal;
use super::model::Model;
use super::rules::{self, Rule};
use super::session::Session;
use super::slots::{Slot, Way, Wrong};

/// Why a copy has to have RETAIN 1.
pub const SENT_FOR_A_SUBSCRIBE: &str = "it was sent because of the SUBSCRIBE";

/// A session with everything that came to it.
pub struct Ledger<'a> {
    pub session: &'a Session<'a>,
    /// In the order in which they came.
    pub copies: Vec<Copy<'a>>,
    /// The first copy of each publication that came because a subscription was in force.
    arrivals: HashMap<*const Publication, usize>,
}

impl<'a> Ledger<'a> {
    fn new(session: &'a Session<'a>, mut copies: Vec<Copy<'a>>) -> Ledger<'a> {
        copies.sort_by_key(|copy| copy.delivery.place.at);
        let mut arrivals = HashMap::new();
        for (number, copy) in copies.iter().enumerate().filter(|(_, copy)| copy.is_forward()) {
            arrivals.entry(std::ptr::from_ref(copy.publication)).or_insert(number);
        }
        Ledger { session, copies, arrivals }
    }

    /// The first copy of the publication that came because a subscription was in force.
    pub fn arrival(&self, publication: &Publication) -> Option<&Copy<'a>> {
        self.arrivals.get(&std::ptr::from_ref(publication)).map(|number| &self.copies[*number])
    }
}

/// A copy of one of our messages, with the slot that explains it.
#[derive(Debug, Clone)]
pub struct Copy<'a> {
    pub connection: &'a Connection,
    pub delivery: &'a Delivery,
    pub publication: &'a Publication,
    /// The slot that it takes, or that the copy took which it continues; `None` where nothing explains it.
    pub slot: Option<Slot<'a>>,
    /// The ways on which it may have come by the explanations that are as good; `None` is no way that is right. Empty where that
    /// of its slot is the only one.
    several: Vec<Option<Way<'a>>>,
    /// The broker sends for the first time.
    pub is_first: bool,
    /// Its RETAIN flag is right.
    pub flag_is_right: bool,
}

impl<'a> Copy<'a> {
    /// The ways on which it may have come by the explanations that are as good; `None` is no way that is right.
    pub fn ways(&self) -> impl Iterator<Item = Option<Way<'a>>> {
        let only = self.several.is_empty().then(|| self.slot.as_ref().map(|slot| slot.way));
        self.several.iter().copied().chain(only)
    }

    /// It came because of a subscription that was in force: live, or out of the queue.
    pub fn is_forward(&self) -> bool {
        self.slot.as_ref().is_some_and(Slot::is_forward)
    }

    /// Nothing else explains it as well as a subscription that was in force.
    pub fn is_surely_forward(&self) -> bool {
        self.ways().all(|way| matches!(way, Some(Way::Forward { .. } | Way::ForwardForAll { .. })))
    }

    pub fn is_shared(&self) -> bool {
        self.slot.as_ref().is_some_and(|slot| matches!(slot.way, Way::Shared { .. }))
    }

    /// It came by a shared subscription, by one of the explanations that are as good.
    pub fn may_be_shared(&self) -> bool {
        self.ways().any(|way| matches!(way, Some(Way::Shared { .. })))
    }

    /// It came by this shared filter: perhaps (first), or for sure (second).
    pub fn is_by_share(&self, filter: &str) -> (bool, bool) {
        let by_share = |way: Option<Way<'_>>| matches!(way, Some(Way::Shared { filter: own }) if own == filter);
        (self.ways().any(by_share), self.ways().all(by_share))
    }
}

/// Explains everything that came to each session, and notes what is wrong with it.
pub fn ledgers<'a>(model: &'a Model<'a>, findings: &mut Findings) -> Vec<Ledger<'a>> {
    model.sessions.iter().map(|session| ledger(model, session, findings)).collect()
}

fn ledger<'a>(model: &'a Model<'a>, session: &'a Session<'a>, findings: &mut Findings) -> Ledger<'a> {
    let mut copies = Vec::new();
    let mut unsolicited: Vec<(Sighting<'a>, illegal::Cause, Rule)> = Vec::new();
    explain(model, session, |unit, explained| {
        for (number, copy) in explained.iter().enumerate() {
            let sighting = unit.sightings[number];
            match copy.cause {
                Cause::Illegal(cause @ (illegal::Cause::Unsolicited | illegal::Cause::OtherSession)) => {
                    unsolicited.push((sighting, cause, copy.labels[0].rule));
                }
                _ => copy.labels.iter().for_each(|label| say(session, &unit, &explained, number, *label, findings)),
            }
            dup_at_qos_0(&unit, &sighting, findings);
            copies.push(delivered(&unit, copy, sighting));
        }
    });
    foreign(model, session, &mut unsolicited, findings);
    say_unsolicited(session, unsolicited, findings);
    Ledger::new(session, copies)
}

fn delivered<'a>(unit: &Unit<'a>, copy: &Explained, sighting: Sighting<'a>) -> Copy<'a> {
    let slot = unit.slot(copy).cloned();
    let is_flag = |label: &&Label| label.what == What::Attribute(Wrong::Retain);
    Copy {
        connection: sighting.connection,
        delivery: sighting.delivery,
        publication: slot.as_ref().map_or(unit.publications[0], |slot| slot.publication),
        several: match copy.alternatives[..] {
            [only] if only == copy.slot => Vec::new(),
            _ => copy.alternatives.iter().map(|slot| slot.map(|slot| unit.slots[slot].way)).collect(),
        },
        is_first: matches!(copy.cause, Cause::Slot(_)),
        flag_is_right: !copy.labels.iter().any(|label| is_flag(&label)),
        slot,
    }
}

/// DUP is 0 at QoS 0, whatever brings the copy.
fn dup_at_qos_0(unit: &Unit<'_>, sighting: &Sighting<'_>, findings: &mut Findings) {
    let publish = &sighting.delivery.publish;
    if publish.qos == 0 && publish.dup {
        let finding = findings.broken(rules::DUP_0_AT_QOS_0, sighting.connection.protocol());
        let finding = finding.at([sighting.delivery.place.at]).about(unit.publications[0].message);
        finding.expected(format!("DUP 0 on {NAMES}: it came at QoS 0")).observed("DUP 1");
    }
}

/// Deliveries that are none of our messages. A changed payload on a topic of the session is the loss of the message that it was.
fn foreign<'a>(
    model: &Model<'a>,
    session: &Session<'a>,
    unsolicited: &mut Vec<(Sighting<'a>, illegal::Cause, Rule)>,
    findings: &mut Findings,
) {
    for (connection, delivery) in session.deliveries() {
        let is_ours = model.facts.first_source_of(delivery).is_some();
        // One that has an alias without a topic is judged with the aliases.
        if is_ours || delivery.topic.is_empty() || is_of_broker(connection, delivery, findings) {
            continue;
        }
        if !session.had_subscribed(&delivery.topic) {
            let sighting = Sighting { connection, delivery };
            let (cause, rule) = illegal::unsolicited(model, session, &sighting);
            unsolicited.push((sighting, cause, rule));
        }
    }
}

/// A message that the broker publishes about itself: only a filter that names `$` may bring it.
fn is_of_broker(connection: &Connection, delivery: &Delivery, findings: &mut Findings) -> bool {
    if !delivery.topic.starts_with('$') {
        return false;
    }
    findings.choice("sys_topics", "some");
    if !connection.subscribes.iter().any(|subscribe| subscribe.filter.filter.starts_with('$')) {
        let finding = findings.broken(rules::WILDCARDS_DO_NOT_MATCH_DOLLAR, connection.protocol());
        let expected = format!("nothing below $: all filters of {} begin with a wildcard or a name", connection.client);
        finding.at([delivery.place.at]).expected(expected).observed("a message on a topic that begins with $");
    }
    true
}

/// Messages that no subscription explains: one finding for a connection, since there may be hundreds.
fn say_unsolicited(
    session: &Session<'_>,
    mut unsolicited: Vec<(Sighting<'_>, illegal::Cause, Rule)>,
    findings: &mut Findings,
) {
    unsolicited.sort_by_key(|(sighting, ..)| sighting.delivery.place.at);
    for connection in &session.connections {
        let mut own =
            unsolicited.iter().filter(|(sighting, ..)| sighting.connection.index == connection.index).peekable();
        let Some((first, cause, rule)) = own.peek().copied().copied() else { continue };
        let more =
            unsolicited.iter().filter(|(sighting, ..)| sighting.connection.index == connection.index).count() > 1;
        let payload = String::from_utf8_lossy(&first.delivery.publish.payload);
        let what = format!("{payload} on the topic {}{}", first.delivery.topic, if more { ", and more" } else { "" });
        let events: Vec<usize> = own.map(|(sighting, ..)| sighting.delivery.place.at).collect();
        let finding = findings.broken(rule, connection.protocol()).at(events);
        if cause == illegal::Cause::OtherSession {
            let expected = format!("nothing of a session that {} never had", connection.client);
            finding.expected(expected).observed(format!("Session Present 1, and {what}"));
        } else {
            let expected = format!("only messages that a subscription of {} explains", connection.client);
            finding.expected(expected).observed(what);
            findings.choice("unsolicited_messages", "some");
        }
    }
}

/// Says what is wrong with one copy.
fn say(
    session: &Session<'_>,
    unit: &Unit<'_>,
    copies: &[Explained],
    number: usize,
    label: Label,
    findings: &mut Findings,
) {
    let sighting = &unit.sightings[number];
    let copy = &copies[number];
    let slot = unit.slot(copy);
    let publication = slot.map_or(unit.publications[0], |slot| slot.publication);
    let (delivery, connection) = (sighting.delivery, sighting.connection);
    let mut events = vec![publication.at(), delivery.place.at];
    if let Some(Way::Retained { subscribing, .. }) = slot.map(|slot| slot.way) {
        events.push(subscribing.sent.at);
    }
    let mut attempts = 1;
    let (expected, observed) = match label.what {
        What::Attribute(wrong) => attribute(slot, publication, delivery, wrong, session),
        What::DupOnFirst => {
            events.extend(publication.sendings.iter().skip(1).map(|sending| sending.place.at));
            // To an earlier connection a copy may have gone that nobody saw.
            let is_only = session.connections.first().is_some_and(|first| first.index == connection.index);
            attempts = if is_only || publication.sendings.len() > 1 { 1 } else { ATTEMPTS_FOR_TIMING };
            let why = match publication.sendings.len() {
                0 | 1 => "it was never sent to this client before",
                _ => "its publisher sent it again, not the broker",
            };
            (format!("DUP 0 on {NAMES}: {why}"), "DUP 1".into())
        }
        What::NoDupOnResent => (format!("DUP 1 on {NAMES}: it was sent before and not acknowledged"), "DUP 0".into()),
        What::OtherIdentifier => {
            (format!("{NAMES} with the Packet Identifier that it had before"), "another one".into())
        }
        What::ResentLive => {
            (format!("{NAMES} again only on a further connection"), "it came again on the same one".into())
        }
        What::MixedIdentifiers => {
            let expected = format!("each copy of {NAMES} with the Subscription Identifier of its own subscription");
            (expected, format!("{:?} beside others", delivery.publish.properties.subscription_ids))
        }
        What::Again => {
            let is_sure = |first: usize| {
                let first = &unit.sightings[first];
                first.connection.index == connection.index || was_answered(session, first, delivery.place.at)
            };
            let is_unsure = matches!(copy.cause, Cause::Again(first) if !is_sure(first));
            attempts = if is_unsure { ATTEMPTS_FOR_TIMING } else { 1 };
            again(unit, copy, sighting, label.rule)
        }
        What::OutOfPlace => out_of_place(session, copy, &mut events, publication, delivery),
    };
    if let Cause::Resent(first) | Cause::Again(first) = copy.cause {
        events.push(unit.sightings[first].delivery.place.at);
        events.extend(publication.sendings.iter().skip(1).map(|sending| sending.place.at));
        events.extend(&publication.released_again);
    }
    let finding = findings.broken(label.rule, connection.protocol()).at(events).about(publication.message);
    finding.after_attempts(attempts).expected(expected).observed(observed);
}

/// The broker has shown by an answer, and not by its end of the connection alone, that it had read the acknowledgement of a copy.
fn was_answered(session: &Session<'_>, sighting: &Sighting<'_>, by: usize) -> bool {
    let delivery = sighting.delivery;
    let Some((at, connection)) = delivery.acked.filter(|_| delivery.released.is_none()) else { return true };
    session.connection(connection).is_none_or(|own| own.has_answered(at, by))
}

fn attribute(
    slot: Option<&Slot<'_>>,
    publication: &Publication,
    delivery: &Delivery,
    wrong: Wrong,
    session: &Session<'_>,
) -> (String, String) {
    let expected_qos = slot.map(Slot::expected_qos).unwrap_or_default();
    let publish = &delivery.publish;
    match wrong {
        Wrong::Qos => {
            let published = publication.qos;
            let expected = format!(
                "{NAMES} at QoS {expected_qos}: published at QoS {published}, and the lower one was granted to {}",
                session.client
            );
            let expected = if expected_qos == published.to_string() {
                format!("{NAMES} at QoS {expected_qos}, at which it was published")
            } else {
                expected
            };
            (expected, format!("QoS {}", publish.qos))
        }
        Wrong::Retain => {
            let is_retained = slot.is_some_and(|slot| !slot.is_forward());
            let why = match (publish.retain, is_retained) {
                (false, true) => SENT_FOR_A_SUBSCRIBE,
                (false, false) => "it goes as it was published",
                (true, false) if slot.is_some_and(Slot::keeps_its_flag) => "it goes as it was published",
                (true, _) => "its subscription was there when it was published",
            };
            let flag = u8::from(!publish.retain);
            (format!("RETAIN {flag} on {NAMES}: {why}"), format!("RETAIN {}", u8::from(publish.retain)))
        }
        Wrong::Identifiers => {
            let ids = slot.map(Slot::expected_ids).unwrap_or_default();
            let expected = format!("{NAMES} with the Subscription Identifiers {ids:?}");
            (expected, format!("{:?}", publish.properties.subscription_ids))
        }
    }
}

/// A message that was delivered, and comes once more.
fn again(unit: &Unit<'_>, copy: &Explained, sighting: &Sighting<'_>, rule: Rule) -> (String, String) {
    let Cause::Again(first) = copy.cause else { return (format!("{NAMES} once"), "it came once more".into()) };
    let before = &unit.sightings[first];
    if rule == rules::WILL_REMOVED_ONCE_PUBLISHED || rule == rules::NO_WILL_NONE_PUBLISHED {
        return (format!("{NAMES} once"), "it was published again".into());
    }
    if rule == rules::REFUSED_IS_NOT_RESENT {
        return (format!("{NAMES} no more: the client refused it"), "it came once more".into());
    }
    let further = before.connection.index != sighting.connection.index;
    let place = if further { "on a further connection" } else { "on the same connection" };
    let qos = before.delivery.publish.qos;
    let is_over = qos == 0 || before.delivery.completed.is_some() || before.delivery.released.is_some();
    let why = match (qos == 2 && before.delivery.released.is_some(), is_over) {
        (true, _) => "its PUBREL had come".into(),
        (false, true) => format!("its delivery at QoS {qos} was complete"),
        (false, false) => format!("its delivery at QoS {qos} had begun"),
    };
    (format!("{NAMES} once: {why}"), format!("it came once more {place}"))
}

/// A copy for a reason that the standard rules out.
fn out_of_place(
    session: &Session<'_>,
    copy: &Explained,
    events: &mut Vec<usize>,
    publication: &Publication,
    delivery: &Delivery,
) -> (String, String) {
    let Cause::Illegal(cause) = copy.cause else { return (String::new(), String::new()) };
    let client = session.client;
    match cause {
        illegal::Cause::EndedSession(at) => {
            events.push(at);
            let expected = "nothing: the session that had subscribed has ended";
            (expected.into(), format!("{NAMES} at QoS {}", delivery.publish.qos))
        }
        illegal::Cause::Unsubscribed(at) => {
            events.push(at);
            (format!("not {NAMES}: it was published after UNSUBSCRIBE"), "it came".into())
        }
        illegal::Cause::OwnMessage => {
            (format!("not {NAMES}: {client} published it, and asked for No Local"), "it came".into())
        }
        illegal::Cause::NotRetained(at) => {
            events.push(at);
            let why = match (publication.is_clearing(), publication.retain) {
                (true, _) => "a payload of zero bytes is not kept",
                (_, false) => "it was published with RETAIN 0",
                _ => "another message has replaced or cleared it",
            };
            (format!("not {NAMES} as the retained message: {why}"), "it came".into())
        }
        illegal::Cause::NotAskedFor(at) => {
            events.push(at);
            (format!("not the retained message {NAMES}: the SUBSCRIBE does not ask for it"), "it came".into())
        }
        illegal::Cause::SharedRetained => {
            (format!("no retained message for a shared subscription, so not {NAMES}"), "it came with RETAIN 1".into())
        }
        illegal::Cause::Will => {
            (format!("no {NAMES}: the will of {} is not due", publication.publisher), "it was published".into())
        }
        illegal::Cause::WillAgain => (format!("{NAMES} once"), "it was published again".into()),
        illegal::Cause::OtherSession | illegal::Cause::Unsolicited => (String::new(), String::new()),
    }
}
