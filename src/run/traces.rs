//! What a cell leaves on the broker is noted as it goes out, so that the clean-up looks for that and for nothing else, also after
//! an interruption.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::hygiene::{Leftovers, SessionLeft};
use super::player::Player;
use crate::packet::Packet;

impl Player<'_> {
    /// Notes what the broker may keep of a packet of this client.
    pub fn note_leftover(&self, client: usize, packet: &Packet) {
        let mut leftovers = lock(self.leftovers);
        match packet {
            Packet::Connect(connect) => {
                let will = connect.will.iter().filter(|will| will.retain).map(|will| will.topic.clone());
                leftovers.retained.extend(will);
                // What a broker names by itself nobody finds again.
                if let Some(owner) = self.cell.clients[client].client_id {
                    leftovers.add(self.session(owner));
                }
            }
            Packet::Publish(publish) if publish.retain => {
                leftovers.retained.insert(publish.topic.clone());
            }
            _ => {}
        }
    }

    /// Notes that the broker let this client in.
    pub fn note_session(&self, client: usize) {
        if let Some(session) = lock(self.leftovers).sessions.get_mut(&self.names.client_id(client)) {
            session.existed = true;
        }
    }

    /// The session of the client whose identifier it is.
    fn session(&self, owner: usize) -> SessionLeft {
        // Whoever uses the identifier may have made the session.
        let mut persistent = self.cell.persistent_clients();
        SessionLeft {
            client_id: self.names.client_id(owner),
            protocol: self.cell.clients[owner].protocol,
            role: self.cell.role(owner),
            persists: persistent.any(|client| self.cell.clients[client].client_id == Some(owner)),
            existed: false,
        }
    }
}

pub fn lock(leftovers: &Mutex<Leftovers>) -> MutexGuard<'_, Leftovers> {
    // Nothing that holds this lock can leave it half changed.
    leftovers.lock().unwrap_or_else(PoisonError::into_inner)
}
