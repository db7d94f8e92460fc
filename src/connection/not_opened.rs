//! Why no Network Connection came about, and what to do about it.

use std::io;
use std::time::Duration;

/// Why no Network Connection came about: half a sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{how}")]
pub struct NotOpened {
    how: String,
    /// What to do, as half a sentence.
    pub cure: String,
}

impl NotOpened {
    pub fn new(how: impl Into<String>, cure: impl Into<String>) -> NotOpened {
        NotOpened { how: how.into(), cure: cure.into() }
    }

    /// The time for it was over before `what` was there.
    pub fn too_late(what: &str, time: Duration, cure: &str) -> NotOpened {
        NotOpened::new(format!("{what} within {} s", time.as_secs_f32()), cure)
    }
}

/// What the operating system says of a socket that is to be opened, in words that tell what to do.
impl From<io::Error> for NotOpened {
    fn from(error: io::Error) -> NotOpened {
        let how = match error.kind() {
            io::ErrorKind::ConnectionRefused => "nothing listens there (connection refused)".into(),
            _ => error.to_string(),
        };
        NotOpened::new(how, CHECK_PLACE)
    }
}

/// The cure where nobody answers.
pub const CHECK_PLACE: &str = "check host and port, and that the broker is running";
