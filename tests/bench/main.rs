//! Measures the daemon's resource usage and speed: `cargo bench`, in less than three minutes; `cargo bench -- --quick`, in
//! less than half a minute.
//!
//! Everything is measured in labs of network namespaces on this machine. Figures of a busy machine are higher, and vary;
//! the ratios vary less, because both programs are affected.
//!
//! | module | what it measures |
//! |---|---|
//! | [`cost`] | processor time per probe, memory, system calls |
//! | [`minimal`] | the program to compare with |
//! | [`swap`] | the time from a fault to the end of the outage |

pub mod cost;
#[path = "../lab/mod.rs"]
pub mod lab;
pub mod minimal;
pub mod swap;

use std::process::ExitCode;
use std::time::Duration;

use cost::{Cost, Effort, Row};
use lab::rights;

/// Numbers of providers. The bound of processor time is for 8.
const PROVIDERS: [usize; 4] = [2, 8, 16, 64];
/// Bound: processor time divided by that of the minimal program that spreads its probes, with 8 providers.
const RATIO_MAX: f64 = 1.2;
/// Bound: anonymous memory in kB, with 8 providers.
const ANONYMOUS_MAX: u64 = 200;
/// Bound: growth of the ratio from few to many providers; allows for noise.
const GROWTH_MAX: f64 = 1.25;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let first = arguments.next();
    if first.as_deref() == Some(minimal::ARGUMENT) {
        let arguments: Vec<String> = arguments.collect();
        return match minimal::run(&arguments, cost::INTERVAL) {
            Ok(()) => ExitCode::SUCCESS,
            Err(errno) => {
                eprintln!("the minimal program: {errno}");
                ExitCode::FAILURE
            }
        };
    }
    let quick = first
        .into_iter()
        .chain(arguments)
        .any(|argument| argument == "--quick");
    if let Err(advice) = rights::acquire() {
        eprintln!("{advice}");
        return ExitCode::from(77);
    }
    costs(quick);
    swaps(quick);
    ExitCode::SUCCESS
}

fn costs(quick: bool) {
    let (providers, effort) = if quick {
        (
            &PROVIDERS[..2],
            Effort {
                time: Duration::from_millis(1000),
                turns: 2,
            },
        )
    } else {
        (
            &PROVIDERS[..],
            Effort {
                time: Duration::from_millis(2000),
                turns: 3,
            },
        )
    };
    println!(
        "Cost of probing: a ping by each provider, 10 rounds a second. Beside the daemon, two programs that make the\n\
         same system calls and do nothing else, in the same lab, in turns: `spread` sends by one provider after the\n\
         other, as the daemon does with up to 4; `burst` sends all at once. In brackets: the daemon's time over theirs.\n"
    );
    println!(
        "{:>9}  {:^41}  {:^23}  {:^23}",
        "", "processor time a probe, µs", "resident memory, kB", "of it anonymous, kB"
    );
    println!(
        "{:>9}  {:>9} {:>8}{:>7} {:>8}{:>7}  {:>7} {:>7} {:>7}  {:>7} {:>7} {:>7}",
        "providers",
        "daemon",
        "spread",
        "",
        "burst",
        "",
        "daemon",
        "spread",
        "burst",
        "daemon",
        "spread",
        "burst"
    );
    let rows: Vec<Row> = providers
        .iter()
        .map(|&providers| {
            let row = cost::measure(providers, effort);
            print_cost(&row);
            row
        })
        .collect();
    println!();
    for row in &rows {
        judge(row, &rows[0]);
    }
}

fn print_cost(row: &Row) {
    let [ours, spread, burst] =
        [&row.daemon, &row.spread, &row.burst].map(|cost| micros(cost.typical()));
    let [over_spread, over_burst] = [&row.spread, &row.burst].map(|cost| row.ratio_to(cost));
    let [a, b, c] = [&row.daemon, &row.spread, &row.burst].map(|cost| cost.memory);
    println!(
        "{:>9}  {ours:>9.1} {spread:>8.1} [{over_spread:.2}] {burst:>8.1} [{over_burst:.2}]  \
         {:>7} {:>7} {:>7}  {:>7} {:>7} {:>7}",
        row.providers, a.resident, b.resident, c.resident, a.anonymous, b.anonymous, c.anonymous,
    );
}

/// Prints the bounds, and whether they hold.
fn judge(row: &Row, fewest: &Row) {
    if row.providers == 8 {
        let (ratio, anonymous) = (row.ratio_to(&row.spread), row.daemon.memory.anonymous);
        println!(
            "8 providers: {ratio:.2} times the time of `spread` (promised: {RATIO_MAX}){}, {anonymous} kB of \
             anonymous memory (promised: {ANONYMOUS_MAX}){}.",
            mark(ratio <= RATIO_MAX),
            mark(anonymous <= ANONYMOUS_MAX)
        );
        print_calls(row);
    } else if row.providers > fewest.providers {
        let growth = |of: fn(&Row) -> &Cost| {
            of(row).typical().as_secs_f64() / of(fewest).typical().as_secs_f64()
        };
        let (ours, least) = (growth(|row| &row.daemon), growth(|row| &row.spread));
        println!(
            "{} providers: a probe costs {ours:.2} times what it costs with {}; `spread` {least:.2} times{}.",
            row.providers,
            fewest.providers,
            mark(ours <= least * GROWTH_MAX)
        );
    }
}

/// Prints the system calls per probe, from sending to receiving.
fn print_calls(row: &Row) {
    match &row.calls {
        Ok(calls) => {
            let probes = calls.get("sendto").copied().unwrap_or(0).max(1);
            print!("System calls a probe:");
            for (name, count) in calls {
                print!("  {name} {}", hundredths(count * 100 / probes));
            }
            println!();
        }
        Err(why) => println!("System calls were not counted: {why}"),
    }
}

fn swaps(quick: bool) {
    let (pulls, deaths) = if quick { (8, 2) } else { (30, 10) };
    let table = |what: &str, times: &[Duration]| {
        let [median, max] = [median(times), longest(times)].map(|time| micros(time) / 1000.0);
        println!("{what:<56}  {median:>9.2} ms  {max:>9.2} ms");
    };
    println!("\n{:<56}  {:>12}  {:>12}", "", "median", "longest");
    let reactions = swap::link_to_route(pulls);
    table(
        &format!("link event to route change ({pulls} pulled cables)"),
        &reactions,
    );
    let outages = swap::outages(deaths);
    table(
        &format!("outage, `fast` ({deaths} silent deaths upstream)"),
        &outages,
    );
    let over: Vec<Duration> = outages
        .iter()
        .map(|outage| outage.saturating_sub(swap::FAST_MAX))
        .collect();
    table("… of it over down x interval + timeout = 600 ms", &over);
}

fn mark(kept: bool) -> &'static str {
    if kept { "" } else { " !!!" }
}

fn hundredths(number: u64) -> String {
    format!("{}.{:02}", number / 100, number % 100)
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

fn median(times: &[Duration]) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    sorted[sorted.len() / 2]
}

fn longest(times: &[Duration]) -> Duration {
    times.iter().copied().max().unwrap_or_default()
}
