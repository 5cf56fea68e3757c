//! `check`: the problems of a configuration, and what this machine lacks for it.

use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::{fmt, fs};

use super::cli::Exit;
use super::{look, print, text, unreadable};
use crate::config::{Config, Globals, Provider};
use crate::limits::{COMMAND_MAX, SECTIONS_MAX};
use crate::linux::file::config_file::{load_config, read};
use crate::linux::file::listing::files;
use crate::linux::file::sticky::{self, Pinned};
use crate::linux::file::table_names;
use crate::linux::netlink::Requests;
use crate::linux::process::ubus::{Interfaces, PATIENCE};
use crate::linux::{sysctl, terminal};
use crate::option::Severity;
use crate::routing::mirror::{EachNamed, Kinds, Named};
use crate::types::{Family, InterfaceName};
use crate::uci::Index;

/// What is wrong with a configuration, one line each.
struct Complaints<'a> {
    file: &'a Path,
    text: String,
    warnings: usize,
}

impl Complaints<'_> {
    /// Adds a warning of a line; without one, of the first.
    fn warn(&mut self, line: Option<u32>, what: fmt::Arguments<'_>) {
        self.warn_in(self.file, line, what);
    }

    fn warn_in(&mut self, file: &Path, line: Option<u32>, what: fmt::Arguments<'_>) {
        let (file, line) = (file.display(), line.unwrap_or(1));
        self.add(format_args!("{file}:{line}: warning: {what}"));
        self.warnings += 1;
    }

    fn add(&mut self, line: fmt::Arguments<'_>) {
        self.text += &format!("{line}\n");
    }
}

/// `check`
pub fn check(file: &Path) -> Exit {
    let name = file.display();
    let mut complaints = Complaints {
        file,
        text: String::new(),
        warnings: 0,
    };
    let mut config = Box::new(Config::new());
    let result = load_config(file, &mut config, &mut |problem| {
        complaints.warnings += usize::from(problem.severity == Severity::Warning);
        complaints.add(format_args!("{name}:{problem}"));
    });
    let mut errors = 0;
    if matches!(result, Ok(0)) {
        let without_netifd = without_netifd(&config);
        errors = report_own(&config, without_netifd.is_none(), &mut complaints);
        if let Some(interface) = without_netifd {
            let line = line_of(file, "interface", interface);
            complaints.warn(line, format_args!(
                "interface '{interface}': this machine has no netifd (there is no `ubus`): here, write option device with the kernel's device, as 'eth1'"
            ));
        }
        warn_of_dynamic(&config, &mut complaints);
        warn_of_group(&config, &mut complaints);
        warn_of_hooks(&config, &mut complaints);
        warn_of_pin(&config, &mut complaints);
    }
    terminal::note(&complaints.text);
    let verdict = match (result, complaints.warnings) {
        (Err(error), _) => return unreadable(&error),
        (Ok(1..), _) => return Exit::BadConfig,
        _ if errors != 0 => return Exit::BadConfig,
        (Ok(0), 0) => "is fine".to_owned(),
        (Ok(0), warnings) => format!("can be used, with {}", counted(warnings, "warning")),
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

/// If this machine is the router: reports targets and gateways that are its own addresses, and says how many there are. Also
/// warns if it does not forward what shall be masqueraded.
fn report_own(config: &Config, netifd: bool, complaints: &mut Complaints<'_>) -> usize {
    let Ok(mut requests) = Requests::open() else {
        return 0;
    };
    if !is_router(config, netifd, &mut requests) {
        return 0;
    }
    warn_of_forwarding(config, complaints);
    let mut errors = 0;
    let mut report = |option: &str, host: Option<IpAddr>| {
        let Some(host) = host.filter(|host| requests.is_own(*host)) else {
            return;
        };
        let (file, host) = (complaints.file, host.to_string());
        let (option, line) = match line_of(file, option, &host) {
            None if option == "target" => ("resolver", line_of(file, "resolver", &host)),
            line => (option, line),
        };
        let (name, line) = (file.display(), line.unwrap_or(1));
        complaints.add(format_args!(
            "{name}:{line}: {option} '{host}' is an address of this router: expected another host's"
        ));
        errors += 1;
    };
    for check in &config.checks {
        report("target", check.asked());
    }
    for provider in config.enabled() {
        for family in &Family::ALL {
            report("gateway", provider.gateway[*family]);
        }
    }
    errors
}

fn warn_of_forwarding(config: &Config, complaints: &mut Complaints<'_>) {
    let masquerades = config.enabled().any(|provider| provider.masquerade);
    if !masquerades || sysctl::forwards(Family::V4) {
        return;
    }
    let words: &[&str] = &["1", "yes", "on", "true", "enabled"];
    let mut words = words.iter();
    let line = words.find_map(|word| line_of(complaints.file, "masquerade", word));
    complaints.warn(line, format_args!(
        "masquerade is without effect until this machine forwards: `sysctl -w net.ipv4.ip_forward=1`, and in /etc/sysctl.d/"
    ));
}

/// Whether the configuration is for this machine: it has a provider's device, or netifd, which an interface needs.
fn is_router(config: &Config, netifd: bool, requests: &mut Requests) -> bool {
    let devices: &EachNamed<'_> = &|name| {
        for provider in config.enabled() {
            name(Named::Device(provider.device.v4.clone()));
            name(Named::Device(provider.device.v6.clone()));
        }
    };
    let (mirror, _) = look(requests, devices, Kinds::LINKS); // what is not shown is not here
    let is_here = |provider: &Provider| match provider.interfaces.is_empty() {
        true => !mirror.links().is_empty(),
        false => netifd,
    };
    config.enabled().any(is_here)
}

/// Warns of a sticky file that the daemon will ignore, because it names no configured provider.
fn warn_of_pin(config: &Config, complaints: &mut Complaints<'_>) {
    let file = Path::new(config.globals.sticky_file.as_str());
    let what = match sticky::look(file) {
        Pinned::None => None,
        Pinned::Provider(id) => config
            .usable(&id)
            .err()
            .map(|unusable| unusable.to_string()),
        Pinned::Invalid(what) => Some(what),
    };
    if let Some(what) = what {
        let what = text::plain(&what);
        complaints.warn_in(file, None, format_args!("{what}"));
    }
}

/// An interface, if this machine has no netifd.
fn without_netifd(config: &Config) -> Option<&InterfaceName> {
    let mut interfaces = config.enabled().flat_map(|provider| &provider.interfaces);
    interfaces.next().filter(|_| !is_installed("ubus"))
}

/// Warns of interfaces that netifd makes by itself, and that are there only at times.
fn warn_of_dynamic(config: &Config, complaints: &mut Complaints<'_>) {
    if config
        .enabled()
        .all(|provider| provider.interfaces.is_empty())
        || !is_installed("ubus")
    {
        return;
    }
    let mut interfaces = Box::new(Interfaces::new());
    interfaces.follow(config);
    interfaces.look(PATIENCE, true);
    for (name, parent) in interfaces.dynamic() {
        let line = line_of(complaints.file, "interface", name);
        complaints.warn(line, format_args!(
            "interface '{name}': netifd makes it by itself while {parent} is up: instead, write `list interface '{parent}'`, which works in both families"
        ));
    }
}

/// Warns of a group that this machine does not have.
fn warn_of_group(config: &Config, complaints: &mut Complaints<'_>) {
    let group = &config.globals.control_group;
    if group.is_empty() || table_names::group(group).is_some() {
        return;
    }
    let line = line_of(complaints.file, "control_group", group);
    complaints.warn(line, format_args!(
        "control_group '{group}': there is no such group, so that only root may ask: `groupadd {group}`, or name another"
    ));
}

/// Warns of hooks that cannot be run. The default directory may be missing.
fn warn_of_hooks(config: &Config, complaints: &mut Complaints<'_>) {
    let directory = &config.globals.hooks_dir;
    let usual = *directory == Globals::default().hooks_dir;
    let line = line_of(complaints.file, "hooks_dir", directory).filter(|_| !usual);
    if line.is_some() && fs::read_dir(directory.as_str()).is_err() {
        complaints.warn(
            line,
            format_args!("hooks_dir '{directory}' cannot be read: no hook is run"),
        );
    }
    let is_idle = |file: &Path, _: &[u8]| {
        let found = fs::metadata(file);
        found.is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 == 0)
    };
    if let Some(idle) = files(Path::new(directory.as_str()), &is_idle).first() {
        let path = text::plain(&idle.to_string_lossy());
        complaints.warn(
            line,
            format_args!("{path} is not executable, so that it is not run: `chmod +x {path}`"),
        );
    }
}

/// Whether a program is found in `PATH`. Assumed true if `PATH` is not set, or no text.
fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH");
    let path = path.as_ref().and_then(|path| path.to_str());
    let has = |place| Path::new(place).join(program).is_file();
    path.is_none_or(|path| path.split(':').any(has))
}

/// The line of an option with this word in its value.
fn line_of(file: &Path, option: &str, wanted: &str) -> Option<u32> {
    let text = read(file).ok()?;
    let index = Index::<SECTIONS_MAX>::read(&text, &mut |_| {});
    for setting in index.sections().filter_map(|section| section.get(option)) {
        for (value, line) in setting.values() {
            let value = value.text::<COMMAND_MAX>().unwrap_or_default();
            if value.split_ascii_whitespace().any(|word| word == wanted) {
                return Some(line);
            }
        }
    }
    None
}

fn counted(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}
