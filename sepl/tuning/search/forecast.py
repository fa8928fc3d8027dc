"""When a search will be done and what it will have cost, by its pace so far."""

from dataclasses import dataclass

from sepl.tuning.search.budget import Budget, Limit


@dataclass(frozen=True)
class Forecast:
    """At the end of the search; None where nothing is known yet."""

    seconds_left: float | None
    hours: float | None = None
    """Of a unit, GPU or CPU, those used already among them."""
    money: float | None = None


@dataclass
class Pace:
    """What this driver has done since it began."""

    hours_before: float
    """Of a unit, used before it."""

    def forecast(self, budget: Budget, elapsed: float, num_done: int, num_left: int) -> Forecast:
        """After `elapsed` seconds with `num_done` trials finished in them; the first budget to be spent ends it."""
        paced = elapsed * num_left / num_done if num_done else None
        rate = 0.0 if budget.meter is None or not elapsed else (budget.meter.hours - self.hours_before) / elapsed
        per_trial = 0.0 if budget.meter is None else budget.meter.per_trial
        spent = [_seconds_until(limit, rate * 3600 / per_trial) for limit in budget.limits if per_trial]
        left = min((one for one in (paced, budget.seconds_left, *spent) if one is not None), default=None)
        if left is None or budget.meter is None:
            return Forecast(left)
        hours = budget.meter.hours + rate * left
        return Forecast(left, hours, budget.meter.money(hours))


def _seconds_until(limit: Limit, num_at_once: float) -> float | None:
    """Until a limit is reached with so many trials at once, None when it is not being used up."""
    pace = limit.per_second * num_at_once
    return max(0.0, limit.left) / pace if pace > 0 else None


def describe_cost_ahead(forecast: Forecast, unit: str) -> str:
    """Such as `1.30 GPU-hours by then, which cost 3.90`; empty where nothing is known."""
    if forecast.hours is None:
        return ""
    told = f"{forecast.hours:.2f} {unit}-hours by then"
    return told if forecast.money is None else f"{told}, which cost {forecast.money:.2f}"
