-- When somebody showed who they are: at an identity provider that may have been long before they signed in here. Of those who are signed in
-- nobody knows, and they are asked again.
ALTER TABLE browser_sessions ADD COLUMN proven_ms BIGINT NOT NULL DEFAULT 0;
