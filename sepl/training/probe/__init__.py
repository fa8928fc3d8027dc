"""Heads trained on the features of a backbone that stays as it is: thousands of settings for the price of one training.

`features.Encoder` makes features, `store.FeatureStore` keeps them, `heads.train_heads` trains many heads at once on
them, `closed_form.closed_form_values` is the rival that trains none. Needs no Ray.
"""

from typing import TYPE_CHECKING

from sepl.lazy import lazy_face

__all__ = ["Encoder", "FeatureKey", "FeatureStore", "ProbeData", "closed_form_values", "train_heads"]

if TYPE_CHECKING:
    from sepl.training.probe.closed_form import closed_form_values
    from sepl.training.probe.data import ProbeData
    from sepl.training.probe.features import Encoder
    from sepl.training.probe.heads import train_heads
    from sepl.training.probe.store import FeatureKey, FeatureStore
else:
    __getattr__, __dir__ = lazy_face(
        __name__,
        {
            "closed_form": ["closed_form_values"],
            "data": ["ProbeData"],
            "features": ["Encoder"],
            "heads": ["train_heads"],
            "store": ["FeatureKey", "FeatureStore"],
        },
    )
