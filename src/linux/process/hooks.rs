//! The programs that run on transitions: OpenWrt's hotplug scripts, `ubus` to notify its listeners, and the executables of
//! `hooks_dir`. One runs at a time, with a time limit, without blocking the daemon.

use std::ffi::{CStr, CString};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::vec::IntoIter;

use nix::errno::Errno;

use super::child::{Child, is_executable, program};
use crate::limits::HOOKS_MAX;
use crate::linux::file::listing::files;
use crate::linux::{errno, log};
use crate::text::Span;
use crate::types::{Duration, Instant};

/// A program that takes longer is killed, with its process group.
const PATIENCE: Duration = Duration::from_secs(30);

/// A transition, as passed to the programs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Announcement {
    /// names and values, for the environment
    pub variables: Vec<(&'static str, String)>,
    /// the same as a JSON object, for ubus
    pub json: String,
}

/// Runs the programs for one announcement, one after the other.
#[derive(Debug, Default)]
pub(crate) struct Hooks {
    announcement: Option<Announcement>,
    /// the programs still to run, each with its arguments
    next: IntoIter<Vec<CString>>,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    child: Child,
    name: CString,
    /// to be killed at this time; none if it was killed
    deadline: Option<Instant>,
}

impl Hooks {
    /// Whether all programs of the last announcement have ended.
    pub(crate) fn are_idle(&self) -> bool {
        self.running.is_none()
    }

    /// Starts the programs for an announcement. Only while [`Hooks::are_idle`].
    pub(crate) fn announce(&mut self, announcement: Announcement, directory: &Path, now: Instant) {
        self.next = programs(directory, &announcement.json).into_iter();
        self.announcement = Some(announcement);
        self.start_next(now);
    }

    /// A child has ended, possibly one of these. Returns whether all programs of the announcement have ended now.
    pub(crate) fn reap(&mut self, now: Instant) -> bool {
        let Some(ended) = self.running.take_if(|running| running.child.has_ended()) else {
            return false;
        };
        let fate = match ended.deadline {
            None => {
                ended.child.reap_group();
                format!("was killed: it took more than {}", Span(PATIENCE))
            }
            // Background processes of a program that ended, as of hotplug scripts, keep running.
            Some(_) => match ended.child.reap() {
                Some(0) => String::new(),
                Some(status) => format!("ended with exit code {status}"),
                None => "was killed by a signal".to_owned(),
            },
        };
        if !fate.is_empty() {
            log::warn(format_args!("{} {fate}", ended.name.to_string_lossy()));
        }
        self.start_next(now);
        self.are_idle()
    }

    /// When the running program is to be killed.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.running.as_ref()?.deadline
    }

    /// Kills a program whose time limit has passed.
    pub(crate) fn give_up(&mut self, now: Instant) {
        if let Some(running) = &mut self.running {
            running.child.give_up(&mut running.deadline, now);
        }
    }

    /// Kills the running program, because the daemon ends.
    pub(crate) fn stop(&mut self) {
        if let Some(running) = &self.running {
            running.child.kill();
        }
    }

    /// Starts the next program that exists.
    fn start_next(&mut self, now: Instant) {
        let Some(announcement) = &self.announcement else {
            return;
        };
        let variables: Vec<(&str, &str)> = announcement
            .variables
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        for words in self.next.by_ref() {
            let arguments: Vec<_> = words.iter().map(CString::as_c_str).collect();
            let Some(name) = words.first().filter(|name| program(name).is_ok()).cloned() else {
                continue; // it is not OpenWrt
            };
            match Child::start(&arguments, &variables, None) {
                Ok(child) => {
                    let deadline = Some(now + PATIENCE);
                    self.running = Some(Running {
                        child,
                        name,
                        deadline,
                    });
                    return;
                }
                Err(errno) => {
                    let why = match errno {
                        // The program exists: its interpreter, named in the first line, does not.
                        Errno::ENOENT => "there is no such interpreter as its first line names (does the line end in CR LF?)".to_owned(),
                        errno => errno::text(&errno.into()),
                    };
                    log::warn(format_args!(
                        "{} cannot be run: {why}",
                        name.to_string_lossy()
                    ));
                }
            }
        }
        self.announcement = None;
    }
}

/// All programs for an announcement.
fn programs(directory: &Path, json: &str) -> Vec<Vec<CString>> {
    let words = |words: &[&CStr]| words.iter().copied().map(CStr::to_owned).collect();
    let json = CString::new(json.as_bytes()).unwrap_or_default();
    let mut programs = vec![
        words(&[c"hotplug-call", c"failover"]),
        words(&[c"ubus", c"send", c"failover", &json]),
    ];
    for file in executables(directory) {
        programs.extend(CString::new(file.into_os_string().into_vec()).map(|file| vec![file]));
    }
    programs
}

/// The executable files of a directory, sorted by name, without those that editors and package managers leave.
fn executables(directory: &Path) -> Vec<PathBuf> {
    let mut files = files(directory, &|file, name| {
        is_hook_name(name) && is_executable(file)
    });
    files.truncate(HOOKS_MAX);
    files
}

fn is_hook_name(name: &[u8]) -> bool {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-.".contains(byte);
    !name.starts_with(b".") && name.iter().all(plain) && !name.windows(6).any(|w| w == b".dpkg-")
}
