//! The control: rumqttc's own clients count the same messages in the 3.1.1 half of the matrix as the tool.
//!
//! The tool reads and writes packets by itself. Here the experiment is done again with `AsyncClient` and `EventLoop`, as
//! an application would do it, on the same broker; nothing but the plan of the cells is shared with the tool.

#![cfg(feature = "embedded")]

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use anyhow::Result;
use mqtt_sessions::broker::{Broker, EMBEDDED, Given};
use mqtt_sessions::control::Connection;
use mqtt_sessions::plan::{self, Cell, Filter};
use mqtt_sessions::results::{AxisValue, Phase, Results};
use mqtt_sessions::scenario::Scenario;
use rumqttc::{Publish, QoS};
use tokio::task::JoinSet;

const ONLY_V3: &str = "protocol=3.1.1";
const MESSAGES: u32 = 3;
/// How long the broker may take to start.
const DEADLINE: Duration = Duration::from_secs(5);
/// A retained copy has no place in the order of messages, so no fence proves that it does not come any more.
const QUIET: Duration = Duration::from_millis(150);

/// How many PUBLISH packets came.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Copies {
    retain_0: usize,
    retain_1: usize,
}

impl Copies {
    fn count(&mut self, retain: bool) {
        *(if retain { &mut self.retain_1 } else { &mut self.retain_0 }) += 1;
    }

    fn of(messages: &[Publish]) -> Copies {
        let mut copies = Copies::default();
        messages.iter().for_each(|message| copies.count(message.retain));
        copies
    }
}

/// What came in a cell: on the connection of the return, and on a further one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Arrived {
    returned: Copies,
    again: Copies,
}

/// By the id of the cell.
type Table = BTreeMap<String, Arrived>;

/// The settings of a cell, as a rumqttc client takes them.
struct Settings {
    clean_session: bool,
    publish_qos: QoS,
    subscribe_qos: QoS,
    retain: bool,
    resubscribe: bool,
}

impl Settings {
    fn of(cell: &Cell) -> Settings {
        let flag = |axis: &str| cell.axes.get(axis) == Some(&AxisValue::Bool(true));
        let qos = |axis: &str| match cell.axes.get(axis) {
            Some(AxisValue::Number(0)) => QoS::AtMostOnce,
            Some(AxisValue::Number(1)) => QoS::AtLeastOnce,
            Some(AxisValue::Number(2)) => QoS::ExactlyOnce,
            other => panic!("{axis} is {other:?}"),
        };
        Settings {
            clean_session: flag("clean_session"),
            publish_qos: qos("publish_qos"),
            subscribe_qos: qos("subscribe_qos"),
            retain: flag("retain"),
            resubscribe: flag("resubscribe"),
        }
    }
}

#[tokio::test]
async fn rumqttc_counts_the_same_messages_as_the_tool() {
    let broker = Broker::find(EMBEDDED, Given::default(), DEADLINE).await.unwrap();
    let by_tool = by_tool(&broker.url);
    let by_rumqttc = by_rumqttc(broker.url.trim_start_matches("mqtt://")).await;

    assert_eq!(by_rumqttc.len(), 72);
    assert_eq!(differences(&by_rumqttc, &by_tool), Vec::<String>::new());
    the_comparison_can_fail(&by_rumqttc, &by_tool);
}

/// Equal tables say something only if they are not empty, and if any other count in any cell would have been noticed.
fn the_comparison_can_fail(by_rumqttc: &Table, by_tool: &Table) {
    let all = Arrived { returned: Copies { retain_0: 3, retain_1: 1 }, again: Copies::default() };
    assert!(by_rumqttc.values().any(|arrived| *arrived == all), "{by_rumqttc:?}");
    assert!(by_rumqttc.values().any(|arrived| *arrived == Arrived::default()), "{by_rumqttc:?}");
    let perturbations: [fn(&mut Arrived); 4] = [
        |arrived| arrived.returned.retain_0 += 1,
        |arrived| arrived.returned.retain_1 += 1,
        |arrived| arrived.again.retain_0 += 1,
        |arrived| arrived.again.retain_1 += 1,
    ];
    for id in by_tool.keys() {
        for perturb in perturbations {
            let mut perturbed = by_tool.clone();
            perturb(perturbed.get_mut(id).unwrap());
            let noticed = differences(by_rumqttc, &perturbed);
            assert!(noticed.len() == 1 && noticed[0].starts_with(id.as_str()), "{noticed:?}");
        }
    }
}

/// The cells in which the tables differ, as lines.
fn differences(by_rumqttc: &Table, by_tool: &Table) -> Vec<String> {
    let ids = by_rumqttc.keys().chain(by_tool.keys().filter(|id| !by_rumqttc.contains_key(*id)));
    ids.map(|id| (id, by_rumqttc.get(id), by_tool.get(id)))
        .filter(|(_, by_rumqttc, by_tool)| by_rumqttc != by_tool)
        .map(|(id, by_rumqttc, by_tool)| format!("{id}: rumqttc {by_rumqttc:?}, the tool {by_tool:?}"))
        .collect()
}

/// What the tool counts, read from its results file.
fn by_tool(url: &str) -> Table {
    let output = Command::new(env!("CARGO_BIN_EXE_mqtt-sessions"))
        .args(["matrix", "--broker", url, "--filter", ONLY_V3, "--messages", &MESSAGES.to_string()])
        .args(["--export-json", "-"])
        .output()
        .unwrap();
    let results = Results::parse("stdout", &String::from_utf8(output.stdout).unwrap()).unwrap();
    results
        .cells
        .into_iter()
        .map(|cell| {
            let mut arrived = Arrived::default();
            for copy in cell.received {
                let copies = if copy.phase == Phase::Again { &mut arrived.again } else { &mut arrived.returned };
                copies.count(copy.retain);
            }
            (cell.id, arrived)
        })
        .collect()
}

/// What rumqttc's clients count, all cells side by side.
async fn by_rumqttc(address: &str) -> Table {
    let settings = plan::Settings::of(MESSAGES);
    let cells = plan::cells(&Scenario::load("matrix").unwrap(), settings);
    let cells = Filter::parse(&[ONLY_V3]).unwrap().select(cells).unwrap();
    let mut playing = JoinSet::new();
    for (number, cell) in cells.into_iter().enumerate() {
        let address = address.to_owned();
        playing.spawn(async move {
            let arrived = play(&address, &format!("control{number}"), &Settings::of(&cell)).await;
            (cell.id, arrived)
        });
    }
    let mut table = Table::new();
    while let Some(played) = playing.join_next().await {
        let (id, arrived) = played.unwrap();
        let arrived = arrived.unwrap_or_else(|error| panic!("{id}: {error:#}"));
        table.insert(id, arrived);
    }
    table
}

/// The steps of `scenarios/matrix.toml`.
async fn play(address: &str, id: &str, cell: &Settings) -> Result<Arrived> {
    let topic = format!("{id}/t");
    let mut subscriber = Connection::open(address, id, cell.clean_session).await?;
    let mut publisher = Connection::open(address, &format!("{id}p"), true).await?;
    subscriber.subscribe(&topic, cell.subscribe_qos).await?;
    subscriber.leave().await?;
    for number in 1..=MESSAGES {
        publisher.publish(&topic, cell.publish_qos, cell.retain, &number.to_string()).await?;
    }
    publisher.round_trip(id).await?;

    let mut subscriber = Connection::open(address, id, cell.clean_session).await?;
    let mut messages = subscriber.read_to_fence(&mut publisher, &topic, cell.publish_qos).await?;
    if cell.resubscribe {
        subscriber.subscribe(&topic, cell.subscribe_qos).await?;
    }
    messages.extend(subscriber.read_until_quiet(QUIET).await?);
    subscriber.leave().await?;
    let returned = Copies::of(&messages);

    let mut subscriber = Connection::open(address, id, cell.clean_session).await?;
    let mut messages = subscriber.read_to_fence(&mut publisher, &topic, cell.publish_qos).await?;
    messages.extend(subscriber.read_until_quiet(QUIET).await?);
    subscriber.leave().await?;

    publisher.publish(&topic, QoS::AtLeastOnce, true, "").await?;
    publisher.leave().await?;
    Connection::open(address, id, true).await?.leave().await?;
    Ok(Arrived { returned, again: Copies::of(&messages) })
}
