//! Two clients with one identifier: the later one takes the session over, and two that come at once race for it.

use std::time::Duration;

use super::client::Client;
use super::player::{Player, Stop, Waited};
use crate::history::{Awaited, Event};
use crate::packet::Packet;
use crate::plan::Connect;

impl Player<'_> {
    /// A client that is online under the same identifier is about to lose its connection, and knows nothing of the
    /// session any more: it is the new client's.
    pub fn take_over(&mut self, client: usize) -> Option<usize> {
        let id = self.clients[client].plan.client_id?;
        let same = |other: &usize| *other != client && self.clients[*other].plan.client_id == Some(id);
        let others: Vec<usize> = (0..self.clients.len()).filter(same).collect();
        let older = others.iter().copied().find(|other| self.clients[*other].connection.is_some());
        if let Some(latest) = older.or_else(|| others.iter().copied().find(|other| self.clients[*other].has_session)) {
            let subscriptions = std::mem::take(&mut self.clients[latest].subscriptions);
            let outbox = std::mem::take(&mut self.clients[latest].outbox);
            // The two may speak different versions, so what the older one asked for is told in the words of both.
            let persists = self.clients[latest].session_persists();
            let connect = self.clients[latest].connect.clone().map(|connect| Connect {
                clean: !persists,
                session_expiry: connect.session_expiry.or(persists.then_some(u32::MAX)),
                ..connect
            });
            self.clients[latest].has_session = false;
            let state = &mut self.clients[client];
            (state.subscriptions, state.outbox, state.connect) = (subscriptions, outbox, connect);
            state.has_session = state.session_persists();
        }
        if let Some(older) = older {
            self.clients[older].may_end = true;
        }
        older
    }

    /// The broker has to end the connection of the client that was taken over (3.1.1 MQTT-3.1.4-2, 5.0 MQTT-3.1.4-3), and
    /// to publish its will unless that is delayed.
    pub async fn await_takeover(&mut self, older: usize) -> Result<(), Stop> {
        let deadline = self.deadline();
        if self.pump(deadline, |clients| clients[older].connection.is_none()).await == Waited::Deadline {
            return Err(self.still_there(older));
        }
        // Nothing that follows rests on the will, so the cell goes on without it.
        let _ = self.await_will(older).await;
        Ok(())
    }

    /// The broker has left a connection open that it had to end.
    fn still_there(&mut self, client: usize) -> Stop {
        let awaited = Awaited::ConnectionEnd;
        self.record.observed(client, |name| Event::Missing(name, awaited));
        Stop
    }

    /// What the clock says about the timers of a client that is taken over: none of them has begun.
    pub fn note_takeover(&mut self, client: usize, older: usize) {
        if let Some(before) = self.clients[older].connect.clone() {
            self.note_timers(client, &before, Duration::ZERO);
        }
    }

    /// Two clients connect with one identifier at the same moment. Which of them the broker takes for the later one is
    /// its own affair: the one that stays gets the second name.
    pub async fn race(&mut self, (first, node): (usize, u32), second: usize, connect: &Connect) -> Result<(), Stop> {
        self.take_over(second);
        for (client, node) in [(first, node), (second, connect.node)] {
            let connection = self.open(client, node).await?;
            self.clients[client].has_session = self.clients[second].has_session;
            self.clients[client].connected(connection, connect);
            self.clients[client].may_end = true;
        }
        // Either of them may be told of the session that the other one has just begun.
        let persists = [first, second].iter().any(|client| self.clients[*client].session_persists());
        for client in [first, second] {
            self.clients[client].has_session |= persists;
        }
        for client in [first, second] {
            let packet = self.connect_packet(client, connect);
            self.send(client, Packet::Connect(packet))?;
        }
        let is_gone = |client: &Client| client.connection.is_none();
        let has_won = |client: &Client| client.connection.is_some() && client.connack.is_some();
        let deadline = self.deadline();
        let decided = |clients: &[Client]| {
            let (one, other) = (&clients[first], &clients[second]);
            is_gone(one) && (has_won(other) || is_gone(other)) || is_gone(other) && has_won(one)
        };
        let waited = self.pump(deadline, decided).await;
        if is_gone(&self.clients[second]) {
            self.swap(first, second);
        }
        self.clients[second].may_end = false;
        match waited {
            Waited::Deadline if is_gone(&self.clients[first]) || self.clients[second].connack.is_none() => {
                Err(self.missing(second).await)
            }
            Waited::Deadline => Err(self.still_there(first)),
            Waited::Done | Waited::Ended(_) if is_gone(&self.clients[second]) => Err(Stop),
            Waited::Done | Waited::Ended(_) => self.accepted(second).await,
        }
    }

    /// Gives two clients each other's connections; what the session has stays with the name.
    fn swap(&mut self, one: usize, other: usize) {
        self.clients.swap(one, other);
        let (before, after) = self.clients.split_at_mut(one.max(other));
        let (one_client, other_client) = (&mut before[one.min(other)], &mut after[0]);
        std::mem::swap(&mut one_client.plan, &mut other_client.plan);
        std::mem::swap(&mut one_client.name, &mut other_client.name);
        std::mem::swap(&mut one_client.subscriptions, &mut other_client.subscriptions);
        std::mem::swap(&mut one_client.outbox, &mut other_client.outbox);
        self.record.swap(one, other);
    }
}
