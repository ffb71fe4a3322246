"""Words that the tables share: options, as an admin would put them together.

What they do not know: which attack they stand against. For {dir} and its like see case.Bench.
"""

import ssl

ENCRYPT = ['--tls=encrypt']
VERIFY = ['--tls=verify', '--tls-ca-file={dir}/ca.pem', '--tls-name=store.test']
VERIFY_ADDRESS = ['--tls=verify', '--tls-ca-file={dir}/ca.pem']
FINGERPRINT = ['--tls=fingerprint', '--tls-fingerprint={print_good}']
LOGIN = ['--auth-password-file={files}/passwords']
SAFE = [*VERIFY, *LOGIN]  # what a remote store deserves

VERSIONS = {'1.2': {'most': ssl.TLSVersion.TLSv1_2}, '1.3': {'least': ssl.TLSVersion.TLSv1_3}}
# A store that speaks no more than TLS 1.1.
WEAK = {'least': ssl.TLSVersion.TLSv1, 'most': ssl.TLSVersion.TLSv1_1,
        'ciphers': 'ALL:@SECLEVEL=0'}

BOTH = ('deliver', 'relay')
ALL = (*BOTH, 'probe')
