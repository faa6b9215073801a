"""A model for places without this program: ONNX files, and a page that draws in the browser."""

from cocktail.export.onnx_files import Exported, to_onnx
from cocktail.export.page import to_page

__all__ = ["Exported", "to_onnx", "to_page"]
