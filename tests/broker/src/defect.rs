//! The lies that the broker can tell, one at a time, with the statements that each may break.
//!
//! A statement stands here under its protocol version and number, as in `MQTT-3.1.2-5`; a sentence without a number by
//! its section, as in `3.8.3.1`. Where the lie is told is found in [`super::rules`].

mod lies;
mod on_the_way;

use mqtt_sessions::packet::Protocol;

use super::choices::{Choices, PacketIds};

pub use lies::Defect;
pub use on_the_way::{Fault, ON_THE_WAY, OnTheWay, Way};

impl Defect {
    /// Every lie: those with a rule of their own, and each fault on each way.
    pub fn all() -> Vec<Defect> {
        let faults = ON_THE_WAY.iter().map(|lie| Defect::OnTheWay(lie.fault, lie.way));
        Defect::LISTED.iter().copied().chain(faults).collect()
    }

    /// The lie with this name.
    pub fn named(name: &str) -> Option<Defect> {
        Defect::all().into_iter().find(|defect| defect.name() == name)
    }

    pub fn name(self) -> &'static str {
        self.on_the_way().map_or_else(|| self.listed_name(), |lie| lie.name)
    }

    /// What a broker does that tells this lie, in words.
    pub fn description(self) -> String {
        self.on_the_way().map_or_else(|| self.listed_description().trim().to_owned(), OnTheWay::description)
    }

    /// The statements that the lie may break, and no others.
    pub fn statements(self) -> &'static [(Protocol, &'static str)] {
        self.on_the_way().map_or_else(|| self.listed_statements(), |lie| lie.statements)
    }

    /// True if the lie is a missing answer or a close, after which nothing can be proven.
    pub fn inconclusive_allowed(self) -> bool {
        self.on_the_way().map_or_else(|| self.listed_silent(), |lie| lie.silent)
    }

    /// The way of a message on which alone the lie is told. `None` if it is told on several, or concerns no message.
    pub fn way(self) -> Option<Way> {
        self.on_the_way().map_or_else(|| self.listed_way(), |lie| Some(lie.way))
    }

    fn on_the_way(self) -> Option<&'static OnTheWay> {
        let Defect::OnTheWay(fault, way) = self else { return None };
        ON_THE_WAY.iter().find(|lie| lie.fault == fault && lie.way == way)
    }

    /// The legal habits without which the lie cannot be told.
    pub fn choices(self) -> Choices {
        let usual = Choices::default();
        match self {
            Defect::WillQosAboveMaximum | Defect::RefusesSubscribeAboveMaximum => Choices { maximum_qos: 1, ..usual },
            Defect::WillRetainWithoutSupport => Choices { retain_available: false, ..usual },
            Defect::OpenAfterRefusalV5 | Defect::SessionPresentWithRefusalV5 => Choices { refuse_v5: true, ..usual },
            Defect::OpenAfterRefusalV3 | Defect::SessionPresentWithRefusalV3 => Choices { refuse_v3: true, ..usual },
            Defect::AllSubscriptionIdsOnEachCopy | Defect::OnTheWay(Fault::AllIdsOfOverlap, _) => {
                Choices { copy_for_each_subscription: true, ..usual }
            }
            Defect::RemembersRefusedId => Choices { queue_at_most: Some(10), ..usual },
            Defect::AliasAboveMaximum | Defect::AliasSurvives | Defect::TopicAlias0 => {
                Choices { topic_aliases: true, ..usual }
            }
            Defect::OnTheWay(Fault::DupAtQos0, Way::Queued) => Choices { queue_qos0_publications: true, ..usual },
            Defect::ReusesIdBeforePubcomp => Choices { packet_ids: PacketIds::LowestFree, ..usual },
            // To recognise a message that was cut off the broker has to look whether it was.
            Defect::ForgetsCutOffPubrec => Choices { recognises_resent_qos1: true, ..usual },
            _ => usual,
        }
    }
}
