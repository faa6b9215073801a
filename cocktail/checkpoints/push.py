"""A model on its way to the Hugging Face Hub: weights, config, recipe, sample pictures and a card, as one commit."""

import re
import tempfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from cocktail.checkpoints import modelcard, native
from cocktail.checkpoints.files import write_text
from cocktail.checkpoints.hub import is_name
from cocktail.checkpoints.hub_errors import explained, library
from cocktail.errors import CocktailError
from cocktail.gan import Gan
from cocktail.images import grid, to_uint8

SAMPLES = "samples"
SHOWN = 12  # classes with a picture of their own
PSI = 0.7


def push_to_hub(
    gan: Gan,
    repo: str,
    private: bool = False,
    token: str | None = None,
    branch: str | None = None,
    message: str | None = None,
) -> str:
    """Puts a model on the Hub as user/repo, made where it is not there yet; returns its address.

    token: default the one that you signed in with; branch: default main, made where it is not there.
    Sample pictures are drawn here. What the sources' licences leave is proposed in the card, and warned of.

    Raises: CocktailError where the name is none, nobody is signed in, or the Hub refuses.
    """
    if not is_name(repo) or "@" in repo:
        raise CocktailError(f"{repo!r} is no name of the Hub; expected user/name.")
    api = library().HfApi()
    with tempfile.TemporaryDirectory() as made:
        folder = write(gan, Path(made) / "model", repo)
        with explained(repo, branch, writing=True):
            url = api.create_repo(repo, private=private or None, exist_ok=True, token=token)
            if branch:
                api.create_branch(repo, branch=branch, exist_ok=True, token=token)
            there = api.list_repo_files(repo, revision=branch, token=token)
            steps = changes(folder, [name for name in there if _ours(name)])
            api.create_commit(
                repo, steps, commit_message=message or "A model of GAN Cocktail", token=token, revision=branch
            )
    return str(url) + (f"/tree/{branch}" if branch else "")


def write(gan: Gan, folder: Path, repo: str) -> Path:
    """Writes what is pushed: the native folder with samples/*.png and a card that shows them; returns the folder.

    Raises: CocktailError as `native.save`.
    """
    card = {key: value for key, value in gan.card.items() if key != "hub" or value.get("repo") != repo}
    proposed = modelcard.licence(card)
    gan = replace(gan, card=modelcard.without_paths(card) | ({"licence": proposed} if proposed else {}))
    native.save(gan, folder)
    shown = []
    for number, label in enumerate(gan.classes[:SHOWN] or (None,)):
        name = f"{SAMPLES}/{number:02}-{re.sub(r'[^a-z0-9]+', '-', (label or 'samples').lower()).strip('-')}.png"
        (folder / name).parent.mkdir(exist_ok=True)
        _sheet(gan, label).save(folder / name)
        shown.append((label or "samples", name))
    write_text(folder / native.CARD, modelcard.render(gan, repo, shown))
    return folder


def changes(folder: Path, there: Iterable[str]) -> list:
    """The operations of one commit that makes a repository's files `there` those of a folder."""
    hub = library()
    files = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
    gone = sorted(set(there) - set(files))
    return [hub.CommitOperationAdd(name, path) for name, path in files.items()] + [
        hub.CommitOperationDelete(name) for name in gone
    ]


def _sheet(gan: Gan, label: str | None):
    """A grid of one class: 16 pictures, fewer where they are large."""
    count = 16 if gan.resolution <= 256 else 4
    return grid(to_uint8(gan.sample(range(count), label, PSI)), columns=int(count**0.5), pad=2)


def _ours(name: str) -> bool:
    """Files that a push writes and may take away; others in the repository stay."""
    return name == native.RECIPE or name.startswith(f"{SAMPLES}/")
