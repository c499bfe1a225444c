"""The flags of earlier systems: one table from each to its canonical form."""

from dataclasses import dataclass
from typing import Any

from .errors import UserError
from .registry import Call, parse_call


class Legacy:
    """A flag of an earlier system; `text` is the pattern of its help."""

    annotation: Any
    text = ""

    @property
    def help(self) -> str:
        return self.text.format(**vars(self))


@dataclass(frozen=True)
class Choice(Legacy):
    """A switch that, when true, writes a call string into a field."""

    field: str
    call: str
    annotation: Any = bool

    text = 'same as --{field} "{call}"'


@dataclass(frozen=True)
class Prefix(Legacy):
    """A switch that, when true, sets a component before the chain `a | b` of a field."""

    field: str
    call: str
    annotation: Any = bool

    text = 'prepends "{call} | " to --{field}'


@dataclass(frozen=True)
class Option(Legacy):
    """A value that becomes an option of a field's call string; the value `off` removes it."""

    field: str
    option: str
    annotation: Any
    off: Any = None

    text = "sets '{option}' in --{field}"


@dataclass(frozen=True)
class OptionSwitch(Legacy):
    """A switch that, when true, sets an option of a field's call string to one value."""

    field: str
    option: str
    value: Any
    annotation: Any = bool | None
    off: None = None

    text = "sets '{option}={value!r}' in --{field}"


@dataclass(frozen=True)
class Refused(Legacy):
    """A flag without effect: accepted at the values that change nothing, else an error."""

    annotation: Any
    neutral: tuple
    instead: str

    @property
    def help(self) -> str:
        return f"only {' or '.join(map(str, self.neutral))} is accepted; {self.instead}"


@dataclass(frozen=True)
class Ignored(Legacy):
    """A flag of launchers and earlier commands, whose value is taken from the environment."""

    annotation: Any

    text = "accepted and ignored; torchrun or SLURM sets the number of processes"


_LAUNCH = "start the processes with torchrun, which sets RANK, WORLD_SIZE and LOCAL_RANK"

LEGACY_FLAGS: dict[str, Legacy] = {
    # data
    "kaggle": Choice("dataset", "siim"),
    "kaggle_csv_file": Option("dataset", "csv", str, ""),
    "kaggle_image_dir": Option("dataset", "images", str, ""),
    "cielab": Choice("preprocess", "resize || to_lab | normalize(stats='train')"),
    "oversample_malignant": Choice("sampler", "oversample"),
    "undersample_benign": Choice("sampler", "undersample"),
    "undersample_benign_ratio": Option("sampler", "ratio", float, -1.0),
    "skin_former": Prefix("augment", "skin_former"),
    "segment_out_skin": Prefix("preprocess", "segment_out_skin"),
    # objective
    "ohem": Choice("objective", "ohem"),
    "recall_ce": Choice("objective", "recall_cross_entropy"),
    "focal_loss": Choice("objective", "focal"),
    "domain_independent_loss": Choice("objective", "domain_independent"),
    "domain_discriminative_loss": Choice("objective", "domain_discriminative"),
    "ifw": Choice("class_weights", "inverse_frequency"),
    "smoothing": Option("objective", "smoothing", float, 0.0),
    "conditional_accuracy": OptionSwitch("objective", "decide", "own"),
    # optimizer and schedule
    "opt_eps": Option("opt", "eps", float),
    "opt_betas": Option("opt", "betas", tuple[float, ...] | None),
    "warmup_epochs": Option("scheduler", "warmup_epochs", float, 0.0),
    "warmup_steps": Option("scheduler", "warmup_steps", int, -1),
    "min_lr": Option("scheduler", "min_lr", float),
    "mixup_mode": Refused(str, ("batch",), "all images of a batch are mixed with the same weight"),
    # launching
    "start_epoch": Refused(int, (0,), "--resume continues with the right epoch"),
    "world_size": Ignored(int),
    "local_rank": Ignored(int),
    "distributed": Ignored(bool),
    "dist_on_itp": Refused(bool, (False,), _LAUNCH),
    "dist_url": Refused(str, ("env://",), _LAUNCH),
}


def canonical(settings: dict[str, Any], layer: dict[str, Any], defaults: dict[str, Any]) -> dict:
    """`settings` after one more layer (YAML file or command line) of canonical and legacy keys.

    Two statements about one field within a layer contradict each other and raise `UserError`;
    between layers the later one wins.
    """
    stated = {key: f"--{key}" for key in layer if key not in LEGACY_FLAGS}
    settings = settings | {key: layer[key] for key in stated}
    legacy = {k: (LEGACY_FLAGS[k], value) for k, value in layer.items() if k in LEGACY_FLAGS}
    for name, (flag, value) in legacy.items():
        if isinstance(flag, Choice):
            _choose(settings, stated, name, flag, value, defaults)
    for flag, value in legacy.values():
        # off leaves what its own layer states, as in a file that lists every flag
        if isinstance(flag, Prefix) and (value or flag.field not in layer):
            settings[flag.field] = _with_prefix(settings[flag.field], flag, value)
    for name, (flag, value) in legacy.items():
        if isinstance(flag, Option):
            _set_option(settings, stated, name, flag, value, explicit=flag.field in layer)
        elif isinstance(flag, OptionSwitch):
            _switch_option(settings, stated, name, flag, value, explicit=flag.field in layer)
    return settings


def check_refused(settings: dict[str, Any]) -> None:
    """Raise `UserError` for a refused flag at a value that would change something.

    `settings` are those of all layers, so that a later layer can take such a value back.
    """
    for name, value in settings.items():
        flag = LEGACY_FLAGS.get(name)
        if isinstance(flag, Refused) and value not in flag.neutral:
            raise UserError(f"--{name} {value}: {flag.help}")


def _choose(settings, stated, name, flag: Choice, value: bool, defaults) -> None:
    prefix, rest = _split_prefix(settings[flag.field], flag.field)
    if not value:
        chosen = parse_call_name(rest) == parse_call_name(flag.call)
        if chosen and flag.field not in stated:
            settings[flag.field] = prefix + defaults[flag.field]
        return
    if flag.field in stated:
        raise UserError(
            f"{stated[flag.field]} and --{name} both choose the {flag.field}: give one of them"
        )
    stated[flag.field] = f"--{name}"
    settings[flag.field] = prefix + flag.call


def _with_prefix(chain: str, flag: Prefix, wanted: bool) -> str:
    """`chain` with the flag's call before it, once, or without it."""
    prefix, rest = _split_prefix(chain, flag.field)
    if not wanted:
        return rest
    if prefix:
        return chain
    return f"{flag.call} | {chain}" if chain.strip() else flag.call


def _split_prefix(chain: str, field: str) -> tuple[str, str]:
    """`("step | ", "rest")` of a chain that begins as a prefix of its field would make it."""
    calls = [f.call for f in LEGACY_FLAGS.values() if isinstance(f, Prefix) and f.field == field]
    first, _, rest = chain.partition("|")
    if first.partition("(")[0].strip() not in calls:
        return "", chain
    rest = f"|{rest}" if rest.startswith("|") else rest.strip()  # the mark || stays one
    return f"{first.strip()} | ", rest


def _switch_option(settings, stated, name, flag: OptionSwitch, wanted, explicit: bool) -> None:
    is_on = parse_call(settings[flag.field]).options.get(flag.option) == flag.value
    if wanted or (is_on and not explicit):
        value = flag.value if wanted else flag.off
        _set_option(settings, stated, name, flag, value, explicit)


def _set_option(settings, stated, name, flag: Option | OptionSwitch, value, explicit) -> None:
    call = parse_call(settings[flag.field])
    if explicit and flag.option in call.options and value != flag.off:
        raise UserError(
            f"{stated[flag.field]} and --{name} both set '{flag.option}': give one of them"
        )
    options = {key: kept for key, kept in call.options.items() if key != flag.option}
    if value != flag.off:
        options[flag.option] = value
    settings[flag.field] = str(Call(call.name, options))


def parse_call_name(text: str) -> str:
    """The component a call string names; a chain of steps (`a | b`) is its own name."""
    return text if "|" in text else parse_call(text).name
