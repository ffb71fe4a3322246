"""Two hosts with lmtpq, one directory, two stores, as docs/ROUTING.md draws it for sites that
outgrow one machine. Sendmail knows both hosts; one of them is killed, or ends, in the middle of a
queue run.
"""

import contextlib
import socket
from collections import Counter

import pytest

from fixtures import mailers
from fixtures.lmtp_store import LmtpStore
from fixtures.mail import Mail, running
from fixtures.messages import message, message_id
from fixtures.process import wait_until
from fixtures.scratch import free_port
from fixtures.serve import Serve
from routes.slapd import BASE, Slapd, person

HOSTS = ('127.0.0.2', '127.0.0.3')
# What comes twice is seen; and no queue run is over before somebody looks.
STORE_OPTIONS = ['--no-duplicate-suppression', '--delay-final=40']
SETTINGS = """destination = @FALLBACK@
route-ldap = @LDAP@
route-ldap-base = @BASE@
route-ldap-filter = (uid=%u)
dial-backoff = 50ms
[listener.mta]
address = inet:@HOST@:@PORT@
offer-pipelining = no
"""


class Site(Mail):
  """Mailboxes of the first store are one1, one2 ..., those of the second two1, two2 ..."""
  second: LmtpStore
  hosts: list[Serve]
  port: int

  def stores(self) -> dict[str, LmtpStore]:
    return {'one': self.store, 'two': self.second}

  def filed(self, user: str) -> list[str]:
    return self.stores()[user.rstrip('0123456789')].message_ids(user)

  def new_users(self) -> list[str]:
    users = []
    for name, store in self.stores().items():
      users.append(f'{name}{self.number}')
      store.add_mailbox(users[-1])
    return users

  def start_hosts(self, directory: Slapd):
    self.port = port_of_both()
    self.hosts = []
    for number, address in enumerate(HOSTS):
      text = (SETTINGS.replace('@HOST@', address).replace('@PORT@', str(self.port))
              .replace('@LDAP@', directory.uri).replace('@BASE@', BASE)
              .replace('@FALLBACK@', self.store.address))
      host = Serve(self.scratch.path / f'host{self.number}{number}', text)
      host.environment['LDAPNOINIT'] = '1'
      self.at_end(host.stop)
      host.start()
      self.hosts.append(host)

  def with_both(self):
    """Sendmail tries the hosts of the list in this order."""
    listed = ':'.join(f'[{address}]' for address in HOSTS)
    self.with_mailers(mailers.stock(f'inet:{listed}:{self.port}'))


def port_of_both() -> int:
  while True:
    port = free_port()
    with contextlib.suppress(OSError), socket.socket() as one, socket.socket() as two:
      one.bind((HOSTS[0], port))
      two.bind((HOSTS[1], port))
      return port


@pytest.fixture(scope='class')
def second(scratch):
  made = LmtpStore(scratch, 'second')
  made.options = STORE_OPTIONS
  with running(made) as one:
    yield one


@pytest.fixture(scope='class')
def directory(scratch, certificates, store, second):
  made = Slapd(scratch.path / 'slapd', certificates)
  made.load([person(f'{name}{number}', [], where.address) for number in range(1, 9)
             for name, where in (('one', store), ('two', second))])
  made.start()
  yield made
  made.stop()


@pytest.fixture
def site(scratch, store, second, directory):
  with contextlib.closing(Site(scratch, store)) as one:
    one.second = second
    one.start_hosts(directory)
    one.with_both()
    yield one


@pytest.mark.store(options=STORE_OPTIONS)
@pytest.mark.weight(3)
class TestTwoHosts:
  def test_the_directory_leads_each_recipient_to_its_store(self, site):
    users = site.new_users()
    raw = message()
    qid = site.send(raw, *users)
    site.sendmail.run_queue()
    for user in users:
      site.assert_sent(qid, user)
      assert site.filed(user) == [message_id(raw)]

  def interrupted(self, site, interrupt) -> tuple[dict[str, str], set[str]]:
    """interrupt() comes in the middle of a queue run, and the other host has the rest.

    Answers what was sent (queue id -> Message-ID), and the queue ids that were filed twice.
    """
    users = site.new_users()
    sent = {}
    for _ in range(30):
      for user in users:
        sent |= site.send_many(1, user)
    run = site.sendmail.start_queue_run()
    site.wait_for_log('stat=Sent', 20)
    interrupt()
    wait_until(lambda: run.child.poll() is not None, 'the queue run ends')
    site.sendmail.run_queue()
    site.assert_queue_empty()
    filed = Counter(site.filed(users[0]) + site.filed(users[1]))
    assert set(filed) == set(sent.values()), 'nothing is lost, nothing is foreign'
    taken = site.hosts[1].log_lines('event=delivery')
    assert 0 < len(taken) < len(sent), 'the other host has had the rest'
    return sent, {qid for qid, identity in sent.items() if filed[identity] > 1}

  def test_a_host_that_is_killed_in_the_middle_of_a_queue_run_loses_nothing(self, site):
    sent, doubled = self.interrupted(site, site.hosts[0].kill)
    # It cannot log what it was filing when it was killed; Sendmail logs that its answer is missing.
    missed = {end.qid for end in site.sendmail.deliveries() if end.stat.startswith('Deferred')}
    assert doubled <= missed
    assert len(missed) <= 1, 'one client has one message under way'

    site.hosts[0].start()
    user = f'one{site.number}'
    qid = site.send(message(), user)
    site.sendmail.run_queue()
    site.assert_sent(qid, user)
    assert site.hosts[0].log_lines(f'qid={qid} '), 'it is the first again'

  def test_a_host_that_is_told_to_end_doubles_nothing(self, site):
    def end():
      site.hosts[0].terminate()
      assert site.hosts[0].wait() == 0
    _, doubled = self.interrupted(site, end)
    assert doubled == set()
    assert [line for host in site.hosts for line in host.log_lines('possible duplicate')] == []
