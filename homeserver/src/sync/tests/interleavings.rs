//! Random interleavings of writes, syncs, lost answers and restarts: whatever the order, no device misses an event or is told one twice.
//!
//! Each case has a few users with several devices each, which sync in different ways. `LANDBRIDGE_SYNC_CASES` says how many cases to
//! run, `LANDBRIDGE_SYNC_SEED` with which seed to begin; a failure names its own.

mod device;
mod world;

use futures::future::join_all;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use self::device::{Device, Kind};
use self::world::{Op, World};
use super::rig::Rig;

/// Steps of a case.
const STEPS: usize = 30;
/// Cases that share a server.
const CASES_PER_SERVER: u64 = 20;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[tokio::test]
async fn no_device_misses_an_event_or_is_told_one_twice() {
    let cases = number("LANDBRIDGE_SYNC_CASES", 6);
    let first = number("LANDBRIDGE_SYNC_SEED", 1);
    let mut rig = None;
    for seed in first..first.saturating_add(cases) {
        let begun = match rig.take() {
            Some(rig) if !(seed - first).is_multiple_of(CASES_PER_SERVER) => rig,
            _ => Rig::new().await,
        };
        rig = Some(case(begun, seed).await);
    }
}

async fn case(mut rig: Rig, seed: u64) -> Rig {
    let mut random = StdRng::seed_from_u64(seed);
    let (users, rooms) = (random.random_range(2..=3), random.random_range(1..=3));
    let mut world = World::new(&rig, seed, users, rooms, &mut random).await;
    let mut devices = Vec::new();
    for user in 0..users {
        for _ in 0..random.random_range(1..=2) {
            let token = world.log_in(&rig, user).await;
            let kind = Kind::random(&mut random);
            devices.push(Device::new(seed, user, token, kind, rooms));
        }
    }
    world.sent = vec![0; devices.len()];
    let restart_at = random.random_range(0..STEPS * 3);
    for step in 0..STEPS {
        if step == restart_at {
            rig = rig.restart().await;
        }
        // A few things at once, of which each device does one at most.
        let mut ops: Vec<Op> = (0..random.random_range(0..=2))
            .map(|_| Op::random(&mut random, users, rooms, devices.len()))
            .collect();
        // Of two at once nobody could say which was first.
        ops.dedup_by(|one, other| one.is_ordered() && other.is_ordered());
        let syncing: Vec<bool> = devices.iter().map(|_| random.random_bool(0.3)).collect();
        let lost: Vec<bool> = devices.iter().map(|_| random.random_bool(0.2)).collect();
        let before = world.epochs.clone();
        for op in &mut ops {
            world.expect(op);
        }
        let writes = join_all(ops.iter().map(|op| world.carry_out(&rig, op, &devices)));
        let asking = devices.iter().zip(&syncing).filter(|(_, syncs)| **syncs);
        let syncs = join_all(asking.map(|(device, _)| device.ask(&rig, &world, false)));
        let (_, answers) = futures::join!(writes, syncs);
        let mut answers = answers.into_iter();
        for ((device, syncs), lost) in devices.iter_mut().zip(syncing).zip(lost) {
            if !syncs {
                continue;
            }
            let answer = answers.next().expect("an answer for each that asked");
            if !lost {
                device.take(&rig, &world, answer, &before).await;
            }
        }
    }
    for device in &mut devices {
        device.catch_up(&rig, &world).await;
    }
    for (at, device) in devices.iter().enumerate() {
        device.check(&rig, &world, world.sent[at]).await;
    }
    rig
}
