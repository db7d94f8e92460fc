//! Several brokers side by side, as a page in Markdown: what was measured, where each breaks something, what that is, and what
//! each chose where the standard leaves it open.

pub(super) mod beside;
mod broken;
mod chosen;

use std::collections::HashSet;

use super::causes::causes;
use super::grid::Grid;
use super::markdown::escaped;
use super::{Palette, group, mark, summary_line};
use crate::broker::{BrokerFile, name_and_variant};
use crate::results::{BrokerLabel, Results, Verdict};

/// How a page begins that a survey made.
pub const PAGE_MARK: &str =
    "<!-- Made by `mqtt-sessions survey` from the results files; `mqtt-sessions report` prints it. -->\n";

const ABOUT: &str = "Each file is what `mqtt-sessions survey` measured of one broker in one configuration: the broker was started, the \
    scenarios below were run against it, and every cell was judged by the standard. A cell is a scenario with one value for each of its axes.";

/// Results, and the file in which they stand.
#[derive(Debug, Clone)]
pub struct Surveyed {
    /// As the page links it.
    pub file: String,
    pub results: Results,
}

/// The broker and its configuration: `mosquitto:persistent 2.0.11`.
pub fn title(label: &BrokerLabel) -> String {
    let variant = name_and_variant(&label.how).1.map(|variant| format!(":{variant}")).unwrap_or_default();
    let version = label.version.as_ref().map(|version| format!(" {version}")).unwrap_or_default();
    format!("{}{variant}{version}", label.name.as_deref().unwrap_or("a broker without a name"))
}

/// The line that sums up what was measured of one broker, however wide that is.
pub fn surveyed(results: &Results, palette: Palette) -> String {
    let summary = summary_line(results, palette);
    let (findings, seconds) = (findings(findings_of(results)), results.run.duration_ms.div_ceil(1000));
    format!("{}  {}; {findings}; {seconds} s\n", title(&results.broker), summary.trim_end())
}

/// The cells that are examples of what was found, each finding once.
pub fn examples(results: &Results) -> HashSet<String> {
    causes(results.cells.iter()).iter().map(|cause| cause.example().0.id.clone()).collect()
}

/// How many different things were found.
pub(super) fn findings_of(results: &Results) -> usize {
    causes(results.cells.iter()).len() + results.broker_findings.violations.len()
}

/// `1 finding`, `2 findings`.
fn findings(count: usize) -> String {
    format!("{count} finding{}", if count == 1 { "" } else { "s" })
}

/// The page. Configurations of one broker are held against its usual one.
pub fn side_by_side(all: &[Surveyed]) -> String {
    let families = families(all);
    let all: Vec<&Surveyed> = families.concat();
    let usual: Vec<&Surveyed> = families.iter().filter_map(|family| family.first().copied()).collect();
    let mut text =
        format!("{PAGE_MARK}# Brokers side by side\n\n{ABOUT}\n\n## What was measured\n\n{}", measured(&all));
    text += &format!("\n## Where something breaks\n\n{}", beside::section(&usual, &all));
    for family in families.iter().filter(|family| family.len() > 1) {
        let heading = format!("Configurations of {}", name(&family[0].results.broker));
        text += &format!("\n### {heading}\n\n{}", beside::table(family));
    }
    text += &format!("\n## What breaks\n\n{}", broken::ABOUT);
    for family in &families {
        text += &broken::sections(family);
    }
    text + &format!("\n## What the standard leaves open\n\n{}", chosen::section(&all))
}

/// The configurations of each broker, the usual one first.
pub(super) fn families(all: &[Surveyed]) -> Vec<Vec<&Surveyed>> {
    let mut all: Vec<&Surveyed> = all.iter().collect();
    all.sort_by(|one, other| key(one).cmp(&key(other)));
    let families = group(all, |own| (&own.results.broker.name, &own.results.broker.version));
    families.into_iter().map(|(_, family)| family).collect()
}

fn key(own: &Surveyed) -> (&Option<String>, &Option<String>, Option<&str>, &str) {
    let BrokerLabel { name, version, how } = &own.results.broker;
    (name, version, name_and_variant(how).1, &own.file)
}

fn name(label: &BrokerLabel) -> String {
    escaped(&title(label))
}

/// A row for each results file.
fn measured(all: &[&Surveyed]) -> String {
    let verdicts = Verdict::WORST_FIRST;
    let heads = ["broker", "configuration", "measured on", "with", "cells"].map(String::from).into_iter();
    let marks = verdicts.iter().map(|verdict| format!("{} {}", mark(*verdict), verdict.name()));
    let row = |own: &&Surveyed| {
        let Surveyed { file, results } = own;
        let date = results.run.started_at.split('T').next().unwrap_or_default();
        let cells = match results.run.complete {
            true => results.cells.len().to_string(),
            false => format!("{} of {}, cut short", results.cells.len(), results.run.planned),
        };
        let tool = format!("{} {}", results.tool.name, results.tool.version);
        let texts = [
            format!("[{}]({})", name(&results.broker), linked(file)),
            escaped(&configuration(results)),
            escaped(date),
            escaped(&tool),
            cells,
        ];
        let counts = verdicts.iter().map(|verdict| results.summary.count(*verdict).to_string());
        texts.into_iter().chain(counts).chain([findings_of(results).to_string()]).collect()
    };
    let head = heads.chain(marks).chain(["findings".into()]).collect();
    Grid { head, rows: all.iter().map(row).collect() }.of_markdown()
}

/// What is different from how the broker usually runs, and what was declared of it.
pub(super) fn configuration(results: &Results) -> String {
    let (name, variant) = name_and_variant(&results.broker.how);
    let about = variant.map(|variant| {
        let file = BrokerFile::built_in().find(|file| file.name == name);
        let about = file.and_then(|file| Some(file.variants.get(variant)?.about.clone()));
        about.unwrap_or_else(|| variant.to_owned())
    });
    let usual = match results.broker.how.as_str() {
        BrokerLabel::BY_URL => "as it ran",
        BrokerLabel::EMBEDDED => "embedded",
        _ => "plain",
    };
    let limit = results.options.queue_limit.map(|limit| format!("--queue-limit {limit}"));
    let words = [Some(about.unwrap_or_else(|| usual.to_owned())), limit];
    words.into_iter().flatten().collect::<Vec<_>>().join("; ")
}

/// A path as a link takes it.
fn linked(file: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~/+".contains(&byte);
    file.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}
