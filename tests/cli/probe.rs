//! `probe`: the numbers of a broker.

use mqtt_sessions::packet::Packet;
use mqtt_sessions::profile::{Measured, Profile, Quantity};
use serde_json::Value;

use crate::peers::{Untouched, assert_nothing_left, serve, url};
use crate::program::{Ended, QUEUED, end_of, program, run, signal};
use crate::proxy::{Fate, proxy};
use crate::started::{Files, LIE, RELAY};
use test_broker::keeping::{Full, Keeping};
use test_broker::{Broker, Choices, Defect};

/// A broker that keeps ten messages for a session.
fn keeps_ten() -> Broker {
    let keeping = Keeping { queue: Some((10, Full::DropsOldest)), ..Keeping::default() };
    Broker::choosing(Choices { keeping, ..Choices::default() })
}

fn probe(url: &str, options: &[&str]) -> Ended {
    run(program([&["probe", url, "--wait=1s"], options].concat()))
}

/// The line of a quantity, without the spaces.
#[track_caller]
fn line(ended: &Ended, title: &str) -> String {
    let line = ended.stdout.lines().find(|line| line.trim_start().starts_with(title));
    let line = line.unwrap_or_else(|| panic!("no {title} in: {}{}", ended.stdout, ended.stderr));
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A broker that answers CONNECT and nothing else would be waited for again and again.
#[test]
fn a_broker_that_passes_nothing_on() {
    let broker = proxy(&Broker::correct(), |_, packet| match packet {
        Packet::Connect(_) | Packet::Disconnect { .. } => Fate::Pass,
        _ => Fate::Swallow,
    });
    let ended = probe(&broker, &["--deadline=1s", "--connect-timeout=1s"]);
    ended.gave_up(2, &["nothing can be measured, since no message comes back", "mqtt-sessions doctor mqtt://"]);
}

#[test]
fn one_page_has_every_number_and_the_file_keeps_to_its_schema() {
    let broker = keeps_ten();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("profile.json");
    let ended = probe(&url(serve(&broker)), &["--export-json", file.to_str().unwrap()]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{}", ended.stdout);
    assert_eq!(line(&ended, "messages at QoS 1"), "messages at QoS 1 10");
    assert_eq!(line(&ended, "when it is full, it"), "when it is full, it drops the oldest");
    assert_eq!(line(&ended, "asked for 0 s"), "asked for 0 s 0 s 0 s");
    assert!(ended.stdout.lines().all(|line| line.chars().count() <= 80), "{}", ended.stdout);
    assert!(ended.stdout.ends_with("--details says how each number was found.\n"), "{}", ended.stdout);
    assert_nothing_left(&broker);

    let json: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let schema = serde_json::to_value(Profile::schema()).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let mistake = validator.iter_errors(&json).next();
    assert!(mistake.is_none(), "{}", mistake.unwrap());
    let profile: Profile = serde_json::from_value(json).unwrap();
    assert_eq!(profile.format, Profile::format());
    let found: Vec<Quantity> = profile.numbers.iter().map(|number| number.quantity).collect();
    assert_eq!(found, Quantity::ALL);
    assert_eq!(profile.number(Quantity::QueueQos1).unwrap().measured, Measured::Exactly { value: 10 });
    for quantity in Quantity::ALL {
        line(&ended, quantity.title());
    }
}

#[test]
fn each_number_says_how_it_was_found_and_a_large_budget_warns() {
    let mut wide = program(["probe", &url(serve(&keeps_ten())), "--wait=1s", "--budget=2", "--protocol=3.1.1"]);
    wide.env("COLUMNS", "160");
    let wide = run(wide);
    let how = "10 of 4,000 came, the first lost: message 1; then 10 of 10, 10 of 11, 10 of 30";
    assert!(line(&wide, "messages at QoS 1").contains(how), "{}", wide.stdout);
    assert!(!wide.stdout.contains("--details"), "{}", wide.stdout);
    let warning = "warning: up to 4,000 messages and 2,097,152 bytes will wait on the broker at once";
    assert!(wide.stderr.contains(warning), "{}", wide.stderr);
    assert_eq!(wide.code, Some(0), "{}", wide.stdout);
}

#[test]
fn what_cannot_be_measured_says_why() {
    // The broker takes no large messages, and says nothing of it; and a client that is silent stays.
    let deaf = proxy(&Broker::lying(Defect::IgnoresKeepAlive), |_, packet| match packet {
        Packet::Publish(publish) if publish.payload.len() > 1000 => Fate::Close,
        _ => Fate::Pass,
    });
    let ended = probe(&deaf, &["--deadline=2s", "--details"]);
    assert_eq!(ended.code, Some(3), "{}{}", ended.stdout, ended.stderr);
    let silent = line(&ended, "end of one silent");
    assert!(silent.starts_with("end of one silent, Keep Alive 2 not measured ("), "{silent}");
    assert!(line(&ended, "packet in 5.0").starts_with("packet in 5.0 1,0"), "{}", ended.stdout);
    assert!(line(&ended, "bytes of payload").starts_with("bytes of payload at least 1,0"), "{}", ended.stdout);
    assert!(ended.stdout.contains("2,000 of 2,000 with 512 bytes came"), "{}", ended.stdout);
}

/// What was found until then stays.
#[test]
fn a_broker_that_goes_meanwhile_ends_the_probe() {
    let connects = std::sync::atomic::AtomicU32::new(0);
    let dying = proxy(&keeps_ten(), move |_, packet| {
        let is_connect = matches!(packet, Packet::Connect(_));
        let count = connects.fetch_add(is_connect.into(), std::sync::atomic::Ordering::Relaxed);
        if count > 150 { Fate::Close } else { Fate::Pass }
    });
    let ended = probe(&dying, &["--deadline=1s", "--connect-timeout=1s"]);
    assert_eq!(ended.code, Some(3), "{}{}", ended.stdout, ended.stderr);
    assert_eq!(line(&ended, "messages at QoS 1"), "messages at QoS 1 10");
    assert!(ended.stdout.contains("not measured"), "{}", ended.stdout);
    let said = ended.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(said.matches("the broker is gone: ").count(), 1, "{}", ended.stdout);
}

#[test]
fn mistakes_are_told_before_the_broker_is_touched() {
    let untouched = Untouched::new();
    for (option, phrase) in [
        ("--budget=6", "6 is not in 1..=5"),
        ("--wait=0s", "it must be more than 0"),
        ("--protocol=4", "write 3.1.1 or 5.0"),
        ("--export-json=/nowhere/at/all.json", "give --export-json a file that you may write"),
    ] {
        let ended = run(program(["probe", &untouched.url(), option]));
        assert_eq!(ended.code, Some(2), "{}", ended.stdout);
        assert!(ended.stderr.contains(phrase), "{phrase}: {}", ended.stderr);
    }
    untouched.assert_untouched();
}

#[test]
fn a_version_that_is_not_spoken() {
    let old = Broker::choosing(Choices { refuse_v5: true, ..Choices::default() });
    let ended = run(program(["probe", &url(serve(&old)), "--protocol=5.0"]));
    ended.gave_up(2, &["does not speak MQTT 5.0", "leave --protocol out"]);
}

#[test]
fn an_interruption_leaves_nothing_and_says_what_it_has() {
    let broker = keeps_ten();
    let child = program(["probe", &url(serve(&broker)), "--wait=1h"]).spawn().unwrap();
    // The sessions whose lifetime is followed wait for a long time, and no others are so many.
    while broker.sessions().len() < 45 {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    signal(&child, "INT");
    let mut child = child;
    let stdout = crate::program::read_all(child.stdout.take());
    assert_eq!(end_of(&mut child).code(), Some(130));
    let stdout = stdout.join().unwrap();
    let said = stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(said.matches("the probe was interrupted").count(), 1, "{stdout}");
    assert!(said.contains("Not all was asked: the probe was interrupted"), "{stdout}");
    assert_nothing_left(&broker);
}

/// What a restart of a broker leaves is told, and only what comes again was kept.
#[test]
fn what_is_there_again_behind_a_restart() {
    let lasting = Broker::correct();
    let relays = format!("export {RELAY}={};", serve(&lasting));
    let lies = format!("if [ -e was_here ]; then export {LIE}=session-present-1; fi; touch was_here;");
    for (script, kept, how) in [
        ("", "gone", "neither is it said to be present, nor did its message come"),
        (relays.as_str(), "kept", "stopped and started: its message came"),
        (lies.as_str(), "gone", "it is said to be present, and its message did not come"),
    ] {
        let files = Files::broker(&format!("echo $$ >> ${{out}}/processes; {script}"));
        std::fs::create_dir_all(files.path("tmp")).unwrap();
        let broker = files.path("broker.toml").display().to_string();
        // A client of 5.0 leaves a broker that says of a new session that it is present.
        let mut command = program(["probe", &broker, "--wait=1s", "--protocol=3.1.1", "--details"]);
        command.env("TMPDIR", files.path("tmp"));
        let ended = run(command);
        assert_eq!(
            line(&ended, "behind a restart it is"),
            format!("behind a restart it is {kept}"),
            "{}",
            ended.stderr
        );
        assert_eq!(line(&ended, "behind a restart one is"), format!("behind a restart one is {kept}"));
        let said = ended.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(said.contains(how), "{how}: {}", ended.stdout);
        let outlives = if kept == "kept" { "outlives" } else { "does not outlive" };
        assert!(said.contains(&format!("What waits for a session {outlives} a restart of the broker.")), "{said}");
        let processes = std::fs::read_to_string(files.path("processes")).unwrap();
        assert_eq!(processes.lines().count(), 2, "it is stopped and started once: {processes}");
        files.nothing_is_left();
    }
    assert_nothing_left(&lasting);
}

/// Two profiles are files for `compare` and `report`, as results are.
#[test]
fn profiles_are_compared_and_set_side_by_side() {
    let folder = tempfile::tempdir().unwrap();
    let files = ["ten.json", "all.json"].map(|name| folder.path().join(name).display().to_string());
    for (file, broker) in files.iter().zip([keeps_ten(), Broker::correct()]) {
        let ended = probe(&url(serve(&broker)), &["--protocol=3.1.1", "--export-json", file]);
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    }
    let [ten, all] = &files;
    let same = run(program(["compare", ten, ten, "--fail-on=changed"]));
    assert_eq!((same.code, same.stdout.as_str()), (Some(0), "No number changed.\n"), "{}", same.stderr);
    let compared = run(program(["compare", ten, all]));
    let said = compared.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(said.contains("The queue of a session that is away: messages at QoS 1: 10 -> at least 2,000"), "{said}");
    assert_eq!(compared.code, Some(0));
    assert_eq!(run(program(["compare", ten, all, "--fail-on=changed"])).code, Some(1));
    let page = run(program(["report", ten, all]));
    assert!(page.stdout.contains("\n| messages at QoS 1 | 10 | at least 2,000 |\n"), "{}", page.stdout);
    let html = folder.path().join("page.html").display().to_string();
    let why = "--export-html makes a page of results files or of storms, and these are profiles; leave it out, or give results files";
    run(program(["report", ten, "--export-html", &html])).gave_up(2, &[why]);

    let results = folder.path().join("results.json").display().to_string();
    let broker = url(serve(&keeps_ten()));
    run(program([&["matrix", &broker, "--export-json", &results], &QUEUED[..]].concat()));
    for arguments in [["compare", ten.as_str(), results.as_str()], ["report", ten, &results]] {
        run(program(arguments)).gave_up(2, &["ten.json is not a results file", "mqtt-sessions-profile"]);
    }
    let cut = std::fs::read_to_string(ten).unwrap().replace("\"wait_s\"", "\"wait\"");
    std::fs::write(ten, &cut).unwrap();
    run(program(["report", ten]))
        .gave_up(2, &["ten.json is not a whole profile: missing field `wait_s`", "write one with"]);
    std::fs::write(ten, cut.replace("\"major\": 1", "\"major\": 9")).unwrap();
    run(program(["report", ten])).gave_up(2, &["ten.json is a profile of format 9.2, and this version reads 1.x"]);
}

/// The measured limit stands in the place of one that is declared.
#[test]
fn a_matrix_takes_over_the_queue_limit() {
    let wide = |broker: &Broker| {
        let url = url(serve(broker));
        let options = ["--queue-limit=probe", "--messages=30", "--export-json=-"];
        run(program([&["matrix", &url], &options[..], &QUEUED].concat()))
    };
    let broker = keeps_ten();
    let ended = wide(&broker);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("queue limit: 10 messages: 10 of 2,000 came"), "{}", ended.stderr);
    assert_eq!(ended.results().options.queue_limit, Some(10));
    assert_nothing_left(&broker);
    let ended = wide(&Broker::correct());
    assert!(ended.stderr.contains("queue limit: none was reached: all of 2,000 came"), "{}", ended.stderr);
    assert_eq!((ended.code, ended.results().options.queue_limit), (Some(0), None));
    let unsteady = run(program(["matrix", &url(serve(&Broker::lying(Defect::LosesFirst))), "--queue-limit=probe"]));
    unsteady.gave_up(2, &["the queue limit cannot be taken over (unstable: ", "give it as --queue-limit N"]);
    let planned =
        "--queue-limit probe measures the broker first, as matrix and run do; give the number of messages here";
    run(program(["list", "matrix", "--queue-limit=probe"])).gave_up(2, &[planned]);
}
