//! A broker -> its profile: the numbers that the standard leaves open, measured.
//!
//! A question is a sequence of cells: what came of one decides which are played next. They are cells as those of every other
//! run, written as scenarios and played in a [`Laboratory`], and no verdict is read but what came and when. Questions that count
//! go one after the other, since many messages disturb each other; what waits for a timer waits meanwhile.

mod away;
mod bench;
mod file;
mod lifetime;
mod limits;
mod message_expiry;
mod moments;
mod names;
mod number;
mod played;
mod quantity;
mod queue;
mod restart;
mod retained;
mod search;
mod session_end;
mod window;

use crate::laboratory::Laboratory;
use crate::packet::Protocol;
use crate::run::{Cleanup, Observer};

pub use bench::{Budget, Halt};
pub use number::{FORMAT_NAME, Measured, Number, Profile, Run};
pub use quantity::{Group, Quantity, Unit, grouped};

use bench::Bench;

/// How many lanes there are: one for what counts, and one for each question that waits.
const LANES: usize = 5;

/// What a probe is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Request {
    pub budget: Budget,
    /// How far timers are followed, in seconds.
    pub wait_s: u32,
}

/// What a probe tells while it goes on.
pub trait Listener: Observer {
    /// A question begins.
    fn asks(&self, what: &str);
}

/// What a probe found.
pub struct Probed {
    /// One for each quantity.
    pub numbers: Vec<Number>,
    pub cleanup: Cleanup,
    /// Why not all was asked.
    pub halt: Option<Halt>,
}

/// Asks all questions.
pub async fn probe(
    laboratory: &Laboratory<'_>,
    protocol: Protocol,
    request: Request,
    listener: &dyn Listener,
) -> Probed {
    let bench = |number| {
        // No lane is below another one.
        let lane = laboratory.lane(number + 1, LANES, laboratory.interrupted.clone());
        Bench::new(lane, listener, protocol, (request.budget, request.wait_s))
    };
    let benches: [Bench<'_>; LANES] = std::array::from_fn(bench);
    let [counting, sessions, messages, moments, ends] = &benches;
    let asked = tokio::join!(
        async {
            // Where all share one limit, what others keep would be taken for a part of it.
            queue::ask(counting).await?;
            retained::count(counting).await?;
            let asked = tokio::join!(count(counting), message_expiry::ask(messages), lifetime::ask(sessions));
            asked.0.and(asked.1).and(asked.2)?;
            // Some brokers do nothing else meanwhile.
            limits::subscriptions(counting).await
        },
        moments::ask(moments),
        session_end::ask(ends)
    );
    // Whoever is there when the broker ends has nothing left to ask.
    let halt = match asked.0.and(asked.1).and(asked.2) {
        Ok(()) => restart::ask(counting).await.err(),
        Err(halt) => Some(halt),
    };
    let (mut numbers, mut cleanup) = (Vec::new(), Cleanup::default());
    for bench in benches {
        let (found, cleaned) = bench.into_parts();
        numbers.extend(found);
        cleanup.add(&cleaned);
    }
    let why = halt.as_ref().map_or_else(|| "no question asked for it".into(), Halt::why);
    for quantity in Quantity::ALL {
        if !numbers.iter().any(|number| number.quantity == quantity) {
            numbers.push(Number::missing(quantity, why.as_str()));
        }
    }
    numbers.sort_by_key(|number| number.quantity);
    Probed { numbers, cleanup, halt }
}

/// The questions that count, and that others do not disturb.
async fn count(bench: &Bench<'_>) -> Result<(), Halt> {
    window::ask(bench).await?;
    limits::ask(bench).await?;
    names::ask(bench).await?;
    retained::ask(bench).await
}

/// Measures how many messages at QoS 1 are kept for a session that is away, and nothing else.
///
/// # Errors
/// [`Halt`]: the question could not be asked to its end.
pub async fn queue_limit(
    laboratory: &Laboratory<'_>,
    protocol: Protocol,
    request: Request,
    listener: &dyn Listener,
) -> Result<Number, Halt> {
    let lane = laboratory.lane(1, 1, laboratory.interrupted.clone());
    let bench = Bench::new(lane, listener, protocol, (request.budget, request.wait_s));
    queue::limit(&bench).await?;
    let (numbers, _) = bench.into_parts();
    let of_queue = numbers.into_iter().find(|number| number.quantity == Quantity::QueueQos1);
    of_queue.ok_or(Halt::Interrupted)
}
