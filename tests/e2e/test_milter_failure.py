"""A milter without memory, in front of a real Sendmail: what `failure` promises is kept."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent.parent / 'milter'))

from cases import is_sanitized  # noqa: E402
from refusal import NoMemory  # noqa: E402
from fixtures.load import Load  # noqa: E402
from fixtures.messages import message  # noqa: E402
from fixtures.milter import MILTER, Milter, filter_lines  # noqa: E402
from fixtures.tag_case import NOTICES, TagCase  # noqa: E402

CONNECTIONS, MESSAGES = 5, 40


class MilterFailure(TagCase):
  weight = 2

  def with_poor_milter(self, failure: str):
    """Its memory is refused when `self.memory` says so."""
    self.milter = Milter(self.scratch, f'milter{self.number}', NOTICES, f'failure = {failure}')
    self.memory = NoMemory(self.milter.dir)
    self.milter.environment |= self.memory.environment
    self.milter.start()
    self.with_lmtpq(f'--tag-keys={self.milter.mailer_keys}', filter_lines(self.milter.socket))
    self.sendmail.start()

  def bring(self, user: str, **refused: int) -> Load:
    load = Load(self.sendmail.port, self.notice, [f'{user}@store.test'],
                lambda: message(sender=self.notice), CONNECTIONS, MESSAGES)
    with self.memory.one_in(**refused):
      load.start()
      load.finish()
    self.assertGreater(self.memory.refused, 0)
    self.assertIsNone(self.milter.server.child.poll(), 'the milter still runs')
    self.assertEqual(len(load.taken), CONNECTIONS * MESSAGES)
    return load

  def assert_each_once(self, load: Load, user: str):
    self.assert_queue_empty()
    self.assertEqual(sorted(self.store.message_ids(user)), sorted(load.taken))
    self.assert_no_tag_filed(user)
    self.assertEqual(self.store.messages(self.notice.partition('@')[0]), [], 'no bounce')

  def failures(self) -> list[dict[str, str]]:
    return self.milter.log_lines('event=not-decided')

  def test_with_accept_all_mail_is_taken_at_once_and_delivered_once(self):
    self.with_poor_milter('accept')
    alice = self.mailbox('alice')
    load = self.bring(alice, new=150, everybody=500)
    self.assertEqual(load.refusals, [])
    self.assertTrue(self.failures())
    self.sendmail.run_queue()
    self.assert_each_once(load, alice)

  def test_with_accept_what_was_not_judged_finds_its_quota_honoured(self):
    self.with_poor_milter('accept')
    full = self.full_mailbox()
    load = self.bring(full, new=150)
    self.assertEqual(load.refusals, [])
    unjudged = {line['qid'] for line in self.failures()}
    self.assertTrue(0 < len(unjudged) < len(load.taken), f'{len(unjudged)} were not judged')
    self.sendmail.run_queue()
    # There is not always memory for the line.
    self.assertLessEqual(unjudged, self.sendmail.queued())
    stored = set(self.store.message_ids(full))
    self.assertLess(stored, set(load.taken))
    self.assertEqual(len(self.store.messages(full)), len(stored))
    self.assertEqual(len(stored) + len(self.sendmail.queued()), len(load.taken))

  def test_with_tempfail_the_client_comes_again_and_nothing_passes_untagged(self):
    self.with_poor_milter('tempfail')
    full = self.full_mailbox()
    load = self.bring(full, new=150)
    self.assertTrue(load.refusals)
    self.assertEqual([text for text in load.refusals if not text.startswith('451')], [])
    # There is not always memory for the line.
    self.assertTrue(0 < len(self.failures()) <= len(load.refusals))
    self.sendmail.run_queue()
    self.assert_each_once(load, full)


if is_sanitized(MILTER):
  if '--class' not in sys.argv:
    print('# MilterFailure is left out: a sanitizer has a malloc() of its own')
  del MilterFailure
