//! The messages under way to a client, by Packet Identifier and in the order in which they began.

use std::collections::{BTreeMap, HashMap};

use super::Exchange;

/// One exchange at most for each Packet Identifier. There may be thousands, so none is looked for one by one.
#[derive(Debug, Clone, Default)]
pub struct Open<'a> {
    /// By the number in which they began.
    exchanges: BTreeMap<usize, Exchange<'a>>,
    numbers: HashMap<u16, usize>,
    next: usize,
}

impl<'a> Open<'a> {
    pub fn iter(&self) -> impl Iterator<Item = &Exchange<'a>> {
        self.exchanges.values()
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Exchange<'a>> {
        self.exchanges.values_mut()
    }

    /// The exchange with this Packet Identifier.
    pub fn get_mut(&mut self, id: u16) -> Option<&mut Exchange<'a>> {
        self.exchanges.get_mut(self.numbers.get(&id)?)
    }

    /// Begins an exchange, in place of that which has its Packet Identifier.
    pub fn begin(&mut self, exchange: Exchange<'a>) {
        if let Some(number) = self.numbers.insert(exchange.delivery.publish.id, self.next) {
            self.exchanges.remove(&number);
        }
        self.exchanges.insert(self.next, exchange);
        self.next += 1;
    }

    /// Forgets the exchanges that are not to be kept.
    pub fn retain(&mut self, keeps: impl Fn(&Exchange<'a>) -> bool) {
        self.exchanges.retain(|_, exchange| keeps(exchange));
        self.numbers.retain(|_, number| self.exchanges.contains_key(number));
    }
}
