"""How far a metric spreads over runs: folds, or seeds."""

import numpy as np


def spread_of(runs: list[dict]) -> dict[str, dict]:
    """Each single number of the runs' metrics: `values`, `mean`, `sd` and `n`, defined ones.

    The sd is that of a sample (ddof 1), NaN of less than two; undefined values are NaN and not
    among the `n` that mean and sd are of.
    """
    names = [
        name
        for name in runs[0]
        if all(isinstance(run[name], (int, float, type(None))) for run in runs)
    ]
    found = {}
    for name in names:
        values = np.array([np.nan if run[name] is None else run[name] for run in runs], float)
        defined = values[~np.isnan(values)]
        found[name] = {
            "values": values.tolist(),
            "mean": float(defined.mean()) if len(defined) else float("nan"),
            "sd": float(defined.std(ddof=1)) if len(defined) > 1 else float("nan"),
            "n": len(defined),
        }
    return found
