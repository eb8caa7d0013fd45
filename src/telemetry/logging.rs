//! How log lines look: for a terminal, for the journal, or as JSON.

use std::fmt;
use std::io::IsTerminal as _;

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::{Compact, Format, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum LogFormat {
    #[default]
    Text,
    Json,
}

/// Starts logging to standard error, of this crate from `level` on. `RUST_LOG` overrules it all.
pub fn start(format: LogFormat, level: Level, journal: bool) {
    // The AWS chain warns about each source of credentials or region that it tries in vain.
    let directives = format!("warn,aws_config=error,edge_agent={level}");
    // An empty one is none: compose files have `${RUST_LOG:-}`.
    let given = std::env::var("RUST_LOG").ok().filter(|given| !given.trim().is_empty());
    let filter = given.and_then(|given| EnvFilter::try_new(given).ok());
    let filter = filter.unwrap_or_else(|| EnvFilter::new(directives));
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        // They go to standard error with a panic: a closed terminal or a full disk would end what logs.
        .log_internal_errors(false)
        .with_ansi(std::io::stderr().is_terminal());
    match format {
        LogFormat::Json => {
            lines.json().flatten_event(true).with_current_span(true).with_span_list(false).init()
        }
        LogFormat::Text if journal => lines.with_ansi(false).event_format(Journal::default()).init(),
        LogFormat::Text => lines.compact().with_target(false).init(),
    }
}

/// The journal stamps lines itself and reads their level from a `<N>` in front (sd-daemon(3)).
struct Journal(Format<Compact, ()>);

impl Default for Journal {
    fn default() -> Self {
        Self(Format::default().compact().without_time().with_level(false).with_target(false).with_ansi(false))
    }
}

impl<S, N> FormatEvent<S, N> for Journal
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        ctx: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let priority = match *event.metadata().level() {
            Level::ERROR => 3,
            Level::WARN => 4,
            Level::INFO => 6,
            Level::DEBUG | Level::TRACE => 7,
        };
        write!(writer, "<{priority}>")?;
        self.0.format_event(ctx, writer, event)
    }
}
