"""What lies between the command and the first trial."""

import subprocess
import sys


def test_a_trials_process_loads_only_what_it_trains_with() -> None:
    heavy = "{'sklearn', 'plotly', 'fastapi', 'kornia', 'openpyxl', 'pydicom'} & set(sys.modules)"
    script = f"import sys, sepl.tuning.trials.trial_process, sepl.tuning.trials.trainable; print(sorted({heavy}))"

    loaded = subprocess.check_output([sys.executable, "-W", "ignore", "-c", script], text=True)

    assert loaded.strip() == "[]"


def test_a_driver_loads_no_torch_before_the_search() -> None:
    script = (
        "import sys, sepl.tuning.trials.cluster, sepl.tuning.plan, sepl.tuning.study; print('torch' in sys.modules)"
    )

    loaded = subprocess.check_output([sys.executable, "-W", "ignore", "-c", script], text=True)

    assert loaded.strip() == "False"
