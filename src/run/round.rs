//! One attempt at each of many cells, so many side by side.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::{self, JoinHandle, JoinSet};

use super::Shared;
use super::gone::{self, Gone};
use super::job::Job;
use crate::plan::Cell;

/// How a job came back.
pub enum Played {
    Whole(Job),
    /// The task of the cell ended by a fault of this program.
    Lost(Arc<Cell>, String),
}

/// One attempt at each of many jobs.
pub struct Round<'a> {
    shared: &'a Arc<Shared>,
    playing: JoinSet<Job>,
    cells: HashMap<task::Id, Arc<Cell>>,
    /// Jobs that broke off as they would if the broker were gone.
    suspects: Vec<Job>,
    /// A look whether the broker is there, and how many of the suspects it is about.
    looking: Option<(JoinHandle<Option<String>>, usize)>,
}

impl Round<'_> {
    pub fn new(shared: &Arc<Shared>) -> Round<'_> {
        let (playing, cells) = (JoinSet::new(), HashMap::new());
        Round { shared, playing, cells, suspects: Vec::new(), looking: None }
    }

    /// Plays each job once, `limit` side by side, and hands on those that came to their end, until the broker is gone.
    pub async fn play(
        mut self,
        jobs: Vec<Job>,
        limit: usize,
        interrupted: &mut watch::Receiver<bool>,
        mut played: impl FnMut(Played),
    ) -> Option<Gone> {
        // Where all cells of the round before stopped in the middle, nobody had the trouble pass. What is wrong now shows in the cells.
        let _ = self.shared.outages.restore(&self.shared.target, &self.shared.options).await;
        self.shared.outages.begin(jobs.len());
        // A step of the broker's waits for all of them.
        let limit = if jobs.iter().any(Job::has_outage) { jobs.len() } else { limit };
        let mut waiting = jobs.into_iter();
        loop {
            while self.playing.len() < limit {
                let Some(job) = waiting.next() else { break };
                let cell = job.cell.clone();
                self.cells.insert(self.playing.spawn(job.play(self.shared.clone())).id(), cell);
            }
            if self.playing.is_empty() && self.suspects.is_empty() {
                return None;
            }
            if self.looking.is_none() && !self.suspects.is_empty() {
                let shared = self.shared.clone();
                let look = tokio::spawn(async move { gone::look(&shared).await });
                self.looking = Some((look, self.suspects.len()));
            }
            tokio::select! {
                biased;
                // An interruption drops the connections of the cells in progress; their sessions are ended afterwards.
                _ = interrupted.wait_for(|interrupted| *interrupted) => {
                    self.break_off().await;
                    return None;
                }
                (looked, suspects) = looked(&mut self.looking) => {
                    if let Some(how) = looked {
                        return Some(self.gone(how));
                    }
                    self.suspects.drain(..suspects).for_each(|job| played(Played::Whole(job)));
                }
                Some(job) = self.playing.join_next_with_id(), if !self.playing.is_empty() => match job {
                    Ok((id, job)) => {
                        self.cells.remove(&id);
                        if job.is_suspicious() { self.suspects.push(job) } else { played(Played::Whole(job)) }
                    }
                    Err(fault) => {
                        if let Some(cell) = self.cells.remove(&fault.id()) {
                            played(Played::Lost(cell, fault.to_string()));
                        }
                    }
                },
            }
        }
    }

    /// Ends what is under way, and waits until nothing of it holds the witnesses any more.
    async fn break_off(&mut self) {
        self.playing.shutdown().await;
        if let Some((look, _)) = self.looking.take() {
            look.abort();
            // It was told to end.
            let _ = look.await;
        }
    }

    fn gone(self, how: String) -> Gone {
        let under_way = self.cells.values().map(|cell| cell.id.clone());
        let mut cells: Vec<String> = under_way.chain(self.suspects.iter().map(|job| job.cell.id.clone())).collect();
        cells.sort_unstable();
        Gone { after: self.shared.began.elapsed(), how, cells }
    }
}

/// What a look found, and about how many suspects; never ready while there is none.
async fn looked(looking: &mut Option<(JoinHandle<Option<String>>, usize)>) -> (Option<String>, usize) {
    let Some((look, suspects)) = looking else { return std::future::pending().await };
    let (looked, suspects) = (look.await.unwrap_or_default(), *suspects);
    *looking = None;
    (looked, suspects)
}
