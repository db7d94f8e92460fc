use super::*;

const SETTINGS: Settings =
    Settings { messages: 3, declared: Declared { queue_limit: Some(100), durable: Some(Ending::Stop) } };

fn subscribe(qos: u8, loop_backs: Vec<Source>) -> Action {
    Action::Subscribe { filters: vec![packet::Filter::new("t", qos)], identifier: None, loop_backs }
}

fn receive(fences: Vec<Source>, last: bool) -> Action {
    Action::Receive { answers: Answers::All, until: None, fences, last }
}

fn matrix_cell(id: &str) -> Cell {
    let cells = cells(&Scenario::load("matrix").unwrap(), SETTINGS);
    cells.into_iter().find(|cell| cell.id == id).unwrap()
}

fn lines(cell: &Cell) -> Vec<String> {
    (0..cell.steps.len()).map(|index| cell.step_line(index)).collect()
}

#[test]
fn the_last_axis_is_the_fastest() {
    let cells = cells(&Scenario::load("backlog").unwrap(), SETTINGS);
    let ids: Vec<&str> = cells.iter().map(|cell| cell.id.as_str()).collect();
    assert_eq!(ids.len(), 8);
    assert_eq!(ids[0], "backlog[protocol=3.1.1,publish_qos=1,subscribe_qos=1]");
    assert_eq!(ids[1], "backlog[protocol=3.1.1,publish_qos=1,subscribe_qos=2]");
    assert_eq!(ids[2], "backlog[protocol=3.1.1,publish_qos=2,subscribe_qos=1]");
    assert_eq!(ids[7], "backlog[protocol=5.0,publish_qos=2,subscribe_qos=2]");
}

#[test]
fn a_cell_of_the_matrix_has_its_values_and_its_proofs() {
    let cell = matrix_cell(
        "matrix[protocol=5.0,clean_session=false,publish_qos=1,subscribe_qos=2,retain=true,resubscribe=true]",
    );
    let subscriber = Client { name: "subscriber".into(), protocol: Protocol::V5, client_id: Some(0), id_bytes: 0 };
    let publisher = Client { name: "publisher".into(), protocol: Protocol::V5, client_id: Some(1), id_bytes: 0 };
    assert_eq!(cell.clients, [subscriber, publisher]);
    assert_eq!(cell.declared, SETTINGS.declared);
    assert_eq!(lines(&cell)[2..5], ["3 subscribe subscriber", "4 disconnect subscriber", "5 publish publisher"]);

    let source = vec![Source { publisher: 1, topic: "t".into(), qos: 1 }];
    let actions: Vec<&Action> = cell.steps.iter().map(|step| &step.action).collect();
    assert_eq!(*actions[2], subscribe(2, source.clone()));
    assert_eq!(
        *actions[4],
        Action::Publish(Publication { topic: "t".into(), qos: 1, retain: true, messages: 3, ..Publication::default() })
    );
    assert_eq!(*actions[6], receive(source.clone(), false));
    assert_eq!(*actions[7], subscribe(2, vec![]));
    assert_eq!(*actions[8], receive(source.clone(), true));
    assert_eq!(*actions[11], receive(source, true));
    assert_eq!(actions.len(), 12);
}

#[test]
fn a_step_is_left_out_where_its_condition_is_false() {
    let cell = matrix_cell(
        "matrix[protocol=3.1.1,clean_session=true,publish_qos=0,subscribe_qos=0,retain=false,resubscribe=false]",
    );
    assert_eq!(cell.steps.len(), 10);
    assert!(matches!(cell.steps[6].action, Action::Receive { last: true, .. }));
    assert_eq!(cell.step_line(7), "8 disconnect subscriber");
}

#[test]
fn a_source_is_listed_once_and_only_for_its_topic() {
    let text = r#"
        name = "sources"
        question = "Who publishes what?"
        clients.a = { protocol = "5.0", clean_session = true }
        clients.b = { protocol = "5.0", clean_session = true }
        steps = [
            { connect = "a" },
            { connect = "b" },
            { publish = "b", qos = 0 },
            { subscribe = "a", qos = 2 },
            { receive = "a" },
            { publish = "b", qos = 1, messages = 7 },
            { publish = "b", qos = 1, retain = true },
            { publish = "b", qos = 1, topic = "other" },
            { publish = "a", qos = 1 },
            { receive = "a" },
        ]
    "#;
    let cells = cells(&Scenario::parse("sources.toml", text).unwrap(), SETTINGS);
    assert_eq!(cells.len(), 1);
    assert_eq!(cells[0].id, "sources[]");
    let source = |publisher, topic: &str, qos| Source { publisher, topic: topic.into(), qos };
    let actions: Vec<&Action> = cells[0].steps.iter().map(|step| &step.action).collect();
    let loop_backs = vec![source(1, "t", 1), source(0, "t", 1)];
    assert_eq!(*actions[3], subscribe(2, loop_backs));
    assert_eq!(*actions[4], receive(vec![source(1, "t", 0)], false));
    assert_eq!(
        *actions[5],
        Action::Publish(Publication { topic: "t".into(), qos: 1, messages: 7, ..Publication::default() })
    );
    let fences = vec![source(1, "t", 0), source(1, "t", 1), source(1, "other", 1), source(0, "t", 1)];
    assert_eq!(*actions[9], receive(fences, true));
}

/// The role of each client in the first cell of a scenario in which the axis has this value.
fn roles(scenario: &str, filter: &str) -> Vec<(String, Role)> {
    let cells = cells(&Scenario::load(scenario).unwrap(), SETTINGS);
    let cell = cells.into_iter().find(|cell| cell.id.contains(filter)).unwrap();
    (0..cell.clients.len()).map(|client| (cell.clients[client].name.clone(), cell.role(client))).collect()
}

#[test]
fn whoever_publishes_and_never_subscribes_is_a_publisher() {
    let role = |roles: &[(String, Role)], name: &str| {
        roles.iter().find(|(client, _)| client == name).unwrap_or_else(|| panic!("{name} in {roles:?}")).1
    };
    let matrix = roles("matrix", "protocol=3.1.1");
    assert_eq!((role(&matrix, "subscriber"), role(&matrix, "publisher")), (Role::Main, Role::Publisher));
    // A will that only proves the end of a connection makes no publisher.
    let away = roles("away", "away=reset");
    assert_eq!((role(&away, "subscriber"), role(&away, "publisher")), (Role::Main, Role::Publisher));
    for scenario in Scenario::built_in_names() {
        for cell in cells(&Scenario::load(scenario).unwrap(), SETTINGS) {
            for step in &cell.steps {
                let is_publisher = cell.role(step.client) == Role::Publisher;
                assert!(!is_publisher || !matches!(step.action, Action::Subscribe { .. }), "{}", cell.id);
            }
            for (one, client) in cell.clients.iter().enumerate().filter(|(_, client)| client.client_id.is_some()) {
                let same = (0..cell.clients.len()).filter(|other| cell.clients[*other].client_id == client.client_id);
                assert!(same.into_iter().all(|other| cell.role(other) == cell.role(one)), "{}", cell.id);
            }
        }
    }
}
