"""The drop-ins for aiobotocore's classes: fresh credentials, and an event loop that is never held up.

No event loop here is ever waited for by the clock: a source takes exactly as long as a test says.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import copy
import inspect
import pickle
import threading
import time
from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest

import rolekeeper

if TYPE_CHECKING:
    from rolekeeper.aio import AioDeferredRefreshableCredentials, AioRefreshableCredentials
    from rolekeeper.testing import SimulatedClock

pytestmark = pytest.mark.needs(aiobotocore="2.25")

# Seconds until something that must come counts as lost. Nothing waits for it to pass.
PATIENCE = 30
HOUR = 3600


def answer(number: int = 1, life: float = HOUR, since: float | None = None) -> dict[str, Any]:
    now = time.time() if since is None else since
    return {
        "access_key": f"KEY{number}",
        "secret_key": f"secret {number}",
        "token": f"token {number}",
        "expiry_time": datetime.fromtimestamp(now + life, timezone.utc),
        "account_id": "123456789012",
    }


class Source:
    """A function that makes sessions, and takes until it is let go; not async."""

    def __init__(self, is_open: bool = True) -> None:
        self.calls = 0
        self.begun = threading.Event()
        self.gate = threading.Event()
        self.failure: BaseException | None = None
        self.clock: SimulatedClock | None = None
        if is_open:
            self.gate.set()

    def __call__(self) -> dict[str, Any]:
        self.calls += 1
        self.begun.set()
        assert self.gate.wait(PATIENCE)
        if self.failure is not None:
            raise self.failure
        return answer(self.calls, since=self.clock and self.clock.time())


class AsyncSource:
    """The same, async: it takes as many turns of its loop as it is told."""

    def __init__(self, turns: int = 3) -> None:
        self.calls = 0
        self.turns = turns
        self.loops: list[asyncio.AbstractEventLoop] = []
        self.failure: BaseException | None = None

    async def __call__(self) -> dict[str, Any]:
        self.calls += 1
        self.loops.append(asyncio.get_running_loop())
        for _ in range(self.turns):
            await asyncio.sleep(0)
        if self.failure is not None:
            raise self.failure
        return answer(self.calls)


def deferred(source: Callable[[], Any], **named: Any) -> AioDeferredRefreshableCredentials:
    from rolekeeper.aio import AioDeferredRefreshableCredentials

    return AioDeferredRefreshableCredentials(source, "test", **named)


def started(
    source: Callable[[], Any], life: float = HOUR, **named: Any
) -> AioRefreshableCredentials:
    from rolekeeper.aio import AioRefreshableCredentials

    return AioRefreshableCredentials.create_from_metadata(answer(0, life), source, "test", **named)


async def until(happened: Callable[[], bool]) -> None:
    """Lets the loop turn until it has happened: for what other threads do."""
    limit = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < limit, "it never happened"
        await asyncio.sleep(0)


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(work)


# === the classes ===


def test_they_are_aiobotocores_and_botocores_classes_and_ours() -> None:
    import aiobotocore.credentials
    import botocore.credentials

    credentials = deferred(Source())
    for group in (
        aiobotocore.credentials.AioDeferredRefreshableCredentials,
        aiobotocore.credentials.AioRefreshableCredentials,
        botocore.credentials.DeferredRefreshableCredentials,
        botocore.credentials.RefreshableCredentials,
        rolekeeper.DeferredRefreshableCredentials,
        rolekeeper.RefreshableCredentials,
    ):
        assert isinstance(credentials, group)


def test_what_aiobotocore_awaits_is_awaited_here_and_the_rest_is_not() -> None:
    from aiobotocore import credentials as theirs

    from rolekeeper import aio

    for ours, other in (
        (aio.AioRefreshableCredentials, theirs.AioRefreshableCredentials),
        (aio.AioDeferredRefreshableCredentials, theirs.AioDeferredRefreshableCredentials),
    ):
        for name, member in inspect.getmembers(other):
            if callable(member) and not name.startswith("__"):
                wants_await = inspect.iscoroutinefunction(member)
                assert inspect.iscoroutinefunction(getattr(ours, name)) == wants_await, name


def test_every_part_is_read_with_await() -> None:
    async def read() -> None:
        credentials = deferred(Source())
        frozen = await credentials.get_frozen_credentials()
        assert frozen == ("KEY1", "secret 1", "token 1", "123456789012")
        assert await credentials.get_access_key() == "KEY1"
        assert await credentials.get_secret_key() == "secret 1"
        assert await credentials.get_token() == "token 1"
        assert await credentials.get_account_id() == "123456789012"

    run(read())


@pytest.mark.parametrize("name", ["access_key", "secret_key", "token", "account_id"])
def test_a_part_read_without_await_says_what_to_do(name: str) -> None:
    credentials = started(Source())
    with pytest.raises(NotImplementedError, match="get_frozen_credentials"):
        getattr(credentials, name)


def test_private_names_follow_the_session_as_in_aiobotocore() -> None:
    async def read() -> None:
        credentials = started(Source())
        assert credentials._access_key == "KEY0"
        assert isinstance(credentials._refresh_lock, asyncio.Lock)
        await credentials.refresh_now()
        assert (credentials._access_key, credentials._token) == ("KEY1", "token 1")
        assert credentials._frozen_credentials == await credentials.get_frozen_credentials()
        assert credentials._expiry_time is not None
        assert not credentials.refresh_needed()

    run(read())


def test_a_subclass_with_its_own_refresh_is_read_through_it() -> None:
    from rolekeeper.aio import AioRefreshableCredentials

    class Noting(AioRefreshableCredentials):
        noted = 0

        async def _refresh(self) -> None:  # type: ignore[override]
            self.noted += 1
            await super()._refresh()

    async def read() -> None:
        credentials = Noting.create_from_metadata(answer(0), Source(), "test")
        assert (await credentials.get_frozen_credentials()).access_key == "KEY0"
        assert credentials.noted == 1

    run(read())


def test_a_subclass_with_its_own_idea_of_when_refreshes_then() -> None:
    from rolekeeper.aio import AioRefreshableCredentials

    class Eager(AioRefreshableCredentials):
        def refresh_needed(self, refresh_in: float | None = None) -> bool:
            return self._access_key == "KEY0"

    async def read() -> None:
        credentials = Eager.create_from_metadata(answer(0), Source(), "test")
        assert (await credentials.get_frozen_credentials()).access_key == "KEY1"
        assert (await credentials.get_frozen_credentials()).access_key == "KEY1"

    run(read())


# === the event loop is never held up ===


@pytest.mark.parametrize("mode", ["background", "on-demand"])
def test_a_ticking_task_keeps_ticking_while_the_source_takes_its_time(mode: str) -> None:
    source = Source(is_open=False)

    async def tick() -> int:
        """Only a loop that turns lets the source go."""
        ticks = 0
        await until(source.begun.is_set)
        while ticks < 1_000:
            await asyncio.sleep(0)
            ticks += 1
        source.gate.set()
        return ticks

    async def read() -> None:
        credentials = deferred(source)
        credentials.refresh_mode = mode  # type: ignore[assignment]
        frozen, ticks = await asyncio.gather(credentials.get_frozen_credentials(), tick())
        assert frozen.access_key == "KEY1"
        assert ticks == 1_000

    run(read())


def test_a_thousand_tasks_wait_for_one_fetch_in_one_thread() -> None:
    source = Source(is_open=False)

    async def read() -> None:
        loop: Any = asyncio.get_running_loop()
        credentials = deferred(source)
        tasks = [asyncio.create_task(credentials.get_frozen_credentials()) for _ in range(1_000)]
        await until(source.begun.is_set)
        waiting = [each for each in threading.enumerate() if each.name == "rolekeeper-wait"]
        assert len(waiting) == 1
        # The pool that the program's own blocking calls run in is not touched.
        assert loop._default_executor is None
        source.gate.set()
        assert {frozen.access_key for frozen in await asyncio.gather(*tasks)} == {"KEY1"}
        assert source.calls == 1

    run(read())


def test_a_valid_session_is_read_without_giving_up_the_turn() -> None:
    credentials = started(Source(is_open=False))
    reading = credentials.get_frozen_credentials()

    async def read() -> Any:
        with pytest.raises(StopIteration) as done:
            reading.send(None)
        return done.value.value

    assert run(read()).access_key == "KEY0"


def test_a_valid_session_is_read_at_once_while_a_newer_one_is_being_fetched() -> None:
    source = Source(is_open=False)

    async def read() -> None:
        credentials = started(source)
        fetching = asyncio.create_task(credentials.refresh_now())
        await until(source.begun.is_set)
        assert (await credentials.get_frozen_credentials()).access_key == "KEY0"
        source.gate.set()
        await fetching
        assert (await credentials.get_frozen_credentials()).access_key == "KEY1"

    run(read())


def test_a_task_that_is_cancelled_cancels_nothing_else() -> None:
    source = Source(is_open=False)

    async def read() -> None:
        credentials = deferred(source)
        tasks = [asyncio.create_task(credentials.get_frozen_credentials()) for _ in range(3)]
        await until(source.begun.is_set)
        tasks[0].cancel()
        with pytest.raises(asyncio.CancelledError):
            await tasks[0]
        source.gate.set()
        for task in tasks[1:]:
            assert (await task).access_key == "KEY1"

    run(read())


def test_a_fetch_that_nobody_waits_for_any_more_is_of_use_to_the_next_reader() -> None:
    source = Source(is_open=False)

    async def read() -> None:
        credentials = deferred(source)
        task = asyncio.create_task(credentials.get_frozen_credentials())
        await until(source.begun.is_set)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        source.gate.set()
        assert (await credentials.get_frozen_credentials()).access_key == "KEY1"
        assert source.calls == 1

    run(read())


def test_a_read_gives_up_at_its_deadline() -> None:
    source = Source(is_open=False)

    async def read() -> None:
        credentials = deferred(source)
        credentials.read_deadline = 0.05
        with pytest.raises(rolekeeper.UnavailableError):
            await credentials.get_frozen_credentials()

    run(read())
    source.gate.set()


def test_two_loops_in_two_threads_share_one_fetch() -> None:
    source = Source(is_open=False)
    credentials = deferred(source)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        reads = [pool.submit(lambda: run(read_of(credentials))) for _ in range(2)]
        assert source.begun.wait(PATIENCE)
        source.gate.set()
        assert {read.result(PATIENCE).access_key for read in reads} == {"KEY1"}
    assert source.calls == 1


async def read_of(credentials: AioRefreshableCredentials) -> Any:
    return await credentials.get_frozen_credentials()


def test_a_loop_that_ends_while_its_task_waits_leaves_the_next_loop_alone() -> None:
    source = Source(is_open=False)
    credentials = deferred(source)

    async def leave() -> None:
        reading = asyncio.create_task(credentials.get_frozen_credentials())
        await until(source.begun.is_set)
        reading.cancel()

    run(leave())
    source.gate.set()
    assert run(read_of(credentials)).access_key == "KEY1"
    assert source.calls == 1


# === async sources ===


def test_an_async_source_runs_on_the_loop_that_reads() -> None:
    source = AsyncSource()

    async def read() -> None:
        credentials = deferred(source)
        await credentials.get_frozen_credentials()
        assert source.loops == [asyncio.get_running_loop()]

    run(read())


def test_a_refresh_in_the_background_runs_on_the_loop_that_reads(
    rolekeeper_clock: SimulatedClock,
) -> None:
    source = AsyncSource()
    credentials = started(source)  # Made before there is a loop.

    async def read() -> None:
        assert (await credentials.get_frozen_credentials()).access_key == "KEY0"
        rolekeeper_clock.advance(HOUR * 0.7)
        await until(lambda: credentials.generation > 1)
        assert source.loops == [asyncio.get_running_loop()]
        assert (await credentials.get_frozen_credentials()).access_key == "KEY1"

    run(read())


def test_without_a_running_loop_an_async_source_has_a_loop_of_its_own(
    rolekeeper_clock: SimulatedClock,
) -> None:
    source = AsyncSource()
    credentials = started(source)
    first = run(read_of(credentials))
    assert first.access_key == "KEY0"

    # The loop that has read them is over.
    newer = threading.Event()
    threading.Thread(target=lambda: (credentials._refresh_now(), newer.set()), daemon=True).start()
    assert newer.wait(PATIENCE)
    assert run(read_of(credentials)).access_key == "KEY1"
    assert len(source.loops) == 1


def test_a_loop_that_ends_under_an_async_source_fails_that_fetch_only() -> None:
    begun = threading.Event()

    class Endless(AsyncSource):
        async def __call__(self) -> dict[str, Any]:
            if self.calls == 0:
                self.calls += 1
                begun.set()
                await asyncio.Event().wait()
            return await super().__call__()

    source = Endless()
    credentials = deferred(source)
    credentials.refresh_mode = "on-demand"

    async def leave() -> None:
        reading = asyncio.create_task(credentials.get_frozen_credentials())
        await until(begun.is_set)
        reading.cancel()

    run(leave())
    assert run(read_again(credentials)).access_key == "KEY2"


async def read_again(credentials: AioRefreshableCredentials) -> Any:
    """Reads until the error of the fetch that was cut short is no longer kept."""
    limit = time.monotonic() + PATIENCE
    while True:
        try:
            return await credentials.get_frozen_credentials()
        except rolekeeper.UnavailableError as error:
            assert time.monotonic() < limit
            await asyncio.sleep(error.next_try or 0)


def test_a_loop_that_stops_for_good_under_an_async_source_fails_that_fetch_only() -> None:
    """Nobody cancels the tasks of a loop that is stopped and left."""
    source = AsyncSource(turns=1_000_000_000)
    credentials = deferred(source)
    loop = asyncio.new_event_loop()

    async def begin() -> None:
        reading = asyncio.ensure_future(credentials.get_frozen_credentials())
        reading.add_done_callback(lambda done: done.cancelled() or done.exception())
        await until(lambda: source.calls == 1)

    loop.run_until_complete(begin())
    source.turns = 0
    try:
        assert run(read_again(credentials)).access_key == "KEY2"
    finally:
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


def test_an_async_source_that_never_returns_is_given_up() -> None:
    ended = threading.Event()

    async def hang() -> dict[str, Any]:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        raise AssertionError

    async def read() -> None:
        credentials = deferred(hang)
        credentials.attempt_timeout = 0.05
        with pytest.raises(rolekeeper.UnavailableError):
            await credentials.get_frozen_credentials()
        # It was cancelled, and not left hanging: the next fetch can begin.
        await until(ended.is_set)

    run(read())


@pytest.mark.parametrize("has_home", [True, False])
def test_an_async_source_that_is_cancelled_cancels_no_reader(has_home: bool) -> None:
    source = AsyncSource()
    source.failure = asyncio.CancelledError()

    async def read() -> None:
        credentials = deferred(source)
        credentials.refresh_mode = "on-demand"
        if not has_home:
            # As if they were of a loop that is over.
            credentials._begin_fetch = _away_from_home(credentials)  # type: ignore[method-assign]
        with pytest.raises(rolekeeper.UnavailableError, match="cancelled"):
            await credentials.get_frozen_credentials()

    run(read())


def _away_from_home(credentials: AioRefreshableCredentials) -> Callable[[], Any]:
    begin = credentials._begin_fetch

    def begin_away() -> Any:
        credentials._home = lambda: None
        return begin()

    return begin_away


def test_a_source_that_is_not_async_never_runs_on_the_loops_thread() -> None:
    threads: list[int] = []

    def source() -> dict[str, Any]:
        threads.append(threading.get_ident())
        return answer(1)

    async def read() -> None:
        await deferred(source).get_frozen_credentials()
        assert threads != [threading.get_ident()]

    run(read())


def test_a_lambda_that_gives_an_awaitable_is_awaited() -> None:
    source = AsyncSource()

    async def read() -> None:
        assert (await deferred(lambda: source()).get_frozen_credentials()).access_key == "KEY1"

    run(read())


@pytest.mark.parametrize("is_async", [False, True])
def test_a_fetch_for_a_reader_runs_in_that_readers_context(is_async: bool) -> None:
    """botocore notes in it what its calls are for."""
    asked_by: contextvars.ContextVar[str] = contextvars.ContextVar("asked_by", default="nobody")
    heard: list[str] = []

    def source() -> dict[str, Any]:
        heard.append(asked_by.get())
        return answer(1)

    async def async_source() -> dict[str, Any]:
        await asyncio.sleep(0)
        return source()

    async def read() -> None:
        asked_by.set("the reader")
        await deferred(async_source if is_async else source).get_frozen_credentials()
        assert heard == ["the reader"]

    run(read())


# === errors ===


@pytest.mark.parametrize("kind", [Source, AsyncSource])
def test_in_the_background_a_reader_gets_our_error_from_the_sources(kind: Any) -> None:
    source = kind()
    source.failure = OSError("the vault is closed")

    async def read() -> None:
        credentials = deferred(source)
        with pytest.raises(rolekeeper.UnavailableError, match="the vault is closed") as raised:
            await credentials.get_frozen_credentials()
        assert raised.value.__cause__ is source.failure

    run(read())


@pytest.mark.parametrize("kind", [Source, AsyncSource])
def test_on_demand_a_reader_gets_what_the_source_raised(kind: Any) -> None:
    source = kind()
    source.failure = LookupError("no such role")

    async def read() -> None:
        credentials = deferred(source)
        credentials.refresh_mode = "on-demand"
        with pytest.raises(LookupError) as raised:
            await credentials.get_frozen_credentials()
        assert raised.value is source.failure

    run(read())


def test_a_source_that_is_denied_says_so() -> None:
    source = AsyncSource()
    source.failure = rolekeeper.DeniedError("not any more")

    async def read() -> None:
        from botocore.exceptions import CredentialRetrievalError

        with pytest.raises(rolekeeper.DeniedError, match="not any more") as raised:
            await deferred(source).get_frozen_credentials()
        assert isinstance(raised.value, CredentialRetrievalError)
        assert not raised.value.retryable

    run(read())


def test_a_failure_in_the_background_harms_no_reader_while_the_session_is_valid() -> None:
    source = AsyncSource()
    source.failure = OSError("down")

    async def read() -> None:
        credentials = started(source)
        with pytest.raises(rolekeeper.UnavailableError):
            await credentials.refresh_now()
        assert (await credentials.get_frozen_credentials()).access_key == "KEY0"
        assert isinstance(credentials.last_error, rolekeeper.UnavailableError)

    run(read())


def test_a_source_that_raises_stop_iteration_does_not_leave_readers_hanging() -> None:
    source = Source()
    source.failure = StopIteration()

    async def read() -> None:
        credentials = deferred(source)
        credentials.refresh_mode = "on-demand"
        # So does asyncio: no coroutine can raise a StopIteration.
        with pytest.raises(RuntimeError):
            await credentials.get_frozen_credentials()

    run(read())


def test_tasks_that_share_a_failure_do_not_pile_up_each_others_tracebacks() -> None:
    source = Source(is_open=False)
    source.failure = OSError("down")

    async def read() -> None:
        credentials = deferred(source)
        tasks = [asyncio.create_task(credentials.get_frozen_credentials()) for _ in range(100)]
        await until(source.begun.is_set)
        source.gate.set()
        errors = await asyncio.gather(*tasks, return_exceptions=True)
        assert {type(error) for error in errors} == {rolekeeper.UnavailableError}
        lines, traceback = 0, errors[0].__traceback__
        while traceback is not None:
            lines, traceback = lines + 1, traceback.tb_next
        assert lines < 15

    run(read())


def test_closed_credentials_raise() -> None:
    async def read() -> None:
        credentials = started(Source())
        credentials.close()
        with pytest.raises(rolekeeper.Error, match="closed"):
            await credentials.get_frozen_credentials()

    run(read())


# === on demand ===


def test_on_demand_the_first_read_of_a_session_in_hand_needs_no_thread() -> None:
    async def read() -> None:
        credentials = started(Source(is_open=False))
        credentials.refresh_mode = "on-demand"
        reading = credentials.get_frozen_credentials()
        with pytest.raises(StopIteration):
            reading.send(None)

    run(read())


@pytest.fixture
def nearly_over(rolekeeper_clock: SimulatedClock) -> tuple[Source, AioRefreshableCredentials]:
    """On demand, in the window in which a refresh is wanted, and the session valid still."""
    source = Source(is_open=False)
    source.clock = rolekeeper_clock
    credentials = deferred(source, advisory_timeout=900, mandatory_timeout=600)
    credentials.refresh_mode = "on-demand"
    source.gate.set()
    assert run(read_of(credentials)).access_key == "KEY1"
    source.gate.clear()
    source.begun.clear()
    rolekeeper_clock.advance(HOUR - 800)
    return source, credentials


def test_on_demand_a_task_refreshes_early_and_the_others_get_the_old_session_at_once(
    nearly_over: tuple[Source, AioRefreshableCredentials],
) -> None:
    source, credentials = nearly_over

    async def read() -> None:
        early = asyncio.create_task(credentials.get_frozen_credentials())
        await until(source.begun.is_set)
        for _ in range(100):
            assert (await credentials.get_frozen_credentials()).access_key == "KEY1"
        assert not early.done()
        source.gate.set()
        assert (await early).access_key == "KEY2"
        assert source.calls == 2

    run(read())


def test_on_demand_of_100_tasks_at_once_one_waits_at_most(
    nearly_over: tuple[Source, AioRefreshableCredentials],
) -> None:
    source, credentials = nearly_over
    may_ask, note_context = threading.Event(), credentials._about_to_ask

    def slowly() -> None:
        # The thread that waits for the first task is the last one to come to its turn.
        if threading.current_thread().name == "rolekeeper-wait":
            assert may_ask.wait(PATIENCE)
        note_context()

    credentials._about_to_ask = slowly  # type: ignore[method-assign]

    async def read() -> None:
        tasks = [asyncio.create_task(credentials.get_frozen_credentials()) for _ in range(100)]
        await until(lambda: sum(task.done() for task in tasks) >= 99)
        may_ask.set()
        await until(lambda: source.calls == 2)
        source.gate.set()
        keys = [frozen.access_key for frozen in await asyncio.gather(*tasks)]
        assert keys.count("KEY1") >= 99
        assert source.calls == 2

    run(read())


# === pickling and copying ===


def session_maker() -> dict[str, Any]:
    return answer(7)


def test_pickled_they_carry_the_recipe_and_no_secret() -> None:
    async def read() -> None:
        credentials = deferred(session_maker)
        frozen = await credentials.get_frozen_credentials()
        carried = pickle.dumps(credentials)
        assert frozen.secret_key.encode() not in carried
        again = pickle.loads(carried)
        assert (await again.get_frozen_credentials()).access_key == "KEY7"
        assert (await copy.copy(credentials).get_frozen_credentials()).access_key == "KEY7"

    run(read())


# === with aiobotocore itself ===


def test_aiobotocores_own_assume_role_refresher_works(rolekeeper_sandbox: Any) -> None:
    from aiobotocore.credentials import create_assume_role_refresher
    from aiobotocore.session import get_session

    parameters = {"RoleArn": rolekeeper_sandbox.role_arn("demo"), "RoleSessionName": "test"}

    async def read() -> None:
        bare = get_session()
        refresh = create_assume_role_refresher(bare.create_client("sts"), parameters)
        session = get_session()
        session._credentials = deferred(refresh)
        async with session.create_client("sts") as sts:
            who = await sts.get_caller_identity()
        assert who["Arn"].endswith("assumed-role/demo/test")

    run(read())


@pytest.mark.rolekeeper_sandbox(session_lifetime=2)
def test_a_client_outlives_many_sessions_without_a_failed_call(rolekeeper_sandbox: Any) -> None:
    """Real time and real expiry: what the sandbox says is over, it refuses."""
    from aiobotocore.config import AioConfig
    from aiobotocore.session import get_session

    once = AioConfig(retries={"total_max_attempts": 1})

    async def work() -> None:
        bare = get_session()

        async def refresh() -> dict[str, Any]:
            async with bare.create_client("sts") as sts:
                made = await sts.assume_role(
                    RoleArn=rolekeeper_sandbox.role_arn("demo"), RoleSessionName="test"
                )
            c = made["Credentials"]
            return {
                "access_key": c["AccessKeyId"],
                "secret_key": c["SecretAccessKey"],
                "token": c["SessionToken"],
                "expiry_time": c["Expiration"],
            }

        session = get_session()
        session._credentials = deferred(refresh)
        async with session.create_client("s3", config=once) as s3:
            while session._credentials.generation < 4:
                await asyncio.gather(*(s3.list_buckets() for _ in range(10)))

    run(work())
    assert rolekeeper_sandbox.counts().failed("ListBuckets") == 0


def test_the_time_fetcher_counts_as_the_clock() -> None:
    now = datetime.now(timezone.utc)
    source = Source()

    async def read() -> None:
        credentials = started(source)
        credentials._time_fetcher = lambda: now + timedelta(seconds=2 * HOUR)
        with pytest.raises(rolekeeper.BadAnswerError, match="still expired"):
            await credentials.get_frozen_credentials()

    run(read())
