"""The tab of all models: their cards, and the doors through which others come in."""

from ui import base, cards, downloads, exporting, importing, opening


@base.tab("Library", order=90)
def build(page: base.Page) -> None:
    models = page.models
    share = exporting.panel(page)
    doors = None if models.public else importing.doors()
    if doors:
        downloads.block(page, share)
    shown = cards.component("library")

    def show(opened: list[str]) -> str:
        return cards.gallery(models, [*opened, *models.refs()])

    # Cards load every model, so they are made when somebody looks.
    page.tabs.select(base.polite(show), page.opened, shown, **base.NEWEST)
    opening.connect(page, shown, share)
    exporting.connect(page, share)
    if doors:
        importing.connect(page, doors, shown, share, show)
