"""lmtpq-milter tags the mail of each test's Sendmail: `mail` is a TaggedMail here."""

import contextlib
from collections.abc import Iterator

import pytest

from fixtures.tagged_mail import TaggedMail


@pytest.fixture
def mail(scratch, store) -> Iterator[TaggedMail]:
  with contextlib.closing(TaggedMail(scratch, store)) as one:
    yield one
