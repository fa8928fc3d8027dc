"""The scoring server: `serve run serve.app:build_app bundle=URI`.

One deployment: a replica decodes, gathers photographs over its requests into batches, and holds the network.
`from ray import serve` is spelled `ray_serve` here, since this package is called serve too.
"""

import ray
import torch
from fastapi import FastAPI
from ray import serve as ray_serve
from ray.serve import Application

from sepl.bundle.format import read_bundle
from sepl.bundle.registry import locate_bundle
from sepl.scoring.scorer import Scorer
from serve.api import build_api
from serve.auth import token_from_environment
from serve.batches import BatchedScorer
from serve.schemas import ServeSettings

MAX_QUEUED_REQUESTS = 200
"""Beyond, a request is answered 503 at once; each may hold `max_request_mb`."""


@ray_serve.ingress()
class ScoringServer:
    """A replica."""

    def __init__(self, settings: ServeSettings) -> None:
        self._settings = settings
        self._token = token_from_environment()
        scorer = Scorer(read_bundle(settings.bundle), settings.device, settings.max_batch_size)
        self._scoring = BatchedScorer(scorer, settings.max_batch_size, settings.batch_wait_ms)

    def __serve_build_asgi_app__(self) -> FastAPI:
        return build_api(self._scoring, self._scoring.scorer.bundle, self._settings, self._token)


def build_app(settings: ServeSettings) -> Application:
    """The application that `serve run` and a Serve config start.

    The bundle is found here, so that a wrong URI fails before any replica starts and all replicas serve the same bundle
    even when its alias moves.
    """
    settings = settings.model_copy(update={"bundle": locate_bundle(settings.bundle)})
    num_gpus = _has_gpu() if settings.num_gpus is None else settings.num_gpus
    deployment = ray_serve.deployment(
        name="ScoringServer",
        num_replicas=settings.num_replicas,
        max_ongoing_requests=2 * settings.max_batch_size,  # one batch in the network, one gathering, of single files
        max_queued_requests=MAX_QUEUED_REQUESTS,
        ray_actor_options={"num_cpus": settings.num_cpus, "num_gpus": num_gpus},
    )
    return deployment(ScoringServer).bind(settings)


def _has_gpu() -> bool:
    """`serve run` with an import path builds the application before it connects to Ray: then this machine counts."""
    if ray.is_initialized():
        return ray.cluster_resources().get("GPU", 0) >= 1
    return torch.cuda.is_available()
