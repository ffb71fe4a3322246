"""Runs the classes of a suite and prints a line for each case.

What it is: play(); wait_until() for what another process does; whether a binary was built with a
  sanitizer.
What it does not know: what is tested.
Called by: daemon, no_memory, refused; the end-to-end tests for is_sanitized().
Failure: a case that is left out is a `# ...` line with its reason, and counts as nothing.
"""

import time
import unittest
from pathlib import Path


def wait_until(condition, what: str, seconds: float = 10):
  """The first true value of condition()."""
  end = time.monotonic() + seconds
  while not (value := condition()):
    if time.monotonic() > end:
      raise AssertionError(f'{what}: not so after {seconds:g} s')
    time.sleep(0.005)
  return value


def is_sanitized(binary: str | Path) -> bool:
  code = Path(binary).read_bytes()
  return b'__asan_init' in code or b'__tsan_init' in code


def reason(traceback: str) -> str:
  """From the last line that names an error, on one line."""
  lines = traceback.strip().splitlines()
  named = [at for at, line in enumerate(lines)
           if line[:1].isalpha() and ('Error' in line or 'Deviation' in line or 'Broken' in line)]
  return ' '.join(' '.join(lines[named[-1] if named else -1:]).split())[:600]


def spoken(name: str) -> str:
  return name.removeprefix('test_').replace('_', ' ')


def play(classes: list[type[unittest.TestCase]], words: list[str]) -> int:
  """The exit status; with words, only the cases whose name has one of them."""
  started = time.monotonic()
  passed = failed = 0
  for cls in classes:
    for name in unittest.TestLoader().getTestCaseNames(cls):
      shown = f'{cls.__name__.lower()}: {spoken(name)}'
      if words and not any(word in shown for word in words):
        continue
      result = unittest.TestResult()
      unittest.TestSuite([cls(name)]).run(result)
      problems = [reason(text) for _, text in result.errors + result.failures]
      if problems:
        print(f'not ok {shown}: {problems[0]}', flush=True)
      elif result.skipped:
        print(f'# {shown}: left out, {result.skipped[0][1]}', flush=True)
        continue
      else:
        print(f'ok {shown}', flush=True)
      passed, failed = passed + (not problems), failed + bool(problems)
  print(f'# {time.monotonic() - started:.1f} s\n{passed} passed, {failed} failed')
  return 0 if passed and not failed else 1
