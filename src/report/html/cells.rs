//! The cells that built-in scenarios plan: what results files do not say of a cell stands there.

use std::collections::{BTreeSet, HashMap};

use super::super::survey::Surveyed;
use crate::plan::{self, Cell, Settings};
use crate::results::Results;
use crate::scenario::Scenario;

/// The scenarios, and their cells by the number of messages and the id.
pub struct Cells {
    pub scenarios: HashMap<String, Scenario>,
    by_messages: HashMap<u32, HashMap<String, Cell>>,
}

impl Cells {
    /// The cells of every built-in scenario that one of the files has.
    pub fn of(all: &[&Surveyed]) -> Cells {
        let names: BTreeSet<&str> =
            all.iter().flat_map(|own| &own.results.cells).map(|cell| cell.scenario.as_str()).collect();
        let built_in = Scenario::built_in_names().filter(|name| names.contains(name));
        let scenarios: HashMap<String, Scenario> =
            built_in.filter_map(|name| Some((name.to_owned(), Scenario::load(name).ok()?))).collect();
        let messages: BTreeSet<u32> = all.iter().map(|own| own.results.options.messages).collect();
        let planned = |messages: u32| {
            let cells = scenarios.values().flat_map(|scenario| plan::cells(scenario, Settings::of(messages)));
            cells.map(|cell| (cell.id.clone(), cell)).collect()
        };
        let by_messages = messages.into_iter().map(|count| (count, planned(count))).collect();
        Cells { scenarios, by_messages }
    }

    /// The plan of a cell of these results; `None` where its scenario is not built in.
    pub fn plan(&self, results: &Results, id: &str) -> Option<&Cell> {
        let cell = self.by_messages.get(&results.options.messages)?.get(id)?;
        (!results.run.scenario_files.contains_key(&cell.scenario)).then_some(cell)
    }
}
