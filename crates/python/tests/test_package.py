"""What is installed: the wheel's own files, light to import, typed, with the command."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

import rolekeeper
from rolekeeper.testing import command

PACKAGE = Path(rolekeeper.__file__).parent


def python(code: str) -> str:
    """Runs it in a fresh interpreter, in a folder with nothing to import."""
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert run.returncode == 0, run.stderr
    return run.stdout


@pytest.fixture
def wheel() -> zipfile.ZipFile:
    path = os.environ.get("ROLEKEEPER_TEST_WHEEL")
    if path is None:
        pytest.skip("ROLEKEEPER_TEST_WHEEL names no wheel; `cargo xtask test` builds one")
    return zipfile.ZipFile(path)


def test_what_is_tested_is_the_wheel_and_not_the_source(wheel: zipfile.ZipFile) -> None:
    assert "site-packages" in PACKAGE.parts
    for name in wheel.namelist():
        if name.startswith("rolekeeper/"):
            assert (PACKAGE.parent / name).read_bytes() == wheel.read(name), name


def test_the_wheel_is_one_for_every_python_from_3_10_on(wheel: zipfile.ZipFile) -> None:
    assert "-cp310-abi3-" in Path(str(wheel.filename)).name
    modules = [name for name in wheel.namelist() if re.search(r"\.(so|pyd)$", name)]
    assert [Path(name).name.split(".")[0] for name in modules] == ["_rolekeeper"]


def test_the_wheel_has_types_plugin_and_command_and_no_tests(wheel: zipfile.ZipFile) -> None:
    names = wheel.namelist()
    assert {"rolekeeper/py.typed", "rolekeeper/_rolekeeper.pyi"} <= set(names)
    assert any(re.search(r"\.data/scripts/rolekeeper(\.exe)?$", name) for name in names), names
    assert [name for name in names if "/tests/" in name or "__pycache__" in name] == []
    points = {point.value for point in metadata.entry_points(group="pytest11")}
    assert "rolekeeper.testing.plugin" in points


def test_the_wheel_needs_no_other_package(wheel: zipfile.ZipFile) -> None:
    needed = [need for need in metadata.requires("rolekeeper") or [] if "extra ==" not in need]
    assert needed == []


def test_package_command_and_native_module_are_of_one_version(wheel: zipfile.ZipFile) -> None:
    told = subprocess.run(
        [command.find(), "--version"], capture_output=True, text=True, timeout=60, check=True
    )
    version = metadata.version("rolekeeper")
    assert told.stdout.split() == ["rolekeeper", version]
    assert rolekeeper.__version__ == version


def test_the_command_is_the_one_beside_the_interpreter(
    wheel: zipfile.ZipFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(command.VARIABLE, raising=False)
    assert Path(command.find()).parent == Path(sys.executable).parent


def test_importing_it_loads_nothing_heavy_and_starts_no_thread() -> None:
    loaded = python(
        "import sys, threading\n"
        "before = set(sys.modules)\n"
        "import rolekeeper\n"
        "assert threading.active_count() == 1\n"
        "print(*sorted(set(sys.modules) - before))"
    ).split()
    heavy = {"asyncio", "boto3", "botocore", "json", "logging", "subprocess", "urllib"}
    assert heavy.intersection(name.split(".")[0] for name in loaded) == set()
    assert [name for name in loaded if "botocore" in name] == []


def test_importing_the_pytest_plugin_loads_nothing_heavy() -> None:
    loaded = python(
        "import sys, pytest\n"
        "before = set(sys.modules)\n"
        "import rolekeeper.testing.plugin\n"
        "print(*sorted(set(sys.modules) - before))"
    ).split()
    assert {name for name in loaded if not name.startswith("rolekeeper")} == set()
    assert "rolekeeper.testing.sandbox" not in loaded


def test_every_name_that_it_exports_is_there() -> None:
    for name in rolekeeper.__all__:
        assert getattr(rolekeeper, name) is not None
    assert set(rolekeeper.__all__) <= set(dir(rolekeeper))


def test_a_name_that_it_does_not_have_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no_such_name"):
        rolekeeper.no_such_name  # noqa: B018
