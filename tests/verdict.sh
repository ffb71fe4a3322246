# For the checks in sh: counts verdicts, prints them, and closes as every suite does.
passed=0
failed=0
verdict() { # name, complaint (empty: good)
  if [ -z "$2" ]; then
    passed=$((passed + 1))
    echo "ok $1"
  else
    failed=$((failed + 1))
    echo "not ok $1: $(echo "$2" | tr '\n' ' ')"
  fi
}
close_suite() {
  echo "$passed passed, $failed failed"
  [ $failed -eq 0 ] && [ $passed -gt 0 ]
}
