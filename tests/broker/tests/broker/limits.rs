//! What a client announces for its connection, what expires, and what is refused.

use std::time::Duration;

use tokio::time::sleep;

use super::*;

/// A subscriber to `t` that has gone, and a publisher.
async fn subscriber_away(broker: &Broker) -> Client {
    let (mut subscriber, _) = connect(broker, V5, "s").await;
    subscriber.tell("SUBSCRIBE id=1 filter=t qos=2").await;
    subscriber.tell("DISCONNECT").await;
    connect(broker, V5, "p").await.0
}

/// The return of the subscriber, who acknowledges nothing.
async fn back(broker: &Broker, announced: &str) -> (Client, Vec<String>) {
    let mut client = Client::open(&broker.endpoint(), V5).await;
    client.acknowledges = false;
    let announced = format!("session_expiry=3600 {announced}");
    let line = format!("CONNECT protocol=5.0 clean_start=0 {} keep_alive=0 client_id=s", announced.trim_end());
    let answer = client.tell(&line).await;
    (client, answer.into_iter().skip(1).collect())
}

/// The value of a field in each line.
fn values<'a>(lines: &'a [String], field: &str) -> Vec<&'a str> {
    let value = |line: &'a String| line.split(' ').find_map(|part| part.strip_prefix(field)?.strip_prefix('='));
    lines.iter().filter_map(value).collect()
}

#[tokio::test(start_paused = true)]
async fn receive_maximum_holds_for_its_connection_and_for_nothing_else() {
    let broker = Broker::correct();
    let mut publisher = subscriber_away(&broker).await;
    for (qos, payload) in [(2, "a"), (1, "b"), (1, "c"), (1, "d")] {
        publisher.tell(&publish("t", qos, 0, payload)).await;
    }
    let (mut client, came) = back(&broker, "receive_maximum=3").await;
    assert_eq!(values(&came, "payload"), ["a", "b", "c"]);
    // QoS 0 and PINGRESP wait for no window.
    publisher.tell(&publish("t", 0, 0, "zero")).await;
    assert_eq!(values(&client.hear().await, "payload"), ["zero"]);
    assert_eq!(client.tell("PINGREQ").await, ["PINGRESP"]);
    assert_eq!(client.tell("PUBREC id=1").await, ["PUBREL id=1"]);
    // On a smaller window the PUBREL comes at once, and the rest in order as room is made.
    let (mut client, came) = back(&broker, "receive_maximum=1").await;
    assert_eq!(came, ["PUBREL id=1"]);
    assert_eq!(client.tell("PUBCOMP id=1").await, ["PUBLISH topic=t qos=1 retain=0 dup=1 id=2 payload=b"]);
    assert_eq!(client.tell("PUBACK id=2").await, ["PUBLISH topic=t qos=1 retain=0 dup=1 id=3 payload=c"]);
    assert_eq!(client.tell("PUBACK id=3").await, ["PUBLISH topic=t qos=1 retain=0 dup=0 id=4 payload=d"]);
    assert!(client.tell("PUBACK id=4").await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_is_too_large_counts_as_delivered() {
    let broker = Broker::correct();
    let mut publisher = subscriber_away(&broker).await;
    // A PUBLISH of 5.0 at QoS 1 to `t` is its payload and 8 bytes.
    for payload in ["123456789012", "1234567890123", "last"] {
        publisher.tell(&publish("t", 1, 0, payload)).await;
    }
    let (mut client, came) = back(&broker, "maximum_packet_size=20").await;
    assert_eq!(values(&came, "payload"), ["123456789012", "last"]);
    publisher.tell(&publish("t", 0, 0, "zero456789012345")).await;
    assert!(client.hear().await.is_empty());
    // What was under way is too large for the next connection, and what was too large is gone.
    let (_, came) = back(&broker, "maximum_packet_size=15").await;
    assert_eq!(values(&came, "payload"), ["last"]);
    let (_, came) = back(&broker, "").await;
    assert_eq!(values(&came, "payload"), ["last"]);
}

#[tokio::test(start_paused = true)]
async fn topic_aliases_stay_below_the_maximum_and_end_with_their_connection() {
    let broker = Broker::choosing(Choices { topic_aliases: true, ..Choices::default() });
    for (announced, expected) in [
        ("session_expiry=60 topic_alias_maximum=1", [("t", "1"), ("", "1"), ("u", "")]),
        ("session_expiry=60", [("t", ""), ("t", ""), ("u", "")]),
        ("session_expiry=60 topic_alias_maximum=1", [("t", "1"), ("", "1"), ("u", "")]),
    ] {
        let (mut client, _) = join(&broker, V5, false, announced, "s", "").await;
        client.tell("SUBSCRIBE id=1 filter=+ qos=0").await;
        for (topic, (said, alias)) in ["t", "t", "u"].into_iter().zip(expected) {
            let copy = client.tell(&publish(topic, 0, 0, "m")).await;
            let aliases = values(&copy, "topic_alias");
            assert_eq!((values(&copy, "topic")[0], aliases.first().copied().unwrap_or("")), (said, alias));
        }
    }
    let (mut client, _) = connect(&broker, V5, "p").await;
    let aliased = "PUBLISH topic=t qos=0 retain=0 dup=0 topic_alias=1 payload=m";
    assert_eq!(client.tell(aliased).await, ["DISCONNECT reason=0x94", "end"]);
}

#[tokio::test(start_paused = true)]
async fn messages_expire_until_their_delivery_begins() {
    let broker = Broker::correct();
    let mut publisher = subscriber_away(&broker).await;
    for expiry in [5, 60] {
        let line = format!("PUBLISH topic=t qos=1 retain=1 dup=0 id=9 message_expiry={expiry} payload=m{expiry}");
        publisher.tell(&line).await;
        publisher.tell(&line.replace("topic=t", "topic=brief").replace("60", "5")).await;
    }
    sleep(Duration::from_secs(6)).await;
    let (_, came) = back(&broker, "").await;
    let left: u32 = values(&came, "message_expiry")[0].parse().unwrap();
    assert!(came.len() == 1 && (50..=54).contains(&left), "{came:?}");
    // Once it was sent it comes again, however long that takes. Retained messages expire too.
    sleep(Duration::from_secs(100)).await;
    let (mut client, came) = back(&broker, "").await;
    assert_eq!(values(&came, "payload"), ["m60"]);
    assert_eq!(client.tell("SUBSCRIBE id=2 filter=+ qos=1").await, ["SUBACK id=2 code=0x01"]);
    let now = "PUBLISH topic=t qos=0 retain=0 dup=0 message_expiry=0 payload=now";
    publisher.tell(now).await;
    assert_eq!(client.hear().await, [now]);
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_refuses_what_5_0_publishes() {
    let broker = Broker::choosing(Choices { queue_at_most: Some(10), ..Choices::default() });
    let mut publisher = subscriber_away(&broker).await;
    for number in 0..10 {
        assert_eq!(publisher.tell(&publish("t", 1, 0, &number.to_string())).await, ["PUBACK id=9"]);
    }
    assert_eq!(publisher.tell(&publish("t", 1, 0, "refused")).await, ["PUBACK id=9 reason=0x97"]);
    publisher.acknowledges = false;
    assert_eq!(publisher.tell(&publish("t", 2, 0, "refused")).await, ["PUBREC id=9 reason=0x97"]);
    let (mut older, _) = connect(&broker, V3, "older").await;
    assert_eq!(older.tell(&publish("t", 1, 0, "kept")).await, ["PUBACK id=9"]);
    assert_eq!(back(&broker, "").await.1.len(), 11);
    publisher.acknowledges = true;
    assert_eq!(publisher.tell(&publish("t", 2, 0, "new")).await, ["PUBREC id=9", "PUBCOMP id=9"]);
}

#[tokio::test(start_paused = true)]
async fn what_the_client_refuses_is_done_with() {
    let broker = Broker::correct();
    let mut publisher = subscriber_away(&broker).await;
    for qos in [1, 2] {
        publisher.tell(&publish("t", qos, 0, "m")).await;
    }
    let (mut client, came) = back(&broker, "").await;
    assert_eq!(came.len(), 2);
    assert!(client.tell("PUBACK id=1 reason=0x97").await.is_empty());
    assert!(client.tell("PUBREC id=2 reason=0x97").await.is_empty());
    assert!(back(&broker, "").await.1.is_empty());
}
