//! Credentials reach the broker, and nobody else.

use std::process::Command;
use std::sync::{Arc, Mutex};

use mqtt_sessions::connection::encode::encode;
use mqtt_sessions::packet::{Login, Packet, Protocol, Publish};

use crate::peers::{answering, listener};
use crate::program::{QUEUED, matrix, program, run};
use crate::proxy::{Fate, is_experiment, proxy};
use crate::support::broker::Broker;

const USER: &str = "hidden-user";
const PASSWORD: &str = "hidden-pw";

#[track_caller]
fn assert_hidden(command: Command) -> i32 {
    let typed = format!("{command:?}");
    let ended = run(command);
    for (place, text) in [("stdout", &ended.stdout), ("stderr", &ended.stderr)] {
        assert!(!text.contains("hidden"), "{place} of {typed} has it: {text}");
    }
    ended.code.unwrap()
}

/// The three ways to give a login, for the broker behind a URL.
fn three_ways(url: &str) -> [Command; 3] {
    let rest = url.strip_prefix("mqtt://").unwrap();
    let in_url = matrix(&format!("mqtt://{USER}:{PASSWORD}@{rest}"), &QUEUED);
    let mut in_options = matrix(url, &QUEUED);
    in_options.args(["--username", USER, "--password", PASSWORD]);
    let mut in_environment = program([&["matrix"], &QUEUED[..]].concat());
    in_environment.env("MQTT_SESSIONS_BROKER", url);
    in_environment.env("MQTT_SESSIONS_USERNAME", USER).env("MQTT_SESSIONS_PASSWORD", PASSWORD);
    [in_url, in_options, in_environment]
}

#[test]
fn a_login_is_sent_and_shown_to_nobody() {
    let seen: Arc<Mutex<Vec<Option<Login>>>> = Arc::default();
    let broker = proxy(&Broker::correct(), {
        let seen = seen.clone();
        move |_, packet| {
            if let Packet::Connect(connect) = packet {
                seen.lock().unwrap().push(connect.login.clone());
            }
            Fate::Pass
        }
    });
    for mut command in three_ways(&broker) {
        command.args(["--histories", "all", "--export-json", "-"]);
        assert_eq!(assert_hidden(command), 0);
        let logins = std::mem::take(&mut *seen.lock().unwrap());
        let right = Some(Login { user: USER.into(), password: PASSWORD.into() });
        assert!(logins.len() > 8 && logins.iter().all(|login| *login == right), "{logins:?}");
    }
}

#[test]
fn a_login_is_not_shown_when_it_is_refused() {
    let broker = answering(&[0x20, 2, 0, 5], true);
    for command in three_ways(&broker) {
        assert_eq!(assert_hidden(command), 2);
    }
}

#[test]
fn a_login_is_not_shown_where_it_was_mistyped() {
    let logins = [
        "hidden-user:hidden-pw@host",
        "mqtt:hidden-user:hidden-pw@host",
        "mqtt://hidden-user:hidden-pw@host:99999",
        "mqtt://hidden-user:hidden-pw@no-such-host.invalid",
        "mqtt://hidden-user:hid/hidden@pw@host",
        "http://hidden-user:hidden-pw@host",
        "mqtt://:hidden-pw@host",
        "mqtt://me:hidden-pw",
        "mqtt://me:hidden-pw/",
        "mqtt://me:hidden-pw@",
        "mqtt://me:hidden-pw@:1883",
        "mqtt://me:1/hidden-pw",
        "mqtt://me:1883#hidden-pw",
        "mqtt://me:hidden pw",
        "mqtt:///me:hidden-pw",
        "mqtt:/me:hidden-pw",
        "me:hidden-pw@mqtt://host",
    ];
    // Taken apart at its sign, it is a filter.
    assert_eq!(assert_hidden(matrix("mqtt://me:hidden=pw", &[])), 2);
    assert_eq!(assert_hidden(program(["run", "mqtt://me:hidden=pw"])), 2);
    for login in logins {
        assert_eq!(assert_hidden(matrix(login, &[])), 2);
        // In the place of something else.
        assert_eq!(assert_hidden(program(["matrix", login])), 2);
        assert_eq!(assert_hidden(program(["matrix", &format!("--brokr={login}")])), 2);
        assert_eq!(assert_hidden(program(["run", login])), 2);
        assert_eq!(assert_hidden(program(["compare", login, login])), 2);
        assert_eq!(assert_hidden(program(["matrix", "--filter", login])), 2);
        let mut command = program(["matrix"]);
        command.env("MQTT_SESSIONS_BROKER", login);
        assert_eq!(assert_hidden(command), 2);
    }
}

/// The password in plain, and in the ways in which bytes are shown.
#[track_caller]
fn assert_password_hidden(text: &str) {
    let hex = |gap: &str| PASSWORD.bytes().skip(5).map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(gap);
    for secret in [PASSWORD, &hex(""), &hex(" ")] {
        assert!(!text.to_lowercase().contains(secret), "{secret} in {text}");
    }
}

#[test]
fn a_peer_that_sends_back_what_it_gets_shows_no_password() {
    let echo = listener(|mut stream| {
        let mut reader = stream.try_clone().unwrap();
        let _ = std::io::copy(&mut reader, &mut stream);
    });
    let garbled = [answering(b"\x11\x20\x00hidden-pw, and more of it", true), answering(b"\x10\x20hidden-pw", true)];
    let cut = answering(b"\x10\x20hidd", false);
    for broker in garbled.into_iter().chain([echo, cut]) {
        for mut command in three_ways(&broker) {
            command.args(["--connect-timeout", "300ms"]);
            let ended = run(command);
            ended.gave_up(2, &["CONNECT"]);
            assert_password_hidden(&ended.stderr);
        }
    }
}

#[test]
fn no_history_has_a_password_that_was_sent_back() {
    // The CONNECT of the subscriber, or of the probe of 5.0, comes back with a flag that makes it no packet.
    for of_probe in [true, false] {
        let broker = proxy(&Broker::correct(), move |protocol, packet| match packet {
            Packet::Connect(connect)
                if connect.client_id.ends_with(if of_probe { "probe5" } else { "0" })
                    && (protocol == Protocol::V5 || !of_probe) =>
            {
                let mut bytes = Vec::new();
                encode(protocol, packet, &mut bytes).unwrap();
                bytes[0] |= 1;
                Fate::Answer(bytes)
            }
            _ => Fate::Pass,
        });
        for mut command in three_ways(&broker) {
            command.args(["--settle", "10ms", "--patience", "100ms", "--deadline", "500ms"]);
            let ended = run({
                command.args(["--histories", "all", "--export-json", "-"]);
                command
            });
            assert!(ended.stdout.contains("<- undecodable 11"), "{}{}", ended.stdout, ended.stderr);
            assert!(ended.stdout.contains("2a2a2a"), "{}", ended.stdout);
            assert_password_hidden(&ended.stdout);
            assert_password_hidden(&ended.stderr);
        }
    }
}

/// A PUBLISH is a packet, and shown: its topic and its payload have no password either.
#[test]
fn no_message_has_a_password_that_was_sent_back() {
    let broker = proxy(&Broker::correct(), |protocol, packet| match packet {
        Packet::Subscribe(subscribe) if is_experiment(&subscribe.filters[0].filter) => {
            let (topic, payload) = (format!("of/{PASSWORD}"), format!("me {PASSWORD}").into_bytes());
            let mut bytes = Vec::new();
            encode(protocol, &Packet::Publish(Publish { topic, payload, ..Publish::default() }), &mut bytes).unwrap();
            Fate::Answer(bytes)
        }
        _ => Fate::Pass,
    });
    for mut command in three_ways(&broker) {
        command.args(["--settle", "10ms", "--patience", "100ms", "--deadline", "500ms"]);
        command.args(["--histories", "all", "--export-json", "-"]);
        let ended = run(command);
        assert!(ended.stdout.contains("PUBLISH topic=?of/****"), "{}{}", ended.stdout, ended.stderr);
        assert_password_hidden(&ended.stdout);
        assert_password_hidden(&ended.stderr);
    }
}
