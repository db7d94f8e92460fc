//! Wills.

use std::time::Duration;

use tokio::time::sleep;

use super::*;

const WILL: &str = "will_topic=w will_qos=1 will_retain=0 will_payload=gone";
const DELAYED: &str = "will_topic=w will_qos=1 will_retain=0 will_delay=10 will_payload=gone";

/// Somebody who hears the wills.
async fn witness(broker: &Broker, protocol: Protocol) -> Client {
    let (mut witness, _) = connect(broker, protocol, "witness").await;
    witness.tell("SUBSCRIBE id=1 filter=w qos=1").await;
    witness
}

/// How many wills come.
async fn wills(witness: &mut Client) -> usize {
    let heard = witness.hear().await;
    assert!(heard.iter().all(|line| line.starts_with("PUBLISH topic=w qos=1 retain=0 dup=0")), "{heard:?}");
    heard.len()
}

async fn seconds(seconds: u64) {
    sleep(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn a_will_is_published_once_unless_the_client_says_goodbye() {
    for protocol in Protocol::ALL {
        let broker = Broker::correct();
        let mut witness = witness(&broker, protocol).await;
        let (mut client, _) = join(&broker, protocol, true, "", "s", WILL).await;
        client.half_close().await;
        assert_eq!(wills(&mut witness).await, 1);
        let (mut client, _) = join(&broker, protocol, true, "", "s", "").await;
        client.half_close().await;
        assert_eq!(wills(&mut witness).await, 0);
        let (mut client, _) = join(&broker, protocol, true, "", "s", WILL).await;
        client.tell("DISCONNECT").await;
        assert_eq!(wills(&mut witness).await, 0);
        // A protocol error, a takeover, and the reason code that asks for the will.
        let (mut client, _) = join(&broker, protocol, true, "", "s", WILL).await;
        client.tell("CONNACK session_present=0 code=0x00").await;
        assert_eq!(wills(&mut witness).await, 1);
        let (_older, _) = join(&broker, protocol, false, "session_expiry=60", "s", WILL).await;
        let (mut client, _) = join(&broker, protocol, false, "session_expiry=60", "s", WILL).await;
        assert_eq!(wills(&mut witness).await, 1);
        if protocol == V5 {
            client.tell("DISCONNECT reason=0x04").await;
            assert_eq!(wills(&mut witness).await, 1);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_client_leaves_its_will() {
    let broker = Broker::correct();
    let mut witness = witness(&broker, V3).await;
    let mut client = Client::open(&broker.endpoint(), V3).await;
    client.tell(&format!("CONNECT protocol=3.1.1 clean_session=1 keep_alive=10 client_id=s {WILL}")).await;
    seconds(13).await;
    assert_eq!(wills(&mut witness).await, 0);
    seconds(3).await;
    assert_eq!(wills(&mut witness).await, 1);
}

#[tokio::test(start_paused = true)]
async fn a_will_waits_for_its_delay_or_for_the_end_of_its_session() {
    let broker = Broker::correct();
    let mut witness = witness(&broker, V5).await;
    for (expiry, waits) in [(60, 10), (5, 5)] {
        let (mut client, _) = join(&broker, V5, true, &format!("session_expiry={expiry}"), "s", DELAYED).await;
        client.half_close().await;
        seconds(waits - 2).await;
        assert_eq!(wills(&mut witness).await, 0, "{expiry}");
        seconds(2).await;
        assert_eq!(wills(&mut witness).await, 1, "{expiry}");
    }
    // The end of the session comes first: at once, or with a Clean Start.
    let (mut client, _) = join(&broker, V5, true, "session_expiry=0", "s", DELAYED).await;
    client.half_close().await;
    assert_eq!(wills(&mut witness).await, 1);
    let (mut client, _) = join(&broker, V5, true, "session_expiry=60", "s", DELAYED).await;
    client.half_close().await;
    assert_eq!(wills(&mut witness).await, 0);
    let (_starter, _) = join(&broker, V5, true, "session_expiry=60", "s", "").await;
    assert_eq!(wills(&mut witness).await, 1);
}

#[tokio::test(start_paused = true)]
async fn who_returns_in_time_leaves_no_will() {
    let broker = Broker::correct();
    let mut witness = witness(&broker, V5).await;
    let (mut client, _) = join(&broker, V5, true, "session_expiry=60", "s", DELAYED).await;
    client.half_close().await;
    seconds(5).await;
    let (mut client, answer) = join(&broker, V5, false, "session_expiry=60", "s", "").await;
    assert_eq!(answer, [connack(1)]);
    seconds(10).await;
    client.half_close().await;
    seconds(30).await;
    assert_eq!(wills(&mut witness).await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_will_is_retained_as_it_asks() {
    for protocol in Protocol::ALL {
        for retain in [0, 1] {
            let broker = Broker::correct();
            let will = format!("will_topic=w will_qos=1 will_retain={retain} will_payload=gone");
            let (mut client, _) = join(&broker, protocol, true, "", "s", &will).await;
            client.half_close().await;
            client.hear().await;
            assert_eq!(broker.retained().len(), retain);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_will_beyond_the_limits_is_refused() {
    let broker = Broker::choosing(Choices { maximum_qos: 1, retain_available: false, ..Choices::default() });
    for (will, code) in [("will_qos=2 will_retain=0", "0x9b"), ("will_qos=1 will_retain=1", "0x9a")] {
        let (_, answer) = join(&broker, V5, true, "", "s", &format!("will_topic=w {will} will_payload=gone")).await;
        assert_eq!(answer, [format!("CONNACK session_present=0 code={code}"), "end".into()]);
    }
}
