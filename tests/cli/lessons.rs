//! The tutorial from outside: the lessons, one of them, and a client library that plays them too.

use crate::peers::{Untouched, correct, serve, url};
use crate::program::{Ended, program, run};
use mqtt_sessions::results::CellRun;
use test_broker::{Broker, Defect};

fn tutorial(broker: &str, arguments: &[&str]) -> Ended {
    run(program([&["run", "tutorial", "--broker", broker], arguments].concat()))
}

#[track_caller]
fn says(ended: &Ended, phrases: &[&str]) {
    for phrase in phrases {
        assert!(ended.stdout.contains(phrase), "\"{phrase}\" is missing in:\n{}", ended.stdout);
    }
}

#[test]
fn the_tutorial_is_printed_as_lessons() {
    let ended = tutorial(&correct(), &[]);
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
    says(
        &ended,
        &[
            "test_2          persistent 0→0 no     all      none  none *",
            "test_4          persistent 1→1 no     all      all   all ✓",
            "retained_clean  clean      1→1 yes    the last       the last ✓",
            "test_2: A persistent session, QoS 0\n",
            "  So        The broker has to store messages of QoS 1 and QoS 2. A QoS 0 message\n",
            "  To do     Publish and subscribe at QoS 1 or 2",
            "  4  publisher subscribes to own at QoS 1, so  granted QoS 1\n     that its session has something in it\n",
            "`mqtt-sessions probe URL`",
            "  7  subscriber takes what comes               m1 m2 m3 at QoS 1\n",
            "3.1.1: refused with 0x02,",
            "50 cells: 50 pass",
        ],
    );
    assert!(ended.stderr.contains("checked that none of them is left"), "{}", ended.stderr);
    let lines = ended.stdout.lines().filter(|line| !line.contains("mqtt-sessions "));
    let widest = lines.max_by_key(|line| line.chars().count()).unwrap();
    assert!(widest.chars().count() <= 80, "{widest}");
}

#[test]
fn many_messages_are_told_in_few_words() {
    let ended = tutorial(&correct(), &["--filter", "lesson=test_4", "--messages", "1500"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    says(&ended, &["  7  subscriber takes what comes               m1 to m1500 at QoS 1\n"]);
}

#[test]
fn one_lesson_alone_and_its_results() {
    let ended = tutorial(&correct(), &["--filter", "lesson=same_id", "--export-json", "-"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let results = ended.results();
    let ids: Vec<&str> = results.cells.iter().map(|cell| cell.id.as_str()).collect();
    assert_eq!(ids, ["tutorial[lesson=same_id,protocol=3.1.1]", "tutorial[lesson=same_id,protocol=5.0]"]);
    // The lessons need the histories, but nobody asked to keep them.
    assert!(!results.run.cells.values().any(CellRun::has_histories));
}

#[test]
fn beside_other_scenarios_lessons_are_a_table() {
    let ended = run(program(["run", "backlog", "tutorial", "--broker", &correct(), "--filter", "protocol=5.0"]));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    says(&ended, &["Scenario backlog", "Scenario tutorial", "In every cell: protocol=5.0", "29 cells: 29 pass"]);
    assert!(!ended.stdout.contains("The standard tells"), "{}", ended.stdout);
}

#[test]
fn a_lesson_can_be_explained() {
    let id = "tutorial[lesson=test_4,protocol=5.0]";
    let ended = run(program(["explain", id, "--broker", &correct()]));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    says(&ended, &[id, "Persistent session, QoS 1 on both sides", "owes    m2"]);
}

#[test]
fn a_refusal_that_is_owed_is_explained() {
    let ended =
        run(program(["explain", "tutorial[lesson=empty_id_persistent,protocol=3.1.1]", "--broker", &correct()]));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    says(&ended, &["owes    CONNACK 0x02 to nameless", "met     CONNACK 0x02"]);
}

#[test]
fn a_lesson_that_goes_wrong_has_its_finding() {
    let broker = url(serve(&Broker::lying(Defect::NamelessSession)));
    let ended = tutorial(&broker, &["--filter", "lesson=empty_id_persistent"]);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    says(&ended, &["Cited        MQTT-3.1.3-8", "3.1.1: ✗ fail   5.0: ✓ pass"]);
}

#[test]
fn a_client_library_gets_the_same() {
    let broker = Broker::correct();
    let ended = tutorial(&url(serve(&broker)), &["--client", "rumqttc"]);
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
    says(
        &ended,
        &[
            "  test_4               m1 m2 m3 at QoS 1            m1 m2 m3 at QoS 1\n",
            "not played: rumqttc",
            "In every lesson that both played they got the same",
        ],
    );
    assert!(ended.stderr.contains("rumqttc: "), "{}", ended.stderr);
    crate::peers::assert_nothing_left(&broker);
}

#[test]
#[cfg(feature = "embedded")]
fn the_embedded_broker_serves_both_clients() {
    let ended = run(program(["run", "tutorial", "--client", "rumqttc", "--filter", "lesson=test_4,delivered_once"]));
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
    says(&ended, &["In every lesson that both played they got the same"]);
}

#[test]
fn a_client_library_plays_lessons_alone() {
    let broker = Untouched::new();
    for arguments in [&["run", "matrix"][..], &["run", "tutorial", "backlog"], &["run", "--all"]] {
        let ended = run(program([arguments, &["--client", "rumqttc", "--broker", &broker.url()]].concat()));
        ended.gave_up(2, &["--client", "has no lessons", "`run tutorial --client rumqttc`"]);
    }
    broker.assert_untouched();
}
