//! Start timestamps in chunks: when the counter of each sample began. See `docs/chunk.md`.

use super::cursor::{BitWriter, Cursor};
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

/// The last sample that the header byte can name as the first whose start differs.
const LAST_CHANGE: u8 = 0x7f;

/// Encodes the start timestamps behind the samples of a chunk that grows.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct StartWriter {
    first_known: bool,
    changes_at: u8,
    distance: i64,
    /// The start of the sample before, milliseconds; 0: unknown.
    st: i64,
}

impl StartWriter {
    /// Whether sample `index` (from 0) can have this start: where none has been known for so long that the header cannot say since when
    /// they are, it cannot, and a chunk ends.
    pub(super) fn takes(&self, index: usize, st: i64) -> bool {
        index <= usize::from(LAST_CHANGE) || self.changes_at > 0 || st == self.st
    }

    /// Writes the start of sample `index` of time `t`, which follows one of time `before`; returns the chunk's header byte.
    pub(super) fn put(&mut self, out: &mut BitWriter, index: usize, before: i64, t: i64, st: i64) -> u8 {
        if index == 0 {
            if st != 0 {
                self.first_known = true;
                out.varint(t.wrapping_sub(st));
            }
        } else if self.changes_at > 0 {
            let distance = before.wrapping_sub(st);
            out.signed(distance.wrapping_sub(self.distance));
            self.distance = distance;
        } else if st != self.st || (index == usize::from(LAST_CHANGE) && st != 0) {
            debug_assert!(self.takes(index, st));
            self.changes_at = index as u8;
            self.distance = before.wrapping_sub(st);
            out.signed(self.distance);
        }
        self.st = st;
        u8::from(self.first_known) << 7 | self.changes_at
    }
}
