//! The five tests of the tutorial "MQTT Clean Sessions and QOS Examples", with rumqttc's own client.
//!
//! A subscriber subscribes and goes away, somebody publishes three messages, and it comes back. Which ones arrive?
//!
//! ```text
//! cargo run --example tutorial                    against the embedded broker
//! cargo run --example tutorial localhost:1883     against yours
//! ```

use std::time::Duration;

use anyhow::Result;
use mqtt_sessions::broker::{Broker, EMBEDDED, Given};
use mqtt_sessions::control::Connection;
use rumqttc::QoS;
use rumqttc::QoS::{AtLeastOnce, AtMostOnce};

/// How long the broker is looked for.
const DEADLINE: Duration = Duration::from_secs(5);
/// Clean session or persistent, QoS of the publication, QoS of the subscription.
const TESTS: [(bool, QoS, QoS); 5] = [
    (true, AtMostOnce, AtMostOnce),
    (false, AtMostOnce, AtMostOnce),
    (true, AtLeastOnce, AtLeastOnce),
    (false, AtLeastOnce, AtLeastOnce),
    (false, AtMostOnce, AtLeastOnce),
];

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let broker = match std::env::args().nth(1) {
        Some(address) => format!("mqtt://{address}"),
        None => EMBEDDED.into(),
    };
    // The embedded broker stops when this is dropped.
    let broker = Broker::find(&broker, Given::default(), DEADLINE).await?;
    let address = broker.url.trim_start_matches("mqtt://");
    println!("Three messages were published while the subscriber was away from {address}\n");
    println!("test  session     publish  subscribe  arrived after its return");
    for (number, (clean, publish_qos, subscribe_qos)) in (1..).zip(TESTS) {
        let id = format!("tutorial{}n{number}", std::process::id());
        let arrived = match experiment(address, &id, clean, publish_qos, subscribe_qos).await {
            Ok(messages) if messages.is_empty() => "none".into(),
            Ok(messages) => messages.join(" "),
            Err(error) => format!("not known: {error:#}"),
        };
        // A persistent session stays on the broker until its client connects with a clean one.
        Connection::open(address, &id, true).await?.leave().await?;
        let session = if clean { "clean" } else { "persistent" };
        println!("{number:<5} {session:<11} QoS {:<4} QoS {:<6} {arrived}", publish_qos as u8, subscribe_qos as u8);
    }
    Ok(())
}

/// One of the tutorial's tests: which messages arrive after the return?
async fn experiment(address: &str, id: &str, clean: bool, publish_qos: QoS, subscribe_qos: QoS) -> Result<Vec<String>> {
    let topic = format!("{id}/topic");
    let mut subscriber = Connection::open(address, id, clean).await?;
    subscriber.subscribe(&topic, subscribe_qos).await?;
    subscriber.leave().await?;

    let mut publisher = Connection::open(address, &format!("{id}p"), true).await?;
    for number in 1..=3 {
        publisher.publish(&topic, publish_qos, false, &number.to_string()).await?;
    }
    publisher.round_trip(id).await?;

    let mut subscriber = Connection::open(address, id, clean).await?;
    let messages = subscriber.read_to_fence(&mut publisher, &topic, publish_qos).await?;
    subscriber.leave().await?;
    publisher.leave().await?;
    Ok(messages.iter().map(|message| String::from_utf8_lossy(&message.payload).into_owned()).collect())
}
