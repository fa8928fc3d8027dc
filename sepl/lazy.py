"""Names of a room that load with their first use: `import sepl.scoring` costs nothing, `sepl.scoring.Scorer` torch."""

import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module


def lazy_face(
    package: str, modules: Mapping[str, Sequence[str]]
) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """`__getattr__` and `__dir__` of the package: by module below it, the names that it shows (PEP 562).

    Type checkers read the same names under `if TYPE_CHECKING:`. No name may be that of a module of the package: which
    of the two it is would hang on what was imported before.
    """
    module_of = {name: f"{package}.{module}" for module, names in modules.items() for name in names}

    def get(name: str) -> object:
        if name not in module_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(import_module(module_of[name]), name)
        setattr(sys.modules[package], name, value)  # not asked again
        return value

    def names() -> list[str]:
        return sorted({*vars(sys.modules[package]), *module_of})

    return get, names
