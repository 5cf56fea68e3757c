//! Every capacity, and every bound of a value that the configuration or the kernel gives.

use smoltcp::time::Duration;

/// Most providers. With two providers, only the memory of two is touched.
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
/// Longest name of a device in a configuration: an alternative name, of which the kernel allows 127 bytes. As long as a
/// target, so that it has the same type.
pub const DEVICE_GIVEN_MAX: usize = TARGET_MAX;
/// Alternative names of a device that are known: its first.
pub const ALTNAMES_MAX: usize = 8;
/// Most netifd interfaces of one provider.
pub const INTERFACES_MAX: usize = 4;
/// Longest name of a netifd interface: netifd has no limit. Those of its dynamic interfaces are up to 4 bytes longer.
pub const INTERFACE_NAME_MAX: usize = TARGET_MAX - 4;
/// WireGuard interfaces of netifd's that are named.
pub const TUNNELS_MAX: usize = INTERFACES_MAX;
/// Routes to hosts of a netifd interface that are read.
pub const HOSTS_READ_MAX: usize = 8;
/// Executables in `hooks_dir` that are run.
pub const HOOKS_MAX: usize = 32;
/// Netifd interfaces of all providers.
pub const INTERFACES_WATCHED_MAX: usize = INTERFACES_MAX * PROVIDERS_MAX;
/// Errors of a file that are reported; of further errors, only the number.
pub const ERRORS_TOLD_MAX: u32 = 20;
/// Problems of a file that a reload logs and shows, and that are in the status while the file is refused: fewer than
/// [`WARNINGS_MAX`], and more than [`ERRORS_TOLD_MAX`].
pub const PROBLEMS_TOLD_MAX: usize = 24;
/// Routes by one device, and addresses of one device, that are always watched, however many other devices have. Addresses
/// of other devices in a provider's network that are watched at most.
pub const KEPT_MIN: usize = 4;
/// Refused routes and rules of one family that are remembered, so that they are not requested again at once.
pub const REFUSED_MAX: usize = 64;
/// Longest target of a check: an address, or a host name.
pub const TARGET_MAX: usize = 64;
/// Longest host name, for a DNS query or the `Host` header of a web server.
pub const HOST_MAX: usize = TARGET_MAX;
/// Longest path of an `http` check.
pub const HTTP_PATH_MAX: usize = 100;
/// Longest text that an `http` check looks for.
pub const HTTP_TEXT_MAX: usize = 63;
/// Largest header of a response to an `http` check, in bytes.
pub const HTTP_HEADER_MAX: usize = 8 * 1024;
/// Largest body, in bytes.
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
/// Most sections that are read of a file: more than are allowed, so that an error can name what there is too much of.
pub const SECTIONS_MAX: usize = 128;
/// Longest message about a configuration, in bytes; longer ones are cut.
pub const MESSAGE_MAX: usize = 200;
/// Shortest interval between rounds, and of a check.
pub const INTERVAL_MIN: Duration = Duration::from_millis(10);
/// Longest interval between rounds, and of a check: a day. Also the longest `preempt`.
pub const INTERVAL_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// Shortest timeout.
pub const TIMEOUT_MIN: Duration = Duration::from_millis(1);
/// Interval of the slower checks while no check that is made in each round answers.
pub const SILENCE_APART: Duration = Duration::from_secs(1);
/// Rounds of an offline path with one ICMP identifier, and the least time with it.
pub const IDENTIFIER_ROUNDS: u8 = 5;
/// See [`IDENTIFIER_ROUNDS`].
pub const IDENTIFIER_APART: Duration = Duration::from_secs(2);
/// Sessions of a silent path whose answers are looked for at its device: a check has two at most in a round.
pub const ARRIVAL_SERVERS_MAX: usize = 2 * PATH_CHECKS_MAX;
/// Rounds without an arrival until answers are no longer said to be dropped on this machine.
pub const CUT_OFF_ROUNDS: u8 = 20;
/// Rounds without an arrival until the line of such a path no longer counts as one that works: longer than a gateway whose
/// ARP requests are dropped, too, forgets us between two of our own.
pub const REACHED_ROUNDS: u8 = 240;
/// Answered rounds that are needed before latency and jitter are judged.
pub const QUALITY_ROUNDS_MIN: u32 = 5;
/// Rounds of different paths are this far apart (or a quarter of the interval, if that is less), or are sent together: a
/// wakeup of the processor costs more than a few probes.
pub const ROUNDS_APART: Duration = Duration::from_millis(25);
/// Longest timeout, in intervals: so many rounds may be undecided, one bit each.
pub const TIMEOUT_INTERVALS_MAX: u32 = 63;
/// Largest `rank` that can be given.
pub const RANK_MAX: u32 = 65535;
/// Distance from our first rule preference, `rule_pref`, to the last one before `main`.
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
/// A transition that repeats again and again within this time is flapping; what follows within it is of the same burst.
pub const FLAP_WINDOW: Duration = Duration::from_secs(5);
/// The end of a burst is told to log and hooks when there was no transition for this long.
pub const FLAP_CALM: Duration = Duration::from_secs(2);
/// Longest cause of a transition, in bytes; longer ones are cut.
pub const CAUSE_MAX: usize = 120;
/// Longest error of `nft` that is told, in bytes; longer ones are cut.
pub const NFT_ERROR_MAX: usize = 104;
/// Clients served at once on the control socket.
pub const CLIENTS_MAX: usize = 8;
/// Largest control frame, in bytes.
pub const FRAME_MAX: usize = 2304;
/// Warnings shown at once in the status.
pub const WARNINGS_MAX: usize = 32;
/// Devices that are watched: the providers' and those of [`LEADING_MAX`], and more where nothing in particular is watched.
pub const LINKS_MAX: usize = 256;
/// Addresses that are watched: those of the providers' devices, [`KEPT_MIN`] of others in each of their networks, and
/// [`OTHER_ADDRESSES_MAX`].
pub const ADDRESSES_MAX: usize = 512;
/// Default routes that may win over ours or tell of an uplink, and routes of ours, that are watched.
pub const ROUTES_MAX: usize = 1024;
/// Attributes of routes that are remembered, each kind once: metrics, realms, encapsulations.
pub const EXTRAS_MAX: usize = 32;
/// Longest attributes of one route, in bytes: ten metrics, or six and a congestion control.
pub const EXTRAS_BYTES_MAX: usize = 92;
/// Gateways on one link that are counted.
pub const GATEWAYS_MAX: usize = 16;
/// Members of a group of nexthop objects that are asked for their ways.
pub const NEXTHOPS_MAX: usize = 32;
/// Addresses that are neither a provider's nor in its network: enough to know what the router's own are, so that a name that
/// resolves to one of them is no server. With IPv6 ones of the Internet, twice as many: a path's own may be among them.
pub const OTHER_ADDRESSES_MAX: usize = 64;
/// Devices that are no provider's, by which default routes lead that may win over ours.
pub const LEADING_MAX: usize = 16;
/// Rules that are watched: ours, and of others those that are for all packets or behind ours.
pub const RULES_MAX: usize = 1024;
/// Most routes that are installed per family: one per provider in the swap table, two in its policy table, and one in `main`
/// before a default route there that refuses.
pub const ROUTES_WANTED_MAX: usize = 4 * PROVIDERS_MAX;
/// Most networks and addresses of a path with a rule for what the router sends from there: this many preferences a slot.
pub const PATH_SOURCES_MAX: u32 = 16;
/// Most of them per family, over all paths, with those to a gateway: one of each a path always has room.
pub const SOURCES_MAX: usize = 4 * PROVIDERS_MAX;
/// Delegated IPv6 prefixes of a provider.
pub const PREFIXES_MAX: usize = 15;
/// Those of all providers.
pub const DELEGATED_MAX: usize = PREFIXES_MAX * PROVIDERS_MAX;
/// Devices that the firewall table knows connections to have come by that were handed over lately: of more, a new table
/// forgets the others.
pub const LEFT_MAX: usize = 4;
/// Those of all providers that have a rule.
pub const PREFIX_RULES_MAX: usize = 4 * PROVIDERS_MAX;
/// Resolvers of all providers that have a rule.
pub const RESOLVERS_MAX: usize = 150;
/// Resolvers in a configuration, of all providers.
pub const DNS_MAX: usize = 512;
/// Resolvers of one netifd interface that are read: its first.
pub const DNS_READ_MAX: usize = 8;
/// Resolvers of a path that status shows.
pub const DNS_SHOWN_MAX: usize = 8;
/// Most rules that are installed per family: four per provider, those for sources, delegated prefixes and resolvers, and
/// seven others.
pub const RULES_WANTED_MAX: usize =
    4 * PROVIDERS_MAX + SOURCES_MAX + PREFIX_RULES_MAX + RESOLVERS_MAX + 7;
/// Metrics taken by routes of other programs that are reported at once.
pub const TAKEN_MAX: usize = 16;
/// Longest wait for the kernel's answer to one netlink request; in a dump, for its next part.
pub const REQUEST_PATIENCE: Duration = Duration::from_millis(500);
/// Longest duration of a whole dump (a full Internet table takes about one second).
pub const DUMP_PATIENCE: Duration = Duration::from_millis(5000);
/// Longest duration of a command's count of all connection tracking entries.
pub const COUNT_PATIENCE: Duration = Duration::from_secs(30);
/// How often a dump is repeated because the kernel's tables changed meanwhile.
pub const DUMP_TRIES: u8 = 4;
/// Netlink datagrams read in a row before other events are served.
pub const DATAGRAMS_PER_DRAIN: u16 = 256;
/// Largest netlink datagram that is read. The kernel sends larger ones to a reader with this buffer only if a single
/// message does not fit.
pub const DATAGRAM_MAX: usize = 8 * 1024;
/// The socket's receive buffer for netlink events, in bytes.
pub const EVENTS_BUFFER: usize = 512 * 1024;
