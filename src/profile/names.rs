//! How long the names may be that a broker takes: topics and client identifiers. And the aliases that stand for topics.

use super::bench::{Bench, Halt};
use super::number::{Measured, Number};
use super::played::Played;
use super::quantity::{Quantity, grouped};
use super::search::{Works, largest};
use crate::packet::Protocol;
use crate::plan::{Action, Cell, Publication};

/// The longest string that MQTT can carry, in bytes.
const STRING_BYTES_MAX: u32 = 65_535;
/// The most levels of a topic that are tried.
const LEVELS_MAX: u32 = 1_000;

/// Asks about the names.
///
/// # Errors
/// [`Halt`]: nothing more can be asked.
pub async fn ask(bench: &Bench<'_>) -> Result<(), Halt> {
    bench.asks("how long names may be");
    topic(bench).await?;
    client_id(bench).await?;
    alias(bench).await
}

/// A message that a client publishes alone.
fn one(protocol: Protocol) -> String {
    format!(
        r#"clients.publisher = {{ protocol = "{protocol}", clean_session = true }}
steps = [{{ connect = "publisher" }}, {{ publish = "publisher", qos = 1, messages = 1 }}]
"#
    )
}

/// How long a topic may be, and how many levels it may have.
async fn topic(bench: &Bench<'_>) -> Result<(), Halt> {
    let one = one(bench.protocol);
    let usual = bench.play(&one).await?;
    let before = usual.wire_topic().to_owned();
    let works = async |topic: String| {
        let alter = |publication: &mut Publication| topic.clone_into(&mut publication.topic);
        let played = bench.play_altered(&one, |cell| each_publication(cell, alter)).await?;
        Ok::<Works, Halt>(played.works(played.cell.published == 1 && !played.is_stopped()))
    };
    // The topic of the experiment is the last byte of that on the wire.
    let other_bytes = before.len() as u32 - 1;
    let bytes = largest(STRING_BYTES_MAX - other_bytes, async |bytes| works("t".repeat(bytes as usize)).await).await?;
    bench.found(bytes.accepted(Quantity::TopicBytes, other_bytes));
    let other_levels = before.split('/').count() as u32 - 1;
    let levels = async |levels: u32| works(vec!["t"; levels as usize].join("/")).await;
    bench.found(largest(LEVELS_MAX, levels).await?.accepted(Quantity::TopicLevels, other_levels));
    Ok(())
}

/// How long a client identifier may be. Each has a session of its own that ends with its connection.
async fn client_id(bench: &Bench<'_>) -> Result<(), Halt> {
    let experiment = format!(
        r#"clients.client = {{ protocol = "{}", clean_session = true }}
steps = [{{ connect = "client" }}, {{ disconnect = "client" }}]
"#,
        bench.protocol
    );
    let usual = bench.play(&experiment).await?.wire_name("client").len() as u32;
    let works = async |more: u32| {
        let longer = |cell: &mut Cell| cell.clients.iter_mut().for_each(|client| client.id_bytes = usual + more);
        let played = bench.play_altered(&experiment, longer).await?;
        let is_let_in = played.connack("client", 1).is_some_and(|connack| connack.code == 0);
        Ok::<Works, Halt>(played.works(is_let_in))
    };
    let more = largest(STRING_BYTES_MAX - usual, works).await?;
    let quantity = Quantity::ClientIdBytes;
    let measured = more.measured(|more| more + usual);
    bench.found(match more.fails {
        None => Number::new(quantity, measured, "it was let in (stopped there)"),
        Some((fails, Works::No)) => {
            Number::new(quantity, measured, format!("one of {} bytes was not let in", grouped(fails + usual)))
        }
        Some((fails, _)) => {
            Number::new(quantity, measured, format!("for one of {} bytes there was no answer", grouped(fails + usual)))
        }
    });
    Ok(())
}

/// Whether as many aliases as the broker announces stand for topics. A client uses none above that.
async fn alias(bench: &Bench<'_>) -> Result<(), Halt> {
    let quantity = Quantity::TopicAliasMaximum;
    if bench.protocol == Protocol::V3 {
        bench.moot(&[quantity], "3.1.1 has no aliases");
        return Ok(());
    }
    let experiment = r#"clients.subscriber = { protocol = "5.0", clean_session = true }
clients.publisher = { protocol = "5.0", clean_session = true }
steps = [
    { connect = "subscriber" },
    { connect = "publisher" },
    { subscribe = "subscriber", qos = 0 },
    { publish = "publisher", qos = 0, messages = 2 },
    { receive = "subscriber" },
]
"#;
    let usual = bench.play(experiment).await?;
    if !both_came(&usual) {
        bench.unknown(quantity, &usual);
        return Ok(());
    }
    let announced = usual.connack("publisher", 1).and_then(|connack| connack.topic_alias_maximum).unwrap_or(0);
    let number = match announced {
        0 => Number::new(quantity, Measured::Exactly { value: 0 }, "a client uses none where none is announced"),
        announced => {
            let found = largest(announced.into(), async |alias| {
                let alter = |publication: &mut Publication| publication.alias = Some(alias as u16);
                let played = bench.play_altered(experiment, |cell| each_publication(cell, alter)).await?;
                Ok(played.works(both_came(&played)))
            });
            let found = found.await?;
            let how = match found.fails {
                None => "by the highest two messages came, the second without its topic".to_owned(),
                Some((fails, _)) => format!("by alias {} they did not come", grouped(fails)),
            };
            // A client uses no higher one than is announced, so that what is announced is all that can be seen.
            let measured = match found.fails {
                None => Measured::Exactly { value: announced.into() },
                Some(_) => found.measured(|alias| alias),
            };
            Number::new(quantity, measured, how)
        }
    };
    bench.found(number.announced(Some(announced.into()), 0));
    Ok(())
}

/// True if the message that sets an alias came, and the one that has it in place of a topic.
fn both_came(played: &Played) -> bool {
    played.came("subscriber", 1).len() == 2
}

/// The same cell with this done to each of its publications.
fn each_publication(cell: &mut Cell, alter: impl Fn(&mut Publication)) {
    for step in &mut cell.steps {
        if let Action::Publish(publication) = &mut step.action {
            alter(publication);
        }
    }
}
