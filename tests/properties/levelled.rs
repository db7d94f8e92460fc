//! The levelled copy of a history.

use mqtt_sessions::history::{Event, History, levelled};
use proptest::collection::vec;
use proptest::prelude::*;

use super::{config, exchange};

const STEPS: usize = 3;

/// A history of these events, each in its step; every client appears in the first one, in the order of [`exchange::CLIENTS`].
fn history(events: &[(usize, Event)]) -> History {
    let mut all = Vec::new();
    for number in 0..STEPS {
        all.push(Event::Step(format!("{} receive subscriber", number + 1)));
        if number == 0 {
            all.extend(exchange::CLIENTS.map(|client| Event::Settled(client.into())));
        }
        all.extend(events.iter().filter(|(step, _)| *step == number).map(|(_, event)| event.clone()));
    }
    History::of(all)
}

proptest! {
    #![proptest_config(config(1500))]

    #[test]
    fn the_levelled_order_is_its_own(events in vec((0..STEPS, exchange::event()), 0..40)) {
        let history = history(&events);
        let once = levelled(&history);
        let twice = levelled(&once.history);
        prop_assert_eq!(twice.history.lines(), once.history.lines());
        prop_assert!(twice.places.into_iter().eq(0..history.entries.len()));
    }

    #[test]
    fn each_event_is_there_once(events in vec((0..STEPS, exchange::event()), 0..40)) {
        let history = history(&events);
        let mut places = levelled(&history).places;
        places.sort_unstable();
        prop_assert!(places.into_iter().eq(0..history.entries.len()));
    }

    #[test]
    fn how_clients_interleave_within_a_step_does_not_matter(
        events in vec(exchange::event(), 0..30),
        turns in vec(0..exchange::CLIENTS.len(), 60),
    ) {
        let in_step: Vec<(usize, Event)> = events.into_iter().map(|event| (0, event)).collect();
        let of = |client: &str| -> Vec<(usize, Event)> {
            let own = |(_, event): &&(usize, Event)| event.client().is_some_and(|name| name.as_ref() == client);
            in_step.iter().rev().filter(own).cloned().collect()
        };
        let mut queues: Vec<Vec<(usize, Event)>> = exchange::CLIENTS.iter().map(|client| of(client)).collect();
        let mut shuffled: Vec<(usize, Event)> = turns.into_iter().filter_map(|client| queues[client].pop()).collect();
        shuffled.extend(queues.into_iter().flat_map(|queue| queue.into_iter().rev()));
        let lines = |events: &[(usize, Event)]| levelled(&history(events)).history.lines();
        prop_assert_eq!(lines(&shuffled), lines(&in_step));
    }
}
