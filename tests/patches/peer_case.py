"""A PatchCase before a scripted peer, and what must hold in every dialogue with it."""

from dialogue import Transaction, exchanges, transactions
from patch_case import PatchCase
from peer import Peer, Session


class PeerCase(PatchCase):
  make_store = Peer
  store: Peer

  @property
  def peer(self) -> Peer:
    return self.store

  def setUp(self):
    super().setUp()
    self.peer.forget()

  def mailbox(self, name: str) -> str:
    return name  # the peer knows them all, and answers by name

  def run_queue(self) -> list[Session]:
    """The sessions of one queue run, which were right in what must hold always."""
    self.sendmail.run_queue()
    return self.right(self.peer.take())

  def right(self, sessions: list[Session], owners: dict[str, str] | None = None) -> list[Session]:
    """No message under another's id; TRACE is waited for. owners: sender -> queue id, for
    transactions without a message."""
    for one in transactions(sessions):
      own = one.qid or (owners or {}).get(one.sender, '')
      if own:
        self.assertIn(one.trace_id, ('', own), one)
    for one in exchanges(sessions, 'TRACE'):
      self.assertFalse(one.early, f'sent more before the reply to {one.sent!r}')
    return sessions

  def assert_traced(self, sessions: list[Session]) -> list[Transaction]:
    """Every message went under its own id."""
    found = transactions(sessions)
    self.assertEqual([one.trace_id for one in found], [one.qid for one in found])
    return found

  def assert_never_heard(self, token: bytes, but: str = 'TRACE refused: '):
    """Neither in any message that the peer took, nor in the log, nor in the queue."""
    for user, messages in self.peer.filed.items():
      for raw in messages:
        self.assertNotIn(token, raw, user)
    lines = [line for line in self.sendmail.log_lines(token.decode()) if but not in line]
    self.assertEqual(lines, [])
    self.assertNotIn(token.decode(), self.sendmail.mailq())
