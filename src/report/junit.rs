//! Results -> JUnit XML: a test suite for each scenario and a test case for each cell, named by its id.
//!
//! Of the forms in use this is the one that GitLab, Jenkins and the usual actions for GitHub read alike. They know four
//! outcomes, so verdicts that are neither a pass nor the broker's fault are skipped tests, told apart by their message.

use std::time::Duration;

use quick_junit::{NonSuccessKind, Property, Report, TestCase, TestCaseStatus, TestSuite};

use super::{Page, Palette, Told, findings, scenarios};
use crate::results::{CellResult, Level, Results, Verdict, Violation};

/// The first part of each class name: what stands before the dot is a package in Jenkins.
const PACKAGE: &str = "mqtt-sessions";
/// The test suite of what the broker broke beside the cells.
const BESIDE: &str = "connections of the tool's own";

/// The JUnit file. What is known is no failure, and with a baseline only what got worse is one, as in the exit code.
pub fn junit(told: &Told<'_>) -> Vec<u8> {
    let results = told.results;
    let mut report = Report::new(PACKAGE);
    report.set_time(Duration::from_millis(results.run.duration_ms));
    for (scenario, cells) in scenarios(results) {
        let mut suite = TestSuite::new(scenario);
        // Cells run side by side, so a suite has no time of its own.
        suite.extra.insert("timestamp".into(), results.run.started_at.as_str().into());
        suite.add_properties(properties(results));
        suite.add_test_cases(cells.into_iter().map(|cell| test_case(told, cell)));
        report.add_test_suite(suite);
    }
    report.add_test_suites(beside(told));
    let mut xml = Vec::new();
    // Only a writer can fail, and memory does not.
    let _ = report.serialize(&mut xml);
    without_skipped_at_the_root(String::from_utf8_lossy(&xml).into_owned()).into_bytes()
}

/// The schema of Jenkins' xUnit plugin (junit-10.xsd) knows the number of skipped tests of a suite, and none of the whole file.
fn without_skipped_at_the_root(mut xml: String) -> String {
    let start = xml.find("<testsuites").unwrap_or_default();
    let end = xml[start..].find('>').map_or(xml.len(), |end| start + end);
    if let Some(from) = xml[start..end].find(" skipped=\"").map(|from| start + from) {
        let value = from + " skipped=\"".len();
        let to = xml[value..end].find('"').map_or(end, |quote| value + quote + 1);
        xml.replace_range(from..to, "");
    }
    xml
}

fn properties(results: &Results) -> Vec<Property> {
    let (broker, run) = (&results.broker, &results.run);
    let mut properties = vec![Property::new("tool version", results.tool.version.as_str())];
    let known = [("broker", &broker.name), ("broker version", &broker.version)];
    properties.extend(known.into_iter().filter_map(|(name, value)| Some(Property::new(name, value.as_deref()?))));
    properties.push(Property::new("url", run.url.as_str()));
    properties.push(Property::new("messages", results.options.messages.to_string()));
    properties
}

fn duration(results: &Results, cell: &CellResult) -> Option<Duration> {
    Some(Duration::from_millis(results.run.cells.get(&cell.id)?.duration_ms))
}

fn test_case(told: &Told<'_>, cell: &CellResult) -> TestCase {
    let finding = || laid_out(&findings::of_cell(told, cell));
    let reason = cell.reason.as_deref().unwrap_or("no reason was given");
    let status = match cell.verdict {
        Verdict::Pass | Verdict::Warn => TestCaseStatus::success(),
        Verdict::Unsupported | Verdict::Inconclusive => skipped(&format!("{}: {reason}", cell.verdict.name())),
        Verdict::Error => problem(NonSuccessKind::Error, "error", reason, &finding()),
        Verdict::Fail if told.known.is_known(&cell.id) => skipped(&format!("known: {}", told.known.reasons(&cell.id))),
        Verdict::Fail if told.is_as_before(cell) => {
            let message = format!("known, as in the baseline: {}", broken(&cell.violations, reason));
            skipped(&message)
        }
        Verdict::Fail => {
            problem(NonSuccessKind::Failure, Level::Must.name(), &broken(&cell.violations, reason), &finding())
        }
    };
    let mut case = TestCase::new(cell.id.as_str(), status);
    case.set_classname(format!("{PACKAGE}.{}", cell.scenario));
    if let Some(duration) = duration(told.results, cell) {
        case.set_time(duration);
    }
    if cell.verdict == Verdict::Warn {
        case.set_system_out(finding());
    }
    case
}

fn laid_out(text: &str) -> String {
    Page::from(Palette::Plain).lay_out(text)
}

fn skipped(message: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::skipped();
    status.set_message(message);
    status
}

fn problem(kind: NonSuccessKind, of_type: &str, message: &str, text: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(kind);
    status.set_type(of_type).set_message(message).set_description(text);
    status
}

/// The statements that are broken, and what was seen of the first of them.
pub(super) fn broken(violations: &[Violation], reason: &str) -> String {
    let mut statements: Vec<&str> = violations.iter().map(|violation| violation.statement.as_str()).collect();
    statements.dedup();
    let must = violations.iter().find(|violation| violation.level == Level::Must);
    match must.or(violations.first()) {
        Some(first) => format!("{}: {}", statements.join(", "), first.observed),
        None => reason.to_owned(),
    }
}

/// What the broker broke on connections that belong to no cell.
fn beside(told: &Told<'_>) -> Option<TestSuite> {
    let text = laid_out(&findings::of_broker(told.results, Palette::Plain)?);
    let message = broken(&told.results.broker_findings.violations, "");
    let mut case = match told.breaks_beside() {
        true => {
            let status = problem(NonSuccessKind::Failure, Level::Must.name(), &message, &text);
            TestCase::new(BESIDE, status)
        }
        false => TestCase::new(BESIDE, TestCaseStatus::success()),
    };
    case.set_classname(format!("{PACKAGE}.broker")).set_system_out(text);
    let mut suite = TestSuite::new("broker");
    suite.add_test_case(case);
    Some(suite)
}
