"""Fetch a public data set: continued where it broke off, checked, and unpacked safely.

Sources are ham10000, isic2019, isic2020 and dermnet, and in general dataverse(doi='...'),
kaggle(dataset='owner/name'), isic_archive(query='...') and files(urls=[...]). Keep to their terms.
Without a network, or where a login is wanted, it says what to fetch by hand; run it again then, and
what is there is checked and unpacked.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from src.core.errors import run_main
from src.core.files import expect_output_folder
from src.core.options import REQUIRED, flag, parse_options


@dataclass(frozen=True)
class Options:
    """data"""

    source: str = flag(
        REQUIRED, "ham10000, isic2019, isic2020, dermnet, or a call such as kaggle(dataset='a/b')"
    )
    output_dir: Path = flag(REQUIRED, "folder to put the files into")
    unpack: bool = flag(True, "unpack archives, which stay where they are")
    list: bool = flag(False, "only list the files that there are")


def main(argv: list[str] | None) -> int:
    """0 once all is there, 1 where a file could not be fetched or unpacked."""
    options = parse_options(argv, __doc__, Options)[0]
    expect_output_folder(options.output_dir, "--output_dir")

    from preparer.fetching import get, listing
    from preparer.sources import SOURCES

    source = SOURCES.build(options.source)
    if options.list:
        print(listing(source))
        return 0
    return get(source, options.output_dir, options.unpack)


if __name__ == "__main__":
    run_main(main)
