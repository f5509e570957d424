"""Every Python block of the guide and of the page on PyPI runs, and says what it does."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import boto3
import pytest

import guide_world
import rolekeeper
from guide import GUIDE, PYPI_PAGE, ROOT, Chapter, chapters
from rolekeeper.parameters import Parameters
from rolekeeper.recipe import SessionOptions

PAGES = (GUIDE, PYPI_PAGE)
ALL = [chapter for page in PAGES for chapter in chapters(page)]

# Blocks that no environment of the tests can run. One more has to be worth it.
AT_MOST_NOT_RUN = 1


@pytest.mark.rolekeeper_sandbox(config=guide_world.SANDBOX)
@pytest.mark.parametrize("chapter", [chapter for chapter in ALL if chapter.runs_here], ids=str)
def test_the_chapter_runs_and_prints_what_it_says(
    chapter: Chapter, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    if chapter.servers == "sandbox":
        request.getfixturevalue("rolekeeper_sandbox")
    if chapter.servers == "moto":
        guide_world.fill_bucket(request.getfixturevalue("moto"))
    printed = chapter.run(
        tmp_path, guide_world.furnish(tmp_path), stdin=f"{guide_world.mfa_code()}\n"
    )
    chapter.check_printed(printed)


def test_each_block_runs_in_one_environment_of_the_tests_at_least() -> None:
    not_run = [block for chapter in ALL for block in chapter.blocks if block.not_run]
    assert len(not_run) <= AT_MOST_NOT_RUN
    installed = [_installed(file) for file in ("newest", "oldest", "aio", "aioboto3")]
    for chapter in ALL:
        for block in chapter.blocks:
            nowhere = not any(set(block.needs) <= packages for packages in installed)
            assert block.not_run or not nowhere, f"{chapter}, line {block.line}: {block.needs}"


def test_the_guide_is_found_whole() -> None:
    titles = [chapter.title for chapter in chapters(GUIDE)]
    assert len(titles) > 15
    text = GUIDE.read_text(encoding="utf-8")
    assert text.count("```python\n") == sum(len(chapter.blocks) for chapter in chapters(GUIDE))


# === what stands in its tables ===


def test_the_table_of_parameters_has_each_one_and_boto3s_name_for_it() -> None:
    rows = _rows("All parameters")
    told = {name: row for row in rows for name in re.findall(r"`(\w+)`", row[0])}
    boto3s = list(inspect.signature(boto3.Session.__init__).parameters)[1:]
    assert set(told) >= {"role_arn", *SessionOptions.__annotations__, *_of_assume_role(), *boto3s}
    assert all(
        name in inspect.signature(rolekeeper.Session).parameters or name in _known()
        for name in told
    )
    for camel, snake in _of_assume_role_by_camel().items():
        assert f"`{camel}`" == told[snake][3], snake


def test_the_table_of_a_session_has_all_that_can_be_asked() -> None:
    told = {re.match(r"`(\w+)", row[0])[1] for row in _rows("Ask a session how it is")}  # type: ignore[index]
    ours = {
        name
        for group in (rolekeeper.Session, rolekeeper.Session.__mro__[1])
        for name in vars(group)
        if not name.startswith("_")
    }
    assert told == ours - {"goes_through_sdk"}


def test_the_table_of_errors_has_each_class_with_what_else_it_is() -> None:
    classes = _rows("Errors")[:5]
    told = {row[0].strip("`"): row[3].strip("`") for row in classes}
    groups = {group.__name__: group for group in rolekeeper.Error.__subclasses__()}
    assert told.keys() == groups.keys()
    for name, also in told.items():
        others = [base.__name__ for base in groups[name].__bases__ if base is not rolekeeper.Error]
        assert others == ([also] if also else [])


def test_the_table_of_an_errors_attributes_has_each() -> None:
    told = {row[0].strip("`") for row in _rows("Errors")[5:]}
    assert told == {name for name in vars(rolekeeper.Error("x")) if name != "kwargs"}


def test_the_table_of_events_has_each_kind() -> None:
    from typing import get_args

    from rolekeeper.events import EventKind

    told = {row[0].strip('`"') for row in _rows("Events and logging")}
    assert told == set(get_args(EventKind))


@pytest.mark.needs(**{"boto3-refresh-session": "10"})
def test_everything_of_boto3_refresh_session_has_a_row() -> None:
    import boto3_refresh_session as theirs

    told = _names_told("Move from boto3-refresh-session")
    for group in (
        theirs.STSRefreshableSession,
        theirs.CustomRefreshableSession,
        theirs.utils.internal.BRSSession,
    ):
        names = set(inspect.signature(group.__init__).parameters)
        assert names - {"self", "kwargs", "args", "refresh_method"} <= told
    assert {"whoami", "get_identity", "credentials", "refreshable_credentials"} <= told
    errors = {"BRSError", "BRSValidationError", "BRSConfigurationError", "BRSCredentialError"}
    assert errors <= told
    assert all(hasattr(theirs, name) for name in errors)


@pytest.mark.needs(**{"aws-assume-role-lib": "2"})
def test_everything_of_aws_assume_role_lib_has_a_row() -> None:
    import aws_assume_role_lib as theirs

    told = _names_told("Move from aws-assume-role-lib")
    assert set(inspect.signature(theirs.assume_role).parameters) <= told
    public = {name for name in vars(theirs) if not name.startswith("_")}
    assert public - {"aws_assume_role_lib", "main"} <= told


# === what it points to ===


def test_its_links_lead_somewhere() -> None:
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        headings = {_anchor(title) for title in re.findall(r"^##+ (.+)$", text, re.MULTILINE)}
        for link in re.findall(r"\]\(([^)]+)\)", text):
            if link.startswith("#"):
                assert link[1:] in headings, link
            elif not link.startswith("https://"):
                assert (page.parent / link).exists(), link


def test_its_lines_fit_an_editor() -> None:
    for page in PAGES:
        for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), start=1):
            assert len(line) <= 120 or line.startswith("|"), f"{page.name}, line {number}"


def _rows(title: str) -> list[list[str]]:
    """The cells of all tables below a heading, without the tables' own headings."""
    text = GUIDE.read_text(encoding="utf-8")
    body = text.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]
    rows: list[list[str]] = []
    for table in re.findall(r"(?:^\|.*\n)+", body, re.MULTILINE):
        lines = table.splitlines()[2:]
        rows += [[cell.strip() for cell in line[1:-1].split("|")] for line in lines]
    return rows


def _names_told(title: str) -> set[str]:
    """Every name in the code of the tables' first column."""
    code = " ".join(" ".join(re.findall(r"`([^`]+)`", row[0])) for row in _rows(title))
    return set(re.findall(r"\w+", code))


def _known() -> set[str]:
    return {*SessionOptions.__annotations__, *_of_assume_role()}


def _of_assume_role() -> set[str]:
    return set(Parameters.__dataclass_fields__)


def _of_assume_role_by_camel() -> dict[str, str]:
    return {"".join(map(str.capitalize, name.split("_"))): name for name in _of_assume_role()}


def _anchor(title: str) -> str:
    """As GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def _installed(name: str) -> set[str]:
    file = ROOT / "crates" / "python" / "tests" / "requirements" / f"{name}.txt"
    lines = file.read_text(encoding="utf-8").splitlines()
    return {line.split("==")[0].replace("-", "_") for line in lines if "==" in line}
