//! Relabelling rules as they stand in the file.

pub use model::relabel::Action as RelabelAction;

section! {
    /// One relabelling rule. Unset fields take the defaults of `model::relabel`.
    pub struct RelabelConfig {
        /// Labels whose values are joined.
        source_labels: Vec<String>,
        /// What joins them; `;` where unset.
        separator: Option<String>,
        /// What the joined text must match, anchored; `(.*)` where unset.
        #[serde(deserialize_with = "empty_is_set")]
        regex: Option<String>,
        /// Divisor of `hashmod`.
        modulus: Option<u64>,
        /// Label that is written.
        target_label: Option<String>,
        /// What is written; `$1` where unset.
        replacement: Option<String>,
        /// What is done; `replace` where unset.
        #[serde(deserialize_with = "empty_is_set")]
        action: Option<RelabelAction>,
    }
}

impl RelabelConfig {
    /// The rule, checked and ready to apply; `legacy_names` restricts label names to ASCII letters, digits and underscores.
    ///
    /// # Errors
    /// Where the regex is none, or fields do not go together.
    pub fn compile(&self, legacy_names: bool) -> Result<model::relabel::Config, model::relabel::Error> {
        let defaults = model::relabel::Rule::default();
        model::relabel::Config::new(model::relabel::Rule {
            source_labels: self.source_labels.clone(),
            separator: self.separator.clone().unwrap_or(defaults.separator),
            regex: self.regex.clone().unwrap_or(defaults.regex),
            modulus: self.modulus.unwrap_or(defaults.modulus),
            target_label: self.target_label.clone().unwrap_or(defaults.target_label),
            replacement: self.replacement.clone().unwrap_or(defaults.replacement),
            action: self.action.unwrap_or(defaults.action),
            legacy_names,
        })
    }
}

/// Nothing after `regex:` is the empty expression, not the default one; nothing after `action:` is no action.
fn empty_is_set<'de, D: serde::Deserializer<'de>, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    T: std::str::FromStr<Err: std::fmt::Display>,
{
    use serde::Deserialize as _;
    let text = String::deserialize(deserializer)?;
    text.parse().map(Some).map_err(serde::de::Error::custom)
}
