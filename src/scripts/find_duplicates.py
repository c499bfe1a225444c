"""Find photographs that are in the data more than once, in different files or splits.

Compares what images show, whatever their names, patients and lesions. The split of --data_path is
checked as training would use it; --images DIR takes any folder. Writes `duplicates.csv` and
`duplicates.png` into --output_dir.
"""

from pathlib import Path
from typing import Any

from ..core.config import settings_with
from ..core.errors import UserError, run_main
from ..core.files import check_replaceable, expect_folder, expect_output_folder
from ..core.flags import parse_settings, resolve
from ..core.options import Role
from ..duplicates.options import SearchOptions

OF_THE_SEARCH = {"output_dir", "num_workers"}


def parse(argv: list[str] | None) -> list[Any]:
    return parse_settings(
        argv,
        __doc__,
        SearchOptions,
        task="the search for duplicates",
        offered=settings_with(Role.DATA) | OF_THE_SEARCH,
    )


def main(argv: list[str] | None) -> int:
    """2 where a pair crosses the splits, else 1 where images could not be read, else 0."""
    given, options = parse(argv)
    of_data = sorted(set(given) - OF_THE_SEARCH - {"print_config"})
    if options.images and of_data:
        raise UserError(f"--images and --{of_data[0]} both choose the images: give one of them")
    cfg = resolve(given)
    output = Path(cfg.run.output_dir)
    expect_output_folder(output, "--output_dir")
    for name in ("duplicates.csv", "duplicates.png"):
        check_replaceable(output / name)
    if not options.images:
        expect_folder(cfg.data.data_path, "--data_path")
    else:
        expect_folder(options.images, "--images")
        if output.resolve().is_relative_to(options.images.resolve()):
            # its figure would be one of the images when the search is repeated
            raise UserError(f"--output_dir {output}: expected a folder outside {options.images}")

    from ..duplicates.run import find_duplicates
    from ..engine.log import log_to_console

    log_to_console()
    found = find_duplicates(options, cfg)
    print(found.summary)
    if found.crosses_splits:
        return 2
    return 1 if found.n_unread else 0


if __name__ == "__main__":
    run_main(main)
