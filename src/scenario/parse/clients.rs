//! The clients of a scenario, and what their CONNECT asks for.

use std::ops::Range;

use toml::Spanned;

use super::{CLIENTS_MAX, Entry, Reader, ScenarioError, Section};
use crate::scenario::{ClientId, ClientPlan, ConnectPlan, WillPlan, keys};
use crate::vocabulary::{FIRST_NODE, NODES_MAX};

/// The largest number in a field of two bytes.
const TWO_BYTES: u32 = u16::MAX as u32;
/// The topic of a will that names none.
const WILL_TOPIC: &str = "will";

impl<'a> Reader<'a> {
    pub(super) fn clients(&mut self, root: &Section<'a>) -> Result<Vec<Spanned<ClientPlan>>, ScenarioError> {
        let (clients_at, value) = root.need("clients", "a table for each client")?;
        let mut clients: Vec<Spanned<ClientPlan>> = Vec::new();
        for (key, at, value) in Section::of(self.document, "`clients`", clients_at.clone(), value)?.entries() {
            if clients.len() == CLIENTS_MAX {
                return Err(self.document.mistake(&at, format!("a scenario has at most {CLIENTS_MAX} clients")));
            }
            let client = self.client(key, &at, value, &clients)?;
            clients.push(Spanned::new(at, client));
        }
        if clients.is_empty() {
            return Err(self.document.mistake(&clients_at, "`clients` is empty; a scenario has at least one client"));
        }
        Ok(clients)
    }

    fn client(
        &mut self,
        key: &str,
        at: &Range<usize>,
        value: &'a Entry<'a>,
        before: &[Spanned<ClientPlan>],
    ) -> Result<ClientPlan, ScenarioError> {
        let name = self.name("client", at, key)?;
        let client = Section::of(self.document, "a client", at.clone(), value)?;
        client.only(&[&keys::CLIENT[..], &keys::CONNECT].concat())?;
        Ok(ClientPlan {
            name,
            client_id: self.client_id(&client, before)?,
            protocol: self.required(&client, "protocol")?,
            clean_session: self.required(&client, "clean_session")?,
            connect: self.connect_plan(&client)?,
            will: match client.find("will") {
                Some((at, value)) => Some(self.will(&Section::of(self.document, "a will", at, value)?)?),
                None => None,
            },
        })
    }

    /// The name of a client declared before, whose identifier this one uses too, or an empty text.
    fn client_id(&self, client: &Section<'a>, before: &[Spanned<ClientPlan>]) -> Result<ClientId, ScenarioError> {
        let Some((_, value)) = client.find("client_id") else { return Ok(ClientId::Own) };
        match self.text("client_id", value)? {
            "" => Ok(ClientId::Assigned),
            name => match before.iter().position(|client| client.get_ref().name == name) {
                Some(place) => Ok(ClientId::Of(place)),
                None => {
                    let why = "`client_id` takes the name of a client declared before, whose identifier this one \
                               shares, or \"\" for one that the broker assigns";
                    Err(self.document.mistake(&value.span(), why))
                }
            },
        }
    }

    fn will(&mut self, will: &Section<'a>) -> Result<WillPlan, ScenarioError> {
        will.only(&keys::WILL)?;
        Ok(WillPlan {
            topic: self.topic(will, WILL_TOPIC)?,
            qos: self.required(will, "qos")?,
            retain: self.optional(will, "retain", false)?,
            delay: self.found(will, "delay")?,
        })
    }

    /// The node and the wishes of a client or of a step for its CONNECT.
    pub(super) fn connect_plan(&mut self, section: &Section<'a>) -> Result<ConnectPlan, ScenarioError> {
        Ok(ConnectPlan {
            node: self.whole_number(section, "node", FIRST_NODE..=NODES_MAX)?,
            clean_start: self.found(section, "clean_start")?,
            session_expiry: self.found(section, "session_expiry")?,
            // 0 is a Protocol Error (5.0, sections 3.1.2.11.3 and 3.1.2.11.4); the field has two bytes, or four.
            receive_maximum: self.whole_number(section, "receive_maximum", 1..=TWO_BYTES)?,
            maximum_packet_size: self.whole_number(section, "maximum_packet_size", 1..=u32::MAX)?,
            topic_alias_maximum: self.whole_number(section, "topic_alias_maximum", 0..=TWO_BYTES)?,
            keep_alive: self.whole_number(section, "keep_alive", 0..=TWO_BYTES)?,
        })
    }
}
