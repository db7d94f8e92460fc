//! The subscriptions of a session: which SUBSCRIBE began each, what may have ended it, and whether it was in force at a time.

use super::Span;
use crate::judge::facts::{Connection, Place, Subscribing, Unsubscribing};

/// A subscription of a session.
#[derive(Debug, Clone, Copy)]
pub struct Subscription<'a> {
    pub subscribing: &'a Subscribing,
    /// The connection of its SUBSCRIBE, by its index.
    pub connection: usize,
    pub granted: u8,
    pub end: Option<SubscriptionEnd>,
}

/// How a subscription ended.
#[derive(Debug, Clone, Copy)]
pub struct SubscriptionEnd {
    /// By an UNSUBSCRIBE; otherwise a SUBSCRIBE with the same filter replaced it.
    pub by_unsubscribe: bool,
    pub sent: Place,
    /// The UNSUBACK or SUBACK.
    pub done: Option<Place>,
    pub connection: usize,
}

/// The subscriptions to one filter that may have been in force when a message was routed: one, or those that replaced one
/// another in that time.
#[derive(Debug, Clone)]
pub struct InForce<'a> {
    pub filter: &'a str,
    /// One of them was in force at any time of the span.
    pub sure: bool,
    pub versions: Vec<Subscription<'a>>,
    /// Those that replaced the last of them later: what was queued may go by the new one.
    pub later: Vec<Subscription<'a>>,
}

/// Every subscription that the connections of a session made, or may have made, in the order of the SUBSCRIBEs.
pub(super) fn subscriptions<'a>(connections: &[&'a Connection]) -> Vec<Subscription<'a>> {
    let mut all: Vec<Subscription<'a>> = Vec::new();
    for connection in connections {
        let index = connection.index;
        let unsubscribed = |unsubscribing: &Unsubscribing| SubscriptionEnd {
            by_unsubscribe: true,
            sent: unsubscribing.sent,
            done: unsubscribing.unsuback,
            connection: index,
        };
        let mut unsubscribes = connection.unsubscribes.iter().peekable();
        for subscribing in &connection.subscribes {
            while let Some(unsubscribing) = unsubscribes.next_if(|u| u.sent.at < subscribing.sent.at) {
                end(&mut all, &unsubscribing.filter, unsubscribed(unsubscribing));
            }
            let filter = &subscribing.filter.filter;
            let done = subscribing.suback.map(|(place, _)| place).filter(|_| subscribing.granted().is_some());
            // One that was refused may have ended the one that it would have replaced, and one that was not answered may be in force.
            let is_refused = done.is_none() && subscribing.suback.is_some();
            if is_refused && !all.iter().any(|own| own.end.is_none() && own.filter() == filter) {
                continue;
            }
            let replaced = SubscriptionEnd { by_unsubscribe: false, sent: subscribing.sent, done, connection: index };
            end(&mut all, filter, replaced);
            if let Some(granted) = subscribing.may_have_granted() {
                all.push(Subscription { subscribing, connection: index, granted, end: None });
            }
        }
        unsubscribes.for_each(|unsubscribing| end(&mut all, &unsubscribing.filter, unsubscribed(unsubscribing)));
    }
    all
}

/// Ends the subscriptions to a filter that have no end, or one of which nobody knows.
fn end(all: &mut [Subscription<'_>], filter: &str, by: SubscriptionEnd) {
    let may_be_open = |end: SubscriptionEnd| !end.by_unsubscribe && end.done.is_none();
    let open = |own: &&mut Subscription<'_>| own.end.is_none_or(may_be_open) && own.filter() == filter;
    all.iter_mut().filter(open).for_each(|subscription| subscription.end = Some(by));
}

/// A CONNECT that asks for a clean session and was never answered may have ended all subscriptions before it.
pub(super) fn perhaps_end_all(all: &mut [Subscription<'_>], connect: &Connection) {
    let sent = connect.opened;
    let by = SubscriptionEnd { by_unsubscribe: true, sent, done: None, connection: connect.index };
    let is_later = |end: SubscriptionEnd| end.sent.at > sent.at;
    let open = |own: &&mut Subscription<'_>| own.end.is_none_or(is_later) && own.subscribing.sent.at < sent.at;
    all.iter_mut().filter(open).for_each(|subscription| subscription.end = Some(by));
}

impl<'a> Subscription<'a> {
    pub fn filter(&self) -> &'a str {
        &self.subscribing.filter.filter
    }

    pub fn is_shared(&self) -> bool {
        self.subscribing.is_shared()
    }

    /// It was in force at any time of the span (first), or may have been at some time of it (second).
    pub(super) fn is_in_force(&self, span: Span) -> (bool, bool) {
        let here = self.connection == span.connection;
        let begun = self.subscribing.suback.is_some() && self.has_begun(span);
        let sent = self.subscribing.sent;
        let may_have_begun =
            sent.step <= span.until && !(here && span.accepted.is_some_and(|accepted| accepted.at < sent.at));
        let Some(end) = self.end else { return (begun, may_have_begun) };
        let here = end.connection == span.connection;
        let taken = span.accepted.map_or(usize::MAX, |accepted| accepted.step);
        let not_ended =
            taken < end.sent.step || here && span.accepted.is_some_and(|accepted| accepted.at < end.sent.at);
        let done = end.done.map_or(usize::MAX, |done| done.step);
        let may_not_have_ended = span.from.step <= done && !(here && end.sent.at < span.from.at);
        (begun && not_ended, may_have_begun && may_not_have_ended)
    }

    /// The subscription began before the message was routed, and may have ended in that time.
    pub(super) fn has_begun(&self, span: Span) -> bool {
        let granted = self.subscribing.suback.map_or(self.subscribing.sent, |(place, _)| place);
        granted.step < span.from.step || self.connection == span.connection && granted.at < span.from.at
    }
}

impl InForce<'_> {
    /// The QoS values at which a message of this QoS may come by this filter, as bits.
    pub fn qos_bits(&self, published: u8) -> u8 {
        self.versions.iter().fold(0, |bits, version| bits | version.subscribing.qos_bits(published, version.granted))
    }

    /// The lowest of them.
    pub fn least_qos(&self, published: u8) -> u8 {
        self.versions.iter().map(|version| published.min(version.granted)).min().unwrap_or(0)
    }
}
