"""Starts the studio; also the entry point of a Hugging Face Space.

    python app.py [--model REF] [--public]

GRADIO_SERVER_NAME and GRADIO_SERVER_PORT choose the address; without them it is the first free port from 7860 on.
COCKTAIL_MAX_UPLOAD is the largest file that a visitor may upload, such as 500mb: 2gb, on a public page 20mb.
"""

import argparse
import contextlib
import os
import sys

# Before gradio and torch are imported: no statistics sent anywhere, and no more threads than cores.
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")


def options(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="GAN Cocktail Studio, in the browser.")
    parser.add_argument("--model", metavar="REF", help="model to open first: bundled/NAME, folder, .safetensors file")
    parser.add_argument("--public", action="store_true", default="SPACE_ID" in os.environ,
                        help="for strangers: opens no path on this disk (the default on a Space)")  # fmt: skip
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    chosen = options(arguments)
    if os.environ.get("SPACES_ZERO_GPU"):
        with contextlib.suppress(ImportError):
            import spaces  # noqa: F401  (ZeroGPU wants it before torch)
    import torch

    import ui
    import ui.space
    from cocktail.errors import CocktailError
    from cocktail.hardware import available_threads
    from ui.base import ASSETS, head
    from ui.models import Models
    from ui.theme import Studio

    chosen.model = chosen.model or ui.space.model()
    torch.set_num_threads(available_threads())
    models = Models([chosen.model] if chosen.model else [], chosen.public)
    if chosen.model:
        try:
            models.get(chosen.model)
        except CocktailError as error:
            print(f"error: {error}", file=sys.stderr)
            return 2
    blocks = ui.build(models)
    blocks.queue(default_concurrency_limit=1, api_open=False, max_size=200)
    blocks.launch(
        theme=Studio(), head=head(), favicon_path=str(ASSETS / "favicon.svg"), footer_links=[],
        share=False, run_history=False, enable_monitoring=False, strict_cors=True, show_error=False, ssr_mode=False,
        mcp_server=False, pwa=False, quiet=True,
        max_file_size=os.environ.get("COCKTAIL_MAX_UPLOAD") or ("20mb" if chosen.public else "2gb"),
        prevent_thread_lock=True,
    )  # fmt: skip
    print(f"GAN Cocktail Studio: {blocks.local_url}  (Ctrl+C ends it)", flush=True)
    blocks.block_thread()
    return 0


if __name__ == "__main__":
    sys.exit(main())
