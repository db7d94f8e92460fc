//! Who gets which session, and for how long.

use std::time::Duration;

use tokio::time::sleep;

use super::*;

#[tokio::test(start_paused = true)]
async fn who_has_no_identifier_gets_one_of_its_own() {
    let broker = Broker::correct();
    let (_, answer) = join(&broker, V3, false, "", "", "").await;
    assert_eq!(answer, ["CONNACK session_present=0 code=0x02", "end"]);
    let mut clients = Vec::new();
    for protocol in [V3, V3, V5, V5] {
        let (client, answer) = join(&broker, protocol, true, "session_expiry=60", "", "").await;
        let assigned = format!("{} assigned_client_id=", connack(0));
        assert_eq!(answer[0].starts_with(&assigned), protocol == V5, "{answer:?}");
        clients.push(client);
    }
    for client in &mut clients {
        assert_eq!(client.tell("PINGREQ").await, ["PINGRESP"]);
    }
    let sessions = broker.sessions();
    let (_, answer) = join(&broker, V5, false, "session_expiry=60", sessions.last().unwrap(), "").await;
    assert_eq!(answer, [connack(1)]);
}

#[tokio::test(start_paused = true)]
async fn disconnect_may_change_the_expiry_of_the_session() {
    let broker = Broker::correct();
    for (asked, changed, away, present) in [(60, 5, 10, 0), (5, 60, 10, 1), (60, 0, 0, 0)] {
        let (mut client, _) = connect_as(&broker, V5, "s", true, asked).await;
        client.tell(&format!("DISCONNECT session_expiry={changed}")).await;
        sleep(Duration::from_secs(away)).await;
        assert_eq!(connect_as(&broker, V5, "s", false, 60).await.1, [connack(present)]);
    }
    let (mut client, _) = connect_as(&broker, V5, "s", true, 0).await;
    assert_eq!(client.tell("DISCONNECT session_expiry=5").await, ["DISCONNECT reason=0x82", "end"]);
}

#[tokio::test(start_paused = true)]
async fn a_broker_of_5_0_alone_refuses_3_1_1() {
    let broker = Broker::choosing(Choices { refuse_v3: true, ..Choices::default() });
    assert_eq!(connect(&broker, V3, "s").await.1, ["CONNACK session_present=0 code=0x01", "end"]);
    assert_eq!(connect(&broker, V5, "s").await.1, [connack(0)]);
}

#[tokio::test(start_paused = true)]
async fn the_keep_alive_of_the_server_counts() {
    let broker = Broker::choosing(Choices { server_keep_alive: Some(10), ..Choices::default() });
    for (asked, given) in [(60, " server_keep_alive=10"), (0, " server_keep_alive=10"), (5, "")] {
        let mut client = Client::open(&broker.endpoint(), V5).await;
        let line = format!("CONNECT protocol=5.0 clean_start=1 keep_alive={asked} client_id=s");
        assert_eq!(client.tell(&line).await, [format!("{}{given}", connack(0))]);
        sleep(Duration::from_secs(15)).await;
        assert_eq!(client.hear().await.last().map(String::as_str), Some("end"));
    }
    let (mut older, answer) = connect(&broker, V3, "s").await;
    assert_eq!(answer, [connack(0)]);
    sleep(Duration::from_secs(60)).await;
    assert_eq!(older.tell("PINGREQ").await, ["PINGRESP"]);
}
