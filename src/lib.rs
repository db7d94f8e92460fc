//! Does this MQTT broker keep its promises when a session breaks?
//!
//! The stages, left to right: [`scenario`] -> [`plan`] -> [`run`] -> [`history`] -> [`judge`] -> [`results`] ->
//! [`report`]; [`compare`] is a report over two results.

pub mod axes;
pub mod broker;
pub mod capture;
pub mod choice;
pub mod cli;
pub mod command;
pub mod compare;
pub mod connection;
pub mod control;
mod digest;
pub mod doctor;
pub mod exit_code;
pub mod expectations;
pub mod explore;
pub mod export;
mod file_format;
pub mod fold;
pub mod history;
pub mod history_file;
mod input;
mod interruption;
pub mod judge;
pub mod laboratory;
pub mod measure;
pub mod merge;
pub mod output;
pub mod packet;
pub mod partition;
pub mod plan;
mod printed_command;
pub mod profile;
pub mod progress;
pub mod report;
pub mod results;
pub mod run;
pub mod scenario;
pub mod session_rules;
mod slip;
pub mod statement;
pub mod storm;
pub mod topic;
pub mod typed;
pub mod visible;
pub mod vocabulary;
