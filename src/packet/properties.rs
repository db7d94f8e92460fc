//! The properties of a PUBLISH.

use std::fmt;
use std::ops::{Deref, DerefMut};

/// The properties of a PUBLISH (5.0, section 3.3.2.3). Most messages have none, and there may be many messages: then they take
/// the room of a pointer.
#[derive(Clone, Default)]
pub struct Properties(Option<Box<Values>>);

/// What the properties say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Values {
    pub payload_format: Option<u8>,
    /// Message Expiry Interval in seconds.
    pub message_expiry: Option<u32>,
    pub topic_alias: Option<u16>,
    pub content_type: Option<String>,
    pub response_topic: Option<String>,
    pub correlation_data: Option<Vec<u8>>,
    /// In their order on the wire.
    pub user: Vec<(String, String)>,
    pub subscription_ids: Vec<u32>,
}

impl Values {
    /// The most bytes that they take on the wire.
    pub fn bytes_max(&self) -> usize {
        /// Payload Format Indicator, Message Expiry Interval, Topic Alias, and the length of all.
        const NUMBERS: usize = 2 + 5 + 3 + 4;
        /// What stands before a text, and before a pair of texts.
        const TEXT: usize = 3;
        const PAIR: usize = 5;
        const IDENTIFIER: usize = 5;
        let texts = [self.content_type.as_ref(), self.response_topic.as_ref()].into_iter().flatten();
        let texts: usize = texts.map(|text| TEXT + text.len()).sum();
        let data = self.correlation_data.as_ref().map_or(0, |data| TEXT + data.len());
        let user: usize = self.user.iter().map(|(key, value)| PAIR + key.len() + value.len()).sum();
        if *self == NONE { 0 } else { NUMBERS + texts + data + user + IDENTIFIER * self.subscription_ids.len() }
    }
}

static NONE: Values = Values {
    payload_format: None,
    message_expiry: None,
    topic_alias: None,
    content_type: None,
    response_topic: None,
    correlation_data: None,
    user: Vec::new(),
    subscription_ids: Vec::new(),
};

impl From<Values> for Properties {
    fn from(values: Values) -> Properties {
        Properties(if values == NONE { None } else { Some(Box::new(values)) })
    }
}

impl Deref for Properties {
    type Target = Values;

    fn deref(&self) -> &Values {
        self.0.as_deref().unwrap_or(&NONE)
    }
}

impl DerefMut for Properties {
    fn deref_mut(&mut self) -> &mut Values {
        self.0.get_or_insert_default()
    }
}

impl PartialEq for Properties {
    fn eq(&self, other: &Properties) -> bool {
        **self == **other
    }
}

impl Eq for Properties {}

impl fmt::Debug for Properties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
