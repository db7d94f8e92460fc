//! A cell while the broker is ended or started: its clients see their connections end, and it goes on when the broker is there again.

use super::allowance::Allowance;
use super::player::{Player, Stop};
use crate::connection::End;
use crate::history::{Awaited, Event, Turn};
use crate::plan::Operation;

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
        if let (Some(how), Some(at)) = (operation.ends, done.ended) {
            self.record.noted_at(at, Event::Broker(Turn::Ended(how)));
            self.see_the_ends().await;
        }
        if let Some(at) = done.started {
            self.record.noted_at(at, Event::Broker(Turn::Started));
            self.witness_connections = self.record.connection_of_witness();
            let allowance = Allowance::of(self.cell, &shared.common);
            self.witness = shared.witnesses.mailbox(self.publishes_in, &self.names, self.cell, allowance).await;
        }
        Ok(())
    }

    /// All connections have to end with the broker. Behind a proxy one may stay open; its client closes it.
    async fn see_the_ends(&mut self) {
        self.take_witness_copies();
        self.witness = None;
        for client in &mut self.clients {
            client.may_end = true;
            if let Some(stalled) = client.stalled.take() {
                stalled.cut(End::Reset).await;
            }
        }
        let deadline = self.deadline();
        self.pump(deadline, |clients| clients.iter().all(|client| client.connection.is_none())).await;
        for client in 0..self.clients.len() {
            if self.clients[client].connection.is_some() {
                self.record.observed(client, |name| Event::Missing(name, Awaited::ConnectionEnd));
                self.hang_up(client);
            }
        }
    }
}
