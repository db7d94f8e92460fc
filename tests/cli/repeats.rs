//! Each command that is printed so that the user copies it: it is copied into a shell, as it is, and reaches the same broker.

use std::path::Path;
use std::process::{Command, Stdio};

use mqtt_sessions::packet::{Login, Packet};
use rustls::version::TLS13;
use tempfile::TempDir;

use crate::certificates::Authority;
use crate::program::{Ended, QUEUED, program, run};
use crate::proxy::{Fate, proxy_by_client};
use crate::relays::Relay;
use test_broker::{Broker, Defect};

/// Passwords of the two users.
const PASSWORDS: [&str; 2] = ["secret-1", "secret-2"];

/// A scenario of a user's own, in a file.
const MINE: &str = r#"
name = "mine"
question = "Is what was queued there after the return?"
clients.subscriber = { protocol = "3.1.1", clean_session = false }
clients.publisher = { protocol = "3.1.1", clean_session = true }
steps = [
    { connect = "subscriber" },
    { connect = "publisher" },
    { subscribe = "subscriber", topic = "t", qos = 1 },
    { disconnect = "subscriber" },
    { publish = "publisher", topic = "t", qos = 1 },
    { connect = "subscriber" },
    { receive = "subscriber" },
]
"#;

/// A broker that lies, behind TLS for clients of one authority. It knows two users, client ids that begin with `dev`, and topics
/// below `devices`; whoever comes with anything else is cut off.
struct Guarded {
    options: Vec<String>,
    _authority: Authority,
    folder: TempDir,
}

impl Guarded {
    fn new() -> Guarded {
        let login = |user: &str, password: &str| Some(Login { user: user.into(), password: password.into() });
        let logins = [login("reader", PASSWORDS[0]), login("it's me", PASSWORDS[1])];
        let guarded = proxy_by_client(&Broker::lying(Defect::DupOnQos0), move |connect, packet| {
            let is_known = logins.contains(&connect.login) && connect.client_id.starts_with("dev");
            let topic = match packet {
                Packet::Publish(publish) => &publish.topic,
                Packet::Subscribe(subscribe) => &subscribe.filters[0].filter,
                _ => "devices/",
            };
            let is_allowed = topic.starts_with("devices/") || topic.starts_with("$SYS");
            if is_known && is_allowed { Fate::Pass } else { Fate::Close }
        });
        let authority = Authority::new();
        let mut config = authority.identity("localhost").server_of(&TLS13, Some(&authority));
        config.alpn_protocols = vec![b"mqtt".to_vec()];
        let address = guarded.strip_prefix("mqtt://").unwrap().parse().unwrap();
        let port = Relay::tls(config).before(address);
        let [cert, key] = authority.files(&authority.identity("me"), "a client");
        let folder = tempfile::tempdir().unwrap();
        let [reader, writer] = ["reader's", "writer's"].map(|name| folder.path().join(name).display().to_string());
        std::fs::write(&reader, PASSWORDS[0]).unwrap();
        std::fs::write(&writer, PASSWORDS[1]).unwrap();
        std::fs::write(folder.path().join("my own.toml"), MINE).unwrap();
        let (broker, cafile) = (format!("mqtts://localhost:{port}"), authority.cafile());
        let options = [
            &["--broker", &broker, "--cafile", &cafile, "--cert", &cert, "--key", &key, "--alpn", "x,mqtt"][..],
            &["--username", "reader", "--password-file", &reader],
            &["--publisher-username", "it's me", "--publisher-password-file", &writer],
            &["--topic-prefix", "devices/42", "--client-id-prefix", "dev"],
        ];
        let options = options.concat().into_iter().map(String::from).collect();
        Guarded { options, _authority: authority, folder }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// Runs the program with the options that reach the broker.
    fn run(&self, arguments: &[&str]) -> Ended {
        let ended = run(program(arguments.iter().copied().chain(self.options.iter().map(String::as_str))));
        for text in [&ended.stdout, &ended.stderr] {
            assert!(!PASSWORDS.iter().any(|password| text.contains(password)), "{text}");
        }
        ended
    }
}

/// Runs a command as a shell takes it.
fn in_a_shell(command: &str, environment: &[(&str, &str)]) -> Ended {
    let folder = Path::new(env!("CARGO_BIN_EXE_mqtt-sessions")).parent().unwrap();
    let path = std::env::join_paths([folder, Path::new("/usr/bin"), Path::new("/bin")]).unwrap();
    let mut shell = Command::new("sh");
    shell.args(["-c", command]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    shell.env_clear().env("PATH", path).envs(environment.iter().copied());
    run(shell)
}

/// The command behind these words in a line.
#[track_caller]
fn printed<'t>(text: &'t str, before: &str) -> &'t str {
    let command = text.lines().find_map(|line| line.split_once(before).map(|(_, command)| command));
    let command = command.unwrap_or_else(|| panic!("no \"{before}\" in {text}"));
    command.split('`').next().unwrap()
}

/// The command behind these words is run in a shell, ends with this code, and says this.
#[track_caller]
fn repeated(ended: &Ended, before: &str, code: i32, said: &str) {
    let text = format!("{}{}", ended.stdout, ended.stderr);
    let command = printed(&text, before);
    let again = in_a_shell(command, &[]);
    assert_eq!(again.code, Some(code), "{command}\n{}\n{}", again.stdout, again.stderr);
    assert!(again.stdout.contains(said), "{command}\n{}", again.stdout);
}

const FINDING: &str = "  Repeat with  ";

#[test]
fn a_finding_is_repeated() {
    let guarded = Guarded::new();
    let stored = guarded.path("results.json");
    let ended = guarded.run(&[&["matrix", "--export-json", &stored], &QUEUED[..]].concat());
    repeated(&ended, FINDING, 1, "1 cell: 1 fail");
    repeated(&run(program(["judge", &stored])), FINDING, 1, "1 cell: 1 fail");
    repeated(&guarded.run(&["run", &guarded.path("my own.toml")]), FINDING, 1, "1 cell: 1 fail");
}

#[test]
fn a_clean_up_is_repeated() {
    let guarded = Guarded::new();
    let ended = guarded.run(&[&["matrix"], &QUEUED[..]].concat());
    repeated(&ended, "if this run is killed, `", 0, "checked that none of them is left");
    let ended = guarded.run(&["run", "backlog", &guarded.path("my own.toml"), "--repeat", "2"]);
    repeated(&ended, "if this run is killed, `", 0, "checked that none of them is left");
}

#[test]
fn an_explanation_is_repeated() {
    let guarded = Guarded::new();
    let id = "backlog[protocol=3.1.1,publish_qos=1,subscribe_qos=1]";
    repeated(&guarded.run(&["explain", id]), FINDING, 1, "✗ fail");
    let mine = guarded.path("my own.toml");
    repeated(&guarded.run(&["explain", "mine[]", "--scenario", &mine]), FINDING, 1, "✗ fail");
    let slip = guarded.run(&["explain", "yours", "--scenario", &mine]);
    repeated(&slip, "there is no such cell; `", 0, "mine");
    let lesson = guarded.run(&["run", "tutorial", "--filter", "lesson=test_3"]);
    repeated(&lesson, "Packet by packet: ", 1, "✗ fail");
}

#[test]
fn a_random_experiment_is_repeated() {
    let guarded = Guarded::new();
    // A machine that is busy has all the time it needs.
    let search = ["explore", "--seed", "1", "--cases", "12", "--no-timers", "--protocol", "3.1.1", "--deadline", "30s"];
    repeated(&guarded.run(&search), FINDING, 1, "1 experiment in");
    let found = guarded.path("what is found");
    repeated(&guarded.run(&[&search[..], &["--save", &found]].concat()), FINDING, 1, "1 cell: 1 fail");
}

#[test]
fn what_the_doctor_proposes_works() {
    let guarded = Guarded::new();
    let ended = guarded.run(&["doctor"]);
    let command = printed(&ended.stdout, "A run will work: ");
    let again = in_a_shell(&format!("{command} {}", QUEUED.join(" ")), &[]);
    assert!(again.stdout.contains("2 cells: 2 fail"), "{command}\n{}\n{}", again.stdout, again.stderr);
}

/// A password that stands in no file comes out of the environment: the command has the user name alone, also that of the URL.
#[test]
fn a_password_is_never_part_of_a_command() {
    let login = Some(Login { user: "me".into(), password: "secret-3".into() });
    let url = proxy_by_client(&Broker::lying(Defect::DupOnQos0), move |connect, _| {
        if connect.login == login { Fate::Pass } else { Fate::Close }
    });
    let with_login = url.replace("mqtt://", "mqtt://me:secret-3@");
    for arguments in [&["--broker", &with_login][..], &["--broker", &url, "-u", "me", "-P", "secret-3"]] {
        let ended = run(program([&["matrix"], arguments, &QUEUED[..]].concat()));
        let command = printed(&ended.stdout, FINDING);
        assert!(command.contains("--username me") && !command.contains("secret"), "{command}");
        let again = in_a_shell(command, &[("MQTT_SESSIONS_PASSWORD", "secret-3")]);
        assert!(again.stdout.contains("1 cell: 1 fail"), "{command}\n{}", again.stderr);
    }
}
