//! The scenarios that are built into the program, so that it runs from any directory.

use super::Scenario;

/// The scenarios that `run --all` runs, by name.
const USUAL: [(&str, &str); 29] = [
    ("matrix", include_str!("../../scenarios/matrix.toml")),
    ("tutorial", include_str!("../../scenarios/tutorial.toml")),
    ("backlog", include_str!("../../scenarios/backlog.toml")),
    ("away", include_str!("../../scenarios/away.toml")),
    ("queue", include_str!("../../scenarios/queue.toml")),
    ("resend", include_str!("../../scenarios/resend.toml")),
    ("cuts", include_str!("../../scenarios/cuts.toml")),
    ("qos2", include_str!("../../scenarios/qos2.toml")),
    ("publish_window", include_str!("../../scenarios/publish_window.toml")),
    ("window", include_str!("../../scenarios/window.toml")),
    ("takeover", include_str!("../../scenarios/takeover.toml")),
    ("takeover_backlog", include_str!("../../scenarios/takeover_backlog.toml")),
    ("takeover_wills", include_str!("../../scenarios/takeover_wills.toml")),
    ("identifiers", include_str!("../../scenarios/identifiers.toml")),
    ("subscriptions", include_str!("../../scenarios/subscriptions.toml")),
    ("options", include_str!("../../scenarios/options.toml")),
    ("shared", include_str!("../../scenarios/shared.toml")),
    ("shared_away", include_str!("../../scenarios/shared_away.toml")),
    ("wildcards", include_str!("../../scenarios/wildcards.toml")),
    ("retained", include_str!("../../scenarios/retained.toml")),
    ("retained_cuts", include_str!("../../scenarios/retained_cuts.toml")),
    ("lifetimes", include_str!("../../scenarios/lifetimes.toml")),
    ("last_second", include_str!("../../scenarios/last_second.toml")),
    ("expiry", include_str!("../../scenarios/expiry.toml")),
    ("expired_first", include_str!("../../scenarios/expired_first.toml")),
    ("wills", include_str!("../../scenarios/wills.toml")),
    ("away_wills", include_str!("../../scenarios/away_wills.toml")),
    ("retained_wills", include_str!("../../scenarios/retained_wills.toml")),
    ("delayed_wills", include_str!("../../scenarios/delayed_wills.toml")),
];

/// Those that run only where they are named, since brokers may refuse them by right or they take long.
const ON_REQUEST: [(&str, &str); 6] = [
    ("long_backlog", include_str!("../../scenarios/long_backlog.toml")),
    ("restart", include_str!("../../scenarios/restart.toml")),
    ("restart_cuts", include_str!("../../scenarios/restart_cuts.toml")),
    ("cluster", include_str!("../../scenarios/cluster.toml")),
    ("cluster_outages", include_str!("../../scenarios/cluster_outages.toml")),
    ("cluster_partition", include_str!("../../scenarios/cluster_partition.toml")),
];

/// The text of a built-in scenario.
pub fn text(name: &str) -> Option<&'static str> {
    USUAL.iter().chain(&ON_REQUEST).find(|(own, _)| *own == name).map(|(_, text)| *text)
}

impl Scenario {
    /// The names of the built-in scenarios that `run --all` runs.
    pub fn usual_names() -> impl Iterator<Item = &'static str> {
        USUAL.iter().map(|(name, _)| *name)
    }

    /// The names of all built-in scenarios.
    pub fn built_in_names() -> impl Iterator<Item = &'static str> {
        USUAL.iter().chain(&ON_REQUEST).map(|(name, _)| *name)
    }
}
