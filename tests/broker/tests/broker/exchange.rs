//! A long exchange of two clients with the broker, which both versions of the protocol know.

use std::time::Duration;

use tokio::time::sleep;

use super::*;

/// An exchange in which every rule of the broker has its say.
pub async fn everything(broker: &Broker, protocol: Protocol) -> Vec<String> {
    let mut lines = Vec::new();
    let (mut subscriber, connected) = connect(broker, protocol, "s").await;
    lines.extend(connected);
    let (mut publisher, connected) = connect(broker, protocol, "p").await;
    lines.extend(connected);
    lines.extend(publisher.tell("PINGREQ").await);
    for line in ["SUBSCRIBE id=1 filter=t qos=2", "SUBSCRIBE id=2 filter=low qos=0", "SUBSCRIBE id=3 filter=+/x qos=1"]
    {
        lines.extend(subscriber.tell(line).await);
    }
    for topic in ["t", "low", "$a/x"] {
        for qos in [0, 1, 2] {
            lines.extend(publisher.tell(&publish(topic, qos, 1, "live")).await);
        }
    }
    lines.extend(subscriber.hear().await);
    lines.extend(subscriber.tell("SUBSCRIBE id=4 filter=new qos=1").await);

    // It leaves with unfinished business, misses messages and comes back.
    subscriber.acknowledges = false;
    for (id, qos) in [(10, 1), (11, 2), (12, 2)] {
        publisher.tell(&format!("PUBLISH topic=t qos={qos} retain=0 dup=0 id={id} payload=open")).await;
    }
    for line in subscriber.hear().await {
        if line.contains("qos=2") {
            let id = line.split("id=").nth(1).unwrap().split(' ').next().unwrap().to_owned();
            lines.extend(subscriber.tell(&format!("PUBREC id={id}")).await);
            break;
        }
    }
    lines.extend(subscriber.tell("DISCONNECT").await);
    for number in 1..=25 {
        lines.extend(publisher.tell(&publish("t", 1 + number % 2, 1, &format!("away{number}"))).await);
    }
    let mut subscriber = Client::open(&broker.endpoint(), protocol).await;
    subscriber.patience = Duration::from_millis(10);
    let rejoin = match protocol {
        V3 => "CONNECT protocol=3.1.1 clean_session=0 keep_alive=0 client_id=s",
        V5 => "CONNECT protocol=5.0 clean_start=0 session_expiry=3600 keep_alive=0 client_id=s",
    };
    lines.extend(subscriber.tell(rejoin).await);
    publisher.patience = Duration::from_millis(1);
    publisher.tell(&publish("t", 1, 0, "fence")).await;
    lines.extend(subscriber.tell("SUBSCRIBE id=5 filter=t qos=2").await);
    publisher.tell("PUBLISH topic=t qos=1 retain=0 dup=0 id=13 payload=after").await;
    subscriber.patience = Duration::from_secs(1);
    lines.extend(subscriber.hear().await);

    // A QoS 2 message that is sent twice, a cleared retained message, a filter that goes, and a takeover.
    publisher.patience = Duration::from_secs(1);
    publisher.acknowledges = false;
    for line in [
        "PUBLISH topic=t qos=2 retain=0 dup=0 id=20 payload=twice",
        "PUBLISH topic=t qos=2 retain=0 dup=1 id=20 payload=twice",
        "PUBREL id=20",
        "PUBLISH topic=t qos=0 retain=1 dup=0 payload=",
        "SUBSCRIBE id=5 filter=low qos=1",
        "SUBSCRIBE id=6 filter=t qos=1",
        "UNSUBSCRIBE id=7 filter=t",
        "PUBLISH topic=t qos=0 retain=0 dup=0 payload=unheard",
    ] {
        lines.extend(publisher.tell(line).await);
    }
    lines.extend(subscriber.hear().await);
    let (mut taker, taken) = connect_as(broker, protocol, "s", true, 0).await;
    lines.extend(taken);
    publisher.tell(&publish("t", 0, 0, "unsubscribed")).await;
    lines.extend(taker.hear().await);
    lines.extend(subscriber.hear().await);

    // Sessions that end, and a client that falls silent.
    let (mut brief, connected) = connect_as(broker, protocol, "brief", true, 5).await;
    lines.extend(connected);
    lines.extend(brief.tell("DISCONNECT").await);
    sleep(Duration::from_secs(10)).await;
    lines.extend(connect_as(broker, protocol, "brief", false, 5).await.1);
    let mut silent = Client::open(&broker.endpoint(), protocol).await;
    silent.patience = Duration::from_secs(2);
    let connect = match protocol {
        V3 => "CONNECT protocol=3.1.1 clean_session=1 keep_alive=1 client_id=silent",
        V5 => "CONNECT protocol=5.0 clean_start=1 keep_alive=1 client_id=silent",
    };
    lines.extend(silent.tell(connect).await);
    lines
}
