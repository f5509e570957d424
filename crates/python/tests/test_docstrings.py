"""Everything public says what it is, with its arguments, their units and an example.

It is read, not imported: so what stands on packages that are not installed is looked at as well.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import pytest

import rolekeeper
import rolekeeper.aio
import rolekeeper.testing

if TYPE_CHECKING:
    from collections.abc import Iterator

Definition: TypeAlias = "ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef"

PACKAGE = Path(rolekeeper.__file__).parent

# What the exported classes inherit, and what their methods give.
BASES = {"Upkeep", "AioUpkeep"}
GIVEN = {"Credentials", "FrozenCredentials"}
EXPORTED = {*rolekeeper.__all__, *rolekeeper.testing.__all__, *rolekeeper.aio.__all__}

_EXAMPLE = re.compile(r"^Example:", re.MULTILINE)
_ELSEWHERE = re.compile(r"arguments .*are\s+those\s+of|takes what ``", re.DOTALL)
_UNIT = re.compile(r"second|\b\d+ s\b|epoch|bytes|how (many|often|long)|calls", re.IGNORECASE)


class Documented:
    """A public definition, and the words that go for it as well: those of the class that it stands
    in, or of the function that gives it."""

    def __init__(self, node: Definition, around: Definition | None) -> None:
        self.node = node
        self.own = ast.get_docstring(node) or ""
        self.text = self.own + "\n" + (ast.get_docstring(around) or "" if around else "")

    @property
    def parameters(self) -> list[ast.arg]:
        node = self.node
        if isinstance(node, ast.ClassDef):
            made = [each for each in node.body if getattr(each, "name", None) == "__init__"]
            if not made:
                return []
            (node,) = made
        assert isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        # Behind an underscore is what Python itself passes.
        told = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        return [each for each in told if each.arg not in ("self", "cls")]

    @property
    def numbers(self) -> list[str]:
        """Where it has or gives a number."""
        found = [each.arg for each in self.parameters if _is_number(each.annotation)]
        if not isinstance(self.node, ast.ClassDef) and _is_number(self.node.returns):
            found.append("its result")
        return found


def _public() -> dict[str, Documented]:
    found: dict[str, Documented] = {}
    for file in sorted(PACKAGE.rglob("*.py")):
        if file.name.startswith("_"):
            continue
        module = ast.parse(file.read_text(encoding="utf-8"))
        names = {*EXPORTED, *GIVEN, *(_all(module) if file.parent.name == "adapters" else ())}
        where = ".".join(file.relative_to(PACKAGE).with_suffix("").parts)
        for node in module.body:
            if not isinstance(node, (ast.ClassDef, ast.FunctionDef)):
                continue
            if node.name in names:
                found[f"{where}.{node.name}"] = Documented(node, _maker(module, node))
            if isinstance(node, ast.ClassDef) and node.name in names | BASES:
                found |= {f"{where}.{node.name}.{name}": told for name, told in _members(node)}
    return found


def _members(group: ast.ClassDef) -> Iterator[tuple[str, Documented]]:
    for member in group.body:
        if isinstance(member, (ast.FunctionDef, ast.AsyncFunctionDef)):
            is_setter = any(ast.unparse(each).endswith("setter") for each in member.decorator_list)
            if not member.name.startswith("_") and not is_setter:
                yield member.name, Documented(member, group)


def _maker(module: ast.Module, group: ast.ClassDef | ast.FunctionDef) -> ast.FunctionDef | None:
    """The public function beside a class that gives it to people."""
    for node in module.body:
        if not isinstance(node, ast.FunctionDef) or node.name.startswith("_") or not node.returns:
            continue
        if re.search(rf"\b{group.name}\b", ast.unparse(node.returns)):
            return node
    return None


def _all(module: ast.Module) -> list[str]:
    for node in module.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            names: list[str] = ast.literal_eval(node.value)
            return names
    return []


def _is_number(annotation: ast.expr | None) -> bool:
    if annotation is None:
        return False
    return re.search(r"\b(int|float)\b", ast.unparse(annotation)) is not None


PUBLIC = _public()


@pytest.mark.parametrize("name", PUBLIC)
def test_it_says_what_it_is(name: str) -> None:
    first = PUBLIC[name].own.split("\n\n")[0].rstrip()
    assert first, "no docstring"
    assert first.endswith((".", "::")), f"{first!r} is no sentence"


@pytest.mark.parametrize("name", PUBLIC)
def test_it_or_its_class_has_an_example(name: str) -> None:
    assert _EXAMPLE.search(PUBLIC[name].text), "no example"


@pytest.mark.parametrize("name", PUBLIC)
def test_it_tells_of_each_argument(name: str) -> None:
    told = PUBLIC[name]
    left_out = [
        each.arg
        for each in told.parameters
        if not any(word in told.text for word in each.arg.split("_") if len(word) > 2)
    ]
    assert not left_out or _ELSEWHERE.search(told.text), f"not a word of {left_out}"


@pytest.mark.parametrize("name", PUBLIC)
def test_its_numbers_have_units(name: str) -> None:
    told = PUBLIC[name]
    explained = _UNIT.search(told.text) or _ELSEWHERE.search(told.text)
    assert not told.numbers or explained, f"{told.numbers}: in which unit?"


def test_what_is_exported_is_looked_at() -> None:
    looked_at = {part for name in PUBLIC for part in name.split(".")}
    modules = {"adapters", "aio", "testing", "__version__"}
    assert looked_at >= EXPORTED - modules
    assert any(name.startswith("adapters.polars.") for name in PUBLIC)
