//! What the rules find: broken statements, choices, and reasons why more cannot be said.

use std::collections::BTreeMap;

use super::facts::Facts;
use super::rules::Rule;
use crate::history::Message;
use crate::packet::Protocol;
use crate::results::{Level, Verdict};

/// Attempts that have to show the absence of what no fence bounds: at 1, 4 and 16 times the settle window.
pub const ATTEMPTS_FOR_AN_ABSENCE: u32 = 3;
/// Attempts that have to show what may come of a session that was not detached yet.
pub const ATTEMPTS_FOR_TIMING: u32 = 2;

/// Stands in the texts of a finding for the names of its messages.
pub const NAMES: &str = "\u{0}";

/// How many messages a finding names; the others are counted.
const NAMED_MESSAGES: usize = 5;

/// Everything that was found in one attempt.
#[derive(Debug, Clone, Default)]
pub struct Findings {
    pub broken: Vec<Finding>,
    pub choices: BTreeMap<&'static str, String>,
    /// Why the experiment could not be finished or judged: a verdict of its own, and the sentence for it.
    pub limits: Vec<(Verdict, String)>,
    /// A finding says why the experiment was not played to its end.
    pub explains_the_end: bool,
}

/// A broken statement.
#[derive(Debug, Clone)]
pub struct Finding {
    pub protocol: Protocol,
    /// The id of the statement in this version of the standard.
    pub statement: &'static str,
    pub level: Level,
    /// It is about a message that is owed and did not come.
    pub is_absence: bool,
    /// How many attempts in a row have to show it: 1 for what is seen on the wire and cannot be a matter of time.
    pub attempts: u32,
    /// Indices of the entries of the history that show it.
    pub events: Vec<usize>,
    /// The entries between which the time passed that it is about: how late something came, or how long it was waited for.
    span: Option<(usize, usize)>,
    /// That time, where it was measured.
    pub milliseconds: Option<u64>,
    /// The messages that it speaks of; their names replace [`NAMES`] in the texts.
    messages: Vec<Message>,
    expected: String,
    observed: String,
    /// What may lie behind it, as half a sentence. It is told where two attempts, each with a session of its own, suggest the
    /// same.
    pub guess: Option<String>,
}

impl Findings {
    /// Begins a finding about a broken rule. It is kept if the protocol version has such a rule.
    pub fn broken(&mut self, rule: Rule, protocol: Protocol) -> Builder<'_> {
        let finding = rule.id(protocol).zip(rule.level(protocol)).map(|(statement, level)| Finding {
            protocol,
            statement,
            level,
            is_absence: false,
            attempts: 1,
            events: Vec::new(),
            span: None,
            milliseconds: None,
            messages: Vec::new(),
            expected: String::new(),
            observed: String::new(),
            guess: None,
        });
        Builder { findings: self, finding }
    }

    /// Notes what a broker chose where the standard leaves it open.
    pub fn choice(&mut self, name: &'static str, value: impl Into<String>) {
        self.choices.insert(name, value.into());
    }

    /// Notes what a broker chose, where other messages of the cell may show another choice: then the value is `both`.
    pub fn choice_among(&mut self, name: &'static str, value: &str, both: &str) {
        let known = self.choices.get(name).is_none_or(|known| known == value);
        self.choice(name, if known { value } else { both });
    }

    /// Notes why the experiment could not be finished or judged.
    pub fn limit(&mut self, verdict: Verdict, reason: impl Into<String>) {
        self.limits.push((verdict, reason.into()));
    }

    /// Makes one of findings that differ only in the messages that they speak of.
    pub fn merge_messages(&mut self) {
        let mut merged: Vec<Finding> = Vec::new();
        for finding in std::mem::take(&mut self.broken) {
            match merged.iter_mut().find(|other| !finding.messages.is_empty() && other.says_the_same(&finding)) {
                Some(kept) => {
                    kept.messages.extend(finding.messages);
                    kept.events.extend(finding.events);
                    kept.milliseconds = kept.milliseconds.max(finding.milliseconds);
                }
                None => merged.push(finding),
            }
        }
        for finding in &mut merged {
            finding.messages.sort_unstable();
            finding.messages.dedup();
            finding.events.sort_unstable();
            finding.events.dedup();
        }
        self.broken = merged;
    }

    /// So many attempts have to show each of them.
    pub fn ask_again(&mut self, attempts: u32) {
        self.broken.iter_mut().for_each(|finding| finding.attempts = finding.attempts.max(attempts));
    }

    /// Measures the times that the findings are about.
    pub fn measure(&mut self, facts: &Facts) {
        for finding in &mut self.broken {
            let elapsed = finding.span.and_then(|(from, to)| facts.elapsed(from, to));
            finding.milliseconds = elapsed.map(|elapsed| elapsed.as_millis() as u64);
        }
    }

    /// How many attempts all that was found needs. An inconclusive attempt is made once more: the broker may have been too
    /// busy, or have stumbled over the remains of the connection before. So is one in which a feature seems unsupported.
    pub fn attempts_needed(&self) -> u32 {
        let of_findings = self.broken.iter().map(|finding| finding.attempts).max().unwrap_or(1);
        let is_unsure = |verdict: &Verdict| matches!(verdict, Verdict::Inconclusive | Verdict::Unsupported);
        let unsure = self.limits.iter().any(|(verdict, _)| is_unsure(verdict));
        of_findings.max(if unsure { ATTEMPTS_FOR_TIMING } else { 1 })
    }
}

impl Finding {
    /// What the standard expects.
    pub fn expected(&self) -> String {
        self.expected.replace(NAMES, &names(&self.messages))
    }

    /// Another attempt suggests the same cause.
    pub fn is_guessed_again(&self, other: &Finding) -> bool {
        let same = (other.protocol, other.statement, &other.guess) == (self.protocol, self.statement, &self.guess);
        same && self.guess.is_some()
    }

    /// Adds the guess to what the broker did.
    pub fn tell_guess(&mut self) {
        if let Some(guess) = self.guess.take() {
            self.observed = format!("{}; {guess}", self.observed);
        }
    }

    /// What the broker did.
    pub fn observed(&self) -> String {
        self.observed.replace(NAMES, &names(&self.messages))
    }

    fn says_the_same(&self, other: &Finding) -> bool {
        (self.protocol, self.statement, self.attempts) == (other.protocol, other.statement, other.attempts)
            && self.expected == other.expected
            && self.observed == other.observed
            && self.guess == other.guess
    }
}

/// The first few names, and how many more.
pub fn names(messages: &[Message]) -> String {
    let shown: Vec<String> = messages.iter().take(NAMED_MESSAGES).map(Message::to_string).collect();
    match messages.len() - shown.len() {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// A finding that is being described. [`Builder::observed`] ends it.
pub struct Builder<'a> {
    findings: &'a mut Findings,
    finding: Option<Finding>,
}

impl Builder<'_> {
    fn with(mut self, change: impl FnOnce(&mut Finding)) -> Self {
        if let Some(finding) = &mut self.finding {
            change(finding);
        }
        self
    }

    /// The indices of the entries that show it.
    pub fn at(self, events: impl IntoIterator<Item = usize>) -> Self {
        self.with(|finding| finding.events.extend(events))
    }

    /// The entries between which the time passed that it is about. They show it, too.
    pub fn span(self, from: usize, to: usize) -> Self {
        self.with(|finding| {
            finding.span = Some((from, to));
            finding.events.extend([from, to]);
        })
    }

    /// The message that it speaks of, for [`NAMES`] in the texts.
    pub fn about(self, message: Message) -> Self {
        self.with(|finding| finding.messages.push(message))
    }

    /// So many attempts in a row have to show it.
    pub fn after_attempts(self, attempts: u32) -> Self {
        self.with(|finding| finding.attempts = attempts)
    }

    /// A message that is owed did not come.
    pub fn absence(self) -> Self {
        self.with(|finding| finding.is_absence = true)
    }

    /// What may lie behind it.
    pub fn guess(self, text: Option<String>) -> Self {
        self.with(|finding| finding.guess = text)
    }

    pub fn expected(self, text: impl Into<String>) -> Self {
        self.with(|finding| finding.expected = text.into())
    }

    /// What the broker did; with this the finding is complete.
    pub fn observed(self, text: impl Into<String>) {
        let Some(mut finding) = self.finding else { return };
        finding.observed = text.into();
        finding.events.sort_unstable();
        finding.events.dedup();
        self.findings.broken.push(finding);
    }
}
