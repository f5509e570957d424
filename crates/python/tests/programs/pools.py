"""``pools.py HOW``: worker processes use one session and one client that their parent has made."""

from __future__ import annotations

import concurrent.futures
import copy
import multiprocessing
import os
import pickle
import sys
import time
from collections.abc import Iterator
from typing import Any

import boto3

import rolekeeper

# Shorter than what a worker does, so that sessions end under it.
CALLS = 9
PAUSE = 0.5

session: Any = None
client: Any = None


def prepare() -> None:
    """In the parent, before it forks; nothing has been asked of the client."""
    global session, client
    role = "arn:aws:iam::123456789012:role/demo"
    session = rolekeeper.Session(role_arn=role, region_name="us-east-1")
    client = session.client("sts")


def work(given: Any = None) -> set[str]:
    """Calls through the client across several sessions; says who it was, and by which keys."""
    mine = client if given is None else given.client("sts")
    held = session if given is None else given
    keys = set()
    for _ in range(CALLS):
        who = mine.get_caller_identity()
        assert who["Arn"].startswith("arn:aws:sts::123456789012:assumed-role/demo/")
        keys.add(held.get_credentials().get_frozen_credentials().access_key)
        time.sleep(PAUSE)
    return keys


def gather(results: list[set[str]]) -> None:
    assert len(results) == 2
    for keys in results:
        assert len(keys) > 1, "sessions ended under it"


def pool(method: str) -> None:
    context = multiprocessing.get_context(method)
    with context.Pool(2) as workers:
        given = [None, None] if method == "fork" else [session, session]
        gather(workers.map(work, given, chunksize=1))


def executor(method: str) -> None:
    context = multiprocessing.get_context(method)
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as workers:
        given = [None, None] if method == "fork" else [session, session]
        gather(list(workers.map(work, given)))


class Dataset:
    """As PyTorch's loaders use one: made in the parent, pickled or inherited, read in workers."""

    def __init__(self, session: Any) -> None:
        self.session = session

    def __iter__(self) -> Iterator[str]:
        yield from self.session.get_credentials().get_frozen_credentials()[:1]
        yield self.session.client("sts").get_caller_identity()["Arn"]


def load(dataset: Dataset, results: Any) -> None:
    results.put((os.getpid(), list(dataset)))


def loader(method: str) -> None:
    dataset = Dataset(session)
    (held, _) = list(dataset)  # The parent reads as well.
    context = multiprocessing.get_context(method)
    results = context.Queue()
    workers = [context.Process(target=load, args=(dataset, results)) for _ in range(2)]
    for worker in workers:
        worker.start()
    found = [results.get(timeout=30) for _ in workers]
    for worker in workers:
        worker.join(30)
        assert worker.exitcode == 0
    for _, (_, arn) in found:
        assert "assumed-role/demo/" in arn
    if method != "fork":
        assert len({held, *(key for _, (key, _) in found)}) == 3, "each has a session of its own"


def carried(how: str) -> None:
    """A copy carries the recipe, and neither key, secret nor token."""
    import cloudpickle

    frozen = session.get_credentials().get_frozen_credentials()
    role = rolekeeper.Role("arn:aws:iam::123456789012:role/demo", region_name="us-east-1")
    held = role.get_frozen_credentials()
    for thing, secrets in ((session, frozen), (role, held)):
        for dumps in (pickle.dumps, cloudpickle.dumps):
            carried = dumps(thing)
            for part in secrets[:3]:
                assert part.encode() not in carried, "it carries a part of the session"
            twin = pickle.loads(carried)
            assert key_of(twin) != key_of(thing), "it makes a session of its own"
        assert key_of(copy.deepcopy(thing)) != key_of(thing)
        assert key_of(copy.copy(thing)) != key_of(thing)
    del how


def key_of(thing: Any) -> str:
    source = thing.get_credentials() if isinstance(thing, boto3.Session) else thing
    return str(source.get_frozen_credentials()[0])


if __name__ == "__main__":
    prepare()
    globals()[sys.argv[1]](sys.argv[2])
