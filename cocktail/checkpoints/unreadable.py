"""What to say of a file that no format reads: what it is, as far as can be told without trusting it, and what to do."""

from pathlib import Path

from cocktail.checkpoints import content, persistence, pickles, torchfile
from cocktail.errors import CocktailError

SHOWN = 6
ONNX = "export its generator to ONNX, which is read as a source of pictures"
MEANINGS = {
    "hdf5": f"an HDF5 file, as Keras writes it. With the program that made it, {ONNX} (tf2onnx)",
    "gzip": "packed with gzip and is not unpacked here. Unpack it (gunzip) and open what comes out",
    "zip": "a zip without a checkpoint in it. A zip of pictures can be a class of a merge or train a model; "
    "unpack any other",
    "numpy": "an array of numpy, without a description of a network. Take the checkpoint that it was made from",
    "onnx": "an ONNX file, or damaged",
    "empty": "empty. Copy or download it again",
    "missing": "no file that can be read",
    "safetensors": "a safetensors file of another program",
    "folder": "a folder without a model",
}


def explain(path: Path) -> str:
    """A sentence that goes on "FILE is ..." and ends with what to do.

    Raises: CocktailError for a pickle or a torch file that is damaged, or asks for a name that no checkpoint needs.
    """
    kind = content.kind(path)
    if kind == "tensorflow-pickle":
        return (
            "a pickle of TensorFlow networks (dnnlib.tflib.network.Network), of which nothing was executed. Convert it "
            "with legacy.py of github.com/NVlabs/stylegan2-ada-pytorch: python legacy.py "
            f"--source={path.name} --dest={path.stem}-pytorch.pkl, and open that"
        )
    if kind in ("pickle", "nvidia-pickle"):
        with path.open("rb") as file:
            found = pickles.load(file, persistence.ALLOWED, str(path))
        return f"a pickle that holds {_shown(found)}, and no network. Give the file that its training wrote"
    if kind in ("torch-zip", "torch-legacy"):
        found = torchfile.read(path)
        return (
            f"a PyTorch file that holds {_shown(found)}, which is no network of a known layout. If it is a GAN, {ONNX}"
        )
    if kind == "unknown":
        with path.open("rb") as file:
            return f"of no known kind (it begins with {file.read(8).hex(' ')}). If it holds a GAN, {ONNX}"
    return MEANINGS[kind]


def _shown(found: object) -> str:
    if not isinstance(found, dict):
        return f"a {type(found).__name__}"
    names = ["".join(c if c.isprintable() else "?" for c in str(key)[:60]) for key in list(found)[:SHOWN]]
    more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    return f"the entries {', '.join(names) or 'none'}{more}"


def refuse(path: Path, accepted: str) -> CocktailError:
    """The error for a path that no format recognises; `accepted` lists what is read. Raises: as `explain`."""
    if not path.is_file():
        return CocktailError(f"{path} is no regular file and no checkpoint that this version reads. {accepted}")
    size = f"{path.stat().st_size:,} bytes"
    return CocktailError(f"{path} ({size}) is no checkpoint that this version reads: it is {explain(path)}. {accepted}")
