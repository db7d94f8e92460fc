//! The canonical order of a history.

use mqtt_sessions::history::{Event, History, Recorded, canonical};
use proptest::collection::vec;
use proptest::prelude::*;

use super::{config, exchange};

const STEPS: usize = 3;

fn steps() -> Vec<String> {
    (1..=STEPS).map(|step| format!("{step} receive subscriber")).collect()
}

/// A canonical history as it would be recorded if it happened in just this order.
fn recorded_again(history: &History) -> Vec<Recorded> {
    let mut steps = 0;
    let mut recorded = Vec::new();
    for event in history.events() {
        match event {
            Event::Step(_) => steps += 1,
            event => recorded.push(recorded_in(steps - 1, event.clone())),
        }
    }
    recorded
}

fn recorded_in(step: usize, event: Event) -> Recorded {
    let own = |name: &&str| event.client().is_some_and(|client| client.as_ref() == *name);
    let client = exchange::CLIENTS.iter().position(own).unwrap_or(exchange::CLIENTS.len());
    Recorded { step, client, event }
}

proptest! {
    #![proptest_config(config(1500))]

    #[test]
    fn the_canonical_order_is_its_own(events in vec((0..STEPS, exchange::event()), 0..40)) {
        let recorded: Vec<Recorded> = events.into_iter().map(|(step, event)| recorded_in(step, event)).collect();
        let once = canonical(&steps(), &recorded);
        prop_assert_eq!(once.entries.len(), recorded.len() + STEPS);
        let twice = canonical(&steps(), &recorded_again(&once));
        prop_assert_eq!(twice.lines(), once.lines());
    }

    #[test]
    fn how_clients_interleave_within_a_step_does_not_matter(
        events in vec(exchange::event(), 0..30),
        turns in vec(0..exchange::CLIENTS.len(), 60),
    ) {
        let recorded: Vec<Recorded> = events.into_iter().map(|event| recorded_in(0, event)).collect();
        let mut queues: Vec<Vec<Recorded>> = (0..exchange::CLIENTS.len())
            .map(|client| recorded.iter().rev().filter(|recorded| recorded.client == client).cloned().collect())
            .collect();
        let mut shuffled: Vec<Recorded> = turns.into_iter().filter_map(|client| queues[client].pop()).collect();
        shuffled.extend(queues.into_iter().flat_map(|queue| queue.into_iter().rev()));
        prop_assert_eq!(canonical(&steps(), &shuffled).lines(), canonical(&steps(), &recorded).lines());
    }

    #[test]
    fn its_lines_are_read_as_they_were_written(events in vec((0..STEPS, exchange::event()), 0..40)) {
        let recorded: Vec<Recorded> = events.into_iter().map(|(step, event)| recorded_in(step, event)).collect();
        let history = canonical(&steps(), &recorded);
        let lines = history.lines();
        prop_assert_eq!(History::parse(lines.iter().map(String::as_str)), Ok(history));
    }
}
