#!/bin/sh
# Refuses what does not keep to folders.txt: prints a line for each complaint, and exits 1 if there is one.
# usage: floors.sh [TREE]
set -u
cd "${1:-$(dirname "$0")/..}" || exit 2
find common mailer milter -name '*.h' -o -name '*.cpp' | sort | xargs awk '
  function folder_of(path) { sub("/[^/]*$", "", path); return path }
  function program_of(path) { sub("/.*", "", path); return path }
  FILENAME == "folders.txt" {
    if ($1 ~ /^[0-9]+$/) floor[$2] = $1
    next
  }
  FNR == 1 {
    own = folder_of(FILENAME)
    if (!(own in floor)) print FILENAME ": its folder is not in folders.txt"
  }
  /^#include "/ {
    split($0, part, "\"")
    used = folder_of(part[2])
    where = FILENAME ":" FNR ": includes " part[2]
    if (!(used in floor)) print where ", which names no folder of folders.txt"
    else if (used == own) next
    else if (program_of(used) != "common" && program_of(used) != program_of(own)) print where ", another program"
    else if (own in floor && floor[used] >= floor[own]) print where ", on floor " floor[used] ", from floor " floor[own]
  }
  /^#include <(openssl|sasl)\// && own != "mailer/secure" {
    print FILENAME ":" FNR ": " $2 " belongs to mailer/secure"
  }
  /^#include <(ldap|lber)/ && own != "mailer/serve/ldap" {
    print FILENAME ":" FNR ": " $2 " belongs to mailer/serve/ldap"
  }
  /^#include <systemd\// && own != "mailer/serve/systemd" {
    print FILENAME ":" FNR ": " $2 " belongs to mailer/serve/systemd"
  }
  /^#include <(prometheus\/|microhttpd)/ && own != "mailer/serve/metrics" {
    print FILENAME ":" FNR ": " $2 " belongs to mailer/serve/metrics"
  }
  /^#include <libmilter/ && FILENAME !~ "^milter/(libmilter_callbacks|mta_macros)\\.cpp$" {
    print FILENAME ":" FNR ": " $2 " belongs to milter/libmilter_callbacks.cpp and milter/mta_macros.cpp"
  }
  /^#include <(sys\/|unistd|thread|chrono|poll|fcntl|fstream|cstdio|ctime)/ && own == "mailer/lmtp" {
    print FILENAME ":" FNR ": the protocol knows no socket, clock, thread or file: " $2
  }
' folders.txt >"${TMPDIR:-/tmp}/floors.$$"
trap 'rm -f "${TMPDIR:-/tmp}/floors.$$"' EXIT
cat "${TMPDIR:-/tmp}/floors.$$"
[ ! -s "${TMPDIR:-/tmp}/floors.$$" ]
