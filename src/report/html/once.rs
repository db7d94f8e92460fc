//! Things that occur often, each kept once.

use std::collections::HashMap;
use std::hash::Hash;

/// Things by their places, in the order in which they came.
pub struct Once<T> {
    places: HashMap<T, usize>,
    all: Vec<T>,
}

impl<T> Default for Once<T> {
    fn default() -> Self {
        Once { places: HashMap::new(), all: Vec::new() }
    }
}

impl<T: Hash + Eq + Clone> Once<T> {
    /// The place of a thing, which gets one where it has none.
    pub fn place(&mut self, thing: T) -> usize {
        if let Some(place) = self.places.get(&thing) {
            return *place;
        }
        let place = self.all.len();
        self.all.push(thing.clone());
        self.places.insert(thing, place);
        place
    }

    pub fn all(self) -> Vec<T> {
        self.all
    }
}
