//! `check`: the problems of a configuration, and what this machine lacks for it.

use std::fs;
use std::io::{self, Write};
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::cli::Exit;
use super::{print, text, unreadable};
use crate::config::{Config, Globals, Provider};
use crate::limits::{COMMAND_MAX, SECTIONS_MAX};
use crate::linux::file::config_file::{load_config, read};
use crate::linux::file::sticky::{self, Pinned};
use crate::linux::file::table_names;
use crate::linux::netlink::Requests;
use crate::option::Severity;
use crate::routing::mirror::{Kinds, Mirror, Named};
use crate::uci::Index;

/// `check`
pub fn check(file: &Path) -> Exit {
    let name = file.display();
    let mut complaints = String::new();
    let mut warnings = 0;
    let mut config = Box::new(Config::new());
    let result = load_config(file, &mut config, &mut |problem| {
        warnings += usize::from(problem.severity == Severity::Warning);
        complaints.push_str(&format!("{name}:{problem}\n"));
    });
    let mut errors = 0;
    if matches!(result, Ok(0)) {
        let of_netifd = of_netifd(&config, file);
        errors = report_own(&config, file, of_netifd.is_none(), &mut complaints);
        let complaints_of_here = [
            of_netifd,
            of_group(&config, file),
            of_hooks(&config, file),
            of_pin(&config),
        ];
        for complaint in complaints_of_here.into_iter().flatten() {
            warnings += 1;
            complaints.push_str(&complaint);
        }
    }
    let _ = io::stderr().write_all(complaints.as_bytes());
    let verdict = match (result, warnings) {
        (Err(error), _) => return unreadable(&error),
        (Ok(1..), _) => return Exit::BadConfig,
        _ if errors != 0 => return Exit::BadConfig,
        (Ok(0), 0) => "is fine".to_owned(),
        (Ok(0), _) => format!("can be used, with {}", counted(warnings, "warning")),
    };
    let off = match config.globals.enabled {
        true => "",
        false => {
            "; but option enabled is '0' in section globals: with that the daemon does not run"
        }
    };
    print(&format!(
        "{name} {verdict}: {}, {}{off}\n",
        counted(config.providers.len(), "provider"),
        counted(config.checks.len(), "check")
    ))
}

/// Reports targets and gateways that are addresses of this machine, if it is the router; how many there are.
fn report_own(config: &Config, file: &Path, netifd: bool, complaints: &mut String) -> usize {
    let Ok(mut requests) = Requests::open() else {
        return 0;
    };
    if !is_router(config, netifd, &mut requests) {
        return 0;
    }
    let mut errors = 0;
    let mut report = |option: &str, host: Option<IpAddr>| {
        let Some(host) = host.filter(|host| requests.is_own(*host)) else {
            return;
        };
        let host = host.to_string();
        let (option, line) = match line_of(file, option, &host) {
            None if option == "target" => ("resolver", line_of(file, "resolver", &host)),
            line => (option, line),
        };
        let (name, line) = (file.display(), line.unwrap_or(1));
        complaints.push_str(&format!(
            "{name}:{line}: {option} '{host}' is an address of this router: expected another host's\n"
        ));
        errors += 1;
    };
    for check in &config.checks {
        report("target", check.asked());
    }
    for provider in config.enabled() {
        report("gateway", provider.gateway.v4);
        report("gateway", provider.gateway.v6);
    }
    errors
}

/// Whether the configuration is for this machine: it has a provider's device, or netifd, which an interface needs.
fn is_router(config: &Config, netifd: bool, requests: &mut Requests) -> bool {
    let mut mirror = Box::new(Mirror::new());
    mirror.watch(&|name| {
        for provider in config.enabled() {
            name(Named::Device(provider.device.v4.clone()));
            name(Named::Device(provider.device.v6.clone()));
        }
    });
    let _ = requests.dump(&mut mirror, Kinds::LINKS); // what is not shown is not here
    let is_here = |provider: &Provider| match provider.interfaces.is_empty() {
        true => !mirror.links().is_empty(),
        false => netifd,
    };
    config.enabled().any(is_here)
}

/// Warns of a sticky file that the daemon will ignore, because it names no configured provider.
fn of_pin(config: &Config) -> Option<String> {
    let sticky_file = &config.globals.sticky_file;
    let what = match sticky::look(Path::new(sticky_file.as_str())) {
        Pinned::None => return None,
        Pinned::Provider(id) => config.usable(&id).err()?.to_string(),
        Pinned::Invalid(what) => what,
    };
    let what = text::plain(&what);
    Some(format!("{sticky_file}:1: warning: {what}\n"))
}

/// Warns of an interface on a machine without netifd.
fn of_netifd(config: &Config, file: &Path) -> Option<String> {
    let interface = config
        .enabled()
        .find_map(|provider| provider.interfaces.first());
    let interface = interface.filter(|_| !is_installed("ubus"))?;
    let line = line_of(file, "interface", interface).unwrap_or(1);
    Some(format!(
        "{}:{line}: warning: interface '{interface}': this machine has no netifd (there is no `ubus`): here, write option device with the kernel's device, as 'eth1'\n",
        file.display()
    ))
}

/// Warns of a group that this machine does not have.
fn of_group(config: &Config, file: &Path) -> Option<String> {
    let group = &config.globals.control_group;
    (!group.is_empty() && table_names::group(group).is_none()).then(|| {
        let line = line_of(file, "control_group", group).unwrap_or(1);
        format!(
            "{}:{line}: warning: control_group '{group}': there is no such group, so that only root may ask: `groupadd {group}`, or name another\n",
            file.display()
        )
    })
}

/// Warns of hooks that cannot be run. The default directory may be missing.
fn of_hooks(config: &Config, file: &Path) -> Option<String> {
    let directory = &config.globals.hooks_dir;
    let warning = |line, what: &str| Some(format!("{}:{line}: warning: {what}\n", file.display()));
    let usual = *directory == Globals::default().hooks_dir;
    let line = line_of(file, "hooks_dir", directory).filter(|_| !usual);
    let Ok(entries) = fs::read_dir(directory.as_str()) else {
        return warning(
            line?,
            &format!("hooks_dir '{directory}' cannot be read: no hook is run"),
        );
    };
    let idle = entries.flatten().find(|entry| {
        let found = fs::metadata(entry.path());
        found.is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 == 0)
    })?;
    let path = idle.path();
    let path = text::plain(&path.to_string_lossy());
    warning(
        line.unwrap_or(1),
        &format!("{path} is not executable, so that it is not run: `chmod +x {path}`"),
    )
}

/// Whether a program is found in `PATH`. Assumed true if `PATH` is not set.
fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH");
    path.is_none_or(|path| std::env::split_paths(&path).any(|place| place.join(program).is_file()))
}

/// The line of an option with this word in its value.
fn line_of(file: &Path, option: &str, wanted: &str) -> Option<u32> {
    let text = read(file).ok()?;
    let index = Index::<SECTIONS_MAX>::read(&text, &mut |_| {});
    let settings = index.sections().filter_map(|section| section.get(option));
    let (_, line) = settings
        .flat_map(|setting| setting.values())
        .find(|(value, _)| {
            let value = value.text::<COMMAND_MAX>().unwrap_or_default();
            value.split_ascii_whitespace().any(|word| word == wanted)
        })?;
    Some(line)
}

fn counted(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}
