"""What `search.*` of the configuration says, checked before Optuna loads."""

from dataclasses import dataclass

from omegaconf import DictConfig

from bench.plan.compose import to_dataclass
from bench.plan.keys import SearchSettings
from bench.system.errors import ConfigError


@dataclass(frozen=True)
class Objective:
    """Of a cost: its name in bench.measure.full_size, and the key of MEASURES there that gives it."""

    label: str
    cost: str = ""
    measurement: str = ""


OBJECTIVES = {
    "jf": Objective("J&F (%)"),
    "latency": Objective("latency (ms)", "latency_ms_median_full", "latency_ms_median_full"),
    "gmacs": Objective("GMACs", "gmacs_full", "params_m_full"),
    "params": Objective("parameters (M)", "params_m_full", "params_m_full"),
    "memory": Objective("peak memory (MiB)", "memory_mb_peak_full", "memory_mb_peak_full"),
}
SAMPLERS = ("tpe", "nsga2", "random", "grid")
PRUNERS = ("median", "hyperband", "none")


@dataclass
class Settings(SearchSettings):
    """The keys of `search`, and what follows from them."""

    @property
    def directions(self) -> list[str]:
        return ["maximize" if name == "jf" else "minimize" for name in self.objectives]

    @property
    def prunes(self) -> bool:
        """Optuna prunes a search for one objective alone, and only J&F is known before a training ends."""
        return self.objectives == ["jf"] and self.pruner != "none" and self.reports > 0


def read_settings(config: DictConfig) -> Settings:
    """Raises ConfigError for an unknown name."""
    settings = to_dataclass(config.search, Settings)
    for key, given, known in (
        ("sampler", [settings.sampler], SAMPLERS),
        ("pruner", [settings.pruner or "none"], PRUNERS),
        ("objectives", settings.objectives, tuple(OBJECTIVES)),
    ):
        for name in given:
            if name not in known:
                raise ConfigError(f"search.{key}: unknown '{name}'; known: {', '.join(known)}")
    given = settings.objectives
    if "jf" not in given or len(set(given)) < len(given):
        raise ConfigError(f"search.objectives={','.join(given)}: give jf, and each once")
    return settings
