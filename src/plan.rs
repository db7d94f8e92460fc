//! Scenarios × axes -> cells: every combination of axis values, with the steps that it takes.

mod filter;

use crate::packet::Protocol;
use crate::results::Axes;
use crate::scenario::{ActionPlan, Scenario, combinations};

pub use filter::{Filter, FilterError};

/// A scenario with one value for each axis: the unit that runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Cell {
    /// `scenario[axis=value,...]`: from content, never from position.
    pub id: String,
    pub scenario: String,
    pub axes: Axes,
    /// The first one's fate is what the experiment is about.
    pub clients: Vec<Client>,
    pub steps: Vec<Step>,
    /// The queue limit that the user declared for this broker, in messages.
    pub queue_limit: Option<u32>,
}

/// A client of a cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    pub name: String,
    pub protocol: Protocol,
    pub clean_session: bool,
}

/// A step of a cell, complete with what the proofs around it need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The client that acts, by its place in [`Cell::clients`].
    pub client: usize,
    pub action: Action,
}

/// What the client of a step does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    Connect,
    Subscribe {
        topic: String,
        qos: u8,
        /// What is published on this topic in later steps: each is proven to reach the client before it goes away.
        loop_backs: Vec<Source>,
    },
    Publish {
        topic: String,
        qos: u8,
        retain: bool,
        /// How many messages; numbered on through the cell.
        messages: u32,
    },
    Receive {
        /// What was published so far: each can be fenced.
        fences: Vec<Source>,
        /// The client goes away after this step, so it is the last moment to tell late from never.
        last: bool,
    },
    Disconnect,
}

/// Where messages come from: all of one source are delivered in the order of publication.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// By its place in [`Cell::clients`].
    pub publisher: usize,
    pub topic: String,
    pub qos: u8,
}

/// What the run's options give to a plan.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Messages of a publish step that does not say how many.
    pub messages: u32,
    pub queue_limit: Option<u32>,
}

/// All cells of a scenario, in the order of its axes' values, the last axis fastest.
pub fn cells(scenario: &Scenario, settings: Settings) -> Vec<Cell> {
    combinations(&scenario.axes).map(|axes| cell(scenario, axes, settings)).collect()
}

fn cell(scenario: &Scenario, axes: Axes, settings: Settings) -> Cell {
    let clients = scenario.clients.iter().map(|client| Client {
        name: client.name.clone(),
        protocol: client.protocol.in_cell(&axes),
        clean_session: client.clean_session.in_cell(&axes),
    });
    let taken = scenario.steps.iter().filter(|step| step.when.in_cell(&axes));
    let mut steps: Vec<Step> =
        taken.map(|step| Step { client: step.client, action: action(&step.action, &axes, settings) }).collect();
    add_proofs(&mut steps);
    Cell {
        id: id(&scenario.name, &axes),
        scenario: scenario.name.clone(),
        clients: clients.collect(),
        steps,
        axes,
        queue_limit: settings.queue_limit,
    }
}

fn id(scenario: &str, axes: &Axes) -> String {
    let values: Vec<String> = axes.0.iter().map(|(axis, value)| format!("{axis}={value}")).collect();
    format!("{scenario}[{}]", values.join(","))
}

/// The action with the values of its cell, still without what its neighbours decide.
fn action(plan: &ActionPlan, axes: &Axes, settings: Settings) -> Action {
    match plan {
        ActionPlan::Connect => Action::Connect,
        ActionPlan::Subscribe { topic, qos } => {
            Action::Subscribe { topic: topic.clone(), qos: qos.in_cell(axes), loop_backs: Vec::new() }
        }
        ActionPlan::Publish { topic, qos, retain, messages } => Action::Publish {
            topic: topic.clone(),
            qos: qos.in_cell(axes),
            retain: retain.in_cell(axes),
            messages: messages.unwrap_or(settings.messages),
        },
        ActionPlan::Receive => Action::Receive { fences: Vec::new(), last: true },
        ActionPlan::Disconnect => Action::Disconnect,
    }
}

/// Tells each step what the steps around it publish, and whether its client stays.
fn add_proofs(steps: &mut [Step]) {
    for index in 0..steps.len() {
        let (earlier, rest) = steps.split_at_mut(index);
        let Some((step, later)) = rest.split_first_mut() else { return };
        match &mut step.action {
            Action::Subscribe { topic, loop_backs, .. } => {
                *loop_backs = sources(later);
                loop_backs.retain(|source| source.topic == *topic);
            }
            Action::Receive { fences, last } => {
                *fences = sources(earlier);
                let next = later.iter().find(|next| next.client == step.client);
                *last = next.is_none_or(|next| next.action == Action::Disconnect);
            }
            Action::Connect | Action::Publish { .. } | Action::Disconnect => {}
        }
    }
}

/// The distinct sources of the publish steps among these, in their order.
fn sources(steps: &[Step]) -> Vec<Source> {
    let mut sources = Vec::new();
    for step in steps {
        if let Action::Publish { topic, qos, .. } = &step.action {
            let source = Source { publisher: step.client, topic: topic.clone(), qos: *qos };
            if !sources.contains(&source) {
                sources.push(source);
            }
        }
    }
    sources
}

impl Cell {
    /// The topics on which this cell publishes with RETAIN 1.
    pub fn retained_topics(&self) -> impl Iterator<Item = &str> {
        self.steps.iter().filter_map(|step| match &step.action {
            Action::Publish { topic, retain: true, .. } => Some(topic.as_str()),
            _ => None,
        })
    }

    /// A step as it opens in the history, numbered from 1: `3 disconnect subscriber`.
    ///
    /// # Panics
    /// If the cell has no step at this index.
    pub fn step_line(&self, index: usize) -> String {
        let step = &self.steps[index];
        format!("{} {} {}", index + 1, step.action.verb(), self.clients[step.client].name)
    }
}

impl Action {
    /// The word of the scenario file for it.
    pub fn verb(&self) -> &'static str {
        match self {
            Action::Connect => "connect",
            Action::Subscribe { .. } => "subscribe",
            Action::Publish { .. } => "publish",
            Action::Receive { .. } => "receive",
            Action::Disconnect => "disconnect",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: Settings = Settings { messages: 3, queue_limit: Some(100) };

    fn matrix_cell(id: &str) -> Cell {
        let cells = cells(&Scenario::load("matrix").unwrap(), SETTINGS);
        cells.into_iter().find(|cell| cell.id == id).unwrap()
    }

    fn lines(cell: &Cell) -> Vec<String> {
        (0..cell.steps.len()).map(|index| cell.step_line(index)).collect()
    }

    #[test]
    fn the_last_axis_is_the_fastest() {
        let cells = cells(&Scenario::load("backlog").unwrap(), SETTINGS);
        let ids: Vec<&str> = cells.iter().map(|cell| cell.id.as_str()).collect();
        assert_eq!(ids.len(), 8);
        assert_eq!(ids[0], "backlog[protocol=3.1.1,publish_qos=1,subscribe_qos=1]");
        assert_eq!(ids[1], "backlog[protocol=3.1.1,publish_qos=1,subscribe_qos=2]");
        assert_eq!(ids[2], "backlog[protocol=3.1.1,publish_qos=2,subscribe_qos=1]");
        assert_eq!(ids[7], "backlog[protocol=5.0,publish_qos=2,subscribe_qos=2]");
    }

    #[test]
    fn a_cell_of_the_matrix_has_its_values_and_its_proofs() {
        let cell = matrix_cell(
            "matrix[protocol=5.0,clean_session=false,publish_qos=1,subscribe_qos=2,retain=true,resubscribe=true]",
        );
        let subscriber = Client { name: "subscriber".into(), protocol: Protocol::V5, clean_session: false };
        let publisher = Client { name: "publisher".into(), protocol: Protocol::V5, clean_session: true };
        assert_eq!(cell.clients, [subscriber, publisher]);
        assert_eq!(cell.queue_limit, Some(100));
        assert_eq!(lines(&cell)[2..5], ["3 subscribe subscriber", "4 disconnect subscriber", "5 publish publisher"]);

        let source = vec![Source { publisher: 1, topic: "t".into(), qos: 1 }];
        let actions: Vec<&Action> = cell.steps.iter().map(|step| &step.action).collect();
        assert_eq!(*actions[2], Action::Subscribe { topic: "t".into(), qos: 2, loop_backs: source.clone() });
        assert_eq!(*actions[4], Action::Publish { topic: "t".into(), qos: 1, retain: true, messages: 3 });
        assert_eq!(*actions[6], Action::Receive { fences: source.clone(), last: false });
        assert_eq!(*actions[7], Action::Subscribe { topic: "t".into(), qos: 2, loop_backs: vec![] });
        assert_eq!(*actions[8], Action::Receive { fences: source.clone(), last: true });
        assert_eq!(*actions[11], Action::Receive { fences: source, last: true });
        assert_eq!(actions.len(), 12);
    }

    #[test]
    fn a_step_is_left_out_where_its_condition_is_false() {
        let cell = matrix_cell(
            "matrix[protocol=3.1.1,clean_session=true,publish_qos=0,subscribe_qos=0,retain=false,resubscribe=false]",
        );
        assert_eq!(cell.steps.len(), 10);
        assert!(matches!(cell.steps[6].action, Action::Receive { last: true, .. }));
        assert_eq!(cell.step_line(7), "8 disconnect subscriber");
    }

    #[test]
    fn a_source_is_listed_once_and_only_for_its_topic() {
        let text = r#"
            name = "sources"
            question = "Who publishes what?"
            clients.a = { protocol = "5.0", clean_session = true }
            clients.b = { protocol = "5.0", clean_session = true }
            steps = [
                { connect = "a" },
                { connect = "b" },
                { publish = "b", qos = 0 },
                { subscribe = "a", qos = 2 },
                { receive = "a" },
                { publish = "b", qos = 1, messages = 7 },
                { publish = "b", qos = 1, retain = true },
                { publish = "b", qos = 1, topic = "other" },
                { publish = "a", qos = 1 },
                { receive = "a" },
            ]
        "#;
        let cells = cells(&Scenario::parse("sources.toml", text).unwrap(), SETTINGS);
        assert_eq!(cells.len(), 1);
        assert_eq!(cells[0].id, "sources[]");
        let source = |publisher, topic: &str, qos| Source { publisher, topic: topic.into(), qos };
        let actions: Vec<&Action> = cells[0].steps.iter().map(|step| &step.action).collect();
        let loop_backs = vec![source(1, "t", 1), source(0, "t", 1)];
        assert_eq!(*actions[3], Action::Subscribe { topic: "t".into(), qos: 2, loop_backs });
        assert_eq!(*actions[4], Action::Receive { fences: vec![source(1, "t", 0)], last: false });
        assert_eq!(*actions[5], Action::Publish { topic: "t".into(), qos: 1, retain: false, messages: 7 });
        let fences = vec![source(1, "t", 0), source(1, "t", 1), source(1, "other", 1), source(0, "t", 1)];
        assert_eq!(*actions[9], Action::Receive { fences, last: true });
    }
}
