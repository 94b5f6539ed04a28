//! Start timestamps in chunks: when the counter of each sample began. See `docs/chunk.md`.

use super::cursor::Cursor;
use super::xor::Fault;

/// Decodes the start timestamps that stand behind the samples of a chunk.
#[derive(Clone, Copy, Debug)]
pub(super) struct Starts {
    first_known: bool,
    /// The first sample whose start differs from the one before; 0: none does.
    changes_at: usize,
    /// Distance of the start to the time of the sample before.
    distance: i64,
    /// The start of the present sample, milliseconds; 0: unknown.
    pub(super) st: i64,
}

impl Starts {
    /// From the chunk's header byte: top bit "the first is known", below it the sample from which on starts are written.
    pub(super) fn from_header(byte: u8) -> Self {
        Starts { first_known: byte & 0x80 != 0, changes_at: usize::from(byte & 0x7f), distance: 0, st: 0 }
    }

    /// Reads what stands behind sample `index` (from 0) of time `t`, which follows one of time `before`.
    pub(super) fn read(
        &mut self,
        cursor: &mut Cursor<'_>,
        index: usize,
        before: i64,
        t: i64,
    ) -> Result<(), Fault> {
        if index == 0 {
            if self.first_known {
                self.distance = cursor.varint()?;
                self.st = t.wrapping_sub(self.distance);
            }
        } else if self.changes_at > 0 && index >= self.changes_at {
            let read = cursor.signed();
            self.distance = if index == self.changes_at { read } else { self.distance.wrapping_add(read) };
            self.st = before.wrapping_sub(self.distance);
        }
        Ok(())
    }
}
