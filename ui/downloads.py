"""What is fetched on a click, with its progress: models of the Hub, and well-known ones of the zoo."""

import html
import queue
import threading
import time
from collections.abc import Callable, Iterator

import gradio as gr

from cocktail import words
from cocktail.checkpoints import hub, zoo
from cocktail.checkpoints.download import Report
from ui import access, base, cards, opening

EVERY_SEC = 0.5  # between two messages of progress
NOTE = (
    "Published by others and fetched from them when you press the button, never before; their licences are theirs. "
    "Nothing in the files is executed."
)


def block(page: base.Page, share: dict) -> None:
    """The list of well-known models, folded away."""
    with gr.Accordion("Well-known models, fetched by name", open=False, elem_id="library-zoo", elem_classes="more"):
        told = gr.HTML("", elem_id="zoo-told", elem_classes="told", js_on_load=None, apply_default_css=False)
        listed = cards.component("zoo-list")
    opening.connect(page, listed, share)

    def fetched(request: gr.Request, event: gr.EventData) -> Iterator[tuple]:
        if event._data.get("do") != "fetch":
            yield gr.skip(), gr.skip()
            return
        access.check(page.models, request)
        name = str(event._data.get("ref"))
        for line in during(f"Fetching {zoo.entry(name).title}", lambda report: zoo.fetch(name, report)):
            yield line, gr.skip()
        yield "", table()

    page.tabs.select(table, None, listed, **base.SILENT)
    listed.select(base.polite(fetched), None, [told, listed], **base.SILENT).failure(
        lambda: "", None, told, **base.SILENT
    )


def table() -> str:
    """The models of the zoo as HTML, with what can be done with each."""
    rows = "".join(
        f'<tr><th scope="row">{html.escape(entry.title)}</th><td>{entry.resolution} px</td>'
        f"<td>{html.escape(entry.format)}</td>"
        f'<td><a href="{html.escape(entry.licence_link, quote=True)}" target="_blank" rel="noopener">'
        f"{html.escape(entry.licence)}</a></td><td>{_buttons(entry)}</td></tr>"
        for entry in zoo.entries().values()
    )
    head = "".join(f'<th scope="col">{name}</th>' for name in ("Model", "Size", "Format", "Licence"))
    return f'<p class="help">{NOTE}</p><table class="zoo"><thead><tr>{head}<td></td></tr></thead>{rows}</table>'


def from_hub(ref: str) -> Iterator[str]:
    """Fetches a model of the Hub; yields its progress as HTML. Raises: CocktailError as `hub.fetch`."""
    yield from during(f"Fetching {ref}", lambda report: hub.fetch(ref, report=report))


def during(what: str, work: Callable[[Report], object]) -> Iterator[str]:
    """Runs work that reports bytes in a thread of its own; yields its progress as HTML until it ends.

    Raises: what the work raises.
    """
    said: queue.Queue = queue.Queue()

    def run() -> None:
        try:
            work(lambda done, total: said.put((done, total)))
            said.put(None)
        except BaseException as error:  # goes on in the thread that waits
            said.put(error)

    threading.Thread(target=run, daemon=True).start()
    yield f"<p>{html.escape(what)} …</p>"
    while True:
        found = _newest(said)
        if found is None:
            return
        if isinstance(found, BaseException):
            raise found
        done, total = found
        of = f" of {words.size(total)}" if total else ""
        yield f"<p>{html.escape(what)}: {words.size(done)}{of}</p>"


def _newest(said: queue.Queue) -> object:
    """Waits for a message, then a little, and takes the last one, or the one that ends it."""
    found = said.get()
    time.sleep(EVERY_SEC if isinstance(found, tuple) else 0)
    while isinstance(found, tuple) and not said.empty():
        found = said.get()
    return found


def _buttons(entry: zoo.Entry) -> str:
    known = entry.ref
    if not zoo.is_here(known):
        return cards.button(known, "fetch", "Fetch", entry.title)
    return cards.button(known, "open", "Open", entry.title) + cards.button(
        known, "merge", "Use in a merge", entry.title
    )
