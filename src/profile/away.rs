//! The experiment that most questions share: a session goes away, messages are published, and its client comes back.

use crate::packet::Protocol;

/// A session that goes away, and what its client asks for. The keys are those of a scenario file.
pub struct Away<'a> {
    pub protocol: Protocol,
    /// That of the subscription.
    pub qos: u8,
    /// Further keys of the client, each behind a comma.
    pub client: &'a str,
    /// Further keys of its DISCONNECT, each behind a comma.
    pub disconnect: &'a str,
}

impl Away<'_> {
    /// A session that nothing more is asked for.
    pub fn usual(protocol: Protocol, qos: u8) -> Away<'static> {
        Away { protocol, qos, client: "", disconnect: "" }
    }

    /// The text of an experiment with these steps behind the departure.
    pub fn then(&self, steps: &str) -> String {
        let Away { protocol, qos, client, disconnect } = self;
        format!(
            r#"clients.subscriber = {{ protocol = "{protocol}", clean_session = false{client} }}
clients.publisher = {{ protocol = "{protocol}", clean_session = true }}
steps = [
    {{ connect = "subscriber" }},
    {{ connect = "publisher" }},
    {{ subscribe = "subscriber", qos = {qos} }},
    {{ disconnect = "subscriber"{disconnect} }},
{steps}]
"#
        )
    }
}
