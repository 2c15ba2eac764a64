"""Widgets of notebooks 09, 10 and 11 in a real browser: JupyterLab runs them, and they answer."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import nbformat
import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
EXPLORER, DEMO, STUDY = "09_identity_consistency.ipynb", "10_the_live_demo.ipynb", "11_the_user_study.ipynb"
NEEDED = {
    DEMO: ("PROFILE =", "clip = demo_clip", "live_demo("),
    STUDY: ("PROFILE =", "study = synthetic_study", "user_study("),
}
"""Parts of the code cells that the widget needs; the others are left out, because they take long."""
START_S, RUN_MS, ANSWER_MS = 90, 240_000, 30_000


@pytest.fixture(scope="module")
def chromium() -> str:
    names = ("chromium", "chromium-browser", "google-chrome")
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None:
        pytest.skip(f"no browser: none of {', '.join(names)} is installed")
    return found


@pytest.fixture(scope="module")
def driver() -> Any:
    return pytest.importorskip("playwright.sync_api", reason="playwright is not installed")


@pytest.fixture(scope="module")
def lab(chromium: str, driver: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """Address of a JupyterLab of our own on copies of the notebooks, and their folder; killed afterwards."""
    home = tmp_path_factory.mktemp("lab")
    shutil.copy(ROOT / "notebooks" / EXPLORER, home)
    for name, parts in NEEDED.items():
        nbformat.write(shortened(ROOT / "notebooks" / name, parts), home / name)
    port, token = free_port(), secrets.token_hex(16)
    command = [
        sys.executable,
        "-m",
        "jupyterlab",
        "--no-browser",
        f"--ServerApp.port={port}",
        "--ServerApp.port_retries=0",
        "--ServerApp.ip=127.0.0.1",
        f"--ServerApp.root_dir={home}",
        f"--IdentityProvider.token={token}",
        "--LabApp.news_url=",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    ]
    if is_root():
        command.append("--allow-root")
    own = {"HOME", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"}
    environment = (
        os.environ
        | {name: str(home / name.lower()) for name in own}
        | {"ANONLIB_PROFILE": "smoke", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    )
    log = (home / "server.log").open("wb")
    server = subprocess.Popen(
        command, cwd=home, env=environment, stdout=log, stderr=log, start_new_session=True
    )
    try:
        wait_for(server, f"http://127.0.0.1:{port}/api/status?token={token}", Path(log.name))
        # `reset` closes the notebooks of the tests before, which JupyterLab would open again.
        yield f"http://127.0.0.1:{port}/lab/tree/{{}}?token={token}&reset", home
    finally:
        kill_group(server)
        log.close()


def shortened(notebook: Path, parts: tuple[str, ...]) -> Any:
    """The notebook with one code cell for each of the parts, which the cell holds."""
    whole = nbformat.read(notebook, as_version=4)
    cells = [cell for cell in whole.cells if cell.cell_type == "code"]
    whole.cells = [cell for cell in cells if any(part in cell.source for part in parts)]
    assert len(whole.cells) == len(parts), f"{notebook.name}: not one cell for each of {parts}"
    for cell in whole.cells:
        cell.outputs, cell.execution_count = [], None
    return whole


def is_root() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(server: subprocess.Popen[bytes], address: str, log: Path) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and server.poll() is None:
        try:
            urlopen(address, timeout=2).close()
            return
        except (URLError, OSError):
            time.sleep(0.1)
    pytest.fail(f"JupyterLab did not answer within {START_S} s:\n{log.read_text()[-2000:]}")


def kill_group(server: subprocess.Popen[bytes]) -> None:
    """Ends the server and the kernels it started."""
    server.terminate()
    try:
        server.wait(10)
    except subprocess.TimeoutExpired:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait(10)


@pytest.fixture
def page(chromium: str, driver: Any) -> Iterator[Any]:
    """A page of a fresh browser without a past; at the end it must not have complained."""
    arguments = ["--disable-gpu", "--no-first-run", "--disable-background-networking"]
    if is_root():
        arguments.append("--no-sandbox")
    with driver.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=arguments)
        try:
            page = browser.new_page(viewport={"width": 1400, "height": 1000})
            page.set_default_timeout(ANSWER_MS)
            driver.expect.set_options(timeout=ANSWER_MS)
            complaints: list[str] = []
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.on("console", lambda line: complaints.append(line.text) if line.type == "error" else None)
            yield page
            assert [line for line in complaints if "Failed to load resource" not in line] == []
        finally:
            browser.close()


def run_all(page: Any, mark: Any) -> Any:
    """Runs every cell; returns the output that holds the mark, once it is there."""
    page.get_by_text("| Idle").wait_for(timeout=RUN_MS)
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.locator("[data-command='runmenu:run-all']").click()
    output = page.locator(".jp-OutputArea-output").filter(has=mark)
    output.wait_for(timeout=RUN_MS)
    page.set_viewport_size({"width": 900, "height": 600})
    page.keyboard.press("Control+b")  # hides the list of files
    return output


def saved(page: Any, notebook: Path) -> Any:
    """The notebook as it is after saving, with what every cell put out."""
    page.get_by_text("| Idle").wait_for(timeout=RUN_MS)
    page.keyboard.press("Escape")
    page.keyboard.press("Control+s")
    page.locator(".jp-mod-dirty").first.wait_for(state="detached")
    return nbformat.read(notebook, as_version=4)


def test_the_explorer_answers_in_jupyterlab(lab: tuple[str, Path], page: Any, driver: Any) -> None:
    expect = driver.expect
    address, home = lab
    page.goto(address.format(EXPLORER))
    explorer = run_all(page, page.locator(".widget-label", has_text="Strength s"))

    face = explorer.get_by_alt_text(re.compile("^A, modified"))
    heat = explorer.get_by_alt_text(re.compile("^heat maps"))
    clip = explorer.get_by_alt_text(re.compile("^frame .* modified"))
    strength = explorer.locator(".widget-slider", has_text="Strength s").get_by_role("slider")
    for view, picture in (("similarities", heat), ("clip", clip), ("pictures", face)):
        explorer.get_by_role("button", name=view).press("Space")
        source = picture.get_attribute("src")
        strength.press("ArrowLeft")
        expect(picture).not_to_have_attribute("src", source)
        strength.press("End")
        expect(picture).to_have_attribute("src", source)
        box, panel = explorer.bounding_box(), page.locator(".jp-NotebookPanel-notebook").bounding_box()
        assert box["width"] <= panel["width"] and box["height"] <= panel["height"], view

    explorer.get_by_role("button", name="clip").press("Space")
    explorer.get_by_role("button", name="Play").press("Space")
    expect(clip).to_have_attribute("alt", re.compile("^frame 3 of"))
    explorer.get_by_role("button", name="Pause").press("Space")
    expect(explorer.get_by_role("button", name="Play")).to_be_visible()

    explorer.get_by_role("button", name="pictures").press("Space")
    explorer.get_by_label("People").select_option(["B", "F"])
    expect(explorer.get_by_alt_text(re.compile("^F, modified"))).to_be_visible()
    expect(face).to_have_count(0)

    outputs = [o for cell in saved(page, home / EXPLORER).cells for o in cell.get("outputs", ())]
    assert len(outputs) > 10
    assert [o for o in outputs if o.output_type == "error" or o.get("name") == "stderr"] == []


def test_the_demo_plays_and_pauses_in_jupyterlab(lab: tuple[str, Path], page: Any, driver: Any) -> None:
    expect = driver.expect
    page.goto(lab[0].format(DEMO))
    demo = run_all(page, page.locator(".widget-label", has_text="Method"))
    picture = demo.locator("img")
    expect(picture).to_have_js_property("complete", True)
    poster = picture.get_attribute("src")
    expect(demo).to_contain_text("left the original, right the same with every face that was found replaced")

    demo.get_by_role("button", name="Play").click()
    pause = demo.get_by_role("button", name="Pause")
    expect(demo).to_contain_text(re.compile(r"[1-9][0-9.]* frames/s"), timeout=RUN_MS)
    expect(demo).not_to_contain_text(re.compile(r"\b0 ms"))
    expect(picture).not_to_have_attribute("src", poster)
    assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") > 600

    pause.click()
    expect(demo.get_by_role("button", name="Play")).to_be_visible()
    expect(demo).not_to_contain_text("frames/s")
    demo.get_by_role("button", name="anonymized only").click()
    expect(demo).to_contain_text("every face that was found is replaced by swap")
    expect(demo).not_to_contain_text("the original")


def test_the_study_asks_and_goes_on_in_jupyterlab(lab: tuple[str, Path], page: Any, driver: Any) -> None:
    expect = driver.expect
    address, home = lab
    page.goto(address.format(STUDY))
    study = run_all(page, page.locator(".anonlib-study"))
    expect(study).to_contain_text("24 pairs of modified faces")
    study.get_by_role("button", name="Begin").click()

    pair, same = study.get_by_alt_text("2 modified faces"), study.get_by_role("button", name="same")
    question = study.get_by_text(re.compile(r"\(\d+ of 24\)"))
    expect(question).to_have_text("Do both faces show the same person? (1 of 24)")
    for part in (pair, question, same, study.get_by_role("button", name="different")):
        expect(part).to_be_in_viewport(ratio=1)
    first = pair.get_attribute("src")
    next_one = re.compile(r"\((?!1 of)\d+ of 24\)")  # a click soon after a question appears is ignored
    deadline = time.monotonic() + ANSWER_MS / 1000
    while not next_one.search(question.inner_text()) and time.monotonic() < deadline:
        same.click()
        with suppress(AssertionError):
            expect(question).to_have_text(next_one, timeout=2000)
    expect(question).to_have_text(next_one)
    expect(pair).not_to_have_attribute("src", first)
    (answers,) = (home / "answers").glob("person-*.csv")
    assert ",same" in answers.read_text()
