//! What the rules find: broken statements, choices, and reasons why more cannot be said.

use std::collections::BTreeMap;

use crate::history::Message;
use crate::packet::Protocol;
use crate::results::{Level, Verdict, Violation};
use crate::statement;

/// Attempts that have to show the absence of what no fence bounds: at 1, 4 and 16 times the settle window.
pub const ATTEMPTS_FOR_AN_ABSENCE: u32 = 3;
/// Attempts that have to show what may come of a session that was not detached yet.
pub const ATTEMPTS_FOR_TIMING: u32 = 2;

/// How many messages a finding names; the others are counted.
const NAMED_MESSAGES: usize = 5;

/// Everything that was found in one attempt.
#[derive(Debug, Default)]
pub struct Findings {
    pub violations: Vec<Finding>,
    pub choices: BTreeMap<&'static str, String>,
    /// Why the experiment could not be finished, or could not be judged: a verdict of its own.
    pub limits: Vec<(Verdict, String)>,
}

/// A broken statement.
#[derive(Debug, Clone)]
pub struct Finding {
    pub violation: Violation,
    /// The events that show it: their numbers in the history, from 1.
    pub events: Vec<usize>,
    /// How many attempts in a row have to show it: 1 for what is seen on the wire and cannot be a matter of time.
    pub attempts: u32,
}

/// The id of a rule in each protocol version; `None` where the version has no such rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    pub v3: Option<&'static str>,
    pub v5: Option<&'static str>,
}

/// A rule with its id in 3.1.1 and in 5.0.
pub const fn rule(v3: &'static str, v5: &'static str) -> Rule {
    Rule { v3: Some(v3), v5: Some(v5) }
}

impl Rule {
    /// Its id in this version.
    pub fn id(self, protocol: Protocol) -> Option<&'static str> {
        match protocol {
            Protocol::V3 => self.v3,
            Protocol::V5 => self.v5,
        }
    }
}

impl Findings {
    /// Notes a broken rule. `events` are 0-based places in the history.
    pub fn broken(
        &mut self,
        protocol: Protocol,
        rule: Rule,
        events: &[usize],
        expected: impl Into<String>,
        observed: impl Into<String>,
    ) {
        self.broken_in(1, protocol, rule, events, expected, observed);
    }

    /// As [`Findings::broken`], for what so many attempts have to show.
    pub fn broken_in(
        &mut self,
        attempts: u32,
        protocol: Protocol,
        rule: Rule,
        events: &[usize],
        expected: impl Into<String>,
        observed: impl Into<String>,
    ) {
        let Some(statement) = rule.id(protocol) else { return };
        let level = statement::find(protocol, statement).map_or(Level::None, |statement| statement.level);
        let mut events: Vec<usize> = events.iter().map(|place| place + 1).collect();
        events.sort_unstable();
        events.dedup();
        let (statement, expected, observed) = (statement.into(), expected.into(), observed.into());
        let violation = Violation { protocol, statement, level, expected, observed };
        self.violations.push(Finding { violation, events, attempts });
    }

    /// Makes one of findings that differ only in the message that they speak of.
    pub fn merge_messages(&mut self) {
        let mut merged: Vec<(Finding, Vec<Message>)> = Vec::new();
        for finding in std::mem::take(&mut self.violations) {
            let own = message_in(&finding.violation);
            match merged.iter_mut().find(|(other, _)| own.is_some() && alike(other, &finding)) {
                Some((kept, messages)) => {
                    messages.extend(own);
                    kept.events.extend(finding.events);
                }
                None => merged.push((finding, own.into_iter().collect())),
            }
        }
        self.violations = merged.into_iter().map(|(finding, messages)| with_messages(finding, &messages)).collect();
    }

    /// Notes what a broker chose where the standard leaves it open.
    pub fn choice(&mut self, name: &'static str, value: impl Into<String>) {
        self.choices.insert(name, value.into());
    }

    /// Notes why the experiment could not be finished or judged.
    pub fn limit(&mut self, verdict: Verdict, reason: impl Into<String>) {
        self.limits.push((verdict, reason.into()));
    }

    /// How many attempts all that was found is worth. What is inconclusive is tried once more: the broker may have been
    /// too busy, or have stumbled over the remains of the connection before.
    pub fn attempts_needed(&self) -> u32 {
        let of_violations = self.violations.iter().map(|finding| finding.attempts).max().unwrap_or(1);
        let is_inconclusive = self.limits.iter().any(|(verdict, _)| *verdict == Verdict::Inconclusive);
        of_violations.max(if is_inconclusive { ATTEMPTS_FOR_TIMING } else { 1 })
    }
}

/// The message that a finding speaks of: the first that is named in its texts.
fn message_in(violation: &Violation) -> Option<Message> {
    words(&violation.expected).chain(words(&violation.observed)).find_map(|word| word.parse().ok())
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphanumeric())
}

/// The two say the same of different messages.
fn alike(one: &Finding, other: &Finding) -> bool {
    let generic = |finding: &Finding| {
        let message = message_in(&finding.violation).map(|message| message.to_string()).unwrap_or_default();
        let without = |text: &str| text.replace(&message, "\0");
        (without(&finding.violation.expected), without(&finding.violation.observed))
    };
    let key = |finding: &Finding| (finding.violation.protocol, finding.attempts, finding.violation.statement.clone());
    key(one) == key(other) && generic(one) == generic(other)
}

/// The finding in the plural, as far as several messages are concerned.
fn with_messages(mut finding: Finding, messages: &[Message]) -> Finding {
    if let [first, .., _] = messages {
        let mut names: Vec<String> = Vec::new();
        for message in messages.iter().map(Message::to_string) {
            if !names.contains(&message) {
                names.push(message);
            }
        }
        let more = names.split_off(names.len().min(NAMED_MESSAGES)).len();
        let names = names.join(", ") + &if more > 0 { format!(" and {more} more") } else { String::new() };
        let violation = &mut finding.violation;
        violation.expected = violation.expected.replace(&first.to_string(), &names);
        violation.observed = violation.observed.replace(&first.to_string(), &names);
        finding.events.sort_unstable();
        finding.events.dedup();
    }
    finding
}
