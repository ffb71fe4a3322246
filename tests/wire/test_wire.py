"""What must hold whatever clients and stores do. A seed plays the same dialogues each time, but for the
order of threads."""

import pytest
from secure.hidden import password_in

from .ledger import controls_in
from .world import World

pytestmark = pytest.mark.limit(600)


class TestWire:
  @pytest.fixture(scope='class')
  def world(self, seed, scratch, lmtpq, certificates, key, request):
    folder = scratch.folder(f'wire{seed}')
    made = World(folder, lmtpq, certificates, key, seed)
    try:
      made.play(request.config.getoption('wire_clients'))
      made.heal()
      yield made
    finally:
      made.end()

  def test_both_ends_agree(self, world):
    assert not world.ledger.violations()

  def test_messages_came_through(self, world):
    assert world.ledger.count() > 50 and len(world.ledger.filed) > 20

  def test_the_log_has_no_control_characters(self, world):
    assert world.process.log_text()
    assert not controls_in(world.process.log_text())

  def test_the_password_is_in_no_log_and_not_in_clear(self, world):
    assert not password_in(world.process.log_text().encode())
    for store in world.stores:
      assert not password_in(store.in_clear), store.name

  def test_no_sanitizer_reports(self, world):
    assert world.process.alive()
    assert not world.process.sanitizers()
