//! What a broker did in a cell, without its packets. Most cells have one of few answers.

use std::collections::BTreeMap;

use serde::Serialize;

use super::super::choices::decide_count;
use super::Shared;
use crate::choice;
use crate::results::{CellResult, Received, Verdict};

/// An answer, in the order in which the script takes it apart.
#[derive(Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Answer(
    /// The verdict, by its place among the worst first.
    usize,
    /// The reason, which is cited already where statements are broken.
    usize,
    /// How many messages were sent, and how many of them the broker accepted.
    (u32, u32),
    /// Session Present of the return, and the codes of both SUBACKs.
    (Option<bool>, Option<u8>, Option<u8>),
    /// What the broker chose.
    Vec<usize>,
    /// What it broke, in the order of the results.
    Vec<usize>,
    /// What came, a line for each client, connection and topic; `None` where the file does not keep it.
    Option<Vec<usize>>,
    /// The count of messages is the broker's choice.
    bool,
);

/// What a broker broke.
#[derive(Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Violation {
    statement: usize,
    level: &'static str,
    expected: usize,
    observed: usize,
}

/// What a broker chose where the standard leaves it open.
#[derive(Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Choice {
    name: usize,
    value: usize,
    sentence: usize,
}

/// The place of the answer in this cell. `kept` says whether the results have what came.
pub fn answer(cell: &CellResult, kept: bool, shared: &mut Shared) -> usize {
    let verdict = verdict_place(cell.verdict);
    let is_told = !cell.violations.is_empty() && matches!(cell.verdict, Verdict::Fail | Verdict::Warn);
    let reason = shared.text_or_none(cell.reason.as_deref().filter(|_| !is_told));
    let choices = cell.choices.iter().map(|(name, value)| choice(name, value, shared)).collect();
    let violations = cell.violations.iter().map(|own| violation(own, shared)).collect();
    let received = kept.then(|| arrived(&cell.received).iter().map(|line| shared.text(line)).collect());
    let answers = (cell.session_present, cell.granted_qos, cell.regranted_qos);
    let counts = (cell.sent, cell.published);
    let answer = Answer(verdict, reason, counts, answers, choices, violations, received, decide_count(cell));
    shared.answers.place(answer)
}

pub fn verdict_place(verdict: Verdict) -> usize {
    Verdict::WORST_FIRST.iter().position(|own| *own == verdict).unwrap_or(0)
}

pub fn choice(name: &str, value: &str, shared: &mut Shared) -> usize {
    let choice = Choice {
        name: shared.text(name),
        value: shared.text(value),
        sentence: shared.text(&choice::sentence(name, value)),
    };
    shared.choices.place(choice)
}

pub fn violation(violation: &crate::results::Violation, shared: &mut Shared) -> usize {
    let statement = (violation.protocol.name().to_owned(), violation.statement.clone());
    let violation = Violation {
        statement: shared.statements.place(statement),
        level: violation.level.in_words(),
        expected: shared.text(&violation.expected),
        observed: shared.text(&violation.observed),
    };
    shared.violations.place(violation)
}

/// `subscriber, connection 2, t: m1, m2 at QoS 1`, a line for each client, connection and topic, the copies in order.
fn arrived(received: &[Received]) -> Vec<String> {
    let mut lines: BTreeMap<(&str, u32, &str), Vec<String>> = BTreeMap::new();
    for copy in received {
        lines.entry((&copy.client, copy.connection, &copy.topic)).or_default().push(said(copy));
    }
    lines
        .into_iter()
        .map(|((client, connection, topic), copies)| {
            format!("{client}, connection {connection}, topic {topic}: {}", folded(&copies).join(", "))
        })
        .collect()
}

fn said(copy: &Received) -> String {
    let mut text = copy.seq.map_or("a payload that is none of the experiment's".to_owned(), |seq| format!("m{seq}"));
    text += &format!(" at QoS {}", copy.qos);
    for (is_so, words) in
        [(copy.retain, " RETAIN 1"), (copy.dup, " DUP 1"), (!copy.complete, " not acknowledged"), (copy.late, " late")]
    {
        text += if is_so { words } else { "" };
    }
    text
}

/// Copies of messages in a row that have the rest in common.
struct Range {
    first: u32,
    last: u32,
    rest: String,
}

/// Copies that differ in their numbers alone, as `m1 to m30 at QoS 1`.
fn folded(copies: &[String]) -> Vec<String> {
    let range = |copy: &String| {
        let (message, rest) = copy.split_once(' ')?;
        let number = message.strip_prefix('m')?.parse::<u32>().ok()?;
        Some(Range { first: number, last: number, rest: rest.to_owned() })
    };
    let mut folded: Vec<Result<Range, &String>> = Vec::new();
    for copy in copies {
        match (range(copy), folded.last_mut()) {
            (Some(next), Some(Ok(last))) if next.first == last.last.wrapping_add(1) && next.rest == last.rest => {
                last.last = next.first;
            }
            (next, _) => folded.push(next.ok_or(copy)),
        }
    }
    let text = |copies: Result<Range, &String>| match copies {
        Ok(Range { first, last, rest }) if first == last => format!("m{first} {rest}"),
        Ok(Range { first, last, rest }) => format!("m{first} to m{last} {rest}"),
        Err(copy) => copy.clone(),
    };
    folded.into_iter().map(text).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_in_a_row_are_one_range() {
        let copies = ["m1 at QoS 1", "m2 at QoS 1", "m3 at QoS 1", "m4 at QoS 1 DUP 1", "m4 at QoS 1", "m9 at QoS 1"];
        let copies = copies.map(str::to_owned);
        assert_eq!(folded(&copies), ["m1 to m3 at QoS 1", "m4 at QoS 1 DUP 1", "m4 at QoS 1", "m9 at QoS 1"]);
        assert_eq!(folded(&["a payload at QoS 0".to_owned()]), ["a payload at QoS 0"]);
    }
}
