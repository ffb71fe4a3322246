"""Real Sendmail delivers through lmtpq to Cyrus, Dovecot and our store: see fixtures/mail.py."""

import os

import pytest

from fixtures.mail import mail, store  # noqa: F401


@pytest.fixture(scope='session', autouse=True)
def root():
  if os.geteuid() != 0:
    pytest.fail('needs root, as a Sendmail that delivers for other users does', pytrace=False)
