"""A PatchMail with a scripted peer as its store, and what must hold in every dialogue with it."""

import contextlib
from collections.abc import Iterator

import pytest

from .dialogue import Transaction, exchanges, transactions
from .patch_mail import PatchMail
from .peer import Peer, Session


class PeerMail(PatchMail):
  store: Peer

  def __init__(self, *arguments):
    super().__init__(*arguments)
    self.peer.forget()

  @property
  def peer(self) -> Peer:
    return self.store

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
        assert one.trace_id in ('', own), one
    for one in exchanges(sessions, 'TRACE'):
      assert not one.early, f'sent more before the reply to {one.sent!r}'
    return sessions

  def assert_traced(self, sessions: list[Session]) -> list[Transaction]:
    """Every message went under its own id."""
    found = transactions(sessions)
    assert [one.trace_id for one in found] == [one.qid for one in found]
    return found

  def assert_not_shown(self, token: bytes, but: str = 'TRACE refused: '):
    """Neither in any message that the peer took, nor in the log, nor in the queue."""
    for user, messages in self.peer.filed.items():
      for raw in messages:
        assert token not in raw, user
    lines = [line for line in self.sendmail.log_lines(token.decode()) if but not in line]
    assert lines == []
    assert token.decode() not in self.sendmail.mailq()


@pytest.mark.store(kind=Peer)
class PeerCases:
  """The base of the classes of tests that use a peer."""

  @pytest.fixture
  def mail(self, scratch, store, tested) -> Iterator[PeerMail]:
    with contextlib.closing(PeerMail(scratch, store, tested)) as one:
      yield one
