"""Who may launch, delete and name paths: whoever sits at this machine, and on a Space its signed-in owner."""

import os
from collections.abc import Sequence

import gradio as gr

from cocktail.errors import CocktailError
from ui.models import Models

SPACE, OWNER = "SPACE_ID", "SPACE_AUTHOR_NAME"  # set on a Space: which it is, and whose
ZERO = "SPACES_ZERO_GPU"  # set on a Space that runs on ZeroGPU


def door() -> None:
    """The button to sign in with, where signing in can make a difference."""
    if os.environ.get(SPACE) and os.environ.get(OWNER) and not os.environ.get(ZERO):
        gr.LoginButton("Sign in as the owner", elem_id="sign-in")


def refusal(models: Models, user: str | None) -> str:
    """Why this visitor may not launch anything, as a sentence; "" where they may. `user` is who signed in."""
    if os.environ.get(ZERO):
        return (
            "Merging is off here: this Space runs on ZeroGPU, whose minutes a day are for drawing. Duplicate it onto "
            "hardware of your own to merge."
        )
    if not models.public:
        return ""
    owner = os.environ.get(OWNER)
    if not owner:
        return "This page is public, so merging is off. Run the app at home to merge: make app."
    if user is None:
        return "Merging is for the owner of this Space, who has to sign in. Sampling and editing are open to all."
    if user != owner:
        return f"Merging is for the owner of this Space, {owner}. Duplicate the Space to merge in your own."
    return ""


def check(models: Models, request: gr.Request | None) -> None:
    """Raises: CocktailError where whoever sent this request may not launch anything."""
    reason = refusal(models, signed_in(request))
    if reason:
        raise CocktailError(reason)


def check_refs(models: Models, refs: Sequence[str], request: gr.Request | None) -> None:
    """Raises: CocktailError where one of the models is a path, and who sent this may name none."""
    strange = [ref for ref in refs if ref not in models.refs()]
    reason = refusal(models, signed_in(request))
    if strange and reason:
        raise CocktailError(f"{strange[0]!r} is not one of the models of this page. {reason}")


def signed_in(request: gr.Request | None) -> str | None:
    """The name of the visitor on the Hub, by `gr.LoginButton`; None where nobody signed in."""
    try:
        return request.request.session["oauth_info"]["userinfo"]["preferred_username"]
    except (AttributeError, AssertionError, KeyError, TypeError):  # no session: signing in is not set up here
        return None
