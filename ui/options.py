"""A form made from a config dataclass: one field per option, nested configs as groups that fold."""

import dataclasses
from typing import Any, get_args, get_origin, get_type_hints

import gradio as gr

from cocktail.recipe import build as build_config
from ui import base

TEMPLATE = '<div class="options"></div>'
LABELS = {"": "Method", "root": "Rooting", "warm": "Fitting", "merge": "Merging"}  # stages in the order of a run
BUDGET = {"root.total_kimg": "Rooting", "warm.stage_kimg": "Fitting", "merge.total_kimg": "Merging"}


def component(elem_id: str) -> gr.HTML:
    """The form; its value is what `value` makes, its `changes` are made in the browser (event `input`)."""
    return gr.HTML({"groups": [], "changes": {}}, html_template=TEMPLATE, js_on_load=base.script("options.js"),
                   elem_id=elem_id, apply_default_css=False)  # fmt: skip


def value(config: Any) -> dict:
    """The form of a config: its budget in sight, everything else in groups; nothing is changed yet."""
    groups = _groups(config)
    known = {field["path"]: field for group in groups for field in group["fields"]}
    budget = [known[path] | {"label": label} for path, label in BUDGET.items() if path in known]
    for group in groups:
        group["fields"] = [field for field in group["fields"] if field["path"] not in BUDGET]
    return {"budget": budget, "groups": groups, "changes": {}}


def changed(config: Any, changes: dict[str, Any]) -> Any:
    """The config with changes {"merge.batch": 16}; texts of lists are read.

    Raises: CocktailError that names the field, as `cocktail.recipe.build`.
    """
    data: dict[str, Any] = {}
    for path, entry in changes.items():
        *outer, name = path.split(".")
        node, owner = data, config
        for part in outer:
            node, owner = node.setdefault(part, {}), getattr(owner, part)
        node[name] = _read(get_type_hints(type(owner)).get(name), entry)
    return build_config(type(config), data, "options", config)


def _groups(config: Any) -> list[dict]:
    """The fields that belong to the config itself, then one group for each config inside it, in the order of a run."""
    own, nested, order = [], [], list(LABELS)
    for item in sorted(dataclasses.fields(config), key=lambda f: order.index(f.name) if f.name in order else 0):
        entry = getattr(config, item.name)
        if dataclasses.is_dataclass(entry):
            fields = [_field(f, getattr(entry, f.name), f"{item.name}.{f.name}", type(entry))
                      for f in dataclasses.fields(entry) if f.name != "seed"]  # fmt: skip
            title = LABELS.get(item.name, item.name)
            nested.append({"title": title, "help": item.metadata.get("help", ""), "fields": fields})
        else:
            own.append(_field(item, entry, item.name, type(config)))
    return [{"title": LABELS[""], "help": "", "fields": own}, *nested]


def _field(item: dataclasses.Field, entry: Any, path: str, owner: type) -> dict:
    hint = get_type_hints(owner)[item.name]
    kind = {bool: "check", int: "whole", float: "number"}.get(hint, "text")
    return {
        "path": path, "label": item.name.replace("_", " "), "help": item.metadata.get("help", ""),
        "kind": "choice" if "choices" in item.metadata else kind,
        "value": ", ".join(map(_shown, entry)) if isinstance(entry, tuple) else entry,
        "min": item.metadata.get("min"), "max": item.metadata.get("max"),
        "choices": list(item.metadata.get("choices", ())),
    }  # fmt: skip


def _shown(entry: float | str) -> str:
    return entry if isinstance(entry, str) else f"{entry:g}"


def _read(hint: Any, entry: Any) -> Any:
    """What was typed, as the field wants it; what cannot be read stays as it is, and `build` says so."""
    try:
        if get_origin(hint) is tuple:
            return [get_args(hint)[0](part.strip()) for part in str(entry).replace(";", ",").split(",") if part.strip()]
        if hint is int:
            return int(entry) if float(entry) == int(float(entry)) else float(entry)
        return float(entry) if hint is float else entry
    except (TypeError, ValueError):
        return entry
