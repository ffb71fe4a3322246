"""The m4 of cf/ with the real Sendmail: the .cf, the routing, and what the mailer receives.

Needs sendmail-bin, sendmail-cf, m4 and a C compiler; no root, no network, no system mail
configuration. As root the mailer's user is checked too.
"""

from collections.abc import Iterator

import pytest

from fixtures.scratch import Scratch

from .configuration import Cf


@pytest.fixture(scope='session')
def cf() -> Iterator[Cf]:
  scratch = Scratch('cf')
  yield Cf(scratch)
  scratch.remove()
