//! Made-up results of several brokers -> the page that sets them side by side.

mod made_up;

use made_up::{bend, keep, lose, matrix};
use mqtt_sessions::packet::Protocol;
use mqtt_sessions::report::{PAGE_MARK, Palette, Surveyed, examples, side_by_side, surveyed};
use mqtt_sessions::results::{BrokerLabel, Level, Results, Verdict, Violation};

/// Cells of the matrix, of a broker that was started from its file.
fn results(name: &str, version: &str, how: &str) -> Results {
    let mut results = matrix();
    keep(&mut results, &["clean_session=false,publish_qos=1"]);
    results.broker = BrokerLabel { name: Some(name.into()), version: Some(version.into()), how: how.into() };
    results.run.planned = results.cells.len() as u32;
    results
}

/// A broker that loses messages in two cells of 3.1.1, and is odd in one of 5.0.
fn bad(how: &str) -> Results {
    let mut bad = results("bad", "3", how);
    bend(&mut bad, &["protocol=3.1.1", "subscribe_qos=1,retain=false"], lose);
    bend(&mut bad, &["protocol=5.0", "subscribe_qos=2,retain=false,resubscribe=false"], odd);
    bad
}

fn odd(cell: &mut mqtt_sessions::results::CellResult) {
    cell.verdict = Verdict::Warn;
    cell.reason = Some("odd".into());
    cell.violations.push(Violation {
        protocol: Protocol::V5,
        statement: "3.14.4".into(),
        level: Level::Should,
        expected: "the connection to end".into(),
        observed: "it stayed open".into(),
    });
}

fn page(all: Vec<(&str, Results)>) -> String {
    let all: Vec<Surveyed> = all.into_iter().map(|(file, results)| Surveyed { file: file.into(), results }).collect();
    side_by_side(&all)
}

/// The rows of the first table behind this heading, each with its entries.
#[track_caller]
fn rows(page: &str, heading: &str) -> Vec<Vec<String>> {
    let (_, behind) = page.split_once(heading).unwrap_or_else(|| panic!("no {heading} in {page}"));
    let lines = behind.lines().skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'));
    let entries = |line: &str| line.trim_matches('|').split('|').map(|entry| entry.trim().to_owned()).collect();
    lines.map(entries).filter(|row: &Vec<String>| row[0] != "---").collect()
}

#[track_caller]
fn has(page: &str, parts: &[&str]) {
    let mut rest = page;
    for part in parts {
        let Some((_, behind)) = rest.split_once(part) else { panic!("no \"{part}\" there in {page}") };
        rest = behind;
    }
}

#[test]
fn brokers_stand_side_by_side_by_scenario_and_version() {
    let page = page(vec![("good-1.json", results("good", "1", "good")), ("bad-3.json", bad("bad"))]);
    assert!(page.starts_with(PAGE_MARK));
    assert_eq!(
        rows(&page, "## Where something breaks"),
        [
            ["scenario", "MQTT", "bad 3", "good 1"],
            ["matrix", "3.1.1", "✗ 2/12", "✓ 12"],
            ["matrix", "5.0", "! 1/12", "✓ 12"],
        ]
    );
    let measured = rows(&page, "## What was measured");
    assert_eq!(measured[1][..5], ["[bad 3](bad-3.json)", "plain", "2030-01-02", "mqtt-sessions 0.1.0", "24"]);
    // fail, error, inconclusive, warn, unsupported, pass, and how many findings
    assert_eq!(measured[1][5..], ["2", "0", "0", "1", "0", "21", "2"]);
    assert_eq!(measured[2][5..], ["0", "0", "0", "0", "0", "24", "0"]);
}

#[test]
fn each_finding_stands_once_with_the_command_that_repeats_it() {
    let page = page(vec![("bad-3.json", bad("bad"))]);
    has(
        &page,
        &[
            "### bad 3",
            "24 cells: 2 fail, 1 warn, 21 pass; 2 findings.",
            "✗ 2 cells: MQTT-3.1.2-5 (3.1.1): ",
            "Expected: messages 1 to 3 at the lower QoS of publication and subscription, before the fence. ",
            "Observed: none of them; the fence of the same publisher, topic and QoS arrived.",
            "```text\nmqtt-sessions matrix --filter 'matrix[protocol=3.1.1,clean_session=false,publish_qos=1,subscribe_qos=1,\
         retain=false,resubscribe=false]' --broker bad\n```",
            "! 1 cell: 3.14.4 (5.0): ",
            "Observed: it stayed open.",
            "--broker bad\n```",
        ],
    );
}

#[test]
fn a_configuration_is_held_against_the_usual_one() {
    let mut other = results("bad", "3", "bad:few");
    other.options.queue_limit = Some(5);
    bend(&mut other, &["protocol=5.0", "subscribe_qos=1,retain=false,resubscribe=false"], lose);
    bend(&mut other, &["protocol=5.0", "subscribe_qos=2,retain=false,resubscribe=false"], odd);
    let page = page(vec![("bad-few-3.json", other), ("bad-3.json", bad("bad"))]);
    let heads = |heading: &str| rows(&page, heading).swap_remove(0);
    assert_eq!(heads("## Where something breaks"), ["scenario", "MQTT", "bad 3"]);
    assert_eq!(heads("### Configurations of bad 3"), ["scenario", "MQTT", "bad 3", "bad:few 3"]);
    assert_eq!(rows(&page, "## What was measured")[2][..2], ["[bad:few 3](bad-few-3.json)", "few; --queue-limit 5"]);
    has(
        &page,
        &[
            "### bad:few 3",
            "1 finding as in bad 3; and:",
            "✗ 1 cell: MQTT-4.5.0-1 (5.0)",
            "--broker bad:few --queue-limit 5\n```",
            "Not found here:",
            "- MQTT-3.1.2-5 (3.1.1)",
        ],
    );
    let (_, own) = page.split_once("### bad:few 3").unwrap();
    assert!(!own.contains("it stayed open"), "what both have is told once: {own}");
}

#[test]
fn what_the_built_in_files_say_of_a_configuration_is_told() {
    let page = page(vec![("x.json", results("mosquitto", "2", "mosquitto:queue_qos0"))]);
    assert_eq!(rows(&page, "## What was measured")[1][1], "queues QoS 0 messages for absent sessions, too");
}

#[test]
fn choices_stand_side_by_side_as_sentences() {
    let mut queues = results("queues", "1", "queues");
    let choose = |cell: &mut mqtt_sessions::results::CellResult| {
        cell.choices.insert("qos0_subscription_while_away".into(), "queued".into());
    };
    bend(&mut queues, &["protocol=5.0", "subscribe_qos=0"], choose);
    let page = page(vec![("a.json", results("drops", "1", "drops")), ("b.json", queues)]);
    let sentence = "Messages published at QoS 1 or 2 for a QoS 0 subscription while its client is away are";
    assert_eq!(
        rows(&page, "## What the standard leaves open"),
        [
            vec!["".to_owned(), "drops 1".into(), "queues 1".into()],
            vec![format!("{sentence} dropped"), "all 8".into(), "4 of 8".into()],
            vec![format!("{sentence} queued"), "".into(), "4 of 8".into()],
        ]
    );
}

#[test]
fn a_run_that_was_cut_short_says_so() {
    let mut cut = results("cut", "1", "cut");
    keep(&mut cut, &["protocol=5.0"]);
    (cut.run.complete, cut.run.planned) = (false, 24);
    let page = page(vec![("cut.json", cut)]);
    assert_eq!(rows(&page, "## What was measured")[1][4], "12 of 24, cut short");
    has(&page, &["### cut 1", "12 of 24 cells, cut short: 12 pass; 0 findings."]);
}

#[test]
fn nothing_that_a_broker_says_breaks_the_page() {
    let mut hostile = results("a|b<i>`x`", "1", "x.toml");
    bend(&mut hostile, &["protocol=3.1.1", "subscribe_qos=1,retain=false,resubscribe=false"], |cell| {
        lose(cell);
        cell.violations[0].observed = "</details> | ``` <script>".into();
    });
    let page = page(vec![("a b).json", hostile)]);
    assert!(!page.contains("<script>") && !page.contains("<i>"), "{page}");
    assert!(page.contains("](a%20b%29.json)"), "{page}");
    let columns: Vec<usize> = rows(&page.replace("\\|", ""), "## What was measured").iter().map(Vec::len).collect();
    assert!(columns.iter().all(|count| *count == columns[0]), "{page}");
}

#[test]
fn an_example_of_each_finding_is_the_cell_with_the_fewest_messages() {
    let mut bad = bad("bad");
    let first = bad.cells.iter().position(|cell| cell.verdict == Verdict::Fail).unwrap();
    bad.cells[first].sent = 200;
    let examples = examples(&bad);
    let cell = |protocol: &str, subscribe: u8, resubscribe: bool| {
        format!(
            "matrix[protocol={protocol},clean_session=false,publish_qos=1,subscribe_qos={subscribe},retain=false,\
             resubscribe={resubscribe}]"
        )
    };
    assert_eq!(examples, [cell("3.1.1", 1, true), cell("5.0", 2, false)].into());
}

#[test]
fn a_broker_is_a_line() {
    let mut bad = bad("bad:few");
    bad.run.duration_ms = 20_001;
    assert_eq!(surveyed(&bad, Palette::Plain), "bad:few 3  24 cells: 2 fail, 1 warn, 21 pass; 2 findings; 21 s\n");
}
