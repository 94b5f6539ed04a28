//! The end of replay: what it has read of each series is put before what this run has appended meanwhile.

use std::sync::atomic::Ordering::Relaxed;

use model::Value;

use crate::chunk::{self, Samples};
use crate::head::Head;
use crate::head::series::{Chain, FullData};

/// Joins the chains of all series; no chunks of a series overlap then.
pub(super) fn chains(head: &Head) {
    let ids: Vec<u32> = head.index.read().ids().to_vec();
    let mut full = Vec::new();
    head.with_series(&ids, |id, page, slot| {
        let Some(series) = page.series(slot) else { return };
        let mut state = series.state.lock();
        if let Some(older) = state.replayed.take() {
            if let (Some((last, _)), Some(first)) = (older.last(), state.chain.min_time())
                && first <= last
                && let Err(error) = give_back(head, id, &mut state.chain, last)
            {
                tracing::error!(%error, "cannot read a chunk in memory: it overlaps older ones");
            }
            state.chain.prepend(*older);
        }
        if state.chain.full.iter().any(|c| matches!(c.data, FullData::Memory(..))) {
            full.push(id);
        }
    });
    full.extend(head.out_of_order.series());
    head.numbers.note_joined();
    head.queue_full(full);
}

/// This run took samples up to `last` when it had not replayed yet what is newer: they came out of order.
fn give_back(head: &Head, id: u32, chain: &mut Chain, last: i64) -> Result<(), chunk::Error> {
    let mut samples = Samples::default();
    for chunk in &chain.full {
        // none is in a file before chains are joined
        if let FullData::Memory(encoding, data) = &chunk.data {
            samples.read_chunk(*encoding, data, i64::MIN, i64::MAX)?;
        }
    }
    let (encoding, data) = chain.open_chunk();
    if !data.is_empty() {
        samples.read_chunk(encoding, data, i64::MIN, i64::MAX)?;
    }
    *chain = Chain::default();
    for (i, (t, value)) in samples.iter().enumerate() {
        let start = samples.start(i);
        match value {
            _ if t <= last => drop(head.out_of_order.insert(id, t, start, value)),
            Value::Float(v) => drop(chain.append(t, start, v, head.cut_rule)),
            Value::Histogram(h) => drop(chain.append_histogram(t, start, &h, head.cut_rule)),
        }
    }
    head.replay.late_in_log.store(true, Relaxed);
    Ok(())
}
