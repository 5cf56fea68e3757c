//! The commands: output, exit codes, pipes and terminals.

#![allow(clippy::unwrap_used, clippy::panic)] // helpers of tests, which clippy does not take for tests

mod fake_daemon;

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use failover::config::CONFIG_FILES;
use failover::limits::FRAME_MAX;
use failover::types::{Cause, Family, Kind, Lead, Name, State, Subject, Waiting};
use failover::wire::control::{Cure, Entry, Reply, Request, Text, Warning};
use failover::wire::frame;
use failover::wire::snapshot::{Active, Header};
use fake_daemon::{FakeDaemon, directory};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const BINARY: &str = env!("CARGO_BIN_EXE_failover");

/// A daemon with one provider, isp1, and a long journal.
fn answers(request: &Request, number: u32) -> Option<Reply> {
    let text = |text: &str| Text::try_from(text).unwrap();
    let name = || Name::try_from("isp1").unwrap();
    let unknown = Reply::Error(text("no provider isp9: isp1 is known"));
    match (request, number) {
        (Request::Status, 0) => Some(Reply::Header(Header {
            version: "0.1.0".try_into().unwrap(),
            uptime_s: 61,
            table: 176,
            active: Active {
                ipv4: Lead::By(name()),
                ipv6: Lead::Unknown,
            },
            ..Header::default()
        })),
        (Request::Status, 1) => Some(Reply::Warning(Warning {
            code: "rp-filter".try_into().unwrap(),
            provider: Some(name()),
            text: text("strict rp_filter"),
            cure: Some(Cure {
                is_command: true,
                text: text("sysctl -w x=2"),
            }),
            ..Warning::default()
        })),
        (Request::Log | Request::Follow(0), 0..5000) => Some(Reply::Entry(Entry {
            ago_ms: 1000,
            subject: Subject {
                provider: Some(name()),
                family: Some(Family::V4),
            },
            kind: Kind::State {
                from: State::Online,
                to: State::Waiting,
            },
            cause: Cause::Lost(Waiting::NoCarrier),
            ..Entry::default()
        })),
        (Request::Use(Some(id)) | Request::Disable(id) | Request::Enable(id), 0)
            if *id != "isp1" =>
        {
            Some(unknown)
        }
        (Request::Reload, 0) => Some(Reply::Note(text("/tmp/f:3: bad"))),
        (Request::Reload, 1) => Some(Reply::Error(text("1 error, the old one runs on"))),
        _ => None,
    }
}

/// A configuration for a daemon in this directory.
fn config(dir: &Path) -> PathBuf {
    let file = dir.join("failover.conf");
    let dir = dir.display();
    let text = format!(
        "config globals 'globals'\n\toption state_dir '{dir}'\n\toption sticky_file '{dir}/sticky'\n\
         config provider 'isp1'\n\toption device 'eth1'\n\
         config check 'google'\n\toption type 'ping'\n\toption target '192.0.2.1'\n"
    );
    std::fs::write(&file, text).unwrap();
    file
}

/// The same, and a second provider, lte.
fn config_of_two(dir: &Path) -> PathBuf {
    let file = config(dir);
    let text = std::fs::read_to_string(&file).unwrap();
    let lte = "config provider 'lte'\n\toption device 'wwan0'\n";
    std::fs::write(&file, text + lte).unwrap();
    file
}

fn failover(words: &str) -> Command {
    let mut command = Command::new(BINARY);
    command.args(words.split_whitespace());
    command.env_remove("FAILOVER_CONFIG");
    command.stdin(Stdio::null());
    command
}

fn asked(file: &Path, words: &str) -> Output {
    let mut command = failover(words);
    command.env("FAILOVER_CONFIG", file).output().unwrap()
}

fn out(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

fn err(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

/// The exit code and stderr of a command that prints nothing.
fn failure(output: &Output) -> (i32, &str) {
    assert_eq!(out(output), "");
    (output.status.code().unwrap(), err(output))
}

fn interrupt(child: &Child) {
    let id = i32::try_from(child.id()).unwrap();
    kill(Pid::from_raw(id), Signal::SIGINT).unwrap();
}

#[test]
fn help_and_version_need_nothing() {
    for words in ["version", "--version"] {
        let output = failover(words).output().unwrap();
        assert_eq!(
            out(&output),
            format!("failover {}\n", env!("CARGO_PKG_VERSION"))
        );
        assert!(output.status.success());
    }
    let output = failover("--help").output().unwrap();
    assert!(output.status.success());
    for word in [
        "run",
        "check",
        "status",
        "use",
        "disable",
        "enable",
        "reload",
        "refresh",
        "log",
        "metrics",
        "import-mwan3",
        "--config",
    ] {
        assert!(out(&output).contains(word), "{word}");
    }
}

#[test]
fn wrong_usage_is_64() {
    for words in ["", "stauts", "status --jsn", "log extra"] {
        let output = failover(words).output().unwrap();
        let (exit, text) = failure(&output);
        assert_eq!(exit, 64, "{words}");
        assert!(text.starts_with("failover: "), "{text}");
    }
}

#[test]
fn an_unknown_provider_is_an_error_that_lists_the_providers() {
    let dir = directory("unknown-provider");
    let file = config(&dir);
    let more = "config provider 'isp2'\n\toption device 'eth2'\n\
                config provider 'idle'\n\toption device 'eth3'\n\toption enabled '0'\n";
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text + more).unwrap();
    for (words, expected) in [
        (
            "use",
            "use what? Expected auto, or one of these providers: isp1, isp2\n",
        ),
        (
            "disable",
            "disable what? Expected one of these providers: isp1, isp2\n",
        ),
        (
            "enable",
            "enable what? Expected one of these providers: isp1, isp2\n",
        ),
        (
            "probe",
            "probe what? Expected one of these providers: isp1, isp2\n\
             Usage: `failover probe PROVIDER [CHECK]`\n",
        ),
    ] {
        let output = asked(&file, words);
        let (exit, told) = failure(&output);
        assert_eq!(exit, 64, "{words}");
        assert!(told.contains(expected), "{told}");
        // Whatever the state of the configuration.
        let output = asked(Path::new("/nowhere/failover.conf"), words);
        let (exit, told) = failure(&output);
        assert_eq!(exit, 64, "{words}");
        assert!(told.contains("a provider's id"), "{told}");
    }
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn without_a_configuration_the_places_are_named() {
    if CONFIG_FILES.iter().any(|file| Path::new(file).exists()) {
        return; // this machine has one
    }
    let output = failover("status").output().unwrap();
    let (exit, text) = failure(&output);
    assert_eq!(exit, 78);
    for place in CONFIG_FILES {
        assert!(text.contains(place), "{text}");
    }

    let output = failover("status --config /nowhere/failover.conf")
        .output()
        .unwrap();
    let (exit, text) = failure(&output);
    assert_eq!(exit, 78);
    assert!(text.contains("/nowhere/failover.conf: "), "{text}");
}

/// Reports what the configuration names and this machine lacks: a group, a directory, the permission to run a hook.
#[test]
fn check_examines_the_machine_too() {
    let dir = directory("check-machine");
    let file = config_of_two(&dir);
    let sections = std::fs::read_to_string(&file).unwrap();
    let check = |globals: &str| {
        let head = "config globals 'globals'\n";
        let text = sections.replace(head, &format!("{head}{globals}"));
        std::fs::write(&file, text).unwrap();
        let output = asked(&file, "check");
        assert!(output.status.success(), "{}", err(&output));
        (out(&output).to_owned(), err(&output).to_owned())
    };
    let (verdict, complaint) = check("\toption control_group 'no-such-group'\n");
    assert!(verdict.contains("with 1 warning"), "{verdict}");
    assert!(complaint.contains("there is no such group"), "{complaint}");

    let hooks = dir.join("hooks.d");
    let named = format!("\toption hooks_dir '{}'\n", hooks.display());
    let (_, complaint) = check(&named);
    assert!(
        complaint.contains("cannot be read: no hook is run"),
        "{complaint}"
    );
    std::fs::create_dir(&hooks).unwrap();
    std::fs::write(hooks.join("told"), "#!/bin/sh\n").unwrap();
    let (_, complaint) = check(&named);
    assert!(complaint.contains("chmod +x"), "{complaint}");
    std::fs::set_permissions(hooks.join("told"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let (verdict, complaint) = check(&named);
    assert!(
        verdict.contains("is fine") && complaint.is_empty(),
        "{complaint}"
    );

    let (verdict, _) = check("\toption enabled '0'\n");
    assert!(verdict.contains("the daemon does not run"), "{verdict}");
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn check_prints_a_summary_or_the_problems() {
    let dir = directory("check");
    let file = config_of_two(&dir);
    let output = asked(&file, "check");
    assert_eq!(
        out(&output),
        format!("{} is fine: 2 providers, 1 check\n", file.display())
    );
    assert!(output.status.success());

    // With a warning there is no summary.
    let name = config(&dir);
    let name = name.display();
    let output = asked(&file, "check");
    let verdict = format!("{name} can be used, with 1 warning: 1 provider, 1 check\n");
    assert_eq!(out(&output), verdict);
    let alone = "only one provider is enabled: there is nothing to fail over to";
    assert_eq!(err(&output), format!("{name}:1: warning: {alone}\n"));
    assert!(output.status.success());

    std::fs::write(&file, "config globals\n\tnonsense\n").unwrap();
    let output = asked(&file, "check");
    let (exit, text) = failure(&output);
    assert_eq!(exit, 78);
    let complaint = format!(
        "{}:2: unknown command 'nonsense': expected config, option or list\n",
        file.display()
    );
    assert!(text.contains(&complaint), "{text}");
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn every_error_is_reported_in_the_order_of_the_lines() {
    let dir = directory("order");
    let file = dir.join("failover.conf");
    let text = "config check 'c'\n\toption type 'ntp'\nconfig provider 'a'\n\toption up '0'\n\toption dwon '3'\n\
                config globals\n\toption table '255'\nnonsense\n";
    std::fs::write(&file, text).unwrap();
    for words in ["check", "run --foreground"] {
        let output = asked(&file, words);
        let (exit, told) = failure(&output);
        assert_eq!(exit, 78);
        let places = told.lines().filter_map(|line| {
            let (place, _) = line
                .strip_prefix(file.to_str().unwrap())?
                .split_once(": ")?;
            Some(place.strip_prefix(':')?.parse().unwrap())
        });
        let lines: Vec<u32> = places.collect();
        assert_eq!(lines, [2, 3, 4, 5, 7, 8], "{told}");
    }
    std::fs::remove_dir_all(dir).unwrap();
}

/// A file with another format has errors in each line.
#[test]
fn only_the_first_of_many_errors_are_reported() {
    let dir = directory("many");
    let file = dir.join("failover.conf");
    let text = |bad: usize| {
        let good = "config provider 'a'\n\toption device 'eth1'\nconfig check 'c'\n\toption type 'ping'\n\toption target '192.0.2.1'\n";
        good.to_owned() + &"nonsense\n".repeat(bad) + "\tlist check 'c'\n"
    };
    let name = file.display();
    let belongs = "option 'check' belongs in a section of type provider, not check";
    for (bad, count, last) in [
        (19, 20, format!("{name}:25: {belongs}")),
        (
            21,
            21,
            format!("{name}:26: … and 2 more, from this line on"),
        ),
    ] {
        std::fs::write(&file, text(bad)).unwrap();
        for words in ["check", "run --foreground"] {
            let output = asked(&file, words);
            let (exit, told) = failure(&output);
            assert_eq!(exit, 78);
            let lines: Vec<&str> = told
                .lines()
                .filter(|line| line.contains("failover.conf:"))
                .collect();
            assert_eq!(lines.len(), count, "{told}");
            assert_eq!(lines.last(), Some(&&*last));
        }
    }
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn an_interface_where_there_is_no_netifd_is_warned_of() {
    let dir = directory("no-netifd");
    let file = config_of_two(&dir);
    let text = std::fs::read_to_string(&file).unwrap();
    let text = text.replace(
        "option device 'wwan0'",
        "list interface 'lan'\n\tlist interface 'wwan'",
    );
    std::fs::write(&file, text).unwrap();
    let check = || {
        failover("check")
            .env("FAILOVER_CONFIG", &file)
            .env("PATH", &dir)
            .output()
            .unwrap()
    };
    let output = check();
    let name = file.display();
    let what = format!("{name}:10: warning: interface 'lan': this machine has no netifd");
    assert!(err(&output).starts_with(&what), "{}", err(&output));
    assert!(
        err(&output).contains("here, write option device"),
        "{}",
        err(&output)
    );
    assert!(out(&output).contains("with 1 warning"), "{}", out(&output));

    std::fs::write(dir.join("ubus"), "").unwrap();
    let output = check();
    assert_eq!(err(&output), "");
    assert!(out(&output).contains("is fine"), "{}", out(&output));
    std::fs::remove_dir_all(dir).unwrap();
}

/// `wwan_4` and `wwan_6` are there while the modem is connected.
#[test]
fn an_interface_that_netifd_makes_by_itself_is_warned_of() {
    let dir = directory("dynamic");
    let file = config_of_two(&dir);
    let text = std::fs::read_to_string(&file).unwrap();
    let names = ["wwan_4", "wwan", "own_4", "gone_6"];
    let lists = names.map(|name| format!("list interface '{name}'"));
    let text = text.replace("option device 'wwan0'", &lists.join("\n\t"));
    std::fs::write(&file, text).unwrap();
    let dump = include_str!("data/netifd/made-dump-qmi.json")
        .replace(r#""interface": "lan""#, r#""interface": "own_4""#);
    std::fs::write(dir.join("dump.json"), dump).unwrap();
    let ubus = dir.join("ubus");
    std::fs::write(
        &ubus,
        format!("#!/bin/sh\nexec /bin/cat {}/dump.json\n", dir.display()),
    )
    .unwrap();
    std::fs::set_permissions(&ubus, PermissionsExt::from_mode(0o755)).unwrap();
    let check = || {
        failover("check")
            .env("FAILOVER_CONFIG", &file)
            .env("PATH", &dir)
            .output()
            .unwrap()
    };
    let output = check();
    let warning = |line: u32, name: &str, parent: &str| {
        format!(
            "{}:{line}: warning: interface '{name}': netifd makes it by itself while {parent} is up: instead, write \
             `list interface '{parent}'`, which works in both families",
            file.display()
        )
    };
    let told: Vec<String> = err(&output).lines().map(str::to_owned).collect();
    assert_eq!(
        told,
        [warning(10, "wwan_4", "wwan"), warning(13, "gone_6", "gone")]
    );

    // Without an answer there is nothing to say, and no waiting.
    std::fs::write(&ubus, "#!/bin/sh\nexit 4\n").unwrap();
    let begun = Instant::now();
    assert_eq!(err(&check()), "");
    assert!(begun.elapsed() < Duration::from_secs(4));
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn a_file_that_cannot_be_read_has_no_error() {
    let dir = directory("unreadable");
    let missing = dir.join("none");
    for (file, words) in [
        (&missing, "No such file or directory"),
        (&dir, "Is a directory"),
    ] {
        for command in ["run --foreground", "check", "status"] {
            let output = asked(file, command);
            let (exit, told) = failure(&output);
            assert_eq!(exit, 78);
            let cannot = format!("failover: cannot read {}: {words}", file.display());
            assert!(told.starts_with(&cannot), "{told}");
            assert_eq!(told.lines().count(), 1, "{told}");
        }
    }
    std::fs::remove_dir_all(dir).unwrap();
}

/// A command that is copied from a message concerns the same daemon.
#[test]
fn commands_in_messages_name_the_given_file() {
    let daemon = FakeDaemon::start("hints", answers);
    let file = config(&daemon.dir);
    let given = format!("--config {}", file.display());
    let told = |words: &str| {
        let output = failover(words).output().unwrap();
        out(&output).to_owned() + err(&output)
    };
    let with_it = [
        (
            format!("use isp1 {given}"),
            format!("`failover {given} use auto`"),
        ),
        (
            format!("{given} disable isp1"),
            format!("`failover {given} enable isp1`"),
        ),
        (
            format!("{given} probe"),
            format!("`failover {given} probe PROVIDER [CHECK]`"),
        ),
        (
            format!("{given} pin isp1"),
            format!("`failover {given} use isp1`"),
        ),
        (
            format!("status isp1 {given}"),
            format!("`failover explain isp1 {given}`"),
        ),
    ];
    for (words, hint) in with_it {
        assert!(told(&words).contains(&hint), "{}", told(&words));
    }
    let mut text = File::options().append(true).open(&file).unwrap();
    text.write_all(b"nonsense\n").unwrap();
    let hint = format!("`failover {given} check` lists them");
    assert!(told(&format!("status {given}")).contains(&hint));
    // A file named by the environment variable applies to all commands anyway.
    let output = asked(&file, "use isp1");
    assert!(
        out(&output).contains("`failover use auto`"),
        "{}",
        out(&output)
    );
    std::fs::remove_file(daemon.dir.join("control.sock")).unwrap();
    let hint = format!("`failover {given} run`");
    let answer = told(&format!("status {given}"));
    assert!(answer.contains(&hint), "{answer}");
}

#[test]
fn check_warns_of_a_pin_without_effect() {
    let dir = directory("pin");
    let file = config_of_two(&dir);
    let sticky = dir.join("sticky");
    let place = format!("{}:1: warning: ", sticky.display());
    for (content, warning) in [
        ("isp1\n", None),
        ("auto", None),
        ("", None),
        (
            "ipsl",
            Some("there is no provider 'ipsl'; there are: isp1, lte\n"),
        ),
        (
            "isp2",
            Some("there is no provider 'isp2' (did you mean 'isp1'?); there are: isp1, lte\n"),
        ),
        ("\x1b[2J", Some("holds something other than text")),
    ] {
        std::fs::write(&sticky, content).unwrap();
        let output = asked(&file, "check");
        assert!(output.status.success(), "{content}");
        let verdict = if warning.is_none() {
            "is fine"
        } else {
            "with 1 warning"
        };
        assert!(out(&output).contains(verdict), "{}", out(&output));
        match warning {
            None => assert_eq!(err(&output), "", "{content}"),
            Some(warning) => {
                assert!(err(&output).starts_with(&place), "{}", err(&output));
                assert!(err(&output).contains(warning), "{}", err(&output));
                assert!(!err(&output).contains('\x1b'));
            }
        }
    }
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn without_a_daemon_a_pin_is_set_by_hand() {
    let dir = directory("by-hand");
    let file = config(&dir);
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("/sticky'", "/not/yet/sticky'")).unwrap();
    let output = asked(&file, "use isp1");
    let (exit, told) = failure(&output);
    assert_eq!(exit, 69);
    let command = told.split('`').nth(1).unwrap();
    let done = Command::new("sh").args(["-c", command]).status().unwrap();
    assert!(done.success(), "{command}");
    let sticky = dir.join("not/yet/sticky");
    assert_eq!(std::fs::read_to_string(sticky).unwrap(), "isp1\n");
    assert!(!told.contains("But"), "{told}");

    let output = asked(&file, "use isp7");
    let (exit, told) = failure(&output);
    assert_eq!(exit, 69);
    assert!(told.contains("But there is no provider 'isp7'"), "{told}");
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn without_a_daemon_it_is_69_and_says_what_to_do() {
    let dir = directory("no-daemon");
    let file = config(&dir);
    for (words, advice) in [
        ("status", "`failover run`".to_owned()),
        ("status --json --watch", "`failover run`".to_owned()),
        ("log", "`failover run`".to_owned()),
        ("metrics", "`failover run`".to_owned()),
        (
            "use isp2",
            format!("`echo isp2 > {}/sticky`", dir.display()),
        ),
        ("use auto", format!("`: > {}/sticky`", dir.display())),
    ] {
        let output = asked(&file, words);
        let (exit, text) = failure(&output);
        assert_eq!(exit, 69, "{words}: {text}");
        assert!(text.contains("no daemon is running"), "{text}");
        assert!(text.contains(&advice), "{text}");
    }
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn a_disabled_daemon_is_reported() {
    let dir = directory("switched-off");
    let file = config(&dir);
    let text = std::fs::read_to_string(&file).unwrap();
    let off = text.replace("'globals'\n", "'globals'\n\toption enabled '0'\n");
    std::fs::write(&file, off).unwrap();
    for words in [
        "status",
        "log",
        "reload",
        "use isp1",
        "use auto",
        "refresh wan",
    ] {
        let output = asked(&file, words);
        let (exit, told) = failure(&output);
        assert_eq!(exit, 69, "{words}: {told}");
        let off = format!(
            "switched off by `option enabled '0'` in section globals of {}: set that to '1'",
            file.display()
        );
        assert!(told.contains(&off), "{words}: {told}");
    }
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn status_is_shown_as_text_and_as_json() {
    let daemon = FakeDaemon::start("status", answers);
    let file = config(&daemon.dir);
    let output = asked(&file, "status");
    assert!(output.status.success());
    assert!(out(&output).starts_with("failover 0.1.0, up 1m 1s\nipv4 leaves by isp1\n"));
    assert!(!out(&output).contains('\x1b'), "no colours in a pipe");

    let output = asked(&file, "status --json");
    let status: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(status["active"]["ipv4"], "isp1");
    assert_eq!(status["warnings"][0]["code"], "rp-filter");
    assert_eq!(status["warnings"][0]["cure"], "sysctl -w x=2");
}

#[test]
fn a_damaged_configuration_does_not_hide_the_daemon() {
    let daemon = FakeDaemon::start("damaged", answers);
    let file = config(&daemon.dir);
    let mut text = File::options().append(true).open(&file).unwrap();
    text.write_all(b"nonsense\n").unwrap();
    let output = asked(&file, "status");
    assert!(output.status.success());
    assert!(out(&output).contains("isp1"));
    assert!(err(&output).contains("has errors"), "{}", err(&output));
}

#[test]
fn requests_reach_the_daemon() {
    let daemon = FakeDaemon::start("orders", answers);
    let file = config(&daemon.dir);
    for words in ["use isp1", "use auto", "disable isp1", "enable isp1"] {
        let output = asked(&file, words);
        assert!(output.status.success(), "{words}");
        assert!(!out(&output).is_empty(), "{words}");
    }
    let isp1 = || Name::try_from("isp1").unwrap();
    assert_eq!(
        *daemon.requests.lock().unwrap(),
        [
            Request::Use(Some(isp1())),
            Request::Use(None),
            Request::Disable(isp1()),
            Request::Enable(isp1()),
        ]
    );
    for words in ["use isp9", "disable isp9", "enable isp9"] {
        let output = asked(&file, words);
        assert_eq!(
            failure(&output),
            (64, "failover: no provider isp9: isp1 is known\n")
        );
    }
    let long = format!("use {}", "x".repeat(32));
    assert_eq!(failure(&asked(&file, &long)).0, 64);
    assert_eq!(
        failure(&asked(&file, "reload")),
        (
            78,
            "/tmp/f:3: bad\nfailover: 1 error, the old one runs on\n"
        )
    );
}

#[test]
fn a_reader_that_closes_early_is_no_failure() {
    let daemon = FakeDaemon::start("head", answers);
    let file = config(&daemon.dir);
    for words in [
        "log",
        "log --follow",
        "status --watch",
        "status --json --watch",
    ] {
        let mut child = failover(words)
            .env("FAILOVER_CONFIG", &file)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut line).unwrap();
        assert!(line.ends_with('\n'));
        drop(stdout);
        let output = child.wait_with_output().unwrap();
        assert_eq!(err(&output), "", "{words}");
        assert_eq!(output.status.code(), Some(0), "{words}");
    }
}

#[test]
fn watch_runs_until_it_is_interrupted() {
    let daemon = FakeDaemon::start("watch", answers);
    let file = config(&daemon.dir);
    let watching = |words| {
        let mut child = failover(words)
            .env("FAILOVER_CONFIG", &file)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        (child, stdout.lines().map(Result::unwrap))
    };

    let (mut child, mut lines) = watching("status --json --watch");
    for _ in 0..2 {
        let line = lines.next().unwrap();
        serde_json::from_str::<serde_json::Value>(&line).unwrap();
    }
    interrupt(&child);
    assert_eq!(child.wait().unwrap().code(), Some(0));

    let (mut child, mut lines) = watching("status --watch");
    let first = lines.next().unwrap();
    let block: Vec<String> = lines.by_ref().take_while(|line| *line != first).collect();
    assert_eq!(block.last().unwrap(), "", "a blank line between blocks");
    interrupt(&child);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_terminal_is_drawn_in_place_and_restored() {
    let daemon = FakeDaemon::start("terminal", answers);
    let file = config(&daemon.dir);
    let size = nix::pty::Winsize {
        ws_row: 5,
        ws_col: 80,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    let pty = nix::pty::openpty(Some(&size), None).unwrap();
    let mut child = failover("status --watch")
        .env("FAILOVER_CONFIG", &file)
        .env("TERM", "linux")
        .env_remove("NO_COLOR")
        .stdout(pty.slave)
        .spawn()
        .unwrap();
    let mut screen = File::from(pty.master);
    let mut drawn = String::new();
    let mut bytes = [0; 4096];
    let mut interrupted = false;
    // Reads end with EIO when the child has closed its end.
    while let Ok(count @ 1..) = screen.read(&mut bytes) {
        drawn += std::str::from_utf8(&bytes[..count]).unwrap();
        if drawn.matches("\x1b[H").count() == 2 && !interrupted {
            interrupt(&child);
            interrupted = true;
        }
    }
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(
        drawn.starts_with("\x1b[2J\x1b[?25l\x1b[?7l\x1b[H"),
        "{drawn:?}"
    );
    assert!(drawn.ends_with("\x1b[?7h\x1b[?25h"), "{drawn:?}");
    assert!(drawn.contains("\x1b[1mfailover 0.1.0, up 1m 1s\x1b[0m\x1b[K"));
    let first = drawn.split("\x1b[H").nth(1).unwrap();
    assert_eq!(first.matches('\n').count(), 4, "the screen has five lines");
}

#[test]
fn colours_can_be_refused() {
    let daemon = FakeDaemon::start("colours", answers);
    let file = config(&daemon.dir);
    for (variable, value, colours) in [
        ("TERM", "linux", true),
        ("TERM", "dumb", false),
        ("NO_COLOR", "1", false),
        ("NO_COLOR", "", true),
    ] {
        let pty = nix::pty::openpty(None, None).unwrap();
        let mut child = failover("status")
            .env("TERM", "linux")
            .env_remove("NO_COLOR")
            .env(variable, value)
            .env("FAILOVER_CONFIG", &file)
            .stdout(pty.slave)
            .spawn()
            .unwrap();
        let mut drawn = Vec::new();
        let _ = File::from(pty.master).read_to_end(&mut drawn); // ends with EIO
        assert!(child.wait().unwrap().success());
        assert_eq!(drawn.contains(&0x1b), colours, "{variable}={value}");
    }
}

#[test]
fn a_stuck_daemon_causes_a_timeout() {
    let dir = directory("stuck");
    let file = config(&dir);
    let _silent = UnixListener::bind(dir.join("control.sock")).unwrap();
    let start = Instant::now();
    let output = asked(&file, "status");
    let (exit, text) = failure(&output);
    assert_eq!(exit, 69);
    assert!(text.contains("does not answer"), "{text}");
    assert!(start.elapsed() < Duration::from_secs(20));
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn a_daemon_of_another_version_is_reported() {
    let dir = directory("version");
    let file = config(&dir);
    let daemon = UnixListener::bind(dir.join("control.sock")).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (mut client, _) = daemon.accept().unwrap();
            let mut buffer = [0; FRAME_MAX];
            let length = frame::encode(&mut Reply::Done, &mut buffer).unwrap();
            buffer[2] = 9;
            client.write_all(&buffer[..length]).unwrap();
            let _ = client.read(&mut buffer);
        });
        let output = asked(&file, "status");
        let (exit, text) = failure(&output);
        assert_eq!(exit, 69);
        assert!(text.contains("version 9"), "{text}");
    });
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn another_user_is_refused() {
    if !nix::unistd::geteuid().is_root() {
        return; // there is no other user to try
    }
    let daemon = FakeDaemon::start("user", answers);
    let file = config(&daemon.dir);
    let binary = daemon.dir.join("failover");
    std::fs::copy(BINARY, &binary).unwrap();
    for path in [&daemon.dir, &binary] {
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
    }
    let output = Command::new(binary)
        .args(["status", "--config"])
        .arg(file)
        .uid(65534)
        .gid(65534)
        .output()
        .unwrap();
    let (exit, text) = failure(&output);
    assert_eq!(exit, 77, "{text}");
    assert!(text.contains("not permitted"), "{text}");
}
