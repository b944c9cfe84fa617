//! The versions of the schema of accounts and of everything that belongs to one: devices, tokens, keys, profile,
//! account data.

use landbridge_database::Migrations;

/// Every step from an empty database to today's tables of accounts. A released step never changes.
pub const ACCOUNTS: Migrations = Migrations::new(
    "homeserver_accounts",
    &[
        include_str!("migrations/accounts_0001.sql"),
        include_str!("migrations/accounts_notifications.sql"),
        include_str!("migrations/accounts_moderation.sql"),
        include_str!("migrations/accounts_notices.sql"),
        include_str!("migrations/accounts_directories.sql"),
        include_str!("migrations/accounts_pushers.sql"),
        include_str!("migrations/accounts_webpush.sql"),
        include_str!("migrations/accounts_sso.sql"),
        include_str!("migrations/accounts_admin.sql"),
        include_str!("migrations/accounts_registration_tokens.sql"),
        include_str!("migrations/accounts_erased.sql"),
        include_str!("migrations/accounts_threepids.sql"),
        include_str!("migrations/accounts_email_pushers.sql"),
        include_str!("migrations/accounts_oauth.sql"),
        include_str!("migrations/accounts_unbinding.sql"),
        include_str!("migrations/accounts_proof_tokens.sql"),
        include_str!("migrations/accounts_oauth_limits.sql"),
        include_str!("migrations/accounts_oauth_origin.sql"),
        include_str!("migrations/accounts_browser_proof.sql"),
    ],
);
