//! Multi-WAN failover: probe the Internet through every uplink, keep the default routes ordered by metric.
//!
//! Data flow, one line: `linux/probe` hears → [`wire`] parses, [`check`] judges → [`engine::Event::Reply`] →
//! [`engine::Engine::handle`] → round ring → path state → ranking → [`engine::Action::Routes`] →
//! [`routing::layout`] lays out → [`routing::diff`] compares → `linux/netlink` carries out →
//! [`engine::Event::RoutesApplied`].
//!
//! What the kernel says goes the other way: `linux/netlink` → [`routing::mirror`], the picture of what it has →
//! [`routing::uplink`] → [`engine::Event::Uplink`].
//!
//! How things stand is told from one snapshot: `daemon/snapshot.rs` makes its parts, as the types of [`wire::snapshot`];
//! the control socket carries them; `client` has the words. Hooks, warnings and the saved state read the same.
//!
//! The layers; each imports only those above it:
//!
//! | layer | job |
//! |---|---|
//! | [`limits`] | every capacity |
//! | [`types`] | what several layers speak of: families, prefixes, metrics, slots, paths, rounds, faults |
//! | [`text`] | bounded text |
//! | [`uci`] | UCI text → sections that borrow from it |
//! | [`option`] | one section's options: typed values, the table of all options, problems with file and line |
//! | [`wire`] | bytes ↔ meaning: ICMP, DNS, HTTP, neighbours, control frames, saved state, what netifd says |
//! | [`check`] | the types of checks: their options, how they ask, what a good answer is |
//! | [`config`] | sections → a validated [`config::Config`] |
//! | [`engine`] | the decisions: events and the time in, a bounded list of actions out |
//! | [`routing`] | the kernel's picture, uplinks, the layout of routes and rules, comparison |
//! | [`linux`] | the only place with clocks, sockets, netlink, files, child processes |
//! | [`daemon`] | the driver: wait → one event → engine → carry out actions; parts that own their state |
//! | [`client`] | the commands, over the control socket |
//! | [`import`] | mwan3's configuration → ours |
//!
//! Read in this order: `engine/events.rs` (what goes in and out of the engine), `engine/path/state.rs` (the states of a path)
//! and `engine/ranking.rs` (what is decided), `daemon.rs` (the loop, and the parts that it hands events to), then what is of
//! interest in `routing` and `linux`. A type of check is a file in `check`, a line in `check.rs`, and its options in
//! `option/table.rs`.
//!
//! Architecture invariants, held by `tests/layers.rs`:
//! - A layer imports only those above it.
//! - The layers down to [`routing`] read no clock, do no I/O, allocate nothing and never panic: they build without `std`.
//! - `linux` never decides. Only `main` imports `daemon`.
//! - A part of the daemon owns its state; only its loop, start, commands and reload see all parts.
//! - Every list has a capacity, named in [`limits`].
//!
//! Invariants of behaviour, each with a test that fails without it. Those of `e2e` run the real daemon on a real kernel;
//! `cargo test --test e2e NAME` runs one.
//!
//! 1. A swap leaves no instant without a default route: replaced in place, best first; a new rule before the old goes.
//!    `e2e::routes::two_hundred_swaps_without_a_hole`,
//!    `routing::diff::properties::no_change_leaves_a_hole_or_touches_what_is_not_ours`
//! 2. Nothing that is not ours is changed or deleted; ours carry protocol 176, and a metric that is taken is skipped. The
//!    same property, and `tests/layout.rs`: `foreign_routes_at_our_metrics_stay_and_ours_skip_them`
//!    Foreign rules before `main`, and a manual default there, come before our choice among providers.
//!    `e2e::neighbours`, `e2e::manual`; an upgrade from rules that did not,
//!    `routing::diff::properties::the_former_layout_is_taken_over_without_a_hole`
//! 3. The best healthy path has the lowest of our metrics within one netlink round trip of its verdict.
//!    `e2e::outage::a_dead_upstream_in_ipv4`, `a_pulled_cable_in_ipv4` (and `_ipv6`); of the engine alone, `tests/engine.rs`:
//!    `the_invariants_hold_after_each_event`
//! 4. SIGKILL at any moment leaves working routes; the next start adopts them, and knows what was known.
//!    `e2e::life::sigkill_is_survived`, `sigkill_in_the_middle_of_swaps`,
//!    `e2e::netifd_death::the_routes_stay_and_the_state_is_restored`
//! 5. Steady state allocates no heap, forks no process (`exec` checks aside), writes no file.
//!    `tests/steady.rs` (the daemon's own loop under a counting allocator, the real binary under `strace`, with checks of
//!    all types but `exec`);
//!    `tests/netlink_alloc.rs`: `idle_drains_allocate_nothing`
//! 6. Every capacity is fixed. Exceeding one is an error with a line number at load, or a counted drop at run time.
//!    `tests/config.rs`: `a_configuration_that_exceeds_a_capacity_is_refused`;
//!    `routing::mirror::tests::more_rules_than_there_is_room_for_are_counted_and_ours_come_first`
//! 7. A bad configuration is refused, every error with its line; the running one stays.
//!    `tests/config.rs`: `every_error_is_reported_with_its_line`; `e2e::life::a_bad_reload_is_refused_with_its_errors`
//! 8. A probe never leaves by another device than its path's.
//!    `tests/probe.rs`: `a_probe_never_leaves_by_another_device`; with checks of all types,
//!    `e2e::checks::bound::nothing_leaves_by_another_device`, `nothing_leaves_by_a_device_with_equal_addresses`
//! 9. A reply counts only if it comes from the target asked, with our identifier, a round that we sent, and the secret
//!    token. `e2e::answers::an_answer_by_another_than_the_target_does_not_count`; `e2e::checks::forged`, for one:
//!    `forged_answers_do_not_count_in_ipv4`; `e2e::checks::wire::a_ping_is_answered_in_full_or_not_in_ipv4`;
//!    `e2e::checks::link::an_answer_of_another_neighbour_does_not_count`; `tests/probe.rs`:
//!    `forged_answers_are_rejected`, `each_path_has_an_identifier_and_a_token_of_its_own`;
//!    `engine::rounds::tests::a_reply_to_a_round_that_is_not_held_counts_for_no_other`
//! 10. What is said of the way of packets is what the kernel answers when asked; otherwise a warning says so.
//!     `e2e::asked::a_full_tunnel_that_comes_later_is_told_of_and_told_no_more`,
//!     `two_halves_of_the_internet_in_main_are_told_of`; of the way back, `a_full_tunnel_and_a_strict_filter`;
//!     over random events, `daemon::snapshot::properties::what_is_said_is_what_the_kernel_does`, `e2e::walk`
#![cfg_attr(not(any(feature = "std", test)), no_std)]

#[cfg(test)]
extern crate self as failover; // for files that integration tests include, too

pub mod check;
pub mod config;
pub mod engine;
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
