"""Weights that come with the suite, learnt from generated videos alone: a teacher, and features for students."""

import json
from pathlib import Path
from typing import Any

import methods

GIVEN = "given"  # teacher.weights, features: those of FOLDER, where there are any that fit
FOLDER = Path(methods.__file__).parent / "given"
INDEX = "given.json"
DATA = "embedded"  # the kind of data that they know; other data they would only confuse


def _index() -> dict[str, dict[str, Any]]:
    """{file: what it was made of}; `bench.jobs.give` writes it."""
    path = FOLDER / INDEX
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def given_teacher(method: str, options: dict[str, Any], data: dict[str, Any]) -> str | None:
    """The file of the teacher that would else be trained on the data with these options, or None."""
    if data.get("kind") != DATA:
        return None
    wanted = {"method": method, "options": options}
    files = (name for name, made in _index().items() if wanted.items() <= made.items())
    return next((str(FOLDER / name) for name in files), None)


def given_features(family: str, width: float, data: dict[str, Any]) -> dict[str, str]:
    """{backbone: file} of the encoders of a family and width, for students that learn from the data."""
    if data.get("kind") != DATA:
        return {}
    wanted = {"family": family, "width": width}
    made = {name: made for name, made in _index().items() if "backbone" in made and wanted.items() <= made.items()}
    return {each["backbone"]: str(FOLDER / name) for name, each in made.items()}
