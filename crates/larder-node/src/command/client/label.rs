//! `CLIENT GETNAME`, `SETNAME` and `SETINFO`: what a connection calls itself.

use super::super::failure::printable;
use super::{Call, Failure, Outcome};

pub(super) fn get_name(call: &mut Call<'_>) -> Outcome {
    let name = call.session.client.labels().name;
    if name.is_empty() {
        call.reply().null();
    } else {
        call.reply().bulk(&name);
    }
    Ok(())
}

pub(super) fn set_name(call: &mut Call<'_>) -> Outcome {
    let name = call.argument(2);
    check_name(name)?;
    call.session.client.set_name(name);
    call.reply().ok();
    Ok(())
}

pub(super) fn set_info(call: &mut Call<'_>) -> Outcome {
    let value = call.argument(3);
    if call.is(2, "LIB-NAME") {
        check("lib-name", value)?;
        call.session.client.set_library(value);
    } else if call.is(2, "LIB-VER") {
        check("lib-ver", value)?;
        call.session.client.set_library_version(value);
    } else {
        let mut text = b"ERR Unrecognized option '".to_vec();
        text.extend_from_slice(printable(call.argument(2), usize::MAX));
        text.push(b'\'');
        return Err(Failure::new(text));
    }
    call.reply().ok();
    Ok(())
}

/// Refuses names that would break the lines of `CLIENT LIST`.
pub(in super::super) fn check_name(name: &[u8]) -> Result<(), Failure> {
    check("Client names", name)
}

fn check(what: &str, text: &[u8]) -> Result<(), Failure> {
    if text.iter().all(u8::is_ascii_graphic) {
        return Ok(());
    }
    Err(Failure::new(format!(
        "ERR {what} cannot contain spaces, newlines or special characters."
    )))
}
