"""The configuration: frozen dataclasses whose fields are the flags and the YAML keys."""

from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from .errors import UserError
from .options import flag


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise UserError(message)


def _require_seed(name: str, value: int) -> None:
    _require(0 <= value < 2**32, f"--{name} {value}: expected 0 to {2**32 - 1}")


@dataclass(frozen=True)
class Data:
    """Data"""

    dataset: str = flag(
        "isic2020", "layout of the data, a call string: isic2020, siim, ham10000, folders, table"
    )
    data_path: str = flag("./isic2020_challenge", "folder that holds the data set")
    skin_color_csv: str = flag("", "CSV with group, patient and split of each image")
    kfold: int = flag(0, "folds of a cross-validation by whole patients and lesions; 0: none")
    fold: int = flag(-1, "train this fold alone, from 0; -1: all, one after the other")
    train_on_all: bool = flag(
        False, "train on the validation rows too; the last epoch is the result"
    )
    known_groups_only: bool = flag(False, "leave out rows whose tone group is unknown")
    valid_size: float = flag(0.15, "share of validation rows where the data set has no split")
    test_size: float = flag(0.15, "share of test rows where the data set has no split")
    split_seed: int = flag(0, "seed of that split; --seed does not change it")
    allow_leakage: bool = flag(False, "train although patients or lesions cross the splits")
    max_bad_images: int = flag(0, "start although up to this many images are missing or unreadable")
    preprocess: str = flag(
        "resize || normalize(stats='imagenet')",
        "steps joined by |, with || before those that follow augmentation",
    )
    input_size: int = flag(224, "side of the network's input, in pixels")
    augment: str = flag(
        "dermatoscopy",
        "augmentations of training images joined by |; an unknown name lists all",
    )
    sampler: str = flag(
        "random", "order of training rows, a call string; an unknown name lists all"
    )
    malignant_copies: str = flag(
        "",
        "virtual copies of training images of the positive class, joined by |: original, "
        "horizontal_flip, vertical_flip, rotation, translation",
    )
    num_workers: int = flag(4, "data loading processes, at most one per CPU core")
    pin_mem: bool = flag(True, "copy batches through pinned memory when training on a GPU")

    def __post_init__(self):
        _require(self.input_size >= 16, f"--input_size {self.input_size}: expected at least 16")
        _require(self.num_workers >= 0, f"--num_workers {self.num_workers}: expected 0 or more")
        _require(self.max_bad_images >= 0, "--max_bad_images: expected 0 or more")
        _require_seed("split_seed", self.split_seed)
        _require("{data_path}" not in self.data_path, "--data_path: contains {data_path} itself")
        _require(self.kfold == 0 or self.kfold >= 2, f"--kfold {self.kfold}: expected 2 or more")
        _require(
            self.fold == -1 or 0 <= self.fold < self.kfold,
            f"--fold {self.fold}: expected 0 to the number of --kfold minus 1",
        )
        _require(
            not (self.kfold and self.train_on_all),
            "--kfold and --train_on_all: folds are judged on the rows they leave out; give one",
        )
        shares_fit = self.valid_size > 0 and self.test_size >= 0 and self.train_size > 0
        _require(shares_fit, "--valid_size and --test_size: expected to leave rows for training")

    @property
    def train_size(self) -> float:
        """Share of training rows."""
        return 1 - self.valid_size - self.test_size


@dataclass(frozen=True)
class Model:
    """Model"""

    model: str = flag("convnext_tiny", "backbone: a name of docs/MODELS.md or any timm model")
    head: str = flag("linear", "classification head, a call string")
    pretrained: bool = flag(True, "start from published weights, fetched by timm or torchvision")
    in_22k: bool = flag(False, "take the ImageNet-22k weights of that backbone")
    weights: str = flag("", "start from this file (a state dict) instead of published weights")
    freeze_model: bool = flag(False, "train the head only")
    freeze: str = flag(
        "", "freeze backbone parameters whose names begin so, joined by |: stem | stages.0"
    )
    drop_path: float = flag(0.0, "stochastic depth rate, for backbones that have it")
    dropout: float = flag(0.0, "dropout before the head")
    num_classes: int = flag(0, "classes that the data must have; 0: as many as it has")
    num_groups: int = flag(0, "tone groups of a group-aware head; 0: as many as the data has")

    def __post_init__(self):
        for name in ("drop_path", "dropout"):
            value = getattr(self, name)
            _require(0 <= value < 1, f"--{name} {value}: expected 0 <= {name} < 1")
        many = self.num_classes == 0 or self.num_classes >= 2
        _require(
            many, f"--num_classes {self.num_classes}: expected 2 or more (or 0: from the data)"
        )
        _require(self.num_groups >= 0, f"--num_groups {self.num_groups}: expected 0 or more")


@dataclass(frozen=True)
class Learning:
    """Learning"""

    objective: str = flag(
        "cross_entropy", "loss and decision rule, a call string; an unknown name lists all"
    )
    class_weights: str = flag(
        "none", "weights of the loss, a call string: none, inverse_frequency(by='group_class')"
    )
    opt: str = flag("adamw", "optimizer, a call string: adamw, adam, sgd, lamb, adan, lion")
    lr: float = flag(1e-4, "peak learning rate")
    weight_decay: float = flag(5e-3, "weight decay of matrices; biases and norms have none")
    weight_decay_end: float | None = flag(None, "weight decay at the end, reached along a cosine")
    layer_decay: float = flag(
        1.0, "factor of the learning rate from each layer to the one below it; 1: none"
    )
    scheduler: str = flag(
        "cosine",
        "learning rate over the steps, a call string: cosine, cosine_restarts, plateau, constant",
    )
    epochs: int = flag(30, "passes over the training rows")
    batch_size: int = flag(16, "rows in a batch")
    update_freq: int = flag(1, "batches accumulated into one optimizer step")
    early_stopping: int = flag(0, "stop after this many epochs without a better one; 0: never")
    model_ema: bool = flag(
        False, "judge, save and export a moving average of the weights instead of the last ones"
    )
    model_ema_decay: float = flag(0.9999, "share of the average that a step keeps")
    model_ema_force_cpu: bool = flag(False, "keep that average in main memory")
    sync_bn: bool = flag(False, "batch statistics over the batches of all processes")
    clip_grad: float | None = flag(None, "clip the norm of the gradient to this value")
    mixup: float = flag(0.0, "alpha of mixup, 0.01 or more; 0: off")
    cutmix: float = flag(0.0, "alpha of CutMix, 0.01 or more; 0: off")
    cutmix_minmax: tuple[float, ...] | None = flag(
        None,
        "CutMix with boxes whose sides are these shares of the image's, least and largest, "
        "instead of by the alpha of --cutmix",
    )
    mixup_prob: float = flag(1.0, "probability that a batch is mixed, by mixup or CutMix")
    mixup_switch_prob: float = flag(0.5, "probability of CutMix in such a batch where both are on")

    def __post_init__(self):
        for name in ("epochs", "batch_size", "update_freq"):
            value = getattr(self, name)
            _require(value >= 1, f"--{name} {value}: expected 1 or more")
        _require(self.lr > 0, f"--lr {self.lr}: expected more than 0")
        for name in ("weight_decay", "weight_decay_end"):
            value = getattr(self, name)
            _require(value is None or value >= 0, f"--{name} {value}: expected 0 or more")
        clips = self.clip_grad is None or self.clip_grad > 0
        _require(clips, f"--clip_grad {self.clip_grad}: expected more than 0")
        decays = (("layer_decay", self.layer_decay), ("model_ema_decay", self.model_ema_decay))
        for name, value in decays:
            _require(0 < value <= 1, f"--{name} {value}: expected more than 0, at most 1")
        _require(self.early_stopping >= 0, "--early_stopping: expected 0 or more epochs")
        self._check_mixing()

    def _check_mixing(self) -> None:
        for name in ("mixup", "cutmix"):
            value = getattr(self, name)
            # of a smaller one torch's Beta distribution gives 0.5 where 0 or 1 is due
            _require(value == 0 or value >= 0.01, f"--{name} {value}: expected 0, or 0.01 or more")
        for name in ("mixup_prob", "mixup_switch_prob"):
            value = getattr(self, name)
            _require(0 <= value <= 1, f"--{name} {value}: expected 0 to 1")
        sides = self.cutmix_minmax
        fits = sides is None or (len(sides) == 2 and 0 <= sides[0] <= sides[1] <= 1 and sides[1])
        given = " ".join(map(str, sides or ()))
        _require(fits, f"--cutmix_minmax {given}: expected two shares, 0 <= least <= largest <= 1")


@dataclass(frozen=True)
class Run:
    """Run"""

    output_dir: str = flag("./melanoma_output", "folder of all runs")
    run_name: str = flag("", "name of this run's folder; empty: date, model, batch, objective")
    log_dir: str = flag("", "folder for TensorBoard events; empty: logs/ in the run's folder")
    resume: str = flag(
        "", "auto: continue the matching run or start it; else the folder of a run to continue"
    )
    monitor: str = flag("malignant_f1", "metric of the validation rows that picks the best epoch")
    save_ckpt: bool = flag(True, "keep a checkpoint_epoch_<N>.pth beside the latest and the best")
    save_ckpt_freq: int = flag(1, "keep one every this many epochs")
    keep_checkpoints: int = flag(0, "of those the last ones to keep; 0: all")
    save_ckpt_steps: int = flag(
        0, "write checkpoint_latest.pth within epochs too, every this many steps; 0: only after"
    )
    seed: int = flag(0, "seed of weights, order, augmentation and dropout")
    device: str = flag("auto", "auto, cpu, cuda or cuda:<index>")
    use_amp: bool = flag(False, "train in mixed precision")
    amp_dtype: str = flag(
        "auto", "of mixed precision: float16, bfloat16; auto: float16 on a GPU, bfloat16 on a CPU"
    )
    tf32: bool = flag(False, "TensorFloat-32 matrix products and convolutions on a GPU")
    compile: bool = flag(False, "compile the model with torch.compile before training")
    deterministic: bool = flag(False, "deterministic algorithms only, on a GPU somewhat slower")
    fast_mode: bool = flag(False, "the fastest algorithms of cuDNN, which may differ between runs")
    eval_batch_size: int = flag(64, "rows in a batch when judging, whatever the processes")
    dist_timeout: float = flag(600.0, "seconds after which a process that is gone ends the run")
    test: bool = flag(False, "judge --checkpoint on the test rows (else validation); train nothing")
    checkpoint: str = flag("", "checkpoint that --test judges")

    def __post_init__(self):
        _require(self.save_ckpt_freq >= 1, "--save_ckpt_freq: expected 1 or more")
        _require(self.keep_checkpoints >= 0, "--keep_checkpoints: expected 0 or more")
        _require(self.save_ckpt_steps >= 0, "--save_ckpt_steps: expected 0 or more")
        _require(self.eval_batch_size >= 1, "--eval_batch_size: expected 1 or more")
        _require(self.dist_timeout > 0, "--dist_timeout: expected more than 0 seconds")
        types = ("auto", "float16", "bfloat16")
        _require(
            self.amp_dtype in types, f"--amp_dtype {self.amp_dtype}: expected {', '.join(types)}"
        )
        _require(
            not (self.deterministic and self.fast_mode),
            "--deterministic and --fast_mode contradict each other: give one",
        )
        _require_seed("seed", self.seed)
        plain = not self.run_name or Path(self.run_name).name == self.run_name
        _require(
            plain and self.run_name != "..", f"--run_name {self.run_name}: expected a plain name"
        )


SECTIONS = {"data": Data, "model": Model, "learning": Learning, "run": Run}


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
