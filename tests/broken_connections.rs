//! Scenario files whose connections break in the middle of something: which combinations make a cell, where a handshake
//! may stop, and what can follow.

use mqtt_sessions::plan::{Action, Settings, Until, cells};
use mqtt_sessions::scenario::{Point, Scenario};

const SOUND: &str = r#"name = "mine"
question = "What arrives?"
axes.qos = [1, 2]
axes.point = ["publish", "puback", "pubrel"]
axes.count = [1, 20]
except = [
    { qos = 1, point = "pubrel" },
    { qos = 2, point = ["puback"], count = 20 },
]
clients.one = { protocol = "3.1.1", clean_session = false }
clients.other = { protocol = "3.1.1", clean_session = false, client_id = "one" }
clients.writer = { protocol = "3.1.1", clean_session = false }
steps = [
    { connect = "one" },
    { connect = "writer" },
    { subscribe = "one", topic = "t", qos = "$qos" },
    { publish = "writer", topic = "t", qos = "$qos", messages = "$count", until = "$point" },
    { cut = "writer" },
    { receive = "one", until = "$point", message = 2 },
    { cut = "one" },
    { connect = "one" },
    { stall = "one" },
    { race = "one", stays = "other" },
    { receive = "other" },
]
"#;

const SETTINGS: Settings = Settings::of(3);

/// Puts a mistake into the sound scenario.
fn error_of(sound: &str, mistaken: &str) -> String {
    assert!(SOUND.contains(sound), "the sound scenario has no {sound:?}");
    Scenario::parse("mine.toml", &SOUND.replacen(sound, mistaken, 1)).expect_err(mistaken).to_string()
}

fn check(mistakes: &[(&str, &str, &str)]) {
    for (sound, mistaken, expected) in mistakes {
        let error = error_of(sound, mistaken);
        assert!(error.contains(expected), "{mistaken}: {error}");
    }
}

#[test]
fn what_is_excepted_makes_no_cell() {
    let cells = cells(&Scenario::parse("mine.toml", SOUND).unwrap(), SETTINGS);
    let ids: Vec<&str> = cells.iter().map(|cell| cell.id.as_str()).collect();
    assert_eq!(
        ids,
        [
            "mine[qos=1,point=publish,count=1]",
            "mine[qos=1,point=publish,count=20]",
            "mine[qos=1,point=puback,count=1]",
            "mine[qos=1,point=puback,count=20]",
            "mine[qos=2,point=publish,count=1]",
            "mine[qos=2,point=publish,count=20]",
            "mine[qos=2,point=puback,count=1]",
            "mine[qos=2,point=pubrel,count=1]",
            "mine[qos=2,point=pubrel,count=20]",
        ]
    );
    let Action::Publish(publication) = &cells[1].steps[3].action else { panic!("{:?}", cells[1].steps[3]) };
    assert_eq!((publication.messages, publication.until), (20, Some(Point::Publish)));
    let Action::Receive { until, .. } = &cells[8].steps[5].action else { panic!("{:?}", cells[8].steps[5]) };
    assert_eq!(*until, Some(Until { point: Point::Pubrel, message: 2 }));
}

#[test]
fn exceptions_name_axes_and_values_that_exist() {
    check(&[
        (
            "{ qos = 1, point = \"pubrel\" }",
            "{ gos = 1 }",
            "mine.toml:7: there is no axis \"gos\" (did you mean \"qos\"?); there are qos, point, count",
        ),
        ("{ qos = 1, point", "{ qos = 0, point", "mine.toml:7: axis \"qos\" does not hold 0; it holds 1, 2"),
        ("[\"puback\"], count", "[\"pubcomp\"], count", "mine.toml:8: axis \"point\" does not hold \"pubcomp\""),
        ("{ qos = 1, point = \"pubrel\" },", "3,", "mine.toml:7: an exception is a table, not a whole number"),
    ]);
}

#[test]
fn where_a_handshake_stops_is_one_of_its_packets() {
    check(&[
        (
            "\"puback\", \"pubrel\"]",
            "\"puback\", \"pubrel\", \"suback\"]",
            "because that axis holds suback; it takes \"half\"",
        ),
        (
            "until = \"$point\", message = 2",
            "message = 2",
            "`message` needs `until`, the point where its handshake stops",
        ),
        ("until = \"$point\", message = 2", "until = \"$point\"", "a step needs the key `message`"),
        (
            "axes.count = [1, 20]",
            "axes.count = [0, 20]",
            "`messages` cannot be \"$count\"; it takes whole numbers from 1",
        ),
    ]);
}

#[test]
fn who_stopped_can_only_be_cut_and_who_races_was_away() {
    check(&[
        (
            "    { cut = \"writer\" },\n",
            "    { disconnect = \"writer\" },\n",
            "\"writer\" cannot disconnect here: it stopped in the middle of a handshake; cut it in a step before",
        ),
        ("    { stall = \"one\" },\n", "", "\"one\" cannot race here: a race takes two clients with one client_id"),
        (
            "stays = \"other\"",
            "stays = \"writer\"",
            "\"one\" cannot race here: a race takes two clients with one client_id",
        ),
        ("stays = \"other\"", "stays = \"nobody\"", "there is no client \"nobody\""),
        ("{ receive = \"other\" }", "{ receive = \"one\" }", "\"one\" cannot receive here: it is not connected"),
    ]);
}
