-- The trace id is the client's where it is trusted and the id is one, otherwise the queue id and more
--: accept-trace-from = X-Trace-Id traceparent
--: trusted-clients = 192.0.2.0/24 local
dofile(PRELUDE)
local w3c = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
local w3c_id = "4bf92f3577b34da6a3ce929d0e0e4736"
local number = 0

local function trace(client, name, expected, ...)
  number = number + 1
  local conn = dial(client)
  local qid = "t" .. number
  mail(conn, qid, "<a@example.org>")
  rcpt(conn, "<bob@store.test>")
  headers(conn, {{"Message-ID", "<1@a>"}, ...})
  finish(conn)
  local got = part(tag(conn), "t")
  if expected then
    holds(name .. " is taken", got == expected, got)
  else
    holds(name .. " is ignored", string.match(got or "", "^" .. qid .. "%-[%w]+$"), got)
  end
  verified(name .. ": signed", conn, qid, "<1@a>")
  mt.disconnect(conn)
end

trace("192.0.2.1", "an id", "abc-1._Z", {"X-Trace-Id", "abc-1._Z"})
trace("192.0.2.1", "an id in brackets", "abc", {"x-trace-ID", " <abc> "})
trace("unspec", "a local program's id", "abc", {"X-Trace-Id", "abc"})
trace("203.0.113.1", "a stranger's id", nil, {"X-Trace-Id", "abc"})
trace("203.0.113.1", "a stranger's traceparent", nil, {"traceparent", w3c})
trace("192.0.2.1", "a traceparent", w3c_id, {"traceparent", w3c})
trace("192.0.2.1", "a later traceparent", w3c_id,
      {"Traceparent", "01" .. string.sub(w3c, 3) .. "-more"})
trace("192.0.2.1", "the field named first", "abc", {"traceparent", w3c}, {"X-Trace-Id", "abc"})
trace("192.0.2.1", "a good id after a bad one", "abc", {"X-Trace-Id", "a b"},
      {"X-Trace-Id", "abc"})
local zero = "00-" .. string.rep("0", 32) .. "-00f067aa0ba902b7-01"
for name, value in pairs({["a zero traceparent"] = zero,
                          ["a traceparent in capitals"] = string.upper(w3c),
                          ["a traceparent of version ff"] = "ff" .. string.sub(w3c, 3),
                          ["a short traceparent"] = string.sub(w3c, 1, 54)}) do
  trace("192.0.2.1", name, nil, {"traceparent", value})
end
for name, value in pairs({["an empty id"] = "", ["an id with a blank"] = "a b",
                          ["an id with a semicolon"] = "a;q=*",
                          ["an id of 256 bytes"] = string.rep("a", 256),
                          ["an id in UTF-8"] = "\xc3\xa4"}) do
  trace("192.0.2.1", name, nil, {"X-Trace-Id", value})
end
trace("192.0.2.1", "an id of 255 bytes", string.rep("a", 255), {"X-Trace-Id", string.rep("a", 255)})
trace("192.0.2.1", "another field's id", nil, {"X-Other", "abc"})
