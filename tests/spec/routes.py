#!/usr/bin/env python3
"""Compares the server's routes with the specification's OpenAPI data.

  routes.py ROUTES EXTENSIONS    both files: a method and a path a line, `#` begins a comment

A route must stand in the specification with that method and path, or in the list of extensions; an extension that
has no route any more, or that the specification has by now, is refused too, so that the list stays true.
"""
import re
import sys

import speccheck


def read(path):
    lines = (line.split("#")[0].split() for line in open(path))
    return [(words[0], words[1]) for words in lines if words]


def shape(method, path):
    """A path with the names of its parameters left out."""
    return method, re.sub(r"\{[^}]*\}", "{}", path).rstrip("/")


def main(routes, extensions):
    known = {shape(op.method, op.path) for op in speccheck.operations()}
    ours = {shape(*route): route for route in read(routes)}
    listed = {shape(*route): route for route in read(extensions)}
    wrong = []
    for key, route in sorted(ours.items()):
        if key not in known and key not in listed:
            wrong.append("%s %s is neither in the specification nor in the list of extensions" % route)
    for key, route in sorted(listed.items()):
        if key not in ours:
            wrong.append("%s %s is listed as an extension, but there is no such route" % route)
        elif key in known:
            wrong.append("%s %s is listed as an extension, but the specification has it" % route)
    print("\n".join(wrong) if wrong else f"   {len(ours)} routes, {len(listed)} of them extensions")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
