"""Saved models: the format of a bundle, the registry of them, their card, the authors' own checkpoints."""

from typing import TYPE_CHECKING

from sepl.lazy import lazy_face

__all__ = [
    "BundleContent",
    "BundleManifest",
    "Intervals",
    "Ledger",
    "ModelBundle",
    "Provenance",
    "Registry",
    "UnsealingRecord",
    "compose_bundle",
    "evaluation_table",
    "locate_bundle",
    "open_bundle",
    "read_bundle",
    "release_content",
    "verify_bundle",
    "write_bundle",
]

if TYPE_CHECKING:
    from sepl.bundle.format import BundleContent, ModelBundle, compose_bundle, read_bundle, verify_bundle, write_bundle
    from sepl.bundle.ledger import Ledger
    from sepl.bundle.manifest import BundleManifest, Intervals, Provenance
    from sepl.bundle.registry import Registry, locate_bundle, open_bundle
    from sepl.bundle.release import release_content
    from sepl.bundle.skills import evaluation_table
    from sepl.bundle.unsealing import UnsealingRecord
else:
    __getattr__, __dir__ = lazy_face(
        __name__,
        {
            "format": [
                "BundleContent",
                "ModelBundle",
                "compose_bundle",
                "read_bundle",
                "verify_bundle",
                "write_bundle",
            ],
            "ledger": ["Ledger"],
            "manifest": ["BundleManifest", "Intervals", "Provenance"],
            "registry": ["Registry", "locate_bundle", "open_bundle"],
            "release": ["release_content"],
            "skills": ["evaluation_table"],
            "unsealing": ["UnsealingRecord"],
        },
    )
