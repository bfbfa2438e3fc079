"""Runs peers in turn on one job and gathers the medians."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks import content, nginx
from benchmarks.content import Item
from benchmarks.measure import Command, PeerError, Sample, middle, run
from benchmarks.nginx import Site
from benchmarks.peers import Job, Peer
from benchmarks.report import FAILED, Row

LINK = Path(__file__).with_name("link.py")


@dataclass(frozen=True, slots=True)
class Bench:
    """Where and how long to measure.

    Attributes:
        root: a scratch folder on the disk that is to be written to.
        rounds: of every peer in every scenario.
        size: bytes of the large file.
        count: of the small files.
        records: sizes of the registries.
    """

    root: Path
    rounds: int
    size: int
    count: int
    records: tuple[int, ...]

    @property
    def capped_size(self) -> int:
        """Bytes of the file for slow links: a quarter of the large one."""
        return self.size // 4

    @property
    def repo_count(self) -> int:
        """Files of the repository that has many: 300 of 500."""
        return self.count * 3 // 5

    @property
    def files(self) -> Path:
        """What is served."""
        return self.root / "files"

    def large(self, size: int) -> Item:
        return content.make(self.files, f"one-{size}/model.safetensors", size)

    def small(self) -> list[Item]:
        return [
            content.make(self.files, f"small/part-{number:03}.safetensors", 64 << 10)
            for number in range(self.count)
        ]

    def fresh(self, name: str) -> Path:
        """An empty folder for one scenario."""
        folder = self.root / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        return folder

    @contextmanager
    def serve(self, items: Sequence[Item]) -> Iterator[Site]:
        """A web server with the scratch files, and a hub with ``items``."""
        work = self.root / "nginx"
        try:
            with nginx.serve(self.files, work, items) as site:
                yield site
        finally:
            shutil.rmtree(work, ignore_errors=True)

    @contextmanager
    def link(self, site: Site, *options: str) -> Iterator[Site]:
        """The site through a slow link, see ``link.py``."""
        argv = [sys.executable, "-I", str(LINK), "--to", str(site.port), *options]
        with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout is not None
                port = int(process.stdout.readline())
                yield site.through(port, lambda: _sent(process))
            finally:
                process.terminate()

    @contextmanager
    def folder(self) -> Iterator[Path]:
        """A fresh folder, gone afterwards; room for more than the output in its parent."""
        home = self.root / "run"
        shutil.rmtree(home, ignore_errors=True)
        out = home / "out"
        out.mkdir(parents=True)
        try:
            yield out
        finally:
            shutil.rmtree(home, ignore_errors=True)

    def download(self, peer: Peer, job: Job) -> Sample:
        """One peer does the job once, into a fresh folder; the result is checked."""
        with self.folder() as out:
            touch = 2 * sum(item.size for item in job.items) + (64 << 20)
            sample = run(peer.build(job, out), out.parent, touch=touch)
            content.check(out, job.items)
            return sample

    def downloads(self, peers: Sequence[Peer], job: Job) -> list[Row]:
        """All peers, round by round."""
        turns = {peer.name: self._turn(peer, job) for peer in peers if not peer.missing}
        rows = {row.who: row for row in self.rounds_of(turns)}
        notes = {peer.name: peer.gives for peer in peers}
        return [
            Row(row.who, row.sample, row.note or (notes[row.who] if row.sample else ""))
            for row in (rows.get(peer.name, Row(peer.name, None)) for peer in peers)
        ]

    def commands(self, commands: Mapping[str, Command], *, times: int = 3) -> list[Row]:
        """Quick commands, ``times`` as often as downloads, after one run that counts nothing."""
        with self.folder() as out:
            turns = {who: self._command(command, out.parent) for who, command in commands.items()}
            for turn in turns.values():
                try:
                    turn()
                except PeerError:
                    continue  # the counted runs will say so
            return self.rounds_of(turns, times=times)

    def rounds_of(self, turns: Mapping[str, Callable[[], Sample]], *, times: int = 1) -> list[Row]:
        """Let everyone have a turn, ``rounds * times`` times, beginning with another each time."""
        samples: dict[str, list[Sample]] = {who: [] for who in turns}
        failed: dict[str, str] = {}
        names = list(turns)
        for number in range(self.rounds * times):
            first = number % max(1, len(names))
            for who in names[first:] + names[:first]:
                if who in failed:
                    continue
                try:
                    samples[who].append(turns[who]())
                except PeerError as error:
                    failed[who] = f"{FAILED}: {error}"
        return [
            Row(who, None, failed[who]) if who in failed else Row(who, middle(samples[who]))
            for who in names
        ]

    def _turn(self, peer: Peer, job: Job) -> Callable[[], Sample]:
        return lambda: self.download(peer, job)

    def _command(self, command: Command, home: Path) -> Callable[[], Sample]:
        return lambda: run(command, home)


def _sent(link: subprocess.Popen[str]) -> int:
    assert link.stdout is not None
    link.send_signal(signal.SIGUSR1)
    return int(link.stdout.readline())
