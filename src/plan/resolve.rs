//! A step of the file with the values of its cell, still without what its neighbours decide.

use std::time::Duration;

use super::{Action, Connect, Operation, Publication, Settings, Until, Will};
use crate::axes::Axes;
use crate::packet::{Filter, Protocol};
use crate::scenario::{ActionPlan, Answers, ConnectPlan, FilterPlan, FromAxis, Part, StepPlan, Value, Verb};
use crate::session_rules::LONG_EXPIRY_S;
use crate::vocabulary::Trouble;

/// The Keep Alive of a client that asks for none, in seconds.
const KEEP_ALIVE_S: u16 = 60;

pub fn action(scenario: &Part, step: &StepPlan, axes: &Axes, settings: Settings) -> Action {
    let v5 = scenario.clients[step.client].protocol.in_cell(axes) == Protocol::V5;
    match &step.action {
        ActionPlan::Connect { connect, will } => {
            Action::Connect(self::connect(scenario, step.client, connect, will.in_cell(axes), axes))
        }
        ActionPlan::Subscribe { filters, identifier } => Action::Subscribe {
            filters: filters.iter().map(|filter| self::filter(filter, v5, axes)).collect(),
            identifier: number(identifier.as_ref().filter(|_| v5), axes),
            loop_backs: Vec::new(),
        },
        ActionPlan::Unsubscribe { topic } => Action::Unsubscribe { filter: topic.clone() },
        ActionPlan::Publish(publish) => Action::Publish(Publication {
            topic: publish.topic.clone(),
            qos: publish.qos.in_cell(axes),
            retain: publish.retain.in_cell(axes),
            messages: number(publish.messages.as_ref(), axes).unwrap_or(settings.messages),
            empty: publish.empty.in_cell(axes),
            bytes: number(publish.bytes.as_ref(), axes),
            message_expiry: number(publish.message_expiry.as_ref().filter(|_| v5), axes),
            properties: v5 && publish.properties.in_cell(axes),
            alias: None,
            window: number(publish.window.as_ref(), axes),
            until: number(publish.until.as_ref(), axes),
        }),
        ActionPlan::Receive { answers, until } => Action::Receive {
            answers: match answers.in_cell(axes) {
                // 3.1.1 has no code to refuse with.
                Answers::Refuse if !v5 => Answers::All,
                answers => answers,
            },
            until: until
                .as_ref()
                .map(|until| Until { point: until.point.in_cell(axes), message: until.message.in_cell(axes) }),
            fences: Vec::new(),
            last: true,
        },
        ActionPlan::Disconnect { with_will, session_expiry } => Action::Disconnect {
            with_will: v5 && with_will.in_cell(axes),
            session_expiry: number(session_expiry.as_ref().filter(|_| v5), axes),
        },
        ActionPlan::Cut { how } => Action::Cut { how: how.in_cell(axes) },
        ActionPlan::Silence => Action::Silence,
        ActionPlan::Stall => Action::Stall,
        ActionPlan::Race { stays } => {
            let usual = ConnectPlan::default();
            let node = scenario.node(step.client, &usual, axes);
            Action::Race { stays: *stays, node, connect: connect(scenario, *stays, &usual, true, axes) }
        }
        ActionPlan::Wait { timer, seconds, early } => {
            Action::Wait { timer: timer.in_cell(axes), seconds: seconds.in_cell(axes), early: early.in_cell(axes) }
        }
        ActionPlan::Broker { verb, by, node, after_ms } => Action::Broker(Operation {
            node: number(node.as_ref(), axes),
            trouble: match verb {
                Verb::Partition | Verb::Heal => Trouble::Partition,
                _ => Trouble::End(by.in_cell(axes)),
            },
            begins: !matches!(verb, Verb::Start | Verb::Heal),
            passes: matches!(verb, Verb::Start | Verb::Restart | Verb::Heal),
            after: Duration::from_millis(after_ms.in_cell(axes).into()),
        }),
    }
}

fn number<T: FromAxis>(value: Option<&Value<T>>, axes: &Axes) -> Option<T> {
    value.map(|value| value.in_cell(axes))
}

/// The wishes of the client, overridden by those of the step.
fn connect(scenario: &Part, place: usize, step: &ConnectPlan, with_will: bool, axes: &Axes) -> Connect {
    let client = &scenario.clients[place];
    let v5 = client.protocol.in_cell(axes) == Protocol::V5;
    let clean_session = client.clean_session.in_cell(axes);
    let of = |choose: fn(&ConnectPlan) -> Option<&Value<u32>>| {
        number(choose(step).or_else(|| choose(&client.connect)).filter(|_| v5), axes)
    };
    let small = |seconds: u32| u16::try_from(seconds).unwrap_or(u16::MAX);
    let clean_start = step.clean_start.as_ref().or(client.connect.clean_start.as_ref()).filter(|_| v5);
    let keep_alive = step.keep_alive.as_ref().or(client.connect.keep_alive.as_ref());
    let usual_expiry = if clean_session { 0 } else { LONG_EXPIRY_S };
    Connect {
        node: scenario.node(place, step, axes),
        clean: number(clean_start, axes).unwrap_or(clean_session),
        session_expiry: of(|plan| plan.session_expiry.as_ref()).or(v5.then_some(usual_expiry)),
        receive_maximum: of(|plan| plan.receive_maximum.as_ref()).map(small),
        maximum_packet_size: of(|plan| plan.maximum_packet_size.as_ref()),
        topic_alias_maximum: of(|plan| plan.topic_alias_maximum.as_ref()).map(small),
        keep_alive: number(keep_alive, axes).map_or(KEEP_ALIVE_S, small),
        without_will: !with_will,
        will: client.will.as_ref().filter(|_| with_will).map(|will| Will {
            topic: will.topic.clone(),
            qos: will.qos.in_cell(axes),
            retain: will.retain.in_cell(axes),
            delay: number(will.delay.as_ref().filter(|_| v5), axes),
        }),
    }
}

fn filter(filter: &FilterPlan, v5: bool, axes: &Axes) -> Filter {
    let name = match filter.share.as_ref().filter(|_| v5) {
        Some(share) => format!("$share/{share}/{}", filter.topic),
        None => filter.topic.clone(),
    };
    Filter {
        filter: name,
        qos: filter.qos.in_cell(axes),
        no_local: v5 && filter.no_local.in_cell(axes),
        retain_as_published: v5 && filter.retain_as_published.in_cell(axes),
        retain_handling: if v5 { filter.retain_handling.in_cell(axes) } else { 0 },
    }
}
