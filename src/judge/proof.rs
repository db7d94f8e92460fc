//! How an absence is proven: by a fence behind the message, or by time that has passed.

use super::deliveries::{Copy, Ledger};
use super::facts::{Connection, Publication};
use super::model::Model;
use crate::history::Message;

/// The controls of one session.
#[derive(Clone, Copy)]
pub struct Evidence<'e, 'a> {
    pub model: &'e Model<'a>,
    pub ledger: &'e Ledger<'a>,
}

/// How well an absence is proven.
#[derive(Debug, Clone, Copy)]
pub enum Proof {
    /// A later message of the same source has come, at this entry, so the one before it in order is lost or overtaken.
    Fence(usize),
    /// Time has passed: fence topics answered, and a settle window went by with nothing, at this entry.
    Time(usize),
    /// The control that is missing, as half a sentence.
    Missing(&'static str),
}

impl<'a> Evidence<'_, 'a> {
    /// The session has a copy of the publication because a subscription was in force.
    pub fn has_come(&self, publication: &Publication) -> bool {
        self.arrival(publication).is_some()
    }

    /// The first such copy.
    pub fn arrival(&self, publication: &Publication) -> Option<&Copy<'a>> {
        self.ledger.arrival(publication)
    }

    /// The proof that a message, owed at this QoS, does not come. A session that ends with its connection has no other one than
    /// that on which the message was due.
    pub fn proof(&self, lost: &Publication, qos: u8, due: &Connection) -> Proof {
        if let Some(fence) = self.fence(lost, qos, due) {
            return Proof::Fence(fence);
        }
        if !self.loop_back_came(lost) {
            return Proof::Missing("the loop-back that would show the subscription in force did not come");
        }
        if lost.witnessed.is_none() && lost.is_of_experiment() && !lost.is_clearing() && !lost.reuses_id {
            return Proof::Missing("accepted, not seen by the witness");
        }
        let since = lost.accepted.map_or(lost.at(), |accepted| accepted.at);
        let later = self.connections_from(due);
        match later.filter_map(|connection| self.time_passed_at(connection, since, Some(lost))).next() {
            Some(at) => Proof::Time(at),
            None => Proof::Missing("no fence shows that the backlog has come"),
        }
    }

    fn connections_from(&self, due: &Connection) -> impl Iterator<Item = &'a Connection> {
        let persists = due.session_persists();
        let (first, own) = (due.index, self.ledger.session.connections.clone());
        own.into_iter().filter(move |own| own.index == first || own.index > first && persists)
    }

    /// A message of the same source that was published behind this one, and that has come in the same lane.
    fn fence(&self, lost: &Publication, qos: u8, due: &Connection) -> Option<usize> {
        let filters = |publication: &Publication| {
            let met = self.model.met(self.ledger.session, publication);
            met.into_iter().map(|filter| filter.filter.to_owned()).collect::<Vec<_>>()
        };
        let own = filters(lost);
        let lane = |copy: &Copy<'a>| {
            let is_due =
                copy.connection.index == due.index || copy.connection.index > due.index && due.session_persists();
            lost.is_before(copy.publication)
                && is_due
                && copy.is_surely_forward()
                && copy.is_first
                && copy.delivery.publish.qos == qos
        };
        // A copy for a subscription that this message did not meet may overtake it.
        let fits = |copy: &Copy<'a>| filters(copy.publication).iter().all(|filter| own.contains(filter));
        self.ledger.copies.iter().find(|copy| lane(copy) && fits(copy)).map(|copy| copy.delivery.place.at)
    }

    /// A message of the same source came before this one was sent, and the client has subscribed to nothing since.
    pub fn was_in_force_before(&self, publication: &Publication) -> bool {
        let own = |copy: &&Copy<'_>| copy.is_surely_forward() && copy.publication.is_of_same_source(publication);
        let came = self.ledger.copies.iter().filter(own).map(|copy| copy.delivery.place.at);
        let Some(last) = came.filter(|came| *came < publication.at()).max() else { return false };
        let mut subscribes = self.ledger.session.connections.iter().flat_map(|connection| &connection.subscribes);
        !subscribes.any(|subscribe| (last..publication.at()).contains(&subscribe.sent.at))
    }

    fn loop_back_came(&self, lost: &Publication) -> bool {
        self.ledger.copies.iter().any(|copy| {
            let is_loop_back = matches!(copy.publication.message, Message::LoopBack(_));
            // A will has no loop-back of its own. What else comes on its topic shows the subscription in force.
            let is_beside = lost.is_will() && copy.is_surely_forward() && copy.publication.topic == lost.topic;
            is_beside || is_loop_back && copy.publication.is_of_same_source(lost)
        })
    }

    /// Behind the entry `since` a fence has come on this connection, and then a settle window has passed in which the client was
    /// not held up by answers that it withheld.
    pub fn time_has_passed_on(&self, connection: &Connection, since: usize) -> bool {
        self.time_passed_at(connection, since, None).is_some()
    }

    /// The same; the fence has to be published behind `lost`.
    fn time_passed_at(&self, connection: &Connection, since: usize, lost: Option<&Publication>) -> Option<usize> {
        let window = self.window(connection, since, lost);
        window
            .filter(|(fence, settled)| !self.model.facts.was_late_between(*fence, *settled))
            .map(|(_, settled)| settled)
    }

    /// A fence, and the end of the settle window behind it, as far as the client waited.
    fn window(&self, connection: &Connection, since: usize, lost: Option<&Publication>) -> Option<(usize, usize)> {
        let lost_step = lost.map_or(0, |lost| lost.accepted.map_or(usize::MAX, |accepted| accepted.step));
        let is_behind = |fence: &Publication| {
            let sent = fence.sent();
            sent.is_some_and(|sent| {
                sent.step > lost_step
                    || sent.step == lost_step
                        && lost.is_none_or(|lost| lost.publisher == fence.publisher && lost.at() < sent.at)
            })
        };
        let is_fence = |copy: &&Copy<'a>| {
            let here = copy.connection.index == connection.index && copy.delivery.place.at > connection.opened.at;
            let later = if lost.is_none() { copy.delivery.place.at > since } else { is_behind(copy.publication) };
            here && later && matches!(copy.publication.message, Message::Fence(_))
        };
        let fence = self.ledger.copies.iter().find(is_fence)?.delivery.place.at;
        let settled = connection.settled.iter().copied().find(|settled| *settled > fence)?;
        let waited = !connection.withholds_between(connection.opened.at, settled);
        waited.then_some((fence, settled))
    }

    /// True if only a hold-up of the harness keeps the settle window of this connection from being a proof.
    pub fn is_void(&self, connection: &Connection) -> bool {
        let window = self.window(connection, connection.opened.at, None);
        window.is_some_and(|(fence, settled)| self.model.facts.was_late_between(fence, settled))
    }

    /// The last settle window of the session.
    pub fn last_settled(&self) -> Option<usize> {
        self.ledger.session.connections.iter().flat_map(|connection| &connection.settled).max().copied()
    }
}
