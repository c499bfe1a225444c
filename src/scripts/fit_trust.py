"""Fit when a model should not answer, and certify its sensitivity for each skin tone."""

from pathlib import Path
from typing import Any

from ..core.errors import require, run_main
from ..core.files import expect_file
from ..core.flags import parse_evaluation, resolve
from ..safety.options import TrustOptions


def parse(argv: list[str] | None) -> list[Any]:
    """The settings that are given and the options."""
    return parse_evaluation(argv, __doc__, TrustOptions, task="what is fitted")


def main(argv: list[str] | None) -> int:
    """0 once the model is written; 1 where --self_test finds a check that does not hold."""
    given, options = parse(argv)
    resolve({name: text for name, text in given.items() if name != "print_config"})
    if options.self_test:
        return _self_test()
    for name in ("onnx_model_path", "write_model"):
        path: Path | None = getattr(options, name)
        require(path is not None, f"--{name}: expected an ONNX file; found none (see --help)")
        is_onnx = path.suffix.lower() == ".onnx"
        require(is_onnx, f"--{name} {path}: expected an exported model, .onnx")
    expect_file(options.onnx_model_path, "--onnx_model_path")

    from ..safety.fit import fit_trust

    print(f"{fit_trust(given, options)}\nwritten to {options.write_model}")
    return 0


def _self_test() -> int:
    from ..trust.self_test import self_test

    failed = 0
    for name, holds in self_test():
        print(f"{'ok    ' if holds else 'FAILED'} {name}")
        failed += not holds
    return 1 if failed else 0


if __name__ == "__main__":
    run_main(main)
