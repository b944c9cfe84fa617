#!/usr/bin/env bash
# The IRC bridge on real servers, ngircd and inspircd: its own tests of client and puppets, then kill -9. CI's size; the full one is
# IRC_MESSAGES=2000 IRC_PUPPETS=20 IRC_RELAYED=300 IRC_KILLS=20.
. tests/lib/common.sh
export PATH=$PATH:/usr/sbin
need_command ngircd ngircd
need_command inspircd inspircd
release_build
test_program crash_irc
check "our homeserver, the IRC bridge, ngircd and inspircd" env \
    IRC_MESSAGES="${IRC_MESSAGES:-200}" IRC_KILLS="${IRC_KILLS:-3}" "$PROGRAM"
