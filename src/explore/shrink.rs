//! An experiment -> the experiments that are one change simpler.
//!
//! Whoever shrinks tries them in their order, goes on from the first one that still shows the finding, and ends where
//! none does or a number of tries is used up. So the result is the same each time, as far as the broker is.

use super::experiment::{Experiment, Fields, Step, Value};

/// The experiments that are one change simpler, the greatest changes first. Clients may do each of them.
pub fn simpler(experiment: &Experiment) -> Vec<Experiment> {
    let mut candidates: Vec<Experiment> = Vec::new();
    let all = shorter(experiment).chain(fewer_clients(experiment)).filter_map(Experiment::repaired);
    let plainer = plainer(experiment).into_iter().filter(|candidate| candidate.scenario().is_ok());
    for candidate in all.chain(plainer) {
        if candidate != *experiment && !candidates.contains(&candidate) {
            candidates.push(candidate);
        }
    }
    candidates
}

/// Without some of the steps: long stretches first, single steps last.
fn shorter(experiment: &Experiment) -> impl Iterator<Item = Experiment> {
    let count = experiment.steps.len();
    let lengths = std::iter::successors(Some(count / 2), |length| (*length > 1).then_some(length / 2));
    let stretches = lengths.filter(|length| *length > 0).flat_map(move |length| {
        (0..count).step_by(length).map(move |from| (from..count.min(from + length)).collect::<Vec<usize>>())
    });
    // A client that goes away and comes back may as well stay, and one that stops may as well take everything.
    let next_of_client = move |step: usize| {
        let client = experiment.steps[step].client;
        (step + 1..count).find(|later| experiment.steps[*later].client == client)
    };
    let pairs = (0..count).filter_map(move |step| Some(vec![step, next_of_client(step)?]));
    stretches.chain(pairs).map(|away| {
        let mut shorter = experiment.clone();
        let mut place = 0..;
        shorter.steps.retain(|_| place.next().is_none_or(|step| !away.contains(&step)));
        shorter
    })
}

/// Without a client: nobody does what it does, or another client does it.
fn fewer_clients(experiment: &Experiment) -> impl Iterator<Item = Experiment> {
    let count = experiment.clients.len();
    let without = (0..count).map(|client| {
        let mut fewer = experiment.clone();
        fewer.remove_client(client);
        fewer
    });
    let pairs =
        (0..count).flat_map(move |one| (0..count).filter(move |other| *other != one).map(move |other| (one, other)));
    without.chain(pairs.map(|(one, other)| {
        let mut fewer = experiment.clone();
        let (gone, heir) = (experiment.clients[one].name, experiment.clients[other].name);
        fewer.steps.iter_mut().filter(|step| step.client == gone).for_each(|step| step.client = heir);
        fewer.remove_client(one);
        fewer
    }))
}

/// With one option less, or one that is plainer.
fn plainer(experiment: &Experiment) -> Vec<Experiment> {
    let mut candidates = Vec::new();
    for (place, client) in experiment.clients.iter().enumerate() {
        for fields in plainer_fields(&client.fields) {
            let mut plainer = experiment.clone();
            plainer.clients[place].fields = fields;
            candidates.push(plainer);
        }
    }
    for (place, step) in experiment.steps.iter().enumerate() {
        for step in plainer_steps(step) {
            let mut plainer = experiment.clone();
            plainer.steps[place] = step;
            candidates.push(plainer);
        }
    }
    candidates
}

fn plainer_steps(step: &Step) -> Vec<Step> {
    let mut steps = Vec::new();
    if matches!(step.verb, "cut" | "stall") {
        steps.push(Step::new("disconnect", step.client));
    }
    if step.verb == "stall" {
        steps.push(Step::new("cut", step.client));
    }
    if let Some(Value::Tables(filters)) = step.fields.get("filters") {
        let others = step.fields.0.iter().filter(|(key, _)| *key != "filters");
        steps.extend(filters.iter().map(|filter| {
            let fields = filter.0.iter().chain(others.clone()).cloned().collect();
            Step { fields: Fields(fields), ..step.clone() }
        }));
    }
    steps.extend(plainer_fields(&step.fields).into_iter().map(|fields| Step { fields, ..step.clone() }));
    steps
}

/// The same keys with one of them left out or with a plainer value.
fn plainer_fields(fields: &Fields) -> Vec<Fields> {
    let mut all = Vec::new();
    for (place, (key, value)) in fields.0.iter().enumerate() {
        let mut without = fields.clone();
        without.0.remove(place);
        // The one cannot stand without the other.
        if *key == "until" {
            without.0.retain(|(key, _)| *key != "message");
        }
        // What is left out where it is needed is no scenario; the number of messages would be the run's.
        if *key != "messages" {
            all.push(without);
        }
        all.extend(plainer_values(key, value).into_iter().map(|value| {
            let mut plainer = fields.clone();
            plainer.0[place].1 = value;
            plainer
        }));
    }
    all
}

fn plainer_values(key: &str, value: &Value) -> Vec<Value> {
    match (key, value) {
        ("topic", Value::Word(topic)) if *topic != "t" => vec!["t".into()],
        ("messages" | "message" | "identifier", Value::Number(number)) if *number > 1 => vec![1.into()],
        ("qos", Value::Number(qos)) => (0..*qos).rev().map(Value::from).collect(),
        (_, Value::Table(fields)) => plainer_fields(fields).into_iter().map(Value::Table).collect(),
        (_, Value::Tables(tables)) => (0..tables.len())
            .flat_map(|place| plainer_fields(&tables[place]).into_iter().map(move |fields| (place, fields)))
            .map(|(place, fields)| {
                let mut plainer = tables.clone();
                plainer[place] = fields;
                Value::Tables(plainer)
            })
            .collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explore::{Wishes, experiment};

    #[test]
    fn an_experiment_shrinks_to_the_steps_that_matter() {
        let shows = |experiment: &Experiment| {
            let place = |verb: &str| experiment.steps.iter().position(|step| step.verb == verb);
            place("unsubscribe").zip(place("cut")).is_some_and(|(one, other)| one < other)
        };
        let wishes = Wishes { protocol: None, timers: true };
        let mut current = (0..).map(|seed| experiment(seed, wishes)).find(shows).unwrap();
        while let Some(next) = simpler(&current).into_iter().find(shows) {
            current = next;
        }
        let verbs: Vec<&str> = current.steps.iter().map(|step| step.verb).collect();
        assert_eq!(verbs, ["connect", "unsubscribe", "cut"]);
        assert_eq!(current.clients.len(), 1);
    }

    #[test]
    fn what_is_simpler_is_an_experiment_that_clients_may_do() {
        let wishes = Wishes { protocol: None, timers: true };
        for experiment in (0..6).map(|seed| experiment(seed, wishes)) {
            for simpler in simpler(&experiment) {
                assert!(simpler.scenario().is_ok(), "{simpler}");
                assert_ne!(simpler, experiment);
            }
        }
    }
}
