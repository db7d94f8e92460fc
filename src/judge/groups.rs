//! Shared subscriptions: each message goes to one client of the group (5.0, section 4.8.2).

use std::collections::BTreeSet;

use super::deliveries::{Copy, Ledger};
use super::facts::{Place, Publication};
use super::finding::{ATTEMPTS_FOR_AN_ABSENCE, Findings, NAMES};
use super::model::Model;
use super::proof::Evidence;
use super::rules;
use super::session::{Session, Subscription};
use crate::packet::Protocol;

/// A group that a message met: the subscriptions to one shared filter.
pub struct Group<'g, 'a> {
    pub publication: &'a Publication,
    pub filter: &'a str,
    /// The sessions that may have been in the group when the message was routed.
    pub members: Vec<&'g Ledger<'a>>,
    /// Those that were in it at any time: the message may have moved on to each of them.
    everyone: Vec<&'g Ledger<'a>>,
    /// One of them was for sure.
    pub sure: bool,
    /// The copies that may have come to clients by this group, first copies only, in order.
    pub copies: Vec<(&'g Ledger<'a>, &'g Copy<'a>)>,
}

/// Every group that each of the experiment's messages, and each will, met.
pub fn groups<'g, 'a>(model: &Model<'a>, ledgers: &'g [Ledger<'a>]) -> Vec<Group<'g, 'a>> {
    let mut groups = Vec::new();
    if !ledgers.iter().any(|ledger| ledger.session.subscriptions.iter().any(Subscription::is_shared)) {
        return groups;
    }
    for publication in
        model.facts.publications.iter().filter(|p| (p.is_of_experiment() || p.is_will()) && !p.is_clearing())
    {
        let filters: BTreeSet<&str> = ledgers.iter().flat_map(|own| shared_filters(own, publication)).collect();
        groups.extend(filters.into_iter().map(|filter| group(model, ledgers, publication, filter)));
    }
    groups
}

fn group<'g, 'a>(
    model: &Model<'a>,
    ledgers: &'g [Ledger<'a>],
    publication: &'a Publication,
    filter: &'a str,
) -> Group<'g, 'a> {
    let span = model.span(publication);
    let of_filter =
        |session: &'g Session<'a>| session.shares(&publication.topic).filter(move |own| own.filter() == filter);
    let in_span = |ledger: &&Ledger<'a>| -> (bool, bool) {
        let Some(span) = span else { return (false, false) };
        let each = of_filter(ledger.session).map(|own| ledger.session.shares_in(own, span));
        each.fold((false, false), |(sure, maybe), (s, m)| (sure | s, maybe | m))
    };
    let members: Vec<&Ledger<'a>> = ledgers.iter().filter(|ledger| in_span(ledger).1).collect();
    let everyone = ledgers.iter().filter(|ledger| of_filter(ledger.session).next().is_some()).collect();
    let sure = members.iter().any(|ledger| in_span(ledger).0);
    let mut copies: Vec<(&Ledger<'a>, &Copy<'a>)> = Vec::new();
    for ledger in ledgers {
        let is_own = |copy: &&Copy<'a>| {
            copy.is_by_share(filter).0 && copy.is_first && std::ptr::eq(copy.publication, publication)
        };
        copies.extend(ledger.copies.iter().filter(is_own).map(|copy| (ledger, copy)));
    }
    copies.sort_by_key(|(_, copy)| copy.delivery.place);
    Group { publication, filter, members, everyone, sure, copies }
}

pub fn check(model: &Model<'_>, ledgers: &[Ledger<'_>], findings: &mut Findings) {
    let groups = groups(model, ledgers);
    for group in &groups {
        to_one_client(model, group, findings);
        while_away(group, findings);
    }
    lost(model, &groups, findings);
}

/// A message that two clients of the group got: the one that began is to finish, as far as the standard binds the broker.
fn to_one_client(model: &Model<'_>, group: &Group<'_, '_>, findings: &mut Findings) {
    let sure = group.copies.iter().filter(|(_, copy)| copy.is_by_share(group.filter).1);
    // From a client that went away before the broker had its answer a message at QoS 1 may move on to another one. Which of
    // them had it first the order of the events does not tell.
    let mut kept = sure.filter(|(_, copy)| !may_have_moved_on(model, copy) && !may_be_retained(copy));
    let Some((owner, first)) = kept.next() else { return };
    let Some((_, second)) = kept.find(|(other, _)| other.session.id != owner.session.id) else { return };
    // A message that its publisher sent again may be a new one to the broker.
    if group.publication.sendings.len() > 1 && group.publication.qos < 2 {
        return;
    }
    let delivery = first.delivery;
    let is_open = !delivery.is_complete();
    let (rule, why) = match delivery.publish.qos {
        _ if delivery.refused => (rules::REFUSED_GOES_TO_NOBODY_ELSE, "the first refused it"),
        2 if is_open && owner.session.end.is_some() => {
            (rules::TO_NOBODY_ELSE_AFTER_THE_SESSION, "the session of the first ended on the way")
        }
        2 if is_open => (rules::COMPLETED_TO_THE_SAME_CLIENT, "its delivery to the first had begun"),
        // The broker cannot know that a message at QoS 0 has come.
        _ => (rules::SHARED_SUBSCRIPTIONS, "the first has it"),
    };
    let events = [group.publication.at(), delivery.place.at, second.delivery.place.at];
    let finding = findings.broken(rule, Protocol::V5).at(events).about(group.publication.message);
    let expected = format!("{NAMES} to {} and to nobody else of the group: {why}", first.connection.client);
    finding.expected(expected).observed(format!("{} got it too", second.connection.client));
}

/// The message has QoS 1, and nothing shows that the broker ever had the client's answer (section 4.8.2).
fn may_have_moved_on(model: &Model<'_>, copy: &Copy<'_>) -> bool {
    let delivery = copy.delivery;
    let is_read = |(at, connection): (usize, usize)| model.facts.connections[connection].has_answered(at, usize::MAX);
    delivery.publish.qos == 1 && !delivery.acked.is_some_and(is_read)
}

/// It may have come because of a SUBSCRIBE to a share: then it is no further copy of the message that the group had.
fn may_be_retained(copy: &Copy<'_>) -> bool {
    let (sent, came) = (copy.publication.at(), copy.delivery.place.at);
    let mut subscribes = copy.connection.subscribes.iter().filter(|own| own.is_shared());
    copy.delivery.publish.retain && subscribes.any(|own| (sent..came).contains(&own.sent.at))
}

/// The shared filters of a session that match the message, each once.
fn shared_filters<'a>(ledger: &Ledger<'a>, publication: &Publication) -> BTreeSet<&'a str> {
    ledger.session.shares(&publication.topic).map(Subscription::filter).collect()
}

/// What the broker does while a client of the group is away.
fn while_away(group: &Group<'_, '_>, findings: &mut Findings) {
    let step = group.publication.sent().map_or(0, |sent| sent.step);
    let mut away = group.members.iter().filter(|ledger| ledger.session.presence(step) == Some(false));
    let Some((absent, (owner, _))) = away.next().zip(group.copies.first()) else { return };
    let value = if owner.session.id == absent.session.id { "kept_for_the_absent" } else { "to_another" };
    findings.choice_among("shared_while_away", value, "some_of_each");
}

/// Messages that nobody of their group got, although one had to.
fn lost(model: &Model<'_>, groups: &[Group<'_, '_>], findings: &mut Findings) {
    // A will has no fence behind it.
    let is_lost =
        |group: &&Group<'_, '_>| !group.publication.is_will() && group.copies.is_empty() && is_owed(model, group);
    for group in groups.iter().filter(is_lost) {
        if !is_proven_lost(model, group) {
            continue;
        }
        let accepted = group.publication.accepted.map(|place| place.at);
        let events = [group.publication.at()].into_iter().chain(accepted);
        let finding = findings.broken(rules::ADDED_TO_THE_SESSION, Protocol::V5).at(events);
        let expected = format!("{NAMES} to one client of the shared subscription {}", group.filter);
        let finding = finding.about(group.publication.message).after_attempts(ATTEMPTS_FOR_AN_ABSENCE);
        finding.expected(expected).observed("nobody got it");
    }
}

/// The standard orders that somebody of the group gets the message: it has QoS 1 or 2 for each of them.
pub fn is_owed(model: &Model<'_>, group: &Group<'_, '_>) -> bool {
    let Group { publication, filter, everyone, sure, .. } = group;
    let has_qos = |ledger: &&Ledger<'_>| {
        let mut own = ledger.session.shares(&publication.topic).filter(|own| own.filter() == *filter);
        own.all(|own| own.granted.min(publication.qos) > 0)
    };
    let expires = publication.properties.message_expiry.is_some();
    let too_large = everyone.iter().any(|ledger| model.is_too_large(ledger.session, publication));
    // A session that ended on the way may have had the message with it (MQTT-4.8.2-5). One that was over before had nothing of it.
    let sent = publication.sent().map_or(0, |sent| sent.step);
    let ended = everyone.iter().any(|ledger| ledger.session.end.is_some_and(|end| end.place().step >= sent));
    let has_left = |own: &Subscription<'_>| {
        own.filter() == *filter && own.end.is_some_and(|end| end.done.is_none_or(|done| done.step >= sent))
    };
    let left = everyone.iter().any(|ledger| ledger.session.shares(&publication.topic).any(has_left));
    *sure && publication.accepted.is_some() && everyone.iter().all(has_qos) && !expires && !too_large && !ended && !left
}

/// Time has passed for each client that may have been in the group, and nothing came.
pub fn is_proven_lost(model: &Model<'_>, group: &Group<'_, '_>) -> bool {
    group.members.iter().all(|ledger| has_waited(model, ledger, group.publication))
}

/// Behind the message time has passed for this member, so that it would have come.
fn has_waited(model: &Model<'_>, ledger: &Ledger<'_>, publication: &Publication) -> bool {
    let evidence = Evidence { model, ledger };
    let since = publication.accepted.unwrap_or(Place { step: usize::MAX, at: usize::MAX });
    let later = ledger.session.connections.iter().filter(|own| own.ended_in() > since.step);
    later.into_iter().any(|connection| {
        let mut fences = ledger.copies.iter().filter(|copy| copy.connection.index == connection.index);
        let behind = fences.any(|copy| {
            matches!(copy.publication.message, crate::history::Message::Fence(_))
                && copy.publication.sent().is_some_and(|sent| sent.step >= since.step && sent.at > publication.at())
        });
        behind && evidence.time_has_passed_on(connection, connection.opened.at)
    })
}
