//! Passwords reach the broker, and nobody else. User names stand in the commands that a run prints, so that they work when copied.

use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use mqtt_sessions::connection::encode::encode;
use mqtt_sessions::packet::{Login, Packet, Protocol, Publish};

use crate::peers::{answering, listener};
use crate::program::{QUEUED, matrix, program, run};
use crate::proxy::{Fate, is_experiment, proxy, proxy_by_client};
use test_broker::Broker;

const USER: &str = "reader";
const PASSWORD: &str = "hidden-pw";
const PUBLISHER: &str = "writer";
const PUBLISHERS_PASSWORD: &str = "hidden-2pw";

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
fn a_login_is_sent_and_its_password_shown_to_nobody() {
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

/// A command with both logins, by options and by files.
fn two_logins(url: &str, arguments: &[&str], folder: &Path) -> [Command; 2] {
    let file = |name: &str, password: &str| {
        let path = folder.join(name);
        std::fs::write(&path, format!("{password}\r\nsomething else\n")).unwrap();
        path
    };
    let users = ["--username", USER, "--publisher-username", PUBLISHER];
    let mut in_options = matrix(url, arguments);
    in_options.args(users).args(["--password", PASSWORD, "--publisher-password", PUBLISHERS_PASSWORD]);
    let mut in_files = matrix(url, arguments);
    in_files.args(users).arg("--password-file").arg(file("main", PASSWORD));
    in_files.arg("--publisher-password-file").arg(file("publisher", PUBLISHERS_PASSWORD));
    // A file comes before the environment.
    in_files.env("MQTT_SESSIONS_PASSWORD", "hidden-wrong").env("MQTT_SESSIONS_PUBLISHER_PASSWORD", "hidden-wrong");
    [in_options, in_files]
}

/// The user of the publisher may not subscribe, and the other one may not publish: each cell passes all the same.
#[test]
fn whoever_only_publishes_logs_in_as_somebody_else() {
    let login = |user: &str, password: &str| Some(Login { user: user.into(), password: password.into() });
    let (main, publisher) = (login(USER, PASSWORD), login(PUBLISHER, PUBLISHERS_PASSWORD));
    let broker = Broker::correct();
    let url = proxy_by_client(&broker, move |connect, packet| match packet {
        Packet::Connect(connect) if connect.login != main && connect.login != publisher => Fate::Close,
        Packet::Publish(_) if connect.login != publisher => Fate::Close,
        Packet::Subscribe(_) if connect.login != main => Fate::Close,
        _ => Fate::Pass,
    });
    let folder = tempfile::tempdir().unwrap();
    for mut command in two_logins(&url, &["--histories", "all", "--export-json", "-"], folder.path()) {
        command.args(["--prefix", "twologins"]);
        assert_eq!(assert_hidden(command), 0);
        crate::peers::assert_nothing_left(&broker);
    }
}

#[test]
fn a_publisher_that_is_not_let_in_is_named() {
    let url = proxy(&Broker::correct(), |protocol, packet| match packet {
        Packet::Connect(connect) if connect.login.as_ref().is_some_and(|login| login.user == PUBLISHER) => {
            Fate::Answer(match protocol {
                Protocol::V3 => vec![0x20, 2, 0, 5],
                Protocol::V5 => vec![0x20, 3, 0, 0x87, 0],
            })
        }
        _ => Fate::Pass,
    });
    let folder = tempfile::tempdir().unwrap();
    for command in two_logins(&url, &QUEUED, folder.path()) {
        let ended = run(command);
        ended.gave_up(2, &["for the publisher", "check --publisher-username"]);
        assert!(!ended.stderr.contains("hidden"), "{}", ended.stderr);
    }
}

/// Each place where a second password is typed, or a file has none.
#[test]
fn a_password_that_is_given_twice_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let [empty, good] = ["empty", "good"].map(|name| folder.path().join(name).display().to_string());
    std::fs::write(&empty, "\nhidden").unwrap();
    std::fs::write(&good, "hidden").unwrap();
    for who in ["", "publisher-"] {
        let option = |name: &str| format!("--{who}{name}");
        let refused = |arguments: &[&str], said: &str| {
            let command = matrix("mqtt://127.0.0.1:9", &[&[&option("username"), USER][..], arguments].concat());
            let ended = run(command);
            assert_eq!(ended.code, Some(2), "{}", ended.stderr);
            assert!(ended.stderr.contains(said) && !ended.stderr.contains("hidden"), "{}", ended.stderr);
        };
        refused(&[&option("password"), PASSWORD, &option("password-file"), &good], "give one of them");
        refused(&[&option("password-file"), &empty], "its first line is empty; name a file with the password");
        refused(&[&option("password-file"), "/no/such/file"], "No such file");
        let alone = run(matrix("mqtt://127.0.0.1:9", &[&option("password-file"), &good]));
        alone.gave_up(2, &["but no user name", &option("username")]);
    }
}

#[test]
fn a_login_is_not_shown_when_it_is_refused() {
    let broker = answering(&[0x20, 2, 0, 5], true);
    for command in three_ways(&broker) {
        assert_eq!(assert_hidden(command), 2);
    }
    let in_url = broker.replace("mqtt://", &format!("mqtt://{USER}:{PASSWORD}@"));
    assert_eq!(assert_hidden(program(["doctor", &in_url, "--export-json", "-"])), 2);
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
        assert_eq!(assert_hidden(program(["doctor", login])), 2);
        assert_eq!(assert_hidden(program(["matrix", &format!("--brokr={login}")])), 2);
        assert_eq!(assert_hidden(program(["run", login])), 2);
        assert_eq!(assert_hidden(program(["compare", login, login])), 2);
        assert_eq!(assert_hidden(program(["matrix", "--filter", login])), 2);
        let mut command = program(["matrix"]);
        command.env("MQTT_SESSIONS_BROKER", login);
        assert_eq!(assert_hidden(command), 2);
    }
}

/// Either password comes back to whichever client, in a packet and in bytes that are none.
#[test]
fn no_history_has_the_other_clients_password() {
    let broker = proxy(&Broker::correct(), |protocol, packet| match packet {
        Packet::Subscribe(subscribe) if subscribe.filters[0].filter.starts_with("$SYS") => Fate::Pass,
        Packet::Subscribe(_) | Packet::Publish(_) if topic_is_of_an_experiment(packet) => {
            let payload = format!("{PASSWORD} {PUBLISHERS_PASSWORD}").into_bytes();
            let mut bytes = Vec::new();
            let publish = Publish { topic: "t".into(), payload, ..Publish::default() };
            encode(protocol, &Packet::Publish(publish), &mut bytes).unwrap();
            let packet = bytes.clone();
            // QoS 3 is none.
            bytes[0] |= 6;
            Fate::Answer([packet, bytes].concat())
        }
        _ => Fate::Pass,
    });
    let folder = tempfile::tempdir().unwrap();
    for mut command in two_logins(&broker, &QUEUED, folder.path()) {
        command.args(["--settle", "10ms", "--patience", "100ms", "--deadline", "500ms"]);
        command.args(["--histories", "all", "--export-json", "-"]);
        let ended = run(command);
        assert!(ended.stdout.contains("undecodable") && ended.stdout.contains("2a2a2a2a"), "{}", ended.stdout);
        for text in [&ended.stdout, &ended.stderr] {
            assert_password_hidden(text);
            let hex: String = PUBLISHERS_PASSWORD.bytes().skip(5).map(|byte| format!("{byte:02x}")).collect();
            assert!(!text.contains("hidden") && !text.contains(&hex), "{text}");
        }
    }
}

fn topic_is_of_an_experiment(packet: &Packet) -> bool {
    match packet {
        Packet::Subscribe(subscribe) => is_experiment(&subscribe.filters[0].filter),
        Packet::Publish(publish) => is_experiment(&publish.topic),
        _ => false,
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
