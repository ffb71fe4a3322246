# For the checks in sh: counts verdicts, prints them, and closes as every suite does.
passed=0
failed=0
skipped=0
verdict() { # name, complaint (empty: good)
  if [ -z "$2" ]; then
    passed=$((passed + 1))
    echo "ok $1"
  else
    failed=$((failed + 1))
    echo "not ok $1: $(echo "$2" | tr '\n' ' ')"
  fi
}
skip() { # name, what this machine lacks for it
  skipped=$((skipped + 1))
  echo "skip $1: $2"
}
close_suite() {
  echo "$passed passed, $failed failed$([ $skipped -eq 0 ] || echo ", $skipped skipped")"
  [ $failed -eq 0 ] && [ $passed -gt 0 ]
}
