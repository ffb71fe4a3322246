"""CYRUSV2_MAILER_ARGS, as existing .mc files have it, becomes a DEST of lmtpq or an error of m4."""


import pytest

from .configuration import define, mc

DESTINATIONS = {
    'FILE /run/cyrus/socket/lmtp': 'unix:/run/cyrus/socket/lmtp',
    'FILE\t/var/imap/lmtp ': 'unix:/var/imap/lmtp',
    'FILE /srv/format/unix/len-index_1': 'unix:/srv/format/unix/len-index_1',
    'TCP store': 'inet:store',
    'TCP store.example.org lmtp': 'inet:store.example.org:lmtp',
    'TCP  store.example.org \t 2003': 'inet:store.example.org:2003',
    'TCP [store.example.org] 24': 'inet:store.example.org:24',
    'TCP 192.0.2.1 24': 'inet:192.0.2.1:24',
    'TCP [192.0.2.1]': 'inet:[192.0.2.1]',
    'TCP [192.0.2.1] 24': 'inet:[192.0.2.1]:24',
    'TCP [IPv6:::1] lmtp': 'inet:[::1]:lmtp',
    'TCP [ipv6:2001:db8::1] 1': 'inet:[2001:db8::1]:1',
    'TCP [IPv6:2001:db8::1] 65535': 'inet:[2001:db8::1]:65535',
    'TCP $h': 'inet:$h',
    'TCP $h 24': 'inet:$h:24',
    'TCP ${h} lmtp': 'inet:$h:lmtp',
    'TCP [$h] 24': 'inet:$h:24',
    'IPC store.example.org 24': 'inet:store.example.org:24',
    'IPC $h': 'inet:$h',
}

FORM = 'it must be FILE path, TCP host or TCP host port'
HOST = 'a host is NAME, [1.2.3.4], [IPv6:ADDR] or a macro such as $h'
PORT = 'a port is 1 to 65535 or the name of a service'
CHARACTER = 'has a character other than'
REFUSED = {
    '': FORM,
    'FILE': 'FILE takes the absolute path of a socket',
    'FILE socket/lmtp': 'FILE takes the absolute path of a socket',
    'FILE /a /b': FORM,
    'TCP': 'no host after TCP',
    'TCP []': 'no host after TCP',
    'TCP store 24 25': FORM,
    'tcp store 24': FORM,
    'UNIX /a': FORM,
    'store 24': FORM,
    'TCP ::1 24': HOST,
    'TCP store:24': HOST,
    'TCP [store 24': HOST,
    'TCP st[o]re 24': HOST,
    'TCP /var/imap/lmtp': HOST,
    'TCP [::1] 24': 'an IPv6 address is written [IPv6:ADDR]',
    'TCP store 0': PORT,
    'TCP store 08': PORT,
    'TCP store 65536': PORT,
    'TCP store 123456789012345': PORT,
    'TCP store lm/tp': PORT,
    'FILE /a,b': 'CYRUSV2_MAILER_ARGS must not have a comma',
    'FILE /a"b': CHARACTER,
    'FILE /a\\b': CHARACTER,
    'FILE /a;b': CHARACTER,
    'TCP $u 24': 'must not have a $u',
    'TCP ${u} 24': 'must not have a $u',
}


class TestDestinations:
  @pytest.mark.parametrize('arguments, destination', DESTINATIONS.items())
  def test_each_form_becomes_a_destination_of_both_mailers(self, cf, arguments, destination):
    made = cf.make(mc(define('CYRUSV2_MAILER_ARGS', arguments))).mailers()
    assert made['cyrusv2']['A'] == f'lmtpq relay {destination}'
    assert made['cyrusv2q']['A'] == f'lmtpq relay -Q {destination}'

  def test_the_default_is_the_socket_of_cyrus(self, cf):
    assert cf.make(mc()).mailer()['A'] == 'lmtpq relay unix:/var/run/cyrus/socket/lmtp'

  def test_a_macro_of_m4_is_expanded(self, cf):
    knobs = define('MY_STORE', 'store.test') + define('CYRUSV2_MAILER_ARGS', 'TCP MY_STORE 24')
    assert cf.make(mc(knobs)).mailer()['A'] == 'lmtpq relay inet:store.test:24'

  @pytest.mark.parametrize('arguments, complaint', REFUSED.items())
  def test_m4_names_what_is_wrong_and_fails(self, cf, arguments, complaint):
    made = cf.m4(mc(define('CYRUSV2_MAILER_ARGS', arguments)))
    assert made.returncode == 1
    lines = made.stderr.splitlines()
    assert complaint in lines[0]
    assert all(line.startswith('*** ERROR: MAILER(lmtpq): CYRUSV2_MAILER_ARGS ')
               for line in lines), made.stderr

  def test_the_complaint_quotes_what_was_written(self, cf):
    made = cf.m4(mc(define('CYRUSV2_MAILER_ARGS', 'TCP ::1 24')))
    assert made.stderr == ('*** ERROR: MAILER(lmtpq): CYRUSV2_MAILER_ARGS is "TCP ::1 24": '
                           f'{HOST}\n')
