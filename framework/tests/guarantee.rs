//! The hello bridge, as it stands in the documentation, under the testing kit.

use landbridge_framework::testing::{Kind, Plan, Rates, check_guarantee, check_outage};

#[allow(
    dead_code,
    unreachable_pub,
    reason = "here the example is a module, and its own main isn't run"
)]
#[path = "../examples/hello.rs"]
mod hello;

/// `LANDBRIDGE_CRASHES` and `LANDBRIDGE_SEED` make the check longer, or repeat one; `LANDBRIDGE_CHANGES` changes messages
/// as well, so often in a thousand.
fn number(name: &str, default: u32) -> u32 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

fn plan(share: u32) -> Plan {
    // `RUST_LOG=landbridge_framework=debug` tells what the bridge went through.
    let filter = tracing_subscriber::EnvFilter::from_default_env();
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_test_writer().try_init();
    Plan::crashes(number("LANDBRIDGE_CRASHES", 60) / share)
        .seed(u64::from(number("LANDBRIDGE_SEED", 1)))
        .changes(number("LANDBRIDGE_CHANGES", 0))
}

#[test]
fn hello_keeps_the_promise() {
    let report = check_guarantee::<hello::Hello>((), plan(1));
    assert!(report.to_matrix.said > 0 && report.to_network.said > 0, "{report}");
}

#[test]
fn hello_keeps_the_promise_where_only_crashes_happen() {
    check_guarantee::<hello::Hello>((), plan(2).rates(Rates::NONE));
}

#[test]
fn hello_keeps_the_promise_on_a_homeserver_that_forgets() {
    check_guarantee::<hello::Hello>((), plan(2).homeserver(Kind::Synapse));
}

#[test]
fn an_outage_loses_nothing_and_fills_no_memory() {
    check_outage::<hello::Hello>((), 1);
}
