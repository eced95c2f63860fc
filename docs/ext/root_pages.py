"""Links to files in the root of the repository lead to their pages of the site."""

import re

from sphinx.application import Sphinx

PAGES = {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changes.md"}
LINK = re.compile(r"\]\(((?:\.\./)+)(" + "|".join(map(re.escape, PAGES)) + r")(#[\w-]+)?\)")


def point_to_pages(app: Sphinx, page: str, source: list[str]) -> None:
    """Replace links such as `../CONTRIBUTING.md` in the text of a page."""
    up = "../" * page.count("/")
    source[0] = LINK.sub(lambda link: f"]({up}{PAGES[link[2]]}{link[3] or ''})", source[0])


def setup(app: Sphinx) -> dict[str, bool]:
    """Read each page through the replacement."""
    app.connect("source-read", point_to_pages)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
