//! Two runs against a broker that behaves the same differ only under `run`, in every scenario.

use mqtt_sessions::plan::{Settings, cells};
use mqtt_sessions::scenario::Scenario;
use test_broker::Broker;
use test_broker::measured::run_cells_as;

#[test]
fn what_is_said_of_a_broker_is_the_same_in_each_run() {
    for scenario in Scenario::usual_names() {
        let planned = cells(&Scenario::load(scenario).unwrap(), Settings::of(3));
        // Other client ids are served in another order.
        let [one, other] =
            ["msaaaaaa", "mszzzzzz"].map(|prefix| run_cells_as(prefix, &Broker::correct(), planned.clone()).cells);
        assert_eq!(one.len(), planned.len(), "{scenario}");
        for (one, other) in one.iter().zip(&other) {
            assert_eq!(one, other, "{scenario}");
        }
    }
}
