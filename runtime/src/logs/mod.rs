//! Logs: one line an event, logfmt or JSON, to standard error.

mod queue;

use queue::Queue;
use std::fmt::Write as _;
use std::io;
use std::sync::OnceLock;
use std::time::Duration;
use tracing::field::{Field, Visit};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// How lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// `time=… level=INFO target=scrape msg="…" key=value`
    #[default]
    Logfmt,
    /// One JSON object a line.
    Json,
}

/// Turns logging on for the process. `level`: debug, info, warn or error.
///
/// # Errors
/// Where the level is none of these, or logging is on already.
pub fn init(level: &str, format: Format) -> Result<(), String> {
    if !["debug", "info", "warn", "error"].contains(&level) {
        return Err(format!("unrecognized log level {level:?}: debug, info, warn or error"));
    }
    // libraries speak up only from warnings on: their debug lines are of no use to who runs Pharos
    let filter = format!(
        "warn,pharos={level},server={level},agent={level},operator={level},scrape={level},discovery={level},\
         tsdb={level},promql={level},runtime={level},config={level}"
    );
    let queue = Queue::start(io::stderr(), move |dropped| {
        let (now, why) = (jiff::Timestamp::now(), "nobody read the log");
        match format {
            Format::Logfmt => format!(
                "time={now:.3} level=WARN source={} msg=\"log lines dropped\" dropped={dropped} why={why:?}\n",
                module_path!()
            ),
            Format::Json => format!(
                "{{\"time\":\"{now:.3}\",\"level\":\"WARN\",\"source\":{:?},\"msg\":\"log lines dropped\",\"dropped\":{dropped},\"why\":{why:?}}}\n",
                module_path!()
            ),
        }
    });
    let queue = queue.map_err(|e| format!("cannot start the thread that writes the log: {e}"))?;
    if QUEUE.set(queue).is_err() {
        return Err("logging is on already".to_owned());
    }
    flush_on_panic();
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::new(filter))
        .with_writer(|| ToQueue)
        // where nobody reads the log any more, saying so there would end the process
        .log_internal_errors(false)
        .event_format(Lines(format))
        .try_init()
        .map_err(|e| e.to_string())
}

/// The process's log.
static QUEUE: OnceLock<Queue> = OnceLock::new();

/// Puts whole lines into the queue: what the formatter makes of one event is written at once.
struct ToQueue;

impl io::Write for ToQueue {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if let Some(queue) = QUEUE.get() {
            queue.put(line);
        }
        Ok(line.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The end of the process waits so long for a reader of the log.
const LAST_PATIENCE: Duration = Duration::from_secs(2);

/// Waits until all lines are written, for two seconds at most: to be called before the process ends.
pub fn flush() {
    if let Some(queue) = QUEUE.get() {
        queue.flush(LAST_PATIENCE);
    }
}

/// Lines that were dropped since the start, as nobody read the log.
pub fn dropped() -> u64 {
    QUEUE.get().map_or(0, Queue::dropped)
}

/// A panic may end the process: what led to it is written before.
fn flush_on_panic() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        flush();
        before(info);
    }));
}

struct Lines(Format);

impl<S, N> FormatEvent<S, N> for Lines
where
    S: tracing::Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut out: Writer<'_>,
        event: &tracing::Event<'_>,
    ) -> std::fmt::Result {
        let now = jiff::Timestamp::now();
        let meta = event.metadata();
        let mut fields = Fields { format: self.0, message: String::new(), rest: String::new() };
        event.record(&mut fields);
        match self.0 {
            Format::Logfmt => writeln!(
                out,
                "time={now:.3} level={} source={} msg={}{}",
                meta.level(),
                meta.target(),
                logfmt(&fields.message),
                fields.rest
            ),
            Format::Json => writeln!(
                out,
                r#"{{"time":"{now:.3}","level":"{}","source":{},"msg":{}{}}}"#,
                meta.level(),
                json(meta.target()),
                json(&fields.message),
                fields.rest
            ),
        }
    }
}

struct Fields {
    format: Format,
    message: String,
    rest: String,
}

impl Fields {
    fn add(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            value.clone_into(&mut self.message);
            return;
        }
        let _ = match self.format {
            Format::Logfmt => write!(self.rest, " {}={}", field.name(), logfmt(value)),
            Format::Json => write!(self.rest, ",{}:{}", json(field.name()), json(value)),
        };
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.add(field, &format!("{value:?}"));
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, value);
    }
}

fn logfmt(value: &str) -> String {
    let plain = !value.is_empty() && value.bytes().all(|b| b > b' ' && b != b'"' && b != b'=' && b < 0x7f);
    if plain { value.to_owned() } else { format!("{value:?}") }
}

fn json(value: &str) -> String {
    let mut out = String::from("\"");
    for c in value.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if (c as u32) < 0x20 => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
