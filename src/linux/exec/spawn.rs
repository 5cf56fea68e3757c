//! Starts `/bin/sh -c command` in a process group of its own, told about its path by its environment.

use core::fmt::Write;
use core::net::IpAddr;
use std::ffi::CString;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStringExt;

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::spawn::{PosixSpawnAttr, PosixSpawnFileActions, PosixSpawnFlags, posix_spawn};
use nix::sys::signal::SigSet;
use nix::sys::stat::Mode;
use nix::unistd::Pid;

use crate::config::PathId;
use crate::linux::ffi;

/// What a command finds in its environment, besides our own; unknown is empty.
#[derive(Clone, Copy, Debug)]
pub struct Environment<'a> {
    /// `PROVIDER`: its id
    pub provider: &'a str,
    /// `DEVICE`
    pub device: &'a str,
    /// `ADDRESS`: the path's own
    pub address: Option<IpAddr>,
    /// `GATEWAY`
    pub gateway: Option<IpAddr>,
    /// `TARGET`, as the configuration has it; `FAMILY` comes from the path
    pub target: &'a str,
}

/// posix_spawn(3) does not copy our memory's page tables, which fork(2) does: the loop waits some 100 us, whatever we
/// have grown to. (std's `Command` would pass on our signal mask, in which all that signalfd reads is blocked.)
pub(super) fn spawn(command: &str, path: PathId, told: &Environment) -> Result<Pid, Errno> {
    let command = CString::new(command).map_err(|_| Errno::EINVAL)?;
    let mut attributes = PosixSpawnAttr::init()?;
    attributes.set_flags(
        PosixSpawnFlags::POSIX_SPAWN_SETPGROUP
            | PosixSpawnFlags::POSIX_SPAWN_SETSIGDEF
            | PosixSpawnFlags::POSIX_SPAWN_SETSIGMASK,
    )?;
    attributes.set_pgroup(Pid::from_raw(0))?;
    attributes.set_sigdefault(&SigSet::all())?;
    attributes.set_sigmask(&SigSet::empty())?;
    let null = open(
        c"/dev/null",
        OFlag::O_RDWR | OFlag::O_CLOEXEC,
        Mode::empty(),
    )?;
    let mut actions = PosixSpawnFileActions::init()?;
    for descriptor in 0..=2 {
        actions.add_dup2(null.as_raw_fd(), descriptor)?;
    }
    ffi::close_on_exec();
    let arguments = [c"sh", c"-c", &command];
    posix_spawn(
        c"/bin/sh",
        &actions,
        &attributes,
        &arguments,
        &variables(path, told),
    )
}

/// Our environment, with what the command is told about its path.
fn variables(path: PathId, told: &Environment) -> Vec<CString> {
    let (address, gateway) = (text(told.address), text(told.gateway));
    let told = [
        ("PROVIDER", told.provider),
        ("DEVICE", told.device),
        ("ADDRESS", &address),
        ("GATEWAY", &gateway),
        ("FAMILY", path.family.name()),
        ("TARGET", told.target),
    ];
    let inherited = std::env::vars_os()
        .filter(|(name, _)| told.iter().all(|(ours, _)| name != ours))
        .map(|(name, value)| [name.into_vec(), value.into_vec()].join(&b'='));
    let added = told
        .iter()
        .map(|(name, value)| [name.as_bytes(), value.as_bytes()].join(&b'='));
    inherited
        .chain(added)
        .filter_map(|variable| CString::new(variable).ok())
        .collect()
}

fn text(address: Option<IpAddr>) -> heapless::String<40> {
    let mut text = heapless::String::new();
    if let Some(address) = address {
        // 39 bytes are the longest address
        write!(text, "{address}").unwrap_or_default();
    }
    text
}
