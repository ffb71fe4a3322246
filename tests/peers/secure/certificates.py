"""Certificates for the store and for lmtpq: a private CA by openssl(1), all in one folder.

What it is: Authority; after make() there are NAME.pem for each name below (with what has to follow
  the leaf in the chain), the keys, and three CRLs. EC keys: all of it takes half a second.
What it does not know: who trusts which.
Called by: the suite, once a run; stores take a certificate by its name.
Failure: CalledProcessError, with openssl's words on standard error.
"""

import hashlib
import ssl
import subprocess
from pathlib import Path

HOST = 'store.test'
EXPIRED = ('20200101000000Z', '20200301000000Z')
EARLY = ('20450101000000Z', '20480101000000Z')

# A dNSName with a NUL after the right name: "store.test\0.evil.test".
NUL_NAME = 'DER:30:17:82:15:' + ':'.join(f'{byte:02x}' for byte in b'store.test\0.evil.test')

# Name of the leaf: subject, subjectAltName, and what else is special about it.
LEAVES = {
    'good': (HOST, f'DNS:{HOST},IP:127.0.0.1', {}),
    'second': (HOST, f'DNS:{HOST},IP:127.0.0.1', {'key': 'other'}),
    'expired': (HOST, f'DNS:{HOST},IP:127.0.0.1', {'dates': EXPIRED}),
    'early': (HOST, f'DNS:{HOST},IP:127.0.0.1', {'dates': EARLY}),
    'wrong_name': (HOST, 'DNS:other.test,DNS:store.test.evil.test,IP:127.0.0.1', {}),
    'cn_only': (HOST, '', {}),
    'cn_address': ('127.0.0.1', '', {}),
    'other_type': (HOST, f'email:{HOST},URI:{HOST},IP:127.0.0.1', {}),
    'address_as_dns': ('127.0.0.1', 'DNS:127.0.0.1,URI:127.0.0.1', {}),
    'wrong_address': ('127.0.0.1', f'IP:127.0.0.2,DNS:{HOST}', {}),
    'partial_wildcard': (HOST, 'DNS:st*.example.test', {}),
    'nul': (HOST, NUL_NAME, {}),
    'for_clients': ('lmtpuser', f'DNS:{HOST}', {'usage': 'clientAuth'}),
    'revoked': (HOST, f'DNS:{HOST},IP:127.0.0.1', {}),
    'by_leaf': ('by a leaf', f'DNS:{HOST}', {'issuer': 'good'}),
    'by_stranger': (HOST, f'DNS:{HOST},IP:127.0.0.1', {'issuer': 'stranger'}),
    'by_impostor': (HOST, f'DNS:{HOST},IP:127.0.0.1', {'issuer': 'impostor'}),
}
# An impostor has the subject of the trusted CA, but not its key.
AUTHORITIES = {'ca': 'Tests CA', 'stranger': 'Stranger CA', 'impostor': 'Tests CA'}

CA_CONF = """[ca]
default_ca = us
[us]
dir = @DIR@
database = @DIR@/index.txt
serial = @DIR@/serial
new_certs_dir = @DIR@
certificate = @DIR@/ca.pem
private_key = @DIR@/ca.key
default_md = sha256
default_days = 30
policy = any
unique_subject = no
[any]
commonName = supplied
"""


class Authority:
  def __init__(self, folder: Path):
    self.folder = folder

  def path(self, name: str) -> str:
    return str(self.folder / name)

  def openssl(self, *words: str) -> str:
    return subprocess.run(['openssl', *words], cwd=self.folder, check=True, text=True,
                          stdin=subprocess.DEVNULL, capture_output=True).stdout

  def make(self):
    (self.folder / 'ca.conf').write_text(CA_CONF.replace('@DIR@', str(self.folder)))
    (self.folder / 'index.txt').touch()
    (self.folder / 'serial').write_text('1000\n')
    for key in ('leaf', 'other', *AUTHORITIES):
      self.openssl('genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256', '-out',
                   f'{key}.key')
      (self.folder / f'{key}.key').chmod(0o600)
    for name, subject in AUTHORITIES.items():
      self.openssl('req', '-x509', '-new', '-key', f'{name}.key', '-subj', f'/CN={subject}',
                   '-days', '30', '-out', f'{name}.pem')
    self.openssl('req', '-x509', '-new', '-key', 'leaf.key', '-subj', f'/CN={HOST}', '-days', '30',
                 '-addext', f'subjectAltName=DNS:{HOST},IP:127.0.0.1', '-out', 'self_signed.pem')
    for name, (subject, names, special) in LEAVES.items():
      self._make_leaf(name, subject, names, **special)
    self._make_revocations()

  def _make_leaf(self, name: str, subject: str, names: str, key: str = 'leaf', dates=None,
                 issuer: str = 'ca', usage: str = 'serverAuth'):
    extensions = f'basicConstraints=CA:FALSE\nextendedKeyUsage={usage}\n'
    extensions += f'subjectAltName={names}\n' if names else ''
    (self.folder / f'{name}.ext').write_text(extensions)
    self.openssl('req', '-new', '-key', f'{key}.key', '-subj', f'/CN={subject}', '-out',
                 f'{name}.csr')
    if issuer == 'ca':
      span = ['-startdate', dates[0], '-enddate', dates[1]] if dates else []
      self.openssl('ca', '-batch', '-notext', '-config', 'ca.conf', '-in', f'{name}.csr', '-out',
                   f'{name}.pem', '-extfile', f'{name}.ext', *span)
      return
    issuer_key = f'{issuer}.key' if issuer in AUTHORITIES else 'leaf.key'
    self.openssl('x509', '-req', '-in', f'{name}.csr', '-CA', f'{issuer}.pem', '-CAkey', issuer_key,
                 '-set_serial', '77', '-days', '30', '-extfile', f'{name}.ext', '-out',
                 f'{name}.pem')
    with (self.folder / f'{name}.pem').open('a') as chain:
      chain.write((self.folder / f'{issuer}.pem').read_text())

  def _make_revocations(self):
    """revoked.crl lists it, expired.crl did until it expired, strange.crl is from another CA."""
    self.openssl('ca', '-config', 'ca.conf', '-revoke', 'revoked.pem')
    self.openssl('ca', '-config', 'ca.conf', '-gencrl', '-crldays', '30', '-out', 'revoked.crl')
    self.openssl('ca', '-config', 'ca.conf', '-gencrl', '-crl_lastupdate', EXPIRED[0],
                 '-crl_nextupdate', EXPIRED[1], '-out', 'expired.crl')
    self.openssl('ca', '-config', 'ca.conf', '-gencrl', '-crldays', '30', '-cert', 'stranger.pem',
                 '-keyfile', 'stranger.key', '-out', 'strange.crl')

  def fingerprint(self, name: str) -> str:
    """Of the certificate, in capitals and with colons, as openssl prints it."""
    pem = (self.folder / f'{name}.pem').read_text().partition('-----END')[0]
    der = ssl.PEM_cert_to_DER_cert(pem + '-----END CERTIFICATE-----\n')
    digits = hashlib.sha256(der).hexdigest().upper()
    return ':'.join(digits[i:i + 2] for i in range(0, 64, 2))

  def key_fingerprint(self, key: str) -> str:
    der = subprocess.run(['openssl', 'pkey', '-in', f'{key}.key', '-pubout', '-outform', 'DER'],
                         cwd=self.folder, check=True, capture_output=True).stdout
    return hashlib.sha256(der).hexdigest()

  def key_of(self, name: str) -> str:
    special = LEAVES[name][2] if name in LEAVES else {}
    return self.path(f'{special.get("key", "leaf")}.key')
