//! Made-up results -> the text that people read.

mod made_up;

use insta::assert_snapshot;
use made_up::{bend, cell, copy, keep, lose, matrix, results, told};
use mqtt_sessions::compare::compare;
use mqtt_sessions::exit_code::ExitCode;
use mqtt_sessions::expectations::Assessment;
use mqtt_sessions::report::{Palette, Told, measured, terminal};
use mqtt_sessions::results::{
    About, AttemptRun, AxisValue, BrokerLabel, CutShort, HelperEvidence, Phase, Results, Summary, Verdict,
};

fn plain(results: &Results) -> String {
    terminal(&told(results), Palette::Plain)
}

/// The table and its legend.
fn table(results: &Results) -> String {
    let text = plain(results);
    text.split_once("\nLeft open").map_or(text.clone(), |(table, _)| table.to_owned())
}

/// What stands below the choices.
fn findings(results: &Results) -> String {
    let text = plain(results);
    let (_, below) = text.split_once("\nLeft open").unwrap_or(("", &text));
    below.split_once("\n\n").map_or(String::new(), |(_, findings)| findings.to_owned())
}

fn widest(text: &str) -> usize {
    text.lines().map(|line| line.chars().count()).max().unwrap_or_default()
}

#[test]
fn a_good_broker_is_six_rows() {
    assert_snapshot!(plain(&matrix()), @"
A cell is one experiment: a scenario with one value for each of its axes, such
as the protocol version.

How many of 3 messages arrived after the return
Columns: QoS of the publication → QoS of the subscription

protocol  clean_  retain resub- 0→0 0→1 0→2 1→0  1→1  1→2 2→0  2→1  2→2
          session        scribe
───────────────────────────────────────────────────────────────────────
3.1.1 5.0 false   any    false   0*  0*  0*  0*   3✓   3✓  0*   3✓   3✓
3.1.1 5.0 false   false  true    0*  0*  0*  0*   3✓   3✓  0*   3✓   3✓
3.1.1 5.0 false   true   true   +1* +1* +1* +1* 3+1✓ 3+1✓ +1* 3+1✓ 3+1✓
3.1.1 5.0 true    any    false   0✓  0✓  0✓  0✓   0✓   0✓  0✓   0✓   0✓
3.1.1 5.0 true    false  true    0✓  0✓  0✓  0✓   0✓   0✓  0✓   0✓   0✓
3.1.1 5.0 true    true   true   +1* +1* +1* +1✓  +1✓  +1✓ +1✓  +1✓  +1✓

✓ right   * right, the count is the broker's choice
+1 a retained copy

Left open by the standard, chosen by this broker
  - Messages published at QoS 0 for a QoS 0 subscription while its client is
    away are dropped (all 8 cells).
  - Messages published at QoS 0 for a QoS 1 or 2 subscription while its client
    is away are dropped (all 16 cells).
  - Messages published at QoS 1 or 2 for a QoS 0 subscription while its client
    is away are dropped (all 16 cells).
  - A QoS 0 message with RETAIN 1 is kept for later SUBSCRIBEs (all 12 cells).

144 cells: 144 pass
");
}

#[test]
fn a_bad_cell_has_its_row_and_its_block() {
    let mut results = matrix();
    let parts = ["5.0,clean_session=false,publish_qos=2,subscribe_qos=1,retain=false,resubscribe=false"];
    bend(&mut results, &parts, lose);
    assert_snapshot!(table(&results), @"
A cell is one experiment: a scenario with one value for each of its axes, such
as the protocol version.

How many of 3 messages arrived after the return
Columns: QoS of the publication → QoS of the subscription

protocol  clean_  retain resub- 0→0 0→1 0→2 1→0  1→1  1→2 2→0  2→1  2→2
          session        scribe
───────────────────────────────────────────────────────────────────────
3.1.1     false   false  false   0*  0*  0*  0*   3✓   3✓  0*   3✓   3✓
3.1.1 5.0 false   false  true    0*  0*  0*  0*   3✓   3✓  0*   3✓   3✓
3.1.1 5.0 false   true   false   0*  0*  0*  0*   3✓   3✓  0*   3✓   3✓
3.1.1 5.0 false   true   true   +1* +1* +1* +1* 3+1✓ 3+1✓ +1* 3+1✓ 3+1✓
3.1.1 5.0 true    any    false   0✓  0✓  0✓  0✓   0✓   0✓  0✓   0✓   0✓
3.1.1 5.0 true    false  true    0✓  0✓  0✓  0✓   0✓   0✓  0✓   0✓   0✓
3.1.1 5.0 true    true   true   +1* +1* +1* +1✓  +1✓  +1✓ +1✓  +1✓  +1✓
5.0       false   false  false   0*  0*  0*  0*   3✓   3✓  0*   0✗   3✓

✓ right   * right, the count is the broker's choice   ✗ breaks a MUST
+1 a retained copy
");
    assert_snapshot!(findings(&results), @"
✗ fail in 1 cell
  matrix[protocol=5.0,clean_session=false,publish_qos=2,subscribe_qos=1,retain=false,resubscribe=false]
  Cited        MQTT-4.5.0-1 (MQTT 5.0, MUST): Add an accepted message to the
               Session of every client with a matching subscription.
  Expected     messages 1 to 3 at the lower QoS of publication and subscription,
               before the fence
  Observed     none of them; the fence of the same publisher, topic and QoS
               arrived
  Events        1  12.3 publisher#1 <- PUBACK id=3
                2  14.0 subscriber#2 <- CONNACK session_present=1 code=0x00
  Repeat with  mqtt-sessions matrix --filter 'matrix[protocol=5.0,clean_session=false,publish_qos=2,subscribe_qos=1,retain=false,resubscribe=false]' --broker mqtt://127.0.0.1:1883
  Explain with mqtt-sessions explain 'matrix[protocol=5.0,clean_session=false,publish_qos=2,subscribe_qos=1,retain=false,resubscribe=false]' --broker mqtt://127.0.0.1:1883

144 cells: 1 fail, 143 pass
");
}

#[test]
fn one_protocol_is_named() {
    let mut results = matrix();
    keep(&mut results, &["protocol=5.0"]);
    assert_snapshot!(table(&results), @"
A cell is one experiment: a scenario with one value for each of its axes, such
as the protocol version.

How many of 3 messages arrived after the return
Columns: QoS of the publication → QoS of the subscription

protocol clean_  retain resub- 0→0 0→1 0→2 1→0  1→1  1→2 2→0  2→1  2→2
         session        scribe
──────────────────────────────────────────────────────────────────────
5.0      false   any    false   0*  0*  0*  0*   3✓   3✓  0*   3✓   3✓
5.0      false   false  true    0*  0*  0*  0*   3✓   3✓  0*   3✓   3✓
5.0      false   true   true   +1* +1* +1* +1* 3+1✓ 3+1✓ +1* 3+1✓ 3+1✓
5.0      true    any    false   0✓  0✓  0✓  0✓   0✓   0✓  0✓   0✓   0✓
5.0      true    false  true    0✓  0✓  0✓  0✓   0✓   0✓  0✓   0✓   0✓
5.0      true    true   true   +1* +1* +1* +1✓  +1✓  +1✓ +1✓  +1✓  +1✓

✓ right   * right, the count is the broker's choice
+1 a retained copy
");
}

#[test]
fn what_was_filtered_out_is_blank() {
    let mut results = matrix();
    keep(
        &mut results,
        &["publish_qos=1,subscribe_qos=1,retain=true", "3.1.1,clean_session=false,publish_qos=2,subscribe_qos=2"],
    );
    assert_snapshot!(table(&results), @"
A cell is one experiment: a scenario with one value for each of its axes, such
as the protocol version.

How many of 3 messages arrived after the return
Columns: QoS of the publication → QoS of the subscription

protocol  clean_  retain resub- 0→0 0→1 0→2 1→0  1→1 1→2 2→0 2→1  2→2
          session        scribe
─────────────────────────────────────────────────────────────────────
3.1.1     false   false  any                                       3✓
3.1.1     false   true   false                    3✓               3✓
3.1.1     false   true   true                   3+1✓             3+1✓
3.1.1 5.0 true    true   false                    0✓
3.1.1 5.0 true    true   true                    +1✓
5.0       false   true   false                    3✓
5.0       false   true   true                   3+1✓

✓ right
+1 a retained copy

12 cells: 12 pass
");
}

#[test]
fn every_verdict_has_its_mark() {
    let mut results = matrix();
    keep(&mut results, &["protocol=3.1.1,clean_session=false,publish_qos"]);
    let verdicts = [
        ("publish_qos=0,subscribe_qos=0", Verdict::Inconclusive),
        ("publish_qos=0,subscribe_qos=1", Verdict::Error),
        ("publish_qos=1,subscribe_qos=1", Verdict::Warn),
        ("publish_qos=2,subscribe_qos=2", Verdict::Unsupported),
    ];
    for (part, verdict) in verdicts {
        bend(&mut results, &[part], |cell| {
            cell.verdict = verdict;
            cell.reason = Some(format!("as the test has it: {}", verdict.name()));
        });
    }
    bend(&mut results, &["publish_qos=1,subscribe_qos=1"], |cell| {
        cell.received.extend((1..=2).map(|seq| copy(Phase::Again, seq, 1, false)));
    });
    assert_snapshot!(table(&results), @"
A cell is one experiment: a scenario with one value for each of its axes, such
as the protocol version.

How many of 3 messages arrived after the return
Columns: QoS of the publication → QoS of the subscription

protocol clean_  retain resub- 0→0 0→1 0→2 1→0      1→1  1→2 2→0  2→1 2→2
         session        scribe
─────────────────────────────────────────────────────────────────────────
3.1.1    false   any    false   0?   E  0*  0*   3(+2)!   3✓  0*   3✓   -
3.1.1    false   false  true    0?   E  0*  0*   3(+2)!   3✓  0*   3✓   -
3.1.1    false   true   true   +1?   E +1* +1* 3+1(+2)! 3+1✓ +1* 3+1✓   -

✓ right   * right, the count is the broker's choice
! breaks a SHOULD, or is odd   ? not enough evidence   - not supported
E error of the harness or the network
+1 a retained copy
(+N) came once more on the next connection
");
    assert_snapshot!(findings(&results), @"
E error in 4 cells: publish_qos=0 subscribe_qos=1
  matrix[protocol=3.1.1,clean_session=false,publish_qos=0,subscribe_qos=1,retain=false,resubscribe=false]
  matrix[protocol=3.1.1,clean_session=false,publish_qos=0,subscribe_qos=1,retain=false,resubscribe=true]
  matrix[protocol=3.1.1,clean_session=false,publish_qos=0,subscribe_qos=1,retain=true,resubscribe=false]
  and 1 more cell
  Reason       as the test has it: error
  Repeat with  mqtt-sessions matrix --filter 'matrix[protocol=3.1.1,clean_session=false,publish_qos=0,subscribe_qos=1,retain=false,resubscribe=false]' --broker mqtt://127.0.0.1:1883
  Explain with mqtt-sessions explain 'matrix[protocol=3.1.1,clean_session=false,publish_qos=0,subscribe_qos=1,retain=false,resubscribe=false]' --broker mqtt://127.0.0.1:1883

? inconclusive in 4 cells: publish_qos=0 subscribe_qos=0
  matrix[protocol=3.1.1,clean_session=false,publish_qos=0,subscribe_qos=0,retain=false,resubscribe=false]
  matrix[protocol=3.1.1,clean_session=false,publish_qos=0,subscribe_qos=0,retain=false,resubscribe=true]
  matrix[protocol=3.1.1,clean_session=false,publish_qos=0,subscribe_qos=0,retain=true,resubscribe=false]
  and 1 more cell
  Reason       as the test has it: inconclusive
  Repeat with  mqtt-sessions matrix --filter 'matrix[protocol=3.1.1,clean_session=false,publish_qos=0,subscribe_qos=0,retain=false,resubscribe=false]' --broker mqtt://127.0.0.1:1883
  Explain with mqtt-sessions explain 'matrix[protocol=3.1.1,clean_session=false,publish_qos=0,subscribe_qos=0,retain=false,resubscribe=false]' --broker mqtt://127.0.0.1:1883

! warn in 4 cells: publish_qos=1 subscribe_qos=1
  matrix[protocol=3.1.1,clean_session=false,publish_qos=1,subscribe_qos=1,retain=false,resubscribe=false]
  matrix[protocol=3.1.1,clean_session=false,publish_qos=1,subscribe_qos=1,retain=false,resubscribe=true]
  matrix[protocol=3.1.1,clean_session=false,publish_qos=1,subscribe_qos=1,retain=true,resubscribe=false]
  and 1 more cell
  Reason       as the test has it: warn
  Repeat with  mqtt-sessions matrix --filter 'matrix[protocol=3.1.1,clean_session=false,publish_qos=1,subscribe_qos=1,retain=false,resubscribe=false]' --broker mqtt://127.0.0.1:1883
  Explain with mqtt-sessions explain 'matrix[protocol=3.1.1,clean_session=false,publish_qos=1,subscribe_qos=1,retain=false,resubscribe=false]' --broker mqtt://127.0.0.1:1883

- unsupported in 4 cells: as the test has it: unsupported (publish_qos=2
              subscribe_qos=2)

36 cells: 4 error, 4 inconclusive, 4 warn, 4 unsupported, 20 pass
");
}

#[test]
fn a_copy_that_came_twice_counts_once() {
    let mut results = matrix();
    bend(&mut results, &["publish_qos=2,subscribe_qos=2"], |cell| {
        let twice = cell.received.clone();
        cell.received.extend(twice);
    });
    assert_eq!(table(&results), table(&matrix()));
}

#[test]
fn a_broker_that_queues_nothing_fits_a_screen() {
    let mut results = matrix();
    for publish in ["publish_qos=1", "publish_qos=2"] {
        for subscribe in ["subscribe_qos=1", "subscribe_qos=2"] {
            bend(&mut results, &["clean_session=false", publish, subscribe], lose);
        }
    }
    assert_snapshot!(findings(&results), @"
✗ fail in 32 cells: clean_session=false publish_qos=1,2 subscribe_qos=1,2
  matrix[protocol=3.1.1,clean_session=false,publish_qos=1,subscribe_qos=1,retain=false,resubscribe=false]
  matrix[protocol=3.1.1,clean_session=false,publish_qos=1,subscribe_qos=1,retain=false,resubscribe=true]
  matrix[protocol=3.1.1,clean_session=false,publish_qos=1,subscribe_qos=1,retain=true,resubscribe=false]
  and 29 more cells
  Cited        MQTT-3.1.2-5 (MQTT 3.1.1, MUST): While a client with Clean
               Session 0 is away, store the QoS 1 and QoS 2 messages that match
               its subscriptions.
  Cited        MQTT-4.5.0-1 (MQTT 5.0, MUST): Add an accepted message to the
               Session of every client with a matching subscription.
  Expected     messages 1 to 3 at the lower QoS of publication and subscription,
               before the fence
  Observed     none of them; the fence of the same publisher, topic and QoS
               arrived
  Events        1  12.3 publisher#1 <- PUBACK id=3
                2  14.0 subscriber#2 <- CONNACK session_present=1 code=0x00
  Repeat with  mqtt-sessions matrix --filter 'matrix[protocol=3.1.1,clean_session=false,publish_qos=1,subscribe_qos=1,retain=false,resubscribe=false]' --broker mqtt://127.0.0.1:1883
  Explain with mqtt-sessions explain 'matrix[protocol=3.1.1,clean_session=false,publish_qos=1,subscribe_qos=1,retain=false,resubscribe=false]' --broker mqtt://127.0.0.1:1883

144 cells: 32 fail, 112 pass
");
    assert!(findings(&results).lines().count() < 24);
}

#[test]
fn long_counts_make_three_tables() {
    let mut results = matrix();
    bend(&mut results, &["clean_session=false"], |cell| {
        cell.received.extend((1..=250).map(|seq| copy(Phase::Resumed, seq, 1, false)));
        cell.received.extend((1..=250).map(|seq| copy(Phase::Again, seq, 1, false)));
    });
    assert_snapshot!(table(&results), @"
A cell is one experiment: a scenario with one value for each of its axes, such
as the protocol version.

How many of 3 messages arrived after the return
Columns: QoS of the publication → QoS of the subscription

protocol  clean_  retain resub-          0→0          0→1          0→2
          session        scribe
──────────────────────────────────────────────────────────────────────
3.1.1 5.0 false   any    false    250(+250)*   250(+250)*   250(+250)*
3.1.1 5.0 false   false  true     250(+250)*   250(+250)*   250(+250)*
3.1.1 5.0 false   true   true   250+1(+250)* 250+1(+250)* 250+1(+250)*
3.1.1 5.0 true    any    false            0✓           0✓           0✓
3.1.1 5.0 true    false  true             0✓           0✓           0✓
3.1.1 5.0 true    true   true            +1*          +1*          +1*

protocol  clean_  retain resub-          1→0          1→1          1→2
          session        scribe
──────────────────────────────────────────────────────────────────────
3.1.1 5.0 false   any    false    250(+250)*   250(+250)✓   250(+250)✓
3.1.1 5.0 false   false  true     250(+250)*   250(+250)✓   250(+250)✓
3.1.1 5.0 false   true   true   250+1(+250)* 250+1(+250)✓ 250+1(+250)✓
3.1.1 5.0 true    any    false            0✓           0✓           0✓
3.1.1 5.0 true    false  true             0✓           0✓           0✓
3.1.1 5.0 true    true   true            +1✓          +1✓          +1✓

protocol  clean_  retain resub-          2→0          2→1          2→2
          session        scribe
──────────────────────────────────────────────────────────────────────
3.1.1 5.0 false   any    false    250(+250)*   250(+250)✓   250(+250)✓
3.1.1 5.0 false   false  true     250(+250)*   250(+250)✓   250(+250)✓
3.1.1 5.0 false   true   true   250+1(+250)* 250+1(+250)✓ 250+1(+250)✓
3.1.1 5.0 true    any    false            0✓           0✓           0✓
3.1.1 5.0 true    false  true             0✓           0✓           0✓
3.1.1 5.0 true    true   true            +1✓          +1✓          +1✓

✓ right   * right, the count is the broker's choice
+1 a retained copy
(+N) came once more on the next connection
");
}

#[test]
fn the_table_fits_80_columns() {
    let mut results = matrix();
    assert!(widest(&table(&results)) <= 80);
    bend(&mut results, &["publish_qos"], |cell| {
        cell.received.extend((1..=1_000).map(|seq| copy(Phase::Resumed, seq, 1, false)));
        cell.received.extend((1..=1_000).map(|seq| copy(Phase::Again, seq, 1, false)));
    });
    assert!(widest(&table(&results)) <= 80, "{}", table(&results));
}

#[test]
fn a_choice_that_depends_on_an_axis_says_so() {
    let mut results = matrix();
    let queued = |cell: &mut mqtt_sessions::results::CellResult| {
        cell.choices.insert("qos0_publication_while_away".into(), "queued".into());
    };
    bend(&mut results, &["5.0,clean_session=false,publish_qos=0,subscribe_qos=1"], queued);
    bend(&mut results, &["5.0,clean_session=false,publish_qos=0,subscribe_qos=2"], queued);
    bend(&mut results, &["publish_qos=2,subscribe_qos=2,retain=true,resubscribe=true"], |cell| {
        cell.choices.insert("of_a_newer_version".into(), "yes".into());
    });
    let text = plain(&results);
    let (_, choices) = text.split_once("\nLeft open").expect("there are choices");
    assert_snapshot!(choices, @"
 by the standard, chosen by this broker
  - of_a_newer_version: yes (all 4 cells).
  - Messages published at QoS 0 for a QoS 0 subscription while its client is
    away are dropped (all 8 cells).
  - Messages published at QoS 0 for a QoS 1 or 2 subscription while its client
    is away are dropped (8 of 16 cells: matrix protocol=3.1.1).
  - Messages published at QoS 0 for a QoS 1 or 2 subscription while its client
    is away are queued (8 of 16 cells: matrix protocol=5.0).
  - Messages published at QoS 1 or 2 for a QoS 0 subscription while its client
    is away are dropped (all 16 cells).
  - A QoS 0 message with RETAIN 1 is kept for later SUBSCRIBEs (all 12 cells).

144 cells: 144 pass
");
}

fn backlog() -> Results {
    let mut cells = Vec::new();
    for protocol in ["3.1.1", "5.0"] {
        for qos in [0, 1, 2] {
            let axes = [
                ("protocol", AxisValue::Text(protocol.into())),
                ("qos", AxisValue::Number(qos)),
                ("window", AxisValue::Number(20)),
            ];
            let mut cell = cell("backlog", &axes);
            cell.sent = 25;
            cell.received = (1..=25).map(|seq| copy(Phase::Resumed, seq, qos, false)).collect();
            cells.push(cell);
        }
    }
    results(cells)
}

#[test]
fn another_scenario_has_a_row_for_each_answer() {
    let mut results = backlog();
    bend(&mut results, &["5.0,qos=2"], lose);
    let run = results.run.cells.get_mut("backlog[protocol=5.0,qos=2,window=20]").expect("the cell ran");
    let shown = run.attempts.remove(0);
    run.attempts = vec![AttemptRun::default(), AttemptRun::default(), shown];
    run.evidence[0].attempt = 3;
    results.broker.how = "embedded".into();
    results.options.messages = 25;
    assert_snapshot!(plain(&results), @"
A cell is one experiment: a scenario with one value for each of its axes, such
as the protocol version.

Scenario backlog
In every cell: window=20

protocol   qos  sent  received  verdict
───────────────────────────────────────
3.1.1 5.0  0 1  25    25        ✓ pass
3.1.1      2    25    25        ✓ pass
5.0        2    25    0         ✗ fail

sent: the messages of the experiment; received: those that subscriber got, each
once

✗ fail in 1 cell
  backlog[protocol=5.0,qos=2,window=20]
  Cited        MQTT-4.5.0-1 (MQTT 5.0, MUST): Add an accepted message to the
               Session of every client with a matching subscription.
  Expected     messages 1 to 3 at the lower QoS of publication and subscription,
               before the fence
  Observed     none of them; the fence of the same publisher, topic and QoS
               arrived
  Events        1  12.3 publisher#1 <- PUBACK id=3
                2  14.0 subscriber#2 <- CONNACK session_present=1 code=0x00
  Attempts     each was played 3 times, with names of its own each time; the
               events are those of attempt 3
  Repeat with  mqtt-sessions run backlog --filter 'backlog[protocol=5.0,qos=2,window=20]' --messages 25
  Explain with mqtt-sessions explain 'backlog[protocol=5.0,qos=2,window=20]' --messages 25

6 cells: 1 fail, 5 pass
");
}

#[test]
fn several_scenarios_follow_one_another() {
    let mut results = backlog();
    results.cells.extend(matrix().cells);
    results.summary = Summary::of(&results.cells);
    let text = plain(&results);
    assert!(text.contains("Scenario backlog") && text.contains("How many of 3 messages"), "{text}");
    assert!(text.contains("RETAIN 1 is kept for later SUBSCRIBEs (all 12 cells)."), "{text}");
    assert!(text.ends_with("150 cells: 150 pass\n"), "{text}");
}

#[test]
fn what_passed_late_is_said() {
    let mut results = backlog();
    for run in results.run.cells.values_mut().take(4) {
        run.attempts.push(AttemptRun::default());
    }
    results.cells[1].reason = Some("attempt 1 alone showed: 1 missing: m2 (MQTT-4.5.0-1)".into());
    assert_snapshot!(findings_without_choices(&results), @"
sent: the messages of the experiment; received: those that subscriber got, each
once

4 cells passed only when played again, with fewer cells side by side and a
longer settle window, which is how long the tool waits for what may still come.
  backlog[protocol=3.1.1,qos=0,window=20]
  backlog[protocol=3.1.1,qos=1,window=20]
  backlog[protocol=3.1.1,qos=2,window=20]
  and 1 more cell
  One showed   attempt 1 alone showed: 1 missing: m2 (MQTT-4.5.0-1)
A broker that loses a message now and then looks like one that is late; --repeat
20 tells them apart.

6 cells: 6 pass
");
}

fn findings_without_choices(results: &Results) -> String {
    let text = plain(results);
    text.rsplit_once("✓ pass\n\n").map_or(text.clone(), |(_, below)| below.to_owned())
}

fn repeat(change: impl Fn(&mut Results)) -> String {
    let mut results = backlog();
    keep(&mut results, &["3.1.1,qos=1"]);
    bend(&mut results, &["qos=1"], lose);
    change(&mut results);
    let text = plain(&results);
    let line = text.lines().find_map(|line| line.trim_start().strip_prefix("Repeat with  "));
    line.expect("a fail says how to repeat it").replace("backlog[protocol=3.1.1,qos=1,window=20]", "ID")
}

#[test]
fn the_command_repeats_the_cell_as_it_was_run() {
    let broker = |how: &'static str| move |results: &mut Results| results.broker.how = how.into();
    assert_eq!(repeat(|_| ()), "mqtt-sessions run backlog --filter 'ID' --broker mqtt://127.0.0.1:1883");
    assert_eq!(repeat(broker("embedded")), "mqtt-sessions run backlog --filter 'ID'");
    let reached = repeat(|results| results.run.reached_with = ["--username", "it's me"].map(String::from).into());
    let with_user = r"mqtt-sessions run backlog --filter 'ID' --broker mqtt://127.0.0.1:1883 --username 'it'\''s me'";
    assert_eq!(reached, with_user);
    let ipv6 = repeat(|results| results.run.url = "mqtt://[::1]:1883".into());
    assert_eq!(ipv6, "mqtt-sessions run backlog --filter 'ID' --broker 'mqtt://[::1]:1883'");
    let file = |results: &mut Results| {
        results.run.scenario_files.insert("backlog".into(), "my own.toml".into());
    };
    assert_eq!(repeat(file), "mqtt-sessions run 'my own.toml' --filter 'ID' --broker mqtt://127.0.0.1:1883");
    let options = repeat(|results| {
        results.broker.how = "embedded".into();
        results.options.messages = 25;
        results.options.queue_limit = Some(100);
    });
    assert_eq!(options, "mqtt-sessions run backlog --filter 'ID' --messages 25 --queue-limit 100");
}

#[test]
fn plain_text_is_the_coloured_text_without_colour() {
    let mut results = matrix();
    bend(&mut results, &["5.0,clean_session=false,publish_qos=2,subscribe_qos=1"], lose);
    bend(&mut results, &["3.1.1,clean_session=true,publish_qos=0"], |cell| cell.verdict = Verdict::Unsupported);
    let (plain, coloured) = (plain(&results), terminal(&told(&results), Palette::Coloured));
    assert!(!plain.contains('\u{1b}'));
    assert!(coloured.contains("\u{1b}[31m✗"), "{coloured}");
    assert_eq!(without_colour(&coloured), plain);
}

fn without_colour(text: &str) -> String {
    let mut parts = text.split('\u{1b}');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |plain, part| plain + part.split_once('m').map_or("", |(_, rest)| rest))
}

#[test]
fn the_summary_is_worst_first() {
    let of = |verdicts: &[Verdict]| {
        let made = (0..).zip(verdicts).map(|(number, verdict)| {
            let mut made = cell("mine", &[("number", AxisValue::Number(number))]);
            made.verdict = *verdict;
            made
        });
        results(made.collect())
    };
    let line = |results: &Results| plain(results).lines().last().unwrap().to_owned();
    let [mut all, mut one, mut none] = [&Verdict::WORST_FIRST[..], &[Verdict::Pass], &[]].map(of);
    assert_eq!(line(&all), "6 cells: 1 fail, 1 error, 1 inconclusive, 1 warn, 1 unsupported, 1 pass");
    assert_eq!([line(&one), line(&none)], ["1 cell: 1 pass", "no cells"]);
    for results in [&mut all, &mut one, &mut none] {
        results.run.complete = false;
        results.run.planned = 144;
    }
    assert!(line(&all).starts_with("6 of 144 cells, cut short: 1 fail, "), "{}", line(&all));
    one.run.cut_short = Some(CutShort::BrokerGone);
    none.run.cut_short = Some(CutShort::TimeLimit);
    assert_eq!(line(&one), "1 of 144 cells, the broker was gone: 1 pass");
    assert_eq!(line(&none), "0 of 144 cells, the time limit passed");
    // Half a run is no success, and a failure stays one.
    assert_eq!([&all, &one].map(|results| ExitCode::of_results(results, &Assessment::default()).code()), [1, 3]);
}

#[test]
fn one_rule_is_one_block_and_cites_its_statement_in_each_version() {
    let mut results = matrix();
    bend(&mut results, &["clean_session=false,publish_qos=1,subscribe_qos=1,retain=false,resubscribe=false"], lose);
    let text = findings(&results);
    assert_eq!(text.matches("✗ fail").count(), 1, "{text}");
    for cited in [
        "✗ fail in 2 cells",
        "Cited        MQTT-3.1.2-5 (MQTT 3.1.1, MUST): ",
        "Cited        MQTT-4.5.0-1 (MQTT 5.0, MUST): ",
    ] {
        assert!(text.contains(cited), "{text}");
    }
}

#[test]
fn what_fails_as_in_the_baseline_says_so() {
    let mut before = matrix();
    bend(&mut before, &["3.1.1,clean_session=false,publish_qos=1,subscribe_qos=1,retain=false"], lose);
    let mut after = before.clone();
    let said = |after: &Results| {
        let comparison = compare(&before, after, None).unwrap();
        terminal(&Told { comparison: Some(&comparison), ..told(after) }, Palette::Plain)
    };
    let text = said(&after);
    assert!(text.contains("✗ fail in 2 cells, as in the baseline: "), "{text}");
    bend(&mut after, &["3.1.1,clean_session=false,publish_qos=2,subscribe_qos=2,retain=false"], lose);
    let text = said(&after);
    assert!(text.contains("✗ fail in 4 cells, 2 of them as in the baseline: "), "{text}");
}

#[test]
fn a_scenario_says_what_it_asks_and_that_wills_are_not_counted() {
    let mut results = results(vec![cell("mine", &[("qos", AxisValue::Number(1))])]);
    let mut about = About { question: "Who hears of it?".into(), has_wills: false };
    results.run.scenarios.insert("mine".into(), about.clone());
    let text = plain(&results);
    assert!(text.contains("\nScenario mine\nWho hears of it?\n"), "{text}");
    assert!(text.contains("received: no client got one\n") && !text.contains("will"), "{text}");
    about.has_wills = true;
    results.run.scenarios.insert("mine".into(), about);
    let text = plain(&results);
    assert!(text.contains("no client got one; wills are not\ncounted\n"), "{text}");
}

#[test]
fn the_first_line_says_what_was_measured() {
    let say = |name: Option<&str>, version: Option<&str>, how: &str| {
        let label = BrokerLabel { name: name.map(Into::into), version: version.map(Into::into), how: how.into() };
        measured(&label, "mqtt://127.0.0.1:1883")
    };
    assert_eq!(say(None, None, "url"), "Measured: mqtt://127.0.0.1:1883");
    assert_eq!(say(Some("nats"), None, "url"), "Measured: nats at mqtt://127.0.0.1:1883");
    assert_eq!(
        say(Some("mqtt5"), Some("0.49.0"), "embedded"),
        "Measured: the embedded broker, mqtt5 0.49.0. Yours: --broker mqtt://HOST[:PORT]"
    );
}

#[test]
fn what_is_broken_beside_the_cells_has_its_events() {
    let mut results = matrix();
    bend(
        &mut results,
        &["3.1.1,clean_session=false,publish_qos=1,subscribe_qos=1,retain=false,resubscribe=true"],
        lose,
    );
    let broken = results.cells.iter().find(|cell| cell.verdict == Verdict::Fail).expect("it was bent");
    results.broker_findings.violations = broken.violations.clone();
    let history = ["0.0 step 0 connect witness".to_owned(), "3.0 witness#1 <- PUBLISH topic=?x".to_owned()].to_vec();
    results.run.helpers.histories = vec![Vec::new(), history];
    results.run.helpers.evidence = vec![HelperEvidence { violation: 0, history: 2, events: vec![2] }];
    keep(&mut results, &["clean_session=true"]);
    assert_eq!(ExitCode::of_results(&results, &Assessment::default()), ExitCode::Failed);
    assert_snapshot!(findings(&results), @"
✗ fail on connections of the tool's own, beside the cells
  Cited        MQTT-3.1.2-5 (MQTT 3.1.1, MUST): While a client with Clean
               Session 0 is away, store the QoS 1 and QoS 2 messages that match
               its subscriptions.
  Expected     messages 1 to 3 at the lower QoS of publication and subscription,
               before the fence
  Observed     none of them; the fence of the same publisher, topic and QoS
               arrived
  Events        2  3.0 witness#1 <- PUBLISH topic=?x

72 cells: 72 pass
");
}
