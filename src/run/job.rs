//! One cell in one repetition, through all its attempts.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use super::Shared;
use super::allowance::Allowance;
use super::client::Client;
use super::gone;
use super::names::{ClientName, Names, Place};
use super::player::Player;
use super::record::Record;
use super::settle;
use super::witness;
use crate::history::{Awaited, Event, History, PROBE, WITNESS};
use crate::judge::{self, Judgement};
use crate::packet::Packet;
use crate::plan::{self, Action, Cell};
use crate::session_rules::has_no_room;
use crate::vocabulary::FIRST_NODE;

/// How many attempts there are at most. In the last one what is missing is waited for with patience.
pub const ATTEMPTS_MAX: u32 = 3;

/// One cell in one repetition, with the attempts made so far.
pub struct Job {
    pub cell: Arc<Cell>,
    pub repetition: u32,
    pub attempts: Vec<Attempt>,
    /// How often ids were used up, counting attempts that the broker's refusal of connections cut short.
    pub tries: u32,
    /// How often an attempt was spoilt by the end of the witness's connection, or because the harness was held up.
    pub disturbances: u32,
    /// How often it was tried again after a pause, since it was refused although it played alone.
    pub pauses: u32,
    pub duration: Duration,
}

/// One attempt at a cell, played and judged.
pub struct Attempt {
    /// `None` if it was not played.
    pub began_at: Option<SystemTime>,
    /// From the scenario's names of clients and topics to those on the wire.
    pub names: BTreeMap<String, String>,
    pub history: History,
    pub judgement: Judgement,
}

impl Job {
    pub fn repetitions(cell: Cell, repeat: u32) -> impl Iterator<Item = Job> {
        let cell = Arc::new(cell);
        (1..=repeat).map(move |repetition| Job {
            cell: cell.clone(),
            repetition,
            attempts: Vec::new(),
            tries: 0,
            disturbances: 0,
            pauses: 0,
            duration: Duration::ZERO,
        })
    }

    /// Plays the cell once more and judges what happened.
    pub async fn play(mut self, shared: Arc<Shared>) -> Job {
        let _member = shared.outages.member();
        shared.pace.turn().await;
        let started = Instant::now();
        let attempt = self.made() + 1;
        let names = self.names(&shared, self.tries + 1);
        self.tries += 1;
        let publisher = self.cell.steps.iter().find(|step| matches!(step.action, Action::Publish(_)));
        let protocol = publisher.map_or(self.cell.clients[0].protocol, |step| self.cell.clients[step.client].protocol);
        let allowance = Allowance::of(&self.cell, &shared.common);
        let witness = shared.witnesses.mailbox(protocol, &names, &self.cell, allowance.clone()).await;
        let began_at = Some(SystemTime::now());
        let mut player = Player {
            cell: &self.cell,
            shared: &shared,
            publishes_in: protocol,
            target: &shared.target,
            clients: self.cell.clients.iter().cloned().map(Client::new).collect(),
            allowances: vec![allowance; self.cell.clients.len()],
            record: Record::new(self.cell.clients.iter().map(|client| client.name.clone())),
            witness,
            witness_connections: 0,
            names: names.clone(),
            settle: settle::of_attempt(shared.options.settle, attempt),
            // What was waited for in vain is not waited for again.
            patience: if self.only_a_guess_is_open() { Duration::ZERO } else { shared.options.patience },
            attempt,
            is_last_attempt: attempt >= ATTEMPTS_MAX,
            node: FIRST_NODE,
            hold_ups: shared.pulse.held_up_so_far(),
            pulse: &shared.pulse,
            leftovers: &shared.leftovers,
            loop_backs: 0,
            fences: 0,
            messages: 0,
            wills: 0,
            clearings: 0,
            witnessed: HashSet::new(),
        };
        let history = player.play().await;
        let judgement = judge::judge(&self.cell, &history);
        let mut names = names_on_the_wire(&self.cell, &names, &history);
        names.extend(player.record.assigned());
        if history.events().any(|event| event.client().is_some_and(|client| **client == *WITNESS)) {
            names.insert(WITNESS.into(), witness::client_id(&shared.options.prefix, protocol, &shared.nonce));
        }
        self.attempts.push(Attempt { began_at, names, history, judgement });
        self.duration += started.elapsed();
        self
    }

    /// Something happens to the broker in it.
    pub fn has_outage(&self) -> bool {
        self.cell.operations().next().is_some()
    }

    pub fn names(&self, shared: &Shared, attempt: u32) -> Names {
        let place = Place { cell: &self.cell.id, repetition: self.repetition, attempt };
        let name = |client: &plan::Client| ClientName {
            name: client.name.clone(),
            client_id: client.client_id,
            id_bytes: client.id_bytes,
        };
        let clients = self.cell.clients.iter().map(name).collect();
        let names = Names::new(&shared.options.prefix, &shared.nonce, place, clients);
        names.hiding(shared.target.endpoint.secrets.clone())
    }

    /// True if a connection did not come about in the last attempt: a broker that is asked for too many at once refuses some, or
    /// leaves some waiting. `full`: it has refused others already, so that a connection that it closes is no sign of anything
    /// else.
    pub fn was_refused(&self, full: bool) -> bool {
        let Some(attempt) = self.attempts.last() else { return false };
        let is_refused = |event: &Event| match event {
            Event::Unreachable(_) => true,
            Event::Missing(_, awaited) => *awaited == Awaited::Connack,
            Event::Received(_, Packet::Connack(connack)) => has_no_room(connack.code),
            _ => false,
        };
        let ended = ended_unanswered(&attempt.history);
        attempt.history.events().any(is_refused) || ended.contains(PROBE) || full && !ended.is_empty()
    }

    /// How many attempts were made that count. A job whose last one was spoilt is behind the others of its round.
    pub fn made(&self) -> u32 {
        self.attempts.len() as u32
    }

    /// True if the findings of the last attempt need another one.
    pub fn needs_another_attempt(&self) -> bool {
        let made = self.made();
        if self.only_a_guess_is_open() {
            return made == 1;
        }
        self.attempts.last().is_some_and(|attempt| attempt.judgement.attempts_needed() > made)
    }

    /// True if the first attempt has proven all it found, and a second one is made for the guess at its cause alone.
    fn only_a_guess_is_open(&self) -> bool {
        self.attempts.first().is_some_and(|attempt| attempt.judgement.leaves_a_guess_open())
    }

    /// True if the last attempt broke off as it would if the broker were gone.
    pub fn is_suspicious(&self) -> bool {
        self.attempts.last().is_some_and(|attempt| gone::is_suspicious(&attempt.history))
    }

    /// True if the last attempt is to be made again: the broker ended the connection of the witness, as one that restarts does, and the
    /// attempt did not pass all the same; or the harness was held up, and that may be why the verdict is open.
    pub fn was_disturbed(&self) -> bool {
        let Some(Attempt { history, judgement, .. }) = self.attempts.last() else { return false };
        let lost_its_witness = || history.events().any(judge::is_end_of_witness);
        let was_held_up = || history.events().any(|event| matches!(event, Event::Late(_)));
        !judgement.is_pass() && lost_its_witness() || judgement.is_open() && was_held_up()
    }

    pub fn after_disturbance(mut self) -> Job {
        self.disturbances += 1;
        self.without_last_attempt()
    }

    pub fn after_pause(mut self) -> Job {
        self.pauses += 1;
        self.without_last_attempt()
    }

    pub fn without_last_attempt(mut self) -> Job {
        self.attempts.pop();
        self
    }
}

/// The clients of which the broker ended a connection instead of answering its CONNECT.
fn ended_unanswered(history: &History) -> HashSet<&str> {
    let mut unanswered: HashSet<&str> = HashSet::new();
    let mut ended = HashSet::new();
    for event in history.events() {
        match event {
            Event::Sent(client, Packet::Connect(_)) => {
                unanswered.insert(client);
            }
            Event::Received(client, _) => {
                unanswered.remove(client.as_ref());
            }
            Event::Ended(client, _) if unanswered.contains(client.as_ref()) => {
                ended.insert(client.as_ref());
            }
            _ => {}
        }
    }
    ended
}

/// The scenario's names of the clients, and of all topics and filters in the history, with their names on the wire. A
/// client without an identifier of its own is left out.
fn names_on_the_wire(cell: &Cell, names: &Names, history: &History) -> BTreeMap<String, String> {
    let clients = (0..cell.clients.len()).map(|client| (cell.clients[client].name.clone(), names.client_id(client)));
    let mut table: BTreeMap<String, String> = clients.filter(|(_, id)| !id.is_empty()).collect();
    // What is not ours begins with a question mark, and stands under no other name on the wire.
    let topics: BTreeSet<&str> = history.events().flat_map(topics).filter(|topic| !topic.starts_with('?')).collect();
    for topic in topics {
        let is_taken = cell.clients.iter().any(|client| client.name == topic);
        let name = if is_taken { format!("topic {topic}") } else { topic.to_owned() };
        let wire = names.topic(topic);
        // What belongs to the broker has the same name everywhere.
        if wire != topic {
            table.insert(name, wire);
        }
    }
    table
}

/// The topics and filters of an event.
fn topics(event: &Event) -> Vec<&str> {
    let packet = match event {
        Event::Sent(_, packet) | Event::Half(_, packet) | Event::Received(_, packet) => packet,
        _ => return Vec::new(),
    };
    match packet {
        Packet::Connect(connect) => connect.will.iter().map(|will| will.topic.as_str()).collect(),
        Packet::Publish(publish) if publish.topic.is_empty() => Vec::new(),
        Packet::Publish(publish) => vec![publish.topic.as_str()],
        Packet::Subscribe(subscribe) => subscribe.filters.iter().map(|filter| filter.filter.as_str()).collect(),
        Packet::Unsubscribe(unsubscribe) => unsubscribe.filters.iter().map(String::as_str).collect(),
        _ => Vec::new(),
    }
}
