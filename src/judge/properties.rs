//! The properties of a message: passed on unaltered, on each way, and its expiry counted down (5.0).

use super::deliveries::{Copy, Ledger};
use super::finding::{Findings, NAMES};
use super::model::Model;
use super::rules::{self, Rule};
use crate::packet::{Properties, Protocol};

/// The properties of every copy that came to a client of 5.0.
pub fn check(model: &Model<'_>, ledger: &Ledger<'_>, findings: &mut Findings) {
    for (number, copy) in ledger.copies.iter().enumerate() {
        let varies = copy.publication.is_will() || copy.publication.properties_vary;
        if copy.slot.is_none() || copy.connection.protocol() != Protocol::V5 || varies {
            continue;
        }
        unaltered(model, copy, findings);
        if copy.publication.properties.message_expiry.is_some() && !model.facts.is_ambiguous(copy.delivery) {
            let has_begun = ledger.copies[..number]
                .iter()
                .any(|other| std::ptr::eq(other.publication, copy.publication) && !other.delivery.is_complete());
            let is_repeated = copy.delivery.publish.dup && may_have_been_sent(model, ledger, copy);
            let has_begun = has_begun || !copy.is_first || is_repeated;
            expiry(model, copy, has_begun, findings);
        }
    }
}

/// Something was open on which the message can have been sent before this copy: a connection of the client's, or of another member of
/// a group.
fn may_have_been_sent(model: &Model<'_>, ledger: &Ledger<'_>, copy: &Copy<'_>) -> bool {
    let Some(sent) = copy.publication.sent() else { return true };
    let is_shared = ledger.session.subscriptions.iter().any(|own| own.is_shared());
    let mut own = model.facts.connections.iter().filter(|own| *own.id == *ledger.session.id);
    is_shared
        || own.any(|own| match own.index == copy.connection.index {
            true => own.opened.at < sent.at,
            false => own.opened.at < copy.connection.opened.at && own.ended_in() >= sent.step,
        })
}

fn unaltered(model: &Model<'_>, copy: &Copy<'_>, findings: &mut Findings) {
    let (sent, came) = (&copy.publication.properties, &copy.delivery.publish.properties);
    // Clearings of one topic cannot be told apart, so the copy may be that of any.
    let mut others = model.facts.sources_of(copy.delivery).filter(|_| copy.publication.is_clearing());
    if others.any(|other| differences(&other.properties, came).next().is_none()) {
        return;
    }
    for (rule, what) in differences(sent, came) {
        let finding = findings.broken(rule, Protocol::V5).at([copy.publication.at(), copy.delivery.place.at]);
        finding
            .about(copy.publication.message)
            .expected(format!("{NAMES} with its {what} unaltered"))
            .observed("altered");
    }
}

/// The rules that the properties of a copy break, each with the name of the property.
fn differences(sent: &Properties, came: &Properties) -> impl Iterator<Item = (Rule, &'static str)> {
    let format = |properties: &Properties| properties.payload_format.unwrap_or_default();
    let differs: [(bool, Rule, &'static str); 6] = [
        // 0 says the same as none (5.0, section 3.3.2.3.2).
        (format(sent) != format(came), rules::PAYLOAD_FORMAT, "Payload Format Indicator"),
        (sent.response_topic != came.response_topic, rules::RESPONSE_TOPIC, "Response Topic"),
        (sent.correlation_data != came.correlation_data, rules::CORRELATION_DATA, "Correlation Data"),
        (lacks_user_properties(sent, came), rules::USER_PROPERTIES, "User Properties"),
        (disorders_user_properties(sent, came), rules::ORDER_OF_USER_PROPERTIES, "order of User Properties"),
        (sent.content_type != came.content_type, rules::CONTENT_TYPE, "Content Type"),
    ];
    differs.into_iter().filter(|(differs, ..)| *differs).map(|(_, rule, what)| (rule, what))
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

/// A message whose interval has passed before its delivery began is deleted, and the interval that comes is what is left of it.
fn expiry(model: &Model<'_>, copy: &Copy<'_>, has_begun: bool, findings: &mut Findings) {
    let Some(expiry) = copy.publication.properties.message_expiry else { return };
    let (waited, timed) = model.waited_s(copy.publication, copy.connection.opened, copy.delivery.place);
    let events = [copy.publication.at(), copy.delivery.place.at].into_iter().chain(timed);
    let message = copy.publication.message;
    if waited >= expiry {
        if !has_begun {
            let finding = findings.broken(rules::AN_EXPIRED_MESSAGE_IS_DELETED, Protocol::V5).at(events).about(message);
            let expected = format!("not {NAMES}: its Message Expiry Interval of {expiry} s has passed");
            finding.expected(expected).observed("it came");
        }
        return;
    }
    // Brokers count whole seconds, and may round either way.
    let most = expiry - waited;
    let left = copy.delivery.publish.properties.message_expiry;
    if left.is_none_or(|left| left > most) {
        let finding = findings.broken(rules::EXPIRY_LESS_THE_WAITING_TIME, Protocol::V5).at(events).about(message);
        let observed = if left.is_some() { "a longer one" } else { "none" };
        finding
            .expected(format!("{NAMES} with what is left of its Message Expiry Interval of {expiry} s"))
            .observed(observed);
    }
}
