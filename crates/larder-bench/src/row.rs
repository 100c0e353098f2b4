//! The value of the benchmarks, and its bytes.

use bytes::Bytes;
use larder::codec::Raw;
use larder::core::codec::{Codec, CodecError, CodecId};

/// What a row holds beside its number.
const REST: usize = 192;

/// 200 bytes, of which a reader looks at the first eight.
#[repr(C)]
pub(crate) struct Row {
    pub(crate) id: u64,
    rest: [u8; REST],
}

impl Row {
    pub(crate) fn new(id: u64) -> Row {
        Row {
            id,
            rest: [7; REST],
        }
    }
}

/// The bytes of a row as they are.
pub(crate) struct Plain;

impl Codec<Row> for Plain {
    fn id(&self) -> CodecId {
        Codec::<Vec<u8>>::id(&Raw)
    }

    fn encode(&self, row: &Row, out: &mut Vec<u8>) -> Result<(), CodecError> {
        out.extend_from_slice(&row.id.to_be_bytes());
        out.extend_from_slice(&row.rest);
        Ok(())
    }

    fn decode(&self, bytes: &Bytes) -> Result<Row, CodecError> {
        let (id, rest) = bytes.split_first_chunk().ok_or("a row is longer")?;
        Ok(Row {
            id: u64::from_be_bytes(*id),
            rest: rest.try_into()?,
        })
    }
}
