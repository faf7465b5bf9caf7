"""Small data to learn and music to prepare; and what tests of many rooms need."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, settings

from data.sources import folk
from data.store.flat import sums
from data.store.location import Location
from data.store.manifest import read_manifest
from harness.counting import FINGERPRINT, VOCAB, write_counting
from trainers.cell import Cell

# The tests run in as many processes as a laptop has cores to spare. Threads that share a core wait
# for each other without letting go of it: a test of seconds then takes minutes.
torch.set_num_threads(1)
os.environ["OMP_NUM_THREADS"] = "1"

# On a busy machine an example may take any time: slowness is no defect of what is tried.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


@pytest.fixture(scope="session", autouse=True)
def ray_of_our_own() -> Iterator[None]:
    """Ray joins the cluster that its folder names, which by default is anyone's on this machine."""
    # Not below pytest's folder: the names of sockets may have 107 characters.
    with (
        tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("RAY_TMPDIR", folder)
        yield


@pytest.fixture(scope="session")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pieces that count upwards from a random token, so that the next token can be known."""
    folder = tmp_path_factory.mktemp("packed")
    write_counting(folder)
    return folder


@pytest.fixture
def summed(packed: Path, tmp_path: Path) -> Path:
    """`packed` with sums in its manifest."""
    folder = tmp_path / "data"
    shutil.copytree(packed, folder)
    known = replace(read_manifest(folder), sums=sums(Location.of(folder)))
    (folder / "manifest.json").write_text(json.dumps(asdict(known)))
    return folder


def flip_a_bit(path: Path) -> None:
    """Of the last byte."""
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of MIDI files: a few hundred of the folk tunes."""
    folder = tmp_path_factory.mktemp("midi")
    for index, (_, tune) in enumerate(folk.tunes()[2000:2300]):
        made = folk.to_midi(tune)
        assert isinstance(made, bytes)
        (folder / f"{index:03d}.mid").write_bytes(made)
    return folder


CELL = Cell(
    arch="transformer",
    size="4k",
    seed=0,
    lr=0.008,
    tokens=40 * 256,
    batch_tokens=256,
    context=32,
    weight_decay=0.1,
    clip=1.0,
    tokenizer="abc",
    vocab_size=VOCAB,
    data=FINGERPRINT,
)
"""Small and quick, on the data of `packed`."""


@pytest.fixture
def cell() -> Cell:
    return CELL


@dataclass(frozen=True)
class Opened:
    """A page in a browser, and what went on there."""

    tab: Any
    """Playwright's."""
    wrong: list[str]
    """Lines of the console and errors of scripts."""
    asked: list[str]
    """Addresses of requests."""


@pytest.fixture
def browser() -> Iterator[Any]:
    """Headless Chromium, as Playwright has it; the test is skipped where that is missing."""
    playwright = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("needs chromium (on Debian: apt-get install chromium)")
    with playwright.sync_playwright() as runner:
        yield runner.chromium.launch(executable_path=chromium, args=["--no-sandbox"])


@pytest.fixture
def open_page(tmp_path: Path, browser: Any) -> Callable[[str, int], Opened]:
    """Opens HTML at a width."""

    def opened(html: str, width: int) -> Opened:
        path = tmp_path / "page.html"
        path.write_text(html)
        tab = browser.new_page(viewport={"width": width, "height": 800})
        page = Opened(tab, [], [])
        tab.on("console", lambda message: page.wrong.append(message.text))
        tab.on("pageerror", lambda error: page.wrong.append(str(error)))
        tab.on("request", lambda request: page.asked.append(request.url))
        tab.goto(path.as_uri())
        return page

    return opened


AXE = Path(__file__).parents[1] / "node_modules" / "axe-core" / "axe.min.js"


@pytest.fixture
def axe() -> Callable[[Opened], list[str]]:
    """What axe-core finds on an opened page that is serious or critical, a line for each element;
    the test is skipped where axe-core is missing."""
    if not AXE.exists():
        pytest.skip("needs axe-core (npm install --no-save axe-core@4.10.3)")

    def found(page: Opened) -> list[str]:
        page.tab.evaluate(AXE.read_text(encoding="utf-8"))
        result = page.tab.evaluate("axe.run(document, {resultTypes: ['violations']})")
        return [
            f"{rule['impact']}: {rule['help']}: {element['html'][:200]}"
            for rule in result["violations"]
            if rule["impact"] in ("serious", "critical")
            for element in rule["nodes"]
        ]

    return found


@pytest.fixture(scope="session")
def bucket() -> Iterator[str]:
    """The name of a bucket on an S3 server of this process, to which pyarrow is pointed."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    wanted = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    name = "crescendo-test"
    boto3.client("s3").create_bucket(Bucket=name)
    yield name
    server.stop()
    for key, value in before.items():
        if value is None:
            del os.environ[key]
        else:
            os.environ[key] = value
