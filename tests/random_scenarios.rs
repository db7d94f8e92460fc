//! Random experiments: whatever the steps, a correct broker is never failed, whichever liberties it takes.

mod support;

use std::fmt::Write;

use mqtt_sessions::results::Verdict;
use mqtt_sessions::scenario::Scenario;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use support::broker::{Broker, Choices};
use support::measured::measure_scenario;

/// The clients of every random experiment: the publisher is always there, and the heir takes the session of the first
/// over and leaves.
const CLIENTS: [&str; 3] = ["one", "two", "publisher"];
const POINTS: [&str; 6] = ["half", "publish", "puback", "pubrec", "pubrel", "pubcomp"];

/// Where the random experiments begin.
const SEED: u64 = 1;

/// What a step does, before it is known whether its client can do it.
#[derive(Debug, Clone, Copy)]
enum Wish {
    /// Connects if it is away, otherwise goes away in one of several manners.
    ComeOrGo(u8),
    Subscribe {
        topic: u8,
        qos: u8,
        options: u8,
    },
    Unsubscribe(u8),
    Publish {
        topic: u8,
        qos: u8,
        retain: bool,
        kind: u8,
    },
    Receive(u8),
    /// Takes messages up to a point in the handshake of one of them, and is cut.
    Stop {
        point: u8,
        message: u8,
    },
    /// The publisher's connection breaks at a point of a handshake, and it returns.
    Break {
        point: u8,
        qos: u8,
    },
    Inherit,
}

fn wish() -> impl Strategy<Value = Wish> {
    prop_oneof![
        3 => (0u8..5).prop_map(Wish::ComeOrGo),
        3 => (0u8..4, 0u8..3, 0u8..12).prop_map(|(topic, qos, options)| Wish::Subscribe { topic, qos, options }),
        1 => (0u8..4).prop_map(Wish::Unsubscribe),
        4 => (0u8..2, 0u8..3, any::<bool>(), 0u8..4)
            .prop_map(|(topic, qos, retain, kind)| Wish::Publish { topic, qos, retain, kind }),
        3 => (0u8..4).prop_map(Wish::Receive),
        1 => (0u8..6, 1u8..4).prop_map(|(point, message)| Wish::Stop { point, message }),
        1 => (0u8..6, 1u8..3).prop_map(|(point, qos)| Wish::Break { point, qos }),
        1 => Just(Wish::Inherit),
    ]
}

const TOPICS: [&str; 4] = ["t", "u", "+", "#"];

/// The steps that can be played, as lines of a scenario file.
fn steps(wishes: &[(usize, Wish)]) -> String {
    let mut there = [false; 2];
    let mut text = String::from("    { connect = \"publisher\" },\n");
    for (client, wish) in wishes {
        let name = CLIENTS[*client];
        let line = match *wish {
            Wish::ComeOrGo(manner) => {
                there[*client] = !there[*client];
                match (there[*client], manner) {
                    (true, _) => format!("connect = \"{name}\""),
                    (false, 0) => format!("cut = \"{name}\""),
                    (false, 1) => format!("cut = \"{name}\", how = \"reset\""),
                    (false, 2) => format!("stall = \"{name}\""),
                    (false, _) => format!("disconnect = \"{name}\""),
                }
            }
            Wish::Publish { topic, qos, retain, kind } => {
                let extra = match kind {
                    0 => ", properties = true",
                    1 if retain => ", empty = true, messages = 1",
                    _ => ", messages = 2",
                };
                let topic = TOPICS[topic as usize];
                format!("publish = \"publisher\", topic = \"{topic}\", qos = {qos}, retain = {retain}{extra}")
            }
            Wish::Break { point, qos } => {
                let until = POINTS[point as usize];
                format!(
                    "publish = \"publisher\", topic = \"t\", qos = {qos}, messages = 1, until = \"{until}\" }},
    {{ cut = \"publisher\" }},
    {{ connect = \"publisher\""
                )
            }
            Wish::Inherit => {
                there[0] = false;
                "connect = \"heir\" },\n    { disconnect = \"heir\"".into()
            }
            _ if !there[*client] => continue,
            Wish::Stop { point, message } => {
                there[*client] = false;
                let until = POINTS[point as usize];
                format!("receive = \"{name}\", until = \"{until}\", message = {message} }},\n    {{ cut = \"{name}\"")
            }
            Wish::Subscribe { topic, qos, options } => format!(
                "subscribe = \"{name}\", topic = \"{}\", qos = {qos}, retain_handling = {}, retain_as_published = {}",
                TOPICS[topic as usize],
                options % 3,
                options >= 6
            ),
            Wish::Unsubscribe(topic) => format!("unsubscribe = \"{name}\", topic = \"{}\"", TOPICS[topic as usize]),
            Wish::Receive(answers) => {
                let answers = ["all", "all", "none", "pubrec"][answers as usize];
                format!("receive = \"{name}\", answers = \"{answers}\"")
            }
        };
        let _ = writeln!(text, "    {{ {line} }},");
    }
    // Whoever is there takes what has come, so that there is something to be judged.
    for client in 0..2 {
        let name = CLIENTS[client];
        if there[client] {
            let _ = writeln!(text, "    {{ receive = \"{name}\" }},\n    {{ disconnect = \"{name}\" }},");
        }
        let _ = writeln!(text, "    {{ connect = \"{name}\" }},\n    {{ receive = \"{name}\" }},");
    }
    text
}

fn scenario(wishes: &[(usize, Wish)], clean: [bool; 2]) -> String {
    let mut text = String::from("name = \"random\"\nquestion = \"Is a correct broker failed?\"\n");
    text.push_str("axes.protocol = [\"3.1.1\", \"5.0\"]\n");
    for (name, clean) in CLIENTS.iter().zip([clean[0], clean[1], false]) {
        let _ = writeln!(text, "clients.{name} = {{ protocol = \"$protocol\", clean_session = {clean} }}");
    }
    let steps = steps(wishes);
    if steps.contains("\"heir\"") {
        let clean = clean[0];
        let _ = writeln!(
            text,
            "clients.heir = {{ protocol = \"$protocol\", clean_session = {clean}, client_id = \"one\" }}"
        );
    }
    let _ = write!(text, "steps = [\n{steps}]\n");
    text
}

proptest! {
    // The same experiments in each run: a new one is tried by another seed.
    #![proptest_config(ProptestConfig {
        cases: 300,
        rng_seed: RngSeed::Fixed(SEED),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_correct_broker_is_never_failed(
        wishes in proptest::collection::vec((0usize..2, wish()), 1..14),
        clean in any::<[bool; 2]>(),
        seed in 0u64..40,
    ) {
        let text = scenario(&wishes, clean);
        let scenario = Scenario::parse("random.toml", &text).expect("a sound scenario");
        // Half of the brokers take no liberties.
        let broker = if seed < 20 { Broker::correct() } else { Broker::choosing(Choices::random(seed)) };
        for cell in measure_scenario(&broker, &scenario) {
            let wrong = matches!(cell.verdict, Verdict::Fail | Verdict::Warn | Verdict::Error);
            prop_assert!(!wrong, "{text}\n{:?}", cell.reason);
        }
    }
}
