//! Two storms of the same kind -> what changed from one to the other.

use super::file::{Options, StormFile};
use super::ledger::Ledger;
use crate::results::Verdict;

/// An option as it is told.
type Tell<'t> = dyn Fn(&Options) -> String + 't;
/// A count of the ledger.
type Count = fn(&Ledger) -> u64;

/// Why two storms cannot be compared.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the storms were not the same: {what} was {before}, and is {after}; make the second one like the first")]
pub struct OtherStorm {
    what: &'static str,
    before: String,
    after: String,
}

/// What differs between a storm and a later one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StormChanges {
    /// The verdicts, where they differ.
    pub verdicts: Option<(Verdict, Verdict)>,
    /// Statements that only the later one shows broken.
    pub newly_broken: Vec<String>,
    /// Statements that only the earlier one shows broken.
    pub mended: Vec<String>,
    /// Counts of the ledger that differ: what was counted, before and after.
    pub counts: Vec<(&'static str, u64, u64)>,
    /// How long each phase took, in milliseconds, before and after. They fail nothing, since time belongs to the machines.
    pub times: Vec<(&'static str, u64, u64)>,
}

impl StormChanges {
    /// True if the later storm fails and the earlier one did not, or shows a further statement broken.
    pub fn got_worse(&self) -> bool {
        !self.newly_broken.is_empty() || self.verdicts.is_some_and(|(_, after)| after == Verdict::Fail)
    }

    /// True if nothing can be said any more.
    pub fn became_unclear(&self) -> bool {
        self.verdicts.is_some_and(|(_, after)| matches!(after, Verdict::Inconclusive | Verdict::Error))
    }
}

impl StormFile {
    /// What changed from this storm to a later one.
    ///
    /// # Errors
    /// [`OtherStorm`], where they were not asked for the same.
    pub fn changes(&self, later: &StormFile) -> Result<StormChanges, OtherStorm> {
        same(&self.options, &later.options)?;
        let broken = |file: &StormFile| {
            let mut ids: Vec<String> = file.findings.iter().map(|own| own.violation.statement.clone()).collect();
            ids.sort_unstable();
            ids.dedup();
            ids
        };
        let (before, after) = (broken(self), broken(later));
        let without = |own: &[String], other: &[String]| own.iter().filter(|id| !other.contains(id)).cloned().collect();
        let phases = (&self.run.phases, &later.run.phases);
        Ok(StormChanges {
            verdicts: (self.verdict != later.verdict).then_some((self.verdict, later.verdict)),
            newly_broken: without(&after, &before),
            mended: without(&before, &after),
            counts: counts(&self.ledger, &later.ledger),
            times: vec![
                ("parking", phases.0.parking_ms, phases.1.parking_ms),
                ("publishing", phases.0.publishing_ms, phases.1.publishing_ms),
                ("return", phases.0.returning_ms, phases.1.returning_ms),
                ("clean-up", phases.0.cleaning_ms, phases.1.cleaning_ms),
            ],
        })
    }
}

/// What two storms were asked for, option by option.
pub fn side_by_side(one: &Options, other: &Options) -> [(&'static str, String, String); 7] {
    let rate = |options: &Options| options.return_rate.map_or_else(|| "at once".into(), |rate| rate.to_string());
    let told: [(&'static str, &Tell<'_>); 7] = [
        ("--protocol", &|own| own.protocol.to_string()),
        ("--sessions", &|own| own.sessions.to_string()),
        ("--messages", &|own| own.messages.to_string()),
        ("--qos", &|own| own.qos.to_string()),
        ("--size", &|own| own.size.to_string()),
        ("--return-rate", &rate),
        ("--away", &|own| format!("{} ms", own.away_ms)),
    ];
    told.map(|(what, of)| (what, of(one), of(other)))
}

fn same(before: &Options, after: &Options) -> Result<(), OtherStorm> {
    let differs = side_by_side(before, after).into_iter().find(|(_, before, after)| before != after);
    differs.map_or(Ok(()), |(what, before, after)| Err(OtherStorm { what, before, after }))
}

/// The counts that say something about the broker, where they differ.
fn counts(before: &Ledger, after: &Ledger) -> Vec<(&'static str, u64, u64)> {
    let counts: [(&str, Count); 11] = [
        ("sessions parked", |own| own.parked),
        ("messages accepted", |own| own.accepted),
        ("sessions that returned", |own| own.returned),
        ("messages delivered", |own| own.delivered),
        ("messages lost", |own| own.lost),
        ("messages more than once", |own| own.twice),
        ("messages behind a later one", |own| own.out_of_order),
        ("messages with DUP 1 or RETAIN 1 at first", |own| own.marked),
        ("sessions with the wrong Session Present", |own| own.wrong_session_present),
        ("sessions that saw something else", |own| own.otherwise),
        ("connections that were refused", |own| own.refused_connections),
    ];
    let differing = counts.into_iter().map(|(what, of)| (what, of(before), of(after)));
    differing.filter(|(_, before, after)| before != after).collect()
}
