//! The embedded broker: the crate `mqtt5` in a thread of its own, so that it costs the harness no turns.

use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use mqtt5::broker::MqttBroker;
use mqtt5::broker::config::{BrokerConfig, StorageBackend};
use tokio::sync::oneshot;

/// The name of the embedded broker in results.
pub const NAME: &str = "mqtt5";
/// Its version, as Cargo.toml pins it.
pub const VERSION: &str = "0.49.0";

/// A running embedded broker; it stops when this is dropped.
pub struct Embedded {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Embedded {
    /// Starts the broker on a free port of 127.0.0.1, with its state in memory.
    ///
    /// # Errors
    /// Why it did not start, as half a sentence.
    pub fn start() -> Result<Embedded, String> {
        let (stop, stopped) = oneshot::channel();
        let (started, start) = mpsc::channel();
        let thread = thread::Builder::new()
            .name("embedded broker".into())
            .spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                match runtime {
                    Ok(runtime) => runtime.block_on(serve(stopped, &started)),
                    // Nobody waits any more if this cannot be sent.
                    Err(error) => drop(started.send(Err(error.to_string()))),
                }
            })
            .map_err(|error| error.to_string())?;
        let address = start.recv().map_err(|_| "its thread ended".to_owned())??;
        Ok(Embedded { address, stop: Some(stop), thread: Some(thread) })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // It may have stopped by itself.
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn serve(stopped: oneshot::Receiver<()>, started: &mpsc::Sender<Result<SocketAddr, String>>) {
    let mut broker = match configured().await {
        Ok((broker, address)) => {
            // The starter waits for exactly this.
            let _ = started.send(Ok(address));
            broker
        }
        Err(why) => return drop(started.send(Err(why))),
    };
    tokio::select! {
        _ = broker.run() => {}
        _ = stopped => {}
    }
}

async fn configured() -> Result<(MqttBroker, SocketAddr), String> {
    let mut config = BrokerConfig::new().with_bind_addresses(vec![SocketAddr::from(([127, 0, 0, 1], 0))]);
    config.storage_config.backend = StorageBackend::Memory;
    config.sys_topics_enabled = false;
    let broker = MqttBroker::with_config(config).await.map_err(|error| error.to_string())?;
    let address = broker.local_addr().ok_or("it has no address")?;
    Ok((broker, address))
}
