"""Faults under load: every process that can die does, and mail is counted at both ends.

No message may be lost (each reply 2xx is a file in a mailbox), and none doubled unless the log
calls it a possible duplicate. A class is one run; its tests look at what came of it, and also at
whether the fault had an effect at all.
"""

import time

import pytest

from .scene import FIGURES, Scene

SHARES = (0.12, 0.27, 0.42, 0.57, 0.72, 0.87)  # of the load, at which something happens
BIG = 700 * 1024  # more than the 256 KiB that are kept in memory

pytestmark = pytest.mark.limit(600)


class Run:
  """What holds for every run. A class below says what goes wrong, in play()."""
  settings = ''
  stores = 1
  by_tcp = False

  @staticmethod
  def play(scene: Scene):
    raise NotImplementedError

  @pytest.fixture(scope='class')
  def scene(self, request, scratch, wanted):
    run = request.cls
    made = Scene(scratch, wanted, run.settings, run.stores, run.by_tcp)
    try:
      run.play(made)
    finally:
      made.end()
    made.count()
    return made

  @pytest.fixture
  def load(self, scene):
    return scene.queue

  def test_every_message_is_taken_in_the_end(self, scene, record_property):
    record_property(FIGURES, f'{type(self).__name__[4:]}: {scene.figures}')
    assert not scene.left

  def test_none_is_refused_for_good(self, scene):
    assert not scene.refused

  def test_none_is_lost(self, scene):
    assert not scene.lost, 'answered 2xx, and not filed'

  def test_doubles_are_logged_as_possible_duplicates(self, scene):
    assert not scene.doubled - scene.logged_doubles, 'filed twice, and not logged'

  def test_no_sanitizer_reports(self, scene):
    assert not scene.serve.sanitizers()


class TestStoreKilledAndRestarted(Run):
  @staticmethod
  def play(scene: Scene):
    scene.serve.start()
    load = scene.load()
    for share in SHARES:
      load.wait_for(share)
      scene.stores[0].kill()
      time.sleep(0.2)
      scene.stores[0].start()
    load.finish()

  def test_the_store_died_under_the_load(self, load):
    assert load.deferrals, 'no reply was 4xx'

  def test_no_client_was_disconnected(self, load):
    assert not load.ends


class TestStoreKilledAndRestartedOverTcp(TestStoreKilledAndRestarted):
  by_tcp = True


class TestTwoStoresInOrderOneDying(Run):
  """One is dead from the start, then starts again, then the other dies; one of the two is always
  there."""
  settings = 'balance = order\n'
  stores = 2

  @staticmethod
  def play(scene: Scene):
    first, second = scene.stores
    scene.serve.start()
    load = scene.load()
    load.wait_for(0.1)
    first.kill()
    load.wait_for(0.25)
    filed_then = scene.filed_at(first)
    first.start()
    load.wait_until(lambda: scene.filed_at(first) > filed_then)
    load.wait_for(0.7)
    second.kill()
    scene.came_back = scene.filed_at(first) - filed_then
    load.finish()

  def test_a_dead_store_defers_only_what_may_be_doubled(self, load):
    assert not [text for text in load.deferrals if 'possible duplicate' not in text]

  def test_a_restarted_store_is_used_again(self, scene):
    assert scene.came_back > 0, 'nothing was filed there'

  def test_no_client_was_disconnected(self, load):
    assert not load.ends


class TestTwoStoresByUseOneDying(TestTwoStoresInOrderOneDying):
  settings = 'balance = least-used\n'
  by_tcp = True


class TestDaemonRestarted(Run):
  @staticmethod
  def play(scene: Scene):
    scene.serve.start()
    load = scene.load()
    scene.statuses, scene.slowest = [], 0.0
    for share in SHARES:
      load.wait_for(share)
      began = time.monotonic()
      scene.serve.terminate()
      scene.statuses.append(scene.serve.wait())
      scene.slowest = max(scene.slowest, time.monotonic() - began)
      scene.serve.start()
    load.finish()

  def test_each_sigterm_ends_it_with_status_0(self, scene, record_property):
    record_property(FIGURES, f'DaemonRestarted: slowest drain {scene.slowest:.2f} s')
    assert scene.statuses == [0] * len(SHARES)

  def test_messages_in_progress_got_their_replies(self, load):
    assert not {'data', 'replies'} & set(load.ends), 'messages were cut off'

  def test_nothing_had_to_be_cut(self, scene):
    assert not scene.serve.log_lines('event=closing-clients')


class TestDaemonKilled(Run):
  @staticmethod
  def play(scene: Scene):
    scene.serve.start()
    load = scene.load()
    for share in SHARES:
      load.wait_for(share)
      scene.serve.kill()
      scene.serve.start()
    load.finish()

  def test_doubles_are_logged_as_possible_duplicates(self, scene):
    """Or their client got no reply: a daemon that is killed can log nothing."""
    assert not scene.doubled - scene.logged_doubles - scene.unanswered

  def test_clients_were_disconnected(self, load):
    assert load.ends, 'no connection ended: the run shows nothing'


VALID = ('connections = 10\n', 'connections = 4\n', 'max-rcpts = 50\nidle-timeout = 5s\n',
         'tag-keys = @KEYS@\n', 'recipient-limit = 2\nmailbox-limit = 3\n', 'pipelining = no\n',
         '[listener.second]\naddress = unix:@DIR@/second\nignore-quota = always\n',
         '[destination.x]\ndestination = @STORE@\nconnection-uses = 7\n')
BROKEN = ('connections = many\n', 'no-such-option = 1\n', 'connections\n', 'user\x00 = x\n',
          '[listener.second]\nignore-quota = always\n', 'tag-keys = @DIR@/none-there\n',
          '[listener.x]\naddress = unix:/no/such/x\n',
          '[destination.x]\ndestination = @STORE@\ntls = verify\ntls-ca-file = @DIR@/none\n')


class TestReloadEvery100Milliseconds(Run):
  @staticmethod
  def play(scene: Scene):
    keys = scene.folder / 'keys'
    keys.touch(mode=0o600)
    keys.write_text('k1 AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n')
    scene.serve.start()
    load = scene.load()
    scene.sent = 0
    while load.running():
      scene.sent += 1
      number = scene.sent
      further = BROKEN[number // 3 % 8] if number % 3 == 0 else VALID[number % 8]
      for word, value in (('@KEYS@', keys), ('@DIR@', scene.folder),
                          ('@STORE@', scene.stores[0].address)):
        further = further.replace(word, str(value))
      # Options precede the sections: a section ends what is set for all.
      first, last = ('', further) if further.startswith('[') else (further, '')
      scene.serve.write(first + scene.configuration() + last)
      scene.serve.hang_up()
      time.sleep(0.1)
    load.finish()
    scene.applied, scene.rejected = (scene.serve.count(f'event={word}')
                                     for word in ('reloaded', 'reload-failed '))

  def test_no_client_was_disconnected(self, load):
    assert not load.ends

  def test_no_reply_is_4xx(self, load):
    assert not load.deferrals

  def test_sighup_was_received(self, scene, record_property):
    record_property(FIGURES, f'ReloadEvery100Milliseconds: {scene.applied} reloads, '
                             f'{scene.rejected} rejected')
    assert scene.applied + scene.rejected > scene.sent / 3

  def test_both_valid_files_and_broken_ones_were_seen(self, scene):
    assert scene.applied > 3 and scene.rejected > 3


class TestStoreStalls(Run):
  """For longer than any timeout of the daemon, at whatever stage its connections are."""
  settings = ''.join(f'{stage}-timeout = 700ms\n' for stage in (
      'connect', 'lhlo', 'mail', 'rcpt', 'data-init', 'data-xfer', 'data-done', 'rset'))
  by_tcp = True

  @staticmethod
  def play(scene: Scene):
    scene.serve.start()
    load = scene.load()
    for share in (0.2, 0.45, 0.7):
      load.wait_for(share)
      scene.stores[0].pause()
      time.sleep(2)
      scene.stores[0].resume()
    load.finish()

  def test_the_stall_had_an_effect(self, scene):
    assert scene.possible_duplicates()

  def test_no_client_was_disconnected(self, load):
    assert not load.ends


class TestSpoolFull(Run):
  """A disk that is full at first: big messages do not fit, and they alone are deferred."""

  @staticmethod
  def play(scene: Scene):
    spool = scene.scratch.folder('spool')
    scene.settings = f'spool-dir = {spool}\n'
    scene.serve.write(scene.configuration())
    # A mount that ends with the daemon; also for a user other than root, in a namespace.
    has_room = scene.folder / 'has-room'
    scene.serve.before = ['unshare', '-rm', 'sh', '-c',
                          f'mount -t tmpfs -o size=2m none {spool} || exit; '
                          f'head -c 1900000 /dev/zero >{spool}/other; '
                          f'(until [ -e {has_room} ]; do sleep 0.05; done; rm {spool}/other) & '
                          'exec "$@"', 'sh']
    scene.serve.start()
    line = b'x' * 78 + b'\r\n'
    messages = scene.messages(lambda number: line * (BIG // 80 if number % 32 == 0 else 9))
    load = scene.load(messages)
    load.wait_until(lambda: load.deferrals)
    time.sleep(1)  # for more of them
    has_room.touch()
    load.finish()

  def test_the_disk_was_full(self, load):
    assert load.deferrals, 'no reply was 4xx'

  def test_the_reply_is_that_of_a_full_disk(self, load):
    assert not [text for text in load.deferrals if '452 4.3.1' not in text]

  def test_small_messages_are_not_affected(self, load):
    assert not [queued.replies for queued in load.messages if len(queued.message.body) < BIG // 2
                and any(reply.startswith('4') for _, reply in queued.replies)]

  def test_no_client_was_disconnected(self, load):
    assert not load.ends
