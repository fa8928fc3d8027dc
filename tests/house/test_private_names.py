"""Private names of Ray and Optuna stand in one file."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROOMS = ("sepl", "jobs", "serve", "benchmarks", "search_spaces")
PATCHES = Path("sepl/distributed/ray_patches.py")
NOT_THEIRS = {"_BatchNorm", "_exit", "_asdict", "_replace"}
"""Of torch, `os._exit`, and the public methods of a named tuple."""
UNDOCUMENTED = ("ray.tune.execution", "ray.tune.experiment.trial", "ray.air.execution", "ray.serve._private")


def modules() -> dict[Path, ast.Module]:
    files = sorted(file for room in ROOMS for file in (ROOT / room).rglob("*.py"))
    return {file.relative_to(ROOT): ast.parse(file.read_text()) for file in files}


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__") and name.strip("_") != ""


def defined(tree: ast.Module) -> Iterator[str]:
    """Names that our own code gives to attributes: of classes, of objects, of a network's buffers."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            yield from defined_in_class(node)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr
        elif isinstance(node, ast.Call) and is_buffer(node):
            yield ast.literal_eval(node.args[0])


def is_buffer(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Attribute) and call.func.attr == "register_buffer"


def defined_in_class(node: ast.ClassDef) -> Iterator[str]:
    for member in node.body:
        if isinstance(member, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield member.name
        elif isinstance(member, ast.AnnAssign) and isinstance(member.target, ast.Name):
            yield member.target.id
        elif isinstance(member, ast.Assign):
            yield from (target.id for target in member.targets if isinstance(target, ast.Name))


def used(tree: ast.Module) -> Iterator[str]:
    """Private attributes and keywords, and what is imported from a place of Ray or Optuna that is not public."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and is_private(node.attr):
            yield node.attr
        elif isinstance(node, ast.keyword) and node.arg is not None and is_private(node.arg):
            yield node.arg
        elif isinstance(node, ast.ImportFrom | ast.Import):
            yield from private_imports(node)


def private_imports(node: ast.ImportFrom | ast.Import) -> Iterator[str]:
    home = (node.module or "") if isinstance(node, ast.ImportFrom) else ""
    for alias in node.names:
        whole = f"{home}.{alias.name}".strip(".")
        is_theirs = whole.split(".")[0] in ("ray", "optuna")
        if is_theirs and (any(map(is_private, whole.split("."))) or whole.startswith(UNDOCUMENTED)):
            yield whole


def private_names() -> dict[Path, set[str]]:
    trees = modules()
    ours = {name for file, tree in trees.items() if file != PATCHES for name in defined(tree)}
    names = {file: set(used(tree)) - ours - NOT_THEIRS for file, tree in trees.items()}
    return {file: theirs for file, theirs in names.items() if theirs}


def test_private_names_of_ray_and_optuna_stand_in_one_file_and_are_few() -> None:
    names = private_names()

    assert set(names) == {PATCHES}
    assert len(names[PATCHES]) <= 9


def test_attributes_that_optuna_keeps_for_itself_are_not_read() -> None:
    readers = {
        file
        for file, tree in modules().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in ("system_attrs", "set_system_attr")
    }

    assert readers == set()
