"""Runs a patched Sendmail end to end, and with it the unpatched one of the same version.

tests/run tests/patches --patched BINARY --stock BINARY --sendmail-version V --tree TREE
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from fixtures.mail import store  # noqa: F401

from .patch_mail import PatchMail, Tested


def pytest_addoption(parser):
  group = parser.getgroup('patches')
  group.addoption('--patched', metavar='BINARY', help='the patched Sendmail')
  group.addoption('--stock', metavar='BINARY', help='the unpatched Sendmail')
  group.addoption('--sendmail-version', metavar='V', help='the version of both')
  group.addoption('--tree', metavar='TREE', help="the source tree of V, for its cf/ folder")


@pytest.fixture(scope='session')
def tested(request) -> Tested:
  if os.geteuid() != 0:
    pytest.fail('needs root, as a Sendmail that delivers for other users does', pytrace=False)
  values = [request.config.getoption(name)
            for name in ('patched', 'stock', 'sendmail_version', 'tree')]
  if None in values:
    pytest.fail('needs --patched, --stock, --sendmail-version and --tree', pytrace=False)
  patched, stock, version, tree = values
  return Tested(Path(patched).resolve(), Path(stock).resolve(), version, Path(tree).resolve())


@pytest.fixture
def mail(scratch, store, tested) -> Iterator[PatchMail]:  # noqa: F811
  with contextlib.closing(PatchMail(scratch, store, tested)) as one:
    yield one
