"""The house stays findable: rooms of few files, files of one idea, short functions, and a word over every door."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("sepl", "search_spaces", "jobs", "serve", "benchmarks")
MOST_FILES, MOST_LINES, MOST_LINES_OF_A_FUNCTION = 20, 350, 60


def rooms() -> Iterator[Path]:
    for package in (*PACKAGES, "tests"):
        yield from {path.parent for path in (ROOT / package).rglob("*.py")}


def files() -> Iterator[Path]:
    for room in rooms():
        yield from room.glob("*.py")


def functions(path: Path) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, (node.end_lineno or node.lineno) - node.lineno + 1


def test_no_room_has_more_files_than_one_takes_in_at_a_glance() -> None:
    crowded = {str(room.relative_to(ROOT)): len(list(room.glob("*.py"))) for room in rooms()}

    assert {room: num for room, num in crowded.items() if num > MOST_FILES} == {}


def test_no_file_is_longer_than_one_idea() -> None:
    lengths = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8").count("\n") for path in files()}

    assert {path: num for path, num in lengths.items() if num > MOST_LINES} == {}


def test_no_function_is_longer_than_a_screen() -> None:
    long = [
        f"{path.relative_to(ROOT)}: {name} has {num} lines"
        for path in files()
        for name, num in functions(path)
        if num > MOST_LINES_OF_A_FUNCTION
    ]

    assert long == []


@pytest.mark.parametrize("package", PACKAGES)
def test_every_package_says_what_it_is_for(package: str) -> None:
    doors = list((ROOT / package).rglob("__init__.py"))

    silent = [str(path.relative_to(ROOT)) for path in doors if not ast.get_docstring(ast.parse(path.read_text()))]

    assert silent == []


def test_every_package_has_a_door_and_no_room_of_tests_has_one() -> None:
    without = [
        room for room in rooms() if not (room / "__init__.py").exists() and ROOT / "tests" not in [room, *room.parents]
    ]

    assert without == []
    assert list((ROOT / "tests").rglob("__init__.py")) == []
