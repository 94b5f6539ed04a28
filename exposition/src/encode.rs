//! Writes the text format 0.0.4, family by family.

use std::fmt::Write as _;

/// Content type of what [`TextEncoder`] writes.
pub const TEXT_CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum MetricType {
    Counter,
    Gauge,
    Histogram,
    GaugeHistogram,
    Summary,
    Info,
    Stateset,
    Unknown,
}

impl MetricType {
    /// The word after `# TYPE`.
    pub fn as_str(self) -> &'static str {
        match self {
            MetricType::Counter => "counter",
            MetricType::Gauge => "gauge",
            MetricType::Histogram => "histogram",
            MetricType::GaugeHistogram => "gaugehistogram",
            MetricType::Summary => "summary",
            MetricType::Info => "info",
            MetricType::Stateset => "stateset",
            MetricType::Unknown => "untyped",
        }
    }
}

/// Appends lines to a buffer; the caller gives families in the order it wants, each with all its samples.
#[derive(Debug, Default)]
pub struct TextEncoder {
    out: String,
}

impl TextEncoder {
    /// An encoder that continues a buffer (to reuse its memory).
    pub fn new(out: String) -> Self {
        TextEncoder { out }
    }

    /// Begins a family.
    pub fn family(&mut self, name: &str, help: &str, kind: MetricType) {
        let _ = write!(self.out, "# HELP {name} ");
        escape(&mut self.out, help, false);
        let _ = write!(self.out, "\n# TYPE {name} {}\n", kind.as_str());
    }

    /// A sample; `timestamp` in milliseconds, where the source has one.
    pub fn sample<'a>(
        &mut self,
        name: &str,
        labels: impl IntoIterator<Item = (&'a str, &'a str)>,
        value: f64,
        timestamp: Option<i64>,
    ) {
        self.out.push_str(name);
        let mut open = false;
        for (label, text) in labels {
            self.out.push(if open { ',' } else { '{' });
            open = true;
            self.out.push_str(label);
            self.out.push_str("=\"");
            escape(&mut self.out, text, true);
            self.out.push('"');
        }
        if open {
            self.out.push('}');
        }
        self.out.push(' ');
        push_value(&mut self.out, value);
        if let Some(t) = timestamp {
            self.out.push(' ');
            self.out.push_str(itoa::Buffer::new().format(t));
        }
        self.out.push('\n');
    }

    /// The text so far.
    pub fn finish(self) -> String {
        self.out
    }
}

fn push_value(out: &mut String, value: f64) {
    // whole numbers are most of what is exposed: an integer's form is the shortest there
    if value.fract() == 0.0 && value.abs() < 1e15 && (value != 0.0 || value.is_sign_positive()) {
        out.push_str(itoa::Buffer::new().format(value as i64));
    } else {
        out.push_str(&model::float::format_general(value));
    }
}

fn escape(out: &mut String, text: &str, quotes: bool) {
    if !text.bytes().any(|b| b == b'\\' || b == b'\n' || b == b'"') {
        out.push_str(text);
        return;
    }
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '"' if quotes => out.push_str("\\\""),
            c => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_a_family() {
        let mut e = TextEncoder::default();
        e.family("x_total", "A \"help\"\nof two lines.", MetricType::Counter);
        e.sample("x_total", [("a", "q\"\\\n"), ("b", "")], 1e6, None);
        e.sample("x_total", [], 0.25, Some(1234));
        assert_eq!(
            e.finish(),
            "# HELP x_total A \"help\"\\nof two lines.\n# TYPE x_total counter\nx_total{a=\"q\\\"\\\\\\n\",b=\"\"} 1000000\nx_total 0.25 1234\n"
        );
    }
}
