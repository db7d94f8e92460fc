//! The commands, a file each: what was typed becomes requests to the stages, and what they give becomes text and an
//! exit code.
//!
//! The structs of [`crate::cli`] end here: no stage knows them.

mod arguments;
mod clean;
mod compare;
mod doctor;
mod expected;
mod explain;
mod explore;
mod judge;
mod list;
mod measure;
mod merge;
mod probe;
mod report;
mod selection;
mod shells;
mod storm;
mod survey;

pub use clean::clean;
pub use compare::compare;
pub use doctor::doctor;
pub use explain::explain;
pub use explore::explore;
pub use judge::judge;
pub use list::list;
pub use measure::{matrix, run};
pub use merge::merge;
pub use probe::probe;
pub use report::report;
pub use shells::{completions, man};
pub use storm::storm;
pub use survey::survey;
