"""Settings of the documentation site, which `scripts/docs.py` builds."""

import sys
from importlib.metadata import version as installed_version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "ext"))

project = "nmfaudio"
author = "The nmfaudio authors"
version = release = installed_version("nmfaudio")
extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "mathml",
    "root_pages",
]
exclude_patterns = ["ext", "static", "**/README.md"]

# MyST: the headings of a page are targets of links (`page.md#a-heading`), and formulas stand between dollars.
myst_heading_anchors = 4
myst_enable_extensions = ["dollarmath", "deflist", "colon_fence"]

autosummary_generate = True
autodoc_typehints = "none"  # numpydoc's sections name the types
numpydoc_show_class_members = False

html_theme = "pydata_sphinx_theme"
html_title = "nmfaudio"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "show_prev_next": False,
    "navigation_with_keys": False,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
}
html_context = {"default_mode": "auto"}
html_math_renderer = "mathml"
