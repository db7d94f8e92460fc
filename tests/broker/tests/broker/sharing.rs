//! Shared subscriptions.

use super::*;

const SUBSCRIBE: &str = "SUBSCRIBE id=1 filter=$share/g/t qos=2";

async fn member(broker: &Broker, id: &str, subscribe: &str) -> Client {
    let (mut member, _) = connect(broker, V5, id).await;
    assert!(member.tell(subscribe).await[0].starts_with("SUBACK"));
    member.acknowledges = false;
    member
}

#[tokio::test(start_paused = true)]
async fn each_message_goes_to_one_member_in_turn_and_to_every_other_subscriber() {
    let broker = Broker::correct();
    let mut members =
        [member(&broker, "a", SUBSCRIBE).await, member(&broker, "b", "SUBSCRIBE id=1 filter=$share/g/t qos=1").await];
    let mut plain = member(&broker, "c", "SUBSCRIBE id=1 filter=t qos=0").await;
    let (mut publisher, _) = connect(&broker, V5, "p").await;
    for _ in 0..4 {
        publisher.tell(&publish("t", 2, 0, "m")).await;
    }
    assert_eq!(plain.hear().await.len(), 4);
    for (member, qos) in members.iter_mut().zip([2, 1]) {
        let came = member.hear().await;
        assert_eq!(came.len(), 2);
        assert!(came.iter().all(|line| line.contains(&format!("qos={qos}"))), "{came:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_there_comes_first_and_who_is_away_gets_it_later() {
    let broker = Broker::correct();
    let mut first = member(&broker, "a", SUBSCRIBE).await;
    let mut second = member(&broker, "b", SUBSCRIBE).await;
    first.tell("DISCONNECT").await;
    let (mut publisher, _) = connect(&broker, V5, "p").await;
    for _ in 0..2 {
        publisher.tell(&publish("t", 1, 0, "m")).await;
    }
    assert_eq!(second.hear().await.len(), 2);
    second.tell("PUBACK id=1").await;
    second.tell("PUBACK id=2").await;
    second.tell("DISCONNECT").await;
    for _ in 0..4 {
        publisher.tell(&publish("t", 1, 0, "m")).await;
    }
    let came = [backlog(&broker, V5, "a").await.len(), backlog(&broker, V5, "b").await.len()];
    assert_eq!(came, [2, 2]);
}

#[tokio::test(start_paused = true)]
async fn what_is_under_way_at_qos_2_stays_with_its_member() {
    let broker = Broker::correct();
    let mut first = member(&broker, "a", SUBSCRIBE).await;
    let (mut publisher, _) = connect(&broker, V5, "p").await;
    publisher.tell(&publish("t", 2, 0, "m")).await;
    assert_eq!(first.hear().await.len(), 1);
    let mut second = member(&broker, "b", SUBSCRIBE).await;
    first.half_close().await;
    first.hear().await;
    assert!(second.hear().await.is_empty());
    assert_eq!(backlog(&broker, V5, "a").await[0], "PUBLISH topic=t qos=2 retain=0 dup=1 id=1 payload=m");
}

/// A member with something unacknowledged, whose session ends or who refuses it, and what another member gets of it.
async fn left_over(qos: u8, refuses: bool) -> usize {
    let broker = Broker::correct();
    let mut first = member(&broker, "a", SUBSCRIBE).await;
    let (mut publisher, _) = connect(&broker, V5, "p").await;
    publisher.tell(&publish("t", qos, 0, "m")).await;
    let mut second = member(&broker, "b", SUBSCRIBE).await;
    if refuses {
        let kind = if qos == 1 { "PUBACK" } else { "PUBREC" };
        first.tell(&format!("{kind} id=1 reason=0x80")).await;
    }
    first.tell("DISCONNECT session_expiry=0").await;
    second.hear().await.len()
}

#[tokio::test(start_paused = true)]
async fn what_was_refused_or_died_at_qos_2_goes_to_nobody_else() {
    assert_eq!(left_over(2, false).await, 0);
    assert_eq!(left_over(1, false).await, 1);
    assert_eq!(left_over(2, true).await, 0);
    assert_eq!(left_over(1, true).await, 0);
}

#[tokio::test(start_paused = true)]
async fn shared_subscriptions_get_no_retained_messages_and_have_no_local() {
    let broker = Broker::correct();
    let (mut publisher, _) = connect(&broker, V5, "p").await;
    publisher.tell(&publish("t", 1, 1, "m")).await;
    let (mut client, _) = connect(&broker, V5, "s").await;
    assert_eq!(client.tell(SUBSCRIBE).await, ["SUBACK id=1 code=0x02"]);
    assert_eq!(client.tell("SUBSCRIBE id=1 filter=$share/g+/t qos=0").await, ["SUBACK id=1 code=0x8f"]);
    let own = "SUBSCRIBE id=1 filter=$share/g/t qos=1,no_local";
    assert_eq!(client.tell(own).await, ["DISCONNECT reason=0x82", "end"]);
}
