"""Decides what a test sees of AWS: what it was given, and nothing of the machine it runs on."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pytest

_LOOPBACK = "127.0.0.1,localhost,::1"


def only(environment: Mapping[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Sets these variables, hides the machine's other ones and its files.

    The configuration files that SDKs are pointed at don't exist; a test that wants one writes it
    and sets ``AWS_CONFIG_FILE`` itself.
    """
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "no-aws-config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "no-aws-credentials"))
    # No session of this machine's, and none of a test's that stays here.
    monkeypatch.setenv("ROLEKEEPER_STORE", "none")
    # A proxy that this machine uses would be asked for our loopback address.
    for name in ("NO_PROXY", "no_proxy"):
        before = os.environ.get(name)
        monkeypatch.setenv(name, f"{before},{_LOOPBACK}" if before else _LOOPBACK)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
