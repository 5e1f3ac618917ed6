"""One worker of the embedded set's generation: `python -m datasets.embedded FOLDER SPEC PART PARTS`.

Prints the name of each sequence when it is done. Started by datasets.embedded.store.
"""

import json
import os
import sys
from pathlib import Path

from datasets.embedded.store import EmbeddedSpec, write_sequences

if __name__ == "__main__":
    folder, spec, part, parts = sys.argv[1:]
    try:
        for name in write_sequences(Path(folder), EmbeddedSpec(**json.loads(spec)), int(part), int(parts)):
            print(name, flush=True)
    except BrokenPipeError:  # the parent was killed; nobody waits for the rest
        os._exit(1)
