"""TLS and AUTH between lmtpq and a store: `store` is a Cyrus with a certificate and a login, `mail`
a CyrusMail, unless a class overrides them."""

import contextlib
from collections.abc import Iterator

import pytest

from fixtures.authority import Authority
from fixtures.cyrus import Cyrus
from fixtures.mail import running
from fixtures.secure_mail import CyrusMail, secured_cyrus


@pytest.fixture(scope='class')
def authority(scratch) -> Authority:
  return Authority(scratch.folder('authority'))


@pytest.fixture(scope='class')
def store(scratch, authority) -> Iterator[Cyrus]:
  with running(secured_cyrus(scratch, authority)) as one:
    yield one


@pytest.fixture
def mail(scratch, store, authority) -> Iterator[CyrusMail]:
  with contextlib.closing(CyrusMail(scratch, store, authority)) as one:
    yield one
