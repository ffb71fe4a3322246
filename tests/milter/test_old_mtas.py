"""T91, T95: MTAs that offer less than Sendmail 8.17 does.

What the milter cannot have it does without, or it negotiates nothing; it never asks for
what was not offered (session checks that), and never refuses mail.
"""

from mta import wire
from mta.session import Message, Session
from mta.wire import ACTIONS, STEPS, Deviation, bits_of

from asking import Asking, to_us

NO_REPLIES = [name for name in STEPS if name.startswith('nr_')]


def all_but(table: dict[str, int], *names: str) -> int:
  return sum(table.values()) & ~bits_of(names, table)


class OldMtas(Asking):
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
    self.assertNotIn('setsymlist', session.actions)
    self.assert_works(session)

  def test_with_macro_lists(self):
    session = self.connect()
    self.assertIn('setsymlist', session.actions)
    self.assertIn('{rcpt_mailer}', session.macros[wire.RCPT])
    self.assertIn('{rcpt_addr}', session.macros[wire.RCPT])
    self.assertLessEqual({'i', '{auth_authen}', '{verify}', '{cert_subject}'},
                         session.macros[wire.MAIL])
    self.assertLessEqual({'i', '{msg_size}'}, session.macros[wire.EOM])
    self.assert_works(session)

  def test_that_wait_for_every_reply(self):
    session = self.connect(steps=all_but(STEPS, *NO_REPLIES))
    self.assertFalse(session.steps & set(NO_REPLIES))
    self.assert_works(session)

  def test_that_wait_for_some_replies(self):
    for kept in ('nr_conn', 'nr_mail', 'nr_rcpt', 'nr_hdr'):
      with self.subTest(kept=kept):
        others = [name for name in NO_REPLIES if name != kept]
        session = self.connect(steps=all_but(STEPS, *others))
        self.assertIn(kept, session.steps)
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
    with self.assertRaises(Deviation):
      self.connect(version=1)

  def test_that_let_nobody_delete_fields(self):
    self.without('chghdrs')

  def test_that_let_nobody_add_fields(self):
    self.without('addhdrs')

  def without(self, action: str):
    """No negotiation, or mail that goes on with no edit of that kind."""
    try:
      session = self.connect(actions=all_but(ACTIONS, action))
    except (Deviation, OSError):
      return
    self.assertNotIn(action, session.actions)
    forbidden = wire.CHANGE_HEADER if action == 'chghdrs' else wire.INSERT_HEADER
    for queue_id in ('w1', 'w2'):
      answer = session.ask(self.message(queue_id))
      self.assertEqual(answer.verdict, wire.CONTINUE)
      self.assertNotIn(forbidden, [edit.kind for edit in answer.edits])
