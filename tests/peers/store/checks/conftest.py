"""A store for each test; its mark store_options(OPTION..., users=(...)) says how it is started."""

import pytest

from .running_store import Store


def pytest_configure(config):
  config.addinivalue_line(
      'markers', 'store_options(option, ..., users): how the store is started, and for whom')


@pytest.fixture
def store(request, scratch, store_bin):
  mark = request.node.get_closest_marker('store_options')
  users = mark.kwargs.get('users') if mark else None
  made = Store(store_bin, scratch.path, mark.args if mark else (), users or ('alice', 'bob'))
  yield made
  made.close()
