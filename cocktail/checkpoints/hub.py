"""Models of the Hugging Face Hub: "user/repo" or "user/repo@revision", downloaded once, pinned, checked and kept.

huggingface_hub downloads into its own cache, where a file that is there is not fetched again; a cut connection is
taken up where it broke. What it does not do is done here: the content is checked against the hash that the Hub states,
and the commit that a name meant is written down, so that the same name works without a network.
"""

import contextlib
import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cocktail.checkpoints import modelcard, native
from cocktail.checkpoints.files import write_text
from cocktail.checkpoints.hub_errors import explained, library, unavailable
from cocktail.errors import CocktailError
from cocktail.gan import Gan

Report = Callable[[int, int], None]  # bytes so far, bytes in all
NAME = re.compile(r"([A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*?)(?:@([\w][\w./-]*))?")
COMMIT = re.compile(r"[0-9a-f]{40}")
FOREIGN = (".pkl", ".pt", ".pth", ".onnx", ".safetensors")  # a repository with one of these, and no native model
NO_MODEL = (*FOREIGN, ".zip", ".png", ".jpg", ".yaml", ".json")  # a name that ends so means a file on this disk
NEEDED = (native.CONFIG, native.WEIGHTS)
BESIDE = (native.RECIPE, "encoder.safetensors", "directions.safetensors")  # fetched too where they are there
MAX_BYTES, MAX_NAME = 16 << 30, 200
TIMEOUT_SEC = 15.0
_LOCATED: dict[tuple[str, str, str], Path] = {}  # by cache, repository and revision: what they meant at first


@dataclass(frozen=True)
class Snapshot:
    """A model of the Hub on this disk: `path` is its folder or its one file, `commit` 40 hexadecimal digits."""

    repo: str
    commit: str
    path: Path

    @property
    def card(self) -> dict:
        """What a loaded Gan's card says of it."""
        return {"hub": {"repo": self.repo, "revision": self.commit}}


def is_name(text: str) -> bool:
    """Tells "user/repo" and "user/repo@revision" from a path and from names of other kinds."""
    found = NAME.fullmatch(text)
    plain = bool(found) and not found[1].startswith(modelcard.OWN) and not found[1].lower().endswith(NO_MODEL)
    return plain and ".." not in text and "--" not in found[1] and len(text) <= MAX_NAME


def parse(text: str, revision: str | None = None) -> tuple[str, str | None]:
    """A name and the revision that goes with it: the one in the name, or the one beside it.

    Raises: CocktailError where it is no name of the Hub, or both say a revision and they differ.
    """
    if not is_name(text):
        raise CocktailError(f"{text!r} is no name of the Hub; expected user/repo, or user/repo@revision.")
    repo, inside = NAME.fullmatch(text).groups()
    if revision and inside and revision != inside:
        raise CocktailError(f"{text!r} names the revision {inside}, and revision={revision!r} another; give one.")
    wanted = revision or inside
    if wanted and (".." in wanted or not re.fullmatch(r"[\w][\w./-]*", wanted)):
        raise CocktailError(f"revision {wanted!r} found; expected a branch, a tag or a commit.")
    return repo, wanted


def located(text: str) -> Path:
    """The path of a model of the Hub, fetched when this process first asks and the same ever after."""
    known = _LOCATED.get(_key(*parse(text)))
    return known if known and known.exists() else fetch(text).path


def fetch(text: str, revision: str | None = None, report: Report | None = None, token: str | None = None) -> Snapshot:
    """Downloads what is needed of a model of the Hub, unless it is in the cache, at the commit that the name means now.

    token: of the Hub, default the one that you signed in with; report: called with the bytes so far and in all.

    Raises: CocktailError where there is no such model, it may not be seen, the Hub cannot be reached and the cache has
    none, the connection keeps breaking, or what arrives is not what the Hub states.
    """
    repo, wanted = parse(text, revision)
    hub = library()
    if wanted and COMMIT.fullmatch(wanted):
        found = _cached(repo, wanted)  # a commit never changes
        if found:
            return _remember(found, wanted)
    from huggingface_hub.errors import HTTPError, OfflineModeIsEnabled

    with explained(repo, wanted):
        try:
            about = hub.HfApi().model_info(repo, revision=wanted, files_metadata=True, token=token, timeout=TIMEOUT_SEC)
        except (HTTPError, OfflineModeIsEnabled) as error:
            found = _cached(repo, wanted or "main") if unavailable(error) else None
            if not found:  # the Hub refuses, or nobody answers and there is nothing here
                raise
            return _remember(found, wanted)
        found = _download(repo, about, report, token)
    with contextlib.suppress(CocktailError):  # a cache that may only be read
        write_text(_storage(repo) / "refs" / (wanted or "main"), about.sha)
    return _remember(found, wanted)


def load_card(gan: Gan, snapshot: Snapshot) -> Gan:
    """The same model, its card telling where it came from."""
    gan.card = {**gan.card, **snapshot.card}
    return gan


def _remember(found: Snapshot, wanted: str | None) -> Snapshot:
    _LOCATED[_key(found.repo, wanted)] = found.path
    return found


def _key(repo: str, wanted: str | None) -> tuple[str, str, str]:
    return str(_cache()), repo, wanted or ""


def _download(repo: str, about: Any, report: Report | None, token: str | None) -> Snapshot:
    hub = library()
    stated = {entry.rfilename: entry for entry in about.siblings or []}
    wanted = _choose(repo, list(stated))
    total = sum(stated[name].size or 0 for name in wanted)
    if total > MAX_BYTES:
        raise CocktailError(f"{repo} has {total:,} bytes; at most {MAX_BYTES:,} are downloaded.")
    meter = _meter(report, total)
    for name in wanted:
        path = hub.hf_hub_download(
            repo, name, revision=about.sha, token=token, tqdm_class=meter, library_name="gan-cocktail"
        )
        _check(Path(path), stated[name], f"{repo}/{name}")
    if report:
        report(total, total)
    folder = _storage(repo) / "snapshots" / about.sha
    return Snapshot(repo, about.sha, folder if set(NEEDED) <= set(wanted) else folder / wanted[0])


def _choose(repo: str, names: list[str]) -> list[str]:
    """The files to fetch: those of a native model, else the one checkpoint that there is.

    Raises: CocktailError where there is none, or more than one.
    """
    if set(NEEDED) <= set(names):
        return [*NEEDED, *(name for name in BESIDE if name in names)]
    found = sorted(name for name in names if name.lower().endswith(FOREIGN))
    if len(found) == 1:
        return found
    held = ", ".join(sorted(names)[:6]) or "nothing"
    if not found:
        raise CocktailError(
            f"{repo} holds no model for this program (found {held}); expected {native.CONFIG} with {native.WEIGHTS}, "
            f"or one file ending in {', '.join(FOREIGN)}."
        )
    raise CocktailError(
        f"{repo} holds {len(found)} checkpoints ({', '.join(found[:6])}); download the one that you mean "
        f"(hf download {repo} {found[0]}) and open its path."
    )


def _check(path: Path, stated: Any, where: str) -> None:
    """Raises: CocktailError where a file is not the one that the Hub states; it is then removed from the cache."""
    blob = path.resolve()
    wrong = _wrong(blob, stated.lfs.sha256 if stated and stated.lfs else stated.blob_id if stated else blob.name)
    if wrong:
        path.unlink(missing_ok=True)
        blob.unlink(missing_ok=True)
        raise CocktailError(f"{where} did not arrive as the Hub states it ({wrong}); it is thrown away. Try again.")


def _wrong(blob: Path, stated: str | None) -> str:
    """What differs from the stated hash, SHA-256 for large files, git's SHA-1 for small ones; "" where nothing does."""
    if stated and re.fullmatch(r"[0-9a-f]{64}", stated):
        digest = hashlib.sha256()
    elif stated and COMMIT.fullmatch(stated):
        digest = hashlib.sha1(b"blob %d\0" % blob.stat().st_size, usedforsecurity=False)
    else:
        return ""
    with blob.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return "" if digest.hexdigest() == stated else f"hash {digest.hexdigest()[:12]}, expected {stated[:12]}"


def _cached(repo: str, revision: str) -> Snapshot | None:
    """The model of a revision as it is on this disk, None where it is not, or not whole."""
    storage = _storage(repo)
    ref = storage / "refs" / revision
    commit = ref.read_text(encoding="utf-8").strip() if ref.is_file() else revision
    folder = storage / "snapshots" / commit
    if not COMMIT.fullmatch(commit) or not folder.is_dir():
        return None
    names = [path.name for path in folder.iterdir() if path.is_file()]  # a link to a file that is gone is none
    if set(NEEDED) <= set(names):
        return Snapshot(repo, commit, folder)
    found = [name for name in names if name.lower().endswith(FOREIGN)]
    return Snapshot(repo, commit, folder / found[0]) if len(found) == 1 and native.CONFIG not in names else None


def _storage(repo: str) -> Path:
    return _cache() / f"models--{repo.replace('/', '--')}"


def _cache() -> Path:
    return Path(library().constants.HF_HUB_CACHE)


def _meter(report: Report | None, total: int) -> type | None:
    """A progress bar that also tells `report`; None for huggingface_hub's own."""
    if report is None:
        return None
    from huggingface_hub.utils import tqdm

    done = 0

    class Meter(tqdm):
        def update(self, n: float | None = 1) -> bool | None:
            nonlocal done
            done += int(n or 0)
            report(min(done, total), total)
            return super().update(n)

    return Meter
