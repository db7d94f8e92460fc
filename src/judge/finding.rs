//! What the rules find: broken statements, choices, and reasons why more cannot be said.

use std::collections::BTreeMap;

use crate::packet::Protocol;
use crate::results::{Level, Verdict, Violation};
use crate::statement;

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
    /// It rests on an absence or on timing, so another attempt has to show it too.
    pub needs_another_attempt: bool,
}

/// The id of a rule in each protocol version; `None` where the version has no such rule.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    pub v3: Option<&'static str>,
    pub v5: Option<&'static str>,
}

/// A rule with its id in 3.1.1 and in 5.0.
pub const fn rule(v3: &'static str, v5: &'static str) -> Rule {
    Rule { v3: Some(v3), v5: Some(v5) }
}

impl Rule {
    fn id(self, protocol: Protocol) -> Option<&'static str> {
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
        self.push(protocol, rule, events, expected.into(), observed.into(), false);
    }

    /// As [`Findings::broken`], for what another attempt has to confirm.
    pub fn perhaps_broken(
        &mut self,
        protocol: Protocol,
        rule: Rule,
        events: &[usize],
        expected: impl Into<String>,
        observed: impl Into<String>,
    ) {
        self.push(protocol, rule, events, expected.into(), observed.into(), true);
    }

    fn push(
        &mut self,
        protocol: Protocol,
        rule: Rule,
        events: &[usize],
        expected: String,
        observed: String,
        needs_another_attempt: bool,
    ) {
        let Some(statement) = rule.id(protocol) else { return };
        let level = statement::find(protocol, statement).map_or(Level::None, |statement| statement.level);
        let mut events: Vec<usize> = events.iter().map(|place| place + 1).collect();
        events.sort_unstable();
        events.dedup();
        let violation = Violation { protocol, statement: statement.into(), level, expected, observed, events };
        self.violations.push(Finding { violation, needs_another_attempt });
    }

    /// Notes what a broker chose where the standard leaves it open.
    pub fn choice(&mut self, name: &'static str, value: impl Into<String>) {
        self.choices.insert(name, value.into());
    }

    /// Notes why the experiment could not be finished or judged.
    pub fn limit(&mut self, verdict: Verdict, reason: impl Into<String>) {
        self.limits.push((verdict, reason.into()));
    }
}
