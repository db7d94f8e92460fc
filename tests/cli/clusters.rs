//! Brokers with several nodes: by URL, and started from a file.

use std::fs;
use std::net::SocketAddr;
use std::process::Command;

use mqtt_sessions::results::{Results, Verdict};

use crate::peers::{assert_nothing_left, serve, url};
use crate::program::{QUEUED, each_cell, matrix, program, run};
use crate::started::Files;
use test_broker::{Broker, Defect, Sharing};

/// The URL of a cluster with these nodes.
fn nodes(addresses: &[SocketAddr]) -> String {
    let hosts: Vec<String> = addresses.iter().map(SocketAddr::to_string).collect();
    format!("mqtt://{}", hosts.join(","))
}

fn three_nodes(broker: &Broker, sharing: Sharing) -> Vec<SocketAddr> {
    broker.nodes(3, sharing).iter().map(serve).collect()
}

#[test]
fn a_cluster_is_reached_by_the_hosts_of_its_nodes() {
    let broker = Broker::correct();
    let nodes = nodes(&three_nodes(&broker, Sharing::Everything));
    let ended = run(program(["run", "cluster", "--broker", &nodes, "--filter=what=moves,retained", "--export-json=-"]));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let results = ended.results();
    assert_eq!(results.cells.len(), 8);
    each_cell(&results, |_| Verdict::Pass);
    assert_eq!(results.run.url, nodes);
    assert_nothing_left(&broker);
}

#[test]
fn sessions_at_other_nodes_are_ended_too() {
    let broker = Broker::correct();
    let nodes = nodes(&three_nodes(&broker, Sharing::NoSessions));
    let arguments = ["--filter=what=moves", "--filter=qos=1", "--patience=100ms"];
    let ended = run({
        let mut command = program(["run", "cluster", "--broker", &nodes]);
        command.args(arguments);
        command
    });
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert_nothing_left(&broker);
}

#[test]
fn brokers_that_are_no_cluster_are_told() {
    let apart = nodes(&[serve(&Broker::correct()), serve(&Broker::correct())]);
    run(matrix(&apart, &[&QUEUED[..], &["--deadline=200ms"]].concat())).gave_up(
        2,
        &[
            "cannot measure mqtt://",
            "what is published at node 2 does not come to node 1",
            "give the nodes of one broker",
        ],
    );
    let gone = nodes(&[serve(&Broker::correct()), "127.0.0.1:1".parse().unwrap()]);
    run(matrix(&gone, &[&QUEUED[..], &["--deadline=200ms"]].concat()))
        .gave_up(2, &["node 2 of the broker lets no client in"]);
}

#[test]
fn a_broker_with_too_few_nodes_is_told() {
    let one = url(serve(&Broker::correct()));
    run(program(["run", "cluster", "--broker", &one])).gave_up(
        2,
        &["needs a broker with 3 nodes, and mqtt://127.0.0.1:", "has 1; give --broker mqtt://HOST,HOST,HOST"],
    );
}

impl Files {
    /// A broker of three nodes, each a relay to one of these addresses, with `before` in front of its command.
    fn relays(to: &[SocketAddr], before: &str) -> Files {
        let to: Vec<String> = to.iter().enumerate().map(|(place, to)| format!("{}) to={to};;", place + 1)).collect();
        let script = format!("{before} case ${{number}} in {} esac; export RELAY_OF_THE_TESTS=$to;", to.join(" "));
        let files = Files::broker(&script);
        let text = fs::read_to_string(files.path("broker.toml")).unwrap() + "\nnodes = 3\n";
        fs::write(files.path("broker.toml"), text).unwrap();
        files
    }

    fn outages(&self, arguments: &[&str]) -> Command {
        fs::create_dir_all(self.path("tmp")).unwrap();
        let broker = self.path("broker.toml");
        let mut command = program(["run", "cluster_outages", "--broker", broker.to_str().unwrap(), "--export-json=-"]);
        let few = ["--filter=qos=1", "--filter=after_ms=0", "--filter=what=away,meanwhile", "--patience=100ms"];
        command.args(few).args(arguments).env("TMPDIR", self.path("tmp"));
        command
    }
}

/// Each cell has this verdict, and the broker this choice.
#[track_caller]
fn each(results: &Results, verdict: Verdict, choice: &str) {
    for cell in &results.cells {
        assert_eq!(cell.verdict, verdict, "{}: {:?} {:?}", cell.id, cell.reason, cell.violations);
        let name = if cell.id.contains("by=stop") { "after_stop_of_node" } else { "after_kill_of_node" };
        assert_eq!(cell.choices.get(name).map(String::as_str), Some(choice), "{}", cell.id);
    }
}

#[test]
fn a_cluster_that_keeps_everything_when_a_node_ends_is_measured() {
    let broker = Broker::correct();
    let files = Files::relays(&three_nodes(&broker, Sharing::Everything), "echo $$ >> ${out}/processes;");
    let ended = run(files.outages(&[]));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let results = ended.results();
    assert_eq!(results.cells.len(), 16);
    each(&results, Verdict::Pass, "kept");
    files.nothing_is_left();
    assert_nothing_left(&broker);
}

#[test]
fn a_session_that_no_other_node_has_is_measured_and_not_failed() {
    let nodes = three_nodes(&Broker::correct(), Sharing::NoSessions);
    let files = Files::relays(&nodes, "echo $$ >> ${out}/processes;");
    let ended = run(files.outages(&["--filter=returns=elsewhere"]));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    each(&ended.results(), Verdict::Pass, "lost");
    files.nothing_is_left();
}

#[test]
fn a_node_that_says_it_has_the_session_and_lacks_its_messages_fails() {
    let liar = Broker::lying(Defect::named("session-present-1").unwrap());
    let files = Files::relays(&three_nodes(&liar, Sharing::NoSessions), "echo $$ >> ${out}/processes;");
    // In 5.0 a client without a session closes on Session Present 1.
    let few = ["--filter=returns=elsewhere", "--filter=by=kill", "--filter=protocol=3.1.1"];
    let ended = run(files.outages(&few));
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    for cell in ended.results().cells {
        let cited: Vec<&str> = cell.violations.iter().map(|own| own.statement.as_str()).collect();
        assert!(cited.contains(&"MQTT-3.1.2-5"), "{}: {cited:?}", cell.id);
    }
    files.nothing_is_left();
}

#[test]
fn a_node_that_does_not_start_is_told_with_its_last_words() {
    let nodes = three_nodes(&Broker::correct(), Sharing::Everything);
    let broken = "echo $$ >> ${out}/processes; [ ${number} = 2 ] && { echo cannot join; exit 1; };";
    let files = Files::relays(&nodes, broken);
    let ended = run(files.outages(&[]));
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    let told = "node 2 of made-up ended before it answered a CONNECT; --keep keeps its files and its log; its last words:\ncannot join";
    assert!(ended.stderr.contains(told), "{}", ended.stderr);
    files.nothing_is_left();
    let too_many = Files::with("start = [\"x\"]\nnodes = 10");
    run(too_many.outages(&[])).gave_up(2, &["nodes is 10: a broker has 1 to 9 nodes"]);
}

#[test]
fn commands_of_the_users_end_one_node_each() {
    let broker = Broker::correct();
    let addresses = three_nodes(&broker, Sharing::Everything);
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let command = |what: &str| format!("--{what}-command=echo {what} $NODE >> {}", log.display());
    // Nothing really ends: the clients close their connections.
    let mut program = program(["run", "cluster_outages", "--broker", &nodes(&addresses), "--deadline=200ms"]);
    program.args(["--filter=qos=1", "--filter=after_ms=0", "--filter=what=away", "--filter=protocol=5.0"]);
    program.args(["--filter=returns=elsewhere", "--patience=100ms"]);
    let ended = run({
        program.args([command("stop"), command("kill"), command("start")]);
        program
    });
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let done = fs::read_to_string(&log).unwrap();
    let mut done: Vec<&str> = done.lines().collect();
    done.sort_unstable();
    assert_eq!(done, ["kill 1", "start 1", "start 1", "stop 1"]);
}

/// The scenario at these nodes; a file is there as long as the first node is cut off.
fn partition(files: &Files, nodes: &str, arguments: &[&str]) -> Command {
    let parted = files.path("parted");
    let mut command = program(["run", "cluster_partition", "--broker", nodes, "--export-json=-", "--patience=100ms"]);
    command.arg(format!("--partition-command=touch {}", parted.display()));
    command.arg(format!("--heal-command=rm {}", parted.display()));
    command.args(["--filter=qos=1"]).args(arguments);
    command
}

#[test]
fn a_cluster_that_loses_nothing_in_a_partition_is_measured() {
    let (broker, files) = (Broker::correct(), Files::broker(""));
    let nodes = nodes(&three_nodes(&broker, Sharing::Everything));
    let ended = run(partition(&files, &nodes, &[]));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let results = ended.results();
    assert_eq!(results.cells.len(), 6);
    for cell in &results.cells {
        assert_eq!(cell.verdict, Verdict::Pass, "{}: {:?} {:?}", cell.id, cell.reason, cell.violations);
        assert_eq!(cell.choices.get("after_partition").map(String::as_str), Some("kept"), "{}", cell.id);
    }
    assert!(!files.path("parted").exists(), "the partition is healed");
    assert_nothing_left(&broker);
}

#[test]
fn a_session_that_lacks_what_came_while_its_node_was_cut_off_fails() {
    let (broker, files) = (Broker::correct(), Files::broker(""));
    let addresses: Vec<SocketAddr> = broker.nodes_that_lose(3, files.path("parted")).iter().map(serve).collect();
    let ended = run(partition(&files, &nodes(&addresses), &["--filter=what=away"]));
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let results = ended.results();
    assert_eq!(results.cells.len(), 2);
    for cell in &results.cells {
        let cited =
            cell.violations.iter().any(|own| ["MQTT-3.1.2-5", "MQTT-4.5.0-1"].contains(&own.statement.as_str()));
        assert!(cell.verdict == Verdict::Fail && cited, "{}: {:?} {:?}", cell.id, cell.reason, cell.violations);
    }
    assert_nothing_left(&broker);
}

#[test]
fn a_broker_that_nobody_can_cut_off_is_told() {
    let broker = Broker::correct();
    let by_url = nodes(&three_nodes(&broker, Sharing::Everything));
    let ended = run(program(["run", "cluster_partition", "--broker", &by_url]));
    ended.gave_up(2, &["the broker cannot be partitioned: give --partition-command COMMAND"]);
    let files = Files::relays(&three_nodes(&broker, Sharing::Everything), "echo $$ >> ${out}/processes;");
    let mut command = program(["run", "cluster_partition", "--broker", files.path("broker.toml").to_str().unwrap()]);
    fs::create_dir_all(files.path("tmp")).unwrap();
    command.env("TMPDIR", files.path("tmp"));
    run(command).gave_up(2, &["can be cut off from the others", "its file does not say through which ports they talk"]);
    files.nothing_is_left();
}

#[test]
fn a_port_that_is_none_is_not_relayed() {
    let files = Files::broker("");
    let text = "relayed = \"wires\"\n".to_owned() + &fs::read_to_string(files.path("broker.toml")).unwrap();
    fs::write(files.path("broker.toml"), text).unwrap();
    let ended = run(program(["run", "queue", "--broker", files.path("broker.toml").to_str().unwrap()]));
    ended.gave_up(2, &["relayed is wires: it is the name of a port, which begins with port"]);
}
