//! A client publishes the experiment's messages. Where the broker ends its connection on one, a control shows which feature that was about.

use tokio::time::Instant;

use super::client::Client;
use super::player::{Outgoing, Player, Stop, Waited};
use crate::history::Message;
use crate::packet::{Packet, Properties, Publish, Values};
use crate::plan::{Publication, Source};

impl Player<'_> {
    /// Publishes the experiment's messages, at most a window of them unacknowledged, and waits until the witness has
    /// them.
    pub async fn publish_messages(&mut self, client: usize, publication: &Publication) -> Result<(), Stop> {
        let Publication { topic, qos, retain, .. } = publication;
        let source = Source { publisher: client, topic: topic.clone(), qos: *qos };
        let mut published = Vec::new();
        for number in 1..=publication.messages {
            let message = self.next_message(publication.empty);
            published.push(message);
            let outgoing = Outgoing {
                retain: *retain,
                bytes: publication.bytes.unwrap_or(0) as usize,
                properties: properties(publication, message),
                ..Outgoing::new(topic, *qos, message)
            };
            let until = publication.until.filter(|_| number == publication.messages);
            let mut packet = self.packet_of(client, outgoing)?;
            if let (Packet::Publish(publish), Some(alias)) = (&mut packet, publication.alias) {
                give_alias(publish, alias, number == 1);
            }
            if let Some(point) = until {
                return self.publish_until(client, packet, &source, point).await;
            }
            self.send(client, packet)?;
            let window = self.clients[client].window(publication.window);
            if self.clients[client].unacknowledged() >= window {
                let room = |clients: &[Client]| clients[client].unacknowledged() < window;
                // Each window has the whole deadline: a long backlog may take longer.
                match self.pump(self.deadline(), room).await {
                    Waited::Done => {}
                    Waited::Ended(_) => return Err(self.control(client, &source, *retain).await),
                    Waited::Deadline => return Err(self.missing(client).await),
                }
            }
        }
        if *qos == 0 {
            self.send(client, Packet::Pingreq)?;
        }
        match self.pump(self.deadline(), |clients| clients[client].unanswered.is_empty()).await {
            Waited::Done => {}
            Waited::Ended(_) => return Err(self.control(client, &source, *retain).await),
            Waited::Deadline => return Err(self.missing(client).await),
        }
        // For a short time only: what is published may legally never come to the witness.
        let deadline = Instant::now() + self.settle.max(self.target.deadline / 10);
        published.retain(|message| matches!(message, Message::Experiment(_)));
        match self.await_witness(&published, deadline).await {
            Waited::Ended(_) => Err(Stop),
            Waited::Done | Waited::Deadline => Ok(()),
        }
    }

    fn next_message(&mut self, empty: bool) -> Message {
        if empty {
            self.clearings += 1;
            return Message::Clear(self.clearings);
        }
        self.messages += 1;
        Message::Experiment(self.messages)
    }

    /// The broker ended the publisher's connection on a PUBLISH. Is it a feature that it does not want? The same publisher
    /// sends a message without it on the same topic: first without RETAIN, then at QoS 0.
    pub async fn control(&mut self, publisher: usize, source: &Source, retain: bool) -> Stop {
        let without_retain = retain.then_some(source.qos);
        let at_qos_0 = (source.qos > 0).then_some(0);
        for qos in without_retain.into_iter().chain(at_qos_0) {
            if self.accepts(publisher, source, qos).await {
                break;
            }
        }
        Stop
    }

    /// Whether the broker takes a plain message at this QoS, on a connection of its own.
    async fn accepts(&mut self, publisher: usize, source: &Source, qos: u8) -> bool {
        self.loop_backs += 1;
        let message = Message::LoopBack(self.loop_backs);
        let Some(connect) = self.clients[publisher].connect.clone() else { return false };
        let outgoing = Outgoing::new(&source.topic, qos, message);
        if self.connect(publisher, &connect).await.is_err() || self.publish(publisher, outgoing).is_err() {
            return false;
        }
        let answered = self.send(publisher, Packet::Pingreq).is_ok() && self.answers(publisher).await.is_ok();
        // Clients that are online get it too: the wait decides that they have it in each run.
        let arrived = |client: &Client| {
            client.connection.is_none()
                || client.granted_for(&source.topic).is_none()
                || client.arrivals.contains(&message)
        };
        self.pump(Instant::now() + self.settle, |clients| clients.iter().all(arrived)).await;
        answered
    }
}

/// Has a PUBLISH set the alias of its topic, or use it.
fn give_alias(publish: &mut Publish, alias: u16, sets: bool) {
    publish.properties.topic_alias = Some(alias);
    if !sets {
        publish.topic.clear();
    }
}

/// A value for each property that a broker has to pass on unaltered. The user properties have a key twice, since their
/// order counts.
fn properties(publication: &Publication, message: Message) -> Properties {
    let bare = Values { message_expiry: publication.message_expiry, ..Values::default() };
    if !publication.properties {
        return bare.into();
    }
    let user = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    let all = Values {
        payload_format: Some(1),
        content_type: Some("text/plain".into()),
        response_topic: Some(format!("answers/{message}")),
        correlation_data: Some(vec![0, 1, 0xfe, 0xff]),
        user: vec![user("b", "2"), user("a", "1"), user("b", "1")],
        ..bare
    };
    all.into()
}
