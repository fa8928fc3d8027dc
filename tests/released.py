"""The released network from its equations, on torchvision's ConvNeXt-T, with the attribute names of its state dict."""

import torch
import torchvision
from torch import Tensor, nn

PRIORS = ("gender", "age", "height", "weight", "bmi", "waist")
TARGETS = ("sbp", "dbp", "tchol", "glucose", "tg", "hba1c", "bun", "creatinine", "uric_acid")
"""In the order of its outputs."""
COLUMNS = (
    *("AGE", "Height", "Weight", "BMI", "waist", "SBP", "DBP"),
    *("t-chol", "gluc", "TG", "HbA1c", "BUN", "Creatinin", "Uric Acid"),
)
"""Of the label table, the keys of its scalers; in the order of the outputs after sex."""


class Layer(nn.Module):
    """A linear layer called `fc`."""

    def __init__(self, num_inputs: int, num_outputs: int) -> None:
        super().__init__()
        self.fc = nn.Linear(num_inputs, num_outputs)


class Expert(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.img_fc = nn.Linear(768, 512)
        self.anthro_attn = Layer(6, 6)
        self.anthro_fc = nn.Linear(6, 12)
        self.out_fc = nn.Linear(524, 512)

    def forward(self, z_BF: Tensor, p_BP: Tensor) -> Tensor:
        chosen_BP = p_BP * self.anthro_attn.fc(p_BP).softmax(dim=1)
        heard = torch.cat([self.img_fc(z_BF).relu(), self.anthro_fc(chosen_BP).relu()], dim=1)
        return self.out_fc(heard).relu()


class Released(nn.Module):
    """Normalised images (B, 3, 224, 224) to outputs (B, 15)."""

    def __init__(self, num_experts: int = 4) -> None:
        super().__init__()
        self.feature_extractor = nn.Module()
        cnn = torchvision.models.convnext_tiny()
        cnn.classifier = nn.Sequential()  # nothing: the features as they are
        self.feature_extractor.cnn = cnn
        for name in PRIORS:
            self.add_module(f"{name}_head", nn.Linear(768, 1))
        for name in TARGETS:
            self.add_module(f"gating_{name}", Layer(774, num_experts))
            self.add_module(f"{name}_head", nn.Linear(512, 1))
        self.experts = nn.ModuleList(Expert() for _ in range(num_experts))

    def forward(self, images_BCHW: Tensor) -> Tensor:
        z_BF = self.feature_extractor.get_submodule("cnn")(images_BCHW).flatten(1)
        p_BP = torch.cat([self.get_submodule(f"{name}_head")(z_BF) for name in PRIORS], dim=1)
        said = [expert(z_BF, p_BP) for expert in self.experts]
        outputs = [p_BP]
        for name in TARGETS:
            gate_BE = self.get_submodule(f"gating_{name}.fc")(torch.cat([z_BF, p_BP], dim=1)).softmax(dim=1)
            mixed_BH = sum(gate_BE[:, e, None] * out_BH for e, out_BH in enumerate(said))
            outputs.append(self.get_submodule(f"{name}_head")(mixed_BH))
        return torch.cat(outputs, dim=1)


def released_network(num_experts: int = 4) -> Released:
    """In evaluation mode, every parameter random: as layers start, many would do next to nothing."""
    network = Released(num_experts).eval()
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if parameter.ndim < 2 or name.endswith("layer_scale"):
                parameter.add_(0.2 * torch.randn_like(parameter))
    return network


def label_scales() -> dict[str, dict[str, float]]:
    return {column: {"center": 10.0 + place, "scale": 1.0 + place / 10} for place, column in enumerate(COLUMNS)}
