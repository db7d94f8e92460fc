//! Storms as one page for a browser: what became of each message, what was broken, how long each phase took, and a chart of the
//! return. It needs no script, and its policy allows none.

mod chart;

use askama::Template;

use super::super::findings::paraphrase;
use super::super::mark;
use super::super::storm::{
    Example, QUANTILES, accounted, example, latencies, latency, phases, took, unexplained, what,
};
use super::super::survey::title;
use super::policy;
use crate::profile::grouped;
use crate::results::Verdict;
use crate::statement;
use crate::storm::{Finding, Quantiles, StormFile};
use chart::Chart;

const STYLE: &str = concat!(include_str!("page.css"), include_str!("panel.css"), include_str!("storms.css"));

/// The page.
#[derive(Template)]
#[template(path = "storms.html")]
struct Page<'s> {
    style: &'static str,
    /// The browser may load the style, by its digest, and nothing else.
    policy: String,
    storms: Vec<Storm<'s>>,
    /// The heads of two tables.
    beside: [&'static str; 6],
    quantiles: [&'static str; 5],
}

/// One storm, in the texts that the template writes.
struct Storm<'s> {
    title: String,
    verdict: Verdict,
    mark: &'static str,
    /// A sentence with the number of sessions, their messages, and how they return.
    what: String,
    /// Why nothing more can be said, each a sentence.
    limits: Vec<String>,
    /// How many messages came, and behind it the other counts of the ledger.
    accounted: Vec<String>,
    findings: Vec<Broken<'s>>,
    phases: Vec<Vec<String>>,
    latencies: Vec<Vec<String>>,
    /// `None` where nobody returned.
    chart: Option<Chart>,
    /// The circumstances, such as the file and the URL: each a name and a value.
    facts: Vec<(&'static str, String)>,
    /// The values of the table of several storms, by column.
    beside: Vec<String>,
}

/// A statement that sessions break.
struct Broken<'s> {
    finding: &'s Finding,
    sessions: String,
    paraphrase: &'static str,
    link: Option<String>,
    example: Option<Example<'s>>,
}

/// The page of these storms, each with the name of its file.
///
/// # Panics
/// Never: the template writes texts.
pub fn storms(storms: &[(String, StormFile)]) -> String {
    let page = Page {
        style: STYLE,
        policy: policy(&[("style-src", STYLE)]),
        storms: storms.iter().map(|(name, file)| storm(name, file)).collect(),
        beside: BESIDE,
        quantiles: QUANTILES,
    };
    page.render().expect("the template writes texts")
}

fn storm<'s>(name: &str, file: &'s StormFile) -> Storm<'s> {
    let limits = file.limits.iter().map(|limit| format!("{limit}."));
    Storm {
        title: title(&file.broker),
        verdict: file.verdict,
        mark: mark(file.verdict),
        what: what(file),
        limits: limits.chain(unexplained(file)).collect(),
        accounted: accounted(&file.ledger),
        findings: file.findings.iter().map(|finding| broken(file, finding)).collect(),
        phases: phases(file),
        latencies: latencies(file),
        chart: Chart::of(file),
        facts: facts(name, file),
        beside: beside(file),
    }
}

fn broken<'s>(file: &'s StormFile, finding: &'s Finding) -> Broken<'s> {
    let known = statement::find(finding.violation.protocol, &finding.violation.statement);
    Broken {
        finding,
        sessions: grouped(finding.sessions),
        paraphrase: paraphrase(&finding.violation),
        link: known.map(|known| known.link()),
        example: example(file, finding),
    }
}

fn facts(name: &str, file: &StormFile) -> Vec<(&'static str, String)> {
    let (run, options) = (&file.run, &file.options);
    let facts = [
        ("File", Some(name.to_owned())),
        ("Broker file", Some(file.broker.how.clone())),
        ("URL", Some(run.url.clone())),
        ("Part", run.partition.map(|partition| partition.to_string())),
        ("Away for", Some(took(options.away_ms))),
        ("Began", Some(run.started_at.clone())),
        ("Took", Some(took(run.duration_ms))),
        ("Prefix", Some(run.prefix.clone())),
        ("Clean-up", Some(run.cleanup.clone())),
        ("With", Some(format!("{} {}", file.tool.name, file.tool.version))),
    ];
    facts.into_iter().filter_map(|(name, value)| Some((name, value.filter(|value| !value.is_empty())?))).collect()
}

/// The columns of the table of several storms, behind the broker and the verdict.
const BESIDE: [&str; 6] = ["sessions", "accepted", "lost", "more than once", "return", "last message, 99 %"];

fn beside(file: &StormFile) -> Vec<String> {
    let ledger = &file.ledger;
    let last = |own: Quantiles| latency(own.p99_us);
    vec![
        grouped(ledger.sessions),
        grouped(ledger.accepted),
        grouped(ledger.lost),
        grouped(ledger.twice),
        took(file.run.phases.returning_ms),
        file.run.phases.last_message.map_or_else(|| "-".into(), last),
    ]
}
