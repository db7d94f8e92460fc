//! The URL of a broker: which transport, where, and with which login; or the reasons why something is none.

use std::iter;
use std::net::{Ipv6Addr, SocketAddrV6};
use std::path::PathBuf;

use percent_encoding::percent_decode_str;
use url::{Host, Url};

use crate::vocabulary;

/// The path of MQTT over WebSocket where a URL has none: that of EMQX, HiveMQ, VerneMQ, NanoMQ and nats-server. mosquitto and
/// aedes take any.
const USUAL_PATH: &str = "/mqtt";

const NODES_MAX: usize = vocabulary::NODES_MAX as usize;

/// A way to carry MQTT over TCP.
#[derive(Debug, PartialEq, Eq)]
pub struct Scheme {
    name: &'static str,
    /// Other names for it.
    also: &'static [&'static str],
    port: u16,
    pub tls: bool,
    pub websocket: bool,
}

const SCHEMES: [Scheme; 4] = [
    Scheme { name: "mqtt", also: &["tcp"], port: 1883, tls: false, websocket: false },
    Scheme { name: "mqtts", also: &["ssl", "tls"], port: 8883, tls: true, websocket: false },
    Scheme { name: "ws", also: &[], port: 80, tls: false, websocket: true },
    Scheme { name: "wss", also: &[], port: 443, tls: true, websocket: true },
];

/// Where a broker listens.
#[derive(Debug, PartialEq, Eq)]
pub enum Location {
    /// One for each node, at least one.
    Hosts(Vec<Network>),
    /// The path of a Unix socket.
    Unix(PathBuf),
}

/// A port of a host, and how MQTT is carried there.
#[derive(Debug, PartialEq, Eq)]
pub struct Network {
    pub scheme: &'static Scheme,
    /// A name or an address; IPv6 without brackets.
    pub host: String,
    pub port: u16,
    /// The path of a WebSocket, and its query where it has one; empty elsewhere.
    pub path: String,
    pub user: Option<String>,
    pub password: Option<String>,
}

impl Network {
    /// The URL of nodes, of which this is the first.
    pub fn without_credentials(&self, further: &[Network]) -> String {
        let hosts: Vec<String> = iter::once(self).chain(further).map(Network::host_and_port).collect();
        format!("{}://{}{}", self.scheme.name, hosts.join(","), without_query(&self.path))
    }

    /// `HOST:PORT`, as URLs have it.
    pub fn host_and_port(&self) -> String {
        match self.host.parse::<Ipv6Addr>() {
            Ok(address) => SocketAddrV6::new(address, self.port, 0, 0).to_string(),
            Err(_) => format!("{}:{}", self.host, self.port),
        }
    }
}

/// Reads a broker's URL. A host without a scheme is one of MQTT over TCP. Commas stand between the hosts of the nodes of a broker
/// that has several, which have the rest of the URL in common.
///
/// # Errors
/// What is wrong with it, as half a sentence.
pub fn parse(text: &str) -> Result<Location, String> {
    if let Some(path) = text.strip_prefix("unix:") {
        return unix(path);
    }
    let (before, hosts, behind) = around_the_hosts(text);
    let nodes =
        hosts.split(',').map(|host| network(&format!("{before}{host}{behind}"))).collect::<Result<Vec<_>, _>>()?;
    match nodes.len() {
        0..=NODES_MAX => Ok(Location::Hosts(nodes)),
        more => Err(format!("it has {more} nodes, and {NODES_MAX} are the most")),
    }
}

/// A URL in three parts: scheme and login, the hosts with their ports, and what stands behind them.
fn around_the_hosts(text: &str) -> (&str, &str, &str) {
    let scheme = text.find("://").map_or(0, |at| at + "://".len());
    let end = text[scheme..].find(['/', '?', '#']).map_or(text.len(), |at| scheme + at);
    let hosts = text[scheme..end].rfind('@').map_or(scheme, |at| scheme + at + 1);
    (&text[..hosts], &text[hosts..end], &text[end..])
}

fn network(text: &str) -> Result<Network, String> {
    let whole = match text.parse::<Ipv6Addr>() {
        Ok(address) => format!("mqtt://[{address}]"),
        Err(_) if text.contains("://") => text.to_owned(),
        Err(_) => format!("mqtt://{text}"),
    };
    let url = Url::parse(&whole).map_err(|error| error.to_string())?;
    let of_name = |scheme: &&Scheme| scheme.name == url.scheme() || scheme.also.contains(&url.scheme());
    let scheme = SCHEMES.iter().find(of_name).ok_or_else(|| format!("the scheme {} is not supported", url.scheme()))?;
    let host = match url.host() {
        Some(Host::Ipv6(address)) => address.to_string(),
        Some(host) if !host.to_string().is_empty() => host.to_string(),
        _ => return Err("it has no host".into()),
    };
    if url.fragment().is_some() {
        return Err("it has a # in it, which has to be written %23".into());
    }
    let decode = |text: &str| {
        let decoded = percent_decode_str(text).decode_utf8();
        decoded.map(String::from).map_err(|_| "user name and password must be UTF-8".to_owned())
    };
    let user = Some(url.username()).filter(|user| !user.is_empty()).map(decode).transpose()?;
    let password = url.password().map(decode).transpose()?;
    if user.is_none() && password.is_some() {
        return Err("a password needs a user name".into());
    }
    let path = path(&url, &whole, scheme)?;
    Ok(Network { scheme, host, port: url.port().unwrap_or(scheme.port), path, user, password })
}

fn unix(path: &str) -> Result<Location, String> {
    let path = match path.strip_prefix("//") {
        Some(path) if !path.starts_with('/') => {
            return Err("the path of a Unix socket stands behind unix: alone".into());
        }
        Some(path) => path,
        None => path,
    };
    if path.is_empty() { Err("it has no path".into()) } else { Ok(Location::Unix(path.into())) }
}

/// The path and the query of a WebSocket. The parser makes no difference between `ws://HOST` and `ws://HOST/`.
fn path(url: &Url, written: &str, scheme: &Scheme) -> Result<String, String> {
    if !scheme.websocket {
        return match (url.path(), url.query()) {
            ("" | "/", None) => Ok(String::new()),
            _ => Err("nothing may follow the port".into()),
        };
    }
    let (_, behind_scheme) = written.split_once("://").unwrap_or_default();
    let path = if behind_scheme.contains('/') { url.path() } else { USUAL_PATH };
    Ok(url.query().map_or(path.to_owned(), |query| format!("{path}?{query}")))
}

/// The query of a URL, behind the question mark, is often a token.
fn without_query(text: &str) -> String {
    text.split_once('?').map_or(text.to_owned(), |(path, _)| format!("{path}?***"))
}

/// The text as it may be shown: what stands before an `@` may be a password, and so may what stands behind
/// a colon and is no port, or behind a question mark.
pub fn without_login(text: &str) -> String {
    if text.starts_with("unix:") && !text.contains('@') {
        return text.to_owned();
    }
    let is_scheme = |scheme: &str| scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    let (scheme, rest) = match text.split_once("://").filter(|(scheme, _)| is_scheme(scheme)) {
        Some((scheme, rest)) => (format!("{scheme}://"), rest),
        None => (String::new(), text),
    };
    let (login, host) = rest.rsplit_once('@').map_or(("", rest), |(_, host)| ("***@", host));
    let (place, path) = match host.find('/') {
        Some(at) if matches!(scheme.as_str(), "ws://" | "wss://") => host.split_at(at),
        _ => (host, ""),
    };
    let is_shown = place.split(',').all(is_host_and_port);
    format!("{scheme}{login}{}{}", if is_shown { place } else { "***" }, without_query(path))
}

/// A password stands behind a colon; so does a port.
fn is_host_and_port(text: &str) -> bool {
    let text = text.strip_suffix('/').unwrap_or(text);
    let host = match text.rsplit_once(':') {
        Some((host, port)) if port.parse::<u16>().is_ok() => host,
        _ => text,
    };
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    !host.contains(':') || address.is_some_and(|address| address.parse::<Ipv6Addr>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> Network {
        match parse(text).unwrap_or_else(|why| panic!("{text}: {why}")) {
            Location::Hosts(mut nodes) => nodes.remove(0),
            Location::Unix(path) => panic!("{text}: {path:?}"),
        }
    }

    #[test]
    fn a_url_is_taken_apart() {
        let location = network("mqtt://me:a%40b@[::1]:1884");
        assert_eq!((location.host.as_str(), location.port), ("::1", 1884));
        assert_eq!((location.user.as_deref(), location.password.as_deref()), (Some("me"), Some("a@b")));
        let location = network("wss://me:secret@host/a%20b/?token=t");
        assert_eq!((location.path.as_str(), location.user.as_deref()), ("/a%20b/?token=t", Some("me")));
    }

    #[test]
    fn each_transport_has_its_port_and_its_names() {
        let cases = [
            ("mqtt://[::1]:1884", "mqtt://[::1]:1884"),
            ("mqtt://localhost", "mqtt://localhost:1883"),
            ("mqtt://127.0.0.1/", "mqtt://127.0.0.1:1883"),
            ("tcp://localhost", "mqtt://localhost:1883"),
            ("localhost", "mqtt://localhost:1883"),
            ("host:1884", "mqtt://host:1884"),
            ("[::1]:1883", "mqtt://[::1]:1883"),
            ("::1", "mqtt://[::1]:1883"),
            ("me:secret@host", "mqtt://host:1883"),
            ("mqtts://host", "mqtts://host:8883"),
            ("ssl://host:1", "mqtts://host:1"),
            ("tls://host", "mqtts://host:8883"),
            ("ws://host", "ws://host:80/mqtt"),
            ("ws://host:80/", "ws://host:80/"),
            ("ws://host:9001/ws", "ws://host:9001/ws"),
            ("wss://host", "wss://host:443/mqtt"),
            ("wss://host?token=t", "wss://host:443/mqtt?***"),
            ("wss://host/x?token=t", "wss://host:443/x?***"),
        ];
        for (text, shown) in cases {
            assert_eq!(network(text).without_credentials(&[]), shown, "{text}");
        }
    }

    #[test]
    fn nodes_have_a_host_each_and_the_rest_in_common() {
        let cases = [
            ("a,b:1884", "mqtt://a:1883,b:1884"),
            ("mqtt://me:a,b@a:1,[::1]:2,c", "mqtt://a:1,[::1]:2,c:1883"),
            ("wss://a,b/ws?token=t", "wss://a:443,b:443/ws?***"),
        ];
        for (text, shown) in cases {
            let Ok(Location::Hosts(nodes)) = parse(text) else { panic!("{text}") };
            assert_eq!(nodes[0].without_credentials(&nodes[1..]), shown, "{text}");
        }
        let Ok(Location::Hosts(nodes)) = parse("mqtt://me:a,b@a,b") else { panic!() };
        assert!(nodes.iter().all(|node| node.password.as_deref() == Some("a,b")), "{nodes:?}");
        for (text, phrase) in [("a,,b", "it has no host"), ("a,b,c,d,e,f,g,h,i,j", "10 nodes, and 9 are the most")] {
            assert!(parse(text).unwrap_err().contains(phrase), "{text}");
        }
    }

    #[test]
    fn a_unix_socket_is_a_path() {
        for (text, path) in
            [("unix:/run/m.sock", "/run/m.sock"), ("unix:///run/m", "/run/m"), ("unix:m.sock", "m.sock")]
        {
            assert_eq!(parse(text), Ok(Location::Unix(path.into())), "{text}");
        }
    }

    #[test]
    fn what_is_no_broker_is_refused_in_words() {
        let cases = [
            ("http://localhost", "scheme http"),
            ("mqtt://", "host"),
            ("ws://", "host"),
            ("mqtt://localhost:99999", "port"),
            ("mqtt://localhost/topic", "follow"),
            ("mqtts://localhost?x", "follow"),
            ("ws://localhost/#x", "%23"),
            ("mqtt://:secret@localhost", "user name"),
            ("unix:", "no path"),
            ("unix://run/m.sock", "stands behind unix: alone"),
        ];
        for (text, phrase) in cases {
            let why = parse(text).unwrap_err();
            assert!(why.contains(phrase), "{text}: {why}");
        }
    }

    #[test]
    fn a_login_is_never_shown() {
        assert_eq!(without_login("mqtt://me:secret@host:x"), "mqtt://***@***");
        assert_eq!(without_login("mqtt://me:secret"), "mqtt://***");
        assert_eq!(without_login("mqtt://me:99999"), "mqtt://***");
        assert_eq!(without_login("mqtt://me:1#secret"), "mqtt://***");
        assert_eq!(without_login("me:secret@mqtt://host"), "***@***");
        let plain = ["mqtt://host:1883", "mqtt://[::1]:1883/", "mqtt://host/topic", "localhost:1883", "mqtt://"];
        for plain in plain.into_iter().chain(["ws://host:8080/mqtt", "wss://[::1]:443/a/b", "unix:/run/a:b"]) {
            assert_eq!(without_login(plain), plain);
        }
        assert_eq!(without_login("mqtt://me:sec@ret/@host"), "mqtt://***@host");
        assert_eq!(without_login("me:secret@host"), "***@host");
        assert_eq!(without_login("me:secret@a:1,b:2"), "***@a:1,b:2");
        assert_eq!(without_login("mqtt://me,b:secret"), "mqtt://***");
        assert_eq!(without_login("host"), "host");
        assert_eq!(without_login("wss://me:secret@host/mqtt?token=secret"), "wss://***@host/mqtt?***");
        assert_eq!(without_login("wss://me:secret/mqtt"), "wss://***/mqtt");
    }
}
