//! Relabelling rules: those of users, and those by which targets are divided among shards.

use config::prometheus::RelabelConfig;
use crds::prometheus::PrometheusSpec;
use model::relabel::Action;

/// A rule that copies `source` to `target`.
pub(crate) fn copy(source: &str, target: &str) -> RelabelConfig {
    RelabelConfig {
        source_labels: vec![source.to_owned()],
        target_label: Some(target.to_owned()),
        ..RelabelConfig::default()
    }
}

/// A rule that copies `source` to `target` where it is not empty.
pub(crate) fn copy_present(source: &str, target: &str) -> RelabelConfig {
    RelabelConfig {
        regex: Some("(.+)".to_owned()),
        replacement: Some("${1}".to_owned()),
        ..copy(source, target)
    }
}

/// A rule that writes a fixed value.
pub(crate) fn fixed(target: &str, value: &str) -> RelabelConfig {
    RelabelConfig {
        target_label: Some(target.to_owned()),
        replacement: Some(value.to_owned()),
        ..RelabelConfig::default()
    }
}

/// A rule that keeps or drops where the joined sources match.
pub(crate) fn filter(action: Action, sources: &[&str], regex: &str) -> RelabelConfig {
    RelabelConfig {
        action: Some(action),
        source_labels: sources.iter().map(|s| (*s).to_owned()).collect(),
        regex: Some(regex.to_owned()),
        ..RelabelConfig::default()
    }
}

/// The name of a label, as discovery writes it into the names of meta labels.
pub(crate) fn sanitize(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' }).collect()
}

/// Rules of a user, checked; the error names the rule's index.
pub(crate) fn rules(rules: &[crds::scrape::RelabelConfig]) -> Result<Vec<RelabelConfig>, String> {
    rules.iter().enumerate().map(|(i, rule)| convert(rule).map_err(|e| format!("[{i}]: {e}"))).collect()
}

fn convert(rule: &crds::scrape::RelabelConfig) -> Result<RelabelConfig, String> {
    let word = rule.action.as_ref().map_or("replace", |action| &action.0).to_lowercase();
    let action: Action = word.parse().map_err(|_| format!("unknown relabel action {word:?}"))?;
    let converted = RelabelConfig {
        source_labels: rule.source_labels.clone().unwrap_or_default(),
        separator: rule.separator.clone(),
        regex: rule.regex.clone().filter(|regex| !regex.is_empty()),
        modulus: rule.modulus.and_then(|modulus| u64::try_from(modulus).ok()).filter(|modulus| *modulus > 0),
        target_label: rule.target_label.clone().filter(|label| !label.is_empty()),
        replacement: rule.replacement.clone(),
        action: Some(action),
    };
    if action == Action::HashMod && converted.modulus.is_none() {
        return Err("relabel configuration for hashmod requires non-zero modulus".to_owned());
    }
    if let Some(regex) = &converted.regex {
        model::regex::Regex::new(regex)
            .map_err(|e| format!("invalid regex {regex} for relabel configuration: {e}"))?;
    }
    converted.compile(false).map_err(|e| e.to_string())?;
    Ok(converted)
}

/// Number of shards; at least one.
pub(crate) fn shards(spec: &PrometheusSpec) -> u64 {
    u64::try_from(spec.shards.unwrap_or(1)).unwrap_or(0).max(1)
}

/// Appends the rules that keep a target in one shard only. `$(SHARD)` stands for the number of the server's own.
pub(crate) fn shard(spec: &PrometheusSpec, rules: &mut Vec<RelabelConfig>) {
    let count = shards(spec);
    let known: Vec<String> = (0..count).map(|shard| shard.to_string()).collect();
    let replace = Some(Action::Replace);
    rules.push(RelabelConfig { action: replace, ..fixed("__tmp_current_shard", "$(SHARD)") });
    rules.push(filter(Action::Keep, &["__tmp_current_shard"], &known.join("|")));
    rules.push(RelabelConfig {
        source_labels: vec!["__address__".to_owned(), "__tmp_hash".to_owned()],
        target_label: Some("__tmp_hash".to_owned()),
        regex: Some("(.+);".to_owned()),
        replacement: Some("$1".to_owned()),
        action: replace,
        ..RelabelConfig::default()
    });
    rules.push(RelabelConfig {
        modulus: Some(count),
        action: Some(Action::HashMod),
        ..copy("__tmp_hash", "__tmp_hash")
    });
    rules.push(filter(Action::Keep, &["__tmp_hash", "__tmp_disable_sharding"], "$(SHARD);|.+;.+"));
}
