"""One process that calls two STS endpoints, one after the other."""

from __future__ import annotations

import os

import pytest

import rolekeeper
from rolekeeper.testing import Sandbox


def test_a_role_calls_the_endpoint_that_was_set_when_it_was_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def role_at(sandbox: Sandbox) -> rolekeeper.Role:
        for name, value in sandbox.environment.items():
            monkeypatch.setenv(name, value)
        role = rolekeeper.Role(sandbox.role_arn())
        role.refresh_now()
        return role

    assert "AWS_ENDPOINT_URL_STS" not in os.environ
    with Sandbox() as one, Sandbox() as two:
        first, second = role_at(one), role_at(two)
        first.refresh_now()
        second.refresh_now()
        for sandbox in (one, two):
            assert sandbox.counts().calls("AssumeRole") == 2
