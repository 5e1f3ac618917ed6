"""job=search: hyper-parameters chosen by Optuna on held-out training data."""
