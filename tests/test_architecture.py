"""Imports run one way: app -> ui -> editing -> cocktail, and inside cocktail from right to left of ORDER."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ORDER = ["errors", "seeds", "words", "options", "hardware", "ops", "parallel", "images", "pictures", "networks", "gan",
         "domains", "sources", "checkpoints", "export", "metrics", "training", "warmstart", "methods", "recipe",
         "teachers", "preflight", "runs", "commands"]  # fmt: skip
HOUSE = ["cocktail", "editing", "ui", "app"]
ENGINE_NEEDS = {"torch", "filelock", "numpy", "PIL", "safetensors", "scipy", "sklearn", "yaml", "cocktail"}
OUTSIDE = {ROOT / "cocktail" / "__main__.py", ROOT / "cocktail" / "__init__.py"}


def python_files(folder):
    return sorted((ROOT / folder).rglob("*.py"))


def imports(source, top_level_only=False):
    """Yields (line, module) for every import; `from a import b` counts as a.b, which may be a module or a name in a."""
    tree = ast.parse(source)
    inside = {id(n) for f in ast.walk(tree) if isinstance(f, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
              for n in ast.walk(f)}  # fmt: skip
    for node in ast.walk(tree):
        if top_level_only and id(node) in inside:
            continue
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.lineno, "." * node.level + f"{node.module or ''}.{alias.name}") for alias in node.names)


def engine_faults(part, source):
    """What a file of cocktail/<part> imports that does not lie to its left."""
    rank = ORDER.index(part)
    for line, module in imports(source):
        names = module.split(".")
        if module.startswith("."):
            yield f"line {line}: relative import {module}"
        elif names[0] in HOUSE[1:]:
            yield f"line {line}: {part} imports {module}"
        elif names[0] == "cocktail" and (len(names) < 2 or names[1] not in ORDER):
            yield f"line {line}: {part} imports {module}, which is no module of the engine"
        elif names[0] == "cocktail" and names[1] != part and ORDER.index(names[1]) > rank:
            yield f"line {line}: {part} imports {names[1]}, which lies to its right"


def engine_files():
    return [path for path in python_files("cocktail") if path not in OUTSIDE]


def part_of(path):
    return path.relative_to(ROOT / "cocktail").parts[0].removesuffix(".py")


def name(path):
    return str(path.relative_to(ROOT))


def test_every_part_of_the_engine_has_its_place_in_the_order():
    assert {part_of(path) for path in engine_files()} <= set(ORDER)
    assert len(engine_files()) > 10


@pytest.mark.parametrize("path", engine_files(), ids=name)
def test_the_engine_imports_from_the_left_only(path):
    assert list(engine_faults(part_of(path), path.read_text())) == []


@pytest.mark.parametrize("path", engine_files(), ids=name)
def test_the_engine_needs_few_packages_at_the_top(path):
    allowed = ENGINE_NEEDS | set(sys.stdlib_module_names)
    assert [m for _, m in imports(path.read_text(), top_level_only=True) if m.split(".")[0] not in allowed] == []


@pytest.mark.parametrize("path", python_files("editing") + python_files("ui"), ids=name)
def test_editing_and_ui_import_from_the_left_only(path):
    own = path.relative_to(ROOT).parts[0]
    right = HOUSE[HOUSE.index(own) + 1 :] + (["gradio"] if own == "editing" else [])
    found = [module for _, module in imports(path.read_text())]
    assert [m for m in found if m.startswith(".") or m.split(".")[0] in right] == []


@pytest.mark.parametrize(
    "part, source, faulty",
    [
        ("gan", "from cocktail.networks import architecture_of", False),
        ("gan", "from cocktail import sources", True),
        ("gan", "import cocktail.training", True),
        ("gan", "def f():\n    from cocktail.runs import start", True),
        ("gan", "from cocktail import Gan", True),
        ("gan", "import cocktail", True),
        ("gan", "from .images import resize", True),
        ("gan", "from ui import base", True),
        ("runs", "from cocktail.recipe import Recipe\nimport torch", False),
        ("checkpoints", "from cocktail.checkpoints import native", False),
    ],
)
def test_the_rule_sees_what_it_should(part, source, faulty):
    assert bool(list(engine_faults(part, source))) == faulty


def test_the_engine_runs_where_there_is_no_gradio():
    script = (
        "import sys\n"
        "for name in ('gradio', 'huggingface_hub', 'plotly', 'onnxruntime', 'accelerate', 'scipy.ndimage', 'tqdm'):\n"
        "    sys.modules[name] = None\n"
        "import cocktail, cocktail.__main__, cocktail.metrics, cocktail.training, cocktail.runs\n"
        "assert cocktail.domains.names()\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
