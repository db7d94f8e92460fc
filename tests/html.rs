//! Made-up results of several brokers -> the page for a browser. What a browser does with it is checked by `.ci/page`.

mod made_up;

use made_up::{bend, keep, lose, matrix};
use mqtt_sessions::report::{Surveyed, html, side_by_side};
use mqtt_sessions::results::{BrokerLabel, Results};
use serde_json::Value;

/// A text that would leave the script, the attribute or the element in which it stands.
const HOSTILE: &str = r#"</script><script>alert(1)</script><!--<img src=x onerror='alert(1)'>"&lt;{{ data }}"#;

fn results(name: &str) -> Results {
    let mut results = matrix();
    keep(&mut results, &["clean_session=false,publish_qos=1"]);
    results.broker = BrokerLabel { name: Some(name.into()), version: Some("1".into()), how: "url".into() };
    results
}

fn surveyed(all: Vec<Results>) -> Vec<Surveyed> {
    let file = |results: Results| Surveyed { file: format!("{}.json", results.broker.how), results };
    all.into_iter().map(file).collect()
}

/// The data of the page, and the page without it.
#[track_caller]
fn taken_apart(page: &str) -> (Value, String) {
    let (before, rest) = page.split_once(r#"<script type="application/json" id="data">"#).expect("no data");
    let (data, behind) = rest.split_once("</script>").expect("the data does not end");
    (serde_json::from_str(data).expect("the data is JSON"), format!("{before}{behind}"))
}

fn texts(data: &Value) -> Vec<&str> {
    data["texts"].as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect()
}

#[test]
fn cells_that_are_alike_in_every_broker_stand_together() {
    let mut bad = results("bad");
    bend(&mut bad, &["protocol=3.1.1", "subscribe_qos=1,retain=false"], lose);
    let page = html(&surveyed(vec![results("good"), bad]));
    let (data, _) = taken_apart(&page);
    let texts = texts(&data);
    let folds = data["scenarios"][0]["folds"].as_array().unwrap();
    let axes = |fold: &Value| -> Vec<String> {
        let values = |axis: &Value| -> String {
            let text = |place: &Value| texts[place.as_u64().unwrap() as usize];
            let values: Vec<&str> = axis[1].as_array().unwrap().iter().map(text).collect();
            format!("{}={}", text(&axis[0]), values.join(","))
        };
        fold["axes"].as_array().unwrap().iter().map(values).collect()
    };
    assert_eq!(folds.iter().map(|fold| fold["rows"].as_u64().unwrap()).sum::<u64>(), 24);
    // What the bad broker lost are two cells of one version.
    let lost = folds.iter().find(|fold| fold["rows"] == 2 && axes(fold).contains(&"subscribe_qos=1".to_owned()));
    assert_eq!(axes(lost.expect("no fold of the two")), ["subscribe_qos=1", "retain=false"]);
    // Brokers are sorted by name: the bad one fails twice.
    let counts = |broker: usize| data["brokers"][broker]["counts"][0].as_u64().unwrap();
    assert_eq!((counts(0), counts(1)), (2, 0));
    assert!(folds.len() < 24, "nothing is folded");
}

#[test]
fn each_command_has_a_place_for_the_id_of_the_cell() {
    let page = html(&surveyed(vec![results("good")]));
    let (data, _) = taken_apart(&page);
    let commands = &data["brokers"][0]["commands"]["matrix"];
    assert_eq!(commands[0], "mqtt-sessions matrix --filter '[cell]' --broker mqtt://127.0.0.1:1883");
    assert_eq!(commands[1], "mqtt-sessions explain '[cell]' --broker mqtt://127.0.0.1:1883");
}

#[test]
fn brokers_with_the_same_name_have_addresses_of_their_own() {
    let page = html(&surveyed(vec![results("same"), results("same"), results("same")]));
    let (data, _) = taken_apart(&page);
    let keys: Vec<&Value> = data["brokers"].as_array().unwrap().iter().map(|broker| &broker["key"]).collect();
    assert_eq!(keys, ["same-1", "same-1-2", "same-1-3"]);
}

#[test]
fn no_text_of_a_results_file_leaves_its_place() {
    let mut hostile = results(HOSTILE);
    bend(&mut hostile, &["protocol=3.1.1"], lose);
    for cell in &mut hostile.cells {
        cell.scenario = HOSTILE.into();
        cell.id += HOSTILE;
        cell.reason = Some(HOSTILE.into());
        cell.choices.insert(HOSTILE.into(), HOSTILE.into());
        cell.violations.iter_mut().for_each(|violation| violation.observed = HOSTILE.into());
    }
    hostile.broker.how = format!("{HOSTILE}:{HOSTILE}");
    hostile.run.url = HOSTILE.into();
    let plain = html(&surveyed(vec![results("plain")]));
    let page = html(&surveyed(vec![hostile]));
    let (data, around) = taken_apart(&page);
    // As text it is all there.
    assert!(texts(&data).contains(&HOSTILE));
    assert_eq!(data["brokers"][0]["name"], HOSTILE);
    // As markup nothing of it is: no element more than in any page.
    assert!(!around.contains("<img") && !around.contains("alert(1)</script>"));
    let scripts = |page: &str| page.matches("<script").count() + page.matches("</script").count();
    assert_eq!(scripts(&page), scripts(&plain));
    assert!(around.contains("&#60;/script&#62;"), "the overview for readers without a script has the name");
}

#[test]
fn the_policy_of_the_page_lets_nothing_run_but_its_own_script() {
    let page = html(&surveyed(vec![results("good")]));
    let (_, behind) = page.split_once(r#"http-equiv="Content-Security-Policy" content=""#).unwrap();
    let (policy, _) = behind.split_once('"').unwrap();
    assert!(policy.starts_with("default-src &#39;none&#39;; script-src &#39;sha256-"), "{policy}");
    assert!(!policy.contains("unsafe") && !policy.contains("http"), "{policy}");
    assert!(!page.contains(" src=") && !page.contains("@import") && !page.contains("url(http"));
}

#[test]
fn readers_without_a_script_have_the_overview_of_the_markdown() {
    let mut bad = results("bad");
    bend(&mut bad, &["protocol=3.1.1", "subscribe_qos=1,retain=false"], lose);
    let all = surveyed(vec![results("good"), bad]);
    assert!(side_by_side(&all).contains("| matrix | 3.1.1 | ✗ 2/12 | ✓ 12 |"));
    let (_, around) = taken_apart(&html(&all));
    assert!(around.contains("<tr><td>matrix</td><td>3.1.1</td><td>✗ 2/12</td><td>✓ 12</td></tr>"), "{around}");
}
