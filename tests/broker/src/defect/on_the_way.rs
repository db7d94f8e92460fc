//! What can be wrong with a copy of a message, on one of the ways in which it comes to a client.
//!
//! A tester that looks at one way closely and at another not at all misses a lie that is told there alone.

use mqtt_sessions::packet::Protocol;

/// An enum whose variants know their own documentation.
macro_rules! described {
    ($(#[$meta:meta])* $name:ident { $($(#[doc = $doc:literal])+ $variant:ident,)* }) => {
        $(#[$meta])*
        pub enum $name {
            $($(#[doc = $doc])+ $variant,)*
        }

        impl $name {
            /// In words, the first of them as in the middle of a sentence, without a full stop.
            fn words(self) -> String {
                let doc = match self { $($name::$variant => concat!($($doc),+),)* };
                let doc = doc.trim().trim_end_matches('.');
                doc[..1].to_lowercase() + &doc[1..]
            }
        }
    };
}

described! {
/// The way in which a copy of a message comes to a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
Way {
    /// To a subscriber that is there.
    Live,
    /// To a subscriber that was away, when it returns.
    Queued,
    /// Once more, since it was not acknowledged.
    Resent,
    /// Because of a SUBSCRIBE.
    RetainedCopy,
    /// As the will of a client, to a subscriber that is there or was away.
    Will,
    /// To one member of a group.
    Shared,
}
}

impl Way {
    pub const ALL: [Way; 6] = [Way::Live, Way::Queued, Way::Resent, Way::RetainedCopy, Way::Will, Way::Shared];

    pub fn name(self) -> &'static str {
        match self {
            Way::Live => "live",
            Way::Queued => "queued",
            Way::Resent => "resent",
            Way::RetainedCopy => "retained copy",
            Way::Will => "will",
            Way::Shared => "shared",
        }
    }
}

described! {
/// What is wrong with a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
Fault {
    /// Above QoS 0 it never comes. A will is lost only to subscribers that are away.
    Lost,
    /// Above QoS 0 it comes twice, under two identifiers where it is not sent again.
    Twice,
    /// It is delivered at QoS 0.
    AtQos0,
    /// It is delivered at one QoS more.
    QosRaised,
    /// Its RETAIN flag is the other one.
    RetainFlipped,
    /// Its first PUBLISH above QoS 0 has DUP 1.
    DupOnFirst,
    /// Its PUBLISH at QoS 0 has DUP 1.
    DupAtQos0,
    /// Above QoS 0, or as a will, it has another payload.
    PayloadChanged,
    /// It has no Subscription Identifier.
    NoSubscriptionId,
    /// It has none of the properties that are passed on unaltered.
    PropertiesDropped,
    /// Its Message Expiry Interval is the one that was published, however long it has waited.
    ExpiryKept,
    /// It comes although it has expired.
    Expired,
    /// It comes to its own publisher in spite of No Local.
    ToItsPublisher,
    /// Its Packet Identifier is in use.
    IdInUse,
    /// It does not wait for the client's Receive Maximum.
    BeyondWindow,
    /// It comes although it is larger than the client's Maximum Packet Size.
    TooLarge,
    /// Its User Properties are sorted.
    UserPropertiesSorted,
    /// Where several subscriptions match, it is served by the one with the lowest QoS.
    LowestOfOverlap,
    /// Where it serves several subscriptions, it has one of their Subscription Identifiers.
    OneIdOfOverlap,
    /// Where a copy is sent for each subscription, it has the Subscription Identifiers of all.
    AllIdsOfOverlap,
    /// It comes to a subscription that has ended.
    AfterUnsubscribe,
    /// If it is a retained message of zero bytes, it is not forwarded.
    EmptyNotForwarded,
}
}

/// One fault on one way, with the statements that it may break.
pub struct OnTheWay {
    pub name: &'static str,
    pub fault: Fault,
    pub way: Way,
    pub statements: &'static [(Protocol, &'static str)],
    /// A message that the harness proves things by may be lost, after which nothing can be proven.
    pub silent: bool,
}

impl OnTheWay {
    /// What a broker does that tells this lie, in one sentence.
    pub fn description(&self) -> String {
        format!("A copy that comes {}: {}.", self.way.words(), self.fault.words())
    }
}

macro_rules! on_the_way {
    ($($name:literal $fault:ident $way:ident $($silent:ident)? { $($v3:literal)* | $($v5:literal)* })*) => {
        pub const ON_THE_WAY: &[OnTheWay] = &[$(OnTheWay {
            name: $name,
            fault: Fault::$fault,
            way: Way::$way,
            statements: &[$((Protocol::V3, $v3),)* $((Protocol::V5, $v5),)*],
            silent: on_the_way!(@silent $($silent)?),
        },)*];
    };
    (@silent silent) => { true };
    (@silent) => { false };
}

on_the_way! {
    "live-lost" Lost Live silent { "MQTT-4.5.0-1" | "MQTT-4.5.0-1" }
    "will-lost-to-absent" Lost Will { "MQTT-3.1.2-5" "MQTT-4.5.0-1" | "MQTT-4.5.0-1" "MQTT-3.1.2-23" }
    "shared-lost" Lost Shared silent { | "MQTT-4.5.0-1" "4.8.2" }

    "live-twice" Twice Live
        { "MQTT-3.3.1-1" "MQTT-4.3.2-1" "4.3.2" "MQTT-3.3.5-1" "MQTT-4.4.0-1" "MQTT-4.6.0-6" "MQTT-4.3.3-1" "MQTT-4.3.3-2"
        | "MQTT-3.3.1-1" "MQTT-4.3.2-1" "MQTT-4.4.0-1" "MQTT-3.3.4-2" "MQTT-4.6.0-5" "MQTT-3.3.4-5" "MQTT-4.3.3-1" "MQTT-4.3.3-6" "MQTT-4.3.3-10" }
    "queued-twice" Twice Queued
        { "MQTT-3.3.1-1" "MQTT-4.3.2-1" "4.3.2" "MQTT-3.3.5-1" "MQTT-4.4.0-1" "MQTT-4.6.0-6" "MQTT-4.3.3-1" "MQTT-4.3.3-2"
        | "MQTT-3.3.1-1" "MQTT-4.3.2-1" "MQTT-4.4.0-1" "MQTT-3.3.4-2" "MQTT-4.6.0-5" "MQTT-3.3.4-5" "MQTT-4.3.3-1" "MQTT-4.3.3-6" "MQTT-4.3.3-10" }
    "resent-twice" Twice Resent { | "MQTT-4.4.0-1" "MQTT-3.3.4-9" "MQTT-4.9.0-1" }
    "retained-twice" Twice RetainedCopy
        { "MQTT-3.3.1-1" "MQTT-4.3.2-1" "4.3.2" "MQTT-4.4.0-1" "MQTT-4.3.3-1" "MQTT-3.3.1-6" "MQTT-3.8.4-3"
        | "MQTT-3.3.1-1" "MQTT-4.3.2-1" "MQTT-4.4.0-1" "MQTT-4.3.3-1" "MQTT-4.3.3-6" "MQTT-3.3.1-9" "MQTT-3.3.1-10" "MQTT-3.8.4-4" }
    "shared-twice" Twice Shared
        { | "MQTT-3.3.1-1" "MQTT-4.3.2-1" "MQTT-4.4.0-1" "MQTT-4.3.3-1" "MQTT-4.3.3-6" "MQTT-4.3.3-10" "4.8.2" }

    "live-at-qos0" AtQos0 Live { "MQTT-3.8.4-6" "MQTT-3.3.5-1" "MQTT-4.5.0-1" | "MQTT-3.8.4-8" "MQTT-3.3.4-2" "MQTT-4.5.0-1" }
    "queued-at-qos0" AtQos0 Queued
        { "MQTT-3.8.4-6" "MQTT-3.3.5-1" "MQTT-3.1.2-5" "MQTT-4.5.0-1" | "MQTT-3.8.4-8" "MQTT-3.3.4-2" "MQTT-4.5.0-1" "MQTT-3.1.2-23" }
    "retained-copy-at-qos0" AtQos0 RetainedCopy
        { "MQTT-3.8.4-6" "MQTT-3.3.1-5" "MQTT-3.3.1-6" "MQTT-3.8.4-3" | "MQTT-3.8.4-8" "MQTT-3.3.1-5" "MQTT-3.3.1-9" "MQTT-3.8.4-4" }
    "will-at-qos0" AtQos0 Will { "MQTT-3.8.4-6" "MQTT-3.1.2-8" | "MQTT-3.8.4-8" "MQTT-3.1.2-8" }
    "shared-at-qos0" AtQos0 Shared { | "MQTT-3.8.4-8" "MQTT-4.8.2-3" "MQTT-4.5.0-1" }

    "live-qos-raised" QosRaised Live { "MQTT-3.8.4-6" "MQTT-3.8.4-3" | "MQTT-3.8.4-8" "MQTT-3.8.4-3" }
    "queued-qos-raised" QosRaised Queued { "MQTT-3.8.4-6" "MQTT-3.8.4-3" | "MQTT-3.8.4-8" "MQTT-3.8.4-3" }
    "retained-copy-qos-raised" QosRaised RetainedCopy { "MQTT-3.8.4-6" | "MQTT-3.8.4-8" }
    "resent-qos-raised" QosRaised Resent silent
        { "MQTT-3.8.4-6" "MQTT-4.4.0-1" "MQTT-4.3.2-1" "MQTT-4.3.3-1" "4.3.2" "MQTT-3.10.4-3" | "MQTT-3.8.4-8" "MQTT-4.8.2-3" "MQTT-4.4.0-1" "MQTT-4.3.3-4" "MQTT-4.3.3-6" "MQTT-4.5.0-1" "MQTT-4.1.0-1" "MQTT-3.10.4-3" }
    "will-qos-raised" QosRaised Will { "MQTT-3.8.4-6" | "MQTT-3.8.4-8" }

    "live-retain-flipped" RetainFlipped Live { "MQTT-3.3.1-9" | "MQTT-3.3.1-12" "MQTT-3.3.1-13" }
    "queued-retain-flipped" RetainFlipped Queued { "MQTT-3.3.1-9" | "MQTT-3.3.1-12" "MQTT-3.3.1-13" }
    "resent-retain-flipped" RetainFlipped Resent
        { "MQTT-3.3.1-9" "MQTT-3.3.1-8" "MQTT-4.4.0-1" | "MQTT-3.3.1-12" "MQTT-3.3.1-13" "3.8.3.1" "MQTT-4.4.0-1" }
    "will-retain-flipped" RetainFlipped Will { "MQTT-3.3.1-9" | "MQTT-3.3.1-12" "MQTT-3.3.1-13" }
    "shared-retain-flipped" RetainFlipped Shared { | "MQTT-3.3.1-12" "MQTT-3.3.1-13" }

    "live-dup-on-first" DupOnFirst Live
        { "MQTT-3.3.1-3" "MQTT-4.3.2-1" "MQTT-4.3.3-1" "4.3.2" | "MQTT-3.3.1-3" "MQTT-4.3.2-2" "MQTT-4.3.3-2" "MQTT-4.4.0-1" }
    "retained-copy-dup-on-first" DupOnFirst RetainedCopy
        { "MQTT-3.3.1-3" "MQTT-4.3.2-1" "MQTT-4.3.3-1" "4.3.2" | "MQTT-3.3.1-3" "MQTT-4.3.2-2" "MQTT-4.3.3-2" "MQTT-4.4.0-1" }
    "will-dup-on-first" DupOnFirst Will
        { "MQTT-3.3.1-3" "MQTT-4.3.2-1" "MQTT-4.3.3-1" "4.3.2" | "MQTT-3.3.1-3" "MQTT-4.3.2-2" "MQTT-4.3.3-2" "MQTT-4.4.0-1" }
    "shared-dup-on-first" DupOnFirst Shared { | "MQTT-3.3.1-3" "MQTT-4.3.2-2" "MQTT-4.3.3-2" "MQTT-4.4.0-1" }

    "live-dup-at-qos0" DupAtQos0 Live { "MQTT-3.3.1-2" "MQTT-4.3.1-1" | "MQTT-3.3.1-2" "MQTT-4.3.1-1" }
    "queued-dup-at-qos0" DupAtQos0 Queued { "MQTT-3.3.1-2" "MQTT-4.3.1-1" | "MQTT-3.3.1-2" "MQTT-4.3.1-1" }
    "retained-copy-dup-at-qos0" DupAtQos0 RetainedCopy { "MQTT-3.3.1-2" "MQTT-4.3.1-1" | "MQTT-3.3.1-2" "MQTT-4.3.1-1" }
    "will-dup-at-qos0" DupAtQos0 Will { "MQTT-3.3.1-2" "MQTT-4.3.1-1" | "MQTT-3.3.1-2" "MQTT-4.3.1-1" }
    "shared-dup-at-qos0" DupAtQos0 Shared { | "MQTT-3.3.1-2" "MQTT-4.3.1-1" }

    "live-payload-changed" PayloadChanged Live silent { "MQTT-4.5.0-1" "MQTT-4.4.0-1" "4.5" | "MQTT-4.5.0-1" "MQTT-4.4.0-1" "4.5" }
    "resent-payload-changed" PayloadChanged Resent
        { "MQTT-4.4.0-1" "MQTT-3.1.2-5" "MQTT-4.5.0-1" "MQTT-3.10.4-3" "MQTT-2.3.1-4" "4.5" | "MQTT-4.4.0-1" "MQTT-4.5.0-1" "MQTT-3.10.4-3" "MQTT-2.2.1-4" "4.5" }
    "retained-copy-payload-changed" PayloadChanged RetainedCopy
        { "MQTT-3.3.1-5" "MQTT-3.3.1-6" "MQTT-3.8.4-3" "MQTT-3.1.2-17" "MQTT-4.4.0-1" "4.5" | "MQTT-4.4.0-1" "MQTT-3.3.1-5" "MQTT-3.3.1-9" "MQTT-3.3.1-10" "MQTT-3.8.4-4" "MQTT-3.1.2-15" "4.5" }
    "will-payload-changed" PayloadChanged Will silent
        { "MQTT-3.1.2-8" "MQTT-3.1.2-5" "MQTT-4.5.0-1" "MQTT-4.4.0-1" "4.5" | "MQTT-3.1.2-8" "MQTT-4.4.0-1" "MQTT-4.5.0-1" "MQTT-3.1.2-23" "4.5" }
    "shared-payload-changed" PayloadChanged Shared silent { | "MQTT-4.5.0-1" "MQTT-4.4.0-1" "4.5" "4.8.2" }

    "live-without-subscription-id" NoSubscriptionId Live { | "MQTT-3.3.4-3" "MQTT-3.3.4-4" "MQTT-3.3.4-5" }
    "resent-without-subscription-id" NoSubscriptionId Resent { | "MQTT-3.3.4-3" "MQTT-3.3.4-4" "MQTT-3.3.4-5" "MQTT-4.4.0-1" }
    "retained-copy-without-subscription-id" NoSubscriptionId RetainedCopy { | "MQTT-3.3.4-3" }
    "will-without-subscription-id" NoSubscriptionId Will { | "MQTT-3.3.4-3" "MQTT-3.3.4-4" "MQTT-3.3.4-5" }
    "shared-without-subscription-id" NoSubscriptionId Shared { | "MQTT-3.3.4-3" }

    "live-without-properties" PropertiesDropped Live
        { | "MQTT-3.3.2-4" "MQTT-3.3.2-15" "MQTT-3.3.2-16" "MQTT-3.3.2-17" "MQTT-3.3.2-18" "MQTT-3.3.2-20" }
    "resent-without-properties" PropertiesDropped Resent
        { | "MQTT-3.3.2-4" "MQTT-3.3.2-15" "MQTT-3.3.2-16" "MQTT-3.3.2-17" "MQTT-3.3.2-18" "MQTT-3.3.2-20" "MQTT-4.4.0-1" }
    "retained-copy-without-properties" PropertiesDropped RetainedCopy
        { | "MQTT-3.3.2-4" "MQTT-3.3.2-15" "MQTT-3.3.2-16" "MQTT-3.3.2-17" "MQTT-3.3.2-18" "MQTT-3.3.2-20" }
    "shared-without-properties" PropertiesDropped Shared
        { | "MQTT-3.3.2-4" "MQTT-3.3.2-15" "MQTT-3.3.2-16" "MQTT-3.3.2-17" "MQTT-3.3.2-18" "MQTT-3.3.2-20" }

    "queued-expiry-kept" ExpiryKept Queued { | "MQTT-3.3.2-6" }
    "resent-expiry-kept" ExpiryKept Resent { | "MQTT-3.3.2-6" }
    "retained-copy-expiry-kept" ExpiryKept RetainedCopy { | "MQTT-3.3.2-6" }
    "shared-expiry-kept" ExpiryKept Shared { | "MQTT-3.3.2-6" }

    "queued-expired" Expired Queued { | "MQTT-3.3.2-5" }
    "retained-copy-expired" Expired RetainedCopy { | "MQTT-3.3.2-5" }
    "shared-expired" Expired Shared { | "MQTT-3.3.2-5" }

    "live-to-its-publisher" ToItsPublisher Live { | "MQTT-3.8.3-3" }
    "will-to-its-publisher" ToItsPublisher Will { | "MQTT-3.8.3-3" }

    "live-id-in-use" IdInUse Live silent
        { "MQTT-2.3.1-4" "MQTT-4.6.0-6" "MQTT-4.3.3-1" "MQTT-4.4.0-1" "MQTT-4.3.3-2" | "MQTT-2.2.1-4" "MQTT-4.3.3-6" "MQTT-4.4.0-1" "MQTT-4.3.3-4" }
    "queued-id-in-use" IdInUse Queued silent
        { "MQTT-2.3.1-4" "MQTT-4.6.0-6" "MQTT-4.3.3-1" "MQTT-4.4.0-1" "MQTT-4.3.3-2" | "MQTT-2.2.1-4" "MQTT-4.3.3-6" "MQTT-4.4.0-1" "MQTT-4.3.3-4" }
    "retained-copy-id-in-use" IdInUse RetainedCopy silent
        { "MQTT-2.3.1-4" "MQTT-4.6.0-6" "MQTT-4.3.3-1" "MQTT-4.4.0-1" "MQTT-4.3.3-2" | "MQTT-2.2.1-4" "MQTT-4.3.3-6" "MQTT-4.4.0-1" "MQTT-4.3.3-4" }
    "will-id-in-use" IdInUse Will silent
        { "MQTT-2.3.1-4" "MQTT-4.6.0-6" "MQTT-4.3.3-1" "MQTT-4.4.0-1" "MQTT-4.3.3-2" | "MQTT-2.2.1-4" "MQTT-4.3.3-6" "MQTT-4.4.0-1" "MQTT-4.3.3-4" }
    "shared-id-in-use" IdInUse Shared silent { | "MQTT-2.2.1-4" "MQTT-4.3.3-6" "MQTT-4.4.0-1" "MQTT-4.3.3-4" }

    "live-beyond-window" BeyondWindow Live { | "MQTT-3.3.4-9" "MQTT-4.9.0-1" "MQTT-4.6.0-5" }
    "queued-beyond-window" BeyondWindow Queued { | "MQTT-3.3.4-9" "MQTT-4.9.0-1" "MQTT-4.6.0-5" }
    "resent-beyond-window" BeyondWindow Resent { | "MQTT-3.3.4-9" "MQTT-4.9.0-1" "MQTT-4.6.0-5" }
    "retained-copy-beyond-window" BeyondWindow RetainedCopy { | "MQTT-3.3.4-9" "MQTT-4.9.0-1" "MQTT-4.6.0-5" }
    "will-beyond-window" BeyondWindow Will { | "MQTT-3.3.4-9" "MQTT-4.9.0-1" "MQTT-4.6.0-5" }
    "shared-beyond-window" BeyondWindow Shared { | "MQTT-3.3.4-9" "MQTT-4.9.0-1" "MQTT-4.6.0-5" }

    "live-too-large" TooLarge Live { | "MQTT-3.1.2-24" }
    "queued-too-large" TooLarge Queued { | "MQTT-3.1.2-24" }
    "resent-too-large" TooLarge Resent { | "MQTT-3.1.2-24" }
    "retained-copy-too-large" TooLarge RetainedCopy { | "MQTT-3.1.2-24" }
    "shared-too-large" TooLarge Shared { | "MQTT-3.1.2-24" }

    "live-user-properties-sorted" UserPropertiesSorted Live { | "MQTT-3.3.2-18" }
    "queued-user-properties-sorted" UserPropertiesSorted Queued { | "MQTT-3.3.2-18" }
    "resent-user-properties-sorted" UserPropertiesSorted Resent { | "MQTT-3.3.2-18" "MQTT-4.4.0-1" }
    "retained-copy-user-properties-sorted" UserPropertiesSorted RetainedCopy { | "MQTT-3.3.2-18" }
    "shared-user-properties-sorted" UserPropertiesSorted Shared { | "MQTT-3.3.2-18" }

    "live-at-lowest-of-overlap" LowestOfOverlap Live { "MQTT-3.3.5-1" | "MQTT-3.3.4-2" }
    "queued-at-lowest-of-overlap" LowestOfOverlap Queued
        { "MQTT-3.3.5-1" "MQTT-3.1.2-5" "MQTT-4.5.0-1" | "MQTT-3.3.4-2" "MQTT-4.5.0-1" "MQTT-3.1.2-23" }
    "will-at-lowest-of-overlap" LowestOfOverlap Will
        { "MQTT-3.3.5-1" "MQTT-3.1.2-5" "MQTT-4.5.0-1" | "MQTT-3.3.4-2" "MQTT-4.5.0-1" "MQTT-3.1.2-23" }

    "live-with-one-id-of-overlap" OneIdOfOverlap Live { | "MQTT-3.3.4-4" }
    "queued-with-one-id-of-overlap" OneIdOfOverlap Queued { | "MQTT-3.3.4-4" }
    "will-with-one-id-of-overlap" OneIdOfOverlap Will { | "MQTT-3.3.4-4" }

    "live-with-all-ids-of-overlap" AllIdsOfOverlap Live { | "MQTT-3.3.4-5" }
    "queued-with-all-ids-of-overlap" AllIdsOfOverlap Queued { | "MQTT-3.3.4-5" }
    "will-with-all-ids-of-overlap" AllIdsOfOverlap Will { | "MQTT-3.3.4-5" }

    "live-after-unsubscribe" AfterUnsubscribe Live { "MQTT-3.10.4-1" "MQTT-3.10.4-2" | "MQTT-3.10.4-1" "MQTT-3.10.4-2" "MQTT-3.3.4-3" }
    "queued-after-unsubscribe" AfterUnsubscribe Queued
        { "MQTT-3.10.4-1" "MQTT-3.10.4-2" | "MQTT-3.10.4-1" "MQTT-3.10.4-2" "MQTT-3.3.4-3" }
    "will-after-unsubscribe" AfterUnsubscribe Will { "MQTT-3.10.4-1" "MQTT-3.10.4-2" | "MQTT-3.10.4-1" "MQTT-3.10.4-2" "MQTT-3.3.4-3" }

    "live-empty-not-forwarded" EmptyNotForwarded Live { "MQTT-3.3.1-10" | "MQTT-3.3.1-6" }
    "queued-empty-not-forwarded" EmptyNotForwarded Queued { "MQTT-3.3.1-10" | "MQTT-3.3.1-6" }
}
