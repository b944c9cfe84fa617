//! The bench's bridge on our framework, as a process of its own: `register` writes its registration file, `run` runs it. It stands
//! beside `tests/bench/bridgev2`, the same connector on bridgev2; `tests/bench/README.md` tells how they are compared.
//!
//! From the environment, for both: `HS_URL`, `SERVER_NAME`, `LISTEN` (where the homeserver reaches the bridge), `REGISTRATION`
//! (the file), `DATA_DIR`, `NETWORK` (the address of the bench's network), `PROVISIONING_SECRET`.

mod connector;
mod wire;

use std::{env, error::Error, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use landbridge_database::{Database, Options};
use landbridge_framework::{Bridge, BridgeConfig, matrix::HttpCarrier, permissions::Level};
use landbridge_registration::Registration;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};
use tracing_subscriber::EnvFilter;

use connector::{Bench, Settings};

/// As in the product.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How long what the bridge has begun may take when it is stopped.
const GRACE: Duration = Duration::from_secs(8);

type Failure = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let filter = EnvFilter::try_from_default_env().or_else(|_| EnvFilter::try_new("warn"))?;
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        return Err("the TLS provider was installed twice".into());
    }
    match env::args().nth(1).as_deref() {
        Some("register") => register(),
        Some("run") => run().await,
        _ => Err("say `register` or `run`".into()),
    }
}

/// A setting from the environment.
fn setting(name: &str) -> Result<String, Failure> {
    env::var(name).map_err(|error| format!("{name}: {error}").into())
}

fn config() -> Result<BridgeConfig, Failure> {
    let mut config = BridgeConfig::for_network("bench");
    config.bot_username = "lbbot".into();
    config.username_template = "lb_{}".into();
    config.alias_template = String::new();
    config.permissions.insert("*".into(), Level::User);
    // bridgev2 has none without being set up for it, and nobody speaks as himself on the network here.
    config.double_puppet.automatic = false;
    config.provisioning.shared_secret = Some(setting("PROVISIONING_SECRET")?);
    Ok(config)
}

fn register() -> Result<(), Failure> {
    let url = format!("http://{}", setting("LISTEN")?);
    let registration =
        config()?.registration("bench", &setting("SERVER_NAME")?, Some(&url), &mut rand::rng())?;
    Ok(std::fs::write(setting("REGISTRATION")?, registration.to_yaml())?)
}

async fn run() -> Result<(), Failure> {
    let registration = Registration::parse(&std::fs::read_to_string(setting("REGISTRATION")?)?)?;
    let client = HttpCarrier::client(Duration::from_secs(10))?;
    let carrier = Arc::new(HttpCarrier::new(client, setting("HS_URL")?.parse()?));
    let address: SocketAddr = setting("LISTEN")?.parse()?;
    let listener = TcpListener::bind(address).await?;
    let folder = PathBuf::from(setting("DATA_DIR")?);
    std::fs::create_dir_all(&folder)?;
    let url = format!("sqlite:{}", folder.join("bridge.db").display());
    let database = Database::open(&url, &Options::default()).await?;
    let settings = Settings { network: setting("NETWORK")? };
    let server_name = setting("SERVER_NAME")?;
    let bridge = Bridge::<Bench>::builder(
        settings,
        config()?,
        &server_name,
        registration,
        carrier,
        database,
    )
    .start()
    .await?;
    let router = bridge.appservice_router();
    let served = tokio::spawn(async move { axum::serve(listener, router).await });
    let (mut terminate, mut interrupt) =
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    bridge.stop(GRACE).await;
    served.abort();
    Ok(())
}
