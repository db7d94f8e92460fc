//! The properties of a message: passed on unaltered, also through the queue, and its expiry counted down (5.0).

use super::deliveries::{Copy, Kind};
use super::finding::{Findings, Rule};
use super::story::{Story, Timed};
use crate::packet::{Properties, Protocol};
use crate::scenario::Timer;

const fn v5(statement: &'static str) -> Rule {
    Rule { v3: None, v5: Some(statement) }
}

const PAYLOAD_FORMAT: Rule = v5("MQTT-3.3.2-4");
const RESPONSE_TOPIC: Rule = v5("MQTT-3.3.2-15");
const CORRELATION_DATA: Rule = v5("MQTT-3.3.2-16");
const USER_PROPERTIES: Rule = v5("MQTT-3.3.2-17");
const ORDER_OF_USER_PROPERTIES: Rule = v5("MQTT-3.3.2-18");
const CONTENT_TYPE: Rule = v5("MQTT-3.3.2-20");
const AN_EXPIRED_MESSAGE_IS_DELETED: Rule = v5("MQTT-3.3.2-5");
const EXPIRY_LESS_THE_WAITING_TIME: Rule = v5("MQTT-3.3.2-6");

/// The properties of every copy that came to a client of 5.0.
pub fn check(story: &Story, copies: &[Copy<'_>], findings: &mut Findings) {
    for (place, copy) in copies.iter().enumerate() {
        if copy.kind == Kind::Unknown || copy.connection.protocol() != Protocol::V5 {
            continue;
        }
        unaltered(copy, findings);
        let waited = waited(story, copy);
        let began_earlier = copies[..place].iter().any(|other| {
            other.publication.message == copy.publication.message && other.kind == copy.kind && !other.delivery.complete
        });
        expired(copy, waited.filter(|_| !began_earlier), findings);
        counted_down(copy, waited, findings);
    }
}

/// The message waited, by the clock, for at least so many seconds before its copy came.
fn waited<'a>(story: &'a Story, copy: &Copy<'_>) -> Option<&'a Timed> {
    let timers = story.connections.iter().flat_map(|connection| &connection.timers);
    let own = timers.filter(|timed| {
        timed.timer == Timer::MessageExpiry
            && timed.passed
            && timed.step > copy.publication.step
            && timed.step < copy.delivery.step
    });
    own.max_by_key(|timed| timed.seconds)
}

fn unaltered(copy: &Copy<'_>, findings: &mut Findings) {
    let (sent, came) = (&copy.publication.properties, &copy.delivery.publish.properties);
    let differs: [(bool, Rule, &str); 6] = [
        (sent.payload_format != came.payload_format, PAYLOAD_FORMAT, "Payload Format Indicator"),
        (sent.response_topic != came.response_topic, RESPONSE_TOPIC, "Response Topic"),
        (sent.correlation_data != came.correlation_data, CORRELATION_DATA, "Correlation Data"),
        (lacks_user_properties(sent, came), USER_PROPERTIES, "User Properties"),
        (disorders_user_properties(sent, came), ORDER_OF_USER_PROPERTIES, "order of User Properties"),
        (sent.content_type != came.content_type, CONTENT_TYPE, "Content Type"),
    ];
    let events = [copy.publication.at, copy.delivery.at];
    for (_, rule, what) in differs.into_iter().filter(|(differs, ..)| *differs) {
        let expected = format!("{} with its {what} unaltered", copy.publication.message);
        findings.broken(Protocol::V5, rule, &events, expected, "altered");
    }
}

/// One that was published is not there as often as it was. That a broker adds its own is not forbidden.
fn lacks_user_properties(sent: &Properties, came: &Properties) -> bool {
    let count = |properties: &Properties, wanted| properties.user.iter().filter(|own| *own == wanted).count();
    sent.user.iter().any(|wanted| count(came, wanted) < count(sent, wanted))
}

/// All are there, and not in the order in which they were published.
fn disorders_user_properties(sent: &Properties, came: &Properties) -> bool {
    let mut rest = came.user.iter();
    !lacks_user_properties(sent, came) && !sent.user.iter().all(|wanted| rest.any(|own| own == wanted))
}

/// Its delivery had not begun when its interval passed.
fn expired(copy: &Copy<'_>, waited: Option<&Timed>, findings: &mut Findings) {
    let Some((waited, expiry)) = waited.zip(copy.publication.properties.message_expiry) else { return };
    if waited.seconds >= expiry {
        let expected =
            format!("not {}: its Message Expiry Interval of {expiry} s has passed", copy.publication.message);
        let events = [copy.publication.at, waited.at, copy.delivery.at];
        findings.broken(Protocol::V5, AN_EXPIRED_MESSAGE_IS_DELETED, &events, expected, "it came");
    }
}

fn counted_down(copy: &Copy<'_>, waited: Option<&Timed>, findings: &mut Findings) {
    let Some(expiry) = copy.publication.properties.message_expiry else { return };
    let waited_s = waited.map_or(0, |timed| timed.seconds);
    let left = copy.delivery.publish.properties.message_expiry;
    // Brokers count whole seconds, and may round either way.
    let most = expiry.saturating_sub(waited_s);
    if waited_s < expiry && left.is_none_or(|left| left > most) {
        let mut events = vec![copy.publication.at, copy.delivery.at];
        events.extend(waited.map(|timed| timed.at));
        let expected = format!("{} with a Message Expiry Interval of at most {most} s", copy.publication.message);
        let observed = left.map_or("none".into(), |left| format!("{left} s"));
        findings.broken(Protocol::V5, EXPIRY_LESS_THE_WAITING_TIME, &events, expected, observed);
    }
}
