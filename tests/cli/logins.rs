//! Credentials reach the broker, and nobody else.

use std::process::Command;
use std::sync::{Arc, Mutex};

use mqtt_sessions::packet::{Login, Packet};

use crate::peers::answering;
use crate::program::{QUEUED, matrix, program, run};
use crate::proxy::{Fate, proxy};
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
    ];
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
