"""SePL's head against a plain loop written straight from the equations, and the laws of a multi-task head."""

from typing import Any, get_args

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from plain_sepl import Case, places, plain_loop
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from sepl.config import BinaryPrior, GateInputs, Propagation
from sepl.errors import ConfigError
from sepl.models.families.sepl import SeplHead
from sepl.tasks import TaskKind

PAPER: dict[str, Any] = {"kinds": ["binary"] + ["regression"] * 14, "is_prior": [True] * 6 + [False] * 9}


_MOST_OUTPUTS = {"ordinal": (1, 4), "categorical": (2, 4)}


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Every point of the ablation grid, on tasks of all kinds."""
    num_tasks = draw(st.integers(1, 7))
    kinds = draw(st.lists(st.sampled_from(get_args(TaskKind)), min_size=num_tasks, max_size=num_tasks))
    flags = st.lists(st.booleans(), min_size=num_tasks, max_size=num_tasks)
    is_prior = draw(flags.filter(lambda priors: not all(priors)))
    propagation, num_experts = draw(st.sampled_from(get_args(Propagation))), draw(st.integers(1, 5))
    has_priors = any(is_prior) and propagation != "none"
    gate_inputs = st.sampled_from(get_args(GateInputs)).filter(lambda inputs: has_priors or inputs != "prior")
    return Case(
        kinds=kinds,
        num_outputs=[draw(st.integers(*_MOST_OUTPUTS.get(kind, (1, 1)))) for kind in kinds],
        is_prior=is_prior,
        num_features=draw(st.integers(1, 9)),
        num_experts=num_experts,
        hidden_width=draw(st.integers(1, 8)),
        propagation=propagation,
        binary_prior=draw(st.sampled_from(get_args(BinaryPrior))),
        gate_inputs=draw(gate_inputs),
        prior_attention=draw(st.booleans()),
        gate_top_k=draw(st.integers(0, num_experts)),
        takes_known=propagation in ("predicted", "detached") and draw(st.booleans()),
    )


def draw_labels(num_photographs: int, case: Case) -> Tensor:
    """Scaled labels (B, K), a third of them absent."""
    labels_BK = torch.randn(num_photographs, len(case.is_prior))
    for k, (kind, count) in enumerate(zip(case.kinds, case.counts, strict=True)):
        if kind != "regression":
            num_levels = count if kind == "categorical" else count + 1
            labels_BK[:, k] = torch.randint(num_levels, (num_photographs,)).float()
    return torch.where(torch.rand_like(labels_BK) < 1 / 3, torch.nan, labels_BK)


def head(**changes: Any) -> SeplHead:
    settings = {
        **PAPER,
        "num_features": 16,
        "num_experts": 3,
        "hidden_width": 8,
        "propagation": "predicted",
        "binary_prior": "logit",
    }
    return Case(**{**settings, **changes}).build()


def gradients(outputs_BK: Tensor, weights_BK: Tensor, network: nn.Module, features_BF: Tensor) -> dict[str, Tensor]:
    names = ["features", *(name for name, _ in network.named_parameters())]
    inputs = [features_BF, *network.parameters()]
    found = torch.autograd.grad((outputs_BK * weights_BK).sum(), inputs, allow_unused=True, materialize_grads=True)
    return dict(zip(names, found, strict=True))


@given(cases(), st.integers(1, 5), st.integers(0, 2**16))
def test_it_equals_the_plain_loop_forward_and_backward(case: Case, num_photographs: int, seed: int) -> None:
    torch.manual_seed(seed)
    network = case.build()
    features_BF = torch.randn(num_photographs, case.num_features, requires_grad=True)
    weights_BO, labels_BK = torch.randn(num_photographs, sum(case.counts)), draw_labels(num_photographs, case)

    ours_BK, plain_BK = network(features_BF, labels_BK), plain_loop(network, case, features_BF, labels_BK)

    torch.testing.assert_close(ours_BK, plain_BK, atol=1e-5, rtol=1e-5)
    ours = gradients(ours_BK, weights_BO, network, features_BF)
    plain = gradients(plain_BK, weights_BO, network, features_BF)
    torch.testing.assert_close(ours, plain, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("propagation", get_args(Propagation))
def test_it_equals_the_plain_loop_at_the_papers_size(propagation: Propagation) -> None:
    case = Case(
        **PAPER, num_features=768, num_experts=4, hidden_width=512, propagation=propagation, binary_prior="logit"
    )
    network = case.build()
    features_BF, labels_BK = torch.randn(2, 768, requires_grad=True), draw_labels(2, case)

    ours_BK, plain_BK = network(features_BF, labels_BK), plain_loop(network, case, features_BF, labels_BK)

    torch.testing.assert_close(ours_BK, plain_BK, atol=1e-5, rtol=1e-5)
    ours = gradients(ours_BK, torch.ones_like(ours_BK), network, features_BF)
    plain = gradients(plain_BK, torch.ones_like(ours_BK), network, features_BF)
    torch.testing.assert_close(ours, plain, atol=1e-5, rtol=1e-5)


def test_the_papers_head_has_the_parameters_of_the_released_one() -> None:
    network = head(num_features=768, num_experts=4, hidden_width=512)

    num_parameters = sum(parameter.numel() for parameter in network.parameters())

    gates, experts, priors, targets = 9 * 3_100, 4 * 662_654, 6 * 769, 9 * 513
    assert num_parameters == gates + experts + priors + targets


@given(cases(), st.randoms(use_true_random=False))
def test_permuting_the_tasks_permutes_the_outputs(case: Case, random: Any) -> None:
    network = case.build()
    features_BF, labels_BK = torch.randn(3, case.num_features), draw_labels(3, case)
    prior_of, target_of = places(case.is_prior)
    order = _interleave(list(prior_of), list(target_of), random)  # within a role, the order of parameters stays
    moved = {name: [getattr(case, name)[k] for k in order] for name in ("kinds", "is_prior", "num_outputs")}
    permuted = Case(**{**vars(case), **moved}).build()
    permuted.load_state_dict(network.state_dict())

    outputs_BO = permuted(features_BF, labels_BK[:, order])
    columns = [column for k in order for column in case.columns[k]]
    torch.testing.assert_close(outputs_BO, network(features_BF, labels_BK)[:, columns], atol=0, rtol=0)


def _interleave(first: list[int], second: list[int], random: Any) -> list[int]:
    takes_first = [True] * len(first) + [False] * len(second)
    random.shuffle(takes_first)
    sources = iter(first), iter(second)
    return [next(sources[0] if take else sources[1]) for take in takes_first]


@given(cases())
def test_a_batch_equals_its_rows(case: Case) -> None:
    network = case.build()
    features_BF, labels_BK = torch.randn(5, case.num_features), draw_labels(5, case)

    rows_BK = torch.cat([network(features_BF[b : b + 1], labels_BK[b : b + 1]) for b in range(5)])

    torch.testing.assert_close(network(features_BF, labels_BK), rows_BK, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize(
    ("propagation", "reaches"),
    [("predicted", True), ("detached", False), ("none", False), ("oracle", False), ("shuffled", False)],
)
def test_targets_move_the_prior_heads_only_when_priors_are_propagated_with_gradient(
    propagation: Propagation, reaches: bool
) -> None:
    network = head(propagation=propagation)

    network(torch.randn(4, 16), torch.randn(4, 15))[:, 6:].sum().backward()

    assert network.prior_heads is not None
    gradient = network.prior_heads.weight.grad
    assert (gradient is not None and bool(gradient.any())) is reaches


def test_a_masked_prior_moves_only_through_the_targets() -> None:
    network = head(propagation="detached")
    mask_K = torch.ones(15)
    mask_K[2] = 0  # no label of this prior in the batch

    (network(torch.randn(4, 16)) * mask_K).sum().backward()

    assert network.prior_heads is not None
    gradient_P = network.prior_heads.weight.grad
    assert gradient_P is not None
    assert gradient_P.any(dim=1).tolist() == [True, True, False, True, True, True]


def test_without_propagation_the_targets_see_the_image_alone() -> None:
    network = head(propagation="none")
    features_BF = torch.randn(4, 16)
    before_BK = network(features_BF)
    assert network.prior_heads is not None

    with torch.no_grad():
        network.prior_heads.weight.add_(1.0)
    after_BK = network(features_BF)

    assert torch.equal(before_BK[:, 6:], after_BK[:, 6:])
    assert not torch.equal(before_BK[:, :6], after_BK[:, :6])


@pytest.mark.parametrize("propagation", ["oracle", "shuffled"])
def test_true_priors_move_the_targets_alone_and_their_absence_is_an_error(propagation: Propagation) -> None:
    network, features_BF, labels_BK = head(propagation=propagation), torch.randn(4, 16), torch.randn(4, 15)
    other_BK = labels_BK.clone()
    other_BK[:, 2] += 1  # a prior
    same_BK = labels_BK.clone()
    same_BK[:, 9] += 1  # a target: its label is no input

    outputs_BK = network(features_BF, labels_BK)

    assert torch.equal(outputs_BK[:, :6], network(features_BF, other_BK)[:, :6])
    assert not torch.allclose(outputs_BK[:, 6:], network(features_BF, other_BK)[:, 6:])
    assert torch.equal(outputs_BK, network(features_BF, same_BK))
    with pytest.raises(ConfigError, match="should be given true priors"):
        network(features_BF)


@pytest.mark.parametrize("binary_prior", get_args(BinaryPrior))
def test_known_priors_stand_in_for_the_predicted_ones_and_the_rest_stays_predicted(binary_prior: BinaryPrior) -> None:
    network, oracle = (
        head(takes_known=True, binary_prior=binary_prior),
        head(propagation="oracle", binary_prior=binary_prior),
    )
    oracle.load_state_dict(network.state_dict())
    features_BF, labels_BK = torch.randn(4, 16), torch.randn(4, 15)
    labels_BK[:, 0] = (labels_BK[:, 0] > 0).float()
    unknown_BK = torch.full_like(labels_BK, torch.nan)
    targets_alone_BK = torch.where(torch.arange(15) >= 6, labels_BK, torch.nan)

    nothing_BK, all_BK = network(features_BF), network(features_BF, labels_BK)

    assert torch.equal(all_BK[:, :6], nothing_BK[:, :6])  # what the prior heads learn from
    assert torch.equal(all_BK, oracle(features_BF, labels_BK))
    for told_BK in (unknown_BK, targets_alone_BK):
        assert torch.equal(network(features_BF, told_BK), nothing_BK)


def test_a_prior_that_is_known_has_no_gradient_from_the_targets_and_another_has() -> None:
    network, labels_BK = head(takes_known=True), torch.full((4, 15), torch.nan)
    labels_BK[:, 2] = 0.5

    network(torch.randn(4, 16), labels_BK)[:, 6:].sum().backward()

    assert network.prior_heads is not None
    gradient_P = network.prior_heads.weight.grad
    assert gradient_P is not None
    assert gradient_P.any(dim=1).tolist() == [True, True, False, True, True, True]


def test_gates_of_priors_alone_need_priors() -> None:
    with pytest.raises(ConfigError, match="gate_inputs should be 'uniform' or 'image' without priors, was 'prior'"):
        head(is_prior=[False] * 15, gate_inputs="prior")


@pytest.mark.parametrize(
    ("gate_inputs", "hears_image", "hears_priors"),
    [
        ("uniform", False, False),
        ("image", True, False),
        ("prior", False, True),
        ("image+prior", True, True),
    ],
)
def test_gates_hear_what_their_inputs_say(gate_inputs: GateInputs, hears_image: bool, hears_priors: bool) -> None:
    network = head(gate_inputs=gate_inputs)

    width = 0 if network.gates is None else network.gates.in_features

    assert width == 16 * hears_image + 6 * hears_priors


def test_a_binary_prior_is_given_out_as_logit_however_it_is_propagated() -> None:
    logit, probability = head(binary_prior="logit"), head(binary_prior="probability")
    probability.load_state_dict(logit.state_dict())
    features_BF = torch.randn(4, 16)

    assert torch.equal(logit(features_BF)[:, :6], probability(features_BF)[:, :6])
    assert not torch.allclose(logit(features_BF)[:, 6:], probability(features_BF)[:, 6:])


def test_every_expert_and_gate_starts_as_a_linear_layer_of_its_own_would() -> None:
    network = head(num_features=100, hidden_width=300)
    expected = {"prior_heads": 100, "gates": 106, "experts.image": 100, "experts.prior": 6, "experts.out": 312}

    for name, num_inputs in expected.items():
        layer = network.get_submodule(name)
        bound = num_inputs**-0.5  # as documented for nn.Linear
        weight, bias = layer.get_parameter("weight"), layer.get_parameter("bias")
        assert 0.9 * bound < weight.abs().max() <= bound, name
        assert abs(weight.std() / bound - 3**-0.5) < 0.06, name  # uniform, not merely bounded
        assert 0 < bias.abs().max() <= bound, name
    assert not torch.equal(network.experts.out.weight[0], network.experts.out.weight[1])


class _LargestTensor(TorchDispatchMode):
    numel = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if isinstance(result, Tensor):
            self.numel = max(self.numel, result.numel())
        return result


def test_no_tensor_of_photographs_by_targets_by_hidden_is_formed() -> None:
    network = head(num_features=16, num_experts=2, hidden_width=64)

    with _LargestTensor() as largest:
        network(torch.randn(32, 16))

    assert 0 < largest.numel < 32 * 9 * 64


def test_a_state_that_goes_out_and_in_gives_the_same_outputs() -> None:
    first, second = head(), head()
    features_BF = torch.randn(4, 16)

    second.load_state_dict(first.state_dict())

    assert torch.equal(first(features_BF), second(features_BF))


def test_bfloat16_autocast_stays_near_float32() -> None:
    network = head()
    features_BF = torch.randn(8, 16)

    with torch.autocast("cpu", dtype=torch.bfloat16):
        half_BK = network(features_BF)

    torch.testing.assert_close(half_BK.float(), network(features_BF), atol=0.05, rtol=0.05)


def test_per_photograph_gradients_can_be_batched() -> None:
    """What gradient aggregators over tasks ask for: several cotangents at once."""
    network = head()
    features_BF = torch.randn(4, 16, requires_grad=True)
    losses_K = network(features_BF).sum(dim=0)

    together = torch.autograd.grad(losses_K, features_BF, torch.eye(15), is_grads_batched=True, retain_graph=True)[0]
    one_by_one = [torch.autograd.grad(loss, features_BF, retain_graph=True)[0] for loss in losses_K]

    torch.testing.assert_close(together, torch.stack(one_by_one), atol=1e-6, rtol=1e-5)
