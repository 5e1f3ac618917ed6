"""The loop that does everything: what no lock holds, in the order of what needs what, and nothing twice."""

import sys
import threading
from pathlib import Path

import torch
from filelock import FileLock

from bench.run.work import Item, work
from bench.system.workers import threads
from methods.distillation import representation

ROOT = Path(__file__).resolve().parents[3]


def made(folder: Path, name: str, *needs: str) -> Item:
    """An item that leaves a file, after others have."""
    return Item(
        (name,),
        lambda: (folder / name).touch() or name,
        {folder / f"{name}.lock": f"making {name}"},
        ready=lambda: all((folder / need).exists() for need in needs),
        done=(folder / name).exists,
    )


def test_what_another_process_holds_is_come_back_to_and_not_done_twice(tmp_path, capsys):
    """The other one is a thread that holds the lock until everything else is done."""
    items = [made(tmp_path, "held"), made(tmp_path, "after", "held"), made(tmp_path, "free")]
    started, free = threading.Event(), tmp_path / "free"

    def elsewhere() -> None:
        with FileLock(tmp_path / "held.lock"):
            started.set()
            while not free.exists() or "another run is making held" not in capsys.readouterr().err:
                pass
            (tmp_path / "held").touch()

    other = threading.Thread(target=elsewhere)
    other.start()
    started.wait()
    assert [outcome for _, outcome in work(items, lambda *_: None)] == ["free", "after"]
    other.join()


def test_who_has_no_patience_leaves_the_rest_to_others(tmp_path):
    with FileLock(tmp_path / "held.lock"):
        found = work([made(tmp_path, "held"), made(tmp_path, "free")], lambda *_: None, patience=0.0)
        assert [outcome for _, outcome in found] == ["free"]


def test_an_outcome_is_written_while_its_lock_is_held(tmp_path):
    held = []

    def write(item: Item, _) -> None:
        (path,) = item.locks
        try:
            FileLock(path).acquire(blocking=False)
        except TimeoutError:
            held.append(path.name)

    list(work([made(tmp_path, "a")], write))
    assert held == ["a.lock"]


def test_from_main_to_a_loss_there_are_at_most_fourteen_frames_of_ours(tiny_run, monkeypatch):
    honest, depths = representation.representation_loss, []

    def counting(*arguments, **options) -> torch.Tensor:
        frame, files = sys._getframe(1), []
        while frame is not None:
            files.append(Path(frame.f_code.co_filename))
            frame = frame.f_back
        ours = [file.relative_to(ROOT).parts[0] for file in files if file.is_relative_to(ROOT)]
        depths.append(sum(part in ("bench", "methods") for part in ours) + 1)  # and the loss itself
        return honest(*arguments, **options)

    for module in [m for m in sys.modules.values() if getattr(m, "representation_loss", None) is honest]:
        monkeypatch.setattr(module, "representation_loss", counting)
    one = ["ablation=sampling", "seeds=[0]", "ablation.baselines=[]", "~ablation.cells"]
    with threads(1):
        assert tiny_run(*one, "+ablation.cells={boundary: {}}") == 0
    assert depths and max(depths) <= 14
