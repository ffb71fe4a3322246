"""A private certificate authority, by the openssl command: every certificate that a test may want.

What it is: a CA and its leaves, each made at its first use and kept: the good one, and one for each
  thing that can be wrong with a certificate. KINDS lists them.
What it does not know: who shows a certificate to whom.
Called by: the tests, which hand the leaves to stores and name the CA to lmtpq.
Lifetimes: files of one folder; keys are 0600 and root's, until a store takes its own copy.
"""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

CONF = """[ca]
default_ca = here
[here]
dir = @DIR@
database = $dir/index
new_certs_dir = $dir/issued
rand_serial = yes
unique_subject = no
default_md = sha256
default_days = 30
default_crl_days = 30
policy = any
email_in_dn = no
[any]
commonName = supplied
[req]
distinguished_name = name
[name]
[authority]
basicConstraints = critical, CA:true
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
@KINDS@
"""

STORE_NAMES = 'DNS:localhost, DNS:store.test, IP:127.0.0.1'
LONG_AGO = ('20200101000000Z', '20200201000000Z')
FAR_AHEAD = ('20480101000000Z', '20490101000000Z')


@dataclass
class Kind:
  """What stands in a leaf; empty dates: valid now."""
  common_name: str
  names: str = STORE_NAMES
  usage: str = 'serverAuth'
  dates: tuple[str, ...] = ()


KINDS = {
    'server': Kind('store.test'),
    'renewed': Kind('store.test'),  # another certificate for the same names
    'expired': Kind('store.test', dates=LONG_AGO),
    'early': Kind('store.test', dates=FAR_AHEAD),
    'wrong-name': Kind('elsewhere.test', 'DNS:elsewhere.test, IP:192.0.2.1'),
    'cn-only': Kind('localhost', ''),  # the right name, in the wrong place
    'revoked': Kind('store.test'),
    'client': Kind('lmtpuser', '', 'clientAuth'),
    'other-client': Kind('somebody', '', 'clientAuth'),
}


@dataclass
class Leaf:
  """A certificate and its key, PEM files."""
  certificate: Path
  key: Path

  def fingerprint(self) -> str:
    """SHA-256 of the certificate, 64 small hex digits."""
    said = openssl('x509', '-in', self.certificate, '-noout', '-fingerprint', '-sha256')
    return said.decode().partition('=')[2].strip().replace(':', '').lower()

  def key_fingerprint(self) -> str:
    """SHA-256 of its public key."""
    public = openssl('pkey', '-in', self.key, '-pubout', '-outform', 'DER')
    return openssl('dgst', '-sha256', '-r', given=public).decode().split()[0]

  def copy_for(self, user: str, folder: Path) -> 'Leaf':
    """Files that only this user can read."""
    copies = []
    for path in (self.certificate, self.key):
      copy = folder / path.name
      copy.unlink(missing_ok=True)
      copy.touch(mode=0o600)
      copy.write_bytes(path.read_bytes())
      shutil.chown(copy, user)
      copies.append(copy)
    return Leaf(*copies)


class Authority:
  def __init__(self, folder: Path, name: str = 'a private authority'):
    self.dir = folder
    (self.dir / 'issued').mkdir()
    (self.dir / 'index').touch()
    sections = '\n'.join(f'[{label}]\n{extensions(kind)}' for label, kind in KINDS.items())
    self.conf = self.dir / 'openssl.cnf'
    self.conf.write_text(CONF.replace('@DIR@', str(self.dir)).replace('@KINDS@', sections))
    self.leaves: dict[str, Leaf] = {}
    self.root = Leaf(self.dir / 'ca.pem', self.new_key('ca'))
    openssl('req', '-x509', '-config', self.conf, '-extensions', 'authority', '-days', '30',
            '-subj', f'/CN={name}', '-key', self.root.key, '-out', self.root.certificate)

  @property
  def ca(self) -> Path:
    return self.root.certificate

  def leaf(self, label: str) -> Leaf:
    """One of KINDS."""
    if label not in self.leaves:
      self.leaves[label] = self.issue(label, KINDS[label])
      if label == 'revoked':
        self.by_ca('-revoke', self.leaves[label].certificate)
    return self.leaves[label]

  def self_signed(self) -> Leaf:
    """The right names, and nobody's word for it."""
    if 'self-signed' not in self.leaves:
      made = Leaf(self.dir / 'self-signed.pem', self.new_key('self-signed'))
      openssl('req', '-x509', '-config', self.conf, '-extensions', 'server', '-days', '30',
              '-subj', '/CN=store.test', '-key', made.key, '-out', made.certificate)
      self.leaves['self-signed'] = made
    return self.leaves['self-signed']

  def crl(self) -> Path:
    """With what is revoked by now."""
    path = self.dir / 'crl.pem'
    self.by_ca('-gencrl', '-out', path)
    return path

  def hashed_folder(self) -> Path:
    """The CA as --tls-ca-path wants it."""
    folder = self.dir / 'hashed'
    folder.mkdir(exist_ok=True)
    shutil.copy(self.ca, folder / 'ca.pem')
    openssl('rehash', folder)
    return folder

  def issue(self, label: str, kind: Kind) -> Leaf:
    made = Leaf(self.dir / f'{label}.pem', self.new_key(label))
    request = self.dir / f'{label}.csr'
    openssl('req', '-new', '-config', self.conf, '-subj', f'/CN={kind.common_name}',
            '-key', made.key, '-out', request)
    dates = ('-startdate', kind.dates[0], '-enddate', kind.dates[1]) if kind.dates else ()
    self.by_ca('-batch', '-notext', '-extensions', label, *dates, '-in', request,
               '-out', made.certificate)
    return made

  def new_key(self, label: str) -> Path:
    path = self.dir / f'{label}.key'
    openssl('genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256', '-out', path)
    path.chmod(0o600)
    return path

  def by_ca(self, *words):
    openssl('ca', '-config', self.conf, '-cert', self.root.certificate, '-keyfile', self.root.key,
            *words)


def extensions(kind: Kind) -> str:
  lines = ['basicConstraints = critical, CA:false', f'extendedKeyUsage = {kind.usage}']
  if kind.names:
    lines.append(f'subjectAltName = {kind.names}')
  return '\n'.join(lines)


def openssl(*words, given: bytes = b'') -> bytes:
  ran = subprocess.run(['openssl', *map(str, words)], input=given, capture_output=True, timeout=30)
  if ran.returncode != 0:
    raise AssertionError(f'openssl {words[0]}: {ran.stderr.decode(errors="replace")}')
  return ran.stdout
