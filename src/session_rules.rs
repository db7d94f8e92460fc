//! Rules of the standard that the plan, the harness and the judge share. They are pure functions: the harness and the
//! judge keep what they know of a session apart, since one has to find the other's mistakes.

use crate::packet::{Filter, Protocol};
use crate::topic;

/// How many messages a publisher leaves unacknowledged where a step asks for no other number.
pub const USUAL_WINDOW: u32 = 8;

/// The Session Expiry Interval, in seconds, of a session that has to outlive its connection. No experiment lasts so long,
/// so such an interval does not pass while one runs.
pub const LONG_EXPIRY_S: u32 = 3600;

/// True if a Reason Code refuses (5.0, section 2.4). In 3.1.1 only a SUBACK has such a code.
pub fn is_failure(code: u8) -> bool {
    code >= 0x80
}

/// True if the code of a CONNACK refuses everybody for now, and not this client: server unavailable, server busy, quota
/// exceeded, connection rate exceeded (3.1.1, section 3.2.2.3; 5.0, section 3.2.2.2).
pub fn has_no_room(connack_code: u8) -> bool {
    matches!(connack_code, 0x03 | 0x88 | 0x89 | 0x97 | 0x9f)
}

/// How many seconds a session outlives its connection, by what its CONNECT asked for or what the CONNACK granted in its
/// place (3.1.1 MQTT-3.1.2-4; 5.0, sections 3.1.2.11.2 and 3.2.2.3.2). A session of 3.1.1 has no end of its own.
pub fn session_expiry_s(protocol: Protocol, clean: bool, interval: Option<u32>) -> u32 {
    match protocol {
        Protocol::V3 if clean => 0,
        Protocol::V3 => u32::MAX,
        Protocol::V5 => interval.unwrap_or(0),
    }
}

/// True if a session outlives its connection.
pub fn session_persists(protocol: Protocol, clean: bool, interval: Option<u32>) -> bool {
    session_expiry_s(protocol, clean, interval) > 0
}

/// True if a CONNECT without a Client Identifier asks for a session that persists: 3.1.1 forbids it to the client
/// (MQTT-3.1.3-7), and the broker has to refuse it (MQTT-3.1.3-8).
pub fn must_be_refused(protocol: Protocol, has_client_id: bool, clean: bool) -> bool {
    protocol == Protocol::V3 && !has_client_id && !clean
}

/// True if a subscription that is not shared brings a message on this topic. `is_own` is true if the subscriber's own
/// Client Identifier published the message: No Local leaves it out then (5.0 MQTT-3.8.3-3).
pub fn brings(filter: &Filter, topic: &str, is_own: bool) -> bool {
    let left_out = is_own && filter.no_local;
    topic::share_name(&filter.filter).is_none() && !left_out && topic::matches(&filter.filter, topic)
}

/// The highest QoS that was granted by the subscriptions that bring a message; `None` if none of them does.
pub fn granted_qos<'a>(
    subscriptions: impl IntoIterator<Item = (&'a Filter, u8)>,
    topic: &str,
    is_own: bool,
) -> Option<u8> {
    let bringing = subscriptions.into_iter().filter(|(filter, _)| brings(filter, topic, is_own));
    bringing.map(|(_, granted)| granted).max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_local_leaves_out_only_what_its_own_filter_matches() {
        let no_local = Filter { no_local: true, ..Filter::new("u", 1) };
        let all = Filter::new("+", 1);
        let plain = Filter::new("t", 2);
        let subscriptions = || [(&no_local, 1), (&plain, 2), (&all, 0)];
        assert_eq!(granted_qos(subscriptions(), "t", true), Some(2));
        assert_eq!(granted_qos(subscriptions(), "u", false), Some(1));
        // The overlapping subscription without No Local still brings it.
        assert_eq!(granted_qos(subscriptions(), "u", true), Some(0));
        assert_eq!(granted_qos([(&no_local, 1)], "u", true), None);
    }

    #[test]
    fn a_shared_subscription_is_not_the_sessions_own() {
        let shared = Filter::new("$share/g/t", 1);
        assert_eq!(granted_qos([(&shared, 1)], "t", false), None);
    }

    #[test]
    fn which_sessions_outlive_their_connection() {
        for (protocol, clean, interval, persists) in [
            (Protocol::V3, true, None, false),
            (Protocol::V3, false, None, true),
            (Protocol::V5, false, None, false),
            (Protocol::V5, false, Some(0), false),
            (Protocol::V5, true, Some(1), true),
        ] {
            assert_eq!(session_persists(protocol, clean, interval), persists, "{protocol} {clean} {interval:?}");
        }
    }
}
