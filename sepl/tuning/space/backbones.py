"""Whether a backbone is one of timm's, without loading timm and torch, which take seconds."""

import re
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path


def check_backbone(name: str) -> None:
    """Raises ConfigError, with the names that are near, unless `name` is a timm model."""
    model, _, tag = name.partition(".")
    if re.search(rf"^def {re.escape(model)}\(", _source(), re.MULTILINE) and (not tag or f"'{name}'" in _source()):
        return
    from sepl.models.backbone.build import check_name  # timm has the last word

    check_name(name)


@lru_cache(maxsize=1)
def _source() -> str:
    """Of timm's models: every model is a function there, and every published tag a key."""
    spec = find_spec("timm")
    folders = spec.submodule_search_locations if spec is not None else None
    files = sorted(Path(folder, "models") for folder in folders or ())
    return "\n".join(file.read_text("utf-8") for folder in files for file in sorted(folder.glob("*.py")))
