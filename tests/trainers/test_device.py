"""A card that several cells share: each keeps to its part, and they try memory one by one."""

from __future__ import annotations

import threading
from pathlib import Path

import torch

from trainers.device import alone_on, has_bf16, locked, memory_fraction, settle

CPU = torch.device("cpu")


def test_shares_leave_room_for_what_cuda_takes_in_each_process() -> None:
    card = 80e9
    for cells in (2, 4, 8):
        assert cells * memory_fraction(1 / cells, card) < 1
        assert memory_fraction(1 / cells, card) > 0.9 / cells
    assert memory_fraction(1, card) == 1
    assert memory_fraction(0.01, 16e9) == 0


def test_one_waits_until_the_other_is_done(tmp_path: Path) -> None:
    order: list[str] = []
    entered = threading.Event()

    def other() -> None:
        entered.set()
        with locked(tmp_path / "card.lock"):
            order.append("other")

    thread = threading.Thread(target=other)
    with locked(tmp_path / "card.lock"):
        thread.start()
        entered.wait()
        thread.join(timeout=0.2)
        order.append("first")
    thread.join()
    assert order == ["first", "other"]


def test_a_cpu_is_left_as_it_is() -> None:
    before = torch.get_float32_matmul_precision()
    settle(CPU, share=0.5)
    assert torch.get_float32_matmul_precision() == before == "highest"
    with alone_on(CPU), alone_on(CPU):
        pass
    assert not has_bf16(CPU)
