//! The test broker is what its documentation says: correct, whatever it chooses, and a liar when it is told to lie.

mod exchange;
mod liberties;
mod lies;
mod limits;
mod sessions;
mod sharing;
mod soak;
mod subscribing;
mod travels;
mod wills;

use std::time::Duration;

use mqtt_sessions::connection::Endpoint;
use mqtt_sessions::packet::Protocol::{self, V3, V5};
use test_broker::client::Client;
use test_broker::{Broker, Choices};
use tokio::time::sleep;

/// A session that stays for an hour.
async fn connect(broker: &Broker, protocol: Protocol, id: &str) -> (Client, Vec<String>) {
    connect_as(broker, protocol, id, false, 3600).await
}

async fn connect_as(broker: &Broker, protocol: Protocol, id: &str, clean: bool, expiry: u32) -> (Client, Vec<String>) {
    join(broker, protocol, clean, &format!("session_expiry={expiry}"), id, "").await
}

/// Connects with what 5.0 can announce, and with a will or nothing behind the identifier.
async fn join(
    broker: &Broker,
    protocol: Protocol,
    clean: bool,
    announced: &str,
    id: &str,
    will: &str,
) -> (Client, Vec<String>) {
    let mut client = Client::open(&broker.endpoint(), protocol).await;
    let clean = u8::from(clean);
    let line = match protocol {
        V3 => format!("CONNECT protocol=3.1.1 clean_session={clean} keep_alive=0 client_id={id} {will}"),
        V5 => format!("CONNECT protocol=5.0 clean_start={clean} {announced} keep_alive=0 client_id={id} {will}"),
    };
    let answer = client.tell(line.trim_end()).await;
    (client, answer)
}

/// A client with a session that answers nothing by itself.
async fn reserved(broker: &Broker, protocol: Protocol, announced: &str, id: &str) -> (Client, Vec<String>) {
    let mut client = Client::open(&broker.endpoint(), protocol).await;
    client.acknowledges = false;
    let announced = format!("session_expiry=3600 {announced}");
    let line = match protocol {
        V3 => format!("CONNECT protocol=3.1.1 clean_session=0 keep_alive=0 client_id={id}"),
        V5 => format!("CONNECT protocol=5.0 clean_start=0 {} keep_alive=0 client_id={id}", announced.trim_end()),
    };
    let answer = client.tell(&line).await;
    (client, answer)
}

fn connack(session_present: u8) -> String {
    format!("CONNACK session_present={session_present} code=0x00")
}

fn publish(topic: &str, qos: u8, retain: u8, payload: &str) -> String {
    let id = if qos > 0 { "id=9 " } else { "" };
    format!("PUBLISH topic={topic} qos={qos} retain={retain} dup=0 {id}payload={payload}")
}

/// What comes because of the CONNECT, without the CONNACK.
async fn backlog(broker: &Broker, protocol: Protocol, id: &str) -> Vec<String> {
    let (_, answer) = connect(broker, protocol, id).await;
    answer.into_iter().skip(1).collect()
}

#[tokio::test(start_paused = true)]
async fn messages_come_at_the_lower_of_both_qos() {
    for protocol in Protocol::ALL {
        let broker = Broker::correct();
        let (mut client, _) = connect(&broker, protocol, "both").await;
        for (published, granted) in (0..9).map(|n| (n / 3, n % 3)) {
            client.tell(&format!("SUBSCRIBE id=1 filter=t qos={granted}")).await;
            let answer = client.tell(&publish("t", published, 0, "m")).await;
            let copy = format!("PUBLISH topic=t qos={} retain=0 dup=0", published.min(granted));
            assert!(answer[0].starts_with(&copy), "{answer:?}");
            assert_eq!(answer.iter().filter(|line| line.starts_with("PUBLISH")).count(), 1);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_stored_session_gets_what_it_missed_and_once() {
    for protocol in Protocol::ALL {
        let broker = Broker::correct();
        let (mut subscriber, answer) = connect(&broker, protocol, "s").await;
        assert_eq!(answer, [connack(0)]);
        assert_eq!(subscriber.tell("SUBSCRIBE id=1 filter=t qos=2").await, ["SUBACK id=1 code=0x02"]);
        assert_eq!(subscriber.tell("DISCONNECT").await, ["end"]);
        let (mut publisher, _) = connect(&broker, protocol, "p").await;
        for qos in [0, 1, 2] {
            publisher.tell(&publish("t", qos, 1, &format!("m{qos}"))).await;
        }
        let expected = [
            &connack(1),
            "PUBLISH topic=t qos=1 retain=0 dup=0 id=1 payload=m1",
            "PUBLISH topic=t qos=2 retain=0 dup=0 id=2 payload=m2",
            "PUBREL id=2",
        ];
        assert_eq!(connect(&broker, protocol, "s").await.1, expected);
        assert_eq!(connect(&broker, protocol, "s").await.1, [connack(1)]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_clean_session_ends_with_its_connection_and_ends_the_one_before() {
    for protocol in Protocol::ALL {
        let broker = Broker::correct();
        for clean in [true, false, true, true, false] {
            let (mut client, answer) = connect_as(&broker, protocol, "s", clean, u32::from(!clean)).await;
            assert_eq!(answer, [connack(0)]);
            client.tell("SUBSCRIBE id=1 filter=t qos=1").await;
            client.tell("DISCONNECT").await;
            if clean {
                continue;
            }
            assert_eq!(connect_as(&broker, protocol, "s", true, 0).await.1, [connack(0)]);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_ends_when_its_interval_has_passed() {
    let broker = Broker::correct();
    for (away, present) in [(0, 0), (9, 1), (11, 0)] {
        sleep(Duration::from_secs(away)).await;
        let (mut client, answer) = connect_as(&broker, V5, "s", false, 10).await;
        assert_eq!(answer, [connack(present)]);
        client.tell("DISCONNECT").await;
    }
}

#[tokio::test(start_paused = true)]
async fn another_connection_takes_the_session_over() {
    let ends = |broker: Broker, protocol| async move {
        let (mut older, _) = connect(&broker, protocol, "s").await;
        assert_eq!(connect(&broker, protocol, "s").await.1, [connack(1)]);
        older.hear().await
    };
    assert_eq!(ends(Broker::correct(), V3).await, ["end"]);
    assert_eq!(ends(Broker::correct(), V5).await, ["DISCONNECT reason=0x8e", "end"]);
    let quiet = Choices { takeover_disconnect: false, ..Choices::default() };
    assert_eq!(ends(Broker::choosing(quiet), V5).await, ["end"]);
}

#[tokio::test(start_paused = true)]
async fn what_was_not_acknowledged_is_sent_again_on_resume() {
    for protocol in Protocol::ALL {
        let broker = Broker::correct();
        let (mut client, _) = connect(&broker, protocol, "s").await;
        client.acknowledges = false;
        client.tell("SUBSCRIBE id=1 filter=t qos=2").await;
        client.tell(&publish("t", 1, 0, "one")).await;
        client.tell("PUBLISH topic=t qos=2 retain=0 dup=0 id=10 payload=two").await;
        client.tell("PUBLISH topic=t qos=2 retain=0 dup=0 id=11 payload=three").await;
        assert_eq!(client.tell("PUBREC id=2").await, ["PUBREL id=2"]);
        client.half_close().await;
        assert_eq!(client.hear().await, ["end"]);
        let expected = [
            "PUBLISH topic=t qos=1 retain=0 dup=1 id=1 payload=one",
            "PUBREL id=2",
            "PUBLISH topic=t qos=2 retain=0 dup=1 id=3 payload=three",
            "PUBREL id=3",
        ];
        assert_eq!(backlog(&broker, protocol, "s").await, expected);
        assert!(backlog(&broker, protocol, "s").await.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_qos_2_message_goes_onward_once() {
    for qos2_onward_at_pubrel in [false, true] {
        let broker = Broker::choosing(Choices { qos2_onward_at_pubrel, ..Choices::default() });
        let (mut subscriber, _) = connect(&broker, V3, "s").await;
        subscriber.tell("SUBSCRIBE id=1 filter=t qos=0").await;
        let (mut publisher, _) = connect(&broker, V3, "p").await;
        publisher.acknowledges = false;
        assert_eq!(publisher.tell(&publish("t", 2, 0, "m")).await, ["PUBREC id=9"]);
        publisher.half_close().await;
        let (mut publisher, _) = connect(&broker, V3, "p").await;
        publisher.acknowledges = false;
        let again = "PUBLISH topic=t qos=2 retain=0 dup=1 id=9 payload=m";
        assert_eq!(publisher.tell(again).await, ["PUBREC id=9"]);
        assert_eq!(subscriber.hear().await.len(), usize::from(!qos2_onward_at_pubrel));
        assert_eq!(publisher.tell("PUBREL id=9").await, ["PUBCOMP id=9"]);
        assert_eq!(subscriber.hear().await.len(), usize::from(qos2_onward_at_pubrel));
        assert_eq!(publisher.tell("PUBREL id=9").await, ["PUBCOMP id=9"]);
        assert!(subscriber.hear().await.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn retained_messages_are_stored_replaced_cleared_and_sent_to_each_subscribe() {
    for protocol in Protocol::ALL {
        let broker = Broker::correct();
        let (mut client, _) = connect(&broker, protocol, "s").await;
        client.tell(&publish("t", 1, 1, "first")).await;
        client.tell(&publish("t", 2, 1, "last")).await;
        client.tell(&publish("t", 2, 0, "passing")).await;
        for id in [1, 2] {
            let copy = format!("PUBLISH topic=t qos=1 retain=1 dup=0 id={id} payload=last");
            assert_eq!(client.tell("SUBSCRIBE id=1 filter=t qos=1").await, ["SUBACK id=1 code=0x01", &copy]);
        }
        let cleared = client.tell("PUBLISH topic=t qos=0 retain=1 dup=0 payload=").await;
        assert_eq!(cleared, ["PUBLISH topic=t qos=0 retain=0 dup=0 payload="]);
        assert_eq!(client.tell("SUBSCRIBE id=1 filter=t qos=1").await, ["SUBACK id=1 code=0x01"]);
    }
}

#[tokio::test(start_paused = true)]
async fn filters_match_as_the_standard_says_until_they_are_unsubscribed() {
    let broker = Broker::correct();
    let (mut client, _) = connect(&broker, V5, "s").await;
    let topics = ["a", "a/b", "a/b/c", "/b", "$a/b"];
    for (filter, matched) in
        [("a/#", &topics[..3]), ("#", &topics[..4]), ("+/b", &["a/b", "/b"]), ("$a/+", &["$a/b"]), ("+", &["a"])]
    {
        client.tell(&format!("SUBSCRIBE id=1 filter={filter} qos=0")).await;
        for topic in topics {
            let copies = client.tell(&publish(topic, 0, 0, "m")).await.len();
            assert_eq!(copies, usize::from(matched.contains(&topic)), "{filter} {topic}");
        }
        assert_eq!(client.tell(&format!("UNSUBSCRIBE id=2 filter={filter}")).await, ["UNSUBACK id=2 code=0x00"]);
        assert!(client.tell(&publish(topics[1], 0, 0, "m")).await.is_empty());
    }
    assert_eq!(client.tell("SUBSCRIBE id=3 filter=a#/b qos=0").await, ["SUBACK id=3 code=0x8f"]);
    assert_eq!(client.tell("UNSUBSCRIBE id=2 filter=a").await, ["UNSUBACK id=2 code=0x11"]);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_is_silent_for_too_long_is_disconnected() {
    let broker = Broker::correct();
    let mut client = Client::open(&broker.endpoint(), V3).await;
    client.tell("CONNECT protocol=3.1.1 clean_session=1 keep_alive=10 client_id=s").await;
    sleep(Duration::from_secs(13)).await;
    assert_eq!(client.tell("PINGREQ").await, ["PINGRESP"]);
    sleep(Duration::from_secs(15)).await;
    assert_eq!(client.hear().await, ["end"]);
}

#[tokio::test(start_paused = true)]
async fn no_more_than_the_window_is_under_way() {
    let broker = Broker::correct();
    let (mut client, _) = connect(&broker, V5, "s").await;
    client.tell("SUBSCRIBE id=1 filter=t qos=1").await;
    client.tell("DISCONNECT").await;
    let (mut publisher, _) = connect(&broker, V5, "p").await;
    for number in 1..=25 {
        publisher.tell(&publish("t", 1, 0, &format!("m{number}"))).await;
    }
    let mut client = Client::open(&broker.endpoint(), V5).await;
    client.acknowledges = false;
    let connect = "CONNECT protocol=5.0 clean_start=0 session_expiry=60 keep_alive=0 client_id=s";
    assert_eq!(client.tell(connect).await.len(), 1 + 20);
    assert_eq!(client.tell("PUBACK id=2").await, ["PUBLISH topic=t qos=1 retain=0 dup=0 id=21 payload=m21"]);
}

#[tokio::test(start_paused = true)]
async fn disconnect_ends_the_connection_now_or_when_the_client_closes() {
    let broker = Broker::choosing(Choices { wait_for_close: true, ..Choices::default() });
    let (mut client, _) = connect(&broker, V3, "s").await;
    assert!(client.tell("DISCONNECT").await.is_empty());
    client.half_close().await;
    assert_eq!(client.hear().await, ["end"]);
}

#[tokio::test(start_paused = true)]
async fn limits_are_announced_and_enforced() {
    let broker = Broker::choosing(Choices {
        maximum_qos: 1,
        retain_available: false,
        session_expiry_at_most: 60,
        ..Choices::default()
    });
    let (mut client, answer) = connect(&broker, V5, "s").await;
    assert_eq!(answer, [format!("{} session_expiry=60 maximum_qos=1 retain_available=0", connack(0))]);
    assert_eq!(client.tell(&publish("t", 2, 0, "m")).await, ["DISCONNECT reason=0x9b", "end"]);
    let broker = Broker::choosing(Choices { refuse_v5: true, ..Choices::default() });
    assert_eq!(connect(&broker, V5, "s").await.1, ["CONNACK session_present=0 code=0x01", "end"]);
    assert_eq!(connect(&broker, V3, "s").await.1, [connack(0)]);
}

#[tokio::test(start_paused = true)]
async fn no_choice_costs_a_message_or_its_order() {
    let random = (0..20).map(|seed| ("random", Choices::random(seed)));
    for (name, choices) in Choices::each_alone().into_iter().chain(random) {
        let qos = choices.maximum_qos.min(choices.grant_at_most);
        if choices.queue_at_most.is_some() || choices.refuse_v5 || choices.session_expiry_at_most == 0 || qos == 0 {
            continue;
        }
        let broker = Broker::choosing(choices.clone());
        let (mut subscriber, _) = connect(&broker, V5, "s").await;
        subscriber.tell("SUBSCRIBE id=1 filter=t qos=1").await;
        subscriber.tell("DISCONNECT").await;
        let (mut publisher, _) = connect(&broker, V5, "p").await;
        for number in 1..=25 {
            publisher.tell(&publish("t", 1, 0, &format!("m{number}"))).await;
        }
        let payloads: Vec<String> =
            backlog(&broker, V5, "s").await.iter().map(|line| line.rsplit('=').next().unwrap().to_owned()).collect();
        let expected: Vec<String> = (1..=25).map(|number| format!("m{number}")).collect();
        assert_eq!(payloads, expected, "{name} {choices:?}");
    }
}

#[tokio::test]
async fn it_serves_tcp() {
    let (address, _accepting) = Broker::correct().listen().await.unwrap();
    let mut client = Client::open(&Endpoint::tcp([address]), V3).await;
    client.patience = Duration::from_millis(300);
    let answer = client.tell("CONNECT protocol=3.1.1 clean_session=1 keep_alive=0 client_id=s").await;
    assert_eq!(answer, [connack(0)]);
    assert_eq!(client.tell("DISCONNECT").await, ["end"]);
}
