//! Messages to whoever listens.

use std::collections::BTreeMap;

use bytes::Bytes;
use tokio::sync::mpsc;

/// Messages that wait for one listener. Who does not take them in time loses the connection, as
/// with `client-output-buffer-limit`.
const WAITING: usize = 1_024;

#[derive(Default)]
pub(super) struct Channels {
    listeners: BTreeMap<Bytes, Vec<mpsc::Sender<Bytes>>>,
}

impl Channels {
    pub(super) fn subscribe(&mut self, channel: &[u8]) -> mpsc::Receiver<Bytes> {
        let (give, messages) = mpsc::channel(WAITING);
        let channel = Bytes::copy_from_slice(channel);
        self.listeners.entry(channel).or_default().push(give);
        messages
    }

    /// Gives the number of those who get it.
    pub(super) fn publish(&mut self, channel: &[u8], message: &[u8]) -> usize {
        let Some(listeners) = self.listeners.get_mut(channel) else {
            return 0;
        };
        let message = Bytes::copy_from_slice(message);
        listeners.retain(|listener| listener.try_send(message.clone()).is_ok());
        listeners.len()
    }
}
