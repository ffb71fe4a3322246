"""What the cases share: a certificate authority, the files that options name, and lmtpq."""

import pytest

from fixtures.scratch import Scratch

from .case import CaseRunner
from .option_files import make_files


def pytest_configure(config):
  # Some stores speak old versions on purpose.
  config.addinivalue_line('filterwarnings', 'ignore:ssl.TLSVersion:DeprecationWarning')


@pytest.fixture(scope='session')
def runner(lmtpq, certificates):
  scratch = Scratch('secure')
  make_files(scratch.path / 'files', certificates)
  yield CaseRunner(lmtpq, scratch.path, certificates, scratch.path / 'files')
  scratch.remove()
