//! What the standard leaves open, and what a broker chose, as sentences.

/// Something that is left open.
struct Choice {
    name: &'static str,
    /// Whether it decides how many messages arrive.
    decides_count: bool,
    /// The sentence; `{}` stands for what the broker does.
    sentence: &'static str,
    /// What each value means in the sentence. Any other value stands for itself.
    values: &'static [(&'static str, &'static str)],
}

const WHILE_AWAY: &[(&str, &str)] =
    &[("dropped", "dropped"), ("queued", "queued"), ("some", "queued in part and dropped in part")];

const OVER_AN_OUTAGE: &[(&str, &str)] = &[("kept", "there again"), ("lost", "gone"), ("partly", "there again in part")];

/// What becomes of what was done with before.
const COMES_AGAIN: &[(&str, &str)] = &[("none", "does not come again"), ("some", "comes again")];
/// What becomes of a will.
const OF_A_WILL: &[(&str, &str)] =
    &[("published", "published"), ("dropped", "not published"), ("partly", "published in part")];

const CHOICES: [Choice; 32] = [
    Choice {
        name: "qos0_publication_while_away",
        decides_count: true,
        sentence: "Messages published at QoS 0 for a QoS 1 or 2 subscription while its client is away are {}",
        values: WHILE_AWAY,
    },
    Choice {
        name: "qos0_subscription_while_away",
        decides_count: true,
        sentence: "Messages published at QoS 1 or 2 for a QoS 0 subscription while its client is away are {}",
        values: WHILE_AWAY,
    },
    Choice {
        name: "qos0_both_while_away",
        decides_count: true,
        sentence: "Messages published at QoS 0 for a QoS 0 subscription while its client is away are {}",
        values: WHILE_AWAY,
    },
    Choice {
        name: "retained_qos0",
        decides_count: true,
        sentence: "A QoS 0 message with RETAIN 1 is {} for later SUBSCRIBEs",
        values: &[("kept", "kept"), ("gone", "not kept")],
    },
    Choice {
        name: "retained_copy_order",
        decides_count: false,
        sentence: "The retained message that a SUBSCRIBE brings comes {}",
        values: &[
            ("before_queue", "before the queued messages"),
            ("after_queue", "after the queued messages"),
            ("after_fence", "after messages that were published later"),
        ],
    },
    Choice {
        name: "unsolicited_messages",
        decides_count: true,
        sentence: "Messages come that no subscription of the session explains",
        values: &[("some", "")],
    },
    Choice {
        name: "takeover_disconnect",
        decides_count: false,
        sentence: "A client whose session is taken over gets {} (5.0)",
        values: &[("none", "no DISCONNECT")],
    },
    Choice {
        name: "shared_while_away",
        decides_count: true,
        sentence: "While a client of a shared subscription is away, its messages {}",
        values: &[
            ("kept_for_the_absent", "are kept for it"),
            ("to_another", "go to another client of the group"),
            ("some_of_each", "are kept for it in part, and go to another client in part"),
        ],
    },
    Choice {
        name: "will_at_clean_start",
        decides_count: false,
        sentence: "A delayed will whose client is back in time with a clean start is {} (5.0)",
        values: &[("published", "published"), ("dropped", "dropped")],
    },
    Choice {
        name: "after_stop",
        decides_count: true,
        sentence: "A session and the messages that wait for it are {} after the broker was stopped in good order",
        values: OVER_AN_OUTAGE,
    },
    Choice {
        name: "retained_after_stop",
        decides_count: true,
        sentence: "Retained messages are {} after the broker was stopped in good order",
        values: OVER_AN_OUTAGE,
    },
    Choice {
        name: "delivered_again_after_stop",
        decides_count: true,
        sentence: "What was delivered and acknowledged before {} after the broker was stopped in good order",
        values: COMES_AGAIN,
    },
    Choice {
        name: "will_after_stop",
        decides_count: true,
        sentence: "The will of a client whose connection ended with the broker is {} after the broker was stopped in good order",
        values: OF_A_WILL,
    },
    Choice {
        name: "after_kill",
        decides_count: true,
        sentence: "A session and the messages that wait for it are {} after the broker was killed",
        values: OVER_AN_OUTAGE,
    },
    Choice {
        name: "retained_after_kill",
        decides_count: true,
        sentence: "Retained messages are {} after the broker was killed",
        values: OVER_AN_OUTAGE,
    },
    Choice {
        name: "delivered_again_after_kill",
        decides_count: true,
        sentence: "What was delivered and acknowledged before {} after the broker was killed",
        values: COMES_AGAIN,
    },
    Choice {
        name: "will_after_kill",
        decides_count: true,
        sentence: "The will of a client whose connection ended with the broker is {} after the broker was killed",
        values: OF_A_WILL,
    },
    Choice {
        name: "after_stop_of_node",
        decides_count: true,
        sentence: "A session and the messages that wait for it are {} after one node of the broker was stopped in good order",
        values: OVER_AN_OUTAGE,
    },
    Choice {
        name: "retained_after_stop_of_node",
        decides_count: true,
        sentence: "Retained messages are {} after one node of the broker was stopped in good order",
        values: OVER_AN_OUTAGE,
    },
    Choice {
        name: "delivered_again_after_stop_of_node",
        decides_count: true,
        sentence: "What was delivered and acknowledged before {} after one node of the broker was stopped in good order",
        values: COMES_AGAIN,
    },
    Choice {
        name: "will_after_stop_of_node",
        decides_count: true,
        sentence: "The will of a client whose connection ended with its node is {} after that was stopped in good order",
        values: OF_A_WILL,
    },
    Choice {
        name: "after_kill_of_node",
        decides_count: true,
        sentence: "A session and the messages that wait for it are {} after one node of the broker was killed",
        values: OVER_AN_OUTAGE,
    },
    Choice {
        name: "retained_after_kill_of_node",
        decides_count: true,
        sentence: "Retained messages are {} after one node of the broker was killed",
        values: OVER_AN_OUTAGE,
    },
    Choice {
        name: "delivered_again_after_kill_of_node",
        decides_count: true,
        sentence: "What was delivered and acknowledged before {} after one node of the broker was killed",
        values: COMES_AGAIN,
    },
    Choice {
        name: "will_after_kill_of_node",
        decides_count: true,
        sentence: "The will of a client whose connection ended with its node is {} after that was killed",
        values: OF_A_WILL,
    },
    Choice {
        name: "after_partition",
        decides_count: true,
        sentence: "A session and the messages that wait for it are {} after one node of the broker was cut off from the others",
        values: OVER_AN_OUTAGE,
    },
    Choice {
        name: "retained_after_partition",
        decides_count: true,
        sentence: "Retained messages are {} after one node of the broker was cut off from the others",
        values: OVER_AN_OUTAGE,
    },
    Choice {
        name: "delivered_again_after_partition",
        decides_count: true,
        sentence: "What was delivered and acknowledged before {} after one node of the broker was cut off from the others",
        values: COMES_AGAIN,
    },
    Choice {
        name: "will_after_partition",
        decides_count: true,
        sentence: "The will of a client whose connection ended meanwhile is {} after one node of the broker was cut off from the others",
        values: OF_A_WILL,
    },
    Choice {
        name: "expired_while_the_broker_was_away",
        decides_count: true,
        sentence: "A session whose Session Expiry Interval passes while the broker is away is {} (5.0)",
        values: &[("kept", "there again"), ("gone", "gone")],
    },
    Choice {
        name: "sys_topics",
        decides_count: false,
        sentence: "The broker publishes below $SYS",
        values: &[("some", "")],
    },
    Choice {
        name: "queue_full",
        decides_count: true,
        sentence: "Of messages beyond the declared queue limit {}",
        values: &[
            ("drop_newest", "the newest are dropped"),
            ("drop_oldest", "the oldest are dropped"),
            ("refuse", "the newest are refused"),
        ],
    },
];

/// Whether this choice decides how many messages arrive.
pub fn decides_count(name: &str) -> bool {
    CHOICES.iter().any(|choice| choice.name == name && choice.decides_count)
}

/// Whether the broker has this choice because the user declared a queue limit, and not because of the standard.
pub fn is_of_queue_limit(name: &str) -> bool {
    name == "queue_full"
}

/// The name of each choice, and what may be chosen, as a sentence without a full stop.
pub fn all() -> impl Iterator<Item = (&'static str, String)> {
    CHOICES.iter().map(|choice| {
        let meanings: Vec<&str> = choice.values.iter().map(|(_, meaning)| *meaning).collect();
        (choice.name, choice.sentence.replace("{}", &meanings.join(", or ")))
    })
}

/// A choice as a sentence, without a full stop. One that is not known stands as it is.
pub fn sentence(name: &str, value: &str) -> String {
    let Some(choice) = CHOICES.iter().find(|choice| choice.name == name) else { return format!("{name}: {value}") };
    let meaning = choice.values.iter().find(|(own, _)| *own == value).map(|(_, meaning)| (*meaning).to_owned());
    let meaning = meaning.unwrap_or_else(|| match name {
        "takeover_disconnect" => format!("DISCONNECT with {value}"),
        _ => value.to_owned(),
    });
    choice.sentence.replace("{}", &meaning)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_reads_as_a_sentence() {
        assert_eq!(
            sentence("qos0_subscription_while_away", "dropped"),
            "Messages published at QoS 1 or 2 for a QoS 0 subscription while its client is away are dropped"
        );
        assert_eq!(
            sentence("takeover_disconnect", "0x8e"),
            "A client whose session is taken over gets DISCONNECT with 0x8e (5.0)"
        );
        assert_eq!(sentence("sys_topics", "some"), "The broker publishes below $SYS");
        assert_eq!(sentence("of_tomorrow", "some"), "of_tomorrow: some");
    }

    #[test]
    fn no_sentence_has_an_identifier() {
        for choice in CHOICES {
            for (value, _) in choice.values {
                let said = sentence(choice.name, value);
                assert!(!said.contains(['_', '{']) && said.starts_with(char::is_uppercase), "{said}");
            }
        }
    }
}
