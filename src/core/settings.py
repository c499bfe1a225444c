"""The settings of a run: frozen dataclasses whose fields are the flags and the YAML keys."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from .errors import require
from .options import MAX_SEED, Role, Section, flag

_NEUTRAL, _MODEL, _EVALUATION = Role.RESULT_NEUTRAL, Role.MODEL, Role.EVALUATION
_SHARED, _PATH, _RUN, _TEST = Role.SHARED, Role.PATH, Role.RUN, Role.TEST
_CACHE = _NEUTRAL | _RUN | _EVALUATION
_LISTED = "pass any unknown name to list the choices"
_ROWS = Role.DATA | _SHARED | _EVALUATION


@dataclass(frozen=True)
class Data(Section):
    """Data"""

    dataset: str = flag(
        "isic2020",
        "layout of the data, as NAME or NAME(option=value): isic2020, siim, ham10000, folders, "
        "table",
        _ROWS,
    )
    data_path: str = flag("./isic2020_challenge", "folder of the data set", _ROWS | _PATH)
    skin_color_csv: str = flag("", "CSV of tone groups, patients and splits", _ROWS | _PATH)
    kfold: int = flag(
        0, "cross-validation folds, which no patient or lesion spans (0: off)", _ROWS | _MODEL
    )
    fold: int = flag(
        -1, "train this fold only, from 0 (-1: all in turn)", _SHARED | _EVALUATION | _MODEL
    )
    train_on_all: bool = flag(
        False, "also train on the validation rows; keep the last epoch", _ROWS | _MODEL
    )
    known_groups_only: bool = flag(False, "leave out rows whose skin-tone group is unknown", _ROWS)
    valid_size: float = flag(
        0.15, "fraction of rows used for validation if the data define no split", _ROWS | _MODEL
    )
    test_size: float = flag(
        0.15, "fraction of rows used for testing if the data define no split", _ROWS | _MODEL
    )
    split_seed: int = flag(
        0,
        "seed of that split, which also depends on the tone groups; --seed does not change it",
        _ROWS | _MODEL,
        least=0,
        most=MAX_SEED,
    )
    allow_leakage: bool = flag(
        False, "continue with a patient or lesion in several splits", _SHARED | _EVALUATION
    )
    max_bad_images: int = flag(
        0, "missing or unreadable images to leave out at most", _SHARED | _EVALUATION, least=0
    )
    preprocess: str = flag(
        "scaled_jpeg | resize || normalize(stats='pretrained')",
        "preprocessing steps joined by |, with || at the augmentation point",
        _MODEL,
    )
    input_size: int = flag(224, "side of the network's input in pixels", _MODEL, least=16)
    augment: str = flag(
        "dermatoscopy", f"augmentations joined by |, such as lumen(strength=0.5) ({_LISTED})"
    )
    sampler: str = flag("random", f"sampling of training rows, as NAME(option=value) ({_LISTED})")
    malignant_copies: str = flag(
        "",
        "transformations used to add copies of each positive training image, joined by |: "
        "original, horizontal_flip, vertical_flip, rotation, translation",
    )
    num_workers: int = flag(
        4, "data loading processes, at most one per CPU core", _NEUTRAL | _EVALUATION, least=0
    )
    pin_mem: bool = flag(True, "use pinned memory for batches on a GPU", _NEUTRAL | _EVALUATION)
    cache: Literal["none", "ram", "disk"] = flag(
        "none", "decode and resize each image once: disk keeps it for later runs too", _CACHE
    )
    cache_dir: str = flag(
        "./melanoma_output/cache", "folder of --cache; may be deleted between runs", _CACHE | _PATH
    )
    resident: bool = flag(False, "keep and augment all images in the device's memory", _RUN)

    def __post_init__(self):
        super().__post_init__()
        require("{data_path}" not in self.data_path, "--data_path: contains {data_path} itself")
        require(self.kfold == 0 or self.kfold >= 2, f"--kfold {self.kfold}: expected 2 or more")
        is_fold = self.fold == -1 or 0 <= self.fold < self.kfold
        require(is_fold, f"--fold {self.fold}: expected 0 to the number of --kfold minus 1")
        require(
            not (self.kfold and self.train_on_all),
            "--kfold and --train_on_all: a fold is evaluated on the rows it leaves out; give one",
        )
        shares_fit = self.valid_size > 0 and self.test_size >= 0 and self.train_size > 0
        require(shares_fit, "--valid_size and --test_size: expected to leave rows for training")

    @property
    def train_size(self) -> float:
        """Fraction of training rows."""
        return 1 - self.valid_size - self.test_size


@dataclass(frozen=True)
class Model(Section):
    """Model"""

    model: str = flag(
        "convnext_tiny", "backbone: a name in docs/MODELS.md or any timm model", _MODEL
    )
    head: str = flag("linear", "head, as NAME or NAME(option=value): linear, mlp, acrnn", _MODEL)
    pretrained: bool = flag(True, "start from published weights, downloaded by timm or torchvision")
    in_22k: bool = flag(False, "use the backbone's ImageNet-22k weights")
    weights: str = flag("", "start from this file's state dict, not published weights", _PATH)
    finetune: str = flag(
        "",
        "start from this checkpoint of a run: its model and preprocessing, its backbone's weights, "
        "and its head's where the classes match",
        _PATH,
    )
    freeze_model: bool = flag(False, "freeze the backbone and train the head only")
    feature_views: int = flag(
        0, "with --freeze_model: views of each image to compute the features of once", least=0
    )
    freeze: str = flag(
        "",
        "freeze backbone parameters whose names start with these prefixes, joined by |: "
        "stem | stages.0",
    )
    drop_path: float = flag(
        0.0, "stochastic depth rate, where the backbone supports it", least=0, below=1
    )
    dropout: float = flag(0.0, "dropout rate before the head", least=0, below=1)
    num_classes: int = flag(0, "expected number of classes, else refused (0: any)", least=0)
    num_groups: int = flag(
        0, "number of skin-tone groups of a group-aware head (0: as in the data)", least=0
    )

    def __post_init__(self):
        super().__post_init__()
        require(
            not (self.weights and self.finetune),
            "--weights and --finetune: both say what to start from; give one",
        )
        require(
            self.freeze_model or not self.feature_views,
            f"--feature_views {self.feature_views}: expected with --freeze_model true",
        )
        require(self.num_classes != 1, "--num_classes 1: expected 2 or more, or 0 for any")


@dataclass(frozen=True)
class Learning(Section):
    """Learning"""

    objective: str = flag(
        "cross_entropy", f"loss and head layout, as NAME or NAME(option=value) ({_LISTED})"
    )
    teacher: str = flag(
        "",
        "for --objective distillation: an ONNX model, a folder of these (their mean), or a CSV of "
        "predictions of the training images",
        _PATH,
    )
    class_weights: str = flag(
        "none",
        "class weights of the loss, as NAME or NAME(option=value): none, "
        "inverse_frequency(by='group_class')",
    )
    opt: str = flag(
        "adamw", "optimizer, as NAME or NAME(option=value): adamw, adam, sgd, lamb, adan, lion"
    )
    lr: float = flag(1e-4, "peak learning rate", above=0, most=1000)
    weight_decay: float = flag(
        5e-3, "weight decay (not applied to biases and normalization layers)", least=0
    )
    weight_decay_end: float | None = flag(
        None, "final weight decay, reached on a cosine schedule (default: constant)", least=0
    )
    layer_decay: float = flag(1.0, "layer-wise learning-rate decay (1: off)", above=0, most=1)
    scheduler: str = flag(
        "cosine",
        "learning-rate schedule, as NAME or NAME(option=value): cosine, cosine_restarts, plateau, "
        "constant",
    )
    epochs: int = flag(30, "number of epochs", least=1)
    batch_size: int = flag(16, "training batch size of each process", least=1)
    update_freq: int = flag(1, "number of batches accumulated for one optimizer step", least=1)
    early_stopping: int = flag(
        0, "stop after this many epochs without improvement of --monitor (0: off)", least=0
    )
    model_ema: bool = flag(
        False, "evaluate, save and export an exponential moving average of the weights"
    )
    model_ema_decay: float = flag(0.9999, "decay of the moving average by step", above=0, most=1)
    model_ema_half_life: float | None = flag(
        None, "half-life of the moving average in epochs, instead of its decay", above=0
    )
    model_ema_force_cpu: bool = flag(False, "keep the moving average in CPU memory")
    sync_bn: bool = flag(False, "synchronize batch normalization across processes")
    clip_grad: float | None = flag(None, "maximum gradient norm (default: no clipping)", above=0)
    mixup: float = flag(0.0, "mixup alpha, 0.01 or more (0: off)")
    cutmix: float = flag(0.0, "CutMix alpha, 0.01 or more (0: off)")
    cutmix_minmax: tuple[float, ...] | None = flag(
        None,
        "smallest and largest side of the CutMix box as fractions of the image side, "
        "instead of --cutmix",
        _SHARED,  # a pair, of which a trial could not draw the half
    )
    mixup_prob: float = flag(
        1.0, "probability that mixup or CutMix is applied to a batch", least=0, most=1
    )
    mixup_switch_prob: float = flag(
        0.5, "probability of CutMix rather than mixup where both are on", least=0, most=1
    )

    def __post_init__(self):
        super().__post_init__()
        for name in ("mixup", "cutmix"):
            value = getattr(self, name)
            # of a smaller one torch's Beta distribution gives 0.5 where 0 or 1 is due
            require(value == 0 or value >= 0.01, f"--{name} {value}: expected 0, or 0.01 or more")
        is_usual = self.model_ema_half_life is None or self.model_ema_decay == 0.9999
        require(is_usual, "--model_ema_half_life and --model_ema_decay: the same twice; give one")
        sides = self.cutmix_minmax
        fits = sides is None or (len(sides) == 2 and 0 <= sides[0] <= sides[1] <= 1 and sides[1])
        given = " ".join(map(str, sides or ()))
        require(fits, f"--cutmix_minmax {given}: expected two numbers, 0 <= low <= high <= 1")


@dataclass(frozen=True)
class Run(Section):
    """Run"""

    output_dir: str = flag(
        "./melanoma_output", "folder for the results", _NEUTRAL | _SHARED | _PATH | _EVALUATION
    )
    run_name: str = flag(
        "",
        "name of the folder in --output_dir (default: date, model, batch size, objective)",
        _NEUTRAL | _SHARED | _RUN | _EVALUATION,
    )
    log_dir: str = flag(
        "",
        "folder of TensorBoard events (default: logs/ in the run's folder)",
        _NEUTRAL | _SHARED | _PATH | _RUN,
    )
    resume: str = flag(
        "",
        "auto: resume the matching run or start it; or the folder of the run to resume",
        _NEUTRAL | _SHARED | _RUN,
    )
    monitor: str = flag("f1", "validation metric that selects the best epoch", _SHARED)
    save_ckpt: bool = flag(
        True, "also keep per-epoch checkpoints, checkpoint_epoch_<N>.pth", _NEUTRAL | _SHARED
    )
    save_ckpt_freq: int = flag(1, "number of epochs between these checkpoints", _NEUTRAL, least=1)
    keep_checkpoints: int = flag(
        0, "number of most recent epoch checkpoints to keep (0: all)", _NEUTRAL, least=0
    )
    save_ckpt_steps: int = flag(
        0, "also save checkpoint_latest.pth every this many steps (0: off)", _NEUTRAL, least=0
    )
    seed: int = flag(
        0,
        "random seed (training: initial weights, sampling, augmentation, dropout; evaluation: "
        "bootstrap)",
        _EVALUATION,
        least=0,
        most=MAX_SEED,
    )
    device: str = flag(
        "auto", "auto, cpu, mps, cuda or cuda:<index>", _NEUTRAL | _RUN | _EVALUATION
    )
    use_amp: bool = flag(False, "train with automatic mixed precision")
    amp_dtype: Literal["auto", "float16", "bfloat16"] = flag(
        "auto",
        "mixed-precision dtype: float16, bfloat16 or auto (float16 on a GPU, bfloat16 on a CPU)",
    )
    tf32: bool = flag(False, "allow TensorFloat-32 matrix products and convolutions on a GPU")
    compile: bool = flag(False, "compile the model with torch.compile")
    deterministic: bool = flag(False, "use deterministic algorithms only (slower on a GPU)")
    fast_mode: bool = flag(False, "let cuDNN choose the fastest algorithms; results may vary")
    eval_batch_size: int = flag(64, "evaluation batch size", _EVALUATION, least=1)
    dist_timeout: float = flag(
        600.0, "seconds to wait for a silent process", _NEUTRAL | _EVALUATION, above=0
    )
    test: bool = flag(
        False, "evaluate --checkpoint on the test, else validation rows", _NEUTRAL | _SHARED | _TEST
    )
    checkpoint: str = flag("", "checkpoint to evaluate with --test", _NEUTRAL | _SHARED | _TEST)

    def __post_init__(self):
        super().__post_init__()
        require(
            not (self.deterministic and self.fast_mode),
            "--deterministic and --fast_mode contradict each other: give one",
        )
        is_plain = self.run_name == Path(self.run_name).name != ".."
        require(is_plain, f"--run_name {self.run_name}: expected a plain name")
