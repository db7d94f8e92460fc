//! `storm` from outside: one message in 10,000 that is lost, brokers that refuse or die, and what is said before anything begins.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use mqtt_sessions::connection::encode::encode;
use mqtt_sessions::packet::{AckKind, Packet, Protocol};
use mqtt_sessions::storm::{Finding, StormFile};
use serde_json::Value;

use crate::peers::{answering, assert_nothing_left, correct, serve, url};
use crate::program::{Ended, end_of, program, run, signal};
use crate::proxy::{Afterwards, Fate, proxy_by_client};
use test_broker::{Broker, Defect};

fn storm(url: &str, arguments: &[&str]) -> Ended {
    let mut command = program(["storm", "--broker", url, "--patience=5s", "--settle=300ms"]);
    command.args(arguments);
    run(command)
}

fn of(ended: &Ended) -> StormFile {
    serde_json::from_str(&ended.stdout).unwrap_or_else(|why| panic!("{why}: {ended:?}"))
}

/// The URL of a broker that acknowledges the n-th message, and loses it.
fn losing(broker: &Broker, nth: u64) -> String {
    let count = AtomicU64::new(0);
    proxy_by_client(broker, move |connect, packet| match packet {
        Packet::Publish(publish) if publish.qos == 1 && count.fetch_add(1, SeqCst) + 1 == nth => {
            let mut puback = Vec::new();
            encode(connect.protocol, &Packet::ack(AckKind::Puback, publish.id), &mut puback).unwrap();
            Fate::Answer(puback)
        }
        _ => Fate::Pass,
    })
}

#[test]
fn one_message_in_10_000_that_is_lost_is_found() {
    let broker = Broker::correct();
    let folder = tempfile::tempdir().unwrap();
    let save = folder.path().join("found").display().to_string();
    // Each connection has threads of the proxy's.
    let many = ["--sessions=100", "--messages=100", "--size=0", "--export-json=-", "--save", &save];
    let ended = storm(&losing(&broker, 7_777), &many);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let file = of(&ended);
    let ledger = &file.ledger;
    assert_eq!((ledger.accepted, ledger.delivered, ledger.lost, ledger.lost_in_sessions), (10_000, 9_999, 1, 1));
    assert_eq!(file.findings.len(), 1);
    assert_eq!(file.findings[0].violation.statement, "MQTT-4.5.0-1");
    assert_nothing_left(&broker);
    // What is kept can be judged again, and played again.
    let deviant = &file.run.deviants[0];
    let history = format!("{save}/session-{}.txt", deviant.session);
    let judged = run(program(["judge", &history]));
    assert_eq!(judged.code, Some(1), "{judged:?}");
    assert!(judged.stdout.contains("MQTT-4.5.0-1"), "{}", judged.stdout);
    assert_eq!(run(program(["run", &format!("{save}/storm.toml"), "--broker", &correct()])).code, Some(0));
    // Through the same proxy all comes that is not lost.
    let ended = storm(&losing(&broker, 1_001), &["--sessions=100", "--export-json=-"]);
    assert_eq!((ended.code, of(&ended).ledger.lost), (Some(0), 0), "{}", ended.stderr);
}

#[test]
fn a_storm_tells_how_it_went() {
    let broker = Broker::correct();
    let ended = storm(&url(serve(&broker)), &["--sessions=200", "-V", "3.1.1", "--qos=2"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    for phrase in [
        "A storm of 200 sessions of MQTT 3.1.1, each with 10 messages of 100 bytes at QoS",
        "2,000 of 2,000 messages were accepted; 2,000 came to 200 of 200 sessions\n  0 lost\n  0 more than once\n",
        "return: all is answered",
        "The return, ",
        "✓ pass",
    ] {
        assert!(ended.stdout.contains(phrase), "no \"{phrase}\" in {}", ended.stdout);
    }
    assert!(ended.stderr.contains(": if this storm is killed, `mqtt-sessions clean --broker "), "{}", ended.stderr);
    assert_nothing_left(&broker);
}

#[test]
fn a_broker_that_dies_in_the_middle_leaves_an_account() {
    for nth in [150, 1_200, 2_150] {
        let count = AtomicU64::new(0);
        let dying = proxy_by_client(&Broker::correct(), move |_, packet| {
            let counts = matches!(packet, Packet::Connect(_) | Packet::Publish(_));
            match counts && count.fetch_add(1, SeqCst) + 1 == nth {
                true => Fate::Die(Afterwards::Refuse),
                false => Fate::Pass,
            }
        });
        let ended = storm(&dying, &["--sessions=200", "--deadline=1s", "--export-json=-"]);
        assert_eq!(ended.code, Some(3), "{nth}: {}", ended.stderr);
        let file = of(&ended);
        assert!(file.findings.is_empty(), "{nth}: {:?}", file.findings);
        let said = file.limits.join("; ");
        assert!(said.contains("the storm could not go on: ") && said.contains("; until then "), "{nth}: {said}");
        assert!(said.contains(" of 200 sessions were parked, "), "{nth}: {said}");
        assert!(ended.stderr.contains("may be left"), "{nth}: {}", ended.stderr);
    }
}

/// As a broker does that is started again; one that keeps nothing would have lost all sessions.
#[test]
fn a_broker_that_ends_the_connection_of_a_publisher_is_not_accused() {
    let count = AtomicU64::new(0);
    let restarting =
        proxy_by_client(&Broker::lying(Defect::named("loses-last").unwrap()), move |_, packet| match packet {
            Packet::Publish(publish) if publish.qos == 1 && count.fetch_add(1, SeqCst) == 100 => Fate::Close,
            _ => Fate::Pass,
        });
    let ended = storm(&restarting, &["--sessions=40", "--export-json=-"]);
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    let said = of(&ended).limits.join("; ");
    for phrase in [
        "the broker ended the connection of a publisher that had nothing to do with that, so it may have been started again",
        "messages were not acknowledged: the broker ended the connection of a publisher",
    ] {
        assert!(said.contains(phrase), "no \"{phrase}\" in {said}");
    }
}

#[test]
fn a_broker_that_refuses_leaves_an_account() {
    // Quota exceeded, for each session beyond the hundredth, whenever it asks.
    let full = proxy_by_client(&Broker::correct(), move |_, packet| match packet {
        Packet::Connect(connect)
            if connect.protocol == Protocol::V5 && !connect.clean && connect.session_expiry != Some(0) =>
        {
            let is_beyond = connect.client_id.bytes().map(u32::from).sum::<u32>() % 2 == 0;
            if is_beyond { Fate::Answer(vec![0x20, 3, 0, 0x97, 0]) } else { Fate::Pass }
        }
        _ => Fate::Pass,
    });
    let ended = storm(&full, &["--sessions=30", "--export-json=-"]);
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    let file = of(&ended);
    assert!(file.ledger.parked < 30 && file.ledger.complete == file.ledger.parked, "{:?}", file.ledger);
    let said = file.limits.join("; ");
    assert!(said.contains("the broker did not take") && said.contains("0x97"), "{said}");
    // A PUBACK with Quota exceeded: what was refused is not owed.
    let quota = proxy_by_client(&Broker::correct(), move |_, packet| match packet {
        Packet::Publish(publish) if publish.qos == 1 && publish.id.is_multiple_of(5) => {
            let [high, low] = publish.id.to_be_bytes();
            Fate::Answer(vec![0x40, 3, high, low, 0x97])
        }
        _ => Fate::Pass,
    });
    let ended = storm(&quota, &["--sessions=20", "-V=5.0", "--export-json=-"]);
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    let file = of(&ended);
    assert_eq!((file.ledger.refused, file.ledger.lost, file.findings.len()), (40, 0, 0), "{:?}", file.limits);
    assert!(file.limits.join("").contains("40 messages were refused: the broker refused messages with PUBACK 0x97"));
}

#[test]
fn too_much_is_refused_before_it_begins() {
    let url = correct();
    storm(&url, &["--sessions=1001"])
        .gave_up(2, &["1,001 sessions with 10,010 messages are more than 1,000 with 10,000", "add --yes"]);
    storm(&url, &["--messages=11"]).gave_up(2, &["which any broker bears; add --yes if this one may be hurt"]);
    for (slip, said) in [("--qos=0", "0 is not in 1..=2"), ("--start-at=tomorrow", "write 2030-01-02T03:04:05Z")] {
        let ended = storm(&url, &[slip]);
        assert!(ended.code == Some(2) && ended.stderr.contains(said), "{ended:?}");
    }
    storm(&url, &["--sessions=10000000", "--yes"]).gave_up(2, &["this machine cannot do that: 10000160 connections"]);
    storm(&answering(b"HTTP/1.1 400\r\n\r\n", true), &[]).gave_up(2, &["an HTTP server answers there"]);
    let elsewhere = storm(&url, &["--source=192.0.2.1", "--sessions=3", "--deadline=1s"]);
    assert_eq!(elsewhere.code, Some(3), "{elsewhere:?}");
    let file = tempfile::NamedTempFile::new().unwrap();
    storm(&url, &["--save", file.path().to_str().unwrap()])
        .gave_up(2, &["cannot make the folder", "give --save another one"]);
}

#[test]
fn a_late_start_is_said_and_a_signal_ends_it_all() {
    let broker = Broker::correct();
    let ended = storm(&url(serve(&broker)), &["--sessions=10", "--start-at=2020-01-01T00:00:00Z"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stderr.contains("the storm was not ready at --start-at, and returns "), "{}", ended.stderr);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("storm.json");
    let url = url(serve(&broker));
    let waiting = || {
        let mut command = program(["storm", "--broker", &url, "--sessions=50", "--away=1h", "--prefix=waiting"]);
        let child = command.arg("--export-json").arg(&file).spawn().unwrap();
        while broker.sessions().len() < 50 {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        child
    };
    let mut child = waiting();
    signal(&child, "INT");
    assert_eq!(end_of(&mut child).code(), Some(130));
    assert_nothing_left(&broker);
    let said = fs::read_to_string(&file).unwrap();
    assert!(said.contains("interrupted; until then ") && said.contains(" of 50 sessions were parked, "), "{said}");
    let mut child = waiting();
    child.kill().unwrap();
    child.wait().unwrap();
    let cleaned = run(program(["clean", "--broker", &url, "--prefix=waiting", "--storm=50"]));
    assert_eq!(cleaned.code, Some(0), "{cleaned:?}");
    assert_nothing_left(&broker);
}

/// Nobody waited for what would have come next.
#[test]
fn what_a_signal_cut_short_is_held_against_nobody() {
    let broker = Broker::correct();
    let pubrecs = Arc::new(AtomicU64::new(0));
    let counted = pubrecs.clone();
    let url = proxy_by_client(&broker, move |_, packet| match packet {
        Packet::Ack(ack) if ack.kind == AckKind::Pubrec => {
            counted.fetch_add(1, SeqCst);
            Fate::Swallow
        }
        _ => Fate::Pass,
    });
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("storm.json");
    let mut command = program(["storm", "--broker", &url, "--sessions=5", "--qos=2", "--settle=30s", "--patience=60s"]);
    let mut child = command.arg("--export-json").arg(&file).spawn().unwrap();
    while pubrecs.load(SeqCst) < 50 {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    signal(&child, "INT");
    assert_eq!(end_of(&mut child).code(), Some(130));
    let said: StormFile = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    assert!(said.findings.is_empty(), "{:?}", said.findings);
    assert_nothing_left(&broker);
    // A storm to its end does not pass, although nothing shows that the broker has read PUBREC.
    let ended = storm(&url, &["--sessions=5", "--qos=2", "--export-json=-"]);
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    let said = of(&ended).limits.join("; ");
    assert!(said.contains("messages came without their PUBREL, and nothing shows that it will not come"), "{said}");
}

#[test]
fn a_publisher_that_gets_garbage_says_so() {
    let garbage = proxy_by_client(&Broker::correct(), move |_, packet| match packet {
        Packet::Publish(publish) if publish.qos == 1 && publish.id == 30 => Fate::Answer(vec![0x40, 0]),
        _ => Fate::Pass,
    });
    let ended = storm(&garbage, &["--sessions=20", "--export-json=-"]);
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    let said = of(&ended).limits.join("; ");
    assert!(
        said.starts_with("the storm could not go on: the broker sent a publisher what is no packet of MQTT"),
        "{said}"
    );
}

#[test]
fn two_storms_are_compared() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let broker = Broker::correct();
    let save = |url: &str, name: &str, more: &[&str]| {
        storm(url, &[&["--sessions=20", "--export-json", &path(name)], more].concat())
    };
    assert_eq!(save(&url(serve(&broker)), "good.json", &[]).code, Some(0));
    let lying = Broker::lying(Defect::named("loses-last").unwrap());
    assert_eq!(save(&url(serve(&lying)), "bad.json", &[]).code, Some(1));
    assert_eq!(save(&url(serve(&broker)), "other.json", &["--messages=3"]).code, Some(0));
    let compare = |one: &str, two: &str| run(program(["compare", &path(one), &path(two)]));
    let worse = compare("good.json", "bad.json");
    assert_eq!(worse.code, Some(1), "{worse:?}");
    assert!(
        worse.stdout.contains("verdict: fail, was pass") && worse.stdout.contains("messages lost: 20, was 0"),
        "{}",
        worse.stdout
    );
    let better = compare("bad.json", "good.json");
    assert_eq!(better.code, Some(0), "{better:?}");
    assert!(better.stdout.contains("no longer broken: MQTT-"), "{}", better.stdout);
    assert!(compare("good.json", "good.json").stdout.starts_with("the same verdict\n"));
    compare("good.json", "other.json").gave_up(2, &["--messages was 10, and is 3; make the second one like the first"]);
    let mut value: Value = serde_json::from_str(&fs::read_to_string(path("good.json")).unwrap()).unwrap();
    value["format"]["major"] = 9.into();
    fs::write(path("new.json"), value.to_string()).unwrap();
    compare("new.json", "good.json")
        .gave_up(2, &["is a storm of format 9.0, and this version reads 1.x; write it anew"]);
    value["format"]["major"] = 1.into();
    value.as_object_mut().unwrap().remove("ledger");
    fs::write(path("cut.json"), value.to_string()).unwrap();
    compare("cut.json", "good.json")
        .gave_up(2, &["is not a whole storm: missing field `ledger`", "mqtt-sessions storm --export-json"]);
}

/// What would leave the element or the attribute in which it stands.
const HOSTILE: &str = r#"</style><script>alert(1)</script><img src=x onerror='alert(1)'>"&lt;"#;

#[test]
fn storms_are_shown_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (good, bad) = (path("good.json"), path("bad.json"));
    let told = storm(&correct(), &["--sessions=20", "--export-json", &good]);
    assert_eq!(told.code, Some(0), "{told:?}");
    let lying = Broker::lying(Defect::named("loses-last").unwrap());
    assert_eq!(storm(&url(serve(&lying)), &["--sessions=20", "--export-json", &bad]).code, Some(1));
    // In the terminal as it was told.
    let again = run(program(["report", &good]));
    assert_eq!((again.code, &again.stdout), (Some(0), &told.stdout), "{again:?}");
    let both = run(program(["report", &good, &bad])).stdout;
    assert!(both.starts_with(&told.stdout) && both.contains("\n✗ fail\n"), "{both}");
    // In a browser.
    let mut value: Value = serde_json::from_str(&fs::read_to_string(&bad).unwrap()).unwrap();
    value["broker"]["name"] = HOSTILE.into();
    value["limits"] = vec![HOSTILE].into();
    value["run"]["prefix"] = HOSTILE.into();
    value["findings"][0]["observed"] = HOSTILE.into();
    value["findings"][0]["statement"] = HOSTILE.into();
    let hostile = path("hostile.json");
    fs::write(&hostile, value.to_string()).unwrap();
    let ended = run(program(["report", &good, &bad, &hostile, "--export-html=-"]));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let page = ended.stdout;
    for (part, count) in [
        ("<section id=\"storm-", 3),
        ("<svg class=\"return\"", 3),
        ("<polyline class=\"curve drained\" points=\"40.0,190.0 ", 3),
        ("<a href=\"#storm-2\">", 1),
        ("<p>200 of 200 messages were accepted; 180 came to 20 of 20 sessions</p>", 2),
        ("<li>20 lost, in 20 sessions</li>", 2),
        ("<b>MUST</b> in 20 sessions", 2),
        (">MQTT-4.5.0-1</a>", 1),
        ("return: to the last message</th>", 3),
        ("<script", 0),
        ("<img", 0),
    ] {
        assert_eq!(page.matches(part).count(), count, "{part} in {page}");
    }
    assert!(page.contains("content=\"default-src &#39;none&#39;; style-src &#39;sha256-"), "{page}");
    // What a page cannot be made of.
    run(program(["report", &good, "--export-markdown=-"])).gave_up(
        2,
        &[
            "--export-markdown makes a page of results files or of profiles, and these are storms",
            "leave it out, or give --export-html",
        ],
    );
    run(program(["report", &good, "results/nats-2.15.1.json"]))
        .gave_up(2, &["good.json is not a results file", "mqtt-sessions-storm"]);
}

#[test]
fn the_parts_of_a_storm_are_the_whole_storm() {
    let broker = Broker::correct();
    let lying = Broker::lying(Defect::named("loses-last").unwrap());
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    for (broker, code, lost) in [(&broker, 0, 0), (&lying, 1, 60)] {
        let url = url(serve(broker));
        let files: Vec<String> = (1..=3).map(|part| path(&format!("{part}.json"))).collect();
        for (part, file) in (1..).zip(&files) {
            let partition = format!("--partition=hash:{part}/3");
            let ended = storm(&url, &["--sessions=60", &partition, "--prefix=shared", "--export-json", file]);
            assert_eq!(ended.code, Some(code), "{ended:?}");
            let file: StormFile = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
            assert_eq!((file.options.sessions, file.run.prefix), (60, format!("sharedp{part}p")));
        }
        let merge = |files: &[String], more: &[&str]| {
            let files: Vec<&str> = files.iter().map(String::as_str).collect();
            run(program([&["merge"], &files[..], more].concat()))
        };
        let merged = merge(&files, &["--export-json=-"]);
        assert_eq!(merged.code, Some(code), "{merged:?}");
        let merged = of(&merged);
        let whole = storm(&url, &["--sessions=60", "--export-json=-"]);
        assert_eq!(whole.code, Some(code), "{whole:?}");
        let whole = of(&whole);
        assert_eq!((merged.ledger.lost, &merged.ledger), (lost, &whole.ledger));
        let told = |file: &StormFile| {
            let of = |own: &Finding| (own.violation.statement.clone(), own.violation.expected.clone(), own.sessions);
            (file.options.clone(), file.verdict, file.findings.iter().map(of).collect::<Vec<_>>())
        };
        assert_eq!(told(&merged), told(&whole));
        assert_eq!(merged.run.prefix, "sharedp1p sharedp2p sharedp3p");
        let last = merged.run.timeline.last().unwrap();
        assert_eq!((last.returned, last.messages), (60, 600 - lost));
        assert!(merge(&files, &[]).stdout.contains("A storm of 60 sessions of MQTT 5.0"));
        // What is not all of one storm.
        merge(&files[..2], &[]).gave_up(2, &["of 3 parts there is no 3; give their files too"]);
        merge(&[&files[..], &files[..1]].concat(), &[]).gave_up(2, &["are both part 1; give each part once"]);
        let other = path("other.json");
        let arguments = ["--sessions=60", "--messages=3", "--partition=hash:3/3", "--export-json", &other];
        assert_eq!(storm(&url, &arguments).code, Some(code));
        merge(&[files[0].clone(), files[1].clone(), other], &[])
            .gave_up(2, &["are of different runs: --messages is 10, and 3; give the parts of one run"]);
        merge(&files, &["--export-junit=-"]).gave_up(2, &["of a storm there is no JUnit, no Markdown and no capture"]);
        assert_nothing_left(broker);
    }
}
