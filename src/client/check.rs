//! `check`: the problems of a configuration, and what this machine lacks for it.

use std::fs;
use std::io::{self, Write};
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::cli::Exit;
use super::{print, text, unreadable};
use crate::config::{Check, Config, Globals, Provider};
use crate::limits::{COMMAND_MAX, SECTIONS_MAX};
use crate::linux::file::config_file::{load_config, read};
use crate::linux::file::sticky::{self, Pinned};
use crate::linux::file::table_names;
use crate::linux::netlink::Requests;
use crate::option::Severity;
use crate::routing::mirror::{Kinds, Mirror, Named};
use crate::types::Family;
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
        for error in of_own(&config, file) {
            errors += 1;
            complaints.push_str(&error);
        }
        let complaints_of_here = [
            of_netifd(&config, file),
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

/// The errors of targets and gateways that are addresses of this machine. Only where it is the router: it has netifd, which
/// an interface needs, or the device of a provider.
fn of_own(config: &Config, file: &Path) -> Vec<String> {
    let Ok(mut requests) = Requests::open() else {
        return Vec::new();
    };
    if !is_router(config, &mut requests) {
        return Vec::new();
    }
    let targets = config.checks.iter().filter_map(Check::asked);
    let gateways = config.enabled().flat_map(|provider| {
        let gateways = Family::ALL.map(|family| provider.gateway[family]);
        gateways.into_iter().flatten()
    });
    let hosts = targets.map(|host| (["target", "resolver"], host));
    let hosts = hosts.chain(gateways.map(|host| (["gateway"; 2], host)));
    let own = hosts.filter(|(_, host)| requests.is_own(*host));
    let error = |(options, host): ([&str; 2], IpAddr)| {
        let host = host.to_string();
        let place = |option| line_of(file, option, &host).map(|line| (option, line));
        let place = options.into_iter().find_map(place);
        let (option, line) = place.unwrap_or((options[0], 1));
        format!(
            "{}:{line}: {option} '{host}' is an address of this router: expected another host's\n",
            file.display()
        )
    };
    own.map(error).collect()
}

/// Whether a provider's device is here, or the program that knows its interfaces.
fn is_router(config: &Config, requests: &mut Requests) -> bool {
    let names = || {
        let names =
            |provider: &'_ Provider| Family::ALL.map(|family| provider.device[family].clone());
        config
            .enabled()
            .flat_map(names)
            .filter(|name| !name.is_empty())
    };
    let mut mirror = Box::new(Mirror::new());
    mirror.watch(&|name| names().for_each(|device| name(Named::Device(device))));
    let is_known = requests.dump(&mut mirror, Kinds::LINKS).is_ok();
    let by_netifd = config.enabled().any(|p| !p.interfaces.is_empty()) && is_installed("ubus");
    by_netifd || is_known && names().any(|name| mirror.link_named(&name).is_some())
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
