//! Finding one's way: the scenarios and the statements, as `list` and `explain` print them.

use crate::program::{Ended, program, run};
use mqtt_sessions::packet::Protocol;
use mqtt_sessions::scenario::Scenario;
use mqtt_sessions::statement::{find, statements};

fn words(ended: &Ended) -> String {
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    let widest = ended
        .stdout
        .lines()
        .filter(|line| !line.contains('[') && !line.contains("https:") && !line.contains("mqtt-sessions run"));
    let widest = widest.map(|line| line.chars().count()).max();
    assert!(widest.is_some_and(|columns| columns <= 80), "{}", ended.stdout);
    ended.stdout.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn list_says_what_each_scenario_asks_and_how_many_cells_it_has() {
    let text = words(&run(program(["list"])));
    for name in Scenario::built_in_names() {
        let question = Scenario::load(name).unwrap().question;
        let begin = question.split_whitespace().take(4).collect::<Vec<_>>().join(" ");
        assert!(text.contains(name) && text.contains(&begin), "{name}: {text}");
    }
    assert!(text.contains("matrix 72 72 Which of the messages"), "{text}");
    assert!(text.contains("arrive complete and in order? Only where it is named. restart "), "{text}");
    assert!(text.contains("cut off from the others for a while? Only where it is named. both: one"), "{text}");
}

#[test]
fn every_statement_is_listed() {
    let text = words(&run(program(["list", "--statements"])));
    for statement in Protocol::ALL.into_iter().flat_map(statements) {
        let id = format!("{} {} {} ", statement.protocol, statement.id, statement.level.name());
        assert!(text.contains(&id), "{id}");
    }
    for phrase in ["lies break it, seen in matrix, tutorial", "a duty of clients", "not judged: ", "MAY: left open"] {
        assert!(text.contains(phrase), "{phrase}");
    }
    let ended = run(program(["list", "--statements", "matrix"]));
    assert_eq!(ended.code, Some(2), "{}", ended.stdout);
}

/// Both versions have the number, and mean different things by it.
#[test]
fn a_statement_is_explained_for_each_version() {
    let text = words(&run(program(["explain", "MQTT-3.1.2-5"])));
    for protocol in Protocol::ALL {
        let statement = find(protocol, "MQTT-3.1.2-5").unwrap();
        for phrase in [statement.paraphrase, &format!("in MQTT {protocol} (MUST)"), &statement.link()] {
            assert!(text.contains(phrase), "{phrase}: {text}");
        }
    }
    for phrase in [
        "Nothing is queued while the subscriber is away. [queues-nothing]",
        "It demands the same as MQTT-3.1.2-23",
        "matrix[protocol=3.1.1,clean_session=false,",
        "mqtt-sessions run matrix tutorial ",
    ] {
        assert!(text.contains(phrase), "{phrase}: {text}");
    }
    let one = words(&run(program(["explain", "5.0 mqtt-3.1.2-5"])));
    assert!(!one.contains("in MQTT 3.1.1"), "{one}");
}

#[test]
fn every_statement_can_be_explained_and_its_commands_can_be_typed() {
    for statement in Protocol::ALL.into_iter().flat_map(statements).filter(|own| own.id.ends_with('1')) {
        let id = format!("{} {}", statement.protocol, statement.id);
        let ended = run(program(["explain", &id]));
        assert!(words(&ended).contains(statement.paraphrase), "{id}");
        let cells =
            ended.stdout.lines().filter_map(|line| line.strip_prefix("    ")).filter(|line| line.ends_with(']'));
        let cells = cells.filter(|line| !line.starts_with('-') && !line.starts_with(' '));
        for cell in cells {
            let (scenario, _) = cell.split_once('[').unwrap();
            assert_eq!(run(program(["list", scenario, "--filter", cell])).code, Some(0), "{id}: {cell}");
        }
    }
}

#[test]
fn a_statement_that_does_not_exist_has_its_neighbours() {
    let ended = run(program(["explain", "MQTT-3.12.4-2"]));
    ended.gave_up(
        2,
        &["there is no such statement", "those of its section are MQTT-3.12.4-1;", "`mqtt-sessions list --statements`"],
    );
    run(program(["explain", "MQTT-99.1"])).gave_up(2, &["MQTT-99.1: there is no such statement"]);
}
