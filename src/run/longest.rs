//! How long a run may take, known before it begins.
//!
//! Each wait of a run has a bound. Here those are added up that a broker can cause although it answers each packet at once and
//! keeps its timers: by losing every message. A broker that takes its time with its answers, too, gets as much again, and a
//! minute. A run that needs more is ended in good order.

use std::time::Duration;

use super::endings::{BEYOND_TIMER, detaching, ending};
use super::hygiene::budget;
use super::job::ATTEMPTS_MAX;
use super::player::VANISHED_MIN;
use super::settle;
use super::steps::TRIES_MAX;
use super::waves::waves;
use super::{LOWERINGS_MAX, RunOptions, Target};
use crate::connection::{END_AFTER_DISCONNECT, WRITE_DEADLINE};
use crate::packet::Protocol;
use crate::plan::{Action, Cell};
use crate::scenario::Answers;
use crate::vocabulary::FIRST_NODE;

/// What any run may take beyond its waits.
const A_MINUTE: Duration = Duration::from_secs(60);
/// A run that takes no longer is worth no word.
const SHORT: Duration = Duration::from_secs(600);

/// The longest that a run may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Longest {
    /// The cells, with a broker that answers at once.
    pub prompt: Duration,
    /// After so long what is left of the cells is left out.
    pub cells: Duration,
    /// What comes before the cells and behind them: witnesses, and the clean-up.
    pub around: Duration,
}

impl Longest {
    /// A run of these cells, as far as the broker answers their protocol versions; the user may have set a limit.
    pub fn of(
        cells: &[Cell],
        target: &Target,
        options: &RunOptions,
        versions: &[Protocol],
        limit: Option<Duration>,
    ) -> Longest {
        let is_played = |cell: &&Cell| cell.clients.iter().all(|client| versions.contains(&client.protocol));
        let played: Vec<&Cell> = cells.iter().filter(is_played).collect();
        let clients: usize = played.iter().map(|cell| cell.clients.len()).sum();
        let tries = (ATTEMPTS_MAX + LOWERINGS_MAX) as usize * options.repeat as usize;
        let goodbye = 2 * WRITE_DEADLINE + END_AFTER_DISCONNECT;
        let witness = target.connect_timeout + 3 * target.deadline + goodbye;
        let around = times(witness, versions.len()) + times(budget(clients * tries), target.nodes() as usize);
        let attempts = 1..=ATTEMPTS_MAX.min(options.attempts_max);
        let waves = waves(played, options.jobs);
        let rounds = attempts.flat_map(|attempt| waves.iter().map(move |wave| round(wave, target, options, attempt)));
        let prompt = rounds.fold(Duration::ZERO, Duration::saturating_add);
        let usual = times(prompt, 2).saturating_add(A_MINUTE);
        let cells = limit.unwrap_or(Duration::from_secs(usual.as_secs()));
        Longest { prompt, cells, around }
    }

    /// One sentence for the user, if the run may be so long that it is worth one.
    pub fn sentence(&self) -> Option<String> {
        let longest = self.cells.saturating_add(self.around);
        (longest > SHORT).then(|| {
            let minutes = longest.as_secs().div_ceil(60);
            let longest = humantime::format_duration(Duration::from_secs(60 * minutes));
            format!(
                "the run takes {longest} at most, and far less if the broker loses nothing; --time-limit changes that"
            )
        })
    }
}

fn times(duration: Duration, count: usize) -> Duration {
    duration.saturating_mul(u32::try_from(count).unwrap_or(u32::MAX))
}

/// One attempt at all cells: as soon as one ends the next one begins.
fn round(cells: &[&Cell], target: &Target, options: &RunOptions, attempt: u32) -> Duration {
    let waits = Waits::new(target, options, attempt);
    let each: Vec<Duration> = cells.iter().map(|cell| waits.cell(cell)).collect();
    let longest = each.iter().max().copied().unwrap_or_default();
    let all = times(each.iter().sum(), options.repeat as usize);
    match cells.len() * options.repeat as usize <= options.jobs {
        true => longest,
        false => all / u32::try_from(options.jobs.max(1)).unwrap_or(u32::MAX) + longest,
    }
}

/// The waits of one attempt.
struct Waits {
    is_first: bool,
    deadline: Duration,
    /// For an end or a start of the broker.
    turn: Duration,
    patience: Duration,
    settle: Duration,
    /// For something that may vanish.
    vanished: Duration,
    /// For what must come.
    whole: Duration,
    /// For what should come soon.
    soon: Duration,
}

impl Waits {
    fn new(target: &Target, options: &RunOptions, attempt: u32) -> Waits {
        let settle = settle::of_attempt(options.settle, attempt);
        let patience_for_all = if attempt == ATTEMPTS_MAX { options.patience } else { Duration::ZERO };
        Waits {
            is_first: attempt == 1,
            deadline: target.deadline,
            turn: target.turn,
            patience: options.patience,
            settle,
            vanished: settle.max(VANISHED_MIN),
            whole: target.deadline.max(patience_for_all),
            soon: settle.max(target.deadline / 10),
        }
    }

    /// All steps, the patience for what is missing, and one wait in vain, which ends the attempt.
    fn cell(&self, cell: &Cell) -> Duration {
        let steps = cell.steps.iter().map(|step| self.step(cell, step.client, &step.action)).sum::<Duration>();
        // Each step may be at another node than the one before.
        let between_nodes = if cell.nodes() > FIRST_NODE { cell.steps.len() } else { 0 };
        let steps = steps + times(self.detached(), between_nodes);
        let is_asked = cell.steps.iter().any(|step| matches!(step.action, Action::Receive { last: true, .. }));
        let connections = cell.steps.iter().filter(|step| step.action.verb().connects()).count();
        let patience = if is_asked { self.patience } else { Duration::ZERO };
        steps + times(END_AFTER_DISCONNECT, connections) + patience + self.whole
    }

    fn step(&self, cell: &Cell, client: usize, action: &Action) -> Duration {
        let detached = self.detached();
        match action {
            Action::Connect(_) => self.takeover(cell, client),
            Action::Race { .. } => 2 * self.takeover(cell, client),
            Action::Subscribe { loop_backs, .. } => times(TRIES_MAX * self.vanished, loop_backs.len()),
            Action::Publish(_) => self.soon,
            Action::Receive { until: Some(_), .. } => 2 * self.vanished,
            Action::Receive { answers: Answers::None | Answers::Pubrec | Answers::Refuse, .. } => 2 * self.vanished,
            Action::Receive { answers, last, .. } => {
                let held = if *answers == Answers::OneByOne { 2 * self.soon } else { Duration::ZERO };
                let settled = if *last { 2 * self.settle } else { Duration::ZERO };
                held + 2 * TRIES_MAX * self.soon + settled
            }
            Action::Disconnect { .. } => ending(self.settle) + detached,
            Action::Cut { .. } => detached,
            Action::Silence => self.silence(cell, client) + detached,
            Action::Wait { seconds, .. } => Duration::from_secs(u64::from(*seconds)) + BEYOND_TIMER,
            Action::Broker(operation) => {
                let turns = u32::from(operation.begins) + u32::from(operation.passes);
                operation.after + turns * self.turn
            }
            Action::Stall | Action::Unsubscribe { .. } => Duration::ZERO,
        }
    }

    /// A later attempt gives the broker time to detach the session.
    fn detached(&self) -> Duration {
        if self.is_first { Duration::ZERO } else { detaching(self.settle) }
    }

    /// The cell goes on without the will of a client that was taken over.
    fn takeover(&self, cell: &Cell, client: usize) -> Duration {
        let id = cell.clients[client].client_id;
        let others = cell.clients.iter().filter(|other| id.is_some() && other.client_id == id).count();
        if others > 1 { self.whole } else { Duration::ZERO }
    }

    /// The Keep Alive of the client, and the time in which the broker may notice that it has run out.
    fn silence(&self, cell: &Cell, client: usize) -> Duration {
        let keep_alive = |action: &Action| match action {
            Action::Connect(connect) | Action::Race { connect, .. } => connect.keep_alive,
            _ => 0,
        };
        let of_client = cell.steps.iter().filter(|step| step.client == client);
        let seconds = of_client.map(|step| keep_alive(&step.action)).max().unwrap_or(0);
        Duration::from_millis(1500) * u32::from(seconds) + self.whole.max(2 * self.deadline)
    }
}
