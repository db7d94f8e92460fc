//! The lies that the broker can tell, one at a time, with the statements that each may break.
//!
//! A statement stands here under its protocol version and number, as in `MQTT-3.1.2-5`; a sentence without a number by
//! its section, as in `3.8.3.1`. Where the lie is told is found in [`super::rules`].

use mqtt_sessions::packet::Protocol;

/// Builds the enum and its tables from one list. `silent` marks a lie that is a missing answer or a close: the
/// evidence then often ends before the statement is reached, so `inconclusive` is an honest verdict too.
macro_rules! defects {
    ($($(#[$doc:meta])* $name:literal $variant:ident $(($value:literal))? $($silent:ident)?
        { $($v3:literal)* | $($v5:literal)* })*) => {
        /// One lie.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Defect {
            $($(#[$doc])* $variant $((defects!(@usize $value)))?,)*
        }

        impl Defect {
            pub const ALL: &'static [Defect] = &[$(Defect::$variant $(($value))?,)*];

            pub fn name(self) -> &'static str {
                match self {
                    $(Defect::$variant { .. } => $name,)*
                }
            }

            /// The statements that the lie may break, and no others.
            pub fn statements(self) -> &'static [(Protocol, &'static str)] {
                match self {
                    $(Defect::$variant { .. } => &[$((Protocol::V3, $v3),)* $((Protocol::V5, $v5),)*],)*
                }
            }

            /// Whether the lie is a missing answer or a close, after which nothing can be proven.
            pub fn inconclusive_allowed(self) -> bool {
                match self {
                    $(Defect::$variant { .. } => defects!(@silent $($silent)?),)*
                }
            }
        }
    };
    (@usize $value:literal) => { usize };
    (@silent silent) => { true };
    (@silent) => { false };
}

defects! {
    // Sessions.

    /// Nothing is queued while the subscriber is away.
    "queues-nothing" QueuesNothing
        { "MQTT-3.1.2-5" "MQTT-4.5.0-1" | "MQTT-4.5.0-1" "MQTT-3.1.2-23" }
    /// The whole session is lost at the end of the connection, and Session Present 0 admits it.
    "loses-session" LosesSession
        { "MQTT-3.1.2-4" "MQTT-3.1.2-5" "MQTT-3.2.2-2" "MQTT-4.1.0-1" "MQTT-4.5.0-1"
        | "MQTT-3.1.2-5" "MQTT-3.1.2-23" "MQTT-3.2.2-3" "MQTT-4.5.0-1" }
    /// A session that should end with its connection, or be discarded, lives on behind Session Present 0.
    "keeps-clean-session" KeepsCleanSession
        { "MQTT-3.1.2-6" | "MQTT-3.1.2-4" "MQTT-4.1.0-2" }
    /// The same, and Session Present 1 admits it.
    "keeps-clean-session-openly" KeepsCleanSessionOpenly
        { "MQTT-3.1.2-6" "MQTT-3.2.2-1" "MQTT-3.2.2-3" | "MQTT-3.1.2-4" "MQTT-3.2.2-2" "MQTT-3.2.2-3" "MQTT-4.1.0-2" }
    /// Session Present is always 0.
    "session-present-0" SessionPresent0
        { "MQTT-3.1.2-4" "MQTT-3.2.2-2" | "MQTT-3.1.2-5" "MQTT-3.2.2-3" }
    /// Session Present is always 1.
    "session-present-1" SessionPresent1
        { "MQTT-3.2.2-1" "MQTT-3.2.2-3" | "MQTT-3.2.2-2" "MQTT-3.2.2-3" }
    /// The subscriptions are forgotten when the session resumes, while Session Present says 1.
    "forgets-subscriptions" ForgetsSubscriptions
        { "MQTT-3.1.2-4" "MQTT-3.1.2-5" "MQTT-4.1.0-1" "MQTT-4.5.0-1"
        | "MQTT-3.1.2-5" "MQTT-3.1.2-23" "MQTT-4.1.0-1" "MQTT-4.5.0-1" }
    /// A session outlives its Session Expiry Interval.
    "ignores-session-expiry" IgnoresSessionExpiry
        { | "MQTT-4.1.0-2" "MQTT-3.2.2-3" }
    /// A client that connects again leaves its older connection open.
    "no-takeover" NoTakeover
        { "MQTT-3.1.4-2" | "MQTT-3.1.4-3" }
    /// A client may be silent for as long as it likes.
    "ignores-keep-alive" IgnoresKeepAlive
        { "MQTT-3.1.2-24" | "MQTT-3.1.2-22" "MQTT-3.2.2-22" }

    // The queue.

    /// Of the messages queued for an absent subscriber the first two are kept.
    "keeps-oldest-two" KeepsOldest(2)
        { "MQTT-3.1.2-5" "MQTT-4.5.0-1" | "MQTT-4.5.0-1" "MQTT-3.1.2-23" }
    /// Of the messages queued for an absent subscriber the last two are kept.
    "keeps-newest-two" KeepsNewest(2)
        { "MQTT-3.1.2-5" "MQTT-4.5.0-1" | "MQTT-4.5.0-1" "MQTT-3.1.2-23" }
    /// The first message of the backlog is lost.
    "loses-first" LosesFirst
        { "MQTT-3.1.2-5" "MQTT-4.5.0-1" | "MQTT-4.5.0-1" "MQTT-3.1.2-23" }
    /// The last message of the backlog is lost.
    "loses-last" LosesLast
        { "MQTT-3.1.2-5" "MQTT-4.5.0-1" | "MQTT-4.5.0-1" "MQTT-3.1.2-23" }
    /// The payload of queued messages is changed: what was published is lost.
    "changes-payload" ChangesPayload
        { "MQTT-3.1.2-5" "MQTT-4.5.0-1" | "MQTT-4.5.0-1" "MQTT-3.1.2-23" }
    /// The backlog comes in reverse.
    "reverses-backlog" ReversesBacklog
        { "MQTT-4.6.0-6" | "MQTT-4.6.0-5" "MQTT-4.6.0-6" }
    /// The first new message overtakes the backlog, which waits for it.
    "overtakes-backlog" OvertakesBacklog
        { "MQTT-4.6.0-6" | "MQTT-4.6.0-5" "MQTT-4.6.0-6" }
    /// New messages overtake what waits for room in the window, and that refills late.
    "overtakes-window" OvertakesWindow
        { "MQTT-4.6.0-6" | "MQTT-4.6.0-5" "MQTT-4.6.0-6" }

    // Delivery.

    /// Nothing is ever delivered to anybody.
    "never-delivers" NeverDelivers silent
        { "MQTT-4.5.0-1" "MQTT-3.1.2-5" "MQTT-3.3.1-6" | "MQTT-4.5.0-1" "MQTT-3.1.2-23" "MQTT-3.3.1-9" }
    /// The QoS of the subscription is used instead of the minimum.
    "qos-of-subscription" QosOfSubscription
        { "MQTT-3.8.4-6" | "MQTT-3.8.4-8" }
    /// The QoS of the publication is used instead of the minimum.
    "qos-of-publication" QosOfPublication
        { "MQTT-3.8.4-6" | "MQTT-3.8.4-8" }
    /// What was granted QoS 0 is delivered at QoS 1.
    "qos1-where-0-granted" Qos1Where0Granted
        { "MQTT-3.8.4-6" | "MQTT-3.8.4-8" }
    /// DUP is 1 on the first copy of a queued message.
    "dup-on-first" DupOnFirst
        { "MQTT-3.3.1-3" "MQTT-4.3.2-1" "MQTT-4.3.3-1" | "MQTT-3.3.1-3" "MQTT-4.3.2-2" "MQTT-4.3.3-2" }
    /// DUP is 1 at QoS 0.
    "dup-on-qos0" DupOnQos0
        { "MQTT-3.3.1-2" "MQTT-4.3.1-1" | "MQTT-3.3.1-2" "MQTT-4.3.1-1" }
    /// DUP is 0 on what is sent again.
    "dup-never" DupNever
        { "MQTT-3.3.1-1" | "MQTT-3.3.1-1" }
    /// Each message of QoS 1 comes twice.
    "twice-at-qos1" TwiceAtQos1
        { "MQTT-3.3.1-1" "MQTT-4.3.2-1" "4.3.2" "MQTT-3.3.5-1" "MQTT-4.6.0-6"
        | "MQTT-3.3.1-1" "MQTT-4.3.2-1" "MQTT-4.4.0-1" "MQTT-3.3.4-2" "MQTT-4.6.0-5" }
    /// Each message of QoS 2 comes twice.
    "twice-at-qos2" TwiceAtQos2
        { "MQTT-4.3.3-1" "MQTT-4.3.3-2" "MQTT-3.3.5-1" "MQTT-4.6.0-6"
        | "MQTT-4.3.3-1" "MQTT-4.3.3-6" "MQTT-4.3.3-10" "MQTT-4.4.0-1" "MQTT-3.3.4-2" "MQTT-4.6.0-5" }
    /// What was acknowledged at QoS 1 comes again on the next connection.
    "forgets-puback" ForgetsPuback
        { "4.3.2" "MQTT-4.3.2-1" "MQTT-4.4.0-1" | "MQTT-4.4.0-1" }
    /// What was completed at QoS 2 comes again on the next connection.
    "forgets-pubcomp" ForgetsPubcomp
        { "MQTT-4.3.3-1" | "MQTT-4.3.3-6" "MQTT-4.4.0-1" }
    /// Where a PUBREL is owed on the next connection, the PUBLISH is sent again.
    "forgets-pubrec" ForgetsPubrec
        { "MQTT-4.3.3-1" "MQTT-4.4.0-1" | "MQTT-4.3.3-6" "MQTT-4.4.0-1" }
    /// What was not acknowledged is not sent again on the next connection.
    "resends-nothing" ResendsNothing
        { "MQTT-4.4.0-1" "MQTT-3.1.2-5" "MQTT-4.5.0-1" "MQTT-4.3.2-1" "MQTT-4.3.3-1"
        | "MQTT-4.4.0-1" "MQTT-4.5.0-1" "MQTT-4.3.2-3" "MQTT-4.3.3-3" "MQTT-4.3.3-5" }
    /// Each message is followed by one of a topic that nobody subscribed to.
    "unsolicited-messages" UnsolicitedMessages
        { "4.5" | "4.5" }
    /// Filters that begin with a wildcard match topics that begin with `$`.
    "wildcards-match-dollar" WildcardsMatchDollar
        { "MQTT-4.7.2-1" "MQTT-3.3.2-3" | "MQTT-4.7.2-1" "MQTT-3.3.2-3" }

    // Subscriptions.

    /// SUBSCRIBE to a filter that is there already discards what is queued for it; the backlog is slow to leave.
    "resubscribe-discards-queue" ResubscribeDiscardsQueue
        { "MQTT-3.8.4-3" "MQTT-3.1.2-5" "MQTT-4.5.0-1" | "MQTT-3.8.4-3" "MQTT-3.8.4-4" "MQTT-4.5.0-1" "MQTT-3.1.2-23" }
    /// After a SUBSCRIBE to a filter that is there already the next message is lost.
    "resubscribe-interrupts" ResubscribeInterrupts
        { "MQTT-3.8.4-3" "MQTT-4.5.0-1" | "MQTT-3.8.4-3" "MQTT-3.8.4-4" "MQTT-4.5.0-1" }
    /// UNSUBSCRIBE is answered and ignored.
    "ignores-unsubscribe" IgnoresUnsubscribe
        { "MQTT-3.10.4-1" "MQTT-3.10.4-2" | "MQTT-3.10.4-1" "MQTT-3.10.4-2" }

    // Retained messages.

    /// RETAIN stays 1 on copies that were queued.
    "retain-on-queued" RetainOnQueued
        { "MQTT-3.3.1-9" | "MQTT-3.3.1-12" }
    /// RETAIN stays 1 on copies for subscribers that are there.
    "retain-on-live" RetainOnLive
        { "MQTT-3.3.1-9" | "MQTT-3.3.1-12" }
    /// A new subscription gets no retained message.
    "no-retained-on-subscribe" NoRetainedOnSubscribe
        { "MQTT-3.3.1-6" | "MQTT-3.3.1-9" }
    /// A repeated subscription gets no retained message.
    "no-retained-on-resubscribe" NoRetainedOnResubscribe
        { "MQTT-3.8.4-3" "MQTT-3.3.1-6" | "MQTT-3.8.4-4" "MQTT-3.3.1-9" }
    /// The copy sent because of a SUBSCRIBE has RETAIN 0.
    "retained-without-flag" RetainedWithoutFlag
        { "MQTT-3.3.1-8" "MQTT-3.3.1-6" "MQTT-3.8.4-3" "MQTT-4.3.3-1"
        | "3.8.3.1" "MQTT-3.3.1-9" "MQTT-3.8.4-4" "MQTT-4.3.3-6" "MQTT-4.4.0-1" }
    /// The first retained message of a topic stays, and later ones do not replace it.
    "keeps-first-retained" KeepsFirstRetained
        { "MQTT-3.3.1-5" "MQTT-3.3.1-6" "MQTT-3.3.1-7" "MQTT-3.8.4-3" | "MQTT-3.3.1-5" "MQTT-3.3.1-9" "MQTT-3.8.4-4" }
    /// Messages with RETAIN 0 are stored as well.
    "retains-everything" RetainsEverything
        { "MQTT-3.3.1-12" "MQTT-3.3.1-5" "MQTT-3.3.1-6" "MQTT-3.8.4-3"
        | "MQTT-3.3.1-8" "MQTT-3.3.1-5" "MQTT-3.3.1-9" "MQTT-3.8.4-4" }
    /// Retained copies come when a session resumes, without a SUBSCRIBE.
    "retained-on-resume" RetainedOnResume
        { "MQTT-3.3.1-9" "MQTT-4.3.3-1" | "MQTT-3.3.1-12" "MQTT-4.3.3-6" "MQTT-4.4.0-1" }
    /// A zero-length payload does not remove the retained message.
    "never-clears-retained" NeverClearsRetained
        { "MQTT-3.3.1-10" | "MQTT-3.3.1-6" }

    // Answers.

    /// After CONNACK nothing is ever said again.
    "silent-after-connack" SilentAfterConnack silent
        { "MQTT-3.8.4-1" "MQTT-3.12.4-1" "MQTT-4.5.0-1" | "MQTT-3.8.4-1" "MQTT-3.12.4-1" "MQTT-4.5.0-1" }
    /// The backlog comes before CONNACK.
    "publish-before-connack" PublishBeforeConnack
        { "MQTT-3.2.0-1" | "MQTT-3.2.0-1" }
    /// SUBSCRIBE is answered by the end of the connection.
    "closes-on-subscribe" ClosesOnSubscribe silent
        { "MQTT-3.8.4-1" | "MQTT-3.8.4-1" }
    /// SUBACK carries another Packet Identifier.
    "suback-wrong-id" SubackWrongId silent
        { "MQTT-3.8.4-1" "MQTT-3.8.4-2" | "MQTT-3.8.4-1" "MQTT-3.8.4-2" }
    /// A PUBLISH of QoS 1 is answered by the end of the connection.
    "closes-on-publish" ClosesOnPublish silent
        { "MQTT-3.3.4-1" "MQTT-4.3.2-2" | "MQTT-3.3.4-1" "MQTT-4.3.2-4" "MQTT-3.2.2-9" }
    /// PUBACK never comes.
    "no-puback" NoPuback silent
        { "MQTT-3.3.4-1" "MQTT-4.3.2-2" | "MQTT-3.3.4-1" "MQTT-4.3.2-4" }
    /// PUBREC never comes.
    "no-pubrec" NoPubrec silent
        { "MQTT-3.3.4-1" "MQTT-4.3.3-2" | "MQTT-3.3.4-1" "MQTT-4.3.3-8" }
    /// PUBCOMP never comes.
    "no-pubcomp" NoPubcomp silent
        { "MQTT-4.3.3-2" | "MQTT-4.3.3-11" }
    /// PINGRESP never comes.
    "no-pingresp" NoPingresp silent
        { "MQTT-3.12.4-1" | "MQTT-3.12.4-1" }
    /// A PUBLISH of QoS 2 that is sent again before its PUBREL goes onward again.
    "qos2-onward-twice" Qos2OnwardTwice
        { "MQTT-4.3.3-2" | "MQTT-4.3.3-10" }
}
