import pytest
import torch

from sepl.config import ModelConfig
from sepl.models.build import build_network
from sepl.tasks import BUILT_IN_TASKS, TaskTable
from sepl.training.engine.optimiser import build_optimiser

TASKS = TaskTable.of([BUILT_IN_TASKS[name] for name in ("sex", "age", "sbp", "dbp")])


@pytest.mark.parametrize("backbone", ["test_efficientnet", "test_convnext", "test_vit"])
def test_weights_decay_and_biases_norms_and_position_embeddings_do_not(backbone: str) -> None:
    network = build_network(ModelConfig(backbone=backbone, hidden_width=8, num_experts=3), TASKS, 32)

    optimiser = build_optimiser(network, learning_rate=1e-3, weight_decay=0.1)

    names = {id(parameter): name for name, parameter in network.named_parameters()}
    groups = optimiser.param_groups
    by_decay = {group["weight_decay"]: {names[id(parameter)] for parameter in group["params"]} for group in groups}
    kept = by_decay[0.0]
    assert by_decay[0.1] | kept == set(names.values())
    assert not by_decay[0.1] & kept
    assert {name for name in names.values() if name.endswith("bias")} <= kept
    assert {"backbone.pos_embed", "backbone.cls_token"} & set(names.values()) <= kept
    assert {"head.experts.image.weight", "head.experts.out.weight", "head.gates.weight"} <= by_decay[0.1]


def test_a_parameter_without_gradient_shrinks_only_by_decay() -> None:
    layer = torch.nn.Linear(2, 2)
    torch.nn.init.ones_(layer.weight)
    torch.nn.init.ones_(layer.bias)
    optimiser = build_optimiser(layer, learning_rate=0.5, weight_decay=0.1)
    for parameter in layer.parameters():
        parameter.grad = torch.zeros_like(parameter)

    optimiser.step()

    torch.testing.assert_close(layer.weight.detach(), torch.full((2, 2), 0.95))
    torch.testing.assert_close(layer.bias.detach(), torch.ones(2))
