"""What the project says of itself is so: its dependencies are those that it imports, and no page is out of reach."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("sepl", "search_spaces", "jobs", "serve", "benchmarks")
BY_OTHERS = {
    "torchvision": "timm imports it",
    "openpyxl": "pandas reads XLSX by it",
    "python-multipart": "FastAPI reads file uploads by it",
}
"""Distributions that are needed and named in no import statement of ours, with what needs them."""
EXTENSIONS = {"_openjpeg": "pylibjpeg-openjpeg"}
"""Modules of which no installed package says that they are its own."""
_LINK = re.compile(r"\]\((?!https?:|mailto:)([^)#\s]+)")


def imported() -> Iterator[str]:
    """First parts of the names of modules that the project imports, wherever the statement stands."""
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Import):
                    yield from (alias.name.split(".")[0] for alias in node.names)
                elif isinstance(node, ast.ImportFrom) and node.level == 0:
                    yield str(node.module).split(".")[0]


def declared() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return {_plain(re.split(r"[\[<>=~! ]", text)[0]) for text in project["dependencies"]}


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_what_is_imported_is_declared_and_what_is_declared_is_imported() -> None:
    homes = packages_distributions()
    others = {name for name in imported() if name not in sys.stdlib_module_names and name not in PACKAGES}
    candidates = {name: {_plain(home) for home in homes.get(name, [EXTENSIONS.get(name, name)])} for name in others}

    assert {name: homes for name, homes in candidates.items() if not homes & declared()} == {}
    assert declared() - set().union(*candidates.values()) - BY_OTHERS.keys() == set()


def pages() -> list[Path]:
    """Of the documentation: all that stands outside hidden folders."""
    found = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "deploy").rglob("*.md")]
    return [page for page in found if not any(part.startswith(".") for part in page.relative_to(ROOT).parts)]


def links(page: Path) -> Iterator[Path]:
    for target in _LINK.findall(page.read_text(encoding="utf-8")):
        yield (page.parent / target).resolve()


def test_every_page_is_reached_from_the_readme_and_every_link_leads_somewhere() -> None:
    broken = {(page.name, str(target)) for page in pages() for target in links(page) if not target.exists()}
    assert broken == set()

    reached, waiting = set[Path](), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page not in reached:
            reached.add(page)
            waiting += [target for target in links(page) if target.suffix == ".md"]
            waiting += [child for target in links(page) if target.is_dir() for child in target.glob("*.md")]
    assert {str(page.relative_to(ROOT)) for page in pages() if page.resolve() not in reached} - {
        "CHANGELOG.md"
    } == set()
