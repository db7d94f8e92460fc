//! Brokers that end or break something in the middle of a run. It is never their fault that the evidence is missing,
//! and the cells that had it keep their verdict.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use mqtt_sessions::packet::{Packet, Protocol};
use mqtt_sessions::results::Verdict;

use crate::program::{QUEUED, each_cell, matrix, run};
use crate::proxy::{Afterwards, Fate, is_experiment, proxy};
use test_broker::{Broker, Defect};

/// The broker dies when it has seen so many packets.
fn dies_after(broker: &Broker, packets: usize, afterwards: Afterwards) -> String {
    let seen = AtomicUsize::new(0);
    proxy(broker, move |_, _| match seen.fetch_add(1, SeqCst) {
        count if count >= packets => Fate::Die(afterwards),
        _ => Fate::Pass,
    })
}

#[test]
fn the_broker_dies_in_the_middle() {
    for afterwards in [Afterwards::Refuse, Afterwards::AcceptAndClose] {
        let broker = dies_after(&Broker::correct(), 200, afterwards);
        let ended = run(matrix(&broker, &["--export-json", "-", "--deadline", "1s"]));
        let results = ended.results();
        assert_eq!(ended.code, Some(3), "{}", ended.stderr);
        // What is there was finished before; the rest was not tried against nothing.
        assert!(results.cells.len() < 144 && results.summary.fail == 0, "{}", ended.stderr);
        ended.complained(&["the broker is gone", "these cells were under way: matrix["]);
        assert!(ended.stderr.contains("may be left"), "{}", ended.stderr);
        let again = format!(
            "`mqtt-sessions clean --broker {broker} --deadline 1s --prefix {} matrix` ends them",
            results.run.prefix
        );
        assert!(ended.stderr.contains(&again), "{}", ended.stderr);
    }
}

#[test]
fn what_failed_before_the_broker_died_has_failed() {
    let broker = dies_after(&Broker::lying(Defect::named("session-present-0").unwrap()), 150, Afterwards::Refuse);
    let options =
        ["--filter=clean_session=false", "--filter=publish_qos=1", "--jobs=1", "--deadline=1s", "--patience=1s"];
    let ended = run(matrix(&broker, &options));
    assert_eq!(ended.code, Some(1), "{}{}", ended.stdout, ended.stderr);
    let last = ended.stdout.trim_end().lines().last().unwrap();
    assert!(last.contains(" of 24 cells, the broker was gone: ") && last.contains(" fail"), "{last}");
}

#[test]
fn what_was_finished_before_stays() {
    // One cell after the other: those of 5.0 come last.
    let broker = proxy(&Broker::correct(), |protocol, packet| match (protocol, packet) {
        (Protocol::V5, Packet::Subscribe(subscribe)) if is_experiment(&subscribe.filters[0].filter) => {
            Fate::Die(Afterwards::Refuse)
        }
        _ => Fate::Pass,
    });
    let ended = run(matrix(&broker, &[&QUEUED[..], &["--export-json", "-", "--jobs", "1"]].concat()));
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    // What is inconclusive is tried once more, and by then nobody listens.
    each_cell(&ended.results(), |cell| match cell.id.contains("3.1.1") {
        true => Verdict::Pass,
        false => Verdict::Error,
    });
}

#[test]
fn packets_that_are_cut_in_half_or_no_packets() {
    let answers: [&[u8]; 4] = [&[0x90, 30, 0], &[0xff; 8], &[0x30, 0xff, 0xff, 0xff, 0x7f], b"HTTP/1.1 200 OK\r\n\r\n"];
    for answer in answers {
        let broker = proxy(&Broker::correct(), move |protocol, packet| match (protocol, packet) {
            (Protocol::V5, Packet::Subscribe(subscribe)) if is_experiment(&subscribe.filters[0].filter) => {
                Fate::Answer(answer.into())
            }
            _ => Fate::Pass,
        });
        let ended = run(matrix(&broker, &[&QUEUED[..], &["--export-json", "-", "--deadline", "300ms"]].concat()));
        // No statement names such bytes, so nothing fails by them, and nothing passes.
        assert!(matches!(ended.code, Some(0 | 3)), "{}", ended.stderr);
        for cell in &ended.results().cells {
            let passes = cell.verdict == Verdict::Pass;
            assert_eq!(passes, cell.id.contains("3.1.1"), "{cell:?}");
            assert!(passes || matches!(cell.verdict, Verdict::Warn | Verdict::Inconclusive), "{cell:?}");
        }
    }
}

#[test]
fn garbage_to_one_version_takes_only_its_cells_down() {
    let broker = proxy(&Broker::correct(), |protocol, packet| match (protocol, packet) {
        (Protocol::V5, Packet::Connect(_)) => Fate::Answer(vec![0; 16]),
        _ => Fate::Pass,
    });
    let ended = run(matrix(&broker, &[&QUEUED[..], &["--export-json", "-"]].concat()));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    each_cell(&ended.results(), |cell| match cell.id.contains("3.1.1") {
        true => Verdict::Pass,
        false => Verdict::Warn,
    });
}
