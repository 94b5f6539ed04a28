//! Reading: a querier sees head and blocks as one.

pub(crate) mod block_source;
pub(crate) mod entry;
pub(crate) mod matchers;
pub(crate) mod postings;
pub(crate) mod selections;

use std::collections::BTreeSet;
use std::sync::Arc;

use model::{Labels, Matcher};
use parking_lot::Mutex;

pub use entry::SeriesEntry;

use crate::block::{Block, SeriesRef, SymbolCache};
use crate::db::Inner;
use crate::error::Error;
use crate::head::read::View;
use block_source::BlockSource;
use entry::{InBlock, Part};
use selections::{Found, Place, Selections};

/// Reads head and blocks as one, as they were when it was made: commits that end later are not seen.
#[derive(Debug)]
pub struct Querier {
    db: Arc<Inner>,
    view: Arc<View>,
    warnings: Mutex<BTreeSet<String>>,
}

impl Querier {
    pub(crate) fn new(db: Arc<Inner>) -> Self {
        let view = View::open(db.head.clone());
        Querier { db, view, warnings: Mutex::default() }
    }

    /// What the answers so far lack, e.g. while replay goes on.
    pub fn warnings(&self) -> Vec<String> {
        self.warnings.lock().iter().cloned().collect()
    }

    /// The blocks that reach into `mint..=maxt`; notes what is missing there.
    fn blocks(&self, mint: i64, maxt: i64) -> Vec<Arc<Block>> {
        if let Some(warning) = self.db.head.replay.warning(mint, maxt) {
            self.warnings.lock().insert(warning);
        }
        let blocks = self.db.blocks.load();
        blocks.iter().filter(|b| b.meta().min_time <= maxt && b.meta().max_time > mint).cloned().collect()
    }

    fn head_reaches(&self, maxt: i64) -> bool {
        maxt >= self.db.head.held_from() || self.db.head.out_of_order.reaches(maxt)
    }

    /// The series that satisfy all matchers and have samples in `mint..=maxt` (milliseconds), in order of their labels.
    ///
    /// # Errors
    /// Where a block is damaged or cannot be read.
    pub fn select(&self, matchers: &[Matcher], mint: i64, maxt: i64) -> Result<Vec<SeriesEntry>, Error> {
        self.select_for(matchers, (mint, maxt), false)
    }

    /// The same, of whose samples only the last at or before `maxt` counts: others may be missing from the answer.
    ///
    /// # Errors
    /// As [`Querier::select`].
    pub fn select_latest(
        &self,
        matchers: &[Matcher],
        mint: i64,
        maxt: i64,
    ) -> Result<Vec<SeriesEntry>, Error> {
        self.select_for(matchers, (mint, maxt), true)
    }

    fn select_for(
        &self,
        matchers: &[Matcher],
        (mint, maxt): (i64, i64),
        latest: bool,
    ) -> Result<Vec<SeriesEntry>, Error> {
        let mut sources: Vec<Vec<(Labels, Part)>> = Vec::new();
        // The head first: what leaves it meanwhile is in a block by then.
        if self.head_reaches(maxt) {
            let selections = &self.db.selections;
            sources.push(self.db.head.select(matchers, (mint, maxt), &self.view, latest, selections)?);
        }
        for block in self.blocks(mint, maxt) {
            sources.push(select_block(&block, matchers, (mint, maxt), &self.db.selections)?);
        }
        Ok(merge(sources))
    }

    /// How many series [`Querier::select`] will look at, at most: the most that one of head and blocks has.
    ///
    /// # Errors
    /// As [`Querier::select`].
    pub fn count(&self, matchers: &[Matcher], mint: i64, maxt: i64) -> Result<usize, Error> {
        let mut most = 0;
        if self.head_reaches(maxt) {
            most = matchers::resolve(&*self.db.head.index.read(), matchers)?.len();
        }
        for block in self.blocks(mint, maxt) {
            most = most.max(matchers::resolve(&BlockSource(&block), matchers)?.len());
        }
        Ok(most)
    }

    /// The labels of the series that satisfy all matchers and have samples in `mint..=maxt`, in order.
    ///
    /// # Errors
    /// Where a block is damaged or cannot be read.
    pub fn series(&self, matchers: &[Matcher], mint: i64, maxt: i64) -> Result<Vec<Labels>, Error> {
        Ok(self.select(matchers, mint, maxt)?.iter().map(|entry| entry.labels().clone()).collect())
    }

    /// Names of labels that series have which satisfy all matchers, sorted; at most `limit` (0: all).
    ///
    /// # Errors
    /// Where a block is damaged or cannot be read.
    pub fn label_names(
        &self,
        matchers: &[Matcher],
        mint: i64,
        maxt: i64,
        limit: usize,
    ) -> Result<Vec<String>, Error> {
        let mut names = BTreeSet::new();
        if self.head_reaches(maxt) {
            let index = self.db.head.index.read();
            if matchers.is_empty() {
                names.extend(index.label_names().map(str::to_owned));
            } else {
                for id in matchers::resolve(&*index, matchers)? {
                    for name in index.label_names_of(id) {
                        if !names.contains(name) {
                            names.insert(name.to_owned());
                        }
                    }
                }
            }
        }
        for block in self.blocks(mint, maxt) {
            if matchers.is_empty() {
                names.extend(block.label_names()?);
                continue;
            }
            let mut chunks = Vec::new();
            for series in matchers::resolve(&BlockSource(&block), matchers)? {
                for (name, _) in &block.series(SeriesRef(series), &mut chunks)? {
                    if !names.contains(name) {
                        names.insert(name.to_owned());
                    }
                }
            }
        }
        Ok(limited(names, limit))
    }

    /// Values of a label among the series that satisfy all matchers, sorted; at most `limit` (0: all).
    ///
    /// # Errors
    /// Where a block is damaged or cannot be read.
    pub fn label_values(
        &self,
        name: &str,
        matchers: &[Matcher],
        mint: i64,
        maxt: i64,
        limit: usize,
    ) -> Result<Vec<String>, Error> {
        let mut values = BTreeSet::new();
        let mut add = |value: &str| {
            if !value.is_empty() && !values.contains(value) {
                values.insert(value.to_owned());
            }
        };
        if self.head_reaches(maxt) {
            let index = self.db.head.index.read();
            if matchers.is_empty() {
                index.label_values(name).for_each(&mut add);
            } else {
                matchers::resolve(&*index, matchers)?
                    .into_iter()
                    .for_each(|id| add(index.value_of(id, name)));
            }
        }
        for block in self.blocks(mint, maxt) {
            if matchers.is_empty() {
                block.label_values(name)?.iter().for_each(|value| add(value));
                continue;
            }
            for series in matchers::resolve(&BlockSource(&block), matchers)? {
                add(block.series_label_value(SeriesRef(series), name)?);
            }
        }
        Ok(limited(values, limit))
    }
}

fn limited(all: BTreeSet<String>, limit: usize) -> Vec<String> {
    let limit = if limit == 0 { usize::MAX } else { limit };
    all.into_iter().take(limit).collect()
}

fn select_block(
    block: &Arc<Block>,
    matchers: &[Matcher],
    (mint, maxt): (i64, i64),
    selections: &Selections,
) -> Result<Vec<(Labels, Part)>, Error> {
    let place = Place::Block(block.meta().ulid);
    let known = selections.get(place, matchers);
    let found = match known {
        Some(found) => found,
        None => selections.keep(place, matchers, find_in_block(block, matchers)?),
    };
    let any_deleted = block.has_tombstones();
    let within = Arc::new(InBlock { block: block.clone(), found });
    let found = &within.found;
    let mut parts = Vec::with_capacity(found.ids.len());
    for (at, (id, labels)) in found.ids.iter().zip(&found.labels).enumerate() {
        let mut chunks = found.chunks_of(at).iter().filter(|c| c.mint <= maxt && c.maxt >= mint);
        let deleted = if any_deleted { block.tombstones(SeriesRef(*id)) } else { Vec::new() };
        if chunks.any(|c| !deleted.iter().any(|d| d.covers(c.mint, c.maxt))) {
            parts.push((labels.clone(), Part::Block(within.clone(), at as u32, deleted)));
        }
    }
    Ok(parts)
}

/// The series of a block that satisfy all matchers.
fn find_in_block(block: &Block, matchers: &[Matcher]) -> Result<Found, Error> {
    let ids = matchers::resolve(&BlockSource(block), matchers)?;
    let mut found = Found { labels: Vec::with_capacity(ids.len()), ..Found::default() };
    found.ends.reserve_exact(ids.len());
    let mut chunks = Vec::new();
    let mut symbols = SymbolCache::default();
    for id in &ids {
        found.labels.push(block.series_with(SeriesRef(*id), &mut chunks, &mut symbols)?);
        found.chunks.append(&mut chunks);
        found.ends.push(found.chunks.len() as u32);
    }
    found.chunks.shrink_to_fit();
    Ok(Found { ids, ..found })
}

/// Joins what several places have of the same series; each source is in order of the labels.
fn merge(mut sources: Vec<Vec<(Labels, Part)>>) -> Vec<SeriesEntry> {
    if sources.len() == 1 {
        let only = sources.pop().unwrap_or_default();
        return only.into_iter().map(|(labels, part)| SeriesEntry::new(labels, vec![part])).collect();
    }
    let mut sources: Vec<_> =
        sources.into_iter().filter(|s| !s.is_empty()).map(|s| s.into_iter().peekable()).collect();
    let mut entries = Vec::with_capacity(sources.iter().map(|s| s.len()).max().unwrap_or(0));
    // Most series are in all sources: comparing for equality, which is cheap, mostly suffices.
    let mut least: Vec<usize> = Vec::with_capacity(sources.len());
    loop {
        let mut labels: Option<&Labels> = None;
        least.clear();
        for (i, source) in sources.iter_mut().enumerate() {
            let Some((next, _)) = source.peek() else { continue };
            match labels {
                Some(labels) if labels == next => {}
                Some(labels) if labels < next => continue,
                _ => {
                    labels = Some(next);
                    least.clear();
                }
            }
            least.push(i);
        }
        let mut taken = None;
        let mut parts = Vec::with_capacity(least.len());
        for &i in &least {
            if let Some((labels, part)) = sources[i].next() {
                taken = Some(labels);
                parts.push(part);
            }
        }
        match taken {
            Some(labels) => entries.push(SeriesEntry::new(labels, parts)),
            None => return entries,
        }
    }
}
