//! What the two servers hold and have published at the end of a sequence.

use std::collections::BTreeSet;

use bytes::Bytes;
use larder_resp::Reply;

use super::client::bytes;
use super::compare::{self, same_end};
use super::pair::{CHANNEL, Halt, Pair};
use crate::simredis::Writes;

impl Pair {
    /// Whether both hold the same, and have published the same.
    pub(super) fn compare(&mut self) -> Result<(), Halt> {
        if let Some(halt) = self.halted() {
            return Err(halt);
        }
        self.set_writes(Writes::Allowed);
        self.set_full(false);
        self.wait_for_ends();
        let lives = self.lives();
        let compared = self.compare_holdings();
        // On a busy machine this takes long enough for a life to end meanwhile.
        match self.may_have_ended(&lives) {
            true => Err(Halt::Abandoned),
            false => compared,
        }
    }

    fn compare_holdings(&mut self) -> Result<(), Halt> {
        self.compare_messages()?;
        let keys = self.real_keys();
        let simulated = self.keys();
        if keys != simulated {
            let (real, simulated) = (compare::command(&keys), compare::command(&simulated));
            let text = format!("keys: {real}\n      simulated: {simulated}");
            return Err(self.sequence().differs(&text));
        }
        for key in &keys {
            self.compare_key(key)?;
        }
        Ok(())
    }

    fn real_keys(&mut self) -> Vec<Bytes> {
        let (mut cursor, mut keys) = (bytes("0"), BTreeSet::new());
        loop {
            let scan = vec![bytes("SCAN"), cursor, bytes("COUNT"), bytes("1000")];
            let reply = self.real.ask(&[scan]).remove(0);
            let Reply::Array(parts) = reply else {
                panic!("a scan gives two parts");
            };
            let [Reply::Bulk(next), Reply::Array(found)] = &parts[..] else {
                panic!("a scan gives a cursor and keys");
            };
            keys.extend(found.iter().filter_map(|key| match key {
                Reply::Bulk(key) => Some(key.clone()),
                _ => None,
            }));
            if next == "0" {
                return keys.into_iter().collect();
            }
            cursor = next.clone();
        }
    }

    fn compare_key(&mut self, key: &Bytes) -> Result<(), Halt> {
        let command = |words: &[&str]| -> Vec<Bytes> {
            let mut command = vec![bytes(words[0]), key.clone()];
            command.extend(words[1..].iter().map(|word| bytes(word)));
            command
        };
        let kind = self.sequence().on_simulated(&command(&["TYPE"]));
        let content = match &kind {
            Reply::Simple(kind) if kind == "hash" => command(&["HGETALL"]),
            Reply::Simple(kind) if kind == "stream" => command(&["XRANGE", "-", "+"]),
            _ => command(&["GET"]),
        };
        let commands = [command(&["TYPE"]), command(&["PEXPIRETIME"]), content];
        let real = self.real.ask(&commands);
        let sequence = self.sequence();
        let simulated: Vec<Reply> = commands
            .iter()
            .map(|command| sequence.on_simulated(command))
            .collect();
        let slack = sequence.slack_ms();
        let is_same = real[0] == simulated[0]
            && same_end(&real[1], &simulated[1], slack)
            && real[2] == simulated[2];
        if is_same {
            return Ok(());
        }
        let shown = |replies: &[Reply]| compare::reply(&Reply::Array(replies.to_vec()));
        let (key, real, simulated) = (compare::shown(key), shown(&real), shown(&simulated));
        let text = format!("under \"{key}\": {real}\n      simulated: {simulated}");
        Err(sequence.differs(&text))
    }

    fn compare_messages(&mut self) -> Result<(), Halt> {
        while let Ok(simulated) = self.sequence().messages.try_recv() {
            self.sequence().tally.messages += 1;
            let real = self.listener.next();
            let expected = [bytes("message"), bytes(CHANNEL), simulated].map(Reply::Bulk);
            if real != Reply::Array(expected.to_vec()) {
                let (real, simulated) = (compare::reply(&real), compare::reply(&expected[2]));
                let text = format!("message {real}\n      simulated: {simulated}");
                return Err(self.sequence().differs(&text));
            }
        }
        let last = self.listener.words(&["PING", "end"]);
        if last == pong() {
            return Ok(());
        }
        let last = compare::reply(&last);
        let text = format!("message {last}\n      simulated: none");
        Err(self.sequence().differs(&text))
    }

    /// Drops messages of a sequence that was abandoned.
    pub(super) fn forget_messages(&mut self) {
        let mut message = self.listener.words(&["PING", "end"]);
        while message != pong() {
            message = self.listener.next();
        }
    }
}

/// What a listener gets for its question.
fn pong() -> Reply {
    Reply::Array([bytes("pong"), bytes("end")].map(Reply::Bulk).to_vec())
}
