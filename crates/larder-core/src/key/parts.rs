//! How the parts of a key become bytes.

use super::{Key, WireKey};

/// Collects the parts of a key, joined by `:`.
///
/// In text parts `%`, spaces and control characters become `%XX`, and so does `:` unless the
/// whole key is one string; an empty part becomes `%e`. The result can be read back in exactly
/// one way.
pub struct KeyWriter<'a> {
    out: &'a mut WireKey,
    parts: usize,
    nested: bool,
    /// The first part, while it is a number that has not been spelled out yet: mostly nobody needs
    /// its digits.
    number: Option<u64>,
}

impl<'a> KeyWriter<'a> {
    #[inline]
    pub(super) fn new(out: &'a mut WireKey) -> KeyWriter<'a> {
        KeyWriter {
            out,
            parts: 0,
            nested: false,
            number: None,
        }
    }

    /// The number that is all of the key, and then is not among its bytes; `None` if there is more to
    /// it.
    #[inline]
    pub(super) fn end(self) -> Option<u64> {
        self.number
    }

    /// Spells out what has not been.
    #[inline]
    pub(super) fn spell_out(&mut self) {
        if let Some(number) = self.number.take() {
            spell(self.out, number);
        }
    }

    /// Appends the parts of `key`.
    #[inline]
    pub fn part<K: Key + ?Sized>(&mut self, key: &K) {
        key.write(self);
    }

    /// Appends the parts of several keys, whose strings must not contain an unescaped `:`.
    pub fn parts(&mut self, keys: &[&dyn Key]) {
        let outer = std::mem::replace(&mut self.nested, true);
        for key in keys {
            key.write(self);
        }
        self.nested = outer;
    }

    /// Appends a text part.
    #[inline]
    pub fn text(&mut self, text: &str) {
        self.separate();
        if text.is_empty() {
            self.out.extend_from_slice(b"%e");
        }
        escape_into(self.out, text, self.nested);
    }

    /// Appends a number in decimal.
    #[inline]
    pub fn number(&mut self, magnitude: u128, negative: bool) {
        match u64::try_from(magnitude) {
            Ok(small) if self.parts == 0 && !negative => {
                self.parts = 1;
                self.number = Some(small);
            }
            _ => self.add_number(magnitude, negative),
        }
    }

    fn add_number(&mut self, magnitude: u128, negative: bool) {
        self.separate();
        if negative {
            self.out.push(b'-');
        }
        // Nearly every id fits, and formatting a u64 is several times cheaper than a u128.
        match u64::try_from(magnitude) {
            Ok(small) => spell(self.out, small),
            Err(_) => {
                let mut digits = itoa::Buffer::new();
                self.out
                    .extend_from_slice(digits.format(magnitude).as_bytes());
            }
        }
    }

    /// Appends bytes as they are. Only for keys that consist of nothing else: two raw parts, or
    /// a raw part beside others, could be read in more than one way.
    pub(super) fn raw(&mut self, bytes: &[u8]) {
        self.separate();
        self.out.extend_from_slice(bytes);
    }

    #[inline]
    fn separate(&mut self) {
        self.spell_out();
        if self.parts > 0 {
            self.out.push(b':');
        }
        self.parts += 1;
    }
}

fn spell(out: &mut WireKey, number: u64) {
    let mut digits = itoa::Buffer::new();
    out.extend_from_slice(digits.format(number).as_bytes());
}

/// The beginning of keys, or a pattern for them, in the form that keys have: spaces, `%` and
/// control characters escaped, `:` as it is.
pub fn escape(text: &str) -> WireKey {
    let mut out = WireKey::new();
    escape_into(&mut out, text, false);
    out
}

#[inline]
fn escape_into(out: &mut WireKey, text: &str, colons: bool) {
    // Without a way out of the loop, several bytes are looked at together.
    let needs_some = |some, &byte: &u8| some | needs_escape(byte, colons);
    if text.as_bytes().iter().fold(false, needs_some) {
        escape_bytes(out, text, colons);
    } else {
        out.extend_from_slice(text.as_bytes());
    }
}

#[inline]
fn needs_escape(byte: u8, colons: bool) -> bool {
    (byte <= b' ') | (byte == b'%') | (byte == 0x7f) | ((byte == b':') & colons)
}

#[cold]
fn escape_bytes(out: &mut WireKey, text: &str, colons: bool) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for &byte in text.as_bytes() {
        if needs_escape(byte, colons) {
            let hex = [HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]];
            out.extend_from_slice(&[b'%', hex[0], hex[1]]);
        } else {
            out.push(byte);
        }
    }
}

macro_rules! unsigned {
    ($($t:ty)*) => {$(
        impl Key for $t {
            #[inline]
            fn write(&self, out: &mut KeyWriter<'_>) {
                out.number(u128::from(*self), false);
            }
        }
    )*};
}

macro_rules! signed {
    ($($t:ty)*) => {$(
        impl Key for $t {
            #[inline]
            fn write(&self, out: &mut KeyWriter<'_>) {
                out.number(self.unsigned_abs().into(), *self < 0);
            }
        }
    )*};
}

unsigned!(u8 u16 u32 u64 u128);
signed!(i8 i16 i32 i64 i128);

impl Key for usize {
    fn write(&self, out: &mut KeyWriter<'_>) {
        out.number(*self as u128, false);
    }
}

impl Key for str {
    #[inline]
    fn write(&self, out: &mut KeyWriter<'_>) {
        out.text(self);
    }
}

impl Key for String {
    #[inline]
    fn write(&self, out: &mut KeyWriter<'_>) {
        out.text(self);
    }
}

impl Key for char {
    fn write(&self, out: &mut KeyWriter<'_>) {
        out.text(self.encode_utf8(&mut [0; 4]));
    }
}

impl Key for bool {
    fn write(&self, out: &mut KeyWriter<'_>) {
        out.text(if *self { "true" } else { "false" });
    }
}

impl<K: Key + ?Sized> Key for &K {
    fn write(&self, out: &mut KeyWriter<'_>) {
        (**self).write(out);
    }
}

impl<K: Key + ?Sized> Key for std::sync::Arc<K> {
    fn write(&self, out: &mut KeyWriter<'_>) {
        (**self).write(out);
    }
}

#[cfg(feature = "uuid")]
impl Key for uuid::Uuid {
    fn write(&self, out: &mut KeyWriter<'_>) {
        out.text(
            self.hyphenated()
                .encode_lower(&mut uuid::Uuid::encode_buffer()),
        );
    }
}

macro_rules! tuple {
    ($($name:ident $at:tt),+) => {
        impl<$($name: Key),+> Key for ($($name,)+) {
            fn write(&self, out: &mut KeyWriter<'_>) {
                out.parts(&[$(&self.$at as &dyn Key),+]);
            }
        }
    };
}

tuple!(A 0, B 1);
tuple!(A 0, B 1, C 2);
tuple!(A 0, B 1, C 2, D 3);
