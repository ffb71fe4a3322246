"""The real Sendmail delivers from a queue: argv, uid and grouping, as the mailer sees them."""

import grp
import os
import pwd

import pytest

from .configuration import define, is_root
from .delivery import Site

STORE = define('CYRUSV2_MAILER_ARGS', 'TCP $h')


class TestOneProcess:
  def test_takes_all_messages_of_a_queue_run_and_all_recipients_at_once(self, cf):
    site = Site(cf, 'plain')
    for _ in range(3):
      site.send('a@one.store.test', 'b@two.store.test', 'c')
    site.run_queue()
    [process] = site.processes()
    assert process['arguments'] == ['relay', 'unix:/var/run/cyrus/socket/lmtp']
    assert ([sorted(message['recipients']) for message in process['messages']]
            == [['a', 'b', 'c']] * 3)
    assert site.queued() == 0

  def test_of_cyrusv2q_gets_the_option_and_the_further_arguments(self, cf):
    site = Site(cf, 'options', define('LMTPQ_MAILER_ARGS', '--trace=off --log-level debug') +
                define('LMTPQ_MAILER_FALLBACK', 'inet:b:24'))
    site.send('a@one.store.test', 'q@one.quota.test')
    site.run_queue()
    rest = ['--trace=off', '--log-level', 'debug', 'unix:/var/run/cyrus/socket/lmtp', 'inet:b:24']
    seen = {process['messages'][0]['recipients'][0]: process['arguments']
            for process in site.processes()}
    assert seen == {'a': ['relay', *rest], 'q': ['relay', '-Q', *rest]}

  def test_with_a_q_in_the_flags_gets_the_option_too(self, cf):
    site = Site(cf, 'flag', "MODIFY_MAILER_FLAGS(`CYRUSV2', `+Q')\n")
    site.send('a@one.store.test', 'c')
    site.run_queue()
    [process] = site.processes()
    assert process['arguments'] == ['relay', '-Q', 'unix:/var/run/cyrus/socket/lmtp']

  def test_speaks_lmtp_with_dot_stuffing_though_the_flags_were_replaced(self, cf):
    site = Site(cf, 'replaced', "MODIFY_MAILER_FLAGS(`CYRUSV2', `lsDFMnqm')\n")
    site.send('a@one.store.test', body='one\n.\n..two\n')
    site.run_queue()
    [process] = site.processes()
    assert process['messages'][0]['body'].endswith('\r\none\r\n..\r\n...two\r\n'), (
        process['messages'])


class TestUser:
  def assert_user(self, site: Site, sender: str):
    site.send('nobody@one.store.test', sender=sender)
    site.run_queue()
    [process] = site.processes()
    expected = (pwd.getpwnam('cyrus').pw_uid, grp.getgrnam('mail').gr_gid) if is_root() \
        else (os.getuid(), os.getgid())
    assert (process['uid'][1], process['gid'][1]) == expected

  def test_is_the_one_of_u(self, cf):
    self.assert_user(Site(cf, 'user'), 'sender@example.org')

  def test_is_not_the_sender_though_the_flags_were_replaced(self, cf):
    # With w and without S, Sendmail runs the mailer as a sender that it knows.
    self.assert_user(Site(cf, 'sender', "MODIFY_MAILER_FLAGS(`CYRUSV2', `lDFMmw')\n"), 'nobody')


  @pytest.mark.may_skip('only root')
  @pytest.mark.skipif(not is_root(), reason='only root can become another user')
  def test_of_run_as_user_has_no_further_group(self, cf):
    """So the key file needs an ACL there: docs/TAG.md, The key file."""
    assert set(os.getgrouplist('cyrus', grp.getgrnam('mail').gr_gid)) > {grp.getgrnam('mail').gr_gid}
    site = Site(cf, 'runas', define('confRUN_AS_USER', 'cyrus'))
    os.chown(site.dir / 'queue', pwd.getpwnam('cyrus').pw_uid, -1)
    site.send('a@one.store.test')
    site.run_queue()
    [process] = site.processes()
    assert process['uid'] == [pwd.getpwnam('cyrus').pw_uid] * 3
    assert process['groups'] == [grp.getgrnam('mail').gr_gid]


class TestEnvironment:
  def test_of_an_e_line_arrives_but_as_root_kerberos_ignores_it(self, cf):
    # So the ticket is named in krb5.conf, as docs/TLS.md says: secure_getenv(3) gives nothing to a
    # process that is started with different real and effective users.
    site = Site(cf, 'environment', 'LOCAL_CONFIG\nEKRB5CCNAME=FILE:/nowhere\n')
    site.send('a@one.store.test')
    site.run_queue()
    [process] = site.processes()
    assert 'KRB5CCNAME' in process['environment']
    assert process['secure'] == is_root()


class TestHostInTheDestination:
  def test_two_hosts_in_one_message_stay_apart(self, cf):
    site = Site(cf, 'hosts', STORE)
    site.send('a@one.store.test', 'b@two.store.test', 'c@one.store.test', 'q@two.quota.test')
    site.run_queue()
    assert site.deliveries() == {'inet:one': ['a', 'c'], 'inet:two': ['b', 'q']}
    assert len(site.processes()) == 4

  def test_two_messages_in_one_queue_run_stay_apart(self, cf):
    site = Site(cf, 'messages', STORE)
    for number, host in enumerate(['one', 'two', 'one', 'three', 'two']):
      site.send(f'u{number}@{host}.store.test')
    site.run_queue()
    assert (site.deliveries()
            == {'inet:one': ['u0', 'u2'], 'inet:two': ['u1', 'u4'], 'inet:three': ['u3']})

  def test_knobs_for_more_do_not_bring_them_together(self, cf):
    site = Site(cf, 'knobs', STORE + define('CYRUSV2_MAILER_MAXMSGS', '50') +
                define('CYRUSV2_MAILER_MAXRCPTS', '50'))
    site.send('a@one.store.test', 'b@two.store.test')
    site.send('c@two.store.test', 'd@one.store.test')
    site.run_queue()
    assert site.deliveries() == {'inet:one': ['a', 'd'], 'inet:two': ['b', 'c']}

  def test_these_cases_would_see_a_wrong_host(self, cf):
    site = Site(cf, 'wrong', STORE)
    text = site.cf.path.read_text()
    assert text.count('m=1, r=1, ') == 2
    site.cf.path.write_text(text.replace('m=1, r=1, ', ''))
    site.send('a@one.store.test', 'b@two.store.test')
    site.send('c@three.store.test')
    site.run_queue()
    assert len(site.deliveries()) == 1, 'Sendmail keeps hosts apart without our limits'


class TestEnd:
  def test_of_a_mailer_that_does_not_exit_is_waited_for_until_the_limit(self, cf):
    site = Site(cf, 'linger', define('LMTPQ_MAILER_ARGS', 'linger=40'))
    text = site.cf.path.read_text()
    assert text.count(' W=1m,') == 2
    site.cf.path.write_text(text.replace(' W=1m,', ' W=1s,'))
    site.send('a@one.store.test')
    site.send('b@one.store.test')
    seconds = site.run_queue()
    assert seconds < 30
    assert site.queued() == 0
    sent = site.log_lines('mailer=cyrusv2')
    assert [line.partition('stat=')[2] for line in sent] == ['queued'] * 2 + ['Sent'] * 2
    assert site.log_lines('endmailer cyrusv2: wait timeout (1)')
