"""The probe before a search: heads on frozen features, tried by the hundred before anything is fine-tuned.

`sampling` asks the search space for heads, `stage` trains them and writes `probe.json` (`record`), `advice` is what the
search takes of it, `agreement` how far fine-tuning agrees, `publish` makes weights of the best head.
"""

from typing import TYPE_CHECKING

from sepl.lazy import lazy_face

__all__ = ["Candidate", "ProbeRecord", "closed_form_skill", "first_points", "prior_trials", "probe_candidate"]

if TYPE_CHECKING:
    from sepl.tuning.probe.advice import first_points, prior_trials
    from sepl.tuning.probe.record import Candidate, ProbeRecord, closed_form_skill, probe_candidate
else:
    __getattr__, __dir__ = lazy_face(
        __name__,
        {
            "advice": ["first_points", "prior_trials"],
            "record": ["Candidate", "ProbeRecord", "closed_form_skill", "probe_candidate"],
        },
    )
