"""What networks cost in use, measured once each and kept beside the study.

STORAGE/STUDY/costs/KEY.json     one file a network and kind of place, so that trials that run at once do not meet
"""

import hashlib
import json
from contextlib import suppress

from sepl.config import ModelConfig
from sepl.errors import ConfigError, StorageError
from sepl.settings import Settings
from sepl.storage import Location

COSTS = "costs"
_OF_TRAINING_ALONE = {"weights", "drop_path", "load_balance", "sharing_strength", "photographs_per_patient"}
"""Of a model's settings, those that leave the network's operations as they are when it is used."""


class Cost(Settings):
    """Of a network in use."""

    num_parameters: int
    ms_per_photograph: float
    """One photograph at a time, from its pixels to its outputs, in evaluation mode."""


def place_of(device: str, num_threads: int) -> str:
    """Where a network is used, as far as its time hangs on it."""
    return f"cpu-{num_threads}" if device == "cpu" else device


class CostBook:
    """The costs of networks for photographs of one size on one kind of place, such as 'cpu-2' or 'cuda'."""

    def __init__(self, folder: Location, image_size: int, place: str) -> None:
        self._folder, self._image_size, self._place = folder, image_size, place
        self._read: dict[str, Cost] = {}

    def find(self, model: ModelConfig) -> Cost | None:
        """None of a network that was not measured yet; what cannot be read is measured again."""
        key = self.key(model)
        if key not in self._read:
            with suppress(StorageError, ConfigError, OSError):
                file = self._folder / f"{key}.json"
                if file.exists():
                    self._read[key] = Cost.parse_json(file.read_bytes(), file.uri)
        return self._read.get(key)

    def keep(self, model: ModelConfig, cost: Cost) -> None:
        """A storage that refuses costs a second measurement and no trial."""
        key = self.key(model)
        self._read[key] = cost
        with suppress(StorageError, OSError):
            (self._folder / f"{key}.json").write_bytes((cost.model_dump_json() + "\n").encode())

    def key(self, model: ModelConfig) -> str:
        built = model.model_dump(mode="json", exclude=_OF_TRAINING_ALONE)
        text = json.dumps([built, self._image_size, self._place], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:32]
