"""What the tests without memory share: a milter that gets none when a test says so.

What it is: Refused, the base of the classes; MESSAGE, which needs memory for everything; whether
  a tag opens no quota but those that the rules open.
What it does not know: which requests are refused.
Called by: test_no_memory.py.
Lifetimes: a milter for each test.
"""

from dataclasses import replace

import pytest

from fixtures.paths import is_sanitized
from fixtures.process import wait_until
from fixtures.scratch import Scratch
from peers.mta import model, tags, wire
from peers.mta.session import Answer, Message, Recipient, Session
from peers.mta.wire import Deviation

from .private_milter import Milter
from .refusal import NoMemory

ONE, TWO = model.VERSIONS
CLIENT = '192.0.2.7'
# Every kind of thing that takes memory; names are too long for a string without any.
MESSAGE = Message(
    'q', 'notice.of.the.day@example.org',
    [Recipient('somebody.or.other@store.test', 'somebody.else@store.test', 'cyrusv2'),
     Recipient('vip-and.another.one@store.test', 'vip-and.another@store.test', 'cyrusv2q')],
    [(tags.NAME, 'old'), ('Message-ID', '<a.long.enough.one@example.org>'),
     ('X-Notice', 'no, not at all, whatever it says'), ('x-lmtpq-tag', 'another old one')],
    {'{auth_authen}': 'somebody.with.a.login'}, 65000)
OLD_TAGS = {1, 2}
VERDICTS = {'accept': wire.CONTINUE, 'tempfail': wire.TEMPFAIL}


@pytest.mark.may_skip('a sanitizer')
class Refused:
  """A milter under refused memory, with the model's first version for its rules, or with others."""
  with_preload = True

  @pytest.fixture(autouse=True)
  def no_milter_yet(self, lmtpq_milter):
    if self.with_preload and is_sanitized(lmtpq_milter):
      pytest.skip('a sanitizer has its own malloc()')
    scratch = Scratch('no-memory')
    self.binary, self.folder = lmtpq_milter, scratch.path
    self.milter: Milter | None = None
    self.sessions: list[Session] = []
    self.memory = None
    yield
    for session in self.sessions:
      session.close(quit_first=False)
    if self.milter:
      self.milter.stop()
    scratch.remove()

  def start(self, failure: str = 'accept', lines: str = '') -> Milter:
    self.failure = failure
    self.version_conf = {}
    for version in model.VERSIONS:
      text = version.write(self.folder).read_text()
      self.version_conf[version.name] = f'failure = {failure}\n{text}'
    self.milter = Milter(self.binary, self.folder, lines=f'failure = {failure}\n{lines}')
    if not lines:
      self.configure(ONE)
    if self.with_preload:
      self.memory = NoMemory(self.folder)
    self.milter.start(self.memory.environment if self.memory else None)
    # It listens before it serves, and needs its memory in between.
    self.dial().ask(MESSAGE)
    return self.milter

  def configure(self, version: model.Version):
    self.milter.config.write_text(self.version_conf[version.name])

  def dial(self, client: str = CLIENT, **offer) -> Session:
    session = Session(str(self.milter.socket), **offer)
    self.sessions.append(session)
    if client:
      session.client(client)
    return session

  def logged(self, *having: str) -> list[str]:
    return [line for line in self.milter.said().splitlines()
            if all(word in line for word in having)]

  def wait_logged(self, *having: str) -> list[str]:
    """Such lines, once there are any: the log's thread tries again a second after it got no memory."""
    return wait_until(lambda: self.logged(*having), f'a line with {having}')

  def is_right(self, message: Message, answer: Answer, *versions: model.Version) -> bool:
    for version in versions or (ONE,):
      try:
        version.check(CLIENT, message, answer)
        return True
      except Deviation:
        pass
    return False

  def assert_failed(self, message: Message, answer: Answer, cleaned: bool = True):
    """The failure action, no tag of ours, and none from outside where that could be."""
    where = f'{message.queue_id}: {answer}'
    assert answer.verdict == VERDICTS[self.failure], where
    deleted = {edit.index for edit in answer.edits}
    assert {edit.kind for edit in answer.edits} - {wire.CHANGE_HEADER} == set(), where
    if cleaned:
      assert deleted == OLD_TAGS, where

  def assert_serves(self, session: Session, queue_id: str = 'after'):
    message = replace(MESSAGE, queue_id=queue_id)
    ONE.check(CLIENT, message, session.ask(message))
    assert self.logged('not-decided', f'qid={queue_id} ') == []


def opens_no_more(message: Message, tag: str) -> bool:
  """Whether it opens no quota but those that the rules open.

  A recipient whose macros did not reach the milter may be missing.
  """
  try:
    claims = tags.verify(tag, ONE.keys, model.message_id(message), message.queue_id)
  except Deviation:
    return True  # it is not valid, as with the last message's queue id
  ignoring = [one for one in message.recipients
              if one.mailer in model.TAG_MAILERS and ONE.ignores(CLIENT, message, one)]
  if claims.quota == '*':
    return len(ignoring) == len(message.recipients)
  allowed = {tags.recipient_digest(ONE.secret, name) for one in ignoring
             for name in (one.given, one.resolved)}
  return claims.quota == '-' or claims.quota <= allowed
