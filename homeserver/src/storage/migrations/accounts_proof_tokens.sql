-- The token of a message that is on its way: until it is out, the one before is good as well.
ALTER TABLE threepid_proofs ADD COLUMN next_token BLOB;
