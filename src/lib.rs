//! Does this MQTT broker keep its promises when a session breaks?
//!
//! The stages, left to right: [`scenario`] -> [`plan`] -> [`run`] -> [`history`] -> [`judge`] -> [`results`] ->
//! [`report`]; [`compare`] is a report over two results.

pub mod compare;
pub mod connection;
pub mod history;
pub mod packet;
pub mod plan;
pub mod report;
pub mod results;
pub mod scenario;
pub mod statement;
