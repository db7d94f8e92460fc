//! One cell, explained: the exchange, the obligations and what became of them, of brokers that are right and of liars.

mod made_up;

use made_up::results;
use mqtt_sessions::history::Event;
use mqtt_sessions::judge::{self, Duty, Obligation, Outcome as Became};
use mqtt_sessions::plan::{Action, Cell, Settings, Step, cells};
use mqtt_sessions::report::{self, Detail, Explained, Palette};
use mqtt_sessions::results::{BrokerLabel, CellResult, CellRun, Options, Results, Verdict};
use mqtt_sessions::run::Outcome;
use mqtt_sessions::scenario::Scenario;
use test_broker::measured::run_cells;
use test_broker::{Broker, Defect};

const OPTIONS: Options = Options { messages: 3, queue_limit: None, durable: None };

/// A cell of the matrix in which three messages are queued.
const QUEUED: &str =
    "matrix[protocol=3.1.1,clean_session=false,publish_qos=1,subscribe_qos=1,retain=false,resubscribe=false]";

/// Runs a scenario against the broker.
fn run(broker: &Broker, scenario: &str) -> Outcome {
    let settings = Settings { messages: OPTIONS.messages, declared: OPTIONS.declared() };
    run_cells(broker, cells(&Scenario::load(scenario).unwrap(), settings))
}

fn cell<'a>(outcome: &'a Outcome, id: &str) -> &'a CellResult {
    outcome.cells.iter().find(|cell| cell.id == id).unwrap()
}

fn obligations(run: &CellRun) -> Vec<Obligation> {
    let attempts = judge::attempts(run, &OPTIONS).unwrap();
    attempts.into_iter().flat_map(|attempt| attempt.obligations).collect()
}

fn explained(cell: &CellResult, run: &CellRun) -> String {
    let results = Results {
        broker: BrokerLabel { name: Some("test".into()), version: None, how: "url".into() },
        ..results(Vec::new())
    };
    let attempts = judge::attempts(run, &results.options).unwrap();
    let question = Some("What arrives?");
    let explained =
        Explained { results: &results, cell, run, question, attempts: &attempts, detail: Detail::default() };
    report::explain(&explained, Palette::Plain)
}

/// A cell of the outcome, explained.
fn of(outcome: &Outcome, id: &str) -> String {
    explained(cell(outcome, id), &outcome.runs[id])
}

#[track_caller]
fn says(text: &str, phrases: &[&str]) {
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let unwrapped = words(text);
    for phrase in phrases {
        assert!(unwrapped.contains(&words(phrase)), "\"{phrase}\" is missing in:\n{text}");
    }
}

#[test]
fn what_a_correct_broker_owes_it_gives() {
    for name in Scenario::built_in_names() {
        let outcome = run(&Broker::correct(), name);
        for cell in outcome.cells.iter().filter(|cell| cell.verdict == Verdict::Pass) {
            let run = &outcome.runs[&cell.id];
            for obligation in obligations(run) {
                assert!(!matches!(obligation.outcome, Became::Broken(_)), "{}: {obligation:?}", cell.id);
            }
            let text = explained(cell, run);
            let too_wide = text.lines().find(|line| line.chars().count() > 100 && !line.contains(&cell.id));
            assert_eq!(too_wide, None, "{}", cell.id);
            assert!(!text.contains("What was owed and did not come\n        broken"), "{text}");
        }
    }
}

#[test]
fn every_event_stands_there_under_the_number_that_evidence_cites() {
    let outcome = run(&Broker::correct(), "matrix");
    let text = of(&outcome, QUEUED);
    let history = outcome.runs[QUEUED].attempts[0].parsed().unwrap();
    for (number, entry) in (1..).zip(&history.entries) {
        let is_heading = matches!(entry.event, Event::Step(_));
        let time = entry.time.map(|time| format!("{time} ")).unwrap_or_default();
        let client = entry.event.client().map(|client| client.to_string()).unwrap_or_default();
        let connection = entry.connection.map(|connection| format!("#{connection} ")).unwrap_or_default();
        let head = format!("{number:>5}  ");
        let shown = text.lines().find(|line| line.starts_with(&head)).map(|line| line[head.len()..].trim_start());
        assert_eq!(shown.is_some(), !is_heading, "{entry}\n{text}");
        let shown = shown.unwrap_or_default();
        assert!(is_heading || shown.starts_with(&format!("{time}{client}{connection}")), "{entry}\n{shown}");
    }
}

#[test]
fn the_names_on_the_wire_are_those_of_the_attempt() {
    let outcome = run(&Broker::correct(), "matrix");
    let names = &outcome.runs[QUEUED].names;
    assert_eq!(*names, outcome.runs[QUEUED].attempts[0].names);
    let known: Vec<&str> = names.keys().map(String::as_str).collect();
    assert_eq!(known, ["publisher", "subscriber", "t", "witness"]);
    let (client_id, topic) = (&names["subscriber"], &names["t"]);
    assert!(client_id.starts_with("mstester") && topic.starts_with("mstester/") && topic.ends_with("/t"), "{names:?}");
    says(
        &of(&outcome, QUEUED),
        &[&format!(
            "Names on the wire publisher {} subscriber {client_id} t {topic} witness {}",
            names["publisher"], names["witness"]
        )],
    );
}

/// Each attempt publishes m1 anew.
#[test]
fn what_an_earlier_attempt_delivered_is_not_had_before() {
    let outcome = run(&Broker::correct(), "matrix");
    let mut run = outcome.runs[QUEUED].clone();
    run.attempts.push(run.attempts[0].clone());
    let text = explained(cell(&outcome, QUEUED), &run);
    assert!(text.contains("attempt 2 of 2"), "{text}");
    assert!(!text.contains("This client has had it before"), "{text}");
}

#[test]
fn a_client_identifier_that_the_broker_assigned_has_its_name() {
    let outcome = run(&Broker::correct(), "tutorial");
    let id = "tutorial[lesson=empty_id_clean,protocol=5.0]";
    let run = outcome.runs.get(id).unwrap_or_else(|| panic!("{:?}", outcome.runs.keys()));
    assert!(run.attempts[0].history.iter().any(|line| line.contains("assigned_client_id=assigned1")));
    assert!(run.names.get("assigned1").is_some_and(|id| !id.is_empty()), "{:?}", run.names);
}

#[test]
fn a_kept_session_and_its_messages() {
    says(
        &of(&run(&Broker::correct(), "matrix"), QUEUED),
        &[
            "Measured: test at mqtt://127.0.0.1:1883",
            "1 connect subscriber",
            "A session is asked for, to go on with or to begin, and to be kept.",
            "owes Session Present 0 to subscriber: this client identifier has no session (MQTT-3.2.2-3)",
            "A loop-back:",
            "The witness, an always-online client of the tool at QoS 0, has it",
            "m1 is accepted: from here on it is the broker's.",
            "owes m1 to subscriber at QoS 1: stored while it is away (MQTT-3.1.2-5)",
            "owes Session Present 1 to subscriber: its session of the connection before goes on",
            "met m3, owed since",
            "A fence: sent after everything else.",
            "pass: as the standard orders",
            &format!("Repeat with mqtt-sessions explain '{QUEUED}' --broker mqtt://127.0.0.1:1883"),
        ],
    );
}

#[test]
fn what_is_owed_to_nobody() {
    let outcome = run(&Broker::correct(), "matrix");
    let clean = of(&outcome, &QUEUED.replace("clean_session=false", "clean_session=true"));
    says(&clean, &["owes nothing more to subscriber: the session was discarded at the end of its connection"]);
    assert!(!clean.contains("owes    m1"), "{clean}");
    let at_qos_0 = of(&outcome, &QUEUED.replace("publish_qos=1", "publish_qos=0"));
    says(&at_qos_0, &["may keep for subscriber: it has QoS 0 for this session, and the client is away: m1"]);
}

#[test]
fn a_lost_message_is_a_broken_obligation() {
    let outcome = run(&Broker::lying(Defect::QueuesNothing), "matrix");
    assert_eq!(cell(&outcome, QUEUED).verdict, Verdict::Fail);
    let broken: Vec<String> = obligations(&outcome.runs[QUEUED])
        .into_iter()
        .filter(|obligation| obligation.duty == Duty::Must && obligation.outcome == Became::Broken(None))
        .map(|obligation| format!("{} {}", obligation.what, obligation.statement.unwrap()))
        .collect();
    assert_eq!(broken[..3], ["m1 MQTT-3.1.2-5", "m2 MQTT-3.1.2-5", "m3 MQTT-3.1.2-5"]);
    says(
        &of(&outcome, QUEUED),
        &[
            "What was owed and did not come broken m1 to subscriber at QoS 1: stored while it is away, owed since",
            "(MQTT-3.1.2-5: While a client with Clean Session 0 is away, store the QoS 1 and QoS 2 messages",
            "✗ fail: 1 statement broken Cited MQTT-3.1.2-5 (MQTT 3.1.1, MUST)",
            "Expected 3 of 3 accepted messages",
            "Observed 3 missing: m1, m2, m3",
        ],
    );
}

#[test]
fn a_wrong_session_present_is_broken_where_it_stands() {
    let outcome = run(&Broker::lying(Defect::SessionPresent0), "matrix");
    let obligations = obligations(&outcome.runs[QUEUED]);
    let broken = obligations.into_iter().find(|obligation| matches!(obligation.outcome, Became::Broken(_)));
    assert_eq!(broken.unwrap().what, "Session Present 1");
    says(&of(&outcome, QUEUED), &["broken Session Present 1 to subscriber: the broker has its session"]);
}

/// Steps by the names of their clients. A client without a step is not in the file, so that others change their places.
fn steps(cell: &Cell) -> Vec<(String, Action)> {
    let acts = |client: usize| {
        let stays = |step: &Step| matches!(step.action, Action::Race { stays, .. } if stays == client);
        let is_own = |step: &Step| step.client == client && !step.action.verb().is_of_broker();
        cell.steps.iter().any(|step| is_own(step) || stays(step))
    };
    let place = |client: &mut usize| *client = (0..*client).filter(|other| acts(*other)).count();
    let actor = |step: &Step| match step.action.verb().is_of_broker() {
        true => "broker".to_owned(),
        false => cell.clients[step.client].name.clone(),
    };
    let mut steps: Vec<(String, Action)> = cell.steps.iter().map(|step| (actor(step), step.action.clone())).collect();
    for (_, action) in &mut steps {
        match action {
            Action::Subscribe { loop_backs: sources, .. } | Action::Receive { fences: sources, .. } => {
                sources.iter_mut().for_each(|source| place(&mut source.publisher));
            }
            Action::Race { stays, .. } => place(stays),
            _ => {}
        }
    }
    steps
}

#[test]
fn every_cell_can_be_written_as_a_scenario_of_its_own() {
    let settings = Settings::of(3);
    for name in Scenario::built_in_names() {
        let scenario = Scenario::load(name).unwrap();
        for cell in cells(&scenario, settings) {
            let text = scenario.written_for(&cell.axes, settings.messages, &cell.id);
            let again =
                Scenario::parse("written.toml", &text).unwrap_or_else(|why| panic!("{}: {why}\n{text}", cell.id));
            assert_eq!(
                (again.name.as_str(), again.question.as_str()),
                (scenario.name.as_str(), scenario.question_of(&cell.axes))
            );
            // What is written out depends on no option.
            let [planned] = &cells(&again, Settings::of(9))[..] else { panic!("{text}") };
            assert_eq!(steps(planned), steps(&cell), "{}\n{text}", cell.id);
        }
    }
}
