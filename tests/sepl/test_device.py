import logging
from functools import partial
from pathlib import Path

import pytest
import torch
from torch._dynamo.utils import counters

from sepl.config import Precision
from sepl.device import autocast, compiled, pick_device, warn_of_emulation
from sepl.errors import ConfigError


def test_cpu_is_the_cpu() -> None:
    assert pick_device("cpu") == torch.device("cpu")


def test_auto_is_a_gpu_when_there_is_one() -> None:
    assert pick_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.parametrize("name", ["gpu", "cuda:", "cuda:x", "cuda:-1", "", "mps", "CPU"])
def test_an_unknown_device_is_refused_with_the_choices(name: str) -> None:
    with pytest.raises(ConfigError, match=r"device should be auto, cpu, cuda or cuda:INDEX, was"):
        pick_device(name)


@pytest.mark.parametrize(
    ("precision", "has", "is_told"), [("bfloat16", False, 1), ("bfloat16", True, 0), ("auto", False, 0)]
)
def test_a_cpu_that_would_emulate_its_precision_is_told_of(
    precision: Precision,
    has: bool,
    is_told: int,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx2": True, "avx512_bf16": has})

    with caplog.at_level(logging.WARNING):
        warn_of_emulation(precision, torch.device("cpu"))

    assert len(caplog.records) == is_told


def test_the_capabilities_of_this_cpu_are_known_by_name() -> None:
    assert all(isinstance(has, bool) for name, has in torch.cpu.get_capabilities().items() if name.endswith("bf16"))


def test_a_gpu_that_is_not_there_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"device cuda:99 is not there: this machine has \d+ GPUs"):
        pick_device("cuda:99")


@pytest.mark.parametrize(("precision", "expected"), [("auto", torch.float32), ("bfloat16", torch.bfloat16)])
def test_a_cpu_computes_in_float32_unless_told_otherwise(precision: Precision, expected: torch.dtype) -> None:
    layer = torch.nn.Linear(2, 2)

    with autocast(precision, torch.device("cpu")):
        output = layer(torch.ones(1, 2))

    assert output.dtype == expected


class _Layer:
    """A network's stand-in: all of these share one line of code."""

    def __init__(self, width: int) -> None:
        self.weight = torch.ones(width)

    def represent(self, images: torch.Tensor) -> torch.Tensor:
        return images * self.weight


def test_a_process_compiles_for_more_networks_than_torch_keeps(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager"))  # needs no C++ compiler
    compiled_frames = []
    for width in range(2, 14):
        counters.clear()
        represent = compiled(_Layer(width).represent)
        assert torch.equal(represent(torch.ones(3, width)), torch.ones(3, width))
        compiled_frames.append(counters["frames"]["ok"])

    assert compiled_frames == [1] * 12
