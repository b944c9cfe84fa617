-- From which network a device code was asked for: what one network may have waiting is limited.
ALTER TABLE oauth_device_codes ADD COLUMN asked_from TEXT NOT NULL DEFAULT '';
CREATE INDEX oauth_device_codes_by_network ON oauth_device_codes (asked_from, state, expires_ms);
