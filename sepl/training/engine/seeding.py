"""Every random number of a training run, from one seed: the only place where seeds are set."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor


class RandomStreams:
    """Separate streams for initial weights and dropout, for the order of photographs, for augmentation, and for
    what is told of photographs.

    Runs do not disturb each other in one process: torch's global generators, which initial weights, dropout and drop
    path draw from, belong to this run only inside `active()` and are handed back as they were.
    """

    def __init__(self, seed: int, device: torch.device) -> None:
        self._device = device
        self.order = torch.Generator().manual_seed(_derive(seed, "order"))
        self.augmentation = torch.Generator(device).manual_seed(_derive(seed, "augmentation"))
        self.known = torch.Generator(device).manual_seed(_derive(seed, "known"))
        self._network = self._seeded(_derive(seed, "network"))
        self._is_active = False

    @contextmanager
    def active(self) -> Iterator[None]:
        """Torch's global generators continue this run's network stream until the end of the block."""
        outer = self._read()
        self._write(self._network)
        self._is_active = True
        try:
            yield
        finally:
            self._is_active = False
            self._network = self._read()
            self._write(outer)

    def now(self) -> dict[str, Tensor]:
        """Where the network's stream stands, to `jump` back to; inside `active()` or outside."""
        return self._read() if self._is_active else self._network

    def jump(self, states: dict[str, Tensor]) -> None:
        """Inside `active()`: the network's stream goes on from where it stood when `now` gave these."""
        assert self._is_active, "outside, the global generators are somebody else's"
        self._write(states)

    def state_dict(self) -> dict[str, Tensor]:
        """Where every stream stands, as byte tensors on the CPU."""
        return {
            "order": self.order.get_state(),
            "augmentation": self.augmentation.get_state(),
            "known": self.known.get_state(),
            **{f"network.{place}": state for place, state in self.now().items()},
        }

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        self.order.set_state(state["order"])
        self.augmentation.set_state(state["augmentation"])
        if "known" in state:  # saves that do not tell are of the time when nothing was told
            self.known.set_state(state["known"])
        self._network = {place: state[f"network.{place}"] for place in self._network}

    def _seeded(self, seed: int) -> dict[str, Tensor]:
        outer = self._read()
        torch.manual_seed(seed)
        seeded = self._read()
        self._write(outer)
        return seeded

    def _read(self) -> dict[str, Tensor]:
        states = {"cpu": torch.get_rng_state()}
        if self._device.type == "cuda":
            states["cuda"] = torch.cuda.get_rng_state(self._device)
        return states

    def _write(self, states: dict[str, Tensor]) -> None:
        torch.set_rng_state(states["cpu"])
        if self._device.type == "cuda":
            torch.cuda.set_rng_state(states["cuda"], self._device)


def _derive(seed: int, purpose: str) -> int:
    """A seed of its own for each purpose, so that neighbouring seeds share no stream."""
    digest = hashlib.sha256(f"{seed}:{purpose}".encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1  # torch takes 63 bits
