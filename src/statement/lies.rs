//! What a broker does that breaks a statement, and where that shows: what the test broker of this repository was caught
//! at. `tests/defects.rs` writes the list.

use super::Statement;
use crate::packet::Protocol;

/// A line for each lie of a statement, its fields separated by tabs: version, id, lie, description, and the scenarios and
/// cells, separated by blanks.
const LIES: &str = include_str!("lies.txt");

/// A way to break a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lie {
    pub name: &'static str,
    /// What such a broker does, in one sentence.
    pub description: &'static str,
    /// The built-in scenarios in which it was caught; none where only the tests look.
    pub scenarios: Vec<&'static str>,
    /// The ids of some cells in which it was caught, each of another scenario.
    pub cells: Vec<&'static str>,
}

impl Statement {
    /// The lies that break the statement and were caught by it.
    pub fn lies(&self) -> Vec<Lie> {
        let lie = |line: &'static str| {
            let fields: Vec<&str> = line.split('\t').collect();
            let [protocol, id, name, description, scenarios, cells] = fields[..] else { return None };
            let is_own = protocol.parse::<Protocol>() == Ok(self.protocol) && id == self.id;
            let words = |field: &'static str| field.split_whitespace().collect();
            is_own.then(|| Lie { name, description, scenarios: words(scenarios), cells: words(cells) })
        };
        LIES.lines().filter_map(lie).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::plan::{Settings, cells};
    use crate::scenario::Scenario;
    use crate::statement::{Duty, find, statements};

    #[test]
    fn each_line_is_about_a_statement_and_names_cells_that_exist() {
        let settings = Settings::of(3);
        let scenarios: Vec<&str> = Scenario::built_in_names().collect();
        let planned = scenarios.iter().flat_map(|name| cells(&Scenario::load(name).unwrap(), settings));
        let ids: BTreeSet<String> = planned.map(|cell| cell.id).collect();
        let mut read = 0;
        for statement in Protocol::ALL.into_iter().flat_map(statements) {
            for lie in statement.lies() {
                read += 1;
                assert_eq!(statement.duty, Duty::Judged, "{lie:?}");
                assert!(lie.description.ends_with('.') && lie.description.contains(' '), "{lie:?}");
                assert!(lie.scenarios.iter().all(|name| scenarios.contains(name)), "{lie:?}");
                assert!(lie.cells.iter().all(|id| ids.contains(*id)), "{lie:?}");
            }
        }
        assert_eq!(read, LIES.lines().count());
    }

    #[test]
    fn a_number_that_means_two_things_has_the_lies_of_each_version() {
        let lies = |protocol| find(protocol, "MQTT-3.1.2-5").unwrap().lies();
        let has = |protocol, name| lies(protocol).iter().any(|lie: &Lie| lie.name == name);
        // Only 3.1.1 speaks of the queue there; 5.0 speaks of Clean Start 0.
        assert!(has(Protocol::V3, "queues-nothing") && !has(Protocol::V5, "queues-nothing"));
    }
}
