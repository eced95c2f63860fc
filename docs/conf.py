"""Settings of the documentation site, which `scripts/docs.py` builds."""

import sys
from importlib.metadata import version as installed_version
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "docs" / "ext"))

project = "nmfaudio"
author = "The nmfaudio authors"
version = release = installed_version("nmfaudio")
extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx_gallery.gen_gallery",
    "command_pages",
    "gallery_outputs",
    "listening",
    "mathml",
    "pictures",
    "root_pages",
    "separator_options",
]
templates_path = ["templates"]
exclude_patterns = ["ext", "static", "templates"]

highlight_language = "text"  # of blocks that name no language

# MyST: the headings of a page are targets of links (`page.md#a-heading`), and formulas stand between dollars.
myst_heading_anchors = 4
myst_enable_extensions = ["dollarmath", "deflist", "colon_fence"]

default_role = "code"  # a word between single backticks in a docstring
autosummary_generate = True
autodoc_typehints = "none"  # numpydoc's sections name the types
numpydoc_show_class_members = False

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "gallery",
    "filename_pattern": r"\.py$",
    "image_scrapers": ("gallery_outputs.written_files",),
    "reset_argv": "gallery_outputs.arguments",
    "reset_modules": (),
    "default_thumb_file": str(ROOT / "examples" / "components.png"),
    "abort_on_example_error": True,
    "download_all_examples": False,
    "show_signature": False,
    "show_memory": False,
    "write_computation_times": False,
    "min_reported_time": 3600,  # the time depends on the machine: no page shows it
}

html_theme = "pydata_sphinx_theme"
html_title = "nmfaudio"
html_favicon = "static/icon.svg"
html_static_path = ["static"]
html_extra_path = ["../build/site_extra"]  # sounds, which the build makes
(ROOT / "build" / "site_extra").mkdir(parents=True, exist_ok=True)
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


def skip_metadata_requests(app, what, name, member, skip, options):
    """Leave out the methods that scikit-learn adds to every estimator: their text links to its own site."""
    return True if name.startswith("set_") and name.endswith("_request") else None


def setup(app):
    """Connect what the settings above cannot say."""
    app.connect("autodoc-skip-member", skip_metadata_requests)
