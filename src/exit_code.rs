//! The exit codes, which scripts rely on.

use crate::compare::{Comparison, FailOn};
use crate::expectations::Assessment;
use crate::results::{Results, Summary, Verdict};

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitCode {
    /// Nothing failed; with a baseline, nothing got worse.
    Success,
    /// Something failed; with a baseline, something got worse.
    Failed,
    /// Usage, a file, or a broker out of reach.
    Usage,
    /// Nothing failed, but something was inconclusive or an error, nothing could be judged, or not all was run.
    Unclear,
    /// No cell was selected.
    NothingSelected,
    Interrupted,
}

impl ExitCode {
    pub fn code(self) -> u8 {
        match self {
            ExitCode::Success => 0,
            ExitCode::Failed => 1,
            ExitCode::Usage => 2,
            ExitCode::Unclear => 3,
            ExitCode::NothingSelected => 4,
            ExitCode::Interrupted => 130,
        }
    }

    /// The exit code of results without a baseline: what the broker broke beside the cells counts too, and what is known fails
    /// nothing.
    pub fn of_results(results: &Results, known: &Assessment) -> ExitCode {
        if known.fails_beside_the_cells(results) {
            return ExitCode::Failed;
        }
        let count = known.cells.len() as u32;
        let Summary { fail, warn, .. } = results.summary;
        if results.cells.is_empty() && results.run.partition.is_some() && results.run.complete {
            // Some of many parts have nothing to do.
            return ExitCode::Success;
        }
        let code = ExitCode::of(&Summary { fail: fail.saturating_sub(count), warn: warn + count, ..results.summary });
        // Half a run is no success.
        if code == ExitCode::Success && !results.run.complete { ExitCode::Unclear } else { code }
    }

    /// The exit code of several runs: an interruption says more than a broker out of reach, and that more than what failed.
    pub fn of_several(codes: &[ExitCode]) -> ExitCode {
        let worst_first = [ExitCode::Interrupted, ExitCode::Usage, ExitCode::Failed, ExitCode::Unclear];
        worst_first.into_iter().find(|code| codes.contains(code)).unwrap_or(ExitCode::Success)
    }

    /// The exit code of cells with these verdicts.
    pub fn of(summary: &Summary) -> ExitCode {
        let count = |verdict| summary.count(verdict);
        if count(Verdict::Fail) > 0 {
            ExitCode::Failed
        } else if count(Verdict::Error) + count(Verdict::Inconclusive) > 0
            || count(Verdict::Pass) + count(Verdict::Warn) == 0
        {
            ExitCode::Unclear
        } else {
            ExitCode::Success
        }
    }

    /// The exit code of a storm with this verdict.
    pub fn of_storm(verdict: Verdict) -> ExitCode {
        match verdict {
            Verdict::Fail => ExitCode::Failed,
            Verdict::Inconclusive | Verdict::Error => ExitCode::Unclear,
            Verdict::Pass | Verdict::Warn | Verdict::Unsupported => ExitCode::Success,
        }
    }

    /// The exit code of a comparison: a run with its baseline, or two results files.
    pub fn of_comparison(comparison: &Comparison, fail_on: &[FailOn]) -> ExitCode {
        match (comparison.fails(fail_on), comparison.became_unclear()) {
            (true, _) => ExitCode::Failed,
            (false, true) => ExitCode::Unclear,
            (false, false) => ExitCode::Success,
        }
    }
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        std::process::ExitCode::from(code.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_verdict_decides() {
        let pass = Summary { pass: 9, ..Summary::default() };
        assert_eq!(ExitCode::of(&pass).code(), 0);
        assert_eq!(ExitCode::of(&Summary { warn: 1, unsupported: 1, ..pass }).code(), 0);
        assert_eq!(ExitCode::of(&Summary { fail: 1, error: 1, ..pass }).code(), 1);
        assert_eq!(ExitCode::of(&Summary { inconclusive: 1, ..pass }).code(), 3);
        assert_eq!(ExitCode::of(&Summary { error: 1, ..pass }).code(), 3);
        assert_eq!(ExitCode::of(&Summary { unsupported: 144, ..Summary::default() }).code(), 3);
    }
}
