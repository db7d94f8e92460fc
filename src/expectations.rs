//! Known deviations: what is known to fail with a broker, with the reason and the broker's issue. It is told apart from what
//! breaks anew, fails nothing, and is told to be mended where it passes.
//!
//! A deviation covers a broken statement of a cell. A cell is known where every MUST that it breaks is covered, so that a further
//! one is never hidden. What rests on a baseline is left to [`crate::compare`].

mod accept;
mod pattern;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::axes::Axes;
use crate::input::read_text;
use crate::packet::Protocol;
use crate::plan::{self, Cell, Settings};
use crate::printed_command::PrintedCommand;
use crate::results::{CellResult, Level, Results, Verdict, Violation};
use crate::scenario::Scenario;
use crate::statement;
use crate::visible::visible;
pub use pattern::Pattern;

/// The file that is read where no other is named, in the current directory.
pub const USUAL_FILE: &str = "mqtt-sessions.toml";

/// For whoever has another key, or lacks one.
const KEYS: &str = "each [[known]] has a reason, cells or statements or both, and may have broker and link";

/// The file of known deviations.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Expectations {
    #[serde(default)]
    pub known: Vec<Deviation>,
}

/// Something that is known to fail: statements, cells, or statements in cells.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Deviation {
    /// The broker's name, as reports say it, in any case; without it any broker.
    #[serde(default)]
    pub broker: Option<String>,
    /// `scenario`, `scenario[axis=value]` with some or all of its axes, or several values as `axis=value|value`; without any
    /// every cell.
    #[serde(default)]
    pub cells: Vec<Pattern>,
    /// Ids such as `MQTT-3.1.2-8`; without any every statement.
    #[serde(default)]
    pub statements: Vec<String>,
    /// Why it fails, for people.
    pub reason: String,
    /// Where the broker's maintainers speak of it.
    #[serde(default)]
    pub link: Option<String>,
}

/// Why a file of known deviations cannot be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ExpectationsError {
    #[error("cannot read {path}: {why}; give --expect a file of known deviations, or --accept to write one")]
    Read { path: String, why: String },
    #[error("{path}{}: {why}", line.map(|line| format!(":{line}")).unwrap_or_default())]
    Mistake { path: String, line: Option<usize>, why: String },
    #[error("cannot write {path}: {why}; give --expect a file that you may write")]
    Write { path: String, why: String },
}

/// A cell that exists, whether it was measured or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub id: String,
    pub scenario: String,
    pub axes: Axes,
    /// It is among those of `run --all`.
    pub is_usual: bool,
}

/// Every cell that a deviation may speak of: those of the built-in scenarios, and these of the user's own.
///
/// # Panics
/// Never: a built-in scenario has no mistake.
pub fn places(own: impl IntoIterator<Item = Place>) -> Vec<Place> {
    let built_in = Scenario::built_in_names().flat_map(|name| {
        let scenario = Scenario::load(name).expect("a built-in scenario has no mistake");
        let is_usual = Scenario::usual_names().any(|usual| usual == name);
        let cells = plan::cells(&scenario, Settings::of(1));
        cells.into_iter().map(move |cell| Place { is_usual, ..Place::from(&cell) })
    });
    let mut places: Vec<Place> = built_in.collect();
    let known: BTreeSet<String> = places.iter().map(|place| place.id.clone()).collect();
    places.extend(own.into_iter().filter(|place| !known.contains(&place.id)));
    places
}

impl From<&Cell> for Place {
    fn from(cell: &Cell) -> Place {
        Place { id: cell.id.clone(), scenario: cell.scenario.clone(), axes: cell.axes.clone(), is_usual: false }
    }
}

impl From<&CellResult> for Place {
    fn from(cell: &CellResult) -> Place {
        Place { id: cell.id.clone(), scenario: cell.scenario.clone(), axes: cell.axes.clone(), is_usual: false }
    }
}

/// Known deviations, with the file in which they stand and the cells of which they may speak.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// The file, unless there is none.
    pub file: Option<PathBuf>,
    text: String,
    expectations: Expectations,
    places: Vec<Place>,
}

impl Known {
    /// Reads the file that is named, or [`USUAL_FILE`] where it is there. A file that is to be written need not be there yet.
    ///
    /// # Errors
    /// [`ExpectationsError`] says which file, where, and what helps.
    pub fn load(named: Option<&Path>, to_be_written: bool, places: Vec<Place>) -> Result<Known, ExpectationsError> {
        let file = named.unwrap_or(Path::new(USUAL_FILE));
        let may_be_missing = named.is_none() || to_be_written;
        if may_be_missing && !file.exists() {
            let file = to_be_written.then(|| file.to_owned());
            return Ok(Known { file, places, ..Known::default() });
        }
        let path = visible(&file.display().to_string()).into_owned();
        let text =
            read_text(file).map_err(|why| ExpectationsError::Read { path: path.clone(), why: why.to_string() })?;
        let expectations = Expectations::parse(&path, &text, &places)?;
        Ok(Known { file: Some(file.into()), text, expectations, places })
    }

    /// What these results have to do with the deviations.
    pub fn assess(&self, results: &Results) -> Assessment {
        let file = self.file.as_ref().filter(|_| !self.expectations.known.is_empty());
        let of_broker: Vec<&Deviation> = self.expectations.known.iter().filter(|known| known.is_of(results)).collect();
        Assessment {
            file: file.map(|file| visible(&file.display().to_string()).into_owned()),
            unmatched: self.expectations.known.len() - of_broker.len(),
            of_broker: of_broker.iter().map(|known| self.deviation(known, results)).collect(),
            cells: results.cells.iter().filter(|cell| is_known(cell, &of_broker)).map(|cell| cell.id.clone()).collect(),
            beside_the_cells: results
                .broker_findings
                .violations
                .iter()
                .filter(|own| of_broker.iter().any(|known| known.cells.is_empty() && known.covers_statement(own)))
                .map(|own| own.statement.clone())
                .collect(),
        }
    }

    fn deviation(&self, known: &Deviation, results: &Results) -> Assessed {
        let fails = |cell: &&CellResult| cell.violations.iter().any(|own| known.covers(cell, own));
        let failing = results.cells.iter().filter(fails).map(|cell| cell.id.clone()).collect();
        Assessed { deviation: known.clone(), failing, mended: self.mended(known, results) }
    }

    /// The patterns, or else the statements, of which all cells were measured and none fails any more.
    fn mended(&self, known: &Deviation, results: &Results) -> Vec<String> {
        let measured: BTreeMap<&str, &CellResult> = results.cells.iter().map(|cell| (cell.id.as_str(), cell)).collect();
        let is_fine = |place: &Place| {
            measured.get(place.id.as_str()).is_some_and(|cell| {
                matches!(cell.verdict, Verdict::Pass | Verdict::Warn | Verdict::Fail)
                    && !cell.violations.iter().any(|own| known.covers_statement(own))
            })
        };
        if known.cells.is_empty() {
            let all_are_fine = self.places.iter().filter(|place| place.is_usual).all(is_fine);
            return if all_are_fine { known.statements.clone() } else { Vec::new() };
        }
        let is_mended = |pattern: &&Pattern| {
            let mut own = self.places.iter().filter(|place| pattern.names(&place.scenario, &place.axes)).peekable();
            own.peek().is_some() && own.all(is_fine)
        };
        known.cells.iter().filter(is_mended).map(Pattern::to_string).collect()
    }
}

/// Every MUST that the cell breaks is covered.
fn is_known(cell: &CellResult, deviations: &[&Deviation]) -> bool {
    let mut broken = cell.violations.iter().filter(|own| own.level == Level::Must);
    cell.verdict == Verdict::Fail && broken.all(|own| deviations.iter().any(|known| known.covers(cell, own)))
}

/// What some results have to do with known deviations.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Assessment {
    /// The file of the deviations, unless there are none.
    pub file: Option<String>,
    /// The deviations of this broker, in the order of the file.
    pub of_broker: Vec<Assessed>,
    /// How many deviations are of other brokers.
    pub unmatched: usize,
    /// The ids of the cells that are known to fail, whatever they break.
    pub cells: BTreeSet<String>,
    /// Statements that are broken beside the cells, and known.
    pub beside_the_cells: BTreeSet<String>,
}

/// A deviation of this broker, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assessed {
    pub deviation: Deviation,
    /// The ids of the cells that break what it covers.
    pub failing: Vec<String>,
    /// Its patterns, or its statements where it has none, that are in order again.
    pub mended: Vec<String>,
}

impl Assessment {
    pub fn is_known(&self, id: &str) -> bool {
        self.cells.contains(id)
    }

    /// Why the cell fails, each reason with its link, as the file has it.
    pub fn reasons(&self, id: &str) -> String {
        let of_cell = self.of_broker.iter().filter(|own| own.failing.iter().any(|failing| failing == id));
        let reason = |own: &Assessed| {
            let link = own.deviation.link.as_ref().map(|link| format!(" {link}")).unwrap_or_default();
            format!("{}{link}", own.deviation.reason)
        };
        of_cell.map(reason).collect::<Vec<_>>().join("; ")
    }

    /// The broker breaks a MUST beside the cells that is not known.
    pub fn fails_beside_the_cells(&self, results: &Results) -> bool {
        let mut broken = results.broker_findings.violations.iter().filter(|violation| violation.level == Level::Must);
        broken.any(|violation| !self.beside_the_cells.contains(&violation.statement))
    }
}

impl Deviation {
    fn is_of(&self, results: &Results) -> bool {
        let name = results.broker.name.as_deref();
        self.broker.as_deref().is_none_or(|own| name.is_some_and(|name| name.eq_ignore_ascii_case(own)))
    }

    fn covers(&self, cell: &CellResult, violation: &Violation) -> bool {
        let is_here = self.cells.is_empty() || self.cells.iter().any(|own| own.names(&cell.scenario, &cell.axes));
        is_here && self.covers_statement(violation)
    }

    fn covers_statement(&self, violation: &Violation) -> bool {
        self.statements.is_empty() || self.statements.contains(&violation.statement)
    }

    /// What is wrong with it, if anything is.
    fn mistake(&self, places: &[Place]) -> Option<String> {
        if self.cells.is_empty() && self.statements.is_empty() {
            return Some("it names neither cells nor statements; add one of them".into());
        }
        if self.reason.trim().is_empty() {
            return Some("its reason is empty; write why it fails".into());
        }
        let is_statement = |id: &String| Protocol::ALL.into_iter().any(|own| statement::find(own, id).is_some());
        if let Some(unknown) = self.statements.iter().find(|id| !is_statement(id)) {
            return Some(format!(
                "no statement has the id \"{}\"; `mqtt-sessions list --statements` prints the ids",
                visible(unknown)
            ));
        }
        // The cells of a scenario that is neither built in nor run are not known here.
        let is_known = |own: &&Pattern| places.iter().any(|place| place.scenario == own.scenario);
        let names_none = |own: &&Pattern| !places.iter().any(|place| own.names(&place.scenario, &place.axes));
        let lost = self.cells.iter().filter(is_known).find(names_none)?;
        let list = PrintedCommand::new("list").with([&lost.scenario]);
        Some(format!("no cell is {lost}; `{list}` prints the cells"))
    }
}

impl Expectations {
    /// Reads the text of a file; `path` is only for the error.
    ///
    /// # Errors
    /// [`ExpectationsError::Mistake`] with the line, or the number of the deviation.
    pub fn parse(path: &str, text: &str, places: &[Place]) -> Result<Expectations, ExpectationsError> {
        let mistake = |line, why| ExpectationsError::Mistake { path: path.into(), line, why };
        let expectations: Expectations = toml::from_str(text).map_err(|error| {
            let line = error.span().map(|at| 1 + text[..at.start].matches('\n').count());
            let why = visible(error.message());
            // A pattern says by itself how one is written.
            let cure = if why.contains("; ") { String::new() } else { format!("; {KEYS}") };
            mistake(line, format!("{why}{cure}"))
        })?;
        for (number, known) in (1..).zip(&expectations.known) {
            if let Some(why) = known.mistake(places) {
                return Err(mistake(None, format!("known deviation {number}: {why}")));
            }
        }
        Ok(expectations)
    }

    /// The scenarios that patterns name and of which no cell is known here.
    fn strange_scenarios(&self, places: &[Place]) -> BTreeSet<&str> {
        let patterns = self.known.iter().flat_map(|known| &known.cells);
        let is_strange = |own: &&Pattern| !places.iter().any(|place| place.scenario == own.scenario);
        patterns.filter(is_strange).map(|own| own.scenario.as_str()).collect()
    }

    /// The JSON Schema of the file.
    pub fn schema() -> schemars::Schema {
        schemars::schema_for!(Expectations)
    }
}

impl Known {
    /// What should be said although the file can be used.
    pub fn warning(&self) -> Option<String> {
        let strange = self.expectations.strange_scenarios(&self.places);
        let names: Vec<&str> = strange.into_iter().collect();
        let file = self.file.as_deref().unwrap_or(Path::new(USUAL_FILE)).display();
        (!names.is_empty()).then(|| {
            format!(
                "warning: {file}: {} is no scenario that is built in or run here, so its cells are not checked; see \
                 whether it is spelled right",
                names.join(", ")
            )
        })
    }
}
