import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sepl.config import ModelConfig, TrainingConfig, TrialConfig
from sepl.errors import BundleError, ConfigError
from sepl.settings import Settings

positive = st.floats(1e-8, 1e3)
of_any_model = {
    "backbone": st.sampled_from(["convnext_tiny", "test_resnet"]),
    "task_split": st.sampled_from(["none", "age+sex"]),
    "num_experts": st.integers(1, 64),
    "hidden_width": st.integers(1, 8192),
    "drop_path": st.floats(0, 0.99),
}
models = st.builds(ModelConfig, **of_any_model, propagation=st.just("none")) | st.builds(
    ModelConfig,
    **of_any_model,
    propagation=st.sampled_from(["predicted", "detached"]),
    binary_prior=st.sampled_from(["logit", "probability"]),
)
trainings = st.builds(
    TrainingConfig,
    num_epochs=st.integers(1, 1000),
    batch_size=st.integers(2, 4096),
    learning_rate=positive,
    weight_decay=st.floats(0, 1),
    seed=st.integers(0, 2**31),
)
configs = st.builds(TrialConfig, model=models, training=trainings)


@given(configs)
def test_a_config_survives_its_flat_parameters(config):
    assert TrialConfig.from_params(config.to_params()) == config


@given(configs)
def test_a_config_survives_json(config):
    assert TrialConfig.model_validate_json(config.model_dump_json()) == config


def test_names_are_unique_over_the_sections():
    assert not set(ModelConfig.model_fields) & set(TrainingConfig.model_fields)
    assert set(TrialConfig().to_params()) == set(ModelConfig.model_fields) | set(TrainingConfig.model_fields)


@given(configs, st.integers(1, 64))
def test_changing_one_parameter_changes_no_other(config, num_experts):
    changed = config.with_params(num_experts=num_experts)

    assert changed.to_params() == {**config.to_params(), "num_experts": num_experts}


def test_an_unknown_hyperparameter_is_refused_by_name():
    with pytest.raises(ConfigError, match=r"should be one of family, backbone.*; was 'num_expert'"):
        TrialConfig.from_params({"num_expert": 4})


def test_an_unknown_key_is_refused_by_name():
    with pytest.raises(ConfigError, match=r"trial.json: unknown key model.depth"):
        TrialConfig.parse({"model": {"depth": 3}}, "trial.json")


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"known_share": 1.5}, r"model.known_share should be less than or equal to 1, was 1.5"),
        ({"num_experts": 0}, r"model.num_experts should be greater than or equal to 1, was 0"),
        ({"learning_rate": -1.0}, r"training.learning_rate should be greater than 0, was -1.0"),
        ({"propagation": "both"}, r"model.propagation should be 'predicted', 'detached', .* or 'shuffled', was 'both'"),
        ({"batch_size": "many"}, r"training.batch_size should be a valid integer.*, was 'many'"),
    ],
)
def test_a_wrong_value_says_what_it_should_be_and_what_it_was(params, message):
    with pytest.raises(ConfigError, match=message):
        TrialConfig.from_params(params)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"family": "mtan", "num_experts": 8}, r"num_experts should stay 4 unless family is sepl or mmoe .*, was 8"),
        ({"family": "mmoe", "propagation": "none"}, r"propagation should stay 'predicted' unless family is sepl, was"),
        ({"sharing_strength": 0.1}, r"sharing_strength should stay 0.001 unless family is soft_sharing, was 0.1"),
        ({"photographs_per_patient": 3}, r"photographs_per_patient should stay 2 unless photographs are joined"),
        ({"num_stages": 1}, r"propagation should be 'none' in one stage \(num_stages\), was 'predicted'"),
        ({"propagation": "none", "prior_attention": False}, r"prior_attention should stay True unless priors are"),
        ({"propagation": "none", "binary_prior": "probability"}, r"binary_prior should stay 'logit' unless priors are"),
        ({"propagation": "none", "gate_inputs": "prior"}, r"gate_inputs should not be 'prior' unless priors are"),
        ({"propagation": "none", "known_share": 0.5}, r"known_share should stay 0.0 unless predicted priors are"),
        ({"propagation": "oracle", "known_share": 0.5}, r"known_share should stay 0.0 unless predicted priors are"),
        ({"propagation": "shuffled", "known_share": 1.0}, r"known_share should stay 0.0 unless predicted priors are"),
        ({"family": "cgc", "known_share": 0.5}, r"known_share should stay 0.0 unless family is sepl, was 0.5"),
        ({"gate_inputs": "uniform", "gate_top_k": 2}, r"gate_top_k should stay 0 with uniform gates"),
        ({"gate_top_k": 5}, r"gate_top_k should be at most num_experts \(4\), was 5"),
        ({"family": "ctan", "hidden_width": 6}, r"hidden_width should be a multiple of num_attention_heads \(4\)"),
    ],
)
def test_an_option_that_would_do_nothing_is_refused(params, message):
    with pytest.raises(ConfigError, match=message):
        TrialConfig.from_params(params)


def test_every_wrong_value_is_told_at_once():
    with pytest.raises(ConfigError, match=r"num_experts .*; .*num_epochs "):
        TrialConfig.from_params({"num_experts": 0, "num_epochs": 0})


def test_settings_from_storage_raise_their_rooms_error():
    with pytest.raises(BundleError, match=r"bundle.json: .*JSON"):
        TrialConfig.parse_json(b"{", "bundle.json", BundleError)


def test_settings_do_not_change():
    with pytest.raises(ValueError, match="frozen"):
        TrialConfig().model.num_experts = 3  # type: ignore[misc]


def test_a_long_value_is_shortened_in_the_message():
    class Named(Settings):
        name: int

    with pytest.raises(ConfigError) as caught:
        Named.parse({"name": "x" * 10_000}, "here")
    assert len(str(caught.value)) < 300


def test_the_light_modules_load_neither_torch_nor_ray():
    code = (
        "import sys, sepl.config, sepl.tasks, sepl.errors, sepl.storage; "
        "sys.exit(bool({'torch', 'ray', 'optuna', 'pandas'} & set(sys.modules)))"
    )

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
