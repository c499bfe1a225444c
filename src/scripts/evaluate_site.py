"""Evaluate a model on this site's images and write aggregates only, signed with the site's key.

Runs from the one file that `package_site` makes, without torch and without a network. No image, no
row and no count below ten leaves the site: read the result before you send it.
"""

from functools import partial
from typing import Any

from ..core.errors import run_main
from ..core.options import parse_options
from ..sites.options import SiteOptions


def parse(argv: list[str] | None) -> list[Any]:
    return parse_options(argv, __doc__, SiteOptions)


def main(argv: list[str] | None = None) -> int:
    """0, or 1 where images could not be read."""
    (options,) = parse(argv)

    from ..sites.package import given_or_packaged
    from ..sites.study import evaluate_site

    with given_or_packaged(options.onnx_model_path) as model:
        content = evaluate_site(options, model)
    told = content["all"]
    counts = (f"{told[kind].get('n', 'fewer than 10')} {kind}" for kind in ("positive", "negative"))
    print(f"{', '.join(counts)}, written to {options.output_json}")
    if content["unread"]:
        print(f"images that could not be read: {content['unread']}")
    return 1 if content["unread"] else 0


run = partial(run_main, main)

if __name__ == "__main__":
    run()
