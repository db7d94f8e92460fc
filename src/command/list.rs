//! `list`: the scenarios and what they ask, the cells that would run, or the statements of the standard.

use anyhow::Result;

use super::selection::{load, nothing_selected, select, usual};
use crate::broker::{BrokerFile, StartError};
use crate::cli::{Listed, Plan};
use crate::exit_code::ExitCode;
use crate::output::{page, print};
use crate::plan;
use crate::report;
use crate::scenario::Scenario;

/// Prints the scenarios, or what else was asked for. Scenarios that are named and filters ask for cells.
///
/// # Errors
/// The mistake in a scenario file or in a filter.
pub fn list(scenarios: Vec<String>, listed: Listed, plan: &Plan) -> Result<ExitCode> {
    plan.amounts.check_planned()?;
    match listed {
        Listed { statements: true, .. } => print(&report::all_statements(page()))?,
        Listed { brokers: true, .. } => print(&brokers())?,
        Listed { cells: false, .. } if scenarios.is_empty() && plan.filter.is_empty() && plan.partition.is_none() => {
            print(&overview(plan)?)?
        }
        _ => return cells(scenarios, listed.cells, plan),
    }
    Ok(ExitCode::Success)
}

/// The brokers that can be started, and how each is installed that is not here.
fn brokers() -> String {
    let with_version = |file: BrokerFile| {
        let installed = file.installed().map_err(|missing| match missing {
            StartError::NotInstalled { install, .. } => format!("is not installed: {install}"),
            other => other.to_string(),
        });
        (file, installed)
    };
    report::brokers(&BrokerFile::built_in().map(with_version).collect::<Vec<_>>())
}

/// What each built-in scenario asks.
fn overview(plan: &Plan) -> Result<String> {
    let names = Scenario::built_in_names();
    let scenarios: Vec<_> = names
        .map(|name| {
            let scenario = Scenario::load(name)?;
            let cells = plan::cells(&scenario, (&plan.amounts).into());
            Ok((scenario, cells))
        })
        .collect::<Result<_>>()?;
    Ok(report::catalogue(&scenarios, Scenario::usual_names().count(), page()))
}

/// The ids of the selected cells; those of a scenario that is named below the titles of its lessons, unless ids alone are asked for.
fn cells(scenarios: Vec<String>, ids_alone: bool, plan: &Plan) -> Result<ExitCode> {
    let ids_alone = ids_alone || scenarios.is_empty();
    let scenarios = if scenarios.is_empty() { usual() } else { scenarios };
    let loaded = load(&scenarios)?;
    let mut cells = select(&loaded, (&plan.amounts).into(), &plan.filter)?;
    cells.retain(|cell| plan.partition.is_none_or(|partition| partition.has(&cell.id)));
    if cells.is_empty() {
        return Ok(nothing_selected(&loaded, (&plan.amounts).into(), &plan.filter));
    }
    let mut text = String::new();
    let mut above = None;
    for cell in &cells {
        let scenario = loaded.iter().map(|(_, scenario)| scenario).find(|own| own.name == cell.scenario && !ids_alone);
        let lesson = scenario.and_then(|scenario| scenario.lesson(&cell.axes));
        if let Some(lesson) = lesson.filter(|lesson| above != Some(*lesson)) {
            text += &format!("{}: {}\n", lesson.name, lesson.title.as_ref().unwrap_or(&lesson.question));
        }
        above = lesson;
        let indent = if lesson.is_some() { "  " } else { "" };
        text += &format!("{indent}{}\n", cell.id);
    }
    print(&text)?;
    Ok(ExitCode::Success)
}
