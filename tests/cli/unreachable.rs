//! Brokers that cannot be measured: one sentence, exit code 2, nothing on stdout.

use std::net::TcpListener;

use crate::peers::{answering, correct, listener, url, wait_for_end};
use crate::program::{matrix, run};

#[test]
fn nothing_listens() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    run(matrix(&url(address), &[])).gave_up(2, &[&url(address), "nothing listens there", "check host and port"]);
}

#[test]
fn a_name_that_does_not_resolve() {
    let ended = run(matrix("mqtt://no-such-host.invalid", &[]));
    ended.gave_up(2, &["no-such-host.invalid", "cannot be resolved", "check its spelling"]);
}

#[test]
fn credentials_that_are_missing_or_wrong() {
    let refusals: [&[u8]; 3] = [&[0x20, 2, 0, 5], &[0x20, 2, 0, 4], &[0x20, 3, 0, 0x86, 0]];
    for (bytes, said) in refusals.into_iter().zip([
        "0x05 (not authorized)",
        "0x04 (bad user name or password)",
        "0x86 (bad user name or password)",
    ]) {
        let broker = answering(bytes, true);
        run(matrix(&broker, &[])).gave_up(2, &["CONNACK", said, "give --username and MQTT_SESSIONS_PASSWORD"]);
        let with_login = ["--username", "me", "--password", "wrong"];
        run(matrix(&broker, &with_login)).gave_up(2, &["CONNACK", said, "check user name and password"]);
    }
}

#[test]
fn a_client_that_is_not_let_in() {
    let broker = answering(&[0x20, 2, 0, 3], true);
    run(matrix(&broker, &[])).gave_up(2, &["CONNACK 0x03 (server unavailable)", "see its log"]);
}

#[test]
fn an_identifier_that_is_not_accepted() {
    let broker = answering(&[0x20, 2, 0, 2], true);
    run(matrix(&broker, &[]))
        .gave_up(2, &["CONNACK 0x02 (client identifier not valid)", "give --client-id-prefix with"]);
}

#[test]
fn a_user_name_that_no_connect_can_carry() {
    let name = "x".repeat(70_000);
    run(matrix(&correct(), &["--username", &name]))
        .gave_up(2, &["the CONNECT ", "give a shorter user name or password"]);
}

#[test]
fn no_answer() {
    let broker = listener(wait_for_end);
    let ended = run(matrix(&broker, &["--connect-timeout", "300ms"]));
    ended.gave_up(2, &["no answer to CONNECT within 0.3 s", "give the port of MQTT over TCP"]);
}

#[test]
fn closes_at_once() {
    let broker = listener(drop);
    // Whether the CONNECT is still on its way when the connection ends decides between FIN and reset.
    run(matrix(&broker, &[])).gave_up(2, &["without a CONNACK", "give the port of MQTT over TCP"]);
}

#[test]
fn closes_during_connack() {
    let broker = answering(&[0x20, 2, 0], true);
    run(matrix(&broker, &[])).gave_up(2, &["no MQTT packet", "cut off by the end of the connection: 20 02 00"]);
}

#[test]
fn stops_during_connack() {
    let broker = answering(&[0x20, 2, 0], false);
    let ended = run(matrix(&broker, &["--connect-timeout", "300ms"]));
    ended.gave_up(2, &["is still incomplete after 0.3 s: 20 02 00", "usually 1883"]);
}

#[test]
fn both_versions_refused_is_measured_and_unsupported() {
    let broker = answering(&[0x20, 2, 0, 1], true);
    let ended = run(matrix(&broker, &["--export-json", "-"]));
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    assert_eq!(ended.results().summary.unsupported, 144);
}

#[test]
fn commands_that_reach_a_broker_say_the_same() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for command in [vec!["run", "backlog"], vec!["clean", "--prefix", "p"]] {
        let mut program = crate::program::program(command);
        program.args(["--broker", &url(address)]);
        run(program).gave_up(2, &["nothing listens there", "check host and port"]);
    }
}
