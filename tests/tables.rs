//! What the tables of all built-in scenarios say: whatever the answers are, a row stands for the cells that it names, and for no
//! other. And the pages: nothing is too wide, and no word is broken.

mod made_up;

use std::collections::{BTreeMap, BTreeSet};

use made_up::{bend, cell, copy, lose, results, told};
use mqtt_sessions::plan::{Settings, cells};
use mqtt_sessions::report::{Page, Palette, terminal};
use mqtt_sessions::results::{AxisValue, CellResult, Phase, Received, Results, Verdict};
use mqtt_sessions::scenario::Scenario;

/// All cells of a scenario, passed.
fn planned(scenario: &str) -> Vec<CellResult> {
    let scenario = Scenario::load(scenario).unwrap();
    let planned = cells(&scenario, Settings::of(3));
    planned
        .iter()
        .map(|planned| {
            let axes: Vec<_> = planned.axes.0.iter().map(|(axis, value)| (axis.as_str(), value.clone())).collect();
            cell(&scenario.name, &axes)
        })
        .collect()
}

/// Some verdict for each cell, by the value of one axis or of two, or at random.
fn answered(mut cells: Vec<CellResult>, seed: usize) -> Vec<CellResult> {
    let verdicts = [Verdict::Pass, Verdict::Fail, Verdict::Warn];
    let mut random = seed as u64 + 1;
    for cell in &mut cells {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let axes = &cell.axes.0;
        let value = |axis: usize| axes[axis % axes.len()].1.to_string().bytes().map(usize::from).sum::<usize>();
        let pick = match seed % 3 {
            0 => value(seed / 3),
            1 => value(seed / 3) + value(seed / 2 + 1),
            _ => usize::try_from(random >> 60).unwrap(),
        };
        cell.verdict = verdicts[pick % verdicts.len()];
    }
    cells
}

fn at_width(results: &Results, width: usize) -> String {
    terminal(&told(results), Page { width, details: true, ..Page::from(Palette::Plain) })
}

/// The rows of a table whose cells have no line breaks: what each names, by the axes that vary.
fn rows(table: &str, axes: &[String]) -> Vec<(Vec<BTreeSet<String>>, String)> {
    let lines = table.lines().skip_while(|line| !line.starts_with('─')).skip(1).take_while(|line| !line.is_empty());
    let row = |line: &str| {
        let texts: Vec<&str> = line.split("  ").map(str::trim).filter(|text| !text.is_empty()).collect();
        assert_eq!(texts.len(), axes.len() + 3, "{line}");
        let values = texts[..axes.len()].iter().map(|text| text.split(' ').map(str::to_owned).collect());
        (values.collect(), texts[axes.len() + 2].to_owned())
    };
    lines.map(row).collect()
}

#[test]
fn a_row_stands_for_the_cells_that_it_names_and_each_cell_is_in_one_row() {
    for scenario in Scenario::built_in_names().filter(|name| *name != "matrix") {
        for seed in 0..12 {
            let cells = answered(planned(scenario), seed);
            let mut domain: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
            for (axis, value) in cells.iter().flat_map(|cell| &cell.axes.0) {
                domain.entry(axis).or_default().insert(value.to_string());
            }
            let order = cells[0].axes.0.iter().map(|(axis, _)| axis.clone());
            let axes: Vec<String> = order.filter(|axis| domain[axis.as_str()].len() > 1).collect();
            let text = at_width(&results(cells.clone()), 200);
            let mut named: BTreeMap<Vec<String>, String> = BTreeMap::new();
            for (values, verdict) in rows(&text, &axes) {
                let values = values.into_iter().zip(&axes).map(|(values, axis)| match values.contains("any") {
                    true => domain[axis.as_str()].clone(),
                    false => values,
                });
                let combinations = values.fold(vec![Vec::new()], |before, values| {
                    let with = |one: &Vec<String>| {
                        values.iter().map(|value| [&one[..], std::slice::from_ref(value)].concat()).collect::<Vec<_>>()
                    };
                    before.iter().flat_map(with).collect()
                });
                for combination in combinations {
                    let twice = named.insert(combination.clone(), verdict.clone());
                    assert_eq!(twice, None, "{scenario}: {combination:?} is in two rows of\n{text}");
                }
            }
            let said = |cell: &CellResult| {
                let values = axes.iter().map(|axis| cell.axes.get(axis).unwrap().to_string()).collect();
                (
                    values,
                    format!(
                        "{} {}",
                        if cell.verdict == Verdict::Pass {
                            '✓'
                        } else if cell.verdict == Verdict::Fail {
                            '✗'
                        } else {
                            '!'
                        },
                        cell.verdict.name()
                    ),
                )
            };
            let measured: BTreeMap<Vec<String>, String> = cells.iter().map(said).collect();
            assert_eq!(named, measured, "{scenario}, {seed}\n{text}");
        }
    }
}

#[test]
fn messages_are_counted_by_client_and_topic() {
    let mut own = cell("own", &[("qos", AxisValue::Number(1))]);
    own.sent_to = [("a".into(), 7), ("b".into(), 7)].into();
    own.sent = 14;
    let with = |client: &str, topic: &str, connection, seq| {
        let copy = copy(Phase::Resumed, seq, 1, false);
        Received { client: client.into(), topic: topic.into(), connection, ..copy }
    };
    own.received = (1..=7).map(|seq| with("first", "a", 1, seq)).collect();
    own.received.extend((8..=14).map(|seq| with("first", "b", 1, seq)));
    own.received.extend([with("second", "a", 1, 1), with("second", "a", 2, 1), with("second", "a", 2, 2)]);
    let other = cell("own", &[("qos", AxisValue::Number(2))]);
    let text = at_width(&results(vec![own, other]), 80);
    let rows: Vec<&str> = text.lines().skip_while(|line| !line.starts_with('─')).skip(1).take(2).collect();
    assert_eq!(
        rows,
        [
            "1    a 7, b 7  first a 7, first b 7, second a 2 (+1)  ✓ pass",
            "2    t 3       0                                      ✓ pass",
        ]
    );
}

/// All scenarios, with something of everything that a report can say.
fn everything() -> Results {
    let all = Scenario::usual_names().flat_map(|name| answered(planned(name), name.len()));
    let mut results = results(all.collect());
    for cell in results.cells.iter_mut().filter(|cell| cell.verdict == Verdict::Warn) {
        cell.reason =
            Some("the witness saw m1 and nothing else, so that nothing can be said of what became of m2".into());
    }
    bend(&mut results, &["qos=1"], lose);
    bend(&mut results, &["matrix", "publish_qos=0"], |cell| {
        cell.choices.insert("qos0_publication_while_away".into(), "dropped".into());
    });
    results
}

#[test]
fn nothing_is_too_wide_and_no_word_is_broken() {
    let results = everything();
    let mut words: BTreeSet<String> = BTreeSet::new();
    let wide = at_width(&results, 200);
    let json = results.to_json();
    let split = |text: &str| -> Vec<String> {
        text.split(|c: char| c.is_whitespace() || ",;:\"()[]=".contains(c)).map(str::to_owned).collect()
    };
    words.extend(split(&wide));
    words.extend(split(&json));
    words.extend(split("every cell"));
    for scenario in Scenario::usual_names() {
        words.extend(
            planned(scenario)[0]
                .axes
                .0
                .iter()
                .flat_map(|(axis, _)| axis.split_inclusive('_').map(str::to_owned).collect::<Vec<_>>()),
        );
    }
    for width in [60, 80, 100, 140, 200] {
        let text = at_width(&results, width);
        for line in text.lines() {
            // A command is there to be copied, and an id is one word.
            let stays_whole = line.contains("mqtt-sessions ") || line.split_whitespace().count() <= 1;
            assert!(stays_whole || line.chars().count() <= width, "{width}: {line}");
        }
        let broken = split(&text).into_iter().find(|word| !words.contains(word) && !word.starts_with('─'));
        assert_eq!(broken, None, "at {width}");
    }
}
