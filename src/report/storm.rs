//! A storm as text: how it went, a chart of the return, what became of each message, and what was broken.

use super::findings::{events, violated};
use super::grid::{Drawing, Grid};
use super::page::{Page, wrap};
use super::{mark, measured};
use crate::profile::grouped;
use crate::storm::{DeviantRun, Finding, Ledger, Quantiles, Sample, StormChanges, StormFile, file_of};

/// How wide the names of phases and latencies are.
const NAMES: usize = 28;
/// How many columns a chart has at most.
const CHART_MAX: usize = 60;
/// The heights of a column of a chart.
const BARS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// The head of the latencies.
pub(super) const QUANTILES: [&str; 5] = ["", "half", "90 %", "99 %", "longest"];

/// A session that shows what is broken; the file may have others like it.
pub(super) struct Example<'s> {
    pub session: u32,
    /// Where it is seen: lines of its history, with their numbers.
    pub lines: Vec<(usize, &'s str)>,
}

/// The whole answer of a storm.
pub fn storm(file: &StormFile, page: Page) -> String {
    let mut text = measured(&file.broker, &file.run.url) + "\n" + &wrap("", &what(file)) + "\n" + &figures(file);
    text += &chart(&file.run.timeline, page.width);
    let accounted = accounted(&file.ledger).join("\n  ");
    text += &format!("\n{accounted}\n");
    text += &broken(file, page);
    for limit in &file.limits {
        text += &wrap("? ", &format!("{limit}."));
    }
    let words = format!("{} {}", mark(file.verdict), file.verdict.name());
    text += &format!("{}\n", page.palette.verdict(file.verdict, &words));
    page.lay_out(&text)
}

/// What the storm was.
pub(super) fn what(file: &StormFile) -> String {
    let options = &file.options;
    let rate = options.return_rate.map_or_else(|| "at once".into(), |rate| format!("{} in a second", grouped(rate)));
    let part = file.run.partition.map(|partition| format!(" ({partition})")).unwrap_or_default();
    format!(
        "A storm of {} sessions{part} of MQTT {}, each with {} messages of {} bytes at QoS {}, which return {rate}.",
        grouped(file.ledger.sessions),
        options.protocol,
        grouped(options.messages),
        grouped(options.size),
        options.qos
    )
}

/// How long each phase took, and the latencies in it.
fn figures(file: &StormFile) -> String {
    let phases = Grid { head: Vec::new(), rows: phases(file) };
    let head = QUANTILES.map(String::from).to_vec();
    let latencies = Grid { head, rows: latencies(file) };
    let phases = phases.drawn(&Drawing { gap: 2, right: 1..2 }, &[NAMES, 9, 30]);
    phases + "\n" + &latencies.drawn(&Drawing { gap: 2, right: 1..5 }, &[NAMES, 9, 9, 9, 9])
}

/// Each phase, how long it took, and its rate.
pub(super) fn phases(file: &StormFile) -> Vec<Vec<String>> {
    let (phases, ledger) = (&file.run.phases, &file.ledger);
    let phase = |name: &str, ms: u64, count: u64, unit: &str| {
        let rate = count.saturating_mul(1000).checked_div(ms).map(|rate| format!("{} {unit} a second", grouped(rate)));
        vec![name.into(), took(ms), rate.unwrap_or_default()]
    };
    vec![
        phase("parking", phases.parking_ms, ledger.parked, "sessions"),
        phase("publishing", phases.publishing_ms, ledger.accepted, "messages"),
        phase("return", phases.returning_ms, ledger.delivered, "messages"),
        phase("clean-up", phases.cleaning_ms, ledger.parked, "sessions"),
    ]
}

/// Each latency, and its quantiles in the order of [`QUANTILES`]; its name alone where there was nothing to be measured.
pub(super) fn latencies(file: &StormFile) -> Vec<Vec<String>> {
    let phases = &file.run.phases;
    let row = |name: &str, quantiles: Option<Quantiles>| {
        let shown = quantiles.map(|own| [own.p50_us, own.p90_us, own.p99_us, own.max_us].map(latency));
        [vec![name.to_owned()], shown.unwrap_or_default().to_vec()].concat()
    };
    vec![
        row("parking: CONNECT to CONNACK", phases.park_connack),
        row(if file.options.qos == 1 { "PUBLISH to PUBACK" } else { "PUBLISH to PUBCOMP" }, phases.acknowledged),
        row("return: CONNECT to CONNACK", phases.connack),
        row("return: to the first message", phases.first_message),
        row("return: to the last message", phases.last_message),
        row("return: all is answered", phases.drained),
    ]
}

pub(super) fn took(ms: u64) -> String {
    if ms < 10_000 { format!("{}.{:02} s", ms / 1000, ms % 1000 / 10) } else { format!("{} s", grouped(ms / 1000)) }
}

pub(super) fn latency(us: u64) -> String {
    match us {
        0..1_000 => format!("{}.{:02} ms", us / 1000, us % 1000 / 10),
        1_000..1_000_000 => format!("{}.{} ms", us / 1000, us % 1000 / 100),
        _ => format!("{}.{:02} s", us / 1_000_000, us % 1_000_000 / 10_000),
    }
}

/// The return as three rows of bars: how many in each stretch of time.
fn chart(timeline: &[Sample], width: usize) -> String {
    let Some(end) = timeline.last().map(|sample| sample.ms).filter(|end| *end > 0) else { return String::new() };
    let label = "messages that came   ".len();
    let columns = CHART_MAX.min(width.saturating_sub(label)).min(timeline.len()).max(1);
    let step = end.div_ceil(columns as u64).max(1);
    let mut text = format!("\nThe return, {} a column\n", took(step));
    for (name, count) in [
        ("sessions let in", (|sample: &Sample| sample.returned) as fn(&Sample) -> u64),
        ("messages that came", |sample| sample.messages),
        ("sessions with all", |sample| sample.drained),
    ] {
        let bars = bars(timeline, step, columns, count);
        text += &format!("{name:<label$}{bars}\n");
    }
    text
}

fn bars(timeline: &[Sample], step: u64, columns: usize, count: fn(&Sample) -> u64) -> String {
    let by = |ms: u64| timeline.iter().take_while(|sample| sample.ms <= ms).last().map_or(0, count);
    let heights: Vec<u64> = (0..columns as u64).map(|column| by((column + 1) * step) - by(column * step)).collect();
    let most = heights.iter().copied().max().unwrap_or(0).max(1);
    let bar = |height: &u64| match height {
        0 => BARS[0],
        height => BARS[(height * 8).div_ceil(most) as usize],
    };
    heights.iter().map(bar).collect::<String>().trim_end().to_owned()
}

/// What became of each message: how many came, and a line for each count behind that.
pub(super) fn accounted(ledger: &Ledger) -> Vec<String> {
    let of = |count: u64, sessions: u64, what: &str| match count {
        0 => format!("0 {what}"),
        count => format!("{} {what}, in {} sessions", grouped(count), grouped(sessions)),
    };
    let mut lines = vec![
        format!(
            "{} of {} messages were accepted; {} came to {} of {} sessions",
            grouped(ledger.accepted),
            grouped(ledger.sent),
            grouped(ledger.delivered),
            grouped(ledger.returned),
            grouped(ledger.sessions)
        ),
        of(ledger.lost, ledger.lost_in_sessions, "lost"),
        of(ledger.twice, ledger.twice_in_sessions, "more than once"),
        of(ledger.out_of_order, ledger.out_of_order_in_sessions, "behind a later one"),
        of(ledger.marked, ledger.marked_in_sessions, "with DUP 1 or RETAIN 1 when they came first"),
    ];
    for (count, what) in [
        (ledger.wrong_session_present, "sessions with the wrong Session Present"),
        (ledger.not_granted, "sessions whose subscription was not granted as it was asked for"),
        (ledger.otherwise, "sessions that saw something else"),
        (ledger.refused_connections, "connections were refused"),
        (ledger.retried_connections, "were tried again"),
        (ledger.broken_connections, "connections broke before their session had all"),
    ] {
        if count > 0 {
            lines.push(format!("{} {what}", grouped(count)));
        }
    }
    lines
}

/// What the sessions broke that were judged, with one of each kind.
fn broken(file: &StormFile, page: Page) -> String {
    let mut text = String::new();
    for finding in &file.findings {
        let words = format!("{} {}", mark(file.verdict), finding.violation.level.in_words());
        text +=
            &format!("\n{} in {} sessions\n", page.palette.verdict(file.verdict, &words), grouped(finding.sessions));
        text += &violated(&finding.violation);
        if let Some(Example { session, lines }) = example(file, finding) {
            let kept_as = file_of(session);
            text += &format!("  Session      {session}; --save keeps what was on the wire as {kept_as}\n");
            text += &events(&lines);
        }
    }
    text += &unexplained(file).map(|sentence| wrap("\n? ", &sentence)).unwrap_or_default();
    text
}

/// The first session that shows a finding.
pub(super) fn example<'s>(file: &'s StormFile, finding: &Finding) -> Option<Example<'s>> {
    let place_in = |own: &DeviantRun| own.violations.iter().position(|violation| *violation == finding.violation);
    let (deviant, place) = file.run.deviants.iter().find_map(|own| Some((own, place_in(own)?)))?;
    let numbers = deviant.evidence.iter().filter(|own| own.violation == place).take(1).flat_map(|own| &own.events);
    let line = |number: &usize| Some((*number, deviant.history.get(number.checked_sub(1)?)?.as_str()));
    Some(Example { session: deviant.session, lines: numbers.filter_map(line).collect() })
}

/// The first session that breaks nothing and is not as it should be, as a sentence.
pub(super) fn unexplained(file: &StormFile) -> Option<String> {
    let deviant = file.run.deviants.iter().find(|own| own.violations.is_empty() && own.reason.is_some())?;
    let (session, others) = (deviant.session, deviant.alike.saturating_sub(1));
    Some(format!("Session {session}, and {others} like it: {}.", deviant.reason.as_deref()?))
}

/// What changed from one storm to a later one.
pub fn storm_changes(changes: &StormChanges, page: Page) -> String {
    let mut text = String::new();
    match changes.verdicts {
        Some((before, after)) => text += &format!("verdict: {}, was {}\n", after.name(), before.name()),
        None => text += "the same verdict\n",
    }
    for (what, ids) in [("now broken: ", &changes.newly_broken), ("no longer broken: ", &changes.mended)] {
        if !ids.is_empty() {
            text += &wrap(what, &ids.join(", "));
        }
    }
    for (what, before, after) in &changes.counts {
        text += &format!("{what}: {}, was {}\n", grouped(*after), grouped(*before));
    }
    for (what, before, after) in changes.times.iter().filter(|(_, before, _)| *before > 0) {
        let share = after * 100 / before;
        text += &format!("{what}: {}, was {} ({share} %)\n", took(*after), took(*before));
    }
    page.lay_out(&text)
}
