"""Commands in an order that no MTA sends, and in some that MTAs do send.

What comes without its MAIL belongs to no message; nothing of a message counts for the next one;
and no client ends the milter.
"""

import struct

import pytest

from peers.mta import tags, wire
from peers.mta.session import Answer, Message
from peers.mta.wire import Deviation, packet, strings

from .asking import Asking, to_us
from ..private_milter import SECRET

NOTICE = 'notice@example.org'


class TestOrder(Asking):
  lines = f'[rule.sender]\nfrom = {NOTICE}\nquota = ignore\n'

  def good(self, session, queue_id='next', quota='-'):
    """The next message is judged by itself alone."""
    message = Message(queue_id, 'plain@example.org', to_us('c@store.test'),
                      [('Message-ID', f'<{queue_id}@a>')])
    return self.assert_tagged(session.ask(message), queue_id, f'<{queue_id}@a>', quota)

  def commands(self, session, *wanted: bytes, sender=NOTICE, last_id='odd'):
    data = {wire.MAIL: session.command(wire.MAIL, strings(f'<{sender}>'), {'i': 'odd'}),
            wire.RCPT: session.command(wire.RCPT, strings('<c@store.test>'),
                                       {'{rcpt_mailer}': 'cyrusv2', '{rcpt_addr}': 'c'}),
            wire.HEADER: session.command(wire.HEADER, strings('X-LMTPQ-Tag', 'old')),
            wire.EOM: session.command(wire.EOM, b'', {'i': last_id}),
            wire.ABORT: packet(wire.ABORT)}
    session.wire.send(b''.join(data[one] for one in wanted))

  def answers_to(self, *wanted: bytes) -> list[Answer]:
    """To these commands, as far as there are any, and to a good message after them."""
    session = self.connect()
    self.commands(session, *wanted)
    session.begin(Message('next', 'plain@example.org', to_us('c@store.test')))
    answers = [session.finish()]
    bound = tags.id_digest(SECRET, 'queue-id', 'next')
    while not any(f'i={bound};' in edit.value for edit in answers[-1].edits):
      answers.append(session.finish())
    assert session.wire.silent(0.02)
    return answers

  @pytest.mark.parametrize('order', [
      (wire.RCPT,), (wire.HEADER,), (wire.EOM,), (wire.RCPT, wire.EOM), (wire.HEADER, wire.EOM),
      (wire.RCPT, wire.HEADER, wire.EOM), (wire.ABORT, wire.RCPT, wire.HEADER),
      (wire.MAIL, wire.EOM), (wire.MAIL, wire.HEADER),
      (wire.MAIL, wire.HEADER, wire.RCPT, wire.EOM), (wire.MAIL, wire.MAIL),
      (wire.MAIL, wire.RCPT, wire.MAIL), (wire.MAIL, wire.RCPT, wire.HEADER, wire.MAIL),
      (wire.MAIL, wire.RCPT, wire.ABORT, wire.HEADER, wire.EOM),
      (wire.MAIL, wire.RCPT, wire.HEADER, wire.RCPT, wire.EOM), (wire.ABORT, wire.ABORT)],
                           ids=lambda order: b''.join(order).decode())
  def test_what_comes_without_its_mail(self, order):
    *others, last = self.answers_to(*order)
    self.assert_tagged(last, 'next')
    for answer in others:
      assert answer.verdict in (wire.CONTINUE, wire.TEMPFAIL)
      assert 'q=*' not in ''.join(edit.value for edit in answer.edits)

  def test_a_recipient_without_mail_takes_no_former_sender(self):
    session = self.connect()
    self.assert_tagged(session.ask(Message('m1', NOTICE, to_us('c@store.test'))), 'm1', quota='*')
    self.commands(session, wire.RCPT, wire.HEADER, wire.EOM)
    self.good(session)

  def test_a_message_whose_queue_id_changes_is_not_decided(self):
    session = self.connect()
    self.commands(session, wire.MAIL, wire.RCPT, wire.HEADER, wire.EOM, last_id='other')
    assert [edit.kind for edit in session.finish().edits] == [wire.CHANGE_HEADER]
    assert (' qid=other error="the queue id changed during the message" failure=accept '
            'tags-removed=yes') in self.milter.said()
    self.good(session)

  def test_end_of_message_twice(self):
    session = self.connect()
    self.assert_tagged(session.ask(Message('m1', NOTICE, to_us('c@store.test'))), 'm1', quota='*')
    self.commands(session, wire.EOM)
    self.good(session)

  def test_a_message_without_recipients(self):
    # libmilter ignores what follows MAIL at once, its end too: no answer comes.
    session = self.connect()
    session.begin(Message('m1', NOTICE, [], [('X-LMTPQ-Tag', 'old')]))
    self.good(session)

  def test_mail_on_a_connection_without_a_client(self):
    session = self.connect(client=None)
    try:
      session.begin(Message('m1', NOTICE, to_us('c@store.test')))
      session.finish()
    except Deviation:
      pass  # libmilter may close it

  def test_a_second_client_without_quit(self):
    session = self.connect()
    session.client('198.51.100.1')
    self.good(session)

  def test_another_client_on_the_same_connection(self):
    # libmilter takes QUIT_NC after the end of a message only.
    session = self.connect()
    self.good(session, 'm1')
    session.next_client('198.51.100.1')
    self.good(session, 'm2')
    session.send(list(session.commands(Message('m3', NOTICE, to_us('c@store.test'))))[:2])
    session.next_client('198.51.100.1')
    self.good(session, 'm4')

  def test_negotiation_again(self):
    session = self.connect()
    self.good(session, 'm1')
    session.wire.send(packet(wire.NEGOTIATE, struct.pack('!III', 6, 0, 0)))
    self.good(session, 'm2')

  def test_quit_within_a_message(self):
    for stages in range(1, 4):
      session = self.connect()
      self.commands(session, *(wire.MAIL, wire.RCPT, wire.HEADER)[:stages])
      session.close()

  def test_messages_in_one_piece(self):
    session = self.connect()
    messages = [Message(f'p{number}', NOTICE if number % 2 else 'plain@example.org',
                        to_us('c@store.test'), [('Message-ID', f'<{number}@a>')])
                for number in range(50)]
    session.wire.send(b''.join(data for one in messages for _, data in session.commands(one)))
    for number, one in enumerate(messages):
      self.assert_tagged(session.finish(), one.queue_id, f'<{number}@a>', '-*'[number % 2])

  def test_transactions_in_one_piece_with_aborts(self):
    session = self.connect()
    data = b''
    for number in range(20):
      given_up = list(session.commands(Message('gone', NOTICE, to_us('c@store.test'))))
      data += b''.join(packets for _, packets in given_up[:number % len(given_up)])
      data += packet(wire.ABORT) * (number % 3)
      kept = Message(f'k{number}', 'plain@example.org', to_us('c@store.test'))
      data += b''.join(packets for _, packets in session.commands(kept))
    session.wire.send(data)
    for number in range(20):
      self.assert_tagged(session.finish(), f'k{number}')

  def test_its_milter_stops_cleanly(self):
    self.stops_cleanly()
