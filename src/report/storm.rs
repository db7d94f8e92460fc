//! A storm as text: how it went, a chart of the return, what became of each message, and what was broken.

use super::findings::{events, violated};
use super::grid::{Drawing, Grid};
use super::page::{Page, wrap};
use super::{mark, measured};
use crate::profile::grouped;
use crate::storm::{DeviantRun, Ledger, Quantiles, Sample, StormChanges, StormFile, file_of};

/// How wide the names of phases and latencies are.
const NAMES: usize = 28;
/// How many columns a chart has at most.
const CHART_MAX: usize = 60;
/// The heights of a column of a chart.
const BARS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// Sessions of one kind that are told; the file has the others.
const TOLD: usize = 1;

/// The whole answer of a storm.
pub fn storm(file: &StormFile, page: Page) -> String {
    let mut text = measured(&file.broker, &file.run.url) + "\n" + &wrap("", &what(file)) + "\n" + &figures(file);
    text += &chart(&file.run.timeline, page.width);
    text += &format!("\n{}", accounted(&file.ledger));
    text += &broken(file, page);
    for limit in &file.limits {
        text += &wrap("? ", &format!("{limit}."));
    }
    let words = format!("{} {}", mark(file.verdict), file.verdict.name());
    text += &format!("{}\n", page.palette.verdict(file.verdict, &words));
    page.lay_out(&text)
}

/// What the storm was.
fn what(file: &StormFile) -> String {
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
    let (phases, ledger) = (&file.run.phases, &file.ledger);
    let phase = |name: &str, ms: u64, count: u64, unit: &str| {
        let rate = count.saturating_mul(1000).checked_div(ms).map(|rate| format!("{} {unit} a second", grouped(rate)));
        vec![name.into(), took(ms), rate.unwrap_or_default()]
    };
    let rows = vec![
        phase("parking", phases.parking_ms, ledger.parked, "sessions"),
        phase("publishing", phases.publishing_ms, ledger.accepted, "messages"),
        phase("return", phases.returning_ms, ledger.delivered, "messages"),
        phase("clean-up", phases.cleaning_ms, ledger.parked, "sessions"),
    ];
    let phases_drawn = Grid { head: Vec::new(), rows }.drawn(&Drawing { gap: 2, right: 1..2 }, &[NAMES, 9, 30]);
    let latency = |name: &str, quantiles: Option<Quantiles>| {
        let shown = quantiles.map(|own| [own.p50_us, own.p90_us, own.p99_us, own.max_us].map(latency));
        [vec![name.to_owned()], shown.unwrap_or_default().to_vec()].concat()
    };
    let rows = vec![
        latency("parking: CONNECT to CONNACK", phases.park_connack),
        latency(if file.options.qos == 1 { "PUBLISH to PUBACK" } else { "PUBLISH to PUBCOMP" }, phases.acknowledged),
        latency("return: CONNECT to CONNACK", phases.connack),
        latency("return: to the first message", phases.first_message),
        latency("return: to the last message", phases.last_message),
        latency("return: all is answered", phases.drained),
    ];
    let head: Vec<String> = ["", "half", "90 %", "99 %", "longest"].map(String::from).to_vec();
    let latencies = Grid { head, rows }.drawn(&Drawing { gap: 2, right: 1..5 }, &[NAMES, 9, 9, 9, 9]);
    phases_drawn + "\n" + &latencies
}

fn took(ms: u64) -> String {
    if ms < 10_000 { format!("{}.{:02} s", ms / 1000, ms % 1000 / 10) } else { format!("{} s", grouped(ms / 1000)) }
}

fn latency(us: u64) -> String {
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

/// What became of each message.
fn accounted(ledger: &Ledger) -> String {
    let of = |count: u64, sessions: u64, what: &str| match count {
        0 => format!("  0 {what}\n"),
        count => format!("  {} {what}, in {} sessions\n", grouped(count), grouped(sessions)),
    };
    let mut text = format!(
        "{} of {} messages were accepted; {} came to {} of {} sessions\n",
        grouped(ledger.accepted),
        grouped(ledger.sent),
        grouped(ledger.delivered),
        grouped(ledger.returned),
        grouped(ledger.sessions)
    );
    text += &of(ledger.lost, ledger.lost_in_sessions, "lost");
    text += &of(ledger.twice, ledger.twice_in_sessions, "more than once");
    text += &of(ledger.out_of_order, ledger.out_of_order_in_sessions, "behind a later one");
    text += &of(ledger.marked, ledger.marked_in_sessions, "with DUP 1 or RETAIN 1 when they came first");
    for (count, what) in [
        (ledger.wrong_session_present, "sessions with the wrong Session Present"),
        (ledger.not_granted, "sessions whose subscription was not granted as it was asked for"),
        (ledger.otherwise, "sessions that saw something else"),
        (ledger.refused_connections, "connections were refused"),
        (ledger.retried_connections, "were tried again"),
        (ledger.broken_connections, "connections broke before their session had all"),
    ] {
        if count > 0 {
            text += &format!("  {} {what}\n", grouped(count));
        }
    }
    text
}

/// What the sessions broke that were judged, with one of each kind.
fn broken(file: &StormFile, page: Page) -> String {
    let mut text = String::new();
    for finding in &file.findings {
        let shows = |own: &&DeviantRun| own.violations.contains(&finding.violation);
        let words = format!("{} {}", mark(file.verdict), finding.violation.level.in_words());
        text +=
            &format!("\n{} in {} sessions\n", page.palette.verdict(file.verdict, &words), grouped(finding.sessions));
        text += &violated(&finding.violation);
        for deviant in file.run.deviants.iter().filter(shows).take(TOLD) {
            let place = deviant.violations.iter().position(|own| *own == finding.violation);
            let evidence = deviant.evidence.iter().find(|own| Some(own.violation) == place);
            let lines: Vec<(usize, &str)> = evidence
                .iter()
                .flat_map(|own| &own.events)
                .filter_map(|number| Some((*number, deviant.history.get(number.checked_sub(1)?)?.as_str())))
                .collect();
            text += &format!(
                "  Session      {}; --save keeps what was on the wire as {}\n",
                deviant.session,
                file_of(deviant.session)
            );
            text += &events(&lines);
        }
    }
    for deviant in file.run.deviants.iter().filter(|own| own.violations.is_empty() && own.reason.is_some()).take(TOLD) {
        let reason = deviant.reason.as_deref().unwrap_or_default();
        text += &wrap("\n? ", &format!("Session {}, and {} like it: {reason}.", deviant.session, deviant.alike - 1));
    }
    text
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
