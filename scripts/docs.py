"""Build the documentation site: ``python3 scripts/docs.py [SPHINX OPTIONS]``.

The first run sets up ``.venv`` with what the build needs. The site is written to ``build/site``; open
``build/site/index.html`` in a browser. A warning of the build, such as a link that leads nowhere, is an
error. The build uses no network, and neither do the pages. The sounds and the examples are made once;
``--fresh`` in front of all other options makes them again, as after a change of a separator.
"""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - an older Python reads this far, and says so
    sys.exit(
        "nmfaudio needs Python 3.11 or newer, and this is "
        f"{sys.version_info[0]}.{sys.version_info[1]}.\n"
        "Install a newer one and name it, for example: python3.12 scripts/docs.py"
    )

import shutil

import environment

SITE = "build/site"
# What the build writes among the pages.
PAGES = ["docs/gallery", "docs/reference/api", "docs/reference/commands", "docs/pictures/made"]
MADE = [SITE, "build/site_cache", "build/site_extra", *PAGES]
BUILD = ["sphinx", "-b", "html", "-d", "build/site_cache", "--fail-on-warning", "--keep-going", "-q"]


def main() -> int:
    """Set up what is missing, build the site and return the exit code of the build."""
    options = sys.argv[1:]
    if options[:1] == ["--fresh"]:
        del options[0]
        for folder in MADE:
            shutil.rmtree(environment.ROOT / folder, ignore_errors=True)
    python = environment.prepare_or_exit(extras=["docs"])
    code = environment.call([python, "-m", *BUILD, *options, "docs", SITE], environment.ROOT)
    if not code:
        print(f"written: {environment.ROOT / SITE / 'index.html'}")
    return code


if __name__ == "__main__":
    sys.exit(main())
