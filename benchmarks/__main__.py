"""Lists the benchmarks: python -m benchmarks."""

import ast
from pathlib import Path


def main() -> None:
    """One line a benchmark: how to run it, and the first line of what it says about itself."""
    for name, summary in list_benchmarks().items():
        print(f"python -m benchmarks.{name:<20} {summary}")


def list_benchmarks(folder: Path = Path(__file__).parent) -> dict[str, str]:
    """Name and first docstring line of every benchmark, read without importing any."""
    return {path.stem: _first_line(path) for path in sorted(folder.glob("[!_]*.py"))}


def _first_line(path: Path) -> str:
    docstring = ast.get_docstring(ast.parse(path.read_text())) or ""
    return docstring.partition("\n")[0]


if __name__ == "__main__":
    main()
