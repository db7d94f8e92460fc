//! What the program says of itself.

use crate::program::{Ended, program, run};
use mqtt_sessions::scenario::Scenario;

/// The options of each command, as its help lists them.
const OPTIONS: [(&str, &str); 17] = [
    ("", "--color --help --version"),
    (
        "matrix",
        "--accept --alpn --attempts --baseline --broker --broker-name --broker-version --cafile --cert --client-id-prefix --color --connect-timeout \
         --deadline --details --expect --export-json --export-junit --export-markdown --export-pcap --fail-on --filter --heal-command --help --histories --insecure --jobs --keep --key --kill-command --messages --partition --partition-command --password --password-file --patience --prefix --publisher-password --publisher-password-file --publisher-username --queue-limit --repeat \
         --settle --start-command --stop-command --time-limit --topic-prefix --username",
    ),
    (
        "run",
        "--accept --all --alpn --attempts --baseline --broker --broker-name --broker-version --cafile --cert --client --client-id-prefix --color \
         --connect-timeout --deadline --details --expect --export-json --export-junit --export-markdown --export-pcap --fail-on --filter --heal-command --help --histories --insecure --jobs --keep --key --kill-command --messages --partition --partition-command --password --password-file --patience --prefix --publisher-password --publisher-password-file --publisher-username --queue-limit --repeat \
         --settle --start-command --stop-command --time-limit --topic-prefix --username",
    ),
    ("list", "--brokers --cells --color --filter --help --messages --partition --queue-limit --statements"),
    (
        "explain",
        "--alpn --as-scenario --attempts --broker --bytes --cafile --cert --client-id-prefix --color --connect-timeout --deadline --export-pcap --help --insecure --keep --key --messages --password \
         --password-file --prefix --publisher-password --publisher-password-file --publisher-username --queue-limit --results --scenario --settle --times --topic-prefix --username",
    ),
    (
        "explore",
        "--alpn --broker --cafile --cases --cert --client-id-prefix --color --connect-timeout --deadline --help --insecure --jobs --keep --key \
         --no-timers --partition --password --password-file --prefix --protocol --publisher-password --publisher-password-file \
         --publisher-username --save --seed --settle --time --topic-prefix --username",
    ),
    (
        "survey",
        "--attempts --color --connect-timeout --deadline --filter --help --histories --jobs --keep --messages --partition --patience --queue-limit --repeat \
         --save --scenario --settle --time-limit --variants",
    ),
    (
        "probe",
        "--alpn --broker --budget --cafile --cert --client-id-prefix --color --connect-timeout --deadline --details --export-json --help --insecure \
         --keep --key --password --password-file --prefix --protocol --publisher-password --publisher-password-file --publisher-username \
         --topic-prefix --username --wait",
    ),
    ("report", "--color --export-html --export-markdown --help"),
    ("completions", "--color --help"),
    ("man", "--color --help"),
    (
        "storm",
        "--alpn --away --broker --cafile --cert --client-id-prefix --color --connect-timeout --deadline --export-json --help --insecure --keep --key \
         --messages --partition --password --password-file --patience --prefix --protocol --publisher-password --publisher-password-file \
         --publisher-username --qos --return-rate --save --sessions --settle --size --source --start-at --topic-prefix --username --yes",
    ),
    ("merge", "--color --details --expect --export-json --export-junit --export-markdown --export-pcap --help"),
    ("compare", "--color --expect --fail-on --help"),
    (
        "judge",
        "--accept --color --details --expect --export-json --export-junit --export-markdown --export-pcap --help",
    ),
    (
        "doctor",
        "--alpn --broker --cafile --cert --client-id-prefix --color --connect-timeout --deadline --export-json --help --insecure --keep --key \
         --password --password-file --prefix --publisher-password --publisher-password-file --publisher-username --topic-prefix --username",
    ),
    (
        "clean",
        "--alpn --broker --cafile --cert --client-id-prefix --color --connect-timeout --deadline --help --insecure --keep --key --password --password-file --prefix \
         --publisher-password --publisher-password-file --publisher-username --repeat --storm \
         --topic-prefix --username",
    ),
];

fn help(command: &str, columns: &str) -> Ended {
    let mut program = program(Some(command).filter(|command| !command.is_empty()));
    program.arg("--help").env("COLUMNS", columns);
    run(program)
}

#[test]
fn each_command_lists_its_options() {
    for (command, options) in OPTIONS {
        let ended = help(command, "100");
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
        let lines = ended.stdout.lines().filter(|line| line.trim_start().starts_with('-'));
        let mut listed: Vec<&str> =
            lines.filter_map(|line| line.split_whitespace().find(|word| word.starts_with("--"))).collect();
        listed.sort_unstable();
        assert_eq!(listed.join(" "), options, "{command}");
    }
}

#[test]
fn help_fits_the_terminal() {
    for (command, _) in OPTIONS {
        for columns in [80, 100] {
            let text = help(command, &columns.to_string()).stdout;
            // Examples are lines to copy, which nothing breaks.
            let too_wide =
                text.lines().find(|line| line.chars().count() > columns && !line.contains("  mqtt-sessions "));
            assert_eq!(too_wide, None, "{command} at {columns}");
            assert!(text.lines().all(|line| line.chars().count() <= 100), "{command}");
        }
    }
}

#[test]
fn help_and_errors_do_not_show_the_environment() {
    let mut program = program(["matrix", "--help"]);
    program.env("MQTT_SESSIONS_PASSWORD", "s3cret").env("MQTT_SESSIONS_BROKER", "mqtt://me:s3cret@host");
    let ended = run(program);
    assert!(ended.stdout.contains("[env: MQTT_SESSIONS_PASSWORD]") && !ended.stdout.contains("s3cret"));
}

#[test]
fn the_help_of_run_lists_the_scenarios() {
    let text = help("run", "80").stdout;
    let (_, listed) = text.split_once("Scenarios:\n").unwrap();
    let names: Vec<&str> = listed
        .lines()
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert_eq!(names, Scenario::built_in_names().collect::<Vec<_>>());
    let matrix = Scenario::load("matrix").unwrap().question;
    assert!(listed.split_whitespace().collect::<Vec<_>>().join(" ").contains(&matrix), "{listed}");
}

#[test]
fn the_version() {
    let ended = run(program(["--version"]));
    assert_eq!((ended.code, ended.stdout), (Some(0), format!("mqtt-sessions {}\n", env!("CARGO_PKG_VERSION"))));
}

#[test]
fn without_a_command_the_help_is_the_answer() {
    let ended = run(program::<&str>([]));
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""));
    for command in [
        "matrix",
        "run",
        "list",
        "explain",
        "compare",
        "judge",
        "survey",
        "probe",
        "report",
        "doctor",
        "clean",
        "Exit codes",
    ] {
        assert!(ended.stderr.contains(command), "{command}");
    }
}
