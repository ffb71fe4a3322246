"""Runs test classes, each in a process of its own, and counts their cases.

What it is: from the test_*.py of a folder to "N passed, N failed"; JOBS classes at a time, slowest
  first; the lines of one case stay together.
What it does not know: what the cases need; the script that calls it has set that up.
Called by: tests/e2e/run and tests/patches/run, which start themselves anew with --class NAME.
Lifetimes: a class's process is the ancestor of all servers that it starts, and ends them.
Failure: a case that takes too long, is skipped, or whose process dies has failed.
"""

import ctypes
import importlib
import os
import queue
import signal
import subprocess
import sys
import threading
import traceback
import unittest
from pathlib import Path

from .case import SANITIZER, MailCase
from .process import become_reaper, end_all_descendants

PR_SET_PDEATHSIG = 1


class TookTooLong(Exception):
  pass


def raise_interrupt(*_):
  raise KeyboardInterrupt


class Runner:
  def __init__(self, folder: Path, base: type[MailCase], seconds: int, label: str = ''):
    """seconds: how long a case may take; label: stands before each case's name."""
    self.base = base
    self.seconds = seconds
    self.label = label
    self.classes = self.find(folder)

  def find(self, folder: Path) -> dict[str, type[MailCase]]:
    """MODULE.CLASS -> class, slowest first."""
    found = {}
    for path in sorted(folder.glob('test_*.py')):
      module = importlib.import_module(path.stem)
      for cls in vars(module).values():
        if isinstance(cls, type) and issubclass(cls, self.base) and cls.__module__ == path.stem:
          found[f'{path.stem}.{cls.__name__}'] = cls
    return dict(sorted(found.items(), key=lambda item: -item[1].weight))

  def names_of(self, cls: type[MailCase], words: list[str]) -> list[str]:
    names = unittest.TestLoader().getTestCaseNames(cls)
    return [name for name in names
            if not words or any(word in self.shown(cls, name) for word in words)]

  def shown(self, cls: type[MailCase], name: str) -> str:
    return f'{self.label}{cls.__name__}.{name.removeprefix("test_")}'

  def report(self, cls: type[MailCase], name: str, failure: str = ''):
    """failure is a traceback: its last line is the reason, the rest a comment above it."""
    if not failure:
      print('ok', self.shown(cls, name), flush=True)
      return
    lines = failure.strip().splitlines()
    start = max((index for index, line in enumerate(lines) if not line.startswith((' ', '\t'))
                 and ('Error' in line or 'Deadline' in line or 'Expired' in line)), default=-1)
    reason = ' '.join(' '.join(lines[start:]).split())[:600]
    comment = ''.join(f'# {line[:2000]}\n' for line in lines)
    print(f'{comment}not ok {self.shown(cls, name)}: {reason}', flush=True)

  def raise_too_long(self, *_):
    raise TookTooLong(f'Error: the case took more than {self.seconds} s')

  def run_class(self, cls: type[MailCase], words: list[str]):
    """In this process, which is the class's own."""
    become_reaper()
    # When the runner is killed without a chance to say so, we still tidy up.
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    signal.signal(signal.SIGTERM, raise_interrupt)
    signal.signal(signal.SIGALRM, self.raise_too_long)
    names = self.names_of(cls, words)
    try:
      signal.alarm(self.seconds)
      cls.setUpClass()
    except BaseException as failure:
      end_all_descendants()
      for name in names:
        self.report(cls, name, traceback.format_exc())
      if isinstance(failure, KeyboardInterrupt):
        raise
      return
    try:
      for name in names:
        self.run_case(cls, name)
    finally:
      signal.alarm(0)
      for number in (signal.SIGINT, signal.SIGTERM):  # nothing stops the tidying up
        signal.signal(number, signal.SIG_IGN)
      cls.tearDownClass()
      if cls.scratch.keep:
        print(f'# {cls.__name__} left {cls.scratch.path}', flush=True)

  def run_case(self, cls: type[MailCase], name: str):
    signal.alarm(self.seconds)
    result = unittest.TestResult()
    cls(name).run(result)
    problems = [text for _, text in result.errors + result.failures]
    problems += [f'Error: skipped: {reason}' for _, reason in result.skipped]
    problems.sort(key=lambda text: SANITIZER not in text)  # it explains the others
    if problems:
      cls.scratch.keep = True
    self.report(cls, name, problems[0] if problems else '')

  def run_all(self, arguments: list[str], words: list[str]) -> tuple[int, int]:
    """The classes that have such cases, JOBS at a time; their lines are passed on as they come.
    arguments: what the script is to be started with for one class. Passed, failed."""
    waiting: queue.SimpleQueue = queue.SimpleQueue()
    for name, cls in self.classes.items():
      if self.names_of(cls, words):
        waiting.put(name)
    children: list[subprocess.Popen] = []
    counts = {'ok ': 0, 'not': 0}
    lock = threading.Lock()

    def worker():
      while True:
        try:
          name = waiting.get_nowait()
        except queue.Empty:
          return
        child = subprocess.Popen([sys.executable, sys.argv[0], '--class', name, *arguments],
                                 stdout=subprocess.PIPE, text=True, errors='replace')
        with lock:
          children.append(child)
        block = []
        for line in child.stdout:
          block.append(line)
          if line.startswith('#') and 'left' not in line:
            continue  # the comments of a failure stay together with it
          with lock:
            sys.stdout.write(''.join(block))
            sys.stdout.flush()
            if line[:3] in counts:
              counts[line[:3]] += 1
          block = []
        if child.wait() != 0:
          with lock:
            print(''.join(block) + f'not ok {name}: its process ended with {child.returncode}')
            counts['not'] += 1

    workers = [threading.Thread(target=worker) for _ in range(int(os.environ.get('JOBS', '2')))]
    for one in workers:
      one.start()
    try:
      for one in workers:
        one.join()
    except KeyboardInterrupt:
      while not waiting.empty():
        waiting.get_nowait()
      for child in children:
        child.terminate()
      for one in workers:
        one.join()
      raise
    return counts['ok '], counts['not']

  def main(self, suite: str, one_class: str | None, arguments: list[str],
           words: list[str]) -> int:
    """The script's exit status; its last line is the count."""
    if one_class:
      self.run_class(self.classes[one_class], words)
      return 0
    if os.geteuid() != 0:
      print(f'not ok {suite}: needs root, as a Sendmail that delivers for other users does\n'
            '0 passed, 1 failed')
      return 1
    signal.signal(signal.SIGTERM, raise_interrupt)
    passed, failed = self.run_all(arguments, words)
    print(f'{passed} passed, {failed} failed')
    return 0 if passed and not failed else 1
