"""Draw training images as the network really sees them: decoded, prepared and augmented.

Takes the data and image settings of training, as flags or from its --config: each row shows an
image with its class, tone group and masks, and then what training makes of it, with the same code.
"""

from typing import Any

from ..core.config import settings_with
from ..core.errors import require, run_main
from ..core.files import check_output, expect_folder
from ..core.flags import parse_settings, resolve
from ..core.options import Role
from ..viewing.options import SheetOptions

OF_IMAGES = {"preprocess", "input_size", "augment", "malignant_copies", "seed"}


def parse(argv: list[str] | None) -> list[Any]:
    return parse_settings(
        argv,
        __doc__,
        SheetOptions,
        task="a sheet of images",
        offered=settings_with(Role.DATA) | OF_IMAGES,
    )


def main(argv: list[str] | None) -> int:
    """0 once the sheet is written; 1 where images that it should show could not be read."""
    given, options = parse(argv)
    cfg = resolve(given)
    expect_folder(cfg.data.data_path, "--data_path")
    check_output(options.output)
    is_png = options.output.suffix.lower() == ".png"
    require(is_png, f"--output {options.output}: expected a name that ends with .png")

    from ..viewing.sheet import draw_sheet

    n_rows, bad = draw_sheet(cfg, options)
    not_read = [f"  not read: {name}: {reason}" for name, reason in bad]
    print("\n".join([f"{options.output}: {n_rows} rows", *not_read]))
    return 1 if not_read else 0


if __name__ == "__main__":
    run_main(main)
