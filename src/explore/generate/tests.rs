use std::collections::BTreeSet;

use super::*;
use crate::explore::experiment::{Fields, Value};

const ALL: Wishes = Wishes { protocol: None, timers: true };

#[test]
fn the_parser_accepts_every_experiment_as_it_was_made() {
    for seed in 0..1500 {
        let made = made(seed, ALL);
        assert!(made.scenario().is_ok(), "{:?}\n{made}", made.scenario());
        assert_eq!(made, experiment(seed, ALL));
    }
}

#[test]
fn every_step_and_every_option_comes() {
    fn note(fields: &Fields, seen: &mut BTreeSet<&'static str>) {
        for (key, value) in &fields.0 {
            seen.insert(key);
            match value {
                Value::Table(fields) => note(fields, seen),
                Value::Tables(tables) => tables.iter().for_each(|fields| note(fields, seen)),
                Value::Word(word) => drop(seen.insert(word)),
                Value::Flag(_) | Value::Number(_) => {}
            }
        }
    }
    let mut seen = BTreeSet::new();
    for seed in 0..1500 {
        let Experiment { clients, steps, .. } = experiment(seed, ALL);
        clients.iter().for_each(|client| note(&client.fields, &mut seen));
        for step in &steps {
            seen.insert(step.verb);
            note(&step.fields, &mut seen);
        }
    }
    let wanted = "3.1.1 5.0 connect subscribe unsubscribe publish receive disconnect cut silence stall race wait \
                  clean_session client_id will topic qos retain delay clean_start session_expiry receive_maximum \
                  maximum_packet_size topic_alias_maximum keep_alive share no_local retain_as_published \
                  retain_handling filters identifier messages empty bytes message_expiry properties until message \
                  answers none pubrec refuse half puback pubrel pubcomp with_will how fin reset stays timer seconds \
                  will_delay t u t/u t/# t/+ + # g h";
    let missing: Vec<&str> = wanted.split_whitespace().filter(|word| !seen.contains(word)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn wishes_are_kept() {
    for protocol in Protocol::ALL {
        let wishes = Wishes { protocol: Some(protocol), timers: false };
        for experiment in (0..300).map(|seed| experiment(seed, wishes)) {
            assert!(!experiment.has_timers(), "{experiment}");
            let all =
                experiment.clients.iter().all(|client| client.fields.get("protocol") == Some(&protocol.name().into()));
            assert!(all, "{experiment}");
        }
    }
}
