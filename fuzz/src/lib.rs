//! What must hold for any bytes at all, once for the fuzzer and once for `cargo test`, which replays the corpus.
//!
//! Each function takes what may come from outside: a broker's bytes, a scenario file, a results file. It panics where
//! the program would.

use std::collections::BTreeMap;

use mqtt_sessions::connection::decode::decode;
use mqtt_sessions::connection::encode::encode;
use mqtt_sessions::connection::frame::{FRAME_BYTES_MAX, Head, head};
use mqtt_sessions::history::{Event, History};
use mqtt_sessions::judge::judge_again;
use mqtt_sessions::packet::{Packet, Protocol};
use mqtt_sessions::plan::{self, Settings};
use mqtt_sessions::results::{AttemptRun, Axes, CellResult, CellRun, Options, Results, Verdict};
use mqtt_sessions::scenario::Scenario;

/// The most cells that are planned for one input.
const CELLS_MAX: usize = 500;

/// What a broker sends: it is cut into frames, and what is a packet survives being written and read again, both as
/// bytes and as a line of a history.
pub fn packet(bytes: &[u8]) {
    for protocol in Protocol::ALL {
        let mut rest = bytes;
        while let Head::Frame(length) = head(rest, FRAME_BYTES_MAX) {
            assert!((2..=rest.len()).contains(&length), "a frame of {length} of {} bytes", rest.len());
            let Ok(packet) = decode(protocol, &rest[..length]) else { break };
            written_and_read_again(protocol, &packet);
            is_a_line(packet);
            rest = &rest[length..];
        }
    }
}

fn written_and_read_again(protocol: Protocol, packet: &Packet) {
    // 3.1.1 has no reason code for DISCONNECT; one that comes all the same is read, and never written.
    if protocol == Protocol::V3 && matches!(packet, Packet::Disconnect { reason: 1.., .. }) {
        return;
    }
    let mut frame = Vec::new();
    match encode(protocol, packet, &mut frame) {
        Ok(()) => {
            assert_eq!(
                head(&frame, FRAME_BYTES_MAX),
                Head::Frame(frame.len()),
                "{protocol} {packet:?} as {frame:02x?}"
            );
            assert_eq!(decode(protocol, &frame).as_ref(), Ok(packet), "{protocol} {frame:02x?}");
        }
        Err(_) => assert!(frame.is_empty(), "{protocol} {packet:?} was half written"),
    }
}

fn is_a_line(mut packet: Packet) {
    // Credentials are never part of the text form.
    if let Packet::Connect(connect) = &mut packet {
        connect.login = None;
    }
    let history = History::of([Event::Received("client".into(), packet)]);
    let line = history.lines().concat();
    assert_eq!(History::parse([line.as_str()]), Ok(history), "{line}");
}

/// A scenario file: it is refused in words, or all its cells can be planned.
pub fn scenario(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match Scenario::parse("fuzzed.toml", text) {
        Ok(scenario) => {
            let count: usize = scenario.axes.iter().map(|axis| axis.values.len()).product();
            if count <= CELLS_MAX {
                let cells = plan::cells(&scenario, Settings::of(3));
                let excepts = scenario.parts.iter().any(|part| !part.except.is_empty());
                assert!(cells.len() == count || excepts && cells.len() < count, "{} of {count}", cells.len());
                for cell in &cells {
                    (0..cell.steps.len()).for_each(|step| assert!(!cell.step_line(step).is_empty()));
                }
            }
        }
        Err(error) => {
            let lines = text.lines().count().max(1) + 1;
            assert!(error.line.is_none_or(|line| (1..=lines).contains(&line)), "{error}");
        }
    }
}

/// A results file: it is refused in words, or written as it was read, and its histories can be judged again. And lines
/// of a history: each is refused in words or written again, and what is one can be judged.
pub fn results(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(results) = Results::parse("fuzzed.json", text) {
        let again = results.to_json();
        assert_eq!(Results::parse("again.json", &again).as_ref().ok(), Some(&results));
        let run = |cell: &CellResult| results.run.cells.get(&cell.id).cloned().unwrap_or_default();
        results.cells.iter().for_each(|cell| judged(cell, &run(cell), &results.options));
    }
    let events = text.lines().filter_map(|line| History::parse([line]).ok()).flat_map(|history| history.entries);
    let history = History { entries: events.collect() };
    let lines = history.lines();
    assert_eq!(History::parse(lines.iter().map(String::as_str)), Ok(history));
    let attempts = vec![AttemptRun { history: lines, ..AttemptRun::default() }];
    let run = CellRun { attempts, ..CellRun::default() };
    judged(&cell(), &run, &Options { messages: 3, queue_limit: Some(2), durable: None });
}

/// Where a history can be judged, judging it once more says the same.
fn judged(cell: &CellResult, run: &CellRun, options: &Options) {
    if let Ok(Some(once)) = judge_again(cell, run, options) {
        let twice = judge_again(&once.result, run, options);
        assert_eq!(twice, Ok(Some(once)));
    }
}

/// A cell of which nothing is known.
fn cell() -> CellResult {
    CellResult {
        id: "fuzzed[]".into(),
        scenario: "fuzzed".into(),
        axes: Axes::default(),
        verdict: Verdict::Pass,
        reason: None,
        sent: 0,
        sent_to: BTreeMap::new(),
        published: 0,
        session_present: None,
        granted_qos: None,
        regranted_qos: None,
        received: Vec::new(),
        choices: BTreeMap::new(),
        violations: Vec::new(),
    }
}
