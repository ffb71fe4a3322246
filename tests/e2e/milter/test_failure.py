"""A milter without memory and a real Sendmail: what `failure` promises is kept."""

import pytest

from fixtures.load import Load
from fixtures.messages import message
from fixtures.milter import Milter, filter_lines
from fixtures.paths import is_sanitized, program
from fixtures.process import wait_until
from fixtures.tagged_mail import NOTICES
from milter.refusal import NoMemory

CONNECTIONS, MESSAGES = 5, 40
OWN_MALLOC = 'a sanitizer build has a malloc() that cannot be made to fail'


@pytest.mark.weight(2)
@pytest.mark.may_skip(OWN_MALLOC)
class TestMilterFailure:
  @pytest.fixture(scope='class', autouse=True)
  def not_sanitized(self):
    if is_sanitized(program('LMTPQ_MILTER')):
      pytest.skip(OWN_MALLOC)

  def with_starved_milter(self, mail, failure: str):
    """Its memory is refused when `self.memory` says so."""
    mail.milter = Milter(mail.scratch, f'milter{mail.number}', NOTICES, f'failure = {failure}')
    self.memory = NoMemory(mail.milter.dir)
    mail.milter.environment |= self.memory.environment
    mail.milter.start()
    mail.with_lmtpq(f'--tag-keys={mail.milter.mailer_keys}', filter_lines(mail.milter.socket))
    mail.sendmail.start()

  def bring(self, mail, user: str, **refused: int) -> Load:
    load = Load(mail.sendmail.port, mail.notice, [f'{user}@store.test'],
                lambda: message(sender=mail.notice), CONNECTIONS, MESSAGES)
    with self.memory.one_in(**refused):
      load.start()
      load.finish()
    assert self.memory.refused > 0
    assert mail.milter.server.child.poll() is None, 'the milter still runs'
    assert len(load.taken) == CONNECTIONS * MESSAGES
    return load

  def assert_each_once(self, mail, load: Load, user: str):
    mail.assert_queue_empty()
    assert sorted(mail.store.message_ids(user)) == sorted(load.taken)
    mail.assert_no_tag_filed(user)
    assert mail.store.messages(mail.notice.partition('@')[0]) == [], 'no bounce'

  def failures(self, mail) -> list[dict[str, str]]:
    # Without memory the milter's log waits for a second before it goes on.
    return wait_until(lambda: mail.milter.log_lines('event=not-decided'), 'it is logged')

  def test_with_accept_all_mail_is_taken_at_once_and_delivered_once(self, mail):
    self.with_starved_milter(mail, 'accept')
    alice = mail.mailbox('alice')
    load = self.bring(mail, alice, new=150, everybody=500)
    assert load.refusals == []
    assert self.failures(mail)
    mail.sendmail.run_queue()
    self.assert_each_once(mail, load, alice)

  def test_with_accept_the_quota_is_honoured_for_mail_without_a_decision(self, mail):
    self.with_starved_milter(mail, 'accept')
    full = mail.full_mailbox()
    load = self.bring(mail, full, new=150)
    assert load.refusals == []
    undecided = {line['qid'] for line in self.failures(mail)}
    assert 0 < len(undecided) < len(load.taken), f'{len(undecided)} had no decision'
    mail.sendmail.run_queue()
    # There is not always memory for the line.
    assert undecided <= mail.sendmail.queued()
    stored = set(mail.store.message_ids(full))
    assert stored < set(load.taken)
    assert len(mail.store.messages(full)) == len(stored)
    assert len(stored) + len(mail.sendmail.queued()) == len(load.taken)

  def test_with_tempfail_the_client_tries_again_and_nothing_passes_untagged(self, mail):
    self.with_starved_milter(mail, 'tempfail')
    full = mail.full_mailbox()
    load = self.bring(mail, full, new=150)
    assert load.refusals
    assert [text for text in load.refusals if not text.startswith('451')] == []
    # There is not always memory for the line.
    assert 0 < len(self.failures(mail)) <= len(load.refusals)
    mail.sendmail.run_queue()
    self.assert_each_once(mail, load, full)
