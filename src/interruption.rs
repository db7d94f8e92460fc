//! Ctrl-C, TERM and HUP: the first one ends the work in good order, the second one ends the program.

use std::thread;

use tokio::sync::watch;

use crate::exit_code::ExitCode;
use crate::output::note;

/// True from the first Ctrl-C, TERM or HUP on; the second one ends the program at once.
pub fn interruption() -> watch::Receiver<bool> {
    let (interrupt, interrupted) = watch::channel(false);
    let (ready, is_ready) = std::sync::mpsc::channel();
    // A thread of their own, so that nothing that the harness does can hold them up.
    let spawned = thread::Builder::new().spawn(move || {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
        runtime.block_on(async move {
            // Listening never pauses: a signal between two calls would be lost.
            let mut signals = Signals::listen();
            let _ = ready.send(());
            signals.next().await;
            // Nobody may be waiting for it yet.
            interrupt.send_replace(true);
            note("interrupted: ending sessions and clearing retained messages; once more to stop at once");
            signals.next().await;
            std::process::exit(i32::from(ExitCode::Interrupted.code()));
        });
    });
    if let Err(error) = spawned {
        note(&format!("error: cannot start a thread: {error}; raise the limit with ulimit -u"));
        std::process::exit(i32::from(ExitCode::Usage.code()));
    }
    // A signal ends the program by itself where no thread listens.
    let _ = is_ready.recv();
    interrupted
}

/// What a stage gives, or nothing if it is interrupted.
pub async fn unless_interrupted<T>(interrupted: &watch::Receiver<bool>, stage: impl Future<Output = T>) -> Option<T> {
    let mut interrupted = interrupted.clone();
    tokio::select! {
        done = stage => Some(done),
        _ = interrupted.wait_for(|interrupted| *interrupted) => None,
    }
}

/// The signals that ask a program to end.
#[cfg(unix)]
struct Signals(Vec<tokio::signal::unix::Signal>);

#[cfg(unix)]
impl Signals {
    fn listen() -> Signals {
        use tokio::signal::unix::{SignalKind, signal};
        // Without a handler a signal ends the program by itself.
        Signals(
            [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()]
                .into_iter()
                .filter_map(|kind| signal(kind).ok())
                .collect(),
        )
    }

    async fn next(&mut self) {
        use std::future::poll_fn;
        use std::task::Poll;
        poll_fn(|cx| match self.0.iter_mut().any(|signal| signal.poll_recv(cx).is_ready()) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        })
        .await;
    }
}

/// Ctrl-C.
#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn listen() -> Signals {
        Signals
    }

    async fn next(&mut self) {
        use std::future::pending;
        if tokio::signal::ctrl_c().await.is_err() {
            // Without a handler Ctrl-C ends the program by itself.
            pending::<()>().await;
        }
    }
}
