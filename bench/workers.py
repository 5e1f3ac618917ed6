"""How a worker process behaves. No torch: workers that need none start quickly."""

import os
import signal
import threading
from multiprocessing import connection, parent_process


def start_worker() -> None:
    """This process hears no Ctrl-C (its parent does, and ends it), and lives no longer than its parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = parent_process().sentinel
    threading.Thread(target=lambda: (connection.wait([parent]), os._exit(1)), daemon=True).start()
