//! Alterations of the properties of a copy. They are of 5.0.

use mqtt_sessions::history::History;
use mqtt_sessions::packet::{Properties, Protocol};

use super::alteration::Alteration;
use super::copies::Alter;
use super::reading::{Reading, Received};

pub const ALTERATIONS: &[(&str, Alter)] = &[
    ("Message Expiry Interval enlarged", |reading| {
        altered(reading, has_expiry, |own| own.message_expiry = own.message_expiry.map(|seconds| seconds + 10_000))
    }),
    ("no Message Expiry Interval", |reading| altered(reading, has_expiry, |own| own.message_expiry = None)),
    ("another Content Type", |reading| altered(reading, is_full, |own| own.content_type = Some("text/html".into()))),
    ("no Content Type", |reading| altered(reading, is_full, |own| own.content_type = None)),
    ("another Response Topic", |reading| altered(reading, is_full, |own| own.response_topic = Some("nobody".into()))),
    ("other Correlation Data", |reading| altered(reading, is_full, |own| own.correlation_data = Some(vec![7]))),
    ("no Payload Format Indicator", |reading| altered(reading, is_full, |own| own.payload_format = None)),
    ("a User Property altered", |reading| altered(reading, is_full, |own| own.user[0].1 = "other".into())),
    ("a User Property lost", |reading| altered(reading, is_full, |own| drop(own.user.pop()))),
    ("User Properties in another order", |reading| altered(reading, is_full, |own| own.user.swap(0, 2))),
    ("Topic Alias 0", |reading| altered(reading, is_named, |own| own.topic_alias = Some(0))),
    ("another Subscription Identifier", |reading| {
        altered(reading, has_identifier, |own| own.subscription_ids = vec![77])
    }),
    ("no Subscription Identifier", |reading| altered(reading, has_identifier, |own| own.subscription_ids.clear())),
    ("a Subscription Identifier too many", |reading| {
        altered(reading, is_without_identifiers, |own| own.subscription_ids.push(77))
    }),
];

fn altered(reading: &Reading, can_be: fn(&Reading, &Received) -> bool, alter: fn(&mut Properties)) -> Vec<History> {
    let copies = reading.of_experiment().filter(|copy| reading.protocol(copy) == Protocol::V5 && can_be(reading, copy));
    let altered = |copy: &Received| {
        Alteration::of(reading).change_publish(copy.at, |publish| alter(&mut publish.properties)).history()
    };
    copies.map(altered).collect()
}

fn has_expiry(reading: &Reading, copy: &Received) -> bool {
    let published = reading.publication(copy.message).and_then(|own| own.publish.properties.message_expiry);
    copy.publish.properties.message_expiry.is_some() && published.is_some()
}

/// True if the copy has every property that a broker has to pass on unaltered.
fn is_full(_: &Reading, copy: &Received) -> bool {
    copy.publish.properties.user.len() == 3
}

fn is_named(_: &Reading, copy: &Received) -> bool {
    !copy.publish.topic.is_empty() && copy.publish.properties.topic_alias.is_none()
}

fn has_identifier(reading: &Reading, copy: &Received) -> bool {
    let only = reading.only_subscription(&copy.session).and_then(|(subscribing, _)| subscribing.identifier);
    only.is_some_and(|only| copy.publish.properties.subscription_ids == [only])
}

fn is_without_identifiers(reading: &Reading, copy: &Received) -> bool {
    reading.filters(&copy.session).iter().all(|(subscribing, _)| subscribing.identifier.is_none())
}
