"""A table of curves of which everything is known."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from sepl.tuning.search.backends.curve_table import SPACE

NUM_EPOCHS = 9
ENTRIES = [
    {"name": "backbone", "kind": "categorical", "choices": ["small", "large"]},
    {"name": "rate", "kind": "float", "low": 1e-4, "high": 1e-1, "log": True},
]


def end_skill(config: int) -> float:
    """Different for every setting, and in no order of them."""
    return (config * 37 % 101) / 101


def write_table(path: Path, num_configs: int, *, is_named: bool = True) -> Path:
    rows = [
        {
            "config": config,
            "params.backbone": ("small", "large")[config % 2],
            "params.rate": 1e-4 * 1000 ** (config / max(1, num_configs - 1)),
            "epoch": epoch,
            "skill": end_skill(config) * (epoch / NUM_EPOCHS),
            "best_skill": end_skill(config) * (epoch / NUM_EPOCHS),
            "seconds": 1.0 + config % 3,
            "test_skill": None,
        }
        for config in range(num_configs)
        for epoch in range(1, NUM_EPOCHS + 1)
    ]
    told = {SPACE: json.dumps(ENTRIES).encode()} if is_named else None
    pq.write_table(pa.Table.from_pylist(rows).replace_schema_metadata(told), path)
    return path
