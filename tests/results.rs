//! The results file: what is written is what the schema says, and what cannot be used is refused.

mod made_up;

use std::path::Path;

use insta::assert_snapshot;
use made_up::{bend, lose, matrix};
use mqtt_sessions::history::History;
use mqtt_sessions::judge::judge_helpers;
use mqtt_sessions::results::{HelperEvidence, Results, ResultsError};
use serde_json::{Value, json};

fn sample() -> Results {
    let mut results = matrix();
    bend(&mut results, &["publish_qos=1,subscribe_qos=1"], lose);
    results
}

fn as_value(results: &Results) -> Value {
    serde_json::from_str(&results.to_json()).expect("it is JSON")
}

fn refusal(text: &str) -> String {
    Results::parse("old.json", text).expect_err("it is no use").to_string()
}

#[test]
fn what_is_written_is_valid() {
    let schema = serde_json::to_value(Results::schema()).expect("a schema is JSON");
    let validator = jsonschema::validator_for(&schema).expect("the schema is one");
    let sample = as_value(&sample());
    assert!(validator.is_valid(&sample), "{:?}", validator.iter_errors(&sample).next().map(|error| error.to_string()));
}

#[test]
fn no_key_is_ever_absent() {
    let schema = serde_json::to_value(Results::schema()).expect("a schema is JSON");
    let validator = jsonschema::validator_for(&schema).expect("the schema is one");
    let sample = as_value(&sample());
    let copy = "/cells/32/received/0";
    for object in ["", "/format", "/broker", "/options", "/run", "/summary", "/cells/0", copy] {
        let keys: Vec<String> = match sample.pointer(object) {
            Some(Value::Object(object)) => object.keys().cloned().collect(),
            other => panic!("{object} is {other:?}"),
        };
        for key in keys {
            let mut without = sample.clone();
            let object = without.pointer_mut(object).and_then(Value::as_object_mut).expect("it was there");
            object.remove(&key);
            assert!(!validator.is_valid(&without), "without {key}");
        }
    }
    assert_eq!(sample.pointer("/options/queue_limit"), Some(&Value::Null));
}

#[test]
fn a_file_comes_back_as_it_was_written() {
    let text = sample().to_json();
    let read = Results::parse("new.json", &text).expect("it was just written");
    assert_eq!(read, sample());
    assert_eq!(read.to_json(), text);
}

#[test]
fn axes_keep_their_order() {
    let text = sample().to_json();
    let place = |axis: &str| text.find(&format!("\"{axis}\": ")).unwrap_or_else(|| panic!("no {axis}"));
    let axes = ["protocol", "clean_session", "publish_qos", "subscribe_qos", "retain", "resubscribe"];
    let start = text.find("\"axes\"").expect("cells have axes");
    let text = &text[start..];
    let places: Vec<usize> = axes.iter().map(|axis| text.find(&format!("\"{axis}\": ")).expect("the axis")).collect();
    assert!(places.is_sorted(), "{places:?}");
    assert!(place("format") < place("cells"));
}

#[test]
fn keys_of_a_newer_minor_version_are_passed_over() {
    let text = sample().to_json();
    let newer = text.replacen("\"minor\": 3", "\"minor\": 9", 1);
    let newer = newer.replacen('{', "{\"mood\": \"good\",", 1).replace("\"dup\":", "\"mood\": [1, {}], \"dup\":");
    let newer = newer.replace("\"attempts\":", "\"mood\": null, \"attempts\":");
    assert_eq!(
        newer.matches("mood").count(),
        1 + text.matches("\"dup\"").count() + text.matches("\"attempts\"").count()
    );
    let read = Results::parse("newer.json", &newer).expect("a minor version only adds");
    assert!(read.cells == sample().cells && read.run == sample().run);
}

#[test]
fn what_cannot_be_used_is_refused_with_a_sentence() {
    let text = sample().to_json();
    let mut other = as_value(&sample());
    other["format"]["name"] = json!("hyperfine");
    let mut newer = as_value(&sample());
    newer["format"]["major"] = json!(3);
    let mut lacking = as_value(&sample());
    lacking["cells"][0].as_object_mut().expect("a cell").remove("verdict");

    assert_snapshot!(refusal(""), @"old.json is not a results file of mqtt-sessions: it is cut off: EOF while parsing a value at line 1 column 0; write one with --export-json");
    assert_snapshot!(refusal("{\"results\": []}"), @"old.json is not a results file of mqtt-sessions: missing field `format` at line 1 column 15; write one with --export-json");
    assert_snapshot!(refusal("hello"), @"old.json is not a results file of mqtt-sessions: expected value at line 1 column 1; write one with --export-json");
    assert_snapshot!(refusal(&other.to_string()), @r#"old.json is not a results file of mqtt-sessions: its format is "hyperfine"; write one with --export-json"#);
    assert_snapshot!(refusal(&newer.to_string()), @"old.json has format 3.3, and this version reads 2.x; use a newer mqtt-sessions");
    assert_snapshot!(refusal(&newer.to_string().replace("\"major\":3", "\"major\":1")), @"old.json has format 1.3, and this version reads 2.x; measure the broker again and write the file anew with --export-json");
    assert!(refusal(&lacking.to_string()).contains("missing field `verdict`"));
    for length in [1, 50, text.len() / 2, text.len() - 3] {
        let cut: String = text.chars().take(length).collect();
        assert!(refusal(&cut).contains("it is cut off"), "{length}: {}", refusal(&cut));
    }
}

#[test]
fn a_path_that_cannot_be_read_is_named() {
    for path in ["no/such/file.json", env!("CARGO_MANIFEST_DIR")] {
        let error = Results::load(Path::new(path)).expect_err("it is no file");
        assert!(matches!(error, ResultsError::Read { .. }) && error.to_string().contains(path), "{error}");
    }
}

/// A witness to which the broker sends a copy above the QoS that was granted.
const WITNESSED: &str = "0.0 step 0 connect witness
0.1 witness#1 -> CONNECT protocol=3.1.1 clean_session=1 keep_alive=60 client_id=witness
0.2 witness#1 <- CONNACK session_present=0 code=0x00
0.3 witness#1 <- PUBLISH topic=?x qos=1 retain=0 dup=0 id=1 payload=?x";

#[test]
fn what_helpers_show_is_judged_once_for_the_broker() {
    let history = History::parse(WITNESSED.lines()).expect("it is a history");
    let quiet = History::parse(WITNESSED.lines().take(3)).expect("it is a history");
    let (findings, run) = judge_helpers(&[quiet, history.clone(), history]);
    let cited: Vec<&str> = findings.violations.iter().map(|violation| violation.statement.as_str()).collect();
    assert_eq!(cited, ["MQTT-3.8.4-6"]);
    assert_eq!(run.evidence, [HelperEvidence { violation: 0, history: 2, events: vec![4] }]);
    assert_eq!(run.lines_of(0), [(4, WITNESSED.lines().last().expect("it has lines"))]);
    assert_eq!(judge_helpers(&run.parsed().expect("they are histories")), (findings, run));
}
