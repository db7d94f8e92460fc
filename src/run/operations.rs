//! A cell while something befalls the broker: where that ends, its clients see their connections end, and the cell goes on when the broker
//! is there again.

use super::allowance::Allowance;
use super::client::Client;
use super::player::{Player, Stop};
use crate::connection::End;
use crate::history::{Awaited, Event, Turn};
use crate::plan::Operation;
use crate::vocabulary::Trouble;

impl Player<'_> {
    /// Has it happen to the broker, together with all other cells of the round.
    pub async fn operate(&mut self, operation: Operation) -> Result<(), Stop> {
        let (shared, target) = (self.shared, self.target);
        let passed = shared.outages.pass(operation, &shared.witnesses, target, &shared.options);
        let done = match self.meanwhile(passed).await {
            Ok(done) => done,
            Err(why) => {
                self.record.noted(Event::Broken(why));
                return Err(Stop);
            }
        };
        let [begun, passed] = match operation.trouble {
            Trouble::End(how) => [Turn::Ended(how), Turn::Started],
            Trouble::Partition => [Turn::CutOff, Turn::Joined],
        };
        if let Some(at) = done.ended {
            self.record.noted_at(at, Event::Broker(begun, operation.node));
            self.take_witness_copies();
            self.witness = None;
        }
        if operation.ends().is_some() {
            self.see_the_ends(operation).await;
        }
        if let Some(at) = done.started {
            self.record.noted_at(at, Event::Broker(passed, operation.node));
        }
        if self.witness.is_none() && (operation.passes || operation.node.is_some()) {
            self.witness_connections = self.record.connection_of_witness();
            let allowance = Allowance::of(self.cell, &shared.common);
            self.witness = shared.witnesses.mailbox(self.publishes_in, &self.names, self.cell, allowance).await;
        }
        Ok(())
    }

    /// All connections to what was ended have to end with it. Behind a proxy one may stay open; its client closes it.
    async fn see_the_ends(&mut self, operation: Operation) {
        let ends = |client: &Client| operation.ends_at(client.node);
        for client in self.clients.iter_mut().filter(|client| ends(client)) {
            client.may_end = true;
            if let Some(stalled) = client.stalled.take() {
                stalled.cut(End::Reset).await;
            }
        }
        let deadline = self.deadline();
        self.pump(deadline, |clients| clients.iter().all(|client| client.connection.is_none() || !ends(client))).await;
        for client in 0..self.clients.len() {
            if ends(&self.clients[client]) && self.clients[client].connection.is_some() {
                self.record.observed(client, |name| Event::Missing(name, Awaited::ConnectionEnd));
                self.hang_up(client);
            }
        }
    }
}
