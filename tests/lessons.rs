//! Scenarios with lessons: what the file may say, the cells that it spans, and what people read of them.

mod made_up;

use insta::assert_snapshot;
use made_up::{results, told, tried};
use mqtt_sessions::history::History;
use mqtt_sessions::judge;
use mqtt_sessions::plan::{Cell, Settings, cells};
use mqtt_sessions::report::{self, Control, ControlPlayed, Palette, Teaching, Told, terminal};
use mqtt_sessions::results::{CellResult, Results, Verdict};
use mqtt_sessions::scenario::{Scenario, ScenarioError};

const SETTINGS: Settings = Settings::of(2);

/// Two lessons without a mistake; the second one has a step more in 5.0.
const SOUND: &str = r#"name = "mine"
question = "What is there after a return?"
axes.protocol = ["3.1.1", "5.0"]

[[lessons]]
name = "kept"
title = "What waits for a reader"
question = "Is the message there?"
tutorial = "It expects everything."
expected = "all"
actual = "none"
conclusion = "The message has to be there."
advice = "Look twice."
statements = ["3.1.1 MQTT-4.5.0-1", "5.0 MQTT-4.5.0-1", "3.1.1 MQTT-3.1.3-7"]
clients.reader = { protocol = "$protocol", clean_session = false }
clients.writer = { protocol = "$protocol", clean_session = true }
steps = [
    { connect = "reader" },
    { connect = "writer" },
    { subscribe = "reader", qos = 1 },
    { disconnect = "reader" },
    { publish = "writer", qos = 1 },
    { connect = "reader" },
    { receive = "reader" },
]

[[lessons]]
name = "nameless"
question = "Who may be without a name?"
statements = ["5.0 MQTT-3.1.3-7"]
clients.nameless = { protocol = "$protocol", clean_session = true, client_id = "" }
steps = [
    { connect = "nameless" },
    { disconnect = "nameless", when = "$protocol=5.0" },
]
"#;

fn sound() -> Scenario {
    Scenario::parse("mine.toml", SOUND).unwrap()
}

fn ids(cells: &[Cell]) -> Vec<&str> {
    cells.iter().map(|cell| cell.id.as_str()).collect()
}

#[test]
fn the_lesson_is_the_first_axis() {
    let scenario = sound();
    let cells = cells(&scenario, SETTINGS);
    assert_eq!(
        ids(&cells),
        [
            "mine[lesson=kept,protocol=3.1.1]",
            "mine[lesson=kept,protocol=5.0]",
            "mine[lesson=nameless,protocol=3.1.1]",
            "mine[lesson=nameless,protocol=5.0]",
        ]
    );
    assert_eq!(cells.iter().map(|cell| cell.steps.len()).collect::<Vec<_>>(), [7, 7, 1, 2]);
    assert_eq!(scenario.question_of(&cells[2].axes), "Who may be without a name?");
    let axes: Vec<&str> = scenario.axes.iter().map(|axis| axis.name.as_str()).collect();
    assert_eq!(axes, ["lesson", "protocol"]);
}

#[test]
fn a_lesson_can_be_written_as_a_scenario_of_its_own() {
    let scenario = sound();
    let cell = &cells(&scenario, SETTINGS)[3];
    let text = scenario.written_for(&cell.axes, SETTINGS.messages, &cell.id);
    assert!(text.contains("question = \"Who may be without a name?\""), "{text}");
    let again = Scenario::parse("written.toml", &text).unwrap();
    assert_eq!(cells(&again, SETTINGS)[0].steps, cell.steps);
}

/// Puts each mistake into the sound scenario and compares the line and a phrase of the sentence.
#[test]
fn every_mistake_has_its_line() {
    let cases = [
        (
            "[[lessons]]\nname = \"kept\"",
            "steps = []\n[[lessons]]\nname = \"kept\"",
            5,
            "`steps` and `lessons` exclude",
        ),
        (
            "axes.protocol = [\"3.1.1\", \"5.0\"]",
            "axes.protocol = [\"5.0\"]\naxes.lesson = [1]",
            4,
            "is an axis \"lesson\" already",
        ),
        ("name = \"nameless\"", "name = \"kept\"", 28, "there is a lesson \"kept\" already"),
        ("name = \"nameless\"", "name = \"No name\"", 28, "\"No name\" cannot name the lesson"),
        ("name = \"nameless\"\n", "", 27, "a lesson needs the key `name`"),
        ("question = \"Who may be without a name?\"\n", "", 27, "a lesson needs the key `question`"),
        ("statements = [\"5.0 MQTT-3.1.3-7\"]\n", "", 27, "a lesson needs the key `statements`"),
        ("\"5.0 MQTT-3.1.3-7\"", "\"5.0 MQTT-3.1.3-99\"", 30, "there is no statement \"5.0 MQTT-3.1.3-99\""),
        ("\"5.0 MQTT-3.1.3-7\"", "\"MQTT-3.1.3-7\"", 30, "texts such as \"3.1.1 MQTT-3.1.2-5\""),
        ("[\"5.0 MQTT-3.1.3-7\"]", "[]", 30, "`statements` takes an array of texts"),
        ("expected = \"all\"", "expected = 3", 10, "`expected` takes a text in quotes"),
        (
            "actual = \"none\"",
            "found = \"none\"",
            11,
            "unknown key `found`; a lesson takes name, title, question, tutorial",
        ),
        ("    { connect = \"nameless\" },\n", "", 33, "\"nameless\" cannot disconnect here"),
        (
            "clients.writer",
            "clients.idle = { protocol = \"5.0\", clean_session = true }\nclients.writer",
            16,
            "client \"idle\" has no step",
        ),
        ("axes.protocol", "axes.idle = [1]\naxes.protocol", 3, "axis \"idle\" is never used"),
    ];
    let mut wrong = Vec::new();
    for (sound, mistaken, line, phrase) in cases {
        assert!(SOUND.contains(sound), "the sound scenario has no {sound:?}");
        match Scenario::parse("mine.toml", &SOUND.replacen(sound, mistaken, 1)) {
            Err(ScenarioError { line: Some(at), why, .. }) if at == line && why.contains(phrase) => {}
            other => wrong.push(format!("{mistaken:?}, expected at line {line}: {:?}", other.map(|_| ()))),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(Scenario::parse("mine.toml", "name = \"a\"\nquestion = \"b\"\nlessons = []").is_err());
}

fn teaching() -> Teaching {
    let scenario = sound();
    let cells = cells(&scenario, SETTINGS);
    let lessons = scenario.parts.into_iter().filter_map(|part| part.lesson).collect();
    Teaching { scenario: scenario.name, question: scenario.question, lessons, cells }
}

/// What the harness would have written down, as far as a lesson tells it: a message is lost in 5.0.
fn history(protocol: &str) -> String {
    let (clean, lost) = match protocol {
        "3.1.1" => ("clean_session", ""),
        _ => ("clean_start", "#"),
    };
    let text = format!(
        "step 1 connect reader
reader -> CONNECT protocol={protocol} {clean}=0 keep_alive=60 client_id=reader
reader <- CONNACK session_present=0 code=0x00
step 2 connect writer
writer -> CONNECT protocol={protocol} {clean}=1 keep_alive=60 client_id=writer
writer <- CONNACK session_present=0 code=0x00
step 3 subscribe reader
reader -> SUBSCRIBE id=1 filter=t qos=1
reader <- SUBACK id=1 code=0x01
step 4 disconnect reader
reader -> DISCONNECT
reader <- end fin
step 5 publish writer
writer -> PUBLISH dup=0 qos=1 retain=0 topic=t id=1 payload=m1
writer <- PUBACK id=1
writer -> PUBLISH dup=0 qos=1 retain=0 topic=t id=2 payload=m2
writer <- PUBACK id=2
step 6 connect reader
reader -> CONNECT protocol={protocol} {clean}=0 keep_alive=60 client_id=reader
reader <- CONNACK session_present=1 code=0x00
reader <- PUBLISH dup=0 qos=1 retain=0 topic=t id=1 payload=m1
{lost}reader <- PUBLISH dup=0 qos=1 retain=0 topic=t id=2 payload=m2
step 7 receive reader
reader <- PUBLISH dup=0 qos=1 retain=0 topic=t id=3 payload=fence1
"
    );
    text.lines().filter(|line| !line.starts_with('#')).map(|line| format!("{line}\n")).collect()
}

fn result(cell: &Cell, history: &str, verdict: Verdict) -> CellResult {
    let judgement = judge::judge(cell, &History::parse(history.lines()).unwrap());
    let judged = judge::combine(cell, vec![judgement]).result;
    // The histories here are shorter than those that suffice for a verdict.
    CellResult { verdict, reason: None, violations: Vec::new(), ..judged }
}

fn lessons() -> (Teaching, Results) {
    let teaching = teaching();
    let [kept_v3, kept_v5, nameless_v3, nameless_v5] = &teaching.cells[..] else { panic!("four cells") };
    let assigned = "step 1 connect nameless
nameless <- CONNACK session_present=0 code=0x00 assigned_client_id=assigned1
step 2 disconnect nameless
nameless -> DISCONNECT";
    let played = [
        (kept_v3, history("3.1.1"), Verdict::Pass),
        (kept_v5, history("5.0"), Verdict::Fail),
        (nameless_v3, "step 1 connect nameless\nnameless <- CONNACK session_present=0 code=0x02".into(), Verdict::Pass),
        (nameless_v5, assigned.into(), Verdict::Pass),
    ];
    let mut results = results(played.iter().map(|(cell, history, verdict)| result(cell, history, *verdict)).collect());
    for (cell, history, _) in &played {
        results.run.cells.insert(cell.id.clone(), tried(&[&history.lines().collect::<Vec<_>>()]));
    }
    (teaching, results)
}

/// The part of the text before the findings.
fn taught() -> String {
    let (teaching, results) = lessons();
    let text = terminal(&Told { teachings: &[teaching], ..told(&results) }, Palette::Plain);
    text.split_once("\n✗ fail").map_or(text.clone(), |(lessons, _)| lessons.to_owned())
}

#[test]
fn lessons_say_what_was_done_what_happened_and_why() {
    assert_snapshot!(taught(), @"
What is there after a return?

                             the tutorial
lesson session    QoS retain expects found here
─────────────────────────────────────────────────────────────────────
kept   persistent 1→1 no     all     none  3.1.1: all ✓ 5.0: 1 of 2 ✗

QoS 1→0: published at QoS 1, subscribed at QoS 0
✓ right   ✗ breaks a MUST

A persistent session is clean_session=false; in MQTT 5.0 it is Clean Start 0
with a Session Expiry Interval. m1, m2 and so on are the messages. A line that
names no version of MQTT is true of each version that was played.
Packet by packet: mqtt-sessions explain 'mine[lesson=kept,protocol=3.1.1]' --broker mqtt://127.0.0.1:1883

kept: What waits for a reader
Is the message there?

  1  reader connects: persistent session       no session there: a new one
  2  writer connects: clean session            a new session
  3  reader subscribes to t at QoS 1           granted QoS 1
  4  reader disconnects
  5  writer publishes m1 and m2 at QoS 1       acknowledged
  6  reader connects: persistent session       its session is there
  7  reader takes what comes                   3.1.1: m1 m2 at QoS 1
                                               5.0: m1 at QoS 1

  Tutorial  It expects everything.
            expected: all; found: none; here: 3.1.1: all ✓ 5.0: 1 of 2 ✗
  Why       The standard tells every broker:
            - Add an accepted message to the Session of every client with a
              matching subscription. [3.1.1 MQTT-4.5.0-1, 5.0 MQTT-4.5.0-1]
            The standard tells every client:
            - Ask for Clean Session 1 when the client identifier is empty.
              [3.1.1 MQTT-3.1.3-7]
  So        The message has to be there.
  Open      The standard leaves open what this broker chose: Messages come that
            no subscription of the session explains.
  Verdict   3.1.1: ✓ pass   5.0: ✗ fail
  To do     Look twice.

nameless
Who may be without a name?

  1  nameless connects without an id: clean    3.1.1: refused with 0x02
     session                                   5.0: a new session, the broker
                                               assigns an id
  2  nameless disconnects (in 5.0)

  Why       The standard tells every broker:
            - Tell a client that came with an empty client identifier in the
              CONNACK which one it was given. [5.0 MQTT-3.1.3-7]
  Verdict   ✓ pass

Left open by the standard, chosen by this broker
  - Messages come that no subscription of the session explains (1 cell).
");
}

#[test]
fn a_declared_queue_limit_is_told_as_declared() {
    let (teaching, mut results) = lessons();
    results.options.queue_limit = Some(10);
    for cell in &mut results.cells {
        cell.choices = [("queue_full".to_owned(), "drop_newest".to_owned())].into();
    }
    let text = terminal(&Told { teachings: &[teaching], ..told(&results) }, Palette::Plain);
    assert!(text.contains("  Open      You declared a queue limit of 10, and what is beyond it is not\n"), "{text}");
}

/// A broker that refuses to be played with says nothing about messages.
#[test]
fn what_was_not_played_is_never_none() {
    let (teaching, mut results) = lessons();
    let refused = "step 1 connect reader
reader -> CONNECT protocol=3.1.1 clean_session=0 keep_alive=60 client_id=reader
reader <- CONNACK session_present=0 code=0x05
reader <- end fin";
    for cell in &teaching.cells[..2] {
        results.run.cells.insert(cell.id.clone(), tried(&[&refused.lines().collect::<Vec<_>>()]));
        let place = results.cells.iter().position(|result| result.id == cell.id).unwrap();
        results.cells[place] = result(cell, refused, Verdict::Inconclusive);
    }
    let text = terminal(&Told { teachings: &[teaching], ..told(&results) }, Palette::Plain);
    assert!(text.contains("kept   persistent 1→1 no     all     none  not played ?"), "{text}");
    assert!(text.contains("expected: all; found: none; here: not played ?"), "{text}");
}

#[test]
fn colours_change_no_word() {
    let (teaching, results) = lessons();
    let teachings = [teaching];
    let text = |palette| terminal(&Told { teachings: &teachings, ..told(&results) }, palette);
    let (plain, coloured) = (text(Palette::Plain), text(Palette::Coloured));
    assert_ne!(coloured, plain);
    assert_eq!(anstream::adapter::strip_str(&coloured).to_string(), plain);
}

/// What another client got in the first lesson.
fn with_other_client(history: Result<&str, &str>) -> String {
    let (teaching, results) = lessons();
    let history = history.map(|text| History::parse(text.lines()).unwrap()).map_err(str::to_owned);
    let refused = Err("not played: it asks for no such thing".into());
    let played = vec![
        ControlPlayed { id: teaching.cells[0].id.clone(), history },
        ControlPlayed { id: teaching.cells[2].id.clone(), history: refused },
    ];
    report::control(&results, &[teaching], &Control { client: "rumqttc", played }, Palette::Plain)
}

#[test]
fn two_clients_that_agree() {
    assert_snapshot!(with_other_client(Ok(&history("3.1.1"))), @"
Is it the broker or my client? The same in 3.1.1 with rumqttc

  lesson               this tool                    rumqttc
────────────────────────────────────────────────────────────────────────────────
  kept                 m1 m2 at QoS 1               m1 m2 at QoS 1
  nameless             refused with 0x02            not played: it asks for no
                                                    such thing

In every lesson that both played they got the same, so no failure there is
caused by the client.
");
}

#[test]
fn two_clients_that_differ() {
    let without_m2 = history("3.1.1")
        .lines()
        .filter(|line| !line.contains("reader <- PUBLISH") || !line.contains("m2"))
        .collect::<Vec<_>>()
        .join("\n");
    assert_snapshot!(with_other_client(Ok(&without_m2)), @"
Is it the broker or my client? The same in 3.1.1 with rumqttc

  lesson               this tool                    rumqttc
────────────────────────────────────────────────────────────────────────────────
≠ kept                 m1 m2 at QoS 1               m1 at QoS 1
  nameless             refused with 0x02            not played: it asks for no
                                                    such thing

Where they differ
  kept, step 7: reader takes what comes
    this tool  m1 m2 at QoS 1
    rumqttc    m1 at QoS 1
");
}

#[test]
fn a_client_that_did_not_come_to_the_end() {
    let text = with_other_client(Err("broken off: step 7 receive reader: no answer within 5 s"));
    assert!(text.contains("no answer within 5 s"), "{text}");
    let broken_off = history("3.1.1").split("step 6").next().unwrap().to_owned();
    let text = with_other_client(Ok(&broken_off));
    assert!(text.contains("kept, step 7: reader takes what comes"), "{text}");
}
