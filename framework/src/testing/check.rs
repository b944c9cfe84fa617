//! The promise, checked: a bridge is killed again and again at random places while people talk on both sides, and in the
//! end everything is there once, in order.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use landbridge_database::{Database, Options};
use landbridge_registration::{Blueprint, Registration};
use tokio::time::Instant;

use super::faults::{Faults, Rates};
use super::homeserver::{Kind, SimHomeserver, SimUser};
use super::network::SimNetwork;
use super::pump;
use super::report::{EDITED, Report, Said};
use crate::bridge::{Bridge, BridgeBuilder};
use crate::clock::TokioClock;
use crate::config::{BridgeConfig, PortalConfig};
use crate::network::Network;
use crate::permissions::Level;

/// The simulated homeserver's name.
const SERVER: &str = "sim.example";
/// How long everything may take to arrive once nothing goes wrong any more, in virtual time.
const PATIENCE: Duration = Duration::from_mins(30);
/// How long a homeserver takes to start: longer than the longest delay of a request.
const DOWNTIME: Duration = Duration::from_secs(3);

/// What is done to the bridge.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Decides everything that is random.
    pub seed: u64,
    /// How often the bridge is killed.
    pub crashes: u32,
    /// Which homeserver it works with.
    pub homeserver: Kind,
    /// What goes wrong on the ways while it lives.
    pub rates: Rates,
    /// How many chats there are.
    pub chats: usize,
    /// How often a message said before is changed instead of saying another, in thousandths.
    pub changes: u32,
}

impl Plan {
    /// So many crashes with our homeserver, two chats, and everything else going wrong now and then.
    pub fn crashes(crashes: u32) -> Self {
        Self { seed: 1, crashes, homeserver: Kind::Ours, rates: Rates::SOME, chats: 2, changes: 0 }
    }

    /// With another seed.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// With another homeserver.
    #[must_use]
    pub fn homeserver(mut self, kind: Kind) -> Self {
        self.homeserver = kind;
        self
    }

    /// With messages changed as well, so often in a thousand.
    #[must_use]
    pub fn changes(mut self, thousandths: u32) -> Self {
        self.changes = thousandths;
        self
    }

    /// With these faults beside the crashes.
    #[must_use]
    pub fn rates(mut self, rates: Rates) -> Self {
        self.rates = rates;
        self
    }
}

/// Kills a bridge of [`SimNetwork`] at `plan.crashes` random places while people talk on both sides, and panics, with the
/// seed, unless everything arrived once, in order. Runs in a runtime of its own, in virtual time.
///
/// The connector finds the network as `runtime.shared.get::<SimNetwork>()`, has a system login, and relays.
///
/// # Panics
///
/// When the promise was broken, or the bridge can't start.
pub fn check_guarantee<N: Network>(config: N::Config, plan: Plan) -> Report {
    let report = pump::run(async move { World::<N>::new(config, plan).await.check().await });
    assert!(report.is_clean(), "the promise was broken\n{report}");
    report
}

/// Everything around the bridge, which outlives its crashes.
pub(super) struct World<N: Network> {
    plan: Plan,
    pub(super) faults: Faults,
    pub(super) network: SimNetwork,
    pub(super) homeserver: SimHomeserver,
    alice: SimUser,
    builder: BridgeBuilder<N>,
    database: Database,
    said: BTreeMap<Side, Vec<Said>>,
    _folder: tempfile::TempDir,
}

/// Who says something, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Side {
    Network(usize),
    Matrix(usize),
}

/// The registration of the bridge under test.
fn registration(config: &BridgeConfig) -> Registration {
    let ghosts = config.username_template.replace("{}", ".*");
    Blueprint::new("bridge-under-test", Some("http://bridge.invalid"), &config.bot_username)
        .user(&format!("@{ghosts}:{}", SERVER.replace('.', "\\.")), true)
        .generate(&mut rand::rng())
        .expect("the registration is valid")
}

fn chat(number: usize) -> String {
    format!("chat{number}")
}

impl<N: Network> World<N> {
    pub(super) async fn new(config: N::Config, plan: Plan) -> Self {
        let faults = Faults::new(plan.seed);
        let folder = tempfile::tempdir().expect("a folder for the bridge's database");
        let url = format!("sqlite:{}", folder.path().join("bridge.db").display());
        let database =
            Database::open(&url, &Options::default()).await.expect("the bridge's database opens");
        let mut bridge = BridgeConfig::for_network(N::ID);
        bridge.permissions = BTreeMap::from([("*".to_owned(), Level::Relay)]);
        bridge.portals = (0..plan.chats)
            .map(|number| PortalConfig {
                remote_id: chat(number),
                invite: vec![format!("@alice:{SERVER}")],
                ..PortalConfig::default()
            })
            .collect();
        bridge.homeserver_is_durable = Some(plan.homeserver == Kind::Ours);
        let registration = registration(&bridge);
        let homeserver =
            SimHomeserver::new(SERVER, registration.clone(), plan.homeserver, faults.clone());
        let network = SimNetwork::new(faults.clone());
        let builder = Bridge::<N>::builder(
            config,
            bridge,
            SERVER,
            registration,
            homeserver.carrier(),
            database.clone(),
        )
        .clock(Arc::new(TokioClock::starting_at(1_700_000_000_000)))
        .share(network.clone());
        let alice = homeserver.user(&format!("@alice:{SERVER}"));
        Self {
            plan,
            faults,
            network,
            homeserver,
            alice,
            builder,
            database,
            said: BTreeMap::new(),
            _folder: folder,
        }
    }

    /// The whole check.
    async fn check(mut self) -> Report {
        self.open_rooms().await;
        self.faults.set_rates(self.plan.rates);
        let mut crashes = (0, 0);
        for _ in 0..self.plan.crashes {
            if self.life().await {
                crashes.0 += 1;
            } else {
                crashes.1 += 1;
            }
        }
        self.faults.set_rates(Rates::NONE);
        let bridge = self.start().await.expect("the bridge starts when nothing goes wrong");
        self.wait_for_all().await;
        drop(bridge);
        self.report(crashes)
    }

    /// Starts the bridge and lets the homeserver know. `None`: it was killed before it was up.
    pub(super) async fn start(&self) -> Option<Bridge<N>> {
        let bridge = tokio::select! {
            bridge = self.builder.clone().start() => bridge.expect("the bridge starts"),
            () = self.faults.crashed() => return None,
        };
        self.homeserver.attach(bridge.appservice_router());
        Some(bridge)
    }

    /// The bridge dies, with everything that others do on its behalf.
    pub(super) async fn kill(&self, bridge: Option<Bridge<N>>) {
        self.faults.die();
        self.homeserver.detach();
        drop(bridge);
        // What was aborted is dropped when its turn comes.
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        // A commit that was under way has ended, one way or the other, when the next transaction can begin.
        drop(self.database.begin().await.expect("the database outlives the bridge"));
        self.faults.revive();
    }

    /// Nothing goes wrong until every portal has its room and alice is in it.
    pub(super) async fn open_rooms(&mut self) {
        let bridge = self.start().await;
        let until = Instant::now() + PATIENCE;
        for number in 0..self.plan.chats {
            while self.room(number).is_none() {
                assert!(Instant::now() < until, "the configured portals got no rooms");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        self.kill(bridge).await;
    }

    /// The room of a chat, which alice is in afterwards.
    fn room(&self, number: usize) -> Option<String> {
        let room = self.homeserver.rooms(self.alice.id()).into_iter().find(|room| {
            self.homeserver
                .state(room, "m.bridge", "")
                .or_else(|| self.bridge_state(room))
                .is_some_and(|state| state["channel"]["id"] == chat(number).as_str())
        })?;
        (self.homeserver.membership(&room, self.alice.id()).as_deref() == Some("join")
            || self.alice.join(&room))
        .then_some(room)
    }

    /// `m.bridge`, whatever its state key.
    fn bridge_state(&self, room: &str) -> Option<serde_json::Value> {
        let all = self.homeserver.timeline(room);
        all.into_iter()
            .rev()
            .find(|e| e["type"] == "m.bridge")
            .map(|event| event["content"].clone())
    }

    /// One life of the bridge, which ends in a crash. True: at a place on its ways.
    async fn life(&mut self) -> bool {
        let at_a_point = self.faults.chance(700);
        if at_a_point {
            self.faults.crash_at(1 + self.faults.below(60));
        }
        // Some things were said while it was dead.
        self.talk();
        let bridge = self.start().await;
        let mut left = if at_a_point { 4_000 } else { self.faults.below(400) };
        let until = Instant::now() + Duration::from_mins(2);
        while bridge.is_some() && left > 0 && Instant::now() < until {
            left -= 1;
            tokio::select! {
                biased;
                () = self.faults.crashed() => break,
                // Any await of the bridge may be its last: each turn is one of them.
                () = tokio::task::yield_now() => {}
            }
            if self.faults.chance(10) {
                self.talk();
            }
            if self.faults.chance(3) {
                self.restart_homeserver();
            }
            if at_a_point && left % 16 == 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
        self.kill(bridge).await;
        if self.faults.chance(100) {
            self.homeserver.restart();
        }
        at_a_point
    }

    /// The homeserver is killed, and is back after a while. The bridge need not have asked it anything meanwhile.
    fn restart_homeserver(&self) {
        self.faults.set_homeserver_up(false);
        self.homeserver.restart();
        let faults = self.faults.clone();
        tokio::spawn(async move {
            tokio::time::sleep(DOWNTIME).await;
            faults.set_homeserver_up(true);
        });
    }

    /// Somebody says the next thing, or changes something said before.
    pub(super) fn talk(&mut self) {
        let number = self.faults.below(self.plan.chats as u64) as usize;
        let side =
            if self.faults.chance(500) { Side::Network(number) } else { Side::Matrix(number) };
        if self.faults.chance(self.plan.changes) {
            self.change(side);
        } else {
            self.say(side);
        }
    }

    fn say(&mut self, side: Side) {
        let count = self.said.entry(side).or_default().len();
        let (text, id) = match side {
            Side::Network(number) => {
                let text = format!("n{count}");
                let id = self.network.say(&chat(number), "nora", &text);
                (text, id)
            }
            Side::Matrix(number) => {
                let text = format!("m{count}");
                let room = self.room(number).expect("the room is there");
                let id = self.alice.say(&room, &text).expect("alice may speak");
                (text, id)
            }
        };
        self.said.entry(side).or_default().push(Said { text, id, edited: false });
    }

    fn change(&mut self, side: Side) {
        let room = match side {
            Side::Matrix(number) => self.room(number).expect("the room is there"),
            Side::Network(_) => String::new(),
        };
        let said = self.said.entry(side).or_default();
        let at = self.faults.below(said.len() as u64) as usize;
        let Some(said) = said.get_mut(at).filter(|said| !said.edited) else { return };
        let text = format!("{EDITED} {}", said.text);
        match side {
            Side::Network(_) => self.network.change(&said.id, &text).expect("the message is there"),
            Side::Matrix(_) => {
                self.alice.edit(&room, &said.id, &text).expect("alice may edit");
            }
        }
        said.edited = true;
    }

    /// Says something on the network.
    pub(super) fn say_on_network(&mut self) {
        self.say(Side::Network(0));
    }

    /// Waits until everything has arrived, or no longer will.
    pub(super) async fn wait_for_all(&self) {
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            let report = self.report((0, 0));
            if report.is_complete() {
                // What is doubled comes later.
                tokio::time::sleep(Duration::from_mins(2)).await;
                return;
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    /// What arrived, both ways.
    pub(super) fn report(&self, crashes: (u32, u32)) -> Report {
        let mut report = Report::new(self.plan, crashes);
        for (side, said) in &self.said {
            match side {
                Side::Network(number) => {
                    let room = self.room(*number).expect("the room is there");
                    let heard = self.homeserver.messages(&room).into_iter();
                    let heard =
                        heard.filter(|(sender, _)| sender != self.alice.id()).map(|(_, body)| body);
                    report.to_matrix.compare(
                        &chat(*number),
                        said,
                        heard,
                        'n',
                        &mut report.violations,
                    );
                }
                Side::Matrix(number) => {
                    let heard = self
                        .network
                        .messages(&chat(*number))
                        .into_iter()
                        .map(|message| message.text);
                    report.to_network.compare(
                        &chat(*number),
                        said,
                        heard,
                        'm',
                        &mut report.violations,
                    );
                }
            }
        }
        report
    }
}
