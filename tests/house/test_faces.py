"""Every room says what it is for and what it shows, and costs nothing until that is used."""

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = sorted(
    str(path.parent.relative_to(ROOT)).replace("/", ".")
    for room in ("sepl", "search_spaces", "jobs", "serve", "benchmarks")
    for path in (ROOT / room).rglob("__init__.py")
)


def source_of(room: str) -> ast.Module:
    return ast.parse((ROOT / room.replace(".", "/") / "__init__.py").read_text())


def imported_for_types(room: str) -> dict[str, str]:
    """Name → module, as type checkers read them."""
    blocks = [node for node in source_of(room).body if isinstance(node, ast.If)]
    imports = [node for block in blocks for node in block.body if isinstance(node, ast.ImportFrom)]
    return {alias.name: node.module or "" for node in imports for alias in node.names}


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_says_in_a_line_what_it_is_for(room: str) -> None:
    docstring = ast.get_docstring(source_of(room)) or ""

    assert docstring.partition("\n")[0].endswith((".", ":"))


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_shows_at_run_time_what_type_checkers_read(room: str) -> None:
    face, modules = import_module(room), imported_for_types(room)

    assert sorted(face.__all__) == sorted(modules)
    assert set(face.__all__) <= set(dir(face))
    for name, module in modules.items():
        assert getattr(face, name) is getattr(import_module(module), name)


@pytest.mark.parametrize("room", ROOMS)
def test_no_name_of_a_room_is_that_of_a_module_in_it(room: str) -> None:
    folder = ROOT / room.replace(".", "/")
    modules = {path.stem for path in folder.glob("*.py")} | {path.parent.name for path in folder.glob("*/__init__.py")}

    assert not modules & set(import_module(room).__all__)


def test_an_unknown_name_of_a_room_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match=r"^module 'sepl\.bundle' has no attribute 'read_bundel'$"):
        _ = import_module("sepl.bundle").read_bundel


def test_importing_every_room_loads_nothing_but_rooms() -> None:
    code = (
        f"import sys; from importlib import import_module; list(map(import_module, {ROOMS!r})); "
        "heavy = {'numpy', 'pandas', 'pyarrow', 'pydantic', 'rich', 'torch', 'ray', 'optuna', 'plotly', 'cv2'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )

    assert subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, text=True) == "[]\n"
