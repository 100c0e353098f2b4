//! Why a connection ended.

use std::fmt;
use std::io;

use larder_resp::ProtocolError;

pub(super) enum End {
    /// The peer closed, asked for it, or the node is stopping; all replies are sent.
    Done,
    /// The peer or the network broke it.
    Broken(io::Error),
    /// The peer sent what is no request.
    Protocol(ProtocolError),
    /// Another connection asked for it.
    Killed,
    /// Nothing came for too long.
    Idle,
    /// A command took too long to arrive.
    SlowCommand,
    /// No password came in time.
    Unauthenticated,
    /// Replies were not read for too long.
    Unread,
    /// Too many replies were not read.
    OutputLimit,
}

impl From<io::Error> for End {
    fn from(error: io::Error) -> End {
        End::Broken(error)
    }
}

impl From<ProtocolError> for End {
    fn from(error: ProtocolError) -> End {
        End::Protocol(error)
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            End::Done => "done",
            End::Broken(error) => return error.fmt(f),
            End::Protocol(error) => return error.fmt(f),
            End::Killed => "killed by another connection",
            End::Idle => "idle for too long",
            End::SlowCommand => "a command took too long to arrive",
            End::Unauthenticated => "not authenticated in time",
            End::Unread => "replies were not read for too long",
            End::OutputLimit => "too many replies were not read",
        })
    }
}
