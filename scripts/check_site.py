"""Open the pages of the built site in Chromium: ``python scripts/check_site.py [PAGE ...]``.

Each page must load without an error in the console and without a request to another host, be no wider than
a telephone (360 px), and have a dark background where the system asks for one. ``--pictures FOLDER`` also
stores each page as it looks in both widths and colour schemes. Needs the package playwright and the program
chromium.
"""

import argparse
import functools
import http.server
import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
SITE = ROOT / "build" / "site"
SIZES = ({"width": 360, "height": 740}, {"width": 1280, "height": 900})
SCHEMES = ("light", "dark")
OVERFLOW = "document.scrollingElement.scrollWidth - document.documentElement.clientWidth"
CUT_OFF = """[...document.querySelectorAll("article h1, article h2, article h3, article p, article li")]
    .filter(part => part.clientWidth > 0 && part.scrollWidth > part.clientWidth + 1)
    .map(part => part.textContent.trim().slice(0, 40))"""
BACKGROUND = "getComputedStyle(document.body).backgroundColor.match(/[0-9.]+/g).slice(0, 3).map(Number)"
MIDDLE_GREY = 128
LARGEST_SOUNDS = 10_000_000  # bytes of all sounds of the site
NO_TRANSITIONS = "*, *::before, *::after { transition: none !important; }"


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    """Serves files without a line for each."""

    def log_message(self, format: str, *values: Any) -> None:
        """Print nothing."""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder on this machine alone, and yield its address."""
    handler = functools.partial(QuietHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()


def faults_of(page: Any, address: str, name: str, pictures: Path | None) -> Iterator[str]:
    """Open one page, look at it in both widths and colour schemes, and yield what is wrong with it."""
    messages: list[str] = []
    listen(page, address, messages)
    page.set_viewport_size(SIZES[0])
    page.goto(address + name)
    page.add_style_tag(content=NO_TRANSITIONS)
    for size in SIZES:
        page.set_viewport_size(size)
        for scheme in SCHEMES:
            page.emulate_media(color_scheme=scheme)
            page.wait_for_function("scheme => document.documentElement.dataset.theme == scheme", arg=scheme)
            if (excess := page.evaluate(OVERFLOW)) > 0:
                yield f"{excess} px wider than {size['width']} px"
            yield from (f"cut off at {size['width']} px: {text}" for text in page.evaluate(CUT_OFF))
            is_dark = sum(page.evaluate(BACKGROUND)) / 3 < MIDDLE_GREY
            if is_dark != (scheme == "dark"):
                yield f"the background is {'dark' if is_dark else 'light'} in the scheme {scheme}"
            if pictures:
                label = f"{name.replace('/', '_')}-{size['width']}-{scheme}.png"
                page.screenshot(path=pictures / label)
    yield from dict.fromkeys(messages)


def listen(page: Any, address: str, messages: list[str]) -> None:
    """Gather what goes wrong while a page loads."""

    def tell_console(line: Any) -> None:
        if line.type == "error":
            messages.append(f"console: {line.text}")

    def tell_request(request: Any) -> None:
        if not is_own(request.url, address):
            messages.append(f"asks {request.url}")

    page.on("console", tell_console)
    page.on("request", tell_request)
    page.on("pageerror", lambda error: messages.append(f"script: {error}"))
    page.on("requestfailed", lambda request: messages.append(f"not loaded: {request.url}"))


def is_own(url: str, address: str) -> bool:
    """Whether a request stays within the site."""
    return url.startswith((address, "data:", "blob:"))


def check(names: list[str], pictures: Path | None) -> int:
    """Open pages, print the faults and return how many there are."""
    from playwright.sync_api import sync_playwright

    count = 0
    with served(SITE) as address, sync_playwright() as playwright:
        program = shutil.which("chromium") or shutil.which("chromium-browser")
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        for name in names:
            page = browser.new_page()
            for fault in dict.fromkeys(faults_of(page, address, name, pictures)):
                print(f"{name}: {fault}")
                count += 1
            page.close()
        browser.close()
    return count


def main() -> int:
    """Check the pages that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pages", nargs="*")
    parser.add_argument("--pictures", type=Path)
    arguments = parser.parse_args()
    if not (shutil.which("chromium") or shutil.which("chromium-browser")):
        print("the pages were not opened: the program chromium is not installed")
        return 0
    if arguments.pictures:
        arguments.pictures.mkdir(parents=True, exist_ok=True)
    names = arguments.pages or sorted(path.relative_to(SITE).as_posix() for path in SITE.rglob("*.html"))
    faults = check([name for name in names if not name.startswith("_static/")], arguments.pictures)
    if (size := sum(path.stat().st_size for path in SITE.rglob("*.ogg"))) > LARGEST_SOUNDS:
        print(f"the sounds take {size / 1e6:.1f} MB: at most {LARGEST_SOUNDS / 1e6:.0f}")
        faults += 1
    print(f"{len(names)} pages opened, {faults} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
