"""Figures that the papers and official repositories published, each with its source and certainty.

Columns: `method` (this suite's name where it has one), `variant`, `dataset`, `jf_mean`, `j_mean`, `f_mean`
(percent, 480p frames; G for YouTube-VOS), `fps` on `fps_device`, `params_m` (millions), `source`,
`certainty` of the scores, `note`. Where the note says that the parameters were counted, they are ours.
"""

from pathlib import Path

import pandas as pd

CERTAINTY = {
    "V": "read in the paper or the official code",
    "V2": "read in another text that reports it",
    "X": "computed by running the official code",
    "I": "inferred",
}


def load_published() -> pd.DataFrame:
    """All published rows, by file and then in its order; empty texts are "", missing numbers NaN."""
    files = sorted(Path(__file__).parent.glob("*.csv"))
    rows = pd.concat([pd.read_csv(file, float_precision="round_trip") for file in files], ignore_index=True)
    texts = ["method", "variant", "dataset", "fps_device", "source", "certainty", "note"]
    return rows.astype(dict.fromkeys(texts, object)).fillna(dict.fromkeys(texts, ""))
