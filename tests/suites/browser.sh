#!/usr/bin/env bash
# Quick start in a real browser: the admin's one-time link, a message from the Playground's page to /sync, one from Matrix to the page.
. tests/lib/common.sh
need_command chromium chromium
need_command chromedriver chromium-driver
need_python browser 'selenium==4.46.0'
release_build
check "quick start in Chromium" "$PYTHON" tests/browser/quick_start.py "$LANDBRIDGE_BINARY"
