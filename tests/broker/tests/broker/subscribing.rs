//! Subscription options and identifiers, overlapping subscriptions, and the properties of messages.

use super::*;

const PROPERTIES: &str = "payload_format=1 content_type=text response_topic=r correlation_data=%00c user_key=b \
                          user_value=1 user_key=a user_value=2 user_key=b user_value=0";

#[tokio::test(start_paused = true)]
async fn no_local_keeps_ones_own_messages_away() {
    let broker = Broker::correct();
    let (mut client, _) = connect(&broker, V5, "s").await;
    client.tell("SUBSCRIBE id=1 filter=t qos=0,no_local").await;
    assert!(client.tell(&publish("t", 0, 1, "own")).await.is_empty());
    assert_eq!(client.tell("SUBSCRIBE id=1 filter=t qos=0,no_local").await.len(), 1);
    let (mut other, _) = connect(&broker, V5, "p").await;
    other.tell(&publish("t", 0, 0, "other's")).await;
    assert_eq!(client.hear().await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn retain_as_published_keeps_the_flag_live_and_queued() {
    let broker = Broker::correct();
    let (mut client, _) = connect(&broker, V5, "s").await;
    client.tell("SUBSCRIBE id=1 filter=kept qos=1,retain_as_published filter=plain qos=1").await;
    let (mut publisher, _) = connect(&broker, V5, "p").await;
    for away in [false, true] {
        if away {
            client.tell("DISCONNECT").await;
        }
        for (topic, retain) in [("kept", 1), ("kept", 0), ("plain", 1)] {
            publisher.tell(&publish(topic, 1, retain, "m")).await;
        }
        let came = if away { backlog(&broker, V5, "s").await } else { client.hear().await };
        let flags: Vec<bool> = came.iter().map(|line| line.contains("retain=1")).collect();
        assert_eq!(flags, [true, false, false], "{came:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn retain_handling_decides_which_subscribe_gets_retained_messages() {
    let broker = Broker::correct();
    let (mut client, _) = connect(&broker, V5, "s").await;
    client.tell(&publish("t", 1, 1, "m")).await;
    for (handling, copies) in [(0, [1, 1]), (1, [1, 0]), (2, [0, 0])] {
        for copies in copies {
            let subscribe = format!("SUBSCRIBE id=1 filter=t qos=1,retain_handling={handling}");
            assert_eq!(client.tell(subscribe.trim_end_matches(",retain_handling=0")).await.len(), 1 + copies);
        }
        client.tell("UNSUBSCRIBE id=2 filter=t").await;
    }
}

#[tokio::test(start_paused = true)]
async fn overlapping_subscriptions_get_one_copy_with_all_identifiers_or_a_copy_each() {
    for (copy_for_each_subscription, expected) in
        [(false, vec!["qos=2 ids=2,1"]), (true, vec!["qos=2 ids=2", "qos=1 ids=1"])]
    {
        let broker = Broker::choosing(Choices { copy_for_each_subscription, ..Choices::default() });
        let (mut client, _) = connect(&broker, V5, "s").await;
        client.tell("SUBSCRIBE id=1 subscription_id=1 filter=t qos=1").await;
        client.tell("SUBSCRIBE id=1 subscription_id=2 filter=+ qos=2").await;
        let (mut publisher, _) = connect(&broker, V5, "p").await;
        for away in [false, true] {
            if away {
                client.tell("DISCONNECT").await;
            }
            publisher.tell(&publish("t", 2, 0, "m")).await;
            let came = if away { backlog(&broker, V5, "s").await } else { client.hear().await };
            let copies = came.iter().filter(|line| line.starts_with("PUBLISH"));
            let copies: Vec<String> = copies.map(|line| qos_and_ids(line)).collect();
            let sorted = |copy: &str| copy.replace("ids=1,2", "ids=2,1");
            assert_eq!(copies.iter().map(|copy| sorted(copy)).collect::<Vec<_>>(), expected, "{away}");
        }
    }
}

fn qos_and_ids(line: &str) -> String {
    let values = |field: &'static str| line.split(' ').filter_map(move |part| part.strip_prefix(field));
    format!(
        "qos={} ids={}",
        values("qos=").collect::<String>(),
        values("subscription_id=").collect::<Vec<_>>().join(",")
    )
}

#[tokio::test(start_paused = true)]
async fn a_retained_copy_has_the_identifier_of_its_subscription() {
    let broker = Broker::correct();
    let (mut client, _) = connect(&broker, V5, "s").await;
    client.tell(&publish("t", 0, 1, "m")).await;
    let copy = "PUBLISH topic=t qos=0 retain=1 dup=0 subscription_id=7 payload=m";
    assert_eq!(client.tell("SUBSCRIBE id=1 subscription_id=7 filter=t qos=1").await, ["SUBACK id=1 code=0x01", copy]);
}

#[tokio::test(start_paused = true)]
async fn properties_go_onward_unaltered() {
    let broker = Broker::correct();
    let (mut client, _) = connect(&broker, V5, "s").await;
    client.tell("SUBSCRIBE id=1 filter=t qos=1").await;
    client.tell("DISCONNECT").await;
    let (mut publisher, _) = connect(&broker, V5, "p").await;
    let line = format!("PUBLISH topic=t qos=1 retain=1 dup=0 id=1 {PROPERTIES} payload=m");
    publisher.tell(&line).await;
    let queued = line.replace("retain=1", "retain=0");
    assert_eq!(backlog(&broker, V5, "s").await, std::slice::from_ref(&queued));
    let (mut client, _) = connect(&broker, V5, "s").await;
    assert_eq!(client.tell("SUBSCRIBE id=1 filter=t qos=1").await[1], line.replace("id=1", "id=2"));
    publisher.tell(&line).await;
    assert_eq!(client.hear().await, [queued.replace("id=1", "id=3")]);
    let (mut older, _) = connect(&broker, V3, "older").await;
    let plain = "PUBLISH topic=t qos=0 retain=1 dup=0 payload=m";
    assert_eq!(older.tell("SUBSCRIBE id=1 filter=t qos=0").await, ["SUBACK id=1 code=0x00", plain]);
}

#[tokio::test(start_paused = true)]
async fn unsubscribe_leaves_what_is_under_way_and_perhaps_what_is_queued() {
    for unsubscribe_discards_queue in [false, true] {
        let broker = Broker::choosing(Choices { unsubscribe_discards_queue, window: 1, ..Choices::default() });
        let (mut client, _) = connect(&broker, V5, "s").await;
        client.acknowledges = false;
        client.tell("SUBSCRIBE id=1 filter=t qos=1 filter=u qos=1 filter=+ qos=1").await;
        let (mut publisher, _) = connect(&broker, V5, "p").await;
        for topic in ["t", "t", "u"] {
            publisher.tell(&publish(topic, 1, 0, "m")).await;
        }
        assert_eq!(client.hear().await.len(), 1);
        // Another subscription wants them still.
        client.tell("UNSUBSCRIBE id=2 filter=+").await;
        client.tell("UNSUBSCRIBE id=2 filter=t").await;
        client.half_close().await;
        let came = backlog(&broker, V5, "s").await;
        assert!(came[0].starts_with("PUBLISH topic=t qos=1 retain=0 dup=1"), "{came:?}");
        assert_eq!(came.len(), if unsubscribe_discards_queue { 2 } else { 3 });
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_unavailable_is_announced_and_refused() {
    let broker = Broker::choosing(Choices {
        wildcards: false,
        subscription_ids: false,
        shared_subscriptions: false,
        ..Choices::default()
    });
    let (mut client, answer) = connect(&broker, V5, "s").await;
    let announced = "wildcards_available=0 subscription_ids_available=0 shared_available=0";
    assert_eq!(answer, [format!("{} {announced}", connack(0))]);
    let subscribe = "SUBSCRIBE id=1 filter=t qos=1 filter=+ qos=1 filter=$share/g/t qos=1";
    assert_eq!(client.tell(subscribe).await, ["SUBACK id=1 code=0x01 code=0xa2 code=0x9e"]);
    let identified = "SUBSCRIBE id=2 subscription_id=1 filter=t qos=1";
    assert_eq!(client.tell(identified).await, ["SUBACK id=2 code=0xa1"]);
}

#[tokio::test(start_paused = true)]
async fn the_broker_tells_its_version() {
    for protocol in Protocol::ALL {
        let broker = Broker::correct();
        let (mut client, _) = connect(&broker, protocol, "s").await;
        let told = client.tell("SUBSCRIBE id=1 filter=$SYS/# qos=0").await;
        assert!(told[1].starts_with("PUBLISH topic=$SYS/broker/version qos=0 retain=1"), "{told:?}");
        assert_eq!(client.tell("SUBSCRIBE id=1 filter=# qos=0").await.len(), 1);
        assert!(broker.retained().is_empty());
    }
}
