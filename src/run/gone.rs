//! Notices that the broker is gone, or has fallen silent, so that the other cells are not tried against nothing.

use std::time::Duration;

use tokio::time::timeout;

use super::Shared;
use super::probe::{self, RefusalKind};
use super::witness::KEEP_ALIVE_S;
use crate::history::{Event, History};

/// How often the harness tries to connect before it says that nobody is there, unless the broker leaves it waiting. A broker that
/// restarts is back within a few waits.
const TRIES: u32 = 6;
/// How long the broker may take to answer a PINGREQ of the witness's, where no connection comes about.
const SIGN_WAIT: Duration = Duration::from_millis(500);
/// How many cells the sentence names.
const CELLS_NAMED: usize = 5;

/// The broker is gone.
#[derive(Debug, Clone)]
pub struct Gone {
    /// Since the run began.
    pub after: Duration,
    /// How the attempt to reach it ended, as half a sentence.
    pub how: String,
    /// The ids of the cells that were under way, sorted.
    pub cells: Vec<String>,
}

impl Gone {
    /// One sentence for the user.
    pub fn sentence(&self) -> String {
        let named = self.cells.iter().take(CELLS_NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
        let more = self.cells.len().saturating_sub(CELLS_NAMED);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let seconds = self.after.as_secs_f32();
        let how = &self.how;
        format!(
            "the broker is gone, {seconds:.1} s after the run began: {how}; these cells were under way: {named}{more}; see \
             its log"
        )
    }
}

/// True if the cell broke off as it would if the broker were gone.
pub fn is_suspicious(history: &History) -> bool {
    let is_sign = |event: &Event| matches!(event, Event::Unreachable(_) | Event::Ended(..) | Event::Missing(..));
    history.events().any(|event| *event == Event::Stopped) && history.events().any(is_sign)
}

/// Tries to reach the broker. `None` if it is there; otherwise how the attempt ended.
pub async fn look(shared: &Shared) -> Option<String> {
    shared.outages.until_there().await;
    let heard = shared.pulse.heard();
    // Cells that wait in vain for their connections do not hold it up.
    let target = shared.outages.there(&shared.target).apart();
    let mut how = String::new();
    for _ in 0..TRIES {
        let protocol = shared.witnesses.ping().await.unwrap_or(shared.protocol);
        let id = format!("{}looker", shared.options.prefix.client_id);
        let connect = target.connect(protocol, id, true, KEEP_ALIVE_S);
        match probe::connect(&target, connect).await {
            Ok((connection, _)) => {
                connection.leave().await;
                return None;
            }
            Err(refusal) => match refusal.kind {
                RefusalKind::Unreachable(_) | RefusalKind::Closed(_) => how = refusal.how,
                RefusalKind::Silence => return Some(refusal.how).filter(|_| shared.pulse.heard() == heard),
                // It answers, and be it nonsense.
                _ => return None,
            },
        }
        // A broker that takes no further connection may still answer on those that it has.
        if shared.pulse.heard() > heard || timeout(SIGN_WAIT, shared.pulse.next_sign()).await.is_ok() {
            return None;
        }
    }
    Some(how)
}
