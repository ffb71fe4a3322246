"""Files that cannot be used: the mail waits, and the log names the file and the remedy."""

from peers.secure.session import MAIL_WORDS, Session, evil

from .case import Case, attack, control, each
from .terms import BOTH, LOGIN, SAFE, VERIFY

CERT = ['--tls-cert={dir}/for_clients.pem']
ASKS = evil(client_ca='ca', words_in_tls=(*MAIL_WORDS, 'AUTH EXTERNAL'), wants_login=True)
EXTERNAL = ['--auth-mechanisms=EXTERNAL', '--auth-user=lmtpuser']
MODE = '(chmod|mode|others|readable)'


def key(name: str) -> list[str]:
  return [*SAFE, *CERT, f'--tls-key={{files}}/{name}']


def password_file(name: str) -> list[str]:
  return [*VERIFY, f'--auth-password-file={{files}}/{name}']


ROWS: list[Case] = [
    control('a certificate of ours', ASKS, [*VERIFY, *CERT, '--tls-key={dir}/leaf.key', *EXTERNAL],
            commands=('^AUTH EXTERNAL',)),
    attack('a key that others can read', Session, key('open.key'), f'open.key.*{MODE}',
           fronts=BOTH),
    attack('a key that does not fit the certificate', Session,
           [*SAFE, *CERT, '--tls-key={dir}/other.key'], 'other.key|for_clients.pem', fronts=BOTH),
    attack('a key that is not there', Session, key('no.key'), 'no.key'),
    attack('a key that is none', Session, key('empty.key'), 'empty.key'),
    attack('a key that wants a passphrase', Session, key('locked.key'), 'locked.key'),
    attack('a certificate that is not there', Session,
           [*SAFE, '--tls-cert={files}/no.pem', '--tls-key={dir}/leaf.key'], 'no.pem'),
    attack('a file of CAs that is not there', Session,
           ['--tls=verify', '--tls-ca-file={files}/no.pem', '--tls-name=store.test', *LOGIN],
           'no.pem'),
    attack('a file of CAs without any', Session,
           ['--tls=verify', '--tls-ca-file={files}/empty.key', '--tls-name=store.test', *LOGIN],
           'empty.key'),
    attack('a revocation list that is not there', Session,
           [*SAFE, '--tls-crl-file={files}/no.crl'], 'no.crl'),
    attack('a revocation list that is none', Session,
           [*SAFE, '--tls-crl-file={files}/empty.key'], 'empty.key'),
    attack('passwords that others can read', Session, password_file('open.passwords'),
           f'open.passwords.*{MODE}', fronts=BOTH),
    attack('passwords that are not there', Session, password_file('no.passwords'), 'no.passwords',
           fronts=BOTH),
    attack('a folder of passwords', Session, password_file('folder'), 'folder'),
    attack('a line of passwords without a colon', Session, password_file('bad.passwords'),
           'bad.passwords:2'),
    attack('no password for this store', Session, password_file('other.passwords'),
           'other.passwords|password'),
    attack('no cipher by that name', Session, [*SAFE, '--tls-ciphers=NO-SUCH-CIPHER'], 'cipher'),
]


@each(ROWS)
def test_file(runner, case, front):
  runner.play(case, front)
