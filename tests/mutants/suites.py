"""The suites of `make check` that can fail because of a mutant, in an order in which they fail soon.

The unit tests of the mutant's own folder are first; then the programs of tests, the quickest first, and
the corpora last; then the other suites, of which those of the mutant's folder are first. How long each takes
is measured without a mutant. A suite that takes much longer has failed too.
"""

import os
import re
import resource
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from fixtures.process import end_all_descendants

# They read texts, or test the tests.
WITHOUT_MUTANTS = ('tests/check-', 'tests/logs', 'tests/mutants', 'tests/peers', '--self-test')
NEAREST = {'mailer/secure': 'tests/secure', 'mailer/keys': 'tests/keys', 'mailer/io/tls': 'tests/secure',
           'mailer/serve/metrics': 'tests/observe', 'mailer/serve/status': 'tests/observe',
           'mailer/serve/systemd': 'tests/dist', 'mailer/serve/ldap': 'tests/routes',
           'mailer/serve': 'tests/serve',
           'milter': 'tests/milter'}
# The programs that suites of pytest run.
MAILER = ('lmtpq', 'lmtpq-serve', 'lmtpq-secure.so')
PROGRAMS = {'tests/run -q tests/milter': ('lmtpq-milter',),
            'tests/run -q tests/dist': (*MAILER, 'lmtpq-milter'),
            'tests/run -q tests/keys': (*MAILER, 'lmtpq-milter'),
            'tests/run -q tests/routes': ('tests/ask_routes',),
            'tests/run ': MAILER}
UNIT_TESTS = {'milter/': ('unit milter', 'milter_unit_tests'),
              'mailer/serve/': ('unit serve', 'serve_unit_tests'),
              '': ('unit', 'unit_tests')}
REGISTERED = re.compile(r'^CPPUNIT_TEST_SUITE_REGISTRATION\((\w+)\)', re.M)
MEMORY = 8 << 30  # of addresses; the stacks and heaps of 256 threads take more than half
FILE_SIZE = 1 << 30
PATIENCE = 30  # s, and four times what the suite takes without a mutant
REASON = re.compile(r'^(?:not ok |FAILED |ERROR )(.*)', re.M)


class NotReady(Exception):
  """The sources do not compile or fail in a suite as they are."""


@dataclass(frozen=True)
class Suite:
  title: str
  command: str
  seconds: float = 0

  @property
  def programs(self) -> tuple[str, ...]:
    """Those that it runs, below the folder of the build."""
    named = tuple(re.findall(r'\$\{BUILD\}/([\w/.-]+)', self.command))
    if named:
      return (*named, *MAILER) if 'lmtpq' in named else named
    return next((programs for start, programs in PROGRAMS.items()
                 if self.command.startswith(start)), ())

  @property
  def folders(self) -> list[str]:
    """Those of its tests."""
    shared = ['tests/fixtures', 'tests/peers'] if self.command.startswith('tests/run') else []
    named = re.findall(r'(?<= )(tests/[\w/.-]+?)(?:/\w+\.py)?(?= |$)', self.command)
    return named + shared

  def complaint(self, tree: Path, build: str) -> str:
    """Why it fails; empty if it passes. Servers may fail because of other load, so all but
    unit tests must fail twice."""
    reason = self.run(tree, build)
    return reason if 'unit_tests' in self.command else reason and self.run(tree, build)

  def run(self, tree: Path, build: str, patience: float = PATIENCE) -> str:
    """Empty if it passes, otherwise why it does not."""
    limit = patience + 4 * self.seconds
    environment = os.environ | {'PYTEST_ADDOPTS': '-x', 'COLUMNS': '160'}
    with subprocess.Popen(['sh', '-c', self.command.replace('${BUILD}', build)], cwd=tree,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          env=environment, start_new_session=True, preexec_fn=bounded) as process:
      try:
        output = process.communicate(timeout=limit)[0].decode(errors='replace')
      except subprocess.TimeoutExpired:
        return f'took more than {limit:.0f} s'
      finally:
        end_group(process)
    if process.returncode == 0:
      return ''
    reason = REASON.search(output)
    return reason[1][:150] if reason else f'exit status {process.returncode}'


def bounded():
  """Before the command: a mutant may allocate or write without an end."""
  resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
  resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_SIZE, FILE_SIZE))
  resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def end_group(process: subprocess.Popen):
  if process.poll() is None:
    try:
      os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
      pass
  end_all_descendants()


def suites_of(path: Path) -> list[Suite]:
  found = []
  for line in path.read_text().splitlines():
    title, _, command = line.partition(': ')
    if command and not line.startswith('#') and title != 'jobs' \
        and not any(text in command for text in WITHOUT_MUTANTS):
      found.append(Suite(title, command.strip()))
  return [suite for suite in found if suite.programs]


def seconds_of(suite: Suite, tree: Path, build: str) -> float:
  """Without a mutant."""
  start = time.monotonic()
  # Twice, as in complaint().
  reason = suite.run(tree, build, patience=600) and suite.run(tree, build, patience=600)
  if reason:
    raise NotReady(f'the suite "{suite.title}" fails without a mutant: {reason}')
  return time.monotonic() - start


def own_tests(name: str, tree: Path) -> list[Suite]:
  """The unit tests of the folder, those of the file first: x.cpp has x_test.cpp or x_topic_test.cpp."""
  path = Path(name)
  title, program = next(unit for start, unit in UNIT_TESTS.items() if name.startswith(start))
  tests = sorted((tree / 'tests/unit' / path.parent).glob('*_test.cpp'),
                 key=lambda test: (not test.name.startswith(f'{path.stem}_'), test.name))
  classes = [found for test in tests for found in REGISTERED.findall(test.read_text())]
  return [Suite(title, f'${{BUILD}}/tests/{program} {found}', seconds=10) for found in classes]


def in_order(suites: list[Suite], name: str) -> list[Suite]:
  near = next((suite for folder, suite in NEAREST.items() if name.startswith(folder)), '(none)')

  def rank(suite: Suite):
    return (not suite.command.startswith('${BUILD}/'), '/fuzz/' in suite.command,
            near not in suite.command, suite.seconds)
  return sorted(suites, key=rank)
