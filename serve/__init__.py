"""The scoring server: `serve run serve.app:build_app bundle=URI`."""

from typing import TYPE_CHECKING

from sepl.lazy import lazy_face

__all__ = ["BatchedScorer", "ServeSettings", "build_api", "build_app"]

if TYPE_CHECKING:
    from serve.api import build_api
    from serve.app import build_app
    from serve.batches import BatchedScorer
    from serve.schemas import ServeSettings
else:
    __getattr__, __dir__ = lazy_face(
        __name__,
        {
            "api": ["build_api"],
            "app": ["build_app"],
            "batches": ["BatchedScorer"],
            "schemas": ["ServeSettings"],
        },
    )
