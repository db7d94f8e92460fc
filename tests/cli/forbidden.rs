//! Brokers that do not let the client do what the experiment needs.

use std::io::Write;

use mqtt_sessions::packet::{Packet, Protocol};
use mqtt_sessions::results::{CellResult, Results, Verdict};

use crate::program::{Ended, each_cell, matrix, program, run};
use crate::proxy::{Fate, Parting, is_experiment, proxy};
use test_broker::Broker;

/// The cells with a stored session and without a second SUBSCRIBE: all combinations of QoS and RETAIN.
fn measured(decide: impl Fn(Protocol, &Packet) -> Fate + Send + Sync + 'static) -> (Ended, Results) {
    let broker = proxy(&Broker::correct(), decide);
    let cells = ["--filter", "clean_session=false", "--filter", "resubscribe=false", "--export-json", "-"];
    let ended = run(matrix(&broker, &cells));
    let results = ended.results();
    assert_eq!(results.cells.len(), 36);
    (ended, results)
}

fn has(cell: &CellResult, axis: &str, value: &str) -> bool {
    cell.axes.get(axis).is_some_and(|found| found.to_string() == value)
}

#[test]
fn suback_0x80() {
    let (ended, results) = measured(|protocol, packet| match packet {
        Packet::Subscribe(subscribe) if is_experiment(&subscribe.filters[0].filter) => {
            let [high, low] = subscribe.id.to_be_bytes();
            Fate::Answer(match protocol {
                Protocol::V3 => vec![0x90, 3, high, low, 0x80],
                Protocol::V5 => vec![0x90, 4, high, low, 0, 0x87],
            })
        }
        _ => Fate::Pass,
    });
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    for cell in each_cell(&results, |_| Verdict::Unsupported) {
        let code = if has(cell, "protocol", "5.0") { "SUBACK 0x87" } else { "SUBACK 0x80" };
        assert!(cell.reason.as_ref().unwrap().contains(code), "{:?}", cell.reason);
    }
}

#[test]
fn puback_0x87() {
    let (ended, results) = measured(|protocol, packet| match packet {
        Packet::Publish(publish) if protocol == Protocol::V5 && publish.qos == 1 && is_experiment(&publish.topic) => {
            let [high, low] = publish.id.to_be_bytes();
            Fate::Answer(vec![0x40, 3, high, low, 0x87])
        }
        _ => Fate::Pass,
    });
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    for cell in each_cell(&results, |cell| match has(cell, "protocol", "5.0") && has(cell, "publish_qos", "1") {
        true => Verdict::Unsupported,
        false => Verdict::Pass,
    }) {
        let said = cell.reason.as_deref().unwrap_or("PUBACK 0x87");
        assert!(said.contains("PUBACK 0x87"), "{said}");
    }
}

#[test]
fn a_close_on_every_publish() {
    let (ended, results) = measured(|_, packet| match packet {
        Packet::Publish(publish) if is_experiment(&publish.topic) => Fate::Close,
        _ => Fate::Pass,
    });
    // The control without the feature is refused too, so nothing can be said about the feature. In 5.0 a server that closes
    // without a reason is odd.
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    each_cell(&results, |cell| if has(cell, "protocol", "5.0") { Verdict::Warn } else { Verdict::Inconclusive });
}

#[test]
fn a_close_on_subscribe() {
    let (ended, results) = measured(|_, packet| match packet {
        Packet::Subscribe(subscribe) if is_experiment(&subscribe.filters[0].filter) => Fate::Close,
        _ => Fate::Pass,
    });
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    each_cell(&results, |_| Verdict::Warn);
}

/// A broker that is too busy, or sends what nobody can read, has forbidden nothing.
#[test]
fn an_end_that_has_nothing_to_do_with_rights() {
    let endless = [0x30, 0xff, 0xff, 0xff, 0x7f, 0, 1, b't'];
    for answer in [vec![0xe0, 1, 0x89], endless.to_vec()] {
        let broker = proxy(&Broker::correct(), move |_, packet| match packet {
            Packet::Subscribe(_) => {
                let answer = answer.clone();
                Fate::HandOver(Box::new(move |client| {
                    let _ = client.write_all(&answer);
                    Parting::Fin
                }))
            }
            _ => Fate::Pass,
        });
        let cells =
            ["--filter=protocol=5.0", "--filter=clean_session=false", "--filter=publish_qos=1", "--export-json=-"];
        let ended = run(matrix(&broker, &cells));
        assert!(!ended.stderr.contains("not authorised"), "{}", ended.stderr);
        assert!(!ended.results().cells.is_empty());
    }
}

#[test]
fn a_close_on_retain() {
    let (ended, results) = measured(|_, packet| match packet {
        Packet::Publish(publish) if publish.retain => Fate::Close,
        _ => Fate::Pass,
    });
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    each_cell(&results, |cell| match (has(cell, "retain", "true"), has(cell, "protocol", "5.0")) {
        (true, true) => Verdict::Warn,
        (true, false) => Verdict::Unsupported,
        (false, _) => Verdict::Pass,
    });
    // Where nothing can be retained nothing is left, and the clean-up knows it.
    assert!(!ended.stderr.contains("may be left"), "{}", ended.stderr);
}

#[test]
fn a_close_on_qos_2() {
    let (ended, results) = measured(|_, packet| match packet {
        Packet::Publish(publish) if publish.qos == 2 => Fate::Close,
        _ => Fate::Pass,
    });
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    for cell in each_cell(&results, |cell| match (has(cell, "publish_qos", "2"), has(cell, "protocol", "5.0")) {
        (true, true) => Verdict::Fail,
        (true, false) => Verdict::Unsupported,
        (false, _) => Verdict::Pass,
    }) {
        let cited: Vec<&str> = cell.violations.iter().map(|violation| violation.statement.as_str()).collect();
        assert!(cited.is_empty() || cited == ["MQTT-3.2.2-9"], "{}: {cited:?}", cell.id);
    }
}

/// In 3.1.1 a broker can only close on a CONNECT whose will it does not take.
#[test]
fn a_will_that_is_closed_on_is_unsupported() {
    let url = proxy(&Broker::correct(), |_, packet| match packet {
        Packet::Connect(connect) if connect.will.as_ref().is_some_and(|will| will.qos == 2) => Fate::Close,
        _ => Fate::Pass,
    });
    let arguments =
        ["run", "wills", "--broker", &url, "--filter=ending=fin", "--filter=will_retain=false", "--export-json=-"];
    let results = run(program(arguments)).results();
    assert_eq!(results.cells.len(), 4);
    for cell in &results.cells {
        let is_refused = has(cell, "will_qos", "2");
        assert_eq!(cell.verdict, if is_refused { Verdict::Unsupported } else { Verdict::Pass }, "{}", cell.id);
        assert!(!is_refused || cell.reason.as_ref().unwrap().contains("a will at QoS 2"), "{:?}", cell.reason);
    }
}
