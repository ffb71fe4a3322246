"""MTAs that offer less than Sendmail 8.17 does.

What the milter cannot have it does without, or it negotiates nothing; it never asks for
what was not offered (session checks that), and never refuses mail.
"""

import pytest

from peers.mta import wire
from peers.mta.session import Message, Session
from peers.mta.wire import ACTIONS, STEPS, Deviation, bits_of

from .asking import Asking, to_us

NO_REPLIES = [name for name in STEPS if name.startswith('nr_')]


def all_but(table: dict[str, int], *names: str) -> int:
  return sum(table.values()) & ~bits_of(names, table)


class TestOldMtas(Asking):
  lines = '[rule.any]\nclient = 203.0.113.80\nquota = ignore\n'

  def message(self, queue_id: str) -> Message:
    return Message(queue_id, 'a@example.org', to_us('c@store.test'),
                   [('Message-ID', '<1@a>'), ('X-LMTPQ-Tag', 'old')],
                   {'{auth_authen}': 'alice'}, 400, ['SIZE=400'])

  def assert_works(self, session: Session):
    for queue_id in ('o1', 'o2'):
      self.assert_tagged(session.ask(self.message(queue_id)), queue_id, '<1@a>', '*', deleted=1)
    session.send(list(session.commands(self.message('gone')))[:3])
    session.abort()
    self.assert_tagged(session.ask(self.message('o3')), 'o3', '<1@a>', '*', deleted=1)

  def test_without_macro_lists(self):
    session = self.connect(actions=all_but(ACTIONS, 'setsymlist'))
    assert 'setsymlist' not in session.actions
    self.assert_works(session)

  def test_with_macro_lists(self):
    session = self.connect()
    assert 'setsymlist' in session.actions
    assert '{rcpt_mailer}' in session.macros[wire.RCPT]
    assert '{rcpt_addr}' in session.macros[wire.RCPT]
    assert {'i', '{auth_authen}', '{verify}', '{cert_subject}'} <= session.macros[wire.MAIL]
    assert {'i', '{msg_size}'} <= session.macros[wire.EOM]
    self.assert_works(session)

  def test_that_wait_for_every_reply(self):
    session = self.connect(steps=all_but(STEPS, *NO_REPLIES))
    assert not session.steps & set(NO_REPLIES)
    self.assert_works(session)

  @pytest.mark.parametrize('kept', ['nr_conn', 'nr_mail', 'nr_rcpt', 'nr_hdr'])
  def test_that_wait_for_some_replies(self, kept):
    others = [name for name in NO_REPLIES if name != kept]
    session = self.connect(steps=all_but(STEPS, *others))
    assert kept in session.steps
    self.assert_works(session)

  def test_another_client_where_every_reply_is_waited_for(self):
    session = self.connect(steps=all_but(STEPS, *NO_REPLIES))
    self.assert_works(session)
    session.next_client('203.0.113.80')
    self.assert_works(session)

  def test_that_send_every_step(self):
    steps = all_but(STEPS, 'nodata', 'nounknown')
    session = self.connect(steps=steps)
    self.assert_works(session)

  def test_of_protocol_two(self):
    session = self.connect(version=2, actions=0x3f, steps=0x7f)
    self.assert_works(session)

  def test_of_later_protocols(self):
    self.assert_works(self.connect(version=99, actions=0x7fffffff, steps=0x0fffffff))

  def test_of_protocol_one(self):
    with pytest.raises(Deviation):
      self.connect(version=1)

  @pytest.mark.parametrize('action', ['chghdrs', 'addhdrs'])
  def test_that_let_no_filter_edit_fields(self, action):
    """No negotiation, or mail that goes on with no edit of that kind."""
    try:
      session = self.connect(actions=all_but(ACTIONS, action))
    except (Deviation, OSError):
      return
    assert action not in session.actions
    forbidden = wire.CHANGE_HEADER if action == 'chghdrs' else wire.INSERT_HEADER
    for queue_id in ('w1', 'w2'):
      answer = session.ask(self.message(queue_id))
      assert answer.verdict == wire.CONTINUE
      assert forbidden not in [edit.kind for edit in answer.edits]
      assert f' qid={queue_id} error="the MTA took no edits" ' in self.milter.said()

  def test_its_milter_stops_cleanly(self):
    self.stops_cleanly()
