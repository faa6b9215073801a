"""What goes into a merge, shown while there is no run yet: samples of every model that is picked."""

import html
import itertools
from collections.abc import Sequence

from cocktail import pictures
from cocktail.errors import CocktailError
from cocktail.images import from_pil, to_uint8
from cocktail.teachers import pictures_at
from editing.recipes import PictureRecipe, model_name
from ui.models import Models, short_name
from ui.pictures import data_uri

PICTURES, SIDE = 6, 128  # of each model or folder; pixels of a folder's


def preview(models: Models, refs: Sequence[str], root: str | None) -> str:
    """A row of samples for each model, the root marked; one that is no model is named with the reason."""
    return "".join(_row(models, ref, ref == root) for ref in refs)


def _row(models: Models, ref: str, is_root: bool) -> str:
    name = html.escape(short_name(ref))
    try:
        shown = _pictures(ref) if not models.public and pictures_at(ref) else _samples(models, ref)
    except CocktailError as error:
        shown = f'<p class="help">{html.escape(str(error))}</p>'
    return f'<section class="goes-in"><h3>{name}{" <small>root</small>" if is_root else ""}</h3>{shown}</section>'


def _samples(models: Models, ref: str) -> str:
    loaded = models.get(ref)
    classes = loaded.gan.classes or (None,)
    found = []
    for seed in range(PICTURES):
        label = classes[seed % len(classes)]
        recipe = PictureRecipe(model_name(ref), loaded.fingerprint, (label,) if label else (), (seed,), 0.9)
        found.append(_image(data_uri(loaded.picture(recipe), recipe), recipe.describe()))
    return f"<div>{''.join(found)}</div>"


def _pictures(ref: str) -> str:
    """The first pictures of a folder or zip, which the whole of it is not read for."""
    found = [from_pil([image], SIDE) for image in itertools.islice(pictures.read(pictures_at(ref)), PICTURES)]
    shown = [_image(data_uri(to_uint8(image)), f"picture {i + 1} of {ref}") for i, image in enumerate(found)]
    return f"<div>{''.join(shown)}</div>"


def _image(source: str, about: str) -> str:
    about = html.escape(about, quote=True)
    return f'<img src="{source}" alt="{about}" title="{about}">'
