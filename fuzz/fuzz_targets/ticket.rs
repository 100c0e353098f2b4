//! Tickets: no panic, and what is read reads back and stays within its bounds.
#![no_main]

use larder_core::ticket::{MAX_TEXT_BYTES, Ticket};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(ticket) = text.parse::<Ticket>() {
        let again = ticket.to_string();
        assert!(again.len() <= MAX_TEXT_BYTES);
        assert_eq!(again.parse::<Ticket>().ok(), Some(ticket));
    }
});
