//! The cheapest explanation: each copy of a message takes a slot, continues a copy that came before, or is out of place.
//!
//! A right attribute costs nothing. A wrong one, or a copy out of place, costs one, and is the rule that it breaks. Over all
//! messages of a session a rule is charged once: one lie explains everything that it can explain.

mod search;

use std::collections::{BTreeSet, HashMap, HashSet};

use super::facts::{Connection, Delivery, Publication};
use super::illegal;
use super::model::Model;
use super::rules::Rule;
use super::session::Session;
use super::slots::{Slot, Way, Wrong, slots};
use crate::history::Message;
use search::Search;

/// The cost of a rule that no other message of the session has broken.
const BROKEN: u32 = 1000;
/// The cost of one that another message has broken.
const CHARGED: u32 = 10;
/// The cost of a slot that a copy must take and none does: the absence would have to be proven.
const ABSENT: u32 = 300;

/// A message in a session, with its slots and its copies.
pub struct Unit<'a> {
    pub publications: Vec<&'a Publication>,
    pub slots: Vec<Slot<'a>>,
    pub sightings: Vec<Sighting<'a>>,
    /// Slots of which one has to be taken.
    musts: Vec<Vec<usize>>,
}

/// A copy of a message that came to a session.
#[derive(Debug, Clone, Copy)]
pub struct Sighting<'a> {
    pub connection: &'a Connection,
    pub delivery: &'a Delivery,
}

/// Why a copy came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cause {
    /// It takes the slot with this number.
    Slot(usize),
    /// The broker sends the copy with this number again.
    Resent(usize),
    /// The copy with this number was delivered to its end, and the message comes once more.
    Again(usize),
    /// Nothing explains it but a broken rule.
    Illegal(illegal::Cause),
}

/// What is wrong with a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Label {
    pub rule: Rule,
    pub what: What,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    Attribute(Wrong),
    /// DUP 1 although it was never sent before.
    DupOnFirst,
    /// DUP 0 although it was sent before.
    NoDupOnResent,
    OtherIdentifier,
    /// Sent again on the same connection.
    ResentLive,
    /// One copy for all subscriptions beside copies for single ones.
    MixedIdentifiers,
    Again,
    OutOfPlace,
}

/// A copy with its explanation.
#[derive(Debug, Clone)]
pub struct Explained {
    pub cause: Cause,
    pub labels: Vec<Label>,
    /// The slot that it takes, or that the copy took which it continues.
    pub slot: Option<usize>,
    /// The slots that it takes in the explanations which break no further rule.
    pub alternatives: Vec<Option<usize>>,
}

impl Explained {
    fn new(cause: Cause, labels: Vec<Label>, slot: Option<usize>) -> Explained {
        Explained { cause, labels, slot, alternatives: vec![slot] }
    }
}

/// An explanation of the copies so far.
#[derive(Debug, Clone, Default)]
struct Explanation {
    cost: u32,
    broken: Vec<Rule>,
    copies: Vec<Explained>,
}

/// Hands on the messages of a session, each with the cheapest explanation of its copies: first those that break no rule. They are
/// not kept, since there may be a hundred thousand.
pub fn explain<'a>(model: &Model<'a>, session: &Session<'a>, mut explained: impl FnMut(Unit<'a>, Vec<Explained>)) {
    let free = HashSet::new();
    // Only where a rule is broken do the messages have to agree on it.
    let mut guilty: Vec<(Unit<'a>, Vec<Explanation>)> = Vec::new();
    for unit in units(model, session) {
        let explanations = unit.explanations(model, session, &free);
        if explanations[0].cost >= BROKEN {
            guilty.push((unit, explanations));
        } else {
            let copies = best(unit.sightings.len(), explanations);
            explained(unit, copies);
        }
    }
    let charged = if guilty.len() > 1 { cover(&guilty) } else { HashSet::new() };
    for (unit, explanations) in guilty {
        let explanations = if charged.is_empty() { explanations } else { unit.explanations(model, session, &charged) };
        let copies = best(unit.sightings.len(), explanations);
        explained(unit, copies);
    }
}

/// The copies of the cheapest explanation. Others are as good as it if they break no further rule.
fn best(sightings: usize, mut explanations: Vec<Explanation>) -> Vec<Explained> {
    let least = explanations[0].cost;
    let as_good = |explanation: &&Explanation| explanation.cost < least + BROKEN;
    let alternatives = |copy: usize| -> Vec<Option<usize>> {
        let as_good = explanations.iter().take_while(as_good);
        let slots: BTreeSet<_> = as_good.flat_map(|other| other.copies[copy].alternatives.iter().copied()).collect();
        slots.into_iter().collect()
    };
    let alternatives: Vec<Vec<Option<usize>>> = (0..sightings).map(alternatives).collect();
    let copies = explanations.swap_remove(0).copies.into_iter().zip(alternatives);
    copies.map(|(copy, alternatives)| Explained { alternatives, ..copy }).collect()
}

/// The fewest rules that explain all these messages, found greedily: each time the rule that explains most of the rest.
fn cover(guilty: &[(Unit<'_>, Vec<Explanation>)]) -> HashSet<Rule> {
    let mut charged: HashSet<Rule> = HashSet::new();
    let mut open: Vec<Vec<&Explanation>> = Vec::new();
    for (_, explanations) in guilty {
        let best = explanations[0].cost;
        open.push(explanations.iter().filter(|explanation| explanation.cost < best + ABSENT / 2).collect());
    }
    while !open.is_empty() {
        let mut counts: HashMap<Rule, usize> = HashMap::new();
        for explanations in &open {
            let rules: HashSet<Rule> =
                explanations.iter().flat_map(|explanation| explanation.broken.iter().copied()).collect();
            rules
                .into_iter()
                .filter(|rule| !charged.contains(rule))
                .for_each(|rule| *counts.entry(rule).or_default() += 1);
        }
        let best_first = open[0][0].broken.clone();
        let rank = |rule: &Rule| (best_first.contains(rule), std::cmp::Reverse(*rule));
        let Some((rule, _)) = counts.into_iter().max_by_key(|(rule, count)| (*count, rank(rule))) else { break };
        charged.insert(rule);
        open.retain(|explanations| {
            !explanations.iter().any(|explanation| explanation.broken.iter().all(|rule| charged.contains(rule)))
        });
    }
    charged
}

/// The messages that concern a session: those that may or must come to it, and those that have.
fn units<'a, 's>(model: &'s Model<'a>, session: &'s Session<'a>) -> impl Iterator<Item = Unit<'a>> + use<'a, 's> {
    let publications = &model.facts.publications;
    // Clearings of one topic cannot be told apart, nor wills that say the same. They are one unit, that of the first.
    let is_nameless = |own: &Publication| own.is_clearing() || own.is_will();
    let name = |own: &'a Publication| (Some(own.message).filter(|_| !own.is_clearing()), own.topic.as_ref());
    let mut alike: HashMap<(Option<Message>, &str), Vec<usize>> = HashMap::new();
    for (number, publication) in publications.iter().enumerate().filter(|(_, own)| is_nameless(own)) {
        alike.entry(name(publication)).or_default().push(number);
    }
    let mut sightings: Vec<(usize, Sighting<'a>)> = Vec::new();
    for (connection, delivery) in session.deliveries() {
        if let Some(first) = model.facts.first_source_of(delivery) {
            sightings.push((first, Sighting { connection, delivery }));
        }
    }
    // The copies of one message stay in their order.
    sightings.sort_by_key(|(number, _)| *number);
    let mut sightings = sightings.into_iter().peekable();
    publications.iter().enumerate().filter_map(move |(number, publication)| {
        let publications: Vec<&'a Publication> = match alike.get(&name(publication)) {
            Some(all) if is_nameless(publication) && all[0] != number => return None,
            Some(all) if is_nameless(publication) => all.iter().map(|own| &publications[*own]).collect(),
            _ => vec![publication],
        };
        let own = std::iter::from_fn(|| sightings.next_if(|(first, _)| *first == number));
        let sightings = own.map(|(_, sighting)| sighting).collect();
        Unit::of(model, session, publications, sightings)
    })
}

impl<'a> Unit<'a> {
    /// `None` if the message does not concern the session.
    fn of(
        model: &Model<'a>,
        session: &Session<'a>,
        publications: Vec<&'a Publication>,
        sightings: Vec<Sighting<'a>>,
    ) -> Option<Unit<'a>> {
        let slots = slots(model, session, &publications);
        if slots.is_empty() && sightings.is_empty() {
            return None;
        }
        let mut unit = Unit { publications, slots, sightings, musts: Vec::new() };
        unit.musts = unit.musts(model, session);
        Some(unit)
    }

    /// Slots of which one has to be taken: for each message that is owed, and for each SUBSCRIBE that finds it retained.
    fn musts(&self, model: &Model<'a>, session: &Session<'a>) -> Vec<Vec<usize>> {
        let mut musts = Vec::new();
        let numbers = |wanted: &dyn Fn(&Slot<'a>) -> bool| -> Vec<usize> {
            self.slots.iter().enumerate().filter(|(_, slot)| wanted(slot)).map(|(number, _)| number).collect()
        };
        for publication in &self.publications {
            if model.owed_qos(session, publication).is_some() {
                musts.push(numbers(&|slot| slot.is_forward() && std::ptr::eq(slot.publication, *publication)));
            }
        }
        for (number, slot) in self.slots.iter().enumerate() {
            let Way::Retained { subscribing, connection } = slot.way else { continue };
            let Some(connection) = session.connection(connection) else { continue };
            let found = model.retained(&slot.publication.topic, subscribing, connection);
            if !found.none && found.candidates.len() == 1 {
                musts.push(vec![number]);
            }
        }
        musts
    }

    /// The explanations of the copies, the cheapest first; never empty.
    fn explanations(&self, model: &Model<'a>, session: &Session<'a>, charged: &HashSet<Rule>) -> Vec<Explanation> {
        let search = Search { unit: self, model, session, charged };
        let legal = search.run(false);
        if legal.first().is_some_and(|best| best.cost < BROKEN) {
            return legal;
        }
        search.run(true)
    }

    pub fn slot(&self, explained: &Explained) -> Option<&Slot<'a>> {
        explained.slot.map(|slot| &self.slots[slot])
    }
}

/// How far the handshake of a copy had come when another one came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// The client had not acknowledged it.
    Open,
    /// It had, and nothing shows that the broker had read that.
    Unread,
    /// The broker had read it.
    Done,
}

impl Sighting<'_> {
    /// How far the handshake had come when the entry at `by` was seen.
    pub fn progress(&self, facts: &super::facts::Facts, by: usize) -> Progress {
        let delivery = self.delivery;
        if delivery.publish.qos == 0 || delivery.released.is_some_and(|released| released < by) {
            return Progress::Done;
        }
        let Some((at, connection)) = delivery.acked.filter(|(at, _)| *at < by) else { return Progress::Open };
        let read = facts.connections[connection].has_read(at, by);
        // What shows that PUBREC was read is its PUBREL, and nothing else.
        let is_last = delivery.publish.qos == 1 || delivery.refused;
        if read && is_last { Progress::Done } else { Progress::Unread }
    }
}
