"""What the tests of the bare protocol share: a milter for each class, and what must go on working.

What it is: Asking starts a milter with the class's lines, gives connections to it, and checks after
  each test that it still serves all others. The last test of a class calls stops_cleanly().
What it does not know: what is sent.
Called by: the test_*.py here.
"""

import pytest

from peers.mta import tags, wire
from peers.mta.session import Answer, Message, Recipient, Session

from ..private_milter import KEYS, Milter


def to_us(*names: str) -> list[Recipient]:
  return [Recipient(name, name, 'cyrusv2') for name in names]


class Asking:
  lines = ''  # of the configuration
  milter: Milter
  sessions: list[Session]

  @pytest.fixture(scope='class')
  def private_milter(self, request, scratch, lmtpq_milter):
    made = Milter(lmtpq_milter, scratch.path / 'milter', lines=request.cls.lines)
    made.start()
    yield made
    made.stop()

  @pytest.fixture(autouse=True)
  def serves_all_others(self, private_milter):
    self.milter, self.sessions = private_milter, []
    yield
    for session in self.sessions:
      session.close(quit_first=False)
    if self.milter.stopped:
      return
    assert self.milter.alive(), f'the milter has ended: {self.milter.said()[-400:]}'
    last = self.connect('203.0.113.9')
    self.assert_tagged(last.ask(Message('good', 'x@example.org', to_us('bob@store.test'))), 'good')
    last.close()

  def stops_cleanly(self):
    assert self.milter.farewell() == ''

  def connect(self, client: str | None = '203.0.113.80', **offer) -> Session:
    session = Session(str(self.milter.socket), **offer)
    self.sessions.append(session)
    if client is not None:
      session.client(client)
    return session

  def tag_of(self, answer: Answer, deleted: int = 0) -> str:
    """The value of the one tag, where all edits are as they must be; '' is none."""
    assert answer.verdict == wire.CONTINUE
    old = [(edit.kind, edit.name.lower(), edit.index, edit.value)
           for edit in answer.edits[:deleted]]
    assert old == [(wire.CHANGE_HEADER, tags.NAME.lower(), index, '')
                   for index in range(deleted, 0, -1)]
    inserted = answer.edits[deleted:]
    if not inserted:
      return ''
    assert [(edit.kind, edit.name, edit.index) for edit in inserted] == [
        (wire.INSERT_HEADER, tags.NAME, 0)]
    return inserted[0].value

  def assert_tagged(self, answer: Answer, queue_id: str, message_id: str = '', quota='-',
                    deleted: int = 0) -> tags.Claims:
    claims = tags.verify(self.tag_of(answer, deleted), KEYS, message_id, queue_id)
    assert claims.quota == quota
    return claims
