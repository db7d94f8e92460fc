//! Random experiments: made from a seed, tried, and shrunk to what matters.
//!
//! An experiment is the text of a scenario file, and it is parsed and judged as every other scenario is.

mod care;
mod experiment;
mod finding;
mod generate;
mod random;
mod search;
mod shrink;
mod source;
mod suspects;

pub use care::{Care, Tried};
pub use experiment::{Client, Experiment, Fields, Step, Value};
pub use finding::{Accusation, Finding};
pub use generate::{Wishes, experiment, name};
pub use random::Random;
pub use search::{Explored, Listener, Request, search};
pub use shrink::simpler;
