"""lmtpq is taken out of Sendmail: first the milter, then the mailer when no tagged message waits. In this
order no tag reaches a mailbox, and `lmtpq check` reports every other one."""

import subprocess

from fixtures import mailers, tags
from fixtures.messages import message
from fixtures.milter import filter_lines
from fixtures.sendmail import Sendmail

EX_CONFIG = 78


class Removal:
  """The three states of the .mc, and what the checks say of them."""

  def __init__(self, mail):
    self.mail = mail
    self.sendmail: Sendmail = mail.with_milter()
    self.mc = self.sendmail.dir / 'sendmail.mc'
    self.text = self.mc.read_text()
    self.feature = filter_lines(mail.milter.socket, '')
    assert self.feature in self.text

  def check(self, *words) -> subprocess.CompletedProcess:
    """Without any lmtpq.conf of this machine."""
    return subprocess.run([self.mail.lmtpq, 'check', *words], capture_output=True, text=True,
                          timeout=60)

  def check_cf(self) -> subprocess.CompletedProcess:
    return self.check('--cf', self.sendmail.cf, '--config', self.mail.log.with_suffix('.conf'))

  def tagged(self) -> int:
    """What check says of the queue."""
    ran = self.check('--queue', self.sendmail.dir / 'queue')
    assert ran.stderr == '', ran
    number = int(ran.stdout.partition(', ')[2].split()[0])
    assert ran.returncode == (1 if number else 0), ran
    return number

  def without_feature(self, text: str) -> str:
    return text.replace(self.feature, '')

  def with_stock_mailer(self, text: str) -> str:
    begin = text.index("define(`CYRUSV2_MAILER_ARGS'")
    end = text.index('LOCAL_CONFIG')
    return ((text[:begin] + mailers.stock(self.mail.store.address) + text[end:])
            .replace('$#cyrusv2q', '$#cyrusv2'))

  def change(self, text: str):
    """As an admin does: the .mc, m4, a restart."""
    self.sendmail.stop()
    self.sendmail.make_cf(text)
    self.sendmail.start()

  def filed_tags(self, user: str) -> list[bytes]:
    return [tag for raw in self.mail.store.messages(user) for tag in tags.left_in(raw)]


class TestRemoval:
  def test_in_the_right_order_no_tag_reaches_a_mailbox(self, mail):
    removal = Removal(mail)
    alice = mail.mailbox('alice')
    before = removal.check_cf()
    assert before.returncode == 0 and 'milter lmtpq at ' in before.stdout, before
    mail.notify(f'{alice}@store.test')
    mail.notify(f'{alice}@store.test')
    assert removal.tagged() == 2

    removal.change(removal.without_feature(removal.text))
    ran = removal.check_cf()
    assert (ran.returncode, ran.stderr) == (0, ''), ran
    assert 'no milter writes tags' in ran.stdout, ran
    mail.send(message(), alice)
    assert removal.tagged() == 2, 'new mail has no tag, and what waits has one'
    mail.sendmail.run_queue()
    mail.assert_queue_empty()
    assert removal.tagged() == 0

    removal.change(removal.with_stock_mailer(removal.without_feature(removal.text)))
    mail.send(message(), alice)
    mail.sendmail.run_queue()
    mail.assert_queue_empty()
    assert len(mail.store.messages(alice)) == 4
    mail.assert_no_tag_filed(alice)

  def test_with_the_mailer_changed_first_neither_m4_nor_sendmail_goes_on(self, mail):
    removal = Removal(mail)
    alice = mail.mailbox('alice')
    qid = mail.notify(f'{alice}@store.test')
    removal.sendmail.stop()
    # Debian's Makefile installs what m4 prints, whatever its exit status is.
    removal.mc.write_text(removal.with_stock_mailer(removal.text))
    folder = removal.sendmail.cf_folder
    made = subprocess.run(['m4', f'-D_CF_DIR_={folder}/', f'{folder}/m4/cf.m4', removal.mc],
                          capture_output=True, timeout=60)
    assert made.returncode == 1 and b'no mailer removes its tags' in made.stderr, made.stderr
    removal.sendmail.cf.write_bytes(made.stdout)
    ran = removal.check_cf()
    assert ran.returncode == EX_CONFIG and '*** ERROR: no filter lmtpq' in ran.stderr, ran
    mail.sendmail.run_queue()
    assert mail.sendmail.queued() == {qid}, 'the mail waits'
    removal.sendmail.make_cf(removal.text)
    mail.sendmail.run_queue()
    mail.assert_sent(qid, alice)
    mail.assert_no_tag_filed(alice)

  def test_with_tagged_mail_in_the_queue_the_check_says_what_would_happen(self, mail):
    removal = Removal(mail)
    alice = mail.mailbox('alice')
    mail.notify(f'{alice}@store.test')
    removal.change(removal.with_stock_mailer(removal.without_feature(removal.text)))
    assert removal.tagged() == 1
    ran = removal.check_cf()
    assert ran.returncode == EX_CONFIG and 'no mailer runs lmtpq' in ran.stderr, ran
    mail.sendmail.run_queue()
    assert len(removal.filed_tags(alice)) == 1, 'the stock mailer removes no tag'
