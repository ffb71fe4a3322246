"""What the tests of the milter share: a milter in front of the test's Sendmail, and its words.

What it is: a MailCase with a milter of each test's own, and a notification sender whose mail the
  usual rule lets past the quota.
"""

from . import tags
from .case import MailCase
from .milter import Milter, filter_lines
from .messages import message
from .sendmail import Sendmail

NOTICES = """[rule.notices]
client = 127.0.0.1
from = notice*@mail.test
quota = ignore
"""


def rule(name: str, quota: str = 'ignore', **conditions: str) -> str:
  """A section; `max_size` is written max-size."""
  lines = [f'{key.replace("_", "-")} = {value}' for key, value in conditions.items()]
  return '\n'.join([f'[rule.{name}]', *lines, f'quota = {quota}', ''])


class TagCase(MailCase):
  def setUp(self):
    super().setUp()
    self.notice = f'{self.mailbox("notice")}@mail.test'
    self.milter: Milter | None = None

  def tearDown(self):
    try:
      super().tearDown()
    finally:
      if self.milter:
        self.milter.stop()

  def with_milter(self, rules: str = NOTICES, milter_options: str = '', arguments: str = '',
                  options: str = '', failure: str = '', **knobs) -> Sendmail:
    """The milter runs, and this test's Sendmail asks it; lmtpq has its keys."""
    self.milter = Milter(self.scratch, f'milter{self.number}', rules, milter_options)
    self.milter.start()
    return self.with_lmtpq(f'--tag-keys={self.milter.mailer_keys} {arguments}'.strip(),
                           filter_lines(self.milter.socket, failure) + options, **knobs)

  def notify(self, *recipients: str, raw: bytes = b'', **more) -> str:
    """A message of the notification sender to whole addresses; the queue id."""
    return self.sendmail.submit(raw or message(sender=self.notice), *recipients,
                                **{'sender': self.notice} | more)

  # What must hold.

  def tag_in_queue(self, qid: str) -> dict[str, str]:
    found = tags.tags_in_queue(self.sendmail, qid)
    self.assertEqual(len(found), 1, f'one tag in the queue: {found}')
    return tags.parts_of(found[0])

  def assert_ends(self, qid: str, **ends: str):
    """USER='Sent' or 'Deferred', for every recipient that Sendmail tried."""
    seen = {}
    for one in self.sendmail.deliveries(qid):
      seen[one.to.partition('@')[0]] = one.stat.partition(':')[0].partition(' ')[0]
    self.assertEqual(seen, ends, self.sendmail.log_lines(qid))

  def disbelieved(self, qid: str) -> list[str]:
    """The reasons that lmtpq logged for the tags of a message."""
    return [line['reason'] for line in self.lmtpq_lines('tag=rejected') if line['qid'] == qid]

  def assert_no_tag_filed(self, user: str):
    for raw in self.store.messages(user):
      self.assertEqual(tags.left_in(raw), [], raw[:2000])

  def traces_of_store(self) -> dict[str, str]:
    """Message-ID -> the trace id under which the store filed it."""
    return {line['msgid']: line.get('r.tid', '').strip('<>')
            for line in self.store.log_lines('Delivered:')}
