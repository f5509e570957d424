"""The SDK matrix: every client, every delivery that it knows, several sessions and an outage.

`cargo xtask test "SDK matrix"` makes the clients, calls this, and says which of them are missing.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import shutil
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import table
from agent import Agent
from cell import Cell, Pace, Row
from clients import ALL, CLIENTS, Client, Kind, Places
from process import Trouble
from services import Moto, Sandbox

# A session is replaced after a quarter of its life; what is left of it outlives the outage.
SHORT = Pace(lifetime=15, outage=6, run=48, pause=0.2, between_processes=4)
# For clients that need long sessions; on a fast clock, by which these are one or two minutes.
RATE = 60
LONG = Pace(
    lifetime=1800,
    outage=360,
    run=3.2 * 1800,
    pause=12,
    between_processes=240,
    metadata_timeout=30,
)
FAST_CLOCK = "a fast clock"

PAGE = Path(__file__).parent.parent / "docs/sdk-matrix.md"


class Matrix:
    """Services, an agent for each, and the cells that are wanted."""

    def __init__(self, options: argparse.Namespace, pace: Pace, work: Path) -> None:
        self.pace, self.work = pace, work
        self.running: list[Sandbox | Moto | Agent] = []
        self.services: list[Sandbox | Moto] = []
        self.options = options
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)

    def run(self, wanted: list[tuple[Client, str]]) -> list[Row]:
        options = self.options
        places = Places(options.built, options.debug, options.venv, options.aio)
        rolekeeper = [str(options.libc_rolekeeper if options.long else options.rolekeeper)]
        try:
            sandbox = self.started(Sandbox(rolekeeper, self.work, self.pace.lifetime))
            agents = {False: self.agent(rolekeeper, sandbox)}
            if any(client.kind is Kind.JOB for client, _ in wanted):
                server = options.venv / "bin/moto_server"
                moto = self.started(Moto(server, self.work, self.pace.lifetime))
                agents[True] = self.agent(rolekeeper, moto)
            cells = []
            for client, delivery in wanted:
                is_job = client.kind is Kind.JOB
                folder = self.work / f"{client.name}-{delivery}".replace(", ", "-").replace(
                    " ", "-"
                )
                service = moto if is_job else sandbox
                cells.append(
                    Cell(client, delivery, service, agents[is_job], self.pace, places, folder)
                )
            # Two waves: starting programs costs most, and what waits for a core proves nothing.
            starts = [cell for cell in cells if cell.starts_anew]
            rows = self.all_at_once([cell for cell in cells if not cell.starts_anew])
            rows += self.all_at_once(starts)
            for service in self.services:
                issued, refused = service.sessions()
                name = type(service).__name__
                print(f"{name}: {issued} sessions issued, {refused} refused", file=sys.stderr)
            return rows
        finally:
            for thing in reversed(self.running):
                thing.end()

    def started(self, service: Sandbox | Moto) -> Sandbox | Moto:
        self.running.append(service)
        self.services.append(service)
        return service

    def agent(self, rolekeeper: list[str], service: Sandbox | Moto) -> Agent:
        folder = self.work / f"agent-of-{type(service).__name__.lower()}"
        agent = Agent(rolekeeper, folder, service)
        self.running.append(agent)
        return agent

    def all_at_once(self, cells: list[Cell]) -> list[Row]:
        """Begun one after the other, so as not to act in step; the outage hits all of them."""
        if not cells:
            return []
        rows: dict[int, Row] = {}
        troubles: list[str] = []

        def run(number: int, cell: Cell) -> None:
            try:
                rows[number] = cell.run()
            except Exception as trouble:
                troubles.append(f"{cell.client.name}, {cell.delivery}: {trouble}")

        threads = [threading.Thread(target=run, args=job) for job in enumerate(cells)]
        begun = time.monotonic()
        for thread in threads:
            thread.start()
            time.sleep(0.15)
        time.sleep(max(0.0, self.pace.run * 0.5 - (time.monotonic() - begun)))
        with ThreadPoolExecutor() as each:
            list(each.map(self.outage, self.services))
        for thread in threads:
            thread.join()
        if troubles:
            raise Trouble("\n".join(troubles))
        return [rows[number] for number in sorted(rows)]


    def outage(self, service: Sandbox | Moto) -> None:
        """Counts from the first call that it refuses: it can't go by unnoticed."""
        _, refused_before = service.sessions()
        end = time.monotonic() + self.pace.lifetime
        service.down()
        while service.sessions()[1] == refused_before:
            if time.monotonic() > end:
                raise Trouble(f"{type(service).__name__}: nobody noticed the outage")
            time.sleep(self.pace.pause)
        time.sleep(self.pace.outage)
        service.up()


def tried(
    options: argparse.Namespace, pace: Pace, name: str, wanted: list[tuple[Client, str]]
) -> list[Row]:
    """A machine that stands still for seconds fails what nobody has: what fails has one more try, with
    less beside it, and must hold then. The first failure is told all the same."""
    rows = Matrix(options, pace, options.built / name).run(wanted)
    failed = {(row.client, row.delivery) for row in rows if row.expected and not row.holds}
    again = [(client, way) for client, way in wanted if (client.name, way) in failed]
    if not again:
        return rows
    for row in rows:
        if (row.client, row.delivery) in failed:
            what = f"{row.calls} calls, {row.sessions} sessions, {row.failed} failed"
            why = f"{row.refused} refused: {row.first_error}"
            print(f"once more: {row.client}, {row.delivery}: {what}, {why}", file=sys.stderr)
    second = Matrix(options, pace, options.built / f"{name}-again").run(again)
    return [row for row in rows if (row.client, row.delivery) not in failed] + second


def on_a_fast_clock(options: argparse.Namespace) -> list[Row]:
    """This program again, with all that it starts, on a clock of its own."""
    words = ["faketime", "-f", f"+0 x{RATE}", sys.executable, __file__, "--long", *sys.argv[1:]]
    run = subprocess.run(words, stdout=subprocess.PIPE, text=True)
    if run.returncode != 0:
        raise Trouble("the matrix on a fast clock could not be run")
    return [Row(**told) for told in json.loads(run.stdout)]


def main() -> int:
    options = arguments()
    left_out = dict(text.split("=", 1) for text in options.left_out)
    deliveries = [word for word in options.only if word in ALL] or ALL
    names = [word for word in options.only if word not in ALL]
    wanted = [
        (client, delivery)
        for client in CLIENTS
        for delivery in ALL
        if delivery in client.knows
        and delivery in deliveries
        and client.name not in left_out
        and (not names or client.name in names)
    ]
    long = [(client, delivery) for client, delivery in wanted if delivery in client.long_only]
    if options.long:
        rows = tried(options, LONG, "long", long)
        print(json.dumps([dataclasses.asdict(row) for row in rows]))
        return 0

    begun = time.monotonic()
    rows = [] if options.only_long else tried(options, SHORT, "short", wanted)
    if long and FAST_CLOCK not in left_out:
        rows += on_a_fast_clock(options)
    order = {client.name: number for number, client in enumerate(CLIENTS)}
    rows.sort(key=lambda row: (order[row.client], ALL.index(row.delivery), len(row.lifetime)))

    for row in rows:
        verdict = "ok" if row.holds else "FAILED" if row.expected else "known not to hold"
        what = f"{row.client} {row.version}, {row.delivery}, {row.lifetime}"
        print(f"{verdict:8} {what}: {row.calls} calls, {row.sessions} sessions")
        if not row.holds:
            print(f"         {row.failed} failed, {row.refused} refused: {row.first_error}")
    for client, why in left_out.items():
        print(f"NOT RUN  {client}: {why}")
    failed = sum(not row.holds and row.expected for row in rows)
    passed = sum(row.holds for row in rows)
    took = time.monotonic() - begun
    print(f"SDK matrix: {passed} passed, {failed} failed, {len(left_out)} NOT RUN, in {took:.0f} s")
    whole = not left_out and not options.only and not options.only_long
    if whole and not failed:
        numbers = {
            "lifetime": SHORT.lifetime,
            "outage": SHORT.outage,
            "pause": SHORT.pause,
            "rate": RATE,
            "long_outage": LONG.outage // 60,
        }
        if table.write(PAGE, table.page(rows, numbers)):
            print(f"{PAGE.name} was written anew")
    return 1 if failed else 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    # The second asks the C library for the time, where `faketime` answers.
    for name in ("rolekeeper", "libc-rolekeeper", "built", "debug", "venv", "aio"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--left-out", action="append", default=[], metavar="CLIENT=WHY")
    parser.add_argument("--only", action="append", default=[], metavar="CLIENT or DELIVERY")
    parser.add_argument("--only-long", action="store_true")
    parser.add_argument("--long", action="store_true", help="for itself, on a fast clock")
    return parser.parse_args()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Trouble as trouble:
        sys.exit(f"error: {trouble}")
