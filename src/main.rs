//! argv → daemon or client; exit codes.

use std::fmt;
#[cfg(not(panic = "immediate-abort"))]
use std::io::{self, Write};
use std::path::Path;

use failover::client::cli::{Command, Exit, Invocation, Stop, parse};
use failover::client::{self, Errand};
use failover::daemon::{self, Failure};
use failover::import;
use failover::linux::file::config_file::{CONFIG_VARIABLE, find_config};
use failover::linux::terminal::{end, note, print};

fn main() -> ! {
    // Programs for routers abort on a panic (cross.toml), so this would only add to their size.
    #[cfg(not(panic = "immediate-abort"))]
    std::panic::set_hook(Box::new(|bug| {
        let _ = writeln!(io::stderr(), "failover: a bug, please report it: {bug}");
        std::process::exit(Exit::Bug as i32);
    }));
    let parsed = parse(std::env::args_os().skip(1));
    let exit = match &parsed {
        Ok(invocation) => act(invocation),
        Err(Stop { text, exit }) => {
            match exit {
                Exit::Ok => drop(print(text)),
                _ => note(text),
            }
            *exit
        }
    };
    end(exit as i32)
}

fn act(invocation: &Invocation) -> Exit {
    // These need no configuration.
    match &invocation.command {
        Command::Version => return client::version(),
        Command::ImportMwan3(file) => return import::run(file),
        _ => {}
    }
    if let Some(file) = &invocation.config {
        client::hint::repeat_config(file);
    }
    let variable = std::env::var_os(CONFIG_VARIABLE);
    let file = find_config(invocation.config.as_deref(), variable);
    if let Command::WithoutProvider(command) = invocation.command {
        return client::without_provider(command, file.as_deref());
    }
    let Some(file) = file.or_else(|| client::without_config(&invocation.command)) else {
        return client::no_config();
    };
    match &invocation.command {
        Command::Run {
            foreground,
            last_good,
        } => run(&file, last_good.as_deref(), *foreground),
        Command::Check => client::check(&file),
        Command::Status {
            shape,
            watch,
            connections,
        } => client::status(&file, *shape, *watch, *connections),
        Command::Use(provider) => client::pin(&file, provider.as_deref()),
        Command::Disable(provider) => client::disable(&file, provider),
        Command::Enable(provider) => client::enable(&file, provider),
        Command::Reload => client::reload(&file),
        Command::Refresh(interface) => client::refresh(&file, interface.as_deref()),
        Command::Log { follow } => client::log(&file, *follow),
        Command::Metrics => client::metrics(&file),
        Command::Routes => client::routes(&file),
        Command::Explain(provider) => client::explain(&file, provider.as_deref()),
        Command::Probe {
            provider,
            check,
            count,
            interval,
        } => client::probe(
            &file,
            &Errand {
                provider,
                check: check.as_deref(),
                count: *count,
                interval: *interval,
            },
        ),
        Command::ImportMwan3(_) | Command::WithoutProvider(_) | Command::Version => Exit::Bug, // done above
    }
}

/// Runs the daemon. Why it stops is written to stderr, and to the log.
fn run(file: &Path, last_good: Option<&Path>, foreground: bool) -> Exit {
    let say = |what: fmt::Arguments<'_>| {
        note(&format!("{what}\n"));
    };
    let Err(failure) = daemon::run(file, last_good, foreground, &mut |problem| say(problem)) else {
        return Exit::Ok;
    };
    say(format_args!("failover: {failure}"));
    match failure {
        Failure::Configuration(_) | Failure::Unreadable(_) => Exit::BadConfig,
        Failure::NotPermitted(_) => Exit::NotPermitted,
        Failure::Unavailable(_) => Exit::NoDaemon,
    }
}
