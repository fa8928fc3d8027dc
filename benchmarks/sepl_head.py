"""SePL's head, forward and backward: batched products against the plain loop over tasks and experts.

    python -m benchmarks.sepl_head --json out.json [--quick]

Batch 64, 768 features, 6 priors and 9 targets, hidden width 512, float32, gradients of all parameters and of the
features, at 4 and at 16 experts. Contenders, timed in turn in one run:

- head       sepl.models.families.sepl.SeplHead.
- loop       the same equations, with a layer an expert, a gate and a head, as a plain loop over tasks and experts: for
             every target, every expert. The JSON's `ratio` is loop / head at 4 experts.
- released   the same with the experts out of the loop over tasks: evaluated once, one after the other, then for every
             target its gate's share of each. The released code is built so.
- products   nothing but the six batched matrix products of the experts (forward, and both gradients of two layers), in
             the memory layout in which they are fastest. No program that computes these gradients takes less, so
             released / products is the most that any rewriting of the released loop can gain on a machine.

docs/decisions/0006 says why both loops are shown.

Before anything is timed, loops and head are checked to give the same outputs. On a machine with a GPU it is measured
beside the CPU, and `ratio` remains the CPU's.
"""

import argparse
import statistics
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.support.report import benchmark_parser, interleaved_seconds, report
from benchmarks.support.sepl_loop import PlainLoop
from sepl.models.families.sepl import SeplHead

NUM_PHOTOGRAPHS, NUM_FEATURES, NUM_PRIORS, NUM_TARGETS, HIDDEN_WIDTH = 64, 768, 6, 9, 512
NUM_TASKS = NUM_PRIORS + NUM_TARGETS


def main() -> None:
    options = benchmark_parser(__doc__).parse_args()
    torch.manual_seed(0)
    measured = {str(device): _measure_device(device, options) for device in _devices()}
    at_4, at_16 = measured["cpu"]["4_experts"], measured["cpu"]["16_experts"]
    print(f"CPU, 16 experts: head / products {at_16['head_over_products']:.2f}")
    report(
        options,
        name="sepl_head",
        ratio=at_4["loop_over_head"],
        against="time of the plain loop over tasks and experts over ours, 4 experts, CPU",
        n=at_4["rounds"],
        measured=measured,
    )


def _devices() -> list[torch.device]:
    return [torch.device("cpu"), *([torch.device("cuda")] if torch.cuda.is_available() else [])]


def _measure_device(device: torch.device, options: argparse.Namespace) -> dict[str, Any]:
    rounds = 40 if options.quick else 200
    return {
        "4_experts": _measure(4, device, rounds),
        "16_experts": _measure(16, device, rounds // 4),
    }


def _measure(num_experts: int, device: torch.device, rounds: int) -> dict[str, Any]:
    """Median milliseconds of every contender, and their ratios."""
    head = _build_head(num_experts).to(device)
    loop, released = PlainLoop.like(head, once=False).to(device), PlainLoop.like(head).to(device)
    features_BF = torch.randn(NUM_PHOTOGRAPHS, NUM_FEATURES, device=device, requires_grad=True)
    for network in (loop, released):
        _check_equal(head, network, features_BF)
    contenders = {
        "head": _training_step(head, features_BF),
        "loop": _training_step(loop, features_BF),
        "released": _training_step(released, features_BF),
        "products": _bare_products(num_experts, device),
    }
    seconds = interleaved_seconds(contenders, rounds, warmup=5)
    milliseconds = {name: 1e3 * statistics.median(values) for name, values in seconds.items()}
    return {
        "rounds": rounds,
        "milliseconds": milliseconds,
        **{f"{name}_over_head": milliseconds[name] / milliseconds["head"] for name in ("loop", "released")},
        "head_over_products": milliseconds["head"] / milliseconds["products"],
        "released_over_products": milliseconds["released"] / milliseconds["products"],
    }


def _build_head(num_experts: int) -> SeplHead:
    return SeplHead(
        NUM_FEATURES,
        kinds=["binary" if k == 0 else "regression" for k in range(NUM_TASKS)],
        is_prior=[k < NUM_PRIORS for k in range(NUM_TASKS)],
        num_experts=num_experts,
        hidden_width=HIDDEN_WIDTH,
        propagation="predicted",
        binary_prior="logit",
    )


def _check_equal(head: nn.Module, loop: nn.Module, features_BF: Tensor) -> None:
    with torch.no_grad():
        torch.testing.assert_close(head(features_BF), loop(features_BF), atol=1e-4, rtol=1e-4)


def _training_step(network: nn.Module, features_BF: Tensor) -> Callable[[], None]:
    cotangent_BK = torch.randn(NUM_PHOTOGRAPHS, NUM_TASKS, device=features_BF.device)

    def step() -> None:
        network.zero_grad(set_to_none=True)
        features_BF.grad = None
        network(features_BF).backward(cotangent_BK)
        _wait(features_BF.device)

    return step


def _bare_products(num_experts: int, device: torch.device) -> Callable[[], None]:
    def random(*shape: int) -> Tensor:
        return torch.randn(*shape, device=device)

    num_inputs = HIDDEN_WIDTH + 2 * NUM_PRIORS
    features_EBF = random(NUM_PHOTOGRAPHS, NUM_FEATURES).expand(num_experts, -1, -1)
    image_EFH, out_EIH = random(num_experts, NUM_FEATURES, HIDDEN_WIDTH), random(num_experts, num_inputs, HIDDEN_WIDTH)
    inputs_EBI = random(num_experts, NUM_PHOTOGRAPHS, num_inputs)
    gradient_EBH = random(num_experts, NUM_PHOTOGRAPHS, HIDDEN_WIDTH)

    def multiply() -> None:
        results = (  # kept until all are done, as gradients are
            features_EBF @ image_EFH,
            inputs_EBI @ out_EIH,
            gradient_EBH @ out_EIH.mT,
            inputs_EBI.mT @ gradient_EBH,
            gradient_EBH @ image_EFH.mT,
            features_EBF.mT @ gradient_EBH,
        )
        del results
        _wait(device)

    return multiply


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


if __name__ == "__main__":
    main()
