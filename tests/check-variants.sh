#!/bin/sh
# lmtpq without one of its libraries, and without all of them: it builds, links none of what is left
# out, says so by --version, and refuses the options that need it; it takes those that need what is there.
# usage: check-variants.sh FOLDER; CXX, CXXFLAGS and WERROR are for make
set -u
cd "$(dirname "$0")/.." || exit 1
. tests/verdict.sh
unset MAKEFLAGS MAKELEVEL MFLAGS
folder=$1
programs="$folder/lmtpq $folder/lmtpq-serve $folder/lmtpq-secure.so"
features="LDAP SASL systemd Prometheus"
export CXXFLAGS="${CXXFLAGS:--O0}"

libraries_of() { # feature
  case $1 in
  LDAP) echo 'libldap|liblber' ;;
  SASL) echo 'libsasl2' ;;
  systemd) echo 'libsystemd' ;;
  Prometheus) echo 'libprometheus' ;;
  esac
}
serve() { # options; ends after the check of the configuration
  "$folder/lmtpq" serve --check --config=/dev/null --tag-keys=none --listen=unix:/nowhere/a "$@" unix:/nowhere/b
}
use() { # feature: what a program says that needs it
  case $1 in
  LDAP) serve --route-ldap=ldap://127.0.0.1:1 --route-ldap-base=o=x --route-ldap-filter='(mail=%s)' ;;
  SASL) serve --auth-user=somebody ;;
  Prometheus) serve --metrics=127.0.0.1:1 ;;
  systemd)
    sh -c 'LISTEN_PID=$$ LISTEN_FDS=0 exec "$0" --config=/dev/null --log=stderr --tag-keys=none \
      --control= --listen=unix:/nowhere/a unix:/nowhere/b' "$folder/lmtpq-serve"
    ;;
  esac 2>&1 </dev/null
}
try() { # features left out
  title="without ${*:-nothing}"
  settings=
  for feature in "$@"; do settings="$settings WITH_$(echo "$feature" | tr '[:lower:]' '[:upper:]')=no"; done
  # shellcheck disable=SC2086
  if ! said=$(make -s BUILD="$folder" $settings $programs 2>&1); then
    verdict "$title: it builds" "$said"
    return
  fi
  verdict "$title: it builds" ""
  # shellcheck disable=SC2086
  linked=$(for program in $programs; do readelf -dW "$program"; done | grep NEEDED)
  with= without= wrongly= refused=
  for feature in $features; do
    complaint="this lmtpq was built without $feature (WITH_$(echo "$feature" | tr '[:lower:]' '[:upper:]')=no)"
    case " $* " in
    *" $feature "*)
      without="$without $feature"
      echo "$linked" | grep -qE "$(libraries_of "$feature")" && wrongly="$wrongly links $feature"
      use "$feature" | grep -qF "$complaint" || refused="$refused $feature: $(use "$feature")"
      ;;
    *)
      with="$with $feature"
      echo "$linked" | grep -qE "$(libraries_of "$feature")" || wrongly="$wrongly lacks $feature"
      use "$feature" | grep -F "built without" && refused="$refused $feature is refused"
      ;;
    esac
  done
  verdict "$title: it links what it says" "$wrongly"
  verdict "$title: it refuses what it lacks, and nothing else" "$refused"
  expected="lmtpq $(cat VERSION)${with:+
with:$with}${without:+
without:$without}"
  for words in "--version" "serve --version" "relay --version"; do
    # shellcheck disable=SC2086
    said=$("$folder/lmtpq" $words)
    verdict "$title: lmtpq $words says what it has" "$([ "$said" = "$expected" ] || echo "$said")"
  done
}

try
for feature in $features; do try "$feature"; done
# shellcheck disable=SC2086
try $features
close_suite
