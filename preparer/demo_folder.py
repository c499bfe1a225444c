"""The folder of the demo data: known by a marker, replaced as a whole, never over others' files."""

import json
import re
import shutil
from pathlib import Path

from src.core.errors import UserError, require

MARKER = ".demo_data.json"
OWN_FILE = re.compile(
    r"ISIC_9\d{6}(_segmentation)?\.(jpg|png)|ISIC_2020_full\.csv|HAM10000_metadata\.csv"
)


def refuse_foreign_files(target: Path) -> None:
    """None where `target` is missing, empty or holds nothing but this maker's output."""
    if not target.exists():
        return
    require(
        target.is_dir(), f"expected a folder, found a file: {target}; choose another --output_dir"
    )
    found = [path for path in target.rglob("*") if not path.is_dir() and path.name != MARKER]
    has_marker = (target / MARKER).is_file()
    foreign = [path for path in found if not (has_marker and OWN_FILE.fullmatch(path.name))]
    if foreign:
        raise UserError(
            f"expected an empty folder or demo data in {target}, found {len(foreign)} other "
            f"file(s) such as {foreign[0].relative_to(target)}; choose another --output_dir"
        )


def marker_text(settings: dict) -> str:
    """The marker file's content for these settings."""
    return json.dumps({"made_by": "preparer/make_demo.py", **settings}, indent=2) + "\n"


def replace_folder(new: Path, target: Path) -> None:
    """None once `new` has taken `target`'s place; what lay there is removed."""
    old = new.with_name(f"{new.name}.old")
    if target.exists():
        target.rename(old)
    new.rename(target)
    shutil.rmtree(old, ignore_errors=True)
