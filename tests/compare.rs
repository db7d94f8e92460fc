//! Pairs of results -> what changed.

mod made_up;

use std::collections::HashSet;

use insta::assert_snapshot;
use made_up::{bend, keep, lose, matrix};
use mqtt_sessions::compare::{Comparison, FailOn, Kind, compare};
use mqtt_sessions::exit_code::ExitCode;
use mqtt_sessions::report::{Palette, changes};
use mqtt_sessions::results::{CellResult, Level, Results, Verdict};
use mqtt_sessions::vocabulary::Ending;

const ONE: &str =
    "matrix[protocol=3.1.1,clean_session=false,publish_qos=1,subscribe_qos=1,retain=false,resubscribe=false]";

fn between(baseline: &Results, results: &Results) -> Comparison {
    compare(baseline, results, None).expect("the options are the same")
}

fn bent(parts: &[&str], how: impl Fn(&mut CellResult)) -> Results {
    let mut results = matrix();
    bend(&mut results, parts, how);
    results
}

fn given(verdict: Verdict) -> impl Fn(&mut CellResult) {
    move |cell| {
        cell.verdict = verdict;
        cell.reason = Some("the broker said no".into());
    }
}

#[test]
fn two_equal_runs_differ_in_nothing() {
    let mut later = matrix();
    later.run.duration_ms = 1;
    later.run.url = "mqtt://elsewhere".into();
    let comparison = between(&matrix(), &later);
    assert!(!comparison.got_worse() && !comparison.became_unclear());
    assert_snapshot!(changes(&comparison, Palette::Plain), @"144 cells compared: 144 unchanged");
}

#[test]
fn worse_unclear_and_better_decide() {
    let check = |before: Verdict, after: Verdict, kind: Kind, worse: bool, unclear: bool| {
        let comparison = between(&bent(&[ONE], given(before)), &bent(&[ONE], given(after)));
        assert_eq!(comparison.changes.len(), 1);
        let change = &comparison.changes[0];
        assert_eq!((change.before, change.after, change.kind), (Some(before), Some(after), kind));
        assert_eq!((comparison.got_worse(), comparison.became_unclear()), (worse, unclear));
    };
    check(Verdict::Inconclusive, Verdict::Fail, Kind::Worse, true, false);
    check(Verdict::Pass, Verdict::Warn, Kind::Worse, true, false);
    check(Verdict::Warn, Verdict::Unsupported, Kind::Worse, true, false);
    check(Verdict::Fail, Verdict::Inconclusive, Kind::Unclear, false, true);
    check(Verdict::Pass, Verdict::Error, Kind::Unclear, false, true);
    check(Verdict::Fail, Verdict::Pass, Kind::Better, false, false);
    check(Verdict::Fail, Verdict::Unsupported, Kind::Better, false, false);
}

#[test]
fn what_the_baseline_has_already_changes_nothing() {
    for verdict in Verdict::WORST_FIRST {
        let results = bent(&["publish_qos=1"], given(verdict));
        assert_eq!(between(&results, &results).changes, []);
    }
}

fn breaking(statement: &str, level: Level) -> Results {
    bent(&[ONE], |cell| {
        lose(cell);
        let mut order = cell.violations[0].clone();
        order.statement = statement.into();
        order.level = level;
        cell.violations.push(order);
    })
}

#[test]
fn a_further_statement_in_a_cell_that_failed_is_worse() {
    let baseline = bent(&[ONE], lose);
    for level in [Level::Must, Level::Should] {
        let results = breaking("MQTT-4.6.0-6", level);
        let comparison = between(&baseline, &results);
        assert_eq!(comparison.changes[0].kind, Kind::Worse);
        assert_eq!(comparison.changes[0].detail, "now cites MQTT-4.6.0-6");
        assert!(comparison.got_worse());
        let back = between(&results, &baseline);
        assert_eq!((back.changes[0].kind, back.got_worse()), (Kind::ChangedFinding, false));
        assert_eq!(back.changes[0].detail, "no longer cites MQTT-4.6.0-6");
    }
}

#[test]
fn a_further_oddity_in_a_cell_that_failed_breaks_nothing() {
    let comparison = between(&bent(&[ONE], lose), &breaking("4.5", Level::None));
    assert_eq!((comparison.changes[0].kind, comparison.got_worse()), (Kind::ChangedFinding, false));
}

#[test]
fn another_statement_in_place_of_the_first_is_a_further_one() {
    let other = bent(&[ONE], |cell| {
        lose(cell);
        cell.violations[0].statement = "MQTT-4.6.0-6".into();
    });
    let comparison = between(&bent(&[ONE], lose), &other);
    assert!(comparison.got_worse());
    assert_eq!(comparison.changes[0].detail, "now cites MQTT-4.6.0-6; no longer cites MQTT-3.1.2-5");
}

#[test]
fn a_statement_broken_beside_the_cells_is_worse_where_it_is_new() {
    let mut results = matrix();
    results.broker_findings.violations = bent(&[ONE], lose).cells.remove(at(ONE)).violations;
    assert!(!between(&results, &results).got_worse());
    assert!(!between(&results, &matrix()).got_worse());
    let comparison = between(&matrix(), &results);
    assert!(comparison.got_worse());
    assert_snapshot!(changes(&comparison, Palette::Plain), @"
worse           beside the cells the broker now breaks MQTT-3.1.2-5

144 cells compared: 144 unchanged
");
}

/// The place of a cell in the matrix.
fn at(id: &str) -> usize {
    matrix().cells.iter().position(|cell| cell.id == id).expect("the cell is there")
}

#[test]
fn a_run_that_was_cut_short_has_lost_no_cell_and_is_no_success() {
    let mut results = matrix();
    results.cells.retain(|cell| cell.id.contains("3.1.1"));
    assert_eq!(between(&matrix(), &results).count(Kind::Gone), 72);
    results.run.complete = false;
    let comparison = between(&matrix(), &results);
    assert_eq!((comparison.changes.len(), comparison.compared, comparison.unmeasured), (0, 72, 72));
    assert_eq!(ExitCode::of_comparison(&comparison, &[]), ExitCode::Unclear);
    let mut worse = results.clone();
    bend(&mut worse, &[ONE], lose);
    assert_eq!(ExitCode::of_comparison(&between(&matrix(), &worse), &[]), ExitCode::Failed);
    assert_snapshot!(changes(&comparison, Palette::Plain), @"
72 cells compared: 72 unchanged
72 cells of the baseline were not measured: the run is not complete
");
}

#[test]
fn a_choice_that_changed_is_reported_and_fails_nothing() {
    let results = bent(&["clean_session=false,publish_qos=0,subscribe_qos=0"], |cell| {
        cell.choices.insert("qos0_both_while_away".into(), "queued".into());
    });
    let comparison = between(&matrix(), &results);
    assert!(!comparison.got_worse());
    assert_snapshot!(changes(&comparison, Palette::Plain), @"
changed choice  pass, 8 cells; before: Messages published at QoS 0 for a QoS 0
                subscription while its client is away are dropped; now: Messages
                published at QoS 0 for a QoS 0 subscription while its client is
                away are queued
  matrix[protocol=3.1.1,clean_session=false,publish_qos=0,subscribe_qos=0,retain=false,resubscribe=false]
  matrix[protocol=3.1.1,clean_session=false,publish_qos=0,subscribe_qos=0,retain=false,resubscribe=true]
  matrix[protocol=3.1.1,clean_session=false,publish_qos=0,subscribe_qos=0,retain=true,resubscribe=false]
  and 5 more cells

144 cells compared: 8 changed choice, 136 unchanged
");
}

#[test]
fn new_cells_count_by_their_verdict() {
    let check = |verdict: Verdict, worse: bool, unclear: bool| {
        let mut baseline = matrix();
        baseline.cells.retain(|cell| cell.id != ONE);
        let comparison = between(&baseline, &bent(&[ONE], given(verdict)));
        assert_eq!(comparison.changes[0].kind, Kind::New);
        assert_eq!((comparison.got_worse(), comparison.became_unclear()), (worse, unclear), "{}", verdict.name());
    };
    check(Verdict::Pass, false, false);
    check(Verdict::Warn, false, false);
    check(Verdict::Unsupported, false, false);
    check(Verdict::Inconclusive, false, true);
    check(Verdict::Error, false, true);
    check(Verdict::Fail, true, false);
}

#[test]
fn a_filtered_run_is_compared_with_its_part_of_the_baseline() {
    let mut results = matrix();
    keep(&mut results, &["publish_qos=1,subscribe_qos=1"]);
    assert_eq!(between(&matrix(), &results).count(Kind::Gone), 128);
    let selected: HashSet<String> = results.cells.iter().map(|cell| cell.id.clone()).collect();
    let comparison = compare(&matrix(), &results, Some(&selected)).expect("the options are the same");
    assert_eq!((comparison.changes.len(), comparison.compared), (0, 16));
}

#[test]
fn a_selected_cell_that_was_not_measured_is_gone() {
    let mut results = matrix();
    results.cells.retain(|cell| cell.id != ONE);
    let selected = HashSet::from([ONE.to_owned()]);
    let comparison = compare(&matrix(), &results, Some(&selected)).expect("the options are the same");
    assert_eq!(comparison.changes[0].kind, Kind::Gone);
    assert!(!comparison.got_worse() && !comparison.became_unclear());
}

#[test]
fn other_options_are_refused_with_the_flag_to_use() {
    let refusal = |change: fn(&mut Results)| {
        let mut results = matrix();
        change(&mut results);
        compare(&matrix(), &results, None).expect_err("the options differ").to_string()
    };
    assert_snapshot!(refusal(|results| results.options.messages = 25), @"the baseline was made with --messages 3 and these results with --messages 25; make them again with --messages 3");
    assert_snapshot!(refusal(|results| results.options.durable = Some(Ending::Stop)), @r#"the baseline was made without durable in the file of the broker and these results with durable = "stop" in the file of the broker; make them again without durable in the file of the broker"#);
    assert_snapshot!(refusal(|results| results.options.queue_limit = Some(9)), @"the baseline was made without --queue-limit and these results with --queue-limit 9; make them again without --queue-limit");
}

#[test]
fn many_changes_fit_a_screen() {
    let mut baseline = bent(&["3.1.1", "publish_qos=2,subscribe_qos=2"], given(Verdict::Fail));
    baseline.cells.retain(|cell| cell.id != ONE);
    let mut results = bent(&["5.0,clean_session=false,publish_qos=1,subscribe_qos=1"], lose);
    bend(&mut results, &["5.0,clean_session=false,publish_qos=1,subscribe_qos=2"], given(Verdict::Inconclusive));
    bend(&mut results, &["3.1.1,clean_session=false,publish_qos=0,subscribe_qos=0"], |cell| {
        cell.choices.insert("qos0_both_while_away".into(), "queued".into());
    });
    results.cells.retain(|cell| !cell.id.contains("3.1.1,clean_session=true,publish_qos=1,subscribe_qos=0"));
    let comparison = between(&baseline, &results);
    assert_snapshot!(changes(&comparison, Palette::Plain), @"
worse           pass → fail, 4 cells; now cites MQTT-4.5.0-1
  matrix[protocol=5.0,clean_session=false,publish_qos=1,subscribe_qos=1,retain=false,resubscribe=false]
  matrix[protocol=5.0,clean_session=false,publish_qos=1,subscribe_qos=1,retain=false,resubscribe=true]
  matrix[protocol=5.0,clean_session=false,publish_qos=1,subscribe_qos=1,retain=true,resubscribe=false]
  and 1 more cell
unclear         pass → inconclusive, 4 cells; the broker said no
  matrix[protocol=5.0,clean_session=false,publish_qos=1,subscribe_qos=2,retain=false,resubscribe=false]
  matrix[protocol=5.0,clean_session=false,publish_qos=1,subscribe_qos=2,retain=false,resubscribe=true]
  matrix[protocol=5.0,clean_session=false,publish_qos=1,subscribe_qos=2,retain=true,resubscribe=false]
  and 1 more cell
better          fail → pass, 8 cells
  matrix[protocol=3.1.1,clean_session=false,publish_qos=2,subscribe_qos=2,retain=false,resubscribe=false]
  matrix[protocol=3.1.1,clean_session=false,publish_qos=2,subscribe_qos=2,retain=false,resubscribe=true]
  matrix[protocol=3.1.1,clean_session=false,publish_qos=2,subscribe_qos=2,retain=true,resubscribe=false]
  and 5 more cells
changed choice  pass, 4 cells; before: Messages published at QoS 0 for a QoS 0
                subscription while its client is away are dropped; now: Messages
                published at QoS 0 for a QoS 0 subscription while its client is
                away are queued
  matrix[protocol=3.1.1,clean_session=false,publish_qos=0,subscribe_qos=0,retain=false,resubscribe=false]
  matrix[protocol=3.1.1,clean_session=false,publish_qos=0,subscribe_qos=0,retain=false,resubscribe=true]
  matrix[protocol=3.1.1,clean_session=false,publish_qos=0,subscribe_qos=0,retain=true,resubscribe=false]
  and 1 more cell
new             pass, 1 cell
  matrix[protocol=3.1.1,clean_session=false,publish_qos=1,subscribe_qos=1,retain=false,resubscribe=false]
gone            pass, 4 cells
  matrix[protocol=3.1.1,clean_session=true,publish_qos=1,subscribe_qos=0,retain=false,resubscribe=false]
  matrix[protocol=3.1.1,clean_session=true,publish_qos=1,subscribe_qos=0,retain=false,resubscribe=true]
  matrix[protocol=3.1.1,clean_session=true,publish_qos=1,subscribe_qos=0,retain=true,resubscribe=false]
  and 1 more cell

139 cells compared: 4 worse, 4 unclear, 8 better, 4 changed choice, 1 new, 4 gone, 119 unchanged
");
}

#[test]
fn other_changes_fail_where_that_is_asked_for() {
    let chosen = bent(&["clean_session=false,publish_qos=0,subscribe_qos=0"], |cell| {
        cell.choices.insert("qos0_both_while_away".into(), "queued".into());
    });
    let mut less = matrix();
    less.cells.retain(|cell| cell.id != ONE);
    let unclear = bent(&[ONE], given(Verdict::Inconclusive));
    let cases = [
        (between(&matrix(), &bent(&[ONE], lose)), [true, true, true, true]),
        (between(&matrix(), &chosen), [false, true, false, false]),
        (between(&matrix(), &unclear), [false, true, false, false]),
        (between(&matrix(), &less), [false, false, true, false]),
        (between(&less, &matrix()), [false, false, false, true]),
        (between(&matrix(), &matrix()), [false; 4]),
    ];
    for (comparison, expected) in cases {
        let kinds = [FailOn::Worse, FailOn::Changed, FailOn::Gone, FailOn::New];
        assert_eq!(kinds.map(|kind| comparison.fails(&[kind])), expected, "{:?}", comparison.changes);
        assert_eq!(comparison.fails(&kinds), expected.contains(&true));
        assert_eq!(comparison.fails(&[]), expected[0]);
    }
}
