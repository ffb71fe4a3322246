"""Full mailboxes: --ignore-quota=retry keeps its session, and each listener has its policy."""

from .daemon import FRONT, all_start

FULL = '452 4.2.2 Over quota'


def refuses_full(_, line: str) -> str:
  """The mailbox `full` takes mail with IGNOREQUOTA only."""
  return FULL if line == 'RCPT TO:<full@store.test>' else ''


def test_a_retry_stays_in_its_session_although_another_message_waits(new_daemon):
  daemon = new_daemon('connections = 1\nignore-quota = retry\n')
  daemon.store.at_command = refuses_full
  first = daemon.held('alice', 'full')
  second = daemon.in_background('bob')
  daemon.wait_for_waiting(for_connections=1)
  daemon.store.hold.set()
  for one in (first, second):
    all_start(one.end(), '250')
  assert daemon.store.boxes() == ['alice', 'full', 'bob'], 'nothing twice, and nothing in between'
  connection, = daemon.store.connections
  assert [line.removeprefix('RCPT TO:') for line in connection.said('RCPT')] == [
      '<alice@store.test>', '<full@store.test>', '<full@store.test> IGNOREQUOTA', '<bob@store.test>']
  daemon.wait_for_log('ignorequota=retried')


def test_each_listener_has_its_over_quota_policy_and_a_reload_changes_it(new_daemon):
  def listeners(policy: str) -> str:
    return f'{FRONT}[listener.lists]\naddress = unix:{{folder}}/lists\nover-quota = {policy}\n'
  daemon = new_daemon('over-quota = defer\n', listeners('refuse'))
  daemon.store.at_command = refuses_full
  all_start(daemon.deliver('full'), '452 4.2.2 Over quota')
  all_start(daemon.deliver('full', name='lists'), '552 5.2.2 Over quota')
  daemon.reload('over-quota = refuse\n', listeners('defer:5200w'))
  all_start(daemon.deliver('full'), '552 5.2.2 Over quota')
  all_start(daemon.deliver('full', name='lists'), '452 4.2.2 Over quota')
