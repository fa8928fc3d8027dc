"""Lists the commands: `python -m jobs`."""

import ast
from pathlib import Path


def main() -> None:
    print("Commands (each has --help):")
    for path in sorted(Path(__file__).parent.glob("[a-z]*.py")):
        purpose = (ast.get_docstring(ast.parse(path.read_text())) or "").splitlines()[0]
        print(f"  python -m jobs.{path.stem:<15} {purpose}")


if __name__ == "__main__":
    main()
