//! A seed -> an experiment over the whole step set, short and within what clients may do.
//!
//! Each experiment has a taste of its own: a few features that come often in it and others that do not come at all. So
//! the experiments stay short, and each pair of features meets in some of them.

mod options;
#[cfg(test)]
mod tests;

use super::experiment::{Client, Experiment, Step};
use super::random::Random;
use crate::packet::Protocol;

/// The limits that the user sets to the experiments.
#[derive(Debug, Clone, Copy)]
pub struct Wishes {
    /// The protocol version of all clients; `None` takes both, also in one experiment.
    pub protocol: Option<Protocol>,
    /// Experiments may wait for timers of the protocol, which costs seconds against a real broker.
    pub timers: bool,
}

/// In how many of a hundred experiments timers run out, where they may.
const TIMERS_PERCENT: usize = 12;
const ENDS: [&str; 2] = ["fin", "reset"];
const POINTS: [&str; 6] = ["half", "publish", "puback", "pubrec", "pubrel", "pubcomp"];
const POINTS_OF_QOS_1: [&str; 3] = ["half", "publish", "puback"];
const POINTS_OF_QOS_2: [&str; 5] = ["half", "publish", "pubrec", "pubrel", "pubcomp"];
/// The client that takes the session of the first reader over.
const HEIR: &str = "heir";

/// The experiment of this seed.
pub fn experiment(seed: u32, wishes: Wishes) -> Experiment {
    let made = made(seed, wishes);
    // The generator and the parser agree on what clients may do, or the parser has the last word.
    made.clone().repaired().unwrap_or(made)
}

fn made(seed: u32, wishes: Wishes) -> Experiment {
    let mut random = Random::new(u64::from(seed));
    let taste = Taste::new(&mut random, wishes);
    let mut generator = Generator { random, taste, wishes, actors: Vec::new(), steps: Vec::new() };
    generator.cast();
    generator.opening();
    let length = generator.random.weighed(&[(3, 2), (4, 4), (4, 6), (2, 9), (1, 14)]);
    for _ in 0..length {
        generator.act();
    }
    generator.closing();
    let used = |actor: &&Actor| {
        let stays = |step: &Step| step.fields.get("stays") == Some(&actor.name.into());
        generator.steps.iter().any(|step| step.client == actor.name || stays(step))
    };
    let mut clients: Vec<Client> = generator.actors.iter().filter(used).map(|actor| actor.client.clone()).collect();
    // The heir has an identifier of its own if nobody has the one that it was to share.
    if clients.iter().all(|client| client.name != "one") {
        clients.iter_mut().for_each(|client| client.fields.0.retain(|(key, _)| *key != "client_id"));
    }
    Experiment { name: name(seed), clients, steps: generator.steps }
}

/// The name of the seed's experiment.
pub fn name(seed: u32) -> String {
    format!("seed_{seed}")
}

/// A timer that an experiment lets run out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Timed {
    Session,
    Message,
    Will,
    KeepAlive,
}

/// The features that an experiment makes use of.
#[derive(Debug, Clone)]
struct Taste {
    overlaps: bool,
    shares: bool,
    options: bool,
    identifiers: bool,
    retained: bool,
    wills: bool,
    expiry: bool,
    limits: bool,
    properties: bool,
    breaks: bool,
    stops: bool,
    takeovers: bool,
    withholds: bool,
    timer: Option<Timed>,
}

impl Taste {
    fn new(random: &mut Random, wishes: Wishes) -> Taste {
        let timers = wishes.timers && random.percent(TIMERS_PERCENT);
        let timed = random.pick(&[Timed::Session, Timed::Message, Timed::Will, Timed::KeepAlive]);
        let mut some = || random.percent(35);
        Taste {
            overlaps: some(),
            shares: some(),
            options: some(),
            identifiers: some(),
            retained: some(),
            wills: some() || timers && timed == Timed::Will,
            expiry: some() || timers && timed == Timed::Message,
            limits: some(),
            properties: some(),
            breaks: some(),
            stops: some(),
            takeovers: some(),
            withholds: some(),
            timer: timers.then_some(timed),
        }
    }
}

/// The state of a client, which decides what it can do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Away,
    Connected,
    /// It stopped in the middle of a handshake, and can only be cut.
    Stopped,
}

/// A client of the experiment, and how it stands.
struct Actor {
    name: &'static str,
    client: Client,
    protocol: Protocol,
    /// The place of the actor whose identifier it uses.
    id: usize,
    reads: bool,
    state: State,
    /// Its session outlives the connection, unless a connect step says otherwise.
    usually_persists: bool,
    /// The session of its connection does.
    persists: bool,
    has_will: bool,
}

/// The moves of an actor; each takes one step or a few.
#[derive(Debug, Clone, Copy)]
enum Move {
    Connect,
    Subscribe,
    Unsubscribe,
    Publish,
    Break,
    Receive,
    Stop,
    Leave,
    Race,
    Wait,
    FallSilent,
}

struct Generator {
    random: Random,
    taste: Taste,
    wishes: Wishes,
    actors: Vec<Actor>,
    steps: Vec<Step>,
}

impl Generator {
    /// One to three readers, one or two publishers, and perhaps an heir.
    fn cast(&mut self) {
        let readers = self.random.weighed(&[(5, 1), (4, 2), (if self.taste.shares { 4 } else { 1 }, 3)]);
        let publishers = if readers < 3 { self.random.weighed(&[(4, 1), (1, 2)]) } else { 1 };
        let mixed = self.random.percent(15);
        let protocol = self.random.weighed(&[(4, Protocol::V3), (5, Protocol::V5)]);
        let names = ["one", "two", "three"]
            .into_iter()
            .take(readers)
            .chain(["publisher", "other"].into_iter().take(publishers));
        for name in names.chain(self.taste.takeovers.then_some(HEIR)) {
            let own = if mixed { self.random.pick(&Protocol::ALL) } else { protocol };
            let protocol = self.wishes.protocol.unwrap_or(own);
            let actor = self.actor(name, protocol);
            self.actors.push(actor);
        }
    }

    fn actor(&mut self, name: &'static str, protocol: Protocol) -> Actor {
        let reads = !matches!(name, "publisher" | "other");
        let (fields, usually_persists) = self.client_fields(name, protocol, reads);
        let has_will = fields.get("will").is_some();
        let id = if name == HEIR { 0 } else { self.actors.len() };
        Actor {
            name,
            client: Client { name, fields },
            protocol,
            id,
            reads,
            state: State::Away,
            usually_persists,
            persists: false,
            has_will,
        }
    }

    /// Mostly everybody is there and the first reader is subscribed, so that something happens.
    fn opening(&mut self) {
        for place in 0..self.actors.len() {
            let likely = match (self.actors[place].name, self.actors[place].reads) {
                (HEIR, _) => 0,
                (_, true) => 75,
                (_, false) => 92,
            };
            if self.random.percent(likely) {
                self.connect(place);
                // Retained messages are for those who subscribe later.
                let subscribes = if self.taste.retained { 50 } else { 85 };
                if self.actors[place].reads && self.random.percent(subscribes) {
                    self.subscribe(place);
                }
            }
        }
    }

    /// One move of a random actor.
    fn act(&mut self) {
        let weights: Vec<(usize, usize)> =
            (0..self.actors.len()).map(|place| (if self.actors[place].reads { 3 } else { 5 }, place)).collect();
        let place = self.random.weighed(&weights);
        let chosen = self.random.weighed(&self.moves(place));
        match chosen {
            Move::Connect => self.connect(place),
            Move::Subscribe => self.subscribe(place),
            Move::Unsubscribe => self.unsubscribe(place),
            Move::Publish => self.publish(place),
            Move::Break => self.break_off(place),
            Move::Receive => self.receive(place),
            Move::Stop => self.stop(place),
            Move::Leave => self.leave(place),
            Move::Race => self.race(place),
            Move::Wait => self.wait(place),
            Move::FallSilent => self.fall_silent(place),
        }
    }

    /// The moves that the actor can make, by weight.
    fn moves(&self, place: usize) -> Vec<(usize, Move)> {
        let Actor { reads, state, id, protocol, .. } = self.actors[place];
        let when = |condition: bool, weight: usize| if condition { weight } else { 0 };
        let timer = self.taste.timer;
        let waits = timer.is_some_and(|timer| timer != Timed::KeepAlive);
        let rivals = (0..self.actors.len()).filter(|other| self.actors[*other].id == id);
        let is_equal =
            |other: usize| (self.actors[other].state, self.actors[other].protocol) == (State::Away, protocol);
        let may_race = place == id && rivals.clone().count() > 1 && rivals.into_iter().all(is_equal);
        match state {
            State::Stopped => vec![(1, Move::Leave)],
            State::Away => vec![
                (8, Move::Connect),
                (when(may_race, 4), Move::Race),
                (when(timer == Some(Timed::KeepAlive), 4), Move::FallSilent),
                (when(waits, 4), Move::Wait),
            ],
            State::Connected => vec![
                (if reads { 7 } else { 1 }, Move::Subscribe),
                (if reads { 2 } else { 0 }, Move::Unsubscribe),
                (if reads { 2 } else { 14 }, Move::Publish),
                (when(self.taste.breaks, if reads { 1 } else { 6 }), Move::Break),
                (if reads { 5 } else { 0 }, Move::Receive),
                (when(self.taste.stops && reads, 4), Move::Stop),
                (if reads { 7 } else { 1 }, Move::Leave),
                (when(waits, 3), Move::Wait),
            ],
        }
    }

    /// Everybody comes back and takes what there is, so that there is something to judge.
    fn closing(&mut self) {
        for place in 0..self.actors.len() {
            let back = self.actors[place].reads || self.random.percent(80);
            if self.actors[place].state == State::Stopped {
                self.leave(place);
            }
            // The session has one reader at a time; now and then the heir has the last word.
            let is_held = (0..self.actors.len())
                .any(|other| self.actors[other].id == self.actors[place].id && self.actors[other].state != State::Away);
            let comes = self.actors[place].name != HEIR || self.random.percent(30);
            if back && comes && !is_held {
                self.connect(place);
            }
        }
        for place in 0..self.actors.len() {
            if !self.actors[place].reads || self.actors[place].state != State::Connected {
                continue;
            }
            self.push(Step::new("receive", self.actors[place].name));
            if self.random.percent(40) {
                self.leave(place);
                self.connect(place);
                self.push(Step::new("receive", self.actors[place].name));
            }
        }
    }

    fn push(&mut self, step: Step) {
        self.steps.push(step);
    }

    /// The actor's connection is over.
    fn away(&mut self, place: usize) {
        self.actors[place].state = State::Away;
    }

    /// The actor has a connection, and nobody else has one with its identifier.
    fn present(&mut self, place: usize) {
        let id = self.actors[place].id;
        let rivals = self.actors.iter_mut().filter(|actor| actor.id == id);
        rivals.for_each(|actor| actor.state = State::Away);
        let actor = &mut self.actors[place];
        (actor.state, actor.persists) = (State::Connected, actor.usually_persists);
    }

    fn break_off(&mut self, place: usize) {
        let qos = self.random.weighed(&[(1, 0), (5, 1), (6, 2)]);
        let point = match qos {
            0 => self.random.pick(&["half", "publish"]),
            1 => self.random.pick(&POINTS_OF_QOS_1),
            _ => self.random.pick(&POINTS_OF_QOS_2),
        };
        let step = self.publication(place, qos).with("until", point);
        self.push(step);
        self.actors[place].state = State::Stopped;
        if self.random.percent(85) {
            self.leave(place);
            if self.random.percent(85) {
                self.connect(place);
            }
        }
    }

    fn stop(&mut self, place: usize) {
        let point = self.random.pick(&POINTS);
        let message = self.random.weighed(&[(4, 1), (2, 2), (1, 3)]);
        self.push(Step::new("receive", self.actors[place].name).with("until", point).with("message", message));
        self.actors[place].state = State::Stopped;
        self.leave(place);
    }

    fn receive(&mut self, place: usize) {
        let step = Step::new("receive", self.actors[place].name);
        let withholds = self.taste.withholds && self.random.percent(60);
        let answers: &[&str] = match self.actors[place].protocol {
            Protocol::V3 => &["none", "pubrec"],
            Protocol::V5 => &["none", "pubrec", "refuse"],
        };
        let step = if withholds { step.with("answers", self.random.pick(answers)) } else { step };
        self.push(step);
    }

    fn leave(&mut self, place: usize) {
        let name = self.actors[place].name;
        let stopped = self.actors[place].state == State::Stopped;
        let manner = self.random.weighed(&[(if stopped { 0 } else { 6 }, 0), (3, 1), (if stopped { 0 } else { 1 }, 2)]);
        let step = match manner {
            0 => self.disconnect(place),
            1 => Step::new("cut", name).with("how", self.random.pick(&ENDS)),
            _ => Step::new("stall", name),
        };
        self.push(step);
        self.away(place);
    }

    fn race(&mut self, place: usize) {
        let Some(stays) = self.actors.iter().position(|actor| actor.name == HEIR) else { return };
        self.push(Step::new("race", self.actors[place].name).with("stays", HEIR));
        self.present(stays);
    }

    fn wait(&mut self, place: usize) {
        let (timer, seconds) = match self.taste.timer {
            Some(Timed::Session) => ("session_expiry", options::SHORT_S),
            Some(Timed::Message) => ("message_expiry", options::SHORT_S),
            Some(Timed::Will) => ("will_delay", options::SHORT_S),
            Some(Timed::KeepAlive) | None => return,
        };
        self.push(Step::new("wait", self.actors[place].name).with("timer", timer).with("seconds", seconds));
    }

    /// The actor says nothing until the broker ends its connection.
    fn fall_silent(&mut self, place: usize) {
        let name = self.actors[place].name;
        self.push(Step::new("connect", name).with("keep_alive", 1));
        self.present(place);
        self.push(Step::new("silence", name));
        self.away(place);
    }
}
