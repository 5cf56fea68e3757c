//! `status --page`: what a web page shows, in one answer.

use serde_json::Value;

use super::checks::two_providers;
use super::explain::explanation;
use super::lab::Family;
use super::lab::rights::in_lab;
use super::online;

fn page(daemon: &super::lab::Daemon) -> Value {
    serde_json::from_str(&daemon.must(&["status", "--page"])).unwrap()
}

#[test]
fn a_page_tells_the_rounds_the_reasons_and_the_journal() {
    in_lab(|| {
        let lab = two_providers();
        let daemon = online(&lab);
        lab.upstream_dies(1);
        for family in Family::ALL {
            daemon.wait_for("isp1", family.name(), "offline");
        }
        let told = page(&daemon);
        for (provider, failed) in told["providers"]
            .as_array()
            .unwrap()
            .iter()
            .zip([true, false])
        {
            let paths = provider["paths"].as_array().unwrap();
            let explained = provider["explained"].as_array().unwrap();
            for ((path, said), family) in paths.iter().zip(explained).zip(Family::ALL) {
                let history = path["history"].as_array().unwrap();
                assert!((1..=64).contains(&history.len()), "{path:#}");
                assert!(history[0].as_f64().unwrap() > 0.0, "{path:#}");
                let last = history.last().unwrap();
                assert_eq!(last.is_null(), failed, "{path:#}");
                assert_eq!(said["family"], family.name());
                let id = provider["id"].as_str().unwrap();
                let whole = explanation(&daemon, id, family);
                // The times are those of the same state; the counts of rounds go on.
                let why = said["why"].as_str().unwrap().replace(
                    &format!(
                        "`failover --config {} ",
                        daemon.file("failover.conf").display()
                    ),
                    "`failover ",
                );
                assert!(whole.starts_with(&why), "{why}\n{whole}");
                let change = said["change"].as_str().unwrap();
                assert!(change.starts_with("A round is good"), "{change}");
            }
        }
        let log = daemon.must(&["log"]);
        let lines = Vec::from_iter(log.lines());
        let journal = told["journal"].as_array().unwrap();
        assert_eq!(journal.len(), lines.len(), "{log}");
        for (entry, line) in journal.iter().zip(lines.iter().rev()) {
            for field in ["provider", "family", "kind", "cause"] {
                assert!(
                    line.contains(entry[field].as_str().unwrap_or("-")),
                    "{line}: {entry}"
                );
            }
        }
        let plain = daemon.status();
        assert_eq!(plain.get("journal"), None);
        assert_eq!(plain["providers"][0].get("explained"), None);
        assert_eq!(plain["providers"][0]["paths"][0].get("history"), None);
    });
}
