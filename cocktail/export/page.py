"""A model as a page without a server: it samples, interpolates and mixes in the browser, also with the network off.

Model and runtime are written into scripts, since a page that was opened from a disk may not fetch files.
"""

import base64
import gzip
import html
import json
from pathlib import Path
from string import Template

import yaml

from cocktail.checkpoints import ASSETS, licences, write_atomically, write_text
from cocktail.errors import CocktailError
from cocktail.export import compress
from cocktail.export.onnx_files import MAPPING, SYNTHESIS, check, compare, describe, models
from cocktail.gan import Gan

WEB = ASSETS / "web"
COPIED = ("style.css", "seeds.js", "engine.js", "pictures.js", "app.js", "vendor/ort.wasm.min.js", "vendor/LICENSE",
          "vendor/ThirdPartyNotices.txt")  # fmt: skip
GLUE, WASM = "vendor/ort-wasm-simd-threaded.mjs", "vendor/ort-wasm-simd-threaded.wasm.gz"
MAX_MODEL_BYTES = 200_000_000  # of the two ONNX files; a browser holds them several times
README = """---
{front}---

# {title}

A generator that draws in the browser: open `index.html`, here or from a disk. No server is needed, and nothing is sent
anywhere. Made with GAN Cocktail Studio; the pictures are drawn by onnxruntime-web (`vendor/`, MIT licence).
"""


def to_page(gan: Gan, folder: str | Path, *, fp16: bool = False) -> dict:
    """Writes the page into a folder, which is made if needed: for any static host, or to be opened from a disk.

    fp16: weights in half precision, half the size. Returns {"folder", "bytes", "difference"}: the largest difference of
    its pictures from PyTorch's, in [-1, 1].

    Raises: CocktailError as `to_onnx`, or where the model is too large for a browser.
    """
    folder = Path(folder).expanduser()
    if folder.exists() and not folder.is_dir():
        raise CocktailError(f"{folder} is a file; name a folder for the page.")
    files = models(gan, (MAPPING, SYNTHESIS))
    if fp16:
        files = {name: compress.to_fp16(data) for name, data in files.items()}
    size = sum(map(len, files.values()))
    if size > MAX_MODEL_BYTES:
        raise CocktailError(f"the model has {size:,} bytes; a page holds at most {MAX_MODEL_BYTES:,}. Try --fp16.")
    found = compare(gan, files)
    if not fp16:
        check(found)
    for name in COPIED:
        data = (WEB / name).read_bytes()
        write_atomically(folder / name, lambda partial, data=data: partial.write_bytes(data))
    texts = _texts(gan) | _scripts(gan, files)
    for name, text in texts.items():
        write_text(folder / name, text)
    written = {*COPIED, *texts}
    total = sum((folder / name).stat().st_size for name in written)
    return {"folder": str(folder), "bytes": total, "difference": found[SYNTHESIS][0]}


def _scripts(gan: Gan, files: dict[str, bytes]) -> dict[str, str]:
    """The runtime and the model as scripts that set one variable each."""
    runtime = {"glue": (WEB / GLUE).read_text(encoding="utf-8"), "wasm": _base64((WEB / WASM).read_bytes())}
    model = {"info": describe(gan), "mapping": _packed(files[MAPPING]), "synthesis": _packed(files[SYNTHESIS])}
    return {
        "runtime.js": f"window.COCKTAIL_RUNTIME = {json.dumps(runtime)};\n",
        "model.js": f"window.COCKTAIL_MODEL = {json.dumps(model)};\n",
    }


def _texts(gan: Gan) -> dict[str, str]:
    """index.html, and the README that makes the folder a static Space."""
    title = " ".join(str(gan.card.get("title") or "A GAN in the browser").split())
    licence = str(gan.card.get("licence") or "").strip()
    footer = f"Licence: {html.escape(licence)}. " if licence else ""
    footer += 'Drawn by onnxruntime-web (<a href="vendor/LICENSE">MIT licence</a>). Nothing leaves this page.'
    page = Template((WEB / "index.html").read_text(encoding="utf-8"))
    front = {"title": title, "emoji": "🍸", "colorFrom": "green", "colorTo": "indigo", "sdk": "static"}
    front |= licences.front_matter(licence)
    said = yaml.safe_dump(front, sort_keys=False, allow_unicode=True)
    return {"index.html": page.substitute(title=html.escape(title), footer=footer),
            "README.md": README.format(front=said, title=title)}  # fmt: skip


def _packed(data: bytes) -> str:
    return _base64(gzip.compress(data, compresslevel=9, mtime=0))


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
