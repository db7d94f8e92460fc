//! The list of the lies that have a rule of their own, each with the statements that it may break in 3.1.1 and in 5.0.

use mqtt_sessions::packet::Protocol;

use super::{Fault, Way};

/// Builds the enum and its tables from one list. A way stands behind a lie that is told on that way alone. `silent` marks
/// a lie that is a missing answer or a close: the evidence then often ends before the statement is reached, so
/// `inconclusive` is an honest verdict too.
macro_rules! defects {
    ($($(#[doc = $doc:literal])+ $name:literal $variant:ident $(($value:literal))? $([$way:ident])? $($silent:ident)?
        { $($v3:literal)* | $($v5:literal)* })*) => {
        /// One lie.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Defect {
            $($(#[doc = $doc])+ $variant $((defects!(@usize $value)))?,)*
            /// A fault of the copies that come on one way.
            OnTheWay(Fault, Way),
        }

        impl Defect {
            /// The lies that have a rule of their own.
            pub(super) const LISTED: &'static [Defect] = &[$(Defect::$variant $(($value))?,)*];

            pub(super) fn listed_name(self) -> &'static str {
                match self {
                    $(Defect::$variant { .. } => $name,)*
                    Defect::OnTheWay(..) => "",
                }
            }

            pub(super) fn listed_description(self) -> &'static str {
                match self {
                    $(Defect::$variant { .. } => concat!($($doc),+),)*
                    Defect::OnTheWay(..) => "",
                }
            }

            pub(super) fn listed_statements(self) -> &'static [(Protocol, &'static str)] {
                match self {
                    $(Defect::$variant { .. } => &[$((Protocol::V3, $v3),)* $((Protocol::V5, $v5),)*],)*
                    Defect::OnTheWay(..) => &[],
                }
            }

            pub(super) fn listed_silent(self) -> bool {
                match self {
                    $(Defect::$variant { .. } => defects!(@silent $($silent)?),)*
                    Defect::OnTheWay(..) => false,
                }
            }

            pub(super) fn listed_way(self) -> Option<Way> {
                match self {
                    $(Defect::$variant { .. } => defects!(@way $($way)?),)*
                    Defect::OnTheWay(_, way) => Some(way),
                }
            }
        }
    };
    (@usize $value:literal) => { usize };
    (@silent silent) => { true };
    (@silent) => { false };
    (@way $way:ident) => { Some(Way::$way) };
    (@way) => { None };
}

defects! {
    // Sessions.

    /// Nothing is queued while the subscriber is away.
    "queues-nothing" QueuesNothing [Queued]
        { "MQTT-3.1.2-5" "MQTT-4.5.0-1" | "MQTT-4.5.0-1" "MQTT-3.1.2-23" }
    /// The whole session is lost at the end of the connection, and Session Present 0 admits it.
    "loses-session" LosesSession
        { "MQTT-3.1.2-4" "MQTT-3.1.2-5" "MQTT-3.2.2-2" "MQTT-4.1.0-1" "MQTT-4.5.0-1"
        | "MQTT-3.1.2-5" "MQTT-3.1.2-23" "MQTT-3.2.2-3" "MQTT-4.5.0-1" }
    /// A session that should end with its connection, or be discarded, lives on behind Session Present 0.
    "keeps-clean-session" KeepsCleanSession
        { "MQTT-3.1.2-6" | "MQTT-3.1.2-4" "MQTT-4.1.0-2" "MQTT-3.1.2-8" }
    /// A session that should end with its connection, or be discarded, lives on, and Session Present 1 admits it.
    "keeps-clean-session-openly" KeepsCleanSessionOpenly
        { "MQTT-3.1.2-6" "MQTT-3.2.2-1" "MQTT-3.2.2-3" | "MQTT-3.1.2-4" "MQTT-3.2.2-2" "MQTT-3.2.2-3" "MQTT-4.1.0-2" "MQTT-3.1.2-8" }
    /// Session Present is always 0.
    "session-present-0" SessionPresent0
        { "MQTT-3.1.2-4" "MQTT-3.2.2-2" "MQTT-3.1.2-5" "MQTT-4.5.0-1" | "MQTT-3.1.2-5" "MQTT-3.2.2-3" "MQTT-3.1.2-23" "MQTT-4.5.0-1" }
    /// Session Present is always 1.
    "session-present-1" SessionPresent1
        { "MQTT-3.2.2-1" "MQTT-3.2.2-3" | "MQTT-3.2.2-2" "MQTT-3.2.2-3" }
    /// The subscriptions are forgotten when the session resumes, while Session Present says 1.
    "forgets-subscriptions" ForgetsSubscriptions
        { "MQTT-3.1.2-4" "MQTT-3.1.2-5" "MQTT-4.1.0-1" "MQTT-4.5.0-1" | "MQTT-3.1.2-5" "MQTT-3.1.2-23" "MQTT-4.1.0-1" "MQTT-4.5.0-1" "MQTT-3.3.1-10" "MQTT-3.3.4-3" "MQTT-4.4.0-1" }
    /// A session outlives its Session Expiry Interval.
    "ignores-session-expiry" IgnoresSessionExpiry
        { | "MQTT-4.1.0-2" "MQTT-3.2.2-3" "MQTT-3.1.2-8" }
    /// A client that connects again leaves its older connection open.
    "no-takeover" NoTakeover
        { "MQTT-3.1.4-2" | "MQTT-3.1.4-3" }
    /// A client may be silent for as long as it likes.
    "ignores-keep-alive" IgnoresKeepAlive
        { "MQTT-3.1.2-24" | "MQTT-3.1.2-22" "MQTT-3.2.2-22" }

    // The queue.

    /// Of the messages queued for an absent subscriber the first two are kept.
    "keeps-oldest-two" KeepsOldest(2) [Queued]
        { "MQTT-3.1.2-5" "MQTT-4.5.0-1" | "MQTT-4.5.0-1" "MQTT-3.1.2-23" }
    /// Of the messages queued for an absent subscriber the last two are kept.
    "keeps-newest-two" KeepsNewest(2) [Queued]
        { "MQTT-3.1.2-5" "MQTT-4.5.0-1" | "MQTT-4.5.0-1" "MQTT-3.1.2-23" }
    /// The first message of the backlog is lost.
    "loses-first" LosesFirst [Queued]
        { "MQTT-3.1.2-5" "MQTT-4.5.0-1" | "MQTT-4.5.0-1" "MQTT-3.1.2-23" }
    /// The last message of the backlog is lost.
    "loses-last" LosesLast [Queued]
        { "MQTT-3.1.2-5" "MQTT-4.5.0-1" | "MQTT-4.5.0-1" "MQTT-3.1.2-23" }
    /// The payload of queued messages is changed: what was published is lost.
    "changes-payload" ChangesPayload [Queued]
        { "MQTT-3.1.2-5" "MQTT-4.5.0-1" | "MQTT-4.5.0-1" "MQTT-3.1.2-23" }
    /// The backlog comes in reverse.
    "reverses-backlog" ReversesBacklog [Queued]
        { "MQTT-4.6.0-6" | "MQTT-4.6.0-5" "MQTT-4.6.0-6" }
    /// The first new message overtakes the backlog, which waits for it.
    "overtakes-backlog" OvertakesBacklog
        { "MQTT-4.6.0-6" | "MQTT-4.6.0-5" "MQTT-4.6.0-6" }
    /// New messages overtake what waits for room in the window, and that refills late.
    "overtakes-window" OvertakesWindow [Live]
        { "MQTT-4.6.0-6" | "MQTT-4.6.0-5" "MQTT-4.6.0-6" "MQTT-3.3.4-9" "MQTT-4.9.0-1" }

    // Delivery.

    /// Nothing is ever delivered to anybody.
    "never-delivers" NeverDelivers silent
        { "MQTT-4.5.0-1" "MQTT-3.1.2-5" "MQTT-3.3.1-6" | "MQTT-4.5.0-1" "MQTT-3.1.2-23" "MQTT-3.3.1-9" }
    /// The QoS of the subscription is used instead of the minimum.
    "qos-of-subscription" QosOfSubscription
        { "MQTT-3.8.4-6" | "MQTT-3.8.4-8" }
    /// The QoS of the publication is used instead of the minimum.
    "qos-of-publication" QosOfPublication
        { "MQTT-3.8.4-6" "MQTT-3.8.4-3" | "MQTT-3.8.4-8" "MQTT-3.8.4-3" }
    /// What was granted QoS 0 is delivered at QoS 1.
    "qos1-where-0-granted" Qos1Where0Granted
        { "MQTT-3.8.4-6" | "MQTT-3.8.4-8" }
    /// DUP is 1 on the first copy of a queued message.
    "dup-on-first" DupOnFirst [Queued]
        { "MQTT-3.3.1-3" "MQTT-4.3.2-1" "MQTT-4.3.3-1" "4.3.2" | "MQTT-3.3.1-3" "MQTT-4.3.2-2" "MQTT-4.3.3-2" "MQTT-4.4.0-1" }
    /// DUP is 1 at QoS 0.
    "dup-on-qos0" DupOnQos0
        { "MQTT-3.3.1-2" "MQTT-4.3.1-1" | "MQTT-3.3.1-2" "MQTT-4.3.1-1" }
    /// DUP is 0 on what is sent again.
    "dup-never" DupNever [Resent]
        { "MQTT-3.3.1-1" | "MQTT-3.3.1-1" }
    /// Each message of QoS 1 comes twice.
    "twice-at-qos1" TwiceAtQos1
        { "MQTT-3.3.1-1" "MQTT-4.3.2-1" "4.3.2" "MQTT-3.3.5-1" "MQTT-4.4.0-1" "MQTT-4.6.0-6" | "MQTT-3.3.1-1" "MQTT-4.3.2-1" "MQTT-4.4.0-1" "MQTT-3.3.4-2" "MQTT-4.6.0-5" "MQTT-3.3.4-5" }
    /// Each message of QoS 2 comes twice.
    "twice-at-qos2" TwiceAtQos2
        { "MQTT-4.3.3-1" "MQTT-4.3.3-2" "MQTT-3.3.5-1" "MQTT-4.6.0-6" "MQTT-3.3.1-1" | "MQTT-4.3.3-1" "MQTT-4.3.3-6" "MQTT-4.3.3-10" "MQTT-4.4.0-1" "MQTT-3.3.4-2" "MQTT-4.6.0-5" "MQTT-3.3.4-5" "MQTT-3.3.1-1" }
    /// What was acknowledged at QoS 1 comes again on the next connection.
    "forgets-puback" ForgetsPuback [Resent]
        { "4.3.2" "MQTT-4.3.2-1" "MQTT-4.4.0-1" | "MQTT-4.4.0-1" }
    /// What was completed at QoS 2 comes again on the next connection.
    "forgets-pubcomp" ForgetsPubcomp [Resent]
        { "MQTT-4.3.3-1" "MQTT-4.6.0-6" | "MQTT-4.3.3-6" "MQTT-4.4.0-1" "MQTT-4.6.0-5" }
    /// Where a PUBREL is owed on the next connection, the PUBLISH is sent again.
    "forgets-pubrec" ForgetsPubrec [Resent]
        { "MQTT-4.3.3-1" "MQTT-4.4.0-1" | "MQTT-4.3.3-6" "MQTT-4.4.0-1" }
    /// What was not acknowledged is not sent again on the next connection.
    "resends-nothing" ResendsNothing [Resent]
        { "MQTT-4.4.0-1" "MQTT-3.1.2-5" "MQTT-4.5.0-1" "MQTT-4.3.2-1" "MQTT-4.3.3-1" "MQTT-3.10.4-3" | "MQTT-4.4.0-1" "MQTT-4.5.0-1" "MQTT-4.3.2-3" "MQTT-4.3.3-3" "MQTT-4.3.3-5" "MQTT-4.3.3-7" "MQTT-3.10.4-3" }
    /// What was not acknowledged is sent again only some seconds after the return, behind what was published since.
    "resends-behind-new" ResendsBehindNew [Resent]
        { "MQTT-4.4.0-1" "MQTT-3.10.4-3" "MQTT-4.6.0-6" | "MQTT-4.4.0-1" "MQTT-4.3.3-7" "MQTT-3.10.4-3" "MQTT-4.6.0-5" }
    /// Of what is under way at the end of a connection the last message is lost.
    "loses-tail-at-end" LosesTailAtEnd [Resent]
        { "MQTT-4.4.0-1" "MQTT-3.1.2-5" "MQTT-4.5.0-1" "MQTT-3.10.4-3" | "MQTT-4.4.0-1" "MQTT-4.5.0-1" "MQTT-4.3.3-7" "MQTT-3.10.4-3" }
    /// What is under way when another client takes the session over is lost.
    "takeover-loses-under-way" TakeoverLosesUnderWay [Resent]
        { "MQTT-4.4.0-1" "MQTT-3.1.2-5" "MQTT-4.5.0-1" | "MQTT-4.4.0-1" "MQTT-4.5.0-1" }
    /// A message of a publisher that speaks the other version is not stored.
    "stores-one-version" StoresOneVersion [Queued]
        { "MQTT-3.1.2-5" "MQTT-4.5.0-1" | "MQTT-4.5.0-1" "MQTT-3.1.2-23" }
    /// The Packet Identifiers that a publisher used in a session count in the next one too.
    "ids-outlive-session" IdsOutliveSession
        { "MQTT-3.1.2-6" | "MQTT-3.1.2-4" }
    /// A connection that breaks is there until its Keep Alive has run out.
    "notices-no-break" NoticesNoBreak silent
        { "MQTT-3.1.2-8" | "MQTT-3.1.2-8" }
    /// Each message is followed by one of a topic that nobody subscribed to.
    "unsolicited-messages" UnsolicitedMessages
        { "4.5" | "4.5" }
    /// Filters that begin with a wildcard match topics that begin with `$`.
    "wildcards-match-dollar" WildcardsMatchDollar [RetainedCopy]
        { "MQTT-4.7.2-1" "MQTT-3.3.2-3" | "MQTT-4.7.2-1" "MQTT-3.3.2-3" }

    // Subscriptions.

    /// SUBSCRIBE to a filter that is there already discards what is queued for it; the backlog is slow to leave.
    "resubscribe-discards-queue" ResubscribeDiscardsQueue [Queued]
        { "MQTT-3.8.4-3" "MQTT-3.1.2-5" "MQTT-4.5.0-1" | "MQTT-3.8.4-3" "MQTT-3.8.4-4" "MQTT-4.5.0-1" "MQTT-3.1.2-23" }
    /// After a SUBSCRIBE to a filter that is there already the next message is lost.
    "resubscribe-interrupts" ResubscribeInterrupts [Live]
        { "MQTT-3.8.4-3" "MQTT-4.5.0-1" | "MQTT-3.8.4-3" "MQTT-3.8.4-4" "MQTT-4.5.0-1" }
    /// UNSUBSCRIBE is answered and ignored.
    "ignores-unsubscribe" IgnoresUnsubscribe
        { "MQTT-3.10.4-1" "MQTT-3.10.4-2" | "MQTT-3.10.4-1" "MQTT-3.10.4-2" "MQTT-3.3.4-3" }

    // Retained messages.

    /// RETAIN stays 1 on copies that were queued.
    "retain-on-queued" RetainOnQueued [Queued]
        { "MQTT-3.3.1-9" | "MQTT-3.3.1-12" }
    /// RETAIN stays 1 on copies for subscribers that are there.
    "retain-on-live" RetainOnLive [Live]
        { "MQTT-3.3.1-9" | "MQTT-3.3.1-12" }
    /// A new subscription gets no retained message.
    "no-retained-on-subscribe" NoRetainedOnSubscribe [RetainedCopy]
        { "MQTT-3.3.1-6" "MQTT-3.1.2-17" "MQTT-3.8.4-3" | "MQTT-3.3.1-9" "MQTT-3.1.2-15" "MQTT-3.8.4-4" }
    /// A repeated subscription gets no retained message.
    "no-retained-on-resubscribe" NoRetainedOnResubscribe [RetainedCopy]
        { "MQTT-3.8.4-3" "MQTT-3.3.1-6" | "MQTT-3.8.4-4" "MQTT-3.3.1-9" }
    /// The copy sent because of a SUBSCRIBE has RETAIN 0.
    "retained-without-flag" RetainedWithoutFlag [RetainedCopy]
        { "MQTT-3.3.1-8" "MQTT-3.3.1-6" "MQTT-3.8.4-3" "MQTT-4.3.3-1" "MQTT-3.1.2-17" | "3.8.3.1" "MQTT-3.3.1-9" "MQTT-3.8.4-4" "MQTT-4.3.3-6" "MQTT-4.4.0-1" "MQTT-3.1.2-15" }
    /// The first retained message of a topic stays, and later ones do not replace it.
    "keeps-first-retained" KeepsFirstRetained [RetainedCopy]
        { "MQTT-3.3.1-5" "MQTT-3.3.1-6" "MQTT-3.3.1-7" "MQTT-3.8.4-3" "MQTT-3.1.2-17" | "MQTT-3.3.1-5" "MQTT-3.3.1-9" "MQTT-3.8.4-4" "MQTT-3.1.2-15" }
    /// Messages with RETAIN 0 are stored as well.
    "retains-everything" RetainsEverything [RetainedCopy]
        { "MQTT-3.3.1-12" "MQTT-3.3.1-5" "MQTT-3.3.1-6" "MQTT-3.8.4-3" "MQTT-3.1.2-17" "MQTT-3.1.2-7" | "MQTT-3.3.1-8" "MQTT-3.3.1-5" "MQTT-3.3.1-9" "MQTT-3.8.4-4" "MQTT-3.1.2-15" }
    /// Retained copies come when a session resumes, without a SUBSCRIBE.
    "retained-on-resume" RetainedOnResume [RetainedCopy]
        { "MQTT-3.3.1-9" "MQTT-4.3.3-1" "4.5" "4.3.1" "4.3.2" | "MQTT-3.3.1-12" "MQTT-4.3.3-6" "MQTT-4.4.0-1" "4.5" "4.8.2" }
    /// A zero-length payload does not remove the retained message.
    "never-clears-retained" NeverClearsRetained [RetainedCopy]
        { "MQTT-3.3.1-10" | "MQTT-3.3.1-6" }

    // Answers.

    /// After CONNACK nothing is ever said again.
    "silent-after-connack" SilentAfterConnack silent
        { "MQTT-3.8.4-1" "MQTT-3.12.4-1" "MQTT-4.5.0-1" | "MQTT-3.8.4-1" "MQTT-3.12.4-1" "MQTT-4.5.0-1" }
    /// The CONNECT that resumes a session is left without an answer.
    "no-connack-on-resume" NoConnackOnResume silent
        { "MQTT-3.1.4-4" | "MQTT-3.1.4-5" }
    /// The backlog comes before CONNACK.
    "publish-before-connack" PublishBeforeConnack
        { "MQTT-3.2.0-1" | "MQTT-3.2.0-1" }
    /// SUBSCRIBE is answered by the end of the connection.
    "closes-on-subscribe" ClosesOnSubscribe silent
        { "MQTT-3.8.4-1" "4.8" | "MQTT-3.8.4-1" "4.13" }
    /// SUBACK carries another Packet Identifier.
    "suback-wrong-id" SubackWrongId silent
        { "MQTT-3.8.4-1" "MQTT-3.8.4-2" | "MQTT-3.8.4-1" "MQTT-3.8.4-2" }
    /// A PUBLISH of QoS 1 is answered by the end of the connection.
    "closes-on-publish" ClosesOnPublish silent
        { "MQTT-3.3.4-1" "MQTT-4.3.2-2" "4.8" | "MQTT-3.3.4-1" "MQTT-4.3.2-4" "MQTT-3.2.2-9" "4.13" }
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
        { "MQTT-3.12.4-1" | "MQTT-3.12.4-1" "MQTT-3.3.4-10" }
    /// A PUBLISH of QoS 2 that is sent again before its PUBREL goes onward again.
    "qos2-onward-twice" Qos2OnwardTwice
        { "MQTT-4.3.3-2" | "MQTT-4.3.3-10" }

    // Wills.

    /// No will is ever published.
    "no-will" NoWill [Will] silent
        { "MQTT-3.1.2-8" "MQTT-3.1.2-17" | "MQTT-3.1.2-8" "MQTT-3.1.2-15" }
    /// The will of a client that is taken over is not published.
    "no-will-at-takeover" NoWillAtTakeover [Will]
        { "MQTT-3.1.2-8" | "MQTT-3.1.2-8" }
    /// DISCONNECT does not discard the will.
    "will-after-disconnect" WillAfterDisconnect [Will]
        { "MQTT-3.14.4-3" "MQTT-3.1.2-10" "MQTT-3.1.2-12" | "MQTT-3.14.4-3" "MQTT-3.1.2-10" }
    /// The will goes out again at the end of the next connection, which has none.
    "will-published-again" WillPublishedAgain [Will]
        { "MQTT-3.1.2-10" "MQTT-3.1.2-12" "MQTT-3.14.4-3" | "MQTT-3.1.2-10" "MQTT-3.14.4-3" }
    /// A will goes out twice.
    "will-twice" WillTwice [Will]
        { "MQTT-3.1.2-10" "MQTT-3.1.2-12" | "MQTT-3.1.2-10" }
    /// Every will is stored as a retained message.
    "will-always-retained" WillAlwaysRetained [Will]
        { "MQTT-3.1.2-16" | "MQTT-3.1.2-14" }
    /// No will is stored as a retained message.
    "will-never-retained" WillNeverRetained [Will]
        { "MQTT-3.1.2-17" | "MQTT-3.1.2-15" }
    /// A will goes out at once, whatever its delay.
    "will-ignores-delay" WillIgnoresDelay [Will]
        { | "MQTT-3.1.3-9" "MQTT-3.1.2-8" }
    /// A client that returns within the delay does not stop its will.
    "will-despite-return" WillDespiteReturn [Will]
        { | "MQTT-3.1.3-9" }
    /// A will waits for its whole delay although its session has ended before.
    "will-outlives-session" WillOutlivesSession [Will]
        { | "MQTT-3.1.2-8" }
    /// A will above the announced Maximum QoS is accepted.
    "will-qos-above-maximum" WillQosAboveMaximum
        { | "MQTT-3.2.2-12" }
    /// A will with Will Retain 1 is accepted although Retain Available is 0.
    "will-retain-without-support" WillRetainWithoutSupport
        { | "MQTT-3.2.2-13" }

    // More about sessions.

    /// A client id without a session gets that of somebody who is away, and Session Present 1.
    "adopts-session" AdoptsSession silent
        { "MQTT-3.1.3-2" "MQTT-3.2.2-3" "MQTT-3.1.2-4" "MQTT-3.1.2-5" "MQTT-3.2.2-2" "MQTT-4.5.0-1" "4.5" "MQTT-3.3.1-3" | "MQTT-3.1.3-2" "MQTT-3.2.2-3" "MQTT-3.1.2-23" "MQTT-3.1.2-5" "MQTT-4.5.0-1" "MQTT-4.1.0-2" "4.5" "MQTT-3.3.1-3" }
    /// The Session Expiry Interval is taken as milliseconds.
    "expires-early" ExpiresEarly
        { | "MQTT-3.1.2-23" "MQTT-3.2.2-3" "MQTT-4.5.0-1" "MQTT-3.1.2-8" }
    /// DISCONNECT does not change the Session Expiry Interval.
    "ignores-expiry-of-disconnect" IgnoresExpiryOfDisconnect
        { | "3.14.2.2.2" "MQTT-4.1.0-2" "MQTT-3.2.2-3" "MQTT-3.1.2-23" "MQTT-3.1.2-4" "MQTT-4.5.0-1" }
    /// The subscriptions of a session above QoS 0 vanish one second after its connection was opened.
    "forgets-while-connected" ForgetsWhileConnected silent
        { "MQTT-4.1.0-2" "MQTT-3.1.2-5" | "MQTT-4.1.0-1" "MQTT-4.5.0-1" "MQTT-3.1.2-8" }
    /// Retained messages are deleted when the session of their publisher ends.
    "retained-ends-with-session" RetainedEndsWithSession [RetainedCopy]
        { "MQTT-3.1.2-7" "MQTT-3.1.2-17" | "MQTT-3.3.1-9" "MQTT-3.1.2-15" }
    /// A client without an identifier is not told which one it got.
    "no-assigned-id" NoAssignedId
        { | "MQTT-3.1.3-7" }
    /// A client without an identifier gets a session that outlives its connection.
    "nameless-session" NamelessSession
        { "MQTT-3.1.3-8" | }
    /// An empty identifier with Clean Session 0 is refused with 0x05, as if it were a matter of rights.
    "wrong-code-for-nameless-session" WrongCodeForNamelessSession
        { "MQTT-3.1.3-8" | }
    /// Every client without an identifier gets the same.
    "assigned-id-of-another" AssignedIdOfAnother silent
        { "MQTT-3.1.3-6" "4.8" | "MQTT-3.2.2-16" "MQTT-3.1.3-6" "4.13" }
    /// Identifiers of more than 16 bytes are refused.
    "refuses-long-ids" RefusesLongIds silent
        { "MQTT-3.1.3-5" | "MQTT-3.1.3-5" }
    /// A session that is taken over is lost.
    "takeover-loses-session" TakeoverLosesSession
        { "MQTT-3.1.2-4" "MQTT-4.5.0-1" | "MQTT-3.1.2-5" "MQTT-3.1.2-23" "MQTT-4.5.0-1" }
    /// DISCONNECT 0x8E carries a Session Expiry Interval.
    "session-expiry-in-disconnect" SessionExpiryInDisconnect
        { | "MQTT-3.14.2-2" }
    /// After DISCONNECT 0x8E the connection stays open.
    "open-after-disconnect" OpenAfterDisconnect
        { | "MQTT-3.14.4-2" "MQTT-3.1.4-3" }
    /// PINGRESP follows DISCONNECT 0x8E.
    "speaks-after-disconnect" SpeaksAfterDisconnect
        { | "MQTT-3.14.4-1" }
    /// The connection of a client of 5.0 that was refused stays open.
    "open-after-refusal-v5" OpenAfterRefusalV5 silent
        { | "MQTT-3.2.2-7" }
    /// The connection of a client of 3.1.1 that was refused stays open.
    "open-after-refusal-v3" OpenAfterRefusalV3 silent
        { "MQTT-3.2.2-5" | }
    /// A CONNACK that refuses a client of 5.0 says Session Present 1.
    "session-present-with-refusal-v5" SessionPresentWithRefusalV5 silent
        { | "MQTT-3.2.2-6" }
    /// A CONNACK that refuses a client of 3.1.1 says Session Present 1.
    "session-present-with-refusal-v3" SessionPresentWithRefusalV3 silent
        { "MQTT-3.2.2-4" | }

    // What a client announces.

    /// Receive Maximum is ignored.
    "ignores-receive-maximum" IgnoresReceiveMaximum
        { | "MQTT-3.3.4-9" "MQTT-4.9.0-1" }
    /// A resumed session keeps the Receive Maximum of its first connection that had one.
    "receive-maximum-of-first-connection" ReceiveMaximumOfFirstConnection [Resent]
        { | "MQTT-4.9.0-1" }
    /// PINGREQ has no answer while the window is full.
    "window-holds-up-pingresp" WindowHoldsUpPingresp
        { | "MQTT-3.3.4-10" "MQTT-3.12.4-1" }
    /// Maximum Packet Size is ignored.
    "sends-too-large" SendsTooLarge
        { | "MQTT-3.1.2-24" }
    /// Nothing behind a message that is too large is delivered.
    "stops-at-too-large" StopsAtTooLarge
        { | "MQTT-3.1.2-25" "MQTT-4.5.0-1" }
    /// Topic Aliases are used for clients that take none.
    "alias-unasked" AliasUnasked
        { | "MQTT-3.1.2-27" "MQTT-3.1.2-26" }
    /// Topic Aliases exceed the client's maximum.
    "alias-above-maximum" AliasAboveMaximum
        { | "MQTT-3.1.2-26" }
    /// A Topic Alias of the connection before stands for its topic.
    "alias-survives" AliasSurvives
        { | "MQTT-3.3.2-7" "MQTT-4.5.0-1" }

    // Expiry and properties of messages.

    /// Messages do not expire.
    "ignores-message-expiry" IgnoresMessageExpiry
        { | "MQTT-3.3.2-5" }
    /// The Message Expiry Interval is forwarded as it came.
    "message-expiry-not-reduced" MessageExpiryNotReduced
        { | "MQTT-3.3.2-6" }
    /// A message whose delivery has begun expires all the same.
    "expires-under-way" ExpiresUnderWay [Resent]
        { | "MQTT-4.3.3-7" "MQTT-4.4.0-1" }
    /// The Payload Format Indicator is changed.
    "alters-payload-format" AltersPayloadFormat
        { | "MQTT-3.3.2-4" }
    /// The Response Topic is changed.
    "alters-response-topic" AltersResponseTopic
        { | "MQTT-3.3.2-15" }
    /// The Correlation Data is changed.
    "alters-correlation-data" AltersCorrelationData
        { | "MQTT-3.3.2-16" }
    /// A User Property is dropped.
    "drops-user-property" DropsUserProperty
        { | "MQTT-3.3.2-17" }
    /// The User Properties are sorted.
    "reorders-user-properties" ReordersUserProperties
        { | "MQTT-3.3.2-18" }
    /// The Content Type is changed.
    "alters-content-type" AltersContentType
        { | "MQTT-3.3.2-20" }
    /// Queued messages lose all that has to be passed on unaltered.
    "queue-drops-properties" QueueDropsProperties [Queued]
        { | "MQTT-3.3.2-4" "MQTT-3.3.2-15" "MQTT-3.3.2-16" "MQTT-3.3.2-17" "MQTT-3.3.2-20" }

    // More about subscriptions.

    /// No message carries a Subscription Identifier.
    "no-subscription-ids" NoSubscriptionIds
        { | "MQTT-3.3.4-3" }
    /// Queued messages carry no Subscription Identifier.
    "subscription-id-lost-in-queue" SubscriptionIdLostInQueue [Queued]
        { | "MQTT-3.3.4-3" }
    /// One copy for several subscriptions carries one of their identifiers.
    "one-subscription-id-of-many" OneSubscriptionIdOfMany
        { | "MQTT-3.3.4-4" }
    /// Of several copies each carries all identifiers.
    "all-subscription-ids-on-each-copy" AllSubscriptionIdsOnEachCopy
        { | "MQTT-3.3.4-5" }
    /// No Local is ignored.
    "ignores-no-local" IgnoresNoLocal
        { | "MQTT-3.8.3-3" }
    /// Retain As Published is ignored.
    "ignores-retain-as-published" IgnoresRetainAsPublished
        { | "MQTT-3.3.1-13" }
    /// Retain As Published does not reach the queue.
    "retain-as-published-lost-in-queue" RetainAsPublishedLostInQueue [Queued]
        { | "MQTT-3.3.1-13" }
    /// With Retain Handling 1 each SUBSCRIBE gets the retained message.
    "retain-handling-1-always" RetainHandling1Always [RetainedCopy]
        { | "MQTT-3.3.1-10" }
    /// With Retain Handling 1 no SUBSCRIBE gets the retained message.
    "retain-handling-1-never" RetainHandling1Never [RetainedCopy]
        { | "MQTT-3.3.1-10" }
    /// With Retain Handling 2 each SUBSCRIBE gets the retained message.
    "ignores-retain-handling-2" IgnoresRetainHandling2 [RetainedCopy]
        { | "MQTT-3.3.1-11" }
    /// Overlapping subscriptions are served at the lowest QoS.
    "overlap-takes-lowest-qos" OverlapTakesLowestQos
        { "MQTT-3.3.5-1" "MQTT-3.1.2-5" | "MQTT-3.3.4-2" "MQTT-4.5.0-1" }
    /// A SUBSCRIBE with the same filter is granted, and the old one stays in force.
    "resubscribe-keeps-old" ResubscribeKeepsOld
        { "MQTT-3.8.4-3" | "MQTT-3.8.4-3" "MQTT-3.3.4-3" }
    /// UNSUBSCRIBE ends every subscription whose filter its own matches.
    "unsubscribes-by-match" UnsubscribesByMatch
        { "MQTT-3.10.4-1" | "MQTT-3.10.4-1" }
    /// What was unsubscribed is there again when the session resumes.
    "unsubscribe-forgotten-on-resume" UnsubscribeForgottenOnResume
        { "MQTT-3.10.4-1" "MQTT-3.10.4-2" | "MQTT-3.10.4-1" "MQTT-3.10.4-2" "MQTT-3.3.4-3" }
    /// UNSUBSCRIBE drops the deliveries that have begun.
    "unsubscribe-drops-under-way" UnsubscribeDropsUnderWay [Resent]
        { "MQTT-3.10.4-3" "MQTT-4.4.0-1" | "MQTT-3.10.4-3" "MQTT-4.4.0-1" }
    /// The codes of a SUBACK stand in reverse.
    "suback-reversed" SubackReversed
        { "MQTT-3.9.3-1" "MQTT-3.8.4-6" "MQTT-3.1.2-5" | "MQTT-3.9.3-1" "MQTT-3.8.4-8" "MQTT-4.5.0-1" }
    /// A SUBACK has one code, however many filters there were.
    "suback-lacks-codes" SubackLacksCodes silent
        { "MQTT-3.8.4-5" | "MQTT-3.8.4-6" }
    /// A SUBACK tells one QoS more than was asked for and is granted.
    "suback-tells-more" SubackTellsMore
        { "MQTT-3.8.4-5" "MQTT-3.9.3-1" "MQTT-3.8.4-6" "MQTT-3.1.2-5" "MQTT-3.3.1-5"
        | "MQTT-3.8.4-7" "MQTT-3.9.3-1" "MQTT-3.8.4-8" "MQTT-4.8.2-3" "MQTT-4.5.0-1" "MQTT-3.3.1-5" }
    /// SUBSCRIBE above the announced Maximum QoS is refused.
    "refuses-subscribe-above-maximum" RefusesSubscribeAboveMaximum silent
        { | "MQTT-3.2.2-10" }
    /// SUBACK never comes.
    "no-suback" NoSuback silent
        { "MQTT-3.8.4-1" | "MQTT-3.8.4-1" }
    /// UNSUBACK never comes.
    "no-unsuback" NoUnsuback silent
        { "MQTT-3.10.4-4" | "MQTT-3.10.4-4" }

    // More about retained messages.

    /// A retained message of zero bytes is stored.
    "stores-empty-retained" StoresEmptyRetained [RetainedCopy]
        { "MQTT-3.3.1-11" | "MQTT-3.3.1-7" }
    /// A retained message of zero bytes is not forwarded.
    "does-not-forward-empty-retained" DoesNotForwardEmptyRetained
        { "MQTT-3.3.1-10" | "MQTT-3.3.1-6" }
    /// A message with RETAIN 0 removes the retained message.
    "retain-0-removes" Retain0Removes [RetainedCopy]
        { "MQTT-3.3.1-12" "MQTT-3.3.1-6" "MQTT-3.8.4-3" "MQTT-3.1.2-17" "MQTT-3.1.2-7" | "MQTT-3.3.1-8" "MQTT-3.3.1-9" "MQTT-3.3.1-10" "MQTT-3.8.4-4" "MQTT-3.1.2-15" }
    /// A retained message at QoS 0 does not displace the one before.
    "qos0-keeps-old-retained" Qos0KeepsOldRetained [RetainedCopy]
        { "MQTT-3.3.1-7" | "MQTT-3.3.1-5" }
    /// Retained messages are stored at QoS 0.
    "retained-at-qos0" RetainedAtQos0 [RetainedCopy]
        { "MQTT-3.3.1-5" "MQTT-3.8.4-6" | "MQTT-3.3.1-5" "MQTT-3.8.4-8" }

    // Identifiers, and what is sent again.

    /// PUBACK and PUBREC carry another identifier.
    "ack-wrong-id" AckWrongId silent
        { "MQTT-2.3.1-6" "MQTT-3.3.4-1" | "MQTT-2.2.1-5" "MQTT-3.3.4-1" }
    /// Every message has the identifier 1.
    "reuses-id-in-use" ReusesIdInUse silent
        { "MQTT-2.3.1-4" "MQTT-4.3.3-1" "MQTT-4.4.0-1" "MQTT-3.3.4-1" "MQTT-4.3.3-2"
        | "MQTT-2.2.1-4" "MQTT-4.3.3-6" "MQTT-4.4.0-1" "MQTT-4.3.3-4" "MQTT-4.3.3-11" }
    /// What is sent again has a new identifier.
    "resends-with-new-id" ResendsWithNewId [Resent]
        { "MQTT-4.4.0-1" "MQTT-3.10.4-3" "MQTT-4.3.3-1" | "MQTT-4.4.0-1" "MQTT-3.10.4-3" "MQTT-4.3.3-4" }
    /// What is sent again comes in reverse.
    "resends-reversed" ResendsReversed [Resent]
        { "MQTT-4.6.0-6" | "MQTT-4.6.0-5" }
    /// In 5.0 an unacknowledged PUBLISH is sent again after a second, on the connection that is there.
    "resends-live" ResendsLive [Resent]
        { | "MQTT-4.4.0-1" }
    /// What the client refused is sent again on resume.
    "resends-refused" ResendsRefused [Resent]
        { | "MQTT-4.4.0-2" }
    /// PUBREL is not sent again on resume.
    "pubrel-not-resent" PubrelNotResent [Resent]
        { "MQTT-4.4.0-1" "MQTT-3.10.4-3" | "MQTT-4.4.0-1" "MQTT-3.10.4-3" }
    /// A QoS 1 message under an identifier that was used before is taken for a repetition.
    "remembers-puback-id" RemembersPubackId silent
        { "MQTT-4.3.2-2" "MQTT-3.1.2-5" "MQTT-4.5.0-1" "MQTT-3.3.1-6" "MQTT-3.8.4-3" "MQTT-4.1.0-2"
        | "MQTT-4.3.2-5" "MQTT-4.5.0-1" "MQTT-3.3.1-5" "MQTT-3.3.1-6" "MQTT-3.3.1-9" "MQTT-3.8.4-4" "MQTT-4.1.0-1" }
    /// A QoS 2 message under an identifier that was used before is taken for a repetition.
    "remembers-pubcomp-id" RemembersPubcompId silent
        { "MQTT-4.3.3-2" "MQTT-3.1.2-5" "MQTT-4.5.0-1" "MQTT-3.3.1-6" "MQTT-3.8.4-3" "MQTT-4.1.0-2"
        | "MQTT-4.3.3-12" "MQTT-4.5.0-1" "MQTT-3.3.1-5" "MQTT-3.3.1-6" "MQTT-3.3.1-9" "MQTT-3.8.4-4" "MQTT-4.1.0-1" }
    /// A QoS 2 message under an identifier that was refused before is taken for a repetition: it is completed, and lost.
    "remembers-refused-id" RemembersRefusedId silent
        { | "MQTT-4.3.3-9" "MQTT-4.5.0-1" }
    /// PUBREL never comes.
    "no-pubrel" NoPubrel silent
        { "MQTT-4.3.3-1" "MQTT-4.4.0-1" | "MQTT-4.3.3-4" "MQTT-4.4.0-1" }
    /// The identifiers of QoS 2 messages whose PUBREL has not come are forgotten with the publisher's connection.
    "forgets-received-ids" ForgetsReceivedIds
        { "MQTT-4.3.3-2" | "MQTT-4.3.3-10" }

    // Shared subscriptions.

    /// A member of a group gets messages at the QoS of their publication.
    "shared-at-qos-of-publication" SharedAtQosOfPublication [Shared]
        { | "MQTT-4.8.2-3" }
    /// A QoS 2 delivery that was broken off goes to another member.
    "shared-redirects-under-way" SharedRedirectsUnderWay [Shared]
        { | "MQTT-4.8.2-4" "MQTT-4.4.0-1" "MQTT-4.8.2-5" }
    /// A QoS 2 delivery goes to another member when the session of the first ends.
    "shared-redirects-at-session-end" SharedRedirectsAtSessionEnd [Shared]
        { | "MQTT-4.8.2-5" }
    /// What one member refuses goes to another.
    "shared-redirects-refused" SharedRedirectsRefused [Shared]
        { | "MQTT-4.8.2-6" }
    /// Each member of a group gets each message.
    "shared-to-all-members" SharedToAllMembers [Shared]
        { | "4.8.2" "MQTT-4.8.2-6" }
    /// A shared subscription gets retained messages.
    "retained-to-shared" RetainedToShared [Shared]
        { | "4.8.2" }

    // What is looked at in one place and forgotten in another.

    /// A PUBREC that came right before the end of its connection is forgotten, and its message with it.
    "forgets-cut-off-pubrec" ForgetsCutOffPubrec [Resent]
        { "MQTT-4.4.0-1" "MQTT-4.3.3-1" "MQTT-3.1.2-5" "MQTT-4.5.0-1" | "MQTT-4.4.0-1" "MQTT-4.3.3-5" "MQTT-4.5.0-1" }
    /// On resume the PUBRELs come in reverse. Only 3.1.1 orders those of a server.
    "pubrels-reversed" PubrelsReversed [Resent]
        { "MQTT-4.6.0-6" "MQTT-4.6.0-4" | }
    /// PUBREL follows each PUBLISH of QoS 2 at once, and no PUBREC is waited for.
    "pubrel-before-pubrec" PubrelBeforePubrec silent
        { "MQTT-4.3.3-1" "MQTT-4.6.0-6" "MQTT-4.4.0-1" | "MQTT-4.3.3-4" "MQTT-4.3.3-5" "MQTT-4.3.3-6" "MQTT-4.4.0-1" }
    /// An identifier is used anew as soon as its PUBREC has come.
    "reuses-id-before-pubcomp" ReusesIdBeforePubcomp silent
        { "MQTT-2.3.1-4" "MQTT-4.3.3-1" "MQTT-4.4.0-1" | "MQTT-2.2.1-4" "MQTT-4.3.3-1" "MQTT-4.3.3-6" "MQTT-4.4.0-1" "MQTT-4.3.3-4" }
    /// Each PUBACK lets two messages go, whatever the Receive Maximum.
    "puback-releases-two" PubackReleasesTwo
        { | "MQTT-3.3.4-9" "MQTT-4.9.0-1" }
    /// What was not acknowledged is sent again 29 seconds after the client's return.
    "resends-late" ResendsLate [Resent] silent
        { "MQTT-4.4.0-1" | "MQTT-4.4.0-1" }
    /// A will goes out five seconds late.
    "will-late" WillLate [Will] silent
        { "MQTT-3.1.2-8" | "MQTT-3.1.2-8" }
    /// A message at QoS 0 comes under another topic.
    "wrong-topic-at-qos0" WrongTopicAtQos0 silent
        { "MQTT-3.3.2-3" "4.5" | "MQTT-3.3.2-3" "4.5" }
    /// A message at QoS 0 comes under a topic that has a wildcard.
    "wildcard-in-topic" WildcardInTopic silent
        { "MQTT-3.3.2-2" "MQTT-3.3.2-3" "4.5" | "MQTT-3.3.2-2" "MQTT-3.3.2-3" "4.5" }
    /// The Topic Alias is 0.
    "topic-alias-0" TopicAlias0 silent
        { | "MQTT-3.3.2-8" "4.13" }
    /// Each SUBACK is followed by another CONNACK.
    "second-connack" SecondConnack silent
        { "3.2" | "MQTT-3.2.0-2" }

    /// Each SUBACK is followed by AUTH, which is a reserved type of packet in 3.1.1.
    "unasked-auth" UnaskedAuth silent
        { "2.1" | "MQTT-4.12.0-6" }
    /// The CONNACK for a session that is there names an Authentication Method.
    "names-an-authentication-method" NamesAnAuthenticationMethod silent
        { | "MQTT-4.12.0-6" }

    // Connections that end, or fall silent, although the client keeps to the standard.

    /// A PUBREL that is sent again is answered by the end of the connection.
    "closes-on-repeated-pubrel" ClosesOnRepeatedPubrel silent
        { "MQTT-4.3.3-2" "4.8" | "MQTT-4.3.3-11" "4.13" }
    /// A QoS 2 PUBLISH that is sent again is answered by PUBREC 0x91.
    "pubrec-0x91-on-repetition" Pubrec0x91OnRepetition silent
        { | "MQTT-4.3.3-10" }
    /// A SUBSCRIBE that finds a retained message of QoS 2 is answered by the end of the connection.
    "closes-on-retained-qos2" ClosesOnRetainedQos2 silent
        { "MQTT-3.8.4-1" "MQTT-3.3.1-6" "MQTT-3.8.4-3" "4.8" | "MQTT-3.8.4-1" "MQTT-3.3.1-9" "MQTT-3.8.4-4" "4.13" }
    /// A client of 3.1.1 that is taken over gets a DISCONNECT, which only clients send there.
    "disconnect-to-v3" DisconnectToV3 silent
        { "3.14" | }
    /// The PUBLISH of a will has the Will Delay Interval among its properties.
    "will-delay-in-publish" WillDelayInPublish silent
        { | "2.2.2.2" "MQTT-3.1.2-8" }
    /// A PUBLISH has both QoS bits set.
    "publish-at-qos-3" PublishAtQos3 silent
        { "MQTT-3.3.1-4" | "MQTT-3.3.1-4" }
    /// A PUBLISH at QoS 1 or 2 has the Packet Identifier 0.
    "identifier-0" Identifier0 silent
        { "MQTT-2.3.1-1" | "MQTT-2.2.1-4" }
    /// A PUBLISH has an empty topic.
    "empty-topic" EmptyTopic silent
        { "MQTT-4.7.3-1" | "MQTT-4.7.3-1" }
    /// A reserved flag is set in the CONNACK for a session that is there.
    "connack-reserved-flag" ConnackReservedFlag silent
        { "3.2.2" | "MQTT-3.2.2-1" }
    /// PUBACK, PUBREC, PUBREL, PUBCOMP and UNSUBACK have the reason code 0x01, and DISCONNECT has 0x77.
    "reserved-reason-codes" ReservedReasonCodes
        { | "MQTT-3.4.2-1" "MQTT-3.5.2-1" "MQTT-3.6.2-1" "MQTT-3.7.2-1" "MQTT-3.11.3-2" "MQTT-3.14.2-1" }
    /// A SUBACK grants QoS 3 where QoS 2 was asked for.
    "suback-grants-qos-3" SubackGrantsQos3
        { "MQTT-3.9.3-2" | "MQTT-3.9.3-2" }
    /// Each PUBACK, PUBREC and SUBACK is followed by one for a packet that nobody has sent.
    "stray-answers" StrayAnswers
        { "MQTT-2.3.1-6" "MQTT-3.8.4-2" | "MQTT-2.2.1-5" "MQTT-3.8.4-2" }
    /// PUBCOMP comes with each PUBREC, although no PUBREL has come.
    "pubcomp-before-pubrel" PubcompBeforePubrel
        { "MQTT-4.3.3-2" | "MQTT-4.3.3-11" }
    /// A will goes out when its client connects, and when it goes away.
    "will-at-connect" WillAtConnect [Will]
        { "MQTT-3.1.2-8" "MQTT-3.1.2-10" "MQTT-3.1.2-12" "MQTT-3.14.4-3" "4.5"
        | "MQTT-3.1.2-8" "MQTT-3.1.2-10" "MQTT-3.1.3-9" "MQTT-3.14.4-3" "4.5" }
    /// A reserved flag of PINGRESP is set.
    "reserved-flag-set" ReservedFlagSet silent
        { "MQTT-2.2.2-1" "MQTT-3.12.4-1" | "MQTT-2.1.3-1" "MQTT-3.12.4-1" }
    /// To a client that asks for a session CONNACK says Receive Maximum 0.
    "receive-maximum-0" ReceiveMaximum0
        { | "3.2.2.3.3" }
    /// To a client that asks for a session CONNACK says Maximum QoS 2.
    "maximum-qos-2" MaximumQos2
        { | "3.2.2.3.4" }
    /// To a client that asks for a session CONNACK says Retain Available 2.
    "retain-available-2" RetainAvailable2
        { | "3.2.2.3.5" }
    /// To a client that asks for a session CONNACK says Maximum Packet Size 0.
    "maximum-packet-size-0" MaximumPacketSize0
        { | "3.2.2.3.6" }
    /// To a client that asks for a session CONNACK says Shared Subscription Available 0xFF.
    "shared-available-255" SharedAvailable255
        { | "3.2.2.3.13" }
    /// A CONNACK to a client that asks for a session has a property twice; which one follows from the
    /// client identifier.
    "connack-property-twice" ConnackPropertyTwice
        { | "3.2.2.3.2" "3.2.2.3.3" "3.2.2.3.4" "3.2.2.3.5" "3.2.2.3.6" "3.2.2.3.7" "3.2.2.3.8" "3.2.2.3.9" "3.2.2.3.11"
            "3.2.2.3.12" "3.2.2.3.13" "3.2.2.3.14" "3.2.2.3.15" "3.2.2.3.16" "3.2.2.3.17" "3.2.2.3.18" }
    /// The Reason String of a CONNACK to a client that asks for a session is not UTF-8.
    "reason-not-utf8" ReasonNotUtf8
        { | "MQTT-1.5.4-1" }
    /// A User Property of a CONNACK to a client that asks for a session has the null character.
    "null-in-user-property" NullInUserProperty
        { | "MQTT-1.5.4-2" }
    /// The topic of a PUBLISH is not UTF-8.
    "topic-not-utf8" TopicNotUtf8 silent
        { "MQTT-1.5.3-1" | "MQTT-1.5.4-1" }
    /// The topic of a PUBLISH has the null character.
    "null-in-topic" NullInTopic silent
        { "MQTT-1.5.3-2" | "MQTT-1.5.4-2" }
    /// In the middle the broker stops to say anything at all.
    "freezes" Freezes silent
        { "MQTT-3.12.4-1" "MQTT-3.8.4-1" "MQTT-3.3.4-1" "MQTT-4.5.0-1" "MQTT-3.10.4-4" "MQTT-4.3.3-2"
        | "MQTT-3.12.4-1" "MQTT-3.8.4-1" "MQTT-3.3.4-1" "MQTT-4.5.0-1" "MQTT-3.10.4-4" "MQTT-4.3.3-11" }
    /// In the middle the broker ends all connections, and takes no new ones.
    "dies" Dies silent
        { "4.8" | "4.13" }
}
