//! Races: CONNECTs with one client identifier that are under way at once. The order of the events does not tell which of them
//! the broker takes first, since they belong to different connections; the broker shows it by the connection that it ends.

use std::borrow::Cow;

use crate::history::{Client, Event, History};
use crate::packet::Packet;

/// A history in which such CONNECTs stand in the order in which the broker took them.
pub struct AsTaken<'h> {
    pub history: Cow<'h, History>,
    /// The entries that have changed places.
    swapped: Vec<(usize, usize)>,
}

/// A CONNECT with what followed on its connection.
struct Opening<'h> {
    at: usize,
    /// The step of the scenario. CONNECTs of different steps are not under way at once.
    step: usize,
    client: &'h Client,
    id: &'h str,
    answered: Option<usize>,
    /// The last packet that was sent on the connection, and the last one behind which something came.
    sent: usize,
    heard: usize,
    /// The broker ended the connection here, in this step, if the client had not left before.
    ended: Option<(usize, usize)>,
}

impl Opening<'_> {
    fn note(&mut self, (at, step): (usize, usize), event: &Event, has_left: bool) {
        match event {
            Event::Sent(..) => self.sent = at,
            Event::Received(_, Packet::Disconnect { .. }) | Event::Ended(..) if !has_left => {
                self.ended.get_or_insert((at, step));
            }
            // A message may have been on its way.
            Event::Received(_, Packet::Publish(_)) => {}
            Event::Received(_, packet) => {
                self.heard = self.sent;
                if matches!(packet, Packet::Connack(_)) {
                    self.answered.get_or_insert(at);
                }
            }
            _ => {}
        }
    }

    /// Something came behind what was sent after this entry.
    fn was_there_after(&self, at: usize) -> bool {
        self.heard > at
    }
}

impl<'h> AsTaken<'h> {
    pub fn of(history: &'h History) -> AsTaken<'h> {
        let openings = openings(history);
        let mut swapped = Vec::new();
        for (number, first) in openings.iter().enumerate() {
            let mut later = openings[number + 1..].iter().filter(|own| own.id == first.id && !own.id.is_empty());
            let Some(second) = later.next().filter(|second| second.client != first.client) else { continue };
            let races = first.step == second.step && first.answered.is_none_or(|answered| answered > second.at);
            // Another CONNECT with the identifier may have ended it.
            let until = later.next().map_or(usize::MAX, |third| third.at);
            let was_first = second.ended.filter(|(at, _)| *at < until).is_some_and(|(at, step)| {
                let is_later = |(end, ended_in)| end > until || ended_in > step;
                first.ended.is_none_or(is_later) || first.was_there_after(at)
            });
            if races && was_first {
                swapped.push((first.at, second.at));
            }
        }
        let mut own = Cow::Borrowed(history);
        for (first, second) in &swapped {
            own.to_mut().entries.swap(*first, *second);
        }
        AsTaken { history: own, swapped }
    }

    /// The place of an entry in the history as it was seen.
    pub fn seen_at(&self, at: usize) -> usize {
        let other = |(first, second): &(usize, usize)| match at {
            _ if at == *first => Some(*second),
            _ if at == *second => Some(*first),
            _ => None,
        };
        self.swapped.iter().find_map(other).unwrap_or(at)
    }
}

fn openings(history: &History) -> Vec<Opening<'_>> {
    let mut openings: Vec<Opening<'_>> = Vec::new();
    let mut left: Vec<&Client> = Vec::new();
    let mut step = 0;
    for (at, event) in history.events().enumerate() {
        match event {
            Event::Step(_) => step += 1,
            Event::Sent(client, Packet::Connect(connect)) => {
                left.retain(|own| *own != client);
                let id = &connect.client_id;
                openings.push(Opening { at, step, client, id, answered: None, sent: at, heard: 0, ended: None });
            }
            Event::Sent(client, Packet::Disconnect { .. }) | Event::Closed(client, _) => left.push(client),
            _ => {
                let own = event.client().and_then(|client| openings.iter_mut().rfind(|own| own.client == client));
                own.into_iter().for_each(|own| own.note((at, step), event, left.contains(&own.client)));
            }
        }
    }
    openings
}
