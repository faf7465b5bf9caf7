"""Downloads end with the right bytes or with nothing, whatever the connection does."""

from __future__ import annotations

import gzip
import hashlib
import re
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from data.errors import DataError
from data.sources.corpora import CORPORA
from data.sources.download import Download, fetch
from data.store.location import Location

CONTENT = np.random.default_rng(0).bytes(300_000)
DIGEST = hashlib.sha256(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    ranged = True
    """Whether it can go on in the middle."""
    sends = 100_000
    """Bytes before it breaks the connection."""
    leads_to = ""
    """An address to redirect to."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[str | None] = []


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        wanted = self.headers["Range"]
        self.server.asked.append(wanted)
        if self.server.leads_to:
            self.send_response(302)
            self.send_header("Location", self.server.leads_to)
            self.end_headers()
            return
        if not self.path.endswith("/corpus.tar"):
            self.send_error(404)
            return
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
        start = start if self.server.ranged else 0
        if start == len(CONTENT):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(CONTENT)}")
            self.end_headers()
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(CONTENT) - start))
        self.end_headers()
        self.wfile.write(CONTENT[start : start + self.server.sends])
        # The connection is closed here, be it enough or not.

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield running
        running.shutdown()


@pytest.fixture
def corpus(server: Server) -> Download:
    return Download(f"http://127.0.0.1:{server.server_port}/corpus.tar", DIGEST)


def left(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def test_a_broken_connection_is_taken_up_where_it_broke(
    server: Server, corpus: Download, tmp_path: Path
) -> None:
    archive, digest = fetch(corpus, Location.of(tmp_path))
    assert archive.read_bytes() == CONTENT
    assert digest == DIGEST
    assert server.asked == [None, "bytes=100000-", "bytes=200000-"]
    assert left(tmp_path) == ["corpus.tar", "corpus.tar.sha256"]


def test_a_later_run_goes_on_with_what_an_earlier_one_left(
    server: Server, corpus: Download, tmp_path: Path
) -> None:
    (tmp_path / "corpus.tar.part").write_bytes(CONTENT[:250_000])
    fetch(corpus, Location.of(tmp_path))
    assert server.asked == ["bytes=250000-"]


def test_what_came_whole_but_was_not_yet_checked_is_not_fetched_again(
    server: Server, corpus: Download, tmp_path: Path
) -> None:
    (tmp_path / "corpus.tar.part").write_bytes(CONTENT)
    archive, _ = fetch(corpus, Location.of(tmp_path))
    assert archive.read_bytes() == CONTENT
    assert server.asked == ["bytes=300000-"]


def test_a_server_that_cannot_go_on_begins_again(
    server: Server, corpus: Download, tmp_path: Path
) -> None:
    server.ranged, server.sends = False, len(CONTENT)
    (tmp_path / "corpus.tar.part").write_bytes(b"something else")
    archive, _ = fetch(corpus, Location.of(tmp_path))
    assert archive.read_bytes() == CONTENT


def test_a_wrong_checksum_is_refused_and_nothing_is_left(corpus: Download, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="another file"):
        fetch(replace(corpus, sha256="0" * 64), Location.of(tmp_path))
    assert left(tmp_path) == []


def test_a_server_that_brings_nothing_is_given_up(
    server: Server, corpus: Download, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("data.sources.download.ATTEMPTS", 2)
    server.sends = 0
    with pytest.raises(DataError, match="the same command goes on"):
        fetch(corpus, Location.of(tmp_path))


def test_an_address_that_is_not_there_is_named(corpus: Download, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"404.*--mirror"):
        fetch(replace(corpus, url=corpus.url + "/gone"), Location.of(tmp_path))


def test_what_is_there_is_not_fetched_again(
    server: Server, corpus: Download, tmp_path: Path
) -> None:
    fetch(corpus, Location.of(tmp_path))
    asked = len(server.asked)
    fetch(corpus, Location.of(tmp_path))
    assert len(server.asked) == asked


@pytest.mark.parametrize("kind", ["folder", "address"])
def test_a_mirror_serves_in_place_of_the_address(
    kind: str, server: Server, corpus: Download, tmp_path: Path
) -> None:
    server.sends = len(CONTENT)
    (tmp_path / "mirror").mkdir()
    (tmp_path / "mirror" / "corpus.tar").write_bytes(CONTENT)
    mirrors = {"folder": str(tmp_path / "mirror"), "address": corpus.url.rsplit("/", 1)[0]}
    elsewhere = replace(corpus, url="http://nowhere.invalid/corpus.tar")
    archive, _ = fetch(elsewhere, Location.of(tmp_path / "out"), mirrors[kind])
    assert archive.read_bytes() == CONTENT


def test_an_archive_without_a_published_sum_has_its_own_recorded(
    corpus: Download, tmp_path: Path
) -> None:
    (tmp_path / "corpus.tar").write_bytes(CONTENT)
    without = replace(corpus, sha256=None)
    _, digest = fetch(without, Location.of(tmp_path / "out"), str(tmp_path))
    assert digest == DIGEST
    assert (tmp_path / "out" / "corpus.tar.sha256").read_text() == DIGEST


@pytest.mark.parametrize("scheme", ["http", "HTTP", "ftp"])
@pytest.mark.parametrize("mirrored", [False, True])
def test_what_nothing_can_be_checked_by_is_not_taken_over_plain_http(
    mirrored: bool, scheme: str, server: Server, corpus: Download, tmp_path: Path
) -> None:
    url = corpus.url.replace("http", scheme)
    mirror = url.rsplit("/", 1)[0] if mirrored else None
    with pytest.raises(DataError, match=r"without TLS.*--mirror"):
        fetch(replace(corpus, url=url, sha256=None), Location.of(tmp_path), mirror)
    assert server.asked == []


def test_nor_where_an_address_with_tls_leads_to_one_without(
    server: Server, corpus: Download, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This server stands for one with TLS, and FTP for what has none."""
    monkeypatch.setattr("data.sources.download.SAFE", ("http",))
    server.leads_to = f"ftp://127.0.0.1:{server.server_port}/corpus.tar"
    with pytest.raises(DataError, match=r"^ftp://.*/corpus\.tar comes without TLS"):
        fetch(replace(corpus, sha256=None), Location.of(tmp_path))
    assert len(server.asked) == 1
    assert left(tmp_path) == []


@pytest.mark.parametrize("published", [True, False])
def test_an_archive_that_is_there_is_checked_whenever_it_is_used(
    published: bool, corpus: Download, tmp_path: Path
) -> None:
    (tmp_path / "corpus.tar").write_bytes(CONTENT)
    known = corpus if published else replace(corpus, sha256=None)
    archive, _ = fetch(known, Location.of(tmp_path / "out"), str(tmp_path))
    archive.write_bytes(CONTENT[:-1] + b"?")
    with pytest.raises(
        DataError, match=rf"{archive} has the SHA-256 .*, expected {DIGEST}.*remove"
    ):
        fetch(known, Location.of(tmp_path / "out"), str(tmp_path))


def test_the_sum_of_what_is_packed_is_that_of_the_file(corpus: Download, tmp_path: Path) -> None:
    packed = gzip.compress(CONTENT[:999])
    (tmp_path / "corpus.tar.gz").write_bytes(packed)
    sums = {"sha256": hashlib.sha256(packed).hexdigest(), "url": f"{corpus.url}.gz"}
    for _ in range(2):
        fetch(replace(corpus, **sums), Location.of(tmp_path / "out"), str(tmp_path))


def test_every_corpus_has_a_sum_or_comes_over_tls_or_is_refused() -> None:
    files = {name: corpus.archive for name, corpus in CORPORA.items() if corpus.archive}
    plain = {name for name, file in files.items() if not file.url.startswith("https://")}
    assert {name for name in plain if not files[name].sha256} == {"lakh-clean"}
    with pytest.raises(DataError, match=r"clean_midi\.tar\.gz comes without TLS"):
        fetch(files["lakh-clean"], Location.of("nowhere"))


def test_where_an_md5_is_published_it_tells_what_was_damaged(
    corpus: Download, tmp_path: Path
) -> None:
    (tmp_path / "corpus.tar").write_bytes(CONTENT)
    whole = replace(corpus, sha256=None, md5=hashlib.md5(CONTENT).hexdigest())
    out = Location.of(tmp_path / "out")
    assert fetch(whole, out, str(tmp_path))[1] == DIGEST
    (tmp_path / "corpus.tar").write_bytes(CONTENT[:-1])
    with pytest.raises(DataError, match=f"has the MD5 .*, expected {whole.md5}: it is another"):
        fetch(whole, out / "again", str(tmp_path))
    assert left(tmp_path / "out" / "again") == []


def test_what_follows_a_question_mark_is_no_part_of_a_name() -> None:
    assert Download("https://zenodo.org/files/mxl.tar.gz?download=1", None).name == "mxl.tar.gz"


def test_the_track_of_a_matched_file_is_its_work() -> None:
    path = "lmd_matched/A/A/A/TRAAAGR128F425B14B/1d9d16a9da90c090809c153754823c2b.mid"
    found = re.search(CORPORA["lakh-matched"].works, path)
    assert found
    assert found[0] == "TRAAAGR128F425B14B"


@pytest.mark.parametrize("mirrored", [False, True])
def test_a_link_in_place_of_an_unfinished_download_is_not_followed(
    mirrored: bool, corpus: Download, tmp_path: Path
) -> None:
    (tmp_path / "mine").write_text("a year of work")
    (tmp_path / "corpus.tar").write_bytes(CONTENT)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "corpus.tar.part").symlink_to(tmp_path / "mine")
    mirror = str(tmp_path) if mirrored else None
    with pytest.raises(DataError, match=r"corpus\.tar\.part: found l"):
        fetch(corpus, Location.of(tmp_path / "out"), mirror)
    assert (tmp_path / "mine").read_text() == "a year of work"
