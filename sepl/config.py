"""Hyperparameters: the one spelling of every one.

A hyperparameter keeps its name from the search space through `TrialConfig` and the network's argument to the bundle's
JSON, so names are unique over the sections and a flat dictionary, as Optuna gives it, finds its section by itself.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from sepl.errors import ConfigError
from sepl.settings import Settings

Family = Literal[
    "sepl",
    "single_task",
    "hard_sharing",
    "soft_sharing",
    "mmoe",
    "cgc",
    "ple",
    "mtan",
    "ctan",
    "cross_stitch",
]
DeviceName = Literal["auto", "cpu", "cuda"]
"""Where a bundle scores; 'auto' is a GPU when there is one."""
Propagation = Literal["predicted", "detached", "none", "oracle", "shuffled"]
GateInputs = Literal["uniform", "image", "prior", "image+prior"]
FusionName = Literal["none", "mean", "attention"]
BinaryPrior = Literal["logit", "probability"]
Precision = Literal["auto", "float32", "bfloat16"]
CooperativeNoise = Literal["none", "uniform", "gaussian", "ascent"]
CooperativePlace = Literal["features", "parameters"]
WeightingName = Literal[
    "equal",
    "fixed",
    "uncertainty_gaussian",
    "uncertainty_laplace",
    "dwa",
    "famo",
    "stch",
    "upgrad",
    "dualproj",
    "pcgrad",
    "cagrad",
    "mgda",
    "nash_mtl",
    "aligned_mtl",
    "imtl_g",
    "graddrop",
    "config",
]
"""How the tasks' losses move one network: see `sepl.training.weighting.losses_only` and `gradient_weightings`."""


class ModelConfig(Settings):
    """What is built."""

    family: Family = "sepl"
    """Which network; docs/models.md compares them."""
    backbone: str = "convnext_tiny"
    """Any timm model name."""
    weights: str = "none"
    """Initial backbone weights: 'none' (random), 'pretrained' (timm's own), or the path of a .safetensors or .pth."""
    task_split: str = "anthropometric"
    """A name of `sepl.tasks.TASK_SPLITS`, or the priors joined by '+'. Only sepl builds on it; reports of every family
    tell priors and targets apart by it."""
    num_experts: int = Field(default=4, ge=1, le=64)
    hidden_width: int = Field(default=512, ge=1, le=8192)
    """Width of an expert's image part and of its output; of ctan's tokens."""
    propagation: Propagation = "predicted"
    """What reaches gates and experts beside image features: predicted priors, these without gradient, nothing; 'oracle'
    the true priors, 'shuffled' somebody else's, neither of which can be published (`sepl.models.families.sepl`)."""
    binary_prior: BinaryPrior = "logit"
    """How a binary prior is propagated; the released code uses the logit."""
    known_share: float = Field(default=0.0, ge=0.0, le=1.0)
    """Of sepl: how often in training a prior is handed on as it is known instead of as predicted, drawn for each prior
    and photograph; above 0 the network is told what is known of a patient to score (docs/known_values.md)."""
    drop_path: float = Field(default=0.0, ge=0.0, lt=1.0)
    final_norm: bool = True
    """Whether features pass the backbone's last norm, as its authors have it; the released SePL leaves it out."""
    num_stages: int = Field(default=2, ge=1, le=2)
    """Of sepl. 1: priors and targets are predicted together by the mixture, and nothing is propagated."""
    gate_inputs: GateInputs = "image+prior"
    """Of sepl: what decides which experts a target hears; 'uniform' is all alike."""
    prior_attention: bool = True
    """Of sepl: whether each expert weighs the priors by attention."""
    gate_top_k: int = Field(default=0, ge=0)
    """Of sepl and mmoe: how many experts a task hears, the strongest; 0 is all."""
    load_balance: float = Field(default=0.0, ge=0.0)
    """Of sepl and mmoe: weight of the term that keeps all experts at work (`sepl.models.parts.gates`)."""
    num_task_experts: int = Field(default=1, ge=1, le=16)
    """Of cgc and ple: experts of each task's own, beside `num_experts` shared ones."""
    num_layers: int = Field(default=2, ge=1, le=8)
    """Of ple: levels of extraction; of ctan: layers of attention."""
    num_attention_heads: int = Field(default=4, ge=1, le=64)
    """Of ctan."""
    sharing_strength: float = Field(default=1e-3, ge=0.0)
    """Of soft_sharing: weight of the squared distances between the networks."""
    fusion: FusionName = "none"
    """How a patient's photographs become one prediction. 'none': each is predicted alone, and outputs are averaged;
    'mean', 'attention': their features are joined first (`sepl.models.parts.fusion`), in training as in use."""
    photographs_per_patient: int = Field(default=2, ge=1, le=16)
    """With fusion: how many photographs of a patient, drawn anew each epoch, a training step joins."""
    task_groups: str = "none"
    """'each', a name of `sepl.tasks.TASK_GROUPS`, or groups such as 'sex+age/sbp+dbp': each gets a sub-model of its own
    between backbone and head (`sepl.models.parts.group_adapters`), which cooperative training takes turns with."""
    group_width: int = Field(default=32, ge=1, le=1024)
    """With task groups: the width of a group's sub-model."""

    @model_validator(mode="after")
    def _options_have_a_use(self) -> Self:
        for option, families in _FAMILIES_OF_OPTION.items():
            if self.family not in families:
                self._must_stay(option, f"unless family is {' or '.join(families)}")
        if self.fusion == "none":
            self._must_stay("photographs_per_patient", "unless photographs are joined (fusion)")
        if self.task_groups == "none":
            self._must_stay("group_width", "unless tasks are grouped (task_groups)")
        if self.family == "sepl":
            self._check_sepl()
        if self.family in ("sepl", "mmoe") and self.gate_top_k > self.num_experts:
            raise ValueError(f"gate_top_k should be at most num_experts ({self.num_experts}), was {self.gate_top_k}")
        if self.family == "ctan" and self.hidden_width % self.num_attention_heads:
            raise ValueError(
                f"hidden_width should be a multiple of num_attention_heads ({self.num_attention_heads}), "
                f"was {self.hidden_width}"
            )
        return self

    def check_publishable(self) -> None:
        """Raises ConfigError for a network that is an experiment and no model of photographs."""
        if self.propagation in ("oracle", "shuffled"):
            raise ConfigError(
                f"propagation should be predicted, detached or none in what is published, was {self.propagation!r}: "
                "a photograph to score has no true priors"
            )

    def _check_sepl(self) -> None:
        if self.num_stages == 1 and self.propagation != "none":
            raise ValueError(f"propagation should be 'none' in one stage (num_stages), was {self.propagation!r}")
        if self.propagation not in ("predicted", "detached"):
            self._must_stay("known_share", "unless predicted priors are propagated (propagation)")
        if self.propagation == "none":
            for option in ("prior_attention", "binary_prior"):
                self._must_stay(option, "unless priors are propagated (propagation)")
            if self.gate_inputs == "prior":
                raise ValueError("gate_inputs should not be 'prior' unless priors are propagated (propagation)")
        if self.gate_inputs == "uniform":
            self._must_stay("gate_top_k", "with uniform gates (gate_inputs)")
            self._must_stay("load_balance", "with uniform gates (gate_inputs)")

    def _must_stay(self, option: str, why: str) -> None:
        default = type(self).model_fields[option].default
        if getattr(self, option) != default:
            raise ValueError(f"{option} should stay {default!r} {why}, was {getattr(self, option)!r}")


_FAMILIES_OF_OPTION: dict[str, tuple[Family, ...]] = {
    "final_norm": ("sepl", "single_task", "hard_sharing", "soft_sharing", "mmoe", "cgc", "ple", "ctan", "cross_stitch"),
    "num_experts": ("sepl", "mmoe", "cgc", "ple"),
    "hidden_width": ("sepl", "mmoe", "cgc", "ple", "ctan"),
    "propagation": ("sepl",),
    "binary_prior": ("sepl",),
    "known_share": ("sepl",),
    "num_stages": ("sepl",),
    "gate_inputs": ("sepl",),
    "prior_attention": ("sepl",),
    "gate_top_k": ("sepl", "mmoe"),
    "load_balance": ("sepl", "mmoe"),
    "num_task_experts": ("cgc", "ple"),
    "num_layers": ("ple", "ctan"),
    "num_attention_heads": ("ctan",),
    "sharing_strength": ("soft_sharing",),
    "task_groups": ("sepl", "hard_sharing", "mmoe", "cgc", "ple", "ctan"),
}


_WEIGHTING_OF_OPTION: dict[str, WeightingName] = {
    "task_weights": "fixed",
    "dwa_temperature": "dwa",
    "famo_learning_rate": "famo",
    "stch_smoothness": "stch",
    "stch_warmup_epochs": "stch",
    "cagrad_radius": "cagrad",
}


class TrainingConfig(Settings):
    """How it is trained."""

    num_epochs: int = Field(default=30, ge=1)
    batch_size: int = Field(default=64, ge=2)
    learning_rate: float = Field(default=1e-4, gt=0.0)
    weight_decay: float = Field(default=0.0, ge=0.0)
    warmup_epochs: float = Field(default=1.0, ge=0.0)
    """Linear warm-up before the cosine decay, in epochs."""
    augment_strength: float = Field(default=1.0, ge=0.0, le=2.0)
    """0 switches augmentation off; 1 is flips, ±15° rotation and mild colour; scales angle and colour."""
    precision: Precision = "auto"
    """'auto' is bfloat16 on a GPU that has it, else float32."""
    seed: int = Field(default=0, ge=0)
    frozen_stages: int = Field(default=0, ge=0)
    """The backbone's first so many stages keep their initial weights: 1 is the stem; a transformer's blocks count."""
    layer_decay: float = Field(default=1.0, gt=0.0, le=1.0)
    """Each layer of the backbone learns at this times the rate of the next one; the heads at `learning_rate`."""
    micro_batch_size: int = Field(default=0, ge=0)
    """Photographs that pass the network at once; 0 is the whole batch, halved when memory runs out."""
    ema_decay: float = Field(default=0.0, ge=0.0, lt=1.0)
    """Above 0, the moving average of the weights is what is validated and kept."""
    early_stopping_epochs: int = Field(default=0, ge=0)
    """Above 0, a run ends after so many epochs without a better validation skill."""
    compile_backbone: bool = False
    """Whether torch.compile turns the backbone into fused kernels; needs a C++ compiler."""
    deterministic: bool = False
    """Whether a GPU may only use kernels that repeat bit for bit; on a CPU they do anyway."""
    weighting: WeightingName = "equal"
    """'equal' is the plain sum, as the paper has it."""
    task_weights: dict[str, Annotated[float, Field(ge=0.0)]] = Field(default={})
    """Of 'fixed': weights by task; a task not named weighs 1."""
    dwa_temperature: float = Field(default=2.0, gt=0.0)
    """Of 'dwa': the higher, the more alike the weights."""
    famo_learning_rate: float = Field(default=0.025, gt=0.0)
    """Of 'famo': how fast its weights move."""
    stch_smoothness: float = Field(default=1.0, gt=0.0)
    """Of 'stch': µ, in logarithms of losses; towards 0 only the worst task counts."""
    stch_warmup_epochs: int = Field(default=4, ge=1)
    """Of 'stch': the mean losses of the last of these are what later ones are judged against."""
    cagrad_radius: float = Field(default=0.5, ge=0.0)
    """Of 'cagrad': how far, in norms of the mean gradient, the update may be from it."""
    cooperative: bool = False
    """Whether task groups take turns, after MT-CooL (`sepl.training.supervised.cooperative`); needs `task_groups`."""
    cooperative_place: CooperativePlace = "features"
    """What of the other groups' sub-models is disturbed: the features they give, or their parameters."""
    cooperative_noise: CooperativeNoise = "uniform"
    """How: random numbers, or a step along which the loss rises most."""
    cooperative_radius: float = Field(default=0.1, ge=0.0)
    """How far at most, as a share of what is disturbed (its root mean square)."""
    cooperative_draws: int = Field(default=1, ge=1)
    """Of random parameters: how many draws share out a batch's photographs; features are drawn for each photograph."""
    cooperative_inner_steps: int = Field(default=1, ge=1)
    """Steps in a row of a turn."""
    cooperative_order: Literal["cyclic", "random"] = "cyclic"
    """Whose turn follows: the next group's, or a new random order each round."""

    @model_validator(mode="after")
    def _options_have_a_use(self) -> Self:
        for option, weighting in _WEIGHTING_OF_OPTION.items():
            default = type(self).model_fields[option].default
            if self.weighting != weighting and getattr(self, option) != default:
                raise ValueError(f"{option} should stay {default!r} unless weighting is {weighting!r}")
        for option, field in type(self).model_fields.items():
            if option.startswith("cooperative_") and not self.cooperative and getattr(self, option) != field.default:
                raise ValueError(f"{option} should stay {field.default!r} unless training is cooperative")
        is_random = self.cooperative_place == "parameters" and self.cooperative_noise in ("uniform", "gaussian")
        if self.cooperative_draws > 1 and not is_random:
            raise ValueError("cooperative_draws should stay 1 unless parameters are disturbed at random")
        return self


class TrialConfig(Settings):
    """Everything that one trial needs beside the data."""

    model: ModelConfig = ModelConfig()
    training: TrainingConfig = TrainingConfig()

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> "TrialConfig":
        """From a flat dictionary of hyperparameters; raises ConfigError on a name that no section has."""
        sections: dict[str, dict[str, Any]] = {"model": {}, "training": {}}
        for name, value in params.items():
            sections[_section_of(name)][name] = value
        return cls.parse(sections, "hyperparameters")

    def to_params(self) -> dict[str, Any]:
        """The flat dictionary, inverse of `from_params`."""
        return {**self.model.model_dump(), **self.training.model_dump()}

    def with_params(self, **params: Any) -> "TrialConfig":
        return TrialConfig.from_params({**self.to_params(), **params})


def _section_of(name: str) -> str:
    if name in ModelConfig.model_fields:
        return "model"
    if name in TrainingConfig.model_fields:
        return "training"
    known = [*ModelConfig.model_fields, *TrainingConfig.model_fields]
    raise ConfigError(f"hyperparameter should be one of {', '.join(known)}; was {name!r}")
