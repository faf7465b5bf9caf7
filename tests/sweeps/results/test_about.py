"""What a sweep's report says of corpus, hardware and software, from manifests and records."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from data.sources.licences import UNKNOWN
from data.sources.named import NAMED, known_licence, title_of
from data.store.manifest import Manifest, read_manifest
from sweeps.results.about import about
from tests.sweeps.test_frozen import FROZEN
from trainers.records import Record

DAY = 86_400.0


@pytest.fixture(scope="module")
def manifest() -> Manifest:
    return read_manifest(FROZEN[-1] / "out" / "data" / "midi-abc")


def record(**ran_on: Any) -> Record:
    return Record("lstm-4k", "finished", "", {}, {}, [], DAY, DAY + 60, ran_on=ran_on)


def test_the_corpus_is_told_in_words_with_its_licence(manifest: Manifest) -> None:
    of = about("mine", [replace(manifest, source="maestro")], [record()], "2e10c55")
    assert of.title == "Sweep mine: MAESTRO v3, piano performances"
    assert of.facts["corpus"] == (
        "MAESTRO v3, piano performances: 93 pieces to train on, 13 to validate, 14 to test"
    )
    assert of.facts["licence"] == "CC BY-NC-SA 4.0."
    assert of.facts["tokens"] == "abc: 7,426 tokens to train on, 1,008 to validate, 1,002 to test"
    assert of.facts["tokenizer"] == "abc, a vocabulary of 140"
    assert of.facts["code"] == "2e10c55"


def test_a_folder_of_ones_own_has_a_name_and_no_licence(manifest: Manifest) -> None:
    of = about("mine", [replace(manifest, source="/home/me/midi")], [record()], "")
    assert of.title == "Sweep mine: midi"
    assert "licence" not in of.facts


def test_each_tokenizer_has_its_tokens(manifest: Manifest) -> None:
    of = about("mine", [manifest, replace(manifest, tokenizer="remi")], [record()], "")
    assert of.facts["tokens"].count("7,426 tokens to train on") == 2
    assert "remi, a vocabulary of 140" in of.facts["tokenizer"]


def test_all_that_cells_ran_on_is_named_once(manifest: Manifest) -> None:
    cpu = record(device="cpu", processor="EPYC", threads=2, torch="2.10", workers=1)
    gpu = record(device="NVIDIA H100", processor="Xeon", threads=8, torch="2.10", workers=2)
    of = about("mine", [manifest], [cpu, gpu, cpu, record()], "")
    assert of.facts["hardware"] == "EPYC, threads a worker: 2; NVIDIA H100, 2 workers a cell"
    assert of.facts["software"].endswith(", torch 2.10")
    assert "ray 2." in of.facts["software"]


def test_records_of_the_first_release_do_not_say_what_they_ran_on(manifest: Manifest) -> None:
    of = about("mine", [manifest], [record()], "")
    assert of.facts["hardware"] == "not recorded"


def test_the_days_are_those_of_training(manifest: Manifest) -> None:
    later = replace(record(), ended=4 * DAY)
    assert about("mine", [manifest], [record()], "").facts["trained"] == "2 January 1970"
    both = about("mine", [manifest], [record(), later], "").facts["trained"]
    assert both == "2 January 1970 to 5 January 1970"


@pytest.mark.parametrize("source", NAMED)
def test_every_corpus_known_by_name_is_told_in_words_with_a_licence(source: str) -> None:
    assert title_of(source) != source
    assert known_licence(source) != UNKNOWN
