//! Slots: every reason for which a copy of a message may, or must, come to a session. They are derived from the model before
//! any delivery is looked at.
//!
//! The unit is one message in one session. A copy is explained by the slot that it takes ([`super::assignment`]); what a wrong
//! attribute of a copy breaks is said here, beside the attribute that the slot gives it.

use super::facts::{Delivery, Publication, Subscribing};
use super::model::{Asks, Model};
use super::rules::{self, Rule};
use super::session::{InForce, Session, Subscription};
use crate::packet::Protocol;

/// A reason for a copy of a message to come to a session.
#[derive(Debug, Clone)]
pub struct Slot<'a> {
    pub publication: &'a Publication,
    pub way: Way<'a>,
    /// A delivery takes it only behind this entry of the history.
    since: usize,
    /// The QoS values that are right for it, as bits.
    qos: u8,
    /// RETAIN 0 is right for it, and RETAIN 1.
    retain: [bool; 2],
    /// A subscription without Retain As Published may bring it.
    cleared: bool,
    /// Most have none, and there may be a hundred thousand messages.
    ties: Option<Box<Ties<'a>>>,
}

/// What ties a copy to its subscriptions and to those around them.
#[derive(Debug, Clone, Default)]
struct Ties<'a> {
    /// Subscription Identifiers that the copy must carry.
    must: Vec<u32>,
    /// Others that it may carry.
    may: Vec<u32>,
    /// Subscription Identifiers of the other filters of the same routing, which have copies of their own.
    beside: Vec<u32>,
    /// Subscriptions that replaced its own later: a queued copy may go by them.
    later: Vec<Subscription<'a>>,
}

static NO_TIES: Ties<'_> = Ties { must: Vec::new(), may: Vec::new(), beside: Vec::new(), later: Vec::new() };

impl<'a> Ties<'a> {
    /// With the identifiers of subscriptions that replaced one another: those of several are none that must be there.
    fn of(ids: &[Option<u32>]) -> Ties<'a> {
        match ids {
            [id] => Ties { must: id.iter().copied().collect(), ..Ties::default() },
            _ => Ties { may: ids.iter().flatten().copied().collect(), ..Ties::default() },
        }
    }

    fn stored(self) -> Option<Box<Ties<'a>>> {
        let is_empty = self.must.is_empty() && self.may.is_empty() && self.beside.is_empty() && self.later.is_empty();
        (!is_empty).then(|| Box::new(self))
    }
}

/// The way on which a message comes to a session.
#[derive(Debug, Clone, Copy)]
pub enum Way<'a> {
    /// A subscription was in force: one copy for each filter that the routing met.
    Forward { routing: usize },
    /// The same, as the one copy for all filters of the routing.
    ForwardForAll { routing: usize },
    /// A SUBSCRIBE asked for retained messages.
    Retained { subscribing: &'a Subscribing, connection: usize },
    /// It was the turn of this client in the group of a shared subscription.
    Shared { filter: &'a str },
}

/// A wrong attribute of a copy in a slot, with the rule that it breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrong {
    Qos,
    Retain,
    Identifiers,
}

impl<'a> Slot<'a> {
    fn ties(&self) -> &Ties<'a> {
        self.ties.as_deref().unwrap_or(&NO_TIES)
    }

    /// The copy comes because of a subscription that was in force, for one filter or for all.
    pub fn is_forward(&self) -> bool {
        matches!(self.way, Way::Forward { .. } | Way::ForwardForAll { .. })
    }

    /// All subscriptions that may bring it ask for the RETAIN flag of the publication.
    pub fn keeps_its_flag(&self) -> bool {
        !self.cleared
    }

    /// Which of the publication's routings brings the copy.
    pub fn routing(&self) -> Option<usize> {
        match self.way {
            Way::Forward { routing, .. } | Way::ForwardForAll { routing, .. } => Some(routing),
            Way::Retained { .. } | Way::Shared { .. } => None,
        }
    }

    /// A copy may take the slot at this place.
    pub fn is_open_to(&self, delivery: &Delivery) -> bool {
        let step = self.publication.sent().map_or(usize::MAX, |sent| sent.step);
        delivery.place.at > self.since && delivery.place.step >= step
    }

    /// True if this copy may take it beside others: duplicates are permitted where QoS 1 is downgraded to 0 (section 3.8.4).
    pub fn repeats(&self, delivery: &Delivery) -> bool {
        let is_downgraded = self.publication.qos == 1 && self.qos & 1 != 0 && delivery.publish.qos == 0;
        is_downgraded && !matches!(self.way, Way::Retained { .. })
    }

    /// The QoS values that are right for a delivery, as bits.
    pub fn qos_bits(&self, delivery: &Delivery) -> u8 {
        let later = self.ties().later.iter().filter(|own| own.subscribing.sent.at < delivery.place.at);
        later.fold(self.qos, |bits, own| bits | own.subscribing.qos_bits(self.publication.qos, own.granted))
    }

    fn retain_is_right(&self, delivery: &Delivery) -> bool {
        let later = || self.ties().later.iter().any(|own| own.subscribing.filter.retain_as_published);
        let flag = delivery.publish.retain;
        self.retain[usize::from(flag)] || flag && self.publication.retain && self.is_forward() && later()
    }

    fn identifiers_are_right(&self, delivery: &Delivery) -> bool {
        let carried = &delivery.publish.properties.subscription_ids;
        let Ties { must, may, later, .. } = self.ties();
        let later: Vec<&Subscription<'_>> =
            later.iter().filter(|own| own.subscribing.sent.at < delivery.place.at).collect();
        let by_later = |id: &u32| later.iter().any(|own| own.subscribing.subscription_id == Some(*id));
        let all = must.iter().all(|id| carried.contains(id)) || !later.is_empty();
        all && carried.iter().all(|id| must.contains(id) || may.contains(id) || by_later(id))
    }

    /// The attributes of a delivery that are wrong for this slot.
    pub fn wrong(&self, delivery: &Delivery, protocol: Protocol) -> impl Iterator<Item = Wrong> {
        let qos = self.qos_bits(delivery) & 1 << delivery.publish.qos == 0;
        let ids = protocol == Protocol::V5 && !self.identifiers_are_right(delivery);
        let wrong = [(qos, Wrong::Qos), (!self.retain_is_right(delivery), Wrong::Retain), (ids, Wrong::Identifiers)];
        wrong.into_iter().filter(|(is_wrong, _)| *is_wrong).map(|(_, wrong)| wrong)
    }

    /// The rule that a wrong attribute breaks.
    pub fn rule(&self, wrong: Wrong, delivery: &Delivery, session: &Session<'_>) -> Rule {
        match (wrong, self.way) {
            (Wrong::Qos, Way::Retained { .. }) if self.qos >> delivery.publish.qos > 1 => rules::STORED_WITH_ITS_QOS,
            (Wrong::Qos, Way::Shared { .. }) => rules::AT_THE_QOS_OF_THE_CLIENT,
            (Wrong::Qos, Way::Forward { .. } | Way::ForwardForAll { .. })
                if self.replaced(session).any(|old| self.publication.qos.min(old.granted) == delivery.publish.qos) =>
            {
                rules::REPLACES_THE_SUBSCRIPTION
            }
            (Wrong::Qos, Way::ForwardForAll { .. }) if self.qos >> delivery.publish.qos > 1 => {
                rules::OVERLAP_AT_THE_HIGHEST_QOS
            }
            (Wrong::Qos, _) => rules::QOS_IS_THE_MINIMUM,
            (Wrong::Retain, Way::Retained { .. }) => rules::RETAIN_1_ON_A_RETAINED_COPY,
            (Wrong::Retain, _) if delivery.publish.retain && self.cleared => {
                rules::RETAIN_0_ON_AN_ESTABLISHED_SUBSCRIPTION
            }
            (Wrong::Retain, _) => rules::RETAIN_AS_PUBLISHED,
            (Wrong::Identifiers, Way::ForwardForAll { .. })
                if !delivery.publish.properties.subscription_ids.is_empty() =>
            {
                rules::ONE_COPY_CARRIES_ALL_IDENTIFIERS
            }
            (Wrong::Identifiers, Way::Forward { .. }) if self.carries_those_beside(delivery) => {
                rules::EACH_COPY_CARRIES_ITS_OWN_IDENTIFIER
            }
            (Wrong::Identifiers, _) => rules::CARRIES_ITS_IDENTIFIER,
        }
    }

    /// It has its own identifier and those of other copies.
    fn carries_those_beside(&self, delivery: &Delivery) -> bool {
        let carried = &delivery.publish.properties.subscription_ids;
        let Ties { must, may, beside, .. } = self.ties();
        let known = |id: &u32| must.contains(id) || may.contains(id) || beside.contains(id);
        carried.iter().all(known) && carried.iter().any(|id| beside.contains(id))
    }

    /// Subscriptions with the filter of this one that it has replaced, and whose QoS shows that it did not.
    fn replaced<'b>(&self, session: &'b Session<'a>) -> impl Iterator<Item = &'b Subscription<'a>> {
        let sent = self.publication.sent().map_or(usize::MAX, |sent| sent.step);
        let topic = self.publication.topic.clone();
        session.subscriptions.iter().filter(move |own| {
            let is_over = own.end.is_some_and(|end| !end.by_unsubscribe && end.sent.step < sent);
            is_over && own.subscribing.matches(&topic)
        })
    }

    /// The QoS that is expected, in words.
    pub fn expected_qos(&self) -> String {
        let values: Vec<String> =
            (0..3).filter(|qos| self.qos & 1 << qos != 0).map(|qos: u8| qos.to_string()).collect();
        values.join(" or ")
    }

    /// The identifiers that are expected.
    pub fn expected_ids(&self) -> &[u32] {
        &self.ties().must
    }
}

/// The slots of a message in a session; more than one publication only where they cannot be told apart.
pub fn slots<'a>(model: &Model<'a>, session: &Session<'a>, publications: &[&'a Publication]) -> Vec<Slot<'a>> {
    let mut slots = Vec::new();
    for publication in publications {
        for (routing, span) in model.routings(publication).into_iter().enumerate() {
            let filters = session.in_force(publication, span);
            forward(&mut slots, publication, routing, &filters);
        }
        retained(&mut slots, model, session, publication);
        shared(&mut slots, model, session, publication);
    }
    slots
}

fn forward<'a>(slots: &mut Vec<Slot<'a>>, publication: &'a Publication, routing: usize, filters: &[InForce<'a>]) {
    for (number, filter) in filters.iter().enumerate() {
        let others =
            filters.iter().enumerate().filter(|(other, _)| *other != number).flat_map(|(_, own)| &own.versions);
        let options = filter.versions.iter().map(|version| &version.subscribing.filter);
        let as_published = options.clone().any(|options| options.retain_as_published);
        let cleared = options.clone().any(|options| !options.retain_as_published);
        let ids: Vec<Option<u32>> = filter.versions.iter().map(|version| version.subscribing.subscription_id).collect();
        let beside = others.filter_map(|other| other.subscribing.subscription_id).collect();
        slots.push(Slot {
            publication,
            way: Way::Forward { routing },
            since: 0,
            qos: filter.qos_bits(publication.qos),
            retain: [!publication.retain || cleared, publication.retain && as_published],
            cleared,
            ties: Ties { beside, later: filter.later.clone(), ..Ties::of(&ids) }.stored(),
        });
    }
    if filters.len() > 1 {
        slots.push(forward_for_all(publication, routing, filters));
    }
}

fn forward_for_all<'a>(publication: &'a Publication, routing: usize, filters: &[InForce<'a>]) -> Slot<'a> {
    let sure = filters.iter().filter(|filter| filter.sure);
    let least = sure.map(|filter| filter.least_qos(publication.qos)).max().unwrap_or(0);
    let all = filters.iter().fold(0, |bits, filter| bits | filter.qos_bits(publication.qos));
    let versions = || filters.iter().flat_map(|filter| &filter.versions);
    let as_published = versions().any(|version| version.subscribing.filter.retain_as_published);
    let cleared = versions().any(|version| !version.subscribing.filter.retain_as_published);
    let is_certain = |filter: &&InForce<'_>| filter.sure && filter.versions.len() == 1;
    let id = |version: &Subscription<'_>| version.subscribing.subscription_id;
    let must = filters.iter().filter(is_certain).flat_map(|filter| filter.versions.iter().filter_map(id));
    Slot {
        publication,
        way: Way::ForwardForAll { routing },
        since: 0,
        qos: all & !((1 << least) - 1),
        retain: [!publication.retain || cleared, publication.retain && as_published],
        cleared,
        ties: Ties {
            must: must.collect(),
            may: versions().filter_map(id).collect(),
            beside: Vec::new(),
            later: filters.iter().flat_map(|filter| filter.later.iter().copied()).collect(),
        }
        .stored(),
    }
}

fn retained<'a>(slots: &mut Vec<Slot<'a>>, model: &Model<'a>, session: &Session<'a>, publication: &'a Publication) {
    if !publication.retain {
        return;
    }
    for connection in &session.connections {
        for subscribing in connection.subscribes.iter().filter(|own| own.matches(&publication.topic)) {
            let asks = matches!(model.asks(session, subscribing), Asks::Yes | Asks::Perhaps);
            let Some(granted) = subscribing.may_have_granted().filter(|_| asks) else { continue };
            let found = model.retained(&publication.topic, subscribing, connection);
            if !found.candidates.iter().any(|candidate| std::ptr::eq(*candidate, publication)) {
                continue;
            }
            let others = session.subscriptions.iter().filter(|own| own.subscribing.matches(&publication.topic));
            slots.push(Slot {
                publication,
                way: Way::Retained { subscribing, connection: connection.index },
                since: subscribing.sent.at,
                qos: subscribing.qos_bits(publication.qos, granted),
                retain: [false, true],
                cleared: false,
                ties: Ties {
                    may: others.filter_map(|own| own.subscribing.subscription_id).collect(),
                    ..Ties::of(&[subscribing.subscription_id])
                }
                .stored(),
            });
        }
    }
}

fn shared<'a>(slots: &mut Vec<Slot<'a>>, model: &Model<'a>, session: &Session<'a>, publication: &'a Publication) {
    let mut filters: Vec<&str> = session.shares(&publication.topic).map(Subscription::filter).collect();
    filters.sort_unstable();
    filters.dedup();
    for span in model.routings(publication) {
        for filter in &filters {
            // The group must have had a member when the message was routed. A client that joined later is in it too when something
            // comes.
            let is_member = |other: &Session<'a>| {
                let mut own = other.shares(&publication.topic).filter(|own| own.filter() == *filter);
                own.any(|own| other.shares_in(own, span).1)
            };
            if model.sessions.iter().any(is_member) {
                slots.extend(shared_slot(session, publication, filter, span.from.step));
            }
        }
    }
}

/// The slot of one routing for one shared filter: any version of the subscription that had not ended for sure may bring the copy.
fn shared_slot<'a>(session: &Session<'a>, publication: &'a Publication, filter: &str, step: usize) -> Option<Slot<'a>> {
    let is_over = |own: &Subscription<'_>| own.end.is_some_and(|end| end.done.is_some_and(|done| done.step < step));
    let own = session.shares(&publication.topic).filter(|own| own.filter() == filter && !is_over(own));
    let versions: Vec<&Subscription<'a>> = own.collect();
    let filter = versions.last()?.filter();
    let ids: Vec<Option<u32>> = versions.iter().map(|own| own.subscribing.subscription_id).collect();
    let flags = || versions.iter().map(|own| publication.retain && own.subscribing.filter.retain_as_published);
    Some(Slot {
        publication,
        way: Way::Shared { filter },
        since: versions.iter().map(|own| own.subscribing.sent.at).min().unwrap_or(0),
        qos: versions.iter().fold(0, |bits, own| bits | own.subscribing.qos_bits(publication.qos, own.granted)),
        retain: [flags().any(|flag| !flag), flags().any(|flag| flag)],
        cleared: versions.iter().any(|own| !own.subscribing.filter.retain_as_published),
        ties: Ties::of(&ids).stored(),
    })
}
