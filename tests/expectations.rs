//! Known deviations: what a file may say, what it covers, and what is added to it.

mod made_up;

use std::fs;
use std::path::Path;

use insta::assert_snapshot;
use made_up::{bend, keep, lose, matrix, told};
use mqtt_sessions::compare::{FailOn, Kind, compare};
use mqtt_sessions::exit_code::ExitCode;
use mqtt_sessions::expectations::{Assessment, Expectations, Known, places};
use mqtt_sessions::report::{Palette, Told, terminal};
use mqtt_sessions::results::{Results, Verdict};

const LOST: &str = "clean_session=false,publish_qos=1,subscribe_qos=1";

fn broken() -> Results {
    let mut results = matrix();
    bend(&mut results, &[LOST], lose);
    results
}

fn known(text: &str) -> Known {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("known.toml");
    fs::write(&path, text).unwrap();
    Known::load(Some(&path), false, places([])).unwrap()
}

fn assessed(text: &str, results: &Results) -> Assessment {
    known(text).assess(results)
}

fn mistake(text: &str) -> String {
    Expectations::parse("known.toml", text, &places([])).unwrap_err().to_string()
}

const BY_CELLS: &str = r#"
[[known]]
broker = "Example"
cells = ["matrix[clean_session=false,publish_qos=1,subscribe_qos=1]"]
reason = "it keeps nothing"
link = "https://example.org/issues/1"
"#;

#[test]
fn what_is_known_fails_nothing() {
    let results = broken();
    assert_eq!(ExitCode::of_results(&results, &Assessment::default()), ExitCode::Failed);
    let by_statement = "[[known]]\nstatements = [\"MQTT-3.1.2-5\", \"MQTT-4.5.0-1\"]\nreason = \"it keeps nothing\"";
    for text in [BY_CELLS, by_statement] {
        let assessment = assessed(text, &results);
        assert_eq!(assessment.cells.len(), 8, "{text}");
        assert_eq!(ExitCode::of_results(&results, &assessment), ExitCode::Success);
    }
    for other in [
        BY_CELLS.replace("Example", "another"),
        BY_CELLS.replace("publish_qos=1", "publish_qos=2"),
        by_statement.replace("MQTT-4.5.0-1", "MQTT-4.6.0-6"),
    ] {
        assert_eq!(ExitCode::of_results(&results, &assessed(&other, &results)), ExitCode::Failed, "{other}");
    }
}

#[test]
fn a_further_statement_is_never_hidden() {
    let text = BY_CELLS.to_owned() + "statements = [\"MQTT-3.1.2-5\", \"MQTT-4.5.0-1\"]\n";
    let mut results = broken();
    assert_eq!(assessed(&text, &results).cells.len(), 8);
    bend(&mut results, &[LOST, "3.1.1", "retain=false,resubscribe=false"], |cell| {
        let mut order = cell.violations[0].clone();
        order.statement = "MQTT-4.6.0-6".into();
        cell.violations.push(order);
    });
    let assessment = assessed(&text, &results);
    assert_eq!(assessment.cells.len(), 7);
    assert_eq!(ExitCode::of_results(&results, &assessment), ExitCode::Failed);
}

#[test]
fn what_passes_again_is_mended_where_all_of_it_was_measured() {
    let mended = |results: &Results| assessed(BY_CELLS, results).of_broker[0].mended.clone();
    assert_eq!(mended(&broken()), [""; 0]);
    let pattern = "matrix[clean_session=false,publish_qos=1,subscribe_qos=1]";
    assert_eq!(mended(&matrix()), [pattern]);
    let mut unclear = matrix();
    bend(&mut unclear, &[LOST, "3.1.1", "retain=true,resubscribe=true"], |cell| cell.verdict = Verdict::Inconclusive);
    assert_eq!(mended(&unclear), [""; 0]);
    let mut part = matrix();
    keep(&mut part, &["3.1.1"]);
    assert_eq!(mended(&part), [""; 0]);
    let statement = "[[known]]\nstatements = [\"MQTT-3.1.2-5\"]\nreason = \"x\"";
    // The matrix alone does not show that a statement is kept everywhere.
    assert_eq!(assessed(statement, &matrix()).of_broker[0].mended, [""; 0]);
}

#[test]
fn a_report_tells_them_apart() {
    let mut results = broken();
    bend(
        &mut results,
        &["clean_session=false,publish_qos=2,subscribe_qos=2,retain=true,resubscribe=true", "5.0"],
        lose,
    );
    let also = "\n[[known]]\ncells = [\"matrix[publish_qos=0]\"]\nreason = \"it was so\"\n[[known]]\nbroker = \"another\"\n\
                statements = [\"MQTT-3.1.2-5\"]\nreason = \"elsewhere\"";
    let assessment = assessed(&(BY_CELLS.to_owned() + also), &results);
    let assessment = Assessment { file: Some("known.toml".into()), ..assessment };
    let text = terminal(&Told { known: &assessment, ..told(&results) }, Palette::Plain);
    let (_, findings) = text.split_once("\n✗ fail").unwrap();
    assert_snapshot!(findings, @"
 in 1 cell
  matrix[protocol=5.0,clean_session=false,publish_qos=2,subscribe_qos=2,retain=true,resubscribe=true]
  Cited        MQTT-4.5.0-1 (MQTT 5.0, MUST): Add an accepted message to the
               Session of every client with a matching subscription.
  Expected     messages 1 to 3 at the lower QoS of publication and subscription,
               before the fence
  Observed     none of them; the fence of the same publisher, topic and QoS
               arrived
  Events        1  12.3 publisher#1 <- PUBACK id=3
                2  14.0 subscriber#2 <- CONNACK session_present=1 code=0x00
  Repeat with  mqtt-sessions matrix --filter 'matrix[protocol=5.0,clean_session=false,publish_qos=2,subscribe_qos=2,retain=true,resubscribe=true]' --broker mqtt://127.0.0.1:1883
  Explain with mqtt-sessions explain 'matrix[protocol=5.0,clean_session=false,publish_qos=2,subscribe_qos=2,retain=true,resubscribe=true]' --broker mqtt://127.0.0.1:1883

Known deviations, from known.toml
✗ known   1. it keeps nothing (8 cells) https://example.org/issues/1
✓ mended  2. matrix[publish_qos=0] fails no more; take it out of the file
  1 more of other brokers; this is example

144 cells: 9 fail, 135 pass
8 of those that fail are known, and fail nothing here
");
}

#[test]
fn with_a_baseline_what_is_known_does_not_get_worse() {
    let results = broken();
    let mut comparison = compare(&matrix(), &results, None).unwrap();
    assert!(comparison.fails(&[]));
    comparison.excuse(&assessed(BY_CELLS, &results));
    assert_eq!((comparison.count(Kind::Known), comparison.fails(&[])), (8, false));
    assert!(!comparison.fails(&[FailOn::Worse, FailOn::Changed, FailOn::Gone, FailOn::New]));
    let mut unknown = compare(&matrix(), &results, None).unwrap();
    unknown.excuse(&assessed(&BY_CELLS.replace("=false", "=true"), &results));
    assert!(unknown.fails(&[]));
}

#[test]
fn mistakes_are_told_with_their_place() {
    let said = |text: &str| mistake(text);
    assert_snapshot!(said("[[known]]\nreson = \"x\"\n"), @"known.toml:2: unknown field `reson`, expected one of `broker`, `cells`, `statements`, `reason`, `link`; each [[known]] has a reason, cells or statements or both, and may have broker and link");
    assert_snapshot!(said("[[known]]\nreason = \"x\"\n[[know]]\n"), @"known.toml:3: unknown field `know`, expected `known`; each [[known]] has a reason, cells or statements or both, and may have broker and link");
    assert_snapshot!(said("[[known]]\ncells = [\"matrix[\"]\nreason = \"x\"\n"), @"known.toml:2: \"matrix[\" names no cells; write scenario or scenario[axis=value|value,...]");
    assert_snapshot!(said("[[known]]\nreason = \"x\"\n"), @"known.toml: known deviation 1: it names neither cells nor statements; add one of them");
    assert_snapshot!(said("[[known]]\ncells = [\"matrix\"]\nreason = \" \"\n"), @"known.toml: known deviation 1: its reason is empty; write why it fails");
    assert_snapshot!(said("[[known]]\nstatements = [\"MQTT-9.9.9-9\"]\nreason = \"x\"\n"), @"known.toml: known deviation 1: no statement has the id \"MQTT-9.9.9-9\"; `mqtt-sessions list --statements` prints the ids");
    assert_snapshot!(said("[[known]]\ncells = [\"matrix[publish_qos=7]\"]\nreason = \"x\"\n"), @"known.toml: known deviation 1: no cell is matrix[publish_qos=7]; `mqtt-sessions list matrix` prints the cells");
    assert_snapshot!(said("[[known]]\ncells = [\n"), @"known.toml:2: unclosed array, expected `]`; each [[known]] has a reason, cells or statements or both, and may have broker and link");
    let missing = Known::load(Some(Path::new("/no/such/file")), false, Vec::new()).unwrap_err().to_string();
    assert!(missing.starts_with("cannot read /no/such/file: ") && missing.contains("--accept"), "{missing}");
}

#[test]
fn what_fails_is_added_and_what_stands_there_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("known.toml");
    let mut results = broken();
    let mut empty = Known::load(Some(&path), true, places([])).unwrap();
    assert_eq!(empty.accept(&results), Ok(2));
    assert_eq!(empty.assess(&results).cells.len(), 8);
    let text = fs::read_to_string(&path).unwrap();
    assert_snapshot!(text, @"
[[known]]
broker = \"example\"
cells = [\"matrix[protocol=3.1.1,clean_session=false,publish_qos=1,subscribe_qos=1]\"]
statements = [\"MQTT-3.1.2-5\"]
reason = \"to be filled in\"

[[known]]
broker = \"example\"
cells = [\"matrix[protocol=5.0,clean_session=false,publish_qos=1,subscribe_qos=1]\"]
statements = [\"MQTT-4.5.0-1\"]
reason = \"to be filled in\"
");
    let edited = format!("# ours\n{}", text.replacen("to be filled in", "it keeps nothing", 1));
    fs::write(&path, &edited).unwrap();
    bend(&mut results, &["clean_session=false,publish_qos=2,subscribe_qos=2", "5.0"], lose);
    let mut more = Known::load(Some(&path), true, places([])).unwrap();
    assert_eq!(more.accept(&results), Ok(1));
    assert_eq!(more.accept(&results), Ok(0));
    let merged = fs::read_to_string(&path).unwrap();
    assert!(merged.starts_with(&edited), "{merged}");
    assert_eq!(ExitCode::of_results(&results, &more.assess(&results)), ExitCode::Success);
    fs::write(&path, "known = []\n").unwrap();
    let refused = Known::load(Some(&path), true, places([])).unwrap().accept(&results).unwrap_err().to_string();
    assert!(
        refused.ends_with("nothing can be added to it; write each known deviation as a table [[known]]"),
        "{refused}"
    );
}

#[test]
fn the_schema_describes_the_file() {
    let schema = serde_json::to_value(Expectations::schema()).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let json = |text: &str| serde_json::to_value(toml::from_str::<toml::Value>(text).unwrap()).unwrap();
    assert!(validator.is_valid(&json(BY_CELLS)));
    assert!(!validator.is_valid(&json("[[known]]\nreson = \"x\"")));
    assert!(!validator.is_valid(&json("[[known]]\ncells = [\"matrix\"]")));
}
