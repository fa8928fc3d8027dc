import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import plain_weighting
import pytest
import torch
from plain_weighting import Twostage, batch, step
from torch import Tensor
from torchjd.aggregation import Sum

from sepl.config import TrainingConfig, WeightingName
from sepl.errors import ConfigError
from sepl.models.parts.network import Context
from sepl.tasks import CARDIOMETABOLIC_TASKS, Task, TaskKind, TaskTable
from sepl.training.weighting.base import Weighting
from sepl.training.weighting.build import build_weighting
from sepl.training.weighting.gradients import GradientMethod, GradientWeighting, gradient_methods

NAMES: tuple[WeightingName, ...] = WeightingName.__args__
METHODS = tuple(gradient_methods(cagrad_radius=0.5))
CPU = torch.device("cpu")


def build(name: str, num_tasks: int = 5, **options: Any) -> Weighting:
    """Over the first of the 15 factors: sex, which is binary, and regressions."""
    tasks = TaskTable.of(CARDIOMETABOLIC_TASKS[:num_tasks])
    options = {"stch_warmup_epochs": 1, **options} if name == "stch" else options
    config = TrainingConfig.parse({"weighting": name, **options}, "test")
    return build_weighting(config, tasks, Twostage(num_tasks), CPU)


def with_history(weighting: Weighting, num_tasks: int, present: list[bool]) -> Weighting:
    """After three epochs, in which weights were learned."""
    for epoch in range(3):
        gradients = step(weighting, Twostage(num_tasks, seed=epoch), present, seed=epoch)
        with torch.no_grad():
            for name, parameter in weighting.named_parameters():
                parameter -= 0.1 * gradients[name]
        weighting.end_epoch()
    return weighting


def assert_close(gradients: dict[str, Tensor], expected: dict[str, Tensor], rtol: float = 1e-5) -> None:
    for name, gradient in expected.items():
        torch.testing.assert_close(
            gradients[name], gradient, rtol=rtol, atol=1e-6 * float(gradient.abs().max() + 1e-12)
        )


def trunk_of(gradients: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: gradient for name, gradient in gradients.items() if name in ("first", "second")}


def test_the_noise_of_graded_tasks_is_that_of_cross_entropies() -> None:
    kinds: tuple[TaskKind, ...] = get_args(TaskKind)
    levels = {"ordinal": ("a", "b"), "categorical": ("a", "b", "c")}
    tasks = [Task(name=kind, kind=kind, unit="", label="", levels=levels.get(kind, ())) for kind in kinds]
    config = TrainingConfig.parse({"weighting": "uncertainty_laplace"}, "test")
    weighting = build_weighting(config, TaskTable.of(tasks), Twostage(4), CPU)

    torch.nn.init.ones_(next(weighting.parameters()))

    totals = [weighting.total(torch.zeros(4), present_T).item() for present_T in torch.eye(4).bool()]
    assert dict(zip(kinds, totals, strict=True)) == {kind: 1.0 if kind == "regression" else 0.5 for kind in kinds}


# Laws of every weighting


def test_equal_is_the_plain_sum_bit_for_bit() -> None:
    gradients = step(build("equal"), Twostage(5), [True] * 5)

    network = Twostage(5)
    images_BCHW, targets_BT = batch(5)
    ((network(images_BCHW) - targets_BT) ** 2).mean(dim=0).sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None
        assert torch.equal(gradients[name], parameter.grad)


@pytest.mark.parametrize("name", NAMES)
def test_a_task_without_labels_takes_no_part(name: WeightingName) -> None:
    torch.manual_seed(0)
    without = step(with_history(build(name, 4), 4, [True] * 4), Twostage(4), [True] * 4)
    torch.manual_seed(0)
    weighting = with_history(build(name, 5), 5, [True] * 4 + [False])
    masked = step(weighting, Twostage(5), [True] * 4 + [False])

    shared = {key: gradient for key, gradient in without.items() if key != "log_noise_T"}
    assert_close(masked, shared, rtol=1e-4)
    assert not masked["heads.4"].any()
    if "log_noise_T" in masked:
        assert masked["log_noise_T"][4] == 0


@pytest.mark.parametrize("name", NAMES)
def test_a_batch_without_any_label_moves_nothing_and_is_not_remembered(name: WeightingName) -> None:
    weighting = with_history(build(name), 5, [True] * 5)
    before = {key: value.clone() for key, value in weighting.state_dict().items()}

    gradients = step(weighting, Twostage(5), [False] * 5)

    assert not any(gradient.any() for gradient in gradients.values())
    for key, value in weighting.state_dict().items():
        torch.testing.assert_close(value, before[key], rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("name", NAMES)
def test_a_restored_weighting_goes_on_as_if_it_had_never_stopped(name: WeightingName) -> None:
    first = with_history(build(name), 5, [True, True, False, True, True])
    step(first, Twostage(5), [True] * 5)
    second = build(name)
    second.load_state_dict(first.state_dict())

    assert all(isinstance(value, Tensor) for value in first.state_dict().values())
    for seed in range(2):
        torch.manual_seed(seed)
        expected = step(first, Twostage(5), [True] * 5, seed=seed)
        torch.manual_seed(seed)
        gradients = step(second, Twostage(5), [True] * 5, seed=seed)
        assert all(torch.equal(gradients[key], expected[key]) for key in expected)
        first.end_epoch()
        second.end_epoch()


@pytest.mark.parametrize("name", NAMES)
def test_what_a_family_adds_to_its_losses_is_added_as_it_is(name: WeightingName) -> None:
    torch.manual_seed(0)
    plain = step(build(name), Twostage(5), [True] * 5)
    torch.manual_seed(0)
    penalised = step(build(name), Twostage(5, penalised=True), [True] * 5)

    network = Twostage(5, penalised=True)
    context = Context(penalties=[])
    network(batch(5)[0], context)
    network.penalty(context).backward()
    for key, parameter in network.named_parameters():
        added = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        torch.testing.assert_close(penalised[key] - plain[key], added, rtol=1e-4, atol=1e-4)


def test_fixed_weights_scale_each_loss_and_tasks_not_named_weigh_one() -> None:
    gradients = step(build("fixed", task_weights={"age": 0.0, "weight": 2.5}), Twostage(5), [True] * 5)

    scaled = step(build("equal"), Twostage(5), [True] * 5, scale_T=torch.tensor([1.0, 0.0, 1.0, 2.5, 1.0]))
    assert_close(gradients, scaled)


# Weightings of gradients


def test_the_sum_of_the_tasks_gradients_is_the_gradient_of_the_sum() -> None:
    weighting = GradientWeighting(GradientMethod(lambda _: Sum(), is_mean=False))

    gradients = step(weighting, Twostage(5, penalised=True), [True, True, False, True, True])

    assert_close(gradients, step(build("equal"), Twostage(5, penalised=True), [True, True, False, True, True]), 1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_the_losses_common_scale_changes_no_direction(method: str) -> None:
    torch.manual_seed(0)
    large = step(build(method), Twostage(5), [True] * 5)
    torch.manual_seed(0)
    small = step(build(method), Twostage(5), [True] * 5, scale_T=2.0**-20)

    assert_close({name: gradient * 2.0**20 for name, gradient in small.items()}, large, rtol=1e-4)


@pytest.mark.parametrize("method", METHODS)
def test_one_task_alone_is_trained_by_its_own_gradient(method: str) -> None:
    torch.manual_seed(0)
    gradients = step(build(method), Twostage(5), [False, True, False, False, False])

    assert_close(gradients, step(build("equal"), Twostage(5), [False, True, False, False, False]))


@pytest.mark.parametrize("method", METHODS)
def test_heads_are_trained_by_the_plain_sum(method: str) -> None:
    gradients = step(build(method), Twostage(5), [True] * 5)

    expected = step(build("equal"), Twostage(5), [True] * 5)
    heads = {name: gradient for name, gradient in expected.items() if name.startswith("heads")}
    assert_close(gradients, heads)


def test_the_trunk_is_passed_once() -> None:
    network, passes = Twostage(5), []
    network.first.register_hook(passes.append)

    step(build("upgrad"), network, [True] * 5)

    assert len(passes) == 1


@pytest.mark.parametrize("method", METHODS)
def test_under_bfloat16_gradients_are_those_of_float32_but_for_rounding(method: str) -> None:
    torch.manual_seed(0)
    exact = step(build(method), Twostage(5), [True] * 5)
    torch.manual_seed(0)
    rounded = step(build(method), Twostage(5), [True] * 5, precision=torch.bfloat16)

    for name, gradient in exact.items():
        assert rounded[name].dtype == torch.float32
        assert torch.nn.functional.cosine_similarity(rounded[name].flatten(), gradient.flatten(), dim=0) > 0.98


@pytest.mark.parametrize("loads_solvers", [False, True])
def test_solvers_are_loaded_for_a_weighting_of_gradients_alone(loads_solvers: bool) -> None:
    names = ["upgrad"] if loads_solvers else ["equal", "fixed", "uncertainty_laplace", "dwa", "famo"]
    script = f"""
import sys
sys.path.insert(0, {str(Path(plain_weighting.__file__).parent)!r})
import torch
from plain_weighting import Twostage
from sepl.config import TrainingConfig
from sepl.tasks import CARDIOMETABOLIC_TASKS, TaskTable
from sepl.training.supervised.run import TrainingRun
from sepl.training.weighting.build import build_weighting

tasks = TaskTable.of(CARDIOMETABOLIC_TASKS)
for name in {names}:
    build_weighting(TrainingConfig(weighting=name), tasks, Twostage(15), torch.device("cpu"))
print(sorted({{"torchjd", "cvxpy"}} & set(sys.modules)))
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=False)

    assert run.returncode == 0, run.stderr
    assert run.stdout.strip() == ("['cvxpy', 'torchjd']" if loads_solvers else "[]")


def aggregate(method: str, matrix_PR: Tensor) -> Tensor:
    weighting = GradientWeighting(gradient_methods(cagrad_radius=0.4)[method])
    (left_R, right_R) = weighting.aggregate([matrix_PR[:, :4], matrix_PR[:, 4:]])
    return torch.cat([left_R, right_R])


def conflicting(seed: int = 0) -> Tensor:
    """Gradients (4, 20), some of which point away from each other."""
    generator = torch.Generator().manual_seed(seed)
    matrix_PR = torch.randn(4, 20, generator=generator)
    matrix_PR[1] = -0.6 * matrix_PR[0] + 0.5 * matrix_PR[1]
    assert (matrix_PR @ matrix_PR.T < 0).any()
    return matrix_PR


@pytest.mark.parametrize("method", ["upgrad", "dualproj", "mgda", "nash_mtl", "config", "imtl_g"])
def test_what_is_conflict_free_lowers_every_loss(method: str) -> None:
    for seed in range(5):
        matrix_PR = conflicting(seed)

        along_P = matrix_PR @ aggregate(method, matrix_PR)

        assert (along_P > -1e-2 * matrix_PR.norm() ** 2).all()


@pytest.mark.parametrize("method", ["upgrad", "dualproj", "pcgrad"])
def test_without_conflict_projecting_is_the_plain_sum(method: str) -> None:
    matrix_PR = torch.rand(4, 20, generator=torch.Generator().manual_seed(0))

    torch.testing.assert_close(aggregate(method, matrix_PR), matrix_PR.sum(dim=0), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("method", ["nash_mtl", "imtl_g", "config"])
def test_one_losss_scale_changes_no_direction_of_impartial_methods(method: str) -> None:
    matrix_PR, scale_P1 = conflicting(), torch.tensor([[1.0], [3.0], [1.0], [0.5]])

    direction_R, scaled_R = aggregate(method, matrix_PR), aggregate(method, scale_P1 * matrix_PR)

    assert torch.nn.functional.cosine_similarity(direction_R, scaled_R, dim=0) > 0.999


def test_upgrad_is_linear_in_the_scale_of_each_loss() -> None:
    matrix_PR = conflicting()
    scale_P1, other_P1 = torch.tensor([[1.0], [3.0], [0.7], [0.5]]), torch.tensor([[2.0], [0.5], [1.0], [1.5]])

    together_R = aggregate("upgrad", (scale_P1 + other_P1) * matrix_PR)

    apart_R = aggregate("upgrad", scale_P1 * matrix_PR) + aggregate("upgrad", other_P1 * matrix_PR)
    torch.testing.assert_close(together_R, apart_R, rtol=1e-2, atol=1e-2)


def test_mgda_is_the_shortest_vector_between_the_gradients() -> None:
    matrix_PR = conflicting()
    shortest_R = aggregate("mgda", matrix_PR) / 4

    assert (matrix_PR @ shortest_R >= 0.95 * shortest_R @ shortest_R).all()  # the solver stops at steps of 0.001


def test_cagrad_stays_within_its_radius_of_the_mean() -> None:
    matrix_PR = conflicting()
    mean_R = matrix_PR.mean(dim=0)

    distance = (aggregate("cagrad", matrix_PR) / 4 - mean_R).norm()

    torch.testing.assert_close(distance, 0.4 * mean_R.norm(), rtol=1e-3, atol=0)


def test_a_bargain_shares_out_what_each_gains() -> None:
    """Nash: w_i (G w)_i is the same for all tasks."""
    matrix_PR = conflicting()
    weights_P = torch.linalg.lstsq(matrix_PR.T, aggregate("nash_mtl", matrix_PR)[:, None]).solution[:, 0]

    gained_P = weights_P * (matrix_PR @ matrix_PR.T @ weights_P)
    torch.testing.assert_close(gained_P, gained_P.mean().expand(4), rtol=1e-2, atol=0)


def test_graddrop_keeps_one_sign_of_every_number() -> None:
    matrix_PR = conflicting()

    dropped_R = aggregate("graddrop", matrix_PR)

    positive_R, negative_R = matrix_PR.clamp(min=0).sum(dim=0), matrix_PR.clamp(max=0).sum(dim=0)
    kept_R = torch.minimum((dropped_R - positive_R).abs(), (dropped_R - negative_R).abs())
    assert kept_R.max() < 1e-5


# What cannot be built


@pytest.mark.parametrize("name", ["upgrad", "graddrop"])
def test_gradients_are_not_weighed_where_no_trunk_is_shared(name: str) -> None:
    network = Twostage(15)
    network.has_shared_trunk = False  # pyright: ignore[reportAttributeAccessIssue]

    with pytest.raises(ConfigError, match=f"weighting {name} .* this family has not; take equal"):
        build_weighting(
            TrainingConfig.parse({"weighting": name}, "test"), TaskTable.of(CARDIOMETABOLIC_TASKS), network, CPU
        )


def test_a_weight_of_no_task_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match=r"task_weights should name tasks of the dataset \(sex, .*named pulse"):
        build("fixed", task_weights={"pulse": 1.0})


def test_a_warm_up_that_the_run_ends_in_is_refused() -> None:
    assert build("stch", stch_warmup_epochs=2, num_epochs=3)
    with pytest.raises(ConfigError, match=r"stch_warmup_epochs should be less than num_epochs \(3\), was 3"):
        build("stch", stch_warmup_epochs=3, num_epochs=3)


def test_an_option_of_another_weighting_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"cagrad_radius should stay 0.5 unless weighting is 'cagrad'"):
        build("upgrad", cagrad_radius=0.2)
    with pytest.raises(ConfigError, match=r"task_weights.age should be greater than or equal to 0, was -1"):
        build("fixed", task_weights={"age": -1.0})
