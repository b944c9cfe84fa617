//! The versions of the homeserver's schema.

use landbridge_database::Migrations;

/// Every step from an empty database to today's schema. A released step never changes.
pub const SCHEMA: Migrations = Migrations::new(
    "homeserver",
    &[
        include_str!("migrations/0001_rooms.sql"),
        include_str!("migrations/0002_media.sql"),
        include_str!("migrations/0003_appservices.sql"),
        include_str!("migrations/0004_key_backup.sql"),
        include_str!("migrations/0005_key_signatures.sql"),
        include_str!("migrations/0006_dehydrated_devices.sql"),
        include_str!("migrations/0004_url_previews.sql"),
        include_str!("migrations/0005_search.sql"),
        include_str!("migrations/0006_upgrades.sql"),
        include_str!("migrations/0007_places.sql"),
        include_str!("migrations/0004_sliding_sync.sql"),
        include_str!("migrations/0005_delayed_events.sql"),
        include_str!("migrations/0006_thread_subscriptions.sql"),
        include_str!("migrations/admin_rooms.sql"),
        include_str!("migrations/admin_media.sql"),
        include_str!("migrations/0008_sticky_events.sql"),
    ],
);
