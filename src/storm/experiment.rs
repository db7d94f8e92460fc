//! The experiment that each session of a storm is, as a scenario.

use super::Request;
use crate::plan::{self, Cell, Settings};
use crate::scenario::Scenario;

/// The name of the scenario.
pub const NAME: &str = "storm";
/// The names of its clients.
pub const SUBSCRIBER: &str = "subscriber";
pub const PUBLISHER: &str = "publisher";

/// The text of a scenario file with the steps of one session.
pub fn experiment(request: &Request) -> String {
    let Request { protocol, messages, qos, size, .. } = request;
    format!(
        r#"# One session of a storm, by itself: `mqtt-sessions run` plays it in calm weather.

name = "{NAME}"
question = "Does a session that returns get all that was published while it was away?"

axes.protocol = ["{protocol}"]

clients.subscriber = {{ protocol = "$protocol", clean_session = false }}
clients.publisher = {{ protocol = "$protocol", clean_session = true }}

steps = [
    {{ connect = "subscriber" }},
    {{ subscribe = "subscriber", topic = "t", qos = {qos} }},
    {{ disconnect = "subscriber" }},
    {{ connect = "publisher" }},
    {{ publish = "publisher", topic = "t", qos = {qos}, messages = {messages}, bytes = {size} }},
    {{ connect = "subscriber" }},
    {{ receive = "subscriber" }},
]
"#
    )
}

/// The cell of one session, for the judge. Its id has the number of the session.
///
/// # Panics
/// Never: the text above is a scenario.
pub fn cell(request: &Request, number: u32) -> Cell {
    let scenario = Scenario::parse(NAME, &experiment(request)).expect("the experiment of a storm is a scenario");
    let planned = plan::cells(&scenario, Settings::of(request.messages)).into_iter().next();
    let cell = planned.expect("the experiment of a storm has one cell");
    Cell { id: id(number), ..cell }
}

/// The id of a session as a cell: client ids and topics follow from it.
pub fn id(number: u32) -> String {
    format!("{NAME}[session={number}]")
}
