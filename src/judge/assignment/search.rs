//! The search for the cheapest explanations of the copies of one message, followed from copy to copy.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

use super::{ABSENT, BROKEN, CHARGED, Cause, Explained, Explanation, Label, Progress, Sighting, Unit, What};
use crate::judge::facts::{Connection, Publication};
use crate::judge::illegal;
use crate::judge::model::Model;
use crate::judge::rules::{self, Rule};
use crate::judge::session::Session;
use crate::judge::slots::{Slot, Way, Wrong};
use crate::packet::Protocol;

/// How many explanations of the copies so far are followed further.
const EXPLANATIONS: usize = 64;
/// How many copies of one message are explained.
const COPIES: usize = 40;

/// The search for the explanations of one unit.
pub struct Search<'s, 'a> {
    pub unit: &'s Unit<'a>,
    pub model: &'s Model<'a>,
    pub session: &'s Session<'a>,
    pub charged: &'s HashSet<Rule>,
}

impl<'a> Search<'_, 'a> {
    /// Follows the cheapest explanations from copy to copy. `illegal`: a copy may be out of place.
    pub fn run(&self, illegal: bool) -> Vec<Explanation> {
        let mut explanations = vec![Explanation::default()];
        for number in 0..self.unit.sightings.len().min(COPIES) {
            let mut next = Vec::new();
            for explanation in &explanations {
                self.follow(explanation, number, illegal, &mut next);
            }
            explanations = merged(next);
            // Where there are too many, the search follows those that leave the fewest absences to explain.
            explanations.sort_by_cached_key(|explanation| explanation.cost + self.cost_of_absences(explanation));
            explanations.truncate(EXPLANATIONS);
        }
        for explanation in &mut explanations {
            explanation.cost += self.cost_of_absences(explanation) + self.doubt(explanation);
            self.too_many(explanation);
        }
        explanations.sort_by_key(|explanation| explanation.cost);
        explanations
    }

    /// What has to be taken and is not: slots of which one would do.
    fn absent<'e>(&'e self, explanation: &'e Explanation) -> impl Iterator<Item = &'e Vec<usize>> {
        let is_taken = |slots: &&Vec<usize>| {
            slots.iter().any(|slot| explanation.copies.iter().any(|copy| copy.slot == Some(*slot)))
        };
        self.unit.musts.iter().filter(move |slots| !is_taken(slots))
    }

    fn cost_of_absences(&self, explanation: &Explanation) -> u32 {
        let absent = self.absent(explanation).count() as u32;
        // However many may be missing, a broken rule costs more: the absences are still to be proven.
        (ABSENT * absent).min(BROKEN - ABSENT)
    }

    /// The cost of what speaks against an explanation: a subscription that is over needs not have brought the message where one
    /// in force may have.
    fn doubt(&self, explanation: &Explanation) -> u32 {
        let has_come = explanation.copies.iter().any(|copy| copy.slot.is_some());
        let may_take = |number: usize| {
            let delivery = self.unit.sightings[number].delivery;
            self.unit.slots.iter().any(|slot| slot.is_forward() || slot.is_open_to(delivery))
        };
        let is_doubtful = |(number, copy): (usize, &Explained)| match copy.cause {
            Cause::Illegal(illegal::Cause::EndedSession(_) | illegal::Cause::Unsubscribed(_)) => {
                has_come || may_take(number)
            }
            _ => false,
        };
        // What came is not missing: where it is taken for a copy that nobody owed, the one that was owed is one more broken rule.
        let is_owed = |number: usize| {
            let delivery = self.unit.sightings[number].delivery;
            let is_open = |slot: &usize| self.unit.slots[*slot].is_open_to(delivery);
            self.absent(explanation).any(|slots| slots.iter().any(is_open))
        };
        let mut doubtful = explanation.copies.iter().enumerate().filter(|own| is_doubtful(*own)).peekable();
        let doubt = if doubtful.peek().is_some() { RANK_OF_REPETITION } else { 0 };
        doubt + if doubtful.any(|(number, _)| is_owed(number)) { BROKEN } else { 0 }
    }

    /// Copies beyond those that are explained are taken for what the last one was, and are wrong only where one before is.
    fn too_many(&self, explanation: &mut Explanation) {
        let is_wrong = !explanation.broken.is_empty();
        for number in explanation.copies.len()..self.unit.sightings.len() {
            let before = number - 1;
            let label = || Label { rule: self.rule_of_repetition(before, number), what: What::Again };
            let labels = is_wrong.then(label).into_iter().collect();
            explanation.copies.push(Explained::new(Cause::Again(before), labels, None));
        }
    }

    fn follow(&self, explanation: &Explanation, number: usize, illegal: bool, next: &mut Vec<Explanation>) {
        let before = next.len();
        self.resent(explanation, number, next);
        for slot in 0..self.unit.slots.len() {
            self.takes(explanation, number, slot, next);
        }
        if !illegal {
            return;
        }
        self.again(explanation, number, next);
        let sighting = &self.unit.sightings[number];
        let nothing_else = next.len() == before;
        for (cause, rule) in illegal::causes(self.model, self.session, self.unit, sighting, nothing_else) {
            let labels = vec![Label { rule, what: What::OutOfPlace }];
            let cost = cause.rank();
            next.push(self.with(explanation, Explained::new(Cause::Illegal(cause), labels, None), cost));
        }
    }

    /// The copy continues one that came before, whose handshake was not finished.
    fn resent(&self, explanation: &Explanation, number: usize, next: &mut Vec<Explanation>) {
        let sighting = &self.unit.sightings[number];
        let publish = &sighting.delivery.publish;
        for first in last_of_each(explanation, number) {
            let earlier = &self.unit.sightings[first];
            let was = &earlier.delivery.publish;
            let here = earlier.connection.index == sighting.connection.index;
            let same_id = was.id == publish.id;
            if publish.qos == 0 || was.qos != publish.qos || !publish.dup && (here && !same_id) {
                continue;
            }
            if earlier.progress(self.model.facts, sighting.delivery.place.at) == Progress::Done {
                continue;
            }
            let mut labels: Vec<Label> = Vec::new();
            let mut label = |rule, what| labels.push(Label { rule, what });
            if !publish.dup {
                label(rules::DUP_1_ON_A_RESENT_COPY, What::NoDupOnResent);
            }
            if !same_id {
                label(rules::SENT_AGAIN_ON_RESUME, What::OtherIdentifier);
            }
            if here && sighting.connection.protocol() == Protocol::V5 {
                label(rules::RESENT_ONLY_ON_RESUME, What::ResentLive);
            }
            // A publisher that sent the message again explains a further copy better, under another identifier.
            let rank = u32::from(!same_id && self.unit.publications.iter().any(|own| own.sendings.len() > 1));
            let slot = explanation.copies[first].slot;
            // The PUBLISH was made for its first connection: at the QoS of then, and on one of 3.1.1 without identifiers.
            let was_v3 = earlier.connection.protocol() == Protocol::V3;
            let is_of_then = |wrong| wrong == Wrong::Qos || wrong == Wrong::Identifiers && was_v3;
            let attributes = slot.map(|slot| self.attributes(&self.unit.slots[slot], sighting));
            labels.extend(attributes.into_iter().flatten().filter(|label| match label.what {
                What::Attribute(wrong) => !is_of_then(wrong),
                _ => true,
            }));
            next.push(self.with(explanation, Explained::new(Cause::Resent(first), labels, slot), rank));
        }
    }

    /// The copy takes a slot.
    fn takes(&self, explanation: &Explanation, number: usize, slot: usize, next: &mut Vec<Explanation>) {
        let sighting = &self.unit.sightings[number];
        let wanted = &self.unit.slots[slot];
        if !wanted.is_open_to(sighting.delivery) {
            return;
        }
        let firsts = || explanation.copies.iter().filter(|copy| matches!(copy.cause, Cause::Slot(_)));
        let mut numbered = explanation.copies.iter().enumerate().filter(|(_, copy)| copy.cause == Cause::Slot(slot));
        let is_taken = numbered.any(|(earlier, _)| !self.may_have_moved_on(wanted, earlier, number));
        if is_taken && !wanted.repeats(sighting.delivery) {
            return;
        }
        let mut labels: Vec<Label> = self.attributes(wanted, sighting).collect();
        if let Some(routing) = wanted.routing() {
            let same = |copy: &&Explained| copy.slot.is_some_and(|own| self.is_beside(own, slot, routing));
            // A slot that several copies may take is one of them.
            let others = firsts().filter(same).filter_map(|copy| copy.slot).filter(|own| *own != slot);
            let beside = others.collect::<HashSet<usize>>().len();
            if beside >= self.filters(slot, routing) && !wanted.repeats(sighting.delivery) {
                return;
            }
            let is_all = |slot: usize| matches!(self.unit.slots[slot].way, Way::ForwardForAll { .. });
            let mixed = firsts().filter(same).any(|copy| copy.slot.is_some_and(|own| is_all(own) != is_all(slot)));
            let several = sighting.delivery.publish.properties.subscription_ids.len() > 1
                || firsts().filter(same).any(|copy| copy.slot.is_some_and(&is_all));
            if mixed && several && sighting.connection.protocol() == Protocol::V5 && self.has_identifiers(routing) {
                labels.push(Label { rule: rules::EACH_COPY_CARRIES_ITS_OWN_IDENTIFIER, what: What::MixedIdentifiers });
            }
        }
        let publish = &sighting.delivery.publish;
        if publish.dup && publish.qos > 0 && !self.may_have_been_sent_unseen(wanted, sighting) {
            labels.push(Label { rule: rules::DUP_0_ON_A_FIRST_COPY, what: What::DupOnFirst });
        }
        // Under the identifier of an earlier copy it is that one again, rather than a first one with a wrong flag.
        let is_dup = labels.last().is_some_and(|label| label.what == What::DupOnFirst);
        let mut earlier = self.unit.sightings[..number].iter().map(|own| own.delivery.publish.id);
        let rank = if is_dup && earlier.any(|id| id == publish.id) { RANK_OF_REPETITION + 1 } else { 0 };
        next.push(self.with(explanation, Explained::new(Cause::Slot(slot), labels, Some(slot)), rank));
    }

    /// A message of a shared subscription at QoS 1 whose connection ended on the way may be sent as a new one, also to the same
    /// client (5.0, section 4.8.2).
    fn may_have_moved_on(&self, slot: &Slot<'_>, earlier: usize, number: usize) -> bool {
        let (earlier, again) = (&self.unit.sightings[earlier], &self.unit.sightings[number]);
        matches!(slot.way, Way::Shared { .. })
            && earlier.delivery.publish.qos == 1
            && earlier.connection.index < again.connection.index
            && earlier.progress(self.model.facts, again.delivery.place.at) != Progress::Done
    }

    /// The message was delivered to its end, and comes once more.
    fn again(&self, explanation: &Explanation, number: usize, next: &mut Vec<Explanation>) {
        for first in last_of_each(explanation, number) {
            let rule = self.rule_of_repetition(first, number);
            let labels = vec![Label { rule, what: What::Again }];
            // The copy that has the same identifier is the likeliest to come again.
            let same_id =
                self.unit.sightings[first].delivery.publish.id == self.unit.sightings[number].delivery.publish.id;
            let cost = RANK_OF_REPETITION - u32::from(same_id);
            next.push(self.with(explanation, Explained::new(Cause::Again(first), labels, None), cost));
        }
    }

    fn with(&self, explanation: &Explanation, copy: Explained, rank: u32) -> Explanation {
        let mut next = explanation.clone();
        next.cost += rank;
        for label in &copy.labels {
            if next.broken.contains(&label.rule) {
                next.cost += 1;
                continue;
            }
            next.broken.push(label.rule);
            next.cost += if self.charged.contains(&label.rule) { CHARGED } else { BROKEN };
            next.cost += label.what.rank();
        }
        next.copies.push(copy);
        next
    }

    fn attributes(&self, slot: &Slot<'a>, sighting: &Sighting<'a>) -> impl Iterator<Item = Label> {
        let delivery = sighting.delivery;
        let wrong: Vec<Wrong> = slot.wrong(delivery, sighting.connection.protocol()).collect();
        let label = |wrong| Label { rule: slot.rule(wrong, delivery, self.session), what: What::Attribute(wrong) };
        wrong.into_iter().map(label).collect::<Vec<_>>().into_iter()
    }

    /// Both slots belong to the same routing of the same publication.
    fn is_beside(&self, own: usize, slot: usize, routing: usize) -> bool {
        let (own, slot) = (&self.unit.slots[own], &self.unit.slots[slot]);
        own.routing() == Some(routing) && std::ptr::eq(own.publication, slot.publication)
    }

    /// How many filters this routing has met.
    fn filters(&self, slot: usize, routing: usize) -> usize {
        let single = |own: &usize| matches!(self.unit.slots[*own].way, Way::Forward { .. });
        (0..self.unit.slots.len()).filter(|own| self.is_beside(*own, slot, routing) && single(own)).count()
    }

    /// Several of the subscriptions have identifiers.
    fn has_identifiers(&self, routing: usize) -> bool {
        let of_all =
            |slot: &&Slot<'_>| slot.routing() == Some(routing) && matches!(slot.way, Way::ForwardForAll { .. });
        self.unit.slots.iter().find(of_all).is_some_and(|slot| slot.expected_ids().len() > 1)
    }

    /// An earlier connection was there when the copy may have been sent already: what the broker had sent when it ended, the client may
    /// never have read. One that ended with DISCONNECT had read what stood before the last packet that it got.
    fn may_have_been_sent_unseen(&self, slot: &Slot<'_>, sighting: &Sighting<'_>) -> bool {
        let since = match slot.way {
            Way::Retained { subscribing, .. } => subscribing.sent.step,
            _ => slot.publication.sent().map_or(0, |sent| sent.step),
        };
        let accepted = slot.publication.accepted.map_or(usize::MAX, |accepted| accepted.at);
        let is_read = |own: &Connection| {
            own.signs.iter().any(|(at, of)| *at > accepted && *of > own.opened.at)
                || own.deliveries.last().is_some_and(|delivery| delivery.place.step >= since)
        };
        let earlier = self.model.facts.connections[..sighting.connection.index].iter();
        let is_own = |own: &&Connection| {
            self.session.has(own) || *own.id == *self.session.id && own.connack.is_none() && !own.connect.clean
        };
        earlier.filter(is_own).any(|own| {
            let may_be_there = own.ended_in() >= since || own.closed.is_some() && !self.had_seen_the_end(own, since);
            may_be_there && (own.left.is_none() || !is_read(own))
        })
    }

    /// Before this step the broker had shown that it knew of the end of a connection which its client had cut: a network may bring the
    /// last bytes late.
    fn had_seen_the_end(&self, connection: &Connection, since: usize) -> bool {
        let is_own = |own: &&Publication| own.will_of == Some(connection.index);
        let has_delay = connection.connect.will.as_ref().is_some_and(|will| will.delay.is_some());
        let will = self.model.facts.publications.iter().find(is_own).and_then(|will| will.accepted);
        connection.ended.is_some() || !has_delay && will.is_some_and(|came| came.step < since)
    }

    /// The rule that a repeated message breaks.
    fn rule_of_repetition(&self, first: usize, number: usize) -> Rule {
        let (first, again) = (&self.unit.sightings[first], &self.unit.sightings[number]);
        let publication = self.unit.publications[0];
        let further = first.connection.index != again.connection.index;
        let is_of_id = |own: &Sighting<'_>| own.delivery.publish.id == again.delivery.publish.id;
        let publish = &again.delivery.publish;
        let is_new = !publish.dup || publish.qos > 0 && !self.unit.sightings[..number].iter().any(is_of_id);
        if publication.is_will() && illegal::came_twice_to_others(self.model, publication, self.session) {
            return illegal::rule_of_second_will(self.model, publication, again.delivery.place.step);
        }
        if first.delivery.refused && further {
            return rules::REFUSED_IS_NOT_RESENT;
        }
        match (publication.qos, first.delivery.publish.qos, further) {
            (2, ..) if is_new && publication.was_repeated() => rules::TAKEN_IN_ONCE,
            (_, 2, true) => rules::EXACTLY_ONCE_ON_A_FURTHER_CONNECTION,
            (_, 2, false) => rules::EXACTLY_ONCE_ON_ONE_CONNECTION,
            (_, 1, _) => rules::ACKNOWLEDGED_IS_NOT_RESENT,
            _ => rules::AT_MOST_ONCE,
        }
    }
}

/// Among explanations of equal cost a repetition comes behind what is out of place for another reason.
const RANK_OF_REPETITION: u32 = 6;

impl What {
    /// The order among explanations of equal cost.
    fn rank(self) -> u32 {
        match self {
            What::OutOfPlace => 0,
            What::Attribute(Wrong::Identifiers) | What::MixedIdentifiers => 5,
            What::Attribute(_) => 4,
            What::DupOnFirst | What::NoDupOnResent | What::OtherIdentifier | What::ResentLive => 4,
            What::Again => 0,
        }
    }
}

/// The last copy of each delivery of the message so far: a further one may continue it.
fn last_of_each(explanation: &Explanation, number: usize) -> Vec<usize> {
    let is_continued = |copy: usize| explanation.copies.iter().any(|own| own.cause == Cause::Resent(copy));
    (0..number).filter(|copy| !is_continued(*copy)).collect()
}

/// Explanations that differ only in which copy takes which of the same slots are one. There are as many as permutations.
fn merged(explanations: Vec<Explanation>) -> Vec<Explanation> {
    let mut places: HashMap<_, usize> = HashMap::new();
    let mut merged: Vec<Explanation> = Vec::new();
    for explanation in explanations {
        let taken = explanation.copies.iter().filter(|copy| matches!(copy.cause, Cause::Slot(_)));
        let mut taken: Vec<Option<usize>> = taken.map(|copy| copy.slot).collect();
        taken.sort_unstable();
        let of_slot = |copy: &Explained| (!matches!(copy.cause, Cause::Slot(_))).then_some(copy.cause);
        let causes: Vec<Option<Cause>> = explanation.copies.iter().map(of_slot).collect();
        let mut broken = explanation.broken.clone();
        broken.sort_unstable();
        match places.entry((explanation.cost, taken, causes, broken)) {
            Entry::Vacant(place) => {
                place.insert(merged.len());
                merged.push(explanation);
            }
            Entry::Occupied(place) => {
                let known = merged[*place.get()].copies.iter_mut();
                for (known, copy) in known.zip(explanation.copies) {
                    known.alternatives.extend(copy.alternatives);
                    known.alternatives.sort_unstable();
                    known.alternatives.dedup();
                }
            }
        }
    }
    merged
}
