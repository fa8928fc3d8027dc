"""The Serve config that we ship is one that Ray and the server accept."""

from importlib import import_module
from pathlib import Path

import pytest
import yaml
from bundles import bundle_content
from ray.serve.schema import ServeDeploySchema

from sepl.bundle.registry import Registry
from serve.schemas import ServeSettings

CONFIG = Path(__file__).parents[2] / "deploy" / "serve.yaml"


@pytest.fixture(scope="module")
def config() -> ServeDeploySchema:
    return ServeDeploySchema.model_validate(yaml.safe_load(CONFIG.read_text(encoding="utf-8")))


def test_its_arguments_are_the_servers_settings(config: ServeDeploySchema) -> None:
    (application,) = config.applications

    settings = ServeSettings.parse(application.args, "serve.yaml")

    assert settings.bundle.endswith("#production")


def test_its_application_can_be_built_and_has_the_deployments_it_names(
    config: ServeDeploySchema, tmp_path: Path
) -> None:
    registry = Registry(tmp_path)
    bundle_id = registry.add(**bundle_content()).bundle_id
    registry.promote(bundle_id, "production")
    (application,) = config.applications
    module, name = application.import_path.split(":")

    built = getattr(import_module(module), name)(
        ServeSettings.parse({**application.args, "bundle": f"{tmp_path}#production"}, "serve.yaml")
    )

    deployment = built._bound_deployment
    assert deployment.name in [named.name for named in application.deployments]
    assert deployment.num_replicas == application.args["num_replicas"]
    assert deployment.init_args[0].bundle == str(tmp_path / bundle_id)
