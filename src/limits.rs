//! Every capacity, and every bound of a value that the configuration or the kernel gives.

use smoltcp::time::Duration;

/// Most providers. A router with two touches only the memory of two.
pub const PROVIDERS_MAX: usize = 64;
/// Most checks in a file.
pub const CHECKS_MAX: usize = 32;
/// Most checks of one path: one bit each in a round's masks.
pub const PATH_CHECKS_MAX: usize = 8;
/// Most rounds remembered: one bit each in a path's history.
pub const WINDOW_MAX: usize = 64;
/// Most paths: each provider in each family.
pub const PATHS_MAX: usize = 2 * PROVIDERS_MAX;
/// Longest id of a provider or name of a check.
pub const NAME_MAX: usize = 31;
/// Longest name of a device (the kernel's `IFNAMSIZ` less its NUL).
pub const DEVICE_MAX: usize = 15;
/// Most netifd interfaces of one provider.
pub const INTERFACES_MAX: usize = 4;
/// Executables in `hooks_dir` that are run.
pub const HOOKS_MAX: usize = 32;
/// Netifd interfaces of all providers.
pub const INTERFACES_WATCHED_MAX: usize = INTERFACES_MAX * PROVIDERS_MAX;
/// Errors of a file that are told; of more, how many there are.
pub const ERRORS_TOLD_MAX: u32 = 20;
/// Routes that lead by one device, and addresses of one device, that are watched however many there are of others.
pub const KEPT_MIN: usize = 4;
/// Routes and rules of one family that the kernel refuses and that are told apart; any others are asked for again and again.
pub const REFUSED_MAX: usize = 64;
/// Longest target of a check: an address, or a host name.
pub const TARGET_MAX: usize = 64;
/// Longest name of a host, to be asked of a DNS server or of a web server.
pub const HOST_MAX: usize = TARGET_MAX;
/// Longest path of an `http` check.
pub const HTTP_PATH_MAX: usize = 100;
/// Longest text that an `http` check looks for.
pub const HTTP_TEXT_MAX: usize = 63;
/// Bytes that the header of a response to an `http` check may have.
pub const HTTP_HEADER_MAX: usize = 8 * 1024;
/// Bytes that its body may have.
pub const HTTP_BODY_MAX: usize = 16 * 1024;
/// Longest command of an `exec` check.
pub const COMMAND_MAX: usize = 160;
/// Longest `sticky_file`, `hooks_dir` and `state_dir` (a socket's address holds 107 bytes).
pub const FILE_PATH_MAX: usize = 90;
/// Commands of `exec` checks running at once, over all paths.
pub const COMMANDS_MAX: usize = 64;
/// Sessions of checks with servers at once, over all paths.
pub const SESSIONS_MAX: usize = 64;
/// Largest configuration file, in bytes.
pub const FILE_MAX: usize = 64 * 1024;
/// Most sections of a file: room for all that are allowed, and for some more, to say of what there are too many.
pub const SECTIONS_MAX: usize = 128;
/// Longest message about a configuration, in bytes; longer ones are cut.
pub const MESSAGE_MAX: usize = 200;
/// Shortest interval between rounds, and of a check.
pub const INTERVAL_MIN: Duration = Duration::from_millis(10);
/// Longest interval between rounds, and of a check: a day. Also the longest `preempt`.
pub const INTERVAL_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// Shortest timeout.
pub const TIMEOUT_MIN: Duration = Duration::from_millis(1);
/// While none of the checks that are asked in each round answers, the others are asked so often.
pub const SILENCE_APART: Duration = Duration::from_secs(1);
/// Answered rounds that latency and jitter are not judged before.
pub const QUALITY_ROUNDS_MIN: u32 = 5;
/// Rounds of different paths are so far apart (or a quarter of the interval, if that is less), or go out together: to be
/// woken up costs a processor more than to send a few probes.
pub const ROUNDS_APART: Duration = Duration::from_millis(25);
/// Longest timeout, in intervals: so many rounds may be undecided, one bit each.
pub const TIMEOUT_INTERVALS_MAX: u32 = 63;
/// Largest `rank` that can be given.
pub const RANK_MAX: u32 = 65535;
/// Preferences of ours, from `rule_pref`: the last is so far behind the first.
pub const RULE_PREFS: u32 = 1399;
/// The default of `rule_pref`.
pub const RULE_PREF: u32 = 17600;
/// The highest `rule_pref` of former versions.
pub const RULE_PREF_MAX_FORMER: u32 = 31865;
/// The last preference before `main`'s, and the highest `catch_all`.
pub const CATCH_ALL_MAX: u32 = 32765;
/// The highest `rule_pref`.
pub const RULE_PREF_MAX: u32 = CATCH_ALL_MAX - RULE_PREFS - 1;
/// Transitions remembered by the journal.
pub const JOURNAL_MAX: usize = 128;
/// Longest cause of a transition, in bytes; longer ones are cut.
pub const CAUSE_MAX: usize = 120;
/// Clients served at once on the control socket.
pub const CLIENTS_MAX: usize = 8;
/// Largest control frame, in bytes.
pub const FRAME_MAX: usize = 2048;
/// Warnings shown at once in the status.
pub const WARNINGS_MAX: usize = 32;
/// Links of the machine that are watched.
pub const LINKS_MAX: usize = 256;
/// Addresses of the machine that are watched.
pub const ADDRESSES_MAX: usize = 512;
/// Default routes, and routes in our tables, that are watched.
pub const ROUTES_MAX: usize = 1024;
/// Rules that are watched.
pub const RULES_MAX: usize = 1024;
/// Routes that one family is to have: each provider's in the swap table, and two in its policy table.
pub const ROUTES_WANTED_MAX: usize = 3 * PROVIDERS_MAX;
/// Rules that one family is to have: three a provider, and seven of the whole.
pub const RULES_WANTED_MAX: usize = 3 * PROVIDERS_MAX + 7;
/// Metrics taken by somebody else that are reported at once.
pub const TAKEN_MAX: usize = 16;
/// The longest wait for the kernel's answer to one netlink request; of a dump: for its next part.
pub const REQUEST_PATIENCE: Duration = Duration::from_millis(500);
/// The longest a whole dump may take (a full Internet table takes about one second).
pub const DUMP_PATIENCE: Duration = Duration::from_millis(5000);
/// How often a dump is made anew because the kernel's picture changed meanwhile.
pub const DUMP_TRIES: u8 = 4;
/// Netlink datagrams read in one go, before other work gets its turn.
pub const DATAGRAMS_PER_DRAIN: u16 = 256;
/// Largest netlink datagram that is read: the kernel never makes larger ones for a reader of this size, except for a
/// single message that does not fit.
pub const DATAGRAM_MAX: usize = 8 * 1024;
/// The kernel's memory for events that we have not read yet, in bytes.
pub const EVENTS_BUFFER: usize = 512 * 1024;
