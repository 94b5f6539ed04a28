//! `--enable-feature`: the names that the original knows, and what each of them changes here.

/// What a name of a feature does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    /// It changes what this server does.
    InForce,
    /// It is the default by now, or was given up, in the original too.
    Settled,
    /// It is known, and has no effect yet.
    NotYet,
}

const FEATURES: &[(&str, Effect)] = &[
    ("exemplar-storage", Effect::InForce),
    ("promql-per-step-stats", Effect::InForce),
    ("promql-experimental-functions", Effect::InForce),
    ("promql-delayed-name-removal", Effect::InForce),
    ("promql-extended-range-selectors", Effect::InForce),
    ("promql-binop-fill-modifiers", Effect::InForce),
    ("use-start-timestamps", Effect::InForce),
    ("promql-duration-expr", Effect::Settled),
    ("native-histograms", Effect::Settled),
    ("ooo-native-histograms", Effect::Settled),
    ("memory-snapshot-on-shutdown", Effect::InForce),
    ("fast-startup", Effect::Settled),
    ("extra-scrape-metrics", Effect::NotYet),
    ("metadata-wal-records", Effect::InForce),
    ("auto-reload-config", Effect::NotYet),
    ("concurrent-rule-eval", Effect::NotYet),
    ("created-timestamp-zero-ingestion", Effect::NotYet),
    ("xor2-encoding", Effect::InForce),
    ("histograms-st-encoding", Effect::InForce),
    ("st-synthesis", Effect::NotYet),
    ("st-storage", Effect::InForce),
    ("delayed-compaction", Effect::NotYet),
    ("old-ui", Effect::NotYet),
    ("otlp-deltatocumulative", Effect::NotYet),
    ("otlp-native-delta-ingestion", Effect::NotYet),
    // queries follow it; it is scraping that does not add the labels yet
    ("type-and-unit-labels", Effect::NotYet),
    ("use-uncached-io", Effect::NotYet),
    ("search-api", Effect::NotYet),
];

/// The features that were asked for, as far as queries are concerned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Features {
    /// What the query language has.
    pub(crate) language: promql::Features,
    /// Names are dropped at the end of a query.
    pub(crate) delayed_name_removal: bool,
    /// Rates begin where counters say they began.
    pub(crate) use_start_timestamps: bool,
    /// The label `__type__` says what is a counter.
    pub(crate) type_and_unit_labels: bool,
    /// `stats=all` counts samples step by step.
    pub(crate) per_step_stats: bool,
}

impl Features {
    /// Of the names that the flag was given.
    pub(crate) fn of(names: &[String]) -> Self {
        let has = |name: &str| names.iter().any(|n| n == name);
        Features {
            language: promql::Features {
                experimental_functions: has("promql-experimental-functions"),
                binop_fill_modifiers: has("promql-binop-fill-modifiers"),
                extended_range_selectors: has("promql-extended-range-selectors"),
            },
            delayed_name_removal: has("promql-delayed-name-removal"),
            use_start_timestamps: has("use-start-timestamps"),
            type_and_unit_labels: has("type-and-unit-labels"),
            per_step_stats: has("promql-per-step-stats"),
        }
    }
}

/// The names that change what this server does.
pub(crate) fn in_force() -> impl Iterator<Item = &'static str> {
    FEATURES.iter().filter(|(_, effect)| *effect == Effect::InForce).map(|(name, _)| *name)
}

/// Says which of the names change nothing.
pub(crate) fn report(names: &[String]) {
    for feature in names {
        match FEATURES.iter().find(|(name, _)| name == feature).map(|(_, effect)| effect) {
            Some(Effect::InForce) => {}
            Some(Effect::Settled) => tracing::info!(feature, "this feature needs no flag here"),
            Some(Effect::NotYet) => tracing::warn!(feature, "this feature has no effect yet"),
            None => tracing::warn!(feature, "unknown option for --enable-feature"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_queries_may_do_follows_from_the_names() {
        assert_eq!(Features::of(&[]), Features::default());
        let names = FEATURES.iter().filter(|(_, e)| *e == Effect::InForce).map(|(n, _)| (*n).to_owned());
        let all = Features::of(&names.collect::<Vec<_>>());
        assert_eq!(all.language, promql::Features::all());
        assert!(all.delayed_name_removal && all.use_start_timestamps && all.per_step_stats);
        let one = Features::of(&["promql-binop-fill-modifiers".to_owned()]);
        let language = promql::Features { binop_fill_modifiers: true, ..promql::Features::default() };
        assert_eq!(one, Features { language, ..Features::default() });
    }
}
