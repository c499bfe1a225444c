"""Time a training: samples, loading, forward, backward, optimizer, memory, and an epoch of it all.

Takes the trainer's settings and trains nothing that is kept. The images are those of --data_path.
"""

from typing import Any

from ..core.errors import run_main
from ..core.files import check_output, check_training_paths
from ..core.flags import parse_settings, resolve
from ..engine.names import check_names
from ..timing.options import BenchmarkOptions


def parse(argv: list[str] | None) -> list[Any]:
    return parse_settings(argv, __doc__, BenchmarkOptions, task="a benchmark")


def main(argv: list[str] | None) -> None:
    given, options = parse(argv)
    cfg = resolve(given)
    check_training_paths(cfg)
    check_names(cfg)
    if options.json:
        check_output(options.json)

    from ..timing.benchmark import benchmark

    print(benchmark(cfg, options))


if __name__ == "__main__":
    run_main(main)
