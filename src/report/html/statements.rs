//! The statements of the standard: those that the judge cites, and whatever else the files cite.

use serde::Serialize;

use super::Shared;
use crate::packet::Protocol;
use crate::statement::{self, Duty};

/// A statement, in the order in which the script takes it apart.
#[derive(Serialize)]
pub struct Statement {
    protocol: usize,
    id: usize,
    /// Empty where this version of the tool does not know the statement.
    level: &'static str,
    paraphrase: usize,
    section: usize,
    link: usize,
    /// What a broker does that breaks it; the test broker was caught at each.
    lies: Vec<usize>,
    /// The scenarios that showed it.
    scenarios: Vec<usize>,
}

/// Those that are cited, in the order of their places, and behind them the others that are judged.
pub fn statements(shared: &mut Shared) -> Vec<Statement> {
    let judged = Protocol::ALL.into_iter().flat_map(statement::statements).filter(|own| own.duty == Duty::Judged);
    for own in judged {
        shared.statements.place((own.protocol.name().to_owned(), own.id.to_owned()));
    }
    std::mem::take(&mut shared.statements).all().iter().map(|(protocol, id)| told(protocol, id, shared)).collect()
}

fn told(protocol: &str, id: &str, shared: &mut Shared) -> Statement {
    let known = protocol.parse().ok().and_then(|protocol| statement::find(protocol, id));
    let lies = known.map(|own| own.lies()).unwrap_or_default();
    let mut scenarios: Vec<&str> = lies.iter().flat_map(|lie| lie.scenarios.iter().copied()).collect();
    scenarios.sort_unstable();
    scenarios.dedup();
    Statement {
        protocol: shared.text(protocol),
        id: shared.text(id),
        level: known.map_or("", |own| own.level.in_words()),
        paraphrase: shared.text_or_none(known.map(|own| own.paraphrase)),
        section: shared.text_or_none(known.map(|own| own.section())),
        link: known.map_or(0, |own| shared.text(&own.link())),
        lies: lies.iter().map(|lie| shared.text(lie.description)).collect(),
        scenarios: scenarios.into_iter().map(|name| shared.text(name)).collect(),
    }
}
