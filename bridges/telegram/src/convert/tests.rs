//! Golden files: what Telegram sends and what Matrix shows of it, and the other way. Each case is one file in `tests/golden`.

mod cases;
mod fixtures;
mod from_matrix;
mod matrix_cases;
mod place_cases;
mod properties;
mod render;
mod service_cases;
mod to_matrix;
mod update_cases;

/// Compares with the golden file of this name.
fn golden(direction: &str, name: &str, value: &serde_json::Value) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(format!("{}/tests/golden/{direction}", env!("CARGO_MANIFEST_DIR")));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_json_snapshot!(name, value));
}
