"""No secret is seen: not by ``repr``, in ``vars`` of what one may look into, in the log at its most
talkative, in events, warnings, errors or their tracebacks."""

from __future__ import annotations

import io
import logging
import pickle
import pprint
import traceback
import warnings
from typing import TYPE_CHECKING, Any

import pytest

import rolekeeper
from rolekeeper import aio, errors, testing
from rolekeeper.events import Event

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rolekeeper.testing import Sandbox

SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
TOKEN = "FwoGZXIvYXdzEJr/A/TOKEN+of/a/session/that/nobody/is/to/see"

# Twenty characters of a secret are found by nobody's chance.
PIECE = 20


class Told:
    """All that is said while it listens: the log of everything, warnings, and what is added."""

    def __init__(self) -> None:
        self.stream = io.StringIO()

    def add(self, *values: object) -> None:
        for value in values:
            for text in (repr(value), str(value), f"{value}", pprint.pformat(value)):
                self.stream.write(text + "\n")

    def add_error(self, error: BaseException) -> None:
        self.add(error, error.args, vars(error))
        self.stream.write("".join(traceback.format_exception(error)))

    def assert_none_of(self, *secrets: str) -> None:
        text = self.stream.getvalue()
        for secret in secrets:
            pieces = [secret[at : at + PIECE] for at in range(0, len(secret) - PIECE + 1, PIECE)]
            assert pieces, "too short to be told from any other text"
            for number, piece in enumerate(pieces):
                assert piece not in text, f"piece {number} of a secret, at {text.index(piece)}"


@pytest.fixture
def told() -> Iterator[Told]:
    """What is told, with every logger at its most talkative."""
    told = Told()
    handler = logging.StreamHandler(told.stream)
    root = logging.getLogger()
    before = root.level
    # botocore's own log at this level has what it parses: it is its own, and is not ours to filter.
    loggers = [logging.getLogger("rolekeeper"), logging.getLogger("asyncio")]
    root.setLevel(logging.DEBUG)
    for logger in loggers:
        logger.setLevel(1)
        logger.addHandler(handler)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield told
    for warning in caught:
        told.add(warning.message)
    for logger in loggers:
        logger.removeHandler(handler)
        logger.setLevel(logging.NOTSET)
    root.setLevel(before)


def answer(**changed: Any) -> dict[str, Any]:
    whole = {
        "access_key": "ASIAKEYID",
        "secret_key": SECRET,
        "token": TOKEN,
        "expiry_time": "2099-01-01T00:00:00Z",
    }
    return {name: value for name, value in (whole | changed).items() if value is not None}


def test_no_object_of_a_role_shows_a_secret(rolekeeper_sandbox: Sandbox, told: Told) -> None:
    heard: list[Event] = []
    arn = rolekeeper_sandbox.role_arn("demo")
    with rolekeeper.Session(role_arn=arn, on_event=heard.append) as session:
        session.refresh_now()
        frozen = session.get_credentials().get_frozen_credentials()
        session.client("sts").get_caller_identity()
        told.add(session, session.get_credentials(), session.whoami(), session.last_error)
        told.add(session.role_arn, session.expiration, session.generation, dir(session))
        told.stream.write(pickle.dumps(session).decode("latin-1"))
        role = rolekeeper.Role(arn)
        role.refresh_now()
        told.add(role, vars(role), role.whoami(), role.last_error)
        session.refresh_now()
        again = session.get_credentials().get_frozen_credentials()
    told.add(*heard)
    for event in heard:
        told.add({name: getattr(event, name) for name in dir(event) if not name.startswith("_")})
    assert "fetched" in told.stream.getvalue(), "it talks"
    assert frozen.secret_key != again.secret_key
    user = rolekeeper_sandbox.environment["AWS_SECRET_ACCESS_KEY"]
    told.assert_none_of(frozen.secret_key, frozen.token, again.secret_key, again.token, user)


@pytest.mark.parametrize("name", ["RefreshableCredentials", "DeferredRefreshableCredentials"])
def test_no_drop_in_shows_a_secret(name: str, told: Told) -> None:
    if name == "RefreshableCredentials":
        made = rolekeeper.RefreshableCredentials.create_from_metadata(
            metadata=answer(), refresh_using=answer, method="test"
        )
    else:
        made = rolekeeper.DeferredRefreshableCredentials(refresh_using=answer, method="test")
    assert made.get_frozen_credentials().secret_key == SECRET
    told.add(made, type(made), dir(made))
    told.assert_none_of(SECRET, TOKEN)


@pytest.mark.parametrize(
    "wrong",
    [
        {"access_key": None},
        {"access_key": ""},
        {"secret_key": ""},
        {"token": None},
        {"expiry_time": None},
        {"expiry_time": SECRET},
        {"expiry_time": "2001-01-01T00:00:00Z"},
        {"access_key": 7},
        {"secret_key": {"nested": SECRET}},
        {"token": TOKEN.encode()},
    ],
)
def test_an_answer_that_is_no_session_is_told_without_it(wrong: dict[str, Any], told: Told) -> None:
    made = rolekeeper.DeferredRefreshableCredentials(
        refresh_using=lambda: answer(**wrong), method="test"
    )
    made.read_deadline = 2
    try:
        made.get_frozen_credentials()
    except (rolekeeper.Error, TypeError, ValueError) as error:
        chain: BaseException | None = error
        while chain is not None:
            told.add_error(chain)
            # As a traceback goes on: what was raised `from None` ends there.
            behind = None if chain.__suppress_context__ else chain.__context__
            chain = chain.__cause__ or behind
    told.add(made)
    told.assert_none_of(SECRET, TOKEN)


def test_what_a_service_says_back_of_a_request_is_not_told_on(told: Told) -> None:
    from botocore.exceptions import ClientError

    message = (
        "The request signature we calculated does not match the signature you provided.\n\n"
        f"The Canonical String for this request should have been\n'x-amz-security-token:{TOKEN}'"
    )
    refusal = ClientError(
        {"Error": {"Code": "SignatureDoesNotMatch", "Message": message}}, "AssumeRole"
    )
    kind, text, code, hint, _ = errors.classify(refusal)
    told.add(kind, text, code, hint)
    assert "signature" in text
    told.assert_none_of(TOKEN)


def test_no_class_of_errors_shows_more_than_it_was_told(told: Told) -> None:
    kinds = ["unavailable", "denied", "needs-person", "misconfigured", "bad-answer"]
    classes = set()
    for kind in kinds:
        error = errors.from_native(kind=kind, message="it broke", code="Code", hint="mend it")
        classes.add(type(error))
        try:
            # As where a session is at hand when it goes wrong.
            held = answer()
            assert held
            raise error
        except rolekeeper.Error as raised:
            told.add_error(raised)
    public = {getattr(rolekeeper, name) for name in rolekeeper.__all__ if name.endswith("Error")}
    assert public - {rolekeeper.Error} == classes, "every class there is"
    told.assert_none_of(SECRET, TOKEN)


def test_a_store_shows_neither_its_key_nor_its_password(told: Told) -> None:
    from rolekeeper._rolekeeper import Store

    key = "00112233445566778899aabbccddeeff0f1e2d3c4b5a69788796a5b4c3d2e1f0"
    store = Store.open(f"redis://user:{SECRET}@127.0.0.1:1", key=key)
    told.add(store, store.name)
    for place, wrong in [
        (f"redis://user:{SECRET}@127.0.0.1:none", key),
        (f"mongodb://user:{SECRET}@127.0.0.1", key),
        (f"redis://user:{SECRET}@127.0.0.1:1", SECRET),
        (f"redis://user:{SECRET}@127.0.0.1:1", key + key),
    ]:
        with pytest.raises(rolekeeper.Error) as refused:
            Store.open(place, key=wrong)
        told.add(refused.value, refused.value.args)
    told.assert_none_of(SECRET, key)


def test_every_public_name_is_looked_at(told: Told) -> None:
    for module in (rolekeeper, testing):
        for name in module.__all__:
            told.add(getattr(module, name))
    for name in aio.__all__:
        # Some need a package that is not there.
        told.add(name)
    told.assert_none_of(SECRET, TOKEN)
