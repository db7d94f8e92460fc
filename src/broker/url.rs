//! `mqtt://[USER[:PASSWORD]@]HOST[:PORT]`, with the reasons why something is none.

use std::net::Ipv6Addr;

use percent_encoding::percent_decode_str;
use url::{Host, Url};

/// The port of MQTT over TCP.
const DEFAULT_PORT: u16 = 1883;

/// Where a broker listens.
#[derive(Debug, PartialEq, Eq)]
pub struct Location {
    /// A name or an address; IPv6 without brackets.
    pub host: String,
    pub port: u16,
    pub user: Option<String>,
    pub password: Option<String>,
}

impl Location {
    pub fn without_credentials(&self) -> String {
        match self.host.contains(':') {
            true => format!("mqtt://[{}]:{}", self.host, self.port),
            false => format!("mqtt://{}:{}", self.host, self.port),
        }
    }
}

/// Reads a broker's URL.
///
/// # Errors
/// What is wrong with it, as half a sentence.
pub fn parse(text: &str) -> Result<Location, String> {
    if !text.contains("://") {
        return Err("it has no scheme".into());
    }
    let url = Url::parse(text).map_err(|error| error.to_string())?;
    match url.scheme() {
        "mqtt" => {}
        "tcp" => return Err("the scheme of MQTT over TCP is mqtt".into()),
        other => return Err(format!("the scheme {other} is not supported")),
    }
    let host = match url.host() {
        Some(Host::Ipv6(address)) => address.to_string(),
        Some(host) if !host.to_string().is_empty() => host.to_string(),
        _ => return Err("it has no host".into()),
    };
    if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
        return Err("nothing may follow the port".into());
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
    Ok(Location { host, port: url.port().unwrap_or(DEFAULT_PORT), user, password })
}

/// The text as it may be shown: what stands before an `@` may be a password, and so may what stands behind
/// a colon and is no port.
pub fn without_login(text: &str) -> String {
    let is_scheme = |scheme: &str| scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    let (scheme, rest) = match text.split_once("://").filter(|(scheme, _)| is_scheme(scheme)) {
        Some((scheme, rest)) => (format!("{scheme}://"), rest),
        None => (String::new(), text),
    };
    let (login, host) = rest.rsplit_once('@').map_or(("", rest), |(_, host)| ("***@", host));
    format!("{scheme}{login}{}", if is_host_and_port(host) { host } else { "***" })
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

    #[test]
    fn a_url_is_taken_apart() {
        let location = parse("mqtt://me:a%40b@[::1]:1884").unwrap();
        assert_eq!((location.host.as_str(), location.port), ("::1", 1884));
        assert_eq!((location.user.as_deref(), location.password.as_deref()), (Some("me"), Some("a@b")));
        assert_eq!(location.without_credentials(), "mqtt://[::1]:1884");
        assert_eq!(parse("mqtt://localhost").unwrap().without_credentials(), "mqtt://localhost:1883");
        assert_eq!(parse("mqtt://127.0.0.1/").unwrap().host, "127.0.0.1");
    }

    #[test]
    fn what_is_no_broker_is_refused_in_words() {
        let cases = [
            ("localhost:1883", "no scheme"),
            ("http://localhost", "scheme http"),
            ("tcp://localhost", "is mqtt"),
            ("mqtt://", "host"),
            ("mqtt://localhost:99999", "port"),
            ("mqtt://localhost/topic", "follow"),
            ("mqtt://:secret@localhost", "user name"),
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
        for plain in ["mqtt://host:1883", "mqtt://[::1]:1883/", "mqtt://host/topic", "localhost:1883", "mqtt://"] {
            assert_eq!(without_login(plain), plain);
        }
        assert_eq!(without_login("mqtt://me:sec@ret/@host"), "mqtt://***@host");
        assert_eq!(without_login("me:secret@host"), "***@host");
        assert_eq!(without_login("host"), "host");
    }
}
