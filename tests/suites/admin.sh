#!/usr/bin/env bash
# What administrators use: synadm lists, creates and deactivates a user and deletes a room.
. tests/lib/common.sh
need_python admin 'synadm==0.49.2'
test_program landbridge
check "synadm administers a server" "$PYTHON" tests/admin/synadm.py "$PROGRAM" "$CACHE/python-admin/bin/synadm"
