//! The lessons of the tutorial, held against brokers that lie: each tells the lie from the truth, and says what to do.

use mqtt_sessions::packet::Protocol;
use mqtt_sessions::plan::{self, Cell, Settings};
use mqtt_sessions::results::{CellResult, Verdict};
use mqtt_sessions::scenario::Scenario;
use test_broker::measured::measure_cells;
use test_broker::{Broker, Defect};

/// A lie for each lesson, which a reader would notice in it.
const LIES: [(&str, &str); 25] = [
    ("test_1", "keeps-clean-session-openly"),
    ("test_2", "session-present-0"),
    ("test_3", "keeps-clean-session"),
    ("test_4", "queues-nothing"),
    ("test_5", "qos-of-subscription"),
    ("subscribed_at_0", "qos1-where-0-granted"),
    ("retained_clean", "keeps-first-retained"),
    ("subscription_kept", "forgets-subscriptions"),
    ("subscription_gone", "keeps-clean-session"),
    ("delivered_once", "forgets-puback"),
    ("delivered_gone", "forgets-pubcomp"),
    ("publisher_clean", "loses-first"),
    ("session_reset", "keeps-clean-session"),
    ("empty_id_clean", "live-lost"),
    ("empty_id_persistent", "nameless-session"),
    ("other_id", "adopts-session"),
    ("same_id", "no-takeover"),
    ("id_fight", "takeover-loses-session"),
    ("own_ids", "queues-nothing"),
    ("retained_last", "no-retained-on-subscribe"),
    ("retained_and_queued", "retain-on-queued"),
    ("old_and_new_state", "no-retained-on-resubscribe"),
    ("resent_publish", "no-puback"),
    ("publisher_offline", "live-lost"),
    ("silent_network", "resends-nothing"),
];

fn cells(lesson: &str) -> Vec<Cell> {
    let tutorial = Scenario::load("tutorial").unwrap();
    let cells = plan::cells(&tutorial, Settings::of(3));
    let is_own = |cell: &Cell| cell.axes.get("lesson").is_some_and(|value| value.to_string() == lesson);
    cells.into_iter().filter(is_own).collect()
}

fn lessons() -> Vec<mqtt_sessions::scenario::Lesson> {
    Scenario::load("tutorial").unwrap().parts.into_iter().filter_map(|part| part.lesson).collect()
}

#[test]
fn each_lesson_can_be_read_aloud() {
    for lesson in lessons() {
        assert!(lesson.question.ends_with('?'), "{}", lesson.name);
        // It stands in a column of the table.
        assert!(lesson.name.len() <= 15 || lesson.expected.is_none() && lesson.actual.is_none(), "{}", lesson.name);
        assert!(lesson.title.is_some_and(|title| title.contains(' ')), "{}", lesson.name);
        for text in [lesson.tutorial, lesson.conclusion, lesson.advice] {
            let text = text.unwrap_or_else(|| panic!("{} lacks a text", lesson.name));
            assert!(text.ends_with('.') && text.starts_with(|first: char| first.is_uppercase()), "{text}");
        }
        let says = |protocol| lesson.statements.iter().any(|statement| statement.protocol == protocol);
        assert!(Protocol::ALL.into_iter().all(says), "{} cites one version alone", lesson.name);
    }
}

#[test]
fn each_lesson_that_is_named_in_an_advice_exists() {
    let names: Vec<String> = lessons().into_iter().map(|lesson| lesson.name).collect();
    for lesson in lessons() {
        let advice = lesson.advice.unwrap();
        for (_, behind) in advice.match_indices("lesson ").map(|(at, word)| advice.split_at(at + word.len())) {
            let name: String = behind.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
            assert!(!name.contains('_') || names.contains(&name), "{}: {name}", lesson.name);
        }
    }
}

#[test]
fn each_lesson_tells_a_liar_from_an_honest_broker() {
    let listed: Vec<&str> = LIES.iter().map(|(lesson, _)| *lesson).collect();
    assert_eq!(lessons().into_iter().map(|lesson| lesson.name).collect::<Vec<_>>(), listed);
    let mut wrong = Vec::new();
    for (lesson, lie) in LIES {
        let honest = measure_cells(&Broker::correct(), cells(lesson));
        let defect = Defect::named(lie).unwrap_or_else(|| panic!("no lie is called {lie}"));
        let lying = measure_cells(&Broker::lying(defect), cells(lesson));
        let verdicts = |cells: &[CellResult]| cells.iter().map(|cell| cell.verdict).collect::<Vec<_>>();
        if verdicts(&honest).iter().any(|verdict| *verdict != Verdict::Pass) {
            wrong.push(format!("{lesson}: honest is {:?}", verdicts(&honest)));
        }
        if !verdicts(&lying)
            .iter()
            .any(|verdict| matches!(verdict, Verdict::Fail | Verdict::Warn | Verdict::Inconclusive))
        {
            wrong.push(format!("{lesson}: {lie} is {:?}", verdicts(&lying)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
