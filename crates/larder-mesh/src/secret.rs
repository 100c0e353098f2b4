//! The secret that the nodes of a cluster share: it signs, and is never shown.

use std::fmt;
use std::fs;
use std::path::Path;

use aws_lc_rs::hmac;
use larder_core::error::{Error, ErrorKind, Result};
use zeroize::Zeroizing;

/// Shortest secret, in bytes. Who watches one greeting can try secrets at leisure: short ones fall.
pub const MIN_SECRET_BYTES: usize = 16;

/// Longest secret file that is read, in bytes.
const MAX_SECRET_BYTES: usize = 4096;

const ADVICE: &str = "make one with `openssl rand -hex 32`, and give the same to every node";

/// A shared secret. Its text is not kept, only the key that is made of it.
#[derive(Clone)]
pub struct Secret(hmac::Key);

impl Secret {
    /// The secret with this text. Blanks and line ends around it do not count.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if it is shorter than 16 bytes; says how to make one.
    pub fn new(text: impl AsRef<[u8]>) -> Result<Secret> {
        let bytes = text.as_ref().trim_ascii();
        if bytes.len() < MIN_SECRET_BYTES {
            let message = format!(
                "the mesh secret has {} bytes, at least {MIN_SECRET_BYTES} are needed: {ADVICE}",
                bytes.len()
            );
            return Err(Error::new(ErrorKind::Config, message));
        }
        Ok(Secret(hmac::Key::new(hmac::HMAC_SHA256, bytes)))
    }

    /// The secret in this file. Blocks while the file is read.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if the file cannot be read, is far too long or far too short.
    pub fn from_file(path: &Path) -> Result<Secret> {
        let wrong = |why: String| {
            let message = format!("the mesh secret file {}: {why}; {ADVICE}", path.display());
            Error::new(ErrorKind::Config, message)
        };
        let length = fs::metadata(path).map_err(|error| wrong(error.to_string()))?;
        if length.len() > MAX_SECRET_BYTES as u64 {
            return Err(wrong(format!("longer than {MAX_SECRET_BYTES} bytes")));
        }
        let bytes = fs::read(path).map_err(|error| wrong(error.to_string()))?;
        Secret::new(Zeroizing::new(bytes))
            .map_err(|error| Error::new(error.kind(), format!("{}: {error}", path.display())))
    }

    /// The signature of these parts, one after the other.
    pub(crate) fn sign(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.0);
        parts.iter().for_each(|part| context.update(part));
        let mut signature = [0; 32];
        signature.copy_from_slice(context.sign().as_ref());
        signature
    }

    /// Whether this is the signature of the parts. Takes as long whether it is or not.
    pub(crate) fn verifies(&self, parts: &[&[u8]], signature: &[u8; 32]) -> bool {
        let ours = self.sign(parts);
        aws_lc_rs::constant_time::verify_slices_are_equal(&ours, signature).is_ok()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_secret_is_refused_with_advice_and_not_shown() {
        let error = Secret::new("  fifteen-bytes-x \n").unwrap_err();
        assert!(error.message().contains("15 bytes"), "{error}");
        assert!(error.message().contains("openssl rand"), "{error}");
        assert!(!error.message().contains("fifteen"), "{error}");
    }

    #[test]
    fn a_secret_signs_alike_from_a_file_and_a_value_and_shows_nothing() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "0123456789abcdef\n").unwrap();
        let from_file = Secret::from_file(file.path()).unwrap();
        let value = Secret::new("0123456789abcdef").unwrap();
        let signature = value.sign(&[b"ab", b"c"]);
        assert!(from_file.verifies(&[b"a", b"bc"], &signature));
        assert!(!from_file.verifies(&[b"abd"], &signature));
        assert_eq!(format!("{value:?}"), "***");
    }

    #[test]
    fn the_signature_is_hmac_sha_256() {
        // RFC 4231, test case 6.
        let secret = Secret::new([0xaa; 131]).unwrap();
        let data = b"Test Using Larger Than Block-Size Key - Hash Key First";
        let expected = "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54";
        let shown: String = secret
            .sign(&[data])
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect();
        assert_eq!(shown, expected);
    }
}
