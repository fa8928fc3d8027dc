"""Simulated cohorts: factor rows as they occur together in people, and photographs that show them at known strength."""

from typing import TYPE_CHECKING

from sepl.lazy import lazy_face

__all__ = ["nhanes_factor_model", "simulate_cohort", "simulate_patient"]

if TYPE_CHECKING:
    from sepl.simulation.cohort import simulate_cohort, simulate_patient
    from sepl.simulation.factors import nhanes_factor_model
else:
    __getattr__, __dir__ = lazy_face(
        __name__,
        {
            "cohort": ["simulate_cohort", "simulate_patient"],
            "factors": ["nhanes_factor_model"],
        },
    )
