"""The page of a report in a real browser: Debian's Chromium, driven by playwright."""

import json
import shlex
import shutil
import tomllib
from dataclasses import replace

import numpy as np
import pytest
import soundfile
from conftest import sound
from test_report_command import call

from nmfaudio import Audio, Encoding, separate, separate_file
from nmfaudio.pipeline.component_sounds import in_memory, regrouped
from nmfaudio.report import sounds
from nmfaudio.report.document import Subject
from nmfaudio.report.making import write_report
from nmfaudio.separators.dictionary.hints import Hints, read_hints

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
sync_api = pytest.importorskip("playwright.sync_api", reason="the package playwright is not installed")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="the program chromium is not installed")

RATE, SECONDS = 8000, 1.5
HOSTILE = ('</script ><script>window.attacked = 1</script>"', "a=b\n'\u202egnp.\N{PILE OF POO}", "x" * 300)
LEAST_STEP = 2.0**-15  # of samples with 16 bits


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        options = ["--no-sandbox", "--autoplay-policy=no-user-gesture-required"]
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def subject():
    """Stems of 16 bits with names that no page may run, and their components."""
    samples = sound(SECONDS, channels=2)
    separation = separate(Audio(samples, RATE), "blind", sources=3, components=7, iterations=15)
    quantised = [np.rint(stem.samples * 2**15) / 2**15 for stem in separation.stems.values()]
    stems = {
        name: Audio(some, RATE, Encoding("WAV", "PCM_16"))
        for name, some in zip(HOSTILE, quantised, strict=True)
    }
    manifest = {
        "input": {"file": f"/music/{HOSTILE[0].replace('/', '')}.wav", "sha256": "0" * 64},
        "separator": "nmfaudio.separators.blind.separator:Blind",
        "options": {"note": HOSTILE[0]},
        "notes": [HOSTILE[0]],
        "warnings": [HOSTILE[1]],
    }
    scores = {name: {"SDR": 1.5, "SIR": float("nan")} for name in HOSTILE}
    components = replace(separation.components, sources=HOSTILE)
    return Subject(stems, components, manifest, "separated/it's", scores)


@pytest.fixture(scope="module")
def report_path(subject, tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_report(subject, path)
    return path


class Opened:
    """A page that is ready, with everything that it said and asked for."""

    def __init__(self, browser, path, **options):
        self.context = browser.new_context(accept_downloads=True, **options)
        self.tab = self.context.new_page()
        self.messages, self.requests = [], []
        self.tab.on("console", lambda message: self.messages.append(message.text))
        self.tab.on("pageerror", lambda error: self.messages.append(str(error)))
        self.tab.on("request", lambda request: self.requests.append(request.url))
        self.address = path.as_uri()
        self.tab.goto(self.address)
        self.tab.wait_for_selector("body[data-state=ready]")

    def run(self, script, argument=None):
        """Return what a script gives in the page; `page` and `player` are known to it."""
        body = (
            f"async (value) => {{ const {{ page }} = nmfaudioReport; const player = page.player; {script} }}"
        )
        return self.tab.evaluate(body, argument)

    def heard(self):
        """Return what playing from the start gives, shape (channels, samples)."""
        return np.array(
            self.run(
                "await page.update; const sound = await player.render();"
                "const channels = Array.from({ length: sound.numberOfChannels }, (_, c) => c);"
                "return channels.map((c) => Array.from(sound.getChannelData(c)))"
            )
        )

    def saved(self, button):
        """Return the text of the file that a button saves."""
        with self.tab.expect_download() as download:
            self.tab.click(f"text={button}")
        return download.value.path().read_text("utf-8")


@pytest.fixture
def opened(browser, report_path):
    page = Opened(browser, report_path)
    yield page
    page.context.close()
    assert page.messages == []
    assert page.requests == [page.address]


def test_names_are_text_that_cannot_run(opened):
    assert opened.run("return window.attacked") is None
    shown = opened.run("return Array.from(document.querySelectorAll('.stem-name'), (name) => name.value)")
    assert shown == [name.replace("\n", "") for name in HOSTILE]
    texts = opened.run(
        "return Array.from(document.querySelectorAll('#details li'), (item) => item.textContent)"
    )
    assert texts == [HOSTILE[1], HOSTILE[0]]
    assert (
        opened.run("return document.querySelectorAll('#stems script, #details script, h1 script').length")
        == 0
    )
    embedded = opened.run("return Object.keys(nmfaudioReport.report.sounds).length")
    assert opened.run("return document.scripts.length") == embedded + 2
    assert opened.tab.title() == HOSTILE[0].replace("/", "") + ".wav"


def test_the_policy_stops_foreign_scripts_and_requests(browser, report_path):
    page = Opened(browser, report_path)
    page.run(
        "const added = document.createElement('script'); added.textContent = 'window.attacked = 2';"
        "document.body.append(added);"
        "await fetch('https://example.org/').catch(() => {});"
    )
    assert page.run("return window.attacked") is None
    assert page.requests == [page.address]
    assert all("Content Security Policy" in message for message in page.messages)
    assert len(page.messages) >= 2
    page.context.close()


def test_a_soloed_stem_equals_the_stem(opened, subject):
    stems = [stem.samples for stem in subject.stems.values()]
    np.testing.assert_allclose(opened.heard(), sum(stems), atol=1e-7)
    for number, stem in enumerate(stems, 1):
        opened.tab.keyboard.press(str(number))
        np.testing.assert_array_equal(opened.heard(), stem)
    opened.tab.keyboard.press("0")
    opened.tab.click(".card:nth-child(2) .mute")
    np.testing.assert_allclose(opened.heard(), stems[0] + stems[2], atol=1e-7)


def test_it_plays_seeks_and_pauses(opened):
    opened.tab.keyboard.press("Space")
    opened.run("while (player.position < 0.2) await new Promise(requestAnimationFrame)")
    assert opened.run("return player.context.state") == "running"
    playing = opened.run("return Array.from(player.tracks.values(), (track) => track.source !== null)")
    assert playing == [True] * 3
    opened.tab.keyboard.press("Space")
    position = opened.run("return player.position")
    assert position >= 0.2
    assert opened.run("await new Promise((done) => setTimeout(done, 60)); return player.position") == position
    opened.tab.keyboard.press("Home")
    opened.tab.keyboard.press("Shift+ArrowRight")
    assert opened.run("return player.position") == pytest.approx(0.1)
    opened.tab.keyboard.press("ArrowRight")
    assert opened.run("return player.position") == SECONDS


def test_a_component_is_heard_alone(opened, subject):
    parts = subject.components.parts
    expected = in_memory(
        regrouped(subject.stems, subject.components, {part.name: [part.number] for part in parts}),
        [part.name for part in parts],
    )
    for part in parts[:3]:
        opened.tab.click(f"[data-key=listen-{part.number}]")
        # The loudest part is the stem without the others, so the roundings of all of them add up.
        np.testing.assert_allclose(opened.heard(), expected[part.name], atol=4 * LEAST_STEP)
        opened.tab.click(f"[data-key=listen-{part.number}]")


def test_a_grouping_is_heard_exported_and_undone(opened, subject):
    first, second = (opened.run("return page.grouping.groups.map((group) => group.parts)"))[:2]
    moved = first[-1]
    opened.tab.focus(f"[data-key=part-{moved}]")
    opened.tab.keyboard.press("Alt+ArrowDown")
    opened.tab.fill(".card:nth-child(1) .stem-name", "kick")
    opened.tab.keyboard.press("Enter")
    opened.tab.fill(".card:nth-child(2) .stem-name", "snare")
    opened.tab.keyboard.press("Enter")
    opened.tab.fill(".card:nth-child(3) .stem-name", "it's")
    opened.tab.keyboard.press("Enter")
    exported = json.loads(opened.saved("Export grouping"))
    assert exported["format"] == "nmfaudio grouping"
    groups = exported["groups"]
    assert groups["kick"] == first[:-1]
    assert groups["snare"] == sorted([*second, moved])
    stems = in_memory(regrouped(subject.stems, subject.components, groups), list(groups))
    for number, name in enumerate(groups, 1):
        opened.tab.keyboard.press("Escape")
        opened.run("document.activeElement.blur()")
        opened.tab.keyboard.press(str(number))
        np.testing.assert_allclose(opened.heard(), stems[name], atol=4 * LEAST_STEP)
    command = opened.tab.inner_text("#export code")
    assert command.startswith("""nmfaudio regroup 'separated/it'"'"'s' --group kick=""")
    assert """--group 'it'"'"'s=""" in command
    for _ in range(4):
        opened.tab.keyboard.press("Control+z")
    assert opened.run("return page.grouping.isOriginal")
    assert opened.run("return page.grouping.redo() && page.grouping.groupOf(value).id", moved) == 1


def test_stems_are_split_merged_and_made(opened):
    counts = "return page.grouping.groups.map((group) => group.parts.length)"
    before = opened.run(counts)
    opened.run("page.grouping.split(0)")
    assert opened.run(counts) == [1] * before[0] + before[1:]
    names = opened.run("return page.grouping.groups.map((group) => group.name)")
    assert len(set(names)) == len(names)
    assert opened.run("return new Set(page.grouping.groups.map((group) => group.colour)).size") == len(names)
    opened.run("page.grouping.undo(); page.grouping.merge(0, 2)")
    assert opened.run(counts) == [before[1], before[2] + before[0]]
    opened.run("page.grouping.reset(); await page.update")
    opened.tab.set_viewport_size({"width": 1280, "height": 2400})  # so that nothing scrolls during the drag
    opened.tab.drag_and_drop(
        ".card:nth-child(1) .part:nth-child(1) .part-label", "#new-stem", target_position={"x": 40, "y": 10}
    )
    assert opened.run(counts) == [before[0] - 1, *before[1:], 1]
    assert "A stem needs a name" in opened.run("return page.grouping.rename(1, '  ')")
    assert "already" in opened.run("return page.grouping.rename(1, 'kick') + page.grouping.rename(2, 'kick')")
    assert "file name" in opened.run("return page.grouping.rename(1, 'a/b')")


def test_names_that_flags_cannot_hold_are_regrouped_from_the_file(opened):
    opened.run("page.grouping.move(1, 1)")
    opened.run("await page.update")
    assert "grouping.json" in opened.tab.inner_text("#export code")
    assert "--group" not in opened.tab.inner_text("#export code")


def test_regions_are_drawn_edited_and_exported(opened, tmp_path):
    opened.tab.select_option("[aria-label='Source of new regions']", index=1)
    box = opened.tab.locator(".spectrogram canvas").bounding_box()
    mouse = opened.tab.mouse
    mouse.move(box["x"] + box["width"] / 4, box["y"] + box["height"] / 4)
    mouse.down()
    mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    mouse.up()
    region = opened.run("return page.regions.list[0]")
    assert region["start"] == pytest.approx(SECONDS / 4, abs=0.01)
    assert region["end"] == pytest.approx(SECONDS / 2, abs=0.01)
    low, high = opened.run(
        "return [report.spectrogram.low, report.spectrogram.high]".replace(
            "report.", "nmfaudioReport.report."
        )
    )
    assert region["high"] == pytest.approx(low * (high / low) ** 0.75, rel=0.03)
    assert region["low"] == pytest.approx(low * (high / low) ** 0.5, rel=0.03)
    opened.tab.fill("[aria-label='from of region 1 in s']", "0.25")
    opened.tab.keyboard.press("Tab")
    opened.tab.fill("[aria-label='to of region 1 in s']", "0.1")
    opened.tab.keyboard.press("Tab")
    assert "must end after its start" in opened.tab.inner_text("#status")
    opened.tab.select_option("[aria-label='Meaning of new regions']", "not_region")
    opened.run("player.seek(0.5)")
    opened.tab.click("text=Add")
    hints = tomllib.loads(opened.saved("Export hints"))
    (source,) = hints
    assert source == HOSTILE[1]
    assert hints[source]["region"] == [f"0.25-{region['end']}@{region['low']}-{region['high']}"]
    assert hints[source]["not_region"] == ["0.5-1.5"]
    opened.run("page.grouping.rename(1, 'snare'); await page.update")
    for number in (1, 2):
        opened.tab.select_option(f"[aria-label='Source of region {number}']", "snare")
    (tmp_path / "hints.toml").write_text(opened.saved("Export hints"))
    texts = read_hints(tmp_path / "hints.toml")
    read = Hints.parse(region=texts["region"], not_region=texts["not_region"]).regions
    assert read.sources == ("snare",)
    assert texts["region"] == [f"snare=0.25-{region['end']}@{region['low']}-{region['high']}"]
    opened.tab.click("[aria-label='Delete region 1']")
    assert opened.run("return page.regions.list.length") == 1


@pytest.mark.parametrize(
    "options", [{"viewport": {"width": 360, "height": 700}}, {"color_scheme": "dark"}], ids=str
)
def test_it_fits_narrow_screens_and_names_every_control(browser, report_path, options):
    page = Opened(browser, report_path, **options)
    assert page.run("return document.documentElement.scrollWidth <= innerWidth")
    nameless = page.run(
        "return Array.from(document.querySelectorAll('button, select, input, canvas'))"
        ".filter((node) => !node.getAttribute('aria-label')).map((node) => node.outerHTML)"
    )
    assert nameless == []
    colours = page.run(
        "return [getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]"
    )
    brightness = [sum(map(int, colour[4:-1].split(","))) for colour in colours]
    assert (brightness[0] < brightness[1]) == ("color_scheme" in options)
    page.context.close()
    assert page.messages == []


def test_parts_add_up_to_their_stem_also_with_loss(browser, subject, tmp_path, monkeypatch):
    monkeypatch.setattr(sounds, "ROOM_BYTES", 1000)
    write_report(subject, tmp_path / "small.html")
    page = Opened(browser, tmp_path / "small.html")
    assert "with loss (Ogg Vorbis)" in page.tab.inner_text("#summary")
    whole = page.heard()
    mixture = sum(stem.samples for stem in subject.stems.values())
    assert np.sum((whole - mixture) ** 2) < 0.02 * np.sum(mixture**2)
    page.run("page.grouping.split(0); page.grouping.split(1); await page.update")
    np.testing.assert_allclose(page.heard(), whole, atol=1e-6)
    page.context.close()


def test_regroup_writes_what_the_page_played(browser, make_file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = {"sources": 2, "components": 5, "iterations": 10, "keep": True}
    separate_file(make_file(channels=2), "separated", "blind", **options)
    call("report", "separated/song", "-q")
    run = tmp_path / "separated" / "song"
    page = Opened(browser, run / "report.html")
    first = page.run("return page.grouping.groups[0].parts")
    page.run("page.grouping.move(value, 1); page.grouping.rename(1, 'new one'); await page.update", first[0])
    (tmp_path / "grouping.json").write_text(page.saved("Export grouping"))
    call("regroup", run, "grouping.json", "-q")
    names = page.run("return page.grouping.groups.map((group) => group.name)")
    assert names[1] == "new one"
    for number, name in enumerate(names, 1):
        page.tab.keyboard.press(str(number))
        written, _ = soundfile.read(run / "regrouped" / f"{name}.wav", always_2d=True)
        np.testing.assert_allclose(page.heard(), written.T, atol=4 * LEAST_STEP)
    command = shlex.split(page.tab.inner_text("#export code"))
    call(*command[1:], "-o", "again", "-q")
    for name in names:
        again, here = tmp_path / "again" / f"{name}.wav", run / "regrouped" / f"{name}.wav"
        assert again.read_bytes() == here.read_bytes()
    page.context.close()
    assert page.messages == []
    assert page.requests == [page.address]
