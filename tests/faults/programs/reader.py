"""``reader.py ROLE_ARN``: a program that keeps one role, and reads when it is told to.

A line of stdin is one word; the answer is one line of JSON.
"""

from __future__ import annotations

import json
import os
import sys

import rolekeeper


def read(role: rolekeeper.Role) -> dict[str, str]:
    try:
        found = role.credentials()
    except rolekeeper.Error as error:
        return {"error": f"{type(error).__name__}: {error}"}
    return {
        "AccessKeyId": found.access_key,
        "SecretAccessKey": found.secret_key,
        "SessionToken": found.token or "",
        "Expiration": found.expiration.isoformat(),
    }


def main() -> None:
    role = rolekeeper.Role(sys.argv[1])
    held: list[int] = []
    for line in sys.stdin:
        answer: dict[str, str] = {}
        match line.split():
            case ["read"]:
                answer = read(role)
            case ["exhaust"]:
                # Every file descriptor that this process may have.
                try:
                    while True:
                        held.append(os.dup(0))
                except OSError as error:
                    answer = {"held": str(len(held)), "why": str(error)}
            case ["let_go"]:
                for descriptor in held:
                    os.close(descriptor)
                held.clear()
            case ["rejected", key]:
                role.rejected(key)
            case other:
                answer = {"error": f"unknown: {other}"}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
