//! Results made up for the tests of what stands right of them: a matrix as a good broker answers it, to be bent.

#![allow(dead_code)] // Each test program uses another part.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use mqtt_sessions::expectations::Assessment;
use mqtt_sessions::packet::Protocol;
use mqtt_sessions::report::Told;
use mqtt_sessions::results::{
    AttemptRun, Axes, AxisValue, BrokerLabel, CellResult, CellRun, Evidence, Kept, Level, Options, Phase, Received,
    Results, Run, Summary, Verdict, Violation,
};

pub const MESSAGES: u32 = 3;

/// What shows each violation.
const EVENTS: [&str; 2] =
    ["12.3 publisher#1 <- PUBACK id=3", "14.0 subscriber#2 <- CONNACK session_present=1 code=0x00"];

/// Nothing is known to fail.
static NOTHING: LazyLock<Assessment> = LazyLock::new(Assessment::default);

/// Results by themselves, without lessons, known deviations or a baseline.
pub fn told(results: &Results) -> Told<'_> {
    Told { results, teachings: &[], known: &NOTHING, comparison: None }
}

/// All 144 cells of a broker that keeps every promise and drops what has QoS 0.
pub fn matrix() -> Results {
    let mut cells = Vec::new();
    for protocol in ["3.1.1", "5.0"] {
        for clean in [false, true] {
            for (publish, subscribe) in (0..3).flat_map(|publish| (0..3).map(move |subscribe| (publish, subscribe))) {
                for (retain, resubscribe) in [(false, false), (false, true), (true, false), (true, true)] {
                    cells.push(matrix_cell(protocol, clean, [publish, subscribe], retain, resubscribe));
                }
            }
        }
    }
    results(cells)
}

/// A results file around these cells, against a broker at a URL.
pub fn results(mut cells: Vec<CellResult>) -> Results {
    cells.sort_by(|left, right| left.id.cmp(&right.id));
    let runs = cells.iter().map(|cell| (cell.id.clone(), tried(&[&[]])));
    Results {
        format: Default::default(),
        tool: Default::default(),
        broker: BrokerLabel { name: Some("example".into()), version: Some("1.2".into()), how: "url".into() },
        options: Options { messages: MESSAGES, queue_limit: None, durable: None },
        run: Run {
            started_at: "2030-01-02T03:04:05Z".into(),
            prefix: "ms1a2b".into(),
            duration_ms: 160,
            host: "linux x86_64".into(),
            url: "mqtt://127.0.0.1:1883".into(),
            settle_ms: 100,
            reached_with: Vec::new(),
            scenario_files: BTreeMap::new(),
            scenarios: BTreeMap::new(),
            partition: None,
            complete: true,
            cut_short: None,
            planned: cells.len() as u32,
            kept: Kept::All,
            cleanup: "ended".into(),
            helpers: Default::default(),
            cells: runs.collect(),
        },
        summary: Summary::of(&cells),
        broker_findings: Default::default(),
        cells,
    }
}

fn matrix_cell(
    protocol: &str,
    clean: bool,
    [publish, subscribe]: [u32; 2],
    retain: bool,
    resubscribe: bool,
) -> CellResult {
    let axes = [
        ("protocol", AxisValue::Text(protocol.into())),
        ("clean_session", AxisValue::Bool(clean)),
        ("publish_qos", AxisValue::Number(publish)),
        ("subscribe_qos", AxisValue::Number(subscribe)),
        ("retain", AxisValue::Bool(retain)),
        ("resubscribe", AxisValue::Bool(resubscribe)),
    ];
    let mut cell = cell("matrix", &axes);
    let qos = publish.min(subscribe);
    if !clean && qos > 0 {
        cell.received.extend((1..=MESSAGES).map(|seq| copy(Phase::Resumed, seq, qos, false)));
    }
    if retain && resubscribe {
        cell.received.push(copy(Phase::Resubscribed, MESSAGES, qos, true));
        if publish == 0 {
            cell.choices.insert("retained_qos0".into(), "kept".into());
        }
    }
    if !clean && qos == 0 {
        let name = match (publish, subscribe) {
            (0, 0) => "qos0_both_while_away",
            (0, _) => "qos0_publication_while_away",
            _ => "qos0_subscription_while_away",
        };
        cell.choices.insert(name.into(), "dropped".into());
    }
    cell.session_present = Some(!clean);
    cell.granted_qos = u8::try_from(subscribe).ok();
    cell
}

/// A cell that passed and in which nothing arrived.
pub fn cell(scenario: &str, axes: &[(&str, AxisValue)]) -> CellResult {
    let values: Vec<String> = axes.iter().map(|(axis, value)| format!("{axis}={value}")).collect();
    CellResult {
        id: format!("{scenario}[{}]", values.join(",")),
        scenario: scenario.into(),
        axes: Axes(axes.iter().map(|(axis, value)| ((*axis).into(), value.clone())).collect()),
        verdict: Verdict::Pass,
        reason: None,
        sent: MESSAGES,
        sent_to: BTreeMap::from([("t".into(), MESSAGES)]),
        published: MESSAGES,
        session_present: Some(true),
        granted_qos: Some(1),
        regranted_qos: None,
        received: Vec::new(),
        choices: BTreeMap::new(),
        violations: Vec::new(),
    }
}

/// A cell's run with an attempt for each of these histories.
pub fn tried(histories: &[&[&str]]) -> CellRun {
    let attempt = |(number, history): (usize, &&[&str])| AttemptRun {
        names: BTreeMap::from([("subscriber".into(), format!("ms1a2b{number}"))]),
        history: history.iter().map(|line| (*line).into()).collect(),
        ..AttemptRun::default()
    };
    let mut run =
        CellRun { duration_ms: 7, attempts: (1..).zip(histories).map(attempt).collect(), ..CellRun::default() };
    run.rest_on(histories.len(), Vec::new());
    run
}

pub fn copy(phase: Phase, seq: u32, qos: u32, retain: bool) -> Received {
    let connection = if phase == Phase::Again { 3 } else { 2 };
    let (client, topic, step, qos) = ("subscriber".into(), "t".into(), 7, qos as u8);
    Received {
        client,
        connection,
        topic,
        phase,
        step,
        seq: Some(seq),
        qos,
        retain,
        dup: false,
        complete: true,
        late: false,
    }
}

/// Bends the cells whose id has all of these parts, and sums up anew. Each violation gets the same two events.
pub fn bend(results: &mut Results, parts: &[&str], how: impl Fn(&mut CellResult)) {
    let mut count = 0;
    for cell in results.cells.iter_mut().filter(|cell| parts.iter().all(|part| cell.id.contains(part))) {
        how(cell);
        count += 1;
        if !cell.violations.is_empty() {
            let mut run = tried(&[&EVENTS]);
            let evidence = |violation| Evidence {
                violation,
                attempt: run.attempts.len(),
                events: (1..=EVENTS.len()).collect(),
                milliseconds: None,
            };
            run.evidence = (0..cell.violations.len()).map(evidence).collect();
            results.run.cells.insert(cell.id.clone(), run);
        }
    }
    assert!(count > 0, "no cell has {parts:?}");
    results.summary = Summary::of(&results.cells);
}

/// Keeps the cells whose id has one of these parts.
pub fn keep(results: &mut Results, parts: &[&str]) {
    results.cells.retain(|cell| parts.iter().any(|part| cell.id.contains(part)));
    results.summary = Summary::of(&results.cells);
}

/// The messages that were queued are lost.
pub fn lose(cell: &mut CellResult) {
    cell.received.retain(|copy| copy.retain);
    let (protocol, statement) = match cell.axes.get("protocol") {
        Some(AxisValue::Text(protocol)) if protocol == "5.0" => (Protocol::V5, "MQTT-4.5.0-1"),
        _ => (Protocol::V3, "MQTT-3.1.2-5"),
    };
    cell.verdict = Verdict::Fail;
    cell.reason = Some("messages 1 to 3 never arrived".into());
    cell.violations.push(Violation {
        protocol,
        statement: statement.into(),
        level: Level::Must,
        expected: "messages 1 to 3 at the lower QoS of publication and subscription, before the fence".into(),
        observed: "none of them; the fence of the same publisher, topic and QoS arrived".into(),
    });
}
