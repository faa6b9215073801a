"""A model to the Hugging Face Hub, from the page."""

import html
import os

import gradio as gr

from cocktail.checkpoints import modelcard
from cocktail.checkpoints.push import push_to_hub
from cocktail.errors import CocktailError
from ui import base
from ui.models import Loaded, Models
from ui.space import SPACE

OAUTH = "OAUTH_CLIENT_ID"  # set on a Space whose front matter says hf_oauth: true
HOME = "In the name of whoever is signed in on this machine (hf auth login, or HF_TOKEN)."
SIGNED = "In your name, after signing in; of your models only those pushed from here can be changed."


def build(page: base.Page, ref: gr.State) -> None:
    """The block: name, private or not, button, and what came of it.

    ref: its value is the model to push. On a Space each visitor signs in and pushes as themselves; a page that is
    public elsewhere, or where signing in is not set up, has no such block.
    """
    on_space = SPACE in os.environ and OAUTH in os.environ
    if page.models.public and not on_space:
        return
    with gr.Accordion("Push to the Hub", open=False, elem_id="push", elem_classes="more"):
        if on_space:
            gr.LoginButton("Sign in to push", elem_id="push-sign-in")
        with gr.Row(elem_classes="joined"):
            name = gr.Textbox(label="Name on the Hub", placeholder="me/my-union", max_lines=1, elem_id="push-name",
                              info=SIGNED if on_space else HOME, scale=4, min_width=220)  # fmt: skip
            private = gr.Checkbox(label="Private", elem_id="push-private", scale=0, min_width=110)
            go = gr.Button("Push", elem_id="push-go", min_width=90)
        said = gr.HTML("", elem_id="push-said", elem_classes="told", apply_default_css=False, js_on_load=None)
    models = page.models

    def send(ref: str, repo: str, alone: bool, token: gr.OAuthToken | None) -> str:
        return push_as(models, ref, repo, alone, token.token if token else None)

    spinning = base.SILENT | {"concurrency_id": base.DEVICE, "show_progress": "minimal", "show_progress_on": go}
    gr.on([go.click, name.submit], base.polite(send), [ref, name, private], said, **spinning)


def push_as(models: Models, ref: str, repo: str, private: bool, token: str | None) -> str:
    """Pushes a model of the page in the name of a visitor, whose token it is.

    Raises: CocktailError where the page is public and the visitor did not sign in, or as `push`.
    """
    if models.public and not token:  # never with the token of whoever runs the page
        raise CocktailError("Sign in to push a model to the Hub in your name.")
    return push(models.get(ref), repo, private, token)


def push(loaded: Loaded, repo: str, private: bool = False, token: str | None = None) -> str:
    """Pushes a model and says where it is, under which licence, and what the licences of its sources ask, as HTML.

    Raises: CocktailError where the name is none, nobody is signed in, or the Hub refuses.
    """
    if not (repo or "").strip():
        raise CocktailError("The name is empty. Type where to push the model: your name, a slash, the model's name.")
    url = push_to_hub(loaded.gan, repo.strip(), private, token)
    card = loaded.gan.card
    warnings = "".join(f"<li>{html.escape(text)}</li>" for text in modelcard.inherited(card).warnings)
    return (
        f'<p>{html.escape(loaded.title)} is at <a href="{html.escape(url, quote=True)}" target="_blank" '
        f'rel="noopener">{html.escape(url)}</a>, licence {html.escape(modelcard.licence(card) or "unknown")}.</p>'
        + (f"<p>Licences of the sources:</p><ul>{warnings}</ul>" if warnings else "")
    )
