//! `--filter`: which cells of a plan run.

use std::collections::BTreeSet;

use super::Cell;
use crate::slip::{did_you_mean, nearest_id};

/// A choice among the cells of a plan. Every term must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    terms: Vec<Term>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Term {
    /// The cell with this id.
    Id(String),
    /// The cells that have one of these values on the axis.
    Axis { name: String, values: Vec<String> },
}

/// Why a filter makes no sense for a plan.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("--filter {term}: {why}")]
pub struct FilterError {
    pub term: String,
    /// The mistake, and what exists.
    pub why: String,
}

impl Filter {
    /// Reads the values of `--filter`: each a cell's id, or `axis=value[,value]`.
    ///
    /// # Errors
    /// [`FilterError`] names the one that is neither.
    pub fn parse<S: AsRef<str>>(terms: &[S]) -> Result<Filter, FilterError> {
        let terms = terms.iter().map(|term| Term::parse(term.as_ref())).collect::<Result<_, _>>()?;
        Ok(Filter { terms })
    }

    /// The id of a cell that is typed, that no cell has, and that is meant for this one: the first of these pairs.
    pub fn slip<'a>(&'a self, cells: &'a [Cell]) -> Option<(&'a str, &'a str)> {
        let ids: Vec<&str> = cells.iter().map(|cell| cell.id.as_str()).collect();
        self.terms.iter().find_map(|term| match term {
            Term::Id(id) if !ids.contains(&id.as_str()) => Some((id.as_str(), nearest_id(id, &ids)?)),
            _ => None,
        })
    }

    /// The cells for which every term holds, in their order; none if the terms exclude each other.
    ///
    /// # Errors
    /// [`FilterError`] if a term names an axis or a value that no cell of the plan has; it lists those that exist.
    pub fn select(&self, mut cells: Vec<Cell>) -> Result<Vec<Cell>, FilterError> {
        for term in &self.terms {
            term.check(&cells)?;
        }
        cells.retain(|cell| self.terms.iter().all(|term| term.holds(cell)));
        Ok(cells)
    }
}

impl Term {
    fn parse(term: &str) -> Result<Term, FilterError> {
        // An id contains `=` too, but only behind its bracket.
        match term.split_once('=') {
            Some((name, values)) if !name.contains('[') => {
                Ok(Term::Axis { name: name.into(), values: values.split(',').map(String::from).collect() })
            }
            _ if term.contains('[') => Ok(Term::Id(term.into())),
            _ => Err(FilterError {
                term: term.into(),
                why: "it is neither a cell's id (scenario[axis=value,...]) nor axis=value[,value]; `list --cells` prints the ids".into(),
            }),
        }
    }

    fn check(&self, cells: &[Cell]) -> Result<(), FilterError> {
        let Term::Axis { name, values } = self else { return Ok(()) };
        let mistake = |what: String, typed: &str, exist: Vec<String>| FilterError {
            term: format!("{name}={}", values.join(",")),
            why: format!(
                "{what}{}; there are {}",
                did_you_mean(typed, exist.iter().map(String::as_str)),
                exist.join(", ")
            ),
        };
        let exist = distinct(cells.iter().filter_map(|cell| Some(cell.axes.get(name)?.to_string())));
        if exist.is_empty() {
            let axes = distinct(cells.iter().flat_map(|cell| cell.axes.0.iter().map(|(axis, _)| axis.clone())));
            let axes = if axes.is_empty() { vec!["none".into()] } else { axes };
            return Err(mistake(format!("no cell has an axis \"{name}\""), name, axes));
        }
        match values.iter().find(|value| !exist.contains(value)) {
            Some(value) => Err(mistake(format!("no cell has \"{value}\" on this axis"), value, exist)),
            None => Ok(()),
        }
    }

    fn holds(&self, cell: &Cell) -> bool {
        match self {
            Term::Id(id) => cell.id == *id,
            Term::Axis { name, values } => cell.axes.get(name).is_some_and(|value| values.contains(&value.to_string())),
        }
    }
}

/// Each text once, in the order of first appearance.
fn distinct(texts: impl Iterator<Item = String>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    texts.filter(|text| seen.insert(text.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Settings, cells};
    use crate::scenario::Scenario;

    fn select(terms: &[&str]) -> Result<Vec<Cell>, FilterError> {
        let matrix = Scenario::load("matrix").unwrap();
        Filter::parse(terms)?.select(cells(&matrix, Settings::of(3)))
    }

    #[test]
    fn all_terms_hold_and_commas_separate_the_values_of_one_axis() {
        assert_eq!(select(&[]).unwrap().len(), 144);
        assert_eq!(select(&["protocol=5.0"]).unwrap().len(), 72);
        assert_eq!(select(&["publish_qos=1,2"]).unwrap().len(), 96);
        let both = select(&["publish_qos=1,2", "retain=true"]).unwrap();
        assert_eq!(both.len(), 48);
        assert!(both.iter().all(|cell| cell.id.contains("retain=true") && !cell.id.contains("publish_qos=0")));
    }

    #[test]
    fn an_id_selects_its_cell() {
        let id =
            "matrix[protocol=3.1.1,clean_session=false,publish_qos=1,subscribe_qos=2,retain=false,resubscribe=false]";
        let selected = select(&[id]).unwrap();
        assert_eq!(selected.iter().map(|cell| cell.id.as_str()).collect::<Vec<_>>(), [id]);
        assert_eq!(select(&[id, "publish_qos=1"]).unwrap().len(), 1);
    }

    #[test]
    fn what_excludes_itself_selects_nothing() {
        assert_eq!(select(&["retain=true", "retain=false"]).unwrap(), []);
        assert_eq!(select(&["matrix[protocol=3.1.1]"]).unwrap(), []);
    }

    #[test]
    fn a_mistake_lists_what_exists() {
        let table = [
            (
                "qos=1",
                "no cell has an axis \"qos\"; there are protocol, clean_session, publish_qos, subscribe_qos, retain",
            ),
            ("publish_qs=1", "no cell has an axis \"publish_qs\" (did you mean \"publish_qos\"?); there are protocol"),
            ("clean_session=flase", "on this axis (did you mean \"false\"?); there are true, false"),
            ("publish_qos=3", "no cell has \"3\" on this axis; there are 0, 1, 2"),
            ("publish_qos=1,", "no cell has \"\" on this axis; there are 0, 1, 2"),
            ("protocol=3.1", "there are 3.1.1, 5.0"),
            ("=", "no cell has an axis \"\""),
            ("retain", "neither a cell's id (scenario[axis=value,...]) nor axis=value[,value]"),
            ("", "neither a cell's id"),
        ];
        for (term, phrase) in table {
            let error = select(&[term]).unwrap_err().to_string();
            assert!(error.starts_with(&format!("--filter {term}: ")), "{error}");
            assert!(error.contains(phrase), "{error}");
        }
    }
}
