"""The directory of a test."""

import pytest

from .directory import Directory


@pytest.fixture
def directory(scratch, ask_routes, certificates):
  made = Directory(ask_routes, scratch.path, certificates)
  yield made
  made.end()
