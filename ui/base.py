"""The frame of the page: header, tabs, shelf; and how a tab joins it."""

import base64
import functools
import html
import inspect
import logging
import random
import re
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import gradio as gr

from cocktail.errors import CocktailError
from ui import colours, sharing
from ui.models import Models, describe_device, short_name

ASSETS = Path(__file__).parents[1] / "assets"
DEVICE = "device"  # the concurrency_id of every event that runs a model: one at a time
# Options of events: hidden from the API and without a spinner; run one at a time on the device; of those that wait only
# the newest runs.
SILENT = {"api_visibility": "private", "show_progress": "hidden"}
QUIET = SILENT | {"concurrency_id": DEVICE}
NEWEST = QUIET | {"trigger_mode": "always_last"}
BYTES = "application/octet-stream"  # the media type of files that no program is known for
LOG = logging.getLogger("studio")
BRAND = """<div class="brand"><svg viewBox="0 0 32 32" width="28" height="28" aria-hidden="true">
<circle class="m1" cx="12" cy="12.5" r="8.5"/><circle class="m2" cx="20" cy="12.5" r="8.5"/>
<circle class="m3" cx="16" cy="19.5" r="8.5"/></svg><h1>GAN Cocktail <span>Studio</span></h1></div>"""
APPEARANCE = """<button type="button" class="appearance" aria-label="Dark theme" title="Light or dark"></button>"""


@dataclass(frozen=True)
class Page:
    """What the tabs share."""

    models: Models
    blocks: gr.Blocks
    tabs: gr.Tabs
    model: gr.Dropdown  # its value is a reference, or None where there is no model
    opened: gr.State  # list of references that this visitor opened in the Library
    visitor: gr.BrowserState  # the key of the visitor's shelf
    shelf: gr.HTML
    deliver: gr.HTML  # a value set here is saved as a file by the browser
    shared: dict = field(default_factory=dict)  # components of one tab that another one sets, by elem_id
    tab: gr.Tab | None = None  # the one that is being built


@dataclass(frozen=True)
class Tab:
    name: str
    order: int
    build: Callable[[Page], None]


TABS: list[Tab] = []


def tab(name: str, order: int) -> Callable[[Callable[[Page], None]], Callable[[Page], None]]:
    """Registers a function that fills a tab; the lowest order is the tab that opens first."""

    def register(build_tab: Callable[[Page], None]) -> Callable[[Page], None]:
        TABS.append(Tab(name, order, build_tab))
        TABS.sort(key=lambda entry: entry.order)
        return build_tab

    return register


def tab_id(name: str) -> str:
    return name.lower()


def head() -> str:
    """The style sheet for the page's head: `css` of launch() would take its selectors apart at every comma.

    And a script that must be there before Gradio asks for anything.
    """
    style, wake = ((ASSETS / name).read_text(encoding="utf-8") for name in ("style.css", "wake.js"))
    return f"<style>{style}</style><script>{wake}</script>"


def script(name: str) -> str:
    """The JavaScript of a component, from assets/, with what the components share before it."""
    return "\n".join((ASSETS / part).read_text(encoding="utf-8") for part in ("common.js", name))


def polite(handler: Callable) -> Callable:
    """Wraps an event handler so that what goes wrong becomes a notice; the page keeps what it shows."""

    @functools.wraps(handler)
    def plain(*args):
        sharing.apply()
        try:
            return handler(*args)
        except Exception as error:
            raise _notice(error) from error

    @functools.wraps(handler)
    def stream(*args):
        sharing.apply()
        try:
            yield from handler(*args)
        except Exception as error:
            raise _notice(error) from error

    return stream if inspect.isgeneratorfunction(handler) else plain


def _notice(error: Exception) -> gr.Error:
    if isinstance(error, gr.Error):
        return error
    if isinstance(error, CocktailError):
        # The browser renders a notice as HTML, and the text may quote what somebody typed or a file holds.
        return gr.Error(html.escape(str(error)), print_exception=False)
    LOG.exception("a handler failed")
    return gr.Error("A fault of this program, noted in its log. The page is unchanged.", print_exception=False)


class Returning:
    """Goes through a generator's steps and keeps, as `value`, what it returns at the end."""

    def __init__(self, steps: Generator) -> None:
        self._steps, self.value = steps, None

    def __iter__(self) -> Iterator:
        self.value = yield from self._steps


def at_first(values: dict, states: Iterable[dict]) -> Iterator[dict]:
    """The states of an event's outputs, the first of them with other values too, which are sent once."""
    for state in states:
        yield values | state
        values = {}


def delivery(name: str, data: bytes, kind: str) -> dict:
    """A value of the page's `deliver` component: the browser saves the bytes, of that media type, under that name."""
    return {"name": name, "data": base64.b64encode(data).decode(), "kind": kind, "nonce": random.random()}


def file_stem(ref: str) -> str:
    """A reference as the beginning of a file's name."""
    return re.sub(r"[^\w.+-]+", "-", short_name(ref)).strip(".-") or "model"


def data_uri(data: bytes, kind: str) -> str:
    """Bytes of a media type as an address that holds them."""
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def build(models: Models) -> gr.Blocks:
    """The whole page, not launched yet."""
    from ui import run_actions, shelf  # they need Page and polite from here

    with gr.Blocks(
        title="GAN Cocktail Studio", analytics_enabled=False, fill_width=True, delete_cache=(3600, 86400)
    ) as blocks:
        visitor = gr.BrowserState("", storage_key="cocktail-visitor")
        opened = gr.State([])
        with gr.Row(elem_id="topbar"):
            gr.HTML(BRAND, elem_id="brand", js_on_load=None, apply_default_css=False)
            model = gr.Dropdown(_choices(models.refs()), value=_first(models), label="Model", elem_id="model",
                                interactive=True, filterable=False, min_width=220, scale=0)  # fmt: skip
            about = gr.HTML(_about(models, _first(models)), elem_id="about", apply_default_css=False, js_on_load=None)
            run_actions.chip()
            gr.HTML(APPEARANCE, elem_id="appearance", js_on_load=script("page.js"), apply_default_css=False)
        deliver = gr.HTML(None, html_template="", js_on_load=script("deliver.js"), elem_id="deliver", visible="hidden")
        wake = gr.Button("Wake", elem_id="wake", visible="hidden")
        wake.click(lambda _: None, wake, trigger_mode="multiple", **SILENT)  # what for: assets/wake.js
        strip = shelf.component()
        with gr.Tabs(elem_id="tabs", selected=tab_id(TABS[0].name)) as tabs:
            page = Page(models, blocks, tabs, model, opened, visitor, strip, deliver)
            for entry in TABS:
                with gr.Tab(entry.name, id=tab_id(entry.name), elem_id=f"tab-{tab_id(entry.name)}") as own:
                    entry.build(replace(page, tab=own))
        strip.render()
        shelf.connect(page)
        model.change(polite(lambda ref: _about(models, ref)), model, about, **QUIET)
    return blocks


def choices(ref: str, known: list[str]) -> list[tuple[str, str]]:
    """The entries of the model list with one more reference in it."""
    return _choices(list(dict.fromkeys([*known, ref])))


def _choices(refs: list[str]) -> list[tuple[str, str]]:
    return [(short_name(ref), ref) for ref in refs]


def _first(models: Models) -> str | None:
    return next(iter(models.refs()), None)


def chips(names: tuple[str, ...]) -> str:
    """Class names as chips in their colours, at most twelve and then a count."""
    shown = [f'<li class="chip" style="{colours.style(name)}">{html.escape(name)}</li>' for name in names[:12]]
    more = f'<li class="chip plain">and {len(names) - 12} more</li>' if len(names) > 12 else ""
    return f'<ul class="chips" aria-label="Classes">{"".join(shown)}{more}</ul>' if names else ""


def _about(models: Models, ref: str | None) -> str:
    device = f'<span class="device">{html.escape(describe_device(models.device))}</span>'
    if not ref:
        return device
    try:
        names = models.get(ref).gan.classes
    except CocktailError:
        return device
    # The class buttons of the tabs take their colours from here: the n-th button is the n-th class.
    rules = "".join(
        f".by-class label:nth-of-type({i + 2}){{{colours.style(name)}}}" for i, name in enumerate(names[:200])
    )
    return f"<style>{rules}</style>{chips(names)}{device}"
