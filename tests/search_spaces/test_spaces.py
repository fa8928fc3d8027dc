"""The spaces that come with the project."""

import subprocess
import sys
from typing import get_args

import optuna
import pytest
import timm

from sepl.config import Family, ModelConfig, TrialConfig
from sepl.models.backbone.build import build_backbone
from sepl.models.backbone.depth import freeze_stages
from sepl.models.backbone.packaged import PACKAGES
from sepl.tasks import CARDIOMETABOLIC_TASKS, TASK_SPLITS, TaskSplit, TaskTable
from sepl.tuning.space.space import load_space

SPACES = ("search_spaces/smoke.py", "search_spaces/joint.py")
SEARCHED = {
    "backbone",
    "num_experts",
    "hidden_width",
    "task_split",
    "propagation",
    "learning_rate",
    "weight_decay",
    "drop_path",
    "augment_strength",
}


def ask(name: str, num_trials: int = 40) -> list[tuple[optuna.Trial, dict]]:
    space = load_space(name)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    return [(trial, space.propose(trial)) for trial in (study.ask() for _ in range(num_trials))]


@pytest.mark.parametrize("name", SPACES)
def test_the_papers_own_setting_is_tried_first(name: str) -> None:
    first = load_space(name).first_points[0]

    assert first | {"backbone": ""} == {
        "backbone": "",
        "task_split": "anthropometric",
        "num_experts": 4,
        "hidden_width": 512,
        "propagation": "predicted",
        "learning_rate": 1e-4,
        "weight_decay": 0.0,
        "drop_path": 0.0,
        "augment_strength": 1.0,
    }


def test_the_papers_backbone_is_tried_first_where_real_ones_are_searched() -> None:
    assert load_space("search_spaces.joint").first_points[0]["backbone"] == "convnext_tiny"


@pytest.mark.parametrize("name", SPACES)
def test_everything_promised_is_searched(name: str) -> None:
    asked = {parameter for trial, _ in ask(name) for parameter in trial.params}

    assert asked == SEARCHED


@pytest.mark.parametrize("name", SPACES)
def test_all_named_task_splits_are_searched(name: str) -> None:
    assert {trial.params["task_split"] for trial, _ in ask(name)} == set(TASK_SPLITS)


@pytest.mark.parametrize("name", SPACES)
def test_without_priors_nothing_is_propagated(name: str) -> None:
    for trial, constants in ask(name):
        propagation = {**trial.params, **constants}["propagation"]

        assert trial.params["task_split"] != "none" or propagation == "none"


@pytest.mark.parametrize("name", SPACES)
def test_every_backbone_is_one_of_timms(name: str) -> None:
    backbones = {trial.params["backbone"] for trial, _ in ask(name)}

    assert len(backbones) >= 4
    assert all(timm.is_model(backbone) for backbone in backbones)


@pytest.mark.parametrize("name", ["smoke", "joint", "families", "ablation", "transfer", "splits"])
def test_a_space_loads_without_optuna_torch_and_ray(name: str) -> None:
    heavy = "{'optuna', 'torch', 'ray'} & set(sys.modules)"

    process = [sys.executable, "-c", f"import sys, search_spaces.{name}; print(sorted({heavy}))"]
    assert subprocess.run(process, check=True, capture_output=True, text=True).stdout == "[]\n"


def test_transfer_asks_the_joint_question_and_what_is_kept_of_weights_that_packages_bring() -> None:
    asked = ask("search_spaces/transfer.py", 60)

    assert {parameter for trial, _ in asked for parameter in trial.params} == SEARCHED | {
        "frozen_stages",
        "layer_decay",
    }
    assert {trial.params["backbone"] for trial, _ in asked} == set(PACKAGES)
    assert {trial.params["task_split"] for trial, _ in asked} == set(TASK_SPLITS)
    for trial, constants in asked:
        config = TrialConfig.from_params({**trial.params, **constants})
        assert config.model.weights == "pretrained"
        assert trial.params["task_split"] != "none" or config.model.propagation == "none"


def test_each_factor_is_asked_by_itself_and_the_named_splits_are_tried_first() -> None:
    tasks = TaskTable.of(CARDIOMETABOLIC_TASKS)
    space = load_space("search_spaces/splits.py").for_tasks(tasks)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    for point in space.first_points:
        study.enqueue_trial(point)

    splits = [TaskSplit.parse(space.propose(study.ask())["task_split"], tasks) for _ in range(40)]

    named = ("anthropometric", "demographic", "anthropometric_pressures")
    assert splits[:3] == [TaskSplit.parse(name, tasks) for name in named]
    assert {name for split in splits for name in split.priors} == set(tasks.names)
    assert all(split.priors and split.targets for split in splits)


def test_the_papers_setting_is_tried_first_where_weights_are_kept_too() -> None:
    first = load_space("search_spaces/transfer.py").first_points[0]

    paper = load_space("search_spaces/smoke.py").first_points[0]
    assert first == {**paper, "backbone": "tf_efficientnet_lite0", "frozen_stages": 0, "layer_decay": 1.0}


@pytest.mark.parametrize("frozen_stages", [0, 6, 8])
def test_backbones_of_transfer_have_the_stages_that_it_freezes(frozen_stages: int) -> None:
    backbone, _ = build_backbone("tf_efficientnet_lite0", weights="none", image_size=32, drop_path=0.0)

    freeze_stages(backbone, frozen_stages)

    learning = {name.partition(".")[0] for name, tensor in backbone.named_parameters() if tensor.requires_grad}
    assert ("conv_head" in learning) == (frozen_stages < 8)
    assert ("conv_stem" in learning) == (frozen_stages == 0)


def test_families_are_all_searched_and_each_is_tried_at_its_usual_setting_first() -> None:
    space = load_space("search_spaces/families.py")

    assert [point["family"] for point in space.first_points] == list(get_args(Family))
    assert {trial.params["family"] for trial, _ in ask(space.name, 120)} == set(get_args(Family))


def test_the_usual_sepl_among_families_is_the_papers_with_a_little_regularisation() -> None:
    ours, paper = (load_space(name).first_points[0] for name in ("search_spaces.families", "search_spaces.joint"))

    expected = {**paper, "family": "sepl", "weight_decay": 0.05, "drop_path": 0.1}
    assert ours == {name: value for name, value in expected.items() if name != "backbone"}  # which is not searched


def test_an_ablation_takes_one_idea_at_a_time_from_the_papers_setting() -> None:
    space = load_space("search_spaces/ablation.py")
    paper, *others = [
        TrialConfig.from_params({**point, "task_split": "anthropometric"}) for point in space.first_points
    ]

    changed = [
        {name for name, value in other.to_params().items() if value != paper.to_params()[name]} for other in others
    ]

    assert paper.model == ModelConfig(drop_path=0.1)  # whose defaults are the paper's
    assert all(len(names - {"propagation", "load_balance"}) <= 1 for names in changed), changed
    assert set().union(*changed) == {
        "propagation",
        "num_stages",
        "gate_inputs",
        "prior_attention",
        "binary_prior",
        "num_experts",
        "gate_top_k",
        "load_balance",
    }


@pytest.mark.parametrize("name", ["smoke", "joint", "families", "ablation", "transfer"])
def test_a_first_point_is_checked_as_a_study_will_ask_it(name: str) -> None:
    space = load_space(f"search_spaces.{name}")
    study = optuna.create_study()

    for point in space.first_points:
        study.enqueue_trial(point)
        asked = study.ask()
        constants = space.propose(asked)
        trial, constants_at_check = space.answer(point, "first point")

        assert constants_at_check == constants
        assert trial.distributions == asked.distributions
        assert trial.params == asked.params == point


def test_backbones_are_checked_without_loading_torch() -> None:
    script = "import sys; from sepl.tuning.space.space import load_space; load_space('search_spaces.joint')"

    loaded = subprocess.check_output([sys.executable, "-c", f"{script}; print({{'torch', 'timm'}} & set(sys.modules))"])

    assert loaded.decode().strip() == "set()"


def test_how_much_is_known_in_training_is_searched_with_and_without_first() -> None:
    space = load_space("search_spaces/known.py")
    first, second = space.first_points[:2]

    assert {name for name in first if first[name] != second[name]} == {"known_share"}
    assert first["known_share"] == 0
    shares = {
        TrialConfig.from_params({**params, **trial.params}).model.known_share for trial, params in ask(space.name)
    }
    assert {0.0, 1.0} < shares
