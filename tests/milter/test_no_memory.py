"""A milter that gets no memory: mail goes on, no quota is opened by mistake, the milter lives.

The library that refuses memory (no_memory.c) is compiled with cc. What cannot be judged for other
reasons is last.
"""

import itertools
from collections import Counter
from dataclasses import replace

import pytest

from fixtures.process import wait_until
from peers.mta import mail, model, tags, wire
from peers.mta.session import Answer, Message, Recipient, Session
from peers.mta.wire import Deviation

from .private_milter import KEYS
from .refusal import COUNTDOWN
from .refused_memory import CLIENT, MESSAGE, ONE, TWO, VERDICTS, Refused, opens_no_more

STAGES = {'negotiate': None, 'connect': None, 'mail': wire.MAIL, 'rcpt': wire.RCPT,
          'header': wire.HEADER, 'eom': wire.EOM}
WAITS_FOR_REPLIES = wire.ALL_STEPS & ~wire.bits_of(set(wire.NO_REPLY.values()), wire.STEPS)
CONNECT_PACKET = wire.strings('client.example.org') + b'4' + b'\0\1' + wire.strings(CLIENT)


class TestEachRequest(Refused):
  """One request of C++ is refused, and each of them in turn."""

  def judged(self, message: Message, answer: Answer) -> str:
    """The stage that failed; '' where the message was decided nevertheless."""
    not_decided = ('event=not-decided', f'qid={message.queue_id} ')
    is_right = self.is_right(message, answer)
    undecided = self.logged(*not_decided) if is_right else self.wait_logged(*not_decided)
    failed = self.logged('event=callback-failed')[self.failures_seen:]
    self.failures_seen += len(failed)
    if is_right:
      assert undecided + failed == [], answer
      return ''
    self.assert_failed(message, answer)
    assert len(undecided) == 1
    assert (f' error="a callback failed, as logged" failure={self.failure} tags-removed=yes'
            in undecided[0])
    assert len(failed) == 1
    stage = failed[0].partition('stage=')[2].split()[0]
    assert (f'qid={message.queue_id} ' in failed[0]) == (stage != 'mail'), failed[0]
    return stage

  @pytest.mark.parametrize('failure', VERDICTS)
  def test_of_a_message(self, failure):
    self.start(failure)
    self.failures_seen = 0
    seen = Counter()
    session = self.dial()
    for number in itertools.count(1):
      message = replace(MESSAGE, queue_id=f'q{number}')
      self.memory.refuse(number)
      answer = session.ask(message)
      self.logged('event=')  # the log's thread asks for memory, too
      if self.memory.is_due():
        break
      seen[self.judged(message, answer)] += 1
      self.assert_serves(session, f'after{number}')
    self.memory.never_mind()
    # '': the line in the log was refused, and a decision is valid without one.
    assert set(seen) == {'mail', 'rcpt', 'header', 'eom', ''}, seen
    assert self.memory.refused == seen.total()
    assert seen.total() > 50

  def test_of_a_message_and_of_libmilter_too(self):
    # libmilter shows the macros of the last command again where it had no memory for new ones.
    self.start()
    seen = Counter()
    session = None
    for number in itertools.count(1):
      session = session or self.dial()
      message = replace(MESSAGE, queue_id=f'q{number}')
      self.memory.refuse(number, COUNTDOWN)
      try:
        answer = session.ask(message)
      except (Deviation, OSError):
        session = None
        seen['closed'] += 1
        continue
      if self.memory.is_due():
        break
      for edit in answer.edits:
        if edit.kind == wire.INSERT_HEADER:
          assert opens_no_more(message, edit.value), f'request {number}: {edit.value}'
      seen['right' if self.is_right(message, answer) else 'less'] += 1
      self.assert_serves(session, f'after{number}')
    self.memory.never_mind()
    assert set(seen) == {'closed', 'right', 'less'}

  def test_of_a_new_connection(self):
    self.start('tempfail')
    for number in itertools.count(1):
      self.memory.refuse(number)
      session = self.dial()
      if self.memory.is_due():
        break
      self.memory.never_mind()
      self.assert_serves(session, f'first{number}')
      session.close()
    self.memory.never_mind()
    assert number >= 2

  def test_of_a_reload(self):
    self.start()
    outcomes = Counter()
    session = self.dial()
    now, other = ONE, TWO
    number = 1
    while not self.memory.is_due():
      self.configure(other)
      self.memory.refuse(number)
      outcome = self.reload(other)
      assert self.milter.alive(), f'request {number}: {self.milter.said()[-300:]}'
      if self.memory.is_due():
        break
      message = replace(MESSAGE, queue_id=f'r{number}')
      if outcome != 'reload-failed':
        now, other = other, now
      # Completely the one or completely the other.
      now.check(CLIENT, message, session.ask(message))
      outcomes[outcome] += 1
      number += 1 + number // 60
    assert outcomes['reload-failed'] > 50, outcomes
    self.memory.never_mind()
    self.configure(ONE)
    assert self.reload(ONE) == 'reloaded'
    self.assert_serves(session)

  def reload(self, version: model.Version) -> str:
    """The event that was logged; 'unlogged' where there was no memory for that line, and the new
    configuration shows in the answers."""
    reloads, refused = len(self.logged('event=reload')), self.memory.refused
    self.milter.hang_up()

    def outcome() -> str:
      was_refused = self.memory.refused > refused
      if lines := self.logged('event=reload')[reloads:]:
        return lines[0].partition('event=')[2].split()[0]
      if not self.milter.alive():
        return 'the milter has ended'
      return 'unlogged' if was_refused and self.answers_by(version) else ''
    return wait_until(outcome, 'a reload')

  def answers_by(self, version: model.Version) -> bool:
    session, message = self.dial(), replace(MESSAGE, queue_id='version')
    answer = session.ask(message)
    session.close()
    return self.is_right(message, answer, version)


class TestGaps(Refused):
  """From one stage of a message to another C++ gets nothing at all."""

  def through(self, message: Message, first: str, last: str) -> tuple[Session, Answer]:
    stages = list(STAGES)
    without = stages[stages.index(first):stages.index(last) + 1]

    def memory(stage: str):
      return self.memory.one_in(new=1 if stage in without else 0)

    with memory('negotiate'):
      session = self.dial('', steps=WAITS_FOR_REPLIES)
    with memory('connect'):
      session.client(CLIENT)
    for command, data in session.commands(message):
      stage = next((name for name, letter in STAGES.items() if letter == command), '')
      if stage == 'eom':
        break
      with memory(stage):
        session.send([(command, data)])
    with memory('eom'):
      session.wire.send(data)
      return session, session.finish()

  @pytest.mark.parametrize('failure', VERDICTS)
  def test_each(self, failure):
    self.start(failure)
    stages = list(STAGES)
    for first, last in itertools.combinations_with_replacement(stages, 2):
      message = replace(MESSAGE, queue_id=f'{first}-{last}')
      before = self.memory.refused
      session, answer = self.through(message, first, last)
      if last != 'connect' or first == 'negotiate':  # which alone needs none
        assert self.memory.refused > before, message.queue_id
      if last in ('negotiate', 'connect'):
        assert self.is_right(message, answer), answer
      else:
        unseen = stages.index(first) <= 2 and last in ('header', 'eom')
        self.assert_failed(message, answer, cleaned=not unseen)
        # Without memory from the start there is no place for the reason that a callback failed.
        why = 'a callback failed, as logged' if first != 'negotiate' else 'MAIL was not taken in'
        if last != 'eom':
          self.wait_logged('event=not-decided', f'qid={message.queue_id} error="{why}" ')
      self.assert_serves(session, f'after-{first}-{last}')

  def test_a_message_keeps_the_failure_action_that_it_began_with(self):
    self.start('tempfail')
    session = self.dial(steps=WAITS_FOR_REPLIES)
    for command, data in session.commands(MESSAGE):
      if command == wire.EOM:
        break
      with self.memory.one_in(new=1 if command == wire.HEADER else 0):
        session.send([(command, data)])
    self.milter.config.write_text(self.version_conf['one'].replace('tempfail', 'accept', 1))
    self.milter.hang_up()
    wait_until(lambda: self.logged('event=reloaded '), 'a reload')
    session.wire.send(data)
    self.assert_failed(MESSAGE, session.finish())


class TestClients(Refused):
  def test_a_client_without_memory_for_its_address_is_not_local(self):
    self.start(lines='[rule.ours]\nclient = local 192.0.2.0/24\nquota = ignore\n')
    with self.memory.one_in(new=1):
      forgotten = self.dial('', steps=WAITS_FOR_REPLIES)
      forgotten.send([(wire.CONNECT, forgotten.command(wire.CONNECT, CONNECT_PACKET, {}))])
    answer = forgotten.ask(Message('c1', 'a@example.org',
                                   [Recipient('bob@store.test', 'bob', 'cyrusv2')]))
    assert tags.verify(answer.edits[0].value, KEYS, '', 'c1').quota == '-'


class TestUnderLoad(Refused):
  """Requests of all are refused at random, those of libmilter too."""

  def attempt(self, number: int, session: Session | None) -> tuple[Session | None, str]:
    message = replace(mail.message(number), queue_id=f'n{number}')
    try:
      session = session or self.dial(timeout=0.5)
      if number % 17 == 0:
        session.send(list(session.commands(mail.message(number + 1)))[:1 + number % 5])
        session.abort()
      answer = session.ask(message)
    except (Deviation, OSError):
      return None, 'closed'
    if self.is_right(message, answer):
      return session, 'right'
    for edit in answer.edits:
      if edit.kind == wire.INSERT_HEADER:
        assert opens_no_more(message, edit.value), f'{edit.value} {message}'
    assert answer.verdict in (wire.CONTINUE, VERDICTS[self.failure]), message
    return session, 'failed'

  @pytest.mark.parametrize('failure, one_in, count', [
      ('accept', 200, 1500), ('tempfail', 200, 1500), ('accept', 20, 120)],
                           ids=['accept', 'tempfail', 'hardly any memory'])
  def test_no_answer_is_wrong(self, failure, one_in, count):
    self.start(failure)
    seen = Counter()
    session = None
    with self.memory.one_in(everybody=one_in):
      for number in range(count):
        session, outcome = self.attempt(number, session)
        seen[outcome] += 1
        assert self.milter.alive(), f'message {number}: {self.milter.said()[-500:]}'
        if number % 50 == 0:
          self.milter.hang_up()
    assert self.memory.refused > 50
    assert seen['right'] and seen['failed'], seen
    for number in range(30):
      self.assert_serves(self.dial(), f'after{number}')
    assert self.milter.farewell() == ''


class TestUnjudged(Refused):
  """What cannot be judged though there is memory."""
  with_preload = False

  @pytest.mark.parametrize('failure', VERDICTS)
  def test_a_queue_id_that_changes_within_a_message(self, failure):
    # A message looks like this when libmilter had no memory for the macros.
    self.start(failure)
    session = self.dial()
    *begun, _ = session.commands(replace(MESSAGE, queue_id='mine'))
    session.send(begun)
    session.wire.send(session.command(wire.EOM, b'', {'i': 'other'}))
    self.assert_failed(MESSAGE, session.finish())
    self.assert_serves(session)

  def test_one_with_too_much_header_counts_against_no_limit(self):
    self.start(lines='[rule.few]\nheader X-Notice = *\nclient = 192.0.2.7\nlimit = 2/day\n'
                     'quota = ignore\n')
    session = self.dial()

    def quota(queue_id: str, length: int) -> str:
      answer = session.ask(Message(queue_id, 'a@example.org',
                                   [Recipient('bob@store.test', 'bob', 'cyrusv2')],
                                   [('X-Notice', 'x' * length)]))
      return tags.verify(answer.edits[0].value, KEYS, '', queue_id).quota

    assert [quota(f'l{number}', 9000) for number in range(5)] == ['-'] * 5
    # One field that is too long, and another that matches.
    both = Message('both', 'a@example.org', [Recipient('bob@store.test', 'bob', 'cyrusv2')],
                   [('X-Notice', 'x'), ('X-Notice', 'x' * 9000)])
    for _ in range(5):
      answer = session.ask(both)
      assert tags.verify(answer.edits[0].value, KEYS, '', 'both').quota == '-'
    assert [quota(f's{number}', 10) for number in range(3)] == ['*', '*', '-']
