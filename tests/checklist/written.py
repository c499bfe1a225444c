"""The files of a run, as the trainer writes them."""

import json

SETTINGS = {
    **{"dataset": "ham10000", "preprocess": "resize || normalize(stats='train')"},
    **{"model": "resnet18", "head": "linear", "objective": "cross_entropy", "input_size": 64},
    **{"opt": "adamw", "lr": 0.001, "weight_decay": 0.05, "scheduler": "cosine", "batch_size": 8},
    **{"seed": 3, "split_seed": 0, "monitor": "auroc", "sampler": "shuffle", "augment": "flips"},
    **{"pretrained": True, "epochs": 2},
}
FOUND = {"n": 40, "n_positive": 10, "false_negative_rate": 0.3, "false_positive_rate": 0.1}


def csv(*lines):
    return "\n".join(",".join(map(str, line)) for line in lines) + "\n"


def write_run(folder):
    """The files of a run with validation and test images of known lesions and groups."""
    folder.mkdir()
    texts = {
        "config.json": json.dumps(SETTINGS),
        "environment.json": json.dumps({"commit": "abc123", "packages": {"torch": "2.0"}}),
        "metrics.json": json.dumps({"valid": FOUND, "test": FOUND}),
        "training_history.json": json.dumps(
            [{"epoch": 0, "is_best": False}, {"epoch": 1, "is_best": True}]
        ),
        "training_rows.json": json.dumps({"table": "f00d" * 16}),
        "best_checkpoint.pth": "weights",
        "predictions_test.csv": "image_name",
    }
    for split, first in (("train", 0), ("valid", 100), ("test", 200)):
        rows = [
            (f"i{n}.jpg", ("nv", "mel")[n % 2], n % 2, f"L{n}") for n in range(first, first + 8)
        ]
        texts[f"{split}_split.csv"] = csv(("image", "label", "group", "lesion_id"), *rows)
        if split != "train":
            head = ["attribute", "group", "n", "n_positive"]
            ends = ("", "_low", "_high")
            head += [f"{m}{end}" for m in ("auroc", "sensitivity") for end in ends]
            figures = (0.9, 0.8, 0.95, 0.7, 0.5, 0.85)
            lines = [("all", "all", 40, 10, *figures), ("skin tone", "Light", 20, 5, *figures)]
            texts[f"metrics_by_group_{split}.csv"] = csv(head, *lines)
    for name, text in texts.items():
        (folder / name).write_text(text)
    return folder
