-- From which session at an identity provider people came who signed in in a browser, and what they granted there: it ends with that session.
ALTER TABLE browser_sessions ADD COLUMN provider TEXT;
ALTER TABLE browser_sessions ADD COLUMN subject TEXT;
ALTER TABLE browser_sessions ADD COLUMN sid TEXT;
CREATE INDEX browser_sessions_of_provider ON browser_sessions (provider, subject);
ALTER TABLE oauth_codes ADD COLUMN provider TEXT;
ALTER TABLE oauth_codes ADD COLUMN subject TEXT;
ALTER TABLE oauth_codes ADD COLUMN sid TEXT;
ALTER TABLE oauth_device_codes ADD COLUMN provider TEXT;
ALTER TABLE oauth_device_codes ADD COLUMN subject TEXT;
ALTER TABLE oauth_device_codes ADD COLUMN sid TEXT;
-- Until when the code of a session is known to be one that comes again.
ALTER TABLE oauth_sessions ADD COLUMN code_until_ms BIGINT;
