//! A whole bridge to the [`Stage`], and the ways it may live and die.

use std::time::Duration;

use landbridge_database::{Database, testing::TestDatabase};
use landbridge_registration::Registration;

use super::stage::Stage;
use crate::{
    config::PortalConfig,
    permissions::Level,
    testing::{Faults, Kind, SimHomeserver, SimUser, login_becomes},
};

/// A bridge with everything around it.
pub(super) struct Staged {
    pub(super) stage: Stage,
    pub(super) homeserver: SimHomeserver,
    pub(super) faults: Faults,
    pub(super) config: crate::BridgeConfig,
    /// The bridge's clock, if it isn't the real one.
    pub(super) clock: Option<std::sync::Arc<dyn crate::clock::Clock>>,
    registration: Registration,
    database: Database,
    _files: TestDatabase,
}

impl Staged {
    pub(super) async fn new() -> Self {
        let faults = Faults::new(11);
        let mut config = crate::BridgeConfig::for_network("stage");
        config.permissions.insert("*".into(), Level::User);
        config.homeserver_is_durable = Some(true);
        let registration =
            config.registration("stage", "hs.example", None, &mut rand::rng()).unwrap();
        let homeserver =
            SimHomeserver::new("hs.example", registration.clone(), Kind::Ours, faults.clone());
        let files = TestDatabase::new();
        let database = files.open().await.unwrap();
        let stage = Stage::new(faults.clone());
        let clock = None;
        Self { stage, homeserver, faults, config, clock, registration, database, _files: files }
    }

    /// Starts the bridge; `None` if it died in the middle of that.
    async fn try_start(&self) -> Option<crate::Bridge<Stage>> {
        let builder = crate::Bridge::<Stage>::builder(
            (),
            self.config.clone(),
            "hs.example",
            self.registration.clone(),
            self.homeserver.carrier(),
            self.database.clone(),
        );
        let builder = match &self.clock {
            Some(clock) => builder.clock(clock.clone()),
            None => builder,
        };
        let bridge = tokio::select! {
            bridge = builder.share(self.stage.clone()).start() => bridge.unwrap(),
            () = self.faults.crashed() => return None,
        };
        self.homeserver.attach(bridge.appservice_router());
        Some(bridge)
    }

    pub(super) async fn start(&self) -> crate::Bridge<Stage> {
        self.try_start().await.expect("no crash is planned")
    }

    /// The bridge is killed, with everything that others do on its behalf.
    pub(super) async fn kill(&self, bridge: Option<crate::Bridge<Stage>>) {
        self.faults.die();
        self.homeserver.detach();
        drop(bridge);
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        drop(self.database.begin().await.unwrap());
        self.faults.revive();
    }

    /// Lets the bridge live and die again and again: at the first point, at the second, ... up to `lives` times.
    pub(super) async fn crash(&self, lives: u64) {
        for point in 1..=lives {
            self.faults.crash_at(point);
            let bridge = self.try_start().await;
            if bridge.is_some() {
                // Where there is nothing left to do no point is reached, and there is nothing to wait for.
                let _ = tokio::time::timeout(Duration::from_secs(2), self.faults.crashed()).await;
            }
            self.kill(bridge).await;
        }
    }

    /// With somebody in the room of chat `c`.
    pub(super) async fn opened(mut self) -> (Self, SimUser, String, crate::Bridge<Stage>) {
        let ann = "@ann:hs.example".to_owned();
        self.config.portals = vec![PortalConfig {
            remote_id: "c".into(),
            invite: vec![ann.clone()],
            ..PortalConfig::default()
        }];
        let bridge = self.start().await;
        let homeserver = self.homeserver.clone();
        super::eventually("the configured room", || homeserver.all_rooms().len() == 1).await;
        let room = self.homeserver.all_rooms().remove(0);
        let user = self.homeserver.user(&ann);
        super::eventually("an invitation", || user.join(&room)).await;
        (self, user, room, bridge)
    }

    /// Logs somebody in under a name.
    pub(super) async fn log_in(&self, bridge: &crate::Bridge<Stage>, user: &SimUser, name: &str) {
        let control = bridge.control();
        let mut login = control.start_login(user.id(), "name", None).await.unwrap();
        let step = login.next().await;
        login.answer(step.number, [("name".to_owned(), name.to_owned())].into()).unwrap();
        let done = login.next().await;
        assert!(matches!(done.kind, crate::login::StepKind::Done(_)), "{:?}", done.kind);
        login_becomes(&*control, user.id(), |login| login.id == name, "connected").await;
    }

    /// The events of a type in a room, oldest first.
    pub(super) fn events(&self, room: &str, kind: &str) -> Vec<serde_json::Value> {
        let timeline = self.homeserver.timeline(room);
        timeline.into_iter().filter(|event| event["type"] == kind).collect()
    }

    /// The room of a chat, by its name.
    pub(super) fn room_of(&self, chat: &str) -> Option<String> {
        let name = format!("Chat {chat}");
        let named = |room: &String| {
            let state = self.homeserver.state(room, "m.room.name", "");
            state.is_some_and(|state| state["name"] == *name)
        };
        self.homeserver.all_rooms().into_iter().find(named)
    }
}
