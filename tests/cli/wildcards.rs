//! Brokers that grant no filter with a wildcard: each cell has its witness all the same, and the verdicts are those of any other
//! broker.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use mqtt_sessions::packet::{Packet, Protocol};
use mqtt_sessions::results::Verdict;

use crate::peers::assert_nothing_left;
use crate::program::{each_cell, program, run};
use crate::proxy::{Fate, proxy};
use crate::rights::suback;
use test_broker::{Broker, Choices};

/// How a broker answers a SUBSCRIBE with a wildcard.
type Treats = fn(Protocol, &Packet) -> Fate;

/// A broker that breaks the connection on which it is asked for a wildcard.
fn closes(_: Protocol, _: &Packet) -> Fate {
    Fate::Close
}

#[track_caller]
fn judged_as_usual(broker: &Broker, url: &str, is_checked: bool) {
    for scenario in [&["matrix", "--filter=publish_qos=1"][..], &["run", "cuts", "--filter=qos=1"]] {
        let arguments = [scenario, &["--broker", url, "--histories", "all", "--export-json", "-"]].concat();
        let ended = run(program(arguments));
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        assert!(!ended.stderr.contains("witness") && !ended.stderr.contains("warning"), "{}", ended.stderr);
        let is_checked = is_checked || scenario[0] != "matrix";
        assert_eq!(ended.stderr.contains("checked that none of them is left"), is_checked, "{}", ended.stderr);
        let results = ended.results();
        assert!(results.broker_findings.violations.is_empty(), "{:?}", results.broker_findings);
        for cell in each_cell(&results, |_| Verdict::Pass) {
            let attempts = &results.run.cells[&cell.id].attempts;
            let seen = |line: &String| line.contains(" witness#") && line.contains(" <- PUBLISH ");
            assert!(attempts.iter().all(|attempt| attempt.history.iter().any(seen)), "{}: {attempts:#?}", cell.id);
        }
        assert_nothing_left(broker);
    }
}

/// 5.0 announces it, and then whoever sends a wildcard breaks the protocol (section 3.2.2.3.11). 3.1.1 has no word for it.
#[test]
fn a_wildcard_that_is_announced_as_not_available() {
    let broker = Broker::choosing(Choices { wildcards: false, ..Choices::default() });
    let sent: Arc<AtomicBool> = Arc::default();
    let noticed = sent.clone();
    let guarded = proxy(&broker, move |protocol, packet| {
        let has_wildcard = matches!(packet, Packet::Subscribe(own) if own.filters[0].filter.ends_with('#'));
        noticed.fetch_or(has_wildcard && protocol == Protocol::V5, SeqCst);
        Fate::Pass
    });
    judged_as_usual(&broker, &guarded, true);
    assert!(!sent.load(SeqCst));
}

#[test]
fn a_wildcard_that_is_refused() {
    for (treats, is_checked) in [(suback as Treats, true), (closes, false)] {
        let broker = Broker::correct();
        let url = proxy(&broker, move |protocol, packet| match packet {
            Packet::Subscribe(subscribe) if subscribe.filters[0].filter.ends_with('#') => treats(protocol, packet),
            _ => Fate::Pass,
        });
        judged_as_usual(&broker, &url, is_checked);
    }
}
