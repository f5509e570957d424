"""The agent, as an operator runs it: one profile, and every way in which it is delivered."""

from __future__ import annotations

import socket
from pathlib import Path

from process import Process, clean_environment, home, wait_for
from services import Moto, Sandbox

PROFILE = "etl"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Agent:
    """`rolekeeper serve` and `rolekeeper write`, for the role of a service."""

    def __init__(self, rolekeeper: list[str], folder: Path, service: Sandbox | Moto) -> None:
        # The program's own variables say where it calls; STS is elsewhere.
        self.exec = [*rolekeeper, "exec", "--profile", PROFILE, "--endpoint-url", service.sts, "--"]
        self.home = home(folder)
        # What stands under `[default]` is for programs that have this file as theirs.
        (self.home / "config").write_text(
            f"[default]\ncredential_process = {' '.join(rolekeeper)} credential-process"
            f" --profile {PROFILE}\n"
            f"[profile {PROFILE}]\nrole_arn = {service.role}\ncredential_source = Environment\n"
            f"endpoint_url = {service.sts}\n"
        )
        self.environment = clean_environment(self.home) | {
            "AWS_ACCESS_KEY_ID": service.base[0],
            "AWS_SECRET_ACCESS_KEY": service.base[1],
        }
        imds = f"127.0.0.1:{free_port()}"
        words = [*rolekeeper, "serve", "--profile", PROFILE, "--listen", f"127.0.0.1:{free_port()}"]
        words += ["--imds", f"{PROFILE}={imds}"]
        self.process = Process(self.home / "serve.log", words, self.environment)
        told: dict[str, str] = {}
        while "AWS_EC2_METADATA_SERVICE_ENDPOINT" not in told:
            name, equals, value = self.process.line().partition("=")
            if equals:
                told[name.removeprefix("export ")] = value.strip().strip("'")
        self.container = told["AWS_CONTAINER_CREDENTIALS_FULL_URI"]
        self.token_file = Path(told["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"])
        self.imds = told["AWS_EC2_METADATA_SERVICE_ENDPOINT"]

        self.written = self.home / "written"
        words = [*rolekeeper, "write", "--profile", PROFILE, "--section", "default"]
        words += ["--file", str(self.written)]
        self.writer = Process(self.home / "write.log", words, self.environment)
        wait_for("the first session in the file", lambda: self.written.exists() or None)

    def end(self) -> None:
        self.writer.end()
        self.process.end()
