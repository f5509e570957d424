"""The guide's chapters on asyncio, and on what stands on aiobotocore, run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import guide_world
from guide import GUIDE, Chapter, chapters, is_there

if TYPE_CHECKING:
    from pathlib import Path

OURS = {package for package in ("aiobotocore", "aioboto3", "s3fs") if is_there(package)}
CHAPTERS = [chapter for chapter in chapters(GUIDE) if chapter.needs & OURS]


@pytest.mark.rolekeeper_sandbox(config=guide_world.SANDBOX)
@pytest.mark.parametrize("chapter", CHAPTERS, ids=str)
def test_the_chapter_runs_and_prints_what_it_says(
    chapter: Chapter, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    if chapter.servers == "sandbox":
        request.getfixturevalue("rolekeeper_sandbox")
    if chapter.servers == "moto":
        guide_world.fill_bucket(request.getfixturevalue("moto"))
    chapter.check_printed(chapter.run(tmp_path, guide_world.furnish(tmp_path)))


def test_there_is_a_chapter_for_what_is_installed() -> None:
    assert CHAPTERS
