"""``forking.py ROLE_ARN``: a program that forks while a fetch is under way. It does what it is told by
lines of stdin, and says when it has."""

from __future__ import annotations

import os
import sys
import time

import rolekeeper

CHILDREN = 8
# Seconds.
PATIENCE = 40


def has_a_new_one(role: rolekeeper.Role, old: str) -> bool:
    """Whether it comes to a session that is not the old one, never being without one."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if role.get_frozen_credentials().access_key != old:
            return True
        time.sleep(0.05)
    return False


def main() -> None:
    role = rolekeeper.Role(sys.argv[1])
    old = role.get_frozen_credentials().access_key
    print("ready", flush=True)

    assert sys.stdin.readline() == "fork\n"
    children = []
    for _ in range(CHILDREN):
        child = os.fork()
        if child == 0:
            # The session of before the fork is read at once, and replaced later.
            is_well = role.get_frozen_credentials().access_key == old and has_a_new_one(role, old)
            os._exit(0 if is_well else 1)
        children.append(child)
        assert role.get_frozen_credentials().access_key == old
    print("forked", flush=True)

    assert sys.stdin.readline() == "read\n"
    well = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0 for child in children]
    well.append(has_a_new_one(role, old))
    print(f"{sum(well)} of {len(well)} read a new session", flush=True)
    sys.stdin.readline()


if __name__ == "__main__":
    main()
