//! A command line as the original's users write it: `--no-X` beside each switch, its further forms of help, and all values as text.

use super::unused::HEADING;
use super::{Bytes, Millis, Options};
use clap::{Arg, ArgAction, ArgMatches, Command, CommandFactory as _, FromArgMatches as _};
use std::any::TypeId;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Switches of the original that are on unless `--no-X` is given.
const ON_BY_DEFAULT: [&str; 6] = [
    "alertmanager.drain-notification-queue-on-shutdown",
    "auto-gomaxprocs",
    "auto-gomemlimit",
    "scrape.adjust-timestamps",
    "storage.tsdb.allow-overlapping-compaction",
    "storage.tsdb.wal-compression",
];
/// The flag that asks for a page of the manual.
const MANUAL: &str = "help-man";

/// A parsed command line: the options, and every flag's value as text.
#[derive(Clone, Debug)]
pub struct CommandLine {
    /// The options.
    pub options: Options,
    /// Flag (without dashes) to value, for `/api/v1/status/flags`.
    pub flags: BTreeMap<String, String>,
    /// Flags that were given and have no effect.
    pub without_effect: Vec<String>,
}

#[derive(clap::Parser)]
#[command(name = "pharos server")]
struct Standalone {
    #[command(flatten)]
    options: Options,
}

impl CommandLine {
    /// A command with the server's flags, completed by what the original takes beside them: `--no-X` for each switch, `--help-long` and
    /// `--help-man`.
    pub fn complete(command: Command) -> Command {
        let switches: Vec<(clap::Id, String)> = command
            .get_arguments()
            .filter(|arg| matches!(arg.get_action(), ArgAction::SetTrue))
            .filter_map(|arg| Some((arg.get_id().clone(), arg.get_long()?.to_owned())))
            .collect();
        let has = |name: &str| switches.iter().any(|(_, long)| long == name);
        // what is added stands under no heading, least of all under that of the last flags
        let mut command = command.mut_args(name_value).next_help_heading(None::<&'static str>);
        for (id, long) in &switches {
            let own = id.clone();
            // given twice counts once
            command = command.mut_arg(id, |arg| arg.overrides_with(own));
            let negation = format!("no-{long}");
            if !long.starts_with("no-") && !has(&negation) {
                // names of flags live as long as the program
                let negation: &'static str = negation.leak();
                let arg = Arg::new(negation).long(negation).action(ArgAction::SetTrue);
                command =
                    command.arg(arg.hide(true).overrides_with_all([id.as_str(), negation].map(clap_id)));
            }
        }
        command
            .arg(Arg::new("help-long").long("help-long").action(ArgAction::HelpLong).hide(true))
            .arg(Arg::new(MANUAL).long(MANUAL).action(ArgAction::SetTrue).hide(true))
            .after_help(after_help())
    }

    /// A page of the manual, where the command line asks for that alone.
    pub fn manual(command: &Command, matches: &ArgMatches) -> Option<String> {
        matches.get_flag(MANUAL).then(|| manual(command))
    }

    /// Reads the options out of parsed arguments; `command` is the clap command they were parsed by, [completed](Self::complete).
    ///
    /// # Errors
    /// Where the matches are of another command.
    pub fn from_matches(command: &Command, matches: &ArgMatches) -> Result<Self, clap::Error> {
        let options = Options::from_arg_matches(matches)?;
        let mut flags = BTreeMap::new();
        let mut without_effect = Vec::new();
        let mut switched_off = Vec::new();
        for arg in command.get_arguments() {
            let (Some(long), id) = (arg.get_long(), arg.get_id().as_str()) else { continue };
            if long.starts_with("help") || long == "version" || matches.try_contains_id(id).is_err() {
                continue;
            }
            let given = matches.value_source(id) == Some(clap::parser::ValueSource::CommandLine);
            if given && arg.get_help_heading() == Some(HEADING) {
                without_effect.push(format!("--{long}"));
            }
            // The negation of a switch is no flag of its own.
            match long.strip_prefix("no-") {
                Some(switch) if matches.get_flag(id) => switched_off.push(switch),
                Some(_) => {}
                None => _ = flags.insert(long.to_owned(), value(matches, arg)),
            }
        }
        for name in ON_BY_DEFAULT {
            flags.insert(name.to_owned(), (!switched_off.contains(&name)).to_string());
        }
        options.tell(&mut flags);
        Ok(CommandLine { options, flags, without_effect })
    }

    /// Reads a command line of its own, without the program's name.
    ///
    /// # Errors
    /// Where a flag is unknown or its value wrong; the text says which.
    pub fn parse<S: Into<std::ffi::OsString> + Clone>(
        args: impl IntoIterator<Item = S>,
    ) -> Result<Self, clap::Error> {
        let command = CommandLine::complete(Standalone::command());
        let program = std::iter::once(std::ffi::OsString::from("pharos server"));
        let matches =
            command.clone().try_get_matches_from(program.chain(args.into_iter().map(Into::into)))?;
        CommandLine::from_matches(&command, &matches)
    }
}

fn clap_id(name: &str) -> clap::Id {
    clap::Id::from(name.to_owned().leak() as &'static str)
}

/// Says in the help what kind of value a flag takes.
fn name_value(arg: Arg) -> Arg {
    let kind = arg.get_value_parser().type_id();
    let is = |kinds: &[TypeId]| kinds.iter().any(|of| kind == *of);
    let name = match () {
        () if !arg.get_action().takes_values() => return arg,
        () if is(&[TypeId::of::<Millis>()]) => "DURATION",
        () if is(&[TypeId::of::<Bytes>()]) => "SIZE",
        () if is(&[TypeId::of::<PathBuf>()]) => "PATH",
        () if is(&[TypeId::of::<usize>(), TypeId::of::<u16>(), TypeId::of::<i64>(), TypeId::of::<f64>()]) => {
            "NUMBER"
        }
        () => return arg,
    };
    arg.value_name(name)
}

/// A flag's value as text, in one form: `1m` also where `60s` was given.
fn value(matches: &ArgMatches, arg: &Arg) -> String {
    let id = arg.get_id().as_str();
    if let Ok(Some(time)) = matches.try_get_one::<Millis>(id) {
        return model::duration::format_ms(time.0);
    }
    if let Ok(Some(size)) = matches.try_get_one::<Bytes>(id) {
        return config::Size::from_bytes(size.0).to_string();
    }
    let values = matches.get_raw(id).into_iter().flatten();
    values.map(|v| v.to_string_lossy()).collect::<Vec<_>>().join(",")
}

fn after_help() -> String {
    let features: Vec<&str> = crate::features::in_force().collect();
    format!(
        "DURATION is written 90s, 5m, 1h30m or 15d; SIZE 512MB or 1GiB, in powers of 1024 either way.\n\
         Each switch has a --no-… that takes it back.\n\nFeatures with an effect: {}.",
        features.join(", ")
    )
}

/// The flags as a page of the manual, in the macros of man(7).
fn manual(command: &Command) -> String {
    let plain = |text: &str| text.replace('\\', "\\e").replace('-', "\\-").replace("\n.", "\n\\&.");
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    let mut page = format!(
        ".TH PHAROS\\-SERVER 1 \"\" \"pharos {}\"\n.SH NAME\npharos server \\- {}\n\
         .SH SYNOPSIS\n.B pharos server\n[OPTIONS]\n.SH OPTIONS\n",
        env!("CARGO_PKG_VERSION"),
        plain(&about)
    );
    for arg in command.get_arguments().filter(|arg| !arg.is_hide_set()) {
        let Some(long) = arg.get_long() else { continue };
        let names = arg.get_value_names().filter(|_| arg.get_action().takes_values()).unwrap_or_default();
        let names: String = names.iter().map(|name| format!(" \\fI{name}\\fR")).collect();
        let help = arg.get_long_help().or(arg.get_help()).map(ToString::to_string).unwrap_or_default();
        page += &format!(".TP\n\\fB\\-\\-{}\\fR{names}\n{}", plain(long), plain(&help));
        if arg.get_help_heading() == Some(HEADING) {
            page += " (Without effect yet.)";
        }
        let defaults = arg.get_default_values().iter().map(|v| v.to_string_lossy()).collect::<Vec<_>>();
        if arg.get_action().takes_values() && !arg.is_hide_default_value_set() && !defaults.is_empty() {
            page += &plain(&format!(" [default: {}]", defaults.join(",")));
        }
        page.push('\n');
    }
    page + ".SH NOTES\n" + &plain(&after_help()) + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_listed_and_those_without_effect_named() {
        let line = CommandLine::parse([
            "--web.enable-lifecycle",
            "--web.user-assets=x",
            "--web.external-url=http://h/p/",
        ])
        .unwrap();
        assert!(line.options.web_enable_lifecycle);
        assert_eq!(line.options.route_prefix(), "/p");
        assert_eq!(line.without_effect, ["--web.user-assets"]);
        assert_eq!(
            (line.flags["query.timeout"].as_str(), line.flags["web.enable-lifecycle"].as_str()),
            ("2m", "true")
        );
        assert_eq!(line.flags["storage.tsdb.max-block-duration"], "1d12h");
        assert_eq!(line.flags["storage.tsdb.wal-compression"], "true");
        assert!(!line.flags.contains_key("no-storage.tsdb.wal-compression"));
        let line = CommandLine::parse(["--no-storage.tsdb.wal-compression"]).unwrap();
        assert_eq!(line.flags["storage.tsdb.wal-compression"], "false");
        assert!(CommandLine::parse(["--no-such-flag"]).is_err());
    }

    #[test]
    fn each_switch_can_be_taken_back() {
        for switch in [
            "agent",
            "web.enable-lifecycle",
            "web.enable-admin-api",
            "web.enable-remote-write-receiver",
            "web.enable-otlp-receiver",
            "config.auto-reload",
            "storage.tsdb.no-lockfile",
            "storage.tsdb.no-compaction",
        ] {
            let value = |args: &[&str]| {
                let line = CommandLine::parse(args).unwrap();
                let mut given = args.iter().filter(|arg| line.without_effect.iter().any(|flag| flag == *arg));
                assert!(given.all(|arg| !arg.starts_with("--no-")), "{:?}", line.without_effect);
                assert!(!line.flags.keys().any(|name| name.starts_with("no-") || name.starts_with("help")));
                line.flags[switch].clone()
            };
            let (on, off) = (format!("--{switch}"), format!("--no-{switch}"));
            assert_eq!(value(&[]), "false", "{switch}");
            assert_eq!(value(&[&off]), "false", "{switch}");
            assert_eq!(value(&[&on, &on]), "true", "{switch}");
            assert_eq!(value(&[&on, &off]), "false", "{switch}");
            assert_eq!(value(&[&off, &on]), "true", "{switch}");
        }
        for switch in ON_BY_DEFAULT {
            let value = |args: &[String]| CommandLine::parse(args).unwrap().flags[switch].clone();
            let (on, off) = (format!("--{switch}"), format!("--no-{switch}"));
            assert_eq!(value(&[]), "true", "{switch}");
            assert_eq!(value(std::slice::from_ref(&off)), "false", "{switch}");
            assert_eq!(value(&[off, on]), "true", "{switch}");
        }
        let line = CommandLine::parse(["--web.enable-lifecycle", "--no-web.enable-lifecycle"]).unwrap();
        assert!(!line.options.web_enable_lifecycle);
    }

    #[test]
    fn values_stand_in_one_form() {
        let line = CommandLine::parse([
            "--query.timeout=60s",
            "--storage.tsdb.memory-budget=2048MB",
            "--enable-feature=a,b",
            "--enable-feature=c",
        ])
        .unwrap();
        let flag = |name: &str| line.flags[name].as_str();
        assert_eq!((flag("query.timeout"), flag("storage.tsdb.memory-budget")), ("1m", "2GiB"));
        assert_eq!((flag("enable-feature"), flag("web.route-prefix")), ("a,b,c", "/"));
        assert_eq!(
            (flag("storage.tsdb.wal-segment-size"), flag("rules.alert.for-grace-period")),
            ("128MiB", "10m")
        );
        assert!(line.without_effect.is_empty(), "{:?}", line.without_effect);
    }

    #[test]
    fn a_mode_that_is_not_there_is_refused_by_name() {
        let line = CommandLine::parse(["--agent"]).unwrap();
        assert!(line.options.check_mode().unwrap_err().to_string().starts_with("--agent: "));
        CommandLine::parse(["--no-agent"]).unwrap().options.check_mode().unwrap();
    }

    #[test]
    fn the_manual_has_all_flags_that_can_be_seen() {
        let command = CommandLine::complete(Standalone::command());
        let matches = command.clone().get_matches_from(["pharos server", "--help-man"]);
        let page = CommandLine::manual(&command, &matches).unwrap();
        for part in
            ["\\-\\-query.timeout\\fR \\fIDURATION", "[default: 2m]", "exemplar\\-storage", ".SH NOTES"]
        {
            assert!(page.contains(part), "{part}: {page}");
        }
        assert!(!page.contains("auto\\-gomaxprocs"));
    }
}
