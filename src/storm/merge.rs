//! The files of all parts of a storm -> one file of the whole storm.

use super::compare::side_by_side;
use super::figures::Sample;
use super::file::{DeviantRun, Finding, Phases, Run, StormFile};
use super::ledger::Ledger;
use crate::merge::{IsPart, NotOneRun, broker, check, each_once, first_difference, times};
use crate::partition::Partition;

impl IsPart for StormFile {
    fn partition(&self) -> Option<Partition> {
        self.run.partition
    }

    fn difference(&self, other: &StormFile) -> Option<String> {
        let of = |file: &StormFile| file.run.partition.map_or(0, |partition| partition.of).to_string();
        let told = [
            ("mqtt-sessions", self.tool.version.clone(), other.tool.version.clone()),
            ("the number of parts", of(self), of(other)),
            ("the broker", broker(&self.broker), broker(&other.broker)),
        ];
        first_difference(told).or_else(|| first_difference(side_by_side(&self.options, &other.options)))
    }
}

impl StormFile {
    /// One storm of all parts: the ledgers add up, and a phase takes as long as in the part in which it took longest. Quantiles do not
    /// add up, so that they are not there.
    ///
    /// # Errors
    /// [`NotOneRun`], where the files are not all parts of one storm, each once.
    pub fn merge(mut parts: Vec<(String, StormFile)>) -> Result<StormFile, NotOneRun> {
        check(&parts)?;
        parts.sort_by_key(|(_, file)| file.run.partition.map(|partition| partition.part));
        let parts: Vec<StormFile> = parts.into_iter().map(|(_, file)| file).collect();
        let mut ledger = Ledger::default();
        parts.iter().for_each(|part| ledger.add_all(&part.ledger));
        let limits = |part: &StormFile| {
            let of = part.run.partition.map(|partition| partition.to_string()).unwrap_or_default();
            part.limits.iter().map(|limit| format!("{of}: {limit}")).collect::<Vec<_>>()
        };
        let first = &parts[0];
        Ok(StormFile {
            format: StormFile::format(),
            tool: first.tool.clone(),
            broker: first.broker.clone(),
            options: first.options.clone(),
            run: run(&parts),
            verdict: parts.iter().map(|part| part.verdict).max().unwrap_or(first.verdict),
            limits: parts.iter().flat_map(limits).collect(),
            ledger,
            findings: findings(&parts),
        })
    }
}

/// The facts about the storm, taken from all parts.
fn run(parts: &[StormFile]) -> Run {
    let runs = || parts.iter().map(|part| &part.run);
    let (started_at, duration_ms) = times(runs().map(|run| (run.started_at.as_str(), run.duration_ms)));
    let longest = |of: fn(&Phases) -> u64| runs().map(|run| of(&run.phases)).max().unwrap_or(0);
    let deviants: Vec<DeviantRun> = runs().flat_map(|run| run.deviants.clone()).collect();
    Run {
        started_at,
        duration_ms,
        url: parts[0].run.url.clone(),
        prefix: each_once(runs().map(|run| run.prefix.as_str()), " "),
        partition: None,
        cleanup: each_once(runs().map(|run| run.cleanup.as_str()), "; "),
        phases: Phases {
            parking_ms: longest(|phases| phases.parking_ms),
            publishing_ms: longest(|phases| phases.publishing_ms),
            returning_ms: longest(|phases| phases.returning_ms),
            cleaning_ms: longest(|phases| phases.cleaning_ms),
            park_connack: None,
            acknowledged: None,
            connack: None,
            first_message: None,
            last_message: None,
            drained: None,
        },
        timeline: timeline(parts),
        deviants,
    }
}

/// How far all parts together were, each counted from its own first CONNECT of the return.
fn timeline(parts: &[StormFile]) -> Vec<Sample> {
    let mut times: Vec<u64> = parts.iter().flat_map(|part| part.run.timeline.iter().map(|sample| sample.ms)).collect();
    times.sort_unstable();
    times.dedup();
    let mut places = vec![0; parts.len()];
    let mut timeline = Vec::new();
    for ms in times {
        let mut sum = Sample { ms, returned: 0, messages: 0, drained: 0 };
        for (part, place) in parts.iter().zip(&mut places) {
            let own = &part.run.timeline;
            while own.get(*place).is_some_and(|sample| sample.ms <= ms) {
                *place += 1;
            }
            if let Some(last) = place.checked_sub(1).map(|last| own[last]) {
                sum.returned = sum.returned.saturating_add(last.returned);
                sum.messages = sum.messages.saturating_add(last.messages);
                sum.drained = sum.drained.saturating_add(last.drained);
            }
        }
        timeline.push(sum);
    }
    timeline
}

/// What sessions of any part broke, with the number of all that did.
fn findings(parts: &[StormFile]) -> Vec<Finding> {
    let mut findings: Vec<Finding> = Vec::new();
    for finding in parts.iter().flat_map(|part| &part.findings) {
        match findings.iter_mut().find(|known| known.is_of_the_kind(&finding.violation)) {
            Some(known) => known.sessions = known.sessions.saturating_add(finding.sessions),
            None => findings.push(finding.clone()),
        }
    }
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.sessions));
    findings
}
