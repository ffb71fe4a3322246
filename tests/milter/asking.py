"""What tests of the bare protocol share: a milter for each class, and what must go on working.

What it is: Asking starts a milter with the class's lines, gives connections to it, and sees after
  each test that it still serves everybody else.
What it does not know: what is sent.
Called by: the test_*.py here; run sets the binary and the folder, and asks for the farewells.
Lifetimes: a milter lives from the first test of its class to farewells().
"""

import unittest
from pathlib import Path

from mta import tags, wire
from mta.session import Answer, Message, Recipient, Session

from private import KEYS, Milter

milters: dict[type, Milter] = {}


def to_us(*names: str) -> list[Recipient]:
  return [Recipient(name, name, 'cyrusv2') for name in names]


def farewells():
  """(name, problem) of every milter, which has ended then."""
  for milter in milters.values():
    milter.ask_to_stop()
  for owner, milter in milters.items():
    yield f'{owner.__name__}: its milter stops cleanly', milter.farewell()


class Asking(unittest.TestCase):
  binary = ''
  folder: Path | None = None
  lines = ''  # of the configuration

  def setUp(self):
    owner = type(self)
    if owner not in milters:
      milters[owner] = Milter(self.binary, self.folder / owner.__name__, lines=self.lines)
      milters[owner].start()
    self.milter = milters[owner]
    self.sessions: list[Session] = []

  def tearDown(self):
    for session in self.sessions:
      session.close(quit_first=False)
    self.assertTrue(self.milter.alive(), f'the milter has ended: {self.milter.said()[-400:]}')
    last = self.connect('203.0.113.9')
    self.assert_tagged(last.ask(Message('good', 'x@example.org', to_us('bob@store.test'))), 'good')
    last.close()

  def connect(self, client: str | None = '203.0.113.80', **offer) -> Session:
    session = Session(str(self.milter.socket), **offer)
    self.sessions.append(session)
    if client is not None:
      session.client(client)
    return session

  def tag_of(self, answer: Answer, deleted: int = 0) -> str:
    """The value of the one tag, where all edits are as they must be; '' is none."""
    self.assertEqual(answer.verdict, wire.CONTINUE)
    old = [(edit.kind, edit.name.lower(), edit.index, edit.value)
           for edit in answer.edits[:deleted]]
    self.assertEqual(old, [(wire.CHANGE_HEADER, tags.NAME.lower(), index, '')
                           for index in range(deleted, 0, -1)])
    inserted = answer.edits[deleted:]
    if not inserted:
      return ''
    self.assertEqual([(edit.kind, edit.name, edit.index) for edit in inserted],
                     [(wire.INSERT_HEADER, tags.NAME, 0)])
    return inserted[0].value

  def assert_tagged(self, answer: Answer, queue_id: str, message_id: str = '', quota='-',
                    deleted: int = 0) -> tags.Claims:
    claims = tags.verify(self.tag_of(answer, deleted), KEYS, message_id, queue_id)
    self.assertEqual(claims.quota, quota)
    return claims

  def assert_untagged(self, answer: Answer, deleted: int = 0):
    self.assertEqual(self.tag_of(answer, deleted), '')
