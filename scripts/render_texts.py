"""Make pages of the texts of docs/, which a browser shows without a network."""

import os
from pathlib import Path

from scoredag import job
from scoredag.errors import InputError
from scoredag.figures import text_page
from scoredag.store import files


def render_texts(texts_paths: list[str], images_paths: list[str], pages_paths: list[str], elsewhere: str) -> None:
    """Write a page for each text; `images_paths` lie beside the texts, which are as `elsewhere` says from the pages."""
    names = {Path(path).stem for path in texts_paths}
    for text, page in zip(texts_paths, pages_paths, strict=True):
        try:
            html = text_page.page(Path(text).read_text(encoding="utf-8"), os.path.dirname(text), names, elsewhere)
        except (OSError, ValueError) as error:
            raise InputError(f"{text}: {error}") from error
        with files.replacing(page) as partial:
            partial.write_text(html, encoding="utf-8")


if __name__ == "__main__":
    job.run(render_texts)
