//! Every lie shows in what the broker says, in the versions whose statements it names, and in no other.

use std::collections::HashSet;
use std::time::Duration;

use tokio::time::sleep;

use super::exchange::everything;
use super::travels;
use super::*;
use test_broker::Defect;

/// Wills of every kind, with somebody who hears them.
async fn wills(broker: &Broker, protocol: Protocol) -> Vec<String> {
    let mut lines = Vec::new();
    let (mut witness, _) = connect(broker, protocol, "witness").await;
    for (will, polite) in [
        ("will_topic=plain will_qos=1 will_retain=0 will_payload=m", false),
        ("will_topic=kept will_qos=1 will_retain=1 will_payload=m", false),
        ("will_topic=polite will_qos=2 will_retain=0 will_payload=m", true),
    ] {
        witness.tell("SUBSCRIBE id=1 filter=+ qos=1").await;
        let (mut client, answer) = join(broker, protocol, false, "session_expiry=60", "s", will).await;
        lines.extend(answer);
        if polite {
            client.tell("DISCONNECT").await;
        } else {
            client.half_close().await;
        }
        lines.extend(witness.hear().await);
        let (mut client, _) = connect(broker, protocol, "s").await;
        client.half_close().await;
        lines.extend(witness.hear().await);
        lines.extend(witness.tell("SUBSCRIBE id=1 filter=+ qos=1").await);
    }
    if protocol == V3 {
        return lines;
    }
    let will = "will_topic=late will_qos=1 will_retain=0 will_delay=20 will_payload=m";
    for (expiry, returns) in [(60, true), (5, false)] {
        let (mut client, _) = join(broker, V5, false, &format!("session_expiry={expiry}"), "d", will).await;
        client.half_close().await;
        lines.extend(witness.hear().await);
        sleep(Duration::from_secs(8)).await;
        lines.extend(witness.hear().await);
        lines.push("a return, perhaps".into());
        let _back = if returns { Some(connect(broker, V5, "d").await) } else { None };
        sleep(Duration::from_secs(30)).await;
        lines.extend(witness.hear().await);
    }
    lines
}

/// Identifiers, takeovers, and sessions that end.
async fn sessions(broker: &Broker, protocol: Protocol) -> Vec<String> {
    let (mut owner, mut lines) = connect(broker, protocol, "owner").await;
    owner.tell("DISCONNECT").await;
    lines.extend(connect(broker, protocol, "heir").await.1);
    lines.extend(connect(broker, protocol, "a0123456789012345").await.1);
    let mut nameless = Vec::new();
    for _ in 0..2 {
        let (client, answer) = join(broker, protocol, true, "", "", "").await;
        lines.extend(answer);
        nameless.push(client);
    }
    lines.extend(nameless[0].hear().await);
    // 3.1.1 3.1.3-8: without an identifier there is no session.
    lines.extend(join(broker, protocol, false, "", "", "").await.1);

    let (mut older, _) = connect(broker, protocol, "taken").await;
    lines.extend(connect(broker, protocol, "taken").await.1);
    lines.extend(older.hear().await);

    let (mut brief, _) = join(broker, protocol, true, "", "brief", "").await;
    brief.tell(&publish("kept", 1, 1, "m")).await;
    brief.tell("DISCONNECT").await;
    let (mut client, _) = connect(broker, protocol, "s").await;
    lines.extend(client.tell("SUBSCRIBE id=1 filter=kept qos=1").await);

    // A publisher whose connection breaks between PUBREC and PUBREL.
    for dup in [0, 1] {
        let (mut publisher, _) = reserved(broker, protocol, "", "p").await;
        publisher.tell(&format!("PUBLISH topic=kept qos=2 retain=0 dup={dup} id=1 payload=once")).await;
        publisher.half_close().await;
        lines.extend(client.hear().await);
    }
    if protocol == V5 {
        client.tell("DISCONNECT session_expiry=5").await;
        sleep(Duration::from_secs(10)).await;
        lines.extend(connect(broker, V5, "s").await.1);
    }
    lines
}

/// What is taken over: a delivery under way, a will, and the identifiers of a publisher. One publisher speaks the other
/// version.
async fn takeovers(broker: &Broker, protocol: Protocol) -> Vec<String> {
    let (mut client, mut lines) = reserved(broker, protocol, "", "s").await;
    client.tell("SUBSCRIBE id=1 filter=+ qos=2").await;
    let (mut publisher, _) = reserved(broker, protocol, "", "p").await;
    for payload in ["first", "second"] {
        publisher.tell(&publish("t", 1, 0, payload)).await;
    }
    lines.extend(client.hear().await);
    let (mut client, answer) = reserved(broker, protocol, "", "s").await;
    lines.extend(answer);
    lines.extend(client.hear().await);
    client.half_close().await;
    lines.extend(backlog(broker, protocol, "s").await);

    let (mut witness, _) = connect(broker, protocol, "witness").await;
    witness.tell("SUBSCRIBE id=1 filter=will qos=1").await;
    let will = "will_topic=will will_qos=1 will_retain=0 will_payload=m";
    let (_older, _) = join(broker, protocol, false, "session_expiry=60", "w", will).await;
    let (_younger, _) = connect(broker, protocol, "w").await;
    lines.extend(witness.hear().await);

    witness.tell("SUBSCRIBE id=1 filter=t qos=2").await;
    publisher.tell("PUBLISH topic=t qos=2 retain=0 dup=0 id=7 payload=unfinished").await;
    let (mut publisher, _) = join(broker, protocol, true, "", "p", "").await;
    publisher.tell("PUBLISH topic=t qos=2 retain=0 dup=0 id=7 payload=new").await;
    publisher.tell("PUBREL id=7").await;
    lines.extend(witness.hear().await);

    let other = if protocol == V3 { V5 } else { V3 };
    let (mut stranger, _) = join(broker, other, true, "", "stranger", "").await;
    stranger.tell(&publish("t", 1, 0, "from-the-other-version")).await;
    lines.extend(backlog(broker, protocol, "s").await);
    lines
}

/// Several filters, overlapping and replaced ones, and UNSUBSCRIBE.
async fn subscriptions(broker: &Broker, protocol: Protocol) -> Vec<String> {
    let mut lines = Vec::new();
    let (mut client, _) = connect(broker, protocol, "s").await;
    let (mut publisher, _) = connect(broker, protocol, "p").await;
    for line in [
        "SUBSCRIBE id=1 filter=t qos=1",
        "SUBSCRIBE id=1 filter=+ qos=2",
        "UNSUBSCRIBE id=1 filter=+",
        "SUBSCRIBE id=1 filter=t qos=0",
        "SUBSCRIBE id=1 filter=x/+ qos=0 filter=t qos=2",
        "UNSUBSCRIBE id=1 filter=+",
    ] {
        lines.extend(client.tell(line).await);
        publisher.tell(&publish("t", 2, 0, "m")).await;
        lines.extend(client.hear().await);
    }
    lines.extend(client.tell("UNSUBSCRIBE id=1 filter=t").await);
    client.tell("DISCONNECT").await;
    let (mut client, _) = reserved(broker, protocol, "", "s").await;
    publisher.tell(&publish("t", 1, 0, "unsubscribed")).await;
    lines.extend(client.hear().await);

    // What is under way when it is unsubscribed.
    client.tell("SUBSCRIBE id=1 filter=t qos=1").await;
    publisher.tell(&publish("t", 1, 0, "under-way")).await;
    client.tell("UNSUBSCRIBE id=1 filter=t").await;
    client.half_close().await;
    lines.extend(backlog(broker, protocol, "s").await);

    let (mut client, _) = connect(broker, protocol, "s").await;
    for qos in [1, 0] {
        publisher.tell(&publish("kept", qos, 1, &format!("m{qos}"))).await;
    }
    lines.extend(client.tell("SUBSCRIBE id=1 filter=kept qos=1").await);
    lines
}

/// The options and identifiers of 5.0, and the properties of its messages, for a subscriber that is there and away.
async fn options(broker: &Broker) -> Vec<String> {
    let mut lines = Vec::new();
    let (mut client, _) = connect(broker, V5, "s").await;
    let (mut publisher, _) = connect(broker, V5, "p").await;
    publisher.tell(&publish("kept", 1, 1, "m")).await;
    for line in [
        "SUBSCRIBE id=1 filter=kept qos=1,retain_handling=1",
        "SUBSCRIBE id=1 filter=kept qos=1,retain_handling=1",
        "SUBSCRIBE id=1 filter=kept qos=1,retain_handling=2",
        "SUBSCRIBE id=1 filter=$share/g/kept qos=0",
        "UNSUBSCRIBE id=1 filter=$share/g/kept",
        "SUBSCRIBE id=1 filter=own qos=0,no_local",
        "PUBLISH topic=own qos=0 retain=0 dup=0 payload=m",
        "SUBSCRIBE id=1 filter=flag qos=1,retain_as_published",
        "SUBSCRIBE id=1 subscription_id=1 filter=t qos=1",
        "SUBSCRIBE id=1 subscription_id=2 filter=t/# qos=1",
    ] {
        lines.extend(client.tell(line).await);
    }
    for away in [false, true] {
        if away {
            client.tell("DISCONNECT").await;
        }
        publisher.tell(&publish("flag", 1, 1, "m")).await;
        publisher
            .tell(
                "PUBLISH topic=t qos=1 retain=0 dup=0 id=1 payload_format=1 content_type=text response_topic=r \
                 correlation_data=c user_key=b user_value=1 user_key=a user_value=2 payload=m",
            )
            .await;
        lines.extend(if away { backlog(broker, V5, "s").await } else { client.hear().await });
    }
    lines
}

/// Receive Maximum, Maximum Packet Size and Topic Aliases.
async fn announcements(broker: &Broker) -> Vec<String> {
    let (mut publisher, mut lines) = connect(broker, V5, "p").await;
    let (mut client, _) = reserved(broker, V5, "receive_maximum=2", "s").await;
    client.tell("SUBSCRIBE id=1 filter=+ qos=1").await;
    for (qos, payload) in [(1, "one"), (1, "two"), (1, "three"), (0, "zero")] {
        publisher.tell(&publish("t", qos, 0, payload)).await;
    }
    lines.extend(client.hear().await);
    lines.extend(client.tell("PINGREQ").await);
    client.half_close().await;
    let (mut client, answer) = reserved(broker, V5, "receive_maximum=1", "s").await;
    lines.extend(answer);
    client.half_close().await;
    lines.extend(backlog(broker, V5, "s").await);

    let (mut client, _) = reserved(broker, V5, "maximum_packet_size=20", "s").await;
    for payload in ["too-large-for-this-client", "small"] {
        publisher.tell(&publish("t", 0, 0, payload)).await;
    }
    lines.extend(client.hear().await);
    client.half_close().await;
    for _ in 0..2 {
        let (mut client, _) = reserved(broker, V5, "topic_alias_maximum=1", "s").await;
        for topic in ["t", "u", "t"] {
            publisher.tell(&publish(topic, 0, 0, "m")).await;
        }
        lines.extend(client.hear().await);
        client.half_close().await;
    }
    lines
}

/// Messages that expire, and deliveries that are late or refused.
async fn expiry(broker: &Broker) -> Vec<String> {
    let (mut publisher, mut lines) = connect(broker, V5, "p").await;
    let (mut client, _) = reserved(broker, V5, "", "s").await;
    client.tell("SUBSCRIBE id=1 filter=t qos=1").await;
    let message = |expiry: u32| format!("PUBLISH topic=t qos=1 retain=0 dup=0 id=1 message_expiry={expiry} payload=m");
    publisher.tell(&message(5)).await;
    lines.extend(client.hear().await);
    client.half_close().await;
    lines.extend(client.hear().await);
    for expiry in [5, 60] {
        publisher.tell(&message(expiry)).await;
    }
    sleep(Duration::from_secs(10)).await;
    let (mut client, answer) = reserved(broker, V5, "", "s").await;
    lines.extend(answer);
    lines.extend(client.tell("PUBACK id=1 reason=0x97").await);
    sleep(Duration::from_secs(3)).await;
    lines.extend(client.hear().await);
    client.half_close().await;
    lines.extend(backlog(broker, V5, "s").await);

    // A quota, where there is one.
    publisher.acknowledges = false;
    for _ in 0..11 {
        publisher.tell("PUBLISH topic=t qos=2 retain=0 dup=0 id=30 payload=m").await;
        publisher.tell("PUBREL id=30").await;
    }
    lines.push(format!("{} came", backlog(broker, V5, "s").await.len()));
    for line in ["PUBLISH topic=t qos=2 retain=0 dup=0 id=30 payload=again", "PUBREL id=30"] {
        lines.extend(publisher.tell(line).await);
    }
    lines.extend(backlog(broker, V5, "s").await);
    lines
}

/// Two members of a group: one refuses, leaves, comes back, and ends its session.
async fn groups(broker: &Broker) -> Vec<String> {
    let (mut publisher, mut lines) = connect(broker, V5, "p").await;
    let (mut first, _) = reserved(broker, V5, "", "first").await;
    first.tell("SUBSCRIBE id=1 filter=$share/g/t qos=2").await;
    publisher.tell(&publish("t", 2, 0, "refused")).await;
    publisher.tell(&publish("t", 2, 0, "under-way")).await;
    lines.extend(first.hear().await);
    let (mut second, _) = reserved(broker, V5, "", "second").await;
    second.tell("SUBSCRIBE id=1 filter=$share/g/t qos=1").await;
    lines.extend(first.tell("PUBREC id=1 reason=0x97").await);
    lines.extend(second.hear().await);
    lines.push("the first breaks off".into());
    first.half_close().await;
    lines.extend(first.hear().await);
    lines.extend(second.hear().await);
    lines.push("the first ends its session".into());
    let (mut first, answer) = reserved(broker, V5, "", "first").await;
    lines.extend(answer);
    first.tell("DISCONNECT session_expiry=0").await;
    lines.extend(second.hear().await);
    lines.push("the second alone, and a third".into());
    publisher.tell(&publish("t", 2, 0, "m")).await;
    lines.extend(second.hear().await);
    let (mut third, _) = reserved(broker, V5, "", "third").await;
    third.tell("SUBSCRIBE id=1 filter=$share/g/t qos=1").await;
    publisher.tell(&publish("t", 1, 0, "m")).await;
    lines.extend(second.hear().await);
    lines.extend(third.hear().await);
    lines
}

/// What the broker says in all of it, each part to a broker of its own.
async fn testimony(broker: impl Fn() -> Broker, protocol: Protocol) -> Vec<String> {
    let mut lines = everything(&broker(), protocol).await;
    lines.extend(wills(&broker(), protocol).await);
    lines.extend(sessions(&broker(), protocol).await);
    lines.extend(takeovers(&broker(), protocol).await);
    lines.extend(subscriptions(&broker(), protocol).await);
    lines.extend(travels::queued(&broker(), protocol).await);
    lines.extend(travels::resent(&broker(), protocol).await);
    lines.extend(travels::retained(&broker(), protocol).await);
    lines.extend(travels::wills(&broker(), protocol).await);
    lines.extend(travels::overlapping(&broker(), protocol).await);
    lines.extend(travels::cut_off(&broker(), protocol).await);
    if protocol == V5 {
        lines.extend(options(&broker()).await);
        lines.extend(announcements(&broker()).await);
        lines.extend(expiry(&broker()).await);
        lines.extend(groups(&broker()).await);
        lines.extend(travels::shared(&broker()).await);
        lines.extend(travels::too_large(&broker()).await);
    }
    lines
}

#[tokio::test(start_paused = true)]
async fn every_lie_shows_in_the_versions_whose_statements_it_names() {
    let mut untold = Vec::new();
    for protocol in Protocol::ALL {
        let mut truths: Vec<(Choices, Vec<String>)> = Vec::new();
        for defect in Defect::all() {
            let choices = defect.choices();
            if !truths.iter().any(|(known, _)| *known == choices) {
                let truth = testimony(|| Broker::choosing(choices.clone()), protocol).await;
                let again = testimony(|| Broker::choosing(choices.clone()), protocol).await;
                assert_eq!(truth, again, "the exchange repeats itself");
                truths.push((choices.clone(), truth));
            }
            let truth = truths.iter().find(|(known, _)| *known == choices).map(|(_, truth)| truth);
            let lied = truth != Some(&testimony(|| Broker::lying(defect), protocol).await);
            let named = defect.statements().iter().any(|(of, _)| *of == protocol);
            if lied != named {
                untold.push((defect.name(), protocol, lied));
            }
        }
    }
    assert_eq!(untold, []);
}

#[test]
fn lies_and_choices_have_names_of_their_own() {
    let lies: HashSet<&str> = Defect::all().into_iter().map(Defect::name).collect();
    assert_eq!(lies.len(), Defect::all().len());
    let choices: HashSet<&str> = Choices::each_alone().iter().map(|(name, _)| *name).collect();
    assert_eq!(choices.len(), Choices::each_alone().len());
}
