//! Relabelling rules as they stand in the file.

section! {
    /// One relabelling rule. Unset fields take the defaults of `model::relabel`.
    pub struct RelabelConfig {
        /// Labels whose values are joined.
        source_labels: Vec<String>,
        /// What joins them; `;` where unset.
        separator: Option<String>,
        /// What the joined text must match, anchored; `(.*)` where unset.
        regex: Option<String>,
        /// Divisor of `hashmod`.
        modulus: Option<u64>,
        /// Label that is written.
        target_label: Option<String>,
        /// What is written; `$1` where unset.
        replacement: Option<String>,
        /// What is done; `replace` where unset.
        action: Option<RelabelAction>,
    }
}

words! {
    /// What a rule does.
    pub enum RelabelAction {
        Replace = "replace",
        Keep = "keep",
        Drop = "drop",
        KeepEqual = "keepequal",
        DropEqual = "dropequal",
        HashMod = "hashmod",
        LabelMap = "labelmap",
        LabelDrop = "labeldrop",
        LabelKeep = "labelkeep",
        Lowercase = "lowercase",
        Uppercase = "uppercase",
    }
}
