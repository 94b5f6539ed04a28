//! What a history is made of: labels, values, histograms, late times, exemplars.

use model::histogram::Span;
use model::{FloatHistogram, Histogram, Labels, NativeHistogram, STALE_NAN};
use testkit::Random;

use super::history::{RANGE, Run};
use super::model::{Given, Safety};

impl Run {
    pub(crate) fn labels(&mut self) -> Labels {
        let generation = if self.random.chance(80) { 0 } else { self.now / (RANGE * 2) };
        let series = if self.wide { 300 } else { 12 };
        let long = |i: u64| format!("{i}-{:x}", Random::new(i).bits()).repeat(8);
        let i = self.random.below(series);
        Labels::from_pairs([
            ("__name__", self.random.pick(&["m0", "m0", "m1", "m1", "m2", "hi", "hf"]).to_string()),
            ("i", if self.wide { long(i) } else { i.to_string() }),
            ("pod", if generation == 0 { String::new() } else { format!("p{generation}") }),
        ])
    }

    pub(crate) fn value(&mut self) -> f64 {
        match self.random.below(20) {
            0 => STALE_NAN,
            1 => f64::NAN,
            2 => f64::INFINITY,
            n if n < 10 => n as f64,
            _ => f64::from_bits(self.random.bits()),
        }
    }

    /// A histogram of the series' kind, its buckets at random places.
    pub(crate) fn histogram(&mut self, floats: bool) -> NativeHistogram {
        let mut span = |at: i32| Span {
            offset: at + self.random.below(3) as i32,
            length: 1 + self.random.below(3) as u32,
        };
        let spans = vec![span(-1), span(1)];
        let length = spans.iter().map(|s| s.length).sum::<u32>();
        let counts: Vec<u64> = (0..length).map(|_| self.random.below(100)).collect();
        let (zero_count, count) = (self.random.below(5), counts.iter().sum::<u64>());
        let sum = self.random.below(1000) as f64 / 8.0;
        let h = Histogram {
            schema: self.random.below(3) as i32,
            zero_threshold: 0.001,
            zero_count,
            count: count + zero_count,
            sum,
            positive_spans: spans,
            positive_buckets: counts
                .iter()
                .scan(0, |last, &n| Some(n as i64 - std::mem::replace(last, n as i64)))
                .collect(),
            ..Histogram::default()
        };
        let h: NativeHistogram = if floats {
            FloatHistogram::clone(&NativeHistogram::from(h).to_float()).into()
        } else {
            h.into()
        };
        if self.random.chance(5) { h.stale_like() } else { h }
    }

    /// A time within the window at which nothing was given to a series, nor deleted.
    pub(crate) fn past_time(&mut self, labels: &Labels) -> Option<i64> {
        let window = self.options.out_of_order_window_ms as u64;
        let t = self.now - 2000 - self.random.below(window * 3 / 4) as i64;
        let is_taken = self.model.given.get(labels).is_some_and(|given| given.contains(&t));
        let is_deleted = self.model.deleted.iter().any(|(mint, maxt)| (*mint..=*maxt).contains(&t));
        (t >= self.model.floor && !is_taken && !is_deleted).then_some(t)
    }

    /// Sometimes an exemplar comes with a sample.
    pub(crate) fn give_exemplar(
        &mut self,
        appender: &mut tsdb::Appender,
        reference: u64,
        series: &Labels,
        t: i64,
    ) {
        if self.options.exemplar_limit == 0 || self.random.chance(80) {
            return;
        }
        let id = format!("{:x}", self.random.bits());
        let labels = Labels::from_pairs([("id", id.as_str())]);
        let given = appender.append_exemplar(reference, series, &tsdb::Exemplar { labels, t, v: 1.5 });
        if self.outcome("exemplar", given).is_some() {
            self.filled.push(Given { series: series.clone(), id, t, safety: None });
        }
    }

    /// Notes the exemplars of a batch; those that are not sure may be there or not.
    pub(crate) fn note_exemplars(&mut self, are_sure: bool) {
        self.totals.exemplars += self.filled.len() as u64;
        let safety = are_sure.then_some(Safety::Logged);
        self.model.exemplars.extend(self.filled.drain(..).map(|e| Given { safety, ..e }));
    }
}
