"""What a service manager hears, over a real socket (sd_notify(3))."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from pms import config
from pms.clock import LoopClock
from pms.service_manager import ServiceManager
from pms.tasks import Tasks
from tests.virtual import VirtualLoop


@pytest.fixture
def listening(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.setblocking(False)
        yield manager


def heard(manager: socket.socket) -> list[str]:
    words = []
    while True:
        try:
            words.append(manager.recv(100).decode())
        except BlockingIOError:
            return words


def watch(manager: ServiceManager, seconds: float) -> None:
    """So many seconds of its task."""

    async def live() -> None:
        clock, tasks = LoopClock(asyncio.get_running_loop(), 0), Tasks()
        tasks.spawn(manager.watch(clock), "watchdog")
        await clock.sleep(seconds)
        await tasks.close()

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(live())


def test_it_hears_of_the_start_the_stop_and_of_life_twice_in_its_time(listening: socket.socket) -> None:
    settings = {"NOTIFY_SOCKET": listening.getsockname(), "WATCHDOG_USEC": "10000000", "WATCHDOG_PID": str(os.getpid())}
    manager = ServiceManager(config.notify(settings))
    manager.ready()
    watch(manager, 19)
    manager.stopping()
    manager.close()
    assert heard(listening) == ["READY=1", *["WATCHDOG=1"] * 4, "STOPPING=1"]


@pytest.mark.parametrize("more", [{}, {"WATCHDOG_USEC": "10000000", "WATCHDOG_PID": "1"}, {"WATCHDOG_USEC": "soon"}])
def test_without_a_watchdog_of_ours_there_is_no_sign_of_life(listening: socket.socket, more: dict[str, str]) -> None:
    manager = ServiceManager(config.notify({"NOTIFY_SOCKET": listening.getsockname()} | more))
    watch(manager, 60)
    manager.ready()
    manager.close()
    assert heard(listening) == ["READY=1"]


def test_a_name_outside_the_file_system_is_reached() -> None:
    name = f"pms-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(f"\0{name}")
        listener.setblocking(False)
        manager = ServiceManager(config.notify({"NOTIFY_SOCKET": f"@{name}"}))
        manager.ready()
        manager.close()
        assert heard(listener) == ["READY=1"]


@pytest.mark.parametrize("address", ["", "notify", "vsock:2:1", "/nobody/listens"])
def test_without_anybody_who_listens_nothing_happens(address: str) -> None:
    manager = ServiceManager(config.notify({"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "1000000"}))
    manager.ready()
    watch(manager, 3)
    manager.stopping()
    manager.close()
    assert config.notify({"NOTIFY_SOCKET": address}).address == (address if address.startswith("/") else "")
