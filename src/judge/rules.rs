//! The rules that the judge cites: each names its statement in 3.1.1 and in 5.0, once.
//!
//! The text and the level of a statement stand in [`crate::statement`]. A test holds each id against that list, so that a
//! mistyped one fails.

use crate::packet::Protocol;
use crate::results::Level;
use crate::statement;

/// A rule with its statement in each protocol version; `None` where the version has no such rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Rule {
    v3: Option<&'static str>,
    v5: Option<&'static str>,
}

impl Rule {
    /// The id of its statement in this version.
    pub fn id(self, protocol: Protocol) -> Option<&'static str> {
        match protocol {
            Protocol::V3 => self.v3,
            Protocol::V5 => self.v5,
        }
    }

    /// How strongly the statement speaks in this version; `None` where the version has no such rule.
    pub fn level(self, protocol: Protocol) -> Option<Level> {
        let id = self.id(protocol)?;
        Some(statement::find(protocol, id).map_or(Level::None, |statement| statement.level))
    }
}

/// Whether two statements, each with the version that has it, are those of one rule.
pub fn is_one_rule(one: (Protocol, &str), other: (Protocol, &str)) -> bool {
    let has = |rule: &Rule, (protocol, id): (Protocol, &str)| rule.id(protocol) == Some(id);
    ALL.iter().any(|(_, rule)| has(rule, one) && has(rule, other))
}

/// Declares the rules, and a list of all of them.
macro_rules! rules {
    ($($(#[$doc:meta])* $name:ident: $v3:tt, $v5:tt;)*) => {
        $($(#[$doc])* pub const $name: Rule = Rule { v3: rules!(@id $v3), v5: rules!(@id $v5) };)*

        const ALL: &[(&str, Rule)] = &[$((stringify!($name), $name),)*];
    };
    (@id none) => { None };
    (@id $id:literal) => { Some($id) };
}

rules! {
    // CONNECT and CONNACK.
    CONNACK_FIRST: "MQTT-3.2.0-1", "MQTT-3.2.0-1";
    ANSWERS_CONNECT: "MQTT-3.1.4-4", "MQTT-3.1.4-5";
    ONE_CONNACK: none, "MQTT-3.2.0-2";
    NO_AUTHENTICATION_UNASKED: none, "MQTT-4.12.0-6";
    PRESENT_0_AFTER_CLEAN: "MQTT-3.2.2-1", "MQTT-3.2.2-2";
    PRESENT_1_WITH_SESSION: "MQTT-3.2.2-2", "MQTT-3.2.2-3";
    PRESENT_0_WITHOUT_SESSION: "MQTT-3.2.2-3", "MQTT-3.2.2-3";
    PRESENT_0_WITH_ERROR: "MQTT-3.2.2-4", "MQTT-3.2.2-6";
    KEPT_WHEN_STOPPED: "4.1", "4.1";
    KEEPS_THE_SESSION: "MQTT-3.1.2-4", "MQTT-3.1.2-23";
    IDENTIFIES_THE_SESSION: "MQTT-3.1.3-2", "MQTT-3.1.3-2";
    CLOSES_AFTER_REFUSAL: "MQTT-3.2.2-5", "MQTT-3.2.2-7";
    ACCEPTS_PLAIN_IDENTIFIERS: "MQTT-3.1.3-5", "MQTT-3.1.3-5";
    REFUSES_A_SESSION_WITHOUT_IDENTIFIER: "MQTT-3.1.3-8", none;
    RETURNS_THE_ASSIGNED_IDENTIFIER: none, "MQTT-3.1.3-7";
    ASSIGNS_A_NEW_IDENTIFIER: none, "MQTT-3.2.2-16";
    // Ends of connections.
    DISCONNECTS_THE_OLDER: "MQTT-3.1.4-2", "MQTT-3.1.4-3";
    CLOSES_AFTER_ITS_DISCONNECT: none, "MQTT-3.14.4-2";
    NOTHING_AFTER_ITS_DISCONNECT: none, "MQTT-3.14.4-1";
    NO_EXPIRY_IN_ITS_DISCONNECT: none, "MQTT-3.14.2-2";
    ENDS_A_SILENT_CONNECTION: "MQTT-3.1.2-24", "MQTT-3.1.2-22";
    CLOSES_AFTER_DISCONNECT: "3.14.4", "3.14.4";
    /// 3.1.1 knows DISCONNECT from clients alone.
    NO_DISCONNECT_FROM_A_SERVER: "3.14", none;
    /// A broker may close a connection on an error of the client's, and the client has made none.
    CLOSES_WITHOUT_CAUSE: "4.8", "4.13";
    RESERVED_FLAGS: "MQTT-2.2.2-1", "MQTT-2.1.3-1";
    PROPERTIES_OF_ITS_TYPE: none, "2.2.2.2";
    MALFORMED_PACKET: "2.1", "2.1";
    NO_QOS_3: "MQTT-3.3.1-4", "MQTT-3.3.1-4";
    A_TOPIC_HAS_A_CHARACTER: "MQTT-4.7.3-1", "MQTT-4.7.3-1";
    FLAGS_OF_CONNACK: "3.2.2", "MQTT-3.2.2-1";
    WELL_FORMED_TEXT: "MQTT-1.5.3-1", "MQTT-1.5.4-1";
    NO_NULL_CHARACTER: "MQTT-1.5.3-2", "MQTT-1.5.4-2";
    // Properties of CONNACK: how often each may stand, and with which values.
    SESSION_EXPIRY_OF_CONNACK: none, "3.2.2.3.2";
    RECEIVE_MAXIMUM_OF_CONNACK: none, "3.2.2.3.3";
    MAXIMUM_QOS_OF_CONNACK: none, "3.2.2.3.4";
    RETAIN_AVAILABLE_OF_CONNACK: none, "3.2.2.3.5";
    MAXIMUM_PACKET_SIZE_OF_CONNACK: none, "3.2.2.3.6";
    ASSIGNED_IDENTIFIER_OF_CONNACK: none, "3.2.2.3.7";
    TOPIC_ALIAS_MAXIMUM_OF_CONNACK: none, "3.2.2.3.8";
    REASON_STRING_OF_CONNACK: none, "3.2.2.3.9";
    WILDCARDS_OF_CONNACK: none, "3.2.2.3.11";
    SUBSCRIPTION_IDENTIFIERS_OF_CONNACK: none, "3.2.2.3.12";
    SHARED_SUBSCRIPTIONS_OF_CONNACK: none, "3.2.2.3.13";
    KEEP_ALIVE_OF_CONNACK: none, "3.2.2.3.14";
    RESPONSE_INFORMATION_OF_CONNACK: none, "3.2.2.3.15";
    SERVER_REFERENCE_OF_CONNACK: none, "3.2.2.3.16";
    AUTHENTICATION_METHOD_OF_CONNACK: none, "3.2.2.3.17";
    AUTHENTICATION_DATA_OF_CONNACK: none, "3.2.2.3.18";
    // Reason codes, as the standard lists them for each type of packet.
    CODES_OF_PUBACK: none, "MQTT-3.4.2-1";
    CODES_OF_PUBREC: none, "MQTT-3.5.2-1";
    CODES_OF_PUBREL: none, "MQTT-3.6.2-1";
    CODES_OF_PUBCOMP: none, "MQTT-3.7.2-1";
    CODES_OF_SUBACK: "MQTT-3.9.3-2", "MQTT-3.9.3-2";
    CODES_OF_UNSUBACK: none, "MQTT-3.11.3-2";
    CODES_OF_DISCONNECT: none, "MQTT-3.14.2-1";
    // Answers.
    ACKS_HAVE_THEIR_ID: "MQTT-2.3.1-6", "MQTT-2.2.1-5";
    ANSWER_OF_THE_QOS: "MQTT-3.3.4-1", "MQTT-3.3.4-1";
    ANSWERS_PUBREC: "MQTT-4.3.3-1", "MQTT-4.3.3-4";
    ANSWERS_PUBREL: "MQTT-4.3.3-2", "MQTT-4.3.3-11";
    ANSWERS_SUBSCRIBE: "MQTT-3.8.4-1", "MQTT-3.8.4-1";
    SUBACK_HAS_ITS_ID: "MQTT-3.8.4-2", "MQTT-3.8.4-2";
    ANSWERS_UNSUBSCRIBE: "MQTT-3.10.4-4", "MQTT-3.10.4-4";
    ANSWERS_PINGREQ: "MQTT-3.12.4-1", "MQTT-3.12.4-1";
    /// A full window holds up PUBLISH packets and nothing else.
    NOTHING_ELSE_WAITS_FOR_THE_WINDOW: "MQTT-3.12.4-1", "MQTT-3.3.4-10";
    UNANNOUNCED_QOS: none, "MQTT-3.2.2-9";
    UNANNOUNCED_RETAIN: none, "3.2.2.3.5";
    // Subscriptions.
    A_CODE_FOR_EACH_FILTER: "MQTT-3.8.4-5", "MQTT-3.8.4-6";
    A_CODE_THAT_GRANTS_OR_REFUSES: "MQTT-3.8.4-5", "MQTT-3.8.4-7";
    CODES_IN_THE_ORDER_OF_THE_FILTERS: "MQTT-3.9.3-1", "MQTT-3.9.3-1";
    SUBSCRIBE_AT_ANY_QOS: none, "MQTT-3.2.2-10";
    REPLACES_THE_SUBSCRIPTION: "MQTT-3.8.4-3", "MQTT-3.8.4-3";
    REPLACING_LOSES_NOTHING: "MQTT-3.8.4-3", "MQTT-3.8.4-4";
    UNSUBSCRIBE_STOPS: "MQTT-3.10.4-2", "MQTT-3.10.4-2";
    UNSUBSCRIBE_DELETES: "MQTT-3.10.4-1", "MQTT-3.10.4-1";
    DELIVERY_IS_COMPLETED: "MQTT-3.10.4-3", "MQTT-3.10.4-3";
    NOT_TO_ITS_OWN_PUBLISHER: none, "MQTT-3.8.3-3";
    WILDCARDS_DO_NOT_MATCH_DOLLAR: "MQTT-4.7.2-1", "MQTT-4.7.2-1";
    NO_SUBSCRIPTION_EXPLAINS_IT: "4.5", "4.5";
    OVERLAP_AT_THE_HIGHEST_QOS: "MQTT-3.3.5-1", "MQTT-3.3.4-2";
    CARRIES_ITS_IDENTIFIER: none, "MQTT-3.3.4-3";
    ONE_COPY_CARRIES_ALL_IDENTIFIERS: none, "MQTT-3.3.4-4";
    EACH_COPY_CARRIES_ITS_OWN_IDENTIFIER: none, "MQTT-3.3.4-5";
    // Deliveries.
    QOS_IS_THE_MINIMUM: "MQTT-3.8.4-6", "MQTT-3.8.4-8";
    DUP_0_AT_QOS_0: "MQTT-3.3.1-2", "MQTT-3.3.1-2";
    DUP_0_ON_A_FIRST_COPY: "MQTT-3.3.1-3", "MQTT-3.3.1-3";
    DUP_1_ON_A_RESENT_COPY: "MQTT-3.3.1-1", "MQTT-3.3.1-1";
    RETAIN_0_ON_AN_ESTABLISHED_SUBSCRIPTION: "MQTT-3.3.1-9", "MQTT-3.3.1-12";
    RETAIN_AS_PUBLISHED: none, "MQTT-3.3.1-13";
    NO_WILDCARD_IN_A_TOPIC: "MQTT-3.3.2-2", "MQTT-3.3.2-2";
    IN_THE_ORDER_OF_PUBLICATION: "MQTT-4.6.0-6", "MQTT-4.6.0-5";
    /// 5.0 orders the PUBRELs of a client alone.
    PUBRELS_IN_THE_ORDER_OF_PUBRECS: "MQTT-4.6.0-6", none;
    // Retained messages.
    RETAIN_1_ON_A_RETAINED_COPY: "MQTT-3.3.1-8", "3.8.3.1";
    STORED_WITH_ITS_QOS: "MQTT-3.3.1-5", "MQTT-3.3.1-5";
    RETAIN_0_IS_NOT_STORED: "MQTT-3.3.1-12", "MQTT-3.3.1-8";
    THE_LAST_RETAINED_MESSAGE: "MQTT-3.3.1-6", "MQTT-3.3.1-5";
    QOS_0_REPLACES_TOO: "MQTT-3.3.1-7", "MQTT-3.3.1-5";
    AN_EMPTY_MESSAGE_CLEARS: "MQTT-3.3.1-10", "MQTT-3.3.1-6";
    AN_EMPTY_MESSAGE_IS_NOT_STORED: "MQTT-3.3.1-11", "MQTT-3.3.1-7";
    AN_EMPTY_MESSAGE_IS_FORWARDED: "MQTT-3.3.1-10", "MQTT-3.3.1-6";
    RETAINED_TO_A_SUBSCRIPTION: "MQTT-3.3.1-6", "MQTT-3.3.1-9";
    /// Retain Handling 1: to a subscription that is new, and to no other.
    RETAIN_HANDLING_1: none, "MQTT-3.3.1-10";
    RETAIN_HANDLING_2: none, "MQTT-3.3.1-11";
    RETAINED_OUTLIVES_THE_SESSION: "MQTT-3.1.2-7", "MQTT-3.3.1-9";
    // Sessions.
    A_DISCARDED_SESSION_IS_NOT_USED: "MQTT-3.1.2-6", "MQTT-3.1.2-4";
    AN_EXPIRED_SESSION_IS_DISCARDED: none, "MQTT-4.1.0-2";
    STORED_FOR_THE_SESSION: "MQTT-3.1.2-5", "MQTT-4.5.0-1";
    ADDED_TO_THE_SESSION: "MQTT-4.5.0-1", "MQTT-4.5.0-1";
    LASTS_AS_LONG_AS_ITS_CONNECTION: "MQTT-4.1.0-2", "MQTT-4.1.0-1";
    BEHIND_A_TOO_LARGE_MESSAGE: none, "MQTT-3.1.2-25";
    // Handshakes, and what a resumed session sends again.
    AN_IDENTIFIER_IS_NOT_0: "MQTT-2.3.1-1", "MQTT-2.2.1-4";
    AN_UNUSED_IDENTIFIER: "MQTT-2.3.1-4", "MQTT-2.2.1-4";
    AN_IDENTIFIER_IS_NEW_AFTER_PUBACK: "MQTT-4.3.2-2", "MQTT-4.3.2-5";
    AN_IDENTIFIER_IS_NEW_AFTER_PUBCOMP: "MQTT-4.3.3-2", "MQTT-4.3.3-12";
    EXACTLY_ONCE_ON_A_FURTHER_CONNECTION: "MQTT-4.3.3-1", "MQTT-4.3.3-6";
    EXACTLY_ONCE_ON_ONE_CONNECTION: "MQTT-4.3.3-1", "MQTT-4.4.0-1";
    ACKNOWLEDGED_IS_NOT_RESENT: "4.3.2", "MQTT-4.4.0-1";
    AT_MOST_ONCE: "4.3.1", "MQTT-4.4.0-1";
    TAKEN_IN_ONCE: "MQTT-4.3.3-2", "MQTT-4.3.3-10";
    REFUSED_IS_NOT_RESENT: none, "MQTT-4.4.0-2";
    RESENT_ONLY_ON_RESUME: none, "MQTT-4.4.0-1";
    SENT_AGAIN_ON_RESUME: "MQTT-4.4.0-1", "MQTT-4.4.0-1";
    NO_EXPIRY_UNDER_WAY: none, "MQTT-4.3.3-7";
    // Limits that a client announces.
    RECEIVE_MAXIMUM: none, "MQTT-3.3.4-9";
    RECEIVE_MAXIMUM_OF_THIS_CONNECTION: none, "MQTT-4.9.0-1";
    MAXIMUM_PACKET_SIZE: none, "MQTT-3.1.2-24";
    NO_ALIAS_UNASKED: none, "MQTT-3.1.2-27";
    NO_ALIAS_ABOVE_THE_MAXIMUM: none, "MQTT-3.1.2-26";
    NO_ALIAS_0: none, "MQTT-3.3.2-8";
    ALIASES_END_WITH_THE_CONNECTION: none, "MQTT-3.3.2-7";
    AN_ALIAS_HAS_A_TOPIC: none, "3.3.2.3.4";
    // Properties.
    PAYLOAD_FORMAT: none, "MQTT-3.3.2-4";
    RESPONSE_TOPIC: none, "MQTT-3.3.2-15";
    CORRELATION_DATA: none, "MQTT-3.3.2-16";
    USER_PROPERTIES: none, "MQTT-3.3.2-17";
    ORDER_OF_USER_PROPERTIES: none, "MQTT-3.3.2-18";
    CONTENT_TYPE: none, "MQTT-3.3.2-20";
    AN_EXPIRED_MESSAGE_IS_DELETED: none, "MQTT-3.3.2-5";
    EXPIRY_LESS_THE_WAITING_TIME: none, "MQTT-3.3.2-6";
    // Shared subscriptions.
    AT_THE_QOS_OF_THE_CLIENT: none, "MQTT-4.8.2-3";
    COMPLETED_TO_THE_SAME_CLIENT: none, "MQTT-4.8.2-4";
    TO_NOBODY_ELSE_AFTER_THE_SESSION: none, "MQTT-4.8.2-5";
    REFUSED_GOES_TO_NOBODY_ELSE: none, "MQTT-4.8.2-6";
    /// One client of the group gets each message, and none gets a retained one.
    SHARED_SUBSCRIPTIONS: none, "4.8.2";
    // Wills.
    WILL_PUBLISHED_AT_THE_END: "MQTT-3.1.2-8", "MQTT-3.1.2-8";
    WILL_DISCARDED_AT_DISCONNECT: "MQTT-3.14.4-3", "MQTT-3.14.4-3";
    WILL_REMOVED_ONCE_PUBLISHED: "MQTT-3.1.2-10", "MQTT-3.1.2-10";
    NO_WILL_NONE_PUBLISHED: "MQTT-3.1.2-12", "MQTT-3.1.2-10";
    WILL_RETAIN_0: "MQTT-3.1.2-16", "MQTT-3.1.2-14";
    WILL_RETAIN_1: "MQTT-3.1.2-17", "MQTT-3.1.2-15";
    WILL_NOT_BEFORE_ITS_DELAY: none, "MQTT-3.1.3-9";
    WILL_QOS_ABOVE_MAXIMUM: none, "MQTT-3.2.2-12";
    WILL_RETAIN_UNSUPPORTED: none, "MQTT-3.2.2-13";
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statement::Duty;

    #[test]
    fn every_rule_names_statements_that_are_judged() {
        for (name, rule) in ALL {
            assert!(rule.v3.is_some() || rule.v5.is_some(), "{name}");
            for protocol in Protocol::ALL {
                let Some(id) = rule.id(protocol) else { continue };
                let duty = statement::find(protocol, id).map(|statement| statement.duty);
                assert_eq!(duty, Some(Duty::Judged), "{name}: {protocol} {id}");
            }
        }
    }

    #[test]
    fn every_judged_statement_has_a_rule() {
        for protocol in Protocol::ALL {
            for statement in statement::statements(protocol).iter().filter(|s| s.duty == Duty::Judged) {
                let has_rule = ALL.iter().any(|(_, rule)| rule.id(protocol) == Some(statement.id));
                assert!(has_rule, "{protocol} {}", statement.id);
            }
        }
    }
}
