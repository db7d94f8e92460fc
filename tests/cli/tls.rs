//! What can go wrong with TLS: one sentence, exit code 2, nothing on stdout.

use rustls::version::{TLS12, TLS13};

use crate::certificates::{Authority, Identity};
use crate::peers::{answering, correct, serve};
use crate::program::{Ended, QUEUED, program, run};
use crate::relays::Relay;
use test_broker::Broker;

/// Measures the broker behind TLS with this configuration.
fn measured(config: rustls::ServerConfig, options: &[&str]) -> Ended {
    let port = Relay::tls(config).before(serve(&Broker::correct()));
    matrix(&format!("mqtts://localhost:{port}"), options)
}

fn matrix(url: &str, options: &[&str]) -> Ended {
    run(program([&["matrix", url], options, &QUEUED].concat()))
}

#[test]
fn a_certificate_that_is_not_trusted() {
    let authority = Authority::new();
    let cafile = authority.cafile();
    let cases: [(Identity, &[&str]); 3] = [
        (
            authority.expired("localhost"),
            &["certificate of the broker expired", "days ago", "renew it, or set the clock here"],
        ),
        (
            authority.identity("elsewhere"),
            &["the certificate of the broker is for elsewhere, not for localhost", "by a name in its certificate"],
        ),
        (authority.for_clients("localhost"), &["not for servers (Extended Key Usage)", "server authentication"]),
    ];
    for (identity, phrases) in cases {
        measured(identity.server(), &["--cafile", &cafile]).gave_up(2, phrases);
    }
    let nameless = authority.with("localhost", |params| params.subject_alt_names.clear());
    measured(nameless.server(), &["--cafile", &cafile]).gave_up(2, &["names no host", "Subject Alternative Name"]);
}

#[test]
fn an_authority_that_is_not_known() {
    let identity = Authority::new().identity("localhost");
    let ended = measured(identity.server(), &["--cafile", &Authority::new().cafile()]);
    ended.gave_up(
        2,
        &[
            "from an authority that --cafile does not hold",
            "the file of the authority that signed it, or measure all the same with --insecure",
        ],
    );
    let ended = measured(identity.server(), &[]);
    ended.gave_up(2, &["from an authority that this machine does not know", "--cafile FILE"]);
}

#[test]
fn a_client_certificate_that_is_demanded_or_refused() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let cafile = authority.cafile();
    let [cert, key] = authority.files(&authority.identity("client"), "client");
    let [bad_cert, bad_key] = stranger.files(&stranger.identity("client"), "client");
    let right = ["--cafile", &cafile, "--cert", &cert, "--key", &key];
    let wrong = ["--cafile", &cafile, "--cert", &bad_cert, "--key", &bad_key];
    for version in [&TLS12, &TLS13] {
        let server = || authority.identity("localhost").server_of(version, Some(&authority));
        let ended = measured(server(), &right);
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        measured(server(), &right[..2]).gave_up(2, &["the broker", "--cert FILE and --key FILE"]);
        measured(server(), &wrong).gave_up(2, &["the broker refused the client certificate", "that the broker trusts"]);
    }
    let server = authority.identity("localhost").server_of(&TLS13, Some(&authority));
    measured(server, &right[..2]).gave_up(2, &["the broker demands a client certificate"]);
}

#[test]
fn files_that_cannot_be_used() {
    let authority = Authority::new();
    let [cert, key] = authority.files(&authority.identity("client"), "client");
    let [_, other_key] = authority.files(&authority.identity("other"), "other");
    let empty = authority.write("empty.pem", &[]);
    let cases: [(&[&str], &[&str]); 8] = [
        (&["--cert", &cert], &["--cert without --key", "--key FILE"]),
        (&["--key", &key], &["--key without --cert", "--cert FILE"]),
        (&["--cert", &cert, "--key", &other_key], &["--cert and --key", "of one client"]),
        (&["--cert", &cert, "--key", &empty], &["--key", "empty.pem: it holds no private key", "passphrase"]),
        (&["--cert", &key, "--key", &key], &["--cert", "client.key: it holds no certificate"]),
        (&["--cafile", &empty], &["--cafile", "empty.pem: it holds no certificate", "BEGIN CERTIFICATE"]),
        (&["--cafile", "/no/such/file"], &["--cafile /no/such/file: it cannot be read", "name a file"]),
        (&["--alpn", ""], &["--alpn", "1 to 255 bytes"]),
    ];
    for (options, phrases) in cases {
        let ended = matrix("mqtts://localhost:1", options);
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{options:?}");
        ended.complained(phrases);
    }
    for url in ["mqtt://localhost:1", "ws://localhost:1", "unix:/no/such", "embedded"] {
        matrix(url, &["--cafile", &empty]).gave_up(2, &["--cafile is for TLS", "write mqtts://HOST or wss://HOST"]);
    }
}

#[test]
fn tls_where_there_is_none_and_the_reverse() {
    let plain = correct();
    let as_tls = plain.replace("mqtt://", "mqtts://");
    matrix(&as_tls, &["--insecure"]).complained(&["speaks no TLS", "write mqtt:// or ws://"]);
    let closing = answering(b"", true).replace("mqtt://", "mqtts://");
    matrix(&closing, &["--insecure"]).complained(&["closed at the TLS handshake", "write mqtt:// or ws://"]);
    let http = answering(b"HTTP/1.1 400 Bad Request\r\n\r\n", true).replace("mqtt://", "mqtts://");
    matrix(&http, &["--insecure"]).complained(&["speaks no TLS", "write mqtt:// or ws://"]);
    let silent = answering(b"", false).replace("mqtt://", "mqtts://");
    let ended = matrix(&silent, &["--insecure", "--connect-timeout", "300ms"]);
    ended.complained(&["no end of the TLS handshake within 0.3 s", "write mqtt://"]);
    let tls = Relay::tls(Authority::new().identity("localhost").server()).before(serve(&Broker::correct()));
    matrix(&format!("mqtt://localhost:{tls}"), &[]).gave_up(2, &["a TLS server answers there", "write mqtts://"]);
    matrix(&format!("ws://localhost:{tls}"), &[]).gave_up(2, &["a TLS server answers there", "write wss://"]);
}

#[test]
fn an_old_version_of_tls() {
    // A server of TLS 1.1 refuses by an alert, or answers in its own version.
    let hello = b"\x16\x03\x02\x00\x2a\x02\x00\x00\x26\x03\x02\
        0123456789abcdef0123456789abcdef\x00\x00\x2f\x00";
    for answer in [&b"\x15\x03\x02\x00\x02\x02\x46"[..], hello] {
        let url = answering(answer, false).replace("mqtt://", "mqtts://");
        let ended = matrix(&url, &["--insecure", "--connect-timeout", "2s"]);
        ended.complained(&["neither TLS 1.2 nor TLS 1.3", "allow TLS 1.2 or 1.3"]);
    }
}

#[test]
fn a_protocol_that_the_server_does_not_know() {
    let authority = Authority::new();
    let cafile = authority.cafile();
    let server = || {
        let mut config = authority.identity("localhost").server();
        config.alpn_protocols = vec![b"mqtt".to_vec()];
        config
    };
    measured(server(), &["--cafile", &cafile, "--alpn", "h2"]).gave_up(2, &["no protocol of --alpn", "--alpn mqtt"]);
    let ended = measured(server(), &["--cafile", &cafile, "--alpn", "x,mqtt", "--alpn", "y"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}
