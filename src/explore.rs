//! Random experiments: made from a seed, tried, and shrunk to what matters.
//!
//! An experiment is the text of a scenario file, and it is parsed and judged as every other scenario is.

mod experiment;
mod generate;
mod random;
mod shrink;

pub use experiment::{Client, Experiment, Fields, Step, Value};
pub use generate::{Wishes, experiment, name};
pub use random::Random;
pub use shrink::simpler;
