//! A block's index, for matchers.

use std::borrow::Cow;

use super::matchers::PostingsSource;
use crate::block::{Block, SeriesRef};
use crate::error::Error;

/// A block, as matchers see it.
pub(crate) struct BlockSource<'a>(pub(crate) &'a Block);

impl PostingsSource for BlockSource<'_> {
    fn postings(&self, name: &str, value: &str) -> Result<Cow<'_, [u32]>, Error> {
        Ok(Cow::Owned(self.0.postings(name, value)?.map(|s| s.0).collect()))
    }

    fn all(&self) -> Result<Cow<'_, [u32]>, Error> {
        Ok(Cow::Owned(self.0.all_postings()?.map(|s| s.0).collect()))
    }

    fn values_where(
        &self,
        name: &str,
        prefix: &str,
        keep: &mut dyn FnMut(&str) -> bool,
        lists: &mut Vec<Vec<u32>>,
    ) -> Result<(), Error> {
        self.0.for_each_value(name, |value, postings| {
            if value.starts_with(prefix) {
                if keep(value) {
                    lists.push(postings.map(|s| s.0).collect());
                }
                true
            } else {
                value < prefix // values come in order: behind the prefix there is nothing more
            }
        })?;
        Ok(())
    }

    fn retain_by_value(
        &self,
        series: &mut Vec<u32>,
        name: &str,
        keep: &mut dyn FnMut(&str) -> bool,
    ) -> Result<(), Error> {
        let mut failed = None;
        let mut last: Option<(&str, bool)> = None;
        series.retain(|&id| {
            if failed.is_some() {
                return false;
            }
            match self.0.series_label_value(SeriesRef(id), name) {
                Ok(value) => match last {
                    // neighbours often have the same value
                    Some((v, answer)) if v == value => answer,
                    _ => {
                        let answer = keep(value);
                        last = Some((value, answer));
                        answer
                    }
                },
                Err(error) => {
                    failed = Some(error);
                    false
                }
            }
        });
        failed.map_or(Ok(()), |error| Err(error.into()))
    }
}
