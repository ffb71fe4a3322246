"""Certificates that are not valid, at the levels that look at them.

Every store would take the login and the mail; the password must not even be offered.
"""

from peers.secure.session import Session, evil

from .case import Case, attack, control, each
from .terms import ALL, BOTH, ENCRYPT, FINGERPRINT, LOGIN, SAFE, VERIFY, VERIFY_ADDRESS


def showing(certificate: str) -> type[Session]:
  return evil(certificate=certificate, wants_login=True)


NAME = 'name|mismatch|names'
CRL = '--tls-crl-file={dir}/'
GOOD = showing('good')

ROWS: list[Case] = [
    control('a verified certificate', GOOD, SAFE, fronts=ALL),
    control('a verified address', GOOD, [*VERIFY_ADDRESS, *LOGIN]),
    control('a verified certificate that is not revoked', GOOD, [*SAFE, CRL + 'revoked.crl']),
    control('the fingerprint of a certificate', showing('self_signed'),
            ['--tls=fingerprint', '--tls-fingerprint={print_good},{print_self_signed}', *LOGIN]),
    control('the fingerprint of a key', showing('second'),
            ['--tls=fingerprint', '--tls-fingerprint={print_other_key}', *LOGIN]),
    control('encrypt asks for no name or CA', showing('self_signed'), [*ENCRYPT, *LOGIN]),

    attack('self-signed', showing('self_signed'), SAFE, 'self.signed', fronts=BOTH),
    attack('expired', showing('expired'), SAFE, 'expired', fronts=ALL),
    attack('not yet valid', showing('early'), SAFE, 'not yet valid'),
    attack('wrong name', showing('wrong_name'), SAFE, NAME, fronts=ALL),
    attack('the name in the CN only', showing('cn_only'), SAFE, NAME),
    attack('the address in the CN only', showing('cn_address'), [*VERIFY_ADDRESS, *LOGIN],
           'address|mismatch'),
    attack('the name as mail address and URI', showing('other_type'), SAFE, NAME),
    attack('the address as DNS name and URI', showing('address_as_dns'),
           [*VERIFY_ADDRESS, *LOGIN], 'address|mismatch'),
    attack('wrong address', showing('wrong_address'), [*VERIFY_ADDRESS, *LOGIN],
           'address|mismatch'),
    attack('a wildcard for a part of a label', showing('partial_wildcard'),
           [*VERIFY_ADDRESS, '--tls-name=store.example.test', *LOGIN], NAME),
    attack('a NUL after the name', showing('nul'), SAFE, NAME),
    attack('a certificate for clients', showing('for_clients'), SAFE, 'purpose'),
    attack('unknown CA', showing('by_stranger'), SAFE, 'issuer|self.signed', fronts=BOTH),
    attack('another CA by the name of ours', showing('by_impostor'), SAFE,
           'signature|issuer|self.signed'),
    attack('signed by a leaf', showing('by_leaf'), SAFE, 'CA cert|issuer|purpose'),
    attack('none of the system\'s CAs', GOOD, ['--tls=verify', '--tls-name=store.test', *LOGIN],
           'issuer|self.signed'),
    attack('revoked', showing('revoked'), [*SAFE, CRL + 'revoked.crl'], 'revoked', fronts=BOTH),
    attack('the revocation list is too old', GOOD, [*SAFE, CRL + 'expired.crl'], 'CRL has expired'),
    attack('no revocation list of this CA', GOOD, [*SAFE, CRL + 'strange.crl'], 'CRL'),
    attack('wrong fingerprint', showing('second'), [*FINGERPRINT, *LOGIN], 'fingerprint',
           fronts=ALL),
    attack('wrong fingerprint although the CA is ours', showing('second'),
           [*FINGERPRINT, '--tls-ca-file={dir}/ca.pem', '--tls-name=store.test', *LOGIN],
           'fingerprint'),
    attack('the fingerprint of the CA is not that of the leaf', showing('by_leaf'),
           ['--tls=fingerprint', '--tls-fingerprint={print_good}', *LOGIN], 'fingerprint'),

    control('a bad certificate at the first DEST, a good one at the second',
            [showing('expired'), GOOD], SAFE, filed_at=1, dials=2, fronts=BOTH),
    control('two bad certificates, a good one at the third',
            [showing('wrong_name'), showing('self_signed'), GOOD], SAFE, filed_at=2, dials=3),
    attack('bad certificates at all DESTs', [showing('expired'), showing('self_signed')], SAFE,
           'expired.*|self.signed', dials=2),
    control('no name to verify without the level', showing('wrong_name'),
            [*VERIFY[1:], '--tls=encrypt', *LOGIN]),
]


@each(ROWS)
def test_certificate(runner, case, front):
  runner.play(case, front)
