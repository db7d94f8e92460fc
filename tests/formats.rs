//! Made-up results -> the files that other programs read, read back.

mod made_up;

use std::collections::HashSet;

use made_up::{bend, cell, keep, lose, matrix, results, told};
use mqtt_sessions::capture::capture;
use mqtt_sessions::compare::compare;
use mqtt_sessions::expectations::{Assessed, Assessment, Deviation};
use mqtt_sessions::report::{Told, annotations, junit, markdown};
use mqtt_sessions::results::{AxisValue, Level, Results, Verdict, Violation};
use pcap_file::pcapng::{Block, PcapNgReader};
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus};

/// What spoils a text for those who do not mind: control characters, and the marks of XML, Markdown and GitHub.
const HOSTILE: &str = "</failure>]]>&amp; ``` | \u{1}\u{1b}[31m\n::error::x";

/// One cell with each verdict.
fn each_verdict() -> Results {
    let mut all = matrix();
    keep(&mut all, &["protocol=5.0,clean_session=false,publish_qos=1,subscribe_qos="]);
    let set = |verdict: Verdict, reason: &'static str| {
        move |cell: &mut mqtt_sessions::results::CellResult| {
            cell.verdict = verdict;
            cell.reason = Some(reason.into());
        }
    };
    bend(&mut all, &["subscribe_qos=1,retain=false,resubscribe=false"], lose);
    bend(&mut all, &["subscribe_qos=1,retain=false,resubscribe=true"], set(Verdict::Inconclusive, "no fence came"));
    bend(&mut all, &["subscribe_qos=1,retain=true,resubscribe=false"], set(Verdict::Unsupported, "no RETAIN"));
    bend(&mut all, &["subscribe_qos=1,retain=true,resubscribe=true"], set(Verdict::Error, "no connection"));
    bend(&mut all, &["subscribe_qos=2,retain=true,resubscribe=true"], |cell| {
        cell.verdict = Verdict::Warn;
        let violation = Violation {
            protocol: mqtt_sessions::packet::Protocol::V5,
            statement: "MQTT-3.14.4-3".into(),
            level: Level::Should,
            expected: "the connection to end".into(),
            observed: "nothing".into(),
        };
        cell.violations.push(violation);
    });
    all
}

fn parsed(xml: &[u8]) -> Report {
    Report::deserialize_from_str(std::str::from_utf8(xml).expect("it is UTF-8")).expect("it is JUnit")
}

/// What a CI server shows of a test case, and how it says so.
fn shown(case: &TestCase) -> (&'static str, String) {
    match &case.status {
        TestCaseStatus::Success { .. } => ("passed", case.system_out.as_deref().unwrap_or_default().to_string()),
        TestCaseStatus::NonSuccess { kind: NonSuccessKind::Failure, message, .. } => ("failed", text(message)),
        TestCaseStatus::NonSuccess { kind: NonSuccessKind::Error, message, .. } => ("error", text(message)),
        TestCaseStatus::Skipped { message, .. } => ("skipped", text(message)),
    }
}

fn text(message: &Option<quick_junit::XmlString>) -> String {
    message.as_deref().unwrap_or_default().to_owned()
}

#[test]
fn each_verdict_is_told_apart_in_junit() {
    let report = parsed(&junit(&told(&each_verdict())));
    assert_eq!((report.tests, report.failures, report.errors, report.test_suites[0].skipped), (12, 1, 1, 2));
    let [suite] = &report.test_suites[..] else { panic!("one scenario is one suite") };
    assert_eq!(suite.name.as_str(), "matrix");
    let case = |part: &str| suite.test_cases.iter().find(|case| case.name.as_str().contains(part)).unwrap();
    let failed = case("subscribe_qos=1,retain=false,resubscribe=false");
    assert_eq!(failed.name.as_str(), each_verdict().cells[4].id);
    assert_eq!(failed.classname.as_deref(), Some("mqtt-sessions.matrix"));
    assert_eq!(failed.time.map(|time| time.as_millis()), Some(7));
    let TestCaseStatus::NonSuccess { ty, description, .. } = &failed.status else { panic!("it failed") };
    assert_eq!(ty.as_deref(), Some("MUST"));
    let finding = description.as_deref().unwrap();
    for part in ["Cited        MQTT-4.5.0-1", "Expected", "Observed", "Events        1  12.3", "Repeat with"] {
        assert!(finding.contains(part), "{part} is missing in {finding}");
    }
    let lost = "MQTT-4.5.0-1: none of them; the fence of the same publisher, topic and QoS arrived";
    assert_eq!(shown(failed), ("failed", lost.into()));
    assert_eq!(
        shown(case("subscribe_qos=1,retain=false,resubscribe=true")),
        ("skipped", "inconclusive: no fence came".into())
    );
    assert_eq!(
        shown(case("subscribe_qos=1,retain=true,resubscribe=false")),
        ("skipped", "unsupported: no RETAIN".into())
    );
    assert_eq!(shown(case("subscribe_qos=1,retain=true,resubscribe=true")), ("error", "no connection".into()));
    let (outcome, warning) = shown(case("subscribe_qos=2,retain=true,resubscribe=true"));
    assert!(outcome == "passed" && warning.contains("MQTT-3.14.4-3"), "{warning}");
}

/// What junit-10.xsd of Jenkins' xUnit plugin permits there.
const OF_THE_ROOT: [&str; 5] = ["name", "time", "tests", "failures", "errors"];

#[test]
fn the_root_of_junit_has_no_attribute_that_the_schema_of_jenkins_forbids() {
    let xml = String::from_utf8(junit(&told(&each_verdict()))).unwrap();
    let (_, root) = xml.split_once("<testsuites ").unwrap();
    let (root, suites) = root.split_once('>').unwrap();
    let names: Vec<&str> = root.split("=\"").map(|part| part.rsplit(['"', ' ']).next().unwrap()).collect();
    let names = &names[..names.len() - 1];
    assert!(names.contains(&"tests") && names.iter().all(|name| OF_THE_ROOT.contains(name)), "{root}");
    // A suite may have it.
    assert!(suites.contains("<testsuite name=\"matrix\" tests=\"12\" skipped=\"2\""), "{suites}");
}

#[test]
fn with_a_baseline_only_what_got_worse_is_a_failure() {
    let mut before = matrix();
    bend(&mut before, &["protocol=5.0,clean_session=false,publish_qos=1,subscribe_qos=1"], lose);
    let mut after = before.clone();
    bend(&mut after, &["protocol=5.0,clean_session=false,publish_qos=2,subscribe_qos=2,retain=false"], lose);
    let comparison = compare(&before, &after, None::<&HashSet<String>>).unwrap();
    let told = Told { comparison: Some(&comparison), ..told(&after) };
    let report = parsed(&junit(&told));
    assert_eq!((report.failures, report.test_suites[0].skipped), (2, 4));
    let skipped = report.test_suites[0].test_cases.iter().find(|case| shown(case).0 == "skipped").unwrap();
    assert!(shown(skipped).1.starts_with("known, as in the baseline: MQTT-4.5.0-1"), "{skipped:?}");
    assert!(annotations(&told)[0].contains("2 cells") && annotations(&told).len() == 1, "{:?}", annotations(&told));
    assert!(markdown(&told).contains("144 cells compared: 2 worse, 142 unchanged"), "{}", markdown(&told));
}

#[test]
fn what_is_known_is_no_failure_and_says_why() {
    let mut all = matrix();
    bend(&mut all, &["protocol=5.0,clean_session=false,publish_qos=1,subscribe_qos=1"], lose);
    bend(&mut all, &["protocol=3.1.1,clean_session=false,publish_qos=2,subscribe_qos=2,retain=false"], lose);
    let failing = all.cells.iter().filter(|cell| cell.id.contains("protocol=5.0") && cell.verdict == Verdict::Fail);
    let failing: Vec<String> = failing.map(|cell| cell.id.clone()).collect();
    let deviation = Deviation {
        statements: vec!["MQTT-4.5.0-1".into()],
        reason: "it forgets".into(),
        link: Some("https://example.org/7".into()),
        ..Deviation::default()
    };
    let mended = vec!["cuts".to_owned()];
    let known = Assessment {
        file: Some("known.toml".into()),
        cells: failing.iter().cloned().collect(),
        of_broker: vec![Assessed { deviation, failing, mended }],
        ..Assessment::default()
    };
    let told = Told { known: &known, ..told(&all) };
    let report = parsed(&junit(&told));
    assert_eq!((report.failures, report.test_suites[0].skipped), (2, 4));
    let skipped = report.test_suites[0].test_cases.iter().find(|case| shown(case).0 == "skipped").unwrap();
    assert_eq!(shown(skipped).1, "known: it forgets https://example.org/7");
    let lines = annotations(&told);
    assert!(lines.len() == 1 && lines[0].starts_with("::error title=MQTT-3.1.2-5%2C 2 cells::"), "{lines:?}");
    let summary = markdown(&told);
    for part in [
        "144 cells: 6 fail, 138 pass\n4 of those that fail are known, and fail nothing here\n",
        "<details><summary>Known deviations, from known.toml</summary>",
        "✗ known   1. MQTT-4.5.0-1: it forgets (4 cells) https://example.org/7\n",
        "✓ mended  1. MQTT-4.5.0-1: cuts fails no more; take it out of the file\n",
    ] {
        assert!(summary.contains(part), "{part} is missing in {summary}");
    }
    assert_eq!(summary.matches("<summary>✗ fail").count(), 1, "{summary}");
}

#[test]
fn what_the_broker_breaks_beside_the_cells_is_a_test_of_its_own() {
    let mut all = matrix();
    let mut violation = each_verdict().cells[4].violations[0].clone();
    violation.level = Level::Must;
    all.broker_findings.violations.push(violation);
    let report = parsed(&junit(&told(&all)));
    assert_eq!((report.tests, report.failures), (145, 1));
    assert_eq!(report.test_suites[1].test_cases[0].classname.as_deref(), Some("mqtt-sessions.broker"));
    assert!(annotations(&told(&all))[0].starts_with("::error title=the broker breaks a MUST beside the cells::"));
}

/// A cell whose every text is hostile.
fn hostile() -> Results {
    let mut bad = cell("mine", &[("protocol", AxisValue::Text("5.0".into())), ("a", AxisValue::Text(HOSTILE.into()))]);
    bad.verdict = Verdict::Error;
    bad.reason = Some(HOSTILE.into());
    let mut all = results(vec![bad]);
    all.broker.name = Some(HOSTILE.into());
    all
}

#[test]
fn nothing_hostile_gets_out_of_its_place() {
    let report = parsed(&junit(&told(&hostile())));
    let (outcome, message) = shown(&report.test_suites[0].test_cases[0]);
    assert_eq!(outcome, "error");
    assert!(message.starts_with("</failure>]]>&amp; ``` | ") && !message.contains('\u{1b}'), "{message:?}");
    for line in annotations(&told(&hostile())) {
        assert!(line.starts_with("::warning title=error%2C 1 cell::") && !line.contains('\n'), "{line}");
    }
    let markdown = markdown(&told(&hostile()));
    assert!(markdown.starts_with("## Measured: \\</failure\\>\\]\\]\\>\\&amp; \\`\\`\\` \\| "), "{markdown}");
    let fences: Vec<&str> = markdown.lines().filter(|line| line.starts_with("````")).collect();
    assert!(fences.len() >= 2 && fences.len().is_multiple_of(2), "{markdown}");
}

/// A file may say anything about times and names, and a capture of it can still be read.
#[test]
fn a_capture_of_an_odd_file_can_be_read() {
    let id = "x".repeat(100_000);
    let mut odd = cell("mine", &[("protocol", AxisValue::Text(id.clone()))]);
    odd.id.clone_from(&id);
    let mut all = results(vec![odd]);
    let attempt = &mut all.run.cells.get_mut(&id).expect("it has a run").attempts[0];
    attempt.began_at = "9999-12-31T23:59:59.999Z".into();
    attempt.names.insert("one".into(), "n".repeat(70_000));
    attempt.history = [
        "18446744073709551.5 one#1 -> CONNECT protocol=5.0 clean_start=1 keep_alive=0 client_id=one",
        "1.0 one#1 -> half of PUBLISH topic=t qos=0 retain=0 dup=0 payload=?99999999999%20bytes,%200",
        "one#4294967295 <- undecodable ff",
        "2.0 one#2 <- end reset",
        "2.0 one#2 <- PINGRESP",
    ]
    .map(String::from)
    .to_vec();
    let capture = capture(&all);
    let mut reader = PcapNgReader::new(&capture[..]).expect("it is a capture");
    let mut packets = 0;
    while let Some(block) = reader.next_block() {
        packets += usize::from(matches!(block.expect("it is a block"), Block::EnhancedPacket(_)));
    }
    // Three connections are opened, and what MQTT cannot carry is left out.
    assert!(packets >= 3 * 3, "{packets}");
}

#[test]
fn a_summary_folds_the_findings_and_has_the_table_below_them() {
    let mut all = matrix();
    keep(&mut all, &["protocol=5.0,clean_session=false,publish_qos=1"]);
    bend(&mut all, &["subscribe_qos=1,retain=false,resubscribe=false"], lose);
    let summary = markdown(&told(&all));
    let parts = [
        "## Measured: example 1.2 at mqtt://127.0.0.1:1883\n\n12 cells: 1 fail, 11 pass\n\n### Findings\n\n",
        "<details><summary>✗ fail in 1 cell</summary>\n\n```text\n  matrix[protocol=5.0,",
        "  Cited        MQTT-4.5.0-1",
        "\n```\n\n</details>\n\n### Scenario matrix\n\n",
        "| protocol | clean\\_session | retain | resubscribe | 0→0 |",
        "\n| --- | --- | --- |",
        "\n| 5.0 | false | false | false |  |  |  | 0\\* | 0✗ | 3✓ |  |  |  |\n",
        "<details><summary>Left open by the standard, chosen by this broker</summary>",
    ];
    let mut rest = summary.as_str();
    for part in parts {
        let place = rest.find(part).unwrap_or_else(|| panic!("{part} is missing in its place: {summary}"));
        rest = &rest[place + part.len()..];
    }
    assert!(summary.starts_with(parts[0]));
    all.run.complete = false;
    all.run.planned = 144;
    assert!(markdown(&told(&all)).contains("12 of 144 cells, cut short: "));
}

#[test]
fn a_summary_stays_below_a_million_bytes_and_says_what_it_lacks() {
    let mut cells = Vec::new();
    for number in 0..150 {
        let mut bad = cell("mine", &[("number", AxisValue::Number(number))]);
        bad.verdict = Verdict::Error;
        bad.reason = Some(format!("{number} {}", "x".repeat(10_000)));
        cells.push(bad);
    }
    let summary = markdown(&told(&results(cells)));
    assert!(summary.len() <= 1_000_000 && summary.len() > 900_000, "{}", summary.len());
    assert!(
        summary.trim_end().ends_with("parts are left out, and stdout has them all."),
        "{}",
        &summary[summary.len() - 200..]
    );
}

#[test]
fn ten_annotations_are_all_and_the_last_one_counts_the_rest() {
    let mut cells = Vec::new();
    for number in 0..25 {
        let mut bad = cell("mine", &[("number", AxisValue::Number(number))]);
        bad.verdict = Verdict::Inconclusive;
        bad.reason = Some(format!("reason {}", number / 2));
        cells.push(bad);
    }
    let lines = annotations(&told(&results(cells)));
    assert_eq!(lines.len(), 10);
    assert_eq!(
        lines[0],
        "::warning title=inconclusive%2C 2 cells::reason 0%0Amqtt-sessions explain 'mine[number=0]' --broker mqtt://127.0.0.1:1883%0A\
         mqtt-sessions run mine --filter 'mine[number=0]' --broker mqtt://127.0.0.1:1883"
    );
    assert!(lines[9].ends_with("::4 more causes stand in the log"), "{}", lines[9]);
}
