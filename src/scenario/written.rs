//! One cell as a scenario file of its own: no axes, every value written out.

use std::fmt::Write;

use super::value::{Words, word};
use super::{
    ActionPlan, Answers, ClientId, ClientPlan, ConnectPlan, FilterPlan, FromAxis, Part, PublishPlan, Scenario,
    StepPlan, Value, Verb,
};
use crate::axes::Axes;
use crate::packet::Protocol;
use crate::vocabulary::{BROKER, Ending};

/// Key and value of a table in one line.
type Pairs = Vec<(&'static str, String)>;

impl Scenario {
    /// The text of a scenario file with the one cell that has these axis values. `messages` is what a step publishes
    /// that does not say how many; `id` is the cell's, for the comment at the top.
    pub fn written_for(&self, axes: &Axes, messages: u32, id: &str) -> String {
        let mut text = format!("# {id}\n# This one cell, with all values written out.\n\n");
        let question = self.question_of(axes).replace('\\', r"\\").replace('"', "\\\"");
        // Writing to a String cannot fail.
        let _ = write!(text, "name = \"{}\"\nquestion = \"{question}\"\n\n", self.name);
        let Some(part) = self.part(axes) else { return text };
        let steps: Vec<_> = part.steps.iter().filter(|step| step.when.in_cell(axes)).collect();
        // A client without a step in this cell has no place in the file.
        let acts = |place: &usize| {
            let stays = |step: &StepPlan| matches!(step.action, ActionPlan::Race { stays } if stays == *place);
            let is_own = |step: &StepPlan| step.client == *place && !step.action.verb().is_of_broker();
            steps.iter().any(|step| is_own(step) || stays(step))
        };
        let present: Vec<usize> = (0..part.clients.len()).filter(acts).collect();
        for place in &present {
            let _ = writeln!(
                text,
                "clients.{} = {}",
                part.clients[*place].name,
                table(part.client(*place, &present, axes))
            );
        }
        text += "\nsteps = [\n";
        for step in steps {
            let client = &part.clients[step.client];
            let v5 = client.protocol.in_cell(axes) == Protocol::V5;
            let verb = step.action.verb();
            let actor = if verb.is_of_broker() { BROKER } else { &client.name };
            let mut pairs: Pairs = vec![(verb.word(), quoted(actor))];
            pairs.extend(action(&step.action, &part.clients, v5, messages, axes));
            let _ = writeln!(text, "    {},", table(pairs));
        }
        text + "]\n"
    }
}

impl Part {
    fn client(&self, place: usize, present: &[usize], axes: &Axes) -> Pairs {
        let client = &self.clients[place];
        let protocol = client.protocol.in_cell(axes);
        let v5 = protocol == Protocol::V5;
        let mut pairs: Pairs = vec![
            ("protocol", quoted(protocol.name())),
            ("clean_session", client.clean_session.in_cell(axes).to_string()),
        ];
        // The first one in the file that uses the identifier stands for it.
        let shared = |other: &&usize| self.identifier(**other) == self.identifier(place);
        match (client.client_id, present.iter().find(shared)) {
            (ClientId::Assigned, _) => pairs.push(("client_id", quoted(""))),
            (_, Some(first)) if *first != place => pairs.push(("client_id", quoted(&self.clients[*first].name))),
            _ => {}
        }
        pairs.extend(connect(&client.connect, v5, axes));
        if let Some(will) = &client.will {
            let mut own: Pairs = vec![("topic", quoted(&will.topic)), ("qos", will.qos.in_cell(axes).to_string())];
            own.push(("retain", will.retain.in_cell(axes).to_string()));
            own.extend(number("delay", will.delay.as_ref().filter(|_| v5), axes));
            pairs.push(("will", table(own)));
        }
        pairs
    }
}

fn action(action: &ActionPlan, clients: &[ClientPlan], v5: bool, messages: u32, axes: &Axes) -> Pairs {
    match action {
        ActionPlan::Connect { connect: asked, will } => {
            let mut pairs = connect(asked, v5, axes);
            if !will.in_cell(axes) {
                pairs.push(("will", "false".into()));
            }
            pairs
        }
        ActionPlan::Subscribe { filters, identifier } => {
            let mut pairs: Pairs = match &filters[..] {
                [filter] => self::filter(filter, v5, axes),
                filters => {
                    let all: Vec<String> = filters.iter().map(|own| table(filter(own, v5, axes))).collect();
                    vec![("filters", format!("[{}]", all.join(", ")))]
                }
            };
            pairs.extend(number("identifier", identifier.as_ref().filter(|_| v5), axes));
            pairs
        }
        ActionPlan::Unsubscribe { topic } => vec![("topic", quoted(topic))],
        ActionPlan::Publish(publish) => self::publish(publish, v5, messages, axes),
        ActionPlan::Receive { answers, until } => {
            let mut pairs = unless("answers", answers.in_cell(axes), Answers::All);
            pairs.extend(until.iter().flat_map(|until| {
                let point = quoted(word(until.point.in_cell(axes)));
                [("until", point), ("message", until.message.in_cell(axes).to_string())]
            }));
            pairs
        }
        ActionPlan::Disconnect { with_will, session_expiry } => {
            let mut pairs = flag("with_will", v5 && with_will.in_cell(axes));
            pairs.extend(number("session_expiry", session_expiry.as_ref().filter(|_| v5), axes));
            pairs
        }
        ActionPlan::Cut { how } => vec![("how", quoted(word(how.in_cell(axes))))],
        ActionPlan::Silence | ActionPlan::Stall => Vec::new(),
        ActionPlan::Race { stays } => vec![("stays", quoted(&clients[*stays].name))],
        ActionPlan::Wait { timer, seconds, early } => {
            let mut pairs: Pairs = vec![("timer", quoted(timer.in_cell(axes).name()))];
            pairs.push(("seconds", seconds.in_cell(axes).to_string()));
            pairs.extend(flag("early", early.in_cell(axes)));
            pairs
        }
        ActionPlan::Broker { verb, by, node, after_ms } => {
            let by = by.in_cell(axes);
            let mut pairs = if *verb == Verb::Restart { unless("by", by, Ending::Stop) } else { Vec::new() };
            pairs.extend(number("node", node.as_ref(), axes));
            pairs.extend(Some(after_ms.in_cell(axes)).filter(|ms| *ms > 0).map(|ms| ("after_ms", ms.to_string())));
            pairs
        }
    }
}

fn connect(connect: &ConnectPlan, v5: bool, axes: &Axes) -> Pairs {
    let clean_start = connect.clean_start.as_ref().filter(|_| v5);
    let mut pairs: Pairs = number("node", connect.node.as_ref(), axes).into_iter().collect();
    pairs.extend(clean_start.map(|clean| ("clean_start", clean.in_cell(axes).to_string())));
    for (key, value) in [
        ("session_expiry", &connect.session_expiry),
        ("receive_maximum", &connect.receive_maximum),
        ("maximum_packet_size", &connect.maximum_packet_size),
        ("topic_alias_maximum", &connect.topic_alias_maximum),
    ] {
        pairs.extend(number(key, value.as_ref().filter(|_| v5), axes));
    }
    pairs.extend(number("keep_alive", connect.keep_alive.as_ref(), axes));
    pairs
}

fn filter(filter: &FilterPlan, v5: bool, axes: &Axes) -> Pairs {
    let mut pairs: Pairs = vec![("topic", quoted(&filter.topic))];
    pairs.extend(filter.share.as_ref().filter(|_| v5).map(|share| ("share", quoted(share))));
    pairs.push(("qos", filter.qos.in_cell(axes).to_string()));
    pairs.extend(flag("no_local", v5 && filter.no_local.in_cell(axes)));
    pairs.extend(flag("retain_as_published", v5 && filter.retain_as_published.in_cell(axes)));
    match filter.retain_handling.in_cell(axes) {
        handling if v5 && handling > 0 => pairs.push(("retain_handling", handling.to_string())),
        _ => {}
    }
    pairs
}

fn publish(publish: &PublishPlan, v5: bool, messages: u32, axes: &Axes) -> Pairs {
    let mut pairs: Pairs = vec![
        ("topic", quoted(&publish.topic)),
        ("qos", publish.qos.in_cell(axes).to_string()),
        ("retain", publish.retain.in_cell(axes).to_string()),
        ("messages", publish.messages.as_ref().map_or(messages, |own| own.in_cell(axes)).to_string()),
    ];
    pairs.extend(flag("empty", publish.empty.in_cell(axes)));
    pairs.extend(number("bytes", publish.bytes.as_ref(), axes));
    pairs.extend(number("message_expiry", publish.message_expiry.as_ref().filter(|_| v5), axes));
    pairs.extend(flag("properties", v5 && publish.properties.in_cell(axes)));
    pairs.extend(number("window", publish.window.as_ref(), axes));
    pairs.extend(publish.until.as_ref().map(|until| ("until", quoted(word(until.in_cell(axes))))));
    pairs
}

/// A number that may be absent.
fn number<T: FromAxis + ToString>(
    key: &'static str,
    value: Option<&Value<T>>,
    axes: &Axes,
) -> Option<(&'static str, String)> {
    value.map(|value| (key, value.in_cell(axes).to_string()))
}

/// A flag that is false where it is left out.
fn flag(key: &'static str, value: bool) -> Pairs {
    value.then(|| (key, "true".to_owned())).into_iter().collect()
}

/// A word that is the usual one where it is left out.
fn unless<T: Words>(key: &'static str, value: T, usual: T) -> Pairs {
    (value != usual).then(|| (key, quoted(word(value)))).into_iter().collect()
}

fn quoted(name: &str) -> String {
    format!("\"{name}\"")
}

fn table(pairs: Pairs) -> String {
    let pairs: Vec<String> = pairs.into_iter().map(|(key, value)| format!("{key} = {value}")).collect();
    format!("{{ {} }}", pairs.join(", "))
}
