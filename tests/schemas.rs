//! The committed JSON Schemas: they are those of the types, and every committed file keeps to them.

use std::fs;
use std::path::{Path, PathBuf};

use jsonschema::Validator;
use mqtt_sessions::expectations::Expectations;
use mqtt_sessions::profile::Profile;
use mqtt_sessions::results::Results;
use mqtt_sessions::scenario::Scenario;
use mqtt_sessions::storm::StormFile;
use serde_json::{Value, json};

fn committed(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// What the types say, and the file that says it to others.
fn schemas() -> [(Value, &'static str); 5] {
    let results = serde_json::to_value(Results::schema()).expect("a schema is JSON");
    let profile = serde_json::to_value(Profile::schema()).expect("a schema is JSON");
    let expectations = serde_json::to_value(Expectations::schema()).expect("a schema is JSON");
    [
        (results, "schemas/results.json"),
        (Scenario::schema(), "schemas/scenario.json"),
        (profile, "schemas/profile.json"),
        (serde_json::to_value(StormFile::schema()).expect("a schema is JSON"), "schemas/storm.json"),
        (expectations, "schemas/expectations.json"),
    ]
}

fn validator(schema: &Value) -> Validator {
    jsonschema::validator_for(schema).expect("the schema is one")
}

/// Renew them with `BLESS=1 cargo test --test schemas`.
#[test]
fn the_committed_schemas_are_those_of_the_types() {
    for (schema, file) in schemas() {
        let schema = serde_json::to_string_pretty(&schema).expect("a schema is JSON") + "\n";
        if std::env::var_os("BLESS").is_some() {
            fs::write(committed(file), &schema).expect("the schema can be written");
        }
        let committed = fs::read_to_string(committed(file)).unwrap_or_default();
        assert!(committed == schema, "{file} is stale: BLESS=1 cargo test --test schemas");
    }
}

#[test]
fn every_committed_file_keeps_to_its_schema() {
    let [(results, _), (scenario, _), (profile, _), ..] = schemas();
    keeps_to(&profile, "results/profiles", "json", |text| serde_json::from_str(text).expect("it is JSON"));
    keeps_to(&results, "results", "json", |text| serde_json::from_str(text).expect("it is JSON"));
    keeps_to(&scenario, "scenarios", "toml", of_toml);
}

fn of_toml(text: &str) -> Value {
    serde_json::to_value(toml::from_str::<toml::Table>(text).expect("it is TOML")).expect("it is a table")
}

/// As the parser takes and refuses it.
#[test]
fn known_deviations_as_they_are_documented_keep_to_their_schema() {
    let [.., (expectations, _)] = schemas();
    let validator = validator(&expectations);
    let readme = fs::read_to_string(committed("README.md")).expect("it can be read");
    let from = readme.find("[[known]]").expect("it has an example");
    let example = &readme[from..][..readme[from..].find("```").expect("the example ends")];
    assert!(validator.is_valid(&of_toml(example)), "{example}");
    for slip in [
        example.replace("reason =", "reasons ="),
        example.replace("reason =", "# reason ="),
        example.replace("cells = [", "cells = [1, "),
        example.replace("[[known]]", "[[knwon]]"),
    ] {
        assert!(!validator.is_valid(&of_toml(&slip)), "{slip}");
    }
}

/// Holds each file with this extension in a folder against a schema.
fn keeps_to(schema: &Value, folder: &str, extension: &str, parse: impl Fn(&str) -> Value) {
    let validator = validator(schema);
    let mut count = 0;
    for entry in fs::read_dir(committed(folder)).expect("the folder is there") {
        let path = entry.expect("it can be listed").path();
        if path.extension().is_some_and(|found| found == extension) {
            let value = parse(&fs::read_to_string(&path).expect("it can be read"));
            let mistake = validator.iter_errors(&value).next();
            assert!(mistake.is_none(), "{}: {}", path.display(), mistake.expect("there is one"));
            count += 1;
        }
    }
    assert!(count > 1, "{folder}");
}

/// What an editor is to mark, as the parser refuses it.
#[test]
fn a_slip_in_a_scenario_is_seen() {
    let validator = validator(&Scenario::schema());
    let scenario = |step: Value| {
        json!({ "name": "mine", "question": "What?", "axes": { "qos": [0, 1] },
            "clients": { "one": { "protocol": "5.0", "clean_session": true } }, "steps": [step] })
    };
    assert!(validator.is_valid(&scenario(json!({ "publish": "one", "qos": "$qos", "messages": 3 }))));
    let slips = [
        json!({ "publish": "one" }),
        json!({ "recieve": "one" }),
        json!({ "publish": "one", "qos": 3 }),
        json!({ "publish": "one", "qos": 1, "timer": "will_delay" }),
        json!({ "wait": "one", "timer": "will-delay", "seconds": 1 }),
        json!({ "connect": "one", "clean_start": 1 }),
    ];
    for slip in slips {
        assert!(!validator.is_valid(&scenario(slip.clone())), "{slip}");
    }
    let mut without_client = scenario(json!({ "connect": "one" }));
    without_client["clients"] = json!({});
    assert!(!validator.is_valid(&without_client));
}

/// No key is left without a word on its values, wherever it may stand.
#[test]
fn every_key_of_a_scenario_is_described() {
    fn look(schema: &Value) {
        // A key may be called `properties` too.
        let is_table = schema.get("additionalProperties") == Some(&Value::Bool(false));
        if let Some(properties) = schema.get("properties").and_then(Value::as_object).filter(|_| is_table) {
            for (key, value) in properties {
                assert!(value.as_object().is_some_and(|value| !value.is_empty()), "{key}");
            }
        }
        match schema {
            Value::Object(object) => object.values().for_each(look),
            Value::Array(array) => array.iter().for_each(look),
            _ => {}
        }
    }
    look(&Scenario::schema());
}
