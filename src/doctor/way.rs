//! The way to the broker: its addresses, a Network Connection, and TLS.

use std::time::{Instant, SystemTime};

use super::certificate::Certificate;
use super::{Check, Examined, Outcome, milliseconds};
use crate::connection::tls::Secured;
use crate::run::Target;
use crate::visible::visible;

/// A certificate with fewer days left needs to be renewed.
const DAYS_FEW: i64 = 14;

/// False if no connection comes about. `trusts_all`: the certificate was not looked at.
pub async fn check(target: &Target, trusts_all: bool, examined: &mut Examined) -> bool {
    let endpoint = &target.endpoint;
    let addresses: Vec<String> = endpoint.addresses().iter().map(ToString::to_string).collect();
    if !addresses.is_empty() {
        examined.add(Check::good("address", addresses.join(", ")));
    }
    let began = Instant::now();
    let stream = match endpoint.open(target.connect_timeout).await {
        Ok(stream) => stream,
        Err(error) => {
            examined.add(Check::bad(Outcome::Failed, "connection", error.to_string(), error.cure));
            return false;
        }
    };
    let websocket = if endpoint.websocket.is_some() { ", with the WebSocket upgrade" } else { "" };
    examined.add(Check::good("connection", format!("in {}{websocket}", milliseconds(began))));
    if let Some(secured) = stream.secured() {
        secured_by(&secured, trusts_all, examined);
    }
    true
}

fn secured_by(secured: &Secured, trusts_all: bool, examined: &mut Examined) {
    let alpn = secured.alpn.as_deref().map(|alpn| format!(", ALPN {}", visible(alpn))).unwrap_or_default();
    examined.add(Check::good("TLS", format!("version {}, {}{alpn}", secured.version, secured.cipher_suite)));
    let Some(certificate) = Certificate::of(&secured.certificate, SystemTime::now()) else {
        let said = "it cannot be read, although the handshake accepted it";
        examined.add(Check::warning("certificate", said, "look at it with openssl x509"));
        return;
    };
    let Certificate { subject, issuer, days_left } = certificate;
    let said = format!("{}, from {}, {days_left} days left", visible(&subject), visible(&issuer));
    examined.add(match days_left {
        _ if trusts_all => Check::warning("certificate", said, "with --insecure it is not verified"),
        days if days < DAYS_FEW => Check::warning("certificate", said, "renew it soon"),
        _ => Check::good("certificate", said),
    });
}
