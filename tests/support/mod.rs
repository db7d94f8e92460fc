//! What the integration tests share. None of them uses all of it.
#![allow(dead_code)]

pub mod broker;
pub mod client;
pub mod measured;
pub mod random;
