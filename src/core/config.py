"""The configuration: all settings of a run, and which of them have a role."""

from dataclasses import asdict, dataclass, field, fields
from typing import Any

from .options import Role
from .settings import Data, Learning, Model, Run

SECTIONS = {"data": Data, "model": Model, "learning": Learning, "run": Run}
ROLES = {f.name: f.metadata["role"] for section in SECTIONS.values() for f in fields(section)}


def settings_with(role: Role) -> frozenset[str]:
    """The names of the settings that have a role."""
    return frozenset(name for name, roles in ROLES.items() if role in roles)


@dataclass(frozen=True)
class Config:
    """Every setting of a run, in four sections."""

    data: Data = field(default_factory=Data)
    model: Model = field(default_factory=Model)
    learning: Learning = field(default_factory=Learning)
    run: Run = field(default_factory=Run)

    def flat(self) -> dict[str, Any]:
        """All settings as one mapping of flag names to values."""
        return {key: value for section in asdict(self).values() for key, value in section.items()}

    def with_settings(self, **settings: Any) -> "Config":
        """A copy with these flat settings changed."""
        return from_flat({**self.flat(), **settings})


def from_flat(settings: dict[str, Any]) -> Config:
    """A `Config` from flat settings; `{data_path}` in a text is replaced by that setting."""
    settings = {
        key: value.replace("{data_path}", settings["data_path"])
        if isinstance(value, str)
        else value
        for key, value in settings.items()
    }
    return Config(
        **{
            name: section(**{f.name: settings[f.name] for f in fields(section)})
            for name, section in SECTIONS.items()
        }
    )
