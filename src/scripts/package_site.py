"""Make the one file that a hospital runs on its images: this software and a model.

The site needs Python with onnxruntime, numpy, opencv-python, PyYAML and tqdm, no torch and no
network: `python evaluate_site.pyz --help`.
"""

from typing import Any

from ..core.errors import run_main
from ..core.options import parse_options
from ..sites.options import PackageOptions


def parse(argv: list[str] | None) -> list[Any]:
    return parse_options(argv, __doc__, PackageOptions)


def main(argv: list[str] | None) -> int:
    (options,) = parse(argv)

    from ..sites.package import package_site

    size = package_site(options)
    print(f"{options.output_path}: {size / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    run_main(main)
