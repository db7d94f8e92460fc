//! `judge`: stored histories once more, without a broker.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, Result, anyhow};

use super::expected::{assess, known, of_results};
use crate::cli::{Accept, Expected, ExportFiles};
use crate::exit_code::ExitCode;
use crate::expectations::Assessment;
use crate::export::{Exported, Exports};
use crate::history_file::HistoryFile;
use crate::judge::{Combined, judge_again, judge_helpers};
use crate::output::{note, page};
use crate::report::{self, JudgedFile, Page, Told};
use crate::results::{
    AttemptRun, BrokerLabel, CellRun, Format, HelperRun, Kept, Options, Results, Run, Summary, Tool, in_rfc_3339,
};

/// Judges a results file, or histories that are text files.
///
/// # Errors
/// A file that is neither, with its line and what helps.
pub fn judge(
    files: &[PathBuf],
    exports: &ExportFiles,
    details: bool,
    expected: &Expected,
    accept: &Accept,
) -> Result<ExitCode> {
    let is_text = |file: &PathBuf| file.extension().is_some_and(|extension| extension == "txt");
    match files {
        files if files.iter().all(is_text) => match (&expected.expect, accept.accept) {
            (None, false) => histories(files, exports),
            _ => Err(anyhow!(
                "--expect and --accept are for a results file, and a history has its expectation in its head; leave them \
                 out"
            )),
        },
        [results] => results_file(results, exports, details, expected, accept.accept),
        files => {
            let other = files.iter().find(|file| !is_text(file)).map(|file| file.display().to_string());
            let other = other.unwrap_or_default();
            Err(anyhow!(
                "{other} is no history, and not the only file; give one results file, or only names that end in .txt"
            ))
        }
    }
}

/// Judges histories that are text files, and compares the verdicts with what their heads say.
fn histories(paths: &[PathBuf], exports: &ExportFiles) -> Result<ExitCode> {
    let mut files: Vec<HistoryFile> = Vec::new();
    for path in paths {
        let file = HistoryFile::load(path)?;
        if files.iter().any(|other| other.name == file.name) {
            return Err(anyhow!("{}: another file has the name {} too; rename one of them", path.display(), file.name));
        }
        files.push(file);
    }
    let exports = Exports::open(exports)?;
    let judged: Vec<Combined> = files.iter().map(HistoryFile::judged).collect();
    let told: Vec<JudgedFile<'_>> = files.iter().zip(&judged).map(|(file, judged)| told(file, judged)).collect();
    let text = report::histories(&told, page());
    let code = exit_code(&told);
    let (results, known) = (as_results(&files, judged), Assessment::default());
    exports.deliver(|| text, &Exported { told: told_of(&results, &known), kept: &results })?;
    Ok(code)
}

fn told<'a>(file: &HistoryFile, judged: &'a Combined) -> JudgedFile<'a> {
    JudgedFile {
        result: &judged.result,
        has_head: file.expected.is_some(),
        disagreement: file.expected.as_ref().and_then(|expected| expected.disagreement(&judged.result)),
    }
}

/// A head is what is expected; without one the verdict counts, as in a run.
fn exit_code(told: &[JudgedFile<'_>]) -> ExitCode {
    if told.iter().any(|file| file.disagreement.is_some()) {
        return ExitCode::Failed;
    }
    let headless = told.iter().filter(|file| !file.has_head).map(|file| file.result);
    match headless.clone().next() {
        Some(_) => ExitCode::of(&Summary::of(headless)),
        None => ExitCode::Success,
    }
}

/// The files as a results file, each a cell.
fn as_results(files: &[HistoryFile], judged: Vec<Combined>) -> Results {
    let mut cells = Vec::new();
    let mut runs = BTreeMap::new();
    for (file, Combined { result, evidence, attempt }) in files.iter().zip(judged) {
        let attempts = file.attempts.iter().map(|history| AttemptRun::of(history, BTreeMap::new(), None));
        let mut run = CellRun { attempts: attempts.collect(), ..CellRun::default() };
        run.rest_on(attempt, evidence);
        runs.insert(result.id.clone(), run);
        cells.push(result);
    }
    cells.sort_by(|one, other| one.id.cmp(&other.id));
    Results {
        format: Format::default(),
        tool: Tool::default(),
        broker: BrokerLabel { name: None, version: None, how: "histories".into() },
        // A history says by itself how many messages there were.
        options: Options { messages: 1, queue_limit: None, durable: None },
        run: Run {
            started_at: in_rfc_3339(SystemTime::now()),
            prefix: String::new(),
            duration_ms: 0,
            host: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
            url: String::new(),
            reached_with: Vec::new(),
            settle_ms: 0,
            scenario_files: BTreeMap::new(),
            scenarios: BTreeMap::new(),
            partition: None,
            complete: true,
            cut_short: None,
            planned: cells.len() as u32,
            kept: Kept::All,
            cleanup: "nothing was run".into(),
            helpers: HelperRun::default(),
            cells: runs,
        },
        summary: Summary::of(&cells),
        broker_findings: Default::default(),
        cells,
    }
}

/// Results by themselves.
fn told_of<'a>(results: &'a Results, known: &'a Assessment) -> Told<'a> {
    Told { results, teachings: &[], known, comparison: None }
}

/// Judges every history that a results file keeps.
fn results_file(
    path: &Path,
    exports: &ExportFiles,
    details: bool,
    expected: &Expected,
    accept: bool,
) -> Result<ExitCode> {
    let mut results = Results::load(path)?;
    if results.run.kept == Kept::Examples {
        return Err(anyhow!(
            "{}: it has the packets of one cell for each finding alone, so it cannot be judged again; `mqtt-sessions report` \
             tells what stands in it, and --histories unclear writes a file for judge",
            path.display()
        ));
    }
    let mut known = known(expected, accept, of_results(&results))?;
    let exports = Exports::open(exports)?;
    let mut left = 0;
    for cell in &mut results.cells {
        let Some(run) = results.run.cells.get_mut(&cell.id) else {
            left += 1;
            continue;
        };
        let judged = judge_again(cell, run, &results.options);
        match judged.with_context(|| format!("{}: the history of {}", path.display(), cell.id))? {
            Some(Combined { result, evidence, attempt }) => {
                *cell = result;
                run.rest_on(attempt, evidence);
            }
            None => left += 1,
        }
    }
    let helpers = results.run.helpers.parsed();
    let helpers = helpers.with_context(|| format!("{}: the histories of run.helpers", path.display()))?;
    (results.broker_findings, results.run.helpers) = judge_helpers(&helpers);
    results.summary = Summary::of(&results.cells);
    let assessment = assess(&mut known, accept, &results)?;
    let page = Page { details, ..page() };
    let told = told_of(&results, &assessment);
    exports.deliver(|| report::terminal(&told, page), &Exported { told, kept: &results })?;
    if left > 0 {
        note(&format!("{left} cells have no history and keep their verdicts; --histories all keeps all histories"));
    }
    Ok(ExitCode::of_results(&results, &assessment))
}
