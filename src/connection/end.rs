//! How a Network Connection was ended, in the words of histories and in those of people.

use std::fmt;
use std::str::FromStr;

/// How a Network Connection was ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// By a FIN, where nothing has to be said before it; a Unix socket was closed.
    Fin,
    /// By a reset, or by any other error of the socket.
    Reset,
    /// In good order under TLS: by close_notify (RFC 8446, section 6.1).
    CloseNotify,
    /// By a FIN under TLS without close_notify before it.
    Truncated,
    /// By a fatal TLS alert with this number (RFC 8446, section 6.2).
    Alert(u8),
    /// In good order under WebSocket: by a Close frame with this status code, or 1005 where it had none (RFC 6455,
    /// section 7.4.1).
    Close(u16),
}

impl End {
    /// The verb for whoever ended it: "the broker closed the connection".
    pub fn verb(self) -> &'static str {
        match self {
            End::Reset => "reset",
            End::Fin | End::CloseNotify | End::Truncated | End::Alert(_) | End::Close(_) => "closed",
        }
    }

    /// What was on the wire.
    pub fn sign(self) -> String {
        match self {
            End::Fin => "FIN".into(),
            End::Reset => "reset".into(),
            End::CloseNotify => "TLS close_notify".into(),
            End::Truncated => "FIN without TLS close_notify".into(),
            End::Alert(number) => format!("TLS alert {number}"),
            End::Close(code) => format!("WebSocket Close {code}"),
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            End::Fin => f.write_str("fin"),
            End::Reset => f.write_str("reset"),
            End::CloseNotify => f.write_str("close_notify"),
            End::Truncated => f.write_str("truncated"),
            End::Alert(number) => write!(f, "alert {number}"),
            End::Close(code) => write!(f, "close {code}"),
        }
    }
}

impl FromStr for End {
    /// What is wrong, as half a sentence.
    type Err = String;

    fn from_str(text: &str) -> Result<End, String> {
        let unknown = || format!("\"{text}\" is no end of a connection");
        match text.split_once(' ') {
            None => match text {
                "fin" => Ok(End::Fin),
                "reset" => Ok(End::Reset),
                "close_notify" => Ok(End::CloseNotify),
                "truncated" => Ok(End::Truncated),
                _ => Err(unknown()),
            },
            Some(("alert", number)) => number.parse().map(End::Alert).map_err(|_| unknown()),
            Some(("close", code)) => code.parse().map(End::Close).map_err(|_| unknown()),
            Some(_) => Err(unknown()),
        }
    }
}
