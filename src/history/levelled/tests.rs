//! Histories, and the levelled copies of them.

use super::*;

/// Levels events of two steps; clients rank as `subscriber`, `publisher`, `witness`.
fn check(recorded: &[(usize, &str)], expected: &[&str]) {
    let mut lines = Vec::new();
    for (number, step) in ["step one", "step two"].into_iter().enumerate() {
        lines.push(step);
        lines.extend(recorded.iter().filter(|(step, _)| *step == number).map(|(_, line)| *line));
    }
    let history = History::parse(lines).unwrap();
    let levelled = levelled(&history);
    assert_eq!(levelled.history.lines(), expected);
    let mut places = levelled.places;
    places.sort_unstable();
    assert!(places.iter().copied().eq(0..history.entries.len()));
}

#[test]
fn events_stand_by_step_then_client() {
    check(
        &[
            (0, "subscriber -> PINGREQ"),
            (0, "publisher -> PINGREQ"),
            (1, "publisher -> DISCONNECT"),
            (0, "subscriber <- PINGRESP"),
        ],
        &[
            "step one",
            "subscriber -> PINGREQ",
            "subscriber <- PINGRESP",
            "publisher -> PINGREQ",
            "step two",
            "publisher -> DISCONNECT",
        ],
    );
}

#[test]
fn who_takes_over_stands_behind_whom_it_takes_over() {
    let connect =
        |client: &str| format!("{client} -> CONNECT protocol=3.1.1 clean_session=0 keep_alive=60 client_id=subscriber");
    let (by_subscriber, by_publisher) = (connect("subscriber"), connect("publisher"));
    check(
        &[(0, &by_publisher), (1, &by_subscriber), (1, "publisher <- end fin"), (1, "subscriber -> PINGREQ")],
        &["step one", &by_publisher, "step two", "publisher <- end fin", &by_subscriber, "subscriber -> PINGREQ"],
    );
}

#[test]
fn answers_in_their_turn_stand_behind_what_they_answer_and_ids_are_renumbered() {
    check(
        &[
            (0, "subscriber <- PUBLISH topic=t qos=2 retain=0 dup=0 id=70 payload=m1"),
            (0, "subscriber -> PUBREC id=70"),
            (0, "subscriber <- PUBLISH topic=t qos=2 retain=0 dup=0 id=50 payload=m2"),
            (0, "subscriber <- PUBREL id=70"),
            (0, "subscriber -> PUBREC id=50"),
            (0, "subscriber -> PUBCOMP id=70"),
        ],
        &[
            "step one",
            "subscriber <- PUBLISH topic=t qos=2 retain=0 dup=0 id=1 payload=m1",
            "subscriber -> PUBREC id=1",
            "subscriber <- PUBREL id=1",
            "subscriber -> PUBCOMP id=1",
            "subscriber <- PUBLISH topic=t qos=2 retain=0 dup=0 id=2 payload=m2",
            "subscriber -> PUBREC id=2",
            "step two",
        ],
    );
}

#[test]
fn an_identifier_that_is_free_again_is_another_one() {
    let publish = |id: u16, dup: u8, message: &str| {
        format!("subscriber <- PUBLISH topic=t qos=1 retain=0 dup={dup} id={id} payload={message}")
    };
    let taken_again = [publish(7, 0, "m1"), publish(7, 0, "m2"), publish(8, 0, "m3"), publish(8, 1, "m3")];
    let taken_next = [publish(7, 0, "m1"), publish(8, 0, "m2"), publish(9, 0, "m3"), publish(9, 1, "m3")];
    let acks = |ids: [u16; 4]| ids.map(|id| format!("subscriber -> PUBACK id={id}"));
    let recorded = |publishes: &[String; 4], acks: [String; 4]| -> Vec<String> {
        publishes.iter().cloned().zip(acks).flat_map(|(publish, ack)| [publish, ack]).collect()
    };
    let expected = [
        "step one".to_string(),
        publish(1, 0, "m1"),
        "subscriber -> PUBACK id=1".into(),
        publish(2, 0, "m2"),
        "subscriber -> PUBACK id=2".into(),
        publish(3, 0, "m3"),
        "subscriber -> PUBACK id=3".into(),
        publish(3, 1, "m3"),
        "subscriber -> PUBACK id=3".into(),
        "step two".into(),
    ];
    for lines in [recorded(&taken_again, acks([7, 7, 8, 8])), recorded(&taken_next, acks([7, 8, 9, 9]))] {
        let lines: Vec<(usize, &str)> = lines.iter().map(|line| (0, line.as_str())).collect();
        check(&lines, &expected.each_ref().map(String::as_str));
    }
}

#[test]
fn messages_on_different_fence_topics_have_no_order() {
    check(
        &[
            (0, "subscriber <- PUBLISH topic=fence1 qos=1 retain=0 dup=0 id=9 payload=fence3"),
            (0, "subscriber -> PUBACK id=9"),
            (0, "subscriber <- PUBLISH topic=fence0 qos=0 retain=0 dup=0 payload=fence2"),
            (0, "subscriber <- PUBLISH topic=t qos=0 retain=0 dup=0 payload=m1"),
        ],
        &[
            "step one",
            "subscriber <- PUBLISH topic=fence0 qos=0 retain=0 dup=0 payload=fence2",
            "subscriber <- PUBLISH topic=fence1 qos=1 retain=0 dup=0 id=1 payload=fence3",
            "subscriber -> PUBACK id=1",
            "subscriber <- PUBLISH topic=t qos=0 retain=0 dup=0 payload=m1",
            "step two",
        ],
    );
}

#[test]
fn an_answer_that_came_before_its_question_stays_before_it() {
    let lines = [
        "step one",
        "subscriber <- PUBLISH topic=t qos=2 retain=0 dup=0 id=1 payload=m1",
        "subscriber -> PINGREQ",
        "subscriber <- PUBREL id=1",
        "subscriber -> PUBREC id=1",
        "step two",
    ];
    check(&lines[1..5].iter().map(|line| (0, *line)).collect::<Vec<_>>(), &lines);
}

#[test]
fn answers_out_of_turn_stay_where_they_were() {
    check(
        &[
            (0, "publisher -> PUBLISH topic=t qos=1 retain=0 dup=0 id=1 payload=m1"),
            (0, "publisher -> PUBLISH topic=t qos=1 retain=0 dup=0 id=2 payload=m2"),
            (0, "publisher <- PUBACK id=2"),
            (0, "publisher <- PUBACK id=1"),
        ],
        &[
            "step one",
            "publisher -> PUBLISH topic=t qos=1 retain=0 dup=0 id=1 payload=m1",
            "publisher -> PUBLISH topic=t qos=1 retain=0 dup=0 id=2 payload=m2",
            "publisher <- PUBACK id=2",
            "publisher <- PUBACK id=1",
            "step two",
        ],
    );
}
