//! Handshakes that stop at a certain point, so that the connection can be cut there, and handshakes one at a time.

use tokio::time::Instant;

use super::client::Client;
use super::player::{Player, Stop, Waited};
use crate::packet::{AckKind, Packet, Publish};
use crate::plan::{Source, Until};
use crate::scenario::Point;

impl Player<'_> {
    /// Publishes a message after all before it are acknowledged, and stops at a point of its handshake.
    pub async fn publish_until(
        &mut self,
        client: usize,
        packet: Packet,
        source: &Source,
        point: Point,
    ) -> Result<(), Stop> {
        self.answers(client).await?;
        self.clients[client].keeps_pubrel = point == Point::Pubrec;
        if point == Point::Half {
            self.queue(client, &packet, true)?;
            self.clients[client].keep_sent(&packet);
        } else {
            self.send(client, packet.clone())?;
        }
        let id = packet.id();
        let released = |clients: &[Client]| {
            clients[client].outbox.iter().any(|outgoing| Some(outgoing.publish.id) == id && outgoing.released)
        };
        let is_qos_2 = matches!(packet, Packet::Publish(Publish { qos: 2, .. }));
        if is_qos_2 && matches!(point, Point::Pubrec | Point::Pubrel | Point::Pubcomp) {
            match self.pump(self.deadline(), released).await {
                Waited::Done => {}
                Waited::Ended(_) => return Err(self.control(client, source, false).await),
                Waited::Deadline => return Err(self.missing(client).await),
            }
        }
        self.flush().await;
        if matches!(point, Point::Puback | Point::Pubcomp) {
            self.lose_answer(client).await;
        }
        self.clients[client].stop();
        Ok(())
    }

    /// The broker's last answer is lost on its way: it has come to this machine, and the client never sees it.
    async fn lose_answer(&mut self, client: usize) {
        self.clients[client].lost = Some(0);
        let deadline = Instant::now() + self.target.deadline;
        // Where no answer comes there is none to lose.
        self.pump(deadline, |clients| clients[client].lost != Some(0)).await;
    }

    /// Receives messages and answers them as it should, up to a point in the handshake of one of them. Where that does not
    /// come the client stops all the same: what is absent is judged at its return.
    pub async fn receive_until(&mut self, client: usize, until: Until) -> Result<(), Stop> {
        self.clients[client].answers_at_most = Some(until.message as usize - 1);
        self.await_held(client).await?;
        // The answer shows that the broker has read what was acknowledged.
        self.send(client, Packet::Pingreq)?;
        self.answers(client).await?;
        if let Some(held) = self.clients[client].held.first().cloned() {
            self.answer_until(client, &held, until.point).await?;
        }
        self.flush().await;
        self.clients[client].stop();
        Ok(())
    }

    /// Answers each message only when the broker has read the answer to the one before, so that more under way than the
    /// client permits cannot hide behind answers that are quicker than the broker.
    pub async fn take_one_by_one(&mut self, client: usize) -> Result<(), Stop> {
        // A busy broker sends what there is room for some time behind its PINGRESP.
        let wait = self.settle.max(self.target.deadline / 10);
        loop {
            let window = Instant::now() + wait;
            match self.pump(window, |clients| !clients[client].held.is_empty()).await {
                Waited::Done => {}
                Waited::Deadline => break,
                Waited::Ended(_) => return Err(Stop),
            }
            let held = self.clients[client].held[0].clone();
            self.answer_until(client, &held, Point::Pubcomp).await?;
            self.clients[client].held.remove(0);
            self.send(client, Packet::Pingreq)?;
            self.answers(client).await?;
        }
        self.clients[client].answers_at_most = None;
        Ok(())
    }

    /// Waits for the first message that is not answered, and for the end of all handshakes before it.
    async fn await_held(&mut self, client: usize) -> Result<(), Stop> {
        let done = |clients: &[Client]| !clients[client].held.is_empty() && clients[client].unanswered.is_empty();
        let deadline = self.deadline();
        while !done(&self.clients) && Instant::now() < deadline {
            let arrived = self.clients[client].arrivals.len();
            let window = (Instant::now() + self.vanished_after()).min(deadline);
            let arrives = |clients: &[Client]| done(clients) || clients[client].arrivals.len() > arrived;
            match self.pump(window, arrives).await {
                Waited::Done => {}
                Waited::Ended(_) => return Err(Stop),
                Waited::Deadline => break,
            }
        }
        Ok(())
    }

    async fn answer_until(&mut self, client: usize, held: &Publish, point: Point) -> Result<(), Stop> {
        let first = if held.qos == 1 { AckKind::Puback } else { AckKind::Pubrec };
        match point {
            Point::Publish => return Ok(()),
            Point::Half => return self.queue(client, &Packet::ack(first, held.id), true),
            Point::Puback | Point::Pubrec | Point::Pubrel | Point::Pubcomp => {}
        }
        self.send(client, Packet::ack(first, held.id))?;
        if held.qos == 1 || matches!(point, Point::Puback | Point::Pubrec) {
            return Ok(());
        }
        self.answers(client).await?;
        match point {
            Point::Pubcomp => self.send(client, Packet::ack(AckKind::Pubcomp, held.id)),
            _ => Ok(()),
        }
    }
}
