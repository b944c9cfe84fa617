//! The server that speaks Telegram's protocol, with a bot, two people and a supergroup.

use landbridge_telegram_peer::{CODE, Peer, Place, Said};

use crate::Playground;

const BOT: i64 = 1000;
const ALICE: i64 = 1001;
const BOB: i64 = 1002;
const LOBBY: i64 = 5000;
const SEED: &str = "stand-in";
/// What is shown.
const PLACES: [(&str, Place); 2] =
    [("Lobby", Place::Channel(LOBBY)), ("Alice and Bob", Place::Direct(ALICE, BOB))];

pub(crate) struct Playing {
    peer: Peer,
    shown: [usize; 2],
    connected: Vec<i64>,
}

fn name(id: i64) -> &'static str {
    match id {
        BOT => "the bot",
        ALICE => "Alice",
        _ => "Bob",
    }
}

impl Playing {
    pub(crate) async fn start() -> Self {
        let peer = Peer::start(SEED).await.expect("a port is free");
        {
            let mut world = peer.world();
            world.bot(BOT, "Relay", "1000:relay");
            world.person(ALICE, "Alice", "+15550001");
            world.person(BOB, "Bob", "+15550002");
            world.channel(LOBBY, "Lobby", &[BOT, ALICE, BOB]);
        }
        println!(
            "# For [bridges.telegram.network]; the supergroup Lobby is c{LOBBY}, Alice has +15550001, Bob +15550002, the code is {CODE}.\n\
             api_id = 1\n\
             api_hash = \"stand-in\"\n\
             bot_token = \"1000:relay\"\n\
             test_server = {{ address = \"{}\", dc = 2, key_seed = \"{SEED}\" }}\n",
            peer.address()
        );
        Self { peer, shown: [0; 2], connected: Vec::new() }
    }

    /// The bytes in a link that logs in.
    fn token(link: &str) -> Option<Vec<u8>> {
        let token = link.strip_prefix("tg://login?token=")?;
        base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, token).ok()
    }
}

impl Playground for Playing {
    const HELP: &str = "Type `say Bob TEXT` for his words in the Lobby, `direct Bob TEXT` for those to Alice (`Alice`: the other way round), \
                        `scan Alice LINK` for her phone before a QR code";

    fn typed(&self, words: &[&str], rest: &str) -> bool {
        let [what, who, _, ..] = words else { return false };
        let who = if *who == "Alice" { ALICE } else { BOB };
        let mut world = self.peer.world();
        match *what {
            "say" => {
                world.say(who, PLACES[0].1, rest);
            }
            "direct" => {
                world.say(who, PLACES[1].1, rest);
            }
            "scan" => return Self::token(rest).is_some_and(|token| world.scan(&token, who)),
            _ => return false,
        }
        true
    }

    fn show(&mut self) {
        let world = self.peer.world();
        for ((place, at), shown) in PLACES.iter().zip(&mut self.shown) {
            let said: Vec<Said> = world.said(*at);
            for one in said.iter().skip(*shown) {
                println!("{} in {place}: {}", name(one.from), one.text);
            }
            *shown = said.len();
        }
        let connected: Vec<i64> =
            [BOT, ALICE, BOB].into_iter().filter(|id| world.is_connected(*id)).collect();
        if connected != self.connected {
            println!("(connected: {:?})", connected.iter().map(|id| name(*id)).collect::<Vec<_>>());
        }
        self.connected = connected;
    }
}
