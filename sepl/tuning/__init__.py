"""A study: Ray Tune runs trials, Optuna proposes, ASHA stops, a winner is published."""
