//! What a reader takes from a series in the head: chunks as they are at that moment.

use std::sync::Arc;

use model::Labels;

use super::Head;
use super::series::{Chain, FullData, PAGE_SLOTS, Page, State};
use crate::block::Interval;
use crate::chunk::head_file::{HeadChunkReader, HeadChunkRef};
use crate::chunk::{self, Columns, Encoding, HistogramForm, Samples};
use crate::error::Error;
use crate::query::entry::Part;
use crate::query::selections::{Found, Place, Selections};

/// Series read at once by a selection: commits wait for less than a millisecond.
const AT_ONCE: usize = 4096;

/// A chunk of the head, safe from later appends.
#[derive(Clone, Debug)]
pub(crate) struct HeldChunk {
    pub(crate) mint: i64,
    pub(crate) maxt: i64,
    pub(crate) data: HeldData,
}

/// Where its data is.
#[derive(Clone, Debug)]
pub(crate) enum HeldData {
    Full(Encoding, Arc<Vec<u8>>),
    Open(Encoding, Box<[u8]>),
    File(HeadChunkRef),
}

/// What a reader holds of one series.
#[derive(Clone, Debug)]
pub(crate) struct HeadPart {
    pub(crate) chunks: Vec<HeldChunk>,
    /// The newest sample alone, where only that is asked for: then there are no chunks.
    pub(crate) newest: Option<(i64, f64)>,
    /// Later samples belong to commits that the reader does not see.
    pub(crate) visible_to: i64,
    /// Samples in these are deleted.
    pub(crate) deleted: Vec<Interval>,
    /// Samples that came out of order: in any order, visible in any case.
    pub(crate) out_of_order: Vec<HeldChunk>,
}

impl HeadPart {
    /// What an answer holds of it.
    fn for_series(self, view: &Arc<View>) -> Part {
        match self.newest {
            Some((t, v)) if self.out_of_order.is_empty() => Part::Newest(t, v),
            _ => Part::Head(Box::new(self), view.clone()),
        }
    }

    /// Nothing, all of it visible.
    pub(super) fn empty() -> Self {
        HeadPart {
            chunks: Vec::new(),
            newest: None,
            visible_to: i64::MAX,
            deleted: Vec::new(),
            out_of_order: Vec::new(),
        }
    }
}

impl HeldChunk {
    /// Appends the samples with `mint <= t <= maxt`.
    pub(crate) fn read<H: HistogramForm>(
        &self,
        reader: &HeadChunkReader,
        (mint, maxt): (i64, i64),
        out: &mut Columns<H>,
        labels: &Labels,
    ) -> Result<(), Error> {
        let damaged = |source: chunk::Error| Error::Chunk {
            series: labels.to_string(),
            mint: self.mint,
            maxt: self.maxt,
            source,
        };
        match &self.data {
            HeldData::Full(encoding, data) => out.read_chunk(*encoding, data, mint, maxt).map_err(damaged),
            HeldData::Open(encoding, data) => out.read_chunk(*encoding, data, mint, maxt).map_err(damaged),
            HeldData::File(place) => {
                let mut data = Vec::new();
                let encoding = reader.read(*place, &mut data)?;
                out.read_chunk(encoding, &data, mint, maxt).map_err(damaged)
            }
        }
    }
}

/// Takes the chunks of a chain that reach into `mint..=maxt`.
fn hold(chain: &Chain, mint: i64, maxt: i64, held: &mut Vec<HeldChunk>) {
    for chunk in &chain.full {
        if chunk.mint <= maxt && chunk.maxt >= mint {
            let data = match &chunk.data {
                FullData::Memory(encoding, data) => HeldData::Full(*encoding, data.clone()),
                FullData::File(place) => HeldData::File(*place),
            };
            held.push(HeldChunk { mint: chunk.mint, maxt: chunk.maxt, data });
        }
    }
    if let (Some(from), Some((to, _))) = (chain.open_min(), chain.last())
        && from <= maxt
        && to >= mint
    {
        let (encoding, data) = chain.open_chunk();
        held.push(HeldChunk { mint: from, maxt: to, data: HeldData::Open(encoding, data.into()) });
    }
}

impl Head {
    /// Takes what reaches into `mint..=maxt`, without the last `hidden` samples; none where that is nothing. `latest`: only
    /// the last sample counts, and the newest of the series often is that one: then no chunk is copied and decoded.
    pub(crate) fn hold_series(
        &self,
        state: &State,
        (mint, maxt): (i64, i64),
        hidden: u32,
        latest: bool,
    ) -> Result<Option<HeadPart>, Error> {
        let newest = || state.chain.newest_float().filter(|(t, _)| mint <= *t && *t <= maxt);
        if let Some((t, v)) = newest().filter(|_| latest && hidden == 0 && state.replayed.is_none()) {
            return Ok(Some(HeadPart { newest: Some((t, v)), ..HeadPart::empty() }));
        }
        let mut chunks = Vec::new();
        for chain in state.chains() {
            hold(chain, mint, maxt, &mut chunks);
        }
        if chunks.is_empty() {
            return Ok(None);
        }
        let visible_to =
            if hidden == 0 { i64::MAX } else { self.last_visible(&state.chain, hidden as usize)? };
        let some = chunks.iter().any(|c| c.mint <= visible_to);
        Ok(some.then_some(HeadPart { chunks, visible_to, ..HeadPart::empty() }))
    }

    /// The time of the newest sample but `hidden`: rare, so it may decode.
    fn last_visible(&self, chain: &Chain, mut hidden: usize) -> Result<i64, Error> {
        let mut held = Vec::new();
        hold(chain, i64::MIN, i64::MAX, &mut held);
        let reader = self.chunks.lock().reader();
        let mut samples = Samples::default();
        for chunk in held.iter().rev() {
            samples.clear();
            chunk.read(&reader, (i64::MIN, i64::MAX), &mut samples, &Labels::empty())?;
            if let Some(at) = samples.len().checked_sub(hidden + 1) {
                return Ok(samples.ts[at]);
            }
            hidden -= samples.len();
            if hidden == 0 {
                return Ok(chunk.mint - 1);
            }
        }
        Ok(i64::MIN)
    }

    /// Calls `each(id, page, slot)` for series that are there.
    pub(crate) fn with_series(&self, ids: &[u32], mut each: impl FnMut(u32, &Page, usize)) {
        let mut last: Option<(u32, Arc<Page>)> = None;
        for &id in ids {
            let (number, slot) = (id / PAGE_SLOTS as u32, id as usize % PAGE_SLOTS);
            if last.as_ref().is_none_or(|(n, _)| *n != number) {
                last = self.page(number).map(|page| (number, page));
            }
            if let Some((n, page)) = &last
                && *n == number
            {
                each(id, page, slot);
            }
        }
    }

    /// The series that satisfy the matchers and have samples in `mint..=maxt`, in order of their labels. `latest`: of whose samples only the
    /// last counts.
    pub(crate) fn select(
        &self,
        matchers: &[model::Matcher],
        (mint, maxt): (i64, i64),
        view: &Arc<View>,
        latest: bool,
        selections: &Selections,
    ) -> Result<Vec<(Labels, Part)>, Error> {
        // What is newest may be deleted: then the one before it counts.
        let latest = latest && !self.deleted.any();
        let found = self.find(matchers, selections)?;
        let mut parts: Vec<Option<Part>> = Vec::with_capacity(found.ids.len());
        let mut failed = None;
        for (begin, ids) in (0..).step_by(AT_ONCE).zip(found.ids.chunks(AT_ONCE)) {
            let selecting = self.isolation.select(view.sees);
            let mut places = begin..;
            self.with_series(ids, |id, page, slot| {
                // series may be gone by now: those are passed over
                let at = places.find(|at| found.ids[*at] == id).unwrap_or(0);
                parts.resize_with(at, || None);
                let Some(series) = page.series(slot) else { return };
                let hidden = selecting.hidden.get(&id).copied().unwrap_or(0);
                match self.hold_series(&series.state.lock(), (mint, maxt), hidden, latest) {
                    Ok(part) => {
                        let part = self.out_of_order.add_to(id, part, (mint, maxt));
                        let part = part.and_then(|part| self.deleted.mark(id, part));
                        parts.push(part.map(|part| part.for_series(view)));
                    }
                    Err(error) => failed = Some(error),
                }
            });
            if let Some(error) = failed.take() {
                return Err(error);
            }
        }
        parts.resize_with(found.ids.len(), || None);
        let in_order = found.order.iter().zip(&found.labels);
        Ok(in_order.filter_map(|(at, labels)| Some((labels.clone(), parts[*at as usize].take()?))).collect())
    }

    /// All series that satisfy the matchers.
    fn find(&self, matchers: &[model::Matcher], selections: &Selections) -> Result<Arc<Found>, Error> {
        let known = selections.get(Place::Head, matchers);
        let index = self.index.read();
        let state = index.state(matchers);
        if let Some(found) = known.filter(|found| found.state == state) {
            return Ok(found);
        }
        let ids = crate::query::matchers::resolve(&*index, matchers)?;
        let order = index.order_by_labels(&ids);
        let labels = order.iter().map(|at| index.labels(ids[*at as usize])).collect();
        drop(index);
        let found = Found { ids, order, labels, state, ..Found::default() };
        Ok(selections.keep(Place::Head, matchers, found))
    }
}

/// What a querier sees of the head. The files that its answers lie in stay as long as it does.
#[derive(Debug)]
pub(crate) struct View {
    head: Arc<Head>,
    pub(crate) sees: u64,
    pub(crate) reader: HeadChunkReader,
}

impl View {
    pub(crate) fn open(head: Arc<Head>) -> Arc<Self> {
        let sees = head.isolation.open();
        let reader = head.chunks.lock().reader();
        Arc::new(View { head, sees, reader })
    }
}

impl Drop for View {
    fn drop(&mut self) {
        self.head.isolation.close(self.sees);
    }
}
