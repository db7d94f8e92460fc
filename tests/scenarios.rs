//! The scenario files: those that are built in, and every mistake that somebody can make in one of their own.

use std::collections::BTreeSet;
use std::fs;

use mqtt_sessions::packet::Protocol;
use mqtt_sessions::plan::{Action, Cell, Publication, Settings, cells};
use mqtt_sessions::results::AxisValue;
use mqtt_sessions::scenario::{Scenario, ScenarioError};

const SETTINGS: Settings = Settings::of(3);

fn plan(name: &str) -> Vec<Cell> {
    cells(&Scenario::load(name).unwrap(), SETTINGS)
}

#[test]
fn every_file_in_scenarios_is_built_in_under_its_name() {
    let mut files: Vec<String> = fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    let mut built_in: Vec<String> = Scenario::built_in_names().map(|name| format!("{name}.toml")).collect();
    built_in.sort();
    assert_eq!(files, built_in);
    for name in Scenario::built_in_names() {
        assert_eq!(Scenario::load(name).unwrap().name, name);
    }
}

#[test]
fn the_matrix_has_144_cells_with_ids_of_one_shape() {
    let cells = plan("matrix");
    assert_eq!(cells.len(), 144);
    assert_eq!(
        cells[0].id,
        "matrix[protocol=3.1.1,clean_session=true,publish_qos=0,subscribe_qos=0,retain=true,resubscribe=false]"
    );
    assert_eq!(
        cells[143].id,
        "matrix[protocol=5.0,clean_session=false,publish_qos=2,subscribe_qos=2,retain=false,resubscribe=true]"
    );
    for cell in &cells {
        let axes: Vec<String> = cell.axes.0.iter().map(|(axis, value)| format!("{axis}={value}")).collect();
        assert_eq!(cell.id, format!("matrix[{}]", axes.join(",")));
    }
}

#[test]
fn the_ids_of_all_built_in_cells_are_distinct() {
    let cells: Vec<Cell> = Scenario::built_in_names().flat_map(plan).collect();
    let ids: BTreeSet<&str> = cells.iter().map(|cell| cell.id.as_str()).collect();
    assert_eq!(ids.len(), cells.len());
}

/// MQTT-3.1.3-7 is broken in one place, to see how the broker takes it, and nowhere else.
#[test]
fn one_cell_alone_asks_for_a_session_without_an_identifier() {
    let asks = |cell: &Cell| {
        cell.steps.iter().any(|step| {
            let client = &cell.clients[step.client];
            let persistent = matches!(&step.action, Action::Connect(connect) if !connect.clean);
            persistent && client.client_id.is_none() && client.protocol == Protocol::V3
        })
    };
    let cells = Scenario::built_in_names().flat_map(plan).filter(asks);
    assert_eq!(cells.map(|cell| cell.id).collect::<Vec<_>>(), ["tutorial[lesson=empty_id_persistent,protocol=3.1.1]"]);
}

#[test]
fn the_backlog_is_longer_than_a_usual_window_and_always_kept() {
    for cell in plan("backlog") {
        assert!(cell.persistent_clients().any(|client| client == 0));
        assert!(
            cell.steps
                .iter()
                .any(|step| matches!(step.action, Action::Publish(Publication { messages: 25, retain: false, .. })))
        );
    }
}

#[test]
fn axes_and_clients_keep_the_order_of_the_file() {
    let scenario = Scenario::load("matrix").unwrap();
    let axes: Vec<&str> = scenario.axes.iter().map(|axis| axis.name.as_str()).collect();
    assert_eq!(axes, ["protocol", "clean_session", "publish_qos", "subscribe_qos", "retain", "resubscribe"]);
    assert_eq!(scenario.axes[1].values, [AxisValue::Bool(true), AxisValue::Bool(false)]);
    let clients: Vec<&str> = scenario.parts[0].clients.iter().map(|client| client.name.as_str()).collect();
    assert_eq!(clients, ["subscriber", "publisher"]);
}

/// A scenario without a mistake. The axes stand in no alphabetical order.
const SOUND: &str = r#"name = "mine"
question = "What arrives?"

[axes]
qos = [0, 1, 2]
protocol = ["3.1.1", "5.0"]
kept = [true, false]

[clients.reader]
protocol = "$protocol"
clean_session = "$kept"

[clients.writer]
protocol = "5.0"
clean_session = true

[[steps]]
connect = "reader"

[[steps]]
connect = "writer"

[[steps]]
subscribe = "reader"
topic = "news"
qos = "$qos"
when = "$kept"

[[steps]]
publish = "writer"
topic = "news"
qos = 2
retain = false
messages = 5

[[steps]]
receive = "reader"
"#;

fn error_of(text: &str) -> ScenarioError {
    Scenario::parse("mine.toml", text).expect_err(text)
}

/// Puts each mistake into the sound scenario and compares the line and a phrase of the sentence.
fn check(mistakes: &[(&str, &str, usize, &str)]) {
    let mut wrong = Vec::new();
    for (sound, mistaken, line, phrase) in mistakes {
        assert!(SOUND.contains(sound), "the sound scenario has no {sound:?}");
        let error = error_of(&SOUND.replacen(sound, mistaken, 1));
        if (error.file.as_str(), error.line) != ("mine.toml", Some(*line)) || !error.why.contains(phrase) {
            wrong.push(format!("{mistaken:.60?}, expected at line {line}: {error}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_sound_scenario_has_no_mistake_and_tables_may_be_written_either_way() {
    let sound = Scenario::parse("mine.toml", SOUND).unwrap();
    assert_eq!(cells(&sound, SETTINGS).len(), 12);
    assert_eq!(cells(&sound, SETTINGS)[1].id, "mine[qos=0,protocol=3.1.1,kept=false]");
    let inline = SOUND
        .replace("[axes]\nqos", "axes.qos")
        .replace("protocol = [", "axes.protocol = [")
        .replace("kept = [", "axes.kept = [");
    assert_eq!(Scenario::parse("mine.toml", &inline).unwrap(), sound);
    let with_crlf = SOUND.replace('\n', "\r\n");
    assert_eq!(Scenario::parse("mine.toml", &with_crlf).unwrap(), sound);
}

#[test]
fn mistakes_in_the_toml() {
    check(&[
        ("name = \"mine\"", "name = mine", 1, "not valid TOML at `mine`"),
        ("kept = [true, false]", "kept = [true, false", 9, "not valid TOML"),
        ("receive = \"reader\"\n", "receive = \"reader\nwhen = true\n", 37, "not valid TOML"),
        ("receive = \"reader\"\n", "receive =\n\n\n", 37, "not valid TOML"),
        ("kept = [true, false]", "qos = [1]", 7, "duplicate key"),
        ("[clients.writer]", "[clients.reader]", 13, "duplicate key"),
        ("topic = \"news\"\nqos = 2", "topic = \"news\"\ntopic = \"t\"\nqos = 2", 32, "duplicate key"),
    ]);
}

#[test]
fn keys_that_are_unknown_missing_or_of_another_step() {
    check(&[
        (
            "question",
            "tags = 1\nquestion",
            2,
            "unknown key `tags`; a scenario takes name, question, axes, except, clients, steps",
        ),
        (
            "clean_session = true",
            "clean_stars = true",
            15,
            "`clean_stars` (did you mean \"clean_start\"?); a client takes protocol, clean_session",
        ),
        (
            "receive = \"reader\"",
            "recieve = \"reader\"",
            37,
            "unknown key `recieve` (did you mean \"receive\"?); a step takes connect, subscribe",
        ),
        ("name = \"mine\"\n", "", 1, "a scenario needs the key `name`"),
        ("question = \"What arrives?\"\n", "", 1, "a scenario needs the key `question`"),
        ("protocol = \"5.0\"\n", "", 13, "a client needs the key `protocol`, which takes \"3.1.1\" or \"5.0\""),
        ("clean_session = \"$kept\"\n", "", 9, "needs the key `clean_session`, which takes true or false"),
        ("qos = 2\n", "", 29, "a step needs the key `qos`, which takes 0, 1 or 2"),
        (
            "receive = \"reader\"",
            "when = true",
            36,
            "a step needs one of connect, subscribe, unsubscribe, publish, receive, disconnect, cut, silence, stall, race, wait",
        ),
        ("receive = \"reader\"\n", "", 36, "a step needs one of connect"),
        ("connect = \"writer\"", "connect = \"writer\"\nreceive = \"reader\"", 22, "says both connect and receive"),
        ("receive = \"reader\"", "receive = \"reader\"\nqos = 1", 38, "`qos` does not belong to receive; besides"),
        (
            "qos = \"$qos\"",
            "qos = \"$qos\"\nretain = true",
            27,
            "`retain` does not belong to subscribe; besides the client it takes topic, share, qos, no_local, retain_as_published, retain_handling, filters, identifier, when",
        ),
    ]);
}

#[test]
fn keys_of_the_richer_steps() {
    check(&[
        ("retain = false", "retain_handling = 1", 33, "`retain_handling` does not belong to publish"),
        ("retain = false", "message_expiry = \"2\"", 33, "`message_expiry` cannot be \"2\"; it takes a whole number"),
        (
            "receive = \"reader\"",
            "receive = \"reader\"\nanswers = \"some\"",
            38,
            "it takes \"all\", \"none\", \"pubrec\", \"refuse\" or",
        ),
        ("receive = \"reader\"", "wait = \"reader\"\nseconds = 1", 36, "a step needs the key `timer`"),
        ("receive = \"reader\"", "cut = \"reader\"\nhow = \"rst\"", 38, "it takes \"fin\" or \"reset\""),
        ("when = \"$kept\"", "when = \"$nothing=1\"", 27, "`when` asks for an axis that does not exist; there are"),
        ("when = \"$kept\"", "when = \"$qos=7\"", 27, "axis \"qos\" does not hold all of 7"),
        (
            "clean_session = true",
            "clean_session = true\nclient_id = \"nobody\"",
            16,
            "`client_id` takes the name of a client",
        ),
    ]);
}

#[test]
fn values_of_a_wrong_type_or_out_of_range() {
    check(&[
        ("\"mine\"", "1", 1, "`name` takes a text in quotes, not a whole number"),
        ("\"What arrives?\"", "[]", 2, "`question` takes a text in quotes, not an array"),
        ("\"What arrives?\"", "\" \"", 2, "`question` takes one sentence on one line"),
        ("\"What arrives?\"", "\"What\\u001b[31m?\"", 2, "`question` takes one sentence on one line"),
        ("protocol = \"5.0\"", "protocol = \"5\"", 14, "`protocol` cannot be \"5\"; it takes \"3.1.1\" or \"5.0\""),
        ("protocol = \"5.0\"", "protocol = 5.0", 14, "`protocol` cannot be 5.0; it takes \"3.1.1\""),
        ("clean_session = true", "clean_session = 1", 15, "`clean_session` cannot be 1; it takes true or false"),
        ("qos = 2", "qos = 3", 32, "`qos` cannot be 3; it takes 0, 1 or 2"),
        ("qos = 2", "qos = -1", 32, "`qos` cannot be -1; it takes 0, 1 or 2"),
        ("qos = 2", "qos = 256", 32, "`qos` cannot be 256; it takes 0, 1 or 2"),
        ("qos = 2", "qos = \"2\"", 32, "`qos` cannot be \"2\"; it takes 0, 1 or 2"),
        ("retain = false", "retain = \"no\"", 33, "`retain` cannot be \"no\"; it takes true or false"),
        ("when = \"$kept\"", "when = []", 27, "`when` cannot be []; it takes true or false"),
        ("messages = 5", "messages = 0", 34, "`messages` cannot be 0; it takes whole numbers from 1 to 10000"),
        ("messages = 5", "messages = 10001", 34, "`messages` cannot be 10001"),
        ("messages = 5", "messages = 99999999999999999999", 34, "`messages` cannot be 99999999999999999999"),
        ("messages = 5", "messages = \"$qos\"", 34, "`messages` cannot be \"$qos\"; it takes whole numbers"),
        ("receive = \"reader\"", "receive = true", 37, "`receive` takes a text in quotes, not a boolean"),
        (
            "receive = \"reader\"",
            "receive = \"raeder\"",
            37,
            "there is no client \"raeder\" (did you mean \"reader\"?); the clients are reader, writer",
        ),
        (
            "[clients.writer]\n",
            "[clients]\nwriter = 1\n[clients.other]\n",
            14,
            "a client is a table, not a whole number",
        ),
    ]);
}

#[test]
fn parts_of_a_wrong_shape() {
    let head = "name = \"a\"\nquestion = \"b\"\n";
    let clients = "clients.a = { protocol = \"5.0\", clean_session = true }\n";
    let table = [
        (format!("name = {}", "[".repeat(100_000)), 1, "not valid TOML"),
        ("name = \"a\"\n\u{0}".into(), 2, "not valid TOML"),
        (String::new(), 1, "a scenario needs the key `name`"),
        (head.into(), 1, "a scenario needs the key `clients`"),
        (format!("{head}axes = 1\n"), 3, "`axes` is a table, not a whole number"),
        (format!("{head}clients = 1\n"), 3, "`clients` is a table, not a whole number"),
        (format!("{head}[clients]\n"), 3, "`clients` is empty"),
        (format!("{head}{clients}"), 1, "a scenario needs the key `steps`"),
        (format!("{head}{clients}steps = 1\n"), 4, "`steps` is an array of steps, not a whole number"),
        (format!("{head}{clients}[steps]\n"), 4, "`steps` is an array of steps, not a table"),
        (format!("{head}{clients}steps = []\n"), 4, "there are 0 steps; a scenario has 1 to 100"),
        (format!("{head}{clients}steps = [\n 1 ]\n"), 5, "a step is a table, not a whole number"),
        (format!("{head}{clients}steps = [{}]\n", "{ receive = \"a\" },".repeat(101)), 4, "there are 101 steps"),
        (
            format!("{head}{clients}steps = [{{ connect = \"a\", when = \"$x\" }}]\n"),
            4,
            "and an axis: none is declared",
        ),
    ];
    for (text, line, phrase) in table {
        let error = error_of(&text);
        assert_eq!(error.line, Some(line), "{text}: {error}");
        assert!(error.why.contains(phrase), "{text}: {error}");
    }
}

#[test]
fn axes_that_are_empty_mixed_unused_unknown_or_misplaced() {
    check(&[
        ("kept = [true, false]", "kept = []", 7, "axis \"kept\" is empty; it lists true and false, or whole numbers"),
        ("kept = [true, false]", "kept = true", 7, "axis \"kept\" is a boolean, not an array"),
        ("kept = [true, false]", "kept = [true,\n true]", 8, "axis \"kept\" holds true twice"),
        ("qos = [0, 1, 2]", "qos = [0, 1, 0x1]", 5, "axis \"qos\" holds 0x1 twice"),
        ("qos = [0, 1, 2]", "qos = [0, false]", 5, "axis \"qos\" holds values of another type before false"),
        ("qos = [0, 1, 2]", "qos = [0, -1]", 5, "axis \"qos\" cannot hold -1; it lists"),
        ("qos = [0, 1, 2]", "qos = [0.5]", 5, "axis \"qos\" cannot hold 0.5"),
        ("kept = [", "idle = [1]\nkept = [", 7, "axis \"idle\" is never used; write \"$idle\" where it shall apply"),
        (
            "\"$qos\"",
            "\"$quality\"",
            26,
            "there is no axis for \"$quality\"; `qos` takes 0, 1 or 2, or \"$\" and an axis: there are qos, protocol, kept",
        ),
        ("\"$qos\"", "\"$kept\"", 26, "`qos` cannot be \"$kept\", because that axis holds true; it takes 0, 1 or 2"),
        ("qos = [0, 1, 2]", "qos = [0, 1, 3]", 26, "because that axis holds 3; it takes 0, 1 or 2"),
        ("\"3.1.1\", \"5.0\"", "\"3.1\", \"5.0\"", 10, "because that axis holds 3.1; it takes \"3.1.1\" or \"5.0\""),
        ("when = \"$kept\"", "when = \"$qos\"", 27, "`when` cannot be \"$qos\", because that axis holds 0"),
    ]);
}

#[test]
fn names_that_cannot_stand_in_an_id() {
    let long = format!("name = \"{}\"", "a".repeat(21));
    check(&[
        (
            "\"mine\"",
            "\"Mine\"",
            1,
            "\"Mine\" cannot name the scenario; a name has 1 to 20 of a-z, 0-9 and _, the first of them a-z",
        ),
        ("\"mine\"", "\"\"", 1, "\"\" cannot name the scenario"),
        ("name = \"mine\"", &long, 1, "cannot name the scenario"),
        ("\"mine\"", "\"a-b\"", 1, "cannot name the scenario"),
        ("\"mine\"", "\"1a\"", 1, "cannot name the scenario"),
        ("\"mine\"", "\"ä\"", 1, "cannot name the scenario"),
        ("qos = [", "QoS = [", 5, "QoS cannot name the axis"),
        ("[clients.writer]", "[clients.\"the writer\"]", 13, "\"the writer\" cannot name the client"),
        (
            "[clients.writer]",
            "[clients.witness]",
            13,
            "witness cannot name the client; witness, broker, attempt, step, broken, late, gone and all",
        ),
        ("topic = \"news\"\nqos = 2", "topic = \"a/b/c\"\nqos = 2", 31, "\"a/b/c\" cannot name the topic"),
        ("topic = \"news\"\nqos = 2", "topic = \"fence7\"\nqos = 2", 31, "all that begins with fence are reserved"),
    ]);
}

#[test]
fn clients_and_cells_have_a_limit() {
    let client = |number: usize| format!("[clients.c{number}]\nprotocol = \"5.0\"\nclean_session = true\n");
    let seven: String = (1..=7).map(client).collect();
    check(&[
        ("[[steps]]", &format!("{seven}[[steps]]"), 35, "a scenario has at most 8 clients"),
        ("[[steps]]", &format!("{}[[steps]]", client(1)), 17, "client \"c1\" has no step"),
        (
            "kept = [",
            &format!("many = [{}]\nkept = [", numbers(20_000)),
            7,
            "with axis \"many\" there are 120000 cells",
        ),
    ]);
}

#[test]
fn lessons_multiply_the_cells() {
    let lesson = |name: &str| format!("[[lessons]]\nname = \"{name}\"\n");
    let axis = format!("axes.many = [{}]\n", numbers(60_000));
    let error = error_of(&format!("name = \"a\"\nquestion = \"b\"\n{axis}{}{}", lesson("one"), lesson("two")));
    assert!(error.why.contains("with these lessons there are 120000 cells"), "{error}");
}

fn numbers(count: usize) -> String {
    (0..count).map(|number| number.to_string()).collect::<Vec<_>>().join(",")
}

#[test]
fn steps_of_the_broker_that_cannot_be_taken() {
    let with = |steps: &str| {
        let reader = "clients.reader = { protocol = \"5.0\", clean_session = true }";
        error_of(&format!("name = \"mine\"\nquestion = \"What?\"\n{reader}\nsteps = [{steps}]")).why
    };
    for (steps, why) in [
        (
            "{connect = \"reader\"}, {start = \"broker\"}",
            "the broker cannot start here: it was not stopped or killed before",
        ),
        (
            "{connect = \"reader\"}, {kill = \"broker\"}",
            "the broker cannot stay away: start it in a later step, before a client acts",
        ),
        (
            "{stop = \"broker\"}, {connect = \"reader\"}",
            "\"reader\" cannot connect here: the broker is not there; start it in a step before",
        ),
        ("{connect = \"reader\"}, {kill = \"reader\"}", "`kill` is about \"broker\", not \"reader\""),
        (
            "{connect = \"reader\"}, {restart = \"broker\"}, {receive = \"reader\"}",
            "\"reader\" cannot receive here: it is not connected",
        ),
        (
            "{connect = \"reader\"}, {partition = \"broker\", node = 1}",
            "the node cannot stay cut off: heal it in a later step",
        ),
        (
            "{partition = \"broker\", node = 1}, {heal = \"broker\", node = 2}, {connect = \"reader\"}",
            "the broker cannot heal here: no step before cuts this node off; give it a partition",
        ),
        (
            "{partition = \"broker\", node = 1}, {stop = \"broker\", node = 2}, {connect = \"reader\"}",
            "the broker cannot stop here: one thing befalls it at a time; start it, or heal it, before",
        ),
        ("{partition = \"broker\"}, {connect = \"reader\"}", "the number of the node that is cut off"),
        ("{connect = \"reader\"}, {restart = \"broker\", by = \"hand\"}", "\"stop\" or \"kill\""),
        ("{connect = \"reader\"}, {stop = \"broker\", by = \"kill\"}", "`by` does not belong to stop"),
        (
            "{stop = \"broker\", node = 2}, {connect = \"reader\", node = 2}",
            "\"reader\" cannot connect here: its node is not there; start it in a step before, or connect to another node",
        ),
        (
            "{connect = \"reader\", node = 2}, {kill = \"broker\", node = 2}, {receive = \"reader\"}",
            "\"reader\" cannot receive here: it is not connected",
        ),
        (
            "{stop = \"broker\", node = 2}, {start = \"broker\", node = 1}, {connect = \"reader\"}",
            "the broker cannot start here: it was not stopped or killed before",
        ),
        ("{connect = \"reader\", node = 0}", "`node` cannot be 0; it takes whole numbers from 1 to 9"),
    ] {
        let error = with(steps);
        assert!(error.contains(why), "{steps}: {error}");
    }
}

#[test]
fn steps_that_cannot_work_in_their_order() {
    let connects = "[[steps]]\nconnect = \"reader\"\n";
    let leave = "[[steps]]\ndisconnect = \"reader\"\nwhen = \"$kept\"\n";
    check(&[
        (
            "connect = \"writer\"",
            "connect = \"reader\"",
            21,
            "\"reader\" cannot connect here: it is connected already; disconnect it in a step before",
        ),
        (
            "connect = \"writer\"",
            "connect = \"writer\"\nwhen = false",
            31,
            "\"writer\" cannot publish here: it is not connected; connect it in a step before",
        ),
        (
            "[[steps]]\nconnect = \"reader\"\n",
            "",
            22,
            "\"reader\" cannot subscribe here: in cells with kept=true it is not connected",
        ),
        (
            "[[steps]]\nreceive",
            &format!("{leave}[[steps]]\nreceive"),
            40,
            "cannot receive here: in cells with kept=true it is not",
        ),
        (
            "[[steps]]\nreceive",
            &format!("{leave}{connects}[[steps]]\nreceive"),
            40,
            "cannot connect here: in cells with kept=false it is connected already",
        ),
        (
            "receive = \"reader\"",
            "disconnect = \"reader\"\n[[steps]]\ndisconnect = \"reader\"",
            39,
            "cannot disconnect here: it is not connected",
        ),
    ]);
}

/// Steps that would make the harness break the standard are refused; what is at fault is then never the broker.
#[test]
fn steps_with_which_a_client_would_break_the_standard() {
    check(&[
        (
            "clean_session = true",
            "clean_session = true\nreceive_maximum = 0",
            16,
            "`receive_maximum` cannot be 0; it takes whole numbers from 1 to 65535",
        ),
        ("clean_session = true", "clean_session = true\nmaximum_packet_size = 0", 16, "takes whole numbers from 1 to"),
        ("clean_session = true", "clean_session = true\nkeep_alive = 65536", 16, "from 0 to 65535"),
        (
            "when = \"$kept\"",
            "identifier = 0",
            27,
            "`identifier` cannot be 0; it takes whole numbers from 1 to 268435455",
        ),
        (
            "when = \"$kept\"",
            "share = \"group\"\nno_local = \"$kept\"",
            24,
            "a shared subscription cannot have no_local = true (5.0 MQTT-3.8.3-4); leave one of them out",
        ),
        (
            "[[steps]]\nreceive = \"reader\"\n",
            "[[steps]]\ndisconnect = \"writer\"\nsession_expiry = 60\n",
            37,
            "\"writer\" cannot disconnect with a session_expiry: its CONNECT had 0",
        ),
        // In cells with kept=true alone.
        (
            "receive = \"reader\"\n",
            "disconnect = \"reader\"\nsession_expiry = 60\n",
            37,
            "connect it with clean_session = false or with a session_expiry",
        ),
    ]);
    let sound = SOUND.replace("receive = \"reader\"\n", "disconnect = \"reader\"\nsession_expiry = 0\n");
    Scenario::parse("mine.toml", &sound).unwrap();
    let prolonged = SOUND
        .replace("connect = \"reader\"\n", "connect = \"reader\"\nsession_expiry = 1\n")
        .replace("receive = \"reader\"\n", "disconnect = \"reader\"\nsession_expiry = 60\n");
    Scenario::parse("mine.toml", &prolonged).unwrap();
    // 3.1.1 has neither option, so it leaves them out.
    let v3 = SOUND.replace("protocol = [\"3.1.1\", \"5.0\"]", "protocol = [\"3.1.1\"]");
    let v3 = v3.replace("when = \"$kept\"", "share = \"group\"\nno_local = true\nwhen = \"$kept\"");
    Scenario::parse("mine.toml", &v3).unwrap();
}

/// The error as it is printed.
fn printed(sound: &str, mistaken: &str) -> String {
    error_of(&SOUND.replacen(sound, mistaken, 1)).to_string()
}

#[test]
fn a_mistake_is_shown_with_its_line_and_a_mark_under_the_place() {
    assert!(
        printed("receive = \"reader\"", "recieve = \"reader\"")
            .ends_with("\n   |\n37 | recieve = \"reader\"\n   | ^^^^^^^")
    );
    assert!(printed("qos = 2", "qos = 3").ends_with("\n   |\n32 | qos = 3\n   |       ^"));
    // Of the TOML, of a value, and of what a step means among the others.
    assert!(printed("name = \"mine\"", "name = mine").ends_with("\n  |\n1 | name = mine\n  |        ^^^^"));
    assert!(
        printed("connect = \"writer\"", "connect = \"reader\"")
            .ends_with("\n   |\n21 | connect = \"reader\"\n   | ^^^^^^^")
    );
    assert!(printed("kept = [", "idle = [1]\nkept = [").ends_with("\n  |\n7 | idle = [1]\n  | ^^^^"));
    // What the whole file lacks has no place in it.
    assert!(!printed("name = \"mine\"\n", "").contains('\n'));
}

#[test]
fn a_slip_is_guessed() {
    for (sound, mistaken, meant) in [
        ("receive = \"reader\"", "recieve = \"reader\"", "did you mean \"receive\"?"),
        ("receive = \"reader\"", "receive = \"raeder\"", "did you mean \"reader\"?"),
        ("clean_session = true", "clean_sesion = true", "did you mean \"clean_session\"?"),
        ("retain = false", "retian = false", "did you mean \"retain\""),
        ("protocol = \"$protocol\"", "protocol = \"$protcol\"", "did you mean \"protocol\"?"),
        ("when = \"$kept\"", "when = \"$ket=true\"", "did you mean \"kept\"?"),
        ("question = ", "qestion = ", "did you mean \"question\"?"),
    ] {
        assert!(printed(sound, mistaken).contains(meant), "{}", printed(sound, mistaken));
    }
    for (sound, mistaken) in [("receive = \"reader\"", "expect = 10"), ("qos = 2", "qos = 3"), ("\"$qos\"", "\"$x\"")] {
        assert!(!printed(sound, mistaken).contains("did you mean"), "{}", printed(sound, mistaken));
    }
}

#[test]
fn a_file_that_cannot_be_read_names_the_built_in_scenarios() {
    let error = Scenario::load("no/such/file.toml").unwrap_err();
    assert_eq!(error.line, None);
    assert!(error.to_string().starts_with("no/such/file.toml: it cannot be read ("), "{error}");
    assert!(
        error.why.contains("name a file, or a built-in scenario: matrix, tutorial, backlog, away, queue"),
        "{error}"
    );
}

#[test]
fn no_cut_of_a_scenario_breaks_the_reader() {
    for end in 0..SOUND.len() {
        // A cut may leave a sound scenario; what counts is that a mistake has a line inside of the text.
        if let Err(error) = Scenario::parse("mine.toml", &SOUND[..end]) {
            let lines = SOUND[..end].lines().count().max(1);
            assert!(error.line.is_some_and(|line| (1..=lines).contains(&line)), "{error}");
        }
    }
}
