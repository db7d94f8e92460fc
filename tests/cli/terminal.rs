//! Text that would drive a terminal: from a broker, from a results file and from a history. It is shown, and never acted on.

use std::collections::BTreeSet;
use std::fs;

use mqtt_sessions::connection::encode::encode;
use mqtt_sessions::packet::{Packet, Publish, Suback};
use mqtt_sessions::visible::is_hidden;
use serde_json::Value;

use crate::histories::LOST;
use crate::peers::{correct, serve, url};
use crate::program::{Ended, matrix, program, run};
use crate::proxy::{Fate, proxy};
use test_broker::{Broker, Defect};

/// It names the window, rings, begins a line anew, hides what follows, and turns it around.
const HOSTILE: &str = "\u{1b}]0;owned\u{7}\u{1b}[8m\n\r\u{9b}8m\u{202e}";
const SHOWN: &str = r"\x1b]0;owned\x07\x1b[8m\n\r\u{9b}8m\u{202e}";
const CELL: &str =
    "matrix[protocol=5.0,clean_session=false,publish_qos=1,subscribe_qos=1,retain=false,resubscribe=false]";

/// The program in colour, so that nothing is stripped from what it prints.
fn coloured(arguments: &[&str]) -> Ended {
    run(program([arguments, &["--color", "always"]].concat()))
}

/// Everything that was printed, without the tool's own colours.
#[track_caller]
fn harmless(ended: &Ended) -> String {
    let printed = format!("{}{}", ended.stdout, ended.stderr);
    assert!(!printed.contains("panicked"), "{printed}");
    // Of all sequences only colours and bold are the tool's own.
    let mut pieces = printed.split('\u{1b}');
    let mut plain = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (codes, rest) = piece.strip_prefix('[').and_then(|piece| piece.split_once('m')).unwrap_or(("none", piece));
        assert!(["0", "1"].contains(&codes) || codes.starts_with('3'), "ESC {codes} in:\n{printed:?}");
        plain += rest;
    }
    let hidden: BTreeSet<char> =
        plain.chars().filter(|character| is_hidden(*character) && *character != '\n').collect();
    assert_eq!(hidden, BTreeSet::new(), "in:\n{plain:?}");
    plain
}

/// The objects of a results file whose keys are not of the format.
const MAPS: [&str; 4] = ["axes", "choices", "names", "scenario_files"];

/// Each text of a JSON value once; also the keys of this object, if they are free.
fn texts(value: &Value, keys_are_free: bool, found: &mut BTreeSet<String>) {
    match value {
        Value::String(text) => drop(found.insert(text.clone())),
        Value::Array(elements) => elements.iter().for_each(|element| texts(element, false, found)),
        Value::Object(object) => object.iter().for_each(|(key, element)| {
            found.extend(Some(key.clone()).filter(|_| keys_are_free));
            texts(element, MAPS.contains(&key.as_str()), found);
        }),
        _ => {}
    }
}

#[test]
fn no_text_of_a_results_file_drives_the_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let [right, changed] = ["right.json", "changed.json"].map(path);
    let lying = url(serve(&Broker::lying(Defect::LosesLast)));
    run(matrix(&lying, &["--filter", CELL, "--settle", "10ms", "--patience", "100ms", "--export-json", &right]));
    let json = fs::read_to_string(&right).unwrap();
    let mut found = BTreeSet::new();
    texts(&serde_json::from_str(&json).unwrap(), false, &mut found);
    // The lines of histories are many, and much alike.
    let is_line = |text: &String| text.starts_with(|c: char| c.is_ascii_digit()) && text.contains(' ');
    let (lines, others): (Vec<String>, Vec<String>) = found.into_iter().partition(is_line);
    assert!(lines.len() > 20 && others.len() > 30, "{lines:?} {others:?}");
    for text in lines.iter().step_by(60).chain(&others) {
        let with = |added: &str| {
            let old = serde_json::to_string(text).unwrap();
            let new = serde_json::to_string(&format!("{text}{added}")).unwrap();
            fs::write(&changed, json.replace(&old, &new)).unwrap();
            let id = if text == CELL { format!("{CELL}{SHOWN}") } else { CELL.to_owned() };
            let commands: [&[&str]; 3] =
                [&["judge", &changed], &["compare", &right, &changed], &["explain", &id, "--results", &changed]];
            commands.map(|command| harmless(&coloured(command)))
        };
        assert_eq!(with(HOSTILE), with(SHOWN), "{text:?} is more than itself");
    }
}

#[test]
fn no_packet_drives_the_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let [history, results] = ["lost.txt", "results.json"].map(path);
    let escaped: String = HOSTILE.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let publish = format!(
        "subscriber <- PUBLISH topic=t qos=0 retain=0 dup=0 content_type={escaped} user_key={escaped} user_value=x \
         payload=?{escaped}\nsubscriber <- PUBLISH topic=?{escaped} qos=0 retain=0 dup=0 payload=m1\n"
    );
    let protocol = LOST.replace("3.1.1 clean_session=0", "5.0 clean_start=0 session_expiry=60");
    let text = protocol.replace("subscriber -- settled\n", &format!("{publish}subscriber -- settled\n"));
    fs::write(&history, text.replace("step 7 receive", &format!("step 7 {escaped} receive"))).unwrap();
    let judged = coloured(&["judge", &history, "--export-json", &results]);
    assert!(harmless(&judged).contains(SHOWN), "{judged:?}");
    let explained = coloured(&["explain", "lost", "--results", &results]);
    assert!(harmless(&explained).matches(SHOWN).count() >= 5, "{}", explained.stdout);
    harmless(&coloured(&["judge", &results]));
}

#[test]
fn no_line_of_a_history_drives_the_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lost.txt");
    let head = format!("# verdict: fail\n# statements: MQTT-3.1.2-5\n# reason: {HOSTILE}\n");
    for (text, phrase) in [
        (format!("{head}{LOST}"), "lost.txt:3: reason has a control character"),
        (format!("{LOST}step 8{HOSTILE} x"), "it has the character \\x1b"),
        (format!("{LOST}step 8 receive\rsubscriber\n"), "it has the character \\r"),
        (format!("{LOST}{HOSTILE} -- settled"), "it has the character \\x1b"),
    ] {
        fs::write(&path, text).unwrap();
        let ended = coloured(&["judge", path.to_str().unwrap()]);
        assert_eq!(ended.code, Some(2));
        assert!(harmless(&ended).contains(phrase), "{}", ended.stderr);
    }
}

#[test]
fn no_name_of_a_broker_drives_the_terminal() {
    let broker = proxy(&Broker::correct(), |protocol, packet| match packet {
        Packet::Subscribe(subscribe) if subscribe.filters[0].filter == "$SYS/broker/version" => {
            let mut bytes = Vec::new();
            let version = format!("own{HOSTILE}ed version 1{HOSTILE}0").into_bytes();
            let publish = Publish { topic: "$SYS/broker/version".into(), payload: version, ..Publish::default() };
            let suback = Packet::Suback(Suback { id: subscribe.id, codes: vec![0] });
            for packet in [suback, Packet::Publish(publish)] {
                encode(protocol, &packet, &mut bytes).unwrap();
            }
            Fate::Answer(bytes)
        }
        _ => Fate::Pass,
    });
    let mut command = matrix(&broker, &["--filter", CELL, "--color", "always"]);
    command.env_remove("NO_COLOR");
    let plain = harmless(&run(command));
    assert!(plain.contains(&format!("Measured: own{SHOWN}ed 1{SHOWN}0 at ")), "{plain}");
    harmless(&run(matrix(&correct(), &["--filter", CELL, "--color", "always"])));
}
