//! TLS on a socket: the handshake, how it can fail and what to do then, and how TLS ends a stream.

use std::io;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{AlertDescription, CertificateError, ClientConfig, ClientConnection, Error};
use tokio::io::AsyncReadExt;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::end::End;
use super::not_opened::NotOpened;
use super::socket::Socket;
use super::stream::Halt;

/// How many bytes of plain text a session holds for a socket that takes none.
const BUFFER_BYTES: usize = 32 * 1024;
/// The length of an alert that is not encrypted, and its first byte (RFC 8446, section 5.1).
const ALERT_BYTES: usize = 7;
const ALERT: u8 = 0x15;
const SECONDS_OF_A_DAY: u64 = 86_400;

/// How a broker is spoken to by TLS. Clones share the configuration.
#[derive(Clone)]
pub struct Tls {
    pub config: Arc<ClientConfig>,
    /// What the certificate has to be for; a name is sent to the broker too.
    pub name: ServerName<'static>,
    /// The authorities are those of a file that the user named.
    pub has_cafile: bool,
}

/// The outcome of a handshake.
#[derive(Debug, Clone)]
pub struct Secured {
    /// `1.3`.
    pub version: String,
    pub cipher_suite: String,
    /// The application protocol (ALPN) that the broker chose.
    pub alpn: Option<String>,
    /// The broker's own certificate, DER.
    pub certificate: Vec<u8>,
}

impl Secured {
    pub fn of(session: &ClientConnection) -> Secured {
        let version = session.protocol_version().map(|version| format!("{version:?}")).unwrap_or_default();
        let suite = session.negotiated_cipher_suite().map(|suite| format!("{:?}", suite.suite()));
        let first = session.peer_certificates().and_then(<[_]>::first);
        Secured {
            // rustls calls it TLSv1_3.
            version: version.trim_start_matches("TLSv").replace('_', "."),
            cipher_suite: suite.unwrap_or_default(),
            alpn: session.alpn_protocol().map(|protocol| String::from_utf8_lossy(protocol).into_owned()),
            certificate: first.map(|certificate| certificate.to_vec()).unwrap_or_default(),
        }
    }
}

impl Tls {
    /// Opens a session on the socket.
    ///
    /// # Errors
    /// [`NotOpened`], if either side does not trust the other or what answers speaks no TLS.
    pub async fn handshake(&self, socket: Socket) -> Result<TlsStream<Socket>, NotOpened> {
        let shaking = TlsConnector::from(self.config.clone())
            .connect_with(self.name.clone(), socket, |session| session.set_buffer_limit(Some(BUFFER_BYTES)));
        match shaking.into_fallible().await {
            Ok(stream) => Ok(stream),
            Err((error, mut socket)) => Err(match of_tls(&error) {
                Some(error) => self.failed(error),
                None => last_words(&mut socket).await,
            }),
        }
    }

    fn failed(&self, error: &Error) -> NotOpened {
        match error {
            Error::InvalidCertificate(error) => self.distrusted(error),
            Error::AlertReceived(alert) => alerted(*alert),
            Error::InvalidMessage(_) => {
                NotOpened::new("what answers there speaks no TLS", "write mqtt:// or ws://, or give the port of TLS")
            }
            Error::PeerIncompatible(_) => NotOpened::new(OLD_TLS, TAKE_NEWER),
            other => NotOpened::new(format!("the TLS handshake failed ({other})"), "see the broker's log"),
        }
    }

    /// The broker's certificate is not trusted.
    fn distrusted(&self, error: &CertificateError) -> NotOpened {
        let said =
            |how: String, cure: &str| NotOpened::new(how, format!("{cure}, or measure all the same with --insecure"));
        match error {
            // An authority that was made anew has the name of the old one, and another key.
            CertificateError::UnknownIssuer | CertificateError::BadSignature if self.has_cafile => said(
                "the certificate of the broker is from an authority that --cafile does not hold".into(),
                "give the file of the authority that signed it",
            ),
            CertificateError::UnknownIssuer | CertificateError::BadSignature => said(
                "the certificate of the broker is from an authority that this machine does not know".into(),
                "give the authority's certificate with --cafile FILE",
            ),
            CertificateError::ExpiredContext { time, not_after } => {
                let days = not_after.as_secs().abs_diff(time.as_secs()) / SECONDS_OF_A_DAY;
                said(
                    format!("the certificate of the broker expired {days} days ago"),
                    "renew it, or set the clock here",
                )
            }
            CertificateError::Expired => {
                said("the certificate of the broker has expired".into(), "renew it, or set the clock here")
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                said("the certificate of the broker is not valid yet".into(), "set the clock here or there")
            }
            CertificateError::NotValidForNameContext { presented, .. } => self.misnamed(presented),
            CertificateError::NotValidForName => self.misnamed(&[]),
            CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => said(
                "the certificate of the broker is not for servers (Extended Key Usage)".into(),
                "give the broker one for server authentication",
            ),
            CertificateError::Other(_) if is_authority_as_server(error) => said(
                "the certificate of the broker is that of an authority, CA:TRUE".into(),
                "give it with --cafile FILE if you trust it",
            ),
            other => said(format!("the certificate of the broker cannot be trusted ({other})"), "give it another one"),
        }
    }

    fn misnamed(&self, presented: &[String]) -> NotOpened {
        let name = self.name.to_str();
        let names: Vec<String> = presented.iter().map(|name| spoken(name)).collect();
        let how = match names.is_empty() {
            true => {
                format!("the certificate of the broker names no host, and so not {name} (Subject Alternative Name)")
            }
            false => format!("the certificate of the broker is for {}, not for {name}", names.join(", ")),
        };
        NotOpened::new(how, "reach the broker by a name in its certificate, or measure all the same with --insecure")
    }
}

/// `DnsName("broker.example")` as the verifier shows a name.
fn spoken(name: &str) -> String {
    let inner = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')')).unwrap_or(name);
    crate::visible::visible(inner.trim_matches('"')).into_owned()
}

/// The certificate of the broker is one of an authority, which no server should have. Hand-made ones often are.
pub fn is_authority_as_server(error: &CertificateError) -> bool {
    matches!(error, CertificateError::Other(other) if other.0.to_string() == "CaUsedAsEndEntity")
}

const OLD_TLS: &str = "the broker speaks neither TLS 1.2 nor TLS 1.3, or no cipher suite of theirs";
const TAKE_NEWER: &str = "allow TLS 1.2 or 1.3 in the broker's configuration";
const CLIENT_CERTIFICATE: &str = "give a client certificate that the broker trusts with --cert FILE and --key FILE";

/// The broker gave up the handshake, and said why by an alert (RFC 8446, section 6.2).
fn alerted(alert: AlertDescription) -> NotOpened {
    NotOpened::new(alert_said(alert), cure_of_alert(alert.into()))
}

fn alert_said(alert: AlertDescription) -> String {
    match alert {
        AlertDescription::ProtocolVersion => OLD_TLS.into(),
        AlertDescription::CertificateRequired => "the broker demands a client certificate".into(),
        AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateRevoked
        | AlertDescription::CertificateExpired
        | AlertDescription::CertificateUnknown
        | AlertDescription::UnknownCA
        | AlertDescription::DecryptError
        | AlertDescription::AccessDenied => format!("the broker refused the client certificate ({alert:?})"),
        AlertDescription::NoApplicationProtocol => "the broker knows no protocol of --alpn".into(),
        AlertDescription::UnrecognisedName => "the broker does not know the name in the URL".into(),
        alert => format!("the broker gave up the TLS handshake ({alert:?})"),
    }
}

/// How a connection ended that an alert with this number ended.
pub fn ended_by_alert(number: u8) -> String {
    alert_said(AlertDescription::from(number))
}

/// What to do about an alert with this number.
pub fn cure_of_alert(number: u8) -> &'static str {
    match AlertDescription::from(number) {
        AlertDescription::ProtocolVersion => TAKE_NEWER,
        AlertDescription::NoApplicationProtocol => "give --alpn mqtt, or what the broker's configuration names",
        AlertDescription::UnrecognisedName => "reach the broker by a name that it knows",
        AlertDescription::HandshakeFailure => {
            "see the broker's log; if it demands a client certificate, give --cert FILE and --key FILE"
        }
        AlertDescription::InternalError | AlertDescription::DecodeError | AlertDescription::IllegalParameter => {
            "see the broker's log"
        }
        _ => CLIENT_CERTIFICATE,
    }
}

/// Why the socket broke under the handshake: a broker that closes often says it before, while the client still writes.
async fn last_words(socket: &mut Socket) -> NotOpened {
    let mut bytes = [0; ALERT_BYTES];
    match socket.read_exact(&mut bytes).await {
        Ok(_) if bytes[..3] == [ALERT, 3, 3] && bytes[3..5] == [0, 2] => alerted(bytes[6].into()),
        _ => NotOpened::new(
            "the connection was closed at the TLS handshake",
            "write mqtt:// or ws:// where the port speaks no TLS, or see the broker's log",
        ),
    }
}

/// The error of TLS in one of a stream, if it is one.
fn of_tls(error: &io::Error) -> Option<&Error> {
    error.get_ref()?.downcast_ref()
}

/// How a session ended that gave no byte.
pub fn halt(read: io::Result<()>) -> Halt {
    let Err(error) = read else { return Halt::End(End::CloseNotify) };
    match of_tls(&error) {
        Some(Error::AlertReceived(alert)) => Halt::End(End::Alert((*alert).into())),
        Some(error) => {
            Halt::Unreadable { bytes: Vec::new(), why: format!("came in TLS that cannot be read ({error})") }
        }
        None if error.kind() == io::ErrorKind::UnexpectedEof => Halt::End(End::Truncated),
        None => Halt::End(End::Reset),
    }
}
