"""Plans the demo data: who is photographed, on which skin, with what lesion, and in which split."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from preparer.draw_dermoscopy import quantized_skin_color
from src.skin.tone import GROUP_NAMES, TONE_CATEGORIES, ita_from_rgb, tone_category, tone_group

SPLIT_SHARES = {"train": 0.65, "valid": 0.15, "test": 0.20}
GROUP_SHARES = (0.20, 0.40, 0.25, 0.15)
# of a code of HAM10000: share of the images, name in ISIC 2020
DIAGNOSES = {
    "nv": (0.45, "nevus"),
    "mel": (0.28, "melanoma"),
    "bkl": (0.11, "seborrheic keratosis"),
    "bcc": (0.06, "basal cell carcinoma"),
    "akiec": (0.04, "actinic keratosis"),
    "vasc": (0.03, "vascular lesion"),
    "df": (0.03, "dermatofibroma"),
}
# Angles of a group's patients in degrees, clear of the group's bounds by more than images vary.
ITA_RANGES = ((58.0, 64.0), (43.5, 53.0), (30.5, 38.5), (-45.0, 25.0))
# Typical b* at an angle (degrees): yellow peaks in tan skin and falls towards both ends.
ITA_KNOTS, YELLOW_KNOTS = (-45.0, 0.0, 22.0, 48.0, 62.0), (12.0, 18.0, 19.5, 16.0, 12.5)
SITES = {
    **dict.fromkeys(("back", "chest", "abdomen"), "torso"),
    **{"lower extremity": "lower extremity", "upper extremity": "upper extremity"},
    **dict.fromkeys(("face", "neck"), "head/neck"),
}
FIRST_NUMBER = 9_000_000


def plan_cases(seed: int, n_images: int) -> pd.DataFrame:
    """The planned images, one row each: n_images rows in drawing order, a pure function of both.

    Columns: stem, patient_id, lesion_id, lesion (0, 1, ...), dx, dx_type, localization, group, sex,
    age in years, split, the skin's 8-bit colour as color_r, color_g, color_b, and that colour's
    ita in degrees. The images of a lesion follow each other. A patient has one tone group and lies
    in one split. Tone groups, diagnoses and splits keep close to their shares.
    """
    rng = np.random.default_rng([seed, 0])
    group_counts = np.zeros(len(GROUP_SHARES))
    diagnosis_counts = np.zeros((len(GROUP_SHARES), len(DIAGNOSES)))
    rows, n_patients = [], 0
    while len(rows) < n_images:
        group = _furthest_behind(GROUP_SHARES, group_counts)
        images = _plan_patient(n_patients, group, diagnosis_counts[group], rng)
        images = images[: n_images - len(rows)]
        group_counts[group] += len(images)
        rows += images
        n_patients += 1
    cases = pd.DataFrame(rows)
    cases["lesion"] = cases.groupby("lesion_id", sort=False).ngroup()
    numbers = FIRST_NUMBER + rng.permutation(n_images)
    cases["stem"] = [f"ISIC_{number}" for number in numbers]
    cases["split"] = cases["patient_id"].map(_assign_splits(cases))
    return cases


def isic_table(cases: pd.DataFrame) -> pd.DataFrame:
    """The cases with the columns of the ISIC 2020 skin-tone table, sorted by image name.

    As in that table `malignant` means melanoma; carcinomas count as benign.
    """
    target = (cases["dx"] == "mel").astype(int)
    categories = [TONE_CATEGORIES[index] for index in tone_category(cases["ita"])]
    table = pd.DataFrame(
        {
            "image_name": cases["stem"] + ".jpg",
            "ita": cases["ita"],
            "color_r": cases["color_r"],
            "color_g": cases["color_g"],
            "color_b": cases["color_b"],
            "fitzpatrick": [category.fitzpatrick for category in categories],
            "group": cases["group"],
            "patient_id": cases["patient_id"],
            "sex": cases["sex"],
            "age_approx": cases["age"].map("{:.1f}".format),
            "anatom_site_general_challenge": cases["localization"].map(SITES),
            "diagnosis": [DIAGNOSES[code][1] for code in cases["dx"]],
            "benign_malignant": np.where(target == 1, "malignant", "benign"),
            "target": target,
            "duplicate": 0,
            "group_str": [GROUP_NAMES[group] for group in cases["group"]],
            "group_str_org": [category.chardon for category in categories],
            "split": cases["split"],
        }
    )
    return table.sort_values("image_name", ignore_index=True)


def ham_table(cases: pd.DataFrame) -> pd.DataFrame:
    """The cases with the columns of HAM10000's metadata, sorted by image id."""
    columns = ["lesion_id", "stem", "dx", "dx_type", "age", "sex", "localization"]
    table = cases[columns].rename(columns={"stem": "image_id"})
    table["age"] = table["age"].map("{:.1f}".format)
    return table.sort_values("image_id", ignore_index=True)


def case_paths(case: Any) -> tuple[str, str, str, str]:
    """A planned row's four files in the output folder: ISIC image, mask, HAM10000 image, mask."""
    place = f"{case.split}/{'malignant' if case.dx == 'mel' else 'benign'}/{case.stem}"
    return (
        f"isic2020/{place}.jpg",
        f"isic2020/masks/{place}.png",
        f"ham10000/images/{case.stem}.jpg",
        f"ham10000/masks/{case.stem}_segmentation.png",
    )


def _furthest_behind(shares: Sequence[float], counts: np.ndarray) -> int:
    """Index of the share that lags most, so that counts follow the shares without luck."""
    return int(np.argmax(np.asarray(shares) * (counts.sum() + 1) - counts))


def _plan_patient(
    number: int, group: int, diagnosis_counts: np.ndarray, rng: np.random.Generator
) -> list[dict]:
    """One patient's images; counts their diagnoses into `diagnosis_counts` in place."""
    patient = {
        "patient_id": f"IP_{FIRST_NUMBER + number}",
        "group": group,
        "sex": str(rng.choice(["female", "male"])),
        "age": int(np.clip(round(rng.normal(52, 17) / 5) * 5, 10, 85)),
    }
    ita = rng.uniform(*ITA_RANGES[group])
    yellow = np.interp(ita, ITA_KNOTS, YELLOW_KNOTS) + rng.uniform(-1.5, 1.5)
    skin_lab = np.array([50 + yellow * np.tan(np.radians(ita)), rng.uniform(8.5, 15.5), yellow])
    images = []
    for lesion in range(rng.choice([1, 2, 3, 4], p=[0.3, 0.35, 0.2, 0.15])):
        code = _furthest_behind([share for share, _ in DIAGNOSES.values()], diagnosis_counts)
        diagnosis = list(DIAGNOSES)[code]
        examined = ["histo"] if diagnosis in ("mel", "bcc", "akiec") else ["histo", "follow_up"]
        facts = {
            "lesion_id": f"HAM_{FIRST_NUMBER + 10 * number + lesion}",
            "dx": diagnosis,
            "dx_type": str(rng.choice(examined)),
            "localization": str(rng.choice(list(SITES))),
        }
        n_photographs = rng.choice([1, 2, 3], p=[0.4, 0.35, 0.25])
        diagnosis_counts[code] += n_photographs
        for _ in range(n_photographs):
            images.append(patient | facts | _image_skin(skin_lab, group, rng))
    return images


def _image_skin(patient_lab: np.ndarray, group: int, rng: np.random.Generator) -> dict:
    while True:
        color = quantized_skin_color(patient_lab + rng.normal(0.0, (0.6, 0.8, 0.4)))
        ita = float(ita_from_rgb(color))
        if tone_group(ita) == group:
            names = ("color_r", "color_g", "color_b")
            return dict(zip(names, color.tolist(), strict=True)) | {"ita": round(ita, 8)}


def _assign_splits(cases: pd.DataFrame) -> dict[str, str]:
    patients = cases.groupby("patient_id", sort=False).agg(
        group=("group", "first"), melanoma=("dx", lambda dx: (dx == "mel").any()), n=("dx", "size")
    )
    names, split_of = list(SPLIT_SHARES), {}
    for _, stratum in patients.groupby(["group", "melanoma"]):
        counts = np.zeros(len(names))
        for patient_id, n_images in stratum["n"].items():
            split = _furthest_behind(tuple(SPLIT_SHARES.values()), counts)
            counts[split] += n_images
            split_of[patient_id] = names[split]
    return split_of
