//! The same promises over each transport, and how each ends a connection.

use std::process::Command;

use mqtt_sessions::results::Verdict;

use crate::certificates::{Authority, hand_made};
use crate::peers::serve;
use crate::program::{Ended, QUEUED, each_cell, program, run};
use crate::relays::{Relay, unix};
use test_broker::Broker;

/// The broker behind each transport: its URL, and the options that belong to it.
fn each_transport(broker: &Broker, authority: &Authority) -> Vec<(&'static str, Vec<String>)> {
    let address = serve(broker);
    let config = authority.identity("localhost").server();
    let tls = Relay::tls(config.clone());
    let wss = Relay { websocket: true, ..Relay::tls(config) };
    let ws = Relay { websocket: true, ..Relay::default() };
    let path = authority.write("socket", &[]);
    std::fs::remove_file(&path).unwrap();
    unix(path.clone().into(), address);
    let cafile = || vec!["--cafile".to_owned(), authority.cafile()];
    let at = |scheme: &str, port: u16| format!("{scheme}://localhost:{port}");
    vec![
        ("close_notify", [vec![at("mqtts", tls.before(address))], cafile()].concat()),
        ("close 1000", vec![at("ws", ws.before(address))]),
        ("close 1000", [vec![at("wss", wss.before(address))], cafile()].concat()),
        ("fin", vec![format!("unix:{path}")]),
    ]
}

fn command(words: &[&str], broker: &[String], more: &[&str]) -> Command {
    let mut command = program(words);
    command.arg("--broker").args(broker).args(more);
    command
}

#[test]
fn the_matrix_is_the_same_over_each() {
    let authority = Authority::new();
    for (end, broker) in each_transport(&Broker::correct(), &authority) {
        let ended = run(command(&["matrix"], &broker, &["--histories", "all", "--export-json", "-"]));
        assert_eq!(ended.code, Some(0), "{broker:?}: {}", ended.stderr);
        assert_eq!(ended.results().summary.pass, 144, "{broker:?}: {}", ended.stderr);
        assert!(ended.stdout.contains(&format!("<- end {end}\"")), "{broker:?}: no end {end}");
    }
}

#[test]
fn what_breaks_a_connection_breaks_it_on_each() {
    let authority = Authority::new();
    for (_, broker) in each_transport(&Broker::correct(), &authority) {
        let filters = ["--filter", "protocol=5.0", "--export-json", "-"];
        for scenario in ["cuts", "takeover_wills"] {
            let ended = run(command(&["run", scenario], &broker, &filters));
            let results = ended.results();
            each_cell(&results, |_| Verdict::Pass);
            assert!(!results.cells.is_empty());
        }
    }
}

#[test]
fn the_command_that_cleans_up_reaches_the_same_broker() {
    let authority = Authority::new();
    let broker = Broker::correct();
    for (_, place) in each_transport(&broker, &authority) {
        let Ended { stderr, .. } = run(command(&["matrix"], &place, &QUEUED));
        let typed = stderr.split('`').nth(1).unwrap_or_else(|| panic!("{stderr}"));
        let ended = run(program(typed.split(' ').skip(1)));
        assert_eq!(ended.code, Some(0), "{typed}: {}", ended.stderr);
    }
}

#[test]
fn the_url_may_stand_alone() {
    let address = serve(&Broker::correct());
    for url in [format!("mqtt://{address}"), format!("tcp://{address}"), address.to_string()] {
        let mut command = program(["matrix", &url]);
        command.args(QUEUED);
        let ended = run(command);
        assert_eq!(ended.code, Some(0), "{url}: {}", ended.stderr);
        // What the environment says is for those who type nothing.
        let mut command = program(["matrix", &url]);
        command.args(QUEUED).env("MQTT_SESSIONS_BROKER", "mqtt://no-such-host.invalid");
        assert_eq!(run(command).code, Some(0), "{url}");
    }
    let address = address.to_string();
    let mut short = program(["matrix", "-b", &address, "-u", "me", "-P", "secret"]);
    short.args(QUEUED);
    assert_eq!(run(short).code, Some(0));
    let both = run(program(["matrix", "--broker", &address, &address]));
    both.gave_up(2, &["a broker stands behind --broker", "name one"]);
}

#[test]
fn whoever_answers_is_trusted_if_the_user_says_so() {
    let broker = serve(&Broker::correct());
    let port = Relay::tls(Authority::new().expired("elsewhere").server()).before(broker);
    let ended =
        run(command(&["matrix"], &[format!("mqtts://localhost:{port}")], &[&["--insecure"], &QUEUED[..]].concat()));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let warning = format!("warning: --insecure: whoever answers at mqtts://localhost:{port} is trusted");
    assert_eq!(ended.stderr.matches(&warning).count(), 1, "{}", ended.stderr);
}

#[test]
fn a_hand_made_certificate_is_trusted_by_its_file() {
    let identity = hand_made("localhost");
    let port = Relay::tls(identity.server()).before(serve(&Broker::correct()));
    let authority = Authority::new();
    let [cert, _] = authority.files(&identity, "hand-made");
    let url = |host: &str| [format!("mqtts://{host}:{port}")];
    let with_file = [&["--cafile", &cert], &QUEUED[..]].concat();
    let ended = run(command(&["matrix"], &url("localhost"), &with_file));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    run(command(&["matrix"], &url("127.0.0.1"), &with_file)).gave_up(2, &["is for localhost, not for 127.0.0.1"]);
    let other = authority.cafile();
    let ended = run(command(&["matrix"], &url("localhost"), &["--cafile", &other]));
    ended.gave_up(2, &["that of an authority, CA:TRUE", "--cafile FILE"]);
}
