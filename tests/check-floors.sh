#!/bin/sh
# The product keeps to folders.txt, and tests/floors.sh refuses what does not: each kind of fault is
# planted in a copy of the tree and must be found.
# usage: check-floors.sh
set -u
cd "$(dirname "$0")/.." || exit 1
. tests/verdict.sh

verdict "every file is in a listed folder and includes lower floors only" "$(tests/floors.sh 2>&1)"

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
refused() { # name, file, line to add, complaint that must come
  rm -rf "$scratch/tree"
  mkdir -p "$scratch/tree"
  cp -R folders.txt common mailer milter "$scratch/tree/"
  mkdir -p "$scratch/tree/$(dirname "$2")"
  echo "$3" >>"$scratch/tree/$2"
  said=$(tests/floors.sh "$scratch/tree" 2>&1) && said="accepted"
  case $said in
  *"$4"*) verdict "refused: $1" "" ;;
  *) verdict "refused: $1" "${said:-no complaint}" ;;
  esac
}
refused "an include of a higher floor" mailer/io/channel.h \
  '#include "mailer/store/connection_pool.h"' "mailer/io/channel.h:"
refused "an include of a neighbour on the same floor" mailer/secure/plugin.cpp \
  '#include "mailer/store/upstream.h"' "on floor"
refused "a folder that is not listed" mailer/attic/old.cpp '#include "common/log.h"' \
  "its folder is not in folders.txt"
refused "an include that names no folder" mailer/lmtp/reply.h '#include "reply.h"' "names no folder"
refused "the milter in the mailer" mailer/relay.cpp '#include "milter/header_edits.h"' "another program"
refused "the mailer in the milter" milter/message.cpp '#include "mailer/lmtp/reply.h"' "another program"
refused "OpenSSL outside mailer/secure" mailer/io/tls.cpp '#include <openssl/ssl.h>' \
  "belongs to mailer/secure"
refused "libsasl2 outside mailer/secure" mailer/settings/load_settings.cpp '#include <sasl/sasl.h>' \
  "belongs to mailer/secure"
refused "libldap outside mailer/serve/ldap" mailer/routes/routes.h '#include <ldap.h>' \
  "belongs to mailer/serve/ldap"
refused "libsystemd outside mailer/serve/systemd" mailer/serve/daemon.cpp \
  '#include <systemd/sd-daemon.h>' "belongs to mailer/serve/systemd"
refused "prometheus-cpp outside mailer/serve/metrics" mailer/serve/daemon.cpp \
  '#include <prometheus/collectable.h>' "belongs to mailer/serve/metrics"
refused "libmicrohttpd outside mailer/serve/metrics" mailer/serve/daemon.cpp \
  '#include <microhttpd.h>' "belongs to mailer/serve/metrics"
refused "libmilter outside the callbacks and the macros" milter/message.cpp '#include <libmilter/mfapi.h>' \
  "belongs to milter/libmilter_callbacks.cpp"
refused "a clock in the protocol" mailer/lmtp/reply.cpp '#include <chrono>' "the protocol knows no"

# Constants and functions of the libraries need their headers; this finds copies of the names.
verdict "names of OpenSSL and libsasl2 are in mailer/secure alone" "$(
  grep -rnE '\b(SSL|X509|EVP|BIO|TLS1)_[A-Za-z0-9_]+\(|\bTLS1_[0-9]*_?VERSION|\bSASL_[A-Z]+_|\bsasl_[a-z_]+\(' \
    common mailer milter --include='*.h' --include='*.cpp' | grep -v '^mailer/secure/\|^mailer/serve/ldap/')"
verdict "libmilter's calls are in the callbacks and the macros alone" "$(
  grep -rlE 'smfi_[a-z]+\(|SMFI[A-Z_]+' milter --include='*.h' --include='*.cpp' | grep -v '^milter/libmilter_callbacks\.cpp$\|^milter/mta_macros\.cpp$')"

reached() { # files: the headers of common/ that they include, and those include ...
  cat "$@" | sed -n 's/^#include "\(common\/[^"]*\)"/\1/p' | sort -u >"$scratch/found"
  : >"$scratch/reached"
  while [ -s "$scratch/found" ]; do
    while read -r header; do
      ! grep -qx "$header" "$scratch/reached" || continue
      echo "$header" >>"$scratch/reached"
      cat "$header" "${header%.h}"*.cpp 2>/dev/null | sed -n 's/^#include "\(common\/[^"]*\)"/\1/p'
    done <"$scratch/found" >"$scratch/next"
    sort -u "$scratch/next" >"$scratch/found"
  done
  sort "$scratch/reached"
}
verdict "common/ has nothing but what both programs include" "$(
  find common -name '*.h' | sort >"$scratch/all"
  for program in mailer milter; do
    reached $(find $program -name '*.h' -o -name '*.cpp') | comm -23 "$scratch/all" - |
      sed "s/^/$program does not need /"
  done)"
crowded=$(find common mailer milter -name '*.cpp' -o -name '*.h' | sed 's/\.[a-z]*$//' | sort -u |
  sed 's,/[^/]*$,,' | sort | uniq -c | awk '$1 > 14 {print $2 " has " $1 " modules"}')
verdict "no folder has more than 14 modules" "$crowded"
verdict "no file has more than 400 lines" "$(
  find common mailer milter -name '*.cpp' -o -name '*.h' | xargs wc -l | awk '$2 != "total" && $1 > 400')"

close_suite
