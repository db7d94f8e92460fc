//! The lies that the broker can tell, one at a time, with the statements that each may break.
//!
//! A statement stands here under its protocol version and number, as in `MQTT-3.1.2-5`; a sentence without a number by
//! its section, as in `3.8.3.1`. Where the lie is told is found in [`super::rules`].

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

mod lies;

use super::choices::Choices;

pub use lies::Defect;

impl Defect {
    /// The legal habits without which the lie cannot be told.
    pub fn choices(self) -> Choices {
        let usual = Choices::default();
        match self {
            Defect::WillQosAboveMaximum | Defect::RefusesSubscribeAboveMaximum => Choices { maximum_qos: 1, ..usual },
            Defect::WillRetainWithoutSupport => Choices { retain_available: false, ..usual },
            Defect::OpenAfterRefusalV5 | Defect::SessionPresentWithRefusalV5 => Choices { refuse_v5: true, ..usual },
            Defect::OpenAfterRefusalV3 | Defect::SessionPresentWithRefusalV3 => Choices { refuse_v3: true, ..usual },
            Defect::AllSubscriptionIdsOnEachCopy => Choices { copy_for_each_subscription: true, ..usual },
            Defect::RemembersRefusedId => Choices { queue_at_most: Some(10), ..usual },
            Defect::AliasAboveMaximum | Defect::AliasSurvives => Choices { topic_aliases: true, ..usual },
            _ => usual,
        }
    }
}
