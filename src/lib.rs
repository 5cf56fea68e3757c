//! Multi-WAN failover: probe the Internet through every uplink, and keep the default routes ordered by metric.
//!
//! Data flow of a probe's answer: `linux/probe` receives → [`wire`] parses, [`check`] judges → [`engine::Event::Reply`] →
//! [`engine::Engine::handle`] → ring of rounds → path state → ranking → [`engine::Action::Routes`] →
//! [`routing::layout`]: the wanted routes and rules → [`routing::diff`]: the changes → `linux/netlink` makes them →
//! [`engine::Event::RoutesApplied`].
//!
//! Data flow of the kernel's events: `linux/netlink` → [`routing::mirror`], a copy of the kernel's state →
//! [`routing::uplink`] → [`engine::Event::Uplink`].
//!
//! There is one snapshot of the current state. `daemon/snapshot.rs` makes its parts, which are the types of
//! [`wire::snapshot`]; the control socket carries them; `client` renders them as text. Hooks, warnings and the saved state
//! are made from the same snapshot.
//!
//! The layers. Each imports only those above it in this table:
//!
//! | layer | job |
//! |---|---|
//! | [`limits`] | every capacity |
//! | [`types`] | types that several layers use: families, prefixes, metrics, slots, paths, rounds, faults |
//! | [`text`] | bounded text |
//! | [`uci`] | UCI text → sections that borrow from it |
//! | [`option`] | one section's options: typed values, the table of all options, problems with file and line |
//! | [`wire`] | bytes ↔ values: ICMP, DNS, HTTP, neighbours, control frames, saved state, netifd's JSON |
//! | [`check`] | the types of checks: their options, their requests, and which answers are good |
//! | [`config`] | sections → a validated [`config::Config`] |
//! | [`engine`] | all decisions: takes events and the time, returns a bounded list of actions |
//! | [`routing`] | the mirror of the kernel's state, uplinks, the layout of routes and rules, the changes to make |
//! | [`firewall`] | connections: the table that marks them by their provider, and which of them are handed over |
//! | [`linux`] | the only place with clocks, sockets, netlink, files, child processes |
//! | [`daemon`] | the driver: wait → one event → engine → carry out actions |
//! | [`client`] | the commands, over the control socket |
//! | [`import`] | converts a configuration of mwan3 |
//!
//! Reading order: `engine/events.rs` (the engine's input and output), `engine/path/state.rs` (the states of a path),
//! `engine/ranking.rs` (the order of providers), `daemon.rs` (the loop, and the parts that handle events), then `routing`
//! and `linux` as needed. To add a type of check: a file in `check`, a line in `check.rs`, and its options in
//! `option/table.rs`.
//!
//! Architecture invariants, held by `tests/layers.rs`:
//! - A layer imports only those above it in the table.
//! - The layers down to [`firewall`] read no clock, do no I/O, do not allocate and never panic. They build without `std`.
//! - `linux` makes no decisions. Only `main` imports `daemon`.
//! - Each part of the daemon owns its state. Only the loop, start, commands and reload access all parts.
//! - Every list has a capacity, named in [`limits`].
//!
//! Invariants of behaviour, each with the tests that fail when it is broken. The tests named `e2e::…` run the real daemon on
//! a real kernel; `cargo test --test e2e NAME` runs one of them.
//!
//! 1. During a swap there is always a default route. Routes are replaced in place, best first; a new rule is added before
//!    the old one is deleted.
//!    `e2e::routes::two_hundred_swaps_without_a_hole`,
//!    `routing::diff::properties::no_change_leaves_a_hole_or_touches_what_is_not_ours`
//! 2. Routes and rules of other programs are never changed or deleted. Ours have protocol 176, and skip metrics that are in
//!    use. The same property as for 1, and `tests/layout.rs`: `foreign_routes_at_our_metrics_stay_and_ours_skip_them`.
//!    Rules of other programs before `main`, and a manual default in it, precede our choice among providers.
//!    `e2e::neighbours`, `e2e::manual`; upgrades from a version without this,
//!    `routing::diff::properties::the_former_layout_is_taken_over_without_a_hole`
//! 3. The best healthy path has the lowest of our metrics within one netlink round trip of its verdict.
//!    `e2e::outage::a_dead_upstream_in_ipv4`, `a_pulled_cable_in_ipv4` (and `_ipv6`); of the engine alone, `tests/engine.rs`:
//!    `the_invariants_hold_after_each_event`
//! 4. SIGKILL at any moment leaves working routes. The next start adopts them, and restores the saved state.
//!    `e2e::life::sigkill_is_survived`, `sigkill_in_the_middle_of_swaps`,
//!    `e2e::netifd_death::the_routes_stay_and_the_state_is_restored`
//! 5. In steady state the daemon allocates no memory, starts no process (except for `exec` checks), and writes no file.
//!    `tests/steady.rs` (the daemon's loop under a counting allocator, and the real binary under `strace`, with checks of
//!    all types except `exec`);
//!    `tests/netlink_alloc.rs`: `idle_drains_allocate_nothing`
//! 6. Every capacity is fixed. Exceeding one is an error with a line number at load, or is counted at run time.
//!    `tests/config.rs`: `a_configuration_that_exceeds_a_capacity_is_refused`;
//!    `routing::mirror::tests::more_rules_than_there_is_room_for_are_counted_and_ours_come_first`
//! 7. A bad configuration is refused, and every error is reported with its line, also in the status. The one in force stays;
//!    at a start, with `--last-good`, the copy of the last good one comes into force.
//!    `tests/config.rs`: `every_error_is_reported_with_its_line`; `e2e::life::a_bad_reload_is_refused_with_its_errors`;
//!    `e2e::last_good`
//! 8. A probe never leaves by another device than its path's.
//!    `tests/probe.rs`: `a_probe_never_leaves_by_another_device`; with checks of all types,
//!    `e2e::checks::bound::nothing_leaves_by_another_device`, `nothing_leaves_by_a_device_with_equal_addresses`
//! 9. A reply counts only if it comes from the target, with the identifier of its round, a round that we sent, and the secret
//!    token.
//!    `e2e::answers::an_answer_by_another_than_the_target_does_not_count`; `e2e::checks::forged`, for example
//!    `forged_answers_do_not_count_in_ipv4`; `e2e::checks::wire::a_ping_is_answered_in_full_or_not_in_ipv4`;
//!    `e2e::checks::link::an_answer_of_another_neighbour_does_not_count`; `tests/probe.rs`:
//!    `forged_answers_are_rejected`, `each_path_has_an_identifier_and_a_token_of_its_own`,
//!    `each_identifier_is_for_its_own_rounds`;
//!    `engine::rounds::tests::a_reply_to_a_round_that_is_not_held_counts_for_no_other`
//! 10. Status, explain, hooks and log are made from one snapshot. If the kernel, when asked (`RTM_GETROUTE`), answers with
//!     another route than the status shows, a warning says so.
//!     `e2e::asked::a_full_tunnel_that_comes_later_is_told_of_and_told_no_more`,
//!     `two_halves_of_the_internet_in_main_are_told_of`; for the route back, `a_full_tunnel_and_a_strict_filter`;
//!     over random events, `daemon::snapshot::properties::what_is_said_is_what_the_kernel_does`, `e2e::walk`
//!
//! These further invariants of the design hold in part so far:
//!
//! 11. Our firewall objects are in `table inet failover` alone. It exists where the kernel forwards and tracks connections, or
//!     where an option asks for it, and a clean stop removes it. `e2e::firewall_table`
//! 12. A default route of ours has all of the learned one that changes packets: gateway, `onlink`, metrics, realm,
//!     encapsulation. `e2e::defaults`, for example `a_default_carries_what_the_learned_one_does`;
//!     `routing::uplink::tests::a_gateway_outside_every_network_of_its_device_is_on_the_link`.
//! 13. An established connection on a healthy provider is not broken by what happens to another one, except where its
//!     `connections` or a command says so.
//!     `firewall::handover::tests::over_random_events_exactly_once_per_loss`; where the table is not in force, a swap moves
//!     the traffic of all connections.
#![cfg_attr(not(any(feature = "std", test)), no_std)]

#[cfg(test)]
extern crate self as failover; // for files that integration tests include, too

pub mod check;
pub mod config;
pub mod engine;
pub mod firewall;
pub mod limits;
pub mod option;
pub mod routing;
pub mod text;
pub mod types;
pub mod uci;
pub mod wire;

#[cfg(feature = "std")]
pub mod client;
#[cfg(feature = "std")]
pub mod daemon;
#[cfg(feature = "std")]
pub mod import;
#[cfg(feature = "std")]
pub mod linux;
