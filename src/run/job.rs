//! One cell in one repetition, through all its attempts.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Shared;
use super::client::Client;
use super::names::{ClientName, Names, Place};
use super::player::Player;
use super::record::Record;
use crate::history::{Awaited, Event, History};
use crate::judge::{self, Judgement};
use crate::plan::{self, Action, Cell};

/// By what each further attempt at an absence multiplies the settle window.
const SETTLE_FACTOR: u32 = 4;

/// One cell in one repetition, with the attempts made so far.
pub struct Job {
    pub cell: Arc<Cell>,
    pub repetition: u32,
    pub attempts: Vec<(History, Judgement)>,
    /// How often ids were used up, counting attempts that the broker's refusal of connections cut short.
    pub tries: u32,
    pub duration: Duration,
}

/// What comes after an attempt.
pub enum Next {
    Done,
    AnotherAttempt,
    /// No connection came about: with fewer cells side by side it may.
    Refused,
}

impl Job {
    pub fn repetitions(cell: Cell, repeat: u32) -> impl Iterator<Item = Job> {
        let cell = Arc::new(cell);
        (1..=repeat).map(move |repetition| Job {
            cell: cell.clone(),
            repetition,
            attempts: Vec::new(),
            tries: 0,
            duration: Duration::ZERO,
        })
    }

    /// Plays the cell once more and judges what happened.
    pub async fn play(mut self, shared: Arc<Shared>) -> Job {
        let started = Instant::now();
        let attempt = self.attempts.len() as u32 + 1;
        let names = self.names(&shared, self.tries + 1);
        self.tries += 1;
        let publisher = self.cell.steps.iter().find(|step| matches!(step.action, Action::Publish(_)));
        let protocol = publisher.map_or(self.cell.clients[0].protocol, |step| self.cell.clients[step.client].protocol);
        let player = Player {
            cell: &self.cell,
            target: &shared.target,
            clients: self.cell.clients.iter().cloned().map(Client::new).collect(),
            record: Record::new(self.cell.clients.iter().map(|client| client.name.clone())),
            witness: shared.witnesses.get(&protocol).map(|witness| witness.mailbox(names.tag())),
            names,
            settle: shared.options.settle * SETTLE_FACTOR.pow(attempt - 1),
            attempt,
            loop_backs: 0,
            fences: 0,
            messages: 0,
            wills: 0,
            clearings: 0,
            witnessed: HashSet::new(),
        };
        let history = player.play().await;
        let judgement = judge::judge(&self.cell, &history);
        self.attempts.push((history, judgement));
        self.duration += started.elapsed();
        self
    }

    pub fn names(&self, shared: &Shared, attempt: u32) -> Names {
        let place = Place { cell: &self.cell.id, repetition: self.repetition, attempt };
        let name = |client: &plan::Client| ClientName { name: client.name.clone(), client_id: client.client_id };
        let clients = self.cell.clients.iter().map(name).collect();
        Names::new(&shared.options.prefix, &shared.nonce, place, clients)
    }

    pub fn next(&self) -> Next {
        let Some((history, judgement)) = self.attempts.last() else { return Next::Done };
        // A broker that is asked for too many connections at once refuses some, or leaves some waiting.
        let is_refused = |event: &Event| match event {
            Event::Unreachable(_) => true,
            Event::Missing(_, awaited) => *awaited == Awaited::Connack,
            _ => false,
        };
        if history.events().any(is_refused) {
            Next::Refused
        } else if judgement.attempts_needed() > self.attempts.len() as u32 {
            Next::AnotherAttempt
        } else {
            Next::Done
        }
    }

    pub fn without_last_attempt(mut self) -> Job {
        self.attempts.pop();
        self
    }
}
