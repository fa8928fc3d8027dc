import subprocess
import sys

import pytest

from sepl.errors import ConfigError
from sepl.tuning.space.backbones import check_backbone


@pytest.mark.parametrize("name", ["resnet18", "convnext_tiny.fb_in1k", "test_vit", "vit_small_patch16_224"])
def test_a_backbone_of_timms_is_known_without_timm_and_torch(name: str) -> None:
    code = f"import sys; from sepl.tuning.space.backbones import check_backbone; check_backbone({name!r})"
    code += "; print(sorted({'timm', 'torch'} & set(sys.modules)))"

    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout == "[]\n"


@pytest.mark.parametrize("name", ["resnet19", "convnext_tiny.nobody", "resnet18 ", ""])
def test_another_name_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="backbone"):
        check_backbone(name)


def test_the_names_that_are_near_are_told() -> None:
    with pytest.raises(ConfigError, match="convnext_tiny"):
        check_backbone("convnext_tyni")
