//! The ways on which a message comes to a client, each with whatever can be wrong on it.

use std::time::Duration;

use tokio::time::sleep;

use super::*;

/// What 5.0 adds to a message.
const PROPERTIES: &str = "payload_format=1 message_expiry=60 content_type=text response_topic=r correlation_data=c \
                          user_key=b user_value=1 user_key=a user_value=2 ";

/// The PUBLISH of a message that waits for a while, with all that belongs to it.
fn laden(protocol: Protocol, topic: &str, qos: u8, retain: u8, payload: &str) -> String {
    let id = if qos > 0 { "id=9 " } else { "" };
    let properties = if protocol == V5 { PROPERTIES } else { "" };
    format!("PUBLISH topic={topic} qos={qos} retain={retain} dup=0 {id}{properties}payload={payload}")
}

/// The SUBSCRIBE of a filter, with an identifier in 5.0.
fn subscribe(protocol: Protocol, filter: &str, qos: &str) -> String {
    let identifier = if protocol == V5 { "subscription_id=7 " } else { "" };
    format!("SUBSCRIBE id=1 {identifier}filter={filter} qos={qos}")
}

/// A subscriber that acknowledges nothing goes away, and comes back on a connection that is as narrow as can be.
pub async fn resent(broker: &Broker, protocol: Protocol) -> Vec<String> {
    let (mut client, mut lines) = reserved(broker, protocol, "", "s").await;
    client.tell(&subscribe(protocol, "t", "2")).await;
    let (mut publisher, _) = connect(broker, protocol, "p").await;
    for (qos, payload) in [(1, "one"), (2, "two"), (2, "three"), (2, "four")] {
        publisher.tell(&laden(protocol, "t", qos, 1, payload)).await;
    }
    lines.extend(client.hear().await);
    for id in [2, 3] {
        lines.extend(client.tell(&format!("PUBREC id={id}")).await);
    }
    // An identifier is in use until PUBCOMP.
    publisher.tell(&laden(protocol, "t", 1, 0, "five")).await;
    lines.extend(client.hear().await);
    client.half_close().await;
    lines.extend(client.hear().await);
    sleep(Duration::from_secs(5)).await;
    let (mut client, answer) = reserved(broker, protocol, "receive_maximum=1", "s").await;
    lines.extend(answer);
    for line in ["PUBCOMP id=2", "PUBCOMP id=3", "PUBACK id=1", "PUBREC id=4"] {
        lines.extend(client.tell(line).await);
    }
    lines
}

/// Retained messages for subscribers of every kind, one of which published them.
pub async fn retained(broker: &Broker, protocol: Protocol) -> Vec<String> {
    let (mut publisher, mut lines) = connect(broker, protocol, "p").await;
    for qos in [0, 1, 2] {
        publisher.tell(&laden(protocol, &format!("kept/{qos}"), qos, 1, "m")).await;
    }
    if protocol == V5 {
        publisher.tell(&laden(protocol, "brief", 1, 1, "m").replace("expiry=60", "expiry=2")).await;
    }
    sleep(Duration::from_secs(5)).await;
    for (filter, qos) in [("kept/+", "2"), ("kept/+", "1"), ("brief", "1")] {
        let (mut client, _) = reserved(broker, protocol, "receive_maximum=1", &format!("{filter}{qos}")).await;
        lines.extend(client.tell(&subscribe(protocol, filter, qos)).await);
        lines.extend(client.tell("PUBACK id=1").await);
    }
    // Two that are under way at once.
    let (mut client, _) = reserved(broker, protocol, "", "wide").await;
    lines.extend(client.tell(&subscribe(protocol, "kept/#", "2")).await);
    let (mut late, _) = reserved(broker, protocol, "", "late").await;
    late.tell(&subscribe(protocol, "low", "0")).await;
    publisher.tell(&publish("low", 2, 1, "m")).await;
    lines.extend(late.hear().await);
    if protocol == V5 {
        lines.extend(publisher.tell("SUBSCRIBE id=1 filter=kept/+ qos=1,no_local").await);
    }
    // A PUBREL that is sent again.
    publisher.acknowledges = false;
    publisher.tell("PUBLISH topic=kept/2 qos=2 retain=0 dup=0 id=5 payload=m").await;
    for _ in 0..2 {
        lines.extend(publisher.tell("PUBREL id=5").await);
    }
    lines
}

/// Wills for a subscriber that is there, for one that is away, and for the dead client itself.
pub async fn wills(broker: &Broker, protocol: Protocol) -> Vec<String> {
    let mut lines = Vec::new();
    let (mut there, _) = reserved(broker, protocol, "receive_maximum=1", "there").await;
    there.tell(&subscribe(protocol, "w/+", "2")).await;
    let (mut low, _) = connect(broker, protocol, "low").await;
    low.tell(&subscribe(protocol, "w/+", "0")).await;
    let (mut away, _) = connect(broker, protocol, "away").await;
    away.tell(&subscribe(protocol, "w/+", "2")).await;
    away.tell("DISCONNECT").await;
    for (qos, retain) in [(0, 0), (1, 0), (2, 1)] {
        let will = format!("will_topic=w/{qos} will_qos={qos} will_retain={retain} will_payload=gone{qos}");
        let (mut dying, _) = join(broker, protocol, false, "session_expiry=60", "dying", &will).await;
        if protocol == V5 {
            dying.tell("SUBSCRIBE id=1 filter=w/+ qos=1,no_local,retain_handling=2").await;
        }
        dying.half_close().await;
        dying.hear().await;
        lines.extend(there.hear().await);
        lines.extend(low.hear().await);
    }
    lines.extend(backlog(broker, protocol, "dying").await);
    lines.extend(backlog(broker, protocol, "away").await);
    lines
}

/// A client whose PUBREC is the last of it.
pub async fn cut_off(broker: &Broker, protocol: Protocol) -> Vec<String> {
    let (mut client, _) = reserved(broker, protocol, "", "s").await;
    client.tell(&subscribe(protocol, "t", "2")).await;
    let (mut publisher, _) = connect(broker, protocol, "p").await;
    publisher.tell(&publish("t", 2, 0, "m")).await;
    let mut lines = client.hear().await;
    client.patience = Duration::ZERO;
    client.tell("PUBREC id=1").await;
    client.half_close().await;
    client.patience = Duration::from_secs(1);
    lines.extend(client.hear().await);
    lines.extend(backlog(broker, protocol, "s").await);
    lines
}

/// A group whose only member is there, is away, and comes back.
pub async fn shared(broker: &Broker) -> Vec<String> {
    let (mut member, mut lines) = reserved(broker, V5, "receive_maximum=2", "s").await;
    member.tell(&subscribe(V5, "$share/g/t", "2")).await;
    let (mut publisher, _) = connect(broker, V5, "p").await;
    for (qos, payload) in [(0, "zero"), (1, "one"), (2, "two"), (1, "three")] {
        publisher.tell(&laden(V5, "t", qos, 1, payload)).await;
    }
    lines.extend(member.hear().await);
    member.half_close().await;
    lines.extend(member.hear().await);
    publisher.tell(&laden(V5, "t", 1, 0, "brief").replace("expiry=60", "expiry=2")).await;
    sleep(Duration::from_secs(5)).await;
    lines.extend(backlog(broker, V5, "s").await);
    lines
}

/// Messages of each QoS, one of which expires, for a subscriber that is away and takes one at a time.
pub async fn queued(broker: &Broker, protocol: Protocol) -> Vec<String> {
    let (mut client, mut lines) = connect(broker, protocol, "s").await;
    client.tell(&subscribe(protocol, "t", "2")).await;
    client.tell("DISCONNECT").await;
    let (mut publisher, _) = connect(broker, protocol, "p").await;
    for (qos, payload) in [(0, "zero"), (1, "one"), (1, "two"), (1, "three"), (1, "four"), (2, "five")] {
        publisher.tell(&laden(protocol, "t", qos, 1, payload)).await;
    }
    if protocol == V5 {
        publisher.tell(&laden(protocol, "t", 1, 0, "brief").replace("expiry=60", "expiry=2")).await;
    }
    sleep(Duration::from_secs(5)).await;
    let (mut client, answer) = reserved(broker, protocol, "receive_maximum=1", "s").await;
    lines.extend(answer);
    lines.extend(client.tell("PUBACK id=1").await);
    client.half_close().await;
    lines.extend(backlog(broker, protocol, "s").await);
    lines
}

/// Two subscriptions that overlap, and a third one that has ended: a message and a will for a client that is there and away.
pub async fn overlapping(broker: &Broker, protocol: Protocol) -> Vec<String> {
    let mut lines = Vec::new();
    let (mut client, _) = connect(broker, protocol, "s").await;
    for (id, filter, qos) in [(1, "t", 1), (2, "+", 2), (3, "ended", 2)] {
        let identifier = if protocol == V5 { format!("subscription_id={id} ") } else { String::new() };
        client.tell(&format!("SUBSCRIBE id=1 {identifier}filter={filter} qos={qos}")).await;
    }
    let (mut publisher, _) = connect(broker, protocol, "p").await;
    for away in [false, true] {
        if away {
            client.tell("UNSUBSCRIBE id=1 filter=+").await;
            client.tell("UNSUBSCRIBE id=1 filter=ended").await;
            for topic in ["ended", "u"] {
                publisher.tell(&publish(topic, 2, 0, "unheard")).await;
            }
            lines.extend(client.hear().await);
        }
        for gone in [false, true] {
            if gone {
                client.tell("DISCONNECT").await;
            }
            for topic in ["t", "ended"] {
                publisher.tell(&laden(protocol, topic, 2, 0, "m")).await;
                publisher.tell(&format!("PUBLISH topic={topic} qos=1 retain=1 dup=0 id=9 payload=")).await;
                let will = format!("will_topic={topic} will_qos=2 will_retain=0 will_payload=gone");
                let (mut dying, _) = join(broker, protocol, true, "", "dying", &will).await;
                dying.half_close().await;
                dying.hear().await;
            }
            lines.extend(client.hear().await);
            if gone {
                let (returned, answer) = connect(broker, protocol, "s").await;
                lines.extend(answer);
                client = returned;
            }
        }
    }
    lines
}

/// A client that takes no large packets, on every way.
pub async fn too_large(broker: &Broker) -> Vec<String> {
    const LARGE: &str = "payload-that-is-too-large-for-the-client";
    let narrow = "maximum_packet_size=30";
    let (mut publisher, mut lines) = connect(broker, V5, "p").await;
    let (mut client, _) = reserved(broker, V5, "", "s").await;
    client.tell("SUBSCRIBE id=1 filter=t qos=1 filter=$share/g/s qos=1 filter=w qos=1").await;
    publisher.tell(&publish("t", 1, 1, LARGE)).await;
    lines.extend(client.hear().await);
    client.half_close().await;
    publisher.tell(&publish("t", 1, 0, LARGE)).await;
    let (mut client, answer) = reserved(broker, V5, narrow, "s").await;
    lines.extend(answer);
    for topic in ["t", "s"] {
        publisher.tell(&publish(topic, 1, 0, LARGE)).await;
    }
    let will = format!("will_topic=w will_qos=1 will_retain=0 will_payload={LARGE}");
    let (mut dying, _) = join(broker, V5, true, "", "dying", &will).await;
    dying.half_close().await;
    lines.extend(client.hear().await);
    lines.extend(client.tell("SUBSCRIBE id=2 filter=t qos=1").await);
    lines
}
