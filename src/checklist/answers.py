"""Answers to the questions of reporting guidelines, from a run's files alone; "" where they do not
say it in full."""

from collections.abc import Callable
from dataclasses import dataclass

from ..core.registry import parse_call
from ..runs.history import CONFIG, HISTORY
from .facts import Run

SPLIT_FILES = ("train_split.csv", "valid_split.csv", "test_split.csv")


@dataclass(frozen=True)
class Question:
    """What answers it, and the files that the answer is from."""

    answer: Callable[[Run], str]
    files: tuple[str, ...]


QUESTIONS: dict[str, Question] = {}


def question(*files: str) -> Callable:
    """Decorator that adds a function to `QUESTIONS` under its own name."""

    def register(answer: Callable[[Run], str]) -> Callable:
        QUESTIONS[answer.__name__] = Question(answer, files)
        return answer

    return register


@question(CONFIG)
def method(run: Run) -> str:
    """What kind of model it is, in a title's words."""
    return f"Image classification by a deep neural network ({run.setting('model')})."


@question(CONFIG, "training_rows.json")
def data_source(run: Run) -> str:
    digest = f", table digest {run.table[:12]}" if run.table else ""
    return f"Data set read as {run.setting('dataset')}{digest}." if run.rows else ""


@question(CONFIG)
def preprocessing(run: Run) -> str:
    augment = run.setting("augment")
    return (
        f"The same steps for all images: {run.setting('preprocess')}, at an input size of "
        f"{run.setting('input_size')} pixels. Augmentation in training only: {augment}."
    )


@question(*SPLIT_FILES)
def outcome(run: Run) -> str:
    classes = sorted({str(c) for frame in run.rows.values() for c in frame["label"].dropna()})
    return f"The class of the image, one of {', '.join(classes)}." if classes else ""


@question(CONFIG)
def predictor_choice(run: Run) -> str:
    return "The image is the only predictor; no clinical variable enters the model."


@question(CONFIG)
def predictor_definition(run: Run) -> str:
    return (
        f"RGB pixels of one image, prepared by {run.setting('preprocess')}; measured by software, "
        "the same way for every image."
    )


@question(CONFIG)
def predictor_assessors(run: Run) -> str:
    return "Not applicable: no predictor is assessed by people."


@question(*SPLIT_FILES, "metrics_by_group_test.csv", "metrics_by_group_valid.csv")
def sample_size(run: Run) -> str:
    if not run.rows or not run.evaluated:
        return ""
    sizes = ", ".join(f"{len(frame):,} {split}" for split, frame in run.rows.items())
    precision = run.figure(run.evaluated, "sensitivity")
    return (
        f"All available images: {sizes}. Precision reached on the {run.evaluated} images: "
        f"sensitivity {precision}."
    )


@question(*SPLIT_FILES)
def missing_data(run: Run) -> str:
    if not run.rows or run.n_unknown("label"):
        return ""
    n, columns = sum(map(len, run.rows.values())), ("patient_id", "lesion_id", "group")
    told = ", ".join(f"{column} {run.n_unknown(column):,}" for column in columns)
    return (
        f"Every one of the {n:,} images has a class. Missing: {told}. Images of unknown tone group "
        "count in overall results and not in comparisons of groups; nothing is imputed."
    )


@question(*SPLIT_FILES, CONFIG)
def partition(run: Run) -> str:
    if len(run.rows) < 2:
        return ""
    sizes = ", ".join(f"{len(frame):,} {split}" for split, frame in run.rows.items())
    return f"{sizes} images (split seed {run.setting('split_seed', 0)})."


@question(*SPLIT_FILES)
def disjoint_level(run: Run) -> str:
    columns = [c for c in ("patient_id", "lesion_id") if run.known(c)]
    if len(run.rows) < 2 or not columns:
        return ""
    for column in columns:
        sets = [set(f[column].dropna()) if column in f else set() for f in run.rows.values()]
        if len(set().union(*sets)) < sum(map(len, sets)):
            return ""
    whole = [column for column in columns if not run.n_unknown(column)]
    names = " and ".join(column.removesuffix("_id") for column in whole)
    return names and f"Disjoint by {names}: checked, no {names} is in two partitions."


@question(CONFIG)
def predictor_handling(run: Run) -> str:
    return f"Pixels are resized and normalised ({run.setting('preprocess')}); none is selected."


@question(CONFIG, HISTORY)
def building(run: Run) -> str:
    if not run.history:
        return ""
    return (
        f"{run.setting('model')} with head {run.setting('head')}, trained for {len(run.history)} "
        f"epochs by {run.setting('opt')} (learning rate {run.setting('lr')}, weight decay "
        f"{run.setting('weight_decay')}, schedule {run.setting('scheduler')}, batch size "
        f"{run.setting('batch_size')}), objective {run.setting('objective')}, seed "
        f"{run.setting('seed')}."
    )


@question(CONFIG, HISTORY)
def selection(run: Run) -> str:
    best = next((e["epoch"] for e in reversed(run.history) if e.get("is_best")), None)
    if best is None or "valid" not in run.metrics:
        return ""
    return (
        f"The epoch with the best {run.setting('monitor')} on the validation images, epoch "
        f"{best + 1} of {len(run.history)}."
    )


@question("metrics.json", "metrics_by_group_valid.csv")
def internal_validation(run: Run) -> str:
    if "valid" not in run.metrics:
        return ""
    return (
        f"On {run.metrics['valid']['n']:,} validation images, which selected the epoch: AUROC "
        f"{run.figure('valid', 'auroc')}, sensitivity {run.figure('valid', 'sensitivity')}."
    )


@question("metrics_by_group_test.csv", "metrics_by_group_valid.csv")
def clusters(run: Run) -> str:
    if not run.figure(run.evaluated, "auroc"):
        return ""
    unit = "patients or lesions" if run.known("patient_id") or run.known("lesion_id") else "images"
    return (
        f"Intervals resample whole {unit}; results are given by skin-tone group where it is known."
    )


@question("metrics.json")
def measures(run: Run) -> str:
    if not run.evaluated:
        return ""
    return (
        "AUROC, AUPRC, sensitivity, specificity, F1, balanced accuracy, Brier score, calibration "
        "error, and differences between tone groups; bootstrap 95 % CIs."
    )


@question("metrics_by_group_test.csv", "metrics_by_group_valid.csv")
def uncertainty(run: Run) -> str:
    if not run.figure(run.evaluated, "auroc"):
        return ""
    return "95 % CIs: percentiles of the cluster bootstrap (2,000 resamples, Field & Welsh 2007)."


@question(CONFIG)
def updating(run: Run) -> str:
    """Open without `--finetune`: a run does not say what its weights were before, or are now."""
    tuned = run.setting("finetune")
    return f"Fine-tuned from {tuned}." if tuned else ""


@question(CONFIG)
def calculation(run: Run) -> str:
    return "By the model file itself: preprocessing, network and decision rule are in its contract."


@question(CONFIG, *SPLIT_FILES)
def imbalance(run: Run) -> str:
    if not run.rows:
        return ""
    return (
        f"Sampler {run.setting('sampler')}, class weights {run.setting('class_weights', 'none')}, "
        f"objective {run.setting('objective')}. Images by class: {run.counts('label')}."
    )


@question(CONFIG)
def fairness_approach(run: Run) -> str:
    name = parse_call(str(run.setting("objective"))).name
    return (
        f"Objective {name}; sampler {run.setting('sampler')}; one decision rule for all groups "
        "unless the contract names thresholds by group; results are compared between tone groups."
    )


@question(CONFIG)
def output(run: Run) -> str:
    return "A probability for each class; the class is decided by the rule in the model's contract."


@question(*SPLIT_FILES, CONFIG)
def differences(run: Run) -> str:
    if "test" not in run.rows and "valid" not in run.rows:
        return ""
    return f"Same source ({run.setting('dataset')}) for all partitions. {run.counts('label')}."


@question("environment.json")
def code(run: Run) -> str:
    commit = run.environment.get("commit")
    return f"The software at commit {commit}; config.yaml repeats the training." if commit else ""


@question("environment.json")
def software(run: Run) -> str:
    packages = run.environment.get("packages", {})
    if not packages:
        return ""
    told = ", ".join(f"{name} {version}" for name, version in packages.items())
    return (
        f"Python {run.environment.get('python')}, {told}; device {run.environment.get('device')}."
    )


@question(CONFIG)
def initialization(run: Run) -> str:
    weights = run.setting("weights") or run.setting("finetune")
    if weights:
        return f"From the weights in {weights}."
    return "Pretrained on ImageNet." if run.setting("pretrained") else "Random."


@question(CONFIG)
def ensembling(run: Run) -> str:
    average = "the moving average of its weights" if run.setting("model_ema") else "its weights"
    return f"None: a single model, {average}."
