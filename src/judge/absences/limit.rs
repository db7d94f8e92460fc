//! What is missing at one end of the backlog looks like a queue that was full.

use super::Balance;
use crate::judge::finding::Findings;
use crate::judge::story::Publication;

impl Balance<'_> {
    /// The user declared a queue limit: then what is missing beyond it is the broker's choice.
    pub(in crate::judge) fn is_within_queue_limit(
        &self,
        owed: &[&Publication],
        lost: &[&Publication],
        findings: &mut Findings,
    ) -> bool {
        let kept = owed.len() - lost.len();
        let end = self.queue_limit.filter(|limit| kept >= *limit as usize).and_then(|_| missing_end(owed, lost));
        if let Some(end) = end {
            findings.choice("queue_full", end.dropped());
        }
        end.is_some()
    }

    pub(super) fn looks_like_a_limit(&self, owed: &[&Publication], lost: &[&Publication]) -> String {
        match missing_end(owed, lost) {
            Some(end) => {
                let kept = owed.len() - lost.len();
                format!("; looks like a queue limit of {kept}, {} dropped", end.dropped().trim_start_matches("drop_"))
            }
            None => String::new(),
        }
    }
}

/// Which end of the backlog is missing.
#[derive(Debug, Clone, Copy)]
enum MissingEnd {
    Oldest,
    Newest,
}

impl MissingEnd {
    fn dropped(self) -> &'static str {
        match self {
            MissingEnd::Oldest => "drop_oldest",
            MissingEnd::Newest => "drop_newest",
        }
    }
}

/// Whether what is missing is one head or one tail of the backlog, and something was kept.
fn missing_end(owed: &[&Publication], lost: &[&Publication]) -> Option<MissingEnd> {
    let is_lost = |publication: &&Publication| lost.iter().any(|lost| lost.message == publication.message);
    let head = owed.iter().take_while(|publication| is_lost(publication)).count();
    let tail = owed.iter().rev().take_while(|publication| is_lost(publication)).count();
    match (head, tail) {
        _ if lost.len() >= owed.len() => None,
        (head, _) if head == lost.len() => Some(MissingEnd::Oldest),
        (_, tail) if tail == lost.len() => Some(MissingEnd::Newest),
        _ => None,
    }
}

/// The first few names, and how many more.
pub(super) fn names(publications: &[&Publication]) -> String {
    let shown: Vec<String> = publications.iter().take(5).map(|publication| publication.message.to_string()).collect();
    match publications.len() - shown.len() {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}
