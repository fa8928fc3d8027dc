"""Which tasks help each other: measured during one training run, and the record that choices of priors rest on."""
