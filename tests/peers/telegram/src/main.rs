//! The server as a program: `landbridge-telegram-peer ADDRESS [SEED]`. It has a bot (`1000:relay`), two people and a supergroup that all
//! three are in; whoever signs in gets the code 12345.

use std::net::SocketAddrV4;

use landbridge_telegram_peer::Peer;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let mut arguments = std::env::args().skip(1);
    let address: SocketAddrV4 =
        arguments.next().ok_or("usage: landbridge-telegram-peer ADDRESS [SEED]")?.parse()?;
    let seed = arguments.next().unwrap_or_else(|| "stand-in".into());
    let peer = Peer::listen(&seed, address).await?;
    {
        let mut world = peer.world();
        world.bot(1000, "Relay", "1000:relay");
        world.person(1001, "Alice", "+15550001");
        world.person(1002, "Bob", "+15550002");
        world.channel(5000, "Lobby", &[1000, 1001, 1002]);
    }
    tracing::info!(address = %peer.address(), "listening");
    std::future::pending::<()>().await;
    Ok(())
}
