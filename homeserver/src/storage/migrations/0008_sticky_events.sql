-- Until when an event is sticky (MSC4354), in ms since 1970; null for those that never were.
ALTER TABLE event ADD COLUMN sticky_until BIGINT;
CREATE INDEX event_sticky ON event (sticky_until) WHERE sticky_until IS NOT NULL;
ALTER TABLE delayed_event ADD COLUMN sticky BIGINT;
