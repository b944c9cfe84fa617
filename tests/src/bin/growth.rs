//! Does work per message grow? CPU time of our homeserver per send into one room, as the room's members and
//! its history grow. The figures are ratios within one run on one machine; `GROWTH_MEMBERS`, `GROWTH_EVENTS`
//! and `GROWTH_SENDS` set the size, `GROWTH_LIMIT` the ratio that must not be passed.

#![allow(clippy::print_stdout, reason = "a program that reports on its standard output")]

use std::{error::Error, fs, path::Path, process::ExitCode, sync::Arc};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use landbridge_framework::testing::free_port;
use landbridge_tests::{
    matrix::escape,
    process::{Process, checkout},
    setting,
};
use reqwest::{Client, Method};
use serde_json::{Value, json};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

const SERVER: &str = "growth.test";
const TOKEN: &str = "growth-as-token";
const GHOSTS: usize = 10;

/// An appservice's view of the homeserver.
#[derive(Clone)]
struct Bridge {
    http: Client,
    base: Arc<str>,
}

impl Bridge {
    async fn call(&self, method: Method, path: &str, user: &str, body: Value) -> Result<Value> {
        let url = format!("{}/_matrix/client/v3/{path}?user_id={}", self.base, escape(user));
        let request = self.http.request(method, url).bearer_auth(TOKEN).json(&body);
        let response = request.send().await?;
        let status = response.status();
        let text = response.text().await?;
        if !status.is_success() {
            return Err(format!("{path}: {status} {text}").into());
        }
        Ok(serde_json::from_str(&text)?)
    }

    async fn room(&self) -> Result<String> {
        let body = json!({ "preset": "public_chat" });
        let room = self.call(Method::POST, "createRoom", &ghost(0), body).await?;
        Ok(room["room_id"].as_str().unwrap_or_default().to_owned())
    }

    async fn join(&self, room: &str, ghosts: std::ops::Range<usize>) -> Result<()> {
        stream::iter(ghosts)
            .map(Ok)
            .try_for_each_concurrent(8, |number| async move {
                let login = json!({ "type": "m.login.application_service",
                    "username": format!("growth_{number}"), "inhibit_login": true });
                let registered = self.call(Method::POST, "register", &ghost(0), login).await;
                registered.or_else(|e| {
                    if e.to_string().contains("IN_USE") { Ok(Value::Null) } else { Err(e) }
                })?;
                let path = format!("rooms/{}/join", escape(room));
                self.call(Method::POST, &path, &ghost(number), json!({})).await.map(|_| ())
            })
            .await
    }

    async fn send(&self, room: &str, series: &str, count: usize) -> Result<()> {
        stream::iter(0..count)
            .map(Ok)
            .try_for_each_concurrent(8, |number| async move {
                let path = format!("rooms/{}/send/m.room.message/{series}-{number}", escape(room));
                let body =
                    json!({ "msgtype": "m.text", "body": format!("{series} message {number}") });
                self.call(Method::PUT, &path, &ghost(1 + number % (GHOSTS - 1)), body)
                    .await
                    .map(|_| ())
            })
            .await
    }
}

fn ghost(number: usize) -> String {
    format!("@growth_{number}:{SERVER}")
}

/// CPU seconds that a process has used.
fn cpu(id: u32) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat"))?;
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let ticks = |field: usize| fields.get(field).and_then(|text| text.parse::<f64>().ok());
    // Linux counts in hundredths of a second, whatever its own clock is.
    Ok((ticks(11).unwrap_or(0.0) + ticks(12).unwrap_or(0.0)) / 100.0)
}

/// Sends messages and tells the CPU time of each, in microseconds.
async fn measure(bridge: &Bridge, id: u32, room: &str, series: &str, sends: usize) -> Result<f64> {
    bridge.send(room, &format!("{series}-warm"), sends / 5).await?;
    let before = cpu(id)?;
    bridge.send(room, series, sends).await?;
    Ok((cpu(id)? - before) * 1e6 / sends as f64)
}

fn report(what: &str, points: &[(usize, f64)], limit: f64) -> bool {
    for (size, micros) in points {
        println!("   {size:>6} {what}: {micros:.0} µs of CPU per send");
    }
    let (Some(first), Some(last)) = (points.first(), points.last()) else { return false };
    let ratio = last.1 / first.1;
    println!("   from {} to {} {what}: {ratio:.2} times (at most {limit})", first.0, last.0);
    ratio <= limit
}

async fn run(folder: &Path) -> Result<bool> {
    let (members, events, sends): (usize, usize, usize) = (
        setting("GROWTH_MEMBERS", 5000),
        setting("GROWTH_EVENTS", 20_000),
        setting("GROWTH_SENDS", 2000),
    );
    let limit = setting("GROWTH_LIMIT", 1.3);
    let port = free_port()?;
    let base = format!("http://127.0.0.1:{port}");
    let appservices = folder.join("appservices");
    fs::create_dir_all(&appservices)?;
    let registration = json!({
        "id": "growth", "url": null, "as_token": TOKEN, "hs_token": "growth-hs-token",
        "sender_localpart": "growth_bot", "rate_limited": false,
        "namespaces": { "users": [{ "exclusive": true, "regex": format!("@growth_.*:{SERVER}") }] },
    });
    fs::write(appservices.join("growth.yaml"), registration.to_string())?;
    let mut server = Process::new(
        "homeserver",
        checkout().join("tests/launch-homeserver"),
        &folder.join("homeserver.log"),
        &format!("{base}/_matrix/client/versions"),
    )
    .env("SERVER_NAME", SERVER)
    .env("DATA_DIR", folder.join("homeserver").display())
    .env("CLIENT_PORT", port)
    .env("FEDERATION_PORT", free_port()?)
    .env("REGISTRATION_SHARED_SECRET", "growth")
    .env("APPSERVICES_DIR", appservices.display());
    server.start().await?;
    let id = server.id().ok_or("the homeserver does not run")?;
    let bridge = Bridge { http: Client::new(), base: base.into() };
    let login = json!({ "type": "m.login.application_service", "username": "growth_0", "inhibit_login": true });
    bridge.call(Method::POST, "register", &ghost(0), login).await?;

    let room = bridge.room().await?;
    let mut points = Vec::new();
    let mut joined = 1;
    for target in [GHOSTS, members / 10, members] {
        bridge.join(&room, joined..target).await?;
        joined = target;
        let micros = measure(&bridge, id, &room, &format!("m{target}"), sends).await?;
        points.push((target, micros));
    }
    let flat_in_members = report("members", &points, limit);

    let room = bridge.room().await?;
    bridge.join(&room, 1..GHOSTS).await?;
    let mut points = Vec::new();
    let mut sent: usize = 0;
    for target in [100, events / 2, events] {
        let missing = target.saturating_sub(sent);
        bridge.send(&room, &format!("h{target}"), missing).await?;
        sent += missing;
        let micros = measure(&bridge, id, &room, &format!("e{target}"), sends).await?;
        points.push((sent, micros));
        sent += sends + sends / 5;
    }
    Ok(report("events", &points, limit) && flat_in_members)
}

#[tokio::main]
async fn main() -> ExitCode {
    landbridge_tests::prepare();
    let outcome = match tempfile::Builder::new().prefix("landbridge-growth").tempdir() {
        Ok(folder) => run(folder.path()).await,
        Err(e) => Err(e.into()),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(e) => {
            println!("   {e}");
            ExitCode::FAILURE
        }
    }
}
