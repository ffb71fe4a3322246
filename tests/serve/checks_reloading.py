"""SIGHUP: all of a file or nothing of it, and nobody is dropped."""

from house import FRONT, House, all_start, expect, message
from lmtp import Gone
from fixtures.process import wait_until

ALWAYS = 'ignore-quota = always\n'
SECOND = FRONT.replace('front', 'second')


def _bypassed(house: House) -> bool:
  return house.store.connections[-1].said('RCPT')[-1].endswith(' IGNOREQUOTA')


def a_good_file_counts_for_the_next_message_of_a_connected_client():
  with House() as house, house.dial() as client:
    all_start(client.bring(message()), '250')
    expect(not _bypassed(house), 'not yet')
    house.reload(ALWAYS)
    all_start(client.bring(message()), '250')
    expect(_bypassed(house), 'from now on')
    expect(len(house.store.connections) == 1, 'the connection to the store is kept')


def a_broken_file_leaves_all_as_it_was_and_says_where_it_is_wrong():
  broken = {'no-such-thing = 1\n': 'lmtpq.conf:4', 'connections = many\n': 'lmtpq.conf:4',
            f'{ALWAYS}max-rcpts = 0\n': 'lmtpq.conf:5', 'tag-keys = {folder}/none\n': 'tag-keys'}
  with House() as house, house.dial() as client:
    for text, place in broken.items():
      said = len(house.serve.log_text())
      house.reload(text, word='all stays as it was')
      fresh = house.serve.log_text()[said:]
      expect(place in fresh, f'{place}: {fresh}')
      all_start(client.bring(message()), '250')
      expect(not _bypassed(house), 'nothing of it is taken')
    for listeners in (f'{FRONT}{SECOND}no-such-thing = 1\n', f'{FRONT}[listener.second]\n'):
      house.reload(ALWAYS, listeners, word='all stays as it was')
      all_start(client.bring(message()), '250')
      expect(not _bypassed(house), 'nothing of it is taken')
      expect(not (house.folder / 'second').exists(), 'no half of the sockets')


def a_broken_file_opens_no_socket():
  bad = f'{FRONT}{SECOND}[listener.third]\naddress = unix:{{folder}}/no/such/place\n'
  with House() as house:
    house.reload('', bad, word='all stays as it was')
    expect(not (house.folder / 'second').exists(), 'a socket of it is there')
    all_start(house.bring(), '250')


def tls_files_that_cannot_be_read_leave_all_as_it_was():
  store = 'inet:127.0.0.1:1'
  with House() as house:
    for name in ('tls-ca-file', 'tls-cert', 'tls-crl-file'):
      house.reload('', f'{FRONT}destination = {store}\n[destination.127.0.0.1]\ntls = encrypt\n'
                   f'{name} = {{folder}}/none-there\n', word='all stays as it was')
      expect('none-there' in house.serve.log_text(), house.serve.log_lines('stays'))
      all_start(house.bring(), '250')
    house.serve.terminate()
    house.serve.wait()
    try:
      house.serve.start()
      raise AssertionError('it starts with it')
    except AssertionError as failure:
      expect('none-there' in str(failure), failure)


def a_file_that_is_gone_leaves_all_as_it_was():
  with House() as house:
    house.serve.config.unlink()
    house.serve.hang_up()
    house.wait_for_log('all stays as it was')
    all_start(house.bring(), '250')


def listeners_come_and_go():
  with House() as house, house.dial() as client:
    house.reload('', FRONT + SECOND)
    all_start(house.bring(name='second'), '250')
    house.reload('', SECOND)
    wait_until(lambda: not (house.folder / 'front').exists(), 'its file goes', 2)
    try:
      house.dial().close()
      raise AssertionError('it can still be dialled')
    except Gone:
      pass
    all_start(client.bring(message()), '250')  # who was connected is served
    all_start(house.bring(name='second'), '250')
    house.reload('', FRONT)
    all_start(house.bring(), '250')


def the_limits_of_a_pool_can_be_changed():
  with House('connections = 1\n') as house:
    house.bring_at_once('a', 'b', 'c')
    expect(house.store.most_open == 1, house.store.most_open)
    house.reload('connections = 2\n')
    house.store.hold.clear()
    held = [house.held('a'), house.held('b')]
    house.store.hold.set()
    for one in held:
      all_start(one.end(), '250')


def another_store_can_be_named_while_mail_flows():
  with House() as house, house.dial() as client:
    all_start(client.bring(message()), '250')
    other = house.peer('other')
    house.reload('', FRONT + 'destination = unix:{folder}/other\n')
    all_start(client.bring(message()), '250')
    expect((len(house.store.filed), len(other.filed)) == (1, 1), 'one each')


def the_log_file_is_opened_anew():
  with House() as house:
    old = house.serve.log.rename(house.folder / 'rotated')
    house.serve.hang_up()
    house.wait_for_log('event=reloaded')
    expect('event=reloaded' not in old.read_text(), 'it is in the new file')
